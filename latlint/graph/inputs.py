"""The inputs of a model file: the shapes that are stated for them, and what the file leaves open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from latlint.errors import LatlintError
from latlint.graph.flatbuffer import printable
from latlint.shapes import InputShape, dims_text

#: Notes about inputs; more would tell the user nothing new.
_MAX_NOTES = 8


def fitting(
    wanted: Iterable[InputShape], inputs: Mapping[str, tuple[int, ...] | None], path: str
) -> dict[str, tuple[int, ...]]:
    """The shapes that ``wanted`` gives to ``inputs`` (name -> dimensions as the file has them: -1 open, ``None`` even the rank).

    Raises LatlintError (LAT008): an input that is not there, another rank, or another size where the file states one.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for shape in wanted:
        if shape.name not in inputs:
            if shape.required:
                raise _error(f"no input is called '{shape.name}'; {_listed(inputs)}", path)
            continue
        declared = inputs[shape.name]
        if declared is not None and len(declared) != len(shape.dims):
            what = f"{len(shape.dims)} dimensions, the file has {len(declared)}"
            raise _error(
                f"input '{shape.name}' cannot be {dims_text(shape.dims)}: {what} ({dims_text(declared)})", path
            )
        if declared is not None and any(a not in (-1, b) for a, b in zip(declared, shape.dims, strict=True)):
            what = f"the file fixes it to {dims_text(declared)}"
            raise _error(
                f"input '{shape.name}' cannot be {dims_text(shape.dims)}: {what}; export it with that size", path
            )
        shapes[shape.name] = shape.dims
    return shapes


def open_notes(assumed: Mapping[str, tuple[int, ...]], taken: Mapping[str, tuple[int, ...]]) -> list[str]:
    """What the user must know of inputs whose dimensions the file leaves open (``assumed``): which sizes were ``taken``."""
    notes = [
        printable(
            f"input '{name[:80]}' is {dims_text(dims)} in the file, taken as {dims_text(taken[name])}; --shape says otherwise"
        )
        for name, dims in list(assumed.items())[:_MAX_NOTES]
    ]
    more = len(assumed) - len(notes)
    return notes + [f"{more} more inputs have open dimensions, taken alike"] * (more > 0)


def _listed(inputs: Mapping[str, tuple[int, ...] | None]) -> str:
    listed = [f"'{name}' {'of any rank' if dims is None else dims_text(dims)}" for name, dims in inputs.items()]
    more = f" and {len(listed) - 8} more" if len(listed) > 8 else ""
    return f"its inputs are {', '.join(listed[:8])}{more}" if listed else "it has no inputs"


def _error(message: str, path: str) -> LatlintError:
    return LatlintError(printable(message), code="LAT008", path=path)
