"""What a team has accepted: waivers in the configuration and the baseline beside it. Which findings they cover, and which of them
cover none any more."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

from latlint import checks
from latlint.checks.types import Accepted, Finding, Leftovers, Line
from latlint.errors import LatlintError
from latlint.globs import covers_target, matches_path
from latlint.outcome import Report
from latlint.review import baseline, records
from latlint.settings import BASELINE_FILE, Settings, Waiver
from latlint.units import format_ms, rounded


class Suppressions:
    """The waivers and the baseline of a run, which goes by ``targets``. ``whole``: it is about all models, not about some that were named.

    Raises LatlintError for a baseline that is malformed (LAT903) and for a SOURCE_DATE_EPOCH that is none.
    """

    def __init__(self, settings: Settings, targets: tuple[str, ...], *, whole: bool) -> None:
        self._settings, self._targets, self._whole = settings, targets, whole
        self._today = _today(settings)
        self._in_force = [waiver for waiver in settings.waivers if not _expired(waiver, self._today)]
        self._codes = {waiver.code: {rule.code for rule in checks.named(waiver.code)} for waiver in self._in_force}
        self._needed: set[Waiver] = set()
        self._left: dict[str, list[baseline.Entry]] = {}
        for entry in (baseline.read(settings) or []) if settings.use_baseline else []:
            self._left.setdefault(entry.fingerprint, []).append(entry)
        self._read: set[str] = set()
        self._unread: set[str] = set()

    def mark(self, findings: Iterable[Finding], part: Report) -> Iterator[Finding]:
        """``findings``, those on the files of ``part``, with what covers them."""
        self._read.update(self._settings.relative(prediction.model) for prediction in part.predictions[:1])
        self._unread.update(self._settings.relative(error.path) for error in part.errors)
        for finding in findings:
            finding = self._waived(finding)
            yield finding if finding.suppressed else self._accepted(finding)

    def leftovers(self) -> Leftovers:
        """The waivers that have expired, and the waivers and entries that cover nothing, though the run has looked."""
        waivers = self._settings.waivers
        unused = [each for each in self._in_force if each not in self._needed and self._looked_for(each)]
        path = records.display_path(baseline.path_of(self._settings))
        left = (entry for entries in self._left.values() for entry in entries if self._looked_at(entry))
        return Leftovers(
            self._settings.source or ".",
            expired_waivers=tuple(each for each in waivers if each not in self._in_force),
            unused_waivers=tuple(unused),
            unused_entries=tuple(_accepted(entry, path) for entry in sorted(left, key=lambda entry: entry.number)),
        )

    def _waived(self, finding: Finding) -> Finding:
        about = [waiver for waiver in self._in_force if self._is_about(waiver, finding)]
        self._needed.update(about)
        if covering := next((waiver for waiver in about if _covers(waiver, finding)), None):
            return replace(finding, suppressed=True, justification=_justification(covering))
        if about:
            limit_ms = max(waiver.max_ms or 0.0 for waiver in about)
            return finding.with_remark(f"the waiver is for {format_ms(limit_ms)} at most")
        return finding

    def _is_about(self, waiver: Waiver, finding: Finding) -> bool:
        return (
            finding.target is not None
            and finding.code in self._codes[waiver.code]
            and covers_target(waiver.target, finding.target)
            and matches_path(waiver.model, self._settings.relative(finding.model))
        )

    def _accepted(self, finding: Finding) -> Finding:
        """The finding, covered by an entry of the baseline, which covers no other then."""
        candidates = self._left.get(finding.fingerprint, [])
        about = [entry for entry in candidates if entry.is_about(finding)]
        if not about:
            return finding
        entry = next((entry for entry in about if entry.covers(finding)), about[0])
        candidates.remove(entry)
        if entry.covers(finding):
            return replace(finding, suppressed=True, justification=f"accepted in {BASELINE_FILE}")
        return finding.with_remark(f"{BASELINE_FILE} accepts {format_ms(entry.latency_ms or 0.0)} at most")

    def _looked_at(self, entry: baseline.Entry) -> bool:
        """Whether the run would have found what the entry is about; a model that is gone has no findings."""
        model = entry.model in self._read or (self._whole and entry.model not in self._unread)
        return model and entry.target in self._targets and checks.would_run(entry.code, self._settings)

    def _looked_for(self, waiver: Waiver) -> bool:
        """Whether the run would have found whatever the waiver may be for."""
        matching = {path for path in self._read | self._unread if matches_path(waiver.model, path)}
        models = bool(matching or self._whole) and not matching & self._unread
        targets = any(covers_target(waiver.target, target) for target in self._targets)
        return models and targets and checks.would_run(waiver.code, self._settings)


def _accepted(entry: baseline.Entry, path: str) -> Accepted:
    line = Line(path, entry.number, len(" ".join(map(records.quoted, entry.fields()))))
    return Accepted(entry.model, entry.target, entry.code, entry.fingerprint, line)


def _covers(waiver: Waiver, finding: Finding) -> bool:
    return waiver.max_ms is None or finding.latency_ms is None or rounded(finding.latency_ms) <= waiver.max_ms


def _justification(waiver: Waiver) -> str:
    """``waived: needs the new chip (owner: ada; until 2027-01-31)``."""
    facts = [f"owner: {waiver.owner}" if waiver.owner else "", f"until {waiver.expires}" if waiver.expires else ""]
    known = "; ".join(filter(None, facts))
    return f"waived: {waiver.reason}" + (f" ({known})" if known else "")


def _expired(waiver: Waiver, today: date | None) -> bool:
    return waiver.expires is not None and today is not None and waiver.expires < today


def _today(settings: Settings) -> date | None:
    """The day that waivers expire by, in UTC; ``None`` when none does, so that no clock is looked at.

    ``--today`` states it, or else ``SOURCE_DATE_EPOCH`` (https://reproducible-builds.org/specs/source-date-epoch/).
    """
    if not any(waiver.expires for waiver in settings.waivers):
        return None
    if settings.today is not None:
        return settings.today
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    try:
        return (datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)).date()
    except (ValueError, OverflowError, OSError):
        raise LatlintError(
            f"malformed SOURCE_DATE_EPOCH '{epoch}': expected seconds since 1970, such as 1767225600", code="LAT901"
        ) from None
