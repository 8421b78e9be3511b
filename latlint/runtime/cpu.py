"""TensorFlow Lite on CPU: which nodes XNNPACK takes, what it fuses, and what runs on the built-in kernels.

Which op goes where, and on which kernel, is data: a file of ``rules/`` with ``kind = "cpu"``. Here are the algorithms that data cannot
say: XNNPACK's fusion of clamps and pads, and the unpacking of static weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from latlint.graph.ops import CONVOLUTIONS, MATRIX, UNARY, UNKNOWN
from latlint.graph.types import ITEM_BYTES, Graph, Node, Tensor
from latlint.runtime.cpu_facts import dims, facts, in_words, macs, matches, missed, tensor_at
from latlint.runtime.cpu_rules import Delegate, DelegatedOp, KernelRule, parse_cpu_rules
from latlint.runtime.partition import Epoch, epochs
from latlint.runtime.rules import Rules
from latlint.runtime.types import Kernel, Partition, Plan, Processor

BUILTIN = "builtin"


@dataclass(frozen=True, slots=True)
class CpuPlan:
    """What the CPU does with some nodes of a graph. ``Kernel.partition`` indexes ``partitions``; ``fallbacks`` is as in ``Plan``."""

    kernels: tuple[Kernel, ...]
    partitions: tuple[Partition, ...]
    fallbacks: Mapping[int, str]


def plan_cpu(graph: Graph, processor: Processor, rules: Rules) -> Plan:
    """The kernels that TensorFlow Lite calls for an NHWC graph on ``processor``, in execution order.

    Raises ``LatlintError`` (LAT901) where the rules file does not hold what is expected.
    """
    planned = plan_nodes(graph, range(len(graph.nodes)), processor, rules)
    return Plan(
        runtime=processor.runtime,
        processor=processor.name,
        precision=graph.precision,
        kernels=planned.kernels,
        partitions=planned.partitions,
        fallbacks=planned.fallbacks,
        notes=tuple(_notes(graph)),
    )


def plan_nodes(graph: Graph, nodes: Iterable[int], processor: Processor, rules: Rules) -> CpuPlan:
    """Plan only ``nodes`` (indices into ``graph.nodes``): the whole graph, or what another delegate left to the CPU.

    What other nodes write counts as computed. The default XNNPACK delegate is applied after an explicit one, so that the
    remainder of a GPU model gets it too (``tensorflow/lite/core/interpreter.cc``, ``ApplyLazyDelegateProviders``).
    """
    parsed = parse_cpu_rules(rules)
    wanted = set(nodes)
    delegation = None if parsed.delegate is None else _Delegation.of(graph, parsed.delegate)
    refused = {} if delegation is None else delegation.refusals(wanted)
    outside = [node.index for node in graph.nodes if node.index not in wanted]
    parts = epochs(graph, lambda index: delegation is not None and index not in refused, outside)
    kernels: list[Kernel] = []
    partitions: list[Partition] = []
    for number, epoch in enumerate(parts):
        if delegation is not None and epoch.delegated:
            kernels += delegation.kernels(epoch, number)
            partitions.append(Partition(delegation.rules.name, len(epoch.nodes)))
        else:
            kernels += (_builtin(graph, graph.nodes[index], parsed.builtin, number) for index in epoch.nodes)
            partitions.append(Partition(BUILTIN, len(epoch.nodes)))
    return CpuPlan(tuple(kernels), tuple(partitions), MappingProxyType(refused))


@dataclass(frozen=True)
class _Delegation:
    """A CPU delegate, as a rules file describes it, looking at one graph."""

    graph: Graph
    rules: Delegate
    #: Tensors whose value is known when the delegate is applied, though a node writes them (fp16 weights behind DEQUANTIZE).
    static: frozenset[int]
    uses: Mapping[int, list[tuple[int, int]]] = field(repr=False)

    @classmethod
    def of(cls, graph: Graph, rules: Delegate) -> _Delegation:
        unpackers = (node for node in graph.nodes if _unpacks_constant(graph, node, rules.unpacks))
        static = frozenset(tensor for node in unpackers for tensor in node.outputs)
        return cls(graph, rules, static, graph.consumers())

    def refusals(self, wanted: Iterable[int]) -> dict[int, str]:
        """Node -> why the delegate leaves it to the built-in kernels; a node that it takes is not in the result.

        A node that unpacks weights goes along with the nodes that read them.
        """
        nodes = [self.graph.nodes[index] for index in sorted(wanted)]
        unpackers = [node for node in nodes if self.static.intersection(node.outputs)]
        refused = {node.index: reason for node in nodes if node not in unpackers and (reason := self._refusal(node))}
        for node in unpackers:
            readers = [reader for tensor in node.outputs for reader, _ in self.uses.get(tensor, ())]
            if all(reader in refused for reader in readers):
                refused[node.index] = "the ops that read these weights are left to the built-in kernels"
        return refused

    def _refusal(self, node: Node) -> str:
        rule = self.rules.ops.get(node.kind)
        if rule is None:
            return f"XNNPACK does not take {node.native or node.kind}"
        return self._count_refusal(node, rule) or self._tensor_refusal(node, rule) or self._rule_refusal(node, rule)

    def _count_refusal(self, node: Node, rule: DelegatedOp) -> str:
        given = sum(tensor >= 0 for tensor in node.inputs)
        if rule.inputs and given not in rule.inputs:
            return f"it has {given} inputs, XNNPACK takes {_either(rule.inputs)}"
        if rule.outputs and len(node.outputs) not in rule.outputs:
            return f"it has {len(node.outputs)} outputs, XNNPACK takes {_either(rule.outputs)}"
        return ""

    def _tensor_refusal(self, node: Node, rule: DelegatedOp) -> str:
        allowed = rule.dtypes or self.rules.dtypes
        for slot, index in enumerate(node.inputs):
            if index < 0:
                continue
            tensor = self.graph.tensors[index]
            known = tensor.constant or index in self.static
            if slot in rule.constant and not known:
                return f"its input {slot} is computed at run time"
            if not known and tensor.dtype not in allowed:
                return f"{tensor.dtype} activations are left to the built-in kernels"
            if slot in rule.constant and tensor.dtype not in {*allowed, "int32"}:
                return f"{tensor.dtype} weights are left to the built-in kernels"
            if (
                slot == 1
                and slot in rule.constant
                and node.kind not in self.rules.hybrid
                and self._hybrid(node, tensor)
            ):
                return f"{tensor.dtype} weights under float activations are left to the built-in kernels"
        ranks = [len(tensor.shape) for tensor in self._tensors(node) if tensor.shape is not None]
        if rule.ranks and ranks and ranks[0] not in rule.ranks:
            return f"its input has {ranks[0]} dimensions, XNNPACK takes {_either(rule.ranks)}"
        if max(ranks, default=0) > self.rules.max_rank:
            return f"it has {max(ranks)} dimensions, XNNPACK takes up to {self.rules.max_rank}"
        for index in node.outputs:
            tensor = self.graph.tensors[index]
            if tensor.dtype not in allowed:
                return f"{tensor.dtype} results are left to the built-in kernels"
            if tensor.shape is None:
                return "the shape of its result is only known at run time"
        return ""

    def _tensors(self, node: Node) -> list[Tensor]:
        return [self.graph.tensors[index] for index in (*node.inputs, *node.outputs) if index >= 0]

    def _hybrid(self, node: Node, weights: Tensor) -> bool:
        data = tensor_at(self.graph, node.inputs, 0)
        return data is not None and data.dtype == "float32" and weights.dtype in {"int8", "uint8"}

    def _rule_refusal(self, node: Node, rule: DelegatedOp) -> str:
        activation = node.attributes.get("activation", "none")
        if activation not in self.rules.activations:
            return f"its fused activation {activation} is no clamp"
        found = facts(self.graph, node)
        return next((refusal.reason for refusal in rule.refuse if matches(refusal.when, found)), "")

    def kernels(self, epoch: Epoch, partition: int) -> list[Kernel]:
        """The kernels of one delegated part, after fusion (``XNNPACK/src/subgraph.c``, ``xnn_subgraph_fusion``)."""
        groups, apart = self._fused(epoch.nodes)
        return [self._kernel(main, fused, partition, apart.get(main, "")) for main, fused in groups.items()]

    def _fused(self, members: Sequence[int]) -> tuple[dict[int, list[int]], dict[int, str]]:
        """Main node -> nodes merged into it, in execution order of the main nodes; and why an op that could have been merged into
        the one before it was not."""
        groups: dict[int, list[int]] = {}
        apart: dict[int, str] = {}
        owner: dict[int, int] = {}  # tensor -> the main node that writes it after fusion
        for index in members:
            node = self.graph.nodes[index]
            before = owner.get(node.inputs[0]) if node.inputs and node.outputs else None
            if before is not None:
                producer, alone = self.graph.nodes[before], self._sole_use(node.inputs[0])
                if alone and node.kind in self.rules.clamps and producer.kind in self.rules.takes_clamp:
                    groups[before].append(index)
                    owner[node.outputs[0]] = before
                    continue
                merges = alone and node.kind in self.rules.takes_pad and not groups[before]
                if merges and self._mergeable_pad(producer, node):
                    groups[index] = [before]
                    del groups[before]
                    owner[node.outputs[0]] = index
                    continue
                apart[index] = self._obstacle(producer, node)
            groups[index] = []
            owner.update(dict.fromkeys(node.outputs, index))
        return groups, apart

    def _obstacle(self, producer: Node, node: Node) -> str:
        """Why an activation, or the PAD before an op, is a pass of its own; empty for other ops, which are never fused."""
        if node.kind in self.rules.clamps:
            if not self._sole_use(node.inputs[0]):
                return f"not fused into {producer.kind}: others read its result too"
            return f"not fused into {producer.kind}, which takes no clamp"
        if producer.kind == "pad" and node.kind in self.rules.takes_pad:
            return "the PAD before it stays: others read it, it pads more than height and width, or this op pads for itself"
        return "a pass of its own: XNNPACK fuses clamps only" if node.kind in UNARY else ""

    def _sole_use(self, tensor: int) -> bool:
        return len(self.uses.get(tensor, ())) == 1 and tensor not in self.graph.outputs

    def _mergeable_pad(self, pad: Node, into: Node) -> bool:
        if pad.kind != "pad" or any(into.attributes.get("padding", ())):
            return False
        return bool(facts(self.graph, pad)["pads"] == "spatial")

    def _kernel(self, index: int, fused: Sequence[int], partition: int, apart: str) -> Kernel:
        node = self.graph.nodes[index]
        if any(tensor in self.static for tensor in node.outputs):
            return _kernel(self.graph, (node,), "unpack", partition, free="unpacked once, when the model is loaded")
        merged = [self.graph.nodes[other] for other in fused]
        pad = next((other for other in merged if other.kind == "pad"), None)
        attributes = dict(node.attributes)
        if pad is not None:
            (top, bottom), (left, right) = pad.attributes["pads"][1:3]
            attributes["padding"] = (top, bottom, left, right)
        found = facts(self.graph, node) | ({"pointwise": False} if pad is not None else {})
        rule, why = _choose(self.rules.ops[node.kind].kernels, found)
        merges = [f"does the work of {other.kind} {'before' if other is pad else 'after'} it" for other in merged]
        return _kernel(
            self.graph,
            (node, *merged),
            rule.implementation,
            partition,
            attributes=attributes,
            threads=rule.threads,
            static=self.static,
            reason=rule.reason,
            explain=(*merges, *why, *filter(None, [apart])),
        )


def _either(allowed: Sequence[int]) -> str:
    return " or ".join(str(value) for value in allowed)


def _unpacks_constant(graph: Graph, node: Node, dtypes: frozenset[str]) -> bool:
    source = tensor_at(graph, node.inputs, 0)
    return node.kind == "dequantize" and source is not None and source.constant and source.dtype in dtypes


def _builtin(graph: Graph, node: Node, rules: Mapping[str, tuple[KernelRule, ...]], partition: int) -> Kernel:
    """One call of a built-in kernel; a kind without a rule has a kernel of its own name, with one thread."""
    source = tensor_at(graph, node.inputs, 0)
    if node.kind == "dequantize" and source is not None and source.constant:
        # kernels/dequantize.cc: a constant input is dequantised at the first call and kept.
        return _kernel(graph, (node,), node.kind, partition, free="a constant, dequantised once at the first call")
    kernels = rules.get(node.kind, (KernelRule(node.kind, {}, threads=1),))
    rule, why = _choose(kernels, facts(graph, node))
    if node.kind in UNARY:
        why = (
            *why,
            "a pass of its own: built-in kernels fuse an activation only where the file has it in the op before",
        )
    reason = rule.reason if node.kind != UNKNOWN else f"nothing is known of the kernel of {node.native}"
    return _kernel(
        graph,
        (node,),
        rule.implementation,
        partition,
        attributes=node.attributes,
        threads=rule.threads,
        reason=reason,
        explain=why,
    )


def _choose(kernels: Sequence[KernelRule], found: Mapping[str, Any]) -> tuple[KernelRule, tuple[str, ...]]:
    """The first kernel whose conditions hold, and what the better ones before it ask for that the node does not have. (Those
    with a reason are the worse ones.)"""
    passed = []
    for rule in kernels:
        if matches(rule.when, found):
            break
        if not rule.reason:
            passed.append(f"not {rule.implementation}, which needs {missed(rule.when, found)}")
    if len(kernels) == 1:
        passed.append("the only kernel for this op")
    elif rule.when and not rule.reason:
        passed.append(f"the kernel for {in_words(rule.when)}")
    return rule, (*passed, *(["one thread, however many there are"] if rule.threads == 1 else []))


def _kernel(
    graph: Graph,
    nodes: Sequence[Node],
    implementation: str,
    partition: int,
    *,
    attributes: Mapping[str, Any] = MappingProxyType({}),
    static: frozenset[int] = frozenset(),
    threads: str | int = "all",
    free: str = "",
    reason: str = "",
    explain: tuple[str, ...] = (),
) -> Kernel:
    """A kernel for ``nodes``: the main one first, then a PAD that runs before it or clamps that run after it."""
    main = nodes[0]
    first = next((node for node in nodes if node.kind == "pad"), main)
    last = next((node for node in reversed(nodes) if node.kind != "pad"), main)
    runtime = [
        *_runtime(graph, first.inputs[:1] if first is not main else (), static),
        *_runtime(graph, main.inputs[1:] if first is not main else main.inputs, static),
    ]
    outputs = [graph.tensors[index] for index in last.outputs if index >= 0]
    activation = main.attributes.get("activation", "none")
    clamps = tuple(node.kind for node in nodes[1:] if node.kind != "pad")
    return Kernel(
        op=main.kind,
        implementation=implementation,
        nodes=tuple(node.index for node in nodes),
        inputs=tuple(dims(tensor) for tensor in runtime),
        outputs=tuple(dims(tensor) for tensor in outputs),
        linked=(() if activation == "none" else (activation,)) + clamps,
        partition=partition,
        input_dtype=runtime[0].dtype if runtime else "float32",
        output_dtype=outputs[0].dtype if outputs else "float32",
        attributes=MappingProxyType(dict(attributes)),
        macs=0 if free else macs(graph, main),
        weight_bytes=0 if free else _weight_bytes(graph, main, static),
        threads=threads,
        own_inputs=len(runtime),
        free=free,
        reason=reason,
        explain=explain,
    )


def _runtime(graph: Graph, indices: Iterable[int], static: frozenset[int]) -> list[Tensor]:
    found = [(index, graph.tensors[index]) for index in indices if index >= 0]
    return [tensor for index, tensor in found if not tensor.constant and index not in static]


def _weight_bytes(graph: Graph, node: Node, static: frozenset[int]) -> int:
    """Bytes of the constants that the kernel streams: weights and biases, or constant operands; not shapes or axes."""
    streamed = 0.0
    works = node.kind in CONVOLUTIONS | MATRIX
    for index in node.inputs:
        if index < 0:
            continue
        tensor = graph.tensors[index]
        if (tensor.constant or index in static) and (works or tensor.dtype not in {"int32", "int64"}):
            streamed += (tensor.elements or 0) * ITEM_BYTES.get(tensor.dtype, 0)
    return int(streamed)


def _notes(graph: Graph) -> Iterator[str]:
    yield from graph.notes
    if any(dim < 0 for tensor in graph.tensors for dim in tensor.shape or ()):
        yield "dimensions that are only known at run time are taken as 1"
