"""Records are shown, compared and hashed as dataclasses are that write these methods themselves."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from latlint.records import Record


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Ours(Record):
    name: str
    sizes: tuple[int, ...] = ()
    origin: str = field(default="", compare=False)
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Theirs:
    name: str
    sizes: tuple[int, ...] = ()
    origin: str = field(default="", compare=False)
    secret: str = field(default="", repr=False)


class Other(Ours):
    __slots__ = ()


def test_records_are_as_dataclasses() -> None:
    given = [("a",), ("a", (1,)), ("b", (1,), "here"), ("b", (1,), "there"), ("b", (1,), "", "s")]
    ours, theirs = [Ours(*each) for each in given], [Theirs(*each) for each in given]
    assert [repr(each) for each in ours] == [repr(each).replace("Theirs", "Ours") for each in theirs]
    assert [[a == b for a in ours] for b in ours] == [[a == b for a in theirs] for b in theirs]
    assert [hash(each) for each in ours] == [hash(each) for each in theirs]
    assert replace(ours[0], sizes=(1,)) == ours[1] != Other("a", (1,))
    assert ours[0] != "a" and len({*ours, *ours}) == 4
