"""Tensors that go into blocks of channels and out again.

## What it does
Reports the reorders that ONNX Runtime puts into the middle of a network on x86-64, and in front of which ops, where they take a notable share.

## Why is this slow?
Convolutions and pools run on blocks of 8 or 16 channels (NCHWc). Ops without such kernels need the plain layout: what they read is written out
of the blocks, and what they write into them again. Each reorder is a pass over the tensor, and the op itself is not fused into the convolution before it.

## Example that fails
```text
# x86-64-avx512/cpu-1@onnxruntime onnx
x = input 1x32x112x112
a = conv2d x 32 kernel=1 native=Conv
b = elu a native=Elu
c = conv2d b 32 kernel=1 native=Conv
d = elu c native=Elu
y = conv2d d 32 kernel=1 native=Conv
```

## Example that passes
```text
# x86-64-avx512/cpu-1@onnxruntime onnx
x = input 1x32x112x112
a = conv2d x 32 kernel=1 native=Conv
b = relu a native=Relu
c = conv2d b 32 kernel=1 native=Conv
d = relu c native=Relu
y = conv2d d 32 kernel=1 native=Conv
```

## How to fix
Prefer what the blocks have: ReLU, Clip, Sigmoid, Tanh, HardSigmoid, Add, Concat, MaxPool, AveragePool, BatchNormalization, nearest Resize. Move transposes, reshapes and other
activations to the ends.

## References
onnxruntime/core/optimizer/nchwc_transformer.cc.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import percent, view
from latlint.runtime.types import Kernel
from latlint.words import counted

RULE = Rule("LAT264", "layout-reorders", "warning", ("onnxruntime",), "source")

#: From this share of the whole on.
_NOTABLE = 0.05


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    running = [(kernel, ms) for kernel, ms in seen.kernels() if not kernel.free]
    at = [place for place, (kernel, _) in enumerate(running) if kernel.implementation.startswith("Reorder")]
    blocked = [place for place, (kernel, _) in enumerate(running) if kernel.attributes.get("layout") == "nchwc"]
    inner = [place for place in at if blocked and blocked[0] < place < blocked[-1]]
    spent = sum(running[place][1] for place in inner)
    if not inner or not seen.total_ms or spent < _NOTABLE * seen.total_ms:
        return
    following = _plain([kernel for kernel, _ in running])
    left = (following[place] for place in inner if running[place][0].implementation == "ReorderOutput")
    causes = Counter(filter(None, left))
    named = ", ".join(f"{name} ×{count}" if count > 1 else name for name, count in causes.most_common(4))
    before = f", before {named}" if named else ""
    nodes = [seen.graph.nodes[index] for place in inner for index in running[place][0].nodes[:1]]
    message = f"{counted(len(inner), 'reorder')} between layouts inside the network, {percent(spent / seen.total_ms)} of the time{before}"
    yield from seen.judge(RULE, message, nodes, fix="ops that have kernels for blocks of channels", severity="warning")


def _plain(kernels: Sequence[Kernel]) -> list[str]:
    """For each kernel the op behind it that needs the plain layout: the first that is not about blocks; empty where none is."""
    found: list[str] = []
    behind = ""
    for kernel in reversed(kernels):
        found.append(behind)
        if not kernel.implementation.startswith("Reorder") and kernel.attributes.get("layout") != "nchwc":
            behind = kernel.implementation
    return found[::-1]
