"""The delegate's own graph: one op for each TFLite node, fused activations as ops of their own
(tensorflow/lite/delegates/gpu/common/model_builder.cc)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from latlint.graph.ops import BINARY
from latlint.graph.types import Node
from latlint.runtime.context import Context
from latlint.runtime.gpu.rules import GpuRules
from latlint.runtime.work import macs

Shape = tuple[int, ...]

_FUSED = {"relu": "relu", "relu6": "relu", "tanh": "tanh", "sigmoid": "sigmoid"}


@dataclass(slots=True, eq=False)
class Op:
    """One node of the delegate's graph.

    ``name`` is the delegate's word, ``kind`` the vocabulary's; ``nodes`` the TFLite nodes that it stands for, its own first.
    ``inputs`` are run-time values only. ``arity`` counts all inputs; ``operand`` is the kind of a constant second operand: ``scalar``, ``linear`` (one
    number a channel), ``full``, or empty. ``weights`` counts constant elements; ``launches`` the kernels that it takes, 0 where its kind says
    so. ``notes`` say what transformations made of it.
    """

    name: str
    kind: str
    nodes: list[int]
    inputs: list[int]
    outputs: list[int]
    attributes: dict[str, Any] = field(default_factory=dict)
    operand: str = ""
    arity: int = 1
    weights: int = 0
    macs: int = 0
    launches: int = 0
    alive: bool = True
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Model:
    """The delegate's graph of one partition. ``shapes`` holds every value's shape; ``uses`` the ops that read a value, by their identity
    and the slot in which they do; ``free`` the ops that cost nothing any more, each with the reason."""

    ops: list[Op]
    shapes: dict[int, Shape]
    inputs: frozenset[int]
    outputs: frozenset[int]
    quantized: frozenset[int] = frozenset()
    uses: dict[int, dict[tuple[int, int], Op]] = field(default_factory=dict)
    producers: dict[int, Op] = field(default_factory=dict)
    free: list[tuple[Op, str]] = field(default_factory=list)

    def index(self) -> None:
        """Fills ``uses`` and ``producers``."""
        for op in self.ops:
            for slot, value in enumerate(op.inputs):
                self.uses.setdefault(value, {})[id(op), slot] = op
            for value in op.outputs:
                self.producers[value] = op

    def bhwc(self, value: int) -> tuple[int, int, int, int]:
        """The value's shape as the delegate reads it (model_builder_helper.cc: ExtractTensorShape)."""
        return to_bhwc(self.shapes[value])

    def sole_reader(self, op: Op) -> Op | None:
        """The one op that reads ``op``'s one output, once, where the output stays inside; otherwise ``None``."""
        if len(op.outputs) != 1 or op.outputs[0] in self.outputs:
            return None
        uses = self.uses.get(op.outputs[0], {})
        return next(iter(uses.values())) if len(uses) == 1 else None

    def only_consumer(self, op: Op) -> Op | None:
        """``sole_reader`` where it reads ``op`` first of its inputs."""
        reader = self.sole_reader(op)
        return reader if reader is not None and reader.inputs[0] == op.outputs[0] else None

    def swap_inputs(self, op: Op) -> None:
        """The second of the two different inputs of ``op`` comes first."""
        for slot, value in enumerate(op.inputs):
            del self.uses[value][id(op), slot]
        op.inputs.reverse()
        for slot, value in enumerate(op.inputs):
            self.uses[value][id(op), slot] = op

    def bypass(self, op: Op) -> None:
        """Takes ``op`` out: whoever read its output reads its first input instead."""
        source, target = op.inputs[0], op.outputs[0]
        op.alive = False
        readers = self.uses.pop(target, {})
        for (_, slot), reader in readers.items():
            reader.inputs[slot] = source
        for slot in range(len(op.inputs)):
            self.uses[source].pop((id(op), slot), None)
        self.uses[source] |= readers
        self.producers.pop(target, None)

    def absorb_producer(self, op: Op, producer: Op) -> None:
        """``op`` does the work of ``producer`` too, which it alone reads."""
        op.nodes += producer.nodes
        op.weights += producer.weights
        op.notes += [f"does the work of {producer.name} before it", *producer.notes]
        self.bypass(producer)

    def absorb_consumer(self, op: Op, consumer: Op) -> None:
        """``op`` does the work of ``consumer`` too, which alone reads it, and writes what ``consumer`` wrote."""
        op.nodes += consumer.nodes
        op.weights += consumer.weights
        op.notes.append(f"{consumer.name} by a constant after it is part of its weights")
        consumer.alive = False
        self.uses.pop(op.outputs[0], None)
        op.outputs[0] = consumer.outputs[0]
        self.producers[op.outputs[0]] = op


def to_bhwc(shape: Sequence[int]) -> tuple[int, int, int, int]:
    """Batch, height, width, channels of a shape of up to four dimensions (missing ones are 1)."""
    if len(shape) == 4:
        return (shape[0], shape[1], shape[2], shape[3])
    if len(shape) == 3:
        return (shape[0], 1, shape[1], shape[2])
    if len(shape) == 2:
        return (shape[0], 1, 1, shape[1])
    return (prod(shape), 1, 1, 1)


def build_model(context: Context, nodes: Iterable[int], rules: GpuRules) -> Model:
    """The delegate's graph of one partition, before any transformation."""
    chosen = [context.graph.nodes[i] for i in nodes]
    written = {t for node in chosen for t in node.outputs}
    taken = {node.index for node in chosen}
    inputs = frozenset(t for node in chosen for t in context.runtime_inputs(node) if t not in written)
    outputs = frozenset(
        t
        for t in written
        if t in context.graph_outputs or any(consumer not in taken for consumer, _ in context.uses.get(t, ()))
    )
    model = Model([], {}, inputs, outputs)
    builder = _Builder(context, model, rules, taken, len(context.graph.tensors))
    for node in chosen:
        builder.add(node)
    model.index()
    return model


@dataclass(slots=True)
class _Builder:
    context: Context
    model: Model
    rules: GpuRules
    members: set[int]
    next_value: int
    writers: dict[int, tuple[Op, int]] = field(default_factory=dict)

    def add(self, node: Node) -> None:
        """The op of ``node``, then its fused activation, then the rounding of its quantised outputs."""
        op = self._op(node)
        self._take(op)
        for name in _fused_ops(node):
            self._append(name, node, op.outputs[0], operand="scalar" if name == "add" else "")
        if op.name != "quantize_and_dequantize":
            for output in node.outputs:
                self._round(node, output)

    def _take(self, op: Op) -> None:
        self.model.ops.append(op)
        self.writers |= {value: (op, slot) for slot, value in enumerate(op.outputs)}

    def _op(self, node: Node) -> Op:
        context = self.context
        rule = self.rules.ops.get(node.kind)
        inputs = context.runtime_inputs(node)
        for tensor in (*inputs, *node.outputs):
            self.model.shapes[tensor] = context.shape(tensor)
        op = Op(
            name=rule.kernel if rule else self.rules.custom[node.native],
            kind=node.kind,
            nodes=[node.index],
            inputs=inputs,
            outputs=list(node.outputs),
            arity=len(node.inputs),
            attributes={k: v for k, v in node.attributes.items() if k != "activation"},
            weights=sum(tensor.elements or 0 for tensor in context.streamed(node)),
            macs=macs(context.graph, node),
        )
        if node.kind in BINARY:
            self._operands(node, op)
        if node.kind == "fully_connected":
            self._fully_connected(op)
        return op

    def _fully_connected(self, op: Op) -> None:
        """Weights computed at run time need a convolution; a map larger than 1x1 is reshaped first (model_builder.cc)."""
        _, height, width, _ = self.model.bhwc(op.inputs[0])
        if len(op.inputs) > 1:
            op.name = "convolution_2d"
        elif (height, width) != (1, 1):
            op.launches = 2

    def _operands(self, node: Node, op: Op) -> None:
        constants = [t for t in node.inputs if t >= 0 and self.context.is_constant(t)]
        if constants:
            op.operand = _operand_kind(self.context.shape(constants[0]))
        elif len(op.inputs) == 2 and op.inputs[0] == op.inputs[1]:
            # model_builder.cc: x + x is built as 2 x, x * x as x to the power of 2.
            op.name, op.inputs, op.operand = {"add": "mul", "mul": "pow"}.get(op.name, op.name), op.inputs[:1], "scalar"

    def _append(self, name: str, node: Node, output: int, operand: str = "") -> None:
        """An op right after the last one, which takes over writing ``output`` (NewPassthroughNode)."""
        before = self.next_value
        self.next_value += 1
        self.model.shapes[before] = self.model.shapes[output]
        writer, slot = self.writers[output]
        writer.outputs[slot] = before
        self.writers[before] = writer, slot
        self._take(Op(name, name, [node.index], [before], [output], operand=operand))

    def _round(self, node: Node, output: int) -> None:
        """A quantised result that other ops read is rounded as int8 arithmetic would (add_quant_adjustments.cc)."""
        tensor = self.context.tensor(output)
        read = any(reader in self.members for reader, _ in self.context.uses.get(output, ()))
        if read and tensor.dtype in self.rules.quantized_types and tensor.quantization:
            self._append("quantize_and_dequantize", node, output)


def _fused_ops(node: Node) -> tuple[str, ...]:
    activation = node.attributes.get("activation", "none")
    if activation == "relu_n1_to_1":
        return ("add", "relu", "add")
    return (_FUSED[activation],) if activation in _FUSED else ()


def _operand_kind(shape: Shape) -> str:
    """``scalar``, ``linear`` or ``full`` (model_builder.cc: ParseInputsWithConstTensor)."""
    if prod(shape) == 1:
        return "scalar"
    return "linear" if all(dim == 1 for dim in shape[:-1]) else "full"
