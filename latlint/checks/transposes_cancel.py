"""Transposes undo each other.

## What it does
Reports TRANSPOSE ops that put values into another order and back, with what removing all of them would buy. Between them stand only ops to
which the order makes no difference: elementwise ones, also with constants and with each other, PAD, CONCATENATION, sums and means.

## Why is this slow?
A transpose gathers values one by one, on one thread on the CPU and in a scalar kernel on the GPU, and nothing is fused through it.
Converters from channels-first frameworks wrap ops in such pairs and do not always clean up: a PAD, a product with a constant or a sum in
between is enough.

## Example that fails
```text
# pixel-4/gpu
x = input 1x112x112x64
k = const 1x64x1x1
a = conv2d x 64 kernel=1
b = transpose a permutation=0,3,1,2
c = mul b k
d = elu c
e = transpose d permutation=0,2,3,1
f = conv2d e 64 kernel=1
```

## Example that passes
```text
# pixel-4/gpu
x = input 1x112x112x64
k = const 1x1x1x64
a = conv2d x 64 kernel=1
c = mul a k
d = elu c
f = conv2d d 64 kernel=1
```

## How to fix
Use a converter that plans the layout as a whole (onnx2tf or litert-torch rather than onnx-tf), or write the ops in between in the layout of their
neighbours.

## References
onnx/onnx-tensorflow #782, #921 (5 and 10 times slower); tensorflow/lite/delegates/gpu/common/tasks/transpose.cc.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.ops import BINARY, REDUCTIONS, UNARY
from latlint.graph.types import Graph, Node
from latlint.records import NamedTuple
from latlint.whatif.edits import EditedGraph
from latlint.words import counted

RULE = Rule("LAT301", "transposes-cancel", "warning", (), "reported")

_Order = tuple[int, ...]


class _Region(NamedTuple):
    """``between`` the transposes that put values into ``order`` and those that put them back: the transposes first and last."""

    order: _Order
    first: list[Node]
    between: list[Node]
    last: list[Node]


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = seen.shared(_regions)
    if not found:
        return

    def without(graph: Graph) -> Graph:
        draft = EditedGraph(graph)
        for region in found:
            _undo(draft, graph, region)
        return draft.graph()

    ends = sorted((node for region in found for node in (*_going(seen, region), *region.last)), key=lambda n: n.index)
    inner = Counter(node.native or node.kind for region in found for node in region.between)
    named = ", ".join(f"{name} ×{count}" for name, count in inner.most_common(3)) + (", …" if len(inner) > 3 else "")
    message = f"{counted(len(ends), 'TRANSPOSE')} cancel" + (f" round {named}" if named else "")
    yield from seen.judge(RULE, message, ends, fix="remove them", gain=seen.gain("LAT301", without))


def _going(view: View, region: _Region) -> list[Node]:
    """The transposes that nobody outside of the region reads: others stay."""
    inside = {node.index for node in (*region.between, *region.last)}
    return [node for node in region.first if all(reader.index in inside for reader in view.readers(node))]


def _undo(draft: EditedGraph, graph: Graph, region: _Region) -> None:
    """The region in the order of what comes before it."""
    before = {node.outputs[0]: node.inputs[0] for node in region.first}
    for node in region.between:
        for index in node.inputs:
            tensor = graph.tensors[index] if index >= 0 else None
            if tensor is not None and tensor.constant and node.kind in BINARY:
                shape = tensor.shape or ()
                full = (1,) * (len(region.order) - len(shape)) + shape if shape else ()
                draft.tensor(index, shape=_undone(full, region.order))
        draft.change(node, inputs=tuple(before.get(index, index) for index in node.inputs))
        for index in node.outputs:
            draft.tensor(index, shape=_undone(graph.tensors[index].shape or (), region.order))
        attributes = node.attributes
        if "pads" in attributes:
            draft.attributes(node, pads=_undone(attributes["pads"], region.order))
        if "axes" in attributes:
            draft.attributes(node, axes=tuple(sorted(region.order[axis] for axis in attributes["axes"])))
        if "axis" in attributes:
            draft.attributes(node, axis=region.order[attributes["axis"]])
    for node in region.last:
        if node.inputs[0] in before:
            draft.read_instead(node.outputs[0], before[node.inputs[0]])
        else:
            draft.bypass(node)


def _undone(dims: Sequence[Any], order: Sequence[int]) -> tuple[Any, ...]:
    """``dims`` in the order of axes before ``order`` was applied."""
    return tuple(dims[order.index(axis)] for axis in range(len(order))) if len(dims) == len(order) else tuple(dims)


#: So many orders are looked at, for each of which the whole graph is: real files have a few.
_MOST_ORDERS = 32


def _regions(view: View) -> list[_Region]:
    """One for each order that values are put into and back from."""
    transposes: dict[_Order, list[Node]] = {}
    for node in view.graph.nodes:
        order = (
            node.attributes.get("permutation") if node.kind == "transpose" and node.inputs and node.outputs else None
        )
        if order is not None and sorted(order) == list(range(len(order))) != list(order):
            transposes.setdefault(tuple(order), []).append(node)
    found, taken = [], set[int]()
    for order, first in list(transposes.items())[:_MOST_ORDERS]:
        back = {node.index for node in transposes.get(_inverse(order), ())}
        region = _region(view, order, first, back) if back else None
        nodes = {node.index for node in (*region.first, *region.between, *region.last)} if region else set()
        if region and nodes.isdisjoint(taken):
            found.append(region)
            taken |= nodes
    return found


def _inverse(order: _Order) -> _Order:
    return tuple(order.index(axis) for axis in range(len(order)))


def _region(view: View, order: _Order, first: Sequence[Node], back: set[int]) -> _Region | None:
    """What lies between transposes to ``order`` and those ``back`` from it: the most that can be turned round as a whole."""
    turned = {node.outputs[0]: node for node in first}
    between: dict[int, Node] = {}
    made = set(turned)
    for node in view.graph.nodes:
        if _any_order(view, node, len(order)) and not made.isdisjoint(node.inputs):
            between[node.index] = node
            made.update(node.outputs)
    waiting = list(between.values())
    while waiting:
        node = waiting.pop()
        if node.index not in between or _closed(view, node, made, between, back):
            continue
        del between[node.index]
        made.difference_update(node.outputs)
        beside = {view.scene.producers.get(index, -1) for index in node.inputs}
        beside |= {reader for index in node.outputs for reader, _ in view.scene.uses.get(index, ())}
        waiting += [between[index] for index in beside if index in between]
    ends = [node for index in sorted(back) if (node := view.graph.nodes[index]).inputs[0] in made]
    wanted = {index for node in (*between.values(), *ends) for index in node.inputs}
    begins = [node for output, node in turned.items() if output in wanted]
    return _Region(order, begins, list(between.values()), ends) if ends and begins else None


def _closed(view: View, node: Node, turned: set[int], between: dict[int, Node], back: set[int]) -> bool:
    """Whether all that ``node`` reads is in the order or constant, and all who read it stand it or put it back."""
    for index in node.inputs:
        if index >= 0 and index not in turned and not view.tensor(index).constant:
            return False
    for index in node.outputs:
        readers = [reader for reader, _ in view.scene.uses.get(index, ())]
        if index in view.scene.outputs or not readers or any(r not in between and r not in back for r in readers):
            return False
    return True


def _any_order(view: View, node: Node, rank: int) -> bool:
    """Whether ``node`` does the same to values in any order of their axes, once its attributes follow."""
    if not node.outputs or any(len(view.shape(index)) != rank for index in (*view.runtime_inputs(node), *node.outputs)):
        return False
    constants = view.constant_inputs(node)
    if node.kind in BINARY:
        return all(len(view.shape(index)) <= rank for index in constants)
    if node.kind in UNARY:
        return not constants
    if node.kind == "pad":
        return len(node.attributes.get("pads") or ()) == rank
    if node.kind in REDUCTIONS:
        axes = node.attributes.get("axes") or ()
        return bool(axes) and all(0 <= axis < rank for axis in axes) and bool(node.attributes.get("keep_dims"))
    return node.kind == "concat" and 0 <= node.attributes.get("axis", -1) < rank
