"""What the squeeze-and-excitation gates of a network cost on this target.

## What it does
Notes blocks that scale each channel by a gate computed from the mean over the map (squeeze-and-excitation, ECA), with what the network
would save without them.

## Why is this slow?
A gate is four small launches or more on a GPU (MEAN, two layers, MUL), each bound by latency and not by work, and the product is
never linked to the convolution before it, because the map has two readers. On a CPU it reads and writes the whole map once more.

## Example that fails
```text
# pixel-4/gpu
x = input 1x14x14x64
a = conv2d x 64 kernel=1 activation=relu
b = mean a axes=1,2 keep_dims=true
c = conv2d b 16 kernel=1 activation=relu
d = conv2d c 64 kernel=1
e = sigmoid d
f = mul a e
g = conv2d f 64 kernel=1
```

## Example that passes
```text
# pixel-4/gpu
x = input 1x14x14x64
a = conv2d x 64 kernel=1 activation=relu
g = conv2d a 64 kernel=1
```

## How to fix
This is a choice of design: keep the gates where they earn their accuracy, often in the late, narrow stages, and drop the others.

## References
tensorflow/lite/delegates/gpu/common/gpu_model.cc (`MergeNodes`); arXiv:1709.01507.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Node
from latlint.whatif.edits import without
from latlint.words import counted

RULE = Rule("LAT225", "channel-gates", "note", (), "measured")

#: How much wider than others a CPU's interval is: what networks with and without gates differ by is further from what is predicted than the kernels' errors
#: tell. Of ResNets and of pre-activation ResNets, float32 and int8, each alone asks for 1.75, at which intervals hold 94 % or more of the other's effects.
WIDER = 1.75
#: Ops between the mean and the product.
_LONGEST = 8


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = seen.shared(_gates)
    if not found:
        return

    gain = seen.gain("LAT225", without([(product, slot) for product, slot, _ in found]), everywhere=True)
    if gain is not None and not seen.offloads:
        gain = gain.widened(WIDER)
    message = f"{counted(len(found), 'channel gate')} (squeeze-and-excitation)"
    nodes = [node for product, _, path in found for node in (*path, product)]
    fix = f"weigh {'its' if len(found) == 1 else 'their'} accuracy against a network without {'it' if len(found) == 1 else 'them'}"
    yield from seen.judge(RULE, message, nodes, fix=fix, gain=gain, severity="note")


def _gates(view: View) -> list[tuple[Node, int, list[Node]]]:
    return [gate for node in view.graph.nodes if node.kind == "mul" and (gate := _gate(view, node))]


def _gate(view: View, product: Node) -> tuple[Node, int, list[Node]] | None:
    """The product, the slot of the map, and the ops that compute the gate from the map's mean."""
    if len(product.inputs) != 2:
        return None
    for slot in (0, 1):
        image, gate = (view.shape(product.inputs[each]) for each in (slot, 1 - slot))
        if len(image) == len(gate) == 4 and prod(image[1:3]) > 1 == prod(gate[1:3]):
            path = _to_mean(view, view.source(product, 1 - slot), product.inputs[slot])
            if path:
                return product, slot, path
    return None


def _to_mean(view: View, node: Node | None, image: int) -> list[Node]:
    path: list[Node] = []
    while node is not None and len(path) < _LONGEST:
        path.append(node)
        if node.kind in ("mean", "average_pool2d"):
            return path if node.inputs[0] == image else []
        slot = next((s for s, index in enumerate(node.inputs) if index in view.scene.producers), 0)
        node = view.source(node, slot)
    return []
