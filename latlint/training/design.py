"""Measurements and model files side by side: what each measured time is to be explained with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from latlint.graph import read
from latlint.latency.engine import Part, Workload, workload
from latlint.runtime import plan
from latlint.runtime.types import Kernel, Plan, Processor
from latlint.training.columns import Columns
from latlint.training.corpus import unpacked
from latlint.training.measurements import CPU_RUNTIME, KernelTime, Measurements, load

#: The kinds of op whose kernels the measurements list.
LISTED = frozenset(["conv2d", "depthwise_conv2d", "fully_connected", "mean", "concat", "max_pool2d", "average_pool2d"])
#: What the costs of the phones' CPUs and GPUs are for.
CPU, GPU = Columns.of(("builtin", "xnnpack")), Columns.of(("gpu",))
_CPU = Processor("cpu", CPU_RUNTIME, "cpu", "arm")
_ARCHIVES = {"float32": "fp32", "int8": "int8"}


@dataclass(frozen=True)
class Design:
    """``cpu[precision][model]`` and ``gpu[device][model]`` are priced plans, the latter of the models whose GPU times are used; ``rows`` every
    measured GPU kernel."""

    measurements: Measurements
    cpu: Mapping[str, Mapping[str, Workload]]
    gpu: Mapping[str, Mapping[str, Workload]]
    rows: KernelRows

    def workload(self, device: str, processor: str, precision: str, model: str) -> Workload | None:
        """The priced plan of one model for one measured series; core configurations of CPUs share theirs. ``None``: no GPU ran it."""
        return self.gpu[device].get(model) if processor == "gpu" else self.cpu[precision][model]


@dataclass(frozen=True, slots=True)
class KernelRows:
    """Measured GPU kernels, one row for each kernel that some device launches.

    ``model``: index of the model; ``terms`` (rows, terms); ``classes`` (rows,); ``time_ns``
    (rows, devices), NaN where a device launches another kernel for the op.
    """

    model: NDArray[np.intp]
    terms: NDArray[np.float64]
    classes: NDArray[np.str_]
    time_ns: NDArray[np.float64]


def build(measurements: Measurements, corpus: Path) -> Design:
    """Read and plan every model file of the corpus. Raises ValueError where a plan is not what was measured."""
    gpus = {device: measurements.processor(device, "gpu") for device in measurements.devices}
    cpu: dict[str, dict[str, Workload]] = {precision: {} for precision in _ARCHIVES}
    gpu: dict[str, dict[str, Workload]] = {device: {} for device in gpus}
    for precision, archive in _ARCHIVES.items():
        for model in measurements.models:
            kind = "tflite_vit" if model in measurements.transformers else "tflite"
            graph = read(corpus / f"{kind}_{archive}" / f"{model}.tflite")
            cpu[precision][model] = workload(plan(graph, _CPU))
            for device in gpus if precision == "float32" else ():
                if model in measurements.kernels[device]:
                    gpu[device][model] = workload(plan(graph, gpus[device]))
    return Design(measurements, cpu, gpu, _rows(measurements, gpu))


@cache
def of(shared: Path) -> Design:
    """What ``build`` makes of the measurements and model files in ``shared``, once in a process."""
    return build(load(shared / "data"), unpacked(shared / "corpus"))


def listed(planned: Plan) -> list[int]:
    """Positions of the kernels that the measurements list, in the order of the model's ops."""
    found = [i for i, kernel in enumerate(planned.kernels) if kernel.op in LISTED and not kernel.free]
    return sorted(found, key=lambda i: planned.kernels[i].nodes[0])


def _rows(measurements: Measurements, gpu: Mapping[str, Mapping[str, Workload]]) -> KernelRows:
    rows: dict[tuple[int, int, str], tuple[Part, int, dict[int, float]]] = {}
    for column, (device, works) in enumerate(gpu.items()):
        for number, model in enumerate(measurements.models):
            if model not in works:
                continue
            measured = measurements.kernels[device][model]
            work = works[model]
            (part,) = work.offloaded
            positions = listed(work.plan)
            if len(positions) != len(measured):
                raise ValueError(f"{model} on {device}: {len(positions)} kernels planned, {len(measured)} measured")
            for position, time in zip(positions, measured, strict=True):
                kernel = work.plan.kernels[position]
                _same(kernel, time, model, device)
                key = number, kernel.nodes[0], kernel.implementation
                rows.setdefault(key, (part, part.positions.index(position), {}))[2][column] = time.time_ns
    found = list(rows.values())
    times = np.full((len(found), len(gpu)), np.nan)
    for row, (_, _, by_device) in enumerate(found):
        for column, time_ns in by_device.items():
            times[row, column] = time_ns
    return KernelRows(
        model=np.array([number for number, _, _ in rows], np.intp),
        terms=np.array([part.terms[at] for part, at, _ in found]),
        classes=np.array([part.classes[at] for part, at, _ in found]),
        time_ns=times,
    )


def _same(kernel: Kernel, time: KernelTime, model: str, device: str) -> None:
    """A Winograd convolution's measured name is its middle kernel's, which shows no links."""
    linked = kernel.linked if kernel.implementation != "convolution_winograd_4x4_6x6" else ()
    if kernel.implementation != time.implementation or linked != time.linked:
        planned = (kernel.implementation, linked)
        raise ValueError(f"{model} on {device}: planned {planned}, measured {(time.implementation, time.linked)}")


def cpu_counts(design: Design, precision: str, models: Sequence[str]) -> NDArray[np.float64]:
    """Sums of the terms over each model's kernels, (models, terms), the model's own term included."""
    return np.stack([CPU.counts(design.cpu[precision][model]) for model in models])
