"""Pixel shuffle as RESHAPE, TRANSPOSE and RESHAPE.

## What it does
Reports values that are reshaped to six dimensions, transposed so that channels become pixels, and reshaped to a larger map, with what the one op
DEPTH_TO_SPACE would buy.

## Why is this slow?
A transpose in six dimensions gathers values one by one. GPU delegates take four dimensions at most, so the model is split there. On a Galaxy S26's
NPU (LiteRT 2.2), a super-resolution network with two of them took 16.2 ms, and 5.4 ms with nearest upsampling and a convolution instead; its GPU
refused the first form.

## Example that fails
```text
# galaxy-s26/npu@litert
x = input 1x160x160x48
a = conv2d x 48 kernel=3
b = reshape a -> 1x160x160x2x2x12
c = transpose b permutation=0,1,3,2,4,5
d = reshape c -> 1x320x320x12
e = conv2d d 48 kernel=3
```

## Example that passes
```text
# galaxy-s26/npu@litert
x = input 1x160x160x48
a = conv2d x 48 kernel=3
d = depth_to_space a block=2 -> 1x320x320x12
e = conv2d d 48 kernel=3
```

## How to fix
Export `torch.nn.PixelShuffle` or `tf.nn.depth_to_space` with a converter that writes DEPTH_TO_SPACE (onnx2tf does; the order of channels is changed in
the weights before it). Or upsample by nearest neighbours and let a convolution sort the pixels, as the measured network does.

## References
github.com/john-rocky/edge-compat (Apache-2.0), pixelshuffle-to-zerostuff-conv; tensorflow/lite/delegates/gpu/common/model_builder.cc.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

from latlint.checks._patterns import on_channels_last
from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Graph, Node
from latlint.records import NamedTuple
from latlint.whatif.edits import EditedGraph

RULE = Rule("LAT326", "pixel-shuffle-in-pieces", "warning", (), "measured")


class _Order(NamedTuple):
    """An order by which channels become pixels, and where height, width, the block and the channels stand in the six dimensions."""

    permutation: tuple[int, ...]
    height: int
    width: int
    rows: int
    columns: int
    channels: int


#: The block before the channels, behind them, and channels first.
_ORDERS = (
    _Order((0, 1, 3, 2, 4, 5), 1, 2, 3, 4, 5),
    _Order((0, 1, 4, 2, 5, 3), 1, 2, 4, 5, 3),
    _Order((0, 1, 4, 2, 5, 3), 4, 5, 2, 3, 1),
)


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = seen.shared(_found)
    if not found:
        return

    def as_one_op(graph: Graph) -> Graph:
        draft = EditedGraph(graph)
        for nodes, block, last in found:
            attributes = MappingProxyType({"block": block})
            if not last:
                fields = {"kind": "depth_to_space", "native": "DEPTH_TO_SPACE", "attributes": attributes}
                on_channels_last(seen, draft, nodes, nodes[0].inputs[0], **fields)
                continue
            draft.change(nodes[-1], kind="depth_to_space", inputs=nodes[0].inputs[:1], attributes=attributes, version=1)
        return draft.graph()

    nodes = [node for group, *_ in found for node in group]
    message = f"pixel shuffle ×{len(found)} as RESHAPE, TRANSPOSE and RESHAPE in six dimensions"
    gain = seen.gain("LAT326", as_one_op)
    yield from seen.judge(RULE, message, nodes, fix="write DEPTH_TO_SPACE", gain=gain)


def _found(view: View) -> list[tuple[list[Node], int, bool]]:
    """The ops of each, its block, and whether the channels are last."""
    return [made for node in view.graph.nodes if node.kind == "transpose" and (made := _shuffle(view, node))]


def _shuffle(view: View, transpose: Node) -> tuple[list[Node], int, bool] | None:
    first, last = view.source(transpose), view.sole_reader(transpose)
    if first is None or last is None or {first.kind, last.kind} != {"reshape"}:
        return None
    if not first.inputs or not last.outputs:
        return None
    whole, apart, made = (view.shape(i) for i in (first.inputs[0], transpose.inputs[0], last.outputs[0]))
    order = tuple(transpose.attributes.get("permutation") or ())
    if len(whole) != 4 or len(apart) != 6 or len(made) != 4:
        return None
    for known in _ORDERS:
        block = apart[known.rows]
        if known.permutation != order or apart[known.columns] != block or block < 2:
            continue
        h, w, c = apart[known.height], apart[known.width], apart[known.channels]
        last_is_channels = known.channels > 1
        before = (whole[0], h, w, c * block * block) if last_is_channels else (whole[0], c * block * block, h, w)
        after = (whole[0], h * block, w * block, c) if last_is_channels else (whole[0], c, h * block, w * block)
        if whole == before and made == after:
            return [first, transpose, last], block, last_is_channels
    return None
