"""Where the package data lies: ``rules/`` and ``predictors/`` stand at the top of the repository and travel inside the wheel."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


@cache
def data_dir(name: str) -> Path:
    """The directory ``rules`` or ``predictors``, from a wheel or from an (editable) checkout."""
    packed = _PACKAGE / "_data" / name
    return packed if packed.is_dir() else _PACKAGE.parent / name
