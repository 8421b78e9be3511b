"""Device packs: a JSON card that a human can read, and one file of arrays. Data only: loading one runs no code.

``predictors/<device>/card.json`` describes the device, its processors and where each array lies in ``arrays.bin``, whose SHA-256
it holds. A pack whose arrays do not match its card is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latlint.errors import LatlintError
from latlint.files import write_whole
from latlint.latency import cards, gpu_model
from latlint.latency.catalogue import SCHEMA, find_targets, read_blob, read_card
from latlint.latency.trees import Forest
from latlint.runtime.types import Processor

__all__ = ["SCHEMA", "Pack", "Target", "load_targets", "read_pack", "vocabulary", "write_pack"]


@dataclass(frozen=True)
class Pack:
    """One device: its ``card`` (see ``cards`` for the keys) and its arrays, by name. ``revision`` stands for both, as they were
    read: eight hexadecimal digits."""

    card: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]] = field(repr=False)
    revision: str = ""
    _forests: dict[str, Forest] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def device(self) -> str:
        return str(self.card["device"])

    def forest(self, name: str) -> Forest | None:
        """The forest of a class of kernels, such as ``gpu/conv``, or ``None`` where there is none."""
        depth = self.card.get("forests", {}).get(name)
        if depth is None:
            return None
        if name not in self._forests:
            parts = {part: self.arrays[f"{name}/{part}"] for part in cards.FOREST_PARTS}
            self._forests[name] = Forest(**parts, depth=int(depth))
        return self._forests[name]

    def targets(self) -> list[Target]:
        return [Target(f"{self.device}/{name}", self, name) for name in sorted(self.card["processors"])]


@dataclass(frozen=True, slots=True)
class Target:
    """``device/processor``, such as ``pixel-4/gpu``: what a prediction is for."""

    name: str
    pack: Pack
    key: str

    @property
    def device(self) -> str:
        return self.pack.device

    @property
    def card(self) -> Mapping[str, Any]:
        """The processor's part of the pack's card."""
        found: Mapping[str, Any] = self.pack.card["processors"][self.key]
        return found

    @property
    def processor(self) -> Processor:
        return Processor(name=self.key, **self.card["processor"])


def load_targets(directories: Iterable[Path] = ()) -> dict[str, Target]:
    """All targets of the bundled packs and of ``directories``, sorted by name (see ``catalogue.find_targets``).

    Raises ``LatlintError`` (LAT901) for a directory without packs and for a pack that is damaged.
    """
    return {target.name: target for target in targets_in(find_targets(directories))}


def targets_in(found: Mapping[str, Path]) -> list[Target]:
    """The targets named by ``found``, in its order, with the packs in its directories. Raises ``LatlintError`` (LAT901)."""
    packs = {directory: read_pack(directory) for directory in dict.fromkeys(found.values())}
    return [Target(name, packs[directory], name.partition("/")[2]) for name, directory in found.items()]


def read_pack(directory: Path) -> Pack:
    """The pack in ``directory``. Raises ``LatlintError`` (LAT901) when it cannot be read or does not hold what it must."""
    path = directory / "card.json"
    card, written = read_card(directory)
    blob = read_blob(directory)
    if hashlib.sha256(blob).hexdigest() != card.get("sha256"):
        message = "arrays.bin does not have the hash that the card states; install or build the pack again"
        raise LatlintError(message, code="LAT901", path=str(path))
    try:
        arrays = cards.read_arrays(card, blob)
        cards.check(card, arrays)
        return _in_our_order(card, arrays, written[:8])
    except cards.DamagedError as error:
        raise LatlintError(f"damaged pack: {error}", code="LAT901", path=str(path)) from None


def _in_our_order(card: Mapping[str, Any], arrays: cards.Arrays, revision: str) -> Pack:
    """The pack with costs and features in the order of this version, whatever their order where it was built."""
    ordered = dict(arrays)
    order = {kind: [card["terms"][kind].index(name) for name in names] for kind, names in cards.TERMS.items()}
    for processor in card["processors"].values():
        ordered[processor["theta"]] = arrays[processor["theta"]][order[processor["processor"]["kind"]]]
    index = np.array([gpu_model.FEATURES.index(name) for name in card["features"]], np.uint8)
    for forest in card["forests"]:
        ordered[f"{forest}/feature"] = index[arrays[f"{forest}/feature"]]
    return Pack({**card, **vocabulary()}, ordered, revision)


def vocabulary() -> dict[str, Any]:
    """The names by which a card tells which cost and which feature is which."""
    return {
        "terms": {kind: list(terms) for kind, terms in cards.TERMS.items()},
        "features": list(gpu_model.FEATURES),
    }


def write_pack(pack: Pack, directory: Path) -> None:
    """Write ``card.json`` and ``arrays.bin``, both or, when the disk is full, neither; the same pack gives the same bytes."""
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
        **{key: value for key, value in pack.card.items() if key not in {"arrays", "sha256"}},
        "sha256": hashlib.sha256(blob).hexdigest(),
        "arrays": where,
    }
    text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
    write_whole({directory / "arrays.bin": bytes(blob), directory / "card.json": text.encode()})
