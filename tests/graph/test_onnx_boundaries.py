"""The ONNX reader where two readings are close: files that tell them apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from latlint.graph import Graph
from latlint.graph.onnx import read_onnx

ONE = helper.make_node


def read(
    nodes: list[onnx.NodeProto],
    x: list[int | str | None],
    declared: dict[str, list[int | str | None]] | None = None,
    opset: int = 17,
    **constants: Any,
) -> Graph:
    """The graph of a model of these nodes that takes ``x`` and gives ``y``; ``declared`` are the shapes that it states of values."""
    arrays = {name: value if isinstance(value, np.ndarray) else np.array(value) for name, value in constants.items()}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
        value_info=[helper.make_tensor_value_info(n, TensorProto.INT64, dims) for n, dims in (declared or {}).items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    return read_onnx(proto.SerializeToString(), "m.onnx")


def shape(graph: Graph, name: str = "y") -> tuple[int, ...] | None:
    return next(tensor.shape for tensor in graph.tensors if tensor.name == name)


def zeros(*dims: int) -> Any:
    return np.zeros(dims, np.float32)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_scales_run_along_the_axis_that_the_node_names(axis: int) -> None:
    count = (2, 3, 4)[axis]
    quantized = ONE("DequantizeLinear", ["w", "s", "z"], ["v"], axis=axis)
    graph = read(
        [quantized, ONE("Add", ["x", "v"], ["y"])],
        [2, 3, 4],
        w=np.zeros((2, 3, 4), np.int8),
        s=np.linspace(0.1, 0.5, count, dtype=np.float32),
        z=np.zeros(count, np.int8),
    )
    (weights,) = (tensor for tensor in graph.tensors if tensor.name == "w")
    assert weights.quantization is not None
    assert (weights.quantization.axis, len(weights.quantization.scales)) == (axis, count)


@pytest.mark.parametrize(
    ("size", "kernel", "pads", "expected"),
    [
        (4, 2, [0, 1], (0, 1)),  # rounding up asks for a third window, which would lie in the padding: it is left out
        (5, 2, [0, 0], (0, 1)),
        (4, 3, [1, 1], (1, 2)),
        (6, 3, [0, 0], (0, 1)),
    ],
)
def test_rounding_up_never_takes_padding_away(
    size: int, kernel: int, pads: list[int], expected: tuple[int, int]
) -> None:
    begin, end = pads
    pool = ONE(
        "MaxPool", ["x"], ["y"], kernel_shape=[kernel] * 2, strides=[2, 2], pads=[begin] * 2 + [end] * 2, ceil_mode=1
    )
    (node,) = read([pool], [1, 4, size, size], opset=22).nodes
    assert node.attributes["padding"] == expected * 2


@pytest.mark.parametrize(("mode", "expected"), [("SAME_UPPER", (0, 1)), ("SAME_LOWER", (1, 0))])
def test_the_odd_pixel_of_a_transposed_convolution_is_where_auto_pad_says(mode: str, expected: tuple[int, int]) -> None:
    """Upper: at the end, as the operator's page says for its outputs."""
    node = ONE("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2], auto_pad=mode)
    graph = read([node], [1, 4, 5, 5], w=zeros(4, 6, 3, 3))
    assert shape(graph) == (1, 6, 10, 10)
    assert graph.nodes[0].attributes["padding"] == expected * 2


def test_a_convolution_of_one_channel_is_not_depthwise() -> None:
    """One group is all channels; that there is one of each is chance."""
    assert read([ONE("Conv", ["x", "w"], ["y"])], [1, 1, 9, 9], w=zeros(8, 1, 3, 3)).nodes[0].kind == "conv2d"
    two = read([ONE("Conv", ["x", "w"], ["y"], group=2)], [1, 2, 9, 9], w=zeros(8, 1, 3, 3))
    assert two.nodes[0].kind == "depthwise_conv2d"


@pytest.mark.parametrize(("dividend", "divisor", "size"), [(-7, 2, 3), (7, -2, 3), (-8, 2, 4), (-7, 7, 1)])
def test_integers_divide_towards_zero(dividend: int, divisor: int, size: int) -> None:
    nodes = [
        ONE("Div", ["a", "b"], ["q"]),
        ONE("Neg", ["q"], ["n"]),
        ONE("Expand", ["x", "n"], ["y"]),
    ]
    assert shape(read(nodes, [1], a=np.array([dividend]), b=np.array([divisor]))) == (size,)


@pytest.mark.parametrize(
    ("starts", "ends", "left"),
    [
        (-1, -10, (4, 3, 2)),  # before the first element: through it
        (-1, np.iinfo(np.int64).min, (4, 3, 2)),
        (-1, -4, (4, 3, 2)),
        (-1, -3, (4, 3)),  # the first element by its other name: up to it
        (2, 0, (4, 3)),
        (10, -4, (4, 3, 2)),
    ],
)
def test_a_slice_backwards_ends_where_it_says(starts: int, ends: int, left: tuple[int, ...]) -> None:
    """Of the shape (2, 3, 4), as PyTorch reverses it."""
    nodes = [
        ONE("Slice", ["dims", "from", "to", "axes", "steps"], ["back"]),
        ONE("Expand", ["x", "back"], ["y"]),
    ]
    steps = {"axes": np.array([0]), "steps": np.array([-1])}
    graph = read(nodes, [1], dims=np.array([2, 3, 4]), to=np.array([ends]), **{"from": np.array([starts])}, **steps)
    assert shape(graph) == left


@pytest.mark.parametrize("op", ["GreaterOrEqual", "LessOrEqual"])
def test_comparisons_of_opset_12_have_a_shape_that_onnx_does_not_infer(op: str) -> None:
    graph = read(
        [ONE(op, ["x", "w"], ["b"]), ONE("Cast", ["b"], ["y"], to=TensorProto.FLOAT)], [4, 1], opset=13, w=zeros(8)
    )
    assert (shape(graph), graph.tensors[graph.nodes[0].outputs[0]].dtype) == ((4, 8), "bool")


def test_what_the_file_declares_is_believed_of_ops_that_nobody_knows() -> None:
    """How many elements are not zero is known when the model runs, whatever number the file promises: ONNX Runtime does not hold it."""
    nodes = [ONE("NonZero", ["x"], ["where"]), ONE("Cast", ["where"], ["y"], to=TensorProto.FLOAT)]
    assert shape(read(nodes, [4, 4], {"where": [2, 7]})) == (2, -1)
    strange = [ONE("Mystery", ["x"], ["where"], domain="acme"), *nodes[1:]]
    assert shape(read(strange, [4, 4], {"where": [2, 7]})) == (2, 7)
    assert shape(read(strange, [4, 4], {"where": ["rank", 7]})) == (-1, 7)


def test_where_an_input_leaves_a_size_open_runtimes_plan_by_what_the_file_declares() -> None:
    """ONNX Runtime plans before it runs: a size that inference leaves open is then what the file says."""
    nodes = [ONE("NonZero", ["x"], ["where"]), ONE("Cast", ["where"], ["y"], to=TensorProto.FLOAT)]
    graph = read(nodes, ["N", 4], {"where": [2, 7]})
    assert shape(graph) == (2, -1)
    assert graph.left_open is not None
    left = graph.left_open()
    assert (left["x"].shape, left["y"].shape) == ((-1, 4), (2, 7))
