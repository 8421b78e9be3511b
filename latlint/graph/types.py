"""``Graph``: what a model file says, free of the format it was written in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, prod
from types import MappingProxyType
from typing import Any

from latlint.graph.ops import UNKNOWN
from latlint.graph.trips import MAX_TRIPS
from latlint.records import NamedTuple, Record

_RECURRENT = frozenset({"lstm", "gru", "rnn"})

#: Bytes one element takes; anything else (strings, resources) counts as nothing moved.
ITEM_BYTES: Mapping[str, float] = MappingProxyType(
    {
        "float64": 8, "int64": 8, "uint64": 8, "complex64": 8, "complex128": 16,
        "float32": 4, "int32": 4, "uint32": 4,
        "float16": 2, "bfloat16": 2, "int16": 2, "uint16": 2,
        "int8": 1, "uint8": 1, "bool": 1, "float8": 1,
        "int4": 0.5, "uint4": 0.5, "float4": 0.5, "int2": 0.25, "uint2": 0.25,
    }
)  # fmt: skip

#: Kinds that do the work of most models.
_WORK = frozenset(
    {"conv1d", "conv2d", "conv3d", "depthwise_conv2d", "transpose_conv2d", "fully_connected", "batch_matmul"}
)

#: What files call a dimension that is the batch, or that is first and is not.
_LENGTH = r"(?i)^(?!.*batch).*(^t$|seq|time|len|frame|token|step|height|width)"

NO_ATTRIBUTES: Mapping[str, Any] = MappingProxyType({})


class Quantization(NamedTuple):
    """Affine quantisation: ``real = scale * (q - zero_point)``, one pair or one per slice along ``axis``."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0


class ByteRange(NamedTuple):
    """Where something lies in the file: ``offset`` and ``length`` in bytes."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Tensor(Record):
    """A value of the graph.

    ``shape`` is ``None`` when even the rank is not known; a dimension that is not known is -1.
    ``value`` holds the elements (flat, in file order) of small constants that steer the graph: shapes, axes, paddings,
    scalars, short vectors. Weights never have one; ``constant`` tells that the file holds the value.
    ``data`` is where the value lies in the file, when it is in the file.
    """

    name: str
    shape: tuple[int, ...] | None
    dtype: str
    constant: bool = False
    value: tuple[Any, ...] | None = None
    quantization: Quantization | None = None
    data: ByteRange | None = None

    @property
    def elements(self) -> int | None:
        """How many elements, or ``None`` where the shape is not fully known."""
        shape = self.shape
        return None if shape is None or (shape and min(shape) < 0) else prod(shape)

    @property
    def size_bytes(self) -> int | None:
        """Bytes of the dense value, or ``None`` where the shape is not fully known."""
        elements = self.elements
        return None if elements is None else int(elements * ITEM_BYTES.get(self.dtype, 0))


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Node(Record):
    """One op. ``inputs`` and ``outputs`` index ``Graph.tensors``; an input that is left out is -1.

    ``kind`` is from ``graph.ops``; ``native`` is the format's own name (``CONV_2D``, ``com.acme::Thing``), ``version`` the op's
    version in that format (TFLite's operator version, ONNX's opset). ``native_inputs`` and ``native_attributes`` are there for
    a runtime that takes the format as it is: all inputs in the format's order, the steering ones among them, and the numbers,
    texts and lists among the attributes, ``None`` for what else there is. Empty where the reader does not keep them.

    ``inner``: it stands in a body of control flow (a loop, a branch, a call), which a runtime keeps as a graph of its own: the body's number, and 0
    in the main graph. In a TFLite file all bodies are 1, for nothing tells them apart.
    ``repeat`` is how often one run of the model runs it, ``None`` where that depends on the data; ``in_round`` the same without the loops around it whose
    rounds the data decide: of one round of each. ``left_over`` names attributes that an ONNX op of this version has not.
    """

    index: int
    name: str
    kind: str
    native: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    attributes: Mapping[str, Any] = field(default_factory=lambda: NO_ATTRIBUTES)
    version: int = 1
    location: ByteRange | None = None
    native_inputs: tuple[int, ...] = ()
    native_attributes: Mapping[str, Any] = field(default_factory=lambda: NO_ATTRIBUTES)
    inner: int = 0
    repeat: int | None = 1
    in_round: int = 1
    left_over: tuple[str, ...] = ()


class OpenSize(NamedTuple):
    """A dimension of an input that the file leaves open and nobody stated: the tensor's index, the axis, and the name that the
    file gives the size (ONNX's ``dim_param``), if any."""

    tensor: int
    axis: int
    name: str = ""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Graph(Record):
    """A model's graph: nodes in file order, which is an execution order.

    Bodies of control flow are part of it. A loop's are the nodes before its own, ``inner`` and with the loop's count as ``repeat``;
    they begin with tensors that nothing writes (what one round hands to the next). Of branches the heavier one is there. The
    node of the loop, branch or call comes last, reads what its body wrote, and has the attribute ``followed``; a loop's runs once a round.

    ``format`` is the file's (``graph.formats``), ``dialect`` whose semantics the ops have, which runtimes go by: ``tflite`` (4-D
    activations are NHWC) or ``onnx`` (NCHW). ``notes`` are things a reader
    must tell the user (a symbolic dimension that was taken as 1, a subgraph that was not followed). ``origins`` is for a graph
    that was made from another one: for each node, the indices of the nodes it stands for there, the main one first; empty
    where the conversion added the node. ``open_sizes`` are the dimensions of inputs that nobody stated and the graph has at what
    was taken instead: ``assumed``. ``dynamic`` are the tensors that TensorFlow Lite 2.10 sizes only when it runs the model
    (``kTfLiteDynamic``): what a delegate for static sizes cannot take. ``dynamic_in_litert`` are those of LiteRT 2.3, which computes
    some shape arithmetic earlier. ``elsewhere`` are the built-in ops of a TFLite file that no node is of, with their versions: of branches
    and subgraphs that are not followed; and the unknown ops of branches that a constant switches off. A runtime looks them up all the same. ``as_if`` is the precision that a float graph is planned in
    as if converted to it (``runtime.as_if``); empty: its own. ``imports`` are the versions that an ONNX file says it is written in: ``IR``,
    and the opset of each domain. ``left_open`` is there where the file leaves sizes open, stated or not: it gives the tensors by name as they
    are known before any size is, for a runtime that does not know more when it plans.
    """

    name: str
    format: str
    dialect: str
    nodes: tuple[Node, ...]
    tensors: tuple[Tensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    notes: tuple[str, ...] = ()
    origins: tuple[tuple[int, ...], ...] = ()
    open_sizes: tuple[OpenSize, ...] = ()
    dynamic: frozenset[int] = frozenset()
    dynamic_in_litert: frozenset[int] = frozenset()
    as_if: str = ""
    imports: tuple[tuple[str, int], ...] = ()
    elsewhere: tuple[tuple[str, int], ...] = ()
    left_open: Callable[[], Mapping[str, Tensor]] | None = field(default=None, compare=False, repr=False)

    @property
    def assumed(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the inputs with dimensions that nobody stated, by name, as the file has them: -1 where open."""
        found: dict[str, tuple[int, ...]] = {}
        opened = {(size.tensor, size.axis) for size in self.open_sizes}
        for index in dict.fromkeys(size.tensor for size in self.open_sizes):
            shape = self.tensors[index].shape or ()
            dims = tuple(-1 if (index, axis) in opened else dim for axis, dim in enumerate(shape))
            found.setdefault(self.tensors[index].name, dims)
        return found

    @property
    def unstated(self) -> dict[str, tuple[int, ...]]:
        """The inputs of ``assumed`` with an open dimension other than the batch.

        The batch is the first of several dimensions, unless the file names it after something else (``sequence``) or a recurrent op of
        ONNX steps along it. The only dimension of an input, as of a waveform, is a batch where the file names it so, or where that of
        another input is.
        """
        if not self.open_sizes:
            return {}
        steps = self._stepped_along()
        first = [
            size
            for size in self.open_sizes
            if size.axis == 0 and size.tensor not in steps and not re.search(_LENGTH, size.name)
        ]
        batches = {size.name for size in first if len(self.tensors[size.tensor].shape or ()) > 1}
        batches |= {size.name for size in first if "batch" in size.name.lower()}
        found = (size.tensor for size in self.open_sizes if size not in first or size.name not in batches)
        assumed = self.assumed
        return {name: assumed[name] for name in dict.fromkeys(self.tensors[index].name for index in found)}

    def _stepped_along(self) -> set[int]:
        """The tensors of which an op takes one step after the other along their first dimension."""
        found: set[int] = set()
        for node in self.nodes if self.dialect == "onnx" else ():
            if node.native == "Scan":
                found.update(node.inputs)
            elif node.kind in _RECURRENT and not node.native_attributes.get("layout", 0):
                found.update(node.inputs[:1])
        return found

    def consumers(self) -> dict[int, list[tuple[int, int]]]:
        """Tensor index -> ``(node index, input slot)`` of every use, in file order."""
        uses: dict[int, list[tuple[int, int]]] = {}
        for node in self.nodes:
            for slot, tensor in enumerate(node.inputs):
                if tensor >= 0:
                    uses.setdefault(tensor, []).append((node.index, slot))
        return uses

    def producers(self) -> dict[int, int]:
        """Tensor index -> index of the node that writes it."""
        return {tensor: node.index for node in self.nodes for tensor in node.outputs}

    @property
    def precision(self) -> str:
        """``int8`` when convolutions and matrix products run on quantised activations, else ``float32`` or ``float16``.

        Decided by the activations of the ops that do the work, not by the graph's inputs: a full-integer model often
        keeps float inputs and outputs behind a QUANTIZE. An ONNX file is quantised in three ways, which count alike: ops on integers
        (QLinearConv, MatMulInteger), ops that quantise within (DynamicQuantizeMatMul), and float ops between DequantizeLinear and
        QuantizeLinear, which are how ONNX writes an integer op. TensorFlow Lite computes in float behind a DEQUANTIZE.
        """
        quantised = self.dialect == "onnx"
        unpacked = self._other_side("dequantize") if quantised else {}
        votes: dict[str, int] = {}
        for node in self.nodes:
            if node.kind in _WORK and node.inputs and node.inputs[0] >= 0:
                dtype = unpacked.get(node.inputs[0]) or self.tensors[node.inputs[0]].dtype
                weights = self.tensors[node.inputs[1]].dtype if node.inputs[1:] and node.inputs[1] >= 0 else dtype
                if quantised and weights in ("int8", "uint8"):
                    dtype = weights
                votes[dtype] = votes.get(dtype, 0) + 1
        votes.pop("unknown", None)
        if not votes:
            packed = self._other_side("quantize") if quantised else {}
            given = [packed.get(index) or self.tensors[index].dtype for index in self.inputs]
            votes = {dtype: 1 for dtype in given if dtype != "unknown"} or {"float32": 1}
        winner = max(sorted(votes), key=lambda dtype: votes[dtype])
        return {"uint8": "int8", "uint16": "int16"}.get(winner, winner)

    def _other_side(self, kind: str) -> dict[int, str]:
        """The types in which float values are kept: of what nodes that ``dequantize`` read, or of what those that ``quantize`` write."""
        found = {}
        for node in self.nodes:
            if node.kind == kind and node.inputs and node.inputs[0] >= 0 and node.outputs:
                sides = node.inputs[0], node.outputs[0]
                number, real = sides if kind == "dequantize" else sides[::-1]
                found[real] = self.tensors[number].dtype
        return found


def times(repeat: int | None, trips: int | None) -> int | None:
    """How often a node runs in a loop of ``trips`` rounds, of which one runs it ``repeat`` times; ``None`` of more than 64 bits count: loops within
    loops, which would come to more than floats hold."""
    made = None if repeat is None or trips is None else repeat * trips
    return None if made is None or made > MAX_TRIPS else made


def times_known(repeat: int, trips: int | None) -> int:
    """The same of one round of the loop where nobody knows how many there are, or they are too many."""
    made = times(repeat, trips)
    return repeat if made is None else made


def agreed(one: tuple[int, ...] | None, other: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """The shape of what has now one and now the other: open where they differ, ``None`` where the ranks do."""
    if one is None or other is None or len(one) != len(other):
        return None
    return tuple(a if a == b else -1 for a, b in zip(one, other, strict=True))


def as_left_open(graph: Graph) -> tuple[list[Tensor], dict[int, tuple[int, ...] | None]]:
    """The tensors as they are known before any open size is; and of those that then are known less of, the shapes at the sizes that are taken."""
    tensors = list(graph.tensors)
    if graph.left_open is None:
        return tensors, {}
    known, sizes = graph.left_open(), {}
    for index, tensor in enumerate(tensors):
        before = known.get(tensor.name)
        if before is None or tensor.constant or (before.shape == tensor.shape and before.value == tensor.value):
            continue
        if _fits(before.shape, tensor.shape):
            dtype = before.dtype if tensor.dtype == "unknown" else tensor.dtype
            tensors[index] = replace(tensor, shape=before.shape, value=before.value, dtype=dtype)
            sizes[index] = tensor.shape
    return tensors, sizes


def _fits(opened: tuple[int, ...] | None, shape: tuple[int, ...] | None) -> bool:
    """Whether a shape is one that the open one can be: an edit may have made another of it. Of sizes that cannot be, as a side of one pixel,
    nothing follows."""
    if opened is None or shape is None:
        return True
    return len(opened) == len(shape) and all(a in (-1, b) for a, b in zip(opened, shape, strict=True))


def work(node: Node, tensors: Sequence[Tensor]) -> float:
    """A rough count of what a node computes, to tell the heavier of two branches: elements written, times the weights that each takes;
    infinite where nobody knows."""
    if node.kind == UNKNOWN or node.repeat is None or any(tensors[i].elements is None for i in node.outputs if i >= 0):
        return inf
    written = sum(tensors[index].elements or 0 for index in node.outputs[:1] if index >= 0)
    depth = 1
    if node.kind in _WORK and len(node.inputs) > 1 and node.inputs[1] >= 0:
        weights = tensors[node.inputs[1]]
        depth = max((weights.elements or 0) // max((*(weights.shape or ()), 1)), 1)
    return written * depth * node.repeat
