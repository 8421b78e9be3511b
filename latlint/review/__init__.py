"""What one process says that sees all files of a run, may ask git, and reads what lies beside the configuration: which models became
slower, what the team has accepted, and where a reviewer sees each finding."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from latlint import checks
from latlint.checks.types import SEVERITIES, Comparison, Finding, Leftovers, Line
from latlint.errors import LatlintError
from latlint.globs import covers_target, matches_path
from latlint.latency.types import Prediction
from latlint.outcome import Change, Report
from latlint.review.verdicts import Pair, verdicts
from latlint.settings import BASELINE_FILE, LOCK_FILE, Budget, Settings
from latlint.units import format_change_ms

if TYPE_CHECKING:
    from latlint.review.lock import Key
    from latlint.review.reference import References
    from latlint.review.suppressions import Suppressions


class Review:
    """A run's. ``whole``: the run is about all models, not about some that were named. ``changes``: each model is compared with what it was
    before, budgets or not. Raises LatlintError for a baseline that is
    malformed and for a base that git does not know. What there is not is not imported: most runs have neither lock nor baseline."""

    def __init__(self, settings: Settings, targets: tuple[str, ...], *, whole: bool, changes: bool = False) -> None:
        self._settings, self._targets, self._whole = settings, targets, whole
        self._changes = changes or settings.base is not None
        #: Budgets that have matched no model so far.
        self._idle_budgets = list(settings.budgets) if whole else []
        #: Likewise globs of models, each with the key of the configuration that it stands in.
        self._idle_globs = list(_globs(settings)) if whole else []
        self._suppressions: Suppressions | None = None
        self._lines: Mapping[Key, Line] = {}
        #: What is to be said of the run before it starts.
        self.notes: tuple[str, ...] = ()
        #: The text files that findings may stand in, as the user would name them.
        self.files = [settings.source] if settings.source else []
        if self._has(BASELINE_FILE) or settings.waivers:
            from latlint.review.suppressions import Suppressions

            self._suppressions = Suppressions(settings, targets, whole=whole)
        self._relative = any(budget.max_increase is not None for budget in settings.budgets)
        if self._relative or settings.base is not None:
            self.notes += (f"the base is {self._references.name}",)
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
        compared = self._compared(part)
        relative = {pair: each for pair, each in compared.items() if self._is_relative(each.prediction)}
        increases = [finding for each in relative.values() for finding in checks.compare(each)]
        found = sorted(
            (*part.findings, *increases), key=lambda each: (each.target or "", -SEVERITIES.index(each.severity))
        )
        marked = list(self._suppressions.mark(found, part)) if self._suppressions else found
        changes = {
            pair: change for pair, each in self._explained(part, marked, compared).items() if (change := _change(each))
        }
        findings = [self._on_its_line(self._because(each, changes)) for each in marked]
        judged = verdicts(part.predictions, findings, self._settings, relative, changes)
        return replace(part, findings=tuple(findings), verdicts=judged)

    def finish(self) -> tuple[Finding, ...]:
        """What is to be said of budgets, waivers and the baseline, once every part was seen."""
        found = self._suppressions.leftovers() if self._suppressions else Leftovers(self._settings.source or ".")
        itself = self._references.with_itself if self._relative else None
        found = found._replace(
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

    @cached_property
    def _references(self) -> References:
        from latlint.review.reference import References

        return References(self._settings)

    def _compared(self, part: Report) -> dict[Pair, Comparison]:
        """What is held against what it was before: for relative budgets, or all of it, if that is to be shown."""
        wanted = [each for each in part.predictions if self._changes or (self._relative and self._is_relative(each))]
        return self._comparisons(part, wanted)

    def _comparisons(self, part: Report, wanted: list[Prediction], *, kernels: bool = False) -> dict[Pair, Comparison]:
        if not wanted:
            return {}
        path = part.path(wanted[0].model)
        pairs = zip(wanted, self._references.of(wanted, kernels=kernels), strict=True)
        return {
            (each.model, each.target): Comparison(
                each, path, self._settings, past.latency_ms, past.source, past.is_new, past.gain, past.kernels
            )
            for each, past in pairs
        }

    def _explained(
        self, part: Report, findings: Iterable[Finding], compared: Mapping[Pair, Comparison]
    ) -> Mapping[Pair, Comparison]:
        """``compared``, with what happened to the kernels of each model that breaks a limit."""
        broken = {(each.model, each.target) for each in findings if _breaks_a_limit(each)}
        wanted = [each for each in part.predictions if (each.model, each.target) in broken]
        known = [each for each in wanted if (past := compared.get((each.model, each.target))) and past.kernels]
        read = self._comparisons(part, [each for each in wanted if each not in known], kernels=True)
        return {**compared, **{pair: each for pair, each in read.items() if each.kernels}}

    def _because(self, finding: Finding, changes: Mapping[Pair, Change]) -> Finding:
        """``finding``, about a limit that is broken, with why the model is slower than before; as it is where it is not."""
        change = changes.get((finding.model, finding.target or "")) if _breaks_a_limit(finding) else None
        if change is None or change.base_ms is None or not change.why:
            return finding
        if finding.code != "LAT103":
            more = format_change_ms((finding.latency_ms or 0.0) - change.base_ms)
            headline = f"{finding.headline or finding.message}; {more} since {change.base}"
            finding = replace(finding, headline=headline)
        return finding.because((*change.why, self._see(finding)))

    def _see(self, finding: Finding) -> str:
        """The command that shows all of a change."""
        parts = ("latlint", "diff", "--base", self._references.commit, finding.model, "-t", finding.target or "")
        import shlex  # hardly ever needed

        return f"see {shlex.join(parts)}"

    def _is_relative(self, prediction: Prediction) -> bool:
        budgets = self._settings.budgets_for(prediction.model, prediction.target)
        return any(budget.max_increase is not None for budget in budgets)

    def _on_its_line(self, finding: Finding) -> Finding:
        if finding.target is None or not self._lines:
            return finding
        return replace(finding, line=self._lines.get((self._settings.relative(finding.model), finding.target)))


def _breaks_a_limit(finding: Finding) -> bool:
    """Whether ``finding`` is about a limit for latency that a whole model breaks."""
    about = finding.code.startswith("LAT1") and finding.budget_ms is not None
    return about and not finding.suppressed and finding.target is not None


def _change(comparison: Comparison) -> Change | None:
    """``None`` where the comparison could not be made."""
    from latlint.whatif.causes import reasons

    if comparison.base_ms is None:
        return Change(comparison.base, None) if comparison.is_new else None
    # What is saved is what the latency falls by.
    low_ms, high_ms = (-comparison.gain.high_ms, -comparison.gain.low_ms) if comparison.gain else (None, None)
    changed = comparison.kernels
    if changed is None:
        return Change(comparison.base, comparison.base_ms, low_ms, high_ms)
    before = {
        each.new.kernel.index: each.old.kernel.latency_ms if each.old else None for each in changed.kernels if each.new
    }
    return Change(comparison.base, comparison.base_ms, low_ms, high_ms, reasons(changed), before)


def _globs(settings: Settings) -> Iterator[tuple[str, str]]:
    """Globs of models, each with the key of the configuration that it stands in."""
    yield from (("models", glob) for glob in settings.models)
    yield from (("per-model-ignores", glob) for glob in settings.per_model_ignores)
    yield from dict.fromkeys(("shapes", glob) for glob, shape in settings.shapes if glob != "*")
