"""The costs of a new processor from the costs of a known one and few measurements.

``log theta = log donor + speed + directions @ z + own``: one speed, which is free; how processors of this kind are known to differ
from each other (``directions``, scaled so that ``z`` is of order one); and what is this processor's alone, term by term. The last
two are held near zero, with a strength that does not grow with the number of measurements: with few of them the speed moves
and little else, with many every term goes where they say. This is maximum a posteriori estimation with normal priors and a loss
that is quadratic for small log ratios and linear for large ones. A GPU's queue is fitted with it, starting from the donor's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Array = NDArray[np.float64]


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
    iterations: int = 300


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
    processors' factors beyond their terms; ``launches`` (kernels,): 0 on a CPU; ``kernel_ns`` (kernels,): measured, NaN where not;
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


def predicted_ns(samples: Samples, costs: Costs) -> Array:
    """End-to-end times of the samples' models, (models,)."""
    kernels = (samples.terms @ costs.theta) * np.exp(samples.correction @ costs.share)
    spans, _ = _spans(kernels, samples.launches, costs.queue)
    besides = samples.extra_ns + samples.starts * costs.queue.start_ns
    return np.asarray(besides + np.bincount(samples.model, spans, len(samples.total_ns)))


def directions(thetas: Sequence[Array], count: int) -> Array:
    """The main ways in which the costs of known processors differ from each other, speed aside: (terms, at most ``count``).

    Columns are principal components of the logarithms, each as long as one standard deviation: what is multiplied with
    them is of order one.
    """
    logs = np.log(np.maximum(np.array(thetas), 1e-9))
    logs -= logs.mean(axis=1, keepdims=True)
    logs -= logs.mean(axis=0)
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
    parts = _Parts(donor, along, own, has_queue=donor.queue.start_ns > 0)
    start = parts.start(float(np.median(np.log(samples.total_ns / predicted_ns(samples, donor)))))
    options = {"maxiter": strength.iterations}
    objective = _objective(samples, parts, strength)
    best = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=parts.bounds(start), options=options)
    return parts.costs(best.x)


def _objective(samples: Samples, parts: _Parts, strength: Strength) -> Callable[[Array], tuple[float, Array]]:
    """What ``fit`` makes small, with its gradient: minus the logarithm of the posterior, constants left out.

    Where kernels were timed, their own times fill the queue: what is left of the whole is the queue's.
    """
    weight, log_kernel = _kernel_weights(samples)
    models = len(samples.total_ns)
    log_total = np.log(samples.total_ns)
    measured = np.isfinite(samples.kernel_ns)

    def objective(x: Array) -> tuple[float, Array]:
        costs = parts.costs(x)
        factor = np.exp(samples.correction @ costs.share)
        kernels = (samples.terms @ costs.theta) * factor + 1e-9
        spans, slopes = _spans(np.where(measured, samples.kernel_ns, kernels), samples.launches, costs.queue)
        besides = samples.extra_ns + samples.starts * costs.queue.start_ns
        totals = besides + np.bincount(samples.model, spans, models)
        loss, pull = _soft(np.log(totals) - log_total, strength.noise)
        kernel_loss, kernel_pull = _soft(np.where(measured, np.log(kernels), log_kernel) - log_kernel, strength.noise)
        by_total = pull / totals
        by_span = by_total[samples.model]
        by_kernel = np.where(measured, 0.0, by_span * slopes.kernel) + strength.kernels * weight * kernel_pull / kernels
        gradient = parts.gather(
            by_log_theta=(by_kernel * factor) @ samples.terms * costs.theta,
            by_share=(by_kernel * kernels) @ samples.correction,
            by_queue=(
                float((by_span * slopes.scale).sum()) * costs.queue.scale,
                float((by_span * slopes.dispatch).sum()) * costs.queue.dispatch_ns,
                float((by_total * samples.starts).sum()) * costs.queue.start_ns,
            ),
        )
        penalty, penalty_pull = parts.penalty(x, strength)
        value = float(loss.sum()) + strength.kernels * float((weight * kernel_loss).sum()) + penalty
        return value, gradient + penalty_pull

    return objective


def _soft(ratio: Array, noise: float) -> tuple[Array, Array]:
    """Minus the log likelihood of log ratios, quadratic below twice the noise and linear above, and its slope."""
    knee = 2 * noise
    root = np.sqrt(ratio**2 + knee**2)
    return knee * (root - knee) / noise**2, knee * ratio / root / noise**2


def _kernel_weights(samples: Samples) -> tuple[Array, Array]:
    """What each measured kernel weighs, one in all for a model, and the logarithms of their times (0 where not measured)."""
    measured = np.isfinite(samples.kernel_ns)
    times = np.where(measured, samples.kernel_ns, 0.0)
    root = np.sqrt(times)
    total = np.bincount(samples.model, root, len(samples.total_ns))[samples.model]
    return np.where(measured, root / np.maximum(total, 1e-9), 0.0), np.log(np.where(measured, times, 1.0))


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
    """Where the parts lie in the vector that the optimiser sees: speed, z, own, and for a GPU the share and the queue."""

    donor: Costs
    along: Array
    own: Array
    has_queue: bool

    @property
    def _terms(self) -> int:
        return len(self.donor.theta)

    def start(self, speed: float) -> Array:
        x = np.zeros(1 + self.along.shape[1] + self._terms + (len(self.donor.share) + 3 if self.has_queue else 0))
        x[0] = speed
        if self.has_queue:
            x[-3 - len(self.donor.share) : -3] = self.donor.share
            x[-1] = speed
        return x

    def split(self, x: Array) -> tuple[float, Array, Array, Array]:
        many = self.along.shape[1]
        return float(x[0]), x[1 : 1 + many], x[1 + many : 1 + many + self._terms], x[1 + many + self._terms :]

    def costs(self, x: Array) -> Costs:
        speed, z, own, rest = self.split(x)
        theta = self.donor.theta * np.exp(np.clip(speed + self.along @ z + own, -20, 20))
        if not self.has_queue:
            return Costs(theta, self.donor.share, self.donor.queue)
        share, (scale, dispatch, start) = rest[:-3], rest[-3:]
        old = self.donor.queue
        factors = np.exp(np.clip([scale, dispatch, start], -10, 10))
        queue = Queue(
            old.scale * float(factors[0]), old.dispatch_ns * float(factors[1]), old.start_ns * float(factors[2])
        )
        return Costs(theta, share, queue)

    def bounds(self, x: Array) -> list[tuple[float | None, float | None]]:
        """Kernels that follow each other are never faster than alone."""
        found: list[tuple[float | None, float | None]] = [(None, None)] * len(x)
        if self.has_queue:
            found[-3] = (-float(np.log(self.donor.queue.scale)), None)
        return found

    def gather(self, by_log_theta: Array, by_share: Array, by_queue: tuple[float, float, float]) -> Array:
        parts = [np.array([by_log_theta.sum()]), self.along.T @ by_log_theta, by_log_theta]
        if self.has_queue:
            parts.append(np.concatenate([by_share, by_queue]))
        return np.concatenate(parts)

    def penalty(self, x: Array, strength: Strength) -> tuple[float, Array]:
        """Half the squares over the variances, and the slope; the share is held near the donor's."""
        speed, z, _, rest = self.split(x)
        centre = np.zeros(len(x))
        precision = np.concatenate(
            [
                [0.0],
                np.ones(len(z)),
                self.own**-2.0,
                *(
                    (np.full(len(rest) - 3, strength.share**-2.0), np.array(strength.queue) ** -2.0)
                    if self.has_queue
                    else ()
                ),
            ]
        )
        if self.has_queue:
            centre[-3 - len(self.donor.share) : -3] = self.donor.share
            # what starts an inference goes with the processor's speed
            centre[-1] = speed
        slope = precision * (x - centre)
        value = 0.5 * float((slope * (x - centre)).sum())
        if self.has_queue:
            slope[0] -= slope[-1]
        return value, slope
