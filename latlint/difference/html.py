"""A difference as a page for people: both models' kernels on one scale of time, what came and what went, and why. See ``report/page/``."""

from __future__ import annotations

from typing import Any

from latlint.difference import text
from latlint.difference.types import Difference, ModelChange
from latlint.latency.types import Prediction
from latlint.report.annotations import NAME_LIMIT
from latlint.report.page import SHARED, document, rounded, written
from latlint.report.page.kernels import KINDS, Tables, times
from latlint.report.plain import Style, clean
from latlint.report.text import interval
from latlint.whatif.causes import causes
from latlint.whatif.change import KernelChange, TargetChange
from latlint.whatif.launches import Launch
from latlint.words import counted

#: What totals and kernels may take in the file, which stays below 2 MB with them. What does not fit is left out, and the page says so.
MAX_CHANGE_BYTES = 300_000
MAX_KERNEL_BYTES = 1_400_000

_MESSAGE_LIMIT = 400
_SHOWN_CAUSES = 6
_SHOWN_ERRORS = 20


def diff(difference: Difference, style: Style) -> str:
    """The page, ending with a line feed."""
    changes = [(model, change) for model in difference.models for change in model.targets]
    changes.sort(key=lambda pair: -abs(pair[1].change_ms or 0.0))
    tables = Tables()
    rows, kernels = _rows(changes, tables)
    cuts = []
    if without := len(changes) - len(rows):
        cuts.append(f"{counted(without, 'change')} that weigh least, for the size of this file")
    if without := len(rows) - kernels:
        cuts.append(f"the kernels of {counted(without, 'change')}, for the size of this file")
    data = {
        "kinds": KINDS,
        **tables.data(),
        "changes": rows,
        "errors": [
            {"path": clean(each.path, NAME_LIMIT), "code": each.code, "message": clean(each.message, _MESSAGE_LIMIT)}
            for each in difference.errors[:_SHOWN_ERRORS]
        ],
        "notes": [clean(note, _MESSAGE_LIMIT) for note in difference.notes],
        "cuts": cuts,
    }
    return document(
        _title(difference), _summary(difference), text.diff(difference, Style()), data, (*SHARED, "difference")
    )


def _title(difference: Difference) -> str:
    if difference.base:
        return f"What changed since {clean(difference.base.revision, NAME_LIMIT)}"
    return (
        " → ".join(clean(name, NAME_LIMIT) for model in difference.models for name in (model.old, model.new) if name)
        or "No comparison"
    )


def _summary(difference: Difference) -> str:
    if not difference.models:
        return "" if difference.errors else f"{text.unchanged(difference)[:1].upper()}{text.unchanged(difference)[1:]}."
    commit = f", compared with {difference.base.commit[:12]}" if difference.base else ""
    return f"{counted(len(difference.models), 'model')} on {counted(len(difference.targets), 'target')}{commit}"


def _rows(changes: list[tuple[ModelChange, TargetChange]], tables: Tables) -> tuple[list[dict[str, Any]], int]:
    """As many as fit, and how many of them have all that their kernels are."""
    rows: list[dict[str, Any]] = []
    totals = details = 0
    with_kernels = 0
    for model, change in changes:
        known = tables.state
        row = _row(model, change, tables)
        totals += len(written(row)) + tables.bytes - known[0]
        if totals > MAX_CHANGE_BYTES:
            tables.back_to(known)
            break
        rows.append(row)
        if details > MAX_KERNEL_BYTES:
            continue
        known = tables.state
        kernels = _kernels(change, tables)
        details += len(written(kernels)) + tables.bytes - known[0]
        if details > MAX_KERNEL_BYTES:
            tables.back_to(known)
        else:
            with_kernels += 1
            row |= kernels
    return rows, with_kernels


def _row(model: ModelChange, change: TargetChange, tables: Tables) -> dict[str, Any]:
    """A model on a target; names by number."""
    word = tables.word
    names = [clean(name, NAME_LIMIT) for name in dict.fromkeys((model.old, model.new)) if name]
    return {
        "model": word(" → ".join(names), 2 * NAME_LIMIT + 3),
        "target": word(change.target),
        "status": word(model.status),
        "facts": word(" · ".join(text.facts(model)), _MESSAGE_LIMIT),
        "remarks": word(", ".join(text.remarks(change)), _MESSAGE_LIMIT),
        "totals": [word(line, _MESSAGE_LIMIT) for line in (text.totals(change) if change.old and change.new else ())],
        "causes": [
            [rounded(cause.change_ms), word(cause.what, _MESSAGE_LIMIT), word(cause.fix, _MESSAGE_LIMIT)]
            for cause in causes(change)[:_SHOWN_CAUSES]
        ],
        "within": change.within_interval,
        "before": _side(change.old, tables),
        "after": _side(change.new, tables),
    }


def _side(prediction: Prediction | None, tables: Tables) -> dict[str, Any] | None:
    if prediction is None:
        return None
    return {
        "latency_ms": rounded(prediction.latency_ms),
        "lower_bound": prediction.lower_bound,
        "overhead_ms": rounded(prediction.overhead_ms),
        "interval": tables.word(f"{interval(prediction)} ms"),
        "runtime": tables.word(prediction.runtime),
        "partitions": [tables.word(part.processor) for part in prediction.partitions],
    }


def _kernels(change: TargetChange, tables: Tables) -> dict[str, Any]:
    """Both plans with the times of their kernels, and each pair as two places in them (−1 where there is none) and, where it changed, words."""
    sides = [sorted(_launches(change.paired, side), key=lambda launch: launch.kernel.index) for side in ("old", "new")]
    places = [{id(launch): place for place, launch in enumerate(side)} for side in sides]
    pairs = []
    for each in change.paired:
        at = [places[side][id(launch)] if launch else -1 for side, launch in enumerate((each.old, each.new))]
        pairs.append([*at, *([tables.word("; ".join(each.what), _MESSAGE_LIMIT)] if each.is_change else [])])
    plans = [[launch.kernel for launch in side] for side in sides]
    return {
        "plans": [tables.plan(plan) for plan in plans],
        "times": [times(plan) for plan in plans],
        "pairs": pairs,
    }


def _launches(pairs: tuple[KernelChange, ...], side: str) -> list[Launch]:
    return [launch for each in pairs if (launch := getattr(each, side))]
