"""From fitted predictors to device packs: what the linter ships, and what it is evaluated with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latlint.latency.packs import Pack, vocabulary
from latlint.training import cpu, gpu
from latlint.training.coverage import covers
from latlint.training.design import CPU, GPU, Design
from latlint.training.measurements import cores_of

SOURCE = (
    "qed-usc/mobile-ml-benchmark (MIT), the data set of Li, Paolieri and Golubchik, A Benchmark for ML Inference Latency on "
    "Mobile Devices (EdgeSys 2024)"
)
METHOD = (
    "Li, Paolieri and Golubchik, Predicting Inference Latency of Neural Architectures on Mobile Devices (ICPE 2023)"
)
#: Until families are held out and evaluated (see held_out.py), what a prediction is taken to be good for.
UNCALIBRATED = {"level": 0.9, "low": -0.2, "high": 0.2}


def build(design: Design, models: NDArray[np.bool_]) -> dict[str, Pack]:
    """Packs of all devices, from the measurements of ``models`` alone, a mask over the measured models."""
    cpus = cpu.fit(design, models)
    gpus = gpu.fit(design, models)
    names = [model for model, keep in zip(design.measurements.models, models, strict=True) if keep]
    on_cpus = covers(cpu.measured_terms(design), [design.cpu[p][name] for p in design.cpu for name in names])
    return {
        device: _pack(design, device, column, cpus, gpus[device], names, on_cpus)
        for column, device in enumerate(design.measurements.devices)
    }


def _pack(
    design: Design,
    device: str,
    column: int,
    cpus: Mapping[str, Any],
    gpu_model: gpu.GpuModel,
    models: Sequence[str],
    on_cpus: Mapping[str, Any],
) -> Pack:
    """``on_cpus``: what the models cover on CPUs, the same for all devices."""
    facts = design.measurements.devices[device]
    arrays: dict[str, NDArray[Any]] = {"gpu/theta": gpu_model.theta}
    processors: dict[str, Any] = {"gpu": _gpu_card(design, device, gpu_model)}
    for target, theta in cpus.items():
        owner, name = target.split("/")
        if owner == device:
            arrays[f"{name}/theta"] = theta
            processors[name] = _cpu_card(design, device, name)
    card = {
        "device": device,
        "title": facts["title"],
        "soc": facts["soc"],
        "sources": [SOURCE],
        "method": METHOD,
        "processors": processors,
        "covers": {
            "gpu": covers(
                gpu.measured_terms(design, column),
                [design.gpu[device][name] for name in models if name in design.gpu[device]],
            ),
            "cpu": on_cpus,
        },
        **vocabulary(*CPU.models, *GPU.models),
        "forests": {},
    }
    return Pack(card, arrays)


def _gpu_card(design: Design, device: str, model: gpu.GpuModel) -> dict[str, Any]:
    processor = design.measurements.processor(device, "gpu")
    cpus = [each.processor for each in cpu.cpu_series(design.measurements, "float32") if each.device == device]
    return {
        "title": design.measurements.devices[device]["gpu"]["title"],
        "processor": _processor(processor),
        "theta": "gpu/theta",
        "queue": dict(model.queue),
        # TensorFlow Lite runs what the delegate leaves on the CPU with one thread unless told otherwise
        "fallback": cpus[0],
        "interval": {"float32": UNCALIBRATED},
    }


def _cpu_card(design: Design, device: str, name: str) -> dict[str, Any]:
    cores = design.measurements.devices[device]["cores"]
    used = [
        f"{count} {kind} core{'s' if count > 1 else ''} at {cores[kind]['ghz']:.2f} GHz"
        for count, kind in cores_of(name)
    ]
    return {
        "title": ", ".join(used),
        "processor": _processor(design.measurements.processor(device, name)),
        "theta": f"{name}/theta",
        "interval": {"float32": UNCALIBRATED, "int8": UNCALIBRATED},
    }


def _processor(processor: Any) -> dict[str, Any]:
    keys = ("runtime", "kind", "vendor", "generation", "precision", "threads")
    return {key: getattr(processor, key) for key in keys}
