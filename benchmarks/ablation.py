"""What each idea behind the predictions buys: families held out in turn, with one idea taken away at a time.

    python benchmarks/ablation.py           # CPU variants, then GPU variants
    python benchmarks/ablation.py --cpu     # CPU alone: half a minute

Prints the mean absolute percentage error end to end over all models and targets, and the share of pairs within 10 %, as a Markdown
table. Needs the measurements and the model files (``--shared``, by default ../shared), and ``pip install '.[train]'``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from latlint.latency import engine
from latlint.runtime.kinds import kind_of
from latlint.training import build, cpu, gpu, hierarchy
from latlint.training import design as designs
from latlint.training.corpus import unpacked
from latlint.training.design import Design, cpu_counts
from latlint.training.design import build as build_design
from latlint.training.held_out import hold_out
from latlint.training.hierarchy import Configurations, Strength, Terms
from latlint.training.measurements import load, measured_everywhere

Array = NDArray[np.float64]

#: What a product costs besides its multiply-accumulates.
OVERHEADS = ("conv.tiles", "conv.pixels", "conv.call", "conv.pack", "conv.output", "conv.weights")


@dataclass(frozen=True, slots=True)
class CpuVariant:
    """One idea less: terms left out, another strength, terms as ``change`` makes them, or configurations that do not help each other."""

    name: str
    without: tuple[str, ...] = ()
    strength: Strength = field(default_factory=Strength)
    change: Callable[[Terms], Terms] = lambda terms: terms
    alone: bool = False


CPU = (
    CpuVariant("as shipped"),
    CpuVariant("each configuration by itself", alone=True),
    CpuVariant("no weights that leave a cache", without=("weights.l2", "weights.l3")),
    CpuVariant("no costs of a product besides its arithmetic", without=OVERHEADS),
    CpuVariant("no copy to a matrix (im2col)", without=("im2col.elements", "im2col.rows")),
    CpuVariant("no cost of a call", without=("call", "conv.call", "model")),
    CpuVariant(
        "all work divided by the threads", change=lambda terms: replace(terms, parallel=np.ones_like(terms.parallel))
    ),
    # as steep for small errors as the robust loss is: softer by a factor, priors weaker by it
    CpuVariant("squared error in place of a robust one", strength=Strength(softness=10.0, scale=2e-3 * 0.04 / 10.0)),
    CpuVariant(
        "priors that know nothing (every cost alike)",
        change=lambda terms: replace(terms, prior=np.ones_like(terms.prior)),
    ),
    CpuVariant("no priors to speak of", strength=Strength(scale=1e-6)),
)

GPU: tuple[tuple[str, dict[str, Any]], ...] = (
    ("as shipped", {}),
    ("terms that have a prior alone, costs of all GPUs at once", {"MIN_ROWS": sys.maxsize}),
    ("a constant in place of the queue", {"queued": lambda kernels, launches, scale, dispatch: scale * kernels}),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--cpu", action="store_true", help="CPU variants alone")
    options = parser.parse_args()
    design = build_design(measured_everywhere(load(options.shared / "data")), unpacked(options.shared / "corpus"))
    print("| CPU | float32 error | within 10 % | int8 error | within 10 % |\n|---|---|---|---|---|")
    for variant in CPU:
        print(
            f"| {variant.name} | {' | '.join(_score(_cpu_ratios(design, variant, p)) for p in ('float32', 'int8'))} |",
            flush=True,
        )
    if not options.cpu:
        print("\n| GPU | float32 error | within 10 % |\n|---|---|---|")
        for name, patches in GPU:
            print(f"| {name} | {_score(_gpu_ratios(design, patches))} |", flush=True)
    return 0


def _score(ratios: Array) -> str:
    errors = np.abs(ratios - 1)
    return f"{errors.mean():.1%} | {(errors <= 0.1).mean():.1%}".replace("%", " %")


def _cpu_ratios(design: Design, variant: CpuVariant, precision: str) -> Array:
    """Predicted over measured for every model, its family held out, and configuration: (models, configurations)."""
    measured = design.measurements
    series = cpu.cpu_series(measured, precision)
    counts = cpu_counts(design, precision, measured.models)
    gone = {f"{kernels}.{name}" for kernels in ("f32", "i8") for name in variant.without}
    counts = counts * np.array([name not in gone for name in designs.CPU.names])
    times = np.stack([each.mean_ns for each in series], axis=1)
    configurations = cpu.configurations(series)
    families = np.array(measured.families)
    predicted = np.empty_like(times)
    for family in sorted(set(measured.families)):
        out = families == family
        for columns in _apart(len(series)) if variant.alone else [slice(None)]:
            some = Configurations(_numbered(configurations.group[columns]), configurations.log_threads[columns])
            costs = hierarchy.fit(
                counts[~out], times[~out][:, columns], variant.change(designs.CPU.terms), some, variant.strength
            )
            predicted[np.ix_(out, np.arange(len(series))[columns])] = counts[out] @ costs.T
    return predicted / times


def _apart(count: int) -> list[slice]:
    return [slice(index, index + 1) for index in range(count)]


def _numbered(groups: NDArray[np.intp]) -> NDArray[np.intp]:
    return np.unique(groups, return_inverse=True)[1].astype(np.intp)


def _gpu_ratios(design: Design, patches: dict[str, Any]) -> Array:
    queued = mock.patch.object(engine, "queued", patches.get("queued", engine.queued))
    with _one_cpu_fit(design), mock.patch.multiple(gpu, **{"MIN_ROWS": gpu.MIN_ROWS} | patches), queued:
        held_out = hold_out(design)
    return np.stack([held_out.ratios(each) for each in design.measurements.series if not kind_of(each.processor).host])


@contextmanager
def _one_cpu_fit(design: Design) -> Iterator[None]:
    """CPU costs do not bear on GPU predictions here: one fit serves all."""
    costs = cpu.fit(design, np.ones(len(design.measurements.models), bool))
    with mock.patch.object(build.cpu, "fit", lambda design, models: costs):
        yield


if __name__ == "__main__":
    sys.exit(main())
