"""An ONNX model was optimised for ONNX Runtime's CPU provider, and other providers refuse what came out.

## What it does
Notes ONNX models with ops that ONNX Runtime's own optimiser writes (FusedConv, FusedGemm, FusedMatMul, …), beyond its basic level.

## Why is this slow?
These ops exist for the CPU provider alone. NNAPI, Core ML and XNNPACK providers, and converters to TensorFlow Lite, do not know them: every
convolution with its activation fused becomes a partition border. A model in a report had 17 partitions for that reason alone.

## Example that fails
```text
# pixel-4/gpu onnx
x = input 1x64x28x28
a = unknown x native=com.microsoft::FusedConv
b = relu a
```

## Example that passes
```text
# pixel-4/gpu onnx
x = input 1x64x28x28
a = sigmoid x native=Sigmoid
b = relu a
```

## How to fix
Save the model optimised at the basic level (`GraphOptimizationLevel::ORT_ENABLE_BASIC`), or not at all, and let each device's session do the rest.

## References
microsoft/onnxruntime #9285, #9054; onnxruntime/core/optimizer/graph_transformer_utils.cc.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Node

RULE = Rule("LAT321", "optimized-for-cpu", "note", (), "reported")

_WRITTEN_BY_OPTIMIZER = frozenset(
    "FusedConv FusedGemm FusedMatMul QuickGelu BiasGelu BiasSoftmax SkipLayerNormalization NhwcMaxPool".split()
)


def check(subject: Subject) -> Iterator[Finding]:
    if subject.graph.dialect != "onnx":
        return
    found = view(subject).shared(_written_by_optimizer)
    if not found:
        return
    counts = Counter(map(_op, found))
    named = ", ".join(f"{name} ×{count}" for name, count in counts.most_common(4))
    message = (
        f"{named}: written by ONNX Runtime's optimiser for its CPU provider, other providers and converters refuse them"
    )
    fix = "save the model at the basic level"
    yield RULE.finding(subject, f"{message}: {fix}", nodes=tuple(dict.fromkeys(node.name for node in found)))


def _written_by_optimizer(view: View) -> list[Node]:
    return [node for node in view.scene.original.nodes if _op(node) in _WRITTEN_BY_OPTIMIZER]


def _op(node: Node) -> str:
    """Its name without the domain."""
    return node.native.rpartition("::")[2]
