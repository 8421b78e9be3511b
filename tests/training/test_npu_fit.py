"""Costs of NPUs come back from the times that they made; what a time says of one device does not become true of another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import approx_fprime

from latlint.training.npu import fit as hierarchy
from latlint.training.npu.fit import DEVIATIONS, PRIORS_ALONE, Layout, Problem, Strength, fit

Array = NDArray[np.float64]
TERMS = 5


def problem(networks: int = 80, noise: float = 0.0) -> tuple[Problem, Array]:
    """Networks timed on three devices of two chips with one runtime, and the logarithms of the costs that made the times, (devices, terms)."""
    random = np.random.default_rng(4)
    prior = np.log([2e-4, 1e-2, 0.5, 3.0, 0.1])
    shared, chip = random.normal(0, 0.4, TERMS), np.array([[0.0], [0.9]]) + random.normal(0, 0.15, (2, TERMS))
    device = np.array([0.0, 0.1, 0.0])
    log_cost = prior + shared + chip[[0, 0, 1]] + device[:, None]
    counts = np.exp(random.normal(0, 1.2, (networks, TERMS)) - prior)
    of = np.tile(np.arange(3), networks)
    rows = np.repeat(counts, 3, axis=0)
    log_ms = np.log((rows * np.exp(log_cost[of])).sum(axis=1)) + random.normal(0, noise, len(of))
    nothing = np.zeros(len(of), np.intp)
    level = dict.fromkeys(DEVIATIONS, nothing) | {
        "chip": np.array([0, 0, 1])[of],
        "chip of precision": np.array([0, 0, 1])[of],
        "device": of,
    }
    sizes = {name: int(index.max()) + 1 for name, index in level.items()}
    network = np.repeat(np.arange(networks), 3)
    return Problem(
        rows, log_ms, level, sizes, network, prior[None], *(np.zeros(TERMS, bool) for _ in range(3))
    ), log_cost


def levels(device: int) -> dict[str, int]:
    chip = int(device == 2)
    return dict.fromkeys(DEVIATIONS, 0) | {"chip": chip, "chip of precision": chip, "device": device}


def test_known_costs_are_found_in_times_that_they_made() -> None:
    given, log_cost = problem()
    found = fit(given)
    np.testing.assert_allclose(found.log_ms(given), given.log_ms, atol=0.02)
    for device in range(3):
        np.testing.assert_allclose(found.log_cost(levels(device)), log_cost[device], atol=0.15)


def test_networks_that_were_held_out_are_predicted() -> None:
    given, _ = problem(noise=0.02)
    out = given.network >= 70
    found = fit(given.without(out))
    assert np.median(np.abs(found.log_ms(given.without(~out)) - given.log_ms[out])) < 0.03


def test_one_time_that_is_wrong_does_not_move_the_others() -> None:
    given, _ = problem()
    sound = fit(given).log_ms(given)
    given.log_ms[given.network == 7] += 3.0
    moved = fit(given).log_ms(given)
    assert np.median(np.abs(moved - sound)) < 0.05


def test_a_term_that_nothing_exercises_keeps_its_prior_times_the_speed() -> None:
    given, _ = problem()
    given.counts[:, 3] = 0.0
    found = fit(given)
    speeds = [float(found.log_cost(levels(device))[3] - given.log_prior[0, 3]) for device in (0, 2)]
    assert 0.6 < speeds[1] - speeds[0] < 1.2


def test_a_term_that_the_compilers_version_changes_is_found_among_plain_costs() -> None:
    """The second version pays a twentieth for the third term; all else stays at its prior."""
    given, _ = problem()
    version = given.network % 2
    paid = np.exp(given.log_prior[0]) * np.where(np.arange(TERMS) == 2, 0.05 ** version[:, None], 1.0)
    given = replace(
        given,
        log_ms=np.log((given.counts * paid).sum(axis=1)),
        level={**given.level, "version": version},
        sizes={**given.sizes, "version": 2},
    )
    for known, ratio in ((True, 0.05), (False, 1.0)):
        found = fit(replace(given, versioned=(np.arange(TERMS) == 2) & known), PRIORS_ALONE)
        one, other = (found.log_cost({**levels(0), "version": at})[2] for at in (0, 1))
        assert np.exp(other - one) == pytest.approx(ratio, rel=0.2 if known else 0.5)


def test_a_level_that_is_not_known_adds_nothing() -> None:
    given, _ = problem()
    found = fit(given)
    strange = found.log_cost({**levels(0), "chip": -1, "chip of precision": -1, "device": -1})
    layout = Layout(given)
    np.testing.assert_allclose(
        strange,
        given.log_prior[0]
        + sum(
            layout.terms(found.parameters, name)[0]
            for name in ("shared", "precision", "runtime", "runtime of precision", "version")
        )
        + layout.factors(found.parameters, "version")[0],
    )


def test_the_gradient_is_the_slope_of_the_loss(monkeypatch: object) -> None:
    """``minimize`` is handed a gradient; finite differences know nothing of how it was found."""
    given, _ = problem(networks=6)
    seen: list[object] = []

    def record(objective: object, start: Array, **_: object) -> object:
        point = np.random.default_rng(1).normal(0, 0.3, len(start))
        seen.append((objective, point))
        return type("Found", (), {"x": start})()

    original, hierarchy.minimize = hierarchy.minimize, record  # type: ignore[assignment]
    try:
        fit(given, Strength())
    finally:
        hierarchy.minimize = original
    ((objective, point),) = seen  # type: ignore[misc]
    loss, gradient = objective(point)  # type: ignore[operator]
    numeric = approx_fprime(point, lambda at: objective(at)[0], 1e-6)  # type: ignore[operator]
    assert loss > 0
    np.testing.assert_allclose(gradient, numeric, rtol=2e-3, atol=2e-3)
