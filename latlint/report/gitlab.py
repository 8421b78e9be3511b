"""GitLab Code Quality: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format

One file for all targets: GitLab takes one report of a pipeline, and drops findings whose fingerprint it has seen.
"""

from __future__ import annotations

from typing import Any

from latlint.checks.types import Finding
from latlint.outcome import Report
from latlint.report.annotations import identified, open_findings, place, sentence
from latlint.report.json import dump
from latlint.report.plain import Style, clean

_SEVERITIES = {"error": "major", "warning": "minor", "note": "info"}


def check(report: Report, style: Style) -> str:
    """An issue a finding, on its line of the lock or the first of the model file: a binary file has no other.

    GitLab asks for neither type nor category, but whatever else reads Code Climate's format does.
    """
    return dump([_issue(report, mark, finding) for mark, finding in identified(report, open_findings(report))])


def _issue(report: Report, mark: str, finding: Finding) -> dict[str, Any]:
    path, line = place(report, finding)
    return {
        "type": "issue",
        "categories": ["Performance"],
        "description": sentence(report, finding),
        "check_name": finding.code,
        "fingerprint": mark,
        "severity": _SEVERITIES[finding.severity],
        "location": {"path": clean(path), "lines": {"begin": line, "end": line}},
    }
