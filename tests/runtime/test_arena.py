"""The memory of activations, held against what tflite-micro (0.dev20261023182759) recorded: the head of the arena of its interpreter
(``InterpreterConfig.kAllocationRecording``, ``print_allocations``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sketch import sketch

from latlint.graph import opened
from latlint.graph.types import Graph
from latlint.latency.footprint import footprint
from latlint.runtime.arena import LITERT_ALIGNMENT, arena

#: Bytes. The first are models of tests/models, the second int8 networks of the corpus.
RECORDED = {
    "mobilenet_v2": 9_807_360,
    "mobilenet_v2_int8": 2_451_840,
    "mobilenet_v3_small": 1_872_000,
    "shufflenet_v2_05": 2_451_840,
}
RECORDED_IN_CORPUS = {
    "fdmobilenet_wd2": 408_640,
    "fdmobilenet_wd4": 250_880,
    "hardnet68ds": 1_634_560,
    "mnasnet_a1": 2_451_840,
    "mobilenet_wd4": 408_640,
    "mobilenetb_wd4": 408_640,
    "mobilenetv2_w1": 2_451_840,
    "mobilenetv2_wd4": 612_960,
    "mobilenetv2b_wd4": 612_960,
    "mobilenetv3_large_wd2": 817_280,
    "mobilenetv3_small_w7d20": 304_672,
    "peleenet": 852_992,
    "preresnet10": 1_003_520,
    "preresnet18_wd4": 359_408,
    "proxylessnas_mobile": 1_248_000,
    "regnetx002": 777_728,
    "resnet10": 1_003_520,
    "resnet18_wd4": 351_232,
    "spnasnet": 1_225_920,
    "squeezenet_v1_0": 1_549_312,
    "squeezeresnet_v1_0": 1_549_312,
    "squeezeresnet_v1_1": 1_161_600,
}


def read(file: Path) -> Graph:
    with opened(str(file), file.name) as model:
        return model.graph(())


@pytest.mark.parametrize("name", RECORDED)
def test_it_is_what_the_interpreter_recorded(model: Callable[[str], Path], name: str) -> None:
    assert arena(read(model(f"{name}.tflite"))).size == RECORDED[name]


@pytest.mark.slow
def test_it_is_what_the_interpreter_recorded_of_the_corpus(corpus: Path) -> None:
    found = {name: arena(read(corpus / "tflite_int8" / f"{name}.tflite")).size for name in RECORDED_IN_CORPUS}
    assert found == RECORDED_IN_CORPUS


CHAIN = """
x = input 1x8x8x4
a = conv2d x 8 kernel=1
b = conv2d a 2 kernel=1
c = conv2d b 4 kernel=1
"""


def test_what_is_not_alive_at_the_same_time_shares_memory() -> None:
    """1,024 + 2,048 bytes while the first convolution runs; the later ones fit into what is free then."""
    found = arena(sketch(CHAIN))
    assert found.size == 3072
    assert found.busiest == 0
    assert [block.size for block in found.alive(0)] == [2048, 1024]


def test_blocks_that_are_alive_together_do_not_overlap(model: Callable[[str], Path]) -> None:
    blocks = arena(read(model("mobilenet_v2_int8.tflite"))).blocks
    assert len(blocks) > 50
    for one in blocks:
        for other in blocks:
            if one is not other and one.first <= other.last and other.first <= one.last:
                assert one.offset + one.size <= other.offset or other.offset + other.size <= one.offset


def test_sizes_are_rounded_up() -> None:
    odd = "x = input 1x1x1x3\na = conv2d x 5 kernel=1\n"
    assert arena(sketch(odd)).size == 16 + 32
    assert arena(sketch(odd), LITERT_ALIGNMENT).size == 64 + 64


def test_what_is_freed_or_halved_needs_less() -> None:
    graph = sketch("x = input 1x8x8x64\na = conv2d x 64 kernel=1\nb = conv2d a 64 kernel=1\nc = add x b\n")
    (x,) = graph.inputs
    now = arena(graph).size
    assert now == 3 * 16384
    assert arena(graph, freed={x: 0}).size == 2 * 16384
    assert arena(graph, halved=[graph.nodes[1].outputs[0]]).size == 2 * 16384 + 8192


def test_a_size_that_is_not_known_is_no_number() -> None:
    graph = sketch(CHAIN)
    tensors = tuple(
        each if each.constant else type(each)(each.name, (1, -1, 8, 4), each.dtype) for each in graph.tensors
    )
    unknown = Graph(graph.name, graph.format, graph.dialect, graph.nodes, tensors, graph.inputs, graph.outputs)
    assert arena(unknown).unknown == "the size of 'x' is not known"
    assert footprint(unknown, 10).peak_bytes is None


@pytest.mark.parametrize("count", [500, 4000])
def test_a_crowd_is_laid_out_or_named_unknown(count: int) -> None:
    """``count`` tensors that all wait for one sum: each is beside each other."""
    drawn = ["x = input 1x4x4x4", *(f"y{i} = relu x" for i in range(count)), "z = relu y0"]
    graph = sketch("\n".join(drawn) + "\n")
    whole = replace(graph, outputs=tuple(node.outputs[0] for node in graph.nodes))
    found = arena(whole)
    if count == 500:
        assert (found.size, found.unknown) == ((count + 1) * 256, "")
    else:
        assert "too many tensors" in found.unknown
        assert footprint(whole, 10).peak_bytes is None


def test_most_is_alive_at_the_first_of_the_nodes_that_are_alike() -> None:
    graph = sketch("x = input 1x4x4x4\na = relu x\nb = relu a\nc = relu b\n")
    found = arena(graph)
    assert found.busiest == 0
    assert found.size == sum(block.size for block in found.alive(0)) == 2 * 256


def test_parameters_are_counted_once(model: Callable[[str], Path]) -> None:
    """MobileNetV2 has 3,504,872 (torchvision). A converter folds the scale and the shift of each of 17,056 channels into one bias."""
    found = footprint(read(model("mobilenet_v2.tflite")), 14_000_000)
    assert found.parameters == pytest.approx(3_504_872 - 17_056, rel=1e-3)
    assert found.size_bytes == 14_000_000
    assert found.peak_bytes == sum(found.peak.values())
