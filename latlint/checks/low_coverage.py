"""A model has ops whose latency is not known, or too little of it rests on measurements.

## What it does
Names the ops of a model that latlint cannot price on a target: ops that it does not know, and ops whose sizes are known only when
the model runs. It also reports a model whose coverage is below `min-coverage`, where you set it. Coverage is the share of the predicted
latency that comes from models of kernels that were measured on that device; the rest is estimated by a physical model, and ops
that are not known lower the coverage.

## Why is this bad?
An op that is not known adds nothing to the total, so the total is a lower bound (`≥ 9.85 ms`). Under a budget, such a model is not
judged (LAT106).

## What to do
Replace the ops in the message, or measure the model on the device. Where measurements matter more to you than an estimate, ask for them:

```toml
min-coverage = 0.8
```
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.budgets import floored, named_counts
from latlint.checks.types import Finding, Rule, Subject
from latlint.words import counted

RULE = Rule("LAT010", "low-coverage", "warning", under=("LAT106",))


def check(subject: Subject) -> Iterator[Finding]:
    prediction, wanted = subject.prediction, subject.settings.min_coverage
    if prediction.placement:  # that nothing has a latency there is said of the target
        return
    reasons = []
    if prediction.unknown:
        reasons.append(f"not known, and left out of the latency: {named_counts(prediction.unknown)}")
    if prediction.coverage < wanted:
        derived = sum(kernel.source == "derived" for kernel in prediction.kernels)
        rest = f" ({counted(derived, 'kernel')} estimated without measurements of the kind)" if derived else ""
        reasons.append(f"coverage {floored(prediction.coverage)} is below min-coverage {floored(wanted)}{rest}")
    if not reasons:
        return
    yield RULE.finding(
        subject,
        "; ".join(reasons),
        nodes=tuple(name for kernel in prediction.kernels if kernel.source == "unknown" for name in kernel.nodes),
        latency_ms=prediction.latency_ms,
    )
