"""Small inputs on which latlint was once wrong, each of which stands for a kind: what is right, line by line.

The inputs lie in ../shared/cases, beside the repository; tests of their kinds, with models of their own, are in the rooms that mended them.
"""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from latlint.cli import main

GPU, CPU = "pixel-4/gpu", "pixel-4/cpu-1large"


@pytest.fixture(scope="module")
def cases(shared: Path) -> Path:
    return shared / "cases" / "models"


@pytest.fixture
def checked(cases: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """``checked(file, target)``: exit code, verdict word, findings and the prediction of `check` with a budget of 100 ms."""

    def run(
        file: str, target: str = CPU, budget: str = "100ms"
    ) -> tuple[int, str, list[dict[str, Any]], dict[str, Any]]:
        arguments = ["check", str(cases / file), "--no-config", "-t", target, "-b", budget, "--format", "json"]
        code = main(arguments)
        shown = json.loads(capsys.readouterr().out)
        (prediction,) = shown["predictions"]
        return code, prediction["verdict"]["word"], shown["findings"], prediction

    return run


@pytest.fixture
def predicted(cases: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(file: str, target: str = CPU) -> dict[str, Any]:
        assert main(["predict", str(cases / file), "-t", target, "--format", "json"]) == 0
        (prediction,) = json.loads(capsys.readouterr().out)["predictions"]
        assert isinstance(prediction, dict)
        return prediction

    return run


def codes(findings: list[dict[str, Any]]) -> set[str]:
    return {finding["code"] for finding in findings}


def test_densify_and_dequantize_merge_into_the_convolution_on_a_gpu(predicted: Any) -> None:
    sparse, dense = (predicted(f"01-densify-dequantize/{name}_f16.tflite", GPU) for name in ("sparse", "dense"))
    assert sparse["latency_ms"] == pytest.approx(dense["latency_ms"], rel=1e-9)
    assert sparse["coverage"] == dense["coverage"] == 1.0


@pytest.mark.parametrize("target", [GPU, CPU])
def test_reading_the_state_of_an_lstm_changes_neither_time_nor_macs(predicted: Any, target: str) -> None:
    with_state, without = (
        predicted(f"02-lstm-state-outputs/lstm_{name}_state.onnx", target) for name in ("with", "without")
    )
    assert with_state["macs"] == without["macs"] == pytest.approx(10 * 4 * 128 * (128 + 128), rel=0.01)
    assert with_state["latency_ms"] == pytest.approx(without["latency_ms"], rel=0.05)
    assert not with_state["unknown"]


def test_what_an_lstm_computes_is_not_saved_by_a_delegate_that_takes_it(checked: Any) -> None:
    """No stand-in says what its products would take on the GPU: two tensors more to give out made it one for 0.1 ms."""
    for name in ("with", "without"):
        _, _, findings, _ = checked(f"02-lstm-state-outputs/lstm_{name}_state.onnx", GPU)
        (finding,) = (finding for finding in findings if finding["code"] == "LAT201")
        assert (finding["severity"], finding["gain_ms"]) == ("warning", None)
        assert "name the CPU as the target" in finding["message"]


@pytest.mark.parametrize("target", [GPU, CPU])
def test_ops_with_effects_are_no_dead_branch(checked: Any, target: str) -> None:
    _, _, findings, _ = checked("03-streaming-assign-variable/streaming.tflite", target)
    assert "LAT304" not in codes(findings)


@pytest.mark.parametrize("target", [GPU, CPU])
def test_hard_swish_by_division_is_hard_swish(predicted: Any, target: str) -> None:
    div, mul = (predicted(f"04-hardswish-div6/{name}.onnx", target) for name in ("div6", "mul_sixth"))
    assert div["latency_ms"] == pytest.approx(mul["latency_ms"], rel=1e-9)


@pytest.mark.parametrize(("target", "cheapest_us"), [("pixel-4/gpu", 4.2), ("galaxy-s10/gpu", 8.3)])
@pytest.mark.parametrize(("file", "launches"), [("depthwise_stride_2x1", 484), ("groups_of_2", 244)])
def test_uneven_groups_take_a_launch_each(
    predicted: Any, target: str, cheapest_us: float, file: str, launches: int
) -> None:
    prediction = predicted(f"05-uneven-groups/{file}.onnx", target)
    kernels = [kernel for kernel in prediction["kernels"] if kernel["op"] in ("conv2d", "depthwise_conv2d")]
    assert sum(kernel["latency_ms"] for kernel in kernels) >= (launches - 4) * cheapest_us / 1000
    assert {kernel["source"] for kernel in kernels} == {"derived"}


def test_unequal_strides_are_named_as_the_cause(checked: Any) -> None:
    _, _, findings, _ = checked("05-uneven-groups/depthwise_stride_2x1.onnx", GPU)
    (finding,) = (finding for finding in findings if finding["code"] == "LAT221")
    assert "stride" in finding["message"]


@pytest.mark.parametrize("target", [GPU, CPU])
@pytest.mark.parametrize("file", ["06-open-size-pass/detector.onnx", "07-zero-ms-pass/compiled_for_edgetpu.tflite"])
def test_what_is_not_understood_does_not_pass(checked: Any, file: str, target: str) -> None:
    code, word, findings, _ = checked(file, target)
    assert (code, word) == (1, "unjudged")
    assert any(finding["severity"] == "error" for finding in findings)


def test_the_size_to_state_is_offered(checked: Any) -> None:
    _, _, findings, _ = checked("06-open-size-pass/detector.onnx")
    assert any("--shape" in finding["message"] for finding in findings if finding["severity"] == "error")


def test_a_file_for_another_accelerator_is_named_as_such(checked: Any) -> None:
    _, _, findings, _ = checked("07-zero-ms-pass/compiled_for_edgetpu.tflite")
    assert any("Edge TPU" in finding["message"] for finding in findings)


def test_parallel_convolutions_with_different_weights_are_no_duplicates(checked: Any) -> None:
    for target in (GPU, CPU):
        _, _, findings, _ = checked("08-lat305-parallel-conv1d/parallel_conv1d.onnx", target)
        assert "LAT305" not in codes(findings)


def test_a_relu_that_was_not_fused_is_to_be_converted_again(checked: Any) -> None:
    _, _, findings, _ = checked("10-lat242-relu/add_then_relu.tflite")
    (finding,) = (finding for finding in findings if finding["code"] == "LAT242")
    assert "convert" in finding["message"] and "RELU" in finding["message"] and "ADD" in finding["message"]
    assert "ReLU6" not in finding["message"]


def test_a_file_for_ethos_u_holds_an_unknown_op(checked: Any) -> None:
    code, word, findings, prediction = checked("12-vela-scratch/scratch.tflite")
    assert (code, word) == (1, "unjudged")
    assert "LAT007" not in codes(findings)
    assert any("Ethos-U" in finding["message"] for finding in findings)
    assert prediction["unknown"]


@pytest.mark.parametrize("target", [GPU, CPU])
def test_the_heavier_branch_of_an_if_is_planned(predicted: Any, target: str) -> None:
    prediction = predicted("13-if-branches/if.onnx", target)
    assert prediction["macs"] == 6 * 56 * 56 * 64 * 64 * 9
    assert prediction["latency_ms"] > 1


@pytest.mark.parametrize("target", [GPU, CPU])
def test_unknown_ops_are_named_and_counted(checked: Any, target: str) -> None:
    code, word, findings, prediction = checked("14-unknown-unnamed/two_custom_ops.tflite", target)
    assert (code, word) == (1, "unjudged")
    said = " ".join(finding["message"] for finding in findings)
    assert "BrandNewOp ×2" in said and "OtherOp" in said
    assert {each["name"]: each["count"] for each in prediction["unknown"]} == {"BrandNewOp": 2, "OtherOp": 1}
    assert prediction["lower_bound"] is True and prediction["high_ms"] is None


@pytest.mark.parametrize("target", [GPU, CPU])
def test_a_reshape_by_an_open_batch_is_sized_as_the_runtime_does(predicted: Any, target: str) -> None:
    prediction = predicted("15-dynamic-reshape-shape/flatten_open_batch.tflite", target)
    assert any(kernel["op"] == "fully_connected" and kernel["macs"] == 125_440 for kernel in prediction["kernels"])
    assert not any("fails to initialise" in note for note in prediction.get("notes", ()))


def test_a_static_delegate_leaves_a_graph_with_dynamic_tensors_alone(predicted: Any) -> None:
    prediction = predicted("16-dynamic-tensors/dynamic.tflite", GPU)
    assert {part["processor"] for part in prediction["partitions"]} == {"builtin"}


@pytest.mark.parametrize(
    ("number", "read"),
    [("04", False), ("07", True), ("08", True), ("16", True), ("17", True), ("22", False), ("29", True)],
)
def test_what_once_crashed_a_run_is_read_or_refused_in_one_line(
    shared: Path, capsys: pytest.CaptureFixture[str], number: str, read: bool
) -> None:
    """Of two files of a case one may be refused: that of 17 which has scales for other channels."""
    files = sorted(
        each for each in (shared / "cases" / "hostile" / number).iterdir() if each.suffix in (".tflite", ".onnx")
    )
    codes = []
    for file in files:
        codes.append(main(["check", str(file), "--no-config", "-t", GPU, "-t", CPU]))
        out, err = capsys.readouterr()
        assert "internal" not in err and "Traceback" not in err
        assert codes[-1] == 0 or err.count("latlint: error: ") == 1, out
    assert (0 in codes) == read


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "state"),
    [
        ("02-lstm-state-outputs/lstm_with_state.onnx", "compared after a run"),
        ("03-streaming-assign-variable/streaming.tflite", "compared"),
        ("06-open-size-pass/detector.onnx", "compared after a run"),
        ("07-zero-ms-pass/compiled_for_edgetpu.tflite", "LiteRT refuses"),
        ("12-vela-scratch/scratch.tflite", "LiteRT refuses"),
        ("13-if-branches/if.onnx", "compared after a run"),
        ("14-unknown-unnamed/two_custom_ops.tflite", "LiteRT refuses"),
        ("15-dynamic-reshape-shape/flatten_open_batch.tflite", "compared after a run"),
    ],
)
def test_the_runtime_says_the_same(cases: Path, file: str, state: str) -> None:
    """Every tensor has the size that LiteRT or ONNX Runtime gives it, and what is not understood does not load."""
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("onnxruntime")
    compare = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "sizes.py"))["compare"]
    said, counts, wrong = compare(cases / file)
    assert said == state, wrong
    assert state == "LiteRT refuses" or (not wrong and set(counts) == {"equal"}), wrong
