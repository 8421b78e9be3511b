"""Costs of ONNX Runtime's kernels: every kind that is priced grows with work, and the bundled pack prices what exporters write."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper

from latlint.graph.onnx import read_onnx
from latlint.latency import engine
from latlint.latency.models.onnxruntime import MODEL, TERMS
from latlint.runtime import Kernel, plan
from latlint.training.clock import Timing
from latlint.training.onnx_blocks import generated
from latlint.training.profile_onnxruntime import node_times, profiling_ns, rows_of
from tests.targets import bundled

EXPORTED = Path(__file__).parents[1] / "exporters"
TARGET = "x86-64-avx512/cpu-1@onnxruntime"


@pytest.mark.parametrize("name", ["torch_legacy_resnet", "torch_legacy_vit", "torch_legacy_resnet_qdq"])
def test_an_exporters_model_is_predicted_as_it_is(name: str) -> None:
    graph = read_onnx(gzip.decompress((EXPORTED / f"{name}.onnx.gz").read_bytes()), name)
    target = bundled()[TARGET]
    found = engine.predict(graph, plan(graph, target.processor), target, model=name, sha256="")
    assert found.coverage > 0.9
    assert 0.05 < found.latency_ms < 100
    assert not any("as if converted" in note for note in found.notes)


def test_every_kernel_of_generated_networks_is_priced() -> None:
    target = bundled()[TARGET]
    seen = set()
    for name, content in generated(each=1):
        work = engine.workload(plan(read_onnx(content, name), target.processor))
        assert not work.unknown, name
        seen.update(kernel.implementation for kernel in work.plan.kernels)
    assert seen >= {
        "Conv",
        "Gemm",
        "QLinearConv",
        "QLinearAdd",
        "Softmax",
        "LayerNormalization",
        "ReorderOutput",
        "Transpose",
    }


def test_more_work_never_costs_less() -> None:
    target = bundled()[TARGET]
    theta = target.costs(MODEL)

    def ns(channels: int, size: int, layout: str) -> float:
        kernel = Kernel(
            "conv2d", "Conv", (0,), ((1, size, size, channels),), ((1, size, size, channels),),
            attributes={"kernel": (3, 3), "groups": 1, "stride": (1, 1), "layout": layout},
            macs=size * size * channels * channels * 9, weight_bytes=36 * channels * channels,
        )  # fmt: skip
        found = MODEL.price(kernel)
        assert found is not None
        return sum(count * float(theta[MODEL.index[name]]) for name, count in found.items())

    for layout in ("nchwc", ""):
        times = [ns(channels, 28, layout) for channels in (16, 32, 64, 128)]
        assert times == sorted(times) and times[-1] > 10 * times[0]
        assert ns(32, 56, layout) > 2 * ns(32, 28, layout)


def test_what_nobody_measured_is_unknown() -> None:
    assert MODEL.price(Kernel("unknown", "NonMaxSuppression", (0,), ((1, 8),), ((8,),))) is None
    assert MODEL.price(Kernel("relu", "Relu", (0,), ((1, 8),), ((1, 8),), sized=False)) is None
    assert all(name.startswith("ort.") for name in TERMS)


def test_a_profiles_nodes_are_summed_by_type() -> None:
    events = [{"cat": "Session", "name": "model_run", "dur": 99, "args": {}}]
    for name, op, times in (("a", "Conv", (5, 1, 9, 8)), ("b", "Conv", (3, 3, 3, 3)), ("c", "Relu", (2, 4, 4, 4))):
        events += [
            {"cat": "Node", "name": f"{name}_kernel_time", "dur": each, "args": {"op_name": op}} for each in times
        ]
    assert node_times(events) == {"Conv": 4000.0, "Relu": 2000.0}


def test_rows_are_whole_inferences_and_types_of_nodes() -> None:
    (name, content), *_ = generated(each=1)
    target = bundled()[TARGET]
    work = engine.workload(plan(read_onnx(content, name), target.processor))
    rows = rows_of([work], [Timing([2e6, 1e6], {"Conv": 5e5, "Gemm": 1.0})])
    assert rows.ns.tolist() == [1e6, 1e6, 1e6, 5e5]  # a type that takes next to nothing says nothing
    assert np.all(rows.counts[0] >= rows.counts[3])


def test_what_a_profile_adds_to_each_node_is_taken_off() -> None:
    contents = dict(generated(each=1))
    target = bundled()[TARGET]
    works = [
        engine.workload(plan(read_onnx(contents[name], name), target.processor))
        for name in ("plain-float32-0", "inverted-float32-0", "dense-float32-0")
    ]
    added, times = 1700.0, list[Timing]()
    for work, each_ns in zip(works, (400.0, 3000.0, 2e5), strict=True):
        ops = [kernel.implementation for kernel in work.plan.kernels if not kernel.free]
        spent = {op: each_ns * ops.count(op) for op in set(ops)}
        nodes = {op: ns + added * ops.count(op) for op, ns in spent.items()}
        times.append(Timing([sum(spent.values())], nodes if each_ns < 1e5 else spent))
    assert profiling_ns(works, times) == pytest.approx(added)
    assert profiling_ns(works[2:], times[2:]) == 0  # of large nodes nobody can tell
    rows = rows_of(works, times)
    inverted = rows.ns[rows.network == 1]
    whole, nodes = inverted[:3], inverted[3:]
    assert np.allclose(whole, times[1].best_ns)
    assert nodes.sum() == pytest.approx(times[1].best_ns, rel=0.05)  # but for what takes next to nothing


def in_control_flow(op: str, rounds: int) -> bytes:
    """A Sin of 64 values in each round of a Loop, on each step of a Scan, or in a branch."""
    value = helper.make_tensor_value_info
    state = (64,)
    sin, kept = helper.make_node("Sin", ["v"], ["w"]), helper.make_node("Identity", ["c"], ["d"])
    constants = [
        numpy_helper.from_array(np.array(rounds, np.int64), "n"),
        numpy_helper.from_array(np.zeros(state, np.float32), "h"),
    ]
    given = [value("x", 1, state)]
    if op == "Loop":
        ends = [value("i", 7, ()), value("c", 9, ()), value("v", 1, state)], [value("d", 9, ()), value("w", 1, state)]
        node = helper.make_node("Loop", ["n", "", "x"], ["y"], body=helper.make_graph([sin, kept], "b", *ends))
    elif op == "Scan":
        add = helper.make_node("Add", ["h0", "w"], ["h1"])
        ends = [value("h0", 1, state), value("v", 1, state)], [value("h1", 1, state), value("w", 1, state)]
        given = [value("x", 1, (rounds, *state))]
        node = helper.make_node(
            "Scan", ["h", "x"], ["y", "s"], body=helper.make_graph([sin, add], "b", *ends), num_scan_inputs=1
        )
    else:
        sin.input[0], given = "x", [*given, value("c", 9, ())]
        branches = [helper.make_graph([sin], name, [], [value("w", 1, state)]) for name in "ab"]
        node = helper.make_node("If", ["c"], ["y"], then_branch=branches[0], else_branch=branches[1])
    graph = helper.make_graph([node], "g", given, [value("y", 1, None)], constants)
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )


@pytest.mark.parametrize(
    ("op", "rounds", "microseconds"), [("Loop", 10, 14.6), ("Loop", 100, 88), ("Scan", 100, 83), ("If", 1, 7)]
)
def test_control_flow_takes_about_what_onnxruntime_takes(op: str, rounds: int, microseconds: float) -> None:
    """Measured with 1.32.0 on one x86-64 core with AVX-512: processor time, the least of many runs."""
    graph, target = read_onnx(in_control_flow(op, rounds), "m"), bundled()[TARGET]
    found = engine.predict(graph, plan(graph, target.processor), target, model="m", sha256="")
    assert not found.unknown
    assert 1 / 2 < found.latency_ms * 1000 / microseconds < 2


def test_a_transpose_of_nothing_takes_no_time_but_a_call() -> None:
    """Of rows of no elements none is as long as one."""
    target = bundled()["x86-64-avx512/cpu-1@onnxruntime"]
    node = helper.make_node("Transpose", ["x"], ["y"], perm=[1, 0, 2])
    ends = [helper.make_tensor_value_info("x", 1, [2, 3, 0])], [helper.make_tensor_value_info("y", 1, [3, 2, 0])]
    model = helper.make_model(helper.make_graph([node], "g", *ends), opset_imports=[helper.make_opsetid("", 21)])
    graph = read_onnx(model.SerializeToString(), "m.onnx")
    (kernel,) = engine.predict(graph, plan(graph, target.processor), target, model="m.onnx", sha256="").kernels
    assert kernel.latency_ms < 0.01
