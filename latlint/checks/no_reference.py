"""There is nothing to compare a model with, so `max-increase` was not held against it.

## What it does
Notes a model that a budget with `max-increase` is for, where its latency before the change is not known: the model is new; or the commit
that is compared with has it neither in `latlint.lock` nor in a state that can be read here (a Git LFS object that was not fetched).

## Why is this bad?
It is not, for a new model. But nobody should take it for a model that has become no slower.

## What to do
Give a new model a `max` of its own. Commit `latlint.lock`: with it, no old model has to be fetched.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Comparison, Finding, Rule

RULE = Rule("LAT104", "no-reference", "note")


def compare(comparison: Comparison) -> Iterator[Finding]:
    if comparison.base_ms is None:
        message = f"max-increase was not held against it: {comparison.base}"
        yield RULE.finding_on(comparison.prediction, comparison.path, message)
