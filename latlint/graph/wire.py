"""A protobuf wire scan of an ONNX file: everything but the weights, and where the weights lie.

Protobuf's own parsers read a message whole, so a 1.5 GB model costs 1.5 GB and more. An ONNX file is nested length-delimited
records; a scan can step over a payload by its length and never touch its pages. ``lean_model`` copies a ModelProto without the
payloads that are too long to steer a graph, and notes the byte ranges of nodes and initializers.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto; the encoding: https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from latlint.errors import LatlintError
from latlint.graph.source import MASK, Source
from latlint.graph.types import ByteRange
from latlint.records import NamedTuple

Buffer = bytes | memoryview | Source

#: A payload up to here is kept: 1024 int64 values, which is more than any shape, axis list or per-channel scale that steers a graph.
SMALL_BYTES = 8192
#: Protobuf's parsers stop at 100 nested messages; a graph in an attribute of a node of a graph takes three of them.
MAX_DEPTH = 48
MAX_FIELDS = 1_000_000
MAX_LEAN_BYTES = 256 * 2**20

VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5

#: Which fields of a message hold messages that can hold weights: message -> field number -> message.
_CHILDREN: dict[str, dict[int, str]] = {
    "ModelProto": {7: "GraphProto", 25: "FunctionProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto", 6: "GraphProto", 10: "TensorProto", 11: "GraphProto", 22: "SparseTensorProto", 23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
}  # fmt: skip

#: Fields that say nothing about latency and can be long: documentation, metadata, training graphs.
_DROPPED: dict[str, frozenset[int]] = {
    "ModelProto": frozenset({6, 14, 20, 26}),
    "GraphProto": frozenset({10, 16}),
    "FunctionProto": frozenset({8, 14}),
    "NodeProto": frozenset({6, 9}),
    "AttributeProto": frozenset({13}),
    "TensorProto": frozenset({12, 16}),
}

#: Fields that hold a value and are dropped when they are long: a tensor's data; an attribute's bytes, numbers and strings.
_PAYLOAD: dict[str, frozenset[int]] = {
    "TensorProto": frozenset({4, 5, 6, 7, 9, 10, 11}),
    "AttributeProto": frozenset({4, 7, 8, 9}),
}

_TENSOR_NAME, _TENSOR_RAW_DATA = 8, 9

#: A message of two bytes takes some hundred when protobuf has parsed it. Up to here that is bearable whatever there is; above it, messages
#: are counted first.
COUNTED_BYTES = 2**20
#: How many messages of a kind a model has at most: far more than ``MAX_NODES`` nodes of the reader need.
MAX_MESSAGES = {
    "NodeProto": 100_000, "AttributeProto": 600_000, "TensorProto": 200_000, "GraphProto": 20_000, "FunctionProto": 20_000,
    "ValueInfoProto": 150_000, "TypeProto": 200_000, "Dimension": 1_000_000,
}  # fmt: skip
_MAX_OTHERS = 200_000

#: Which fields of a message hold messages at all: what ``_CHILDREN`` says, and types.
_MESSAGES: dict[str, dict[int, str]] = {
    "ModelProto": {7: "GraphProto", 8: "OperatorSetIdProto", 25: "FunctionProto"},
    "GraphProto": {
        1: "NodeProto", 5: "TensorProto", 11: "ValueInfoProto", 12: "ValueInfoProto", 13: "ValueInfoProto", 14: "TensorAnnotation",
        15: "SparseTensorProto",
    },
    "FunctionProto": {7: "NodeProto", 9: "OperatorSetIdProto", 11: "AttributeProto", 12: "ValueInfoProto"},
    "AttributeProto": {**_CHILDREN["AttributeProto"], 14: "TypeProto", 15: "TypeProto"},
    "NodeProto": _CHILDREN["NodeProto"],
    "SparseTensorProto": _CHILDREN["SparseTensorProto"],
    "TensorProto": {3: "Segment", 13: "StringStringEntryProto"},
    "ValueInfoProto": {2: "TypeProto", 4: "StringStringEntryProto"},
    "TensorAnnotation": {2: "StringStringEntryProto"},
    "TypeProto": {1: "Tensor", 4: "Sequence", 5: "Map", 8: "Tensor", 9: "Sequence"},
    "Tensor": {2: "TensorShapeProto"},
    "Sequence": {1: "TypeProto"},
    "Map": {2: "TypeProto"},
    "TensorShapeProto": {1: "Dimension"},
}  # fmt: skip


class Payload(NamedTuple):
    """A main-graph initializer's value in the file; ``raw`` when it is one ``raw_data`` field, byte for byte the tensor."""

    range: ByteRange
    raw: bool


@dataclass(slots=True)
class Lean:
    """A serialised ModelProto without its weights, and where things lie in the file.

    ``nodes`` are the main graph's, in file order; ``payloads`` maps an initializer's name to its value.
    """

    model: bytes = b""
    nodes: list[ByteRange] = field(default_factory=list)
    payloads: dict[str, Payload] = field(default_factory=dict)


class Field(NamedTuple):
    """One field: its number, wire type, where it starts (at its tag), and where its content starts and ends."""

    number: int
    wire_type: int
    start: int
    begin: int
    end: int


def lean_model(data: Buffer, path: str) -> Lean:
    """Scan the serialised ModelProto ``data``; raises LatlintError LAT001 (damaged) or LAT006 (beyond a bound)."""
    return _Scan(data, path).run()


class _Scan:
    def __init__(self, data: Buffer, path: str) -> None:
        self.source = Source.of(data)
        self.path = path
        self.lean = Lean()
        self.fields_left = MAX_FIELDS
        self.bytes_left = MAX_LEAN_BYTES

    def run(self) -> Lean:
        self.lean.model = b"".join(self._message("ModelProto", 0, self.source.size, 0, main=True))
        if len(self.lean.model) > COUNTED_BYTES:
            self._count_messages(self.lean.model)
        return self.lean

    def _count_messages(self, model: bytes) -> None:
        """Refuses a model of more messages than any has, before protobuf makes an object of each."""
        counts: dict[str, int] = {}
        waiting = [("ModelProto", 0, len(model))]
        while waiting:
            kind, at, end = waiting.pop()
            children = _MESSAGES.get(kind)
            if not children:
                continue
            while at < end:
                tag = model[at]
                at += 1
                if tag > 0x7F:
                    tag, at = self._number(model, at - 1, end)
                if tag & 7 == DELIMITED:
                    length, at = (model[at], at + 1) if at < end and model[at] < 0x80 else self._number(model, at, end)
                    if child := children.get(tag >> 3):
                        waiting.append((child, at, min(at + length, end)))
                        counts[child] = count = counts.get(child, 0) + 1
                        if count > (most := MAX_MESSAGES.get(child, _MAX_OTHERS)):
                            raise self.beyond(f"more than {most:,} messages of the kind {child}")
                    at += length
                elif tag & 7 == VARINT:
                    _, at = self._number(model, at, end)
                elif tag & 7 in (FIXED32, FIXED64):
                    at += 4 if tag & 7 == FIXED32 else 8
                else:
                    raise self.damaged(f"a {kind} has a field of wire type {tag & 7}, which ONNX does not use")

    def _number(self, data: bytes, at: int, end: int) -> tuple[int, int]:
        value = 0
        for count, byte in enumerate(data[at : min(at + 10, end)]):
            value |= (byte & 0x7F) << 7 * count
            if byte < 0x80:
                return value, at + count + 1
        raise self.damaged("a number in it does not end")

    def damaged(self, what: str) -> LatlintError:
        return LatlintError(
            f"not a readable ONNX file: {what}; the file is damaged, truncated or of another format",
            code="LAT001",
            path=self.path,
        )

    def beyond(self, what: str) -> LatlintError:
        return LatlintError(f"beyond what latlint reads: {what}", code="LAT006", path=self.path)

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        """The varint at ``at`` and the offset after it."""
        value = shift = 0
        for byte in self.source.block(at)[at & MASK :][: min(end - at, 10)]:
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, at
            shift += 7
        raise self.damaged(f"no number ends at byte {at}")

    def _fields(self, at: int, end: int) -> Iterator[Field]:
        """The fields of the message in ``[at, end)``, in file order."""
        while at < end:
            self.fields_left -= 1
            if self.fields_left < 0:
                raise self.beyond(f"more than {MAX_FIELDS:,} fields")
            start = at
            tag, at = self._varint(at, end)
            number, wire_type = tag >> 3, tag & 7
            begin = at
            if wire_type == DELIMITED:
                length, begin = self._varint(at, end)
                at = begin + length
            elif wire_type == VARINT:
                _, at = self._varint(at, end)
            elif wire_type == FIXED32:
                at += 4
            elif wire_type == FIXED64:
                at += 8
            else:
                raise self.damaged(f"byte {start} starts a field of wire type {wire_type}, which ONNX does not use")
            if number == 0:
                raise self.damaged(f"byte {start} starts a field numbered 0")
            if at > end:
                raise self.damaged(f"the field at byte {start} needs {at - end:,} bytes more than there are")
            yield Field(number, wire_type, start, begin, at)

    def _message(self, kind: str, at: int, end: int, depth: int, *, main: bool = False) -> list[bytes]:
        """The message in ``[at, end)`` without long payloads, as pieces; ``main`` for the model and its own graph."""
        if depth > MAX_DEPTH:
            raise self.beyond(f"messages nested more than {MAX_DEPTH} deep")
        if kind == "TensorProto":
            return self._tensor(at, end)
        children, dropped = _CHILDREN.get(kind, {}), _DROPPED.get(kind, frozenset())
        payload = _PAYLOAD.get(kind, frozenset())
        pieces: list[bytes] = []
        for item in self._fields(at, end):
            child = children.get(item.number) if item.wire_type == DELIMITED else None
            length = item.end - item.begin
            if item.number in dropped or (item.number in payload and length > SMALL_BYTES):
                continue
            if main and child == "NodeProto":
                if len(self.lean.nodes) >= MAX_MESSAGES[child]:
                    raise self.beyond(f"more than {MAX_MESSAGES[child]:,} nodes")
                self.lean.nodes.append(ByteRange(item.begin, length))
            if child == "TensorProto" and kind == "GraphProto" and main:
                pieces += self._wrap(item, self._tensor(item.begin, item.end, initializer=True))
            elif child is not None and length > SMALL_BYTES:
                inner = self._message(child, item.begin, item.end, depth + 1, main=main and child == "GraphProto")
                pieces += self._wrap(item, inner)
            elif child == "GraphProto" and main:
                pieces += self._wrap(item, self._message(child, item.begin, item.end, depth + 1, main=True))
            else:
                pieces.append(self._copy(item.start, item.end))
        return pieces

    def _tensor(self, at: int, end: int, *, initializer: bool = False) -> list[bytes]:
        """A TensorProto, without its data when that is long."""
        kept: list[bytes] = []
        data: list[Field] = []
        name = b""
        for item in self._fields(at, end):
            if item.number in _PAYLOAD["TensorProto"]:
                data.append(item)
            elif item.number not in _DROPPED["TensorProto"]:
                kept.append(self._copy(item.start, item.end))
                if item.number == _TENSOR_NAME and item.wire_type == DELIMITED:
                    name = self.source.read(item.begin, item.end - item.begin)
        if data and initializer:
            where = ByteRange(data[0].begin, data[-1].end - data[0].begin)
            raw = len(data) == 1 and data[0].number == _TENSOR_RAW_DATA
            self.lean.payloads[name.decode("utf-8", "replace")] = Payload(where, raw)
        if sum(item.end - item.begin for item in data) <= SMALL_BYTES:
            kept += [self._copy(item.start, item.end) for item in data]
        return kept

    def _copy(self, start: int, end: int) -> bytes:
        self.bytes_left -= end - start
        if self.bytes_left < 0:
            raise self.beyond(f"more than {MAX_LEAN_BYTES // 2**20} MB of graph without counting weights")
        return self.source.read(start, end - start)

    def _wrap(self, item: Field, pieces: list[bytes]) -> list[bytes]:
        """``pieces`` as the content of a field with ``item``'s number."""
        length = sum(map(len, pieces))
        return [_encode_varint(item.number << 3 | DELIMITED), _encode_varint(length), *pieces]


def _encode_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
