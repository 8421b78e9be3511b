"""An activation function that takes a pass of its own on the CPU, where ReLU6 would be free.

## What it does
Reports activation functions on the CPU that no kernel absorbs (hard-swish, GELU, ELU, tanh, PReLU, … and a ReLU that was not fused), with
what ReLU or ReLU6 fused into the op before them would buy. For a ReLU or ReLU6 that could have been fused and was not, the fix is to convert
the model again.

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
from collections.abc import Iterator, Sequence
from math import prod

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.ops import CONVOLUTIONS
from latlint.graph.types import Graph, Node
from latlint.whatif.edits import EditedGraph

RULE = Rule("LAT242", "costly-activation", "warning", ("host",), "measured")

_ACTIVATIONS = frozenset("hard_swish gelu elu leaky_relu prelu relu relu6 tanh softplus mish hard_sigmoid".split())
#: What the kernels of convolutions, products and additions clamp to as they store their results.
_FUSED = frozenset({"relu", "relu6"})
_ABSORBS = CONVOLUTIONS | {"fully_connected", "add"}
#: Arithmetic clamps as well. Another activation behind it is mostly part of what it computes.
_CLAMPS = frozenset({"sub", "mul", "div"})


#: An activation, and the op before it.
_Pair = tuple[Node, Node]


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    alone = {kernel.nodes[0] for kernel in seen.plan.kernels if not kernel.free}
    found = [
        (node, before)
        for node in seen.graph.nodes
        if node.index in alone and (before := _absorber(seen, node)) is not None
    ]
    yield from _unfused(seen, [pair for pair in found if pair[0].kind in _FUSED])
    yield from _costly(seen, [pair for pair in found if pair[0].kind not in _FUSED])


def _unfused(view: View, found: Sequence[_Pair]) -> Iterator[Finding]:
    """Clamps that every converter can fuse into the op before them."""
    if not found:
        return
    counts = Counter(f"{_called(node)} behind {_called(before)}" for node, before in found)
    message = f"{_listed(counts)}: not fused, so a pass of its own over each tensor on the CPU"
    fix = "convert the model again, with an activation that the converter fuses"
    gain = view.gain("LAT242 unfused", lambda graph: _merged(graph, found))
    yield from view.judge(RULE, message, [node for node, _ in found], fix=fix, gain=gain, identity=("unfused",))


def _costly(view: View, found: Sequence[_Pair]) -> Iterator[Finding]:
    """Activations that no kernel can do for the op before them."""
    if not found:
        return
    message = f"{_listed(Counter(_called(node) for node, _ in found))}: a pass of its own over each tensor on the CPU"
    gain = view.gain("LAT242", lambda graph: _merged(graph, found))
    yield from view.judge(RULE, message, [node for node, _ in found], fix="ReLU6 is fused at no cost", gain=gain)


def _merged(graph: Graph, pairs: Sequence[_Pair]) -> Graph:
    draft = EditedGraph(graph)
    for node, before in pairs:
        draft.bypass(node)
        draft.attributes(before, activation=node.kind if node.kind in _FUSED else "relu6")
    return draft.graph()


def _called(node: Node) -> str:
    return node.native or node.kind


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} ×{count}" for name, count in counts.most_common(3))


def _absorber(view: View, node: Node) -> Node | None:
    """The op before an activation of a map, which could clamp for it."""
    if node.kind not in _ACTIVATIONS or prod(view.shape(node.outputs[0])[:-1]) <= 1:
        return None
    before = view.source(node)
    absorbs = _ABSORBS | _CLAMPS if node.kind in _FUSED else _ABSORBS
    if before is None or before.kind not in absorbs or view.sole_reader(before) is not node:
        return None
    return before if before.attributes.get("activation", "none") == "none" else None
