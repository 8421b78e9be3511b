"""A max pool is padded by PADV2, which the GPU delegate refuses.

## What it does
Reports PADV2 ops whose result a max pool reads: how converters write the padding of `MaxPool2d(3, stride=2, padding=1)`, with the
lowest float around the map. The gain is what the plain PAD, or a pool that pads for itself, would buy.

## Why is this slow?
PADV2 is no op of the GPU delegate up to TensorFlow Lite 2.10. It stands near the start of most networks, so the stem stays on the CPU
and the tensor is copied to the GPU after it.

## Example that fails
```text
# pixel-4/gpu
x = input 1x112x112x64
a = conv2d x 64 kernel=3 activation=relu
b = pad_v2 a pads=1
c = max_pool2d b kernel=3 stride=2
d = conv2d c 64 kernel=3 activation=relu
e = conv2d d 64 kernel=3 activation=relu
```

## Example that passes
```text
# pixel-4/gpu
x = input 1x112x112x64
a = conv2d x 64 kernel=3 activation=relu
b = pad a pads=1
c = max_pool2d b kernel=3 stride=2
d = conv2d c 64 kernel=3 activation=relu
e = conv2d d 64 kernel=3 activation=relu
```

## How to fix
After a ReLU nothing is below zero, so padding with zeros gives the same result: pad with zeros before the pool, or give the pool
SAME padding where its size allows.

## References
tensorflow/lite/tools/versioning/gpu_compatibility.cc; onnx2tf, MaxPool.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks._placement import findings, mendable
from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import view
from latlint.graph.types import Graph
from latlint.whatif.edits import EditedGraph

RULE = Rule("LAT202", "padded-max-pool", "warning", ("offload",), "source", under=("LAT201",))


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    pads = [
        node
        for node in (seen.graph.nodes[index] for index in sorted(mendable(seen)))
        if node.kind == "pad_v2" and any(reader.kind == "max_pool2d" for reader in seen.readers(node))
    ]
    if not pads:
        return

    def plain(graph: Graph) -> Graph:
        draft = EditedGraph(graph)
        for node in pads:
            draft.change(node, kind="pad", inputs=node.inputs[:2])
        return draft.graph()

    message = f"{seen.delegate} refuses PADV2, the padding of a max pool"
    yield from findings(seen, RULE, pads, message, "pad with zeros, which is the same after a ReLU", plain)
