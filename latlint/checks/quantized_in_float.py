"""Products of a quantised ONNX model that ONNX Runtime computes in float.

## What it does
Reports convolutions and matrix products between QuantizeLinear and DequantizeLinear that stay in float on ONNX Runtime's CPU provider, and why.

## Why is this slow?
ONNX Runtime makes an op and the pairs around it one integer op, if the group is complete: every operand is dequantised, one QuantizeLinear alone reads the
result, and the types have a kernel. Otherwise the op runs in float behind DequantizeLinears, of its weights too, at every run: slower than the float model.
On x86-64 int8 activations have no kernels: they are made uint8 where one op alone reads them. No kernel takes 16 bits, and none is of ConvTranspose. Float
weights of a Conv or Gemm between pairs are no obstacle: ONNX Runtime makes them integers when it loads the file; those of a MatMul stay.

## Example that fails
```text
# x86-64-avx512/cpu-1@onnxruntime onnx
s = const 1 value=0.02
z = const 1 uint16
w = const 64x32x3x3 int8
v = const 1 int8
x = input 1x32x56x56 uint16
a = dequantize x s z native=DequantizeLinear -> 1x32x56x56 float32
b = dequantize w s v native=DequantizeLinear -> 64x32x3x3 float32
c = conv2d a b kernel=3 padding=same native=Conv -> 1x64x56x56 float32
y = quantize c s z native=QuantizeLinear -> 1x64x56x56 uint16
```

## Example that passes
```text
# x86-64-avx512/cpu-1@onnxruntime onnx
s = const 1 value=0.02
z = const 1 uint8
w = const 64x32x3x3 int8
v = const 1 int8
x = input 1x32x56x56 uint8
a = dequantize x s z native=DequantizeLinear -> 1x32x56x56 float32
b = dequantize w s v native=DequantizeLinear -> 64x32x3x3 float32
c = conv2d a b kernel=3 padding=same native=Conv -> 1x64x56x56 float32
y = quantize c s z native=QuantizeLinear -> 1x64x56x56 uint8
```

## How to fix
Quantise activations to uint8 and weights to int8, and every op around the products too: `quantize_static` with
`activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8`.

## References
onnxruntime/core/optimizer/qdq_transformer/selectors_actions/; asked of ONNX Runtime 1.32.0.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, percent, view
from latlint.graph.types import Node
from latlint.words import counted

RULE = Rule("LAT263", "quantized-in-float", "warning", ("onnxruntime",), "source")

_PRODUCTS = frozenset({"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul", "ConvTranspose"})
#: Below this share of the whole it is a note.
_NOTABLE = 0.05


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found: dict[str, list[Node]] = {}
    for kernel in seen.plan.kernels:
        if kernel.implementation in _PRODUCTS and kernel.nodes:
            node = seen.graph.nodes[kernel.nodes[0]]
            before = seen.source(node)
            if before is not None and before.kind == "dequantize" and seen.runtime_inputs(before):
                found.setdefault(_why(seen, node, before), []).append(node)
    for why, nodes in sorted(found.items()):
        share = seen.ms(nodes) / seen.total_ms if seen.total_ms else 0.0
        message = (
            f"{counted(len(nodes), 'product')} of this quantised model in float ({percent(share)} of the time): {why}"
        )
        severity = "warning" if share > _NOTABLE else "note"
        yield from seen.judge(RULE, message, nodes, severity=severity, identity=(why,))


def _why(view: View, node: Node, before: Node) -> str:
    """What is missing of the group."""
    dtype = view.tensor(before.inputs[0]).dtype
    if dtype not in ("int8", "uint8"):
        return f"no integer kernel takes {dtype} activations"
    if node.native == "ConvTranspose":
        return "ConvTranspose has no integer kernel"
    readers = view.readers(node)
    if len(readers) > 1:
        return "more than one op reads its result"
    if not readers or readers[0].kind != "quantize":
        return "no QuantizeLinear reads its result"
    others = [view.source(node, slot) for slot, index in enumerate(node.inputs[:2]) if index >= 0]
    if any(each is None or each.kind != "dequantize" for each in others):
        return "its weights are not quantised"
    if dtype == "int8":
        return "int8 activations have no kernel on x86-64, and uint8 ones need one reader"
    return "its types have no integer kernel"
