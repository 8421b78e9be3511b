"""The inputs of a model file: the shapes that a user states for them (``--shape``, ``[shapes]``), and what the file leaves open."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from latlint.errors import LatlintError
from latlint.records import NamedTuple
from latlint.words import printable

#: No input that a phone runs on has more (a 4K image has 25 million).
MAX_ELEMENTS = 2**31
MAX_RANK = 8

_SHAPE = r"(?a)[0-9]{1,10}(x[0-9]{1,10})*"

#: Notes about inputs; more would tell the user nothing new.
_MAX_NOTES = 8


class InputShape(NamedTuple):
    """The shape that the input ``name`` is to have. ``required``: a model without that input is an error."""

    name: str
    dims: tuple[int, ...]
    required: bool = True


def parse_dims(text: str) -> tuple[int, ...]:
    """``1x224x224x3`` as numbers; ValueError, in words for the user, when it is anything else."""
    if not re.fullmatch(_SHAPE, text.strip()):
        raise ValueError("expected numbers with x between, such as 1x224x224x3")
    dims = tuple(int(part) for part in text.strip().split("x"))
    elements = 1
    for dim in dims:
        elements *= dim
    if not 0 < elements <= MAX_ELEMENTS or len(dims) > MAX_RANK:
        raise ValueError(f"expected at most {MAX_RANK} dimensions of 1 or more and at most 2^31 elements in all")
    return dims


def dims_text(dims: Iterable[int]) -> str:
    """``1x?x?x3``: an open dimension is a question mark."""
    return "x".join("?" if dim < 0 else str(dim) for dim in dims) or "scalar"


#: Sides of images that networks are usually run on, and lengths of what is no image, to offer where a file states none.
_USUAL_SIDE, _USUAL_LENGTH = 224, 128
_COLOURS = (1, 3, 4)


def usual_size(dims: Sequence[int]) -> tuple[int, ...]:
    """``dims`` with a common size for each open dimension: an image where one of the inner ones has one, three or four channels."""
    image = len(dims) == 4 and (dims[1] in _COLOURS or dims[3] in _COLOURS)
    usual = _USUAL_SIDE if image else _USUAL_LENGTH
    batch = len(dims) > 1
    return tuple(dim if dim >= 0 else 1 if batch and not axis else usual for axis, dim in enumerate(dims))


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
