"""A file goes beyond what latlint is ready to read.

## What it does
Reports a file whose structure (not its weights, which are never read) is larger, or nested deeper, than any real model's.
The message names the bound and the value that was found.

## Why is this bad?
A few kilobytes can claim billions of nodes or shapes with more elements than memory has bytes. The bounds keep a hostile or
damaged file from taking the machine that checks it.

## What to do
If the file is a real model, please report it: the bound is then too low.
"""

from __future__ import annotations

from latlint.checks.types import Rule

RULE = Rule("LAT006", "beyond-bounds", "error")
