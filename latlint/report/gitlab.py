"""GitLab Code Quality: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format

One file for all targets: GitLab takes one report of a pipeline, and drops findings whose fingerprint it has seen.
"""

from __future__ import annotations

from latlint.report.annotations import identified, open_findings, sentence
from latlint.report.json import dump
from latlint.report.plain import Style, clean
from latlint.report.types import Report

_SEVERITIES = {"error": "major", "warning": "minor", "note": "info"}


def check(report: Report, style: Style) -> str:
    """An issue a finding, on the first line of the model file: a binary file has no other."""
    return dump(
        [
            {
                "description": sentence(report, finding),
                "check_name": finding.code,
                "fingerprint": mark,
                "severity": _SEVERITIES[finding.severity],
                "location": {"path": clean(report.path(finding.model)), "lines": {"begin": 1}},
            }
            for mark, finding in identified(report, open_findings(report))
        ]
    )
