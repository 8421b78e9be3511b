"""A difference for people at a terminal: latency before and after, and under it the kernels that make the difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from latlint.difference.types import Difference, ModelChange
from latlint.graph.formats import title
from latlint.latency.types import Prediction
from latlint.report.plain import Cell, Style, clean, table
from latlint.report.text import interval, op_name
from latlint.units import format_change, format_change_ms, format_count, format_ms
from latlint.whatif.change import KernelChange, TargetChange
from latlint.words import counted

#: With more targets than this, kernels are shown only when they are asked for.
_DETAILED_TARGETS = 3

_MARKS = {"added": Cell("+", ("red",)), "removed": Cell("−", ("green",)), "changed": Cell("~", ("yellow",))}


def diff(difference: Difference, style: Style) -> str:
    """The text, ending with a line feed."""
    detailed = style.kernels_chosen or len(difference.targets) <= _DETAILED_TARGETS
    blocks = [_model(model, style, detailed=detailed) for model in difference.models]
    if not blocks and not difference.errors:
        blocks.append([unchanged(difference)])
    return "\n\n".join("\n".join(block) for block in blocks) + "\n" * bool(blocks)


def unchanged(difference: Difference) -> str:
    """What is said where no model has changed."""
    return f"no model has changed since {clean(difference.base.revision)}" if difference.base else "no difference"


def facts(model: ModelChange) -> list[str]:
    """``TFLite``, ``float32 → int8``, ``314 M → 301 M MACs (−4.1%)``, and ``the same file`` where it is."""
    before, after = model.before or model.after, model.after or model.before
    assert before is not None and after is not None
    macs = _arrow(format_count(before.macs), format_count(after.macs))
    if before.macs and before.macs != after.macs:
        macs = f"{macs} MACs ({format_change(after.macs / before.macs)})"
    else:
        macs = f"{macs} MACs"
    return [
        _arrow(title(before.format), title(after.format)),
        _arrow(before.precision, after.precision),
        macs,
        *(["the same content"] if model.before and model.after and before.sha256 == after.sha256 else []),
    ]


def remarks(change: TargetChange) -> list[str]:
    """What must be known to trust a change."""
    old, new = change.old, change.new
    if old is None or new is None:
        return []
    found = []
    if old.latency_ms != new.latency_ms:
        found.append(
            f"{'within' if change.within_interval else 'beyond'} the {old.interval:.0%} interval {interval(old)} ms"
        )
    if min(old.coverage, new.coverage) < 0.995:
        found.append(f"coverage {_arrow(f'{old.coverage:.0%}', f'{new.coverage:.0%}')}")
    return found


def totals(change: TargetChange) -> list[str]:
    """How many kernels are affected, and what became of fusions, implementations and partitions."""
    if not change.kernels:
        return ["all kernels as before"]
    found = [
        ", ".join(
            [*(f"{count} {kind}" for kind, count in change.counts.items() if count), f"{change.unchanged} as before"]
        )
    ]
    ways = Counter({f"{old} → {new}": count for (old, new), count in change.implementations.items()})
    for label, counts in (
        ("runs as", ways),
        ("fusions lost", change.fusions_lost),
        ("fusions gained", change.fusions_gained),
    ):
        if counts:
            found.append(f"{label}: {', '.join(_times(name, count) for name, count in counts.most_common())}")
    assert change.old and change.new
    before, after = (_executors(side) for side in (change.old, change.new))
    return [*found, f"partitions: {before} → {after}"] if before != after else found


def costliest(changes: Iterable[KernelChange]) -> list[KernelChange]:
    """The changes that matter most first, else in the order of the model."""
    return sorted(changes, key=lambda change: -abs(round(change.change_ms, 6)))


def before_after(change: KernelChange) -> tuple[str, str]:
    """Milliseconds before and after; empty where the kernel was not there."""
    old, new = (f"{side.kernel.latency_ms:.3f}" if side else "" for side in (change.old, change.new))
    return old, new


def _model(model: ModelChange, style: Style, *, detailed: bool) -> list[str]:
    names = [clean(name) for name in dict.fromkeys((model.old, model.new)) if name]
    status = f"{model.status} · " if model.status in ("added", "removed", "renamed") else ""
    lines = [f"{style.paint(' → '.join(names), 'bold')}  {style.paint(status + ' · '.join(facts(model)), 'dim')}"]
    aligned = table([_target_row(change) for change in model.targets], "<>>>><", style, indent=2)
    for change, line in zip(model.targets, aligned, strict=True):
        lines.append(line)
        if detailed and change.old and change.new:
            lines += _kernels(change, style)
    predictions = [each for change in model.targets for each in (change.old, change.new) if each]
    notes = dict.fromkeys(note for prediction in predictions for note in prediction.notes)
    return lines + [f"  note: {clean(note, 300)}" for note in notes]


def _target_row(change: TargetChange) -> list[Cell]:
    before, after = (f"{format_ms(side.latency_ms)}" if side else "–" for side in (change.old, change.new))
    cells = [Cell(change.target, ("cyan",)), Cell(before), Cell(f"→ {after}", ("bold",))]
    if change.change_ms is None:
        return cells
    paint = () if change.within_interval else ("red",) if change.change_ms > 0 else ("green",)
    return [
        *cells,
        Cell(format_change_ms(change.change_ms), paint),
        Cell("" if change.ratio is None else format_change(change.ratio), paint),
        Cell(", ".join(remarks(change)), ("dim",), keeps="start"),
    ]


def _kernels(change: TargetChange, style: Style) -> list[str]:
    ordered = costliest(change.kernels)
    shown = ordered if style.top is None else ordered[: style.top]
    lines = [f"    {style.paint(clean(line, 300), 'dim')}" for line in totals(change)]
    rows = table([_kernel_row(each) for each in shown], "<>><><<", style, indent=4)
    for each, row in zip(shown, rows, strict=True):
        lines.append(row)
        if each.what:
            lines.append(f"         {style.paint(clean('; '.join(each.what), 200), 'dim')}")
    if rest := ordered[len(shown) :]:
        whole = sum(each.change_ms for each in rest)
        lines.append(f"    … and {counted(len(rest), 'kernel')} more: {format_change_ms(whole)}")
    if change.overhead_change_ms and format_change_ms(change.overhead_change_ms) != "±0 ms":
        lines.append(f"    overhead: {format_change_ms(change.overhead_change_ms)}")
    return lines


def _kernel_row(change: KernelChange) -> list[Cell]:
    launch = change.new or change.old
    assert launch is not None
    before, after = before_after(change)
    return [
        _MARKS[change.kind],
        Cell(format_change_ms(change.change_ms)),
        Cell(before),
        Cell("→", ("dim",)),
        Cell(after),
        Cell(op_name(launch.kernel)),
        Cell(clean(launch.name), ("dim",)),
    ]


def _arrow(before: str, after: str) -> str:
    return before if before == after else f"{before} → {after}"


def _times(name: str, count: int) -> str:
    return f"{name} ×{count}" if count > 1 else name


def _executors(prediction: Prediction) -> str:
    """``gpu``, or ``builtin, gpu`` in order, summed up where they are many."""
    names: Sequence[str] = [partition.processor for partition in prediction.partitions]
    if len(names) > 5:
        return ", ".join(f"{count} × {name}" for name, count in Counter(names).items())
    return ", ".join(names) or "none"
