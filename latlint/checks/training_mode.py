"""The model was exported in training mode.

## What it does
Reports what only training has a use for: batch normalisation that computes mean and variance of its input (an ONNX BatchNormalization in training
mode, or means over all but the channels in single ops), and random numbers, as dropout draws them.

## Why is this slow?
In inference batch normalisation is a scale and a shift that fold into the convolution before it, and dropout is nothing. In training mode each is
several passes over the tensor, and random ops are taken by no delegate. The results are wrong besides: they depend on the batch.

## Example that fails
```text
# pixel-4/cpu-1large
x = input 1x56x56x64
eps = const 1 value=1
a = conv2d x 64 kernel=1
m = mean a axes=0,1,2 keep_dims=true -> 1x1x1x64
s = squared_difference a m
v = mean s axes=0,1,2 keep_dims=true -> 1x1x1x64
w = add v eps
r = rsqrt w
p = mul a r
z = conv2d p 64 kernel=1
```

## Example that passes
```text
# pixel-4/cpu-1large
x = input 1x56x56x64
a = conv2d x 64 kernel=1
z = conv2d a 64 kernel=1
```

## How to fix
`model.eval()` before `torch.onnx.export` (and `training=TrainingMode.EVAL`, the default); `training=False` where a Keras model is called.

## References
onnx.ai/onnx/operators/onnx__BatchNormalization.html (`training_mode`), onnx__Dropout.html; pytorch/pytorch torch/onnx/utils.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Graph, Node
from latlint.whatif.edits import EditedGraph

RULE = Rule("LAT325", "training-mode", "warning", (), "source")

#: Ops of the longest form that exporters write.
_LONGEST = 12


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    stated = seen.shared(_stated)
    spelt = seen.shared(_batch_statistics)
    if stated:
        counts = Counter(node.native or node.kind for node in stated)
        named = ", ".join(f"{name} ×{count}" for name, count in counts.most_common(3))
        message = f"exported in training mode ({named}): export it for inference, model.eval()"
        yield RULE.finding(subject, message, nodes=tuple(dict.fromkeys(node.name for node in stated)))
    elif spelt:

        def without(graph: Graph) -> Graph:
            draft = EditedGraph(graph)
            for nodes in spelt:
                draft.read_instead(nodes[-1].outputs[0], nodes[0].inputs[0])
            return draft.graph()

        message = f"batch normalisation ×{len(spelt)} computes the mean and variance of its input, as in training"
        nodes = [node for nodes in spelt for node in nodes]
        fix = "export the model for inference"
        yield from seen.judge(RULE, message, nodes, fix=fix, gain=seen.gain("LAT325", without), severity=RULE.severity)


def _stated(view: View) -> list[Node]:
    return [node for node in view.scene.original.nodes if _in_training(node)]


def _in_training(node: Node) -> bool:
    op = node.native.rpartition("::")[2]
    if op == "BatchNormalization":
        return node.native_attributes.get("training_mode") == 1 or len([o for o in node.outputs if o >= 0]) > 1
    return node.kind == "random"


def _batch_statistics(view: View) -> list[list[Node]]:
    """The ops of each normalisation by the mean over everything but the channels, the batch among it."""
    found = []
    for node in view.graph.nodes:
        shape = view.shape(node.inputs[0]) if node.inputs else ()
        if (
            node.kind == "mean"
            and node.outputs
            and len(shape) == 4
            and tuple(node.attributes.get("axes", ())) == (0, 1, 2)
        ):
            chain = _chain(view, node, shape)
            if chain:
                found.append(chain)
    return found


def _chain(view: View, mean: Node, shape: tuple[int, ...]) -> list[Node]:
    """From the first mean to the last op that computes from both it and the input; empty where no root is among them."""
    reached, chain = {mean.outputs[0]}, [mean]
    for node in view.graph.nodes[mean.index + 1 : mean.index + 1 + 2 * _LONGEST]:
        if not node.outputs:
            continue
        from_input = mean.inputs[0] in node.inputs
        if reached.isdisjoint(node.inputs) or (
            not from_input and view.shape(node.outputs[0]) == shape and _full(view, node, reached)
        ):
            continue
        chain.append(node)
        reached.update(node.outputs)
    kinds = [node.kind for node in chain]
    last = max((i for i, node in enumerate(chain) if view.shape(node.outputs[0]) == shape), default=0)
    rooted = "rsqrt" in kinds[: last + 1] or "sqrt" in kinds[: last + 1]
    return chain[: last + 1] if rooted and kinds[: last + 1].count("mean") > 1 else []


def _full(view: View, node: Node, reached: set[int]) -> bool:
    """Whether all that ``node`` reads of the chain has the shape of the input: it comes after the normalisation."""
    return node.kind not in ("mul", "add", "sub", "div", "square", "squared_difference") and bool(reached)
