"""A part of the measurements that is quick to fit: a few models of four families, planned and priced."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latlint.training.design import Design, build
from latlint.training.measurements import Measurements, load

FAMILIES = ("mobilenet", "mobilenetv2", "resnext", "squeezenet")


@pytest.fixture(scope="session")
def measurements(shared: Path) -> Measurements:
    """All measurements."""
    return load(shared / "data")


@pytest.fixture(scope="session")
def few(measurements: Measurements) -> Measurements:
    """Measurements of the models of ``FAMILIES``."""
    keep = np.array([family in FAMILIES for family in measurements.families])
    return replace(
        measurements,
        models=tuple(np.array(measurements.models)[keep].tolist()),
        families=tuple(np.array(measurements.families)[keep].tolist()),
        series=tuple(replace(s, mean_ns=s.mean_ns[keep], std_ns=s.std_ns[keep]) for s in measurements.series),
    )


@pytest.fixture(scope="session")
def design(few: Measurements, corpus: Path) -> Design:
    return build(few, corpus)
