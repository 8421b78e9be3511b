"""A model is predicted to be slower than its budget.

## What it does
Compares the predicted latency of a model on a target with the tightest budget that applies to both, from `--budget` or from
`[[budgets]]` in the configuration, and names the kernels that cost most.

## Why is this bad?
Latency is easiest to win back before a model ships: in the change that spent it.

## Example
```toml
[[budgets]]
model = "models/detector.tflite"
target = "pixel-4/*"
max = "10ms"
```

## What to do
`latlint predict MODEL --target TARGET` shows every kernel with its share of the total. Start at the top: fewer channels, a
smaller input, a cheaper op where the slowest kernels are. If the time is well spent, raise the budget in the same change,
where a reviewer sees it.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.units import format_limit_ms, format_ms, short_name

RULE = Rule("LAT101", "budget-exceeded", "error")

_NAMED_KERNELS = 3


def check(subject: Subject) -> Iterator[Finding]:
    prediction = subject.prediction
    budget_ms = subject.settings.budget_ms(prediction.model, prediction.target)
    if budget_ms is None or prediction.latency_ms <= budget_ms:
        return
    costliest = sorted(prediction.kernels, key=lambda kernel: (-kernel.latency_ms, kernel.index))[:_NAMED_KERNELS]
    named = "; ".join(
        f"{' + '.join((kernel.implementation, *kernel.linked))} '{short_name(kernel.nodes[0]) if kernel.nodes else kernel.op}' "
        f"{format_ms(kernel.latency_ms)} ({kernel.latency_ms / prediction.latency_ms:.0%})"
        for kernel in costliest
    )
    over_ms = prediction.latency_ms - budget_ms
    yield RULE.finding(
        subject,
        f"{format_ms(prediction.latency_ms)} is {format_ms(over_ms)} ({over_ms / budget_ms:.0%}) over the budget of "
        f"{format_limit_ms(budget_ms)}; what costs most: {named}",
        nodes=tuple(kernel.nodes[0] for kernel in costliest if kernel.nodes),
        latency_ms=prediction.latency_ms,
        budget_ms=budget_ms,
    )
