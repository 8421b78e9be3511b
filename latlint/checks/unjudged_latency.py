"""A budget applies, and the latency is not known well enough to say that it is kept.

## What it does
Reports a model with a budget whose prediction leaves work out, or is that of another input. The reasons are ops that latlint does not know,
sizes that are known only when the model runs, an input whose size the file leaves open, and coverage below `min-coverage`. It also reports a
model with a `max-increase` whose latency before the change cannot be found. The reasons are a shallow clone, a Git LFS object that was not
fetched, and a file that cannot be read or unpacked. The verdict is then `unjudged`, not `pass`.

## Why is this bad?
A latency without the unknown ops is a lower bound, and a budget that a lower bound keeps may be broken on the device.

## What to do
Do what the message says: state the size of the input, replace the op, measure the model on the device, or fetch the history
(`fetch-depth: 0` of actions/checkout, `git fetch --unshallow`). A committed `latlint.lock` spares fetching old models. To let such models through,
set what they are in the configuration:

```toml
unjudged = "warning"   # or "ignore"
```
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from latlint.checks.budgets import doubts
from latlint.checks.types import Comparison, Finding, Rule, Subject

RULE = Rule("LAT106", "unjudged-latency", "error")


def check(subject: Subject) -> Iterator[Finding]:
    prediction, settings = subject.prediction, subject.settings
    if settings.unjudged == "ignore" or not settings.budgets_for(prediction.model, prediction.target):
        return
    if found := doubts(prediction, settings):
        reasons = "; ".join(doubt.reason for doubt in found)
        advice = "; ".join(doubt.advice for doubt in found)
        finding = RULE.finding(
            subject,
            f"not judged: {reasons}: {advice}",
            nodes=tuple(node for doubt in found for node in doubt.nodes),
            latency_ms=prediction.latency_ms,
        )
        yield replace(finding, severity=settings.unjudged)


def compare(comparison: Comparison) -> Iterator[Finding]:
    severity = comparison.settings.unjudged
    if severity == "ignore" or comparison.base_ms is not None or comparison.is_new:
        return
    message = f"not judged: max-increase cannot be held against it: {comparison.base}"
    yield replace(
        RULE.finding_on(comparison.prediction, comparison.path, message, ("max-increase",)), severity=severity
    )
