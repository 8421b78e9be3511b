"""The ``.tflite`` reader: the main subgraph of the file, with the bodies that it runs, as a ``Graph``; weights are not read."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from types import MappingProxyType
from typing import Any

from latlint.errors import LatlintError
from latlint.graph import tflite_ops
from latlint.graph.flatbuffer import BOOL, INT8, INT32, UINT8, UINT32, UINT64, Flatbuffer, Layout, MalformedError, Table
from latlint.graph.inputs import InputShape, dims_text, fitting, open_notes
from latlint.graph.ops import CONVOLUTIONS, UNKNOWN, lacks_operand
from latlint.graph.source import Source
from latlint.graph.tflite_bodies import CONTROL, Bodies, OpCode, Operator, Scope
from latlint.graph.tflite_ops import Builtin, Operands, impossible
from latlint.graph.tflite_shapes import Sizes, check_shape
from latlint.graph.types import ITEM_BYTES, ByteRange, Graph, Node, OpenSize, Quantization, Tensor
from latlint.words import counted

IDENTIFIER = b"TFL3"

#: The largest models that run on phones have a few thousand nodes. At these bounds a read takes about two seconds.
MAX_NODES = 50_000
MAX_TENSORS = 150_000

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
_OPERATOR_OPTIONS_2_TYPE, _OPERATOR_OPTIONS_2 = 11, 12
_TENSOR_SHAPE, _TENSOR_TYPE, _TENSOR_BUFFER, _TENSOR_NAME, _TENSOR_QUANTIZATION, _TENSOR_IS_VARIABLE = 0, 1, 2, 3, 4, 5
_TENSOR_SPARSITY, _TENSOR_SHAPE_SIGNATURE, _TENSOR_HAS_RANK = 6, 7, 8
_QUANTIZATION_SCALE, _QUANTIZATION_ZERO_POINT, _QUANTIZATION_AXIS = 2, 3, 6
_BUFFER_DATA, _BUFFER_OFFSET, _BUFFER_SIZE = 0, 1, 2

# What the runtime's verifier walks and nothing here reads: it refuses the whole file for one offset. Of the options of ops only the
# table is checked, not its fields.
_NAMED_TENSOR = Layout({0: "s", 1: 4})
_SIGNATURE = Layout({0: (_NAMED_TENSOR,), 1: (_NAMED_TENSOR,), 2: "s", 4: 4})
_EXTERNAL_BUFFER = Layout({0: 4, 1: 4, 2: 8, 3: 8, 4: "s"})
_MODEL_REST = Layout(
    {
        0: 4, 3: "s", 5: "i", 6: (Layout({0: "s", 1: 4}),), 7: (_SIGNATURE,), 8: (Layout({0: "s"}),), 9: (_EXTERNAL_BUFFER,),
    }
)  # fmt: skip
_CODE_REST = Layout({0: 1, 1: "s", 2: 4, 3: 4})
_SUBGRAPH_REST = Layout({4: "s", 5: 4})
_DIMENSION = Layout({0: 1, 1: 4, 2: 1, 3: Layout({}), 4: 1, 5: Layout({})})
_SPARSITY = Layout({0: "i", 1: "i", 2: (_DIMENSION,)})
_VARIANT = Layout({0: "i", 1: 1, 2: 1})
_TENSOR_REST = Layout({1: 1, 2: 4, 5: 1, 6: _SPARSITY, 7: "i", 8: 1, 9: (_VARIANT,), 10: 4})
_QUANTIZATION_REST = Layout({0: "f", 1: "f", 4: 1, 5: Layout({}), 6: 4})
_OPERATOR_REST = Layout({0: 4, 3: 1, 5: "B", 6: 1, 7: "?", 8: "i", 9: 8, 10: 8, 11: 1, 13: 4})
_BUFFER_REST = Layout({1: 8, 2: 8})
# A graph that is not followed, whole.
_QUANTIZATION = Layout({**_QUANTIZATION_REST.fields, 2: "f", 3: "q"})
_TENSOR = Layout({**_TENSOR_REST.fields, 0: "i", 3: "s", 4: _QUANTIZATION})
_OPERATOR = Layout({**_OPERATOR_REST.fields, 1: "i", 2: "i", 4: Layout({}), 12: Layout({})})
_SUBGRAPH = Layout({**_SUBGRAPH_REST.fields, 0: (_TENSOR,), 1: "i", 2: "i", 3: (_OPERATOR,)})

_BUILTIN = frozenset(tflite_ops.BUILTIN_NAMES)
_EMPTY_BUFFER = ByteRange(0, 0)

#: Kinds whose second and third inputs are weights and bias.
_WEIGHTED = CONVOLUTIONS | {"fully_connected"}


#: Kinds whose attributes say something of their output's size.
_SIZED_BY_OUTPUT = frozenset({"transpose_conv2d", "transpose_conv3d"})

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


class _Reader:
    """Reads one file. ``tensors`` are those of the main graph, by the file's index, then those of the bodies that it runs."""

    def __init__(self, file: Flatbuffer, path: str, shapes: Sequence[InputShape]) -> None:
        self.file = file
        self.path = path
        self.shapes = shapes
        self.notes: list[str] = []
        self.model = file.root()
        self.model.verify(_MODEL_REST)
        self.subgraphs = self.model.tables(_MODEL_SUBGRAPHS, MAX_NODES, "subgraphs")
        if not self.subgraphs:
            raise impossible("it has no graph")
        self.codes = self._operator_codes()
        self.buffers = self._buffers()
        self.nodes: list[Node] = []
        self.tensors: list[Tensor] = []
        #: Of each tensor: its table, and its shape as the file has it.
        self.positions: list[int] = []
        self.stated: list[Shape | None] = []
        #: Tensors that have a value though no node writes them: an LSTM's state, what a loop hands to its next round.
        self.free: set[int] = set()
        #: Ops, with their versions, that are in branches that are not taken and that nobody knows.
        self.switched_off: dict[tuple[str, int], None] = {}
        #: The subgraphs of these branches.
        self.off: set[int] = set()
        #: Nodes that were run, with those of branches that do not count: each branch may run others.
        self.ran = 0
        self.sizes = Sizes(self.tensors, self._opened)
        self.bodies = Bodies(self)

    def graph(self) -> Graph:
        main = self.scope(0)
        open_sizes, stated = self._inputs(main.inputs)
        for index, shape in stated.items():
            self.sizes.resize(index, shape)
        self.sizes.assumed = bool(open_sizes)
        try:
            self.run(main, 0)
        except MalformedError as error:
            raise MalformedError(str(error), "LAT008" if stated and error.code == "LAT007" else error.code) from None
        for number, position in enumerate(self.subgraphs):
            if number not in self.bodies.followed:
                self.file.table(position).verify(_SUBGRAPH)
        _check_order(self.nodes, self.tensors, self.free, main.inputs, main.outputs)
        self._note()
        return Graph(
            name=PurePath(self.path).stem,
            format="tflite",
            dialect="tflite",
            nodes=tuple(self.nodes),
            tensors=tuple(self.tensors),
            inputs=main.inputs,
            outputs=main.outputs,
            notes=tuple(self.notes),
            open_sizes=open_sizes,
            dynamic=frozenset(self.sizes.dynamic),
            dynamic_in_litert=frozenset(self.sizes.dynamic_in_litert),
            elsewhere=self._elsewhere(),
        )

    def _elsewhere(self) -> tuple[tuple[str, int], ...]:
        """The built-in ops among the file's operator codes that no node is of, and the custom ones of branches that are not taken."""
        here = {(node.native, node.version) for node in self.nodes}
        every = dict.fromkeys((code.native, code.version) for code in self.codes if code.native in _BUILTIN)
        return tuple(code for code in (every | self.switched_off) if code not in here)

    def switch_off(self, number: int) -> None:
        """A branch that a constant switches off is prepared all the same, so that the custom ops in it must be there."""
        if not 0 <= number < len(self.subgraphs):
            raise impossible(f"it refers to subgraph {number} of {len(self.subgraphs)}")
        if number in self.off:
            return
        self.off.add(number)
        graph = self.file.table(self.subgraphs[number])
        for position in graph.tables(_SUBGRAPH_OPERATORS, MAX_NODES, "nodes"):
            code = self.file.table(position).number(_OPERATOR_CODE, UINT32)
            if code < len(self.codes) and self.codes[code].builtin.kind == UNKNOWN:
                self.switched_off[self.codes[code].native, self.codes[code].version] = None

    def _note(self) -> None:
        """What the user must know of sizes and bodies."""
        if misfits := self.sizes.misfits:
            tensor, stated, computed = misfits[0]
            more = f", and so are {len(misfits) - 1} more" if len(misfits) > 1 else ""
            self.notes.append(
                f"'{self.tensors[tensor].name[:80]}' is {dims_text(stated)} in the file, and TensorFlow Lite makes it "
                f"{dims_text(computed)}, which counts{more}"
            )
        lost = [
            node
            for node in self.sizes.lost.values()
            if any(self.tensors[i].elements is None for i in node.outputs if i >= 0)
        ]
        if lost:
            names = ", ".join(sorted({node.native[:80] for node in lost})[:4])
            self.notes.append(f"the size of what {len(lost)} ops write is only known when the model runs: {names}")
        if bounded := len(self.sizes.bounded):
            self.notes.append(
                f"{bounded} slices by a loop's counter are counted as the whole of what they are cut from"
            )
        self.notes += self.bodies.notes
        if others := len(self.subgraphs) - len(self.bodies.followed):
            self.notes.append(
                f"{others} more subgraph{'s' * (others > 1)} (other signatures, or bodies of what latlint does not know) not followed"
            )

    def scope(self, number: int, bound: Sequence[int] = ()) -> Scope:
        """Subgraph ``number``, its tensors added to ``tensors``. Its first inputs are the tensors ``bound``."""
        if not 0 <= number < len(self.subgraphs):
            raise impossible(f"it refers to subgraph {number} of {len(self.subgraphs)}")
        table = self.file.table(self.subgraphs[number])
        table.verify(_SUBGRAPH_REST)
        positions = table.tables(_SUBGRAPH_TENSORS, MAX_TENSORS, "tensors")
        first, count = len(self.tensors), len(positions)
        if first + count > MAX_TENSORS:
            raise MalformedError(f"its bodies have more than {MAX_TENSORS:,} tensors", "LAT006")
        operators = self._operators(table, count)
        inputs = self._indices(table, _SUBGRAPH_INPUTS, count, "the graph")
        outputs = self._indices(table, _SUBGRAPH_OUTPUTS, count, "the graph")
        if min((*inputs, *outputs), default=0) < 0:
            raise impossible("an input or output of a graph is left out")
        self._take_tensors(positions, _weights(operators))
        if not first:
            return Scope(operators, inputs, outputs)
        places = dict(zip(inputs, bound, strict=False))

        def placed(indices: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(index if index < 0 else places.get(index, index + first) for index in indices)

        moved = [each._replace(inputs=placed(each.inputs), outputs=placed(each.outputs)) for each in operators]
        return Scope(moved, placed(inputs), placed(outputs))

    def run(self, scope: Scope, depth: int) -> None:
        """The nodes of ``scope`` in file order, each with the bodies that it runs before it."""
        for operator in scope.operators:
            index = len(self.nodes)
            self.ran += 1
            if self.ran > MAX_NODES:
                raise MalformedError(f"its bodies have more than {MAX_NODES:,} nodes", "LAT006")
            node = self._node(index, operator, depth)
            if node.native in CONTROL:
                node = self.bodies.follow(node, depth)
            elif self.sizes.take(node) and node.kind in _SIZED_BY_OUTPUT:
                node = self._node(index, operator, depth)
            self.nodes.append(node)

    def _opened(self, index: int) -> Shape | None:
        """The tensor's size as the file has it, with -1 where the file marks a placeholder.

        A dimension that is open is -1 in ``shape_signature`` and the default, 1, in ``shape``.
        """
        shape = self.stated[index]
        signature: Shape = self.file.table(self.positions[index]).vector(_TENSOR_SHAPE_SIGNATURE, "i")
        if shape is None or len(signature) != len(shape):
            return shape
        return signature if all(a in (-1, b) for a, b in zip(signature, shape, strict=True)) else shape

    def _inputs(self, inputs: tuple[int, ...]) -> tuple[tuple[OpenSize, ...], dict[int, Shape]]:
        """The dimensions of inputs that the file leaves open and nobody states, and the shapes that are stated, by index."""
        tensors = self.tensors
        # of inputs that share a name, the first is the one that a shape is stated of
        by_name = {tensors[index].name: index for index in reversed(inputs)}
        declared = {index: self._opened(index) for index in inputs}
        shapes = fitting(self.shapes, {name: declared[index] for name, index in by_name.items()}, self.path)
        stated = {by_name[name]: dims for name, dims in shapes.items()}
        assumed = {index: dims for index, dims in declared.items() if dims and -1 in dims and index not in stated}
        self.notes += open_notes(
            {tensors[index].name: dims for index, dims in reversed(assumed.items())},
            {tensors[index].name: tensors[index].shape or () for index in reversed(assumed)},
        )
        opened = tuple(
            OpenSize(index, axis) for index, dims in assumed.items() for axis, dim in enumerate(dims) if dim < 0
        )
        return opened, {index: dims for index, dims in stated.items() if tensors[index].shape != dims}

    def _operator_codes(self) -> list[OpCode]:
        codes = []
        for position in self.model.tables(_MODEL_OPERATOR_CODES, MAX_NODES, "operator codes"):
            table = self.file.table(position)
            table.verify(_CODE_REST)
            # Codes above 127 do not fit the first field; a file from before the second has 0 there (schema_utils.cc).
            code = max(table.number(_CODE_DEPRECATED_BUILTIN, INT8), table.number(_CODE_BUILTIN, INT32))
            if code == tflite_ops.CUSTOM_CODE:
                native = table.string(_CODE_CUSTOM) or "CUSTOM"
                builtin = tflite_ops.custom(native)
            else:
                native, builtin = tflite_ops.builtin(code)
            codes.append(OpCode(native, builtin, table.number(_CODE_VERSION, INT32, 1)))
        return codes

    def _indices(self, table: Table, slot: int, tensors: int, what: str) -> tuple[int, ...]:
        """A vector of tensor indices; -1 is an operand that is left out."""
        indices = table.vector(slot, "i")
        if indices and (max(indices) >= tensors or min(indices) < -1):
            raise impossible(f"{what} refers to tensor {max(indices, key=abs)} of {tensors}")
        return indices

    def _operators(self, graph: Table, tensors: int) -> list[Operator]:
        operators = []
        codes = self.codes
        for index, position in enumerate(graph.tables(_SUBGRAPH_OPERATORS, MAX_NODES, "nodes")):
            table = self.file.table(position)
            table.verify(_OPERATOR_REST)
            code = table.number(_OPERATOR_CODE, UINT32)
            if code >= len(codes):
                raise impossible(f"node {index} has operator code {code} of {len(codes)}")
            what = f"node {index} ({codes[code].native[:80]})"
            inputs = self._indices(table, _OPERATOR_INPUTS, tensors, what)
            outputs = self._indices(table, _OPERATOR_OUTPUTS, tensors, what)
            inputs = _reordered(inputs, codes[code].builtin.order)
            _check_operands(codes[code].builtin.kind, inputs, outputs, what)
            operators.append(Operator(table, codes[code], inputs, outputs))
        return operators

    def _take_tensors(self, positions: list[int], weights: set[int]) -> None:
        """The tensors of a subgraph, and which of them keep their value from run to run, such as an LSTM's state."""
        first, tables = len(self.tensors), [self.file.table(position) for position in positions]
        # Old converters write no has_rank ; among them a tensor without a shape is a scalar.
        ranked = any(table.number(_TENSOR_HAS_RANK, BOOL, False) for table in tables)
        for index, table in enumerate(tables):
            table.verify(_TENSOR_REST)
            tensor = self._tensor(index, table, self.buffers, index not in weights, ranked)
            self.tensors.append(tensor)
            self.stated.append(tensor.shape)
            if table.number(_TENSOR_IS_VARIABLE, BOOL, False):
                self.free.add(first + index)
        self.positions += positions

    def _buffers(self) -> list[ByteRange]:
        ranges = []
        for position in self.model.tables(_MODEL_BUFFERS, MAX_TENSORS, "buffers"):
            table = self.file.table(position)
            table.verify(_BUFFER_REST)
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
            check_shape(shape, index)
        elif ranked and not constant and not table.number(_TENSOR_HAS_RANK, BOOL, False):
            shape = None
        code = table.number(_TENSOR_TYPE, INT8)
        if code < 0:
            raise impossible(f"tensor {index} is of type {code}")
        if constant and table.number(_TENSOR_IS_VARIABLE, BOOL, False):
            raise impossible(f"tensor {index} is a variable and has a value")
        dtype = _DTYPES[code] if code < len(_DTYPES) else "unknown"
        value = None
        if constant and shape is not None:
            value = self._constant(index, shape, dtype, data, wanted, sparse=table.follow(_TENSOR_SPARSITY) > 0)
        return Tensor(
            name=name,
            shape=shape,
            dtype=dtype,
            constant=constant,
            value=value,
            quantization=self._quantization(index, table, shape),
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

    def _quantization(self, index: int, tensor: Table, shape: Shape | None) -> Quantization | None:
        """As ``ParseQuantization`` in ``lite/core/model_builder.cc`` takes it: it refuses the whole file for one tensor."""
        table = tensor.child(_TENSOR_QUANTIZATION)
        if table is None:
            return None
        table.verify(_QUANTIZATION_REST)
        scales = table.vector(_QUANTIZATION_SCALE, "f")
        if not scales:
            return None
        zero_points = table.vector(_QUANTIZATION_ZERO_POINT, "q")
        if len(zero_points) != len(scales):
            raise impossible(
                f"tensor {index} has {counted(len(scales), 'scale')} and {counted(len(zero_points), 'zero point')}"
            )
        axis = table.number(_QUANTIZATION_AXIS, INT32)
        if axis < 0 or (shape and axis >= len(shape)):
            raise impossible(f"tensor {index} of {len(shape or ())} dimensions is quantised along dimension {axis}")
        if shape and len(scales) not in (1, shape[axis]):
            raise impossible(f"tensor {index} has {len(scales)} scales for {shape[axis]} slices along dimension {axis}")
        return Quantization(scales, zero_points, axis)

    def _node(self, index: int, operator: Operator, depth: int) -> Node:
        table, code, inputs, outputs = operator
        tensors = self.tensors
        attributes: dict[str, Any] = {}
        if code.builtin.attributes is not None:
            operands = Operands(
                options=self._options(table, code.builtin),
                inputs=[tensors[i] if i >= 0 else None for i in inputs],
                outputs=[tensors[i] if i >= 0 else None for i in outputs],
                custom_options=self._custom_options(table) if not code.builtin.options else b"",
            )
            try:
                attributes = code.builtin.attributes(operands)
            except MalformedError as error:
                raise MalformedError(f"node {index} ({code.native[:80]}) has {error}", error.code) from None
        else:
            table.child(_OPERATOR_OPTIONS)
            table.child(_OPERATOR_OPTIONS_2)
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
            inner=int(depth > 0),
        )

    def _options(self, operator: Table, builtin: Builtin) -> Table:
        """The operator's options, or their defaults if there are none or they are another op's."""
        kind, second = builtin.options, builtin.second_options
        options = None
        if kind and operator.number(_OPERATOR_OPTIONS_TYPE, UINT8) == kind:
            options = operator.child(_OPERATOR_OPTIONS)
        if second and operator.number(_OPERATOR_OPTIONS_2_TYPE, UINT8) == second:
            options = operator.child(_OPERATOR_OPTIONS_2)
        return options or Table(self.file, 0, ())

    def _custom_options(self, operator: Table) -> bytes:
        offset, length = operator.extent(_OPERATOR_CUSTOM_OPTIONS)
        return self.file.read(offset, min(length, 64))


def _reordered(inputs: tuple[int, ...], order: Sequence[int]) -> tuple[int, ...]:
    """``inputs`` in the order of ``graph.ops``: ``order[k]`` is the native position of input ``k``."""
    if not order:
        return inputs
    moved = [inputs[slot] if slot < len(inputs) else -1 for slot in order]
    return (*moved, *inputs[len(order) :])


def _weights(operators: Iterable[Operator]) -> set[int]:
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
            # Nothing is ever read of a tensor without elements, and a custom op may have a place to work in (Vela's scratch).
            if index >= 0 and not written[index] and tensors[index].elements != 0 and node.kind != UNKNOWN:
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
