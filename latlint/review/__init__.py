"""What one process says that sees all files of a run, may ask git, and reads what lies beside the configuration: which models became
slower, what the team has accepted, and where a reviewer sees each finding."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from latlint import checks
from latlint.checks import budget_increase, no_reference
from latlint.checks.types import SEVERITIES, Finding, Line
from latlint.errors import LatlintError
from latlint.latency.types import Prediction
from latlint.outcome import Report
from latlint.review.verdicts import Pair, verdicts
from latlint.settings import BASELINE_FILE, LOCK_FILE, Settings
from latlint.units import rounded

if TYPE_CHECKING:
    from latlint.review.lock import Key
    from latlint.review.reference import References
    from latlint.review.suppressions import Suppressions


class Review:
    """A run's. ``whole``: the run is about all models, not about some that were named. Raises LatlintError for a baseline that is
    malformed and for a base that git does not know. What there is not is not imported: most runs have neither lock nor baseline."""

    def __init__(self, settings: Settings, targets: tuple[str, ...], *, whole: bool) -> None:
        self._settings = settings
        self._suppressions: Suppressions | None = None
        self._references: References | None = None
        self._lines: Mapping[Key, Line] = {}
        #: What is to be said of the run before it starts.
        self.notes: tuple[str, ...] = ()
        #: The text files that findings may stand in, as the user would name them.
        self.files = [settings.source] if settings.source else []
        if self._has(BASELINE_FILE) or settings.waivers:
            from latlint.review.suppressions import Suppressions

            self._suppressions = Suppressions(settings, targets, whole=whole)
        if any(budget.max_increase is not None for budget in settings.budgets):
            from latlint.review.reference import References

            self._references = References(settings)
            self.notes += (f"max-increase compares with {self._references.name}",)
        if self._has(LOCK_FILE):
            from latlint.review import lock

            try:
                self._lines = lock.lines(settings)
            except LatlintError as error:  # `latlint lock --check` is who minds
                self.notes += (f"{error.path}: {error.message}",)

    def _has(self, name: str) -> bool:
        """Whether there is a file of that name beside the configuration, which is one that findings may stand in then."""
        path = self._settings.root / name
        if os.path.lexists(path):  # whatever it is: its reader says what is wrong with it
            self.files.append(os.path.relpath(path).replace(os.sep, "/"))
            return True
        return False

    def of(self, part: Report) -> Report:
        """``part``, the report of one file, with what is to be added to it."""
        increases, limits = self._increases(part)
        found = sorted(
            (*part.findings, *increases), key=lambda each: (each.target or "", -SEVERITIES.index(each.severity))
        )
        marked = self._suppressions.mark(found, part) if self._suppressions else found
        findings = [self._on_its_line(each) for each in marked]
        judged = verdicts(part.predictions, findings, self._settings, limits)
        return replace(part, findings=tuple(findings), verdicts=judged)

    def rest(self) -> tuple[Finding, ...]:
        """What is to be said of waivers and the baseline, once every part was seen."""
        return tuple(checks.graded_all(self._suppressions.idle(), self._settings)) if self._suppressions else ()

    def _increases(self, part: Report) -> tuple[list[Finding], dict[Pair, float]]:
        """What relative budgets find, and the limits that they come to."""
        findings: list[Finding] = []
        limits: dict[Pair, float] = {}
        relative = [each for each in part.predictions if self._is_relative(each)]
        if self._references is None or not relative:
            return findings, limits
        path = part.path(relative[0].model)
        for prediction, (base_ms, told) in zip(relative, self._references.of(relative), strict=True):
            if base_ms is None:
                findings.append(no_reference.found(prediction, path, told))
            elif tightest := budget_increase.tightest(prediction, self._settings, base_ms):
                limits[prediction.model, prediction.target] = rounded(tightest[0])
                findings += budget_increase.found(prediction, path, *tightest, base_ms, told)
        return checks.graded_all(findings, self._settings), limits

    def _is_relative(self, prediction: Prediction) -> bool:
        if self._references is None:
            return False
        budgets = self._settings.budgets_for(prediction.model, prediction.target)
        return any(budget.max_increase is not None for budget in budgets)

    def _on_its_line(self, finding: Finding) -> Finding:
        if finding.target is None or not self._lines:
            return finding
        return replace(finding, line=self._lines.get((self._settings.relative(finding.model), finding.target)))
