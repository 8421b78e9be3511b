"""XNNPACK's kernels on the CPU. Terms are named ``xnn.<op>.<what>``; priors are for a core of about 2.5 GHz.

Sources: XNNPACK's ``src/operators/convolution-nhwc.c``, ``src/f32-gemm/``, ``src/f32-igemm/``, ``src/f32-dwconv/``, ``src/configs/``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from latlint.graph.ops import BINARY, MOVEMENT, POOLS, UNARY
from latlint.latency.counts import (
    L1,
    LOOP,
    Cell,
    Pricing,
    Product,
    beyond,
    blocks,
    calls,
    depthwise,
    elements,
    generic,
    only_read,
    only_written,
    pool,
    read,
    taps_of,
    written,
)
from latlint.latency.terms import CostModel, Term, Terms, is_unpriced
from latlint.runtime.types import Kernel

#: f32 kernels of 6 rows by 8 channels.
ROWS, COLUMNS = 6, 8
#: With AVX-512, f32 kernels of 7 rows by 32 or by 16 channels (gemm-config.c), and depthwise ones of 16 channels.
WIDE_ROWS, WIDE, NARROW = 7, 32, 16
#: Rows and columns of 8-bit kernels (Arm's dot product's 4x16c4), and how many products an instruction sums up.
Q8_ROWS, Q8_COLUMNS, Q8_DEPTH = 4, 16, 4
_QUANTISED = frozenset({"int8", "uint8"})
#: Taps of the depthwise kernels: what has fewer is filled up.
TILES = (9.0, 25.0)
#: What leaves a server core's own cache, in bytes.
LARGE = 2e6

#: Multiply-accumulates that take as long as four bytes from memory, of float32 and of 8-bit numbers: a kernel with more of them reads ahead
#: meanwhile.
BALANCE, Q8_BALANCE = 32.0, 128.0
#: The terms that count multiply-accumulates as they are done, in whole tiles: those that fill a tile up take as long, and hide as much.
_DONE = tuple(
    f"xnn.{name}"
    for name in ("conv.macs", "dwconv.3x3", "dwconv.5x5", "dwconv.large", "q8.macs", "q8.dwconv", "q8.dwconv.large")
)

_COSTS: Mapping[str, tuple[float, float]] = MappingProxyType(
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
        "conv.weights": (0.3, 0.3),
        "panel.l1": (0.01, 1),
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
        "memory": (0.3, 0.2),
        "transcendental": (0.6, 1),
        "softmax": (1.5, 1),
        "pool.taps": (0.1, 1),
        "pool.elements": (0.2, 1),
        "reduce": (0.3, 1),
        "move": (0.3, 1),
        "resize": (1.0, 1),
        "matmul.macs": (0.07, 1),
        "matmul.elements": (0.3, 1),
        # int8 and uint8 (qs8, qu8): the same dot-product instructions as ruy's; what is not a product moves a quarter of the bytes.
        "q8.macs": (0.02, 1),
        "q8.input": (0.1, 1),
        "q8.output": (0.2, 1),
        "q8.weights": (0.08, 0.3),
        "q8.dwconv": (0.06, 1),
        # Seen on x86-64 with 2.3: 1.5 times the float one's.
        "q8.dwconv.large": (0.45, 1),
        "q8.elementwise": (0.3, 1),
        "q8.move": (0.1, 1),
        # On one thread half a built-in op's: on x86-64 33 and 74 ns for each small op of an unrolled LSTM. A call ends when all threads have.
        "call": (450, -1),
        "model": (100_000, 0.4),
    }
)

TERMS: Mapping[str, Term] = MappingProxyType(
    {f"xnn.{name}": Term(prior, parallel) for name, (prior, parallel) in _COSTS.items()}
)


def price(kernel: Kernel) -> Terms | None:
    """The terms of one kernel, by name; empty where it is free, ``None`` where its cost is not known from its shapes."""
    if is_unpriced(kernel):
        return None
    if kernel.free or not kernel.outputs:
        return {}
    quantised = kernel.input_dtype in _QUANTISED or kernel.output_dtype in _QUANTISED
    hybrid = _is_hybrid(kernel)
    floats = _hybrid if hybrid else _PRICING.get(kernel.implementation, generic)
    pricing = _quantised if quantised else floats
    found = {f"xnn.{name}": count for name, count in pricing(kernel).items()}
    touched = elements(kernel) / (4 if quantised else 1)
    done = max(float(kernel.macs), *(found.get(name, 0.0) for name in _DONE))
    balanced = max((Q8_BALANCE if quantised or hybrid else BALANCE) * touched, 1.0)
    # flat where it begins: a multiply-accumulate more must not hide more than it takes, or more work took less time
    hidden = 1.0 + (done / balanced) ** 2
    return {"xnn.call": calls(kernel)} | found | {"xnn.memory": touched * beyond(4 * touched, LARGE) / hidden}


def _once(_: str) -> str:
    return "xnn.model"


def _gemm(kernel: Kernel) -> Terms:
    """1x1 convolutions and fully connected layers (``f32-gemm``)."""
    return _product(kernel, prefer_narrow=True)


def _igemm(kernel: Kernel) -> Terms:
    """Other convolutions: a matrix product that gathers its rows through pointers, one a tap (``f32-igemm``)."""
    found = _product(kernel, prefer_narrow=False)
    product = Product.of(kernel)
    if product.pixels > 1:
        found |= {"igemm.taps": found["wide.tiles"] * taps_of(kernel), "igemm.gather": product.pixels * product.depth}
    return found


def _product(kernel: Kernel, *, prefer_narrow: bool) -> Terms:
    """A product for each group of channels, in whole tiles of rows and columns (``convolution-nhwc.c``)."""
    product = Product.of(kernel)
    if product.pixels <= 1:
        return {"row.macs": product.weights}
    groups = max(int(kernel.attributes.get("groups", 1)), 1)
    columns = product.columns / groups
    tiles = groups * blocks(product.pixels, ROWS) * blocks(columns, COLUMNS)
    # Seen in the times of 2.3 for 8 to 240 channels: narrow tiles below 32 channels, in f32-gemm also where they leave less padding.
    padded = blocks(columns, NARROW) * NARROW
    narrow = columns < WIDE or (prefer_narrow and padded % WIDE > 0)
    width = NARROW if narrow else WIDE
    wide_tiles = groups * blocks(product.pixels, WIDE_ROWS) * blocks(columns, width)
    return {
        "conv.macs": tiles * ROWS * COLUMNS * product.depth,
        "conv.tiles": tiles,
        ("narrow.macs" if narrow else "wide.macs"): wide_tiles * WIDE_ROWS * width * product.depth,
        "wide.tiles": wide_tiles,
        "conv.input": read(kernel),
        "conv.output": written(kernel),
        "conv.weights": product.weights,
        "panel.l1": kernel.macs * beyond(ROWS * product.depth * 4, L1),
        **product.streamed(ROWS, 4),
        "weights.large": blocks(product.pixels, WIDE_ROWS) * product.weights * beyond(4 * product.weights, LARGE),
    }


def _depthwise(kernel: Kernel) -> Terms:
    """Whole vectors of channels, a call for each pixel; the weights are read again for every pixel (``f32-dwconv``)."""
    taps = taps_of(kernel)
    found = depthwise(kernel, next((tile for tile in TILES if taps <= tile), taps))
    channels = max(kernel.outputs[0][-1], 1)
    vectors = blocks(channels, NARROW) * NARROW / channels
    found = {name: count * vectors if name.startswith("dwconv.") else count for name, count in found.items()}
    weights = written(kernel) * taps * beyond(4 * channels * taps, L1)
    return found | {"dwconv.pixels": written(kernel) / channels, "dwconv.weights": weights}


def _quantised(kernel: Kernel) -> Terms:
    """Any kernel of 8-bit numbers (``qs8-gemm``, ``qs8-dwconv``, ``qs8-vadd``)."""
    if kernel.implementation in ("gemm", "igemm", "deconvolution"):
        product = Product.of(kernel)
        groups = max(int(kernel.attributes.get("groups", 1)), 1)
        tiles = groups * blocks(product.pixels, Q8_ROWS) * blocks(product.columns / groups, Q8_COLUMNS)
        return {
            "q8.macs": tiles * Q8_ROWS * Q8_COLUMNS * blocks(product.depth, Q8_DEPTH) * Q8_DEPTH,
            "q8.input": read(kernel),
            "q8.output": written(kernel),
            "q8.weights": product.weights,
        }
    if kernel.implementation == "dwconv":
        taps = taps_of(kernel)
        filled = next((tile for tile in TILES if taps <= tile), None)
        channels = max(kernel.outputs[0][-1], 1)
        padded = written(kernel) / channels * blocks(channels, Q8_COLUMNS) * Q8_COLUMNS
        found = {"q8.dwconv": padded * filled} if filled else {"q8.dwconv.large": written(kernel) * taps}
        return found | {"q8.output": written(kernel)}
    if kernel.op in MOVEMENT - UNARY - BINARY:
        return {"q8.move": elements(kernel)}
    return {"q8.elementwise": elements(kernel) + (written(kernel) * taps_of(kernel) if kernel.op in POOLS else 0.0)}


def _is_hybrid(kernel: Kernel) -> bool:
    """Whether a product of floats has weights of 8 bits or less (dynamic range)."""
    if kernel.implementation not in ("gemm", "igemm") or not kernel.weight_bytes:
        return False
    product = Product.of(kernel)
    return product.depth > 1 and kernel.weight_bytes <= 1.5 * product.weights + 4 * product.columns


def _hybrid(kernel: Kernel) -> Terms:
    """The rows of the input are quantised, multiplied as 8-bit numbers, and written as floats (``qd8-f32-qc8w-gemm``). With LiteRT 2.2 on a core with
    AVX-512 such layers take a quarter of what float ones do."""
    found = {name: count for name, count in _quantised(kernel).items() if name != "q8.output"}
    return found | {"elementwise": 2.0 * read(kernel), "conv.output": written(kernel)}


def _recurrent(kernel: Kernel) -> Terms:
    """A loop whose body is delegated."""
    cell, steps = Cell.of(kernel)
    activations = cell.work.get("sigmoid", 0.0) + cell.work["tanh"]
    sums = cell.work["add"] + cell.work.get("mul", 0.0)
    return {
        "row.macs": float(kernel.macs),
        "transcendental": 2 * activations * steps * cell.units,
        "elementwise": 3 * sums * steps * cell.units,
        "call": steps * cell.calls,
    }


def _arithmetic(kernel: Kernel) -> Terms:
    return {"elementwise": elements(kernel)} | ({"clamp": 2 * written(kernel)} if kernel.linked else {})


_PRICING: Mapping[str, Pricing] = MappingProxyType(
    {
        "gemm": _gemm,
        "igemm": _igemm,
        "dwconv": _depthwise,
        "maxpool": pool,
        "avgpool": pool,
        "gavgpool": only_read("reduce"),
        "pad": only_written("pad"),
        LOOP: _recurrent,
        "copy": only_written("move"),
        **dict.fromkeys(("vadd", "vsub", "vmul", "vdiv"), _arithmetic),
    }
)

MODEL = CostModel("xnnpack", "cpu", TERMS, price, prefixes=("xnn.",), once=_once, leads=True)
