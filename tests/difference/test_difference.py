"""Kernels of two models are matched as a person would match them, and the parts of a difference add up to the whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sketch import sketch

from latlint.difference import between_files, markdown, text
from latlint.difference import json as as_json
from latlint.difference.types import Difference, ModelChange
from latlint.graph.types import Graph
from latlint.report.plain import Style
from latlint.run.work import predict_graph
from latlint.settings import Settings
from latlint.whatif.change import KernelChange, TargetChange, target_changes
from tests.targets import phones

TARGETS = phones()


def change(old: str | Graph, new: str | Graph, target: str = "pixel-4/gpu") -> TargetChange:
    """What is different about ``new`` on a target."""
    graphs = [sketch(side) if isinstance(side, str) else side for side in (old, new)]
    before, after = (list(predict_graph(graph, [TARGETS[target]], "m.tflite", "")) for graph in graphs)
    (found,) = target_changes([each[:2] for each in before], [each[:2] for each in after])
    assert_adds_up(found)
    return found


def assert_adds_up(found: TargetChange) -> None:
    assert found.change_ms is not None and found.overhead_change_ms is not None
    assert sum(each.change_ms for each in found.kernels) + found.overhead_change_ms == pytest.approx(
        found.change_ms, abs=1e-6
    )


def described(found: TargetChange) -> list[tuple[str, str, tuple[str, ...]]]:
    """Kind, name and differences of each kernel that changed."""
    return [(each.kind, (each.new or each.old).name, each.what) for each in found.kernels]  # type: ignore[union-attr]


CHAIN = """
x = input 1x56x56x64
a = conv2d x 64 kernel=3
b = conv2d a 128 kernel=1
c = conv2d b 64 kernel=3
d = conv2d c 32 kernel=1
"""


def numbered(chain: str) -> str:
    """The chain with names as exporters give them that number nodes: ``conv_0``, ``conv_1`` …"""
    lines, names = [], {}
    for line in chain.strip().splitlines():
        words = line.split()
        new = words[0] if "input" in words else f"conv_{len(names)}"
        lines.append(" ".join(names.get(word, word) for word in [new, *words[1:]]))
        names[words[0]] = new
    return "\n".join(lines)


def test_the_same_model_has_no_difference() -> None:
    found = change(CHAIN, CHAIN)
    assert (found.change_ms, found.kernels, found.unchanged, found.within_interval) == (0.0, (), 4, True)


def test_names_alone_are_no_difference() -> None:
    found = change(CHAIN, numbered(CHAIN))
    assert (found.kernels, found.unchanged) == ((), 4)


@pytest.mark.parametrize("names", [str, numbered])
def test_an_inserted_op_is_the_one_that_was_added(names: Callable[[str], str]) -> None:
    """Also where everything behind it has got another name, one that another kernel had before."""
    longer = CHAIN.replace("c = conv2d b", "n = conv2d b 96 kernel=1\nc = conv2d n")
    found = change(names(CHAIN), names(longer))
    ((kind, _, _), (second, name, what)) = described(found)
    assert (kind, second, what) == ("added", "changed", ("in 1x56x56x128 → 1x56x56x96",))
    assert name == ("c" if names is str else "conv_4")
    added = found.kernels[0].new
    assert added is not None and added.output == (1, 56, 56, 96)
    assert found.unchanged == 3


def test_a_removed_op_is_shown_where_it_was() -> None:
    shorter = CHAIN.replace("c = conv2d b 64 kernel=3\n", "").replace("d = conv2d c", "d = conv2d b")
    assert [(kind, name) for kind, name, _ in described(change(CHAIN, shorter))] == [("removed", "c"), ("changed", "d")]


def test_a_wider_network_has_the_kernels_that_it_had() -> None:
    """Shapes of the old network stand elsewhere in the new one: names tell which kernel is which."""
    deep = "x = input 1x28x28x32\n" + "\n".join(
        f"c{n} = conv2d {'x' if not n else f'c{n - 1}'} {32 * 2 ** (n // 2)} kernel=3 stride={2 - n % 2}"
        for n in range(8)
    )
    wide = deep
    for channels in (256, 128, 64, 32):
        wide = wide.replace(f" {channels} kernel", f" {2 * channels} kernel")
    found = change(deep, wide)
    assert found.counts == {"added": 0, "removed": 0, "changed": 8}
    assert all(each.old and each.new and each.old.name == each.new.name for each in found.kernels)


@pytest.mark.parametrize("other", ["b", "branch_1"])
def test_a_block_that_moves_is_neither_added_nor_removed(other: str) -> None:
    """Whether or not the other exporter calls it as the one did."""
    old = "x = input 1x28x28x32\na = conv2d x 32 kernel=3\nb = sigmoid x\nc = concat a b"
    new = f"x = input 1x28x28x32\n{other} = sigmoid x\na = conv2d x 32 kernel=3\nc = concat a {other}"
    found = change(old, new, "pixel-4/cpu-1large")
    assert (found.kernels, found.unchanged) == ((), 3)


def test_of_kernels_that_are_alike_names_tell_which_is_gone() -> None:
    old = "x = input 1x28x28x32\n" + "\n".join(
        f"c{n} = conv2d {'x' if not n else f'c{n - 1}'} 32 kernel=3" for n in range(5)
    )
    new = old.replace("c2 = conv2d c1 32 kernel=3\n", "").replace("conv2d c2", "conv2d c1")
    assert described(change(old, new)) == [("removed", "c2", ())]
    assert described(change(new, old)) == [("added", "c2", ())]


def test_a_fusion_that_is_lost_is_named() -> None:
    fused = "x = input 1x56x56x64\na = conv2d x 64 kernel=1\nb = relu a\nc = conv2d b 64 kernel=1"
    # What the convolution writes is read twice, so that nothing can be linked to it any more.
    split = (
        "x = input 1x56x56x64\na = conv2d x 64 kernel=1\nb = relu a\nc = conv2d b 64 kernel=1\nd = conv2d a 8 kernel=1"
    )
    found = change(fused, split)
    assert (found.fusions_lost, found.fusions_gained) == ({"relu": 1}, {})
    assert ("changed", "a", ("no longer fused: relu",)) in described(found)
    assert ("added", "b", ()) in described(found)
    back = change(split, fused)
    assert (back.fusions_lost, back.fusions_gained) == ({}, {"relu": 1})
    assert ("removed", "b", ()) in described(back)


def test_winograd_that_is_lost_is_named() -> None:
    old = "x = input 1x56x56x128\na = conv2d x 128 kernel=3"
    found = change(old, old.replace("kernel=3", "kernel=3 dilation=2"))
    assert dict(found.implementations) == {("convolution_winograd_4x4_6x6", "convolution_2d"): 1}
    ((kind, name, what),) = described(found)
    assert (kind, name) == ("changed", "a")
    assert what == ("convolution_winograd_4x4_6x6 → convolution_2d", "dilation 1x1 → 2x2")
    assert found.change_ms is not None and found.change_ms > 0


def test_work_that_leaves_the_gpu_is_named() -> None:
    old = "x = input 1x28x28x32\na = conv2d x 32 kernel=3\nb = relu a\nc = conv2d b 32 kernel=3"
    found = change(old, old.replace("relu", "gelu"))
    executors = [(each.old.executor, each.new.executor) for each in found.kernels if each.old and each.new]
    assert ("gpu", "builtin") in executors
    assert any(each.new and each.new.kernel.op == "gelu" for each in found.kernels if each.kind == "added")


def test_a_long_model_is_matched_without_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latlint.whatif.matching._MAX_TABLE", 3)
    longer = CHAIN.replace("c = conv2d b", "n = conv2d b 96 kernel=1\nc = conv2d n")
    found = change(CHAIN, longer)
    assert found.unchanged == 3
    assert found.counts == {"added": 2, "removed": 1, "changed": 0}


def test_two_formats_of_one_network_differ_in_little(model: Callable[[str], Path]) -> None:
    old, new = (str(model(f"mobilenet_v2.{extension}")) for extension in ("tflite", "onnx"))
    found = between_files(old, new, Settings(targets=("pixel-4/gpu", "pixel-4/cpu-1large")))
    (compared,) = found.models
    assert (compared.old, compared.new, compared.status) == (old, new, "modified")
    cpu, gpu = compared.targets
    assert (gpu.kernels, gpu.unchanged) == ((), 56)
    assert cpu.counts["added"] == 0 and cpu.unchanged == 58
    assert {each.old.kernel.op for each in cpu.kernels if each.old and not each.new} == {"pad"}
    for target in (cpu, gpu):
        assert_adds_up(target)


def test_every_core_configuration_is_compared(model: Callable[[str], Path]) -> None:
    old, new = str(model("mobilenet_v2.tflite")), str(model("mobilenet_v2_int8.tflite"))
    found = between_files(old, new, Settings(targets=tuple(TARGETS)))
    assert found.targets == tuple(target.target for target in found.models[0].targets) == tuple(sorted(TARGETS))
    for target in found.models[0].targets:
        assert_adds_up(target)
        assert target.new is not None and target.new.precision == "int8"


def test_external_data_need_not_be_there(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    weight = TensorProto(name="w", data_type=1, dims=(8, 3, 3, 3), data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="gone.bin")
    paths = []
    for stride in (1, 2):
        node = helper.make_node("Conv", ["x", "w"], ["y"], "conv", strides=[stride, stride], pads=[1, 1, 1, 1])
        values = [helper.make_tensor_value_info("x", 1, (1, 3, 32, 32)), helper.make_tensor_value_info("y", 1, None)]
        graph = helper.make_graph([node], "g", values[:1], values[1:], [weight])
        paths.append(tmp_path / f"{stride}.onnx")
        paths[-1].write_bytes(helper.make_model(graph).SerializeToString())
    found = between_files(*map(str, paths), Settings(targets=("pixel-4/gpu",)))
    assert not found.errors
    (kernel,) = found.models[0].targets[0].kernels
    assert "stride 1x1 → 2x2" in kernel.what


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(model: Callable[[str], Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    good = str(model("one_gelu.tflite"))
    for old, new in ((good, str(broken)), (str(broken), good)):
        found = between_files(old, new, Settings(targets=("pixel-4/gpu",)))
        assert [(error.path, error.code) for error in found.errors] == [(str(broken), "LAT001")]
        assert found.models == ()


@pytest.fixture
def difference(model: Callable[[str], Path]) -> Difference:
    old, new = str(model("one_gelu.tflite")), str(model("mobilenet_v3_small.tflite"))
    return between_files(old, new, Settings(targets=("pixel-4/gpu", "pixel-4/cpu-1large")))


def test_json_has_what_was_found(difference: Difference) -> None:
    document = json.loads(as_json.diff(difference, Style()))
    assert (document["schema"], document["base"], document["errors"]) == ("latlint.diff/1", None, [])
    for target, written in zip(difference.models[0].targets, document["models"][0]["targets"], strict=True):
        assert target.old and target.new
        assert written["change_ms"] == pytest.approx(
            written["new"]["latency_ms"] - written["old"]["latency_ms"], rel=1e-6
        )
        assert written["within_interval"] is target.within_interval
        kinds = [kernel["kind"] for kernel in written["kernels"]]
        assert {kind: kinds.count(kind) for kind in target.counts} == dict(target.counts)
        assert written["counts"]["unchanged"] == target.unchanged
        overhead = written["new"]["overhead_ms"] - written["old"]["overhead_ms"]
        assert sum(kernel["change_ms"] for kernel in written["kernels"]) + overhead == pytest.approx(
            written["change_ms"]
        )


def test_text_shows_what_matters_most_and_adds_up(difference: Difference) -> None:
    shown = text.diff(difference, Style(top=3))
    gpu = difference.models[0].targets[1]
    worst = max(gpu.kernels, key=lambda each: abs(each.change_ms))
    assert f"{abs(worst.change_ms):.3f} ms" in shown
    assert f"… and {len(gpu.kernels) - 3} kernels more" in shown
    assert "beyond the 90% interval" in shown
    assert "\x1b" not in shown and "\x1b[" in text.diff(difference, Style(colour=True))


def test_many_targets_are_a_line_each_unless_kernels_are_asked_for(model: Callable[[str], Path]) -> None:
    old, new = str(model("one_gelu.tflite")), str(model("mobilenet_v3_small.tflite"))
    found = between_files(old, new, Settings(targets=("pixel-4/*",)))
    assert len(text.diff(found, Style()).splitlines()) == 1 + len(found.targets)
    assert "kernels more" in text.diff(found, Style(top=3, kernels_chosen=True))


def test_a_model_that_launches_nothing_has_no_percentage() -> None:
    nothing = "x = input 1x4\noutput x"
    found = change(nothing, CHAIN, "pixel-4/cpu-1large")
    assert found.ratio is None and found.change_ms == pytest.approx(found.new.latency_ms if found.new else 0)
    difference = Difference((ModelChange("a", "b", (found, change(CHAIN, nothing))),), targets=("pixel-4/gpu",))
    assert "−100%" in text.diff(difference, Style())
    assert "−100%" in markdown.diff(difference, Style())
    assert json.loads(as_json.diff(difference, Style()))


def test_a_hostile_name_comes_out_inert_everywhere(difference: Difference) -> None:
    name = "\x1b[31m::error::\n|<script>@x `a` ##[add-path]" + "a" * 100_000
    (model,) = difference.models
    (first, *rest) = model.targets
    kernels = tuple(hostile(each, name) for each in first.kernels)
    planted = replace(
        difference, models=(ModelChange(name, name, (replace(first, kernels=kernels), *rest)),), notes=(name,)
    )
    for render in (text, markdown, as_json):
        shown = render.diff(planted, Style(top=None))
        assert "\x1b" not in shown and "\n::error" not in shown and "##[" not in shown
        if render is markdown:
            assert "<script>" not in shown and "`a`" not in shown and len(shown) < 65_536


def hostile(each: KernelChange, name: str) -> KernelChange:
    def renamed(side):  # type: ignore[no-untyped-def]
        return side and replace(side, kernel=side.kernel._replace(nodes=(name,), implementation=name, op=name))

    return KernelChange(renamed(each.old), renamed(each.new))
