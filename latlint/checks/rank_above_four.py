"""A tensor has more dimensions than the GPU delegate takes.

## What it does
Reports ops that the delegate refuses because a tensor has five or more dimensions, with what the same data in four would buy. A
channel shuffle (RESHAPE, TRANSPOSE, RESHAPE) is counted with its fix: batch, pixels, groups and channels in four dimensions.

## Why is this slow?
The delegate stores every tensor as batch, height, width and channels. Pixel shuffles, channel shuffles and windowed attention
written in five or six dimensions split the model at each of them. On a Galaxy S26 (LiteRT 2.2), attention in four dimensions instead of three and five
cost 5 % on the NPU, which takes both, and let the GPU take the model at all.

## Example that fails
```text
# pixel-4/gpu
x = input 1x28x28x48
a = conv2d x 48 kernel=1 activation=relu
b = reshape a -> 1x28x28x2x24
c = transpose b permutation=0,1,2,4,3
d = reshape c -> 1x28x28x48
e = conv2d d 48 kernel=1 activation=relu
f = conv2d e 48 kernel=3 activation=relu
```

## Example that passes
```text
# pixel-4/gpu
x = input 1x28x28x48
a = conv2d x 48 kernel=1 activation=relu
b = reshape a -> 1x784x2x24
c = transpose b permutation=0,1,3,2
d = reshape c -> 1x28x28x48
e = conv2d d 48 kernel=1 activation=relu
f = conv2d e 48 kernel=3 activation=relu
```

## How to fix
Merge dimensions that stay together, such as height and width: `[n, h, w, g, c]` to `[n, h*w, g, c]`. For pixel shuffle use
DEPTH_TO_SPACE, which has a kernel of its own.

## References
tensorflow/lite/delegates/gpu/common/model_builder.cc (`IsAllAllowedTensors`). TensorFlow's own analyzer does not check this.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks._placement import findings, mendable
from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Graph, Node
from latlint.whatif.edits import EditedGraph
from latlint.words import counted

RULE = Rule("LAT205", "rank-above-four", "warning", ("offload",), "source", under=("LAT201",))


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = [seen.graph.nodes[index] for index in sorted(mendable(seen)) if rank(seen, seen.graph.nodes[index]) > 4]
    if not found:
        return
    shuffles = [node for node in found if node.kind == "transpose" and _swaps_last_two(node)]

    def merged(graph: Graph) -> Graph:
        draft = EditedGraph(graph)
        for node in found:
            for index in (*node.inputs, *node.outputs):
                shape = graph.tensors[index].shape or () if index >= 0 else ()
                if len(shape) == 5 and not graph.tensors[index].constant:
                    draft.tensor(index, shape=(shape[0], shape[1] * shape[2], *shape[3:]))
            draft.change(node, version=1)
        for node in shuffles:
            draft.attributes(node, permutation=(0, 1, 3, 2))
        return draft.graph()

    what = f"among them {counted(len(shuffles), 'channel shuffle')}" if shuffles else "none of them a channel shuffle"
    ranks = max(rank(seen, node) for node in found)
    message = f"{counted(len(found), 'op')} on tensors of {ranks} dimensions, which {seen.delegate} refuses ({what})"
    fix = "write them in four dimensions, height and width merged"
    only_shuffles = shuffles and all(node.kind in ("reshape", "transpose") for node in found)
    yield from findings(seen, RULE, found, message, fix, merged if only_shuffles else None)


def rank(view: View, node: Node) -> int:
    """The most dimensions of a run-time tensor of ``node``."""
    return max((len(view.shape(index)) for index in (*view.runtime_inputs(node), *node.outputs)), default=0)


def _swaps_last_two(node: Node) -> bool:
    return tuple(node.attributes.get("permutation", ())) == (0, 1, 2, 4, 3)
