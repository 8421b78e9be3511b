"""What convolutions cost on a target when they are well shaped: the device's own efficient frontier.

For each group of convolutions (1x1, larger, depthwise) a grid of well-shaped ones is drawn: square maps of 7 to 112 pixels, 16 to 1024
channels, as many in as out, stride 1. The target's runtime plans them and its pack prices them, like any model. The frontier is the least
time a multiply-accumulate took among those of like size, so it holds nothing but the target's own predictions. A kernel
is held against what as many multiply-accumulates cost there.

The groups that a model needs are planned once for all targets that plan alike, and priced once a target: a few milliseconds, and nothing after that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from math import log, prod
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


class Account(NamedTuple):
    """What one executor's kernels of a plan spend time on, before any device's speed: ``terms`` (kernels, columns) of its ``model``, but for those
    ``columns`` that none of them has, and the ``purposes`` (columns, purposes) of each; ``at`` are the kernels' places in the plan, ascending."""

    model: CostModel
    at: NDArray[np.intp]
    columns: NDArray[np.intp]
    terms: Array
    purposes: Array


class Frontier(NamedTuple):
    """Well-shaped convolutions of one group on one target, the best of each size: multiply-accumulates, ascending, milliseconds, and whether they run on
    Winograd kernels. They are the ``chosen`` ones of the convolutions that were drawn, of whatever group, whose ``accounts`` these are."""

    macs: list[float]
    ms: list[float]
    winograd: list[bool]
    chosen: list[int]
    accounts: tuple[Account, ...]

    def prices(self, macs: Sequence[float] | Array) -> Array:
        """Milliseconds of each number of multiply-accumulates in well-shaped convolutions; NaN where none are that small."""
        wanted = np.asarray(macs, float)
        if not self.macs:
            return np.full(len(wanted), np.nan)
        known = np.array(self.macs)
        rate = np.interp(np.log(wanted), np.log(known), np.log(self.ms / known), left=np.nan)
        return np.asarray(np.exp(rate) * wanted)

    def nearest(self, macs: float) -> int:
        """The index of the convolution nearest in size to so many multiply-accumulates."""
        size = log(macs)
        return min(range(len(self.macs)), key=lambda index: abs(log(self.macs[index]) - size))


class _Drawn(NamedTuple):
    """Convolutions that were drawn: the multiply-accumulates of each kernel of the plan, and by group the places there of those that are of like size,
    the smallest first."""

    work: Workload
    macs: Array
    sizes: dict[str, list[list[int]]]
    accounts: tuple[Account, ...]


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


_known: dict[tuple[str, str, str, tuple[str, ...], str], dict[str, Frontier]] = {}
_well_shaped: dict[tuple[tuple[str, ...], tuple[str, ...], str], _Drawn] = {}


def frontiers(target: Target, groups: tuple[str, ...], dtype: str) -> dict[str, Frontier]:
    """The frontier of each of ``groups`` on ``target`` for activations of ``dtype``; empty where nothing like it was measured."""
    key = (target.device, target.key, str(target.pack.card.get("sha256", "")), groups, dtype)
    if key not in _known:
        processor = target.processor
        like = alike(processor, dtype in FLOATS), groups, dtype
        if like not in _well_shaped:
            _well_shaped[like] = _convolutions(_drawn(processor, groups, dtype), groups)
        _known[key] = _best(_well_shaped[like], target)
    return _known[key]


def _convolutions(work: Workload, groups: tuple[str, ...]) -> _Drawn:
    like: dict[tuple[int, int], list[int]] = {}
    drawn = sum(map(len, SHAPES.values()))  # of each group, one after the other
    for place, kernel in enumerate(work.plan.kernels):
        if kernel.macs:
            group = kernel.nodes[0] // drawn
            like.setdefault((group, int(log(kernel.macs) / log(LIKE_SIZE))), []).append(place)
    sizes: dict[str, list[list[int]]] = {group: [] for group in groups}
    for (group, _), places in sorted(like.items()):
        sizes[groups[group]].append(places)
    macs = np.array([float(kernel.macs) for kernel in work.plan.kernels])
    return _Drawn(work, macs, sizes, accounts(work))


def _best(drawn: _Drawn, target: Target) -> dict[str, Frontier]:
    """Of those of like size that are predicted the one that takes the least time a multiply-accumulate."""
    times, kernels = engine.times(drawn.work, target), drawn.work.plan.kernels
    predicted, ms = times.predicted.tolist(), times.kernels.tolist()
    rates = (times.kernels / np.maximum(drawn.macs, 1)).tolist()
    found = {}
    for group, sizes in drawn.sizes.items():
        known = ([place for place in places if predicted[place]] for places in sizes)
        chosen = [min(places, key=rates.__getitem__) for places in known if places]
        found[group] = Frontier(
            [float(kernels[place].macs) for place in chosen],
            [ms[place] for place in chosen],
            ["winograd" in kernels[place].implementation for place in chosen],
            chosen,
            drawn.accounts,
        )
    return found


def accounts(work: Workload) -> tuple[Account, ...]:
    """What the kernels of ``work`` spend time on, executor by executor."""
    found = []
    for part in work.parts:
        columns = np.flatnonzero(part.terms.any(axis=0))
        found.append(Account(part.model, part.at, columns, part.terms[:, columns], _purposes(part.model)[columns]))
    return tuple(found)


def spent(
    accounts: Iterable[Account], target: Target, at: Sequence[int] | NDArray[np.intp], ms: Sequence[float] | Array
) -> Array:
    """(kernels, purposes): what the milliseconds of the kernels at these places of the plan are spent on, from the terms that price them. What
    trees add to the sum of the terms goes to all purposes alike."""
    places, spent_ms = np.asarray(at, np.intp), np.asarray(ms)
    found = np.zeros((len(places), len(PURPOSES)))
    for model, known, columns, terms, purposes in accounts:
        rows = known.searchsorted(places)
        cost = (terms.take(rows, 0, mode="clip") * target.costs(model)[columns]) @ purposes
        here = known.take(rows, mode="clip") == places
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


def _drawn(processor: Processor, groups: Sequence[str], dtype: str) -> Workload:
    """The groups' convolutions as the runtime of ``processor`` would run them."""
    drawing = _Drawing(dtype)
    if load_rules(processor.runtime).takes != _DIALECT:  # its ops are others: nothing to hold a kernel against
        return engine.workload(Plan(processor.runtime, processor.name, dtype, (), ()))
    for op, size in map(GROUPS.__getitem__, groups):
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
