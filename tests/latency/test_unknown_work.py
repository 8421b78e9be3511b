"""What nobody knows the cost of is said everywhere, and makes a latency a lower bound; it never makes it shorter in silence."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from dataclasses import replace
from math import inf
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

import latlint
from latlint.cli import main
from latlint.latency.types import Prediction
from latlint.run.cache import Cache
from tests.graph.test_tflite import Op, T, build, weights

TARGETS = ("pixel-4/cpu-1large", "pixel-4/gpu")


def network(path: Path, second: str, domain: str = "") -> Path:
    """Three convolutions; after the first an op that ONNX knows, or one of a domain that nobody does."""
    weights = [helper.make_tensor(f"w{i}", TensorProto.FLOAT, (32, 32, 3, 3), bytes(36864), raw=True) for i in range(3)]
    conv = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["a"], "first", **conv),
        helper.make_node(second, ["a"], ["b"], "second", domain=domain),
        helper.make_node("Conv", ["b", "w1"], ["c"], "third", **conv),
        helper.make_node("Conv", ["c", "w2"], ["y"], "fourth", **conv),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 32, 56, 56))
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [y], weights), opset_imports=opsets)
    onnx.save(model, path)
    return path


@pytest.fixture
def known(tmp_path: Path) -> Path:
    return network(tmp_path / "known.onnx", "Relu")


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    return network(tmp_path / "strange.onnx", "FastRelu", "com.acme")


@pytest.mark.parametrize("target", TARGETS)
def test_kernels_of_unknown_size_are_unknown_and_the_total_is_a_lower_bound(
    known: Path, strange: Path, target: str
) -> None:
    """Convolutions behind an op that nobody knows have no sizes: they were priced as if of one pixel, and called derived."""
    (sure,), (unsure,) = latlint.predict(known, target), latlint.predict(strange, target)
    assert (sure.lower_bound, sure.unknown) == (False, {})
    assert sure.high_ms is not None
    assert unsure.lower_bound and unsure.high_ms is None
    assert sum(unsure.unknown.values()) == sum(kernel.source == "unknown" for kernel in unsure.kernels)
    assert unsure.unknown["Conv"] == 2
    assert unsure.unknown["com.acme::FastRelu"] == 1
    for kernel in unsure.kernels:
        if {"third", "fourth"} & {*kernel.nodes}:
            assert (kernel.source, kernel.latency_ms) == ("unknown", 0)
            assert kernel.inputs is None and kernel.outputs is None
            assert "sizes" in kernel.reason
    assert 0 < unsure.low_ms <= unsure.latency_ms
    assert unsure.latency_ms < sure.latency_ms or target.endswith("/gpu")  # what the delegate leaves takes longer
    assert unsure.coverage < 0.5


@pytest.mark.parametrize(
    ("kind", "unknown"),
    [
        (TensorProto.BFLOAT16, True),
        (TensorProto.DOUBLE, True),
        (TensorProto.FLOAT16, False),
        (TensorProto.FLOAT, False),
    ],
)
def test_a_type_that_no_kernel_computes_in_has_no_price(kind: int, unknown: bool, tmp_path: Path) -> None:
    """LiteRT's RELU says "Only float32, uint8, int8 and int16 are supported currently, got FLOAT64". Converters make float32 of float16."""
    x, y = (helper.make_tensor_value_info(name, kind, (1, 8)) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"], "r")], "g", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "m.onnx")
    (found,) = latlint.predict(tmp_path / "m.onnx", "pixel-4/cpu-1large")
    assert found.unknown == ({"Relu": 1} if unknown else {})
    assert ("no kernel computes in" in found.kernels[0].reason) == unknown


@pytest.mark.parametrize(("target", "unknown"), [("cpu-1large", True), ("cpu-1large@xnnpack", False), ("gpu", False)])
def test_a_custom_op_that_delegates_know_has_no_price_without_one(target: str, unknown: bool, tmp_path: Path) -> None:
    """LiteRT 2.3 runs MediaPipe's segmentation by XNNPACK; its built-in kernels: "Encountered unresolved custom op"."""
    name, options = "Convolution2DTransposeBias", struct.pack("<3i", 1, 2, 2)
    tensors = [T((1, 8, 8, 4)), weights(8, 2, 2, 4), weights(8), T((1, 16, 16, 8))]
    path = tmp_path / "m.tflite"
    path.write_bytes(build(tensors, [Op(name, [0, 1, 2], [3], None, 1, options)], outputs=(3,)))
    (found,) = latlint.predict(path, f"pixel-4/{target}")
    assert found.unknown == ({name: 1} if unknown else {})


def test_kernels_whose_sizes_are_known_say_them(known: Path) -> None:
    (found,) = latlint.predict(known, TARGETS[0])
    first = next(kernel for kernel in found.kernels if "first" in kernel.nodes)
    assert (first.inputs, first.outputs, first.dtype) == (((1, 56, 56, 32),), ((1, 56, 56, 32),), "float32")


def test_a_chance_and_an_end_that_nobody_knows(strange: Path) -> None:
    (found,) = latlint.predict(strange, TARGETS[0])
    assert found.end_ms("high") == inf
    assert found.end_ms("point") == found.latency_ms
    assert found.chance_above(found.latency_ms) is None
    assert found.chance_above(100 * found.latency_ms) is None
    below = found.chance_above(found.low_ms)
    assert below is not None and below > 0.9


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line: the exit code, and what it printed."""

    def run(*arguments: str | Path) -> tuple[int, str]:
        code = main([str(each) for each in arguments])
        return code, capsys.readouterr().out

    return run


@pytest.fixture
def shown(strange: Path, run: Run) -> Callable[[str, str], str]:
    """What a command prints of the model, in a format."""

    def shown(command: str, form: str) -> str:
        options = ["--budget", "100ms", "--exit-zero"] if command == "check" else []
        code, printed = run(command, strange, "--target", TARGETS[0], *options, "--format", form)
        assert code == 0
        return printed

    return shown


Shown = Callable[[str, str], str]


def test_text_says_at_least_and_what_is_left_out(shown: Shown) -> None:
    for command in ("predict", "check"):
        text = shown(command, "text")
        assert "≥ " in text
        assert "FastRelu" in text and "Conv ×2" in text


def test_json_has_the_ops_and_no_high_end(shown: Shown) -> None:
    for command in ("predict", "check"):
        (found,) = json.loads(shown(command, "json"))["predictions"]
        assert (found["high_ms"], found["lower_bound"]) == (None, True)
        assert {"name": "Conv", "count": 2} in found["unknown"]
    assert found["verdict"]["chance_over_budget"] is None
    (found,) = json.loads(shown("predict", "json"))["predictions"]
    shapes = [(kernel["source"], kernel["inputs"] is None) for kernel in found["kernels"]]
    assert all(missing == (source == "unknown") for source, missing in shapes)
    assert found["kernels"][0]["dtype"] == "float32"


@pytest.mark.parametrize("form", ["csv", "html", "junit", "sarif", "markdown", "benchmark", "github"])
def test_every_format_copes_with_an_open_interval(shown: Shown, form: str) -> None:
    text = shown("check", form)
    if text.startswith(("{", "[")):
        json.loads(text, parse_constant=pytest.fail)
    words = {*re.findall(r"\w+", text.partition("<script")[0])}
    assert words.isdisjoint({"inf", "Infinity", "nan", "NaN"} - ({"inf", "nan"} if form == "sarif" else set()))


def test_the_lock_and_the_difference_cope(
    known: Path, strange: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(strange.parent)
    Path("latlint.toml").write_text(f'targets = ["{TARGETS[0]}"]\n')
    assert run("lock")[0] == 0
    line = next(each for each in Path("latlint.lock").read_text("utf-8").split("\n") if each.startswith("strange"))
    assert "..ms " in line
    assert run("lock", "--check")[0] == 0
    for old, new in ((known, strange), (strange, known), (strange, strange)):
        assert run("diff", old, new, "--target", TARGETS[0])[0] == 0


def test_the_cache_gives_back_what_it_was_given(strange: Path, tmp_path: Path) -> None:
    (found,) = latlint.predict(strange, TARGETS[0])
    from latlint.outcome import Outcome

    cache = Cache(tmp_path / "cache")
    cache.store("a" * 64, Outcome((found,)))
    again = cache.find("a" * 64)
    assert again is not None and again.predictions == (found,)


def test_a_budget_on_the_high_end_is_not_kept_by_one_that_is_open(
    strange: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(strange.parent)
    Path("latlint.toml").write_text(
        f'targets = ["{TARGETS[0]}"]\ngate = "high"\n[[budgets]]\nmodel = "strange.onnx"\nmax = "900ms"\n'
    )
    code, printed = run("check", "strange.onnx", "--format", "json")
    assert code == 1
    messages = [each["message"] for each in json.loads(printed)["findings"] if each["code"] == "LAT101"]
    assert messages and "high end of the interval is not known" in messages[0]


@pytest.fixture
def predictions(model: Callable[[str], Path]) -> list[Prediction]:
    return latlint.predict(model("mobilenet_v2.tflite"), "pixel-4/*")


def test_what_is_wholly_known_is_no_lower_bound(predictions: list[Prediction]) -> None:
    for each in predictions:
        assert not each.lower_bound
        assert each.high_ms is not None
        assert replace(each, unknown={"x": 1}).lower_bound
