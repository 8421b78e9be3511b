"""One RESHAPE after another.

## What it does
Reports a RESHAPE (or SQUEEZE, EXPAND_DIMS) whose only reader is another one: the last alone gives the same result.

## Why is this slow?
On the CPU each copies the tensor; on the GPU each is a kernel that moves every value, because channels are stored in slices.

## Example that fails
```text
# pixel-4/cpu-1large
x = input 1x112x112x64
a = conv2d x 64 kernel=1
b = reshape a -> 1x12544x64
c = reshape b -> 12544x64
d = reshape c -> 1x12544x1x64
e = conv2d d 64 kernel=1
```

## Example that passes
```text
# pixel-4/cpu-1large
x = input 1x112x112x64
a = conv2d x 64 kernel=1
d = reshape a -> 1x12544x1x64
e = conv2d d 64 kernel=1
```

## How to fix
Reshape once, to the final shape; onnxsim and the converters' optimisers join most chains.

## References
tensorflow/lite/kernels/reshape.cc; tensorflow/lite/delegates/gpu/common/tasks/reshape.cc.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import view
from latlint.whatif.edits import without
from latlint.words import counted

RULE = Rule("LAT311", "reshape-chain", "warning", (), "source")

_RESHAPES = frozenset({"reshape", "squeeze", "expand_dims", "flatten"})


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    paid = seen.paid
    found = [
        node
        for node in seen.graph.nodes
        if node.kind in _RESHAPES
        and node.inputs
        and node.index in paid
        and (reader := seen.sole_reader(node)) is not None
        and reader.kind in _RESHAPES
    ]
    if not found:
        return

    message = f"{counted(len(found), 'RESHAPE')} right before another RESHAPE"
    gain = seen.gain("LAT311", without([(node, 0) for node in found]))
    yield from seen.judge(RULE, message, found, fix="reshape once", gain=gain)
