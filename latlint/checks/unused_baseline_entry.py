"""The baseline accepts a finding that is there no more.

## What it does
Reports a line of `latlint.baseline` that is about no finding, when the run has looked at its model and target, or its model is gone.

## Why is this bad?
It is not: something was mended. But a line that stays would accept the same finding when it comes back.

## What to do
`latlint baseline --prune` removes such lines and adds none.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Leftovers, Rule

RULE = Rule("LAT906", "unused-baseline-entry", "note")


def sweep(leftovers: Leftovers) -> Iterator[Finding]:
    for entry in leftovers.unused_entries:
        message = (
            f"{entry.code} of '{entry.model}' on '{entry.target}' is found no more: run `latlint baseline --prune`"
        )
        identity = entry.model, entry.target, entry.code, entry.fingerprint
        yield RULE.finding_in(entry.line.path, message, identity, entry.line)
