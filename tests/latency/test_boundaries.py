"""Prices where two are close, and what an interval says on either side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from linted import predicted, subject
from sketch import sketch

from latlint.checks.view import view
from latlint.graph.types import Graph
from latlint.latency import engine
from latlint.latency.models import model_of
from latlint.latency.packs import Pack, read_pack, write_pack
from latlint.latency.terms import Terms
from latlint.latency.types import Prediction
from latlint.runtime import Processor, plan
from latlint.whatif.edits import EditedGraph

GPU = Processor("gpu", "tflite-2.10/gpu-delegate", "gpu", "mali", "bifrost-gen3")
CORES = ["pixel-4/cpu-1large", "galaxy-s10/cpu-1large", "iphone-7/cpu-1large"]


def terms(drawn: str) -> Terms:
    """Those of the last kernel on a GPU."""
    found = model_of("gpu").price(plan(sketch(drawn), GPU).kernels[-1])
    assert found is not None
    return found


def kernel_ms(drawn: str, target: str) -> float:
    return predicted(drawn, target).kernels[-1].latency_ms


@pytest.mark.parametrize("target", CORES)
def test_a_product_that_broadcasts_costs_what_it_was_measured_at(target: str) -> None:
    """The built-in kernel has no vectors for it (mul.cc): some two times the plain one in float32, though it reads half."""
    drawn = "x = input 1x56x56x64\ny = input {0}\nz = mul x y"
    plain, broadcast = (kernel_ms(drawn.format(shape), target) for shape in ("1x56x56x64", "1x1x1x64"))
    assert 1.5 * plain < broadcast < 5 * plain


@pytest.mark.parametrize("target", CORES)
@pytest.mark.parametrize("kernel", [1, 3])
def test_a_row_is_no_block_of_eight(target: str, kernel: int) -> None:
    """ruy multiplies in blocks of eight rows, but for a single row it has a kernel of its own."""
    one, two, eight = (
        kernel_ms(f"x = input 1x1x{width}x512\ny = conv2d x 512 kernel={kernel}", target) for width in (1, 2, 8)
    )
    assert two == pytest.approx(eight, rel=0.02)
    assert one < 0.5 * two


def test_a_gpu_cuts_both_sides_of_a_map_into_tiles() -> None:
    """Of eight by eight: 57 take as long as 64, in height as in width."""
    drawn = "x = input 1x{0}x16\ny = conv2d x 16 kernel=3 stride=2"
    high, wide, both, whole = (
        terms(drawn.format(sides))["conv.tiled"] for sides in ("114x128", "128x114", "114x114", "128x128")
    )
    assert high == wide == both == whole
    assert terms(drawn.format("114x114"))["conv.macs"] < 0.8 * whole


@pytest.mark.parametrize("inputs", [2, 3, 4])
def test_what_is_linked_to_a_concat_reads_its_own_operands_alone(inputs: int) -> None:
    names = [f"v{number}" for number in range(inputs)]
    joined = "x = input 1x8x8x16\n" + "".join(f"{name} = conv2d x 16 kernel=1\n" for name in names)
    joined += f"r = input 1x8x8x{16 * inputs}\ny = concat {' '.join(names)}\n"
    assert "linked.operand" not in terms(joined)
    assert terms(f"{joined}z = tanh y")["linked.operand"] == 0
    assert terms(f"{joined}z = add y r")["linked.operand"] == 8 * 8 * 16 * inputs


@pytest.mark.parametrize(
    ("unmeasured", "source"),
    [
        ("f32.conv.call", "predicted"),  # one of 19,300
        ("f32.conv.output", "predicted"),  # 3 %
        ("f32.conv.pack", "derived"),  # 11 %
    ],
)
def test_nine_tenths_of_a_kernel_must_be_measured(pack: Pack, tmp_path: Path, unmeasured: str, source: str) -> None:
    """All costs of the toy are 1 ns: a product of 64 by 32 by 8, with its shares as counted above."""
    covers = pack.card["covers"]
    measured = [name for name in covers["cpu"]["measured_terms"] if name != unmeasured]
    write_pack(
        replace(pack, card={**pack.card, "covers": {**covers, "cpu": {**covers["cpu"], "measured_terms": measured}}}),
        tmp_path,
    )
    (target,) = (target for target in read_pack(tmp_path).targets() if target.key.startswith("cpu"))
    graph = sketch("x = input 1x8x8x32\ny = conv2d x 8 kernel=1")
    found = engine.predict(graph, plan(graph, target.processor), target, model="m", sha256="")
    assert found.kernels[0].source == source


LOPSIDED = Prediction(
    "m", "", "tflite", "float32", "t", "r", 10.0, 9.5, 20.0, 0.9, 0.0, 1.0, 0, (), ()
)  # fmt: skip


@pytest.mark.parametrize(
    ("limit_ms", "chance"), [(9.5, 0.95), (10.0, 0.5), (20.0, 0.05), (9.99, 0.5147), (10.01, 0.4989), (0.0, 1.0)]
)
def test_a_chance_goes_by_the_side_of_the_interval_that_the_limit_is_on(limit_ms: float, chance: float) -> None:
    assert LOPSIDED.chance_above(limit_ms) == pytest.approx(chance, abs=1e-3)
    certain = replace(LOPSIDED, low_ms=10.0, high_ms=10.0)
    assert certain.chance_above(limit_ms) == float(limit_ms < 10)


@pytest.mark.parametrize("target", ["pixel-4/gpu", "pixel-4/cpu-1large", "iphone-xs/gpu"])
def test_a_gain_is_as_sure_as_the_kernels_that_change(target: str) -> None:
    """Its interval is a few per cent of both latencies (what no shared kernel cancels), and what the changed kernels err by."""
    drawn = "x = input 1x112x112x64\n" + "".join(
        f"{b} = conv2d {a} 64 kernel=3\n" for a, b in zip("xabcd", "abcde", strict=True)
    )
    drawn += "f = relu e\ng = relu f\nh = conv2d g 64 kernel=3"
    whole = predicted(drawn, target)

    def without(graph: Graph) -> Graph:
        draft = EditedGraph(graph)
        draft.bypass(graph.nodes[6])
        return draft.graph()

    gain = view(subject(drawn, target)).gain("without the second ReLU", without)
    assert gain is not None
    shared = 2 * 0.02 * 2**0.5 * whole.latency_ms
    width = gain.high_ms - gain.low_ms
    assert 0.9 * shared < width < 1.5 * shared + 6 * gain.ms
    assert gain.low_ms < gain.ms < gain.high_ms
