"""Costs of physical terms for many processors at once, from nothing but end-to-end times.

A model file has one time a processor, and some eighty terms explain it: fitted alone, a processor's costs are at the mercy of
eighty measurements. But processors are not strangers. All run the same kernels; the core configurations of one device run
them on the same cores. So the logarithm of a cost is a sum of parts, each held near zero as strongly as it is rare for
it to differ::

    log theta[c, t] = log prior[t] + shared[t] + core[g(c)] + core_term[g(c), t] - parallel[t] * speedup[c] + own[c, t]

with ``g(c)`` the device and kind of core of configuration ``c``. This is maximum a posteriori estimation of a hierarchical
log-normal model; the error is a smooth absolute value of the log ratio, which is what a mean absolute percentage error
punishes, and robust against a measurement that went wrong. A term that no model exercises keeps its prior times the core's speed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Strength:
    """How strongly each part is held near zero (the inverse variance of its prior, up to ``scale``), and ``softness``: log ratios
    below it are punished quadratically, above it linearly."""

    scale: float = 2e-3
    shared: float = 0.1
    core_term: float = 1.0
    speedup: float = 1.0
    own: float = 3.0
    softness: float = 0.04
    iterations: int = 1000


@dataclass(frozen=True, slots=True)
class Terms:
    """``prior`` and ``parallel`` of each term, shape (terms,)."""

    prior: Array
    parallel: Array


@dataclass(frozen=True, slots=True)
class Configurations:
    """``group``: index of the device and kind of core, ``log_threads``: logarithm of the number of threads; shape (configurations,)."""

    group: NDArray[np.intp]
    log_threads: Array


def fit(
    counts: Array, times: Array, terms: Terms, configurations: Configurations, strength: Strength | None = None
) -> Array:
    """Costs ``theta``, shape (configurations, terms), in the unit of ``times`` per unit of term.

    ``counts``: (models, terms), non-negative; ``times``: (models, configurations), positive; NaN where there is no measurement.
    """
    strength = strength or Strength()
    layout = _Layout(counts.shape[1], times.shape[1], int(configurations.group.max()) + 1)
    scaled = counts * terms.prior
    known = np.isfinite(times)
    logs = np.where(known, np.log(np.where(known, times, 1.0)), 0.0)
    weight = known / known.sum()

    def log_ratio(x: Array) -> Array:
        return layout.log_ratio(x, terms, configurations)

    def objective(x: Array) -> tuple[float, Array]:
        theta = np.exp(np.clip(log_ratio(x), -60, 60))
        predicted = scaled @ theta.T + 1e-12
        residual = np.log(predicted) - logs
        soft = np.sqrt(residual**2 + strength.softness**2)
        loss = float((weight * (soft - strength.softness)).sum())
        slope = ((weight * residual / soft / predicted).T @ scaled) * theta
        penalty, pull = layout.penalty(x, strength)
        return loss + penalty, layout.gather(slope, terms, configurations) + pull

    start = layout.start(scaled, logs, known, terms, configurations)
    best = minimize(
        objective, start, jac=True, method="L-BFGS-B", options={"maxiter": strength.iterations, "maxcor": 20}
    )
    return np.asarray(np.exp(log_ratio(best.x)) * terms.prior)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the parts of the model lie in the flat vector that the optimiser sees."""

    terms: int
    configurations: int
    groups: int

    @property
    def _ends(self) -> list[int]:
        t, c, g = self.terms, self.configurations, self.groups
        return [int(end) for end in np.cumsum([t, g, c, g * t, c * t])]

    def split(self, x: Array) -> tuple[Array, Array, Array, Array, Array]:
        shared, core, speedup, core_term, own = np.split(x, self._ends[:-1])
        return shared, core, speedup, core_term.reshape(self.groups, -1), own.reshape(self.configurations, -1)

    def log_ratio(self, x: Array, terms: Terms, conf: Configurations) -> Array:
        """Logarithm of cost over prior, shape (configurations, terms)."""
        shared, core, speedup, core_term, own = self.split(x)
        faster = (conf.log_threads + speedup)[:, None] * terms.parallel
        return np.asarray(shared + core[conf.group][:, None] - faster + core_term[conf.group] + own)

    def start(self, scaled: Array, logs: Array, known: NDArray[np.bool_], terms: Terms, conf: Configurations) -> Array:
        x = np.zeros(self._ends[-1])
        guess = np.log(scaled @ np.exp(-terms.parallel[:, None] * conf.log_threads[None]) + 1e-12)
        for group in range(self.groups):
            here = known & (conf.group == group)
            x[self.terms + group] = (logs - guess)[here].mean() if here.any() else 0.0
        return x

    def penalty(self, x: Array, strength: Strength) -> tuple[float, Array]:
        shared, core, speedup, core_term, own = self.split(x)
        weights = (
            (shared, strength.shared),
            (core, 0.0),
            (speedup, strength.speedup / self.configurations),
            (core_term, strength.core_term / self.groups),
            (own, strength.own / self.configurations),
        )
        value = sum(strength.scale * weight * float((part**2).sum()) for part, weight in weights)
        return value, np.concatenate([2 * strength.scale * weight * part.ravel() for part, weight in weights])

    def gather(self, slope: Array, terms: Terms, conf: Configurations) -> Array:
        """The gradient by parts from the gradient by ``log theta``, shape (configurations, terms)."""
        core_term = np.zeros((self.groups, self.terms))
        np.add.at(core_term, conf.group, slope)
        parts = (slope.sum(axis=0), core_term.sum(axis=1), -(slope @ terms.parallel), core_term, slope)
        return np.concatenate([part.ravel() for part in parts])
