"""A TFLite file as a tree that can be edited and written again, and edits that an attacker would think of.

The tree keeps what latlint's reader looks at and drops the rest. Written files are small and sound unless an edit says otherwise:
``broken`` bends offsets, lengths and vtables of a file that is written already, so that tables overlap or contain themselves.
"""

from __future__ import annotations

import random
import struct
from typing import Any

from latlint.graph.tflite_ops import BUILTIN_NAMES

#: Table -> slot -> what it holds: a ``struct`` code, ``*`` and a code for a vector of them, ``s`` for a string, a table's name, or
#: a list of one for a vector of tables. Options are taken as 32-bit words, which the layout of every options table allows.
SCHEMA: dict[str, dict[int, Any]] = {
    "Model": {0: "I", 1: ["Code"], 2: ["SubGraph"], 3: "s", 4: ["Buffer"]},
    "SubGraph": {0: ["Tensor"], 1: "*i", 2: "*i", 3: ["Operator"], 4: "s"},
    "Tensor": {0: "*i", 1: "b", 2: "I", 3: "s", 4: "Quantization", 5: "?", 6: "Sparsity", 7: "*i", 8: "?"},
    "Quantization": {2: "*f", 3: "*q", 6: "i"},
    "Sparsity": {0: "*i"},
    "Operator": {0: "I", 1: "*i", 2: "*i", 3: "B", 4: "Options", 5: "*B"},
    "Options": {0: "I", **dict.fromkeys(range(1, 12), "I")},
    "Code": {0: "b", 1: "s", 2: "i", 3: "i"},
    "Buffer": {0: "*B", 1: "Q", 2: "Q"},
}

NUMBERS = (
    0,
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    16,
    127,
    128,
    255,
    1000,
    65535,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
    -1,
    -2,
    -128,
    -(2**31),
)
LONG_NUMBERS = (*NUMBERS, 2**32, 2**62, 2**63 - 1, -(2**63))
FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 6.0, 1e-45, 3.4e38, float("inf"), float("-inf"), float("nan"))
STRINGS = (b"", b"a", b"\xff\xfe", b"a\nb\x1b[31m", b"\xe2\x80\xae", b"TFLite_Detection_PostProcess", b"Convolution2DTransposeBias",
           b"MaxPoolingWithArgmax2D", b"FlexErf", b"n" * 300)  # fmt: skip

Tree = dict[Any, Any]

_SIZES = {code: struct.calcsize(f"<{code}") for code in "bB?iIqQfd"}
_RANGES = {"b": (-128, 127), "B": (0, 255), "?": (0, 1), "i": (-(2**31), 2**31 - 1), "I": (0, 2**32 - 1),
           "q": (-(2**63), 2**63 - 1), "Q": (0, 2**64 - 1)}  # fmt: skip

#: The slots of a table in the order in which they are written.
_WIDEST_FIRST = {
    kind: sorted(slots, key=lambda slot: -(_SIZES.get(slots[slot], 4) if isinstance(slots[slot], str) else 4))
    for kind, slots in SCHEMA.items()
}


def parse(data: bytes, most: int = 2048) -> Tree:
    """The tree of a file, at most ``most`` items of a vector; raises ``struct.error`` or ``ValueError`` for one that is too broken."""
    return _table(data, struct.unpack_from("<I", data)[0], "Model", 0, most)


def _table(data: bytes, at: int, kind: str, depth: int, most: int) -> Tree:
    if depth > 8:
        raise ValueError("nested too deeply")
    vtable = at - struct.unpack_from("<i", data, at)[0]
    if vtable < 0:
        raise ValueError("before the start")
    fields = max(struct.unpack_from("<H", data, vtable)[0] - 4, 0) // 2
    tree: Tree = {"kind": kind}
    for slot, what in SCHEMA[kind].items():
        offset = struct.unpack_from("<H", data, vtable + 4 + 2 * slot)[0] if slot < fields else 0
        if not offset:
            continue
        place = at + offset
        if isinstance(what, str) and what in _SIZES:
            held = data[place : place + _SIZES[what]]
            if kind == "Options" and held:  # the last option of a table, a single byte, may be the last of the file
                held = held.ljust(_SIZES[what], b"\0")
            tree[slot] = struct.unpack(f"<{what}", held)[0]
            continue
        place += struct.unpack_from("<I", data, place)[0]
        if not isinstance(what, list) and what in SCHEMA:
            tree[slot] = _table(data, place, what, depth + 1, most)
            continue
        count = min(struct.unpack_from("<I", data, place)[0], most)
        if what == "s":
            tree[slot] = data[place + 4 : place + 4 + count]
        elif isinstance(what, list):
            spots = range(place + 4, place + 4 + 4 * count, 4)
            tree[slot] = [
                _table(data, p + struct.unpack_from("<I", data, p)[0], what[0], depth + 1, most) for p in spots
            ]
        else:
            tree[slot] = list(struct.unpack_from(f"<{count}{what[1]}", data, place + 4))
    return tree


def write(tree: Tree) -> bytes:
    """The file of a tree."""
    return _Writer().file(tree)


class _Writer:
    """Writes a table, then what it points to: offsets only ever point forward. ``spots`` are where offsets, lengths and vtable
    entries stand."""

    def __init__(self) -> None:
        self.out = bytearray(b"\0\0\0\0TFL3")
        self.spots: list[tuple[int, str]] = [(0, "I")]

    def file(self, tree: Tree) -> bytes:
        struct.pack_into("<I", self.out, 0, self._table(tree))
        return bytes(self.out)

    def _align(self, size: int = 4) -> None:
        self.out.extend(b"\0" * (-len(self.out) % size))

    def _table(self, tree: Tree) -> int:
        schema = SCHEMA[tree["kind"]]
        slots = [slot for slot in schema if slot in tree]
        offsets = [0] * (slots[-1] + 1 if slots else 0)
        inline = bytearray(4)
        for slot in _WIDEST_FIRST[tree["kind"]]:
            if slot not in tree:
                continue
            offsets[slot] = len(inline)
            what = schema[slot]
            if isinstance(what, str) and what in _SIZES:
                inline += struct.pack(f"<{what}", fitted(tree[slot], what))
            else:
                inline += bytes(4)
        self._align(2)
        vtable = len(self.out)
        self.out += struct.pack(f"<HH{len(offsets)}H", 4 + 2 * len(offsets), len(inline), *offsets)
        self.spots += [(vtable + 2 * i, "H") for i in range(2 + len(offsets))]
        self._align()
        at = len(self.out)
        struct.pack_into("<i", inline, 0, at - vtable)
        self.spots.append((at, "i"))
        self.out += inline
        for slot in slots:
            if not (isinstance(schema[slot], str) and schema[slot] in _SIZES):
                self._point(at + offsets[slot], self._child(tree[slot], schema[slot]))
        return at

    def _point(self, spot: int, target: int) -> None:
        struct.pack_into("<I", self.out, spot, target - spot)
        self.spots.append((spot, "I"))

    def _child(self, value: Any, what: Any) -> int:
        if isinstance(value, dict):
            return self._table(value)
        self._align()
        at = len(self.out)
        self.spots.append((at, "I"))
        self.out += struct.pack("<I", len(value))
        if what == "s":
            self.out += bytes(value) + b"\0"
        elif isinstance(what, list):
            self.out += bytes(4 * len(value))
            for index, item in enumerate(value):
                self._point(at + 4 + 4 * index, self._table(item))
        else:
            layout = f"<{len(value)}{what[1]}"
            try:
                self.out += struct.pack(layout, *value)
            except (OverflowError, struct.error):
                self.out += struct.pack(layout, *(fitted(item, what[1]) for item in value))
        return at


def fitted(value: Any, code: str) -> Any:
    """``value`` as a number that ``struct`` format ``code`` holds."""
    if code == "f":
        try:
            struct.pack("<f", value)
        except (OverflowError, struct.error):
            return 0.0
        return value
    low, high = _RANGES[code]
    number = int(value) if value == value and abs(value) != float("inf") else 0
    return number if low <= number <= high else low + (number - low) % (high - low + 1)


def mutate(data: bytes, dice: random.Random, rounds: int = 1) -> bytes:
    """A file that differs in one to four things that mean something, for each of ``rounds``; broken on top of that now and then."""
    tree = parse(data)
    for _ in range(sum(dice.choice((1, 1, 1, 2, 2, 3, 4)) for _ in range(rounds))):
        _edit(tree, dice)
    writer = _Writer()
    out = writer.file(tree)
    return broken(out, writer.spots, dice) if dice.random() < 0.15 else out


def broken(data: bytes, spots: list[tuple[int, str]], dice: random.Random) -> bytes:
    """``data`` with an offset, a length or an entry of a vtable that is a little, very or wholly wrong."""
    out = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 3))):
        spot, code = dice.choice(spots)
        old = struct.unpack_from(f"<{code}", out, spot)[0]
        other, other_code = dice.choice(spots)
        new = dice.choice(
            (
                old + dice.choice((-4, -1, 1, 4, 2)),
                dice.choice(NUMBERS),
                struct.unpack_from(f"<{other_code}", out, other)[0],
                other - spot,  # points at some other part of the file, itself and its parents included
                len(out) - spot,
            )
        )
        low, high = {"H": (0, 65535)}.get(code) or _RANGES[code]
        struct.pack_into(f"<{code}", out, spot, low + (new - low) % (high - low + 1))
    return bytes(out)


def _tables(tree: Tree) -> list[Tree]:
    found = [tree]
    for key, value in tree.items():
        if key == "kind":
            continue
        if isinstance(value, dict):
            found += _tables(value)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for item in value:
                found += _tables(item)
    return found


def _edit(tree: Tree, dice: random.Random) -> None:
    graphs = tree.get(2) or [{}]
    operators, codes = graphs[0].get(3) or [], tree.get(1) or []
    match dice.randrange(10):
        case 0 | 1 if codes:
            code = dice.choice(codes)
            number = dice.randrange(len(BUILTIN_NAMES) + 3)
            code[0], code[3] = min(number, 127), number
            if dice.random() < 0.1:
                code[1] = dice.choice(STRINGS)
        case 2 if operators:
            _edit_operator(dice.choice(operators), operators, len(graphs[0].get(0) or ()), dice)
        case 3 if graphs[0].get(0):
            _edit_tensor(dice.choice(graphs[0][0]), tree, dice)
        case _:
            table = dice.choice(_tables(tree))
            slot = dice.choice(list(SCHEMA[table["kind"]]))
            _edit_slot(table, slot, dice)


def _edit_operator(operator: Tree, operators: list[Tree], tensors: int, dice: random.Random) -> None:
    match dice.randrange(4):
        case 0:
            other = dice.choice(operators)
            operator[3], operator[4] = other.get(3, 0), other.get(4, {"kind": "Options"})
        case 1:
            operator[3] = dice.randrange(1, 140)
        case 2:
            options = operator.setdefault(4, {"kind": "Options"})
            options[dice.randrange(8)] = dice.choice(NUMBERS)
        case _:
            slot = dice.choice((1, 2))
            operator[slot] = [dice.randrange(-1, tensors + 1) for _ in range(dice.randrange(6))]


def _edit_tensor(tensor: Tree, model: Tree, dice: random.Random) -> None:
    match dice.randrange(4):
        case 0:
            tensor[0] = [
                dice.choice((1, 2, 3, 4, 8, 16, 0, -1)) for _ in range(dice.choice((0, 1, 2, 3, 4, 4, 4, 5, 6)))
            ]
        case 1:
            tensor[1] = dice.randrange(-1, 24)
        case 2:
            # a constant of the right size, so that its value steers the op that reads it
            tensor[0] = [dice.randrange(1, 9)]
            tensor[1] = 2
            numbers = [dice.choice(NUMBERS) for _ in range(tensor[0][0])]
            model.setdefault(4, []).append(
                {"kind": "Buffer", 0: list(struct.pack(f"<{len(numbers)}I", *(n % 2**32 for n in numbers)))}
            )
            tensor[2] = len(model[4]) - 1
        case _:
            tensor[4] = {
                "kind": "Quantization",
                2: [dice.choice(FLOATS) for _ in range(dice.randrange(4))],
                3: [dice.choice(LONG_NUMBERS) for _ in range(dice.randrange(4))],
                6: dice.choice(NUMBERS),
            }


def _edit_slot(table: Tree, slot: int, dice: random.Random) -> None:
    what = SCHEMA[table["kind"]][slot]
    value = table.get(slot)
    if value is not None and dice.random() < 0.15:
        del table[slot]
    elif isinstance(what, list):
        items = value if value is not None else table.setdefault(slot, [])
        match dice.randrange(4):
            case 0 if items:
                items.insert(dice.randrange(len(items) + 1), dice.choice(items))
            case 1 if items:
                del items[dice.randrange(len(items))]
            case 2 if items:
                items[dice.randrange(len(items))] = dice.choice(items)
            case _:
                items.append({"kind": what[0]})
    elif what == "s":
        table[slot] = dice.choice(STRINGS)
    elif what in SCHEMA:
        table[slot] = {"kind": what}
    elif what[0] == "*":
        numbers = FLOATS if what[1] == "f" else LONG_NUMBERS if what[1] == "q" else NUMBERS
        items = list(value or ())
        match dice.randrange(4):
            case 0 if items:
                items[dice.randrange(len(items))] = dice.choice(numbers)
            case 1:
                items.insert(dice.randrange(len(items) + 1), dice.choice(numbers))
            case 2 if items:
                del items[dice.randrange(len(items))]
            case _:
                items = [dice.choice(numbers) for _ in range(dice.choice((0, 1, 2, 4, 5, 17)))]
        table[slot] = items
    elif what == "f":
        table[slot] = dice.choice(FLOATS)
    else:
        table[slot] = dice.choice(LONG_NUMBERS if what in "qQ" else NUMBERS)
