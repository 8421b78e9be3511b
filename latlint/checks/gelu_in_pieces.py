"""A GELU spelt out in single ops, on an NPU.

## What it does
Reports GELUs that a TFLite file computes with TANH or by other steps, where the tensor has a megabyte or more, with what the one op would save.

## Why is this slow?
The compiler for Qualcomm's NPUs fuses the op GELU into the layer before it, and not the eight ops or more of its formula: each of them is a pass
over the tensor, and together they do not fit the memory on the chip. On a Galaxy S26 (LiteRT 2.2) whole networks took twice as long with
the formula: DINOv2-S 85.9 ms instead of 41.9 ms, TIPSv2-B 327 instead of 142. On that phone's GPU it made no difference. `x * sigmoid(1.702 x)` is
fast there too: it is one kernel. What else is done to spare the NPU ops may change nothing: a chain of 3000 convolutions took 1.7 ms, and one convolution of as much work
2.7 ms; a network pays for what is not fused, not for the number of its ops.

## Example that fails
```text
# galaxy-s26/npu@litert
x = input 1x1024x384
c = const 1 value=0.044715
k = const 1 value=0.797885
one = const 1 value=1
half = const 1 value=0.5
h = fully_connected x 1536 -> 1x1024x1536
a = mul h h
b = mul a h
d = mul b c
e = add h d
f = mul e k
g = tanh f
i = add g one
j = mul h i
y = mul j half
z = fully_connected y 384 -> 1x1024x384
```

## Example that passes
```text
# galaxy-s26/npu@litert
x = input 1x1024x384
h = fully_connected x 1536 -> 1x1024x1536
y = gelu h
z = fully_connected y 384 -> 1x1024x384
```

## How to fix
Export `torch.nn.GELU()` (or its `approximate="tanh"`) so that the converter writes the op GELU: litert-torch and current versions of TensorFlow's
converter do.

## References
github.com/john-rocky/edge-compat (Apache-2.0), op forms timed on a Galaxy S26's NPU.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Graph, Node
from latlint.whatif.edits import EditedGraph
from latlint.words import counted

RULE = Rule("LAT250", "gelu-in-pieces", "warning", ("npu",), "measured")


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = seen.launched(_spelt)
    if not found:
        return

    def as_one_op(graph: Graph) -> Graph:
        draft = EditedGraph(graph)
        for nodes, data in found:
            draft.change(nodes[0], kind="gelu", inputs=(data,))
        return draft.graph()

    ops = sum(len(nodes) for nodes, _ in found)
    nodes = [node for group, _ in found for node in group]
    gain = seen.gain("LAT250", as_one_op)
    yield from seen.judge(
        RULE, f"GELU ×{len(found)} spelt out in {counted(ops, 'op')}", nodes, fix="export the op GELU", gain=gain
    )


def _spelt(view: View) -> list[tuple[list[Node], int]]:
    """The nodes of each, the last one first, and the value that it is of."""
    found = []
    for kernel in view.plan.kernels:
        if kernel.implementation == "gelu_spelt_out":
            nodes = [view.graph.nodes[index] for index in kernel.nodes]
            made = {tensor for node in nodes for tensor in node.outputs}
            read = {tensor for node in nodes for tensor in node.inputs if tensor >= 0}
            data = [tensor for tensor in read - made if not view.graph.tensors[tensor].constant]
            if len(data) == 1:
                found.append((nodes, data[0]))
    return found
