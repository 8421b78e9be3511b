"""The simplest model that a pack is held against."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from latlint.cli.pack import _beside_the_simplest, _doubtful
from latlint.latency.packs import Pack
from latlint.training.evaluation import ROOFLINE, SIMPLEST, Simple, simple, simplest
from latlint.training.user.build import PRIORS, TRANSFER, TRUST, Bounds, Built, chosen, leaned, share

MACS = np.array([1e6, 2e6, 5e6, 1e7])
COUNTS = np.stack([np.ones(4), MACS, np.array([3e5, 1e5, 5e5, 2e5])], axis=1)
GROUPS = [np.arange(4) == at for at in range(4)]


def test_a_straight_line_is_met() -> None:
    assert simplest(COUNTS, 3.0 + MACS / 1e6, GROUPS) == pytest.approx(np.ones(4))


def test_what_is_held_out_is_not_seen() -> None:
    times = 3.0 + MACS / 1e6
    times[3] *= 2
    assert simplest(COUNTS, times, GROUPS)[3] == pytest.approx(0.5)


def test_a_roofline_counts_bytes_as_well() -> None:
    times = 2.0 + MACS / 1e6 + COUNTS[:, 2] / 1e5
    found = simple(COUNTS, times)
    assert found == pytest.approx(Simple(2.0, 1e-6, 1e-5))
    assert simple(COUNTS, times, 1)[1:] == (0.0, 0.0)


def test_costs_from_priors_are_chosen_where_they_err_less_by_more_than_noise() -> None:
    def of(transfer: tuple[float, ...], priors: tuple[float, ...]) -> str:
        return chosen({TRANSFER: 1 + np.array(transfer), PRIORS: 1 + np.array(priors)})

    assert of((0.3, -0.3, 0.3, 0.2), (0.2, -0.2, 0.1, 0.2)) == PRIORS
    assert of((0.3, -0.3, 0.1, 0.1), (0.1, -0.1, 0.3, 0.25)) == TRANSFER
    assert chosen({TRANSFER: np.full(4, 2.0), ROOFLINE: np.ones(4)}) == TRANSFER


#: Logarithms of measured times over a roofline's, and noise as large; thirty models in ten parts.
TRUE = np.random.default_rng(1).normal(0, 0.5, 30)
LIKE = np.random.default_rng(2).normal(0, 0.5, 30)
PARTS = [np.arange(30) % 10 == at for at in range(10)]


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        pytest.param(TRUE, 1.0, id="right"),
        pytest.param(0.5 * TRUE, 1.0, id="too near to the roofline"),
        pytest.param(2 * TRUE, 0.5, id="twice too far from it"),
        pytest.param(TRUE + LIKE, 0.5, id="half noise"),
        pytest.param(3 * LIKE, 0.0, id="nothing but noise"),
    ],
)
def test_held_out_times_say_how_far_to_trust_the_costs(own: np.ndarray, expected: float) -> None:
    """What is believed before they were heard is one, so a slope of a half is drawn half the way there by ten parts that err by half a logarithm."""
    found = share(np.exp(own - TRUE), np.exp(-TRUE), PARTS)
    assert expected - 0.02 <= found <= (expected and 0.5 + 0.5 * expected)


def test_few_models_move_the_trust_little_and_one_family_has_one_voice() -> None:
    own, roofline = np.exp(-4 * TRUE), np.exp(-TRUE)
    few, many = (
        share(own[:count], roofline[:count], [np.arange(count) == at for at in range(count)]) for count in (2, 20)
    )
    assert many < few
    # twenty-eight alike that ask for a half, and two that ask for all: 0.5 + 1 + 1 of three, and what is believed by errors of a third of 0.25
    wanted = np.array([0.5] * 28 + [1.0, 1.0])
    alike = [np.arange(30) < 28, np.arange(30) == 28, np.arange(30) == 29]
    believed = 0.25 / 3 / TRUST**2
    assert share(np.exp(1 - wanted), np.exp(-wanted), alike) == pytest.approx((2.5 + believed) / (3 + believed))
    right = np.ones(30)
    assert share(right, roofline, PARTS) == 1.0


def test_errors_of_held_out_models_are_of_a_trust_that_has_not_seen_them() -> None:
    own, roofline = np.exp(0.5 * TRUE), np.exp(-TRUE)
    found = leaned(own, roofline, PARTS)
    without = share(own[~PARTS[0]], roofline[~PARTS[0]], [part[~PARTS[0]] for part in PARTS[1:]])
    assert found[PARTS[0]] == pytest.approx(roofline[PARTS[0]] ** (1 - without) * own[PARTS[0]] ** without)
    assert np.abs(np.log(found)).mean() < np.abs(np.log(own)).mean()


def test_a_roofline_that_says_nothing_of_a_model_is_not_heard() -> None:
    own, roofline = np.full(4, 1.5), np.array([0.0, 1.0, 1.0, 1.0])
    assert share(own, roofline, GROUPS) == share(own[1:], roofline[1:], [group[1:] for group in GROUPS[1:]])
    assert leaned(own, roofline, GROUPS)[0] == 1.5
    assert Bounds(Simple(0.0, 1.0), 0.5, 2.0, 0.5).ns(np.array([[1.0, 0, 0], [1.0, 4, 0]]), np.array([7.0, 9.0])) == (
        pytest.approx([7.0, 32**0.5])
    )


@pytest.mark.parametrize("model", [TRANSFER, ROOFLINE])
def test_a_pack_says_what_it_predicts_with(model: str) -> None:
    others = {TRANSFER: {"a": 0.3}, **{name: {"a": 0.2 + 0.1 * at} for at, name in enumerate(SIMPLEST)}}
    built = Built(Pack({}, {}), "like", 1.0, 0, others[model], model, 0.6 if model == TRANSFER else 0.0, others, {})
    first, *more = _beside_the_simplest(built)
    assert first.startswith(f"warning: this pack predicts with {ROOFLINE}") == (model != TRANSFER)
    assert ("30.0%" if model != TRANSFER else "a constant, held out likewise, is off by 20.0%") in first
    said = ["its times go 60% of the way from a roofline of MACs and bytes to its kernels', as held-out models ask for"]
    assert more == (said if model == TRANSFER else [])


def test_what_looks_wrong_is_said_before_the_pack_is_used() -> None:
    others = {name: {"a": 0.3} for name in SIMPLEST}
    built = Built(Pack({}, {}), "like", 1.0, 0, {"a": 0.3}, TRANSFER, 1.0, others, {"x.csv:4": 9.1, "x.csv:5": 0.1})
    assert _doubtful(built) == [
        "warning: x.csv:4: 9.1 times what the other models let expect: measure it again, or leave it out",
        "warning: x.csv:5: 10 times less than the other models let expect: measure it again, or leave it out",
    ]
    assert len(_beside_the_simplest(built)) == 1
    _, poor = _beside_the_simplest(dataclasses.replace(built, errors={"a": 0.3, "b": -0.9}))
    assert poor.startswith("warning: models that were held out are off by 60% in the mean: are all times of one ")
