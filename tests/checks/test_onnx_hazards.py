"""What ONNX Runtime and converters make of ONNX files: rules that look at real files of that format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from latlint.api import check
from latlint.settings import Settings


def saved(directory: Path, nodes: list[onnx.NodeProto], dtype: int = TensorProto.FLOAT) -> Path:
    shape = [1, 8, 14, 14]
    weights = onnx.numpy_helper.from_array(np.zeros((8, 8, 3, 3), helper.tensor_dtype_to_np_dtype(dtype)), "w")
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info("y", dtype, shape)],
        [weights],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    path = directory / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets), path)
    return path


def codes(path: Path, target: str) -> dict[str, str]:
    return {f.code: f.message for f in check(path, Settings(targets=(target,))).findings}


CONV = helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1])
RELU = helper.make_node("Relu", ["c"], ["y"])


def test_a_convolution_fused_by_onnx_runtime_is_told(tmp_path: Path) -> None:
    fused = helper.make_node("FusedConv", ["x", "w"], ["y"], pads=[1] * 4, activation="Relu", domain="com.microsoft")
    assert codes(saved(tmp_path, [fused]), "pixel-4/gpu")["LAT321"].startswith("FusedConv ×1: written by")
    assert "LAT321" not in codes(saved(tmp_path, [CONV, RELU]), "pixel-4/gpu")


def test_float16_is_told_on_cpus_alone(tmp_path: Path) -> None:
    half = saved(tmp_path, [CONV, RELU], TensorProto.FLOAT16)
    assert codes(half, "pixel-4/cpu-1large")["LAT320"].startswith("2 ops in float16")
    assert "LAT320" not in codes(half, "pixel-4/gpu")
    assert "LAT320" not in codes(saved(tmp_path, [CONV, RELU]), "pixel-4/cpu-1large")


@pytest.mark.parametrize("target", ["pixel-4/gpu", "pixel-4/cpu-1large"])
def test_a_dilated_pool_becomes_a_flex_op(tmp_path: Path, target: str) -> None:
    def pool(dilation: int) -> onnx.NodeProto:
        return helper.make_node(
            "MaxPool", ["c"], ["y"], kernel_shape=[3, 3], dilations=[dilation] * 2, pads=[dilation] * 4, strides=[1, 1]
        )

    assert codes(saved(tmp_path, [CONV, pool(2)]), target)["LAT313"].startswith("FlexDilation2D ×1")
    assert "LAT313" not in codes(saved(tmp_path, [CONV, pool(1)]), target)


def test_the_overhead_of_a_small_network_is_told_where_it_runs_on_the_gpu(model: Callable[[str], Path]) -> None:
    path = model("mobilenet_v3_small.tflite")
    assert " start-up, " in codes(path, "galaxy-s10/gpu")["LAT227"]
    assert "LAT227" not in codes(path, "galaxy-s10/cpu-1large")
    assert "LAT227" not in codes(model("one_gelu.tflite"), "galaxy-s10/gpu")
