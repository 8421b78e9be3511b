"""Counts that rise, and what they are pieces and powers of."""

from __future__ import annotations

import numpy as np
import pytest

from latlint.latency.rising import ENDS, pieces, powers


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 5000, 2**17, 10**7])
def test_pieces_make_up_the_count_and_fill_one_after_the_other(count: int) -> None:
    found = pieces(count)
    assert sum(found) == count
    assert len(found) == len(ENDS) - 1
    widths = np.diff(ENDS)
    full = int(np.searchsorted(ENDS, count, side="right")) - 1
    np.testing.assert_array_equal(found[:full], widths[:full])
    assert not any(found[full + 1 :])


def test_powers_are_products_of_each_with_each() -> None:
    assert list(powers(4, 9, of=(0.5, 1))) == pytest.approx([6, 18, 12, 36])
