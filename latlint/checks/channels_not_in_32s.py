"""Channel counts that are no multiple of 32, on an NPU.

## What it does
Notes convolutions and matrix products whose channels fill the NPU's tiles of 32 only in part, where that makes a third or more of the arithmetic
padding. Inputs of the model, classes and depthwise layers are left out.

## Why is this slow?
Qualcomm's NPUs multiply tiles of 32 by 32 channels. A layer of 40 channels costs what one of 64 does, and concatenations of odd counts have to
shift every pixel. Rounding up costs nothing and may serve accuracy. A batch of more than one is no fewer tiles: it costs its multiple.

## Example that fails
```text
# galaxy-s24/npu@litert
x = input 1x56x56x40
a = conv2d x 40 kernel=3
b = conv2d a 40 kernel=3
c = conv2d b 40 kernel=3
```

## Example that passes
```text
# galaxy-s24/npu@litert
x = input 1x56x56x64
a = conv2d x 64 kernel=3
b = conv2d a 64 kernel=3
c = conv2d b 64 kernel=3
```

## How to fix
Choose widths in multiples of 32 where the message says; 64 instead of 40 takes no longer. Or go down to the multiple below.

## References
Costs fitted to Qualcomm AI Hub's networks, in tiles of 32 channels (docs/accuracy.md).
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, percent, view
from latlint.graph.types import Node
from latlint.words import counted

RULE = Rule("LAT255", "channels-not-in-32s", "note", ("npu",), "measured")

_LEAST = 1 / 3
_KINDS = frozenset({"conv2d", "fully_connected", "transpose_conv2d"})
#: What feeds an image's few channels to the first layer is not the network's choice.
_IMAGE = 4


def check(subject: Subject) -> Iterator[Finding]:
    from latlint.latency.models.npu import TILE  # the cost model, which no other processor has a use for

    seen = view(subject)
    found, padding, counts = seen.launched(_uneven)
    if not found or padding < _LEAST:
        return
    named = ", ".join(map(str, sorted(counts)[:6])) + (", …" if len(counts) > 6 else "")
    message = f"{percent(padding)} of the arithmetic is padding: {counted(len(found), 'layer')} with {named} channels, in tiles of {TILE}"
    yield from seen.judge(
        RULE, message, found, fix=f"use multiples of {TILE}: more channels take no longer", severity="note"
    )


def _uneven(view: View) -> tuple[list[Node], float, set[int]]:
    """The layers whose channels are padded, the share of all arithmetic that is padding, and these numbers of channels."""
    from latlint.latency.models.npu import TILE

    found, padded, wanted, counts = [], 0.0, 0, set[int]()
    for kernel in view.plan.kernels:
        if not kernel.macs or not kernel.nodes:
            continue
        node = view.graph.nodes[kernel.nodes[0]]
        wanted += kernel.macs
        padded += kernel.macs
        if (
            node.kind not in _KINDS
            or int(node.attributes.get("groups", 1)) > 1
            or not kernel.inputs
            or not kernel.outputs
        ):
            continue
        if not kernel.inputs[0] or not kernel.outputs[0] or min(kernel.inputs[0][-1], kernel.outputs[0][-1]) < 1:
            continue
        read, made = kernel.inputs[0][-1], kernel.outputs[0][-1]
        if read <= _IMAGE or not view.scene.outputs.isdisjoint(node.outputs):
            continue
        more = (-(-read // TILE) * TILE) * (-(-made // TILE) * TILE) / (read * made)
        if more > 1:
            padded += kernel.macs * (more - 1)
            counts.update(count for count in (read, made) if count % TILE)
            found.append(node)
    return found, 1 - wanted / padded if padded else 0.0, counts
