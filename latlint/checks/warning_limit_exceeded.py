"""A model is predicted to be slower than the limit at which its budget warns.

## What it does
Compares the predicted latency of a model on a target with `warn` of the budgets that apply to both. It says nothing where the
model breaks the same budgets' `max`: `LAT101` has said it.

## Why is this bad?
A budget that is nearly spent is spent by the next change, whose author did not spend it.

## Example
```toml
[[budgets]]
model = "models/detector.tflite"
target = "pixel-4/*"
warn = "9ms"
max = "10ms"
```

## What to do
Nothing needs to be done at once. `latlint predict MODEL --target TARGET` shows where the time goes; `--fail-on warning` makes a
warning fail the check.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.budgets import broken, tightest
from latlint.checks.types import Finding, Rule, Subject

RULE = Rule("LAT102", "warning-limit-exceeded", "warning")


def check(subject: Subject) -> Iterator[Finding]:
    limits = tightest(subject.prediction, subject.settings, "max")
    for scope, held in tightest(subject.prediction, subject.settings, "warn").items():
        if scope not in limits or limits[scope].ratio <= 1:
            yield from broken(subject, RULE, held, "warning limit")
