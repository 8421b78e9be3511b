"""From fits to NPU packs: costs of each device and runtime, what they cover, and what held-out families say of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latlint.latency.engine import Workload, difficulty, shares, times
from latlint.latency.packs import Pack, Target, read_pack, vocabulary
from latlint.runtime.kinds import kind
from latlint.training.columns import Columns
from latlint.training.coverage import covers
from latlint.training.evaluation import accuracy, interval
from latlint.training.npu.measurements import CURRENT, OLDER, PRECISIONS, Cell, devices, ratios
from latlint.training.npu.study import NPU, Fitted, Study, columns, levels

Array = NDArray[np.float64]

SOURCE = (
    "Qualcomm AI Hub Models (github.com/qualcomm/ai-hub-models, BSD-3-Clause, Copyright (c) Qualcomm Technologies, Inc.): "
    "performance of the releases 0.53 to 0.65"
)
METHOD = (
    "Costs of physical terms from end-to-end times alone, all devices and runtimes at once: what a kernel takes is an attribution, not a "
    "measurement. Conditions: AI Hub's burst mode on a device of its own, a best case; an app may see up to twice as much."
)
#: Below this many networks in a precision, a device and runtime have no record of their own.
FEWEST = 10
#: What a CPU core runs of a network that an NPU leaves: priors of a core of about 2.5 GHz, nothing measured.
HOST = "cpu-1large"
_CPU = Columns.of(kind("cpu").executors)
#: A family counts as using an implementation when a network of it spends this share of its time there.
NOTABLE = 0.05
UNCALIBRATED = {"level": 0.9, "low": -0.5, "high": 0.5}
#: A precision that nobody measured on a device has the interval of one that somebody did, this many times as wide.
UNMEASURED = 1.5


def packs(study: Study, shared: Path, fitted: Sequence[Fitted], held_out: Array | None) -> dict[str, Pack]:
    """Packs of all devices, calibrated where families were held out."""
    scale = ratios(shared / "data", shared / "corpus")
    covered = cache(partial(_covers, study))
    found = {}
    for device, facts in devices().items():
        measured = str(facts.get("like", device))
        pack = _pack(study, fitted, device, measured, scale.get(device, 1.0), covered)
        found[device] = pack if held_out is None else _calibrated(study, held_out, pack, measured)
    return found


def _pack(
    study: Study,
    fitted: Sequence[Fitted],
    device: str,
    measured: str,
    scale: float,
    covered: Callable[[tuple[str, ...]], dict[str, Any]],
) -> Pack:
    """``covered``: what the networks of some precisions cover, the same for all devices."""
    facts = devices()[device]
    cells = [cell for cell in study.cells if cell.device == measured]
    runtimes = sorted({cell.runtime for cell in cells})
    arrays: dict[str, NDArray[Any]] = {f"{HOST}/theta": _CPU.terms.prior}
    processors: dict[str, Any] = {HOST: _host_card()}
    found: dict[str, Any] = {"cpu": covers([], [])}
    for runtime in runtimes:
        own = [cell for cell in cells if cell.runtime == runtime]
        precisions = tuple(p for p in study.works if _networks(own, p) >= FEWEST)
        name = f"npu@{runtime}"
        arrays[f"{name}/theta"] = _theta(study, fitted, own) * scale
        entry = "-".join(("npu", *precisions))
        processors[name] = _npu_card(facts, runtime, own, precisions, entry, device != measured)
        found[entry] = covered(precisions)
    entries = {each["terms"]: list(NPU.names) for each in processors.values() if "terms" in each}
    card = {
        "device": device,
        "title": facts["title"],
        "soc": facts["soc"],
        "sources": [SOURCE],
        "method": " ".join((METHOD, *filter(None, [facts.get("compared")]))),
        "processors": processors,
        "defaults": {"npu": _defaults(runtimes)},
        "covers": found,
        "terms": {**vocabulary(*_CPU.models)["terms"], **entries},
        "features": [],
        "forests": {},
    }
    return Pack(card, arrays)


def _networks(cells: Iterable[Cell], precision: str) -> int:
    return len({cell.network for cell in cells if cell.precision == precision})


def _defaults(runtimes: Sequence[str]) -> dict[str, str]:
    """The runtime that follows the file."""
    tflite = "litert" if "litert" in runtimes else "qnn"
    onnx = "onnxruntime" if "onnxruntime" in runtimes else "qnn"
    return {"tflite": tflite, "onnx": onnx}


def _host_card() -> dict[str, Any]:
    return {
        "title": "one large core, about 2.5 GHz assumed",
        "listed": False,
        "processor": {"runtime": "litert-2.3/xnnpack", "kind": "cpu", "vendor": "arm", "generation": "armv8"},
        "theta": f"{HOST}/theta",
        "interval": {"float32": UNCALIBRATED},
    }


def _npu_card(
    facts: Mapping[str, Any], runtime: str, own: Sequence[Cell], precisions: Sequence[str], entry: str, like: bool
) -> dict[str, Any]:
    versions = Counter(cell.version for cell in own)
    version = f"QAIRT {max(versions)}" if CURRENT in versions else f"QAIRT 2.42 to {OLDER}"
    floats = bool(facts.get("floats", True))
    how = f"taken from {facts['like']} and the ratio of older releases" if like else f"measured with {version}"
    return {
        "title": f"Hexagon NPU, {how}, burst mode",
        "processor": {
            "runtime": f"qnn-2.50/{runtime}",
            "kind": "npu",
            "vendor": "qualcomm",
            "generation": "hexagon",
            "precision": "float16" if floats else "int8",
        },
        "theta": f"npu@{runtime}/theta",
        "terms": entry,
        "version": {precision: newest(own, precision).version for precision in PRECISIONS},
        # what enters, leaves and starts an inference are terms
        "queue": {"scale": 1.0, "dispatch_ms": 0.0, "start_ms": 0.0, "copy_gb_per_s": 5.0},
        "fallback": HOST,
        "interval": dict.fromkeys(precisions or ("int8",), UNCALIBRATED),
    }


def _theta(study: Study, fitted: Sequence[Fitted], own: Sequence[Cell]) -> Array:
    """Costs of all terms in ns for one unit: those of a precision that nobody measured here are what the other levels say."""
    theta = np.zeros(len(NPU.names))
    for each in fitted:
        for precision in each.precisions:
            if not each.part.covers(own[0].runtime, precision):
                continue
            cell = newest(own, precision)
            level = {name: _index(each.known[name], value) for name, (value,) in levels([cell]).items()}
            log_cost = each.costs.log_cost(level)
            if level["chip"] < 0:
                log_cost = log_cost + _speed(fitted, cell)
            theta[columns(precision)] = np.exp(log_cost) * 1e6
    return theta


def newest(own: Sequence[Cell], precision: str) -> Cell:
    """A cell of the version whose costs a device and runtime get in a precision, from its ``own`` cells: the newest one that measured it, or anything."""
    measured = [cell for cell in own if cell.precision == precision] or own
    return max(measured, key=lambda cell: cell.version)._replace(precision=precision)


def _speed(fitted: Sequence[Fitted], cell: Cell) -> float:
    """How a chip compares with others where a fit knows it, as a logarithm: for a fit that does not."""
    for each in fitted:
        for precision in each.precisions:
            level = {n: _index(each.known[n], v) for n, (v,) in levels([cell._replace(precision=precision)]).items()}
            if level["chip"] >= 0:
                without = each.costs.log_cost({**level, **dict.fromkeys(("chip", "chip of precision", "device"), -1)})
                return float(np.median(each.costs.log_cost(level) - without))
    return 0.0


def _index(known: Sequence[str], value: str) -> int:
    return known.index(value) if value in known else -1


def _covers(study: Study, precisions: Sequence[str]) -> dict[str, Any]:
    works: list[Workload] = [work for precision in precisions for work in study.works[precision].values()]
    exercised = sum((NPU.counts(work) for work in works), np.zeros(len(NPU.names)))
    return covers([name for name, count in zip(NPU.names, exercised.tolist(), strict=True) if count > 0], works)


def difference(study: Study, built: Mapping[str, Pack], output: Path) -> float:
    """By how much predictions of packs built now and of those in ``output`` differ at most, relatively, over all cells; without end where one says another
    version."""
    worst = 0.0
    for device, pack in built.items():
        known = read_pack(output / device)
        for key in [name for name in pack.card["processors"] if name.startswith("npu@")]:
            now, then = (Target(key, each, key) for each in (pack, known))
            if now.card["version"] != then.card.get("version"):
                return inf
            for works in study.works.values():
                for work in works.values():
                    ratio = total_ms(work, now) / total_ms(work, then)
                    worst = max(worst, abs(ratio - 1))
    return worst


def total_ms(work: Workload, target: Target) -> float:
    found = times(work, target)
    return float(found.kernels.sum()) + found.overhead_ms


# --- What held-out families say -------------------------------------------------------------------------------------------------


def _calibrated(study: Study, held_out: Array, pack: Pack, measured: str) -> Pack:
    processors = {}
    for key, card in pack.card["processors"].items():
        processors[key] = card
        if key.startswith("npu@"):
            target = Target(f"{pack.device}/{key}", pack, key)
            processors[key] = {**card, **_record(study, held_out, target, measured, key.removeprefix("npu@"))}
    return Pack({**pack.card, "processors": processors}, pack.arrays)


def _record(study: Study, held_out: Array, target: Target, device: str, runtime: str) -> dict[str, Any]:
    """The intervals, the evidence they stand on, and the accuracy of one target."""
    record: dict[str, dict[str, Any]] = {"interval": {}, "evidence": {}, "accuracy": {}}
    for precision in target.card["interval"]:
        rows = study.rows(device, runtime, precision)
        if len(rows):
            cells = [study.cells[row] for row in rows]
            families = study.families[rows].tolist()
            spent = [time_shares(study, target, precision, cell.network) for cell in cells]
            ratios = np.exp(held_out[rows]) / np.array([cell.ms for cell in cells])
            record["interval"][precision] = interval(scores(ratios, families, spent))
            record["evidence"][precision] = evidence(families, spent)
            noise = float(np.median([cell.noise for cell in cells]))
            record["accuracy"][precision] = accuracy(ratios, [cell.network for cell in cells], families, noise)
    if not record["interval"]:
        record["interval"] = dict(target.card["interval"])
    widest = max(each["high"] for each in record["interval"].values()) * UNMEASURED
    for precision in study.works:
        record["interval"].setdefault(precision, {"level": 0.9, "low": -round(widest, 4), "high": round(widest, 4)})
    return record


def time_shares(study: Study, target: Target, precision: str, network: str) -> dict[str, float]:
    work = study.works[precision][network]
    return shares(work, times(work, target))


def evidence(families: Sequence[str], spent: Sequence[Mapping[str, float]], without: str = "") -> dict[str, int]:
    """How many families, but for ``without``, spend a notable share of some network's time in each implementation."""
    using: dict[str, set[str]] = {}
    for family, of in zip(families, spent, strict=True):
        for name, share in of.items():
            if family != without and share > NOTABLE:
                using.setdefault(name, set()).add(family)
    return {name: len(found) for name, found in sorted(using.items())}


def scores(ratios: Array, families: Sequence[str], spent: Sequence[Mapping[str, float]]) -> Array:
    """Log error of each held-out network in units of its difficulty, by what the other families know of its kernels."""
    known = {family: evidence(families, spent, family) for family in set(families)}
    hard = [difficulty(of, known[family]) for family, of in zip(families, spent, strict=True)]
    return np.asarray(np.abs(np.log(ratios)) / np.array(hard))
