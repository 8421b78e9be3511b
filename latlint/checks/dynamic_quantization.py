"""Convolutions that are quantised while the model runs.

## What it does
Reports ConvInteger: what `quantize_dynamic` of ONNX Runtime makes of convolutions. It warns where one of them has groups, and notes the rest.

## Why is this slow?
The input is measured and quantised anew at each layer (DynamicQuantizeLinear), and the result is cast and scaled by two more passes. ONNX Runtime
has no fast depthwise kernel for ConvInteger. Its version 1.32 on one x86-64 core with VNNI took 2.2 times as long for MobileNetV2 as in
float, and 3.8 times for a 3x3 depthwise layer of 64 channels; ResNet-18 was no faster than in float (0.95 times). No converter to TFLite takes ConvInteger, and no
delegate of ONNX Runtime for phones.

## Example that fails
```text
# pixel-4/cpu-1large onnx
x = input 1x64x56x56
a = depthwise_conv2d x native=ConvInteger -> 1x64x56x56 int32
b = cast a native=Cast to=float32 -> 1x64x56x56 float32
```

## Example that passes
```text
# pixel-4/cpu-1large onnx
x = input 1x64x56x56
a = relu x native=Relu
```

## How to fix
Quantise convolutions statically, with calibration data (`quantize_static`, format QDQ), or leave them in float. Dynamic quantisation is for matrix
products: `quantize_dynamic(..., op_types_to_quantize=["MatMul"])`.

## References
onnxruntime.ai/docs/performance/model-optimizations/quantization.html ("dynamic quantization for RNNs and transformer-based models, static quantization for CNN
models"); measured with ONNX Runtime 1.32.0.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Node
from latlint.words import counted

RULE = Rule("LAT322", "dynamic-quantization", "warning", (), "measured")


def check(subject: Subject) -> Iterator[Finding]:
    found = view(subject).shared(_quantised_at_run_time)
    if not found:
        return
    grouped = [node for node in found if _groups(node) > 1]
    among = f", {len(grouped)} of them with groups," if grouped else ""
    message = (
        f"{counted(len(found), 'convolution')}{among} quantised while the model runs (ConvInteger): ONNX Runtime gains nothing by it, and "
        "converters and delegates refuse it: quantise statically, or leave convolutions in float"
    )
    finding = RULE.finding(subject, message, nodes=tuple(dict.fromkeys(node.name for node in found)))
    yield finding if grouped else _milder(finding)


def _quantised_at_run_time(view: View) -> list[Node]:
    return [node for node in view.scene.original.nodes if node.native.rpartition("::")[2] == "ConvInteger"]


def _milder(finding: Finding) -> Finding:
    from dataclasses import replace

    return replace(finding, severity="note")


def _groups(node: Node) -> int:
    return int(node.attributes.get("groups", 1)) if node.kind != "depthwise_conv2d" else 2
