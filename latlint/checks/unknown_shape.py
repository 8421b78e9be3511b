"""A shape is only known at run time, so no delegate can take the op.

## What it does
Reports ops on a GPU target whose tensors have a dimension that the file leaves open.

## Why is this slow?
The GPU delegate compiles kernels for fixed sizes when the model is loaded. It refuses ops whose sizes it cannot see, and these
stay on the CPU. A graph kept general by an exporter also carries the arithmetic that computes shapes (SHAPE, PACK, STRIDED_SLICE).

## Example that fails
```text
# pixel-4/gpu
x = input ?x56x56x64
a = conv2d x 64 kernel=3 activation=relu -> ?x56x56x64
b = conv2d a 64 kernel=3 activation=relu -> ?x56x56x64
```

## Example that passes
```text
# pixel-4/gpu
x = input 1x56x56x64
a = conv2d x 64 kernel=3 activation=relu
b = conv2d a 64 kernel=3 activation=relu
```

## How to fix
Export with a fixed batch and image size: `tf.keras.Input(shape, batch_size=1)`, `torch.onnx.export` without `dynamic_axes`, or
`-b 1` of onnx2tf.

## References
tensorflow/lite/delegates/gpu/common/model_builder.cc; tensorflow/tensorflow #38036, #48199, #58746, #63142.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks._placement import findings, mendable
from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import view
from latlint.graph.types import Graph
from latlint.whatif.edits import EditedGraph
from latlint.words import counted

RULE = Rule("LAT207", "unknown-shape", "warning", ("offload",), "source", under=("LAT201",))


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = [seen.graph.nodes[index] for index, why in sorted(mendable(seen).items()) if why.code == "OPEN_SHAPE"]
    if not found:
        return

    def fixed(graph: Graph) -> Graph | None:
        if any(tensor.shape is None for tensor in graph.tensors):
            return None
        draft = EditedGraph(graph)
        for index, tensor in enumerate(graph.tensors):
            draft.tensor(index, shape=tuple(abs(dim) for dim in tensor.shape or ()))
        return draft.graph()

    one = len(found) == 1
    message = f"{counted(len(found), 'op')} {'has' if one else 'have'} sizes that are only known at run time and {'stays' if one else 'stay'} on the CPU"
    yield from findings(seen, RULE, found, message, "export with fixed shapes (batch 1)", fixed)
