"""Where a cost model takes another term: kernels that differ in one thing, on both sides of it."""

from __future__ import annotations

import pytest

from latlint.latency.models import model_of
from latlint.runtime.types import Kernel


def terms(executor: str, op: str, *inputs: tuple[int, ...], output: tuple[int, ...], **fields: object) -> set[str]:
    """The terms of one kernel, without what says whose they are and in which precision."""
    kernel = Kernel(op, str(fields.pop("by", op)), (0,), inputs, (output,), **fields)  # type: ignore[arg-type]
    return {name.split(".", 2 if executor == "npu" else 1)[-1] for name in model_of(executor).price(kernel) or {}}


@pytest.mark.parametrize(("length", "uneven"), [(500, False), (513, True), (640, False)])
def test_long_attention_beside_a_multiple_of_128_costs_an_npu_more(length: int, uneven: bool) -> None:
    heads = (1, 64, length, 64), (1, 64, 64, length)
    found = terms("npu", "batch_matmul", *heads, output=(1, 64, length, length))
    assert ("matmul.uneven" in found) == uneven


@pytest.mark.parametrize(
    ("parts", "made", "uneven"),
    [
        (((1, 8, 8, 30), (1, 8, 8, 34)), (1, 8, 8, 64), True),
        (((1, 8, 8, 32), (1, 8, 8, 32)), (1, 8, 8, 64), False),
        (((1, 8, 8, 30), (1, 8, 8, 30)), (1, 16, 8, 30), False),  # of pixels
    ],
)
def test_joining_channels_that_fill_no_tile_costs_an_npu_more(
    parts: tuple[tuple[int, ...], ...], made: tuple[int, ...], uneven: bool
) -> None:
    assert ("concat.uneven" in terms("npu", "concat", *parts, output=made)) == uneven


@pytest.mark.parametrize(("rows", "term"), [(19, "slice"), (21, "move")])
def test_rows_of_a_table_are_read_alone_where_it_is_twenty_times_as_large(rows: int, term: str) -> None:
    """Bytes of the table over elements that are read of it."""
    found = terms("npu", "gather", (1, 16), output=(1, 16, 8), weight_bytes=rows * 16 * 8)
    assert found & {"slice", "move", "gather"} == {term}


@pytest.mark.parametrize(
    ("by", "columns", "term"), [("gemm", 48, "narrow.macs"), ("gemm", 64, "wide.macs"), ("igemm", 48, "wide.macs")]
)
def test_products_of_pixels_take_narrow_tiles_where_those_leave_less_padding(by: str, columns: int, term: str) -> None:
    found = terms("xnnpack", "conv2d", (1, 8, 8, 16), output=(1, 8, 8, columns), by=by, macs=64 * 16 * columns)
    assert found & {"narrow.macs", "wide.macs"} == {term}


@pytest.mark.parametrize(("channels", "weight_bytes", "hybrid"), [(1, 4 * 64, False), (16, 16 * 64 + 4 * 64, True)])
def test_a_byte_for_each_weight_tells_products_of_dynamic_range(channels: int, weight_bytes: int, hybrid: bool) -> None:
    """Floats for one channel take no more room than bytes and their biases would."""
    found = terms(
        "xnnpack",
        "conv2d",
        (1, 8, 8, channels),
        output=(1, 8, 8, 64),
        by="gemm",
        macs=64 * channels * 64,
        weight_bytes=weight_bytes,
    )
    assert ("q8.macs" in found) == hybrid


def test_ml_drift_stores_channels_in_slices_of_four() -> None:
    def bytes_of(channels: int) -> float:
        shape = (1, 16, 16, channels)
        return (model_of("mldrift").price(Kernel("relu", "relu", (0,), (shape,), (shape,))) or {})[
            "mldrift.elementwise"
        ]

    assert bytes_of(61) == bytes_of(64) < bytes_of(65)
