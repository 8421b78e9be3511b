"""What models that were held out say of the predictions: the width of intervals, and the record of accuracy on a card."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


def simplest(macs: Array, times: Array, groups: Sequence[NDArray[np.bool_]]) -> Array:
    """Predicted over measured by a constant and a rate for each multiply-accumulate, least relative squares, each of ``groups``, masks over the
    models, held out in turn. A predictor that is no better has learnt nothing of what kernels run."""
    counts = np.stack([np.ones(len(macs)), macs / max(float(macs.mean()), 1.0)], axis=1)
    ratios = np.ones(len(times))
    for out in groups:
        costs, *_ = np.linalg.lstsq(counts[~out] / times[~out, None], np.ones(int((~out).sum())), rcond=None)
        ratios[out] = counts[out] @ costs / times[out]
    return ratios
