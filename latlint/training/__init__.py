"""Measurements -> device packs. Needs the ``train`` extra (LightGBM, SciPy); linting does not."""
