"""Costs come back from the times that they made; what no time says stays at its prior times the core's speed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import approx_fprime

from latlint.training import hierarchy
from latlint.training.hierarchy import Configurations, Strength, Terms, fit

Array = NDArray[np.float64]

TERMS = 6
#: Two kinds of core with one and two threads, and a third with one.
CONFIGURATIONS = Configurations(np.array([0, 0, 1, 1, 2]), np.log([1, 2, 1, 2, 1]))
PRIORS = Terms(np.array([0.05, 0.3, 1.0, 5.0, 20.0, 3000.0]), np.array([1.0, 1.0, 0.0, 0.5, 0.0, 0.2]))


def speeds() -> Array:
    """Costs over prior of each configuration: a shared part, one of the core, and threads, as the model has it."""
    random = np.random.default_rng(3)
    shared, core = random.normal(0, 0.4, TERMS), np.array([0.0, 0.7, -0.5])[CONFIGURATIONS.group]
    return np.asarray(shared + core[:, None] - CONFIGURATIONS.log_threads[:, None] * PRIORS.parallel)


def counted(models: int, seed: int = 1) -> Array:
    """Counts such that each term is a fair part of some models' times."""
    random = np.random.default_rng(seed)
    return np.asarray(np.exp(random.normal(10, 1.5, (models, TERMS))) / PRIORS.prior)


def made(counts: Array, theta: Array, noise: float = 0.0) -> Array:
    """Times of models with ``counts``, (models, configurations)."""
    random = np.random.default_rng(2)
    return np.asarray(counts @ theta.T * np.exp(random.normal(0, noise, (len(counts), len(theta)))))


def test_known_costs_are_found_in_times_that_they_made() -> None:
    theta, counts = PRIORS.prior * np.exp(speeds()), counted(300)
    found = fit(counts, made(counts, theta), PRIORS, CONFIGURATIONS)
    assert found.shape == theta.shape
    np.testing.assert_allclose(found, theta, rtol=0.05)
    np.testing.assert_allclose(counts @ found.T, counts @ theta.T, rtol=0.02)


def test_a_processors_own_costs_are_found_where_times_insist() -> None:
    """Two threads of a core have one cost that one thread of it has not."""
    log_theta = speeds()
    log_theta[3, 1] += 1.0
    theta, counts = PRIORS.prior * np.exp(log_theta), counted(300)
    found = fit(counts, made(counts, theta), PRIORS, CONFIGURATIONS)
    np.testing.assert_allclose(found[3, 1], theta[3, 1], rtol=0.1)
    np.testing.assert_allclose(found[2, 1], theta[2, 1], rtol=0.1)


def test_noise_and_one_wrong_measurement_leave_the_costs_where_they_are() -> None:
    theta, counts = PRIORS.prior * np.exp(speeds()), counted(300)
    times = made(counts, theta, noise=0.03)
    times[17, 2] *= 50
    np.testing.assert_allclose(fit(counts, times, PRIORS, CONFIGURATIONS), theta, rtol=0.12)


def test_what_was_not_measured_is_ignored() -> None:
    """A model without times is no model; a configuration that misses half of its times has the costs of the other half."""
    theta, counts = PRIORS.prior * np.exp(speeds()), counted(200)
    times = made(counts, theta, noise=0.03)
    unmeasured = np.concatenate([times, np.full((50, len(theta)), np.nan)])
    more = np.concatenate([counts, counted(50, seed=9)])
    np.testing.assert_allclose(
        fit(more, unmeasured, PRIORS, CONFIGURATIONS), fit(counts, times, PRIORS, CONFIGURATIONS), rtol=1e-3
    )
    times[::2, 1] = np.nan
    found = fit(counts, times, PRIORS, CONFIGURATIONS)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, theta, rtol=0.12)


def test_a_configuration_without_times_is_as_fast_as_its_core() -> None:
    """Two threads of a core whose one thread was measured."""
    theta, counts = PRIORS.prior * np.exp(speeds()), counted(200)
    times = made(counts, theta)
    times[:, 3] = np.nan
    np.testing.assert_allclose(fit(counts, times, PRIORS, CONFIGURATIONS)[3], theta[3], rtol=0.15)


def test_a_core_without_times_has_costs_all_the_same() -> None:
    theta, counts = PRIORS.prior * np.exp(speeds()), counted(200)
    times = made(counts, theta)
    times[:, 4] = np.nan
    found = fit(counts, times, PRIORS, CONFIGURATIONS)
    assert np.all(found[4] > 0) and np.isfinite(found).all()
    np.testing.assert_allclose(found[:4], theta[:4], rtol=0.05)


def test_a_term_that_no_model_exercises_keeps_its_prior_at_the_cores_speed() -> None:
    counts = counted(200)
    counts[:, 2] = 0
    speed = np.array([2.0, 2.0, 5.0, 5.0, 0.5])
    threads = np.exp(-CONFIGURATIONS.log_threads[:, None] * PRIORS.parallel)
    theta = PRIORS.prior * speed[:, None] * threads
    found = fit(counts, made(counts, theta), PRIORS, CONFIGURATIONS)
    np.testing.assert_allclose(found[:, 2], PRIORS.prior[2] * speed, rtol=0.1)
    assert found[2, 2] / found[0, 2] == pytest.approx(2.5, rel=0.1)


def test_no_cost_is_negative_even_where_times_fall_with_a_count() -> None:
    counts = counted(200)
    times = np.repeat((1e6 / counts[:, :1]) + 1, 5, axis=1)
    found = fit(counts, times, PRIORS, CONFIGURATIONS)
    assert np.all(found > 0) and np.isfinite(found).all()


def test_the_same_times_give_the_same_costs() -> None:
    counts = counted(60)
    times = made(counts, PRIORS.prior * np.exp(speeds()), noise=0.1)
    np.testing.assert_array_equal(
        fit(counts, times, PRIORS, CONFIGURATIONS), fit(counts, times, PRIORS, CONFIGURATIONS)
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_is_that_of_the_objective(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    caught: list[tuple[Callable[[Array], tuple[float, Array]], Array]] = []
    minimize = hierarchy.minimize

    def spy(objective: Any, start: Array, **options: Any) -> Any:
        caught.append((objective, start))
        return minimize(objective, start, **options)

    monkeypatch.setattr(hierarchy, "minimize", spy)
    counts = counted(20, seed)
    times = made(counts, PRIORS.prior * np.exp(speeds()), noise=0.2)
    times[3, 2] = np.nan
    fit(counts, times, PRIORS, CONFIGURATIONS, Strength(scale=0.1, iterations=2))
    ((objective, start),) = caught
    at = start + np.random.default_rng(seed).normal(0, 0.3, start.shape)
    _, gradient = objective(at)
    numeric = approx_fprime(at, lambda x: objective(x)[0], 1e-7)
    assert np.abs(gradient).max() > 0.05
    np.testing.assert_allclose(gradient, numeric, atol=2e-5)
