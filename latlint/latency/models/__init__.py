"""Cost models: one module an executor, found by the executor's name when a plan first has it."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec

from latlint.errors import LatlintError
from latlint.latency.terms import CostModel

__all__ = ["CostModel", "model_of"]

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@lru_cache(maxsize=64)
def model_of(executor: str) -> CostModel:
    """The cost model of ``executor``, the name of a partition's. Raises ``LatlintError`` (LAT901) where nobody prices its kernels."""
    name = f"{__name__}.{executor}"
    if not _NAME.fullmatch(executor) or find_spec(name) is None:
        raise LatlintError(
            f"no cost model for kernels that run on {executor!r}: latency/models/ has none", code="LAT901"
        )
    model: CostModel = import_module(name).MODEL
    return model
