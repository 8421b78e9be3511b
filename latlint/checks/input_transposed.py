"""The model's first op transposes its input.

## What it does
Reports models that transpose an input before they use it, most often from channels first to channels last, with what feeding it in the right
order would buy.

## Why is this slow?
The transpose copies the whole image value by value, at full resolution. The app can deliver the other order for nothing: it fills
the input tensor anyway.

## Example that fails
```text
# pixel-4/cpu-1large
x = input 1x3x224x224
a = transpose x permutation=0,2,3,1
b = conv2d a 32 kernel=3 stride=2 activation=relu
```

## Example that passes
```text
# pixel-4/cpu-1large
x = input 1x224x224x3
b = conv2d x 32 kernel=3 stride=2 activation=relu
```

## How to fix
Convert with channels-last inputs: onnx2tf does so by default (`-kat` keeps them); for others cut the op off and feed NHWC.

## References
tensorflow/lite/kernels/transpose.cc; onnx/onnx-tensorflow #782.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Graph, Node
from latlint.whatif.edits import EditedGraph

RULE = Rule("LAT309", "input-transposed", "warning", (), "reported")


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = seen.shared(_first)
    if not found:
        return

    def fed_so(graph: Graph) -> Graph:
        draft = EditedGraph(graph)
        for node in found:
            draft.tensor(node.inputs[0], shape=graph.tensors[node.outputs[0]].shape)
            draft.bypass(node)
        return draft.graph()

    shapes = ", ".join("x".join(map(str, seen.shape(node.inputs[0]))) for node in found)
    message = f"an input of {shapes} is transposed first"
    yield from seen.judge(
        RULE, message, found, fix="feed it in the order it is used", gain=seen.gain("LAT309", fed_so, everywhere=True)
    )


def _first(view: View) -> list[Node]:
    """The transposes that alone read an input."""
    return [
        node
        for node in view.graph.nodes
        if node.kind == "transpose"
        and node.inputs[:1]
        and node.inputs[0] in view.graph.inputs
        and len(view.scene.uses.get(node.inputs[0], ())) == 1
        and view.shape(node.inputs[0])
    ]
