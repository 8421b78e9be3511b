"""Graph and rules to ``Plan``: fusion, kernel selection, delegate partitioning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from latlint.errors import LatlintError
from latlint.graph.types import Graph
from latlint.runtime.as_if import FLOATS, converted_to
from latlint.runtime.context import Context
from latlint.runtime.planners import alike, named, planner
from latlint.runtime.reasons import Refusal
from latlint.runtime.rules import Rules, load_rules
from latlint.runtime.types import ConvertedPlan, Kernel, Partition, Plan, Processor

__all__ = ["Kernel", "Partition", "Plan", "Plans", "Processor", "plan", "unloadable"]

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
        delegate=chosen.delegate,
        notes=(*said, *converted.notes[len(taken.notes) :], *planned.notes, *_notes(converted)),
    )
    return _on_original_nodes(found, graph, converted) if converted.origins else found


class Plans:
    """The plans of one graph. Processors that plan alike share a plan, and those whose rules differ in nothing but their names the kernels of
    one that says nowhere whose it is."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._floats = bool(graph.as_if) or any(tensor.dtype in FLOATS for tensor in graph.tensors)
        self._plans: dict[tuple[str, ...], Plan] = {}
        self._nameless: dict[tuple[str, ...], Plan] = {}

    def of(self, processor: Processor) -> Plan:
        """See ``plan``."""
        key, like = processor.plan_key, alike(processor, self._floats)
        if key not in self._plans:
            known = self._nameless.get(like)
            made = self._plans[key] = _called(known, processor) if known else plan(self._graph, processor)
            if not known and not _names(made, load_rules(processor.runtime).title):
                self._nameless[like] = made
        return self._plans[key]


def _names(made: Plan, title: str) -> bool:
    """Whether a plan says somewhere by whose rules it was made."""
    return bool(
        made.fallbacks
        or (made.converted and made.converted.plan.fallbacks)
        or any(title in note for note in made.notes)
        or any(
            isinstance(kernel.obstacle, Refusal) or any(title in text for text in kernel.explain)
            for kernel in made.kernels
        )
    )


def _called(made: Plan, processor: Processor) -> Plan:
    """``made`` as the plan of another runtime with the same rules."""
    converted = made.converted and made.converted._replace(plan=_called(made.converted.plan, processor))
    return replace(made, runtime=processor.runtime, processor=processor.name, converted=converted)


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
    kernels += [_folded(node.kind, node.index) for node in graph.nodes if node.index not in covered]
    fallbacks = {o: reason for n, reason in planned.fallbacks.items() for o in origins[n]}
    return replace(planned, kernels=tuple(kernels), fallbacks=fallbacks, converted=ConvertedPlan(converted, planned))


@lru_cache(maxsize=16_384)
def _folded(kind: str, index: int) -> Kernel:
    """Networks of PyTorch have more nodes of this sort than of all others."""
    return Kernel(kind, "none", (index,), (), (), free="folded away when the model is converted")


def _unique(indices: Iterable[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(indices))
