"""The whole way, for every model file of the corpus and every target: from bytes to a prediction that adds up."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from statistics import median

import pytest

import latlint
from tests.targets import phones

pytestmark = pytest.mark.slow

TARGETS = sorted(phones())


@pytest.mark.parametrize(
    ("directory", "files", "least_coverage"),
    [("tflite_fp32", 80, 0.98), ("tflite_int8", 80, 0.0), ("onnx", 80, 0.9), ("onnx_vit", 20, 0.0)],
)
def test_every_file_is_predicted_for_every_target(
    corpus: Path, directory: str, files: int, least_coverage: float
) -> None:
    paths = sorted(path for path in (corpus / directory).iterdir() if path.suffix in (".tflite", ".onnx"))
    assert len(paths) >= files
    for path in paths:
        predictions = latlint.predict(path, TARGETS)
        assert [prediction.target for prediction in predictions] == TARGETS
        for prediction in predictions:
            case = f"{path.name} on {prediction.target}"
            total = sum(kernel.latency_ms for kernel in prediction.kernels) + prediction.overhead_ms
            assert total == pytest.approx(prediction.latency_ms, rel=1e-6), case
            assert 0 < prediction.low_ms < prediction.latency_ms < prediction.high_ms, case
            assert isfinite(prediction.high_ms), case
            assert all(kernel.latency_ms >= 0 for kernel in prediction.kernels), case
            assert least_coverage <= prediction.coverage <= 1, case


def test_the_same_network_takes_the_same_time_in_both_formats(corpus: Path) -> None:
    targets = ["pixel-4/gpu", "galaxy-s10/gpu", "pixel-4/cpu-1large"]
    differences: dict[str, list[float]] = {target: [] for target in targets}
    for path in sorted((corpus / "tflite_fp32").glob("*.tflite")):
        for one, other in zip(
            latlint.predict(path, targets),
            latlint.predict(corpus / "onnx" / f"{path.stem}.onnx", targets),
            strict=True,
        ):
            differences[one.target].append(abs(other.latency_ms / one.latency_ms - 1))
    for target in targets:
        assert len(differences[target]) >= 80
        assert median(differences[target]) <= 0.05, target
