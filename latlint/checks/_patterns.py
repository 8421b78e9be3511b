"""Small patterns that several rules look for."""

from __future__ import annotations

from collections.abc import Callable, Collection

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
