"""The measured latencies: end-to-end times of whole models, and GPU times of single kernels.

Data: qed-usc/mobile-ml-benchmark (MIT), the data set of Li, Paolieri and Golubchik, *A Benchmark for ML Inference Latency on Mobile
Devices* (EdgeSys 2024). Files give microseconds; everything here is in nanoseconds.
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latlint.runtime.kinds import kind_of
from latlint.runtime.types import Processor

GPU_RUNTIME = "tflite-2.10/gpu-delegate"
#: The phones' CPU times are those of the built-in kernels: additions, concatenations and im2col copies take the same time on one
#: thread as on four in them, and grouped convolutions run on the reference kernel; none of that is XNNPACK.
CPU_RUNTIME = "tflite-2.10/builtin"
PRECISIONS = {"float32": "float", "int8": "quant"}


@dataclass(frozen=True, slots=True)
class Series:
    """All models' end-to-end times of one processor and precision: mean and standard deviation in ns, (models,); NaN where not measured."""

    device: str
    processor: str
    precision: str
    mean_ns: NDArray[np.float64]
    std_ns: NDArray[np.float64]

    @property
    def target(self) -> str:
        return f"{self.device}/{self.processor}"


@dataclass(frozen=True, slots=True)
class KernelTime:
    """One measured GPU kernel: its name without node numbers, and its time."""

    implementation: str
    linked: tuple[str, ...]
    time_ns: float


@dataclass(frozen=True, slots=True)
class Measurements:
    """``models`` and ``families`` are parallel; ``kernels[device][model]`` are in the order of the model's ops, of the models whose GPU times
    are used. ``transformers`` are those of ``models`` that are no convolutional networks: they were measured on CPUs alone, and not on all.
    """

    models: tuple[str, ...]
    families: tuple[str, ...]
    series: tuple[Series, ...]
    kernels: Mapping[str, Mapping[str, tuple[KernelTime, ...]]]
    devices: Mapping[str, Mapping[str, Any]]
    transformers: frozenset[str] = frozenset()

    def processor(self, device: str, name: str) -> Processor:
        """What planning must know of a processor."""
        if kind_of(name).host:
            threads = sum(count for count, _ in cores_of(name))
            return Processor(name, CPU_RUNTIME, "cpu", "arm", "armv8", "float32", threads)
        gpu = self.devices[device]["gpu"]
        return Processor(name, GPU_RUNTIME, "gpu", gpu["vendor"], gpu["generation"], gpu["precision"])


def cores_of(processor: str) -> list[tuple[int, str]]:
    """``cpu-1large2med`` is one thread on a large core and one on each of two medium ones: ``[(1, "large"), (2, "med")]``."""
    return [(int(count), kind) for count, kind in re.findall(r"(\d+)([a-z]+)", processor)]


def networks(kind: str = "cpu") -> frozenset[str]:
    """The networks that the bundled packs' processors of a ``kind`` are made from: the data may hold more. A line of ``networks.txt`` that
    ends in a kind is for that alone."""
    lines = Path(__file__).with_name("networks.txt").read_text("utf-8").splitlines()
    return frozenset(name for name, *only in map(str.split, lines) if not only or kind in only)


def load(data: Path) -> Measurements:
    """Measurements of ``networks()`` from ``data``, the directory that holds ``mobile-ml-benchmark/``. Raises ``ValueError`` where some are missing."""
    root = data / "mobile-ml-benchmark"
    devices = tomllib.loads(Path(__file__).with_name("devices.toml").read_text("utf-8"))
    with (root / "families.csv").open(newline="", encoding="utf-8") as file:
        family = {row["model"]: row["family"] for row in csv.DictReader(file)}
    convolutional, transformers = (_rows(root / f"tflite_{name}_e2e.csv") for name in ("cnn", "transformer"))
    rows = [*convolutional, *transformers]
    if missing := networks() - {row["model"] for row in rows}:
        raise ValueError(f"{root}: no measurements of {', '.join(sorted(missing))}")
    models = tuple(row["model"] for row in rows)
    names = {device["column"]: name for name, device in devices.items()}
    return Measurements(
        models=models,
        families=tuple(family[model] for model in models),
        series=tuple(_series(rows, column, names) for column in rows[0] if column.endswith("|mean")),
        kernels=_kernels(root / "tflite_cnn_ops_gpu.csv", names, networks("gpu")),
        devices=devices,
        transformers=frozenset(row["model"] for row in transformers),
    )


def measured_everywhere(measurements: Measurements) -> Measurements:
    """Those of the networks that every processor ran."""
    keep = np.all([np.isfinite(each.mean_ns) for each in measurements.series], axis=0)
    return replace(
        measurements,
        models=tuple(model for model, kept in zip(measurements.models, keep, strict=True) if kept),
        families=tuple(family for family, kept in zip(measurements.families, keep, strict=True) if kept),
        series=tuple(replace(s, mean_ns=s.mean_ns[keep], std_ns=s.std_ns[keep]) for s in measurements.series),
    )


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["model"] in networks()]


def _series(rows: list[dict[str, str]], column: str, names: Mapping[str, str]) -> Series:
    device, cores, precision, _ = column.split("|")
    used = networks("gpu" if cores == "gpu" else "cpu")

    def times(name: str) -> NDArray[np.float64]:
        return np.array([float(row.get(name, "nan")) * 1e3 if row["model"] in used else np.nan for row in rows])

    return Series(
        device=names[device],
        processor="gpu" if cores == "gpu" else f"cpu-{cores}",
        precision=next(name for name, word in PRECISIONS.items() if word == precision),
        mean_ns=times(column),
        std_ns=times(column.replace("|mean", "|std")),
    )


def _kernels(
    path: Path, names: Mapping[str, str], models: frozenset[str]
) -> dict[str, dict[str, tuple[KernelTime, ...]]]:
    found: dict[str, dict[str, list[KernelTime]]] = {name: {} for name in names.values()}
    raw: dict[tuple[str, str], str] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for column, device in names.items() if row["model"] in models else ():
                name = row[f"{column}|gpu|kernel"]
                # one kernel that covers two ops is listed at both
                listed_twice = "plus_1x1" in name and raw.get((device, row["model"])) == name
                raw[device, row["model"]] = name
                if not listed_twice:
                    time_ns = float(row[f"{column}|gpu|float"]) * 1e3
                    found[device].setdefault(row["model"], []).append(KernelTime(*kernel_name(name), time_ns))
    return {device: {model: tuple(times) for model, times in each.items()} for device, each in found.items()}


def kernel_name(measured: str) -> tuple[str, tuple[str, ...]]:
    """``convolution_2d_16_linked_:_add_17_linked_:_relu_18`` is ``("convolution_2d", ("add", "relu"))``."""
    # from the end, where every number is looked at once
    first, *linked = (re.sub(r"\A(?:\d++_)*+", "", word[::-1])[::-1] for word in measured.split("_linked_:_"))
    return first, tuple(linked)
