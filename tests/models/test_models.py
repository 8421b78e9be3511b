"""The shipped model files are what their README says, and stay small."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import tflite

HERE = Path(__file__).parent
ARCHIVES = sorted(HERE.glob("*.gz"))
NAMES = [archive.stem for archive in ARCHIVES]


def names(suffix: str) -> list[str]:
    return [name for name in NAMES if name.endswith(suffix)]


def test_readme_lists_every_file_with_its_size() -> None:
    rows = re.findall(r"^\| `(\S+)` \|.*?\|.*?\| ([\d.]+) \|", (HERE / "README.md").read_text(encoding="utf-8"), re.M)
    assert sorted(rows) == [(archive.stem, f"{archive.stat().st_size / 1000:.1f}") for archive in ARCHIVES]


def test_the_files_together_stay_small() -> None:
    assert sum(archive.stat().st_size for archive in ARCHIVES) < 400_000


def test_the_command_of_the_readme_unpacks_a_file_beside_its_archive(tmp_path: Path) -> None:
    archive = tmp_path / "mobilenet_v2.tflite.gz"
    shutil.copy(HERE / archive.name, archive)
    subprocess.run([sys.executable, "-m", "gzip", "-d", archive], check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mobilenet_v2.tflite", "mobilenet_v2.tflite.gz"]
    assert (tmp_path / "mobilenet_v2.tflite").read_bytes()[4:8] == b"TFL3"


@pytest.mark.parametrize("name", names(".onnx"))
def test_onnx_files_are_valid_and_their_large_constants_zero(name: str, model: Callable[[str], Path]) -> None:
    loaded = onnx.load(model(name))
    onnx.checker.check_model(loaded, full_check=True)
    weights = [tensor for tensor in loaded.graph.initializer if len(tensor.raw_data) > 1024]
    assert weights
    assert not any(any(tensor.raw_data) for tensor in weights)


@pytest.mark.parametrize("name", names(".tflite"))
def test_tflite_files_are_valid_and_their_large_constants_zero(name: str, model: Callable[[str], Path]) -> None:
    loaded = tflite.Model.GetRootAsModel(model(name).read_bytes(), 0)
    buffers = [loaded.Buffers(i) for i in range(loaded.BuffersLength())]
    metadata = {loaded.Metadata(i).Buffer() for i in range(loaded.MetadataLength())}
    weights = [b.DataAsNumpy() for i, b in enumerate(buffers) if b.DataLength() > 1024 and i not in metadata]
    assert weights
    assert not any(np.any(weight) for weight in weights)
