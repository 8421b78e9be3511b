"""Convolutions that are quantised anew at every run.

## What it does
Reports ConvInteger, which dynamic quantisation writes for convolutions, on ONNX Runtime's CPU provider, with what the convolutions in float32 would take.

## Why is this slow?
ConvInteger is quantised without calibration. At every run, ONNX Runtime looks for the range of the input and quantises it. The kernel then writes
the image out in columns and multiplies them, for each image and group; a depthwise convolution goes group by group. The result is int32, which a
Cast and a Mul turn into float again. The float kernels have none of these steps: they work on blocks of channels and include the activation. Static
quantisation (QLinearConv) has none of them either. Dynamic quantisation pays for matrix products, as in transformers.

On one core with AVX-512 (ONNX Runtime 1.32), ResNet-10 takes 61.0 ms instead of 16.9. SqueezeNet takes 63.0 instead of 16.2 (5.7 with static
quantisation), and a MobileNetV2 of half width 28.8 instead of 3.2 (1.9). But DeiT-tiny takes 17.2 instead of 29.1.

## Example that fails
```text
# x86-64-avx512/cpu-1@onnxruntime onnx
x = input 1x32x56x56
q = quantize x native=DynamicQuantizeLinear -> 1x32x56x56 uint8
w = const 32x1x3x3 int8
c = depthwise_conv2d q w kernel=3 padding=same native=ConvInteger -> 1x32x56x56 int32
f = cast c to=float32 native=Cast -> 1x32x56x56 float32
s = const 1
y = mul f s native=Mul
```

## Example that passes
```text
# x86-64-avx512/cpu-1@onnxruntime onnx
x = input 1x32x56x56
w = const 32x1x3x3
y = depthwise_conv2d x w kernel=3 padding=same native=Conv
```

## How to fix
Leave convolutions out of dynamic quantisation (`op_types_to_quantize=["MatMul"]`), or quantise statically: `quantize_static` with QDQ pairs and a calibration set.

## References
onnxruntime/core/providers/cpu/quantization/conv_integer.cc; onnxruntime.ai/docs/performance/model-optimizations/quantization.html.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Graph, Node
from latlint.whatif.edits import EditedGraph
from latlint.words import counted

RULE = Rule("LAT261", "integer-convolution", "warning", ("onnxruntime",), "measured")


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = [node for node in seen.graph.nodes if node.native == "ConvInteger" and not node.inner]
    if not found:
        return
    message = f"{counted(len(found), 'convolution')} quantised anew at every run (ConvInteger)"
    gain = seen.gain("LAT261", lambda graph: _in_float(seen, graph, found))
    yield from seen.judge(RULE, message, found, fix="quantise statically, or leave convolutions in float32", gain=gain)


def _in_float(view: View, graph: Graph, found: list[Node]) -> Graph | None:
    draft = EditedGraph(graph)
    for node in found:
        before = view.source(node)
        if before is None or before.native != "DynamicQuantizeLinear" or len(node.inputs) < 2:
            return None
        data, weights = before.inputs[0] if before.inputs else before.native_inputs[0], node.inputs[1]
        operands = (data, weights)
        draft.change(
            node,
            native="Conv",
            inputs=operands,
            native_inputs=operands,
            native_attributes=dict(node.native_attributes),
        )
        for index in (weights, node.outputs[0]):
            draft.tensor(index, dtype="float32")
        cast = view.sole_reader(node)
        scaled = view.sole_reader(cast) if cast is not None and cast.kind == "cast" else None
        if cast is not None and cast.kind == "cast":
            draft.bypass(cast)
            if scaled is not None and scaled.kind == "mul":
                draft.bypass(scaled, scaled.inputs.index(cast.outputs[0]))
    return draft.graph()
