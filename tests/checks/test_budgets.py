"""Budgets held against predictions: which limit, which end of the interval, which kernels, and what the verdict makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import by_hand
import pytest

from latlint.checks import run
from latlint.checks.types import Finding
from latlint.latency.types import KernelPrediction
from latlint.review.verdicts import verdicts
from latlint.settings import Budget


def kernel(index: int, op: str, latency_ms: float) -> KernelPrediction:
    return KernelPrediction(index, 0, (f"node_{index}",), op, (), op, latency_ms, "predicted", 0, 0)


PREDICTION = by_hand.prediction(
    low_ms=9.0,
    high_ms=15.0,
    overhead_ms=2.0,
    kernels=(
        kernel(0, "conv2d", 4.0),
        kernel(1, "depthwise_conv2d", 1.0),
        kernel(2, "conv2d", 2.0),
        kernel(3, "add", 3.0),
    ),
)


def judged(tmp_path: Path, *budgets: Budget, **settings: Any) -> tuple[list[Finding], str, float | None]:
    """The findings on the prediction, and its verdict with the limit that it shows."""
    subject = by_hand.subject(tmp_path, PREDICTION, budgets=budgets, **settings)
    found = run(subject)
    (verdict,) = verdicts([subject.prediction], found, subject.settings)
    return found, verdict.word, verdict.budget_ms


@pytest.mark.parametrize(
    ("gate", "max_ms", "word"),
    [
        ("low", 8.9, "fail"), ("low", 9.0, "pass"), ("point", 11.9, "fail"), ("point", 12.0, "pass"),
        ("high", 14.9, "fail"), ("high", 15.0, "pass"),
    ],
)  # fmt: skip
def test_the_gate_names_the_end_that_is_held_against_the_limit(
    tmp_path: Path, gate: str, max_ms: float, word: str
) -> None:
    for found, said, shown in (
        judged(tmp_path, Budget(max_ms), gate=gate),
        judged(tmp_path, Budget(max_ms, gate=gate), gate="high" if gate == "low" else "low"),
    ):
        assert (said, shown, len(found)) == (word, max_ms, 1 if word == "fail" else 0)


def test_the_message_says_which_budget_which_end_and_how_far(tmp_path: Path) -> None:
    budget = Budget(10.0, gate="high", message="Ask the camera team.", origin="[[budgets]] number 2 of latlint.toml")
    ((finding,), *_) = judged(tmp_path, budget)
    assert finding.message == (
        "the high end of the interval, 15.0 ms, is 5.00 ms (50%) over the budget of 10 ms "
        "([[budgets]] number 2 of latlint.toml: Ask the camera team.), 87% likely on the device; what costs most: "
        "conv2d 'node_0' 4.00 ms (33%); add 'node_3' 3.00 ms (25%); conv2d 'node_2' 2.00 ms (17%)"
    )
    assert (finding.latency_ms, finding.budget_ms) == (12.0, 10.0)


def test_the_tightest_of_all_that_match_is_told_whatever_the_order(tmp_path: Path) -> None:
    budgets = [Budget(11.0), Budget(9.0), Budget(1.0, target="iphone-*"), Budget(2.0, model="x.onnx")]
    for order in (budgets, budgets[::-1]):
        found, word, shown = judged(tmp_path, *order)
        assert ([finding.budget_ms for finding in found], word, shown) == ([9.0], "fail", 9.0)
    _, _, shown = judged(tmp_path, Budget(11.0), Budget(13.0, gate="high"))
    assert shown == 13.0, "15 of 13 is nearer to failing than 12 of 11"


def test_a_warning_limit_warns_and_only_where_nothing_fails(tmp_path: Path) -> None:
    ((finding,), word, shown) = judged(tmp_path, Budget(13.0, warn_ms=10.0))
    assert (finding.code, finding.severity, word, shown) == ("LAT102", "warning", "warn", 13.0)
    assert finding.message.startswith(
        "12.0 ms is 2.00 ms (20%) over the warning limit of 10 ms, 87% likely on the device; what"
    )
    found, word, _ = judged(tmp_path, Budget(11.0, warn_ms=10.0))
    assert ([each.code for each in found], word) == (["LAT101"], "fail")
    assert judged(tmp_path, Budget(warn_ms=10.0))[1:] == ("warn", 10.0)
    assert judged(tmp_path, Budget(warn_ms=12.0))[1:] == ("pass", 12.0)


def test_an_ops_budget_is_for_the_sum_of_its_kernels(tmp_path: Path) -> None:
    ((finding,), word, shown) = judged(tmp_path, Budget(5.0, op="conv2d"))
    assert (finding.code, finding.latency_ms, finding.budget_ms, finding.nodes) == (
        "LAT101", 6.0, 5.0, ("node_0", "node_2"),
    )  # fmt: skip
    assert finding.message.startswith("conv2d in 2 kernels: 6.00 ms is 1.00 ms (20%) over the budget of 5 ms; what")
    assert (word, shown) == ("fail", None)
    ((finding,), *_) = judged(tmp_path, Budget(6.5, op="*conv2d"))
    assert finding.latency_ms == 7.0
    assert judged(tmp_path, Budget(7.0, op="*conv2d")) == ([], "pass", None)
    assert judged(tmp_path, Budget(7.0, op="conv2d", gate="high"))[1] == "fail", (
        "6 of 12 with 15 at the high end is 7.5"
    )
    assert judged(tmp_path, Budget(0.1, op="softmax"))[1] == "pass"


def test_every_op_and_the_whole_are_told_apart(tmp_path: Path) -> None:
    found, _, shown = judged(
        tmp_path, Budget(11.0), Budget(5.0, op="conv2d"), Budget(1.0, op="add"), Budget(2.0, op="add")
    )
    assert sorted((each.budget_ms or 0) for each in found) == [1.0, 5.0, 11.0]
    assert len({each.fingerprint for each in found}) == 3
    assert shown == 11.0


def test_a_verdict_goes_by_the_severity_that_the_settings_give(tmp_path: Path) -> None:
    assert judged(tmp_path, Budget(9.0), severities={"LAT101": "warning"})[1:] == ("warn", 9.0)
    assert judged(tmp_path, Budget(13.0, warn_ms=9.0), severities={"LAT102": "error"})[1:] == ("fail", 13.0)
    assert judged(tmp_path, Budget(9.0), ignore=("LAT101",)) == ([], "", None)
    assert judged(tmp_path, Budget(9.0), per_model_ignores={"models/*": ("LAT1",)}) == ([], "", None)
    assert judged(tmp_path, Budget(9.0), per_model_ignores={"other/*": ("LAT1",)})[1] == "fail"


def test_no_budget_no_verdict(tmp_path: Path) -> None:
    assert judged(tmp_path) == ([], "", None)


@pytest.mark.parametrize(("base_ms", "highest_ms"), [(10.0, 10.5), (2.0, 2.2), (0.0, 0.2)])
def test_an_increase_has_a_share_and_a_floor(base_ms: float, highest_ms: float) -> None:
    assert Budget(max_increase=0.05, min_increase_ms=0.2).highest_ms(base_ms) == pytest.approx(highest_ms)
    assert Budget(1.0).highest_ms(base_ms) is None
