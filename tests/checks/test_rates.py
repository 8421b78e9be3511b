"""How often rules speak on the networks of the corpus; ``benchmarks/rules.py`` has all targets."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from latlint.api import check
from latlint.settings import Settings

#: It warns where SAME padding, which costs nothing, gives the same result as the PAD that the converter wrote.
ACTIONABLE = {"LAT241"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("directory", "targets"),
    [
        ("tflite_fp32", ("galaxy-s10/gpu", "galaxy-a03s/cpu-4large")),
        ("tflite_int8", ("iphone-7/cpu-1large",)),
    ],
)
def test_no_rule_warns_on_more_than_a_third_of_the_networks(
    corpus: Path, directory: str, targets: tuple[str, ...]
) -> None:
    paths = sorted((corpus / directory).glob("*.tflite"))
    assert len(paths) >= 80
    report = check(paths, Settings(targets=targets))
    assert len(report.predictions) == len(paths) * len(targets)
    assert [finding for finding in report.findings if finding.severity == "error"] == []
    each = {(f.model, f.code, f.target) for f in report.findings if f.severity == "warning"}
    warned = Counter((code, target) for _, code, target in each)
    assert warned, "rules that never warn prove nothing"
    assert {rule for rule, count in warned.items() if count > len(paths) / 3 and rule[0] not in ACTIONABLE} == set()


def test_the_record_of_real_models_keeps_to_the_limits() -> None:
    """benchmarks/real_models.py writes it: a third of at least 100 models, and no gain that may be none."""
    record = json.loads((Path(__file__).resolve().parents[2] / "benchmarks" / "real_models.json").read_text("utf-8"))
    models = sum(record["formats"].values())
    assert models >= 100 and record["stated_gains"] > 100 and record["wrong_gains"] == []
    over = {c for c, targets in record["rates"].items() if max(n for n, _ in targets.values()) > models / 3}
    assert over == set()


@pytest.mark.parametrize("target", ["pixel-4/gpu", "pixel-4/cpu-1large", "galaxy-s24/npu@litert"])
def test_no_stated_gain_may_be_none(model: Callable[[str], Path], target: str) -> None:
    stated = 0
    for name in ("mobilenet_v2.tflite", "mobilenet_v2_int8.tflite", "vit_tiny.onnx", "mobilenet_v3_small.tflite"):
        (prediction, *_), findings = (
            (report := check(model(name), Settings(targets=(target,)))).predictions,
            report.findings,
        )
        for finding in findings:
            if finding.gain_ms is not None:
                stated += 1
                assert 0 < (finding.gain_low_ms or 0) <= finding.gain_ms <= (finding.gain_high_ms or 0)
                assert finding.gain_ms < prediction.latency_ms
            assert ("which saves" in finding.message) == (finding.gain_ms is not None)
    assert stated
