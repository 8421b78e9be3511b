"""A device of one's own in half an hour: models to time there, scripts that time them, and what comes back.

``choose`` picks the models, ``write`` lays them out with the scripts of ``files/``, ``results`` reads what the scripts have written; ``user.build``
makes packs of it.
"""
