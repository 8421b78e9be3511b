"""``latlint.baseline``: findings that were there when a team started, or that it has accepted since, one line each.

A line is ``MODEL TARGET CODE FINGERPRINT LATENCY``::

    models/net.tflite pixel-4/gpu LAT101 0f1e2d3c4b5a6978 12.31ms

``LATENCY`` is that of a finding about a budget: it covers the finding until the model is slower than that. Others have ``-``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from latlint.checks.types import Finding
from latlint.review import records
from latlint.settings import BASELINE_FILE, Settings
from latlint.units import four_digits, rounded

_REMARK = "Findings that are accepted. For review; do not edit: `latlint baseline` writes it, `latlint baseline --prune` only removes."

#: Not what a baseline is for: files that cannot be read, the configuration, and what is said of one change alone.
_NEVER = re.compile(r"LAT00\d|LAT9\d\d|LAT104")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line; ``number`` is that of the line where it was read."""

    model: str
    target: str
    code: str
    fingerprint: str
    latency_ms: float | None = None
    number: int = 0

    def fields(self) -> tuple[str, ...]:
        """The fields of the line."""
        latency = "-" if self.latency_ms is None else f"{four_digits(self.latency_ms)}ms"
        return self.model, self.target, self.code, self.fingerprint, latency

    @property
    def identity(self) -> tuple[str, ...]:
        """What it is about, whatever the latency."""
        return self.model, self.target, self.code, self.fingerprint

    def is_about(self, finding: Finding) -> bool:
        """Whether it names the finding, whatever the latency."""
        return (self.target, self.code, self.fingerprint) == (finding.target, finding.code, finding.fingerprint)

    def covers(self, finding: Finding) -> bool:
        """Whether it names the finding and the model has not become slower since."""
        return self.is_about(finding) and (
            self.latency_ms is None or finding.latency_ms is None or rounded(finding.latency_ms) <= self.latency_ms
        )


def entry(finding: Finding, settings: Settings) -> Entry | None:
    """The line that covers ``finding``, or ``None`` for one that no baseline may cover."""
    if finding.target is None or _NEVER.fullmatch(finding.code):
        return None
    latency_ms = None if finding.budget_ms is None or finding.latency_ms is None else rounded(finding.latency_ms)
    return Entry(settings.relative(finding.model), finding.target, finding.code, finding.fingerprint, latency_ms)


def path_of(settings: Settings) -> Path:
    """Where the baseline is: beside the configuration."""
    return settings.root / BASELINE_FILE


def read(settings: Settings) -> list[Entry] | None:
    """The entries of the baseline, or ``None`` where there is none. Raises LatlintError (LAT903) for one that is malformed."""
    path = path_of(settings)
    text = records.read(path)
    return None if text is None else parsed(text, records.display_path(path))


_SHAPE = (
    ("a rule", re.compile(r"LAT\d{3}")),
    ("a fingerprint", re.compile(r"[0-9a-f]{16}")),
    ("a latency", re.compile(rf"-|({records.NUMBER})ms")),
)


def parsed(text: str, path: str) -> list[Entry]:
    """The entries in ``text``, in the order of its lines."""
    found = []
    for number, fields in records.records(text, "baseline", path):
        matches = records.matched(fields, 2, _SHAPE, number, path, "baseline")
        code, fingerprint, latency = (match[0] for match in matches)
        latency_ms = None if latency == "-" else float(matches[2][1])
        found.append(Entry(fields[0], fields[1], code, fingerprint, latency_ms, number))
    return found


def to_text(entries: Iterable[Entry]) -> str:
    """The text of a baseline."""
    return records.to_text("baseline", _REMARK, (entry.fields() for entry in entries))
