"""The simplest model that a pack is held against."""

from __future__ import annotations

import numpy as np
import pytest

from latlint.cli.pack import _beside_the_simplest
from latlint.latency.packs import Pack
from latlint.training.evaluation import SIMPLEST, Simple, simple, simplest
from latlint.training.user.build import TRANSFER, Built, chosen

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


def ratios(**errors: tuple[float, ...]) -> dict[str, np.ndarray]:
    given = {name.replace("_", " "): np.array(of) for name, of in errors.items()}
    return {name: 1 + given.get(name, np.full(4, 0.9)) for name in (TRANSFER, *SIMPLEST)}


def test_a_simplest_model_is_chosen_where_it_errs_less_by_more_than_noise() -> None:
    assert chosen(ratios(transfer=(0.3, -0.3, 0.3, 0.2), a_constant=(0.2, -0.2, 0.1, 0.2))) == "a constant"
    assert chosen(ratios(transfer=(0.3, -0.3, 0.1, 0.1), a_constant=(0.1, -0.1, 0.3, 0.25))) == TRANSFER
    assert chosen(ratios(transfer=(0.1, 0.1, 0.1, 0.1))) == TRANSFER


@pytest.mark.parametrize("model", [TRANSFER, "a constant"])
def test_a_pack_says_what_it_predicts_with(model: str) -> None:
    others = {TRANSFER: {"a": 0.3}, **{name: {"a": 0.2 + 0.1 * at} for at, name in enumerate(SIMPLEST)}}
    built = Built(Pack({}, {}), "like", 1.0, 0, others[model], model, others)
    (line,) = _beside_the_simplest(built)
    assert line.startswith("warning: this pack predicts with a constant") == (model != TRANSFER)
    assert ("30.0%" if model != TRANSFER else "a constant, held out likewise, is off by 20.0%") in line
