"""TensorFlow Lite's GPU delegate: which nodes it takes, and the kernels it launches for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from types import MappingProxyType

from latlint.graph.types import ITEM_BYTES, Node
from latlint.records import NamedTuple
from latlint.runtime.context import Context
from latlint.runtime.delegate import dynamic_graph, smaller_partition
from latlint.runtime.gpu.kernels import Launch, link, select_kernels
from latlint.runtime.gpu.model import Model, build_model, to_bhwc
from latlint.runtime.gpu.rules import GpuRules, parse_gpu_rules
from latlint.runtime.gpu.transforms import transform
from latlint.runtime.partition import Epoch, epochs, keep_largest
from latlint.runtime.planners import Planned, assembled, planner
from latlint.runtime.reasons import Refusal, sentence
from latlint.runtime.rules import Rules
from latlint.runtime.types import Kernel, Partition, Processor


class GpuPlanner(NamedTuple):
    """The delegate; what it leaves, the runtime that its rules name runs."""

    rules: GpuRules

    @property
    def delegate(self) -> str:
        return self.rules.executor

    def plan(self, context: Context, nodes: Sequence[int], processor: Processor) -> Planned:
        rules, rest = self.rules, planner(self.rules.fallback)
        dropped = weight_unpackers(context, nodes)
        seen = context.with_constants(t for n in dropped for t in context.graph.nodes[n].outputs)
        kept = [index for index in nodes if index not in dropped]
        refused = refusals(seen, kept, rules)
        failure = dynamic_graph(context, rules.acceptance.by)
        failure = failure or _initialisation_failure(seen, kept, refused, rules)
        if failure:
            refused = dict.fromkeys(nodes, failure)
        split = epochs(seen, kept, lambda index: index not in refused)
        largest = keep_largest(split, rules.max_partitions)
        for before, after in zip(split, largest, strict=True):
            if before.delegated and not after.delegated:
                refused.update(
                    dict.fromkeys(before.nodes, smaller_partition(rules.acceptance.by, rules.max_partitions))
                )
        return assembled(
            _with_unpacking(largest, seen, dropped),
            lambda members: _delegated(seen, members, processor, rules),
            lambda left: rest.plan(context, left, processor),
            refused,
            (sentence(failure),) if failure else (),
        )


def parse(rules: Rules) -> GpuPlanner:
    """The planner of a rules file; ``LatlintError`` (LAT901) names the key that is missing, unknown or of another type."""
    return GpuPlanner(parse_gpu_rules(rules))


def weight_unpackers(context: Context, nodes: Iterable[int]) -> frozenset[int]:
    """Nodes that only unpack weights: DEQUANTIZE of constant float16, which the delegate drops to read the weights as they are
    stored (model_builder.cc: FP16GraphPartitionHelper), and DENSIFY, which it merges into the reader (merge_densify.cc); also one
    after the other."""
    found: set[int] = set()
    unpacked: set[int] = set()
    for index in nodes:
        node = context.graph.nodes[index]
        if node.kind not in ("densify", "dequantize") or not node.inputs or node.inputs[0] < 0:
            continue
        source = context.tensor(node.inputs[0])
        stored = source.constant or node.inputs[0] in unpacked
        if stored and (node.kind == "densify" or source.dtype == "float16"):
            found.add(index)
            unpacked.update(node.outputs)
    return frozenset(found)


def refusals(context: Context, nodes: Iterable[int], rules: GpuRules) -> dict[int, Refusal]:
    """Node -> why the delegate does not take it, whatever becomes of the others."""
    found = ((index, rules.acceptance.refusal(context, context.graph.nodes[index])) for index in nodes)
    return {index: why for index, why in found if why}


def _initialisation_failure(
    context: Context, nodes: Iterable[int], refused: dict[int, Refusal], rules: GpuRules
) -> Refusal | None:
    """An accepted node that later fails to build takes the whole delegate down: then nothing runs on the GPU."""
    for index in nodes:
        node = context.graph.nodes[index]
        if index not in refused and (why := _build_failure(context, node)):
            return Refusal("INIT_FAILED", {"by": rules.acceptance.by, "node": node.name, "why": why})
    return None


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
    for node in sorted(dropped, reverse=True):
        readers = [home[r] for t in context.graph.nodes[node].outputs for r, _ in context.uses.get(t, ()) if r in home]
        on_cpu = [number for number in readers if not split[number].delegated]
        home[node] = min(on_cpu or readers, default=0)
        added.setdefault(home[node], []).append(node)
    if not split:
        return [Epoch(True, tuple(sorted(dropped)))] if dropped else []
    return [Epoch(e.delegated, tuple(sorted((*e.nodes, *added.get(i, ()))))) for i, e in enumerate(split)]


def _delegated(
    context: Context, nodes: Sequence[int], processor: Processor, rules: GpuRules
) -> tuple[list[Kernel], Partition]:
    """The kernels of one partition."""
    nodes_of = context.graph.nodes
    unpackers = [n for n in nodes if any(t in context.constants for t in nodes_of[n].outputs)]
    model = build_model(context, sorted(set(nodes) - set(unpackers)), rules)
    transform(model)
    launches = link(select_kernels(model, processor, rules), model, rules)
    kernels = [_free(nodes_of[n], (n,), "weights are read as they are stored") for n in unpackers]
    kernels += [_free(nodes_of[op.nodes[0]], tuple(op.nodes), why) for op, why in model.free]
    kernels += [_kernel(launch, model, processor, context) for launch in launches]
    read, written = (sum(context.tensor(t).size_bytes or 0 for t in ends) for ends in (model.inputs, model.outputs))
    return kernels, Partition(rules.executor, len(nodes), read, written)


def _free(node: Node, nodes: tuple[int, ...], why: str) -> Kernel:
    return Kernel(node.kind, "none", nodes, (), (), free=why)


def _kernel(draft: Launch, model: Model, processor: Processor, context: Context) -> Kernel:
    of_graph = (value for value in (*draft.inputs, *draft.outputs) if value < len(context.graph.tensors))
    return Kernel(
        op=draft.op.kind,
        implementation=draft.name,
        nodes=tuple(dict.fromkeys(draft.nodes)),
        inputs=tuple(model.shapes[value] for value in draft.inputs),
        outputs=tuple(model.shapes[value] for value in draft.outputs),
        linked=tuple(draft.linked),
        input_dtype=processor.precision,
        output_dtype=processor.precision,
        attributes=MappingProxyType(draft.attributes),
        macs=draft.macs,
        weight_bytes=int(draft.weights * ITEM_BYTES[processor.precision]),
        launches=draft.launches,
        own_inputs=draft.own_inputs,
        sized=all(context.tensor(value).elements is not None for value in of_graph),
        obstacle=draft.obstacle,
        explain=tuple(draft.explain),
    )
