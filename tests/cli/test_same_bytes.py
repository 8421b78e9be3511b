"""The same files and the same version: the same bytes, whatever the directory, the locale, the time zone and the hash seed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import formats_of_commands

CHECKOUT = Path(__file__).resolve().parents[2]
TARGETS = ["-t", "pixel-4/gpu", "-t", "iphone-7/cpu-1large"]

#: What each command is called with; ``check`` finds something to say, and predicts one model that it says nothing of.
ARGUMENTS = {
    "check": ["check", "m\u00f6del.tflite", "other.tflite", *TARGETS, "-b", "3ms"],
    "predict": ["predict", "m\u00f6del.tflite", *TARGETS],
    "diff": ["diff", "other.tflite", "m\u00f6del.tflite", *TARGETS],
    "lock": ["lock", *TARGETS],
    "baseline": ["baseline", *TARGETS],
}

#: Runs latlint for each list of arguments on stdin, and answers with exit codes and outputs.
DRIVER = """
import contextlib, io, json, sys
from latlint.cli import main
answers = []
for arguments in json.load(sys.stdin):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        answers.append([main(arguments), out.getvalue()])
sys.stdout.buffer.write(json.dumps(answers).encode())
"""

#: Nothing in the second is as in the first.
ENVIRONMENTS = (
    ("first", {"LC_ALL": "C", "TZ": "UTC", "PYTHONHASHSEED": "0"}),
    (
        "second/and deeper",
        {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "TZ": "Asia/Kolkata", "PYTHONHASHSEED": "1", "COLUMNS": "60"},
    ),
)


def outputs(directory: Path, environment: dict[str, str], calls: list[list[str]]) -> list[list[object]]:
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), **environment},
        input=json.dumps(calls).encode(),
        capture_output=True,
        check=True,
    )
    answers = json.loads(done.stdout)
    assert isinstance(answers, list)
    return answers


@pytest.mark.slow
def test_every_format_of_every_command(model: Callable[[str], Path], tmp_path: Path) -> None:
    calls = [[*ARGUMENTS[command], "--format", form] for command, form in formats_of_commands()]
    found = []
    for below, environment in ENVIRONMENTS:
        directory = tmp_path / below
        directory.mkdir(parents=True)
        (directory / ".git").mkdir()
        shutil.copy(model("mobilenet_v3_small.tflite"), directory / "m\u00f6del.tflite")
        shutil.copy(model("one_gelu.tflite"), directory / "other.tflite")
        answers = outputs(directory, environment, calls)
        written = [
            (path.name, path.read_bytes())
            for path in sorted(directory.iterdir())
            if path.suffix != ".tflite" and path.is_file()
        ]
        found.append((answers, written))
    (first, files), (answers, written) = found
    assert {name for name, _ in files} == {"latlint.lock", "latlint.baseline"}
    assert written == files
    for call, before, after in zip(calls, first, answers, strict=True):
        assert after == before, call
    assert all(status in (0, 1) for (status, _), call in zip(first, calls, strict=True) if call[0] != "predict")
    assert not any(str(tmp_path) in str(text) for _, text in first)
