"""What is promised of NPUs is what the benchmark last measured, the cards and the page say the same, and both formats agree."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.targets import bundled

REPOSITORY = Path(__file__).resolve().parent.parent.parent
RECORD = json.loads((REPOSITORY / "benchmarks" / "npu.json").read_text("utf-8"))
WORDS = {
    "float32": "float",
    "int8": "w8a8",
    "int16": "w8a16",
    "litert": "LiteRT",
    "onnxruntime": "ONNX Runtime",
    "qnn": "QAIRT",
}


@pytest.fixture(scope="module")
def benchmark() -> dict[str, Any]:
    return runpy.run_path(str(REPOSITORY / "benchmarks" / "npu.py"))


def test_the_record_keeps_what_is_promised(benchmark: dict[str, Any]) -> None:
    assert benchmark["above_limits"](RECORD["runtimes"]) == []
    assert all(row["median"] <= 19.0 for row in RECORD["left out"] if row["precision"] == "float32")


def test_a_record_beyond_the_limits_is_told(benchmark: dict[str, Any]) -> None:
    row = {**RECORD["runtimes"][0], "median": 40.0, "inside interval": 0.8, "interval factor": 3.0, "pairs right": 0.5}
    assert len(benchmark["above_limits"]([row])) == 4


def test_no_simple_model_is_nearer() -> None:
    for row in RECORD["baselines"]:
        own = float(row["latlint"].split(" / ")[0])
        others = {
            name: float(row[name].split(" / ")[0]) for name in ("constant", "MACs", "roofline", "trees on op counts")
        }
        assert own < min(others.values()), row


def test_the_cards_state_what_the_benchmark_recorded() -> None:
    recorded = {
        (device[""], *key.split(" ")): median
        for device in RECORD["devices"]
        for key, median in device.items()
        if key and median is not None
    }
    assert len(recorded) > 100
    for (device, runtime, precision), median in recorded.items():
        stated = bundled()[f"{device}/npu@{runtime}"].card["accuracy"][precision]["median_error_percent"]
        assert stated == pytest.approx(median, abs=0.051), (device, runtime, precision)


def test_the_page_quotes_the_record() -> None:
    page = (REPOSITORY / "docs" / "accuracy.md").read_text("utf-8").partition("## NPUs")[2]
    for row in RECORD["runtimes"]:
        first = rf"\| {WORDS[row['precision']]}( \(float16\))? \| {WORDS[row['runtime']]} \| "
        right = f"{row['pairs right'] * 100:.1f}"
        assert re.search(
            rf"{first}{row['cells']} \| {row['median']} % \| {row['mean']} % \| \S+ \| {right} % \|", page
        ), row
        held = f"{row['inside interval'] * 100:.0f}"
        assert re.search(rf"{first}{held} % \| {row['interval factor']} \|", page), row
    for row in RECORD["left out"]:
        assert f"{row['median']} / {row['mean']}" in page, row


@pytest.mark.long
@pytest.mark.slow
def test_the_same_network_in_both_formats_is_predicted_alike(benchmark: dict[str, Any], shared: Path) -> None:
    for name, found in benchmark["pairs"](shared).items():
        apart = sorted(abs(difference) for difference in found.values())
        assert len(apart) >= 20
        assert apart[len(apart) // 2] <= benchmark["APART_AT_MOST"], name
        assert apart[len(apart) // 2] <= 0.04, name
