"""A depthwise convolution with a large kernel, under XNNPACK.

## What it does
Reports depthwise convolutions with kernels of more than 25 weights, such as 7x7, on XNNPACK, with what 5x5 would buy.

## Why is this slow?
XNNPACK has depthwise kernels for up to 25 weights. A larger convolution becomes a matrix product for each channel, in which one column of eight is of
use: a 7x7 layer takes about six times as long as a 5x5 one, where its arithmetic is only twice as much. TensorFlow Lite's built-in kernels have no such step: there, a 7x7
layer takes 1.8 times as long as a 5x5 one, and on x86-64 XNNPACK was 2.6 times slower than they. In int8 the step is larger: on x86-64 with LiteRT 2.3,
a 7x7 layer took 25 times as long as a 5x5 one.

## Example that fails
```text
# pixel-4/cpu-1large@xnnpack
x = input 1x56x56x96
a = depthwise_conv2d x kernel=7
b = conv2d a 96 kernel=1
```

## Example that passes
```text
# pixel-4/cpu-1large@xnnpack
x = input 1x56x56x96
a = depthwise_conv2d x kernel=5
b = conv2d a 96 kernel=1
```

## How to fix
Design with 5x5 or smaller depthwise kernels for phones, or with 3x3 ones in two layers. ConvNeXt and other networks with 7x7 kernels may be faster with
XNNPACK switched off (`TfLiteInterpreterOptions`, `BuiltinOpResolverWithoutDefaultDelegates`): compare `@xnnpack` with the target without it.

## References
XNNPACK src/configs/dwconv-config.c (kernels of 3, 4, 9 and 25 weights), src/operators/convolution-nhwc.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import view
from latlint.graph.types import Graph
from latlint.whatif.edits import EditedGraph
from latlint.words import counted

RULE = Rule("LAT246", "large-depthwise", "warning", ("xnnpack",), "source")

_ONE_PASS = 25
_SIDE = 5


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    delegated = {
        index
        for kernel in seen.plan.kernels
        if seen.plan.partitions[kernel.partition].executor == "xnnpack"
        for index in kernel.nodes
    }
    found = [
        node
        for node in seen.graph.nodes
        if node.kind == "depthwise_conv2d"
        and len(node.attributes.get("kernel", ())) == 2
        and len(node.attributes.get("padding", (0, 0, 0, 0))) == 4
        and prod(node.attributes.get("kernel", ())) > _ONE_PASS
        and node.index in delegated
        and len(node.inputs) > 1
        and len(seen.shape(node.inputs[1])) == 4
    ]
    if not found:
        return

    def smaller(graph: Graph) -> Graph:
        draft = EditedGraph(graph)
        for node in found:
            kernel = tuple(min(side, _SIDE) for side in node.attributes["kernel"])
            padding = node.attributes.get("padding", (0, 0, 0, 0))
            # what the kernel loses, the padding does: the map keeps its size
            lost = [side - kept for side, kept in zip(node.attributes["kernel"], kernel, strict=True) for _ in range(2)]
            padding = tuple(max(pad - less // 2, 0) for pad, less in zip(padding, lost, strict=True))
            draft.attributes(node, kernel=kernel, padding=padding)
            filters = graph.tensors[node.inputs[1]].shape or ()
            draft.tensor(node.inputs[1], shape=(filters[0], *kernel, filters[3]))
        return draft.graph()

    sizes = sorted({"x".join(map(str, node.attributes["kernel"])) for node in found})
    message = f"{counted(len(found), 'depthwise convolution')} of {', '.join(sizes)}, which {seen.delegate} computes as matrix products"
    yield from seen.judge(RULE, message, found, fix="use 5x5 or smaller ones", gain=seen.gain("LAT246", smaller))
