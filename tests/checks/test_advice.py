"""Advice that the owner of a model can follow, on the runtime that it is for."""

from __future__ import annotations

import pytest
from sketch import sketch, target_of
from test_pages import subject

from latlint import checks
from latlint.checks.types import Finding


def found(text: str, code: str) -> list[Finding]:
    return [each for each in checks.run(subject(sketch(text), target_of(text))) if each.code == code]


@pytest.mark.parametrize("behind", ["", "d = softmax c\n", "d = reshape c 1x3136x10\ne = softmax d\n"])
def test_a_number_of_classes_cannot_be_rounded_up(behind: str) -> None:
    net = "# galaxy-s10/gpu\nx = input 1x56x56x32\na = conv2d x 32 kernel=1\nc = conv2d a 10 kernel=1\n"
    assert found(net + behind, "LAT222") == []


def test_channels_inside_are_counted_without_the_classes() -> None:
    text = """# galaxy-s10/gpu
x = input 1x56x56x30
a = conv2d x 30 kernel=1 activation=relu
b = concat x a
c = conv2d b 32 kernel=1
d = concat b c
e = conv2d d 10 kernel=1
"""
    for finding in found(text, "LAT222"):
        assert finding.message.startswith("1 convolution with 30 channels fills")


def test_split_and_concat_are_for_the_built_in_kernels_alone() -> None:
    text = (
        "# pixel-4/cpu-1large\nx = input 1x28x28x128\na = conv2d x 128 kernel=3 groups=4\nb = conv2d a 128 kernel=1\n"
    )
    (finding,) = found(text, "LAT240")
    assert finding.message.startswith("1 grouped convolution runs on")
    if "SPLIT" in finding.message:
        assert "on a GPU and under XNNPACK that is slower" in finding.message


def test_that_nothing_runs_on_the_gpu_is_said_whether_it_would_pay_or_not() -> None:
    text = "# pixel-4/gpu\nx = input 1x8x8x4\na = unknown x native=Mystery -> 1x8x8x4\nb = unknown a native=Mystery -> 1x8x8x4\n"
    (finding,) = found(text, "LAT201")
    assert finding.message.startswith("nothing runs on the GPU")
    assert "name the CPU as the target" in finding.message
    assert (finding.severity, finding.gain_ms) == ("warning", None)
