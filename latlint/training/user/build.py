"""Measured models to a pack for a device of one's own, with the error on models held out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import log
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from latlint.errors import LatlintError
from latlint.files import real_path
from latlint.graph import read
from latlint.graph.types import Graph
from latlint.latency.cards import FOREST_PARTS, terms_of
from latlint.latency.catalogue import select_targets
from latlint.latency.engine import Workload, correction_of, counts, crossing_bytes, envelope_class, starts, workload
from latlint.latency.packs import NamedTarget, Pack, Target, load_targets, vocabulary
from latlint.latency.trees import Forest
from latlint.runtime import plan
from latlint.runtime.kinds import kind, kind_of
from latlint.runtime.types import Processor
from latlint.training import hierarchy
from latlint.training.columns import Columns
from latlint.training.evaluation import ROOFLINE, SIMPLEST, Simple, accuracy, interval, simple
from latlint.training.measurements import cores_of
from latlint.training.user.matching import kernel_times
from latlint.training.user.readers import Profile
from latlint.training.user.transfer import (
    Costs,
    Queue,
    Samples,
    Strength,
    directions,
    fit,
    predicted_ns,
    whole_times,
)
from latlint.words import counted

Array = NDArray[np.float64]

#: Fewer models cannot tell a device's speed from one model's peculiarities, nor say how large the error is.
MIN_MODELS = 5
#: A time this many times away from the others, relative to what is predicted, is in another unit. Microseconds are 1000 times off.
UNIT_FACTOR = 100.0
#: No two times of the same model are further apart.
REPEATED = 2.0
#: A time this many times away from what the others let expect, and this many times as far as most of them, is doubtful: measured wrongly, or of a model that
#: runs unlike the others.
DOUBTFUL, UNLIKE = 3.0, 5.0
#: More models are held out in this many parts.
PARTS = 10
#: Nodes of a forest are counted with 16 bits.
MAX_NODES = 1 << 16
#: How many of the ways in which known processors differ are used (``transfer.directions``).
DIRECTIONS = 4
#: The width of an interval, as a logarithm, below which no few measurements bring it.
MIN_WIDTH = 0.1
#: What a pack predicts with: a known processor's costs, moved.
TRANSFER = "transfer"
#: What a host's pack may predict with in its place, where no known processor is much like it: costs that start from what instructions and bytes let
#: expect (``Term.prior_ns``).
PRIORS = "priors"
#: How many times beyond what the measured models took, relative to the simplest model of them, a prediction may lie. Less for more models was tried: CPUs
#: then err by two to four points more on families held out.
BEYOND = 2.0
#: How many standard errors costs must err less by than the usual ones, to be taken: few models that are held out tell little.
NOISE = 2.0
#: How far the costs of kernels are trusted before anything is held out: all the way from the roofline's time to theirs (``share``), give or take this.
TRUST = 0.3
#: How sure it must be that the roofline errs less, for it to be taken alone.
SURE = 0.975
#: The CPU that runs what another processor leaves, taken over from the donor and never measured.
FALLBACK = "cpu-fallback"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the pack shall be for. ``like``: the target whose costs to start from (a glob may name several), by default the one that fits best
    of all that are known; ``runtime``: names a file of ``rules/``, by default the donor's; ``threads``: by default as the processor's name says;
    ``vendor``: whose instructions a CPU has, ``arm`` or ``x86``, by default the donor's. ``designed``: the models are a kit's, each there for what the
    others do not tell. Held out in turn, such models say of costs that they are unknown, and nothing of how well they are known together: they are
    trusted all the way (``share``). ``version``: of the compiler that made what was timed, by default what most measurements state, or the runtime's name."""

    device: str
    processor: str
    like: str | None = None
    runtime: str | None = None
    threads: int | None = None
    vendor: str | None = None
    designed: bool = False
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Built:
    """``pack``, and how it came about: the donor's name, how many times faster than the donor, models, timed kernels, held-out
    errors by model (predicted over measured, minus one). ``model``: what the pack predicts with, ``TRANSFER``, ``PRIORS`` or, where these are worth nothing,
    ``ROOFLINE``; ``share``: how far its times go from the roofline's to that model's (see ``share``); ``others``: the errors of each that was tried, of the
    same models held out in the same parts; ``doubtful``: by measurement, how many times what the others let expect (``_doubtful``)."""

    pack: Pack
    donor: str
    faster: float
    kernels: int
    errors: Mapping[str, float]
    model: str
    share: float
    others: Mapping[str, Mapping[str, float]]
    doubtful: Mapping[str, float]


@dataclass(frozen=True)
class Donor:
    """A known processor: its target, its costs and the terms that they are for, and the samples as its runtime would run the measured models.

    ``along`` (terms, ways): how processors of its kind differ (``transfer.directions``); ``seen`` (terms,): what it was measured for; ``counts``
    (models, 3): ``engine.counts`` of each model.
    """

    target: Target
    processor: Processor
    columns: Columns
    costs: Costs
    along: Array
    seen: NDArray[np.bool_]
    samples: Samples
    works: tuple[Workload, ...]
    counts: Array

    @cached_property
    def log_ratios(self) -> Array:
        """Logarithms of measured times over this processor's own, (models,)."""
        return np.asarray(np.log(self.samples.total_ns / predicted_ns(self.samples, self.costs)))

    def only(self, models: NDArray[np.bool_]) -> Donor:
        """The donor with some of the models, a mask."""
        kept = tuple(work for work, keep in zip(self.works, models, strict=True) if keep)
        return replace(self, samples=self.samples.only(models), works=kept, counts=self.counts[models])

    def fit(self) -> Costs:
        """The costs that explain its models."""
        return fit(self.samples, self.costs, self.along, self.seen)

    def from_priors(self) -> Costs:
        """The costs of a host that explain the whole times of its models, near the priors; of the donor, only how they are planned. They are what
        ``hierarchy.fit`` finds for one configuration, whose deviations are one for each term and one along what threads divide."""
        models, terms, held = len(self.samples.total_ns), self.columns.terms, hierarchy.Strength(softness=0.02)
        counted = np.zeros((models, len(self.columns.names)))
        np.add.at(counted, self.samples.model, self.samples.terms)
        parts = 1 / held.shared + 1 / held.core_term + 1 / held.own, 1 / held.speedup
        # its loss is a mean over the models, and its weights are not halved
        own, speedup = (float(part * held.softness / (8 * models * held.scale)) ** 0.5 for part in parts)
        start = Costs(terms.prior * self.processor.threads**-terms.parallel, np.zeros(0), Queue())
        strength = Strength(noise=held.softness / 2, own=own)
        found = fit(
            whole_times(counted, self.samples.total_ns), start, -speedup * terms.parallel[:, None], strength=strength
        )
        return replace(self.costs, theta=found.theta)


def build(profiles: Sequence[Profile], wanted: Wanted, given: Mapping[str, NamedTarget] | None = None) -> Built:
    """A pack for ``wanted`` from ``profiles``. ``given``: the targets to start from, by default the bundled ones.

    Raises LatlintError for measurements that cannot be used.
    """
    kind_name = kind_of(wanted.processor).name
    # a target whose runtime follows the file has no costs of its own
    concrete = {name: each for name, each in (given or load_targets()).items() if isinstance(each, Target)}
    known = {name: target for name, target in concrete.items() if target.processor.kind == kind_name}
    if not known:
        raise LatlintError(f"no {kind_of(wanted.processor).title} is known whose costs could be a start")
    alike = _like_runtime(known, wanted.runtime)
    kin = {name: target for name, target in alike.items() if _has(target, wanted.vendor)} or alike
    candidates = [known[name] for name in select_targets((wanted.like,), known)] if wanted.like else [*kin.values()]
    priced = {_terms(target) for target in candidates}
    known = {name: target for name, target in known.items() if _terms(target) in priced}
    profiles = once(profiles)
    if len(profiles) < MIN_MODELS:
        raise LatlintError(
            f"{counted(len(profiles), 'measured model')} {'is' if len(profiles) == 1 else 'are'} too few: at least {MIN_MODELS} are needed"
        )
    planned = _planned(profiles, wanted, candidates)
    precision = _most_common(work.plan.precision for each in planned.values() for work in each.works)
    version = wanted.version or _most_common(profile.version for profile in profiles if profile.version)
    if not wanted.like:
        candidates = of_version(candidates, precision, version)
        known = {target.name: target for target in of_version([*known.values()], precision, version)}
    totals = np.array([profile.total_ms * 1e6 for profile in profiles])
    pool = Pool(list(known.values()), wanted, lambda processor: planned[processor.plan_key], totals)
    donors = [pool.donor(target) for target in candidates]
    everything = np.ones(len(profiles), bool)
    _check_units(profiles, donors)
    best = closest(donors, everything)
    groups = parts_of([profile.family or str(profile.model) for profile in profiles])
    ratios = held_out(donors, groups)
    model = chosen(ratios, TRANSFER if _has(best.target, wanted.vendor) else PRIORS)
    costs = best.from_priors() if model == PRIORS else best.fit()
    trusted, errors = 1.0, ratios[model]
    if not wanted.designed:
        trusted = share(ratios[model], ratios[ROOFLINE], groups)
        errors = leaned(ratios[model], ratios[ROOFLINE], groups)
    limits = bounds(best)._replace(share=trusted)
    pack = _pack(wanted, pool, best, costs, profiles, errors, limits, alone=model == PRIORS)
    return Built(
        pack=pack,
        donor=best.target.name,
        faster=float(np.exp(-np.median(best.log_ratios))),
        kernels=int(np.isfinite(best.samples.kernel_ns).sum()),
        errors=_errors(profiles, errors),
        model=model if trusted else ROOFLINE,
        share=trusted,
        others={name: _errors(profiles, each) for name, each in ratios.items()},
        doubtful=_doubtful(profiles, best),
    )


def once(profiles: Sequence[Profile]) -> list[Profile]:
    """Every model once, by its file, with the measurement whose time is the median of its own; of two, the shorter one.

    Raises LatlintError where they contradict each other.
    """
    of: dict[str, list[Profile]] = {}
    for profile in profiles:
        # links that lead to each other are no file, which is said where the file is read; Path.resolve raises
        of.setdefault(real_path(profile.model), []).append(profile)
    found = []
    for same in of.values():
        ordered = sorted(same, key=lambda profile: profile.total_ms)
        least, most = ordered[0], ordered[-1]
        if most.total_ms > REPEATED * least.total_ms:
            message = (
                f"{most.total_ms:g} ms for {most.model.name}, and {least.total_ms:g} ms in {least.source}: which is it? "
                f"Times of one model are of one processor, runtime and number of threads"
            )
            raise LatlintError(message, path=most.source)
        found.append(ordered[(len(ordered) - 1) // 2])
    return found


def _has(target: Target, vendor: str | None) -> bool:
    """Whether a target's CPU has the instructions of ``vendor``: costs of others are those of other kernels. What is no host's has none to compare."""
    return not target.host or vendor in (None, target.processor.vendor)


def _errors(profiles: Sequence[Profile], ratios: Array) -> dict[str, float]:
    return {profile.source: float(ratio - 1) for profile, ratio in zip(profiles, ratios, strict=True)}


def _processor(wanted: Wanted, donor: Processor) -> Processor:
    named = sum(count for count, _ in cores_of(wanted.processor))
    return donor._replace(
        name=wanted.processor,
        runtime=wanted.runtime or donor.runtime,
        vendor=wanted.vendor or donor.vendor if kind(donor.kind).host else donor.vendor,
        threads=wanted.threads or named or donor.threads if kind(donor.kind).host else 1,
    )


def _terms(target: Target) -> tuple[str, ...]:
    """What a target's costs are of: those of others can only be compared with them where they are of the same."""
    return tuple(target.pack.card["terms"][terms_of(target.card)])


def _most_common(values: Iterable[str]) -> str:
    """What most are, the first of them in order; empty where there are none."""
    found = Counter(values)
    return min(found, key=lambda value: (-found[value], value), default="")


def of_version(targets: Sequence[Target], precision: str, version: str = "") -> list[Target]:
    """Those whose costs in a precision are what the compiler's ``version`` makes of a network, by default that which their runtime's name states: of the
    nearest version that any of them states, and all where none does. A kernel that no measured model has costs what it costs there, which nothing tells otherwise.
    """
    stated = {each.name: each.card.get("version", {}).get(precision) for each in targets}
    far = {
        each.name: abs(_number(of) - _number(version or each.runtime)) for each in targets if (of := stated[each.name])
    }
    return [each for each in targets if not far or far.get(each.name) == min(far.values())]


def _number(version: str) -> int:
    """The first two numbers of a version, which may have a name before it, as one."""
    found = re.search(r"(\d{1,9})(?:\.(\d{1,9}))?", version)
    return 1000 * int(found[1]) + int(found[2] or 0) if found else 0


def _like_runtime(known: Mapping[str, Target], runtime: str | None) -> dict[str, Target]:
    """The targets whose runtime is the same library, in any version, as ``runtime``; where there are none, or none is named, those
    that are not named by their runtime."""
    library = runtime.rpartition("/")[2] if runtime else None
    same = {name: target for name, target in known.items() if target.runtime.rpartition("/")[2] == library}
    return same or {name: target for name, target in known.items() if "@" not in name} or dict(known)


@dataclass(frozen=True)
class Planned:
    """The measured models as one kind of processor runs them: priced plans, and milliseconds by position of the kernel."""

    works: tuple[Workload, ...]
    timed: tuple[Mapping[int, float], ...]

    @cached_property
    def counts(self) -> Array:
        """``engine.counts`` of each model, (models, 3)."""
        return np.array([counts(work) for work in self.works])


def _planned(profiles: Sequence[Profile], wanted: Wanted, targets: Iterable[Target]) -> dict[tuple[str, ...], Planned]:
    """Every model planned once for each kind of processor among the targets'."""
    processors = {p.plan_key: p for p in (_processor(wanted, target.processor) for target in targets)}
    graphs = [read(profile.model) for profile in profiles]
    return {key: _planned_for(processor, graphs, profiles) for key, processor in processors.items()}


def _planned_for(processor: Processor, graphs: Sequence[Graph], profiles: Sequence[Profile]) -> Planned:
    works, timed = [], []
    for graph, profile in zip(graphs, profiles, strict=True):
        planned = plan(graph, processor)
        works.append(workload(planned))
        timed.append(kernel_times(graph, planned, profile))
        if not kind(processor.kind).host and not works[-1].offloaded:
            title = kind(processor.kind).title
            raise LatlintError(f"the {title} delegate takes none of its ops: leave it out", path=str(profile.model))
    return Planned(tuple(works), tuple(timed))


@dataclass(frozen=True)
class Pool:
    """All known processors of a kind, and the measured models as one like a candidate among them runs them."""

    targets: Sequence[Target]
    wanted: Wanted
    planned: Callable[[Processor], Planned]
    total_ns: Array

    def donor(self, target: Target) -> Donor:
        processor = _processor(self.wanted, target.processor)
        planned = self.planned(processor)
        columns = Columns.for_works(processor.kind, planned.works)
        forests = self.forests(target, columns)
        queue = queue_of(target)
        sampled = samples(planned, self.total_ns, columns, forests, queue)
        extra = np.array([elsewhere_ns(work, target) for work in planned.works])
        share = np.full(len(forests), 1 / max(len(forests), 1))
        costs = Costs(costs_of(target, columns), share, queue)
        measured = {*target.pack.covers(target.key)["measured_terms"]}
        return Donor(
            target=target,
            processor=processor,
            columns=columns,
            costs=costs,
            along=directions([costs_of(each, columns) for each in self.targets], DIRECTIONS),
            seen=np.array([name in measured for name in columns.names]),
            samples=replace(sampled, extra_ns=extra),
            works=planned.works,
            counts=planned.counts,
        )

    def forests(self, donor: Target, columns: Columns) -> list[Mapping[str, Forest]]:
        """The forests, by class of kernel, of the known GPUs whose costs are most like the donor's, the donor's first; none of a CPU.

        As many as one forest can hold: what a GPU does that its terms miss is half of it what others do, and together they say
        it better than any one of them.
        """
        found: list[Mapping[str, Forest]] = []
        nodes: Counter[str] = Counter()
        for target in sorted(self.targets, key=lambda each: (_unlike(each, donor, columns), each.name)):
            forests = _forests(target, columns)
            nodes.update({name: len(forest.number) for name, forest in forests.items()})
            if not forests or max(nodes.values()) > MAX_NODES:
                break
            found.append(forests)
        return found


def costs_of(target: Target, columns: Columns) -> Array:
    """What a target pays for each term of ``columns``, (terms,)."""
    return np.concatenate([target.costs(model) for model in columns.models])


def _unlike(one: Target, other: Target, columns: Columns) -> float:
    """How much the costs of two processors differ beyond a common factor, as a logarithm."""
    thetas = (np.maximum(costs_of(target, columns), 1e-9) for target in (one, other))
    return round(float(np.std(np.subtract(*(np.log(theta) for theta in thetas)))), 9)


def _forests(target: Target, columns: Columns) -> dict[str, Forest]:
    prefix = f"{target.key}/"
    names = [name.removeprefix(prefix) for name in target.pack.card["forests"] if name.startswith(prefix)]
    model = columns.models[0]
    return {name: forest for name in names if (forest := target.pack.forest(target.key, name, model)) is not None}


def queue_of(target: Target) -> Queue:
    """The queue of a processor that is not the host's. No wait for a dispatch is shorter than can be moved from: 5 microseconds. One
    that has none, as an NPU whose kernels are launched together, has none here."""
    queue = {} if target.host else target.card["queue"]
    if not queue.get("dispatch_ms") and not queue.get("start_ms"):
        return Queue()
    return Queue(queue["scale"], max(queue["dispatch_ms"] * 1e6, 5e3), max(queue["start_ms"] * 1e6, 1e4))


def elsewhere_ns(work: Workload, target: Target) -> float:
    """What a model that is sent elsewhere spends on the host, on the donor, and on copies at the borders."""
    if not work.offloaded or len(work.plan.partitions) < 2:
        return 0.0
    hosts = [part for part in work.parts if part.host]
    kernels = sum(float((part.terms @ target.costs(part.model)).sum()) for part in hosts)
    return kernels + crossing_bytes(work.plan.partitions) / float(target.card["queue"]["copy_gb_per_s"])


def samples(
    planned: Planned, total_ns: Array, columns: Columns, forests: Sequence[Mapping[str, Forest]], queue: Queue
) -> Samples:
    """Measured models as ``transfer`` takes them: the kernels that ``columns`` prices, with one more for what an inference costs once, where that
    is a term; one row a model where no kernel was timed and their times add up: without forests, on the host or with a queue that has no waits."""
    adds_up = not forests and queue == Queue()
    model, terms, correction, launches, kernel_ns = [], [], [], [], []
    for number, (work, times) in enumerate(zip(planned.works, planned.timed, strict=True)):
        positions, counted = columns.kernels(work)
        fixed, launched = _correction(work, len(positions), forests), _launches(work, len(positions))
        if columns.once(work).any():
            counted = np.vstack([counted, columns.once(work)])
            fixed, launched = np.pad(fixed, ((0, 1), (0, 0))), np.append(launched, 0.0)
        if adds_up and not times:  # nothing but the sum is compared
            positions, counted = [], counted.sum(axis=0, keepdims=True)
            fixed, launched = fixed[:1], launched[:1]
        rows = len(counted)
        model.append(np.full(rows, number))
        terms.append(counted)
        correction.append(fixed)
        launches.append(launched)
        found = np.full(rows, np.nan)
        for at, position in enumerate(positions):
            found[at] = times.get(position, np.nan) * 1e6
        kernel_ns.append(found)
    return Samples(
        model=np.concatenate(model).astype(np.intp),
        terms=np.vstack(terms),
        correction=np.vstack(correction),
        launches=np.concatenate(launches),
        kernel_ns=np.concatenate(kernel_ns),
        extra_ns=np.zeros(len(planned.works)),
        starts=np.array([starts(work.plan.partitions) if work.offloaded else 0.0 for work in planned.works]),
        total_ns=total_ns,
    )


def _launches(work: Workload, rows: int) -> Array:
    """How often each of ``rows`` kernels is queued: never on the host."""
    return work.offloaded[0].launches if work.offloaded else np.zeros(rows)


def _correction(work: Workload, rows: int, forests: Sequence[Mapping[str, Forest]]) -> Array:
    """What the forests of each known processor say of the kernels that are queued, (kernels, processors); nothing on the host."""
    if not work.offloaded:
        return np.zeros((rows, len(forests)))
    (part,) = work.offloaded
    found = np.zeros((len(part.positions), len(forests)))
    for column, by_class in enumerate(forests):
        for name, forest in by_class.items():
            at, said = correction_of(work, part, name, forest)
            found[at, column] = said
    return found


def closest(donors: Sequence[Donor], models: NDArray[np.bool_]) -> Donor:
    """The donor whose predictions for ``models``, a mask, differ from the measurements by the same factor, more or less."""
    ratios = np.stack([donor.log_ratios[models] for donor in donors])
    spread = np.abs(ratios - np.median(ratios, axis=1, keepdims=True)).mean(axis=1).tolist()
    return min(zip(spread, donors, strict=True), key=lambda pair: (pair[0], pair[1].target.name))[1]


def _check_units(profiles: Sequence[Profile], donors: Sequence[Donor]) -> None:
    """Times in microseconds are a thousand times too long, for one model, for some or for all of them."""
    ratios = closest(donors, np.ones(len(profiles), bool)).log_ratios
    order = np.argsort(ratios, kind="stable")
    steps = np.diff(ratios[order])
    if steps.max() > log(UNIT_FACTOR):
        # the smaller part is the wrong one; of two halves the longer times
        cut = int(steps.argmax()) + 1
        wrong, others = (order[:cut], order[cut:]) if cut < len(order) / 2 else (order[cut:], order[:cut])
        at = min(wrong.tolist())
        factor = float(np.exp(ratios[at] - np.median(ratios[others])))
        more = f", and so are {counted(len(wrong) - 1, 'other')}" if len(wrong) > 1 else ""
        message = (
            f"{profiles[at].total_ms:g} ms for {profiles[at].model.name} is {factor:.2g} times what the other models let expect{more}: "
            f"are the units mixed? Times are in milliseconds"
        )
        raise LatlintError(message, path=profiles[at].source)
    medians = [float(np.median(donor.log_ratios)) for donor in donors]
    for off, unit in ((min(medians), "microseconds"), (-max(medians), "seconds")):
        if off > log(UNIT_FACTOR):
            message = (
                f"every model is {np.exp(off):.2g} times {'slower' if unit == 'microseconds' else 'faster'} than on any known "
                f"device: are these {unit}? Times are in milliseconds"
            )
            raise LatlintError(message)


def _doubtful(profiles: Sequence[Profile], donor: Donor) -> dict[str, float]:
    """Measurements that are ``DOUBTFUL``: how many times what the others let expect, by the donor that fits them best."""
    off = donor.log_ratios - np.median(donor.log_ratios)
    far = np.abs(off) > max(log(DOUBTFUL), UNLIKE * float(np.median(np.abs(off))))
    return {profiles[at].source: float(np.exp(off[at])) for at in np.flatnonzero(far).tolist()}


def parts_of(names: Sequence[str]) -> list[NDArray[np.bool_]]:
    """What to hold out together, masks: those of one name; at most ``PARTS`` parts. Where all have one name, each by itself: something must stay."""
    if len({*names}) == 1:
        names = [str(number) for number in range(len(names))]
    order = sorted(set(names), key=lambda name: (-names.count(name), name))
    parts = min(len(order), PARTS)
    return [np.array([order.index(name) % parts == part for name in names]) for part in range(parts)]


class Bounds(NamedTuple):
    """A time is at least ``low`` and at most ``high`` times what the simplest model of the measured models says of it (``engine.times``), and goes ``share``
    of the way from that to a pack's own, as logarithms."""

    simple: Simple
    low: float
    high: float
    share: float = 1.0

    def ns(self, counted: Array, own: Array) -> Array:
        """A pack's ``own`` times within the bounds, for models of these ``engine.counts``, (models, 3). Of what is free by the simplest model it knows nothing."""
        simple = self.simple.ns(counted)
        within = np.clip(own, self.low * simple, self.high * simple)
        return np.where(simple > 0, simple ** (1 - self.share) * within**self.share, own)


def bounds(donor: Donor) -> Bounds:
    """What the measured models let be, by a roofline of them."""
    counted, total = donor.counts, donor.samples.total_ns
    roofline = simple(counted, total)
    took = total / roofline.ns(counted)
    return Bounds(roofline, float(took.min()) / BEYOND, float(took.max()) * BEYOND)


def held_out(donors: Sequence[Donor], groups: Iterable[NDArray[np.bool_]]) -> dict[str, Array]:
    """Predicted over measured for every model, by what the other groups alone say, with the transfer, for a host from the priors, and with each of
    the simplest models; the donor is chosen anew each time."""
    priors = (PRIORS,) if donors[0].target.host else ()
    found = {name: np.ones(len(donors[0].counts)) for name in (TRANSFER, *priors, *SIMPLEST)}
    for out in groups:
        donor = closest(donors, ~out)
        kept, held = donor.only(~out), donor.only(out)
        limits, took = bounds(kept), kept.samples.total_ns
        costs = {TRANSFER: kept.fit(), **{name: kept.from_priors() for name in priors}}
        for name, each in costs.items():
            found[name][out] = limits.ns(held.counts, predicted_ns(held.samples, each)) / held.samples.total_ns
        for name, used in SIMPLEST.items():
            found[name][out] = simple(kept.counts, took, used).ns(held.counts) / held.samples.total_ns
    return found


def chosen(ratios: Mapping[str, Array], usual: str = TRANSFER) -> str:
    """Whose costs to predict with, by held-out ``ratios``: the ``usual`` ones, or, for a host, the others of ``TRANSFER`` and ``PRIORS`` where they err less
    by more than noise, ``NOISE`` standard errors of the difference over the models."""
    for other in {TRANSFER, PRIORS} & ratios.keys() - {usual}:
        gap = np.abs(ratios[usual] - 1) - np.abs(ratios[other] - 1)
        if gap.mean() > NOISE * gap.std(ddof=1) / len(gap) ** 0.5:
            return other
    return usual


def share(own: Array, roofline: Array, groups: Sequence[NDArray[np.bool_]]) -> float:
    """How far to go from the roofline's times to a pack's own, as logarithms, from 0 to 1, by predicted over measured of both on models held out.

    It is the slope of the measured times over the own ones, both relative to the roofline's: costs that follow noise are too far from it, and a slope below one
    draws them back (van Houwelingen and le Cessie, *Predictive value of statistical models*, 1990). A group, a mask of what was held out together,
    has one voice, and the noise is the own times' error. Before any is heard the slope is normal about one with ``TRUST``: few models move it little.
    Where the roofline's logarithms err less by more than noise (Student's t of the voices, ``SURE``), it is zero.
    """
    said = roofline > 0
    voices = np.array([out[said] / out[said].sum() for out in groups if out[said].any()])
    if not len(voices):
        return 1.0
    own, roofline = own[said], roofline[said]
    worse = voices @ (np.abs(np.log(own)) - np.abs(np.log(roofline)))
    if len(worse) > 1 and worse.mean() > stdtrit(len(worse) - 1, SURE) * worse.std(ddof=1) / len(worse) ** 0.5:
        return 0.0
    theirs, measured = np.log(own / roofline), -np.log(roofline)
    weight = voices.sum(axis=0)
    noise = float(weight @ (measured - theirs) ** 2) / len(voices)
    believed = noise / TRUST**2
    slope = (float(weight @ (theirs * measured)) + believed) / max(float(weight @ theirs**2) + believed, 1e-12)
    return min(max(slope, 0.0), 1.0)


def leaned(own: Array, roofline: Array, groups: Sequence[NDArray[np.bool_]]) -> Array:
    """Predicted over measured, (models,), of what ``share`` makes of a pack's own times and the roofline's, by what the other groups alone say."""
    found = np.ones(len(own))
    for out in groups:
        others = [other[~out] for other in groups if other is not out]
        part = share(own[~out], roofline[~out], others)
        found[out] = np.where(roofline[out] > 0, roofline[out] ** (1 - part) * own[out] ** part, own[out])
    return found


# ----------------------------------------------------------------------------------------------------------------- pack


def _pack(
    wanted: Wanted,
    pool: Pool,
    donor: Donor,
    costs: Costs,
    profiles: Sequence[Profile],
    ratios: Array,
    limits: Bounds,
    *,
    alone: bool,
) -> Pack:
    """``alone``: nothing of the costs is the donor's."""
    name = wanted.processor
    precisions = [work.plan.precision for work in donor.works]
    facts = {key: value for key, value in donor.processor._asdict().items() if key != "name"}
    card: dict[str, Any] = {
        "title": f"by {len(profiles)} measured models alone"
        if alone
        else f"as {donor.target.name}, moved by {len(profiles)} measured models",
        "processor": facts,
        "theta": f"{name}/theta",
        "interval": intervals(ratios, precisions),
        "accuracy": accuracies(ratios, precisions, profiles),
        "bounds": {
            "start_ms": limits.simple.start_ns * 1e-6,
            "mac_ns": limits.simple.mac_ns,
            "byte_ns": limits.simple.byte_ns,
            "low": limits.low,
            "high": limits.high,
            "share": limits.share,
        },
    }
    arrays: dict[str, NDArray[Any]] = {f"{name}/theta": costs.theta}
    processors = {name: card}
    covers = {donor.processor.kind: _covers(donor, alone=alone)}
    if not limits.share:  # nothing is said of single kernels, and the interval is of whole times
        card["spread"] = 0.0
        covers[donor.processor.kind]["measured_terms"] = []
    models = list(donor.columns.models)
    forests: dict[str, Forest] = {}
    if not donor.target.host:
        queue = costs.queue
        copies = donor.target.card["queue"]["copy_gb_per_s"]
        card["queue"] = {
            "scale": queue.scale,
            "dispatch_ms": queue.dispatch_ns * 1e-6,
            "start_ms": queue.start_ns * 1e-6,
            "copy_gb_per_s": copies,
        }
        card["fallback"] = FALLBACK
        theirs = donor.target.pack.card["processors"][donor.target.card["fallback"]]
        processors[FALLBACK] = {
            **{key: theirs[key] for key in ("processor", "interval")},
            "title": f"not measured: {donor.target.device}'s CPU, for what the {kind(donor.processor.kind).title} leaves",
            "theta": f"{FALLBACK}/theta",
        }
        host = Columns.for_works(theirs["processor"]["kind"], donor.works)
        arrays[f"{FALLBACK}/theta"] = costs_of(donor.target, host)
        covers[theirs["processor"]["kind"]] = {"measured_terms": [], "envelope": {}}
        models += host.models
        forests = mixed(pool.forests(donor.target, donor.columns), costs.share)
    for label, forest in forests.items():
        for part in FOREST_PARTS:
            arrays[f"{name}/{label}/{part}"] = getattr(forest, part)
    return Pack(
        {
            "device": wanted.device,
            "title": wanted.device,
            "sources": [
                f"{len(profiles)} models measured on the device",
                *(() if alone else donor.target.pack.card.get("sources", ())),
            ],
            "method": "costs of physical terms, maximum a posteriori (latlint pack build)"
            if alone
            else f"costs of {donor.target.name}, moved as far as the measurements ask for (latlint pack build)",
            "processors": processors,
            "covers": covers,
            **vocabulary(*models),
            "forests": {f"{name}/{label}": forest.depth for label, forest in forests.items()},
        },
        arrays,
    )


def mixed(forests: Sequence[Mapping[str, Forest]], share: Array) -> dict[str, Forest]:
    """One forest a class whose sum is that of all forests of the class, each times its share."""
    found = {}
    for name in sorted({name for by_class in forests for name in by_class}):
        parts = [(by_class[name], part) for by_class, part in zip(forests, share, strict=True) if name in by_class]
        starts = np.cumsum([0] + [len(forest.number) for forest, _ in parts])
        leaves = [forest.left == np.arange(len(forest.left)) for forest, _ in parts]
        found[name] = Forest(
            feature=np.concatenate([forest.feature for forest, _ in parts]),
            number=np.concatenate(
                [
                    np.where(leaf, forest.number * part, forest.number)
                    for (forest, part), leaf in zip(parts, leaves, strict=True)
                ]
            ).astype(np.float32),
            left=_shifted([forest.left for forest, _ in parts], starts),
            right=_shifted([forest.right for forest, _ in parts], starts),
            roots=_shifted([forest.roots for forest, _ in parts], starts),
            depth=max(forest.depth for forest, _ in parts),
        )
    return found


def _shifted(parts: Sequence[NDArray[np.uint16]], starts: NDArray[np.int_]) -> NDArray[np.uint16]:
    found = [part.astype(np.int64) + start for part, start in zip(parts, starts[:-1], strict=True)]
    return np.concatenate(found).astype(np.uint16)


def _covers(donor: Donor, *, alone: bool) -> dict[str, Any]:
    """What the donor's data and the measured models exercise, or the measured models ``alone``: the terms, and the sizes of kernels."""
    nothing: Mapping[str, Any] = {"measured_terms": (), "envelope": {}}
    known = nothing if alone else donor.target.pack.covers(donor.target.key)
    used = donor.samples.terms.sum(axis=0) > 0
    names = {*known["measured_terms"]} | {name for name, use in zip(donor.columns.names, used, strict=True) if use}
    envelope = {name: [list(low), list(high)] for name, (low, high) in known["envelope"].items()}
    for work in donor.works:
        for position, kernel in enumerate(work.plan.kernels):
            if not kernel.free:
                size = [float(value) for value in work.sizes[position]]
                low, high = envelope.setdefault(envelope_class(kernel), [size, size])
                envelope[envelope_class(kernel)] = [
                    [min(pair) for pair in zip(low, size, strict=True)],
                    [max(pair) for pair in zip(high, size, strict=True)],
                ]
    return {"measured_terms": sorted(names), "envelope": dict(sorted(envelope.items()))}


def intervals(ratios: Array, precisions: Sequence[str]) -> dict[str, dict[str, float]]:
    """Intervals by precision, never narrower than ``MIN_WIDTH``."""
    scores, of = np.abs(np.log(ratios)), np.array(precisions)
    return {name: interval(scores[of == name], least=MIN_WIDTH) for name in sorted(set(precisions))}


def accuracies(ratios: Array, precisions: Sequence[str], profiles: Sequence[Profile]) -> dict[str, dict[str, Any]]:
    """Errors on held-out models by precision."""
    found: dict[str, dict[str, Any]] = {}
    for precision in sorted(set(precisions)):
        at = [number for number, each in enumerate(precisions) if each == precision]
        found[precision] = accuracy(ratios[at], [Path(profiles[number].model).stem for number in at])
    return found
