"""The way through the house, from paths to a report: read, plan, predict, judge. The command line and Python share it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from latlint import checks
from latlint.checks.types import Finding, fingerprint
from latlint.errors import LatlintError, debugging
from latlint.graph.inputs import dims_text
from latlint.outcome import InputError, Outcome, Report
from latlint.project.configuration import load
from latlint.project.discovery import find_models
from latlint.project.repository import locate
from latlint.run.cache import Cache
from latlint.run.targets import resolve_targets
from latlint.run.work import Task, failure, process_items
from latlint.settings import Settings

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from latlint.latency.types import Prediction
    from latlint.review import Review


def predict(
    path: str | os.PathLike[str],
    targets: str | Iterable[str],
    *,
    packs: Sequence[Path] = (),
    shapes: Mapping[str, Sequence[int]] = MappingProxyType({}),
) -> list[Prediction]:
    """The latency of the model file ``path`` on each of ``targets`` (names or globs), sorted by target.

    ``packs`` are directories of device packs besides the bundled ones. ``shapes`` are sizes of inputs that the file leaves open.
    Raises LatlintError for a file that cannot be read, for shapes that it cannot have and for an unknown target.
    """
    patterns = (targets,) if isinstance(targets, str) else tuple(targets)
    stated = [f"{name}={dims_text(dims)}" for name, dims in shapes.items()]
    settings = Settings(targets=patterns, packs=tuple(packs)).with_flags(shapes=stated)
    chosen, _ = resolve_targets(settings)
    outcome = Task(settings, chosen, judge=False)(os.fspath(path), "")
    if error := outcome.error:
        raise LatlintError(error.message, code=error.code, path=error.path)
    return list(outcome.predictions)


def check(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
    settings: Settings | None = None,
    *,
    executor: Executor | None = None,
) -> Report:
    """Lint model files and directories of them, or without ``paths`` what the settings name.

    ``settings`` default to those of the nearest configuration file. A file that cannot be read becomes an error of the
    report and a finding; LatlintError is raised for what concerns the run as a whole, such as an unknown target.

    The predictions of the report have kernels where a limit is broken, to say where the time goes; those of ``predict`` have them all.

    ``executor`` is any ``concurrent.futures.Executor``: its workers need this version of latlint, and the files and packs under the
    same paths. The report is the same as without one.
    """
    settings = load() if settings is None else settings
    named = (paths,) if isinstance(paths, str | os.PathLike) else paths
    return Run.prepare([os.fspath(path) for path in named], settings, judge=True).report(executor)


def predict_files(paths: Iterable[str], settings: Settings) -> Report:
    """A report of predictions alone, kernels included."""
    return Run.prepare(paths, settings, judge=False).report()


#: Where a format asks for kernels of predictions that break no limit, it gets those of so many predictions: a run holds them all at a time.
MOST_KERNELS = 1000


@dataclass(frozen=True, slots=True)
class Run:
    """Which files a run is about and what is done with each: known before any of them is opened.

    ``empty`` is the report of no file: targets, notes and paths of the run. ``review`` is what is done with each report where rules look
    at models.
    """

    files: tuple[str, ...]
    task: Task
    empty: Report
    review: Review | None = None

    @classmethod
    def prepare(
        cls,
        paths: Iterable[str],
        settings: Settings,
        *,
        judge: bool,
        hashed: bool = True,
        cache: Cache | None = None,
        kernels: bool = False,
    ) -> Run:
        """A run over ``paths``; see ``Task`` for the rest. Raises ``LatlintError`` for what concerns the run as a whole."""
        named = list(paths)
        files, skipped = find_models(named, settings)
        targets, assumed = resolve_targets(settings)
        names = tuple(target.name for target in targets)
        notes = (*settings.notes, *assumed, *skipped)
        located = locate(files, settings)
        review = None
        if judge:
            from latlint.review import Review

            checks.refuse_unknown_rules(settings)
            review = Review(settings, names, whole=not named)
            notes += review.notes
            located |= locate(review.files, settings)
        empty = Report(predictions=(), files=len(files), targets=names, notes=notes, paths=located)
        return cls(tuple(files), Task(settings, targets, judge, hashed, cache, kernels), empty, review)

    def parts(self, executor: Executor | None = None, *, jobs: int = 1) -> Iterator[Report]:
        """A report for each file, in order, as soon as it is known, worked out by ``executor``, by ``jobs`` processes, or here; and
        where rules look at models, one more for what can be said only then."""
        items = [(file, self.empty.paths[file]) for file in self.files]
        if executor is None and jobs == 1:
            outcomes: Iterator[Outcome] = (outcome for item in items for outcome in process_items(self.task, [item]))
        else:
            from latlint.run.pool import run_on

            outcomes = run_on(executor, self.task, items, jobs=jobs)
        spare = MOST_KERNELS
        for (file, path), outcome in zip(items, outcomes, strict=True):
            if self.task.judge and self.task.kernels:
                spare -= len(outcome.predictions)
                outcome = outcome if spare >= 0 else outcome.without_kernels()
            yield self._reviewed(file, path, outcome)
        if self.review and (rest := self.review.finish()):
            yield replace(self.empty, findings=rest, files=0)

    def report(self, executor: Executor | None = None, *, jobs: int = 1) -> Report:
        """The report of all files."""
        return self.empty.joined(self.parts(executor, jobs=jobs))

    def _reviewed(self, file: str, path: str, outcome: Outcome) -> Report:
        part = self._part(file, path, outcome)
        try:
            return self.review.apply(part) if self.review else part
        except LatlintError:
            raise
        except Exception as error:  # as in process_items
            if debugging():
                raise
            return self._part(file, path, failure(file, error))

    def _part(self, file: str, path: str, outcome: Outcome) -> Report:
        error = outcome.error
        findings = (_input_finding(error, path),) if error else outcome.findings
        return replace(
            self.empty,
            predictions=outcome.predictions,
            findings=findings,
            errors=(error,) if error else (),
            files=1,
        )


def _input_finding(error: InputError, path: str) -> Finding:
    rule = checks.by_code(error.code)
    return Finding(
        code=error.code,
        name=rule.rule.name if rule else "input",
        severity="error",
        model=error.path,
        message=error.message,
        help_uri=rule.rule.page if rule else "",
        fingerprint=fingerprint(error.code, path),
    )
