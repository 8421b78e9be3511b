"""A difference for programs: ``latlint.diff/1``."""

from __future__ import annotations

from typing import Any

from latlint import __version__
from latlint.difference.types import Difference, ModelChange
from latlint.outcome import error_json, kernel_json, number, prediction_json
from latlint.report.json import dump
from latlint.report.plain import Style
from latlint.whatif.change import KernelChange, TargetChange
from latlint.whatif.launches import Launch


def diff(difference: Difference, style: Style) -> str:
    """Every model, target and kernel that changed."""
    base = difference.base
    return dump(
        {
            "schema": "latlint.diff/1",
            "latlint": __version__,
            "base": {"revision": base.revision, "commit": base.commit} if base else None,
            "models": [_model(model) for model in difference.models],
            "errors": [error_json(error) for error in difference.errors],
        }
    )


def _model(model: ModelChange) -> dict[str, Any]:
    return {
        "old": model.old,
        "new": model.new,
        "status": model.status,
        "targets": [_target(change) for change in model.targets],
    }


def _target(change: TargetChange) -> dict[str, Any]:
    return {
        "target": change.target,
        "change_ms": None if change.change_ms is None else number(change.change_ms),
        "within_interval": change.within_interval,
        "old": prediction_json(change.old) if change.old else None,
        "new": prediction_json(change.new) if change.new else None,
        "counts": {**change.counts, "unchanged": change.unchanged},
        "fusions_lost": dict(change.fusions_lost),
        "fusions_gained": dict(change.fusions_gained),
        "implementations": [
            {"old": old, "new": new, "kernels": count} for (old, new), count in change.implementations.items()
        ],
        "kernels": [_kernel(kernel) for kernel in change.kernels],
    }


def _kernel(change: KernelChange) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "change_ms": number(change.change_ms),
        "what": list(change.what),
        "old": _launch(change.old),
        "new": _launch(change.new),
    }


def _launch(launch: Launch | None) -> dict[str, Any] | None:
    if launch is None:
        return None
    shapes = {
        "executor": launch.executor,
        "input": list(launch.input),
        "output": list(launch.output),
        "dtype": launch.dtype,
    }
    return {**kernel_json(launch.kernel), **shapes}
