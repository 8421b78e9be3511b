"""JSON: the shapes that outside tools rely on."""

from __future__ import annotations

import json

import pytest

from latlint import __version__
from latlint.checks.types import Finding
from latlint.latency.types import KernelPrediction, PartitionPrediction, Prediction
from latlint.outcome import InputError, Report, Verdict
from latlint.report import formats, render
from latlint.report.plain import Style

PREDICTION = Prediction(
    model="models/mödel\x1b[31m.tflite",
    sha256="ab" * 32,
    format="tflite",
    precision="float32",
    target="pixel-4/gpu",
    runtime="tflite-2.10/gpu-delegate",
    latency_ms=1.0 / 3 + 0.8,
    low_ms=1.0,
    high_ms=1.25,
    interval=0.9,
    overhead_ms=0.8,
    coverage=1.0,
    macs=10838016,
    partitions=(PartitionPrediction("gpu", 2, 1.0 / 3 + 0.8),),
    kernels=(
        KernelPrediction(
            0,
            0,
            ("conv", "relu"),
            "conv2d",
            ("relu",),
            "convolution_2d",
            1.0 / 3,
            "predicted",
            10838016,
            2107392,
            inputs=((1, 8, 8, 4),),
            outputs=((1, 8, 8, 16),),
            dtype="float32",
        ),
    ),
    notes=("as if converted",),
)
FINDING = Finding(
    "LAT101", "budget-exceeded", "error", PREDICTION.model, "too slow", "pixel-4/gpu", ("conv",), 1.13333, 1.0
)
REPORT = Report(
    predictions=(PREDICTION,),
    findings=(FINDING,),
    errors=(InputError("x.onnx", "LAT003", "it is a .tflite"),),
    files=2,
    targets=("pixel-4/gpu",),
    verdicts=(Verdict(1.0, False, chance=PREDICTION.chance_above(1.0)),),
)


def test_predict_has_the_shape_of_the_contract() -> None:
    document = json.loads(render(REPORT, "predict", "json", Style()))
    assert document == {
        "schema": "latlint.predict/1",
        "latlint": __version__,
        "predictions": [
            {
                "model": "models/mödel\x1b[31m.tflite",
                "sha256": "ab" * 32,
                "format": "tflite",
                "precision": "float32",
                "as_if": False,
                "target": "pixel-4/gpu",
                "runtime": "tflite-2.10/gpu-delegate",
                "pack": "",
                "latency_ms": 1.13333333,
                "low_ms": 1.0,
                "high_ms": 1.25,
                "lower_bound": False,
                "placement": False,
                "unknown": [],
                "interval": 0.9,
                "overhead_ms": 0.8,
                "border_ms": 0.0,
                "coverage": 1.0,
                "macs": 10838016,
                "partitions": [{"processor": "gpu", "nodes": 2, "latency_ms": 1.13333333}],
                "notes": ["as if converted"],
                "kernels": [
                    {
                        "index": 0,
                        "partition": 0,
                        "nodes": ["conv", "relu"],
                        "op": "conv2d",
                        "linked": ["relu"],
                        "implementation": "convolution_2d",
                        "latency_ms": 0.333333333,
                        "source": "predicted",
                        "macs": 10838016,
                        "bytes": 2107392,
                        "inputs": [[1, 8, 8, 4]],
                        "outputs": [[1, 8, 8, 16]],
                        "dtype": "float32",
                    }
                ],
            }
        ],
        "errors": [{"path": "x.onnx", "code": "LAT003", "message": "it is a .tflite"}],
    }


def test_check_has_the_shape_of_the_contract() -> None:
    document = json.loads(render(REPORT, "check", "json", Style()))
    assert list(document) == ["schema", "latlint", "findings", "predictions", "errors", "summary"]
    assert document["schema"] == "latlint.check/1"
    assert document["findings"] == [
        {
            "code": "LAT101",
            "name": "budget-exceeded",
            "severity": "error",
            "model": PREDICTION.model,
            "target": "pixel-4/gpu",
            "nodes": ["conv"],
            "message": "too slow",
            "latency_ms": 1.13333,
            "budget_ms": 1.0,
            "gain_ms": None,
            "gain_low_ms": None,
            "gain_high_ms": None,
            "help_uri": "",
            "fingerprint": "",
            "suppressed": False,
            "justification": "",
            "runtime": "",
            "causes": [],
            "under": "",
            "why": [],
        }
    ]
    assert "kernels" not in document["predictions"][0]
    chance = PREDICTION.chance_above(1.0)
    assert document["predictions"][0]["verdict"] == {
        "word": "fail", "budget_ms": 1.0, "gate": "point", "passed": False, "warned": False, "chance_over_budget": pytest.approx(chance)
    }  # fmt: skip
    assert document["summary"] == {
        "files": 2,
        "targets": 1,
        "findings": 1,
        "by_severity": {"error": 1, "warning": 0, "note": 0},
    }


def test_json_is_ascii_so_that_names_are_inert() -> None:
    for command in ("predict", "check"):
        written = render(REPORT, command, "json", Style())
        assert written.isascii()
        assert "\x1b" not in written
        assert written.endswith("}\n")


def test_formats_are_the_modules_of_the_package() -> None:
    assert {"json", "text"} <= set(formats())
    for name in formats():
        assert render(REPORT, "check", name, Style()).endswith("\n")
