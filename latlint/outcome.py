"""``Report``: findings, predictions and errors of one run. The only thing a format module sees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from latlint.checks.types import Finding
from latlint.latency.types import Prediction


@dataclass(frozen=True, slots=True)
class InputError:
    """A file that could not be used: ``code`` is the LAT0xx rule, ``message`` one line a user can act on."""

    path: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to be said of one file: predictions, sorted by target, and the findings on them, or the error."""

    predictions: tuple[Prediction, ...] = ()
    findings: tuple[Finding, ...] = ()
    error: InputError | None = None

    def without_kernels(self) -> Outcome:
        """The same with kernels only where a limit is broken, to say where the time goes: rules have looked at the others, which would
        be most of what a process hands to another."""
        broken = {finding.target for finding in self.findings if finding.budget_ms is not None}
        thin = (each if each.target in broken else replace(each, kernels=()) for each in self.predictions)
        return replace(self, predictions=tuple(thin))


class Verdict(NamedTuple):
    """How a prediction stands to the tightest limit for it as a whole, if there is one, and to its budgets in all.

    ``gate`` names what is held against ``budget_ms``: see ``Prediction.end_ms``. ``passed`` is false when a budget is broken, be it
    for the whole model, for an op or for its increase; ``warned`` tells of one that only warns. ``others`` tells that there are
    budgets of the latter kinds, which may be all there are. ``accepted``: one is broken, and a waiver or the baseline covers that.
    """

    budget_ms: float | None
    passed: bool
    gate: str = "point"
    warned: bool = False
    others: bool = False
    accepted: bool = False

    @property
    def word(self) -> str:
        """``fail``, ``warn``, ``accepted``, ``pass``, or nothing where no budget holds."""
        if not self.passed or self.warned:
            return "warn" if self.passed else "fail"
        if self.accepted:
            return "accepted"
        return "pass" if self.budget_ms is not None or self.others else ""


@dataclass(frozen=True, slots=True)
class Report:
    """``predictions`` are ordered by model as given, then target; ``findings`` likewise, then by severity and code.

    ``verdicts`` go with ``predictions``, one each, in a report of `check`. A prediction that no finding is about has no
    kernels there: a run over many models and targets would otherwise hold millions. ``notes`` are what the user must know
    of the run as a whole, such as which targets were taken because none was chosen. ``paths`` tells where each model lies in
    its repository (see ``latlint.project.repository``); a model that is not in it lies where its path says.
    """

    predictions: tuple[Prediction, ...]
    findings: tuple[Finding, ...] = ()
    errors: tuple[InputError, ...] = ()
    files: int = 0
    targets: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = ()
    paths: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def joined(self, parts: Iterable[Report]) -> Report:
        """This report with the predictions, findings and errors of ``parts``."""
        predictions: list[Prediction] = []
        findings: list[Finding] = []
        errors: list[InputError] = []
        verdicts: list[Verdict] = []
        for part in parts:
            predictions += part.predictions
            findings += part.findings
            errors += part.errors
            verdicts += part.verdicts
        return replace(
            self,
            predictions=tuple(predictions),
            findings=tuple(findings),
            errors=tuple(errors),
            verdicts=tuple(verdicts),
        )

    def parts(self) -> Iterator[Report]:
        """A report for each file, in order: what ``joined`` put together."""
        predictions, findings, errors = (
            _by(self.predictions, "model"),
            _by(self.findings, "model"),
            _by(self.errors, "path"),
        )
        verdicts = dict(zip(map(id, self.predictions), self.verdicts, strict=False))
        held = {**predictions, **findings, **errors}
        for file in dict.fromkeys((*(file for file in self.paths if file in held), *held)):
            yield replace(
                self,
                predictions=tuple(predictions.get(file, ())),
                findings=tuple(findings.get(file, ())),
                errors=tuple(errors.get(file, ())),
                files=1,
                verdicts=tuple(verdicts[id(each)] for each in predictions.get(file, ()) if verdicts),
            )

    def path(self, model: str) -> str:
        """Where ``model``, a path as given, lies in its repository, with forward slashes."""
        return self.paths.get(model, model)


T = TypeVar("T")


def _by(items: Iterable[T], attribute: str) -> dict[str, list[T]]:
    """The items by the file that an attribute names."""
    found: dict[str, list[T]] = {}
    for item in items:
        found.setdefault(getattr(item, attribute), []).append(item)
    return found
