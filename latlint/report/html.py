"""A page for people: verdicts against budgets, where the time goes, what to do about it. One file, no network.

The page's frame, style and script are in ``page/``. All that comes from a report travels as JSON that nothing executes, and the
script puts it into the page as text. A content security policy allows that script and that style and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from html import escape
from math import inf
from operator import itemgetter
from pathlib import Path
from typing import Any

from latlint import __version__
from latlint.checks.types import SEVERITIES, Finding
from latlint.graph import ops
from latlint.graph.formats import title
from latlint.latency.types import KernelPrediction
from latlint.outcome import InputError, Report, Verdict
from latlint.report import text
from latlint.report.annotations import NAME_LIMIT, open_findings, told_once
from latlint.report.json import dump
from latlint.report.plain import Style, clean
from latlint.words import counted, short_name

SHOWS_HASH = False
SHOWS_KERNELS = True

#: What each part of the data may take in the file. What does not fit is left out, the least grave first, and the page says so.
MAX_PREDICTION_BYTES = 600_000
MAX_FINDING_BYTES = 600_000
MAX_KERNEL_BYTES = 1_800_000

_MESSAGE_LIMIT = 600
_FINDING_NUMBERS = ("gain_ms", "gain_low_ms", "gain_high_ms", "latency_ms", "budget_ms")
_SHOWN_NODES = 8
#: Findings with one cause that are told under it.
_SHOWN_UNDER = 20
_SHOWN_NOTES = 20
_SHOWN_PARTITIONS = 200

#: Lines of the plain text that stands in for the page where scripts are off.
_PLAIN_LINES = 300

_PAGE = Path(__file__).with_name("page")

#: Kinds of work, each with a colour of its own; ops of none of them are the last.
_KINDS: tuple[tuple[str, frozenset[str]], ...] = (
    ("Convolution", ops.CONVOLUTIONS - {"depthwise_conv2d"}),
    ("Depthwise convolution", frozenset({"depthwise_conv2d"})),
    ("Matrix product", ops.MATRIX | {"attention", "einsum"}),
    ("Elementwise", ops.UNARY | ops.BINARY | {"select", "where"}),
    ("Pooling and reduction", ops.POOLS | ops.REDUCTIONS),
    ("Data movement", ops.MOVEMENT | {"quantize", "dequantize", "fake_quant"}),
    ("Other", frozenset()),
)


def check(report: Report, style: Style) -> str:
    """Verdicts and findings, and the kernels of every prediction that the report holds them of."""
    report = _located(report)
    return _page(report, "check", text.summary(report, Style()), text.check(report, Style()))


def predict(report: Report, style: Style) -> str:
    """The same page without verdicts and findings."""
    report = _located(report)
    models = len({prediction.model for prediction in report.predictions})
    summary = f"{counted(models, 'model')} on {counted(len(report.targets), 'target')}"
    if report.errors:
        summary += f": {counted(len(report.errors), 'file')} not read"
    return _page(report, "predict", summary, text.predict(report, Style()))


def _located(report: Report) -> Report:
    """``report`` with each file by its path in the repository, which is the same from every directory."""
    path = report.path
    return replace(
        report,
        predictions=tuple(replace(each, model=path(each.model)) for each in report.predictions),
        findings=tuple(replace(each, model=path(each.model)) for each in report.findings),
        errors=tuple(replace(each, path=path(each.path)) for each in report.errors),
        paths={},
    )


def _page(report: Report, command: str, summary: str, plain: str) -> str:
    frame, css, script = (_PAGE.joinpath(f"page.{kind}").read_text("utf-8") for kind in ("html", "css", "js"))
    lines = plain.splitlines()
    if more := len(lines) - _PLAIN_LINES:
        lines = [*lines[:_PLAIN_LINES], *([f"… and {counted(more, 'line')} more"] if more > 0 else [])]
    values = {
        "title": escape(_title(report)),
        "summary": escape(summary),
        "policy": f"default-src 'none'; style-src {_hash(css)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'",
        "css": css,
        "data": _data(report, command),
        "plain": escape("\n".join(clean(line) for line in lines)),
        "script": script,
        "version": __version__,
    }
    pieces = frame.split("@@")
    return "".join(values[piece] if i % 2 else piece for i, piece in enumerate(pieces))


def _title(report: Report) -> str:
    models = list(dict.fromkeys(prediction.model for prediction in report.predictions))
    if len(models) == 1:
        return clean(Path(models[0]).name, NAME_LIMIT)
    return counted(report.files or len(models), "model")


def _hash(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def _data(report: Report, command: str) -> str:
    """JSON without any character that could end a script element."""
    predictions = _predictions(report)
    plans = _add_kernels(predictions, report)
    found = told_once(sorted(open_findings(report), key=_gravest_first))
    findings = _fitting((_finding(*each) for each in found), MAX_FINDING_BYTES)
    document = {
        "command": command,
        "kinds": [label for label, _ in _KINDS],
        "kindOf": {op: _kind(op) for op in sorted({kernel[0] for plan in plans for kernel in plan})},
        "predictions": sorted(predictions, key=itemgetter("place")),
        "plans": plans,
        "findings": findings,
        "errors": [_error(error) for error in report.errors[:_SHOWN_NOTES]],
        "notes": [clean(note, _MESSAGE_LIMIT) for note in report.notes[:_SHOWN_NOTES]],
        "cuts": list(_cuts(report, predictions, len(found) - len(findings))),
    }
    return dump(document, indent=None).strip().translate(_INERT)


def _fitting(rows: Iterable[dict[str, Any]], most_bytes: int) -> list[dict[str, Any]]:
    """The first of ``rows``, as many as fit."""
    kept, size = [], 0
    for row in rows:
        size += len(dump(row, indent=None))
        if size > most_bytes:
            break
        kept.append(row)
    return kept


def _gravest_first(finding: Finding) -> tuple[int, float]:
    return -SEVERITIES.index(finding.severity), -(finding.gain_ms or 0.0)


def _predictions(report: Report) -> list[dict[str, Any]]:
    """What is over its budget first, then what has kernels to show; else in the report's order, which is their ``place``."""
    verdicts = report.verdicts or (Verdict(None, True),) * len(report.predictions)
    judged = [
        (verdict.passed, not verdict.unjudged, not prediction.kernels, place)
        for place, (prediction, verdict) in enumerate(zip(report.predictions, verdicts, strict=True))
    ]
    rows = (_prediction(report, place, verdicts[place]) for *_, place in sorted(judged))
    return _fitting(rows, MAX_PREDICTION_BYTES)


def _prediction(report: Report, place: int, verdict: Verdict) -> dict[str, Any]:
    prediction = report.predictions[place]
    numbers = ("latency_ms", "low_ms", "high_ms", "overhead_ms", "coverage", "interval")
    return {
        "place": place,
        "model": clean(prediction.model, NAME_LIMIT),
        "format": title(prediction.format),
        "precision": prediction.precision,
        "target": clean(prediction.target, NAME_LIMIT),
        "runtime": clean(prediction.runtime, NAME_LIMIT),
        "macs": prediction.macs,
        **{name: None if (value := getattr(prediction, name)) is None else _rounded(value) for name in numbers},
        "unknown": text.unknown(prediction),
        "verdict": verdict.word,
        "budget_ms": verdict.budget_ms,
        "gated_ms": _rounded(held_ms) if (held_ms := prediction.end_ms(verdict.gate)) < inf else None,
        "gate": verdict.gate,
        "close_call": verdict.is_close(prediction.interval),
        "free": sum(kernel.source == "free" for kernel in prediction.kernels),
        "partitions": [part.processor for part in prediction.partitions[:_SHOWN_PARTITIONS]],
        "notes": [clean(note, _MESSAGE_LIMIT) for note in prediction.notes[:_SHOWN_NOTES]],
    }


def _add_kernels(rows: Sequence[dict[str, Any]], report: Report) -> list[list[_Kernel]]:
    """Give each prediction its ``plan`` and the milliseconds of the plan's kernels, as long as they fit; the plans.

    All core configurations of a CPU run one plan, so that plans are shared: only the milliseconds are each prediction's own.
    """
    plans: dict[str, int] = {}
    shared: list[list[_Kernel]] = []
    size = 0
    for row in rows:
        launched = [kernel for kernel in report.predictions[row["place"]].kernels if kernel.source != "free"]
        if not launched:
            continue
        plan = [_kernel(kernel) for kernel in launched]
        key = dump(plan, indent=None)
        each_ms = [_rounded(kernel.latency_ms) for kernel in launched]
        taken = len(dump(each_ms, indent=None)) + (0 if key in plans else len(key))
        if size + taken > MAX_KERNEL_BYTES:
            if size:
                break
            continue  # one that is too large alone does not keep out the rest
        size += taken
        if key not in plans:
            plans[key] = len(shared)
            shared.append(plan)
        row |= {"plan": plans[key], "kernels_ms": each_ms}
    return shared


_Kernel = list[Any]


def _kernel(kernel: KernelPrediction) -> _Kernel:
    """All of a kernel but its time, which depends on the processor's speed too; the script reads it by position."""
    return [
        clean(kernel.op, NAME_LIMIT), [clean(op, NAME_LIMIT) for op in kernel.linked[:_SHOWN_NODES]],
        clean(kernel.implementation, NAME_LIMIT), kernel.source, kernel.macs, kernel.bytes, kernel.partition,
        [clean(short_name(name), NAME_LIMIT) for name in kernel.nodes[:_SHOWN_NODES]], len(kernel.nodes),
        clean(kernel.reason, NAME_LIMIT),
    ]  # fmt: skip


def _kind(op: str) -> int:
    """The index of the kind in ``_KINDS``."""
    return next((index for index, (_, kinds) in enumerate(_KINDS) if op in kinds), len(_KINDS) - 1)


def _finding(finding: Finding, under: Sequence[Finding]) -> dict[str, Any]:
    """``under``: the findings with the same cause."""
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity,
        "model": clean(finding.model, NAME_LIMIT),
        "target": None if finding.target is None else clean(finding.target, NAME_LIMIT),
        "message": clean(finding.message, _MESSAGE_LIMIT),
        **{name: None if (value := getattr(finding, name)) is None else _rounded(value) for name in _FINDING_NUMBERS},
        "nodes": [clean(short_name(name), NAME_LIMIT) for name in finding.nodes[:_SHOWN_NODES]],
        "node_count": len(finding.nodes),
        "under": [
            {"severity": each.severity, "text": f"{each.code} {each.name}: {clean(each.message, _MESSAGE_LIMIT)}"}
            for each in under[:_SHOWN_UNDER]
        ],
    }


def _error(error: InputError) -> dict[str, str]:
    path = clean(error.path, NAME_LIMIT)
    return {"path": path, "code": error.code, "message": clean(error.message, _MESSAGE_LIMIT)}


def _cuts(report: Report, predictions: Sequence[dict[str, Any]], findings: int) -> Iterator[str]:
    """What is not in the file though it is in the report."""
    if without := len(report.predictions) - len(predictions):
        yield f"{counted(without, 'prediction')}, for the size of this file: what is over budget comes first"
    if without := sum("plan" not in row for row in predictions):
        yield f"the kernels of {counted(without, 'prediction')}, for the size of this file"
    if findings:
        yield f"the {counted(findings, 'finding')} that weigh least, for the size of this file"
    if accepted := sum(finding.suppressed for finding in report.findings):
        yield f"{counted(accepted, 'finding')} that a waiver or the baseline accepts"
    if (more := len(report.errors) - _SHOWN_NOTES) > 0:
        yield f"{counted(more, 'file')} more that could not be read"


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")


_INERT = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
