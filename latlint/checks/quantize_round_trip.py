"""Values are dequantised and quantised again with nothing in between.

## What it does
Reports pairs of QUANTIZE and DEQUANTIZE that lead back to the type that they came from, with what removing both would buy.

## Why is this slow?
Each is a pass over the tensor. Such pairs are left where a model was stitched together from parts, or where an exporter put
quantisation around an op that vanished.

## Example that fails
```text
# pixel-4/cpu-1large
x = input 1x112x112x64 int8
a = conv2d x 64 kernel=1
b = dequantize a -> 1x112x112x64 float32
c = quantize b -> 1x112x112x64 int8
d = conv2d c 64 kernel=1
```

## Example that passes
```text
# pixel-4/cpu-1large
x = input 1x112x112x64 int8
a = conv2d x 64 kernel=1
d = conv2d a 64 kernel=1
```

## How to fix
Quantise the model in one piece, or join the parts before quantisation; give both sides of a seam the same scale and zero point.

## References
tensorflow/lite/kernels/quantize.cc, dequantize.cc.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import view
from latlint.graph.types import Node
from latlint.whatif.edits import without

RULE = Rule("LAT302", "quantize-round-trip", "warning", (), "source")

_OTHER = {"quantize": "dequantize", "dequantize": "quantize"}


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found: list[tuple[Node, Node]] = []
    last: set[int] = set()
    for node in seen.graph.nodes:
        if node.kind not in _OTHER or node.index in last or seen.runtime_inputs(node) != [*node.inputs]:
            continue
        after = seen.sole_reader(node)
        if after is not None and after.kind == _OTHER[node.kind] and after.index not in last:
            before, result = seen.tensor(node.inputs[0]), seen.tensor(after.outputs[0])
            if before.dtype == result.dtype:
                found.append((node, after))
                last.add(after.index)
    if not found:
        return

    nodes = [node for pair in found for node in pair]
    message = f"{len(found)} pairs of QUANTIZE and DEQUANTIZE lead nowhere"
    yield from seen.judge(
        RULE, message, nodes, fix="remove both", gain=seen.gain("LAT302", without([(node, 0) for node in nodes]))
    )
