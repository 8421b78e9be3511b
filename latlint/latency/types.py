"""``Prediction``: milliseconds for every kernel and in total, as an interval, for one model on one target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp, inf, log
from types import MappingProxyType

from latlint.records import NamedTuple, Record

#: Why a loop has no known cost.
UNCOUNTED = "how often it runs is known only at run time: one round is counted of what it runs"


class Gain(NamedTuple):
    """Milliseconds saved; negative where more is spent. The measured difference lies within ``low_ms`` to ``high_ms`` with about the
    probability of the target's intervals."""

    ms: float
    low_ms: float
    high_ms: float

    def widened(self, by: float) -> Gain:
        """The same with an interval ``by`` times as wide."""
        return Gain(self.ms, self.ms - by * (self.ms - self.low_ms), self.ms + by * (self.high_ms - self.ms))

    def chance_below(self, ms: float, interval: float) -> float:
        """Probability that less than ``ms`` is saved; errors are logistic, as those of predictions. ``interval``: the probability that
        ``low_ms`` to ``high_ms`` has."""
        width = self.high_ms - self.ms if ms >= self.ms else self.ms - self.low_ms
        if width <= 0:
            return float(self.ms < ms)
        return _above((self.ms - ms) / width, interval)


def _above(distance: float, interval: float) -> float:
    """Probability that a logistic error is above ``distance``, in widths: half of that which has the probability ``interval``."""
    scaled = distance * log((1 + interval) / (1 - interval))
    return 1.0 / (1.0 + exp(min(max(scaled, -700.0), 700.0)))


class KernelPrediction(NamedTuple):
    """One kernel of the plan with its time. ``nodes`` are node names; ``source`` is ``predicted`` (a bundled model),
    ``derived`` (a stated simpler model), ``free`` (nothing is launched) or ``unknown`` (nobody knows what it takes: counted as 0,
    held against the coverage, and the total is a lower bound). ``reason`` says why it runs where and as it does, where that is not the fastest way; ``explain`` all
    that decided it."""

    index: int  # type: ignore[assignment]  # nobody asks a kernel for the position of a field
    partition: int
    nodes: tuple[str, ...]
    op: str
    linked: tuple[str, ...]
    implementation: str
    latency_ms: float
    source: str
    macs: int
    bytes: int
    reason: str = ""
    explain: tuple[str, ...] = ()
    #: Shapes of what it reads and writes at run time (NHWC where 4-D), and the type of the first; no shapes where not all are known.
    inputs: tuple[tuple[int, ...], ...] | None = None
    outputs: tuple[tuple[int, ...], ...] | None = None
    dtype: str = ""

    @property
    def rank(self) -> tuple[float, int]:
        """What sorts the costliest first, and those that are alike to nine digits in order: more would be one machine's arithmetic."""
        return -float(f"{self.latency_ms:.9g}"), self.index


class PartitionPrediction(NamedTuple):
    """What the kernels of one partition take."""

    processor: str
    nodes: int
    latency_ms: float


class Footprint(NamedTuple):
    """What a model takes beside time. ``size_bytes``: the file, with the weights that lie outside of it. ``parameters``: elements of its
    constants. ``peak_bytes``: the arena of its activations (``runtime.arena``), ``None`` where it is not known, for the reason ``unknown``.
    ``peak`` names the tensors that are alive when most is, the largest first, each with its bytes; those of one name together."""

    size_bytes: int
    parameters: int
    peak_bytes: int | None
    unknown: str = ""
    peak: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Prediction(Record):
    """``latency_ms`` is the sum of the kernels' plus ``overhead_ms`` (dispatch, synchronisation, copies at borders).

    ``low_ms`` to ``high_ms`` holds the measurement with probability ``interval``. ``coverage`` is the share of the
    predicted latency that comes from ``predicted`` kernels, lowered by the share of kernels that are ``unknown``. Where there are some,
    the latency is a lower bound, and the interval has no high end (``None``). ``model`` is the path as given; ``pack`` the revision
    of the device pack that the numbers come from.
    """

    model: str
    sha256: str
    format: str
    precision: str
    target: str
    runtime: str
    latency_ms: float
    low_ms: float
    high_ms: float | None
    interval: float
    overhead_ms: float
    coverage: float
    macs: int
    partitions: tuple[PartitionPrediction, ...]
    kernels: tuple[KernelPrediction, ...]
    notes: tuple[str, ...] = ()
    pack: str = ""
    #: The part of the overhead that goes to copies and synchronisation between processors.
    border_ms: float = 0.0
    #: Whether ``precision`` is not the file's, but what it is judged in as if converted to it.
    as_if: bool = False
    #: The executor that was asked first, where what it refuses runs elsewhere.
    delegate: str = ""
    #: Ops that are not priced and so left out of every number, the most frequent first: name -> count.
    unknown: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    #: Accelerators that parts of the file were compiled for, in words: only they can run it.
    compiled_for: tuple[str, ...] = ()
    #: Inputs of which the file leaves open more than the batch, and nobody states it: name -> dimensions, -1 where open.
    open_inputs: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: MappingProxyType({}))
    #: Whether it only says where each op runs: nobody timed the target, so that there is no latency (its numbers are 0).
    placement: bool = False
    #: Where it was asked for: by `predict`, and by budgets that hold it.
    footprint: Footprint | None = None

    @property
    def lower_bound(self) -> bool:
        """Whether work is left out of the latency, which then is the least that it can be."""
        return bool(self.unknown)

    def end_ms(self, gate: str) -> float:
        """The latency that a budget's ``gate`` names: the prediction (``point``) or an end of its interval (``low``, ``high``); infinite
        for a high end that is open."""
        return {"point": self.latency_ms, "low": self.low_ms, "high": inf if self.high_ms is None else self.high_ms}[
            gate
        ]

    def chance_above(self, limit_ms: float) -> float | None:
        """Probability that the latency, measured, is above ``limit_ms``. Of a lower bound the least that it can be, and ``None`` for a limit
        that may be kept or not.

        Log errors on held-out families follow a logistic distribution (``benchmarks/accuracy.py`` prints how closely); its
        scale is the one that gives ``low_ms`` to ``high_ms`` the probability ``interval``.
        """
        end_ms = self.high_ms if limit_ms >= self.latency_ms else self.low_ms
        if end_ms is None:
            return None
        if limit_ms <= 0 or self.latency_ms <= 0 or end_ms <= 0:
            return float(self.latency_ms > limit_ms)
        width = abs(log(end_ms / self.latency_ms))
        if width == 0:
            return float(self.latency_ms > limit_ms)
        return _above(log(limit_ms / self.latency_ms) / width, self.interval)
