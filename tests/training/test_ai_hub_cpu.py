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
from latlint.training.npu.measurements import jobs
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
    assert card["accuracy"]["int16"]["median_error_percent"] <= 15


def test_devices_with_families_held_out_within_a_seventh() -> None:
    known = load_targets()
    within = [
        known[target].card["accuracy"]["int8"]["median_error_percent"] <= 15
        for target in TARGETS
        if not target.startswith("qcs6490")
    ]
    assert all(within)


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
