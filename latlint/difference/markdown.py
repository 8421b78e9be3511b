"""A difference as Markdown, for the comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterable

from latlint.difference.text import before_after, costliest, facts, remarks, totals, unchanged
from latlint.difference.types import Difference, ModelChange
from latlint.report.markdown import escape, joined, more, table
from latlint.report.plain import Style
from latlint.report.text import op_name
from latlint.units import format_change, format_change_ms, format_ms
from latlint.whatif.change import KernelChange, TargetChange

#: A comment on GitHub holds 65,536 characters: what is beyond these is counted, not shown.
_SHOWN_TARGETS = 60
_SHOWN_DETAILS = 6
_SHOWN_KERNELS = 15


def diff(difference: Difference, style: Style) -> str:
    """A table of models and targets, and folded away under it the kernels of each."""
    rows = [_row(model, change) for model in difference.models for change in model.targets]
    details = [
        (model, change)
        for model in difference.models
        for change in model.targets
        if change.old and change.new and change.kernels
    ]
    head = ("Model", "Target", "Before", "After", "Change", "", "Remarks")
    since = f" since {escape(difference.base.revision)}" if difference.base else ""
    blocks = [
        [f"## latlint: what changed{since}"],
        table(head, "<<>>>><", rows[:_SHOWN_TARGETS]) if rows else [],
        more(len(rows) - _SHOWN_TARGETS, "line"),
        [f"{unchanged(difference)[:1].upper()}{escape(unchanged(difference)[1:])}."]
        if not rows and not difference.errors
        else [],
    ]
    for model, change in details[:_SHOWN_DETAILS]:
        blocks += _kernels(model, change)
    blocks.append(more(len(details) - _SHOWN_DETAILS, "table"))
    blocks.append([f"- ❌ {escape(error.path)}: {escape(error.message, 400)}" for error in difference.errors])
    return joined(blocks)


def _row(model: ModelChange, change: TargetChange) -> list[str]:
    before, after = (format_ms(side.latency_ms) if side else "–" for side in (change.old, change.new))
    cells = [_title(model), escape(change.target), before, after]
    if change.change_ms is None:
        return [*cells, "", "", model.status]
    mark = "" if change.within_interval else "🔺 " if change.change_ms > 0 else "🔽 "
    ratio = "" if change.ratio is None else format_change(change.ratio)
    return [*cells, mark + format_change_ms(change.change_ms), ratio, escape(", ".join(remarks(change)))]


def _title(model: ModelChange) -> str:
    return " → ".join(escape(name) for name in dict.fromkeys((model.old, model.new)) if name)


def _kernels(model: ModelChange, change: TargetChange) -> Iterable[list[str]]:
    ordered = costliest(change.kernels)
    yield [f"<details><summary>{_title(model)} on {escape(change.target)}</summary>"]
    yield [f"- {escape(line, 400)}" for line in (" · ".join(facts(model)), *totals(change))]
    head = ("", "Change", "Before", "After", "Op", "What", "Node")
    yield table(head, "<>>><<<", (_kernel_row(each) for each in ordered[:_SHOWN_KERNELS]))
    yield more(len(ordered) - _SHOWN_KERNELS, "kernel")
    yield ["</details>"]


def _kernel_row(change: KernelChange) -> list[str]:
    launch = change.new or change.old
    assert launch is not None
    return [
        change.kind,
        format_change_ms(change.change_ms),
        *before_after(change),
        escape(op_name(launch.kernel)),
        escape("; ".join(change.what), 300),
        escape(launch.name),
    ]
