"""Element-wise ops, and what TensorFlow's converter fuses of them (mlir/lite/transforms/optimize_patterns.td)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from latlint.graph.types import Node
from latlint.runtime.convert.pieces import (
    AFFINE,
    NO_ACTIVATION,
    absorb,
    alias,
    chain,
    common_order,
    producer,
    unary,
)
from latlint.runtime.convert.writer import NewNode, Writer

#: Fused into the op that writes their input (optimize_patterns.td: FuseActFnIntoConvOpPat, FuseActFnIntoPoolOpPat,
#: FusedBinaryActivationFuncOpPat; optimize.cc: FuseFullyConnectedAndReluX).
FUSED = frozenset({"relu", "relu6", "relu_n1_to_1"})


_TAKES_ACTIVATION = frozenset(
    "conv2d depthwise_conv2d fully_connected max_pool2d average_pool2d add sub mul div".split()
)


_ARITHMETIC = frozenset("add sub mul div".split())


def activation(w: Writer, node: Node) -> None:
    """relu, relu6, relu_n1_to_1: fused into the op before them where that op has no other reader."""
    before = producer(w, node.inputs[0]) if node.inputs[0] in w.values else None
    if before is not None and before.kind == "reshape" and w.read_by[before.inputs[0]] == 1:
        # the activation goes before the reshape (optimize_patterns.td: ReorderElementwiseAndMoveOp)
        before = w.written_by.get(before.inputs[0])
    of_five_axes = w.newest and before is not None and before.kind in _ARITHMETIC and w.rank(node.inputs[0]) > 4
    takes = before is not None and before.kind in _TAKES_ACTIVATION and not of_five_axes
    if before is not None and takes and before.attributes.get("activation") == "none":
        before.attributes["activation"] = node.kind
        before.origins.append(node.index)
        value = w.values[node.inputs[0]]
        w.is_new(node.outputs[0], value.tensor, value.order)
        w.values[node.outputs[0]] = w.values[node.outputs[0]]._replace(pending=value.pending)
        return
    unary(w, node)


def clip(w: Writer, node: Node) -> None:
    """Clip.py: MINIMUM, then MAXIMUM, which is RELU where it is with zero (optimize_patterns.td: MatchReluPattern). Newer converters have
    RELU_0_TO_1."""
    low, high = node.attributes.get("min"), node.attributes.get("max")
    if node.kind == "relu_0_to_1":
        low, high = 0.0, 1.0
        if w.newest:
            unary(w, node)
            return
    steps: list[tuple[str, dict[str, Any]]] = []
    operands: list[float | None] = []
    if high is None or high < 3e38:
        steps.append(("minimum", {}))
        operands.append(high if high is not None else 0.0)
    if low is None or low > -3e38:
        steps.append(("relu", {}) if low == 0.0 else ("maximum", {}))
        operands.append(None if low == 0.0 else low if low is not None else 0.0)
    if not steps:
        alias(w, node)
        return
    chain(w, node, *steps, operands=tuple(operands))


def hard_sigmoid(w: Writer, node: Node) -> None:
    """HardSigmoid.py: max(0, min(1, alpha * x + beta)); scale and shift go into a convolution before it."""
    clamp: tuple[tuple[str, dict[str, Any]], ...] = (("minimum", {}), ("relu", {}))
    if w.newest:
        clamp = (("relu_0_to_1", {}),)
    numbers = (None,) if w.newest else (1.0,)
    before = producer(w, node.inputs[0]) if node.inputs[0] in w.values else None
    if before is not None and before.kind in AFFINE and before.attributes.get("activation", "none") == "none":
        before.origins.append(node.index)
        chain(w, node, *clamp, operands=numbers)
        return
    scale, shift = node.attributes["alpha"], node.attributes["beta"]
    steps = (("mul", NO_ACTIVATION), ("add", NO_ACTIVATION), *clamp)
    chain(w, node, *steps, operands=(scale, shift, *numbers))


def reciprocal(w: Writer, node: Node) -> None:
    value = w.value(node.inputs[0])
    one = w.number(1.0, w.tensors[value.tensor].dtype)
    w.add("div", [one, value.tensor], [w.new(node.outputs[0], value.order)], dict(NO_ACTIVATION), origins=[node.index])


def softplus(w: Writer, node: Node) -> None:
    """log(exp(x) + 1)."""
    chain(w, node, ("exp", {}), ("add", NO_ACTIVATION), ("log", {}), operands=(None, 1.0))


def mish(w: Writer, node: Node) -> None:
    """x * tanh(log(exp(x) + 1))."""
    value = w.value(node.inputs[0])
    chain(
        w,
        node,
        ("exp", {}),
        ("add", NO_ACTIVATION),
        ("log", {}),
        ("tanh", {}),
        ("mul", NO_ACTIVATION),
        operands=(None, 1.0),
    )
    w.drafts[-1].inputs.append(value.tensor)
    w.read_by[value.tensor] += 1


def softsign(w: Writer, node: Node) -> None:
    """x / (1 + |x|)."""
    value = w.value(node.inputs[0])
    chain(w, node, ("abs", {}), ("add", NO_ACTIVATION), ("div", NO_ACTIVATION), operands=(None, 1.0))
    w.drafts[-1].inputs.insert(0, value.tensor)
    w.read_by[value.tensor] += 1


def erf(w: Writer, node: Node) -> None:
    """TFLite has no such op: TensorFlow's own kernel runs it."""
    value = w.value(node.inputs[0])
    out = w.new(node.outputs[0], value.order)
    w.add("unknown", [value.tensor], [out], origins=[node.index], native="FlexErf")


def prelu(w: Writer, node: Node) -> None:
    """PRELU; the slope without the batch axis."""
    value, rank = w.value(node.inputs[0]), w.rank(node.inputs[0])
    slope = w.operand(node.inputs[1], rank, value.order)
    shape = w.tensors[slope].shape
    if node.inputs[1] in w.folded and shape is not None and len(shape) < rank - 1:
        slope = w.constant_of(node.inputs[1], shape=(1,) * (rank - 1 - len(shape)) + shape)
    w.add("prelu", [value.tensor, slope], [w.new(node.outputs[0], value.order)], origins=[node.index])


def binary(w: Writer, node: Node) -> None:
    """Broadcasting ops of two inputs (or more: one after another), in the order in which the larger operand is stored."""
    if len(node.inputs) == 1:
        alias(w, node)
        return
    if _folds_into_producer(w, node) or _is_power(w, node):
        return
    order, rank = common_order(w, node)
    operands = [w.operand(i, rank, order) for i in node.inputs if i >= 0]
    if node.kind in ("add", "mul", "minimum", "maximum") and node.inputs[0] in w.folded:
        operands.reverse()  # MLIR's canonical form has the constant last
    kind = node.kind
    if kind == "div" and len(operands) == 2 and node.inputs[1] in w.folded and _is_float(w, operands[1]):
        # mlir/tensorflow/transforms/canonicalize.td, RealDivWithConstDivisor: a product by the reciprocal
        kind, operands[1] = "mul", _reciprocal_of(w, operands[1])
    attributes = dict(NO_ACTIVATION) if kind in _ARITHMETIC else {}
    out = w.new(node.outputs[0], order)
    x = operands[0]
    for place, y in enumerate(operands[1:], 2):
        last = place == len(operands)
        target = (
            out if last else w.temporary(f"{w.tensors[out].name}/{place}", w.tensors[out].shape, w.tensors[out].dtype)
        )
        w.add(kind, [x, y], [target], dict(attributes), origins=[node.index])
        x = target


def _is_float(w: Writer, i: int) -> bool:
    return w.tensors[i].dtype == "float32"


def _reciprocal_of(w: Writer, i: int) -> int:
    """A constant of the shape of ``i`` with one over its values, where these are known and none is zero."""
    tensor = w.tensors[i]
    known = tensor.value is not None and all(tensor.value)
    value = tuple(1.0 / each for each in tensor.value or ()) if known else None
    w.tensors.append(replace(tensor, name=f"{tensor.name}/reciprocal", value=value))
    return len(w.tensors) - 1


def _folds_into_producer(w: Writer, node: Node) -> bool:
    """A constant scale or shift per channel becomes part of the convolution or matrix product before it."""
    if node.kind not in _ARITHMETIC or len(node.inputs) != 2:
        return False
    data, constant = node.inputs
    if data in w.folded and node.kind in ("add", "mul"):
        data, constant = constant, data
    if constant not in w.folded or data in w.folded:
        return False
    before = producer(w, data)
    if before is None or before.kind not in AFFINE or before.attributes.get("activation", "none") != "none":
        return False
    if before.inputs[1] < 0 or not w.tensors[before.inputs[1]].constant or not _per_channel(w, before, data, constant):
        return False
    if w.shape(node.outputs[0]) != w.shape(data):
        return False
    absorb(w, before, node, data)
    return True


def _per_channel(w: Writer, before: NewNode, data: int, constant: int) -> bool:
    shape, rank = w.shape(constant), w.rank(data)
    if shape is None or len(shape) > rank:
        return False
    channel = w.values[data].order[-1]
    full = (1,) * (rank - len(shape)) + shape
    return all(dim == 1 or axis == channel for axis, dim in enumerate(full))


def _is_power(w: Writer, node: Node) -> bool:
    """x to the power 2 is x * x (optimize_patterns.td: OptimizePow2ToSquare)."""
    if node.kind != "pow" or node.inputs[0] in w.folded or w.scalar(node.inputs[1]) not in (1.0, 2.0):
        return False
    value = w.value(node.inputs[0])
    if w.scalar(node.inputs[1]) == 1.0:
        alias(w, node)
    else:
        w.add(
            "mul", [value.tensor] * 2, [w.new(node.outputs[0], value.order)], dict(NO_ACTIVATION), origins=[node.index]
        )
    return True


def select(w: Writer, node: Node) -> None:
    order, rank = common_order(w, node)
    operands = [w.operand(i, rank, order) for i in node.inputs]
    w.add("select", operands, [w.new(node.outputs[0], order)], origins=[node.index])


def cast(w: Writer, node: Node) -> None:
    if w.source.tensors[node.inputs[0]].dtype == w.source.tensors[node.outputs[0]].dtype:
        alias(w, node)
    else:
        unary(w, node)
