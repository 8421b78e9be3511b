"""The delegate's graph transformations, in the order in which it applies them
(tensorflow/lite/delegates/gpu/common/transformations/, model_transformations.cc)."""

from __future__ import annotations

from collections.abc import Callable

from latlint.runtime.gpu.model import Model, Op

_CONVOLUTIONS = frozenset({"convolution_2d", "depthwise_convolution", "convolution_transposed", "fully_connected"})


def transform(model: Model) -> None:
    """Applies every transformation to every op in turn; removed ops end up in ``model.free`` or in the op that absorbed them."""
    for apply in _TRANSFORMATIONS:
        for op in model.ops:
            if op.alive:
                apply(model, op)
        model.ops = [op for op in model.ops if op.alive]


def _larger_operand_first(model: Model, op: Op) -> None:
    """ADD and MUL with two run-time operands: the one with the larger map goes first (model_builder.cc)."""
    if op.name not in ("add", "mul") or len(op.inputs) != 2:
        return
    (_, h0, w0, c0), (_, h1, w1, c1) = (model.bhwc(value) for value in op.inputs)
    if h0 <= h1 and w0 <= w1 and c0 == c1:
        model.swap_inputs(op)


def _rename_single_input_movers(model: Model, op: Op) -> None:
    """PACK, SPLIT of one tensor only change the shape."""
    if (op.kind in ("split", "split_v") and len(op.outputs) == 1) or (op.kind == "pack" and op.arity == 1):
        op.name = "reshape"


def _remove_no_ops(model: Model, op: Op) -> None:
    """Resize to the same size, CONCAT of one tensor, RESHAPE and STRIDED_SLICE that change nothing: gone.

    A RESHAPE that makes an output of the partition stays (remove_noop.cc)."""
    if len(op.inputs) != 1 or len(op.outputs) != 1 or op.outputs[0] in model.outputs:
        return
    same = model.bhwc(op.inputs[0]) == model.bhwc(op.outputs[0])
    if same and (op.name in ("resize", "reshape", "slice") or (op.name == "concat" and op.arity == 1)):
        model.free.append((op, f"{op.name} that changes nothing: removed"))
        model.bypass(op)


def _pointwise_to_fully_connected(model: Model, op: Op) -> None:
    """A 1x1 convolution of a 1x1 map is a fully connected layer (make_fully_connected.cc)."""
    if op.name != "convolution_2d" or len(op.inputs) != 1 or op.attributes.get("groups", 1) != 1:
        return
    _, height, width, _ = model.bhwc(op.inputs[0])
    if height == width == 1 and is_plain_pointwise(op):
        op.name = "fully_connected"
        op.notes.append("a 1x1 convolution of a 1x1 map runs as fully_connected")


def is_plain_pointwise(op: Op) -> bool:
    """A 1x1 convolution without stride, dilation or padding."""
    get = op.attributes.get
    ones = (get("kernel", (1, 1)), get("stride", (1, 1)), get("dilation", (1, 1)))
    return all(value == 1 for pair in ones for value in pair) and not any(get("padding", (0,) * 4))


def _merge_padding(names: frozenset[str]) -> Callable[[Model, Op], None]:
    """A PAD of zeros in height and width becomes padding of the one op that reads it (merge_padding_with.cc)."""

    def apply(model: Model, op: Op) -> None:
        if op.name not in names or not op.inputs:
            return
        pad = model.producers.get(op.inputs[0])
        if pad is None or pad.kind != "pad" or model.only_consumer(pad) is not op:
            return
        pads = op_pads(pad)
        if any(pads[0] + pads[3]) or min(pads[1] + pads[2]) < 0:
            return
        top, bottom, left, right = op.attributes.get("padding", (0, 0, 0, 0))
        (t, b), (le, r) = pads[1:3]
        op.attributes["padding"] = (top + t, bottom + b, left + le, right + r)
        model.absorb_producer(op, pad)

    return apply


def _drop_channel_padding_of_add(model: Model, op: Op) -> None:
    """Zeros after the last channel, added to another tensor, change nothing where slices are whole (merge_padding_with.cc)."""
    add = model.sole_reader(op) if op.kind == "pad" else None
    if add is None or add.name != "add" or add.operand or model.bhwc(op.inputs[0])[3] % 4:
        return
    *others, channels = op_pads(op)
    if not any(value for pair in others for value in pair) and channels[0] == 0 and channels[1] >= 0:
        model.absorb_producer(add, op)


def op_pads(pad: Op) -> tuple[tuple[int, int], ...]:
    """(before, after) for batch, height, width, channels."""
    pads = tuple((int(before), int(after)) for before, after in pad.attributes["pads"])
    return pads if len(pads) == 4 else (pads[0], (0, 0), *pads[1:])


def _fold_following(name: str) -> Callable[[Model, Op], None]:
    """MUL or ADD of a constant per channel after a convolution goes into its weights and bias (fuse_*_to_conv.cc)."""

    def apply(model: Model, op: Op) -> None:
        while op.name in _CONVOLUTIONS and len(op.inputs) == 1:
            reader = model.only_consumer(op)
            if reader is None or reader.name != name or reader.operand not in ("scalar", "linear"):
                return
            if model.bhwc(reader.inputs[0]) != model.bhwc(reader.outputs[0]):
                return
            model.absorb_consumer(op, reader)

    return apply


def _fold_preceding_mul(model: Model, op: Op) -> None:
    """MUL by a constant per channel before a convolution goes into its weights (fuse_mul_to_conv.cc)."""
    while op.name in _CONVOLUTIONS and len(op.inputs) == 1:
        mul = model.producers.get(op.inputs[0])
        if mul is None or mul.name != "mul" or mul.operand not in ("scalar", "linear"):
            return
        if model.only_consumer(mul) is not op or model.bhwc(mul.inputs[0]) != model.bhwc(mul.outputs[0]):
            return
        model.absorb_producer(op, mul)


def _global_pool_to_mean(model: Model, op: Op) -> None:
    """An average pool over the whole map is a mean (global_pooling_to_reduce_op.cc)."""
    if op.kind != "average_pool2d" or any(op.attributes.get("padding", ())):
        return
    _, height, width, _ = model.bhwc(op.inputs[0])
    _, out_height, out_width, _ = model.bhwc(op.outputs[0])
    if tuple(op.attributes.get("kernel", ())) == (height, width) and out_height == out_width == 1:
        op.name = "mean"
        op.notes.append("a pool over the whole map runs as mean")


_TRANSFORMATIONS: tuple[Callable[[Model, Op], None], ...] = (
    _larger_operand_first,
    _rename_single_input_movers,
    _remove_no_ops,
    _pointwise_to_fully_connected,
    _merge_padding(frozenset({"convolution_2d"})),
    _merge_padding(frozenset({"pooling_2d"})),
    _merge_padding(frozenset({"depthwise_convolution"})),
    _fold_following("mul"),
    _fold_following("add"),
    _fold_preceding_mul,
    _drop_channel_padding_of_add,
    _global_pool_to_mean,
)
