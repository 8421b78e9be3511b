"""Float ops in the middle of an int8 model.

## What it does
Reports ops that an int8 model computes in float, between DEQUANTIZE and QUANTIZE, with what computing them in int8 would buy.

## Why is this slow?
The values are converted twice, each time in a pass over the tensor, and in between float ops move four times the bytes. Converters
leave an op in float when the toolchain has no int8 version of it or no calibration data reached it.

## Example that fails
```text
# pixel-4/cpu-1large
x = input 1x112x112x64 int8
a = conv2d x 64 kernel=1
b = dequantize a -> 1x112x112x64 float32
c = hard_swish b
d = quantize c -> 1x112x112x64 int8
e = conv2d d 64 kernel=1
```

## Example that passes
```text
# pixel-4/cpu-1large
x = input 1x112x112x64 int8
a = conv2d x 64 kernel=1
c = hard_swish a
e = conv2d c 64 kernel=1
```

## How to fix
Replace the op by one that quantises (ReLU6 for GELU, for one), or convert with a newer converter and a representative data set that
reaches it.

## References
tensorflow/lite/kernels/quantize.cc, dequantize.cc; https://ai.google.dev/edge/litert/models/post_training_quantization.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from latlint.checks._patterns import in_int8
from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Node
from latlint.words import counted

RULE = Rule("LAT306", "float-island", "warning", ("host",), "source")


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    if seen.plan.precision != "int8":
        return
    inner = _between(seen)
    if not inner:
        return
    counts = Counter(node.native or node.kind for node in inner)
    named = ", ".join(f"{name} ×{count}" for name, count in counts.most_common(4))
    message = (
        f"{counted(len(inner), 'op')} of this int8 model {'runs' if len(inner) == 1 else 'run'} in float ({named})"
    )
    gain = seen.gain("LAT306", in_int8(seen, inner))
    yield from seen.judge(RULE, message, inner, fix="quantise them or use ops that quantise", gain=gain)


def _between(view: View) -> list[Node]:
    """Float ops that are computed from int8 values and that int8 values are computed from."""
    after: set[int] = set()
    for node in view.graph.nodes:
        enters = node.kind == "dequantize" and bool(view.runtime_inputs(node))
        if enters or (node.kind != "quantize" and any(index in after for index in node.inputs)):
            after.update(node.outputs)
    before: set[int] = set()
    found = []
    for node in reversed(view.graph.nodes):
        if node.kind == "quantize":
            before.update(node.inputs)
        elif node.kind != "dequantize" and any(index in before for index in node.outputs):
            before.update(node.inputs)
            if any(index in after for index in node.inputs):
                found.append(node)
    return found[::-1]
