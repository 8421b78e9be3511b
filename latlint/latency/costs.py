"""What a processor pays for the terms of a cost model, from what its pack says, and for those that the pack does not have.

A pack has costs for the terms that were known when it was built. A term that came later has its prior at the processor's speed, which is
what a term has that no measurement exercised (docs/architecture.md); the speed is that of just these terms in the pack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import log
from typing import TYPE_CHECKING

import numpy as np

from latlint.latency.terms import CostModel, Term

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


#: No processor is this many times faster or slower than the one that priors are of.
_MOST = 1e12


class UnpricedError(ValueError):
    """A pack whose costs cannot price the kernels of an executor."""


def costs(model: CostModel, known: Mapping[str, float], measured: Sequence[str], threads: int) -> Array:
    """Costs in ns, one for each of the model's terms, shape (terms,).

    ``known`` has the costs of a processor with ``threads`` threads by the name of the term, ``measured`` the terms that measurements exercised.
    Raises ``UnpricedError`` where ``known`` has none of the model's terms, or one with the model's prefix that the model does not know:
    what a kernel costs is shared out among all terms, so that none can be left out.
    """
    strange = sorted(name for name in known if name.startswith(model.prefixes) and name not in model.terms)
    if strange:
        raise UnpricedError(
            f"{strange[0]!r} is a term of another version of latlint; update it, or build the pack again"
        )
    missing = [name for name in model.terms if name not in known]
    if len(missing) == len(model.terms):
        raise UnpricedError(f"no costs for kernels that run on {model.executor!r}; build the pack again")
    filled = dict(known)
    for name in missing:
        filled[name] = model.terms[name].prior_ns * _relative(model, name, known, measured, threads)
    return np.array([filled[name] for name in model.terms])


@lru_cache(maxsize=32)
def columns_of(known: tuple[str, ...], model: CostModel) -> NDArray[np.intp] | None:
    """The places of the model's terms among those that a pack has costs for; ``None`` where it lacks some, or has others with the model's
    prefix: ``costs`` then says what that means. Packs have few sets of terms."""
    places = {name: place for place, name in enumerate(known)}
    strange = any(name.startswith(model.prefixes) and name not in model.terms for name in known)
    return (
        None if strange or not model.terms.keys() <= places.keys() else np.array([places[name] for name in model.terms])
    )


def _relative(model: CostModel, name: str, known: Mapping[str, float], measured: Sequence[str], threads: int) -> float:
    """What the processor pays for a term, relative to its prior."""
    term = model.terms[name]
    like = [(model.terms[other], cost) for other, cost in known.items() if _tells(model, other, cost)]
    idle = _idle(model, known, measured, f"{name.partition('.')[0]}.") or _idle(model, known, measured, "")
    if not like:
        return float(threads**-term.parallel)
    if len({each.parallel for each, _ in idle}) > 1:
        logs = np.log([cost / each.prior_ns for each, cost in idle])
        slope, speed = np.polyfit([each.parallel for each, _ in idle], logs, 1)
        return float(np.exp(np.clip(speed + slope * term.parallel, -log(_MOST), log(_MOST))))
    ratios = [cost / each.prior_ns * threads ** (each.parallel - term.parallel) for each, cost in idle or like]
    return float(np.median(ratios))


def _idle(
    model: CostModel, known: Mapping[str, float], measured: Sequence[str], prefix: str
) -> list[tuple[Term, float]]:
    """The terms that no measurement exercised, of those that begin with ``prefix``, with their costs."""
    exercised = frozenset(measured)
    return [
        (model.terms[name], cost)
        for name, cost in known.items()
        if name.startswith(prefix) and name not in exercised and _tells(model, name, cost)
    ]


def _tells(model: CostModel, name: str, cost: float) -> bool:
    """Whether the cost of a term says how fast a processor is: one that is no number of times its prior says nothing."""
    prior = model.terms[name].prior_ns if name in model.terms else 0.0
    return prior > 0 and prior / _MOST <= cost <= prior * _MOST
