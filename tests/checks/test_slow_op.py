"""LAT230: kernels held against the target's own efficient frontier, and the reason of the excess."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from linted import subject
from sketch import sketch

from latlint import checks
from latlint.checks import slow_op
from latlint.checks.types import Finding
from latlint.checks.view import view
from latlint.graph import read
from latlint.graph.types import Graph
from latlint.latency import engine
from latlint.runtime import plan
from latlint.whatif import frontier
from latlint.whatif.frontier import GROUPS, PURPOSES, accounts, frontiers, spent
from tests.targets import bundled

TARGETS = bundled()
LEFT_BEHIND = "x = input 1x112x112x32\na = conv2d x 5 kernel=3"


def found(graph: Graph, target: str) -> list[Finding]:
    return [finding for finding in checks.run(subject(graph, target)) if finding.code == "LAT230"]


def looped(graph: Graph, rounds: int) -> Graph:
    """``graph`` in a loop of so many rounds."""
    return replace(graph, nodes=tuple(replace(node, repeat=rounds, in_round=rounds) for node in graph.nodes))


@pytest.mark.parametrize("target", ["pixel-4/gpu", "iphone-xs/gpu", "pixel-4/cpu-1large", "galaxy-a03s/cpu-4large"])
@pytest.mark.parametrize("group", GROUPS)
def test_the_frontier_is_made_of_the_targets_own_predictions(target: str, group: str) -> None:
    curve = frontiers(TARGETS[target], (group,), "float32")[group]
    assert len(curve.macs) >= 4 and np.all(np.diff(curve.macs) > 0)
    assert [curve.nearest(macs) for macs in curve.macs] == list(range(len(curve.macs)))
    assert spent(curve.accounts, TARGETS[target], curve.chosen, curve.ms).sum(axis=1) == pytest.approx(curve.ms)
    for macs, ms in zip(curve.macs, curve.ms, strict=True):
        assert curve.prices([macs]) == pytest.approx([ms])
    below, beyond = curve.prices([curve.macs[0] * 0.5, curve.macs[-1] * 2])
    assert np.isnan(below)
    assert beyond == pytest.approx(2 * curve.ms[-1])


@pytest.mark.parametrize(
    "target", ["pixel-4/gpu", "iphone-xs/gpu", "pixel-4/cpu-1large", "galaxy-a03s/cpu-4large", "galaxy-s25/npu@litert"]
)
def test_groups_that_are_drawn_together_are_as_each_alone(target: str) -> None:
    """The frontier of a group is the same whatever others the model has."""
    chosen = TARGETS[target]
    for group, curve in frontiers(chosen, tuple(GROUPS), "float32").items():
        alone = frontiers(chosen, (group,), "float32")[group]
        assert (curve.macs, curve.winograd) == (alone.macs, alone.winograd) and curve.ms == pytest.approx(alone.ms)
        on_what = [spent(each.accounts, chosen, each.chosen, each.ms) for each in (curve, alone)]
        assert on_what[0] == pytest.approx(on_what[1])


def test_no_well_shaped_convolution_is_slow_and_winograd_counts_where_the_gpu_has_it() -> None:
    square = (
        "x = input 1x28x28x128\na = conv2d x 128 kernel=3\nb = conv2d a 128 kernel=1\nc = depthwise_conv2d b kernel=3"
    )
    for target in ("galaxy-s10/gpu", "pixel-4/gpu", "pixel-4/cpu-1large"):
        assert found(sketch(square), target) == found(looped(sketch(square), 1000), target) == []
    assert any(frontiers(TARGETS["galaxy-s10/gpu"], ("kxk",), "float32")["kxk"].winograd)
    assert not any(frontiers(TARGETS["pixel-4/gpu"], ("kxk",), "float32")["kxk"].winograd)


@pytest.mark.parametrize(
    ("target", "text", "severity", "reason"),
    [
        (
            "pixel-4/cpu-1large",
            "x = input 1x112x112x32\na = conv2d x 5 kernel=3",
            "warning",
            "memory-bound, too few output channels share reading the input",
        ),
        (
            "galaxy-a03s/cpu-4large",
            "x = input 1x112x112x8\na = conv2d x 48 kernel=1",
            "warning",
            "memory-bound, too few input channels for what is written",
        ),
        (
            "galaxy-a03s/cpu-4large",
            "x = input 1x56x56x200 int8\na = conv2d x 9 kernel=5",
            "warning",
            "memory-bound, too few output channels share reading the input",
        ),
        (
            "pixel-4/cpu-1large",
            "x = input 1x112x112x8 int8\na = conv2d x 9 kernel=1",
            "warning",
            "their channels are padded to whole tiles",
        ),
        (
            "pixel-4/cpu-1large",
            "x = input 1x112x112x16 int8\na = conv2d x 96 kernel=1",
            "warning",
            "too few input channels, each tile of results is begun and stored for little arithmetic",
        ),
        (
            "pixel-4/cpu-1large",
            "x = input 1x56x56x32\na = conv2d x 32 kernel=3 groups=8",
            "note",
            "off the fast path (a grouped convolution runs on the reference kernel, which has one thread)",
        ),
        (
            "galaxy-s10/gpu",
            "x = input 1x7x7x512\na = conv2d x 512 kernel=3",
            "note",
            "off the fast path (Winograd needs 32 tiles of 4x4 outputs: 4 here)",
        ),
        (
            "pixel-4/gpu",
            "x = input 1x7x7x1200\na = conv2d x 200 kernel=1",
            "note",
            "their weights leave the cache, or are read for few pixels",
        ),
    ],
)
@pytest.mark.parametrize("rounds", [1, 1000])
def test_the_reason_of_the_excess(target: str, text: str, severity: str, reason: str, rounds: int) -> None:
    """In a loop it is that of one round, on the frontier as well."""
    (finding,) = found(looped(sketch(text), rounds), target)
    assert (finding.severity, finding.nodes) == (severity, ("a",))
    assert f": {reason}: " in finding.message
    assert finding.gain_ms is None  # what is lost is no promise of what a change would gain


def test_the_message_says_how_much_is_lost() -> None:
    text = "x = input 1x112x112x32\na = conv2d x 5 kernel=3"
    (finding,) = found(sketch(text), "pixel-4/cpu-1large")
    chosen = TARGETS["pixel-4/cpu-1large"]
    (best_ms,) = frontiers(chosen, ("kxk",), "float32")["kxk"].prices([112 * 112 * 9 * 32 * 5])
    assert finding.latency_ms is not None
    assert f"takes {finding.latency_ms / best_ms:.1f} times as long" in finding.message
    assert f", {finding.latency_ms - best_ms:.2f} ms more in all" in finding.message
    assert "32 to 5 channels on 112x112" in finding.message


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("pixel-4/cpu-1large", "x = input 1x224x224x3\na = conv2d x 5 kernel=3"),  # an image
        ("pixel-4/cpu-1large", "x = input 1x1x1x1280\na = conv2d x 1000 kernel=1"),  # no map
        ("pixel-4/gpu", f"{LEFT_BEHIND}\nb = gelu a\nc = conv2d b 64 kernel=1\nd = conv2d c 64 kernel=1"),
    ],
)
def test_what_is_not_judged(target: str, text: str) -> None:
    """Images, products of one row, and what the delegate refused to take."""
    assert [f for f in found(sketch(text), target) if "a" in f.nodes] == []


def test_what_nobody_timed_is_not_judged_nor_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    def judged(derived: Sequence[int]) -> list[Finding]:
        seen = subject(sketch(f"{LEFT_BEHIND}\nb = conv2d x 5 kernel=3"), "pixel-4/cpu-1large")
        kernels = [
            each._replace(source="derived") if at in derived else each
            for at, each in enumerate(seen.prediction.kernels)
        ]
        return list(slow_op.check(seen._replace(prediction=replace(seen.prediction, kernels=tuple(kernels)))))

    (finding,) = judged([0])
    assert finding.nodes == ("b",)
    monkeypatch.setattr(frontier, "frontiers", None)  # nobody asks
    assert judged([0, 1]) == []


def test_slow_ones_are_in_the_order_of_the_plan() -> None:
    thin = "x = input 1x112x112x8\na = conv2d x 48 kernel=1\nb = conv2d a 5 kernel=3\nc = conv2d b 48 kernel=1"
    slow = slow_op._slow(view(subject(sketch(thin), "galaxy-a03s/cpu-4large")))
    assert [each.position for each in slow] == [0, 1, 2]


def test_small_losses_are_silent_and_large_ones_of_a_real_network_are_told(model: Callable[[str], Path]) -> None:
    thin = "x = input 1x112x112x32\na = conv2d x 5 kernel=3\nb = conv2d x 512 kernel=3\nc = conv2d b 512 kernel=3"
    assert found(sketch(thin), "pixel-4/cpu-1large") == []
    (finding,) = found(read(model("mobilenet_v2_int8.tflite")), "galaxy-a03s/cpu-4large")
    assert finding.severity == "warning" and "16 to 96 channels on 112x112" in finding.message


@pytest.mark.parametrize(("least", "told"), [(0.9, True), (1.1, False)])
def test_a_loss_is_told_from_the_least_gain_on(least: float, told: bool) -> None:
    seen = subject(sketch("x = input 1x112x112x32\na = conv2d x 5 kernel=3"), "pixel-4/cpu-1large")
    (kernel,) = seen.prediction.kernels
    best_ms = frontiers(TARGETS["pixel-4/cpu-1large"], ("kxk",), "float32")["kxk"].prices([kernel.macs]).item()
    lost = (kernel.latency_ms - best_ms) / seen.prediction.latency_ms
    asked = seen._replace(settings=replace(seen.settings, min_gain=least * lost))
    assert [finding.code for finding in slow_op.check(asked)] == ["LAT230"] * told


def test_what_is_spent_adds_up_to_the_kernel() -> None:
    target = TARGETS["galaxy-s10/gpu"]
    work = engine.workload(plan(sketch("x = input 1x28x28x64\na = conv2d x 64 kernel=3\nb = relu a"), target.processor))
    times = engine.times(work, target)
    places = range(len(times.kernels))
    found = spent(accounts(work), target, places, times.kernels)
    assert found.shape == (len(places), len(PURPOSES)) and found.sum(axis=1) == pytest.approx(times.kernels)
    assert np.array_equal(spent(accounts(work), target, places[1:], times.kernels[1:]), found[1:])
