"""JSON for programs: ``latlint.predict/1`` and ``latlint.check/1``."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from itertools import zip_longest
from typing import Any

from latlint import __version__
from latlint.checks.types import SEVERITIES, Finding
from latlint.latency.types import KernelPrediction, Prediction
from latlint.outcome import InputError, Report, Verdict
from latlint.report.plain import Style


def predict(report: Report, style: Style) -> str:
    """Every prediction with its kernels."""
    predictions = [
        {
            **prediction_json(prediction),
            "kernels": [kernel_json(kernel, style.explain) for kernel in prediction.kernels],
        }
        for prediction in report.predictions
    ]
    return dump(
        {
            "schema": "latlint.predict/1",
            "latlint": __version__,
            "predictions": predictions,
            "errors": [error_json(error) for error in report.errors],
        }
    )


def check(report: Report, style: Style) -> str:
    """Findings, and the predictions that they rest on, without kernels."""
    counts = Counter(finding.severity for finding in report.findings)
    return dump(
        {
            "schema": "latlint.check/1",
            "latlint": __version__,
            "findings": [finding_json(finding) for finding in report.findings],
            "predictions": judged_json(report),
            "errors": [error_json(error) for error in report.errors],
            "summary": {
                "files": report.files,
                "targets": len(report.targets),
                "findings": len(report.findings),
                "by_severity": {severity: counts[severity] for severity in reversed(SEVERITIES)},
            },
        }
    )


def dump(document: dict[str, Any] | list[Any], *, indent: int | None = 2) -> str:
    """ASCII, so that no name in a model file can steer a terminal, whatever the locale, or (``##[``) the log of a CI runner."""
    written = json.dumps(document, indent=indent, ensure_ascii=True, allow_nan=False)
    return written.replace("##", "#\\u0023") + "\n"


def prediction_json(prediction: Prediction) -> dict[str, Any]:
    """A prediction without its kernels."""
    return {
        "model": prediction.model,
        "sha256": prediction.sha256,
        "format": prediction.format,
        "precision": prediction.precision,
        "target": prediction.target,
        "runtime": prediction.runtime,
        "pack": prediction.pack,
        "latency_ms": number(prediction.latency_ms),
        "low_ms": number(prediction.low_ms),
        "high_ms": number(prediction.high_ms),
        "interval": prediction.interval,
        "overhead_ms": number(prediction.overhead_ms),
        "border_ms": number(prediction.border_ms),
        "coverage": number(prediction.coverage),
        "macs": prediction.macs,
        "partitions": [
            {**asdict(partition), "latency_ms": number(partition.latency_ms)} for partition in prediction.partitions
        ],
        "notes": list(prediction.notes),
    }


def judged_json(report: Report) -> list[dict[str, Any]]:
    """The predictions of a report of `check`, each with how it stands to its budget."""
    pairs = zip_longest(report.predictions, report.verdicts)
    return [prediction_json(prediction) | _verdict_json(prediction, verdict) for prediction, verdict in pairs]


def _verdict_json(prediction: Prediction, verdict: Verdict | None) -> dict[str, Any]:
    """How a prediction stands to the budget that applies to it, and how likely the device is to take longer; nothing without one."""
    if verdict is None or verdict.budget_ms is None:
        return {}
    return {
        "verdict": {
            "budget_ms": number(verdict.budget_ms),
            "gate": verdict.gate,
            "passed": verdict.passed,
            "warned": verdict.warned,
            "chance_over_budget": number(prediction.chance_above(verdict.budget_ms)),
        }
    }


def kernel_json(kernel: KernelPrediction, explain: bool = False) -> dict[str, Any]:
    """A kernel of `predict`, on demand with why it is what it is."""
    fields: dict[str, Any] = {
        "index": kernel.index,
        "partition": kernel.partition,
        "nodes": list(kernel.nodes),
        "op": kernel.op,
        "linked": list(kernel.linked),
        "implementation": kernel.implementation,
        "latency_ms": number(kernel.latency_ms),
        "source": kernel.source,
        "macs": kernel.macs,
        "bytes": kernel.bytes,
    }
    if kernel.reason:
        fields["reason"] = kernel.reason
    return {**fields, "explain": list(kernel.explain)} if explain else fields


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding of `check`."""
    fields = asdict(finding)
    for key in ("latency_ms", "budget_ms", "gain_ms", "gain_low_ms", "gain_high_ms"):
        fields[key] = None if fields[key] is None else number(fields[key])
    return {
        key: list(value) if isinstance(value, tuple) else value for key in _FINDING_KEYS for value in (fields[key],)
    }


_FINDING_KEYS = (
    "code", "name", "severity", "model", "target", "nodes", "message", "latency_ms", "budget_ms", "gain_ms", "gain_low_ms",
    "gain_high_ms", "help_uri", "fingerprint", "suppressed", "justification",
)  # fmt: skip


def error_json(error: InputError) -> dict[str, Any]:
    """A file that could not be read."""
    return {"path": error.path, "code": error.code, "message": error.message}


def number(value: float) -> float:
    """Nine significant digits: more would only show how one machine's arithmetic rounds."""
    return float(f"{value:.9g}")
