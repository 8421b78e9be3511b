"""The costs of a new processor from the costs of a known one and few measurements.

``log theta = log donor + speed + directions @ z + own``: one speed, which is free; how processors of this kind are known to differ
from each other (``directions``, scaled so that ``z`` is of order one); and what is this processor's alone, term by term. The last
two are held near zero, with a strength that does not grow with the number of measurements: with few of them the speed moves
and little else, with many every term goes where they say. This is maximum a posteriori estimation with normal priors and a loss
that is quadratic for small log ratios and linear for large ones. A GPU's queue is fitted with it, starting from the donor's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Array = NDArray[np.float64]

#: The standard deviation of the speed, as a logarithm: none to speak of.
FREE = 30.0
#: A step that lowers the objective by less, as a share, is the last one; how often one is halved that would raise it.
CONVERGED, HALVINGS = 1e-6, 20
#: What of a queue is moved, in the order of ``Strength.queue``.
_QUEUE = ("scale", "dispatch", "start")


@dataclass(frozen=True, slots=True)
class Strength:
    """Standard deviations before any measurement, as logarithms: ``noise`` of a model's time (below twice it, log ratios are
    punished quadratically), ``own`` of a term, ``unseen`` of one that the donor was not measured for, ``share`` of a
    correction, ``queue`` of the queue's scale, dispatch and start; ``kernels``: what the times of a model's kernels weigh
    against its whole time. Chosen on phones and families held out (``benchmarks/learning_curve.py``)."""

    noise: float = 0.04
    own: float = 0.15
    unseen: float = 0.7
    share: float = 0.5
    queue: tuple[float, float, float] = (0.1, 2.0, 1.0)
    kernels: float = 3.0
    iterations: int = 100


@dataclass(frozen=True, slots=True)
class Queue:
    """See ``engine.queued``; a CPU has the neutral one."""

    scale: float = 1.0
    dispatch_ns: float = 0.0
    start_ns: float = 0.0


@dataclass(frozen=True, slots=True)
class Samples:
    """Measured models, kernel by kernel.

    ``model`` (kernels,): index of the model; ``terms`` (kernels, terms); ``correction`` (kernels, donors): logarithms of known
    processors' factors beyond their terms; ``launches`` (kernels,): 0 on a CPU; ``kernel_ns`` (kernels,): measured, NaN where not (nor is what takes no time);
    ``extra_ns`` (models,): what runs elsewhere; ``starts`` (models,): how often a queue is started; ``total_ns`` (models,):
    measured.
    """

    model: NDArray[np.intp]
    terms: Array
    correction: Array
    launches: Array
    kernel_ns: Array
    extra_ns: Array
    starts: Array
    total_ns: Array

    def only(self, models: NDArray[np.bool_]) -> Samples:
        """The samples of some models, a mask."""
        rows = models[self.model]
        return Samples(
            model=(np.cumsum(models) - 1)[self.model[rows]].astype(np.intp),
            terms=self.terms[rows],
            correction=self.correction[rows],
            launches=self.launches[rows],
            kernel_ns=self.kernel_ns[rows],
            extra_ns=self.extra_ns[models],
            starts=self.starts[models],
            total_ns=self.total_ns[models],
        )


@dataclass(frozen=True, slots=True)
class Costs:
    """``theta`` in ns per unit of term, ``share`` (donors,) of each donor's correction that is applied, and the queue."""

    theta: Array
    share: Array
    queue: Queue


def whole_times(counts: Array, total_ns: Array) -> Samples:
    """Models of which nothing but the whole was timed, and whose kernels add up: ``counts`` of their terms, (models, terms)."""
    count = len(total_ns)
    nothing = np.zeros(count)
    return Samples(
        np.arange(count), counts, np.zeros((count, 0)), nothing, np.full(count, np.nan), nothing, nothing, total_ns
    )


def predicted_ns(samples: Samples, costs: Costs) -> Array:
    """End-to-end times of the samples' models, (models,)."""
    kernels = (samples.terms @ costs.theta) * np.exp(samples.correction @ costs.share)
    spans, _ = _spans(kernels, samples.launches, costs.queue)
    besides = samples.extra_ns + samples.starts * costs.queue.start_ns
    return np.asarray(besides + np.bincount(samples.model, spans, len(samples.total_ns)))


def directions(thetas: Sequence[Array], count: int) -> Array:
    """The main ways in which the costs of known processors differ from each other, speed aside: (terms, at most ``count``). A cost of nothing
    does not tell how a processor differs.

    Columns are principal components of the logarithms, each as long as one standard deviation: what is multiplied with
    them is of order one.
    """
    known = np.ma.log(np.ma.masked_less_equal(np.array(thetas), 1e-9))
    known -= known.mean(axis=1, keepdims=True)
    logs = (known - known.mean(axis=0)).filled(0.0)
    if len(logs) < 2:
        return np.zeros((logs.shape[1], 0))
    _, lengths, axes = np.linalg.svd(logs, full_matrices=False)
    kept = min(count, len(logs) - 1)
    return np.asarray((axes[:kept] * lengths[:kept, None]).T / np.sqrt(len(logs) - 1))


def fit(
    samples: Samples,
    donor: Costs,
    along: Array,
    seen: NDArray[np.bool_] | None = None,
    strength: Strength | None = None,
) -> Costs:
    """The costs that explain ``samples``, near the donor's. ``along``: see ``directions``; ``seen``: the terms that the donor was
    measured for (all by default).

    A donor whose queue has a start above zero is a GPU's, and its queue is moved too.
    """
    strength = strength or Strength()
    own = np.full(len(donor.theta), strength.own) if seen is None else np.where(seen, strength.own, strength.unseen)
    parts = _Parts(donor, along, own, strength, has_queue=donor.queue.start_ns > 0)
    speed = float(np.median(np.log(samples.total_ns / predicted_ns(samples, donor))))
    # a term that no model has is moved by nothing but the speed and the ways in which processors differ
    used = (samples.terms > 0).sum(axis=0) > 0
    few = parts.only(used)
    found = _most_probable(_Problem(replace(samples, terms=samples.terms[:, used]), few), few.start(speed))
    return parts.costs(parts.widened(found, used))


def _most_probable(problem: _Problem, start: Array) -> Array:
    """The parameters with the largest posterior, by Gauss and Newton's steps with the loss's weights (iteratively reweighted least squares), halved where
    one would go too far."""
    best = problem.at(start)
    for _ in range(problem.parts.strength.iterations):
        wanted = problem.step(best)
        for _ in range(HALVINGS):
            next_one = problem.at(wanted)
            if next_one.value <= best.value:
                break
            wanted = 0.5 * (wanted + best.x)
        gained, best = best.value - next_one.value, min(best, next_one, key=lambda each: each.value)
        if gained < CONVERGED * (1 + best.value):
            break
    return best.x


class _At(NamedTuple):
    """The problem at the parameters ``x``: minus the logarithm of the posterior, constants left out; log errors (residuals,), their weights
    and their slopes (residuals, parameters)."""

    x: Array
    value: float
    errors: Array
    weights: Array
    slopes: Array


class _Problem:
    """Times of ``samples`` to be explained by ``parts``: a log error for each model and for each kernel that was timed. Where kernels were timed,
    their own times fill the queue: what is left of the whole is the queue's."""

    def __init__(self, samples: Samples, parts: _Parts) -> None:
        self.samples, self.parts = samples, parts
        self._timed = samples.kernel_ns > 0
        weights = parts.strength.kernels * _kernel_weights(samples, self._timed)
        self._log_times = np.log(np.concatenate([samples.total_ns, samples.kernel_ns[self._timed]]))
        self._weights = np.concatenate([np.ones(len(samples.total_ns)), weights])
        rows = np.arange(len(samples.model))
        of_models = csr_array((np.ones(len(rows)), (samples.model, rows)), shape=(len(samples.total_ns), len(rows)))
        # sums of rows by model; nothing to be summed where each model is one row
        self._sums = (lambda rows: rows) if np.array_equal(samples.model, rows) else of_models.__matmul__

    def at(self, x: Array) -> _At:
        samples, timed, costs = self.samples, self._timed, self.parts.costs(x)
        factor = np.exp(samples.correction @ costs.share)
        spent = samples.terms * costs.theta * factor[:, None]
        kernels = spent.sum(axis=1) + 1e-9
        spans, by = _spans(np.where(timed, samples.kernel_ns, kernels), samples.launches, costs.queue)
        totals = samples.extra_ns + samples.starts * costs.queue.start_ns + self._sums(spans)
        by_kernel = np.where(timed, 0.0, by.kernel)[:, None]
        by_queue = np.stack([by.scale * costs.queue.scale, by.dispatch * costs.queue.dispatch_ns], axis=1)
        of_totals = [
            self._sums(by_kernel * spent),
            self._sums(by_kernel * kernels[:, None] * samples.correction),
            np.column_stack([self._sums(by_queue), samples.starts * costs.queue.start_ns]),
        ]
        of_kernels = [
            spent[timed] / kernels[timed, None],
            samples.correction[timed],
            np.zeros((int(timed.sum()), len(_QUEUE))),
        ]
        slopes = [
            np.vstack([whole / totals[:, None], single]) for whole, single in zip(of_totals, of_kernels, strict=True)
        ]
        errors = np.log(np.concatenate([totals, kernels[timed]])) - self._log_times
        loss, weights = _soft(errors, self.parts.strength.noise)
        value = float((self._weights * loss).sum() + 0.5 * (x**2).sum())
        return _At(x, value, errors, self._weights * weights, self.parts.slopes(*slopes))

    def step(self, now: _At) -> Array:
        """Where the weighted squares of the errors, taken to be linear, and those of the parameters are least."""
        free = self.parts.free(now.x, now.slopes.T @ (now.weights * now.errors) + now.x)
        slopes = now.slopes[:, free]
        aim = slopes @ now.x[free] - now.errors
        found = now.x.copy()
        if len(slopes) < slopes.shape[1]:
            inner = slopes @ slopes.T
            inner[np.diag_indices_from(inner)] += 1 / np.maximum(now.weights, 1e-12)
            found[free] = slopes.T @ np.linalg.solve(inner, aim)
        else:
            inner = slopes.T @ (now.weights[:, None] * slopes)
            inner[np.diag_indices_from(inner)] += 1.0
            found[free] = np.linalg.solve(inner, slopes.T @ (now.weights * aim))
        return self.parts.bounded(found)


def _soft(ratio: Array, noise: float) -> tuple[Array, Array]:
    """Minus the log likelihood of log ratios, quadratic below twice the noise and linear above, and its slope over the ratio: what a square of it
    weighs."""
    knee = 2 * noise
    root = np.sqrt(ratio**2 + knee**2)
    return knee * (root - knee) / noise**2, knee / root / noise**2


def _kernel_weights(samples: Samples, timed: NDArray[np.bool_]) -> Array:
    """What each timed kernel weighs: one in all for a model, by the root of its time."""
    root, model = np.sqrt(samples.kernel_ns[timed]), samples.model[timed]
    return np.asarray(root / np.bincount(model, root, len(samples.total_ns))[model])


@dataclass(frozen=True, slots=True)
class _Slopes:
    kernel: Array
    scale: Array
    dispatch: Array


def _spans(kernels: Array, launches: Array, queue: Queue) -> tuple[Array, _Slopes]:
    """``engine.queued`` and its derivatives by the kernel's time, the scale and the dispatch."""
    run, wait = queue.scale * kernels, queue.dispatch_ns * launches
    root = np.sqrt((run - wait) ** 2 + (0.5 * wait) ** 2)
    lean = (run - wait) / np.maximum(root, 1e-12)
    by_run = 0.5 * (1 + lean)
    by_wait = 0.5 * (1 - lean + 0.25 * wait / np.maximum(root, 1e-12))
    return 0.5 * (run + wait + root), _Slopes(queue.scale * by_run, kernels * by_run, launches * by_wait)


@dataclass(frozen=True, slots=True)
class _Parts:
    """Where the parts lie among the parameters: speed, z, own, and for a GPU the share and the queue; each in units of its standard deviation, ``own`` (terms,)
    and those of ``strength``. The share is held near the donor's, and what starts an inference goes with the speed."""

    donor: Costs
    along: Array
    own: Array
    strength: Strength
    has_queue: bool

    def only(self, terms: NDArray[np.bool_]) -> _Parts:
        """The parts of some of the terms, a mask."""
        donor = replace(self.donor, theta=self.donor.theta[terms])
        return replace(self, donor=donor, along=self.along[terms], own=self.own[terms])

    def start(self, speed: float) -> Array:
        ways, queue = self.along.shape[1], len(self.donor.share) + len(_QUEUE) if self.has_queue else 0
        x = np.zeros(1 + ways + len(self.own) + queue)
        x[0] = speed / FREE
        return x

    def widened(self, x: Array, terms: NDArray[np.bool_]) -> Array:
        """Parameters ``x`` of the parts of some of the terms as those of all."""
        before = 1 + self.along.shape[1]
        own = np.zeros(len(self.own))
        own[terms] = x[before : before + int(terms.sum())]
        return np.concatenate([x[:before], own, x[before + int(terms.sum()) :]])

    def costs(self, x: Array) -> Costs:
        z, own, rest = np.split(x[1:], [self.along.shape[1], self.along.shape[1] + len(self.own)])
        speed = FREE * x[0]
        theta = self.donor.theta * np.exp(np.clip(speed + self.along @ z + self.own * own, -20, 20))
        if not self.has_queue:
            return Costs(theta, self.donor.share, self.donor.queue)
        moved = np.array(self.strength.queue) * rest[-3:] + np.array([0.0, 0.0, speed])
        old, factors = self.donor.queue, np.exp(np.clip(moved, -10, 10)).tolist()
        queue = Queue(old.scale * factors[0], old.dispatch_ns * factors[1], old.start_ns * factors[2])
        return Costs(theta, self.donor.share + self.strength.share * rest[:-3], queue)

    def slopes(self, by_log_theta: Array, by_share: Array, by_log_queue: Array) -> Array:
        """Slopes by the parameters, (rows, parameters), from those by what they stand for."""
        by_speed = by_log_theta.sum(axis=1) + (by_log_queue[:, 2] if self.has_queue else 0.0)
        found = [FREE * by_speed[:, None], by_log_theta @ self.along, by_log_theta * self.own]
        if self.has_queue:
            found += [by_share * self.strength.share, by_log_queue * np.array(self.strength.queue)]
        return np.hstack(found)

    @property
    def _lowest_scale(self) -> float:
        """Kernels that follow each other are never faster than alone."""
        return -float(np.log(self.donor.queue.scale)) / self.strength.queue[0]

    def bounded(self, x: Array) -> Array:
        if self.has_queue:
            x[-3] = max(x[-3], self._lowest_scale)
        return x

    def free(self, x: Array, slope: Array) -> NDArray[np.bool_]:
        """Which parameters may move against ``slope``: none beyond its bound."""
        found = np.ones(len(x), bool)
        if self.has_queue and x[-3] <= self._lowest_scale and slope[-3] > 0:
            found[-3] = False
        return found
