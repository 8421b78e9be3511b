"""A file's extension names another format than its content.

## What it does
Reports a `.tflite` file that is an ONNX model, and the reverse.

## Why is this bad?
Whatever loads the file by its name will fail on the phone. It also shows that two files were mixed up, so that a verdict
on this one may be a verdict on the wrong model.

## What to do
Rename the file, or put the right one in its place.
"""

from __future__ import annotations

from latlint.checks.types import Rule

RULE = Rule("LAT003", "wrong-extension", "error")
