"""What was said of a file before: outcomes by content, in a per-user directory, so that an unchanged model costs a hash.

An entry's name is the SHA-256 of all that the outcome depends on: the file, its path, the settings, the packs, this program. So entries
never go stale, and two processes that write one write the same. Entries are JSON and checked when they are read: what is cut,
damaged or of another shape counts as not there, and so does a directory that cannot be read or written. The cache never fails a run.
Directories and entries are the user's alone, and only files that have the names of entries are ever removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from latlint import __version__
from latlint.checks.types import Finding
from latlint.data import data_dir
from latlint.files import read_bounded, write_whole
from latlint.graph.types import ByteRange
from latlint.latency.types import Footprint, KernelPrediction, PartitionPrediction, Prediction
from latlint.outcome import InputError, Outcome
from latlint.records import NamedTuple

#: What all entries may take together; the least recently used make room for a quarter of it.
MAX_BYTES = 256_000_000
#: One entry; a larger one is quicker to work out than to read.
MAX_ENTRY_BYTES = 16_000_000

#: No other program gives such names: the directory may hold what is not latlint's. The second form is of a file that was not finished.
_SUFFIX = ".latlint"
_ENTRY = rf"[0-9a-f]{{62}}{re.escape(_SUFFIX)}|\.[0-9a-f]{{62}}{re.escape(_SUFFIX)}\.[0-9]+\.tmp"

#: An int may stand for a float, as an annotation has it.
_SCALARS: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (float, int), "bool": (bool,)}
_RECORDS: dict[str, type] = {
    each.__name__: each
    for each in (Outcome, Prediction, Footprint, KernelPrediction, PartitionPrediction, Finding, ByteRange, InputError)
}


class Cache(NamedTuple):
    """Outcomes by key in files of ``directory``."""

    directory: Path

    def find(self, key: str) -> Outcome | None:
        """The outcome that was stored under ``key``, if it is there and whole."""
        path = self._path(key)
        try:
            entry = read_bounded(path, MAX_ENTRY_BYTES)
            digest, _, body = entry.partition(b"\n")
            if digest != _digest(body):
                return None
            outcome = _decoded("Outcome", json.loads(body))
        except (OSError, ValueError, RecursionError):
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        assert isinstance(outcome, Outcome)
        return outcome

    def store(self, key: str, outcome: Outcome) -> None:
        """Keep ``outcome`` under ``key``, whole or not at all; what cannot be kept is not."""
        try:
            body = json.dumps(_encoded(outcome), separators=(",", ":"), allow_nan=False).encode()
        except (TypeError, ValueError):  # a number that is none, or of NumPy's
            return
        if len(body) > MAX_ENTRY_BYTES - 100:
            return
        path = self._path(key)
        try:
            _make_private(path.parent)
            write_whole({path: _digest(body) + b"\n" + body}, mode=0o600)
        except OSError:
            return
        # Looking through all entries takes time: one store in 256 does.
        if key.startswith("00"):
            self.shrink()

    def shrink(self) -> None:
        """Remove the entries that were not used for longest where all take more than ``MAX_BYTES`` together."""
        found = sorted(_sizes(self.directory), reverse=True)
        if sum(size for _, size, _ in found) <= MAX_BYTES:
            return
        kept = 0
        for _, size, path in found:
            kept += size
            if kept > MAX_BYTES * 3 // 4:
                with contextlib.suppress(OSError):
                    path.unlink()

    def _path(self, key: str) -> Path:
        return self.directory / key[:2] / f"{key[2:]}{_SUFFIX}"


def user_cache() -> Cache | None:
    """The cache of this user: ``LATLINT_CACHE_DIR``, or ``latlint`` where the platform keeps caches; none for a user without a home."""
    if named := os.environ.get("LATLINT_CACHE_DIR"):
        return Cache(Path(named))
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home raises where there is no home
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        # A relative path here is invalid (XDG Base Directory Specification).
        named = os.environ.get("XDG_CACHE_HOME", "")
        base = Path(named) if os.path.isabs(named) else home / ".cache"  # noqa: PTH117
    return Cache(base / "latlint") if base.is_absolute() else None


def key_of(*parts: str) -> str:
    """The name of the entry for ``parts`` and this program: 64 hexadecimal digits."""
    return hashlib.sha256("\0".join((*_program(), *parts)).encode("utf-8", "surrogatepass")).hexdigest()


@cache
def _program() -> tuple[str, ...]:
    """The version, and the sizes of the source files, for versions between releases; in a checkout, which changes under the same
    version, also their times."""
    package = Path(__file__).parent.parent
    checkout = data_dir("rules").parent != package / "_data"
    sources = sorted((*_sources(os.fspath(package)), *_sources(os.fspath(data_dir("rules")))))
    return (__version__, *(f"{path}:{size}:{time if checkout else 0}" for path, size, time in sources))


def _sources(top: str, inside: str = "") -> Iterable[tuple[str, int, int]]:
    with os.scandir(top) as entries:
        for entry in entries:
            if entry.name.endswith((".py", ".toml")):
                status = entry.stat()
                yield inside + entry.name, status.st_size, status.st_mtime_ns
            elif entry.name != "__pycache__" and entry.is_dir(follow_symlinks=False):
                yield from _sources(entry.path, f"{inside}{entry.name}/")


def _make_private(directory: Path) -> None:
    """Make ``directory`` and what is missing above it, for this user alone whatever the umask."""
    if not directory.is_dir():
        _make_private(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)


def _sizes(directory: Path) -> Iterable[tuple[float, int, Path]]:
    """Last use, size and path of every entry of the cache."""
    for number in range(256):
        part = directory / f"{number:02x}"
        try:
            found = [] if part.is_symlink() else list(os.scandir(part))
        except OSError:
            continue
        for file in found:
            with contextlib.suppress(OSError):
                if re.fullmatch(_ENTRY, file.name) and file.is_file(follow_symlinks=False):
                    status = file.stat(follow_symlinks=False)
                    yield status.st_mtime, status.st_size, Path(file.path)


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


def _encoded(value: Any) -> Any:
    """``value`` of a type of ``_RECORDS`` as JSON has it: a list of its fields."""
    if isinstance(value, tuple):
        return [_encoded(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _encoded(item) for key, item in value.items()}
    names = _fields(type(value).__name__)
    return [_encoded(getattr(value, name)) for name, _ in names] if names else value


def _decoded(kind: str, value: Any) -> Any:
    """What ``_encoded`` made ``value`` of, a value of the type that is written ``kind``. Raises ValueError."""
    if kind.endswith(" | None"):
        return None if value is None else _decoded(kind.removesuffix(" | None"), value)
    if kind in _SCALARS:
        if type(value) not in _SCALARS[kind]:
            raise ValueError(f"expected {kind}")
        return value
    if kind.startswith("Mapping["):
        if not isinstance(value, dict):
            raise ValueError("expected an object")
        item = kind.removeprefix("Mapping[str, ").removesuffix("]")
        return {key: _decoded(item, each) for key, each in value.items()}
    if not isinstance(value, list):
        raise ValueError("expected a list")
    if kind.startswith("tuple["):
        item = kind.removeprefix("tuple[").removesuffix(", ...]")
        return tuple([_decoded(item, each) for each in value])
    names = _fields(kind)
    return _RECORDS[kind](*[_decoded(each, item) for (_, each), item in zip(names, value, strict=True)])


@cache
def _fields(kind: str) -> tuple[tuple[str, str], ...]:
    """Names and written types of a record's fields; empty for what is none."""
    return tuple(_RECORDS[kind].__annotations__.items()) if kind in _RECORDS else ()
