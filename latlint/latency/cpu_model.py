"""What a CPU kernel's time is made of: physical terms, each a count that the kernel's shapes alone determine.

A kernel's time is a sum of non-negative costs, ``sum(theta[t] * terms[t])``: multiply-accumulates as the kernel executes them
(tiles padded to its registers), tiles, elements copied, packed and written, weights that do not fit a cache level and
are streamed again for every block of rows. ``latlint.training`` finds the costs per processor from end-to-end times; here is
only what they multiply. More work never costs less, because no cost is negative and no term falls with work.

A term that no measurement exercised keeps its prior cost (``Term.prior_ns``, for a core of about 2.5 GHz) times the
processor's speed relative to that core: a stated simpler model, which predictions mark as ``derived``.

Terms are named ``<kernels>.<op>.<what>``: ``f32`` and ``i8`` are TensorFlow Lite's built-in kernels on ruy, ``xnn`` is XNNPACK.

Sources: ``tensorflow/lite/kernels/{conv,depthwise_conv}.cc`` and ``internal/{optimized,reference}/``; ruy's
``kernel_arm64.cc`` (8 by 8 blocks) and ``pack_arm64.cc``; XNNPACK's ``src/operators/convolution-nhwc.c``, ``src/f32-gemm/``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from types import MappingProxyType
from typing import NamedTuple

from latlint.graph.ops import BINARY, CONVOLUTIONS, MATRIX, MOVEMENT, POOLS, REDUCTIONS, UNARY
from latlint.runtime.types import Kernel

Terms = dict[str, float]
Pricing = Callable[[Kernel, str], Terms]


class Term(NamedTuple):
    """``prior_ns``: what one unit costs on a big core at about 2.5 GHz, from instruction counts and typical latencies.
    ``parallel``: how much of it is divided by more threads: 1 all of it, 0 none (a kernel with one thread), between the two
    what shares a cache, a memory bus or a barrier."""

    prior_ns: float
    parallel: float


#: Blocks of the matrix product: ruy's kernels are 8 by 8, int8 in depths of 16; XNNPACK's f32 kernels 6 rows by 8 channels.
RUY_ROWS = RUY_COLUMNS = 8
RUY_INT8_DEPTH = 16
XNN_ROWS, XNN_COLUMNS = 6, 8
#: With AVX-512, XNNPACK has f32 kernels of 7 rows by 32 or by 16 channels (gemm-config.c), and depthwise ones of 16 channels.
XNN_WIDE_ROWS, XNN_WIDE, XNN_NARROW = 7, 32, 16
#: Soft thresholds in bytes for data that leaves a cache: first level, a core's own, the cluster's.
L1, L2, L3 = 32e3, 128e3, 512e3
#: What leaves a server core's own cache.
LARGE = 2e6
#: Taps a side; what is larger exists in no published network, and counting it one by one would take a hostile file's time.
LARGEST_FILTER = 64

#: Built-in kernels, float32 and int8. Copies and arithmetic on elements have one thread; matrix products have all; packing and
#: what follows a product share the memory bus.
_BUILTIN: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {
        # name: prior for float32, prior for int8, parallel
        "conv.macs": (0.055, 0.03, 1),
        "conv.tiles": (20, 40, 1),
        # Rows of the product: pointers and sums of each are set up when it is packed.
        "conv.pixels": (5, 5, 1),
        "conv.call": (1000, 1000, 0.2),
        "conv.pack": (0.3, 0.05, 0.5),
        "conv.output": (0.4, 0.15, 0.5),
        "conv.weights": (0.6, 0.1, 0.5),
        "im2col.elements": (0.5, 0.1, 0),
        "im2col.rows": (5, 5, 0),
        "weights.l2": (0.03, 0.004, 1),
        "weights.l3": (0.03, 0.004, 1),
        # One row of float32 has a kernel of its own, bound by reading four bytes a weight at some 20 GB/s.
        "row.macs": (0.2, 0.2, 0.5),
        # Packed anew at each inference, in strides that no prefetcher follows, from memory.
        "fully_connected.weights": (0.5, 0.5, 0.5),
        "dwconv.1x1": (0.12, 0.08, 1),
        "dwconv.3x3": (0.12, 0.08, 1),
        "dwconv.5x5": (0.12, 0.08, 1),
        "dwconv.large": (0.12, 0.08, 1),
        "dwconv.strided": (0.05, 0.02, 1),
        "dwconv.input": (0.2, 0.2, 1),
        "dwconv.output": (0.2, 0.3, 1),
        # The reference kernel: a chain of dependent multiply-adds (two cycles each), and an inner loop to enter for each tap.
        "grouped.macs": (0.7, 0.7, 0),
        "grouped.taps": (2.0, 2.0, 0),
        "grouped.output": (1.0, 1.0, 0),
        "add": (0.5, 1.0, 0),
        "add.broadcast": (0.3, 1.0, 0),
        "mul": (0.3, 1.0, 0),
        "mul.broadcast": (0.3, 2.0, 0),
        "hard_swish": (0.2, 0.2, 0),
        # float32: a rational function in vectors (Eigen's logistic), some ten cycles for four; int8 looks each value up in a table
        "sigmoid": (1.0, 1.0, 0),
        "pool.taps": (0.1, 0.1, 0),
        "pool.elements": (0.2, 0.2, 0),
        "mean": (0.3, 0.5, 0),
        # the reference kernel works out every element's index anew
        "mean.generic": (5.0, 1.0, 0),
        "pad": (0.3, 0.8, 0),
        "concat": (0.3, 0.3, 0),
        "slice": (0.3, 0.3, 0),
        "quantize": (1.0, 1.0, 0),
        "elementwise": (0.5, 1.0, 0),
        "transcendental": (3.0, 3.0, 0),
        "softmax": (3.0, 3.0, 0),
        "reduce": (1.0, 1.0, 0),
        "move": (0.5, 0.3, 0),
        "matmul.macs": (0.08, 0.06, 1),
        "matmul.elements": (0.3, 0.3, 0.5),
        "resize": (3.0, 3.0, 0),
        "call": (1000, 1000, 0.2),
        "model": (100_000, 100_000, 0.2),
    }
)
_XNN: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        # A processor runs either the first of these or the others: which, its times tell.
        "conv.macs": (0.055, 1),
        "conv.tiles": (20, 1),
        "wide.macs": (1e-3, 1),
        "narrow.macs": (1e-3, 1),
        "wide.tiles": (1, 1),
        "igemm.taps": (8, 1),
        "igemm.gather": (0.15, 1),
        "conv.input": (0.2, 1),
        "conv.output": (0.2, 1),
        "conv.weights": (0.2, 1),
        "panel.l1": (0.05, 1),
        "weights.l2": (0.05, 1),
        "weights.l3": (0.05, 1),
        "weights.large": (0.05, 1),
        "row.macs": (0.2, 0.4),
        "dwconv.3x3": (0.08, 1),
        "dwconv.5x5": (0.08, 1),
        # More than 25 taps have no dwconv kernel: a matrix product with one useful column of eight.
        "dwconv.large": (0.3, 1),
        "dwconv.strided": (0.02, 1),
        "dwconv.input": (0.2, 1),
        "dwconv.output": (0.2, 1),
        "dwconv.pixels": (5, 1),
        "dwconv.weights": (0.05, 1),
        "elementwise": (0.3, 1),
        # Clamps after arithmetic: newer versions run them as a pass of their own.
        "clamp": (1e-2, 1),
        "pad": (0.3, 1),
        # Activations that do not fit a core's own cache.
        "memory": (0.05, 0.5),
        "transcendental": (0.6, 1),
        "softmax": (1.5, 1),
        "pool.taps": (0.1, 1),
        "pool.elements": (0.2, 1),
        "reduce": (0.3, 1),
        "move": (0.3, 1),
        "resize": (1.0, 1),
        "matmul.macs": (0.07, 1),
        "matmul.elements": (0.3, 1),
        "call": (3000, 0.4),
        "model": (100_000, 0.4),
    }
)

TERMS: Mapping[str, Term] = MappingProxyType(
    {f"f32.{name}": Term(float32, parallel) for name, (float32, _, parallel) in _BUILTIN.items()}
    | {f"i8.{name}": Term(int8, parallel) for name, (_, int8, parallel) in _BUILTIN.items()}
    | {f"xnn.{name}": Term(prior, parallel) for name, (prior, parallel) in _XNN.items()}
)

_QUANTISED = frozenset({"int8", "uint8", "int16"})
#: Ops whose cost no shape tells: control flow, data-dependent loops, and what is not known at all.
UNPRICED = frozenset({"unknown", "if", "while", "call", "non_max_suppression", "detection_postprocess", "roi_align"})
_TRANSCENDENTAL = frozenset("cos div elu erf exp gelu log mish pow rsqrt sigmoid sin softplus sqrt tanh".split())
_NORMALISATION = frozenset(
    "batch_norm group_norm instance_norm l2_normalization layer_norm local_response_norm".split()
)
_COPIES = ("concat", "split", "split_v", "reshape", "squeeze", "expand_dims", "flatten", "pack", "unpack", "identity")
_SCANS = frozenset("arg_max arg_min cumsum top_k".split())
_RECURRENT = frozenset("attention einsum gru lstm rnn svdf".split())


def terms(kernel: Kernel, executor: str = "builtin") -> Terms | None:
    """The terms of one kernel, by name; empty where it is free, ``None`` where its cost is not known from its shapes.

    ``executor`` is that of the kernel's partition: ``builtin`` or ``xnnpack``.
    """
    if kernel.free:
        return {}
    if kernel.op in UNPRICED:
        return None
    if not kernel.outputs:
        return {}
    if executor == "xnnpack":
        kernels, pricing = "xnn", _XNN_PRICING.get(kernel.implementation, _generic)
    else:
        quantised = kernel.input_dtype in _QUANTISED or kernel.output_dtype in _QUANTISED
        kernels = "i8" if quantised else "f32"
        pricing = _BUILTIN_PRICING.get(kernel.implementation) or _BUILTIN_BY_OP.get(kernel.op, _generic)
    found = {f"{kernels}.{name}": count for name, count in pricing(kernel, kernels).items()}
    found[f"{kernels}.call"] = 1.0
    if kernels == "xnn":
        touched = _elements(kernel)
        found["xnn.memory"] = touched * _beyond(4 * touched, LARGE)
    return found


def model_term(kernels: frozenset[str] | set[str], precision: str) -> str:
    """The term that a whole inference costs once, by the kernels that most of it runs on."""
    if "xnnpack" in kernels:
        return "xnn.model"
    return "i8.model" if precision == "int8" else "f32.model"


def _beyond(size: float, limit: float) -> float:
    """How much of data of ``size`` bytes misses a cache of about ``limit``: 0 well below, 1 well above, smooth between."""
    return (size / (size + limit)) ** 2


def _blocks(count: float, block: int) -> float:
    return float(-(-int(count) // block))


def _elements(kernel: Kernel) -> float:
    return float(sum(prod(shape) for shape in kernel.inputs)) + _out(kernel)


def _out(kernel: Kernel) -> float:
    return float(sum(prod(shape) for shape in kernel.outputs))


def _in(kernel: Kernel) -> float:
    return float(prod(kernel.inputs[0])) if kernel.inputs else 0.0


def _taps(kernel: Kernel) -> float:
    return float(prod(kernel.attributes.get("kernel", (1,))))


class _Product(NamedTuple):
    """A convolution or matrix product: (``pixels``, ``depth``) times (``depth``, ``columns``); ``depth`` is taps * channels."""

    pixels: float
    columns: float
    depth: float

    @classmethod
    def of(cls, kernel: Kernel) -> _Product:
        columns = max(kernel.outputs[0][-1] if kernel.outputs[0] else 1, 1)
        pixels = _out(kernel) / columns
        return cls(pixels, columns, kernel.macs / max(pixels * columns, 1))

    @property
    def weights(self) -> float:
        return self.depth * self.columns

    def streamed(self, rows: int, item: int) -> Terms:
        """The weights are read again for every block of rows: from the cache level that holds them."""
        blocks = _blocks(self.pixels, rows) * self.weights
        size = item * self.weights
        return {f"weights.{name}": blocks * _beyond(size, at) for name, at in (("l2", L2), ("l3", L3))}


def _ruy(kernel: Kernel, kernels: str) -> Terms:
    """A matrix product on ruy: pack both sides, multiply in blocks, write."""
    product = _Product.of(kernel)
    if product.pixels <= 1 and kernels == "f32":
        return {"row.macs": product.weights, "conv.call": 1.0}
    tiles = _blocks(product.pixels, RUY_ROWS) * _blocks(product.columns, RUY_COLUMNS)
    deep = RUY_INT8_DEPTH if kernels == "i8" else 1
    return {
        "conv.macs": tiles * RUY_ROWS * RUY_COLUMNS * (_blocks(product.depth, deep) * deep),
        "conv.tiles": tiles,
        "conv.pixels": product.pixels,
        "conv.call": 1.0,
        "conv.pack": product.pixels * product.depth,
        "conv.output": _out(kernel),
        "conv.weights": product.weights,
        **product.streamed(RUY_ROWS, 1 if kernels == "i8" else 4),
    }


def _ruy_im2col(kernel: Kernel, kernels: str) -> Terms:
    """Any other convolution first copies its input to a matrix, on one thread, a run of bytes for each row of the filter."""
    product = _Product.of(kernel)
    copied = {
        "im2col.elements": product.pixels * product.depth,
        "im2col.rows": product.pixels * kernel.attributes.get("kernel", (1,))[0],
    }
    return _ruy(kernel, kernels) | (copied if product.pixels > 1 else {})


def _fully_connected(kernel: Kernel, kernels: str) -> Terms:
    """float32 rows share one kernel (``cpu_backend_gemm_custom_gemv.h``); int8 reads its weights from afar, then multiplies."""
    product = _Product.of(kernel)
    if kernels == "f32":
        return {"row.macs": float(kernel.macs)} if product.pixels <= 1 else _ruy(kernel, kernels)
    return {"fully_connected.weights": product.weights} | (_ruy(kernel, kernels) if product.pixels > 1 else {})


def _depthwise(kernel: Kernel, kernels: str) -> Terms:
    taps = _taps(kernel)
    if kernels == "xnn":
        taps = next((float(tile) for tile in (9, 25) if taps <= tile), taps)
    size = "1x1" if taps <= 1 else "3x3" if taps <= 9 else "5x5" if taps <= 25 else "large"
    work = _out(kernel) * taps
    strided = max(kernel.attributes.get("stride", (1,))) > 1
    return {
        f"dwconv.{size}": work,
        "dwconv.input": _in(kernel),
        "dwconv.output": _out(kernel),
        **({"dwconv.strided": work} if strided else {}),
    }


def _grouped(kernel: Kernel, _: str) -> Terms:
    """Taps in the padding are skipped, not multiplied by zero."""
    out, reached = _out(kernel), _reached(kernel)
    return {
        "grouped.macs": kernel.macs * reached,
        "grouped.taps": out * _taps(kernel) * reached,
        "grouped.output": out,
    }


def _reached(kernel: Kernel) -> float:
    """Share of the filter's taps that fall on the input, not on its padding."""
    facts = kernel.attributes
    geometry = (facts.get(name, ()) for name in ("kernel", "stride", "dilation"))
    sides = zip(kernel.inputs[0][1:3], kernel.outputs[0][1:3], *geometry, facts.get("padding", ())[::2], strict=False)
    share = 1.0
    for size, positions, taps, stride, dilation, before in sides:
        if not (0 < taps <= LARGEST_FILTER and stride > 0 and positions > 0):
            continue
        first = (max(-((tap * dilation - before) // stride), 0) for tap in range(taps))
        last = (min((size - 1 + before - tap * dilation) // stride, positions - 1) for tap in range(taps))
        share *= sum(max(b - a + 1, 0) for a, b in zip(first, last, strict=True)) / (taps * positions)
    return share


def _arithmetic(name: str) -> Pricing:
    def price(kernel: Kernel, _: str) -> Terms:
        return {f"{name}.broadcast" if len(set(kernel.inputs)) > 1 else name: _out(kernel)}

    return price


def _pool(kernel: Kernel, _: str) -> Terms:
    return {"pool.taps": _out(kernel) * _taps(kernel), "pool.elements": _out(kernel)}


def _written(name: str) -> Pricing:
    return lambda kernel, _: {name: _out(kernel)}


def _read(name: str) -> Pricing:
    return lambda kernel, _: {name: _in(kernel)}


def _mean(kernel: Kernel, kernels: str) -> Terms:
    """float32 without kept dimensions takes the reference kernel; int8 costs the same either way (reduce.cc)."""
    return {"mean.generic" if kernels == "f32" else "mean": _in(kernel)}


def _xnn_gemm(kernel: Kernel, _: str) -> Terms:
    """1x1 convolutions and fully connected layers (``f32-gemm``)."""
    return _xnn_product(kernel, prefer_narrow=True)


def _xnn_igemm(kernel: Kernel, _: str) -> Terms:
    """Other convolutions: a matrix product that gathers its rows through pointers, one a tap (``f32-igemm``)."""
    found = _xnn_product(kernel, prefer_narrow=False)
    product = _Product.of(kernel)
    if product.pixels > 1:
        found |= {"igemm.taps": found["wide.tiles"] * _taps(kernel), "igemm.gather": product.pixels * product.depth}
    return found


def _xnn_product(kernel: Kernel, *, prefer_narrow: bool) -> Terms:
    """A product for each group of channels, in whole tiles of rows and columns (``convolution-nhwc.c``)."""
    product = _Product.of(kernel)
    if product.pixels <= 1:
        return {"row.macs": product.weights}
    groups = max(int(kernel.attributes.get("groups", 1)), 1)
    columns = product.columns / groups
    tiles = groups * _blocks(product.pixels, XNN_ROWS) * _blocks(columns, XNN_COLUMNS)
    # Seen in the times of 2.3 for 8 to 240 channels: narrow tiles below 32 channels, in f32-gemm also where they leave less padding.
    padded = _blocks(columns, XNN_NARROW) * XNN_NARROW
    narrow = columns < XNN_WIDE or (prefer_narrow and padded % XNN_WIDE > 0)
    width = XNN_NARROW if narrow else XNN_WIDE
    wide_tiles = groups * _blocks(product.pixels, XNN_WIDE_ROWS) * _blocks(columns, width)
    return {
        "conv.macs": tiles * XNN_ROWS * XNN_COLUMNS * product.depth,
        "conv.tiles": tiles,
        ("narrow.macs" if narrow else "wide.macs"): wide_tiles * XNN_WIDE_ROWS * width * product.depth,
        "wide.tiles": wide_tiles,
        "conv.input": _in(kernel),
        "conv.output": _out(kernel),
        "conv.weights": product.weights,
        "panel.l1": kernel.macs * _beyond(XNN_ROWS * product.depth * 4, L1),
        **product.streamed(XNN_ROWS, 4),
        "weights.large": _blocks(product.pixels, XNN_WIDE_ROWS) * product.weights * _beyond(4 * product.weights, LARGE),
    }


def _xnn_depthwise(kernel: Kernel, kernels: str) -> Terms:
    """Whole vectors of channels, a call for each pixel; the weights are read again for every pixel (``f32-dwconv``)."""
    found = _depthwise(kernel, kernels)
    channels = max(kernel.outputs[0][-1], 1)
    vectors = _blocks(channels, XNN_NARROW) * XNN_NARROW / channels
    found = {name: count * vectors if name.startswith("dwconv.") else count for name, count in found.items()}
    work = _out(kernel) * _taps(kernel)
    weights = work * _beyond(4 * channels * _taps(kernel), L1)
    return found | {"dwconv.pixels": _out(kernel) / channels, "dwconv.weights": weights}


def _xnn_arithmetic(kernel: Kernel, _: str) -> Terms:
    return {"elementwise": _elements(kernel)} | ({"clamp": 2 * _out(kernel)} if kernel.linked else {})


def _generic(kernel: Kernel, _: str) -> Terms:
    """What can be said of any op from its kind: elements touched, or multiply-accumulates."""
    op = kernel.op
    if op in CONVOLUTIONS | MATRIX | _RECURRENT:
        weights = kernel.weight_bytes / 4
        return {"matmul.macs": float(max(kernel.macs, weights)), "matmul.elements": _elements(kernel) + weights}
    if op in POOLS:
        return {"pool.taps": _out(kernel) * _taps(kernel), "pool.elements": _out(kernel)}
    if op in {"softmax", "log_softmax"}:
        return {"softmax": _elements(kernel)}
    if op in _TRANSCENDENTAL | _NORMALISATION:
        return {"transcendental": _elements(kernel)}
    if op in REDUCTIONS | _SCANS:
        return {"reduce": _elements(kernel)}
    if op.startswith("resize") or op == "grid_sample":
        return {"resize": _out(kernel)}
    if op in MOVEMENT - UNARY - BINARY:
        return {"move": _elements(kernel)}
    return {"elementwise": _elements(kernel)}


_BUILTIN_PRICING: Mapping[str, Pricing] = MappingProxyType(
    {
        "conv_ruy_1x1": _ruy,
        "conv_ruy_im2col": _ruy_im2col,
        "conv_ruy_dilated_im2col": _ruy_im2col,
        "conv_grouped_reference": _grouped,
        "mean_spatial": _read("mean"),
    }
)
_BUILTIN_BY_OP: Mapping[str, Pricing] = MappingProxyType(
    {
        "conv2d": _ruy_im2col,
        "depthwise_conv2d": _depthwise,
        "fully_connected": _fully_connected,
        "add": _arithmetic("add"),
        "sub": _arithmetic("add"),
        "mul": _arithmetic("mul"),
        "hard_swish": _written("hard_swish"),
        "sigmoid": _written("sigmoid"),
        "max_pool2d": _pool,
        "average_pool2d": _pool,
        "mean": _mean,
        "pad": _written("pad"),
        # copies of whole runs of memory, as a concatenation makes them: a reshape is one, unless it happens in place
        **dict.fromkeys(_COPIES, _written("concat")),
        "strided_slice": _written("slice"),
        "slice": _written("slice"),
        "quantize": _written("quantize"),
        "dequantize": _written("quantize"),
    }
)
_XNN_PRICING: Mapping[str, Pricing] = MappingProxyType(
    {
        "gemm": _xnn_gemm,
        "igemm": _xnn_igemm,
        "dwconv": _xnn_depthwise,
        "maxpool": _pool,
        "avgpool": _pool,
        "gavgpool": _read("reduce"),
        "pad": _written("pad"),
        "copy": _written("move"),
        **dict.fromkeys(("vadd", "vsub", "vmul", "vdiv"), _xnn_arithmetic),
    }
)
