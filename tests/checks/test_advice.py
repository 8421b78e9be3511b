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


CLASSES = "# pixel-4/gpu\nx = input 1x112x112x32\na = conv2d x 21 kernel=3\n"


@pytest.mark.parametrize(
    "behind",
    [
        "b = arg_max a axis=3 -> 1x112x112 int64\n",
        "b = arg_max a axis=3 -> 1x112x112 int64\nc = cast b -> 1x112x112 float32\n",
        "k = const 3\nb, c = top_k a k -> 1x112x112x3\n",
    ],
)
def test_nobody_is_told_to_replace_what_ends_a_model(behind: str) -> None:
    """There is no other form of it, and it is where it costs least."""
    everything = checks.run(subject(sketch(CLASSES + behind), "pixel-4/gpu"))
    (finding,) = [each for each in everything if each.code in ("LAT201", "LAT206", "LAT208")]
    assert (finding.code, finding.severity, finding.gain_ms) == ("LAT201", "note", None)
    assert "they may stay there, at an end of the model" in finding.message and "in the app" in finding.message


def test_a_selection_in_the_middle_is_a_split_like_others() -> None:
    text = CLASSES + "b = arg_max a axis=3 -> 1x112x112x1 int64\nc = cast b -> 1x112x112x1\nd = conv2d c 32 kernel=3\n"
    (finding,) = found(text, "LAT201")
    assert finding.severity == "warning"
    assert "arg_max: give out the scores and take the best in the app; cast: keep values in floats" in finding.message


def test_a_float_model_on_an_npu_for_whole_numbers_is_to_be_quantised() -> None:
    """No other op in the place of one helps there, and a float NPU says what it refuses as before."""
    net = "x = input 1x56x56x32\na = conv2d x 32 kernel=3\nb = softsign a\nc = conv2d b 32 kernel=3\nd = reverse c -> 1x56x56x32\n"
    everything = checks.run(subject(sketch(net), "q-6690/npu@litert"))
    assert [each.code for each in everything if "LAT201" <= each.code <= "LAT208"] == ["LAT201"]
    (finding,) = [each for each in everything if each.code == "LAT201"]
    assert finding.severity == "warning"
    assert "nothing runs on the NPU" in finding.message and "quantise it (--precision w8a8" in finding.message
    on_floats = checks.run(subject(sketch(net), "galaxy-s24/npu@litert"))
    assert not any("quantise it" in each.message for each in on_floats if each.code == "LAT201")


def test_an_embedding_may_be_looked_up_on_the_cpu() -> None:
    text = """# pixel-4/gpu
t = const 1000x64
x = input 1x16 int32
a = gather t x -> 1x16x64
b = reshape a -> 1x4x4x64
c = conv2d b 64 kernel=3
"""
    (finding,) = found(text, "LAT201")
    assert finding.severity == "note" and "look rows up in the app" in finding.message


def test_a_transposed_convolution_is_taken_without_its_activation() -> None:
    text = """# pixel-4/gpu
x = input 1x56x56x64
w = const 64x2x2x64
a = conv2d x 64 kernel=3 activation=relu
b = transpose_conv2d a w kernel=2 stride=2 activation=relu version=4 -> 1x112x112x64
c = conv2d b 32 kernel=3 activation=relu
"""
    (finding,) = found(text, "LAT208")
    assert "give its activation a node of its own" in finding.message and (finding.gain_low_ms or 0) > 0
    assert found(text.replace("activation=relu version=4", "version=3"), "LAT208") == []


def test_what_holds_on_some_runtimes_names_this_one() -> None:
    text = (
        "# pixel-4/cpu-1large\nx = input 1x28x28x128\na = conv2d x 128 kernel=3 groups=4\nb = conv2d a 128 kernel=1\n"
    )
    assert "the CPU kernels of TensorFlow Lite 2.10" in found(text, "LAT240")[0].message


def test_what_keeps_a_graph_from_being_taken_whole_is_named_alone() -> None:
    """GELU and the convolutions would be taken, but for one op: to replace them changes nothing."""
    text = """# galaxy-s26/gpu@litert
x = input 1x56x56x64
a = conv2d x 64 kernel=3
b = gelu a
c = conv2d b 64 kernel=3
d = arg_max c axis=3 -> 1x56x56 int32
"""
    everything = [each for each in checks.run(subject(sketch(text), target_of(text))) if each.code[:5] == "LAT20"]
    assert {each.code for each in everything} <= {"LAT201", "LAT206"}
    (split,) = [each for each in everything if each.code == "LAT201"]
    assert split.nodes == ("d",) and split.severity == "warning"
    assert "refuses ARG_MAX ×1" in split.message and "takes a graph whole or not at all" in split.message
