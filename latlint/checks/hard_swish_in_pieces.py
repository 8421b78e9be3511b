"""Hard-swish written as additions and products instead of the op HARD_SWISH.

## What it does
Reports `x * relu6(x + 3) / 6` in three or four ops that the converter did not recognise, with what one HARD_SWISH would buy.

## Why is this slow?
HARD_SWISH is linked to the convolution before it. The pieces are not, because x is read twice: first the sum and the clamp run as
kernels of their own, then the product. TensorFlow's converter only recognises the pattern with the factor 1/6 in float32
(0.16666667); 0.16666666, which some exporters write, stays in pieces.

## Example that fails
```text
# pixel-4/gpu
x = input 1x112x112x64
three = const 1 value=3
sixth = const 1 value=0.16666666
a = conv2d x 64 kernel=1
b = add a three activation=relu6
c = mul b sixth
d = mul a c
e = conv2d d 64 kernel=1
```

## Example that passes
```text
# pixel-4/gpu
x = input 1x112x112x64
a = conv2d x 64 kernel=1
d = hard_swish a
e = conv2d d 64 kernel=1
```

## How to fix
Use the framework's own function (`torch.nn.Hardswish`, `tf.nn.relu6(x + 3) * x * (1 / 6)`), and check that the exporter does not
replace it (onnx2tf: no pseudo hard-swish).

## References
tensorflow/compiler/mlir/lite/transforms/prepare_patterns.td, optimize_patterns.td; delegates/gpu/common/gpu_model.cc.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks._patterns import operand
from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Graph, Node
from latlint.whatif.edits import EditedGraph
from latlint.words import counted

RULE = Rule("LAT224", "hard-swish-in-pieces", "warning", (), "source")


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = [pieces for node in seen.graph.nodes if node.kind == "mul" and (pieces := _pieces(seen, node))]
    if not found:
        return

    def joined(graph: Graph) -> Graph:
        draft = EditedGraph(graph)
        for (*_, last), source in found:
            draft.change(last, kind="hard_swish", inputs=(source,))
        return draft.graph()

    message = f"hard-swish ×{len(found)} in {counted(len(found[0][0]), 'op')} each, which no kernel before them absorbs"
    nodes = [node for pieces, _ in found for node in pieces]
    yield from seen.judge(RULE, message, nodes, fix="export it as HARD_SWISH", gain=seen.gain("LAT224", joined))


def _pieces(view: View, product: Node) -> tuple[list[Node], int] | None:
    """The ops of a hard-swish that ends, but for a factor, in ``product``, and what it is computed of."""
    for slot in (0, 1):
        gate = view.source(product, slot)
        if gate is None or len(product.inputs) != 2:
            continue
        pieces = [gate, product]
        scaled = operand(view, gate) if gate.kind == "mul" else None
        if scaled is not None and abs(scaled[1] - 1 / 6) < 1e-3:
            gate = view.source(gate, gate.inputs.index(scaled[0]))
        elif (last := view.sole_reader(product)) is not None and last.kind == "mul":
            factor = operand(view, last)
            if factor is None or abs(factor[1] - 1 / 6) > 1e-3:
                continue
            pieces.append(last)
        else:
            continue
        begin = _shifted_clamp(view, gate)
        if begin and begin[1] == product.inputs[1 - slot]:
            return sorted({node.index: node for node in [*begin[0], *pieces]}.values(), key=lambda n: n.index), begin[1]
    return None


def _shifted_clamp(view: View, node: Node | None) -> tuple[list[Node], int] | None:
    """``relu6(x + 3)``: its ops and x."""
    if node is None:
        return None
    clamp = [node] if node.kind == "relu6" else []
    total = view.source(node) if clamp else node
    if total is None or total.kind != "add" or (not clamp and total.attributes.get("activation") != "relu6"):
        return None
    found = operand(view, total)
    return ([total, *clamp], found[0]) if found is not None and found[1] == 3.0 else None
