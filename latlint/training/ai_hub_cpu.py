"""ONNX Runtime on the CPUs of devices that Qualcomm AI Hub times: packs from its quantised networks that run wholly on the CPU.

Data: Qualcomm AI Hub Models (``npu/measurements``). A file is the float network as if quantised (``runtime.pairs``): planned so, most networks have
as many kernels as AI Hub reports layers, two more or less. How many threads ran them is not stated. Families are held out in turn.

A release may publish another network under the same name, with as many layers: 0.55 made Inception's input 299 wide and EfficientNetV2's 384, which
takes two and three times as long on every device. Only releases count whose times are about those of the newest.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from latlint.graph import read
from latlint.latency.engine import Workload, workload
from latlint.latency.packs import Pack, vocabulary
from latlint.runtime import plan
from latlint.runtime.types import Processor
from latlint.training.columns import Columns
from latlint.training.coverage import covers
from latlint.training.evaluation import accuracy, interval
from latlint.training.hierarchy import Configurations, Strength, fit
from latlint.training.npu.measurements import Cell, Job, cells, devices, jobs, networks
from latlint.training.npu.study import AS_IF, unpacked

Array = NDArray[np.float64]

DEVICES = ("q-6690", "qcs6490", "snapdragon-7-gen-4")
#: As planning sees these CPUs: eight cores of Armv8.2 or later, in two or three kinds.
PROCESSOR = Processor("cpu", "onnxruntime-1.32/cpu", "cpu", "arm", "armv8")
KEY = "cpu@onnxruntime"
COLUMNS = Columns.of(("onnxruntime",))
#: What one device does otherwise is held near what all do ten times as strongly as among phones: there are 19 rows a device and precision, not 80.
STRENGTH = Strength(scale=1e-2, softness=0.05)
#: Releases from this one on ran ONNX Runtime 1.24 or later, which made depthwise convolutions in float up to 1.8 times as fast.
FIRST = (0, 47)
#: A release whose times are this far from the newest's, as a factor in the median of devices, published another network.
SAME_TIME = 1.1
#: A plan with more kernels than this beside what AI Hub counts, as a share, is of another graph.
SAME_GRAPH = 0.25
SOURCE = (
    "Qualcomm AI Hub Models (github.com/qualcomm/ai-hub-models, BSD-3-Clause, Copyright (c) Qualcomm Technologies, Inc.): performance of "
    "the releases 0.47 to 0.55, ONNX Runtime 1.24 and 1.25"
)
METHOD = (
    "costs of physical terms from whole networks in w8a8 and w8a16, three devices at once, maximum a posteriori. How many threads ran them is "
    "not stated, nor which cores. Float networks were not timed: their interval is twice that of w8a16, whose products run in float"
)


class Row(NamedTuple):
    """A network in one precision: ``ms`` on each of ``DEVICES``, NaN where there is none."""

    network: str
    family: str
    precision: str
    work: Workload
    ms: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Study:
    rows: tuple[Row, ...]
    counts: Array
    ns: Array

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Study:
        return cls(
            tuple(rows),
            np.stack([COLUMNS.counts(row.work) for row in rows]),
            np.array([row.ms for row in rows]) * 1e6,
        )

    def but(self, family: str) -> NDArray[np.bool_]:
        return np.array([row.family != family for row in self.rows])


def measured(shared: Path) -> Study:
    """Every network of ``shared``/corpus/ai-hub that was timed on these CPUs and whose plan has about as many kernels as were counted."""
    known = networks(shared / "corpus")
    found = as_they_are(jobs(shared / "data", shared / "corpus", first=FIRST, unit="cpu"))
    wanted = [cell for cell in cells(found, known) if cell.runtime == "onnxruntime" and cell.device in DEVICES]
    by_key: dict[tuple[str, str], dict[str, Cell]] = {}
    for cell in wanted:
        by_key.setdefault((cell.network, cell.precision), {})[cell.device] = cell
    newest = {(job.network, job.precision): (job.when, job.layers) for job in sorted(found, key=lambda job: job.when)}
    rows = []
    with tempfile.TemporaryDirectory(prefix="latlint-ai-hub-") as scratch:
        for name in sorted({network for network, _ in by_key}):
            graph = read(unpacked(shared / "corpus" / "ai-hub" / f"{name}.onnx.zst", Path(scratch)))
            for precision in sorted(of for network, of in by_key if network == name):
                if not AS_IF.get(precision):
                    continue
                work = workload(plan(replace(graph, as_if=AS_IF[precision]), PROCESSOR))
                layers = newest[name, precision][1]
                if work.unknown or abs(sum(not k.free for k in work.plan.kernels) - layers) > SAME_GRAPH * layers:
                    continue
                times = by_key[name, precision]
                ms = tuple(times[device].ms if device in times else np.nan for device in DEVICES)
                rows.append(Row(name, known[name].family, precision, work, ms))
    return Study.of(rows)


def as_they_are(found: Sequence[Job]) -> list[Job]:
    """Of the jobs of ONNX Runtime on ``DEVICES``, those of releases that published the network of the newest release."""
    columns = {devices()[device]["column"] for device in DEVICES}
    releases: dict[tuple[str, str], dict[tuple[int, ...], dict[str, Job]]] = {}
    for job in found:
        if job.runtime == "onnxruntime" and job.column in columns:
            releases.setdefault((job.network, job.precision), {}).setdefault(job.release, {})[job.column] = job
    kept: list[Job] = []
    for of in releases.values():
        newest = of[max(of)]
        for there in of.values():
            factors = [there[column].ms / newest[column].ms for column in there.keys() & newest.keys()]
            if factors and abs(np.log(np.median(factors))) <= np.log(SAME_TIME):
                kept += there.values()
    return kept


def costs(study: Study, chosen: NDArray[np.bool_]) -> Array:
    """Costs in ns, (devices, terms), from the ``chosen`` rows."""
    each = Configurations(np.arange(len(DEVICES)), np.zeros(len(DEVICES)))
    return fit(study.counts[chosen], study.ns[chosen], COLUMNS.terms, each, STRENGTH)


def held_out(study: Study) -> Array:
    """Predicted over measured for each row and device, from the other families alone."""
    found = np.full(study.ns.shape, np.nan)
    for family in sorted({row.family for row in study.rows}):
        rest = study.but(family)
        found[~rest] = study.counts[~rest] @ costs(study, rest).T
    return np.asarray(found / study.ns)


def packs(study: Study, ratios: Array) -> list[Pack]:
    """A pack for each device; ``ratios`` as ``held_out`` gives them."""
    theta = costs(study, np.ones(len(study.rows), bool))
    used = [name for name, count in zip(COLUMNS.names, study.counts.sum(axis=0), strict=True) if count > 0]
    covered = covers(used, [row.work for row in study.rows])
    found = []
    for at, device in enumerate(DEVICES):
        facts = devices()[device]
        card = {
            "device": device,
            "title": facts["title"],
            "soc": facts["soc"],
            "sources": [SOURCE],
            "method": METHOD,
            "processors": {
                KEY: {
                    "title": "CPU, threads not stated",
                    "processor": {key: value for key, value in PROCESSOR._asdict().items() if key != "name"},
                    "theta": "cpu/theta",
                    **_judged(study, ratios[:, at]),
                }
            },
            "defaults": {"cpu": {"onnx": "onnxruntime"}},
            "covers": {"cpu": covered},
            "forests": {},
            **vocabulary(*COLUMNS.models),
        }
        found.append(Pack(card, {"cpu/theta": theta[at]}))
    return found


def _judged(study: Study, ratios: Array) -> Mapping[str, dict[str, Any]]:
    intervals: dict[str, Any] = {}
    records: dict[str, Any] = {}
    for precision in ("int8", "int16"):
        mine = np.array([row.precision == precision for row in study.rows]) & np.isfinite(ratios)
        rows = [row for row, chosen in zip(study.rows, mine, strict=True) if chosen]
        intervals[precision] = interval(np.abs(np.log(ratios[mine])))
        records[precision] = accuracy(ratios[mine], [row.network for row in rows], [row.family for row in rows])
    wide = intervals["int16"]
    intervals["float32"] = wide | {"low": 2 * wide["low"], "high": 2 * wide["high"]}
    return {"interval": intervals, "accuracy": records}


def difference(study: Study, known: Sequence[Pack]) -> float:
    """The largest relative difference of what packs built now predict for the networks from what ``known``, those of ``DEVICES``, do."""
    now = study.counts @ costs(study, np.ones(len(study.rows), bool)).T
    then = study.counts @ np.stack([pack.arrays["cpu/theta"] for pack in known]).T
    return float(np.abs(now / then - 1).max())
