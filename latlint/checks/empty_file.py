"""A model file is empty.

## What it does
Reports a file of zero bytes.

## Why is this bad?
An empty file is what an interrupted export, a full disk or a failed download leaves behind.

## What to do
Export or download the model again.
"""

from __future__ import annotations

from latlint.checks.types import Rule

RULE = Rule("LAT004", "empty-file", "error")
