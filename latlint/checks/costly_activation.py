"""An activation function that takes a pass of its own on the CPU, where ReLU6 would be free.

## What it does
Reports activation functions on the CPU that no kernel absorbs (hard-swish, GELU, ELU, tanh, PReLU, … and a ReLU that was not fused), with
what ReLU or ReLU6 fused into the op before them would buy.

## Why is this slow?
CPU kernels clamp a result before they store it, so ReLU and ReLU6 cost nothing. Every other activation reads the tensor again and
writes it again, on one thread in the built-in kernels, and those with an exponential take tens of cycles a value.

## Example that fails
```text
# pixel-4/cpu-1large
x = input 1x112x112x64
a = conv2d x 64 kernel=1
b = hard_swish a
c = conv2d b 64 kernel=1
```

## Example that passes
```text
# pixel-4/cpu-1large
x = input 1x112x112x64
a = conv2d x 64 kernel=1 activation=relu6
c = conv2d a 64 kernel=1
```

## How to fix
Train with ReLU or ReLU6, at least in the early layers, where maps are large; MobileNetV3 uses hard-swish only in its second half.

## References
tensorflow/lite/kernels/activations.cc; XNNPACK/src/subgraph.c fuses clamps only; arXiv:1905.02244, section 5.2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import prod

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.ops import CONVOLUTIONS
from latlint.graph.types import Graph, Node
from latlint.whatif.edits import EditedGraph

RULE = Rule("LAT242", "costly-activation", "warning", ("host",), "measured")

_ACTIVATIONS = frozenset("hard_swish gelu elu leaky_relu prelu relu relu6 tanh softplus mish hard_sigmoid".split())
_ABSORBS = CONVOLUTIONS | {"fully_connected", "add"}


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    alone = {kernel.nodes[0] for kernel in seen.plan.kernels if not kernel.free}
    found = [
        (node, before)
        for node in seen.graph.nodes
        if node.index in alone and (before := _absorber(seen, node)) is not None
    ]
    if not found:
        return

    def fused(graph: Graph) -> Graph:
        draft = EditedGraph(graph)
        for node, before in found:
            draft.bypass(node)
            draft.attributes(before, activation="relu6")
        return draft.graph()

    counts = Counter(node.native or node.kind for node, _ in found)
    named = ", ".join(f"{name} ×{count}" for name, count in counts.most_common(3))
    message = f"{named}: a pass of its own over each tensor on the CPU"
    gain = seen.gain("LAT242", fused)
    yield from seen.judge(RULE, message, [node for node, _ in found], fix="ReLU6 is fused at no cost", gain=gain)


def _absorber(view: View, node: Node) -> Node | None:
    """The op before an activation of a map, which could clamp for it."""
    if node.kind not in _ACTIVATIONS or prod(view.shape(node.outputs[0])[:-1]) <= 1:
        return None
    before = view.source(node)
    if before is None or before.kind not in _ABSORBS or view.sole_reader(before) is not node:
        return None
    return before if before.attributes.get("activation", "none") == "none" else None
