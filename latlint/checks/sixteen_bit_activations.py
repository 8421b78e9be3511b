"""Activations of 16 bits gain little on an NPU.

## What it does
Notes a model of int16 activations on an NPU, with what int8 ones would save. With `--precision w8a16` it does so for a float model.

## Why is this slow?
Values of 16 bits take as much memory and as many passes as float16. Over the networks that Qualcomm AI Hub publishes, w8a16 is 1.36 times as
fast as float in the median, and slower in 12 % of the cases; w8a8 is 2.7 times as fast.

## Example that fails
```text
# galaxy-s24/npu@litert
x = input 1x56x56x128 int16
a = conv2d x 128 kernel=3 -> 1x56x56x128 int16
b = conv2d a 128 kernel=3 -> 1x56x56x128 int16
```

## Example that passes
```text
# galaxy-s24/npu@litert
x = input 1x56x56x128 int8
a = conv2d x 128 kernel=3
b = conv2d a 128 kernel=3
```

## How to fix
Quantise activations to int8 and keep 16 bits for the few layers whose accuracy needs them (mixed precision of AIMET or AI Hub's quantiser). Where int8 is
not accurate enough, compare with float: it is often as fast.

## References
Qualcomm AI Hub, w8a16 against float and w8a8 on the same device and runtime.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import view
from latlint.graph.types import Graph
from latlint.whatif.edits import EditedGraph

RULE = Rule("LAT254", "sixteen-bit-activations", "note", ("npu",), "measured")


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    if seen.plan.precision != "int16":
        return
    message = "activations of 16 bits: in the median of published networks 1.36 times as fast as float, where 8 bits are 2.7 times"
    gain = seen.gain("LAT254", _in_int8)
    yield from seen.judge(
        RULE, message, [], fix="use 8 bits but for the layers that need more", gain=gain, severity="note"
    )


def _in_int8(graph: Graph) -> Graph:
    draft = EditedGraph(graph)
    for index, tensor in enumerate(graph.tensors):
        if tensor.dtype == "int16":
            draft.tensor(index, dtype="int8")
    return replace(draft.graph(), as_if="w8a8" if graph.as_if else "")
