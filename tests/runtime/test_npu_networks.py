"""The networks that Qualcomm's compiler takes whole are planned whole, by each runtime, and have the layers that were published."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from latlint.graph import read
from latlint.runtime import plan
from latlint.runtime.types import Processor
from latlint.training.npu.measurements import networks
from latlint.training.npu.study import unpacked

pytestmark = pytest.mark.slow

RUNTIMES = ("litert", "onnxruntime", "qnn")
#: What conversion here writes otherwise than today's converters do: attention, clamps, pixel shuffles.
NEAR = 40


def taken_whole(shared: Path) -> list[str]:
    """The networks that ONNX Runtime's provider compiled as one partition."""
    with (shared / "corpus" / "ai-hub" / "networks.csv").open(newline="", encoding="utf-8") as file:
        return [row["file"].removesuffix(".onnx") for row in csv.DictReader(file) if row["htp_nodes_ort_qnn"]]


def test_networks_that_the_compiler_takes_whole_are_planned_whole(shared: Path, tmp_path: Path) -> None:
    names = taken_whole(shared)
    assert len(names) > 50
    left = {}
    near = 0
    known = networks(shared / "corpus")
    for name in names:
        graph = read(unpacked(shared / "corpus" / "ai-hub" / f"{name}.onnx.zst", tmp_path))
        for runtime in RUNTIMES:
            planned = plan(graph, Processor("npu", f"qnn-2.50/{runtime}", "npu", "qualcomm", "hexagon", "float16"))
            if [part.executor for part in planned.partitions] != ["npu"]:
                left[name, runtime] = planned.fallbacks
        layers = known[name].layers["litert"]
        assert planned.converted is not None
        count = len(planned.converted.graph.nodes)
        near += any(abs(count - each) <= 0.05 * each for each in layers)
    assert left == {}
    assert near >= NEAR
