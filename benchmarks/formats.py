"""The same network as ``.onnx`` and as ``.tflite``: how far apart are the predictions, and why?

    python benchmarks/formats.py

Prints the median difference over the networks of the corpus on a GPU and on a CPU target, and the ten that differ most with what the two plans
do not share. Needs the model files (``--shared``, by default ../shared) and ``pip install '.[train]'``, which unpacks them.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from latlint.graph import read
from latlint.latency.engine import predict
from latlint.latency.packs import Target, load_targets
from latlint.runtime import plan
from latlint.runtime.types import Plan
from latlint.training.corpus import unpacked

TARGETS = ("pixel-4/gpu", "pixel-4/cpu-1large")


@dataclass(frozen=True, slots=True)
class Pair:
    network: str
    onnx_ms: float
    tflite_ms: float
    why: str

    @property
    def difference(self) -> float:
        return self.onnx_ms / self.tflite_ms - 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    options = parser.parse_args()
    corpus = unpacked(options.shared / "corpus")
    known = load_targets()
    for name in TARGETS:
        pairs = [compared(path, corpus, known[name]) for path in sorted((corpus / "onnx").glob("*.onnx"))]
        pairs.sort(key=lambda pair: -abs(pair.difference))
        middle = abs(pairs[len(pairs) // 2].difference)
        within = sum(abs(pair.difference) <= 0.05 for pair in pairs)
        print(
            f"{name}: median difference {middle:.2%}, {within} of {len(pairs)} networks within 5 %; the ten that differ most:"
        )
        for pair in pairs[:10]:
            print(
                f"  {pair.network:22} {pair.onnx_ms:8.2f} ms, .tflite {pair.tflite_ms:8.2f} ms  {pair.difference:+7.1%}  {pair.why}"
            )
        print()
    return 0


def compared(path: Path, corpus: Path, target: Target) -> Pair:
    plans, latencies = [], []
    for file in (path, corpus / "tflite_fp32" / f"{path.stem}.tflite"):
        graph = read(file)
        plans.append(plan(graph, target.processor))
        latencies.append(predict(graph, plans[-1], target, model=file.name, sha256="").latency_ms)
    return Pair(path.stem, latencies[0], latencies[1], difference(*plans))


def difference(onnx: Plan, tflite: Plan) -> str:
    """What only one of two plans has: nodes off the GPU with the reason, or kernels."""
    left = [k for k in onnx.kernels if not k.free and onnx.partitions[k.partition].executor == "builtin"]
    # a node that lands in the smaller partition does so because another one was refused
    causes = sorted({k.reason for k in left if k.reason and not k.reason.startswith("delegated, but")})
    if len(left) < len(onnx.kernels) and len(onnx.partitions) > 1 and len(tflite.partitions) == 1:
        return f"{len(left)} kernels on the CPU: {'; '.join(causes)}"
    kernels = [Counter((k.implementation, *k.linked) for k in each.kernels if not k.free) for each in (onnx, tflite)]
    parts = [
        f"{word} " + ", ".join(f"{count} {'+'.join(name)}" for name, count in only.most_common(3))
        for word, only in (("only .onnx:", kernels[0] - kernels[1]), ("only .tflite:", kernels[1] - kernels[0]))
        if only
    ]
    return "; ".join(parts) or "the same kernels on other shapes"


if __name__ == "__main__":
    sys.exit(main())
