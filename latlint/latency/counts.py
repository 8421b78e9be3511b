"""What CPU cost models count alike: elements, taps, products, and what can be said of any op from its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from types import MappingProxyType

from latlint.graph.ops import BINARY, CONVOLUTIONS, MATRIX, MOVEMENT, POOLS, REDUCTIONS, UNARY
from latlint.latency.terms import Terms
from latlint.records import NamedTuple
from latlint.runtime.types import Kernel

#: The terms of one kernel, without the prefix that says whose kernels they are of.
Pricing = Callable[[Kernel], Terms]

#: Soft thresholds in bytes for data that leaves a cache: first level, a core's own, the cluster's.
L1, L2, L3 = 32e3, 128e3, 512e3

_TRANSCENDENTAL = frozenset("cos div elu erf exp gelu log mish pow rsqrt sigmoid sin softplus sqrt tanh".split())
_NORMALISATION = frozenset(
    "batch_norm group_norm instance_norm l2_normalization layer_norm local_response_norm".split()
)
_SCANS = frozenset("arg_max arg_min cumsum top_k".split())
_RECURRENT = frozenset("attention einsum gru lstm rnn svdf".split())


def beyond(size: float, limit: float) -> float:
    """How much of data of ``size`` bytes misses a cache of about ``limit``: 0 well below, 1 well above, smooth between."""
    return (size / (size + limit)) ** 2


def blocks(count: float, block: int) -> float:
    """How many blocks of ``block`` hold ``count``."""
    return float(-(-int(count) // block))


def elements(kernel: Kernel) -> float:
    """Elements of all inputs and outputs."""
    return float(sum(prod(shape) for shape in kernel.inputs)) + written(kernel)


def written(kernel: Kernel) -> float:
    """Elements of all outputs."""
    return float(sum(prod(shape) for shape in kernel.outputs))


def read(kernel: Kernel) -> float:
    """Elements of the main input."""
    return float(prod(kernel.inputs[0])) if kernel.inputs else 0.0


def taps_of(kernel: Kernel) -> float:
    """Taps of a filter or a pool."""
    return float(prod(kernel.attributes.get("kernel", (1,))))


class Product(NamedTuple):
    """A convolution or matrix product: (``pixels``, ``depth``) times (``depth``, ``columns``); ``depth`` is taps * channels."""

    pixels: float
    columns: float
    depth: float

    @classmethod
    def of(cls, kernel: Kernel) -> Product:
        columns = max(kernel.outputs[0][-1] if kernel.outputs[0] else 1, 1)
        pixels = written(kernel) / columns
        return cls(pixels, columns, kernel.macs / max(pixels * columns, 1))

    @property
    def weights(self) -> float:
        return self.depth * self.columns

    def streamed(self, rows: int, item: int) -> Terms:
        """The weights are read again for every block of rows: from the cache level that holds them."""
        streamed = blocks(self.pixels, rows) * self.weights
        size = item * self.weights
        return {f"weights.{name}": streamed * beyond(size, at) for name, at in (("l2", L2), ("l3", L3))}


def depthwise(kernel: Kernel, taps: float) -> Terms:
    """A depthwise convolution that multiplies ``taps`` a channel, of those that it has or of whole tiles."""
    size = "1x1" if taps <= 1 else "3x3" if taps <= 9 else "5x5" if taps <= 25 else "large"
    work = written(kernel) * taps
    strided = max(kernel.attributes.get("stride", (1,))) > 1
    return {
        f"dwconv.{size}": work,
        "dwconv.input": read(kernel),
        "dwconv.output": written(kernel),
        **({"dwconv.strided": work} if strided else {}),
    }


def pool(kernel: Kernel) -> Terms:
    return {"pool.taps": written(kernel) * taps_of(kernel), "pool.elements": written(kernel)}


#: A call in a loop, in calls of an op that runs once. Six nets by Keras, loop over unrolled, take 1.0 to 2.3 on LiteRT 2.3 on x86-64;
#: with this they are predicted at 0.95 to 1.8 on the phones, with 1 at 1.3 to 2.6.
WARM_CALL = 0.55


def calls(kernel: Kernel, warm: float = WARM_CALL) -> float:
    """What the calls of one round cost, in first calls: later rounds of a loop find code and tensors in the cache, and cost ``warm`` of them."""
    return (1.0 + warm * (kernel.repeat - 1.0)) / kernel.repeat


#: How a converter writes a recurrent op that its runtime has no kernel for.
LOOP = "loop"


class Cell(NamedTuple):
    """One step of a recurrent op: ``units`` hidden ones, for each of which ``work`` is done besides the products; ``calls`` ops, where each is
    one."""

    units: int
    work: Terms
    calls: int

    @classmethod
    def of(cls, kernel: Kernel) -> tuple[Cell, float]:
        """The cell of a kernel, and how many steps it takes, of all directions."""
        gates, work, ops = CELLS[kernel.op]
        units = max(kernel.outputs[0][-1] if kernel.outputs[0] else 1, 1)
        width = max(kernel.inputs[0][-1] if kernel.inputs and kernel.inputs[0] else 1, 1)
        rows = read(kernel) / width
        # every row meets all weights: of two directions there are twice as many
        directions = max(round(kernel.macs / max(rows * gates * units * (width + units), 1.0)), 1)
        return cls(units, dict(work), ops), rows * directions


#: Recurrent op -> gates, elements of each sort of arithmetic for each hidden unit, ops of a step.
CELLS: Mapping[str, tuple[int, Terms, int]] = MappingProxyType(
    {
        "lstm": (4, {"sigmoid": 3.0, "tanh": 2.0, "mul": 3.0, "add": 9.0}, 13),
        "gru": (3, {"sigmoid": 2.0, "tanh": 1.0, "mul": 3.0, "add": 7.0}, 14),
        "rnn": (1, {"tanh": 1.0, "add": 2.0}, 4),
    }
)


def only_written(name: str) -> Pricing:
    return lambda kernel: {name: written(kernel)}


def only_read(name: str) -> Pricing:
    return lambda kernel: {name: read(kernel)}


def generic(kernel: Kernel) -> Terms:
    """What can be said of any op from its kind: elements touched, or multiply-accumulates."""
    op = kernel.op
    if op in CONVOLUTIONS | MATRIX | _RECURRENT:
        weights = kernel.weight_bytes / 4
        return {"matmul.macs": float(max(kernel.macs, weights)), "matmul.elements": elements(kernel) + weights}
    if op in POOLS:
        return {"pool.taps": written(kernel) * taps_of(kernel), "pool.elements": written(kernel)}
    if op in {"softmax", "log_softmax"}:
        return {"softmax": elements(kernel)}
    if op in _TRANSCENDENTAL | _NORMALISATION:
        return {"transcendental": elements(kernel)}
    if op in REDUCTIONS | _SCANS:
        return {"reduce": elements(kernel)}
    if op.startswith("resize") or op == "grid_sample":
        return {"resize": written(kernel)}
    if op in MOVEMENT - UNARY - BINARY:
        return {"move": elements(kernel)}
    return {"elementwise": elements(kernel)}
