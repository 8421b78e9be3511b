"""Graph and rules to ``Plan``: fusion, kernel selection, delegate partitioning."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from latlint.errors import LatlintError
from latlint.graph.types import Graph, Node
from latlint.runtime.rules import load_rules
from latlint.runtime.types import ConvertedPlan, Kernel, Partition, Plan, Processor

__all__ = ["Kernel", "Partition", "Plan", "Processor", "plan"]


def plan(graph: Graph, processor: Processor) -> Plan:
    """The kernels that ``processor.runtime`` would launch for ``graph``.

    A graph that is not TensorFlow Lite's is planned as if it had been converted; node indices of the result are those of
    ``graph`` all the same. Raises ``LatlintError`` (LAT901) when there are no usable rules for the runtime.
    """
    rules = load_rules(processor.runtime)
    converted = _as_tflite(graph)
    if rules.kind == "gpu-delegate":
        from latlint.runtime.gpu import plan_gpu

        planned = plan_gpu(converted, processor, rules)
    elif rules.kind == "cpu":
        from latlint.runtime.cpu import plan_cpu

        planned = plan_cpu(converted, processor, rules)
    else:
        raise LatlintError(f"rules/{rules.name}.toml: no planner for the kind {rules.kind!r}", code="LAT901")
    return planned if converted is graph else _on_original_nodes(planned, graph, converted)


_last_converted: tuple[Graph, Graph] | None = None


def _as_tflite(graph: Graph) -> Graph:
    """``graph`` as if converted. The last one is kept: a model is planned once for each kind of processor."""
    global _last_converted
    if graph.format == "tflite":
        return graph
    known = _last_converted
    if known is None or known[0] is not graph:
        from latlint.runtime.convert import as_tflite

        known = _last_converted = (graph, as_tflite(graph))
    return known[1]


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
