"""``python -m latlint``, and the script ``latlint``."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from typing import NoReturn


def run() -> NoReturn:
    """Run the command line, and end the process without freeing object by object what the operating system takes back as a whole."""
    # A run makes many objects, hardly any in cycles: one model is done before those are looked for.
    gc.set_threshold(200_000, 20, 20)
    # NumPy's BLAS starts a thread for each core when it is imported. They wait busily for products that are too small to share: a third of a cold lint.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from latlint.cli import main

    code = main()
    for stream in (sys.stdout, sys.stderr):
        # All output has been flushed where it was written; what is left here could not be, and has been reported.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    run()
