"""JSON for programs: ``latlint.predict/1`` and ``latlint.check/1``."""

from __future__ import annotations

import json
from typing import Any

from latlint import __version__
from latlint.outcome import Report, error_json, kernel_json, prediction_json
from latlint.report.plain import Style


def predict(report: Report, style: Style) -> str:
    """Every prediction with its kernels."""
    predictions = [
        {
            **prediction_json(prediction),
            "kernels": [kernel_json(kernel, style.explain) for kernel in prediction.kernels],
        }
        for prediction in report.predictions
    ]
    return dump(
        {
            "schema": "latlint.predict/1",
            "latlint": __version__,
            "predictions": predictions,
            "errors": [error_json(error) for error in report.errors],
        }
    )


def check(report: Report, style: Style) -> str:
    """Findings, and the predictions that they rest on, without kernels."""
    return dump(report.to_dict())


def dump(document: dict[str, Any] | list[Any], *, indent: int | None = 2) -> str:
    """ASCII, so that no name in a model file can steer a terminal, whatever the locale, or (``##[``) the log of a CI runner."""
    written = json.dumps(document, indent=indent, ensure_ascii=True, allow_nan=False)
    return written.replace("##", "#\\u0023") + "\n"
