"""Each kernel says why it is what it is, in the words of the decision that made it so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sketch import sketch

from latlint.cli import main
from latlint.runtime import Processor, plan

ADRENO = Processor("gpu", "tflite-2.10/gpu-delegate", "gpu", "adreno", "adreno-6xx")
MALI = Processor("gpu", "tflite-2.10/gpu-delegate", "gpu", "mali", "bifrost-gen3")
IPHONE = Processor("gpu", "tflite-2.10/gpu-delegate", "gpu", "apple", "a12", precision="float16")
BUILTIN = Processor("cpu", "tflite-2.10/builtin", "cpu", "arm")
XNNPACK = Processor("cpu", "tflite-2.15/xnnpack", "cpu", "arm")

GATED = """
x = input 1x14x14x64
a = conv2d x 64 kernel=1
m = mean a axes=1,2
g = sigmoid m
y = mul a g
"""


def explained(text: str, processor: Processor) -> dict[str, tuple[str, ...]]:
    """The explanation of each kernel by the name of its first node."""
    graph = sketch(text)
    return {graph.nodes[kernel.nodes[0]].name: kernel.explain for kernel in plan(graph, processor).kernels}


@pytest.mark.parametrize(
    ("text", "stop"),
    [
        (GATED, "its result is read 2 times, by mean, mul"),
        ("x = input 1x8x8x64\na = conv2d x 64 kernel=1\ny = conv2d a 8 kernel=1", "convolution_2d is never linked"),
        (
            "x = input 1x8x8x64\nk = input 1x8x8x64\na = conv2d x 64 kernel=1\ny = sub k a",
            "subtract reads it as its second input, and is linked to its first alone",
        ),
        (
            "x = input 1x1x1x64\nk = input 1x8x8x64\na = conv2d x 64 kernel=3\ny = sub a k -> 1x8x8x64",
            "subtract changes the shape",
        ),
    ],
)
def test_what_stopped_the_next_link(text: str, stop: str) -> None:
    assert f"nothing more is linked to it: {stop}" in explained(text, ADRENO)["a"]


def test_nothing_stops_the_last_kernel() -> None:
    assert explained("x = input 1x8x8x64\na = conv2d x 64 kernel=1\ny = hard_swish a", ADRENO) == {"a": ()}


@pytest.mark.parametrize(
    ("line", "processor", "said"),
    [
        (
            "a = conv2d x 56 kernel=3",
            MALI,
            "for Winograd it has 64 of 61 input channels, 56 of 61 output channels, 49 of 32 tiles of 4x4 outputs",
        ),
        (
            "a = conv2d x 64 kernel=3",
            ADRENO,
            "for Winograd it has 64 of 125 input channels, 64 of 125 output channels, 49 of 128 tiles of 4x4 outputs",
        ),
        (
            "a = conv2d x 64 kernel=3 stride=2",
            MALI,
            "Winograd is for 3x3 of stride 1 and dilation 1: 3x3, stride 2, dilation 1 here",
        ),
        ("a = conv2d x 4 kernel=1", ADRENO, "its 1024 bytes of weights fit constant memory (3584)"),
        (
            "a = depthwise_conv2d x kernel=5",
            ADRENO,
            "the 3x3 kernel needs one pixel of padding on each side: 5x5, padding 2, 2, 2, 2 here",
        ),
        ("a = depthwise_conv2d x kernel=3", ADRENO, "the kernel for 3x3 of stride 1 with one pixel of padding"),
    ],
)
def test_which_implementation_and_how_far_it_is_from_the_faster_one(line: str, processor: Processor, said: str) -> None:
    assert said in explained(f"x = input 1x28x28x64\n{line}", processor)["a"]


def test_what_was_merged_into_it() -> None:
    text = """
    x = input 1x28x28x16
    k = const 16
    p = pad x pads=1
    a = conv2d p 16 kernel=3 padding=valid
    b = mul a k
    c = conv2d b 30 kernel=1
    y = concat c b
    """
    found = explained(text, MALI)
    assert {"does the work of pad before it", "mul by a constant after it is part of its weights"} <= set(found["a"])
    assert found["y"] == ("moves channel by channel: 30 channels are not a multiple of 4",)
    pooled = explained("x = input 1x1x1x16\na = conv2d x 8 kernel=1", ADRENO)
    assert pooled["a"] == ("a 1x1 convolution of a 1x1 map runs as fully_connected",)
    pair = explained("x = input 1x8x8x8\na = depthwise_conv2d x kernel=3\ny = conv2d a 8 kernel=1", IPHONE)
    assert pair == {"a": ("few enough channels and weights for one kernel with the 1x1 convolution",)}


def test_why_a_built_in_kernel_is_not_a_faster_one() -> None:
    text = """
    x = input 1x28x28x16
    a = conv2d x 16 kernel=3
    b = conv2d a 16 kernel=1
    c = hard_swish b
    """
    assert explained(text, BUILTIN) == {
        "a": ("not conv_ruy_1x1, which needs a 1x1 kernel",),
        "b": ("the kernel for a 1x1 kernel and stride 1",),
        "c": (
            "the only kernel for this op",
            "one thread, however many there are",
            "a pass of its own: built-in kernels fuse an activation only where the file has it in the op before",
        ),
    }


def test_what_xnnpack_fuses_and_what_not() -> None:
    text = """
    x = input 1x28x28x16
    p = pad x pads=1
    a = conv2d p 16 kernel=3 padding=valid
    b = relu a
    c = hard_swish b
    d = relu c
    e = add c d
    """
    found = explained(text, XNNPACK)
    assert found["a"] == (
        "does the work of pad before it",
        "does the work of relu after it",
        "not gemm, which needs a 1x1 kernel of stride 1 without padding",
    )
    assert "a pass of its own: XNNPACK of TensorFlow Lite 2.15 does not fuse it" in found["c"]
    assert "not fused into hard_swish: others read its result too" in found["d"]


def test_the_command_shows_it_in_both_formats(model: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    path, target = str(model("mobilenet_v2.tflite")), "galaxy-s10/gpu"

    def shown(*flags: str) -> str:
        assert main(["predict", path, "-t", target, "--no-config", *flags]) == 0
        return capsys.readouterr().out

    assert "         · nothing more is linked to it: " in shown("--explain", "--top", "3")
    (prediction,) = json.loads(shown("--explain", "--format", "json"))["predictions"]
    assert all(isinstance(kernel["explain"], list) for kernel in prediction["kernels"])
    assert any("Winograd" in why for kernel in prediction["kernels"] for why in kernel["explain"])
    assert "explain" not in shown("--format", "json")
