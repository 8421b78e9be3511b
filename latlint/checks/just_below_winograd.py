"""A 3x3 convolution has slightly too few channels for the GPU's Winograd kernels.

## What it does
Reports 3x3 convolutions of stride 1 whose channels are at least three quarters of what the delegate asks for before it uses
Winograd kernels, with what rounding these channel counts up would buy: more channels, in less time. Only for GPUs on which Winograd kernels were
measured.

## Why is this slow?
Winograd kernels need 2.25 to 4 times fewer multiplications, and on Mali, PowerVR and Apple GPUs ran 2 to 3 times as fast for the same
work. The delegate uses them from 61 channels in and out and 32 tiles of 4x4 outputs on (Adreno: 125 channels and 64 or 128 tiles).

## Example that fails
```text
# galaxy-s10/gpu
x = input 1x56x56x56
a = conv2d x 56 kernel=3 activation=relu
b = conv2d a 56 kernel=3 activation=relu
c = conv2d b 56 kernel=3 activation=relu
d = conv2d c 56 kernel=3 activation=relu
e = conv2d d 10 kernel=1
```

## Example that passes
```text
# galaxy-s10/gpu
x = input 1x56x56x64
a = conv2d x 64 kernel=3 activation=relu
b = conv2d a 64 kernel=3 activation=relu
c = conv2d b 64 kernel=3 activation=relu
d = conv2d c 64 kernel=3 activation=relu
e = conv2d d 10 kernel=1
```

## How to fix
Round such widths up to 64 (128 on Adreno) when the network is designed or pruned; prune to 64 and not to 56.

## References
tensorflow/lite/delegates/gpu/common/selectors/operation_selector.cc (`IsRecommendedForWinograd4x4To6x6`), common/winograd_util.cc.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Node
from latlint.runtime.reasons import Obstacle, Refusal
from latlint.whatif.edits import with_channels
from latlint.words import counted

RULE = Rule("LAT220", "just-below-winograd", "warning", ("gpu",), "measured")

_NEAR = 0.75
_WINOGRAD = "convolution_winograd_4x4_6x6"


def check(subject: Subject) -> Iterator[Finding]:
    from latlint.runtime.gpu.rules import (
        for_processor,
        load_gpu_rules,
    )  # the planner, which no other processor has a use for

    seen = view(subject)
    measured = subject.target.pack.covers(subject.target.key)["envelope"]
    limits = for_processor(load_gpu_rules(seen.plan.runtime).winograd, subject.target.processor)
    if limits is None or not any(name.startswith(_WINOGRAD) for name in measured):
        return
    needed = {"in": 4 * limits["input_slices"] - 3, "out": 4 * limits["output_slices"] - 3}
    found = [node for node in _plain(seen) if _near(seen, node, needed["in"], needed["out"])]
    if not found:
        return
    full = 4 * max(limits["input_slices"], limits["output_slices"])
    low = round(_NEAR * min(needed.values()))
    gain = seen.gain("LAT220", lambda graph: with_channels(graph, lambda count: full if low <= count < full else count))
    counts = sorted({c for node in found for c in _channels(seen, node) if c < max(needed.values())})
    message = (
        f"{counted(len(found), '3x3 convolution')} with {', '.join(map(str, counts))} channels {'misses' if len(found) == 1 else 'miss'} Winograd, which needs "
        f"{needed['in']} in and {needed['out']} out"
    )
    severity = "note" if gain is None else None
    yield from seen.judge(RULE, message, found, fix=f"make them {full} channels", gain=gain, severity=severity)


def _plain(view: View) -> list[Node]:
    """Convolutions that suit Winograd but run without."""
    return [
        view.graph.nodes[kernel.nodes[0]]
        for kernel in view.plan.kernels
        if kernel.implementation == "convolution_2d"
        and _too_few_channels(kernel.obstacle)
        and view.graph.nodes[kernel.nodes[0]].kind == "conv2d"
    ]


def _too_few_channels(obstacle: Obstacle | Refusal | None) -> bool:
    return obstacle is not None and obstacle.code == "BELOW_WINOGRAD" and "channels" in obstacle.values["what"]


def _channels(view: View, node: Node) -> tuple[int, int]:
    return view.shape(node.inputs[0])[-1], view.shape(node.outputs[0])[-1]


def _near(view: View, node: Node, inputs: int, outputs: int) -> bool:
    read, made = _channels(view, node)
    return read >= round(_NEAR * inputs) and made >= round(_NEAR * outputs)
