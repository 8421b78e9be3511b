"""How well a pack of this machine, from generated networks alone, predicts published networks that were not timed for it.

    python benchmarks/here.py                         # measure this machine (six minutes), then 80 CNNs (three), and compare
    python benchmarks/here.py --corpus edge-compat    # or the 39 networks of edge-compat that have a file
    python benchmarks/here.py --pack DIR              # a pack that ``latlint pack build --profile-here`` has written
    python benchmarks/here.py --networks 20           # so many of them, evenly spread by name

Prints one row a network: predicted and measured milliseconds (one thread, LiteRT with XNNPACK), error, and the spread of the
measurement: how far the median of its passes lies above the best. A host does not keep its speed for ten minutes: some generated networks are timed before the
machine is measured, before the published ones and after them, and what they say of its drift is printed (and taken out of no error). ``--check`` fails where the median or the mean error is above the corpus's limit.
The largest network of edge-compat has 339 billion multiply-accumulates, and each is run fifteen times: those 39 take as long as the machine needs, some eight
minutes on a core with AVX-512, and 2 GB of memory. Needs the model files (``--shared``, by default ../shared) and ``pip install '.[train]' ai-edge-litert``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import islice, pairwise
from math import inf
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from latlint.graph import read
from latlint.latency.engine import times, workload
from latlint.latency.packs import Pack, read_pack
from latlint.runtime import plan
from latlint.training.blocks import generated
from latlint.training.clock import Timing
from latlint.training.corpus import unpack_file, unpacked
from latlint.training.profile_here import interpreter_class, measure, profile_here

Array = NDArray[np.float64]
#: Each so many of the generated networks is a reference, timed for so many seconds.
EVERY, REFERENCE_S = 20, 0.6


class Corpus(NamedTuple):
    """``files`` are the networks, from the directory of corpora, unpacked into a scratch directory where they are not yet; the largest ``median`` and
    ``mean`` absolute error in percent."""

    files: Callable[[Path, Path], list[Path]]
    median: float
    mean: float


def convolutional(corpora: Path, _: Path) -> list[Path]:
    return sorted((unpacked(corpora) / "tflite_fp32").glob("*.tflite"))


def int8(corpora: Path, _: Path) -> list[Path]:
    """Those that LiteRT loads: XNNPACK refuses the scales of a convolution in some."""
    return [path for path in sorted((unpacked(corpora) / "tflite_int8").glob("*.tflite")) if _loads(path)]


def _loads(path: Path) -> bool:
    try:
        interpreter_class()(model_path=str(path)).allocate_tensors()
    except RuntimeError as error:
        print(f"LiteRT does not load {path.stem}: {error}", file=sys.stderr)
        return False
    return True


def edge_compat(corpora: Path, scratch: Path) -> list[Path]:
    found = []
    for archive in sorted((corpora / "edge-compat").glob("*.tflite.zst")):
        found.append(scratch / archive.stem)
        unpack_file(archive, found[-1])
    return found


CORPORA = {
    "cnn": Corpus(convolutional, 10.0, inf),
    "edge-compat": Corpus(edge_compat, 6.0, 8.0),
    "int8": Corpus(int8, 10.0, inf),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--corpus", choices=CORPORA, default="cnn", help="which networks (default: cnn)")
    parser.add_argument("--pack", type=Path, help="a pack of this machine; measured anew by default")
    parser.add_argument("--networks", type=int, help="how many of the networks, evenly spread by name (default: all)")
    parser.add_argument("--budget", type=float, default=330.0, help="seconds to measure this machine")
    parser.add_argument("--seconds", type=float, default=2.4, help="seconds to measure each network, in three passes")
    parser.add_argument("--check", action="store_true", help="fail where an error is above the corpus's limit")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        reference = _reference(Path(scratch))
        marks = [_mark_ns(reference)]
        if options.pack is None:
            profile_here(Path(scratch, "pack"), budget_s=options.budget, progress=_progress)
            marks.append(_mark_ns(reference))
        pack = options.pack or Path(scratch, "pack")
        fine = compare(
            options.corpus, options.shared, Path(scratch, "networks"), pack, options.networks, options.seconds
        )
        print(said_of_drift([*marks, _mark_ns(reference)]))
    return int(options.check and not fine)


def compare(
    name: str, shared: Path, scratch: Path, directory: Path, networks: int | None = None, seconds: float = 2.4
) -> bool:
    """Time so many ``networks`` of a corpus (by default all), ``seconds`` for each, and print them beside what the pack in ``directory`` predicts;
    whether the errors are within the corpus's limits. ``scratch``: where networks are unpacked."""
    corpus, pack = CORPORA[name], read_pack(directory)
    scratch.mkdir()
    everything = corpus.files(shared / "corpus", scratch)
    wanted = np.linspace(0, len(everything) - 1, min(networks or len(everything), len(everything)))
    paths = [everything[index] for index in wanted.round().astype(int)]
    measured = measure(paths, budget_s=seconds * len(paths), progress=_progress)
    errors = np.abs(_report(paths, predicted_ms(pack, paths), measured))
    return bool(np.median(errors) <= corpus.median and errors.mean() <= corpus.mean)


def _reference(scratch: Path) -> list[Path]:
    """Some of the networks that a machine is measured with."""
    paths = []
    for name, content in islice(generated(), 0, None, EVERY):
        paths.append(scratch / f"reference-{name}.tflite")
        paths[-1].write_bytes(content)
    return paths


def _mark_ns(reference: Sequence[Path]) -> Array:
    """What they take now, (networks,)."""
    return np.array([each.best_ns for each in measure(reference, budget_s=REFERENCE_S * len(reference))])


def said_of_drift(marks: Sequence[Array]) -> str:
    """By how much the time of the reference networks changed from mark to mark, in the median."""
    named = ("while the machine was measured", "while the networks were timed")[1 - len(marks) :]
    steps = [float(np.median(after / before)) - 1 for before, after in pairwise(marks)]
    said = ", ".join(f"{step:+.1%} {when}" for step, when in zip(steps, named, strict=True))
    return f"{len(marks[0])} reference networks changed by {said}"


def predicted_ms(pack: Pack, paths: Sequence[Path]) -> list[float]:
    """End-to-end predictions for the pack's one target."""
    (target,) = pack.targets()
    found = [times(workload(plan(read(path), target.processor)), target) for path in paths]
    return [float(each.kernels.sum()) + each.overhead_ms for each in found]


def _report(paths: Sequence[Path], predicted: Sequence[float], measured: Sequence[Timing]) -> list[float]:
    """Print the table; the errors in percent."""
    print(f"{'network':56} {'predicted ms':>12} {'measured ms':>12} {'error':>8} {'spread':>7}")
    errors = []
    for path, guess, timing in zip(paths, predicted, measured, strict=True):
        best_ms = timing.best_ns * 1e-6
        errors.append((guess / best_ms - 1) * 100)
        print(f"{path.stem[:56]:56} {guess:12.2f} {best_ms:12.2f} {errors[-1]:+7.1f}% {timing.spread * 100:6.1f}%")
    sizes = np.abs(errors)
    spread = np.median([timing.spread for timing in measured]) * 100
    print(
        f"{len(paths)} networks, none of them timed for the pack: median error {np.median(sizes):.1f} %, mean {sizes.mean():.1f} %, "
        f"within 10 %: {(sizes <= 10).mean():.0%}, worst {sizes.max():.1f} %; median spread of repeats {spread:.1f} %"
    )
    return errors


def _progress(done: int, total: int, name: str) -> None:
    if done % 50 == 0 or done == total:
        print(f"measuring: {done} of {total}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
