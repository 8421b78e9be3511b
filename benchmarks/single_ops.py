"""Single int8 ops on a Pixel 4 by others, beside what latlint says of them: its costs of that CPU come from whole networks alone.

    python benchmarks/single_ops.py [--shared DIR] [--record]

nn-Meter published 1,826 ops of MobileNet-like networks (MIT), profiled with TensorFlow Lite 2.7 in int8 on a Pixel 4. One op is a model of its own here, planned and priced on the
large core; what an inference costs once is left out, as a profile has it. ``--record`` writes the table into docs/accuracy.md. Exit code 1 where the order of an
op's times is less alike than a rank correlation of 0.98.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from latlint.graph.tflite import read_tflite
from latlint.latency.engine import times, workload
from latlint.latency.packs import load_targets
from latlint.runtime import plan
from latlint.training.generate import Network

TARGET = "pixel-4/cpu-1large"
FILE = "data/nn-meter/pixel4_tflite27_int8_mbv3_op_profile.csv"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "accuracy.md"
LEAST_RANK_CORRELATION = 0.98


@cache
def predicted_ms(op: str, side: int, channels: int, outputs: int, kernel: int, stride: int) -> float:
    shape = (1, side, side, channels)
    net = Network(*[shape] * (2 if op == "ADD" else 1), quantized=True)
    x = net.inputs[0]
    if op == "CONV_2D":
        out = net.conv2d(x, outputs, kernel, stride, "relu")
    elif op == "DEPTHWISE_CONV_2D":
        out = net.depthwise_conv2d(x, kernel, stride, "relu")
    else:
        out = net.add(*net.inputs)
    target = load_targets()[TARGET]
    return float(
        times(workload(plan(read_tflite(net.finish(out), "one.tflite"), target.processor)), target).kernels.sum()
    )


def kind(row: Mapping[str, str]) -> str:
    if row["op"] == "ADD":
        return "ADD"
    return f"{row['op']} {row['ks']}x{row['ks']}, stride {row['stride']}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--record", action="store_true", help=f"write the table into {PAGE.name}")
    options = parser.parse_args()
    by_kind: dict[str, list[tuple[float, float]]] = {}
    by_op: dict[str, list[tuple[float, float]]] = {}
    with (options.shared / FILE).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            sizes = (int(row[name] or 1) for name in ("hw", "cin", "cout", "ks", "stride"))
            pair = predicted_ms(row["op"], *sizes), float(row["latency_ms"])
            by_op.setdefault(row["op"], []).append(pair)
            by_kind.setdefault(kind(row), []).append(pair)
    ranks = {op: float(spearmanr(*zip(*pairs, strict=True)).statistic) for op, pairs in by_op.items()}
    lines = [_line(f"**{op}**", pairs, f"{ranks[op]:.3f}") for op, pairs in sorted(by_op.items())]
    lines += [_line(name, pairs, "") for name, pairs in sorted(by_kind.items()) if name not in by_op]
    head = (
        "| op | ops | rank correlation | predicted / measured, median | 10 % below | 90 % below |\n"
        + "| --- " * 6
        + "|\n"
    )
    table = head + "".join(f"{line}\n" for line in lines)
    print(table, end="")
    if options.record:
        page = PAGE.read_text("utf-8")
        PAGE.write_text(
            re.sub(r"(<!-- single ops -->\n).*?(<!-- end -->)", rf"\1{table}\2", page, flags=re.DOTALL), "utf-8"
        )
    return int(min(ranks.values()) < LEAST_RANK_CORRELATION)


def _line(name: str, pairs: list[tuple[float, float]], rank: str) -> str:
    ratios = [predicted / measured for predicted, measured in pairs]
    low, middle, high = np.quantile(ratios, [0.1, 0.5, 0.9])
    return f"| {name} | {len(pairs)} | {rank} | {middle:.2f} | {low:.2f} | {high:.2f} |"


if __name__ == "__main__":
    sys.exit(main())
