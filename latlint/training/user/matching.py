"""Which kernel of the plan a profiled op is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from latlint.errors import LatlintError
from latlint.graph.tflite_ops import BUILTIN_NAMES
from latlint.graph.types import Graph
from latlint.runtime.types import Plan
from latlint.training.measurements import kernel_name
from latlint.training.user.readers import OpTime, Profile
from latlint.words import cut_middle

#: Share of a profile's time that must be of ops that the model has.
MIN_MATCHED = 0.5

#: XNNPACK's own names of what it runs (``src/xnnpack/operator-type-defs.h``), by how they begin.
_XNNPACK: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "Convolution": frozenset({"conv2d", "depthwise_conv2d"}),
        "Fully Connected": frozenset({"fully_connected"}),
        "Global Average Pooling": frozenset({"mean"}),
        "Mean": frozenset({"mean"}),
        "Average Pooling": frozenset({"average_pool2d"}),
        "Max Pooling": frozenset({"max_pool2d"}),
        "Add": frozenset({"add"}),
        "Multiply": frozenset({"mul"}),
        "HardSwish": frozenset({"hard_swish"}),
        "Sigmoid": frozenset({"sigmoid"}),
        "Softmax": frozenset({"softmax"}),
        "Constant Pad": frozenset({"pad"}),
    }
)


def kernel_times(graph: Graph, plan: Plan, profile: Profile) -> dict[int, float]:
    """Milliseconds by position of the kernel, of those that the profile times.

    An op is found by its index in the model (TensorFlow Lite), by the name of its node or output (ONNX Runtime, whose optimiser
    appends to them), or by its place among its likes where the plan has as many of them as the profile (kernels of a delegate).
    Raises LatlintError when half of the time is in ops that the model does not have.
    """
    by_node = {node: position for position, kernel in enumerate(plan.kernels) for node in kernel.nodes}
    names = _names(graph)
    implementations = {kernel.implementation for kernel in plan.kernels}
    found: dict[int, float] = defaultdict(float)
    strangers: list[OpTime] = []
    inner: dict[str, list[OpTime]] = defaultdict(list)
    for op in profile.ops:
        if "Delegate" in op.type:
            continue  # a whole partition: what it holds is listed apart, or not at all
        node = _node(op, graph, names)
        if node is not None and node in by_node:
            found[by_node[node]] += op.ms
        elif op.type not in BUILTIN_NAMES and (op.index is not None or _label(op) in implementations):
            inner[_label(op)].append(op)
        else:
            strangers.append(op)
    strangers += _in_order(inner, plan, found)
    _check(profile, strangers)
    return {at: ms for at, ms in found.items() if ms > 0 and not plan.kernels[at].free}


def _names(graph: Graph) -> dict[str, int]:
    """Nodes by their names and by those of their outputs."""
    found = {graph.tensors[tensor].name: node.index for node in graph.nodes for tensor in node.outputs if tensor >= 0}
    return found | {node.name: node.index for node in graph.nodes if node.name}


def _node(op: OpTime, graph: Graph, names: Mapping[str, int]) -> int | None:
    """The node that an op is, by index or by name."""
    if op.type in BUILTIN_NAMES and op.index is not None:
        inside = op.index < len(graph.nodes) and graph.nodes[op.index].native == op.type
        return op.index if inside else None
    for name in (op.name, op.name.removesuffix("_nchwc"), op.name.removeprefix("fused "), op.name.rpartition("/")[0]):
        if name in names:
            return names[name]
    return None


def _label(op: OpTime) -> str:
    return next((start for start in _XNNPACK if op.type.startswith(start)), kernel_name(op.type)[0])


def _in_order(inner: Mapping[str, Sequence[OpTime]], plan: Plan, found: dict[int, float]) -> list[OpTime]:
    """Times of a delegate's kernels, where the plan has as many of a kind as the profile; returns the others."""
    left: list[OpTime] = []
    for label, ops in inner.items():
        kinds = _XNNPACK.get(label, frozenset())
        positions = [
            at
            for at, kernel in enumerate(plan.kernels)
            if not kernel.free and (kernel.op in kinds or kernel.implementation == label)
        ]
        if len(positions) == len(ops):
            for at, op in zip(positions, ops, strict=True):
                found[at] += op.ms
        else:
            left += ops
    return left


def _check(profile: Profile, strangers: Sequence[OpTime]) -> None:
    listed = [op for op in profile.ops if "Delegate" not in op.type]
    spent = sum(op.ms for op in listed)
    if spent > 0 and sum(op.ms for op in strangers) > (1 - MIN_MATCHED) * spent:
        worst = max(strangers, key=lambda op: op.ms)
        message = (
            f"{len(strangers)} of its {len(listed)} ops cannot be matched to {profile.model}, such as {cut_middle(worst.type, 80)} "
            f"{cut_middle(worst.name, 80)}: is it another model's profile, or another --runtime's?"
        )
        raise LatlintError(message, path=profile.source)
