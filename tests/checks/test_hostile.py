"""Graphs that no exporter writes: rules and the edits that they price come to an end, and to no internal error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from linted import findings, subject
from onnx import TensorProto, helper
from sketch import sketch

from latlint import checks
from latlint.api import check
from latlint.graph.types import Graph, Node, Tensor
from latlint.settings import Budget, Settings
from latlint.whatif.edits import with_channels


def test_an_op_is_in_one_round_trip() -> None:
    """Of QUANTIZE, DEQUANTIZE and QUANTIZE in a row the middle one is part of two pairs, and was to be taken out twice."""
    found = findings("""
        # pixel-4/cpu-1large
        x = input 1x256x256x64
        a = quantize x -> 1x256x256x64 uint8
        b = dequantize a -> 1x256x256x64 float32
        c = quantize b -> 1x256x256x64 uint8
        d = dequantize c -> 1x256x256x64 float32
        y = relu d
    """)
    assert found["LAT302"].message.startswith("2 pairs")


def test_a_product_of_two_integer_convolutions_is_taken_out_once() -> None:
    found = findings("""
        # x86-64-avx512/cpu-1@onnxruntime onnx
        x = input 1x32x56x56
        q = quantize x native=DynamicQuantizeLinear -> 1x32x56x56 uint8
        w = const 32x32x3x3 int8
        a = conv2d q w kernel=3 padding=same native=ConvInteger -> 1x32x56x56 int32
        b = conv2d q w kernel=3 padding=same native=ConvInteger -> 1x32x56x56 int32
        c = cast a to=float32 native=Cast -> 1x32x56x56 float32
        d = cast b to=float32 native=Cast -> 1x32x56x56 float32
        y = mul c d native=Mul
    """)
    assert found["LAT261"].message.startswith("2 convolutions")


def test_a_mean_that_goes_into_a_variable_is_no_normalisation() -> None:
    drawn = sketch("""
        # pixel-4/cpu-1large
        x = input 1x8x8x64
        v = input 1
        a = mean x axes=3 keep_dims=1 -> 1x8x8x1
        y = relu x
    """)
    names = {tensor.name: index for index, tensor in enumerate(drawn.tensors)}
    kept = Node(2, "kept", "assign_variable", "ASSIGN_VARIABLE", (names["v"], names["a"]), ())
    nodes = (*(n for n in drawn.nodes if n.kind == "mean"), *(n for n in drawn.nodes if n.kind != "mean"), kept)
    attributes = MappingProxyType({"axes": (3,), "keep_dims": True})

    nodes = tuple(
        replace(n, index=i, attributes=attributes if n.kind == "mean" else n.attributes) for i, n in enumerate(nodes)
    )
    graph = replace(drawn, nodes=nodes, outputs=(names["y"],))
    assert "LAT226" not in {each.code for each in checks.run(subject(graph, "pixel-4/cpu-1large"))}


@pytest.mark.parametrize(
    ("kind", "attributes"), [("concat", {"axis": 3}), ("split", {"axis": 3}), ("depthwise_conv2d", {}), ("mean", {})]
)
def test_channels_of_what_has_no_known_rank_are_not_changed(kind: str, attributes: dict[str, int]) -> None:
    """Among the operands is a convolution's result, which gets more channels, and a value of which nobody knows how many it has."""
    tensors = (
        Tensor("x", (1, 8, 8, 4), "float32"),
        Tensor("w", (3, 1, 1, 4), "float32", constant=True),
        Tensor("a", (1, 8, 8, 3), "float32"),
        Tensor("u", None, "float32"),
        Tensor("y", None, "float32"),
    )
    nodes = (
        Node(0, "a", "conv2d", "CONV_2D", (0, 1), (2,)),
        Node(1, "y", kind, kind.upper(), (3, 2), (4,), MappingProxyType(attributes)),
    )
    graph = Graph("m", "tflite", "tflite", nodes, tensors, (0, 3), (0,))
    assert with_channels(graph, lambda count: -(-count // 4) * 4) is None


def test_the_peak_may_be_at_an_op_of_nothing(tmp_path: Path) -> None:
    """Before the first op that reads the input another one makes nothing of nothing."""
    nodes = [helper.make_node("Relu", ["z"], ["e"]), helper.make_node("Slice", ["x", "none", "none"], ["y"])]
    given = {"z": [0, 4], "x": [1, 64, 64, 64]}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in given.items()],
        [helper.make_empty_tensor_value_info(name) for name in ("e", "y")],
        [helper.make_tensor("none", TensorProto.INT64, [1], [0])],
    )
    path = tmp_path / "m.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    path.write_bytes(model.SerializeToString())
    settings = Settings(targets=("pixel-4/cpu-1large",), budgets=(Budget(peak_memory=1024),))
    found = {each.code: each.message for each in check(path, settings).findings}
    assert "'x' is the largest tensor there" in found["LAT109"]
