"""What is done with one file of a run: read, plan, predict, judge. A ``Task`` goes to other processes and machines."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from latlint.cache import Cache, key_of
from latlint.errors import LatlintError
from latlint.graph import opened
from latlint.report.types import InputError, Outcome
from latlint.settings import Settings

if TYPE_CHECKING:
    from latlint.checks.types import Finding, Subject
    from latlint.graph.types import Graph
    from latlint.latency.packs import Target
    from latlint.runtime.types import Processor

#: Larger files are hashed only for those who ask for the hash: the graph of one is read sooner than all of it.
HASHED_BYTES = 64_000_000


#: A file as given, and where it lies in its repository.
Item = tuple[str, str]


@dataclass(frozen=True, slots=True)
class TargetPack:
    """A target by name, with the directory and the hash of its pack."""

    name: str
    directory: Path
    pack_hash: str


@dataclass(frozen=True, slots=True)
class Task:
    """What is done with each file of a run, in plain values.

    ``judge``: whether rules look at the predictions; where none finds anything, a prediction then has no kernels. ``hashed``: whether
    files above ``HASHED_BYTES`` are hashed; the ``sha256`` of one that is not is empty, and its outcome is not kept in the ``cache``.
    """

    settings: Settings
    targets: tuple[TargetPack, ...]
    judge: bool
    hashed: bool = True
    cache: Cache | None = None

    def __call__(self, file: str, path: str) -> Outcome:
        """The outcome for ``file``, as given, which lies at ``path`` in its repository. Raises ``LatlintError`` for a damaged
        pack, which concerns the run as a whole."""
        key = ""
        try:
            with opened(os.fspath(self.settings.start / file), file) as model:
                sha256 = model.sha256() if self.hashed or len(model.data) <= HASHED_BYTES else ""
                if self.cache and sha256:
                    key = self._key(sha256, file, path)
                    if known := self.cache.find(key):
                        return known
                graph = model.graph(self.settings.input_shapes(file))
        except LatlintError as error:
            return _failed(file, error)
        targets = _loaded(self.targets)
        try:
            outcome = self._outcome(self.subjects(graph, targets, file, path, sha256))
        except LatlintError as error:
            return _failed(file, error)
        if self.cache and key:
            self.cache.store(key, outcome)
        return outcome

    def subjects(self, graph: Graph, targets: Sequence[Target], file: str, path: str, sha256: str) -> Iterator[Subject]:
        """``graph`` planned and measured out once for each kind of processor, and predicted for each target."""
        from latlint.checks.types import Subject
        from latlint.latency import engine
        from latlint.runtime import plan

        works: dict[tuple[str, ...], engine.Workload] = {}
        for target in targets:
            key = _planning_key(target.processor)
            if key not in works:
                works[key] = engine.workload(plan(graph, target.processor))
            work = works[key]
            prediction = engine.predict(graph, work.plan, target, model=file, sha256=sha256, work=work)
            yield Subject(graph, work.plan, target, prediction, self.settings, path)

    def _outcome(self, subjects: Iterator[Subject]) -> Outcome:
        if not self.judge:
            return Outcome(tuple(subject.prediction for subject in subjects))
        from latlint import checks

        predictions, findings = [], []
        for subject in subjects:
            found = _located(checks.run(subject), subject.graph)
            predictions.append(subject.prediction if found else replace(subject.prediction, kernels=()))
            findings += found
        return Outcome(tuple(predictions), tuple(findings))

    def _key(self, sha256: str, file: str, path: str) -> str:
        """Of all that the outcome depends on. The settings have more than that, which costs a few entries and forgets nothing."""
        packs = (f"{target.name}:{target.pack_hash}" for target in self.targets)
        return key_of(sha256, file, path, repr(self.settings), str(self.judge), *packs)


def done(task: Task, items: Iterable[Item]) -> list[Outcome]:
    """The outcome of each item, worked out here. Raises ``LatlintError`` for what concerns the run as a whole."""
    outcomes = []
    for file, path in items:
        try:
            outcomes.append(task(file, path))
        except LatlintError:
            raise
        except Exception as error:
            error.add_note(f"while working on {file}")
            raise
    return outcomes


def _failed(file: str, error: LatlintError) -> Outcome:
    return Outcome(error=InputError(file, error.code, error.message))


@lru_cache(maxsize=1)
def _loaded(targets: tuple[TargetPack, ...]) -> list[Target]:
    from latlint.latency.packs import targets_in

    return targets_in({target.name: target.directory for target in targets})


def _planning_key(processor: Processor) -> tuple[str, ...]:
    """What a plan depends on: core configurations of one CPU share theirs."""
    return processor.runtime, processor.kind, processor.vendor, processor.generation, processor.precision


def _located(findings: list[Finding], graph: Graph) -> list[Finding]:
    """The findings with the place in the file of the first node that each names."""
    wanted = {finding.nodes[0] for finding in findings if finding.nodes}
    places = {node.name: node.location for node in graph.nodes if node.name in wanted}
    return [
        replace(finding, location=places.get(finding.nodes[0])) if finding.nodes else finding for finding in findings
    ]
