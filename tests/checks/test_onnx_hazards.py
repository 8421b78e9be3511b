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


def integer(name: str, weights: str = "wq", group: int = 1) -> list[onnx.NodeProto]:
    """What ``quantize_dynamic`` makes of a convolution."""
    return [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["xq", "xs", "xz"]),
        helper.make_node("ConvInteger", ["xq", weights, "xz"], ["i"], name=name, pads=[1] * 4, group=group),
        helper.make_node("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["f", "xs"], ["y"]),
    ]


def with_constants(path: Path, **arrays: np.ndarray) -> Path:
    model = onnx.load(path)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in arrays.items())
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    "target", ["pixel-4/cpu-1large", "x86-64-avx512/cpu-1@onnxruntime", "galaxy-s24/npu@onnxruntime"]
)
@pytest.mark.parametrize(("group", "severity"), [(1, "note"), (8, "warning")])
def test_convolutions_quantised_at_run_time_are_told(tmp_path: Path, target: str, group: int, severity: str) -> None:
    weights = np.zeros((8, 8 // group, 3, 3), np.uint8)
    path = with_constants(saved(tmp_path, integer("conv", group=group)), wq=weights)
    (finding,) = (f for f in check(path, Settings(targets=(target,))).findings if f.code == "LAT322")
    assert (finding.severity, finding.nodes) == (severity, ("conv",))


def test_matrix_products_quantised_at_run_time_are_what_it_is_for(tmp_path: Path) -> None:
    product = helper.make_node("MatMulInteger", ["xq", "wq", "xz"], ["i"])
    nodes = integer("conv")
    path = with_constants(saved(tmp_path, [nodes[0], product, *nodes[2:]]), wq=np.zeros((14, 14), np.uint8))
    assert "LAT322" not in codes(path, "x86-64-avx512/cpu-1@onnxruntime")


def quantised(index: int, data: str) -> tuple[list[onnx.NodeProto], str]:
    """A convolution between QuantizeLinear and DequantizeLinear nodes, and its result."""
    n = str(index)
    nodes = [
        helper.make_node("QuantizeLinear", [data, "s", "z"], [f"q{n}"]),
        helper.make_node("DequantizeLinear", [f"q{n}", "s", "z"], [f"d{n}"]),
        helper.make_node("DequantizeLinear", ["wq", "s", "z"], [f"w{n}"]),
        helper.make_node("Conv", [f"d{n}", f"w{n}"], [f"c{n}"], name=f"quantised{n}", pads=[1] * 4),
    ]
    return nodes, f"c{n}"


@pytest.mark.parametrize("target", ["pixel-4/cpu-1large", "pixel-4/cpu-1large@xnnpack", "galaxy-s24/npu@litert"])
@pytest.mark.parametrize("in_float", [0, 1, 2])
def test_a_model_quantised_in_part_names_what_is_in_float(tmp_path: Path, target: str, in_float: int) -> None:
    nodes, data = [], "x"
    for index in range(3):
        if index < in_float:
            nodes.append(helper.make_node("Conv", [data, "w"], [f"f{index}"], name=f"float{index}", pads=[1] * 4))
            data = f"f{index}"
        else:
            more, data = quantised(index, data)
            nodes += more
    nodes += [
        helper.make_node("QuantizeLinear", [data, "s", "z"], ["last"]),
        helper.make_node("DequantizeLinear", ["last", "s", "z"], ["y"]),
    ]
    constants = {"wq": np.zeros((8, 8, 3, 3), np.int8), "s": np.float32(0.1), "z": np.int8(0)}
    path = with_constants(saved(tmp_path, nodes), **{name: np.asarray(value) for name, value in constants.items()})
    found = [f for f in check(path, Settings(targets=(target,))).findings if f.code == "LAT323"]
    assert [f.nodes for f in found] == ([tuple(f"float{i}" for i in range(in_float))] if in_float else [])
    assert all(f.message.startswith(f"{in_float / 3:.0%} of the multiply-accumulates") for f in found)


@pytest.mark.parametrize("target", ["pixel-4/gpu", "pixel-4/cpu-1large", "x86-64-avx512/cpu-1@onnxruntime"])
@pytest.mark.parametrize("training", [0, 1])
def test_batch_normalisation_in_training_mode_is_told(tmp_path: Path, target: str, training: int) -> None:
    outputs = ["y", "mean", "var"] if training else ["y"]
    nodes = [CONV, helper.make_node("BatchNormalization", ["c", "s", "s", "s", "s"], outputs, training_mode=training)]
    path = with_constants(saved(tmp_path, nodes), s=np.ones(8, np.float32))
    assert ("LAT325" in codes(path, target)) is bool(training)


def test_dropout_that_still_draws_numbers_is_told(tmp_path: Path) -> None:
    nodes = [CONV, helper.make_node("RandomUniformLike", ["c"], ["n"]), helper.make_node("Mul", ["c", "n"], ["y"])]
    assert "RandomUniformLike" in codes(saved(tmp_path, nodes), "pixel-4/cpu-1large")["LAT325"]


def between_pairs(directory: Path, op: str, *, quantised: bool, weights: bool) -> Path:
    """``op`` behind a pair: its result is ``quantised`` too, or goes into a Softplus; its weights are integers, or float."""
    pair = ["s", "z"]
    nodes = [("QuantizeLinear", ["x", *pair], "q"), ("DequantizeLinear", ["q", *pair], "d")]
    if weights:
        nodes.append(("DequantizeLinear", ["i", "s", "zero"], "w"))
    nodes.append((op, ["d", "w"], "c"))
    nodes += (
        [("QuantizeLinear", ["c", *pair], "p"), ("DequantizeLinear", ["p", *pair], "y")]
        if quantised
        else [("Softplus", ["c"], "y")]
    )
    arrays = {"s": np.float32(0.1), "z": np.uint8(3), "zero": np.int8(0), "i": np.ones((32, 32, 3, 3), np.int8)}
    arrays |= {} if weights else {"w": np.ones((32, 32, 3, 3), np.float32)}
    graph = helper.make_graph(
        [helper.make_node(name, inputs, [output]) for name, inputs, output in nodes],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 32, 28, 28])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()],
    )
    path = directory / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


@pytest.mark.parametrize(
    ("op", "quantised", "weights", "why"),
    [
        ("Conv", True, True, ""),
        ("Conv", True, False, ""),  # made integers when the file is loaded
        ("Conv", False, False, "no QuantizeLinear reads its result"),
        ("Conv", False, True, "no QuantizeLinear reads its result"),
        ("ConvTranspose", True, True, "ConvTranspose has no integer kernel"),
    ],
)
def test_why_a_quantised_product_stays_in_float(
    tmp_path: Path, op: str, quantised: bool, weights: bool, why: str
) -> None:
    """Each was asked of ONNX Runtime 1.32.0: mending what is named makes it a QLinearConv, where anything does."""
    found = codes(between_pairs(tmp_path, op, quantised=quantised, weights=weights), "x86-64-avx512/cpu-1@onnxruntime")
    assert why in found["LAT263"] if why else "LAT263" not in found
