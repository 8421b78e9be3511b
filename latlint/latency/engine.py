"""Plan + device pack -> Prediction.

``time = sum(theta * terms)``, for a GPU times a correction by trees where kernels like this one were measured. What an
inference costs besides its kernels is the overhead: on a CPU a constant, on a GPU a start, and for each launch what the queue
adds when the kernel is shorter than the time it takes to dispatch the next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import exp, log, prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from latlint.graph.types import Graph
from latlint.latency import cpu_model, gpu_model
from latlint.latency.packs import Target
from latlint.latency.types import KernelPrediction, PartitionPrediction, Prediction
from latlint.runtime.types import Kernel, Plan

GPU_TERMS = tuple(gpu_model.TERMS)
CPU_TERMS = tuple(cpu_model.TERMS)
_GPU_INDEX = {name: index for index, name in enumerate(GPU_TERMS)}
_CPU_INDEX = {name: index for index, name in enumerate(CPU_TERMS)}

#: A kernel may be this many times larger or smaller than any that was measured, and still count as predicted.
ENVELOPE_MARGIN = 2.0
#: Share of a kernel's time that measured terms must explain for it to count as predicted.
MEASURED_SHARE = 0.9
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Workload:
    """What a plan asks of its processors, before any device's speed: shared by all targets that run the same plan.

    ``gpu`` and ``cpu`` hold kernel positions; ``gpu_terms`` (kernels, terms), ``features`` (kernels, features), ``classes`` and
    ``launches`` go with ``gpu``, ``cpu_terms`` with ``cpu``; ``sizes`` (see ``sizes``), ``bytes`` and ``envelope``, which is the class (see
    ``envelope_class``) as an index of ``envelopes``, are of all kernels.
    """

    plan: Plan
    gpu: tuple[int, ...]
    gpu_terms: Array
    features: NDArray[np.float32]
    classes: tuple[str, ...]
    launches: Array
    cpu: tuple[int, ...]
    cpu_terms: Array
    unknown: frozenset[int]
    envelopes: tuple[str, ...]
    envelope: NDArray[np.intp]
    sizes: Array
    bytes: tuple[int, ...]
    model_term: str


def workload(plan: Plan) -> Workload:
    """The terms and features of every kernel of a plan."""
    kernels = plan.kernels
    gpu: list[int] = []
    cpu: list[int] = []
    unknown: set[int] = set()
    # rows for all kernels on both, of which those that are not written take no memory
    gpu_terms, cpu_terms = (np.zeros((len(kernels), len(index))) for index in (_GPU_INDEX, _CPU_INDEX))
    executors = [partition.executor for partition in plan.partitions]
    for position, kernel in enumerate(kernels):
        if kernel.free:
            continue
        executor = executors[kernel.partition] if executors else "builtin"
        on_gpu = executor == "gpu"
        found = gpu_model.terms(kernel) if on_gpu else cpu_model.terms(kernel, executor)
        if found is None:
            unknown.add(position)
            continue
        positions, rows, index = (gpu, gpu_terms, _GPU_INDEX) if on_gpu else (cpu, cpu_terms, _CPU_INDEX)
        row = rows[len(positions)]
        for name, count in found.items():
            row[index[name]] = count
        positions.append(position)
    envelopes: dict[str, int] = {}
    envelope = [envelopes.setdefault(envelope_class(kernel), len(envelopes)) for kernel in kernels]
    return Workload(
        plan=plan,
        gpu=tuple(gpu),
        gpu_terms=gpu_terms[: len(gpu)],
        features=np.array([gpu_model.features(kernels[i]) for i in gpu], np.float32).reshape(
            len(gpu), len(gpu_model.FEATURES)
        ),
        classes=tuple(gpu_model.kernel_class(kernels[i]) for i in gpu),
        launches=np.array([float(_launches(kernels[i])) for i in gpu]),
        cpu=tuple(cpu),
        cpu_terms=cpu_terms[: len(cpu)],
        unknown=frozenset(unknown),
        envelopes=tuple(envelopes),
        envelope=np.array(envelope, np.intp),
        sizes=np.array([sizes(kernel) for kernel in kernels]).reshape(len(kernels), 6),
        bytes=tuple(kernel.bytes for kernel in kernels),
        model_term=cpu_model.model_term(set(executors), plan.precision),
    )


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


def _launches(kernel: Kernel) -> int:
    return int(kernel.attributes.get("launches", 1))


class Times(NamedTuple):
    """Milliseconds of each kernel of a plan (0 where free or unknown) and of the rest; which kernels are ``predicted``."""

    kernels: Array
    overhead_ms: float
    predicted: NDArray[np.bool_]
    #: The part of the overhead that copies and synchronisation between CPU and GPU take, where a model is split.
    border_ms: float = 0.0


def times(work: Workload, target: Target) -> Times:
    """What each kernel of ``work`` takes on ``target``."""
    kernels = np.zeros(len(work.plan.kernels))
    predicted = np.zeros(len(kernels), bool)
    overhead = border = 0.0
    if work.gpu:
        at = list(work.gpu)
        kernels[at], predicted[at] = _gpu_times(work, target)
        border = _border_ms(work, target)
        overhead += _queue_ms(kernels[at], work.launches, target.card["queue"]) + border
    if work.cpu:
        at = list(work.cpu)
        card = (
            target.card if target.processor.kind == "cpu" else target.pack.card["processors"][target.card["fallback"]]
        )
        theta = target.pack.arrays[card["theta"]]
        kernels[at], predicted[at] = _cpu_times(work, target, theta)
        if not work.gpu:
            overhead += float(theta[_CPU_INDEX[work.model_term]]) * 1e-6
    if target.processor.kind == "gpu" and (work.plan.precision == "int8" or not work.gpu):
        predicted[:] = False
    return Times(kernels, overhead, predicted, border)


def _gpu_times(work: Workload, target: Target) -> tuple[Array, NDArray[np.bool_]]:
    theta = target.pack.arrays[target.card["theta"]]
    summed = work.gpu_terms @ theta * 1e-6
    covers = target.pack.card["covers"]["gpu"]
    inside = _inside(work, work.gpu, covers)
    found = summed.copy()
    for name in sorted(set(work.classes)):
        forest = target.pack.forest(f"{target.key}/{name}")
        rows = np.array([name == other for other in work.classes]) & inside
        if forest is not None and rows.any():
            found[rows] *= np.exp(forest.predict(work.features[rows]))
    return found, inside & _measured(work.gpu_terms, theta, covers, _GPU_INDEX)


def _cpu_times(work: Workload, target: Target, theta: Array) -> tuple[Array, NDArray[np.bool_]]:
    covers = target.pack.card["covers"]["cpu"]
    measured = _measured(work.cpu_terms, theta, covers, _CPU_INDEX) & _inside(work, work.cpu, covers)
    return work.cpu_terms @ theta * 1e-6, measured


def _measured(terms: Array, theta: Array, covers: Mapping[str, Any], index: Mapping[str, int]) -> NDArray[np.bool_]:
    """Which kernels owe their time to terms that some measurement exercised."""
    seen = np.zeros(len(index), bool)
    seen[[index[name] for name in covers["measured_terms"] if name in index]] = True
    cost = terms * theta
    return np.asarray(cost[:, seen].sum(axis=1) >= MEASURED_SHARE * cost.sum(axis=1))


def _inside(work: Workload, positions: tuple[int, ...], covers: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Which kernels lie within what was measured of their class, or not more than ``ENVELOPE_MARGIN`` times beyond."""
    measured: Mapping[str, Any] = covers["envelope"]
    at = list(positions)
    ends = np.array([measured.get(name, _NOWHERE) for name in work.envelopes])[work.envelope[at]]
    size = work.sizes[at]
    return np.asarray(np.all((size >= ends[:, 0] - _SLACK) & (size <= ends[:, 1] + _SLACK), axis=1))


#: No size lies between these.
_NOWHERE = ([np.inf] * 6, [-np.inf] * 6)
#: The last size, the batch, has no margin: nothing but what was measured.
_SLACK = np.array([log(ENVELOPE_MARGIN)] * 5 + [1e-9])


def _queue_ms(kernels: Array, launches: Array, queue: Mapping[str, float]) -> float:
    """What end to end adds to the sum of the kernels: a start, slower kernels when they follow each other, and the wait for the
    next dispatch where a kernel is shorter than that. The maximum is rounded at the corner."""
    return queue["start_ms"] + float((queued(kernels, launches, queue["scale"], queue["dispatch_ms"]) - kernels).sum())


def queued(kernels: Array, launches: Array, scale: float, dispatch_ms: float) -> Array:
    """Time from one kernel's start to the next one's: a smooth maximum of its own time and the dispatch of its launches."""
    run, wait = scale * kernels, dispatch_ms * launches
    return np.asarray(0.5 * (run + wait + np.sqrt((run - wait) ** 2 + (0.5 * wait) ** 2)))


def _border_ms(work: Workload, target: Target) -> float:
    """Copies between CPU and GPU inside a model, and the synchronisation that each needs."""
    partitions = work.plan.partitions
    if len(partitions) < 2:
        return 0.0
    crossed = sum(part.input_bytes + part.output_bytes for part in partitions if part.executor == "gpu")
    queue = target.card["queue"]
    return float(queue["start_ms"] * 0.5 * (len(partitions) - 1) + crossed * 1e-6 / queue["copy_gb_per_s"])


def predict(
    graph: Graph, plan: Plan, target: Target, *, model: str, sha256: str, work: Workload | None = None
) -> Prediction:
    """The prediction for ``plan``, the plan of ``graph`` for ``target.processor``. ``work`` saves pricing the plan again.

    ``model`` and ``sha256`` are the file's path as given and its hash.
    """
    work = work or workload(plan)
    found = times(work, target)
    total = float(found.kernels.sum()) + found.overhead_ms
    coverage = _coverage(work, found)
    low, high, level = bounds(shares(work, found), coverage, target, plan.precision)
    return Prediction(
        model=model,
        sha256=sha256,
        format=graph.format,
        precision=plan.precision,
        target=target.name,
        runtime=plan.runtime,
        latency_ms=total,
        low_ms=total * low,
        high_ms=total * high,
        interval=level,
        overhead_ms=found.overhead_ms,
        coverage=coverage,
        macs=sum(kernel.macs for kernel in plan.kernels),
        partitions=tuple(
            PartitionPrediction(
                part.executor,
                part.nodes,
                spent,
            )
            for part, spent in zip(plan.partitions, _partitions_ms(plan, found), strict=True)
        ),
        kernels=tuple(_kernels(graph, work, found)),
        border_ms=found.border_ms,
        notes=plan.notes,
        pack=target.pack.revision,
    )


def _partitions_ms(plan: Plan, found: Times) -> list[float]:
    """What the kernels of each partition take."""
    numbers = np.array([kernel.partition for kernel in plan.kernels], np.intp)
    spent: list[float] = np.bincount(numbers, found.kernels, len(plan.partitions)).tolist()
    return spent[: len(plan.partitions)]


def _kernels(graph: Graph, work: Workload, found: Times) -> Iterator[KernelPrediction]:
    """Each kernel of the plan with its time. Made anew for each target, so that it is on the hot path."""
    fallbacks = work.plan.fallbacks
    times, predicted = found.kernels.tolist(), found.predicted.tolist()
    for index, kernel in enumerate(work.plan.kernels):
        fallback = fallbacks.get(kernel.nodes[0], "") if kernel.nodes else ""
        known = "unknown" if index in work.unknown else "predicted" if predicted[index] else "derived"
        yield KernelPrediction(
            index=index,
            partition=kernel.partition,
            nodes=tuple([graph.nodes[node].name for node in kernel.nodes]),
            op=kernel.op,
            linked=kernel.linked,
            implementation=kernel.implementation,
            latency_ms=times[index],
            source="free" if kernel.free else known,
            macs=kernel.macs,
            bytes=work.bytes[index],
            reason=kernel.free or kernel.reason or fallback,
            explain=kernel.explain,
        )


def _coverage(work: Workload, found: Times) -> float:
    """Share of the kernels' time that is predicted, lowered by the share of kernels whose time is not known at all."""
    total = float(found.kernels.sum())
    priced = len(work.gpu) + len(work.cpu)
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
    spent = {OVERHEAD: found.overhead_ms}
    for kernel, latency_ms in zip(work.plan.kernels, found.kernels, strict=True):
        spent[kernel.implementation] = spent.get(kernel.implementation, 0.0) + float(latency_ms)
    return {name: ms / total for name, ms in spent.items() if ms > 0} if total > 0 else {}


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
    spread = (1.0 - coverage) * DERIVED_LOG_ERROR
    return exp(scale["low"] * hard - spread), exp(scale["high"] * hard + spread), float(scale["level"])
