"""Graph and rules to ``Plan``: fusion, kernel selection, delegate partitioning."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from importlib import import_module
from typing import Any

from latlint.errors import LatlintError
from latlint.graph.types import Graph, Node
from latlint.runtime.rules import Rules, load_rules
from latlint.runtime.types import ConvertedPlan, Kernel, Partition, Plan, Processor

__all__ = ["Kernel", "Partition", "Plan", "Processor", "plan"]

#: The planner of each ``kind`` of rules file, ``(graph, processor, rules) -> Plan``, imported when one is planned for.
PLANNERS = {
    "cpu": "latlint.runtime.cpu:plan_cpu",
    "gpu-delegate": "latlint.runtime.gpu:plan_gpu",
}

#: What makes a graph of one dialect into one of another, as a converter would, ``(graph) -> Graph``: ``(from, to)``.
CONVERSIONS = {
    ("onnx", "tflite"): "latlint.runtime.convert:as_tflite",
}


def plan(graph: Graph, processor: Processor) -> Plan:
    """The kernels that ``processor.runtime`` would launch for ``graph``.

    A graph in another dialect than the runtime takes is planned as if it had been converted; node indices of the result are those
    of ``graph`` all the same. Raises ``LatlintError`` (LAT901) when there are no usable rules for the runtime, or no conversion.
    """
    rules = load_rules(processor.runtime)
    if rules.kind not in PLANNERS:
        raise LatlintError(f"rules/{rules.name}.toml: no planner for the kind {rules.kind!r}", code="LAT901")
    converted = as_taken(graph, rules)
    planned: Plan = _named(PLANNERS[rules.kind])(converted, processor, rules)
    return planned if converted is graph else _on_original_nodes(planned, graph, converted)


def _named(name: str) -> Any:
    """``module:function``."""
    module, _, function = name.partition(":")
    return getattr(import_module(module), function)


_last_converted: tuple[Graph, str, Graph] | None = None


def as_taken(graph: Graph, rules: Rules) -> Graph:
    """``graph`` in the dialect that the runtime of ``rules`` takes. The last one converted is kept: a model is planned once for each
    kind of processor."""
    global _last_converted
    if graph.dialect == rules.takes:
        return graph
    known = _last_converted
    if known is None or known[0] is not graph or known[1] != rules.takes:
        conversion = CONVERSIONS.get((graph.dialect, rules.takes))
        if conversion is None:
            raise LatlintError(
                f"{rules.name} runs {rules.takes} models, and nothing converts {graph.dialect} to that; choose another target",
                code="LAT902",
                path=graph.name,
            )
        known = _last_converted = (graph, rules.takes, _named(conversion)(graph))
    return known[2]


def _on_original_nodes(planned: Plan, graph: Graph, converted: Graph) -> Plan:
    """``planned`` with the indices of the nodes before conversion; nodes that conversion folded away are free."""
    origins = converted.origins
    kernels = [
        # a node that the conversion adds has no index to keep its refusal under: its kernel keeps it
        replace(k, nodes=_unique(o for n in k.nodes for o in origins[n]), reason=k.reason or _refusal(planned, k))
        for k in planned.kernels
    ]
    covered = {node for kernel in kernels for node in kernel.nodes}
    kernels += [_folded(node) for node in graph.nodes if node.index not in covered]
    fallbacks = {o: reason for n, reason in planned.fallbacks.items() for o in origins[n]}
    return replace(planned, kernels=tuple(kernels), fallbacks=fallbacks, converted=ConvertedPlan(converted, planned))


def _refusal(planned: Plan, kernel: Kernel) -> str:
    return planned.fallbacks.get(kernel.nodes[0], "") if kernel.nodes else ""


def _folded(node: Node) -> Kernel:
    return Kernel(node.kind, "none", (node.index,), (), (), free="folded away when the model is converted")


def _unique(indices: Iterable[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(indices))
