"""ONNX Runtime's TransposeOptimizer: Transposes move through other nodes towards those that they cancel.

The order of the walk and the rough costs decide where a Transpose stays, so that they are those of
onnxruntime/core/optimizer/transpose_optimization/ (1.32).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from latlint.graph.onnx_shapes import MAX_RANK
from latlint.records import NamedTuple
from latlint.runtime.onnxruntime.draft import MANY, Draft, Op
from latlint.runtime.onnxruntime.patterns import permutation

Perm = tuple[int, ...]
#: What an unknown rank counts as.
_ASSUMED_RANK = 5


class _Push(NamedTuple):
    """A Transpose that ``op`` reads, about to move through it."""

    draft: Draft
    transpose: Op
    op: Op
    perm: Perm
    slots: tuple[int, ...]


class _Handler(NamedTuple):
    slots: Callable[[Draft, Op], tuple[int, ...]]
    push: Callable[[_Push], bool]
    #: Whether the node's output comes to be transposed instead of its input.
    moves: bool = True


def optimise_transposes(draft: Draft, level: int) -> None:
    """One run over the graph, at a level of optimisation. From the second on the nodes have their provider, so that what only its kernels can do is done;
    at the third, behind NhwcTransformer, a Squeeze that takes away all that a Transpose moves counts as any other."""
    if not any(op.op == "Transpose" for op in draft.ops()):
        return
    draft.sort()
    order = list(draft.ops())
    wanted = _leading_to_transposes(draft, order)
    for op in order:
        if op.alive:
            _pull(draft, op, wanted, level)
    if any(op.op == "DequantizeLinear" for op in order):
        _complete_units(draft)


def _handler(op: Op) -> _Handler | None:
    if op.domain == "":
        return _HANDLERS.get(op.op)
    return _QUANTIZED.get(op.op) if op.domain == "com.microsoft" else None


def _leading_to_transposes(draft: Draft, order: Sequence[Op]) -> set[int]:
    """Values from which a Transpose can be reached through nodes that a Transpose can move through."""
    found: set[int] = set()
    for op in reversed(order):
        if op.op == "Transpose":
            found.add(op.inputs[0])
        elif any(tensor in found for tensor in op.outputs):
            handler = _handler(op)
            if handler is not None and handler.moves:
                found.update(op.inputs[slot] for slot in handler.slots(draft, op))
    return found


def _pull(draft: Draft, op: Op, wanted: set[int], level: int) -> None:
    """Moves the first of the Transposes that ``op`` reads through it that can be moved and is worth it."""
    found: list[tuple[int, Op, Perm]] = []
    for slot, tensor in enumerate(op.inputs):
        before = draft.writer(tensor, "Transpose")
        perm = None if before is None else permutation(draft, before)
        if before is not None and perm is not None:
            found.append((slot, before, perm))
    handler = _handler(op)
    if found and op.op == "MaxPool" and level > 1 and not op.domain:
        _max_pool(_Push(draft, found[0][1], op, found[0][2], (0,)))
        return
    if not found or handler is None:
        return
    slots = handler.slots(draft, op)
    inside, costs = frozenset(slots), _input_costs(draft, op, slots)
    for slot, before, perm in found:
        if slot not in inside or (op.op in ("Resize", "Upsample") and not _resize_moves(perm, level)):
            continue
        if op.op != "Transpose" and _cost(draft, op, perm, costs, handler, wanted, level) >= 0:
            continue
        if handler.push(_Push(draft, before, op, perm, slots)):
            return


def _resize_moves(perm: Perm, level: int) -> bool:
    return level > 1 and perm in ((0, 2, 3, 1), (0, 3, 1, 2))


# --- What it is worth ------------------------------------------------------------------------------------------------------------


def _rank(draft: Draft, tensor: int) -> int:
    shape = draft.shape(tensor)
    return _ASSUMED_RANK if shape is None else sum(dim != 1 for dim in shape)


def _cost(
    draft: Draft, op: Op, perm: Perm, inputs: Mapping[Perm, int], handler: _Handler, wanted: set[int], level: int
) -> int:
    """Dimensions that are transposed more (or fewer: negative) when the Transpose moves through ``op``."""
    cost = inputs[()] + inputs.get(perm, 0)
    if (
        cost < 0
        and handler.moves
        and not any(tensor in wanted for tensor in op.outputs)
        and not (level < 3 and _vanishes(draft, op, perm))
    ):
        cost += max(_rank(draft, tensor) for tensor in op.outputs if tensor >= 0)
    return cost


def _vanishes(draft: Draft, op: Op, perm: Perm) -> bool:
    """Whether a Squeeze takes away all that a Transpose moves."""
    axes = _axes_of(draft, op, 1) if op.op == "Squeeze" else None
    if axes is None:
        return False
    left = _squeezed([perm[axis % len(perm)] for axis in axes], perm)
    return left == tuple(range(len(left)))


def _input_costs(draft: Draft, op: Op, slots: Sequence[int]) -> Mapping[Perm, int]:
    """What it costs to transpose the inputs, under the permutation of no dimensions; and under each that inputs come with, less, what it saves."""
    costs: dict[Perm, int] = {(): 0}
    for tensor, times in Counter(op.inputs[slot] for slot in slots).items():
        if tensor < 0 or draft.constant(tensor):
            continue
        before = draft.writer(tensor, "Transpose")
        if before is None:
            costs[()] += times * _rank(draft, tensor)
            continue
        perm = permutation(draft, before)
        if perm is not None and _goes(draft, tensor):
            costs[perm] = costs.get(perm, 0) - times * _rank(draft, tensor)
    return costs


def _goes(draft: Draft, tensor: int) -> bool:
    """Whether a Transpose can move through all that reads what it writes."""
    users = draft.users[tensor]
    if tensor in draft.outputs or users.distinct > MANY:
        return False
    return all(_handler(user) is not None for user in users.counted())


# --- Moving one ----------------------------------------------------------------------------------------------------------------------


def _inverse(perm: Perm) -> Perm:
    return tuple(sorted(range(len(perm)), key=perm.__getitem__))


def _permuted(shape: Sequence[int] | None, perm: Perm) -> tuple[int, ...] | None:
    return None if shape is None or len(shape) != len(perm) else tuple(shape[axis] for axis in perm)


def _new_transpose(draft: Draft, source: int, perm: Perm, position: float, origins: tuple[int, ...] = ()) -> int:
    made = draft.new_tensor(source)
    draft.set_shape(made, _permuted(draft.shape(source), perm))
    draft.add(Op("Transpose", [source], [made], {"perm": perm}, origins, draft.opset), position)
    return made


def transpose_input(draft: Draft, op: Op, slot: int, perm: Perm) -> None:
    """Lets ``op`` read its input transposed: a constant is, a Transpose cancels or is combined, else there is a new one."""
    tensor = op.inputs[slot]
    if tensor < 0:
        return
    if draft.constant(tensor):
        _transpose_constant(draft, op, slot, perm)
        return
    before = draft.writer(tensor, "Transpose")
    first = None if before is None else permutation(draft, before)
    if before is not None and first is not None and len(first) == len(perm):
        combined = tuple(first[axis] for axis in perm)
        if first == perm and combined != tuple(range(len(perm))):
            return
        if combined == tuple(range(len(perm))):
            draft.set_input(op, slot, before.inputs[0])
        else:
            draft.set_input(
                op, slot, _new_transpose(draft, before.inputs[0], combined, before.position, before.origins)
            )
        if not draft.users.get(tensor) and tensor not in draft.outputs:
            draft.remove(before)
        return
    users = draft.users.get(tensor)
    for user in islice(users.counted() if users is not None else (), MANY):
        if user.op == "Transpose" and user is not op and permutation(draft, user) == perm:
            draft.set_input(op, slot, user.outputs[0])
            return
    draft.set_input(op, slot, _new_transpose(draft, tensor, perm, op.position - 0.1))


def _transpose_constant(draft: Draft, op: Op, slot: int, perm: Perm) -> None:
    shape, tensor = draft.shape(op.inputs[slot]), op.inputs[slot]
    moved = _permuted(shape, perm)
    if moved is None:
        return
    value = draft.value(tensor)
    value = value if value is not None and len(set(value)) <= 1 else None
    made = draft.new_constant(moved, draft.dtype(tensor), value)
    draft.set_input(op, slot, made)
    # the constant itself is transposed: for those that read it too, a Transpose takes it back, and may move on from there
    if draft.users.get(tensor):
        draft.redirect(tensor, _new_transpose(draft, made, _inverse(perm), op.position - 0.1))


def _transpose_outputs(draft: Draft, op: Op, perm: Perm) -> None:
    """What ``op`` writes is transposed by ``perm`` before anybody reads it."""
    if perm == tuple(range(len(perm))):
        return
    for slot, tensor in enumerate(op.outputs):
        if tensor < 0:
            continue
        made = draft.new_tensor(tensor)
        draft.set_shape(made, _permuted(draft.shape(tensor), _inverse(perm)))
        draft.set_output(op, slot, made)
        draft.add(Op("Transpose", [made], [tensor], {"perm": perm}, (), draft.opset), op.position + 0.1)


def _through(push: _Push, slots: Sequence[int] | None = None) -> None:
    """The plain move: the inputs are read as they were before the Transpose, and the outputs are transposed."""
    _move_inputs(push, slots)
    _transpose_outputs(push.draft, push.op, push.perm)


def _move_inputs(push: _Push, slots: Sequence[int] | None = None) -> None:
    for slot in push.slots if slots is None else slots:
        transpose_input(push.draft, push.op, slot, _inverse(push.perm))


# --- Handlers --------------------------------------------------------------------------------------------------------------------------


def _first(draft: Draft, op: Op) -> tuple[int, ...]:
    return (0,)


def _all(draft: Draft, op: Op) -> tuple[int, ...]:
    return tuple(range(len(op.inputs)))


def _not_scalar(draft: Draft, op: Op) -> tuple[int, ...]:
    return tuple(slot for slot, tensor in enumerate(op.inputs) if draft.shape(tensor) != ())


def _simple(push: _Push) -> bool:
    _through(push)
    return True


def _broadcast(push: _Push) -> bool:
    draft, op, rank = push.draft, push.op, len(push.perm)
    shapes = [draft.shape(op.inputs[slot]) for slot in push.slots]
    if any(shape is None or len(shape) > rank for shape in shapes):
        return False
    for slot, shape in zip(push.slots, shapes, strict=True):
        if shape is not None and len(shape) < rank:
            _unsqueeze_input(draft, op, slot, tuple(range(rank - len(shape))))
    _through(push)
    return True


def _unsqueeze_input(draft: Draft, op: Op, slot: int, axes: tuple[int, ...]) -> None:
    """Ones in front of an input's shape: a constant gets them, a Squeeze is undone, else there is an Unsqueeze."""
    tensor = op.inputs[slot]
    shape = (1,) * len(axes) + (draft.shape(tensor) or ())
    if draft.constant(tensor):
        draft.set_input(op, slot, draft.new_constant(shape, draft.dtype(tensor), draft.value(tensor)))
        return
    before = draft.writer(tensor, "Squeeze")
    if before is not None and _axes_of(draft, before, 1) == axes:
        draft.set_input(op, slot, before.inputs[0])
        if not draft.users.get(tensor) and tensor not in draft.outputs:
            draft.remove(before)
        return
    made = draft.new_tensor(tensor, shape)
    added = Op("Unsqueeze", [tensor], [made], {}, (), draft.opset)
    draft.add(added, op.position - 0.2)
    _set_axes(draft, added, axes, 13)
    draft.set_input(op, slot, made)
    transpose = draft.writer(tensor, "Transpose")
    perm = None if transpose is None else permutation(draft, transpose)
    if transpose is not None and perm is not None:
        _unsqueeze(_Push(draft, transpose, added, perm, (0,)))


def _axes_of(draft: Draft, op: Op, slot: int) -> tuple[int, ...] | None:
    axes = op.get("axes")
    if axes is None:
        axes = draft.wholes(op.input(slot))
    return None if axes is None else tuple(axes)


def _version(draft: Draft, op: Op) -> int:
    """The opset that an op is of: a function may be written in an older one than what calls it. What is made of ops of the standard goes by the file's."""
    return draft.opset if op.domain else op.version


def _set_axes(draft: Draft, op: Op, axes: Sequence[int], since: int) -> None:
    if _version(draft, op) < since:
        op.attributes["axes"] = tuple(axes)
    else:
        op.attributes.pop("axes", None)
        draft.set_input(op, 1, draft.new_constant((len(axes),), "int64", tuple(axes)))


def _with_axis(default: int | None) -> Callable[[_Push], bool]:
    def push_axis(push: _Push) -> bool:
        axis = push.op.get("axis", default)
        if axis is None or not -len(push.perm) <= axis < len(push.perm):
            return False
        _through(push)
        push.op.attributes["axis"] = push.perm[axis % len(push.perm)]
        return True

    return push_axis


def _softmax(push: _Push) -> bool:
    if _version(push.draft, push.op) >= 13:
        return _with_axis(-1)(push)
    axis = push.op.get("axis", 1) % len(push.perm)
    if any((i < axis) != (push.perm[i] < axis) for i in range(len(push.perm))):
        return False
    return _simple(push)


def _shape(push: _Push) -> bool:
    draft, op = push.draft, push.op
    _move_inputs(push)
    start, end = op.attributes.pop("start", 0), op.attributes.pop("end", len(push.perm))
    order = push.perm[start:end]
    result = op.outputs[0]
    made = draft.new_tensor(result, (len(push.perm),))
    draft.set_output(op, 0, made)
    places = draft.new_constant((len(order),), "int64", order)
    draft.add(Op("Gather", [made, places], [result], {"axis": 0}, (), draft.opset), op.position + 0.1)
    return True


def _permute_list(push: _Push, slot: int, perm: Sequence[int]) -> None:
    """A list with a number for each axis, in the axes' new order: a constant is, else a Gather does it."""
    draft, op = push.draft, push.op
    tensor = op.inputs[slot]
    if draft.constant(tensor):
        value = draft.value(tensor)
        moved = None if value is None or len(value) != len(perm) else tuple(value[i] for i in perm)
        draft.set_input(op, slot, draft.new_constant(draft.shape(tensor) or (), draft.dtype(tensor), moved))
        return
    made = draft.new_tensor(tensor)
    places = draft.new_constant((len(perm),), "int64", tuple(perm))
    draft.add(Op("Gather", [tensor, places], [made], {"axis": 0}, (), draft.opset), op.position - 0.1)
    draft.set_input(op, slot, made)


def _doubled(perm: Perm) -> Perm:
    return (*perm, *(axis + len(perm) for axis in perm))


def _resize(push: _Push) -> bool:
    inverse = _inverse(push.perm)
    first = 1 if push.op.op == "Upsample" or push.op.version < 11 else 2
    if first == 2 and push.op.input(1) >= 0:
        _permute_list(push, 1, _doubled(inverse))
    for slot in range(first, len(push.op.inputs)):
        if push.op.inputs[slot] >= 0:
            _permute_list(push, slot, inverse)
    _through(push)
    return True


def _pad(push: _Push) -> bool:
    order = _doubled(_inverse(push.perm))
    if push.op.version < 11:
        pads = push.op.get("pads")
        if pads is None or len(pads) != len(order):
            return False
        push.op.attributes["pads"] = tuple(pads[i] for i in order)
    else:
        if push.op.input(3) >= 0:
            return False
        _permute_list(push, 1, order)
    _through(push)
    return True


def _reduce(push: _Push) -> bool:
    draft, op, rank = push.draft, push.op, len(push.perm)
    since = 13 if op.op == "ReduceSum" else 18
    keeps = bool(op.get("keepdims", 1))
    given = _axes_of(draft, op, 1)
    if not given:
        if op.input(1) >= 0 and not draft.constant(op.input(1)):
            return False
        _move_inputs(push)
        if keeps or op.get("noop_with_empty_axes", 0):
            _transpose_outputs(draft, op, push.perm)
        return True
    axes = tuple(sorted(push.perm[axis % rank] for axis in given))
    _set_axes(draft, op, axes, since)
    _move_inputs(push)
    _transpose_outputs(draft, op, push.perm if keeps else _squeezed(axes, push.perm))
    return True


def _squeezed(axes: Sequence[int], perm: Perm) -> Perm:
    """``perm`` without the ``axes`` of its input."""
    left = [axis for axis in range(len(perm)) if axis not in axes]
    return tuple(left.index(axis) for axis in perm if axis not in axes)


def _squeeze(push: _Push) -> bool:
    given = _axes_of(push.draft, push.op, 1)
    if given is None:
        return False
    axes = tuple(sorted(push.perm[axis % len(push.perm)] for axis in given))
    _set_axes(push.draft, push.op, axes, 13)
    _move_inputs(push)
    _transpose_outputs(push.draft, push.op, _squeezed(axes, push.perm))
    return True


def _unsqueeze(push: _Push) -> bool:
    given = _axes_of(push.draft, push.op, 1)
    if given is None:
        return False
    rank = len(push.perm) + len(given)
    added = {axis % rank for axis in given}
    if len(added) < len(given) or rank > MAX_RANK:
        return False
    kept = [axis for axis in range(rank) if axis not in added]
    moved = iter(push.perm)
    perm = tuple(axis if axis in added else kept[next(moved)] for axis in range(rank))
    _move_inputs(push)
    _transpose_outputs(push.draft, push.op, perm)
    return True


def _quantize(push: _Push) -> bool:
    if _version(push.draft, push.op) >= 13 and push.draft.shape(push.op.inputs[1]) != ():
        axis = push.op.get("axis", 1)
        if not -len(push.perm) <= axis < len(push.perm):
            return False
        push.op.attributes["axis"] = push.perm[axis % len(push.perm)]
    _through(push)
    return True


def _arg(push: _Push) -> bool:
    axis = push.perm[push.op.get("axis", 0) % len(push.perm)]
    push.op.attributes["axis"] = axis
    _move_inputs(push)
    keeps = push.op.get("keepdims", 1)
    _transpose_outputs(push.draft, push.op, push.perm if keeps else _squeezed((axis,), push.perm))
    return True


def _slice(push: _Push) -> bool:
    draft, op, rank = push.draft, push.op, len(push.perm)
    old = op.version < 10
    starts = op.get("starts") if old else draft.shape(op.input(1))
    axes = op.get("axes") if old else draft.wholes(op.input(3))
    if axes is None:
        count = 0 if not starts else len(starts) if old else starts[0]
        if op.input(3) >= 0 or not 0 < count <= rank:
            return False
        axes = tuple(range(count))
    moved = tuple(push.perm[axis % rank] for axis in axes)
    if old:
        op.attributes["axes"] = moved
    else:
        draft.set_input(op, 3, draft.new_constant((len(moved),), "int64", moved))
    _through(push)
    return True


def _tile(push: _Push) -> bool:
    _permute_list(push, 1, _inverse(push.perm))
    _through(push)
    return True


def _transpose(push: _Push) -> bool:
    perm = permutation(push.draft, push.op)
    return perm is not None and len(perm) == len(push.perm) and _merge(push, perm)


def _merge(push: _Push, perm: Perm) -> bool:
    """Two Transposes, or a reshape that is one, into one or none."""
    draft, op, transpose = push.draft, push.op, push.transpose
    combined = tuple(push.perm[axis] for axis in perm)
    source = transpose.inputs[0]
    if combined == tuple(range(len(combined))):
        _cancel(push, source)
    else:
        draft.set_input(op, 0, source)
        draft.drop_inputs(op, 1)
        op.op, op.attributes = "Transpose", {"perm": combined}
        op.origins = (*op.origins, *(o for o in transpose.origins if o not in op.origins))
    if transpose.alive and not draft.users.get(transpose.outputs[0]) and transpose.outputs[0] not in draft.outputs:
        draft.remove(transpose, "transposes cancel")
    return True


def _cancel(push: _Push, source: int) -> None:
    draft, op = push.draft, push.op
    result = op.outputs[0]
    if result not in draft.outputs:
        draft.remove(op, "transposes cancel")
        draft.redirect(result, source)
        return
    maker = draft.producer.get(source)
    if maker is not None and source not in draft.outputs:
        draft.remove(op, "transposes cancel")
        draft.set_output(maker, maker.outputs.index(source), result)
        draft.redirect(source, result)
        return
    draft.set_input(op, 0, source)
    draft.drop_inputs(op, 1)
    op.op, op.attributes = "Identity", {}


def _reshape(push: _Push) -> bool:
    return _reshape_as_transpose(push) or _split_reshape(push)


def _reshape_as_transpose(push: _Push) -> bool:
    """A Reshape that keeps the order of all dimensions but those of one is a Transpose."""
    draft = push.draft
    before, after = draft.fixed_shape(push.transpose.outputs[0]), draft.fixed_shape(push.op.outputs[0])
    if before is None or after is None or not draft.constant(push.op.input(1)):
        return False
    if not len(before) == len(after) == len(push.perm):
        return False
    left: list[int] = list(before)
    perm = []
    for want in after:
        for place, have in enumerate(left):
            if have == want:
                perm.append(place)
                left[place] = -1
                break
            if have not in (-1, 1) and want != 1:
                return False
        else:
            return False
    return _merge(push, tuple(perm))


def _split_reshape(push: _Push) -> bool:
    """A Reshape that only splits dimensions: it may split them before the Transpose, which then moves the parts together."""
    draft, op = push.draft, push.op
    before, after = draft.fixed_shape(push.transpose.outputs[0]), draft.fixed_shape(op.outputs[0])
    groups = None if before is None or after is None else _splits(before, after)
    if groups is None or after is None or not draft.constant(op.input(1)):
        return False
    inverse = _inverse(push.perm)
    order = [place for axis in inverse for place in groups[axis]]
    shape = tuple(after[place] for place in order)
    _move_inputs(push)
    draft.set_input(op, 1, draft.new_constant((len(shape),), "int64", shape))
    _transpose_outputs(draft, op, _inverse(tuple(order)))
    return True


def _splits(before: Sequence[int], after: Sequence[int]) -> list[list[int]] | None:
    """For each dimension ``before``, the places ``after`` that it is split into; ``None`` where one is not split but joined."""
    groups: list[list[int]] = []
    place = 0
    for dim in before:
        group: list[int] = []
        product = 1
        while place < len(after) and (product < dim or (product == dim and not group)):
            product *= after[place]
            group.append(place)
            place += 1
        if product != dim or not group:
            return None
        groups.append(group)
    if place < len(after):
        if any(dim != 1 for dim in after[place:]):
            return None
        groups[-1] += range(place, len(after))
    return groups


def _max_pool(push: _Push) -> bool:
    """A MaxPool of bytes has a kernel for channels last, which is always taken."""
    rank = len(push.perm)
    if push.draft.dtype(push.op.outputs[0]) not in ("uint8", "int8") or len(push.op.outputs) > 1:
        return False
    if push.perm != (0, rank - 1, *range(1, rank - 1)):
        return False
    push.op.op, push.op.domain = "NhwcMaxPool", "com.microsoft"
    _through(push)
    return True


def _quantized_pool(push: _Push) -> bool:
    last = push.op.get("channels_last", 0)
    rank = len(push.perm)
    to_first = (0, rank - 1, *range(1, rank - 1))
    if (last and _inverse(push.perm) == to_first) or (not last and push.perm == to_first):
        push.op.attributes["channels_last"] = int(not last)
        _through(push)
        return True
    return False


_SIMPLE = _Handler(_all, _simple)
_FIRST = _Handler(_first, _simple)
_BROADCAST = _Handler(_not_scalar, _broadcast)
_REDUCE = _Handler(_first, _reduce)
_ARG = _Handler(_first, _arg)
_SOFTMAX = _Handler(_first, _softmax)
_RESIZE = _Handler(_first, _resize)
_QUANTIZE = _Handler(_first, _quantize)

_HANDLERS: dict[str, _Handler] = {
    **dict.fromkeys(
        "Cast Exp Identity LeakyRelu Log Reciprocal Relu Sigmoid Sqrt Tanh Abs Not Ceil Floor Neg Erf HardSigmoid Round IsInf "
        "IsNaN Selu Shrink Sign Softplus Softsign ThresholdedRelu Celu HardSwish Sin Cos Tan Sinh Cosh Asin Acos Atan Asinh Acosh "
        "Atanh Elu Gelu".split(),
        _SIMPLE,
    ),
    **dict.fromkeys(
        "Add Max Min Mul Sub Div And Or Xor Mod PRelu BitShift Equal Greater Less GreaterOrEqual LessOrEqual Mean Sum Pow "
        "Where".split(),
        _BROADCAST,
    ),
    **dict.fromkeys(
        "ReduceSum ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSumSquare ReduceL1 ReduceL2".split(),
        _REDUCE,
    ),
    "Clip": _FIRST,
    "CastLike": _FIRST,
    "Transpose": _Handler(_first, _transpose, moves=False),
    "Concat": _Handler(_all, _with_axis(None)),
    "Split": _Handler(_first, _with_axis(0)),
    "Shape": _Handler(_first, _shape, moves=False),
    "Pad": _Handler(_first, _pad),
    "Resize": _RESIZE,
    "ArgMin": _ARG,
    "ArgMax": _ARG,
    "Squeeze": _Handler(_first, _squeeze),
    "Unsqueeze": _Handler(_first, _unsqueeze),
    "Slice": _Handler(_first, _slice),
    "Tile": _Handler(_first, _tile),
    "Softmax": _SOFTMAX,
    "Hardmax": _SOFTMAX,
    "LogSoftmax": _SOFTMAX,
    "QuantizeLinear": _QUANTIZE,
    "DequantizeLinear": _QUANTIZE,
    "Reshape": _Handler(_first, _reshape, moves=False),
}

_QUANTIZED: dict[str, _Handler] = {
    "QuantizeLinear": _QUANTIZE,
    "DequantizeLinear": _QUANTIZE,
    "QLinearAdd": _Handler(lambda draft, op: (0, 3), _broadcast),
    "QLinearMul": _Handler(lambda draft, op: (0, 3), _broadcast),
    "QLinearAveragePool": _Handler(_first, _quantized_pool),
    "QLinearGlobalAveragePool": _Handler(_first, _quantized_pool),
    "QLinearConcat": _Handler(lambda draft, op: tuple(range(2, len(op.inputs), 3)), _with_axis(None)),
    "QLinearLeakyRelu": _FIRST,
    "QLinearSigmoid": _FIRST,
    "QLinearReduceMean": _REDUCE,
    "QLinearSoftmax": _SOFTMAX,
}


def _complete_units(draft: Draft) -> None:
    """A Transpose that came to stand behind a DequantizeLinear gets a pair behind it, so that it can run on quantised values."""
    for op in draft.ops("Transpose"):
        before, result = draft.writer(op.inputs[0], "DequantizeLinear"), op.outputs[0]
        perm = permutation(draft, op)
        if before is None or perm is None or draft.sole_user(before.outputs[0]) is not op or result in draft.outputs:
            continue
        if draft.constant(before.inputs[0]) or any(u.op == "QuantizeLinear" for u in draft.users.get(result, ())):
            continue
        attributes = dict(before.attributes)
        if draft.shape(before.inputs[1]) != () and "axis" in attributes:
            attributes["axis"] = perm.index(attributes["axis"] % len(perm))
        plain, small = draft.new_tensor(result), draft.new_tensor(result, None, draft.dtype(before.inputs[0]))
        draft.set_output(op, 0, plain)
        scale = before.inputs[1:]
        draft.add(Op("QuantizeLinear", [plain, *scale], [small], attributes, (), before.version), op.position + 0.01)
        draft.add(Op("DequantizeLinear", [small, *scale], [result], attributes, (), before.version), op.position + 0.02)
