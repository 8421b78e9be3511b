"""What every prediction keeps, on every bundled target and on plans small enough to check by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from math import log
from pathlib import Path

import numpy as np
import pytest
from sketch import sketch

import latlint
from latlint.globs import NO_DEVICE
from latlint.graph import read
from latlint.graph.types import Graph, Node, Tensor
from latlint.latency import engine
from latlint.latency.models import gpu
from latlint.latency.packs import Pack, Target, read_pack, write_pack
from latlint.latency.types import Prediction
from latlint.runtime import plan, unloadable
from latlint.runtime.types import Kernel, Partition, Plan
from tests.targets import bundled, phones

Predict = Callable[[str], tuple[Prediction, ...]]

MODELS = (
    "mobilenet_v2.onnx",
    "mobilenet_v2.tflite",
    "mobilenet_v2_025_dynamic_batch.onnx",
    "mobilenet_v2_025_f16.tflite",
    "mobilenet_v2_int8.tflite",
    "mobilenet_v3_small.tflite",
    "one_gelu.tflite",
    "resnet18.onnx",
    "shufflenet_v2_05.tflite",
    "vit_tiny.onnx",
)
FLOAT_CNNS = ("mobilenet_v2.onnx", "mobilenet_v2.tflite", "mobilenet_v2_025_f16.tflite", "mobilenet_v3_small.tflite")


@pytest.fixture(scope="session")
def predictions(model: Callable[[str], Path]) -> Predict:
    """The predictions for one of ``MODELS`` on the phones."""
    return cache(lambda name: tuple(latlint.predict(model(name), list(phones()))))


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_target_has_a_prediction(name: str, model: Callable[[str], Path]) -> None:
    """Each whose runtime loads the file: ONNX Runtime does not load .tflite files. No glob asks for what is no device."""
    dialect = "onnx" if name.endswith(".onnx") else "tflite"
    loads = [
        name
        for name, target in bundled().items()
        if not name.startswith(NO_DEVICE)
        and dialect in (target.defaults or {dialect})
        and not unloadable(dialect, target.for_dialect(dialect).processor)
    ]
    found = [each.target for each in latlint.predict(model(name), ["*", "*@*"])]
    assert found == loads and len(loads) > 100


@pytest.mark.parametrize("name", MODELS)
def test_kernels_and_overhead_are_the_latency(name: str, predictions: Predict) -> None:
    for each in predictions(name):
        parts = sum(kernel.latency_ms for kernel in each.kernels)
        assert parts + each.overhead_ms == pytest.approx(each.latency_ms, rel=1e-6)
        assert sum(part.latency_ms for part in each.partitions) == pytest.approx(parts, rel=1e-6)
        assert each.latency_ms > 0


@pytest.mark.parametrize("name", MODELS)
def test_the_latency_lies_in_its_interval(name: str, predictions: Predict) -> None:
    for each in predictions(name):
        assert 0 < each.low_ms <= each.latency_ms <= each.high_ms
        assert each.low_ms < each.high_ms
        assert each.interval == 0.9


@pytest.mark.parametrize("name", MODELS)
def test_nothing_takes_less_than_no_time(name: str, predictions: Predict) -> None:
    for each in predictions(name):
        assert each.overhead_ms >= 0
        assert all(kernel.latency_ms >= 0 for kernel in each.kernels)
        assert 0 <= each.coverage <= 1


@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_silently_zero(name: str, predictions: Predict) -> None:
    for each in predictions(name):
        for kernel in each.kernels:
            assert kernel.source in {"predicted", "derived", "free", "unknown"}
            assert (kernel.latency_ms > 0) == (kernel.source in {"predicted", "derived"})
            assert kernel.reason or kernel.source != "free"


@pytest.mark.parametrize("name", MODELS)
def test_every_node_is_in_some_kernel(name: str, predictions: Predict, model: Callable[[str], Path]) -> None:
    from latlint.graph import read

    nodes = {node.name for node in read(model(name)).nodes}
    for each in predictions(name):
        assert {node for kernel in each.kernels for node in kernel.nodes} == nodes


@pytest.mark.parametrize("name", FLOAT_CNNS)
def test_a_float_cnn_is_covered(name: str, predictions: Predict) -> None:
    """All of it but a RESHAPE before the classifier, which no measured model has."""
    for each in predictions(name):
        assert {kernel.op for kernel in each.kernels if kernel.source == "derived"} <= {"reshape"}
        assert each.coverage > 0.995


@pytest.mark.parametrize("name", MODELS)
def test_the_coverage_is_the_share_of_predicted_time(name: str, predictions: Predict) -> None:
    for each in predictions(name):
        known = sum(kernel.latency_ms for kernel in each.kernels if kernel.source == "predicted")
        assert "unknown" not in {kernel.source for kernel in each.kernels}
        assert each.coverage == pytest.approx(known / sum(kernel.latency_ms for kernel in each.kernels))


def test_an_int8_model_is_covered_on_a_cpu_and_derived_on_a_gpu(predictions: Predict) -> None:
    for each in predictions("mobilenet_v2_int8.tflite"):
        sources = {kernel.source for kernel in each.kernels}
        if each.target.endswith("/gpu"):
            assert sources <= {"derived", "free"}
            assert each.coverage == 0
        else:
            assert each.coverage > 0.9


def test_a_gelu_was_measured_in_transformers_on_cpus_alone(predictions: Predict) -> None:
    """GPUs leave it to the CPU."""
    for each in predictions("one_gelu.tflite"):
        (gelu,) = [kernel for kernel in each.kernels if kernel.op == "gelu"]
        assert gelu.source == "predicted", each.target


def test_what_is_covered_less_has_a_wider_interval(predictions: Predict) -> None:
    known, half = (predictions(name) for name in ("mobilenet_v2.tflite", "one_gelu.tflite"))
    for sure, unsure in zip(known, half, strict=True):
        assert unsure.high_ms / unsure.latency_ms > sure.high_ms / sure.latency_ms
        assert unsure.low_ms / unsure.latency_ms < sure.low_ms / sure.latency_ms


@pytest.mark.slow
def test_the_same_file_gives_the_same_numbers(model: Callable[[str], Path]) -> None:
    """In this process, and in two whose sets are ordered otherwise."""
    path = model("shufflenet_v2_05.tflite")
    here = [repr((each.latency_ms, each.low_ms, each.coverage)) for each in latlint.predict(path, "*")]
    assert here == [repr((each.latency_ms, each.low_ms, each.coverage)) for each in latlint.predict(path, "*")]
    code = (
        "import json, sys, latlint;"
        "json.dump([repr((p.latency_ms, p.low_ms, p.coverage)) for p in latlint.predict(sys.argv[1], '*')], sys.stdout)"
    )
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(latlint.__file__).parents[1])}
        run = subprocess.run(
            [sys.executable, "-c", code, str(path)], env=environment, capture_output=True, text=True, check=True
        )
        assert json.loads(run.stdout) == here


# Plans by hand.

CONV = Kernel(
    op="conv2d",
    implementation="conv_ruy_1x1",
    nodes=(0,),
    inputs=((1, 14, 14, 32),),
    outputs=((1, 14, 14, 64),),
    attributes={"kernel": (1, 1), "stride": (1, 1), "groups": 1},
    macs=14 * 14 * 32 * 64,
    weight_bytes=4 * 33 * 64,
)
GPU_CONV = CONV._replace(implementation="convolution_2d")
MYSTERY = Kernel("unknown", "unknown", (1,), ((1, 14, 14, 64),), ((1, 14, 14, 64),))
FREE = Kernel("reshape", "none", (1,), ((1, 14, 14, 64),), ((1, 12544),), free="only renames its input")
GRAPH = Graph(
    name="by hand",
    format="tflite",
    dialect="tflite",
    nodes=(
        Node(0, "first", "conv2d", "CONV_2D", (0,), (1,)),
        Node(1, "second", "unknown", "com.acme::Thing", (1,), (2,)),
    ),
    tensors=tuple(Tensor(f"t{i}", (1, 14, 14, 64), "float32") for i in range(3)),
    inputs=(0,),
    outputs=(2,),
)


def convolution(target: Target) -> tuple[str, Kernel]:
    """The executor and the kernel of a 1x1 convolution on ``target``."""
    if target.processor.kind == "cpu":
        return "builtin", CONV
    precision = target.processor.precision
    return "gpu", GPU_CONV._replace(input_dtype=precision, output_dtype=precision)


def planned(*kernels: Kernel, executor: str = "builtin", precision: str = "float32") -> Plan:
    return Plan("by-hand", "by-hand", precision, kernels, (Partition(executor, len(kernels)),))


def predicted(plan: Plan, target: Target) -> Prediction:
    return engine.predict(GRAPH, plan, target, model="m", sha256="0" * 64)


@pytest.fixture(scope="module")
def targets() -> dict[str, Target]:
    return phones()


@pytest.fixture
def toy(pack: Pack, tmp_path: Path) -> dict[str, Target]:
    write_pack(pack, tmp_path)
    return {target.key: target for target in read_pack(tmp_path).targets()}


def test_an_unknown_op_is_unknown_and_lowers_the_coverage(targets: dict[str, Target]) -> None:
    for name in ("pixel-4/cpu-1large", "pixel-4/gpu", "iphone-xs/gpu"):
        executor, conv = convolution(targets[name])
        sure = predicted(planned(conv, executor=executor), targets[name])
        unsure = predicted(planned(conv, MYSTERY, executor=executor), targets[name])
        assert [kernel.source for kernel in unsure.kernels] == ["predicted", "unknown"]
        assert unsure.kernels[1].latency_ms == 0
        assert unsure.kernels[1].nodes == ("second",)
        assert (sure.coverage, unsure.coverage) == (1, 0.5)
        assert unsure.high_ms is None
        assert unsure.unknown == {"com.acme::Thing": 1}


def test_nothing_but_an_unknown_op_is_covered_by_nothing(targets: dict[str, Target]) -> None:
    for name in ("pixel-4/cpu-1large", "pixel-4/gpu"):
        assert predicted(planned(MYSTERY), targets[name]).coverage == 0


def test_a_free_op_takes_no_time_and_no_coverage(targets: dict[str, Target]) -> None:
    found = predicted(planned(CONV, FREE), targets["pixel-4/cpu-1large"])
    assert (found.kernels[1].source, found.kernels[1].latency_ms) == ("free", 0)
    assert found.kernels[1].reason == "only renames its input"
    assert found.coverage == 1


def test_a_cpu_kernel_is_the_sum_of_its_terms_and_the_model_is_the_overhead(toy: dict[str, Target]) -> None:
    """All costs are 1 ns in the toy pack: the sum is a count of terms."""
    found = predicted(planned(CONV), toy["cpu-1large"])
    pixels, tiles = 14 * 14, 25 * 8
    assert found.overhead_ms == pytest.approx(1e-6)
    terms = tiles * 8 * 8 * 32 + tiles + pixels * 32 + pixels * 64 + 32 * 64 + 1
    assert found.kernels[0].latency_ms * 1e6 == pytest.approx(terms, rel=0.02)  # and a little for caches


def test_the_trees_correct_a_gpu_kernel_by_their_exponential(toy: dict[str, Target]) -> None:
    """The toy pack's one tree doubles convolutions of more than 64 output channels."""
    wide = GPU_CONV._replace(outputs=((1, 14, 14, 128),), macs=2 * GPU_CONV.macs)
    for kernel, factor in ((GPU_CONV, 1), (wide, 2)):
        terms = gpu.price(kernel)
        assert terms is not None
        found = predicted(planned(kernel, executor="gpu"), toy["gpu"])
        assert found.kernels[0].latency_ms == pytest.approx(factor * sum(terms.values()) * 1e-6)
        assert found.kernels[0].source == "predicted"


def test_outside_the_envelope_a_kernel_is_corrected_too_and_derived(toy: dict[str, Target]) -> None:
    wide = GPU_CONV._replace(outputs=((1, 14, 14, 128),), macs=4 * 10**9)
    terms = gpu.price(wide)
    assert terms is not None
    found = predicted(planned(wide, executor="gpu"), toy["gpu"])
    assert found.kernels[0].source == "derived"
    assert found.kernels[0].latency_ms == pytest.approx(2 * sum(terms.values()) * 1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"macs": CONV.macs * 10**5},
        {"inputs": ((1, 10_000, 10_000, 32),)},
        {"outputs": ((1, 14, 14, 10**6),)},
        {"attributes": {"kernel": (31, 31), "stride": (1, 1), "groups": 1}},
        {"inputs": ((2, 14, 14, 32),), "outputs": ((2, 14, 14, 64),)},
        {"input_dtype": "int16"},
        {"inputs": ((1, 1, 1, 1),)},
    ],
    ids=["macs", "input", "channels", "taps", "batch", "dtype", "tiny"],
)
def test_a_kernel_unlike_all_that_were_measured_is_derived(
    changes: dict[str, object], targets: dict[str, Target]
) -> None:
    for target in targets.values():
        executor, known = convolution(target)
        assert predicted(planned(known, executor=executor), target).kernels[0].source == "predicted"
        found = predicted(planned(known._replace(**changes), executor=executor), target)  # type: ignore[arg-type]
        if target.host and changes.get("inputs") == ((2, 14, 14, 32),):  # to a CPU, a map twice as tall
            assert found.kernels[0].source == "predicted"
            continue
        assert found.kernels[0].source == "derived"
        assert found.coverage == 0


def test_a_kernel_whose_time_no_measurement_explains_is_derived(pack: Pack, toy: dict[str, Target]) -> None:
    """Multiply-accumulates alone are less than nine tenths of this kernel's time."""
    for terms, source in ((pack.card["terms"]["gpu"], "predicted"), (["conv.macs"], "derived"), ([], "derived")):
        covers = {**pack.card["covers"], "gpu": {**pack.card["covers"]["gpu"], "measured_terms": terms}}
        target = replace(toy["gpu"], pack=replace(toy["gpu"].pack, card={**toy["gpu"].pack.card, "covers": covers}))
        assert predicted(planned(GPU_CONV, executor="gpu"), target).kernels[0].source == source


def test_a_model_that_the_gpu_refuses_altogether_is_derived(targets: dict[str, Target]) -> None:
    found = predicted(planned(CONV), targets["pixel-4/gpu"])
    assert (found.kernels[0].source, found.coverage) == ("derived", 0)
    assert predicted(planned(CONV), targets["pixel-4/cpu-1large"]).kernels[0].source == "predicted"


def test_a_kernel_that_no_measured_runtime_has_is_derived(targets: dict[str, Target]) -> None:
    xnnpack = CONV._replace(implementation="gemm")
    for target in targets.values():
        if target.processor.kind == "cpu":
            assert predicted(planned(xnnpack, executor="xnnpack"), target).kernels[0].source == "derived"


def test_what_a_gpu_leaves_runs_on_the_fallback_and_crosses_a_border(targets: dict[str, Target]) -> None:
    partitions = (Partition("gpu", 1, 25088, 50176), Partition("builtin", 1))
    plan = Plan("r", "gpu", "float32", (GPU_CONV, CONV._replace(nodes=(1,), partition=1)), partitions)
    whole = predicted(planned(GPU_CONV, executor="gpu"), targets["pixel-4/gpu"])
    alone = predicted(planned(CONV), targets["pixel-4/cpu-1large"])
    mixed = predicted(plan, targets["pixel-4/gpu"])
    assert mixed.kernels[0].latency_ms == pytest.approx(whole.kernels[0].latency_ms)
    assert mixed.kernels[1].latency_ms == pytest.approx(alone.kernels[0].latency_ms)
    assert mixed.overhead_ms > whole.overhead_ms
    larger = replace(plan, partitions=(partitions[0]._replace(output_bytes=5 * 10**6), partitions[1]))
    assert predicted(larger, targets["pixel-4/gpu"]).overhead_ms > mixed.overhead_ms


@pytest.mark.parametrize(("scale", "dispatch_ms", "waits"), [(1.0, 0.0, False), (2.0, 0.0, True), (1.0, 100.0, True)])
def test_a_queue_delays_by_its_scale_and_by_its_dispatch(
    pack: Pack, scale: float, dispatch_ms: float, waits: bool
) -> None:
    card = {**pack.card, "processors": dict(pack.card["processors"])}
    queue = {"scale": scale, "dispatch_ms": dispatch_ms, "start_ms": 0.0, "copy_gb_per_s": 1e9}
    card["processors"]["gpu"] = {**card["processors"]["gpu"], "queue": queue}
    target = Target("toy/gpu", Pack(card, pack.arrays), "gpu")
    work = engine.workload(plan(sketch("x = input 1x28x28x64\na = conv2d x 64 kernel=3"), target.processor))
    found = engine.times(work, target)
    assert 10 < found.kernels.sum() < 50  # one kernel, shorter than the longer of the two dispatches
    assert (found.overhead_ms > 10) == waits


def test_a_shorter_kernel_waits_for_the_next_dispatch() -> None:
    """Time between starts is never less than either, close to the larger, and grows with both."""
    kernels = np.array([0.0, 0.001, 0.01, 0.1, 1.0])
    found = engine.queued(kernels, np.ones(5), scale=1.1, dispatch_ms=0.01)
    assert np.all(found >= np.maximum(1.1 * kernels, 0.01))
    assert found[0] == pytest.approx(0.01, rel=0.15)
    assert found[-1] == pytest.approx(1.1, rel=1e-3)
    assert np.all(np.diff(found) > 0)
    assert np.all(engine.queued(kernels, 2 * np.ones(5), 1.1, 0.01) > found)


def test_the_interval_is_that_of_the_precision_and_of_float32_for_others(toy: dict[str, Target]) -> None:
    target = toy["cpu-1large"]
    card = {**target.card, "interval": {"float32": {"level": 0.9, "low": -0.1, "high": 0.2}}}
    card["interval"]["int8"] = {"level": 0.8, "low": -0.3, "high": 0.4}
    pack = replace(target.pack, card={**target.pack.card, "processors": {"cpu-1large": card}})
    wide = replace(target, pack=pack)
    for precision, level, high in (("float32", 0.9, 0.2), ("int8", 0.8, 0.4), ("float16", 0.9, 0.2)):
        found = predicted(planned(CONV, precision=precision), wide)
        assert found.coverage == 1
        assert found.interval == level
        assert log(found.high_ms / found.latency_ms) == pytest.approx(high)


def test_what_few_families_use_has_a_wider_interval(toy: dict[str, Target]) -> None:
    """As much wider as its share of the time, the overhead's share included."""
    widths = []
    for families in (None, 1000, 3, 1, 0):
        evidence = (
            {} if families is None else {"evidence": {"float32": {"conv_ruy_1x1": families, engine.OVERHEAD: 1000}}}
        )
        card = {**toy["cpu-1large"].card, **evidence}
        pack = replace(toy["cpu-1large"].pack, card={**toy["cpu-1large"].pack.card, "processors": {"cpu-1large": card}})
        found = predicted(planned(CONV), replace(toy["cpu-1large"], pack=pack))
        widths.append(log(found.high_ms / found.latency_ms))
        assert log(found.latency_ms / found.low_ms) == pytest.approx(widths[-1] / 2)  # as in the toy pack
    assert widths[0] == pytest.approx(0.2)
    assert widths[1] == pytest.approx(0.2, rel=0.01)
    assert widths[1:] == sorted(widths[1:])
    assert widths[-1] > 1.5 * widths[2]


def test_shares_of_the_time_are_of_all_of_it(targets: dict[str, Target]) -> None:
    work = engine.workload(planned(CONV, FREE, MYSTERY))
    found = engine.shares(work, engine.times(work, targets["pixel-4/cpu-1large"]))
    assert found.keys() == {"conv_ruy_1x1", engine.OVERHEAD}
    assert sum(found.values()) == pytest.approx(1)


def test_the_chance_of_a_miss_agrees_with_the_interval(predictions: Predict) -> None:
    found = predictions("mobilenet_v2.tflite")[0]
    outside = 1 - found.interval
    assert found.chance_above(found.latency_ms) == pytest.approx(0.5)
    assert found.chance_above(found.high_ms) == pytest.approx(outside / 2)
    assert found.chance_above(found.low_ms) == pytest.approx(1 - outside / 2)
    limits = [found.latency_ms * factor for factor in (1e-9, 0.5, 0.9, 1.0, 1.1, 2.0, 1e9)]
    chances = [found.chance_above(limit) for limit in limits]
    assert chances == sorted(chances, reverse=True)
    assert (chances[0], found.chance_above(0.0)) == (pytest.approx(1.0), 1.0)
    certain = replace(found, low_ms=found.latency_ms, high_ms=found.latency_ms)
    assert (certain.chance_above(found.latency_ms / 2), certain.chance_above(2 * found.latency_ms)) == (1.0, 0.0)


def test_bounds_hold_the_total_between_multiples_of_the_simplest_model(model: Callable[[str], Path]) -> None:
    """And draw it to them; kernels and overhead keep their shares; what is unknown has no bounds."""
    known = phones()["pixel-4/gpu"]
    graph = read(model("mobilenet_v2.tflite"))
    work = engine.workload(plan(graph, known.processor))
    free = engine.times(work, known)
    total = float(free.kernels.sum()) + free.overhead_ms
    ones, macs, moved = engine.counts(work)
    simple = 1.0 + macs * 1e-9 + moved * 1e-9
    assert ones == 1 and macs > 1e8 and moved > 1e7

    def limited(low: float, high: float, work: engine.Workload = work, **share: float) -> engine.Times:
        bounds = {"start_ms": 1.0, "mac_ns": 1e-3, "byte_ns": 1e-3, "low": low, "high": high, **share}
        processors = {**known.pack.card["processors"], "gpu": {**known.card, "bounds": bounds}}
        card = {**known.pack.card, "processors": processors}
        return engine.times(work, Target(known.name, Pack(card, known.pack.arrays), "gpu"))

    for low, high, share, wanted in (
        (0.0, 1e9, {}, total),
        (1.0, 1.0, {}, simple),
        (10.0, 20.0, {}, 10 * simple),
        (0.0, 0.1, {}, simple / 10),
        (0.0, 1e9, {"share": 1.0}, total),
        (0.0, 1e9, {"share": 0.25}, simple**0.75 * total**0.25),
        (0.0, 0.1, {"share": 0.5}, simple / 10**0.5),
        (0.0, 1e9, {"share": 0.0}, simple),
    ):
        found = limited(low, high, **share)
        assert float(found.kernels.sum()) + found.overhead_ms == pytest.approx(wanted)
        assert found.kernels * (total / wanted) == pytest.approx(free.kernels)
    assert limited(1.0, 1.0, work._replace(unknown=frozenset({0}))).overhead_ms == pytest.approx(free.overhead_ms)
