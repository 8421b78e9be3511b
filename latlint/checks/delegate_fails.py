"""A delegate that does not start: nothing runs on the GPU, or the NPU.

## What it does
Reports a model that the GPU cannot start. One reason is a fully connected layer that gets more values for each batch than its weights are
wide, as on the tokens of a transformer. Another is a matrix product with a batch other than 1, as over attention heads. Where 1x1
convolutions in the place of such layers would let it start, the gain says what that buys. Reports also a model with a tensor whose size
depends on what is computed (a RESHAPE to a shape that is fed, a WHERE), on a delegate that takes static sizes alone.

## Why is this slow?
The delegate looks at an op twice: once to accept it, once to build it. Where the second fails, the whole delegate is taken back, and
all ops run on the CPU. A delegate of static sizes is not applied at all to a graph that has any other.

## Example that fails
```text
# pixel-4/gpu
x = input 1x196x192
a = fully_connected x 768 keep_num_dims=true activation=relu
b = fully_connected a 192 keep_num_dims=true
```

## Example that passes
```text
# pixel-4/gpu
x = input 1x14x14x192
a = conv2d x 768 kernel=1 activation=relu
b = conv2d a 192 kernel=1
```

## How to fix
Apply linear layers to tokens as 1x1 convolutions on `[1, height, width, channels]`; compute attention heads one after the other, or
with a newer delegate: LiteRT 2.2's GPU accelerator takes both.

## References
tensorflow/lite/delegates/gpu/common/model_builder.cc (`FullyConnectedOperationParser`); tensorflow/tensorflow #58607.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks._placement import newer_takes, whole_refusal
from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import view
from latlint.graph.types import Graph
from latlint.runtime.reasons import sentence
from latlint.whatif.edits import EditedGraph

RULE = Rule("LAT209", "delegate-fails", "warning", ("offload",), "reported")


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    failure = whole_refusal(seen)
    if failure is None:
        return
    if failure.code == "DYNAMIC_GRAPH":
        yield from seen.judge(RULE, sentence(failure), [], fix="fix the sizes when the model is exported")
        return
    layers = [
        node for node in seen.graph.nodes if node.kind == "fully_connected" and len(seen.shape(node.inputs[0])) > 2
    ]
    heads = [
        node
        for node in seen.graph.nodes
        if node.kind == "batch_matmul" and any(dim > 1 for dim in seen.shape(node.outputs[0])[:-2])
    ]
    gain = None if heads else seen.gain("LAT209", _as_convolutions)
    fix = "write linear layers on tokens as 1x1 convolutions" + (" and attention one head at a time" if heads else "")
    newer = newer_takes(seen, "matrix products of any batch") if heads else ""
    yield from seen.judge(RULE, sentence(failure), [*layers, *heads], fix=fix + newer, gain=gain)


def _as_convolutions(graph: Graph) -> Graph:
    draft = EditedGraph(graph)
    for node in graph.nodes:
        shape = graph.tensors[node.inputs[0]].shape or () if node.inputs else ()
        weights = graph.tensors[node.inputs[1]].shape or () if node.kind == "fully_connected" else ()
        if len(shape) > 2 and len(weights) == 2:
            outputs, depth = weights
            draft.change(node, kind="conv2d", version=1)
            draft.attributes(node, kernel=(1, 1), stride=(1, 1), dilation=(1, 1), padding=(0, 0, 0, 0), groups=1)
            draft.tensor(node.inputs[1], shape=(outputs, 1, 1, depth))
    return draft.graph()
