"""The whole way, for every model file of the corpus and every target of the phones: from bytes to a prediction that adds up."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from statistics import median

import pytest

from latlint.graph import read
from latlint.run.work import predict_graph
from tests.targets import phones

pytestmark = pytest.mark.slow

#: On these a network takes the same time in both formats.
COMPARED = ("pixel-4/gpu", "galaxy-s10/gpu", "pixel-4/cpu-1large")
#: What every file is predicted for: each GPU has a plan of its own.
ALWAYS = [target for name, target in phones().items() if not target.host or name in COMPARED]
#: All other CPU configurations have the one plan, and costs of their own: each is asked for one file in six.
OTHERS = [target for target in phones().values() if target not in ALWAYS]
TURN = 6


def predicted(path: Path, number: int, least_coverage: float) -> dict[str, float]:
    """Latency in ms by target of a directory's file of this ``number``."""
    targets = [*ALWAYS, *OTHERS[number % TURN :: TURN]]
    found = {}
    for prediction, _, _ in predict_graph(read(path), targets, path.name, ""):
        case = f"{path.name} on {prediction.target}"
        total = sum(kernel.latency_ms for kernel in prediction.kernels) + prediction.overhead_ms
        assert total == pytest.approx(prediction.latency_ms, rel=1e-6), case
        assert prediction.high_ms is not None, case
        assert 0 < prediction.low_ms < prediction.latency_ms < prediction.high_ms, case
        assert isfinite(prediction.high_ms), case
        assert all(kernel.latency_ms >= 0 for kernel in prediction.kernels), case
        assert least_coverage <= prediction.coverage <= 1, case
        found[prediction.target] = prediction.latency_ms
    assert len(found) == len(targets)
    return found


def files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if path.suffix in (".tflite", ".onnx"))


@pytest.mark.long
@pytest.mark.parametrize(("directory", "count"), [("tflite_int8", 80), ("onnx_vit", 20)])
def test_every_file_is_predicted(corpus: Path, directory: str, count: int) -> None:
    paths = files(corpus / directory)
    assert len(paths) >= count
    for number, path in enumerate(paths):
        predicted(path, number, least_coverage=0.0)


@pytest.mark.long
def test_every_network_is_predicted_in_both_formats_and_takes_the_same_time(corpus: Path) -> None:
    both = files(corpus / "tflite_fp32"), files(corpus / "onnx")
    assert [path.stem for path in both[0]] == [path.stem for path in both[1]]
    differences: dict[str, list[float]] = {target: [] for target in COMPARED}
    for number, (one, other) in enumerate(zip(*both, strict=True)):
        tflite, onnx = predicted(one, number, least_coverage=0.98), predicted(other, number, least_coverage=0.9)
        for target, found in differences.items():
            found.append(abs(onnx[target] / tflite[target] - 1))
    for target, found in differences.items():
        assert len(found) >= 80
        assert median(found) <= 0.05, target
