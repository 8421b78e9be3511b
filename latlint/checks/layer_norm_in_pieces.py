"""Layer normalisation as a chain of small ops.

## What it does
Reports normalisations over the channels at run time (MEAN, differences, squares, RSQRT, products), with what networks without them,
such as with batch normalisation folded into the layer before, would save.

## Why is this slow?
TensorFlow Lite has no op for it: each becomes eight ops or more, five kernels on a GPU after linking, and each of them reads the whole
tensor. Batch normalisation costs nothing at inference. On a Galaxy S26's NPU (LiteRT 2.2), the form with MEAN, SQUARED_DIFFERENCE and RSQRT took 9.4 ms
in a transformer where sums and products spelt by hand took 11.4; a scale before the squares, against overflow, changed nothing.

## Example that fails
```text
# pixel-4/cpu-1large
x = input 1x14x14x192
eps = const 1 value=1
a = conv2d x 192 kernel=1
m = mean a axes=3 keep_dims=true -> 1x14x14x1
s = squared_difference a m
v = mean s axes=3 keep_dims=true -> 1x14x14x1
w = add v eps
r = rsqrt w
p = mul a r
q = mul m r
y = sub p q
z = conv2d y 192 kernel=1
```

## Example that passes
```text
# pixel-4/cpu-1large
x = input 1x14x14x192
scale = const 192
a = conv2d x 192 kernel=1
y = mul a scale
z = conv2d y 192 kernel=1
```

## How to fix
For networks made for phones prefer batch normalisation, or train it in the place of layer normalisation and fold it. Newer delegates
merge some written forms: mean, subtract, square, mean, RSQRT, multiply, without scale and shift in between.

## References
tensorflow/lite/delegates/gpu/common/tasks/special/; tensorflow/tensorflow #56983.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Graph, Node
from latlint.whatif.edits import EditedGraph
from latlint.words import counted

RULE = Rule("LAT226", "layer-norm-in-pieces", "warning", (), "source")

#: Ops of the longest form that exporters write.
_LONGEST = 16
#: Batch normalisation takes another training than transformers have.
_FOR_ATTENTION = (
    "normalise by the root mean square alone, which transformers train as well with, in about half of the ops"
)


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = seen.shared(_norms)
    if not found:
        return

    def without(graph: Graph) -> Graph:
        draft = EditedGraph(graph)
        for nodes in found:
            draft.read_instead(nodes[-1].outputs[0], nodes[0].inputs[0])
        return draft.graph()

    ops = sum(len(nodes) for nodes in found)
    message = f"layer normalisation ×{len(found)} in {counted(ops, 'op')}"
    attends = any(node.kind == "batch_matmul" for node in seen.graph.nodes)
    fix = _FOR_ATTENTION if attends else "use batch normalisation, which folds into the layer before"
    nodes = [node for nodes in found for node in nodes]
    yield from seen.judge(RULE, message, nodes, fix=fix, gain=seen.gain("LAT226", without, everywhere=True))


def _norms(view: View) -> list[list[Node]]:
    """The ops of each normalisation."""
    return [norm for node in view.graph.nodes if node.kind == "mean" and (norm := _norm(view, node))]


def _norm(view: View, mean: Node) -> list[Node]:
    """The ops from the mean over the channels to the normalised tensor; empty where they do not make a normalisation.

    All that is computed from the mean comes together again in one tensor of the shape that came in.
    """
    shape = view.shape(mean.inputs[0]) if mean.inputs and mean.outputs else ()
    if tuple(mean.attributes.get("axes", ())) != (len(shape) - 1,):
        return []
    chain, waiting = [mean], {mean.outputs[0]: len(view.readers(mean))}
    for node in view.graph.nodes[mean.index + 1 : mean.index + 1 + 2 * _LONGEST]:
        reads = [index for index in node.inputs if index in waiting]
        if not reads:
            continue
        chain.append(node)
        for index in reads:
            waiting[index] -= 1
            if waiting[index] == 0:
                del waiting[index]
        if not node.outputs:  # what is computed goes into a variable
            return []
        if not waiting and view.shape(node.outputs[0]) == shape and _has_root(chain):
            return chain
        if len(node.outputs) != 1 or len(chain) == _LONGEST:
            return []
        waiting[node.outputs[0]] = len(view.readers(node))
    return []


def _has_root(chain: list[Node]) -> bool:
    kinds = [node.kind for node in chain]
    return kinds.count("mean") == 2 and ("rsqrt" in kinds or "sqrt" in kinds)
