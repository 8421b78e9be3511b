"""Predictions for models of families that the predictors never saw: one set of packs a family, built without it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from latlint.latency.engine import times
from latlint.latency.packs import Pack, Target
from latlint.training.build import build
from latlint.training.design import Design
from latlint.training.measurements import Series


@dataclass(frozen=True, slots=True)
class HeldOut:
    """``predicted_ms[target, precision]``, NaN for models whose family was not held out; ``models`` as measured."""

    predicted_ms: Mapping[tuple[str, str], NDArray[np.float64]]

    def ratios(self, series: Series) -> NDArray[np.float64]:
        """Predicted over measured, (models,); NaN where the family was not held out."""
        return self.predicted_ms[series.target, series.precision] / (series.mean_ns * 1e-6)


def hold_out(
    design: Design, families: Iterable[str] | None = None, progress: Callable[[str], None] = lambda family: None
) -> HeldOut:
    """Hold out each of ``families`` (all by default) in turn; ``progress`` is called with each when it is done."""
    measured = design.measurements
    found = {(each.target, each.precision): np.full(len(measured.models), np.nan) for each in measured.series}
    chosen = sorted(set(families if families is not None else measured.families))
    # The design cannot be pickled, and need not be: a forked process has it.
    _Shared.design = design
    with ProcessPoolExecutor(os.cpu_count(), get_context("fork")) as pool:
        for family, predicted in zip(chosen, pool.map(_without, chosen), strict=True):
            for (key, model), latency_ms in predicted.items():
                found[key][model] = latency_ms
            progress(family)
    return HeldOut(found)


class _Shared:
    """What forked processes find in place."""

    design: Design


def _without(family: str) -> dict[tuple[tuple[str, str], int], float]:
    """Predictions for the models of ``family`` on every series, by packs built without it."""
    design = _Shared.design
    out = np.array([name == family for name in design.measurements.families])
    packs = build(design, ~out)
    return {
        ((each.target, each.precision), int(model)): predicted_ms(design, packs, each, int(model))
        for each in design.measurements.series
        for model in np.flatnonzero(out)
    }


def predicted_ms(design: Design, packs: Mapping[str, Pack], series: Series, model: int) -> float:
    """The end-to-end prediction of one measured model on one series' target; NaN where its kind of processor never ran it."""
    name = design.measurements.models[model]
    work = design.workload(series.device, series.processor, series.precision, name)
    if work is None:
        return float("nan")
    found = times(work, Target(series.target, packs[series.device], series.processor))
    return float(found.kernels.sum()) + found.overhead_ms
