"""Ops in float16 that ONNX Runtime computes in float32 on the CPU.

## What it does
Reports the Casts that ONNX Runtime 1.32 puts into an ONNX model that keeps its values in float16, with what the same model in float32 would take.

## Why is this slow?
The CPU provider has float16 kernels for a few ops alone. Everything else is computed in float32, behind a Cast and in front of one, and the
constants are made float32 when the model is loaded. So nothing is gained, and each Cast is a pass over its tensor. A GELU that is spelt out is not
fused either: its constants, rounded to float16, are not those that ONNX Runtime looks for.

## Example that fails
```text
# x86-64-avx512/cpu-1@onnxruntime onnx
x = input 1x64x112x112 float16
a = relu x native=Relu -> 1x64x112x112 float16
b = sigmoid a native=Sigmoid -> 1x64x112x112 float16
```

## Example that passes
```text
# x86-64-avx512/cpu-1@onnxruntime onnx
x = input 1x64x112x112
a = relu x native=Relu
b = sigmoid a native=Sigmoid
```

## How to fix
Ship float32, or int8, to CPUs. Keep float16 for providers that compute in it.

## References
onnxruntime/core/optimizer/insert_cast_transformer.cc; microsoft/onnxruntime #25824, #16778, #22242.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import view
from latlint.graph.types import Graph
from latlint.words import counted

RULE = Rule("LAT260", "casts-around-float16", "warning", ("onnxruntime",), "source")


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    casts = [
        kernel
        for kernel in seen.plan.kernels
        if kernel.implementation == "Cast"
        and "float16" in (kernel.input_dtype, kernel.output_dtype)
        and all(seen.graph.nodes[index].kind != "cast" for index in kernel.nodes)
    ]
    if not casts:
        return
    nodes = [seen.graph.nodes[index] for kernel in casts for index in kernel.nodes[:1]]
    message = f"{counted(len(casts), 'Cast')} around float16, which this runtime computes in float32"
    yield from seen.judge(RULE, message, nodes, fix="float32, or int8, on CPUs", gain=seen.gain("LAT260", _in_float32))


def _in_float32(graph: Graph) -> Graph:
    wide = (replace(each, dtype="float32") if each.dtype == "float16" else each for each in graph.tensors)
    return replace(graph, tensors=tuple(wide))
