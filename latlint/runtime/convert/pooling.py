"""Pools and reductions: onnx2tf's MaxPool.py, AveragePool.py, Reduce*.py."""

from __future__ import annotations

from typing import Any

from latlint.graph.types import Node
from latlint.runtime.convert.pieces import NO_ACTIVATION, around, copied, other, padded, same_padding, two_dimensional
from latlint.runtime.convert.writer import Order, Writer, channels_last, permuted


def pool(w: Writer, node: Node) -> None:
    """MaxPool.py, AveragePool.py: SAME where the padding is TensorFlow's, else an explicit pad and VALID."""
    i = node.inputs[0]
    order = channels_last(max(w.rank(i), 3))
    attributes = {**two_dimensional(copied(node, "kernel", "stride", "dilation", "padding")), "activation": "none"}
    dilation = attributes.pop("dilation", (1, 1))
    x = _as_image(w, w.read(i, order))
    x, uncounted = _padded_for_pool(w, node, x, attributes)
    kind, native = node.kind, ""
    if dilation != (1, 1):
        kind, native = "unknown", "FlexDilation2D" if node.kind == "max_pool2d" else node.native
    wide = w.source.tensors[node.outputs[0]]
    shape = permuted(wide.shape, order)
    if shape is not None and len(shape) == 3:
        shape = (shape[0], 1, *shape[1:])
    stored = w.stored_as(node.outputs[0])
    out = w.temporary(wide.name, shape, stored.dtype, stored.quantization)
    w.add(kind, [x], [out], attributes, origins=[node.index], native=native)
    if uncounted:
        # The zeros were counted; a factor for every position takes them out again.
        factors = w.filled((1, *(shape or ())[1:3], 1))
        corrected = w.temporary(wide.name, shape, stored.dtype, stored.quantization)
        w.add("mul", [out, factors], [corrected], dict(NO_ACTIVATION), origins=[node.index])
        out = corrected
    if shape is not None and wide.shape is not None and len(wide.shape) == 3:
        out = w.reshaped(out, permuted(wide.shape, order) or (), [node.index])
    w.is_new(node.outputs[0], out, order if wide.shape is not None else None)


def _as_image(w: Writer, x: int) -> int:
    """A value of one spatial axis as an image of one row."""
    shape = w.tensors[x].shape
    return w.reshaped(x, (shape[0], 1, *shape[1:])) if shape is not None and len(shape) == 3 else x


def _padded_for_pool(w: Writer, node: Node, x: int, attributes: dict[str, Any]) -> tuple[int, bool]:
    """The pool's input, padded where TensorFlow has no padding of that sort, and whether an average then counts zeros that
    it should not; ``attributes`` get the padding that is left."""
    shape, padding = w.tensors[x].shape, attributes.get("padding")
    if padding is None or shape is None or -1 in shape or not any(padding):
        return x, False
    counted = bool(node.attributes.get("count_include_pad"))
    same = padding == same_padding(shape[1:3], attributes["kernel"], attributes["stride"], (1, 1))
    # what ceil_mode adds is always an explicit pad (calc_extra_padding_with_ceil)
    if same and not counted and "ceil_mode" not in node.attributes:
        return x, False
    attributes["padding"] = (0, 0, 0, 0)
    return padded(w, x, around(padding), _pool_fill(w, node, x)), node.kind == "average_pool2d" and not counted


def _pool_fill(w: Writer, node: Node, x: int) -> float | None:
    """What an explicit pad before a pool is filled with: ``None`` for zeros, else the lowest number there is. MaxPool.py pads
    with zeros where it is to write an int8 model."""
    if node.kind != "max_pool2d" or w.tensors[x].dtype in ("int8", "uint8"):
        return None
    harmless = never_negative(w, node.inputs[0])
    if harmless and w.zero_padding:
        return None
    w.padded_pools.append((node.name, harmless))
    return -3.4028234663852886e38


#: Kinds whose results are at least zero, and kinds whose results are where their operands are.
_NOT_BELOW_ZERO = frozenset("relu relu6 relu_0_to_1 sigmoid hard_sigmoid abs exp softmax".split())
_KEEP_SIGN = frozenset("concat max_pool2d average_pool2d dropout identity reshape transpose add mul mean".split())


def never_negative(w: Writer, i: int) -> bool:
    """Is value ``i`` at least zero, whatever the input?"""
    if w.never_negative is None:
        found: set[int] = set()
        for node in w.source.nodes:
            kept = node.kind in _KEEP_SIGN and all(j in found for j in node.inputs if j >= 0)
            if kept or node.kind in _NOT_BELOW_ZERO:
                found.update(node.outputs)
        w.never_negative = found
    return i in w.never_negative


def reduction(w: Writer, node: Node) -> None:
    """Reduce*.py: over the stored axes."""
    i, axes = node.inputs[0], node.attributes.get("axes")
    if axes is None or i in w.folded or w.shape(i) is None:
        other(w, node)
        return
    value, keep = w.value(i), bool(node.attributes.get("keep_dims", True))
    stored = tuple(sorted(value.order.index(axis) for axis in axes))
    order = value.order
    if not keep:
        left = [axis for axis in order if axis not in axes]
        order = tuple(sorted(left).index(axis) for axis in left)
    attributes = {"axes": stored, "keep_dims": keep}
    if node.kind in ("reduce_l1", "reduce_l2"):
        _norm(w, node, stored, order)
        return
    outputs = [w.new(node.outputs[0], order)]
    w.add(node.kind, [value.tensor, w.integers(stored)], outputs, attributes, origins=[node.index])


def _norm(w: Writer, node: Node, axes: tuple[int, ...], order: Order) -> None:
    """tf.norm: the sum of absolute values, or the root of the sum of squares."""
    value = w.value(node.inputs[0])
    source = w.tensors[value.tensor]
    inner = w.temporary(f"{source.name}/abs", source.shape, source.dtype)
    two = node.kind == "reduce_l2"
    w.add("square" if two else "abs", [value.tensor], [inner], origins=[node.index])
    attributes = {"axes": axes, "keep_dims": bool(node.attributes.get("keep_dims", True))}
    if not two:
        w.add("sum", [inner, w.integers(axes)], [w.new(node.outputs[0], order)], attributes, origins=[node.index])
        return
    out = w.new(node.outputs[0], order)
    total = w.temporary(f"{source.name}/sum", w.tensors[out].shape, source.dtype)
    w.add("sum", [inner, w.integers(axes)], [total], attributes, origins=[node.index])
    w.add("sqrt", [total], [out], origins=[node.index])


def arg_extremum(w: Writer, node: Node) -> None:
    """ARG_MAX and ARG_MIN take the axis away; a RESHAPE brings it back where it is to be kept."""
    i, axis = node.inputs[0], node.attributes.get("axis")
    out_shape = w.shape(node.outputs[0])
    if axis is None or i in w.folded or out_shape is None:
        other(w, node)
        return
    value = w.value(i)
    left = [a for a in value.order if a != axis]
    order = tuple(sorted(left).index(a) for a in left)
    inputs, attributes = [value.tensor, w.integers([value.order.index(axis)], ())], {"axis": value.order.index(axis)}
    if not node.attributes.get("keep_dims", True):
        w.add(node.kind, inputs, [w.new(node.outputs[0], order)], attributes, origins=[node.index])
        return
    kept = permuted(out_shape, value.order) or ()
    flat = tuple(dim for place, dim in enumerate(kept) if place != value.order.index(axis))
    out = w.temporary(f"{w.source.tensors[node.outputs[0]].name}/flat", flat, "int64")
    w.add(node.kind, inputs, [out], attributes, origins=[node.index])
    w.is_new(node.outputs[0], w.reshaped(out, kept, [node.index]), value.order)
