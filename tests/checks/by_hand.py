"""A prediction that is written by hand, for rules that look at nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from latlint.checks.types import Subject
from latlint.graph.types import Graph
from latlint.latency.types import Prediction
from latlint.runtime import plan
from latlint.settings import Settings
from tests.targets import bundled


def prediction(**fields: Any) -> Prediction:
    """12 ms on a GPU; ``fields`` are its interval, its overhead and its kernels."""
    return Prediction(
        model="models/m.tflite",
        sha256="0" * 64,
        format="tflite",
        precision="float32",
        target="pixel-4/gpu",
        runtime="tflite-2.10/gpu-delegate",
        latency_ms=12.0,
        interval=0.9,
        coverage=1.0,
        macs=0,
        partitions=(),
        **fields,
    )


def subject(tmp_path: Path, prediction: Prediction, **settings: Any) -> Subject:
    """Its model lies in ``tmp_path``; its graph is empty."""
    target = bundled()[prediction.target]
    graph = Graph("empty", "tflite", "tflite", (), (), (), ())
    prediction = replace(prediction, model=str(tmp_path / prediction.model))
    return Subject(graph, plan(graph, target.processor), target, prediction, Settings(root=tmp_path, **settings))
