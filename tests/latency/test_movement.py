"""What built-in kernels and XNNPACK pay for moving and comparing elements, and for large or narrow kernels of 8 bits."""

from __future__ import annotations

import pytest

from latlint.latency.models import model_of
from latlint.runtime.types import Kernel

MAP = (1, 16, 16, 8)
BUILTIN, XNNPACK = model_of("builtin"), model_of("xnnpack")


def kernel(op: str, *inputs: tuple[int, ...], output: tuple[int, ...] = MAP, macs: int = 0) -> Kernel:
    return Kernel(op=op, implementation=op, nodes=(0,), inputs=inputs, outputs=(output,), macs=macs)


@pytest.mark.parametrize(
    ("op", "inputs", "term"),
    [
        ("greater", (MAP,), "f32.compare"),
        ("less_equal", (MAP, (1, 1, 1, 8)), "f32.compare.broadcast"),
        ("select", (MAP, MAP, MAP), "f32.select"),
        ("select", (MAP, MAP, (1, 1, 1, 1)), "f32.compare.broadcast"),
        ("maximum", (MAP,), "f32.elementwise"),
        ("maximum", (MAP, (1, 1, 1, 8)), "f32.compare.broadcast"),
    ],
)
def test_a_comparison_or_choice_costs_by_what_it_writes(
    op: str, inputs: tuple[tuple[int, ...], ...], term: str
) -> None:
    small, large = BUILTIN.price(kernel(op, *inputs)), BUILTIN.price(kernel(op, *inputs, output=(2, 16, 16, 8)))
    assert small and large
    assert set(small) == {term, "f32.call"}
    assert large == {term: 2 * small[term], "f32.call": small["f32.call"]}


def test_a_sum_over_the_last_axis_takes_an_element_at_a_time() -> None:
    last, map_ = (kernel("sum", MAP)._replace(attributes={"axes": axes}) for axes in ((3,), (1, 2)))
    assert (BUILTIN.price(last) or {})["f32.reduce"] > 4 * (BUILTIN.price(map_) or {})["f32.reduce"]


def test_steps_along_an_axis_wait_for_memory_that_no_cache_holds() -> None:
    small, large = (
        (BUILTIN.price(kernel("cumsum", MAP, output=(1, rows, 8))) or {})["f32.reduce"] for rows in (10**3, 10**6)
    )
    assert large > 1500 * small


def test_memory_is_waited_for_where_little_is_computed_for_it() -> None:
    large = (1, 512, 512, 64)
    plain = kernel("add", large, large, output=large)
    waits = [(XNNPACK.price(plain._replace(macs=macs)) or {})["xnn.memory"] for macs in (0, 2 * 10**9, 10**11)]
    assert waits[0] > 1.5 * waits[1] > 10 * waits[2] > 0
    assert (XNNPACK.price(kernel("add", MAP, MAP)) or {})["xnn.memory"] < 100


@pytest.mark.parametrize(("side", "term"), [(3, "xnn.q8.dwconv"), (5, "xnn.q8.dwconv"), (7, "xnn.q8.dwconv.large")])
def test_8_bit_depthwise_kernels_of_more_than_25_weights_cost_what_a_matrix_product_does(side: int, term: str) -> None:
    def ns_of_a_weight(side: int) -> tuple[str, float]:
        filters = kernel("depthwise_conv2d", MAP)._replace(
            implementation="dwconv", attributes={"kernel": (side, side)}, input_dtype="int8", output_dtype="int8"
        )
        found = XNNPACK.price(filters) or {}
        (name,) = (name for name in found if "dwconv" in name)
        return name, found[name] * XNNPACK.terms[name].prior_ns / side**2

    (name, cost), (_, usual) = ns_of_a_weight(side), ns_of_a_weight(5)
    assert name == term
    assert cost > 3 * usual if side > 5 else cost == pytest.approx(usual)


@pytest.mark.parametrize(("term", "implementation"), [("xnn.q8.macs", "gemm"), ("xnn.q8.dwconv", "dwconv")])
def test_8_bit_kernels_work_on_sixteen_channels(term: str, implementation: str) -> None:
    def work(channels: int) -> float:
        shape = (1, 16, 16, channels)
        macs = 16 * 16 * channels * (8 if implementation == "gemm" else 9)
        filters = kernel("conv2d", MAP, output=shape, macs=macs)._replace(
            implementation=implementation, attributes={"kernel": (3, 3)}, input_dtype="int8", output_dtype="int8"
        )
        return (XNNPACK.price(filters) or {})[term]

    assert work(8) == work(16) == work(24) / 2 == work(32) / 2
