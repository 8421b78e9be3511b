"""A graph with what planners look up in it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from latlint.graph.ops import CONVOLUTIONS, MATRIX, UNKNOWN
from latlint.graph.types import Graph, Node, Tensor

#: Inputs that hold the sizes of the output. Fed from outside they make it dynamic, whatever size the file has written down.
_SIZES = {
    "reshape": (1,),
    "broadcast_to": (1,),
    "fill": (0,),
    "resize_bilinear": (1,),
    "resize_nearest": (1,),
    "tile": (1,),
}


#: Kinds that compute with all of their constants.
_WORKS = CONVOLUTIONS | MATRIX


class _Lookups:
    """Made when first asked for, shared by the contexts of one graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    @cached_property
    def uses(self) -> dict[int, list[tuple[int, int]]]:
        return self._graph.consumers()

    @cached_property
    def producers(self) -> dict[int, int]:
        return self._graph.producers()

    @cached_property
    def outputs(self) -> frozenset[int]:
        return frozenset(self._graph.outputs)


class Context:
    """A graph as one delegate sees it: ``constants`` are tensors whose value is known when it is applied, though a node writes them
    (weights behind a DEQUANTIZE). ``source`` is the graph that ``graph`` was converted from: ``graph`` itself where it was not."""

    __slots__ = ("_lookups", "constants", "graph", "source")

    def __init__(
        self,
        graph: Graph,
        constants: Iterable[int] = (),
        lookups: _Lookups | None = None,
        source: Graph | None = None,
    ) -> None:
        self.graph = graph
        self.constants = frozenset(constants)
        self.source = source or graph
        self._lookups = lookups or _Lookups(graph)

    def with_constants(self, constants: Iterable[int]) -> Context:
        return Context(self.graph, constants, self._lookups, self.source)

    @property
    def uses(self) -> dict[int, list[tuple[int, int]]]:
        """Tensor -> ``(node, input slot)`` of every use."""
        return self._lookups.uses

    @property
    def producers(self) -> dict[int, int]:
        """Tensor -> the node that writes it."""
        return self._lookups.producers

    @property
    def graph_outputs(self) -> frozenset[int]:
        return self._lookups.outputs

    def tensor(self, index: int) -> Tensor:
        return self.graph.tensors[index]

    def shape(self, index: int) -> tuple[int, ...]:
        """The tensor's shape; a shape or size that is not known reads as empty, a dimension as 1."""
        shape = self.tensor(index).shape or ()
        return shape if not shape or min(shape) >= 1 else tuple(max(dim, 1) for dim in shape)

    def is_constant(self, index: int) -> bool:
        return index in self.constants or self.graph.tensors[index].constant

    def runtime_inputs(self, node: Node) -> list[int]:
        """The node's inputs that are computed or fed at run time, in slot order."""
        tensors, constants = self.graph.tensors, self.constants
        return [t for t in node.inputs if t >= 0 and not (tensors[t].constant or t in constants)]

    def streamed(self, node: Node) -> list[Tensor]:
        """The node's constants that are computed with: weights, biases, operands; not shapes or axes."""
        constants = [self.tensor(t) for t in node.inputs if t >= 0 and self.is_constant(t)]
        if node.kind in _WORKS:
            return constants
        return [t for t in constants if t.dtype not in ("int32", "int64")]

    def sole_use(self, tensor: int) -> bool:
        """Whether one op alone reads the tensor, once, and it is no output."""
        return len(self.uses.get(tensor, ())) == 1 and tensor not in self.graph_outputs

    def sized_by_values(self) -> Tensor | None:
        """The first tensor whose size depends on what is computed: an op that is known makes it of inputs whose sizes are known. ``None``
        where there is none, as where the sizes of inputs or what an op does are not known."""
        tensors, fed = self.graph.tensors, self.graph.inputs
        for node in self.graph.nodes:
            sizes = _SIZES.get(node.kind, ())
            dynamic = any(node.inputs[slot] in fed for slot in sizes if slot < len(node.inputs))
            for index in node.outputs:
                if index < 0 or not (dynamic or tensors[index].elements is None):
                    continue
                if node.kind != UNKNOWN and all(i < 0 or tensors[i].elements is not None for i in node.inputs):
                    return tensors[index]
        return None

    def unpackers(self, nodes: Iterable[int], dtypes: Iterable[str]) -> list[Node]:
        """Those of ``nodes`` that unpack constants of these types: DEQUANTIZE of float16 weights."""
        wanted = frozenset(dtypes)
        return [node for node in map(self.graph.nodes.__getitem__, nodes) if self._unpacks(node, wanted)]

    def _unpacks(self, node: Node, dtypes: frozenset[str]) -> bool:
        if node.kind != "dequantize" or not node.inputs or node.inputs[0] < 0:
            return False
        source = self.tensor(node.inputs[0])
        return source.constant and source.dtype in dtypes

    def crossing_bytes(self, nodes: Iterable[int]) -> tuple[int, int]:
        """Bytes that ``nodes`` read of what others write or feed, and that they write for others."""
        members = frozenset(nodes)
        chosen = [self.graph.nodes[index] for index in members]
        written = {t for node in chosen for t in node.outputs}
        read = {t for node in chosen for t in node.inputs if t >= 0 and t not in written and not self.is_constant(t)}
        left = written & self.graph_outputs
        if len(members) < len(self.graph.nodes):
            left |= {t for t in written for node, _ in self.uses.get(t, ()) if node not in members}
        return self._bytes(read), self._bytes(left - self.constants)

    def _bytes(self, tensors: Iterable[int]) -> int:
        return sum(self.tensor(index).size_bytes or 0 for index in tensors)
