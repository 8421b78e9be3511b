"""Checkstyle XML, which Jenkins (warnings-ng) and many a code review bot read."""

from __future__ import annotations

from xml.etree import ElementTree

from latlint.outcome import Report
from latlint.report.annotations import open_findings, sentence
from latlint.report.plain import Style, clean

_SEVERITIES = {"error": "error", "warning": "warning", "note": "info"}


def check(report: Report, style: Style) -> str:
    """A file element for each model that something was found in."""
    root = ElementTree.Element("checkstyle", version="4.3")
    files: dict[str, ElementTree.Element] = {}
    for finding in open_findings(report):
        path = clean(report.path(finding.model))
        if path not in files:
            files[path] = ElementTree.SubElement(root, "file", name=path)
        ElementTree.SubElement(
            files[path],
            "error",
            line="1",
            severity=_SEVERITIES[finding.severity],
            message=sentence(report, finding),
            source=f"latlint.{finding.code}",
        )
    return xml(root)


def xml(root: ElementTree.Element) -> str:
    """A whole document. All text in it must have been cleaned: XML cannot hold control characters, not even escaped."""
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'
