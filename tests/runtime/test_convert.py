"""ONNX graphs as the TFLite graphs they would be converted to: op by op, the corpus against its own .tflite files, and shapes."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise, zip_longest
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from latlint.graph import Graph, Node, read
from latlint.graph.onnx import read_onnx
from latlint.graph.ops import BINARY, UNARY
from latlint.runtime.convert import as_newest_tflite, as_tflite, handlers, pooling
from latlint.runtime.convert.writer import MAX_ORIGINS, Writer
from latlint.runtime.work import macs
from tests.counted import Counted

F32 = TensorProto.FLOAT
Shape = tuple[int, ...]
ONE = helper.make_node


def zeros(*dims: int) -> np.ndarray[Any, Any]:
    return np.zeros(dims, np.float32)


def scalar(value: float) -> np.ndarray[Any, Any]:
    return np.array(value, np.float32)


def convert(
    nodes: Iterable[NodeProto],
    inputs: dict[str, Sequence[int]],
    constants: dict[str, Any] | None = None,
    *,
    outputs: Iterable[str] = ("y",),
    opset: int = 17,
    zero_padding: bool = False,
) -> Graph:
    """The conversion of a model of these nodes; its shapes are checked."""
    arrays = {n: a if isinstance(a, np.ndarray) else np.array(a, np.int64) for n, a in (constants or {}).items()}
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info(name, F32, dims) for name, dims in inputs.items()],
        [ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    proto: ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    source = read_onnx(proto.SerializeToString(), "m.onnx")
    converted = as_tflite(source, zero_padding=zero_padding)
    check(converted)
    return converted


def native(graph: Graph) -> list[str]:
    return [node.native for node in graph.nodes]


def kinds(graph: Graph) -> list[str]:
    return [node.kind for node in graph.nodes]


def inputs(graph: Graph, node: Node) -> list[Shape | None]:
    return [graph.tensors[i].shape for i in node.inputs if i >= 0]


def outputs(graph: Graph, node: Node) -> list[Shape | None]:
    return [graph.tensors[i].shape for i in node.outputs]


# --- What every converted graph must hold --------------------------------------------------------------------------------------------


def check(graph: Graph, source: Graph | None = None) -> None:
    """Nodes in an order in which they can run, and shapes that follow from each other as in TFLite's kernels. What a loop of ``source``
    hands to its body no node writes, there and here: the body and the loop alone may read it."""
    assert (graph.format, graph.dialect) == ("tflite", "tflite")
    assert len(graph.origins) == len(graph.nodes)
    assert any(note.startswith("as if converted") for note in graph.notes)
    written = set(graph.inputs)
    handed_on = _handed_on(source) if source else frozenset[str]()
    for index, node in enumerate(graph.nodes):
        assert node.index == index
        for i in node.inputs:
            given = _in_loop(node) and graph.tensors[i].name in handed_on
            assert i < 0 or i in written or graph.tensors[i].constant or given, (
                f"{node.native} {node.name} reads what nothing wrote"
            )
        written.update(node.outputs)
        _check_shapes(graph, node)
    assert all(i in written or graph.tensors[i].constant for i in graph.outputs)


def _in_loop(node: Node) -> bool:
    return node.inner or node.kind == "while"


def _handed_on(graph: Graph) -> frozenset[str]:
    """The names of what loops hand on from round to round: no node writes it."""
    written = {*graph.inputs, *(i for node in graph.nodes for i in node.outputs)}
    written.add(-1)
    read = {i for node in graph.nodes if _in_loop(node) for i in node.inputs if i not in written}
    return frozenset(graph.tensors[i].name for i in read if not graph.tensors[i].constant)


def _check_shapes(graph: Graph, node: Node) -> None:
    known = [shape for shape in (*inputs(graph, node), *outputs(graph, node)) if shape is None or -1 in shape]
    rule = _RULES.get(node.kind)
    if known or rule is None or _STEERED.get(node.kind, "kernel") not in {"kernel", *node.attributes}:
        return
    got = tuple(shape for shape in outputs(graph, node) if shape is not None)
    want = rule([shape for shape in inputs(graph, node) if shape is not None], node.attributes)
    assert want is None or want == got[0], (
        f"{node.native} {node.name}: {inputs(graph, node)} -> {got}, should be {want}"
    )
    if node.kind == "reshape":
        assert prod(inputs(graph, node)[0] or ()) == prod(got[0])


def _window(sizes: Shape, attributes: Any) -> Shape:
    top, bottom, left, right = attributes["padding"]
    kernel, stride = attributes["kernel"], attributes["stride"]
    dilation = attributes.get("dilation", (1, 1))
    total = (top + bottom, left + right)
    return tuple(
        (n + p - (k - 1) * d - 1) // s + 1 for n, p, k, d, s in zip(sizes, total, kernel, dilation, stride, strict=True)
    )


def _reduced(shapes: list[Shape], attributes: Any) -> Shape:
    axes, keep = attributes["axes"], attributes["keep_dims"]
    dims = [1 if axis in axes else dim for axis, dim in enumerate(shapes[0])]
    return tuple(dim for axis, dim in enumerate(dims) if keep or axis not in axes)


def _fully_connected(shapes: list[Shape], attributes: Any) -> Shape:
    data, weights = shapes[:2]
    assert data[-1] == weights[1]
    return (*data[:-1], weights[0]) if attributes["keep_num_dims"] else (prod(data) // weights[1], weights[0])


def _batch_matmul(shapes: list[Shape], attributes: Any) -> Shape:
    a, b = shapes
    rows, inner = (a[-1], a[-2]) if attributes["transpose_a"] else (a[-2], a[-1])
    other, columns = (b[-1], b[-2]) if attributes["transpose_b"] else (b[-2], b[-1])
    assert inner == other
    return (*np.broadcast_shapes(a[:-2], b[:-2]), rows, columns)


def _concat(shapes: list[Shape], attributes: Any) -> Shape:
    axis = attributes["axis"]
    assert len({shape[:axis] + shape[axis + 1 :] for shape in shapes}) == 1
    return (*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])


def _sliced(shapes: list[Shape], attributes: Any) -> Shape:
    limits = zip(attributes["begin"], attributes["end"], attributes["strides"], shapes[0], strict=True)
    return tuple(len(range(*slice(b, None if s < 0 and e < 0 else e, s).indices(n))) for b, e, s, n in limits)


def _conv(shapes: list[Shape], attributes: Any) -> Shape:
    data, filters = shapes[:2]
    assert filters[3] * attributes["groups"] == data[3] and filters[1:3] == attributes["kernel"]
    return (data[0], *_window(data[1:3], attributes), filters[0])


def _depthwise(shapes: list[Shape], attributes: Any) -> Shape:
    data, filters = shapes[:2]
    assert filters == (1, *attributes["kernel"], data[3] * attributes["multiplier"])
    return (data[0], *_window(data[1:3], attributes), filters[3])


#: The attribute that is absent where a value computed at run time steers the op.
_STEERED = {
    "pad": "pads",
    "pad_v2": "pads",
    "strided_slice": "begin",
    **dict.fromkeys(("mean", "sum", "reduce_max"), "axes"),
}
_STEERED |= {"reduce_min": "axes", "reduce_prod": "axes", "reshape": "shape"}

_RULES: dict[str, Callable[[list[Shape], Any], Shape | None]] = {
    **dict.fromkeys(UNARY - {"prelu", "clip"}, lambda shapes, _: shapes[0]),
    **dict.fromkeys(BINARY, lambda shapes, _: tuple(np.broadcast_shapes(*shapes))),
    **dict.fromkeys(("mean", "sum", "reduce_max", "reduce_min", "reduce_prod"), _reduced),
    **dict.fromkeys(("max_pool2d", "average_pool2d"), lambda s, a: (s[0][0], *_window(s[0][1:3], a), s[0][3])),
    **dict.fromkeys(("softmax", "log_softmax"), lambda shapes, a: shapes[0] if a["axis"] == len(shapes[0]) - 1 else ()),
    "conv2d": _conv,
    "depthwise_conv2d": _depthwise,
    "fully_connected": _fully_connected,
    "batch_matmul": _batch_matmul,
    "concat": _concat,
    "strided_slice": _sliced,
    "transpose": lambda shapes, a: tuple(shapes[0][axis] for axis in a["permutation"]),
    "reshape": lambda shapes, a: a["shape"],
    **dict.fromkeys(("pad", "pad_v2"), lambda s, a: tuple(n + sum(p) for n, p in zip(s[0], a["pads"], strict=True))),
    "depth_to_space": lambda s, a: (s[0][0], s[0][1] * a["block"], s[0][2] * a["block"], s[0][3] // a["block"] ** 2),
}


# --- Op by op ------------------------------------------------------------------------------------------------------------------------

IMAGE: dict[str, Sequence[int]] = {"x": [1, 6, 20, 14]}


def conv(channels: int, name: str = "w", **attributes: Any) -> NodeProto:
    return ONE("Conv", ["x", name], ["c"], **attributes)


def test_convolution_norm_and_activation_are_one_op() -> None:
    nodes = [
        conv(8, pads=[1, 1, 1, 1]),
        ONE("BatchNormalization", ["c", "s", "s", "s", "s"], ["n"]),
        ONE("Relu", ["n"], ["y"]),
    ]
    graph = convert(nodes, IMAGE, {"w": zeros(8, 6, 3, 3), "s": zeros(8)})
    (node,) = graph.nodes
    assert (node.native, node.version, node.attributes["activation"]) == ("CONV_2D", 1, "relu")
    assert node.attributes["padding"] == (1, 1, 1, 1)
    assert inputs(graph, node) == [(1, 20, 14, 6), (8, 3, 3, 6), (8,)] and outputs(graph, node) == [(1, 20, 14, 8)]
    assert graph.origins == ((0, 1, 2),)
    assert graph.tensors[graph.outputs[0]].name == "y"


def test_padding_that_tensorflow_has_no_mode_for_is_a_pad() -> None:
    graph = convert(
        [ONE("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1], strides=[2, 2])], IMAGE, {"w": zeros(8, 6, 3, 3)}
    )
    assert native(graph) == ["PAD", "CONV_2D"]
    pad, node = graph.nodes
    assert pad.attributes["pads"] == ((0, 0), (1, 1), (1, 1), (0, 0)) and graph.tensors[pad.inputs[1]].shape == (4, 2)
    assert node.attributes["padding"] == (0, 0, 0, 0)
    assert graph.origins == ((), (0,))


def test_auto_pad_is_same() -> None:
    graph = convert(
        [ONE("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER", strides=[2, 2])], IMAGE, {"w": zeros(8, 6, 3, 3)}
    )
    assert native(graph) == ["CONV_2D"] and graph.nodes[0].attributes["padding"] == (0, 1, 0, 1)
    graph = convert(
        [ONE("Conv", ["x", "w"], ["y"], auto_pad="SAME_LOWER", strides=[2, 2])], IMAGE, {"w": zeros(8, 6, 3, 3)}
    )
    assert native(graph) == ["PAD", "CONV_2D"]


def test_a_pad_before_a_convolution_is_its_padding() -> None:
    nodes = [ONE("Pad", ["x", "p"], ["padded"]), ONE("Conv", ["padded", "w"], ["y"])]
    graph = convert(nodes, IMAGE, {"p": [0, 0, 1, 1, 0, 0, 1, 1], "w": zeros(8, 6, 3, 3)})
    assert native(graph) == ["CONV_2D"] and graph.nodes[0].attributes["padding"] == (1, 1, 1, 1)
    assert graph.origins == ((1, 0),)


def test_depthwise_and_grouped() -> None:
    graph = convert([ONE("Conv", ["x", "w"], ["y"], group=6)], IMAGE, {"w": zeros(12, 1, 3, 3)})
    assert native(graph) == ["DEPTHWISE_CONV_2D"] and graph.nodes[0].attributes["multiplier"] == 2
    assert inputs(graph, graph.nodes[0])[1] == (1, 3, 3, 12)
    graph = convert([ONE("Conv", ["x", "w"], ["y"], group=3)], IMAGE, {"w": zeros(9, 2, 3, 3)})
    assert native(graph) == ["CONV_2D"] and graph.nodes[0].attributes["groups"] == 3
    assert inputs(graph, graph.nodes[0])[1] == (9, 3, 3, 2)


def test_one_dimensional_convolution_is_one_of_one_row() -> None:
    graph = convert([ONE("Conv", ["x", "w"], ["y"], pads=[1, 1])], {"x": [1, 6, 50]}, {"w": zeros(8, 6, 3)})
    assert native(graph) == ["RESHAPE", "CONV_2D", "RESHAPE"]
    assert inputs(graph, graph.nodes[1])[:2] == [(1, 1, 50, 6), (8, 1, 3, 6)]
    assert graph.tensors[graph.inputs[0]].shape == (1, 50, 6)


def test_transposed_convolution() -> None:
    node = ONE("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1])
    graph = convert([node], IMAGE, {"w": zeros(6, 8, 3, 3)})
    assert native(graph) == ["TRANSPOSE_CONV"] and outputs(graph, graph.nodes[0]) == [(1, 40, 28, 8)]
    cropped = ONE("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1])
    graph = convert([cropped], IMAGE, {"w": zeros(6, 8, 3, 3)})
    assert native(graph) == ["TRANSPOSE_CONV", "STRIDED_SLICE"]
    grouped = ONE("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2], kernel_shape=[2, 2], group=3)
    graph = convert([grouped], IMAGE, {"w": zeros(6, 4, 2, 2)})
    assert native(graph) == ["SPLIT", *["TRANSPOSE_CONV"] * 3, "CONCATENATION"]


def test_a_shared_value_takes_no_activation() -> None:
    nodes = [conv(8, pads=[1, 1, 1, 1]), ONE("Relu", ["c"], ["r"]), ONE("Add", ["c", "r"], ["y"])]
    graph = convert(nodes, IMAGE, {"w": zeros(8, 6, 3, 3)})
    assert kinds(graph) == ["conv2d", "relu", "add"] and graph.nodes[0].attributes["activation"] == "none"
    nodes = [conv(8), ONE("Relu", ["c"], ["y"])]
    graph = convert(nodes, IMAGE, {"w": zeros(8, 6, 3, 3)}, outputs=["y", "c"])
    assert kinds(graph) == ["conv2d", "relu"]


@pytest.mark.parametrize(
    ("low", "high", "activation"), [(0.0, 6.0, "relu6"), (-1.0, 1.0, "relu_n1_to_1"), (0.0, 3.4e38, "relu")]
)
def test_clips_that_are_activations(low: float, high: float, activation: str) -> None:
    nodes = [conv(8), ONE("Clip", ["c", "low", "high"], ["y"])]
    graph = convert(nodes, IMAGE, {"w": zeros(8, 6, 3, 3), "low": scalar(low), "high": scalar(high)})
    assert [node.attributes["activation"] for node in graph.nodes] == [activation]


def test_statistics_that_the_model_computes_are_operands_of_a_batch_norm() -> None:
    """As tf2onnx writes a layer norm. They were taken for constants, so that an op without a price among them was not seen."""
    constants = [numpy_helper.from_array(np.ones(4, np.float32), name) for name in ("s", "b", "m")]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 4, 8, 8)) for name in "xy")
    nodes = [
        helper.make_node("ReduceSumSquare", ["x"], ["v"], axes=[0, 2, 3], keepdims=0),
        helper.make_node("BatchNormalization", ["x", "s", "b", "m", "v"], ["y"]),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], constants), opset_imports=[helper.make_opsetid("", 17)]
    )
    graph = as_tflite(read_onnx(memoryview(model.SerializeToString()), "m.onnx"))
    kinds = [node.kind for node in graph.nodes if node.kind not in ("transpose", "reshape")]
    assert kinds == ["unknown", "add", "rsqrt", "mul", "mul", "sub", "mul", "add"]
    assert graph.tensors[graph.nodes[-1].inputs[0]].shape == (1, 8, 8, 4)


@pytest.mark.parametrize("op", ["Selu", "Hardmax", "Acosh", "Det"])
def test_what_is_computed_of_constants_alone_is_a_constant(op: str) -> None:
    """Converters compute it, also of ops that TensorFlow Lite lacks."""
    constant = numpy_helper.from_array(np.full((1, 4, 8, 8), 2, np.float32), "k")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 4, 8, 8)) for name in "xy")
    nodes = [helper.make_node(op, ["k"], ["t"]), helper.make_node("Add", ["x", "t"], ["y"])]
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [y], [constant]))
    converted = as_tflite(read_onnx(memoryview(model.SerializeToString()), "m.onnx"))
    assert [node.native for node in converted.nodes if node.kind not in ("transpose", "reshape")] == ["ADD"]


def test_other_clips_and_their_like() -> None:
    graph = convert([ONE("Clip", ["x", "low", "high"], ["y"])], IMAGE, {"low": scalar(-2), "high": scalar(3)})
    assert native(graph) == ["MINIMUM", "MAXIMUM"]
    graph = convert([ONE("Clip", ["x", "low", "high"], ["y"])], IMAGE, {"low": scalar(0), "high": scalar(1)})
    assert native(graph) == ["MINIMUM", "RELU"]
    assert native(convert([ONE("Softsign", ["x"], ["y"])], IMAGE)) == ["ABS", "ADD", "DIV"]
    assert native(convert([ONE("Mish", ["x"], ["y"])], IMAGE, opset=18)) == ["EXP", "ADD", "LOG", "TANH", "MUL"]
    assert native(convert([ONE("Erf", ["x"], ["y"])], IMAGE)) == ["FlexErf"]
    assert native(convert([ONE("Pow", ["x", "two"], ["y"])], IMAGE, {"two": scalar(2)})) == ["MUL"]


def test_hard_swish_in_all_its_spellings() -> None:
    assert native(convert([ONE("HardSwish", ["x"], ["y"])], IMAGE)) == ["HARD_SWISH"]
    shifted = [ONE("Add", ["x", "three"], ["a"]), ONE("Clip", ["a", "zero", "six"], ["b"])]
    sixth = np.float32(1 / 6)
    constants = {"three": scalar(3), "zero": scalar(0), "six": scalar(6), "k": np.array(sixth)}
    outside = [*shifted, ONE("Mul", ["x", "b"], ["m"]), ONE("Mul", ["m", "k"], ["y"])]
    inside = [*shifted, ONE("Mul", ["b", "k"], ["m"]), ONE("Mul", ["m", "x"], ["y"])]
    divided = [*shifted, ONE("Mul", ["x", "b"], ["m"]), ONE("Div", ["m", "six"], ["y"])]
    divided_inside = [*shifted, ONE("Div", ["b", "six"], ["m"]), ONE("Mul", ["m", "x"], ["y"])]
    for nodes in (outside, inside, divided, divided_inside):
        graph = convert(nodes, IMAGE, constants)
        assert native(graph) == ["HARD_SWISH"] and sorted(graph.origins[0]) == [0, 1, 2, 3] and graph.origins[0][0] == 3
    inexact = convert(outside, IMAGE, {**constants, "k": scalar(0.16666)})
    assert native(inexact) == ["ADD", "MUL", "MUL"] and inexact.nodes[0].attributes["activation"] == "relu6"


def test_a_division_by_a_constant_is_a_product() -> None:
    per_channel = np.array([2.0, 4.0, 5.0, 8.0, 10.0, 16.0], np.float32).reshape(6, 1, 1)
    for divisor, reciprocals in ((scalar(4), (0.25,)), (per_channel, (0.5, 0.25, 0.2, 0.125, 0.1, 0.0625))):
        graph = convert([ONE("Div", ["x", "k"], ["y"])], IMAGE, {"k": divisor})
        assert native(graph) == ["MUL"]
        assert graph.tensors[graph.nodes[0].inputs[1]].value == pytest.approx(reciprocals)
    assert native(convert([ONE("Div", ["k", "x"], ["y"])], IMAGE, {"k": scalar(4)})) == ["DIV"]
    assert native(convert([ONE("Div", ["x", "x"], ["y"])], IMAGE)) == ["DIV"]


def test_hard_sigmoid_leaves_its_scale_to_the_convolution() -> None:
    nodes = [conv(8), ONE("HardSigmoid", ["c"], ["y"], alpha=0.2)]
    assert native(convert(nodes, IMAGE, {"w": zeros(8, 6, 1, 1)})) == ["CONV_2D", "MINIMUM", "RELU"]
    assert native(convert([ONE("HardSigmoid", ["x"], ["y"])], IMAGE)) == ["MUL", "ADD", "MINIMUM", "RELU"]


@pytest.mark.parametrize("half_first", [True, False])
def test_gelu_written_out(half_first: bool) -> None:
    nodes = [ONE("Div", ["x", "root"], ["d"]), ONE("Erf", ["d"], ["e"]), ONE("Add", ["e", "one"], ["a"])]
    if half_first:
        nodes += [ONE("Mul", ["x", "half"], ["h"]), ONE("Mul", ["h", "a"], ["y"])]
    else:
        nodes += [ONE("Mul", ["x", "a"], ["m"]), ONE("Mul", ["m", "half"], ["y"])]
    graph = convert(nodes, IMAGE, {"root": scalar(2**0.5), "one": scalar(1), "half": scalar(0.5)})
    assert native(graph) == ["GELU"] and sorted(graph.origins[0]) == [0, 1, 2, 3, 4]
    assert any("FlexErf" in note for note in graph.notes) is not half_first
    assert native(convert([ONE("Gelu", ["x"], ["y"])], IMAGE, opset=20)) == ["GELU"]


def test_silu_is_two_ops() -> None:
    nodes = [conv(8), ONE("Sigmoid", ["c"], ["s"]), ONE("Mul", ["c", "s"], ["y"])]
    assert native(convert(nodes, IMAGE, {"w": zeros(8, 6, 3, 3)})) == ["CONV_2D", "LOGISTIC", "MUL"]


def test_head_of_a_classifier() -> None:
    nodes = [
        ONE("GlobalAveragePool", ["x"], ["p"]),
        ONE("Flatten", ["p"], ["f"]),
        ONE("Gemm", ["f", "w", "b"], ["y"], transB=1),
    ]
    graph = convert(nodes, IMAGE, {"w": zeros(10, 6), "b": zeros(10)})
    assert native(graph) == ["MEAN", "FULLY_CONNECTED"]
    mean, layer = graph.nodes
    assert mean.attributes == {"axes": (1, 2), "keep_dims": True} and graph.tensors[mean.inputs[1]].value == (1, 2)
    assert inputs(graph, layer) == [(1, 1, 1, 6), (10, 6), (10,)] and outputs(graph, layer) == [(1, 10)]


def test_flattening_an_image_brings_channels_first() -> None:
    nodes = [ONE("Flatten", ["x"], ["f"]), ONE("Gemm", ["f", "w"], ["y"])]
    graph = convert(nodes, IMAGE, {"w": zeros(1680, 10)})
    assert native(graph) == ["TRANSPOSE", "RESHAPE", "FULLY_CONNECTED"]
    assert graph.nodes[0].attributes["permutation"] == (0, 3, 1, 2)


def test_matrix_product_and_bias_on_the_last_axis() -> None:
    nodes = [ONE("MatMul", ["x", "w"], ["m"]), ONE("Add", ["b", "m"], ["a"]), ONE("Relu", ["a"], ["y"])]
    graph = convert(nodes, {"x": [1, 7, 6]}, {"w": zeros(6, 5), "b": zeros(5)})
    (node,) = graph.nodes
    assert (node.native, node.version, node.attributes) == (
        "FULLY_CONNECTED",
        5,
        {"keep_num_dims": True, "activation": "relu"},
    )
    assert inputs(graph, node) == [(1, 7, 6), (5, 6), (5,)] and graph.origins == ((0, 1, 2),)


def test_squeeze_and_excitation() -> None:
    nodes = [
        ONE("GlobalAveragePool", ["x"], ["p"]),
        ONE("Conv", ["p", "w1"], ["c1"]),
        ONE("Relu", ["c1"], ["r"]),
        ONE("Conv", ["r", "w2"], ["c2"]),
        ONE("Sigmoid", ["c2"], ["s"]),
        ONE("Mul", ["x", "s"], ["y"]),
    ]
    graph = convert(nodes, IMAGE, {"w1": zeros(3, 6, 1, 1), "w2": zeros(6, 3, 1, 1)})
    assert native(graph) == ["MEAN", "CONV_2D", "CONV_2D", "LOGISTIC", "MUL"]
    assert inputs(graph, graph.nodes[-1]) == [(1, 20, 14, 6), (1, 1, 1, 6)]


def test_a_constant_per_channel_on_an_image() -> None:
    graph = convert([ONE("Mul", ["k", "x"], ["y"])], IMAGE, {"k": zeros(6, 1, 1)})
    assert inputs(graph, graph.nodes[0]) == [(1, 20, 14, 6), (6,)]
    graph = convert([ONE("Add", ["x", "k"], ["y"])], IMAGE, {"k": zeros(1, 1, 20, 14)})
    assert inputs(graph, graph.nodes[0]) == [(1, 20, 14, 6), (20, 14, 1)]
    graph = convert([ONE("PRelu", ["x", "k"], ["y"])], IMAGE, {"k": zeros(6, 1, 1)})
    assert inputs(graph, graph.nodes[0]) == [(1, 20, 14, 6), (1, 1, 6)]


def test_batch_norm_before_a_convolution_is_mul_and_add() -> None:
    nodes = [ONE("BatchNormalization", ["x", "s", "s", "s", "s"], ["n"]), ONE("Relu", ["n"], ["y"])]
    graph = convert(nodes, IMAGE, {"s": zeros(6)})
    assert native(graph) == ["MUL", "ADD"] and graph.nodes[1].attributes["activation"] == "relu"
    assert inputs(graph, graph.nodes[0]) == [(1, 20, 14, 6), (6,)]


def test_axes_follow_the_layout() -> None:
    graph = convert([ONE("Concat", ["x", "x"], ["y"], axis=1)], IMAGE)
    assert graph.nodes[0].attributes["axis"] == 3
    graph = convert([ONE("Split", ["x"], ["a", "b"], axis=2)], IMAGE, outputs=["a", "b"], opset=13)
    assert native(graph) == ["SPLIT"] and graph.nodes[0].attributes["axis"] == 1
    graph = convert([ONE("Slice", ["x", "s", "e", "a"], ["y"])], IMAGE, {"s": [1], "e": [4], "a": [1]})
    assert graph.nodes[0].attributes["begin"] == (0, 0, 0, 1) and graph.nodes[0].attributes["end"] == (1, 20, 14, 4)
    graph = convert([ONE("ReduceMax", ["x"], ["y"], axes=[1], keepdims=0)], IMAGE)
    assert graph.nodes[0].attributes["axes"] == (3,) and outputs(graph, graph.nodes[0]) == [(1, 20, 14)]
    graph = convert([ONE("Softmax", ["x"], ["y"], axis=1)], IMAGE)
    assert native(graph) == ["SOFTMAX"]
    graph = convert([ONE("Softmax", ["x"], ["y"], axis=3)], IMAGE)
    assert native(graph) == ["TRANSPOSE", "SOFTMAX", "TRANSPOSE"]
    graph = convert([ONE("ArgMax", ["x"], ["y"], axis=1)], IMAGE)
    assert native(graph) == ["ARG_MAX", "RESHAPE"] and graph.nodes[0].attributes["axis"] == 3
    graph = convert([ONE("Pad", ["x", "p"], ["y"], mode="reflect")], IMAGE, {"p": [0, 0, 1, 2, 0, 0, 3, 4]})
    assert native(graph) == ["MIRROR_PAD"] and graph.nodes[0].attributes["pads"] == ((0, 0), (1, 3), (2, 4), (0, 0))


def test_transposes_that_only_undo_the_layout_cost_nothing() -> None:
    """A network that works channels last between convolutions, as ConvNeXt does."""
    nodes = [
        conv(8),
        ONE("Transpose", ["c"], ["t"], perm=[0, 2, 3, 1]),
        ONE("MatMul", ["t", "m"], ["f"]),
        ONE("Transpose", ["f"], ["u"], perm=[0, 3, 1, 2]),
        ONE("Conv", ["u", "v"], ["y"]),
    ]
    graph = convert(nodes, IMAGE, {"w": zeros(8, 6, 1, 1), "m": zeros(8, 9), "v": zeros(4, 9, 1, 1)})
    assert native(graph) == ["CONV_2D", "FULLY_CONNECTED", "CONV_2D"]


def test_channel_shuffle_stays_channels_last() -> None:
    nodes = [
        ONE("Reshape", ["x", "split"], ["s"]),
        ONE("Transpose", ["s"], ["t"], perm=[0, 2, 1, 3, 4]),
        ONE("Reshape", ["t", "merge"], ["y"]),
    ]
    graph = convert(nodes, IMAGE, {"split": [1, 2, 3, 20, 14], "merge": [1, 6, 20, 14]})
    assert native(graph) == ["RESHAPE", "TRANSPOSE", "RESHAPE"]
    assert outputs(graph, graph.nodes[0]) == [(1, 20, 14, 2, 3)] and outputs(graph, graph.nodes[1]) == [
        (1, 20, 14, 3, 2)
    ]
    assert graph.origins[1] == (1,)


def test_attention_head() -> None:
    nodes = [
        ONE("Reshape", ["x", "heads"], ["r"]),
        ONE("Transpose", ["r"], ["q"], perm=[0, 2, 1, 3]),
        ONE("Transpose", ["r"], ["k"], perm=[0, 2, 3, 1]),
        ONE("MatMul", ["q", "k"], ["a"]),
        ONE("Softmax", ["a"], ["s"], axis=-1),
        ONE("MatMul", ["s", "q"], ["o"]),
        ONE("Transpose", ["o"], ["back"], perm=[0, 2, 1, 3]),
        ONE("Reshape", ["back", "flat"], ["y"]),
    ]
    graph = convert(nodes, {"x": [1, 7, 12]}, {"heads": [1, 7, 3, 4], "flat": [1, 7, 12]})
    expected = "RESHAPE TRANSPOSE TRANSPOSE BATCH_MATMUL SOFTMAX BATCH_MATMUL TRANSPOSE RESHAPE"
    assert native(graph) == expected.split()
    assert [graph.origins[i] for i in (1, 2, 6)] == [(1,), (2,), (6,)]


def test_einsum_of_two_matrices() -> None:
    graph = convert(
        [ONE("Einsum", ["x", "z"], ["y"], equation="bhid,bhjd->bhij")], {"x": [1, 2, 7, 4], "z": [1, 2, 5, 4]}
    )
    assert native(graph)[-2:] == ["BATCH_MATMUL", "TRANSPOSE"] or native(graph)[-1] == "BATCH_MATMUL"
    assert (1, 2, 7, 5) in [graph.tensors[i].shape for i in graph.outputs]
    graph = convert([ONE("Einsum", ["x"], ["y"], equation="ii->i")], {"x": [3, 3]})
    assert native(graph) == ["EINSUM"]


def test_layer_norm_is_what_keras_writes() -> None:
    graph = convert(
        [ONE("LayerNormalization", ["x", "g", "b"], ["y"])], {"x": [1, 7, 12]}, {"g": zeros(12), "b": zeros(12)}
    )
    assert native(graph) == "MEAN SQUARED_DIFFERENCE MEAN ADD RSQRT MUL MUL MUL SUB ADD".split()
    assert set(graph.origins) == {(0,)}


def test_resizing_and_pixel_shuffle() -> None:
    graph = convert([ONE("Resize", ["x", "", "s"], ["y"], mode="linear")], IMAGE, {"s": np.float32([1, 1, 2, 2])})
    (node,) = graph.nodes
    assert (node.native, node.version, graph.tensors[node.inputs[1]].value) == ("RESIZE_BILINEAR", 3, (40, 28))
    shuffled: dict[str, Sequence[int]] = {"x": [1, 8, 5, 7]}
    assert native(convert([ONE("DepthToSpace", ["x"], ["y"], blocksize=2)], shuffled)) == ["DEPTH_TO_SPACE"]
    graph = convert([ONE("DepthToSpace", ["x"], ["y"], blocksize=2, mode="CRD")], shuffled)
    assert native(graph) == ["RESHAPE", "TRANSPOSE", "RESHAPE"] and outputs(graph, graph.nodes[-1]) == [(1, 10, 14, 2)]


def test_nothing_is_written_for_what_does_nothing() -> None:
    nodes = [
        ONE("Identity", ["x"], ["i"]),
        ONE("Dropout", ["i"], ["d"]),
        ONE("Cast", ["d"], ["e"], to=F32),
        ONE("Reshape", ["e", "same"], ["r"]),
        ONE("Shape", ["r"], ["s"]),
        ONE("Reshape", ["r", "s"], ["t"]),
        ONE("Relu", ["t"], ["y"]),
    ]
    graph = convert(nodes, IMAGE, {"same": [1, 6, 20, -1]})
    assert native(graph) == ["RELU"] and graph.origins == ((6,),)


def test_what_only_constants_go_into_is_folded() -> None:
    nodes = [ONE("Transpose", ["w"], ["t"]), ONE("Mul", ["t", "half"], ["h"]), ONE("MatMul", ["x", "h"], ["y"])]
    graph = convert(nodes, {"x": [2, 60]}, {"w": zeros(50, 60), "half": scalar(0.5)})
    assert native(graph) == ["FULLY_CONNECTED"] and inputs(graph, graph.nodes[0]) == [(2, 60), (50, 60)]


# --- Max pools -------------------------------------------------------------------------------------------------------------------------


def _stem(activation: str) -> list[NodeProto]:
    pool = ONE("MaxPool", ["r"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], name="stem")
    return [conv(8), ONE(activation, ["c"], ["r"]), pool]


def test_a_padded_max_pool_is_padv2_and_says_so() -> None:
    graph = convert(_stem("Relu"), IMAGE, {"w": zeros(8, 6, 1, 1)})
    assert native(graph) == ["CONV_2D", "PADV2", "MAX_POOL_2D"]
    assert graph.nodes[1].attributes["value"] == pytest.approx(-3.4e38, rel=0.01)
    (note,) = (note for note in graph.notes if note.startswith("stem"))
    assert "PADV2" in note and "zeros would be exact" in note
    (note,) = (
        note for note in convert(_stem("Tanh"), IMAGE, {"w": zeros(8, 6, 1, 1)}).notes if note.startswith("stem")
    )
    assert "exact" not in note


def test_zero_padding_is_for_values_that_are_never_negative() -> None:
    graph = convert(_stem("Relu"), IMAGE, {"w": zeros(8, 6, 1, 1)}, zero_padding=True)
    assert native(graph) == ["CONV_2D", "PAD", "MAX_POOL_2D"]
    graph = convert(_stem("Tanh"), IMAGE, {"w": zeros(8, 6, 1, 1)}, zero_padding=True)
    assert native(graph) == ["CONV_2D", "TANH", "PADV2", "MAX_POOL_2D"]


def test_padding_that_tensorflow_would_choose_needs_no_pad() -> None:
    graph = convert([ONE("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1])], IMAGE)
    assert native(graph) == ["MAX_POOL_2D"] and graph.nodes[0].attributes["padding"] == (0, 1, 0, 1)
    graph = convert([ONE("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)], IMAGE)
    assert native(graph) == ["PADV2", "MAX_POOL_2D"]
    graph = convert([ONE("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])], IMAGE)
    assert native(graph) == ["AVERAGE_POOL_2D"]
    graph = convert(
        [ONE("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)], IMAGE
    )
    assert native(graph) == ["PAD", "AVERAGE_POOL_2D"]
    graph = convert([ONE("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])], IMAGE)
    assert native(graph) == ["PAD", "AVERAGE_POOL_2D", "MUL"]


def test_a_dilated_max_pool_needs_flex() -> None:
    graph = convert([ONE("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], dilations=[2, 2])], IMAGE)
    assert native(graph) == ["FlexDilation2D"] and "Flex" in graph.notes[0]


# --- Quantised models --------------------------------------------------------------------------------------------------------------------


def test_quantise_dequantise_pairs_make_an_int8_model() -> None:
    nodes = [
        ONE("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        ONE("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
        ONE("DequantizeLinear", ["w", "s", "z"], ["wd"]),
        ONE("Conv", ["xd", "wd"], ["c"], pads=[1, 1, 1, 1]),
        ONE("Relu", ["c"], ["r"]),
        ONE("QuantizeLinear", ["r", "s", "z"], ["rq"]),
        ONE("DequantizeLinear", ["rq", "s", "z"], ["rd"]),
        ONE("MaxPool", ["rd"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        ONE("QuantizeLinear", ["p", "s", "z"], ["pq"]),
        ONE("DequantizeLinear", ["pq", "s", "z"], ["y"]),
    ]
    constants = {"s": scalar(0.5), "z": np.array(0, np.int8), "w": np.zeros((8, 6, 3, 3), np.int8)}
    graph = convert(nodes, IMAGE, constants)
    assert [(node.native, node.version) for node in graph.nodes] == [
        ("QUANTIZE", 1), ("CONV_2D", 3), ("MAX_POOL_2D", 2), ("DEQUANTIZE", 2),
    ]  # fmt: skip
    layer = graph.nodes[1]
    assert [graph.tensors[i].dtype for i in (*layer.inputs[:2], *layer.outputs)] == ["int8"] * 3
    assert layer.attributes["activation"] == "relu" and graph.precision == "int8"
    assert graph.tensors[layer.outputs[0]].quantization is not None
    assert any("int8" in note for note in graph.notes)


def test_a_float_op_between_quantised_ones_reads_floats() -> None:
    nodes = [
        ONE("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        ONE("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
        ONE("Softmax", ["xd"], ["y"], axis=1),
    ]
    graph = convert(nodes, IMAGE, {"s": scalar(0.5), "z": np.array(0, np.int8)})
    assert native(graph) == ["QUANTIZE", "DEQUANTIZE", "SOFTMAX"]


def test_a_padded_max_pool_of_int8_is_padded_with_zeros() -> None:
    quantize = {"s": scalar(0.5), "z": np.array(0, np.int8)}
    nodes = [
        ONE("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        ONE("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
        ONE("MaxPool", ["xd"], ["p"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        ONE("QuantizeLinear", ["p", "s", "z"], ["pq"]),
        ONE("DequantizeLinear", ["pq", "s", "z"], ["y"]),
    ]
    assert native(convert(nodes, IMAGE, quantize)) == ["QUANTIZE", "PAD", "MAX_POOL_2D", "DEQUANTIZE"]


def test_float16_becomes_float32_and_its_casts_vanish() -> None:
    nodes = [
        ONE("Cast", ["x"], ["h"], to=TensorProto.FLOAT16),
        ONE("Tanh", ["h"], ["t"]),
        ONE("Cast", ["t"], ["y"], to=TensorProto.FLOAT),
    ]
    graph = convert(nodes, IMAGE)
    assert native(graph) == ["TANH"] and {tensor.dtype for tensor in graph.tensors} == {"float32"}
    assert any("float16 becomes float32" in note for note in graph.notes)


def test_an_activation_goes_before_a_reshape() -> None:
    nodes = [ONE("Conv", ["x", "w"], ["c"], kernel_shape=[3]), ONE("Relu", ["c"], ["y"])]
    graph = convert(nodes, {"x": [1, 6, 20]}, {"w": zeros(8, 6, 3)})
    assert native(graph) == ["RESHAPE", "CONV_2D", "RESHAPE"] and graph.nodes[1].attributes["activation"] == "relu"


def test_all_ops_of_a_name_have_the_version_that_one_of_them_needs() -> None:
    shuffle = [
        ONE("Reshape", ["x", "five"], ["a"]),
        ONE("Transpose", ["a"], ["b"], perm=[0, 2, 1, 3, 4]),
        ONE("Softmax", ["b"], ["s"], axis=4),
        ONE("Transpose", ["s"], ["t"], perm=[0, 2, 1, 3, 4]),
        ONE("Reshape", ["t", "three"], ["d"]),
        ONE("Transpose", ["d"], ["e"], perm=[0, 2, 1]),
        ONE("Softmax", ["e"], ["y"], axis=2),
    ]
    graph = convert(shuffle, IMAGE, {"five": [1, 2, 3, 20, 14], "three": [1, 60, 28]})
    assert {node.version for node in graph.nodes if node.kind == "transpose"} == {4}
    assert {len(graph.tensors[n.inputs[0]].shape or ()) for n in graph.nodes if n.kind == "transpose"} >= {3}


def test_recurrent_layers_are_loops_with_their_work_counted() -> None:
    nodes = [ONE("LSTM", ["x", "w", "r"], ["y"], hidden_size=16)]
    graph = convert(nodes, {"x": [10, 1, 8]}, {"w": zeros(1, 64, 8), "r": zeros(1, 64, 16)})
    (node,) = [node for node in graph.nodes if node.kind == "lstm"]
    assert node.native == "WHILE"
    assert macs(graph, node) == 10 * 64 * (8 + 16)


# --- Whole files -------------------------------------------------------------------------------------------------------------------------


def test_a_tflite_graph_stays_as_it_is() -> None:
    graph = Graph("g", "tflite", "tflite", (), (), (), ())
    assert as_tflite(graph) is graph


@pytest.mark.long
@pytest.mark.slow
def test_the_ops_of_onnxs_own_tests_need_no_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    """1,800 models of one or a few nodes, every op in its variants: each is converted by its handler, shapes and all."""
    from onnx.backend.test.case.node import collect_testcases

    def other(writer: Any, node: Node, *rest: Any) -> None:
        assert sys.exc_info()[1] is None, f"the handler of {node.kind} failed on {node.name}"
        original(writer, node, *rest)

    original = handlers.other
    monkeypatch.setattr(handlers, "other", other)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = [case for case in collect_testcases("") if case.model is not None]
    assert len(cases) > 1000
    for case in cases:
        source = read_onnx(case.model.SerializeToString(), case.name)
        converted = as_tflite(source)
        check(converted, source)
        assert {node.repeat for node in converted.nodes if node.inner} <= {
            node.repeat for node in source.nodes if node.inner
        }
        for before, after in zip(source.outputs, converted.outputs, strict=True):
            count = source.tensors[before].elements
            assert count is None or converted.tensors[after].elements == count, case.name


@pytest.mark.slow
def test_transformers_of_the_corpus(corpus: Path) -> None:
    expected = {
        "vit-base-patch16-224-in21k": {
            "fully_connected": 73,
            "batch_matmul": 24,
            "softmax": 12,
            "gelu": 12,
            "rsqrt": 25,
            "conv2d": 1,
        },
        "swin-tiny-patch4-window7-224": {
            "fully_connected": 76,
            "batch_matmul": 24,
            "softmax": 12,
            "gelu": 12,
            "rsqrt": 29,
        },
        "poolformer_s12": {"conv2d": 28, "average_pool2d": 12, "gelu": 12, "fully_connected": 1},
        "mobilevit-small": {"conv2d": 28, "depthwise_conv2d": 7, "sigmoid": 34, "batch_matmul": 18},
    }
    paths = sorted((corpus / "onnx_vit").glob("*.onnx"))
    assert len(paths) >= 20
    for path in paths:
        graph = as_tflite(read(path))
        check(graph)
        counts = Counter(kinds(graph))
        assert not counts["unknown"] and not counts["erf"], path.name
        for kind, count in expected.get(path.stem, {}).items():
            assert counts[kind] == count, (path.stem, kind, counts[kind])


# --- The same network, exported from PyTorch to ONNX and written in TensorFlow ------------------------------------------------------------

Key = tuple[Any, ...]


def _work(graph: Graph) -> Counter[Key]:
    """What each op computes, as a multiset: an explicit PAD counts as part of the convolution or pool that reads it."""
    producers = {i: node for node in graph.nodes for i in node.outputs}
    pads = {node.index for node in graph.nodes if node.kind in ("pad", "pad_v2")}
    work: Counter[Key] = Counter()
    for node in graph.nodes:
        if node.index in pads:
            continue
        sources = []
        for i in node.inputs:
            if i < 0 or graph.tensors[i].constant:
                continue
            before = producers.get(i)
            sources.append(graph.tensors[before.inputs[0] if before is not None and before.index in pads else i].shape)
        facts = tuple(node.attributes.get(name) for name in ("kernel", "stride", "groups", "activation"))
        work[(node.kind, tuple(sources), graph.tensors[node.outputs[0]].shape, *facts)] += 1
    return work


def _global_average(key: Key) -> bool:
    """PyTorch's networks end in AveragePool or GlobalAveragePool and Flatten: AVERAGE_POOL_2D (or MEAN) that keeps the axes,
    RESHAPE, and a FULLY_CONNECTED of a 4-D input. TensorFlow's end in a MEAN that takes them away."""
    kind, sources, out = key[:3]
    if kind == "average_pool2d":
        return bool(out[1:3] == (1, 1))
    if kind == "mean":
        return len(out) == 2 or out[1:3] == (1, 1)
    return (
        kind in ("fully_connected", "reshape") and len(out) == 2 and sources[0] in (out, (*out[:1], 1, 1, *out[1:]))
    ) or (kind == "fully_connected" and prod(sources[0]) == sources[0][-1])


def _hard_sigmoid(key: Key) -> bool:
    """HardSigmoid: onnx2tf writes min(1, x), then max(0, x); TensorFlow's networks relu6 in the convolution, and a sixth of it."""
    kind, sources, out = key[:3]
    return (
        kind in ("conv2d", "minimum", "relu", "mul") and out[1:3] == (1, 1) and all(s[1:3] == (1, 1) for s in sources)
    )


def _two_by_two_average(key: Key) -> bool:
    """The TensorFlow networks average 2x2 in steps of one and then keep every other value."""
    return key[0] == "average_pool2d" and (key[3], key[4]) in (((2, 2), (1, 1)), ((1, 1), (2, 2)), ((2, 2), (2, 2)))


def _cropping(key: Key) -> bool:
    """PyTorch slices height and width one after the other, TensorFlow both at once."""
    return bool(key[0] == "strided_slice")


_REASONS = (_global_average, _hard_sigmoid, _two_by_two_average, _cropping)


def test_the_corpus_against_its_own_tflite_files(corpus: Path) -> None:
    """But for the reasons above, each of the networks has the same ops on the same shapes, whichever way it came."""
    paths = sorted((corpus / "onnx").glob("*.onnx"))
    assert len(paths) >= 80
    shared = total = 0
    for path in paths:
        graph = as_tflite(read(path))
        check(graph)
        ours, theirs = _work(graph), _work(read(corpus / "tflite_fp32" / f"{path.stem}.tflite"))
        unexplained = [
            key for key in ((ours - theirs) + (theirs - ours)) if not any(reason(key) for reason in _REASONS)
        ]
        assert not unexplained, (path.stem, unexplained[:3])
        shared += (ours & theirs).total()
        total += theirs.total()
    assert shared / total > 0.94


def test_padding_of_the_corpus_differs_in_known_ways_only(corpus: Path) -> None:
    """PyTorch pads a strided window on all sides; TensorFlow's SAME does so at the end. Where the sizes stay, both are SAME."""
    for name in ("resnet18", "mobilenetv2_w1", "densenet121", "bninception"):
        graph = as_tflite(read(corpus / "onnx" / f"{name}.onnx"))
        producers = {i: node for node in graph.nodes for i in node.outputs}
        for node in graph.nodes:
            if node.kind in ("conv2d", "depthwise_conv2d"):
                padded = node.inputs[0] in producers and producers[node.inputs[0]].kind == "pad"
                strided = node.attributes["stride"] != (1, 1) and node.attributes["kernel"] != (1, 1)
                assert padded == (strided and name != "bninception") or name == "bninception", (name, node.name)
        pools = [node for node in graph.nodes if node.kind == "pad_v2"]
        assert len(pools) == {"resnet18": 1, "mobilenetv2_w1": 0, "densenet121": 1, "bninception": 4}[name]
        assert sum("PADV2" in note for note in graph.notes) == min(len(pools), 1)


def test_origins_name_every_node_that_was_not_folded_away(corpus: Path) -> None:
    source = read(corpus / "onnx" / "mobilenetv3_small_w1.onnx")
    graph = as_tflite(source)
    covered = {index for origin in graph.origins for index in origin}
    left = {node.kind for node in source.nodes if node.index not in covered}
    assert left <= {"constant", "shape", "reshape", "flatten"}
    for node, origin in zip(graph.nodes, graph.origins, strict=True):
        if origin:
            assert node.name == source.nodes[origin[0]].name and node.location == source.nodes[origin[0]].location


# --- Long rows: what is remembered of them, and how often it is asked ---------------------------------------------------------------

LONG = 300


def test_of_a_long_row_of_transposes_an_op_stands_for_so_many() -> None:
    """Each of the row may be read: the nodes that it stands for would be as many as the square of its length."""
    names = ["x", *(f"t{at}" for at in range(LONG - 1)), "y"]
    row = [ONE("Transpose", [a], [b], perm=[0, 1, 3, 2]) for a, b in pairwise(names[:-1])]
    converted = convert([*row, ONE("Softmax", [names[-2]], ["y"], axis=2)], {"x": (1, 2, 3, 4)})
    assert {len(origins) for origins in converted.origins if len(origins) > 1} == {MAX_ORIGINS}


@pytest.mark.parametrize("newest", [False, True])
def test_of_a_long_row_of_reshapes_an_op_stands_for_so_many(newest: bool) -> None:
    names = ["x", *(f"r{at}" for at in range(LONG)), "y"]
    row = [ONE("Reshape", [a, f"s{at % 2}"], [b]) for at, (a, b) in enumerate(pairwise(names))]
    beside = [ONE("Relu", [name], [f"{name}/relu"]) for name in names[1:-1]] if newest else []
    graph = helper.make_graph(
        [node for pair in zip_longest(row, beside) for node in pair if node],
        "g",
        [helper.make_tensor_value_info("x", F32, (2, 3, 4))],
        [ValueInfoProto(name=name) for name in ("y", *(node.output[0] for node in beside))],
        [numpy_helper.from_array(np.array(dims), f"s{at}") for at, dims in enumerate(((2, 1, 12), (2, 12, 1)))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    source = read_onnx(model.SerializeToString(), "m.onnx")
    converted = (as_newest_tflite if newest else as_tflite)(source)
    assert 0 < max(map(len, converted.origins)) <= MAX_ORIGINS


def test_the_sign_of_sums_of_sums_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a value is ever negative was asked of each operand, of each operand of these, and so on."""
    asked = 0
    found = pooling.never_negative

    def counted(*arguments: Any) -> bool:
        nonlocal asked
        asked += 1
        return found(*arguments)

    monkeypatch.setattr(pooling, "never_negative", counted)
    sums = [ONE("Add", [f"a{at}"] * 2, [f"a{at + 1}"]) for at in range(12)]
    pool = ONE("MaxPool", ["a12"], ["y"], kernel_shape=[3, 3], pads=[2, 2, 2, 2], strides=[3, 3])
    converted = convert([ONE("Relu", ["x"], ["a0"]), *sums, pool], {"x": (1, 4, 8, 8)})
    assert "zeros would be exact" in converted.notes[-1]
    assert asked < 15


def test_the_root_of_a_row_of_names_is_found_in_a_step_each() -> None:
    source = Graph("m", "onnx", "onnx", (), (), (), ())
    same = Counted({at + 1: at for at in range(LONG)})
    writer = Writer(source, same=same)
    assert {writer.root(at) for at in reversed(range(LONG + 1))} == {0}
    assert same.asked < 4 * LONG
