"""TensorFlow Lite on CPU: which nodes XNNPACK takes, what it fuses, and what stays on the built-in kernels.

Which op goes where, and on which kernel, is data: a file of ``rules/`` with ``kind = "cpu"``. Here are the three algorithms that
data cannot say: TFLite's graph partitioning, XNNPACK's fusion of clamps and pads, and the unpacking of static weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from latlint.graph.ops import CONVOLUTIONS, MATRIX, UNKNOWN
from latlint.graph.types import ITEM_BYTES, Graph, Node, Tensor
from latlint.runtime.cpu_facts import facts, macs, matches, tensor_at
from latlint.runtime.gpu.partition import epochs
from latlint.runtime.rules import Rules
from latlint.runtime.types import Kernel, Partition, Plan, Processor

XNNPACK = "xnnpack"
BUILTIN = "builtin"


@dataclass(frozen=True, slots=True)
class CpuPlan:
    """What the CPU does with some nodes of a graph. ``Kernel.partition`` indexes ``partitions``; ``fallbacks`` is as in ``Plan``."""

    kernels: tuple[Kernel, ...]
    partitions: tuple[Partition, ...]
    fallbacks: Mapping[int, str]


def plan_cpu(graph: Graph, processor: Processor, rules: Rules) -> Plan:
    """The kernels that TensorFlow Lite calls for an NHWC graph on ``processor``, in execution order."""
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

    What comes from nodes outside of ``nodes`` counts as computed. The default XNNPACK delegate is applied after an
    explicit one, so that the remainder of a GPU model gets it too (``tensorflow/lite/core/interpreter.cc``,
    ``ApplyLazyDelegateProviders``).
    """
    wanted = sorted(set(nodes))
    delegate = _Delegate.of(graph, rules.data["xnnpack"])
    refused = {index: reason for index in wanted if (reason := delegate.refusal(graph.nodes[index]))}
    kernels: list[Kernel] = []
    partitions: list[Partition] = []
    outside = set(range(len(graph.nodes))) - set(wanted)
    for number, epoch in enumerate(epochs(graph, lambda index: index not in refused, outside)):
        if epoch.delegated:
            kernels += delegate.kernels(epoch.nodes, number)
        else:
            kernels += (_builtin(graph, graph.nodes[index], rules.data["builtin"], number) for index in epoch.nodes)
        partitions.append(Partition(XNNPACK if epoch.delegated else BUILTIN, len(epoch.nodes)))
    return CpuPlan(tuple(kernels), tuple(partitions), MappingProxyType(refused))


@dataclass(frozen=True)
class _Delegate:
    """The XNNPACK delegate as one rules file describes it, looking at one graph."""

    graph: Graph
    rules: Mapping[str, Any]
    #: Tensors whose value is known when the delegate is applied, though a node writes them (fp16 weights behind DEQUANTIZE).
    static: frozenset[int]
    uses: Mapping[int, list[tuple[int, int]]] = field(repr=False)

    @classmethod
    def of(cls, graph: Graph, rules: Mapping[str, Any]) -> _Delegate:
        static = frozenset(
            tensor for node in graph.nodes if _unpacks_constant(graph, node, rules["unpacks"]) for tensor in node.outputs
        )
        return cls(graph, rules, static, graph.consumers())

    def refusal(self, node: Node) -> str:
        """Why the delegate leaves a node to the built-in kernels; empty when it takes it."""
        if any(tensor in self.static for tensor in node.outputs):
            return ""
        rule = self.rules["ops"].get(node.kind)
        if rule is None:
            return f"XNNPACK has no {node.native or node.kind}"
        return self._tensor_refusal(node, rule) or self._rule_refusal(node, rule)

    def _tensor_refusal(self, node: Node, rule: Mapping[str, Any]) -> str:
        allowed = rule.get("dtypes", self.rules["dtypes"])
        constant = rule.get("constant", ())
        for slot, index in enumerate(node.inputs):
            if index < 0:
                continue
            tensor = self.graph.tensors[index]
            known = tensor.constant or index in self.static
            if slot in constant and not known:
                return f"input {slot} is computed at run time"
            if not known and tensor.dtype not in allowed:
                return f"{tensor.dtype} activations are left to the built-in kernels"
            if slot in constant and tensor.dtype not in {*allowed, "int32"}:
                return f"{tensor.dtype} weights are left to the built-in kernels"
            if slot == 0 and "ranks" in rule and tensor.shape is not None and len(tensor.shape) not in rule["ranks"]:
                return f"its input has {len(tensor.shape)} dimensions"
        for index in node.outputs:
            tensor = self.graph.tensors[index]
            if tensor.dtype not in allowed:
                return f"{tensor.dtype} results are left to the built-in kernels"
            if tensor.shape is None:
                return "the shape of its result is only known at run time"
        return ""

    def _rule_refusal(self, node: Node, rule: Mapping[str, Any]) -> str:
        found = facts(self.graph, node)
        if "inputs" in rule and found["inputs"] != rule["inputs"]:
            return f"it has {found['inputs']} inputs, XNNPACK wants {rule['inputs']} (a bias tensor, even if zero)"
        activation = node.attributes.get("activation", "none")
        if activation not in self.rules["activations"]:
            return f"its fused activation {activation} is no clamp"
        return next((str(entry["reason"]) for entry in rule.get("refuse", ()) if matches(entry["when"], found)), "")

    def kernels(self, members: Sequence[int], partition: int) -> list[Kernel]:
        """The kernels of one XNNPACK subgraph, after fusion (``XNNPACK/src/subgraph.c``, ``xnn_subgraph_fusion``)."""
        groups = self._fused(members)
        return [self._kernel(main, fused, partition) for main, fused in groups.items()]

    def _fused(self, members: Sequence[int]) -> dict[int, list[int]]:
        """Main node -> nodes merged into it, in execution order of the main nodes."""
        groups: dict[int, list[int]] = {}
        owner: dict[int, int] = {}  # tensor -> the main node that writes it after fusion
        for index in members:
            node = self.graph.nodes[index]
            before = owner.get(node.inputs[0]) if node.inputs else None
            if before is not None and self._sole_use(node.inputs[0]):
                producer = self.graph.nodes[before]
                if node.kind in self.rules["clamps"] and producer.kind in self.rules["takes_clamp"]:
                    groups[before].append(index)
                    owner[node.outputs[0]] = before
                    continue
                if node.kind in self.rules["takes_pad"] and not groups[before] and self._mergeable_pad(producer, node):
                    groups[index] = [before]
                    del groups[before]
                    owner[node.outputs[0]] = index
                    continue
            groups[index] = []
            owner.update(dict.fromkeys(node.outputs, index))
        return groups

    def _sole_use(self, tensor: int) -> bool:
        return len(self.uses.get(tensor, ())) == 1 and tensor not in self.graph.outputs

    def _mergeable_pad(self, pad: Node, into: Node) -> bool:
        if pad.kind != "pad" or any(into.attributes.get("padding", ())):
            return False
        return facts(self.graph, pad)["pads"] == "spatial"

    def _kernel(self, index: int, fused: Sequence[int], partition: int) -> Kernel:
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
        choice = _choose(self.rules["ops"][node.kind]["kernels"], found)
        return _kernel(
            self.graph,
            (node, *merged),
            choice["implementation"],
            partition,
            attributes=attributes | {"threads": choice.get("threads", "all")},
            static=self.static,
        )


def _unpacks_constant(graph: Graph, node: Node, dtypes: Sequence[str]) -> bool:
    source = tensor_at(graph, node.inputs, 0)
    if source is None or not source.constant:
        return False
    return node.kind == "densify" or (node.kind == "dequantize" and source.dtype in dtypes)


def _builtin(graph: Graph, node: Node, rules: Mapping[str, Any], partition: int) -> Kernel:
    """One call of a built-in kernel; a kind without a rule has a kernel of its own name, with one thread."""
    source = tensor_at(graph, node.inputs, 0)
    if node.kind == "dequantize" and source is not None and source.constant:
        # kernels/dequantize.cc: a constant input is dequantised at the first call and kept.
        return _kernel(graph, (node,), node.kind, partition, free="a constant, dequantised once at the first call")
    rule = rules["ops"].get(node.kind, {"kernels": [{"implementation": node.kind, "threads": 1}]})
    choice = _choose(rule["kernels"], facts(graph, node))
    reason = choice.get("reason", "")
    if node.kind == UNKNOWN:
        reason = f"{node.native} is not an op whose kernel is known"
    attributes = dict(node.attributes) | {"threads": choice["threads"]}
    return _kernel(graph, (node,), choice["implementation"], partition, attributes=attributes, reason=reason)


def _choose(kernels: Sequence[Mapping[str, Any]], found: Mapping[str, Any]) -> Mapping[str, Any]:
    return next(entry for entry in kernels if matches(entry.get("when", {}), found))


def _kernel(
    graph: Graph,
    nodes: Sequence[Node],
    implementation: str,
    partition: int,
    *,
    attributes: Mapping[str, Any] = MappingProxyType({}),
    static: frozenset[int] = frozenset(),
    free: str = "",
    reason: str = "",
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
        inputs=tuple(_dims(tensor) for tensor in runtime),
        outputs=tuple(_dims(tensor) for tensor in outputs),
        linked=(() if activation == "none" else (activation,)) + clamps,
        partition=partition,
        input_dtype=runtime[0].dtype if runtime else "float32",
        output_dtype=outputs[0].dtype if outputs else "float32",
        attributes=MappingProxyType(dict(attributes)),
        macs=0 if free else macs(graph, main),
        weight_bytes=0 if free else _weight_bytes(graph, main, static),
        free=free,
        reason=reason,
    )


def _runtime(graph: Graph, indices: Iterable[int], static: frozenset[int]) -> list[Tensor]:
    found = [(index, graph.tensors[index]) for index in indices if index >= 0]
    return [tensor for index, tensor in found if not tensor.constant and index not in static]


def _dims(tensor: Tensor) -> tuple[int, ...]:
    """The shape with a dimension of unknown size taken as 1 (``_notes`` tells)."""
    return tuple(max(dim, 1) if dim < 0 else dim for dim in tensor.shape or ())


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
