"""JSON lines for programs that read as they go: the objects of the JSON format, one a line, each with its ``type``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from latlint import __version__
from latlint.report.json import dump, error_json, finding_json, kernel_json, prediction_json
from latlint.report.plain import Style
from latlint.report.types import Report


def check(report: Report, style: Style) -> str:
    """A ``run``, then every ``prediction``, ``finding`` and ``error``."""
    return _lines(
        [
            _run("latlint.check/1", report),
            *({"type": "prediction", **prediction_json(prediction)} for prediction in report.predictions),
            *({"type": "finding", **finding_json(finding)} for finding in report.findings),
            *({"type": "error", **error_json(error)} for error in report.errors),
        ]
    )


def predict(report: Report, style: Style) -> str:
    """A ``run``, then every ``prediction``, each followed by its ``kernel`` lines, then every ``error``."""
    records = [_run("latlint.predict/1", report)]
    for prediction in report.predictions:
        records.append({"type": "prediction", **prediction_json(prediction)})
        head = {"type": "kernel", "model": prediction.model, "target": prediction.target}
        records += [{**head, **kernel_json(kernel, style.explain)} for kernel in prediction.kernels]
    records += [{"type": "error", **error_json(error)} for error in report.errors]
    return _lines(records)


def _run(schema: str, report: Report) -> dict[str, Any]:
    return {
        "type": "run",
        "schema": schema,
        "latlint": __version__,
        "files": report.files,
        "targets": list(report.targets),
        "notes": list(report.notes),
    }


def _lines(records: Iterable[dict[str, Any]]) -> str:
    return "".join(dump(record, indent=None) for record in records)
