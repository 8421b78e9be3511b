"""Which targets there are, from the cards of the packs alone: without NumPy, whose import takes longer than a lint from the cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from latlint.data import data_dir
from latlint.errors import LatlintError
from latlint.files import read_bounded
from latlint.words import nearest

SCHEMA = "latlint.pack/1"
#: Far more than any pack needs.
MAX_CARD_BYTES = 8_000_000
MAX_ARRAYS_BYTES = 64_000_000


def find_targets(directories: Iterable[Path] = ()) -> dict[str, Path]:
    """The names of all targets, sorted, each with the directory of its pack: the bundled packs and those of ``directories`` (each
    one pack, or a directory of packs). A pack given later replaces the targets of the same name.

    Raises ``LatlintError`` (LAT901) for a directory without packs and for a card that names no targets.
    """
    found: dict[str, Path] = {}
    bundled = data_dir("predictors")
    for root in (bundled, *directories):
        paths = sorted({*root.glob("card.json"), *root.glob("*/card.json")})
        if not paths and root != bundled:
            raise LatlintError("no device pack here; expected a card.json", code="LAT901", path=str(root))
        for path in paths:
            card, _ = read_card(path.parent)
            device, processors = card.get("device"), card.get("processors")
            if not isinstance(device, str) or not isinstance(processors, dict):
                message = "damaged pack: expected a device and its processors"
                raise LatlintError(message, code="LAT901", path=str(path))
            found |= dict.fromkeys((f"{device}/{name}" for name in processors), path.parent)
    return dict(sorted(found.items()))


def select_targets(patterns: Iterable[str], known: Collection[str]) -> list[str]:
    """The known targets that one of ``patterns`` names, sorted; a pattern that names none is an error with the nearest names."""
    chosen: set[str] = set()
    for pattern in patterns:
        matched = [name for name in known if fnmatchcase(name, pattern)]
        if not matched:
            raise _unknown_target(pattern, known)
        chosen.update(matched)
    return sorted(chosen)


def _unknown_target(pattern: str, known: Collection[str]) -> LatlintError:
    device = pattern.partition("/")[0]
    processors = [name for name in known if name.startswith(f"{device}/")]
    if "/" not in pattern and processors:
        hint = f"name its processor, such as {processors[0]}, or all of them: '{device}/*'"
    elif guesses := nearest(pattern, processors or known, count=3):
        hint = f"did you mean {', '.join(guesses)}?"
    else:
        hint = "no name is near it"
    return LatlintError(f"unknown target '{pattern}': {hint} (`latlint targets` lists all)", code="LAT902")


def read_card(directory: Path) -> tuple[dict[str, Any], str]:
    """The card of the pack in ``directory``, and the SHA-256 of its file. Raises ``LatlintError`` (LAT901) when it cannot be read or is no card."""
    path = directory / "card.json"
    try:
        written = _bytes(path, MAX_CARD_BYTES)
        card = json.loads(written, parse_constant=_refuse)
    except RecursionError:
        raise LatlintError("cannot be read: nested too deeply", code="LAT901", path=str(path)) from None
    except ValueError as error:
        raise LatlintError(f"not a device pack: {error}", code="LAT901", path=str(path)) from None
    if not isinstance(card, dict) or card.get("schema") != SCHEMA:
        raise LatlintError(f"not a device pack: expected schema {SCHEMA}", code="LAT901", path=str(path))
    return card, hashlib.sha256(written).hexdigest()


def read_blob(directory: Path) -> bytes:
    """The arrays of the pack in ``directory``, as they stand in its file. Raises ``LatlintError`` (LAT901)."""
    return _bytes(directory / "arrays.bin", MAX_ARRAYS_BYTES)


def pack_hash(directory: Path) -> str:
    """SHA-256 of the pack in ``directory``, card and arrays. Raises ``LatlintError`` (LAT901)."""
    card = _bytes(directory / "card.json", MAX_CARD_BYTES)
    return hashlib.sha256(hashlib.sha256(card).digest() + hashlib.sha256(read_blob(directory)).digest()).hexdigest()


def _bytes(path: Path, limit: int) -> bytes:
    card = str(path.parent / "card.json")
    try:
        return read_bounded(path, limit)
    except ValueError as error:
        raise LatlintError(f"not a device pack: {error}", code="LAT901", path=card) from None
    except OSError as error:
        raise LatlintError(f"cannot be read: {error.strerror or error}", code="LAT901", path=card) from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")
