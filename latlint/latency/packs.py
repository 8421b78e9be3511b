"""Device packs: a JSON card that a human can read, and one file of arrays. Data only: loading one runs no code.

``predictors/<device>/card.json`` describes the device, its processors and where each array lies in ``arrays.bin``, whose SHA-256
it holds. A pack whose arrays do not match its card is refused.

What the cards of several packs have in common is written once, in ``predictors/common/``, in files that are named by their own SHA-256; a
card has that name, after ``common:``, in place of an entry of ``terms`` or ``covers``. It is read and checked once for all of them. A pack that
was copied without it goes by the bundled file of that name, which can be no other.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latlint.data import data_dir
from latlint.errors import LatlintError
from latlint.files import write_whole
from latlint.latency import cards
from latlint.latency.catalogue import (
    FORMAT,
    SCHEMA,
    find_targets,
    known_cards,
    names,
    pack_stamp,
    read_blob,
    read_card,
    read_part,
)
from latlint.latency.costs import UnpricedError, columns_of, costs
from latlint.latency.terms import CostModel
from latlint.latency.trees import Forest
from latlint.runtime.kinds import kind
from latlint.runtime.types import Processor

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["NamedTarget", "Pack", "Target", "load_targets", "named", "read_pack", "vocabulary", "write_pack"]


@dataclass(frozen=True)
class Pack:
    """One device: its ``card`` (see ``cards`` for the keys) and its arrays, by name. ``revision`` stands for both, as they were
    read: eight hexadecimal digits; ``path`` is the card's."""

    card: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]] = field(repr=False)
    revision: str = ""
    path: str = ""
    _costs: dict[tuple[str, str], NDArray[np.float64]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _forests: dict[tuple[str, str], Forest] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def device(self) -> str:
        return str(self.card["device"])

    def processor(self, key: str) -> Processor:
        """What planning must know of a processor."""
        return Processor(name=key.partition("@")[0], **self.card["processors"][key]["processor"])

    def costs(self, key: str, model: CostModel) -> NDArray[np.float64]:
        """What the processor ``key`` pays for each of the model's terms, in ns, shape (terms,). Raises ``LatlintError`` (LAT901) where the pack
        cannot say."""
        if (key, model.executor) not in self._costs:
            card = self.card["processors"][key]
            entry = cards.terms_of(card)
            theta, terms = self.arrays[card["theta"]], self.card["terms"][entry]
            columns = columns_of(tuple(terms), model)
            try:
                found = (
                    theta[columns]
                    if columns is not None
                    else self._filled(model, entry, theta, self.processor(key).threads)
                )
            except UnpricedError as error:
                message = f"damaged pack: terms.{entry}: {error}"
                raise LatlintError(message, code="LAT901", path=self.path) from None
            self._costs[key, model.executor] = found
        return self._costs[key, model.executor]

    def _filled(self, model: CostModel, entry: str, theta: NDArray[np.float64], threads: int) -> NDArray[np.float64]:
        known = dict(zip(self.card["terms"][entry], theta.tolist(), strict=True))
        return costs(model, known, self.card["covers"][entry]["measured_terms"], threads)

    def covers(self, key: str) -> Mapping[str, Any]:
        """What the data exercise of the terms and kernels of the processor ``key``."""
        found: Mapping[str, Any] = self.card["covers"][cards.terms_of(self.card["processors"][key])]
        return found

    def forest(self, key: str, kernel_class: str, model: CostModel) -> Forest | None:
        """The forest that corrects a class of kernels on the processor ``key``, looking at features in the model's order, or ``None``
        where there is none. Raises ``LatlintError`` (LAT901) for one that looks at what this version does not know."""
        name = f"{key}/{kernel_class}"
        depth = self.card.get("forests", {}).get(name)
        if depth is None:
            return None
        if (name, model.executor) not in self._forests:
            parts = {part: self.arrays[f"{name}/{part}"] for part in cards.FOREST_PARTS}
            parts["feature"] = self._features(model)[parts["feature"]]
            self._forests[name, model.executor] = Forest(**parts, depth=int(depth))
        return self._forests[name, model.executor]

    def _features(self, model: CostModel) -> NDArray[np.uint8]:
        """Index of a feature here -> its index among the model's."""
        for name in self.card["features"]:
            if name not in model.feature_names:
                message = f"damaged pack: features: {name!r} is of another version of latlint; update it, or build the pack again"
                raise LatlintError(message, code="LAT901", path=self.path)
        return np.array([model.feature_names.index(name) for name in self.card["features"]], np.uint8)

    def targets(self) -> list[NamedTarget]:
        return [named(f"{self.device}/{name}", self, name) for name in names(self.card)]


@dataclass(frozen=True, slots=True)
class NamedTarget:
    """``device/processor`` or ``device/processor@runtime``, such as ``pixel-4/gpu``: a target as it is asked for. It is a ``Target``, or its runtime
    follows the file, and ``for_dialect`` says which ``Target`` it is for one. ``key`` is its processor's name."""

    name: str
    pack: Pack
    key: str

    @property
    def device(self) -> str:
        return self.pack.device

    @property
    def defaults(self) -> Mapping[str, str]:
        """Runtime by dialect of the graph, of a target whose runtime follows the file; else empty."""
        found: Mapping[str, str] = self.pack.card.get("defaults", {}).get(self.key, {})
        return found

    @property
    def timed(self) -> bool:
        """Whether anything says what kernels take there; else there is a placement alone."""
        return True

    def for_dialect(self, dialect: str) -> Target:
        """The target, of the same name, with the runtime that graphs of ``dialect`` have there. Raises ``LatlintError`` (LAT903) where it has none."""
        if dialect not in self.defaults:
            runs = ", ".join(sorted(self.defaults)) or "nothing"
            raise LatlintError(f"{self.name} runs {runs}, not {dialect}: name a runtime after @", code="LAT901")
        return Target(self.name, self.pack, f"{self.key}@{self.defaults[dialect]}")


@dataclass(frozen=True, slots=True)
class Target(NamedTarget):
    """What a prediction is for: ``key`` is the name of its processor, with one runtime, in the pack's card."""

    def for_dialect(self, dialect: str) -> Target:
        return self

    @property
    def card(self) -> Mapping[str, Any]:
        """The processor's part of the pack's card."""
        found: Mapping[str, Any] = self.pack.card["processors"][self.key]
        return found

    @property
    def processor(self) -> Processor:
        return self.pack.processor(self.key)

    @property
    def runtime(self) -> str:
        """The runtime with its version, ``tflite-2.10/gpu-delegate``."""
        return str(self.card["processor"]["runtime"])

    @property
    def host(self) -> bool:
        """Whether the target is where the program runs, not one that work is sent to."""
        return kind(self.card["processor"]["kind"]).host

    @property
    def timed(self) -> bool:
        return not self.card.get("placement", False)

    def runs(self, model: CostModel) -> str:
        """The processor, by its name in the card, that runs kernels of ``model`` in this target's plans. Raises ``LatlintError`` (LAT901) for
        kernels that none does."""
        kinds = self.card["processor"]["kind"], self.pack.card["processors"][self.card.get("fallback", self.key)]
        if model.kind == kinds[0]:
            return self.key
        if model.kind == kinds[1]["processor"]["kind"]:
            return str(self.card["fallback"])
        message = (
            f"{self.name} has no processor for kernels that run on {model.executor!r}: its runtime is {self.runtime}"
        )
        raise LatlintError(message, code="LAT901", path=self.pack.path)

    def costs(self, model: CostModel) -> NDArray[np.float64]:
        """What the target pays for each of the model's terms (see ``Pack.costs``)."""
        return self.pack.costs(self.runs(model), model)


def named(name: str, pack: Pack, key: str) -> NamedTarget:
    """The target ``name``, which the pack's card knows as ``key``."""
    return (Target if key in pack.card["processors"] else NamedTarget)(name, pack, key)


def load_targets(directories: Iterable[Path] = ()) -> dict[str, NamedTarget]:
    """All targets of the bundled packs and of ``directories``, sorted by name (see ``catalogue.find_targets``).

    Raises ``LatlintError`` (LAT901) for a directory without packs and for a pack that is damaged.
    """
    return {target.name: target for target in targets_in(find_targets(directories))}


def targets_in(found: Mapping[str, Path]) -> list[NamedTarget]:
    """The targets named by ``found``, in its order, with the packs in its directories. Raises ``LatlintError`` (LAT901)."""
    bundled = data_dir("predictors")
    packs = {
        directory: _bundled(directory, pack_stamp(directory)) if directory.parent == bundled else read_pack(directory)
        for directory in dict.fromkeys(found.values())
    }
    return [named(name, packs[directory], name.partition("/")[2]) for name, directory in found.items()]


@lru_cache(maxsize=64)
def _bundled(directory: Path, stamp: str) -> Pack:
    """A bundled pack, once a process: to check and assemble it takes longer than a small model takes. All of them are 9 MB."""
    return read_pack(directory)


def read_pack(directory: Path, *, unknown: bool = False) -> Pack:
    """The pack in ``directory``. Raises ``LatlintError`` (LAT901) when it cannot be read or does not hold what it must. With ``unknown``
    a bundled one is looked through like any other, which takes longer than all else of reading it."""
    path = directory / "card.json"
    card, written = read_card(directory)
    blob = read_blob(directory)
    if hashlib.sha256(blob).hexdigest() != card.get("sha256"):
        message = "arrays.bin does not have the hash that the card states; install or build the pack again"
        raise LatlintError(message, code="LAT901", path=str(path))
    look = unknown or written not in known_cards()
    try:
        card, checked = _whole(card, directory.parent / COMMON, look)
        arrays = cards.read_arrays(card, blob)
        if look:
            cards.check(card, arrays, checked)
    except cards.DamagedError as error:
        raise LatlintError(f"damaged pack: {error}", code="LAT901", path=str(path)) from None
    return Pack(card, arrays, written[:8], str(path))


#: The directory, beside those of packs, of what several of them have in common, and how a card names such a part.
COMMON = "common"
#: Bytes that an entry must have to be worth a file.
_LEAST_APART = 256
_NAMED = re.compile(rf"{COMMON}:([0-9a-f]{{64}})")
#: The sections of a card whose entries may be there.
_SECTIONS = ("terms", "covers")


def _whole(card: dict[str, Any], common: Path, look: bool) -> tuple[dict[str, Any], frozenset[tuple[str, str]]]:
    """``card`` with what it has in common with others in its place, and the sections and names of these entries; with ``look`` these are looked
    through. Raises ``DamagedError``."""
    found, checked = dict(card), set()
    for section in _SECTIONS:
        entries = card.get(section)
        if not isinstance(entries, dict):
            continue
        parts = {name: _NAMED.fullmatch(each) for name, each in entries.items() if isinstance(each, str)}
        named = {name: _part(common, f"{match[1]}.json", section, look) for name, match in parts.items() if match}
        found[section] = entries | named
        checked |= {(section, name) for name in named}
    return found, frozenset(checked)


def _found(common: Path, name: str) -> Path:
    """The file ``name`` in ``common``, or the bundled one, which has the same content: a pack that was copied alone is whole with it."""
    beside = common / name
    if beside.exists():
        return beside
    bundled = data_dir("predictors") / COMMON / name
    return bundled if bundled.exists() else beside


@lru_cache(maxsize=64)
def _part(common: Path, name: str, section: str, look: bool) -> Any:
    """What the file ``name`` holds, the same object for all packs. Its name is that of its content, so that it need not be read again, nor, where a
    card that tests have checked names it, looked through."""
    path = _found(common, name)
    found = read_part(path)
    if look:
        cards.check_entry(section, found, f"{COMMON}/{path.name}")
    return found


def _apart(card: Mapping[str, Any], common: Path) -> tuple[dict[str, Any], dict[Path, bytes]]:
    """``card`` with its terms and covers named, and the files that hold them."""
    found, parts = dict(card), {}
    for section in _SECTIONS:
        found[section] = dict(card[section])
        for name, entry in card[section].items():
            text = (json.dumps(entry, separators=(",", ":"), ensure_ascii=False) + "\n").encode()
            if len(text) > _LEAST_APART:
                digest = hashlib.sha256(text).hexdigest()
                parts[common / f"{digest}.json"] = text
                found[section][name] = f"{COMMON}:{digest}"
    return found, parts


def prune_common(root: Path) -> None:
    """Remove what no card in ``root`` names any more of what packs have in common."""
    named = {digest for path in root.glob("*/card.json") for digest in _NAMED.findall(path.read_text("utf-8"))}
    for path in (root / COMMON).glob("*.json"):
        if path.stem not in named:
            path.unlink()


def vocabulary(*models: CostModel) -> dict[str, Any]:
    """A card's ``terms`` and ``features`` for processors that run kernels of ``models``, by kind."""
    terms: dict[str, list[str]] = {}
    for model in models:
        terms.setdefault(model.kind, []).extend(model.names)
    return {"terms": terms, "features": [name for model in models for name in model.feature_names]}


def _format(card: Mapping[str, Any]) -> int:
    """The oldest version of the format that can hold ``card``."""
    kinds = {each["processor"]["kind"] for each in card["processors"].values()}
    beyond = "defaults" in card or any("@" in name for name in card["processors"]) or not kinds <= {*_FIRST_KINDS}
    return FORMAT if beyond or not {*_FIRST_KINDS} <= card["terms"].keys() else 1


#: What format 1 knows, and always has the terms of.
_FIRST_KINDS = ("cpu", "gpu")


def write_pack(pack: Pack, directory: Path, *, common: bool = False) -> None:
    """Write ``card.json`` and ``arrays.bin``, both or, when the disk is full, neither; the same pack gives the same bytes. With ``common``,
    terms and covers are written beside ``directory``, for all packs there that have the same."""
    directory.mkdir(parents=True, exist_ok=True)
    blob = bytearray()
    where: dict[str, Any] = {}
    for name in sorted(pack.arrays):
        array = np.ascontiguousarray(pack.arrays[name])
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        blob.extend(b"\0" * (-len(blob) % 8))
        where[name] = {"offset": len(blob), "dtype": array.dtype.str, "shape": list(array.shape)}
        blob.extend(array.tobytes())
    card = {
        "schema": f"{SCHEMA}{_format(pack.card)}",
        **{key: value for key, value in pack.card.items() if key not in {"schema", "arrays", "sha256"}},
        "sha256": hashlib.sha256(blob).hexdigest(),
        "arrays": where,
    }
    parts: dict[Path, bytes] = {}
    if common:
        (directory.parent / COMMON).mkdir(exist_ok=True)
        card, parts = _apart(card, directory.parent / COMMON)
    text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
    write_whole(parts | {directory / "arrays.bin": bytes(blob), directory / "card.json": text.encode()})
