"""The way through the house, from paths to a report: read, plan, predict, judge. The command line and Python share it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from latlint import checks
from latlint.checks.types import Finding, Subject, fingerprint
from latlint.configuration import load
from latlint.discovery import find_models
from latlint.errors import LatlintError
from latlint.patterns import select_ops, select_targets
from latlint.report.types import InputError, Report
from latlint.repository import locate
from latlint.settings import Settings
from latlint.shapes import dims_text
from latlint.verdicts import verdicts

if TYPE_CHECKING:
    from latlint.graph.types import Graph
    from latlint.latency.packs import Target
    from latlint.latency.types import Prediction
    from latlint.runtime.types import Processor


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
    chosen, _ = _chosen_targets(settings)
    return [subject.prediction for subject in _subjects(os.fspath(path), "", chosen, settings)]


def check(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (), settings: Settings | None = None
) -> Report:
    """Lint model files and directories of them, or without ``paths`` what the settings name.

    ``settings`` default to those of the nearest configuration file. A file that cannot be read becomes an error of the
    report and a finding; LatlintError is raised for what concerns the run as a whole, such as an unknown target.
    """
    settings = load() if settings is None else settings
    named = (paths,) if isinstance(paths, str | os.PathLike) else paths
    return _run([os.fspath(path) for path in named], settings, judge=True)


def predict_files(paths: Iterable[str], settings: Settings) -> Report:
    """A report of predictions alone, kernels included, for `latlint predict`."""
    return _run(paths, settings, judge=False)


def _run(paths: Iterable[str], settings: Settings, *, judge: bool) -> Report:
    files, skipped = find_models(paths, settings)
    targets, assumed = _chosen_targets(settings)
    if judge:
        checks.refuse_unknown_rules(settings)
    paths_in_repository = locate(files, settings)
    predictions: list[Prediction] = []
    findings: list[Finding] = []
    errors: list[InputError] = []
    for file in files:
        try:
            subjects = (_judged if judge else _predicted)(file, paths_in_repository[file], targets, settings)
        except LatlintError as error:
            errors.append(InputError(file, error.code, error.message))
            findings.append(_input_finding(errors[-1], paths_in_repository[file]))
        except Exception as error:
            error.add_note(f"while working on {file}")
            raise
        else:
            for prediction, found in subjects:
                predictions.append(prediction)
                findings.extend(found)
    return Report(
        predictions=tuple(predictions),
        findings=tuple(findings),
        errors=tuple(errors),
        files=len(files),
        targets=tuple(target.name for target in targets),
        verdicts=verdicts(predictions, findings, settings) if judge else (),
        notes=(*settings.notes, *assumed, *skipped),
        paths=paths_in_repository,
    )


_Judged = list[tuple["Prediction", list[Finding]]]


def _predicted(file: str, path: str, targets: Sequence[Target], settings: Settings) -> _Judged:
    return [(subject.prediction, []) for subject in _subjects(file, path, targets, settings)]


def _judged(file: str, path: str, targets: Sequence[Target], settings: Settings) -> _Judged:
    judged: _Judged = []
    for subject in _subjects(file, path, targets, settings):
        found = _located(checks.run(subject), subject.graph)
        judged.append((subject.prediction if found else replace(subject.prediction, kernels=()), found))
    return judged


def _located(findings: list[Finding], graph: Graph) -> list[Finding]:
    """The findings with the place in the file of the first node that each names."""
    wanted = {finding.nodes[0] for finding in findings if finding.nodes}
    places = {node.name: node.location for node in graph.nodes if node.name in wanted}
    return [
        replace(finding, location=places.get(finding.nodes[0])) if finding.nodes else finding for finding in findings
    ]


def _subjects(file: str, path: str, targets: Sequence[Target], settings: Settings) -> Iterator[Subject]:
    """``file`` read once, planned and measured out once for each kind of processor, and predicted for each target.

    ``path`` is where it lies in its repository.
    """
    from latlint.graph import read
    from latlint.latency import engine
    from latlint.runtime import plan

    graph = read(file, settings.input_shapes(file))
    sha256 = _sha256(file)
    works: dict[tuple[str, ...], engine.Workload] = {}
    for target in targets:
        key = _planning_key(target.processor)
        if key not in works:
            works[key] = engine.workload(plan(graph, target.processor))
        work = works[key]
        prediction = engine.predict(graph, work.plan, target, model=file, sha256=sha256, work=work)
        yield Subject(graph, work.plan, target, prediction, settings, path)


def _planning_key(processor: Processor) -> tuple[str, ...]:
    """What a plan depends on: core configurations of one CPU share theirs."""
    return processor.runtime, processor.kind, processor.vendor, processor.generation, processor.precision


def _sha256(file: str) -> str:
    try:
        with Path(file).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise LatlintError(f"cannot be read: {error.strerror}", code="LAT005", path=file) from None


def _chosen_targets(settings: Settings) -> tuple[list[Target], tuple[str, ...]]:
    from latlint.latency.packs import load_targets

    known = load_targets(settings.packs)
    patterns, notes = settings.chosen_targets()
    names = select_targets(patterns, known)
    for budget in settings.budgets:
        select_targets((budget.target,), known)
        if budget.op:
            select_ops(budget.op)
    return [known[name] for name in names], notes


def _input_finding(error: InputError, path: str) -> Finding:
    rule = checks.by_code(error.code)
    return Finding(
        code=error.code,
        name=rule.rule.name if rule else "input",
        severity="error",
        model=error.path,
        message=error.message,
        fingerprint=fingerprint(error.code, path),
    )
