"""A quantised model takes longer on the NPU than the same model in float16.

## What it does
Predicts an int8 or int16 model as it was before quantisation too, and notes where that is faster, with the kinds of op that take longer quantised. With
`--precision w8a8` it does so for a float model. NPUs that do not compute in floats are left out.

## Why is this slow?
Products of int8 are faster by far. What moves values or looks at each is not: softmax is computed in float in between,
and sums and concatenations have to bring their inputs to one scale. In 8 % of the cases that Qualcomm AI Hub publishes int8 loses, in 2 % by more than a factor of 2; networks with
long chains of concatenations and splits, such as YOLOv9, are among them, which no prediction shows.

## Example that fails
```text
# galaxy-s24/npu@litert
x = input 1x196x192 int8
a = softmax x axis=2
b = softmax a axis=2
```

## Example that passes
```text
# galaxy-s24/npu@litert
x = input 1x56x56x128 int8
a = conv2d x 128 kernel=3
b = conv2d a 128 kernel=3
```

## How to fix
Ship the float model to NPUs, or keep the parts that the message names in float and quantise the convolutions. Quantise what surrounds softmax and
normalisation, and leave those in float.

## References
Qualcomm AI Hub, w8a8 against float on the same device and runtime.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from latlint.checks.quantized_on_gpu import in_float
from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import percent, view
from latlint.graph.types import Graph

RULE = Rule("LAT253", "slower-in-int8", "note", ("npu",), "measured")

_INTEGERS = ("int8", "uint8", "int16")


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    # an NPU that computes in whole numbers alone would leave the float model to the CPU
    if seen.plan.precision not in _INTEGERS or subject.target.processor.precision in _INTEGERS:
        return
    gain = seen.gain("LAT253", _in_float, everywhere=True)
    if gain is None or gain.ms <= 0:
        return
    spent: dict[str, float] = defaultdict(float)
    for kernel, ms in seen.kernels():
        if not kernel.macs:
            spent[kernel.op] += ms
    worst = sorted(spent, key=lambda op: -spent[op])[:3]
    named = ", ".join(f"{op} {percent(spent[op] / seen.total_ms)}" for op in worst)
    message = (
        f"slower in {seen.plan.precision} than in float16; what no product gains from takes most of the time ({named})"
    )
    yield from seen.judge(
        RULE, message, [], fix="ship the float model to NPUs, or quantise the products alone", gain=gain
    )


def _in_float(graph: Graph) -> Graph:
    plain = in_float(graph)
    tensors = (
        replace(each, dtype="float32", quantization=None) if each.dtype == "int16" else each for each in plain.tensors
    )
    return replace(plain, tensors=tuple(tensors))
