"""What the measured files say, and how kernels' measured names are read."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from latlint.training.measurements import Measurements, cores_of, kernel_name, networks


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        ("convolution_2d_16_linked_:_add_17_linked_:_relu_18", ("convolution_2d", ("add", "relu"))),
        ("convolution_2d_16", ("convolution_2d", ())),
        ("convolution_2d_grouped_7_linked_:_relu_8", ("convolution_2d_grouped", ("relu",))),
        ("convolution_winograd_4x4_6x6_3", ("convolution_winograd_4x4_6x6", ())),
        ("depthwise_conv_plus_1x1_conv_4_5_linked_:_hard_swish_6", ("depthwise_conv_plus_1x1_conv", ("hard_swish",))),
        ("depthwise_convolution_0", ("depthwise_convolution", ())),
        ("pooling_2d_12", ("pooling_2d", ())),
        ("fully_connected_9_linked_:_relu6_10", ("fully_connected", ("relu6",))),
        ("mean_3", ("mean", ())),
    ],
)
def test_a_measured_name_is_an_implementation_and_its_links(
    measured: str, expected: tuple[str, tuple[str, ...]]
) -> None:
    assert kernel_name(measured) == expected


def test_a_processors_name_says_its_cores() -> None:
    assert cores_of("cpu-1large") == [(1, "large")]
    assert cores_of("cpu-1large2med") == [(1, "large"), (2, "med")]
    assert cores_of("cpu-12small") == [(12, "small")]


def test_all_series_of_all_models_of_all_phones_are_there(measurements: Measurements) -> None:
    assert len(measurements.series) == 90
    assert len({(each.target, each.precision) for each in measurements.series}) == 90
    assert len(measurements.models) == len(measurements.families) == 91
    phones = {"pixel-4", "galaxy-s10", "mi-8-se", "galaxy-a03s", "iphone-7", "iphone-xs"}
    assert set(measurements.devices) == {each.device for each in measurements.series} == phones
    assert {each.device for each in measurements.series if each.processor == "gpu"} == phones
    for each in measurements.series:
        assert each.mean_ns.shape == each.std_ns.shape == (91,)
        known = np.isfinite(each.mean_ns)
        assert np.all(each.mean_ns[known] > 0) and np.all(each.std_ns[known] >= 0)
        # GPUs ran no transformers, and another phone with the chip of the mi-8-se did
        left_out = 11 if each.processor == "gpu" else 9 if each.device == "mi-8-se" else 0
        assert (~known).sum() == left_out, each.target
        assert each.precision == "float32" or each.processor != "gpu"


@pytest.mark.parametrize(
    ("target", "precision", "column"),
    [
        ("pixel-4/cpu-1large", "float32", "pixel4|1large|float"),
        ("pixel-4/cpu-1large", "int8", "pixel4|1large|quant"),
        ("galaxy-s10/cpu-1large2med", "int8", "s10|1large2med|quant"),
        ("iphone-xs/gpu", "float32", "iphonexs|gpu|float"),
        ("mi-8-se/cpu-6small", "float32", "mi8se|6small|float"),
    ],
)
def test_a_series_is_its_column_in_nanoseconds(
    target: str, precision: str, column: str, measurements: Measurements, shared: Path
) -> None:
    (found,) = [s for s in measurements.series if (s.target, s.precision) == (target, precision)]
    with (shared / "data" / "mobile-ml-benchmark" / "tflite_cnn_e2e.csv").open(newline="") as file:
        for row, model in enumerate(row for row in csv.DictReader(file) if row["model"] in networks()):
            assert measurements.models[row] == model["model"]
            if target.endswith("/gpu") and model["model"] not in networks("gpu"):
                assert np.isnan(found.mean_ns[row])
                continue
            assert found.mean_ns[row] == pytest.approx(1000 * float(model[f"{column}|mean"]))
            assert found.std_ns[row] == pytest.approx(1000 * float(model[f"{column}|std"]))


def test_every_listed_kernel_is_there_once(measurements: Measurements, shared: Path) -> None:
    """The two ops of one ``depthwise_conv_plus_1x1_conv`` are listed with the same kernel and time."""
    path = shared / "data" / "mobile-ml-benchmark" / "tflite_cnn_ops_gpu.csv"
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["model"] in networks("gpu")]
    for device, facts in measurements.devices.items():
        names = [row[f"{facts['column']}|gpu|kernel"] for row in rows]
        twice = sum("plus_1x1" in name for name in names) // 2
        kernels = [each for model in measurements.kernels[device].values() for each in model]
        assert len(kernels) == len(rows) - twice
        assert all(each.time_ns > 0 for each in kernels)
        assert sum(each.implementation == "depthwise_conv_plus_1x1_conv" for each in kernels) == twice
    assert set(measurements.kernels["pixel-4"]) == networks("gpu") < set(measurements.models)


def test_a_processor_is_what_planning_must_know(measurements: Measurements) -> None:
    cpu = measurements.processor("galaxy-s10", "cpu-1large2med")
    assert (cpu.kind, cpu.threads, cpu.precision, cpu.name) == ("cpu", 3, "float32", "cpu-1large2med")
    gpu = measurements.processor("iphone-xs", "gpu")
    assert (gpu.kind, gpu.vendor, gpu.generation, gpu.precision) == ("gpu", "apple", "a12", "float16")
