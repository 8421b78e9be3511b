"""Softmax spelt out: EXP, SUM and a division.

## What it does
Reports `exp(x) / sum(exp(x))`, with or without the maximum taken off first and with the division as a product with the reciprocal, with what the op
SOFTMAX would buy.

## Why is this slow?
Each step is a pass over the tensor, and in attention this is the largest one. The op does it in one or two. On a Galaxy S26's NPU
(LiteRT 2.2), a transformer of four blocks over 1024 tokens took 20.3 ms with the pieces and 9.4 ms with the op.

## Example that fails
```text
# galaxy-s26/npu@litert
x = input 1x6x1024x1024
m = reduce_max x axes=3 keep_dims=true -> 1x6x1024x1
s = sub x m
e = exp s
t = sum e axes=3 keep_dims=true -> 1x6x1024x1
y = div e t
```

## Example that passes
```text
# galaxy-s26/npu@litert
x = input 1x6x1024x1024
y = softmax x axis=3
```

## How to fix
Use `torch.softmax`, `scaled_dot_product_attention` or `tf.nn.softmax`: the op takes the maximum off by itself. Converters put a plain
exp, sum and division together again, but not one that guards against overflow by hand.

## References
github.com/john-rocky/edge-compat (Apache-2.0), softmax-decomposed-to-builtin.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Graph, Node
from latlint.whatif.edits import EditedGraph
from latlint.words import counted

RULE = Rule("LAT327", "softmax-in-pieces", "warning", (), "measured")


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = seen.shared(_found)
    if not found:
        return

    def as_one_op(graph: Graph) -> Graph:
        draft = EditedGraph(graph)
        for nodes, data in found:
            axis = len(graph.tensors[data].shape or ()) - 1
            attributes = MappingProxyType({"axis": axis, "beta": 1.0})
            draft.change(nodes[-1], kind="softmax", inputs=(data,), attributes=attributes, version=1)
        return draft.graph()

    nodes = [node for group, _ in found for node in group]
    message = f"softmax ×{len(found)} spelt out in {counted(len(nodes), 'op')}"
    yield from seen.judge(RULE, message, nodes, fix="write the op SOFTMAX", gain=seen.gain("LAT327", as_one_op))


def _found(view: View) -> list[tuple[list[Node], int]]:
    """The ops of each, and the values that it is of."""
    return [made for node in view.graph.nodes if node.kind in ("div", "mul") and (made := _softmax(view, node))]


def _softmax(view: View, last: Node) -> tuple[list[Node], int] | None:
    if len(last.inputs) != 2 or not last.outputs:
        return None
    for slot in (0, 1) if last.kind == "mul" else (0,):
        exp, total = view.source(last, slot), view.source(last, 1 - slot)
        inverse = [total] if last.kind == "mul" and total is not None and total.kind in ("reciprocal", "div") else []
        if inverse:
            total = view.source(inverse[0], len(inverse[0].inputs) - 1) if inverse[0].inputs else None
        elif last.kind == "mul":
            continue
        if (
            exp is None
            or exp.kind != "exp"
            or total is None
            or total.kind != "sum"
            or not exp.inputs
            or not total.inputs
        ):
            continue
        if total.inputs[0] != exp.outputs[0] or not _along_the_last(view, total):
            continue
        nodes = [exp, total, *inverse, last]
        shifted = view.source(exp)
        highest = view.source(shifted, 1) if shifted is not None and shifted.kind == "sub" else None
        if shifted is None or highest is None or highest.kind != "reduce_max" or not _along_the_last(view, highest):
            return nodes, exp.inputs[0]
        if highest.inputs and highest.inputs[0] == shifted.inputs[0]:
            return [highest, shifted, *nodes], shifted.inputs[0]
    return None


def _along_the_last(view: View, node: Node) -> bool:
    return bool(node.inputs) and tuple(node.attributes.get("axes", ())) == (len(view.shape(node.inputs[0])) - 1,)
