"""`latlint.lock` or `latlint.baseline` is not understood.

## What it does
Reports a lock or a baseline with a line that is none of theirs: conflict markers that a merge left there, two lines for the same
model and target, a version that this latlint does not know, or an edit by hand. The message names the line.

## Why is this bad?
A line that is skipped is a comparison that silently does not happen.

## What to do
Both are written by latlint, so a merge needs no care: `latlint lock`, or `latlint baseline`, writes the file anew from the models that
the merge left, whatever is in it. Then `git add` it.
"""

from __future__ import annotations

from latlint.checks.types import Rule

RULE = Rule("LAT903", "malformed-lock", "error")
