"""How accurate latlint is for LiteRT as it ships: what edge-compat measured, families held out in turn.

    python benchmarks/litert.py            # prints one table a target
    python benchmarks/litert.py --check    # fails where a limit is exceeded
    python benchmarks/litert.py --record   # and write the tables of XNNPACK's published figures and of rebuilt networks into docs/accuracy.md

Beside the error of the pack's own way stand those of the simplest models, by the same split. Needs the measurements and the model files
(``--shared``, by default ../shared), and ``pip install '.[train]'``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import spearmanr

import latlint
from latlint.latency.engine import counts, latency
from latlint.latency.packs import Target, load_targets
from latlint.training import derived, litert
from latlint.training.calibrate import scores, stretched
from latlint.training.corpus import unpacked
from latlint.training.derived import Published
from latlint.training.edge_compat import Network, times
from latlint.training.edge_compat import unpacked as planned
from latlint.training.evaluation import simplest
from latlint.training.litert import Subject


class Limits(NamedTuple):
    """The largest ``median``, ``mean`` and single error that are accepted, in percent; the largest ``factor`` that one may be off by, and the least
    rank correlation."""

    median: float = inf
    mean: float = inf
    worst: float = inf
    factor: float = inf
    rank: float = -1.0


LIMITS = {
    "raspberry-pi-5/cpu-4@xnnpack": Limits(3.0, 5.0, 30.0),
    "galaxy-s26/gpu@litert": Limits(mean=20.0, factor=2.0, rank=0.93),
}
#: Between which shares intervals of 0.9 cover.
COVERAGE = (0.87, 0.94)
#: The largest median error of phones and boards against published figures.
ANCHORED = 0.15
PAGE = Path(__file__).parents[1] / "docs" / "accuracy.md"
#: Networks that the Raspberry Pi 5 ran and that have no file, rebuilt from definitions in packages and papers (weights zeroed). No fit saw them: how
#: they were written out for LiteRT is a guess.
REBUILT = Path(__file__).with_name("rebuilt")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--record", action="store_true", help=f"write the table of published figures into {PAGE.name}")
    parser.add_argument("--check", action="store_true", help="exit 1 where a limit is exceeded")
    options = parser.parse_args()
    return run(options.shared, record=options.record, check=options.check)


def run(shared: Path, *, record: bool, check: bool) -> int:
    broken = [each for subject in litert.SUBJECTS for each in held_out(shared, subject)]
    found = anchored(unpacked(shared / "corpus"))
    shown = {"published": table(found), "rebuilt": cold(shared)}
    print(*shown.values(), sep="\n")
    if record:
        page = PAGE.read_text("utf-8")
        for name, text in shown.items():
            begins, _, rest = page.partition(f"<!-- litert: {name} -->\n")
            page = f"{begins}<!-- litert: {name} -->\n{text}<!-- end -->{rest.partition('<!-- end -->')[2]}"
        PAGE.write_text(page, "utf-8")
    broken += off_published(found)
    for each in broken:
        print(each, file=sys.stderr)
    return 1 if broken and check else 0


def held_out(shared: Path, subject: Subject) -> list[str]:
    """What exceeds a limit, with one table printed."""
    found = subject.measured(shared)
    ratios = subject.hold_out(found)
    families = [each.family for each in found]
    measured = np.array([each.latency_ms for each in found])
    spent = subject.shares_of(subject.pack(found, ratios), found)
    inside = float((stretched(scores(ratios, families, spent), families) <= 1).mean())
    print(f"{subject.target}: {len(found)} networks of {len(set(families))} families")
    for each, ratio in sorted(zip(found, ratios, strict=True), key=lambda pair: -abs(pair[1] - 1)):
        print(f"  {each.name[:56]:56s} {each.family[:20]:20s} {each.latency_ms:9.2f} ms {ratio - 1:+7.1%}")
    median, mean, worst = show("latlint", ratios)
    show("a constant and a rate for each MAC", rate(found, families))
    factor = float(np.exp(np.abs(np.log(ratios)).max()))
    rank = float(spearmanr(ratios * measured, measured)[0])
    print(
        f"  off by a factor of {factor:.2f} at most, rank correlation {rank:.3f}; intervals of 0.9 cover {inside:.1%}"
    )
    limits = LIMITS[subject.target]
    said = [
        f"{subject.target}: {what} {error:.2f} above {limit:g}"
        for what, error, limit in zip(
            ("median", "mean", "worst", "factor"), (median, mean, worst, factor), limits, strict=False
        )
        if error > limit
    ]
    if rank < limits.rank:
        said.append(f"{subject.target}: rank correlation {rank:.3f} below {limits.rank:g}")
    return said + ([] if COVERAGE[0] <= inside <= COVERAGE[1] else [f"{subject.target}: intervals cover {inside:.1%}"])


def cold(shared: Path) -> str:
    """What the Raspberry Pi 5 took for rebuilt networks beside what its pack predicts, in Markdown."""
    target = load_targets()[litert.RASPBERRY_PI.target]
    assert isinstance(target, Target)
    measured = times(shared, litert.RASPBERRY_PI.device, litert.RASPBERRY_PI.accelerator, REBUILT)
    lines, ratios = ["| network | GMACs | measured | predicted | off |", "| --- | --: | --: | --: | --: |"], []
    for archive in sorted(REBUILT.glob("*.zst")):
        work, ms = planned(archive, target.processor), measured[archive.stem]
        predicted = latency(work, target).ms
        ratios.append(predicted / ms)
        lines.append(
            f"| {archive.stem.removesuffix('.tflite')} | {sum(kernel.macs for kernel in work.plan.kernels) / 1e9:.1f} | {ms:,.0f} ms "
            f"| {predicted:,.0f} ms | {signed(ratios[-1] - 1)} |"
        )
    errors = np.abs(np.array(ratios) - 1)
    said = f"{len(ratios)} networks, none in the fit: {np.median(errors):.0%} off in the median, {errors.mean():.0%} in the mean, {errors.max():.0%} at most."
    return "\n".join([*lines, "", said.replace("%", " %")]) + "\n"


def signed(error: float) -> str:
    return f"{error:+.0%}".replace("%", " %").replace("-", "−")


class Anchored(NamedTuple):
    """Predicted over ``published``, in its order: float32, then int8."""

    published: Published
    ratios: tuple[float, ...]

    @property
    def off(self) -> list[float]:
        """How far those predictions are off that no factor was set by."""
        return [abs(ratio - 1) for ratio in self.ratios[self.published.sets :]]


def anchored(corpus: Path) -> list[Anchored]:
    """Predictions of ``@xnnpack`` targets beside what XNNPACK's README publishes."""
    found = []
    for each in derived.PUBLISHED:
        files = [corpus / "tflite_fp32" / f"{name}.tflite" for name in derived.NETWORKS]
        files += [
            corpus / "tflite_int8" / f"{name}.tflite" for name, _ in zip(derived.NETWORKS, each.int8, strict=False)
        ]
        predicted = [latlint.predict(file, f"{each.target}@xnnpack")[0].latency_ms * each.slower for file in files]
        ratios = [ms / known for ms, known in zip(predicted, each.float32 + each.int8, strict=True)]
        found.append(Anchored(each, tuple(ratios)))
    return found


def table(found: Sequence[Anchored]) -> str:
    """``found`` in Markdown; in italics what set a factor."""
    lines = [
        "| published | target | MobileNet v1 | v2 | v3 large | v3 small | int8 v1 | int8 v2 | off, median |",
        "| --- | --- |" + " --: |" * 7,
    ]
    for each in found:
        sets = each.published.sets
        cells = [f"*{ratio:.2f}*" if at < sets else f"{ratio:.2f}" for at, ratio in enumerate(each.ratios)]
        cells += [""] * (6 - len(cells))
        clock = "" if each.published.slower == 1 else f", times {each.published.slower:.2f} (clock)"
        off = f"{np.median(each.off):.0%}".replace("%", " %") if each.off else ""
        lines.append(
            f"| {each.published.name} | `{each.published.target}@xnnpack`{clock} | {' | '.join(cells)} | {off} |"
        )
    off = checks(found)
    said = f"Of {len(off)} figures that set no factor, predictions are off by {np.median(off):.0%} in the median, {max(off):.0%} at most."
    return "\n".join([*lines, "", said.replace("%", " %")]) + "\n"


def off_published(found: Sequence[Anchored]) -> list[str]:
    """What exceeds the limit: a column of figures, or all that set no factor."""
    said = [
        f"{each.published.name}: median {off:.1%} off, above {ANCHORED:.0%}"
        for each in found
        if (off := float(np.median(np.abs(np.array(each.ratios) - 1)))) > ANCHORED
    ]
    off = float(np.median(checks(found)))
    return said + (
        [f"figures that set no factor: median {off:.1%} off, above {ANCHORED:.0%}"] if off > ANCHORED else []
    )


def checks(found: Sequence[Anchored]) -> list[float]:
    """How far off the predictions are of all figures that set no factor."""
    return [error for each in found for error in each.off]


def show(what: str, ratios: np.ndarray) -> tuple[float, float, float]:
    """Median, mean and largest error in percent, printed."""
    errors = np.abs(ratios - 1) * 100
    found = float(np.median(errors)), float(errors.mean()), float(errors.max())
    print(f"  {what}: median {found[0]:.1f} %, mean {found[1]:.1f} %, worst {found[2]:.1f} %")
    return found


def rate(found: Sequence[Network], families: Sequence[str]) -> np.ndarray:
    """Predicted over measured by a constant and a rate for each multiply-accumulate, families held out."""
    groups = [np.array([each == family for each in families]) for family in sorted(set(families))]
    return simplest(
        np.array([counts(each.work) for each in found]), np.array([each.latency_ms for each in found]), groups
    )


if __name__ == "__main__":
    sys.exit(main())
