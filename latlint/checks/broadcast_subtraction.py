"""A subtraction whose second operand is smaller than the first, on TensorFlow Lite's CPU kernels.

## What it does
Reports SUB where one operand is broadcast to the other's shape, with what ADD of the negative would buy.

## Why is this slow?
ADD and MUL have loops for broadcasts that run along the channels in vectors; SUB walks through all indices of a broadcast one by one. The same
values take three times as long and more. Under XNNPACK, on GPUs and NPUs both cost the same.

## Example that fails
```text
# pixel-4/cpu-1large
x = input 1x56x56x96
k = const 96
a = sub x k
b = conv2d a 32 kernel=1
```

## Example that passes
```text
# pixel-4/cpu-1large
x = input 1x56x56x96
k = const 96
a = add x k
b = conv2d a 32 kernel=1
```

## How to fix
Subtract a constant by adding its negative. For values computed in the model, put the minus where the tensor is small: `x + (-mean)`.

## References
tensorflow/lite/kernels/internal/optimized/optimized_ops.h (`BroadcastSubSlow`, `BroadcastAddDispatch`); timed with the kernels of TensorFlow 2.10.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Graph, Node
from latlint.whatif.edits import EditedGraph
from latlint.words import counted

RULE = Rule("LAT245", "broadcast-subtraction", "warning", ("builtin",), "measured")


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = [
        node for node in seen.graph.nodes if node.kind == "sub" and len(node.inputs) == 2 and _broadcasts(seen, node)
    ]
    if not found:
        return

    def added(graph: Graph) -> Graph:
        draft = EditedGraph(graph)
        for node in found:
            draft.change(node, kind="add", version=1)
        return draft.graph()

    message = f"{counted(len(found), 'SUB')} of an operand that is broadcast"
    fix = "add the negative instead"
    yield from seen.judge(RULE, message, found, fix=fix, gain=seen.gain("LAT245", added))


def _broadcasts(view: View, node: Node) -> bool:
    first, second = (view.shape(index) for index in node.inputs)
    return 1 < prod(second) < prod(first)
