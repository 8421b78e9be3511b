"""Text for people: what costs most, and whether it is within budget."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, islice
from math import inf

from latlint.checks.types import SEVERITIES, Finding
from latlint.graph.formats import title
from latlint.latency.types import KernelPrediction, Prediction
from latlint.outcome import Report, Verdict
from latlint.report.annotations import told_once
from latlint.report.plain import Cell, Style, clean, table, wrap
from latlint.runtime.kinds import kind_of
from latlint.units import format_chance, format_count, format_limit_ms, format_ms
from latlint.words import counted, short_name

SHOWS_HASH = False

#: With more targets than this, a table of kernels for each would bury the comparison: one line each, unless asked for.
_DETAILED_TARGETS = 3

#: More partitions than this are summed up instead of listed in order.
_ORDERED_PARTITIONS = 5

_SHOWN_REASONS = 5

#: Findings with one cause that are told under it.
_SHOWN_UNDER = 5

#: The columns of verdicts line up over so many files: a run over more holds no more at a time.
_ALIGNED_FILES = 1000

#: Runtimes with a delegate: what its partitions are called, and where its kernels run.

#: Reasons that differ only in the tensor which they name are one reason.
_QUOTED = r"'[^']*'"

_BAR_COLUMNS = 8
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_MARKS = {
    "": Cell(" –", ("dim",)),
    "pass": Cell("PASS", ("green", "bold")),
    "warn": Cell("WARN", ("yellow", "bold")),
    "fail": Cell("FAIL", ("red", "bold")),
    "unjudged": Cell("UNJUDGED", ("yellow", "bold")),
    "accepted": Cell("OVER", ("yellow", "bold")),
}
_VERDICTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "fail": ("over budget", ("red", "bold")),
    "unjudged": ("not judged", ("yellow", "bold")),
    "warn": ("with a budget warning", ("yellow", "bold")),
    "accepted": ("over budget and accepted", ("yellow",)),
    "pass": ("within budget", ("green",)),
    "": ("without a budget", ()),
}
_ENDS = {"point": "", "low": " (low end)", "high": " (high end)"}
_SEVERITY_PAINT = {"error": ("red", "bold"), "warning": ("yellow", "bold"), "note": ("cyan", "bold")}


def predict(report: Report, style: Style) -> str:
    """Each model with its kernels on each target, costliest first; with many targets, a line for each instead."""
    return "".join(predict_parts(report, report.parts(), style)) or "\n"


def predict_parts(run: Report, parts: Iterable[Report], style: Style) -> Iterator[str]:
    """See ``predict``: piece by piece."""
    detailed = style.kernels_chosen or len(run.targets) <= _DETAILED_TARGETS
    flow = _Flow()
    for part in parts:
        if predictions := part.predictions:
            yield flow.text(["", *_predicted(predictions, detailed, style)])


def _predicted(predictions: Sequence[Prediction], detailed: bool, style: Style) -> Iterator[str]:
    yield from (_model_line(predictions[0], style), "")
    if len(predictions) > 1:
        yield from (*_comparison(predictions, style), "")
    if detailed:
        for prediction in predictions:
            yield from (*_breakdown(prediction, style), "")
    else:
        yield from _notes((note for prediction in predictions for note in prediction.notes), style)


def check(report: Report, style: Style) -> str:
    """A line for each model and target with its verdict, under it what was found, and a line that sums it up."""
    return "".join(check_parts(report, report.parts(), style))


def check_parts(run: Report, parts: Iterable[Report], style: Style) -> Iterator[str]:
    """See ``check``: piece by piece, columns aligned over ``_ALIGNED_FILES``."""
    flow, tally, parts = _Flow(), _Tally(), iter(parts)
    while chunk := list(islice(parts, _ALIGNED_FILES)):
        for part in chunk:
            tally.add(part)
        yield flow.text(_judged([worth_showing(part) for part in chunk] if style.quiet else chunk, style))
    yield flow.text([*_about_files(tally.asides, style), "", tally.line(run, style)])


def worth_showing(part: Report) -> Report:
    """What of ``part``, the report of one file, did not pass: verdicts that are not ``pass`` and what was found there, and errors."""
    judged = [
        (prediction, verdict)
        for prediction, verdict in zip(part.predictions, part.verdicts, strict=True)
        if verdict.word not in ("", "pass") or _has_error(part, prediction.target)
    ]
    kept = {prediction.target for prediction, _ in judged} | {None}
    return replace(
        part,
        predictions=tuple(prediction for prediction, _ in judged),
        verdicts=tuple(verdict for _, verdict in judged),
        findings=tuple(finding for finding in part.findings if finding.target in kept),
    )


def _has_error(part: Report, target: str) -> bool:
    return any(each.severity == "error" and each.target == target and not each.suppressed for each in part.findings)


def summarised(
    run: Report, parts: Iterable[Report], lines: Callable[[Report], Iterable[str]], style: Style
) -> Iterator[str]:
    """The ``lines`` of each part, then the line that sums them all up."""
    tally = _Tally()
    for part in parts:
        tally.add(part)
        yield "".join(lines(part))
    yield f"{tally.line(run, style)}\n"


def _judged(chunk: Sequence[Report], style: Style) -> Iterator[str]:
    rows = (
        _verdict_row(prediction, verdict)
        for part in chunk
        for prediction, verdict in zip(part.predictions, part.verdicts, strict=True)
    )
    aligned = iter(table(list(rows), "<<>><><", style, indent=2))
    for part in chunk:
        findings: dict[str | None, list[Finding]] = {}
        for finding in part.findings:
            if not finding.suppressed:
                findings.setdefault(finding.target, []).append(finding)
        if part.predictions:
            yield from ("", _model_line(part.predictions[0], style))
        for prediction in part.predictions:
            yield next(aligned)
            said: set[str] = set()
            for finding, under in told_once(findings.get(prediction.target, ())):
                yield from _finding(finding, prediction, style)
                # Two budgets that one change breaks have the same reasons.
                yield from (wrap(f"        {clean(why)}", style, hanging=10) for why in finding.why if why not in said)
                said.update(finding.why)
                yield from (_sentence(each, each.message, style, indent=10) for each in under[:_SHOWN_UNDER])
                if len(under) > _SHOWN_UNDER:
                    yield f"{' ' * 10}… and {len(under) - _SHOWN_UNDER} more with the same cause"


def _about_files(findings: Iterable[Finding], style: Style) -> Iterator[str]:
    """What was found in files that are no models: the configuration, the baseline."""
    for path, group in groupby(findings, key=lambda finding: finding.model):
        yield from (
            "",
            style.paint(clean(path), "bold"),
            *(_sentence(each, each.message, style, indent=2) for each in group),
        )


class _Flow:
    """Text in pieces, without blank lines at either end or in a row."""

    def __init__(self) -> None:
        self._started = self._blank = False

    def text(self, lines: Iterable[str]) -> str:
        kept = []
        for line in lines:
            if line:
                kept += ["\n"] * self._blank + [line, "\n"]
                self._started = True
            self._blank = self._started and not line
        return "".join(kept)


def _model_line(prediction: Prediction, style: Style) -> str:
    facts = [title(prediction.format), prediction.precision]
    if prediction.macs:
        facts.append(f"{format_count(prediction.macs)} MACs")
    return f"{style.paint(clean(prediction.model), 'bold')}  {style.paint(' · '.join(facts), 'dim')}"


def latency(prediction: Prediction) -> str:
    """``12.3 ms``, and ``≥ 12.3 ms`` where work is left out; ``no latency`` of a placement alone."""
    if prediction.placement:
        return "no latency"
    return f"{'≥ ' if prediction.lower_bound else ''}{format_ms(prediction.latency_ms)}"


def interval(prediction: Prediction) -> str:
    """``11.6–13.2``, with as many digits as the latency is shown with; ``≥ 11.6`` where it has no high end."""
    if prediction.placement:
        return "placement alone"
    digits = format_ms(prediction.latency_ms).partition(" ")[0].partition(".")[2]
    low = f"{prediction.low_ms:.{len(digits)}f}"
    return f"≥ {low}" if prediction.high_ms is None else f"{low}–{prediction.high_ms:.{len(digits)}f}"


def within(prediction: Prediction) -> str:
    """``90% within 11.6–13.2 ms``; where the interval has no high end, what is left out."""
    if prediction.placement:
        return "placement alone: nobody timed this target"
    if prediction.high_ms is None:
        return f"{interval(prediction)} ms, without {unknown(prediction)}"
    return f"{prediction.interval:.0%} within {interval(prediction)} ms"


def unknown(prediction: Prediction) -> str:
    """The ops that count for nothing, with how many there are of each: ``com.acme::Thing ×2, WHILE``."""
    named = [_counted(*each) for each in islice(prediction.unknown.items(), 3)]
    return ", ".join([*named, "…"] if len(prediction.unknown) > 3 else named)


def _comparison(predictions: Sequence[Prediction], style: Style) -> list[str]:
    """One line a target: latency, interval, coverage, and a bar against the slowest."""
    slowest = max(prediction.latency_ms for prediction in predictions)
    covered = all(prediction.coverage >= 0.995 for prediction in predictions)
    rows = [
        [
            Cell(prediction.target, ("cyan",)),
            Cell(latency(prediction), ("bold",)),
            Cell(interval(prediction), ("dim",)),
            Cell("" if covered else f"{prediction.coverage:.0%} covered"),
            Cell(_bar(prediction.latency_ms, slowest, 3 * _BAR_COLUMNS), ("yellow",)),
        ]
        for prediction in predictions
    ]
    return table(rows, "<>>><", style, indent=2)


def _breakdown(prediction: Prediction, style: Style) -> list[str]:
    """The kernels of one model on one target, and what must be known to trust the sum."""
    head = (
        f"{style.paint(prediction.target, 'cyan', 'bold')}  {style.paint(latency(prediction), 'bold')}"
        f"  {within(prediction)}"
    )
    facts = [prediction.runtime, *([] if prediction.placement else [f"coverage {prediction.coverage:.0%}"])]
    free = sum(kernel.source == "free" for kernel in prediction.kernels)
    if free:
        facts.append(f"{counted(free, 'op')} without a kernel")
    return [
        head,
        f"  {style.paint(' · '.join(facts), 'dim')}",
        "",
        *(_placed(prediction) if prediction.placement else _kernel_table(prediction, style)),
        *_partitions(prediction),
        *_fallbacks(prediction, style),
        *_unknown_ops(prediction, style),
        *_notes(prediction.notes, style),
    ]


def _placed(prediction: Prediction) -> list[str]:
    """How many nodes the first to be asked takes, and in how many partitions."""
    taken = [part.nodes for part in prediction.partitions if part.processor == prediction.delegate]
    kind = kind_of(prediction.target.partition("/")[2])
    nodes = sum(part.nodes for part in prediction.partitions)
    return [f"  the {kind.title} takes {sum(taken)} of {counted(nodes, 'node')}, in {counted(len(taken), 'partition')}"]


def _kernel_table(prediction: Prediction, style: Style) -> list[str]:
    launched = [kernel for kernel in prediction.kernels if kernel.source not in ("free", "unknown")]
    launched.sort(key=lambda kernel: kernel.rank)
    shown = launched if style.top is None else launched[: style.top]
    rest = launched[len(shown) :]
    total = prediction.latency_ms
    rows = [_kernel_row(kernel, prediction, launched[0].latency_ms) for kernel in shown]
    if rest:
        rows.append(_sum_row(f"… and {len(rest)} more", sum(kernel.latency_ms for kernel in rest), total))
    if prediction.overhead_ms:
        rows.append(_sum_row("overhead", prediction.overhead_ms, total))
    rows.append([Cell(f"{total:.3f}"), Cell("100%" if total else ""), Cell(""), Cell("total", ("bold",))])
    heading = [Cell(text, ("dim",)) for text in ("ms", "share", "", "op", "runs as", "", "MACs", "node")]
    lines = table([heading, *rows], ">><<<<><", style, indent=2)
    if not style.explain:
        return lines
    heads, rows_of = lines[:1], zip(shown, lines[1:], strict=False)
    explained = [line for kernel, row in rows_of for line in (row, *_explanation(kernel, prediction, style))]
    return [*heads, *explained, *lines[1 + len(shown) :]]


def _explanation(kernel: KernelPrediction, prediction: Prediction, style: Style) -> list[str]:
    """Why a kernel is what it is, less what is said of the whole model."""
    reasons = [why for why in (kernel.reason, *kernel.explain) if why and why not in prediction.notes]
    told = (wrap(f"         · {clean(why, 300)}", style, hanging=11) for why in dict.fromkeys(reasons))
    return [style.paint(line, "dim") for text in told for line in text.splitlines()]


def _kernel_row(kernel: KernelPrediction, prediction: Prediction, most_ms: float) -> list[Cell]:
    total = prediction.latency_ms
    return [
        Cell(f"{kernel.latency_ms:.3f}"),
        Cell(share(kernel.latency_ms, total)),
        Cell(_bar(kernel.latency_ms, most_ms, _BAR_COLUMNS), ("yellow",)),
        Cell(op_name(kernel), keeps="both"),
        Cell(clean(kernel.implementation, 60), ("dim",), "both"),
        Cell("" if kernel.source == "predicted" else kernel.source, ("yellow",)),
        Cell(format_count(kernel.macs) if kernel.macs else ""),
        Cell(_node(kernel), ("dim",)),
    ]


def _sum_row(label: str, latency_ms: float, total_ms: float) -> list[Cell]:
    return [Cell(f"{latency_ms:.3f}"), Cell(share(latency_ms, total_ms)), Cell(""), Cell(label, ("dim",))]


def op_name(kernel: KernelPrediction) -> str:
    """``conv2d + add + relu``: the op and what the runtime does in the same launch."""
    return clean(" + ".join((kernel.op, *kernel.linked)), 60)


def _node(kernel: KernelPrediction) -> str:
    return clean(short_name(kernel.nodes[0])) if kernel.nodes else ""


def share(part: float, whole: float) -> str:
    """``12.5%``."""
    return f"{part / whole:.1%}" if whole > 0 else ""


def _bar(value: float, most: float, width: int) -> str:
    eighths = round(8 * width * value / most) if most > 0 else 0
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).strip()


def _partitions(prediction: Prediction) -> list[str]:
    """Where the model is cut: in order while that can be followed, else summed up by executor."""
    partitions = prediction.partitions
    if len(partitions) < 2:
        return []
    if len(partitions) <= _ORDERED_PARTITIONS:
        parts = [_partition(prediction, part.processor, part.nodes, part.latency_ms) for part in partitions]
        return ["", f"  {len(partitions)} partitions: {' → '.join(parts)}", *_borders(prediction)]
    parts = []
    for name in dict.fromkeys(part.processor for part in partitions):
        same = [part for part in partitions if part.processor == name]
        nodes, latency_ms = sum(part.nodes for part in same), sum(part.latency_ms for part in same)
        parts.append(f"{len(same)} × {_partition(prediction, name, nodes, latency_ms)}")
    return ["", f"  {len(partitions)} partitions: {', '.join(parts)}", *_borders(prediction)]


def _borders(prediction: Prediction) -> list[str]:
    if not prediction.border_ms:
        return []
    return [f"  {format_ms(prediction.border_ms)} of the overhead are copies and synchronisation between them"]


def _partition(prediction: Prediction, name: str, nodes: int, latency_ms: float) -> str:
    facts = [counted(nodes, "node"), *([] if prediction.placement else [format_ms(latency_ms)])]
    return f"{name} ({', '.join(facts)})"


def _fallbacks(prediction: Prediction, style: Style) -> list[str]:
    """What the runtime's delegate does not take, costliest first, with its reason."""
    executor = prediction.delegate
    if not executor:
        return []
    elsewhere: dict[str, list[KernelPrediction]] = {}
    for kernel in prediction.kernels:
        if kernel.source != "free" and prediction.partitions[kernel.partition].processor != executor:
            elsewhere.setdefault(re.sub(_QUOTED, "…", kernel.reason), []).append(kernel)
    costs = {reason: sum(kernel.latency_ms for kernel in kernels) for reason, kernels in elsewhere.items()}
    worst = sorted(
        elsewhere, key=lambda reason: (-costs[reason], -len(elsewhere[reason]) * prediction.placement, reason)
    )

    def cost(*reasons: str) -> str:
        if prediction.placement:
            return counted(sum(len(elsewhere[reason]) for reason in reasons), "op")
        return format_ms(sum(costs[reason] for reason in reasons))

    rows = [
        [
            Cell(cost(reason)),
            Cell(clean(reason, 200)),
            Cell(_listed(dict.fromkeys(kernel.op for kernel in elsewhere[reason]), 4)),
        ]
        for reason in worst[:_SHOWN_REASONS]
    ]
    if more := worst[_SHOWN_REASONS:]:
        rows.append([Cell(cost(*more)), Cell(f"… for {counted(len(more), 'reason')} more")])
    kind = kind_of(prediction.target.partition("/")[2])
    place = f"in {executor.upper()}" if kind.host else f"on the {kind.title}"
    whole = table(rows, "><<", Style(width=1000), indent=4)  # not cut: reasons are sentences, which wrap
    return ["", f"  not {place}:", *(wrap(line, style, hanging=14) for line in whole)] if rows else []


def _listed(names: Iterable[str], most: int) -> str:
    names = [clean(name, 40) for name in names]
    return ", ".join(names if len(names) <= most else [*names[:most], "…"])


def _unknown_ops(prediction: Prediction, style: Style) -> list[str]:
    if not prediction.unknown or prediction.placement:
        return []
    named = ", ".join(_counted(*each) for each in prediction.unknown.items())
    return ["", f"  {style.paint('not known, counted as 0 ms:', 'yellow', 'bold')} {named}"]


def _counted(name: str, count: int) -> str:
    return clean(name, 60) + (f" ×{count}" if count > 1 else "")


def _notes(notes: Iterable[str], style: Style) -> list[str]:
    lines = [wrap(f"  note: {clean(note, 300)}", style, hanging=4) for note in dict.fromkeys(notes)]
    return ["", *lines] if lines else []


def _verdict_row(prediction: Prediction, verdict: Verdict) -> list[Cell]:
    budget, change = "", ""
    if verdict.budget_ms is not None:
        budget = f"budget {limit(verdict)}"
    if verdict.budget_ms is not None and not prediction.placement:
        held_ms = prediction.end_ms(verdict.gate)
        change = _change(held_ms / verdict.budget_ms) if held_ms < inf else ""
    return [
        _MARKS[verdict.word],
        Cell(prediction.target, ("cyan",)),
        Cell(latency(prediction), ("bold",)),
        Cell(f"[{interval(prediction)}]", ("dim",)),
        Cell(budget),
        Cell(change),
        Cell(_doubts(prediction, verdict), ("yellow",)),
    ]


def limit(verdict: Verdict) -> str:
    """``10 ms``, ``10 ms (high end)``, or nothing."""
    return "" if verdict.budget_ms is None else format_limit_ms(verdict.budget_ms) + _ENDS[verdict.gate]


def _change(ratio: float) -> str:
    """``−12%``, ``+130%``, ``×25``."""
    return f"×{ratio:.0f}" if ratio >= 10 else f"{ratio - 1:+.0%}".replace("-", "−")


def _doubts(prediction: Prediction, verdict: Verdict) -> str:
    """Why a verdict may be another on the device."""
    doubts = ["accepted"] if verdict.accepted else []
    if prediction.placement:
        return ", ".join([*doubts, "nobody timed this target"])
    if prediction.lower_bound:
        doubts.append(f"without {unknown(prediction)}")
    elif verdict.is_close(prediction.interval):
        doubts.append(f"{format_chance(verdict.chance or 0.0)} likely to be over")
    if prediction.coverage < 0.995:
        doubts.append(f"{prediction.coverage:.0%} covered")
    return ", ".join(doubts)


def _finding(finding: Finding, prediction: Prediction, style: Style) -> list[str]:
    """A budget's row has said how far over it is: what is left to say is where the time goes. Others say it in words."""
    if finding.why:
        return [_sentence(finding, finding.headline, style, indent=8)]
    if finding.budget_ms is None or not finding.nodes:
        return [_sentence(finding, finding.message, style, indent=8)]
    named = set(finding.nodes)
    costliest = [kernel for kernel in prediction.kernels if named.intersection(kernel.nodes[:1])]
    costliest.sort(key=lambda kernel: kernel.rank)
    rows = [
        [
            Cell(format_ms(kernel.latency_ms)),
            Cell(share(kernel.latency_ms, prediction.latency_ms)),
            Cell(op_name(kernel)),
            Cell(clean(kernel.implementation, 60), ("dim",)),
            Cell(_node(kernel), ("dim",)),
        ]
        for kernel in costliest
    ]
    return [
        _sentence(finding, f"{finding.headline or finding.message}; what costs most:", style, indent=8),
        *table(rows, ">><<<", style, indent=10),
    ]


def _sentence(finding: Finding, message: str, style: Style, *, indent: int) -> str:
    code = style.link(style.paint(finding.code, *_SEVERITY_PAINT[finding.severity]), finding.help_uri)
    text = wrap(f"{' ' * indent}{finding.code} {finding.name}: {clean(message)}", style, hanging=indent + 2)
    return text.replace(finding.code, code, 1)


def summary(report: Report, style: Style) -> str:
    """``2 models on 3 targets: 1 over budget, 4 within budget, 1 without a budget, 1 warning, 2 findings accepted``."""
    tally = _Tally()
    tally.add(report)
    return tally.line(report, style)


class _Tally:
    """What the reports of a run add up to. ``asides`` are the findings that are about no model that was read."""

    def __init__(self) -> None:
        self.verdicts: Counter[str] = Counter()
        self.severities: Counter[str] = Counter()
        self.accepted = self.unread = 0
        self.asides: list[Finding] = []

    def add(self, report: Report) -> None:
        self.verdicts.update(verdict.word for verdict in report.verdicts)
        self.accepted += sum(finding.suppressed for finding in report.findings)
        self.unread += len(report.errors)
        unread = {error.path for error in report.errors}
        for finding in report.findings:
            about = finding.target or finding.code.startswith("LAT9")
            if finding.budget_ms is None and not finding.suppressed and about:
                self.severities[finding.severity] += 1
            if finding.target is None and finding.model not in unread:
                self.asides.append(finding)

    def line(self, run: Report, style: Style) -> str:
        """See ``summary``."""
        parts = [
            style.paint(f"{self.verdicts[word]} {says}", *paint)
            for word, (says, paint) in _VERDICTS.items()
            if self.verdicts[word]
        ]
        parts += [counted(self.severities[each], each) for each in reversed(SEVERITIES) if self.severities[each]]
        if self.accepted:
            parts.append(f"{counted(self.accepted, 'finding')} accepted")
        if self.unread:
            parts.append(style.paint(f"{counted(self.unread, 'file')} not read", "red", "bold"))
        scope = f"{counted(run.files, 'model')} on {counted(len(run.targets), 'target')}"
        return f"{scope}: {', '.join(parts)}" if parts else scope
