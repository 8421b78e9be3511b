"""Too much of a model's latency does not rest on measurements.

## What it does
Reports a model on a target where the coverage is below `min-coverage` (default: 0.8). Coverage is the share of the predicted
latency that comes from models of kernels that were measured on that device; ops that latlint does not understand lower it.

## Why is this bad?
An op that is not understood adds nothing to the total, so the total is too low, and a budget that is kept may be kept only
on paper. The other kernels of the sum may be right.

## What to do
Look at the ops in the message. Measure the model on the device, or, where the ops are known to be cheap, lower the bar:

```toml
min-coverage = 0.6
```
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.words import counted

RULE = Rule("LAT010", "low-coverage", "warning")


def check(subject: Subject) -> Iterator[Finding]:
    prediction, wanted = subject.prediction, subject.settings.min_coverage
    if prediction.coverage >= wanted:
        return
    unknown = [kernel for kernel in prediction.kernels if kernel.source == "unknown"]
    derived = sum(kernel.source == "derived" for kernel in prediction.kernels)
    reasons = []
    if unknown:
        counts = Counter(kernel.implementation or kernel.op for kernel in unknown)
        named = ", ".join(f"{name} ×{count}" if count > 1 else name for name, count in counts.most_common(3))
        rest = ", …" if len(counts) > 3 else ""
        reasons.append(f"not understood and counted as 0 ms: {named}{rest}")
    if derived:
        reasons.append(f"{counted(derived, 'kernel')} estimated without measurements of the kind")
    yield RULE.finding(
        subject,
        f"coverage {prediction.coverage:.0%} is below {wanted:.0%}" + "".join(f"; {reason}" for reason in reasons),
        nodes=tuple(name for kernel in unknown for name in kernel.nodes),
        latency_ms=prediction.latency_ms,
    )
