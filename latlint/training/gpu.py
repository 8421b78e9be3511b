"""GPU predictors: costs of terms fitted to measured kernels, and a queue fitted to end-to-end times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from latlint.latency.engine import queued
from latlint.runtime.kinds import kind_of
from latlint.training import nonnegative
from latlint.training.design import GPU, Design, KernelRows, listed
from latlint.training.hierarchy import Configurations, Strength, Terms
from latlint.training.hierarchy import fit as fit_costs

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: A class of kernels with fewer measured rows keeps the costs that the estimator of all GPUs gives those of its terms that have a prior.
MIN_ROWS = 10
#: Thousands of kernels were measured on each GPU: what they share is left freer than for CPUs, which have eighty times each.
STRENGTH = Strength(scale=1e-3, shared=0.01)


@dataclass(frozen=True)
class GpuModel:
    """One GPU's ``theta`` in ns per term, and its queue (see ``engine.queued``)."""

    theta: Array
    queue: Mapping[str, float]


def fit(design: Design, models: Mask) -> dict[str, GpuModel]:
    """A model of every GPU, from the kernels and end-to-end times of ``models`` alone, a mask over the measured models."""
    rows = design.rows
    costs = _costs(rows, models[rows.model])
    end_to_end = {s.device: s.mean_ns for s in design.measurements.series if not kind_of(s.processor).host}
    found = {}
    for column, device in enumerate(design.gpu):
        theta = _by_class(rows, models[rows.model], column, costs[column])
        queue, other = _queue(design, device, column, models, end_to_end[device], theta)
        theta = np.where([name.startswith(("other.", "matmul.")) for name in GPU.names], theta * other, theta)
        found[device] = GpuModel(theta, queue)
    return found


def measured_terms(design: Design, column: int) -> list[str]:
    """Terms that the kernels or the end-to-end times of the device in ``column`` exercise."""
    rows = design.rows
    used = rows.terms[np.isfinite(rows.time_ns[:, column])].sum(axis=0)
    for work in design.gpu[list(design.gpu)[column]].values():
        used = used + GPU.counts(work)
    return [name for name, count in zip(GPU.names, used, strict=True) if count > 0]


def _costs(rows: KernelRows, train: Mask) -> Array:
    """Costs of every term on every GPU, (devices, terms); nothing for those that have no prior."""
    devices = rows.time_ns.shape[1]
    known = GPU.terms.prior > 0
    costs = np.zeros((devices, len(known)))
    costs[:, known] = fit_costs(
        rows.terms[np.ix_(train, known)],
        rows.time_ns[train],
        Terms(GPU.terms.prior[known], GPU.terms.parallel[known]),
        Configurations(np.arange(devices), np.zeros(devices)),
        STRENGTH,
    )
    return costs


def _by_class(rows: KernelRows, train: Mask, column: int, shared: Array) -> Array:
    """Costs on one GPU, (terms,), of each class of kernels by its own times; by ``shared``, where they are few."""
    time = np.where(train, rows.time_ns[:, column], np.nan)
    share = time / np.bincount(rows.model, np.nan_to_num(time))[rows.model]
    theta = shared.copy()
    operand = GPU.names.index("linked.operand")
    theta[[name.endswith(".operand") for name in GPU.names]] = shared[operand]
    theta[operand] = 0.0  # each class has its own
    for name in sorted(set(rows.classes)):
        at = np.flatnonzero((rows.classes == name) & np.isfinite(time))
        if len(at) >= MIN_ROWS:
            columns = np.flatnonzero([term.startswith(f"{name}.") for term in GPU.names])
            theta[columns] = nonnegative.fit(rows.terms[np.ix_(at, columns)], time[at], rows.model[at], share[at])
    return theta


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
