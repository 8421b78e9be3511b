"""Plans and predictions take processor time linear in the nodes, whatever shape the graph has (``benchmarks/growth.py`` measures it)."""

from __future__ import annotations

import gc
import sys
import time
from pathlib import Path

import pytest

from latlint.graph.onnx import read_onnx
from latlint.run.targets import load_packs, targets_named
from latlint.run.work import predict_graph

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
import growth


@pytest.mark.parametrize("shape", growth.shapes(12))
@pytest.mark.parametrize("target", ["pixel-4/gpu", "pixel-4/cpu-1large"])
def test_eight_times_the_nodes_take_no_more_for_each(shape: str, target: str) -> None:
    """Quadratic work would take eight times as much for each; four times leaves room for a busy machine. Processor time, and the best of
    some runs: lines that run would not show a search that one line makes."""
    packs = load_packs(targets_named([target], ()))

    def seconds(count: int, runs: int) -> float:
        graph = read_onnx(growth.model(shape, count), "m.onnx")
        best = float("inf")
        for _ in range(runs):
            gc.collect()
            start = time.process_time()
            list(predict_graph(graph, packs, "m.onnx", ""))
            best = min(best, time.process_time() - start)
        return best

    small = seconds(500, 3)
    assert seconds(4000, 1) / 8 < 4 * small
