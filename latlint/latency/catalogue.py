"""Which targets there are, from the cards of the packs alone: without NumPy, whose import takes longer than a lint from the cache."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from latlint.data import data_dir
from latlint.errors import LatlintError
from latlint.files import read_bounded, write_whole
from latlint.globs import selects_target
from latlint.words import nearest

#: A card's ``schema`` is this and the version of the format. 1: processors called ``cpu…`` and ``gpu``, each with one runtime, and the terms of
#: both. 2: any kind of processor, more than one runtime each (``PROCESSOR@RUNTIME``, ``defaults``), only the terms that occur.
SCHEMA = "latlint.pack/"
#: The newest version of the format that is read here.
FORMAT = 2
#: Far more than any pack needs.
MAX_CARD_BYTES = 8_000_000
MAX_ARRAYS_BYTES = 64_000_000
_MAX_PROCESSORS = 2000


def find_targets(directories: Iterable[Path] = ()) -> dict[str, Path]:
    """The names of all targets, sorted, each with the directory of its pack: the bundled packs and those of ``directories`` (each
    one pack, or a directory of packs). A pack given later replaces the targets of the same name.

    Raises ``LatlintError`` (LAT901) for a directory without packs and for a card that names no targets.
    """
    bundled = data_dir("predictors")
    found = dict(_indexed(bundled))
    for root in (*(() if found else (bundled,)), *directories):
        paths = sorted({*root.glob("card.json"), *root.glob("*/card.json")})
        if not paths and root != bundled:
            raise LatlintError("no device pack here; expected a card.json", code="LAT901", path=str(root))
        for path in paths:
            card, _ = read_card(path.parent)
            device, processors = card.get("device"), card.get("processors")
            if not isinstance(device, str) or not isinstance(processors, dict):
                message = "damaged pack: expected a device and its processors"
                raise LatlintError(message, code="LAT901", path=str(path))
            found |= dict.fromkeys((f"{device}/{name}" for name in names(card)), path.parent)
    return dict(sorted(found.items()))


#: The targets of each pack of a directory of packs, and the SHA-256 of its card: to know them from this takes a thirtieth of the time that
#: their cards take.
INDEX = "targets.json"


@lru_cache(maxsize=4)
def _indexed(root: Path) -> Mapping[str, Path]:
    """The targets of the packs in ``root`` by its index; none where it has no index."""
    packs = ((root / directory, each["targets"]) for directory, each in _index(root).items())
    return {name: pack for pack, names in packs for name in names}


@cache
def known_cards() -> frozenset[str]:
    """SHA-256 of the cards of the bundled packs, which tests have checked: what says all of a pack, for it has those of its other files."""
    return frozenset(each["card"] for each in _index(data_dir("predictors")).values())


@lru_cache(maxsize=4)
def _index(root: Path) -> dict[str, dict[str, Any]]:
    path = root / INDEX
    found: dict[str, dict[str, Any]] = json.loads(path.read_bytes()) if path.is_file() else {}
    return found


def write_index(root: Path) -> None:
    """Write the index of the packs in ``root``: what is in each directory. A device may have more than one."""
    index = {}
    for path in sorted(root.glob("*/card.json")):
        card, written = read_card(path.parent)
        targets = [f"{card['device']}/{name}" for name in names(card)]
        index[path.parent.name] = {"card": written, "targets": targets}
    write_whole({root / INDEX: (json.dumps(index, indent=1) + "\n").encode()})
    for known in (_index, _indexed, known_cards):
        known.cache_clear()


def select_targets(patterns: Iterable[str], known: Collection[str]) -> list[str]:
    """The known targets that one of ``patterns`` names, sorted; a pattern that names none is an error with the nearest names."""
    chosen: set[str] = set()
    for pattern in patterns:
        matched = [pattern] if pattern in known else [name for name in known if selects_target(pattern, name)]
        if not matched:
            raise _unknown_target(pattern, known)
        chosen.update(matched)
    return sorted(chosen)


def _unknown_target(pattern: str, known: Collection[str]) -> LatlintError:
    hint = next(filter(None, (each(pattern, known) for each in (_runtime_hint, _processor_hint, _device_hint))))
    return LatlintError(f"unknown target '{pattern}': {hint} (`latlint targets` lists all)", code="LAT902")


def _runtime_hint(pattern: str, known: Collection[str]) -> str:
    """Of a processor that is known: the runtimes that its pack has."""
    processor, at, _ = pattern.partition("@")
    runs = sorted(name for name in known if selects_target(f"{processor}@*", name))
    if not runs or (at and not processor.rpartition("/")[0]):
        return ""
    return f"this processor's runtimes are {', '.join(runs)}" if at else f"name its runtime: {', '.join(runs)}"


def _processor_hint(pattern: str, known: Collection[str]) -> str:
    """Of a device that is known, or a processor without a device: how the target is written."""
    device, slash, processor = pattern.partition("@")[0].partition("/")
    processors = [name for name in known if name.startswith(f"{device}/")]
    if not slash and processors:
        return f"name its processor, such as {processors[0]}, or all of them: '{device}/*'"
    if not slash and any(name.partition("/")[2] == device for name in known):
        return f"name its device, or take this processor of all of them: '*/{pattern}'"
    if not processors:
        return ""
    kind = processor.partition("-")[0]
    if alike := [name for name in nearest(pattern, processors, count=3) if name.startswith(f"{device}/{kind}")]:
        return f"did you mean {', '.join(alike)}?"
    return f"{device} has {', '.join(name.partition('/')[2] for name in processors)}"


def _device_hint(pattern: str, known: Collection[str]) -> str:
    """Of a device that no pack covers: the one that was meant, where only spelling differs, or else the nearest and what to do."""
    device, _, processor = pattern.partition("/")
    if not device.strip():
        return f"expected DEVICE/PROCESSOR, such as {next(iter(known))}"
    if re.search(r"[*?\[]", device):
        guesses = nearest(pattern, known, count=3)
        return f"nothing matches; near it are {', '.join(guesses)}" if guesses else "nothing matches"
    devices = sorted({name.partition("/")[0] for name in known})
    meant = nearest(re.sub(r"[\s_-]+", "-", device.strip()), devices, count=3)
    alike = [each for each in meant if _series_number(each) == _series_number(device)]
    if alike:
        names = [name for name in known if name.startswith(f"{alike[0]}/")]
        return f"did you mean {', '.join(nearest(f'{alike[0]}/{processor}', names, count=3) or names[:3])}?"
    near = f"this device is not covered, near it are {', '.join(meant)}" if meant else "no name is near it"
    return f"{near}; `latlint pack kit` helps to measure it and add it"


def _series_number(device: str) -> str:
    """What tells models of a series apart: a Pixel 9 is no misspelt Pixel 4."""
    return "".join(re.findall(r"\d", device))


def names(card: Mapping[str, Any]) -> list[str]:
    """The processors of a card that are targets, sorted: those with a runtime of their own (``npu@litert``) and those whose runtime is a default;
    not those that only run what another leaves (``"listed": false``)."""
    defaults = card.get("defaults", {})
    listed = [
        name for name, each in card["processors"].items() if not isinstance(each, dict) or each.get("listed", True)
    ]
    return sorted({*listed, *(defaults if isinstance(defaults, dict) else ())})


def read_card(directory: Path) -> tuple[dict[str, Any], str]:
    """The card of the pack in ``directory``, and the SHA-256 of its file. Raises ``LatlintError`` (LAT901) when it cannot be read or is no card."""
    path = directory / "card.json"
    written = _bytes(path, MAX_CARD_BYTES)
    card = _parsed(written, path)
    schema = str(card.get("schema")) if isinstance(card, dict) else ""
    version = re.fullmatch(re.escape(SCHEMA) + r"([1-9][0-9]{0,5})", schema)
    if version is None:
        raise LatlintError(f"not a device pack: expected schema {SCHEMA}{FORMAT}", code="LAT901", path=str(path))
    if int(version[1]) > FORMAT:
        message = (
            f"a device pack of format {version[1]}, and this version of latlint reads up to {FORMAT}: "
            "update latlint, or build the pack with this version"
        )
        raise LatlintError(message, code="LAT901", path=str(path))
    if any(isinstance(card.get(key), dict) and len(card[key]) > _MAX_PROCESSORS for key in ("processors", "defaults")):
        raise LatlintError(f"damaged pack: more than {_MAX_PROCESSORS:,} processors", code="LAT901", path=str(path))
    return card, hashlib.sha256(written).hexdigest()


def read_blob(directory: Path) -> bytes:
    """The arrays of the pack in ``directory``, as they stand in its file. Raises ``LatlintError`` (LAT901)."""
    return _bytes(directory / "arrays.bin", MAX_ARRAYS_BYTES)


def read_part(path: Path) -> Any:
    """What the cards of several packs have in common, in a file that is named by its SHA-256. Raises ``LatlintError`` (LAT901)."""
    try:
        written = read_bounded(path, MAX_CARD_BYTES)
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or error
        message = f"cannot be read: {what}; packs need the directory {path.parent.name} beside them: copy it along"
        raise LatlintError(message, code="LAT901", path=str(path)) from None
    if hashlib.sha256(written).hexdigest() != path.stem:
        message = "does not have the hash that its name states; install or build the packs beside it again"
        raise LatlintError(message, code="LAT901", path=str(path))
    return _parsed(written, path)


def pack_stamp(directory: Path) -> str:
    """Sizes and times of the files of the pack in ``directory``, which takes a hundredth of hashing them. Raises ``LatlintError`` (LAT901)."""
    try:
        found = [os.stat(directory / name) for name in ("card.json", "arrays.bin")]  # noqa: PTH116 - for speed
    except OSError as error:
        path = str(directory / "card.json")
        raise LatlintError(f"cannot be read: {error.strerror or error}", code="LAT901", path=path) from None
    return ",".join(f"{each.st_size}:{each.st_mtime_ns}" for each in found)


def pack_hash(directory: Path) -> str:
    """SHA-256 of the pack in ``directory``, card and arrays. Raises ``LatlintError`` (LAT901)."""
    card = _bytes(directory / "card.json", MAX_CARD_BYTES)
    return hashlib.sha256(hashlib.sha256(card).digest() + hashlib.sha256(read_blob(directory)).digest()).hexdigest()


def _parsed(written: bytes, path: Path) -> Any:
    try:
        return json.loads(written, parse_constant=_refuse)
    except RecursionError:
        raise LatlintError("cannot be read: nested too deeply", code="LAT901", path=str(path)) from None
    except ValueError as error:
        raise LatlintError(f"not a device pack: {error}", code="LAT901", path=str(path)) from None


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
