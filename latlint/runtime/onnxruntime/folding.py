"""ONNX Runtime's level 1 rewrites that need no more than a node and its neighbours: what is dropped, folded or merged.

Named after the rewrite rules of onnxruntime/core/optimizer/ (1.32).
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from latlint.runtime.onnxruntime.draft import MANY, Draft, Op

Rule = Callable[[Draft, Op], bool]

_MAX_INT64 = 2**63 - 1
_FLOATS = frozenset({"float32", "float16", "float64", "bfloat16"})


def apply_rules(draft: Draft) -> None:
    """Level1_RuleBasedTransformer: each node in order, each rule for its type until one takes the node away."""
    for op in draft.ops(*_RULES):
        for rule in _RULES[op.op]:
            if op.domain == "" and op.alive and rule(draft, op) and not op.alive:
                break


def _identity(draft: Draft, op: Op) -> bool:
    return draft.bypass(op, "an Identity")


def _noop(draft: Draft, op: Op, why: str) -> bool:
    return op.outputs[0] not in draft.outputs and draft.bypass(op, why)


def _dropout(draft: Draft, op: Op) -> bool:
    if len(op.outputs) > 1 and draft.users.get(op.outputs[1]):
        return False
    return _noop(draft, op, "Dropout does nothing when a model runs")


def _slice(draft: Draft, op: Op) -> bool:
    starts = op.get("starts") or draft.value(op.input(1))
    ends = op.get("ends") or draft.value(op.input(2))
    steps = draft.value(op.input(4)) if op.input(4) >= 0 else (1,)
    if not starts or not ends or steps is None or any(step != 1 for step in steps):
        return False
    if any(start != 0 for start in starts) or any(end < _MAX_INT64 for end in ends):
        return False
    return _noop(draft, op, "a Slice that takes everything")


def _expand(draft: Draft, op: Op) -> bool:
    shape, wanted = draft.shape(op.inputs[0]), draft.value(op.input(1))
    if shape is None or wanted is None or len(wanted) > len(shape):
        return False
    if any(want not in (1, have) for want, have in zip(reversed(wanted), reversed(shape), strict=False)):
        return False
    return _noop(draft, op, "an Expand to the shape that is there")


def _cast(draft: Draft, op: Op) -> bool:
    if draft.dtype(op.inputs[0]) != draft.dtype(op.outputs[0]) or draft.dtype(op.inputs[0]) == "unknown":
        return False
    return _noop(draft, op, "a Cast to the type that is there")


def _neutral(draft: Draft, op: Op) -> bool:
    """x+0, x-0, x*1, x/1, with a constant of one element."""
    fixed = [draft.constant(tensor) for tensor in op.inputs]
    if len(op.inputs) != 2 or fixed[0] == fixed[1] or (op.op in ("Sub", "Div") and not fixed[1]):
        return False
    number, other = (op.inputs[0], op.inputs[1]) if fixed[0] else (op.inputs[1], op.inputs[0])
    value, shape = draft.scalar(number), draft.shape(other)
    rank = len(draft.shape(number) or ())
    if value is None or shape is None or rank > len(shape) or value != (0 if op.op in ("Add", "Sub") else 1):
        return False
    if op.outputs[0] in draft.outputs:
        return False
    draft.set_input(op, 0, other)
    return draft.bypass(op, f"{op.op} with {value:g} changes nothing")


def _div_mul(draft: Draft, op: Op) -> bool:
    """1 / x * y is y / x."""
    user = draft.sole_user(op.outputs[0])
    if user is None or user.op != "Mul" or draft.scalar(op.inputs[0]) != 1 or draft.dtype(op.inputs[0]) not in _FLOATS:
        return False
    other = user.inputs[1 - user.inputs.index(op.outputs[0])]
    divisor = op.inputs[1]
    draft.absorb(op, [user], user.outputs[0])
    draft.set_input(op, 0, other)
    draft.set_input(op, 1, divisor)
    return True


def _relu_clip(draft: Draft, op: Op) -> bool:
    """A Relu before a Clip: the Clip takes its lower bound."""
    user = draft.sole_user(op.outputs[0])
    if user is None or user.op != "Clip" or user.inputs[0] != op.outputs[0]:
        return False
    if user.input(1) >= 0 and draft.scalar(user.input(1)) is None:
        return False
    user.origins += op.origins
    return draft.bypass(op, "")


def _not_where(draft: Draft, op: Op) -> bool:
    """Where(Not(c), a, b) is Where(c, b, a)."""
    condition = draft.writer(op.inputs[0], "Not")
    if condition is None or draft.sole_user(op.inputs[0]) is None:
        return False
    first, second = op.inputs[1], op.inputs[2]
    draft.set_input(op, 0, condition.inputs[0])
    draft.set_input(op, 1, second)
    draft.set_input(op, 2, first)
    draft.absorb(op, [condition])
    return True


def _folds_into_conv(draft: Draft, conv: Op, user: Op | None, name: str) -> int:
    """The constant that ``user`` applies to a convolution's output, where it goes into constant weights; -1 where it does not, as
    when the constant is the first operand."""
    if user is None or user.op != name or user.domain or not all(draft.constant(t) for t in conv.inputs[1:] if t >= 0):
        return -1
    constants = user.inputs[1:]
    return constants[0] if user.inputs[0] == conv.outputs[0] and all(draft.constant(t) for t in constants) else -1


def _per_channel(draft: Draft, conv: Op, tensor: int) -> bool:
    """Whether a constant has one value for each channel of a convolution's output, in the place where channels are."""
    weights, shape = draft.shape(conv.inputs[1]), draft.shape(tensor)
    if weights is None or shape is None or len(weights) < 3 or not len(weights) - 1 <= len(shape) <= len(weights):
        return False
    axis = len(shape) - len(weights) + 1
    return all(dim == (weights[0] if i == axis else 1) for i, dim in enumerate(shape))


def _conv_add(draft: Draft, op: Op) -> bool:
    user = draft.sole_user(op.outputs[0])
    other = _folds_into_conv(draft, op, user, "Add")
    if user is None or other < 0 or not _per_channel(draft, op, other):
        return False
    draft.absorb(op, [user], user.outputs[0])
    if op.input(2) < 0:
        draft.set_input(
            op, 2, draft.new_constant((draft.tensors[op.inputs[1]].shape or (0,))[:1], draft.dtype(op.inputs[1]))
        )
    return True


def _conv_mul(draft: Draft, op: Op) -> bool:
    user = draft.sole_user(op.outputs[0])
    other = _folds_into_conv(draft, op, user, "Mul")
    if user is None or other < 0 or not (_per_channel(draft, op, other) or draft.shape(other) == ()):
        return False
    draft.absorb(op, [user], user.outputs[0])
    return True


def _conv_bn(draft: Draft, op: Op) -> bool:
    user = draft.sole_user(op.outputs[0])
    if _folds_into_conv(draft, op, user, "BatchNormalization") < 0 or user is None or len(user.outputs) > 1:
        return False
    draft.absorb(op, [user], user.outputs[0])
    if op.input(2) < 0:
        draft.set_input(
            op, 2, draft.new_constant((draft.tensors[op.inputs[1]].shape or (0,))[:1], draft.dtype(op.inputs[1]))
        )
    return True


def _pad(draft: Draft, op: Op) -> bool:
    """A Pad with zeros into the explicit padding of the only convolution or average that reads it. An empty name where the fill
    value may stand stops it."""
    user = draft.sole_user(op.outputs[0])
    if user is None or user.op not in ("Conv", "AveragePool") or -1 in op.inputs or len(op.inputs) > 3:
        return False
    pads = op.get("pads") or draft.wholes(op.input(1))
    fill = draft.scalar(op.inputs[2]) if op.input(2) >= 0 else op.get("value", 0.0)
    if op.get("mode", "constant") != "constant" or pads is None or fill != 0:
        return False
    if user.get("auto_pad", "NOTSET") != "NOTSET" or (user.op == "AveragePool" and not user.get("count_include_pad")):
        return False
    half = len(pads) // 2
    if any(pad < 0 for pad in pads) or any(pads[:2]) or any(pads[half : half + 2]):
        return False
    added = (*pads[2:half], *pads[half + 2 :])
    old = user.get("pads") or (0,) * len(added)
    if len(old) != len(added):
        return False
    user.origins += op.origins
    user.attributes["pads"] = tuple(a + b for a, b in zip(old, added, strict=True))
    return draft.bypass(op, "")


def _matmul_bn(draft: Draft, op: Op) -> bool:
    """MatMul, then BatchNormalization with at most reshapes and transposes between, into a Gemm."""
    if not draft.constant(op.inputs[1]) or len(draft.shape(op.inputs[1]) or ()) != 2:
        return False
    if len(draft.shape(op.inputs[0]) or ()) != 2:
        return False
    user = draft.sole_user(op.outputs[0])
    if user is None or user.op != "BatchNormalization" or not all(draft.constant(t) for t in user.inputs[1:]):
        return False
    bias = draft.new_constant((draft.tensors[op.inputs[1]].shape or (0, 0))[1:], draft.dtype(op.inputs[1]))
    op.op = "Gemm"
    draft.absorb(op, [user], user.outputs[0])
    draft.set_input(op, 2, bias)
    return True


def _gemm_transpose(draft: Draft, op: Op) -> bool:
    """A Transpose of a Gemm's input, or of its output, into transA and transB."""
    changed = False
    for slot, name in ((0, "transA"), (1, "transB")):
        before = draft.writer(op.inputs[slot], "Transpose")
        if before is None or before.outputs[0] in draft.outputs:
            continue
        users = draft.users[before.outputs[0]]
        if len(users) > MANY or any(user.op != "Gemm" for user in users):
            continue
        op.attributes[name] = 1 - op.get(name, 0)
        alone = len(users) == 1
        draft.set_input(op, slot, before.inputs[0])
        op.origins += before.origins
        if alone:
            draft.remove(before)
        changed = True
    after = draft.sole_user(op.outputs[0])
    if after is not None and after.op == "Transpose" and op.input(2) < 0:
        first, second = op.inputs[0], op.inputs[1]
        flip_a, flip_b = 1 - op.get("transA", 0), 1 - op.get("transB", 0)
        op.attributes |= {"transA": flip_b, "transB": flip_a}
        draft.set_input(op, 0, second)
        draft.set_input(op, 1, first)
        draft.absorb(op, [after], after.outputs[0])
        changed = True
    return changed


def _gemm_sum(draft: Draft, op: Op) -> bool:
    """Gemm without a bias, then Sum of two."""
    user = draft.sole_user(op.outputs[0])
    if user is None or user.op != "Sum" or len(user.inputs) != 2 or op.input(2) >= 0:
        return False
    other = user.inputs[1 - user.inputs.index(op.outputs[0])]
    shape, result = draft.fixed_shape(other), draft.fixed_shape(op.outputs[0])
    if shape is None or result is None or len(shape) > 2:
        return False
    if any(dim not in (1, out) for dim, out in zip(reversed(shape), reversed(result), strict=False)):
        return False
    draft.absorb(op, [user], user.outputs[0])
    draft.set_input(op, 2, other)
    return True


_RULES: dict[str, tuple[Rule, ...]] = {
    "Identity": (_identity,),
    "Slice": (_slice,),
    "Dropout": (_dropout,),
    "Expand": (_expand,),
    "Cast": (_cast,),
    "Add": (_neutral,),
    "Sub": (_neutral,),
    "Mul": (_neutral,),
    "Div": (_neutral, _div_mul),
    "Relu": (_relu_clip,),
    "Gemm": (_gemm_sum, _gemm_transpose),
    "Where": (_not_where,),
    "Conv": (_conv_add, _conv_mul, _conv_bn),
    "Pad": (_pad,),
    "MatMul": (_matmul_bn,),
}

#: What constant folding leaves alone.
_NEVER_FOLDED = frozenset({
    "RandomUniform", "RandomNormal", "RandomUniformLike", "RandomNormalLike", "Multinomial", "Bernoulli",
    "If", "Loop", "Scan", "DequantizeLinear",
})  # fmt: skip


def fold_constants(draft: Draft) -> None:
    """ConstantFolding: nodes that read nothing but constants, and the Shape of a value whose shape is known."""
    for op in draft.ops():
        if op.op in _NEVER_FOLDED or op.domain not in ("", "com.microsoft"):
            continue
        known = op.op == "Shape" and draft.fixed_shape(op.inputs[0]) is not None
        if known or (op.inputs and all(tensor < 0 or draft.constant(tensor) for tensor in op.inputs)):
            draft.fold(op)


#: Constants of the file of at most this many elements count as the same when their values are; those that passes add do not.
_SHARED = 8


def share_common(draft: Draft) -> None:
    """ConstantSharing and CommonSubexpressionElimination: of nodes of one graph that compute the same from the same, the first stays."""
    seen: dict[object, Op] = {}
    instead: dict[int, int] = {}
    for op in draft.ops():
        if op.op in _NEVER_FOLDED:
            continue
        inputs = tuple(_same_value(draft, instead.get(tensor, tensor)) for tensor in op.inputs)
        attributes = tuple(sorted(op.attributes.items(), key=lambda item: item[0]))
        key = (draft.body(op), op.domain, op.op, op.version, inputs, attributes)
        first = seen.setdefault(key, op)
        if first is op or len(first.outputs) != len(op.outputs) or any(t in draft.outputs for t in op.outputs):
            continue
        draft.remove(op, "the same is computed before")
        instead |= {old: new for old, new in zip(op.outputs, first.outputs, strict=True) if old >= 0 and new >= 0}
    draft.redirect_all(instead)


def _same_value(draft: Draft, tensor: int) -> object:
    value = draft.value(tensor)
    if value is None or len(value) > _SHARED or tensor >= draft.original:
        return tensor
    return (draft.dtype(tensor), draft.shape(tensor), value)


def matmul_add(draft: Draft, spare_attention: bool = False) -> None:
    """MatMulAddFusion: a MatMul with weights of two dimensions and a bias into a Gemm, between reshapes where the data have more.

    ``spare_attention``: what looks like attention is left to AttentionFusion, which comes later."""
    norms: dict[int, bool] = {}
    sums: set[int] = set()
    for op in draft.ops("MatMul"):
        user = draft.sole_user(op.outputs[0])
        if user is None or user.op != "Add" or len(user.inputs) != 2:
            continue
        data, weights = draft.shape(op.inputs[0]), draft.shape(op.inputs[1])
        bias = user.inputs[1 - user.inputs.index(op.outputs[0])]
        if not data or weights is None or len(weights) != 2 or bias == op.outputs[0]:
            continue
        if draft.dtype(op.inputs[0]) not in ("float32", "float16", "bfloat16"):
            continue
        shape, reshaped = draft.shape(bias), len(data) != 2
        if reshaped and spare_attention and _in_attention(draft, op, user, norms, sums):
            continue
        if shape is None or (reshaped and (draft.fixed_shape(op.inputs[0]) is None or min(weights) < 0)):
            continue
        width = weights[1]
        fits = shape == (width,)
        fits |= not reshaped and len(shape) == 2 and shape[0] in (1, data[0]) and shape[1] == width
        fits |= not reshaped and len(shape) == 2 and shape == (data[0], 1)
        if fits:
            _as_gemm(draft, op, user, bias, reshaped)


def _in_attention(draft: Draft, op: Op, add: Op, norms: dict[int, bool], sums: set[int]) -> bool:
    """Whether MatMul and Add look like one of the four projections around attention. ``norms`` and ``sums`` remember what did, and which norms have no
    attention behind them: of a thousand readers each would look at all."""
    norm = draft.producer.get(op.inputs[0])
    if id(add) in sums:
        return True
    if norm is None or norm.op != "LayerNormalization":
        return False
    if id(norm) not in norms:
        norms[id(norm)] = _has_attention(draft, norm, sums)
    return norms[id(norm)]


def _has_attention(draft: Draft, norm: Op, sums: set[int]) -> bool:
    users = draft.users[norm.outputs[0]]
    adds = [user for user in users if user.op == "Add"]
    others = [user.op for user in users if user.op != "Add"]
    if len(adds) != 1 or others.count("MatMul") != 3 or others.count("Shape") != len(users) - 4:
        return False
    behind = draft.writer(adds[0].inputs[1 if adds[0].inputs[0] == norm.outputs[0] else 0], "Add")
    if behind is None:
        return False
    sums.add(id(behind))
    return True


def _as_gemm(draft: Draft, op: Op, add: Op, bias: int, reshaped: bool) -> None:
    data, result, where = op.inputs[0], add.outputs[0], op.position
    draft.absorb(op, [add], result)
    draft.set_input(op, 2, bias)
    op.op = "Gemm"
    if not reshaped:
        return
    shape, width = draft.tensors[data].shape or (), (draft.tensors[op.inputs[1]].shape or (0, 0))[1]
    rows = prod(shape[:-1])
    flat, made = draft.new_tensor(data, (rows, shape[-1])), draft.new_tensor(result, (rows, width))
    for source, target, dims in ((data, flat, (rows, shape[-1])), (made, result, (*shape[:-1], width))):
        if target is result:
            draft.set_output(op, 0, made)
            draft.set_shape(result, dims)
        else:
            draft.set_input(op, 0, flat)
        steer = draft.new_constant((len(dims),), "int64", dims)
        draft.add(Op("Reshape", [source, steer], [target], {}, (), op.version), where)


_RESHAPES = ("Reshape", "Squeeze", "Unsqueeze")


def fuse_shapes(draft: Draft) -> None:
    """ReshapeFusion: a shape that is put together from numbers and sizes of what is reshaped is a constant, 0 for sizes that stay and -1 for the one
    that does not."""
    for op in draft.ops("Reshape"):
        concat = draft.writer(op.input(1), "Concat")
        if op.get("allowzero", 0) or concat is None or draft.sole_user(concat.outputs[0]) is not op:
            continue
        sizes: list[int] = []
        for tensor in concat.inputs:
            value, size = draft.wholes(tensor), _size_of(draft, tensor)
            if value is not None:
                sizes += value
            elif draft.value(tensor) is not None:  # what is no whole number is no size
                break
            elif size == (op.inputs[0], len(sizes)):
                sizes.append(0)
            elif size is not None or draft.shape(tensor) == (1,):
                sizes.append(-1)
            else:
                break
        else:
            if sizes.count(-1) <= 1:
                draft.set_input(op, 1, draft.new_constant((len(sizes),), "int64", tuple(sizes)))
                if draft.shape(op.outputs[0]) is None:
                    source = draft.shape(op.inputs[0]) or ()
                    dims = (
                        source[axis : axis + 1] or (-1,) if size == 0 else (size,) for axis, size in enumerate(sizes)
                    )
                    draft.set_shape(op.outputs[0], [dim for of in dims for dim in of])


def _size_of(draft: Draft, tensor: int) -> tuple[int, int] | None:
    """The value of which a tensor of one element is a size, and the axis."""
    wider = draft.writer(tensor, "Unsqueeze")
    gather = draft.writer(wider.inputs[0] if wider else tensor, "Gather")
    shape = draft.writer(gather.inputs[0], "Shape") if gather else None
    axis = draft.whole(gather.inputs[1]) if gather else None
    alone = wider is not None or (gather is not None and draft.shape(gather.inputs[1]) == (1,))
    return (shape.inputs[0], axis) if shape is not None and axis is not None and alone else None


def fuse_reshapes(draft: Draft) -> None:
    """ReshapeFusion: reshapes that follow each other into one, where the last one's shape is known."""
    unknown: set[int] = set()
    for op in draft.ops("Reshape"):
        if op.get("allowzero", 0) or id(op) in unknown:
            continue
        chain = [op]
        while (user := draft.sole_user(chain[-1].outputs[0])) is not None and user.op in _RESHAPES:
            if user.inputs[0] != chain[-1].outputs[0] or user.get("allowzero", 0):
                break
            chain.append(user)
        shape = draft.fixed_shape(chain[-1].outputs[0])
        if len(chain) < 2 or shape is None or 0 in shape:
            unknown.update(map(id, chain))  # what begins within it ends where it does
            continue
        steer = draft.new_constant((len(shape),), "int64", shape)
        made = draft.replace_by("Reshape", chain, [op.inputs[0], steer])
        made.domain, made.version = "", draft.opset
