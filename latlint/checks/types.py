"""``Finding``: what a rule has to say about one model; ``Rule``: who says it; ``Subject``: all that a rule may look at."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from latlint.address import page_of
from latlint.records import NamedTuple, Record
from latlint.settings import SEVERITIES as SEVERITIES

if TYPE_CHECKING:
    from latlint.graph.types import ByteRange, Graph
    from latlint.latency.packs import Target
    from latlint.latency.types import Gain, Prediction
    from latlint.runtime.types import Plan
    from latlint.settings import Budget, Settings, Waiver
    from latlint.whatif.change import TargetChange


class Line(NamedTuple):
    """A line of a text file: the file's path as given, the line's number from 1, and its length in characters."""

    path: str
    number: int
    length: int


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Finding(Record):
    """``model`` is the file concerned. ``nodes`` are node names. ``gain_ms`` is what the fix would save on ``target``,
    ``gain_low_ms`` to ``gain_high_ms`` its interval, at the level of the prediction's.
    ``help_uri`` is where the rule's page is (``address``). ``fingerprint`` identifies the finding across runs and does not depend on milliseconds. ``suppressed`` tells that a waiver or the
    baseline covers it, and ``justification`` why. ``location`` is where the first of the nodes lies in the file. ``line`` stands
    for the finding in a review, where a binary file has no lines to show."""

    code: str
    name: str
    severity: str
    model: str
    message: str
    target: str | None = None
    nodes: tuple[str, ...] = ()
    latency_ms: float | None = None
    budget_ms: float | None = None
    gain_ms: float | None = None
    help_uri: str = ""
    fingerprint: str = ""
    suppressed: bool = False
    location: ByteRange | None = None
    justification: str = ""
    line: Line | None = None
    gain_low_ms: float | None = None
    gain_high_ms: float | None = None
    #: What ``message`` says before it names kernels, for formats that show those in a table; empty where it names none.
    headline: str = ""
    #: The runtime that the finding is about, as its prediction has it.
    runtime: str = ""
    #: Fingerprints of the findings with the same cause, and of that among them which stands for all where it is another.
    causes: tuple[str, ...] = ()
    under: str = ""
    #: What tells the finding from the rule's others on the same model and target.
    identity: tuple[str, ...] = ()
    #: Of a broken budget: why the model is slower than before the change, what would take it back, and the command that shows more.
    why: tuple[str, ...] = ()

    def because(self, why: tuple[str, ...]) -> Finding:
        """The same with why the model is slower than before, in place of the kernels that cost most."""
        headline = self.headline or self.message
        return replace(self, message="; ".join((headline, *why)), headline=headline, why=why)

    def with_remark(self, remark: str) -> Finding:
        """The same with a further remark."""
        headline = self.headline and f"{self.headline}; {remark}"
        return replace(self, message=f"{self.message}; {remark}", headline=headline)


class Subject(NamedTuple):
    """One model on one target. ``path`` is where the model lies in its repository, whatever the path as given."""

    graph: Graph
    plan: Plan
    target: Target
    prediction: Prediction
    settings: Settings
    path: str = ""

    @property
    def place(self) -> str:
        """What stands for the model in fingerprints: where it lies in its repository, or else in the configuration's directory."""
        return self.path or self.settings.relative(self.prediction.model)


class Comparison(NamedTuple):
    """A prediction, and what its model took on the same target before the change: ``base_ms`` in ``base``, such as ``main at 0a1b2c3``;
    or ``None``, and ``base`` is why that is not known: the model ``is_new``, or the comparison cannot be made. ``gain`` is what the change
    saves, where both are known by their kernels, and ``kernels`` what happened to each of those. ``path`` is where the model lies in its repository."""

    prediction: Prediction
    path: str
    settings: Settings
    base_ms: float | None
    base: str
    is_new: bool = False
    gain: Gain | None = None
    kernels: TargetChange | None = None

    def chance_above(self, limit_ms: float) -> float | None:
        """Probability that the model has become slower than ``limit_ms`` allows, by what is known of the difference alone: what old and
        new model err alike does not count. ``None`` where only the latency before is known."""
        if self.gain is None or self.base_ms is None:
            return None
        return self.gain.chance_below(self.base_ms - limit_ms, self.prediction.interval)


class Accepted(NamedTuple):
    """A line of the baseline: what it accepts, and where it stands."""

    model: str
    target: str
    code: str
    fingerprint: str
    line: Line


class Leftovers(NamedTuple):
    """What the configuration (``source``, as the user names it) and the files beside it say that no model of a run has use for."""

    source: str
    expired_waivers: tuple[Waiver, ...] = ()
    unused_waivers: tuple[Waiver, ...] = ()
    unused_entries: tuple[Accepted, ...] = ()
    unused_budgets: tuple[Budget, ...] = ()
    #: Keys of the configuration and the globs of models there.
    unused_globs: tuple[tuple[str, str], ...] = ()
    #: The commit whose models were compared with themselves, by name: nothing has changed since.
    compared_with_itself: str | None = None

    def __bool__(self) -> bool:
        unused = (
            self.expired_waivers
            or self.unused_waivers
            or self.unused_entries
            or self.unused_budgets
            or self.unused_globs
        )
        return bool(unused or self.compared_with_itself)


class Rule(NamedTuple):
    """A rule's identity. ``code`` is never reused; ``name`` is the name of its module with hyphens.

    ``about`` says on which processors it looks at a model: by what they are (``host``, ``offload``) or by the executor of their runtime
    (``gpu``, ``builtin``, ``xnnpack`` …); none means all. ``confidence`` tells what the rule rests on: ``measured`` on devices, ``source`` code of the runtime, ``reported``
    by users; empty for rules that state plain facts about a file. ``under``: the codes of rules whose findings tell the cause of this one's, whatever
    ops either names.
    """

    code: str
    name: str
    severity: str
    about: tuple[str, ...] = ()
    confidence: str = ""
    under: tuple[str, ...] = ()

    @property
    def page(self) -> str:
        """Where its page is (``address``)."""
        return page_of(f"rules/{self.code}")

    def applies(self, traits: frozenset[str]) -> bool:
        """Whether the rule is about a processor of these traits (``runtime.planners.traits``)."""
        return not self.about or not traits.isdisjoint(self.about)

    def finding(
        self,
        subject: Subject,
        message: str,
        *,
        nodes: tuple[str, ...] = (),
        latency_ms: float | None = None,
        budget_ms: float | None = None,
        gain: Gain | None = None,
        severity: str | None = None,
        identity: tuple[str, ...] = (),
    ) -> Finding:
        """A finding on ``subject``. ``identity`` tells it from the rule's other findings on the same model and target, such
        as the name of the node; never a number that the next version of the model would change. ``severity``, if it is another than the rule's."""
        saved = {} if gain is None else {"gain_ms": gain.ms, "gain_low_ms": gain.low_ms, "gain_high_ms": gain.high_ms}
        prediction = subject.prediction
        return self._finding(
            prediction.model,
            message,
            (subject.place, prediction.target, *identity),
            identity=identity,
            target=prediction.target,
            runtime=prediction.runtime,
            nodes=nodes,
            latency_ms=latency_ms,
            budget_ms=budget_ms,
            severity=severity or self.severity,
            **saved,
        )

    def finding_on(self, prediction: Prediction, path: str, message: str, identity: tuple[str, ...] = ()) -> Finding:
        """A finding on the model of ``prediction``, which lies at ``path`` in its repository."""
        target = prediction.target
        marks = (path, target, *identity)
        return self._finding(prediction.model, message, marks, target=target, runtime=prediction.runtime)

    def finding_in(self, path: str, message: str, identity: tuple[str, ...], line: Line | None = None) -> Finding:
        """A finding on a file that is no model, ``path`` as given. ``identity`` tells it from the rule's other findings."""
        return self._finding(path, message, identity, line=line)

    def _finding(self, model: str, message: str, marks: tuple[str, ...], **others: Any) -> Finding:
        fields = {"severity": self.severity, "help_uri": self.page, **others}
        return Finding(
            self.code, self.name, model=model, message=message, fingerprint=fingerprint(self.code, *marks), **fields
        )


def fingerprint(*parts: str) -> str:
    """16 hexadecimal digits that stand for ``parts``."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
