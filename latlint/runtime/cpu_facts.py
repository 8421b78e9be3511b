"""What the CPU rules may ask about a node: facts that follow from shapes, types and attributes alone.

The names and values here are the vocabulary of the ``when`` tables in ``rules/*/xnnpack.toml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from latlint.graph.ops import CONVOLUTIONS, MATRIX, POOLS, REDUCTIONS
from latlint.graph.types import Graph, Node, Tensor

_QUANTISED = frozenset({"int8", "uint8"})
_PADS = frozenset({"pad", "pad_v2", "mirror_pad"})


def facts(graph: Graph, node: Node) -> dict[str, Any]:
    """The facts of one node; which keys there are depends on the kind of op. All have ``dtype``, ``rank``, ``inputs``."""
    data = tensor_at(graph, node.inputs, 0)
    found: dict[str, Any] = {
        "dtype": data.dtype if data else "none",
        "rank": len(data.shape) if data and data.shape is not None else -1,
        "inputs": sum(tensor >= 0 for tensor in node.inputs),
    }
    if node.kind in CONVOLUTIONS:
        found |= _convolution(graph, node, data)
    if node.kind in CONVOLUTIONS | MATRIX:
        found |= _weights(graph, node, data)
    if node.kind in POOLS:
        found |= _pool(node, data)
    if node.kind in REDUCTIONS:
        found["axes"] = _axes(node, data)
    if node.kind in _PADS:
        found["pads"] = _pads(node)
    if node.kind == "softmax":
        found["beta_is_one"] = node.attributes.get("beta", 1.0) == 1.0
    if node.kind in {"resize_bilinear", "resize_nearest"}:
        found |= {key: bool(node.attributes.get(key, False)) for key in ("align_corners", "half_pixel")}
    if node.kind == "strided_slice":
        found |= _strided_slice(node)
    return found


def matches(condition: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether every key of a ``when`` table equals the fact, or lists it. A fact that the node does not have is ``None``."""
    return all(
        found.get(key) in wanted if isinstance(wanted, list) else found.get(key) == wanted
        for key, wanted in condition.items()
    )


def tensor_at(graph: Graph, indices: tuple[int, ...], slot: int) -> Tensor | None:
    """The tensor in an input or output slot, or ``None`` where the slot is missing or left out."""
    return graph.tensors[indices[slot]] if slot < len(indices) and indices[slot] >= 0 else None


def macs(graph: Graph, node: Node) -> int:
    """Multiply-accumulates of the ops that are made of them (convolutions and matrix products), padding counted as work."""
    data, output = tensor_at(graph, node.inputs, 0), tensor_at(graph, node.outputs, 0)
    if data is None or output is None or not data.shape or not output.shape:
        return 0
    made = abs(prod(output.shape))
    if node.kind in MATRIX:
        weights = tensor_at(graph, node.inputs, 1)
        if node.kind == "fully_connected" and weights is not None and weights.shape:
            return int(made * weights.shape[-1])
        return int(made * data.shape[-2 if node.attributes.get("transpose_a") and len(data.shape) > 1 else -1])
    kernel = int(prod(node.attributes.get("kernel", ())))
    if node.kind == "depthwise_conv2d":
        return made * kernel
    if node.kind in {"transpose_conv2d", "transpose_conv3d"}:
        return int(abs(prod(data.shape)) * kernel * output.shape[-1] // node.attributes.get("groups", 1))
    if node.kind in CONVOLUTIONS:
        return int(made * kernel * data.shape[-1] // node.attributes.get("groups", 1))
    return 0


def _convolution(graph: Graph, node: Node, data: Tensor | None) -> dict[str, Any]:
    kernel = tuple(node.attributes.get("kernel", ()))
    stride = tuple(node.attributes.get("stride", ()))
    dilated = any(step != 1 for step in node.attributes.get("dilation", ()))
    padding = tuple(node.attributes.get("padding", ()))
    multiplier = node.attributes.get("multiplier", 1)
    channels = data.shape[-1] if data and data.shape else -1
    plain_1x1 = all(size == 1 for size in kernel + stride) and not dilated
    return {
        "grouped": node.kind != "depthwise_conv2d" and node.attributes.get("groups", 1) != 1,
        "dilated": dilated,
        "multiplier": multiplier,
        "pointwise": plain_1x1 and not any(padding),
        # depthwiseconv_uint8_3x3_filter.h, Fast3x3FilterKernelSupported: 3x3, multiplier 1, stride 1 or 2 in both
        # directions, at most one pixel of padding, no dilation, and channels in eights.
        "fast_3x3": kernel == (3, 3)
        and multiplier == 1
        and stride in {(1, 1), (2, 2)}
        and not dilated
        and all(0 <= side <= 1 for side in padding)
        and channels % 8 == 0,
    }


def _weights(graph: Graph, node: Node, data: Tensor | None) -> dict[str, Any]:
    # A transposed convolution has its data in slot 0 and its weights in slot 1 like all the others (graph/ops.py).
    weights = tensor_at(graph, node.inputs, 1)
    kind = weights.dtype if weights else "none"
    return {"weights": kind, "hybrid": bool(data and data.dtype == "float32" and kind in _QUANTISED)}


def _pool(node: Node, data: Tensor | None) -> dict[str, Any]:
    kernel, stride = node.attributes.get("kernel", ()), node.attributes.get("stride", ())
    size = data.shape[1:3] if data and data.shape and len(data.shape) == 4 else ()
    return {
        "stride_exceeds_kernel": any(step > width for step, width in zip(stride, kernel, strict=False)),
        "global_pool": tuple(kernel) == tuple(size) and not any(node.attributes.get("padding", ())),
    }


def _axes(node: Node, data: Tensor | None) -> str:
    """``spatial``: exactly height and width of NHWC; ``channels``: the last dimension alone; else ``other``."""
    axes = node.attributes.get("axes")
    if axes is None or data is None or data.shape is None:
        return "unknown"
    if len(data.shape) == 4 and set(axes) == {1, 2}:
        return "spatial"
    return "channels" if set(axes) == {len(data.shape) - 1} else "other"


def _pads(node: Node) -> str:
    pads = node.attributes.get("pads")
    if pads is None:
        return "unknown"
    if any(side < 0 for pair in pads for side in pair):
        return "negative"
    inner = len(pads) == 4 and not any(pads[0]) and not any(pads[3])
    return "spatial" if inner else "other"


def _strided_slice(node: Node) -> dict[str, Any]:
    strides = node.attributes.get("strides")
    masks = ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    return {
        "constant": strides is not None and "begin" in node.attributes,
        "strided": strides is not None and any(step != 1 for step in strides),
        "reshaping_masks": any(node.attributes.get(mask, 0) for mask in masks),
    }
