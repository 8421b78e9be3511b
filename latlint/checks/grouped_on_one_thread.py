"""A grouped convolution on the CPU's reference kernel, which has one thread and no vector code.

## What it does
Reports grouped (not depthwise) convolutions on TensorFlow Lite's built-in CPU kernels, with what the faster of two ways to write them would buy:
one convolution without groups, or SPLIT, a convolution for each group, and CONCAT. The latter pays with the built-in kernels alone: on a GPU
and under XNNPACK it is slower, much so on a GPU.

## Why is this slow?
The built-in kernels have no optimised grouped convolution: `conv.cc` hands groups other than 1 to the reference kernel, nested loops on
one thread. Even with many times the arithmetic, a matrix product is often faster.

## Example that fails
```text
# pixel-4/cpu-1large
x = input 1x28x28x128
a = conv2d x 128 kernel=3 groups=32 activation=relu
b = conv2d a 128 kernel=1
```

## Example that passes
```text
# pixel-4/cpu-1large
x = input 1x28x28x128
a = depthwise_conv2d x kernel=3 activation=relu
b = conv2d a 128 kernel=1
```

## How to fix
Use few, wide groups, a depthwise convolution followed by a 1x1 convolution, or none; or run with XNNPACK, which has grouped kernels.

## References
tensorflow/lite/kernels/conv.cc (`EvalFloat`), internal/reference/conv.h; tensorflow/tensorflow #40044.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import MappingProxyType

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Graph, Node
from latlint.whatif.edits import EditedGraph
from latlint.words import counted

RULE = Rule("LAT240", "grouped-on-one-thread", "warning", ("builtin",), "measured")


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = [
        seen.graph.nodes[kernel.nodes[0]]
        for kernel in seen.plan.kernels
        if kernel.implementation == "conv_grouped_reference" and _is_whole(seen, seen.graph.nodes[kernel.nodes[0]])
    ]
    if not found:
        return
    dense = seen.gain("LAT240 dense", lambda graph: _dense(graph, found))
    split = seen.gain("LAT240 split", lambda graph: _split(graph, found))
    gains = {fix: gain for fix, gain in ((_DENSE, dense), (_SPLIT, split)) if gain is not None}
    fix = max(gains, key=lambda each: gains[each].ms, default=_DENSE)
    message = f"{counted(len(found), 'grouped convolution')} {'runs' if len(found) == 1 else 'run'} on the reference kernel, which has one thread"
    yield from seen.judge(RULE, message, found, fix=fix, gain=gains.get(fix))


def _is_whole(view: View, node: Node) -> bool:
    """Whether shapes and weights are there to be cut."""
    shapes = [view.shape(index) for index in (*node.inputs[:2], *node.outputs)]
    return len(shapes) == 3 and all(len(shape) == 4 and min(shape) > 0 for shape in shapes)


_DENSE = "drop the groups"
_SPLIT = "write SPLIT, a convolution for each group, and CONCAT (for this runtime alone: on a GPU and under XNNPACK that is slower)"
#: Nobody writes more convolutions than this instead of grouped ones; a file may name any number of groups.
_MOST_PIECES = 4096


def _dense(graph: Graph, nodes: Sequence[Node]) -> Graph:
    draft = EditedGraph(graph)
    for node in nodes:
        filters = graph.tensors[node.inputs[1]].shape or ()
        draft.attributes(node, groups=1)
        draft.tensor(node.inputs[1], shape=(*filters[:-1], filters[-1] * int(node.attributes["groups"])))
    return draft.graph()


def _split(graph: Graph, nodes: Sequence[Node]) -> Graph | None:
    if sum(int(node.attributes["groups"]) for node in nodes) > _MOST_PIECES:
        return None
    draft = EditedGraph(graph)
    for node in nodes:
        _split_one(draft, node, int(node.attributes["groups"]))
    return draft.graph()


def _split_one(draft: EditedGraph, node: Node, groups: int) -> None:
    data, weights, output = node.inputs[0], node.inputs[1], node.outputs[0]
    shapes = {index: draft.tensors[index].shape or () for index in (data, weights, output)}

    def part(like: int, first: bool = False) -> int:
        shape = shapes[like]
        cut = (shape[0] // groups, *shape[1:]) if first else (*shape[:-1], shape[-1] // groups)
        return draft.new_tensor(like, f"{node.name}/part", shape=cut)

    pieces = tuple(part(data) for _ in range(groups))
    results = tuple(part(output) for _ in range(groups))
    axis = MappingProxyType({"axis": len(shapes[data]) - 1})
    split = Node(node.index, f"{node.name}/split", "split", "SPLIT", (data,), pieces, axis)
    draft.add(node, split)
    for piece, result in zip(pieces, results, strict=True):
        attributes = MappingProxyType({**node.attributes, "groups": 1})
        inputs = (piece, part(weights, first=True), *node.inputs[2:])
        draft.add(node, Node(node.index, node.name, "conv2d", node.native, inputs, (result,), attributes))
    joined = MappingProxyType({**axis, "activation": "none"})
    draft.add(node, Node(node.index, f"{node.name}/concat", "concat", "CONCATENATION", results, (output,), joined))
    del draft.nodes[node.index]
