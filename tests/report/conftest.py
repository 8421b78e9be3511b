"""Reports by hand: one that is as usual, and one from a model that wishes its readers ill."""

from __future__ import annotations

from dataclasses import replace

import pytest

from latlint.checks.types import Finding
from latlint.graph.types import ByteRange
from latlint.latency.types import KernelPrediction, PartitionPrediction, Prediction
from latlint.outcome import InputError, Report, Verdict

#: Names that terminals, CI logs, browsers, Markdown, spreadsheets, XML or SARIF viewers would act on, and one of 1 MB.
HOSTILE = (
    "\x1b[31mred\x1b]8;;http://evil.example\x07link\x9b2J",
    "::error file=a.py,line=1::planted",
    "\n::error::planted\r\n##[error]planted",
    "##[add-path]/planted",
    "%0A::error::planted%0D%25",
    "<script>alert(1)</script><img src=x onerror=alert(1)>&amp;",
    "| a | `b` **c** [d](http://evil.example) ![e](http://evil.example/e.png) @planted #1 https://evil.example www.evil.example",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    "{0} {name} }{ {{",
    "]]> --> \x00\x0b\ufffe\uffff\ud800\udcff \u202egnp.exe\u2028\u2029\u200b\ufeff",
    "a" * 1_000_000,
)


def prediction(model: str, target: str = "pixel-4/gpu", names: tuple[str, ...] = ("conv", "relu")) -> Prediction:
    """A prediction of 12 ms; a kernel for each of ``names``."""
    each_ms = 11.2 / len(names)
    kernels = tuple(
        KernelPrediction(i, 0, (name,), "conv2d", (), "convolution_2d", each_ms, "predicted", 1000, 2000)
        for i, name in enumerate(names)
    )
    partitions = (PartitionPrediction("gpu", len(names), 12.0),)
    return Prediction(
        model, "ab" * 32, "tflite", "float32", target, "tflite-2.10/gpu-delegate", 12.0, 11.0, 13.0, 0.9, 0.8, 1.0, 10**6,
        partitions, kernels, ("as if converted",),
    )  # fmt: skip


def hostile_prediction(model: str) -> Prediction:
    """A prediction whose kernels are named, run as, and explained by ``HOSTILE``, as those of ops that nobody knows are."""
    plain = prediction(model, names=HOSTILE)
    kernels = (
        kernel._replace(implementation=kernel.nodes[0], reason=kernel.nodes[0], explain=kernel.nodes)
        for kernel in plain.kernels
    )
    return replace(plain, kernels=tuple(kernels), notes=HOSTILE)


def over_budget(model: str, target: str = "pixel-4/gpu", name: str = "conv", **fields: object) -> Finding:
    """What LAT101 would say of ``prediction``."""
    given: dict[str, object] = {
        "nodes": (name,),
        "latency_ms": 12.0,
        "budget_ms": 10.0,
        "fingerprint": "0123456789abcdef",
        "location": ByteRange(4096, 20),
    }
    message = f"12.0 ms is 2.00 ms (20%) over the budget of 10 ms; what costs most: convolution_2d '{name}' 5.00 ms"
    return Finding("LAT101", "budget-exceeded", "error", model, message, target, **{**given, **fields})  # type: ignore[arg-type]


@pytest.fixture
def report() -> Report:
    """Two models, one over its budget on one of two targets and within it on the other, and a file that was not read."""
    models = ("models/a.tflite", "models/b c%.tflite")
    targets = ("galaxy-s10/gpu", "pixel-4/gpu")
    slow_op = Finding(
        "LAT010", "low-coverage", "warning", models[1], "coverage 50% is below 80%", targets[0], fingerprint="fe" * 8
    )
    unread = Finding("LAT001", "unreadable-model", "error", "x.onnx", "it stops short", fingerprint="ba" * 8)
    waived = over_budget(models[1], targets[1], suppressed=True, justification="waived: known")
    return Report(
        predictions=tuple(prediction(model, target) for model in models for target in targets),
        findings=(over_budget(models[0], targets[1]), slow_op, waived, unread),
        errors=(InputError("x.onnx", "LAT001", "it stops short"),),
        files=3,
        targets=targets,
        verdicts=(Verdict(20.0, True), Verdict(10.0, False), Verdict(None, True), Verdict(10.0, False)),
        notes=("--target takes the place of targets in latlint.toml",),
    )


@pytest.fixture
def hostile_report() -> Report:
    """A model for each hostile name, which is in its path (as far as a path can be), its nodes, its messages and its notes."""
    paths = [name[:1000].replace("\0", "").replace("\ud800", "") for name in HOSTILE]
    models = [f"{path}.tflite" for path in paths]
    found = [over_budget(model, name=name) for model, name in zip(models, HOSTILE, strict=True)]
    planted = [
        Finding("LAT001", "unreadable-model", "error", path, name) for path, name in zip(paths, HOSTILE, strict=True)
    ]
    return Report(
        predictions=tuple(hostile_prediction(model) for model in models),
        findings=(*found, *planted),
        errors=tuple(InputError(path, "LAT001", name) for path, name in zip(paths, HOSTILE, strict=True)),
        files=len(models) + len(planted),
        targets=("pixel-4/gpu",),
        verdicts=tuple(Verdict(10.0, False) for _ in models),
        notes=HOSTILE,
    )
