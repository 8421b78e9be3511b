"""Budgets held against a prediction: what the rules about them, and the verdict, share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from math import floor, inf

from latlint.checks.types import Finding, Rule, Subject
from latlint.graph.inputs import dims_text, usual_size
from latlint.latency.types import UNCOUNTED, KernelPrediction, Prediction
from latlint.records import NamedTuple
from latlint.settings import Budget, Settings
from latlint.units import format_chance, format_limit_ms, format_ms, rounded
from latlint.words import counted, short_name

_NAMED_KERNELS = 3


class BudgetUse(NamedTuple):
    """``value_ms``, that end of the interval which the budget's gate names, against ``limit_ms``."""

    budget: Budget
    limit_ms: float
    value_ms: float

    @property
    def ratio(self) -> float:
        """Over 1 when the limit is broken."""
        return self.value_ms / self.limit_ms


def tightest(prediction: Prediction, settings: Settings, limit: str) -> dict[str | None, BudgetUse]:
    """Of the budgets with this ``limit`` (``max`` or ``warn``) the one that ``prediction`` comes nearest to or breaks most: for the
    whole model (``None``) and for each op that budgets name."""
    found: dict[str | None, BudgetUse] = {}
    for budget in settings.budgets_for(prediction.model, prediction.target):
        limit_ms = budget.max_ms if limit == "max" else budget.warn_ms
        if limit_ms is not None:
            use = BudgetUse(budget, limit_ms, _value_ms(prediction, budget))
            if budget.op not in found or use.ratio > found[budget.op].ratio:
                found[budget.op] = use
    return found


def allowed_increase(prediction: Prediction, settings: Settings, base_ms: float) -> tuple[float, Budget] | None:
    """The latency in milliseconds to which the model may grow from ``base_ms``, and the tightest of the budgets that say so."""
    budgets = settings.budgets_for(prediction.model, prediction.target)
    limits = [(limit_ms, budget) for budget in budgets if (limit_ms := budget.highest_ms(rounded(base_ms))) is not None]
    return min(limits, key=lambda pair: pair[0], default=None)


class Doubt(NamedTuple):
    """Why a latency is not known well enough to be judged, and what to do about it, in words; ``nodes`` by name."""

    reason: str
    advice: str
    nodes: tuple[str, ...] = ()


def doubts(prediction: Prediction, settings: Settings) -> tuple[Doubt, ...]:
    """Why ``prediction`` cannot be held against a budget; none where it can."""
    found = []
    if prediction.placement:
        advice = "name a device that was timed; here is only where each op runs"
        return (Doubt(f"nobody timed {prediction.target}, which has no latency", advice),)
    if prediction.compiled_for:
        names = named_counts(prediction.unknown)
        found.append(
            Doubt(
                f"the file is compiled for {' and '.join(prediction.compiled_for)}, and {prediction.target} runs something else ({names})",
                "check the file that it was compiled from",
                _unknown_nodes(prediction),
            )
        )
    elif prediction.unknown:
        names = named_counts(prediction.unknown)
        loops = any(kernel.reason == UNCOUNTED for kernel in prediction.kernels)
        rounds = " with one round of each loop whose rounds are known only at run time" if loops else ""
        found.append(
            Doubt(
                f"{names} {'is' if sum(prediction.unknown.values()) == 1 else 'are'} not priced, so the model takes "
                f"{format_ms(prediction.latency_ms)} or more{rounds}",
                ("give loops a number of rounds that the graph fixes, " if loops else "")
                + "replace what is not known, or measure the model on the device",
                _unknown_nodes(prediction),
            )
        )
    if prediction.open_inputs:
        name, dims = next(iter(prediction.open_inputs.items()))
        size = dims_text(usual_size(dims))
        found.append(
            Doubt(
                f"the file leaves the size of input '{name}' open ({dims_text(dims)})",
                f'state the size that the app uses, for example --shape \'{name}={size}\', or in [shapes]: "{name}" = "{size}"',
            )
        )
    if _holds_memory(prediction, settings) and prediction.footprint and prediction.footprint.peak_bytes is None:
        found.append(
            Doubt(
                f"its peak memory is not known: {prediction.footprint.unknown}", "leave peak-memory out of its budget"
            )
        )
    if prediction.coverage < settings.min_coverage:
        found.append(
            Doubt(
                f"coverage {floored(prediction.coverage)} is below min-coverage {floored(settings.min_coverage)}",
                "measure the model on the device, or lower min-coverage",
            )
        )
    return tuple(found)


def _holds_memory(prediction: Prediction, settings: Settings) -> bool:
    return any(budget.peak_memory is not None for budget in settings.budgets_for(prediction.model, prediction.target))


def _unknown_nodes(prediction: Prediction) -> tuple[str, ...]:
    return tuple(node for kernel in prediction.kernels if kernel.source == "unknown" for node in kernel.nodes)


def named_counts(counts: Mapping[str, int]) -> str:
    """``BrandNewOp ×2, OtherOp``."""
    return ", ".join(f"{name} ×{count}" if count > 1 else name for name, count in counts.items())


def floored(share: float) -> str:
    """``79.9%``, rounded down, so that what is below a limit never looks like the limit."""
    return f"{floor(share * 1000) / 10:g}%"


def broken(subject: Subject, rule: Rule, use: BudgetUse, called: str) -> Iterator[Finding]:
    """What ``rule`` has to say when the limit, ``called`` a budget, is broken: by how much, which it is, and what costs most."""
    if use.ratio <= 1:
        return
    prediction, op = subject.prediction, use.budget.op
    kernels = _kernels_of(prediction, op)
    costliest = sorted(kernels, key=lambda kernel: kernel.rank)[:_NAMED_KERNELS]
    what = f"{op} in {counted(len(kernels), 'kernel')}: " if op else ""
    named = "; ".join(_named(kernel, prediction) for kernel in costliest)
    excess = f"{what}{_excess(use, called)}{_chance(prediction, use)}"
    found = rule.finding(
        subject,
        f"{excess}; what costs most: {named}",
        nodes=tuple(kernel.nodes[0] for kernel in costliest if kernel.nodes),
        latency_ms=sum(kernel.latency_ms for kernel in kernels) if op else prediction.latency_ms,
        budget_ms=use.limit_ms,
        identity=("op", op) if op else (),
    )
    yield replace(found, headline=excess)


def _excess(use: BudgetUse, called: str) -> str:
    """``12.0 ms is 2.00 ms (20%) over the budget of 10 ms ([[budgets]] number 1 of latlint.toml: what its author says)``."""
    if use.value_ms == inf:
        return f"the high end of the interval is not known, and the {called} is {format_limit_ms(use.limit_ms)}: some ops count for nothing"
    budget, over_ms = use.budget, use.value_ms - use.limit_ms
    value = format_ms(use.value_ms)
    if budget.gate in ("low", "high"):
        value = f"the {budget.gate} end of the interval, {value},"
    remarks = ": ".join(filter(None, [budget.origin, budget.message]))
    return (
        f"{value} is {format_ms(over_ms)} ({over_ms / use.limit_ms:.0%}) over the {called} of "
        f"{format_limit_ms(use.limit_ms)}{f' ({remarks})' if remarks else ''}"
    )


def _chance(prediction: Prediction, use: BudgetUse) -> str:
    """How likely the device is to be over the limit as well. An op's part in the error of the whole is not known."""
    if use.budget.op is not None:
        return ""
    chance = prediction.chance_above(use.limit_ms)
    return (
        ""
        if chance is None
        else f", {'at least ' if prediction.lower_bound else ''}{format_chance(chance)} likely on the device"
    )


def _value_ms(prediction: Prediction, budget: Budget) -> float:
    """What is held against the limits. An op's interval is taken to be as wide, for its time, as the model's."""
    end_ms = prediction.end_ms(budget.gate or "point")
    if budget.op is None or not prediction.latency_ms:
        return end_ms
    kernels_ms = sum(kernel.latency_ms for kernel in _kernels_of(prediction, budget.op))
    return kernels_ms * end_ms / prediction.latency_ms if kernels_ms else 0.0


def _kernels_of(prediction: Prediction, op: str | None) -> list[KernelPrediction]:
    return [kernel for kernel in prediction.kernels if op is None or fnmatchcase(kernel.op, op)]


def _named(kernel: KernelPrediction, prediction: Prediction) -> str:
    node = short_name(kernel.nodes[0]) if kernel.nodes else kernel.op
    share = kernel.latency_ms / prediction.latency_ms
    return (
        f"{' + '.join((kernel.implementation, *kernel.linked))} '{node}' {format_ms(kernel.latency_ms)} ({share:.0%})"
    )
