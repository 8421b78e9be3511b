"""A device of one's own: profiles are read as they are written, and the costs of a made-up device are found again."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from time import process_time
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from latlint.errors import LatlintError
from latlint.graph import read
from latlint.graph.types import Graph
from latlint.latency.engine import times, workload
from latlint.latency.packs import Target, read_pack, write_pack
from latlint.runtime import plan
from latlint.training import hierarchy
from latlint.training.columns import Columns
from latlint.training.measurements import kernel_name
from latlint.training.user.build import MIN_MODELS, Built, Donor, Wanted, bounds, build, of_version, once, parts_of
from latlint.training.user.matching import kernel_times
from latlint.training.user.readers import OpTime, Profile, read_all
from latlint.training.user.transfer import (
    Costs,
    Queue,
    Samples,
    Strength,
    _most_probable,
    _Parts,
    _Problem,
    _spans,
    directions,
    fit,
    predicted_ns,
    whole_times,
)
from tests.targets import bundled, phones

Model = Callable[[str], Path]
DATA = Path(__file__).parent / "data"
SMALL = (
    "mobilenet_v2.tflite",
    "mobilenet_v2.onnx",
    "mobilenet_v2_025_f16.tflite",
    "mobilenet_v3_small.tflite",
    "one_gelu.tflite",
    "resnet18.onnx",
    "shufflenet_v2_05.tflite",
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def targets() -> dict[str, Target]:
    return phones()


# --------------------------------------------------------------------------------------------------------------- readers


def ops_of(graph: Graph, target: Target, slower: float = 1.0) -> list[tuple[str, str, float]]:
    """Type, name and milliseconds of every op, as benchmark_model names them, from predictions."""
    planned = plan(graph, target.processor)
    found = times(workload(planned), target)
    return [
        (node.native, f"[{graph.tensors[node.outputs[0]].name}]:{node.index}", slower * float(found.kernels[position]))
        for position, kernel in enumerate(planned.kernels)
        for node in (graph.nodes[kernel.nodes[0]],)
    ]


def report(ops: Sequence[tuple[str, str, float]], total_ms: float, model: str) -> str:
    """What benchmark_model prints with --enable_op_profiling=true."""
    header = "\t             [node type]\t          [start]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]"
    rows = [
        f"\t{kind:>24}\t{0.0:17.3f}\t{ms:9.3f}\t{ms:9.6f}\t  1.000%\t  1.000%\t     0.000\t        1\t{name}"
        for kind, name, ms in ops
    ]
    start = "\t         AllocateTensors\t            0.000\t   99.000\t   99.000\t100.000%\t100.000%\t     0.000\t        1\tAllocateTensors/0"
    return "\n".join(
        [
            "STARTING!",
            f"Graph: [/data/local/tmp/{model}]",
            f"Inference timings in us: Init: 9000, First inference: 90000, Warmup (avg): 80000, Inference (avg): {total_ms * 1e3:g}",
            "Profiling Info for Benchmark Initialization:",
            "============================== Run Order ==============================",
            header, start, "",
            "Operator-wise Profiling Info for Regular Benchmark Runs:",
            "============================== Run Order ==============================",
            header, *rows, "",
            "============================== Top by Computation Time ==============================",
            header, *rows[::-1], "",
            f"Number of nodes executed: {len(ops)}",
            "============================== Summary by node type ==============================",
            "\t             [Node type]\t  [count]\t  [avg ms]\t    [avg %]\t    [cdf %]\t  [mem KB]\t[times called]",
            "\t                 CONV_2D\t       15\t     1.861\t    86.679%\t    86.679%\t     0.000\t        0", "",
            "Timings (microseconds): count=50 first=1 curr=2 min=1 max=3 avg=4321 std=1",
        ]
    )  # fmt: skip


def csv_report(ops: Sequence[tuple[str, str, float]]) -> str:
    """The file of --profiling_output_csv_file."""
    header = "node type, start, first, avg_ms, %, cdf%, mem KB, times called, name"
    rows = [f"{kind}, 0, {ms}, {ms}, 1%, 1%, 0, 1, {name.replace(',', chr(9))}" for kind, name, ms in ops]
    return "\n".join(
        [
            "Profiling Info for Benchmark Initialization:",
            "============================== Run Order ==============================",
            header, "AllocateTensors, 0, 99, 99, 100%, 100%, 0, 1, AllocateTensors/0", "",
            "Operator-wise Profiling Info for Regular Benchmark Runs:",
            "============================== Run Order ==============================",
            header, *rows, "",
            "============================== Top by Computation Time ==============================",
            header, *rows[::-1], "",
            "Timings (microseconds): count=50 first=1 curr=2 min=1 max=3 avg=4321.5 std=1",
        ]
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["text", "csv"])
def test_benchmark_model_profiles_are_read(kind: str, model: Model, targets: dict[str, Target], tmp_path: Path) -> None:
    path = model("mobilenet_v2.tflite")
    graph = read(path)
    ops = ops_of(graph, targets["pixel-4/cpu-1large"])
    profile = tmp_path / "anything.txt"
    profile.write_text(report(ops, 50.5, path.name) if kind == "text" else csv_report(ops), "utf-8")
    [found] = read_all([f"{path}={profile}"])
    assert found.model == path
    assert found.total_ms == pytest.approx(50.5 if kind == "text" else 4.3215)
    assert [op.ms for op in found.ops] == pytest.approx([ms for _, _, ms in ops], abs=1e-6)
    assert [op.index for op in found.ops] == [node.index for node in graph.nodes]


def test_every_profiled_op_is_found_in_the_plan(model: Model, targets: dict[str, Target]) -> None:
    path = model("mobilenet_v3_small.tflite")
    graph, target = read(path), targets["pixel-4/cpu-1large"]
    ops = tuple(OpTime(name, kind, ms, int(name.rpartition(":")[2])) for kind, name, ms in ops_of(graph, target))
    planned = plan(graph, target.processor)
    found = kernel_times(graph, planned, Profile(path, "p", 1.0, ops))
    expected = times(workload(planned), target).kernels
    assert found == pytest.approx({at: ms for at, ms in enumerate(expected) if ms > 0})


def test_the_older_table_without_start_column_is_read(tmp_path: Path, model: Model) -> None:
    path = model("mobilenet_v2.tflite")
    profile = tmp_path / "old.txt"
    profile.write_text(
        "============================== Run Order ==============================\n"
        "\t             [node type]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]\n"
        "\t                 CONV_2D\t   55.656\t    6.464\t  0.086%\t  0.393%\t     0.000\t        0\t[a/b;c/d]\n\n"
        "Average inference timings in us: Warmup: 83235, Init: 38467, no stats: 79760.9\n",
        "utf-8",
    )
    [found] = read_all([f"{path}={profile}"])
    assert found.ops == (OpTime("[a/b;c/d]", "CONV_2D", 6.464, None),)
    assert found.total_ms == pytest.approx(79.7609)


def test_a_delegates_kernels_are_matched_in_their_order(model: Model, targets: dict[str, Target]) -> None:
    path = model("mobilenet_v2.tflite")
    graph = read(path)
    planned = plan(graph, targets["pixel-4/gpu"].processor)
    at = [i for i, kernel in enumerate(planned.kernels) if kernel.implementation == "depthwise_convolution"]
    ops = [OpTime("d", f"depthwise_convolution_{n}_linked_:_relu_{n}", 1.0 + n) for n in range(len(at))]
    whole = OpTime("[out]:64", "TfLiteGpuDelegateV2", 99.0, 64)
    assert kernel_times(graph, planned, Profile(path, "p", 99.0, (whole, *ops))) == {
        position: 1.0 + n for n, position in enumerate(at)
    }


def test_xnnpack_types_with_commas_are_read_and_matched(tmp_path: Path, model: Model) -> None:
    path = model("mobilenet_v2.tflite")
    graph = read(path)
    processor = bundled()["pixel-4/cpu-1large"].processor
    planned = plan(graph, processor._replace(runtime="tflite-2.10/xnnpack"))
    convolutions = [i for i, kernel in enumerate(planned.kernels) if kernel.op in {"conv2d", "depthwise_conv2d"}]
    ops = [
        ("Convolution (NHWC, F32) GEMM", f"Delegate/Convolution (NHWC, F32) GEMM:{n}", 1.0 + n)
        for n in range(len(convolutions))
    ]
    profile = tmp_path / "mobilenet.csv"
    profile.write_text(csv_report(ops), "utf-8")
    [found] = read_all([f"{path}={profile}"])
    assert len(found.ops) == len(convolutions)
    assert kernel_times(graph, planned, found) == {at: 1.0 + n for n, at in enumerate(convolutions)}


def test_a_profile_of_onnx_runtime_is_matched_to_its_model(model: Model, tmp_path: Path) -> None:
    """A real one: ONNX Runtime 1.31, all optimisations, three runs; nodes fused and renamed, layouts reordered."""
    path = model("resnet18.onnx")
    profile = tmp_path / "resnet18_2026-01-01_00-00-00_857.json"
    profile.write_bytes(gzip.decompress((DATA / "resnet18.ort.json.gz").read_bytes()))
    (tmp_path / "resnet18.onnx").symlink_to(path)
    [found] = read_all([str(profile)])
    assert found.model == tmp_path / "resnet18.onnx"
    assert 0.8 * found.total_ms < sum(op.ms for op in found.ops) < 1.2 * found.total_ms
    graph = read(path)
    planned = plan(graph, bundled()["pixel-4/cpu-1large"].processor)
    matched = kernel_times(graph, planned, found)
    convolutions = [at for at, kernel in enumerate(planned.kernels) if kernel.op == "conv2d"]
    assert len(convolutions) == 20
    assert {*convolutions} <= matched.keys()
    assert sum(matched.values()) > 0.95 * sum(op.ms for op in found.ops)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model,latency_us\nm.tflite,3\n", "unknown column 'latency_us': expected model,latency_ms"),
        ("model\nm.tflite\n", "columns missing"),
        ("model,latency_ms\nm.tflite,-3\n", "line 2: latency_ms: expected more than 0, got -3"),
        ("model,latency_ms\nm.tflite,0\n", "expected more than 0"),
        ("model,latency_ms\nm.tflite,nan\n", "expected more than 0, got nan"),
        ("model,latency_ms\nm.tflite,\n", "line 2: latency_ms: expected milliseconds, got nothing"),
        ("model,latency_ms\nm.tflite\n", "line 2: latency_ms: expected milliseconds, got nothing"),
        ("model,latency_ms\nm.tflite,3 ms\n", "expected milliseconds, got '3 ms'"),
        ("model,latency_ms\nm.tflite,1,2\n", "line 2: more fields than the header"),
        ("model,latency_ms\n,1\n", "line 2: no model"),
        ("model,latency_ms\nm\0.tflite,1\n", "line 2: no model"),
        ("model,latency_ms\n", "no rows"),
        ("", "columns missing"),
        ("[{", "not whole JSON"),
        ("[1]", "expected a list of events"),
        ('[{"cat": "Session", "name": "model_run", "dur": 1}]', "not a profile of ONNX Runtime"),
        ('[{"cat": "Node", "name": "a_kernel_time", "dur": -1}]', "expected dur in microseconds"),
        (f'[{{"cat": "Node", "name": "a_kernel_time", "dur": {"9" * 400}}}]', "expected dur in microseconds"),
        (f'[{{"cat": "Node", "name": "a_kernel_time", "dur": {"9" * 5000}}}]', "not whole JSON"),
        ("{}", "or AI Hub's execution_summary"),
        ('{"execution_summary": {"estimated_inference_time": 0}}', "expected more than 0"),
        ('{"execution_summary": {"estimated_inference_time": "3"}}', "expected dur in microseconds"),
        ("node type, avg_ms, name\nCONV_2D, -1, [x]:0\n", "expected a time of 0 or more"),
        ("node type, avg_ms, name\nCONV_2D, x, [x]:0\n", "expected milliseconds, got 'x'"),
        ("node type, avg_ms, name\n", "no time in it"),
        # numbers whose sum, or whose milliseconds, are none; and what no clock tells
        (
            "node type, avg_ms, name\n" + "CONV_2D, 1e308, [x]:0\n" * 10,
            "inf ms: expected a time from 1e-06 to 1e+09 ms",
        ),
        ("Average inference time cost: 1 ms\nP50 Latency: 1e308 s\n", "inf ms: expected a time"),
        ("Inference (avg): 1000\nnode type, avg_ms, name\nCONV_2D, 1e308, [x]:0\n", "1e+308 ms: expected a time"),
        (f"model,latency_ms\n{'m' * 200_000},1\n", "not a CSV file that can be read"),
        (f"{'m' * 200_000},latency_ms\n", "not a CSV file that can be read"),
        ("node type, avg_ms, name\nCONV_2D, 1, [x]:0\n", "whose profile is this? expected bad.tflite beside it"),
    ],
)
def test_bad_measurements_get_one_clear_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text, "utf-8")
    if " ms: expected a time" in message:
        (tmp_path / "bad.tflite").touch()
    with pytest.raises(LatlintError) as raised:
        read_all([str(path)])
    assert message in raised.value.message
    assert "\n" not in raised.value.message
    assert raised.value.path == str(path)


@pytest.mark.parametrize("time", ["1e308", "5e-324", "1e-300"])
def test_times_that_no_clock_tells_are_refused(time: str, tmp_path: Path) -> None:
    """They overflowed in nanoseconds or in the ratio to what is predicted."""
    (tmp_path / "times.csv").write_text(f"model,latency_ms\nm.tflite,{time}\n", "utf-8")
    with pytest.raises(LatlintError, match="expected a time from 1e-06") as raised:
        read_all([str(tmp_path / "times.csv")])
    assert raised.value.path == str(tmp_path / "times.csv:2")


@pytest.mark.parametrize(
    "text",
    [
        "node type " * 60_000,
        "Inference (avg): 1000\n" + "Graph: [" * 60_000,
        "Inference (avg): 1000\nModel:" + " " * 200_000,
        "Inference (avg): 1000\n" + "count=1 x " * 30_000,
        "Average inference timings Timings (microseconds):" * 30_000,
        "[node type]\t[avg ms]\t[name]\n" + "(" * 200_000 + "\t1\n",
        "node type, avg_ms, name\nDelegate" + "_1" * 200_000 + "x, 1, x\n",
    ],
    ids=["table", "graph", "model", "count", "timings", "parentheses", "numbers"],
)
def test_lines_that_say_nothing_take_linear_time(text: str, tmp_path: Path) -> None:
    (tmp_path / "bad.tflite").touch()
    (tmp_path / "bad.csv").write_text(text, "utf-8")
    start = process_time()
    with contextlib.suppress(LatlintError):
        for profile in read_all([str(tmp_path / "bad.csv")]):
            assert all(kernel_name(op.type) for op in profile.ops)
    assert process_time() - start < 5


def test_numbers_of_thousands_of_digits_are_none(tmp_path: Path) -> None:
    """Python refuses to read them."""
    (tmp_path / "p.tflite").touch()
    (tmp_path / "p.csv").write_text(f"node type, avg_ms, name\nCONV_2D, 1, [x]:{'1' * 5000}\n", "utf-8")
    assert [op.index for op in read_all([str(tmp_path / "p.csv")])[0].ops] == [None]
    made = SimpleNamespace(name="a", runtime="qairt-2", card={"version": {"int8": "1" * 5000}})
    assert of_version([cast(Target, made)], "int8") == [made]


def test_another_models_profile_is_refused(model: Model, targets: dict[str, Target]) -> None:
    path, other = model("mobilenet_v2.tflite"), model("mobilenet_v3_small.tflite")
    target = targets["pixel-4/cpu-1large"]
    ops = tuple(OpTime(name, kind, ms, int(name.rpartition(":")[2])) for kind, name, ms in ops_of(read(other), target))
    with pytest.raises(LatlintError, match=r"ops cannot be matched to .*mobilenet_v2\.tflite, such as CONV_2D"):
        kernel_times(read(path), plan(read(path), target.processor), Profile(path, "p", 1.0, ops))


# -------------------------------------------------------------------------------------------------------------- transfer


def made_up(rng: np.random.Generator, models: int = 6, kernels: int = 8, terms: int = 5) -> Samples:
    rows = models * kernels
    return Samples(
        model=np.repeat(np.arange(models), kernels),
        terms=rng.uniform(0, 1e5, (rows, terms)) * (rng.random((rows, terms)) < 0.5),
        correction=rng.normal(0, 0.3, (rows, 2)),
        launches=np.ones(rows),
        kernel_ns=np.where(rng.random(rows) < 0.5, rng.uniform(1e4, 1e5, rows), np.nan),
        extra_ns=rng.uniform(0, 1e4, models),
        starts=rng.integers(1, 3, models).astype(float),
        total_ns=rng.uniform(5e5, 1e6, models),
    )


def test_the_queue_is_that_of_the_engine_and_its_slopes_are_right() -> None:
    from latlint.latency.engine import queued

    kernels, launches = np.array([1e4, 5e4, 2e5]), np.array([1.0, 2.0, 1.0])
    queue = Queue(1.1, 3e4, 1e6)
    spans, slopes = _spans(kernels, launches, queue)
    assert spans == pytest.approx(queued(kernels, launches, 1.1, 3e4))
    step = 1.0
    assert slopes.kernel == pytest.approx((_spans(kernels + step, launches, queue)[0] - spans) / step, rel=1e-3)
    assert slopes.scale == pytest.approx(
        (_spans(kernels, launches, Queue(1.1 + 1e-6, 3e4, 1e6))[0] - spans) / 1e-6, rel=1e-3
    )
    assert slopes.dispatch == pytest.approx(
        (_spans(kernels, launches, Queue(1.1, 3e4 + step, 1e6))[0] - spans), rel=1e-3
    )


def posed(timed: bool) -> _Problem:
    """Models whose kernels were ``timed``, or their whole times alone, on a GPU that is unlike the known one."""
    rng = np.random.default_rng(7)
    samples = made_up(rng)
    if not timed:
        samples = dataclasses.replace(samples, kernel_ns=np.full(len(samples.model), np.nan))
    donor = Costs(rng.uniform(0.5, 2, 5), np.array([0.5, 0.4]), Queue(1.05, 1e4, 5e4))
    return _Problem(samples, _Parts(donor, rng.normal(0, 0.5, (5, 2)), np.full(5, 0.2), Strength(), has_queue=True))


@pytest.mark.parametrize("timed", [True, False])
def test_the_slopes_are_those_of_the_errors_and_the_weights_those_of_the_loss(timed: bool) -> None:
    problem = posed(timed)
    x = problem.parts.start(0.3) + np.random.default_rng(8).normal(0, 0.2, len(problem.parts.start(0.0)))
    now = problem.at(x)
    assert len(now.errors) == len(problem.samples.total_ns) + int(np.isfinite(problem.samples.kernel_ns).sum())
    near = [(problem.at(x + step), problem.at(x - step)) for step in 1e-6 * np.eye(len(x))]
    slopes = np.array([(up.errors - down.errors) / 2e-6 for up, down in near]).T
    assert now.slopes == pytest.approx(slopes, rel=1e-4, abs=1e-5)
    gradient = [(up.value - down.value) / 2e-6 for up, down in near]
    assert now.slopes.T @ (now.weights * now.errors) + x == pytest.approx(np.array(gradient), rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("timed", [True, False])
def test_no_parameters_nearby_are_more_probable(timed: bool) -> None:
    problem = posed(timed)
    best = problem.at(_most_probable(problem, problem.parts.start(0.0)))
    rng = np.random.default_rng(9)
    for size in (1e-3, 1e-2, 1e-1):
        for _ in range(20):
            other = problem.parts.bounded(best.x + rng.normal(0, size, len(best.x)))
            assert problem.at(other).value >= best.value - 1e-6 * best.value


def test_kernels_in_a_row_are_never_faster_than_alone() -> None:
    parts = posed(timed=False).parts
    x = parts.start(0.0)
    x[-3] = -5.0
    x = parts.bounded(x)
    assert parts.costs(x).queue.scale == pytest.approx(1)
    down, up = np.zeros(len(x)), np.zeros(len(x))
    down[-3], up[-3] = 1.0, -1.0
    assert np.flatnonzero(~parts.free(x, down)).tolist() == [len(x) - 3] and parts.free(x, up).all()


def test_with_few_models_the_speed_moves_and_little_else() -> None:
    rng = np.random.default_rng(3)
    theta = rng.uniform(0.5, 2, 5)
    base = made_up(rng, models=5)
    silent = Samples(**{name: getattr(base, name) for name in base.__slots__} | {"kernel_ns": np.full(40, np.nan), "launches": np.zeros(40), "correction": np.zeros((40, 0))})  # fmt: skip
    donor = Costs(theta, np.zeros(0), Queue())
    slower = Samples(**{name: getattr(silent, name) for name in base.__slots__} | {"total_ns": 3 * predicted_ns(silent, donor), "extra_ns": 3 * silent.extra_ns})  # fmt: skip
    found = fit(slower, donor, np.zeros((5, 0)))
    assert found.theta / theta == pytest.approx(np.full(5, 3.0), rel=1e-3)


def test_directions_are_how_processors_differ_beyond_their_speed() -> None:
    base = np.array([1.0, 2.0, 3.0, 4.0])
    tilt = np.array([1.0, 1.0, -1.0, -1.0])
    found = directions([base * np.exp(speed + z * tilt) for speed, z in ((0, -1), (2, 0), (5, 1))], 4)
    assert found.shape == (4, 2)
    assert np.abs(found[:, 0]) == pytest.approx(np.ones(4))
    assert np.abs(found[:, 1]).max() < 1e-9


# ----------------------------------------------------------------------------------------------------------------- build


def measured(paths: Sequence[Path], target: Target, slower: float, noise: float, seed: int = 0) -> list[Profile]:
    """Times of a device that is ``target`` but slower, with noise."""
    rng = np.random.default_rng(seed)
    return [
        Profile(path, path.name, total_ms(path, target) * slower * float(np.exp(rng.normal(0, noise))))
        for path in paths
    ]


def total_ms(path: Path, target: Target) -> float:
    found = times(workload(plan(read(path), target.processor)), target)
    return float(found.kernels.sum()) + found.overhead_ms


@pytest.mark.parametrize(
    ("names", "parts"),
    [("aab", ["aa", "b"]), ("abc", ["a", "b", "c"]), ("aaa", ["a", "a", "a"])],
    ids=["by name", "each", "all of one name"],
)
def test_what_is_held_out_together_leaves_something(names: str, parts: list[str]) -> None:
    found = parts_of(list(names))
    assert ["".join(np.array(list(names))[out]) for out in found] == parts
    assert all(not out.all() for out in found)


def test_costs_from_priors_are_those_of_the_estimator_of_many_configurations(targets: dict[str, Target]) -> None:
    rng = np.random.default_rng(3)
    columns = Columns.of(("builtin", "xnnpack"))
    counts = rng.uniform(0, 1e5, (12, len(columns.names))) * (rng.random((12, len(columns.names))) < 0.3)
    target = targets["pixel-4/cpu-1large"]
    processor = target.processor._replace(threads=2)
    took = counts @ columns.terms.prior * np.exp(rng.normal(0.5, 0.2, 12))
    donor = Donor(
        target=target,
        processor=processor,
        columns=columns,
        costs=Costs(columns.terms.prior, np.zeros(0), Queue()),
        along=np.zeros((len(columns.names), 0)),
        seen=np.ones(len(columns.names), bool),
        samples=whole_times(counts, took),
        works=(),
        counts=np.ones((12, 3)),
    )
    one = hierarchy.Configurations(np.zeros(1, np.intp), np.log(np.array([2.0])))
    wanted = hierarchy.fit(counts, took[:, None], columns.terms, one, hierarchy.Strength(softness=0.02))[0]
    others = rng.uniform(0, 1e5, counts.shape)
    assert others @ donor.from_priors().theta == pytest.approx(others @ wanted, rel=0.01)


def test_a_time_may_lie_twice_beyond_the_measured_models() -> None:
    for models, beyond in ((5, 2.0), (20, 2.0)):
        counts = np.stack([np.ones(models), np.arange(1.0, models + 1), np.zeros(models)], axis=1)
        took = counts[:, 1] * np.where(np.arange(models) % 2, 1.1, 0.9)
        limits = bounds(SimpleNamespace(counts=counts, samples=SimpleNamespace(total_ns=took)))  # type: ignore[arg-type]
        ratios = took / limits.simple.ns(counts)
        assert limits.high / ratios.max() == pytest.approx(beyond) and ratios.min() / limits.low == pytest.approx(
            beyond
        )


def written(built: Built, directory: Path) -> dict[str, Target]:
    write_pack(built.pack, directory)
    return {target.name: target for target in read_pack(directory).targets()}


@pytest.mark.parametrize(
    ("truth", "processor", "like"),
    [("galaxy-s10/gpu", "gpu", "mi-8-se/gpu"), ("galaxy-s10/cpu-1large", "cpu-1large", "iphone-7/cpu-1large")],
)
def test_a_slower_device_is_found_from_seven_models(
    truth: str, processor: str, like: str, model: Model, targets: dict[str, Target], tmp_path: Path
) -> None:
    paths = [model(name) for name in SMALL]
    built = build(measured(paths, targets[truth], 1.7, 0.02), Wanted("mine", processor, like))
    assert built.donor == like
    mine = written(built, tmp_path)[f"mine/{processor}"]
    errors = {path.name: abs(total_ms(path, mine) / (1.7 * total_ms(path, targets[truth])) - 1) for path in paths}
    assert max(errors.values()) < 0.2, errors
    assert float(np.mean([*errors.values()])) < 0.08, errors


def test_the_donor_that_fits_is_found(model: Model, targets: dict[str, Target]) -> None:
    profiles = measured([model(name) for name in SMALL], targets["galaxy-a03s/cpu-1large"], 0.4, 0.0)
    assert build(profiles, Wanted("mine", "cpu-1large")).donor == "galaxy-a03s/cpu-1large"


def test_held_out_families_of_a_made_up_phone_are_predicted(
    corpus: Path, targets: dict[str, Target], tmp_path: Path
) -> None:
    """Twenty models of a phone like none that is known: half as fast as a Galaxy S10, with convolutions slower still."""
    paths = sorted((corpus / "tflite_fp32").glob("*.tflite"))
    truth = targets["galaxy-s10/cpu-2large"]
    names = truth.pack.card["terms"]["cpu"]
    theta = truth.pack.arrays[truth.card["theta"]] * [2.6 if ".conv." in name else 2.0 for name in names]
    pack = dataclasses.replace(truth.pack, arrays={**truth.pack.arrays, truth.card["theta"]: theta})
    phone = dataclasses.replace(truth, pack=pack)
    built = build(measured(paths[::4], phone, 1.0, 0.03), Wanted("mine", "cpu-2large", "pixel-4/*"))
    mine = written(built, tmp_path)["mine/cpu-2large"]
    errors = [abs(total_ms(path, mine) / total_ms(path, phone) - 1) for path in paths[2::4]]
    assert float(np.mean(errors)) < 0.06


def test_profiled_kernels_tell_which_ops_are_slow(model: Model, targets: dict[str, Target], tmp_path: Path) -> None:
    """Whole times alone cannot say that it is the depthwise convolutions that are three times slower; op profiles do."""
    target = targets["pixel-4/cpu-1large"]
    paths = [model(name) for name in SMALL if name.endswith(".tflite")]
    profiles = []
    for path in paths:
        rows = [
            (kind, name, ms * (3.0 if kind == "DEPTHWISE_CONV_2D" else 1.0))
            for kind, name, ms in ops_of(read(path), target)
        ]
        file = tmp_path / f"{path.stem}.txt"
        file.write_text(report(rows, sum(ms for _, _, ms in rows) + 0.1, path.name), "utf-8")
        profiles += read_all([f"{path}={file}"])
    built = build(profiles, Wanted("mine", "cpu-1large", "pixel-4/cpu-1large"))
    assert built.kernels > 200
    mine = written(built, tmp_path / "pack")["mine/cpu-1large"]
    planned = plan(read(paths[0]), mine.processor)
    ours, theirs = times(workload(planned), mine).kernels, times(workload(planned), target).kernels
    ratio = {
        op: float(sum(ours[at]) / sum(theirs[at]))
        for op in ("depthwise_conv2d", "conv2d")
        for at in ([i for i, kernel in enumerate(planned.kernels) if kernel.op == op],)
    }
    assert ratio["depthwise_conv2d"] == pytest.approx(3.0, rel=0.1)
    assert ratio["conv2d"] == pytest.approx(1.0, rel=0.1)


def test_the_pack_says_what_it_is(model: Model, targets: dict[str, Target], tmp_path: Path) -> None:
    profiles = measured([model(name) for name in SMALL], targets["pixel-4/gpu"], 2.0, 0.1)
    built = build(profiles, Wanted("mine", "gpu", "galaxy-s10/gpu"))
    found = written(built, tmp_path)
    assert sorted(found) == ["mine/cpu-fallback", "mine/gpu"]
    card = found["mine/gpu"].card
    assert "galaxy-s10/gpu" in card["title"] and "7 measured models" in card["title"]
    errors = [abs(error) * 100 for error in built.errors.values()]
    assert card["accuracy"]["float32"]["models"] == 7
    assert card["accuracy"]["float32"]["mean_error_percent"] == pytest.approx(np.mean(errors), abs=0.01)
    widest = max(abs(np.log(1 + error)) for error in built.errors.values())
    assert card["interval"]["float32"]["high"] == pytest.approx(max(widest, 0.1), abs=1e-3)


def test_the_same_measurements_give_the_same_pack(model: Model, targets: dict[str, Target], tmp_path: Path) -> None:
    profiles = measured([model(name) for name in SMALL], targets["iphone-xs/gpu"], 1.3, 0.05)
    for name in ("a", "b"):
        write_pack(build(profiles, Wanted("mine", "gpu", "galaxy-s10/gpu")).pack, tmp_path / name)
    for file in ("card.json", "arrays.bin"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_units_that_are_mixed_or_wrong_are_told(model: Model, targets: dict[str, Target]) -> None:
    profiles = measured([model(name) for name in SMALL], targets["pixel-4/cpu-1large"], 1.0, 0.05)
    wanted = Wanted("mine", "cpu-1large")
    one = [*profiles[:-1], Profile(profiles[-1].model, "x.csv:8", profiles[-1].total_ms * 1000)]
    with pytest.raises(LatlintError, match="are the units mixed") as raised:
        build(one, wanted)
    assert raised.value.path == "x.csv:8"
    for factor, unit in ((1e3, "microseconds"), (1e-3, "seconds")):
        scaled = [Profile(each.model, each.source, each.total_ms * factor) for each in profiles]
        with pytest.raises(LatlintError, match=f"are these {unit}"):
            build(scaled, wanted)


def test_units_are_mixed_where_half_of_the_times_are_others(model: Model, targets: dict[str, Target]) -> None:
    profiles = measured([model(name) for name in SMALL], targets["pixel-4/cpu-1large"], 1.0, 0.05)
    half = [dataclasses.replace(p, total_ms=p.total_ms * (1000 if at % 2 else 1)) for at, p in enumerate(profiles)]
    with pytest.raises(LatlintError, match=r"let expect, and so are 2 others: are the units mixed\?") as raised:
        build(half, Wanted("mine", "cpu-1large"))
    assert raised.value.path == half[1].source


def test_a_time_that_is_far_from_the_others_is_named(model: Model, targets: dict[str, Target]) -> None:
    profiles = measured([model(name) for name in SMALL], targets["pixel-4/cpu-1large"], 1.0, 0.05)
    wanted = Wanted("mine", "cpu-1large", "pixel-4/*")
    assert not build(profiles, wanted).doubtful
    profiles[3] = dataclasses.replace(profiles[3], total_ms=profiles[3].total_ms * 10)
    assert build(profiles, wanted).doubtful == {profiles[3].source: pytest.approx(10, rel=0.2)}


def test_a_model_counts_once_however_often_it_was_measured(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    a, again = tmp_path / "a.tflite", tmp_path / "sub" / ".." / "a.tflite"
    profiles = [Profile(a, "1", 5.0), Profile(tmp_path / "b.tflite", "2", 50.0), Profile(again, "3", 4.0)]
    assert [profile.source for profile in once(profiles)] == ["3", "2"]
    assert [profile.source for profile in once([*profiles, Profile(a, "4", 8.0)])] == ["1", "2"]
    with pytest.raises(LatlintError, match=r"9 ms for a\.tflite, and 4 ms in 3: which is it\?") as raised:
        once([*profiles, Profile(a, "4", 9.0)])
    assert raised.value.path == "4"


def test_too_few_models_are_refused(model: Model) -> None:
    profiles = [Profile(model("mobilenet_v2.tflite"), f"{n}", 30.0) for n in range(9)]
    with pytest.raises(LatlintError, match=f"1 measured model is too few: at least {MIN_MODELS}"):
        build(profiles, Wanted("mine", "gpu"))


def test_onnx_runtime_events_may_lack_runs(tmp_path: Path, model: Model) -> None:
    events = [
        {"cat": "Node", "name": "a_kernel_time", "dur": dur, "args": {"op_name": "Conv"}} for dur in (900, 100, 120)
    ]
    path = tmp_path / "p.json"
    path.write_text(json.dumps(events), "utf-8")
    [found] = read_all([f"{model('resnet18.onnx')}={path}"])
    assert found.ops == (OpTime("a", "Conv", 0.11),)
    assert found.total_ms == pytest.approx(0.11)


def test_the_first_run_of_onnx_runtime_does_not_count(tmp_path: Path, model: Model) -> None:
    """It allocates memory and warms up caches."""
    node = {"cat": "Node", "name": "a_kernel_time", "dur": 100, "args": {"op_name": "Conv"}}
    runs = [{"cat": "Session", "name": "model_run", "dur": dur} for dur in (900, 200, 220)]
    path = tmp_path / "p.json"
    path.write_text(json.dumps([node, *runs]), "utf-8")
    [found] = read_all([f"{model('resnet18.onnx')}={path}"])
    assert found.total_ms == pytest.approx(0.21)


def test_an_npu_is_found_from_five_jobs_of_ai_hub(model: Model, tmp_path: Path) -> None:
    """Five networks tell how fast a chip is against a known one, through the JSON that a profile job leaves."""
    truth = bundled()["galaxy-s24/npu@litert"]
    paths = [model(name) for name in SMALL if name != "one_gelu.tflite"][:5]
    jobs = []
    for path in paths:
        job = tmp_path / f"{path.name}.json"
        micros = 1.6 * total_ms(path, truth) * 1e3
        detail = [{"name": "n", "type": "Conv", "compute_unit": "NPU", "execution_time": 3}]
        summary = {"estimated_inference_time": micros, "inference_memory_peak_range": [0, 1]}
        job.write_text(json.dumps({"execution_summary": summary, "execution_detail": detail}), "utf-8")
        jobs.append(f"{path}={job}")
    profiles = read_all(jobs)
    assert [profile.ops for profile in profiles] == [()] * 5
    built = build(profiles, Wanted("mine", "npu", truth.name), {truth.name: truth})
    assert built.faster == pytest.approx(1 / 1.6, rel=0.02)
    mine = written(built, tmp_path / "pack")["mine/npu"]
    for name in ("mobilenet_v3_small.tflite", "vit_tiny.onnx"):
        assert total_ms(model(name), mine) == pytest.approx(1.6 * total_ms(model(name), truth), rel=0.1)


def test_costs_of_the_compilers_version_that_was_used_are_the_start() -> None:
    """By default what the runtime's name states; of the nearest version, where nobody measured the same; all, where none states it."""
    npus = [each for name, each in bundled().items() if name.endswith("/npu@qnn")]
    stated = {each.name: each.card["version"]["int16"] for each in npus}
    assert {*stated.values()} == {"2.45", "2.50"}
    for version, nearest in (
        ("", "2.50"),
        ("2.50.0.26", "2.50"),
        ("2.41.0", "2.45"),
        ("2.51", "2.50"),
        ("3.0", "2.50"),
    ):
        found = of_version(npus, "int16", version)
        assert [each.name for each in found] == [name for name, of in stated.items() if of == nearest], version
    cpus = [each for name, each in bundled().items() if name.startswith("pixel-4/cpu")]
    assert of_version(cpus, "float32", "2.50") == cpus


def test_a_pack_starts_from_the_version_that_its_measurements_state(model: Model) -> None:
    known = {name: bundled()[name] for name in ("iq-8275/npu@litert", "iq-9075/npu@litert")}
    assert [each.card["version"]["float32"] for each in known.values()] == ["2.45", "2.50"]
    for truth, version in zip(known.values(), ("2.45.1", "2.50.0"), strict=True):
        other = next(each for each in known.values() if each is not truth)
        profiles = measured([model(name) for name in SMALL if name != "one_gelu.tflite"], other, 1.3, 0.0)
        stating = [dataclasses.replace(profile, version=version) for profile in profiles]
        assert build(stating, Wanted("mine", "npu"), known).donor == truth.name
        assert build(stating, Wanted("mine", "npu", "iq-*/npu@litert"), known).donor == other.name


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        (
            "Average inference time cost: 62.2935 ms\nMin Latency: 0.0529 s\nP50 Latency: 0.0603562 s\nP90 Latency: 0.07 s\n",
            60.3562,
        ),
        ("Session creation time cost: 0.2 s\nAverage inference time cost total: 98.961997 ms\n", 98.961997),
    ],
)
def test_the_output_of_onnxruntime_perf_test_is_read(tmp_path: Path, model: Model, text: str, ms: float) -> None:
    path = tmp_path / "resnet18.txt"
    path.write_text(text)
    (tmp_path / "resnet18.onnx").symlink_to(model("resnet18.onnx"))
    [found] = read_all([str(path)])
    assert (found.total_ms, found.ops, found.model) == (pytest.approx(ms), (), tmp_path / "resnet18.onnx")


@pytest.mark.parametrize("text", ["Average inference time cost: soon\n", "Average inference time cost: nan ms\n"])
def test_an_output_of_onnxruntime_perf_test_without_a_time_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "resnet18.txt"
    path.write_text(text)
    with pytest.raises(LatlintError, match=r"no time|more than 0|milliseconds"):
        read_all([f"resnet18.onnx={path}"])
