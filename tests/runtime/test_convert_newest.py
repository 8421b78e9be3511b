"""What today's converters leave out: the graph gets shorter, and computes what it computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from latlint.graph.onnx import read_onnx
from latlint.graph.types import Graph, Node
from latlint.runtime.convert import as_newest_tflite, as_tflite

Array = NDArray[np.float64]
ONE = helper.make_node


def source(nodes: Sequence[NodeProto], shape: Sequence[int], **constants: Any) -> Graph:
    """A model of ``nodes`` from ``x`` to ``y``."""
    arrays = {name: value if isinstance(value, np.ndarray) else np.array(value) for name, value in constants.items()}
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    return read_onnx(model.SerializeToString(), "m.onnx")


def zeros(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, np.float32)


def kinds(graph: Graph) -> list[str]:
    return [node.kind for node in graph.nodes]


# --- A few ops, computed: what moves data must move the same data ------------------------------------------------------------------


def computed(graph: Graph) -> Array:
    values: dict[int, Array] = {}

    def value(index: int) -> Array:
        if index not in values:
            tensor = graph.tensors[index]
            known = tensor.value is not None
            drawn = np.random.default_rng(len(tensor.name)).normal(size=tensor.shape or ())
            values[index] = np.reshape(tensor.value, tensor.shape) if known else drawn  # type: ignore[arg-type]
        return values[index]

    for node in graph.nodes:
        made = _OPS[node.kind](node, [value(index) for index in node.inputs if index >= 0], graph)
        assert made.shape == graph.tensors[node.outputs[0]].shape, node.kind
        values[node.outputs[0]] = made
    return value(graph.outputs[0])


def _softmax(node: Node, given: Sequence[Array], _: Graph) -> Array:
    power = np.exp(given[0] - given[0].max(axis=node.attributes["axis"], keepdims=True))
    return np.asarray(power / power.sum(axis=node.attributes["axis"], keepdims=True))


def _slice(node: Node, given: Sequence[Array], _: Graph) -> Array:
    limits = zip(node.attributes["begin"], node.attributes["end"], strict=True)
    return given[0][tuple(slice(begin, end) for begin, end in limits)]


def _dense(node: Node, given: Sequence[Array], graph: Graph) -> Array:
    return np.asarray(given[0] @ given[1].T).reshape(graph.tensors[node.outputs[0]].shape or ())


_OPS: dict[str, Any] = {
    "reshape": lambda node, given, graph: given[0].reshape(graph.tensors[node.outputs[0]].shape),
    "transpose": lambda node, given, _: given[0].transpose(node.attributes["permutation"]),
    "batch_matmul": lambda _, given, __: given[0] @ given[1],
    "add": lambda _, given, __: given[0] + given[1],
    "mul": lambda _, given, __: given[0] * given[1],
    "gather": lambda node, given, _: np.take(given[0], given[1].astype(int), axis=node.attributes["axis"]),
    "relu": lambda _, given, __: np.maximum(given[0], 0.0),
    "strided_slice": _slice,
    "softmax": _softmax,
    "fully_connected": _dense,
}


def attention(mask: tuple[int, ...]) -> Graph:
    """Attention as PyTorch writes it over batches of heads: three axes for the products, four for the mask, keys transposed twice."""
    split = [
        each
        for name in "qkv"
        for each in (
            ONE("Transpose", ["apart"], [f"{name}1"], perm=[0, 2, 1, 3]),
            ONE("Reshape", [f"{name}1", "three"], [f"{name}2"]),
        )
    ]
    nodes = [
        ONE("Reshape", ["x", "by_head"], ["apart"]),
        *split,
        ONE("Transpose", ["k2"], ["kt"], perm=[0, 2, 1]),
        ONE("MatMul", ["q2", "kt"], ["s"]),
        ONE("Reshape", ["s", "heads"], ["s4"]),
        ONE("Add", ["s4", "mask"], ["m"]),
        ONE("Reshape", ["m", "scores"], ["s3"]),
        ONE("Softmax", ["s3"], ["p"], axis=-1),
        ONE("MatMul", ["p", "v2"], ["o"]),
        ONE("Reshape", ["o", "four"], ["o4"]),
        ONE("Transpose", ["o4"], ["ot"], perm=[0, 2, 1, 3]),
        ONE("Reshape", ["ot", "flat"], ["y"]),
    ]
    shapes = {
        "by_head": [1, 10, 4, 8],
        "three": [4, 10, 8],
        "heads": [1, 4, 10, 10],
        "scores": [4, 10, 10],
        "four": [1, 4, 10, 8],
        "flat": [1, 10, 32],
    }
    return source(nodes, [1, 10, 32], mask=zeros(*mask), **shapes)


@pytest.mark.parametrize("mask", [(10, 10), (1, 1, 10, 10), (1, 1, 1, 10)])
def test_attention_keeps_its_four_axes(mask: tuple[int, ...]) -> None:
    graph = attention(mask)
    before, after = as_tflite(graph), as_newest_tflite(graph)
    np.testing.assert_allclose(computed(after), computed(before))
    assert Counter(kinds(before))["reshape"] > 4
    if len(mask) == 2:
        assert Counter(kinds(after)) == {"transpose": 3, "batch_matmul": 2, "add": 1, "softmax": 1, "reshape": 2}


def test_a_mask_that_would_meet_other_axes_keeps_the_reshape() -> None:
    nodes = [
        ONE("Reshape", ["x", "three"], ["a"]),
        ONE("Add", ["a", "c"], ["b"]),
        ONE("Reshape", ["b", "four"], ["y"]),
    ]
    graph = source(nodes, [2, 1, 3, 4], three=[2, 3, 4], four=[2, 1, 3, 4], c=zeros(2, 1, 1))
    before, after = as_tflite(graph), as_newest_tflite(graph)
    np.testing.assert_allclose(computed(after), computed(before))
    assert "add" in kinds(after)


def test_a_value_that_several_read_is_reshaped_once() -> None:
    nodes = [
        ONE("Reshape", ["x", "four"], ["a"]),
        ONE("Relu", ["a"], ["b"]),
        ONE("Mul", ["a", "b"], ["y"]),
    ]
    graph = source(nodes, [6, 5], four=[1, 1, 6, 5])
    after = as_newest_tflite(graph)
    np.testing.assert_allclose(computed(after), computed(as_tflite(graph)))
    assert kinds(after).count("reshape") == 1


def test_a_transpose_of_a_transpose_is_one_also_past_a_scale() -> None:
    nodes = [
        ONE("Transpose", ["x"], ["a"], perm=[1, 0, 2]),
        ONE("Reshape", ["a", "four"], ["b"]),
        ONE("Mul", ["b", "scale"], ["c"]),
        ONE("Transpose", ["c"], ["d"], perm=[0, 1, 3, 2]),
        ONE("MatMul", ["d", "w"], ["y"]),
    ]
    graph = source(nodes, [7, 3, 5], four=[1, 3, 7, 5], scale=np.float32(0.5), w=zeros(1, 3, 7, 2))
    before, after = as_tflite(graph), as_newest_tflite(graph)
    np.testing.assert_allclose(computed(after).ravel(), computed(before).ravel())
    assert kinds(before).count("transpose") == 2
    assert kinds(after).count("transpose") == 1


def test_a_product_of_rows_keeps_the_axes_around_it() -> None:
    nodes = [
        ONE("Reshape", ["x", "rows"], ["a"]),
        ONE("Gemm", ["a", "w", "b"], ["c"], transB=1),
        ONE("Reshape", ["c", "back"], ["y"]),
    ]
    graph = source(nodes, [3, 8, 5], rows=[12, 10], w=zeros(6, 10), b=zeros(6), back=[3, 4, 6])
    before, after = as_tflite(graph), as_newest_tflite(graph)
    np.testing.assert_allclose(computed(after), computed(before))
    assert kinds(before) == ["reshape", "fully_connected", "reshape"]
    assert kinds(after) == ["reshape", "fully_connected"]


def test_one_of_three_that_lie_side_by_side_is_a_slice() -> None:
    nodes = [
        ONE("Reshape", ["x", "apart"], ["a"]),
        ONE("Transpose", ["a"], ["b"], perm=[2, 0, 1, 3]),
        ONE("Gather", ["b", "second"], ["c"], axis=0),
        ONE("Relu", ["c"], ["y"]),
    ]
    graph = source(nodes, [1, 7, 12], apart=[1, 7, 3, 4], second=np.array(1))
    before, after = as_tflite(graph), as_newest_tflite(graph)
    np.testing.assert_allclose(computed(after).ravel(), computed(before).ravel())
    assert "strided_slice" in kinds(after)
    assert "gather" not in kinds(after)
    assert "transpose" not in kinds(after)


def test_a_clip_to_one_is_one_op() -> None:
    nodes = [ONE("Clip", ["x", "low", "high"], ["a"]), ONE("HardSigmoid", ["a"], ["y"])]
    graph = source(nodes, [1, 4], low=np.float32(0), high=np.float32(1))
    assert kinds(as_tflite(graph)).count("minimum") == 2
    assert kinds(as_newest_tflite(graph)) == ["relu_0_to_1", "mul", "add", "relu_0_to_1"]


def test_gelu_by_tanh_is_one_op() -> None:
    nodes = [
        ONE("Mul", ["x", "x"], ["s"]),
        ONE("Mul", ["s", "x"], ["c"]),
        ONE("Mul", ["c", "small"], ["d"]),
        ONE("Add", ["x", "d"], ["e"]),
        ONE("Mul", ["e", "root"], ["f"]),
        ONE("Tanh", ["f"], ["t"]),
        ONE("Add", ["t", "one"], ["u"]),
        ONE("Mul", ["x", "u"], ["v"]),
        ONE("Mul", ["v", "half"], ["y"]),
    ]
    numbers = {"small": 0.044715, "root": 0.79788, "one": 1.0, "half": 0.5}
    graph = source(nodes, [1, 4], **{name: np.float32(value) for name, value in numbers.items()})
    assert "tanh" in kinds(as_tflite(graph))
    after = as_newest_tflite(graph)
    assert kinds(after) == ["gelu"]
    assert set(after.origins[0]) == set(range(9))


def test_a_scale_behind_a_change_of_names_goes_into_the_product() -> None:
    nodes = [
        ONE("Transpose", ["x"], ["a"], perm=[0, 2, 3, 1]),
        ONE("MatMul", ["a", "w"], ["b"]),
        ONE("Transpose", ["b"], ["c"], perm=[0, 3, 1, 2]),
        ONE("Mul", ["c", "gamma"], ["d"]),
        ONE("Sigmoid", ["d"], ["y"]),
    ]
    graph = source(nodes, [1, 8, 5, 5], w=zeros(8, 6), gamma=zeros(6, 1, 1))
    assert kinds(as_tflite(graph)) == ["fully_connected", "mul", "sigmoid"]
    assert kinds(as_newest_tflite(graph)) == ["fully_connected", "sigmoid"]


def test_a_pixel_shuffle_goes_through_channels_first() -> None:
    graph = source([ONE("DepthToSpace", ["x"], ["y"], blocksize=2, mode="CRD")], [1, 12, 4, 4])
    assert kinds(as_newest_tflite(graph)) == ["transpose", "reshape", "transpose", "reshape", "transpose"]
    np.testing.assert_allclose(computed(as_newest_tflite(graph)), computed(as_tflite(graph)))


def test_an_addition_of_five_axes_keeps_its_activation_apart() -> None:
    nodes = [ONE("Add", ["x", "x"], ["a"]), ONE("Relu", ["a"], ["y"])]
    assert kinds(as_newest_tflite(source(nodes, [1, 2, 3, 4, 5]))) == ["add", "relu"]
    assert kinds(as_newest_tflite(source(nodes, [1, 2, 3, 4]))) == ["add"]


def test_a_tflite_graph_stays_as_it_is() -> None:
    graph = as_tflite(source([ONE("Relu", ["x"], ["y"])], [1, 2]))
    assert as_newest_tflite(graph) is graph
