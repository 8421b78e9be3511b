"""ONNX Runtime on CPUs that Qualcomm AI Hub times: what the packs rest on, and what their cards promise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latlint.graph import read
from latlint.latency.packs import load_targets
from latlint.runtime import plan
from latlint.training import ai_hub_cpu
from latlint.training.npu.measurements import Job, jobs
from latlint.training.npu.study import unpacked

TARGETS = [f"{device}/{ai_hub_cpu.KEY}" for device in ai_hub_cpu.DEVICES]


@pytest.mark.parametrize("target", TARGETS)
def test_the_card_says_what_is_promised(target: str) -> None:
    found = load_targets()[target]
    card = found.card
    assert "not stated" in card["title"]
    assert card["accuracy"].keys() == {"int8", "int16"}  # float networks were not timed
    assert card["interval"]["float32"]["high"] >= 2 * card["interval"]["int16"]["high"]
    assert all(each["models"] >= 15 for each in card["accuracy"].values())
    # families held out, within a seventh in the median
    assert all(each["median_error_percent"] <= 15 for each in card["accuracy"].values())


def job(release: tuple[int, int], ms: float, column: str = "Dragonwing Q-6690 MTP", network: str = "n") -> Job:
    return Job(network, column, "onnxruntime", "int8", "2.45", "2026", ms, 90, release)


def test_a_release_counts_that_published_the_network_of_the_newest() -> None:
    other = "Snapdragon 7 Gen 4 QRD"
    smaller = [job((0, 53), 18.0), job((0, 53), 14.0, other)]
    same = [job((0, 54), 32.0), job((0, 54), 25.5, other)]
    newest = [job((0, 55), 33.0), job((0, 55), 26.0, other)]
    elsewhere, another = job((0, 55), 27.0, "RB5 (Proxy)"), job((0, 40), 1.0, network="m")
    assert ai_hub_cpu.as_they_are([*smaller, *same, *newest, elsewhere, another]) == [*same, *newest, another]


@pytest.mark.parametrize(
    ("network", "precision"), [("resnet50", "w8a8"), ("mnasnet05", "w8a16"), ("googlenet", "w8a8")]
)
def test_a_plan_has_as_many_kernels_as_ai_hub_counts(
    shared: Path, tmp_path: Path, network: str, precision: str
) -> None:
    graph = read(unpacked(shared / "corpus" / "ai-hub" / f"{network}.onnx.zst", tmp_path))
    planned = plan(replace(graph, as_if=precision), ai_hub_cpu.PROCESSOR)
    kernels = sum(not kernel.free for kernel in planned.kernels)
    word = {"w8a8": "int8", "w8a16": "int16"}[precision]
    counted = {
        job.layers
        for job in jobs(shared / "data", shared / "corpus", unit="cpu")
        if (job.network, job.precision, job.runtime) == (network, word, "onnxruntime")
    }
    assert counted and min(abs(kernels - layers) for layers in counted) <= 2


def test_costs_that_made_times_are_found_again() -> None:
    rng = np.random.default_rng(0)
    terms = len(ai_hub_cpu.COLUMNS.names)
    counts = rng.integers(0, 2, (60, terms)) * rng.uniform(1e4, 1e6, (60, terms))
    true = ai_hub_cpu.COLUMNS.terms.prior * np.array([[2.0], [3.0], [5.0]])
    row = ai_hub_cpu.Row("n", "f", "int8", None, (1.0,) * 3)  # type: ignore[arg-type]
    study = ai_hub_cpu.Study(tuple([row] * 60), counts, counts @ true.T)
    found = counts @ ai_hub_cpu.costs(study, np.ones(60, bool)).T / study.ns
    assert np.abs(found - 1).max() < 0.05
