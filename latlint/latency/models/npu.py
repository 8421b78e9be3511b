"""Kernels on a matrix-unit NPU, as Qualcomm's HTP is one: tiles of channels on a matrix unit, all else on vectors, both through a memory of a
few megabytes on the chip. Terms are named ``npu.<precision>.<what>``; priors are for a Snapdragon 8 Gen 3.

A convolution or matrix product takes as long as the slowest of three that overlap: the matrix unit, the weights streamed to it, the
activations moved past it (``roof``), and a part of each that does not overlap. Everything else moves bytes, at a rate that depends on the
kind of the op. Costs are estimated from the times of whole networks: what a kernel takes is an attribution, never a measurement.

Sources: the sizes of tiles and of the memory from Qualcomm's public documentation of the HTP; priors of single terms from timed pairs of
graphs (github.com/john-rocky/edge-compat): pixel shuffles as transposes, GELU spelt out, sequences beside a multiple of 128.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import prod
from types import MappingProxyType

from latlint.graph.ops import BINARY, CONVOLUTIONS, MOVEMENT, POOLS, REDUCTIONS, UNARY
from latlint.latency.terms import UNPRICED, CostModel, Term, Terms
from latlint.records import NamedTuple
from latlint.runtime.types import Kernel

#: Bytes of the memory on the chip: what one kernel touches beyond it is spilled.
ON_CHIP = 8e6
#: Channels are padded to vectors of this many; what has fewer than a tile is moved as if it had one.
VECTOR, TILE = 8, 32
#: Height and width of a tile of activations.
PATCH = 4


class Precision(NamedTuple):
    """Bytes of an ``activation``; ``rate``: time of a multiply-accumulate relative to float16."""

    activation: int
    rate: float


PRECISIONS: Mapping[str, Precision] = MappingProxyType(
    {"f16": Precision(2, 1.0), "w8a8": Precision(1, 0.25), "w8a16": Precision(2, 0.5)}
)
#: Type of a kernel's activations -> how it computes.
COMPUTES: Mapping[str, str] = MappingProxyType(
    {"int8": "w8a8", "uint8": "w8a8", "int4": "w8a8", "int16": "w8a16", "uint16": "w8a16"}
)

#: What streams overlap in ``roof``: ns for a float16 multiply-accumulate, a byte of weights, a byte of activations.
MAC_NS, WEIGHT_NS, ACTIVATION_NS = 1.5e-4, 0.014, 0.003

#: Terms in multiply-accumulates: their priors are those of float16.
_MACS: Mapping[str, float] = MappingProxyType(
    {
        "conv.1x1": 6e-5,
        "conv.kxk": 5.6e-5,
        "conv.grouped": 8e-5,
        "conv.thin": 8e-5,
        "conv.dilated": 8e-5,
        "conv.transposed": 2e-4,
        "conv.3d": 2e-4,
        "dense.macs": 6e-5,
        "matmul.macs": 2e-4,
    }
)
#: Terms in bytes, but for calls, batches, taps (bytes of results times taps) and recurrent steps.
_OTHERS: Mapping[str, float] = MappingProxyType(
    {
        "start": 110_000,
        "call": 400,
        "enter": 0.02,
        "leave": 0.02,
        "roof": 0.7,
        "weights": 0.005,
        "conv.activations": 0.0015,
        "conv.strided": 0.005,
        "conv.image": 0.1,
        "depthwise.taps": 0.002,
        "depthwise.bytes": 0.005,
        "depthwise.strided": 0.005,
        "depthwise.dilated": 0.005,
        "dense.activations": 0.004,
        "matmul.bytes": 0.01,
        "matmul.batches": 50,
        # An app on a Galaxy S26 paid 0.2 (edge-compat); of AI Hub's networks none does in float, a fiftieth at most, by any runtime.
        "matmul.uneven": 0.004,
        "softmax": 0.015,
        "gelu": 0.01,
        "gelu.spelt": 2.0,
        "silu": 0.01,
        "hard_swish": 0.01,
        "norm": 0.02,
        "norm.spatial": 0.02,
        "elementwise": 0.005,
        "elementwise.pair": 0.005,
        "elementwise.thin": 0.001,
        "divide": 0.01,
        "divide.thin": 0.005,
        "transcendental": 0.015,
        "reduce": 0.01,
        "pool.bytes": 0.005,
        "pool.taps": 0.0004,
        "resize": 0.01,
        "transpose.rows": 0.01,
        "transpose.channels": 0.02,
        "transpose.thin": 0.005,
        "transpose.deep": 0.12,
        "reshape.call": 500,
        "reshape.channels": 0.01,
        "reshape.rank": 0.001,
        "concat": 0.005,
        "concat.uneven": 0.005,
        "slice": 0.005,
        "slice.uneven": 0.005,
        "move": 0.01,
        "gather": 0.05,
        "recurrent": 50_000,
        "other": 0.02,
        "spill": 0.003,
    }
)

TERMS: Mapping[str, Term] = MappingProxyType(
    {
        f"npu.{precision}.{name}": Term(prior * scale)
        for precision, facts in PRECISIONS.items()
        for priors, scale in ((_OTHERS, 1.0), (_MACS, facts.rate))
        for name, prior in priors.items()
    }
)

Shape = Sequence[int]


class Work(NamedTuple):
    """A kernel as these terms see it: shapes with the batch, bytes of what is read and written."""

    kernel: Kernel
    inputs: Sequence[Shape]
    data: Shape
    made: Shape
    read: float
    written: float
    weights: float
    precision: Precision

    @property
    def bytes(self) -> float:
        return self.read + self.written


def precision_of(kernel: Kernel) -> str:
    """How a kernel computes, by the type of its activations: ``f16``, ``w8a8`` or ``w8a16``."""
    dtype = kernel.input_dtype if kernel.input_dtype in COMPUTES or not kernel.outputs else kernel.output_dtype
    return COMPUTES.get(dtype, "f16")


def price(kernel: Kernel) -> Terms | None:
    """The terms of one kernel, by name; ``None`` where its cost is not known from its shapes."""
    if kernel.op in UNPRICED or not kernel.sized:
        return None
    if kernel.free or not kernel.outputs:
        return {}
    name = precision_of(kernel)
    work = _work(kernel, PRECISIONS[name])
    found = _pricing(kernel)(work)
    found["call"] = 0.0 if "reshape.call" in found else 1.0
    found.setdefault("spill", max(0.0, _touched(work) - ON_CHIP))
    for side in ("enter", "leave"):
        found[side] = work.precision.activation * float(kernel.attributes.get(f"{side}s", 0))
    return {f"npu.{name}.{term}": count for term, count in found.items() if count}


def _work(kernel: Kernel, precision: Precision) -> Work:
    item = precision.activation
    return Work(
        kernel=kernel,
        inputs=kernel.inputs,
        data=kernel.inputs[0] if kernel.inputs else (1,),
        made=kernel.outputs[0],
        read=item * float(sum(map(prod, kernel.inputs))),
        written=item * float(sum(map(prod, kernel.outputs))),
        weights=float(kernel.weight_bytes),
        precision=precision,
    )


def up(count: float, block: int) -> int:
    """``count`` padded to whole blocks."""
    return -(-int(count) // block) * block


def _channels(shape: Shape) -> int:
    return max(shape[-1], 1) if shape else 1


def _padded(shape: Shape, block: int = TILE) -> float:
    """Elements of ``shape`` with its channels padded."""
    return prod(shape) / _channels(shape) * up(_channels(shape), block)


def _touched(work: Work) -> float:
    """Bytes of all that a kernel reads and writes, in whole tiles."""
    return work.precision.activation * sum(map(_padded, (*work.inputs, *work.kernel.outputs)))


def _taps(work: Work) -> int:
    return int(prod(work.kernel.attributes.get("kernel", (1,))))


def _strided(work: Work) -> bool:
    return max(work.kernel.attributes.get("stride", (1,)), default=1) != 1


def _dilated(work: Work) -> bool:
    return max(work.kernel.attributes.get("dilation", (1,)), default=1) != 1


def _area(shape: Shape) -> int:
    """Pixels of an image in whole tiles, or rows."""
    rows = int(prod(shape)) // _channels(shape)
    if len(shape) != 4 or shape[1] <= 1:
        return up(rows, TILE)
    whole = shape[0] * up(shape[1], PATCH) * up(shape[2], PATCH)
    return min(whole, up(rows, TILE)) if shape[1] <= 2 * PATCH else whole


def _roof(work: Work, macs: float) -> float:
    """Nanoseconds of the slowest of the three streams on the processor of the priors."""
    return max(macs * MAC_NS * work.precision.rate, work.weights * WEIGHT_NS, work.bytes * ACTIVATION_NS)


def _convolution(work: Work) -> Terms:
    """A matrix product of pixels by channels for each tap, in whole tiles; an image of up to four channels, and each group, fills a tile of them."""
    channels, made, taps = _channels(work.data), _channels(work.made), _taps(work)
    groups = max(int(work.kernel.attributes.get("groups", 1)), 1)
    transposed = work.kernel.op.startswith("transpose_conv")
    pixels = prod(work.data) // channels if transposed else _area(work.made)
    kind = _kind_of_convolution(work, groups, transposed, taps)
    if kind == "3d":
        macs = float(work.kernel.macs)
    elif kind == "thin":
        macs = float(pixels * up(made, TILE) * TILE * taps)
    else:
        block = TILE if kind == "grouped" else VECTOR
        macs = float(pixels * up(channels // groups, block) * up(made // groups, block) * groups * taps)
    return {
        f"conv.{kind}": macs,
        "conv.image": work.precision.activation * float(prod(work.data)) if kind == "thin" else 0.0,
        "conv.strided": work.precision.activation * float(prod(work.data))
        if kind != "thin" and _strided(work)
        else 0.0,
        "conv.activations": work.bytes,
        "weights": work.weights,
        "roof": _roof(work, macs),
    }


def _kind_of_convolution(work: Work, groups: int, transposed: bool, taps: int) -> str:
    if len(work.made) == 5 or work.kernel.op.endswith("3d"):
        return "3d"
    if groups > 1:
        return "grouped"
    if _channels(work.data) <= 4:
        return "thin"
    if _dilated(work):
        return "dilated"
    return "transposed" if transposed else "1x1" if taps == 1 else "kxk"


def _depthwise(work: Work) -> Terms:
    """On the vector unit; large filters take less a tap."""
    made = work.made
    pixels = up(made[1], PATCH) * up(made[2], PATCH) if len(made) == 4 else prod(made) // _channels(made)
    vectors = pixels * up(_channels(made), TILE) * work.precision.activation
    return {
        "depthwise.taps": vectors * 9.0 * (_taps(work) / 9.0) ** 0.7,
        "depthwise.bytes": work.bytes,
        "depthwise.strided": work.bytes if _strided(work) else 0.0,
        "depthwise.dilated": work.bytes if _dilated(work) else 0.0,
        "weights": work.weights,
    }


def _dense(work: Work) -> Terms:
    rows = max(sum(map(prod, work.inputs)) // _channels(work.data), 1)
    macs = float(up(rows, TILE) * up(_channels(work.data), TILE) * up(_channels(work.made), TILE))
    return {
        "dense.macs": macs,
        "matmul.macs": macs if len(work.inputs) > 1 else 0.0,
        "dense.activations": work.bytes,
        "weights": work.weights,
        "roof": _roof(work, macs),
    }


def _matmul(work: Work) -> Terms:
    """Products of two computed matrices. Beside a multiple of 128, those that do not fit the memory took several times as long in an app; compiled ahead, as
    AI Hub does, they hardly take longer."""
    rows, columns = (work.made[-2], work.made[-1]) if len(work.made) > 1 else (1, _channels(work.made))
    depth = (
        work.data[-2 if work.kernel.attributes.get("transpose_a") and len(work.data) > 1 else -1] if work.data else 1
    )
    batches = prod(work.made) / max(rows * columns, 1)
    longest = max(rows, columns, depth)
    largest = work.precision.activation * float(max(prod(work.made), prod(work.data)))
    return {
        "matmul.macs": batches * up(rows, TILE) * up(columns, TILE) * up(depth, TILE),
        "matmul.bytes": work.bytes,
        "matmul.batches": batches,
        "matmul.uneven": max(0.0, largest - ON_CHIP) if longest % 128 and longest >= 512 else 0.0,
        "weights": work.weights,
    }


def _softmax(work: Work) -> Terms:
    return {"softmax": 2.0 * work.precision.activation * _padded(work.made, 64)}


def _by_bytes(name: str) -> Callable[[Work], Terms]:
    return lambda work: {name: work.bytes}


#: Up to this many bytes a GELU spelt out costs what its steps cost; beyond, several times that.
_SPELT_BYTES = 1e6


def _gelu(work: Work) -> Terms:
    spelt = work.kernel.implementation == "gelu_spelt_out"
    return {"gelu": work.bytes} | ({"gelu.spelt": max(0.0, work.written - _SPELT_BYTES)} if spelt else {})


def _elementwise(work: Work) -> Terms:
    """Channels below a tile are padded to one, which weighs in an image of three. Of one channel in eight bits arithmetic with a constant
    changes the scale alone."""
    pair = len(work.inputs) > 1 and prod(work.inputs[0]) == prod(work.inputs[1])
    rescaled = _channels(work.data) == 1 and work.precision.activation == 1
    thin = not pair and _channels(work.data) < TILE and not rescaled
    padded = work.precision.activation * _padded(work.data) if thin else 0.0
    if work.kernel.op == "div" and len(work.inputs) < 2:
        return {"divide": work.bytes, "divide.thin": padded, "elementwise.thin": padded}
    name = "transcendental" if work.kernel.op in _TRANSCENDENTAL else "elementwise.pair" if pair else "elementwise"
    return {name: work.bytes, "elementwise.thin": padded}


def _pool(work: Work) -> Terms:
    taps = _taps(work)
    return {"pool.bytes": work.bytes, "pool.taps": min(taps, 25) * work.written if taps <= 169 else 0.0}


def _transpose(work: Work) -> Terms:
    order: Sequence[int] = work.kernel.attributes.get("permutation") or ()
    deep = sum(dim != 1 for dim in work.data) > 4
    kept = bool(order) and order[-1] == len(order) - 1
    thin = _channels(work.made) < TILE
    return {
        f"transpose.{'deep' if deep else 'rows' if kept else 'channels'}": work.bytes,
        "transpose.thin": work.precision.activation * _padded(work.made) if thin else 0.0,
    }


def _shuffle(work: Work) -> Terms:
    """A transpose of five axes between two reshapes: the pixels of a block, then the channels, are padded to a tile."""
    thin = _channels(work.made) < TILE
    pixels = prod(work.made) / max(_channels(work.data) // max(_channels(work.made), 1), 1) ** 0.5
    apart = pixels * up(prod(work.made) / pixels, TILE) if pixels else 0.0
    sizes = (_padded(work.data), apart, _padded(work.made), _padded(work.made))
    touched = [work.precision.activation * (one + other) for one, other in pairwise(sizes)]
    return {
        "spill": sum(max(0.0, each - ON_CHIP) for each in touched),
        "reshape.call": 3.0,
        "reshape.channels": work.bytes,
        "reshape.rank": work.bytes,
        "transpose.deep": work.bytes,
        "transpose.thin": work.precision.activation * _padded(work.made) if thin else 0.0,
    }


def _reshape(work: Work) -> Terms:
    """Free but for a call where the channels stay."""
    data, made = work.data, work.made
    if not data or not made or (len(data) == len(made) and data[-1] == made[-1]):
        return {"reshape.call": 0.0}
    return {"reshape.call": 1.0, "reshape.channels" if data[-1] != made[-1] else "reshape.rank": work.bytes}


def _concat(work: Work) -> Terms:
    along_channels = work.kernel.op == "concat" and _channels(work.data) != _channels(work.made)
    uneven = along_channels and any(_channels(shape) % TILE for shape in work.inputs)
    return {"concat": work.bytes, "concat.uneven": work.bytes if uneven else 0.0}


def _slice(work: Work) -> Terms:
    uneven = _channels(work.made) != _channels(work.data) and _channels(work.made) % TILE
    return {"slice": 2.0 * work.written, "slice.uneven": 2.0 * work.written if uneven else 0.0}


def _gather(work: Work) -> Terms:
    if work.weights > 20 * prod(work.made):
        return {"move": work.written}  # rows of a table
    if work.kernel.op == "gather" and len(work.inputs) < 2:
        return {"slice": 2.0 * work.written}  # at places that the file states
    return {"gather": work.bytes}


def _recurrent(work: Work) -> Terms:
    steps = work.data[-2] if len(work.data) > 1 else 1
    return {"recurrent": float(max(steps, 1)), "weights": work.weights, "other": work.bytes}


_TRANSCENDENTAL = frozenset(
    "div sqrt rsqrt exp log erf sigmoid tanh hard_sigmoid elu softplus pow sin cos reciprocal softsign floor ceil round "
    "floor_div floor_mod".split()
)
_SLICES = frozenset("split split_v strided_slice slice unpack".split())
_GATHERS = frozenset("gather gather_nd scatter_nd embedding_lookup one_hot top_k arg_max arg_min cumsum".split())
_RESHAPES = frozenset("reshape squeeze expand_dims flatten identity dropout".split())
_NORMS = frozenset(
    "layer_norm rms_norm instance_norm group_norm batch_norm l2_normalization local_response_norm".split()
)

_PRICING: Mapping[str, Callable[[Work], Terms]] = MappingProxyType(
    {
        **dict.fromkeys(UNARY | BINARY | {"select", "where", "quantize", "dequantize", "fake_quant"}, _elementwise),
        **dict.fromkeys(MOVEMENT, _by_bytes("move")),
        **dict.fromkeys(REDUCTIONS, _by_bytes("reduce")),
        **dict.fromkeys(CONVOLUTIONS, _convolution),
        **dict.fromkeys(POOLS, _pool),
        **dict.fromkeys(_NORMS, _by_bytes("norm")),
        **dict.fromkeys(_SLICES, _slice),
        **dict.fromkeys(_GATHERS, _gather),
        **dict.fromkeys(_RESHAPES, _reshape),
        **dict.fromkeys(("lstm", "gru", "rnn", "svdf"), _recurrent),
        **dict.fromkeys(("resize_bilinear", "resize_nearest", "resize_cubic", "grid_sample"), _by_bytes("resize")),
        **dict.fromkeys(("softmax", "log_softmax"), _softmax),
        **dict.fromkeys(("concat", "pack"), _concat),
        **dict.fromkeys(("batch_matmul", "attention", "einsum"), _matmul),
        "fully_connected": _dense,
        "depthwise_conv2d": _depthwise,
        "transpose": _transpose,
        "gelu": _gelu,
        "mish": _by_bytes("gelu"),
        "hard_swish": _by_bytes("hard_swish"),
    }
)


def _pricing(kernel: Kernel) -> Callable[[Work], Terms]:
    by_name = _BY_IMPLEMENTATION.get(kernel.implementation)
    return by_name or _PRICING.get(kernel.op, _by_bytes("other"))


#: Groups of nodes that the compiler runs as one kernel, by the name that the planner gives it (``runtime.npu``).
_BY_IMPLEMENTATION: Mapping[str, Callable[[Work], Terms]] = MappingProxyType(
    {
        "layer_norm": _by_bytes("norm"),
        "rms_norm": _by_bytes("norm"),
        "spatial_norm": _by_bytes("norm.spatial"),
        "silu": _by_bytes("silu"),
        "gelu": _gelu,
        "gelu_spelt_out": _gelu,
        "hard_swish": _by_bytes("hard_swish"),
        "mish": _by_bytes("gelu"),
        "pixel_shuffle": _shuffle,
    }
)


def _once(precision: str) -> str:
    return f"npu.{COMPUTES.get(precision, 'f16')}.start"


MODEL = CostModel("npu", "npu", TERMS, price, prefixes=("npu.",), once=_once)


def precision_word(dtype: str) -> str:
    """``f16``, ``w8a8`` or ``w8a16``: how networks of a precision compute, as the names of their terms have it."""
    return COMPUTES.get(dtype, "f16")


def firm(name: str) -> bool:
    """Whether a term's prior is good: those that most of a network's time goes to, known from peak rates."""
    return name.split(".", 2)[2] in _FIRM


_FIRM = frozenset({"start", "weights", "roof", "conv.1x1", "conv.kxk", "dense.macs"})


def loose(name: str) -> bool:
    """Whether a term's prior is a guess. Networks with attention take two to four times as long in 8 bits as the rest of them explains,
    and the two that were measured cannot tell why: it is to be sought in their products, not in what they share with other networks."""
    return name in _LOOSE


_LOOSE = frozenset(f"npu.w8a8.matmul.{what}" for what in ("macs", "bytes", "batches"))


def versioned(name: str) -> bool:
    """Whether a term's cost is a matter of the compiler's version: QAIRT 2.45 takes three to four times as long as 2.50 for a vision transformer with 1,370
    tokens in w8a16."""
    return name == "npu.w8a16.matmul.uneven"
