"""Channel counts that are not multiples of 4 on a GPU that stores channels in fours.

## What it does
Notes a model with channel counts that are not multiples of 4, where rounding all of them up would cost nothing, or even make it
faster, although it then has more channels. Channels that the model gives out, such as its classes, do not count.

## Why is this slow?
The GPU delegate stores channels in slices of four and computes whole slices, so 30 channels cost as much as 32. Where they are moved
(CONCAT, RESHAPE, SLICE), it falls back from whole slices to kernels that copy channel by channel.

## Example that fails
```text
# galaxy-s10/gpu
x = input 1x56x56x30
a = conv2d x 30 kernel=1 activation=relu
b = conv2d a 30 kernel=1 activation=relu
c = concat a b
d = conv2d c 30 kernel=1 activation=relu
e = concat c d
f = conv2d e 10 kernel=1
```

## Example that passes
```text
# galaxy-s10/gpu
x = input 1x56x56x32
a = conv2d x 32 kernel=1 activation=relu
b = conv2d a 32 kernel=1 activation=relu
c = concat a b
d = conv2d c 32 kernel=1 activation=relu
e = concat c d
f = conv2d e 12 kernel=1
```

## How to fix
Round widths up to multiples of 4, better 8: `make_divisible(c, 8)`. The rest of the slice is computed anyway.

## References
tensorflow/lite/delegates/gpu/common/tasks/concat_z.cc, reshape.cc, strided_slice.cc.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import SILENT_SHARE, View, view
from latlint.graph.types import Node
from latlint.whatif.edits import with_channels
from latlint.words import counted

RULE = Rule("LAT222", "channels-not-in-fours", "note", ("gpu",), "source")

#: Up to this share of the model's latency more is nothing.
_FREE_SHARE = 0.005
#: What stands between the last convolution and what the model gives out.
_BEHIND_HEADS = frozenset(
    "softmax logistic tanh relu relu6 reshape squeeze transpose concat add mul arg_max resize_bilinear mean dequantize".split()
)


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    heads: dict[int, bool] = {}
    found = [
        node
        for node in seen.graph.nodes
        if node.kind == "conv2d"
        and len(seen.shape(node.outputs[0])) == 4
        and seen.shape(node.outputs[0])[-1] % 4
        and not _is_head(seen, node, heads)
    ]
    if not found:
        return
    gain = seen.gain("LAT222", lambda graph: with_channels(graph, lambda count: -(-count // 4) * 4))
    if gain is None or gain.ms < -_FREE_SHARE * seen.total_ms:
        return
    if gain.ms < SILENT_SHARE * seen.total_ms:
        gain = None
    counts = sorted({seen.shape(node.outputs[0])[-1] for node in found})
    named = ", ".join(map(str, counts[:5])) + (", …" if len(counts) > 5 else "")
    message = f"{counted(len(found), 'convolution')} with {named} channels {'fills' if len(found) == 1 else 'fill'} slices of four only in part"
    yield from seen.judge(RULE, message, found, fix="multiples of 4 take no longer", gain=gain, severity="note")


def _is_head(view: View, node: Node, known: dict[int, bool]) -> bool:
    """Whether the channels are classes, or what else the model gives out: nobody can round them up. ``known`` has what was found of others."""
    way: list[int] = []
    while node.index not in known:
        way.append(node.index)
        reader = view.sole_reader(node)
        if node.outputs[0] in view.scene.outputs:
            known[node.index] = True
        elif reader is None or reader.kind not in _BEHIND_HEADS:
            known[node.index] = False
        else:
            node = reader
    known.update(dict.fromkeys(way, known[node.index]))
    return known[node.index]
