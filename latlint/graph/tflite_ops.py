"""TFLite's builtin ops: the code each has in the schema, its kind in ``graph.ops``, and how its options become attributes.

Slots and defaults are those of ``tensorflow/lite/schema/schema.fbs``; what they mean is read from the op's kernel in
``tensorflow/lite/kernels/``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Sequence
from typing import Any

from latlint.graph.flatbuffer import BOOL, FLOAT32, INT8, INT32, MalformedError, Table
from latlint.graph.ops import KINDS, UNKNOWN
from latlint.graph.padding import same_padding
from latlint.graph.types import Tensor
from latlint.records import NamedTuple
from latlint.words import counted

#: ``BuiltinOperator`` of the schema, in order: the position is the code.
BUILTIN_NAMES = tuple(
    """
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR
    FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM
    MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS
    SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND
    TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT
    LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL
    LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW
    ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV
    REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS
    SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG
    ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM
    BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS HASHTABLE
    HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE
    BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1
    UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR
    RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM STABLEHLO_RESHAPE
    STABLEHLO_CLAMP STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION STABLEHLO_SLICE
    STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR
    STABLEHLO_LOG STABLEHLO_MINIMUM STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RSQRT
    STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT
    STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL
    STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE
    STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE
    """.split()
)

CUSTOM_CODE = BUILTIN_NAMES.index("CUSTOM")

_ACTIVATIONS = ("none", "relu", "relu_n1_to_1", "relu6", "tanh", "sign_bit")

Attributes = dict[str, Any]


class Operands(NamedTuple):
    """What an op's attributes are made from. ``inputs`` are in the order of ``graph.ops``; one left out is ``None``."""

    options: Table
    inputs: Sequence[Tensor | None]
    outputs: Sequence[Tensor | None]
    custom_options: bytes = b""

    def shape(self, slot: int) -> tuple[int, ...] | None:
        tensor = self.inputs[slot] if slot < len(self.inputs) else None
        return None if tensor is None else tensor.shape

    def output_shape(self) -> tuple[int, ...] | None:
        tensor = self.outputs[0] if self.outputs else None
        return None if tensor is None else tensor.shape

    def value(self, slot: int) -> tuple[Any, ...] | None:
        """The constant in input ``slot``, or ``None`` when it is computed at run time."""
        tensor = self.inputs[slot] if slot < len(self.inputs) else None
        return None if tensor is None else tensor.value

    def integers(self, slot: int) -> tuple[int, ...] | None:
        """``value(slot)`` of an operand that counts something: an axis, a size."""
        tensor = self.inputs[slot] if slot < len(self.inputs) else None
        if tensor is None or tensor.value is None:
            return None
        if tensor.dtype not in ("int32", "int64"):
            raise impossible(f"input {slot} of {tensor.dtype}, not int32 or int64")
        return tensor.value

    def activation(self, slot: int) -> str:
        code = self.options.number(slot, INT8)
        return _ACTIVATIONS[code] if 0 <= code < len(_ACTIVATIONS) else "unknown"


class Builtin(NamedTuple):
    """``options``: the code of the op's table in the schema's ``BuiltinOptions``, ``second_options`` in ``BuiltinOptions2``.
    ``order``: which native input comes where, when the native order is not that of ``graph.ops``."""

    kind: str
    options: int = 0
    attributes: Callable[[Operands], Attributes] | None = None
    order: tuple[int, ...] = ()
    second_options: int = 0


def impossible(message: str) -> MalformedError:
    return MalformedError(message, "LAT007")


def _known(**attributes: Any) -> Attributes:
    """The attributes that could be determined."""
    return {name: value for name, value in attributes.items() if value is not None}


def _axis(axis: int | None, shape: tuple[int, ...] | None, extra: int = 0) -> int | None:
    """``axis`` counted from the front; ``extra`` is 1 for an op that adds the axis."""
    if axis is None or shape is None:
        return None
    rank = len(shape) + extra
    # A scalar is let off: the reference kernels treat it as one element along axis 0.
    if not -rank <= axis < max(rank, 1):
        raise impossible(f"axis {axis} of a tensor of {rank} dimensions")
    return axis + rank if axis < 0 else axis


def _axes(axes: tuple[int, ...] | None, shape: tuple[int, ...] | None) -> tuple[int, ...] | None:
    if axes is None or shape is None:
        return None
    if len(axes) > 2 * len(shape) + 1:
        raise impossible(f"{len(axes)} axes for {len(shape)} dimensions")
    return tuple(sorted({axis for axis in (_axis(a, shape) for a in axes) if axis is not None}))


def _first(value: tuple[Any, ...] | None) -> Any:
    return value[0] if value else None


def _data(op: Operands, rank: int = 4) -> tuple[int, ...] | None:
    """The shape of the data input, which must have ``rank`` dimensions. (The output's is not asked for: it follows.)"""
    return _check_rank(op.shape(0), rank, "an input")


def _weights(op: Operands, rank: int = 4) -> tuple[int, ...] | None:
    """The shape of the weights, which must have ``rank`` dimensions of 1 or more."""
    shape = _check_rank(op.shape(1), rank, "a filter")
    if shape is not None and min(shape) < 1:
        raise impossible(f"a filter with a dimension of {min(shape)}")
    return shape


def _check_rank(shape: tuple[int, ...] | None, rank: int, what: str) -> tuple[int, ...] | None:
    if shape is not None and len(shape) != rank:
        raise impossible(f"{what} of {len(shape)} dimensions, not {rank}")
    return shape


def _strides(options: Table, slots: Sequence[int], default: int = 0) -> tuple[int, ...]:
    strides = tuple(options.number(slot, INT32, default) for slot in slots)
    if min(strides) < 1:
        raise impossible(f"a stride, dilation or window of {min(strides)}")
    return strides


def _same_padding(inputs: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> Any:
    """Padding that makes outputs of ``ceil(input / stride)``: begins and ends (``kernels/padding.h``), or ``None``."""
    begins, ends = [], []
    for size, k, s, d in zip(inputs, kernel, stride, dilation, strict=True):
        if size < 0 or k < 0:
            return None
        total = same_padding(size, k, s, d)
        begins.append(total // 2)
        ends.append(total - total // 2)
    return tuple(begins), tuple(ends)


def _padding(
    same: bool,
    inputs: Sequence[int] | None,
    kernel: Sequence[int] | None,
    stride: Sequence[int],
    dilation: Sequence[int],
) -> tuple[int, ...] | None:
    """``(top, bottom, left, right)`` in two dimensions; begins, then ends, in three."""
    pads: Any = ((0,) * len(stride),) * 2
    if same:
        if inputs is None or kernel is None:
            return None
        pads = _same_padding(inputs, kernel, stride, dilation)
        if pads is None:
            return None
    begins, ends = pads
    if len(stride) == 2:
        return begins[0], ends[0], begins[1], ends[1]
    return (*begins, *ends)


def _is_same(options: Table) -> bool:
    padding = options.number(0, INT8)
    if padding not in (0, 1):
        raise impossible(f"a padding of kind {padding}, neither SAME nor VALID")
    return bool(padding == 0)


def _groups(channels: int, filter_channels: int) -> int | None:
    """A grouped convolution shows only in its filter, which is as deep as one group (``kernels/conv.cc``)."""
    if channels < 0 or filter_channels < 0:
        return None
    if filter_channels == 0 or channels % filter_channels:
        raise impossible(f"a filter of {filter_channels} channels on an input of {channels}")
    return channels // filter_channels


def _multiplier(filter_channels: int, channels: int) -> int | None:
    """Outputs a channel of a depthwise convolution."""
    if channels < 0 or filter_channels < 0:
        return None
    if channels == 0 or filter_channels % channels:
        raise impossible(f"a depthwise filter of {filter_channels} channels on an input of {channels}")
    return filter_channels // channels


def _check_bias(op: Operands, weights: tuple[int, ...] | None, axis: int) -> None:
    """A bias has a number for each channel that is made, along ``axis`` of the weights."""
    bias = op.inputs[2] if len(op.inputs) > 2 else None
    if bias is None or weights is None or bias.elements is None or bias.elements == weights[axis]:
        return
    raise impossible(f"a bias of {bias.elements} for {weights[axis]} channels")


def _conv_2d(op: Operands) -> Attributes:
    data, weights = _data(op), _weights(op)
    _check_bias(op, weights, 0)
    groups = _groups(data[3], weights[3]) if data and weights else None
    if groups and weights and weights[0] >= 0 and weights[0] % groups:
        raise impossible(f"{weights[0]} filters in {groups} groups")
    _typed(op, (6,))
    return _window(op, _strides(op.options, (5, 4), 1)) | _known(groups=groups, activation=op.activation(3))


def _depthwise_conv_2d(op: Operands) -> Attributes:
    data, weights = _data(op), _weights(op)
    _check_bias(op, weights, 3)
    return _window(op, _strides(op.options, (6, 5), 1)) | _known(
        groups=data[3] if data and data[3] > 0 else None,
        # Not the option: the kernel, too, goes by the shapes (kernels/depthwise_conv.cc).
        multiplier=_multiplier(weights[3], data[3]) if data and weights else None,
        activation=op.activation(4),
    )


#: ``INT16_MAX``: older releases keep them in 16 bits, newer ones refuse larger ones.
_MAX_STRIDE = 32767


def _window(op: Operands, dilation: tuple[int, ...]) -> Attributes:
    """What both convolutions say of where their weights are laid on the image."""
    data, weights = _data(op), _weights(op)
    stride = _strides(op.options, (2, 1))
    if max(*stride, *dilation) > _MAX_STRIDE:
        raise impossible(f"a stride or dilation of {max(*stride, *dilation):,}")
    kernel = weights[1:3] if weights else None
    padding = _padding(_is_same(op.options), data and data[1:3], kernel, stride, dilation)
    return _known(kernel=kernel, stride=stride, dilation=dilation, padding=padding)


def _transpose_conv(op: Operands) -> Attributes:
    return _transposed(op, _strides(op.options, (2, 1)), _is_same(op.options)) | {"activation": op.activation(3)}


def _transposed(op: Operands, stride: tuple[int, ...], same: bool) -> Attributes:
    data, weights = _data(op), _weights(op)
    output = op.output_shape()
    kernel = weights[1:3] if weights else None
    # The padding is that of the convolution which it transposes, from its output to its input.
    padding = _padding(same, output[1:3] if output else None, kernel, stride, (1, 1))
    return _known(
        kernel=kernel,
        stride=stride,
        dilation=(1, 1),
        padding=padding,
        groups=_groups(data[3], weights[3]) if data and weights else None,
    )


def _conv_3d(op: Operands, transposed: bool = False) -> Attributes:
    data, weights = _data(op, 5), _weights(op, 5)
    stride, dilation = _strides(op.options, (1, 3, 2)), _strides(op.options, (5, 7, 6), 1)
    kernel = weights[:3] if weights else None
    padded = op.output_shape() if transposed else data
    spatial = padded[1:4] if padded else None
    return _known(
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        padding=_padding(_is_same(op.options), spatial, kernel, stride, dilation),
        groups=_groups(data[4], weights[4 if transposed else 3]) if data and weights else None,
        activation=op.activation(4),
    )


def _conv_3d_transpose(op: Operands) -> Attributes:
    return _conv_3d(op, transposed=True)


def _pool_2d(op: Operands) -> Attributes:
    data = _data(op)
    stride, kernel = _strides(op.options, (2, 1)), _strides(op.options, (4, 3))
    return _known(
        kernel=kernel,
        stride=stride,
        padding=_padding(_is_same(op.options), data and data[1:3], kernel, stride, (1, 1)),
        activation=op.activation(5),
    )


def _custom_transpose_conv(op: Operands) -> Attributes:
    """``Convolution2DTransposeBias``: its options are a C struct, ``TfLiteTransposeConvParams``."""
    padding, stride_w, stride_h = _c_struct(op.custom_options, 3)
    if min(stride_w, stride_h) < 1:
        raise impossible(f"a stride of {min(stride_w, stride_h)}")
    # kTfLitePaddingSame is 1 in core/c/builtin_op_data.h, unlike the schema's SAME.
    return _transposed(op, (stride_h, stride_w), padding == 1) | {"activation": "none"}


def _custom_max_pool(op: Operands) -> Attributes:
    """``MaxPoolingWithArgmax2D``: its options are a C struct, ``TfLitePoolParams``."""
    padding, stride_w, stride_h, width, height, activation = _c_struct(op.custom_options, 6)
    if min(stride_w, stride_h, width, height) < 1:
        raise impossible("a stride or window below 1")
    data, stride, kernel = _data(op), (stride_h, stride_w), (height, width)
    return _known(
        kernel=kernel,
        stride=stride,
        padding=_padding(padding == 1, data and data[1:3], kernel, stride, (1, 1)),
        activation=_ACTIVATIONS[activation] if 0 <= activation < len(_ACTIVATIONS) else "unknown",
    )


def _c_struct(options: bytes, fields: int) -> tuple[int, ...]:
    if len(options) < 4 * fields:
        raise impossible(f"a custom op's options take {len(options)} bytes, not {4 * fields}")
    return struct.unpack_from(f"<{fields}i", options)


def _activation_at(slot: int) -> Callable[[Operands], Attributes]:
    return lambda op: {"activation": op.activation(slot)}


def _lstm(op: Operands) -> Attributes:
    """What a full cell refuses (``CheckInputTensorDimensions`` in ``kernels/unidirectional_sequence_lstm.cc``): its weights and biases by slot."""
    if len(op.inputs) >= 20:
        for slot in (1, 2):
            if not (clip := op.options.number(slot, FLOAT32, 0.0)) >= 0:
                raise impossible(f"a clip of {clip:g}")
        into, back = op.shape(4), op.shape(8)
        if into and back and len(back) == 2:
            cells, units = into[0], back[1]
            wanted: dict[int, tuple[int, ...]] = {
                **dict.fromkeys(range(1, 5), (cells, into[-1])),
                **dict.fromkeys(range(5, 9), (cells, units)),
                **dict.fromkeys(range(9, 16), (cells,)),
                16: (units, cells),
                17: (units,),
            }
            for slot, shape in wanted.items():
                if (given := op.shape(slot)) is not None and given != shape:
                    raise impossible(f"input {slot} of {list(given)}, not {list(shape)}")
    return {"activation": op.activation(0)}


def _fully_connected(op: Operands) -> Attributes:
    _check_bias(op, _weights(op, 2), 0)
    if (order := op.options.number(1, INT8)) not in (0, 1):
        raise impossible(f"weights in an order {order} that there is not")
    _typed(op, (4,))
    return {"keep_num_dims": op.options.number(2, BOOL, False), "activation": op.activation(0)}


def _batch_matmul(op: Operands) -> Attributes:
    return {"transpose_a": op.options.number(0, BOOL, False), "transpose_b": op.options.number(1, BOOL, False)}


def _splits(slot: int) -> Callable[[Operands], Attributes]:
    """The axis is in input ``slot``."""

    def attributes(op: Operands) -> Attributes:
        _check_count(op, 0, len(op.outputs), "outputs")
        return _axis_from_input(slot)(op)

    return attributes


def _reduce(op: Operands) -> Attributes:
    return _known(axes=_axes(op.integers(1), op.shape(0)), keep_dims=op.options.number(0, BOOL, False))


def _concatenation(op: Operands) -> Attributes:
    # A scalar that is joined counts as a vector of one.
    axis = _axis(op.options.number(0, INT32), op.shape(0))
    return _known(axis=axis, activation=op.activation(1))


def _softmax(op: Operands) -> Attributes:
    shape = op.shape(0)
    return _known(axis=max(len(shape) - 1, 0) if shape is not None else None, beta=op.options.number(0, FLOAT32, 0.0))


def _log_softmax(op: Operands) -> Attributes:
    shape = op.shape(0)
    return _known(axis=max(len(shape) - 1, 0) if shape is not None else None)


def _cumsum(op: Operands) -> Attributes:
    exclusive, backwards = op.options.number(0, BOOL, False), op.options.number(1, BOOL, False)
    return _axis_from_input(1)(op) | {"exclusive": exclusive, "reverse": backwards}


def _axis_from_input(slot: int) -> Callable[[Operands], Attributes]:
    return lambda op: _known(axis=_axis(_first(op.integers(slot)), op.shape(0)))


def _gather(op: Operands) -> Attributes:
    axis, batch, indices = _axis(op.options.number(0, INT32), op.shape(0)), op.options.number(1, INT32), op.shape(1)
    if axis is not None and indices is not None:
        counted = batch + len(indices) if batch < 0 else batch
        if not 0 <= counted <= min(axis, len(indices)):
            raise impossible(f"{batch} batch dimensions of {len(indices)}, along axis {axis}")
    return _known(axis=axis, batch_dims=batch)


def _check_count(op: Operands, slot: int, count: int, what: str) -> None:
    """An option says how many operands there are; without options it says 0, and LiteRT refuses that, too."""
    said = op.options.number(slot, INT32)
    if said != count:
        raise impossible(f"{count} {what}, which its options say are {said}")


def _pack(op: Operands) -> Attributes:
    _check_count(op, 0, len(op.inputs), "inputs")
    return _known(axis=_axis(op.options.number(1, INT32), op.shape(0), extra=1))


def _unpack(op: Operands) -> Attributes:
    _check_count(op, 0, len(op.outputs), "outputs")
    return _known(axis=_axis(op.options.number(1, INT32), op.shape(0)))


def _reverse(op: Operands) -> Attributes:
    axes = op.shape(1)
    if axes is not None and len(axes) != 1:
        raise impossible(f"axes of {counted(len(axes), 'dimension')}")
    return {}


def _one_hot(op: Operands) -> Attributes:
    return _known(axis=_axis(op.options.number(0, INT32), op.shape(0), extra=1))


def _expand_dims(op: Operands) -> Attributes:
    return _known(axis=_axis(_first(op.integers(1)), op.shape(0), extra=1))


def _reshape(op: Operands) -> Attributes:
    """``shape``, where no operand says it (``kernels/reshape.cc``): that operand is a vector of int32."""
    operand = op.inputs[1] if len(op.inputs) > 1 else None
    if operand is not None and operand.dtype == "int32" and len(operand.shape or (0,)) == 1:
        return {}
    shape = op.options.vector(0, "i")
    return {"shape": () if shape == (0,) else shape}


def _svdf(op: Operands) -> Attributes:
    return {"rank": op.options.number(0, INT32), "activation": op.activation(1)}


def _squeeze(op: Operands) -> Attributes:
    shape = op.shape(0)
    axes = _axes(op.options.vector(0, "i"), shape)
    if shape and axes and (long := [axis for axis in axes if shape[axis] > 1]):
        raise impossible(f"axis {long[0]} of {shape[long[0]]} to leave out")
    return _known(axes=axes)


def _pads(op: Operands) -> tuple[tuple[int, int], ...] | None:
    shape, pads = op.shape(0), op.integers(1)
    if shape is not None and pads is not None and (len(pads) != 2 * len(shape) or min(pads, default=0) < 0):
        raise impossible(f"{len(pads)} paddings from {min(pads, default=0)} up for {len(shape)} dimensions")
    return _pairs(pads, shape)


def _pairs(value: tuple[int, ...] | None, shape: tuple[int, ...] | None) -> tuple[tuple[int, int], ...] | None:
    if value is None or shape is None:
        return None
    if len(value) % 2 or len(value) > 2 * len(shape):
        raise impossible(f"{len(value)} paddings for {len(shape)} dimensions")
    return tuple(zip(value[::2], value[1::2], strict=True))


def _pad(op: Operands) -> Attributes:
    return _known(pads=_pads(op))


def _pad_v2(op: Operands) -> Attributes:
    return _known(pads=_pads(op), value=_first(op.value(2)))


def _mirror_pad(op: Operands) -> Attributes:
    mode, pads, shape = op.options.number(0, INT8), _pads(op), op.shape(0)
    if mode not in (0, 1):
        raise impossible(f"a mode {mode} that there is not")
    if pads and shape and any(max(sides) > dim - (mode == 0) > 0 for sides, dim in zip(pads, shape, strict=True)):
        raise impossible(f"more to mirror than {'x'.join(map(str, shape))} has")
    return _known(pads=pads, mode="symmetric" if mode else "reflect")


def _batch_space(op: Operands) -> Attributes:
    return _known(block=op.integers(1), pads=_pairs(op.integers(2), op.shape(0)))


def _transpose(op: Operands) -> Attributes:
    shape, permutation = op.shape(0), op.integers(1)
    if shape is None or permutation is None:
        return {}
    axes = [_axis(axis, shape) for axis in permutation[: len(shape)]]
    if len(permutation) != len(shape) or len(set(axes)) != len(shape):
        raise impossible(f"a permutation of {len(permutation)} axes for {len(shape)} dimensions")
    return {"permutation": tuple(axes)}


def _per_dimension(op: Operands, slot: int) -> tuple[int, ...] | None:
    shape, value = op.shape(0), op.integers(slot)
    if shape is not None and value is not None and len(value) != len(shape):
        raise impossible(f"input {slot} of {len(value)} elements for {len(shape)} dimensions")
    return value


def _slice(op: Operands) -> Attributes:
    return _known(begin=_per_dimension(op, 1), size=_per_dimension(op, 2))


def _strided_slice(op: Operands) -> Attributes:
    names = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    masks = {name: op.options.number(slot, INT32) for slot, name in enumerate(names)}
    begin, end, strides = op.integers(1), op.integers(2), op.integers(3)
    if len({len(value) for value in (begin, end, strides) if value is not None}) > 1:
        raise impossible("a begin, end and strides of different lengths")
    if strides is not None and 0 in strides:
        raise impossible("a stride of 0")
    if op.options.number(5, BOOL, False):  # the end is told from the begin
        end = None if begin is None or end is None else tuple(b + e for b, e in zip(begin, end, strict=True))
        return _known(begin=begin, end=end, strides=strides, **masks, offset=True)
    return _known(begin=begin, end=end, strides=strides, **masks)


def _check_size(op: Operands) -> None:
    if (size := op.integers(1)) is not None and len(size) != 2:
        raise impossible(f"a size of {counted(len(size), 'number')}")


def _resize_bilinear(op: Operands) -> Attributes:
    _check_size(op)
    # Slots 0 and 1 are the retired new_height and new_width.
    return {"align_corners": op.options.number(2, BOOL, False), "half_pixel": op.options.number(3, BOOL, False)}


def _resize_nearest(op: Operands) -> Attributes:
    _check_size(op)
    return {"align_corners": op.options.number(0, BOOL, False), "half_pixel": op.options.number(1, BOOL, False)}


def _space_to_depth(op: Operands) -> Attributes:
    (block,), shape = _strides(op.options, (0,)), op.shape(0)
    if shape and len(shape) == 4 and any(dim % block for dim in shape[1:3] if dim > 1):  # an open one is taken as 1
        raise impossible(f"blocks of {block} on {shape[1]}x{shape[2]}")
    return {"block": block}


def _depth_to_space(op: Operands) -> Attributes:
    (block,), shape = _strides(op.options, (0,)), op.shape(0)
    if shape and len(shape) == 4 and shape[3] > 1 and shape[3] % block**2:
        raise impossible(f"blocks of {block} of {shape[3]} channels")
    return {"block": block}


def _leaky_relu(op: Operands) -> Attributes:
    return {"alpha": op.options.number(0, FLOAT32, 0.0)}


def _elu(op: Operands) -> Attributes:
    return {"alpha": 1.0}


#: How many types of tensors LiteRT 2.3 knows; int32 and int64.
_TYPES, _INDICES = 23, (2, 4)


def _typed(op: Operands, slots: Sequence[int], known: Collection[int] = range(_TYPES)) -> None:
    """Options that name a type, which Prepare, or the converter of options (``flatbuffer_conversions.cc``), must know."""
    for slot in slots:
        if (code := op.options.number(slot, INT8)) not in known:
            raise impossible(f"an option of type {code}, which it does not take")


def _shape(op: Operands) -> Attributes:
    _typed(op, (0,), _INDICES)
    return {}


def _arg(op: Operands) -> Attributes:
    _typed(op, (0,), _INDICES)
    return _axis_from_input(1)(op)


def _cast(op: Operands) -> Attributes:
    _typed(op, (0, 1))
    # Not from the options, which old converters left empty.
    output = op.outputs[0] if op.outputs else None
    return _known(to=output.dtype if output else None)


def _subgraphs(*slots: int) -> Callable[[Operands], Attributes]:
    """``subgraphs``: the numbers of the bodies that a control-flow op runs."""
    return lambda op: {"subgraphs": tuple(op.options.number(slot, INT32) for slot in slots)}


def _composite(op: Operands) -> Attributes:
    return {"composite": op.options.string(0), "subgraphs": (op.options.number(1, INT32),)}


_BUILTINS: dict[str, Builtin] = {
    "CONV_2D": Builtin("conv2d", 1, _conv_2d),
    "DEPTHWISE_CONV_2D": Builtin("depthwise_conv2d", 2, _depthwise_conv_2d),
    # Native inputs: the output's shape, weights, data, bias.
    "TRANSPOSE_CONV": Builtin("transpose_conv2d", 49, _transpose_conv, (2, 1, 3, 0)),
    "CONV_3D": Builtin("conv3d", 106, _conv_3d),
    "CONV_3D_TRANSPOSE": Builtin("transpose_conv3d", 106, _conv_3d_transpose, (2, 1, 3, 0)),
    "MAX_POOL_2D": Builtin("max_pool2d", 5, _pool_2d),
    "AVERAGE_POOL_2D": Builtin("average_pool2d", 5, _pool_2d),
    "L2_POOL_2D": Builtin("l2_pool2d", 5, _pool_2d),
    "FULLY_CONNECTED": Builtin("fully_connected", 8, _fully_connected),
    "BATCH_MATMUL": Builtin("batch_matmul", 101, _batch_matmul),
    "ADD": Builtin("add", 11, _activation_at(0)),
    "SUB": Builtin("sub", 28, _activation_at(0)),
    "MUL": Builtin("mul", 21, _activation_at(0)),
    "DIV": Builtin("div", 29, _activation_at(0)),
    "MEAN": Builtin("mean", 27, _reduce),
    "SUM": Builtin("sum", 27, _reduce),
    "REDUCE_MAX": Builtin("reduce_max", 27, _reduce),
    "REDUCE_MIN": Builtin("reduce_min", 27, _reduce),
    "REDUCE_PROD": Builtin("reduce_prod", 27, _reduce),
    "REDUCE_ANY": Builtin("reduce_any", 27, _reduce),
    "REDUCE_ALL": Builtin("reduce_all", 27, _reduce),
    "CONCATENATION": Builtin("concat", 10, _concatenation),
    # Native inputs: the axis, data.
    "SPLIT": Builtin("split", 35, _splits(1), (1, 0)),
    "SPLIT_V": Builtin("split_v", 79, _splits(2)),
    "SOFTMAX": Builtin("softmax", 9, _softmax),
    "LOG_SOFTMAX": Builtin("log_softmax", 36, _log_softmax),
    "ARG_MAX": Builtin("arg_max", 40, _arg),
    "ARG_MIN": Builtin("arg_min", 57, _arg),
    "CUMSUM": Builtin("cumsum", 102, _cumsum),
    "GATHER": Builtin("gather", 23, _gather),
    "PACK": Builtin("pack", 59, _pack),
    "UNPACK": Builtin("unpack", 64, _unpack),
    "ONE_HOT": Builtin("one_hot", 61, _one_hot),
    "EXPAND_DIMS": Builtin("expand_dims", 52, _expand_dims),
    "SQUEEZE": Builtin("squeeze", 30, _squeeze),
    "PAD": Builtin("pad", 22, _pad),
    "PADV2": Builtin("pad_v2", 43, _pad_v2),
    "MIRROR_PAD": Builtin("mirror_pad", 77, _mirror_pad),
    "BATCH_TO_SPACE_ND": Builtin("batch_to_space", 24, _batch_space),
    "SPACE_TO_BATCH_ND": Builtin("space_to_batch", 25, _batch_space),
    "TRANSPOSE": Builtin("transpose", 26, _transpose),
    "SLICE": Builtin("slice", 48, _slice),
    "STRIDED_SLICE": Builtin("strided_slice", 32, _strided_slice),
    "RESIZE_BILINEAR": Builtin("resize_bilinear", 15, _resize_bilinear),
    "RESIZE_NEAREST_NEIGHBOR": Builtin("resize_nearest", 74, _resize_nearest),
    "DEPTH_TO_SPACE": Builtin("depth_to_space", 94, _depth_to_space),
    "SPACE_TO_DEPTH": Builtin("space_to_depth", 19, _space_to_depth),
    "LEAKY_RELU": Builtin("leaky_relu", 75, _leaky_relu),
    "ELU": Builtin("elu", 0, _elu),
    "CAST": Builtin("cast", 37, _cast),
    "SHAPE": Builtin("shape", 55, _shape),
    "L2_NORMALIZATION": Builtin("l2_normalization", 12, _activation_at(0)),
    "LSTM": Builtin("lstm", 14, _lstm),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Builtin("lstm", 71, _lstm),
    "BIDIRECTIONAL_SEQUENCE_LSTM": Builtin("lstm", 69, _activation_at(0)),
    "RNN": Builtin("rnn", 7, _activation_at(0)),
    "UNIDIRECTIONAL_SEQUENCE_RNN": Builtin("rnn", 31, _activation_at(1)),
    "BIDIRECTIONAL_SEQUENCE_RNN": Builtin("rnn", 70, _activation_at(1)),
    "SVDF": Builtin("svdf", 6, _svdf),
    "RESHAPE": Builtin("reshape", 17, _reshape),
    "LOGISTIC": Builtin("sigmoid"),
    "LOCAL_RESPONSE_NORMALIZATION": Builtin("local_response_norm"),
    "TOPK_V2": Builtin("top_k"),
    "SELECT_V2": Builtin("select"),
    "REVERSE_V2": Builtin("reverse", attributes=_reverse),
    "REVERSE_SEQUENCE": Builtin("reverse"),
    "ZEROS_LIKE": Builtin("fill"),
    "RANDOM_STANDARD_NORMAL": Builtin("random", attributes=lambda op: {"distribution": "normal"}),
    "RANDOM_UNIFORM": Builtin("random"),
    "MULTINOMIAL": Builtin("random", attributes=lambda op: {"distribution": "classes"}),
    "NON_MAX_SUPPRESSION_V4": Builtin("non_max_suppression"),
    "NON_MAX_SUPPRESSION_V5": Builtin("non_max_suppression"),
    "IF": Builtin("if", 92, _subgraphs(0, 1)),
    "WHILE": Builtin("while", 93, _subgraphs(0, 1)),
    "CALL": Builtin("call", 16, _subgraphs(0)),
    "CALL_ONCE": Builtin("call", 103, _subgraphs(0)),
    "STABLEHLO_COMPOSITE": Builtin("call", 0, _composite, second_options=21),
    "STABLEHLO_WHILE": Builtin("while"),
    "VAR_HANDLE": Builtin("variable"),
}

#: Custom ops that runtimes know by name (``lite/delegates/gpu/common/custom_parsers.cc``, ``lite/kernels/detection_postprocess.cc``).
_CUSTOM: dict[str, Builtin] = {
    "TFLite_Detection_PostProcess": Builtin("detection_postprocess"),
    "Convolution2DTransposeBias": Builtin("transpose_conv2d", 0, _custom_transpose_conv),
    "MaxPoolingWithArgmax2D": Builtin("max_pool2d", 0, _custom_max_pool),
}


def builtin(code: int) -> tuple[str, Builtin]:
    """The native name and the description of the builtin op ``code``; one that is not known is ``unknown``."""
    if not 0 <= code < len(BUILTIN_NAMES):
        return f"BUILTIN_{code}", Builtin(UNKNOWN)
    name = BUILTIN_NAMES[code]
    kind = name.lower()
    return name, _BUILTINS.get(name) or Builtin(kind if kind in KINDS else UNKNOWN)


#: Custom ops that stand for a part of the model compiled for an accelerator -> what runs it.
_COMPILED = {
    "edgetpu-custom-op": "the Edge TPU",
    "ethos-u": "Arm's Ethos-U",
    "DISPATCH_OP": "an NPU, by LiteRT's ahead-of-time compiler",
    "NeutronGraph": "NXP's eIQ Neutron",
    "vsi-npu": "VeriSilicon's NPU",
}


def custom(name: str) -> Builtin:
    """The description of the custom op ``name``. One that was compiled for an accelerator has the attribute ``compiled_for``."""
    if place := _COMPILED.get(name):
        return Builtin(UNKNOWN, 0, lambda op: {"compiled_for": place})
    return _CUSTOM.get(name) or Builtin(UNKNOWN)
