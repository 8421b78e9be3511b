"""How accurate latlint is for LiteRT as it ships: what edge-compat measured, families held out in turn.

    python benchmarks/litert.py            # prints one table a target
    python benchmarks/litert.py --check    # fails where a limit is exceeded

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
from latlint.latency.engine import counts
from latlint.training import derived, litert
from latlint.training.calibrate import scores, stretched
from latlint.training.corpus import unpacked
from latlint.training.edge_compat import Network
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
COVERAGE = (0.87, 0.95)
#: The largest median error of the phones against published figures.
ANCHORED = 0.15


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--check", action="store_true", help="exit 1 where a limit is exceeded")
    options = parser.parse_args()
    broken = [each for subject in litert.SUBJECTS for each in held_out(options.shared, subject)]
    broken += anchors(unpacked(options.shared / "corpus"))
    for each in broken:
        print(each, file=sys.stderr)
    return 1 if broken and options.check else 0


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


def anchors(corpus: Path) -> list[str]:
    """Phones on XNNPACK, predicted over published: for the figures that their factors were set by, and for others. What exceeds the limit."""
    said = []
    for known, how in ((derived.ANCHORS, "in sample"), (derived.CHECKS, "out of sample")):
        for name, (target, clock, published) in known.items():
            files = [corpus / "tflite_fp32" / f"{network}.tflite" for network in derived.NETWORKS]
            found = [latlint.predict(file, f"{target}@xnnpack")[0].latency_ms * clock for file in files]
            ratios = np.array(found) / np.array(published)
            print(f"{target}@xnnpack over {name}, {how}: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
            if (off := float(np.median(np.abs(ratios - 1)))) > ANCHORED:
                said.append(f"{target}@xnnpack: median {off:.1%} off {name}, above {ANCHORED:.0%}")
    return said


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
