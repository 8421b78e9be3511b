"""The image is scaled and shifted by ops of the model before the first convolution.

## What it does
Reports sums and products with constants between an input and the first convolution, with what folding them into its weights would buy.

## Why is this slow?
They are passes over the image at full resolution: `(x / 255 - mean) / std` in the graph is up to three of them on the CPU. The
scale folds into the weights of the first convolution; the app that copies the image can apply the shift as it does.

## Example that fails
```text
# pixel-4/cpu-1large
x = input 1x224x224x3
scale = const 3
shift = const 3
a = mul x scale
b = sub a shift
c = conv2d b 32 kernel=3 stride=2 activation=relu
```

## Example that passes
```text
# pixel-4/cpu-1large
x = input 1x224x224x3
c = conv2d x 32 kernel=3 stride=2 activation=relu
```

## How to fix
Fold the scale into the first convolution's weights. Fold the shift too where the convolution does not pad, or apply it where the app fills the input;
an int8 model can take the raw bytes with a fitting scale and zero point.

## References
tensorflow/lite/delegates/gpu/common/transformations/fuse_mul_to_conv.cc, fuse_add_to_conv.cc.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks._patterns import per_channel
from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Node
from latlint.whatif.edits import without
from latlint.words import counted

RULE = Rule("LAT310", "input-normalization", "warning", (), "source")

_AFFINE = frozenset({"mul", "add", "sub", "div"})


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    # A file may list constants among its inputs, and an input twice.
    sources = dict.fromkeys(index for index in seen.graph.inputs if not seen.tensor(index).constant)
    found = [node for source in sources for node in _prologue(seen, source)]
    if not found:
        return

    data = [next(slot for slot, t in enumerate(node.inputs) if not seen.tensor(t).constant) for node in found]
    message = f"the input goes through {counted(len(found), 'op')} that {'scales or shifts' if len(found) == 1 else 'scale or shift'} it"
    gain = seen.gain("LAT310", without(list(zip(found, data, strict=True))))
    yield from seen.judge(RULE, message, found, fix="fold them into the first convolution or the app", gain=gain)


def _prologue(view: View, source: int) -> list[Node]:
    """Ops between an input and the convolution that only scale and shift."""
    found: list[Node] = []
    uses = view.scene.uses.get(source, [])
    while len(uses) == 1:
        node = view.graph.nodes[uses[0][0]]
        if node.kind in ("conv2d", "pad"):
            return found
        if (
            node.kind not in _AFFINE
            or not per_channel(view, node)
            or node.attributes.get("activation", "none") != "none"
        ):
            return []
        found.append(node)
        uses = view.scene.uses.get(node.outputs[0], [])
    return []
