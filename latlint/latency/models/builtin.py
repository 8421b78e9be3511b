"""TensorFlow Lite's built-in CPU kernels: multiply-accumulates as the kernel executes them (tiles padded to its registers), tiles, elements
copied, packed and written, weights that do not fit a cache level and are streamed again for every block of rows.

Priors are for a core of about 2.5 GHz. Terms are named ``<kernels>.<op>.<what>``: ``f32`` and ``i8`` are the kernels on ruy.

Sources: ``tensorflow/lite/kernels/{conv,depthwise_conv}.cc`` and ``internal/{optimized,reference}/``; ruy's ``kernel_arm64.cc`` (8 by 8
blocks) and ``pack_arm64.cc``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from types import MappingProxyType

from latlint.latency.counts import (
    CELLS,
    L3,
    LOOP,
    Cell,
    Pricing,
    Product,
    beyond,
    blocks,
    calls,
    depthwise,
    generic,
    only_read,
    only_written,
    pool,
    read,
    taps_of,
    written,
)
from latlint.latency.terms import UNCOMPUTED, CostModel, Term, Terms, is_unpriced
from latlint.runtime.types import Kernel

#: Elements of a kernel.
Count = Callable[[Kernel], float]
#: What ``rules/`` calls the kernel of a custom op that only the app can bring.
UNRESOLVED = "unresolved_custom_op"
#: Blocks of ruy's matrix product, 8 by 8, int8 in depths of 16.
RUY_ROWS = RUY_COLUMNS = 8
RUY_INT8_DEPTH = 16
#: So many blocks of rows hide the reading of an int8 layer's weights.
HIDING_BLOCKS = 8
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
        "grouped.taps": (1.5, 1.5, 0),
        # Leaving an inner loop of more than one round is hard to foresee.
        "grouped.loops": (0.5, 0.5, 0),
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
        # An activation by itself: vectors in float32, rescaled one by one in int8.
        "activation": (0.4, 1.5, 0),
        "tanh": (1.0, 1.0, 0),
        # A call of erf for each element (activations.cc).
        "gelu": (12.0, 12.0, 0),
        # int8: each value is looked up in a table of 256, as a sigmoid's is
        "lookup": (1.0, 1.0, 0),
        # Every element's place is worked out anew (BroadcastBinaryFunction4DSlow); int8 rescales three times.
        "slow.broadcast": (3.0, 8.0, 0),
        "squared_difference": (0.5, 8.0, 0),
        "squared_difference.broadcast": (3.0, 24.0, 0),
        "division": (0.75, 6.0, 0),
        "l2_normalization": (1.0, 1.0, 0),
        # Rows are summed where they lie.
        "mean.last": (1.0, 1.2, 0),
        # float32 divides the rows among all threads (softmax.h, SoftmaxWorkerTask), int8 does not.
        "softmax": (3.0, 7.0, 0),
        "softmax.shared": (3.0, 7.0, 1),
        "reduce": (1.0, 1.0, 0),
        "sort": (10.0, 10.0, 0),
        "move": (0.5, 0.3, 0),
        "matmul.macs": (0.08, 0.06, 1),
        "matmul.elements": (0.3, 0.3, 0.5),
        # Simple loops of the reference kernels, which compilers turn into vectors; a comparison or choice that repeats one side works
        # out every index.
        "compare": (0.25, 0.25, 0),
        "compare.broadcast": (5.0, 5.0, 0),
        "select": (0.4, 0.4, 0),
        # A right side that is not transposed yet is, at each inference, on one thread.
        "matmul.transposed": (1.0, 0.5, 0),
        "resize": (2.0, 2.0, 0),
        # Whole pixels are copied.
        "resize.nearest": (0.4, 0.2, 0),
        # Where each element comes from is worked out anew, by all threads (mirror_pad.cc).
        "mirror_pad": (8.0, 8.0, 1),
        "call": (1000, 1000, 0.2),
        "model": (100_000, 100_000, 0.2),
    }
)
TERMS: Mapping[str, Term] = MappingProxyType(
    {f"f32.{name}": Term(float32, parallel) for name, (float32, _, parallel) in _BUILTIN.items()}
    | {f"i8.{name}": Term(int8, parallel) for name, (_, int8, parallel) in _BUILTIN.items()}
)

_QUANTISED = frozenset({"int8", "uint8", "int16"})
_ACTIVATIONS = ("relu", "relu6", "relu_0_to_1", "relu_n1_to_1", "clip")
_COMPARISONS = ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")


def price(kernel: Kernel) -> Terms | None:
    """The terms of one kernel, by name; empty where it is free, ``None`` where its cost is not known from its shapes."""
    if is_unpriced(kernel) or kernel.implementation == UNRESOLVED:
        return None
    if kernel.free or not (kernel.outputs or kernel.op == "assign_variable"):
        return {}
    pricing = _BY_IMPLEMENTATION.get(kernel.implementation) or _BY_OP.get(kernel.op, generic)
    kernels = "i8" if _quantised(kernel) else "f32"
    found = {"call": calls(kernel)} | pricing(kernel)
    return {f"{kernels}.{name}": count for name, count in found.items()}


def _once(precision: str) -> str:
    return "i8.model" if precision == "int8" else "f32.model"


def _quantised(kernel: Kernel) -> bool:
    return kernel.input_dtype in _QUANTISED or kernel.output_dtype in _QUANTISED


def _ruy(kernel: Kernel) -> Terms:
    """A matrix product on ruy: pack both sides, multiply in blocks, write."""
    product = Product.of(kernel)
    quantised = _quantised(kernel)
    if product.pixels <= 1 and not quantised:
        return {"row.macs": product.weights, "conv.call": 1.0}
    tiles = blocks(product.pixels, RUY_ROWS) * blocks(product.columns, RUY_COLUMNS)
    deep = RUY_INT8_DEPTH if quantised else 1
    return {
        "conv.macs": tiles * RUY_ROWS * RUY_COLUMNS * (blocks(product.depth, deep) * deep),
        "conv.tiles": tiles,
        "conv.pixels": product.pixels,
        "conv.call": 1.0,
        "conv.pack": product.pixels * product.depth,
        "conv.output": written(kernel),
        "conv.weights": product.weights,
        **product.streamed(RUY_ROWS, 1 if quantised else 4),
    }


def _ruy_im2col(kernel: Kernel) -> Terms:
    """Any other convolution first copies its input to a matrix, on one thread, a run of bytes for each row of the filter."""
    product = Product.of(kernel)
    copied = {
        "im2col.elements": product.pixels * product.depth,
        "im2col.rows": product.pixels * kernel.attributes.get("kernel", (1,))[0],
    }
    return _ruy(kernel) | (copied if product.pixels > 1 else {})


def _fully_connected(kernel: Kernel) -> Terms:
    """float32 rows share one kernel (``cpu_backend_gemm_custom_gemv.h``); int8 reads its weights from afar, then multiplies: with more
    blocks of rows to multiply, ever less of the reading is waited for."""
    product = Product.of(kernel)
    if not _quantised(kernel):
        return {"row.macs": float(kernel.macs)} if product.pixels <= 1 else _ruy(kernel)
    waited = max(1.0 - (blocks(product.pixels, RUY_ROWS) - 1.0) / HIDING_BLOCKS, 0.0)
    return {"fully_connected.weights": waited * product.weights} | (_ruy(kernel) if product.pixels > 1 else {})


def _depthwise(kernel: Kernel) -> Terms:
    return depthwise(kernel, taps_of(kernel))


def _grouped(kernel: Kernel) -> Terms:
    """Taps in the padding are skipped, not multiplied by zero."""
    out, reached = written(kernel), _reached(kernel)
    taps = out * taps_of(kernel) * reached
    return {
        "grouped.macs": kernel.macs * reached,
        "grouped.taps": taps,
        "grouped.output": out,
        **({"grouped.loops": taps} if kernel.macs > out * taps_of(kernel) else {}),
    }


def _reached(kernel: Kernel) -> float:
    """Share of the filter's taps that fall on the input, not on its padding."""
    if not kernel.inputs:  # its data are a constant
        return 1.0
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


def _each(term: str, float32: float = 1.0, int8: float = 1.0, of: Count = written) -> Pricing:
    """So many of ``term`` for each element written (or ``of`` others)."""

    def price(kernel: Kernel) -> Terms:
        return {term: of(kernel) * (int8 if _quantised(kernel) else float32)}

    return price


def _arithmetic(name: str) -> Pricing:
    def price(kernel: Kernel) -> Terms:
        return {f"{name}.broadcast" if len(set(kernel.inputs)) > 1 else name: written(kernel)}

    return price


def _alike(same: Pricing, repeated: Pricing) -> Pricing:
    """``repeated`` where an operand has another shape than the first."""

    def price(kernel: Kernel) -> Terms:
        return repeated(kernel) if len(set(kernel.inputs)) > 1 else same(kernel)

    return price


def _reduction(last: Pricing, others: Pricing) -> Pricing:
    """Over the last axis an element at a time is added to one sum; over others whole rows are added (reduce.cc)."""

    def price(kernel: Kernel) -> Terms:
        rank = len(kernel.inputs[0]) if kernel.inputs else 0
        return last(kernel) if kernel.attributes.get("axes") == (rank - 1,) else others(kernel)

    return price


def _unpacked(kernel: Kernel) -> Terms:
    """Each output is set up and copied by itself (unpack.cc)."""
    count = written(kernel) * (1.5 if _quantised(kernel) else 1.2)
    return {"concat": count, "call": calls(kernel) + 0.05 * len(kernel.outputs)}


def _cumulated(kernel: Kernel) -> Terms:
    """Steps along an axis are as far apart as the axes behind it are long: what fits no cache waits for each."""
    count = written(kernel)
    return {"reduce": count * (0.4 + 2.0 * beyond(4 * count, L3))}


def _mean(kernel: Kernel) -> Terms:
    """Over the last axis alone, as LayerNorm takes it, rows are summed where they lie; else float32 without kept dimensions takes the
    reference kernel, and int8 costs the same either way (reduce.cc)."""
    if kernel.inputs and kernel.attributes.get("axes") == (len(kernel.inputs[0]) - 1,):
        return {"mean.last": read(kernel)}
    return {"mean" if _quantised(kernel) else "mean.generic": read(kernel)}


def _batch_matmul(kernel: Kernel) -> Terms:
    """One product on ruy for each of the batch (batch_matmul.cc)."""
    rows, columns = (max(side, 1) for side in (1, 1, *kernel.outputs[0])[-2:])
    batch = written(kernel) / (rows * columns)
    depth = kernel.macs / max(written(kernel), 1.0)
    quantised = _quantised(kernel)
    deep = RUY_INT8_DEPTH if quantised else 1
    tiles = batch * blocks(rows, RUY_ROWS) * blocks(columns, RUY_COLUMNS)
    right = batch * depth * columns
    return {
        "conv.macs": tiles * RUY_ROWS * RUY_COLUMNS * (blocks(depth, deep) * deep),
        "conv.tiles": tiles,
        "conv.pixels": batch * rows,
        "conv.call": batch,
        "conv.pack": batch * rows * depth,
        "conv.output": written(kernel),
        "conv.weights": right,
        **({} if kernel.attributes.get("transpose_b") else {"matmul.transposed": right}),
    }


def _softmax(kernel: Kernel) -> Terms:
    return {"softmax" if _quantised(kernel) else "softmax.shared": written(kernel)}


def _log_softmax(kernel: Kernel) -> Terms:
    return {"softmax": 0.67 * written(kernel)} if _quantised(kernel) else {"softmax.shared": written(kernel)}


def _filters(float32: float) -> Pricing:
    """Transposed and three-dimensional convolutions copy to a matrix, or from one: their products take ``float32`` times what others do."""

    def price(kernel: Kernel) -> Terms:
        return {
            name: count * (float32 if name == "matmul.macs" and not _quantised(kernel) else 1.0)
            for name, count in generic(kernel).items()
        }

    return price


def _svdf(kernel: Kernel) -> Terms:
    """Products with the features, then with the memory, which moves by one step: parts that cost a call and a half beside the first. In int8 nothing of it is
    ruy's (``kernels/internal/reference/svdf.h``)."""
    terms = generic(kernel)
    products = terms["matmul.macs"] * (2.5 if _quantised(kernel) else 1.0)
    return terms | {"matmul.macs": products, "call": calls(kernel) + 1.5}


#: Draws of a normal distribution take logarithms and sines besides (``random_distributions``), and those from classes the exponentials of all of them and a search
#: in their sums for each draw (multinomial.cc).
_UNIFORM, _NORMAL, _CLASS, _DRAW = 19, 50, 21, 250


def _random(kernel: Kernel) -> Terms:
    match kernel.attributes.get("distribution"):
        case "classes":
            return {"elementwise": _CLASS * read(kernel) + _DRAW * written(kernel)}
        case "normal":
            return {"elementwise": _NORMAL * written(kernel)}
    return {"elementwise": _UNIFORM * written(kernel)}


def _assigned(kernel: Kernel) -> float:
    """Elements of a variable's value, which is behind its handle, or a constant."""
    return float(prod(kernel.inputs[1])) if len(kernel.inputs) > 1 else kernel.weight_bytes / 4


def _table(name: str, units: float = 1.0) -> Pricing:
    """An int8 value is looked up in a table of 256 (activations.cc, elementwise.cc); float32 is computed."""

    def price(kernel: Kernel) -> Terms:
        return {"lookup": written(kernel)} if _quantised(kernel) else {name: units * written(kernel)}

    return price


def _broadcasts(kernel: Kernel) -> bool:
    """Whether the operands have not the same shape; a constant one is known by its size alone."""
    shapes = {_without_leading_ones(shape) for shape in kernel.inputs}
    constant = 0 < kernel.weight_bytes < kernel.output_bytes
    return len(shapes) > 1 or constant


def _without_leading_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    first = next((at for at, size in enumerate(shape) if size != 1), len(shape))
    return shape[first:]


def _squared_difference(kernel: Kernel) -> Terms:
    if _broadcasts(kernel):
        return {"squared_difference.broadcast": written(kernel)}
    return {"squared_difference": written(kernel) * (1.5 if _quantised(kernel) else 0.6)}


def _sub(kernel: Kernel) -> Terms:
    """Where one side is repeated, the reference kernel (sub.cc, BroadcastSubSlow)."""
    return {"slow.broadcast" if _broadcasts(kernel) else "add": written(kernel)}


#: Of an op that runs all steps itself (lstm_eval.cc) a step costs, besides its arithmetic, what this many small ops do: half of what the 14 of an
#: unrolled step do, on x86-64 (LiteRT 2.3) 0.48 to 0.64 us against 1.02 to 1.3 us for 4 to 96 units. Its products take what a row's do. A basic RNN
#: (rnn_batch_step) has one activation a step, 0.1 us, and its products take 0.147 ns each, those of the others 0.087.
FUSED_STEP_CALLS, RNN_STEP_CALLS = 7, 1.5
RNN_PRODUCTS = 1.7


#: An int8 step works in 16 bits: five activations a unit in fixed point (gemmlowp's logistic and tanh: some 85 instructions, eight values at a time with
#: Arm's vectors, ``neon_tensor_utils.cc``), and each of its products rescaled. x86-64 has none of these (LiteRT 2.3: 260 ns a unit and step).
_FIXED_POINT: Terms = {"transcendental": 5.0, "mul": 3.0, "add": 8.0}


def _recurrent(kernel: Kernel) -> Terms:
    cell, steps = Cell.of(kernel)
    quantised = _quantised(kernel)
    fixed = _FIXED_POINT if quantised and kernel.op == "lstm" and kernel.implementation != LOOP else cell.work
    work = {name: count * steps * cell.units for name, count in fixed.items()}
    # a row of int8 is a fully connected layer's: NeonCpuBackendGemm and FullyConnected multiply with ruy alike
    products = "fully_connected.weights" if quantised else "row.macs"
    if kernel.implementation == LOOP:
        return {products: float(kernel.macs), "call": steps * cell.calls, **work}
    if kernel.op == "rnn":
        return {products: RNN_PRODUCTS * kernel.macs, "call": steps * RNN_STEP_CALLS, **work}
    return {products: float(kernel.macs), "call": steps * FUSED_STEP_CALLS, **work}


#: What no phone was measured with, float32 and int8: so many of a term an element that its cost on a Pixel 4's large core, times 0.4 and 0.57 (which is what
#: simple ops that phones were measured with take on one x86-64 core, relative to it), is what that core takes: docs/prices.md, ``benchmarks/prices.py``.
#: What copies is counted as what phones were measured with: concatenations, transposes.
_HERE: Mapping[str, Pricing] = MappingProxyType(
    {
        **dict.fromkeys(_ACTIVATIONS, _each("activation", 0.5, 8.5)),
        "leaky_relu": _each("activation", 0.5, 7),
        "prelu": _each("activation", 0.65, 9),
        **dict.fromkeys(("ceil", "floor", "neg", "sign", "square"), _each("elementwise", 0.4, 2)),
        **dict.fromkeys(("round", "sqrt"), _each("elementwise", 0.7, 2)),
        # One call for each element.
        **dict.fromkeys(("logical_not", "logical_and", "logical_or"), _each("elementwise", 6, 3)),
        "abs": _each("elementwise", 6.6, 3),
        "floor_div": _each("elementwise", 9, 9),
        "floor_mod": _each("elementwise", 54, 54),
        **dict.fromkeys(("exp", "log"), _table("elementwise", 15)),
        # std::exp or std::sin, and a branch that values with signs decide
        "elu": _table("elementwise", 35),
        **dict.fromkeys(("sin", "cos"), _table("elementwise", 44)),
        "pow": _each("elementwise", 28, 28),
        **dict.fromkeys(
            ("maximum", "minimum"), _alike(_each("elementwise", 0.54, 2.6), _each("compare.broadcast", 0.56, 0.012))
        ),
        **dict.fromkeys(_COMPARISONS, _alike(_each("compare", 1, 11), _each("compare.broadcast", 0.96, 2.3))),
        # in float32 as a network on a Raspberry Pi 5 shows it (LiteRT): half of what x86-64 does
        "select": _alike(_each("select", 1, 13), _each("compare.broadcast", 1.9, 1.15)),
        "div": _each("division", 0.47),
        "l2_normalization": _each("l2_normalization", 1.8, 5),
        "local_response_norm": _each("elementwise", 62, 62),
        **dict.fromkeys(
            ("sum", "reduce_prod"), _reduction(_each("reduce", 1.3, 0.08, read), _each("reduce", 0.22, 0.7, read))
        ),
        **dict.fromkeys(
            ("reduce_max", "reduce_min"), _reduction(_each("reduce", 1.1, 0.06, read), _each("reduce", 0.22, 0.9, read))
        ),
        **dict.fromkeys(("reduce_any", "reduce_all"), _each("reduce", 0.08, 0.08, read)),
        "arg_max": _each("reduce", 0.45, 0.26, read),
        "arg_min": _each("reduce", 0.45, 0.6, read),
        "cumsum": _cumulated,
        "top_k": _each("sort", 0.25, 0.16, read),
        "one_hot": _each("elementwise", 6.6, 6.6),
        "resize_bilinear": _each("resize", 0.62, 1.7),
        "resize_nearest": only_written("resize.nearest"),
        "mirror_pad": _each("mirror_pad", 1.65, 2),
        "l2_pool2d": _each("elementwise", 1.2, 1.2, read),
        **dict.fromkeys(("transpose_conv2d", "conv3d"), _filters(1.55)),
        "transpose_conv3d": _filters(2.3),
        "svdf": _svdf,
        "fake_quant": _each("elementwise", 6, 6),
        "random": _random,
        "range": _each("elementwise", 0.4, 0.4),
        "fill": _each("elementwise", 0.28, 0.019),
        "log_softmax": _log_softmax,
        # copies of whole runs of memory, as a concatenation makes them: a reshape is one, unless it happens in place
        "concat": only_written("concat"),
        **dict.fromkeys(
            "reshape squeeze expand_dims flatten identity pack space_to_depth".split(), only_written("concat")
        ),
        "depth_to_space": _each("concat", 1, 1.6),
        "read_variable": only_written("concat"),
        "assign_variable": _each("concat", of=_assigned),
        # a handle, which is made once
        "variable": lambda kernel: {},
        "unpack": _unpacked,
        **dict.fromkeys(("split", "split_v"), _each("concat", 1.4, 3)),
        **dict.fromkeys(("gather", "gather_nd", "embedding_lookup"), _each("move", 2, 1.6)),
        **dict.fromkeys(("space_to_batch", "batch_to_space"), _each("move", 2, 1.4)),
        "tile": _each("move", 1.5, 0.9),
        "cast": _each("move", 1.8, 1.8),
        "slice": _each("slice", 1, 0.9),
        "broadcast_to": _each("move", 1.3, 0.9),
    }
)

_BY_IMPLEMENTATION: Mapping[str, Pricing] = MappingProxyType(
    {
        "conv_ruy_1x1": _ruy,
        "conv_ruy_im2col": _ruy_im2col,
        "conv_ruy_dilated_im2col": _ruy_im2col,
        "conv_grouped_reference": _grouped,
        "mean_spatial": only_read("mean"),
    }
)
_BY_OP: Mapping[str, Pricing] = MappingProxyType(
    {
        "conv2d": _ruy_im2col,
        "depthwise_conv2d": _depthwise,
        "fully_connected": _fully_connected,
        "add": _arithmetic("add"),
        "sub": _sub,
        "squared_difference": _squared_difference,
        "batch_matmul": _batch_matmul,
        "softmax": _softmax,
        "gelu": _table("gelu"),
        "tanh": _table("tanh"),
        **_HERE,
        **dict.fromkeys(("shape", "rank", "size"), lambda kernel: {}),
        "mul": _arithmetic("mul"),
        "hard_swish": only_written("hard_swish"),
        "sigmoid": only_written("sigmoid"),
        "max_pool2d": pool,
        "average_pool2d": pool,
        "mean": _mean,
        **dict.fromkeys(("pad", "pad_v2"), only_written("pad")),
        # each round copies what the loop holds to its condition and to its body (while.cc)
        "while": lambda kernel: {"concat": 2.0 * written(kernel)},
        **dict.fromkeys(CELLS, _recurrent),
        "strided_slice": only_written("slice"),
        "quantize": only_written("quantize"),
        "dequantize": only_written("quantize"),
    }
)

MODEL = CostModel(
    "builtin",
    "cpu",
    TERMS,
    price,
    prefixes=("f32.", "i8."),
    once=_once,
    uncomputed=UNCOMPUTED | {"float16", "float64"},
)
