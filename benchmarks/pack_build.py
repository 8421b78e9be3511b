"""Whether ``latlint pack build`` is ever worse than the simplest models: held-out error by number of measured networks, target by target.

    OMP_NUM_THREADS=1 python benchmarks/pack_build.py              # thirty draws of the measured networks
    OMP_NUM_THREADS=1 python benchmarks/pack_build.py --draws 5 --only raspberry-pi-5/cpu-4

Each draw holds out a fifth of the families and measures 5, 10, 20 or 40 networks of the others, whole times alone. The start is every other device
that runs the same library, as bundled (they have seen these networks, on themselves); for the Galaxy S26's GPU there is none: the priors of its terms.
Prints the mean absolute percentage error of what ``pack build`` chooses, of the transfer that it may choose, and of the simplest models, over all draws,
and the mean and standard error of the difference from the best of these. ``--check`` fails where it is worse by more than noise: of so many cells some lie
two standard errors above without any difference, so each is asked by Student's t and all together by Holm's step-down rule (*Scandinavian Journal of
Statistics* 6, 1979), which is wrong about any of them in one table of twenty. Needs the
measurements and the model files (``--shared``, by default ../shared), and ``pip install '.[train]'``.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import latlint.training  # isort: skip  # noqa: F401 (before NumPy: it says on how many threads)
import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from latlint.graph import read
from latlint.latency.engine import Workload, workload
from latlint.latency.packs import Pack, Target, load_targets
from latlint.runtime import plan
from latlint.training import ai_hub_cpu, servers
from latlint.training.corpus import unpacked
from latlint.training.design import build
from latlint.training.evaluation import ROOFLINE, SIMPLEST, simple
from latlint.training.litert import GALAXY_S26, RASPBERRY_PI, Subject
from latlint.training.measurements import load, measured_everywhere
from latlint.training.npu import study as npu_study
from latlint.training.npu.measurements import devices
from latlint.training.user.build import (
    PRIORS,
    TRANSFER,
    Donor,
    Planned,
    Pool,
    Wanted,
    bounds,
    chosen,
    closest,
    held_out,
    of_version,
    parts_of,
    share,
)
from latlint.training.user.transfer import predicted_ns

SIZES = (5, 10, 20, 40)
DRAWS = 30
#: How often a table of cells without any difference may have one that is called worse.
LEVEL = 0.05
#: A cell at two standard errors.
TWO = {"draws": DRAWS, "gap": 2.0, "noise": 1.0}
RECORD = Path(__file__).with_name("pack_build.json")
PAGE = Path(__file__).parents[1] / "docs" / "adding-a-device.md"
MARKED = re.compile(r"(<!-- pack build -->\n).*?(<!-- end -->)", re.DOTALL)
Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Case:
    """A target with its measured networks: their priced plans, times, and families; ``known``: the targets to start from."""

    name: str
    works: Sequence[Workload]
    total_ns: Array
    families: Sequence[str]
    known: Sequence[Target]

    @cached_property
    def pool(self) -> Pool:
        device, processor = self.name.partition(" ")[0].split("/")
        planned = Planned(tuple(self.works), tuple({} for _ in self.works))
        return Pool(self.known, Wanted(device, processor.partition("@")[0]), lambda _: planned, self.total_ns)

    @cached_property
    def donors(self) -> list[Donor]:
        return [self.pool.donor(target) for target in self.known]

    def errors(self, size: int, seed: int) -> dict[str, float]:
        """Mean error in percent on families held out, by model; ``pack build``'s is the first. Empty where there are not as many networks."""
        draw = np.random.default_rng((size, seed))
        names = np.array(self.families)
        order = draw.permutation(sorted(set(self.families)))
        out = np.isin(names, order[: max(len(order) // 5, 1)])
        rest = draw.permutation(np.flatnonzero(~out))
        if len(rest) < size:
            return {}
        measured = np.zeros(len(names), bool)
        measured[rest[:size]] = True
        donors = [donor.only(measured) for donor in self.donors]
        groups = parts_of(names[measured].tolist())
        inner = held_out(donors, groups)
        donor = closest(donors, np.ones(size, bool))
        whole = next(each for each in self.donors if each.target is donor.target).only(out)
        took = whole.samples.total_ns
        costs = {TRANSFER: donor.fit(), **({PRIORS: donor.from_priors()} if PRIORS in inner else {})}
        own = {name: predicted_ns(whole.samples, each) for name, each in costs.items()}
        model, limits = chosen(inner), bounds(donor)
        leant = limits._replace(share=share(inner[model], inner[ROOFLINE], groups))
        found = {name: limits.ns(whole.counts, ns) for name, ns in own.items()}
        for name, used in SIMPLEST.items():
            found[name] = simple(donor.counts, donor.samples.total_ns, used).ns(whole.counts)
        found = {"pack build": leant.ns(whole.counts, own[model]), **found}
        return {name: float(np.abs(ns / took - 1).mean()) * 100 for name, ns in found.items()}


def cases(shared: Path, only: str) -> Iterator[Case]:
    """Every target that has measured networks, in one precision; those whose names hold ``only``."""
    known = [target for target in load_targets().values() if isinstance(target, Target)]
    for subject in (RASPBERRY_PI, GALAXY_S26):
        if only in f"{subject.target} float32":
            yield _litert(subject, shared, known)
    for source in (_phones, _ai_hub_cpus, _server, _npus):
        yield from source(shared, known, only)


def _litert(subject: Subject, shared: Path, known: Sequence[Target]) -> Case:
    found = subject.measured(shared)
    others = [each for each in known if each.device != subject.device and each.name.endswith("@xnnpack")]
    return Case(
        f"{subject.target} float32",
        [each.work for each in found],
        np.array([each.latency_ms * 1e6 for each in found]),
        [each.family for each in found],
        others if subject is RASPBERRY_PI else [_priors(subject)],
    )


def _phones(shared: Path, known: Sequence[Target], only: str) -> Iterator[Case]:
    """Every GPU, and every core configuration with built-in kernels."""
    measured = measured_everywhere(load(shared / "data"))
    series = [each for each in measured.series if only in f"{each.target} {each.precision}"]
    if not series:
        return
    design = build(measured, unpacked(shared / "corpus"))
    runtimes = {each.name: each.runtime for each in known}
    for each in series:
        works = [design.workload(each.device, each.processor, each.precision, model) for model in measured.models]
        others = [t for t in known if t.device != each.device and t.runtime == runtimes[each.target]]
        found = [work for work in works if work is not None]
        yield Case(f"{each.target} {each.precision}", found, each.mean_ns, measured.families, others)


def _npus(shared: Path, known: Sequence[Target], only: str) -> Iterator[Case]:
    """By each runtime in each precision; the start is other chips whose costs are of the version of QAIRT that most of the networks were measured with."""
    chip = {name: facts["chip"] for name, facts in devices().items()}
    targets = [each for each in known if "/npu@" in each.name and "like" not in devices()[each.device]]
    wanted = [
        (each, precision) for each in targets for precision in npu_study.AS_IF if only in f"{each.name} {precision}"
    ]
    if not wanted:
        return
    study = npu_study.build(shared)
    for target, precision in wanted:
        runtime = target.name.partition("@")[2]
        rows = study.rows(target.device, runtime, precision)
        cells = [study.cells[row] for row in rows]
        others = [t for t in targets if chip[t.device] != chip[target.device] and t.runtime == target.runtime]
        if not cells:
            continue
        (version, _), *_ = Counter(cell.version for cell in cells).most_common(1)
        others = of_version(others, precision, version)
        works = [study.works[precision][cell.network] for cell in cells]
        total = np.array([cell.ms * 1e6 for cell in cells])
        yield Case(f"{target.name} {precision}", works, total, study.families[rows].tolist(), others)


def _ai_hub_cpus(shared: Path, known: Sequence[Target], only: str) -> Iterator[Case]:
    wanted = [
        (at, name, precision)
        for at, device in enumerate(ai_hub_cpu.DEVICES)
        for precision in ("int8", "int16")
        if only in f"{(name := f'{device}/{ai_hub_cpu.KEY}')} {precision}"
    ]
    if not wanted:
        return
    study = ai_hub_cpu.measured(shared)
    for at, name, precision in wanted:
        rows = [row for row in study.rows if row.precision == precision and np.isfinite(row.ms[at])]
        total = np.array([row.ms[at] * 1e6 for row in rows])
        yield Case(f"{name} {precision}", [r.work for r in rows], total, [r.family for r in rows], _others(known, name))


def _server(shared: Path, known: Sequence[Target], only: str) -> Iterator[Case]:
    """The published float networks that were timed on one thread."""
    name = f"{servers.DEVICE}/cpu-1@onnxruntime"
    if only not in f"{name} float32":
        return
    times = servers.timings(servers.FILE, 1)
    with tempfile.TemporaryDirectory(prefix="latlint-networks-") as scratch:
        # those that would be quantised come last, and are not made
        floats = islice(servers.networks(shared, Path(scratch)), sum("~" not in name for name in times))
        rows = [each for each in floats if each.judged and each.name in times]
        works = [workload(plan(read(each.path), servers.PROCESSOR._replace(threads=1))) for each in rows]
    total = np.array([times[each.name].best_ns for each in rows])
    yield Case(f"{name} float32", works, total, [each.family for each in rows], _others(known, name))


def _others(known: Sequence[Target], name: str) -> list[Target]:
    """The targets of other devices on ONNX Runtime's CPU provider."""
    return [t for t in known if t.device != name.partition("/")[0] and t.runtime.startswith("onnxruntime") and t.host]


def _priors(subject: Subject) -> Target:
    """A target that costs what the priors say."""
    known = load_targets()[subject.target].for_dialect("tflite")
    arrays = {**known.pack.arrays, f"{subject.key}/theta": subject.columns.terms.prior}
    return Target("priors/gpu", Pack(known.pack.card, arrays), subject.key)


def row(case: Case, size: int, draws: int) -> dict[str, Any] | None:
    """Mean errors in percent over the draws of ``size`` networks, by model, and ``gap``: how much ``pack build``'s lies above the best of the simplest
    models', with its standard error; ``None`` where there are not as many networks."""
    found = [each for seed in range(draws) if (each := case.errors(size, seed))]
    if not found:
        return None
    errors = {name: np.array([each[name] for each in found]) for name in found[0]}
    gap = errors["pack build"] - min((errors[name] for name in SIMPLEST), key=lambda each: float(each.mean()))
    means = {name: round(float(of.mean()), 2) for name, of in errors.items()}
    noise = float(gap.std() / max(len(gap) - 1, 1) ** 0.5)
    return {"draws": len(found), **means, "gap": round(float(gap.mean()), 2), "noise": round(noise, 2)}


def line(name: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """One target in Markdown."""
    cells = [_cell(rows[str(size)]) if str(size) in rows else "" for size in SIZES]
    target, precision = name.split()
    return f"| `{target}` | {precision} | {' | '.join(cells)} |"


def _cell(found: Mapping[str, Any]) -> str:
    simplest = min(found[name] for name in SIMPLEST)
    few = "" if found["draws"] == DRAWS else f", {found['draws']} draws"
    gap = f"{found['gap']:+.1f}".replace("-", "−")
    return f"{found['pack build']:.1f} / {simplest:.1f} ({gap} ± {found['noise']:.1f}{few})"


def table(record: Mapping[str, Mapping[str, Any]]) -> str:
    head = f"| target | precision | {' | '.join(map(str, SIZES))} |\n| --- | --- |{' --: |' * len(SIZES)}"
    cells = [each for rows in record.values() for each in rows.values()]
    above = sum(each["gap"] > 2 * each["noise"] for each in cells)
    said = (
        f"{len(record)} targets and precisions, {len(cells)} cells; worse than the simplest models by more than noise in {len(worse(record))}. "
        f"Above two standard errors lie {above}; were there no difference anywhere, it would be some {len(cells) * _chance(TWO):.0f}."
    )
    return "\n".join([head, *(line(name, rows) for name, rows in record.items()), "", said]) + "\n"


def worse(record: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Where ``pack build`` is worse than the best of the simplest models by more than noise in a table of as many cells: Holm's rule, at ``LEVEL``."""
    cells = [(_chance(found), name, size, found) for name, rows in record.items() for size, found in rows.items()]
    cells.sort(key=lambda cell: cell[0])
    rejected = list(takewhile(lambda at: cells[at][0] <= LEVEL / (len(cells) - at), range(len(cells))))
    return [_said(*cells[at][1:]) for at in rejected]


def _chance(found: Mapping[str, Any]) -> float:
    """How probable a gap as large is where there is none: Student's t of the draws, one-sided. One draw says nothing of that."""
    if found["draws"] < 2:
        return 1.0
    return float(stdtr(found["draws"] - 1, -found["gap"] / max(found["noise"], 0.005)))


def _said(name: str, size: str, found: Mapping[str, Any]) -> str:
    return f"{name}, {size} networks: worse by {found['gap']:.1f} ± {found['noise']:.1f} %"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--only", default="", help="targets whose names, with the precision, hold this")
    parser.add_argument(
        "--record", action="store_true", help=f"add to {RECORD.name}, and write the table into {PAGE.name}"
    )
    parser.add_argument("--resume", action="store_true", help=f"only targets that {RECORD.name} lacks")
    parser.add_argument("--check", action="store_true", help="exit 1 where pack build is worse by more than noise")
    options = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    there = json.loads(RECORD.read_text("utf-8")) if options.resume and RECORD.is_file() else {}
    for case in cases(options.shared, options.only):
        if case.name in there:
            continue
        rows = {str(size): each for size in SIZES if (each := row(case, size, options.draws))}
        if rows:
            found[case.name] = rows
            print(line(case.name, rows), flush=True)
            if options.record:
                record(case.name, rows)
    failed = worse(found)
    for said in failed:
        print(said, file=sys.stderr)
    return int(options.check and bool(failed))


def record(name: str, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Write what was found for one target, so that a run that is ended keeps what it has."""
    known = json.loads(RECORD.read_text("utf-8")) if RECORD.is_file() else {}
    known = dict(sorted({**known, name: rows}.items()))
    lines = (f"{json.dumps(each)}: {json.dumps(known[each])}" for each in known)
    RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    page = PAGE.read_text("utf-8")
    PAGE.write_text(MARKED.sub(lambda marks: marks[1] + table(known) + marks[2], page), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
