"""The file leaves the size of an input open, and nobody states it.

## What it does
Reports a model with an input whose height, width, length or other dimension is open, where neither `--shape` nor `[shapes]`
states it. Such a dimension is taken as 1. An open batch alone is not reported: batch 1 is what runs on a phone.

## Why is this bad?
The predicted latency is that of an input of one pixel or one token. A budget that it keeps says nothing.

## What to do
State the size that the app uses, on the command line or in the configuration:

```text
latlint check detector.onnx --shape images=1x3x640x640
```

```toml
[shapes]
images = "1x3x640x640"
```

Or export the model with that size. The GPU delegate wants fixed sizes anyway.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.graph.inputs import dims_text

RULE = Rule("LAT011", "open-input-size", "warning", under=("LAT106",))


def check(subject: Subject) -> Iterator[Finding]:
    opened = subject.graph.unstated
    if opened:
        name, dims = next(iter(opened.items()))
        others = f" (and {len(opened) - 1} more)" if len(opened) > 1 else ""
        yield RULE.finding(
            subject,
            f"input '{name}' is {dims_text(dims)} in the file{others}: open dimensions are taken as 1, and the latency is that of so "
            f"small an input; state its size with --shape '{name}=…' or in [shapes]",
        )
