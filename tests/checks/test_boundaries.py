"""Where a rule stops: graphs that differ in one thing, one of which it speaks of and one of which it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from linted import findings, predicted, subject
from sketch import sketch

from latlint.checks import constant_arithmetic
from latlint.runtime import plan
from latlint.whatif import pricing

GATE = """# pixel-4/gpu
x = input 1x1x2x64
a = conv2d x 64 kernel=1 activation=relu
b = mean a axes=1,2 keep_dims=true
c = conv2d b 16 kernel=1 activation=relu
d = conv2d c 64 kernel=1
e = sigmoid d
f = mul a e
g = conv2d f 64 kernel=1
"""
TWICE = """# pixel-4/cpu-1large
x = input 1x112x112x64
a = conv2d x 64 kernel=1
b = cast a -> 1x112x112x64 int32
c = cast a -> 1x112x112x64 int32
d = add b b
e = add c c
"""
HARD_SWISH = """# pixel-4/gpu
x = input 1x112x112x64
three = const 1 value=3
sixth = const 1 value=0.16666666
a = conv2d x 64 kernel=1
b = add a three activation=relu6
c = mul b sixth
d = mul a c
e = conv2d d 64 kernel=1
"""
NORMALISED = """# pixel-4/cpu-1large
x = input 1x224x224x3
scale = const 3
a = mul x scale activation=none
c = conv2d a 32 kernel=3 stride=2 activation=relu
"""
CLAMPED = """# pixel-4/cpu-1large
x = input 1x112x112x64
a = conv2d x 64 kernel=1
b = sigmoid a
c = relu b
d = conv2d c 64 kernel=1
"""
ARG_MAX = """# pixel-4/cpu-1large
x = input 1x112x112x21
a = conv2d x 21 kernel=1
b = softmax a axis=3
c = arg_max b axis=3 -> 1x112x112 int64
"""
TRANSPOSED = """# pixel-4/gpu
x = input 1x64x64x64
a = conv2d x 64 kernel=1
b = transpose a permutation=0,3,1,2
c = elu b
d = transpose c permutation=0,2,3,1
e = conv2d d 64 kernel=1
"""
SCALED = """# pixel-4/cpu-1large
x = input 1x112x112x64
k = const 64
a = conv2d x 64 kernel=1
b = div a k
d = conv2d b 64 kernel=1
"""


@pytest.mark.parametrize(
    ("code", "drawn", "here", "there"),
    [
        pytest.param("LAT225", GATE, "1x1x2x64", "1x1x1x64", id="a map of one pixel has no gate: it is its own mean"),
        pytest.param("LAT305", TWICE, "c = cast a -> 1x112x112x64 int32", "c = cast a -> 1x112x112x64", id="two types"),
        pytest.param("LAT224", HARD_SWISH, "value=3", "value=2.5", id="a shift of 2.5 is no hard-swish"),
        pytest.param("LAT224", HARD_SWISH, "value=3", "value=4", id="a shift of 4 is no hard-swish"),
        pytest.param("LAT310", NORMALISED, "=none", "=relu", id="no convolution takes over a scale with an activation"),
        pytest.param("LAT303", CLAMPED, "sigmoid", "tanh", id="tanh has negative values, which a ReLU takes away"),
        pytest.param("LAT303", CLAMPED, "sigmoid", "elu", id="so has ELU"),
        pytest.param("LAT312", ARG_MAX, "a axis=3", "a axis=2", id="a softmax over another axis changes the order"),
        pytest.param("LAT301", TRANSPOSED, "0,2,3,1", "0,3,1,2", id="twice the same permutation does not cancel"),
        pytest.param("LAT301", TRANSPOSED, "0,2,3,1", "0,1,2,3", id="nor does one that keeps the order"),
        pytest.param("LAT307", SCALED, "div a k", "div k a", id="a constant divided by the values is no scale"),
    ],
)
def test_one_thing_makes_the_difference(code: str, drawn: str, here: str, there: str) -> None:
    assert here in drawn
    assert code in findings(drawn)
    assert code not in findings(drawn.replace(here, there))


@pytest.mark.parametrize(
    ("reader", "severity"),
    [
        ("depthwise_conv2d a kernel=3 padding=valid", "warning"),
        # zeros are not the lowest values, which SAME leaves the maximum to
        ("max_pool2d a kernel=3 padding=valid", "note"),
        # zeros count in the mean, and what SAME adds does not (pooling.cc: filter_count)
        ("average_pool2d a kernel=3 padding=valid", "note"),
    ],
)
def test_same_padding_is_what_a_pad_does_before_convolutions_alone(reader: str, severity: str) -> None:
    drawn = f"# pixel-4/cpu-1large\nx = input 1x112x112x32\na = pad x pads=1\nb = {reader}\nc = conv2d b 64 kernel=1"
    assert findings(drawn)["LAT241"].severity == severity


@pytest.mark.parametrize(
    ("channels", "named"), [(45, "4 3x3 convolutions with 60 "), (46, "5 3x3 convolutions with 46, 60 ")]
)
def test_near_to_winograd_is_three_quarters_of_its_channels(channels: int, named: str) -> None:
    """It needs 61 channels on this GPU."""
    drawn = f"""# galaxy-s10/gpu
    x = input 1x56x56x60
    a = conv2d x 60 kernel=3 activation=relu
    b = conv2d a 60 kernel=3 activation=relu
    c = conv2d b 60 kernel=3 activation=relu
    d = conv2d c 60 kernel=3 activation=relu
    e = conv2d d {channels} kernel=3
    """
    assert findings(drawn)["LAT220"].message.startswith(named)


def test_an_op_that_pays_only_if_others_go_too_is_a_note() -> None:
    drawn = """# pixel-4/gpu
    x = input 1x56x56x64
    a = conv2d x 64 kernel=3 activation=relu
    b = conv2d a 64 kernel=3 activation=relu
    c = conv2d b 8 kernel=1 stride=8
    d = reverse c
    e = gelu d
    f = reverse e
    g = conv2d f 8 kernel=1
    """
    among = findings(drawn)["LAT203"]
    assert (among.severity, among.gain_ms) == ("note", None)
    assert "so are 2 other ops" in among.message
    alone = findings(drawn.replace("reverse", "relu"))["LAT203"]
    assert alone.severity == "warning" and alone.gain_ms


WRAPPED = """# pixel-4/gpu
x = input 1x56x56x64
k = const 1x64x1x1
a = conv2d x 64 kernel=1
b = transpose a permutation=0,3,1,2
c = mul b k
s = conv2d x 64 kernel=1
t = transpose s permutation=0,3,1,2
d = add c t
m = concat d t axis=1
e = transpose m permutation=0,2,3,1
f = conv2d e 64 kernel=1
"""
STRAIGHT = """# pixel-4/gpu
x = input 1x56x56x64
k = const 1x1x1x64
a = conv2d x 64 kernel=1
c = mul a k
s = conv2d x 64 kernel=1
d = add c s
m = concat d s axis=3
f = conv2d m 64 kernel=1
"""


@pytest.mark.parametrize("target", ["pixel-4/gpu", "pixel-4/cpu-1large", "galaxy-s24/npu@litert"])
def test_transposes_round_several_ops_are_found_and_priced_as_the_network_without(target: str) -> None:
    finding = findings(WRAPPED, target)["LAT301"]
    assert finding.nodes == ("b", "t", "e")
    assert finding.message.startswith("3 TRANSPOSEs cancel round MUL ×1, ADD ×1, CONCAT ×1: remove them")
    saved = predicted(WRAPPED, target).latency_ms - predicted(STRAIGHT, target).latency_ms
    assert finding.gain_ms == pytest.approx(saved, rel=1e-6)


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("m = concat d t axis=1", "m = softmax d axis=3"),  # over an axis
        ("e = transpose m permutation=0,2,3,1", "e = reshape m -> 1x56x56x128"),
        ("t = transpose s permutation=0,3,1,2", "t = transpose s permutation=0,3,2,1"),
    ],
)
def test_values_that_are_needed_in_the_other_order_keep_their_transposes(here: str, there: str) -> None:
    assert here in WRAPPED
    assert "LAT301" not in findings(WRAPPED.replace(here, there))


def test_a_transpose_that_others_read_stays() -> None:
    drawn = WRAPPED + "u = add t t\noutput f u\n"
    assert findings(drawn)["LAT301"].nodes == ("b", "e")


HARD_SWISHES = [
    "p = add a three\nq = relu6 p\nr = mul a q\nm = mul r sixth",
    "p = add a three\nq = relu6 p\nr = mul q a\nm = div r six",
    "p = add a three\nq = maximum p zero\ns = minimum q six\nr = mul s sixth\nm = mul a r",
    "p = mul a sixth\nq = add p half\ns = minimum q one\nr = relu s\nm = mul r a",
    "p = mul a sixth\nq = add p half activation=relu\ns = minimum q one\nm = mul s a",
    "p = add three a activation=relu6\nr = div p six\nm = mul a r",
    "p = div a six\nq = add p half\nr = relu_0_to_1 q\nm = mul a r",
]
AROUND = """# pixel-4/cpu-1large
x = input 1x112x112x64
three = const 1 value=3
six = const 1 value=6
sixth = const 1 value=0.16666666
half = const 1 value=0.5
zero = const 1 value=0
one = const 1 value=1
a = conv2d x 64 kernel=1
"""


@pytest.mark.parametrize("spelling", HARD_SWISHES)
def test_hard_swish_is_known_however_it_is_spelt(spelling: str) -> None:
    drawn = f"{AROUND}{spelling}\nz = conv2d m 64 kernel=1\n"
    finding = findings(drawn)["LAT224"]
    assert finding.nodes[-1] == "m"
    # of pieces that nobody measured on phones, an interval may include zero: nothing is stated then
    assert finding.gain_ms or spelling not in HARD_SWISHES[:2]
    for wrong in (
        "three = const 1 value=2",
        "six = const 1 value=5",
        "half = const 1 value=0.4",
        "zero = const 1 value=1",
    ):
        name = wrong.split()[0]
        if name in spelling.split():
            line = next(line for line in AROUND.splitlines() if line.startswith(f"{name} ="))
            assert "LAT224" not in findings(drawn.replace(line, wrong)), wrong


def test_a_gate_of_something_else_is_no_hard_swish() -> None:
    drawn = f"{AROUND}b = conv2d x 64 kernel=1\n{HARD_SWISHES[1].replace('add a', 'add b')}\nz = conv2d m 64 kernel=1\n"
    assert "LAT224" not in findings(drawn)


SHUFFLED = """# pixel-4/gpu
x = input 1x40x40x64
a = conv2d x 64 kernel=3
b = reshape a -> 1x40x40x2x2x16
c = transpose b permutation=0,1,3,2,4,5
d = reshape c -> 1x80x80x16
e = conv2d d 48 kernel=3
"""
REPEATED = """# pixel-4/cpu-1large@xnnpack
x = input 1x40x40x64
a = conv2d x 64 kernel=3
b = reshape a -> 1x40x1x40x1x64
c = broadcast_to b -> 1x40x2x40x2x64
d = reshape c -> 1x80x80x64
e = conv2d d 64 kernel=3
"""
SOFTMAX = """# galaxy-s24/npu@litert
x = input 1x6x512x512
e = exp x
t = sum e axes=3 keep_dims=true -> 1x6x512x1
y = div e t
"""
LARGE = """# pixel-4/cpu-1large@xnnpack
x = input 1x56x56x96
a = depthwise_conv2d x kernel=7
b = conv2d a 96 kernel=1
"""
STATISTICS = """# pixel-4/cpu-1large
x = input 1x56x56x64
eps = const 1 value=1
a = conv2d x 64 kernel=1
m = mean a axes=0,1,2 keep_dims=true -> 1x1x1x64
s = squared_difference a m
v = mean s axes=0,1,2 keep_dims=true -> 1x1x1x64
w = add v eps
r = rsqrt w
p = mul a r
q = mul m r
y = sub p q
z = conv2d y 64 kernel=1
"""
PRODUCT = """# pixel-4/cpu-1large
x = input 1x112x112x64
a = conv2d x 64 kernel=1
b = mul a x
c = relu b
d = conv2d c 64 kernel=1
"""
SPILLING = """# galaxy-s24/npu@litert
x = input 1x256x256x64
a = conv2d x 64 kernel=3
b = conv2d a 64 kernel=3
"""


@pytest.mark.parametrize(
    ("code", "drawn", "here", "there"),
    [
        pytest.param("LAT326", SHUFFLED, "0,1,3,2,4,5", "0,1,2,3,4,5", id="nothing is shuffled"),
        pytest.param("LAT326", SHUFFLED, "1x80x80x16", "1x40x160x16", id="into another map"),
        pytest.param(
            "LAT324", REPEATED, "1x40x1x40x1x64\n", "1x1x40x1x40x64\n", id="the map itself is repeated: tiled"
        ),
        pytest.param("LAT324", REPEATED, "c = broadcast_to b", "c = relu b", id="nothing is repeated"),
        pytest.param("LAT327", SOFTMAX, "axes=3", "axes=2", id="a sum over another axis"),
        pytest.param("LAT327", SOFTMAX, "div e t", "div t e", id="the sum over each"),
        pytest.param("LAT246", LARGE, "kernel=7", "kernel=5", id="25 weights have a kernel"),
        pytest.param("LAT246", LARGE, "@xnnpack", "", id="built-in kernels have no such step"),
        pytest.param("LAT325", STATISTICS, "axes=0,1,2", "axes=1,2", id="instance normalisation is no training"),
        pytest.param("LAT325", STATISTICS, "r = rsqrt w", "r = square w", id="no normalisation"),
        pytest.param("LAT242", PRODUCT, "c = relu b", "c = tanh b", id="a product clamps, and does nothing else"),
        pytest.param("LAT242", PRODUCT, "b = mul a x", "b = maximum a x", id="a maximum does not clamp"),
        pytest.param("LAT252", SPILLING, "1x256x256x64", "1x128x128x64", id="fits"),
    ],
)
def test_one_thing_makes_the_difference_to_forms(code: str, drawn: str, here: str, there: str) -> None:
    assert here in drawn
    assert code in findings(drawn)
    changed = drawn.replace(here, there)
    assert code not in findings(changed, changed.split()[1])


@pytest.mark.parametrize(
    ("code", "drawn", "plain"),
    [
        ("LAT326", SHUFFLED, SHUFFLED.partition("b =")[0] + "d = depth_to_space a block=2 -> 1x80x80x16\ne = conv2d d 48 kernel=3\n"),
        ("LAT324", REPEATED, REPEATED.partition("b =")[0] + "d = resize_nearest a -> 1x80x80x64\ne = conv2d d 64 kernel=3\n"),
        ("LAT327", SOFTMAX, SOFTMAX.partition("e =")[0] + "y = softmax x axis=3\n"),
        ("LAT246", LARGE, LARGE.replace("kernel=7", "kernel=5")),
        ("LAT325", STATISTICS, STATISTICS.partition("m =")[0] + "z = conv2d a 64 kernel=1\n"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "target", ["pixel-4/gpu", "pixel-4/cpu-1large", "pixel-4/cpu-1large@xnnpack", "galaxy-s24/npu@litert"]
)
def test_a_gain_is_what_the_network_without_takes_less(code: str, drawn: str, plain: str, target: str) -> None:
    found = findings(drawn, target).get(code)
    assert found is not None or target != drawn.split()[1]
    if found is not None and found.gain_ms:
        saved = predicted(drawn, target).latency_ms - predicted(plain, target).latency_ms
        assert found.gain_ms == pytest.approx(saved, rel=1e-6)


FIRST = "# pixel-4/gpu\nx = input 1x40x40x64\na = conv2d x 64 kernel=3\nf = transpose a permutation=0,3,1,2\n"
SHUFFLED_FIRST = f"""{FIRST}b = reshape f -> 1x16x2x2x40x40
c = transpose b permutation=0,1,4,2,5,3
d = reshape c -> 1x16x80x80
l = transpose d permutation=0,2,3,1
e = conv2d l 48 kernel=3
"""
REPEATED_FIRST = f"""{FIRST}b = reshape f -> 1x64x40x1x40x1
c = broadcast_to b -> 1x64x40x2x40x2
d = reshape c -> 1x64x80x80
l = transpose d permutation=0,2,3,1
e = conv2d l 48 kernel=3
"""
ONE_OP = {
    "LAT326": ("depth_to_space {} block=2 -> 1x80x80x16", SHUFFLED_FIRST),
    "LAT324": ("resize_nearest {} -> 1x80x80x64", REPEATED_FIRST),
}


@pytest.mark.parametrize("target", ["pixel-4/gpu", "pixel-4/cpu-1large"])
@pytest.mark.parametrize("code", ONE_OP)
@pytest.mark.parametrize("kept", ["", "f", "l", "fl"])
def test_channels_first_the_op_stands_between_the_transposes_that_it_needs(code: str, kept: str, target: str) -> None:
    """Those of a converter are left out; where there are none, some are added, and the gain is less."""
    op, drawn = ONE_OP[code]
    plain = FIRST.partition("f =")[0]
    at = "a"
    if "f" in kept:  # nothing to leave out before it: the input is channels first
        drawn = drawn.replace(
            "input 1x40x40x64\na = conv2d x 64 kernel=3\nf = transpose a permutation=0,3,1,2",
            "input 1x64x40x40\nf = relu x",
        )
        plain, at = "# pixel-4/gpu\nx = input 1x64x40x40\na = relu x\nn = transpose a permutation=0,2,3,1\n", "n"
    plain += f"l = {op.format(at)}\n"
    if "l" in kept:
        drawn = drawn.partition("l =")[0] + "e = relu d\n"
        plain += "t = transpose l permutation=0,3,1,2\ne = relu t\n"
    else:
        plain += "e = conv2d l 48 kernel=3\n"
    found = findings(drawn, target).get(code)
    before = predicted(drawn, target).latency_ms
    saved = before - predicted(plain, target).latency_ms
    assert (found is None) == (saved <= 0.001 * before)
    if found is not None and found.gain_ms is not None:  # one whose interval includes zero is not stated
        assert found.gain_ms == pytest.approx(saved, rel=1e-6)
    assert kept or (found is not None and found.gain_ms is not None) or target != "pixel-4/gpu"


@pytest.mark.parametrize(
    ("form", "channels"),
    [("1x4x2x2x8x8 0,1,4,2,5,3 1x4x16x16", "1x16x8x8"), ("1x8x8x4x2x2 0,1,4,2,5,3 1x16x16x4", "1x8x8x16")],
)
def test_pixel_shuffle_is_known_in_other_orders(form: str, channels: str) -> None:
    apart, order, made = form.split()
    drawn = f"# pixel-4/cpu-1large\nx = input {channels}\nb = reshape x -> {apart}\nc = transpose b permutation={order}\nd = reshape c -> {made}\n"
    subject_of = subject(drawn, "pixel-4/cpu-1large")
    from latlint.checks.pixel_shuffle_in_pieces import _found
    from latlint.checks.view import view

    assert len(_found(view(subject_of))) == 1


@pytest.mark.parametrize(
    ("precision", "code", "ops"),
    [
        ("w8a8", "LAT253", "x = input 1x196x192\na = softmax x axis=2\nb = softmax a axis=2\n"),
        ("w8a16", "LAT254", "x = input 1x80x80x64\na = conv2d x 64 kernel=3\nb = conv2d a 64 kernel=3\n"),
    ],
)
def test_what_a_float_model_would_lose_as_if_converted_is_told(precision: str, code: str, ops: str) -> None:
    target = "galaxy-s24/npu@litert"
    graph = sketch(f"# {target}\n{ops}")
    assert {"LAT253", "LAT254"}.isdisjoint(findings(graph, target))
    found = findings(replace(graph, as_if=precision), target)[code]
    other = "" if code == "LAT253" else "w8a8"
    taken = [predicted(replace(graph, as_if=each), target).latency_ms for each in (precision, other)]
    assert taken[0] > taken[1]
    assert found.severity == "note"
    assert found.gain_ms is None or found.gain_ms == pytest.approx(taken[0] - taken[1], rel=1e-6)


@pytest.mark.parametrize(("width", "beyond"), [(124, False), (125, True)])
def test_what_fills_the_memory_on_the_chip_is_beyond_it(width: int, beyond: bool) -> None:
    """8 MB in float16, of 2 bytes: 125 x 125 x 128 values that are read, and as many that are written."""
    drawn = f"# galaxy-s24/npu@litert\nx = input 1x125x{width}x128\na = relu x\n"
    assert ("LAT252" in findings(drawn)) is beyond


def test_what_onnxruntime_folds_is_not_planned_again_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = """# x86-64-avx512/cpu-1@onnxruntime onnx
    x = input 1x64x112x112
    c = const 1x64x112x112
    d = sigmoid c native=Sigmoid
    e = add x d native=Add
    """
    planned = []
    monkeypatch.setattr(pricing, "plan", lambda graph, processor: planned.append(graph) or plan(graph, processor))
    assert "LAT308" not in findings(drawn) and not planned
    monkeypatch.setattr(constant_arithmetic, "takes_native", lambda processor: False)
    assert "LAT308" not in findings(drawn) and planned
