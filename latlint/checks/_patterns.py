"""Small patterns that several rules look for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from types import MappingProxyType
from typing import Any

from latlint.checks.view import View
from latlint.graph.types import Graph, Node
from latlint.whatif.edits import EditedGraph


def sigmoid_times_itself(view: View) -> list[tuple[Node, Node, int]]:
    """Every ``x * sigmoid(x)``: the product, the sigmoid, and x."""
    found = []
    for node in view.graph.nodes:
        if node.kind != "mul" or len(node.inputs) != 2:
            continue
        for slot in (0, 1):
            gate = view.source(node, slot)
            if gate is not None and gate.kind == "sigmoid" and gate.inputs[0] == node.inputs[1 - slot]:
                found.append((node, gate, gate.inputs[0]))
    return found


def scalar(view: View, index: int) -> float | None:
    """The value of a constant with one element, where the file's reader kept it."""
    value = view.tensor(index).value if index >= 0 else None
    return float(value[0]) if value is not None and len(value) == 1 else None


def operand(view: View, node: Node) -> tuple[int, float] | None:
    """The run-time input and the constant scalar of a product or sum of the two."""
    if len(node.inputs) != 2:
        return None
    for slot in (0, 1):
        value = scalar(view, node.inputs[slot])
        if value is not None:
            return node.inputs[1 - slot], value
    return None


def per_channel(view: View, node: Node) -> bool:
    """Whether the op combines its input with a constant scalar or one number a channel."""
    constants, runtime = view.constant_inputs(node), view.runtime_inputs(node)
    if len(constants) != 1 or len(runtime) != 1 or view.shape(runtime[0]) != view.shape(node.outputs[0]):
        return False
    return all(dim == 1 for dim in view.shape(constants[0])[:-1])


#: Channels first to last, and back.
_TO_LAST, _TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


def on_channels_last(view: View, draft: EditedGraph, nodes: Sequence[Node], data: int, **fields: Any) -> None:
    """Puts one op, of these ``fields``, in the place of ``nodes``, which make a map with channels first of the map ``data``: on channels last, between
    transposes, as converters write it. A transpose that is there already, the other way round, is left out instead."""
    first, last = nodes[0], nodes[-1]
    made, source, reader = last.outputs[0], view.source(first), view.sole_reader(last)
    if source is not None and _turns(source, _TO_FIRST):
        given = source.inputs[0]
    else:
        given = _turned(draft, first, data, _TO_LAST)
    if reader is not None and _turns(reader, _TO_LAST):
        draft.change(reader, inputs=(given,), native_inputs=(), version=1, **fields)
        return
    n, c, h, w = view.shape(made)
    written = draft.new_tensor(made, "channels last", shape=(n, h, w, c))
    draft.add(first, Node(-1, last.name, inputs=(given,), outputs=(written,), **fields))
    order = _order(draft, made, _TO_FIRST)
    attributes = MappingProxyType({"permutation": _TO_FIRST})
    draft.change(
        last,
        kind="transpose",
        native="TRANSPOSE",
        inputs=(written, order),
        native_inputs=(),
        attributes=attributes,
        version=1,
    )


def _turns(node: Node, permutation: tuple[int, ...]) -> bool:
    return node.kind == "transpose" and tuple(node.attributes.get("permutation") or ()) == permutation


def _turned(draft: EditedGraph, after: Node, data: int, permutation: tuple[int, ...]) -> int:
    """``data`` behind a new transpose, which stands after ``after``."""
    shape = draft.tensors[data].shape or ()
    turned = draft.new_tensor(data, "turned", shape=tuple(shape[axis] for axis in permutation))
    attributes = MappingProxyType({"permutation": permutation})
    inputs = (data, _order(draft, data, permutation))
    draft.add(after, Node(-1, "turned", "transpose", "TRANSPOSE", inputs, (turned,), attributes))
    return turned


def _order(draft: EditedGraph, like: int, permutation: tuple[int, ...]) -> int:
    """The operand of a transpose."""
    return draft.new_tensor(
        like, "permutation", shape=(4,), dtype="int32", constant=True, value=permutation, quantization=None, data=None
    )


def in_int8(view: View, nodes: Collection[Node]) -> Callable[[Graph], Graph]:
    """The edit that lets float ``nodes`` compute in int8, without the conversions between them and what is in int8 already."""

    def edit(graph: Graph) -> Graph:
        draft = EditedGraph(graph)
        indices = {node.index for node in nodes}
        for node in nodes:
            for index in (*node.inputs, *node.outputs):
                if index >= 0 and graph.tensors[index].dtype in ("float32", "float16"):
                    draft.tensor(index, dtype="int8")
        for node in graph.nodes:
            enters = node.kind == "dequantize" and any(reader.index in indices for reader in view.readers(node))
            source = view.source(node) if node.kind == "quantize" else None
            if enters or (source is not None and source.index in indices):
                draft.bypass(node)
        return draft.graph()

    return edit
