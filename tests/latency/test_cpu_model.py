"""Counts of work that the shapes of a kernel determine, against what a plain loop over every tap counts."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from latlint.graph import read
from latlint.latency.models import builtin, model_of
from latlint.runtime import plan
from latlint.runtime.types import Kernel, Processor


def grouped(size: int, taps: int, stride: int, dilation: int, padding: tuple[int, int]) -> Kernel:
    before, after = padding
    out = (size + before + after - (taps - 1) * dilation - 1) // stride + 1
    return Kernel(
        op="conv2d",
        implementation="conv_grouped_reference",
        nodes=(0,),
        inputs=((1, size, size, 16),),
        outputs=((1, out, out, 8),),
        input_dtype="float32",
        output_dtype="float32",
        attributes={
            "kernel": (taps, taps),
            "stride": (stride, stride),
            "dilation": (dilation, dilation),
            "padding": (before, after, before, after),
            "groups": 2,
        },
        macs=out * out * 8 * taps * taps * 8,
        weight_bytes=4 * 8 * taps * taps * 8,
    )


@pytest.mark.parametrize("taps", [1, 2, 3, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("padding", [(0, 0), (1, 1), (0, 1), (3, 3)])
def test_taps_in_the_padding_of_a_grouped_convolution_are_not_counted(
    taps: int, stride: int, dilation: int, padding: tuple[int, int]
) -> None:
    size = 14
    kernel = grouped(size, taps, stride, dilation, padding)
    out = kernel.outputs[0][1]
    reached = sum(0 <= at * stride + tap * dilation - padding[0] < size for at, tap in product(range(out), range(taps)))
    found = builtin.price(kernel)
    assert found is not None
    assert found["f32.grouped.macs"] == pytest.approx(reached**2 * 8 * 8)
    assert found["f32.grouped.taps"] == pytest.approx(reached**2 * 8)


def test_a_filter_of_absurd_size_is_not_walked_tap_by_tap() -> None:
    kernel = grouped(4, 3, 1, 1, (1, 1))
    kernel.attributes["kernel"] = (2**31, 2**31)  # type: ignore[index]
    found = builtin.price(kernel)
    assert found is not None
    assert found["f32.grouped.macs"] == kernel.macs


def test_more_rows_of_an_int8_fully_connected_layer_cost_what_one_does_and_more() -> None:
    def priced(rows: int) -> dict[str, float]:
        kernel = Kernel(
            op="fully_connected",
            implementation="fully_connected",
            nodes=(0,),
            inputs=((rows, 64),),
            outputs=((rows, 32),),
            input_dtype="int8",
            output_dtype="int8",
            attributes={},
            macs=rows * 64 * 32,
            weight_bytes=64 * 32,
        )
        return builtin.price(kernel) or {}

    one, two = priced(1), priced(2)
    assert one["i8.fully_connected.weights"] == 64 * 32
    assert all(two[name] >= count for name, count in one.items())
    assert two["i8.conv.macs"] > 0


#: Kernels of which the rules file says that all threads share the work, and whose terms no thread divides: the packs were trained so.
ONE_THREAD_IN_TERMS = {("mean_spatial", "int8")}
MODELS = (
    "mobilenet_v2.tflite",
    "mobilenet_v2_int8.tflite",
    "mobilenet_v3_small.tflite",
    "shufflenet_v2_05.tflite",
    "vit_tiny.onnx",
)


def divided(kernel: Kernel, executor: str) -> bool:
    """Whether threads divide some of what a kernel's shapes cost."""
    model = model_of(executor)
    found = model.price(kernel) or {}
    return any(model.terms[name].parallel > 0 for name, count in found.items() if count and "call" not in name)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("runtime", ["tflite-2.10/builtin", "tflite-2.10/xnnpack"])
def test_threads_divide_the_terms_of_the_kernels_that_rules_say_are_threaded(
    name: str, runtime: str, model: Callable[[str], Path]
) -> None:
    """Two places know of threads: the rules file, which explanations and LAT243 go by, and the terms, which milliseconds go by."""
    planned = plan(read(model(name)), Processor("cpu", runtime, "cpu", "arm"))
    for kernel in planned.kernels:
        if not kernel.free and (kernel.implementation, kernel.input_dtype) not in ONE_THREAD_IN_TERMS:
            executor = planned.partitions[kernel.partition].executor
            assert divided(kernel, executor) == (kernel.threads == "all"), (kernel.implementation, kernel.threads)


def test_what_is_threaded_by_the_rules_alone_is_listed() -> None:
    shapes = {"inputs": ((1, 7, 7, 64),), "outputs": ((1, 1, 1, 64),)}
    for implementation, dtype in ONE_THREAD_IN_TERMS:
        kernel = Kernel("mean", implementation, (0,), **shapes, input_dtype=dtype, output_dtype=dtype)
        assert kernel.threads == "all" and not divided(kernel, "builtin")


def test_weights_of_8_bits_under_floats_are_multiplied_as_8_bit_numbers_on_xnnpack() -> None:
    """Dynamic range: the rows of the input are quantised first. Weights of 16 and 32 bits are multiplied as floats."""
    products, bias = 64 * 1024 * 1024, 4096
    float_layer = Kernel("fully_connected", "gemm", (0,), ((1, 64, 1024),), ((1, 64, 1024),), macs=products)
    price = model_of("xnnpack").price
    for bits, term in ((4, "q8.macs"), (8, "q8.macs"), (16, "conv.macs"), (32, "conv.macs")):
        found = price(float_layer._replace(weight_bytes=1024 * 1024 * bits // 8 + bias))
        assert found is not None
        assert {name: count for name, count in found.items() if name.endswith("macs") and "wide" not in name} == {
            f"xnn.{term}": pytest.approx(products, rel=0.05)
        }


def plain(op: str, *inputs: tuple[int, ...], output: tuple[int, ...] | None = None, **facts: object) -> Kernel:
    outputs = () if output is None else (output,)
    return Kernel(
        op=op,
        implementation=op,
        nodes=(0,),
        inputs=inputs,
        outputs=outputs,
        input_dtype="float32",
        output_dtype="float32",
        attributes=facts,
    )


def test_a_variable_costs_a_copy_where_it_is_assigned_and_one_where_it_is_read() -> None:
    handle, assigned, read = (
        builtin.price(kernel)
        for kernel in (
            plain("variable", output=()),
            plain("assign_variable", (), (1, 8, 8, 4)),
            plain("read_variable", (), output=(1, 8, 8, 4)),
        )
    )
    assert handle == {"f32.call": 1.0}
    assert assigned == read == {"f32.call": 1.0, "f32.concat": 256.0}


def test_random_numbers_cost_what_their_distribution_takes() -> None:
    def work(*inputs: tuple[int, ...], **facts: object) -> float:
        return (builtin.price(plain("random", *inputs, output=(1, 100), **facts)) or {})["f32.elementwise"]

    classes = [work((1, count), distribution="classes") for count in (1000, 2000)]
    assert work() < work(distribution="normal") < classes[0] < classes[1]
    assert work((2,)) == work()  # a size that is no constant is no class
