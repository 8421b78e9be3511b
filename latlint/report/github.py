"""GitHub workflow commands: annotations for the ten gravest findings, which is as many as GitHub shows for a step.

https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from latlint.checks.types import Finding
from latlint.outcome import Report
from latlint.report.annotations import open_findings, place, sentence, title
from latlint.report.plain import Style, clean
from latlint.report.text import summary
from latlint.words import counted

MAX_ANNOTATIONS = 10

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def check(report: Report, style: Style) -> str:
    """A command a finding, and a line that sums up. The rest is for the job's summary, which the command line writes."""
    found = open_findings(report)
    lines = [_annotation(report, finding) for finding in found[:MAX_ANNOTATIONS]]
    if more := len(found) - MAX_ANNOTATIONS:
        lines += [f"{counted(more, 'finding')} more: see the summary of the job"] if more > 0 else []
    return "\n".join([*lines, summary(report, Style())]) + "\n"


def _annotation(report: Report, finding: Finding) -> str:
    heading = title(finding) + (f" on {finding.target}" if finding.target else "")
    path, line = place(report, finding)
    properties = {"file": path, "line": str(line), "title": heading}
    listed = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{_COMMANDS[finding.severity]} {listed}::{_data(sentence(report, finding))}"


def _data(text: str) -> str:
    """As the runner's toolkit escapes a message; ``clean`` has left no line feed to escape."""
    return clean(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
