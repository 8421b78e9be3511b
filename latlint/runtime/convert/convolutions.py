"""Convolutions: onnx2tf's Conv.py and ConvTranspose.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from latlint.graph.types import Node
from latlint.runtime.convert.pieces import around, padded, same_padding, sliced, two_dimensional
from latlint.runtime.convert.writer import Shape, Writer, channels_last, permuted

MAX_SPLIT_GROUPS = 4096


def convolution(w: Writer, node: Node) -> None:
    """Conv.py: SAME where output and input are of one size, else PAD and VALID; depthwise where every channel is a group."""
    data, merged = _behind_pad(w, node)
    shape, out_shape = w.shape(data), w.shape(node.outputs[0])
    filters = w.shape(node.inputs[1])
    kind, attributes = node.kind, dict(node.attributes)
    asks_same = attributes.pop("auto_pad", "") == "SAME_UPPER"
    rank = len(filters) if filters else 4
    if kind == "depthwise_conv2d" and len(set(attributes.get("stride", ()))) > 1:
        kind = "conv2d"
        attributes.pop("multiplier", None)
    order = channels_last(rank)
    x = w.read(data, order)
    padding = (
        tuple(a + b for a, b in zip(attributes.get("padding", ()), merged, strict=False))
        if merged
        else attributes.get("padding")
    )
    if padding is not None and shape is not None and out_shape is not None:
        if asks_same or _is_same(padding, shape[2:], out_shape[2:]):
            attributes["padding"] = padding
        else:
            x = padded(w, x, around(padding))
            attributes["padding"] = (0,) * len(padding)
    weights = _filter(w, node.inputs[1], kind)
    bias = _bias(w, node, filters[0] if filters else 0)
    if kind == "conv1d":
        _convolution_1d(w, node, x, weights, bias, attributes)
        return
    origins = [node.index, *([w.producers[node.inputs[0]].index] if merged else [])]
    w.add(kind, [x, weights, bias], [w.new(node.outputs[0], order)], attributes, origins=origins)


def _is_same(padding: tuple[int, ...], before: Shape, after: Shape) -> bool:
    return all(begin == end for begin, end in around(padding)[1:-1]) and before == after and -1 not in before


def _behind_pad(w: Writer, node: Node) -> tuple[int, tuple[int, ...]]:
    """The convolution's data, and the zero padding of a Pad before it that only it reads
    (onnxruntime's pad_fusion.cc, which simplification before conversion applies)."""
    data = node.inputs[0]
    pad = w.producers.get(data)
    if pad is None or not pads_into(w, pad, node):
        return data, ()
    pairs = pad.attributes["pads"]
    if len(pairs) == 4:
        return pad.inputs[0], (*pairs[2], *pairs[3])
    return pad.inputs[0], (*(p[0] for p in pairs[2:]), *(p[1] for p in pairs[2:]))


def pads_into(w: Writer, pad: Node, conv: Node) -> bool:
    """Does the constant zero Pad ``pad`` become part of ``conv``?"""
    pairs = pad.attributes.get("pads")
    if pad.kind != "pad" or pairs is None or conv.kind not in ("conv1d", "conv2d", "depthwise_conv2d", "conv3d"):
        return False
    plain = "auto_pad" not in conv.attributes and "padding" in conv.attributes
    spatial = not any(pairs[0]) and not any(pairs[1]) and all(n >= 0 for pair in pairs[2:] for n in pair)
    return plain and spatial and w.sole(pad.outputs[0]) and conv.inputs[0] == pad.outputs[0]


def _filter(w: Writer, i: int, kind: str) -> int:
    """The filter as TFLite stores it: (O, *kernel, I); depthwise (1, H, W, O); CONV_3D (D, H, W, I, O)."""
    shape = w.shape(i)
    if shape is None:
        return w.read(i)
    if kind == "depthwise_conv2d":
        return w.constant_of(i, shape=(1, *shape[2:], shape[0])) if i in w.folded else w.read(i, (1, 2, 3, 0))
    if kind == "conv3d":
        return w.read(i, (*range(2, len(shape)), 1, 0))
    return w.read(i, (0, *range(2, len(shape)), 1))


def _bias(w: Writer, node: Node, channels: int) -> int:
    """The bias; TensorFlow's converter adds one of zeros where there is none."""
    if len(node.inputs) > 2 and node.inputs[2] >= 0:
        return w.read(node.inputs[2])
    return w.vector(channels)


def _convolution_1d(w: Writer, node: Node, x: int, weights: int, bias: int, attributes: dict[str, Any]) -> None:
    """tf.nn.conv1d: a two-dimensional convolution of one row."""
    out_shape = permuted(w.shape(node.outputs[0]), channels_last(3))
    stored = w.tensors[x].shape
    attributes = two_dimensional(attributes)
    if stored is None or out_shape is None:
        w.add(
            "conv2d", [x, weights, bias], [w.new(node.outputs[0], channels_last(3))], attributes, origins=[node.index]
        )
        return
    row = w.reshaped(x, (stored[0], 1, *stored[1:]))
    filters = w.tensors[weights]
    if filters.shape is not None and len(filters.shape) == 3:
        shape = (filters.shape[0], 1, *filters.shape[1:])
        weights = w.tensor(replace(filters, shape=shape)) if filters.constant else w.reshaped(weights, shape)
    name = w.source.tensors[node.outputs[0]]
    wide = w.temporary(f"{name.name}/row", (out_shape[0], 1, *out_shape[1:]), name.dtype)
    w.add("conv2d", [row, weights, bias], [wide], attributes, origins=[node.index])
    w.is_new(node.outputs[0], w.reshaped(wide, out_shape, [node.index]), channels_last(3))


def transpose_convolution(w: Writer, node: Node) -> None:
    """ConvTranspose.py: SAME or VALID where TensorFlow has the same size; else VALID and a crop; groups as one op each. In three
    dimensions, and where sizes are not known, one op that keeps its groups stands for all of these."""
    rank = max(w.rank(node.inputs[0]), 3)
    order, attributes = channels_last(rank), dict(node.attributes)
    for name in ("output_padding", "auto_pad"):
        attributes.pop(name, None)
    x, groups = w.read(node.inputs[0], order), attributes.pop("groups", 1)
    shape, filters, out_shape = w.shape(node.inputs[0]), w.shape(node.inputs[1]), w.shape(node.outputs[0])
    if shape is None or filters is None or out_shape is None or rank != 4 or groups > MAX_SPLIT_GROUPS:
        attributes["groups"] = groups
        w.add(node.kind, [x, w.read(node.inputs[1])], [w.new(node.outputs[0], order)], attributes, origins=[node.index])
        return
    sizes = permuted(out_shape, order) or ()
    same = all(out == size * s for out, size, s in zip(sizes[1:3], shape[2:], attributes["stride"], strict=True))
    full = sizes
    if same and any(attributes.get("padding", ())):
        attributes["padding"] = same_padding(sizes[1:3], attributes["kernel"], attributes["stride"], (1, 1))
    else:
        reach = tuple(
            s * (n - 1) + (k - 1) * d + 1
            for n, k, s, d in zip(
                shape[2:], attributes["kernel"], attributes["stride"], attributes["dilation"], strict=True
            )
        )
        full = (sizes[0], *(max(r, n) for r, n in zip(reach, sizes[1:3], strict=True)), sizes[3])
    attributes |= {"groups": 1} if same or full == sizes else {"groups": 1, "padding": (0, 0, 0, 0)}
    out = _transposed_groups(w, node, x, groups, full, attributes)
    if full != sizes:
        top, _, left, _ = node.attributes.get("padding", (0, 0, 0, 0))
        begin = (0, top, left, 0)
        out = sliced(w, out, begin, tuple(b + n for b, n in zip(begin, sizes, strict=True)), [node.index])
    w.is_new(node.outputs[0], out, order)


def _transposed_groups(w: Writer, node: Node, x: int, groups: int, full: Shape, attributes: dict[str, Any]) -> int:
    """One TRANSPOSE_CONV, or SPLIT, one a group, CONCATENATION; the output's shape is ``full``."""
    filters = w.shape(node.inputs[1]) or ()
    name, dtype = w.source.tensors[node.outputs[0]].name, w.stored_as(node.outputs[0]).dtype
    sizes = w.integers((*full[:3], full[3] // groups))
    bias = node.inputs[2] if len(node.inputs) > 2 else -1
    if groups == 1:
        extra = [w.read(bias), sizes] if bias >= 0 else [-1, sizes]
        out = w.temporary(name, full, dtype)
        weights = w.read(node.inputs[1], (1, 2, 3, 0))
        w.add("transpose_conv2d", [x, weights, *extra], [out], attributes, origins=[node.index])
        return out
    stored = w.tensors[x]
    parts = [
        w.temporary(f"{name}/{g}/in", (*(stored.shape or ())[:3], filters[0] // groups), stored.dtype)
        for g in range(groups)
    ]
    w.add("split", [x, w.integers([3], ())], parts, {"axis": 3}, origins=[node.index])
    source = w.source.tensors[node.inputs[1]]
    outs = []
    for g, part in enumerate(parts):
        weights = w.tensor(
            replace(source, shape=(filters[1], *filters[2:], filters[0] // groups), constant=True, value=None)
        )
        outs.append(w.temporary(f"{name}/{g}", (*full[:3], full[3] // groups), dtype))
        w.add("transpose_conv2d", [part, weights, -1, sizes], [outs[-1]], attributes, origins=[node.index])
    out = w.temporary(name, full, dtype)
    w.add("concat", outs, [out], {"axis": 3, "activation": "none"}, origins=[node.index])
    if bias >= 0:
        total = w.temporary(f"{name}/bias", full, dtype)
        w.add("add", [out, w.read(bias)], [total], {"activation": "none"}, origins=[node.index])
        out = total
    return out
