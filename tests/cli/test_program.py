"""The program as a process."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

MODELS = Path(__file__).resolve().parents[1] / "models"
RUN = """\
import os, sys
sys.argv = ["latlint", "predict", *sys.argv[1:]]
os._exit = lambda code: print(code, len(os.listdir("/proc/self/task")), flush=True)
from latlint.__main__ import run
run()
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted as Linux lists them")
def test_a_run_starts_no_threads_for_small_products(tmp_path: Path) -> None:
    model = tmp_path / "m.tflite"
    model.write_bytes(gzip.decompress((MODELS / "one_gelu.tflite.gz").read_bytes()))
    plain = {name: value for name, value in os.environ.items() if "_NUM_THREADS" not in name}
    command = [sys.executable, "-c", RUN, str(model), "--target", "pixel-4/gpu"]
    done = subprocess.run(command, env=plain, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 1"
