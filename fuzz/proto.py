"""Edits of an ONNX file that an attacker would think of: any field of any message, by what the schema says it may hold."""

from __future__ import annotations

import random
from math import prod
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError
from onnx import AttributeProto, ModelProto, NodeProto, defs

NUMBERS = (0, 1, 2, 3, 4, 7, 8, 13, 16, 18, 64, 255, 1000, 1025, -1, -2, -3, -100, 2**31 - 1, 2**31, -(2**31), 2**40, 2**62, 2**63 - 1,
           -(2**63))  # fmt: skip
FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 6.0, 1e-45, 3.4e38, float("inf"), float("-inf"), float("nan"))
TEXTS = ("", "x", "y", "a\nb\x1b[31m", "\u202e", "../../etc/passwd", "/etc/passwd", "axis", "axes", "perm", "pads", "kernel_shape", "group",
         "mode", "linear", "SAME_UPPER", "ij,jk->ik", "...i,i...->", "i..j", "ai.onnx", "com.microsoft", "n" * 300, "value",
         "to", "equation", "num_outputs", "batch_dims", "strides", "dilations", "ceil_mode", "keepdims", "blocksize")  # fmt: skip
BYTES = (
    b"",
    b"\0" * 8,
    b"\xff" * 8,
    b"\xff\xfe",
    b"\0\0\x80\x3f" * 4,
    b"\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0",
    b"ij,jk->ik",
    b"NOTSET",
)

OPS = sorted({schema.name for schema in defs.get_all_schemas() if schema.domain in ("", "com.microsoft")})
#: Attributes of any op: a file may give an op those of others, in any kind.
ATTRIBUTES = sorted({name for schema in defs.get_all_schemas_with_history() for name in schema.attributes})
_OTHERS = ("FusedConv", "QLinearAdd", "QLinearConcat", "QuickGelu", "Attention", "MultiHeadAttention", "f")
_MAX_BYTES = 20_000


def mutate(data: bytes, dice: random.Random, rounds: int = 1) -> bytes:
    """A file that differs in one to four things that a parser accepts, for each of ``rounds``, or whose lengths lie now and then.

    Raises DecodeError when ``data`` itself cannot be parsed.
    """
    model = ModelProto.FromString(data)
    for _ in range(sum(dice.choice((1, 1, 1, 2, 2, 3, 4)) for _ in range(rounds))):
        _edit(model, dice)
    if model.ByteSize() > _MAX_BYTES:
        return data
    out = model.SerializeToString()
    return _broken(out, dice) if dice.random() < 0.1 else out


def cross(first: bytes, second: bytes, dice: random.Random) -> bytes:
    """``first`` with a node, a constant, an input or a function of ``second``."""
    model, other = ModelProto.FromString(first), ModelProto.FromString(second)
    pairs = [
        (getattr(model.graph, name), getattr(other.graph, name))
        for name in ("node", "initializer", "input", "value_info")
    ]
    pairs.append((model.functions, other.functions))
    ours, theirs = dice.choice([pair for pair in pairs if pair[1]] or pairs)
    if theirs:
        ours.append(dice.choice(theirs))
    return model.SerializeToString() if model.ByteSize() < _MAX_BYTES else first


def _edit(model: ModelProto, dice: random.Random) -> None:
    nodes = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    match dice.randrange(9):
        case 0 if nodes:
            dice.choice(nodes).op_type = dice.choice((*OPS, *_OTHERS))
        case 1 if nodes:
            _rewire(model, dice.choice(nodes), dice)
        case 2 if nodes:
            node = dice.choice(nodes)
            _attribute(node.attribute.add(), node, dice)
        case 3 if model.graph.initializer:
            _constant(dice.choice(model.graph.initializer), dice)
        case 4:
            _declare(model, dice)
        case _:
            message = _some_message(model, dice)
            _edit_field(message, dice.choice(message.DESCRIPTOR.fields), dice)


def _rewire(model: ModelProto, node: NodeProto, dice: random.Random) -> None:
    graph = model.graph
    names = (
        [name for other in graph.node for name in (*other.output, *other.input)]
        + [t.name for t in graph.initializer]
        + [""]
    )
    names += [value.name for value in graph.input]
    side = dice.choice((node.input, node.input, node.output))
    match dice.randrange(3):
        case 0 if side:
            side[dice.randrange(len(side))] = dice.choice(names)
        case 1 if side:
            del side[dice.randrange(len(side))]
        case _:
            side.append(dice.choice(names))


def _attribute(attribute: AttributeProto, node: NodeProto, dice: random.Random) -> None:
    """One that the op's schema knows, mostly, or else one of any op."""
    try:
        known: dict[str, Any] = dict(defs.get_schema(node.op_type).attributes)
    except (defs.SchemaError, TypeError):
        known = {}
    attribute.name = dice.choice(sorted(known) if known and dice.random() < 0.7 else dice.choice((ATTRIBUTES, TEXTS)))
    kind = (
        int(known[attribute.name].type.value) if attribute.name in known and dice.random() < 0.9 else dice.randrange(15)
    )
    attribute.type = kind
    match kind:
        case AttributeProto.INT:
            attribute.i = dice.choice(NUMBERS)
        case AttributeProto.INTS:
            attribute.ints.extend(dice.choice(NUMBERS) for _ in range(dice.randrange(6)))
        case AttributeProto.FLOAT:
            attribute.f = dice.choice(FLOATS)
        case AttributeProto.FLOATS:
            attribute.floats.extend(dice.choice(FLOATS) for _ in range(dice.randrange(6)))
        case AttributeProto.STRING:
            attribute.s = dice.choice(BYTES)


def _constant(tensor: Any, dice: random.Random) -> None:
    """A small integer or float vector, as shapes, axes, pads and scales are; now and then of another type, as a scalar or a matrix, or of no elements."""
    dims = dice.choice(
        ((dice.randrange(7),),) * 8 + ((), (1, 1), (2, 2), (3, 1), (0,), (0, 30_000, 30_000), (30_000, 30_000, 0))
    )
    count = prod(dims)
    tensor.dims[:] = dims
    for name in ("raw_data", "float_data", "int64_data", "int32_data", "double_data", "uint64_data"):
        tensor.ClearField(name)
    match dice.randrange(8):
        case 0:
            tensor.data_type = dice.choice((2, 3, 4, 5, 6, 9, 10, 16, 17, 21, 22))
            tensor.int32_data.extend(dice.randrange(256) for _ in range(count))
        case 1 | 2:
            tensor.data_type = 1
            tensor.float_data.extend(dice.choice(FLOATS) for _ in range(count))
        case _:
            tensor.data_type = 7
            tensor.int64_data.extend(dice.choice(NUMBERS) for _ in range(count))


def _declare(model: ModelProto, dice: random.Random) -> None:
    """Another shape for a value that the graph declares, or declares from now on: open, of other sizes, of another rank, or none."""
    graph = model.graph
    known = [*graph.input, *graph.output, *graph.value_info]
    if graph.node and dice.random() < 0.3:
        value = graph.value_info.add()
        value.name = dice.choice(dice.choice(graph.node).output or [""])
        value.type.tensor_type.elem_type = 1
    elif known:
        value = dice.choice(known)
    else:
        return
    tensor = value.type.tensor_type
    match dice.randrange(4):
        case 0:
            tensor.ClearField("shape")
        case 1 if tensor.shape.dim:
            dice.choice(tensor.shape.dim).dim_param = "n"
        case 2 if tensor.shape.dim:
            dice.choice(tensor.shape.dim).dim_value = dice.choice(NUMBERS)
        case _:
            tensor.ClearField("shape")
            for _ in range(dice.randrange(6)):
                tensor.shape.dim.add().dim_value = dice.choice((1, 1, 2, 4, 8))


def _some_message(message: Any, dice: random.Random) -> Any:
    """A random message inside ``message``, by a random walk down that may stop anywhere."""
    while True:
        inner = []
        for field, value in message.ListFields():
            if field.type == FieldDescriptor.TYPE_MESSAGE:
                inner += list(value) if field.is_repeated else [value]
        if not inner or dice.random() < 0.15:
            return message
        message = dice.choice(inner)


def _edit_field(message: Any, field: Any, dice: random.Random) -> None:
    if field.is_repeated:
        items = getattr(message, field.name)
        kind = dice.randrange(5)
        if kind == 0 and items:
            del items[dice.randrange(len(items))]
        elif kind == 1 and items:
            items.extend([items[dice.randrange(len(items))]] * dice.choice((1, 1, 2, 20)))
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            items.add()
        elif kind == 2 and items:
            items[dice.randrange(len(items))] = _value(field, dice)
        else:
            items.extend(_value(field, dice) for _ in range(dice.choice((1, 1, 2, 4, 5))))
    elif message.HasField(field.name) and dice.random() < 0.2:
        message.ClearField(field.name)
    elif field.type == FieldDescriptor.TYPE_MESSAGE:
        getattr(message, field.name).SetInParent()
    else:
        setattr(message, field.name, _value(field, dice))


def _value(field: Any, dice: random.Random) -> Any:
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return dice.choice(TEXTS)
        case FieldDescriptor.TYPE_BYTES:
            return dice.choice(BYTES)
        case FieldDescriptor.TYPE_FLOAT | FieldDescriptor.TYPE_DOUBLE:
            return dice.choice(FLOATS)
        case FieldDescriptor.TYPE_ENUM:
            return dice.choice(field.enum_type.values).number
        case FieldDescriptor.TYPE_INT64:
            return dice.choice(NUMBERS)
        case FieldDescriptor.TYPE_UINT64:
            return dice.choice(NUMBERS) % 2**64
        case _:
            return (dice.choice(NUMBERS) + 2**31) % 2**32 - 2**31


def _broken(data: bytes, dice: random.Random) -> bytes:
    """A few bytes changed, most of them near the start, where the lengths of the outer messages stand."""
    out = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 4))):
        if out:
            place = min(int(dice.expovariate(4 / len(out))), len(out) - 1)
            match dice.randrange(4):
                case 0:
                    out[place] = dice.choice((0, 1, 0x7F, 0x80, 0xFF))
                case 1:
                    del out[place : place + dice.choice((1, 2, 9))]
                case 2:
                    out[place:place] = dice.choice(
                        (b"\xff" * 9 + b"\1", b"\x80", b"\x3a\x7f", bytes([dice.randrange(256)]))
                    )
                case _:
                    source = dice.randrange(len(out))
                    out[place:place] = out[source : source + dice.choice((4, 30, 200))]
    return bytes(out)


__all__ = ["DecodeError", "cross", "mutate"]
