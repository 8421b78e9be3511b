"""A float graph as if it had been quantised, or kept in float16: the same nodes on values of other types."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from latlint.graph.types import Graph, Tensor


class _Types(NamedTuple):
    activations: str
    weights: str


_TYPES: dict[str, _Types] = {
    "w8a8": _Types("int8", "int8"),
    "w8a16": _Types("int16", "int8"),
}
_FLOATS = ("float32", "float16", "bfloat16", "float64")


def converted_to(graph: Graph, precision: str) -> Graph:
    """``graph`` with its float values in the types of ``precision``: every activation, inputs and outputs too, and every constant.

    What a quantiser would add at borders (QUANTIZE, DEQUANTIZE) and leave in float is not in it. A graph that is quantised already
    is returned as it is: there is nothing to convert.
    """
    if graph.precision not in _FLOATS:
        return graph
    if precision == "float16":
        # how weights are kept is not how they are computed with: runtimes unpack them once, when they load the model
        note = "as if kept in float16: computed in what the processor computes floats in"
        return replace(graph, notes=(*graph.notes, note))
    types = _TYPES[precision]
    note = f"as if converted to {precision}: every float value, none left out"
    return replace(graph, tensors=tuple(_typed(tensor, types) for tensor in graph.tensors), notes=(*graph.notes, note))


def _typed(tensor: Tensor, types: _Types) -> Tensor:
    if tensor.dtype not in _FLOATS:
        return tensor
    return replace(tensor, dtype=types.weights if tensor.constant else types.activations)
