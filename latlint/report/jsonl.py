"""JSON lines for programs that read as they go: the objects of the JSON format, one a line, each with its ``type``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from latlint import __version__
from latlint.outcome import Report, error_json, finding_json, judged_json, kernel_json, prediction_json
from latlint.report.json import dump
from latlint.report.plain import Style


def check(report: Report, style: Style) -> str:
    """A ``run``, then for every file its ``prediction`` lines, its ``finding`` lines, and its ``error``."""
    return "".join(check_parts(report, report.parts(), style))


def predict(report: Report, style: Style) -> str:
    """A ``run``, then for every file its ``prediction`` lines, each followed by its ``kernel`` lines, or its ``error``."""
    return "".join(predict_parts(report, report.parts(), style))


def check_parts(run: Report, parts: Iterable[Report], style: Style) -> Iterator[str]:
    """See ``check``: piece by piece."""
    yield dump(_run("latlint.check/1", run), indent=None)
    for part in parts:
        yield _lines(
            [
                *({"type": "prediction", **each} for each in judged_json(part)),
                *({"type": "finding", **finding_json(finding)} for finding in part.findings),
                *({"type": "error", **error_json(error)} for error in part.errors),
            ]
        )


def predict_parts(run: Report, parts: Iterable[Report], style: Style) -> Iterator[str]:
    """See ``predict``: piece by piece."""
    yield dump(_run("latlint.predict/1", run), indent=None)
    for part in parts:
        records = []
        for prediction in part.predictions:
            records.append({"type": "prediction", **prediction_json(prediction)})
            head = {"type": "kernel", "model": prediction.model, "target": prediction.target}
            records += [{**head, **kernel_json(kernel, style.explain)} for kernel in prediction.kernels]
        yield _lines([*records, *({"type": "error", **error_json(error)} for error in part.errors)])


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
