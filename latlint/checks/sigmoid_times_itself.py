"""SiLU (swish) as SIGMOID and MUL, a pass of its own over the tensor.

## What it does
Reports `x * sigmoid(x)`, with what HARD_SWISH, one op, would buy on the target.

## Why is this slow?
The convolution's result has two readers, so nothing is linked to it: it is written to memory, read by a kernel that computes the
sigmoid, and read again for the product. On a CPU both ops are passes over memory on one thread. Delegates from about 2.11 on merge the two.

## Example that fails
```text
# pixel-4/gpu
x = input 1x112x112x64
a = conv2d x 64 kernel=1
b = sigmoid a
c = mul a b
d = conv2d c 64 kernel=1
```

## Example that passes
```text
# pixel-4/gpu
x = input 1x112x112x64
a = conv2d x 64 kernel=1
c = hard_swish a
d = conv2d c 64 kernel=1
```

## How to fix
Train with hard-swish, or fine-tune after the exchange: it was made as the cheap stand-in for swish (MobileNetV3).

## References
tensorflow/lite/delegates/gpu/common/gpu_model.cc (`MergeNodes`); lite/kernels/activations.cc; arXiv:1905.02244.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks._patterns import sigmoid_times_itself
from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import view
from latlint.graph.types import Graph
from latlint.whatif.edits import EditedGraph

RULE = Rule("LAT223", "sigmoid-times-itself", "warning", (), "source")


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = seen.shared(sigmoid_times_itself)
    if not found:
        return

    def swapped(graph: Graph) -> Graph:
        draft = EditedGraph(graph)
        for product, _, source in found:
            draft.change(product, kind="hard_swish", inputs=(source,))
        return draft.graph()

    message = f"SiLU ×{len(found)} as SIGMOID and MUL is a pass of its own over each tensor"
    nodes = [node for product, gate, _ in found for node in (gate, product)]
    yield from seen.judge(RULE, message, nodes, fix="use hard-swish", gain=seen.gain("LAT223", swapped))
