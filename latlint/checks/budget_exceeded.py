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
smaller input, a cheaper op where the slowest kernels are. Where the model became slower since the commit that the change starts from,
the message says why, and names the command that shows all of the change. If the time is well spent, raise the budget in the same change,
where a reviewer sees it.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.budgets import broken, tightest
from latlint.checks.types import Finding, Rule, Subject

RULE = Rule("LAT101", "budget-exceeded", "error")


def check(subject: Subject) -> Iterator[Finding]:
    for held in tightest(subject.prediction, subject.settings, "max").values():
        yield from broken(subject, RULE, held, "budget")
