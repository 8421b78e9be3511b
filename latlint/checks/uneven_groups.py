"""A grouped convolution whose groups are not whole slices of four channels.

## What it does
Reports grouped convolutions on the GPU whose groups have a number of channels that is not a multiple of 4, with what the best of
fewer, even groups or no groups at all would buy.

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

from collections.abc import Iterator, Sequence

from latlint.checks._edit import Draft
from latlint.checks.types import Finding, Rule, Subject
from latlint.counterfactual import view
from latlint.graph.types import Graph, Node

RULE = Rule("LAT221", "uneven-groups", "warning", ("gpu-delegate",), "source")


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = [
        seen.graph.nodes[kernel.nodes[0]]
        for kernel in seen.plan.kernels
        if kernel.implementation == "convolution_2d" and "are not multiples of 4" in kernel.reason
    ]
    if not found:
        return
    gains = [
        gain
        for name, edit in (("even", _even), ("none", _one))
        if (gain := seen.gain(f"LAT221 {name}", lambda graph, edit=edit: edit(graph, found))) is not None
    ]
    message = f"{len(found)} grouped convolutions with groups that are no multiple of 4 channels run one kernel a group"
    yield from seen.judge(RULE, message, found, fix="use fewer, even groups or none", gain_ms=max(gains, default=None))


def _even(graph: Graph, nodes: Sequence[Node]) -> Graph:
    """The most groups, dividing those there are, that are whole slices."""

    def best(groups: int, read: int, made: int) -> int:
        fits = (g for g in range(groups, 0, -1) if groups % g == 0 and not (read // g) % 4 and not (made // g) % 4)
        return next(fits, 1)

    return _regrouped(graph, [(node, best(*_widths(graph, node))) for node in nodes])


def _one(graph: Graph, nodes: Sequence[Node]) -> Graph:
    return _regrouped(graph, [(node, 1) for node in nodes])


def _widths(graph: Graph, node: Node) -> tuple[int, int, int]:
    read, made = (graph.tensors[index].shape or (1,) for index in (node.inputs[0], node.outputs[0]))
    return int(node.attributes["groups"]), read[-1], made[-1]


def _regrouped(graph: Graph, wanted: Sequence[tuple[Node, int]]) -> Graph:
    draft = Draft(graph)
    for node, groups in wanted:
        draft.attributes(node, groups=groups)
        filters = graph.tensors[node.inputs[1]].shape or ()
        draft.tensor(node.inputs[1], shape=(*filters[:-1], _widths(graph, node)[1] // groups))
    return draft.graph()
