"""Quantised models on ONNX Runtime: QuantizeLinear and DequantizeLinear around ops become integer ops, if all of a group fits.

Sources: onnxruntime/core/optimizer/qdq_transformer/ (1.32) and nhwc_transformer.cc.
"""

from __future__ import annotations

from latlint.runtime.onnxruntime.draft import MANY, Draft, Op
from latlint.runtime.onnxruntime.transposes import optimise_transposes, transpose_input

_Q, _DQ = "QuantizeLinear", "DequantizeLinear"
_BYTES = ("uint8", "int8")
#: What quantised values pass through unchanged on their way (qdq_propagation.cc).
_PASSES = frozenset({"MaxPool", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Slice"})
#: What runs on the quantised values as they are (DropQDQNodesRules).
_DROPS = frozenset({
    "Gather", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Expand", "Tile", "Slice", "GatherElements", "Resize",
    "MaxPool", "DepthToSpace", "SpaceToDepth",
})  # fmt: skip
#: Of these, what does so with numbers of 8 bits alone.
_DROPS_BYTES = frozenset({"Resize", "MaxPool"})
_UNARY = frozenset({"AveragePool", "GlobalAveragePool", "LeakyRelu", "Sigmoid", "Softmax"})
_BINARY = frozenset({"Add", "Mul"})


#: Where passes have put so many values in between, none gets a DequantizeLinear of its own any more: no real model comes near, and each costs memory.
_MOST_ADDED = 50_000


def has_quantization(draft: Draft) -> bool:
    return any(op.op == _DQ for op in draft.ops())


# --- Level 1 -----------------------------------------------------------------------------------------------------------------------


def propagate(draft: Draft) -> None:
    """QDQPropagation and EnsureUniqueDQForNodeUnit: pairs move through what does not compute, each reader has a DequantizeLinear."""
    if not has_quantization(draft):
        return
    for quantize in draft.ops(_Q):
        _backward(draft, quantize)
    for dequantize in draft.ops(_DQ):
        _forward(draft, dequantize)
    own_dequantize(draft)


def remove_double_pairs(draft: Draft) -> None:
    """DoubleQDQPairsRemover: a value that is dequantised and at once quantised in the same way again."""
    for dequantize in draft.ops(_DQ):
        quantize = draft.sole_user(dequantize.outputs[0])
        if quantize is None or quantize.op != _Q or draft.constant(dequantize.inputs[0]):
            continue
        before = draft.writer(dequantize.inputs[0], _Q)
        if before is None or draft.dtype(before.outputs[0]) != draft.dtype(quantize.outputs[0]):
            continue
        if quantize.outputs[0] in draft.outputs or not _same_scale(draft, dequantize, quantize):
            continue
        source, result = dequantize.inputs[0], quantize.outputs[0]
        draft.remove(quantize, "quantised before")
        draft.remove(dequantize, "quantised again")
        draft.redirect(result, source)


def _scalar_pair(draft: Draft, op: Op) -> bool:
    return all(t < 0 or (draft.constant(t) and draft.shape(t) in ((), (1,))) for t in op.inputs[1:])


def _backward(draft: Draft, quantize: Op) -> None:
    """A pair in front of what the quantised value passed through."""
    while _scalar_pair(draft, quantize):
        op = draft.writer(quantize.inputs[0], *_PASSES)
        if op is None or op.domain or draft.sole_user(op.outputs[0]) is not quantize:
            return
        if draft.writer(op.inputs[0], _DQ) is not None or draft.constant(op.inputs[0]):
            return
        before = draft.new_tensor(op.inputs[0], None, draft.dtype(quantize.outputs[0]))
        after = draft.new_tensor(op.inputs[0])
        added = Op(_Q, [op.inputs[0], *quantize.inputs[1:]], [before], dict(quantize.attributes), (), quantize.version)
        draft.add(added, op.position - 0.02)
        draft.add(Op(_DQ, [before, *quantize.inputs[1:]], [after], {}, (), quantize.version), op.position - 0.01)
        draft.set_input(op, 0, after)
        quantize = added


def _forward(draft: Draft, dequantize: Op) -> None:
    """A pair behind what a dequantised value passes through."""
    while _scalar_pair(draft, dequantize):
        op = draft.sole_user(dequantize.outputs[0])
        if op is None or op.op not in _PASSES or op.domain or op.inputs[0] != dequantize.outputs[0]:
            return
        result = op.outputs[0]
        users = draft.users.get(result)
        if result in draft.outputs or not users or any(user.op == _Q for user in users):
            return
        made = draft.new_tensor(result)
        middle = draft.new_tensor(result, None, draft.dtype(dequantize.inputs[0]))
        draft.set_output(op, 0, made)
        draft.add(Op(_Q, [made, *dequantize.inputs[1:]], [middle], {}, (), dequantize.version), op.position + 0.01)
        added = Op(_DQ, [middle, *dequantize.inputs[1:]], [result], {}, (), dequantize.version)
        draft.add(added, op.position + 0.02)
        dequantize = added


def own_dequantize(draft: Draft) -> None:
    """EnsureUniqueDQForNodeUnit: a DequantizeLinear for each that reads its value."""
    for op in draft.ops(_DQ):
        result = op.outputs[0]
        users, taken = draft.users.get(result), result in draft.outputs
        if users is None or len(users) + taken < 2 or len(users) > MANY:
            continue
        if len(draft.tensors) - draft.original > _MOST_ADDED:
            return
        for user, times in list(users.counted().items()):
            slot = -1
            for _ in range(times):
                slot = user.inputs.index(result, slot + 1)
                if taken:
                    made = draft.new_tensor(result)
                    added = Op(_DQ, list(op.inputs), [made], dict(op.attributes), op.origins, op.version)
                    draft.add(added, op.position)
                    draft.set_input(user, slot, made)
                taken = True


# --- Level 2 -----------------------------------------------------------------------------------------------------------------------


def keep_constants_as_integers(draft: Draft) -> None:
    """WeightBiasQuantization: float weights and biases of a product between pairs are made integers when the file is loaded. What stays in float all the same
    reads them through a DequantizeLinear, at every run."""
    for op in draft.ops("Conv", "ConvTranspose", "Gemm"):
        before, after = draft.writer(op.inputs[0], "DequantizeLinear"), draft.sole_user(op.outputs[0])
        if before is None or after is None or after.op != "QuantizeLinear" or op.domain:
            continue
        if not draft.constant(op.inputs[1]) and draft.writer(op.inputs[1], "DequantizeLinear") is None:
            continue
        for slot, dtype in ((1, "int8"), (2, "int32")):
            tensor = op.input(slot)
            if tensor < 0 or not draft.constant(tensor) or draft.dtype(tensor) != "float32":
                continue
            kept, scale = draft.new_constant(draft.shape(tensor) or (), dtype), draft.new_constant((), "float32")
            made = draft.new_tensor(tensor)
            draft.add(Op("DequantizeLinear", [kept, scale], [made], {}, (), draft.opset), op.position - 0.25)
            draft.set_input(op, slot, made)


def to_integer_ops(draft: Draft, signed: bool) -> None:
    """QDQS8ToU8 (unless ``signed`` activations are as good), QDQSelectorActionTransformer and QDQFinalCleanup."""
    if not has_quantization(draft):
        return
    _drop_clamps(draft)
    if not signed:
        _to_unsigned(draft)
    draft.sort()
    for op in draft.ops():
        if op.op not in (_Q, _DQ) and not op.domain:
            _integer(draft, op, signed)
    _argmax(draft)


def _drop_clamps(draft: Draft) -> None:
    """ReluQuantFusion and ClipQuantFusion: the quantised range does what the clamp before it did."""
    for op in draft.ops("Relu", "Clip"):
        quantize = draft.sole_user(op.outputs[0])
        if quantize is None or quantize.op != _Q or op.domain:
            continue
        scale, zero = draft.scalar(quantize.inputs[1]), draft.scalar(quantize.input(2)) if quantize.input(2) >= 0 else 0
        kind = draft.dtype(quantize.outputs[0])
        if scale is None or zero is None or kind not in _BYTES:
            continue
        least, most = (0, 255) if kind == "uint8" else (-128, 127)
        low, high = scale * (least - zero), scale * (most - zero)
        if op.op == "Relu":
            fits = zero == least
        else:
            bounds = _bounds(draft, op)
            fits = bounds is not None and low >= bounds[0] and high <= bounds[1]
        if fits:
            quantize.origins += op.origins
            draft.bypass(op, "")


def _bounds(draft: Draft, op: Op) -> tuple[float, float] | None:
    """What a Clip lets through."""
    ends = []
    for slot, name, end in ((1, "min", float("-inf")), (2, "max", float("inf"))):
        value = draft.scalar(op.input(slot)) if op.input(slot) >= 0 else op.get(name, end)
        if value is None:
            return None
        ends.append(float(value))
    return ends[0], ends[1]


def _to_unsigned(draft: Draft) -> None:
    """QDQS8ToU8: int8 becomes uint8 between a QuantizeLinear and the one DequantizeLinear that reads it."""
    for quantize in draft.ops(_Q):
        dequantize = draft.sole_user(quantize.outputs[0])
        if dequantize is None or dequantize.op != _DQ or draft.dtype(quantize.outputs[0]) != "int8":
            continue
        if not _scalar_pair(draft, quantize) or not _scalar_pair(draft, dequantize):
            continue
        made = draft.new_tensor(quantize.outputs[0], None, "uint8")
        draft.set_output(quantize, 0, made)
        draft.set_input(dequantize, 0, made)
        for op in (quantize, dequantize):
            zero = draft.whole(op.input(2))
            value = None if zero is None else (zero + 128,)
            draft.set_input(op, 2, draft.new_constant((), "uint8", value))


def _same_scale(draft: Draft, first: Op, second: Op) -> bool:
    """Whether two of a pair quantise in the same way."""
    for slot in (1, 2):
        a, b = first.input(slot), second.input(slot)
        if a != b and (draft.value(a) if a >= 0 else (0,)) != (draft.value(b) if b >= 0 else (0,)):
            return False
        if a != b and (a >= 0 and draft.value(a) is None):
            return False
    return True


def _integer(draft: Draft, op: Op, signed: bool) -> None:
    """Makes ``op`` and the pairs around it one integer op, if the group is complete and its types are taken."""
    if op.op in _DROPS:
        _drop(draft, op)
        return
    if op.op == "Split":
        _drop_split(draft, op)
        return
    if op.op not in _UNARY | _BINARY | {"Concat", "Conv", "MatMul", "Gemm", "Where", "ConvTranspose"}:
        return
    slots = [slot for slot, tensor in enumerate(op.inputs) if tensor >= 0]
    if op.op == "Where":
        if len(slots) < 3:  # the condition, or a choice, is left out
            return
        slots = slots[1:]
    after = draft.sole_user(op.outputs[0])
    after = after if after is not None and after.op == _Q else None
    found = [draft.writer(op.inputs[slot], _DQ) for slot in slots]
    before = [each for each in found if each is not None]
    if len(before) < len(found) or len(op.outputs) > 1 or any(draft.sole_user(d.outputs[0]) is None for d in before):
        return
    kinds = [draft.dtype(each.inputs[0]) for each in before]
    result = draft.dtype(after.outputs[0]) if after is not None else ""
    name = _name(draft, op, kinds, result, signed)
    if name:
        _replace(draft, op, name, before, after)


def _name(draft: Draft, op: Op, kinds: list[str], result: str, signed: bool) -> str:
    """The integer op that does it, or nothing."""
    if any(kind not in _BYTES for kind in kinds[:2]):
        return ""
    taken = kinds[0] == "uint8" or (signed and kinds[1:2] in ([], ["int8"]))
    match op.op:
        case "Conv" if result == kinds[0] and taken and kinds[2:] in ([], ["int32"]):
            return "QLinearConv"
        case "MatMul" if taken and result in ("", kinds[0]):
            return "QLinearMatMul" if result else "MatMulIntegerToFloat"
        case "Gemm" if taken and result in ("", kinds[0]) and kinds[2:] in ([], ["int32"]):
            plain = op.get("alpha", 1.0) == op.get("beta", 1.0) == 1.0
            return "QGemm" if not kinds[2:] or plain else ""
        case "Where" if result == kinds[0] and kinds[0] == kinds[1]:
            return "QLinearWhere"
        case "Concat" if set(kinds) == {result}:
            return "QLinearConcat"
        case name if name in _UNARY | _BINARY and set(kinds) == {result}:
            return f"QLinear{name}"
    return ""


def _replace(draft: Draft, op: Op, name: str, before: list[Op], after: Op | None) -> None:
    """The integer op reads values, scales and zero points of all, and writes what the QuantizeLinear wrote."""
    groups = [[*each.inputs[:2], each.input(2)] for each in before]
    if op.op in ("Conv", "Gemm") and op.input(2) >= 0 and len(groups) == 2:
        groups.append([op.inputs[2]])
    out = [] if after is None else [after.inputs[1], after.input(2)]
    if name == "QLinearConv":
        inputs = [*groups[0], *groups[1], *out, *[group[0] for group in groups[2:]]]
    elif name in ("QGemm", "QLinearMatMul"):
        bias = [group[0] for group in groups[2:]] if name == "QLinearMatMul" else [groups[2][0] if groups[2:] else -1]
        inputs = [*groups[0], *groups[1], *bias, *out]
    elif name == "MatMulIntegerToFloat":
        inputs = [groups[0][0], groups[1][0], groups[0][1], groups[1][1], groups[0][2], groups[1][2]]
    elif name == "QLinearConcat":
        inputs = [*out, *[tensor for group in groups for tensor in group]]
    else:
        inputs = [*[tensor for group in groups for tensor in group], *out]
        inputs = [op.inputs[0], *inputs] if name == "QLinearWhere" else inputs
    result = op.outputs[0] if after is None else after.outputs[0]
    origins = (*op.origins, *(o for each in before for o in each.origins), *(after.origins if after else ()))
    position, attributes = op.position, dict(op.attributes)
    draft.remove(op)
    for each in before:
        if not draft.users.get(each.outputs[0]):
            draft.remove(each)
    if after is not None:
        draft.remove(after)
    standard = name in ("QLinearConv", "QLinearMatMul")
    made = Op(
        name,
        inputs,
        [result],
        attributes,
        tuple(dict.fromkeys(origins)),
        op.version,
        "" if standard else "com.microsoft",
    )
    draft.add(made, position)


def _drop(draft: Draft, op: Op) -> None:
    """What only moves values runs on the quantised ones."""
    before, after = draft.writer(op.inputs[0], _DQ), draft.sole_user(op.outputs[0])
    if before is None or after is None or after.op != _Q or len(op.outputs) > 1:
        return
    kind = draft.dtype(before.inputs[0])
    if op.op in _DROPS_BYTES and kind not in _BYTES:
        return
    if op.op == "Resize" and op.get("mode", "nearest") != "nearest":
        return
    if (
        kind != draft.dtype(after.outputs[0])
        or not _same_scale(draft, before, after)
        or draft.constant(before.inputs[0])
    ):
        return
    if draft.sole_user(before.outputs[0]) is not op:
        return
    result = after.outputs[0]
    op.origins += (*before.origins, *after.origins)
    draft.set_input(op, 0, before.inputs[0])
    draft.remove(before)
    draft.remove(after)
    draft.set_output(op, 0, result)


def _drop_split(draft: Draft, op: Op) -> None:
    before = draft.writer(op.inputs[0], _DQ)
    after = [draft.sole_user(tensor) for tensor in op.outputs]
    if before is None or any(each is None or each.op != _Q or not _same_scale(draft, before, each) for each in after):
        return
    draft.set_input(op, 0, before.inputs[0])
    if not draft.users.get(before.outputs[0]):
        draft.remove(before)
    for slot, each in enumerate(after):
        if each is not None:
            result = each.outputs[0]
            draft.remove(each)
            draft.set_output(op, slot, result)


def _argmax(draft: Draft) -> None:
    """ArgMax is the same on the quantised values."""
    for op in draft.ops("ArgMax"):
        before = draft.writer(op.inputs[0], _DQ)
        if before is not None and draft.sole_user(before.outputs[0]) is op and _scalar_pair(draft, before):
            draft.absorb(op, [before])
            draft.set_input(op, 0, before.inputs[0])


# --- Dynamic quantisation ------------------------------------------------------------------------------------------------------------


def fuse_dynamic(draft: Draft) -> None:
    """MatMulIntegerToFloatFusion, then DynamicQuantizeMatMulFusion."""
    for op in draft.ops("MatMulInteger"):
        cast = draft.sole_user(op.outputs[0])
        scaled = draft.sole_user(cast.outputs[0]) if cast is not None and cast.op == "Cast" else None
        if cast is None or scaled is None or scaled.op != "Mul":
            continue
        factor = draft.writer(scaled.inputs[1 - scaled.inputs.index(cast.outputs[0])], "Mul")
        if factor is None:
            continue
        nodes = [op, cast, scaled]
        inputs = [*op.inputs[:2], *factor.inputs, op.input(2), op.input(3)]
        add = draft.sole_user(scaled.outputs[0])
        if add is not None and add.op == "Add":
            bias = add.inputs[1 - add.inputs.index(scaled.outputs[0])]
            width = (draft.shape(op.inputs[1]) or (0,))[-1]
            if draft.constant(bias) and draft.shape(bias) == (width,):
                nodes.append(add)
                inputs.append(bias)
        made = draft.replace_by("MatMulIntegerToFloat", nodes, inputs)
        made.position = op.position
        if not draft.users.get(factor.outputs[0]) and factor.outputs[0] not in draft.outputs:
            draft.remove(factor)
    for op in draft.ops("MatMulIntegerToFloat"):
        quantize = draft.writer(op.inputs[0], "DynamicQuantizeLinear")
        if quantize is None or any(u is not op for t in quantize.outputs for u in draft.users.get(t, ())):
            continue
        draft.absorb(op, [quantize])
        rest = [op.inputs[1], op.inputs[3], op.input(5), *op.inputs[6:]]
        for slot, tensor in enumerate((quantize.inputs[0], *rest)):
            draft.set_input(op, slot, tensor)
        draft.drop_inputs(op, 1 + len(rest))
        op.op = "DynamicQuantizeMatMul"


# --- Level 3 -----------------------------------------------------------------------------------------------------------------------


def to_channels_last(draft: Draft) -> None:
    """NhwcTransformer: integer convolutions read and write channels last, with Transposes that then move and cancel."""
    changed = False
    for op in draft.ops("QLinearConv"):
        shape = draft.shape(op.inputs[0])
        if op.domain or shape is None or len(shape) < 3 or draft.dtype(op.inputs[0]) not in _BYTES:
            continue
        rank, result = len(shape), op.outputs[0]
        size = draft.shape(result)
        if size is not None and len(size) != rank:
            continue
        last, first = (0, *range(2, rank), 1), (0, rank - 1, *range(1, rank - 1))
        op.domain, op.attributes["channels_last"] = "com.microsoft", 1
        transpose_input(draft, op, 0, last)
        made = draft.new_tensor(result, None if size is None else tuple(size[axis] for axis in last))
        draft.set_output(op, 0, made)
        draft.add(Op("Transpose", [made], [result], {"perm": first}, (), draft.opset), op.position + 0.1)
        changed = True
    if changed:
        optimise_transposes(draft, 3)
