"""Node data for Model Explorer: the graph of a model as a heat map of milliseconds, or with what was found marked.

The shape is ``GraphNodeData`` of https://github.com/google-ai-edge/model-explorer (node_data_builder.py): results by the name of
a node's output. For several models or targets there is one such object for each, by its name: load the one you want.
"""

from __future__ import annotations

from typing import Any

from latlint.latency.types import Prediction
from latlint.outcome import Report
from latlint.report.annotations import open_findings
from latlint.report.json import dump
from latlint.report.plain import Style

_GRADIENT = [
    {"stop": 0, "bgColor": "#ffffff"},
    {"stop": 0.5, "bgColor": "#ffd54f"},
    {"stop": 1, "bgColor": "#e53935"},
]
_COLOURS = {"error": "#ef9a9a", "warning": "#ffe082", "note": "#90caf9"}


def check(report: Report, style: Style) -> str:
    """The codes of the findings on the nodes that they name, coloured by severity."""
    marked: dict[tuple[str, str], dict[str, Any]] = {}
    for prediction in report.predictions:
        marked[prediction.model, prediction.target] = {}
    for finding in open_findings(report):
        results = marked.get((finding.model, finding.target or ""))
        for node in finding.nodes if results is not None else ():
            assert results is not None
            given = results.setdefault(node, {"value": "", "bgColor": _COLOURS[finding.severity]})
            if finding.code not in given["value"]:
                given["value"] = f"{given['value']} {finding.code}".strip()
    return _dump(report, {key: {"results": results} for key, results in marked.items()})


def predict(report: Report, style: Style) -> str:
    """The latency of each kernel in milliseconds, on the node that it is named for."""
    return _dump(
        report,
        {
            (prediction.model, prediction.target): {"results": _latencies(prediction), "gradient": _GRADIENT}
            for prediction in report.predictions
        },
    )


def _latencies(prediction: Prediction) -> dict[str, Any]:
    total: dict[str, float] = {}
    for kernel in prediction.kernels:
        for name in kernel.nodes[:1]:
            total[name] = total.get(name, 0.0) + kernel.latency_ms
    return {name: {"value": float(f"{latency_ms:.4g}")} for name, latency_ms in total.items()}


def _dump(report: Report, overlays: dict[tuple[str, str], dict[str, Any]]) -> str:
    if len(overlays) == 1:
        return dump(*overlays.values())
    return dump({f"{report.path(model)} on {target}": overlay for (model, target), overlay in overlays.items()})
