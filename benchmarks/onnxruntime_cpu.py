"""How well ONNX Runtime is predicted on a server's CPU: whole networks, and what all nodes of one type take together, families held out.

    python benchmarks/onnxruntime_cpu.py [--shared DIR] [--scratch DIR]

The times are those of ``latlint/training/measured/``, and the networks those that ``latlint.training.servers`` timed (made anew where ``--scratch``
has none). *Noise* is what the median of a network's rounds is above the fastest, in the median of networks. *Kernels* weighs the error of each type of node by
the time that it takes in its network; single nodes are not in the file of times. Exit code 1 where more than 10 % whole or 15 % by kernels is off.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from latlint.graph import read
from latlint.latency.engine import workload
from latlint.runtime import plan
from latlint.training import profile_onnxruntime as profiles
from latlint.training.servers import FILE, PROCESSOR, THREADS, networks, timings

MOST_WHOLE, MOST_KERNELS = 0.10, 0.15


def rows(shared: Path, scratch: Path) -> list[list[str]]:
    """A row of the table for each number of threads, precision and kind of network."""
    known = json.loads(FILE.read_text("utf-8"))["networks"]
    found = [each for each in networks(shared, scratch) if each.name in known]
    works = [workload(plan(read(each.path), PROCESSOR)) for each in found]
    use = [number for number, work in enumerate(works) if not work.unknown]
    found, works = [found[n] for n in use], [works[n] for n in use]
    counts = np.stack([profiles.COLUMNS.counts(work) for work in works])
    made = []
    for threads in THREADS:
        times = timings(FILE, threads)
        timed = [times[each.name] for each in found]
        explained = profiles.rows_of(works, timed)
        whole, parts = held_out(found, explained, counts, threads)
        errors = np.abs(whole / np.array([each.best_ns for each in timed]) - 1)
        noise = np.array([np.median(each.passes) / min(each.passes) - 1 for each in timed])
        for precision in ("float32", "int8"):
            for kind, wanted in (("CNNs", False), ("transformers", True)):
                mine = [
                    n
                    for n, (each, work) in enumerate(zip(found, works, strict=True))
                    if each.judged and work.plan.precision == precision and transforms(work) == wanted
                ]
                by_time = [kernel_error(explained, parts, n) for n in mine]
                made.append([
                    str(threads), precision, kind, str(len(mine)), *map(percent, (
                        np.median(errors[mine]), np.mean(errors[mine]), np.mean(errors[mine] <= 0.1), np.mean(by_time), np.median(noise[mine])
                    )),
                ])  # fmt: skip
    return made


def held_out(
    found: Sequence[profiles.Measured], explained: profiles.Rows, counts: Any, threads: int, parts: int = 8
) -> tuple[Any, Any]:
    """Predictions in ns of whole networks and of ``explained``'s rows, for each family from the others; many families are held out in ``parts``."""
    families = sorted({each.family for each in found})
    whole, rows_ns = np.zeros(len(counts)), np.zeros(len(explained.ns))
    for part in range(parts):
        out = np.isin([each.family for each in found], families[part::parts])
        costs = profiles.costs_of(explained.of(~out), threads)
        whole[out] = counts[out] @ costs
        there = out[explained.network]
        rows_ns[there] = explained.counts[there] @ costs
    return whole, rows_ns


def kernel_error(explained: profiles.Rows, predicted: Any, network: int) -> float:
    """Of the types of nodes of a network, which come after its rows for the whole: what is off, over what they take."""
    mine = np.flatnonzero(explained.network == network)[profiles.WHOLE :]
    return float(np.abs(predicted[mine] - explained.ns[mine]).sum() / max(explained.ns[mine].sum(), 1.0))


def transforms(work: Any) -> bool:
    """Whether a network multiplies two computed matrices, as attention does."""
    return any(kernel.op == "batch_matmul" and kernel.own_inputs > 1 for kernel in work.plan.kernels)


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--scratch", type=Path, help="where networks that are made stay for the next call")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="latlint-networks-") as room:
        scratch = options.scratch or Path(room)
        scratch.mkdir(parents=True, exist_ok=True)
        found = rows(options.shared, scratch)
    print("| threads | precision | networks | number | median error | mean | within 10 % | kernels, by time | noise |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for row in found:
        print(f"| {' | '.join(row)} |")
    return int(any(float(row[4][:-2]) > 100 * MOST_WHOLE or float(row[7][:-2]) > 100 * MOST_KERNELS for row in found))


if __name__ == "__main__":
    sys.exit(main())
