"""A file is a Git LFS pointer, not the model it stands for.

## What it does
Reports a file that holds the three lines of text which Git LFS keeps in place of a large file. The message gives the size
of the model that is missing, and the command that fetches it.

## Why is this bad?
The checkout was made without LFS (`GIT_LFS_SKIP_SMUDGE=1`, `actions/checkout` without `lfs: true`, Git LFS not installed).
A linter that skips such files reports "no problems" about a model it never saw.

## What to do
`git lfs pull --include="PATH"`, or in GitHub Actions:

```yaml
- uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2
  with:
    lfs: true
    persist-credentials: false
```
"""

from __future__ import annotations

from latlint.checks.types import Rule

RULE = Rule("LAT002", "lfs-pointer", "error")
