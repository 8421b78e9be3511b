"""Reads tables of a FlatBuffers file where they lie, checking every offset and length against the file.

The generated Python accessors of the ``tflite`` package do the same without any check, at several Python calls a field, and
their import alone costs more than a whole read does here. The format is small: https://flatbuffers.dev/internals
(root offset, tables that point back to a vtable of 16-bit field offsets, length-prefixed vectors).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Union

from latlint.graph.source import MASK, Source
from latlint.words import printable

Unpack = Callable[[Any, int], tuple[Any, ...]]

BOOL: Unpack = struct.Struct("<?").unpack_from
INT8: Unpack = struct.Struct("<b").unpack_from
UINT8: Unpack = struct.Struct("<B").unpack_from
UINT16: Unpack = struct.Struct("<H").unpack_from
INT32: Unpack = struct.Struct("<i").unpack_from
UINT32: Unpack = struct.Struct("<I").unpack_from
UINT64: Unpack = struct.Struct("<Q").unpack_from
FLOAT32: Unpack = struct.Struct("<f").unpack_from

#: The longest string that is read. Converters join the names of fused ops, which makes some of a few kB.
MAX_STRING_BYTES = 1 << 16

#: What all strings and vectors of one file may take together. Tables may share them, so that the file's size is no bound.
MAX_STRUCTURE_BYTES = 1 << 26

#: The widest table of TFLite's schema has fewer than 30 fields; more are never asked for.
_MAX_FIELDS = 64


#: What a field of a table is: a number of so many bytes, a vector of numbers (its ``struct`` format), a string (``"s"``), a table, or a
#: vector of tables.
Field = Union[int, str, "Layout", tuple["Layout"]]


class MalformedError(Exception):
    """The file contradicts its format (``LAT001``), a bound (``LAT006``) or itself (``LAT007``)."""

    def __init__(self, message: str, code: str = "LAT001") -> None:
        super().__init__(message)
        self.code = code


class Layout:
    """The fields of a kind of table by slot, for ``Table.verify``: those that nothing reads otherwise."""

    def __init__(self, fields: dict[int, Field]) -> None:
        self.fields = fields


class Flatbuffer:
    """A FlatBuffers file. Reading outside of it raises ``MalformedError`` or ``struct.error``."""

    __slots__ = ("_checked", "_entries", "_held", "_spent", "_vtables", "block", "read", "size")

    def __init__(self, data: bytes | memoryview | Source) -> None:
        source = Source.of(data)
        self.block, self.read, self.size = source.block, source.read, source.size
        self._spent = 0
        #: What was checked already, so that what is pointed to many times takes no longer; and the entries of vectors of tables.
        self._checked: set[tuple[int, Field]] = set()
        self._entries = 0
        #: Of a vtable's fields and a layout: where the table holds something, how many bytes it takes.
        self._held: dict[tuple[tuple[int, ...], Layout], tuple[list[tuple[int, Field]], int]] = {}
        self._vtables: dict[int, tuple[int, ...]] = {}

    def root(self) -> Table:
        return self.table(self.number(UINT32, 0))

    def number(self, unpack: Unpack, position: int) -> Any:
        return unpack(self.block(position), position & MASK)[0]

    def table(self, position: int) -> Table:
        if position & 3:
            raise MalformedError("a table is out of line")
        vtable = position - self.number(INT32, position)
        fields = self._vtables.get(vtable)
        if fields is None:
            fields = self._vtables[vtable] = self._vtable(vtable)
        return Table(self, position, fields)

    def _vtable(self, position: int) -> tuple[int, ...]:
        if position < 0:
            raise MalformedError("a table points before the start of the file")
        size = self.number(UINT16, position)
        if position & 1 or size & 1 or position + size > self.size:
            raise MalformedError("the list of a table's fields is out of line")
        fields = min(max(size - 4, 0) // 2, _MAX_FIELDS)
        return struct.unpack(f"<{fields}H", self.read(position + 4, 2 * fields))

    def held(self, fields: tuple[int, ...], layout: Layout) -> tuple[list[tuple[int, Field]], int]:
        """What a table with ``fields`` holds of ``layout`` beside numbers of up to 4 bytes: offsets in it, and the bytes up to its last field."""
        found = self._held.get((fields, layout))
        if found is None:
            pointers, last = [], 0
            for slot, field in layout.fields.items():
                if slot >= len(fields) or not (offset := fields[slot]):
                    continue
                size = field if isinstance(field, int) else 4
                if offset & (min(size, 4) - 1):
                    raise MalformedError("a field of a table is out of line")
                last = max(last, offset + size)
                if field not in (1, 2, 4):
                    pointers.append((offset, field))
            found = self._held[fields, layout] = pointers, last
        return found

    def verify(self, position: int, field: Field) -> None:
        """What a table holds at ``position``, as flatbuffers' ``Verifier`` checks it; raises ``MalformedError`` or ``struct.error``."""
        if isinstance(field, int):
            if position & (field - 1):
                raise MalformedError("a number is out of line")
            return
        self._verify_at(self.target(position), field)

    def _verify_at(self, target: int, field: Field) -> None:
        if (target, field) in self._checked:
            return
        self._checked.add((target, field))
        if isinstance(field, Layout):
            self.table(target).verify(field)
        elif isinstance(field, tuple):
            count = self.number(UINT32, target)
            self._entries += count
            if 4 * self._entries > self.size:
                raise MalformedError("its vectors of tables overlap, or reach past the end of the file")
            for place in range(target + 4, target + 4 + 4 * count, 4):
                self._verify_at(place + self.number(UINT32, place), field[0])
        elif isinstance(field, str):
            end = target + 4 + self.number(UINT32, target) * struct.calcsize(f"<{field}")
            if end + (field == "s") > self.size:
                raise MalformedError("a vector reaches past the end of the file")
            if field == "s" and self.number(UINT8, end):
                raise MalformedError("a name has no end")

    def target(self, position: int) -> int:
        """Where the offset at ``position`` points to."""
        offset = int(UINT32(self.block(position), position & MASK)[0])
        if not offset or (position | offset) & 3:
            raise MalformedError("an offset is out of line")
        return position + offset

    def spend(self, size: int) -> None:
        """Count ``size`` bytes that are about to be decoded towards the file's bound."""
        self._spent += size
        if self._spent > MAX_STRUCTURE_BYTES:
            raise MalformedError(f"its names and vectors take more than {MAX_STRUCTURE_BYTES >> 20} MB", "LAT006")

    def unpack(self, count: int, code: str, position: int) -> tuple[Any, ...]:
        """``count`` values of ``struct`` format ``code`` at ``position``; the file's end is checked before any is made."""
        if position + count > self.size:  # at the least: no item is smaller than a byte
            raise MalformedError("a vector reaches past the end of the file")
        # As Python objects they take up to 32 bytes each, whatever they take in the file.
        self.spend(8 * count)
        layout = f"<{count}{code}"
        return struct.unpack(layout, self.read(position, struct.calcsize(layout)))


class Table:
    """One table: fields are asked for by their slot, the position (from 0) at which the schema declares them."""

    __slots__ = ("_fields", "file", "position")

    def __init__(self, file: Flatbuffer, position: int, fields: tuple[int, ...]) -> None:
        self.file = file
        self.position = position
        self._fields = fields

    def inline_bytes(self) -> int:
        """Bytes that the table itself takes at ``position``, without what it points to."""
        vtable = self.position - self.file.number(INT32, self.position)
        return int(self.file.number(UINT16, vtable + 2))

    def number(self, slot: int, unpack: Unpack, default: Any = 0) -> Any:
        """The scalar in ``slot``, or the schema's default."""
        fields = self._fields
        if slot < len(fields) and fields[slot]:
            position = self.position + fields[slot]
            return unpack(self.file.block(position), position & MASK)[0]
        return default

    def follow(self, slot: int) -> int:
        """Where the offset in ``slot`` points to, or 0 when the field is absent."""
        fields = self._fields
        if slot < len(fields) and fields[slot]:
            return self.file.target(self.position + fields[slot])
        return 0

    def verify(self, layout: Layout) -> None:
        """Checks what the table holds of ``layout``, and all that this points to; raises ``MalformedError`` or ``struct.error``."""
        file = self.file
        pointers, last = file.held(self._fields, layout)
        if self.position + last > file.size:
            raise MalformedError("a table reaches past the end of the file")
        for offset, field in pointers:
            file.verify(self.position + offset, field)

    def child(self, slot: int) -> Table | None:
        position = self.follow(slot)
        return self.file.table(position) if position else None

    def vector(self, slot: int, code: str) -> tuple[Any, ...]:
        """The vector of scalars in ``slot`` (``code`` as in ``struct``); empty when absent."""
        position = self.follow(slot)
        if not position:
            return ()
        return self.file.unpack(self.file.number(UINT32, position), code, position + 4)

    def extent(self, slot: int) -> tuple[int, int]:
        """``(offset, length)`` of the byte vector in ``slot``, which is not read; ``(0, 0)`` when absent."""
        position = self.follow(slot)
        if not position:
            return 0, 0
        length = self.file.number(UINT32, position)
        if position + 4 + length > self.file.size:
            raise MalformedError("a value reaches past the end of the file")
        return position + 4, length

    def tables(self, slot: int, limit: int, what: str) -> list[int]:
        """Positions of the tables that the vector in ``slot`` points to: at most ``limit`` of them."""
        position = self.follow(slot)
        if not position:
            return []
        count = self.file.number(UINT32, position)
        if 4 * count > self.file.size:
            raise MalformedError(f"it claims {count:,} {what}, more than it has room for")
        if count > limit:
            raise MalformedError(f"it has {count:,} {what}; at most {limit:,} are read", "LAT006")
        first = position + 4
        return [
            place + offset
            for place, offset in zip(
                range(first, first + 4 * count, 4), self.file.unpack(count, "I", first), strict=True
            )
        ]

    def string(self, slot: int) -> str:
        """The string in ``slot``; what is not UTF-8 or not printable is escaped, so that no name can upset a terminal."""
        position = self.follow(slot)
        if not position:
            return ""
        length = self.file.number(UINT32, position)
        if position + 4 + length > self.file.size:
            raise MalformedError("a name reaches past the end of the file")
        if length > MAX_STRING_BYTES:
            raise MalformedError(f"a name is {length:,} bytes long; at most {MAX_STRING_BYTES:,} are read", "LAT006")
        raw, end = self.file.read(position + 4, length), self.file.read(position + 4 + length, 1)
        if end != b"\0":
            raise MalformedError("a name has no end")
        text = printable(raw.decode("utf-8", "surrogateescape"))
        self.file.spend(len(text))
        return text
