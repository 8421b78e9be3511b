"""A model has become slower by more than a change may make it.

## What it does
Compares the predicted latency of a model with what it was before the change, where a budget has `max-increase`. In a git repository
"before" is the merge base with `--base` (or `base` in the configuration), without one with the branch that the pull request goes to, as
CI says it, or with the default branch; where there is no git it is what `latlint.lock` says. What a new version of latlint or of a device pack predicts otherwise is no increase: the old model is then predicted
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
The message says what the change did: the cause first, then the kernels that add most. `latlint diff --base REV MODEL`
shows all of them. If the time is well spent, raise the budget in the
same change, accept it with a waiver that has an end, or with `latlint baseline`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from latlint.checks.budgets import allowed_increase
from latlint.checks.types import Comparison, Finding, Rule
from latlint.settings import Budget
from latlint.units import format_chance, format_change, format_ms, rounded

RULE = Rule("LAT103", "budget-increase", "error")


def compare(comparison: Comparison) -> Iterator[Finding]:
    prediction, base_ms = comparison.prediction, comparison.base_ms
    allowed = None if base_ms is None else allowed_increase(prediction, comparison.settings, base_ms)
    latency_ms = rounded(prediction.latency_ms)
    if base_ms is None or allowed is None or latency_ms <= allowed[0]:
        return
    limit_ms, budget = allowed
    message = _message(latency_ms, rounded(base_ms), budget, comparison.base)
    if (chance := comparison.chance_above(limit_ms)) is not None:
        message += f"; {format_chance(chance)} likely on the device"
    found = RULE.finding_on(prediction, comparison.path, message)
    yield replace(found, latency_ms=latency_ms, budget_ms=limit_ms)


def _message(latency_ms: float, base_ms: float, budget: Budget, base: str) -> str:
    share = f" ({format_change(latency_ms / base_ms)})" if base_ms else ""
    allowed = f"{100 * (budget.max_increase or 0.0):.4g}%"
    floor = f", or {format_ms(budget.min_increase_ms)}" if budget.min_increase_ms else ""
    remarks = ": ".join(filter(None, [budget.origin, budget.message]))
    return (
        f"{format_ms(base_ms)} → {format_ms(latency_ms)}{share} since {base}; "
        f"allowed: {allowed}{floor}{f' ({remarks})' if remarks else ''}"
    )
