"""Costs come back from the times that they made, and none is negative."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from latlint.training import nonnegative

Array = NDArray[np.float64]

KERNELS, NETWORKS = 600, 30


def kernels(noise: float) -> tuple[Array, Array, NDArray[np.intp], Array, Array]:
    """Counts of four terms, of which the last two cost nothing, times, networks and shares of these; and the costs."""
    random = np.random.default_rng(3)
    terms = np.exp(random.normal(0, 1.5, (KERNELS, 4))) * np.array([1.0, 1e6, 1e3, 1.0])
    costs = np.array([5e3, 0.02, 0.0, 0.0])
    time = terms @ costs * np.exp(random.normal(0, noise, KERNELS))
    network = random.integers(0, NETWORKS, KERNELS)
    return terms, time, network, time / np.bincount(network, time)[network], costs


def test_costs_come_back() -> None:
    terms, time, network, share, costs = kernels(0)
    found = nonnegative.fit(terms, time, network, share)
    assert found[:2] == pytest.approx(costs[:2], rel=0.01)
    assert terms[:, 2:] @ found[2:] / time == pytest.approx(0, abs=0.05)


def test_a_few_times_that_are_wrong_do_not_matter() -> None:
    terms, time, network, share, costs = kernels(0.05)
    time[::20] *= 5
    found = nonnegative.fit(terms, time, network, share)
    assert np.all(found >= 0)
    assert found[:2] == pytest.approx(costs[:2], rel=0.1)


def test_a_term_that_no_kernel_has_costs_nothing() -> None:
    terms, time, network, share, _ = kernels(0.05)
    assert nonnegative.fit(np.column_stack([terms, np.zeros(KERNELS)]), time, network, share)[-1] == 0
