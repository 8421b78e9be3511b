"""Which kernels of two plans are the same ones, and how much of a plan is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from latlint.latency.types import KernelPrediction
from latlint.whatif.launches import Launch
from latlint.whatif.matching import alike, match


def launches(widths: Sequence[int], names: str = "") -> list[Launch]:
    """A convolution for each width: those of one width compute the same. Named by the letters of ``names``, if any."""
    found = []
    for at, width in enumerate(widths):
        nodes = (names[at],) if names else ()
        kernel = KernelPrediction(at, 0, nodes, "conv2d", (), "convolution_2d", 1.0, "predicted", width, 0)
        found.append(Launch(kernel, "gpu", (1, 8, 8, width), (1, 8, 8, width), "float32", {}))
    return found


@pytest.mark.parametrize(
    ("old", "new", "share"), [((1, 2, 3), (1, 2, 3, 4, 5, 6), 0.5), ((1, 2), (1, 2), 1.0), ((), (), 0.0)]
)
def test_alike_is_the_share_of_the_longer_plan(old: Sequence[int], new: Sequence[int], share: float) -> None:
    """A plan that is part of a much longer one is not that one."""
    assert alike(launches(old), launches(new)) == alike(launches(new), launches(old)) == share


def test_of_kernels_that_have_moved_the_first_is_the_first() -> None:
    """Two kernels of the same work go from before three others to behind them, under other names."""
    assert match(launches((7, 7, 1, 2, 3), "abcde"), launches((1, 2, 3, 7, 7), "cdefg")) == {
        0: 3,
        1: 4,
        2: 0,
        3: 1,
        4: 2,
    }
