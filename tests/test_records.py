"""Records are shown, compared and hashed as dataclasses are that write these methods themselves, and named tuples are those of ``typing``."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import typing
from dataclasses import dataclass, field

import pytest

from latlint.errors import LatlintError
from latlint.records import NamedTuple, Record, replace
from latlint.settings import Settings


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


def test_fields_are_replaced_as_by_dataclasses() -> None:
    given = Ours("a", (1,), "here", "s")
    for fields in ({}, {"sizes": ()}, {"name": "b", "secret": ""}):
        ours, theirs = replace(given, **fields), dataclasses.replace(given, **fields)
        assert [getattr(ours, name) for name in Ours.__slots__] == [getattr(theirs, name) for name in Ours.__slots__]
    assert type(replace(Other("a"), name="b")) is Other
    with pytest.raises(TypeError, match="no field 'size'"):
        replace(given, size=1)


def test_what_a_record_makes_of_its_fields_it_makes_again() -> None:
    assert replace(Settings(), select=["LAT1"]).select == ("LAT1",)
    with pytest.raises(LatlintError, match="min_gain: expected a share from 0 to 1"):
        replace(Settings(), min_gain=-1.0)


class Place(NamedTuple):
    """Where something is."""

    line: int
    name: str = ""
    more: tuple[int, ...] = ()

    @property
    def shown(self) -> str:
        return f"{self.name}:{self.line}"

    @classmethod
    def first(cls) -> Place:
        return cls(1)


class Typed(typing.NamedTuple):
    """Where something is."""

    line: int
    name: str = ""
    more: tuple[int, ...] = ()


class Further(Place):
    @property
    def shown(self) -> str:
        return f"further {super().shown}"


def test_named_tuples_are_those_of_typing() -> None:
    ours, theirs = Place(3, more=(1,)), Typed(3, more=(1,))
    assert ours == tuple(ours) == theirs
    assert hash(ours) == hash(theirs)
    assert repr(ours) == repr(theirs).replace("Typed", "Place")
    assert (ours.line, ours.name, ours.shown, Place.first().line) == (3, "", ":3", 1)
    assert (Place._fields, Place._field_defaults, Place.__doc__, Place.__module__, Place.__qualname__) == (
        Typed._fields, Typed._field_defaults, Typed.__doc__, Typed.__module__, "Place",
    )  # fmt: skip
    assert Place.__annotations__ == {"line": "int", "name": "str", "more": "tuple[int, ...]"}
    assert ours._replace(name="x") == Place._make((3, "x", (1,))) == Place(3, "x", (1,))
    assert inspect.signature(Place).parameters.keys() == inspect.signature(Typed).parameters.keys()
    assert Place.__bases__ == (tuple,)
    assert not hasattr(ours, "__dict__")
    assert type(pickle.loads(pickle.dumps(ours))) is type(copy.copy(ours)) is Place
    assert Further(3).shown == "further :3"
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'line'"):
        Place()  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        ours.line = 4  # type: ignore[misc]


def test_what_no_named_tuple_can_be_is_refused() -> None:
    with pytest.raises(TypeError, match="Wrong: fields with a default come last"):

        class Wrong(NamedTuple):
            line: int = 1
            name: str  # type: ignore[misc]

    with pytest.raises(TypeError, match="no other base"):

        class Mixed(NamedTuple, Record):  # type: ignore[misc]
            line: int
