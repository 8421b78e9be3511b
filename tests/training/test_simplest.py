"""The simplest model that a pack is held against."""

from __future__ import annotations

import numpy as np
import pytest

from latlint.cli.pack import _beside_the_simplest
from latlint.latency.packs import Pack
from latlint.training.evaluation import simplest
from latlint.training.user.build import Built

MACS = np.array([1e6, 2e6, 5e6, 1e7])
GROUPS = [np.arange(4) == at for at in range(4)]


def test_a_straight_line_is_met() -> None:
    assert simplest(MACS, 3.0 + MACS / 1e6, GROUPS) == pytest.approx(np.ones(4))


def test_what_is_held_out_is_not_seen() -> None:
    times = 3.0 + MACS / 1e6
    times[3] *= 2
    assert simplest(MACS, times, GROUPS)[3] == pytest.approx(0.5)


@pytest.mark.parametrize(("own", "warned"), [(0.05, False), (0.3, True)])
def test_a_pack_that_is_no_better_is_warned_of(own: float, warned: bool) -> None:
    built = Built(Pack({}, {}), "like", 1.0, 0, {"a": own, "b": -own}, {"a": 0.2, "b": -0.2})
    lines = _beside_the_simplest(built)
    assert "off by 20.0% in the mean" in lines[0]
    assert any(line.startswith("warning: ") for line in lines) == warned
