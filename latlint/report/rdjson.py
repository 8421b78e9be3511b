"""rdjson, the Reviewdog Diagnostic Format: https://github.com/reviewdog/reviewdog/tree/master/proto/rdf

A diagnostic without a range is about the whole file, which is what a finding on a binary file is. One on a line of the lock is shown
where that line is in the diff.
"""

from __future__ import annotations

from typing import Any

from latlint.checks.types import Finding
from latlint.outcome import Report
from latlint.report.annotations import open_findings, place, sentence
from latlint.report.json import dump
from latlint.report.plain import Style, clean

_SEVERITIES = {"error": "ERROR", "warning": "WARNING", "note": "INFO"}


def check(report: Report, style: Style) -> str:
    """A diagnostic a finding, the gravest first."""
    diagnostics = [
        {
            "message": sentence(report, finding),
            "location": _location(report, finding),
            "severity": _SEVERITIES[finding.severity],
            "code": {"value": finding.code},
        }
        for finding in open_findings(report)
    ]
    return dump({"source": {"name": "latlint"}, "diagnostics": diagnostics})


def _location(report: Report, finding: Finding) -> dict[str, Any]:
    path, line = place(report, finding)
    return {"path": clean(path), **({"range": {"start": {"line": line}}} if finding.line else {})}
