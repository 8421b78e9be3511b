"""What the CPU provider has no kernel for: ops that are run as what the standard says they consist of, and float16."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from latlint.runtime.onnxruntime.draft import Draft, Op

#: (op, inputs, attributes) of each part; inputs are the op's own (``x``) or what an earlier part wrote.
_PARTS: dict[str, tuple[tuple[str, tuple[str, ...], dict[str, float]], ...]] = {
    "HardSwish": (("HardSigmoid", ("x",), {"alpha": 1 / 6, "beta": 0.5}), ("Mul", ("x", "0"), {})),
    "Mish": (("Softplus", ("x",), {}), ("Tanh", ("0",), {}), ("Mul", ("x", "1"), {})),
}
#: Of float16, these too.
_HALF_PARTS: dict[str, tuple[tuple[str, tuple[str, ...], dict[str, float]], ...]] = {
    "Softmax": (
        ("ReduceMax", ("x",), {}),
        ("Sub", ("x", "0"), {}),
        ("Exp", ("1",), {}),
        ("ReduceSum", ("2",), {}),
        ("Div", ("2", "3"), {}),
    )
}


def expand(draft: Draft, known: Collection[str] = ()) -> None:
    """Replaces each op without a kernel by its parts, but for those that are ``known``: another provider takes them."""
    for op in draft.ops(*_PARTS, *_HALF_PARTS):
        half = draft.dtype(op.inputs[0]) == "float16"
        parts = _PARTS.get(op.op) or (_HALF_PARTS[op.op] if half and op.version >= 13 else None)
        if op.domain or parts is None or op.op in known:
            continue
        draft.remove(op)
        values = {"x": op.inputs[0]}
        for number, (name, inputs, attributes) in enumerate(parts):
            reduced = name.startswith("Reduce")
            made = op.outputs[0] if number == len(parts) - 1 else draft.new_tensor(op.inputs[0])
            if reduced:
                draft.set_shape(made, _reduced(draft.shape(op.inputs[0]), op.get("axis", -1)))
            given = attributes | ({"axes": (op.get("axis", -1),)} if reduced else {})
            part = Op(name, [values[each] for each in inputs], [made], given, op.origins, op.version)
            draft.add(part, op.position + 0.05 * number)
            values[str(number)] = made


def _reduced(shape: tuple[int, ...] | None, axis: int) -> tuple[int, ...] | None:
    if not shape:
        return shape
    return tuple(1 if i == axis % len(shape) else dim for i, dim in enumerate(shape))


def widen(draft: Draft) -> None:
    """InsertCastTransformer: what is float16 is computed in float32, with Casts at the graph's ends and none in between."""
    half = {index for index, tensor in enumerate(draft.tensors) if tensor.dtype == "float16"}
    if not half:
        return
    for op in draft.ops("Cast"):
        floats = {draft.dtype(op.inputs[0]), draft.dtype(op.outputs[0])} <= {"float16", "float32"}
        inside = op.inputs[0] not in draft.inputs and op.outputs[0] not in draft.outputs
        if floats and (inside or (op.inputs[0] in draft.inputs and draft.dtype(op.inputs[0]) == "float32")):
            draft.bypass(op, "float16 is computed in float32")
    for index in half:
        if index in draft.inputs and draft.users.get(index):
            made = draft.new_tensor(index, None, "float32")
            draft.redirect(index, made)
            draft.add(Op("Cast", [index], [made], {}, (), draft.opset), -1.0)
        elif index in draft.outputs and index in draft.producer:
            maker = draft.producer[index]
            made = draft.new_tensor(index, None, "float32")
            draft.set_output(maker, maker.outputs.index(index), made)
            draft.redirect(index, made)
            draft.add(Op("Cast", [made], [index], {}, (), draft.opset), maker.position + 0.5)
        else:
            draft.tensors[index] = replace(draft.tensors[index], dtype="float32")
