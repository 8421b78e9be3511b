"""An execution provider of ONNX Runtime beside the CPU's: which nodes it takes, how the graph is split, and what the CPU provider makes of the rest.

Providers are asked after the first level of optimisation, about each node of the file as that level leaves it. What none takes is the CPU
provider's, whose levels then work on that alone. Acceptance is ``runtime.acceptance``'s, in the words of a rules file of ``kind = "provider"``; the
split is ONNX Runtime's own (``runtime.partition.groups``).
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from latlint.graph.types import NO_ATTRIBUTES, Graph, Node
from latlint.runtime.context import Context
from latlint.runtime.delegate import DelegatePlanner
from latlint.runtime.delegate import parse as parse_delegate
from latlint.runtime.onnxruntime import functions
from latlint.runtime.onnxruntime.draft import Draft, Op
from latlint.runtime.onnxruntime.optimise import basic, finish
from latlint.runtime.onnxruntime.planner import OnnxRuntimePlanner, free_kernels, kernel_of, kind_of
from latlint.runtime.partition import groups, joined
from latlint.runtime.planners import Planned, parsed, planner
from latlint.runtime.reasons import Refusal
from latlint.runtime.rules import Rules
from latlint.runtime.types import Kernel, Partition, Processor

#: What runs what a provider leaves, on a device that nobody named: nothing says what it takes there.
_REST = "cpu"


class ProviderPlanner(DelegatePlanner):
    """See ``DelegatePlanner``; ``fallback`` is the CPU provider. There is one kernel for each node that the provider takes, though it may compile
    a partition as a whole."""

    def plan(self, context: Context, nodes: Sequence[int], processor: Processor) -> Planned:
        graph = context.graph
        cpu = _cpu(self.fallback)
        draft = basic(graph, cpu.schemas)
        functions.expand(draft, self.acceptance.ops)
        draft.sweep()
        draft.settle()
        ops = list(draft.ops())
        every = range(len(ops))
        seen = Context(_as_graph(graph, draft, ops), draft.constants)
        unpackers = seen.unpackers(every, self.unpacks)
        seen = seen.with_constants({*draft.constants, *(tensor for node in unpackers for tensor in node.outputs)})
        refused = self._refusals(seen, every, unpackers)
        split = joined(self._kept(groups(seen, every, lambda index: index not in refused), refused))
        taken = {index for epoch in split if epoch.delegated for index in epoch.nodes}
        kernels = {number: kernel_of(graph, draft, ops[number]) for number in taken}
        place = {origin: number for number, epoch in enumerate(split) for i in epoch.nodes for origin in ops[i].origins}
        draft.leave_out([ops[index] for index in sorted(taken)])
        finish(draft, cpu.facts(processor))
        rest: dict[int, list[Kernel]] = {}
        for op in draft.ops():
            made = kernel_of(graph, draft, op)
            rest.setdefault(place.get(made.nodes[0], 0) if made.nodes else 0, []).append(made)
        found: list[Kernel] = []
        partitions: list[Partition] = []
        for number, epoch in enumerate(split):
            here = [kernels[index] for index in epoch.nodes] if epoch.delegated else rest.pop(number, [])
            found += [each._replace(partition=len(partitions)) for each in here]
            if epoch.delegated:
                partitions.append(Partition(self.executor, len(here), *seen.crossing_bytes(epoch.nodes)))
            elif here:
                partitions.append(Partition(_REST, len(epoch.nodes)))
        # what the levels put beside a node that the provider takes
        for left in rest.values():
            found += [each._replace(partition=len(partitions)) for each in left]
            partitions.append(Partition(_REST, len(left)))
        found += free_kernels(graph, draft, nodes, found)
        fallbacks = {origin: why for index, why in sorted(refused.items()) for origin in ops[index].origins}
        return Planned(
            tuple(found),
            tuple(partitions),
            MappingProxyType(dict(sorted(fallbacks.items()))),
            self._notes(seen, sorted(taken)) or self.notes,
        )

    def _refusals(self, context: Context, nodes: Sequence[int], unpackers: Sequence[Node]) -> dict[int, Refusal]:
        """As any delegate; what goes into the node before it is taken with that."""
        refused = super()._refusals(context, nodes, unpackers)
        for index in sorted(refused):
            node = context.graph.nodes[index]
            before = context.producers.get(node.inputs[0]) if node.inputs else None
            if before is None or before in refused or not context.sole_use(node.inputs[0]):
                continue
            native = context.graph.nodes[before].native
            if any(node.native in fusion.ops and native in fusion.into for fusion in self.fuses):
                del refused[index]
        return refused


def _as_graph(graph: Graph, draft: Draft, ops: Sequence[Op]) -> Graph:
    """The draft as a graph of nodes in the format's own words, numbered as in ``ops``."""
    return Graph(
        graph.name,
        graph.format,
        graph.dialect,
        tuple(_node(graph, draft, number, op) for number, op in enumerate(ops)),
        tuple(draft.tensors),
        tuple(sorted(draft.inputs)),
        tuple(sorted(draft.outputs)),
    )


def _node(graph: Graph, draft: Draft, number: int, op: Op) -> Node:
    main = graph.nodes[op.origins[0]] if op.origins else None
    same = main is not None and main.native.rpartition("::")[2] == op.op
    return Node(
        index=number,
        name=main.name if main else draft.tensors[op.outputs[0]].name,
        kind=kind_of(graph, op),
        native=f"{op.domain}::{op.op}" if op.domain and "::" not in op.op else op.op,
        inputs=tuple(op.inputs),
        outputs=tuple(op.outputs),
        attributes=main.attributes if main is not None and same else NO_ATTRIBUTES,
        version=op.version if same else draft.opset,
        native_inputs=tuple(op.inputs),
        native_attributes=op.attributes,
        inner=main.inner if main else 0,
        repeat=main.repeat if main else 1,
        in_round=main.in_round if main else 1,
    )


def _cpu(fallback: str) -> OnnxRuntimePlanner:
    found = planner(fallback)
    if not isinstance(found, OnnxRuntimePlanner):
        raise ValueError(f"fallback: {fallback!r} is not ONNX Runtime's CPU provider")
    return found


def parse(rules: Rules) -> ProviderPlanner:
    """The planner of a rules file; ``LatlintError`` (LAT901) names the key that is missing, unknown or of another type."""
    return parsed(rules, _parse)


def _parse(rules: Rules) -> ProviderPlanner:
    data: dict[str, Any] = {**rules.data, "by_native": True}
    found = ProviderPlanner(*parse_delegate(rules._replace(data=data)))
    _cpu(found.fallback)
    return found
