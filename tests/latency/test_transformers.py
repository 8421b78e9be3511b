"""What transformers are made of on TensorFlow Lite's built-in kernels."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

from latlint.latency import engine
from latlint.latency.models import builtin
from latlint.runtime.types import Kernel, Partition, Plan
from tests.targets import phones

TOKENS = (1, 197, 192)


def kernel(
    op: str, inputs: tuple[tuple[int, ...], ...], output: tuple[int, ...], dtype: str, **facts: object
) -> Kernel:
    return Kernel(op, op, (0,), inputs, (output,), input_dtype=dtype, output_dtype=dtype, **facts)  # type: ignore[arg-type]


def terms(each: Kernel) -> dict[str, float]:
    found = builtin.price(each)
    assert found is not None
    return {name: count for name, count in found.items() if not name.endswith(".call") or "conv" in name}


@pytest.mark.parametrize("op", ["gelu", "tanh", "exp", "log", "elu"])
def test_int8_values_are_looked_up_in_a_table(op: str) -> None:
    assert terms(kernel(op, (TOKENS,), TOKENS, "int8")) == {"i8.lookup": prod(TOKENS)}
    assert "f32.lookup" not in terms(kernel(op, (TOKENS,), TOKENS, "float32"))


def test_all_threads_share_a_float_softmax_and_one_has_an_int8_one() -> None:
    assert terms(kernel("softmax", (TOKENS,), TOKENS, "float32")) == {"f32.softmax.shared": prod(TOKENS)}
    assert terms(kernel("softmax", (TOKENS,), TOKENS, "int8")) == {"i8.softmax": prod(TOKENS)}


def test_a_mean_over_the_last_axis_is_none_of_a_map() -> None:
    over = {"axes": (2,), "keep_dims": True}
    assert terms(kernel("mean", (TOKENS,), (1, 197, 1), "float32", attributes=over)) == {"f32.mean.last": prod(TOKENS)}


def test_a_side_that_is_repeated_costs_more_even_if_it_is_a_constant() -> None:
    whole = kernel("sub", (TOKENS, TOKENS), TOKENS, "int8")
    assert terms(whole) == {"i8.add": prod(TOKENS)}
    assert terms(whole._replace(inputs=(TOKENS, TOKENS[1:]))) == {"i8.add": prod(TOKENS)}
    assert terms(whole._replace(inputs=(TOKENS,), weight_bytes=192)) == {"i8.slow.broadcast": prod(TOKENS)}


def test_a_matrix_product_of_a_batch_is_one_for_each() -> None:
    one = kernel("batch_matmul", ((1, 197, 64), (1, 64, 197)), (1, 197, 197), "float32", macs=197 * 197 * 64)
    three = kernel("batch_matmul", ((3, 197, 64), (3, 64, 197)), (3, 197, 197), "float32", macs=3 * 197 * 197 * 64)
    assert terms(three) == pytest.approx({name: 3 * count for name, count in terms(one).items()})


@pytest.mark.parametrize(("dtype", "fall"), [("float32", 0.0), ("int8", 0.08)])
def test_more_rows_of_a_layer_take_no_less(dtype: str, fall: float) -> None:
    """In int8 a block more of the first eight hides an eighth of the reading of the weights: where threads divide the products but not the
    reading, that is up to 7 % more than the block costs."""
    rows = [
        kernel("fully_connected", ((n, 384),), (n, 1536), dtype, macs=n * 384 * 1536, weight_bytes=384 * 1536)
        for n in range(1, 200)
    ]
    precision = "int8" if dtype == "int8" else "float32"
    work = engine.workload(Plan("r", "p", precision, tuple(rows), (Partition("builtin", len(rows)),)))
    for target in phones().values():
        if target.host:
            found = engine.times(work, target).kernels
            assert np.all(found[1:] >= (1 - fall) * found[:-1]), target.name


def test_a_batch_of_two_is_a_map_twice_as_tall_on_cpus() -> None:
    """As well known, and of the same cost."""

    def convolution(batch: int, height: int) -> Kernel:
        shape = (batch, height, 28, 64)
        return Kernel(
            "conv2d", "conv_ruy_1x1", (0,), (shape,), (shape,), attributes={"kernel": (1, 1)}, macs=prod(shape) * 64
        )

    kernels = (convolution(1, 28), convolution(1, 56), convolution(2, 28))
    work = engine.workload(Plan("r", "p", "float32", kernels, (Partition("builtin", 3),)))
    for target in phones().values():
        if target.host:
            found = engine.times(work, target)
            assert found.predicted.all(), target.name
            assert found.kernels[2] == pytest.approx(found.kernels[1]), target.name
            assert found.kernels[2] > found.kernels[0]
