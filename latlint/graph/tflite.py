"""The ``.tflite`` reader: the main subgraph of the file as a ``Graph``, in file order; weights are not read."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, NamedTuple

from latlint.errors import LatlintError
from latlint.graph import tflite_ops
from latlint.graph.flatbuffer import BOOL, INT8, INT32, UINT8, UINT32, UINT64, Flatbuffer, MalformedError, Table
from latlint.graph.inputs import InputShape, fitting, open_notes
from latlint.graph.ops import CONVOLUTIONS, lacks_operand
from latlint.graph.source import Source
from latlint.graph.tflite_ops import Builtin, Operands, impossible
from latlint.graph.types import ITEM_BYTES, ByteRange, Graph, Node, Quantization, Tensor

IDENTIFIER = b"TFL3"

#: The largest models that run on phones have a few thousand nodes. At these bounds a read takes about two seconds.
MAX_NODES = 50_000
MAX_TENSORS = 150_000
MAX_RANK = 16
#: Beyond it a tensor has more elements than any address space of a phone has bytes.
MAX_ELEMENTS = 1 << 48

#: A constant with at most so many elements and bytes gets a ``value``.
_MAX_VALUE_ELEMENTS = 1024
_MAX_VALUE_BYTES = 4096

#: ``TensorType`` of the schema, in order: the position is the code.
_DTYPES = (
    "float32 float16 int32 uint8 int64 string bool int16 complex64 int8 float64 complex128 uint64 resource variant uint32 "
    "uint16 int4 bfloat16 int2 uint4 float8 float8"
).split()  # fmt: skip

#: dtype -> its ``struct`` format, for the constants whose value is read.
_FORMATS = {
    "float32": "f", "float16": "e", "float64": "d", "bool": "?", "int8": "b", "uint8": "B", "int16": "h", "uint16": "H",
    "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q",
}  # fmt: skip

# Slots of the schema's tables: the position at which ``tensorflow/lite/schema/schema.fbs`` declares each field.
_MODEL_OPERATOR_CODES, _MODEL_SUBGRAPHS, _MODEL_BUFFERS = 1, 2, 4
_SUBGRAPH_TENSORS, _SUBGRAPH_INPUTS, _SUBGRAPH_OUTPUTS, _SUBGRAPH_OPERATORS = 0, 1, 2, 3
_CODE_DEPRECATED_BUILTIN, _CODE_CUSTOM, _CODE_VERSION, _CODE_BUILTIN = 0, 1, 2, 3
_OPERATOR_CODE, _OPERATOR_INPUTS, _OPERATOR_OUTPUTS, _OPERATOR_OPTIONS_TYPE, _OPERATOR_OPTIONS = 0, 1, 2, 3, 4
_OPERATOR_CUSTOM_OPTIONS = 5
_TENSOR_SHAPE, _TENSOR_TYPE, _TENSOR_BUFFER, _TENSOR_NAME, _TENSOR_QUANTIZATION, _TENSOR_IS_VARIABLE = 0, 1, 2, 3, 4, 5
_TENSOR_SPARSITY, _TENSOR_SHAPE_SIGNATURE, _TENSOR_HAS_RANK = 6, 7, 8
_QUANTIZATION_SCALE, _QUANTIZATION_ZERO_POINT, _QUANTIZATION_AXIS = 2, 3, 6
_BUFFER_DATA, _BUFFER_OFFSET, _BUFFER_SIZE = 0, 1, 2

_EMPTY_BUFFER = ByteRange(0, 0)

#: Kinds whose second and third inputs are weights and bias.
_WEIGHTED = CONVOLUTIONS | {"fully_connected"}


#: Kinds that unpack weights (from float16, from a sparse form) when their input is constant.
_UNPACKING = frozenset({"dequantize", "densify"})


def read_tflite(data: bytes | memoryview | Source, path: str, shapes: Sequence[InputShape] = ()) -> Graph:
    """The main graph of the TFLite file ``data``, its inputs resized to ``shapes``; ``path`` names it in the graph and in errors.

    Raises ``LatlintError``: LAT001 when the file is damaged, LAT006 beyond a safety bound, LAT007 when what it says is
    impossible (a node that reads what nothing has written, a stride of 0), LAT008 when it cannot have the ``shapes``.
    """
    try:
        return _Reader(Flatbuffer(data), path, shapes).graph()
    except struct.error:
        message = "an offset points outside of the file"
        raise LatlintError(_explain(message, "LAT001"), code="LAT001", path=path) from None
    except MalformedError as error:
        raise LatlintError(_explain(str(error), error.code), code=error.code, path=path) from None


def _explain(message: str, code: str) -> str:
    """One line: what is wrong and what to do."""
    return {
        "LAT001": f"damaged or incomplete TFLite file: {message}; fetch or export it again",
        "LAT006": f"TFLite file beyond a safety bound: {message}; if it is genuine, split the model",
        "LAT008": f"an input cannot have the shape that was stated: {message}; state another, or export the model for it",
        "LAT007": f"impossible TFLite graph: {message}; no runtime can run it: export it again",
    }[code]


Shape = tuple[int, ...]


class _OpCode(NamedTuple):
    """One entry of the file's operator codes."""

    native: str
    builtin: Builtin
    version: int


class _Reader:
    """Reads one file."""

    def __init__(self, file: Flatbuffer, path: str, shapes: Sequence[InputShape]) -> None:
        self.file = file
        self.path = path
        self.shapes = shapes
        self.notes: list[str] = []
        self.model = file.root()
        subgraphs = self.model.tables(_MODEL_SUBGRAPHS, MAX_NODES, "subgraphs")
        if not subgraphs:
            raise impossible("it has no graph")
        self.main = file.table(subgraphs[0])
        self.other_subgraphs = len(subgraphs) - 1

    def graph(self) -> Graph:
        codes = self._operator_codes()
        positions = self.main.tables(_SUBGRAPH_TENSORS, MAX_TENSORS, "tensors")
        operators = self._operators(codes, len(positions))
        inputs = self._indices(self.main, _SUBGRAPH_INPUTS, len(positions), "the graph")
        outputs = self._indices(self.main, _SUBGRAPH_OUTPUTS, len(positions), "the graph")
        if min((*inputs, *outputs), default=0) < 0:
            raise impossible("an input or output of the graph is left out")
        tensors = self._tensors(positions, _weights(operators))
        assumed, stated = self._inputs(positions, tensors, inputs)
        nodes = self._resized(operators, tensors, stated) if stated else self._nodes(operators, tensors)
        _check_order(nodes, tensors, self._variables(positions), inputs, outputs)
        if self.other_subgraphs:
            self.notes.append(
                f"{self.other_subgraphs} more subgraph{'s' * (self.other_subgraphs > 1)} (bodies of control flow, or other "
                "signatures) not followed: only the main graph is"
            )
        return Graph(
            name=PurePath(self.path).stem,
            format="tflite",
            dialect="tflite",
            nodes=nodes,
            tensors=tuple(tensors),
            inputs=inputs,
            outputs=outputs,
            notes=tuple(self.notes),
            assumed=assumed,
        )

    def _inputs(
        self, positions: list[int], tensors: list[Tensor], inputs: tuple[int, ...]
    ) -> tuple[dict[str, Shape], dict[int, Shape]]:
        """The inputs with open dimensions that nobody states, by name, and the shapes that are stated, by index.

        A dimension that the caller may set is -1 in ``shape_signature`` and the default, 1, in ``shape``.
        """
        declared: dict[str, Shape | None] = {}
        for index in inputs:
            signature = self.file.table(positions[index]).vector(_TENSOR_SHAPE_SIGNATURE, "i")
            shape = tensors[index].shape
            agree = shape is not None and len(signature) == len(shape)
            opened = agree and all(a in (-1, b) for a, b in zip(signature, shape or (), strict=True))
            declared.setdefault(tensors[index].name, signature if opened else shape)
        shapes = fitting(self.shapes, declared, self.path)
        assumed = {name: dims for name, dims in declared.items() if dims and -1 in dims and name not in shapes}
        by_name = {tensors[index].name: index for index in reversed(inputs)}
        self.notes += open_notes(assumed, {name: tensors[by_name[name]].shape or () for name in assumed})
        stated = {by_name[name]: dims for name, dims in shapes.items() if tensors[by_name[name]].shape != dims}
        return assumed, stated

    def _operator_codes(self) -> list[_OpCode]:
        codes = []
        for position in self.model.tables(_MODEL_OPERATOR_CODES, MAX_NODES, "operator codes"):
            table = self.file.table(position)
            # Codes above 127 do not fit the first field; a file from before the second has 0 there (schema_utils.cc).
            code = max(table.number(_CODE_DEPRECATED_BUILTIN, INT8), table.number(_CODE_BUILTIN, INT32))
            if code == tflite_ops.CUSTOM_CODE:
                native = table.string(_CODE_CUSTOM) or "CUSTOM"
                builtin = tflite_ops.custom(native)
            else:
                native, builtin = tflite_ops.builtin(code)
            codes.append(_OpCode(native, builtin, table.number(_CODE_VERSION, INT32, 1)))
        return codes

    def _indices(self, table: Table, slot: int, tensors: int, what: str) -> tuple[int, ...]:
        """A vector of tensor indices; -1 is an operand that is left out."""
        indices = table.vector(slot, "i")
        if indices and (max(indices) >= tensors or min(indices) < -1):
            raise impossible(f"{what} refers to tensor {max(indices, key=abs)} of {tensors}")
        return indices

    def _operators(self, codes: list[_OpCode], tensors: int) -> list[_Operator]:
        operators = []
        for index, position in enumerate(self.main.tables(_SUBGRAPH_OPERATORS, MAX_NODES, "nodes")):
            table = self.file.table(position)
            code = table.number(_OPERATOR_CODE, UINT32)
            if code >= len(codes):
                raise impossible(f"node {index} has operator code {code} of {len(codes)}")
            what = f"node {index} ({codes[code].native[:80]})"
            inputs = self._indices(table, _OPERATOR_INPUTS, tensors, what)
            outputs = self._indices(table, _OPERATOR_OUTPUTS, tensors, what)
            inputs = _reordered(inputs, codes[code].builtin.order)
            _check_operands(codes[code].builtin.kind, inputs, outputs, what)
            operators.append(_Operator(table, codes[code], inputs, outputs))
        return operators

    def _tensors(self, positions: list[int], weights: set[int]) -> list[Tensor]:
        buffers = self._buffers()
        tables = [self.file.table(position) for position in positions]
        # Old converters write no has_rank ; among them a tensor without a shape is a scalar.
        ranked = any(table.number(_TENSOR_HAS_RANK, BOOL, False) for table in tables)
        return [self._tensor(index, table, buffers, index not in weights, ranked) for index, table in enumerate(tables)]

    def _variables(self, positions: list[int]) -> set[int]:
        """Tensors that keep their value from run to run, such as an LSTM's state."""
        return {
            index
            for index, position in enumerate(positions)
            if self.file.table(position).number(_TENSOR_IS_VARIABLE, BOOL, False)
        }

    def _buffers(self) -> list[ByteRange]:
        ranges = []
        for position in self.model.tables(_MODEL_BUFFERS, MAX_TENSORS, "buffers"):
            table = self.file.table(position)
            offset, length = table.extent(_BUFFER_DATA)
            if not length and (outside := table.number(_BUFFER_OFFSET, UINT64)) > 1:
                # A file above 2 GB keeps values behind the flatbuffer: an absolute offset and a size.
                offset, length = outside, table.number(_BUFFER_SIZE, UINT64)
                if offset + length > self.file.size:
                    raise MalformedError("a value reaches past the end of the file")
            ranges.append(ByteRange(offset, length) if length else _EMPTY_BUFFER)
        return ranges

    def _tensor(self, index: int, table: Table, buffers: list[ByteRange], wanted: bool, ranked: bool) -> Tensor:
        name = table.string(_TENSOR_NAME)
        buffer = table.number(_TENSOR_BUFFER, UINT32)
        if buffer >= len(buffers) and buffer:
            raise impossible(f"tensor {index} has buffer {buffer} of {len(buffers)}")
        data = buffers[buffer] if buffer else _EMPTY_BUFFER
        constant = data.length > 0
        shape: tuple[int, ...] | None = table.vector(_TENSOR_SHAPE, "i")
        if shape:
            _check_shape(shape, index)
        elif ranked and not constant and not table.number(_TENSOR_HAS_RANK, BOOL, False):
            shape = None
        code = table.number(_TENSOR_TYPE, INT8)
        dtype = _DTYPES[code] if 0 <= code < len(_DTYPES) else "unknown"
        value = None
        if constant and shape is not None:
            value = self._constant(index, shape, dtype, data, wanted, sparse=table.follow(_TENSOR_SPARSITY) > 0)
        return Tensor(
            name=name,
            shape=shape,
            dtype=dtype,
            constant=constant,
            value=value,
            quantization=self._quantization(table),
            data=data if constant else None,
        )

    def _constant(
        self, index: int, shape: tuple[int, ...], dtype: str, data: ByteRange, wanted: bool, sparse: bool
    ) -> tuple[Any, ...] | None:
        """The value of a constant that is ``wanted`` and small; its size is checked whether or not it is."""
        item = ITEM_BYTES.get(dtype, 0)
        elements = 1
        for dim in shape:
            elements *= dim
        if item >= 1 and not sparse and elements >= 0 and elements * item != data.length:
            # Interpreters refuse it as well (Subgraph::SetTensorParametersReadOnly in lite/core/subgraph.cc).
            raise impossible(f"tensor {index} of {dtype}{list(shape)} has a value of {data.length:,} bytes")
        if not wanted or sparse or dtype not in _FORMATS or elements < 0:
            return None
        if elements > _MAX_VALUE_ELEMENTS or data.length > _MAX_VALUE_BYTES:
            return None
        return self.file.unpack(elements, _FORMATS[dtype], data.offset)

    def _quantization(self, tensor: Table) -> Quantization | None:
        table = tensor.child(_TENSOR_QUANTIZATION)
        if table is None:
            return None
        scales = table.vector(_QUANTIZATION_SCALE, "f")
        if not scales:
            return None
        return Quantization(
            scales, table.vector(_QUANTIZATION_ZERO_POINT, "q") or (0,), table.number(_QUANTIZATION_AXIS, INT32)
        )

    def _node(self, index: int, operator: _Operator, tensors: Sequence[Tensor]) -> Node:
        table, code, inputs, outputs = operator
        attributes: dict[str, Any] = {}
        if code.builtin.attributes is not None:
            operands = Operands(
                options=self._options(table, code.builtin.options),
                inputs=[tensors[i] if i >= 0 else None for i in inputs],
                outputs=[tensors[i] if i >= 0 else None for i in outputs],
                custom_options=self._custom_options(table) if not code.builtin.options else b"",
            )
            try:
                attributes = code.builtin.attributes(operands)
            except MalformedError as error:
                raise MalformedError(f"node {index} ({code.native[:80]}) has {error}", error.code) from None
        return Node(
            index=index,
            name=(tensors[outputs[0]].name if outputs and outputs[0] >= 0 else "") or f"{code.native}_{index}",
            kind=code.builtin.kind,
            native=code.native,
            inputs=inputs,
            outputs=outputs,
            attributes=MappingProxyType(attributes),
            version=code.version,
            location=ByteRange(table.position, table.inline_bytes()),
        )

    def _nodes(self, operators: list[_Operator], tensors: Sequence[Tensor]) -> tuple[Node, ...]:
        return tuple(self._node(index, operator, tensors) for index, operator in enumerate(operators))

    def _resized(self, operators: list[_Operator], tensors: list[Tensor], stated: dict[int, Shape]) -> tuple[Node, ...]:
        """The nodes, with ``tensors`` changed to what the ``stated`` shapes of inputs make of them."""
        from latlint.graph.tflite_shapes import Resized  # NumPy takes longer to import than most files to read

        resized = Resized(tensors, stated)
        nodes = []
        for index, operator in enumerate(operators):
            node = self._node(index, operator, tensors)
            if resized.reaches(node):
                try:
                    resized.take(node)
                    node = self._node(index, operator, tensors)
                except MalformedError as error:
                    raise MalformedError(str(error), "LAT008") from None
            nodes.append(node)
        for index, tensor in enumerate(tensors):
            _check_shape(tensor.shape or (), index)
        if resized.lost:
            names = ", ".join(sorted({node.native[:80] for node in resized.lost})[:4])
            self.notes.append(
                f"what {len(resized.lost)} ops make of the stated input shape is only known at run time: {names}"
            )
        return tuple(nodes)

    def _options(self, operator: Table, kind: int) -> Table:
        """The operator's options, or their defaults if there are none or they are another op's."""
        options = (
            operator.child(_OPERATOR_OPTIONS)
            if kind and operator.number(_OPERATOR_OPTIONS_TYPE, UINT8) == kind
            else None
        )
        return options or Table(self.file, 0, ())

    def _custom_options(self, operator: Table) -> bytes:
        offset, length = operator.extent(_OPERATOR_CUSTOM_OPTIONS)
        return self.file.read(offset, min(length, 64))


class _Operator(NamedTuple):
    table: Table
    code: _OpCode
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def _reordered(inputs: tuple[int, ...], order: Sequence[int]) -> tuple[int, ...]:
    """``inputs`` in the order of ``graph.ops``: ``order[k]`` is the native position of input ``k``."""
    if not order:
        return inputs
    moved = [inputs[slot] if slot < len(inputs) else -1 for slot in order]
    return (*moved, *inputs[len(order) :])


def _weights(operators: Iterable[_Operator]) -> set[int]:
    """Tensors that are used as weights or biases and as nothing else: their values are not read."""
    weights: set[int] = set()
    others: set[int] = set()
    for _, code, inputs, _ in operators:
        kind = code.builtin.kind
        if kind in _UNPACKING:
            weights.update(inputs)
        elif kind in _WEIGHTED:
            weights.update(inputs[1:3])
            others.update(inputs[:1])
            others.update(inputs[3:])
        else:
            others.update(inputs)
    return weights - others


def _check_operands(kind: str, inputs: Sequence[int], outputs: Sequence[int], what: str) -> None:
    if lacks_operand(kind, inputs, outputs) or min(outputs, default=0) < 0:
        raise impossible(f"{what} lacks an input or output that every {kind} has")


def _check_shape(shape: tuple[int, ...], index: int) -> None:
    if len(shape) > MAX_RANK:
        raise MalformedError(f"tensor {index} has {len(shape):,} dimensions; at most {MAX_RANK} are read", "LAT006")
    elements = 1
    for dim in shape:
        if dim < -1:
            raise impossible(f"tensor {index} has a dimension of {dim}")
        elements *= dim or 1
    if abs(elements) > MAX_ELEMENTS:
        raise MalformedError(
            f"tensor {index} has {abs(elements):,} elements; at most {MAX_ELEMENTS:,} are read", "LAT006"
        )


def _check_order(
    nodes: Sequence[Node],
    tensors: Sequence[Tensor],
    variables: set[int],
    inputs: Sequence[int],
    outputs: Sequence[int],
) -> None:
    """Every node reads only what the file holds, the caller sets or an earlier node has written, and writes what nothing else
    has: no cycle is left."""
    written = [tensor.constant for tensor in tensors]
    for index in (*variables, *inputs):
        written[index] = True
    for node in nodes:
        for index in node.inputs:
            # Nothing is ever read of a tensor without elements.
            if index >= 0 and not written[index] and tensors[index].elements != 0:
                raise impossible(
                    f"node {node.index} ({node.native[:80]}) reads tensor {index}, which no earlier node writes"
                )
        for index in node.outputs:
            if index >= 0 and written[index]:
                raise impossible(
                    f"node {node.index} ({node.native[:80]}) writes tensor {index}, which has a value already"
                )
            if index >= 0:
                written[index] = True
    for index in outputs:
        if not written[index]:
            raise impossible(f"tensor {index} is an output of the graph, but no node writes it")
