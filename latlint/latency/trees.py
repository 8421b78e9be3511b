"""Regression trees as plain arrays, evaluated by NumPy for all rows and all trees at once.

LightGBM trains the trees (``latlint.training``); a lint must not pay for importing it, nor run a pickle. A node is a row of
four parallel arrays. A leaf points to itself, so that walking ``depth`` steps from every root ends in every leaf.
"""

from __future__ import annotations

import re
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


#: What ``flatten`` reads of each tree: of its inner nodes feature, threshold and children (below zero: leaves, counted from -1), and its leaves' values.
_FIELDS = ("split_feature", "threshold", "left_child", "right_child", "leaf_value")


def flatten(*models: str) -> Forest:
    """The mean of LightGBM boosters, each a ``Booster.model_to_string()``, as one ``Forest`` of at most 65,536 nodes.

    (``Booster.dump_model()`` says the same in a dictionary for each node, which takes longer to make than the trees to train.)"""
    feature: list[int] = []
    number: list[float] = []
    left: list[int] = []
    right: list[int] = []
    roots: list[int] = []
    depth = 0
    for model in models:
        fields = (re.findall(rf"^{name}=(.*)$", model, re.MULTILINE) for name in _FIELDS)
        for tree in zip(*fields, strict=True):
            features, thresholds, lefts, rights, values = (field.split() for field in tree)
            roots.append(len(feature))
            waiting = [(0 if features else -1, -1, 0)]
            while waiting:
                node, parent, level = waiting.pop()
                at = len(feature)
                if parent >= 0:
                    right[parent] = at
                right.append(at)
                if node < 0:
                    depth = max(depth, level)
                    feature.append(0)
                    number.append(float(values[~node]) / len(models))
                    left.append(at)
                else:
                    feature.append(int(features[node]))
                    number.append(float(thresholds[node]))
                    left.append(at + 1)
                    waiting += (int(rights[node]), at, level + 1), (int(lefts[node]), -1, level + 1)
    exact, children = np.array(number, np.float64), np.array(left, np.uint16)
    leaf = children == np.arange(len(children))
    return Forest(
        feature=np.array(feature, np.uint8),
        number=np.where(leaf, exact, _below(exact)).astype(np.float32),
        left=children,
        right=np.array(right, np.uint16),
        roots=np.array(roots, np.uint16),
        depth=depth,
    )


def _below(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 that is not above each threshold: no float32 row then changes sides."""
    rounded = thresholds.astype(np.float32)
    return np.where(rounded <= thresholds, rounded, np.nextafter(rounded, np.float32(-np.inf)))
