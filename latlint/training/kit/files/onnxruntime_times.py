"""Time the .onnx models of this kit with ONNX Runtime on the machine that runs this script.

    pip install onnxruntime
    python onnxruntime_times.py --threads 4

Needs nothing of latlint. Writes results/PROCESSOR/pass-N.csv, with the median of each model's runs in ms.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import re
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime

KIT = Path(__file__).resolve().parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processor", help="what the times are of; by default cpu-THREADS-onnxruntime")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cores", help="cores to run on, such as 4-7 or 4,5; by default the system chooses")
    parser.add_argument("--provider", default="CPUExecutionProvider", help="such as XnnpackExecutionProvider")
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each model is timed in a pass")
    parser.add_argument("--pause", type=float, default=2.0, help="seconds of rest before each model")
    options = parser.parse_args()
    processor = options.processor or f"cpu-{options.threads}-onnxruntime"
    if not re.fullmatch(r"[A-Za-z0-9._-]+", processor) or options.threads < 1 or options.passes < 1:
        parser.error("expected a processor of letters, digits, dots and dashes, and threads and passes above 0")
    models = sorted((KIT / "models").glob("*.onnx"))
    if not models:
        sys.exit("no .onnx models here: latlint pack kit writes them with --runtime onnxruntime")
    if options.cores:
        os.sched_setaffinity(0, cores(options.cores))
    out = KIT / "results" / processor
    out.mkdir(parents=True, exist_ok=True)
    about = {
        "processor": processor,
        "threads": options.threads,
        "tool": "onnxruntime",
        "version": onnxruntime.__version__,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    (out / "run.txt").write_text("".join(f"{key}={value}\n" for key, value in about.items()), "utf-8")
    for number in range(1, options.passes + 1):
        rows = [(path.name, timed_ms(path, options)) for path in models]
        with (out / f"pass-{number}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("model", "latency_ms"), *rows])
        print(f"pass {number} of {options.passes}: {len(rows)} models")
    return 0


def cores(text: str) -> set[int]:
    """``4-7,9`` as numbers."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def timed_ms(path: Path, options: argparse.Namespace) -> float:
    """The median of the inferences that fit into the time, the first ones left out."""
    time.sleep(options.pause)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    providers = [*{options.provider: None, "CPUExecutionProvider": None}]  # in this order, each once
    session = onnxruntime.InferenceSession(str(path), settings, providers=providers)
    rng = np.random.default_rng(0)
    feeds = {each.name: rng.standard_normal(each.shape).astype(np.float32) for each in session.get_inputs()}
    for _ in range(3):
        session.run(None, feeds)
    runs: list[float] = []
    end = time.perf_counter() + options.seconds
    while len(runs) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        session.run(None, feeds)
        runs.append((time.perf_counter() - start) * 1e3)
    return median(runs)


if __name__ == "__main__":
    sys.exit(main())
