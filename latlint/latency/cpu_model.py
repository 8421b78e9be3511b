"""What a CPU kernel's time is made of: physical terms, each a count that the kernel's shapes alone determine.

A kernel's time is a sum of non-negative costs, ``sum(theta[t] * terms[t])``: multiply-accumulates as the microkernel
executes them (tiles padded to its registers), calls of the microkernel, elements read and written, bytes that do not fit a
cache level and are streamed again for every block of rows. ``latlint.training`` finds the costs per processor from end-to-end
times; here is only what they multiply. More work never costs less, because no cost is negative and no term falls with work.

A term that no measurement ever exercised keeps its prior cost (``Term.prior_ns``, for a core of about 2.5 GHz) times the
processor's speed relative to that core: a stated simpler model, which predictions mark as ``derived``.

Sources: XNNPACK as of TensorFlow 2.10 (``src/operators/convolution-nhwc.c``, ``src/f32-gemm/``, ``src/f32-igemm/``), ruy
(``ruy/kernel_arm64.cc``, ``ruy/pack_arm64.cc``), ``tensorflow/lite/kernels/internal/{optimized,reference}/``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType

from latlint.graph.ops import BINARY, CONVOLUTIONS, MATRIX, MOVEMENT, POOLS, REDUCTIONS, UNARY
from latlint.runtime.types import Kernel

Terms = dict[str, float]


@dataclass(frozen=True, slots=True)
class Term:
    """``prior_ns``: what one unit costs on a big core at about 2.5 GHz, from instruction counts and typical latencies.
    ``parallel``: how much of it is divided by more threads: 1 all of it, 0 none (a kernel with one thread), between the two
    what shares a cache, a memory bus or a barrier."""

    prior_ns: float
    parallel: float


#: Registers of XNNPACK's f32 kernels for 64-bit ARM: 6 rows of 8 channels; of ruy's int8 kernels: 8 by 8, depth in 16s.
ROWS, COLUMNS = 6, 8
RUY, RUY_DEPTH = 8, 16
#: Soft thresholds of the terms for data that leaves a cache: first level, and private, cluster and system levels, in bytes.
L1, L2, L3, L4 = 32e3, 128e3, 512e3, 2e6

TERMS: Mapping[str, Term] = MappingProxyType(
    {
        # XNNPACK float32
        "gemm.macs": Term(0.055, 1),
        "gemm.tiles": Term(20, 1),
        "igemm.macs": Term(0.055, 1),
        "igemm.taps": Term(8, 1),
        "igemm.gather": Term(0.15, 1),
        "conv.input": Term(0.2, 1),
        "conv.output": Term(0.2, 1),
        "conv.weights": Term(0.2, 1),
        "panel.l1": Term(0.05, 1),
        "weights.l2": Term(0.05, 1),
        "weights.l3": Term(0.05, 1),
        "weights.l4": Term(0.05, 0.4),
        "row.macs": Term(0.15, 0.4),
        "row.calls": Term(3000, 0.4),
        "dwconv.3x3": Term(0.08, 1),
        "dwconv.5x5": Term(0.08, 1),
        # More than 25 taps have no dwconv kernel: a matrix product with one useful column of eight.
        "dwconv.large": Term(0.3, 1),
        "dwconv.strided": Term(0.02, 1),
        "dwconv.input": Term(0.2, 1),
        "dwconv.output": Term(0.2, 1),
        "fully_connected.macs": Term(0.3, 0.4),
        "add": Term(0.3, 1),
        "add.broadcast": Term(0.3, 1),
        "mul": Term(0.3, 1),
        "mul.broadcast": Term(0.3, 1),
        "hard_swish": Term(0.3, 1),
        "sigmoid": Term(0.3, 1),
        "pool.taps": Term(0.1, 1),
        "pool.elements": Term(0.2, 1),
        "mean": Term(0.3, 1),
        "pad": Term(0.3, 1),
        "concat": Term(0.3, 0),
        "slice": Term(0.3, 0),
        # the built-in reference kernel of grouped convolutions: a chain of dependent multiply-adds, an inner loop a tap
        "grouped.macs": Term(0.7, 0),
        "grouped.taps": Term(2.0, 0),
        "grouped.output": Term(1.0, 0),
        # what nothing above says; never measured in these data
        "elementwise": Term(0.3, 1),
        "transcendental": Term(1.5, 1),
        "softmax": Term(2.0, 1),
        "reduce": Term(0.5, 0),
        "move": Term(0.5, 0),
        "matmul.macs": Term(0.08, 1),
        "matmul.elements": Term(0.3, 1),
        "resize": Term(1.0, 1),
        "scalar.macs": Term(0.7, 0),
        "memory.l2": Term(0.2, 0.4),
        "memory.l4": Term(0.2, 0.4),
        "call": Term(3000, 0.4),
        "builtin.call": Term(5000, 0.4),
        "model": Term(100_000, 0.4),
        # built-in int8 kernels on ruy
        "i8.conv.macs": Term(0.03, 1),
        "i8.conv.tiles": Term(20, 1),
        "i8.conv.pack": Term(0.3, 0.5),
        "i8.conv.output": Term(0.5, 0.5),
        "i8.conv.weights": Term(0.1, 0.5),
        "i8.im2col.elements": Term(0.3, 0),
        "i8.im2col.rows": Term(5, 0),
        "i8.weights.l2": Term(0.05, 1),
        "i8.weights.l3": Term(0.05, 0.5),
        "i8.row.macs": Term(0.15, 0.5),
        "i8.row.calls": Term(3000, 0.5),
        "i8.dwconv.1x1": Term(0.08, 1),
        "i8.dwconv.3x3": Term(0.08, 1),
        "i8.dwconv.5x5": Term(0.08, 1),
        "i8.dwconv.large": Term(0.08, 1),
        "i8.dwconv.strided": Term(0.02, 1),
        "i8.dwconv.input": Term(0.2, 1),
        "i8.dwconv.output": Term(0.3, 1),
        "i8.fully_connected.macs": Term(0.3, 0.5),
        "i8.add": Term(1.0, 0),
        "i8.add.broadcast": Term(1.0, 0),
        "i8.mul": Term(1.0, 0),
        "i8.mul.broadcast": Term(2.0, 0),
        "i8.hard_swish": Term(0.5, 0),
        "i8.lookup": Term(1.0, 0),
        "i8.pool.taps": Term(0.1, 0),
        "i8.pool.elements": Term(0.2, 0),
        "i8.mean": Term(1.0, 0),
        "i8.pad": Term(0.3, 0),
        "i8.concat": Term(0.3, 0),
        "i8.slice": Term(0.3, 0),
        "i8.quantize": Term(1.0, 0),
        "i8.grouped.macs": Term(0.7, 0),
        "i8.grouped.taps": Term(2.0, 0),
        "i8.grouped.output": Term(1.0, 0),
        "i8.elementwise": Term(1.0, 0),
        "i8.transcendental": Term(3.0, 0),
        "i8.softmax": Term(3.0, 0),
        "i8.reduce": Term(1.0, 0),
        "i8.move": Term(0.3, 0),
        "i8.matmul.macs": Term(0.06, 1),
        "i8.matmul.elements": Term(0.3, 0.5),
        "i8.resize": Term(3.0, 0),
        "i8.scalar.macs": Term(0.7, 0),
        "i8.call": Term(3000, 0.5),
        "i8.model": Term(100_000, 0.5),
    }
)

_QUANTISED = frozenset({"int8", "uint8", "int16"})
#: Ops whose cost no shape tells: control flow, data-dependent loops.
UNPRICED = frozenset({"unknown", "if", "while", "call", "non_max_suppression", "detection_postprocess", "roi_align"})
_TRANSCENDENTAL = frozenset("cos elu erf exp gelu log mish pow rsqrt sigmoid sin softplus sqrt tanh div".split())


def terms(kernel: Kernel) -> Terms | None:
    """The terms of one kernel, by name; empty where it is free, ``None`` where its cost is not known from its shapes."""
    if kernel.free:
        return {}
    if kernel.op in UNPRICED or not kernel.outputs or not all(kernel.outputs):
        return None if kernel.op in UNPRICED else _generic(kernel)
    quantised = kernel.input_dtype in _QUANTISED or kernel.output_dtype in _QUANTISED
    return (_int8 if quantised else _float)(kernel)


def _float(kernel: Kernel) -> Terms:
    pricing = _FLOAT.get(kernel.implementation) or _FLOAT_BY_OP.get(kernel.op) or _generic
    found = pricing(kernel)
    moved = 4.0 * _elements(kernel)
    found["memory.l2"] = moved * _beyond(moved, 256e3)
    found["memory.l4"] = moved * _beyond(moved, L4)
    if kernel.implementation in {"concatenation"}:
        found["builtin.call"] = 1
    elif "row.calls" not in found:
        found["call"] = 1
    return found


def _int8(kernel: Kernel) -> Terms:
    pricing = _INT8.get(kernel.implementation) or _INT8_BY_OP.get(kernel.op)
    found = pricing(kernel) if pricing else {f"i8.{name}": count for name, count in _generic(kernel).items()}
    found["i8.call"] = 1
    return found


def _beyond(size: float, limit: float) -> float:
    """How much of data of ``size`` bytes misses a cache of about ``limit``: 0 well below, 1 well above, smooth between."""
    return (size / (size + limit)) ** 2


def _blocks(count: float, block: int) -> float:
    return float(-(-int(count) // block))


def _elements(kernel: Kernel) -> float:
    return float(sum(prod(shape) for shape in kernel.inputs) + sum(prod(shape) for shape in kernel.outputs))


def _out(kernel: Kernel) -> float:
    return float(prod(kernel.outputs[0]))


def _in(kernel: Kernel) -> float:
    return float(prod(kernel.inputs[0])) if kernel.inputs else 0.0


@dataclass(frozen=True, slots=True)
class _Conv:
    """A convolution as a matrix product: ``pixels`` by ``depth`` times ``depth`` by ``columns``; ``depth`` is taps * channels."""

    pixels: float
    columns: float
    taps: float
    depth: float

    @classmethod
    def of(cls, kernel: Kernel) -> _Conv:
        columns = kernel.outputs[0][-1]
        pixels = _out(kernel) / max(columns, 1)
        taps = float(prod(kernel.attributes.get("kernel", (1,))))
        depth = kernel.macs / max(pixels * columns, 1)
        return cls(pixels, columns, taps, depth)

    @property
    def weights(self) -> float:
        return self.depth * self.columns


def _gemm(kernel: Kernel) -> Terms:
    """1x1 convolutions and fully connected layers with more than one row (XNNPACK ``f32-gemm``)."""
    conv = _Conv.of(kernel)
    if conv.pixels <= 1:
        return {"row.macs": conv.weights, "row.calls": 1}
    tiles = _blocks(conv.pixels, ROWS) * _blocks(conv.columns, COLUMNS)
    return {"gemm.macs": tiles * ROWS * COLUMNS * conv.depth, "gemm.tiles": tiles, **_product(kernel, conv)}


def _igemm(kernel: Kernel) -> Terms:
    """Other convolutions: a matrix product that gathers its rows through pointers, one a tap (XNNPACK ``f32-igemm``)."""
    conv = _Conv.of(kernel)
    if conv.pixels <= 1:
        return {"row.macs": conv.weights, "row.calls": 1}
    tiles = _blocks(conv.pixels, ROWS) * _blocks(conv.columns, COLUMNS)
    return {
        "igemm.macs": tiles * ROWS * COLUMNS * conv.depth,
        "igemm.taps": tiles * conv.taps,
        "igemm.gather": conv.pixels * conv.depth,
        **_product(kernel, conv),
    }


def _product(kernel: Kernel, conv: _Conv) -> Terms:
    """What any matrix product moves. The weights are read again for every block of rows: from the cache level they fit."""
    weights = 4 * conv.weights
    streamed = _blocks(conv.pixels, ROWS) * weights
    panel = ROWS * conv.depth * 4
    return {
        "conv.input": _in(kernel),
        "conv.output": _out(kernel),
        "conv.weights": conv.weights,
        "panel.l1": kernel.macs * _beyond(panel, L1),
        "weights.l2": streamed * _beyond(weights, L2),
        "weights.l3": streamed * _beyond(weights, L3),
        "weights.l4": streamed * _beyond(weights, L4),
    }


def _fully_connected(kernel: Kernel) -> Terms:
    """One row: bound by reading every weight once from memory. Several rows: a matrix product."""
    conv = _Conv.of(kernel)
    return _gemm(kernel) if conv.pixels > 1 else {"fully_connected.macs": float(kernel.macs)}


def _depthwise(prefix: str) -> Callable[[Kernel], Terms]:
    def price(kernel: Kernel) -> Terms:
        taps = int(prod(kernel.attributes.get("kernel", (1,))))
        size = "1x1" if prefix and taps == 1 else "3x3" if taps <= 9 else "5x5" if taps <= 25 else "large"
        executed = float(taps) if prefix else float({"3x3": 9, "5x5": 25}.get(size, taps))
        found = {
            f"{prefix}dwconv.{size}": _out(kernel) * executed,
            f"{prefix}dwconv.input": _in(kernel),
            f"{prefix}dwconv.output": _out(kernel),
        }
        if max(kernel.attributes.get("stride", (1,))) > 1:
            found[f"{prefix}dwconv.strided"] = _out(kernel) * executed
        return found

    return price


def _grouped(prefix: str) -> Callable[[Kernel], Terms]:
    def price(kernel: Kernel) -> Terms:
        taps = float(prod(kernel.attributes.get("kernel", (1,))))
        return {
            f"{prefix}grouped.macs": float(kernel.macs),
            f"{prefix}grouped.taps": _out(kernel) * taps,
            f"{prefix}grouped.output": _out(kernel),
        }

    return price


def _arithmetic(name: str, *, quantised: bool = False) -> Callable[[Kernel], Terms]:
    """Two operands of one shape, or one broadcast (a scale per channel). Constants count as broadcast of what they are."""

    def price(kernel: Kernel) -> Terms:
        broadcast = len(set(kernel.inputs)) > 1
        elements = _out(kernel) if quantised else _elements(kernel)
        return {f"{name}.broadcast" if broadcast else name: elements}

    return price


def _pool(prefix: str) -> Callable[[Kernel], Terms]:
    def price(kernel: Kernel) -> Terms:
        taps = float(prod(kernel.attributes.get("kernel", (1,))))
        elements = _out(kernel) if prefix else _elements(kernel)
        return {f"{prefix}pool.taps": _out(kernel) * taps, f"{prefix}pool.elements": elements}

    return price


def _each(name: str) -> Callable[[Kernel], Terms]:
    return lambda kernel: {name: _elements(kernel)}


def _each_out(name: str) -> Callable[[Kernel], Terms]:
    return lambda kernel: {name: _out(kernel)}


def _each_in(name: str) -> Callable[[Kernel], Terms]:
    return lambda kernel: {name: _in(kernel)}


def _ruy(im2col: bool) -> Callable[[Kernel], Terms]:
    """int8 convolution: copy to a matrix (one thread), pack for the kernel, multiply, requantise."""

    def price(kernel: Kernel) -> Terms:
        conv = _Conv.of(kernel)
        if conv.pixels <= 1:
            return {"i8.row.macs": conv.weights, "i8.row.calls": 1}
        rows, columns = _blocks(conv.pixels, RUY), _blocks(conv.columns, RUY)
        found = {
            "i8.conv.macs": rows * columns * RUY * RUY * _blocks(conv.depth, RUY_DEPTH) * RUY_DEPTH,
            "i8.conv.tiles": rows * columns,
            "i8.conv.pack": conv.pixels * conv.depth,
            "i8.conv.output": _out(kernel),
            "i8.conv.weights": conv.weights,
            "i8.weights.l2": rows * conv.weights * _beyond(conv.weights, L2),
            "i8.weights.l3": rows * conv.weights * _beyond(conv.weights, L3),
        }
        if im2col:
            found["i8.im2col.elements"] = conv.pixels * conv.depth
            found["i8.im2col.rows"] = conv.pixels * (kernel.attributes.get("kernel", (1,))[0])
        return found

    return price


def _generic(kernel: Kernel) -> Terms:
    """What can be said of any op from its kind: elements touched, or multiply-accumulates."""
    if kernel.op in CONVOLUTIONS | MATRIX or kernel.op in {"lstm", "gru", "rnn", "svdf", "attention", "einsum"}:
        weights = kernel.weight_bytes / 4
        return {"matmul.macs": float(max(kernel.macs, weights)), "matmul.elements": _elements(kernel) + weights}
    if kernel.op in POOLS:
        return _pool("")(kernel)
    if kernel.op in _TRANSCENDENTAL:
        return {"transcendental": _elements(kernel)}
    if kernel.op in {"softmax", "log_softmax"}:
        return {"softmax": _elements(kernel)}
    if kernel.op in REDUCTIONS | {"arg_max", "arg_min", "top_k", "cumsum", "l2_normalization"}:
        return {"reduce": _elements(kernel)}
    if kernel.op in {"batch_norm", "layer_norm", "instance_norm", "group_norm", "local_response_norm"}:
        return {"transcendental": _elements(kernel)}
    if kernel.op.startswith("resize") or kernel.op == "grid_sample":
        return {"resize": _out(kernel)}
    if kernel.op in MOVEMENT:
        return {"move": _elements(kernel)}
    if kernel.op in UNARY | BINARY:
        return {"elementwise": _elements(kernel)}
    return {"elementwise": _elements(kernel)}


_FLOAT: Mapping[str, Callable[[Kernel], Terms]] = MappingProxyType(
    {
        "igemm": _igemm,
        "dwconv": _depthwise(""),
        "vadd": _arithmetic("add"),
        "vmul": _arithmetic("mul"),
        "vhswish": _each("hard_swish"),
        "vsigmoid": _each("sigmoid"),
        "maxpool": _pool(""),
        "avgpool": _pool(""),
        "gavgpool": _each("mean"),
        "pad": _each("pad"),
        "concatenation": _each_out("concat"),
        "strided_slice": _each("slice"),
        "slice": _each("slice"),
        "conv_grouped_reference": _grouped(""),
    }
)
_FLOAT_BY_OP: Mapping[str, Callable[[Kernel], Terms]] = MappingProxyType(
    {"conv2d": _gemm, "fully_connected": _fully_connected, "depthwise_conv2d": _depthwise(""), "concat": _each_out("concat")}
)
_INT8: Mapping[str, Callable[[Kernel], Terms]] = MappingProxyType(
    {
        "conv_ruy_1x1": _ruy(im2col=False),
        "conv_ruy_im2col": _ruy(im2col=True),
        "conv_ruy_dilated_im2col": _ruy(im2col=True),
        "conv_grouped_reference": _grouped("i8."),
        "logistic_lut": _each_out("i8.lookup"),
        "tanh_lut": _each_out("i8.lookup"),
    }
)
_INT8_BY_OP: Mapping[str, Callable[[Kernel], Terms]] = MappingProxyType(
    {
        "conv2d": _ruy(im2col=True),
        "depthwise_conv2d": _depthwise("i8."),
        "fully_connected": lambda kernel: {"i8.fully_connected.macs": float(kernel.macs)},
        "add": _arithmetic("i8.add", quantised=True),
        "sub": _arithmetic("i8.add", quantised=True),
        "mul": _arithmetic("i8.mul", quantised=True),
        "hard_swish": _each_out("i8.hard_swish"),
        "max_pool2d": _pool("i8."),
        "average_pool2d": _pool("i8."),
        "mean": _each_in("i8.mean"),
        "pad": _each_out("i8.pad"),
        "concat": _each_out("i8.concat"),
        "strided_slice": _each_out("i8.slice"),
        "slice": _each_out("i8.slice"),
        "quantize": _each_out("i8.quantize"),
        "dequantize": _each_out("i8.quantize"),
    }
)
