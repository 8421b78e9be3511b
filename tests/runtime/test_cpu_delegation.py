"""The CPU planner delegates what TensorFlow Lite's own interpreters delegate (``build_xnnpack_probes.py`` recorded it)."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from latlint.graph import Graph, read
from latlint.runtime import plan
from latlint.runtime.types import Plan, Processor

VERSIONS = ("2.10", "2.15")


@pytest.fixture(scope="module")
def probes(archived: Callable[[Path], Path]) -> Path:
    return archived(Path(__file__).with_name("xnnpack_probes.tar.xz"))


@cache
def graph_of(path: Path) -> Graph:
    """Files are small, and read for several runtimes."""
    return read(path)


def planned(path: Path, version: str) -> Plan:
    name = f"tflite-{version}/xnnpack"
    return plan(graph_of(path), Processor("cpu-1large", name, "cpu", "arm"))


def delegated(plan: Plan) -> list[list[int]]:
    """The nodes of each XNNPACK partition, those that only unpack weights left out: the interpreter's record may lack them."""
    parts: dict[int, list[int]] = {}
    for kernel in plan.kernels:
        if plan.partitions[kernel.partition].executor == "xnnpack" and kernel.implementation != "unpack":
            parts.setdefault(kernel.partition, []).extend(kernel.nodes)
    return sorted(sorted(nodes) for nodes in parts.values())


def recorded(directory: Path, version: str) -> dict[str, list[list[int]]]:
    found: dict[str, list[list[int]]] = json.loads((directory / f"delegated-{version}.json").read_text())
    return found


def without_unpackers(parts: list[list[int]], plan: Plan) -> list[list[int]]:
    unpackers = {node for kernel in plan.kernels if kernel.implementation == "unpack" for node in kernel.nodes}
    return sorted([node for node in nodes if node not in unpackers] for nodes in parts)


@pytest.mark.parametrize("version", VERSIONS)
def test_small_models_are_delegated_as_the_interpreter_does(probes: Path, version: str) -> None:
    names = {name: parts for name, parts in recorded(probes, version).items() if not name.startswith("tflite_")}
    assert len(names) > 550
    wrong = []
    for name, parts in names.items():
        made = planned(probes / f"{name}.tflite", version)
        if delegated(made) != without_unpackers(parts, made):
            wrong.append(name)
    assert wrong == []


@pytest.mark.parametrize("version", VERSIONS)
def test_corpus_is_delegated_as_the_interpreter_does(probes: Path, corpus: Path, version: str) -> None:
    names = {name: parts for name, parts in recorded(probes, version).items() if name.startswith("tflite_")}
    assert len(names) == 160
    wrong = {
        (version, name)
        for name, parts in names.items()
        if delegated(planned(corpus / f"{name}.tflite", version)) != sorted(parts)
    }
    assert not wrong


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["tflite-2.10/builtin", "tflite-2.10/xnnpack", "tflite-2.15/xnnpack"])
def test_every_corpus_node_is_in_exactly_one_kernel(corpus: Path, runtime: str) -> None:
    for path in sorted(corpus.glob("tflite_*/*.tflite")):
        graph = graph_of(path)
        made = plan(graph, Processor("cpu-1large", runtime, "cpu", "arm"))
        assert sorted(node for kernel in made.kernels for node in kernel.nodes) == list(range(len(graph.nodes))), path
        assert sum(partition.nodes for partition in made.partitions) == len(graph.nodes), path
        assert all(kernel.op != "unknown" and kernel.outputs for kernel in made.kernels), path
