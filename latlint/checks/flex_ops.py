"""An op that TensorFlow Lite has no kernel for runs in TensorFlow's own.

## What it does
Reports ops named Flex…: the converter found no TensorFlow Lite op for them and left TensorFlow's. For ONNX models, those that
onnx2tf would leave.

## Why is this slow?
Flex ops need the Select TensorFlow ops library, which adds several MB to the app; without it the model does not load. They run on the CPU, no
delegate takes them, and tensors are handed to TensorFlow and back at each.

## Example that fails
```text
# pixel-4/cpu-1large
x = input 1x28x28x64
a = conv2d x 64 kernel=3
b = unknown a native=FlexDilation2D
c = conv2d b 64 kernel=1
```

## Example that passes
```text
# pixel-4/cpu-1large
x = input 1x28x28x64
a = conv2d x 64 kernel=3
b = max_pool2d a kernel=3 stride=1
c = conv2d b 64 kernel=1
```

## How to fix
Write the op with others that TensorFlow Lite has: a dilated max pool (FlexDilation2D) as several pools, erf (FlexErf) inside a GELU in a form that the
converter knows.

## References
tensorflow.org/lite/guide/ops_select; PINTO0309/onnx2tf, MaxPool.py (`tf.nn.dilation2d`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import view

RULE = Rule("LAT313", "flex-ops", "warning", (), "source", under=("LAT012", "LAT010", "LAT201"))


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = [node for node in seen.graph.nodes if node.native.startswith("Flex")]
    if not found:
        return
    counts = Counter(node.native for node in found)
    named = ", ".join(f"{name} ×{count}" for name, count in counts.most_common(4)) + (", …" if len(counts) > 4 else "")
    message = f"{named}: needs TensorFlow's own kernels, which no delegate takes"
    yield from seen.judge(RULE, message, found, fix="write it with ops that TensorFlow Lite has")
