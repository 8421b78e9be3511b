"""What a model takes beside time: bytes of the file, parameters, memory of its activations."""

from __future__ import annotations

from collections import Counter

from latlint.graph.types import Graph
from latlint.latency.types import Footprint
from latlint.runtime.arena import arena
from latlint.words import short_name


def footprint(graph: Graph, file_bytes: int, planned: Graph | None = None) -> Footprint:
    """Of ``graph``, read from a file of ``file_bytes``; ``planned`` is what it is planned as, if that is another graph. The arena is that of
    TensorFlow Lite, whatever runs the model: a planner that knows less than all lives of all tensors needs no less."""
    constants = {
        tensor: graph.tensors[tensor]
        for node in graph.nodes
        for tensor in node.inputs
        if tensor >= 0 and graph.tensors[tensor].constant
    }
    weights = sum(tensor.size_bytes or 0 for tensor in constants.values())
    parameters = sum(tensor.elements or 0 for tensor in constants.values())
    laid_out = planned or graph
    found = arena(laid_out)
    if found.unknown:
        return Footprint(max(file_bytes, weights), parameters, None, found.unknown)
    peak: Counter[str] = Counter()
    for block in found.alive(found.busiest):
        peak[short_name(laid_out.tensors[block.tensor].name)] += block.size
    return Footprint(max(file_bytes, weights), parameters, found.size, "", dict(peak.most_common()))
