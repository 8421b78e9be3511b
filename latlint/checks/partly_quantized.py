"""Part of the model's arithmetic is quantised, and part is not.

## What it does
Reports a model in which some convolutions and matrix products compute in int8 and others in float, where either does a tenth of the work or more.
It says what int8 would buy for the float ones, where that can be priced.

## Why is this slow?
At each border, a pass over the tensor converts its values. The float part takes two to four times as long for the same work. A quantiser leaves an
op in float if it has no rule for it, if the op is on a list of exclusions, or if no calibration data reached it. Such a model has QuantizeLinear and
DequantizeLinear nodes around some of its ops only.

## Example that fails
```text
# pixel-4/cpu-1large
x = input 1x56x56x64 int8
a = conv2d x 64 kernel=3
b = dequantize a -> 1x56x56x64 float32
c = conv2d b 64 kernel=3
d = quantize c -> 1x56x56x64 int8
e = conv2d d 64 kernel=3
```

## Example that passes
```text
# pixel-4/cpu-1large
x = input 1x56x56x64 int8
a = conv2d x 64 kernel=3
c = conv2d a 64 kernel=3
e = conv2d c 64 kernel=3
```

## How to fix
Quantise the ops that the message names too: take them off the list of excluded ops, or give the quantiser data that reaches them
(`onnxruntime.quantization.quantize_static` with `op_types_to_quantize`; a representative data set for TensorFlow's converter). Where accuracy
forbids it, keep the float ops together, at one end of the network, so that values are converted once.

## References
onnxruntime/python/tools/quantization (`nodes_to_exclude`); https://ai.google.dev/edge/litert/models/post_training_quantization.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from latlint.checks._patterns import in_int8
from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import percent, view
from latlint.words import counted

RULE = Rule("LAT323", "partly-quantized", "warning", (), "source")

_INTEGERS = frozenset({"int8", "uint8", "int16", "uint16"})
_FLOATS = frozenset({"float32", "float16"})
#: The least share of the work that either kind does.
_LEAST = 0.1


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    work: Counter[bool] = Counter()
    left = []
    for kernel in seen.plan.kernels:
        if kernel.macs and kernel.nodes and kernel.input_dtype in _INTEGERS | _FLOATS:
            quantized = kernel.input_dtype in _INTEGERS
            work[quantized] += kernel.macs
            left += [] if quantized else [seen.graph.nodes[kernel.nodes[0]]]
    share = work[False] / (work.total() or 1)
    if not _LEAST <= share <= 1 - _LEAST:
        return
    counts = Counter(node.native or node.kind for node in left)
    named = ", ".join(f"{name} ×{count}" for name, count in counts.most_common(3))
    message = f"{percent(share)} of the multiply-accumulates of this quantised model are in float, in {counted(len(left), 'op')} ({named})"
    gain = seen.gain("LAT323", in_int8(seen, left))
    if gain is not None and gain.low_ms <= 0:
        gain = None
    yield from seen.judge(
        RULE, message, left, fix="quantise them too, or keep them together", gain=gain, severity=RULE.severity
    )
