"""Edits give sound graphs, and the gain of a change is the difference of two predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import linted
import pytest
from sketch import sketch

from latlint import checks
from latlint.checks import channels_not_in_32s, gelu_in_pieces, uneven_attention
from latlint.checks.types import Rule, Subject
from latlint.checks.view import View, view
from latlint.graph import read
from latlint.graph.types import Graph
from latlint.latency import engine
from latlint.runtime import plan
from latlint.settings import Settings
from latlint.units import format_ms
from latlint.whatif import pricing
from latlint.whatif.edits import EditedGraph, dead_nodes, with_channels
from latlint.whatif.gain import Gain
from tests.targets import bundled

RULE = Rule("LAT999", "a-rule", "warning")
GELU = """
x = input 1x56x56x64
a = conv2d x 64 kernel=3
b = gelu a
c = conv2d b 64 kernel=3 activation=relu
"""


def subject(graph: Graph, target: str = "pixel-4/gpu") -> Subject:
    return linted.subject(graph, target)


def found(graph: Graph, target: str) -> dict[str, checks.types.Finding]:
    return {finding.code: finding for finding in checks.run(subject(graph, target))}


def sound(graph: Graph) -> None:
    """Nodes are numbered, and nothing is read before it is written."""
    known = {i for i, tensor in enumerate(graph.tensors) if tensor.constant} | set(graph.inputs) | {-1}
    for index, node in enumerate(graph.nodes):
        assert node.index == index
        assert known.issuperset(node.inputs)
        known.update(node.outputs)
    assert known.issuperset(graph.outputs)


@pytest.mark.parametrize("name", ["mobilenet_v2.tflite", "resnet18.onnx", "mobilenet_v2_int8.tflite"])
@pytest.mark.parametrize("target", ["pixel-4/gpu", "pixel-4/cpu-1large"])
def test_a_view_costs_what_was_predicted_and_no_change_gains_nothing(
    model: Callable[[str], Path], name: str, target: str
) -> None:
    seen = view(subject(read(model(name)), target))
    assert seen.total_ms == pytest.approx(seen.subject.prediction.latency_ms)
    gain = seen.gain("nothing", lambda graph: graph)
    assert gain is not None and gain.ms == pytest.approx(0.0, abs=1e-9)


def test_a_gain_is_the_difference_of_two_predictions() -> None:
    before, after = sketch(GELU), sketch(GELU.replace("gelu", "hard_swish"))
    gain = view(subject(before)).gain("swish", lambda graph: after)
    assert gain is not None and gain.ms > 1.0
    assert gain.ms == pytest.approx(subject(before).prediction.latency_ms - subject(after).prediction.latency_ms)
    assert gain.low_ms < gain.ms < gain.high_ms
    (finding,) = view(subject(before)).judge(RULE, "m", [before.nodes[0]], fix="f", gain=gain)
    assert (finding.gain_ms, finding.gain_low_ms, finding.gain_high_ms) == gain
    assert f" ms [{gain.low_ms:.1f}–{gain.high_ms:.1f}] (" in finding.message


def test_targets_that_plan_alike_share_the_edited_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, edits = sketch(GELU), []

    def edit(given: Graph) -> Graph:
        edits.append(given)
        return given

    gains = [view(subject(graph, f"pixel-4/cpu-{cores}")).gain("x", edit) for cores in ("1large", "2med", "1large")]
    assert len(edits) == 1
    assert [gain and gain.ms for gain in gains] == pytest.approx([0.0, 0.0, 0.0], abs=1e-9)


@pytest.mark.parametrize(("everywhere", "made"), [(True, 1), (False, 2)])
def test_what_nothing_of_the_plan_decides_is_edited_once(everywhere: bool, made: int) -> None:
    graph, edits = sketch(GELU), []

    def edit(given: Graph) -> Graph:
        edits.append(given)
        return given

    for target in ("pixel-4/cpu-1large", "pixel-4/cpu-1large@xnnpack"):
        assert view(subject(graph, target)).gain("x", edit, everywhere=everywhere) is not None
    assert len(edits) == made


def test_what_the_kernels_alone_decide_is_found_once_for_all_that_launch_them() -> None:
    """Runtimes whose rules differ in their names share kernels, not what rules say of them."""
    graph, looked = sketch(GELU), []

    def find(seen: View) -> int:
        looked.append(seen)
        return len(seen.plan.kernels)

    first = view(subject(graph, "galaxy-s25/npu@litert"))
    other = view(subject(graph, "galaxy-s25/npu@qnn"))
    other.plan = replace(other.plan, kernels=first.plan.kernels)
    assert other.scene is first.scene
    assert first.launched(find) == other.launched(find)
    assert len(looked) == 1
    assert first.planned(find) == other.planned(find)
    assert len(looked) == 3


@pytest.mark.parametrize(
    ("rule", "find"), [(gelu_in_pieces, "_spelt"), (uneven_attention, "_uneven"), (channels_not_in_32s, "_uneven")]
)
def test_rules_of_npus_look_at_kernels_once_for_all_that_launch_them(
    monkeypatch: pytest.MonkeyPatch, rule: ModuleType, find: str
) -> None:
    graph, looked, known = sketch(GELU), [], getattr(rule, find)
    monkeypatch.setattr(rule, find, lambda seen: looked.append(seen) or known(seen))
    seen = [subject(graph, f"{device}/npu@litert") for device in ("galaxy-s25", "galaxy-s26")]
    kernels = seen[0].plan.converted.plan.kernels if seen[0].plan.converted else seen[0].plan.kernels
    for each in seen:
        view(each).plan = replace(view(each).plan, kernels=kernels)
        list(rule.check(each))
    assert len(looked) == 1


def test_the_number_of_planned_ops_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pricing, "MAX_PLANNED_OPS", 7)
    seen = view(subject(sketch(GELU)))
    assert seen.gain("first", lambda graph: graph) is not None
    assert seen.gain("second", lambda graph: graph) is not None
    assert seen.gain("third", lambda graph: graph) is None
    assert seen.gain("first", lambda graph: graph) is not None


def exactly(ms: float) -> Gain:
    return Gain(ms, ms, ms)


def test_what_gains_little_is_a_note_and_what_gains_nothing_is_silent() -> None:
    seen = view(subject(sketch(GELU)))
    node = seen.graph.nodes[0]

    def severities(gain_ms: float | None) -> list[str]:
        return [
            finding.severity for finding in seen.judge(RULE, "m", [node], fix="f", gain=gain_ms and exactly(gain_ms))
        ]

    assert severities(0.02 * seen.total_ms) == ["warning"]
    assert severities(0.005 * seen.total_ms) == ["note"]
    assert severities(0.0005 * seen.total_ms) == severities(-1.0) == []
    assert severities(None) == ["warning"]
    strict = view(seen.subject._replace(settings=Settings(min_gain=0.03)))
    assert [f.severity for f in strict.judge(RULE, "m", [node], gain=exactly(0.02 * seen.total_ms))] == ["note"]
    (finding,) = seen.judge(RULE, "what is", [node], fix="what to do", gain=exactly(2.0))
    assert finding.message.startswith("what is: what to do, which saves 2.00 ms [2.00–2.00] (")
    assert (finding.gain_ms, finding.nodes) == (2.0, ("a",))


def test_a_draft_bypasses_and_prunes_what_nobody_reads_any_more() -> None:
    graph = sketch(
        """
        x = input 1x8x8x4
        a = relu x
        g = sigmoid a
        b = mul a g
        dead = tanh a
        output b
        """
    )
    draft = EditedGraph(graph)
    draft.bypass(graph.nodes[2], slot=0)
    edited = draft.graph()
    sound(edited)
    assert [node.name for node in edited.nodes] == ["a", "dead"]
    assert edited.outputs == graph.nodes[0].outputs
    assert dead_nodes(graph) == {3} and dead_nodes(edited) == {1}


def test_channels_change_everywhere_at_once() -> None:
    graph = sketch(
        """
        x = input 1x16x16x3
        k = const 10
        a = conv2d x 10 kernel=3
        b = depthwise_conv2d a kernel=3
        c = add a b
        d = mul c k
        e = concat d a
        f = conv2d e 20 kernel=1 groups=2
        m = mean f axes=1,2 keep_dims=false
        y = fully_connected m 10
        """
    )
    edited = with_channels(graph, lambda count: -(-count // 8) * 8)
    assert edited is not None
    sound(edited)
    shapes = {tensor.name: tensor.shape for tensor in edited.tensors}
    assert [shapes[name] for name in ("x", "a", "b", "c", "d", "e", "f", "m", "y")] == [
        (1, 16, 16, 3), (1, 16, 16, 16), (1, 16, 16, 16), (1, 16, 16, 16), (1, 16, 16, 16), (1, 16, 16, 32),
        (1, 16, 16, 24), (1, 24), (1, 10),
    ]  # fmt: skip
    assert [shapes[name] for name in ("k", "a/w", "b/w", "f/w", "f/b", "y/w")] == [
        (16,), (16, 3, 3, 3), (1, 3, 3, 16), (24, 1, 1, 16), (24,), (10, 24),
    ]  # fmt: skip
    assert edited.nodes[1].attributes["groups"] == 16


@pytest.mark.parametrize(
    "line", ["b = reshape a -> 1x16x16x2x5", "b = unknown a -> 1x16x16x10", "b = split a axis=3 parts=2 -> 1x16x16x5"]
)
def test_channels_stay_where_an_op_depends_on_their_number(line: str) -> None:
    graph = sketch(f"x = input 1x16x16x3\na = conv2d x 10 kernel=3\n{line}")
    edited = with_channels(graph, lambda count: count + 1)
    assert edited is None or edited.tensors == graph.tensors


def test_flattened_maps_widen_the_layer_that_reads_them() -> None:
    graph = sketch(
        "x = input 1x4x4x3\na = conv2d x 6 kernel=3\nb = reshape a -> 1x96\nc = fully_connected b 30\nd = fully_connected c 2"
    )
    edited = with_channels(graph, lambda count: count + 2)
    assert edited is not None
    shapes = {tensor.name: tensor.shape for tensor in edited.tensors}
    assert (shapes["b"], shapes["c/w"], shapes["d/w"]) == ((1, 128), (32, 128), (2, 32))


def test_one_gelu_splits_a_real_model(model: Callable[[str], Path]) -> None:
    graph = read(model("one_gelu.tflite"))
    gelu = found(graph, "pixel-4/gpu")["LAT203"]
    assert gelu.severity == "warning" and gelu.gain_ms is not None and gelu.gain_ms > 0.3 * (gelu.latency_ms or 0)
    draft = EditedGraph(graph)
    draft.change(next(node for node in graph.nodes if node.kind == "gelu"), kind="hard_swish")
    assert not {"LAT201", "LAT203"} & set(found(draft.graph(), "pixel-4/gpu"))
    assert not {"LAT201", "LAT203"} & set(found(graph, "pixel-4/cpu-1large"))


@pytest.mark.parametrize(
    ("name", "target", "code", "severity"),
    [
        ("resnet18.onnx", "pixel-4/gpu", "LAT202", "warning"),
        ("shufflenet_v2_05.tflite", "pixel-4/gpu", "LAT205", "warning"),
        ("vit_tiny.onnx", "pixel-4/gpu", "LAT209", "warning"),
        ("vit_tiny.onnx", "pixel-4/cpu-1large", "LAT226", "warning"),
        ("mobilenet_v2_int8.tflite", "pixel-4/gpu", "LAT210", "note"),
        ("mobilenet_v3_small.tflite", "pixel-4/gpu", "LAT225", "note"),
        ("mobilenet_v3_small.tflite", "pixel-4/cpu-1large", "LAT242", "warning"),
        ("mobilenet_v2.tflite", "pixel-4/cpu-1large", "LAT241", "warning"),
        ("mobilenet_v2_025_f16.tflite", "pixel-4/cpu-1large", "LAT244", "note"),
    ],
)
def test_real_models_have_what_they_are_known_for(
    model: Callable[[str], Path], name: str, target: str, code: str, severity: str
) -> None:
    graph = read(model(name))
    finding = found(graph, target)[code]
    assert finding.severity == severity
    assert set(finding.nodes) <= {node.name for node in graph.nodes}


@pytest.mark.parametrize(("target", "wider"), [("pixel-4/cpu-1large", 1.75), ("pixel-4/gpu", 1.0)])
def test_what_gates_cost_a_cpu_is_known_less_well(
    model: Callable[[str], Path], target: str, wider: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = read(model("mobilenet_v3_small.tflite"))
    plain = Gain(4.0, 3.5, 5.0)
    monkeypatch.setattr(View, "gain", lambda self, label, edit, **_: plain)
    finding = found(graph, target)["LAT225"]
    assert finding.gain_low_ms is not None and finding.gain_high_ms is not None
    widths = [plain.ms - finding.gain_low_ms, finding.gain_high_ms - plain.ms]
    assert widths == pytest.approx([wider * 0.5, wider * 1.0])


@pytest.mark.parametrize("name", ["mobilenet_v2.tflite", "mobilenet_v2.onnx", "resnet18.onnx"])
@pytest.mark.parametrize("target", ["pixel-4/gpu", "galaxy-s10/gpu", "iphone-xs/gpu", "pixel-4/cpu-1large"])
def test_published_networks_have_no_error_and_nothing_unfounded(
    model: Callable[[str], Path], name: str, target: str
) -> None:
    graph = read(model(name))
    by_gpu = {"LAT201", "LAT202"} if "resnet" in name else set()
    expected = by_gpu if "gpu" in target else {"LAT241"} if name.endswith(".tflite") else set()
    result = found(graph, target)
    assert {code for code, finding in result.items() if finding.severity != "note"} == expected
    assert all(finding.severity != "error" for finding in result.values())


def test_findings_are_ranked_by_gain(model: Callable[[str], Path]) -> None:
    result = [
        f for f in checks.run(subject(read(model("vit_tiny.onnx")), "pixel-4/cpu-1large")) if f.severity == "warning"
    ]
    gains = [finding.gain_ms or 0.0 for finding in result]
    assert len(gains) > 1 and gains == sorted(gains, reverse=True)


def test_a_fingerprint_survives_another_gain() -> None:
    small, large = (sketch(GELU.replace("56x56", size)) for size in ("56x56", "112x112"))
    (one, other) = (found(graph, "pixel-4/gpu")["LAT203"] for graph in (small, large))
    assert one.gain_ms != other.gain_ms
    assert one.fingerprint == other.fingerprint
    assert replace(one, gain_ms=None).fingerprint != found(small, "galaxy-s10/gpu")["LAT203"].fingerprint


def test_transposes_cancel_through_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    """onnx-tf writes TRANSPOSE, PAD, TRANSPOSE before each convolution."""
    monkeypatch.setattr(engine, "bounds", lambda *_: (0.99, 1.01, 0.9))  # a gain that may be none is not stated
    text = """
    x = input 1x56x60x64
    a = conv2d x 64 kernel=1
    b = transpose a permutation=0,3,1,2
    c = pad b pads=PADS -> 1x64x58x63
    d = transpose c permutation=0,2,3,1
    e = conv2d d 64 kernel=3 padding=valid
    """
    graph = sketch(text.replace("PADS", "1"))
    pad = next(node for node in graph.nodes if node.kind == "pad")
    draft = EditedGraph(graph)
    draft.attributes(pad, pads=((0, 0), (0, 0), (1, 1), (1, 2)))
    finding = found(draft.graph(), "pixel-4/gpu")["LAT301"]
    assert finding.nodes == ("b", "d")
    plain = sketch(
        """
        x = input 1x56x60x64
        a = conv2d x 64 kernel=1
        c = pad a pads=1 -> 1x58x63x64
        e = conv2d c 64 kernel=3 padding=valid
        """
    )
    padded = EditedGraph(plain)
    padded.attributes(plain.nodes[1], pads=((0, 0), (1, 1), (1, 2), (0, 0)))
    saved = subject(draft.graph()).prediction.latency_ms - subject(padded.graph()).prediction.latency_ms
    assert finding.gain_ms == pytest.approx(saved)


def test_a_split_says_what_each_side_and_the_copies_take() -> None:
    text = """
    x = input 1x56x56x64
    a = conv2d x 64 kernel=3 activation=relu
    b = gelu a
    c = conv2d b 64 kernel=3 activation=relu
    d = conv2d c 64 kernel=3 activation=relu
    e = reverse d -> 1x56x56x64
    f = conv2d e 64 kernel=3
    """
    given = subject(sketch(text))
    finding = {each.code: each for each in checks.run(given)}["LAT201"]
    spent = {"gpu": 0.0, "builtin": 0.0}
    for kernel in given.prediction.kernels:
        spent[given.plan.partitions[kernel.partition].executor] += kernel.latency_ms
    border_ms = given.prediction.border_ms
    assert 0 < border_ms < given.prediction.overhead_ms
    assert (
        f"the GPU runs 2 of 6 ops in {format_ms(spent['gpu'])}, the CPU the others in {format_ms(spent['builtin'])}, "
        f"and copies between them take {format_ms(border_ms)}, because the GPU delegate of TensorFlow Lite 2.10 refuses "
    ) in finding.message
    alone = {
        kind: given.prediction.latency_ms - subject(sketch(text.replace(kind, "hard_swish"))).prediction.latency_ms
        for kind in ("gelu", "reverse")
    }
    best = max(alone, key=lambda kind: alone[kind])
    assert f"({best} alone would save " in finding.message and finding.gain_ms is not None
    assert finding.gain_ms > alone[best] > given.prediction.latency_ms * 0.01


def test_what_looks_at_the_graph_alone_is_found_once_for_all_targets_of_a_model() -> None:
    asked = []

    def kinds(seen: View) -> list[str]:
        asked.append(seen.graph)
        return [node.kind for node in seen.graph.nodes]

    first, second = sketch(GELU), sketch("x = input 1x8\na = softmax x")
    answers = [
        view(subject(graph, target)).shared(kinds)
        for graph in (first, second)
        for target in ("pixel-4/gpu", "pixel-4/cpu-1large")
    ]
    assert answers == [["conv2d", "gelu", "conv2d"]] * 2 + [["softmax"]] * 2
    assert asked == [first, second]


def test_runtimes_of_different_formats_do_not_share_what_is_seen(model: Callable[[str], Path]) -> None:
    """An ONNX file as converted for one runtime and as it is for another, whichever is looked at first."""
    graph = read(model("vit_tiny.onnx"))
    targets = ("pixel-4/gpu", "x86-64-avx512/cpu-1@onnxruntime", "galaxy-s24/npu@onnxruntime", "pixel-4/cpu-1large")
    alone = {}
    for target in targets:
        alone[target] = checks.run(subject(read(model("vit_tiny.onnx")), target))
    assert sum(map(len, alone.values()))
    assert {target: checks.run(subject(graph, target)) for target in targets} == alone
    assert {target: checks.run(subject(graph, target)) for target in targets[::-1]} == alone


def test_ops_that_two_rules_would_mend_are_planned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """LAT201 asks for all refused ops, LAT205 for those of more than four dimensions: here the same."""
    drawn = """
    x = input 1x28x28x48
    a = conv2d x 48 kernel=3
    b = reshape a -> 1x28x28x2x24
    c = relu b
    d = reshape c -> 1x28x28x48
    e = conv2d d 48 kernel=3
    """
    planned = []
    monkeypatch.setattr(pricing, "plan", lambda graph, processor: planned.append(graph) or plan(graph, processor))
    assert {"LAT201", "LAT205"} <= found(sketch(drawn), "pixel-4/gpu").keys()
    assert len(planned) == 3  # all of them, and each of the two kinds alone


def test_what_no_target_prices_is_said_once_for_all(model: Callable[[str], Path]) -> None:
    graph = read(model("resnet18.onnx"))
    targets = [bundled()[name] for name in ("pixel-4/cpu-1large", "pixel-4/cpu-1med")]
    made = plan(graph, targets[0].processor)
    work = engine.workload(made)
    one, other = (engine.predict(graph, made, target, model="m", sha256="", work=work).kernels for target in targets)
    free = [kernel for kernel in one if kernel.source == "free"]
    assert free and all(a is b for a, b in zip(one, other, strict=True) if a.source == "free")
    assert all(a.latency_ms < b.latency_ms for a, b in zip(one, other, strict=True) if a.source != "free")
