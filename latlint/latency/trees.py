"""Regression trees as plain arrays, evaluated by NumPy for all rows and all trees at once.

LightGBM trains the trees (``latlint.training``); a lint must not pay for importing it, nor run a pickle. A node is a row of
five parallel arrays. A leaf points to itself, so that walking ``depth`` steps from every root ends in every leaf.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Forest:
    """A sum of regression trees.

    ``feature``, ``threshold``, ``left``, ``right``, ``value``: one element a node, all trees one after the other, children by
    absolute index; a row goes left when ``x[feature] <= threshold``. ``roots``: the first node of each tree. ``depth``: the
    longest way from a root to a leaf.
    """

    feature: NDArray[np.int16]
    threshold: NDArray[np.float32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: NDArray[np.float32]
    roots: NDArray[np.int32]
    depth: int

    def predict(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Sum of the leaf values, shape ``(n,)``, for ``rows`` of shape ``(n, features)``."""
        if not len(self.roots) or not len(rows):
            return np.zeros(len(rows))
        at = np.broadcast_to(self.roots, (len(rows), len(self.roots)))
        row = np.arange(len(rows))[:, None]
        for _ in range(self.depth):
            at = np.where(rows[row, self.feature[at]] <= self.threshold[at], self.left[at], self.right[at])
        return self.value[at].sum(axis=1, dtype=np.float64)


def flatten(dump: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """LightGBM's ``Booster.dump_model()`` as the arrays of a ``Forest`` (``depth`` as an array of one element)."""
    feature: list[int] = []
    threshold: list[float] = []
    left: list[int] = []
    right: list[int] = []
    value: list[float] = []
    roots: list[int] = []
    depth = 0

    def add(node: dict[str, Any], level: int) -> int:
        nonlocal depth
        depth = max(depth, level)
        index = len(feature)
        leaf = "leaf_value" in node
        feature.append(0 if leaf else int(node["split_feature"]))
        threshold.append(0.0 if leaf else float(node["threshold"]))
        value.append(float(node["leaf_value"]) if leaf else 0.0)
        left.append(index)
        right.append(index)
        if not leaf:
            left[index] = add(node["left_child"], level + 1)
            right[index] = add(node["right_child"], level + 1)
        return index

    for tree in dump["tree_info"]:
        roots.append(add(tree["tree_structure"], 0))
    return {
        "feature": np.array(feature, np.int16),
        "threshold": np.array(threshold, np.float32),
        "left": np.array(left, np.int32),
        "right": np.array(right, np.int32),
        "value": np.array(value, np.float32),
        "roots": np.array(roots, np.int32),
        "depth": np.array([depth], np.int32),
    }
