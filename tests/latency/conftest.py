"""A device pack small enough to read, and a way to damage it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latlint.latency.models import model_of
from latlint.latency.packs import Pack, vocabulary, write_pack

Damage = Callable[[Callable[[dict[str, Any]], object]], Path]

INTERVAL = {"float32": {"level": 0.9, "low": -0.1, "high": 0.2}}


def _processor(kind: str) -> dict[str, Any]:
    runtime = {"cpu": "tflite-2.10/builtin", "gpu": "tflite-2.10/gpu-delegate"}[kind]
    return {"runtime": runtime, "kind": kind, "vendor": "arm", "generation": "", "precision": "float32", "threads": 1}


@pytest.fixture
def pack() -> Pack:
    """The phone ``toy`` with one CPU core and a GPU, all costs 1 ns, and a tree that doubles convolutions of many channels."""
    names = vocabulary(*map(model_of, ("builtin", "xnnpack", "gpu")))
    covers = {
        kind: {"measured_terms": names["terms"][kind], "envelope": {"convolution_2d:float32": [[0] * 6, [20] * 6]}}
        for kind in ("cpu", "gpu")
    }
    covers["cpu"]["envelope"] = {"conv_ruy_1x1:float32": [[0.0] * 6, [20.0] * 6]}
    processors = {
        "cpu-1large": {"processor": _processor("cpu"), "theta": "cpu/theta", "interval": INTERVAL},
        "gpu": {
            "processor": _processor("gpu"),
            "theta": "gpu/theta",
            "interval": INTERVAL,
            "queue": {"scale": 1.1, "dispatch_ms": 0.01, "start_ms": 0.5, "copy_gb_per_s": 5.0},
            "fallback": "cpu-1large",
        },
    }
    card = {
        "schema": "latlint.pack/1",
        "device": "toy",
        "title": "Toy",
        "processors": processors,
        "covers": covers,
        **names,
        "forests": {"gpu/conv": 1},
    }
    outputs = names["features"].index("outputs")
    arrays = {
        "cpu/theta": np.ones(len(names["terms"]["cpu"])),
        "gpu/theta": np.ones(len(names["terms"]["gpu"])),
        "gpu/conv/feature": np.array([outputs, 0, 0], np.uint8),
        "gpu/conv/number": np.array([64, 0, np.log(2)], np.float32),
        "gpu/conv/left": np.array([1, 1, 2], np.uint16),
        "gpu/conv/right": np.array([2, 1, 2], np.uint16),
        "gpu/conv/roots": np.array([0], np.uint16),
    }
    return Pack(card, arrays)


@pytest.fixture
def damaged(pack: Pack, tmp_path: Path) -> Damage:
    """``damaged(change)`` is a directory with ``pack`` whose card ``change`` has changed."""

    def write(change: Callable[[dict[str, Any]], object]) -> Path:
        write_pack(pack, tmp_path)
        card = json.loads((tmp_path / "card.json").read_text("utf-8"))
        change(card)
        card["sha256"] = hashlib.sha256((tmp_path / "arrays.bin").read_bytes()).hexdigest()
        (tmp_path / "card.json").write_text(json.dumps(card), "utf-8")
        return tmp_path

    return write
