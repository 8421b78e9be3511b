"""Splits a graph between a delegate and the CPU as TensorFlow Lite does (tensorflow/lite/graph_info.cc)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from latlint.graph.types import Graph


class Epoch(NamedTuple):
    """Nodes that run together, in file order: all delegated or none."""

    delegated: bool
    nodes: tuple[int, ...]


def epochs(graph: Graph, delegable: Callable[[int], bool], dropped: Iterable[int] = ()) -> list[Epoch]:
    """The greedy split: an epoch takes the kind of the first node that is ready and then every ready node of that kind,
    skipping past the others (so parallel branches can share an epoch). ``dropped`` nodes take no part. O(n log n)."""
    waiting, consumers = _dependencies(graph, frozenset(dropped))
    ready: dict[bool, list[int]] = {True: [], False: []}
    for node, count in waiting.items():
        if count == 0:
            ready[delegable(node)].append(node)
    for heap in ready.values():
        heapify(heap)
    result = []
    while ready[True] or ready[False]:
        kind = not ready[False] or (bool(ready[True]) and ready[True][0] < ready[False][0])
        taken = []
        while ready[kind]:
            node = heappop(ready[kind])
            taken.append(node)
            for consumer in consumers.get(node, ()):
                waiting[consumer] -= 1
                if waiting[consumer] == 0:
                    heappush(ready[delegable(consumer)], consumer)
        result.append(Epoch(kind, tuple(taken)))
    return result


def _dependencies(graph: Graph, dropped: frozenset[int]) -> tuple[dict[int, int], dict[int, list[int]]]:
    """For every node the number of inputs that other nodes still have to write, and for every node its consumers."""
    producers = graph.producers()
    waiting: dict[int, int] = {}
    consumers: dict[int, list[int]] = {}
    for node in graph.nodes:
        if node.index in dropped:
            continue
        waiting[node.index] = 0
        for tensor in node.inputs:
            producer = producers.get(tensor, node.index)
            if producer != node.index and producer not in dropped:
                waiting[node.index] += 1
                consumers.setdefault(producer, []).append(node.index)
    return waiting, consumers


def keep_largest(split: list[Epoch], count: int) -> list[Epoch]:
    """``split`` with only the ``count`` largest delegated epochs kept: by number of nodes, not by work; the first of equals."""
    order = sorted((i for i, e in enumerate(split) if e.delegated), key=lambda i: -len(split[i].nodes))
    kept = set(order[:count])
    return [Epoch(i in kept, epoch.nodes) for i, epoch in enumerate(split)]
