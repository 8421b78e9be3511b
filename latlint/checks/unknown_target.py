"""A target is named that no device pack knows.

## What it does
Reports a target, or a glob of targets, that matches none of the bundled packs or of those added with `--pack`. The message
gives the nearest names.

## Why is this bad?
A budget on a target that does not exist would never fail.

## What to do
`latlint targets` lists all targets. A name is `device/processor`, such as `pixel-4/gpu`; quote globs: `'pixel-4/*'`.
"""

from __future__ import annotations

from latlint.checks.types import Rule

RULE = Rule("LAT902", "unknown-target", "error")
