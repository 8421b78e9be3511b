"""An op that the GPU delegate knows, in a form or version that it refuses.

## What it does
Reports ops of kinds that the delegate has kernels for, but that it refuses for how they are written: a version above what it knows, a
SLICE with a shrink mask, a broadcast of both operands, SYMMETRIC padding, a depth multiplier, a softmax with a beta.

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

from collections.abc import Iterator

from latlint.checks._placement import brief, findings, refused
from latlint.checks.integer_activations import on_integers
from latlint.checks.rank_above_four import rank
from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import view
from latlint.graph.types import Node
from latlint.runtime.reasons import Refusal

RULE = Rule("LAT208", "op-form-refused", "warning", ("offload",), "source")

#: Other rules are about the rest.
_OF_FORM = ("LACKS_TENSOR", "VERSION", "COUNT", "ACTIVATION", "FORM", "COMPUTED", "HYBRID")


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    by_reason: dict[tuple[str, str, str], list[Node]] = {}
    for index, why in sorted(refused(seen).items()):
        node = seen.graph.nodes[index]
        if rank(seen, node) <= 4 and why.code in _OF_FORM and not on_integers(seen, node):
            by_reason.setdefault((node.native or node.kind, brief(why), _identity(why)), []).append(node)
    for (native, why_not, identity), nodes in by_reason.items():
        message = f"{seen.delegate} refuses {native} ×{len(nodes)} ({why_not})"
        label = f"LAT208 {native} {identity}"
        yield from findings(seen, RULE, nodes, message, "write it in the form that it takes", label=label)


def _identity(why: Refusal) -> str:
    """The reason without the runtime's version, which a finding outlives."""
    return brief(why, "the GPU delegate")
