"""What models that were held out say of the predictions: the width of intervals, and the record of accuracy on a card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Array = NDArray[np.float64]

#: Share of new models that an interval is to hold.
LEVEL = 0.9


def interval(scores: Array, *, level: float = LEVEL, least: float = 0.0) -> dict[str, float]:
    """Split-conformal interval: the quantile of held-out ``scores``, absolute log errors, that covers ``level`` of new models from families
    like these, with the finite-sample correction (Vovk et al., *Algorithmic Learning in a Random World*); the largest where they are
    few, and never narrower than ``least``. Scores that are NaN were not held out."""
    ordered = np.sort(scores[np.isfinite(scores)])
    rank = min(ceil((len(ordered) + 1) * level), len(ordered))
    width = round(max(float(ordered[rank - 1]), least), 4)
    return {"level": level, "low": -width, "high": width}


def accuracy(
    ratios: Array, models: Sequence[str], families: Sequence[str] = (), noise: float | None = None
) -> dict[str, Any]:
    """Error in percent of held-out models, from ``ratios`` of predicted over measured (NaN where not held out): over all, by family where
    ``families`` are given, and the measurements' own ``noise``, a share."""
    held = np.flatnonzero(np.isfinite(ratios)).tolist()
    errors = np.abs(ratios - 1)[held] * 100
    worst = int(errors.argmax())
    found = {
        "models": len(errors),
        "mean_error_percent": round(float(errors.mean()), 2),
        "median_error_percent": round(float(np.median(errors)), 2),
        "within_10_percent": round(float((errors <= 10).mean()), 3),
        "worst_model": str(models[held[worst]]),
        "worst_error_percent": round(float(errors[worst]), 1),
    }
    if noise is not None:
        found["noise_percent"] = round(noise * 100, 2)
    if families:
        of = np.array([families[at] for at in held])
        found["by_family_percent"] = {
            str(name): round(float(errors[of == name].mean()), 1) for name in sorted({*of.tolist()})
        }
    return found


class Simple(NamedTuple):
    """What the simplest predictors are: ns at the start of an inference, and for each multiply-accumulate and byte of its kernels."""

    start_ns: float
    mac_ns: float = 0.0
    byte_ns: float = 0.0

    def ns(self, counts: Array) -> Array:
        """Times for ``counts`` (models, 3): ones, multiply-accumulates, bytes."""
        return np.asarray(counts @ np.array(self))


#: The simplest predictor that knows most.
ROOFLINE = "a roofline of MACs and bytes"
#: The simplest predictors by name: how many of the counts they use. One that is no better has learnt nothing of what kernels run.
SIMPLEST: Mapping[str, int] = MappingProxyType({"a constant": 1, "a constant and a rate for each MAC": 2, ROOFLINE: 3})


def simple(counts: Array, times: Array, used: int = 3) -> Simple:
    """The simplest predictor by the first ``used`` of ``counts`` (models, 3), of least squares of relative errors, with no negative cost."""
    scale = np.maximum(counts.mean(axis=0), 1.0)[:used]
    costs, _ = nnls(counts[:, :used] / scale / times[:, None], np.ones(len(times)))
    return Simple(*(costs / scale).tolist())


def simplest(counts: Array, times: Array, groups: Sequence[NDArray[np.bool_]], used: int = 2) -> Array:
    """Predicted over measured by a simplest predictor, each of ``groups``, masks over the models, held out in turn."""
    ratios = np.ones(len(times))
    for out in groups:
        ratios[out] = simple(counts[~out], times[~out], used).ns(counts[out]) / times[out]
    return ratios
