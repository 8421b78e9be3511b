"""What held-out families say about the predictions: intervals and accuracy, written on the cards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latlint.latency.engine import difficulty, shares, times
from latlint.latency.packs import Pack, Target
from latlint.training.build import build
from latlint.training.design import Design
from latlint.training.evaluation import accuracy, interval
from latlint.training.held_out import HeldOut
from latlint.training.measurements import Series

#: A family counts as using an implementation when a model of it spends this share of its time there.
NOTABLE = 0.05
#: What the record of accuracy says of transformers besides their number and families.
TOLD_OF_TRANSFORMERS = ("mean_error_percent", "median_error_percent", "within_10_percent")
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
        card = cards[each.device][each.processor]
        card["interval"][each.precision] = interval(held_out_scores(design, held_out, each, spent))
        card["evidence"][each.precision] = evidence(design.measurements.families, spent)
        card["accuracy"][each.precision] = record(design, held_out, each)
    return {device: replace(pack, card={**pack.card, "processors": cards[device]}) for device, pack in fitted.items()}


def _processors(pack: Pack) -> Iterable[tuple[str, Mapping[str, Any]]]:
    processors: Mapping[str, Mapping[str, Any]] = pack.card["processors"]
    return processors.items()


def model_shares(design: Design, packs: Mapping[str, Pack], series: Series) -> list[dict[str, float]]:
    """Share of each measured model's predicted time by implementation (``engine.shares``); empty where its kind of processor never ran it."""
    target = Target(series.target, packs[series.device], series.processor)
    works = [design.workload(series.device, series.processor, series.precision, m) for m in design.measurements.models]
    return [shares(work, times(work, target)) if work else {} for work in works]


def evidence(families: Sequence[str], spent: Sequence[Mapping[str, float]], without: str = "") -> dict[str, int]:
    """How many families, but for ``without``, spend a notable share of some model's time in each implementation. ``families`` are the
    models', ``spent`` their shares."""
    using: dict[str, set[str]] = {}
    for family, of in zip(families, spent, strict=True):
        for name, share in of.items():
            if family != without and share > NOTABLE:
                using.setdefault(name, set()).add(family)
    return {name: len(families) for name, families in sorted(using.items())}


def held_out_scores(design: Design, held_out: HeldOut, series: Series, spent: Sequence[Mapping[str, float]]) -> Array:
    """Log error of each held-out model in units of its difficulty, by what the other families know of its kernels; NaN where
    its family was not held out."""
    return scores(held_out.ratios(series), design.measurements.families, spent)


def scores(ratios: Array, families: Sequence[str], spent: Sequence[Mapping[str, float]]) -> Array:
    """Log errors of held-out ``ratios`` in units of difficulty, by what the other families know of each model's kernels."""
    known = {family: evidence(families, spent, family) for family in set(families)}
    hard = [difficulty(of, known[family]) for family, of in zip(families, spent, strict=True)]
    return np.asarray(np.abs(np.log(ratios)) / np.array(hard))


def record(design: Design, held_out: HeldOut, series: Series) -> dict[str, Any]:
    """The accuracy of one target, as its card states it: of convolutional networks, and, on their own, of transformers."""
    measured = design.measurements
    noise = float(np.nanmedian(series.std_ns / series.mean_ns))
    ratios = held_out.ratios(series)
    transformer = np.array([model in measured.transformers for model in measured.models])
    found = accuracy(np.where(transformer, np.nan, ratios), measured.models, measured.families, noise)
    others = np.where(transformer, ratios, np.nan)
    if np.isfinite(others).any():
        of = accuracy(others, measured.models, measured.families)
        found |= {f"transformers_{key}": of[key] for key in ("models", *TOLD_OF_TRANSFORMERS)}
        found["by_family_percent"] |= of["by_family_percent"]
    return found


def stretches(design: Design, held_out: HeldOut) -> Array:
    """How far each measurement lies from its held-out prediction, in widths of its interval, (series, models): inside up to 1.

    Each family's intervals are made from the other families alone. NaN where a family was not held out.
    """
    fitted = fit_all(design)
    families = design.measurements.families
    return np.array(
        [
            stretched(held_out_scores(design, held_out, each, model_shares(design, fitted, each)), families)
            for each in design.measurements.series
        ]
    )


def stretched(found: Array, families: Sequence[str]) -> Array:
    """Scores in widths of the interval that the other families' scores make."""
    of = np.array(families)
    widths = {family: interval(found[of != family])["high"] for family in set(families)}
    return np.asarray(found / np.array([widths[family] for family in families]))
