"""latlint: how long a model file will take on a named phone, why, and whether that is within budget."""

__version__ = "0.1.0"
