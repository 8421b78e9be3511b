"""A model is larger than its budget: its file, its parameters, its work, or the memory of its activations.

## What it does
Holds a model against the budgets of `size`, `parameters`, `macs` and `peak-memory`. The size of a file counts weights that lie outside of it.
Parameters are the elements of all constants that ops read. Peak memory is the arena of the activations, as TensorFlow Lite's greedy
planner lays it out: the largest tensor first, each at the lowest place that is free while it is alive.

## Why is this bad?
An app has a limit for its download, and a small device has one for its memory. A model that does not fit fails to start.

## Example
```toml
[[budgets]]
model = "models/wakeword.tflite"
target = "pixel-4/cpu-1large"
size = "500 kB"
peak-memory = "64 KiB"
```

## What to do
For the size: quantise the weights, or leave out layers. For peak memory, [LAT109](LAT109.md) names the tensors that are alive at the peak
and says what would lower it. The estimate equals the arena of tflite-micro (0.dev20261023) to the byte for 22 of 22 int8 networks that
were compared. LiteRT 2.3 takes more: it keeps the inputs to the end of the run, and built-in convolutions take buffers of their own.
XNNPACK has a workspace of its own beside the arena.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from latlint.checks.types import Finding, Rule, Subject
from latlint.settings import Budget
from latlint.units import format_bytes, format_count
from latlint.words import cut_middle

RULE = Rule("LAT108", "resource-exceeded", "error")

_NAMED = 3
_NAME_LIMIT = 40


def check(subject: Subject) -> Iterator[Finding]:
    prediction, settings = subject.prediction, subject.settings
    takes = prediction.footprint
    if takes is None:
        return
    held: dict[str, tuple[str, int | None, Callable[[int], str]]] = {
        "size": ("the file takes", takes.size_bytes, format_bytes),
        "parameters": ("it has", takes.parameters, lambda count: f"{format_count(count)} parameters"),
        "macs": ("it takes", prediction.macs, lambda count: f"{format_count(count)} MACs"),
        "peak-memory": ("its activations take", takes.peak_bytes, format_bytes),
    }
    budgets = settings.budgets_for(prediction.model, prediction.target)
    for name, (verb, amount, said) in held.items():
        limits = [(limit, budget) for budget in budgets if (limit := budget.resources[name]) is not None]
        if amount is None or not limits:
            continue
        limit, budget = min(limits, key=lambda pair: pair[0])
        if amount > limit:
            over = f"{verb} {said(amount)}, {amount / limit - 1:.1%} more than the {name} budget of {said(limit)}{_remarks(budget)}"
            if name == "peak-memory":
                tensors = [
                    f"'{cut_middle(tensor, _NAME_LIMIT)}' {format_bytes(size)}"
                    for tensor, size in islice(takes.peak.items(), _NAMED)
                ]
                over += f"; alive at the peak: {', '.join(tensors)}"
            yield RULE.finding(subject, over, identity=(name,))


def _remarks(budget: Budget) -> str:
    remarks = ": ".join(filter(None, [budget.origin, budget.message]))
    return f" ({remarks})" if remarks else ""
