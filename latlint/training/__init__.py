"""Measurements -> device packs. Needs the ``train`` extra (LightGBM, SciPy, zstandard); linting does not."""

import os

# The problems are small: threads that wait for each other cost more than they compute, several times over on a busy machine.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
