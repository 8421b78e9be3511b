"""Plans, predictions and rules take processor time linear in the nodes, whatever shape the graph has (``benchmarks/growth.py`` measures it)."""

from __future__ import annotations

import gc
import sys
import time
from pathlib import Path

import pytest

from latlint import checks
from latlint.checks.types import Subject
from latlint.graph.onnx import read_onnx
from latlint.latency.footprint import footprint
from latlint.run.targets import load_packs, targets_named
from latlint.run.work import predict_graph
from latlint.settings import Settings

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
import growth


@pytest.mark.slow
@pytest.mark.parametrize("shape", growth.shapes(12))
def test_sixteen_times_the_nodes_take_no_more_for_each(shape: str) -> None:
    """Quadratic work would take sixteen times as much for each; four times leaves room for a busy machine. Processor time, and the best of
    some runs: lines that run would not show a search that one line makes."""
    counts = (125, 2000) if shape == "norms" else (250, 4000)  # a norm becomes ten nodes when it is converted
    few, many = (growth.model(shape, count) for count in counts)

    def seconds(model: bytes, runs: int) -> float:
        best = float("inf")
        for _ in range(runs):
            graph = read_onnx(model, "m.onnx")  # anew: what rules find in a graph is kept with it
            gc.collect()
            start = time.process_time()
            for prediction, plan, target in predict_graph(graph, packs, "m.onnx", ""):
                checks.run(Subject(graph, plan, target, prediction, Settings()))
            footprint(graph, 0)
            best = min(best, time.process_time() - start)
        return best

    for name in growth.TARGETS:
        packs = load_packs(targets_named([name], ()))
        small = seconds(few, 3)
        assert seconds(many, 1) / 16 < 4 * small, name
