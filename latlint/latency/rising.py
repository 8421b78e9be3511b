"""What any time that rises with a count can be a sum of, at costs of no less than nothing: broken lines, powers and their products."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product
from math import inf, prod

#: Where broken lines may bend: at powers of two.
ENDS = (0.0, *(2.0**power for power in range(8, 18)), inf)


def pieces(count: float) -> list[float]:
    """How much of ``count`` lies between each of ``ENDS`` and the next."""
    return [min(count, high) - low if count > low else 0.0 for low, high in pairwise(ENDS)]


def powers(*counts: float, of: tuple[float, ...]) -> Iterator[float]:
    """Products of the ``counts``, each to one of the powers; the last one's changes first."""
    return map(prod, product(*([count**power for power in of] for count in counts)))
