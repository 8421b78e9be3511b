"""What held-out families say about the predictions: intervals and accuracy, written on the cards."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latlint.latency.packs import Pack
from latlint.training.build import build
from latlint.training.design import Design
from latlint.training.held_out import HeldOut
from latlint.training.measurements import Series

LEVEL = 0.9
Array = NDArray[np.float64]


def fit_all(design: Design) -> dict[str, Pack]:
    """Packs from all measurements, not calibrated."""
    return build(design, np.ones(len(design.measurements.models), bool))


def packs(design: Design, held_out: HeldOut) -> dict[str, Pack]:
    """Packs from all measurements, with intervals and accuracy from predictions for families that were held out."""
    found = {}
    for device, pack in fit_all(design).items():
        processors = {name: dict(card) for name, card in pack.card["processors"].items()}
        for card in processors.values():
            card["interval"], card["accuracy"] = {}, {}
        for each in design.measurements.series:
            if each.device == device:
                ratios = held_out.predicted_ms[each.target, each.precision] / (each.mean_ns * 1e-6)
                card = processors[each.processor]
                card["interval"][each.precision] = interval(np.log(ratios))
                card["accuracy"][each.precision] = accuracy(ratios, each, design)
        found[device] = replace(pack, card={**pack.card, "processors": processors})
    return found


def interval(log_ratios: Array, level: float = LEVEL) -> dict[str, float]:
    """Split-conformal interval of the log of measured over predicted: the quantile of absolute scores of held-out models that
    covers ``level`` of new ones from families like these (Vovk et al.; finite-sample correction)."""
    scores = np.sort(np.abs(log_ratios))
    rank = min(ceil((len(scores) + 1) * level), len(scores))
    width = round(float(scores[rank - 1]), 4)
    return {"level": level, "low": -width, "high": width}


def accuracy(ratios: Array, series: Series, design: Design) -> dict[str, Any]:
    """Held-out error of one target in percent: over all models, by family, and the measurements' own noise."""
    errors = np.abs(ratios - 1) * 100
    worst = int(errors.argmax())
    families = np.array(design.measurements.families)
    return {
        "models": len(errors),
        "mean_error_percent": round(float(errors.mean()), 2),
        "median_error_percent": round(float(np.median(errors)), 2),
        "within_10_percent": round(float((errors <= 10).mean()), 3),
        "worst_model": design.measurements.models[worst],
        "worst_error_percent": round(float(errors[worst]), 1),
        "noise_percent": round(float(np.median(series.std_ns / series.mean_ns)) * 100, 2),
        "by_family_percent": {
            str(family): round(float(errors[families == family].mean()), 1) for family in sorted(set(families))
        },
    }
