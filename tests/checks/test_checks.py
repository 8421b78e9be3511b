"""The rule book: every module is a rule, with a code of its own and a page; and what the rules so far find."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import by_hand
import pytest

import latlint.checks
from latlint.checks import Check, by_code, checks, run
from latlint.checks.types import SEVERITIES, Finding, Subject
from latlint.latency.types import KernelPrediction, Prediction
from latlint.settings import Budget


def kernel(
    index: int, latency_ms: float, source: str = "predicted", implementation: str = "convolution_2d"
) -> KernelPrediction:
    return KernelPrediction(
        index, 0, (f"node_{index}",), "conv2d", ("relu",) * (index == 0), implementation, latency_ms, source, 0, 0
    )


PREDICTION = by_hand.prediction(
    low_ms=11.0,
    high_ms=13.0,
    overhead_ms=1.0,
    kernels=tuple(kernel(i, ms) for i, ms in enumerate([3.0, 1.0, 5.0, 2.0])),
)


def subject(tmp_path: Path, prediction: Prediction = PREDICTION, **settings: Any) -> Subject:
    return by_hand.subject(tmp_path, prediction, **settings)


@pytest.mark.parametrize("check", checks(), ids=lambda check: check.rule.code)
def test_a_rule_has_an_identity_and_a_page(check: Check) -> None:
    rule = check.rule
    assert re.fullmatch(r"LAT[0-9]{3}", rule.code)
    assert rule.severity in SEVERITIES
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", rule.name)
    assert check.summary.endswith(".")
    assert "## What it does" in check.page
    assert "## Why is this bad?" in check.page or "## Why is this slow?" in check.page
    assert by_code(rule.code.lower()) is by_code(rule.name) is check


def test_every_module_is_one_rule_named_as_users_see_it() -> None:
    files = Path(latlint.checks.__file__).parent.glob("[!_]*.py")
    names = {path.stem for path in files} - {"budgets", "docs", "types", "view"}
    assert names == {check.rule.name.replace("-", "_") for check in checks()}
    assert len({check.rule.code for check in checks()}) == len(checks())


def test_the_codes_of_the_readers_have_pages() -> None:
    codes = {check.rule.code for check in checks()}
    assert {"LAT001", "LAT002", "LAT003", "LAT004", "LAT005", "LAT006", "LAT007", "LAT901", "LAT902"} <= codes


def test_within_budget_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert run(subject(tmp_path)) == []
    assert run(subject(tmp_path, budgets=(Budget(12.0),))) == []


def test_over_budget_names_the_three_costliest_kernels(tmp_path: Path) -> None:
    (finding,) = run(subject(tmp_path, budgets=(Budget(10.0, target="pixel-4/*"), Budget(11.0))))
    assert (finding.code, finding.severity, finding.latency_ms, finding.budget_ms) == ("LAT101", "error", 12.0, 10.0)
    assert finding.nodes == ("node_2", "node_0", "node_3")
    assert finding.message == (
        "12.0 ms is 2.00 ms (20%) over the budget of 10 ms, >99% likely on the device; what costs most: convolution_2d 'node_2' 5.00 ms (42%); "
        "convolution_2d + relu 'node_0' 3.00 ms (25%); convolution_2d 'node_3' 2.00 ms (17%)"
    )


def test_low_coverage_says_what_is_not_understood(tmp_path: Path) -> None:
    kernels = (kernel(0, 3.0), kernel(1, 1.0, "derived"), *(kernel(i, 0.0, "unknown", "com.acme::Foo") for i in (2, 3)))
    partly = replace(PREDICTION, coverage=0.7996, kernels=kernels, unknown={"com.acme::Foo": 2})
    (finding,) = run(subject(tmp_path, partly))
    assert (finding.code, finding.severity) == ("LAT010", "warning")
    assert finding.message == "not known, and left out of the latency: com.acme::Foo ×2"
    assert finding.nodes == ("node_2", "node_3")
    (finding,) = run(subject(tmp_path, partly, min_coverage=0.8))
    assert finding.message == (
        "not known, and left out of the latency: com.acme::Foo ×2; coverage 79.9% is below min-coverage 80% "
        "(1 kernel estimated without measurements of the kind)"
    )


def test_estimates_without_measurements_are_no_finding_unless_asked(tmp_path: Path) -> None:
    estimated = replace(PREDICTION, coverage=0.0)
    assert run(subject(tmp_path, estimated)) == []
    assert [finding.code for finding in run(subject(tmp_path, estimated, min_coverage=0.1))] == ["LAT010"]


def test_a_coverage_as_high_as_asked_for_is_judged(tmp_path: Path) -> None:
    half = replace(PREDICTION, coverage=0.5)
    assert run(subject(tmp_path, half, min_coverage=0.5, budgets=(Budget(100.0),))) == []


DOUBTFUL = [
    (
        replace(PREDICTION, unknown={"Foo": 2, "Bar": 1}),
        0.0,
        "Foo ×2, Bar are not priced, so the model takes 12.0 ms or more",
    ),
    (replace(PREDICTION, unknown={"Foo": 1}), 0.0, "Foo is not priced"),
    (replace(PREDICTION, open_inputs={"x": (-1, 3, -1, -1)}), 0.0, "--shape 'x=1x3x224x224'"),
    (replace(PREDICTION, open_inputs={"ids": (-1, -1)}), 0.0, "--shape 'ids=1x128'"),
    (replace(PREDICTION, coverage=0.5), 0.6, "coverage 50% is below min-coverage 60%"),
]


@pytest.mark.parametrize(("prediction", "least", "said"), DOUBTFUL)
def test_a_budget_is_not_judged_where_the_latency_is_not_known(
    tmp_path: Path, prediction: Prediction, least: float, said: str
) -> None:
    def unjudged(**settings: Any) -> list[Finding]:
        found = run(subject(tmp_path, prediction, min_coverage=least, **settings))
        return [finding for finding in found if finding.code == "LAT106"]

    (finding,) = unjudged(budgets=(Budget(100.0),))
    assert finding.severity == "error"
    assert said in finding.message
    assert [each.severity for each in unjudged(budgets=(Budget(100.0),), unjudged="warning")] == ["warning"]
    assert unjudged(budgets=(Budget(100.0),), unjudged="ignore") == []
    assert unjudged() == unjudged(budgets=(Budget(100.0, target="galaxy-s10/*"),)) == []  # nothing to judge


def test_the_gravest_finding_comes_first(tmp_path: Path) -> None:
    found = run(subject(tmp_path, replace(PREDICTION, unknown={"Foo": 1}), budgets=(Budget(10.0),)))
    found = [finding for finding in found if finding.code != "LAT106"]
    assert [finding.severity for finding in found] == ["error", "warning"]


def test_a_fingerprint_is_the_findings_own_and_free_of_milliseconds(tmp_path: Path) -> None:
    def mark(prediction: Prediction = PREDICTION, limit_ms: float = 10.0) -> str:
        (finding,) = run(subject(tmp_path, prediction, budgets=(Budget(limit_ms),)))
        return finding.fingerprint

    assert re.fullmatch(r"[0-9a-f]{16}", mark())
    slower = replace(PREDICTION, latency_ms=99.0, kernels=tuple(reversed(PREDICTION.kernels)))
    assert mark(slower) == mark(limit_ms=9.0) == mark()
    assert mark(replace(PREDICTION, target="iphone-xs/gpu")) != mark()
    assert mark(replace(PREDICTION, model="models/n.tflite")) != mark()
