"""Normalisation and softmax."""

from __future__ import annotations

from typing import Any

from latlint.graph.types import Node
from latlint.runtime.convert.pieces import AFFINE, NO_ACTIVATION, absorb, other, producer
from latlint.runtime.convert.writer import Order, Shape, Writer, identity


def batch_norm(w: Writer, node: Node) -> None:
    """Folded into a convolution before it; else MUL and ADD of constants (BatchNormalization.py). Statistics that the model computes, as tf2onnx
    writes a layer norm, are operands like others."""
    i = node.inputs[0]
    if any(slot not in w.folded for slot in node.inputs[1:5]):
        _by_statistics(w, node)
        return
    before = producer(w, i) if i in w.values else None
    if before is not None and before.kind in AFFINE and before.attributes.get("activation", "none") == "none":
        absorb(w, before, node, i)
        return
    value, shape = w.value(i), w.shape(i)
    channels = shape[1] if shape is not None and len(shape) > 1 else 0
    place = value.order.index(1) if 1 in value.order else 0
    trailing = len(value.order) - 1 - place
    vector = w.filled((max(channels, 0), *(1,) * trailing))
    source = w.tensors[value.tensor]
    scaled = w.temporary(f"{source.name}/scaled", source.shape, source.dtype)
    w.add("mul", [value.tensor, vector], [scaled], dict(NO_ACTIVATION), origins=[node.index])
    w.add("add", [scaled, vector], [w.new(node.outputs[0], value.order)], dict(NO_ACTIVATION), origins=[node.index])


def _by_statistics(w: Writer, node: Node) -> None:
    """``(x - mean) / sqrt(variance + epsilon) * scale + offset``, as far as it is by channel beforehand."""
    value = w.value(node.inputs[0])
    place = value.order.index(1) if 1 in value.order else 0
    shape = w.shape(node.inputs[0])
    channels = shape[1] if shape is not None and len(shape) > 1 else 0
    vector = (max(channels, 0), *(1,) * (len(value.order) - 1 - place))
    scale, offset, mean, variance = (
        w.constant_of(i, shape=vector) if i in w.folded else w.reshaped(w.read(i), vector) for i in node.inputs[1:5]
    )
    source = w.tensors[value.tensor]

    def step(kind: str, inputs: list[int], result: Shape | None = vector) -> int:
        out = w.temporary(f"{source.name}/{kind}/{len(w.tensors)}", result, source.dtype)
        attributes = {} if kind == "rsqrt" else dict(NO_ACTIVATION)
        w.add(kind, inputs, [out], attributes, origins=[node.index])
        return out

    root = step("rsqrt", [step("add", [variance, w.number(node.attributes.get("epsilon", 1e-5))])])
    factor = step("mul", [root, scale])
    shift = step("sub", [offset, step("mul", [mean, factor])])
    scaled = step("mul", [value.tensor, factor], source.shape)
    w.add("add", [scaled, shift], [w.new(node.outputs[0], value.order)], dict(NO_ACTIVATION), origins=[node.index])


def layer_norm(w: Writer, node: Node) -> None:
    """tf.keras.layers.LayerNormalization over the last axes (LayerNormalization.py)."""
    rank, axis = w.rank(node.inputs[0]), node.attributes.get("axis")
    if axis is None or rank == 0:
        other(w, node)
        return
    x, order = w.value(node.inputs[0]).tensor, w.value(node.inputs[0]).order
    if order[axis:] != tuple(range(axis, rank)):
        x, order = w.read(node.inputs[0]), identity(rank)
    _normalize(w, node, x, order, tuple(range(axis, rank)))


def instance_norm(w: Writer, node: Node) -> None:
    """InstanceNormalization.py: the same over the spatial axes."""
    rank = w.rank(node.inputs[0])
    if rank < 3:
        other(w, node)
        return
    value = w.value(node.inputs[0])
    _normalize(w, node, value.tensor, value.order, tuple(value.order.index(a) for a in range(2, rank)))


def _normalize(w: Writer, node: Node, x: int, order: Order, axes: tuple[int, ...]) -> None:
    """Ten ops, as Keras writes them: mean; squared difference; mean, + epsilon, rsqrt, * gamma; * x; * mean, beta -; +."""
    axes = tuple(sorted(axes))
    source = w.tensors[x]
    shape = source.shape or ()
    small = tuple(1 if axis in axes else dim for axis, dim in enumerate(shape))
    along = (order.index(1),) if node.kind == "instance_norm" else axes
    last = tuple(shape[axis] if axis in along else 1 for axis in range(len(shape)))
    gamma, beta = (_scale(w, node, slot, last) for slot in (1, 2))
    wide = _broadcast(small, last)

    def step(kind: str, inputs: list[int], result: Shape, attributes: dict[str, Any] | None = None) -> int:
        out = w.temporary(f"{source.name}/{kind}/{len(w.tensors)}", result, source.dtype)
        w.add(kind, inputs, [out], attributes or {}, origins=[node.index])
        return out

    reduced = {"axes": axes, "keep_dims": True}
    mean = step("mean", [x, w.integers(axes)], small, reduced)
    difference = step("squared_difference", [x, mean], shape)
    variance = step("mean", [difference, w.integers(axes)], small, reduced)
    shifted = step("add", [variance, w.number(node.attributes.get("epsilon", 1e-5))], small, dict(NO_ACTIVATION))
    root = step("rsqrt", [shifted], small)
    scale = step("mul", [root, gamma], wide, dict(NO_ACTIVATION))
    scaled = step("mul", [x, scale], shape, dict(NO_ACTIVATION))
    offset = step("sub", [beta, step("mul", [mean, scale], wide, dict(NO_ACTIVATION))], wide, dict(NO_ACTIVATION))
    w.add("add", [scaled, offset], [w.new(node.outputs[0], order)], dict(NO_ACTIVATION), origins=[node.index])


def _scale(w: Writer, node: Node, slot: int, full: Shape) -> int:
    """Gamma or beta, laid out to broadcast as ``full`` does; a constant where the source has none."""
    while full and full[0] == 1:
        full = full[1:]
    i = node.inputs[slot] if slot < len(node.inputs) else -1
    if i < 0:
        return w.filled(full)
    if i in w.folded:
        return w.constant_of(i, shape=full)
    return w.reshaped(w.read(i), full) if -1 not in full else w.read(i)


def _broadcast(a: Shape, b: Shape) -> Shape:
    return tuple(max(x, y) if x > 0 and y > 0 else -1 for x, y in zip(a, b, strict=True))


def softmax(w: Writer, node: Node) -> None:
    """SOFTMAX and LOG_SOFTMAX work on the last axis: another one is moved there."""
    i, axis, rank = node.inputs[0], node.attributes.get("axis"), w.rank(node.inputs[0])
    value = w.value(i)
    order = value.order
    if axis is not None and rank and order[-1] != axis:
        order = (*(a for a in order if a != axis), axis)
    attributes = {"axis": rank - 1} | ({"beta": 1.0} if node.kind == "softmax" else {})
    w.add(node.kind, [w.read(i, order)], [w.new(node.outputs[0], order)], attributes, origins=[node.index])
