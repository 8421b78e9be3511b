"""Intervals hold what they promise, and the card says how far held-out predictions were off."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from latlint.latency import engine
from latlint.latency.packs import Pack
from latlint.training import calibrate
from latlint.training.calibrate import evidence, held_out_scores
from latlint.training.evaluation import interval
from latlint.training.held_out import HeldOut
from latlint.training.measurements import Measurements, Series

SERIES = Series("toy", "gpu", "float32", np.array([1e6, 2e6, 4e6, 8e6]), np.array([0.1e6, 0.1e6, 0.4e6, 0.8e6]))
MEASUREMENTS = Measurements(("a1", "a2", "b", "c"), ("a", "a", "b", "c"), (SERIES,), {}, {})
DESIGN: Any = SimpleNamespace(measurements=MEASUREMENTS)
SPENT = [{"conv": 0.9, "pool": 0.1}, {"conv": 1.0}, {"conv": 0.97, "pool": 0.03}, {"rare": 0.6, "conv": 0.4}]


def held_out(*predicted_ms: float) -> HeldOut:
    return HeldOut({("toy/gpu", "float32"): np.array(predicted_ms)})


def test_an_interval_is_the_quantile_with_the_finite_sample_correction() -> None:
    """Of 80 scores the 73rd: (80 + 1) * 0.9 = 72.9."""
    scores = np.random.default_rng(1).permutation(np.arange(1, 81) / 100)
    assert interval(scores) == {"level": 0.9, "low": -0.73, "high": 0.73}
    assert interval(scores, level=0.5) == {"level": 0.5, "low": -0.41, "high": 0.41}


def test_few_scores_give_the_largest() -> None:
    assert interval(np.array([0.1, 0.3, 0.2]))["high"] == 0.3


def test_models_that_were_not_held_out_do_not_count() -> None:
    scores = np.arange(1, 81) / 100
    assert interval(np.append(scores, [np.nan] * 20)) == interval(scores)


def test_nine_of_ten_new_models_lie_in_the_interval() -> None:
    random = np.random.default_rng(2)
    inside = [abs(new) <= interval(np.abs(seen))["high"] for *seen, new in random.normal(0, 0.1, (4000, 40))]
    assert 0.88 < np.mean(inside) < 0.93


def test_accuracy_is_the_error_of_predictions_over_measurements() -> None:
    ratios = held_out(1.09, 1.82, 4.0, 12.0).ratios(SERIES)
    assert ratios.tolist() == pytest.approx([1.09, 0.91, 1.0, 1.5])
    assert calibrate.record(DESIGN, held_out(1.09, 1.82, 4.0, 12.0), SERIES) == {
        "models": 4,
        "mean_error_percent": 17.0,
        "median_error_percent": 9.0,
        "within_10_percent": 0.75,
        "worst_model": "c",
        "worst_error_percent": 50.0,
        "noise_percent": 10.0,
        "by_family_percent": {"a": 9.0, "b": 0.0, "c": 50.0},
    }


def test_accuracy_leaves_out_what_was_not_held_out() -> None:
    found = calibrate.record(DESIGN, held_out(np.nan, np.nan, 4.0, 12.0), SERIES)
    assert (found["models"], found["mean_error_percent"]) == (2, 25.0)
    assert found["by_family_percent"] == {"b": 0.0, "c": 50.0}


def test_evidence_counts_families_and_only_notable_shares() -> None:
    assert evidence(DESIGN.measurements.families, SPENT) == {"conv": 3, "pool": 1, "rare": 1}
    assert evidence(DESIGN.measurements.families, SPENT, without="a") == {"conv": 2, "rare": 1}
    assert evidence(DESIGN.measurements.families, SPENT, without="c") == {"conv": 2, "pool": 1}


def test_an_error_on_what_no_other_family_has_weighs_less() -> None:
    """The same error of a common model and of one whose kernels only its own family has."""
    scores = held_out_scores(DESIGN, held_out(1.2, 2.4, 4.8, 9.6), SERIES, SPENT)
    assert scores[3] < scores[2] / 2
    np.testing.assert_array_equal(
        np.isnan(held_out_scores(DESIGN, held_out(1.2, np.nan, 4.8, 9.6), SERIES, SPENT)), [False, True, False, False]
    )


def test_a_family_does_not_vouch_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Coverage of a family is measured with intervals that the other families made."""
    monkeypatch.setattr(calibrate, "fit_all", lambda design: {})
    monkeypatch.setattr(calibrate, "model_shares", lambda design, packs, series: [{"conv": 1.0}] * 4)
    # one model of family a is far off; rounding of the interval must not decide
    far_off = np.exp(0.50006 * engine.difficulty({"conv": 1.0}, {"conv": 2}))
    found = calibrate.stretches(DESIGN, held_out(1.1, 2 * far_off, 4.8, 9.6))
    np.testing.assert_array_equal(found <= 1, [[True, False, True, True]])


def test_cards_say_what_the_held_out_families_say(monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(SERIES, processor="cpu-1large", mean_ns=2 * SERIES.mean_ns)
    design: Any = SimpleNamespace(measurements=replace(MEASUREMENTS, series=(SERIES, other)))
    fitted = {"toy": Pack({"device": "toy", "processors": {"gpu": {"title": "GPU"}, "cpu-1large": {}}}, {})}
    monkeypatch.setattr(calibrate, "fit_all", lambda design: fitted)
    monkeypatch.setattr(calibrate, "model_shares", lambda design, packs, series: SPENT)
    predicted = np.array([1.0, 2.0, 4.0, 8.0])
    found = calibrate.packs(
        design, HeldOut({("toy/gpu", "float32"): 1.1 * predicted, ("toy/cpu-1large", "float32"): predicted})
    )
    gpu, cpu = (found["toy"].card["processors"][name] for name in ("gpu", "cpu-1large"))
    assert gpu["title"] == "GPU"
    assert gpu["accuracy"]["float32"]["mean_error_percent"] == 10
    assert cpu["accuracy"]["float32"]["mean_error_percent"] == 50
    assert cpu["interval"]["float32"]["high"] > gpu["interval"]["float32"]["high"] > 0
    assert gpu["evidence"] == {"float32": {"conv": 3, "pool": 1, "rare": 1}}
    assert "interval" not in fitted["toy"].card["processors"]["gpu"]
