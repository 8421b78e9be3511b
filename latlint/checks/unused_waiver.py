"""A waiver covers no finding.

## What it does
Reports a `[[waivers]]` entry of the configuration that is about no finding, when the run has looked at all that it may be for.

## Why is this bad?
What it excused is mended, or its globs never matched. Left there, it will excuse the next finding of its kind unseen.

## What to do
Remove it from the configuration.
"""

from __future__ import annotations

from latlint.checks.types import Rule

RULE = Rule("LAT904", "unused-waiver", "warning")
