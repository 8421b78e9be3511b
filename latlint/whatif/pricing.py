"""What a change would buy: the graph is edited, planned and priced again for the same target."""

from __future__ import annotations

from collections.abc import Callable

from latlint.graph.types import Graph
from latlint.latency import engine
from latlint.latency.packs import Target
from latlint.runtime import Processor, plan
from latlint.runtime.planners import alike, takes_native
from latlint.whatif.gain import Spending

#: How many ops may be planned again for one model and kind of processor.
MAX_PLANNED_OPS = 20_000

#: Makes the graph that is compared with, or ``None`` where the change cannot be made.
Edit = Callable[[Graph], Graph | None]


class Alternatives:
    """What edits of ``graph`` would take. Targets that plan alike share the plan of an edited graph; how many are planned is bounded, so
    that linting stays fast whatever the model."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._graphs: dict[str, Graph | None] = {}
        self._works: dict[tuple[str, ...], engine.Workload] = {}
        self._planned_ops: dict[tuple[str, ...], int] = {}

    def after(self, label: str, edit: Edit, target: Target, *, everywhere: bool = False) -> Spending | None:
        """What the edited graph would spend on ``target``; ``None`` where the edit cannot be made or the bound is reached. ``label`` names the
        edit, which is the same for all that plan alike, or ``everywhere``."""
        work = self._work(label, edit, target.processor, everywhere)
        if work is None:
            return None
        found = engine.times(work, target)
        names = (kernel.implementation for kernel in work.plan.kernels)
        spent = zip(names, found.kernels.tolist(), found.predicted.tolist(), strict=True)
        return Spending(spent, found.overhead_ms, float(found.kernels.sum()) + found.overhead_ms, len(work.unknown))

    def _work(self, label: str, edit: Edit, processor: Processor, everywhere: bool) -> engine.Workload | None:
        key = alike(processor)
        if (*key, label) not in self._works:
            planned = self._planned_ops.get(key, 0) + len(self._graph.nodes)
            graph = self._edited(label, edit, everywhere) if planned <= MAX_PLANNED_OPS else None
            if graph is None or not _plannable(self._graph, graph, processor):
                return None
            self._planned_ops[key] = planned
            self._works[(*key, label)] = engine.workload(plan(graph, processor))
        return self._works[(*key, label)]

    def _edited(self, label: str, edit: Edit, everywhere: bool) -> Graph | None:
        if not everywhere:
            return edit(self._graph)
        if label not in self._graphs:
            self._graphs[label] = edit(self._graph)
        return self._graphs[label]


def _plannable(graph: Graph, edited: Graph, processor: Processor) -> bool:
    """Whether the processor's runtime can take the edited graph. One that takes the ops as the file has them can where nodes were only
    left out, or stated in the words of the file (new ``native_attributes``): all else that edits change or add is in those of ``graph.ops``."""
    if not takes_native(processor):
        return True
    known = {(node.native, id(node.attributes), len(node.inputs)) for node in graph.nodes}
    given = {id(node.native_attributes) for node in graph.nodes}
    return all(
        (node.native, id(node.attributes), len(node.inputs)) in known
        or (node.native_inputs and id(node.native_attributes) not in given)
        for node in edited.nodes
    )
