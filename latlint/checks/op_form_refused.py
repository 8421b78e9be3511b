"""An op that the GPU delegate knows, in a form or version that it refuses.

## What it does
Reports ops that the delegate has kernels for but refuses for the way in which they are written. Examples are a version above what it knows, a
SLICE with a shrink mask, a broadcast of both operands, SYMMETRIC padding, a depth multiplier, and a softmax with a beta.

## Why is this slow?
The op goes to the CPU and splits the model, where another way to write the same would not have.

## Example that fails
```text
# pixel-4/gpu
x = input 1x56x56x64
a = conv2d x 64 kernel=3 activation=relu
b = mirror_pad a pads=1 mode=symmetric -> 1x58x58x64
c = conv2d b 64 kernel=3 padding=valid activation=relu
d = conv2d c 64 kernel=3 activation=relu
```

## Example that passes
```text
# pixel-4/gpu
x = input 1x56x56x64
a = conv2d x 64 kernel=3 activation=relu
b = mirror_pad a pads=1 mode=reflect -> 1x58x58x64
c = conv2d b 64 kernel=3 padding=valid activation=relu
d = conv2d c 64 kernel=3 activation=relu
```

## How to fix
The message says what the delegate expects. For versions: convert with the converter of the TensorFlow release that ships the
delegate, or split a fused activation off the op.

## References
tensorflow/lite/tools/versioning/gpu_compatibility.cc; PINTO0309/onnx2tf #640 (TRANSPOSE_CONV version 4).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from latlint.checks._placement import advice, at_the_ends, brief, findings, mendable
from latlint.checks.integer_activations import on_integers
from latlint.checks.rank_above_four import rank
from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import view
from latlint.graph.types import Graph, Node
from latlint.runtime.reasons import Refusal
from latlint.whatif.edits import EditedGraph

if TYPE_CHECKING:
    from latlint.whatif.pricing import Edit

RULE = Rule("LAT208", "op-form-refused", "warning", ("offload",), "source", under=("LAT201",))

#: Other rules are about the rest.
_FUSED_TRANSPOSE_CONV = 4
_OF_FORM = ("LACKS_TENSOR", "VERSION", "COUNT", "ACTIVATION", "FORM", "COMPUTED", "HYBRID")


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    by_reason: dict[tuple[str, str, str], list[Node]] = {}
    for index, why in sorted(mendable(seen).items()):
        if index in at_the_ends(seen):
            continue
        node = seen.graph.nodes[index]
        if rank(seen, node) <= 4 and why.code in _OF_FORM and not on_integers(seen, node):
            by_reason.setdefault((node.native or node.kind, brief(why), _identity(why)), []).append(node)
    for (native, why_not, identity), nodes in by_reason.items():
        message = f"{seen.delegate} refuses {native} ×{len(nodes)} ({why_not})"
        label = f"LAT208 {native} {identity}"
        fused = [node for node in nodes if _stands_for_its_activation(node)]
        if len(fused) == len(nodes):
            fix, edit = "give its activation a node of its own, and an older version does", _unfused(fused)
            yield from findings(seen, RULE, nodes, message, fix, edit, label)
        else:
            fix = advice(node.kind for node in nodes) or "write it in the form that it takes"
            yield from findings(seen, RULE, nodes, message, fix, label=label)


def _stands_for_its_activation(node: Node) -> bool:
    """Whether the op has the version that it has for a fused activation (tensorflow/lite/tools/versioning/op_version.cc)."""
    fused = node.attributes.get("activation", "none") != "none"
    return node.kind == "transpose_conv2d" and node.version == _FUSED_TRANSPOSE_CONV and fused


def _unfused(nodes: Sequence[Node]) -> Edit:
    def edit(graph: Graph) -> Graph:
        draft = EditedGraph(graph)
        for node in nodes:
            activation, made = str(node.attributes["activation"]), node.outputs[0]
            before = draft.new_tensor(made, f"{node.name}/linear")
            draft.change(node, version=_FUSED_TRANSPOSE_CONV - 1, outputs=(before,))
            draft.attributes(node, activation="none")
            after = Node(node.index, f"{node.name}/{activation}", activation, activation.upper(), (before,), (made,))
            draft.add(node, after)
        return draft.graph()

    return edit


def _identity(why: Refusal) -> str:
    """The reason without the runtime's version, which a finding outlives."""
    return brief(why, "the GPU delegate")
