"""An input cannot have the shape that was stated for it.

## What it does
Reports a `--shape` of the command line or a `[shapes]` entry of the configuration that a model's inputs cannot have: an input
that the model does not have, another number of dimensions, another size where the file states one, a size that an op inside
the model cannot take.

## Why is this bad?
The model was not looked at: its latency at a size that it does not run at would say nothing.

## What to do
The message lists the inputs. In `[shapes]`, an entry is for every model that has an input of that name, and an entry below
a model glob is for those models alone, which all must have it:

```toml
[shapes]
input_ids = "1x128"

[shapes."models/detector*.onnx"]
images = "1x3x640x640"
```
"""

from __future__ import annotations

from latlint.checks.types import Rule

RULE = Rule("LAT008", "shape-does-not-fit", "error")
