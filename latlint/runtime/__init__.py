"""Graph and rules to ``Plan``: fusion, kernel selection, delegate partitioning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from latlint.errors import LatlintError
from latlint.graph.types import Graph, Node
from latlint.runtime.as_if import converted_to
from latlint.runtime.context import Context
from latlint.runtime.planners import named, planner
from latlint.runtime.rules import Rules, load_rules
from latlint.runtime.types import ConvertedPlan, Kernel, Partition, Plan, Processor

__all__ = ["Kernel", "Partition", "Plan", "Processor", "plan", "unloadable"]

#: What makes a graph of one dialect into one of another, as a converter would, ``(graph) -> Graph``: ``(from, to, converter)``, the last as
#: a rules file names it.
CONVERSIONS = {
    ("onnx", "tflite", ""): "latlint.runtime.convert:as_tflite",
    ("onnx", "tflite", "newest"): "latlint.runtime.convert:as_newest_tflite",
}


def plan(graph: Graph, processor: Processor) -> Plan:
    """The kernels that ``processor.runtime`` would launch for ``graph``; or, where it has an ``as_if``, for what it would be converted to.

    A graph in another dialect than the runtime takes is planned as if it had been converted; node indices of the result are those
    of ``graph`` all the same. Raises ``LatlintError`` (LAT901) when there are no usable rules for the runtime, or no conversion.
    """
    rules = load_rules(processor.runtime)
    taken = as_taken(graph, rules)
    converted = converted_to(taken, graph.as_if) if graph.as_if else taken
    # a runtime that reads the file itself converts nothing, whatever its kernels are made from here
    said = graph.notes if rules.reads == graph.dialect else taken.notes
    chosen = planner(processor.runtime)
    planned = chosen.plan(Context(converted, source=graph), range(len(converted.nodes)), processor)
    found = Plan(
        runtime=processor.runtime,
        processor=processor.name,
        precision=converted.precision,
        kernels=planned.kernels,
        partitions=planned.partitions,
        fallbacks=planned.fallbacks,
        delegate=chosen.executors[0] if len(chosen.executors) > 1 else "",
        notes=(*said, *converted.notes[len(taken.notes) :], *planned.notes, *_notes(converted)),
    )
    return _on_original_nodes(found, graph, converted) if converted.origins else found


def unloadable(dialect: str, processor: Processor) -> str:
    """Why ``processor.runtime`` cannot load a file of ``dialect``, in words; empty where it can, or where the file can be converted."""
    rules = load_rules(processor.runtime)
    if rules.reads and dialect != rules.reads:
        return f"{rules.title} loads {rules.reads} models, not {dialect} ones"
    if dialect != rules.takes and (dialect, rules.takes, rules.converter) not in CONVERSIONS:
        return f"{rules.title} runs {rules.takes} models, and nothing converts {dialect} to that"
    return ""


def _notes(graph: Graph) -> Iterator[str]:
    if any(dim < 0 for tensor in graph.tensors for dim in tensor.shape or ()):
        yield "dimensions that are only known at run time are taken as 1"


#: The last graph that was converted, and what became of it by each way of ``CONVERSIONS``.
_last_converted: tuple[Graph | None, dict[tuple[str, str, str], Graph]] = (None, {})


def as_taken(graph: Graph, rules: Rules) -> Graph:
    """``graph`` in the dialect that the runtime of ``rules`` takes, the same object for all that convert alike: a model is planned
    once for each kind of processor."""
    global _last_converted
    if graph.dialect == rules.takes:
        return graph
    known = _last_converted  # looked up once: another thread may be at another graph
    if known[0] is not graph:
        known = _last_converted = (graph, {})
    made, key = known[1], (graph.dialect, rules.takes, rules.converter)
    if key not in made:
        conversion = CONVERSIONS.get(key)
        if conversion is None:
            raise LatlintError(
                f"{rules.name} runs {rules.takes} models, and nothing converts {graph.dialect} to that; choose another target",
                code="LAT902",
                path=graph.name,
            )
        made[key] = named(conversion)(graph)
    return made[key]


def _on_original_nodes(planned: Plan, graph: Graph, converted: Graph) -> Plan:
    """``planned`` with the indices of the nodes before conversion; nodes that conversion folded away are free."""
    origins = converted.origins
    kernels = [
        # a node that the conversion adds has no index to keep its refusal under: its kernel keeps it
        k._replace(
            nodes=_unique(o for n in k.nodes for o in origins[n]),
            obstacle=k.obstacle or (planned.fallbacks.get(k.nodes[0]) if k.nodes else None),
        )
        for k in planned.kernels
    ]
    covered = {node for kernel in kernels for node in kernel.nodes}
    kernels += [_folded(node) for node in graph.nodes if node.index not in covered]
    fallbacks = {o: reason for n, reason in planned.fallbacks.items() for o in origins[n]}
    return replace(planned, kernels=tuple(kernels), fallbacks=fallbacks, converted=ConvertedPlan(converted, planned))


def _folded(node: Node) -> Kernel:
    return Kernel(node.kind, "none", (node.index,), (), (), free="folded away when the model is converted")


def _unique(indices: Iterable[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(indices))
