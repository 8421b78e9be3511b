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

from latlint.data import data_dir
from latlint.errors import LatlintError
from latlint.latency import cards, gpu_model
from latlint.latency.trees import Forest
from latlint.runtime.types import Processor

SCHEMA = "latlint.pack/1"
#: Far more than any pack needs.
MAX_CARD_BYTES = 8_000_000
MAX_ARRAYS_BYTES = 64_000_000


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
    """All targets of the bundled packs and of ``directories`` (each one pack, or a directory of packs), sorted by name.

    A pack given later replaces the targets of the same name. Raises ``LatlintError`` (LAT901) for a directory without packs and
    for a pack that is damaged.
    """
    found: dict[str, Target] = {}
    for root in (data_dir("predictors"), *directories):
        paths = sorted({*root.glob("card.json"), *root.glob("*/card.json")})
        if not paths and root not in (data_dir("predictors"),):
            raise LatlintError(f"{root}: no device pack here; expected a card.json", code="LAT901", path=str(root))
        for path in paths:
            found.update({target.name: target for target in read_pack(path.parent).targets()})
    return dict(sorted(found.items()))


def read_pack(directory: Path) -> Pack:
    """The pack in ``directory``. Raises ``LatlintError`` (LAT901) when it cannot be read or does not hold what it must."""
    path = directory / "card.json"
    try:
        written = _bytes(path, MAX_CARD_BYTES)
        card = json.loads(written, parse_constant=_refuse)
        blob = _bytes(directory / "arrays.bin", MAX_ARRAYS_BYTES)
    except RecursionError:
        raise LatlintError("cannot be read: nested too deeply", code="LAT901", path=str(path)) from None
    except OSError as error:
        raise LatlintError(f"cannot be read: {error.strerror or error}", code="LAT901", path=str(path)) from None
    except ValueError as error:
        raise LatlintError(f"not a device pack: {error}", code="LAT901", path=str(path)) from None
    if not isinstance(card, dict) or card.get("schema") != SCHEMA:
        raise LatlintError(f"not a device pack: expected schema {SCHEMA}", code="LAT901", path=str(path))
    if hashlib.sha256(blob).hexdigest() != card.get("sha256"):
        message = "arrays.bin does not have the hash that the card states; install or build the pack again"
        raise LatlintError(message, code="LAT901", path=str(path))
    try:
        arrays = cards.read_arrays(card, blob)
        cards.check(card, arrays)
        return _in_our_order(card, arrays, hashlib.sha256(written).hexdigest()[:8])
    except cards.DamagedError as error:
        raise LatlintError(f"damaged pack: {error}", code="LAT901", path=str(path)) from None


def _bytes(path: Path, limit: int) -> bytes:
    if path.exists() and not path.is_file():
        raise ValueError(f"{path.name} is not a file")
    if path.stat().st_size > limit:
        raise ValueError(f"{path.name} has more than {limit} bytes")
    return path.read_bytes()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


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
    """Write ``card.json`` and ``arrays.bin``; the same pack gives the same bytes."""
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
    (directory / "arrays.bin").write_bytes(blob)
    (directory / "card.json").write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", "utf-8")
