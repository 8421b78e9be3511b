"""The least that dense layers take on a CPU: below what any plan of them takes, and near enough to say something."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from sketch import sketch

from latlint.checks import faster_on_the_cpu
from latlint.checks.types import Subject
from latlint.graph.types import Graph
from latlint.latency import engine
from latlint.latency.dense import is_dense, least_ms
from latlint.latency.packs import Target
from latlint.runtime import plan
from latlint.settings import Settings
from tests.targets import bundled

HOSTS = ("pixel-4/cpu-1large", "pixel-4/cpu-1large@xnnpack", "galaxy-a03s/cpu-4small", "galaxy-s25/cpu-1large")


def layers(dtype: str) -> Iterator[Graph]:
    """Convolutions and fully connected layers of all sorts of shapes, one a graph."""
    dice = random.Random(211)
    for _ in range(60):
        side, read, made = dice.choice((1, 3, 7, 14, 56)), dice.randint(1, 300), dice.randint(1, 300)
        kernel, stride, dilation = dice.choice((1, 3, 5)), dice.choice((1, 2)), dice.choice((1, 2))
        rows = dice.choice((1, 2, 9, 50))
        yield sketch(
            f"x = input 1x{side}x{side}x{read} {dtype}\n"
            f"a = conv2d x {made} kernel={kernel} stride={stride} dilation={1 if stride > 1 else dilation}"
        )
        yield sketch(f"x = input {rows}x{read} {dtype}\na = fully_connected x {made}")


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("host", HOSTS)
def test_no_plan_takes_less(host: str, dtype: str) -> None:
    # what runs an NPU's rest is no target of its own
    target = bundled().get(host) or Target(host, bundled()["galaxy-s25/npu@litert"].pack, "cpu-1large")
    ratios = []
    for graph in layers(dtype):
        work = engine.workload(plan(graph, target.processor))
        macs = sum(kernel.all_macs for kernel in work.plan.kernels if is_dense(kernel))
        assert macs and not work.unknown
        ratios.append(
            least_ms(target, macs, floats=dtype == "float32") / float(engine.times(work, target).kernels.sum())
        )
    assert 0 < max(ratios) <= 1
    assert max(ratios) > 0.25  # or else it said nothing


def test_what_is_not_known_is_no_limit() -> None:
    """A pack with costs of other kernels, and one whose times are held to those of a simpler model."""
    target = bundled()["pixel-4/cpu-1large"]
    assert least_ms(target, 10**9) > 0
    assert least_ms(bundled()["q-6690/cpu@onnxruntime"], 10**9) == 0
    card = {**target.card, "bounds": {"start_ms": 1, "mac_ns": 1, "byte_ns": 1, "low": 0.5, "high": 2}}
    pack = target.pack
    held = type(pack)({**pack.card, "processors": {**pack.card["processors"], target.key: card}}, pack.arrays)
    assert least_ms(Target(target.name, held, target.key), 10**9) == 0


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("name", ["galaxy-s25/npu@litert", "q-6690/npu@litert"])
def test_a_cpu_is_planned_for_where_it_may_be_faster_alone(
    name: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LAT211 says the same where every CPU is planned for; of a network that is large enough, none is."""
    planned = []

    def counting(graph: Graph, processor: object) -> object:
        planned.append(processor)
        return plan(graph, processor)  # type: ignore[arg-type]

    monkeypatch.setattr("latlint.runtime.plan", counting)
    target = bundled()[name]
    for channels, asks in ((8, True), (512, False)):
        convolutions = "\n".join(f"v{n + 1} = conv2d v{n} {channels} kernel=3" for n in range(4))
        graph = sketch(f"v0 = input 1x7x7x{channels} {dtype}\n{convolutions}")
        made = plan(graph, target.processor)
        subject = Subject(graph, made, target, engine.predict(graph, made, target, model="m", sha256=""), Settings())
        planned.clear()
        shortcut = list(faster_on_the_cpu.check(subject))
        assert bool(planned) == asks
        with monkeypatch.context() as patched:
            patched.setattr(faster_on_the_cpu, "_least_ms", lambda *_: 0.0)
            assert list(faster_on_the_cpu.check(subject._replace(settings=Settings()))) == shortcut


def test_a_cpu_that_is_faster_by_less_than_half_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dense layers alone take more than half of what the GPU does on the CPU that is still the fastest."""
    convolutions = "\n".join(f"v{n + 1} = conv2d v{n} 64 kernel=3" for n in range(12))
    graph, target = sketch(f"v0 = input 1x14x14x64\n{convolutions}"), bundled()["galaxy-s10/gpu"]
    made = plan(graph, target.processor)
    found = engine.predict(graph, made, target, model="m", sha256="")
    assert least_ms(bundled()["galaxy-s10/cpu-1large"], found.macs, floats=True) > 0.5 * found.low_ms
    subject = Subject(graph, made, target, found, Settings())
    (shortcut,) = faster_on_the_cpu.check(subject)
    monkeypatch.setattr(faster_on_the_cpu, "_least_ms", lambda *_: 0.0)
    assert [shortcut] == list(faster_on_the_cpu.check(subject._replace(settings=Settings())))
