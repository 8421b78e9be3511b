"""How many models of a new phone must be profiled before others are predicted well.

    OMP_NUM_THREADS=1 python benchmarks/learning_curve.py    # five draws of the profiled models
    OMP_NUM_THREADS=1 python benchmarks/learning_curve.py --draws 1

One GPU and one CPU target stand for the new phone. It is left out whole: what is carried over was fitted to the other phones alone.
Families of networks are held out in five parts, which neither the other phones' fit nor the profile has seen. Prints the mean absolute
percentage error on the held-out models against the number of profiled models: with transfer, and without (from the priors that
every fit starts from). ``kernels``: the profile times the kernels of each model as well as the whole. ``--check`` fails where a limit
is exceeded. The problems are small: more threads than one slow them down. Needs the measurements and the model files (``--shared``, by default ../shared), and ``pip install '.[train]'``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from latlint.latency.packs import Pack, Target
from latlint.runtime.kinds import kind_of
from latlint.training.build import build as build_packs
from latlint.training.columns import Columns
from latlint.training.corpus import unpacked
from latlint.training.design import Design, build, listed
from latlint.training.measurements import Series, load, measured_everywhere
from latlint.training.user.build import Planned, Pool, Wanted, closest
from latlint.training.user.transfer import Costs, Queue, Samples, Strength, fit, predicted_ns

SIZES = (5, 10, 20, 40)
PARTS = 5
#: Largest error with 20 profiled models and transfer, in percent.
LIMITS = {"pixel-4/gpu": 8.0, "mi-8-se/cpu-1large": 9.0}
Mask = NDArray[np.bool_]
Array = NDArray[np.float64]
#: What a queue is taken for where no phone says: kernels a little slower in it, 30 microseconds a dispatch, a millisecond to start.
NO_QUEUE = Queue(1.02, 3e4, 1e6)
#: Without a donor, nothing is near the truth.
ALONE = Strength(own=1.0, queue=(0.1, 3.0, 3.0))


@dataclass(frozen=True, slots=True)
class Curve:
    """One row of the table: a target and precision, whether its kernels are timed, and with whose help."""

    target: str
    precision: str
    kernels: bool
    transfer: bool


CURVES = [
    Curve(target, precision, kernels, transfer)
    for target, precision, kernels in (
        ("pixel-4/gpu", "float32", True),
        ("pixel-4/gpu", "float32", False),
        ("mi-8-se/cpu-1large", "float32", False),
        ("mi-8-se/cpu-1large", "int8", False),
    )
    for transfer in (True, False)
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--draws", type=int, default=5, help="random choices of the profiled models (default 5)")
    parser.add_argument("--check", action="store_true", help="fail where a limit is exceeded")
    options = parser.parse_args()
    design = build(measured_everywhere(load(options.shared / "data")), unpacked(options.shared / "corpus"))
    errors = _errors(design, options.draws)
    _print(errors, options.draws)
    over = [t for t, limit in LIMITS.items() if _best(errors, t) > limit]
    for target in over:
        print(f"{target}: {_best(errors, target):.2f} % with 20 models is above {LIMITS[target]} %")
    return 1 if options.check and over else 0


def _errors(design: Design, draws: int) -> dict[Curve, dict[int, Array]]:
    """Absolute errors in percent, (draws, held-out models), by curve and number of profiled models (0: all)."""
    found: dict[Curve, dict[int, list[Array]]] = {curve: {size: [] for size in (*SIZES, 0)} for curve in CURVES}
    for target in dict.fromkeys(curve.target for curve in CURVES):
        phone = target.partition("/")[0]
        others = _without(design, phone)
        for part, out in enumerate(_parts(design)):
            print(f"{target}: part {part + 1} of {PARTS}", file=sys.stderr)
            packs = build_packs(others, ~out)
            for curve in (each for each in CURVES if each.target == target):
                rows = _fitted(design, packs, curve, out, part, draws)
                for size, errors in rows.items():
                    found[curve][size].append(errors)
    return {curve: {size: np.hstack(parts) for size, parts in rows.items()} for curve, rows in found.items()}


def _without(design: Design, phone: str) -> Design:
    """All that was measured, but for one phone."""
    measured = design.measurements
    column = [device != phone for device in design.gpu]
    return replace(
        design,
        measurements=replace(
            measured,
            series=tuple(each for each in measured.series if each.device != phone),
            kernels={device: times for device, times in measured.kernels.items() if device != phone},
            devices={device: facts for device, facts in measured.devices.items() if device != phone},
        ),
        gpu={device: works for device, works in design.gpu.items() if device != phone},
        rows=replace(design.rows, time_ns=design.rows.time_ns[:, column]),
    )


def _parts(design: Design) -> list[Mask]:
    """Families in parts of about as many models each."""
    families = np.array(design.measurements.families)
    names, counts = np.unique(families, return_counts=True)
    parts: list[list[str]] = [[] for _ in range(PARTS)]
    sizes = [0] * PARTS
    for at in np.argsort(-counts, kind="stable"):
        smallest = int(np.argmin(sizes))
        parts[smallest].append(str(names[at]))
        sizes[smallest] += int(counts[at])
    return [np.isin(families, part) for part in parts]


def _fitted(
    design: Design, packs: Mapping[str, Pack], curve: Curve, out: Mask, part: int, draws: int
) -> dict[int, Array]:
    """Errors on the models of ``out``, (draws, models), by number of profiled models."""
    series = next(s for s in design.measurements.series if (s.target, s.precision) == (curve.target, curve.precision))
    pool = _pool(design, packs, series, kernels=curve.kernels)
    donors = [pool.donor(target) for target in pool.targets]
    everything = donors[0].samples
    found: dict[int, Array] = {}
    for size in (*SIZES, 0):
        rows = []
        for draw in range(draws if size else 1):
            known = _drawn(~out, size, seed=(draw, part))
            if curve.transfer:
                donor = closest(donors, known)
                samples, costs = donor.samples, donor.only(known).fit()
            else:
                samples, costs = everything, _alone(pool, everything.only(known))
            held = samples.only(out)
            rows.append(100 * np.abs(predicted_ns(held, costs) / held.total_ns - 1))
        found[size] = np.array(rows)
    return found


def _pool(design: Design, packs: Mapping[str, Pack], series: Series, *, kernels: bool) -> Pool:
    """The other phones' processors of this kind, and all models as the new phone runs them."""
    kind = kind_of(series.processor).name
    targets: Sequence[Target] = [
        target for pack in packs.values() for target in pack.targets() if target.processor.kind == kind
    ]
    works, timed = [], []
    for model in design.measurements.models:
        work = design.workload(series.device, series.processor, series.precision, model)
        assert work is not None, model
        measured = design.measurements.kernels[series.device][model] if kernels else ()
        positions = listed(work.plan)[: len(measured)]
        works.append(work)
        timed.append({at: time.time_ns * 1e-6 for at, time in zip(positions, measured, strict=True)})
    return Pool(
        targets, Wanted(series.device, series.processor), lambda _: Planned(tuple(works), tuple(timed)), series.mean_ns
    )


def _alone(pool: Pool, samples: Samples) -> Costs:
    """Costs from the profile alone: from the priors of the terms, without any phone's."""
    kind = kind_of(pool.wanted.processor)
    theta = Columns.for_works(kind.name, ()).terms.prior
    share = np.zeros(samples.correction.shape[1])
    alone = replace(samples, correction=np.zeros_like(samples.correction))
    costs = fit(
        alone, Costs(theta, share, Queue() if kind.host else NO_QUEUE), np.zeros((len(theta), 0)), strength=ALONE
    )
    return replace(costs, share=share)


def _drawn(pool: Mask, size: int, seed: tuple[int, int]) -> Mask:
    """``size`` models of ``pool`` (0: all of them); larger draws of a seed hold the smaller ones."""
    order = np.random.default_rng(seed).permutation(np.flatnonzero(pool))
    found = np.zeros(len(pool), bool)
    found[order[: size or len(order)]] = True
    return found


def _best(errors: Mapping[Curve, Mapping[int, Array]], target: str) -> float:
    """Mean error with 20 profiled models and transfer, for float32 profiles as full as the target's data allow."""
    curve = next(each for each in errors if each.target == target and each.transfer)
    return float(errors[curve][20].mean())


def _print(errors: Mapping[Curve, Mapping[int, Array]], draws: int) -> None:
    sizes = (*SIZES, 0)
    print(f"mean absolute error on held-out families, in percent, ± its standard deviation over {draws} draws")
    heading = "".join(f"{size or 'all':>12}" for size in sizes)
    print(f"{'target':20}{'precision':11}{'profile':10}{'from':14}{heading}")
    for curve, rows in errors.items():
        profile = "kernels" if curve.kernels else "whole"
        source = "other phones" if curve.transfer else "nothing"
        means = {size: rows[size].mean(axis=1) for size in sizes}
        cells = "".join(f"{means[size].mean():>7.1f} ±{means[size].std():>3.1f}" for size in sizes)
        print(f"{curve.target:20}{curve.precision:11}{profile:10}{source:14}{cells}")


if __name__ == "__main__":
    sys.exit(main())
