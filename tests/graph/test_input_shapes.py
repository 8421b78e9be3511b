"""Shapes that the user states for inputs: what they make of a graph, and what cannot be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from latlint.errors import LatlintError
from latlint.graph import Graph, read
from latlint.graph.inputs import InputShape, parse_dims
from latlint.graph.onnx import read_onnx
from latlint.graph.tflite_shapes import Sizes
from latlint.graph.types import Node, Tensor

F32, I64 = TensorProto.FLOAT, TensorProto.INT64


def onnx_graph(shapes: Sequence[InputShape], **inputs: Sequence[int | str | None]) -> Graph:
    """Each input flattened behind its batch by shape arithmetic, as PyTorch's ``x.view(x.size(0), -1)`` is exported."""
    nodes = []
    for name in inputs:
        nodes += [
            helper.make_node("Shape", [name], [f"{name}_shape"]),
            helper.make_node("Gather", [f"{name}_shape", "zero"], [f"{name}_batch"]),
            helper.make_node("Concat", [f"{name}_batch", "rest"], [f"{name}_target"], axis=0),
            helper.make_node("Reshape", [name, f"{name}_target"], [f"{name}_flat"]),
        ]
    values = [helper.make_tensor_value_info(name, F32, dims) for name, dims in inputs.items()]
    outputs = [helper.make_tensor_value_info(f"{name}_flat", F32, None) for name in inputs]
    constants = [
        numpy_helper.from_array(np.array([0], np.int64), "zero"),
        numpy_helper.from_array(np.array([-1], np.int64), "rest"),
    ]
    model = helper.make_model(helper.make_graph(nodes, "g", values, outputs, constants))
    return read_onnx(memoryview(model.SerializeToString()), "m.onnx", shapes)


def outputs(graph: Graph) -> list[tuple[int, ...] | None]:
    return [graph.tensors[index].shape for index in graph.outputs]


def test_a_stated_shape_flows_through_shape_arithmetic() -> None:
    graph = onnx_graph([InputShape("x", (4, 3, 10, 10))], x=["n", 3, "h", "w"])
    assert outputs(graph) == [(4, 300)]
    assert not graph.notes and not graph.assumed


def test_a_name_that_two_inputs_share_is_one_size() -> None:
    graph = onnx_graph([InputShape("x", (4, 3))], x=["n", 3], y=["n", 5])
    assert outputs(graph) == [(4, 3), (4, 5)]
    assert not graph.assumed
    with pytest.raises(LatlintError, match="'n' twice, and it is 4 in the other place") as caught:
        onnx_graph([InputShape("x", (4, 3)), InputShape("y", (2, 5))], x=["n", 3], y=["n", 5])
    assert caught.value.code == "LAT008"


def test_what_is_not_stated_is_one_and_said_so() -> None:
    graph = onnx_graph([InputShape("x", (4, 3))], x=["n", 3], y=["m", None])
    assert outputs(graph) == [(4, 3), (1, 1)]
    assert graph.assumed == {"y": (-1, -1)}
    assert graph.notes == ("input 'y' is ?x? in the file, taken as 1x1; --shape says otherwise",)


def test_shapes_that_cannot_be() -> None:
    wrong = {
        (1, 3, 8): "3 dimensions, the file has 4 (?x3x?x?)",
        (1, 4, 8, 8): "the file fixes it to ?x3x?x?",
    }
    for dims, why in wrong.items():
        with pytest.raises(LatlintError) as caught:
            onnx_graph([InputShape("x", dims)], x=["n", 3, "h", "w"])
        assert why in caught.value.message and caught.value.code == "LAT008"


def test_a_name_that_is_no_input_is_an_error_that_lists_the_inputs() -> None:
    with pytest.raises(LatlintError, match=r"no input is called 'image'; its inputs are 'x' [?]x3, 'y' 1x5") as caught:
        onnx_graph([InputShape("image", (4, 3))], x=["n", 3], y=[1, 5])
    assert caught.value.code == "LAT008"
    assert outputs(onnx_graph([InputShape("image", (4, 3), required=False)], x=["n", 3])) == [(1, 3)]


def test_a_real_file_with_an_open_batch(model: Callable[[str], Path]) -> None:
    path = model("mobilenet_v2_025_dynamic_batch.onnx")
    four = read(path, [InputShape("input", (4, 3, 224, 224))])
    one = read(path)
    assert outputs(four) == [(4, 1000)] and outputs(one) == [(1, 1000)]
    sizes = [t.elements for t in one.tensors if not t.constant and t.dtype == "float32"]
    fourfold = [t.elements for t in four.tensors if not t.constant and t.dtype == "float32"]
    assert [4 * (size or 0) for size in sizes] == fourfold


def test_a_tflite_file_of_fixed_size_keeps_it(model: Callable[[str], Path]) -> None:
    path = model("mobilenet_v2.tflite")
    name = read(path).tensors[read(path).inputs[0]].name
    assert read(path, [InputShape(name, (1, 224, 224, 3))]) == read(path)
    with pytest.raises(LatlintError, match="the file fixes it to 1x224x224x3"):
        read(path, [InputShape(name, (1, 256, 256, 3))])


@pytest.mark.parametrize(
    "text", ["", "1x", "x1", "1x0x3", "-1x3", "1x2x3x4x5x6x7x8x9", "99999x99999", "1 x 2", "1X2", "a"]
)
def test_text_that_is_no_shape(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_dims(text)


def test_a_shape_has_as_many_elements_as_its_bound_and_no_more() -> None:
    assert parse_dims("65536x32768") == (65536, 32768)  # 2^31
    with pytest.raises(ValueError, match="at most"):
        parse_dims("65536x32769")


def test_an_op_whose_operands_make_no_sense_has_an_unknown_shape() -> None:
    tensors = [Tensor("x", (1, 8), "float32"), Tensor("w", (4, 0), "float32", True), Tensor("y", (1, 4), "float32")]
    node = Node(0, "fc", "fully_connected", "FULLY_CONNECTED", (0, 1), (2,))
    sizes = Sizes(tensors, lambda index: tensors[index].shape)
    sizes.resize(0, (3, 8))
    sizes.take(node)
    assert tensors[2].shape == (-1, -1) and [*sizes.lost.values()] == [node]
