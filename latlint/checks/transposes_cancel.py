"""Two transposes undo each other.

## What it does
Reports pairs of TRANSPOSE ops with nothing but elementwise ops and padding between them whose permutations cancel, with what removing both would buy.

## Why is this slow?
A transpose gathers values one by one, on one thread on the CPU and in a scalar kernel on the GPU, and nothing is fused through it.
Converters from channels-first frameworks wrap ops in such pairs and do not always clean up.

## Example that fails
```text
# pixel-4/gpu
x = input 1x112x112x64
a = conv2d x 64 kernel=1
b = transpose a permutation=0,3,1,2
c = elu b
d = transpose c permutation=0,2,3,1
e = conv2d d 64 kernel=1
```

## Example that passes
```text
# pixel-4/gpu
x = input 1x112x112x64
a = conv2d x 64 kernel=1
c = elu a
e = conv2d c 64 kernel=1
```

## How to fix
Use a converter that plans the layout as a whole (onnx2tf rather than onnx-tf), or write the op in the layout of its neighbours.

## References
onnx/onnx-tensorflow #782, #921 (5 and 10 times slower); tensorflow/lite/delegates/gpu/common/tasks/transpose.cc.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.ops import UNARY
from latlint.graph.types import Graph, Node
from latlint.whatif.edits import EditedGraph

RULE = Rule("LAT301", "transposes-cancel", "warning", (), "reported")


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = [chain for node in seen.graph.nodes if node.kind == "transpose" and (chain := _chain(seen, node))]
    if not found:
        return

    def without(graph: Graph) -> Graph:
        draft = EditedGraph(graph)
        for first, *between, last in found:
            order = first.attributes["permutation"]
            for node in between:
                draft.tensor(node.outputs[0], shape=_undone(graph.tensors[node.outputs[0]].shape or (), order))
                if node.kind == "pad":
                    draft.attributes(node, pads=_undone(node.attributes["pads"], order))
            draft.bypass(first)
            draft.bypass(last)
        return draft.graph()

    nodes = [node for chain in found for node in (chain[0], chain[-1])]
    message = f"{len(found)} pairs of TRANSPOSE cancel" if len(found) > 1 else "a pair of TRANSPOSE cancels"
    yield from seen.judge(RULE, message, nodes, fix="remove both", gain=seen.gain("LAT301", without))


def _undone(dims: Sequence[Any], order: Sequence[int]) -> tuple[Any, ...]:
    """``dims`` in the order of axes before ``order`` was applied."""
    return tuple(dims[order.index(axis)] for axis in range(len(order))) if len(dims) == len(order) else tuple(dims)


def _chain(view: View, first: Node) -> list[Node]:
    """From one transpose to the one that undoes it; empty where there is none."""
    chain = [first]
    order = first.attributes.get("permutation") if first.inputs else None
    node = view.sole_reader(first)
    while order is not None and node is not None and len(view.runtime_inputs(node)) == 1:
        chain.append(node)
        if node.kind == "transpose":
            back = node.attributes.get("permutation")
            undone = back is not None and [order[i] for i in back] == list(range(len(order)))
            return chain if undone else []
        pads = node.kind == "pad" and len(node.attributes.get("pads") or ()) == len(order)
        if not pads and (node.kind not in UNARY or len(node.inputs) > 1):
            return []
        node = view.sole_reader(node)
    return []
