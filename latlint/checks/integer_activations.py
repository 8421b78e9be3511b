"""Integers are computed inside the model, which the GPU delegate leaves to the CPU.

## What it does
Reports ops that the delegate refuses because a run-time tensor holds int32, int64 or bool values: indices, masks, shapes computed
from shapes, casts.

## Why is this slow?
The delegate computes in floating point only. An index or a mask in the middle of a network puts a CPU step between two GPU parts.

## Example that fails
```text
# pixel-4/gpu
x = input 1x56x56x64
a = conv2d x 64 kernel=3 activation=relu
b = cast a to=int32 -> 1x56x56x64 int32
c = cast b to=float32 -> 1x56x56x64 float32
d = conv2d c 64 kernel=3 activation=relu
e = conv2d d 64 kernel=3 activation=relu
```

## Example that passes
```text
# pixel-4/gpu
x = input 1x56x56x64
a = conv2d x 64 kernel=3 activation=relu
c = floor a
d = conv2d c 64 kernel=3 activation=relu
e = conv2d d 64 kernel=3 activation=relu
```

## How to fix
Export with fixed shapes, so that shape arithmetic folds away. Keep masks and rounding in floats (FLOOR, comparisons that feed one
CAST). Take ARG_MAX, TOPK and gathering to the end of the model or to the app.

## References
tensorflow/lite/delegates/gpu/common/model_builder.cc (`IsAllAllowedTensors`); tensorflow/tensorflow #56301, #63142.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from latlint.checks._placement import advice, at_the_ends, findings, mendable
from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Node
from latlint.words import counted

RULE = Rule("LAT206", "integer-activations", "warning", ("offload",), "source", under=("LAT201",))

_INTEGERS = frozenset("int16 int32 int64 uint16 uint32 uint64 bool".split())


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = [seen.graph.nodes[index] for index in sorted(mendable(seen).keys() - at_the_ends(seen))]
    found = [node for node in found if on_integers(seen, node)]
    if not found:
        return
    counts = Counter(node.native or node.kind for node in found)
    named = ", ".join(f"{name} ×{count}" for name, count in counts.most_common(4))
    message = f"{counted(len(found), 'op')} on integers or booleans {'is' if len(found) == 1 else 'are'} left to the CPU ({named})"
    fix = advice(node.kind for node in found) or "compute in floats, fold them into constants or move them to the end"
    yield from findings(seen, RULE, found, message, fix)


def on_integers(seen: View, node: Node) -> bool:
    """Whether ``node`` reads or writes whole numbers or truth values that are computed at run time."""
    tensors = (*seen.runtime_inputs(node), *(index for index in node.outputs if index >= 0))
    return any(seen.tensor(index).dtype in _INTEGERS for index in tensors)
