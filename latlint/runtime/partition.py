"""Splits a graph between a delegate and the CPU, as TensorFlow Lite does (tensorflow/lite/graph_info.cc) and as ONNX Runtime does
(onnxruntime/core/providers/partitioning_utils.cc)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush

from latlint.records import NamedTuple
from latlint.runtime.context import Context


class Epoch(NamedTuple):
    """Nodes that run together, in file order: all delegated or none."""

    delegated: bool
    nodes: tuple[int, ...]


def epochs(context: Context, nodes: Sequence[int], delegable: Callable[[int], bool]) -> list[Epoch]:
    """The split of ``nodes``: bodies of control flow are graphs of their own, each split by itself, and run before the epoch of the node
    that they are of."""
    bodies: dict[int, list[int]] = {}
    body: list[int] = []
    for index in sorted(nodes):
        if context.graph.nodes[index].inner:
            body.append(index)
        elif body:
            bodies[index], body = body, []
    result = []
    main = {index for index in nodes if not context.graph.nodes[index].inner}
    for epoch in _split(context, [index for index in nodes if index in main] if bodies or body else nodes, delegable):
        for index in epoch.nodes if bodies else ():
            result += _split(context, bodies.get(index, ()), delegable)
        result.append(epoch)
    return result + _split(context, body, delegable)


def _split(context: Context, nodes: Sequence[int], delegable: Callable[[int], bool]) -> list[Epoch]:
    """The greedy split of ``nodes``: an epoch takes the kind of the first node that is ready and then every ready node of that kind,
    skipping past the others (so parallel branches can share an epoch). O(n log n)."""
    kinds = {delegable(index) for index in nodes}
    if len(kinds) == 1:  # file order is an execution order
        return [Epoch(kinds.pop(), tuple(sorted(nodes)))]
    waiting, consumers = _dependencies(context, nodes)
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


def groups(context: Context, nodes: Sequence[int], supported: Callable[[int], bool]) -> list[Epoch]:
    """ONNX Runtime's split of ``nodes`` (``CreateSupportedPartitionNodeGroups``): a group takes every supported node that is ready, and grows past
    others as long as those do not wait for it. O(n + edges)."""
    waiting, consumers = _dependencies(context, nodes)
    ready = deque(node for node, count in waiting.items() if count == 0)
    later: deque[int] = deque()
    group: list[int] = []
    beside: list[int] = []
    border: set[int] = set()
    result: list[Epoch] = []
    while ready or later:
        if not ready:
            result += [Epoch(False, tuple(beside)), Epoch(True, tuple(group))]
            ready, later, group, beside, border = later, deque(), [], [], set()
            continue
        node = ready.popleft()
        if supported(node):
            group.append(node)
            border.update(consumers.get(node, ()))
        elif node in border:
            later.append(node)
            continue
        else:
            beside.append(node)
        for consumer in consumers.get(node, ()):
            waiting[consumer] -= 1
            if waiting[consumer] == 0:
                ready.append(consumer)
    result += [Epoch(False, tuple(beside)), Epoch(True, tuple(group))]
    return [epoch for epoch in result if epoch.nodes]


def _dependencies(context: Context, nodes: Sequence[int]) -> tuple[dict[int, int], dict[int, list[int]]]:
    """For every node the number of inputs that others of ``nodes`` still have to write, and for every node its consumers."""
    producers = context.producers
    waiting = dict.fromkeys(nodes, 0)
    consumers: dict[int, list[int]] = {}
    for index in nodes:
        for tensor in context.graph.nodes[index].inputs:
            producer = producers.get(tensor, index)
            if producer != index and producer in waiting:
                waiting[index] += 1
                consumers.setdefault(producer, []).append(index)
    return waiting, consumers


def keep_largest(split: Sequence[Epoch], count: int) -> list[Epoch]:
    """``split`` with only the ``count`` largest delegated epochs kept: by number of nodes, not by work; the first of equals."""
    order = sorted((i for i, e in enumerate(split) if e.delegated), key=lambda i: -len(split[i].nodes))
    kept = set(order[:count])
    return [Epoch(i in kept, epoch.nodes) for i, epoch in enumerate(split)]


def joined(split: Sequence[Epoch]) -> list[Epoch]:
    """``split`` with neighbours that are not delegated as one."""
    result: list[Epoch] = []
    for epoch in split:
        if result and not epoch.delegated and not result[-1].delegated:
            result[-1] = Epoch(False, (*result[-1].nodes, *epoch.nodes))
        else:
            result.append(epoch)
    return result
