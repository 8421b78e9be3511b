"""What a change saves, and how far the prediction of it may be off."""

from __future__ import annotations

import pytest

from latlint.whatif.gain import UNSHARED, Spending, gain
from tests.targets import bundled

TARGET = bundled()["pixel-4/cpu-1large"]
CONV, OTHER = ("conv_ruy_1x1", 2.0, True), ("conv_ruy_im2col", 6.0, True)


def saved(
    before: list[tuple[str, float, bool]], after: list[tuple[str, float, bool]], *rest: float, total: float = 0.0
) -> tuple[float, ...]:
    had, has = rest or (0.1, 0.1)
    return gain(Spending(before, had, total), Spending(after, has, total), TARGET, "float32")


def test_what_both_have_cancels_however_wrong_it_is() -> None:
    assert saved([CONV] * 3, [CONV] * 3) == (0.0, 0.0, 0.0)
    alone = saved([OTHER], [])
    assert saved([*[CONV] * 50, OTHER], [CONV] * 50) == pytest.approx(alone)
    assert alone[0] == 6.0 and 0 < alone[1] < 6.0 < alone[2]


def test_a_share_of_each_latency_does_not_cancel() -> None:
    width = UNSHARED * 100.0 * 2**0.5
    assert saved([CONV], [CONV], total=100.0) == pytest.approx((0.0, -width, width))
    point, low, high = saved([OTHER], [], total=100.0)
    exact = saved([OTHER], [])
    assert high - point == pytest.approx(((exact[2] - 6.0) ** 2 + width**2) ** 0.5)
    assert point - low == pytest.approx(((6.0 - exact[1]) ** 2 + width**2) ** 0.5)


def test_a_kernel_that_changes_its_time_is_no_longer_the_same() -> None:
    point, low, high = saved([CONV, OTHER], [CONV, ("conv_ruy_im2col", 5.0, True)])
    assert point == pytest.approx(1.0)
    one_low, one_high = saved([OTHER], [])[1:]
    assert high - low > one_high - one_low  # 6 ms and 5 ms err, not 1 ms


def test_more_known_less_wide() -> None:
    sure = saved([OTHER], [])
    derived = saved([("conv_ruy_im2col", 6.0, False)], [])
    assert derived[1] < sure[1] and derived[2] > sure[2]
    rare = saved([("conv_that_nobody_measured", 6.0, True)], [])
    assert rare[2] - rare[1] > sure[2] - sure[1]


def test_a_change_for_the_worse_is_a_gain_of_the_opposite_sign() -> None:
    better, worse = saved([OTHER, CONV], [CONV]), saved([CONV], [OTHER, CONV])
    assert worse == pytest.approx((-better[0], -better[2], -better[1]))


def test_the_overhead_counts_where_it_differs() -> None:
    assert saved([CONV], [CONV], 0.5, 0.2)[0] == pytest.approx(0.3)
    point, low, high = saved([CONV], [CONV], 0.2, 0.5)
    assert point == pytest.approx(-0.3) and low < -0.3 < high
