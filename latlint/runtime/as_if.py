"""A float graph as if it had been quantised, or kept in float16: the same nodes on values of other types."""

from __future__ import annotations

from dataclasses import replace

from latlint.graph.types import Graph, Tensor

#: Types of activations and of weights: of values as they are in a file, and in pairs of QuantizeLinear and DequantizeLinear.
_TYPES = {"w8a8": ("int8", "int8"), "w8a16": ("int16", "int8")}
_PAIRS = {"w8a8": ("uint8", "int8"), "w8a16": ("uint16", "int8")}
#: Types of values that a quantiser would convert.
FLOATS = ("float32", "float16", "bfloat16", "float64")


def converted_to(graph: Graph, precision: str) -> Graph:
    """``graph`` with its float values in the types of ``precision``: every activation, inputs and outputs too, and every constant.

    An ONNX graph gets pairs of QuantizeLinear and DequantizeLinear (``pairs``), as ONNX Runtime takes quantised models.
    Elsewhere, what a quantiser would add at borders (QUANTIZE, DEQUANTIZE) and leave in float is not in it. A graph that is quantised already
    is returned as it is: there is nothing to convert.
    """
    if graph.precision not in FLOATS:
        return graph
    if precision == "float16":
        # how weights are kept is not how they are computed with: runtimes unpack them once, when they load the model
        note = "as if kept in float16: computed in what the processor computes floats in"
        return replace(graph, notes=(*graph.notes, note))
    if graph.dialect == "onnx":
        from latlint.runtime.pairs import Pairs, with_pairs  # hardly any run needs it

        pairs = Pairs(*_PAIRS[precision])
        note = f"as if quantised to {precision}: {pairs.activations} activations, {pairs.weights} weights for each channel, a pair around each op"
        return replace(with_pairs(graph, pairs), notes=(*graph.notes, note))
    types = _TYPES[precision]
    note = f"as if converted to {precision}: every float value, none left out"
    return replace(graph, tensors=tuple(_typed(tensor, types) for tensor in graph.tensors), notes=(*graph.notes, note))


def _typed(tensor: Tensor, types: tuple[str, str]) -> Tensor:
    if tensor.dtype not in FLOATS:
        return tensor
    activations, weights = types
    return replace(tensor, dtype=weights if tensor.constant else activations)
