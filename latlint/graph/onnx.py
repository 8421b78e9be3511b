"""The ONNX reader: bytes of a ``.onnx`` file to a ``Graph``. Weights are stepped over; files beside the model are never opened."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import PurePath
from types import MappingProxyType
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf has no stubs of its own

from latlint.errors import LatlintError
from latlint.graph import wire
from latlint.graph.inputs import InputShape, dims_text, fitting, open_notes
from latlint.graph.onnx_bodies import Step, enter, in_round, is_run, leave, repeat, settled
from latlint.graph.onnx_bodies import steps as bodies
from latlint.graph.onnx_ops import Call, ImpossibleError, Result, describe
from latlint.graph.onnx_parts import (
    IR_VERSION,
    AttributeProto,
    FunctionProto,
    GraphProto,
    ModelProto,
    NodeProto,
    OperatorSetIdProto,
    TensorProto,
    ValueInfoProto,
    defs,
    tensor_type,
)
from latlint.graph.onnx_shapes import (
    DTYPES,
    Array,
    Inference,
    attributes_of,
    cleaned,
    shape_of,
    tensor_value,
)
from latlint.graph.ops import UNKNOWN, lacks_operand
from latlint.graph.types import ITEM_BYTES, NO_ATTRIBUTES, ByteRange, Graph, Node, OpenSize, Quantization, Tensor
from latlint.words import printable

_STANDARD = frozenset({"", "ai.onnx"})
#: Half as many as of TFLite: a node of ONNX has its shapes inferred, and most are converted as well (``benchmarks/worst.py``).
MAX_NODES = 25_000
MAX_TENSORS = 1_000_000
MAX_NAME = 4096
MAX_OPSET = 10_000
MAX_FUNCTION_DEPTH = 32
#: Notes of a reader; more branches would tell the user nothing new.
_MAX_NOTES = 12
MAX_CALLS = 50_000
#: The nodes of functions, each time that one is called.
MAX_EXPANDED_BYTES = 32 * 2**20
#: A tensor of more elements fits no device; a shape that claims it is an attack or a mistake.
MAX_ELEMENTS = 2**40


def read_onnx(data: wire.Buffer, path: str, shapes: Sequence[InputShape] = ()) -> Graph:
    """The main graph of the ONNX model in ``data`` (a file's bytes, or its source), its inputs in the ``shapes`` that are stated.

    Raises LatlintError: LAT001 not an ONNX file or damaged, LAT006 beyond a bound, LAT007 a graph that cannot be, LAT008
    shapes that the inputs cannot have.
    """
    lean = wire.lean_model(data, path)
    try:
        model = ModelProto.FromString(lean.model)
    except DecodeError:
        raise _error(
            "not a readable ONNX file: its bytes are no ModelProto; export the model again", "LAT001", path
        ) from None
    if not model.HasField("graph") or not (model.graph.node or model.graph.output):
        raise _error(
            "not an ONNX model: it holds no graph; expected a file that torch.onnx.export or alike wrote",
            "LAT001",
            path,
        )
    for text in _texts(model):
        if not isinstance(text, str):  # protobuf hands out bytes where the file's text is no UTF-8
            raise _error("not a readable ONNX file: a name in it is not text; the file is damaged", "LAT001", path)
        if len(text) > MAX_NAME:
            raise _error(
                f"beyond what latlint reads: a name of {len(text):,} characters, at most {MAX_NAME:,}", "LAT006", path
            )
    opened = _leaves_open(model)
    reader = None
    try:
        reader = _Reader(model, lean, path, shapes)
        graph = reader.graph()
        return replace(graph, left_open=_LeftOpen(lean, path)) if opened else graph
    except ImpossibleError as problem:
        asked = reader.left_open() if reader else ""
        if asked and not _LeftOpen(lean, path).possible:  # whatever the open sizes are: none of them is the cause
            asked = ""
        todo = f"{asked}export the model again"
        raise _error(f"the graph cannot be as the file has it: {problem}; {todo}", "LAT007", path) from None


def _error(message: str, code: str, path: str) -> LatlintError:
    return LatlintError(printable(" ".join(message.split())), code=code, path=path)


def _leaves_open(model: ModelProto) -> bool:
    """Whether an input has a size that the file does not state."""
    return any(
        not dim.HasField("dim_value") or dim.dim_value < 0
        for value in model.graph.input
        for dim in value.type.tensor_type.shape.dim
    )


class _LeftOpen:
    """The tensors of a file by name before any open size is known, read when they are first asked for; none where that cannot be."""

    def __init__(self, lean: wire.Lean, path: str) -> None:
        self._lean, self._path = lean, path
        self._found: dict[str, Tensor] | None = None

    def __call__(self) -> Mapping[str, Tensor]:
        if self._found is None:
            graph = self._graph()
            self._found = {tensor.name: tensor for tensor in graph.tensors} if graph else {}
        return self._found

    @property
    def possible(self) -> bool:
        """Whether the graph can be with its open sizes unknown."""
        return self._graph() is not None

    def _graph(self) -> Graph | None:
        model = ModelProto.FromString(self._lean.model)
        try:
            return _Reader(model, self._lean, self._path, (), assume=False).graph()
        except (ImpossibleError, LatlintError):
            return None


#: The fields of an attribute that hold its value -> the kind that it then must say to be (``check_attribute`` in ONNX's checker.cc).
_VALUE_KINDS = {
    2: AttributeProto.FLOAT, 3: AttributeProto.INT, 4: AttributeProto.STRING, 5: AttributeProto.TENSOR, 6: AttributeProto.GRAPH,
    7: AttributeProto.FLOATS, 8: AttributeProto.INTS, 9: AttributeProto.STRINGS, 10: AttributeProto.TENSORS, 11: AttributeProto.GRAPHS,
    14: AttributeProto.TYPE_PROTO, 15: AttributeProto.TYPE_PROTOS, 22: AttributeProto.SPARSE_TENSOR, 23: AttributeProto.SPARSE_TENSORS,
}  # fmt: skip


#: Types that inference is not mistaken about.
_CERTAIN = frozenset({"float32", "float64", "int32", "int64", "uint8", "int8", "bool", "string"})


class _Reader:
    """``assume``: whether a size that nobody states is taken as 1; else it stays unknown."""

    def __init__(
        self, model: ModelProto, lean: wire.Lean, path: str, shapes: Sequence[InputShape], *, assume: bool = True
    ) -> None:
        self.assume = assume
        self.leaves_open = _leaves_open(model)  # before shapes are stated
        self.model = model
        self.lean = lean
        self.path = path
        self.notes: list[str] = []
        self.newer = self._newer()
        graph = model.graph
        self.constants = _constants(graph)
        #: Dimensions of inputs that nobody stated: the input, the axis, the size's name.
        self.opened: list[tuple[str, int, str]] = []
        self._bodies = 0
        self.symbols = self._symbols(shapes)
        declared = {value.name: value.type for value in (*graph.value_info, *graph.output)}
        self.inference = Inference(declared, self.symbols, believe=not assume)
        self.ranges: dict[str, ByteRange] = {}
        self.quantization: dict[str, Quantization] = {}
        #: Attributes that their op has not, by the node that had them (which is kept, so that no other is at its place).
        self.left_over: dict[int, tuple[NodeProto, tuple[str, ...]]] = {}

    def _newer(self) -> bool:
        """Whether the model is of a version that this onnx does not know: nobody here can say what its ops do."""
        found = {
            "opset": (max((each.version for each in self.model.opset_import if each.domain in _STANDARD), default=0), defs.onnx_opset_version()),
            "IR version": (self.model.ir_version, IR_VERSION),
        }  # fmt: skip
        late = [
            f"{what} {given} (the newest here is {newest})" for what, (given, newest) in found.items() if given > newest
        ]
        if late:
            self.notes.append(
                f"the file has {' and '.join(late)}: what its ops do is not known; update the package onnx"
            )
        return bool(late)

    def graph(self) -> Graph:
        graph = self.model.graph
        inputs = [value.name for value in graph.input if value.name not in self.constants]
        if "" in inputs:
            raise ImpossibleError("an input has no name")
        self.bound(len(graph.node), MAX_NODES, "nodes")
        self.bound(
            len(graph.input) + len(graph.output) + len(self.constants), MAX_TENSORS, "inputs, outputs and weights"
        )
        self._take_inputs(inputs)
        self._take_constants()
        made = list(self._steps())
        steps = self._execution_order(made, {*inputs, *self.constants})
        for step in steps:
            if step.body is not None:
                (enter if step.role == "entry" else leave)(self.inference, step.body)
                continue
            self.check(step.node, step.opsets)
            self.inference.node(step.node, step.opsets)
            self._take_constant_node(step.node)
        self._check_declared(steps)
        steps = [step for step in steps if is_run(step)]
        for step in steps:
            if step.body is not None and step.body.trips == 0:
                del step.node.input[step.body.given :]
            if step.body is not None and step.body.node.op_type == "If":
                if step.body.weighed and len(self.notes) < _MAX_NOTES:
                    name = ("then", "else")[step.body.branch]
                    label = step.node.name or "".join(step.node.output[:1])
                    self.notes.append(
                        printable(f"of the branches of '{label[:80]}' the heavier one ({name}) is counted")
                    )
                step.node.input[:] = [
                    *step.node.input[:1],
                    *dict.fromkeys(filter(None, step.body.outputs[step.body.branch])),
                ]
        outputs = [value.name for value in graph.output]
        if not self.leaves_open:
            steps = settled(self.inference, steps, self.constants, outputs)
        self._take_quantization(steps)
        return self._build(steps, inputs, outputs)

    # --- What is known before any node -------------------------------------------------------------------------------------

    def _symbols(self, wanted: Sequence[InputShape]) -> dict[str, int]:
        """Sizes of symbolic dimensions: as ``wanted`` has them, else 1. The inputs get their shapes."""
        if twice := _repeated(value.name for value in self.model.graph.input if value.name not in self.constants):
            raise ImpossibleError(f"the input {_quoted(twice)} is given twice")
        values = [
            value
            for value in self.model.graph.input
            if value.name not in self.constants and value.type.HasField("tensor_type")
        ]
        declared = {value.name: shape_of(cleaned(value.type)) for value in values}
        shapes = fitting(wanted, declared, self.path)
        symbols: dict[str, int] = {}
        for value in values:
            stated = shapes.get(value.name)
            if stated is None:
                continue
            dims = value.type.tensor_type.shape.dim
            for dim, size in zip(dims, stated, strict=bool(dims)):
                if symbols.setdefault(dim.dim_param, size) != size and dim.dim_param:
                    raise _error(
                        f"input {_quoted(value.name)} cannot be {dims_text(stated)}: the file has the dimension "
                        f"{_quoted(dim.dim_param)} twice, and it is {symbols[dim.dim_param]} in the other place",
                        "LAT008",
                        self.path,
                    )
            value.type.CopyFrom(tensor_type(value.type.tensor_type.elem_type, stated))
        symbols.pop("", None)
        for value in values:
            self._assume(value, symbols)
        return symbols

    def _assume(self, value: ValueInfoProto, symbols: dict[str, int]) -> None:
        """The dimensions of an input that are still open: as another input's of that name, else 1, with a note."""
        known = set(symbols)
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if dim.HasField("dim_value") and dim.dim_value >= 0:
                continue
            if not self.assume:
                dim.Clear()
                continue
            if dim.dim_param not in known:
                self.opened.append((value.name, axis, dim.dim_param))
                if dim.dim_param:
                    symbols[dim.dim_param] = 1
            dim.dim_value = symbols.get(dim.dim_param, 1)

    def left_open(self) -> str:
        """What to state first where a size that is taken as 1 may be what is wrong; empty where none is."""
        name = self.opened[0][0] if self.opened else ""
        if name not in self.inference.types:  # what is wrong was found before the inputs were taken
            return ""
        open_axes = {axis for each, axis, _ in self.opened if each == name}
        shape = self.inference.types[name].shape or ()
        stated = "x".join("?" if axis in open_axes else str(dim) for axis, dim in enumerate(shape))
        return f"sizes of {name!r} that it leaves open are taken as 1: state them (--shape {name}={stated}), or "

    def _take_inputs(self, names: list[str]) -> None:
        by_name = {value.name: value for value in self.model.graph.input}
        for name in names:
            if not by_name[name].HasField("type"):
                raise ImpossibleError(f"the input {_quoted(name)} has no type")
            self.inference.add(name, cleaned(by_name[name].type))
        opened = {(name, axis) for name, axis, _ in self.opened}
        taken = {name: self.inference.types[name].shape or () for name, _, _ in self.opened}
        assumed = {
            name: tuple(-1 if (name, axis) in opened else dim for axis, dim in enumerate(dims))
            for name, dims in taken.items()
        }
        self.notes += open_notes(assumed, taken)

    def _take_constants(self) -> None:
        """The initializers: type and place of each, and the value of the small ones."""
        outside = 0
        declared = {value.name: value for value in self.model.graph.input}
        for name, tensor in self.constants.items():
            if name in declared:
                self._check_stored(name, tensor, declared[name])
            if any(dim < 0 for dim in tensor.dims):
                raise ImpossibleError(f"the weights {_quoted(name)} have a dimension of {min(tensor.dims)}")
            value = self._value(name, tensor)
            self.inference.add(name, tensor_type(tensor.data_type, tuple(tensor.dims)), value)
            payload = self.lean.payloads.get(name)
            if not tensor.data_type:
                raise ImpossibleError(f"the weights {_quoted(name)} have no type")
            if tensor.data_location == TensorProto.EXTERNAL:
                if not any(entry.key == "location" and entry.value for entry in tensor.external_data):
                    raise ImpossibleError(f"the weights {_quoted(name)} lie in another file, and nothing says in which")
                outside += 1
            elif payload is not None:
                self.ranges[name] = payload.range
                self._check_length(name, tensor, payload)
        if outside:
            self.notes.append(f"{outside} weights lie in other files, which are not opened{self._escapes()}")

    def _escapes(self) -> str:
        """A remark when external data is said to lie outside of the model's directory."""
        for tensor in self.constants.values():
            for entry in tensor.external_data:
                where = PurePath(entry.value.replace("\\", "/"))
                if entry.key == "location" and (where.is_absolute() or ".." in where.parts):
                    return "; some are named by a path that leaves the model's directory"
        return ""

    def _value(self, name: str, tensor: TensorProto) -> Array | None:
        try:
            return tensor_value(tensor)
        except (ValueError, TypeError, OverflowError):
            raise ImpossibleError(
                f"the constant {_quoted(name)} does not hold as many numbers as its shape {_dims(tensor.dims)} needs"
            ) from None

    def _check_stored(self, name: str, tensor: TensorProto, given: ValueInfoProto) -> None:
        """Files of before IR version 4 name weights among the inputs as well."""
        declared = given.type.tensor_type
        dims = [dim.dim_value for dim in declared.shape.dim]
        other = declared.HasField("shape") and (
            len(dims) != len(tensor.dims) or any(0 < a != b for a, b in zip(dims, tensor.dims, strict=True))
        )
        if other or declared.elem_type not in (0, tensor.data_type):
            raise ImpossibleError(f"the weights {_quoted(name)} are declared as an input of another type or shape")

    def _check_declared(self, steps: Iterable[Step]) -> None:
        """What ops of ONNX hand on has the type that the file says, where it says one (of small floats inference knows too little)."""
        made = {name for step in steps if step.node.domain in _STANDARD for name in step.node.output}
        for value in (*self.model.graph.value_info, *self.model.graph.output):
            stated, known = value.type.tensor_type.elem_type, self.inference.types.get(value.name)
            if value.type.HasField("tensor_type") and stated not in DTYPES:
                raise ImpossibleError(f"{_quoted(value.name)} is declared in type {stated}, which there is not")
            found = known.proto.tensor_type.elem_type if known is not None else 0
            if found and value.name in made and value.type.WhichOneof("value") not in (None, "tensor_type"):
                raise ImpossibleError(f"{_quoted(value.name)} is declared as no tensor, and is one")
            if found != stated and value.name in made and {DTYPES.get(found), DTYPES.get(stated)} <= _CERTAIN:
                types = (DTYPES.get(each, f"type {each}") for each in (stated, found))
                raise ImpossibleError("{} is declared as {}, and is {}".format(_quoted(value.name), *types))

    def _check_length(self, name: str, tensor: TensorProto, payload: wire.Payload) -> None:
        size = ITEM_BYTES.get(DTYPES.get(tensor.data_type, ""), 0)
        need = -int(-prod(tensor.dims) * size // 1)
        if payload.raw and size and payload.range.length != need:
            raise ImpossibleError(
                f"the weights {_quoted(name)} take {payload.range.length:,} bytes; a shape of {_dims(tensor.dims)} needs {need:,}"
            )

    # --- Nodes, in an order in which they can run ----------------------------------------------------------------------------

    def _steps(self) -> Iterator[Step]:
        """The main graph's nodes in file order, each call of a model-local function replaced by its body."""
        functions = {(function.domain, function.name, function.overload): function for function in self.model.functions}
        opsets = _imported(self.model.opset_import)
        if any(not 0 < version <= MAX_OPSET for version in opsets.values()):
            raise ImpossibleError(f"opset {min(opsets.values())} does not exist")
        ranges = self.lean.nodes if len(self.lean.nodes) == len(self.model.graph.node) else []
        count = 0
        self.spent = spent = _Spent(self)
        for position, node in enumerate(self.model.graph.node):
            place = ranges[position] if ranges else None
            for called in _expanded(Step(node, opsets, place), functions, 0, spent):
                # the names in a function's graphs are the function's, and those are not followed
                for step in bodies(self, called, {}, 0) if called.node is node else [called]:
                    count += 1
                    self.bound(count, MAX_NODES, "nodes")
                    self._check_node(step.node)
                    yield step

    def check(self, node: NodeProto, opsets: Mapping[str, int]) -> None:
        """Raises ImpossibleError when the node lacks what its op must have."""
        try:
            self.inference.check(node, opsets)
        except ImpossibleError as problem:
            raise ImpossibleError(f"{_label(node)} has {problem}") from None
        if left := self.inference.strip(node, opsets):
            self.left_over[id(node)] = node, left

    def next_body(self) -> int:
        """A number that no other graph of the model has."""
        self._bodies += 1
        return self._bodies

    def copied(self, node: NodeProto) -> None:
        """A node of a graph that control flow runs is about to be copied."""
        self.spent.copy(node)

    def take_constant(self, name: str, tensor: TensorProto) -> None:
        """An initializer of a graph that control flow runs."""
        if any(dim < 0 for dim in tensor.dims):
            raise ImpossibleError(f"the weights {_quoted(name)} have a dimension of {min(tensor.dims)}")
        self.constants[name] = tensor
        self.bound(len(self.constants), MAX_TENSORS, "weights")
        self.inference.add(name, tensor_type(tensor.data_type, tuple(tensor.dims)), self._value(name, tensor))

    def _check_node(self, node: NodeProto) -> None:
        names = (node.name, *node.input, *node.output)
        self.bound(len(names) - 1, MAX_TENSORS, "inputs and outputs of one node")
        self.bound(max(map(len, names)), MAX_NAME, "characters in a name")
        for attribute in node.attribute:
            if not attribute.name or any(
                each.number in _VALUE_KINDS and _VALUE_KINDS[each.number] != attribute.type
                for each, _ in attribute.ListFields()
            ):
                what = (
                    f"says to be of another kind than it is: {_quoted(attribute.name)}"
                    if attribute.name
                    else "has no name"
                )
                raise ImpossibleError(f"{_label(node)} has an attribute that {what}")
        if len({attribute.name for attribute in node.attribute}) < len(node.attribute):
            twice = next(name for name, many in Counter(each.name for each in node.attribute).items() if many > 1)
            raise ImpossibleError(f"{_label(node)} has the attribute {_quoted(twice)} more than once")

    def _execution_order(self, steps: list[Step], known: set[str]) -> list[Step]:
        """``steps`` so that each comes after what it reads; as they are when they already do."""
        writers: dict[str, int] = {}
        for index, step in enumerate(steps):
            for name in filter(None, step.node.output):
                if name in writers or name in known:
                    raise ImpossibleError(f"{_quoted(name)} is written twice")
                writers[name] = index
        waits = [0] * len(steps)
        readers: dict[int, list[int]] = {}
        for index, step in enumerate(steps):
            for name in dict.fromkeys(name for name in step.node.input if name and name not in known):
                if name not in writers:
                    raise ImpossibleError(f"{_label(step.node)} reads {_quoted(name)}, which nothing writes")
                readers.setdefault(writers[name], []).append(index)
                waits[index] += 1
        ready = [index for index, count in enumerate(waits) if count == 0]
        order: list[Step] = []
        while ready:
            index = heapq.heappop(ready)
            order.append(steps[index])
            for reader in readers.get(index, ()):
                waits[reader] -= 1
                if waits[reader] == 0:
                    heapq.heappush(ready, reader)
        if len(order) < len(steps):
            raise ImpossibleError("some nodes wait for each other in a circle")
        return order

    # --- The Graph -------------------------------------------------------------------------------------------------------------

    def _take_constant_node(self, node: NodeProto) -> None:
        """A Constant's output is a constant of the file, also when it is too large to have a value."""
        if node.op_type != "Constant" or node.domain not in ("", "ai.onnx") or not node.output:
            return
        tensor = attributes_of(node).get("value")
        if isinstance(tensor, TensorProto):
            self.constants[node.output[0]] = tensor
            if node.output[0] not in self.inference.types:
                self.inference.add(node.output[0], tensor_type(tensor.data_type, tuple(tensor.dims)))
        elif node.output[0] in self.inference.values:
            self.constants[node.output[0]] = TensorProto()

    def _take_quantization(self, steps: list[Step]) -> None:
        """Scales and zero points of quantised tensors, from the nodes that quantise, dequantise or compute on them."""
        for step in steps:
            axis = next((a.i for a in step.node.attribute if a.name == "axis"), 1)
            for tensor, scale, zero_point in _quantized_operands(step.node):
                scales, zeros = self.inference.values.get(scale), self.inference.values.get(zero_point)
                stated = None if zeros is None else _integers(zero_point, zeros)  # whether or not its scale is known
                if not tensor or scales is None or not scales.size:
                    continue
                numbers = tuple(float(x) for x in scales.ravel().tolist())
                points = (0,) * len(numbers) if stated is None else stated
                along = axis if step.node.op_type in ("QuantizeLinear", "DequantizeLinear") else 0
                self.quantization.setdefault(tensor, Quantization(numbers, points, along if len(numbers) > 1 else 0))

    def _build(self, steps: list[Step], inputs: list[str], outputs: list[str]) -> Graph:
        index: dict[str, int] = {}
        tensors: list[Tensor] = []

        def tensor(name: str) -> int:
            if not name:
                return -1
            if name not in index:
                index[name] = len(tensors)
                tensors.append(self._tensor(name))
                self.bound(len(tensors), MAX_TENSORS, "tensors")
            return index[name]

        first = tuple(tensor(name) for name in inputs)
        nodes: list[Node] = []
        fixed = _fixed(steps, self.constants)
        for position, step in enumerate(steps):
            reads = [tensor(name) for name in step.node.input]
            writes = [tensor(name) for name in step.node.output]
            known = [name in fixed for name in step.node.input]
            node = self._node(position, step, reads, writes, tensors, known)
            nodes.append(_placed(node, step) if step.within or step.body else node)
        for name in outputs:
            if not name or (name not in index and name not in self.constants):
                raise ImpossibleError(f"nothing writes the output {_quoted(name)}")
        last = tuple(tensor(name) for name in outputs)
        unknown = sum(1 for node in nodes for i in node.outputs if i >= 0 and tensors[i].elements is None)
        if unknown:
            self.notes.append(
                f"the shapes of {unknown} of {sum(len(node.outputs) for node in nodes)} values could not be inferred"
            )
        name = self.model.graph.name or PurePath(self.path).stem
        return Graph(
            name,
            "onnx",
            "onnx",
            tuple(nodes),
            tuple(tensors),
            first,
            last,
            tuple(self.notes),
            open_sizes=tuple(OpenSize(index[name], axis, size) for name, axis, size in self.opened),
            imports=(("IR", self.model.ir_version), *_opsets(self.model.opset_import).items()),
        )

    def _tensor(self, name: str) -> Tensor:
        known, value = self.inference.types.get(name), self.inference.values.get(name)
        shape, dtype = (known.shape, known.dtype) if known else (None, "unknown")
        if shape is not None:
            self.bound(len(shape), MAX_NAME, f"dimensions of {_quoted(name)}")
            self.bound(prod(dim for dim in shape if dim > 0), MAX_ELEMENTS, f"elements in {_quoted(name)}")
        return Tensor(
            name=name,
            shape=shape,
            dtype=dtype,
            constant=name in self.constants,
            value=tuple(value.ravel().tolist()) if value is not None else None,
            quantization=self.quantization.get(name),
            data=self.ranges.get(name),
        )

    def _node(
        self, position: int, step: Step, reads: list[int], writes: list[int], tensors: list[Tensor], known: list[bool]
    ) -> Node:
        node = step.node
        domain = "" if node.domain == "ai.onnx" else node.domain
        opset = step.opsets.get(domain, 1)
        call = Call(
            node.op_type,
            attributes_of(node),
            [tensors[i] if i >= 0 else None for i in reads],
            [tensors[i] if i >= 0 else None for i in writes],
            opset,
            known,
        )
        result, sound = Result(UNKNOWN, {}), True
        newer = self.newer and domain in _STANDARD
        try:
            described = describe(domain, call)
            result = result if newer else described
        except ImpossibleError as problem:
            if not newer:
                raise ImpossibleError(f"{_label(node)} has {problem}") from None
            sound = False
        except (TypeError, ValueError, IndexError, OverflowError):
            if not newer:
                raise ImpossibleError(f"{_label(node)} has attributes of the wrong kind") from None
            sound = False
        native = tuple(reads)
        operands = (
            native if result.inputs is None else tuple(reads[slot] for slot in result.inputs if slot < len(reads))
        )
        if lacks_operand(result.kind, operands, writes):
            raise ImpossibleError(f"{_label(node)} lacks an input or output that every {node.op_type[:80]} has")
        return Node(
            index=position,
            name=node.name or (node.output[0] if node.output else ""),
            kind=result.kind,
            native=f"{domain}::{node.op_type}" if domain else node.op_type,
            inputs=operands,
            outputs=tuple(writes),
            attributes=_frozen(result.attributes),
            version=opset,
            location=step.location,
            native_inputs=native,
            # what a later opset means by attributes that could not be here, no planner knows either
            native_attributes=_frozen(
                dict.fromkeys(attribute.name for attribute in node.attribute) | _without_tensors(call.attributes)
                if sound
                else {}
            ),
            left_over=self.left_over[id(node)][1] if id(node) in self.left_over else (),
        )

    def bound(self, count: int, limit: int, what: str) -> None:
        if count > limit:
            raise _error(f"beyond what latlint reads: {count:,} {what}, at most {limit:,}", "LAT006", self.path)


def _placed(node: Node, step: Step) -> Node:
    """``node`` with what control flow makes of it."""
    attributes = dict(node.attributes)
    if (body := step.body) is not None:
        attributes |= {"followed": True}
        attributes |= {"branch": ("then", "else")[body.branch]} if node.kind == "if" else {"trips": body.trips}
    within, number = step.within[-1] if step.within else (None, 0)
    return replace(
        node,
        inner=within.numbers[number] if within else 0,
        repeat=repeat(step),
        in_round=in_round(step),
        attributes=MappingProxyType(attributes),
    )


def _frozen(attributes: dict[str, Any]) -> Mapping[str, Any]:
    """``attributes``, which nobody changes from here on. Most nodes have none, and share one mapping without them."""
    return MappingProxyType(attributes) if attributes else NO_ATTRIBUTES


def _without_tensors(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that a ``Graph`` can hold: numbers, texts and lists of them."""
    return {name: value for name, value in attributes.items() if isinstance(value, (int, float, str, tuple))}


def _texts(model: ModelProto) -> Iterator[object]:
    """Every name that the reader looks at; text is all of it supposed to be."""
    graph = model.graph
    yield graph.name
    for entry in model.opset_import:
        yield entry.domain
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield value.name
        yield from (dim.dim_param for dim in value.type.tensor_type.shape.dim)
    for tensor in (*graph.initializer, *(sparse.values for sparse in graph.sparse_initializer)):
        yield tensor.name
        for pair in tensor.external_data:
            yield from (pair.key, pair.value)
    for function in model.functions:
        yield from (function.name, function.domain, *function.input, *function.output, *function.attribute)
        yield from (entry.domain for entry in function.opset_import)
        yield from (attribute.name for attribute in function.attribute_proto)
    for node in (*graph.node, *(node for function in model.functions for node in function.node)):
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        for attribute in node.attribute:
            yield from (attribute.name, attribute.ref_attr_name)


def _dims(dims: Iterable[int]) -> str:
    listed = ["?" if dim < 0 else str(dim) for dim in dims]
    return "x".join(listed[:8]) + ("x…" if len(listed) > 8 else "") or "scalar"


def _quoted(name: str) -> str:
    return repr(name[:80])


def _label(node: NodeProto) -> str:
    return f"{node.op_type[:80]} {_quoted(node.name or ''.join(node.output[:1]))}"


def _opsets(imports: Iterable[OperatorSetIdProto]) -> dict[str, int]:
    """The version of each domain: of the standard's two names, which are of one, the one that comes last says it, as to ONNX Runtime."""
    return {"" if entry.domain in _STANDARD else entry.domain: entry.version for entry in imports}


def _imported(imports: Iterable[OperatorSetIdProto]) -> dict[str, int]:
    """The same with the standard in it: ONNX Runtime takes the newest where a file names other domains alone."""
    return {"": defs.onnx_opset_version(), **_opsets(imports)}


def _constants(graph: GraphProto) -> dict[str, TensorProto]:
    """The initializers by name; a sparse one as a tensor with the dense shape and no data."""
    if twice := _repeated(tensor.name for tensor in graph.initializer):
        raise ImpossibleError(f"the weights {_quoted(twice)} are given twice")
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for sparse in graph.sparse_initializer:
        dense = TensorProto(name=sparse.values.name, data_type=sparse.values.data_type, dims=sparse.dims)
        constants[dense.name] = dense
    return constants


def _repeated(names: Iterable[str]) -> str:
    """A name that is there more than once, or nothing."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return ""


def _fixed(steps: list[Step], constants: Iterable[str]) -> set[str]:
    """The constants, and what is computed from nothing else (a transposed or dequantised weight)."""
    fixed = {"", *constants}
    for step in steps:
        reads = step.node.input
        if reads and all(name in fixed for name in reads):
            fixed.update(step.node.output)
    return fixed - {""}


def _integers(name: str, values: Array) -> tuple[int, ...]:
    try:
        return tuple(int(value) for value in values.ravel().tolist())
    except (ValueError, OverflowError):
        raise ImpossibleError(f"the zero point {_quoted(name)} is not a number") from None


def _quantized_operands(node: NodeProto) -> Iterator[tuple[str, str, str]]:
    """``(tensor, scale, zero point)`` for each operand and output that the node says are quantised."""
    names = [*node.input, *[""] * 9]
    output = node.output[0] if node.output else ""
    match node.op_type:
        case "QuantizeLinear":
            yield output, names[1], names[2]
        case "DequantizeLinear":
            yield names[0], names[1], names[2]
        case "QLinearConv" | "QLinearMatMul" | "QLinearAdd" | "QLinearMul":
            yield names[0], names[1], names[2]
            yield names[3], names[4], names[5]
            yield output, names[6], names[7]
        case "QGemm":
            yield names[0], names[1], names[2]
            yield names[3], names[4], names[5]
            yield output, names[7], names[8]
        case "QLinearWhere":
            yield names[1], names[2], names[3]
            yield names[4], names[5], names[6]
            yield output, names[7], names[8]
        case (
            "QLinearSigmoid" | "QLinearLeakyRelu" | "QLinearAveragePool" | "QLinearGlobalAveragePool" | "QLinearSoftmax"
        ):
            yield names[0], names[1], names[2]
            yield output, names[3], names[4]
        case "QLinearConcat":
            yield output, names[0], names[1]


class _Spent:
    """What calls of functions have cost: a function of two calls of another, which has two of a third, need not hold a single node."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader
        self._calls = self._names = self._bytes = 0

    def call(self, function: FunctionProto, call: NodeProto) -> None:
        """A call, which looks at all names of the function and gives each of its nodes longer ones."""
        self._calls += 1
        self._reader.bound(self._calls, MAX_CALLS, "nodes, calls of functions among them")
        self._names += len(function.input) + len(function.output) + len(call.input) + len(call.output)
        self._names += len(function.attribute_proto) + len(call.attribute) + len(function.opset_import)
        self._reader.bound(self._names, MAX_TENSORS, "names in calls of functions")

    def copy(self, message: NodeProto | AttributeProto, longer: int = 0) -> None:
        """A message of a function that is about to be copied, to be ``longer`` by so many bytes."""
        self._bytes += message.ByteSize() + longer
        self._reader.bound(self._bytes, MAX_EXPANDED_BYTES, "bytes of nodes in functions")


def _expanded(
    step: Step, functions: Mapping[tuple[str, str, str], FunctionProto], depth: int, spent: _Spent
) -> Iterator[Step]:
    """``step``, or the nodes of the function that it calls, named after the call."""
    function = functions.get((step.node.domain, step.node.op_type, step.node.overload))
    if function is None:
        yield step
        return
    if depth >= MAX_FUNCTION_DEPTH:
        raise ImpossibleError(f"functions call each other more than {MAX_FUNCTION_DEPTH} deep at {_label(step.node)}")
    call = step.node
    spent.call(function, call)
    prefix = f"{call.name or ''.join(call.output[:1])}/"
    names = dict(zip(function.input, call.input, strict=False))
    names |= {name: "" for name in function.input if name not in names}
    names |= dict(zip(function.output, call.output, strict=False))
    given = {attribute.name: attribute for attribute in (*function.attribute_proto, *call.attribute)}
    opsets = _imported(function.opset_import) if function.opset_import else step.opsets
    for inner in function.node:
        spent.copy(inner, len(prefix) * (1 + len(inner.input) + len(inner.output)))
        node = NodeProto()
        node.CopyFrom(inner)
        node.name = prefix + (inner.name or inner.op_type)
        node.input[:] = [names.get(name, prefix + name) if name else "" for name in inner.input]
        node.output[:] = [(names.get(name) or prefix + name) if name else "" for name in inner.output]
        bound = []
        for attribute in inner.attribute:
            source = given.get(attribute.ref_attr_name) if attribute.ref_attr_name else attribute
            if source is not None:
                spent.copy(source)
                bound.append(type(attribute)())
                bound[-1].CopyFrom(source)
                bound[-1].name = attribute.name
        del node.attribute[:]
        node.attribute.extend(bound)
        yield from _expanded(Step(node, opsets, step.location), functions, depth + 1, spent)
