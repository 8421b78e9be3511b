"""A waiver has expired.

## What it does
Reports a `[[waivers]]` entry whose `expires` lies before today. It covers nothing any more: what it covered counts again.

## Why is this bad?
A promise to mend something by a day has not been kept, or has been forgotten.

## What to do
Mend what it covered and remove it, or agree on another day. Today is the day in UTC, unless `--today` or `SOURCE_DATE_EPOCH` states
another one, with which a run of an earlier day is repeated.

```toml
[[waivers]]
rule = "LAT101"
model = "models/segmenter.tflite"
target = "galaxy-a03s/*"
reason = "ships to these phones in spring, after pruning"
owner = "ada"
expires = 2027-03-01
```
"""

from __future__ import annotations

from latlint.checks.types import Rule

RULE = Rule("LAT905", "expired-waiver", "warning")
