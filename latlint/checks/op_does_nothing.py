"""An op whose result is what it was given.

## What it does
Reports ops that change nothing: a product with 1, a sum with 0, padding by nothing, a resize to the same size, a transpose that
keeps the order, a RESHAPE to the same shape, an identity or dropout left in, a ReLU of what a ReLU made; with what removing them buys.

## Why is this slow?
The CPU runs them all the same, mostly as a copy of the tensor. GPU delegates remove some of them.

## Example that fails
```text
# pixel-4/cpu-1large
x = input 1x112x112x64
one = const 1 value=1
a = conv2d x 64 kernel=1 activation=relu
b = mul a one
c = relu b
d = conv2d c 64 kernel=1
```

## Example that passes
```text
# pixel-4/cpu-1large
x = input 1x112x112x64
a = conv2d x 64 kernel=1 activation=relu
d = conv2d a 64 kernel=1
```

## How to fix
Export in inference mode (`model.eval()`), run a graph simplifier before conversion, and remove scale factors of 1.

## References
tensorflow/lite/delegates/gpu/common/transformations/remove_noop.cc lists what the GPU delegate removes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from latlint.checks._patterns import scalar
from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Node
from latlint.whatif.edits import without

RULE = Rule("LAT303", "op-does-nothing", "warning", (), "source")

#: The constant with which a binary op changes nothing, and the slots that it may stand in.
_NEUTRAL = {"add": (0.0, (0, 1)), "sub": (0.0, (1,)), "mul": (1.0, (0, 1)), "div": (1.0, (1,))}
_SAME_SHAPE = frozenset(
    "reshape squeeze expand_dims flatten resize_bilinear resize_nearest slice strided_slice".split()
)


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    paid = seen.paid
    found = [(node, slot) for node, slot in seen.shared(_idle_ops) if node.index in paid]
    if not found:
        return

    counts = Counter(node.native or node.kind for node, _ in found)
    named = ", ".join(f"{name} ×{count}" for name, count in counts.most_common(3))
    nodes = [node for node, _ in found]
    yield from seen.judge(
        RULE,
        f"ops that change nothing ({named})",
        nodes,
        fix="remove them",
        gain=seen.gain("LAT303", without(found)),
    )


def _idle_ops(view: View) -> list[tuple[Node, int]]:
    """Every op that changes nothing, and the slot of the input that it hands on."""
    return [(node, slot) for node in view.graph.nodes if (slot := _idle(view, node)) is not None]


def _idle(view: View, node: Node) -> int | None:
    """The slot of the input that ``node`` hands on as it is, or ``None`` where it works."""
    get = node.attributes.get
    if len(node.outputs) != 1 or not node.inputs or get("activation", "none") != "none":
        return None
    same = view.shape(node.inputs[0]) == view.shape(node.outputs[0]) != ()
    typed = view.tensor(node.inputs[0]).dtype == view.tensor(node.outputs[0]).dtype
    if not typed:
        return None
    if node.kind in ("identity", "dropout") or (node.kind in _SAME_SHAPE and same and _whole(node)):
        return 0
    pads = get("pads") if node.kind in ("pad", "pad_v2", "mirror_pad") else None
    if pads and not any(value for pair in pads for value in pair):
        return 0
    if node.kind == "transpose" and tuple(get("permutation", (1,))) == tuple(range(len(get("permutation", ())))):
        return 0
    if node.kind == "concat" and len(node.inputs) == 1:
        return 0
    if node.kind in _NEUTRAL and len(node.inputs) == 2:
        neutral, slots = _NEUTRAL[node.kind]
        for slot in slots:
            other = node.inputs[1 - slot]
            if scalar(view, node.inputs[slot]) == neutral and view.shape(other) == view.shape(node.outputs[0]):
                return 1 - slot
    return 0 if node.kind == "relu" and _not_negative(view.source(node)) else None


def _whole(node: Node) -> bool:
    """Whether a slice that keeps the shape keeps the order too; one by a loop's counter is another one in every round."""
    if node.kind in ("slice", "strided_slice") and node.inner and not node.attributes.get("begin"):
        return False
    return all(step > 0 for step in node.attributes.get("strides", ()))


def _not_negative(before: Node | None) -> bool:
    if before is None:
        return False
    return before.kind in ("relu", "relu6", "sigmoid", "softmax") or before.attributes.get("activation") in (
        "relu",
        "relu6",
    )
