"""Sizes that the data decide are not known, whatever the file says of them; those that constants and shapes decide are, by whatever ops.

The truth is what LiteRT and ONNX Runtime make of the same files.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from latlint.graph import Graph
from latlint.graph.onnx import read_onnx
from latlint.graph.tflite import read_tflite
from tests.graph.test_tflite import Body, Op, T, build, constant, weights
from tests.graph.test_tflite_sizes import sizes_benchmark

# --- .tflite --------------------------------------------------------------------------------------------------------------------------------

ROW, INTS = T((1, 16)), T((2,), "int32")
FROM = constant([0, 0])

#: The op, what it reads of: data, an operand that the app sets, constants; what the file says it writes.
BY_DATA: dict[str, tuple[Op, list[T]]] = {
    "RESHAPE": (Op("RESHAPE", [0, 1], [2]), [ROW, INTS, ROW]),
    "TILE": (Op("TILE", [0, 1], [2]), [ROW, INTS, ROW]),
    "PAD": (Op("PAD", [0, 1], [2]), [ROW, T((2, 2), "int32"), ROW]),
    "SLICE": (Op("SLICE", [0, 3, 1], [2]), [ROW, INTS, ROW, FROM]),
    "STRIDED_SLICE": (
        Op("STRIDED_SLICE", [0, 3, 1, 4], [2], ("StridedSliceOptions", {})), [ROW, INTS, ROW, FROM, constant([1, 1])],
    ),
    "RESIZE_BILINEAR": (
        Op("RESIZE_BILINEAR", [0, 1], [2], ("ResizeBilinearOptions", {})), [T((1, 8, 8, 4)), INTS, T((1, 8, 8, 4))],
    ),
    "MEAN": (Op("MEAN", [0, 1], [2], ("ReducerOptions", {"KeepDims": True})), [T((1, 8, 4)), INTS, T((1, 1, 4))]),
    "RANDOM_UNIFORM": (Op("RANDOM_UNIFORM", [1], [2], ("RandomOptions", {})), [ROW, INTS, ROW]),
    "SPLIT_V": (Op("SPLIT_V", [0, 1, 3], [2], ("SplitVOptions", {"NumSplits": 1})), [ROW, INTS, ROW, constant([1])]),
    "UNIQUE": (Op("UNIQUE", [1], [2, 3], ("UniqueOptions", {"IdxOutType": 2})), [ROW, INTS, INTS, INTS]),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_DATA)
def test_what_the_data_decide_is_open_in_tflite(name: str) -> None:
    op, tensors = BY_DATA[name]
    tensors = [*tensors, tensors[2]]
    last = len(tensors) - 1
    data = build(tensors, [op, Op("RELU", [2], [last])], inputs=(0, 1), outputs=(last,))
    assert read_tflite(data, "m.tflite").tensors[last].elements is None


def test_where_a_slice_begins_does_not_decide_its_size() -> None:
    tensors = [ROW, INTS, constant([1, 4]), T((1, 1))]
    read = read_tflite(build(tensors, [Op("SLICE", [0, 1, 2], [3])], inputs=(0, 1), outputs=(3,)), "m.tflite")
    assert read.tensors[3].shape == (1, 4)


def test_behind_an_input_without_a_rank_nothing_is_believed() -> None:
    tensors = [T(None), T((1, 8), has_rank=True), T((1, 8), has_rank=True)]
    read = read_tflite(build(tensors, [Op("RELU", [0], [1]), Op("RELU", [1], [2])], outputs=(2,)), "m.tflite")
    assert read.tensors[2].elements is None


FLOAT, INT = "float32", "int32"
Step = tuple[str, T | None, str, Any]


def number(value: float, dtype: str = INT) -> T:
    return T((), dtype, np.asarray(value, dtype))


#: What is done to the shape 1x70x6x4 before a FILL: the op, its constant, the type that it writes, its options.
ARITHMETIC: dict[str, list[Step]] = {
    "70 * 0.7 is 49 in float32": [
        ("CAST", None, FLOAT, None), ("MUL", number(0.7, FLOAT), FLOAT, ("MulOptions", {})), ("CAST", None, INT, None),
        ("MAXIMUM", number(1), INT, None),
    ],
    "a fused RELU": [
        ("SUB", constant([2, 2, 2, 2]), INT, ("SubOptions", {"FusedActivationFunction": 1})),
        ("ADD", number(1), INT, ("AddOptions", {})),
    ],
    "a fused RELU6": [("ADD", number(0), INT, ("AddOptions", {"FusedActivationFunction": 3}))],
    "a power": [("POW", number(2), INT, ("PowOptions", {})), ("MINIMUM", number(9), INT, None)],
    "a square": [("SQUARED_DIFFERENCE", number(3), INT, None), ("MINIMUM", number(9), INT, None), ("MAXIMUM", number(1), INT, None)],
    "exp of log": [
        ("CAST", None, FLOAT, None), ("LOG", None, FLOAT, None), ("EXP", None, FLOAT, None), ("ROUND", None, FLOAT, None),
        ("CAST", None, INT, None),
    ],
    "one over the root": [
        ("CAST", None, FLOAT, None), ("RSQRT", None, FLOAT, None), ("MUL", number(10, FLOAT), FLOAT, ("MulOptions", {})),
        ("CEIL", None, FLOAT, None), ("CAST", None, INT, None),
    ],
    "from behind": [("REVERSE_V2", constant([0]), INT, None)],
    "sums": [("CUMSUM", number(0), INT, ("CumsumOptions", {}))],
    "sums of those before": [("CUMSUM", number(0), INT, ("CumsumOptions", {"Exclusive": True})), ("MAXIMUM", number(1), INT, None)],
    "sums from behind": [("CUMSUM", number(0), INT, ("CumsumOptions", {"Reverse": True}))],
}  # fmt: skip


def filled(steps: list[Step]) -> bytes:
    tensors, ops, at = [T((1, 70, 6, 4)), T((4,), INT)], [Op("SHAPE", [0], [1], ("ShapeOptions", {"OutType": 2}))], 1
    for op, operand, dtype, options in steps:
        reads = [at]
        if operand is not None:
            reads.append(len(tensors))
            tensors.append(operand)
        at = len(tensors)
        tensors.append(T((4,), dtype))
        ops.append(Op(op, reads, [at], options))
    end = len(tensors)
    tensors += [number(1, FLOAT), T((1, 1, 1, 1))]
    return build(tensors, [*ops, Op("FILL", [at, end], [end + 1])], outputs=(end + 1,))


def picked() -> bytes:
    """Rows where a constant is not zero."""
    mask = T((6,), "bool", np.array([1, 0, 1, 1, 0, 0], bool))
    tensors = [T((6, 2)), mask, T((1, 1), "int64"), T((1, 1))]
    return build(tensors, [Op("WHERE", [1], [2]), Op("GATHER_ND", [0, 2], [3])], outputs=(3,))


def offset() -> bytes:
    """The end is told from where the slice begins."""
    tensors = [T((8, 8)), constant([2, 2]), constant([3, 3]), constant([1, 1]), T((1, 1))]
    op = Op("STRIDED_SLICE", [0, 1, 2, 3], [4], ("StridedSliceOptions", {"Offset": True}), 8)
    return build(tensors, [op], outputs=(4,))


@pytest.mark.parametrize("name", [*ARITHMETIC, "rows of a constant", "an offset"])
def test_what_constants_decide_is_what_litert_makes(
    name: str, tmp_path: Path, lacking: Callable[[str], NoReturn]
) -> None:
    if importlib.util.find_spec("ai_edge_litert") is None:
        lacking("needs ai-edge-litert, which says what LiteRT makes of a file")
    path = tmp_path / "m.tflite"
    path.write_bytes({"rows of a constant": picked, "an offset": offset}.get(name, lambda: filled(ARITHMETIC[name]))())
    state, counts, wrong = sizes_benchmark().compare(path)
    assert state.startswith("compared") and not wrong and not counts["unknown"]


def test_what_grows_from_round_to_round_has_no_known_size() -> None:
    """LiteRT makes 1x96 of it."""
    count, begun, grown = T((), INT), T((1, 16), signature=(1, -1)), T((1, 32), signature=(1, -1))
    condition = Body([count, begun, number(5), T((), "bool")], [Op("LESS", [0, 2], [3])], [0, 1], [3])
    body = Body(
        [count, begun, number(1), count, T((1, 16), FLOAT, np.zeros((1, 16), FLOAT)), grown],
        [
            Op("ADD", [0, 2], [3], ("AddOptions", {})),
            Op("CONCATENATION", [1, 4], [5], ("ConcatenationOptions", {"Axis": 1})),
        ],
        [0, 1],
        [3, 5],
    )
    loop = Op("WHILE", [1, 0], [2, 3], ("WhileOptions", {"CondSubgraphIndex": 1, "BodySubgraphIndex": 2}))
    tensors = [ROW, number(0), count, grown, grown]
    read = read_tflite(build(tensors, [loop, Op("RELU", [3], [4])], outputs=(4,), bodies=[condition, body]), "m.tflite")
    assert read.tensors[4].elements is None
    assert any(node.native == "CONCATENATION" and read.tensors[node.outputs[0]].elements is None for node in read.nodes)


def branches(one: Body, other: Body) -> Graph:
    op = Op("IF", [0, 1], [2], ("IfOptions", {"ThenSubgraphIndex": 1, "ElseSubgraphIndex": 2}))
    tensors = [T((), "bool"), ROW, ROW]
    return read_tflite(build(tensors, [op], inputs=(0, 1), outputs=(2,), bodies=[one, other]), "m.tflite")


def dense(units: int) -> Body:
    return Body([ROW, weights(units, 16), T((1, units))], [Op("FULLY_CONNECTED", [0, 1], [2])], [0], [2])


def test_branches_that_write_other_sizes_leave_the_size_open() -> None:
    read = branches(dense(16), dense(64))
    assert read.tensors[2].shape == (1, -1)


def test_a_branch_that_nobody_knows_outweighs_any_other() -> None:
    strange = Body([ROW, ROW], [Op("Mystery", [0], [1])], [0], [1])
    for pair in ((strange, dense(16)), (dense(16), strange)):
        assert [node.native for node in branches(*pair).nodes] == ["Mystery", "IF"]


def test_inputs_that_share_a_name_are_both_looked_at() -> None:
    tensors = [ROW, T((1, 1), signature=(1, -1)), ROW, T((1, 1), signature=(1, -1))]
    data = build(tensors, [Op("RELU", [0], [2]), Op("RELU", [1], [3])], inputs=(0, 1), outputs=(2, 3))
    assert [(size.tensor, size.axis) for size in read_tflite(data, "m.tflite").open_sizes] == [(1, 1)]


# --- .onnx ----------------------------------------------------------------------------------------------------------------------------------

F32, I64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
node = helper.make_node


def value(name: str, shape: Any = None, kind: int = F32) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def held(name: str, data: Any, kind: Any = np.int64) -> TensorProto:
    return numpy_helper.from_array(np.asarray(data, kind), name)


def onnx_model(
    nodes: list[Any], inputs: list[Any], constants: list[TensorProto], *, opset: int = 18, **more: Any
) -> bytes:
    graph = helper.make_graph(nodes, "g", inputs, [value("y")], constants, value_info=more.pop("declared", []))
    version = more.pop("ir_version", 10)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=version)
    return bytes(made.SerializeToString())


def read(data: bytes) -> Graph:
    return read_onnx(memoryview(data), "m.onnx")


X = value("x", [4, 16])
#: The op that writes ``t``, which the file says is 1x16, the input that decides its size, and what it may be.
STEERED: dict[str, tuple[Any, Any, list[Any]]] = {
    "Reshape": (node("Reshape", ["x", "s"], ["t"]), value("s", [2], I64), [[4, 16], [64, 1]]),
    "Tile": (node("Tile", ["x", "s"], ["t"]), value("s", [2], I64), [[1, 1], [2, 3]]),
    "Slice": (node("Slice", ["x", "zero", "s", "zero"], ["t"]), value("s", [1], I64), [[1], [3]]),
    "Pad": (node("Pad", ["x", "s"], ["t"]), value("s", [4], I64), [[0, 0, 0, 0], [1, 0, 0, 0]]),
    "ConstantOfShape": (node("ConstantOfShape", ["s"], ["t"]), value("s", [2], I64), [[1, 16], [3, 2]]),
    "Compress": (node("Compress", ["x", "s"], ["t"], axis=0), value("s", [4], BOOL), [[1, 0, 0, 0], [1, 1, 0, 1]]),
}


@pytest.mark.parametrize("op", STEERED)
def test_what_the_data_decide_is_open_in_onnx(op: str) -> None:
    made, steering, given = STEERED[op]
    data = onnx_model(
        [made, node("Relu", ["t"], ["y"])], [X, steering], [held("zero", [0])], declared=[value("t", [1, 16])]
    )
    graph = read(data)
    assert graph.tensors[graph.outputs[0]].elements is None
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    kind = np.bool_ if op == "Compress" else np.int64
    feeds = [{"x": np.zeros((4, 16), np.float32), "s": np.array(each, kind)} for each in given]
    assert (
        len(
            {session.run(None, {n: feed[n] for n in (i.name for i in session.get_inputs())})[0].shape for feed in feeds}
        )
        == 2
    )


SHAPED = [node("Shape", ["x"], ["s"])]
#: How 4x16 becomes the counts of a Tile, with the constants for it.
COUNTS: dict[str, tuple[list[Any], list[TensorProto]]] = {
    "Clip": ([node("Clip", ["s", "", "k"], ["n"])], [held("k", 3)]),
    "Split": ([node("Split", ["s"], ["a", "b"], num_outputs=2), node("Concat", ["b", "a"], ["n"], axis=0)], []),
    "ArgMax": ([node("ArgMax", ["s"], ["a"]), node("Concat", ["a", "k"], ["n"], axis=0)], [held("k", [2])]),
    "CumSum": ([node("CumSum", ["s", "k"], ["n"])], [held("k", 0)]),
    "Unique": ([node("Concat", ["k", "s", "s"], ["a"], axis=0), node("Unique", ["a"], ["n"])], [held("k", [])]),
    "Unique, as they come": (
        [node("Concat", ["s", "s"], ["a"], axis=0), node("Unique", ["a"], ["u", "", "i", "c"], sorted=0), node("Slice", ["i", "k", "l"], ["j"]),
         node("Add", ["j", "c"], ["n"])], [held("k", [0]), held("l", [2])],
    ),
    "Trilu": (
        [node("Unsqueeze", ["s", "k"], ["a"]), node("Concat", ["a", "a"], ["b"], axis=0), node("Trilu", ["b", "d"], ["e"], upper=0),
         node("ReduceSum", ["e", "k"], ["n"], keepdims=0)], [held("k", [0]), held("d", 0)],
    ),
    "GatherND": ([node("GatherND", ["s", "k"], ["n"])], [held("k", [[1], [0]])]),
    "GatherElements": ([node("GatherElements", ["s", "k"], ["n"])], [held("k", [1, 1])]),
    "ScatterElements": ([node("ScatterElements", ["s", "k", "u"], ["n"])], [held("k", [1]), held("u", [2])]),
    "ScatterND": ([node("ScatterND", ["s", "k", "u"], ["n"])], [held("k", [[1]]), held("u", [2])]),
    "Pad": (
        [node("Slice", ["s", "k", "e"], ["a"]), node("Pad", ["a", "p", "v"], ["n"])],
        [held("k", [0]), held("e", [1]), held("p", [0, 1]), held("v", 3)],
    ),
    "Log, Exp, Round": (
        [
            node("Cast", ["s"], ["a"], to=F32), node("Log", ["a"], ["b"]), node("Exp", ["b"], ["c"]), node("Round", ["c"], ["d"]),
            node("Cast", ["d"], ["n"], to=I64),
        ],
        [],
    ),
    "ReduceMean": (
        [node("ReduceMean", ["s"], ["a"], keepdims=1), node("Concat", ["a", "k"], ["n"], axis=0)], [held("k", [1])],
    ),
    "NonZero": ([node("NonZero", ["k"], ["a"]), node("Shape", ["a"], ["n"])], [held("k", [1, 0, 1, 1])]),
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
def test_what_constants_decide_is_what_onnx_runtime_makes(name: str) -> None:
    """Split is how tf2onnx writes the padding of what it turns round."""
    nodes, constants = COUNTS[name]
    data = onnx_model([*SHAPED, *nodes, node("Tile", ["x", "n"], ["y"])], [X], constants)
    graph = read(data)
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (made,) = session.run(None, {"x": np.zeros((4, 16), np.float32)})
    assert graph.tensors[graph.outputs[0]].shape == made.shape


def carried(count: int | None, *nodes: Any, condition: Any = None) -> bytes:
    """``x`` through a Loop of ``count`` rounds."""
    body = helper.make_graph(
        [*nodes, node("Identity", ["c"], ["again"])],
        "body",
        [value("i", [], I64), value("c", [], BOOL), value("h")],
        [value("again", [], BOOL), value("next")],
    )
    names = ["count" if count is not None else "", "condition" if condition is not None else "", "x"]
    constants = [held("count", count)] if count is not None else []
    constants += [held("condition", condition, bool)] if condition is not None else []
    return onnx_model([node("Loop", names, ["t"], body=body), node("Relu", ["t"], ["y"])], [X], constants)


def test_a_state_that_grows_has_no_known_size_but_after_one_round() -> None:
    twice = node("Concat", ["h", "h"], ["next"], axis=0)
    graphs = [read(carried(count, twice)) for count in (1, 5)]
    assert [graph.tensors[graph.outputs[0]].shape for graph in graphs] == [(8, 16), (-1, 16)]
    assert [graph.tensors[graph.nodes[0].outputs[0]].elements is None for graph in graphs] == [False, True]


@pytest.mark.parametrize(("count", "condition"), [(0, None), (None, False)])
def test_a_loop_that_never_begins_hands_on_what_it_got(count: int | None, condition: bool | None) -> None:
    from latlint.runtime.convert import as_tflite

    graph = read(carried(count, node("Concat", ["h", "h"], ["next"], axis=0), condition=condition))
    assert [each.kind for each in graph.nodes] == ["while", "relu"]
    assert graph.tensors[graph.outputs[0]].shape == (4, 16)
    assert as_tflite(graph).nodes


def choice(one: list[Any], other: list[Any], constants: list[TensorProto]) -> Graph:
    graphs = [helper.make_graph(nodes, "branch", [], [value(nodes[-1].output[0])]) for nodes in (one, other)]
    op = node("If", ["c"], ["t"], then_branch=graphs[0], else_branch=graphs[1])
    return read(onnx_model([op, node("Relu", ["t"], ["y"])], [X, value("c", [], BOOL)], constants))


PLAIN = [node("Relu", ["x"], ["a"])]
PRODUCT = [node("MatMul", ["x", "w"], ["b"])]


def test_branches_of_an_if_that_write_other_sizes_leave_the_size_open() -> None:
    graph = choice(PLAIN, PRODUCT, [held("w", np.ones((16, 8)), np.float32)])
    assert graph.tensors[graph.outputs[0]].shape == (4, -1)


@pytest.mark.parametrize(
    "strange",
    [
        [node("Mystery", ["x"], ["a"], domain="acme")],
        [node("NonZero", ["x"], ["n"]), node("Cast", ["n"], ["a"], to=F32)],
        [node("Det", ["q"], ["a"])],
    ],
    ids=["an op of somebody's", "a size by the data", "an op without a price"],
)
def test_a_branch_of_an_if_that_nobody_knows_outweighs_any_other(strange: list[Any]) -> None:
    weights_ = [held("w", np.ones((16, 8)), np.float32), held("q", np.ones((2, 2)), np.float32)]
    for pair in ((strange, PRODUCT), (PRODUCT, strange)):
        natives = [each.native.rpartition("::")[2] for each in choice(*pair, weights_).nodes]
        assert strange[0].op_type in natives and "MatMul" not in natives


@pytest.mark.parametrize(("opset", "ir_version", "kind"), [(99, 10, "unknown"), (18, 99, "unknown"), (18, 10, "relu")])
def test_of_versions_that_onnx_does_not_know_nothing_is_known(opset: int, ir_version: int, kind: str) -> None:
    graph = read(onnx_model([node("Relu", ["x"], ["y"])], [X], [], opset=opset, ir_version=ir_version))
    assert graph.nodes[0].kind == kind
    assert ("update the package onnx" in " ".join(graph.notes)) == (kind == "unknown")


RECURRENT = node("GRU", ["x", "w", "r"], ["y"], hidden_size=4)


@pytest.mark.parametrize(
    ("dims", "op", "unstated"),
    [
        (["N", 16], node("Relu", ["x"], ["y"]), False),
        ([None, 16], node("Relu", ["x"], ["y"]), False),
        (["sequence", 16], node("Relu", ["x"], ["y"]), True),
        (["T", 16], node("Relu", ["x"], ["y"]), True),
        (["batch_seq", 16], node("Relu", ["x"], ["y"]), False),
        ([1, "N"], node("Relu", ["x"], ["y"]), True),
        (["samples"], node("Relu", ["x"], ["y"]), True),
        (["batch"], node("Relu", ["x"], ["y"]), False),
        (["N", 1, 16], RECURRENT, True),
    ],
)
def test_which_open_size_is_the_batch(dims: list[Any], op: Any, unstated: bool) -> None:
    constants = [held("w", np.zeros((1, 12, 16)), np.float32), held("r", np.zeros((1, 12, 4)), np.float32)]
    assert bool(read(onnx_model([op], [value("x", dims)], constants)).unstated) == unstated


def test_the_only_size_of_an_input_is_the_batch_where_another_inputs_is() -> None:
    ops = [node("Relu", ["x"], ["a"]), node("Relu", ["z"], ["b"]), node("Add", ["a", "b"], ["y"])]
    assert not read(onnx_model(ops, [value("x", ["N", 1]), value("z", ["N"])], [])).unstated
