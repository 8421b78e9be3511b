"""``Report``: findings, predictions and errors of one run. The only thing a format module sees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from types import MappingProxyType
from typing import Any, TypeVar

from latlint import __version__
from latlint.checks.types import SEVERITIES, Finding
from latlint.latency.types import Footprint, KernelPrediction, Prediction
from latlint.records import NamedTuple, Record, replace


class InputError(NamedTuple):
    """A file that could not be used: ``code`` is the LAT0xx rule, ``message`` one line a user can act on."""

    path: str
    code: str
    message: str


class Outcome(NamedTuple):
    """What is to be said of one file: predictions, sorted by target, and the findings on them, or the error."""

    predictions: tuple[Prediction, ...] = ()
    findings: tuple[Finding, ...] = ()
    error: InputError | None = None

    def without_kernels(self) -> Outcome:
        """The same with kernels only where a limit is broken, to say where the time goes: rules have looked at the others, which would
        be most of what a process hands to another."""
        broken = {finding.target for finding in self.findings if finding.budget_ms is not None}
        thin = (each if each.target in broken else replace(each, kernels=()) for each in self.predictions)
        return self._replace(predictions=tuple(thin))


class Change(NamedTuple):
    """What a prediction was in ``base``, such as ``main at 0a1b2c3``: ``base_ms``, ``None`` for a model that is new. The change lies
    within ``low_ms`` to ``high_ms`` with the probability of the prediction's interval; ``None`` where only the latency before is known.
    ``why``: what makes it slower, in words. ``kernels``: of each kernel that is not as it was, by its index, the milliseconds before, ``None`` for
    one that was added; no mapping where the kernels before are not known."""

    base: str
    base_ms: float | None
    low_ms: float | None = None
    high_ms: float | None = None
    why: tuple[str, ...] = ()
    kernels: Mapping[int, float | None] | None = None

    @property
    def is_none(self) -> bool:
        """Whether the model is what it was, or all of its kernels are."""
        return self.low_ms == self.high_ms == 0


class Verdict(NamedTuple):
    """How a prediction stands to the tightest limit for it as a whole, if there is one, and to its budgets in all.

    ``gate`` names what is held against ``budget_ms``: see ``Prediction.end_ms``. ``passed`` is false when a budget is broken, be it
    for the whole model, for an op or for its increase; ``warned`` tells of one that only warns. ``others`` tells that there are
    budgets of the latter kinds, which may be all there are. ``accepted``: one is broken, and a waiver or the baseline covers that.
    ``unjudged``: budgets apply, none is known to be broken, and the latency is not known well enough to say that they are kept.
    """

    budget_ms: float | None
    passed: bool
    gate: str = "point"
    warned: bool = False
    others: bool = False
    accepted: bool = False
    unjudged: bool = False
    #: Probability that the device is over ``budget_ms``; where that comes from an increase, by the difference's own error.
    chance: float | None = None
    #: What the change to the model did, where it was compared with what it was before.
    change: Change | None = None

    def is_close(self, interval: float) -> bool:
        """Whether the limit lies within the ``interval`` (its probability) of what is held against it."""
        return self.chance is not None and abs(self.chance - 0.5) < interval / 2

    @property
    def word(self) -> str:
        """``fail``, ``unjudged``, ``warn``, ``accepted``, ``pass``, or nothing where no budget applies."""
        if not self.passed:
            return "fail"
        if self.unjudged:
            return "unjudged"
        if self.warned:
            return "warn"
        if self.accepted:
            return "accepted"
        return "pass" if self.budget_ms is not None or self.others else ""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Report(Record):
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
    fail_on: str = "error"

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

    def failed(self, fail_on: str | None = None) -> bool:
        """Whether `latlint check` would fail: a file could not be read, or a finding that nothing covers is at least as grave as ``fail_on``
        (``error``, ``warning`` or ``note``; as the settings of the run say, where it is not given)."""
        grave = SEVERITIES[SEVERITIES.index(fail_on or self.fail_on) :]
        return bool(self.errors) or any(each.severity in grave and not each.suppressed for each in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """The document ``latlint.check/1``, which `latlint check --format json` prints: plain values that JSON has."""
        counts = Counter(finding.severity for finding in self.findings)
        return {
            "schema": "latlint.check/1",
            "latlint": __version__,
            "findings": [finding_json(finding) for finding in self.findings],
            "predictions": judged_json(self),
            "errors": [error_json(error) for error in self.errors],
            "summary": {
                "files": self.files,
                "targets": len(self.targets),
                "findings": len(self.findings),
                "by_severity": {severity: counts[severity] for severity in reversed(SEVERITIES)},
            },
        }

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


def prediction_json(prediction: Prediction) -> dict[str, Any]:
    """A prediction without its kernels. Of a placement alone every time is null."""

    def time(value: float) -> float | None:
        return None if prediction.placement else number(value)

    return {
        "model": prediction.model,
        "sha256": prediction.sha256,
        "format": prediction.format,
        "precision": prediction.precision,
        "as_if": prediction.as_if,
        "target": prediction.target,
        "runtime": prediction.runtime,
        "pack": prediction.pack,
        "latency_ms": time(prediction.latency_ms),
        "low_ms": time(prediction.low_ms),
        "high_ms": None if prediction.high_ms is None else number(prediction.high_ms),
        "lower_bound": prediction.lower_bound,
        "placement": prediction.placement,
        "unknown": [{"name": name, "count": count} for name, count in prediction.unknown.items()],
        "interval": prediction.interval,
        "overhead_ms": time(prediction.overhead_ms),
        "border_ms": time(prediction.border_ms),
        "coverage": number(prediction.coverage),
        "macs": prediction.macs,
        "partitions": [
            {**partition._asdict(), "latency_ms": time(partition.latency_ms)} for partition in prediction.partitions
        ],
        "notes": list(prediction.notes),
        **({"footprint": _footprint_json(prediction.footprint)} if prediction.footprint else {}),
    }


def _footprint_json(takes: Footprint) -> dict[str, Any]:
    """What a model takes beside time, in bytes and elements."""
    return {
        "size_bytes": takes.size_bytes,
        "parameters": takes.parameters,
        "peak_bytes": takes.peak_bytes,
        "unknown": takes.unknown,
        "peak": [{"tensor": name, "bytes": size} for name, size in takes.peak.items()],
    }


def judged_json(report: Report) -> list[dict[str, Any]]:
    """The predictions of a report of `check`, each with how it stands to its budget."""
    pairs = zip_longest(report.predictions, report.verdicts)
    return [prediction_json(prediction) | _verdict_json(verdict) for prediction, verdict in pairs]


def _verdict_json(verdict: Verdict | None) -> dict[str, Any]:
    """How a prediction stands to the budget that applies to it, and how likely the device is to take longer; nothing without one. What a
    change did to it, where that is known."""
    if verdict is None:
        return {}
    changed = {"change": _change_json(verdict.change)} if verdict.change else {}
    if not verdict.word:
        return changed
    limit_ms = verdict.budget_ms
    return changed | {
        "verdict": {
            "word": verdict.word,
            "budget_ms": None if limit_ms is None else number(limit_ms),
            "gate": verdict.gate,
            "passed": verdict.word not in ("fail", "unjudged"),
            "warned": verdict.warned,
            "chance_over_budget": None if verdict.chance is None else number(verdict.chance),
        }
    }


def _change_json(change: Change) -> dict[str, Any]:
    times = {"base_ms": change.base_ms, "change_low_ms": change.low_ms, "change_high_ms": change.high_ms}
    return {
        "base": change.base,
        **{name: None if value is None else number(value) for name, value in times.items()},
        "why": list(change.why),
    }


def kernel_json(kernel: KernelPrediction, explain: bool = False) -> dict[str, Any]:
    """A kernel of `predict`, on demand with why it is what it is."""
    fields: dict[str, Any] = {
        "index": kernel.index,
        "partition": kernel.partition,
        "nodes": list(kernel.nodes),
        "op": kernel.op,
        "linked": list(kernel.linked),
        "implementation": kernel.implementation,
        "latency_ms": number(kernel.latency_ms),
        "source": kernel.source,
        "macs": kernel.macs,
        "bytes": kernel.bytes,
        "inputs": None if kernel.inputs is None else [list(shape) for shape in kernel.inputs],
        "outputs": None if kernel.outputs is None else [list(shape) for shape in kernel.outputs],
        "dtype": kernel.dtype,
    }
    if kernel.reason:
        fields["reason"] = kernel.reason
    return {**fields, "explain": list(kernel.explain)} if explain else fields


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding of `check`."""
    fields = asdict(finding)
    for key in ("latency_ms", "budget_ms", "gain_ms", "gain_low_ms", "gain_high_ms"):
        fields[key] = None if fields[key] is None else number(fields[key])
    return {
        key: list(value) if isinstance(value, tuple) else value for key in _FINDING_KEYS for value in (fields[key],)
    }


_FINDING_KEYS = (
    "code", "name", "severity", "model", "target", "nodes", "message", "latency_ms", "budget_ms", "gain_ms", "gain_low_ms",
    "gain_high_ms", "help_uri", "fingerprint", "suppressed", "justification", "runtime", "causes", "under", "why",
)  # fmt: skip


def error_json(error: InputError) -> dict[str, Any]:
    """A file that could not be read."""
    return {"path": error.path, "code": error.code, "message": error.message}


def number(value: float) -> float:
    """Nine significant digits: more would only show how one machine's arithmetic rounds."""
    return float(f"{value:.9g}")
