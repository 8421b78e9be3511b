"""The graphs that ONNX's If, Loop and Scan run are part of the graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import GraphProto, NodeProto, TensorProto, helper, load, numpy_helper

import latlint
from latlint.checks.budgets import doubts
from latlint.errors import LatlintError
from latlint.graph import Graph, onnx_bodies, onnx_shapes
from latlint.graph.onnx import read_onnx
from latlint.graph.onnx_shapes import Inference
from latlint.settings import Settings

onnxruntime = pytest.importorskip("onnxruntime")

F32, I64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
node = helper.make_node


def value(name: str, shape: Sequence[int] | None = None, kind: int = F32) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name: str, data: Any, kind: Any = np.float32) -> TensorProto:
    return numpy_helper.from_array(np.asarray(data, kind), name)


def body(
    nodes: Sequence[NodeProto], inputs: Sequence[Any], outputs: Sequence[Any], constants: Sequence[TensorProto] = ()
) -> GraphProto:
    return helper.make_graph(list(nodes), "body", list(inputs), list(outputs), list(constants))


def model(
    nodes: Sequence[NodeProto], inputs: Sequence[Any], outputs: Sequence[Any], constants: Sequence[TensorProto] = ()
) -> bytes:
    graph = helper.make_graph(list(nodes), "g", list(inputs), list(outputs), list(constants))
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()
    )


def read(data: bytes) -> Graph:
    return read_onnx(memoryview(data), "m.onnx")


def shapes_of_runtime(data: bytes, **inputs: Any) -> list[tuple[int, ...]]:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return [result.shape for result in session.run(None, inputs)]


WEIGHTS = constant("w", np.ones((8, 8)))
STEP = [node("MatMul", ["state", "w"], ["m"]), node("Relu", ["m"], ["next"])]


def loop(condition: Sequence[NodeProto], asked: str, most: int | None, *more: TensorProto) -> bytes:
    """``while asked and i < most: state = relu(state @ w)``; each state is also an output."""
    inner = body(
        [*STEP, *condition, node("Identity", ["next"], ["seen"])],
        [value("i", [], I64), value("go", [], BOOL), value("state", [1, 8])],
        [value(asked, [], BOOL), value("next", [1, 8]), value("seen", [1, 8])],
    )
    ops = [
        node("Loop", ["most" if most is not None else "", "true", "x"], ["last", "all"], body=inner),
        node("Tanh", ["all"], ["y"]),
    ]
    given = [WEIGHTS, constant("true", True, bool), *more] + (
        [constant("most", most, np.int64)] if most is not None else []
    )
    return model(ops, [value("x", [1, 8])], [value("last"), value("y")], given)


COUNTED = [node("Add", ["i", "one"], ["j"]), node("Less", ["j", "limit"], ["on"])]
ONE = constant("one", 1, np.int64)


@pytest.mark.parametrize(
    ("condition", "asked", "most", "more", "count"),
    [
        ([node("Identity", ["go"], ["on"])], "on", 7, (), 7),
        (COUNTED, "on", None, (ONE, constant("limit", 5, np.int64)), 5),
        (COUNTED, "on", 3, (ONE, constant("limit", 5, np.int64)), 3),
        ([node("Less", ["i", "limit"], ["on"])], "on", 100, (constant("limit", 5, np.int64),), 6),
    ],
)
def test_a_loop_runs_as_often_as_onnx_runtime_runs_it(
    condition: list[NodeProto], asked: str, most: int | None, more: tuple[TensorProto, ...], count: int
) -> None:
    data = loop(condition, asked, most, *more)
    graph = read(data)
    (closing,) = (n for n in graph.nodes if n.kind == "while")
    assert closing.attributes["followed"] and closing.attributes["trips"] == count
    assert {n.repeat for n in graph.nodes if n.inner} == {count} and graph.nodes[-1].repeat == 1
    assert [graph.tensors[i].shape for i in graph.outputs] == shapes_of_runtime(data, x=np.ones((1, 8), np.float32))
    assert {n.kind for n in graph.nodes} >= {"fully_connected", "relu", "while", "tanh"}


@pytest.mark.parametrize(("factor", "limit", "count"), [(3, 100, 5), (2, 64, 6), (1, 64, None)])
def test_a_counter_may_be_multiplied(factor: int, limit: int, count: int | None) -> None:
    """``while n < limit: n *= factor``, asked after each step, as ONNX has it. Where it ends, ONNX Runtime's count is the same."""
    inner = body(
        [
            *STEP,
            node("Mul", ["n", "f"], ["n2"]),
            node("Less", ["n2", "limit"], ["on"]),
            node("Identity", ["next"], ["seen"]),
        ],
        [value("i", [], I64), value("go", [], BOOL), value("state", [1, 8]), value("n", [], I64)],
        [value("on", [], BOOL), value("next", [1, 8]), value("n2", [], I64), value("seen", [1, 8])],
    )
    given = [
        WEIGHTS,
        constant("true", True, bool),
        *(constant(n, v, np.int64) for n, v in (("begin", 1), ("f", factor), ("limit", limit))),
    ]
    whole = node("Loop", ["", "true", "x", "begin"], ["last", "n9", "all"], body=inner)
    data = model([whole], [value("x", [1, 8])], [value("last"), value("all")], given)
    graph = read(data)
    assert {n.repeat for n in graph.nodes if n.inner} == {count}
    if count:
        assert shapes_of_runtime(data, x=np.ones((1, 8), np.float32)) == [(1, 8), (count, 1, 8)]


def test_a_count_that_the_data_decide_is_not_known() -> None:
    sums = [node("ReduceSum", ["next"], ["sum"], keepdims=0), node("Less", ["sum", "limit"], ["on"])]
    graph = read(loop(sums, "on", 9, constant("limit", 1.0)))
    assert {n.repeat for n in graph.nodes if n.inner} == {None}
    assert graph.tensors[graph.outputs[1]].shape == (-1, 1, 8)


def test_a_scan_runs_over_its_inputs_axis() -> None:
    inner = body(
        [
            node("Add", ["state", "slice"], ["sum"]),
            node("MatMul", ["sum", "w"], ["next"]),
            node("Identity", ["next"], ["seen"]),
        ],
        [value("state", [1, 8]), value("slice", [1, 8])],
        [value("next", [1, 8]), value("seen", [1, 8])],
    )
    scan = node(
        "Scan", ["h", "x"], ["last", "y"], body=inner, num_scan_inputs=1, scan_input_axes=[1], scan_output_axes=[1]
    )
    data = model([scan], [value("h", [1, 8]), value("x", [1, 11, 8])], [value("last"), value("y")], [WEIGHTS])
    graph = read(data)
    assert {n.repeat for n in graph.nodes} == {11}
    given = {"h": np.ones((1, 8), np.float32), "x": np.ones((1, 11, 8), np.float32)}
    assert [graph.tensors[i].shape for i in graph.outputs] == shapes_of_runtime(data, **given)


def branches(condition: TensorProto | None) -> bytes:
    light = body([node("Relu", ["x"], ["a"])], [], [value("a", [1, 8])])
    inner = body(
        [node("MatMul", ["x", "w"], ["b"]), node("MatMul", ["b", "w"], ["c"])],
        [],
        [value("c", [1, 8])],
        [constant("w", np.ones((8, 8)))],
    )
    op = node("If", ["if"], ["out"], name="choice", then_branch=light, else_branch=inner)
    inputs = [value("x", [1, 8])] + ([] if condition is not None else [value("if", [], BOOL)])
    return model([op, node("Tanh", ["out"], ["y"])], inputs, [value("y")], [] if condition is None else [condition])


def test_the_heavier_branch_counts() -> None:
    graph = read(branches(None))
    assert [n.kind for n in graph.nodes] == ["fully_connected", "fully_connected", "if", "tanh"]
    assert [n.index for n in graph.nodes] == [0, 1, 2, 3]
    assert graph.nodes[2].attributes["branch"] == "else" and len(graph.nodes[2].inputs) == 2
    assert graph.notes == ("of the branches of 'choice' the heavier one (else) is counted",)
    assert graph.tensors[graph.outputs[0]].shape == (1, 8)


def idle(*asked: str) -> bytes:
    """An If whose graphs write nothing."""
    graph = body([node("Relu", ["x"], ["a"])], [], [])
    ops = [node("If", asked, [], then_branch=graph, else_branch=graph), node("Tanh", ["x"], ["y"])]
    return model(ops, [value("x", [1, 8]), value("c", [], BOOL)], [value("y")])


def test_an_if_that_writes_nothing_is_read() -> None:
    """Fuzzing found it."""
    assert [n.kind for n in read(idle("c")).nodes] == ["relu", "if", "tanh"]


@pytest.mark.parametrize(
    ("op", "inputs", "words"),
    [("If", [], "1"), ("If", [""], "1"), ("Loop", ["m"], "at least 2"), ("Scan", [], "at least 1")],
)
def test_control_flow_lacks_what_it_runs_by(op: str, inputs: list[str], words: str) -> None:
    """ONNX Runtime refuses an If without a condition, too."""
    graph = body([node("Relu", ["x"], ["a"])], [], [value("a", [1, 8])])
    names = ("then_branch", "else_branch") if op == "If" else ("body",)
    more = {"num_scan_inputs": 1} if op == "Scan" else {}
    made = node(op, inputs, ["y"], **dict.fromkeys(names, graph), **more)
    data = model([made], [value("x", [1, 8]), value("m", [], I64)], [value("y")])
    with pytest.raises(LatlintError, match=f"{op} takes {words}") as caught:
        read(data)
    assert caught.value.code == "LAT007"
    with pytest.raises(Exception, match=op):
        shapes_of_runtime(data, x=np.zeros((1, 8), np.float32), m=np.int64(1))


def squeezed(
    inner: Sequence[NodeProto], else_nodes: Sequence[NodeProto], more: Sequence[NodeProto] = (), last: Any = 8
) -> bytes:
    """``x`` of 1x8 without a dimension, if that is one: an If as PyTorch's exporter writes it around a Squeeze. ``last``: how the file states the 8."""
    branch = [body(nodes, [], [value(nodes[-1].output[0])]) for nodes in (inner, else_nodes)]
    ops = [
        node("Relu", ["x"], ["a"]),
        node("Shape", ["a"], ["shape"]),
        node("Gather", ["shape", "zero"], ["size"]),
        node("Equal", ["size", "one"], ["c"]),
        node("If", ["c"], ["r"], name="choice", then_branch=branch[0], else_branch=branch[1]),
        node("Tanh", ["r"], ["y"]),
    ]
    given = [constant("zero", 0, np.int64), constant("one", 1, np.int64), constant("axis", [0], np.int64)]
    return model([*ops, *more], [value("x", [1, last])], [value("y"), *(value(n.output[0]) for n in more)], given)


SQUEEZE = [node("Squeeze", ["a", "axis"], ["s"])]
SAME = [node("Identity", ["a"], ["s"])]
NESTED = [
    node("If", ["c"], ["n"], then_branch=body(SQUEEZE, [], [value("s")]), else_branch=body(SAME, [], [value("s")]))
]


@pytest.mark.parametrize(
    ("data", "kinds"),
    [
        (squeezed(SQUEEZE, SAME), ["relu", "squeeze", "tanh"]),
        (squeezed(SAME, SQUEEZE), ["relu", "identity", "tanh"]),
        (squeezed(NESTED, SAME), ["relu", "squeeze", "tanh"]),
        # what others read as well stays
        (
            squeezed(SQUEEZE, SAME, [node("Cast", ["size"], ["z"], to=F32)]),
            ["relu", "shape", "gather", "squeeze", "tanh", "cast"],
        ),
        (branches(constant("if", True, bool)), ["relu", "tanh"]),
    ],
)
def test_the_branch_that_is_decided_stands_in_the_place_of_its_if(data: bytes, kinds: list[str]) -> None:
    graph = read(data)
    assert [n.kind for n in graph.nodes] == kinds and not graph.notes
    assert not any(n.inner for n in graph.nodes)
    written = {i for n in graph.nodes for i in n.outputs}
    assert all(i in written or i in graph.inputs or graph.tensors[i].constant for n in graph.nodes for i in n.inputs)


def chained() -> bytes:
    """What one If hands on is the condition of another."""
    answers = [node("Not", ["c"], ["no"])], [node("Identity", ["c"], ["yes"])]
    first = [body(nodes, [], [value(nodes[0].output[0], [], BOOL)]) for nodes in answers]
    second = [body([node(op, ["x"], ["r"])], [], [value("r")]) for op in ("Relu", "Neg")]
    ops = [
        node("If", ["c"], ["d"], then_branch=first[0], else_branch=first[1]),
        node("If", ["d"], ["s"], then_branch=second[0], else_branch=second[1]),
        node("Tanh", ["s"], ["y"]),
    ]
    return model(ops, [value("x", [1, 8])], [value("y")], [constant("c", True, bool)])


@pytest.mark.parametrize(
    ("data", "ifs"),
    [
        *((squeezed(inner, SAME), 0) for inner in (SQUEEZE, SAME, NESTED)),
        (squeezed(SQUEEZE, SAME, last="n"), 1),
        (chained(), 0),
    ],
)
def test_onnx_runtime_puts_the_branch_in_the_place_of_its_if(tmp_path: Path, data: bytes, ifs: int) -> None:
    """Not where a size is open, though it is another one that the condition asks for."""
    from latlint.runtime import Processor, plan

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    saved = load(options.optimized_model_filepath)
    planned = plan(read(data), Processor("cpu-1", "onnxruntime-1.32/cpu", "cpu", "x86"))
    run = [kernel.implementation for kernel in planned.kernels if kernel.implementation != "none"]
    nodes = [n for n in saved.graph.node if n.op_type != "If"]
    branches = [n for each in saved.graph.node for a in each.attribute if a.name == "then_branch" for n in a.g.node]
    assert Counter(run) == Counter([*(n.op_type for n in (*nodes, *branches)), *["If"] * ifs])


def test_a_loop_within_a_loop_multiplies() -> None:
    deep = body(
        [node("Relu", ["s"], ["t"]), node("Identity", ["g"], ["h"])],
        [value("k", [], I64), value("g", [], BOOL), value("s", [1, 8])],
        [value("h", [], BOOL), value("t", [1, 8])],
    )
    inner = body(
        [node("Loop", ["three", "go", "state"], ["next"], body=deep), node("Identity", ["go"], ["on"])],
        [value("i", [], I64), value("go", [], BOOL), value("state", [1, 8])],
        [value("on", [], BOOL), value("next", [1, 8])],
    )
    given = [constant("three", 3, np.int64), constant("five", 5, np.int64)]
    graph = read(model([node("Loop", ["five", "", "x"], ["y"], body=inner)], [value("x", [1, 8])], [value("y")], given))
    (relu,) = (n for n in graph.nodes if n.kind == "relu")
    assert relu.repeat in (15, None)


def nested_loop(rounds: int) -> bytes:
    """A loop of as many rounds as the data decide, in each of which another one runs a Relu ``rounds`` times."""
    deep = body(
        [node("Relu", ["s"], ["t"]), node("Identity", ["g"], ["h"])],
        [value("k", [], I64), value("g", [], BOOL), value("s", [1, 8])],
        [value("h", [], BOOL), value("t", [1, 8])],
    )
    inner = body(
        [
            node("Loop", ["rounds", "", "state"], ["next"], body=deep),
            node("ReduceSum", ["next"], ["sum"], keepdims=0),
            node("Less", ["sum", "limit"], ["on"]),
        ],
        [value("i", [], I64), value("go", [], BOOL), value("state", [1, 8])],
        [value("on", [], BOOL), value("next", [1, 8])],
    )
    given = [constant("rounds", rounds, np.int64), constant("limit", 1.0), constant("go", True, bool)]
    return model([node("Loop", ["", "go", "x"], ["y"], body=inner)], [value("x", [1, 8])], [value("y")], given)


def test_a_loop_within_a_loop_of_unknown_length_counts_the_rounds_that_are_known() -> None:
    data = nested_loop(3)
    (relu,) = (n for n in read(data).nodes if n.kind == "relu")
    assert (relu.repeat, relu.in_round) == (None, 3)
    kernels = plans(data).kernels
    assert [kernel.repeat for kernel in kernels if kernel.op == "relu"] == [3]
    assert [kernel.sized for kernel in kernels if kernel.op == "while"] == [False, False]


def test_a_loop_that_never_begins_within_one_of_unknown_length_has_no_body() -> None:
    data = nested_loop(0)
    assert [n.kind for n in read(data).nodes if n.kind in ("relu", "while")] == ["while", "while"]


def plans(data: bytes) -> Any:
    from latlint.runtime import Processor, plan

    return plan(read(data), Processor("cpu-1large", "tflite-2.10/builtin", "cpu", "arm"))


def test_a_plan_runs_a_loops_kernels_once_a_round() -> None:
    planned = plans(loop([node("Identity", ["go"], ["on"])], "on", 7))
    product = next(kernel for kernel in planned.kernels if kernel.op == "fully_connected")
    assert (product.repeat, product.macs, product.sized) == (7, 64, True)
    assert all(partition.executor == "builtin" for partition in planned.partitions)


@pytest.mark.parametrize(
    "target", ["pixel-4/cpu-1large", "pixel-4/gpu", "galaxy-s24/npu@litert", "x86-64-avx512/cpu-1@onnxruntime"]
)
def test_a_loop_of_unknown_length_is_unknown_and_what_it_runs_is_counted_once(tmp_path: Path, target: str) -> None:
    sums = [node("ReduceSum", ["next"], ["sum"], keepdims=0), node("Less", ["sum", "limit"], ["on"])]
    file = tmp_path / "loop.onnx"
    file.write_bytes(loop(sums, "on", 9, constant("limit", 1.0)))
    (prediction,) = latlint.predict(file, target)
    assert prediction.unknown.keys() == {"Loop", "Tanh"}  # as many rows as there were rounds are behind it
    product = next(kernel for kernel in prediction.kernels if kernel.op == "fully_connected")
    assert product.latency_ms > 0 and product.macs == 64 and "counted once" in product.explain[-1]
    assert next(kernel for kernel in prediction.kernels if kernel.op == "while").reason.startswith("how often it runs")
    (doubt,) = doubts(prediction, Settings(min_coverage=0.0))
    assert "one round of each loop" in doubt.reason and "the graph fixes" in doubt.advice


@pytest.mark.parametrize("read_states", ["y", "h", "yhc"])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_which_state_of_a_recurrent_layer_is_read_changes_no_work(read_states: str, direction: str) -> None:
    both = 2 if direction == "bidirectional" else 1
    outputs = [name if name in read_states else "" for name in "yhc"]
    op = node("LSTM", ["x", "W", "R"], outputs, hidden_size=16, direction=direction)
    weights = [constant("W", np.zeros((both, 64, 8))), constant("R", np.zeros((both, 64, 16)))]
    (kernel,) = plans(model([op], [value("x", [5, 1, 8])], [value(name) for name in read_states], weights)).kernels
    assert (kernel.op, kernel.macs, kernel.sized) == ("lstm", both * 5 * 64 * 24, True)


def nested(depth: int, innermost: list[NodeProto], rounds: int, *, grows: bool) -> bytes:
    """Loops within loops, each of which begins with the model's input; what they hold doubles each round where it ``grows``."""

    def made(level: int) -> GraphProto:
        inner = innermost if level == depth else [node("Loop", ["m", "t", "x"], [f"l{level}"], body=made(level + 1))]
        step = node("Concat", ["a", "a"], ["o"], axis=0) if grows else node("Relu", ["a"], ["o"])
        return body(
            [step, *inner, node("Identity", ["c"], ["d"])],
            [value("i", [], I64), value("c", [], BOOL), value("a", [2, 2])],
            [value("d", [], BOOL), value("o")],
        )

    loops = node("Loop", ["m", "t", "x"], ["y"], body=made(1))
    return model(
        [loops], [value("x", [2, 2])], [value("y")], [constant("m", rounds, np.int64), constant("t", True, bool)]
    )


@pytest.mark.parametrize(("depth", "known"), [(3, True), (14, False)])
def test_loops_within_loops_that_grow_are_inferred_anew_within_a_bound(
    depth: int, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each loop infers anew all that is in it: 2^14 times what is in the innermost of 14."""
    inner = [node("Relu", ["a" if j == 0 else f"r{j - 1}"], [f"r{j}"]) for j in range(10)]
    monkeypatch.setattr(onnx_shapes, "_MAX_SPENT", 10_000)
    asked = []
    infer = Inference.node
    monkeypatch.setattr(Inference, "node", lambda self, *given: (asked.append(1), infer(self, *given))[1])
    graph = read(nested(depth, inner, grows=True, rounds=4))
    assert len(asked) < 5000
    last = [node for node in graph.nodes if node.kind == "relu"][-1]
    assert graph.tensors[last.outputs[0]].shape == ((-1, 2) if known else None)
    loops = [node for node in graph.nodes if node.kind == "while"]
    assert [node.attributes["trips"] for node in loops].count(4) == (depth if known else 1)


def test_what_branches_within_branches_compute_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def made(level: int) -> list[NodeProto]:
        if level == 12:
            return [node("Relu", ["x"], ["y12"])]
        other = body([node("Tanh", ["x"], ["e"])], [], [value("e")])
        inner = body(made(level + 1), [], [value(f"y{level + 1}")])
        return [node("If", ["c"], [f"y{level}"], then_branch=inner, else_branch=other)]

    asked = []
    weigh = onnx_bodies._work
    monkeypatch.setattr(onnx_bodies, "_work", lambda *given: (asked.append(1), weigh(*given))[1])
    graph = read(model(made(0), [value("x", [2, 2]), value("c", [], BOOL)], [value("y0")]))
    assert len([node for node in graph.nodes if node.kind == "if"]) == 12
    assert len(asked) < 30


@pytest.mark.parametrize("target", ["pixel-4/gpu", "x86-64-avx512/cpu-1@onnxruntime"])
@pytest.mark.filterwarnings("error")
def test_more_rounds_than_64_bits_count_are_unknown_of_loops_together(tmp_path: Path, target: str) -> None:
    """2^868 rounds are as many as nobody knows: floats run over."""
    file = tmp_path / "loops.onnx"
    file.write_bytes(nested(14, [node("Relu", ["a"], ["r"])], grows=False, rounds=2**62))
    graph = read(file.read_bytes())
    counted = [(node.repeat, node.in_round) for node in graph.nodes if node.kind == "relu"]
    assert max(often for _, often in counted) == 2**62
    assert {often for often, _ in counted} == {None, 2**62}
    (prediction,) = latlint.predict(file, target)
    assert 0 < prediction.latency_ms < float("inf")
