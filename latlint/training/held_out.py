"""Predictions for models of families that the predictors never saw: one set of packs a family, built without it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

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


def hold_out(
    design: Design, families: Iterable[str] | None = None, progress: Callable[[str], None] = lambda family: None
) -> HeldOut:
    """Hold out each of ``families`` (all by default) in turn; ``progress`` is called with each when it is done."""
    measured = design.measurements
    found = {(each.target, each.precision): np.full(len(measured.models), np.nan) for each in measured.series}
    for family in sorted(set(families if families is not None else measured.families)):
        out = np.array([name == family for name in measured.families])
        packs = build(design, ~out)
        for each in measured.series:
            for model in np.flatnonzero(out):
                found[each.target, each.precision][model] = predicted_ms(design, packs, each, int(model))
        progress(family)
    return HeldOut(found)


def predicted_ms(design: Design, packs: Mapping[str, Pack], series: Series, model: int) -> float:
    """The end-to-end prediction of one measured model on one series' target."""
    name = design.measurements.models[model]
    on_gpu = series.processor == "gpu"
    work = design.gpu[series.device][name] if on_gpu else design.cpu[series.precision][name]
    found = times(work, Target(series.target, packs[series.device], series.processor))
    return float(found.kernels.sum()) + found.overhead_ms
