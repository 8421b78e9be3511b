"""Weights in float16 are unpacked to float32 on the CPU.

## What it does
Notes a model with float16 weights on a CPU target, with the memory that they take once unpacked.

## Why is this slow?
The CPU computes these models in float32: each constant is dequantised at the first inference and both copies are kept. The file
is half as large, but inference is not faster, the first one is slower, and the weights take three times the file's memory. On a Galaxy S26's NPU (LiteRT 2.2) it makes no difference how weights are kept: 86.2 ms with float16 weights
and DEQUANTIZE, 86.3 ms with float32 ones.

## Example that fails
```text
# pixel-4/cpu-1large
x = input 1x1x1x256
w = const 1x1x1x256 float16
u = dequantize w -> 1x1x1x256 float32
y = mul x u
```

## Example that passes
```text
# pixel-4/cpu-1large
x = input 1x1x1x256
w = const 1x1x1x256
y = mul x w
```

## How to fix
Ship float16 weights to phones where the model runs on the GPU, which reads them as they are. For CPUs quantise to int8.

## References
tensorflow/lite/kernels/dequantize.cc; tensorflow/tensorflow #54559, #41485, #48027.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import view
from latlint.units import format_count

RULE = Rule("LAT244", "float16-weights-on-cpu", "note", ("host",), "source")


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = [
        node
        for node in seen.graph.nodes
        if node.kind == "dequantize"
        and node.inputs
        and seen.tensor(node.inputs[0]).constant
        and seen.tensor(node.inputs[0]).dtype == "float16"
    ]
    if not found:
        return
    unpacked = sum(seen.tensor(node.outputs[0]).size_bytes or 0 for node in found)
    message = f"float16 weights are unpacked to {format_count(unpacked)}B of float32, and computed in float32"
    yield from seen.judge(RULE, message, found, fix="it saves no time on a CPU; int8 would")
