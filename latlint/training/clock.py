"""How long a model runs on this machine's CPU, whichever runtime runs it, and what the machine is.

Other programs slow a run down, and nothing speeds one up: a time is the fastest run of several passes that lie minutes apart. With
one thread the clock is the thread's own, which stands still while another program has the core; on a machine that does nothing
else it shows what a clock on the wall shows.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

#: Passes over all networks: between them lie minutes, in which other programs come and go.
PASSES = 3
#: Runs before the clock starts: the first fault pages in, and packed weights find their way into caches.
WARM_UP = 2
#: The fewest timed runs of a network in one pass.
RUNS = 3

Progress = Callable[[int, int, str], None]


def silent(done: int, total: int, name: str) -> None:
    """The ``Progress`` that nobody watches."""


@dataclass(frozen=True, slots=True)
class Timing:
    """One network: ``passes`` has the fastest inference of each pass in ns; ``nodes``, where the runtime tells it, the time of all nodes of a type
    together in ns."""

    passes: Sequence[float]
    nodes: dict[str, float] = field(default_factory=dict)

    @property
    def best_ns(self) -> float:
        return min(self.passes)

    @property
    def spread(self) -> float:
        """How far the median pass lies above the best, as a share of it."""
        return float(np.median(self.passes)) / self.best_ns - 1.0


def fastest_ns(run: Callable[[], object], end: float, threads: int) -> float:
    """The fastest of the runs up to ``end`` on the performance counter, after some that do not count; ``RUNS`` at least."""
    for _ in range(WARM_UP):
        run()
    clock = time.thread_time_ns if threads == 1 else time.perf_counter_ns
    best, runs = np.inf, 0
    while runs < RUNS or time.perf_counter() < end:
        start = clock()
        run()
        best = min(best, clock() - start)
        runs += 1
    return float(best)


def cpu_vendor() -> str:
    """``arm`` or ``x86``, as planning tells CPUs apart."""
    return "arm" if platform.machine().lower() in {"aarch64", "arm64"} else "x86"


def cpu_name() -> str:
    """The CPU's name as the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8", "replace").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (names or [platform.processor() or platform.machine()])[0] + f", {os.cpu_count()} logical cores"
