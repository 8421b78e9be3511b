"""ONNX Runtime has no float16 kernels for many ops on the CPU.

## What it does
Notes an ONNX model that computes in float16, on CPU targets. latlint predicts it as if converted to TensorFlow Lite; this is about running it
in ONNX Runtime.

## Why is this slow?
ONNX Runtime's CPU provider puts a Cast to float32 before each op that has no float16 kernel and a Cast back after it: each is a pass over
the tensor, and the arithmetic is no faster. Users report float16 models several times slower than the same in float32.

## Example that fails
```text
# pixel-4/cpu-1large onnx
x = input 1x64x28x28 float16
a = relu x
b = sigmoid a
```

## Example that passes
```text
# pixel-4/cpu-1large onnx
x = input 1x64x28x28
a = relu x
b = sigmoid a
```

## How to fix
Keep float32 for CPUs, or quantise to int8; ship float16 only to providers that compute in it.

## References
microsoft/onnxruntime #25824, #16778, #22242, #11831, #10919.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Node
from latlint.runtime.planners import takes_native
from latlint.words import counted

RULE = Rule("LAT320", "float16-in-onnx", "note", ("host",), "reported")


def check(subject: Subject) -> Iterator[Finding]:
    # where the file is planned as ONNX Runtime runs it, LAT260 says which Casts there are and what they cost
    if subject.graph.dialect != "onnx" or takes_native(subject.target.processor):
        return
    found = view(subject).shared(_in_float16)
    if not found:
        return
    message = f"{counted(len(found), 'op')} in float16, for which ONNX Runtime's CPU provider adds Casts where it has no kernel"
    fix = "float32, or int8, on CPUs"
    yield RULE.finding(subject, f"{message}: {fix}", nodes=tuple(dict.fromkeys(node.name for node in found)))


def _in_float16(view: View) -> list[Node]:
    """The ops of the user's file that compute in float16."""
    graph = view.scene.original
    return [
        node
        for node in graph.nodes
        if node.kind != "cast" and any(i >= 0 and graph.tensors[i].dtype == "float16" for i in node.outputs)
    ]
