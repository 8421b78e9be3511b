"""Which targets a file is predicted for, where some runtimes do not load its format."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import latlint
from latlint.errors import LatlintError
from latlint.globs import covers_target
from latlint.latency import engine
from latlint.settings import Budget, Settings

Model = Callable[[str], Path]

EXPORTED = Path(__file__).parents[1] / "exporters"


def test_a_runtime_that_does_not_load_the_file_leaves_it_to_the_others_of_its_processor(model: Model) -> None:
    found = latlint.predict(model("mobilenet_v2.tflite"), "galaxy-s24/npu@*")
    assert {each.target for each in found} == {"galaxy-s24/npu", "galaxy-s24/npu@litert", "galaxy-s24/npu@qnn"}
    assert len(latlint.predict(model("mobilenet_v2.onnx"), "galaxy-s24/npu@*")) == 4


def test_alone_it_is_an_error_that_names_file_target_and_runtime(model: Model) -> None:
    path = model("mobilenet_v2.tflite")
    with pytest.raises(LatlintError) as caught:
        latlint.predict(path, ["galaxy-s24/npu@onnxruntime", "pixel-4/gpu"])
    assert (caught.value.code, caught.value.path) == ("LAT902", str(path))
    assert "galaxy-s24/npu@onnxruntime" in caught.value.message
    assert "loads onnx models" in caught.value.message


def test_every_target_judges_every_format_that_its_runtime_loads(model: Model) -> None:
    for name in ("mobilenet_v2.tflite", "mobilenet_v2.onnx"):
        settings = Settings(targets=("galaxy-s24/npu", "pixel-4/gpu", "pixel-4/cpu-1large"), budgets=(Budget(1000.0),))
        report = latlint.check(model(name), settings)
        assert not report.errors
        assert [verdict.word for verdict in report.verdicts] == ["pass"] * 3


def test_what_reads_onnx_itself_is_not_said_to_be_converted(model: Model) -> None:
    itself, converted = (
        latlint.predict(model("mobilenet_v2.onnx"), f"galaxy-s24/npu@{name}")[0] for name in ("onnxruntime", "litert")
    )
    assert not any("as if converted" in note for note in itself.notes)
    assert any("as if converted" in note for note in converted.notes)


def test_a_glob_means_the_targets_that_load_the_file(model: Model) -> None:
    tflite, onnx = (
        {each.target for each in latlint.predict(model(f"mobilenet_v2.{kind}"), "*@*")} for kind in ("tflite", "onnx")
    )
    assert len(tflite) > 48 and "x86-64-avx512/cpu-1" not in tflite
    assert "x86-64-avx512/cpu-1" in onnx and tflite < onnx
    with pytest.raises(LatlintError, match="x86-64-avx512/cpu-1: "):
        latlint.predict(model("mobilenet_v2.tflite"), "x86-64-avx512/*")


def test_memory_is_that_of_the_graph_that_each_runtime_gets(tmp_path: Path) -> None:
    """Two converters write other graphs of one ONNX file, and a third runtime takes it as it is."""
    path = tmp_path / "lstm.onnx"
    path.write_bytes(gzip.decompress((EXPORTED / "tf2onnx_lstm.onnx.gz").read_bytes()))
    targets = ["galaxy-s24/npu", "pixel-4/gpu", "x86-64-avx512/cpu-1"]

    def peaks(*names: str) -> dict[str, int | None]:
        found = latlint.predict(path, names)
        return {each.target: each.footprint.peak_bytes for each in found if each.footprint}

    alone = {name: peak for target in targets for name, peak in peaks(target).items()}
    assert len(set(alone.values())) > 1
    assert peaks(*targets) == alone


def test_what_a_target_is_called_besides_is_worked_out_once(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    priced = []
    times = engine.times
    monkeypatch.setattr(engine, "times", lambda work, target: priced.append(target.name) or times(work, target))
    report = latlint.check(
        model("mobilenet_v3_small.tflite"), Settings(targets=("galaxy-s24/npu", "galaxy-s24/npu@litert"))
    )
    assert report.findings and priced
    one, other = (
        [replace(each, target="", fingerprint="") for each in report.findings if each.target == name]
        for name in report.targets
    )
    assert one == other
    first, second = report.predictions
    assert replace(first, target=second.target) == second and first.target != second.target
    assert "galaxy-s24/npu@litert" not in priced


@pytest.mark.parametrize("budget", [None, "galaxy-s24/npu", "galaxy-s24/npu@litert", "galaxy-s24/*"])
def test_what_is_found_beside_another_name_is_what_is_found_alone(model: Model, budget: str | None) -> None:
    """Rules look at a target once, whatever it is called, unless a budget is for one of its names."""
    both = "galaxy-s24/npu", "galaxy-s24/npu@litert"
    budgets = (Budget(max_ms=0.001, target=budget),) if budget else ()
    path = model("mobilenet_v3_small.tflite")
    together = latlint.check(path, Settings(targets=both, budgets=budgets)).findings
    for target in both:
        held = tuple(each for each in budgets if covers_target(each.target, target))
        alone = latlint.check(path, Settings(targets=(target,), budgets=held)).findings
        assert alone and [each for each in together if each.target == target] == list(alone)


@pytest.mark.parametrize("precision", ["w8a8", "float16"])
def test_a_quantised_model_is_judged_as_it_is_and_that_is_said(model: Model, precision: str) -> None:
    plain, asked = (
        latlint.check(model("mobilenet_v2_int8.tflite"), Settings(targets=("galaxy-s24/npu",), precision=each))
        for each in ("", precision)
    )
    ((note,),) = (set(b.notes) - set(a.notes) for a, b in zip(plain.predictions, asked.predictions, strict=True))
    assert precision in note and "int8" in note
    assert asked.predictions[0].latency_ms == plain.predictions[0].latency_ms
