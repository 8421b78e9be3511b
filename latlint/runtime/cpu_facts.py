"""What the CPU rules may ask about a node: facts that follow from shapes, types and attributes alone.

The names and values here are the vocabulary of the ``when`` tables in ``rules/*/xnnpack.toml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from latlint.graph.ops import CONVOLUTIONS, MATRIX, POOLS, REDUCTIONS
from latlint.graph.types import Graph, Node, Tensor

_RECURRENT = frozenset({"lstm", "gru", "rnn", "svdf"})
_QUANTISED = frozenset({"int8", "uint8"})
_PADS = frozenset({"pad", "pad_v2", "mirror_pad"})

#: Every name that a ``when`` table may use.
FACTS = frozenset(
    "dtype grouped dilated multiplier unit_kernel unit_stride pointwise fast_3x3 weights hybrid stride_exceeds_kernel "
    "global_pool axes keep_dims pads beta_is_one align_corners half_pixel strided reshaping_masks scales_fit".split()
)


def facts(graph: Graph, node: Node) -> dict[str, Any]:
    """The facts of one node; which there are, beside ``dtype`` (of its first input), depends on the kind of op."""
    data = tensor_at(graph, node.inputs, 0)
    found: dict[str, Any] = {"dtype": data.dtype if data else "none"}
    if node.kind in CONVOLUTIONS:
        found |= _convolution(node, data)
    if node.kind in CONVOLUTIONS | MATRIX:
        found |= _weights(graph, node, data)
    if node.kind in POOLS:
        found |= _pool(node, data)
    if node.kind in REDUCTIONS:
        found |= {"axes": _axes(node, data), "keep_dims": bool(node.attributes.get("keep_dims"))}
    if node.kind in _PADS:
        found["pads"] = _pads(node)
    if node.kind == "softmax":
        found["beta_is_one"] = node.attributes.get("beta", 1.0) == 1.0
    if node.kind in {"resize_bilinear", "resize_nearest"}:
        found |= {key: bool(node.attributes.get(key, False)) for key in ("align_corners", "half_pixel")}
    if node.kind == "strided_slice":
        found |= _strided_slice(node)
    if node.kind in {"add", "sub", "mul"}:
        found["scales_fit"] = _scales_fit(graph, node)
    return found


def matches(condition: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether every key of a ``when`` table equals the fact, or lists it. A fact that the node does not have is ``None``."""
    return all(
        found.get(key) in wanted if isinstance(wanted, list) else found.get(key) == wanted
        for key, wanted in condition.items()
    )


#: What a fact means that a kernel asks for, in words.
_WORDS: Mapping[str, str] = {
    "pointwise": "a 1x1 kernel of stride 1 without padding",
    "unit_kernel": "a 1x1 kernel",
    "unit_stride": "stride 1",
    "fast_3x3": "a 3x3 kernel of stride 1 or 2, channels in multiples of 8, and at most one pixel of padding, no more at the end",
    "global_pool": "a pool over the whole map",
    "keep_dims": "kept dimensions",
}


def in_words(condition: Mapping[str, Any]) -> str:
    """What a ``when`` table asks for."""
    wants = []
    for key, wanted in condition.items():
        values = " or ".join(map(str, wanted)) if isinstance(wanted, list) else str(wanted)
        wants.append(_WORDS.get(key) or (f"{values} values" if key == "dtype" else f"{key.replace('_', ' ')} {values}"))
    return " and ".join(wants)


def missed(condition: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """What a ``when`` table asks for that the node does not have."""
    return in_words({key: wanted for key, wanted in condition.items() if not matches({key: wanted}, found)})


def tensor_at(graph: Graph, indices: tuple[int, ...], slot: int) -> Tensor | None:
    """The tensor in an input or output slot, or ``None`` where the slot is missing or left out."""
    return graph.tensors[indices[slot]] if slot < len(indices) and indices[slot] >= 0 else None


def dims(tensor: Tensor) -> tuple[int, ...]:
    """The tensor's shape with a dimension that is not known taken as 1."""
    return tuple(1 if dim < 0 else dim for dim in tensor.shape or ())


def macs(graph: Graph, node: Node) -> int:
    """Multiply-accumulates of the ops that are made of them (convolutions and matrix products), padding counted as work."""
    data, output = tensor_at(graph, node.inputs, 0), tensor_at(graph, node.outputs, 0)
    if data is None or output is None or not data.shape or not output.shape:
        return 0
    read, made = dims(data), prod(dims(output))
    if node.kind in MATRIX:
        weights = tensor_at(graph, node.inputs, 1)
        if node.kind == "fully_connected" and weights is not None and weights.shape:
            return made * dims(weights)[-1]
        return made * read[-2 if node.attributes.get("transpose_a") and len(read) > 1 else -1]
    kernel = int(prod(node.attributes.get("kernel", ())))
    groups = max(int(node.attributes.get("groups", 1)), 1)
    if node.kind == "depthwise_conv2d":
        return made * kernel
    if node.kind in {"transpose_conv2d", "transpose_conv3d"}:
        return prod(read) * kernel * dims(output)[-1] // groups
    if node.kind in _RECURRENT:
        # every weight once for every row of the input
        matrices = (graph.tensors[i] for i in node.inputs if i >= 0 and graph.tensors[i].constant)
        return prod(read[:-1]) * sum(tensor.elements or 0 for tensor in matrices if len(tensor.shape or ()) > 1)
    if node.kind in CONVOLUTIONS:
        return made * kernel * read[-1] // groups
    return 0


def _convolution(node: Node, data: Tensor | None) -> dict[str, Any]:
    unit_kernel = all(size == 1 for size in node.attributes.get("kernel", ()))
    unit_stride = all(step == 1 for step in node.attributes.get("stride", ()))
    dilated = any(step != 1 for step in node.attributes.get("dilation", ()))
    return {
        "grouped": node.kind != "depthwise_conv2d" and node.attributes.get("groups", 1) != 1,
        "dilated": dilated,
        "multiplier": node.attributes.get("multiplier", 1),
        "unit_kernel": unit_kernel,
        "unit_stride": unit_stride,
        "pointwise": unit_kernel and unit_stride and not dilated and not any(node.attributes.get("padding", ())),
        "fast_3x3": not dilated and _fast_3x3(node, data),
    }


def _fast_3x3(node: Node, data: Tensor | None) -> bool:
    """Whether the hand-written int8 depthwise kernel takes an undilated node
    (``depthwiseconv_3x3_filter_common.h``, ``Fast3x3FilterKernelSupported``)."""
    if data is None or data.shape is None or len(data.shape) != 4 or len(node.attributes.get("padding", ())) != 4:
        return False
    _, height, width, channels = data.shape
    top, bottom, left, right = node.attributes["padding"]
    symmetric = top == left and top in (0, 1) and bottom <= top and right <= top
    return (
        tuple(node.attributes.get("kernel", ())) == (3, 3)
        and tuple(node.attributes.get("stride", ())) in {(1, 1), (2, 2)}
        and node.attributes.get("multiplier", 1) == 1
        and channels % 8 == 0
        and symmetric
        and (top == 0 or height == width or 1 not in (height, width))
    )


def _weights(graph: Graph, node: Node, data: Tensor | None) -> dict[str, Any]:
    # A transposed convolution has its data in slot 0 and its weights in slot 1 like all the others (graph/ops.py).
    weights = tensor_at(graph, node.inputs, 1)
    kind = weights.dtype if weights else "none"
    return {"weights": kind, "hybrid": bool(data and data.dtype == "float32" and kind in _QUANTISED)}


def _pool(node: Node, data: Tensor | None) -> dict[str, Any]:
    kernel, stride = tuple(node.attributes.get("kernel", ())), tuple(node.attributes.get("stride", ()))
    size = data.shape[1:3] if data and data.shape and len(data.shape) == 4 else ()
    return {
        "stride_exceeds_kernel": any(step > width for step, width in zip(stride, kernel, strict=False)),
        "unit_kernel": kernel == (1, 1),
        "global_pool": kernel == tuple(size) and not any(node.attributes.get("padding", ())),
    }


def _axes(node: Node, data: Tensor | None) -> str:
    """``spatial`` (height and width of NHWC), ``width`` (of NHWC), ``channels`` (the last dimension alone), else ``other``."""
    axes = node.attributes.get("axes")
    if axes is None or data is None or data.shape is None:
        return "unknown"
    names = {(1, 2): "spatial", (2,): "width"} if len(data.shape) == 4 else {}
    return names.get(tuple(sorted(set(axes))), "channels" if set(axes) == {len(data.shape) - 1} else "other")


def _pads(node: Node) -> str:
    pads = node.attributes.get("pads")
    if pads is None:
        return "unknown"
    if any(side < 0 for pair in pads for side in pair):
        return "negative"
    inner = len(pads) == 4 and not any(pads[0]) and not any(pads[3])
    return "spatial" if inner else "other"


def _strided_slice(node: Node) -> dict[str, Any]:
    masks = ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    return {
        "strided": any(step != 1 for step in node.attributes.get("strides", ())),
        "reshaping_masks": any(node.attributes.get(mask, 0) for mask in masks),
    }


def _scales_fit(graph: Graph, node: Node) -> bool:
    """Whether XNNPACK's fixed-point arithmetic covers the quantisation scales of an ADD, SUB or MUL; true of float tensors
    (``xnnpack_delegate.cc``, the checks of ``VisitAddNode``, ``VisitSubNode`` and ``VisitMulNode``)."""
    scales = [
        tensor.quantization.scales[0]
        for tensor in (
            tensor_at(graph, node.inputs, 0),
            tensor_at(graph, node.inputs, 1),
            tensor_at(graph, node.outputs, 0),
        )
        if tensor and tensor.quantization and tensor.quantization.scales and tensor.quantization.scales[0] > 0
    ]
    if len(scales) < 3:
        return True
    left, right, output = scales
    ratios = (left * right / output,) if node.kind == "mul" else (left / output, right / output)
    least = 2.0**-16 if node.kind == "mul" else 2.0**-10
    return all(least <= ratio < 2.0**8 for ratio in ratios)
