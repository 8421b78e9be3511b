"""Markdown for the comment on a pull request and for the summary of a CI job: what was found, then every model and target."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice

from latlint.checks.types import Finding
from latlint.latency.types import Prediction
from latlint.outcome import Report, Verdict
from latlint.report.annotations import NAME_LIMIT, open_findings, title, told_once
from latlint.report.plain import Style, clean
from latlint.report.text import interval, latency, limit, op_name, share, summary
from latlint.units import format_change_ms, format_ms
from latlint.words import counted, short_name

SHOWS_CHANGES = True

#: A comment on GitHub holds 65,536 characters: what is beyond these is counted, not shown.
_SHOWN_FINDINGS = 30
_SHOWN_UNDER = 5
_SHOWN_VERDICTS = 60
_SHOWN_PREDICTIONS = 8
_MESSAGE_LIMIT = 400

_MARKS = {"error": "❌", "warning": "⚠️", "note": "💡"}
_VERDICTS = {"": "–", "pass": "✅", "warn": "⚠️", "accepted": "☑️", "unjudged": "❓", "fail": "❌"}

#: Whatever may begin something in Markdown or HTML; written as a numeric reference, none does.
_MARKUP = re.compile(r"[\\`*\[\]<>#!|~@&$^]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=www)\.", re.IGNORECASE)

#: What GitHub and GitLab look for in text as shown: people, issues, merge requests, labels, milestones.
_REFERENCE = re.compile(r"(?:&#(?:33|35|36|38|64|94|126);|%)(?=[\w\"])|\bGH-(?=\d)", re.IGNORECASE)


def check(report: Report, style: Style) -> str:
    """A sentence that sums up, what the change did to each model and target, the findings, and a table of all models and targets, folded away."""
    found = told_once(open_findings(report))
    judged = sorted(
        zip(report.predictions, report.verdicts, strict=True), key=lambda pair: (pair[1].passed, not pair[1].unjudged)
    )
    mark = "❌" if any(finding.severity == "error" for finding, _ in found) else "✅"
    findings = table(
        ("", "Finding", "Model", "Target", "What"),
        "<<<<<",
        (_finding_row(report, *each) for each in found[:_SHOWN_FINDINGS]),
    )
    verdicts = table(
        ("", "Model", "Target", "Latency", "Interval", "Budget", "Coverage"),
        "<<<>>>>",
        (_verdict_row(report, *pair) for pair in judged[:_SHOWN_VERDICTS]),
    )
    changed = [pair for pair in judged if (change := pair[1].change) and not change.is_none]
    same = sum(verdict.change is not None for _, verdict in judged) - len(changed)
    changes = table(
        ("", "Model", "Target", "Base → now", "Change", "Why"),
        "<<<>><",
        (_change_row(report, *pair) for pair in changed[:_SHOWN_VERDICTS]),
    )
    blocks = [
        ["## latlint"],
        [f"{mark} {summary(report, Style())}"],
        changes if changed else [],
        more(len(changed) - _SHOWN_VERDICTS, "change"),
        [f"{same} of {counted(len(judged), 'prediction')} unchanged since {escape(_base(judged))}."] if same else [],
        findings if found else [],
        more(len(found) - _SHOWN_FINDINGS, "finding"),
        ["<details><summary>Latency of every model and target</summary>"] if judged else [],
        verdicts if judged else [],
        more(len(judged) - _SHOWN_VERDICTS, "line"),
        ["</details>"] if judged else [],
        _notes(report.notes),
    ]
    return joined(blocks)


def predict(report: Report, style: Style) -> str:
    """A table of models and targets, and under it the costliest kernels of each."""
    predictions = report.predictions
    totals = table(
        ("Model", "Target", "Latency", "Interval", "Coverage"),
        "<<>>>",
        (_total_row(report, prediction) for prediction in predictions[:_SHOWN_VERDICTS]),
    )
    blocks = [["## latlint"], totals, more(len(predictions) - _SHOWN_VERDICTS, "line")]
    for prediction in predictions[:_SHOWN_PREDICTIONS]:
        blocks += _kernels(report, prediction, style)
    blocks.append(_notes(dict.fromkeys((*report.notes, *(note for each in predictions for note in each.notes)))))
    return joined(blocks)


def escape(text: str, limit: int = NAME_LIMIT) -> str:
    """``text`` from a file as Markdown that shows it as it is: no markup, no link, nobody mentioned."""
    entities = _MARKUP.sub(lambda match: f"&#{ord(match[0])};", clean(text, limit))
    return _REFERENCE.sub(lambda match: f"{match[0]}&#8203;", entities)


def joined(blocks: Iterable[Sequence[str]]) -> str:
    """Blocks of lines with a blank line between them."""
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def table(head: Sequence[str], align: str, rows: Iterable[Sequence[str]]) -> list[str]:
    """A table of escaped cells. ``align`` has one of ``<`` and ``>`` a column."""
    rule = ["---:" if side == ">" else "---" for side in align]
    return [f"| {' | '.join(row)} |" for row in (head, rule, *rows)]


def more(number: int, noun: str) -> list[str]:
    """What a cut has left out, if it has."""
    return [f"… and {counted(number, noun)} more."] if number > 0 else []


def _notes(notes: Iterable[str]) -> list[str]:
    shown = [f"- {escape(note, _MESSAGE_LIMIT)}" for note in islice(notes, 11)]
    return [*shown[:10], "- …"] if len(shown) > 10 else shown


def _base(judged: Sequence[tuple[Prediction, Verdict]]) -> str:
    """What is compared with."""
    return next((verdict.change.base for _, verdict in judged if verdict.change and verdict.change.base_ms), "the base")


def _change_row(report: Report, prediction: Prediction, verdict: Verdict) -> list[str]:
    change = verdict.change
    assert change is not None
    before, by, why = "new", "", ""
    if change.base_ms is not None:
        before = f"{format_ms(change.base_ms)} → "
        by = format_change_ms(prediction.latency_ms - change.base_ms)
        if change.low_ms is not None and change.high_ms is not None:
            by += f" ({format_change_ms(change.low_ms)} to {format_change_ms(change.high_ms)})"
        why = escape("; ".join(change.why), _MESSAGE_LIMIT)
    model = escape(report.path(prediction.model))
    now = before + latency(prediction) if change.base_ms is not None else f"{latency(prediction)}, {before}"
    return [_VERDICTS[verdict.word], model, escape(prediction.target), now, by, why]


def _finding_row(report: Report, finding: Finding, under: Sequence[Finding]) -> list[str]:
    """``under``: the findings with the same cause, told in its row."""
    # Why a budget is broken stands in the table of changes.
    first = finding.headline if finding.why else finding.message
    lines = [first, *(f"{title(each)}: {each.message}" for each in under[:_SHOWN_UNDER])]
    if len(under) > _SHOWN_UNDER:
        lines.append(f"… and {len(under) - _SHOWN_UNDER} more with the same cause")
    message = "<br>• ".join(escape(line, _MESSAGE_LIMIT) for line in lines)
    model = escape(report.path(finding.model))
    return [_MARKS[finding.severity], title(finding), model, escape(finding.target or ""), message]


def _verdict_row(report: Report, prediction: Prediction, verdict: Verdict) -> list[str]:
    *total, coverage = _total_row(report, prediction)
    return [
        _VERDICTS[verdict.word],
        *total,
        limit(verdict),
        coverage,
    ]


def _total_row(report: Report, prediction: Prediction) -> list[str]:
    return [
        escape(report.path(prediction.model)),
        escape(prediction.target),
        latency(prediction),
        f"{interval(prediction)}{'' if prediction.placement else ' ms'}",
        f"{prediction.coverage:.0%}",
    ]


def _kernels(report: Report, prediction: Prediction, style: Style) -> list[list[str]]:
    launched = [kernel for kernel in prediction.kernels if kernel.source != "free"]
    launched.sort(key=lambda kernel: kernel.rank)
    shown = launched if style.top is None else launched[: style.top]
    rows = (
        [
            format_ms(kernel.latency_ms),
            share(kernel.latency_ms, prediction.latency_ms),
            escape(op_name(kernel)),
            escape(kernel.implementation),
            kernel.source,
            escape(short_name(kernel.nodes[0])) if kernel.nodes else "",
        ]
        for kernel in shown
    )
    head = f"### {escape(report.path(prediction.model))} on {escape(prediction.target)}"
    columns = ("Latency", "Share", "Op", "Kernel", "Source", "Node")
    return [[head], table(columns, ">><<<<", rows), more(len(launched) - len(shown), "kernel")]
