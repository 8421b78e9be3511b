"""GPU predictors: terms fitted to measured kernels, trees on what the terms miss, and a queue fitted to end-to-end times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from latlint.latency.engine import queued
from latlint.latency.trees import Forest, flatten
from latlint.runtime.kinds import kind_of
from latlint.training.design import GPU, Design, KernelRows, listed
from latlint.training.hierarchy import Configurations, Strength
from latlint.training.hierarchy import fit as fit_costs

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: A class of kernels with fewer measured rows keeps the terms alone.
MIN_ROWS = 40
ROUNDS = 400
#: Forests that differ only in their seed are averaged: what they disagree on is chance.
SEEDS = (1, 2, 3)
#: Thousands of kernels were measured on each GPU: what they share is left freer than for CPUs, which have eighty times each.
STRENGTH = Strength(scale=1e-3, shared=0.01)
#: A row's weight is its time to this power: between every kernel alike (0) and every millisecond alike (1).
WEIGHT_POWER = 0.75
TREES: Mapping[str, Any] = {
    "objective": "huber",
    "alpha": 0.3,
    "learning_rate": 0.05,
    "num_leaves": 7,
    "min_data_in_leaf": 10,
    "lambda_l2": 5.0,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbose": -1,
}


@dataclass(frozen=True)
class GpuModel:
    """One GPU's ``theta`` in ns per term, its forests by class of kernel, and its queue (see ``engine.queued``)."""

    theta: Array
    forests: Mapping[str, Forest]
    queue: Mapping[str, float]


def fit(design: Design, models: Mask) -> dict[str, GpuModel]:
    """A model of every GPU, from the kernels and end-to-end times of ``models`` alone, a mask over the measured models."""
    rows = design.rows
    costs = _costs(rows, models[rows.model])
    end_to_end = {s.device: s.mean_ns for s in design.measurements.series if not kind_of(s.processor).host}
    found = {}
    for column, device in enumerate(design.gpu):
        theta = costs[column]
        forests = _forests(rows, models[rows.model], column, theta)
        queue, other = _queue(design, device, column, models, end_to_end[device], theta)
        theta = np.where([name.startswith(("other.", "matmul.")) for name in GPU.names], theta * other, theta)
        found[device] = GpuModel(theta, forests, queue)
    return found


def measured_terms(design: Design, column: int) -> list[str]:
    """Terms that the kernels or the end-to-end times of the device in ``column`` exercise."""
    rows = design.rows
    used = rows.terms[np.isfinite(rows.time_ns[:, column])].sum(axis=0)
    for work in design.gpu[list(design.gpu)[column]].values():
        used = used + GPU.counts(work)
    return [name for name, count in zip(GPU.names, used, strict=True) if count > 0]


def _costs(rows: KernelRows, train: Mask) -> Array:
    """Costs of every term on every GPU, (devices, terms)."""
    devices = rows.time_ns.shape[1]
    return fit_costs(
        rows.terms[train],
        rows.time_ns[train],
        GPU.terms,
        Configurations(np.arange(devices), np.zeros(devices)),
        STRENGTH,
    )


def _forests(rows: KernelRows, train: Mask, column: int, theta: Array) -> dict[str, Forest]:
    time = rows.time_ns[:, column]
    summed = rows.terms @ theta
    found = {}
    for name in sorted(set(rows.classes)):
        at = train & (rows.classes == name) & np.isfinite(time)
        if at.sum() >= MIN_ROWS:
            log_ratio, weight = np.log(time[at] / summed[at]), time[at] ** WEIGHT_POWER
            boosters = (
                lightgbm.train(
                    {**TREES, "seed": seed},
                    lightgbm.Dataset(rows.features[at], log_ratio, weight=weight),
                    ROUNDS,
                    keep_training_booster=True,  # else it is written as text and read again
                )
                for seed in SEEDS
            )
            found[str(name)] = flatten(*(booster.model_to_string() for booster in boosters))
    return found


def _queue(
    design: Design, device: str, column: int, models: Mask, end_to_end: Array, theta: Array
) -> tuple[dict[str, float], float]:
    """The queue of one GPU from measured kernels and end-to-end times, and the factor on kernels that are not listed.

    The listed kernels enter with their measured times: what is left is the queue's and the unlisted kernels'.
    """
    kernels = _flat(design, device, column, theta)
    target = end_to_end * 1e-6
    used = models & np.isfinite(target)
    scale_of = float(np.median(target[used]))
    weight = used / used.sum()

    def total(x: Array) -> Array:
        scale, dispatch, start, other = np.exp(x)
        spans = queued(kernels.measured_ms + other * kernels.other_ms, kernels.launches, scale, dispatch)
        return np.asarray(start + np.bincount(kernels.model, spans, len(target)))

    def objective(x: Array) -> float:
        ratio = np.where(used, np.log(total(x) / target), 0.0)
        prior = (x[0] / 0.3) ** 2 + (x[3] / 0.7) ** 2
        return float((weight * np.sqrt(ratio**2 + 0.02**2)).sum() + 5e-4 * prior)

    bounds = np.log([(1.0, 2.0), (1e-4, 2.0), (1e-3 * scale_of, scale_of), (0.05, 20.0)])
    starts = [np.log([1.02, dispatch, 0.1 * scale_of, 1.0]) for dispatch in (0.005, 0.03, 0.15)]
    found = [minimize(objective, x, method="L-BFGS-B", bounds=bounds, options={"maxiter": 200}) for x in starts]
    best = min(found, key=lambda result: float(result.fun))
    scale, dispatch, start, other = (float(value) for value in np.exp(best.x))
    # Copies are timed by nothing here; mobile memory moves some 5 GB/s through a map and a layout change.
    return {"scale": scale, "dispatch_ms": dispatch, "start_ms": start, "copy_gb_per_s": 5.0}, other


@dataclass(frozen=True, slots=True)
class _Kernels:
    """All kernels of all models on one GPU: index of the model, measured ms (0 where not listed), ms of the terms elsewhere."""

    model: NDArray[np.intp]
    measured_ms: Array
    other_ms: Array
    launches: Array


def _flat(design: Design, device: str, column: int, theta: Array) -> _Kernels:
    parts: list[tuple[int, float, float, float]] = []
    for number, model in enumerate(design.measurements.models):
        if model not in design.gpu[device]:
            continue
        work = design.gpu[device][model]
        (part,) = work.offloaded
        times = dict(zip(listed(work.plan), design.measurements.kernels[device][model], strict=True))
        summed = part.terms @ theta * 1e-6
        for at, position in enumerate(part.positions):
            time = times.get(position)
            measured = time.time_ns * 1e-6 if time else 0.0
            parts.append((number, measured, 0.0 if time else float(summed[at]), float(part.launches[at])))
    table = np.array(parts)
    return _Kernels(table[:, 0].astype(np.intp), table[:, 1], table[:, 2], table[:, 3])
