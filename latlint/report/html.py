"""A page for people: verdicts against budgets, where the time goes, what to do about it. See ``page/`` for how it is made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf
from operator import itemgetter
from pathlib import Path
from typing import Any

from latlint.checks import by_code
from latlint.checks.types import SEVERITIES, Finding
from latlint.graph.formats import title
from latlint.latency.types import KernelPrediction, Prediction
from latlint.outcome import Change, InputError, Report, Verdict
from latlint.report import text
from latlint.report.annotations import NAME_LIMIT, identified, open_findings, told_once
from latlint.report.page import SHARED, document, rounded, written
from latlint.report.page.kernels import KINDS, SHOWN_NODES, Tables, times
from latlint.report.plain import Style, clean
from latlint.words import counted, short_name

SHOWS_HASH = False
SHOWS_KERNELS = True

#: What each part of the data may take in the file, which stays below 2 MB with them. What does not fit is left out, the least grave first,
#: and the page says so.
MAX_PREDICTION_BYTES = 220_000
MAX_FINDING_BYTES = 400_000
MAX_KERNEL_BYTES = 1_120_000

_MESSAGE_LIMIT = 600
_FINDING_NUMBERS = ("gain_ms", "gain_low_ms", "gain_high_ms", "latency_ms", "budget_ms")
#: Findings with one cause that are told under it.
_SHOWN_UNDER = 20
_SHOWN_NOTES = 20
_SHOWN_PARTITIONS = 200

#: Between paragraphs and before each item of a list.
_PARAGRAPH = re.compile(r"\n\n|\n(?=- )")

_SCRIPTS = (
    *SHARED, "predictions", "summary", "matrix", "latencies", "findings", "targets", "timeline", "blocks", "table", "chosen", "report",
)  # fmt: skip


def check(report: Report, style: Style) -> str:
    """Verdicts and findings, and the kernels of every prediction that the report holds them of."""
    report = _located(report)
    return _page(report, "check", text.summary(report, Style()), text.check(report, Style(wrapped=True)))


def predict(report: Report, style: Style) -> str:
    """The same page without verdicts and findings."""
    report = _located(report)
    models = len({prediction.model for prediction in report.predictions})
    summary = f"{counted(models, 'model')} on {counted(len(report.targets), 'target')}"
    if report.errors:
        summary += f": {counted(len(report.errors), 'file')} not read"
    return _page(report, "predict", summary, text.predict(report, Style(wrapped=True)))


def _located(report: Report) -> Report:
    """``report`` with each file by its path in the repository, which is the same from every directory."""
    path = report.path
    return replace(
        report,
        predictions=tuple(replace(each, model=path(each.model)) for each in report.predictions),
        findings=tuple(replace(each, model=path(each.model)) for each in report.findings),
        errors=tuple(each._replace(path=path(each.path)) for each in report.errors),
        paths={},
    )


def _page(report: Report, command: str, summary: str, plain: str) -> str:
    return document(_title(report), summary, plain, _data(report, command), _SCRIPTS)


def _title(report: Report) -> str:
    models = list(dict.fromkeys(prediction.model for prediction in report.predictions))
    if len(models) == 1:
        return clean(Path(models[0]).name, NAME_LIMIT)
    return counted(report.files or len(models), "model")


def _data(report: Report, command: str) -> dict[str, Any]:
    tables = Tables()
    predictions = _predictions(report, tables)
    plans = _add_kernels(predictions, report, tables)
    marks = {id(finding): f"f-{mark.replace(':', '-')}" for mark, finding in identified(report, open_findings(report))}
    found = told_once(sorted(open_findings(report), key=_gravest_first))
    findings = _fitting((_finding(*each, marks, tables) for each in found), MAX_FINDING_BYTES, tables)
    return {
        "command": command,
        "kinds": KINDS,
        **tables.data(),
        "predictions": sorted(predictions, key=itemgetter("place")),
        "plans": plans,
        "findings": findings,
        "advice": _advice(report.findings),
        "errors": [_error(error) for error in report.errors[:_SHOWN_NOTES]],
        "notes": [clean(note, _MESSAGE_LIMIT) for note in report.notes[:_SHOWN_NOTES]],
        "cuts": list(_cuts(report, predictions, len(found) - len(findings))),
    }


def _fitting(rows: Iterator[dict[str, Any]], most_bytes: int, tables: Tables) -> list[dict[str, Any]]:
    """The first of ``rows``, as many as fit with what each adds to ``tables``."""
    kept, size, known = [], -tables.bytes, tables.state
    for row in rows:
        size += len(written(row)) + 1
        if size + tables.bytes > most_bytes:
            tables.back_to(known)
            break
        known = tables.state
        kept.append(row)
    return kept


def _gravest_first(finding: Finding) -> tuple[int, float]:
    return -SEVERITIES.index(finding.severity), -(finding.gain_ms or 0.0)


def _predictions(report: Report, tables: Tables) -> list[dict[str, Any]]:
    """What is over its budget first, then what has kernels to show; else in the report's order, which is their ``place``. A placement alone has
    no latency to draw."""
    verdicts = report.verdicts or (Verdict(None, True),) * len(report.predictions)
    judged = [
        (verdict.passed, not verdict.unjudged, not prediction.kernels, place)
        for place, (prediction, verdict) in enumerate(zip(report.predictions, verdicts, strict=True))
        if not prediction.placement
    ]
    rows = (_prediction(report, place, verdicts[place], tables) for *_, place in sorted(judged))
    return _fitting(rows, MAX_PREDICTION_BYTES, tables)


def _prediction(report: Report, place: int, verdict: Verdict, tables: Tables) -> dict[str, Any]:
    """Texts by number, as ``predictions.js`` reads them."""
    prediction = report.predictions[place]
    numbers = ("latency_ms", "low_ms", "high_ms", "overhead_ms", "coverage", "interval")
    word = tables.word
    return {
        "place": place,
        "model": word(prediction.model),
        "format": word(title(prediction.format)),
        "precision": word(prediction.precision),
        "target": word(prediction.target),
        "runtime": word(prediction.runtime),
        "unknown": word(text.unknown(prediction)),
        "verdict": word(verdict.word),
        "gate": word(verdict.gate),
        "partitions": [word(part.processor) for part in prediction.partitions[:_SHOWN_PARTITIONS]],
        "notes": [word(note, _MESSAGE_LIMIT) for note in prediction.notes[:_SHOWN_NOTES]],
        "macs": prediction.macs,
        **{name: None if (value := getattr(prediction, name)) is None else rounded(value) for name in numbers},
        "budget_ms": verdict.budget_ms,
        "gated_ms": rounded(held_ms) if (held_ms := prediction.end_ms(verdict.gate)) < inf else None,
        "close_call": verdict.is_close(prediction.interval),
        "elsewhere_ms": rounded(_elsewhere_ms(prediction)),
        "free": sum(kernel.source == "free" for kernel in prediction.kernels),
    }


def _elsewhere_ms(prediction: Prediction) -> float:
    """What runs on another processor than the delegate's, because the delegate refuses it."""
    parts = prediction.partitions if prediction.delegate else ()
    return sum(part.latency_ms for part in parts if part.processor != prediction.delegate)


def _add_kernels(rows: Sequence[dict[str, Any]], report: Report, tables: Tables) -> list[list[int]]:
    """Give each prediction its ``plan`` and the microseconds of the plan's kernels, as long as they fit; the plans.

    All core configurations of a CPU run one plan, so that plans are shared: only the times are each prediction's own.
    """
    plans: dict[str, int] = {}
    shared: list[list[int]] = []
    size = 0
    for each in rows:
        launched = [kernel for kernel in report.predictions[each["place"]].kernels if kernel.source != "free"]
        if not launched:
            continue
        known = tables.state
        plan = tables.plan(launched)
        key = written(plan)
        each_us = times(launched)
        before = _before(launched, report.verdicts[each["place"]].change if report.verdicts else None)
        taken = (
            len(written(each_us)) + len(written(before)) + (0 if key in plans else len(key) + tables.bytes - known[0])
        )
        if size + taken > MAX_KERNEL_BYTES:
            tables.back_to(known)
            if size:
                break
            continue  # one that is too large alone does not keep out the rest
        size += taken
        if key not in plans:
            plans[key] = len(shared)
            shared.append(plan)
        each |= {"plan": plans[key], "kernels_us": each_us, **before}
    return shared


def _before(kernels: Sequence[KernelPrediction], change: Change | None) -> dict[str, Any]:
    """What the ``kernels`` took before the change, in microseconds: −1 of one that was added, nothing of one that is as it was."""
    if change is None or change.kernels is None:
        return {}
    added = {index for index, before_ms in change.kernels.items() if before_ms is None}
    before_us = {
        index: float(f"{1000 * before_ms:.4g}") for index, before_ms in change.kernels.items() if before_ms is not None
    }
    return {
        "base": clean(change.base, NAME_LIMIT),
        "before_us": [-1 if each.index in added else before_us.get(each.index) for each in kernels],
    }


def _finding(finding: Finding, under: Sequence[Finding], marks: Mapping[int, str], tables: Tables) -> dict[str, Any]:
    """``under``: the findings with the same cause. ``marks``: what links to a finding call it. Names by number."""
    word = tables.word
    return {
        "id": marks[id(finding)],
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity,
        "model": word(finding.model),
        "target": None if finding.target is None else word(finding.target),
        "message": clean(finding.headline if finding.why else finding.message, _MESSAGE_LIMIT),
        "why": [clean(line, _MESSAGE_LIMIT) for line in finding.why],
        **{name: None if (value := getattr(finding, name)) is None else rounded(value) for name in _FINDING_NUMBERS},
        "nodes": [word(short_name(name)) for name in finding.nodes[:SHOWN_NODES]],
        "node_count": len(finding.nodes),
        **({"page": finding.help_uri} if finding.help_uri.startswith("https://") else {}),
        "under": [
            {
                "id": marks[id(each)],
                "severity": each.severity,
                "text": f"{each.code} {each.name}: {clean(each.message, _MESSAGE_LIMIT)}",
            }
            for each in under[:_SHOWN_UNDER]
        ],
    }


def _advice(findings: Iterable[Finding]) -> dict[str, dict[str, list[str]]]:
    """Of each rule, the paragraphs of its page that say why it matters and what to do."""
    heads = {"Why is this slow?": "why", "Why is this bad?": "why", "How to fix": "fix", "What to do": "fix"}
    found: dict[str, dict[str, list[str]]] = {}
    for code in sorted({finding.code for finding in findings}):
        check = by_code(code)
        sections = check.page.split("\n## ")[1:] if check else []
        for head, _, body in (section.partition("\n") for section in sections):
            if head in heads:
                paragraphs = [" ".join(each.split()) for each in _PARAGRAPH.split(body.strip())]
                found.setdefault(code, {})[heads[head]] = paragraphs
    return found


def _error(error: InputError) -> dict[str, str]:
    path = clean(error.path, NAME_LIMIT)
    return {"path": path, "code": error.code, "message": clean(error.message, _MESSAGE_LIMIT)}


def _cuts(report: Report, predictions: Sequence[dict[str, Any]], findings: int) -> Iterator[str]:
    """What is not in the file though it is in the report."""
    placements = sum(each.placement for each in report.predictions)
    if placements:
        yield f"{counted(placements, 'placement')} that nobody timed, which text and JSON have"
    if without := len(report.predictions) - placements - len(predictions):
        yield f"{counted(without, 'prediction')}, for the size of this file: what is over budget comes first"
    if without := sum("plan" not in row for row in predictions):
        yield f"the kernels of {counted(without, 'prediction')}, for the size of this file"
    if findings:
        yield f"the {counted(findings, 'finding')} that weigh least, for the size of this file"
    if accepted := sum(finding.suppressed for finding in report.findings):
        yield f"{counted(accepted, 'finding')} that a waiver or the baseline accepts"
    if (more := len(report.errors) - _SHOWN_NOTES) > 0:
        yield f"{counted(more, 'file')} more that could not be read"
