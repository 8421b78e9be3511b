"""When a model that is gone and one that is new are one that was renamed: when most of its kernels are still there."""

from __future__ import annotations

import json
import subprocess
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


@pytest.mark.parametrize(
    ("kept", "statuses"),
    [(6, ["renamed"]), (5, ["removed", "added"]), (4, ["removed", "added"])],
)
def test_more_than_half_of_the_kernels_must_be_the_same(
    kept: int, statuses: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    widths = [8 * number for number in range(1, 11)]

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
        subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)

    git("init", "--quiet")
    chain(tmp_path / "a_first.onnx", widths)
    git("add", ".")
    git("commit", "-m", "A model")
    (tmp_path / "a_first.onnx").unlink()
    chain(tmp_path / "second.onnx", [*widths[:kept], *(width + 3 for width in widths[kept:])])
    capsys.readouterr()
    assert main(["diff", "--base", "HEAD", "-t", "pixel-4/cpu-1large", "--format", "json"]) == 0
    found: Any = json.loads(capsys.readouterr().out)
    assert [model["status"] for model in found["models"]] == statuses
