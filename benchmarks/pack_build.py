"""Whether ``latlint pack build`` is ever worse than the simplest models: held-out error by number of measured networks, target by target.

    OMP_NUM_THREADS=1 python benchmarks/pack_build.py              # thirty draws of the measured networks
    OMP_NUM_THREADS=1 python benchmarks/pack_build.py --draws 5 --only raspberry-pi-5/cpu-4

Each draw holds out a fifth of the families and measures 5, 10, 20 or 40 networks of the others, whole times alone. The start is every other device
that runs the same library, as bundled (they have seen these networks, on themselves); for the Galaxy S26's GPU there is none: the priors of its terms.
Prints the mean absolute percentage error of what ``pack build`` chooses, of the transfer that it may choose, and of the simplest models, over all draws,
and the mean and standard error of the difference from the best of these. ``--check`` fails where it is worse by more than twice that. Needs the
measurements and the model files (``--shared``, by default ../shared), and ``pip install '.[train]'``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from latlint.latency.engine import Workload
from latlint.latency.packs import Pack, Target, load_targets
from latlint.training.corpus import unpacked
from latlint.training.design import Design, build
from latlint.training.evaluation import SIMPLEST
from latlint.training.litert import GALAXY_S26, RASPBERRY_PI, Subject
from latlint.training.measurements import load, measured_everywhere
from latlint.training.user.build import (
    TRANSFER,
    Donor,
    Planned,
    Pool,
    Wanted,
    bounds,
    chosen,
    closest,
    held_out,
    parts_of,
)
from latlint.training.user.transfer import predicted_ns

SIZES = (5, 10, 20, 40)
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

        inner = held_out(donors, parts_of(names[measured].tolist()))
        donor = closest(donors, np.ones(size, bool))
        costs = donor.fit()
        whole = next(each for each in self.donors if each.target is donor.target).only(out)
        found = {}
        for model in (TRANSFER, *SIMPLEST):
            ns = bounds(donor, model).ns(whole.counts, predicted_ns(whole.samples, costs))
            found[model] = float(np.abs(ns / whole.samples.total_ns - 1).mean()) * 100
        return {"pack build": found[chosen(inner)], **found}


def cases(shared: Path, only: str) -> Iterator[Case]:
    known = {name: target for name, target in load_targets().items() if isinstance(target, Target)}
    for subject in (RASPBERRY_PI, GALAXY_S26):
        if only in subject.target:
            found = subject.measured(shared)
            others = [each for each in known.values() if each.device != subject.device and "xnnpack" in each.name]
            start = others if subject is RASPBERRY_PI else [_priors(subject)]
            total = np.array([each.latency_ms * 1e6 for each in found])
            yield Case(subject.target, [each.work for each in found], total, [each.family for each in found], start)
    design: Design | None = None
    for name, precision in PHONES:
        if only in name:
            design = design or build(measured_everywhere(load(shared / "data")), unpacked(shared / "corpus"))
            yield _phone(design, [*known.values()], name, precision)


#: One large core and the GPU of every phone.
PHONES = [
    *(
        (f"{phone}/gpu", "float32")
        for phone in ("pixel-4", "galaxy-s10", "mi-8-se", "galaxy-a03s", "iphone-xs", "iphone-7")
    ),
    *(
        (f"{phone}/cpu-1large", precision)
        for phone in ("pixel-4", "galaxy-s10", "mi-8-se", "galaxy-a03s", "iphone-xs", "iphone-7")
        for precision in ("float32", "int8")
    ),
]


def _phone(design: Design, known: Sequence[Target], name: str, precision: str) -> Case:
    series = next(s for s in design.measurements.series if (s.target, s.precision) == (name, precision))
    works = [design.workload(series.device, series.processor, precision, m) for m in design.measurements.models]
    (runtime,) = {each.runtime for each in known if each.name == name}
    others = [each for each in known if each.device != series.device and each.runtime == runtime]
    found = [work for work in works if work is not None]
    return Case(f"{name} {precision}", found, series.mean_ns, design.measurements.families, others)


def _priors(subject: Subject) -> Target:
    """A target that costs what the priors say."""
    known = load_targets()[subject.target].for_dialect("tflite")
    arrays = {**known.pack.arrays, f"{subject.key}/theta": subject.columns.terms.prior}
    return Target("priors/gpu", Pack(known.pack.card, arrays), subject.key)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--draws", type=int, default=30)
    parser.add_argument("--only", default="", help="targets whose names hold this")
    parser.add_argument("--check", action="store_true", help="exit 1 where pack build is worse by more than noise")
    options = parser.parse_args()
    columns = ("pack build", TRANSFER, *SIMPLEST)
    print("| target | networks | " + " | ".join(columns) + " | worse than the best by |")
    print("|---|--:|" + "--:|" * (len(columns) + 1))
    worse = []
    for case in cases(options.shared, options.only):
        for size in SIZES:
            draws = [found for seed in range(options.draws) if (found := case.errors(size, seed))]
            if not draws:
                continue
            table = np.array([list(each.values()) for each in draws])
            best = 2 + int(table[:, 2:].mean(axis=0).argmin())
            gap = table[:, 0] - table[:, best]
            noise = float(gap.std() / max(len(gap) - 1, 1) ** 0.5)
            cells = " | ".join(f"{value:.1f} %" for value in table.mean(axis=0))
            print(f"| `{case.name}` | {size} | {cells} | {gap.mean():+.1f} ± {noise:.1f} |", flush=True)
            if gap.mean() > 2 * noise:
                worse.append(f"{case.name}, {size} networks: worse by {gap.mean():.1f} ± {noise:.1f} %")
    for each in worse:
        print(each, file=sys.stderr)
    return 1 if worse and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
