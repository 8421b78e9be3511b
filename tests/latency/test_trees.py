"""A forest predicts what LightGBM predicts."""

from __future__ import annotations

import re
from typing import Any

import lightgbm
import numpy as np
import pytest
from numpy.typing import NDArray

from latlint.latency.trees import Forest

Rows = NDArray[np.float32]

SETTINGS: dict[str, Any] = {
    "num_leaves": 15,
    "min_data_in_leaf": 5,
    "verbose": -1,
    "num_threads": 1,
    "seed": 1,
    "deterministic": True,
}


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


def rows(count: int, seed: int) -> Rows:
    """Features as kernels have them: logarithms, whole numbers, remainders, flags."""
    random = np.random.default_rng(seed)
    columns = [
        random.normal(10, 4, count),
        2 ** random.integers(0, 11, count),
        random.integers(0, 4, count),
        random.random(count) < 0.2,
        random.uniform(-1e-6, 1e-6, count),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def trained(train: Rows, rounds: int = 40, **settings: Any) -> lightgbm.Booster:
    target = np.sin(train[:, 0]) + np.log(train[:, 1]) * train[:, 2] + 3 * train[:, 3] + 1e6 * train[:, 4]
    return lightgbm.train({**SETTINGS, **settings}, lightgbm.Dataset(train, target), rounds)


@pytest.mark.parametrize("settings", [{}, {"objective": "huber"}, {"objective": "l1", "max_depth": 3}])
def test_a_forest_predicts_what_lightgbm_predicts(settings: dict[str, Any]) -> None:
    booster = trained(rows(800, seed=1), **settings)
    new = rows(500, seed=2)
    expected = np.asarray(booster.predict(new))
    assert expected.std() > 0.5
    np.testing.assert_allclose(flatten(booster.model_to_string()).predict(new), expected, rtol=1e-5, atol=1e-5)


def test_a_row_on_a_threshold_goes_left_and_the_next_number_right() -> None:
    train = np.repeat(np.array([[1.0], [np.nextafter(np.float32(1), np.float32(2))]], np.float32), 50, axis=0)
    data = lightgbm.Dataset(train, train[:, 0] > 1, params={"min_data_in_bin": 1})
    booster = lightgbm.train(SETTINGS, data, 20)
    expected = np.asarray(booster.predict(train))
    assert expected[0] < 0.1 < 0.9 < expected[-1]
    np.testing.assert_allclose(flatten(booster.model_to_string()).predict(train), expected, atol=1e-5)


def test_trees_that_are_one_leaf_are_their_constant() -> None:
    train = rows(100, seed=3)
    booster = lightgbm.train(SETTINGS, lightgbm.Dataset(train, np.full(100, 2.5)), 3)
    forest = flatten(booster.model_to_string())
    assert forest.depth == 0
    np.testing.assert_allclose(forest.predict(train), booster.predict(train), rtol=1e-6)


def test_a_forest_of_no_trees_is_zero() -> None:
    forest = flatten("")
    assert forest.predict(rows(7, seed=4)).tolist() == [0.0] * 7


def test_no_rows_are_no_predictions() -> None:
    forest = flatten(trained(rows(200, seed=5), rounds=3).model_to_string())
    assert forest.predict(np.empty((0, 5), np.float32)).shape == (0,)


def test_the_depth_is_that_of_the_deepest_leaf() -> None:
    """As LightGBM writes trees: children below zero are leaves."""
    deep = "split_feature=0 0 0\nthreshold=4 2 3\nleft_child=1 -1 -2\nright_child=-4 2 -3\nleaf_value=1 2 3 4"
    leaf = "split_feature=\nthreshold=\nleft_child=\nright_child=\nleaf_value=10"
    forest = flatten(f"Tree=0\n{deep}\n\nTree=1\n{leaf}\n")
    assert forest.depth == 3
    assert forest.predict(np.array([[2], [3], [4], [5]], np.float32)).tolist() == [11, 12, 13, 14]
