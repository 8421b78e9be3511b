"""A model has become slower by more than a change may make it.

## What it does
Compares the predicted latency of a model with what it was before the change, where a budget has `max-increase`. In a git repository
"before" is the merge base with `--base` (or `base` in the configuration), without one the last commit; elsewhere it is what
`latlint.lock` says. What a new version of latlint or of a device pack predicts otherwise is no increase: the old model is then predicted
again.

## Why is this bad?
Ten changes that each cost 3 % are never over the budget, until one is. And a model that was too slow before this change should not stop
it, as long as it gets no slower.

## Example
```toml
[[budgets]]
model = "models/*.tflite"
target = "pixel-4/*"
max-increase = "5%"
min-increase = "0.2ms"   # an increase below this is never too much
```

## What to do
`latlint diff --base REV MODEL` shows which kernels were added and which became slower. If the time is well spent, raise the budget in the
same change, accept it with a waiver that has an end, or with `latlint baseline`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from latlint.checks.types import Finding, Rule
from latlint.latency.types import Prediction
from latlint.settings import Budget, Settings
from latlint.units import format_ms, rounded

RULE = Rule("LAT103", "budget-increase", "error")


def tightest(prediction: Prediction, settings: Settings, base_ms: float) -> tuple[float, Budget] | None:
    """The latency in milliseconds to which the model may grow from ``base_ms``, and the budget that says so."""
    budgets = settings.budgets_for(prediction.model, prediction.target)
    limits = [(limit_ms, budget) for budget in budgets if (limit_ms := budget.highest_ms(rounded(base_ms))) is not None]
    return min(limits, key=lambda pair: pair[0], default=None)


def found(
    prediction: Prediction, path: str, limit_ms: float, budget: Budget, base_ms: float, base: str
) -> Iterator[Finding]:
    """What the tightest budget has to say to the increase from ``base_ms``, the latency in ``base``."""
    latency_ms = rounded(prediction.latency_ms)
    if latency_ms > limit_ms:
        finding = RULE.finding_on(prediction, path, _message(latency_ms, rounded(base_ms), budget, base))
        yield replace(finding, latency_ms=latency_ms, budget_ms=limit_ms)


def _message(latency_ms: float, base_ms: float, budget: Budget, base: str) -> str:
    more_ms = latency_ms - base_ms
    share = f" ({more_ms / base_ms:+.1%})" if base_ms else ""
    allowed = f"{100 * (budget.max_increase or 0.0):.4g}%"
    floor = f", or {format_ms(budget.min_increase_ms)}" if budget.min_increase_ms else ""
    remarks = ": ".join(filter(None, [budget.origin, budget.message]))
    return (
        f"{format_ms(latency_ms)} is {format_ms(more_ms)}{share} more than the {format_ms(base_ms)} of {base}; "
        f"allowed: {allowed}{floor}{f' ({remarks})' if remarks else ''}"
    )
