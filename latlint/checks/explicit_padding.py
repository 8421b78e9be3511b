"""A PAD before a convolution or pool copies the whole tensor on the CPU.

## What it does
Reports PAD ops before convolutions and pools on the built-in CPU kernels, with what padding inside them would buy. It warns
where SAME padding gives exactly the same result and is enough to gain; for other paddings, which take another training, it notes.

## Why is this slow?
The built-in kernels do not merge PAD into what follows (the GPU delegate and XNNPACK do): the tensor is copied into a larger one on
one thread. Models from PyTorch have one at every convolution of stride 2, where PyTorch pads (1, 1) and TensorFlow's SAME pads (0, 1).

## Example that fails
```text
# pixel-4/cpu-1large
x = input 1x112x112x32
a = pad x pads=1
b = depthwise_conv2d a kernel=3 padding=valid activation=relu
c = conv2d b 64 kernel=1
```

## Example that passes
```text
# pixel-4/cpu-1large
x = input 1x112x112x32
b = depthwise_conv2d x kernel=3 padding=same activation=relu
c = conv2d b 64 kernel=1
```

## How to fix
Where the stride is 1, let the exporter write SAME. Where it is 2, train with TensorFlow's padding (`F.pad(x, (0, 1, 0, 1))` before a
convolution without padding, which converts to SAME), or run with XNNPACK.

## References
tensorflow/lite/kernels/pad.cc; XNNPACK/src/subgraph.c (`xnn_subgraph_fusion`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.ops import CONVOLUTIONS
from latlint.graph.padding import same_padding
from latlint.graph.types import Graph, Node
from latlint.whatif.edits import EditedGraph
from latlint.words import counted

RULE = Rule("LAT241", "explicit-padding", "warning", ("builtin",), "measured")

_TAKES = frozenset({"conv2d", "depthwise_conv2d", "max_pool2d", "average_pool2d"})


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = seen.shared(_pads)
    if not found:
        return

    same = [pair for pair in found if _is_same(seen, *pair)]
    gain = seen.gain("LAT241", lambda graph: _merged(graph, found))
    of_same = seen.gain("LAT241 same", lambda graph: _merged(graph, same)) if same else None
    each = counted(len(found), "PAD op") + (" copies" if len(found) == 1 else " copy")
    equal = "none equals" if not same else "all equal" if len(same) == len(found) else f"{len(same)} of them equal"
    message = f"{each} the tensor before a convolution or pool ({equal} SAME padding)"
    severity = None if of_same is not None and of_same.ms >= seen.least_gain_ms else "note"
    fix = "export with SAME padding" if len(same) == len(found) else "train with SAME padding inside the convolution"
    yield from seen.judge(RULE, message, [pad for pad, _ in found], fix=fix, gain=gain, severity=severity)


def _merged(graph: Graph, pairs: Sequence[tuple[Node, Node]]) -> Graph:
    draft = EditedGraph(graph)
    for pad, reader in pairs:
        (top, bottom), (left, right) = pad.attributes["pads"][1:3]
        draft.bypass(pad)
        draft.attributes(reader, padding=(top, bottom, left, right))
    return draft.graph()


def _is_same(view: View, pad: Node, reader: Node) -> bool:
    """Whether TensorFlow's SAME padding is what ``pad`` does: as many pixels, the odd one at the end."""
    found, before, after = reader.attributes, view.shape(pad.inputs[0]), view.shape(reader.outputs[0])
    if len(before) != 4 or len(after) != 4 or "kernel" not in found:  # unknown
        return False
    for axis in (0, 1):
        size, made = before[axis + 1], after[axis + 1]
        stride = found["stride"][axis]
        total = same_padding(size, found["kernel"][axis], stride, found.get("dilation", (1, 1))[axis])
        if made != -(-size // stride) or tuple(pad.attributes["pads"][axis + 1]) != (total // 2, total - total // 2):
            return False
    return reader.kind in CONVOLUTIONS  # a pool looks at no pixel of SAME's padding, and at the zeros of a PAD it does


def _pads(view: View) -> list[tuple[Node, Node]]:
    """Every PAD that the op which reads it could do, and that op."""
    return [(node, reader) for node in view.graph.nodes if (reader := _reader(view, node)) is not None]


def _reader(view: View, pad: Node) -> Node | None:
    """The op that could pad for itself instead of ``pad``."""
    pads = pad.attributes.get("pads") if pad.kind in ("pad", "pad_v2") else None
    if pads is None or len(pads) != 4 or any(pads[0]) or any(pads[3]):
        return None
    reader = view.sole_reader(pad)
    if reader is None or reader.kind not in _TAKES or any(reader.attributes.get("padding", (-1,))):
        return None
    return reader
