"""What every op of the vocabulary costs on built-in kernels, beside what this machine takes for it, at three sizes.

    python benchmarks/prices.py --measure litert        # time all forms with LiteRT (three minutes), into benchmarks/prices.json
    python benchmarks/prices.py --measure tensorflow    # with the interpreter of TensorFlow
    python benchmarks/prices.py                         # predictions beside the recorded times, without measuring
    python benchmarks/prices.py --check                 # fails where one is off by more than a factor of 1.5
    python benchmarks/prices.py --record                # writes the table into docs/prices.md

A model of one op runs on the built-in kernels (no delegate, one thread, processor time, of many runs the one that a tenth are faster than, nothing subtracted). What is compared, and
with which factor, docs/prices.md says.

Needs ``pip install '.[train]'``, and ``ai-edge-litert`` or ``tensorflow-cpu==2.15.1`` to measure.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import exp, log, prod
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import tflite

from latlint.graph.tflite import read_tflite
from latlint.latency.engine import times, workload
from latlint.latency.models import model_of
from latlint.latency.packs import Target, load_targets
from latlint.runtime import plan
from latlint.training.generate import Network, Shape

TARGET = "pixel-4/cpu-1large"
#: Simple ops whose costs are of times of phones: the median of measured over predicted makes this machine's times comparable.
REFERENCES = frozenset({"add", "mul", "mul channels", "concat", "pad", "max_pool2d", "sigmoid", "hard_swish"})
#: Ops of networks that were measured on phones with built-in kernels.
MEASURED = frozenset(
    "conv2d add fully_connected mean strided_slice mul max_pool2d sigmoid pad depthwise_conv2d average_pool2d hard_swish concat resize_nearest "
    "softmax transpose squared_difference rsqrt gelu reshape sub batch_matmul quantize".split()
)
#: So far may a prediction be off, as a factor, and what is off by more.
LIMIT = 1.5
BEYOND = {
    "select, float32": "a network on a Raspberry Pi 5 was measured with it, and it costs half as much there",
    "unpack, int8": "each output takes 10 ns besides its elements, which is no copy: where phones' copies take 20 times this machine's, it need not",
    "lstm, float32": "a call costs a phone more, in units of a product, than this machine: that of a step of 32 units shows it",
}
#: Kinds without a form here, and where their prices come from.
OTHERS = {
    "if while call": "what their bodies cost",
    "unknown non_max_suppression detection_postprocess roi_align": "none: data decide how much they do, and they are named as unknown",
    "where": "none: data decide how many rows it writes, and it is named as unknown (here 2.4 to 4.9 ns for each value of which half are true)",
    "shape rank size constant": "nothing: they are answered when the graph is prepared",
    "densify": "nothing: it unpacks a constant at the first call and keeps it",
    "variable": "a call: it is a handle, which the forms of those that read and assign it have",
    "attention batch_norm conv1d dropout einsum erf flatten grid_sample group_norm gru hard_sigmoid identity instance_norm layer_norm mish "
    "reciprocal reduce_l1 reduce_l2 resize_cubic softplus softsign clip": "TensorFlow Lite has no such op",
}
LIBRARIES = {"tensorflow": "TensorFlow 2.15.1", "litert": "LiteRT 2.3.0"}
#: Seconds for a model in one pass, and passes.
SECONDS, PASSES = 0.08, 2
PAGE = Path(__file__).parents[1] / "docs" / "prices.md"
RECORD = Path(__file__).with_suffix(".json")
MARKED = re.compile(r"(<!-- prices -->\n).*?(<!-- end -->)", re.DOTALL)

#: Maps, and rows of tokens, as small, middling and large networks of phones have them.
MAPS: tuple[Shape, ...] = ((1, 14, 14, 96), (1, 56, 56, 64), (1, 112, 112, 96))
TOKENS: tuple[Shape, ...] = ((1, 49, 192), (1, 197, 384), (1, 1024, 512))
BOOL, FLOAT, INT32 = tflite.TensorType.BOOL, tflite.TensorType.FLOAT32, tflite.TensorType.INT32
INT8, INT16, RESOURCE = tflite.TensorType.INT8, tflite.TensorType.INT16, tflite.TensorType.RESOURCE


class Form(NamedTuple):
    """An op in one form: ``inputs`` are the shapes at a size; ``build`` adds the op. ``both``: int8 has it too. ``positive`` inputs only."""

    name: str
    inputs: Callable[[int], tuple[Shape, ...]]
    build: Callable[[Network], Sequence[int]]
    both: bool = True
    positive: bool = False

    @property
    def kind(self) -> str:
        return self.name.partition(" ")[0]

    def model(self, size: int, precision: str) -> bytes:
        network = Network(*self.inputs(size), quantized=precision == "int8")
        return network.finish(*self.build(network))


def maps(count: int = 1) -> Callable[[int], tuple[Shape, ...]]:
    return lambda size: (MAPS[size],) * count


def tokens(count: int = 1) -> Callable[[int], tuple[Shape, ...]]:
    return lambda size: (TOKENS[size],) * count


def gated(size: int) -> tuple[Shape, ...]:
    return MAPS[size], (1, 1, 1, MAPS[size][-1])


def options_of(name: str) -> str:
    camel = "".join(part.capitalize() for part in name.split("_"))
    return {"Maximum": "MaximumMinimumOptions", "Minimum": "MaximumMinimumOptions"}.get(camel, f"{camel}Options")


def same(name: str, net: Network, options: str = "", **values: Any) -> Sequence[int]:
    """An op on all inputs, whose output is as the first."""
    return net.op(name, net.inputs, net.shape(net.inputs[0]), options=options, **values)


def unary(name: str, *, both: bool = True, positive: bool = False, options: str = "", **values: Any) -> Form:
    kind = {"LOGISTIC": "sigmoid"}.get(name, name.lower())
    return Form(kind, maps(), partial(same, name, options=options, **values), both, positive)


def binary(name: str, *, both: bool = True, positive: bool = False, **values: Any) -> Iterator[Form]:
    options = options_of(name)
    yield Form(name.lower(), maps(2), partial(same, name, options=options, **values), both, positive)
    yield Form(f"{name.lower()} channels", gated, partial(same, name, options=options, **values), both, positive)


def logical(name: str, count: int) -> Form:
    def build(net: Network) -> Sequence[int]:
        for given in net.inputs:
            net.typed(given, BOOL)
        return net.op(name, net.inputs, net.shape(net.inputs[0]), options=options_of(name), dtype=BOOL)

    return Form(name.lower(), maps(count), build, both=False)


def comparison(name: str) -> Iterator[Form]:
    def build(net: Network) -> Sequence[int]:
        return net.op(name, net.inputs, net.shape(net.inputs[0]), options=options_of(name), dtype=BOOL)

    yield Form(name.lower(), maps(2), build)
    yield Form(f"{name.lower()} channels", gated, build)


def select(shapes: Callable[[int], tuple[Shape, ...]], name: str) -> Form:
    def build(net: Network) -> Sequence[int]:
        net.typed(net.inputs[0], BOOL)
        return net.op("SELECT_V2", net.inputs, net.shape(net.inputs[0]), options="SelectV2Options")

    return Form(name, shapes, build)


def reduced(name: str, axes: tuple[int, ...], *, keep: bool = True) -> Callable[[Network], Sequence[int]]:
    def build(net: Network) -> Sequence[int]:
        (x,) = net.inputs
        shape = [1 if axis in axes else side for axis, side in enumerate(net.shape(x))]
        out = shape if keep else [side for axis, side in enumerate(net.shape(x)) if axis not in axes]
        dtype = None
        if name in ("REDUCE_ANY", "REDUCE_ALL"):
            dtype = int(BOOL)
            net.typed(x, dtype)
        options = {"options": "ReducerOptions", "KeepDims": keep}
        return net.op(name, (x, net.constant(axes)), tuple(out), dtype=dtype, **options)

    return build


def moved(
    name: str,
    change: Callable[[Shape], Shape],
    operand: Callable[[Shape], Sequence[int]] | None,
    options: str = "",
    **values: Any,
) -> Callable[[Network], Sequence[int]]:
    """An op with an int32 constant, made from the input's shape, and an output whose shape follows from it."""

    def build(net: Network) -> Sequence[int]:
        (x,) = net.inputs
        more = [net.constant(operand(net.shape(x)))] if operand else []
        return net.op(name, (x, *more), change(net.shape(x)), options=options, **values)

    return build


def paired(
    name: str, change: Callable[[Shape], Shape], operand: Callable[[Shape], Sequence[int]], options: str, **values: Any
) -> Any:
    """The same, with a constant of two columns."""

    def build(net: Network) -> Sequence[int]:
        (x,) = net.inputs
        numbers = operand(net.shape(x))
        return net.op(
            name, (x, net.constant(numbers, (len(numbers) // 2, 2))), change(net.shape(x)), options=options, **values
        )

    return build


def blocked(name: str, *, into_batch: bool) -> Form:
    def build(net: Network) -> Sequence[int]:
        (x,) = net.inputs
        _, height, width, channels = net.shape(x)
        out = (4, height // 2, width // 2, channels) if into_batch else (1, height * 2, width * 2, channels)
        more = (net.constant((2, 2)), net.constant((0,) * 4, (2, 2)))
        return net.op(
            name,
            (x, *more),
            out,
            options=options_of(name.removesuffix("_ND"))
            .replace("BatchOptions", "BatchNDOptions")
            .replace("SpaceOptions", "SpaceNDOptions"),
        )

    def shapes(size: int) -> tuple[Shape, ...]:
        _, height, width, channels = MAPS[size]
        return (MAPS[size] if into_batch else (4, height // 2, width // 2, channels),)

    return Form({True: "space_to_batch", False: "batch_to_space"}[into_batch], shapes, build)


def _sliced(name: str) -> Callable[[Network], Sequence[int]]:
    """The lower half of a map."""

    def build(net: Network) -> Sequence[int]:
        (x,) = net.inputs
        batch, height, width, channels = net.shape(x)
        half = (batch, height // 2, width, channels)
        begin = net.constant((0, height // 2, 0, 0))
        if name == "SLICE":
            return net.op(name, (x, begin, net.constant(half)), half, options="SliceOptions")
        ends = net.constant((batch, height, width, channels))
        return net.op(name, (x, begin, ends, net.constant((1, 1, 1, 1))), half, options="StridedSliceOptions")

    return build


def _split(net: Network) -> Sequence[int]:
    (x,) = net.inputs
    half = (*net.shape(x)[:-1], net.shape(x)[-1] // 2)
    return net.op("SPLIT", (net.constant((3,), ()), x), half, half, options="SplitOptions", NumSplits=2)


def _split_v(net: Network) -> Sequence[int]:
    (x,) = net.inputs
    third = net.shape(x)[-1] // 4
    parts = [(*net.shape(x)[:-1], size) for size in (third, net.shape(x)[-1] - third)]
    sizes = net.constant([part[-1] for part in parts])
    return net.op("SPLIT_V", (x, sizes, net.constant((3,), ())), *parts, options="SplitVOptions", NumSplits=2)


def _unpack(net: Network) -> Sequence[int]:
    (x,) = net.inputs
    _, rows, *rest = net.shape(x)
    return net.op("UNPACK", (x,), *[(1, *rest)] * rows, options="UnpackOptions", Num=rows, Axis=1)


def _pack(net: Network) -> Sequence[int]:
    shape = net.shape(net.inputs[0])
    return net.op(
        "PACK", net.inputs, (len(net.inputs), *shape), options="PackOptions", ValuesCount=len(net.inputs), Axis=0
    )


def _concat(net: Network) -> Sequence[int]:
    return (net.concat(*net.inputs),)


def _prelu(net: Network) -> Sequence[int]:
    (x,) = net.inputs
    return net.op("PRELU", (x, net.zeros(1, 1, net.shape(x)[-1])), net.shape(x))


def _padded(name: str, options: str, **values: Any) -> Callable[[Network], Sequence[int]]:
    grown = lambda shape: (shape[0], shape[1] + 2, shape[2] + 2, shape[3])  # noqa: E731
    plain = paired(name, grown, lambda _: (0, 0, 1, 1, 1, 1, 0, 0), options, **values)
    if name != "PADV2":
        return plain

    def build(net: Network) -> Sequence[int]:
        (x,) = net.inputs
        more = (net.constant((0, 0, 1, 1, 1, 1, 0, 0), (4, 2)), net.zeros())
        return net.op(name, (x, *more), grown(net.shape(x)), options=options)

    return build


def _resized(name: str, **values: Any) -> Callable[[Network], Sequence[int]]:
    twice = lambda shape: (shape[0], 2 * shape[1], 2 * shape[2], shape[3])  # noqa: E731
    options = {"RESIZE_BILINEAR": "ResizeBilinearOptions"}.get(name, "ResizeNearestNeighborOptions")
    return moved(name, twice, lambda shape: (2 * shape[1], 2 * shape[2]), options, **values)


def _transposed_convolution(net: Network) -> Sequence[int]:
    (x,) = net.inputs
    _, height, width, channels = net.shape(x)
    out = (1, 2 * height, 2 * width, channels)
    weights = net.zeros(channels, 2, 2, channels)
    return net.op(
        "TRANSPOSE_CONV",
        (net.constant(out), weights, x),
        out,
        options="TransposeConvOptions",
        Padding=0,
        StrideW=2,
        StrideH=2,
    )


def _convolution_3d(net: Network) -> Sequence[int]:
    (x,) = net.inputs
    channels = net.shape(x)[-1]
    strides = {f"Stride{axis}": 1 for axis in "DHW"} | {f"Dilation{axis}Factor": 1 for axis in "DHW"}
    return net.op(
        "CONV_3D", (x, net.zeros(3, 3, 3, channels, channels)), net.shape(x), options="Conv3DOptions", **strides
    )


def _transposed_3d(net: Network) -> Sequence[int]:
    (x,) = net.inputs
    _, *sides, channels = net.shape(x)
    out = (1, *(2 * side for side in sides), channels)
    strides = {f"Stride{axis}": 2 for axis in "DHW"} | {f"Dilation{axis}Factor": 1 for axis in "DHW"}
    operands = (net.constant(out), net.zeros(2, 2, 2, channels, channels), x)
    return net.op("CONV_3D_TRANSPOSE", operands, out, options="Conv3DOptions", **strides)


def _product(*, transposed: bool) -> Callable[[Network], Sequence[int]]:
    def build(net: Network) -> Sequence[int]:
        x, y = net.inputs
        columns = net.shape(y)[-2 if transposed else -1]
        out = (*net.shape(x)[:-1], columns)
        return net.op("BATCH_MATMUL", (x, y), out, options="BatchMatMulOptions", AdjX=False, AdjY=transposed)

    return build


def heads(size: int) -> tuple[Shape, ...]:
    """Queries and keys, 64 numbers a head."""
    _, rows, width = TOKENS[size]
    return ((1, width // 64, rows, 64),) * 2


def attended(size: int) -> tuple[Shape, ...]:
    _, rows, width = TOKENS[size]
    return ((1, width // 64, rows, rows), (1, width // 64, rows, 64))


def _found(name: str, options: str) -> Callable[[Network], Sequence[int]]:
    def build(net: Network) -> Sequence[int]:
        (x,) = net.inputs
        more = (net.constant((len(net.shape(x)) - 1,)),)
        return net.op(name, (x, *more), net.shape(x)[:-1], options=options, dtype=INT32, OutputType=INT32)

    return build


def _top(net: Network) -> Sequence[int]:
    (x,) = net.inputs
    net_out = net.op("TOPK_V2", (x, net.constant((5,), ())), (1, 5), (1, 5), options="TopKV2Options")
    net.typed(net_out[1], INT32)
    return net_out


def _gathered(net: Network) -> Sequence[int]:
    """Every other row."""
    (x,) = net.inputs
    batch, rows, width = net.shape(x)
    places = net.constant(range(0, rows, 2))
    return net.op("GATHER", (x, places), (batch, -(-rows // 2), width), options="GatherOptions", Axis=1)


def _gathered_nd(net: Network) -> Sequence[int]:
    (x,) = net.inputs
    _, rows, width = net.shape(x)
    places = [number for row in range(0, rows, 2) for number in (0, row)]
    return net.op(
        "GATHER_ND",
        (x, net.constant(places, (len(places) // 2, 2))),
        (len(places) // 2, width),
        options="GatherNdOptions",
    )


def _scattered(net: Network) -> Sequence[int]:
    """Rows to every other place."""
    (x,) = net.inputs
    _, rows, width = net.shape(x)
    places = net.constant(range(0, 2 * rows, 2), (1, rows, 1))
    return net.op(
        "SCATTER_ND", (places, x, net.constant((2 * rows, width))), (2 * rows, width), options="ScatterNdOptions"
    )


def _embedded(net: Network) -> Sequence[int]:
    (x,) = net.inputs
    net.typed(x, INT32)
    (rows,) = net.shape(x)
    return net.op("EMBEDDING_LOOKUP", (x, net.zeros(1000, 384)), (rows, 384))


def _cast(source: int, to: int) -> Callable[[Network], Sequence[int]]:
    def build(net: Network) -> Sequence[int]:
        net.typed(net.inputs[0], source)
        return net.op(
            "CAST",
            net.inputs,
            net.shape(net.inputs[0]),
            options="CastOptions",
            dtype=to,
            InDataType=source,
            OutDataType=to,
        )

    return build


def _one_hot(net: Network) -> Sequence[int]:
    (x,) = net.inputs
    net.typed(x, INT32)
    (rows,) = net.shape(x)
    more = (net.constant((512,), ()), net.zeros(), net.zeros())
    return net.op("ONE_HOT", (x, *more), (rows, 512), options="OneHotOptions", Axis=-1)


def _cumulated(net: Network) -> Sequence[int]:
    (x,) = net.inputs
    return net.op("CUMSUM", (x, net.constant((1,), ())), net.shape(x), options="CumsumOptions")


def _dequantized(net: Network) -> Sequence[int]:
    return net.op("DEQUANTIZE", net.inputs, net.shape(net.inputs[0]), dtype=FLOAT)


def _quantized(net: Network) -> Sequence[int]:
    net.typed(net.inputs[0], FLOAT)
    return net.op("QUANTIZE", net.inputs, net.shape(net.inputs[0]))


def _reversed(net: Network) -> Sequence[int]:
    (x,) = net.inputs
    return net.op("REVERSE_V2", (x, net.constant((1,))), net.shape(x), options="ReverseV2Options")


def _fused(name: str, kernel: int = 1) -> Callable[[Network], Sequence[int]]:
    def build(net: Network) -> Sequence[int]:
        (x,) = net.inputs
        if name == "depthwise":
            return (net.depthwise_conv2d(x, kernel),)
        if name == "dense":
            return (net.fully_connected(x, net.shape(x)[-1]),)
        return (net.conv2d(x, net.shape(x)[-1], kernel),)

    return build


def _pooled(name: str) -> Callable[[Network], Sequence[int]]:
    def build(net: Network) -> Sequence[int]:
        (x,) = net.inputs
        if name == "L2_POOL_2D":
            _, height, width, channels = net.shape(x)
            values = {"Padding": 0, "StrideW": 2, "StrideH": 2, "FilterWidth": 2, "FilterHeight": 2}
            return net.op(name, (x,), (1, height // 2, width // 2, channels), options="Pool2DOptions", **values)
        return ((net.max_pool2d if name == "max" else net.average_pool2d)(x, 3, 2),)

    return build


def volumes(size: int) -> tuple[Shape, ...]:
    return (((1, 4, 14, 14, 16), (1, 8, 28, 28, 16), (1, 8, 56, 56, 24))[size],)


def one_row(size: int) -> tuple[Shape, ...]:
    return ((1, (256, 768, 1536)[size]),)


def many(size: int) -> tuple[Shape, ...]:
    return ((1, (1_000, 10_000, 100_000)[size]),)


def few(size: int) -> tuple[Shape, ...]:
    return (((64, 512, 4096)[size],),)


def _half(shape: Shape) -> Shape:
    return shape[0], shape[1] // 2, shape[2] // 2, 4 * shape[3]


def _lstm(net: Network) -> Sequence[int]:
    (x,) = net.inputs
    _, steps, width = net.shape(x)
    units = width
    own, other, biases = [[net.zeros(*shape) for _ in range(4)] for shape in ((units, width), (units, units), (units,))]
    states = [net.state(1, units) for _ in range(2)]
    inputs = (x, *own, *other, -1, -1, -1, *biases, -1, -1, *states)
    return net.op(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        inputs,
        (1, steps, units),
        options="UnidirectionalSequenceLSTMOptions",
        FusedActivationFunction=4,
    )


def _rnn(net: Network) -> Sequence[int]:
    (x,) = net.inputs
    _, steps, width = net.shape(x)
    inputs = (x, net.zeros(width, width), net.zeros(width, width), net.zeros(width), net.state(1, width))
    return net.op(
        "UNIDIRECTIONAL_SEQUENCE_RNN",
        inputs,
        (1, steps, width),
        options="SequenceRNNOptions",
        FusedActivationFunction=4,
    )


def _svdf(*, hybrid: bool = False) -> Callable[[Network], Sequence[int]]:
    """Two filters a unit, each with a memory of 16 steps; int8 keeps 16 bits of them. ``hybrid``: int8 weights alone."""

    def build(net: Network) -> Sequence[int]:
        (x,) = net.inputs
        units = width = net.shape(x)[-1]
        features, memory, biases = net.zeros(2 * units, width), net.zeros(2 * units, 16), net.zeros(units)
        state = net.state(1, 2 * units * 16)
        if hybrid:
            for weights in (features, memory):
                net.typed(weights, INT8, 0.01)
        elif net.quantized:
            net.typed(memory, INT16, 0.01)
            net.typed(state, INT16, 0.01)
            net.typed(biases, INT32, 0.0001)
        values = {"Rank": 2, "FusedActivationFunction": 1}
        return net.op("SVDF", (x, features, memory, biases, state), (1, units), options="SVDFOptions", **values)

    return build


def _random(name: str) -> Callable[[Network], Sequence[int]]:
    """As many numbers as the input has, which nothing reads."""

    def build(net: Network) -> Sequence[int]:
        shape = net.shape(net.inputs[0])
        return net.op(name, (net.constant(shape),), shape, options="RandomOptions")

    return build


def _drawn(net: Network) -> Sequence[int]:
    """256 draws from all classes."""
    return net.op(
        "MULTINOMIAL", (*net.inputs, net.constant((256,), ())), (1, 256), options="RandomOptions", dtype=INT32
    )


def _range(net: Network) -> Sequence[int]:
    """As many numbers as the input has, which nothing reads. Bounds that are constants would be answered when the graph is prepared: this one is a sum."""
    count = net.shape(net.inputs[0])[-1]
    half = [net.constant((count // 2,), ()) for _ in range(2)]
    (limit,) = net.op("ADD", half, (), options="AddOptions", dtype=INT32)
    bounds = (net.constant((0,), ()), limit, net.constant((1,), ()))
    return net.op("RANGE", bounds, (count,), options="RangeOptions", dtype=INT32)


def _filled(net: Network) -> Sequence[int]:
    """As the first input, which nothing reads, full of the second."""
    sized, value = net.inputs
    shape = net.shape(sized)
    return net.op("FILL", (net.constant(shape), value), shape, options="FillOptions")


def _kept(*, read: bool) -> Callable[[Network], Sequence[int]]:
    """A variable takes a value, and where it is ``read`` gives it back."""

    def build(net: Network) -> Sequence[int]:
        (x,) = net.inputs
        (handle,) = net.op(
            "VAR_HANDLE", (), (), options="VarHandleOptions", dtype=RESOURCE, Container="", SharedName="kept"
        )
        net.op("ASSIGN_VARIABLE", (handle, x), options="AssignVariableOptions")
        return net.op("READ_VARIABLE", (handle,), net.shape(x), options="ReadVariableOptions") if read else ()

    return build


def features(size: int) -> tuple[Shape, ...]:
    return ((1, (64, 256, 640)[size]),)


def sequences(size: int) -> tuple[Shape, ...]:
    return (((1, 16, 32), (1, 32, 96), (1, 64, 192))[size],)


_KEEP = lambda shape: shape  # noqa: E731
FORMS: tuple[Form, ...] = (
    *(unary(name, both=False) for name in "ABS CEIL COS FLOOR NEG ROUND SIN SIGN SQUARE".split()),
    *(unary(name, both=False, positive=True) for name in "SQRT RSQRT LOG".split()),
    *(unary(name) for name in "ELU EXP HARD_SWISH LOGISTIC TANH RELU RELU6 RELU_N1_TO_1 RELU_0_TO_1".split()),
    unary("GELU", options="GeluOptions", Approximate=False),
    Form("gelu approximate", maps(), partial(same, "GELU", options="GeluOptions", Approximate=True), both=False),
    unary("LEAKY_RELU", options="LeakyReluOptions", Alpha=0.1),
    Form("prelu", maps(), _prelu),
    logical("LOGICAL_NOT", 1), logical("LOGICAL_AND", 2), logical("LOGICAL_OR", 2),
    *binary("ADD"), *binary("SUB"), *binary("MUL"), *binary("MAXIMUM"), *binary("MINIMUM"), *binary("SQUARED_DIFFERENCE"),
    *binary("DIV", both=False, positive=True), *binary("FLOOR_DIV", both=False, positive=True),
    *binary("FLOOR_MOD", both=False, positive=True), *binary("POW", both=False, positive=True),
    *(form for name in "EQUAL NOT_EQUAL GREATER GREATER_EQUAL LESS LESS_EQUAL".split() for form in comparison(name)),
    select(maps(3), "select"),
    select(lambda size: (MAPS[size], MAPS[size], (1, 1, 1, 1)), "select scalar"),
    Form("conv2d 1x1", maps(), _fused("conv")), Form("conv2d 3x3", maps(), _fused("conv", 3)),
    Form("depthwise_conv2d 3x3", maps(), _fused("depthwise", 3)), Form("depthwise_conv2d 5x5", maps(), _fused("depthwise", 5)),
    Form("transpose_conv2d", maps(), _transposed_convolution), Form("conv3d", volumes, _convolution_3d, both=False),
    Form("fully_connected row", one_row, _fused("dense")), Form("fully_connected rows", tokens(), _fused("dense")),
    Form("batch_matmul keys", heads, _product(transposed=True)), Form("batch_matmul values", attended, _product(transposed=False)),
    Form("max_pool2d", maps(), _pooled("max")), Form("average_pool2d", maps(), _pooled("average")),
    Form("l2_pool2d", maps(), _pooled("L2_POOL_2D"), both=False),
    Form("mean map", maps(), reduced("MEAN", (1, 2))), Form("mean map, not kept", maps(), reduced("MEAN", (1, 2), keep=False)),
    Form("mean last", tokens(), reduced("MEAN", (2,))), Form("mean channels", maps(), reduced("MEAN", (3,))),
    Form("sum map", maps(), reduced("SUM", (1, 2))), Form("sum last", tokens(), reduced("SUM", (2,))),
    Form("reduce_max map", maps(), reduced("REDUCE_MAX", (1, 2))), Form("reduce_max last", tokens(), reduced("REDUCE_MAX", (2,))),
    Form("reduce_min last", tokens(), reduced("REDUCE_MIN", (2,))),
    Form("reduce_prod last", tokens(), reduced("REDUCE_PROD", (2,)), both=False),
    Form("reduce_any last", tokens(), reduced("REDUCE_ANY", (2,)), both=False),
    Form("reduce_all last", tokens(), reduced("REDUCE_ALL", (2,)), both=False),
    Form("concat", maps(2), _concat), Form("split", maps(), _split), Form("split_v", maps(), _split_v),
    Form("pack", tokens(3), _pack), Form("unpack", tokens(), _unpack),
    Form("pad", maps(), _padded("PAD", "PadOptions")), Form("pad_v2", maps(), _padded("PADV2", "PadV2Options")),
    Form("mirror_pad", maps(), _padded("MIRROR_PAD", "MirrorPadOptions", Mode=0)),
    Form("reshape", maps(), moved("RESHAPE", lambda shape: (prod(shape[:-1]), shape[-1]), lambda shape: (prod(shape[:-1]), shape[-1]), "ReshapeOptions")),
    Form("squeeze", maps(), moved("SQUEEZE", lambda shape: shape[1:], None, "SqueezeOptions", SqueezeDims=(0,))),
    Form("expand_dims", maps(), moved("EXPAND_DIMS", lambda shape: (1, *shape), lambda _: (0,), "ExpandDimsOptions")),
    Form("transpose channels first", maps(), moved("TRANSPOSE", lambda s: (s[0], s[3], s[1], s[2]), lambda _: (0, 3, 1, 2), "TransposeOptions")),
    Form("transpose heads", lambda size: ((1, TOKENS[size][1], TOKENS[size][2] // 64, 64),),
         moved("TRANSPOSE", lambda s: (s[0], s[2], s[1], s[3]), lambda _: (0, 2, 1, 3), "TransposeOptions")),
    Form("slice", maps(), _sliced("SLICE")), Form("strided_slice", maps(), _sliced("STRIDED_SLICE")),
    Form("depth_to_space", maps(), moved("DEPTH_TO_SPACE", lambda s: (s[0], 2 * s[1], 2 * s[2], s[3] // 4), None, "DepthToSpaceOptions", BlockSize=2)),
    Form("space_to_depth", maps(), moved("SPACE_TO_DEPTH", _half, None, "SpaceToDepthOptions", BlockSize=2)),
    blocked("SPACE_TO_BATCH_ND", into_batch=True), blocked("BATCH_TO_SPACE_ND", into_batch=False),
    Form("tile", tokens(), moved("TILE", lambda s: (4 * s[0], *s[1:]), lambda _: (4, 1, 1), "TileOptions")),
    Form("broadcast_to", lambda size: ((1, 1, 1, MAPS[size][-1]),), lambda net: _broadcast(net), both=False),
    Form("gather", tokens(), _gathered), Form("gather_nd", tokens(), _gathered_nd), Form("scatter_nd", tokens(), _scattered, both=False),
    Form("embedding_lookup", few, _embedded, both=False), Form("reverse", maps(), _reversed, both=False),
    Form("cast to int32", maps(), _cast(FLOAT, INT32), both=False), Form("cast to float32", maps(), _cast(INT32, FLOAT), both=False),
    Form("softmax attention", lambda size: attended(size)[:1], lambda net: (net.softmax(net.inputs[0]),)),
    Form("softmax classes", many, lambda net: (net.softmax(net.inputs[0]),)),
    Form("log_softmax", many, partial(same, "LOG_SOFTMAX", options="LogSoftmaxOptions")),
    Form("resize_bilinear", maps(), _resized("RESIZE_BILINEAR", HalfPixelCenters=True)),
    Form("resize_nearest", maps(), _resized("RESIZE_NEAREST_NEIGHBOR")),
    Form("arg_max", maps(), _found("ARG_MAX", "ArgMaxOptions")), Form("arg_min", maps(), _found("ARG_MIN", "ArgMinOptions")),
    Form("top_k", many, _top), Form("one_hot", few, _one_hot, both=False), Form("cumsum", tokens(), _cumulated, both=False),
    Form("l2_normalization", tokens(), partial(same, "L2_NORMALIZATION", options="L2NormOptions")),
    Form("local_response_norm", maps(), partial(same, "LOCAL_RESPONSE_NORMALIZATION", options="LocalResponseNormalizationOptions", Radius=2, Bias=1.0, Alpha=1e-4, Beta=0.75), both=False),
    Form("lstm", sequences, _lstm, both=False), Form("rnn", sequences, _rnn, both=False),
    Form("transpose_conv3d", volumes, _transposed_3d, both=False),
    Form("svdf", features, _svdf()), Form("svdf int8 weights", features, _svdf(hybrid=True), both=False),
    Form("fake_quant", maps(), partial(same, "FAKE_QUANT", options="FakeQuantOptions", Min=-4.0, Max=4.0, NumBits=8), both=False),
    Form("random uniform", maps(), _random("RANDOM_UNIFORM"), both=False), Form("random normal", maps(), _random("RANDOM_STANDARD_NORMAL"), both=False),
    Form("random multinomial", many, _drawn, both=False), Form("range", many, _range, both=False), Form("fill", lambda size: (MAPS[size], ()), _filled),
    Form("assign_variable", maps(), _kept(read=False), both=False), Form("read_variable", maps(), _kept(read=True), both=False),
)  # fmt: skip
#: Forms that have one precision, which is int8's.
ONLY_INT8 = (Form("dequantize", maps(), _dequantized), Form("quantize", maps(), _quantized))


def _broadcast(net: Network) -> Sequence[int]:
    (x,) = net.inputs
    channels = net.shape(x)[-1]
    out = next(shape for shape in MAPS if shape[-1] == channels or shape is MAPS[-1])
    return net.op("BROADCAST_TO", (x, net.constant(out)), out, options="BroadcastToOptions")


#: Elements of inputs up to which each run gets other values, where one run is long enough to be timed: branch predictors would learn those of one.
LEARNT = 100_000


def measured_ns(library: Any, model: bytes, seconds: float, *, positive: bool) -> float:
    """An inference on the built-in kernels, ns of processor time: a tenth of them take less, as a system's clock may lose some time of a thread. Several are
    timed together where one is short."""
    plain = library.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = library.Interpreter(model_content=model, num_threads=1, experimental_op_resolver_type=plain)
    interpreter.allocate_tensors()
    random = np.random.default_rng(1)
    inputs = interpreter.get_input_details()

    def give() -> None:
        for each in inputs:
            interpreter.set_tensor(each["index"], _values(random, each["shape"], each["dtype"], positive=positive))

    def run_ns(times: int) -> float:
        start = time.thread_time_ns()
        for _ in range(times):
            interpreter.invoke()
        return (time.thread_time_ns() - start) / times

    give()
    once = min(run_ns(3) for _ in range(3))
    together = max(1, int(1e4 / max(once, 500)))
    fresh = together == 1 and sum(np.prod(each["shape"]) for each in inputs) <= LEARNT
    end, found = time.perf_counter() + seconds, list[float]()
    while len(found) < 2 or time.perf_counter() < end:
        if fresh:
            give()
        found.append(run_ns(together))
    return sorted(found)[len(found) // 10]


def _values(random: np.random.Generator, shape: Any, dtype: Any, *, positive: bool) -> Any:
    if dtype == np.float32:
        return random.uniform(0.5 if positive else -4.0, 4.0, shape).astype(dtype)
    if dtype == np.bool_:
        return random.random(shape) < 0.5
    return random.integers(*((-100, 100) if dtype == np.int8 else (0, 64)), shape).astype(dtype)


def cases() -> Iterator[tuple[str, str, Form]]:
    """The key of a case in the record, its precision and form."""
    for form in FORMS:
        for precision in ("float32", "int8") if form.both else ("float32",):
            yield f"{form.name}, {precision}", precision, form
    for form in ONLY_INT8:
        yield f"{form.name}, int8", "int8", form


def measure(library: Any, *starts: str) -> dict[str, list[float]]:
    """Microseconds by case and size, of forms whose names start with one of ``starts``."""
    found: dict[str, list[float]] = {}
    for number in range(PASSES):
        for key, precision, form in cases():
            if not form.name.startswith(starts):
                continue
            try:
                again = [
                    measured_ns(library, form.model(size, precision), SECONDS, positive=form.positive) / 1e3
                    for size in range(len(MAPS))
                ]
            except (RuntimeError, ValueError) as error:
                if not number:
                    print(f"{key}: LiteRT refuses it: {str(error).strip().splitlines()[0]}", file=sys.stderr)
                continue
            found[key] = [round(min(pair), 3) for pair in zip(again, found.get(key, again), strict=True)]
        print(f"pass {number + 1} of {PASSES}", file=sys.stderr)
    return found


class Row(NamedTuple):
    """One case of the table. ``ratios``: by library and size, predicted over measured times a factor, which ``origin`` tells."""

    key: str
    origin: str
    measured_us: Mapping[str, Sequence[float]]
    ratios: Mapping[str, Sequence[float]]

    @property
    def worst(self) -> float:
        """As a factor, how far the prediction is off at the worst size, by the library that is nearer to it; nothing between the two."""
        sizes = zip(*self.ratios.values(), strict=True)
        return exp(
            max(0.0 if min(size) <= 1 <= max(size) else min(abs(log(ratio)) for ratio in size) for size in sizes)
        )


def table(record: Mapping[str, Mapping[str, Sequence[float]]]) -> list[Row]:
    """All cases of ``record``: microseconds by library, case and size."""
    target = load_targets()[TARGET]
    assert isinstance(target, Target)
    exercised = frozenset(target.pack.card["covers"]["cpu"]["measured_terms"])
    forms = {
        key: (precision, form) for key, precision, form in cases() if all(key in known for known in record.values())
    }
    priced = {key: predicted_us(form, precision, target) for key, (precision, form) in forms.items()}
    spread = {library: Factors(known, forms, priced, exercised) for library, known in record.items()}
    found = []
    for key, (precision, form) in forms.items():
        term, predicted = priced[key]
        origin = "this machine" if term not in exercised else "phones" if form.kind in MEASURED else f"as {term}"
        factors = {library: each.of(origin, precision, term) for library, each in spread.items()}
        ratios = {
            library: [factors[library] * us / here for us, here in zip(predicted, known[key], strict=True)]
            for library, known in record.items()
        }
        found.append(Row(key, origin, {library: known[key] for library, known in record.items()}, ratios))
    return found


def predicted_us(form: Form, precision: str, target: Target) -> tuple[str, list[float]]:
    """The term that costs most at the largest size, and microseconds by size."""
    model = model_of("builtin")
    costs = dict(zip(model.names, target.costs(model).tolist(), strict=True))
    found, term = [], ""
    for size in range(len(MAPS)):
        planned = plan(read_tflite(form.model(size, precision), "one.tflite"), target.processor)
        found.append(float(times(workload(planned), target).kernels.sum()) * 1e3)
        spent = {
            name: count * costs[name]
            for kernel in planned.kernels
            for name, count in (model.price(kernel) or {}).items()
        }
        term = max(spent, key=lambda name: spent[name])
    return term, found


class Factors:
    """What makes the times of one library on this machine comparable: measured over predicted, the median of simple ops in a precision, and of the ops of
    each term that were measured on phones; middling and large sizes."""

    def __init__(
        self,
        known: Mapping[str, Sequence[float]],
        forms: Mapping[str, tuple[str, Form]],
        priced: Mapping[str, tuple[str, list[float]]],
        exercised: frozenset[str],
    ) -> None:
        self._all, self._terms = dict[str, list[float]](), dict[str, list[float]]()
        for key, (precision, form) in forms.items():
            term, predicted = priced[key]
            ratios = [here / us for here, us in zip(known[key][1:], predicted[1:], strict=True)]
            if form.name in REFERENCES:
                self._all.setdefault(precision, []).extend(ratios)
            if form.kind in MEASURED and term in exercised:
                self._terms.setdefault(term, []).extend(ratios)

    def of(self, origin: str, precision: str, term: str) -> float:
        return median(self._terms[term] if origin.startswith("as ") and term in self._terms else self._all[precision])


def off(rows: Sequence[Row]) -> list[str]:
    """What is off by more than ``LIMIT`` and no exception; times of phones are better evidence than this machine's."""
    return [
        f"{row.key}: off by a factor of {row.worst:.2f}"
        for row in rows
        if row.origin != "phones" and row.worst > LIMIT and row.key not in BEYOND
    ]


def markdown(rows: Sequence[Row]) -> str:
    lines = [
        "| op, precision | price from | "
        + " | ".join(f"{name}, us | predicted / measured" for name in LIBRARIES.values())
        + " |"
    ]
    lines.append("| --- | --- |" + " --: |" * 2 * len(LIBRARIES))
    for row in rows:
        cells = []
        for library in LIBRARIES:
            cells.append(", ".join(f"{us:.3g}" if us < 1000 else f"{us:.0f}" for us in row.measured_us[library]))
            cells.append(", ".join(f"{ratio:.2f}" for ratio in row.ratios[library]))
        mark = "" if row.origin == "phones" or row.worst <= LIMIT else " *"
        lines.append(f"| {row.key}{mark} | {row.origin} | " + " | ".join(cells) + " |")
    counted = [row for row in rows if row.origin != "phones"]
    inside = sum(row.worst <= LIMIT for row in counted)
    lines += [
        "",
        f"Of {len(counted)} forms whose price is not from times of phones, {inside} are within a factor of {LIMIT} at all sizes. Beyond it (*):",
    ]
    lines += [
        f"- {row.key} ({row.worst:.2f}): {BEYOND.get(row.key, 'not explained')}" for row in counted if row.worst > LIMIT
    ]
    lines += ["", "Kinds without a form in the table:"]
    lines += [f"- {', '.join(f'`{kind}`' for kind in kinds.split())}: {words}" for kinds, words in OTHERS.items()]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", choices=LIBRARIES, help=f"time all forms with this library, into {RECORD.name}")
    parser.add_argument(
        "--only",
        metavar="TEXT",
        nargs="+",
        default=[""],
        help="time only forms whose names start so; others stay as recorded",
    )
    parser.add_argument("--record", action="store_true", help=f"write the table into {PAGE.name}")
    parser.add_argument("--check", action="store_true", help=f"exit 1 where a prediction is off by more than {LIMIT}")
    options = parser.parse_args()
    record = json.loads(RECORD.read_text("utf-8")) if RECORD.is_file() else {}
    if options.measure:
        record[options.measure] = record.get(options.measure, {}) | measure(_library(options.measure), *options.only)
        RECORD.write_text(_json(record), "utf-8")
    rows = table(record)
    shown = markdown(rows)
    print(shown)
    if options.record:
        PAGE.write_text(MARKED.sub(lambda marks: marks[1] + shown + marks[2], PAGE.read_text("utf-8")), "utf-8")
    broken = off(rows)
    for each in broken:
        print(each, file=sys.stderr)
    return int(bool(broken) and options.check)


def _library(name: str) -> Any:
    """What has the interpreter and the kinds of its op resolver."""
    if name == "litert":
        from ai_edge_litert import interpreter

        return interpreter
    import tensorflow

    return SimpleNamespace(
        Interpreter=tensorflow.lite.Interpreter, OpResolverType=tensorflow.lite.experimental.OpResolverType
    )


def _json(record: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """One line a case."""
    libraries = []
    for library, known in sorted(record.items()):
        lines = ",\n".join(f"    {json.dumps(key)}: {json.dumps(values)}" for key, values in known.items())
        libraries.append(f"  {json.dumps(library)}: {{\n{lines}\n  }}")
    return "{\n" + ",\n".join(libraries) + "\n}\n"


if __name__ == "__main__":
    sys.exit(main())
