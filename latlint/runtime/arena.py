"""How much memory the activations of a graph take, as TensorFlow Lite's arena planners lay them out: greedy by size.

The largest tensor is placed first, each at the lowest place that no tensor alive at the same time has
(tflite-micro: tensorflow/lite/micro/memory_planner/greedy_memory_planner.cc). A tensor lives from the node that writes it to the last that
reads it; inputs from the start, outputs to the end (micro_allocation_info.cc). Weights stay in the file, and are no part of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from itertools import accumulate, chain
from types import MappingProxyType

from latlint.graph.types import Graph
from latlint.records import NamedTuple

_UNPACKING = ("dequantize", "densify")

#: Bytes to which places and sizes are rounded: ``MicroArenaBufferAlignment`` of tflite-micro. That of LiteRT is 64.
MICRO_ALIGNMENT, LITERT_ALIGNMENT = 16, 64

#: The planner takes time for each pair of tensors that are alive together: about a second for this many.
MOST_STEPS = 2_000_000


class Block(NamedTuple):
    """A tensor in the arena: its index in the graph, ``offset`` and ``size`` in bytes, and the first and last node that it is alive at."""

    tensor: int
    offset: int
    size: int
    first: int
    last: int


class Arena(NamedTuple):
    """``blocks`` by falling size; ``unknown`` is why the size is not known, in words, and empty where it is."""

    blocks: tuple[Block, ...] = ()
    unknown: str = ""

    @property
    def size(self) -> int:
        """Bytes from the start to the end of the block that ends last."""
        return max((block.offset + block.size for block in self.blocks), default=0)

    @property
    def busiest(self) -> int:
        """The node at which most bytes are alive, the first of them."""
        more: Counter[int] = Counter()
        for block in self.blocks:
            more[block.first] += block.size
            more[block.last + 1] -= block.size
        nodes = sorted(more)
        alive = list(accumulate(more[node] for node in nodes))
        return nodes[alive.index(max(alive))] if nodes else 0

    def alive(self, node: int) -> list[Block]:
        """What is alive while a node runs, the largest first."""
        return [block for block in self.blocks if block.first <= node <= block.last]


def arena(
    graph: Graph,
    alignment: int = MICRO_ALIGNMENT,
    *,
    freed: Mapping[int, int] = MappingProxyType({}),
    halved: Collection[int] = (),
) -> Arena:
    """The arena for one run of ``graph``; what it would be if tensors of ``freed`` were last needed at that node, and those of ``halved``
    took half."""
    if any(node.inner for node in graph.nodes):
        return Arena(unknown="a loop or branch has an arena of its own")
    lives = _lives(graph)
    sizes = {}
    for tensor in lives:
        size = graph.tensors[tensor].size_bytes
        if size is None:
            return Arena(unknown=f"the size of '{graph.tensors[tensor].name}' is not known")
        sizes[tensor] = -(-(size // 2 if tensor in halved else size) // alignment) * alignment
    lives = {each: (first, freed.get(each, last)) for each, (first, last) in lives.items() if sizes[each]}
    if _steps(lives, len(graph.nodes)) > MOST_STEPS:
        return Arena(unknown="too many tensors are alive at the same time to lay them out here")
    placed: list[Block] = []
    # By node: what begins there, and what was alive before or begins there, of all that is placed.
    begun: list[list[Block]] = [[] for _ in range(len(graph.nodes) + 1)]
    alive: list[list[Block]] = [[] for _ in begun]
    # Of two that are alike the later one comes first: the planner fills its list from the end.
    for tensor in sorted(lives, key=lambda each: (-sizes[each], -each)):
        first, last = lives[tensor]
        offset = 0
        beside = chain(alive[first], *begun[first + 1 : last + 1])
        for other in sorted(beside, key=lambda each: each.offset):
            if other.offset - offset >= sizes[tensor]:
                break
            offset = max(offset, other.offset + other.size)
        block = Block(tensor, offset, sizes[tensor], first, last)
        placed.append(block)
        begun[first].append(block)
        for node in range(first, last + 1):
            alive[node].append(block)
    return Arena(tuple(placed))


def _steps(lives: Mapping[int, tuple[int, int]], nodes: int) -> int:
    """What laying out tensors of these lives takes: the nodes that each lives through, and what begins there."""
    begun = Counter(first for first, _ in lives.values())
    before = list(accumulate((begun[node] for node in range(nodes + 1)), initial=0))
    return sum(last + 1 - first + before[last + 1] - before[first] for first, last in lives.values())


def _lives(graph: Graph) -> dict[int, tuple[int, int]]:
    """The first and last node at which each tensor that is not in the file is alive, by tensor, in the tensors' order. Weights that are
    unpacked stay unpacked, apart from the arena (tensorflow/lite/kernels/dequantize.cc: ``kTfLiteArenaRwPersistent``)."""
    lives = dict.fromkeys((each for each in graph.inputs if not graph.tensors[each].constant), (0, 0))
    weights = {index for index, tensor in enumerate(graph.tensors) if tensor.constant}
    for node in graph.nodes:
        if node.kind in _UNPACKING and weights.issuperset(node.inputs):
            weights.update(node.outputs)
            continue
        for tensor in node.inputs:
            if tensor in lives:
                lives[tensor] = lives[tensor][0], node.index
        for tensor in node.outputs:
            if tensor >= 0 and tensor not in weights:
                lives[tensor] = lives.get(tensor, (node.index, 0))[0], node.index
    for tensor in graph.outputs:
        if tensor in lives:
            lives[tensor] = lives[tensor][0], len(graph.nodes) - 1
    return dict(sorted(lives.items()))
