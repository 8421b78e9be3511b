"""Nearest-neighbour upsampling as RESHAPE and BROADCAST_TO.

## What it does
Reports values that are reshaped to more dimensions, repeated along them and reshaped back, which is what RESIZE_NEAREST_NEIGHBOR does in one op, with
what that would buy.

## Why is this slow?
A repetition in six dimensions is copied value by value on the CPU, and GPU delegates take four dimensions at most, so each of these splits the
model. The op copies whole pixels, and has a kernel everywhere.

## Example that fails
```text
# pixel-4/gpu
x = input 1x40x40x64
a = conv2d x 64 kernel=3
b = reshape a -> 1x40x1x40x1x64
c = broadcast_to b -> 1x40x2x40x2x64
d = reshape c -> 1x80x80x64
e = conv2d d 64 kernel=3
```

## Example that passes
```text
# pixel-4/gpu
x = input 1x40x40x64
a = conv2d x 64 kernel=3
d = resize_nearest a -> 1x80x80x64
e = conv2d d 64 kernel=3
```

## How to fix
Write `torch.nn.functional.interpolate(x, scale_factor=2)` or `tf.keras.layers.UpSampling2D`; not `expand`, `repeat` or `repeat_interleave`.

## References
tensorflow/lite/kernels/broadcast_to.cc; delegates/gpu/common/model_builder.cc (`IsAllAllowedTensors`).
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

from latlint.checks._patterns import on_channels_last
from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Graph, Node
from latlint.whatif.edits import EditedGraph

RULE = Rule("LAT324", "nearest-in-pieces", "warning", (), "source")

_RESHAPES = frozenset({"reshape", "expand_dims", "squeeze"})
_REPEATS = frozenset({"broadcast_to", "tile"})


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = seen.shared(_found)
    if not found:
        return

    def resized(graph: Graph) -> Graph | None:
        draft = EditedGraph(graph)
        for nodes, data in found:
            before, after = (graph.tensors[index].shape or () for index in (data, nodes[-1].outputs[0]))
            if before[0] != after[0]:
                return None
            if before[-1] != after[-1]:
                if before[1] != after[1]:
                    return None
                how = MappingProxyType({"align_corners": False, "half_pixel": False})
                fields = {"kind": "resize_nearest", "native": "RESIZE_NEAREST_NEIGHBOR", "attributes": how}
                on_channels_last(seen, draft, nodes, data, **fields)
                continue
            draft.change(nodes[-1], kind="resize_nearest", inputs=(data,))
            draft.attributes(nodes[-1], align_corners=False, half_pixel=False)
        return draft.graph()

    nodes = [node for group, _ in found for node in group]
    message = f"nearest-neighbour upsampling ×{len(found)} as a repetition in {len(seen.shape(found[0][0][-2].outputs[0]))} dimensions"
    gain = seen.gain("LAT324", resized)
    yield from seen.judge(RULE, message, nodes, fix="use the op RESIZE_NEAREST_NEIGHBOR", gain=gain)


def _found(view: View) -> list[tuple[list[Node], int]]:
    """The ops of each, and the values that are repeated."""
    return [made for node in view.graph.nodes if node.kind in _RESHAPES and (made := _upsampling(view, node))]


#: An upsampling is written in fewer steps than this.
_LONGEST = 12


def _upsampling(view: View, last: Node) -> tuple[list[Node], int] | None:
    repeat = view.source(last)
    first = view.source(repeat) if repeat is not None and repeat.kind in _REPEATS else None
    if repeat is None or first is None or first.kind not in _RESHAPES or not first.inputs or not last.outputs:
        return None
    nodes = [first, repeat, last]
    while len(nodes) < _LONGEST and (before := view.source(first)) and before.kind in _RESHAPES and before.inputs:
        first = before
        nodes.insert(0, first)
    whole, single, repeated, made = (
        view.shape(index) for index in (first.inputs[0], repeat.inputs[0], repeat.outputs[0], last.outputs[0])
    )
    if len(whole) != 4 or len(made) != 4 or len(single) != len(repeated) or min(whole) < 1:
        return None
    # walking through the repeated shape, each dimension of the map is followed by its repetition, and both become one
    sizes = list(zip(single, repeated, strict=True))
    merged: list[tuple[int, int]] = []
    for once, times in sizes:
        if once == 1 and times > 1 and merged:
            size, factor = merged[-1]
            merged[-1] = (size, factor * times)
        elif once == times:
            merged.append((once, 1))
        else:
            return None
    kept = [(size, factor) for size, factor in merged if (size, factor) != (1, 1)]
    grown = [(a, b // a) for a, b in zip(whole, made, strict=True) if (a, b) != (1, 1)]
    enlarged = sum(factor > 1 for _, factor in grown)
    return (nodes, first.inputs[0]) if kept == grown and enlarged in (1, 2) else None
