"""The CPU of this machine, measured with ONNX Runtime: a device pack in minutes, for networks that were never timed here.

As ``profile_here`` does with LiteRT, but ONNX Runtime also tells how long each of its nodes takes (``SessionOptions.enable_profiling``). The
costs follow from both: whole inferences, and for each network the nodes of one type together.

How the clock is read: see ``clock``; of a node, the mean of the fastest quarter of its runs counts.

Needs the optional package ``onnxruntime``; nothing else in latlint does.
"""

from __future__ import annotations

import json
import platform
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from latlint.errors import LatlintError
from latlint.graph import read
from latlint.latency.engine import Workload, workload
from latlint.latency.packs import Pack, vocabulary, write_pack
from latlint.runtime import plan
from latlint.runtime.rules import load_rules
from latlint.runtime.types import Processor
from latlint.training.clock import PASSES, RUNS, WARM_UP, Progress, Timing, cpu_name, cpu_vendor, fastest_ns, silent
from latlint.training.columns import Columns
from latlint.training.coverage import covers
from latlint.training.evaluation import accuracy, interval
from latlint.training.hierarchy import Configurations, Strength, fit
from latlint.training.onnx_blocks import generated

RUNTIME = "onnxruntime-1.32/cpu"
COLUMNS = Columns.of(("onnxruntime",))
#: An inference counts as much as this many of its groups of nodes.
WHOLE = 3
#: Groups of nodes that take less than this share of an inference are noise.
NOTABLE = 0.01
#: Of networks whose nodes take less than this in the mean, the profile itself is most of what it says beyond the inference.
SMALL_NS = 20e3
METHOD = "fastest of interleaved runs and fastest quarter of each node's; costs of physical terms, maximum a posteriori"

Array = NDArray[np.float64]


def profile_onnxruntime(
    output: Path, *, device: str = "this-host", budget_s: float = 240, threads: int = 1, progress: Progress = silent
) -> Pack:
    """Measure this machine for about ``budget_s`` seconds and write the pack ``device/cpu-<threads>`` with ``@onnxruntime`` to ``output``.

    ``progress`` is called with how many of how many measurements are done, and what was measured last. Raises ``LatlintError``
    where ONNX Runtime is not installed.
    """
    onnxruntime()
    with tempfile.TemporaryDirectory(prefix="latlint-profile-") as scratch:
        paths = []
        for name, content in generated():
            paths.append(Path(scratch) / f"{name}.onnx")
            paths[-1].write_bytes(content)
        times = measure(paths, budget_s=budget_s, threads=threads, progress=progress)
        sources = [f"{len(paths)} generated networks, timed with ONNX Runtime on this machine"]
        title = f"this machine, measured by latlint ({platform.machine()})"
        networks = [Measured(path.stem, path.stem.partition("-")[0], path) for path in paths]
        found = build_pack(networks, {threads: times}, Facts(device, title, cpu_name(), sources, processor()))
    write_pack(found, output)
    return found


def onnxruntime() -> Any:
    """ONNX Runtime; ``LatlintError`` where it is not installed."""
    try:
        import onnxruntime as found
    except ImportError:
        raise LatlintError(
            "measuring this machine needs ONNX Runtime: pip install onnxruntime", code="LAT901"
        ) from None
    return found


def measure(
    paths: Sequence[Path], *, budget_s: float, threads: int = 1, passes: int = PASSES, progress: Progress = silent
) -> list[Timing]:
    """Time the models in ``passes`` rounds over all of them, in about ``budget_s`` seconds (more, where ``RUNS`` of each take longer)."""
    end = time.perf_counter() + budget_s
    total = passes * len(paths)
    passes_ns: list[list[float]] = [[] for _ in paths]
    nodes_ns: list[dict[str, float]] = [{} for _ in paths]
    with tempfile.TemporaryDirectory(prefix="latlint-profile-") as scratch:
        for done in range(total):
            slot_s = (end - time.perf_counter()) / (total - done)
            at = done % len(paths)
            path = paths[at]
            passes_ns[at].append(_timed_ns(path, slot_s / 2, threads))
            for op, spent in _nodes_ns(path, slot_s / 2, threads, Path(scratch)).items():
                nodes_ns[at][op] = min(spent, nodes_ns[at].get(op, np.inf))
            progress(done + 1, total, path.stem)
    return [Timing(*each) for each in zip(passes_ns, nodes_ns, strict=True)]


def _session(path: Path, threads: int, profile: str = "") -> Any:
    runtime = onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, profile
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def feeds_of(session: Any) -> dict[str, NDArray[Any]]:
    """Random numbers, the same each time; zeros for what counts or points. Dimensions that are open are 1."""
    rng = np.random.default_rng(0)
    found = {}
    for given in session.get_inputs():
        shape = [dim if isinstance(dim, int) else 1 for dim in given.shape]
        kind = given.type[len("tensor(") : -1]
        name = {"float": "float32", "double": "float64"}.get(kind, kind)
        whole = np.zeros(shape, name)
        found[given.name] = rng.standard_normal(shape).astype(name) if whole.dtype.kind == "f" else whole
    return found


def _timed_ns(path: Path, slot_s: float, threads: int) -> float:
    """The fastest of the inferences that fit into ``slot_s``, loading and warming up included."""
    end = time.perf_counter() + slot_s
    session = _session(path, threads)
    feeds = feeds_of(session)
    return fastest_ns(lambda: session.run(None, feeds), end, threads)


def _nodes_ns(path: Path, slot_s: float, threads: int, scratch: Path) -> dict[str, float]:
    """Nanoseconds of all nodes of each type together, as ONNX Runtime's profile has them."""
    end = time.perf_counter() + slot_s
    session = _session(path, threads, str(scratch / "profile"))
    feeds = feeds_of(session)
    runs = 0
    while runs < WARM_UP + RUNS or time.perf_counter() < end:
        session.run(None, feeds)
        runs += 1
    written = Path(session.end_profiling())
    found = node_times(json.loads(written.read_text("utf-8")))
    written.unlink()
    return found


def node_times(events: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Nanoseconds by op type, from a profile's events: of each node the mean of the fastest quarter of its runs."""
    runs: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        name, given = str(event.get("name", "")), event.get("args", {})
        if event.get("cat") == "Node" and name.endswith("_kernel_time") and "op_name" in given:
            runs[str(given["op_name"]), name].append(float(event["dur"]) * 1e3)
    found: dict[str, float] = defaultdict(float)
    for (op, _), each in runs.items():
        found[op] += float(np.sort(each)[: max(len(each) // 4, 1)].mean())
    return dict(found)


# --- The pack ------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Facts:
    """What a card says of the machine: ``device`` is the first half of the target's name; ``processor`` has one thread."""

    device: str
    title: str
    soc: str
    sources: Sequence[str]
    processor: Processor


def processor() -> Processor:
    """This machine's CPU with one thread, as planning sees it."""
    vendor = cpu_vendor()
    return Processor("cpu-1", RUNTIME, "cpu", vendor, instruction_set() if vendor == "x86" else "")


def instruction_set() -> str:
    """The widest instruction set of this machine that the rules know; empty where none is, or nobody can tell."""
    info = Path("/proc/cpuinfo")
    flags = info.read_text("utf-8", "replace").split() if info.is_file() else []
    known = load_rules(RUNTIME).data["nchwc"]
    names = sorted(known, key=lambda name: -int(known[name]))
    return next((name for name in names if name in flags or f"{name}f" in flags), "")


@dataclass(frozen=True, slots=True)
class Rows:
    """What is explained: ``counts`` (rows, terms), ``ns`` (rows,), and to which network each row belongs."""

    counts: Array
    ns: Array
    network: NDArray[np.intp]

    def of(self, networks: NDArray[np.bool_]) -> Rows:
        kept = networks[self.network]
        return Rows(self.counts[kept], self.ns[kept], self.network[kept])


class Measured(NamedTuple):
    """A network that was timed: ``family`` is what is held out with it; ``judged`` whether the card's errors and intervals are of it."""

    name: str
    family: str
    path: Path
    judged: bool = True


def build_pack(
    networks: Sequence[Measured], times: Mapping[int, Sequence[Timing]], facts: Facts, *, judge: bool = True
) -> Pack:
    """The pack from measured networks: a processor for each number of threads in ``times``. Those of one family are held out together, unless
    nobody will ``judge`` the costs by the card's errors and intervals."""
    works = [workload(plan(read(each.path), facts.processor)) for each in networks]
    # what has a kernel that nobody prices says nothing of the others
    use = [number for number, work in enumerate(works) if not work.unknown]
    works, networks = [works[number] for number in use], [networks[number] for number in use]
    counts = np.stack([COLUMNS.counts(work) for work in works])
    used = [name for name, count in zip(COLUMNS.names, counts.sum(axis=0), strict=True) if count > 0]
    card: dict[str, Any] = {
        "device": facts.device,
        "title": facts.title,
        "soc": facts.soc,
        "sources": list(facts.sources),
        "method": METHOD,
        "processors": {},
        "defaults": {},
        "covers": {"cpu": covers(used, works)},
        "forests": {},
        **vocabulary(*COLUMNS.models),
    }
    arrays = {}
    for threads, everything in times.items():
        here, found = facts.processor._replace(name=f"cpu-{threads}", threads=threads), [everything[n] for n in use]
        rows = rows_of(works, found)
        arrays[f"{here.name}/theta"] = costs_of(rows, threads)
        card["defaults"][here.name] = {"onnx": "onnxruntime"}
        card["processors"][f"{here.name}@onnxruntime"] = {
            "title": f"{threads} thread{'s' if threads > 1 else ''}",
            "processor": {
                name: getattr(here, name)
                for name in ("runtime", "kind", "vendor", "generation", "precision", "threads")
            },
            "theta": f"{here.name}/theta",
            **(_judged(networks, works, found, held_out(rows, counts, networks, threads)) if judge else {}),
        }
    return Pack(card, arrays)


def _judged(
    networks: Sequence[Measured], works: Sequence[Workload], times: Sequence[Timing], predicted: Array
) -> dict[str, dict[str, Any]]:
    """Interval and accuracy by precision, from predictions in ns of families held out."""
    ratios = predicted / np.array([each.best_ns for each in times])
    precisions = np.array(
        [work.plan.precision if each.judged else "" for each, work in zip(networks, works, strict=True)]
    )
    found: dict[str, dict[str, Any]] = {"interval": {}, "accuracy": {}}
    for precision in sorted({*precisions.tolist()} - {""}):
        mine = np.flatnonzero(precisions == precision).tolist()
        noise = float(np.median([times[number].spread for number in mine]))
        names, families = ([str(getattr(networks[n], what)) for n in mine] for what in ("name", "family"))
        found["interval"][precision] = interval(np.abs(np.log(ratios[mine])))
        found["accuracy"][precision] = accuracy(ratios[mine], names, families, noise)
    return found


def rows_of(works: Sequence[Workload], times: Sequence[Timing]) -> Rows:
    """Whole inferences, and the nodes of each type in a network together, where the plan has as many as were measured."""
    counts, ns, network = [], [], []
    added = profiling_ns(works, times)
    for number, (work, timing) in enumerate(zip(works, times, strict=True)):
        for _ in range(WHOLE):
            counts.append(COLUMNS.counts(work))
            ns.append(timing.best_ns)
            network.append(number)
        positions, terms = COLUMNS.kernels(work)
        ops = np.array([work.plan.kernels[position].implementation for position in positions])
        nodes = {op: max(spent - added * np.count_nonzero(ops == op), 0.0) for op, spent in timing.nodes.items()}
        # nodes are timed by the clock on the wall, which other programs make run on: together they take no longer than the inference
        share = min(timing.best_ns / max(sum(nodes.values()), 1.0), 1.0)
        for op, spent in ((op, share * each) for op, each in nodes.items()):
            if spent > NOTABLE * timing.best_ns and (ops == op).any():
                counts.append(terms[ops == op].sum(axis=0))
                ns.append(spent)
                network.append(number)
    return Rows(np.array(counts), np.array(ns), np.array(network, np.intp))


def profiling_ns(works: Sequence[Workload], times: Sequence[Timing]) -> float:
    """What a profile adds to each node: 1.9 us on one thread and 3.4 on two of an x86-64 core, where a small op takes 0.3. It is what all nodes of a
    network take beyond its inference, by node, in the median of those with small ones; 0 where none has."""
    found = []
    for work, timing in zip(works, times, strict=True):
        nodes = sum(len(part.positions) for part in work.parts)
        if timing.nodes and timing.best_ns < SMALL_NS * nodes:
            found.append((sum(timing.nodes.values()) - timing.best_ns) / nodes)
    return max(float(np.median(found)), 0.0) if found else 0.0


def costs_of(rows: Rows, threads: int) -> Array:
    """Costs in ns per term, shape (terms,)."""
    only = Configurations(np.zeros(1, np.intp), np.log(np.array([float(threads)])))
    strength = Strength(scale=1e-3, softness=0.03, iterations=600)
    return np.asarray(fit(rows.counts, rows.ns[:, None], COLUMNS.terms, only, strength)[0])


def held_out(rows: Rows, counts: Array, networks: Sequence[Measured], threads: int, parts: int = 8) -> Array:
    """Predictions in ns for each family of networks, from the others alone; many families are held out in ``parts``."""
    kinds = np.array([each.family for each in networks])
    families = sorted(set(kinds.tolist()))
    found = np.zeros(len(counts))
    for part in range(min(parts, len(families))):
        out = np.isin(kinds, families[part::parts])
        found[out] = counts[out] @ costs_of(rows.of(~out), threads)
    return found
