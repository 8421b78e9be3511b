"""The graph under conversion: what is folded away, where each value is stored and in which order of axes, what was written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from latlint.errors import LatlintError
from latlint.graph.types import Graph, Node, Quantization, Tensor
from latlint.records import NamedTuple
from latlint.runtime.convert.native import native_name, version

Shape = tuple[int, ...]
Order = tuple[int, ...]

#: One op of ONNX may become a dozen.
MAX_OPS = 30_000

#: Of a longer row of transposes or reshapes that become one op, it stands for so many; each of a row may be read on the way.
MAX_ORIGINS = 100

#: Never computed at conversion, whatever their inputs.
_NOT_FOLDED = {"random", "if", "while", "call"}

#: What these compute is known only through the reader, which has the shapes.
_SHAPES = {"shape", "size"}


def identity(rank: int) -> Order:
    return tuple(range(rank))


def channels_last(rank: int) -> Order:
    """The order in which TensorFlow stores (N, C, …spatial): (N, …spatial, C)."""
    return (0, *range(2, rank), 1) if rank > 2 else identity(rank)


def joined(origins: Iterable[int], others: Iterable[int]) -> tuple[int, ...]:
    """What one op stands for that takes the place of two."""
    return (*origins, *others)[:MAX_ORIGINS]


def permuted(shape: Shape | None, order: Order) -> Shape | None:
    return None if shape is None else tuple(shape[axis] for axis in order)


class Value(NamedTuple):
    """Where a run-time value of the source is: stored axis ``i`` is its axis ``order[i]``.

    ``pending`` are the transposes of the source that changed the order without moving data yet.
    """

    tensor: int
    order: Order
    pending: tuple[int, ...] = ()


@dataclass(slots=True)
class NewNode:
    """A node of the new graph while it can still take up others."""

    kind: str
    inputs: list[int]
    outputs: list[int]
    attributes: dict[str, Any]
    origins: list[int]
    native: str = ""
    #: The node of the source that is being converted: what is written for it runs where and as often as it does.
    within: Node | None = None


@dataclass(slots=True)
class Writer:
    """Writes the new graph; handlers (``handlers.py``) read from the source through it.

    ``uses`` counts the run-time uses of each value of the source, the names that ``same`` makes one counted together;
    ``quantized_as`` maps a value to its quantised form, where that is all that is read of it. ``newest``: as today's converters write.
    """

    source: Graph
    zero_padding: bool = False
    newest: bool = False
    tensors: list[Tensor] = field(default_factory=list)
    drafts: list[NewNode] = field(default_factory=list)
    values: dict[int, Value] = field(default_factory=dict)
    written_by: dict[int, NewNode] = field(default_factory=dict)
    read_by: Counter[int] = field(default_factory=Counter)
    same: dict[int, int] = field(default_factory=dict)
    quantized_as: dict[int, int] = field(default_factory=dict)
    uses: Counter[int] = field(default_factory=Counter)
    #: Values that are at least zero, whatever the input, once they were asked for.
    never_negative: set[int] | None = None
    #: Max pools before which PADV2 was written, and whether their input is never negative.
    padded_pools: list[tuple[str, bool]] = field(default_factory=list)
    producers: dict[int, Node] = field(default_factory=dict)
    folded: set[int] = field(default_factory=set)
    converting: Node | None = None
    _constants: dict[tuple[Any, ...], int] = field(default_factory=dict)
    _moved: dict[tuple[int, Order], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.producers = {tensor: node for node in self.source.nodes for tensor in node.outputs if tensor >= 0}
        self.folded = {i for i, tensor in enumerate(self.source.tensors) if tensor.constant or tensor.value is not None}
        for node in self.source.nodes:
            reads = [i for i in node.inputs if i >= 0]
            known = all(i in self.folded for i in reads) and (bool(reads) or node.kind == "constant")
            # converters compute what they get of constants alone, whatever op of the standard it is
            folds = "::" not in node.native if node.kind == "unknown" else node.kind not in _NOT_FOLDED | _SHAPES
            if known and folds:
                self.folded.update(i for i in node.outputs if i >= 0)

    # --- The source --------------------------------------------------------------------------------------------------------------

    def shape(self, i: int) -> Shape | None:
        return self.source.tensors[i].shape

    def rank(self, i: int) -> int:
        """How many axes; an unknown rank counts as none, so that nothing is moved."""
        shape = self.shape(i)
        return 0 if shape is None else len(shape)

    def root(self, i: int) -> int:
        way = []
        while i in self.same:
            way.append(i)
            i = self.same[i]
        self.same.update(dict.fromkeys(way, i))  # whoever asks for one of them again is there in a step
        return i

    def sole(self, i: int) -> bool:
        """Is the value read once, and no output of the graph?"""
        return self.uses[self.root(i)] == 1

    def is_read(self, i: int) -> bool:
        return i >= 0 and self.uses[self.root(i)] > 0

    def scalar(self, i: int) -> float | None:
        """The number in a folded tensor of one element."""
        value = self.source.tensors[i].value if i >= 0 else None
        return float(value[0]) if value is not None and len(value) == 1 and not isinstance(value[0], str) else None

    # --- Reading -----------------------------------------------------------------------------------------------------------------

    def value(self, i: int) -> Value:
        """Where value ``i`` is, in whatever order it is stored; a folded one as a constant in its own order."""
        if i in self.folded:
            return Value(self.constant_of(i), identity(self.rank(i)))
        return self.values[i]

    def read(self, i: int, order: Order | None = None) -> int:
        """The tensor that holds value ``i`` in ``order`` (its own order by default), transposed for it where need be."""
        wanted = identity(self.rank(i)) if order is None else order
        if i in self.folded:
            return self.constant_of(i, wanted)
        value = self.values[i]
        if len(value.order) != len(wanted):
            return value.tensor
        return self.moved(value.tensor, tuple(value.order.index(axis) for axis in wanted), value.pending)

    def operand(self, i: int, rank: int, order: Order) -> int:
        """Value ``i`` as an operand that broadcasts against a value of ``rank`` axes stored in ``order``."""
        shape = self.shape(i)
        if shape is None or len(shape) == rank or order == identity(rank):
            same_rank = shape is not None and len(shape) == rank
            return self.read(i, order if same_rank else None) if i not in self.folded else self._lean(i, rank, order)
        if i in self.folded:
            return self._lean(i, rank, order)
        full = (1,) * (rank - len(shape)) + shape
        return self.moved(self.reshaped(self.read(i), full), order)

    def _lean(self, i: int, rank: int, order: Order) -> int:
        """A constant operand, stored in ``order``, without leading ones."""
        shape = self.shape(i)
        if shape is None or len(shape) > rank:
            return self.constant_of(i)
        stored = permuted((1,) * (rank - len(shape)) + shape, order) or ()
        while stored and stored[0] == 1:
            stored = stored[1:]
        return self.constant_of(i, shape=stored)

    def constant_of(self, i: int, order: Order | None = None, *, shape: Shape | None = None) -> int:
        """A constant of the new graph that holds folded value ``i`` in ``order``, or laid out as ``shape``."""
        tensor = self.source.tensors[self.dequantized_from(i)]
        if shape is None:
            shape = tensor.shape if order is None or len(order) != self.rank(i) else permuted(tensor.shape, order)
        key = ("value", i, shape, order)
        if key not in self._constants:
            plain = order is None or order == identity(len(order))
            value = tensor.value if plain or tensor.value is None or len(tensor.value) == 1 else None
            self._constants[key] = self.tensor(replace(tensor, shape=shape, constant=True, value=value))
        return self._constants[key]

    def dequantized_from(self, i: int) -> int:
        """The quantised constant behind a DequantizeLinear, which converters read as it is."""
        node = self.producers.get(i)
        return node.inputs[0] if node is not None and node.kind == "dequantize" else i

    # --- Writing -----------------------------------------------------------------------------------------------------------------

    def tensor(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def temporary(self, name: str, shape: Shape | None, dtype: str, quantization: Quantization | None = None) -> int:
        return self.tensor(Tensor(name, shape, dtype, quantization=quantization))

    def integers(self, values: Iterable[int], shape: Shape | None = None) -> int:
        """A constant int32 vector: axes, paddings, shapes."""
        numbers = tuple(int(v) for v in values)
        key = ("int32", numbers, shape)
        if key not in self._constants:
            dims = (len(numbers),) if shape is None else shape
            self._constants[key] = self.tensor(Tensor(f"const/{len(self.tensors)}", dims, "int32", True, numbers))
        return self._constants[key]

    def number(self, value: float, dtype: str = "float32") -> int:
        """A constant scalar."""
        key = ("scalar", value, dtype)
        if key not in self._constants:
            self._constants[key] = self.tensor(Tensor(f"const/{len(self.tensors)}", (), dtype, True, (value,)))
        return self._constants[key]

    def vector(self, count: int) -> int:
        """A constant vector whose elements do not matter (a bias, a scale, folded together from others)."""
        return self.filled((max(count, 0),))

    def filled(self, shape: Shape) -> int:
        """A constant of ``shape`` whose elements do not matter."""
        key = ("filled", shape)
        if key not in self._constants:
            self._constants[key] = self.tensor(Tensor(f"const/{len(self.tensors)}", shape, "float32", True))
        return self._constants[key]

    def add(
        self,
        kind: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        attributes: Mapping[str, Any] | None = None,
        *,
        origins: Iterable[int] = (),
        native: str = "",
    ) -> NewNode:
        if len(self.drafts) >= MAX_OPS:
            raise LatlintError(
                f"beyond what latlint reads: more than {MAX_OPS:,} ops when it is converted", code="LAT006"
            )
        draft = NewNode(
            kind, list(inputs), list(outputs), dict(attributes or {}), list(origins), native, self.converting
        )
        self.drafts.append(draft)
        self.read_by.update(i for i in draft.inputs if i >= 0)
        for tensor in draft.outputs:
            self.written_by[tensor] = draft
        return draft

    def new(self, i: int, order: Order | None = None) -> int:
        """A new tensor for value ``i`` of the source, stored in ``order`` (its own by default)."""
        source, stored = self.source.tensors[i], self.stored_as(i)
        order = identity(self.rank(i)) if order is None or len(order) != self.rank(i) else order
        index = self.temporary(source.name, permuted(source.shape, order), stored.dtype, stored.quantization)
        self.values[i] = Value(index, order)
        return index

    def stored_as(self, i: int) -> Tensor:
        """The tensor whose type value ``i`` is stored in: the quantised one when all that reads ``i`` is its quantisation."""
        return self.source.tensors[self.quantized_as.get(i, i)]

    def is_new(self, i: int, tensor: int, order: Order | None = None) -> None:
        """Value ``i`` of the source is what ``tensor`` holds; the tensor takes its name and type."""
        stored = self.stored_as(i)
        self.tensors[tensor] = replace(
            self.tensors[tensor], name=self.source.tensors[i].name, dtype=stored.dtype, quantization=stored.quantization
        )
        self.values[i] = Value(tensor, identity(self.rank(i)) if order is None else order)

    def moved(self, tensor: int, permutation: Order, origins: Iterable[int] = ()) -> int:
        """``tensor`` with its axes permuted: by TRANSPOSE, or by RESHAPE where only axes of one element move
        (mlir/lite/transforms/optimize.cc: ConvertTrivialTransposeOpToReshapeOp)."""
        if permutation == identity(len(permutation)):
            return tensor
        source = self.tensors[tensor]
        shape = permuted(source.shape, permutation)
        if shape is not None and source.shape is not None and _is_trivial(source.shape, permutation):
            return self.reshaped(tensor, shape, origins)
        key = (tensor, permutation)
        if key not in self._moved:
            out = self.temporary(f"{source.name}/transpose", shape, source.dtype, source.quantization)
            inputs = [tensor, self.integers(permutation)]
            self.add("transpose", inputs, [out], {"permutation": permutation}, origins=origins)
            self._moved[key] = out
        return self._moved[key]

    def reshaped(self, tensor: int, shape: Shape, origins: Iterable[int] = ()) -> int:
        """``tensor`` with another shape; a RESHAPE of a RESHAPE is one (TFLite's canonical form)."""
        source = self.tensors[tensor]
        if source.shape == shape:
            return tensor
        before = self.written_by.get(tensor)
        if before is not None and before.kind == "reshape" and self.read_by[tensor] == 0:
            tensor = before.inputs[0]
            origins = joined(origins, before.origins)
            if self.tensors[tensor].shape == shape:
                return tensor
        out = self.temporary(f"{source.name}/reshape", shape, source.dtype, source.quantization)
        self.add("reshape", [tensor, self.integers(shape)], [out], {"shape": shape}, origins=origins)
        return out

    def dequantized(self, tensor: int) -> int:
        """``tensor`` in float."""
        source = self.tensors[tensor]
        if source.dtype not in ("int8", "uint8") or source.constant:
            return tensor
        key = ("dequantized", tensor)
        if key not in self._constants:
            out = self.temporary(f"{source.name}/dequantize", source.shape, "float32")
            self.add("dequantize", [tensor], [out])
            self._constants[key] = out
        return self._constants[key]

    # --- The result --------------------------------------------------------------------------------------------------------------

    def finished(self, inputs: Sequence[int], outputs: Sequence[int], notes: Iterable[str]) -> Graph:
        """The new graph, without nodes whose outputs nothing reads."""
        needed = set(outputs)
        kept: list[NewNode] = []
        for draft in reversed(self.drafts):
            if needed.intersection(draft.outputs):
                kept.append(draft)
                needed.update(draft.inputs)
        kept.reverse()
        versions: dict[str, int] = {}
        for draft in kept:
            native = draft.native or native_name(draft.kind)
            versions[native] = max(versions.get(native, 1), self._version(draft))
        nodes = tuple(self._node(index, draft, versions) for index, draft in enumerate(kept))
        return Graph(
            name=self.source.name,
            format="tflite",
            dialect="tflite",
            nodes=nodes,
            tensors=tuple(self.tensors),
            inputs=tuple(inputs),
            outputs=tuple(outputs),
            notes=tuple(notes),
            origins=tuple(tuple(dict.fromkeys(draft.origins)) for draft in kept),
        )

    def _version(self, draft: NewNode) -> int:
        operands = [self.tensors[i] if i >= 0 else None for i in draft.inputs]
        rank = len(operands[0].shape or ()) if operands and operands[0] is not None else 0
        return version(draft.kind, draft.attributes, [tensor.dtype if tensor else "" for tensor in operands], rank)

    def _node(self, index: int, draft: NewNode, versions: Mapping[str, int]) -> Node:
        """``versions``: all ops of a name have the highest version that one of them needs (op_version.cc, UpdateOpVersion)."""
        main = self.source.nodes[draft.origins[0]] if draft.origins else None
        native = draft.native or native_name(draft.kind)
        return Node(
            index=index,
            name=main.name if main else self.tensors[draft.outputs[0]].name,
            kind=draft.kind,
            native=native,
            inputs=tuple(draft.inputs),
            outputs=tuple(draft.outputs),
            attributes=MappingProxyType(draft.attributes),
            version=versions[native],
            location=main.location if main else None,
            inner=draft.within.inner if draft.within else 0,
            repeat=draft.within.repeat if draft.within else 1,
            in_round=draft.within.in_round if draft.within else 1,
        )


def _is_trivial(shape: Shape, permutation: Order) -> bool:
    """Do only axes of one element change places?"""
    long = [axis for axis in permutation if shape[axis] != 1]
    return long == sorted(long)
