"""What a rule sees of one model on one target, and the findings that it makes of it.

A ``View`` is the graph as the runtime gets it (a file of another format as if converted), its plan, and the time of every kernel.
``View.gain`` answers "and if the graph were this one instead?".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from threading import local
from typing import TYPE_CHECKING, Any, TypeVar

from latlint.checks.types import Finding, Rule, Subject
from latlint.graph.types import Graph, Node, Tensor
from latlint.runtime.kinds import kind
from latlint.runtime.planners import takes_native
from latlint.runtime.rules import load_rules
from latlint.units import format_ms

if TYPE_CHECKING:
    from latlint.runtime.types import Kernel, Plan
    from latlint.whatif.gain import Gain, Spending
    from latlint.whatif.pricing import Alternatives, Edit

#: A finding whose fix would save less, or less than the settings' share of the model's latency, is a note.
MIN_GAIN_MS = 0.05
#: Gains smaller than this share of the model's latency are not worth a line.
SILENT_SHARE = 0.001
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Scene:
    """What the views of one model share: the graph as converted, and what becomes of it by edits."""

    original: Graph
    graph: Graph
    uses: dict[int, list[tuple[int, int]]]
    producers: dict[int, int]
    outputs: frozenset[int]
    alternatives: Alternatives
    #: What was found in the graph, by the function that found it.
    found: dict[Callable[[View], Any], Any] = field(default_factory=dict)
    #: What nodes are called in the user's file, by index.
    names: dict[int, str] = field(default_factory=dict)
    #: What was found in a plan or its kernels, by what names it and the identity of these, which are kept with it.
    planned: dict[tuple[Hashable, int], tuple[object, Any]] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class View:
    """One model on one target, as its runtime sees it. Node and tensor indices are those of ``graph``."""

    subject: Subject
    scene: Scene
    plan: Plan
    #: Milliseconds of each kernel of ``plan`` and where they come from, and those of all with what an inference costs besides.
    kernel_ms: tuple[float, ...]
    kernel_sources: tuple[str, ...]
    total_ms: float
    #: What every edit is held against, from the first one on.
    _spending: Spending | None = None

    @property
    def graph(self) -> Graph:
        return self.scene.graph

    @property
    def kind(self) -> str:
        """``gpu``, ``cpu`` …"""
        return self.subject.target.processor.kind

    @property
    def offloads(self) -> bool:
        """Whether the processor is another than the one that the program runs on."""
        return not kind(self.kind).host

    @property
    def place(self) -> str:
        """``GPU``: where the target runs a model, for people."""
        return kind(self.kind).title

    @property
    def delegate(self) -> str:
        """``the GPU delegate of TensorFlow Lite 2.10``: who takes or refuses the nodes."""
        return load_rules(self.plan.runtime).title

    def shared(self, find: Callable[[View], T]) -> T:
        """``find(self)`` of a function that looks at nothing but the graph: found once for all targets of a model."""
        found = self.scene.found
        if find not in found:
            found[find] = find(self)
        known: T = found[find]
        return known

    def planned(self, find: Callable[[View], T], label: Hashable = None) -> T:
        """``find(self)`` of a function that looks at nothing but the graph and the plan: found once for all targets that plan alike. ``label``
        names what is found where it is not the function that tells."""
        return self._once(find, label or find, self.plan)

    def launched(self, find: Callable[[View], T]) -> T:
        """``planned`` of a function that looks at nothing of the plan that says whose it is: found once for all runtimes whose rules differ in
        nothing but their names."""
        return self._once(find, find, self.plan.kernels)

    def _once(self, find: Callable[[View], T], label: Hashable, of: object) -> T:
        key = label, id(of)
        if key not in self.scene.planned:
            self.scene.planned[key] = of, find(self)
        known: T = self.scene.planned[key][1]
        return known

    def priced(self, find: Callable[[View], T], label: str = "") -> T:
        """``planned`` of a function that looks at prices too: found once for all names of a target."""
        target = self.subject.target
        return self.planned(find, (label or find, id(target.pack), target.key))

    def tensor(self, index: int) -> Tensor:
        return self.scene.graph.tensors[index]

    def shape(self, index: int) -> tuple[int, ...]:
        """The shape of a tensor; empty where it is not known or the input is left out."""
        return (self.scene.graph.tensors[index].shape or ()) if index >= 0 else ()

    def source(self, node: Node, slot: int = 0) -> Node | None:
        """The node that writes an input of ``node``."""
        if slot >= len(node.inputs) or node.inputs[slot] not in self.scene.producers:
            return None
        return self.scene.graph.nodes[self.scene.producers[node.inputs[slot]]]

    def readers(self, node: Node) -> list[Node]:
        """The nodes that read the first output of ``node``, one entry a use."""
        uses = self.scene.uses.get(node.outputs[0], ()) if node.outputs else ()
        return [self.scene.graph.nodes[index] for index, _ in uses]

    def sole_reader(self, node: Node) -> Node | None:
        """The node that alone reads the first output of ``node``, which is no output of the graph."""
        if len(node.outputs) != 1 or node.outputs[0] in self.scene.outputs:
            return None
        readers = self.readers(node)
        return readers[0] if len(readers) == 1 else None

    def runtime_inputs(self, node: Node) -> list[int]:
        return [index for index in node.inputs if index >= 0 and not self.scene.graph.tensors[index].constant]

    def constant_inputs(self, node: Node) -> list[int]:
        return [index for index in node.inputs if index >= 0 and self.scene.graph.tensors[index].constant]

    def name(self, node: Node) -> str:
        """The name of ``node`` in the user's file; for an op that the conversion added, that of the one which reads it."""
        names = self.scene.names
        if node.index not in names:
            names[node.index] = self._name(node)
        return names[node.index]

    def _name(self, node: Node) -> str:
        if self.scene.graph.origins:
            for each in (node, *self.readers(node)):
                if origins := self.scene.graph.origins[each.index]:
                    return self.scene.original.nodes[origins[0]].name
        return node.name

    @property
    def least_gain_ms(self) -> float:
        """What a fix must save for its finding to be more than a note."""
        return max(self.subject.settings.min_gain * self.total_ms, MIN_GAIN_MS)

    def kernels(self) -> Iterator[tuple[Kernel, float]]:
        return zip(self.plan.kernels, self.kernel_ms, strict=True)

    @property
    def paid(self) -> frozenset[int]:
        """The nodes whose kernels are launched."""
        return self.launched(_paid)

    def ms(self, nodes: Iterable[Node]) -> float:
        """What the kernels of ``nodes`` take, each kernel once, whatever else was fused into it."""
        wanted = {node.index for node in nodes}
        return sum(ms for kernel, ms in self.kernels() if not wanted.isdisjoint(kernel.nodes))

    def gain(self, label: str, edit: Edit, *, everywhere: bool = False) -> Gain | None:
        """What ``edit`` would save, with its interval; ``None`` where it cannot be made or the bound of edits is reached.

        ``label`` names the edit: targets that plan alike share the edited graph's plan by it, and all targets the graph, where it is the same
        ``everywhere``, because nothing of the plan decides it.
        """
        return self.priced(lambda view: view._gain(label, edit, everywhere), label)

    def _gain(self, label: str, edit: Edit, everywhere: bool) -> Gain | None:
        from latlint.whatif.gain import Gain, gain

        target = self.subject.target
        after = self.scene.alternatives.after(label, edit, target, everywhere=everywhere)
        if after is None or after.unknown != self.kernel_sources.count("unknown"):
            return None
        if after.total_ms > self.total_ms:  # nobody asks how far what costs more may be from that
            return Gain(*[self.total_ms - after.total_ms] * 3)
        if self._spending is None:
            self._spending = self._spent()
        return gain(self._spending, after, target, self.plan.precision)

    def _spent(self) -> Spending:
        from latlint.whatif.gain import Spending

        names = (kernel.implementation for kernel in self.plan.kernels)
        spent = zip(names, self.kernel_ms, (source == "predicted" for source in self.kernel_sources), strict=True)
        return Spending(Counter(spent), self.subject.prediction.overhead_ms, self.total_ms)

    def judge(
        self,
        rule: Rule,
        message: str,
        nodes: Iterable[Node],
        *,
        fix: str = "",
        gain: Gain | None = None,
        severity: str | None = None,
        identity: tuple[str, ...] = (),
    ) -> Iterator[Finding]:
        """The finding, or none where the fix would not pay. ``message`` says what is and why, ``fix`` what to do.

        Below the least gain it is a note. A gain whose interval includes zero is not stated. Without a gain ``severity`` holds, or else
        the rule's. What is true of some runtimes alone names this one.
        """
        chosen = list(nodes)
        if gain is not None and gain.ms <= SILENT_SHARE * self.total_ms:
            return
        # such a runtime rewrites graphs itself: what it would make of a fix that cannot be planned, nobody knows
        if gain is None and severity is None and takes_native(self.subject.target.processor):
            return
        severity = severity or rule.severity
        if gain is not None and gain.ms < self.least_gain_ms:
            severity = "note"
        if gain is not None and gain.low_ms <= 0:
            gain = None
        saved = "" if gain is None else f", which saves {self.saved(gain)}"
        if rule.about and self.delegate not in message:
            message = f"{message} ({self.delegate})"
        text = f"{message}: {fix}{saved}" if fix else message
        yield rule.finding(
            self.subject,
            text,
            nodes=tuple(dict.fromkeys([self.name(node) for node in chosen])),
            latency_ms=self.ms(chosen),
            gain=gain,
            severity=severity,
            identity=identity,
        )

    def saved(self, gain: Gain) -> str:
        """``2.0 ms [1.4–2.6] (12%)``."""
        shown = format_ms(gain.ms)
        digits = len(shown.partition(" ")[0].partition(".")[2])
        interval = f"[{gain.low_ms:.{digits}f}–{gain.high_ms:.{digits}f}]".replace("-", "−")
        return f"{shown} {interval} ({percent(gain.ms / self.total_ms)})"


def _paid(view: View) -> frozenset[int]:
    return frozenset(node for kernel in view.plan.kernels if not kernel.free for node in kernel.nodes)


def percent(share: float) -> str:
    """``12%``, and ``2.5%`` below ten."""
    return f"{share:.0%}" if share >= 0.0995 else f"{share:.1%}"


class _Last(local):
    """The model that this thread works on: rules of one model follow each other."""

    original: Graph | None = None
    #: By ``id`` of the graph that the runtime gets: of one file, runtimes may take it as it is or as one converter or another writes it.
    scenes: dict[int, Scene]
    view: View | None = None


_last = _Last()


def view(subject: Subject) -> View:
    """``subject`` as its runtime sees it; made once for all rules."""
    if _last.view is None or _last.view.subject is not subject:
        _last.view = _make(subject)
    return _last.view


def _make(subject: Subject) -> View:
    converted = subject.plan.converted
    plan = converted.plan if converted else subject.plan
    priced = subject.prediction.kernels[: len(plan.kernels)]
    kernel_ms, sources = (tuple(getattr(kernel, name) for kernel in priced) for name in ("latency_ms", "source"))
    return View(subject, _scene_of(subject), plan, kernel_ms, sources, subject.prediction.latency_ms)


def _scene_of(subject: Subject) -> Scene:
    if _last.original is not subject.graph:
        _last.original, _last.scenes = subject.graph, {}
    graph = subject.plan.converted.graph if subject.plan.converted else subject.graph
    if id(graph) not in _last.scenes:
        from latlint.whatif.pricing import Alternatives  # NumPy, which a run that lists rules has no use for

        _last.scenes[id(graph)] = Scene(
            subject.graph, graph, graph.consumers(), graph.producers(), frozenset(graph.outputs), Alternatives(graph)
        )
    return _last.scenes[id(graph)]
