"""Costs of an NPU's terms on many devices and runtimes and in all precisions at once, from nothing but the times of whole networks.

Some seventy networks have sixty terms to explain, and all that helps is that nothing is a stranger: the devices run the same kernels, the
runtimes give the same compiler nearly the same graph, devices of one chip differ by a factor, int8 takes another share of what float16 does.
So the logarithm of a cost is a prior plus a sum of parts, each held near zero as strongly as it is rare for it to differ::

    log cost[t] = log prior[p, t] + shared[t] + precision[p, t] + runtime[r, t] + runtime of precision[r, p, t] + version[r, v, t]
                  + chip[c, t] + chip of precision[c, p, t]
                  + version[r, v] + chip[c] + chip of precision[c, p] + device[d]

This is maximum a posteriori estimation of a log-normal hierarchy with a robust loss (quadratic for small log errors, linear for large ones): a
network whose compilation went wrong pulls no more than any other that is far off. A term that no network exercises keeps its prior times the factors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Array = NDArray[np.float64]
Index = NDArray[np.intp]

#: Levels that have a deviation for each term, in order, and those that have a factor.
DEVIATIONS = ("shared", "precision", "runtime", "runtime of precision", "version", "chip", "chip of precision")
FACTORS = ("version", "chip", "chip of precision", "device")


def _deviations() -> Mapping[str, float]:
    return dict(zip(DEVIATIONS, (1.0, 0.4, 0.25, 0.25, 0.2, 0.2, 0.15), strict=True))


def _factors() -> Mapping[str, float]:
    return dict(zip(FACTORS, (0.1, 2.0, 0.3, 0.1), strict=True))


@dataclass(frozen=True, slots=True)
class Strength:
    """Standard deviations of the parts, in logarithms: of a level's ``deviations`` and ``factors``, and ``firm`` and ``loose`` of the shared
    part of terms whose priors are good and of those that nobody knows, ``versioned`` of what the compiler's version does to terms that it is known to change. ``noise``: of a measurement given the model; ``softness``: log errors below it count quadratically, above it
    linearly; ``weight``: how many measurements a network counts for that was measured once."""

    deviations: Mapping[str, float] = field(default_factory=_deviations)
    factors: Mapping[str, float] = field(default_factory=_factors)
    firm: float = 0.4
    loose: float = 3.0
    versioned: float = 0.2
    noise: float = 0.15
    softness: float = 0.25
    weight: float = 3.0
    iterations: int = 400


#: Costs in the ratios of their priors, times the factors, but for what the compiler's version changes.
PRIORS_ALONE = Strength(deviations=dict.fromkeys(DEVIATIONS, 0.01), firm=0.01, loose=0.01, versioned=2.0)


@dataclass(frozen=True, slots=True)
class Problem:
    """``counts`` of terms (measurements, terms) and ``log_ms`` (measurements,). ``level[name]`` indexes what each measurement is of on a
    level, of ``sizes[name]`` there are; ``network`` likewise. ``log_prior`` (precisions, terms): logarithms of ms for one unit; ``firm``,
    ``loose`` and ``versioned`` (terms,): which priors are good, which are guesses, and which depend on the compiler's version."""

    counts: Array
    log_ms: Array
    level: Mapping[str, Index]
    sizes: Mapping[str, int]
    network: Index
    log_prior: Array
    firm: NDArray[np.bool_]
    loose: NDArray[np.bool_]
    versioned: NDArray[np.bool_]

    def without(self, out: NDArray[np.bool_]) -> Problem:
        """The problem without the measurements of a mask."""
        keep = ~out
        level = {name: index[keep] for name, index in self.level.items()}
        return replace(
            self, counts=self.counts[keep], log_ms=self.log_ms[keep], level=level, network=self.network[keep]
        )


@dataclass(frozen=True, slots=True)
class Costs:
    """What a fit found: ``parameters`` in the order of ``Layout``."""

    problem: Problem
    parameters: Array

    def log_cost(self, level: Mapping[str, Index | int]) -> Array:
        """Logarithm of the cost of each term in ms for one unit, (..., terms); a level of -1 is one that nothing is known of."""
        layout = Layout(self.problem)
        found = self.problem.log_prior[np.asarray(level["precision"])]
        for name in DEVIATIONS:
            found = found + _known(layout.terms(self.parameters, name), np.asarray(level[name]))
        for name in FACTORS:
            found = found + _known(layout.factors(self.parameters, name)[:, None], np.asarray(level[name]))
        return np.asarray(found)

    def log_ms(self, problem: Problem) -> Array:
        """Predictions for the measurements of ``problem``, whose levels are the same."""
        return np.asarray(np.log((problem.counts * np.exp(self.log_cost(problem.level))).sum(axis=1)))


def _known(values: Array, index: Index) -> Array:
    return np.where((index >= 0)[..., None], values[index], 0.0)


class Layout:
    """Where each part lies among the parameters."""

    def __init__(self, problem: Problem) -> None:
        self.count = problem.log_prior.shape[-1]
        self._at: dict[tuple[str, str], slice] = {}
        end = 0
        for kind, names, width in (("terms", DEVIATIONS, self.count), ("factors", FACTORS, 1)):
            for name in names:
                begin, end = end, end + problem.sizes[name] * width
                self._at[kind, name] = slice(begin, end)
        self.size = end

    def terms(self, parameters: Array, name: str) -> Array:
        return parameters[self._at["terms", name]].reshape(-1, self.count)

    def factors(self, parameters: Array, name: str) -> Array:
        return parameters[self._at["factors", name]]

    def sigma(self, problem: Problem, strength: Strength) -> Array:
        """The standard deviation of each parameter."""
        sigma = np.empty(self.size)
        for name in DEVIATIONS:
            self.terms(sigma, name)[:] = strength.deviations[name]
        self.terms(sigma, "shared")[:, problem.firm] = strength.firm
        self.terms(sigma, "shared")[:, problem.loose] = strength.loose
        self.terms(sigma, "version")[:, problem.versioned] = strength.versioned
        for name in FACTORS:
            self.factors(sigma, name)[:] = strength.factors[name]
        return sigma


def fit(problem: Problem, strength: Strength | None = None) -> Costs:
    """The most probable costs."""
    strength = strength or Strength()
    layout = Layout(problem)
    sigma = layout.sigma(problem, strength)
    weight = _weights(problem.network, strength)
    groups = _Groups(problem)

    def objective(whitened: Array) -> tuple[float, Array]:
        """The loss and its gradient by parameters in units of their standard deviations: far better conditioned."""
        cost = np.exp(Costs(problem, sigma * whitened).log_cost(groups.level))
        spent = problem.counts * cost[groups.of]
        ms = spent.sum(axis=1)
        error = np.log(ms) - problem.log_ms
        soft = np.sqrt(1.0 + (error / strength.softness) ** 2)
        loss = float((weight * strength.softness**2 * (soft - 1.0)).sum())
        slope = groups.summed((weight * error / soft / ms)[:, None] * spent)
        return loss + 0.5 * float((whitened**2).sum()), sigma * groups.gradient(layout, slope) + whitened

    options = {"maxiter": strength.iterations, "maxcor": 20}
    found = minimize(objective, np.zeros(layout.size), jac=True, method="L-BFGS-B", options=options)
    return Costs(problem, np.asarray(sigma * found.x))


def _weights(network: Index, strength: Strength) -> Array:
    """A network that many devices measured counts for more than one that few did, but not in proportion: their errors are one."""
    counts = np.bincount(network)
    return np.asarray(strength.weight * counts[network] ** -0.5 / strength.noise**2)


class _Groups:
    """Measurements with the same costs: those of one device, runtime, version and precision."""

    def __init__(self, problem: Problem) -> None:
        keys = np.stack([problem.level[name] for name in ("device", "version", "precision")], axis=1)
        _, first, of = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        self.of: Index = np.asarray(of).reshape(-1)
        self.level = {name: index[first] for name, index in problem.level.items()}
        self._order = np.argsort(self.of, kind="stable")
        self._begins = np.searchsorted(self.of[self._order], np.arange(len(first)))

    def summed(self, values: Array) -> Array:
        """Sums of rows, a row for each group."""
        return np.asarray(np.add.reduceat(values[self._order], self._begins, axis=0))

    def gradient(self, layout: Layout, slope: Array) -> Array:
        """Slopes by the logarithm of each group's costs -> slopes by the parameters."""
        gradient = np.zeros(layout.size)
        for name in DEVIATIONS:
            np.add.at(layout.terms(gradient, name), self.level[name], slope)
        for name in FACTORS:
            np.add.at(layout.factors(gradient, name), self.level[name], slope.sum(axis=1))
        return gradient


def indices(values: Sequence[str]) -> tuple[Index, list[str]]:
    """Each value's index among the distinct ones, and these, sorted."""
    known = sorted(set(values))
    at = {value: index for index, value in enumerate(known)}
    return np.array([at[value] for value in values], np.intp), known
