"""A GELU or a normalisation that ONNX Runtime does not recognise.

## What it does
Reports GELUs and layer normalisations that an ONNX model spells out in a way that ONNX Runtime 1.32 leaves as single ops on the CPU: which condition
of its fusion failed, and what the one op would save.

## Why is this slow?
ONNX Runtime looks for fixed forms. A GELU must be `x * 0.5 * (1 + erf(x / sqrt(2)))`, with a division, the half on x or on the product, and the constants right
to five digits; the approximation by tanh has no fusion on the CPU. A layer normalisation must square by `Pow(d, 2)`, go over the last axes, and end in a
product and a sum with constants. In any other form each step is a pass over the tensor. The opset does not matter (asked from 9 to 24), nor do
constants in another file.

## Example that fails
```text
# x86-64-avx512/cpu-1@onnxruntime onnx
x = input 1x512x768
r = const 1 value=1.41
one = const 1 value=1
half = const 1 value=0.5
a = div x r native=Div
b = erf a native=Erf
c = add b one native=Add
d = mul x c native=Mul
y = mul d half native=Mul
```

## Example that passes
```text
# x86-64-avx512/cpu-1@onnxruntime onnx
x = input 1x512x768
r = const 1 value=1.4142135
one = const 1 value=1
half = const 1 value=0.5
a = div x r native=Div
b = erf a native=Erf
c = add b one native=Add
d = mul x c native=Mul
y = mul d half native=Mul
```

## How to fix
Export `torch.nn.GELU()` and `torch.nn.LayerNorm` themselves, from opset 20 on as the ops Gelu (with `approximate="tanh"` too) and LayerNormalization.

## References
onnxruntime/core/optimizer/gelu_fusion.cc, fast_gelu_fusion.cc, layer_norm_fusion.cc; asked of ONNX Runtime 1.32.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isclose
from types import MappingProxyType

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.types import Graph, Node
from latlint.runtime.context import Context
from latlint.runtime.groups import Group, find
from latlint.whatif.edits import EditedGraph
from latlint.words import counted

RULE = Rule("LAT262", "missed-fusion", "warning", ("onnxruntime",), "source")

#: What groups of steps are called -> the one op, its domain with it.
_OPS = MappingProxyType(
    {"gelu_spelt_out": ("GELU", "com.microsoft::Gelu"), "layer_norm": ("layer norm", "LayerNormalization")}
)
#: How many vectors the one op reads beside its data.
_VECTORS = MappingProxyType({"GELU": 0, "layer norm": 2})


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    spelt: dict[tuple[str, str], list[Group]] = {}
    kernels: dict[int, set[int]] = {}
    for position, kernel in enumerate(seen.plan.kernels):
        for index in () if kernel.free else kernel.nodes:
            kernels.setdefault(index, set()).add(position)
    for group in seen.shared(_groups):
        running = {position for index in group.nodes for position in kernels.get(index, ())}
        why = _why(seen, group) if len(running) > 1 else ""  # one kernel is in one piece
        if why:
            spelt.setdefault((_OPS[group.kind][0], why), []).append(group)
    for (name, why), found in sorted(spelt.items()):
        nodes = [seen.graph.nodes[index] for group in found for index in group.nodes]
        gain = seen.gain(f"LAT262 {name} {why}", lambda graph, found=found: _as_one_op(graph, found))  # type: ignore[misc]
        message = f"{name} ×{len(found)} left as {counted(len(nodes), 'op')}: {why}"
        yield from seen.judge(
            RULE, message, nodes, fix="export the op, or the form that is fused", gain=gain, identity=(name, why)
        )


def _groups(view: View) -> list[Group]:
    found = find(Context(view.graph), range(len(view.graph.nodes)))
    return [group for group in found.values() if group.kind in _OPS]


def _why(view: View, group: Group) -> str:
    """The condition of the fusion that failed; empty where nobody can tell."""
    nodes = [view.graph.nodes[index] for index in group.nodes]
    constants = [view.tensor(index) for node in nodes for index in view.constant_inputs(node)]
    if any(each.elements == 1 and each.value is None for each in constants):
        return ""  # in another file: ONNX Runtime reads it, latlint does not
    if view.tensor(group.data).dtype != "float32":
        return "float16 rounds its constants"
    return _of_gelu(view, nodes) if group.kind == "gelu_spelt_out" else _of_norm(view, nodes, group)


def _of_gelu(view: View, nodes: Sequence[Node]) -> str:
    if any(node.kind == "tanh" for node in nodes):
        return "no fusion for the approximation by tanh on the CPU"
    values = sorted(
        float(value[0])
        for node in nodes
        for index in view.constant_inputs(node)
        if (value := view.tensor(index).value) is not None and len(value) == 1
    )
    for want in (0.5, 1.0):
        if not any(isclose(value, want, rel_tol=1e-5) for value in values):
            return f"no constant {want:g}"
    if any(isclose(value, 0.5**0.5, rel_tol=1e-5) for value in values):
        return "it multiplies by 1 / sqrt(2), and does not divide by the root of 2"
    if not any(isclose(value, 2**0.5, rel_tol=1e-5) for value in values):
        return "its divisor is not the root of 2 to five digits"
    return "its steps are in another order"


def _of_norm(view: View, nodes: Sequence[Node], group: Group) -> str:
    shape = view.shape(group.data)
    means = [node for node in nodes if node.kind == "mean"]
    axes = {tuple(node.attributes.get("axes", ())) for node in means}
    if any(each != tuple(range(len(shape) - len(each), len(shape))) for each in axes):
        return "it is not over the last axes"
    if not any(node.kind == "pow" for node in nodes):
        return "the square is a product, not Pow(d, 2)"
    vectors = [i for node in nodes for i in view.constant_inputs(node) if (view.tensor(i).elements or 0) > 1]
    if len(vectors) < _VECTORS["layer norm"]:
        return "no scale and no bias"
    return "its steps are in another order"


def _as_one_op(graph: Graph, found: Sequence[Group]) -> Graph:
    draft = EditedGraph(graph)
    for group in found:
        last = graph.nodes[group.nodes[-1]]
        name, native = _OPS[group.kind]
        vectors = [
            i
            for index in group.nodes
            for i in graph.nodes[index].inputs
            if i >= 0 and graph.tensors[i].constant and (graph.tensors[i].elements or 0) > 1
        ][: _VECTORS[name]]
        width = (graph.tensors[group.data].shape or (1,))[-1:]
        while len(vectors) < _VECTORS[name]:
            vectors.append(
                draft.new_tensor(
                    group.data, f"{last.name}/vector{len(vectors)}", shape=width, constant=True, value=None
                )
            )
        inputs = (group.data, *vectors)
        draft.change(
            last, kind=group.kind.removesuffix("_spelt_out"), native=native, inputs=inputs, native_inputs=inputs,
            attributes={}, native_attributes={"axis": -1} if vectors else {},
        )  # fmt: skip
    return draft.graph()
