"""Kernels of ML Drift, the library behind the GPU accelerator of LiteRT 2.x, in float16. Terms are named ``mldrift.<what>``; priors are for a
Galaxy S26 (Adreno of a Snapdragon 8 Elite Gen 5).

What few whole networks can tell apart is little: a product takes the longer of its multiply-accumulates and its bytes (``roof``); all else moves
bytes, at a rate that depends on what it does to their order; each launch takes a time of its own, and an inference a start. Channels lie in
slices of four. Costs are estimated from the times of whole networks: what a kernel takes is an attribution, never a measurement.

Sources: slices, links and kernels as ML Drift's predecessor has them (tensorflow/lite/delegates/gpu/common); priors from peak rates: 1.7e12
multiply-accumulates and 70e9 bytes a second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from types import MappingProxyType

from latlint.graph.ops import CONVOLUTIONS, MATRIX, MOVEMENT, POOLS, REDUCTIONS
from latlint.latency.counts import blocks, taps_of
from latlint.latency.terms import CostModel, Term, Terms, is_unpriced
from latlint.runtime.types import Kernel

#: Channels of a slice.
SLICE = 4
#: What the two streams of a product take, which overlap: ns for a multiply-accumulate, for a byte.
MAC_NS, BYTE_NS = 6e-4, 0.0143

#: Nanoseconds for one unit: a byte, but for starts, calls, ``roof`` (ns already) and ``taps`` (elements written times taps).
TERMS: Mapping[str, Term] = MappingProxyType(
    {
        f"mldrift.{name}": Term(prior)
        for name, prior in {
            "start": 1.4e6,
            "call": 3_000.0,
            "conv.roof": 0.9,
            "conv.grouped": 1.5,
            "dense.roof": 1.0,
            "matmul.roof": 2.0,
            "product.bytes": 0.003,
            "product.depth": 30.0,
            "depthwise.taps": 0.002,
            "depthwise.bytes": BYTE_NS,
            "elementwise": 0.012,
            "reduce": 0.015,
            "softmax": 0.03,
            "transpose": 0.016,
            "reshape": 0.014,
            "move": 0.014,
            "pool.taps": 0.001,
            "pool.bytes": BYTE_NS,
            "resize": 0.02,
            "gather": 0.05,
            "other": 0.03,
        }.items()
    }
)


def price(kernel: Kernel) -> Terms | None:
    """The terms of one kernel, by name; ``None`` where its cost is not known from its shapes."""
    if is_unpriced(kernel) or not kernel.sized:
        return None
    if kernel.free or not kernel.outputs:
        return {}
    found = {"call": float(kernel.launches), **_pricing(kernel.op)(kernel)}
    return {f"mldrift.{name}": count for name, count in found.items() if count}


def _bytes(kernel: Kernel) -> float:
    """What it reads and writes of activations, in whole slices of float16, and its constants."""
    shapes = (*kernel.inputs, *kernel.outputs)
    return 2.0 * sum(map(_sliced, shapes)) + min(kernel.weight_bytes, 2.0 * kernel.weight_bytes)


def _sliced(shape: tuple[int, ...]) -> float:
    """Elements of a tensor whose channels fill whole slices."""
    channels = max(shape[-1], 1) if shape else 1
    return prod(shape) / channels * blocks(channels, SLICE) * SLICE


def _roof(kernel: Kernel, macs: float) -> float:
    return max(macs * MAC_NS, _bytes(kernel) * BYTE_NS)


def _padded(kernel: Kernel) -> float:
    """Multiply-accumulates with the channels read and made in whole slices."""
    read = kernel.inputs[0][-1] if kernel.inputs and kernel.inputs[0] else 1
    made = kernel.outputs[0][-1] if kernel.outputs[0] else 1
    groups = max(int(kernel.attributes.get("groups", 1)), 1)
    waste = 1.0
    for channels in (read / groups, made / groups):
        waste *= blocks(channels, SLICE) * SLICE / max(channels, 1)
    return kernel.macs * waste


def _product(name: str) -> Callable[[Kernel], Terms]:
    """A product in whole slices. Each thread goes through the ``depth`` of one: what a small map takes that fills no GPU."""

    def terms(kernel: Kernel) -> Terms:
        made = max(prod(kernel.outputs[0]), 1)
        grouped = int(kernel.attributes.get("groups", 1)) > 1
        return {
            "conv.grouped" if grouped else name: _roof(kernel, _padded(kernel)),
            "product.bytes": _bytes(kernel),
            "product.depth": kernel.macs / made / SLICE,
        }

    return terms


def _depthwise(kernel: Kernel) -> Terms:
    return {"depthwise.taps": _sliced(kernel.outputs[0]) * taps_of(kernel), "depthwise.bytes": _bytes(kernel)}


def _pool(kernel: Kernel) -> Terms:
    return {"pool.taps": _sliced(kernel.outputs[0]) * taps_of(kernel), "pool.bytes": _bytes(kernel)}


def _by_bytes(name: str) -> Callable[[Kernel], Terms]:
    return lambda kernel: {name: _bytes(kernel)}


def _written(name: str) -> Callable[[Kernel], Terms]:
    """Of what is read, as much as is written."""
    return lambda kernel: {name: 4.0 * sum(map(_sliced, kernel.outputs))}


_PRICING: Mapping[str, Callable[[Kernel], Terms]] = MappingProxyType(
    {
        **dict.fromkeys(MOVEMENT, _by_bytes("move")),
        **dict.fromkeys(REDUCTIONS, _by_bytes("reduce")),
        **dict.fromkeys(CONVOLUTIONS, _product("conv.roof")),
        **dict.fromkeys(MATRIX, _product("dense.roof")),
        **dict.fromkeys(POOLS, _pool),
        **dict.fromkeys(("reshape", "squeeze", "expand_dims", "flatten"), _by_bytes("reshape")),
        **dict.fromkeys(("slice", "strided_slice", "split", "split_v", "unpack"), _written("move")),
        **dict.fromkeys(("gather", "gather_nd", "embedding_lookup", "one_hot"), _written("gather")),
        **dict.fromkeys(("resize_bilinear", "resize_nearest"), _by_bytes("resize")),
        **dict.fromkeys(("softmax", "log_softmax"), _by_bytes("softmax")),
        **dict.fromkeys(("arg_max", "arg_min", "top_k", "cumsum", "lstm"), _by_bytes("other")),
        "transpose": _by_bytes("transpose"),
        "batch_matmul": _product("matmul.roof"),
        "depthwise_conv2d": _depthwise,
    }
)


def _pricing(op: str) -> Callable[[Kernel], Terms]:
    return _PRICING.get(op, _by_bytes("elementwise"))


MODEL = CostModel(
    "mldrift",
    "gpu",
    TERMS,
    price,
    prefixes=("mldrift.",),
    once=lambda precision: "mldrift.start",
    derived=frozenset({"int8"}),
)
