"""Hard-swish written as additions and products instead of the op HARD_SWISH.

## What it does
Reports `x * relu6(x + 3) / 6` in single ops that the converter did not recognise, however it is spelt (with a hard sigmoid, MINIMUM and MAXIMUM, the
sixth before or after the product), with what one HARD_SWISH would buy.

## Why is this slow?
HARD_SWISH is linked to the convolution before it. The pieces are not, because x is read twice: first the sum and the clamp run as
kernels of their own, then the product. TensorFlow's converter only recognises the pattern with the factor 1/6 in float32
(0.16666667); 0.16666666, which some exporters write, stays in pieces, and so do HardSigmoid and Mul, as PyTorch exports below opset 14.

## Example that fails
```text
# pixel-4/gpu
x = input 1x112x112x64
three = const 1 value=3
sixth = const 1 value=0.16666666
a = conv2d x 64 kernel=1
b = add a three activation=relu6
c = mul b sixth
d = mul a c
e = conv2d d 64 kernel=1
```

## Example that passes
```text
# pixel-4/gpu
x = input 1x112x112x64
a = conv2d x 64 kernel=1
d = hard_swish a
e = conv2d d 64 kernel=1
```

## How to fix
Use the framework's own function (`torch.nn.Hardswish`, `tf.nn.relu6(x + 3) * x * (1 / 6)`), and check that the exporter does not
replace it (onnx2tf: no pseudo hard-swish).

## References
tensorflow/compiler/mlir/lite/transforms/prepare_patterns.td, optimize_patterns.td; delegates/gpu/common/gpu_model.cc.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf, nan

from latlint.checks._patterns import operand
from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Graph, Node
from latlint.whatif.edits import EditedGraph
from latlint.words import counted

RULE = Rule("LAT224", "hard-swish-in-pieces", "warning", (), "source")


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    found = seen.shared(_found)
    if not found:
        return

    def joined(graph: Graph) -> Graph:
        draft = EditedGraph(graph)
        for (*_, last), source in found:
            draft.change(last, kind="hard_swish", inputs=(source,))
        return draft.graph()

    message = f"hard-swish ×{len(found)} in {counted(len(found[0][0]), 'op')}{' each' if len(found) > 1 else ''}, which no kernel before them absorbs"
    nodes = [node for pieces, _ in found for node in pieces]
    yield from seen.judge(
        RULE, message, nodes, fix="export it as HARD_SWISH", gain=seen.gain("LAT224", joined, everywhere=True)
    )


def _found(view: View) -> list[tuple[list[Node], int]]:
    return [pieces for node in view.graph.nodes if node.kind == "mul" and (pieces := _pieces(view, node))]


def _pieces(view: View, product: Node) -> tuple[list[Node], int] | None:
    """The ops of a hard-swish that ends, but for a factor, in ``product``, and what it is computed of."""
    if len(product.inputs) != 2 or product.attributes.get("activation", "none") != "none":
        return None
    for slot in (0, 1):
        gate, source = _gate(view, view.source(product, slot), product.inputs[1 - slot])
        values = [_through(view, gate, x) for x in _SAMPLES] if gate else []
        pieces = [*gate, product]
        if values and _close(values, 6):
            last = view.sole_reader(product)
            factor = operand(view, last) if last is not None and last.kind in ("mul", "div") else None
            if last is None or factor is None or last.inputs[0] != factor[0]:
                continue
            if abs((1 / factor[1] if last.kind == "div" and factor[1] else factor[1]) - 1 / 6) > _NEAR:
                continue
            pieces.append(last)
        elif not values or not _close(values, 1):
            continue
        return pieces, source
    return None


#: Where a gate is looked at: below, at and above both of its corners.
_SAMPLES = (-100.0, -4.0, -3.0, -2.0, -0.5, 0.0, 1.0, 2.5, 3.0, 4.0, 100.0)
_NEAR = 1e-3
_LONGEST = 5


def _close(values: list[float], scale: float) -> bool:
    """Whether these are the values of a hard sigmoid, times ``scale``, at the samples."""
    wanted = (scale * min(max(x / 6 + 0.5, 0.0), 1.0) for x in _SAMPLES)
    return all(abs(value - other) < _NEAR * scale for value, other in zip(values, wanted, strict=True))


def _gate(view: View, node: Node | None, source: int) -> tuple[list[Node], int]:
    """The ops that compute a gate from ``source``, in their order; none where anything else goes in."""
    chain: list[Node] = []
    while node is not None and len(chain) < _LONGEST:
        runtime = view.runtime_inputs(node)
        if len(runtime) != 1 or (node.kind not in _STEPS and node.kind not in _CLAMPS):
            break
        chain.append(node)
        if runtime[0] == source:
            return chain[::-1], source
        node = view.source(node, node.inputs.index(runtime[0]))
    return [], source


_CLAMPS = {
    "none": (-inf, inf),
    "relu": (0.0, inf),
    "relu6": (0.0, 6.0),
    "relu_0_to_1": (0.0, 1.0),
    "relu_n1_to_1": (-1.0, 1.0),
}
#: What an op makes of a value and its constant.
_STEPS: dict[str, Callable[[float, float], float]] = {
    "add": lambda x, c: x + c,
    "sub": lambda x, c: x - c,
    "mul": lambda x, c: x * c,
    "div": lambda x, c: x / c if c else nan,
    "minimum": min,
    "maximum": max,
}


def _through(view: View, chain: list[Node], value: float) -> float:
    """What the ops make of ``value``; no number where one of them is not understood."""
    for node in chain:
        if node.kind in _STEPS:
            found = operand(view, node)
            if found is None or (node.kind in ("sub", "div") and node.inputs[0] != found[0]):
                return nan
            value = _STEPS[node.kind](value, found[1])
        low, high = _CLAMPS.get(
            node.kind if node.kind in _CLAMPS else str(node.attributes.get("activation", "none")), (nan, nan)
        )
        value = min(max(value, low), high)
    return value
