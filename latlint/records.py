"""Records that take little time to make, as classes: a cold lint makes about a hundred.

What frozen dataclasses have in common is made once; for each class anew it takes longer to make than all else of it (0.25 of 0.7 ms).

@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Graph(Record):

``NamedTuple`` is that of ``typing``, in a twelfth of the time (0.01 ms): it compiles no annotation to see whether it could be a type, which is
for mypy to say, and no constructor, which differs from one class to the next in nothing but its names.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable
from dataclasses import fields
from functools import cache
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:

    class _Named(type):
        """Makes of a class body a tuple whose items have names, with all else that is in the body."""

        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            names = tuple(body["__annotations__"])
            given = [each in body for each in names]
            if given != sorted(given) or bases != (NamedTuple,):
                raise TypeError(f"{name}: fields with a default come last, and a named tuple has no other base")
            defaults = {each: body.pop(each) for each in names if each in body}
            code = _constructor(len(names)).replace(co_varnames=("cls", *names), co_qualname=f"{name}.__new__")
            new = FunctionType(code, {"made": tuple.__new__}, "__new__", tuple(defaults.values()))
            getters = {each: collections._tuplegetter(at, each) for at, each in enumerate(names)}
            meta = {"__slots__": (), "_fields": names, "_field_defaults": defaults, "__match_args__": names}
            return type(name, (_Tuple,), {**body, **getters, **meta, "__new__": new})

    @cache
    def _constructor(fields: int) -> CodeType:
        """Of a named tuple of so many fields; what they are called is put in its place."""
        names = "".join([f"_{at}, " for at in range(fields)])
        return eval(f"lambda cls, {names}: made(cls, ({names}))").__code__

    class _Tuple(tuple):
        """What named tuples have in common."""

        __slots__ = ()

        @classmethod
        def _make(cls, items: Iterable[Any]) -> Any:
            made = tuple.__new__(cls, items)
            if len(made) != len(cls._fields):
                raise TypeError(f"expected {len(cls._fields)} items, got {len(made)}")
            return made

        def _replace(self, /, **values: Any) -> Any:
            made = self._make(map(values.pop, self._fields, self))
            if values:
                raise TypeError(f"{type(self).__name__} has no {', '.join(values)}")
            return made

        def _asdict(self) -> dict[str, Any]:
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self) -> str:
            shown = [f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True)]
            return f"{type(self).__name__}({', '.join(shown)})"

        def __getnewargs__(self) -> tuple[Any, ...]:
            return tuple(self)

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
