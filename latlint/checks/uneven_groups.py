"""A grouped convolution whose groups are not whole slices of four channels.

## What it does
Reports grouped convolutions on the GPU whose groups have a number of channels that is not a multiple of 4. No gain is stated: no such model was
measured on the phones of the bundled packs.

## Why is this slow?
Channels are stored in slices of four. Even groups run as one kernel; for uneven ones the delegate of 2.10 launches a SPLIT, one
convolution for each group and a CONCAT, and that of 2.9 fails to start.

## Example that fails
```text
# pixel-4/gpu
x = input 1x28x28x48
a = conv2d x 48 kernel=3 groups=8 activation=relu
b = conv2d a 64 kernel=1
```

## Example that passes
```text
# pixel-4/gpu
x = input 1x28x28x64
a = conv2d x 64 kernel=3 groups=8 activation=relu
b = conv2d a 64 kernel=1
```

## How to fix
Choose group widths that are multiples of 4 (8 or 16 are faster), such as 4 groups of 12 for 8 of 6.

## References
tensorflow/lite/delegates/gpu/common/selectors/operation_selector.cc; MPolaris/onnx2tflite #21 (43.7 and 7.6 ms).
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import view
from latlint.words import counted

RULE = Rule("LAT221", "uneven-groups", "warning", ("gpu",), "reported")


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    uneven = [kernel for kernel in seen.plan.kernels if kernel.obstacle and kernel.obstacle.code == "UNEVEN_GROUPS"]
    if not uneven:
        return
    launches = sum(kernel.launches * kernel.repeat for kernel in uneven)
    message = f"{counted(len(uneven), 'grouped convolution')} {'runs' if len(uneven) == 1 else 'run'} as {launches} kernels, because their groups are no multiple of 4 channels"
    if any(kernel.obstacle and kernel.obstacle.values["because"] for kernel in uneven):
        message += " (depthwise convolutions of unequal strides are written as such)"
    nodes = [seen.graph.nodes[kernel.nodes[0]] for kernel in uneven]
    yield from seen.judge(RULE, message, nodes, fix="make the groups 4, 8 or 16 channels wide, or fewer")
