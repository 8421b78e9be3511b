"""SARIF for GitHub code scanning, which opens alerts for results that are suppressed: without what a waiver or the baseline covers."""

from __future__ import annotations

from dataclasses import replace

from latlint.outcome import Report
from latlint.report import sarif
from latlint.report.annotations import open_findings
from latlint.report.plain import Style


def check(report: Report, style: Style) -> str:
    """The log of the format ``sarif``, findings that are accepted left out."""
    return sarif.check(replace(report, findings=tuple(open_findings(report))), style)
