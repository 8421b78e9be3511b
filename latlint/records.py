"""Records that take little time to make, as classes: a cold lint makes about a hundred.

What frozen dataclasses have in common is made once; for each class anew it takes longer to make than all else of it (0.25 of 0.7 ms).

@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Graph(Record):

``NamedTuple`` is that of ``typing``, but for one thing: it compiles no annotation to see whether it could be a type. mypy does, and
that is most of what such a class takes (0.08 of 0.13 ms).
"""

from __future__ import annotations

from collections import namedtuple
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:

    class _Named(type):
        """Makes of a class body what ``collections.namedtuple`` makes of its fields, with all else that is in the body."""

        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            fields = body["__annotations__"]
            given = [field in body for field in fields]
            if given != sorted(given) or bases != (NamedTuple,):
                raise TypeError(f"{name}: fields with a default come last, and a named tuple has no other base")
            defaults = [body.pop(field) for field in fields if field in body]
            made = namedtuple(name, fields, defaults=defaults, module=body["__module__"])
            made.__annotations__ = fields
            for key, value in body.items():
                setattr(made, key, value)
            return made

    NamedTuple = type.__new__(_Named, "NamedTuple", (), {})


class Record:
    """Shown, compared and hashed by its fields, as ``dataclass`` would write it."""

    __slots__ = ()

    def __repr__(self) -> str:
        shown = [f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr]  # type: ignore[arg-type]
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        return self._compared() == other._compared() if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._compared())

    def _compared(self) -> tuple[Any, ...]:
        return tuple([getattr(self, each.name) for each in fields(self) if each.compare])  # type: ignore[arg-type]


_R = TypeVar("_R", bound=Record)


def replace(record: _R, /, **changes: Any) -> _R:
    """``dataclasses.replace`` in 40 % of the time: a lint of one model on all NPUs replaces fields of some two hundred records. ``TypeError`` for what
    is no field."""
    cls = type(record)
    made = cls.__new__(cls)
    for name in cls.__match_args__:  # type: ignore[attr-defined]
        object.__setattr__(made, name, changes.pop(name) if name in changes else getattr(record, name))
    if changes:
        raise TypeError(f"{cls.__name__} has no field {min(changes)!r}")
    if hasattr(cls, "__post_init__"):
        made.__post_init__()  # type: ignore[attr-defined]
    return made
