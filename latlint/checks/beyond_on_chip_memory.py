"""A tensor does not fit the memory on the NPU.

## What it does
Notes kernels that read and write more than the 8 MB of tightly coupled memory of Qualcomm's NPUs, with the share of the model's time that they take.

## Why is this slow?
The compiler keeps values on the chip where it can. What does not fit goes to the phone's memory and back (it spills), at a fraction of the
speed. Of 35 published networks whose largest op needs 8 MB or more, 27 spill; of 43 others, 3.

## Example that fails
```text
# galaxy-s24/npu@litert
x = input 1x256x256x64
a = conv2d x 64 kernel=3
b = conv2d a 64 kernel=3
```

## Example that passes
```text
# galaxy-s24/npu@litert
x = input 1x128x128x64
a = conv2d x 64 kernel=3
b = conv2d a 64 kernel=3
```

## How to fix
Halve the map before the widest layers (a stride of 2, or pixels to channels at the input), use fewer channels there, or quantise to int8, which halves
every tensor. For segmentation and super-resolution, run the network over tiles of the image.

## References
Qualcomm AI Hub's published networks and what they report of spills, in float16: of those whose largest op stays below 8 MB, 3 of 43
spill; of the others, 27 of 35.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, percent, view
from latlint.graph.types import ITEM_BYTES
from latlint.words import counted

RULE = Rule("LAT252", "beyond-on-chip-memory", "note", ("npu",), "measured")

#: Below this share of the time nobody would change a network for it.
_LEAST = 0.05


def check(subject: Subject) -> Iterator[Finding]:
    from latlint.latency.models.npu import ON_CHIP  # the cost model, which no other processor has a use for

    seen = view(subject)
    found = seen.launched(_beyond)
    if not found:
        return
    share = sum(seen.kernel_ms[at] for at in found) / seen.total_ms if seen.total_ms else 0.0
    if share < _LEAST:
        return
    kernels = seen.plan.kernels
    at = max(found, key=lambda each: found[each])
    worst, most = kernels[at], found[at]
    message = (
        f"{counted(len(found), 'kernel')} with {percent(share)} of the time read and write more than the {ON_CHIP / 1e6:.0f} MB on the chip; most, "
        f"{most / 1e6:.0f} MB, {worst.op} on {'x'.join(map(str, worst.outputs[0] if worst.outputs else ()))}"
    )
    yield from seen.judge(
        RULE,
        message,
        [seen.graph.nodes[kernels[at].nodes[0]] for at in found],
        fix="a smaller map or fewer channels there, int8, or tiles",
        severity="note",
    )


def _beyond(view: View) -> dict[int, float]:
    """The kernels on the NPU that read and write more than its memory holds, by position, with their bytes."""
    from latlint.latency.models.npu import ON_CHIP

    found = {}
    for position, kernel in enumerate(view.plan.kernels):
        if kernel.free or not kernel.nodes or view.plan.partitions[kernel.partition].executor != view.plan.delegate:
            continue
        moved = _item(kernel.input_dtype) * sum(map(prod, kernel.inputs))
        moved += _item(kernel.output_dtype) * sum(map(prod, kernel.outputs))
        if moved >= ON_CHIP:
            found[position] = moved
    return found


def _item(dtype: str) -> float:
    """Bytes of an element as the NPU computes: floats in 16 bits."""
    return 2 if dtype in ("float32", "float16") else ITEM_BYTES.get(dtype, 2)
