"""What one plan saves over another on the same target, with its interval.

Two predictions for one target err alike: kernels that both plans have cancel out, however wrong they are. What is left is the time of the
kernels that only one of them has, and of the overhead that they differ by: each side errs as a model made of these kernels alone would
(``engine.bounds``). Something does not cancel: measured twice, or built into networks that ought to take equally long, the same kernels
differ (``UNSHARED``). All of these are taken to be independent, so their widths add in squares.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from math import hypot

from latlint.latency import engine
from latlint.latency.packs import Target
from latlint.latency.types import Gain as Gain
from latlint.records import NamedTuple

#: What of each latency no shared kernel cancels, as a share, at the level of the intervals. With it the intervals hold 90 % of 2,880 measured
#: differences of networks that differ in one choice (docs/rule-evidence.md), CPU and GPU, float32 and int8 alike; without it 43 to 74 %.
UNSHARED = 0.02


#: Implementation, milliseconds, and whether they are predicted.
_Spent = tuple[str, float, bool]


class Spending(NamedTuple):
    """Where the time of a plan goes: implementation, milliseconds and whether they are predicted, of each kernel, one by one or counted; the rest; and all;
    and how many kernels have no known time."""

    kernels: Iterable[_Spent]
    overhead_ms: float
    total_ms: float
    unknown: int = 0


def gain(before: Spending, after: Spending, target: Target, precision: str) -> Gain:
    """What ``after`` saves over ``before``, two plans of models of ``precision`` for ``target``."""
    had, has = Counter(before.kernels), Counter(after.kernels)
    rest = before.overhead_ms - after.overhead_ms
    gone = _Side.of(_without(had, has), max(rest, 0.0), target, precision)
    new = _Side.of(_without(has, had), max(-rest, 0.0), target, precision)
    saved = gone.ms - new.ms
    unshared = UNSHARED * hypot(before.total_ms, after.total_ms)
    return Gain(saved, saved - hypot(gone.below, new.above, unshared), saved + hypot(gone.above, new.below, unshared))


def _without(some: Counter[_Spent], others: Counter[_Spent]) -> dict[_Spent, int]:
    """``some - others``, which takes longer: most kernels are in both."""
    return {spent: count - known for spent, count in some.items() if count > (known := others.get(spent, 0))}


class _Side(NamedTuple):
    """The time that only one of two plans takes, and how far it may lie below and above."""

    ms: float
    below: float
    above: float

    @classmethod
    def of(cls, kernels: Mapping[_Spent, int], overhead_ms: float, target: Target, precision: str) -> _Side:
        spent = {engine.OVERHEAD: overhead_ms}
        known = overhead_ms
        for (implementation, ms, predicted), count in kernels.items():
            spent[implementation] = spent.get(implementation, 0.0) + ms * count
            known += ms * count if predicted else 0.0
        total = sum(spent.values())
        if total <= 0:
            return cls(0.0, 0.0, 0.0)
        shares = {name: ms / total for name, ms in spent.items() if ms > 0}
        low, high, _ = engine.bounds(shares, known / total, target, precision)
        return cls(total, total * (1 - low), total * (high - 1))
