"""The networks that Qualcomm's compiler takes whole are planned whole, by each runtime, and have the layers that were published."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from latlint.graph import read
from latlint.graph.types import Graph
from latlint.runtime import Plans
from latlint.runtime.types import Processor
from latlint.training.npu.measurements import networks
from latlint.training.npu.study import unpacked

pytestmark = pytest.mark.slow

RUNTIMES = ("litert", "onnxruntime", "qnn")
#: Of 77 networks with a published count. The others: four whose file is not what was measured ("unlike"), Whisper's two halves, a detector
#: that decodes boxes otherwise, an upscaler that repeats its input otherwise.
NEAR = 70


def taken_whole(shared: Path) -> list[str]:
    """The networks that ONNX Runtime's provider compiled as one partition."""
    with (shared / "corpus" / "ai-hub" / "networks.csv").open(newline="", encoding="utf-8") as file:
        return [row["file"].removesuffix(".onnx") for row in csv.DictReader(file) if row["htp_nodes_ort_qnn"]]


@pytest.fixture(scope="module")
def graphs(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Graph]]:
    """All networks, one after another: no two are in memory at once."""
    scratch = tmp_path_factory.mktemp("networks")
    names = sorted(networks(shared / "corpus"))
    return ((name, read(unpacked(shared / "corpus" / "ai-hub" / f"{name}.onnx.zst", scratch))) for name in names)


@pytest.mark.long
def test_networks_are_planned_whole_and_have_the_layers_that_were_published(
    shared: Path, graphs: Iterator[tuple[str, Graph]]
) -> None:
    whole = taken_whole(shared)
    assert len(whole) > 50
    known = networks(shared / "corpus")
    left: dict[tuple[str, str], object] = {}
    far: dict[str, tuple[int, tuple[int, ...]]] = {}
    near = 0
    for name, graph in graphs:
        plans = Plans(graph)  # as a run has it: two of the runtimes plan alike
        for runtime in reversed(RUNTIMES if name in whole else RUNTIMES[:1]):
            planned = plans.of(Processor("npu", f"qnn-2.50/{runtime}", "npu", "qualcomm", "hexagon", "float16"))
            if name in whole and [part.executor for part in planned.partitions] != ["npu"]:
                left[name, runtime] = planned.fallbacks
        assert planned.converted is not None  # by LiteRT, whose layers were counted
        count, layers = len(planned.converted.graph.nodes), known[name].layers["litert"]
        if any(abs(count - each) <= 0.05 * each for each in layers):
            near += 1
        elif layers:
            far[name] = count, layers
    assert left == {}
    assert near >= NEAR, far
