"""What measurements cover, as a card tells it: without it, nobody could tell interpolation from extrapolation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latlint.latency.engine import Workload, envelope_class


def covers(measured: list[str], works: Sequence[Workload]) -> dict[str, Any]:
    """What the data exercise: the terms, and the sizes of kernels."""
    return {"measured_terms": measured, "envelope": _envelope(works)}


def _envelope(works: Sequence[Workload]) -> dict[str, list[list[float]]]:
    """Smallest and largest sizes of each class of kernels, as ``engine.sizes`` gives them."""
    found: dict[str, list[NDArray[np.float64]]] = {}
    for work in works:
        for position, kernel in enumerate(work.plan.kernels):
            if not kernel.free:
                found.setdefault(envelope_class(kernel), []).append(work.sizes[position])
    return {
        name: [[round(float(v), 4) for v in np.min(sizes, axis=0)], [round(float(v), 4) for v in np.max(sizes, axis=0)]]
        for name, sizes in sorted(found.items())
    }
