"""A scale or shift per channel after a convolution that could be part of its weights.

## What it does
Reports MUL, ADD, SUB and DIV by a constant per channel right after a convolution or fully connected layer, such as a batch normalisation that
was not folded, with what folding would buy.

## Why is this slow?
Scaled weights and a shifted bias give the same result for nothing. As ops of their own they read and write the tensor once more
each on the CPU. The GPU delegate folds them itself, unless the constant differs between pixels.

## Example that fails
```text
# pixel-4/cpu-1large
x = input 1x112x112x64
scale = const 64
shift = const 64
a = conv2d x 64 kernel=1
b = mul a scale
c = add b shift activation=relu
d = conv2d c 64 kernel=1
```

## Example that passes
```text
# pixel-4/cpu-1large
x = input 1x112x112x64
a = conv2d x 64 kernel=1 activation=relu
d = conv2d a 64 kernel=1
```

## How to fix
Export in inference mode (`model.eval()`, `training=False`), so that the exporter folds batch normalisation, or fold it by hand.

## References
tensorflow/lite/delegates/gpu/common/transformations/fuse_mul_to_conv.cc, fuse_add_to_conv.cc; onnxruntime/core/optimizer/conv_bn_fusion.cc.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks._patterns import per_channel
from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Graph, Node
from latlint.whatif.edits import EditedGraph

RULE = Rule("LAT307", "unfolded-batch-norm", "warning", (), "source")

_WORK = frozenset({"conv2d", "depthwise_conv2d", "transpose_conv2d", "fully_connected"})
_AFFINE = frozenset({"mul", "add", "sub", "div", "batch_norm"})


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = seen.shared(_tails)
    if not found:
        return

    def folded(graph: Graph) -> Graph:
        draft = EditedGraph(graph)
        for node, tail in found:
            for each in tail:
                draft.bypass(each, next(s for s, t in enumerate(each.inputs) if not graph.tensors[t].constant))
            draft.attributes(node, activation=tail[-1].attributes.get("activation", "none"))
        return draft.graph()

    nodes = [each for _, tail in found for each in tail]
    message = f"{len(nodes)} scales or shifts per channel follow {len(found)} convolutions or layers"
    gain = seen.gain("LAT307", folded)
    yield from seen.judge(RULE, message, nodes, fix="fold them into the weights and biases", gain=gain)


def _tails(view: View) -> list[tuple[Node, list[Node]]]:
    return [(node, tail) for node in view.graph.nodes if node.kind in _WORK and (tail := _tail(view, node))]


def _tail(view: View, node: Node) -> list[Node]:
    """The ops after ``node`` that only scale and shift its channels."""
    tail: list[Node] = []
    last = node
    while last.attributes.get("activation", "none") == "none":
        reader = view.sole_reader(last)
        if reader is None or reader.kind not in _AFFINE or not per_channel(view, reader):
            break
        if reader.kind == "div" and not view.tensor(reader.inputs[1]).constant:
            break
        tail.append(reader)
        last = reader
    return tail
