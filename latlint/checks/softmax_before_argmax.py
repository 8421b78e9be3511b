"""A softmax is computed only to find its largest value.

## What it does
Reports a SOFTMAX or sigmoid whose only reader is ARG_MAX, with what leaving it out would buy.

## Why is this slow?
Softmax and sigmoid keep the order, so the position of the largest value is the same without them. For a segmentation map that is an
exponential for every class of every pixel.

## Example that fails
```text
# pixel-4/cpu-1large
x = input 1x112x112x21
a = conv2d x 21 kernel=1
b = softmax a axis=3
c = arg_max b axis=3 -> 1x112x112 int64
```

## Example that passes
```text
# pixel-4/cpu-1large
x = input 1x112x112x21
a = conv2d x 21 kernel=1
c = arg_max a axis=3 -> 1x112x112 int64
```

## How to fix
Export a model for inference without the last activation where only the class is wanted.

## References
tensorflow/lite/kernels/activations.cc (`SoftmaxEval`), arg_min_max.cc.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import view
from latlint.graph.types import Node
from latlint.whatif.edits import without

RULE = Rule("LAT312", "softmax-before-argmax", "warning", (), "source")


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found: list[Node] = []
    for node in seen.graph.nodes:
        reader = seen.sole_reader(node) if node.kind in ("softmax", "log_softmax", "sigmoid") else None
        if reader is None or reader.kind != "arg_max" or not node.inputs:
            continue
        last = len(seen.shape(node.inputs[0])) - 1
        if node.kind == "sigmoid" or reader.attributes.get("axis") == node.attributes.get("axis", last):
            found.append(node)
    if not found:
        return

    message = f"{found[0].native or found[0].kind} does not change which value ARG_MAX finds"
    gain = seen.gain("LAT312", without([(node, 0) for node in found]))
    yield from seen.judge(RULE, message, found, fix="leave it out", gain=gain)
