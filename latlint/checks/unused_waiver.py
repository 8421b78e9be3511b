"""A waiver covers no finding.

## What it does
Reports a `[[waivers]]` entry of the configuration that is about no finding, when the run has looked at all that it may be for.

## Why is this bad?
What it excused is mended, or its globs never matched. Left there, it will excuse the next finding of its kind unseen.

## What to do
Remove it from the configuration.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Leftovers, Rule

RULE = Rule("LAT904", "unused-waiver", "warning")


def sweep(leftovers: Leftovers) -> Iterator[Finding]:
    for waiver in leftovers.unused_waivers:
        yield RULE.finding_in(leftovers.source, f"{waiver} covers nothing: remove it", waiver.identity)
