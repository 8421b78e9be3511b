"""TFLite files made from nothing but shapes: what ``profile_here`` times and ``kit`` writes. No TensorFlow; weights are zero.

Zero weights cost what any others do in dense kernels, and spare denormal numbers, which would not. A file depends only on what was asked
for: the same calls give the same bytes. Constants of the same content are there once, as converters write them, which makes a file half as large;
XNNPACK packs the weights of each op for itself all the same. A quantised network is int8 as TensorFlow's converter writes it: weights with a scale for each
output channel, biases int32 (``tensorflow.org/lite/performance/quantization_spec``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import flatbuffers
import tflite

Shape = tuple[int, ...]
_SAME, _VALID = tflite.Padding.SAME, tflite.Padding.VALID
_ACTIVATIONS = {
    "none": tflite.ActivationFunctionType.NONE,
    "relu": tflite.ActivationFunctionType.RELU,
    "relu6": tflite.ActivationFunctionType.RELU6,
}
#: The newest op versions that these files need: a grouped convolution asks for none above 1 ...
_VERSION = 1
_VERSIONS = {"BROADCAST_TO": 2}
#: ... but int8 does, of these ops (``tensorflow/lite/tools/versioning/op_version.cc``).
_INT8_VERSIONS = {
    "ADD": 2,
    "AVERAGE_POOL_2D": 2,
    "CONCATENATION": 2,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    "LOGISTIC": 2,
    "MAX_POOL_2D": 2,
    "MEAN": 2,
    "MUL": 2,
    "PAD": 2,
    "SOFTMAX": 2,
}
#: Scales of an int8 network: of activations and of weights; scale and zero of what these ops write, whose range is fixed.
_SCALE, _WEIGHT_SCALE = 0.05, 0.01
_RANGES = {
    "LOGISTIC": (1 / 256, -128),
    "SOFTMAX": (1 / 256, -128),
    "LOG_SOFTMAX": (16 / 256, 127),
    "TANH": (1 / 128, 0),
    "L2_NORMALIZATION": (1 / 128, 0),
}
_SCHEMA_VERSION = 3
#: Bytes of one element; four of any other type.
_ITEMS = {tflite.TensorType.INT8: 1, tflite.TensorType.BOOL: 1, tflite.TensorType.INT16: 2, tflite.TensorType.INT64: 8}
#: Its name, inputs, outputs, table of options and that table's fields.
_Op = tuple[str, tuple[int, ...], tuple[int, ...], str, Mapping[str, Any]]


class Network:
    """A network under construction, float32 or ``quantized`` to int8: each method adds one op and returns the index of the tensor that it writes.

    Maps are NHWC with batch 1, padding is SAME. ``shape`` gives a tensor's shape, ``finish`` the file.
    """

    def __init__(self, *input_shapes: Shape, quantized: bool = False) -> None:
        self.quantized = quantized
        self._filters: dict[int, int] = {}  # the dimension of the output channels
        self._biases: set[int] = set()
        self._states: set[int] = set()
        self._shapes: list[Shape] = []
        self._constants: dict[int, bytes | None] = {}  # None: zeros
        self._types: dict[int, int] = {}
        self._scales: dict[int, float] = {}
        self._ops: list[_Op] = []
        self.inputs = tuple(self._tensor(shape) for shape in input_shapes)

    def shape(self, tensor: int) -> Shape:
        return self._shapes[tensor]

    def conv2d(
        self, x: int, channels: int, kernel: int = 1, stride: int = 1, activation: str = "none", groups: int = 1
    ) -> int:
        """Over a map of one row the kernel is one row as well: a convolution over time."""
        batch, height, width, depth = self.shape(x)
        if depth % groups or channels % groups:
            raise ValueError(f"{groups} groups do not divide {depth} and {channels} channels")
        weights = self._filter(0, channels, kernel if height > 1 else 1, kernel, depth // groups)
        out = (batch, -(-height // stride), -(-width // stride), channels)
        options = _strides(stride) | _activation(activation)
        return self._op("CONV_2D", (x, weights, self._bias(channels)), out, "Conv2DOptions", options)

    def depthwise_conv2d(self, x: int, kernel: int = 3, stride: int = 1, activation: str = "none") -> int:
        batch, height, width, depth = self.shape(x)
        weights = self._filter(3, 1, kernel, kernel, depth)
        out = (batch, -(-height // stride), -(-width // stride), depth)
        options = _strides(stride) | _activation(activation) | {"DepthMultiplier": 1}
        inputs = (x, weights, self._bias(depth))
        return self._op("DEPTHWISE_CONV_2D", inputs, out, "DepthwiseConv2DOptions", options)

    def fully_connected(self, x: int, channels: int, activation: str = "none") -> int:
        """Over the last dimension; the others are kept."""
        inputs = (x, self._filter(0, channels, self.shape(x)[-1]), self._bias(channels))
        out = (*self.shape(x)[:-1], channels)
        options = _activation(activation) | {"KeepNumDims": len(out) > 2}
        return self._op("FULLY_CONNECTED", inputs, out, "FullyConnectedOptions", options)

    def batch_matmul(self, x: int, y: int) -> int:
        out = (*self.shape(x)[:-1], self.shape(y)[-1])
        return self._op("BATCH_MATMUL", (x, y), out, "BatchMatMulOptions", {"AdjX": False, "AdjY": False})

    def reshape(self, x: int, *shape: int) -> int:
        table = self._tensor((len(shape),), _bytes(shape), tflite.TensorType.INT32)
        return self._op("RESHAPE", (x, table), shape, "ReshapeOptions", {})

    def transpose(self, x: int, *order: int) -> int:
        table = self._tensor((len(order),), _bytes(order), tflite.TensorType.INT32)
        out = tuple(self.shape(x)[axis] for axis in order)
        return self._op("TRANSPOSE", (x, table), out, "TransposeOptions", {})

    def layer_norm(self, x: int) -> int:
        """Over the last dimension, in single steps."""
        centred = self._op("SUB", (x, self._sum(x)), self.shape(x), "SubOptions", _activation("none"))
        variance = self._sum(self.mul(centred, centred))
        scaled = self.mul(centred, self._op("RSQRT", (variance,), self.shape(variance), "", {}))
        return self.scale(scaled)

    def _sum(self, x: int) -> int:
        """Over the last dimension, times a constant."""
        shape = self.shape(x)
        axes = self._tensor((1,), _bytes((len(shape) - 1,)), tflite.TensorType.INT32)
        total = self._op("SUM", (x, axes), (*shape[:-1], 1), "ReducerOptions", {"KeepDims": True})
        return self.mul(total, self._zeros(1))

    def gelu(self, x: int) -> int:
        return self._op("GELU", (x,), self.shape(x), "GeluOptions", {"Approximate": False})

    def prelu(self, x: int) -> int:
        """As litert-torch writes it: a comparison, a product, a choice."""
        shape = self.shape(x)
        positive = self._op("GREATER", (x, self._zeros(1)), shape, "GreaterOptions", {})
        self._types[positive] = tflite.TensorType.BOOL
        return self._op("SELECT_V2", (positive, x, self.mul(x, self._zeros(shape[-1]))), shape, "SelectV2Options", {})

    def add(self, x: int, y: int, activation: str = "none") -> int:
        return self._op("ADD", (x, y), _broadcast(self.shape(x), self.shape(y)), "AddOptions", _activation(activation))

    def mul(self, x: int, y: int, activation: str = "none") -> int:
        return self._op("MUL", (x, y), _broadcast(self.shape(x), self.shape(y)), "MulOptions", _activation(activation))

    def scale(self, x: int, activation: str = "none") -> int:
        """MUL and ADD by constants, one a channel: a batch normalisation that was not folded."""
        channels = self.shape(x)[-1]
        return self.add(self.mul(x, self._zeros(channels)), self._zeros(channels), activation)

    def max_pool2d(self, x: int, kernel: int, stride: int) -> int:
        return self._pool("MAX_POOL_2D", x, kernel, stride)

    def average_pool2d(self, x: int, kernel: int, stride: int) -> int:
        return self._pool("AVERAGE_POOL_2D", x, kernel, stride)

    def mean(self, x: int, keep_dims: bool = True) -> int:
        """Over height and width."""
        batch, _, _, channels = self.shape(x)
        axes = self._tensor((2,), _bytes((1, 2)), tflite.TensorType.INT32)
        out = (batch, 1, 1, channels) if keep_dims else (batch, channels)
        return self._op("MEAN", (x, axes), out, "ReducerOptions", {"KeepDims": keep_dims})

    def concat(self, *tensors: int) -> int:
        """Along channels."""
        out = (*self.shape(tensors[0])[:-1], sum(self.shape(tensor)[-1] for tensor in tensors))
        return self._op("CONCATENATION", tensors, out, "ConcatenationOptions", {"Axis": 3} | _activation("none"))

    def pad(self, x: int, border: int = 1) -> int:
        """Zeros around height and width."""
        batch, height, width, channels = self.shape(x)
        pads = (0, 0, border, border, border, border, 0, 0)
        table = self._tensor((4, 2), _bytes(pads), tflite.TensorType.INT32)
        return self._op("PAD", (x, table), (batch, height + 2 * border, width + 2 * border, channels), "PadOptions", {})

    def hard_swish(self, x: int) -> int:
        return self._op("HARD_SWISH", (x,), self.shape(x), "HardSwishOptions", {})

    def sigmoid(self, x: int) -> int:
        return self._op("LOGISTIC", (x,), self.shape(x), "", {})

    def relu(self, x: int) -> int:
        return self._op("RELU", (x,), self.shape(x), "", {})

    def softmax(self, x: int) -> int:
        return self._op("SOFTMAX", (x,), self.shape(x), "SoftmaxOptions", {"Beta": 1.0})

    def op(
        self,
        name: str,
        inputs: Sequence[int],
        *shapes: Shape,
        options: str = "",
        dtype: int | None = None,
        **values: Any,
    ) -> tuple[int, ...]:
        """Any op, as the schema names it, its table of ``options`` and that table's fields: one output for each of ``shapes``, all of type ``dtype``."""
        outputs = tuple(self._tensor(shape) for shape in shapes)
        if dtype is not None:
            self._types |= dict.fromkeys(outputs, dtype)
        self._ops.append((name, tuple(inputs), outputs, options, values))
        return outputs

    def constant(self, values: Sequence[int], shape: Shape | None = None) -> int:
        """int32 numbers, as axes and sizes are given: a vector of them, or of a ``shape``."""
        return self._tensor((len(values),) if shape is None else shape, _bytes(values), tflite.TensorType.INT32)

    def zeros(self, *shape: int) -> int:
        """A constant of the network's type."""
        return self._zeros(*shape)

    def state(self, *shape: int) -> int:
        """A variable, which keeps its value from one inference to the next."""
        self._states.add(self._tensor(shape))
        return len(self._shapes) - 1

    def typed(self, tensor: int, dtype: int, scale: float = 0.0) -> int:
        """``tensor``, of another type than the network's; where it is quantised, with a ``scale`` and zero as zero."""
        self._types[tensor] = dtype
        if scale:
            self._scales[tensor] = scale
        return tensor

    def finish(self, *outputs: int) -> bytes:
        """The file, with ``outputs`` as the graph's."""
        zeros = sum(self._bytes(index) for index in self._constants)
        builder = flatbuffers.Builder(zeros + (1 << 16))  # large enough from the start: to grow is to copy
        codes = sorted({name for name, *_ in self._ops})
        ranges = {output: _RANGES[name] for name, _, written, *_ in self._ops if name in _RANGES for output in written}
        buffers = [_table(builder, "Buffer", {})]
        held: dict[bytes | int, int] = {}
        tensors = []
        for index, shape in enumerate(self._shapes):
            number = 0
            if index in self._constants:
                content = self._constants[index] or self._bytes(index)
                if content not in held:
                    held[content] = len(buffers)
                    data = _aligned(builder, content if isinstance(content, bytes) else bytes(content))
                    buffers.append(_table(builder, "Buffer", {"Data": data}))
                number = held[content]
            fields = {"Shape": _ints(builder, shape), "Type": self._type(index), "Buffer": number}
            if index in self._states:
                fields["IsVariable"] = True
            if index in self._scales:
                fields["Quantization"] = self._quantization(builder, index, self._scales[index], 0)
            elif self.quantized and index not in self._types:
                fields["Quantization"] = self._quantization(builder, index, *ranges.get(index, (_SCALE, 0)))
            name = builder.CreateString(f"tensor_{index}")
            tensors.append(_table(builder, "Tensor", fields | {"Name": name}))
        operators = [self._operator(builder, codes.index(op[0]), op) for op in self._ops]
        graph = {
            "Tensors": _offsets(builder, tensors),
            "Inputs": _ints(builder, self.inputs),
            "Outputs": _ints(builder, outputs),
            "Operators": _offsets(builder, operators),
        }
        graphs = _offsets(builder, [_table(builder, "SubGraph", graph)])
        model = {
            "Version": _SCHEMA_VERSION,
            "OperatorCodes": _offsets(builder, [_code(builder, name, self.quantized) for name in codes]),
            "Subgraphs": graphs,
            "Buffers": _offsets(builder, buffers),
        }
        builder.Finish(_table(builder, "Model", model), b"TFL3")
        return bytes(builder.Output())

    def _operator(self, builder: Any, code: int, op: _Op) -> int:
        _, inputs, outputs, options, values = op
        fields: dict[str, Any] = {"OpcodeIndex": code}
        fields |= {"Inputs": _ints(builder, inputs), "Outputs": _ints(builder, outputs)}
        if options:
            values = {name: _written(builder, value) for name, value in values.items()}
            kind = getattr(tflite.BuiltinOptions, options)
            fields |= {"BuiltinOptionsType": kind, "BuiltinOptions": _table(builder, options, values)}
        return _table(builder, "Operator", fields)

    def _pool(self, op: str, x: int, kernel: int, stride: int) -> int:
        batch, height, width, channels = self.shape(x)
        out = (batch, -(-height // stride), -(-width // stride), channels)
        options = _strides(stride) | {"FilterHeight": kernel, "FilterWidth": kernel} | _activation("none")
        return self._op(op, (x,), out, "Pool2DOptions", options)

    def _op(self, op: str, inputs: tuple[int, ...], shape: Shape, options: str, values: Mapping[str, Any]) -> int:
        return self.op(op, inputs, shape, options=options, **values)[0]

    def _zeros(self, *shape: int) -> int:
        index = self._tensor(shape)
        self._constants[index] = None
        return index

    def _filter(self, channels_at: int, *shape: int) -> int:
        """Weights whose output channels are the dimension ``channels_at``."""
        index = self._zeros(*shape)
        self._filters[index] = channels_at
        return index

    def _bias(self, channels: int) -> int:
        index = self._zeros(channels)
        self._biases.add(index)
        return index

    def _type(self, index: int) -> int:
        whole = tflite.TensorType.INT32 if index in self._biases else tflite.TensorType.INT8
        return int(self._types.get(index, whole if self.quantized else tflite.TensorType.FLOAT32))

    def _bytes(self, index: int) -> int:
        """What a tensor of zeros takes."""
        return prod(self._shapes[index]) * _ITEMS.get(self._type(index), 4)

    def _quantization(self, builder: Any, index: int, scale: float, zero_point: int) -> int:
        """One scale for the tensor, or one for each output channel of weights and biases, whose zero is zero."""
        shape, dimension = self._shapes[index], self._filters.get(index, 0)
        if index in self._filters:
            scales, zero_point = [_WEIGHT_SCALE] * shape[dimension], 0
        elif index in self._biases:
            scales = [_SCALE * _WEIGHT_SCALE] * shape[0]
        else:
            scales = [scale]
        fields = {
            "Scale": _vector(builder, scales, 4, builder.PrependFloat32),
            "ZeroPoint": _vector(builder, [zero_point] * len(scales), 8, builder.PrependInt64),
            "QuantizedDimension": dimension,
        }
        return _table(builder, "QuantizationParameters", fields)

    def _tensor(self, shape: Shape, data: bytes | None = None, dtype: int = tflite.TensorType.FLOAT32) -> int:
        index = len(self._shapes)
        self._shapes.append(tuple(shape))
        if data is not None:
            self._constants[index] = data
            self._types[index] = dtype
        return index


def _bytes(values: Sequence[int]) -> bytes:
    return b"".join(each.to_bytes(4, "little", signed=True) for each in values)


def _strides(stride: int) -> dict[str, Any]:
    return {"Padding": _SAME, "StrideH": stride, "StrideW": stride}


def _activation(name: str) -> dict[str, Any]:
    return {"FusedActivationFunction": _ACTIVATIONS[name]}


def _broadcast(x: Shape, y: Shape) -> Shape:
    longest = max(len(x), len(y))
    left, right = ((1,) * (longest - len(shape)) + shape for shape in (x, y))
    return tuple(max(pair) for pair in zip(left, right, strict=True))


def _code(builder: Any, name: str, quantized: bool) -> int:
    code = getattr(tflite.BuiltinOperator, name)
    version = (_INT8_VERSIONS if quantized else _VERSIONS).get(name, _VERSION)
    return _table(
        builder, "OperatorCode", {"DeprecatedBuiltinCode": min(code, 127), "BuiltinCode": code, "Version": version}
    )


def _table(builder: Any, name: str, fields: Mapping[str, Any]) -> int:
    """A table of the schema by its name, with the fields' names as the ``tflite`` package's functions spell them."""
    getattr(tflite, f"{name}Start")(builder)
    for field, value in fields.items():
        getattr(tflite, f"{name}Add{field}")(builder, value)
    return int(getattr(tflite, f"{name}End")(builder))


def _written(builder: Any, value: Any) -> Any:
    """A field's value: numbers stay, vectors and texts are written ahead of their table."""
    if isinstance(value, tuple):
        return _ints(builder, value)
    return builder.CreateString(value) if isinstance(value, str) else value


def _ints(builder: Any, values: Sequence[int]) -> int:
    return _vector(builder, values, 4, builder.PrependInt32)


def _vector(builder: Any, values: Sequence[float], size: int, prepend: Callable[[Any], None]) -> int:
    """A vector of numbers of ``size`` bytes."""
    builder.StartVector(size, len(values), size)
    for value in reversed(values):
        prepend(value)
    return int(builder.EndVector())


def _offsets(builder: Any, values: Sequence[int]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependUOffsetTRelative(value)
    return int(builder.EndVector())


def _aligned(builder: Any, data: bytes) -> int:
    """Bytes at a multiple of 16 (``force_align: 16`` of ``Buffer.data`` in ``schema.fbs``)."""
    builder.StartVector(1, len(data), 16)
    builder.head = int(builder.Head() - len(data))
    builder.Bytes[builder.Head() : builder.Head() + len(data)] = data
    return int(builder.EndVector())
