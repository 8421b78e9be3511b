"""latlint: how long a model file will take on a named phone, why, and whether that is within budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latlint.api import check as check
    from latlint.api import predict as predict
    from latlint.checks.types import Finding as Finding
    from latlint.errors import LatlintError as LatlintError
    from latlint.latency.types import Prediction as Prediction
    from latlint.outcome import Report as Report
    from latlint.settings import Budget as Budget
    from latlint.settings import Settings as Settings

__version__ = "0.1.0"

#: Where each public name lives; nothing is imported until it is used, so that `import latlint` costs nothing.
_HOMES = {
    "predict": "latlint.api",
    "check": "latlint.api",
    "Prediction": "latlint.latency.types",
    "Finding": "latlint.checks.types",
    "Report": "latlint.outcome",
    "Settings": "latlint.settings",
    "Budget": "latlint.settings",
    "LatlintError": "latlint.errors",
}

__all__ = ["Budget", "Finding", "LatlintError", "Prediction", "Report", "Settings", "__version__", "check", "predict"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'latlint' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
