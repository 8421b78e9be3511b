"""`max-increase` compared every model with itself.

## What it does
Reports a run in which the commit that models are compared with is the one that is checked out, and none of them has changed since.

## Why is this bad?
Such a comparison cannot fail. In CI it is what is left when the branch that a change goes to is not known: a regression passes.

## What to do
On a branch or pull request, fetch the history (`fetch-depth: 0` of actions/checkout) or state `base`. On the default branch itself there
is nothing to compare with but an earlier commit: `latlint check --base HEAD^`.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Leftovers, Rule

RULE = Rule("LAT107", "compared-with-itself", "warning")


def sweep(leftovers: Leftovers) -> Iterator[Finding]:
    if base := leftovers.compared_with_itself:
        message = (
            f"max-increase compared each model with itself: {base} is what is checked out, and no model has changed since; "
            "state what to compare with, such as --base HEAD^"
        )
        yield RULE.finding_in(leftovers.source, message, ())
