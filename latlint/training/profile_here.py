"""The CPU of this machine, measured with LiteRT: a device pack in minutes, for networks that were never timed here.

What is timed are generated networks: blocks as published networks have them, with random widths at the resolutions that such
networks pass through, one after the other so that weights and activations go through the caches as they do in practice. From
their end-to-end times alone, the costs of XNNPACK's physical terms follow (``hierarchy.fit``).

How the clock is read: see ``clock``.

Needs the optional package ``ai-edge-litert``; nothing else in latlint does.
"""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latlint.errors import LatlintError
from latlint.graph import read
from latlint.latency.engine import Workload, workload
from latlint.latency.packs import Pack, vocabulary, write_pack
from latlint.runtime import plan
from latlint.runtime.types import Processor
from latlint.training.blocks import generated
from latlint.training.clock import PASSES, Progress, Timing, cpu_name, cpu_vendor, fastest_ns, silent
from latlint.training.columns import Columns
from latlint.training.coverage import covers
from latlint.training.evaluation import accuracy, interval
from latlint.training.hierarchy import Configurations, Strength, fit

RUNTIME = "litert-2.3/xnnpack"
#: What runs there, and so what a pack of this machine has costs for.
COLUMNS = Columns.of(("builtin", "xnnpack"))
METHOD = "fastest of interleaved runs of generated networks; costs of physical terms, maximum a posteriori"

Array = NDArray[np.float64]


def profile_here(
    output: Path, *, device: str = "this-host", budget_s: float = 330, threads: int = 1, progress: Progress = silent
) -> Pack:
    """Measure this machine for about ``budget_s`` seconds and write the pack ``device/cpu-<threads>thread`` to ``output``.

    ``progress`` is called with how many of how many measurements are done, and what was measured last. Raises ``LatlintError``
    where LiteRT is not installed.
    """
    interpreter_class()
    with tempfile.TemporaryDirectory(prefix="latlint-profile-") as scratch:
        paths = _write(generated(), Path(scratch))
        times = measure(paths, budget_s=budget_s, threads=threads, progress=progress)
        found = build_pack(paths, times, device=device, threads=threads)
    write_pack(found, output)
    return found


def measure(
    paths: Sequence[Path], *, budget_s: float, threads: int = 1, passes: int = PASSES, progress: Progress = silent
) -> list[Timing]:
    """Time the models in ``passes`` rounds over all of them, in about ``budget_s`` seconds (more, where ``RUNS`` of each take longer)."""
    end = time.perf_counter() + budget_s
    total = passes * len(paths)
    found: list[list[float]] = [[] for _ in paths]
    for done in range(total):
        # what one model takes too long, the others have less
        slot_s = (end - time.perf_counter()) / (total - done)
        path = paths[done % len(paths)]
        found[done % len(paths)].append(_timed_ns(path, slot_s, threads))
        progress(done + 1, total, path.stem)
    return [Timing(tuple(each)) for each in found]


def _timed_ns(path: Path, slot_s: float, threads: int) -> float:
    """The fastest of the runs of one model that fit into ``slot_s``, loading and warming up included."""
    end = time.perf_counter() + slot_s
    interpreter = interpreter_class()(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    for given in interpreter.get_input_details():
        interpreter.set_tensor(given["index"], np.zeros(given["shape"], given["dtype"]))
    return fastest_ns(interpreter.invoke, end, threads)


def interpreter_class() -> Any:
    """LiteRT's interpreter; ``LatlintError`` where it is not installed."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        raise LatlintError("measuring this machine needs LiteRT: pip install ai-edge-litert", code="LAT901") from None
    return Interpreter


def _write(networks: Iterable[tuple[str, bytes]], directory: Path) -> list[Path]:
    paths = []
    for name, content in networks:
        path = directory / f"{name}.tflite"
        path.write_bytes(content)
        paths.append(path)
    return paths


def processor(threads: int = 1) -> Processor:
    """This machine's CPU, as planning sees it."""
    return Processor(f"cpu-{threads}thread", RUNTIME, "cpu", cpu_vendor(), threads=threads)


def build_pack(paths: Sequence[Path], times: Sequence[Timing], *, device: str, threads: int) -> Pack:
    """The pack from measured models; a model's kind, for the held-out error, is its name up to the first ``-``."""
    here = processor(threads)
    works = [workload(plan(read(path), here)) for path in paths]
    counts = np.stack([COLUMNS.counts(work) for work in works])
    measured = np.array([each.best_ns for each in times])
    kinds = np.array([path.stem.partition("-")[0] for path in paths])
    held_out = _held_out(counts, measured, kinds, threads)
    facts = {key: getattr(here, key) for key in ("runtime", "kind", "vendor", "generation", "precision", "threads")}
    used = [name for name, count in zip(COLUMNS.names, counts.sum(axis=0), strict=True) if count > 0]
    card = {
        "device": device,
        "title": f"this machine, measured by latlint ({platform.machine()})",
        "soc": cpu_name(),
        "sources": [f"{len(paths)} generated networks, timed with LiteRT on this machine"],
        "method": METHOD,
        "processors": {
            here.name: {
                "title": f"{threads} thread{'s' if threads > 1 else ''}",
                "processor": facts,
                "theta": f"{here.name}/theta",
                **_judged(works, held_out / measured, [path.stem for path in paths], times),
            }
        },
        "covers": {"cpu": covers(used, works)},
        "forests": {},
        **vocabulary(*COLUMNS.models),
    }
    return Pack(card, {f"{here.name}/theta": _costs(counts, measured, threads)})


def _judged(
    works: Sequence[Workload], ratios: Array, names: Sequence[str], times: Sequence[Timing]
) -> dict[str, dict[str, Any]]:
    """Interval and accuracy by precision, from ``ratios`` of predicted over measured of kinds of networks held out."""
    found: dict[str, dict[str, Any]] = {"interval": {}, "accuracy": {}}
    precisions = np.array([work.plan.precision for work in works])
    for precision in sorted({*precisions.tolist()}):
        mine = np.flatnonzero(precisions == precision).tolist()
        stems = [names[at] for at in mine]
        noise = float(np.median([times[at].spread for at in mine]))
        found["interval"][precision] = interval(np.abs(np.log(ratios[mine])))
        found["accuracy"][precision] = accuracy(ratios[mine], stems, [stem.partition("-")[0] for stem in stems], noise)
    return found


def _costs(counts: Array, measured_ns: Array, threads: int) -> Array:
    """Costs in ns per term, shape (terms,)."""
    only = Configurations(np.zeros(1, np.intp), np.log(np.array([float(threads)])))
    return np.asarray(
        fit(counts, measured_ns[:, None], COLUMNS.terms, only, Strength(softness=0.02, iterations=1000))[0]
    )


def _held_out(counts: Array, measured_ns: Array, kinds: NDArray[np.str_], threads: int) -> Array:
    """Predictions in ns for each kind of network, from the other kinds alone."""
    found = np.zeros(len(measured_ns))
    for kind in sorted(set(kinds)):
        out = kinds == kind
        found[out] = counts[out] @ _costs(counts[~out], measured_ns[~out], threads)
    return found
