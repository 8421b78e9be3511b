"""An int8 model on a GPU computes in floating point, with rounding added.

## What it does
Notes a quantised model on a GPU target, with what the float model would buy there, if anything.

## Why is this slow?
The delegate has no integer kernels: it computes in floats and puts an op after each quantised result that rounds it to what int8
arithmetic would have given. What is linked to another kernel costs little; the rest are passes over whole tensors.

## Example that fails
```text
# pixel-4/gpu
x = input 1x56x56x64 int8
a = conv2d x 64 kernel=3 activation=relu
b = max_pool2d a kernel=2 stride=2
c = conv2d b 128 kernel=3 activation=relu
d = conv2d c 128 kernel=3 activation=relu
```

## Example that passes
```text
# pixel-4/gpu
x = input 1x56x56x64
a = conv2d x 64 kernel=3 activation=relu
b = max_pool2d a kernel=2 stride=2
c = conv2d b 128 kernel=3 activation=relu
d = conv2d c 128 kernel=3 activation=relu
```

## How to fix
Ship the float model (weights in float16 halve the file) to phones where it runs on the GPU, and the int8 model to those where
it runs on the CPU or an NPU.

## References
tensorflow/lite/delegates/gpu/common/transformations/add_quant_adjustments.cc; tensorflow/tensorflow #40357, #49835.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import SILENT_SHARE, view
from latlint.graph.types import Graph
from latlint.whatif.edits import EditedGraph

RULE = Rule("LAT210", "quantized-on-gpu", "note", ("gpu",), "source")

_QUANTIZED = ("int8", "uint8")


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    if seen.plan.precision != "int8":
        return
    gain = seen.gain("LAT210", in_float)
    if gain is not None and gain.ms < SILENT_SHARE * seen.total_ms:
        gain = None
    message = (
        "the GPU computes this int8 model in floating point and rounds after each op, so it is no faster than in float"
    )
    yield from seen.judge(RULE, message, [], fix="ship the float model to GPUs", gain=gain)


def in_float(graph: Graph) -> Graph:
    """``graph`` as it was before quantisation: floats everywhere, without the ops that convert."""
    draft = EditedGraph(graph)
    for index, tensor in enumerate(graph.tensors):
        if tensor.dtype in _QUANTIZED or (tensor.constant and tensor.quantization):
            draft.tensor(index, dtype="float32", quantization=None)
    for node in graph.nodes:
        if node.kind in ("quantize", "dequantize") and len(node.inputs) == 1:
            draft.bypass(node)
    return replace(draft.graph(), as_if="")
