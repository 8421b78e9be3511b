"""A budget matches no model.

## What it does
Reports a `[[budgets]]` entry of the configuration whose `model` matches none of the models, when the run has looked at all of them and at
a target that the budget is for.

## Why is this bad?
A model that was renamed or moved has no budget any more, and passes whatever it takes.

## What to do
Correct `model`, or remove the entry. A glob such as `models/**` goes on matching when files are renamed.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Leftovers, Rule

RULE = Rule("LAT907", "unused-budget", "warning")


def sweep(leftovers: Leftovers) -> Iterator[Finding]:
    for budget in leftovers.unused_budgets:
        message = (
            f"the budget for '{budget.model}' on '{budget.target}' ({budget.origin}) matches no model: it never fails"
        )
        yield RULE.finding_in(leftovers.source, message, (budget.model, budget.target, budget.op or ""))
