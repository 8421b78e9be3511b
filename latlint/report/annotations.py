"""Findings as review tools annotate them: the gravest first, each in one sentence that stands alone, under one identity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from latlint.checks.types import SEVERITIES, Finding, fingerprint
from latlint.outcome import Report
from latlint.report.plain import clean

#: Longer names tell a reader nothing more, and annotations are short.
NAME_LIMIT = 200


def open_findings(report: Report) -> list[Finding]:
    """What no waiver or baseline covers, the gravest first, else in the report's order."""
    return gravest_first(finding for finding in report.findings if not finding.suppressed)


def gravest_first(findings: Iterable[Finding]) -> list[Finding]:
    """The findings by severity, else in the order given."""
    return sorted(findings, key=lambda finding: -SEVERITIES.index(finding.severity))


def told_once(findings: Iterable[Finding]) -> list[tuple[Finding, tuple[Finding, ...]]]:
    """The findings that stand for their cause, in their order, each with those under it. One whose cause is not told here, or is accepted
    where it is not, stands for itself."""
    findings = tuple(findings)
    told = {(each.fingerprint, each.suppressed) for each in findings if not each.under}
    below: dict[tuple[str, bool], list[Finding]] = {}
    alone = []
    for each in findings:
        key = each.under, each.suppressed
        if each.under and key in told:
            below.setdefault(key, []).append(each)
        else:
            alone.append(each)
    return [(each, tuple(below.get((each.fingerprint, each.suppressed), ()))) for each in alone]


def title(finding: Finding) -> str:
    """``LAT101 budget-exceeded``."""
    return f"{finding.code} {finding.name}"


def sentence(report: Report, finding: Finding) -> str:
    """``'models/m.tflite' on 'pixel-4/gpu': 12.0 ms is 2.00 ms (20%) over the budget of 10 ms.``"""
    place = f"'{clean(report.path(finding.model), NAME_LIMIT)}'"
    if finding.target:
        place += f" on '{finding.target}'"
    return f"{place}: {clean(finding.message).rstrip('.')}."


def place(report: Report, finding: Finding) -> tuple[str, int]:
    """The path in the repository and the line where reviewers see the finding: that of a text file, which can be part of a diff,
    rather than the first of a binary one."""
    if finding.line is None:
        return report.path(finding.model), 1
    return report.path(finding.line.path), finding.line.number


def identified(report: Report, findings: Iterable[Finding]) -> Iterator[tuple[str, Finding]]:
    """Each finding with a name that it keeps from run to run and that no other has; never made of milliseconds."""
    seen: Counter[str] = Counter()
    for finding in findings:
        mark = finding.fingerprint or fingerprint(
            finding.code, report.path(finding.model), finding.target or "", *finding.nodes[:1]
        )
        seen[mark] += 1
        yield f"{mark}:{seen[mark]}", finding


def uri(path: str) -> str:
    """``path`` as a relative URI reference, percent-encoded; bytes of a name that are not UTF-8 stay what they are."""
    return quote(path.lstrip("/"), safe="/", errors="surrogateescape")
