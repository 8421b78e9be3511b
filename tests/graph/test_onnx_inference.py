"""What latlint infers of ONNX's ops: every node test of ONNX itself, and the ops of other domains that ONNX Runtime writes."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from collections.abc import Sequence
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from onnx import FunctionProto, NodeProto, TensorProto, helper, numpy_helper

from latlint.graph import Graph
from latlint.graph.onnx import read_onnx
from latlint.runtime.work import macs

onnxruntime = pytest.importorskip("onnxruntime")

F32, I64, I32, U8 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32, TensorProto.UINT8

#: Ops of ONNX's node tests whose output is as large as the data say, or that need what no file has.
DATA_DECIDES = frozenset(
    "Compress If ImageDecoder Loop MaxUnpool MelWeightMatrix NonMaxSuppression NonZero Scan StringNormalizer StringSplit Unique "
    "FlexAttention BlackmanWindow HammingWindow HannWindow".split()
)


def benchmark() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "onnx_nodes.py"
    spec = importlib.util.spec_from_file_location("onnx_nodes", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_every_node_test_of_onnx_has_the_right_shape_or_says_that_the_data_decide() -> None:
    nodes = benchmark()
    states: Counter[str] = Counter()
    for name, model, inputs, expected in nodes.cases():
        state, graph = nodes.judge(model, inputs, expected)
        states[state] += 1
        assert state in ("right", "unknown", "no tensor"), f"{name}: {state}"
        if state == "unknown" and len(model.graph.node) == 1:
            assert model.graph.node[0].op_type in DATA_DECIDES, name
        assert graph is not None and all(node.native for node in graph.nodes)
    assert states["right"] > 1700 and states["unknown"] < 110


def model(
    nodes: Sequence[NodeProto],
    inputs: dict[str, Any],
    constants: dict[str, Any],
    functions: Sequence[FunctionProto] = (),
) -> bytes:
    """A model whose outputs are what the last node writes, of no stated shape."""
    values = [helper.make_tensor_value_info(name, *given) for name, given in inputs.items()]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    op = nodes[-1].op_type
    integers = {"EmbedLayerNormalization": {"y1": I32}}.get(
        op, {"y0": U8} if op.startswith("Q") and op != "QuickGelu" else {}
    )
    outputs = [helper.make_tensor_value_info(name, integers.get(name, F32), None) for name in nodes[-1].output if name]
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1), helper.make_opsetid("local", 1)]
    graph = helper.make_graph(list(nodes), "g", values, outputs, tensors)
    made = helper.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=10)
    return bytes(made.SerializeToString())


def microsoft(op: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> NodeProto:
    return helper.make_node(op, list(inputs), [f"y{n}" for n in range(outputs)], domain="com.microsoft", **attributes)


X = {"x": (F32, [2, 6, 8])}
#: A scale and a zero point.
PAIR = ("s", "q")
ONE: dict[str, Any] = {"s": np.float32(1), "q": np.uint8(0)}
MAPS = {"a": (U8, [1, 4, 8, 8])}
ones = np.ones
_CASES: dict[str, tuple[NodeProto, dict[str, Any], dict[str, Any], str]] = {
    "BiasGelu": (microsoft("BiasGelu", ["x", "b"]), X, {"b": ones(8, np.float32)}, "gelu"),
    "FastGelu": (microsoft("FastGelu", ["x", "b"]), X, {"b": ones(8, np.float32)}, "gelu"),
    "FusedMatMul transA": (microsoft("FusedMatMul", ["x", "z"], transA=1), {**X, "z": (F32, [2, 6, 5])}, {}, "batch_matmul"),
    "FusedMatMul transB": (microsoft("FusedMatMul", ["x", "z"], transB=1), {**X, "z": (F32, [2, 5, 8])}, {}, "batch_matmul"),
    "Attention": (
        microsoft("Attention", ["x", "w", "b"], num_heads=2), X, {"w": ones((8, 24), np.float32), "b": ones(24, np.float32)}, "attention",
    ),
    "MultiHeadAttention": (
        microsoft("MultiHeadAttention", ["x", "k", "v"], num_heads=2), {**X, "k": (F32, [2, 4, 8]), "v": (F32, [2, 4, 12])}, {}, "attention",
    ),
    "SkipLayerNormalization": (
        microsoft("SkipLayerNormalization", ["x", "z", "g"], epsilon=1e-5), {**X, "z": (F32, [2, 6, 8])}, {"g": ones(8, np.float32)},
        "layer_norm",
    ),
    "EmbedLayerNormalization": (
        microsoft("EmbedLayerNormalization", ["i", "", "w", "p", "", "g", "b"], 2), {"i": (I32, [2, 6])},
        {"w": ones((9, 8), np.float32), "p": ones((6, 8), np.float32), "g": ones(8, np.float32), "b": ones(8, np.float32)}, "unknown",
    ),
    "DynamicQuantizeMatMul": (
        microsoft("DynamicQuantizeMatMul", ["x", "w", "s", "q"]), X,
        {"w": ones((8, 5), np.uint8), "s": np.float32(1), "q": np.uint8(0)}, "fully_connected",
    ),
    "QLinearAdd": (microsoft("QLinearAdd", ["a", *PAIR, "a", *PAIR, *PAIR]), {"a": (U8, [2, 3])}, ONE, "add"),
    "QLinearSigmoid": (microsoft("QLinearSigmoid", ["a", *PAIR, *PAIR]), MAPS, ONE, "sigmoid"),
    "QLinearLeakyRelu": (microsoft("QLinearLeakyRelu", ["a", *PAIR, *PAIR], alpha=0.1), MAPS, ONE, "leaky_relu"),
    "QLinearSoftmax": (microsoft("QLinearSoftmax", ["a", *PAIR, *PAIR], opset=13, axis=-1), MAPS, ONE, "softmax"),
    "QLinearAveragePool": (
        microsoft("QLinearAveragePool", ["a", *PAIR, *PAIR], kernel_shape=[3, 3], strides=[2, 2]), MAPS, ONE, "average_pool2d",
    ),
    "QLinearGlobalAveragePool": (microsoft("QLinearGlobalAveragePool", ["a", *PAIR, *PAIR]), MAPS, ONE, "mean"),
    "QLinearConcat": (microsoft("QLinearConcat", [*PAIR, *["a", *PAIR] * 4], axis=1), MAPS, ONE, "concat"),
    "QLinearWhere": (
        microsoft("QLinearWhere", ["m", "a", *PAIR, "a", *PAIR, *PAIR]), MAPS, {**ONE, "m": np.ones((1, 1, 8, 1), np.bool_)}, "select",
    ),
    "QGemm": (
        microsoft("QGemm", ["a", *PAIR, "w", *PAIR, "b", *PAIR], transB=1), {"a": (U8, [3, 8])},
        {**ONE, "w": ones((5, 8), np.uint8), "b": ones(5, np.int32)}, "fully_connected",
    ),
    "GroupNormalization": (
        helper.make_node("GroupNormalization", ["c", "g", "g"], ["y0"], num_groups=2), {"c": (F32, [1, 4, 5, 5])},
        {"g": ones(2, np.float32)}, "group_norm",
    ),
    "MeanVarianceNormalization": (
        helper.make_node("MeanVarianceNormalization", ["c"], ["y0"]), {"c": (F32, [1, 4, 5, 5])}, {}, "unknown",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(_CASES))
def test_an_op_that_onnx_does_not_infer_has_the_shape_that_onnx_runtime_gives_it(name: str) -> None:
    node, inputs, constants, kind = _CASES[name]
    data = model([node], inputs, constants)
    graph = read_onnx(memoryview(data), "m.onnx")
    (read,) = graph.nodes
    assert read.kind == kind
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    types = {F32: np.float32, I32: np.int32, U8: np.uint8}
    given = {key: np.zeros(shape, types[dtype]) for key, (dtype, shape) in inputs.items()}
    assert [graph.tensors[index].shape for index in graph.outputs] == [
        value.shape for value in session.run(None, given)
    ]


def relu(name: str, overload: str, op: str) -> FunctionProto:
    made = helper.make_function(
        "local", name, ["x"], ["y"], [helper.make_node(op, ["x"], ["y"])], [helper.make_opsetid("", 18)]
    )
    made.overload = overload
    return made


def test_functions_of_one_name_are_told_by_their_overload() -> None:
    calls = [helper.make_node("f", ["x"], ["a"], domain="local"), helper.make_node("f", ["a"], ["y0"], domain="local")]
    calls[1].overload = "second"
    graph = read_onnx(memoryview(model(calls, X, {}, [relu("f", "", "Relu"), relu("f", "second", "Tanh")])), "m.onnx")
    assert [node.kind for node in graph.nodes] == ["relu", "tanh"]


def folded(op: str, *operands: Any, **attributes: Any) -> Graph:
    """An op on constants that is the shape of a ConstantOfShape."""
    constants = {f"c{n}": np.asarray(value, np.int64) for n, value in enumerate(operands)}
    nodes = [
        helper.make_node(op, list(constants), ["s"], **attributes),
        helper.make_node("ConstantOfShape", ["s"], ["y0"]),
    ]
    return read_onnx(memoryview(model(nodes, {}, constants)), "m.onnx")


@pytest.mark.parametrize(
    ("op", "operands", "attributes", "expected"),
    [
        ("Mod", ([7, 9], [-4, 5]), {"fmod": 1}, (3, 4)),
        ("ReduceSum", ([2, 3, 4], []), {"keepdims": 1}, (9,)),
        ("ReduceSum", ([2, 3, 4],), {"noop_with_empty_axes": 1}, (2, 3, 4)),
        ("ReduceProd", ([2, 3, 4],), {"keepdims": 1}, (24,)),
    ],
)
def test_shape_arithmetic_is_what_onnx_says(
    op: str, operands: tuple[Any, ...], attributes: dict[str, Any], expected: tuple[int, ...]
) -> None:
    assert folded(op, *operands, **attributes).tensors[-1].shape == expected


def test_parts_of_a_split_that_does_not_divide_differ() -> None:
    node = helper.make_node("Split", ["x"], ["y0", "y1", "y2"], axis=2, num_outputs=3)
    graph = read_onnx(memoryview(model([node], {"x": (F32, [1, 2, 8])}, {})), "m.onnx")
    assert graph.nodes[0].kind == "split_v" and graph.nodes[0].attributes["sizes"] == (3, 3, 2)
    assert [graph.tensors[index].shape for index in graph.outputs] == [(1, 2, 3), (1, 2, 3), (1, 2, 2)]


def test_a_type_that_is_not_known_has_no_vote_on_the_precision() -> None:
    nodes = [
        helper.make_node("Thing", ["x"], ["a"], domain="com.acme"),
        helper.make_node("MatMul", ["a", "w"], ["b"]),
        helper.make_node("MatMul", ["b", "w"], ["c"]),
        helper.make_node("MatMul", ["x", "w"], ["y0"]),
    ]
    assert read_onnx(memoryview(model(nodes, X, {"w": ones((8, 8), np.float32)})), "m.onnx").precision == "float32"


def test_an_lstm_with_dynamically_quantised_weights_is_one() -> None:
    """What ``onnxruntime.quantization.quantize_dynamic`` makes of an LSTM, with the sizes that ONNX Runtime gives it."""
    weights = [
        helper.make_tensor(name, TensorProto.INT8, shape, bytes(prod(shape)), raw=True)
        for name, shape in (("w", (2, 16, 32)), ("r", (2, 8, 32)))
    ]
    scales = [helper.make_tensor(name, TensorProto.FLOAT, (2,), [1.0, 1.0]) for name in ("ws", "rs")]
    zeros = [helper.make_tensor(name, TensorProto.INT8, (2,), [0, 0]) for name in ("wz", "rz")]
    inputs = ["x", "w", "r", "", "", "", "", "", "ws", "wz", "rs", "rz"]
    node = helper.make_node(
        "DynamicQuantizeLSTM", inputs, ["y", "h", "c"], domain="com.microsoft", hidden_size=8, direction="bidirectional"
    )
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, (5, 1, 16))
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "yhc"]
    graph = helper.make_graph([node], "g", [x], outputs, [*weights, *scales, *zeros])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    theirs = [each.shape for each in session.run(None, {"x": np.zeros((5, 1, 16), np.float32)})]
    found = read_onnx(memoryview(model), "m.onnx")
    assert [found.tensors[index].shape for index in found.outputs] == theirs == [(5, 2, 1, 8), (2, 1, 8), (2, 1, 8)]
    assert found.nodes[0].kind == "lstm" and macs(found, found.nodes[0]) == 5 * 2 * 32 * (16 + 8)
