"""Globs: what they match, in time linear in both the glob and the path."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from latlint.globs import matches_path


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("**/*.onnx", "m.onnx", True),
        ("**/*.onnx", "a/b/m.onnx", True),
        ("a/**/b/*.onnx", "a/b/m.onnx", True),
        ("a/**/b/*.onnx", "a/x/y/b/m.onnx", True),
        ("a/**/b/*.onnx", "a/x/b/y/m.onnx", False),
        ("models/**.onnx", "models/a/m.onnx", True),
        ("**b*c/d", "b/bc/d", True),  # the first b leads nowhere
        ("a/*", "a/b/c", False),
        ("a/*b*c", "a/abcbc", True),
        ("a/?", "a//", False),
        ("a/[!b]", "a/b", False),
        ("a/[!b]", "a//", False),
        ("a/[a-c]*", "a/big", True),
        ("*[", "x[", True),
        ("a/**", "a", False),
        ("aa/*a", "aa", False),  # the ends may not overlap
        # what Python's expressions may take for sets one day, and warn of
        ("[a&&b]", "&", True),
        ("[a||b]", "b", True),
        ("[a~~b]", "c", False),
        ("[--a]", "0", True),
        ("[!--a]", "0", False),
        ("[%--]", "&", True),
        ("[---]", "-", True),
        ("[a-]", "-", True),
        ("[]-a]", "_", True),
        ("[[a]", "[", True),
        ("[a--b]", "a", False),  # a range from a to - is none
    ],
)
def test_what_globs_match(pattern: str, path: str, matches: bool) -> None:
    assert matches_path(pattern, path) is matches


@pytest.mark.parametrize(
    "pattern",
    [
        lambda n: "*a" * n + "b",
        lambda n: "**/" * n + "b",
        lambda n: "**a*/" * n + "b",
        lambda n: "a/" + "?*" * n,
        lambda n: "[" * 100 * n,
    ],
)
def test_the_hardest_globs_take_linear_time(pattern: Callable[[int], str]) -> None:
    """30 wildcards took longer than anybody waits. A thousand on a long path now take a part of a second."""
    start = time.process_time()
    matches_path(pattern(1000), "a" * 5000 + "/a" * 1000)
    assert time.process_time() - start < 5
