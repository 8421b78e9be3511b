"""What is done with one file of a run: read, plan, predict, judge. A ``Task`` goes to other processes and machines."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from latlint.errors import INTERNAL, LatlintError, debugging, internal_error_text
from latlint.graph import opened
from latlint.outcome import InputError, Outcome
from latlint.records import NamedTuple, replace
from latlint.run.cache import Cache, key_of
from latlint.run.targets import TargetPack, load_packs
from latlint.settings import Settings

if TYPE_CHECKING:
    from latlint.checks.types import Finding
    from latlint.graph.types import Graph
    from latlint.latency.packs import NamedTarget, Target
    from latlint.latency.types import Footprint, Prediction
    from latlint.runtime.types import Plan

#: Larger files are not hashed for the cache: the graph of one is read sooner than all of it.
HASHED_BYTES = 64_000_000

#: A file as given, and where it lies in its repository.
Item = tuple[str, str]


class Task(NamedTuple):
    """What is done with each file of a run, in plain values.

    ``judge``: whether rules look at the predictions; where no limit is broken, a prediction then has no kernels, unless
    ``kernels`` asks for those of all. ``hashed``: whether every file is hashed. Otherwise those up to ``HASHED_BYTES`` are, for the
    ``cache``; the ``sha256`` of one that is not is empty, and its outcome is not kept.
    """

    settings: Settings
    targets: tuple[TargetPack, ...]
    judge: bool
    hashed: bool = True
    cache: Cache | None = None
    kernels: bool = False

    def __call__(self, file: str, path: str) -> Outcome:
        """The outcome for ``file``, as given, which lies at ``path`` in its repository. Raises ``LatlintError`` for a damaged
        pack, which concerns the run as a whole."""
        key = ""
        packs = [f"{target.name}:{target.pack_hash}" for target in self.targets] if self.cache else []
        try:
            with opened(os.fspath(self.settings.start / file), file) as model:
                wanted = self.hashed or (self.cache and model.source.size <= HASHED_BYTES)
                sha256 = model.sha256() if wanted else ""
                if self.cache and sha256:
                    key = self._key(sha256, file, path, packs)
                    if known := self.cache.find(key):
                        return known
                graph = model.graph(self.settings.input_shapes(file), self.settings.precision)
                size = model.source.size
        except LatlintError as error:
            return _failed(file, error)
        targets = load_packs(self.targets)
        try:
            outcome = self._outcome(graph, path, predict_graph(graph, targets, file, sha256, self._named), size)
        except LatlintError as error:
            return _failed(file, error)
        if self.cache and key:
            self.cache.store(key, outcome)
        return outcome

    @property
    def _named(self) -> frozenset[str]:
        """Targets that the user named, not by a glob."""
        return frozenset((*self.settings.targets, *(budget.target for budget in self.settings.budgets)))

    def _outcome(self, graph: Graph, path: str, found: Iterator[tuple[Prediction, Plan, Target]], size: int) -> Outcome:
        taken: dict[int, tuple[Graph, Footprint]] = {}

        def measured(prediction: Prediction, plan: Plan) -> Prediction:
            """With what the model takes beside time, worked out once for each graph that it is planned as."""
            from latlint.latency.footprint import footprint

            planned = plan.converted.graph if plan.converted else graph
            if id(planned) not in taken:
                taken[id(planned)] = planned, footprint(graph, size, planned)
            return replace(prediction, footprint=taken[id(planned)][1])

        if not self.judge:
            return Outcome(tuple(measured(*each[:2]) for each in found))
        from latlint import checks
        from latlint.checks.types import Subject

        predictions: list[Prediction] = []
        findings: list[Finding] = []
        held = any(any(budget.resources.values()) for budget in self.settings.budgets)
        judged: dict[str, tuple[Subject, list[Finding]]] = {}
        pack = None
        for prediction, plan, target in found:
            if held:
                prediction = measured(prediction, plan)
            subject = Subject(graph, plan, target, prediction, self.settings, path)
            if target.pack is not pack:  # as in predict_graph
                pack, judged = target.pack, {}
            if target.key in judged:
                remarks = checks.run_again(subject, *judged[target.key])
            else:
                remarks = checks.run(subject)
                judged[target.key] = subject, remarks
            one = Outcome((prediction,), tuple(remarks))
            predictions += (one if self.kernels else one.without_kernels()).predictions
            findings += remarks
        return Outcome(tuple(predictions), tuple(_located(findings, graph)))

    def _key(self, sha256: str, file: str, path: str, packs: Sequence[str]) -> str:
        """Of all that the outcome depends on. The settings have more than that, which costs a few entries and forgets nothing."""
        return key_of(sha256, file, path, repr(self.settings), str((self.judge, self.kernels)), *packs)


def process_items(task: Task, items: Iterable[Item]) -> list[Outcome]:
    """The outcome of each item, worked out here. What fails inside one file, whatever it is, is that file's error: it must not take the
    findings of all others with it. Raises ``LatlintError`` for what concerns the run as a whole."""
    outcomes = []
    for file, path in items:
        try:
            outcomes.append(task(file, path))
        except LatlintError:
            raise
        except Exception as error:
            if debugging():
                raise
            outcomes.append(failure(file, error))
    return outcomes


def failure(file: str, error: Exception) -> Outcome:
    """What is said of a file at which latlint itself failed."""
    return Outcome(error=InputError(file, INTERNAL, internal_error_text(error)))


def _failed(file: str, error: LatlintError) -> Outcome:
    return Outcome(error=InputError(file, error.code, error.message))


def predict_graph(
    graph: Graph, targets: Iterable[NamedTarget], model: str, sha256: str, named: Collection[str] = ()
) -> Iterator[tuple[Prediction, Plan, Target]]:
    """``graph`` on each of ``targets``, planned and measured out once for each kind of processor; ``model`` and ``sha256`` are the
    file's path as given and its hash. A target whose runtime cannot load the file is left out: a glob means those that can. Raises
    ``LatlintError`` (LAT902) for one that is among ``named``, and where no target is left."""
    from latlint.latency import engine
    from latlint.runtime import Plans

    plans = Plans(graph)
    works: dict[int, engine.Workload] = {}
    made: dict[str, Prediction] = {}
    pack = None
    for target in _loading(targets, graph.dialect, model, named):
        planned = plans.of(target.processor)
        if id(planned.kernels) not in works:
            works[id(planned.kernels)] = engine.workload(planned)
        work = works[id(planned.kernels)]._replace(plan=planned)
        if target.pack is not pack:  # what has another name besides, has it in the same pack
            pack, made = target.pack, {}
        if target.key in made:
            made[target.key] = replace(made[target.key], target=target.name)
        else:
            made[target.key] = engine.predict(graph, planned, target, model=model, sha256=sha256, work=work)
        yield made[target.key], planned, target


def _loading(targets: Iterable[NamedTarget], dialect: str, model: str, named: Collection[str]) -> list[Target]:
    """Those of ``targets`` whose runtime loads files of ``dialect``, each with that runtime."""
    from latlint.runtime import unloadable

    loading: list[Target] = []
    reasons: dict[str, str] = {}
    for each in targets:
        try:
            target = each.for_dialect(dialect)
        except LatlintError as error:  # none of its runtimes
            reasons[each.name] = error.message
            continue
        if reason := unloadable(dialect, target.processor):
            reasons[each.name] = reason
        else:
            loading.append(target)
    for name, reason in reasons.items():
        if name in named or not loading:
            raise LatlintError(f"{name}: {reason}; choose another target", code="LAT902", path=model)
    return loading


def _located(findings: list[Finding], graph: Graph) -> list[Finding]:
    """The findings with the place in the file of the first node that each names."""
    wanted = {finding.nodes[0] for finding in findings if finding.nodes}
    places = {node.name: node.location for node in graph.nodes if node.name in wanted}
    return [
        replace(finding, location=places.get(finding.nodes[0])) if finding.nodes else finding for finding in findings
    ]
