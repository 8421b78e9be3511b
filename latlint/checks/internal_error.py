"""latlint itself failed on a file.

## What it does
Reports a file at which latlint came upon a defect of its own, or whose process was killed, as happens for want of memory. All other
files are judged as ever.

## Why is this bad?
Nothing is known of the file's latency: the run ends with exit code 2, so that no budget counts as held.

## What to do
Please report the line, with the file if you can share it, or a smaller one that does the same. `LATLINT_DEBUG=1` shows the traceback.
Where a process was killed, look at the file alone, with `--jobs 1`.
"""

from __future__ import annotations

from latlint.checks.types import Rule

RULE = Rule("LAT009", "internal-error", "error")
