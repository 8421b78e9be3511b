"""Ops that only move data: a TRANSPOSE is written where an op needs another order of axes, and not before."""

from __future__ import annotations

from latlint.graph.types import Node
from latlint.runtime.convert.pieces import PLAIN_MASKS, alias, common_order, copied, other
from latlint.runtime.convert.writer import Order, Shape, Writer, channels_last, identity, joined, permuted


def transpose(w: Writer, node: Node) -> None:
    """Only notes that the axes have other names now: a TRANSPOSE is written where an op needs another order."""
    permutation = node.attributes.get("permutation")
    if permutation is None or node.inputs[0] in w.folded:
        other(w, node)
        return
    value = w.value(node.inputs[0])
    if len(value.order) != len(permutation):
        other(w, node)
        return
    order = tuple(permutation.index(axis) for axis in value.order)
    w.values[node.outputs[0]] = value._replace(order=order, pending=joined(value.pending, (node.index,)))


def reshape(w: Writer, node: Node) -> None:
    """Reshape.py, Flatten.py and their like: back to the source's order of axes, then RESHAPE; a split or merge of channels
    (as in a channel shuffle) stays in place."""
    i, target = node.inputs[0], w.shape(node.outputs[0])
    source = w.shape(i)
    if target is None or source is None or i in w.folded:
        other(w, node)
        return
    if target == source:
        alias(w, node)
        return
    kept = _channels_regrouped(w, i, source, target)
    if kept is not None:
        x, order = kept
    else:
        value = w.value(i)
        trivial = [axis for axis in value.order if source[axis] != 1] == [
            a for a in range(len(source)) if source[a] != 1
        ]
        x, order = (value.tensor if trivial else w.read(i)), identity(len(target))
    out = w.reshaped(x, permuted(target, order) or (), [node.index])
    if out == x or w.written_by.get(out) is None:
        w.values[node.outputs[0]] = w.value(i)._replace(tensor=out, order=order, pending=())
        return
    w.is_new(node.outputs[0], out, order)


def _channels_regrouped(w: Writer, i: int, source: Shape, target: Shape) -> tuple[int, Order] | None:
    """The tensor to reshape and the result's order, when a reshape only splits channels stored last in two, or merges two.

    (N, C, *spatial) to (N, G, C/G, *spatial) and, after a transpose, back.
    """
    value, spatial = w.value(i), (0, *range(3, max(len(source), len(target))))
    if source[:1] != target[:1] or abs(len(source) - len(target)) != 1 or len(source) + len(target) < 9:
        return None
    if len(target) > len(source):
        splits = source[2:] == target[3:] and source[1] == target[1] * target[2]
        return (value.tensor, (*spatial, 1, 2)) if splits and value.order == channels_last(len(source)) else None
    merges = source[3:] == target[2:] and target[1] == source[1] * source[2]
    if merges and value.order[: len(spatial)] == spatial:
        return w.read(i, (*spatial, 1, 2)), channels_last(len(target))
    return None


def concat(w: Writer, node: Node) -> None:
    """CONCATENATION along the stored axis."""
    axis, rank = node.attributes.get("axis"), w.rank(node.outputs[0])
    if axis is None or not rank:
        other(w, node)
        return
    order, _ = common_order(w, node)
    operands = [w.read(i, order) for i in node.inputs if i >= 0]
    if len(operands) == 1:
        alias(w, node)
        return
    attributes = {"axis": order.index(axis), "activation": "none"}
    w.add("concat", operands, [w.new(node.outputs[0], order)], attributes, origins=[node.index])


def split(w: Writer, node: Node) -> None:
    i, axis = node.inputs[0], node.attributes.get("axis")
    if axis is None or i in w.folded or w.shape(i) is None:
        other(w, node)
        return
    value = w.value(i)
    stored = value.order.index(axis)
    outputs = [w.new(o, value.order) for o in node.outputs if o >= 0]
    inputs = [value.tensor, w.integers([stored], ())]
    if node.kind == "split_v":
        sizes = node.attributes.get("sizes") or ()
        inputs = [value.tensor, w.integers(sizes), w.integers([stored], ())]
    w.add(node.kind, inputs, outputs, {"axis": stored}, origins=[node.index])


def strided_slice(w: Writer, node: Node) -> None:
    i, begin = node.inputs[0], node.attributes.get("begin")
    if begin is None or i in w.folded:
        other(w, node)
        return
    if w.shape(i) == w.shape(node.outputs[0]) and min(node.attributes["strides"], default=1) > 0:
        alias(w, node)
        return
    order = w.value(i).order
    limits = [permuted(node.attributes[name], order) or () for name in ("begin", "end", "strides")]
    inputs = [w.value(i).tensor, *(w.integers(numbers) for numbers in limits)]
    attributes = {"begin": limits[0], "end": limits[1], "strides": limits[2], **PLAIN_MASKS}
    w.add("strided_slice", inputs, [w.new(node.outputs[0], order)], attributes, origins=[node.index])


def pad(w: Writer, node: Node) -> None:
    """PAD, PADV2 or MIRROR_PAD; none when the convolution after it takes it."""
    i, pads = node.inputs[0], node.attributes.get("pads")
    if pads is None or i in w.folded:
        other(w, node)
        return
    value = w.value(i)
    if not any(any(pair) for pair in pads):
        alias(w, node)
        return
    stored = tuple(pads[axis] for axis in value.order)
    inputs = [value.tensor, w.integers([n for pair in stored for n in pair], (len(stored), 2))]
    if node.kind == "pad_v2" and "value" in node.attributes:
        inputs.append(w.number(float(node.attributes["value"])))
    attributes = {"pads": stored, **copied(node, "value", "mode")}
    w.add(node.kind, inputs, [w.new(node.outputs[0], value.order)], attributes, origins=[node.index])


def resize(w: Writer, node: Node) -> None:
    """RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR to a constant size; only height and width can change."""
    i = node.inputs[0]
    shape, out_shape = w.shape(i), w.shape(node.outputs[0])
    if shape is None or out_shape is None or len(shape) != 4 or shape[:2] != out_shape[:2]:
        other(w, node)
        return
    order = channels_last(4)
    attributes = copied(node, "align_corners", "half_pixel")
    inputs = [w.read(i, order), w.integers(out_shape[2:])]
    w.add(node.kind, inputs, [w.new(node.outputs[0], order)], attributes, origins=[node.index])


def depth_to_space(w: Writer, node: Node) -> None:
    """DEPTH_TO_SPACE is ONNX's DCR mode; CRD (pixel shuffle) is reshape, transpose, reshape: for today's converters in the source's order."""
    i, block = node.inputs[0], node.attributes["block"]
    shape, order = w.shape(i), channels_last(4)
    out_shape = w.shape(node.outputs[0])
    crd = node.kind == "depth_to_space" and node.attributes.get("mode") == "CRD"
    if not crd or shape is None or out_shape is None or -1 in shape:
        x = w.read(i, order)
        w.add(node.kind, [x], [w.new(node.outputs[0], order)], {"block": block}, origins=[node.index])
        return
    n, c, h, width = shape
    if w.newest:
        channels_first = (0, 3, 1, 2)
        image = w.moved(w.read(i, order), channels_first, [node.index])
        six = w.reshaped(image, (n, c // block**2, block, block, h, width), [node.index])
        turned = w.reshaped(w.moved(six, (0, 1, 4, 2, 5, 3), [node.index]), out_shape, [node.index])
        w.is_new(node.outputs[0], w.moved(turned, order, [node.index]), order)
        return
    six = w.reshaped(w.read(i, order), (n, h, width, c // block**2, block, block), [node.index])
    turned = w.moved(six, (0, 1, 4, 2, 5, 3), [node.index])
    w.is_new(node.outputs[0], w.reshaped(turned, permuted(out_shape, order) or (), [node.index]), order)


def gather(w: Writer, node: Node) -> None:
    """GATHER along the stored axis; a scalar index takes the axis away."""
    i, axis, index_shape = node.inputs[0], node.attributes.get("axis"), w.shape(node.inputs[1])
    if axis is None or i in w.folded or index_shape is None or len(index_shape) > 1:
        other(w, node)
        return
    value = w.value(i)
    stored, order = value.order.index(axis), value.order
    if index_shape == ():
        left = [a for a in order if a != axis]
        order = tuple(sorted(left).index(a) for a in left)
    inputs = [value.tensor, w.read(node.inputs[1])]
    w.add("gather", inputs, [w.new(node.outputs[0], order)], {"axis": stored, "batch_dims": 0}, origins=[node.index])


def broadcast_to(w: Writer, node: Node) -> None:
    if w.shape(node.inputs[0]) == w.shape(node.outputs[0]):
        alias(w, node)
        return
    shape = w.shape(node.outputs[0])
    inputs = [w.read(node.inputs[0]), *([w.integers(shape)] if shape is not None else [])]
    w.add(node.kind, inputs, [w.new(node.outputs[0])], origins=[node.index])


def tile(w: Writer, node: Node) -> None:
    shape, out_shape = w.shape(node.inputs[0]), w.shape(node.outputs[0])
    inputs = [w.read(node.inputs[0])]
    if shape is not None and out_shape is not None and all(dim > 0 for dim in shape):
        inputs.append(w.integers(b // a for a, b in zip(shape, out_shape, strict=True)))
    w.add("tile", inputs, [w.new(node.outputs[0])], origins=[node.index])
