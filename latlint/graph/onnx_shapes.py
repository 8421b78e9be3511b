"""What every value of an ONNX graph is: its type and shape, and its elements where a few numbers steer the graph.

onnx's whole-model shape inference gives up where a shape is computed at run time (Shape -> Gather -> Concat -> Reshape, which is
how PyTorch writes transformers), and its data propagation has no bound. Here each node is inferred on its own, by onnx's own
schema, in execution order; shape arithmetic is computed on the way with NumPy, on at most ``MAX_ELEMENTS`` elements.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from itertools import zip_longest
from math import prod
from types import MappingProxyType
from typing import Any, cast

import numpy as np

from latlint.graph.onnx_ops import FOREIGN, MICROSOFT_INPUTS, Foreign, ImpossibleError, is_known
from latlint.graph.onnx_parts import (
    AttributeProto,
    NodeProto,
    TensorProto,
    TypeProto,
    defs,
    from_array,
    make_node,
    np_dtype_to_tensor_dtype,
    opsets_of,
    shape_inference,
    tensor_dtype_to_np_dtype,
    tensor_type,
    to_array,
)
from latlint.graph.wire import SMALL_BYTES
from latlint.records import NamedTuple
from latlint.words import counted

#: More elements than this never steer a graph (``wire.SMALL_BYTES`` is as many int64 values).
MAX_ELEMENTS = 1024
MAX_RANK = 64
MAX_EQUATION = 256
#: TFLite and most runtimes keep dimensions in 32 bits.
MAX_DIMENSION = 2**31 - 1

Array = np.ndarray[Any, Any]

#: Data types as ``graph.types.ITEM_BYTES`` names them.
DTYPES: dict[int, str] = {
    TensorProto.FLOAT: "float32", TensorProto.DOUBLE: "float64", TensorProto.FLOAT16: "float16", TensorProto.BFLOAT16: "bfloat16",
    TensorProto.INT8: "int8", TensorProto.INT16: "int16", TensorProto.INT32: "int32", TensorProto.INT64: "int64",
    TensorProto.UINT8: "uint8", TensorProto.UINT16: "uint16", TensorProto.UINT32: "uint32", TensorProto.UINT64: "uint64",
    TensorProto.BOOL: "bool", TensorProto.COMPLEX64: "complex64", TensorProto.COMPLEX128: "complex128", TensorProto.STRING: "string",
    17: "float8", 18: "float8", 19: "float8", 20: "float8", 21: "uint4", 22: "int4", 23: "float4", 24: "float8", 25: "uint2", 26: "int2",
}  # fmt: skip


def attributes_of(node: NodeProto) -> dict[str, Any]:
    """The node's attributes as plain values; tensors stay messages, and graphs and types are left out."""
    known = (attribute for attribute in node.attribute if attribute.type in _PLAIN)
    return {attribute.name: _attribute_value(attribute) for attribute in known}


_PLAIN = frozenset(
    {
        AttributeProto.INT, AttributeProto.INTS, AttributeProto.FLOAT, AttributeProto.FLOATS, AttributeProto.STRING,
        AttributeProto.STRINGS, AttributeProto.TENSOR, AttributeProto.SPARSE_TENSOR,
    }
)  # fmt: skip


def _attribute_value(attribute: AttributeProto) -> Any:
    match attribute.type:
        case AttributeProto.INT:
            return attribute.i
        case AttributeProto.FLOAT:
            return attribute.f
        case AttributeProto.STRING:
            return attribute.s.decode("utf-8", "replace")
        case AttributeProto.INTS:
            return tuple(attribute.ints)
        case AttributeProto.FLOATS:
            return tuple(attribute.floats)
        case AttributeProto.STRINGS:
            return tuple(item.decode("utf-8", "replace") for item in attribute.strings)
        case AttributeProto.TENSOR:
            return attribute.t
        case _:
            return attribute.sparse_tensor


def shape_of(kind: TypeProto) -> tuple[int, ...] | None:
    """The dimensions of a tensor type, -1 where unknown; ``None`` when even the rank is."""
    if not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
        return None
    dims = kind.tensor_type.shape.dim
    return tuple(dim.dim_value if dim.HasField("dim_value") and dim.dim_value >= 0 else -1 for dim in dims)


def cleaned(kind: TypeProto, symbols: Mapping[str, int] = MappingProxyType({})) -> TypeProto:
    """``kind`` with the dimensions that ``symbols`` names in numbers and impossible ones (below 0, beyond any memory) unknown."""
    match kind.WhichOneof("value"):
        case "tensor_type" | "sparse_tensor_type" as field:
            for dim in getattr(kind, field).shape.dim:
                if dim.HasField("dim_param") and dim.dim_param in symbols:
                    dim.dim_value = symbols[dim.dim_param]
                elif dim.HasField("dim_value") and not 0 <= dim.dim_value <= MAX_DIMENSION:
                    dim.ClearField("dim_value")
        case "sequence_type" | "optional_type" as field:
            cleaned(getattr(kind, field).elem_type, symbols)
        case "map_type":
            cleaned(kind.map_type.value_type, symbols)
    return kind


def dtype_of(kind: TypeProto) -> str:
    """The element type's name; a sequence's or a map's is ``unknown``."""
    return DTYPES.get(kind.tensor_type.elem_type, "unknown")


def tensor_value(tensor: TensorProto) -> Array | None:
    """The elements of a small tensor of real numbers, in a type that NumPy itself has; ``None`` when it is large, text, complex, in
    another file or its data was left out.

    Raises ValueError when data and dimensions do not agree.
    """
    count = prod(tensor.dims) if all(dim >= 0 for dim in tensor.dims) else -1
    if not 0 <= count <= MAX_ELEMENTS or len(tensor.dims) > MAX_RANK or tensor.data_location == TensorProto.EXTERNAL:
        return None
    if DTYPES.get(tensor.data_type, "string") in NOT_REAL:
        return None
    if not count:
        empty = np.dtype(tensor_dtype_to_np_dtype(tensor.data_type))
        kind = empty if empty.kind in "biuf" else np.dtype(np.float32)  # empty axes are integers, as any axes
        return np.zeros(tensor.dims, kind) if _room(tensor.dims) <= MAX_ELEMENTS else None
    if not any(tensor.HasField("raw_data") if name == "raw_data" else len(getattr(tensor, name)) for name in _DATA):
        return None
    if count > _MAX_HELD:  # to_array would make room for them first
        raise ValueError(f"{count} elements")
    found = to_array(tensor)
    if found.dtype.kind in "biuf":
        return found
    return found.astype(
        np.int8 if "int" in found.dtype.name else np.float32
    )  # int4, bfloat16 and float8 are not NumPy's


def _room(dims: Iterable[int]) -> int:
    """How many elements there may be in what is made of so many along each axis: an axis of none can be reduced, others repeated."""
    return prod(dim for dim in dims if dim)


#: Types of which no element is taken for a number.
NOT_REAL = frozenset({"string", "complex64", "complex128"})
#: A quarter of a byte an element is the least, and what is longer than ``SMALL_BYTES`` was left out.
_MAX_HELD = 4 * SMALL_BYTES
_DATA = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data")


class _Asked(NamedTuple):
    """What a schema asks for: how many inputs at least and at most, whether the first must be there (exporters leave out
    others against the letter: Resize's roi), how many outputs at most, whether the first must be there,
    and each attribute's type and whether it is required."""

    inputs: tuple[int, int]
    first: bool
    outputs: int
    writes: bool
    attributes: Mapping[str, tuple[int, bool]]


#: Einsum's subscripts: letters with at most one ellipsis a term. Stray dots send onnx's parser round for ever.
_EQUATION = re.compile(rb"(T(,T)*(->T)?)".replace(b"T", rb"[A-Za-z ]*(\.\.\.[A-Za-z ]*)?"))


class ValueType(NamedTuple):
    """A value's type as onnx has it, with the shape (see ``shape_of``) and the element type that it states."""

    proto: TypeProto
    shape: tuple[int, ...] | None
    dtype: str


#: Floating-point inputs that decide an output's shape are these ops' alone: scales, the ends of a range, a depth.
_READS_FLOATS = frozenset({"Resize", "Upsample", "Range", "OneHot"})
#: A node that reads more constant elements than this is inferred on its own, so that no key grows with them.
_MAX_KEY_ELEMENTS = 64
#: What decides a shape has a number or two for each axis; but for the sizes of parts, one for each part.
_MAX_READ = 2 * MAX_RANK
#: Nodes and names of nodes that are inferred anew, in all loops of a model together.
_MAX_SPENT = 120_000


class Inference:
    """Types and values by name, filled by calling ``node`` in execution order. ``declared`` is what the file says of inner values,
    ``symbols`` are the sizes of its symbolic dimensions. ``believe``: what follows from no node is as declared, as runtimes take it that plan before they run;
    else that goes for ops alone that nobody here knows.

    Networks repeat themselves: values of one type share one ``ValueType``, and nodes that differ in nothing but names and weights
    are inferred once.
    """

    def __init__(self, declared: Mapping[str, TypeProto], symbols: Mapping[str, int], *, believe: bool = False) -> None:
        self.believe = believe
        self.types: dict[str, ValueType] = {}
        self.values: dict[str, Array] = {}
        self.declared = declared
        self.symbols = symbols
        self._shared: dict[bytes, ValueType] = {}
        self._inferred: dict[tuple[Any, ...], tuple[ValueType | None, ...]] = {}
        self._schemas: dict[tuple[str, str, int], defs.OpSchema | None] = {}
        self._asked: dict[tuple[str, str, int], _Asked] = {}
        self._spent = 0

    def add(self, name: str, kind: TypeProto, value: Array | None = None) -> None:
        """``name`` is of type ``kind``, and its elements are ``value``."""
        self.types[name] = self._type(kind)
        if value is not None:
            self.values[name] = value

    def _type(self, kind: TypeProto) -> ValueType:
        """``kind``, the same object for all values of this type."""
        key = kind.SerializeToString()
        known = self._shared.get(key)
        if known is None:
            known = self._shared[key] = ValueType(kind, shape_of(kind), dtype_of(kind))
        return known

    def forget(self, name: str) -> None:
        """``name`` is written anew."""
        self.types.pop(name, None)
        self.values.pop(name, None)

    def spend(self, names: int) -> bool:
        """Whether nodes of so many names may be inferred anew; each loop around another does so with all that are in it."""
        self._spent += names
        return self._spent <= _MAX_SPENT

    def sized(self, known: ValueType, shape: tuple[int, ...] | None) -> ValueType:
        """``known``, of another shape."""
        return known if shape == known.shape else self._type(tensor_type(known.proto.tensor_type.elem_type, shape))

    def node(self, node: NodeProto, opsets: Mapping[str, int]) -> None:
        """Infer the outputs of ``node``; what cannot be inferred is as declared, or stays unknown."""
        values = self._fold(node) if node.domain in ("", "ai.onnx") else ()
        for name, value in zip(node.output, values, strict=False):
            if name:
                shape = tuple(int(dim) for dim in value.shape)
                self.add(name, tensor_type(np_dtype_to_tensor_dtype(value.dtype), shape), value)
        if values:
            return
        # of an op that neither onnx nor latlint knows the file may tell; the sizes of all others follow, or only a run tells them
        unknown = not is_known(node.domain, node.op_type) and self._schema(node.domain, node.op_type, opsets) is None
        believed = self.believe or unknown
        for name, inferred in zip_longest(node.output, self._outputs(node, opsets)):
            if name:
                known = self._merged(inferred, self.declared.get(name)) if believed else inferred
                if known is not None:
                    self.types[name] = known

    def _merged(self, inferred: ValueType | None, declared: TypeProto | None) -> ValueType | None:
        """``inferred``, with dimensions it leaves open taken from what the file declares."""
        known = None if inferred is None else inferred.shape
        if declared is None or (known is not None and -1 not in known):
            return inferred
        stated = self._type(cleaned(declared, self.symbols))
        if inferred is None or (known is None and stated.shape is not None):
            return stated
        if known is not None and stated.shape is not None and len(known) == len(stated.shape):
            shape = tuple(b if a < 0 else a for a, b in zip(known, stated.shape, strict=True))
            return self._type(tensor_type(inferred.proto.tensor_type.elem_type, shape))
        return inferred

    def _shape(self, name: str) -> tuple[int, ...] | None:
        known = self.types.get(name)
        return None if known is None else known.shape

    def _fold(self, node: NodeProto) -> list[Array]:
        """The outputs' elements, where they follow from values that are known; nothing where they do not."""
        fold = _FOLDS.get(node.op_type)
        if fold is None or (len(node.output) != 1 and fold not in (_split, _unique)):
            return []
        if len(node.input) > MAX_ELEMENTS:
            return []
        if node.op_type in ("Shape", "Size"):
            shape = self._shape(node.input[0]) if node.input else None
            if shape is None or -1 in shape or len(shape) > MAX_RANK:
                return []
            inputs: list[Array | None] = [np.array(shape, np.int64)]
        else:
            inputs = [self.values.get(name) if name else None for name in node.input]
            if any(array is None and name for array, name in zip(inputs, node.input, strict=True)):
                return []
        try:
            with np.errstate(all="ignore"):
                given = {"outputs": len(node.output)} if fold is _split else {}
                found = fold(attributes_of(node) | given, *inputs)
        except (ValueError, IndexError, TypeError, KeyError, AttributeError, ArithmeticError, MemoryError):
            return []  # not a computation ONNX allows; the runtime would refuse it, shapes downstream stay unknown
        values = found if isinstance(found, list) else [] if found is None else [found]
        return values if all(map(_is_held, values)) else []

    def _outputs(self, node: NodeProto, opsets: Mapping[str, int]) -> tuple[ValueType | None, ...]:
        """The output types, in order, by onnx's schema of the op; empty when it has none or the inputs do not fit it."""
        if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
            return ()  # control flow: what a branch gives is not known before it runs
        foreign = FOREIGN.get(("" if node.domain == "ai.onnx" else node.domain, node.op_type))
        if foreign is not None and foreign.shapes is not None:
            return self._foreign(node, foreign)
        quantised = foreign is not None and foreign.quantised
        if foreign is not None and foreign.stand_in is not None:
            node = _as(node, *foreign.stand_in)
        elif node.op_type == "STFT":
            node = _with_default(node, "onesided", 1)  # which onnx's inference does not look up
        types = {name: self.types.get(name) for name in node.input if name}
        if None in types.values():
            return ()
        reads_floats = node.op_type in _READS_FLOATS
        read = {
            name: value
            for name in types
            if (value := self.values.get(name)) is not None and (reads_floats or value.dtype.kind != "f")
            if value.size <= _MAX_READ or node.op_type == "Split"
        }
        if sum(value.size for value in read.values()) > _MAX_KEY_ELEMENTS:
            return self._infer(node, opsets, read, quantised)
        elements = {name: (str(value.dtype), value.shape, value.tobytes()) for name, value in read.items()}
        # a type stands for itself by its identity: ``_shared`` holds each for as long as keys are held
        key = (
            (node.domain, node.op_type, quantised, *opsets.items()),
            tuple([attribute.SerializeToString() for attribute in node.attribute]),
            tuple([(id(types[name]), elements.get(name)) if name else None for name in node.input]),
            tuple(map(bool, node.output)),
        )
        known = self._inferred.get(key)
        if known is None:
            known = self._inferred[key] = self._infer(node, opsets, read, quantised)
        return known

    def _foreign(self, node: NodeProto, foreign: Foreign) -> tuple[ValueType | None, ...]:
        """The output types of an op whose shapes ``foreign`` knows."""
        shapes = [self._shape(name) if name else None for name in node.input]
        like = self.types.get(node.input[foreign.like]) if foreign.like < len(node.input) else None
        if like is None or foreign.shapes is None:
            return ()
        try:
            found = foreign.shapes(shapes, attributes_of(node))
            elem_type = like.proto.tensor_type.elem_type
            kinds = [None if shape is None else cleaned(tensor_type(elem_type, shape)) for shape in found]
        except (IndexError, TypeError, ValueError, OverflowError):
            return ()  # not the inputs or attributes that it takes
        return tuple(None if kind is None else self._type(kind) for kind in kinds)

    def _infer(
        self, node: NodeProto, opsets: Mapping[str, int], read: Mapping[str, Array], quantised: bool
    ) -> tuple[ValueType | None, ...]:
        """See ``_outputs``; ``read`` are the elements of those inputs that may decide a shape. ``quantised``: the inputs are integers where the schema has
        floats, and so is what they make."""
        schema = self._schema(node.domain, node.op_type, opsets)
        sound = None if schema is None else self._sound(node, schema)
        if schema is None or sound is None:
            return ()
        types = {name: self.types[name].proto for name in node.input if name}
        if quantised:
            types = {name: tensor_type(TensorProto.FLOAT, self.types[name].shape) for name in types}
        data = {name: from_array(value) for name, value in read.items()}
        imports = opsets_of(opsets)
        try:
            found = shape_inference.infer_node_outputs(schema, sound, types, data, opset_imports=imports)
        except Exception:  # the C++ side raises whatever it likes; a shape it cannot tell is an unknown shape
            return ()
        made = [self._type(cleaned(found[name])) if name in found else None for name in node.output]
        if quantised:
            element = self.types[node.input[0]].proto.tensor_type.elem_type
            made = [None if each is None else self._type(tensor_type(element, each.shape)) for each in made]
        return tuple(made)

    def check(self, node: NodeProto, opsets: Mapping[str, int]) -> None:
        """Raises ImpossibleError when the node's inputs, outputs or attributes are not those that its op can have."""
        schema = self._schema(node.domain, node.op_type, opsets)
        if schema is None:
            self._check_foreign(node)
            return
        asked = self._asked_of(schema)
        _check_inputs(node, *asked.inputs, first=asked.first)
        if len(node.output) > asked.outputs:
            raise ImpossibleError(f"{len(node.output)} outputs, where {node.op_type} has at most {asked.outputs}")
        if asked.writes and not (node.output and node.output[0]):
            raise ImpossibleError("no output")
        given = {attribute.name: attribute.type for attribute in node.attribute}
        for name, (kind, required) in asked.attributes.items():
            if (required and name not in given) or given.get(name, kind) != kind:
                raise ImpossibleError(f"no {name!r} of the kind that {node.op_type} takes")

    def strip(self, node: NodeProto, opsets: Mapping[str, int]) -> tuple[str, ...]:
        """Take from ``node`` the attributes that its op has not, whose kinds nobody has checked, and name them. Those that begin with two
        underscores are a tool's own."""
        schema = self._schema(node.domain, node.op_type, opsets)
        expected = None if schema is None else self._asked_of(schema).attributes
        kept = [a for a in node.attribute if expected is None or a.name in expected or a.name.startswith("__")]
        if len(kept) == len(node.attribute):
            return ()
        names = {attribute.name for attribute in kept}
        left = tuple(attribute.name for attribute in node.attribute if attribute.name not in names)
        for position in reversed(range(len(node.attribute))):
            if node.attribute[position].name not in names:
                del node.attribute[position]
        return left

    def _check_foreign(self, node: NodeProto) -> None:
        """The same for an op that the imported opset does not have, by what the newest one, or a standard op that it is like, asks for:
        attributes and operands are read by name and place, whoever defines the op."""
        if node.domain == "com.microsoft":
            _check_inputs(node, MICROSOFT_INPUTS.get(node.op_type, 0), MAX_DIMENSION)
        foreign = FOREIGN.get((node.domain, node.op_type))
        alike = foreign.stand_in[0] if node.domain and foreign is not None and foreign.stand_in else node.op_type
        schema = self._schema("", alike, {})
        if schema and node.domain in ("", "ai.onnx"):  # an op of a later opset, which is known by its name
            _check_inputs(node, *self._asked_of(schema).inputs, first=self._asked_of(schema).first)
        expected = self._asked_of(schema).attributes if schema else {}
        for attribute in node.attribute:
            kind, _ = expected.get(attribute.name, (attribute.type, False))
            if attribute.type != kind:
                raise ImpossibleError(f"no {attribute.name!r} of the kind that {node.op_type} takes")

    def _asked_of(self, schema: defs.OpSchema) -> _Asked:
        key = (schema.domain, schema.name, schema.since_version)
        if key not in self._asked:
            least = schema.min_input
            single = defs.OpSchema.FormalParameterOption.Single
            first = least > 0 and schema.inputs[0].option == single
            writes = schema.min_output > 0 and schema.outputs[0].option == single
            attributes = {name: (int(cast(Any, item.type)), item.required) for name, item in schema.attributes.items()}
            self._asked[key] = _Asked((least, schema.max_input), first, schema.max_output, writes, attributes)
        return self._asked[key]

    def _sound(self, node: NodeProto, schema: defs.OpSchema) -> NodeProto | None:
        """The node with the attributes that its schema knows, or ``None`` where one is out of range: onnx's inference
        functions rely on that, and end the process where it is not so."""
        expected = self._asked_of(schema).attributes
        given = [attribute for attribute in node.attribute if attribute.name in expected]
        if not all(self._in_range(node, attribute) for attribute in given):
            return None
        if len(given) == len(node.attribute):
            return node
        sound = NodeProto()
        sound.CopyFrom(node)
        del sound.attribute[:]
        sound.attribute.extend(given)
        return sound

    def _in_range(self, node: NodeProto, attribute: AttributeProto) -> bool:
        """Can the axes that the attribute names be axes of every input, or of what adds some to it? Is an equation one?"""
        if attribute.name == "equation":
            return len(attribute.s) <= MAX_EQUATION and _EQUATION.fullmatch(attribute.s) is not None
        if attribute.name == "num_outputs":
            return bool(attribute.i == len(node.output))
        numbers = list(attribute.ints) if attribute.ints else [attribute.i]
        if attribute.name == "batch_dims":
            ranks = [len(shape) for name in node.input if (shape := self._shape(name)) is not None]
            return 0 <= numbers[0] <= min(ranks, default=0)
        if "axis" not in attribute.name and "axes" not in attribute.name:
            return True
        shape = self._shape(node.input[0]) if node.input else None
        rank = MAX_RANK if shape is None else len(shape) + len(numbers)
        return all(-rank <= axis <= rank for axis in numbers)

    def _schema(self, domain: str, op: str, opsets: Mapping[str, int]) -> defs.OpSchema | None:
        version = opsets.get("" if domain == "ai.onnx" else domain, defs.onnx_opset_version())
        key = (domain, op, version)
        if key not in self._schemas:
            try:
                self._schemas[key] = defs.get_schema(op, version, "" if domain == "ai.onnx" else domain)
            except (defs.SchemaError, RuntimeError, TypeError):
                self._schemas[key] = None
        return self._schemas[key]


def _check_inputs(node: NodeProto, least: int, most: int, *, first: bool = False) -> None:
    """``first``: whether the first may not be left out, with an empty name."""
    if not least <= len(node.input) <= most or (first and not node.input[0]):
        raise ImpossibleError(
            f"{counted(len(list(filter(None, node.input))), 'input')}, where {node.op_type} takes {_span(least, most)}"
        )


def _span(least: int, most: int) -> str:
    return str(least) if least == most else f"at least {least}" if most > MAX_ELEMENTS else f"{least} to {most}"


def _as(node: NodeProto, op: str, inputs: Sequence[int]) -> NodeProto:
    """``node`` as the standard op ``op`` on some of its inputs."""
    given = len(node.input)
    names = [node.input[i] for i in inputs[:given] if i < given]
    stand_in = make_node(op, names, list(node.output)[:1])
    schema = defs.get_schema(op)
    stand_in.attribute.extend(attribute for attribute in node.attribute if attribute.name in schema.attributes)
    return stand_in


def _with_default(node: NodeProto, name: str, value: int) -> NodeProto:
    if any(attribute.name == name for attribute in node.attribute):
        return node
    made = NodeProto()
    made.CopyFrom(node)
    made.attribute.add(name=name, type=AttributeProto.INT, i=value)
    return made


# --- Shape arithmetic ---------------------------------------------------------------------------------------------------------


def _is_held(value: Array) -> bool:
    """Real numbers (``V`` are those that NumPy itself has not), and no more than are looked at; where there are none, no room for more along other axes."""
    return _room(value.shape) <= MAX_ELEMENTS and value.ndim <= MAX_RANK and value.dtype.kind in "biufV"


def _bounded(shape: Array | None) -> tuple[int, ...]:
    """``shape`` as the shape of an array that is small enough to make."""
    return _small(_list(shape))


def _list(values: Array | None) -> list[Any]:
    if values is None or values.ndim != 1:
        raise ValueError("not a list")
    return cast(list[Any], values.tolist())


def _small(dims: Sequence[int]) -> tuple[int, ...]:
    """The same of numbers, which no sum and no product has wrapped round."""
    if len(dims) > MAX_RANK or any(dim < 0 for dim in dims) or _room(dims) > MAX_ELEMENTS:
        raise ValueError("too large to fold")
    return tuple(dims)


def _shape(attrs: dict[str, Any], shape: Array) -> Array:
    return shape[slice(attrs.get("start", 0), attrs.get("end"))]


def _constant(attrs: dict[str, Any]) -> Array | None:
    for name, kind in (
        ("value_int", np.int64),
        ("value_ints", np.int64),
        ("value_float", np.float32),
        ("value_floats", np.float32),
    ):
        if name in attrs:
            return np.array(attrs[name], kind)
    value = attrs.get("value")
    return tensor_value(value) if isinstance(value, TensorProto) else None


def _reshape(attrs: dict[str, Any], data: Array, shape: Array) -> Array:
    dims = _list(shape)
    if not attrs.get("allowzero", 0):
        dims = [data.shape[i] if dim == 0 else dim for i, dim in enumerate(dims)]
    return data.reshape(dims)


def _axes(attrs: dict[str, Any], axes: Array | None) -> tuple[int, ...] | None:
    """Axes from the input (opset 13 and later) or from the attribute."""
    if axes is not None:
        return tuple(int(axis) for axis in axes.ravel())
    return attrs.get("axes")


def _squeeze(attrs: dict[str, Any], data: Array, axes: Array | None = None) -> Array:
    return np.squeeze(data, _axes(attrs, axes))


def _unsqueeze(attrs: dict[str, Any], data: Array, axes: Array | None = None) -> Array:
    return np.expand_dims(data, _axes(attrs, axes) or ())


def _slice(
    attrs: dict[str, Any],
    data: Array,
    starts: Array | None = None,
    ends: Array | None = None,
    axes: Array | None = None,
    steps: Array | None = None,
) -> Array:
    begin = attrs["starts"] if starts is None else starts.tolist()
    end = attrs["ends"] if ends is None else ends.tolist()
    along = attrs.get("axes", range(len(begin))) if axes is None else axes.tolist()
    step = [1] * len(begin) if steps is None else steps.tolist()
    index = [slice(None)] * data.ndim
    for a, b, axis, s in zip(begin, end, along, step, strict=True):
        index[axis] = slice(int(a), int(b), int(s))
    return data[tuple(index)]


def _cast(attrs: dict[str, Any], data: Array) -> Array:
    if DTYPES.get(attrs["to"], "string") in NOT_REAL:
        raise ValueError("not a number")
    return data.astype(tensor_dtype_to_np_dtype(attrs["to"]))


def _constant_of_shape(attrs: dict[str, Any], shape: Array) -> Array | None:
    value = tensor_value(attrs["value"]) if "value" in attrs else np.zeros(1, np.float32)
    return None if value is None else np.full(_bounded(shape), value.ravel()[0])


def _range(_: dict[str, Any], start: Array, limit: Array, delta: Array) -> Array:
    count = np.ceil((limit.item() - start.item()) / delta.item())
    if not 0 <= count <= MAX_ELEMENTS:
        raise ValueError("too long to fold")
    return np.asarray(start.item() + np.arange(int(count)) * delta.item(), start.dtype)


def _expand(_: dict[str, Any], data: Array, shape: Array) -> Array:
    return np.broadcast_to(data, np.broadcast_shapes(data.shape, _bounded(shape)))


def _tile(_: dict[str, Any], data: Array, repeats: Array) -> Array:
    times = _list(repeats)
    made = _small([dim * count for dim, count in zip(data.shape, times, strict=True)])
    # NumPy repeats one axis after the other, and may have run out of memory before it comes to that of no elements
    return np.tile(data, times) if prod(made) else np.zeros(made, data.dtype)


def _concat(attrs: dict[str, Any], *arrays: Array) -> Array:
    _small([sum(array.size for array in arrays)])
    return np.concatenate(arrays, attrs["axis"])


def _div(_: dict[str, Any], a: Array, b: Array) -> Array:
    _check_broadcast(a, b)
    # ONNX divides integers towards zero
    return np.asarray(np.trunc(a / b) if np.issubdtype(a.dtype, np.integer) else a / b).astype(a.dtype)


def _mod(attrs: dict[str, Any], a: Array, b: Array) -> Array:
    # ``fmod`` has the sign of the dividend, as in C
    return _broadcasting(np.fmod if attrs.get("fmod", 0) else np.mod)(attrs, a, b)


def _split(attrs: dict[str, Any], data: Array, sizes: Array | None = None) -> list[Array]:
    """``outputs`` parts, of these ``sizes``, or equal but for the last."""
    axis, count = attrs.get("axis", 0), attrs["outputs"]
    lengths = list(attrs.get("split", ())) if sizes is None else sizes.tolist()
    if not lengths:
        each = -(-data.shape[axis] // count)
        lengths = [each] * (count - 1) + [data.shape[axis] - each * (count - 1)]
    if sum(lengths) != data.shape[axis] or len(lengths) != count or min(lengths) < 0:
        raise ValueError("not a split")
    return np.split(data, np.cumsum(lengths[:-1]), axis)


def _clip(attrs: dict[str, Any], data: Array, low: Array | None = None, high: Array | None = None) -> Array:
    low = attrs.get("min") if low is None else low
    high = attrs.get("max") if high is None else high
    _check_broadcast(data, *(np.asarray(bound) for bound in (low, high) if bound is not None))
    data = data if low is None else np.maximum(data, low)
    return np.asarray(data if high is None else np.minimum(data, high))


def _pad(
    attrs: dict[str, Any], data: Array, pads: Array | None = None, value: Array | None = None, axes: Array | None = None
) -> Array:
    sides = np.asarray(attrs["pads"] if pads is None else pads).reshape(2, -1).T
    if attrs.get("mode", "constant") != "constant" or axes is not None or sides.min() < 0:
        raise ValueError("not a plain pad")
    dims = _small([dim + sum(more) for dim, more in zip(data.shape, sides.tolist(), strict=True)])
    # not np.pad, which takes a millisecond where there are many axes
    made = np.full(dims, attrs.get("value", 0) if value is None else value.item(), data.dtype)
    made[tuple(slice(before, before + dim) for before, dim in zip(sides[:, 0].tolist(), data.shape, strict=True))] = (
        data
    )
    return made


def _position(function: Callable[..., Any]) -> Callable[..., Array]:
    def fold(attrs: dict[str, Any], data: Array) -> Array:
        if attrs.get("select_last_index", 0):
            raise ValueError("the last of equals")
        return np.asarray(function(data, attrs.get("axis", 0), keepdims=bool(attrs.get("keepdims", 1))), np.int64)

    return fold


def _cumsum(attrs: dict[str, Any], data: Array, axis: Array) -> Array:
    if attrs.get("exclusive", 0) or attrs.get("reverse", 0):
        raise ValueError("not from the first on")
    return np.cumsum(data, int(axis.item()), data.dtype)


def _unique(attrs: dict[str, Any], data: Array) -> list[Array]:
    """The values, where each is first, which of them each element is, and how often each is there."""
    if attrs.get("axis") is not None and data.ndim != 1:
        raise ValueError("unique slices, which NumPy compares element by element")
    found, first, inverse, counts = np.unique(data, True, True, True)
    if attrs.get("sorted", 1):
        return [found, first, inverse.ravel(), counts]
    order = np.argsort(first)
    return [found[order], first[order], np.argsort(order)[inverse.ravel()], counts[order]]


def _triangle(attrs: dict[str, Any], data: Array, diagonal: Array | None = None) -> Array:
    keep = np.triu if attrs.get("upper", 1) else np.tril
    return keep(data, 0 if diagonal is None else int(diagonal.item()))


def _gather_nd(attrs: dict[str, Any], data: Array, index: Array) -> Array:
    if attrs.get("batch_dims", 0):
        raise ValueError("of a batch")
    places = index.shape[-1]
    _small([*index.shape[:-1], *data.shape[places:]])
    return np.asarray(
        data[tuple(np.moveaxis(index, -1, 0))] if places else np.broadcast_to(data, index.shape[:-1] + data.shape)
    )


def _gather(attrs: dict[str, Any], data: Array, index: Array) -> Array:
    axis = attrs.get("axis", 0)
    _small([data.size // max(data.shape[axis], 1), index.size])
    return np.take(data, index, axis)


def _gather_elements(attrs: dict[str, Any], data: Array, index: Array) -> Array:
    _check_along(attrs, data, index)
    return np.take_along_axis(data, index, attrs.get("axis", 0))


def _check_along(attrs: dict[str, Any], data: Array, index: Array) -> None:
    """Raises ValueError where NumPy would repeat one along an axis of the other, which ONNX does not do, or would be slow over many axes."""
    if data.ndim > 8:
        raise ValueError("too many axes to fold")
    axis = attrs.get("axis", 0)
    if [*data.shape[:axis], index.shape[axis], *data.shape[axis:][1:]] != list(index.shape):
        raise ValueError("indices of another shape")


def _scatter(attrs: dict[str, Any], data: Array, index: Array, updates: Array) -> Array:
    if attrs.get("reduction", "none") != "none":
        raise ValueError("not a plain scatter")
    made = data.copy()
    if "axis" in attrs or index.shape == updates.shape == (index.size,):
        _check_along(attrs, data, index)
        if updates.shape != index.shape:
            raise ValueError("updates of another shape")
        np.put_along_axis(made, index, updates, attrs.get("axis", 0))
    else:
        if updates.shape != index.shape[:-1] + data.shape[index.shape[-1] :]:
            raise ValueError("updates of another shape")
        made[tuple(np.moveaxis(index, -1, 0))] = updates
    return made


def _check_broadcast(*arrays: Array) -> None:
    _small(np.broadcast_shapes(*(array.shape for array in arrays)))


def _broadcasting(function: Callable[..., Any]) -> Callable[..., Array]:
    def fold(_: dict[str, Any], *arrays: Array) -> Array:
        _check_broadcast(*arrays)
        return np.asarray(function(*arrays))

    return fold


def _mean(data: Array, **over: Any) -> Array:
    """NumPy's; of nothing, which it warns of whatever ``errstate`` says, there is none."""
    if not data.size:
        raise ValueError("the mean of nothing")
    return np.asarray(np.mean(data, **over))


def _reduction(function: Callable[..., Any]) -> Callable[..., Array]:
    def fold(attrs: dict[str, Any], data: Array, axes: Array | None = None) -> Array:
        over = _axes(attrs, axes)
        if not over:  # none named: all, unless that is said to mean none
            if attrs.get("noop_with_empty_axes", 0):
                return data
            over = None
        result = function(data, axis=over, keepdims=bool(attrs.get("keepdims", 1)))
        return np.asarray(result, data.dtype)

    return fold


_FOLDS: dict[str, Callable[..., Array | list[Array] | None]] = {
    "Constant": _constant,
    "Shape": _shape,
    "Size": lambda _, shape: np.array(prod(shape.tolist()), np.int64),
    "Gather": _gather,
    "Concat": _concat,
    "Slice": _slice,
    "Split": _split,
    "Clip": _clip,
    "Pad": _pad,
    "ArgMax": _position(np.argmax),
    "ArgMin": _position(np.argmin),
    "CumSum": _cumsum,
    "Unique": _unique,
    "Trilu": _triangle,
    "GatherND": _gather_nd,
    "GatherElements": _gather_elements,
    "ScatterElements": _scatter,
    "ScatterND": _scatter,
    "NonZero": lambda _, data: np.array(np.nonzero(np.atleast_1d(data)), np.int64),
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Reshape": _reshape,
    "Flatten": lambda attrs, data: data.reshape(prod(data.shape[: attrs.get("axis", 1)]), -1),
    "Transpose": lambda attrs, data: np.transpose(data, attrs.get("perm")),
    "Cast": _cast,
    "CastLike": lambda _, data, like: data.astype(like.dtype),
    "Identity": lambda _, data: data,
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "Expand": _expand,
    "Tile": _tile,
    "Where": _broadcasting(np.where),
    "Equal": _broadcasting(np.equal),
    "Greater": _broadcasting(np.greater),
    "GreaterOrEqual": _broadcasting(np.greater_equal),
    "Less": _broadcasting(np.less),
    "LessOrEqual": _broadcasting(np.less_equal),
    "And": _broadcasting(np.logical_and),
    "Or": _broadcasting(np.logical_or),
    "Xor": _broadcasting(np.logical_xor),
    "Not": _broadcasting(np.logical_not),
    "Add": _broadcasting(np.add),
    "Sub": _broadcasting(np.subtract),
    "Mul": _broadcasting(np.multiply),
    "Div": _div,
    "Mod": _mod,
    "Min": _broadcasting(lambda *arrays: reduce(np.minimum, arrays)),
    "Max": _broadcasting(lambda *arrays: reduce(np.maximum, arrays)),
    "Neg": _broadcasting(np.negative),
    "Abs": _broadcasting(np.abs),
    "Ceil": _broadcasting(np.ceil),
    "Floor": _broadcasting(np.floor),
    "Sqrt": _broadcasting(np.sqrt),
    "Round": _broadcasting(np.round),
    "Sign": _broadcasting(np.sign),
    "Exp": _broadcasting(np.exp),
    "Log": _broadcasting(np.log),
    "Reciprocal": _broadcasting(np.reciprocal),
    "Pow": _broadcasting(lambda a, b: np.power(a, b).astype(a.dtype)),
    "ReduceMean": _reduction(_mean),
    "ReduceProd": _reduction(np.prod),
    "ReduceSum": _reduction(np.sum),
    "ReduceMax": _reduction(np.max),
    "ReduceMin": _reduction(np.min),
}
