"""The shape that a user states for an input: ``--shape`` and ``[shapes]``. (``latlint.graph.inputs`` holds it against a model.)"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

#: No input that a phone runs on has more (a 4K image has 25 million).
MAX_ELEMENTS = 2**31
MAX_RANK = 8

_SHAPE = re.compile(r"[0-9]{1,10}(x[0-9]{1,10})*", re.ASCII)


class InputShape(NamedTuple):
    """The shape that the input ``name`` is to have. ``required``: a model without that input is an error."""

    name: str
    dims: tuple[int, ...]
    required: bool = True


def parse_dims(text: str) -> tuple[int, ...]:
    """``1x224x224x3`` as numbers; ValueError, in words for the user, when it is anything else."""
    if not _SHAPE.fullmatch(text.strip()):
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
