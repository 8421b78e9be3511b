"""The least that dense layers take on a CPU, whatever its runtime makes of the rest: no plan is needed to know it, nor a cost model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from latlint.latency.cards import terms_of
from latlint.runtime.types import Kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from latlint.latency.packs import Target

#: By the beginning of an executor's terms: those of which each multiply-accumulate of a dense 2D convolution or a fully connected layer, of whatever
#: type and shape, counts at least one unit; of several together, one of each (``latency/models/``, which a test holds to this).
DENSE: Mapping[str, tuple[tuple[str, ...], ...]] = MappingProxyType(
    {
        "f32.": (("conv.macs",), ("row.macs",), ("matmul.macs",)),
        "i8.": (("conv.macs",), ("row.macs",), ("fully_connected.weights",), ("matmul.macs",)),
        "xnn.": (
            ("conv.macs", "wide.macs"),
            ("conv.macs", "narrow.macs"),
            ("row.macs",),
            ("q8.macs",),
            ("matmul.macs",),
        ),
    }
)
#: How the terms of kernels of quantised numbers begin.
_INTEGERS = ("i8.", "xnn.q8.")


def is_dense(kernel: Kernel) -> bool:
    """Whether ``kernel`` is what ``least_ms`` is about."""
    return kernel.op == "fully_connected" or (kernel.op == "conv2d" and kernel.attributes.get("groups", 1) == 1)


def least_ms(target: Target, macs: int, *, floats: bool = False) -> float:
    """The least that ``macs`` multiply-accumulates of dense layers take on a host; 0 where its pack does not tell. ``floats``: nothing in the model is
    quantised."""
    card: Mapping[str, Any] = target.card
    columns = _columns(tuple(target.pack.card["terms"][terms_of(card)]), floats)
    if columns is None or "bounds" in card:
        return 0.0
    return macs * float((columns @ target.pack.arrays[card["theta"]]).min()) * 1e-6


@lru_cache(maxsize=32)
def _columns(terms: tuple[str, ...], floats: bool) -> NDArray[np.float64] | None:
    """(alternatives, terms): one where an alternative of ``DENSE`` counts the term; ``None`` where a term is of other kernels, or one is not there."""
    counted = [{f"{prefix}{name}" for name in names} for prefix, each in DENSE.items() for names in each]
    if floats:
        counted = [names for names in counted if not any(name.startswith(_INTEGERS) for name in names)]
    if not all(name.startswith(tuple(DENSE)) for name in terms) or not set().union(*counted) <= {*terms}:
        return None
    return np.array([[float(name in names) for name in terms] for names in counted])
