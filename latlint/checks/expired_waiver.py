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

from collections.abc import Iterator

from latlint.checks.types import Finding, Leftovers, Rule

RULE = Rule("LAT905", "expired-waiver", "warning")


def sweep(leftovers: Leftovers) -> Iterator[Finding]:
    for waiver in leftovers.expired_waivers:
        owner = f"; ask {waiver.owner}" if waiver.owner else ""
        what = f"has expired on {waiver.expires} and covers nothing{owner}: mend what it covered, or renew it"
        yield RULE.finding_in(leftovers.source, f"{waiver} {what}", waiver.identity)
