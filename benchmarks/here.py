"""How well a pack of this machine, from generated networks alone, predicts published networks that were not timed for it.

    python benchmarks/here.py                    # measure this machine (six minutes), then the networks (three), and compare
    python benchmarks/here.py --pack DIR         # a pack that ``latlint pack build --profile-here`` has written
    python benchmarks/here.py --networks 20      # every fourth of the 80 networks

Prints one row a network: predicted and measured milliseconds (one thread, LiteRT with XNNPACK), error, and the spread of the
measurement: how far the median of its passes lies above the best. ``--check`` fails where the median error is above 10 %.
Needs the model files (``--shared``, by default ../shared) and ``pip install '.[train]' ai-edge-litert``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from latlint.graph import read
from latlint.latency.engine import times, workload
from latlint.latency.packs import Pack, read_pack
from latlint.runtime import plan
from latlint.training.clock import Timing
from latlint.training.corpus import unpacked
from latlint.training.profile_here import measure, profile_here

#: Largest median absolute error in percent.
LIMIT = 10.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--pack", type=Path, help="a pack of this machine; measured anew by default")
    parser.add_argument("--networks", type=int, default=80, help="how many of the networks, evenly spread by name")
    parser.add_argument("--budget", type=float, default=330.0, help="seconds to measure this machine")
    parser.add_argument("--seconds", type=float, default=2.4, help="seconds to measure each network, in three passes")
    parser.add_argument("--check", action="store_true", help=f"fail where the median error is above {LIMIT:g} %%")
    options = parser.parse_args()
    everything = sorted((unpacked(options.shared / "corpus") / "tflite_fp32").glob("*.tflite"))
    wanted = np.linspace(0, len(everything) - 1, min(options.networks, len(everything))).round().astype(int)
    paths = [everything[index] for index in wanted]
    with tempfile.TemporaryDirectory() as scratch:
        if options.pack is None:
            profile_here(Path(scratch), budget_s=options.budget, progress=_progress)
        pack = read_pack(options.pack or Path(scratch))
    errors = _report(paths, predicted_ms(pack, paths), measure(paths, budget_s=options.seconds * len(paths)))
    return int(options.check and float(np.median(np.abs(errors))) > LIMIT)


def predicted_ms(pack: Pack, paths: Sequence[Path]) -> list[float]:
    """End-to-end predictions for the pack's one target."""
    (target,) = pack.targets()
    found = [times(workload(plan(read(path), target.processor)), target) for path in paths]
    return [float(each.kernels.sum()) + each.overhead_ms for each in found]


def _report(paths: Sequence[Path], predicted: Sequence[float], measured: Sequence[Timing]) -> list[float]:
    """Print the table; the errors in percent."""
    print(f"{'network':28} {'predicted ms':>12} {'measured ms':>12} {'error':>8} {'spread':>7}")
    errors = []
    for path, guess, timing in zip(paths, predicted, measured, strict=True):
        best_ms = timing.best_ns * 1e-6
        errors.append((guess / best_ms - 1) * 100)
        print(f"{path.stem:28} {guess:12.2f} {best_ms:12.2f} {errors[-1]:+7.1f}% {timing.spread * 100:6.1f}%")
    sizes = np.abs(errors)
    spread = np.median([timing.spread for timing in measured]) * 100
    print(
        f"{len(paths)} networks, none of them timed for the pack: median error {np.median(sizes):.1f} %, mean {sizes.mean():.1f} %, "
        f"within 10 %: {(sizes <= LIMIT).mean():.0%}, worst {sizes.max():.1f} %; median spread of repeats {spread:.1f} %"
    )
    return errors


def _progress(done: int, total: int, name: str) -> None:
    if done % 50 == 0 or done == total:
        print(f"measuring this machine: {done} of {total}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
