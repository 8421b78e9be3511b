"""How accurate latlint is on NPUs, for networks of families that no fit saw.

    python benchmarks/npu.py             # every family held out in turn: by runtime and precision, device, family; baselines; intervals
    python benchmarks/npu.py --transfer  # also devices left out whole, with five networks measured
    python benchmarks/npu.py --record    # and write benchmarks/npu.json
    python benchmarks/npu.py --app       # nothing but the networks that another lab timed in an app, on a Galaxy S26
    python benchmarks/npu.py --pairs     # nothing but networks that are there as .onnx and as .tflite: how far apart are the predictions?

One protocol: cells (a network on a device by a runtime in a precision) of Qualcomm AI Hub's releases from 0.53 on, of the newest QAIRT version of
each, wholly on the NPU, of the networks whose files match what was measured. Left out are 3-D convolutions, recurrent networks, decoders with caches and
networks that no runtime takes whole. ``python benchmarks/accuracy.py --npu`` is this. Needs ../shared and ``pip install '.[train]'``.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from latlint.graph import read
from latlint.latency.engine import difficulty, workload
from latlint.latency.models.npu import ACTIVATION_NS, MAC_NS, WEIGHT_NS
from latlint.latency.packs import Target, load_targets
from latlint.runtime import plan
from latlint.training.evaluation import interval
from latlint.training.npu import build
from latlint.training.npu import study as npu_study
from latlint.training.npu.fit import fit
from latlint.training.npu.measurements import RUNTIMES, devices
from latlint.training.npu.study import Study, hold_out, problem

RECORD = Path(__file__).with_name("npu.json")
Array = NDArray[np.float64]
#: What is promised: largest median and mean error in percent, least Kendall, of a runtime and precision.
LIMITS = {
    ("float32", "litert"): (17.0, 22.0, 0.88),
    ("float32", "onnxruntime"): (19.0, 22.0, 0.88),
    ("float32", "qnn"): (17.0, 22.0, 0.88),
    ("int8", "litert"): (15.0, 22.0, 0.0),
    ("int8", "onnxruntime"): (15.0, 22.0, 0.0),
    ("int8", "qnn"): (15.0, 22.0, 0.0),
}
COVER = (0.87, 0.94)
#: Largest mean factor from the point to an end of an interval.
WIDEST = {"float32": 1.7, "int8": 1.8}
PAIRS = 0.92
#: Networks that differ by less are no pair.
APART = 0.10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--transfer", action="store_true", help="also leave devices out whole")
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name} beside this file")
    parser.add_argument("--check", action="store_true", help="exit 1 where a limit is exceeded")
    parser.add_argument(
        "--pairs", action="store_true", help="compare the same network in both formats, and nothing else"
    )
    parser.add_argument(
        "--app", action="store_true", help="compare with edge-compat's times in an app, and nothing else"
    )
    options = parser.parse_args()
    if options.app:
        return print_app(options.shared)
    if options.pairs:
        return print_pairs(options.shared)
    return run(options.shared, transfer=options.transfer, record=options.record, check=options.check)


def run(shared: Path, *, transfer: bool, record: bool, check: bool) -> int:
    study = npu_study.build(shared)
    said = held(study, shared, hold_out(study, lambda family: print(f"  {family}", file=sys.stderr)))
    found: dict[str, Any] = {
        "runtimes": [row(ones) for p in study.works for runtime in RUNTIMES if (ones := said.where(p, runtime))],
        "devices": _by(said, lambda one: one.device),
        "families": _by(said, lambda one: one.family),
        "baselines": baselines(study, said),
    }
    if transfer:
        found["left out"] = left_out(study)
    for title, rows in found.items():
        print(f"\n{title}")
        print_rows(rows)
    if record:
        RECORD.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    broken = above_limits(found["runtimes"])
    print("\n".join(broken))
    return int(check and bool(broken))


class One:
    """One cell that was held out: predicted over measured, and the factor to the ends of its interval."""

    __slots__ = ("device", "family", "ms", "network", "precision", "ratio", "row", "runtime", "width")

    def __init__(self, study: Study, row: int, log_ms: float) -> None:
        cell = study.cells[row]
        self.row, self.network, self.device, self.runtime, self.precision = row, *cell[:4]
        self.family = str(study.families[row])
        self.ms = cell.ms
        self.ratio = float(np.exp(log_ms)) / cell.ms
        self.width = float("nan")


@dataclass(frozen=True)
class Said:
    """All cells that are reported."""

    ones: tuple[One, ...]

    def where(self, precision: str = "", runtime: str = "") -> list[One]:
        return [one for one in self.ones if precision in ("", one.precision) and runtime in ("", one.runtime)]


def held(study: Study, shared: Path, log_ms: Array) -> Said:
    """Predictions of families that were held out, with intervals from the other families."""
    packs = build.packs(study, shared, npu_study.fit_all(study), None)
    ones = []
    for device, pack in packs.items():
        for key in [name for name in pack.card["processors"] if name.startswith("npu@")]:
            for precision in study.works if "like" not in devices()[device] else ():
                rows = study.rows(device, key.removeprefix("npu@"), precision)
                if len(rows) >= build.FEWEST:
                    own = [One(study, int(row), float(log_ms[row])) for row in rows]
                    _widths(study, Target(key, pack, key), own)
                    ones += own
    return Said(tuple(ones))


def _widths(study: Study, target: Target, ones: Sequence[One]) -> None:
    families = [one.family for one in ones]
    spent = [build.time_shares(study, target, one.precision, one.network) for one in ones]
    scores = build.scores(np.array([one.ratio for one in ones]), families, spent)
    for one, of in zip(ones, spent, strict=True):
        others = np.array([family != one.family for family in families])
        hard = difficulty(of, build.evidence(families, spent, one.family))
        one.width = interval(scores[others])["high"] * hard


# --- Tables --------------------------------------------------------------------------------------------------------------------


def row(ones: Sequence[One]) -> dict[str, Any]:
    """The accuracy of some cells; ranking is within a device, runtime and precision."""
    error = np.array([abs(one.ratio - 1) for one in ones]) * 100
    taus, right = _ranking(ones)
    inside = [abs(np.log(one.ratio)) <= one.width for one in ones]
    first = ones[0]
    return {
        "precision": first.precision,
        "runtime": first.runtime,
        "cells": len(ones),
        "networks": len({one.network for one in ones}),
        "median": round(float(np.median(error)), 1),
        "mean": round(float(error.mean()), 1),
        "within 20 %": round(float((error <= 20).mean()), 3),
        "kendall": round(float(np.mean(taus)), 3) if taus else None,
        "pairs right": round(float(np.mean(right)), 3) if right else None,
        "inside interval": round(float(np.mean(inside)), 3),
        "interval factor": round(float(np.exp(np.mean([one.width for one in ones]))), 2),
    }


def _ranking(ones: Sequence[One]) -> tuple[list[float], list[float]]:
    groups: dict[tuple[str, str, str], list[One]] = {}
    for one in ones:
        groups.setdefault((one.device, one.runtime, one.precision), []).append(one)
    taus, right = [], []
    for group in groups.values():
        if len(group) >= 5:
            measured = np.log([one.ms for one in group])
            predicted = measured + np.log([one.ratio for one in group])
            taus.append(float(kendalltau(predicted, measured)[0]))
            a, b = np.triu_indices(len(group), 1)
            apart = np.abs(measured[a] - measured[b]) >= np.log1p(APART)
            right.append(float((((predicted[a] - predicted[b]) * (measured[a] - measured[b])) > 0)[apart].mean()))
    return taus, right


def _by(said: Said, key: Callable[[One], str]) -> list[dict[str, Any]]:
    """Median errors by something, of each runtime and precision."""
    rows = []
    for value in sorted({key(one) for one in said.ones}):
        found: dict[str, Any] = {"": value}
        for precision in ("float32", "int8", "int16"):
            for runtime in RUNTIMES:
                error = [abs(o.ratio - 1) * 100 for o in said.where(precision, runtime) if key(o) == value]
                found[f"{runtime} {precision}"] = round(float(np.median(error)), 1) if error else None
        rows.append(found)
    return rows


def print_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        print("| " + " | ".join(rows[0]) + " |")
        print("|" + " --- |" * len(rows[0]))
    for each in rows:
        print("| " + " | ".join("" if value is None else str(value) for value in each.values()) + " |")


def above_limits(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    broken = []
    for each in rows:
        name = f"{each['precision']} {each['runtime']}"
        median, mean, kendall = LIMITS.get((each["precision"], each["runtime"]), (100.0, 1000.0, 0.0))
        if each["median"] > median or each["mean"] > mean or each["kendall"] < kendall:
            broken.append(f"{name}: beyond {median} % median, {mean} % mean or {kendall} Kendall")
        if not COVER[0] <= each["inside interval"] <= COVER[1]:
            broken.append(f"{name}: intervals cover {each['inside interval']}")
        if each["interval factor"] > WIDEST.get(each["precision"], 10.0):
            broken.append(f"{name}: intervals of a factor {each['interval factor']}")
        if each["pairs right"] < PAIRS:
            broken.append(f"{name}: {each['pairs right']:.1%} of pairs right")
    return broken


# --- The same network in both formats ---------------------------------------------------------------------------------------------

#: A target of each runtime that loads both formats.
PAIRED = ("galaxy-s24/npu@litert", "galaxy-s22/npu@litert", "galaxy-s26/npu@qnn")
#: By how much the two may differ, in the median.
APART_AT_MOST = 0.10


def print_pairs(shared: Path) -> int:
    """Prints what ``pairs`` finds; 1 where the median is beyond ``APART_AT_MOST``."""
    worst = 0.0
    for name, found in pairs(shared).items():
        sizes = sorted((abs(difference), network) for network, difference in found.items())
        middle = float(np.median([size for size, _ in sizes]))
        within = sum(size <= APART_AT_MOST for size, _ in sizes)
        print(
            f"{name}: median difference {middle:.1%} over {len(sizes)} networks, {within} within 10 %; most: ", end=""
        )
        print(", ".join(f"{network} {found[network]:+.0%}" for _, network in sizes[:-6:-1]))
        worst = max(worst, middle)
    return int(worst > APART_AT_MOST)


def _targets(names: Sequence[str]) -> dict[str, Target]:
    return {name: each for name, each in load_targets().items() if name in names and isinstance(each, Target)}


def pairs(shared: Path) -> dict[str, dict[str, float]]:
    """Target -> network -> what is predicted of its .onnx relative to its .tflite, less one: networks of ``shared``/corpus/edge-compat."""
    known = _targets(PAIRED)
    found: dict[str, dict[str, float]] = {name: {} for name in PAIRED}
    with tempfile.TemporaryDirectory(prefix="latlint-pairs-") as scratch:
        for archive in sorted((shared / "corpus" / "edge-compat").glob("*.onnx.zst")):
            other = archive.with_name(archive.name.replace(".onnx.", ".tflite."))
            if not other.exists():
                continue
            graphs = [read(npu_study.unpacked(path, Path(scratch))) for path in (archive, other)]
            for name in PAIRED:
                ours, theirs = (
                    build.total_ms(workload(plan(graph, known[name].processor)), known[name]) for graph in graphs
                )
                found[name][archive.name.removesuffix(".onnx.zst")] = ours / theirs - 1
    return found


# --- In an app -----------------------------------------------------------------------------------------------------------------

TIMED_IN_APP = "galaxy-s26/npu@litert"


def print_app(shared: Path) -> int:
    """What edge-compat measured (LiteRT 2.2, compiled on the device) over what is predicted for AI Hub's conditions."""
    found = app(shared)
    ratios = np.array(list(found.values()))
    factor = float(np.median(ratios))
    error = np.abs(factor / ratios - 1)
    print(f"{TIMED_IN_APP}: {len(found)} networks, measured over predicted {factor:.2f} in the median, ", end="")
    print(f"{np.quantile(ratios, 0.25):.2f} to {np.quantile(ratios, 0.75):.2f} for the middle half; ", end="")
    print(
        f"after that factor off by {np.median(error):.0%} in the median, {error.mean():.0%} in the mean; most: ", end=""
    )
    print(", ".join(f"{name} {found[name]:.1f}" for name in sorted(found, key=lambda name: -found[name])[:4]))
    return 0


def app(shared: Path) -> dict[str, float]:
    """Network of ``shared``/corpus/edge-compat -> its time on the NPU over its prediction; the median where it was timed several times."""
    (target,) = _targets((TIMED_IN_APP,)).values()
    measured: dict[str, list[float]] = {}
    with (shared / "data" / "edge-compat" / "runs.csv").open(newline="", encoding="utf-8") as file:
        for run in csv.DictReader(file):
            if run["accelerator"] == "npu_qnn" and run["device"] == "galaxy-s26" and run["file"] and run["latency_ms"]:
                measured.setdefault(run["file"], []).append(float(run["latency_ms"]))
    found = {}
    with tempfile.TemporaryDirectory(prefix="latlint-app-") as scratch:
        for name, times in sorted(measured.items()):
            archive = shared / "corpus" / "edge-compat" / f"{name}.zst"
            graph = read(npu_study.unpacked(archive, Path(scratch)))
            found[name] = float(np.median(times)) / build.total_ms(workload(plan(graph, target.processor)), target)
    return found


# --- Baselines -----------------------------------------------------------------------------------------------------------------


def baselines(study: Study, said: Said) -> list[dict[str, Any]]:
    """What simpler predictors reach with the same families held out, on the same cells."""
    rows = []
    for precision in study.works:
        for runtime in RUNTIMES:
            ones = said.where(precision, runtime)
            if not ones:
                continue
            found: dict[str, Any] = {"precision": precision, "runtime": runtime}
            for name, predict in _BASELINES.items():
                errors = predict(study, ones)
                found[name] = f"{np.median(errors):.0f} / {np.mean(errors):.0f}"
            own = [abs(one.ratio - 1) * 100 for one in ones]
            found["latlint"] = f"{np.median(own):.0f} / {np.mean(own):.0f}"
            rows.append(found)
    return rows


def _regressed(inputs: Callable[[Study, One], list[float]]) -> Callable[[Study, Sequence[One]], Array]:
    """Least squares in logarithms on some inputs and a factor for each device."""

    def predict(study: Study, ones: Sequence[One]) -> Array:
        names = sorted({one.device for one in ones})
        x = np.array([inputs(study, one) + [float(one.device == name) for name in names] for one in ones])
        return _cross(ones, lambda train, test: x[test] @ np.linalg.lstsq(x[train], _log(ones)[train], rcond=None)[0])

    return predict


def _trees(study: Study, ones: Sequence[One]) -> Array:
    """Gradient-boosted trees on how many kernels of each op there are, work and bytes, and a factor for each device."""
    ops = sorted({k.op for one in ones for k in study.works[one.precision][one.network].plan.kernels})
    x = np.array([_sizes(study, one) + _op_counts(study, one, ops) for one in ones])
    device = np.array([one.device for one in ones])

    def predict(train: NDArray[np.bool_], test: NDArray[np.bool_]) -> Array:
        log = _log(ones)
        factor = {name: float(np.median(log[train & (device == name)])) for name in set(device[train].tolist())}
        offset = np.array([factor.get(name, 0.0) for name in device])
        settings = {
            "learning_rate": 0.05,
            "num_leaves": 15,
            "min_data_in_leaf": 20,
            "num_threads": 1,
            "verbose": -1,
            "seed": 0,
        }
        trees = lightgbm.train(settings, lightgbm.Dataset(x[train], (log - offset)[train]), num_boost_round=100)
        return np.asarray(trees.predict(x[test]) + offset[test])

    return _cross(ones, predict)


def _cross(ones: Sequence[One], predict: Callable[[NDArray[np.bool_], NDArray[np.bool_]], Array]) -> Array:
    """Errors in percent, each family held out."""
    families = np.array([one.family for one in ones])
    found = np.empty(len(ones))
    for family in set(families.tolist()):
        out = families == family
        found[out] = np.abs(np.exp(predict(~out, out) - _log(ones)[out]) - 1) * 100
    return found


def _log(ones: Sequence[One]) -> Array:
    return np.log([one.ms for one in ones])


def _op_counts(study: Study, one: One, ops: Sequence[str]) -> list[float]:
    kernels = study.works[one.precision][one.network].plan.kernels
    return [float(sum(kernel.op == op for kernel in kernels)) for op in ops]


def _sizes(study: Study, one: One) -> list[float]:
    kernels = study.works[one.precision][one.network].plan.kernels
    moved = sum(kernel.input_bytes + kernel.output_bytes for kernel in kernels)
    weights = sum(kernel.weight_bytes for kernel in kernels)
    return [float(np.log(v + 1)) for v in (sum(kernel.macs for kernel in kernels), moved, weights, len(kernels))]


def _roofline(study: Study, one: One) -> list[float]:
    kernels = study.works[one.precision][one.network].plan.kernels
    ns = sum(
        max(k.macs * MAC_NS, k.weight_bytes * WEIGHT_NS, (k.input_bytes + k.output_bytes) * ACTIVATION_NS)
        for k in kernels
        if not k.free
    )
    return [float(np.log(ns + 1e5))]


_BASELINES: Mapping[str, Callable[[Study, Sequence[One]], Array]] = {
    "constant": _regressed(lambda study, one: []),
    "MACs": _regressed(lambda study, one: _sizes(study, one)[:1]),
    "roofline": _regressed(_roofline),
    "trees on op counts": _trees,
}


# --- Devices left out ------------------------------------------------------------------------------------------------------------

#: Of these every one is left out in turn; families in this many groups.
LEFT_OUT = ("galaxy-s22", "qcs8550", "galaxy-s24", "galaxy-s26", "sa8295p", "iq-9075")
GROUPS = 5
MEASURED = 5
#: How often they are drawn, and from how many chips' costs a new one's are taken.
DRAWS, NEAREST = 20, 3


def left_out(study: Study) -> list[dict[str, Any]]:
    """A device, all others of its chip, and a group of families left out: five networks of the other families choose the chips that are most
    like it, and give one factor."""
    rows = []
    for device in LEFT_OUT:
        for precisions in npu_study.TOGETHER:
            cells = [cell for cell in study.cells if cell.precision in precisions]
            found = _transferred(study, device, cells, precisions[0])
            if found:
                median, mean = round(float(np.median(found)), 1), round(float(np.mean(found)), 1)
                rows.append({"device": device, "precision": precisions[0], "median": median, "mean": mean})
    return rows


def _transferred(study: Study, device: str, cells: Sequence[Any], precision: str) -> list[float]:
    """Errors in percent of the device's networks (LiteRT), each predicted once for every draw of five others."""
    full = problem(study, cells)
    chip = devices()[device]["chip"]
    same = np.array([devices()[cell.device]["chip"] == chip for cell in cells])
    families = np.array([study.networks[cell.network].family for cell in cells])
    names = sorted(set(families.tolist()))
    chosen = {study.cells[row] for row in np.flatnonzero(study.newest)}
    own = np.array([c[1:4] == (device, "litert", precision) and c in chosen for c in cells])
    random = np.random.default_rng(0)
    found: list[float] = []
    for at in range(GROUPS):
        out = np.array([names.index(family) % GROUPS == at for family in families])
        known, wanted = np.flatnonzero(own & ~out), np.flatnonzero(own & out)
        if len(known) < MEASURED or not len(wanted):
            continue
        costs = fit(full.without(out | same))
        donors = {
            devices()[c.device]["chip"]: c.device
            for c, no in zip(cells, same, strict=True)
            if not no and c.precision == precision
        }
        by_donor = [_as_on(full, costs, cells, donor, precision) - full.log_ms for donor in donors.values()]
        for _ in range(DRAWS):
            few = random.choice(known, MEASURED, replace=False)
            by_donor.sort(key=lambda error: float(np.abs(error[few] - np.median(error[few])).mean()))
            error = np.mean(by_donor[:NEAREST], axis=0)
            factor = np.sort(error[few])[1:-1].mean()
            found += (np.abs(np.exp(error[wanted] - factor) - 1) * 100).tolist()
    return found


def _as_on(full: Any, costs: Any, cells: Sequence[Any], donor: str, precision: str) -> Array:
    """Logarithms of ms if all cells were of another device."""
    at = next(k for k, cell in enumerate(cells) if cell.device == donor and cell.precision == precision)
    level = {**full.level}
    for name in ("chip", "chip of precision", "device"):
        level[name] = np.full(len(cells), full.level[name][at])
    return np.asarray(costs.log_ms(replace(full, level=level)))


if __name__ == "__main__":
    sys.exit(main())
