"""TensorFlow Lite's GPU delegate: which nodes it takes, and the kernels it launches for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from types import MappingProxyType

from latlint.graph.types import ITEM_BYTES, Graph, Node
from latlint.runtime.gpu.kernels import Draft, link, select_kernels
from latlint.runtime.gpu.model import Model, build_model, to_bhwc
from latlint.runtime.gpu.rules import GpuRules, load_gpu_rules
from latlint.runtime.gpu.support import Context, refusal, weight_unpackers
from latlint.runtime.gpu.transforms import transform
from latlint.runtime.partition import Epoch, epochs, keep_largest
from latlint.runtime.rules import Rules, load_rules
from latlint.runtime.types import Kernel, Partition, Plan, Processor

__all__ = ["plan_gpu"]

GPU = "gpu"


def plan_gpu(graph: Graph, processor: Processor, rules: Rules) -> Plan:
    """The kernels of an NHWC graph on a GPU, and on the CPU for what the delegate leaves to it, in execution order."""
    gpu_rules = load_gpu_rules(rules.name)
    dropped = weight_unpackers(graph)
    context = Context(graph, frozenset(t for n in dropped for t in graph.nodes[n].outputs))
    refused = {n.index: why for n in graph.nodes if n.index not in dropped and (why := refusal(context, n, gpu_rules))}
    notes = list(graph.notes)
    failure = _initialisation_failure(context, refused)
    if failure:
        notes.append(failure)
        refused = {node.index: failure for node in graph.nodes}
    split = keep_largest(epochs(graph, lambda n: n not in refused, dropped), gpu_rules.max_partitions)
    assembly = _Assembly(context, processor, gpu_rules)
    for epoch in _joined(_with_unpacking(split, context, dropped)):
        assembly.add(epoch)
    for node in assembly.left_out - dropped:
        refused.setdefault(node, "delegated, but in a smaller partition than the one that the delegate keeps")
    return Plan(
        runtime=processor.runtime,
        processor=processor.name,
        precision=graph.precision,
        kernels=tuple(assembly.kernels),
        partitions=tuple(assembly.partitions),
        fallbacks=MappingProxyType({node: refused[node] for node in sorted(refused)}),
        notes=tuple(notes),
    )


def _initialisation_failure(context: Context, refused: dict[int, str]) -> str:
    """An accepted node that later fails to build takes the whole delegate down: then nothing runs on the GPU."""
    for node in context.graph.nodes:
        why = "" if node.index in refused else _build_failure(context, node)
        if why:
            return f"the GPU delegate fails to initialise at {node.name!r}: {why}; the whole model runs on the CPU"
    return ""


def _build_failure(context: Context, node: Node) -> str:
    """model_builder.cc: FullyConnectedOperationParser; operation_selector.cc: BATCHED_MATMUL."""
    if node.kind == "fully_connected" and context.is_constant(node.inputs[1]):
        width, weights = prod(context.shape(node.inputs[0])[1:]), context.shape(node.inputs[1])
        if weights and width != weights[-1]:
            return f"{width} input elements for each batch, but weights that are {weights[-1]} wide"
    if node.kind == "batch_matmul" and to_bhwc(context.shape(node.outputs[0]))[0] != 1:
        return "a matrix product with a batch size other than 1"
    return ""


def _with_unpacking(split: Sequence[Epoch], context: Context, dropped: frozenset[int]) -> list[Epoch]:
    """Puts each float16 DEQUANTIZE that the delegate dropped beside its first consumer: back to work on the CPU, free on the GPU."""
    home = {node: number for number, epoch in enumerate(split) for node in epoch.nodes}
    added: dict[int, list[int]] = {}
    for node in sorted(dropped):
        readers = [home[r] for t in context.graph.nodes[node].outputs for r, _ in context.uses.get(t, ()) if r in home]
        on_cpu = [number for number in readers if not split[number].delegated]
        added.setdefault(min(on_cpu or readers, default=0), []).append(node)
    if not split:
        return [Epoch(True, tuple(sorted(dropped)))] if dropped else []
    return [Epoch(e.delegated, tuple(sorted((*e.nodes, *added.get(i, ()))))) for i, e in enumerate(split)]


def _joined(split: Sequence[Epoch]) -> list[Epoch]:
    """Neighbouring CPU epochs as one: the CPU planner splits them its own way."""
    result: list[Epoch] = []
    for epoch in split:
        if result and not epoch.delegated and not result[-1].delegated:
            result[-1] = Epoch(False, (*result[-1].nodes, *epoch.nodes))
        else:
            result.append(epoch)
    return result


class _Assembly:
    """Kernels and partitions of a plan, epoch by epoch."""

    def __init__(self, context: Context, processor: Processor, rules: GpuRules) -> None:
        self.context = context
        self.processor = processor
        self.rules = rules
        self.kernels: list[Kernel] = []
        self.partitions: list[Partition] = []
        self.left_out: set[int] = set()

    def add(self, epoch: Epoch) -> None:
        if epoch.delegated:
            self._add_gpu(epoch.nodes)
        else:
            self._add_cpu(epoch.nodes)

    def _add_cpu(self, nodes: Sequence[int]) -> None:
        from latlint.runtime.cpu import plan_nodes

        planned = plan_nodes(self.context.graph, nodes, self.processor, load_rules(self.rules.fallback))
        first = len(self.partitions)
        self.kernels += [replace(kernel, partition=kernel.partition + first) for kernel in planned.kernels]
        self.partitions += planned.partitions
        self.left_out.update(nodes)

    def _add_gpu(self, nodes: Sequence[int]) -> None:
        unpackers = [n for n in nodes if any(t in self.context.constants for t in self.context.graph.nodes[n].outputs)]
        model = build_model(self.context, sorted(set(nodes) - set(unpackers)), self.rules)
        transform(model)
        drafts = link(select_kernels(model, self.processor, self.rules), model, self.rules)
        number = len(self.partitions)
        nodes_of = self.context.graph.nodes
        self.kernels += [_free(nodes_of[n], (n,), number, "weights are read as they are stored") for n in unpackers]
        self.kernels += [_free(nodes_of[op.nodes[0]], tuple(op.nodes), number, why) for op, why in model.free]
        self.kernels += [_kernel(draft, model, self.processor, number) for draft in drafts]
        self.partitions.append(
            Partition(GPU, len(nodes), self._bytes(sorted(model.inputs)), self._bytes(sorted(model.outputs)))
        )

    def _bytes(self, tensors: Sequence[int]) -> int:
        return sum(self.context.tensor(t).size_bytes or 0 for t in tensors)


def _free(node: Node, nodes: tuple[int, ...], partition: int, why: str) -> Kernel:
    return Kernel(node.kind, "none", nodes, (), (), partition=partition, free=why)


def _kernel(draft: Draft, model: Model, processor: Processor, partition: int) -> Kernel:
    return Kernel(
        op=draft.op.kind,
        implementation=draft.name,
        nodes=tuple(dict.fromkeys(draft.nodes)),
        inputs=tuple(model.shapes[value] for value in draft.inputs),
        outputs=tuple(model.shapes[value] for value in draft.outputs),
        linked=tuple(draft.linked),
        partition=partition,
        input_dtype=processor.precision,
        output_dtype=processor.precision,
        attributes=MappingProxyType(draft.attributes),
        macs=draft.macs,
        weight_bytes=int(draft.weights * ITEM_BYTES[processor.precision]),
        launches=draft.launches,
        own_inputs=draft.own_inputs,
        reason=draft.reason,
        explain=tuple(draft.explain),
    )
