"""EXPAND_DIMS or SQUEEZE where the GPU delegate only takes RESHAPE.

## What it does
Reports EXPAND_DIMS, SQUEEZE and their like that the delegate refuses although they only change the shape, with what a RESHAPE in
their place would buy.

## Why is this slow?
The ops move nothing, but they are not in the delegate's table: each splits the model, and on both sides tensors are copied between
CPU and GPU.

## Example that fails
```text
# pixel-4/gpu
x = input 1x56x56x64
a = conv2d x 64 kernel=3 activation=relu
b = mean a axes=1,2 keep_dims=false
c = expand_dims b -> 1x1x1x64
d = conv2d c 64 kernel=1 activation=relu
e = mul a d
f = conv2d e 64 kernel=3
```

## Example that passes
```text
# pixel-4/gpu
x = input 1x56x56x64
a = conv2d x 64 kernel=3 activation=relu
b = mean a axes=1,2 keep_dims=false
c = reshape b -> 1x1x1x64
d = conv2d c 64 kernel=1 activation=relu
e = mul a d
f = conv2d e 64 kernel=3
```

## How to fix
Write `reshape` with the full shape instead of `expand_dims`, `squeeze`, `unsqueeze` or `x[:, None]`; keep the dimensions in means
(`keepdims=True`).

## References
tensorflow/lite/delegates/gpu/common/model_builder.cc (`NewOperationParser`).
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks._placement import findings, mendable
from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import view

RULE = Rule("LAT204", "reshape-by-another-name", "warning", ("offload",), "source", under=("LAT201",))


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = [seen.graph.nodes[index] for index in sorted(mendable(seen))]
    found = [node for node in found if node.kind in ("expand_dims", "squeeze", "flatten")]
    # an op on integers computes shapes, which is another matter
    found = [node for node in found if seen.tensor(node.outputs[0]).dtype.startswith("float")]
    if not found:
        return
    kinds = " and ".join(sorted({node.native or node.kind for node in found}))
    message = f"{seen.delegate} refuses {kinds} ×{len(found)}"
    yield from findings(seen, RULE, found, message, "use RESHAPE, which does the same")
