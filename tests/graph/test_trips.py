"""How often loops run, by numbers that no counter could hold."""

from __future__ import annotations

import pytest

from latlint.graph.trips import MAX_TRIPS, _rounds


@pytest.mark.parametrize(
    ("kind", "start", "step", "limit", "rounds"),
    [
        ("less", 0, 2, 9, 5),
        ("less_equal", 0, 2, 8, 5),
        ("greater", 9, -2, 0, 5),
        ("less", 0, 1, MAX_TRIPS, MAX_TRIPS),
        ("less", 0, 1, MAX_TRIPS + 1, None),
        ("less", 0.0, 1e-300, 1e300, None),  # more than a float holds
        ("less", -1e308, 1.0, 1e308, None),
    ],
)
def test_rounds_that_no_counter_counts_are_unknown(
    kind: str, start: float, step: float, limit: float, rounds: int | None
) -> None:
    assert _rounds(kind, start, step, limit) == rounds
