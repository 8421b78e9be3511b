"""What one process says that sees all files of a run, may ask git, and reads what lies beside the configuration: which models became
slower, what the team has accepted, and where a reviewer sees each finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from latlint import baseline, checks, lock, records
from latlint.checks import budget_increase, no_reference
from latlint.checks.types import SEVERITIES, Finding, Line
from latlint.errors import LatlintError
from latlint.latency.types import Prediction
from latlint.reference import References
from latlint.report.types import Report
from latlint.repository import locate
from latlint.settings import Settings
from latlint.suppressions import Suppressions
from latlint.verdicts import Pair, verdicts


class Review:
    """A run's. ``whole``: the run is about all models, not about some that were named. Raises LatlintError for a baseline that is
    malformed and for a base that git does not know."""

    def __init__(self, settings: Settings, targets: tuple[str, ...], *, whole: bool) -> None:
        self._settings = settings
        self._suppressions = Suppressions(settings, targets, whole=whole)
        relative = any(budget.max_increase is not None for budget in settings.budgets)
        self._references = References(settings) if relative else None
        self._lines, complaints = _lines_of_lock(settings)
        compared = [f"max-increase compares with {self._references.name}"] if self._references else []
        #: What is to be said of the run before it starts.
        self.notes = (*compared, *complaints)

    def paths(self) -> dict[str, str]:
        """Where the text files lie in their repository that findings may stand in."""
        files = (self._settings.source, baseline.path_of(self._settings), lock.path_of(self._settings))
        names = [records.shown(file) if isinstance(file, Path) else file for file in files if file]
        return locate(names, self._settings)

    def of(self, part: Report) -> Report:
        """``part``, the report of one file, with what is to be added to it."""
        increases, limits = self._increases(part)
        found = sorted(
            (*part.findings, *increases), key=lambda each: (each.target or "", -SEVERITIES.index(each.severity))
        )
        findings = [self._on_its_line(each) for each in self._suppressions.mark(found, part)]
        judged = verdicts(part.predictions, findings, self._settings, limits)
        return replace(part, findings=tuple(findings), verdicts=judged)

    def rest(self) -> tuple[Finding, ...]:
        """What is to be said of waivers and the baseline, once every part was seen."""
        return tuple(checks.graded_all(self._suppressions.idle(), self._settings))

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
                limits[prediction.model, prediction.target] = lock.rounded(tightest[0])
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


def _lines_of_lock(settings: Settings) -> tuple[Mapping[lock.Key, Line], list[str]]:
    """Where the lock speaks of each model and target, and what is wrong with it: `latlint lock --check` is who minds."""
    try:
        return lock.lines(settings), []
    except LatlintError as error:
        return {}, [f"{error.path}: {error.message}"]
