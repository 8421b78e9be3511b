"""The same op runs twice on the same inputs.

## What it does
Reports ops that compute what another op has computed: the same kind, attributes, constants and inputs; with what computing it once
would buy.

## Why is this slow?
Runtimes for phones do not look for common subexpressions. Weights count as the same when they are the same tensor of the file.

## Example that fails
```text
# pixel-4/cpu-1large
x = input 1x112x112x64
a = conv2d x 64 kernel=1
b = sigmoid a
c = sigmoid a
d = mul a b
e = add d c
f = conv2d e 64 kernel=1
```

## Example that passes
```text
# pixel-4/cpu-1large
x = input 1x112x112x64
a = conv2d x 64 kernel=1
b = sigmoid a
d = mul a b
e = add d b
f = conv2d e 64 kernel=1
```

## How to fix
Compute it once in the model's code and use it twice; most graph simplifiers do it too.

## References
tensorflow/lite/core/subgraph.cc (`Invoke`).
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Graph, Node
from latlint.whatif.edits import EditedGraph
from latlint.words import counted

RULE = Rule("LAT305", "duplicate-branch", "warning", (), "source")

_RANDOM = frozenset({"random", "unknown", "call", "if", "while"})


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = seen.shared(_duplicates)
    if not found:
        return

    def once(graph: Graph) -> Graph:
        draft = EditedGraph(graph)
        for node, first in found:
            for mine, theirs in zip(node.outputs, first.outputs, strict=True):
                draft.read_instead(mine, theirs)
        return draft.graph()

    message = f"{counted(len(found), 'op')} computed a second time"
    nodes = [node for node, _ in found]
    yield from seen.judge(RULE, message, nodes, fix="use the first result", gain=seen.gain("LAT305", once))


def _duplicates(view: View) -> list[tuple[Node, Node]]:
    """Every op that repeats an earlier one, and that one."""
    same: dict[int, int] = {}
    first: dict[tuple[object, ...], Node] = {}
    found = []
    origins = view.graph.origins
    for node in view.graph.nodes:
        if node.kind in _RANDOM or not view.runtime_inputs(node) or not view.scene.outputs.isdisjoint(node.outputs):
            continue
        inputs = tuple(same.get(index, index) for index in node.inputs)
        formats = tuple((view.tensor(index).dtype, view.tensor(index).quantization) for index in node.outputs)
        key = (node.kind, node.native, inputs, formats, repr(sorted(node.attributes.items())))
        earlier = first.setdefault(key, node)
        if earlier is not node:
            same.update(zip(node.outputs, earlier.outputs, strict=True))
            if not origins or origins[node.index]:  # what the conversion added is in nobody's file
                found.append((node, earlier))
    return found
