"""Edits to a graph, each a new graph: what rules hold against the graph that they were given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import prod
from types import MappingProxyType
from typing import Any

from latlint.graph.ops import BINARY, POOLS, REDUCTIONS, UNARY
from latlint.graph.types import Graph, Node
from latlint.records import replace

Shape = tuple[int, ...]


class EditedGraph:
    """A graph in the making. Indices stay those of the graph it began as, until ``graph()`` numbers anew.

    Nodes that the changes left without a reader go too, as a converter would drop them.
    """

    def __init__(self, graph: Graph) -> None:
        self.origin = graph
        self.nodes: dict[int, Node] = {node.index: node for node in graph.nodes}
        self._added: list[tuple[int, Node]] = []
        self.tensors = list(graph.tensors)
        self._instead: dict[int, int] = {}

    def bypass(self, node: Node, slot: int = 0) -> None:
        """Takes ``node`` out: whoever read its first output reads its input ``slot`` instead. What is out already stays as it was taken out."""
        if self.nodes.pop(node.index, None) is not None:
            self._instead[node.outputs[0]] = node.inputs[slot]

    def read_instead(self, tensor: int, other: int) -> None:
        """Whoever read ``tensor`` reads ``other``, written before."""
        self._instead[tensor] = other

    def change(self, node: Node, **fields: Any) -> None:
        """Replaces fields of ``node``."""
        self.nodes[node.index] = replace(self.nodes[node.index], **fields)

    def add(self, after: Node, node: Node) -> None:
        """Puts ``node`` in after the place of ``after``, and after what was put there before."""
        self._added.append((after.index, node))

    def new_tensor(self, like: int, name: str, **fields: Any) -> int:
        """The index of a new tensor: that of ``like`` with other ``fields``."""
        self.tensors.append(replace(self.tensors[like], name=name, **fields))
        return len(self.tensors) - 1

    def attributes(self, node: Node, **values: Any) -> None:
        """Sets attributes of ``node``."""
        merged = {**self.nodes[node.index].attributes, **values}
        self.change(node, attributes=MappingProxyType(merged))

    def tensor(self, index: int, **fields: Any) -> None:
        """Replaces fields of a tensor."""
        self.tensors[index] = replace(self.tensors[index], **fields)

    def graph(self) -> Graph:
        """The edited graph."""
        placed = sorted([*self.nodes.items(), *self._added], key=lambda pair: pair[0])
        nodes = [self._rewired(node) for _, node in placed]
        outputs = tuple(self._resolved(tensor) for tensor in self.origin.outputs)
        dead = dead_nodes(self.origin)
        kept = [node for node, live in zip(nodes, _live(nodes, outputs), strict=True) if live or node.index in dead]
        return replace(
            self.origin,
            nodes=tuple(node if node.index == index else replace(node, index=index) for index, node in enumerate(kept)),
            tensors=tuple(self.tensors),
            outputs=outputs,
            origins=(),
        )

    def _rewired(self, node: Node) -> Node:
        """``node`` with the inputs that it has by now."""
        if self._instead.keys().isdisjoint(node.inputs) and self._instead.keys().isdisjoint(node.native_inputs):
            return node
        return replace(
            node,
            inputs=tuple(self._resolved(tensor) for tensor in node.inputs),
            native_inputs=tuple(self._resolved(tensor) for tensor in node.native_inputs),
        )

    def _resolved(self, tensor: int) -> int:
        way: dict[int, None] = {}
        # no step twice: an op that does nothing may read the variable that it writes
        while tensor in self._instead and tensor not in way:
            way[tensor] = None
            tensor = self._instead[tensor]
        self._instead.update(dict.fromkeys(way, tensor))  # whoever else reads one of them is there in a step
        return tensor


def without(found: Iterable[tuple[Node, int]]) -> Callable[[Graph], Graph]:
    """The edit that takes nodes out, each with the slot of the input that is read in its place."""

    def edit(graph: Graph) -> Graph:
        draft = EditedGraph(graph)
        for node, slot in found:
            draft.bypass(node, slot)
        return draft.graph()

    return edit


def dead_nodes(graph: Graph) -> set[int]:
    """Nodes from which no output of the graph is reached."""
    alive = _live(graph.nodes, graph.outputs)
    return {node.index for node, live in zip(graph.nodes, alive, strict=True) if not live}


def _live(nodes: Sequence[Node], outputs: Iterable[int]) -> list[bool]:
    """For each node whether an output of the graph is reached from it."""
    wanted, live = set(outputs), []
    for node in reversed(nodes):
        # An op that writes no tensor is there for what it does: ASSIGN_VARIABLE, CALL_ONCE.
        live.append(not node.outputs or not wanted.isdisjoint(node.outputs))
        if live[-1]:
            wanted.update(node.native_inputs or node.inputs)
    return live[::-1]


#: Ops that leave the channels as they find them.
_KEEPS = UNARY | BINARY | POOLS | frozenset(
    "pad pad_v2 mirror_pad resize_bilinear resize_nearest quantize dequantize fake_quant softmax identity dropout".split()
)  # fmt: skip


class _CannotError(Exception):
    """The channels of this graph cannot be changed so."""


def with_channels(graph: Graph, wanted: Callable[[int], int]) -> Graph | None:
    """``graph`` with another number of channels wherever a convolution or matrix product is free to choose it.

    ``wanted`` maps each count to the new one, the same for the whole graph, so that what is added to each other still fits. Inputs
    and outputs of the graph keep theirs. ``None`` where an op in between depends on the count in a way that is not understood.
    """
    widening = _Widening(graph, wanted)
    try:
        for node in graph.nodes:
            widening.visit(node)
    except _CannotError:
        return None
    if any(graph.tensors[index].shape != widening.draft.tensors[index].shape for index in graph.outputs):
        return None
    return widening.draft.graph()


class _Widening:
    """One pass in execution order: new shapes out from new shapes in."""

    def __init__(self, graph: Graph, wanted: Callable[[int], int]) -> None:
        self.old = graph
        self.wanted = wanted
        self.draft = EditedGraph(graph)
        self.fixed = _reaching_outputs(graph)

    def visit(self, node: Node) -> None:
        if node.kind in ("conv2d", "transpose_conv2d", "fully_connected"):
            self._product(node)
        elif any(self._changed(index) for index in node.inputs):
            self._follow(node)

    def _shape(self, index: int) -> Shape:
        return self.draft.tensors[index].shape or ()

    def _was(self, index: int) -> Shape:
        return self.old.tensors[index].shape or ()

    def _channels(self, index: int) -> int:
        shape = self._shape(index)
        if not shape:
            raise _CannotError  # nobody knows how many it has
        return shape[-1]

    def _changed(self, index: int) -> bool:
        return index >= 0 and self._shape(index) != self._was(index)

    def _set(self, index: int, shape: Shape) -> None:
        if self._changed(index) and self._shape(index) != shape:
            raise _CannotError  # a weight that two ops share, each with a wish of its own
        self.draft.tensor(index, shape=shape)

    def _product(self, node: Node) -> None:
        data, weights, output = node.inputs[0], node.inputs[1], node.outputs[0]
        before, after, filters, made = self._was(data), self._shape(data), self._was(weights), self._was(output)
        if not before or not prod(before) or not filters or not made or not self.old.tensors[weights].constant:
            raise _CannotError
        groups = int(node.attributes.get("groups", 1))
        chosen = made[-1] if node.index in self.fixed else self.wanted(made[-1])
        if chosen % groups or after[-1] % groups:
            raise _CannotError
        depth = filters[-1] * prod(after) // prod(before)
        self._set(weights, (chosen, *filters[1:-1], depth))
        if len(node.inputs) > 2 and node.inputs[2] >= 0:
            self._set(node.inputs[2], (chosen,))
        self._set(output, (*made[:-1], chosen))

    def _follow(self, node: Node) -> None:
        if node.kind == "depthwise_conv2d":
            channels = self._channels(node.inputs[0])
            made = channels * int(node.attributes.get("multiplier", 1))
            for index in (*node.inputs[1:], *node.outputs):
                if index >= 0:
                    self._set(index, (*self._was(index)[:-1], made))
            self.draft.attributes(node, groups=channels)
        elif node.kind == "concat":
            self._concat(node)
        elif node.kind == "split":
            self._split(node)
        elif node.kind in ("reshape", "squeeze", "expand_dims", "flatten"):
            self._reshape(node)
        elif node.kind in REDUCTIONS and len(self._was(node.inputs[0])) - 1 not in node.attributes.get("axes", ()):
            self._set(node.outputs[0], (*self._was(node.outputs[0])[:-1], self._channels(node.inputs[0])))
        elif node.kind in _KEEPS:
            self._keep(node)
        else:
            raise _CannotError

    def _keep(self, node: Node) -> None:
        made = self._was(node.outputs[0])
        wide = [index for index in node.inputs if index >= 0 and made and self._was(index)[-1:] == made[-1:]]
        counts = {self._channels(index) for index in wide if not self.old.tensors[index].constant}
        if len(counts) != 1:
            raise _CannotError
        channels = counts.pop()
        for index in wide:
            if self.old.tensors[index].constant and node.kind in UNARY | BINARY and made[-1] > 1:
                self._set(index, (*self._was(index)[:-1], channels))
        self._set(node.outputs[0], (*made[:-1], channels))

    def _concat(self, node: Node) -> None:
        counts = [self._channels(index) for index in node.inputs]
        if node.attributes.get("axis") == len(self._shape(node.inputs[0])) - 1:
            channels = sum(counts)
        elif len(set(counts)) == 1:
            channels = counts[0]
        else:
            raise _CannotError
        self._set(node.outputs[0], (*self._was(node.outputs[0])[:-1], channels))

    def _split(self, node: Node) -> None:
        data = node.inputs[0]
        channels, parts = self._channels(data), len(node.outputs)
        along = node.attributes.get("axis") == len(self._was(data)) - 1
        if along and channels % parts:
            raise _CannotError
        for index in node.outputs:
            self._set(index, (*self._was(index)[:-1], channels // parts if along else channels))

    def _reshape(self, node: Node) -> None:
        before, after, made = self._was(node.inputs[0]), self._shape(node.inputs[0]), self._was(node.outputs[0])
        flattens = made and made[-1] == prod(before[-len(before) + len(made) - 1 :])
        if not made or not prod(before) or not (made[-1] == before[-1] or (flattens and made[0] == before[0])):
            raise _CannotError
        self._set(node.outputs[0], (*made[:-1], made[-1] * after[-1] // before[-1]))


def _reaching_outputs(graph: Graph) -> set[int]:
    """Convolutions and matrix products whose channels are channels of an output of the graph."""
    wanted, found = set(graph.outputs), set()
    for node in reversed(graph.nodes):
        if wanted.isdisjoint(node.outputs):
            continue
        if node.kind in ("conv2d", "transpose_conv2d", "fully_connected"):
            found.add(node.index)
        else:
            wanted.update(node.inputs)
    return found
