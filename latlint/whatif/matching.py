"""Which kernel of one plan is which of another: one alignment of both sequences, by names of nodes and by what kernels compute."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from latlint.whatif.launches import Launch

#: The table of an alignment has as many entries at most; longer sequences are paired without one.
_MAX_TABLE = 16_000_000

#: What a pair of kernels of one op is worth, and what more when they compute the same, write the same shape, have the same
#: parameters, or have the same name. A name alone is worth less than what is computed: exporters that number nodes give a name to
#: another kernel as soon as one is inserted before it. In a network that is made wider nothing but the names is the same, and they do.
_SAME_OP, _SAME_WORK, _SAME_OUTPUT, _SAME_PARAMETERS, _SAME_NAME = 1, 4, 2, 1, 2

#: Positions of a kernel before and after.
Pairs = dict[int, int]


def match(old: Sequence[Launch], new: Sequence[Launch]) -> Pairs:
    """The position in ``new`` of each kernel of ``old`` that is still there, changed or not.

    What stands in the same order on both sides is aligned; of the rest, kernels that compute the same have moved.
    """
    found = _aligned(old, new) if len(old) * len(new) <= _MAX_TABLE else {}
    return _paired(old, new, _work, _paired(old, new, lambda launch: (launch.name, _work(launch)), found))


def alike(old: Sequence[Launch], new: Sequence[Launch]) -> float:
    """The share of kernels that compute the same in both, of the longer of the two."""
    same = sum(_work(old[before]) == _work(new[after]) for before, after in match(old, new).items())
    return same / max(len(old), len(new), 1)


def _work(launch: Launch) -> tuple[Hashable, ...]:
    """What a kernel computes, whatever it is called and however it runs."""
    return launch.kernel.op, launch.input, launch.output, launch.kernel.macs


def _aligned(old: Sequence[Launch], new: Sequence[Launch]) -> Pairs:
    """The pairs, in the order of both sides, that are worth most in all (Needleman and Wunsch, with free gaps)."""

    def of_op(key: Callable[[Launch], Hashable]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        return _numbered(old, new, lambda launch: (launch.kernel.op, key(launch)))

    # A kernel without a name is like no other in this.
    nameless = {id(launch): number for number, launch in enumerate((*old, *new)) if not launch.name}
    likeness = (
        (_SAME_OP, of_op(lambda launch: None)),
        (_SAME_WORK, of_op(_work)),
        (_SAME_OUTPUT, of_op(lambda launch: launch.output)),
        (_SAME_PARAMETERS, of_op(lambda launch: tuple(sorted(launch.parameters.items())))),
        (_SAME_NAME, of_op(lambda launch: launch.name or nameless[id(launch)])),
    )
    best = np.zeros((len(old) + 1, len(new) + 1), np.int32)
    for row in range(len(old)):
        worth = sum(points * (after == before[row]) for points, (before, after) in likeness)
        paired = np.where(worth > 0, best[row, :-1] + worth, 0)
        best[row + 1, 1:] = np.maximum.accumulate(np.maximum(best[row, 1:], paired))
    pairs = {}
    row, column = len(old), len(new)
    while row and column:
        if best[row, column] == best[row, column - 1]:
            column -= 1
        elif best[row, column] == best[row - 1, column]:
            row -= 1
        else:
            row, column = row - 1, column - 1
            pairs[row] = column
    return pairs


def _numbered(
    old: Sequence[Launch], new: Sequence[Launch], key: Callable[[Launch], Hashable]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """A number for each kernel of both sides; those with the same key have the same."""
    numbers: dict[Hashable, int] = {}
    one, other = ([numbers.setdefault(key(launch), len(numbers)) for launch in side] for side in (old, new))
    return np.array(one, np.int32), np.array(other, np.int32)


def _paired(old: Sequence[Launch], new: Sequence[Launch], key: Callable[[Launch], Hashable], known: Pairs) -> Pairs:
    """``known`` and, among the rest, the first of a key with the first, the second with the second."""
    before, after = _by_key(old, key, known.keys()), _by_key(new, key, known.values())
    pairs = [pair for each, positions in before.items() for pair in zip(positions, after.get(each, ()), strict=False)]
    return known | dict(pairs)


def _by_key(
    launches: Sequence[Launch], key: Callable[[Launch], Hashable], taken: Iterable[int]
) -> dict[Hashable, list[int]]:
    left_out = set(taken)
    found: dict[Hashable, list[int]] = defaultdict(list)
    for position, launch in enumerate(launches):
        if position not in left_out:
            found[key(launch)].append(position)
    return found
