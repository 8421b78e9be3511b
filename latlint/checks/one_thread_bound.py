"""Most of the time goes to ops that use one thread, on a target with several.

## What it does
Notes a model on a CPU target with several threads that spends more than a third of its time in kernels that never use more than one.

## Why is this slow?
The built-in kernels split convolutions, matrix products and a few others over threads. Additions, concatenations, padding,
activations and grouped convolutions run on one while the other cores wait.

## Example that fails
```text
# pixel-4/cpu-4small
x = input 1x56x56x64
a = conv2d x 64 kernel=1
b = elu a
c = concat a b
d = tanh c
e = add d c
f = conv2d e 64 kernel=1
```

## Example that passes
```text
# pixel-4/cpu-4small
x = input 1x56x56x64
a = conv2d x 64 kernel=3 activation=relu
b = conv2d a 64 kernel=3 activation=relu
```

## How to fix
Fuse activations (ReLU, ReLU6), merge padding, avoid grouped convolutions and long concatenations, or run with XNNPACK, which threads
them all. Otherwise fewer, larger cores do the same work.

## References
tensorflow/lite/kernels/ (which kernels ask for `CpuBackendContext`).
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import view

RULE = Rule("LAT243", "one-thread-bound", "note", ("host",), "measured")

_SHARE = 1 / 3


def check(subject: Subject) -> Iterator[Finding]:
    threads = subject.target.processor.threads
    if threads < 2:
        return
    seen = view(subject)
    spent: dict[str, float] = {}
    for kernel, ms in seen.kernels():
        if kernel.threads == 1:
            spent[kernel.implementation] = spent.get(kernel.implementation, 0.0) + ms
    share = sum(spent.values()) / seen.total_ms if seen.total_ms > 0 else 0.0
    if share < _SHARE:
        return
    named = ", ".join(sorted(spent, key=lambda name: -spent[name])[:3])
    nodes = [
        seen.graph.nodes[i] for kernel in seen.plan.kernels if kernel.implementation in spent for i in kernel.nodes[:1]
    ]
    yield from seen.judge(
        RULE, f"{share:.0%} of the time is in kernels that use one of {threads} threads, most of it in {named}", nodes
    )
