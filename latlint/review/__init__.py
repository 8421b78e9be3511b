"""What one process says that sees all files of a run, may ask git, and reads what lies beside the configuration: which models became
slower, what the team has accepted, and where a reviewer sees each finding."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from latlint import checks
from latlint.checks.types import SEVERITIES, Comparison, Finding, Leftovers, Line
from latlint.errors import LatlintError
from latlint.globs import covers_target, matches_path
from latlint.latency.types import Prediction
from latlint.outcome import Report
from latlint.review.verdicts import Pair, verdicts
from latlint.settings import BASELINE_FILE, LOCK_FILE, Budget, Settings

if TYPE_CHECKING:
    from latlint.review.lock import Key
    from latlint.review.reference import References
    from latlint.review.suppressions import Suppressions


class Review:
    """A run's. ``whole``: the run is about all models, not about some that were named. Raises LatlintError for a baseline that is
    malformed and for a base that git does not know. What there is not is not imported: most runs have neither lock nor baseline."""

    def __init__(self, settings: Settings, targets: tuple[str, ...], *, whole: bool) -> None:
        self._settings, self._targets, self._whole = settings, targets, whole
        #: Budgets that have matched no model so far.
        self._idle_budgets = list(settings.budgets) if whole else []
        #: Likewise globs of models, each with the key of the configuration that it stands in.
        self._idle_globs = list(_globs(settings)) if whole else []
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
        elif settings.base is not None:
            self.notes += (f"base '{settings.base}' has no effect: no budget has max-increase",)
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

    def apply(self, part: Report) -> Report:
        """``part``, the report of one file, with what is to be added to it."""
        for file in {*(each.model for each in part.predictions), *(each.path for each in part.errors)}:
            path = self._settings.relative(file)
            self._idle_budgets = [each for each in self._idle_budgets if not matches_path(each.model, path)]
            self._idle_globs = [each for each in self._idle_globs if not matches_path(each[1], path)]
        increases, comparisons = self._increases(part)
        found = sorted(
            (*part.findings, *increases), key=lambda each: (each.target or "", -SEVERITIES.index(each.severity))
        )
        marked = self._suppressions.mark(found, part) if self._suppressions else found
        findings = [self._on_its_line(each) for each in marked]
        judged = verdicts(part.predictions, findings, self._settings, comparisons)
        return replace(part, findings=tuple(findings), verdicts=judged)

    def finish(self) -> tuple[Finding, ...]:
        """What is to be said of budgets, waivers and the baseline, once every part was seen."""
        found = self._suppressions.leftovers() if self._suppressions else Leftovers(self._settings.source or ".")
        itself = self._references.with_itself if self._references else None
        found = replace(
            found,
            unused_budgets=self._unused_budgets(),
            unused_globs=tuple(self._idle_globs),
            compared_with_itself=itself,
        )
        return tuple(checks.sweep(found, self._settings)) if found else ()

    def _unused_budgets(self) -> tuple[Budget, ...]:
        """Budgets that match no model, though the run has looked at all models, and at a target that they are for."""
        if not self._whole:
            return ()
        asked = (each for each in self._idle_budgets if any(covers_target(each.target, name) for name in self._targets))
        return tuple(each for each in asked if each.model != "*")

    def _increases(self, part: Report) -> tuple[list[Finding], dict[Pair, Comparison]]:
        """What relative budgets find, and what they compare."""
        relative = [each for each in part.predictions if self._is_relative(each)]
        if self._references is None or not relative:
            return [], {}
        path = part.path(relative[0].model)
        pairs = zip(relative, self._references.of(relative), strict=True)
        comparisons = [
            Comparison(each, path, self._settings, past.latency_ms, past.source, past.is_new, past.gain, past.why)
            for each, past in pairs
        ]
        findings = [finding for each in comparisons for finding in checks.compare(each)]
        return findings, {(each.prediction.model, each.prediction.target): each for each in comparisons}

    def _is_relative(self, prediction: Prediction) -> bool:
        if self._references is None:
            return False
        budgets = self._settings.budgets_for(prediction.model, prediction.target)
        return any(budget.max_increase is not None for budget in budgets)

    def _on_its_line(self, finding: Finding) -> Finding:
        if finding.target is None or not self._lines:
            return finding
        return replace(finding, line=self._lines.get((self._settings.relative(finding.model), finding.target)))


def _globs(settings: Settings) -> Iterator[tuple[str, str]]:
    """Globs of models, each with the key of the configuration that it stands in."""
    yield from (("models", glob) for glob in settings.models)
    yield from (("per-model-ignores", glob) for glob in settings.per_model_ignores)
    yield from dict.fromkeys(("shapes", glob) for glob, shape in settings.shapes if glob != "*")
