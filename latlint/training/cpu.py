"""CPU predictors: costs of physical terms for all core configurations at once, from end-to-end times."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from latlint.runtime.kinds import kind_of
from latlint.training.design import CPU, Design, cpu_counts
from latlint.training.hierarchy import Configurations
from latlint.training.hierarchy import fit as fit_costs
from latlint.training.measurements import Measurements, Series, cores_of

Array = NDArray[np.float64]
_INT8 = np.array([name.startswith("i8.") for name in CPU.names])


def fit(design: Design, models: NDArray[np.bool_]) -> dict[str, Array]:
    """Costs in ns per term of every CPU target (``device/processor``), from the end-to-end times of ``models`` alone.

    Models of one precision never run the other's kernels, so each term's costs come from its own precision's times. A term that no
    model exercises keeps its prior, at the speed that this precision shows.
    """
    names = [model for model, keep in zip(design.measurements.models, models, strict=True) if keep]
    found: dict[str, Array] = {}
    for precision in ("float32", "int8"):
        series = cpu_series(design.measurements, precision)
        counts = cpu_counts(design, precision, names)
        times = np.stack([each.mean_ns[models] for each in series], axis=1)
        costs = fit_costs(counts, times, CPU.terms, configurations(series))
        for each, theta in zip(series, costs, strict=True):
            found[each.target] = np.where(_INT8, theta, found[each.target]) if precision == "int8" else theta
    return found


def measured_terms(design: Design) -> list[str]:
    """Terms that the models of the corpus exercise."""
    models = design.measurements.models
    used = sum(cpu_counts(design, precision, models).sum(axis=0) for precision in ("float32", "int8"))
    return [name for name, count in zip(CPU.names, np.asarray(used), strict=True) if count > 0]


def cpu_series(measurements: Measurements, precision: str) -> list[Series]:
    return [each for each in measurements.series if kind_of(each.processor).host and each.precision == precision]


def configurations(series: list[Series]) -> Configurations:
    """Groups are a device and the largest kind of core in use: what runs on one thread runs on that."""
    keys = [(each.device, cores_of(each.processor)[0][1]) for each in series]
    order = sorted(set(keys))
    threads = [sum(count for count, _ in cores_of(each.processor)) for each in series]
    return Configurations(np.array([order.index(key) for key in keys], np.intp), np.log(np.array(threads, float)))
