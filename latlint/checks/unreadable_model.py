"""A file is not a model that latlint can read, or is damaged.

## What it does
Reports a file whose content is neither a TensorFlow Lite flatbuffer nor an ONNX protobuf, or is one that stops short or
contradicts itself. The message says which, and where in the file.

## Why is this bad?
A runtime on the phone will refuse the file too. Nothing is said about the latency of a file that could not be read: the run
ends with exit code 2, so that a broken file never passes for a fast one.

## What to do
Export or download the file again, and compare its size with that of the original. Archives (`.zip`, `.tar.gz`) must be
unpacked first.
"""

from __future__ import annotations

from latlint.checks.types import Rule

RULE = Rule("LAT001", "unreadable-model", "error")
