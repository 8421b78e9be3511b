"""What held-out families say about the predictions: intervals and accuracy, written on the cards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latlint.latency.engine import difficulty, shares, times
from latlint.latency.packs import Pack, Target
from latlint.training.build import build
from latlint.training.design import Design
from latlint.training.held_out import HeldOut
from latlint.training.measurements import Series

LEVEL = 0.9
#: A family counts as using an implementation when a model of it spends this share of its time there.
NOTABLE = 0.05
Array = NDArray[np.float64]


def fit_all(design: Design) -> dict[str, Pack]:
    """Packs from all measurements, not calibrated."""
    return build(design, np.ones(len(design.measurements.models), bool))


def packs(design: Design, held_out: HeldOut) -> dict[str, Pack]:
    """Packs from all measurements, with intervals and accuracy from predictions for families that were held out."""
    fitted = fit_all(design)
    cards: dict[str, dict[str, dict[str, Any]]] = {
        device: {
            name: dict(card) | {"interval": {}, "evidence": {}, "accuracy": {}} for name, card in _processors(pack)
        }
        for device, pack in fitted.items()
    }
    for each in design.measurements.series:
        spent = model_shares(design, fitted, each)
        scores = held_out_scores(design, held_out, each, spent)
        card = cards[each.device][each.processor]
        card["interval"][each.precision] = interval(scores)
        card["evidence"][each.precision] = evidence(design, spent)
        card["accuracy"][each.precision] = accuracy(held_out.ratios(each), each, design)
    return {device: replace(pack, card={**pack.card, "processors": cards[device]}) for device, pack in fitted.items()}


def _processors(pack: Pack) -> Iterable[tuple[str, Mapping[str, Any]]]:
    processors: Mapping[str, Mapping[str, Any]] = pack.card["processors"]
    return processors.items()


def model_shares(design: Design, packs: Mapping[str, Pack], series: Series) -> list[dict[str, float]]:
    """Share of each measured model's predicted time by implementation (``engine.shares``)."""
    target = Target(series.target, packs[series.device], series.processor)
    works = [design.workload(series.device, series.processor, series.precision, m) for m in design.measurements.models]
    return [shares(work, times(work, target)) for work in works]


def evidence(design: Design, spent: Sequence[Mapping[str, float]], without: str = "") -> dict[str, int]:
    """How many families, but for ``without``, spend a notable share of some model's time in each implementation."""
    using: dict[str, set[str]] = {}
    for family, of in zip(design.measurements.families, spent, strict=True):
        for name, share in of.items():
            if family != without and share > NOTABLE:
                using.setdefault(name, set()).add(family)
    return {name: len(families) for name, families in sorted(using.items())}


def held_out_scores(design: Design, held_out: HeldOut, series: Series, spent: Sequence[Mapping[str, float]]) -> Array:
    """Log error of each held-out model in units of its difficulty, by what the other families know of its kernels; NaN where
    its family was not held out."""
    logs = np.abs(np.log(held_out.ratios(series)))
    known = {family: evidence(design, spent, family) for family in set(design.measurements.families)}
    hard = [difficulty(of, known[family]) for family, of in zip(design.measurements.families, spent, strict=True)]
    return np.asarray(logs / np.array(hard))


def interval(scores: Array, level: float = LEVEL) -> dict[str, float]:
    """Split-conformal interval: the quantile of held-out ``scores`` that covers ``level`` of new models from families like these,
    with the finite-sample correction (Vovk et al., *Algorithmic Learning in a Random World*)."""
    ordered = np.sort(scores[np.isfinite(scores)])
    rank = min(ceil((len(ordered) + 1) * level), len(ordered))
    width = round(float(ordered[rank - 1]), 4)
    return {"level": level, "low": -width, "high": width}


def stretches(design: Design, held_out: HeldOut) -> Array:
    """How far each measurement lies from its held-out prediction, in widths of its interval, (series, models): inside up to 1.

    Each family's intervals are made from the other families alone. NaN where a family was not held out.
    """
    fitted = fit_all(design)
    families = np.array(design.measurements.families)
    found = []
    for each in design.measurements.series:
        scores = held_out_scores(design, held_out, each, model_shares(design, fitted, each))
        widths = {family: interval(scores[families != family])["high"] for family in set(families)}
        found.append(scores / np.array([widths[family] for family in families]))
    return np.array(found)


def accuracy(ratios: Array, series: Series, design: Design) -> dict[str, Any]:
    """Held-out error of one target in percent: over all models, by family, and the measurements' own noise."""
    held = np.isfinite(ratios)
    errors = np.abs(ratios - 1)[held] * 100
    models = np.array(design.measurements.models)[held]
    families = np.array(design.measurements.families)[held]
    worst = int(errors.argmax())
    return {
        "models": len(errors),
        "mean_error_percent": round(float(errors.mean()), 2),
        "median_error_percent": round(float(np.median(errors)), 2),
        "within_10_percent": round(float((errors <= 10).mean()), 3),
        "worst_model": str(models[worst]),
        "worst_error_percent": round(float(errors[worst]), 1),
        "noise_percent": round(float(np.median(series.std_ns / series.mean_ns)) * 100, 2),
        "by_family_percent": {
            str(family): round(float(errors[families == family].mean()), 1) for family in sorted(set(families))
        },
    }
