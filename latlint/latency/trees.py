"""Regression trees as plain arrays, evaluated by NumPy for all rows and all trees at once.

Packs that earlier versions made for GPUs have some, which LightGBM trained; a lint must not pay for importing it, nor run a pickle. A node is a row of
four parallel arrays. A leaf points to itself, so that walking ``depth`` steps from every root ends in every leaf.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows that are walked together. What they need then stays in the cache, and for some 1,200 trees each table below 128 kB: larger ones the allocator
#: asks of the system each time, page by page.
_ROWS = 12


@dataclass(frozen=True)
class Forest:
    """A sum of regression trees.

    ``feature``, ``number``, ``left``, ``right``: one element a node, all trees one after the other, children by index. A row goes
    left when ``x[feature] <= number``; in a leaf, ``number`` is the value. ``roots``: the first node of each tree. ``depth``:
    the longest way from a root to a leaf.
    """

    feature: NDArray[np.uint8]
    number: NDArray[np.float32]
    left: NDArray[np.uint16]
    right: NDArray[np.uint16]
    roots: NDArray[np.uint16]
    depth: int

    def predict(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Sum of the leaf values, shape ``(n,)``, for ``rows`` of shape ``(n, features)``."""
        if not len(self.roots) or not len(rows):
            return np.zeros(len(rows))
        # Networks repeat themselves: equal rows are looked up once.
        known: dict[bytes, int] = {}
        which = [known.setdefault(row.tobytes(), len(known)) for row in rows]
        different = np.frombuffer(b"".join(known), rows.dtype).reshape(len(known), -1)
        parts = [self._sums(different[at : at + _ROWS]) for at in range(0, len(different), _ROWS)]
        return np.concatenate(parts)[which]

    def _sums(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        roots, feature, children = self._walk
        cells, first = rows.ravel(), (np.arange(len(rows)) * rows.shape[1])[:, None]
        at = np.broadcast_to(roots, (len(rows), len(roots)))
        for _ in range(self.depth):
            left = cells.take(first + feature.take(at)) <= self.number.take(at)
            at = children.take(2 * at + left)
        # Widened first: a sum that NumPy widens on the way depends on which rows stand beside it.
        return np.asarray(self.number.take(at).astype(np.float64).sum(axis=1))

    @cached_property
    def _walk(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """Roots, features, and the right and left child of every node side by side, as the indices that NumPy takes by
        fastest."""
        children = np.stack([self.right, self.left], axis=1, dtype=np.intp).ravel()
        return self.roots.astype(np.intp), self.feature.astype(np.intp), children
