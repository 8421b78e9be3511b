"""Comma-separated values for spreadsheets: a row a finding, or a row a kernel."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

from latlint.checks.types import Finding
from latlint.latency.types import Prediction
from latlint.outcome import Report, Verdict
from latlint.report.plain import Style, clean

SHOWS_HASH = False

#: A cell that begins so is a formula to a spreadsheet; so is what follows a separator that its locale may use.
_FORMULA = re.compile(r"(^|[;,|])(?=\s*[=+\-@＝＋－＠])")

_CHECKED = (
    "model", "target", "precision", "runtime", "latency_ms", "low_ms", "high_ms", "coverage", "budget_ms", "verdict",
    "code", "name", "severity", "suppressed", "message", "gain_ms", "nodes", "fingerprint",
    "gain_low_ms", "gain_high_ms",
)  # fmt: skip
_PREDICTED = (
    "model", "target", "precision", "runtime", "model_latency_ms", "model_low_ms", "model_high_ms", "model_coverage",
    "index", "partition", "op", "linked", "implementation", "source", "latency_ms", "macs", "bytes", "nodes", "reason",
)  # fmt: skip


def check(report: Report, style: Style) -> str:
    """A row for each finding, and one for each model and target without any."""
    return "".join(check_parts(report, report.parts(), style))


def predict(report: Report, style: Style) -> str:
    """A row for each kernel and one for the overhead, so that ``latency_ms`` of a model and target adds up to the whole."""
    return "".join(predict_parts(report, report.parts(), style))


def check_parts(run: Report, parts: Iterable[Report], style: Style) -> Iterator[str]:
    """See ``check``: piece by piece."""
    yield _table(len(_CHECKED), [_CHECKED])
    for part in parts:
        found: dict[str | None, list[Finding]] = {}
        for finding in part.findings:
            found.setdefault(finding.target, []).append(finding)
        rows: list[Sequence[object]] = []
        for prediction, verdict in zip(part.predictions, part.verdicts, strict=True):
            head = (*_prediction(part, prediction), *_verdict(verdict))
            findings = found.pop(prediction.target, ())
            rows += [(*head, *_finding(finding)) for finding in findings] or [head]
        for target, findings in found.items():
            blank = [""] * (len(_CHECKED) - 12)
            rows += [(part.path(each.model), target or "", *blank, *_finding(each)) for each in findings]
        yield _table(len(_CHECKED), rows)


def predict_parts(run: Report, parts: Iterable[Report], style: Style) -> Iterator[str]:
    """See ``predict``: piece by piece."""
    yield _table(len(_PREDICTED), [_PREDICTED])
    for part in parts:
        yield _table(len(_PREDICTED), (row for prediction in part.predictions for row in _kernels(part, prediction)))


def _kernels(report: Report, prediction: Prediction) -> Iterator[Sequence[object]]:
    head = _prediction(report, prediction)
    for kernel in prediction.kernels:
        yield (
            *head, kernel.index, kernel.partition, kernel.op, " + ".join(kernel.linked), kernel.implementation,
            kernel.source, _number(kernel.latency_ms), kernel.macs, kernel.bytes, " ".join(kernel.nodes),
            kernel.reason,
        )  # fmt: skip
    yield (*head, "", "", "overhead", "", "", "predicted", _number(prediction.overhead_ms))


def _prediction(report: Report, prediction: Prediction) -> tuple[object, ...]:
    ends = (prediction.latency_ms, prediction.low_ms, prediction.high_ms)
    numbers = (*((None, None, None) if prediction.placement else ends), prediction.coverage)
    named = (report.path(prediction.model), prediction.target, prediction.precision, prediction.runtime)
    return (*named, *("" if number is None else _number(number) for number in numbers))


def _verdict(verdict: Verdict) -> tuple[object, ...]:
    return "" if verdict.budget_ms is None else _number(verdict.budget_ms), verdict.word


def _finding(finding: Finding) -> tuple[object, ...]:
    gains = (finding.gain_ms, finding.gain_low_ms, finding.gain_high_ms)
    gain, low, high = ("" if value is None else _number(value) for value in gains)
    return (
        finding.code, finding.name, finding.severity, "yes" if finding.suppressed else "no", finding.message, gain,
        " ".join(finding.nodes), finding.fingerprint, low, high,
    )  # fmt: skip


def _table(columns: int, rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in rows:
        filled = (*row, *[""] * (columns - len(row)))
        writer.writerow(_inert(cell) if isinstance(cell, str) else cell for cell in filled)
    return out.getvalue()


def _inert(text: str) -> str:
    return _FORMULA.sub(r"\1'", clean(text))


def _number(value: float) -> float:
    return float(f"{value:.9g}")
