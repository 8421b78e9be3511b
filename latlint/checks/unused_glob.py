"""A glob of models in the configuration matches no model.

## What it does
Reports a glob of `models`, `[shapes]` or `per-model-ignores` that matches none of the models, when the run has looked at all of them.

## Why is this bad?
What the glob is for was renamed, moved or never there: such models are not looked at, not in their size, or with rules that were to be left out.

## What to do
Correct the glob, or remove it.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Leftovers, Rule

RULE = Rule("LAT908", "unused-glob", "warning")


def sweep(leftovers: Leftovers) -> Iterator[Finding]:
    for key, glob in leftovers.unused_globs:
        yield RULE.finding_in(leftovers.source, f"the glob '{glob}' of {key} matches no model", (key, glob))
