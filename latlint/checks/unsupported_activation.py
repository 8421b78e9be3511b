"""An activation function that the GPU delegate does not know.

## What it does
Reports GELU and other activation functions that the delegate refuses. The gain is what HARD_SWISH in their place would buy.

## Why is this slow?
One refused activation in the middle of a network splits it in two, of which only one half runs on the GPU. GELU is taken by the GPU
accelerator of LiteRT 2.2, not by the delegate of TensorFlow Lite 2.10.

## Example that fails
```text
# pixel-4/gpu
x = input 1x56x56x64
a = conv2d x 64 kernel=3
b = gelu a
c = conv2d b 64 kernel=3 activation=relu
d = conv2d c 64 kernel=3 activation=relu
```

## Example that passes
```text
# pixel-4/gpu
x = input 1x56x56x64
a = conv2d x 64 kernel=3
b = hard_swish a
c = conv2d b 64 kernel=3 activation=relu
d = conv2d c 64 kernel=3 activation=relu
```

## How to fix
Train with hard-swish, ReLU6 or another activation that the delegate links to the convolution before it at no cost; or write GELU as
`x * sigmoid(1.702 * x)`, which it takes.

## References
tensorflow/lite/tools/versioning/gpu_compatibility.cc; leondgarse/keras_cv_attention_models #137.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks._placement import findings, mendable, newer_takes
from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import view
from latlint.graph.types import Graph
from latlint.whatif.edits import EditedGraph

RULE = Rule("LAT203", "unsupported-activation", "warning", ("offload",), "source", under=("LAT201",))

_ACTIVATIONS = frozenset("gelu erf hard_sigmoid softplus softsign mish clip relu_0_to_1".split())


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = [seen.graph.nodes[index] for index in sorted(mendable(seen))]
    found = [node for node in found if node.kind in _ACTIVATIONS]
    if not found:
        return

    def swapped(graph: Graph) -> Graph:
        draft = EditedGraph(graph)
        for node in found:
            draft.change(node, kind="hard_swish", inputs=node.inputs[:1])
        return draft.graph()

    kinds = " and ".join(sorted({node.native or node.kind for node in found}))
    message = f"{seen.delegate} refuses {kinds} ×{len(found)}"
    newer = newer_takes(seen, "GELU") if all(node.kind == "gelu" for node in found) else ""
    yield from findings(seen, RULE, found, message, f"use hard-swish or ReLU6 instead{newer}", swapped)
