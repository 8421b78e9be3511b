"""Costs of no less than nothing of terms that kernels were timed for one by one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Array = NDArray[np.float64]

#: Log errors below it weigh quadratically, above it linearly; the ridge tells equal terms apart.
SOFTNESS, RIDGE, ROUNDS = 0.08, 1e-3, 6
#: A network's kernels of one class together are said twice as well as one of them.
SOFTNESS_OF_SUMS = SOFTNESS / 2


def fit(terms: Array, time_ns: Array, network: NDArray[np.intp], share: Array) -> Array:
    """Costs, (terms,), in ns, by least squares of relative errors: the mean of those of what was measured and those of what is predicted, which do not
    favour times that are too short.

    ``terms`` (kernels, terms), not negative; ``time_ns``, the ``network`` and the ``share`` of its time of each kernel, (kernels,). A kernel weighs
    as its share, and so do all of a network's together.
    """
    scale = (terms / time_ns[:, None]).mean(axis=0)
    used = scale > 0
    found = np.zeros(terms.shape[1])
    for by_predicted in (False, True):
        found[used] += _fit(terms[:, used] / scale[used], time_ns, network, share, by_predicted) / scale[used] / 2
    return found


def _fit(terms: Array, time_ns: Array, network: NDArray[np.intp], share: Array, by_predicted: bool) -> Array:
    networks, at = np.unique(network, return_inverse=True)
    count = len(time_ns), len(networks)
    whole_ns, weight, of_whole = np.bincount(at, time_ns), np.sqrt(share), np.bincount(at, share)
    weight *= np.sqrt(count[0] / (weight**2).sum())
    of_whole *= np.sqrt(count[0] / (of_whole**2).sum())
    summed = np.zeros((count[1], terms.shape[1]))
    np.add.at(summed, at, terms)
    ridge = RIDGE * np.sqrt(count[0]) * np.eye(terms.shape[1])
    over, over_whole, trust, trust_whole = time_ns, whole_ns, np.ones(count[0]), np.ones(count[1])
    theta = np.zeros(terms.shape[1])
    for _round in range(ROUNDS):
        rows, wholes = weight * trust / over, of_whole * trust_whole / over_whole
        left = np.vstack([terms * rows[:, None], summed * wholes[:, None], ridge])
        right = np.concatenate([rows * time_ns, wholes * whole_ns, np.zeros(len(ridge))])
        theta, _ = nnls(left, right, maxiter=100 * terms.shape[1])
        said, said_whole = terms @ theta, summed @ theta
        trust, trust_whole = _trust(said / time_ns, SOFTNESS), _trust(said_whole / whole_ns, SOFTNESS_OF_SUMS)
        if by_predicted:
            over, over_whole = np.clip(said, 0.3 * time_ns, 3 * time_ns), said_whole
    return np.asarray(theta)


def _trust(ratio: Array, softness: float) -> Array:
    """Root of the weight of a row in the next round."""
    return np.asarray((1 + (np.log(np.maximum(ratio, 1e-9)) / softness) ** 2) ** -0.25)
