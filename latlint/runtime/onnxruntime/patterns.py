"""ONNX Runtime's fusions of activations, normalisation, matrix products and slices (levels 1 and 2)."""

from __future__ import annotations

from math import isclose, prod

from latlint.graph.onnx_shapes import MAX_RANK
from latlint.records import NamedTuple
from latlint.runtime.onnxruntime.draft import Draft, Op

_FLOATS = frozenset({"float32", "float16", "float64", "bfloat16"})


def _is(draft: Draft, tensor: int, value: float, tolerance: float = 1e-5) -> bool:
    """Whether a value is this constant. One that is in another file counts as such: ONNX Runtime reads it, latlint does not."""
    found = draft.scalar(tensor)
    if draft.constant(tensor) and draft.value(tensor) is None:
        shape = draft.fixed_shape(tensor)
        return shape is not None and prod(shape) == 1
    return isinstance(found, (int, float)) and isclose(found, value, rel_tol=tolerance, abs_tol=1e-8)


def _with(draft: Draft, op: Op | None, name: str, value: float) -> int:
    """The other operand of ``op``, where it is ``name`` with this constant; -1 otherwise."""
    if op is None or op.op != name or len(op.inputs) != 2:
        return -1
    for slot in (1, 0) if name in ("Add", "Mul") else (1,):
        if _is(draft, op.inputs[slot], value):
            return op.inputs[1 - slot]
    return -1


def _other(op: Op, tensor: int) -> int:
    """The operand of a binary op that is not ``tensor``."""
    return op.inputs[1] if op.inputs[0] == tensor else op.inputs[0]


def fuse_gelu(draft: Draft, level: int) -> None:
    """GeluFusion: 0.5 * x * (1 + erf(x / sqrt 2)); not with a product by 1 / sqrt 2. Level 1 has the standard op, from opset 20 on."""
    if level == 1 and draft.opset < 20:
        return
    for erf in draft.ops("Erf"):
        scaled = draft.writer(erf.inputs[0], "Div")
        root = _with(draft, scaled, "Div", 2**0.5)
        if (
            root < 0
            or scaled is None
            or draft.sole_user(scaled.outputs[0]) is not erf
            or draft.dtype(root) not in _FLOATS
        ):
            continue
        plus = draft.sole_user(erf.outputs[0])
        if plus is None or _with(draft, plus, "Add", 1.0) != erf.outputs[0]:
            continue
        product = draft.sole_user(plus.outputs[0])
        if product is None or product.op != "Mul":
            continue
        other = _other(product, plus.outputs[0])
        if other == root:
            half = draft.sole_user(product.outputs[0])
            if half is None or _with(draft, half, "Mul", 0.5) != product.outputs[0]:
                continue
            nodes = [scaled, erf, plus, product, half]
        else:
            half = draft.writer(other, "Mul")
            if half is None or _with(draft, half, "Mul", 0.5) != root or draft.sole_user(other) is not product:
                continue
            nodes = [scaled, erf, plus, half, product]
        made = draft.replace_by("Gelu", nodes, [root])
        made.domain = "" if level == 1 else made.domain


def fuse_bias_gelu(draft: Draft) -> None:
    """BiasGeluFusion: the Add of a vector before a Gelu or FastGelu."""
    for op in draft.ops("Gelu", "FastGelu"):
        add = draft.writer(op.inputs[0], "Add")
        if (
            add is None
            or op.domain != "com.microsoft"
            or draft.sole_user(add.outputs[0]) is not op
            or len(op.inputs) > 1
        ):
            continue
        first, second = draft.shape(add.inputs[0]), draft.shape(add.inputs[1])
        if first is None or second is None or not first or not second or first[-1] != second[-1]:
            continue
        if len(second) == 1:
            inputs = [add.inputs[0], add.inputs[1]]
        elif len(first) == 1:
            inputs = [add.inputs[1], add.inputs[0]]
        else:
            continue
        draft.replace_by("BiasGelu" if op.op == "Gelu" else "FastGelu", [add, op], inputs)


def fuse_quick_gelu(draft: Draft) -> None:
    """QuickGeluFusion: x * sigmoid(a x)."""
    for sigmoid in draft.ops("Sigmoid"):
        product = draft.sole_user(sigmoid.outputs[0])
        if product is None or product.op != "Mul":
            continue
        root = _other(product, sigmoid.outputs[0])
        nodes = [sigmoid, product]
        if root != sigmoid.inputs[0]:
            scale = draft.writer(sigmoid.inputs[0], "Mul")
            if scale is None or root not in scale.inputs or draft.sole_user(scale.outputs[0]) is not sigmoid:
                continue
            if draft.scalar(_other(scale, root)) is None:
                continue
            nodes.insert(0, scale)
        if draft.dtype(root) in ("float32", "float16", "bfloat16"):
            draft.replace_by("QuickGelu", nodes, [root])


def fuse_layer_norm(draft: Draft, level: int) -> None:
    """LayerNormFusion: (x - mean) / sqrt(mean((x - mean)^2) + e) * scale + bias. The standard op is there from opset 17 on."""
    if level == 1 and draft.opset < 17:
        return
    for mean in draft.ops("ReduceMean"):
        nodes = _layer_norm(draft, mean)
        if nodes is None:
            continue
        chain, scale, bias = nodes
        made = draft.replace_by("LayerNormalization", chain, [mean.inputs[0], scale, bias])
        made.domain, made.version = "", draft.opset


def _layer_norm(draft: Draft, mean: Op) -> tuple[list[Op], int, int] | None:
    root = mean.inputs[0]
    subs = [user for user in draft.users.get(mean.outputs[0], ()) if user.op == "Sub" and user.inputs[0] == root]
    if not 1 <= len(subs) <= 2 or len(draft.users[mean.outputs[0]]) != len(subs) or mean.outputs[0] in draft.outputs:
        return None
    if draft.dtype(root) not in _FLOATS:
        return None
    power = next((u for s in subs for u in draft.users.get(s.outputs[0], ()) if u.op == "Pow"), None)
    div = next((u for s in subs for u in draft.users.get(s.outputs[0], ()) if u.op == "Div"), None)
    if power is None or div is None or not _squares(draft, power):
        return None
    chain: list[Op] = [mean, *subs, power]
    tensor = power.outputs[0]
    for name in ("ReduceMean", "Add", "Sqrt"):
        op = draft.sole_user(tensor)
        if op is None or op.op != name:
            return None
        if name == "Add" and draft.scalar(_other(op, tensor)) is None:
            return None
        chain.append(op)
        tensor = op.outputs[0]
    if draft.sole_user(tensor) is not div or div.inputs[1] != tensor:
        return None
    if _axes(draft, mean) != _axes(draft, chain[-3]) or not _trailing(draft, mean):
        return None
    product = draft.sole_user(div.outputs[0])
    if product is None or product.op != "Mul":
        return None
    scale = _other(product, div.outputs[0])
    total = draft.sole_user(product.outputs[0])
    if total is None or total.op != "Add":
        return None
    bias = _other(total, product.outputs[0])
    width = len(_axes(draft, mean) or ())
    if not all(draft.constant(t) and len(draft.shape(t) or ()) == width for t in (scale, bias)):
        return None
    inside = {id(op) for op in (*chain, div, product, total)}
    if any(id(u) not in inside for sub in subs for u in draft.users[sub.outputs[0]]):
        return None
    return [*chain, div, product, total], scale, bias


def _squares(draft: Draft, op: Op) -> bool:
    return _is(draft, op.inputs[1], 2.0)


def _axes(draft: Draft, op: Op) -> tuple[int, ...] | None:
    """The axes of a reduction, from the end where they or the number of dimensions say."""
    axes = op.get("axes") or draft.wholes(op.input(1))
    shape = draft.shape(op.inputs[0])
    if axes is None or (shape is None and max(axes, default=0) >= 0):
        return None
    return tuple(sorted(axis - len(shape) if shape and axis >= 0 else axis for axis in axes))


def _trailing(draft: Draft, op: Op) -> bool:
    axes = _axes(draft, op)
    return bool(axes) and axes == tuple(range(-len(axes or ()), 0))


def fuse_simplified_layer_norm(draft: Draft) -> None:
    """SimplifiedLayerNormFusion: x / sqrt(mean(x^2) + e) * scale."""
    for power in draft.ops("Pow"):
        root = power.inputs[0]
        if not _squares(draft, power) or draft.dtype(root) not in _FLOATS:
            continue
        chain, tensor = [power], power.outputs[0]
        for name in ("ReduceMean", "Add", "Sqrt"):
            op = draft.sole_user(tensor)
            if op is None or op.op != name or (name == "Add" and draft.scalar(_other(op, tensor)) is None):
                break
            chain.append(op)
            tensor = op.outputs[0]
        div = draft.sole_user(tensor)
        if len(chain) < 4 or div is None or div.op != "Div" or div.inputs != [root, tensor]:
            continue
        product = draft.sole_user(div.outputs[0])
        if product is None or product.op != "Mul" or not _trailing(draft, chain[1]):
            continue
        scale = _other(product, div.outputs[0])
        if draft.constant(scale) and len(draft.shape(scale) or ()) == 1:
            draft.replace_by("SimplifiedLayerNormalization", [*chain, div, product], [root, scale]).domain = ""


def fuse_skip_layer_norm(draft: Draft) -> None:
    """SkipLayerNormFusion: the Add of two values of one shape before a LayerNormalization, and a bias before that."""
    for op in draft.ops("LayerNormalization"):
        add = draft.writer(op.inputs[0], "Add")
        if add is None or draft.sole_user(op.inputs[0]) is not op or len(op.inputs) < 2:
            continue
        first = draft.fixed_shape(add.inputs[0])
        if first is None or first != draft.shape(add.inputs[1]) or len(first) != 3:
            continue
        if draft.dtype(op.inputs[0]) not in ("float32", "float16", "bfloat16"):
            continue
        inputs, nodes = list(add.inputs), [op, add]
        biases = []
        for slot in (0, 1):
            before = draft.writer(add.inputs[slot], "Add")
            if before is None or draft.sole_user(add.inputs[slot]) is not add or not draft.constant(before.inputs[1]):
                continue
            wide, vector = draft.shape(before.inputs[0]), draft.shape(before.inputs[1])
            if wide is not None and vector is not None and len(wide) == 3 and vector == wide[2:]:
                inputs[slot], biases = before.inputs[0], [before.inputs[1]]
                nodes.append(before)
                break
        scale = [op.inputs[1], op.input(2)]
        outputs = op.outputs[:1]
        made = draft.replace_by("SkipLayerNormalization", [*nodes[1:], op], [*inputs, *scale, *biases])
        made.origins = (*op.origins, *(o for o in made.origins if o not in op.origins))
        made.outputs = outputs


#: The opset from which on products are fused with what is around them.
_MATMUL_FUSIONS = 9
_MATRIX_FLOATS = frozenset({"float32", "float16", "float64", "bfloat16"})


def fuse_matmul_transpose(draft: Draft) -> None:
    """MatmulTransposeFusion: Transposes of a MatMul's operands that move the last two dimensions, or the first, into FusedMatMul."""
    for op in draft.ops("MatMul", "FusedMatMul"):
        if draft.dtype(op.inputs[0]) not in _MATRIX_FLOATS or draft.opset < _MATMUL_FUSIONS:
            continue
        found: list[tuple[int, Op, bool, bool]] = []
        for slot in (0, 1):
            before = draft.writer(op.inputs[slot], "Transpose")
            if before is None or before.outputs[0] in draft.outputs or op.get(("transBatchA", "transBatchB")[slot], 0):
                continue
            moved = _matrix_move(draft, before)
            if moved is not None:
                found.append((slot, before, *moved))
        if any(batch for *_, batch in found):
            ranks = {len(draft.shape(tensor) or ()) for tensor in op.inputs[:2]}
            found = found if len(ranks) == 1 else [each for each in found if not each[3]]
        if not found:
            continue
        op.op, op.domain = "FusedMatMul", "com.microsoft"
        for slot, before, swapped, batch in found:
            name = "AB"[slot]
            op.attributes[f"trans{name}"] = op.get(f"trans{name}", 0) ^ int(swapped)
            op.attributes[f"transBatch{name}"] = op.get(f"transBatch{name}", 0) ^ int(batch)
            draft.set_input(op, slot, before.inputs[0])
            op.origins += tuple(o for o in before.origins if o not in op.origins)
            if not draft.users.get(before.outputs[0]):
                draft.remove(before)


def permutation(draft: Draft, op: Op) -> tuple[int, ...] | None:
    """What a Transpose does: the input's axis for each of the output. ``None`` where that is not known, and where it cannot be: no dimensions, as many as no
    tensor has, an axis twice, or another number of them than a shape has that the file states."""
    shapes = [shape for shape in (draft.shape(op.inputs[0]), draft.shape(op.outputs[0])) if shape is not None]
    perm = op.get("perm")
    if perm is None:
        shape = draft.shape(op.inputs[0])
        perm = () if shape is None else tuple(reversed(range(len(shape))))
    if not 0 < len(perm) <= MAX_RANK or any(len(shape) != len(perm) for shape in shapes):
        return None
    return perm if sorted(perm) == list(range(len(perm))) else None


def _matrix_move(draft: Draft, op: Op) -> tuple[bool, bool] | None:
    """Whether a Transpose swaps the matrix dimensions and moves the batch, if that is all that it does."""
    perm = permutation(draft, op)
    if perm is None or len(perm) < 2:
        return None
    last = len(perm) - 1
    if last not in (perm[-1], perm[-2]):
        return None
    if len(perm) >= 3 and (perm[0] not in (0, 1) or any(perm[i] + 1 != perm[i + 1] for i in range(len(perm) - 3))):
        return None
    return perm[-2] == last, len(perm) >= 3 and perm[0] == 1


def fuse_matmul_scale(draft: Draft) -> None:
    """MatMulScaleFusion: a constant factor before or after a MatMul into FusedMatMul's alpha."""
    for op in draft.ops("MatMul", "FusedMatMul"):
        if draft.dtype(op.inputs[0]) != "float32" or draft.opset < _MATMUL_FUSIONS:
            continue
        found = False
        for slot in (0, 1):
            before = draft.producer.get(op.inputs[slot])
            scaled = _scaled(draft, before)
            if before is None or scaled < 0:
                continue
            draft.set_input(op, slot, scaled)
            op.origins += tuple(o for o in before.origins if o not in op.origins)
            if not draft.users.get(before.outputs[0]) and before.outputs[0] not in draft.outputs:
                draft.remove(before)
            found = True
        after = draft.sole_user(op.outputs[0])
        if after is not None and _scaled(draft, after) == op.outputs[0]:
            draft.absorb(op, [after], after.outputs[0])
            found = True
        if found:
            op.op, op.domain = "FusedMatMul", "com.microsoft"


def _scaled(draft: Draft, op: Op | None) -> int:
    """The value that ``op`` multiplies by a constant of one element or divides by it, or -1."""
    if op is None or op.op not in ("Mul", "Div") or op.domain or len(op.inputs) != 2:
        return -1
    for slot in (0, 1) if op.op == "Mul" else (1,):
        shape, data = draft.fixed_shape(op.inputs[slot]), draft.shape(op.inputs[1 - slot])
        if not draft.constant(op.inputs[slot]) or shape is None or data is None:
            continue
        if all(dim == 1 for dim in shape) and len(shape) <= len(data):
            return op.inputs[1 - slot]
    return -1


_GEMM_ACTIVATIONS = frozenset({
    "Elu", "HardSigmoid", "LeakyRelu", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Tanh", "ThresholdedRelu",
})  # fmt: skip


def fuse_gemm_activation(draft: Draft) -> None:
    """GemmActivationFusion."""
    for op in draft.ops("Gemm"):
        user = draft.sole_user(op.outputs[0])
        if user is None or user.op not in _GEMM_ACTIVATIONS or user.domain or draft.dtype(op.inputs[0]) != "float32":
            continue
        op.op, op.domain = "FusedGemm", "com.microsoft"
        op.attributes["activation"] = user.op
        draft.absorb(op, [user], user.outputs[0])


def fuse_conv_activation(draft: Draft) -> None:
    """ConvActivationFusion."""
    for op in draft.ops("Conv"):
        user = draft.sole_user(op.outputs[0])
        if user is None or draft.dtype(op.inputs[0]) != "float32" or op.domain or not activates(draft, user):
            continue
        op.op, op.domain = "FusedConv", "com.microsoft"
        op.attributes["activation"] = user.op
        draft.absorb(op, [user], user.outputs[0])


def activates(draft: Draft, op: Op) -> bool:
    """Whether a convolution can apply ``op`` to what it writes."""
    if op.op == "Clip":
        return all(tensor < 0 or draft.scalar(tensor) is not None for tensor in op.inputs[1:])
    return op.op in ("Relu", "Sigmoid", "Tanh", "LeakyRelu", "HardSigmoid") and not op.domain


def fuse_conv_add(draft: Draft) -> None:
    """ConvAddActivationFusion: the Add of another value to what a convolution writes, and an activation after it."""
    for op in draft.ops("Conv", "FusedConv"):
        if (
            len(op.inputs) > 3
            or op.get("activation")
            or draft.dtype(op.inputs[0]) != "float32"
            or op.domain == "com.microsoft.nchwc"
        ):
            continue
        add = draft.sole_user(op.outputs[0])
        if add is None or add.op not in ("Add", "Sum") or len(add.inputs) != 2 or add.domain:
            continue
        other = _other(add, op.outputs[0])
        shapes = draft.fixed_shape(other), draft.fixed_shape(op.outputs[0])
        if shapes[0] is None or shapes[0] != shapes[1] or other == op.outputs[0] or draft.constant(other):
            continue
        if len(shapes[0]) != 4:
            continue
        if _reads(draft, other, op):
            continue
        nodes = [add]
        after = draft.sole_user(add.outputs[0])
        if after is not None and activates(draft, after):
            nodes.append(after)
            op.attributes["activation"] = after.op
        op.op, op.domain = "FusedConv", "com.microsoft"
        draft.absorb(op, nodes, nodes[-1].outputs[0])
        if op.input(2) < 0:
            op.inputs += [-1] * (3 - len(op.inputs))
        draft.set_input(op, 3, other)


def _reads(draft: Draft, tensor: int, op: Op, limit: int = 200) -> bool:
    """Whether ``tensor`` is computed from what ``op`` writes; True as well where that is too far to tell."""
    waiting, seen = [tensor], set()
    while waiting:
        maker = draft.producer.get(waiting.pop())
        if maker is op:
            return True
        if maker is None or id(maker) in seen or maker.position < op.position:
            continue
        seen.add(id(maker))
        if len(seen) > limit or len(maker.inputs) > limit:
            return True
        waiting += [t for t in maker.inputs if t >= 0]
    return False


def gather_to_split(draft: Draft) -> None:
    """GatherSliceToSplitFusion: Gathers of single places and Slices that together take a value apart, into one Split."""
    if draft.opset < 13:
        return
    for tensor in [*draft.inputs, *(op.outputs[0] for op in draft.ops() if len(op.outputs) == 1 and op.op != "Shape")]:
        shape = draft.shape(tensor)
        takers = [u for u in draft.users.get(tensor, ()) if u.op in ("Gather", "Slice") and u.inputs[0] == tensor]
        if shape is None or len(takers) < 2:
            continue
        axis = _taken_axis(draft, takers[0], len(shape))
        if axis is None or not 0 <= axis < len(shape) or shape[axis] < 0:
            continue
        parts = [_taken(draft, op, axis, shape) for op in takers]
        known = sorted((part, number) for number, part in enumerate(parts) if part is not None)
        if len(known) < len(parts):
            continue
        ends = [0, *(end for (_, end, _), _ in known)]
        if [*(start for (start, _, _), _ in known), shape[axis]] == ends:
            _as_split(draft, tensor, axis, shape, [(takers[number], *part) for part, number in known])


def _taken_axis(draft: Draft, op: Op, rank: int) -> int | None:
    axis = op.get("axis", 0) if op.op == "Gather" else draft.whole(op.input(3))
    return None if axis is None else axis + (rank if axis < 0 else 0)


def _taken(draft: Draft, op: Op, axis: int, shape: tuple[int, ...]) -> tuple[int, int, bool] | None:
    """Start and end of what a Gather or Slice takes along ``axis``, and whether the axis goes."""
    size = shape[axis]
    if _taken_axis(draft, op, len(shape)) != axis:
        return None
    if op.op == "Gather":
        place = draft.scalar(op.inputs[1])
        if place is None or draft.dtype(op.inputs[1]) != "int64":
            return None
        start = int(place) + (size if place < 0 else 0)
        return (start, start + 1, draft.shape(op.inputs[1]) == ()) if 0 <= start < size else None
    first, last = draft.whole(op.input(1)), draft.whole(op.input(2))
    step = draft.whole(op.input(4)) if op.input(4) >= 0 else 1
    if first is None or last is None or step != 1:
        return None
    ends = [min(max(place + (size if place < 0 else 0), 0), size) for place in (first, last)]
    return (ends[0], ends[1], False) if ends[0] < ends[1] else None


def _as_split(
    draft: Draft, tensor: int, axis: int, shape: tuple[int, ...], parts: list[tuple[Op, int, int, bool]]
) -> None:
    origins = tuple(dict.fromkeys(o for op, *_ in parts for o in op.origins))
    where, outputs = parts[0][0].position, []
    squeezed: list[tuple[Op, int]] = []
    for op, start, end, gone in parts:
        outputs.append(op.outputs[0])
        if gone:
            made = draft.new_tensor(op.outputs[0], (*shape[:axis], end - start, *shape[axis + 1 :]))
            squeezed.append((op, made))
            outputs[-1] = made
        draft.remove(op)
    sizes = draft.new_constant((len(parts),), "int64", tuple(end - start for _, start, end, _ in parts))
    draft.add(Op("Split", [tensor, sizes], outputs, {"axis": axis}, origins, draft.opset), where)
    for op, made in squeezed:
        axes = draft.new_constant((1,), "int64", (axis,))
        draft.add(Op("Squeeze", [made, axes], list(op.outputs), {}, (), draft.opset), where)


# --- Slices of every second row and column ---------------------------------------------------------------------------------------


def fuse_space_to_depth(draft: Draft) -> None:
    """SpaceToDepthFusion: the four slices of every second row and column, joined along the channels, are a SpaceToDepth, with a Gather behind it where
    they are joined in another order."""
    for op in draft.ops("Concat"):
        found = [_sliced(draft, tensor) for tensor in op.inputs]
        parts = [each for each in found if each is not None]
        if len(op.inputs) != 4 or len(parts) != 4 or op.get("axis") not in (1, -3) or len({p.data for p in parts}) > 1:
            continue
        data = parts[0].data
        shape = draft.fixed_shape(data)
        slices = list(dict.fromkeys(each for part in parts for each in part.slices))
        inside = all(user in slices or user is op for each in slices for user in draft.users.get(each.outputs[0], ()))
        kept = any(each.outputs[0] in draft.outputs for each in slices)
        order = [part.offset for part in parts]
        if (
            shape is None
            or len(shape) != 4
            or shape[2] % 2
            or shape[3] % 2
            or not inside
            or kept
            or {*order} != {*_QUARTERS}
        ):
            continue
        batch, channels, height, width = shape
        result, position = op.outputs[0], op.position
        for each in (op, *slices):
            draft.remove(each)
        origins = tuple(dict.fromkeys(origin for each in (*slices, op) for origin in each.origins))
        made = result if order == _QUARTERS else draft.new_tensor(data, (batch, 4 * channels, height // 2, width // 2))
        draft.add(Op("SpaceToDepth", [data], [made], {"blocksize": 2}, origins, 13), position)
        if made != result:
            indices = draft.new_constant((4 * channels,), "int64", None)
            draft.add(Op("Gather", [made, indices], [result], {"axis": 1}, op.origins, 13), position + 0.1)


#: The first row and column of each quarter, in the order of SpaceToDepth.
_QUARTERS = [(0, 0), (0, 1), (1, 0), (1, 1)]


class _Quarter(NamedTuple):
    """A value that is every second row and column of ``data`` from ``offset`` on, by ``slices``."""

    data: int
    offset: tuple[int, int]
    slices: tuple[Op, ...]


def _sliced(draft: Draft, tensor: int) -> _Quarter | None:
    starts: dict[int, int] = {}
    slices: list[Op] = []
    while (op := draft.writer(tensor, "Slice")) is not None and len(slices) < 2:
        rank = len(draft.shape(op.inputs[0]) or ())
        start, end, axes, steps = (draft.value(op.input(slot)) or () for slot in (1, 2, 3, 4))
        if rank != 4 or not start or not len(start) == len(end) == len(axes) == len(steps):
            return None
        for first, last, axis, step in zip(start, end, axes, steps, strict=True):
            if axis % rank in starts or axis % rank < 2 or step != 2 or first not in (0, 1) or last < 2**31 - 1:
                return None
            starts[axis % rank] = int(first)
        slices.append(op)
        tensor = op.inputs[0]
    return _Quarter(tensor, (starts[2], starts[3]), tuple(slices)) if starts.keys() == {2, 3} else None
