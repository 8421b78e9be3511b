"""Values that do not depend on the input are computed at every inference.

## What it does
Reports ops whose inputs are all constants, directly or through other such ops, and SHAPE of tensors whose shape is in the file; with
what folding them would buy.

## Why is this slow?
Each is a call or a launch, and on a GPU they are refused, since nothing in them is computed at run time or they work on integers.
Exporters leave them behind for shapes, position grids and masks.

## Example that fails
```text
# pixel-4/cpu-1large
x = input 1x112x112x64
k = const 1x112x112x64
a = elu k
b = tanh a
c = add x b
d = conv2d c 64 kernel=1
```

## Example that passes
```text
# pixel-4/cpu-1large
x = input 1x112x112x64
k = const 1x112x112x64
c = add x k
d = conv2d c 64 kernel=1
```

## How to fix
Run a simplifier with fixed input shapes (onnxsim, the converter's own folding with `batch_size=1`), or compute the constant before
export.

## References
tensorflow/lite/core/subgraph.cc folds nothing; onnxruntime folds at level 1 (core/optimizer/constant_folding.cc).
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Graph, Node
from latlint.runtime.planners import takes_native
from latlint.whatif.edits import EditedGraph
from latlint.words import counted

RULE = Rule("LAT308", "constant-arithmetic", "warning", (), "source")

#: What unpacks weights is kept so on purpose.
_KEPT = frozenset({"dequantize", "densify", "random", "unknown", "call", "if", "while"})

_SIZES = frozenset({"shape", "size", "rank"})


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = seen.shared(_foldable)
    if not found or _folded_already(seen, found):
        return

    def folded(graph: Graph) -> Graph:
        draft = EditedGraph(graph)
        for node in found:
            del draft.nodes[node.index]
            for index in node.outputs:
                draft.tensor(index, constant=True)
        return draft.graph()

    message, fix = f"{counted(len(found), 'op')} computed from constants alone", "fold them"
    if any(node.kind in _SIZES for node in found):
        message, fix = (
            f"{counted(len(found), 'op')} computed from sizes that a phone never changes",
            "export with fixed sizes",
        )
    yield from seen.judge(RULE, message, found, fix=fix, gain=seen.gain("LAT308", folded))


def _folded_already(view: View, found: list[Node]) -> bool:
    """Whether a runtime that rewrites graphs has folded all of them: the plan of the graph without them is that of this one."""
    if not takes_native(view.subject.target.processor):
        return False
    costly = {node for kernel in view.plan.kernels if not kernel.free for node in kernel.nodes}
    return costly.isdisjoint(node.index for node in found)


def _foldable(view: View) -> list[Node]:
    known: set[int] = set()
    found = []
    for node in view.graph.nodes:
        if node.kind in _KEPT or not node.inputs:
            continue
        static = all(index < 0 or view.tensor(index).constant or index in known for index in node.inputs)
        sized = node.kind in _SIZES and view.tensor(node.inputs[0]).elements is not None
        if (static or sized) and view.scene.outputs.isdisjoint(node.outputs):
            known.update(node.outputs)
            found.append(node)
    return found
