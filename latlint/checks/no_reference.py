"""A model is new, so `max-increase` was not held against it.

## What it does
Notes a model that a budget with `max-increase` is for and that the commit which is compared with does not have, under this name or another.
Where the comparison cannot be made for another reason, [LAT106](LAT106.md) says so.

## Why is this bad?
It is not. But nobody should take it for a model that has become no slower.

## What to do
Give a new model a `max` of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Comparison, Finding, Rule

RULE = Rule("LAT104", "no-reference", "note")


def compare(comparison: Comparison) -> Iterator[Finding]:
    if comparison.is_new:
        message = f"max-increase was not held against it: {comparison.base}"
        yield RULE.finding_on(comparison.prediction, comparison.path, message)
