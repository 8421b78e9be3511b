"""Ops are computed whose result nobody reads.

## What it does
Reports ops from which no output of the model is reached, with what removing them would buy.

## Why is this slow?
TensorFlow Lite runs every op of the file, in order, whether or not its result is used. Branches for training (auxiliary heads,
losses, statistics) are left in when a model is cut by hand or exported with the wrong outputs.

## Example that fails
```text
# pixel-4/cpu-1large
x = input 1x56x56x64
a = conv2d x 64 kernel=3 activation=relu
b = conv2d a 64 kernel=3 activation=relu
c = conv2d a 64 kernel=3
output c
```

## Example that passes
```text
# pixel-4/cpu-1large
x = input 1x56x56x64
a = conv2d x 64 kernel=3 activation=relu
c = conv2d a 64 kernel=3
output c
```

## How to fix
Export with the outputs that the app reads, and let a simplifier prune what they do not need.

## References
tensorflow/lite/core/subgraph.cc (`Invoke` runs the whole execution plan).
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Graph, Node
from latlint.whatif.edits import EditedGraph, dead_nodes
from latlint.words import counted

RULE = Rule("LAT304", "dead-branch", "warning", (), "source")


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = seen.shared(_dead)
    if not found or len(found) == len(seen.graph.nodes):
        return

    def without(graph: Graph) -> Graph:
        draft = EditedGraph(graph)
        for node in found:
            del draft.nodes[node.index]
        return draft.graph()

    message = f"no output is computed from {counted(len(found), 'op')}"
    yield from seen.judge(RULE, message, found, fix="remove them", gain=seen.gain("LAT304", without))


def _dead(view: View) -> list[Node]:
    if view.graph.dialect != "tflite" or view.graph.origins:
        return []
    return [view.graph.nodes[index] for index in sorted(dead_nodes(view.graph))]
