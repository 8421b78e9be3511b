"""A path leads to no model file that can be opened.

## What it does
Reports a path that does not exist, is not a file, may not be read, or is a directory without any `.tflite` or `.onnx` file.

## Why is this bad?
A mistyped path in a hook or CI job would otherwise check nothing, and pass.

## What to do
Mend the path. Where it is right that there may be no model yet, pass `--allow-empty`. In directories latlint skips hidden
directories, `node_modules` and virtual environments, and does not follow symbolic links that lead out of the directory; a
file that is named on the command line is always read.
"""

from __future__ import annotations

from latlint.checks.types import Rule

RULE = Rule("LAT005", "missing-file", "error")
