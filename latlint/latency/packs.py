"""Device packs: a JSON card that a human can read, and one file of arrays. Data only: loading one runs no code.

``predictors/<device>/card.json`` describes the device, its processors and where each array lies in ``arrays.bin``, whose SHA-256
it holds. A pack whose arrays do not match its card is refused.
"""

from __future__ import annotations

import difflib
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
from latlint.latency.trees import Forest
from latlint.runtime.types import Processor

SCHEMA = "latlint.pack/1"
_FOREST_ARRAYS = ("feature", "number", "left", "right", "roots")


@dataclass(frozen=True)
class Pack:
    """One device: its ``card`` (see ``docs/adding-a-device.md`` for the keys) and its arrays, by name."""

    card: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]] = field(repr=False)

    @property
    def device(self) -> str:
        return str(self.card["device"])

    def forest(self, name: str) -> Forest | None:
        """The forest of a class of kernels, such as ``gpu/conv``, or ``None`` where there is none."""
        depth = self.card.get("forests", {}).get(name)
        if depth is None:
            return None
        return Forest(**{part: self.arrays[f"{name}/{part}"] for part in _FOREST_ARRAYS}, depth=int(depth))

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
        cards = sorted({*root.glob("card.json"), *root.glob("*/card.json")})
        if not cards and root not in (data_dir("predictors"),):
            raise LatlintError(f"{root}: no device pack here; expected a card.json", code="LAT901", path=str(root))
        for card in cards:
            found.update({target.name: target for target in read_pack(card.parent).targets()})
    return dict(sorted(found.items()))


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The known target names that look most like ``name``."""
    return difflib.get_close_matches(name, list(known), n=count, cutoff=0.4)


def read_pack(directory: Path) -> Pack:
    """The pack in ``directory``. Raises ``LatlintError`` (LAT901) when card and arrays do not fit each other."""
    path = directory / "card.json"
    try:
        card = json.loads(path.read_text("utf-8"))
        blob = (directory / "arrays.bin").read_bytes()
    except (OSError, ValueError) as error:
        raise LatlintError(f"cannot be read: {error}", code="LAT901", path=str(path)) from None
    if not isinstance(card, dict) or card.get("schema") != SCHEMA:
        raise LatlintError(f"not a device pack: expected schema {SCHEMA}", code="LAT901", path=str(path))
    if hashlib.sha256(blob).hexdigest() != card.get("sha256"):
        message = "arrays.bin does not have the hash that the card states; install or build the pack again"
        raise LatlintError(message, code="LAT901", path=str(path))
    try:
        arrays = {name: _array(blob, **where) for name, where in card["arrays"].items()}
        pack = Pack(card, arrays)
        for target in pack.targets():
            target.processor  # noqa: B018 - a card that does not describe its processors fails here, with its name
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LatlintError(f"damaged pack: {error}", code="LAT901", path=str(path)) from None
    return pack


def _array(blob: bytes, offset: int, dtype: str, shape: list[int]) -> NDArray[Any]:
    count = int(np.prod(shape, dtype=np.int64))
    return np.frombuffer(blob, dtype=np.dtype(dtype), count=count, offset=offset).reshape(shape)


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
