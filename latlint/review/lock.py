"""``latlint.lock``: what every model was predicted to take on every target when it was last looked at, one line each.

A line is ``MODEL TARGET LATENCY LOW..HIGH COVERAGE OPS HASH PACK``::

    models/net.tflite pixel-4/gpu 5.864ms 5.381..6.371ms coverage=100% conv2d=51%,overhead=31%,mean=2% sha256=0f1e2d3c4b5a6978 pack=0.1.0+89abcdef

``HIGH`` is left out where the latency is a lower bound. ``OPS`` are the three kinds of op that take most, with their share of the latency. ``HASH`` is the beginning of the model's SHA-256;
``PACK`` the version of latlint and the revision of the device pack that the numbers come from, with ``+as-w8a8`` where a float model is
predicted as if converted.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from latlint import __version__
from latlint.checks.types import Line
from latlint.latency.types import Prediction
from latlint.review import records
from latlint.settings import LOCK_FILE, Settings
from latlint.units import four_digits, rounded

#: A line's identity: the model's path from the directory of the configuration, and the target.
Key = tuple[str, str]

_REMARK = "What models were predicted to take. For review; do not edit: `latlint lock` writes it, `latlint lock --check` compares."
_SHOWN_OPS = 3
_AS_IF = "+as-"
_HASH_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. Times have four significant digits, as written."""

    model: str
    target: str
    latency_ms: float
    low_ms: float
    high_ms: float | None
    coverage: float
    ops: tuple[tuple[str, float], ...]
    sha256: str
    pack: str

    @property
    def key(self) -> Key:
        return self.model, self.target

    def fields(self) -> tuple[str, ...]:
        """The fields of the line."""
        return (
            self.model,
            self.target,
            f"{four_digits(self.latency_ms)}ms",
            f"{four_digits(self.low_ms)}..{'' if self.high_ms is None else four_digits(self.high_ms)}ms",
            f"coverage={self.coverage:.0%}",
            ",".join(f"{op}={share:.0%}" for op, share in self.ops) or "-",
            f"sha256={self.sha256}",
            f"pack={self.pack}",
        )


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that was read: its entries, the number of each one's line, and the text. ``path`` is as the user would name it."""

    path: str
    entries: Mapping[Key, Entry]
    lines: Mapping[Key, int]
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """How a model on a target differs from its line: ``old`` or ``new`` is missing where a line is to come or to go."""

    old: Entry | None
    new: Entry | None

    @property
    def key(self) -> Key:
        present = self.new or self.old
        assert present is not None
        return present.key

    @property
    def kind(self) -> str:
        """``added``, ``removed`` or ``changed``."""
        return "added" if self.old is None else "removed" if self.new is None else "changed"

    @property
    def cause(self) -> str:
        """What the numbers changed with: the ``model``, the ``predictor`` (latlint or its device pack), or else the ``settings``."""
        if self.old is None or self.new is None:
            return ""
        if self.old.sha256 != self.new.sha256:
            return "model"
        old, new = (each.pack.partition(_AS_IF)[0] for each in (self.old, self.new))
        return "predictor" if old != new else "settings"


def entry(prediction: Prediction, settings: Settings) -> Entry:
    """The line of one prediction with its kernels."""
    return Entry(
        model=settings.relative(prediction.model),
        target=prediction.target,
        latency_ms=rounded(prediction.latency_ms),
        low_ms=rounded(prediction.low_ms),
        high_ms=None if prediction.high_ms is None else rounded(prediction.high_ms),
        coverage=round(prediction.coverage, 2),
        ops=_ops(prediction),
        sha256=prediction.sha256[:_HASH_DIGITS],
        pack=pack_of(prediction),
    )


def pack_of(prediction: Prediction) -> str:
    """What a prediction rests on besides the model: ``0.1.0+89abcdef``, and the precision that it is as if converted to."""
    return f"{__version__}+{prediction.pack}" + (f"{_AS_IF}{prediction.precision}" if prediction.as_if else "")


def _ops(prediction: Prediction) -> tuple[tuple[str, float], ...]:
    spent: dict[str, float] = defaultdict(float)
    for kernel in prediction.kernels:
        spent[kernel.op] += kernel.latency_ms
    spent["overhead"] += prediction.overhead_ms
    total = prediction.latency_ms or 1.0
    most = sorted((op for op in spent if spent[op] > 0), key=lambda op: (-spent[op], op))[:_SHOWN_OPS]
    return tuple((op, round(spent[op] / total, 2)) for op in most)


def to_text(entries: Iterable[Entry]) -> str:
    """The text of a lock."""
    return records.to_text("lock", _REMARK, (entry.fields() for entry in entries))


def path_of(settings: Settings) -> Path:
    """Where the lock is: beside the configuration."""
    return settings.root / LOCK_FILE


def read(settings: Settings) -> Lock | None:
    """The lock of the working tree, or ``None``. Raises LatlintError (LAT903) for one that is malformed."""
    path = path_of(settings)
    text = records.read(path)
    return None if text is None else parsed(text, records.display_path(path))


def lines(settings: Settings) -> dict[Key, Line]:
    """Where the lock speaks of each model and target; nothing where there is no lock."""
    found = read(settings)
    if found is None:
        return {}
    texts = found.text.split("\n")
    return {key: Line(found.path, number, len(texts[number - 1])) for key, number in found.lines.items()}


_MS = rf"({records.NUMBER})"
_SHAPE = (
    ("a latency", re.compile(rf"{_MS}ms")),
    ("an interval", re.compile(rf"{_MS}\.\.{_MS}?ms")),
    ("a coverage", re.compile(r"coverage=([0-9]{1,3})%")),
    ("shares of ops", re.compile(r"(-|\w+=[0-9]{1,3}%(?:,\w+=[0-9]{1,3}%)*)")),
    ("a hash", re.compile(rf"sha256=([0-9a-f]{{{_HASH_DIGITS}}})")),
    ("a pack", re.compile(r"pack=(.+)")),
)


def parsed(text: str, path: str) -> Lock:
    """The lock in ``text``. Raises LatlintError (LAT903) that names the line and what is wrong with it."""
    entries: dict[Key, Entry] = {}
    lines: dict[Key, int] = {}
    for number, fields in records.records(text, "lock", path):
        found = _entry(fields, number, path)
        if found.key in entries:
            wrong = f"is a second line for the same model and target (the first is line {lines[found.key]})"
            raise records.MalformedError(path, number, wrong, "lock")
        entries[found.key] = found
        lines[found.key] = number
    return Lock(path, entries, lines, text)


def _entry(fields: list[str], number: int, path: str) -> Entry:
    matches = records.matched(fields, 2, _SHAPE, number, path, "lock")
    latency, low, high, coverage, ops, sha256, pack = (group for match in matches for group in match.groups())
    shares = tuple((op, int(share) / 100) for op, share in re.findall(r"(\w+)=([0-9]+)%", ops))
    return Entry(
        fields[0],
        fields[1],
        float(latency),
        float(low),
        float(high) if high else None,
        int(coverage) / 100,
        shares,
        sha256,
        pack,
    )


def changes(old: Mapping[Key, Entry], new: Mapping[Key, Entry]) -> list[Change]:
    """What turns the entries ``old`` into ``new``, in the order of the lines."""
    differing = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    return [Change(old.get(key), new.get(key)) for key in differing]
