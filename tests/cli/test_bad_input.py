"""Bad input gets one clear line and exit code 2, never a traceback."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Model = Callable[[str], Path]

COMMANDS = ("check", "predict")


def refused(latlint: Run, path: str, code: str, *mentions: str) -> None:
    """Both commands refuse ``path`` with one line on stderr that names it, says what it is, and ends with the code."""
    for command in COMMANDS:
        result = latlint(command, path, "--target", "pixel-4/gpu")
        assert result.status == 2, result
        (line,) = result.err.splitlines()
        assert line.startswith(f"latlint: error: {path}: "), line
        assert line.endswith(f" [{code}]"), line
        for mention in mentions:
            assert mention in line, line


def test_a_missing_file(latlint: Run) -> None:
    refused(latlint, "no/such.tflite", "LAT005")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_directory_without_models(latlint: Run, repository: Path, command: str) -> None:
    (repository / "empty").mkdir()
    result = latlint(command, "empty", "--target", "pixel-4/gpu")
    assert (result.status, result.out) == (2, "")
    assert result.err == "latlint: error: empty: no .tflite or .onnx file here [LAT005]\n"


def test_an_empty_file(latlint: Run, repository: Path) -> None:
    (repository / "empty.tflite").touch()
    refused(latlint, "empty.tflite", "LAT004", "empty")


@pytest.mark.parametrize("name", ["noise.tflite", "noise.onnx"])
def test_random_bytes(latlint: Run, repository: Path, name: str) -> None:
    (repository / name).write_bytes(random.Random(7).randbytes(4096))
    refused(latlint, name, "LAT001")


@pytest.mark.parametrize("name", ["mobilenet_v2.tflite", "resnet18.onnx"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.999])
def test_a_truncated_file(latlint: Run, repository: Path, model: Model, name: str, kept: float) -> None:
    data = model(name).read_bytes()
    (repository / name).write_bytes(data[: int(kept * len(data))])
    refused(latlint, name, "LAT001")


def test_a_git_lfs_pointer(latlint: Run, repository: Path) -> None:
    (repository / "m.tflite").write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'4d' * 32}\nsize 13990405\n", encoding="utf-8"
    )
    refused(latlint, "m.tflite", "LAT002", "Git LFS pointer", "14.0 MB", 'git lfs pull --include="m.tflite"')


def test_extensions_that_were_swapped(latlint: Run, repository: Path, model: Model) -> None:
    shutil.copy(model("resnet18.onnx"), repository / "a.tflite")
    refused(latlint, "a.tflite", "LAT003", "ONNX")
    shutil.copy(model("mobilenet_v2_int8.tflite"), repository / "b.onnx")
    refused(latlint, "b.onnx", "LAT003", "TFLite")


def test_a_file_of_another_kind(latlint: Run, repository: Path) -> None:
    (repository / "notes.txt").write_text("conv2d\n", encoding="utf-8")
    refused(latlint, "notes.txt", "LAT001", ".tflite or .onnx")


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_target_gets_the_nearest_names(latlint: Run, model: Model, command: str) -> None:
    result = latlint(command, str(model("one_gelu.tflite")), "--target", "pixel4/gpu")
    assert (result.status, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert line.startswith("latlint: error: unknown target 'pixel4/gpu': did you mean pixel-4/gpu")
    assert line.endswith("[LAT902]")


@pytest.mark.parametrize("budget", ["10", "fast", "-3ms", "pixel-4/gpu=", "0ms"])
def test_a_malformed_budget_shows_a_good_one(latlint: Run, model: Model, budget: str) -> None:
    result = latlint("check", str(model("one_gelu.tflite")), "--target", "pixel-4/gpu", f"--budget={budget}")
    assert (result.status, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert line.startswith(f"latlint: error: malformed budget '{budget}': expected a time such as 10ms, ")
    assert line.endswith("[LAT901]")


def test_one_bad_file_does_not_hide_the_others(latlint: Run, repository: Path, model: Model) -> None:
    shutil.copy(model("one_gelu.tflite"), repository / "good.tflite")
    (repository / "bad.tflite").touch()
    for command in COMMANDS:
        result = latlint(command, ".", "--target", "pixel-4/gpu", "--exit-zero" if command == "check" else "--top=3")
        assert result.status == 2
        assert "good.tflite  TFLite" in result.out
        assert result.err.count("\n") == 1


def test_a_hostile_path_is_printed_inert(latlint: Run, repository: Path) -> None:
    name = "a\x1b[31m\n::error::\u202e.tflite"
    (repository / name).touch()
    for args in ([name], ["--target", name], [f"--budget={name}"], [f"--{name}"], ["--config", name]):
        result = latlint("check", "--target", "pixel-4/gpu", *args)
        assert result.status == 2
        (line,) = result.err.splitlines()
        assert line.isprintable()


def test_a_shape_that_no_input_can_have(latlint: Run, model: Model) -> None:
    path = str(model("mobilenet_v2_025_dynamic_batch.onnx"))
    said = {
        "image=1x3x224x224": "no input is called 'image'; its inputs are 'input' ?x3x224x224",
        "input=1x224x224": "input 'input' cannot be 1x224x224: 3 dimensions, the file has 4 (?x3x224x224)",
        "input=1x3x256x256": "input 'input' cannot be 1x3x256x256: the file fixes it to ?x3x224x224",
        "input": "malformed shape 'input': expected INPUT=SHAPE, such as image=1x224x224x3",
    }
    for shape, message in said.items():
        for command in ("check", "predict"):
            result = latlint(command, path, "--target", "pixel-4/gpu", "--shape", shape)
            assert result.status == 2 and message in result.err, (shape, result)
