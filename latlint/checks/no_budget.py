"""A model has no budget, and `require-budget` asks for one.

## What it does
Reports a model on a target that no `[[budgets]]` entry is for, where the configuration says `require-budget = true`.

## Why is this bad?
A model without a budget passes whatever it takes: a new one, and one that was renamed away from the glob of its budget.

## What to do
Give it a budget (`latlint budget add MODEL`), or a glob that covers it; or leave it out with `exclude`.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject

RULE = Rule("LAT105", "no-budget", "error")


def check(subject: Subject) -> Iterator[Finding]:
    prediction, settings = subject.prediction, subject.settings
    if settings.require_budget and not settings.budgets_for(prediction.model, prediction.target):
        yield RULE.finding(
            subject,
            "no budget is for it, and require-budget asks for one: give it one with `latlint budget add`",
            latency_ms=prediction.latency_ms,
        )
