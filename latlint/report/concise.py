"""One line a verdict or finding, for people who search and for editors that jump to files.

``models/m.tflite: pixel-4/gpu: FAIL 12.0 ms [11.1–13.0] of 10 ms`` and ``models/m.tflite: pixel-4/gpu: error LAT101 budget-exceeded: …``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from latlint.checks.types import Finding
from latlint.latency.types import Prediction
from latlint.outcome import Report, Verdict
from latlint.report.annotations import title
from latlint.report.plain import Style, clean
from latlint.report.text import interval, latency, limit, summarised, worth_showing

SHOWS_HASH = False


def check(report: Report, style: Style) -> str:
    """A line for each model and target, a line for each finding under it, and a line that sums up."""
    return "".join(check_parts(report, report.parts(), style))


def check_parts(run: Report, parts: Iterable[Report], style: Style) -> Iterator[str]:
    """See ``check``: piece by piece."""
    yield from summarised(run, parts, lambda part: _lines(part, style), style)


def predict(report: Report, style: Style) -> str:
    """A line for each model and target."""
    return "".join(_line(each.model, each.target, _latency(each)) for each in report.predictions) or "\n"


def _lines(part: Report, style: Style) -> Iterator[str]:
    shown = worth_showing(part) if style.quiet else part
    findings: dict[str | None, list[Finding]] = {}
    for finding in shown.findings:
        if not finding.suppressed:
            findings.setdefault(finding.target, []).append(finding)
    for prediction, verdict in zip(shown.predictions, shown.verdicts, strict=True):
        yield _line(prediction.model, prediction.target, _verdict(prediction, verdict))
        yield from map(_finding, findings.pop(prediction.target, ()))
    for rest in findings.values():
        yield from map(_finding, rest)


def _verdict(prediction: Prediction, verdict: Verdict) -> str:
    word = verdict.word.upper() or "–"
    of = f" of {limit(verdict)}" if verdict.budget_ms is not None else ""
    return f"{word} {_latency(prediction)}{of}"


def _latency(prediction: Prediction) -> str:
    return f"{latency(prediction)} [{interval(prediction)}]"


def _finding(finding: Finding) -> str:
    return _line(finding.model, finding.target, f"{finding.severity} {title(finding)}: {clean(finding.message)}")


def _line(model: str, target: str | None, text: str) -> str:
    return ": ".join(filter(None, [clean(model), target, text])) + "\n"
