"""Attention over a sequence beside a multiple of 128, on an NPU.

## What it does
Reports products and softmaxes over sequences of 512 or more whose length is no multiple of 128, where the scores do not fit the memory on the chip.

## Why is this slow?
The compiler for Qualcomm's NPUs cuts matrices into tiles; one that is left over costs far more than a full one. On a Galaxy S26 (LiteRT 2.2) a
decoder layer took 116 ms at 1535 tokens and 23 ms at 1536, a Whisper encoder 35.8 ms at 1500 and 17.9 ms padded to 1536; compiling takes ten times as
long. It is no rule for every network: one with relative positions (Zipformer) gained nothing.

## Example that fails
```text
# galaxy-s26/npu@litert
q = input 1x6x1500x64
k = input 1x6x64x1500
v = input 1x6x1500x64
s = batch_matmul q k -> 1x6x1500x1500
p = softmax s axis=3
o = batch_matmul p v -> 1x6x1500x64
```

## Example that passes
```text
# galaxy-s26/npu@litert
q = input 1x6x1536x64
k = input 1x6x64x1536
v = input 1x6x1536x64
s = batch_matmul q k -> 1x6x1536x1536
p = softmax s axis=3
o = batch_matmul p v -> 1x6x1536x64
```

## How to fix
Pad the sequence to the next multiple of 128 and mask what was added, and measure before and after.

## References
github.com/john-rocky/edge-compat (Apache-2.0), sequence lengths timed on a Galaxy S26's NPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import ITEM_BYTES, Node

RULE = Rule("LAT251", "uneven-attention", "note", ("npu",), "measured")

#: Shorter sequences fit, whatever their length.
_LONG = 512
_TILE = 128


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    lengths, found = seen.launched(_uneven)
    if found:
        said = ", ".join(map(str, sorted(lengths)))
        message = f"attention ×{len(found)} over {said} positions, beside a multiple of {_TILE}"
        yield from seen.judge(RULE, message, found, fix=f"pad the sequence to a multiple of {_TILE} and measure both")


def _uneven(view: View) -> tuple[set[int], list[Node]]:
    """The lengths of sequences that are beside a multiple, and the products over them."""
    from latlint.latency.models.npu import ON_CHIP  # the cost model, which no other processor has a use for

    found = []
    lengths = set()
    for kernel in view.plan.kernels:
        made = kernel.outputs[0] if kernel.op == "batch_matmul" and kernel.outputs else ()
        size = prod(made) * ITEM_BYTES.get(kernel.output_dtype, 2)
        if len(made) > 1 and min(made[-2:]) >= _LONG and made[-1] % _TILE and size > ON_CHIP and kernel.nodes:
            lengths.add(made[-1])
            found.append(view.graph.nodes[kernel.nodes[0]])
    return lengths, found
