"""Execution providers beside the CPU's: which nodes they take, held against ONNX Runtime's checker of usability where it is installed."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from latlint.cli import main
from latlint.graph.onnx import read_onnx
from latlint.latency.catalogue import find_targets, select_targets
from latlint.runtime import Plan, Processor, plan
from latlint.runtime.reasons import sentence
from tests.pages import data_of

REPOSITORY = Path(__file__).parents[3]
EXPORTED = REPOSITORY / "tests" / "exporters"
N = helper.make_node


def placed(provider: str, nodes: Sequence[NodeProto], opset: int = 17, **constants: Any) -> Plan:
    """The placement of a graph that reads ``x`` of 1x8x16x16 and ``other`` of 8x8x3x3."""
    graph = helper.make_graph(
        nodes,
        "g",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 16, 16]),
            helper.make_tensor_value_info("other", TensorProto.FLOAT, [8, 8, 3, 3]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    content = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10
    ).SerializeToString()
    return plan(
        read_onnx(memoryview(content), "m.onnx"), Processor(provider, f"onnxruntime-1.32/{provider}", provider, "arm")
    )


def split(found: Plan) -> list[tuple[str, int]]:
    return [(part.executor, part.nodes) for part in found.partitions]


WEIGHTS = np.ones((8, 8, 3, 3), np.float32)


class TestWhatTheyTake:
    @pytest.mark.parametrize(
        ("provider", "attributes", "reason"),
        [
            ("xnnpack", {}, ""),
            ("xnnpack", {"auto_pad": "SAME_LOWER"}, "auto_pad SAME_LOWER"),
            ("nnapi", {"auto_pad": "SAME_LOWER"}, ""),
        ],
    )
    def test_a_convolution(self, provider: str, attributes: dict[str, Any], reason: str) -> None:
        found = placed(provider, [N("Conv", ["x", "w"], ["y"], **attributes)], w=WEIGHTS)
        assert split(found) == [("cpu" if reason else "provider", 1)]
        assert [sentence(why).partition(" (for")[0] for why in found.fallbacks.values()] == ([reason] if reason else [])

    def test_weights_that_are_computed(self) -> None:
        found = placed("nnapi", [N("Conv", ["x", "other"], ["y"])])
        assert found.fallbacks[0].code == "COMPUTED"
        assert split(placed("coreml", [N("Conv", ["x", "other"], ["y"])])) == [("provider", 1)]

    def test_an_activation_goes_with_the_convolution_before_it(self) -> None:
        conv, relu = N("Conv", ["x", "w"], ["c"]), N("Relu", ["c"], ["y"])
        assert split(placed("xnnpack", [conv, relu], w=WEIGHTS)) == [("provider", 2)]
        both = [conv, N("Relu", ["c"], ["r"]), N("Add", ["c", "r"], ["y"])]
        assert split(placed("xnnpack", both, w=WEIGHTS)) == [("provider", 1), ("cpu", 2)]
        assert placed("xnnpack", [N("Relu", ["x"], ["y"])]).fallbacks[0].code == "NOT_AN_OP"

    def test_more_dimensions_than_nnapi_has(self) -> None:
        nodes = [N("Reshape", ["x", "shape"], ["r"]), N("Tanh", ["r"], ["y"])]
        found = placed("nnapi", nodes, shape=np.array([1, 2, 4, 16, 16]))
        assert {why.code for why in found.fallbacks.values()} == {"RANK"}
        assert split(placed("coreml", nodes, shape=np.array([1, 2, 4, 16, 16]))) == [("provider", 2)]

    def test_what_is_left_is_fused_by_the_cpu_provider_alone(self) -> None:
        """The convolution is Core ML's; Erf and what is around it a Gelu of the CPU's."""
        half = {"a": np.float32(2**0.5), "b": np.float32(1), "h": np.float32(0.5)}
        spelt = [
            N("Conv", ["x", "w"], ["c"]),
            N("Div", ["c", "a"], ["d"]),
            N("Erf", ["d"], ["e"]),
            N("Add", ["e", "b"], ["f"]),
            N("Mul", ["c", "f"], ["m"]),
            N("Mul", ["m", "h"], ["y"]),
        ]
        found = placed("nnapi", spelt, w=WEIGHTS, **half)
        assert [kernel.implementation for kernel in found.kernels if not kernel.free] != [
            "Conv",
            "Gelu",
        ]  # Div is NNAPI's
        xnnpack = placed("xnnpack", spelt, w=WEIGHTS, **half)
        assert [kernel.implementation for kernel in xnnpack.kernels if not kernel.free] == ["Conv", "Gelu"]

    def test_a_group_grows_past_what_does_not_wait_for_it(self) -> None:
        """Of two branches from the input, one has an op that Core ML lacks: the other's nodes are one group with what comes before."""
        nodes = [
            N("Tanh", ["x"], ["a"]),
            N("Selu", ["x"], ["b"]),
            N("Sigmoid", ["a"], ["c"]),
            N("Selu", ["c"], ["d"]),
            N("Add", ["d", "b"], ["y"]),
        ]
        assert split(placed("coreml", nodes)) == [("cpu", 1), ("provider", 2), ("cpu", 1), ("provider", 1)]


@pytest.mark.parametrize("name", ["torch_legacy_vit", "torch_legacy_resnet_qdq", "tf2onnx_lstm"])
def test_partitions_are_those_of_the_usability_checker(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the names of ops and the numbers of dimensions, which is all that it goes by."""
    pytest.importorskip("onnxruntime.tools.mobile_helpers.usability_checker")
    monkeypatch.setattr(sys, "path", [str(REPOSITORY / "benchmarks"), *sys.path])
    import onnxruntime_providers as benchmark

    path = tmp_path / "m.onnx"
    path.write_bytes(gzip.decompress((EXPORTED / f"{name}.onnx.gz").read_bytes()))
    graph = read_onnx(memoryview(path.read_bytes()), "m.onnx")
    for provider, word in benchmark.said(path, tmp_path).items():
        assert benchmark.ours(graph, provider, by_name=True) == word
        assert benchmark.ours(graph, provider, by_name=False).taken <= word.taken


class TestCommand:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "m.onnx"
        path.write_bytes(gzip.decompress((EXPORTED / "torch_legacy_vit.onnx.gz").read_bytes()))
        return path

    def test_a_placement_is_no_latency(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["predict", str(file), "--no-config", "--provider", "coreml"]) == 0
        said = capsys.readouterr().out
        assert "no latency" in said
        assert "the Core ML provider takes 118 of 128 nodes, in 5 partitions" in said
        assert " ms" not in said
        assert main(["predict", str(file), "--no-config", "--provider", "coreml", "--format", "json"]) == 0
        (found,) = json.loads(capsys.readouterr().out)["predictions"]
        assert (found["placement"], found["latency_ms"], found["low_ms"], found["high_ms"]) == (True, None, None, None)
        assert (found["overhead_ms"], found["border_ms"]) == (None, None)
        assert {part["latency_ms"] for part in found["partitions"]} == {None}

    def test_a_page_draws_no_placement(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        chosen = ["--no-config", "--provider", "coreml"]
        assert main(["predict", str(file), *chosen, "--format", "html"]) == 0
        data = data_of(capsys.readouterr().out)
        assert data["predictions"] == []
        assert "1 placement that nobody timed, which text and JSON have" in data["cuts"]

    def test_there_is_no_difference_of_placements(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["diff", str(file), str(file), "--no-config", "--provider", "coreml"]) == 2
        assert "nobody timed any-device/coreml" in capsys.readouterr().err

    def test_under_a_budget_it_is_unjudged(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["check", str(file), "--no-config", "--provider", "nnapi", "-b", "1s"]) == 1
        assert "UNJUDGED  any-device/nnapi  no latency" in capsys.readouterr().out

    def test_qnn_is_in_milliseconds_on_an_npu(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        chosen = ["-t", "galaxy-s25/npu", "--provider", "qnn", "--format", "json"]
        assert main(["predict", str(file), "--no-config", *chosen]) == 0
        (found,) = json.loads(capsys.readouterr().out)["predictions"]
        assert found["target"] == "galaxy-s25/npu@onnxruntime"
        assert found["latency_ms"] > 0

    @pytest.mark.parametrize(
        "arguments", [["coreml", "-t", "pixel-4/gpu"], ["qnn", "-t", "pixel-4/gpu"], ["qnn", "--all-targets"]]
    )
    def test_targets_that_it_is_not_for(
        self, file: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["predict", str(file), "--no-config", "--provider", *arguments]) == 2
        assert "provider" in capsys.readouterr().err

    def test_a_glob_means_devices(self) -> None:
        known = find_targets()
        assert not [name for name in select_targets(["*/*", "*@*"], known) if name.startswith("any-device/")]
        assert select_targets(["any-device/*"], known) == [
            "any-device/coreml",
            "any-device/nnapi",
            "any-device/xnnpack",
        ]
