"""What convolutions cost on a target when they are well shaped: the device's own efficient frontier.

For each group of convolutions (1x1, larger, depthwise) a grid of well-shaped ones is drawn: square maps of 7 to 112 pixels, 16 to 1024
channels, as many in as out, stride 1. The target's runtime plans them and its pack prices them, like any model. The frontier is the least
time a multiply-accumulate took among those of like size, so it holds nothing but the target's own predictions. A kernel
is held against what as many multiply-accumulates cost there.

A group is planned once for all targets that plan alike, and priced once a target: a few milliseconds, and nothing after that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from latlint.graph.types import Graph, Node, Tensor
from latlint.latency import engine
from latlint.latency.engine import Workload
from latlint.latency.packs import Target
from latlint.latency.terms import CostModel
from latlint.records import NamedTuple
from latlint.runtime import plan
from latlint.runtime.as_if import FLOATS
from latlint.runtime.planners import alike
from latlint.runtime.rules import load_rules
from latlint.runtime.types import Kernel, Plan, Processor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from latlint.latency.engine import Array

#: Side of the map -> channels: as networks have them, wide where maps are small.
SHAPES: Mapping[int, tuple[int, ...]] = MappingProxyType(
    {
        7: (64, 128, 256, 512, 1024),
        14: (32, 64, 128, 256, 512, 1024),
        28: (16, 32, 64, 128, 256, 512),
        56: (16, 32, 64, 128, 256),
        112: (16, 32, 64, 128),
    }
)
#: Group -> op and kernel size of its well-shaped convolutions.
GROUPS: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        "1x1": ("conv2d", 1),
        "kxk": ("conv2d", 3),
        "depthwise 3x3": ("depthwise_conv2d", 3),
        "depthwise 5x5": ("depthwise_conv2d", 5),
    }
)
#: Convolutions whose multiply-accumulates differ by less than this factor are of like size.
LIKE_SIZE = 4.0
#: What the convolutions are drawn in.
_DIALECT = "tflite"

#: What a term is spent on, by the last part of its name.
_SPENT_ON = {
    **dict.fromkeys(("macs", "tiled", "taps", "1x1", "3x3", "5x5", "large", "strided"), "arithmetic"),
    **dict.fromkeys(("one", "one_strided", "wide", "wide_strided"), "arithmetic"),
    **dict.fromkeys(("blocks_2x1x1", "blocks_2x2x2", "blocks_1x1x8"), "arithmetic"),
    **dict.fromkeys(("waves_of_4", "waves_of_8", "waves_of_pairs"), "arithmetic"),
    **dict.fromkeys(("pack", "elements", "rows", "input"), "input"),
    "output": "output",
    "tiles": "tiles",
    **dict.fromkeys(("weights", "l2", "l3"), "weights"),
    **dict.fromkeys(("launch", "call"), "launch"),
}
#: The same of terms that have a number after the name: most count threads that compute products, in whole blocks, waves and groups.
_NUMBERED_SPENT_ON = {"output_piece": "output", "chain": "weights", "general": "weights"}
#: What a kernel's time is spent on, in the order of ``spent``.
PURPOSES = ("arithmetic", "tiles", "input", "output", "weights", "launch", "other")


class Frontier(NamedTuple):
    """Well-shaped convolutions of one group on one target, the best of each size: ``macs`` (sizes,), ascending; ``ms`` (sizes,);
    ``winograd`` (sizes,) tells which run on Winograd kernels. They are the ``chosen`` ones of those ``drawn``."""

    macs: Array
    ms: Array
    winograd: NDArray[np.bool_]
    chosen: NDArray[np.intp]
    drawn: Workload

    def spent(self, target: Target, of: Sequence[int], macs: Sequence[int]) -> Array:
        """(macs, purposes): the milliseconds by ``PURPOSES`` of so many multiply-accumulates each in the convolution whose index is ``of``, on the target
        that this is the frontier of."""
        scale = np.array(macs, float) / self.macs[of]
        return spent(self.drawn, target, self.chosen[of], self.ms[of]) * scale[:, None]

    def prices(self, macs: Sequence[int]) -> Array:
        """Milliseconds of each number of multiply-accumulates in well-shaped convolutions; NaN where none are that small."""
        wanted = np.array(macs, float)
        if not len(self.macs):
            return np.full(len(wanted), np.nan)
        rate = np.interp(np.log(wanted), np.log(self.macs), np.log(self.ms / self.macs), left=np.nan)
        return np.asarray(np.exp(rate) * wanted)

    def nearest(self, macs: Sequence[int]) -> list[int]:
        """The index of the convolution nearest in size to each number of multiply-accumulates."""
        apart = np.abs(np.log(self.macs / np.array(macs, float)[:, None]))
        found: list[int] = apart.argmin(axis=1).tolist()
        return found


class _Drawn(NamedTuple):
    """Convolutions that were drawn: where each is in the plan, its multiply-accumulates, and a number that those of like size share; and, of all of the
    plan, which run on Winograd kernels."""

    work: Workload
    at: NDArray[np.intp]
    macs: Array
    like: NDArray[np.intp]
    winograd: NDArray[np.bool_]


def group_of(kernel: Kernel) -> str | None:
    """The group that ``kernel`` is held against; ``None`` for what is no convolution of a map, or more than one."""
    if kernel.op not in ("conv2d", "depthwise_conv2d") or not kernel.macs or "pointwise" in kernel.attributes:
        return None
    ranks = {len(shape) for shape in (*kernel.inputs[:1], *kernel.outputs[:1])}
    if not kernel.inputs or ranks != {4} or prod(kernel.outputs[0][:-1]) <= 1:
        return None
    taps = prod(kernel.attributes.get("kernel", (1,)))
    if kernel.op == "depthwise_conv2d":
        return "depthwise 3x3" if taps <= 9 else "depthwise 5x5"
    return "1x1" if taps == 1 else "kxk"


_known: dict[tuple[str, str, str, str, str], Frontier] = {}
_well_shaped: dict[tuple[tuple[str, ...], str, str], _Drawn] = {}


def frontier(target: Target, group: str, dtype: str) -> Frontier:
    """The frontier of ``group`` on ``target`` for activations of ``dtype``; empty where nothing like it was measured."""
    key = (target.device, target.key, str(target.pack.card.get("sha256", "")), group, dtype)
    if key not in _known:
        processor = target.processor
        like = alike(processor, dtype in FLOATS), group, dtype
        if like not in _well_shaped:
            _well_shaped[like] = _convolutions(_drawn(processor, group, dtype))
        _known[key] = _best(_well_shaped[like], target)
    return _known[key]


def _convolutions(work: Workload) -> _Drawn:
    kernels = work.plan.kernels
    macs = np.array([float(kernel.macs) for kernel in kernels])
    at = np.flatnonzero(macs > 0)
    winograd = np.array(["winograd" in kernel.implementation for kernel in kernels], bool)
    return _Drawn(work, at, macs[at], (np.log(macs[at]) / np.log(LIKE_SIZE)).astype(int), winograd)


def _best(drawn: _Drawn, target: Target) -> Frontier:
    """Of those of like size that are predicted the one that takes the least time a multiply-accumulate."""
    times = engine.times(drawn.work, target)
    predicted = times.predicted[drawn.at]
    at, macs, like = drawn.at[predicted], drawn.macs[predicted], drawn.like[predicted]
    by_rate = np.lexsort((times.kernels[at] / macs, like))
    best = by_rate[np.diff(like[by_rate], prepend=-1) > 0]
    chosen = at[best]
    return Frontier(macs[best], times.kernels[chosen], drawn.winograd[chosen], chosen, drawn.work)


def spent(work: Workload, target: Target, at: Sequence[int] | NDArray[np.intp], ms: Sequence[float] | Array) -> Array:
    """(kernels, purposes): what the milliseconds of the kernels at these places of the plan are spent on, from the terms that price them. What
    trees add to the sum of the terms goes to all purposes alike."""
    places, spent_ms = np.asarray(at, np.intp), np.asarray(ms)
    found = np.zeros((len(places), len(PURPOSES)))
    for part in work.parts:
        rows = part.at.searchsorted(places)
        cost = part.terms.take(rows, 0, mode="clip") @ (target.costs(part.model)[:, None] * _purposes(part.model))
        here = part.at.take(rows, mode="clip") == places
        found += cost * (spent_ms * here / np.maximum(cost.sum(axis=1), 1e-12))[:, None]
    return found


def computed_macs(work: Workload) -> Array:
    """(kernels,): multiply-accumulates as they are computed, whole tiles and slices; 0 where it is priced by others."""
    found = np.zeros(len(work.plan.kernels))
    for part in work.parts:
        found[part.at] = part.terms[:, _products(part.model)].max(axis=1, initial=0.0)
    return found


@lru_cache(maxsize=16)
def _products(model: CostModel) -> list[int]:
    """The columns of the terms that count a convolution's products."""
    return [column for name, column in model.index.items() if name.endswith("conv.macs")]


@lru_cache(maxsize=16)
def _purposes(model: CostModel) -> Array:
    """(terms, purposes): one where the term is spent on the purpose."""
    spent_on = [_purpose(name) for name in model.names]
    return np.array([[float(name == purpose) for purpose in PURPOSES] for name in spent_on])


def _purpose(term: str) -> str:
    before, _, last = term.rpartition(".")
    if last.isdigit():
        return _NUMBERED_SPENT_ON.get(before.rpartition(".")[2], "arithmetic")
    return _SPENT_ON.get(last, "other")


def _drawn(processor: Processor, group: str, dtype: str) -> Workload:
    """The group's convolutions as the runtime of ``processor`` would run them."""
    op, size = GROUPS[group]
    drawing = _Drawing(dtype)
    if load_rules(processor.runtime).takes != _DIALECT:  # its ops are others: nothing to hold a kernel against
        return engine.workload(Plan(processor.runtime, processor.name, dtype, (), ()))
    for side, widths in SHAPES.items():
        for channels in widths:
            drawing.convolution(op, side, channels, size)
    return engine.workload(plan(drawing.graph(), processor))


class _Drawing:
    """A graph of convolutions that have nothing to do with each other."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.tensors: list[Tensor] = []
        self.nodes: list[Node] = []

    def convolution(self, op: str, side: int, channels: int, size: int) -> None:
        depthwise = op == "depthwise_conv2d"
        data, made = (self._tensor((1, side, side, channels)) for _ in range(2))
        filters = (1, size, size, channels) if depthwise else (channels, size, size, channels)
        weights = self._tensor(filters, constant=True)
        bias = self._tensor((channels,), constant=True, dtype="int32" if self.dtype == "int8" else self.dtype)
        pair, pad = (1, 1), size // 2
        attributes = {
            "kernel": (size, size), "stride": pair, "dilation": pair, "padding": (pad,) * 4, "activation": "none",
            "groups": channels if depthwise else 1, "multiplier": 1,
        }  # fmt: skip
        name = f"{op} {len(self.nodes)}"
        inputs = (data, weights, bias)
        self.nodes.append(Node(len(self.nodes), name, op, op.upper(), inputs, (made,), MappingProxyType(attributes)))

    def _tensor(self, shape: tuple[int, ...], *, constant: bool = False, dtype: str = "") -> int:
        self.tensors.append(Tensor(f"t{len(self.tensors)}", shape, dtype or self.dtype, constant=constant))
        return len(self.tensors) - 1

    def graph(self) -> Graph:
        inputs = tuple(node.inputs[0] for node in self.nodes)
        outputs = tuple(node.outputs[0] for node in self.nodes)
        return Graph("well shaped", "tflite", _DIALECT, tuple(self.nodes), tuple(self.tensors), inputs, outputs)
