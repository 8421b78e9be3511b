"""The ONNX reader: kinds and attributes by opset, shapes, constants, functions, quantisation, and files that mean harm."""

from __future__ import annotations

import mmap
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from latlint.errors import LatlintError
from latlint.graph import Graph, Node
from latlint.graph import onnx as reader
from latlint.graph.onnx import read_onnx
from latlint.graph.onnx_ops import FOREIGN, MICROSOFT_INPUTS

F32, I64, I8, U8 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT8, TensorProto.UINT8
Dims = Sequence[int | str | None] | None


def model(
    nodes: Iterable[NodeProto],
    inputs: dict[str, Dims],
    constants: dict[str, Any] | None = None,
    *,
    outputs: Iterable[str] = ("y",),
    opset: int = 17,
    types: dict[str, int] | None = None,
    functions: Sequence[onnx.FunctionProto] = (),
    others: dict[str, int] | None = None,
) -> ModelProto:
    """A model of these nodes; ``constants`` are arrays, lists (int64) or TensorProtos."""
    kinds = types or {}
    arrays = {
        name: value if isinstance(value, np.ndarray) else np.array(value, np.int64)
        for name, value in (constants or {}).items()
        if not isinstance(value, TensorProto)
    }
    tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    tensors += [value for value in (constants or {}).values() if isinstance(value, TensorProto)]
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info(name, kinds.get(name, F32), dims) for name, dims in inputs.items()],
        [
            helper.make_tensor_value_info(name, kinds[name], None) if name in kinds else onnx.ValueInfoProto(name=name)
            for name in outputs
        ],
        tensors,
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, v) for d, v in (others or {}).items())]
    return helper.make_model(graph, opset_imports=imports, functions=list(functions))


def read(proto: ModelProto) -> Graph:
    return read_onnx(proto.SerializeToString(), "m.onnx")


def zeros(*dims: int) -> np.ndarray[Any, Any]:
    return np.zeros(dims, np.float32)


def shapes(graph: Graph, indices: Iterable[int]) -> list[Any]:
    return [graph.tensors[i].shape for i in indices]


def sole(graph: Graph) -> Node:
    (node,) = graph.nodes
    return node


IMAGE: dict[str, Dims] = {"x": [1, 4, 9, 9]}
MATRIX: dict[str, Dims] = {"x": [2, 6]}
ONE = helper.make_node

# (node, inputs, constants, opset, kind, attributes that must be there, output shape)
CASES: list[tuple[NodeProto, dict[str, Dims], dict[str, Any], int, str, dict[str, Any], tuple[int, ...] | None]] = [
    (
        ONE("Conv", ["x", "w"], ["y"], pads=[0, 1, 2, 3], strides=[2, 1], dilations=[1, 2]), IMAGE, {"w": zeros(8, 4, 3, 3)}, 17,
        "conv2d", {"kernel": (3, 3), "stride": (2, 1), "dilation": (1, 2), "padding": (0, 2, 1, 3), "groups": 1}, (1, 8, 5, 9),
    ),
    (
        ONE("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER", strides=[2, 2], kernel_shape=[4, 4]), IMAGE, {"w": zeros(8, 4, 4, 4)},
        7, "conv2d", {"padding": (1, 2, 1, 2)}, (1, 8, 5, 5),
    ),
    (
        ONE("Conv", ["x", "w"], ["y"], auto_pad="SAME_LOWER", strides=[2, 2]), IMAGE, {"w": zeros(8, 4, 4, 4)}, 17,
        "conv2d", {"padding": (2, 1, 2, 1)}, (1, 8, 5, 5),
    ),
    (
        ONE("Conv", ["x", "w"], ["y"], auto_pad="VALID"), IMAGE, {"w": zeros(8, 4, 3, 3)}, 17,
        "conv2d", {"padding": (0, 0, 0, 0)}, (1, 8, 7, 7),
    ),
    (ONE("Conv", ["x", "w"], ["y"], group=2), IMAGE, {"w": zeros(8, 2, 1, 1)}, 17, "conv2d", {"groups": 2}, (1, 8, 9, 9)),
    (
        ONE("Conv", ["x", "w"], ["y"], group=4), IMAGE, {"w": zeros(8, 1, 1, 1)}, 17,
        "depthwise_conv2d", {"groups": 4, "multiplier": 2}, (1, 8, 9, 9),
    ),
    (ONE("Conv", ["x", "w"], ["y"]), {"x": [1, 4, 9]}, {"w": zeros(8, 4, 3)}, 17, "conv1d", {"padding": (0, 0)}, (1, 8, 7)),
    (
        ONE("Conv", ["x", "w"], ["y"]), {"x": [1, 4, 9, 9, 9]}, {"w": zeros(8, 4, 3, 3, 3)}, 17,
        "conv3d", {"kernel": (3, 3, 3)}, (1, 8, 7, 7, 7),
    ),
    (
        ONE("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]), IMAGE,
        {"w": zeros(4, 8, 3, 3)}, 17, "transpose_conv2d", {"stride": (2, 2), "padding": (1, 1, 1, 1)}, (1, 8, 18, 18),
    ),
    (
        ONE("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1), IMAGE, {}, 17,
        "max_pool2d", {"kernel": (2, 2), "padding": (0, 1, 0, 1)}, (1, 4, 5, 5),
    ),
    (
        ONE("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1), IMAGE, {}, 11,
        "average_pool2d", {"padding": (1, 1, 1, 1), "stride": (1, 1), "count_include_pad": True}, (1, 4, 9, 9),
    ),
    (ONE("LpPool", ["x"], ["y"], kernel_shape=[3, 3]), IMAGE, {}, 17, "l2_pool2d", {}, (1, 4, 7, 7)),
    (ONE("LpPool", ["x"], ["y"], kernel_shape=[3, 3], p=1), IMAGE, {}, 17, "unknown", {}, (1, 4, 7, 7)),
    (ONE("GlobalAveragePool", ["x"], ["y"]), IMAGE, {}, 7, "mean", {"axes": (2, 3), "keep_dims": True}, (1, 4, 1, 1)),
    (ONE("GlobalMaxPool", ["x"], ["y"]), IMAGE, {}, 17, "reduce_max", {"axes": (2, 3), "keep_dims": True}, (1, 4, 1, 1)),
    (
        ONE("Gemm", ["x", "w", "b"], ["y"], transB=1, alpha=0.5), MATRIX, {"w": zeros(5, 6), "b": zeros(5)}, 17,
        "fully_connected", {"transpose_b": True, "alpha": 0.5, "beta": 1.0, "keep_num_dims": False}, (2, 5),
    ),
    (ONE("MatMul", ["x", "w"], ["y"]), {"x": [1, 7, 6]}, {"w": zeros(6, 5)}, 9, "fully_connected", {"keep_num_dims": True}, (1, 7, 5)),
    (ONE("MatMul", ["x", "w"], ["y"]), {"x": [3, 7, 6]}, {"w": zeros(3, 6, 5)}, 9, "batch_matmul", {"transpose_b": False}, (3, 7, 5)),
    (ONE("MatMul", ["x", "z"], ["y"]), {"x": [3, 7, 6], "z": [6, 5]}, {}, 9, "batch_matmul", {}, (3, 7, 5)),
    (ONE("Clip", ["x"], ["y"], min=0.0, max=6.0), MATRIX, {}, 7, "relu6", {}, (2, 6)),
    (ONE("Clip", ["x", "a", "b"], ["y"]), MATRIX, {"a": np.float32([0])[0:1].reshape(()), "b": np.array(6, np.float32)}, 13, "relu6", {}, (2, 6)),
    (ONE("Clip", ["x", "a"], ["y"]), MATRIX, {"a": np.array(0, np.float32)}, 13, "relu", {}, (2, 6)),
    (ONE("Clip", ["x", "", "b"], ["y"]), MATRIX, {"b": np.array(3, np.float32)}, 13, "clip", {"max": 3.0, "min": -np.inf}, (2, 6)),
    (ONE("Clip", ["x"], ["y"], min=-1.0, max=1.0), MATRIX, {}, 7, "relu_n1_to_1", {}, (2, 6)),
    (ONE("Clip", ["x", "a", "b"], ["y"]), {"x": [2, 6], "a": [], "b": []}, {}, 13, "clip", {}, (2, 6)),
    (ONE("HardSigmoid", ["x"], ["y"]), MATRIX, {}, 17, "hard_sigmoid", {"alpha": pytest.approx(0.2), "beta": 0.5}, (2, 6)),
    (ONE("HardSwish", ["x"], ["y"]), MATRIX, {}, 14, "hard_swish", {}, (2, 6)),
    (ONE("Erf", ["x"], ["y"]), MATRIX, {}, 13, "erf", {}, (2, 6)),
    (ONE("Gelu", ["x"], ["y"], approximate="tanh"), MATRIX, {}, 20, "gelu", {"approximate": True}, (2, 6)),
    (ONE("LeakyRelu", ["x"], ["y"], alpha=0.25), MATRIX, {}, 16, "leaky_relu", {"alpha": 0.25}, (2, 6)),
    (ONE("Sum", ["x", "x"], ["y"]), MATRIX, {}, 13, "add", {"activation": "none"}, (2, 6)),
    (ONE("Cast", ["x"], ["y"], to=TensorProto.FLOAT16), MATRIX, {}, 13, "cast", {"to": "float16"}, (2, 6)),
    (ONE("ReduceMean", ["x"], ["y"], axes=[-1], keepdims=0), MATRIX, {}, 13, "mean", {"axes": (1,), "keep_dims": False}, (2,)),
    (ONE("ReduceMean", ["x", "a"], ["y"]), MATRIX, {"a": [-1, 0]}, 18, "mean", {"axes": (0, 1), "keep_dims": True}, (1, 1)),
    (ONE("ReduceSum", ["x"], ["y"]), MATRIX, {}, 13, "sum", {"axes": (0, 1)}, (1, 1)),
    (ONE("ReduceSum", ["x"], ["y"], noop_with_empty_axes=1), MATRIX, {}, 13, "sum", {"axes": ()}, (2, 6)),
    (ONE("Softmax", ["x"], ["y"]), IMAGE, {}, 11, "softmax", {"axis": 1, "beta": 1.0}, (1, 4, 9, 9)),
    (ONE("Softmax", ["x"], ["y"]), IMAGE, {}, 13, "softmax", {"axis": 3}, (1, 4, 9, 9)),
    (ONE("Concat", ["x", "x"], ["y"], axis=-3), IMAGE, {}, 13, "concat", {"axis": 1, "activation": "none"}, (1, 8, 9, 9)),
    (ONE("Transpose", ["x"], ["y"]), MATRIX, {}, 13, "transpose", {"permutation": (1, 0)}, (6, 2)),
    (ONE("Reshape", ["x", "s"], ["y"]), MATRIX, {"s": [0, 3, -1]}, 13, "reshape", {"shape": (0, 3, -1)}, (2, 3, 2)),
    (ONE("Flatten", ["x"], ["y"], axis=-2), IMAGE, {}, 13, "flatten", {"axis": 2}, (4, 81)),
    (ONE("Squeeze", ["x"], ["y"], axes=[0]), IMAGE, {}, 11, "squeeze", {"axes": (0,)}, (4, 9, 9)),
    (ONE("Squeeze", ["x", "a"], ["y"]), IMAGE, {"a": [-4]}, 13, "squeeze", {"axes": (0,)}, (4, 9, 9)),
    (ONE("Unsqueeze", ["x", "a"], ["y"]), MATRIX, {"a": [-1, 0]}, 13, "expand_dims", {"axes": (3, 0)}, (1, 2, 6, 1)),
    (ONE("Slice", ["x"], ["y"], starts=[1], ends=[100], axes=[1]), MATRIX, {}, 9, "strided_slice",
     {"begin": (0, 1), "end": (2, 6), "strides": (1, 1), "shrink_axis_mask": 0}, (2, 5)),
    (ONE("Slice", ["x", "s", "e", "a", "t"], ["y"]), MATRIX, {"s": [-1], "e": [-1000], "a": [1], "t": [-2]}, 13, "strided_slice",
     {"begin": (0, 5), "end": (2, -1), "strides": (1, -2)}, (2, 3)),
    (ONE("Pad", ["x"], ["y"], pads=[0, 0, 1, 2, 0, 0, 3, 4]), IMAGE, {}, 7, "pad", {"pads": ((0, 0), (0, 0), (1, 3), (2, 4))}, (1, 4, 13, 15)),
    (ONE("Pad", ["x", "p", "v"], ["y"]), MATRIX, {"p": [0, 1, 0, 1], "v": np.array(2, np.float32)}, 13, "pad_v2",
     {"pads": ((0, 0), (1, 1)), "value": 2.0}, (2, 8)),
    (ONE("Pad", ["x", "p", "", "a"], ["y"]), MATRIX, {"p": [2, 3], "a": [-1]}, 18, "pad", {"pads": ((0, 0), (2, 3))}, (2, 11)),
    (ONE("Pad", ["x", "p"], ["y"], mode="reflect"), MATRIX, {"p": [0, 1, 0, 1]}, 13, "mirror_pad", {"mode": "reflect"}, (2, 8)),
    (ONE("Pad", ["x", "p"], ["y"], mode="edge"), MATRIX, {"p": [0, 1, 0, 1]}, 13, "unknown", {"mode": "edge"}, (2, 8)),
    (ONE("Resize", ["x", "", "s"], ["y"], mode="linear"), IMAGE, {"s": np.float32([1, 1, 2, 2])}, 13, "resize_bilinear",
     {"align_corners": False, "half_pixel": True}, (1, 4, 18, 18)),
    (ONE("Resize", ["x", "", "", "z"], ["y"], mode="nearest", coordinate_transformation_mode="asymmetric"), IMAGE, {"z": [1, 4, 3, 3]},
     13, "resize_nearest", {"align_corners": False, "half_pixel": False}, (1, 4, 3, 3)),
    (ONE("Resize", ["x", "roi", "s"], ["y"], mode="linear", coordinate_transformation_mode="align_corners"), IMAGE,
     {"roi": zeros(0), "s": np.float32([1, 1, 2, 2])}, 11, "resize_bilinear", {"align_corners": True, "half_pixel": False}, (1, 4, 18, 18)),
    (ONE("Upsample", ["x", "s"], ["y"], mode="nearest"), IMAGE, {"s": np.float32([1, 1, 2, 2])}, 9, "resize_nearest",
     {"half_pixel": False}, (1, 4, 18, 18)),
    (ONE("DepthToSpace", ["x"], ["y"], blocksize=2, mode="CRD"), IMAGE, {}, 13, "depth_to_space", {"block": 2, "mode": "CRD"}, (1, 1, 18, 18)),
    (ONE("Gather", ["x", "i"], ["y"], axis=-1), MATRIX, {"i": np.array(0, np.int64)}, 13, "gather", {"axis": 1}, (2,)),
    (ONE("Expand", ["x", "s"], ["y"]), MATRIX, {"s": [3, 1, 1]}, 13, "broadcast_to", {}, (3, 2, 6)),
    (ONE("Where", ["c", "x", "x"], ["y"]), {"x": [2, 6], "c": [1, 6]}, {}, 16, "select", {}, (2, 6)),
    (ONE("ArgMax", ["x"], ["y"], axis=-1), MATRIX, {}, 13, "arg_max", {"axis": 1, "keep_dims": True}, (2, 1)),
    (ONE("CumSum", ["x", "a"], ["y"]), MATRIX, {"a": np.array(-1, np.int64)}, 14, "cumsum", {"axis": 1}, (2, 6)),
    (ONE("BatchNormalization", ["x", "a", "a", "a", "a"], ["y"]), IMAGE, {"a": zeros(4)}, 15, "batch_norm", {}, (1, 4, 9, 9)),
    (ONE("LayerNormalization", ["x", "a"], ["y"], axis=-1), MATRIX, {"a": zeros(6)}, 17, "layer_norm", {"axis": 1}, (2, 6)),
    (ONE("LSTM", ["x", "w", "r"], ["y"], hidden_size=5), {"x": [7, 1, 3]}, {"w": zeros(1, 20, 3), "r": zeros(1, 20, 5)}, 14, "lstm",
     {"hidden_size": 5}, (7, 1, 1, 5)),
    (ONE("Einsum", ["x", "x"], ["y"], equation="ij,kj->ik"), MATRIX, {}, 12, "einsum", {"equation": "ij,kj->ik"}, (2, 2)),
    (ONE("Selu", ["x"], ["y"]), MATRIX, {}, 17, "unknown", {}, (2, 6)),
]  # fmt: skip


@pytest.mark.parametrize(("node", "inputs", "constants", "opset", "kind", "attributes", "shape"), CASES)
def test_kind_and_attributes(
    node: NodeProto,
    inputs: dict[str, Dims],
    constants: dict[str, Any],
    opset: int,
    kind: str,
    attributes: dict[str, Any],
    shape: tuple[int, ...] | None,
) -> None:
    graph = read(model([node], inputs, constants, opset=opset, types={"c": TensorProto.BOOL}))
    found = sole(graph)
    assert found.kind == kind
    assert {name: found.attributes.get(name) for name in attributes} == attributes
    assert (found.native, found.version) == (node.op_type, opset)
    assert shapes(graph, found.outputs) == [shape]


def test_split_in_equal_and_unequal_parts() -> None:
    equal = ONE("Split", ["x"], ["y", "z"], axis=1)
    unequal = ONE("Split", ["x", "s"], ["y", "z"], axis=-1)
    assert sole(read(model([equal], MATRIX, opset=11, outputs=["y", "z"]))).kind == "split"
    graph = read(model([unequal], MATRIX, {"s": [2, 4]}, opset=13, outputs=["y", "z"]))
    assert sole(graph).kind == "split_v" and sole(graph).attributes["sizes"] == (2, 4)
    assert shapes(graph, sole(graph).outputs) == [(2, 2), (2, 4)]


def test_an_op_of_another_domain_is_unknown_by_its_full_name() -> None:
    node = ONE("Thing", ["x"], ["y"], domain="com.acme")
    graph = read(model([node], MATRIX, others={"com.acme": 3}))
    assert (sole(graph).kind, sole(graph).native, sole(graph).version) == ("unknown", "com.acme::Thing", 3)
    assert shapes(graph, sole(graph).outputs) == [None]
    assert graph.notes == ("the shapes of 1 of 1 values could not be inferred",)


def test_shape_arithmetic_is_folded() -> None:
    """x.view(x.size(0), x.size(1) * 3, -1), as exporters spell it."""
    nodes = [
        ONE("Shape", ["x"], ["s"]),
        ONE("Constant", [], ["zero"], value_int=0),
        ONE("Constant", [], ["one"], value=numpy_helper.from_array(np.array(1, np.int64))),
        ONE("Gather", ["s", "zero"], ["n"]),
        ONE("Gather", ["s", "one"], ["c"]),
        ONE("Mul", ["c", "three"], ["c3"]),
        ONE("Unsqueeze", ["n", "ax"], ["n1"]),
        ONE("Unsqueeze", ["c3", "ax"], ["c1"]),
        ONE("Concat", ["n1", "c1", "rest"], ["target"], axis=0),
        ONE("Expand", ["x", "wide"], ["e"]),
        ONE("Reshape", ["e", "target"], ["y"]),
    ]
    constants = {"three": np.array(3, np.int64), "ax": [0], "rest": [-1], "wide": [2, 4, 9, 9]}
    graph = read(model(nodes, IMAGE, constants))
    assert shapes(graph, graph.outputs) == [(1, 12, 54)]
    target = next(tensor for tensor in graph.tensors if tensor.name == "target")
    assert target.value == (1, 12, -1) and not target.constant
    assert [node.kind for node in graph.nodes][:3] == ["shape", "constant", "constant"]


def _pair(op: str, *calls: tuple[list[str], dict[str, Any]]) -> list[NodeProto]:
    """Two nodes of one op, each with inputs and attributes of its own, that write ``y0`` and ``y1``."""
    return [ONE(op, inputs, [f"y{i}"], **attributes) for i, (inputs, attributes) in enumerate(calls)]


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        (_pair("Reshape", (["x", "flat"], {}), (["x", "tall"], {})), [(1, 324), (324, 1)]),
        (_pair("Resize", (["x", "", "twice"], {}), (["x", "", "thrice"], {})), [(1, 4, 18, 18), (1, 4, 27, 27)]),
        (_pair("Conv", (["x", "w"], {}), (["x", "w"], {"pads": [1] * 4})), [(1, 8, 7, 7), (1, 8, 9, 9)]),
        (_pair("Conv", (["x", "w"], {}), (["x", "narrow"], {})), [(1, 8, 7, 7), (1, 2, 7, 7)]),
        (_pair("Concat", (["x", "x"], {"axis": 1}), (["x", "x", "x"], {"axis": 1})), [(1, 8, 9, 9), (1, 12, 9, 9)]),
        (
            _pair("Pad", (["x", "pads", "", "last"], {}), (["x", "pads", "", "ends"], {})),
            [(1, 4, 11, 11), (3, 4, 9, 11)],
        ),
        (_pair("Relu", (["x"], {}), (["z"], {})), [(1, 4, 9, 9), (2, 6)]),
    ],
)
def test_nodes_that_differ_in_one_thing_are_inferred_apart(nodes: list[NodeProto], expected: list[Any]) -> None:
    constants = {
        "flat": [1, -1], "tall": [-1, 1], "pads": [1, 1, 1, 1], "last": [2, 3], "ends": [0, 3], "w": zeros(8, 4, 3, 3), "narrow": zeros(2, 4, 3, 3),
        "twice": np.array([1, 1, 2, 2], np.float32), "thrice": np.array([1, 1, 3, 3], np.float32),
    }  # fmt: skip
    for order in (nodes, nodes[::-1]):
        graph = read(model(order, {**IMAGE, "z": [2, 6]}, constants, outputs=["y0", "y1"], opset=18))
        assert shapes(graph, graph.outputs) == expected


def test_nodes_that_differ_in_names_alone_are_inferred_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    infer = onnx.shape_inference.infer_node_outputs

    def counting(schema: Any, node: NodeProto, *args: Any, **kwargs: Any) -> Any:
        asked.append(node.op_type)
        return infer(schema, node, *args, **kwargs)

    monkeypatch.setattr(onnx.shape_inference, "infer_node_outputs", counting)
    chain = [ONE(("Conv", "Relu")[i % 2], [f"v{i}", "w"][: 2 - i % 2], [f"v{i + 1}"]) for i in range(40)]
    graph = read(model(chain, {"v0": [1, 4, 9, 9]}, {"w": zeros(4, 4, 1, 1)}, outputs=["v40"]))
    assert {graph.tensors[i].shape for node in graph.nodes for i in node.outputs} == {(1, 4, 9, 9)}
    assert sorted(asked) == ["Conv", "Relu"]


def test_a_chain_that_would_grow_without_end_is_not_folded() -> None:
    nodes = [ONE("Concat", ["s0", "s0"], ["s1"], axis=0)]
    nodes += [ONE("Concat", [f"s{i}", f"s{i}"], [f"s{i + 1}"], axis=0) for i in range(1, 40)]
    nodes.append(ONE("Cast", ["s30"], ["y"], to=F32))
    graph = read(model(nodes, {}, {"s0": [1, 2]}))
    assert shapes(graph, graph.outputs) == [(2**31,)] or shapes(graph, graph.outputs) == [(-1,)]
    assert max(len(tensor.value or ()) for tensor in graph.tensors) <= 1024


@pytest.mark.parametrize(
    ("op", "constants"),
    [
        ("Tile", {"d": [0, 1, 2, 2], "by": [4, 255, 1 << 62, 255]}),  # 4 times that wraps round to 0
        ("Tile", {"d": [[1]], "by": [1 << 32, 0]}),  # no elements, but 32 GB on the way
        ("Pad", {"d": [1], "by": [(1 << 63) - 1, (1 << 63) - 1]}),
        ("Expand", {"d": [1], "by": [1 << 62, 4]}),
        ("ConstantOfShape", {"by": [1 << 62, 4, 0]}),
        ("Range", {"from": np.array(0), "to": np.array((1 << 63) - 1), "by": np.array(1)}),
    ],
)
def test_values_too_large_to_make_are_not_folded(op: str, constants: dict[str, Any]) -> None:
    """Sizes that wrap round end the process in NumPy's C code."""
    graph = read(model([ONE(op, list(constants), ["y"])], {}, constants))
    assert graph.tensors[graph.outputs[0]].value in (None, ())


def test_where_an_open_size_may_be_what_is_wrong_it_is_asked_for() -> None:
    for channels, words in (
        ("C", r"state them \(--shape x=1x\?x8x8\), or export"),
        (4, "channels in 1 groups on an input of 4; export"),
    ):
        content = model([ONE("Conv", ["x", "w"], ["y"])], {"x": [1, channels, 8, 8], "w": [8, 3, 3, 3]})
        with pytest.raises(LatlintError, match=words):
            read(content)


@pytest.mark.parametrize(
    "wrong",
    [
        "a filter of another number of channels",
        "an attribute twice",
        "an If without inputs",
        "weights of the wrong rank",
    ],
)
def test_an_open_size_that_cannot_be_what_is_wrong_is_not_asked_for(wrong: str) -> None:
    conv = ONE("Conv", ["x", "w"], ["y"])
    if wrong == "an attribute twice":
        conv.attribute.extend([helper.make_attribute("group", 1)] * 2)
    nodes = [ONE("If", [], ["y"])] if wrong.startswith("an If") else [conv]
    weights = {"weights of the wrong rank": [8, 4], "a filter of another number of channels": [8, 3, 3, 3]}.get(
        wrong, [8, 4, 3, 3]
    )
    content = model(nodes, {"x": ["N", 4, "H", 8]}, {"w": zeros(*weights)})
    with pytest.raises(LatlintError) as caught:
        read(content)
    assert caught.value.code == "LAT007"
    assert "state them" not in str(caught.value) and str(caught.value).endswith("export the model again")


@pytest.mark.parametrize(
    ("op", "weights", "groups", "words"),
    [
        ("Conv", [7, 2, 3, 3], 2, "2 groups of 7 channels"),
        ("Conv", [2, 1, 3, 3], 4, "4 groups of 2 channels"),
        ("Conv", [8, 4], 1, "weights of 2 dimensions"),
        ("ConvTranspose", [4, 2, 3, 3], 3, "3 groups of 4 channels"),
        ("ConvTranspose", [4, 2, 3, 3], 0, "0 groups"),
        ("ConvTranspose", [4, 2], 1, "weights of 2 dimensions"),
    ],
)
def test_filters_that_no_convolution_takes_are_refused_as_onnxruntime_does(
    op: str, weights: list[int], groups: int, words: str
) -> None:
    content = model([ONE(op, ["x", "w"], ["y"], group=groups)], {"x": [1, 4, 8, 8]}, {"w": zeros(*weights)})
    with pytest.raises(LatlintError, match=words):
        read(content)
    runtime = pytest.importorskip("onnxruntime")
    content.ir_version = 9
    with pytest.raises(Exception, match=r"group|dimensions|spatial"):
        session = runtime.InferenceSession(content.SerializeToString(), providers=["CPUExecutionProvider"])
        session.run(None, {"x": zeros(1, 4, 8, 8)})


def test_a_symbolic_batch_is_one_and_said_so() -> None:
    graph = read(model([ONE("Relu", ["x"], ["y"])], {"x": ["N", 3, 8, 8]}))
    assert shapes(graph, graph.outputs) == [(1, 3, 8, 8)]
    assert graph.notes == ("input 'x' is ?x3x8x8 in the file, taken as 1x3x8x8; --shape says otherwise",)
    graph = read(model([ONE("Relu", ["x"], ["y"])], {"x": [None, 3]}))
    assert graph.notes == ("input 'x' is ?x3 in the file, taken as 1x3; --shape says otherwise",)


def test_other_symbolic_dimensions_are_one_too_and_said_so() -> None:
    graph = read(model([ONE("Relu", ["x"], ["y"])], {"x": [1, 3, "h", "w"]}))
    assert shapes(graph, graph.outputs) == [(1, 3, 1, 1)]
    assert graph.assumed == {"x": (1, 3, -1, -1)}
    assert "1x3x?x?" in graph.notes[0]


def test_what_the_file_declares_helps_where_inference_ends() -> None:
    proto = model(
        [ONE("Thing", ["x"], ["t"], domain="com.acme"), ONE("Relu", ["t"], ["y"])], MATRIX, others={"com.acme": 1}
    )
    proto.graph.value_info.append(helper.make_tensor_value_info("t", F32, [2, 7]))
    assert shapes(read(proto), read(proto).outputs) == [(2, 7)]


def test_constants_have_ranges_and_small_ones_values() -> None:
    proto = model(
        [ONE("Gemm", ["x", "w", "b"], ["y"], transB=1)],
        {"x": [1, 2000]},
        {"w": zeros(9, 2000), "b": np.arange(9, dtype=np.float32)},
    )
    data = proto.SerializeToString()
    graph = read_onnx(memoryview(data), "m.onnx")
    by_name = {tensor.name: tensor for tensor in graph.tensors}
    weights, bias = by_name["w"], by_name["b"]
    assert weights.constant and weights.value is None and weights.data is not None and weights.data.length == 72_000
    assert bias.value == tuple(range(9)) and bias.data is not None
    assert np.frombuffer(data[bias.data.offset :][: bias.data.length], np.float32).tolist() == list(range(9))
    place = sole(graph).location
    assert place is not None and NodeProto.FromString(data[place.offset :][: place.length]).op_type == "Gemm"


def test_initializers_that_are_listed_as_inputs_are_constants() -> None:
    graph = read(model([ONE("Add", ["x", "w"], ["y"])], {"x": [2, 6], "w": [6]}, {"w": zeros(6)}, opset=8))
    assert [graph.tensors[i].name for i in graph.inputs] == ["x"]


def test_nodes_out_of_order_are_put_in_order() -> None:
    nodes = [ONE("Relu", ["b"], ["y"]), ONE("Abs", ["x"], ["a"]), ONE("Exp", ["a"], ["b"])]
    graph = read(model(nodes, MATRIX))
    assert [node.native for node in graph.nodes] == ["Abs", "Exp", "Relu"]
    assert [node.index for node in graph.nodes] == [0, 1, 2]


def test_external_data_is_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = TensorProto(name="w", data_type=F32, dims=[6, 5], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "../../outside.bin"), ("offset", "0"), ("length", "120")):
        tensor.external_data.add(key=key, value=value)
    data = model([ONE("MatMul", ["x", "w"], ["y"])], MATRIX, {"w": tensor}).SerializeToString()

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a file was opened")

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr(Path, "open", refuse)
    graph = read_onnx(data, str(tmp_path / "m.onnx"))
    assert graph.notes == (
        "1 weights lie in other files, which are not opened; some are named by a path that leaves the model's directory",
    )
    assert shapes(graph, graph.outputs) == [(2, 5)] and sole(graph).kind == "fully_connected"


def _function(name: str, nodes: Sequence[NodeProto], attributes: Sequence[str] = ()) -> onnx.FunctionProto:
    return helper.make_function(
        "local", name, ["i"], ["o"], list(nodes), [helper.make_opsetid("", 17)], list(attributes)
    )


def test_model_local_functions_are_read_as_their_bodies() -> None:
    leaky = ONE("LeakyRelu", ["i"], ["t"])
    leaky.attribute.append(AttributeProto(name="alpha", type=AttributeProto.FLOAT, ref_attr_name="slope"))
    inner = _function("inner", [leaky, ONE("Exp", ["t"], ["o"])], ["slope"])
    call = ONE("inner", ["i"], ["m"], domain="local", slope=0.75)
    outer = _function("outer", [call, ONE("Abs", ["m"], ["o"])])
    outer.opset_import.append(helper.make_opsetid("local", 1))
    nodes = [
        ONE("outer", ["x"], ["h"], domain="local", name="first"),
        ONE("outer", ["h"], ["y"], domain="local", name="second"),
    ]
    graph = read(model(nodes, MATRIX, functions=[inner, outer], others={"local": 1}))
    assert [node.kind for node in graph.nodes] == ["leaky_relu", "exp", "abs"] * 2
    assert graph.nodes[0].attributes["alpha"] == 0.75
    assert graph.nodes[3].name.startswith("second/") and graph.nodes[3].location != graph.nodes[0].location
    assert shapes(graph, graph.outputs) == [(2, 6)]


def test_functions_that_call_themselves_are_refused() -> None:
    loop = _function("loop", [ONE("loop", ["i"], ["o"], domain="local")])
    with pytest.raises(LatlintError, match="deep") as caught:
        read(model([ONE("loop", ["x"], ["y"], domain="local")], MATRIX, functions=[loop], others={"local": 1}))
    assert caught.value.code == "LAT007"


def test_functions_that_multiply_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_NODES", 1000)
    functions = [_function("f0", [ONE("Abs", ["i"], ["o"])])]
    for level in range(1, 16):
        body = [ONE(f"f{level - 1}", ["i"], ["t"], domain="local"), ONE(f"f{level - 1}", ["t"], ["o"], domain="local")]
        functions.append(_function(f"f{level}", body))
    with pytest.raises(LatlintError, match="nodes") as caught:
        read(model([ONE("f15", ["x"], ["y"], domain="local")], MATRIX, functions=functions, others={"local": 1}))
    assert caught.value.code == "LAT006"


def test_quantised_convolution() -> None:
    node = ONE("QLinearConv", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"], ["y"], pads=[1, 1, 1, 1])
    constants = {
        "xs": np.array(0.5, np.float32), "xz": np.array(3, np.uint8), "w": np.zeros((2, 4, 3, 3), np.int8),
        "ws": np.float32([0.25, 0.125]), "wz": np.zeros(2, np.int8), "ys": np.array(0.75, np.float32), "yz": np.array(1, np.uint8),
        "b": np.zeros(2, np.int32),
    }  # fmt: skip
    graph = read(model([node], IMAGE, constants, types={"x": U8, "y": U8}))
    x, w, b = (graph.tensors[i] for i in sole(graph).inputs)
    assert (sole(graph).kind, x.name, w.name, b.name) == ("conv2d", "x", "w", "b")
    assert x.quantization is not None and (x.quantization.scales, x.quantization.zero_points) == ((0.5,), (3,))
    assert w.quantization is not None and w.quantization.scales == (0.25, 0.125) and w.quantization.axis == 0
    y = graph.tensors[graph.outputs[0]]
    assert y.quantization is not None and (y.shape, y.dtype, y.quantization.scales) == ((1, 2, 9, 9), "uint8", (0.75,))
    assert graph.precision == "int8"


def test_quantise_dequantise_pairs() -> None:
    nodes = [
        ONE("QuantizeLinear", ["x", "s", "z"], ["q"]),
        ONE("DequantizeLinear", ["q", "s", "z"], ["d"]),
        ONE("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0),
        ONE("Conv", ["d", "wd"], ["y"]),
    ]
    constants = {
        "s": np.array(0.5, np.float32), "z": np.array(0, np.int8), "w": np.zeros((2, 4, 1, 1), np.int8),
        "ws": np.float32([1, 2]), "wz": np.zeros(2, np.int8),
    }  # fmt: skip
    graph = read(model(nodes, IMAGE, constants))
    tensors = {tensor.name: tensor for tensor in graph.tensors}
    assert [node.kind for node in graph.nodes] == ["quantize", "dequantize", "dequantize", "conv2d"]
    assert (tensors["q"].dtype, tensors["d"].dtype) == ("int8", "float32")
    assert tensors["w"].quantization is not None and tensors["w"].quantization.scales == (1.0, 2.0)
    assert graph.precision == "int8"


PAIRED = [
    ONE("QuantizeLinear", ["x", "s", "z"], ["q"]),
    ONE("DequantizeLinear", ["q", "s", "z"], ["d"]),
    ONE("DequantizeLinear", ["b", "s", "z"], ["v"]),
]
NUMBERS = {
    "s": np.array(0.5, np.float32), "z": np.array(0, np.uint8), "b": np.zeros((6, 5), np.uint8), "w": zeros(6, 5),
}  # fmt: skip
UNPACKED = ONE("DynamicQuantizeMatMul", ["x", "b", "s", "z"], ["y"], domain="com.microsoft")


@pytest.mark.parametrize(
    ("nodes", "precision"),
    [
        ([*PAIRED, ONE("MatMul", ["d", "v"], ["y"])], "int8"),
        ([*PAIRED[2:], ONE("MatMul", ["x", "v"], ["y"])], "float32"),
        ([*PAIRED, ONE("MatMul", ["x", "w"], ["y"])], "float32"),
        ([ONE("DynamicQuantizeLinear", ["x"], ["q", "t", "u"]), ONE("MatMulInteger", ["q", "b", "u"], ["y"])], "int8"),
        ([UNPACKED], "int8"),
        ([*PAIRED[:2], ONE("Relu", ["d"], ["y"])], "int8"),
        ([ONE("Relu", ["x"], ["y"])], "float32"),
    ],
    ids=["pairs", "weights alone", "beside", "dynamic", "dynamic within", "no products", "float"],
)
def test_a_file_is_quantised_where_its_products_are(nodes: list[NodeProto], precision: str) -> None:
    used = {name for node in nodes for name in node.input}
    constants = {name: array for name, array in NUMBERS.items() if name in used}
    assert read(model(nodes, MATRIX, constants, others={"com.microsoft": 1})).precision == precision


def test_sixteen_bits_are_sixteen_bits() -> None:
    constants = NUMBERS | {"z": np.array(0, np.uint16), "b": np.zeros((6, 5), np.uint16)}
    constants.pop("w")
    assert read(model([*PAIRED, ONE("MatMul", ["d", "v"], ["y"])], MATRIX, constants, opset=21)).precision == "int16"


def test_a_node_keeps_its_native_inputs_and_attributes() -> None:
    resize = ONE("Resize", ["x", "", "scales"], ["y"], mode="nearest", nearest_mode="floor")
    node = sole(graph := read(model([resize], IMAGE, {"scales": np.array([1, 1, 2, 2], np.float32)})))
    assert [graph.tensors[i].name if i >= 0 else "" for i in node.native_inputs] == ["x", "", "scales"]
    assert node.inputs == node.native_inputs[:1]
    assert dict(node.native_attributes) == {"mode": "nearest", "nearest_mode": "floor"}


def test_ops_of_onnxruntime_that_stand_for_standard_ones() -> None:
    add = ONE("QLinearAdd", ["x", "s", "z", "x", "s", "z", "s", "z"], ["y"], domain="com.microsoft")
    constants = {"s": np.array(0.5, np.float32), "z": np.array(0, np.uint8)}
    graph = read(model([add], IMAGE, constants, types={"x": U8, "y": U8}, others={"com.microsoft": 1}))
    assert (sole(graph).kind, sole(graph).native, len(sole(graph).inputs)) == ("add", "com.microsoft::QLinearAdd", 2)
    assert shapes(graph, graph.outputs) == [(1, 4, 9, 9)]
    fused = ONE("FusedConv", ["x", "w"], ["y"], domain="com.microsoft", activation="Clip", activation_params=[0.0, 6.0])
    graph = read(model([fused], IMAGE, {"w": zeros(8, 4, 3, 3)}, others={"com.microsoft": 1}))
    assert (sole(graph).kind, sole(graph).attributes["activation"]) == ("conv2d", "relu6")


def test_a_transposed_constant_still_makes_a_fully_connected_layer() -> None:
    nodes = [ONE("Transpose", ["w"], ["t"]), ONE("MatMul", ["x", "t"], ["y"])]
    assert [node.kind for node in read(model(nodes, MATRIX, {"w": zeros(5, 6)})).nodes] == [
        "transpose",
        "fully_connected",
    ]


def _expect(proto: ModelProto, code: str, *words: str) -> None:
    with pytest.raises(LatlintError) as caught:
        read(proto)
    assert caught.value.code == code and caught.value.path == "m.onnx"
    assert all(word in caught.value.message for word in words), caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([ONE("Relu", ["nowhere"], ["y"])], ("reads 'nowhere'", "nothing writes")),
        ([ONE("Sum", [f"n{i}" for i in range(9)], ["y"])], ("reads 'n0'", "nothing writes")),
        ([ONE("Relu", ["x"], ["y"]), ONE("Abs", ["x"], ["y"])], ("'y' is written twice",)),
        ([ONE("Relu", ["b"], ["a"]), ONE("Abs", ["a"], ["b"]), ONE("Abs", ["b"], ["y"])], ("circle",)),
        ([ONE("Relu", ["x"], ["z"])], ("nothing writes the output 'y'",)),
        ([ONE("Conv", ["x"], ["y"])], ("1 input,", "Conv takes 2 to 3")),
        ([ONE("Relu", ["x"], ["y", "z"])], ("2 outputs",)),
        ([ONE("Cast", ["x"], ["y"])], ("'to'",)),
        ([ONE("Transpose", ["x"], ["y"], perm=[0, 0, 1, 2])], ("permutation",)),
        ([ONE("Concat", ["x"], ["y"], axis=9)], ("axis 9 of a tensor of 4 dimensions",)),
        ([ONE("MaxPool", ["x"], ["y"], kernel_shape=[0, 3])], ("kernel size of 0",)),
        ([ONE("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], strides=[1, 0])], ("stride of 0",)),
        ([ONE("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1])], ("pads",)),
    ],
)
def test_graphs_that_cannot_be(nodes: list[NodeProto], words: tuple[str, ...]) -> None:
    _expect(model(nodes, IMAGE), "LAT007", *words)


@pytest.mark.parametrize("op", sorted(name for name, least in MICROSOFT_INPUTS.items() if least > 1))
def test_ops_of_microsofts_have_the_inputs_that_planners_rely_on(op: str) -> None:
    """One fewer than ONNX Runtime takes is refused, as it would be there."""
    least = MICROSOFT_INPUTS[op]
    node = helper.make_node(op, ["x"] * (least - 1), ["y"], domain="com.microsoft")
    _expect(model([node], IMAGE), "LAT007", op, f"where {op} takes at least {least}")


def _later_ops() -> list[str]:
    """Standard ops that opset 6 does not have, with an input or more."""
    first: dict[str, int] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if not schema.domain:
            first[schema.name] = min(first.get(schema.name, schema.since_version), schema.since_version)
    newest = {schema.name: schema.min_input for schema in onnx.defs.get_all_schemas() if not schema.domain}
    return sorted(name for name, least in newest.items() if least and first[name] > 6)


@pytest.mark.parametrize("op", _later_ops())
def test_ops_of_a_later_opset_have_the_inputs_that_planners_rely_on(op: str) -> None:
    """They are known by name, whatever opset the file states."""
    _expect(model([helper.make_node(op, [], ["y"])], IMAGE, opset=6), "LAT007", op, "0 inputs")


def test_an_op_of_somebody_elses_may_have_the_name_of_a_standard_one() -> None:
    node = helper.make_node("QLinearConv", ["x"], ["y"], domain="my.domain")
    graph = read(model([node], IMAGE, others={"my.domain": 1}))
    assert sole(graph).inputs == (graph.inputs[0],) and "QLinearConv" in sole(graph).native


def test_microsofts_ops_have_at_least_the_inputs_that_onnxruntime_says() -> None:
    state = pytest.importorskip(
        "onnxruntime.capi.onnxruntime_pybind11_state", reason="asks ONNX Runtime for its schemas"
    )
    schemas = {each.name: each.min_input for each in state.get_all_operator_schema() if each.domain == "com.microsoft"}
    assert schemas == {**schemas, **MICROSOFT_INPUTS}
    assert {name for domain, name in FOREIGN if domain == "com.microsoft"} <= MICROSOFT_INPUTS.keys()


def test_weights_that_cannot_be() -> None:
    wrong = TensorProto(name="w", data_type=F32, dims=[100, 100], raw_data=bytes(39_996))
    _expect(
        model([ONE("MatMul", ["x", "w"], ["y"])], {"x": [1, 100]}, {"w": wrong}),
        "LAT007",
        "39,996 bytes",
        "100x100",
        "40,000",
    )
    small = TensorProto(name="w", data_type=F32, dims=[3], float_data=[1.0, 2.0])
    _expect(model([ONE("Add", ["x", "w"], ["y"])], {"x": [1, 3]}, {"w": small}), "LAT007", "'w'")
    negative = TensorProto(name="w", data_type=F32, dims=[-3])
    _expect(model([ONE("Add", ["x", "w"], ["y"])], {"x": [1, 3]}, {"w": negative}), "LAT007", "dimension of -3")


def test_conv_weights_that_do_not_fit_the_input() -> None:
    _expect(
        model([ONE("Conv", ["x", "w"], ["y"])], IMAGE, {"w": zeros(8, 3, 3, 3)}), "LAT007", "3 channels", "input of 4"
    )


def test_beyond_a_bound() -> None:
    huge = TensorProto(name="w", data_type=F32, dims=[2**31, 2**31])
    _expect(model([ONE("Add", ["x", "w"], ["y"])], {"x": [1]}, {"w": huge}), "LAT006", "elements")
    _expect(model([ONE("Relu", ["x"], ["y"], name="n" * 5000)], MATRIX), "LAT006", "name")


@pytest.mark.parametrize(
    "content",
    [b"", b"\x08", b"hello, I am a text file, not a model at all\n", bytes(1000), random.Random(0).randbytes(9999)],
)
def test_what_is_no_onnx_file(content: bytes) -> None:
    with pytest.raises(LatlintError) as caught:
        read_onnx(content, "m.onnx")
    assert caught.value.code == "LAT001"


@pytest.mark.parametrize("depth", [20, 120, 3000])
def test_bodies_of_control_flow_in_bodies_of_control_flow(depth: int) -> None:
    """Small ones, which the scan copies unseen: protobuf itself ends at 100 messages deep."""
    content = helper.make_graph([], "g", [], []).SerializeToString()
    for _ in range(depth):
        branch = AttributeProto(name="then_branch", type=AttributeProto.GRAPH).SerializeToString()
        branch += _delimited(6, content)
        other = AttributeProto(name="else_branch", type=AttributeProto.GRAPH, g=onnx.GraphProto(name="e"))
        node = NodeProto(op_type="If", input=["c"], output=["y"], attribute=[other]).SerializeToString()
        node += _delimited(5, branch)
        content = _delimited(1, node)
    proto = model([], {"c": []}, outputs=[]).SerializeToString() + _delimited(7, content)
    if depth == 20:
        assert {node.kind for node in read_onnx(proto, "m.onnx").nodes} == {"if"}
        return
    with pytest.raises(LatlintError) as caught:
        read_onnx(proto, "m.onnx")
    assert caught.value.code in ("LAT001", "LAT006")


def _delimited(number: int, content: bytes) -> bytes:
    length, out = len(content), bytearray([number << 3 | 2])
    while length > 0x7F:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes(out) + bytes([length]) + content


def test_names_that_are_given_twice() -> None:
    relu = ONE("Relu", ["x"], ["y"])
    one, two = numpy_helper.from_array(zeros(2), "w"), numpy_helper.from_array(zeros(3), "w")
    for proto, words in (
        (model([relu, ONE("Relu", ["x"], ["y"])], IMAGE), "'y' is written twice"),
        (model([ONE("Relu", ["x"], ["x"])], IMAGE, outputs=["x"]), "'x' is written twice"),
        (model([ONE("Add", ["x", "w"], ["w"])], IMAGE, {"w": one}, outputs=["w"]), "'w' is written twice"),
    ):
        with pytest.raises(LatlintError, match=words) as caught:
            read(proto)
        assert caught.value.code == "LAT007"
    for field, again, words in (("initializer", two, "the weights 'w' are"), ("input", None, "the input 'x' is")):
        proto = model([ONE("Add", ["x", "w"], ["y"])], {"x": [2]}, {"w": one})
        values = getattr(proto.graph, field)
        values.append(again or values[0])
        with pytest.raises(LatlintError, match=f"{words} given twice"):
            read(proto)


def test_a_name_that_is_no_text() -> None:
    data = model([ONE("Relu", ["x"], ["y"], name="NAMENAME")], MATRIX).SerializeToString()
    with pytest.raises(LatlintError, match="not text") as caught:
        read_onnx(data.replace(b"NAMENAME", b"NAME\xff\xfe\xfd\xfc"), "m.onnx")
    assert caught.value.code == "LAT001"


# --- Mutations: anything but a graph or a LatlintError fails -----------------------------------------------------------------------


def _specimen() -> ModelProto:
    """One of most things: convolution, norm, pool, shape arithmetic, a function, a branch, weights."""
    branch = helper.make_graph(
        [ONE("Identity", ["r"], ["inner"])], "b", [], [helper.make_tensor_value_info("inner", F32, None)]
    )
    nodes = [
        ONE("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]),
        ONE("BatchNormalization", ["c", "s", "s", "s", "s"], ["n"]),
        ONE("Relu", ["n"], ["r"]),
        ONE("MaxPool", ["r"], ["p"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1),
        ONE("Shape", ["p"], ["shape"]),
        ONE("Constant", [], ["zero"], value=numpy_helper.from_array(np.array(0, np.int64))),
        ONE("Gather", ["shape", "zero"], ["batch"]),
        ONE("Unsqueeze", ["batch", "axis"], ["batch1"]),
        ONE("Concat", ["batch1", "rest"], ["target"], axis=0),
        ONE("Reshape", ["p", "target"], ["flat"]),
        ONE("f", ["flat"], ["g"], domain="local"),
        ONE("Gemm", ["g", "fc"], ["h"], transB=1),
        ONE("If", ["flag"], ["i"], then_branch=branch, else_branch=branch),
        ONE("LayerNormalization", ["h", "scale"], ["l"], axis=-1),
        ONE("Slice", ["l", "axis", "ends", "axis1", "steps"], ["e"]),
        ONE("Softmax", ["e"], ["y"]),
    ]
    constants = {
        "w": zeros(8, 3, 3, 3), "s": zeros(8), "axis": [0], "rest": [-1], "fc": zeros(16, 288), "flag": np.array(True),
        "scale": zeros(16), "ends": [9], "axis1": [1], "steps": [2],
    }  # fmt: skip
    function = _function("f", [ONE("Relu", ["i"], ["t"]), ONE("Clip", ["t"], ["o"])])
    return model(nodes, {"x": ["N", 3, 20, 20]}, constants, functions=[function], others={"local": 1})


def _outcome(data: bytes) -> str:
    """``ok`` or the error's code; any other exception is the test's failure."""
    try:
        read_onnx(data, "m.onnx")
    except LatlintError as error:
        assert "\n" not in error.message and len(error.message) < 500
        return error.code
    return "ok"


def test_the_specimen_is_read_whole() -> None:
    graph = read(_specimen())
    assert shapes(graph, graph.outputs) == [(1, 5)]
    assert all(tensor.shape is not None for tensor in graph.tensors)


def _mutated(data: bytes, dice: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 4))):
        place = dice.randrange(len(out)) if out else 0
        match dice.randrange(6):
            case 0:
                out[place : place + 1] = bytes([dice.randrange(256)])
            case 1:
                out[place : place + 1] = bytes([dice.choice((0, 1, 0x7F, 0x80, 0xFF))])
            case 2:
                del out[place : place + dice.choice((1, 2, 5, 50))]
            case 3:
                out[place:place] = dice.randbytes(dice.choice((1, 2, 9)))
            case 4:
                del out[place:]
            case _:
                source = dice.randrange(len(out) + 1)
                out[place:place] = out[source : source + dice.choice((4, 30, 200))]
    return bytes(out)


def test_mutated_bytes_are_read_or_refused() -> None:
    proto = _specimen()
    for tensor in proto.graph.initializer:
        if len(tensor.raw_data) > 500:
            tensor.ClearField("raw_data")  # so that most mutations hit structure, not weights
    data = proto.SerializeToString()
    dice = random.Random(20240501)
    outcomes = {_outcome(_mutated(data, dice)) for _ in range(4000)}
    assert outcomes >= {"ok", "LAT001", "LAT007"}


_NUMBERS = (0, 1, 2, 3, -1, -2, 7, 64, 1000, 2**31, 2**31 - 1, -(2**31), 2**62, -(2**63), 2**63 - 1)


def _change_meaning(proto: ModelProto, dice: random.Random) -> None:
    """Change one thing that a parser accepts: an op, an attribute, a shape, a connection, an opset."""
    graph = proto.graph
    node = dice.choice([*graph.node, *(inner for function in proto.functions for inner in function.node)])
    attribute = dice.choice(node.attribute) if node.attribute else None
    match dice.randrange(8):
        case 0:
            node.op_type = dice.choice(_OPS)
        case 1 if attribute is not None and attribute.ints:
            attribute.ints[dice.randrange(len(attribute.ints))] = dice.choice(_NUMBERS)
        case 1 if attribute is not None:
            attribute.i = dice.choice(_NUMBERS)
        case 2 if attribute is not None:
            attribute.type = dice.choice(
                [AttributeProto.INT, AttributeProto.INTS, AttributeProto.STRING, AttributeProto.GRAPH]
            )
        case 3:
            tensor = dice.choice(graph.initializer)
            if tensor.dims:
                tensor.dims[dice.randrange(len(tensor.dims))] = dice.choice(_NUMBERS)
            tensor.ClearField("raw_data")
        case 4 if node.input:
            del node.input[dice.randrange(len(node.input))]
        case 5 if node.input:
            names = [name for other in graph.node for name in other.output] + [
                tensor.name for tensor in graph.initializer
            ]
            node.input[dice.randrange(len(node.input))] = dice.choice([*names, "", "x"])
        case 6:
            dims = graph.input[0].type.tensor_type.shape.dim
            dims[dice.randrange(len(dims))].dim_value = dice.choice(_NUMBERS)
        case _:
            proto.opset_import[0].version = dice.choice([1, 6, 7, 9, 11, 13, 18, 22, 99, -1, 2**62])


_OPS = sorted({schema.name for schema in onnx.defs.get_all_schemas() if not schema.domain})


@pytest.mark.slow
def test_mutated_meaning_is_read_or_refused() -> None:
    """onnx's own inference ends the process on some of these; the reader must not let it."""
    specimen, dice = _specimen(), random.Random(20240502)
    outcomes = set()
    for _ in range(2500):
        proto = ModelProto()
        proto.CopyFrom(specimen)
        for _ in range(dice.choice((1, 1, 2, 3))):
            _change_meaning(proto, dice)
        outcomes.add(_outcome(proto.SerializeToString()))
    assert outcomes >= {"ok", "LAT006", "LAT007"}


@pytest.mark.parametrize(
    "node",
    [
        ONE("LayerNormalization", ["x", "w"], ["y", "mean", "deviation"], axis=2**31),
        ONE("GatherND", ["x", "n"], ["y"]),
        ONE("Split", ["x"], ["y"], num_outputs=2**62),
        ONE("Slice", ["n", "i", "i"], ["y"]),
        ONE("Einsum", ["x"], ["y"], equation="i..j"),
    ],
)
def test_nodes_on_which_inference_would_end_the_process(node: NodeProto) -> None:
    proto = model(
        [node], {"x": [2, 3, 5], "e": [0, 0], "n": [2, -(2**31)]}, {"w": zeros(5), "i": [0], "m": [-1]}, opset=18
    )
    assert _outcome(proto.SerializeToString()) in ("ok", "LAT007")


# --- Real files ----------------------------------------------------------------------------------------------------------------------


def _mapped(path: Path) -> Graph:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return read_onnx(data, str(path))


def test_every_convolutional_network_of_the_corpus(corpus: Path) -> None:
    paths = sorted((corpus / "onnx").glob("*.onnx"))
    assert len(paths) >= 80
    for path in paths:
        graph = _mapped(path)
        assert not [node.native for node in graph.nodes if node.kind == "unknown"], path.name
        assert all(graph.tensors[i].elements is not None for node in graph.nodes for i in node.outputs), path.name
        assert graph.notes == () and graph.precision == "float32" and graph.dialect == "onnx", path.name


@pytest.mark.slow
def test_every_transformer_of_the_corpus_with_all_shapes(corpus: Path) -> None:
    """Up to 8,550 nodes, most of them shape arithmetic."""
    paths = sorted((corpus / "onnx_vit").glob("*.onnx"))
    assert len(paths) >= 20
    for path in paths:
        graph = _mapped(path)
        assert not [node.native for node in graph.nodes if node.kind == "unknown"], path.name
        assert all(graph.tensors[i].elements is not None for node in graph.nodes for i in node.outputs if i >= 0), (
            path.name
        )
        assert graph.notes == (), path.name


def test_the_models_in_the_repository(model: Any) -> None:
    for name in ("mobilenet_v2.onnx", "resnet18.onnx", "vit_tiny.onnx"):
        graph = _mapped(model(name))
        assert graph.nodes and all(graph.tensors[i].elements for node in graph.nodes for i in node.outputs if i >= 0)


# --- what ONNX Runtime refuses -----------------------------------------------------------------------------------------------------


def _edited(
    edit: Callable[[ModelProto], Any], op: str = "Conv", weights: Sequence[int] = (8, 4, 3, 3), **attributes: Any
) -> bytes:
    """A file of one op with weights and a bias, after ``edit``."""
    arrays = {"w": np.zeros(weights, np.float32), "b": np.zeros(8, np.float32)}
    node = helper.make_node(op, ["x", "w", "b"] if op == "Conv" else ["x", "w"], ["y"], name="it", **attributes)
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 8, 8])
    made = onnx.ValueInfoProto(name="y")
    graph = helper.make_graph([node], "g", [given], [made], [numpy_helper.from_array(a, n) for n, a in arrays.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    edit(model)
    return bytes(model.SerializeToString())


def _renamed_attribute(model: ModelProto) -> None:
    model.graph.node[0].attribute[0].name = ""


def _another_kind(model: ModelProto) -> None:
    model.graph.node[0].attribute[0].type = AttributeProto.FLOATS


def _declare_output(model: ModelProto, dtype: int) -> None:
    model.graph.output[0].type.tensor_type.elem_type = dtype


def _twice(model: ModelProto) -> None:
    model.graph.node[0].attribute.append(model.graph.node[0].attribute[0])


def _emptied(model: ModelProto) -> None:
    del model.graph.node[0].attribute[0].ints[:]


def _nameless_input(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].Clear()  # open, so that a message would say how to state it
    model.graph.input.add()


def _short_bias(model: ModelProto) -> None:
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.zeros(5, np.float32), "b"))


def _nowhere(model: ModelProto) -> None:
    model.graph.initializer[0].ClearField("raw_data")
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL


def _typeless(model: ModelProto) -> None:
    model.graph.initializer[0].data_type = 0


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_edited(_renamed_attribute, pads=[1] * 4), "has an attribute that has no name"),
        (_edited(_another_kind, pads=[1] * 4), "of another kind than it is: 'pads'"),
        (_edited(_twice, pads=[1] * 4), "the attribute 'pads' more than once"),
        (_edited(lambda model: None, auto_pad="SAME"), "an auto_pad 'SAME'"),
        (_edited(_emptied, strides=[1, 1]), "do not fit a window of 2 dimensions"),
        (_edited(lambda model: None, pads=[-1] * 4), "a padding of -1"),
        (_edited(lambda model: None, kernel_shape=[1, 1]), "a kernel of 1x1 with weights of 3x3"),
        (_edited(lambda model: None, "ConvTranspose", (4, 8, 3, 3), output_padding=[1, 1]), "an output_padding of 1x1"),
        (_edited(_nameless_input), "an input has no name"),
        (_edited(_short_bias), "a bias of 5 for 8 channels"),
        (_edited(_nowhere), "lie in another file, and nothing says in which"),
        (_edited(_typeless), "the weights 'w' have no type"),
        (_edited(lambda model: None, "ConvTranspose", (5, 8, 3, 3)), "a filter for 5 channels on an input of 4"),
        (_edited(lambda model: None, "QuantizeLinear", (3,), axis=1), "3 scales for 4 slices along axis 1"),
        (_edited(lambda model: _declare_output(model, 7)), "'y' is declared as int64, and is float32"),
        (_edited(lambda model: _declare_output(model, 0)), "'y' is declared in type 0, which there is not"),
        (_edited(lambda model: model.graph.output[0].type.sparse_tensor_type.SetInParent()), "'y' is declared as no tensor, and is one"),
    ],
    ids="name kind twice auto_pad empty negative other_kernel output_padding nameless bias location type transposed scales output none sparse".split(),
)  # fmt: skip
def test_what_onnx_runtime_refuses_is_impossible(data: bytes, words: str) -> None:
    with pytest.raises(LatlintError) as caught:
        read_onnx(memoryview(data), "m.onnx")
    assert caught.value.code == "LAT007" and words in caught.value.message
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    with pytest.raises(Exception, match="ONNXRuntimeError"):
        session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        session.run(None, {"x": np.zeros((1, 4, 8, 8), np.float32)})
