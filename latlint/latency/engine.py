"""Plan + device pack -> Prediction.

``time = sum(theta * terms)``, times a correction by trees where a pack has some. What an inference costs besides
its kernels is the overhead: on the host a constant, on a processor that work is sent to a start, and for each launch what the
queue adds when the kernel is shorter than the time it takes to dispatch the next one, and copies where a model is split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import exp, log, prod
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from latlint.graph.ops import BINARY, CONVOLUTIONS, MATRIX, POOLS, REDUCTIONS, UNARY, UNKNOWN
from latlint.graph.types import Graph
from latlint.latency.cards import MAX_CORRECTION, SIZES
from latlint.latency.models import model_of
from latlint.latency.packs import Target
from latlint.latency.terms import CostModel, Terms
from latlint.latency.types import UNCOUNTED, KernelPrediction, PartitionPrediction, Prediction
from latlint.records import NamedTuple
from latlint.runtime.kinds import kind
from latlint.runtime.reasons import sentence
from latlint.runtime.types import Kernel, Partition, Plan
from latlint.runtime.work import is_counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from latlint.latency.trees import Forest

    Array = NDArray[np.float64]

#: A kernel may be this many times larger or smaller than any that was measured, and still count as predicted.
ENVELOPE_MARGIN = 2.0
#: Share of a kernel's time that measured terms must explain for it to count as predicted.
MEASURED_SHARE = 0.9
#: What must be known of a target that nobody timed.
PLACEMENT = "placement alone: nobody timed this target, so that nothing here is a latency"
#: Why a kernel has no known cost whose op is understood.
UNSIZED = "the sizes of what it reads or writes are not known, and so not what it takes"
UNTYPED = "no kernel computes in {dtype} there, so what it takes is not known"


class Part(NamedTuple):
    """What a plan asks of one executor: ``positions`` of its kernels, in order, with their ``terms`` (kernels, terms), ``classes`` and
    ``launches``, as its ``model`` has them."""

    model: CostModel
    positions: tuple[int, ...]
    terms: Array
    classes: tuple[str, ...]
    launches: Array
    #: ``positions``, to index arrays with.
    at: NDArray[np.intp]

    @property
    def host(self) -> bool:
        """Whether its kernels run where the program runs."""
        return kind(self.model.kind).host


class Exercised(NamedTuple):
    """What the data that ``covers`` are of exercise: which ``terms`` of a cost model, and which ``kernels`` of a part of it are within."""

    covers: Mapping[str, Any]
    terms: NDArray[np.bool_]
    kernels: NDArray[np.bool_]


class Workload(NamedTuple):
    """What a plan asks of its processors, before any device's speed: shared by all targets that run the same plan.

    ``parts`` hold the kernels that have a cost, ``unknown`` the positions of those whose cost nobody knows. ``sizes`` (see ``sizes``),
    ``envelope``, which is the class (see ``envelope_class``) as an index of ``envelopes``, and ``implementation``, an index of
    ``implementations``, are of all kernels. ``once`` is the term that an inference costs besides on the host, and its model; ``None`` where
    there is none.
    """

    plan: Plan
    parts: tuple[Part, ...]
    unknown: frozenset[int]
    envelopes: tuple[str, ...]
    envelope: NDArray[np.intp]
    sizes: Array
    implementations: tuple[str, ...]
    implementation: NDArray[np.intp]
    once: tuple[CostModel, str] | None
    #: Partition of each kernel.
    partition: NDArray[np.intp]
    #: Multiply-accumulates of one inference.
    macs: int
    #: What predictions say of each kernel, from the first one on: of those that a target prices (no ``source``) all but that and the latency.
    told: list[KernelPrediction]
    #: What the data of a pack exercise of a part, by its cost model and the identity of the pack's ``covers``: targets have these in common.
    exercised: dict[tuple[CostModel, int], Exercised]

    @property
    def offloaded(self) -> tuple[Part, ...]:
        """The parts that run elsewhere than on the host."""
        return tuple(part for part in self.parts if not part.host)


def workload(plan: Plan) -> Workload:
    """The terms of every kernel of a plan. Raises ``LatlintError`` (LAT901) for an executor that nobody prices."""
    kernels = plan.kernels
    models = [model_of(partition.executor) for partition in plan.partitions]
    distinct, which = _distinct(kernels, models)
    counted: dict[CostModel, dict[int, Terms]] = {}
    for number, kernel in enumerate(distinct):
        if not kernel.free:
            model = models[kernel.partition]
            if kernel.sized and not _lacks_type(kernel, model) and (found := model.price(kernel)) is not None:
                counted.setdefault(model, {})[number] = found
    priced = {number for rows in counted.values() for number in rows}
    envelopes: dict[str, int] = {}
    envelope = [envelopes.setdefault(envelope_class(kernel), len(envelopes)) for kernel in distinct]
    names: dict[str, int] = {}
    implementation = [names.setdefault(kernel.implementation, len(names)) for kernel in distinct]
    return Workload(
        plan=plan,
        parts=tuple(_part(distinct, which, model, rows) for model, rows in counted.items()),
        unknown=frozenset(
            [at for at, number in enumerate(which) if number not in priced and not distinct[number].free]
        ),
        envelopes=tuple(envelopes),
        envelope=np.array(envelope, np.intp)[which],
        sizes=np.array([sizes(kernel) for kernel in distinct]).reshape(len(distinct), SIZES)[which],
        implementations=tuple(names),
        implementation=np.array(implementation, np.intp)[which],
        once=_once(models, plan.precision),
        partition=np.array([kernel.partition for kernel in kernels], np.intp),
        macs=sum([kernel.all_macs for kernel in kernels if kernel.macs]),
        told=[],
        exercised={},
    )


#: Of a kernel all that can decide what it costs, but for its attributes.
_computes = itemgetter(
    *(
        position
        for position, name in enumerate(Kernel._fields)
        if name not in ("nodes", "partition", "attributes", "obstacle", "explain")
    )
)


def _distinct(kernels: Sequence[Kernel], models: Sequence[CostModel]) -> tuple[list[Kernel], list[int]]:
    """The kernels that differ in more than which nodes they are, and which of them each kernel is: networks repeat themselves."""
    found: list[Kernel] = []
    which: list[int] = []
    known: dict[tuple[Any, ...], int] = {}
    key: tuple[Any, ...]
    for kernel in kernels:
        if kernel.free and not (kernel.inputs or kernel.outputs or kernel.attributes):
            # what a conversion folds away may be most of a graph
            key = (kernel.implementation, kernel.input_dtype, kernel.macs)
        else:
            model = None if kernel.free else models[kernel.partition]
            key = (model, _computes(kernel), *kernel.attributes.items())
        try:
            number = known.setdefault(key, len(found))
        except TypeError:  # an attribute that is a list
            number = len(found)
        if number == len(found):
            found.append(kernel)
        which.append(number)
    return found, which


#: Ops that compute, in whatever type; others hand on values as they are, or are about their type.
_COMPUTE = UNARY | BINARY | CONVOLUTIONS | MATRIX | POOLS | REDUCTIONS | {"softmax", "log_softmax"}


def _lacks_type(kernel: Kernel, model: CostModel) -> bool:
    """Whether the executor has no kernel for this type: what it would take nobody knows."""
    return kernel.input_dtype in model.uncomputed and kernel.op in _COMPUTE


def _part(distinct: Sequence[Kernel], which: Sequence[int], model: CostModel, counts: Mapping[int, Terms]) -> Part:
    """The part of the ``distinct`` kernels that ``counts`` has the terms of, for all that are like one of them (see ``_distinct``)."""
    kernels = [distinct[number] for number in counts]
    row_of = {number: row for row, number in enumerate(counts)}
    positions = tuple([at for at, number in enumerate(which) if number in row_of])
    rows = [row_of[which[at]] for at in positions]
    terms = np.zeros((len(kernels), len(model.names)))
    for row, found, kernel in zip(terms, counts.values(), kernels, strict=True):
        for name, count in found.items():
            row[model.index[name]] = count * kernel.repeat
    classes = [model.kernel_class(kernel) if model.kernel_class else "" for kernel in kernels]
    return Part(
        model=model,
        positions=positions,
        terms=terms[rows],
        classes=tuple([classes[row] for row in rows]),
        launches=np.array([float(kernel.launches * kernel.repeat) for kernel in kernels])[rows],
        at=np.array(positions, np.intp),
    )


def _once(models: list[CostModel], precision: str) -> tuple[CostModel, str] | None:
    known = [model for model in models if model.once]
    # a processor that work is sent to before the host, and there the one that leads: the first of equals
    known.sort(key=lambda model: (kind(model.kind).host, not model.leads))
    chosen = known[0] if known else None
    return (chosen, chosen.once(precision)) if chosen and chosen.once else None


def sizes(kernel: Kernel) -> tuple[float, ...]:
    """What tells whether a kernel is like one that was measured, as logarithms: multiply-accumulates, elements read and written,
    channels out, taps, batch."""
    shape = kernel.outputs[0] if kernel.outputs else ()
    return (
        log(kernel.macs + 1),
        log(sum(prod(each) for each in kernel.inputs) + 1),
        log(sum(prod(each) for each in kernel.outputs) + 1),
        log((shape[-1] if shape else 1) + 1),
        log(prod(kernel.attributes.get("kernel", (1,)))),
        log(max(shape[0], 1) if len(shape) == 4 else 1),
    )


def envelope_class(kernel: Kernel) -> str:
    """Kernels of one class are compared with each other to tell interpolation from extrapolation."""
    return f"{kernel.implementation}:{kernel.input_dtype}"


class Times(NamedTuple):
    """Milliseconds of each kernel of a plan (0 where free or unknown) and of the rest; which kernels are ``predicted``."""

    kernels: Array
    overhead_ms: float
    predicted: NDArray[np.bool_]
    #: The part of the overhead that copies and synchronisation between processors take, where a model is split.
    border_ms: float = 0.0


def times(work: Workload, target: Target) -> Times:
    """What each kernel of ``work`` takes on ``target``. Raises ``LatlintError`` (LAT901) where its pack cannot price them."""
    kernels = np.zeros(len(work.plan.kernels))
    predicted = np.zeros(len(kernels), bool)
    overhead = border = 0.0
    for part in work.parts:
        found_ms, known = _part_times(work, part, target)
        kernels[part.at], predicted[part.at] = found_ms, known
        if not part.host:
            queue = target.card["queue"]
            if queue["dispatch_ms"] or queue["scale"] != 1:  # else nothing waits
                queued_ms = queued(found_ms, part.launches, queue["scale"], queue["dispatch_ms"])
                overhead += float((queued_ms - found_ms).sum())
    offloaded = work.offloaded
    once = _once_ms(work, target)
    if offloaded:
        queue = target.card["queue"]
        start = float(queue["start_ms"]) + once
        border = border_ms(work.plan.partitions, start, queue["copy_gb_per_s"])
        overhead += start + border
    else:
        overhead += once
    if not target.host and not any(work.plan.precision not in part.model.derived for part in offloaded):
        predicted[:] = False
    found = Times(kernels, overhead, predicted, border)
    return _bounded(work, found, target.card["bounds"]) if "bounds" in target.card else found


def _bounded(work: Workload, found: Times, limits: Mapping[str, float]) -> Times:
    """``found`` no faster and no slower than ``low`` and ``high`` times what the simplest model of the pack's measurements says, a start and a rate
    for each multiply-accumulate and byte, and ``share`` of the way from that to it, as logarithms. What is unknown has no such bounds."""
    total = float(found.kernels.sum()) + found.overhead_ms
    simple = float(counts(work) @ np.array([limits["start_ms"], limits["mac_ns"] * 1e-6, limits["byte_ns"] * 1e-6]))
    if work.unknown or not total > 0 or not simple > 0:
        return found
    within = min(max(total, limits["low"] * simple), limits["high"] * simple)
    share = limits.get("share", 1.0)
    factor = simple ** (1 - share) * within**share / total
    return Times(found.kernels * factor, found.overhead_ms * factor, found.predicted, found.border_ms * factor)


def counts(work: Workload) -> Array:
    """One, and the multiply-accumulates and bytes of all kernels, (3,): what the simplest models of a time count."""
    kernels = [kernel for kernel in work.plan.kernels if not kernel.free]
    macs = sum(kernel.all_macs for kernel in kernels)
    return np.array([1.0, macs, sum(kernel.repeat * kernel.bytes for kernel in kernels)])


def _once_ms(work: Workload, target: Target) -> float:
    """What an inference costs besides its kernels by its cost model; where work is sent elsewhere, by the model of what it is sent to."""
    if not work.parts or not work.once:
        return 0.0
    model, name = work.once
    if work.offloaded and model not in [part.model for part in work.offloaded]:
        return 0.0
    return float(target.costs(model)[model.index[name]]) * 1e-6


def _part_times(work: Workload, part: Part, target: Target) -> tuple[Array, NDArray[np.bool_]]:
    """Milliseconds of a part's kernels on the processor that runs them, and which of them are predicted."""
    key = target.runs(part.model)
    theta, covers = target.pack.costs(key, part.model), target.pack.covers(key)
    cost = part.terms @ theta
    found = cost * 1e-6
    exercised = _exercised(work, part, covers)
    for name in sorted(set(part.classes)) if part.model.feature_names else ():
        forest = target.pack.forest(key, name, part.model)
        if forest is not None:
            rows, correction = correction_of(work, part, name, forest)
            found[rows] *= np.exp(np.clip(correction, -MAX_CORRECTION, MAX_CORRECTION))
    # it owes its time to terms that some measurement exercised
    measured = part.terms @ np.where(exercised.terms, theta, 0.0)
    return found, exercised.kernels & (measured >= MEASURED_SHARE * cost)


def correction_of(work: Workload, part: Part, name: str, forest: Forest) -> tuple[NDArray[np.intp], Array]:
    """The kernels of a part, as rows of its terms, that are of the class ``name``, and what its ``forest`` adds to the logarithm of what each takes.
    No pack has a forest but those of earlier versions."""
    rows = np.flatnonzero([name == other for other in part.classes])
    look = part.model.features
    looked_at = [look(work.plan.kernels[at]) for at in part.at[rows].tolist()] if look else []
    return rows, forest.predict(np.array(looked_at, np.float32).reshape(len(rows), len(part.model.feature_names)))


def _exercised(work: Workload, part: Part, covers: Mapping[str, Any]) -> Exercised:
    key = part.model, id(covers)
    if key not in work.exercised:
        terms = np.zeros(len(part.model.index), bool)
        terms[[part.model.index[name] for name in covers["measured_terms"] if name in part.model.index]] = True
        work.exercised[key] = Exercised(covers, terms, _inside(work, part, covers))
    return work.exercised[key]


def _inside(work: Workload, part: Part, covers: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Which kernels lie within what was measured of their class, or not more than ``ENVELOPE_MARGIN`` times beyond."""
    measured: Mapping[str, Any] = covers["envelope"]
    at, slack = part.at, _SLACK_OF_HOSTS if part.host else _SLACK
    ends = np.array([measured.get(name, _NOWHERE) for name in work.envelopes])[work.envelope[at]]
    size = work.sizes[at]
    return np.asarray(np.all((size >= ends[:, 0] - slack) & (size <= ends[:, 1] + slack), axis=1))


#: No size lies between these.
_NOWHERE = ([np.inf] * SIZES, [-np.inf] * SIZES)
#: The last size, the batch, has no margin: nothing but what was measured.
_SLACK = np.array([log(ENVELOPE_MARGIN)] * (SIZES - 1) + [1e-9])
#: To a CPU's kernels a batch is more pixels: they loop over both, and the other sizes count them together.
_SLACK_OF_HOSTS = np.array([log(ENVELOPE_MARGIN)] * (SIZES - 1) + [1e3])


def queued(kernels: Array, launches: Array, scale: float, dispatch_ms: float) -> Array:
    """Time from one kernel's start to the next one's: a smooth maximum of its own time, slower where kernels follow each other, and the dispatch
    of its launches."""
    run, wait = scale * kernels, dispatch_ms * launches
    return np.asarray(0.5 * (run + wait + np.sqrt((run - wait) ** 2 + (0.5 * wait) ** 2)))


#: A border inside a model waits for what runs on one side: this much of what starting an inference takes. Nothing here measured it.
BORDER_STARTS = 0.5


def starts(partitions: tuple[Partition, ...]) -> float:
    """How often the queue of a processor that is not the host's is started: once, and partly again at every border."""
    return 1.0 + BORDER_STARTS * (len(partitions) - 1)


def crossing_bytes(partitions: tuple[Partition, ...]) -> int:
    """Bytes that are copied to and from the host inside a model; what only enters and leaves it is in no split."""
    return sum(part.input_bytes + part.output_bytes for part in partitions) if len(partitions) > 1 else 0


def border_ms(partitions: tuple[Partition, ...], start_ms: float, copy_gb_per_s: float) -> float:
    """Copies between processors inside a model, and the synchronisation that each needs."""
    waits = start_ms * (starts(partitions) - 1.0)
    return float(waits + crossing_bytes(partitions) * 1e-6 / copy_gb_per_s)


class Latency(NamedTuple):
    """The times of a plan on a target, and their sum with its interval, as in ``Prediction``."""

    times: Times
    ms: float
    low_ms: float
    high_ms: float | None
    interval: float
    coverage: float


def latency(work: Workload, target: Target) -> Latency:
    """What ``work`` takes on ``target`` in all. Raises ``LatlintError`` (LAT901) where its pack cannot price it."""
    found = times(work, target)
    total = float(found.kernels.sum()) + found.overhead_ms
    coverage = _coverage(work, found)
    low, high, level = bounds(shares(work, found), coverage, target, work.plan.precision)
    return Latency(found, total, total * low, None if work.unknown else total * high, level, coverage)


def predict(
    graph: Graph, plan: Plan, target: Target, *, model: str, sha256: str, work: Workload | None = None
) -> Prediction:
    """The prediction for ``plan``, the plan of ``graph`` for ``target.processor``. ``work`` saves pricing the plan again.

    ``model`` and ``sha256`` are the file's path as given and its hash.
    """
    work = work or workload(plan)
    found, total, low_ms, high_ms, level, coverage = latency(work, target)
    return Prediction(
        model=model,
        sha256=sha256,
        format=graph.format,
        precision=graph.as_if or plan.precision,
        as_if=bool(graph.as_if),
        target=target.name,
        runtime=plan.runtime,
        latency_ms=total,
        low_ms=low_ms,
        high_ms=high_ms,
        interval=level,
        overhead_ms=found.overhead_ms,
        coverage=coverage,
        macs=work.macs,
        partitions=tuple(
            PartitionPrediction(
                part.executor,
                part.nodes,
                spent,
            )
            for part, spent in zip(plan.partitions, _partitions_ms(work, found), strict=True)
        ),
        kernels=_kernels(graph, work, found),
        border_ms=found.border_ms,
        delegate=plan.delegate,
        placement=not target.timed,
        notes=plan.notes if target.timed else (*plan.notes, PLACEMENT),
        pack=target.pack.revision,
        unknown=_unknown(graph, work),
        compiled_for=_compiled_for(graph),
        open_inputs=graph.unstated,
    )


def _compiled_for(graph: Graph) -> tuple[str, ...]:
    found = (node.attributes.get("compiled_for") for node in graph.nodes if node.kind == UNKNOWN)
    return tuple(dict.fromkeys(str(place) for place in found if place))


def _unknown(graph: Graph, work: Workload) -> dict[str, int]:
    """The ops that are not priced, as the file calls them, and how many of each there are, the most frequent first."""
    kernels = (work.plan.kernels[position] for position in sorted(work.unknown))
    names = (graph.nodes[kernel.nodes[0]].native or kernel.op if kernel.nodes else kernel.op for kernel in kernels)
    return dict(Counter(names).most_common())


def _partitions_ms(work: Workload, found: Times) -> list[float]:
    """What the kernels of each partition take."""
    count = len(work.plan.partitions)
    spent: list[float] = np.bincount(work.partition, found.kernels, count).tolist()
    return spent[:count]


def _kernels(graph: Graph, work: Workload, found: Times) -> tuple[KernelPrediction, ...]:
    """Each kernel of the plan with its time. On the hot path: what no target prices is the same for all, and in large graphs most of them."""
    if not work.told:
        work.told.extend(_told(graph, work))
    kernels = list(work.told)
    for part in work.parts:
        at = part.at
        for position, latency_ms, known in zip(
            part.positions, found.kernels[at].tolist(), found.predicted[at].tolist(), strict=True
        ):
            told, source = kernels[position], "predicted" if known else "derived"
            kernels[position] = KernelPrediction._make((*told[:6], latency_ms, source, *told[8:]))
    return tuple(kernels)


def _told(graph: Graph, work: Workload) -> Iterator[KernelPrediction]:
    fallbacks = work.plan.fallbacks
    for index, kernel in enumerate(work.plan.kernels):
        nodes = tuple([graph.nodes[node].name for node in kernel.nodes])
        if (
            kernel.free
            and kernel.sized
            and kernel.repeat == 1
            and not (kernel.inputs or kernel.outputs or kernel.weight_bytes or kernel.macs)
        ):
            yield KernelPrediction(
                index, kernel.partition, nodes, kernel.op, kernel.linked, kernel.implementation, 0.0, "free",
                0, 0, kernel.free, kernel.explain, (), (), kernel.input_dtype,
            )  # fmt: skip
            continue
        fallback = fallbacks.get(kernel.nodes[0]) if kernel.nodes else None
        counted = not kernel.nodes or is_counted(graph.nodes[kernel.nodes[0]])
        reason = kernel.free or ("" if kernel.sized else UNSIZED if counted else UNCOUNTED) or kernel.reason
        if (
            not reason
            and index in work.unknown
            and _lacks_type(kernel, model_of(work.plan.partitions[kernel.partition].executor))
        ):
            reason = UNTYPED.format(dtype=kernel.input_dtype)
        again = (f"run {kernel.repeat} times, once in each round of its loop",) if kernel.repeat > 1 else ()
        yield KernelPrediction(
            index=index,
            partition=kernel.partition,
            nodes=nodes,
            op=kernel.op,
            linked=kernel.linked,
            implementation=kernel.implementation,
            latency_ms=0.0,
            source="free" if kernel.free else "unknown" if index in work.unknown else "",
            macs=kernel.all_macs,
            bytes=kernel.bytes * kernel.repeat,
            reason=reason or (sentence(fallback) if fallback else ""),
            explain=kernel.explain + again,
            inputs=kernel.inputs if kernel.sized else None,
            outputs=kernel.outputs if kernel.sized else None,
            dtype=kernel.input_dtype,
        )


def _coverage(work: Workload, found: Times) -> float:
    """Share of the kernels' time that is predicted, lowered by the share of kernels whose time is not known at all."""
    total = float(found.kernels.sum())
    priced = sum(len(part.positions) for part in work.parts)
    known = priced / (priced + len(work.unknown)) if priced + len(work.unknown) else 1.0
    share = float(found.kernels[found.predicted].sum()) / total if total > 0 else float(known == 1.0)
    return min(share * known, 1.0)


#: Log error of the derived models, as a rule of thumb: a factor of two either way for 90 % of kernels.
DERIVED_LOG_ERROR = log(2.0)
#: How much less is known of kernels that few families of networks use: the width of an interval grows with their share of the
#: time as ``1 + RARITY / (families + 1/2)``.
RARITY = 5.0
#: What an inference costs besides its kernels, as a class of its own.
OVERHEAD = "overhead"


def shares(work: Workload, found: Times) -> dict[str, float]:
    """Share of the total time by implementation, the overhead included."""
    total = float(found.kernels.sum()) + found.overhead_ms
    spent = np.bincount(work.implementation, found.kernels, len(work.implementations)).tolist()
    by_name = {OVERHEAD: found.overhead_ms, **dict(zip(work.implementations, spent, strict=True))}
    return {name: ms / total for name, ms in by_name.items() if ms > 0} if total > 0 else {}


def difficulty(of: Mapping[str, float], evidence: Mapping[str, int]) -> float:
    """How unlike a prediction is to what was measured, from ``shares`` and the number of families that use each implementation;
    about 1 where many do."""
    return sum(share * (1.0 + RARITY / (evidence.get(name, 0) + 0.5)) for name, share in of.items()) or 1.0


def bounds(of: Mapping[str, float], coverage: float, target: Target, precision: str) -> tuple[float, float, float]:
    """Factors from the point to the low and high end, and the level, for ``shares`` of a time of which ``coverage`` is predicted:
    conformal on held-out families, wider for what is rare in them, and for what is derived."""
    known = target.card["interval"]
    precision = precision if precision in known else "float32"
    scale = known.get(precision) or next(iter(known.values()))
    evidence = target.card.get("evidence", {}).get(precision)
    hard = difficulty(of, evidence) if evidence else 1.0
    spread = (1.0 - coverage) * float(target.card.get("spread", DERIVED_LOG_ERROR))
    return exp(scale["low"] * hard - spread), exp(scale["high"] * hard + spread), float(scale["level"])
