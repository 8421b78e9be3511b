"""What Qualcomm AI Hub published of networks on NPUs: one time for each network, device, runtime, precision and QAIRT version.

Data: Qualcomm AI Hub Models (github.com/qualcomm/ai-hub-models, BSD-3-Clause), all releases from 0.53 on; networks: those whose file is here.
A time is the median of a cell's jobs, in ms. Only jobs count that ran wholly on the NPU, of the network as it is now: its number of layers
within ``SAME_LAYERS`` of the newest release's.
"""

from __future__ import annotations

import csv
import gzip
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

#: The runtimes of a target's name -> what the source calls them.
RUNTIMES: Mapping[str, str] = {"litert": "tflite", "onnxruntime": "onnx", "qnn": "qnn_dlc"}
#: Precisions as a card names them -> what the source calls them.
PRECISIONS: Mapping[str, str] = {"float32": "float", "int8": "w8a8", "int16": "w8a16"}
#: From this release on, QAIRT versions and layer counts are stated.
FIRST_RELEASE = (0, 53)
#: The QAIRT version whose rules are bundled. Older ones of these releases count as one.
CURRENT, OLDER = "2.50", "2.45"
SAME_LAYERS = 0.05

#: Networks that no fit may rest on: those that do not run as a whole on every runtime, that have 3-D convolutions, recurrent layers or caches.
_LEFT_OUT = re.compile(r"maskrcnn|hfnet|sequencer2d|resnet_(2plus1d|3d|mixed)|.*__decoder$")


class Network(NamedTuple):
    """A measured network whose file is here. ``match``: how well the file is what was measured; ``layers``: by runtime, as published."""

    name: str
    family: str
    match: str
    layers: Mapping[str, tuple[int, ...]]

    @property
    def usable(self) -> bool:
        """Whether a fit may rest on it."""
        return self.match != "unlike" and not _LEFT_OUT.match(self.name)


class Cell(NamedTuple):
    """``ms``: the median of ``jobs`` jobs, which lie within ``noise`` (half the range of the middle half, relative)."""

    network: str
    device: str
    runtime: str
    precision: str
    version: str
    ms: float
    jobs: int
    noise: float


class Job(NamedTuple):
    network: str
    column: str
    runtime: str
    precision: str
    version: str
    when: str
    ms: float
    layers: int
    release: tuple[int, ...]


@lru_cache(maxsize=1)
def devices() -> Mapping[str, Mapping[str, Any]]:
    """What ``devices.toml`` says of each device."""
    return tomllib.loads(Path(__file__).with_name("devices.toml").read_text("utf-8"))


def networks(corpus: Path) -> dict[str, Network]:
    """The networks in ``corpus``, the directory that holds ``ai-hub/``, by name."""
    found = {}
    with (corpus / "ai-hub" / "networks.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            name = row["file"].removesuffix(".onnx")
            layers = {
                runtime: tuple(int(each) for each in re.findall(r"\d+", row[f"aihub_{column}_layers"]))
                for runtime, column in (("litert", "tflite"), ("onnxruntime", "onnx"), ("qnn", "qnn"))
            }
            found[name] = Network(name, _family(name, row["family"]), row["match"], layers)
    return found


def _family(name: str, family: str) -> str:
    """A DETR is no ResNet for what its backbone is."""
    return "detr" if "detr" in name else family


def jobs(data: Path, corpus: Path, first: tuple[int, ...] = FIRST_RELEASE, unit: str = "npu") -> list[Job]:
    """Jobs of the networks here that ran wholly on an NPU, or on another ``unit``, from the release ``first`` on."""
    return [job for job in _jobs(data, corpus, unit) if job.release >= first]


@cache
def _jobs(data: Path, corpus: Path, unit: str) -> tuple[Job, ...]:
    """Those of all releases: a quarter of a million rows, which are read once."""
    files = {}
    with (corpus / "ai-hub" / "networks.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            files[row["model"].lower(), row["component"].lower()] = row["file"].removesuffix(".onnx")
    runtimes = {word: name for name, word in RUNTIMES.items()}
    precisions = {word: name for name, word in PRECISIONS.items()} | {"fp16": "float32", "int8": "int8"}
    with gzip.open(data / "ai-hub" / "measurements.csv.gz", "rt", encoding="utf-8") as file:
        rows = csv.reader(file)
        head = next(rows)
        # those of other units are never looked at by name
        at = head.index("unit")
        of_unit = (dict(zip(head, row, strict=True)) for row in rows if row[at] == unit.upper())
        found = (_job(row, files, runtimes, precisions, unit) for row in of_unit)
        return tuple(job for job in found if job is not None)


def _job(
    row: Mapping[str, str],
    files: Mapping[tuple[str, str], str],
    runtimes: Mapping[str, str],
    precisions: Mapping[str, str],
    unit: str,
) -> Job | None:
    name = files.get((row["model"].lower(), row["comp"].lower()))
    runtime, precision = runtimes.get({"qnn": "qnn_dlc"}.get(row["rt"], row["rt"])), precisions.get(row["prec"])
    whole = row["total"] == row[unit] and row["total"] not in ("", "0")
    if name is None or runtime is None or precision is None or not whole or row["status"] not in ("Passed", ""):
        return None
    try:
        ms = float(row["ms"])
    except ValueError:
        return None
    version = CURRENT if row["qairt"].startswith(f"{CURRENT}.") or row["qairt"] == CURRENT else OLDER
    release = _release(row["first"])
    when = row["ts"] or row["date"]
    return Job(name, row["dev"], runtime, precision, version, when, ms, int(row["total"]), release) if ms > 0 else None


@cache
def _release(written: str) -> tuple[int, ...]:
    """The first two numbers of a release's name."""
    return tuple(int(number) for number in re.findall(r"\d+", written)[:2])


def cells(found: Iterable[Job], known: Mapping[str, Network]) -> list[Cell]:
    """The cells of all devices that have jobs of these releases, of the networks that a fit may rest on; sorted."""
    names = {facts["column"]: name for name, facts in devices().items() if "like" not in facts}
    newest: dict[tuple[str, str, str], tuple[str, int]] = {}
    kept = [job for job in found if known[job.network].usable]
    for job in kept:
        key = job.network, job.runtime, job.precision
        newest[key] = max(newest.get(key, ("", 0)), (job.when, job.layers))
    grouped: dict[tuple[str, str, str, str, str], list[float]] = defaultdict(list)
    for job in kept:
        layers = newest[job.network, job.runtime, job.precision][1]
        if job.column in names and abs(job.layers - layers) <= SAME_LAYERS * layers:
            grouped[job.network, names[job.column], job.runtime, job.precision, job.version].append(job.ms)
    return [Cell(*key, median(ms), len(ms), _noise(ms)) for key, ms in sorted(grouped.items())]


def _noise(ms: list[float]) -> float:
    ordered = sorted(ms)
    middle = ordered[len(ms) // 4 : len(ms) - len(ms) // 4]
    return (middle[-1] - middle[0]) / 2 / median(ms)


def current(found: Iterable[Cell]) -> list[Cell]:
    """Of each network, device, runtime and precision the cell of the newest version."""
    newest: dict[tuple[str, ...], Cell] = {}
    for cell in found:
        key = cell[:4]
        if key not in newest or cell.version > newest[key].version:
            newest[key] = cell
    return list(newest.values())


def ratios(data: Path, corpus: Path) -> dict[str, float]:
    """Device without current jobs -> how its times compare with those of the device that it is like, from releases that have both, or that
    have each and a third (``through``)."""
    every = jobs(data, corpus, first=(0, 0))
    column = {name: str(facts["column"]) for name, facts in devices().items()}
    found = {}
    for name, facts in devices().items():
        if "through" in facts:
            over, under = (_ratio(every, column[each], column[facts["through"]]) for each in (name, facts["like"]))
            found[name] = over / under
        elif "like" in facts:
            found[name] = _ratio(every, column[name], column[facts["like"]])
    return found


def _ratio(every: Iterable[Job], column: str, other: str) -> float:
    """The median ratio of times of the same network in the same release."""
    times: dict[tuple[Any, ...], dict[str, float]] = defaultdict(dict)
    for job in every:
        if job.column in (column, other):
            times[job.network, job.runtime, job.precision, job.release, job.layers][job.column] = job.ms
    return median(both[column] / both[other] for both in times.values() if len(both) == 2)
