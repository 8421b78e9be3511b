"""The way through the house, from paths to a report: read, plan, predict, judge. The command line and Python share it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from latlint import checks
from latlint.checks.types import Finding, fingerprint
from latlint.errors import LatlintError, debugging
from latlint.graph.inputs import dims_text
from latlint.outcome import InputError, Outcome, Report
from latlint.project.configuration import Governing, governing, load
from latlint.project.discovery import find_models
from latlint.project.repository import locate
from latlint.records import NamedTuple
from latlint.run.cache import Cache
from latlint.run.given import Model, files, is_path
from latlint.run.targets import resolve_targets
from latlint.run.work import Task, failure, process_items
from latlint.settings import Settings
from latlint.words import counted

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from latlint.latency.types import Prediction
    from latlint.review import Review


def predict(
    path: Model,
    targets: str | Iterable[str],
    *,
    packs: Sequence[Path] = (),
    shapes: Mapping[str, Sequence[int]] = MappingProxyType({}),
    example_inputs: Any = None,
) -> list[Prediction]:
    """The latency of the model ``path`` on each of ``targets`` (names or globs), sorted by target. It is the path of a file, its content as
    bytes, an ``onnx.ModelProto``, a ``torch.export.ExportedProgram``, or a ``torch.nn.Module`` with ``example_inputs``, a tuple of tensors.

    ``packs`` are directories of device packs besides the bundled ones. ``shapes`` are sizes of inputs that the file leaves open.
    Raises LatlintError for a file that cannot be read, for shapes that it cannot have and for an unknown target.
    """
    patterns = (targets,) if isinstance(targets, str) else tuple(targets)
    stated = [f"{name}={dims_text(dims)}" for name, dims in shapes.items()]
    settings = Settings(targets=patterns, packs=tuple(packs)).with_flags(shapes=stated)
    chosen, _ = resolve_targets(settings)
    with files([path], example_inputs) as named:
        ((file, called),) = named.items()
        outcome = Task(settings, chosen, judge=False)(file, "")
    if error := outcome.error:
        raise LatlintError(error.message, code=error.code, path=called)
    return [each if each.model == called else replace(each, model=called) for each in outcome.predictions]


def check(
    paths: Model | Iterable[Model] = (),
    settings: Settings | None = None,
    *,
    executor: Executor | None = None,
    example_inputs: Any = None,
) -> Report:
    """Lint model files and directories of them, or without ``paths`` what the settings name. What ``predict`` takes for a path is
    taken here too.

    ``settings`` default to those of the configuration that is nearest to each file. A file that cannot be read becomes an error of the
    report and a finding; LatlintError is raised for what concerns the run as a whole, such as an unknown target.

    The predictions of the report have kernels where a limit is broken, to say where the time goes; those of ``predict`` have them all.

    ``executor`` is any ``concurrent.futures.Executor``: its workers need this version of latlint, and the files and packs under the
    same paths. The report is the same as without one.
    """
    governs = None
    if settings is None:
        settings = load()
        governs = governing(settings, load)
    with files(_listed(paths), example_inputs) as named:
        run = Run.prepare(list(named), settings, judge=True, governing=governs)
        return _called(run.report(executor), {file: called for file, called in named.items() if file != called})


def _listed(paths: Model | Iterable[Model]) -> list[Model]:
    """A model, or several: what is of a type that can be iterated over is several, but for text and bytes."""
    if is_path(paths) or isinstance(paths, bytes | bytearray | memoryview) or not isinstance(paths, Iterable):
        return [paths]
    return list(paths)


def _called(report: Report, names: Mapping[str, str]) -> Report:
    """``report`` with models that lay in files of their own by what they are called; a fingerprint is of a path, and they have none."""
    if not names:
        return report
    return replace(
        report,
        predictions=tuple(replace(each, model=names.get(each.model, each.model)) for each in report.predictions),
        findings=tuple(
            replace(each, model=names[each.model], fingerprint="") if each.model in names else each
            for each in report.findings
        ),
        errors=tuple(each._replace(path=names.get(each.path, each.path)) for each in report.errors),
        paths={names.get(file, file): names.get(file, place) for file, place in report.paths.items()},
    )


def predict_files(paths: Iterable[str], settings: Settings) -> Report:
    """A report of predictions alone, kernels included."""
    return Run.prepare(paths, settings, judge=False).report()


#: Where a format asks for kernels of predictions that break no limit, it gets those of so many predictions: a run holds them all at a time.
MOST_KERNELS = 1000


class Group(NamedTuple):
    """What is done with the files that one configuration governs: ``review`` with their reports, where rules look at models."""

    task: Task
    review: Review | None = None


class Run(NamedTuple):
    """Which files a run is about and what is done with each: known before any of them is opened.

    ``members`` has the group of each file, and the file as given or found. ``empty`` is the report of no file: targets, notes and paths of the run.
    """

    groups: tuple[Group, ...]
    members: tuple[tuple[Group, str], ...]
    empty: Report

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
        changes: bool = False,
        governing: Governing | None = None,
        own: bool = False,
    ) -> Run:
        """A run over ``paths``; see ``Task`` for the rest, and ``Review`` for ``changes``. Raises ``LatlintError`` for what concerns the run as a whole.

        Each file goes by the settings that ``governing`` says, or all by ``settings``; with ``own``, those that go by others are left out.
        """
        named = list(paths)
        files, skipped = find_models(named, settings, governing)
        owners = [governing(file) if governing else settings for file in files]
        others = Counter(each.source for each in owners if each is not settings)
        notes = [*skipped, *(_governed(source, count, own) for source, count in others.items())]
        if own:
            files = [file for file, owner in zip(files, owners, strict=True) if owner is settings]
            owners = [settings] * len(files)
        groups: dict[int, Group] = {}
        located: dict[str, str] = {}
        for each in {
            id(each): each for each in ([] if owners and not settings.source else [settings]) + owners
        }.values():
            targets, assumed = resolve_targets(each)
            notes += (*each.notes, *assumed)
            review = None
            if judge:
                from latlint.review import Review

                checks.refuse_unknown_rules(each)
                review = Review(each, tuple(target.name for target in targets), whole=not named, changes=changes)
                notes += review.notes
                located |= locate(review.files, each)
            groups[id(each)] = Group(Task(each, targets, judge, hashed, cache, kernels), review)
        names = sorted({target.name for group in groups.values() for target in group.task.targets})
        located |= locate(files, settings)
        empty = Report(
            predictions=(),
            files=len(files),
            targets=tuple(names),
            notes=tuple(dict.fromkeys(notes)),
            paths=located,
            fail_on=settings.fail_on,
        )
        members = ((groups[id(owner)], file) for owner, file in zip(owners, files, strict=True))
        return cls(tuple(groups.values()), tuple(members), empty)

    @property
    def files(self) -> tuple[str, ...]:
        """Its files, as given or found."""
        return tuple(file for _, file in self.members)

    def parts(self, executor: Executor | None = None, *, jobs: int = 1) -> Iterator[Report]:
        """A report for each file, in order, as soon as it is known, worked out by ``executor``, by ``jobs`` processes, or here; and
        where rules look at models, one more for what can be said only then."""
        spare = MOST_KERNELS
        for (group, file), outcome in zip(self.members, self._outcomes(executor, jobs), strict=True):
            if group.task.judge and group.task.kernels:
                spare -= len(outcome.predictions)
                outcome = outcome if spare >= 0 else outcome.without_kernels()
            yield self._reviewed(group, file, outcome)
        for group in self.groups:
            if group.review and (rest := group.review.finish()):
                yield replace(self.empty, findings=rest, files=0, fail_on=group.task.settings.fail_on)

    def _outcomes(self, executor: Executor | None, jobs: int) -> Iterator[Outcome]:
        """The outcome of each file, in order. Files of one group that follow each other are worked on together."""
        for _, together in groupby(self.members, key=lambda pair: id(pair[0])):
            pairs = list(together)
            task = pairs[0][0].task
            items = [(file, self.empty.paths[file]) for _, file in pairs]
            if executor is None and (jobs == 1 or len(items) == 1 < len(self.members)):
                yield from (outcome for item in items for outcome in process_items(task, [item]))
            else:
                from latlint.run.pool import run_on

                yield from run_on(executor, task, items, jobs=jobs)

    def report(self, executor: Executor | None = None, *, jobs: int = 1) -> Report:
        """The report of all files."""
        return self.empty.joined(self.parts(executor, jobs=jobs))

    def _reviewed(self, group: Group, file: str, outcome: Outcome) -> Report:
        part = self._part(group, file, outcome)
        try:
            return group.review.apply(part) if group.review else part
        except LatlintError as error:
            return self._part(group, file, Outcome(error=InputError(file, error.code, error.message)))
        except Exception as error:  # as in process_items
            if debugging():
                raise
            return self._part(group, file, failure(file, error))

    def _part(self, group: Group, file: str, outcome: Outcome) -> Report:
        error = outcome.error
        findings = (_input_finding(error, self.empty.paths[file]),) if error else outcome.findings
        return replace(
            self.empty,
            predictions=outcome.predictions,
            findings=findings,
            errors=(error,) if error else (),
            files=1,
            fail_on=group.task.settings.fail_on,
        )


def _governed(source: str | None, count: int, own: bool) -> str:
    """That another configuration is in force for ``count`` files of a run, or that they are left to it."""
    models = counted(count, "model")
    return f"{source} governs {models}, left out here: run this beside it" if own else f"{source} governs {models}"


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
