"""A delegate, or an execution provider, as its rules file describes it: which nodes it takes, what it fuses, what runs the rest.

The file (``kind = "delegate"``) is data; here are the algorithms that data cannot say: the split of the graph (TensorFlow Lite's, see
``runtime.partition``), what goes along with what, and fusion. It serves XNNPACK and NPUs alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from latlint.graph.ops import KINDS, UNARY
from latlint.graph.types import Node
from latlint.records import NamedTuple
from latlint.runtime.acceptance import Acceptance, parse_acceptance
from latlint.runtime.context import Context
from latlint.runtime.facts import Facts
from latlint.runtime.kernels import KernelRule, choose, kernel, parse_kernels, slower
from latlint.runtime.partition import Epoch, epochs, keep_largest
from latlint.runtime.planners import Planned, assembled, parsed, planner
from latlint.runtime.reasons import Refusal, sentence
from latlint.runtime.rules import Rules
from latlint.runtime.types import Kernel, Partition, Processor
from latlint.words import counted


class Fusion(NamedTuple):
    """``ops`` go into the node of one of the kinds ``into`` (none: of any) that writes their first input, where nothing else reads that: at
    most ``limit`` of them into one node (``None``: any number). With ``pairs`` they may read other computed values, where these are there
    before that node runs."""

    ops: frozenset[str]
    into: frozenset[str] = frozenset()
    limit: int | None = None
    pairs: bool = False


class DelegatePlanner(NamedTuple):
    """A delegate. What it leaves, the runtime ``fallback`` runs.

    ``max_partitions`` 0 is no limit; partitions of fewer than ``min_nodes`` are not kept. ``unpacks`` are the types of constants that a
    DEQUANTIZE unpacks once, when the delegate is applied. A PAD of height and width goes into the kinds ``takes_pad`` after it.
    ``computes`` says in which type the values of another are computed with. Without ``takes_dynamic`` the delegate is not applied to a
    graph with a tensor whose size depends on what is computed. With ``whole`` it takes all of a graph or nothing. An op that it takes and cannot
    prepare keeps a file from being loaded; with ``undone`` it is applied to nothing then. ``notes`` are what a user must know of whatever it runs.
    """

    executor: str
    fallback: str
    acceptance: Acceptance
    kernels: Mapping[str, tuple[KernelRule, ...]]
    max_partitions: int = 0
    min_nodes: int = 1
    unpacks: frozenset[str] = frozenset()
    fuses: tuple[Fusion, ...] = ()
    takes_pad: frozenset[str] = frozenset()
    computes: Mapping[str, str] = MappingProxyType({})
    takes_dynamic: bool = True
    whole: bool = False
    undone: bool = False
    notes: tuple[str, ...] = ()

    @property
    def delegate(self) -> str:
        return self.executor

    def plan(self, context: Context, nodes: Sequence[int], processor: Processor) -> Planned:
        unpackers = context.unpackers(nodes, self.unpacks)
        seen = context.with_constants(tensor for node in unpackers for tensor in node.outputs)
        dynamic = None if self.takes_dynamic else dynamic_graph(context, self.acceptance.by)
        refused = dict.fromkeys(nodes, dynamic) if dynamic else self._refusals(seen, nodes, unpackers)
        split = self._kept(epochs(seen, nodes, lambda index: index not in refused), refused)
        return assembled(
            split,
            lambda members: self._delegated(seen, members),
            lambda left: planner(self.fallback).plan(context, left, processor),
            refused,
            (sentence(dynamic),)
            if dynamic
            else self._notes(seen, [node for epoch in split if epoch.delegated for node in epoch.nodes]),
        )

    def _notes(self, context: Context, taken: Sequence[int]) -> tuple[str, ...]:
        """What a user must know of what is delegated: of all of it, and of single ops, each once."""
        if not taken:
            return ()
        said = (text for node in taken for text in self.acceptance.warnings(context, context.graph.nodes[node]))
        return tuple(dict.fromkeys((*self.notes, *said)))

    def _refusals(self, context: Context, nodes: Sequence[int], unpackers: Sequence[Node]) -> dict[int, Refusal]:
        """Node -> why the delegate leaves it; a node that it takes is not in the result. A node that unpacks weights goes along with
        those that read them."""
        unpack = {node.index for node in unpackers}
        refused: dict[int, Refusal] = {}
        for index in nodes:
            if index not in unpack and (why := self.acceptance.refusal(context, context.graph.nodes[index])):
                refused[index] = why
        for node in unpackers:
            readers = [reader for tensor in node.outputs for reader, _ in context.uses.get(tensor, ())]
            if all(reader in refused for reader in readers):
                refused[node.index] = Refusal("READERS_REFUSED", {"by": self.acceptance.by})
        refused |= self._broken(
            context, [index for index in nodes if index not in refused and index not in unpack], nodes
        )
        if self.whole and refused:
            values = {"by": self.acceptance.by, "others": counted(len(refused), "op")}
            refused = {index: refused.get(index) or Refusal("WHOLE_GRAPH", values) for index in nodes}
        return refused

    def _broken(self, context: Context, taken: Sequence[int], nodes: Sequence[int]) -> dict[int, Refusal]:
        """The nodes that it takes and cannot prepare; all, where that undoes it. What a converter would have written is not known so exactly."""
        by, of = self.acceptance.by, context.graph.nodes
        if context.graph.as_if or context.source is not context.graph:
            return {}
        found = {index: why for index in taken if (why := self.acceptance.breaks(context, of[index]))}
        if found and self.undone:
            first, why = next(iter(found.items()))
            return dict.fromkeys(nodes, Refusal("INIT_FAILED", {"by": by, "node": of[first].name, "why": why}))
        return {
            index: Refusal("NOT_PREPARED", {"by": by, "native": of[index].native, "why": why})
            for index, why in found.items()
        }

    def _kept(self, split: Sequence[Epoch], refused: dict[int, Refusal]) -> list[Epoch]:
        """``split`` with the partitions that the delegate keeps; the nodes of others are added to ``refused``."""
        by = self.acceptance.by
        kept = []
        for epoch in split:
            small = epoch.delegated and len(epoch.nodes) < self.min_nodes
            kept.append(Epoch(epoch.delegated and not small, epoch.nodes))
            if small:
                values = {"by": by, "nodes": counted(len(epoch.nodes), "op"), "least": self.min_nodes}
                refused.update(dict.fromkeys(epoch.nodes, Refusal("SMALL_PARTITION", values)))
        if not self.max_partitions:
            return kept
        largest = keep_largest(kept, self.max_partitions)
        for before, after in zip(kept, largest, strict=True):
            if before.delegated and not after.delegated:
                refused.update(dict.fromkeys(before.nodes, smaller_partition(by, self.max_partitions)))
        return largest

    def _delegated(self, context: Context, members: Sequence[int]) -> tuple[list[Kernel], Partition]:
        """The kernels of one part, after fusion."""
        groups, apart = _Fusing(self, context).groups(members)
        kernels = [self._kernel(context, main, fused, apart.get(main, "")) for main, fused in groups.items()]
        return kernels, Partition(self.executor, len(members), *context.crossing_bytes(members))

    def _kernel(self, context: Context, index: int, fused: Sequence[int], apart: str) -> Kernel:
        node = context.graph.nodes[index]
        if not context.constants.isdisjoint(node.outputs):
            return kernel(context, (node,), "unpack", free="unpacked once, when the model is loaded")
        merged = [context.graph.nodes[other] for other in fused]
        pad = next((other for other in merged if other.kind == "pad"), None) if merged else None
        attributes = node.attributes
        known: dict[str, Any] = {}
        if pad is not None:
            (top, bottom), (left, right) = pad.attributes["pads"][1:3]
            attributes = {**attributes, "padding": (top, bottom, left, right)}
            known["pointwise"] = False
        rule, why = choose(self.kernels[node.kind], Facts(context, node, **known))
        merges = [f"does the work of {other.kind} {'before' if other is pad else 'after'} it" for other in merged]
        return kernel(
            context,
            (node, *merged),
            rule.implementation,
            attributes=attributes,
            threads=rule.threads,
            computes=self.computes,
            obstacle=slower(rule),
            explain=(*merges, *why, *filter(None, [apart])),
        )


class _Fusing:
    """What of a partition goes into one kernel."""

    def __init__(self, rules: DelegatePlanner, context: Context) -> None:
        self.rules = rules
        self.context = context
        self.fused_ops = frozenset[str]().union(*(fusion.ops for fusion in rules.fuses))

    def groups(self, members: Sequence[int]) -> tuple[dict[int, list[int]], dict[int, str]]:
        """Main node -> nodes merged into it, in execution order of the main nodes; and why an op that could have been merged into
        the one before it was not."""
        groups: dict[int, list[int]] = {}
        apart: dict[int, str] = {}
        owner: dict[int, int] = {}  # tensor -> the main node that writes it after fusion
        for index in members:
            node = self.context.graph.nodes[index]
            before = owner.get(node.inputs[0]) if node.inputs and node.outputs else None
            if before is not None:
                producer = self.context.graph.nodes[before]
                apart[index] = self._obstacle(producer, node, groups[before])
                if not apart[index] and node.kind in self.fused_ops:
                    groups[before].append(index)
                    owner[node.outputs[0]] = before
                    continue
                if not groups[before] and self._merges_pad(producer, node):
                    apart[index] = ""
                    groups[index] = [before]
                    del groups[before]
                    owner[node.outputs[0]] = index
                    continue
            groups[index] = []
            owner.update(dict.fromkeys(node.outputs, index))
        return groups, apart

    def _obstacle(self, producer: Node, node: Node, merged: Sequence[int]) -> str:
        """Why an op that the delegate fuses, an activation, or the PAD before an op, is a pass of its own; empty for others."""
        if node.kind in self.fused_ops:
            others = self.context.runtime_inputs(node)[1:]
            fusion = next(
                (f for f in self.rules.fuses if node.kind in f.ops and producer.kind in (f.into or KINDS)), None
            )
            if not self.context.sole_use(node.inputs[0]) or (others and not (fusion and fusion.pairs)):
                return f"not fused into {producer.kind}: others read its result too"
            if fusion is None:
                return f"not fused into {producer.kind}, which takes no {node.kind}"
            if any(self._written_after(producer, tensor) for tensor in others):
                return f"not fused into {producer.kind}, which runs before its other operand is there"
            # without a limit a chain of thousands may be one kernel: its nodes are not counted for each of them
            if fusion.limit is not None and self._followers(merged) >= fusion.limit:
                return f"not fused into {producer.kind}, which takes {fusion.limit} after it at most"
            return ""
        if producer.kind == "pad" and node.kind in self.rules.takes_pad:
            return "the PAD before it stays: others read it, it pads more than height and width, or this op pads for itself"
        return f"a pass of its own: {self.rules.acceptance.by} does not fuse it" if node.kind in UNARY else ""

    def _followers(self, merged: Sequence[int]) -> int:
        return sum(self.context.graph.nodes[other].kind != "pad" for other in merged)

    def _written_after(self, producer: Node, tensor: int) -> bool:
        return self.context.producers.get(tensor, -1) > producer.index

    def _merges_pad(self, pad: Node, into: Node) -> bool:
        if pad.kind != "pad" or into.kind not in self.rules.takes_pad or any(into.attributes.get("padding", ())):
            return False
        return self.context.sole_use(into.inputs[0]) and Facts(self.context, pad)["pads"] == "spatial"


def dynamic_graph(context: Context, by: str) -> Refusal | None:
    """Why a delegate that takes static sizes alone is not applied at all (subgraph.cc, ModifyGraphWithDelegate)."""
    tensor = context.sized_by_values()
    return Refusal("DYNAMIC_GRAPH", {"by": by, "tensor": tensor.name}) if tensor else None


def smaller_partition(by: str, kept: int) -> Refusal:
    return Refusal("SMALLER_PARTITION", {"by": by, "kept": "the one" if kept == 1 else f"the {kept}"})


def parse(rules: Rules) -> DelegatePlanner:
    """The planner of a rules file; ``LatlintError`` (LAT901) names the key that is missing, unknown or of another type."""
    return parsed(rules, _parse)


def _parse(rules: Rules) -> DelegatePlanner:
    acceptance, ops, data = parse_acceptance(rules)
    kernels = {}
    for kind, entry in ops.items():
        # one kernel an op, called as the op is, unless a file says more
        kernels[kind] = parse_kernels(kind, entry.pop("kernels", [{"implementation": kind}]))
        if entry:
            raise ValueError(f"{kind}: no key is called {min(entry)!r}")
    data["notes"] = tuple(data.get("notes", ()))
    for key in ("unpacks", "takes_pad"):
        data[key] = frozenset(data.get(key, ()))
    data["fuses"] = tuple(
        Fusion(**{**entry, "ops": frozenset(entry["ops"]), "into": frozenset(entry.get("into", ()))})
        for entry in data.get("fuses", ())
    )
    return DelegatePlanner(acceptance=acceptance, kernels=kernels, **data)
