"""What the handlers of several kinds of op share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from latlint.graph.padding import same_padding as one_dimension
from latlint.graph.types import Node
from latlint.runtime.convert.writer import NewNode, Order, Shape, Writer, channels_last, identity, permuted

NO_ACTIVATION = {"activation": "none"}


#: STRIDED_SLICE with nothing but begin, end and strides.
PLAIN_MASKS = {"begin_mask": 0, "end_mask": 0, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 0}


#: Take up a constant per channel that follows them (optimize_patterns.td: FuseBinaryOpToPrecedingAffine,
#: FuseMulOrDivWithConv2dOrDepthwiseConv2d; optimize.cc: FuseFullyConnectedAndAdd, FuseFullyConnectedAndMul).
AFFINE = frozenset("conv2d depthwise_conv2d transpose_conv2d fully_connected".split())


def copied(node: Node, *names: str) -> dict[str, Any]:
    return {name: node.attributes[name] for name in names if name in node.attributes}


def producer(w: Writer, i: int) -> NewNode | None:
    """The op that wrote value ``i``, when nothing else reads the value and it is stored as written; for today's converters also where its
    axes only have other names since."""
    if i not in w.values or not w.sole(i):
        return None
    value = w.values[i]
    as_written = w.newest or not value.pending
    return w.written_by.get(value.tensor) if as_written and w.read_by[value.tensor] == 0 else None


def padded(w: Writer, tensor: int, pads: tuple[tuple[int, int], ...], fill: float | None = None) -> int:
    """``tensor`` behind an explicit PAD, or PADV2 with ``fill``; ``pads`` are in stored order."""
    if not any(any(pair) for pair in pads):
        return tensor
    source = w.tensors[tensor]
    shape = None
    if source.shape is not None:
        shape = tuple(
            -1 if dim < 0 else dim + before + after for dim, (before, after) in zip(source.shape, pads, strict=True)
        )
    out = w.temporary(f"{source.name}/pad", shape, source.dtype, source.quantization)
    table = w.integers([n for pair in pads for n in pair], (len(pads), 2))
    if fill is None:
        w.add("pad", [tensor, table], [out], {"pads": pads})
    else:
        w.add("pad_v2", [tensor, table, w.number(fill, source.dtype)], [out], {"pads": pads, "value": fill})
    return out


def around(padding: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """``(top, bottom, left, right)``, or begins and ends of three dims, as pads of a channels-last value."""
    if len(padding) == 4:
        spatial = ((padding[0], padding[1]), (padding[2], padding[3]))
        return ((0, 0), *spatial, (0, 0))
    half = len(padding) // 2
    return ((0, 0), *zip(padding[:half], padding[half:], strict=True), (0, 0))


def same_padding(sizes: Shape, kernel: Shape, stride: Shape, dilation: Shape) -> tuple[int, ...]:
    """What TensorFlow's SAME adds, ``(top, bottom, left, right)`` (kernels/padding.h)."""
    out: list[int] = []
    for size, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
        total = one_dimension(size, k, s, d)
        out += [total // 2, total - total // 2]
    return tuple(out)


def sliced(w: Writer, x: int, begin: Shape, end: Shape, origins: list[int]) -> int:
    """``x[begin:end]`` as STRIDED_SLICE."""
    ones = (1,) * len(begin)
    shape = tuple(b - a for a, b in zip(begin, end, strict=True))
    out = w.temporary(f"{w.tensors[x].name}/slice", shape, w.tensors[x].dtype)
    attributes = {"begin": begin, "end": end, "strides": ones, **PLAIN_MASKS}
    w.add(
        "strided_slice", [x, w.integers(begin), w.integers(end), w.integers(ones)], [out], attributes, origins=origins
    )
    return out


def two_dimensional(attributes: dict[str, Any]) -> dict[str, Any]:
    """A window over one dimension as one over two, of height 1."""
    out = dict(attributes)
    for name in ("kernel", "stride", "dilation"):
        if name in out and len(out[name]) == 1:
            out[name] = (1, *out[name])
    if len(out.get("padding", ())) == 2:
        out["padding"] = (0, 0, *out["padding"])
    return out


def chain(w: Writer, node: Node, *steps: tuple[str, dict[str, Any]], operands: tuple[float | None, ...] = ()) -> None:
    """One-input ops after another; where ``operands`` names a number, the step computes with it as second operand."""
    value = w.value(node.inputs[0])
    x, source = value.tensor, w.tensors[value.tensor]
    for place, (kind, attributes) in enumerate(steps):
        last = place == len(steps) - 1
        out = (
            w.new(node.outputs[0], value.order)
            if last
            else w.temporary(f"{source.name}/{kind}", source.shape, source.dtype)
        )
        number = operands[place] if place < len(operands) else None
        inputs = [x] if number is None else [x, w.number(number, source.dtype)]
        w.add(kind, inputs, [out], attributes, origins=[node.index])
        x = out


def alias(w: Writer, node: Node) -> None:
    """The output is the input."""
    value, shape = w.value(node.inputs[0]), w.shape(node.outputs[0])
    if shape is not None and (w.tensors[value.tensor].elements is None):
        order = value.order if len(value.order) == len(shape) else identity(len(shape))
        w.tensors[value.tensor] = replace(w.tensors[value.tensor], shape=permuted(shape, order))
        value = value._replace(order=order)
    w.values[node.outputs[0]] = value


def unary(w: Writer, node: Node) -> None:
    """One input, one output, in the order in which the input is stored."""
    chain(w, node, (node.kind, copied(node, "alpha", "to")))


def other(w: Writer, node: Node, native: str = "") -> None:
    """The same kind of op, its inputs and outputs in the source's order of axes; ``native`` where its name is not the kind's."""
    inputs = [w.read(i) if i >= 0 else -1 for i in node.inputs]
    attributes = dict(node.attributes)
    native = native or (node.native if node.kind == "unknown" else "")
    w.add(
        node.kind, inputs, [w.new(i) for i in node.outputs if i >= 0], attributes, origins=[node.index], native=native
    )


def common_order(w: Writer, node: Node) -> tuple[Order, int]:
    """The order to store the result in, and its rank: channels last where an image is among the operands, else the source's
    own where an operand has it, else the first operand's."""
    rank = w.rank(node.outputs[0])
    orders = [w.values[i].order for i in node.inputs if i in w.values and w.rank(i) == rank]
    orders = [order for order in orders if len(order) == rank]
    if rank >= 4 and channels_last(rank) in orders:
        return channels_last(rank), rank
    return (identity(rank) if identity(rank) in orders or not orders else orders[0]), rank


def absorb(w: Writer, before: NewNode, node: Node, data: int) -> None:
    before.origins.append(node.index)
    if before.inputs[2:3] == [-1] and node.kind in ("add", "sub", "batch_norm"):
        shape = w.tensors[before.outputs[0]].shape
        before.inputs[2] = w.vector(shape[-1] if shape else 0)
    value = w.values[data]
    w.is_new(node.outputs[0], before.outputs[0], value.order)
    w.values[node.outputs[0]] = w.values[node.outputs[0]]._replace(pending=value.pending)
