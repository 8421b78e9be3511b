"""When a model that is gone and one that is new are one that was renamed: when most of its kernels are still there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from latlint.cli import main


def chain(path: Path, widths: list[int]) -> None:
    """A file with a 3x3 convolution after the other, of these numbers of channels."""
    nodes, weights = [], []
    for number, (before, after) in enumerate(zip([3, *widths], widths, strict=False)):
        weights.append(numpy_helper.from_array(np.zeros((after, before, 3, 3), np.float32), f"w{number}"))
        nodes.append(helper.make_node("Conv", [f"v{number}", f"w{number}"], [f"v{number + 1}"], pads=[1] * 4))
    first = helper.make_tensor_value_info("v0", TensorProto.FLOAT, [1, 3, 16, 16])
    last = helper.make_tensor_value_info(f"v{len(widths)}", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [first], [last], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)


@pytest.fixture
def statuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., list[tuple[str, str]]]:
    """``statuses(before, **after)``: what becomes of a model of some widths that is gone, and of new ones by name."""
    monkeypatch.chdir(tmp_path)

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
        subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)

    def found(before: list[int], **after: list[int]) -> list[tuple[str, str]]:
        git("init", "--quiet")
        chain(tmp_path / "a_first.onnx", before)
        git("add", ".")
        git("commit", "-m", "A model")
        (tmp_path / "a_first.onnx").unlink()
        for name, widths in after.items():
            chain(tmp_path / f"{name}.onnx", widths)
        capsys.readouterr()
        assert main(["diff", "--base", "HEAD", "-t", "pixel-4/cpu-1large", "--format", "json"]) == 0
        document: Any = json.loads(capsys.readouterr().out)
        return [(model["status"], model["new"] or model["old"]) for model in document["models"]]

    return found


WIDTHS = [8 * number for number in range(1, 11)]


def keeping(count: int) -> list[int]:
    """``WIDTHS`` of which all but the first ``count`` are others."""
    return [*WIDTHS[:count], *(width + 3 for width in WIDTHS[count:])]


@pytest.mark.parametrize("kept", [6, 5, 4])
def test_more_than_half_of_the_kernels_must_be_the_same(
    kept: int, statuses: Callable[..., list[tuple[str, str]]]
) -> None:
    renamed, new = [("renamed", "second.onnx")], [("removed", "a_first.onnx"), ("added", "second.onnx")]
    assert statuses(WIDTHS, second=keeping(kept)) == (renamed if kept > 5 else new)


def test_of_two_that_are_alike_the_one_that_is_more_so_was_renamed(
    statuses: Callable[..., list[tuple[str, str]]],
) -> None:
    """Whatever their order: of the names here, the one that comes later."""
    found = statuses(WIDTHS, second=keeping(6), third=keeping(9))
    assert sorted(found) == [("added", "second.onnx"), ("renamed", "third.onnx")]
