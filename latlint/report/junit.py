"""JUnit XML: budgets and rules as tests, a suite for each target, which every CI server shows in its own way.

A test's ``time`` is the predicted latency in seconds, so that a server's charts of test times are charts of latency.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, SubElement

from latlint.checks.types import Finding
from latlint.latency.types import Prediction
from latlint.outcome import Report, Verdict
from latlint.report.annotations import gravest_first, sentence, title
from latlint.report.checkstyle import xml
from latlint.report.plain import Style, clean
from latlint.report.text import latency, within
from latlint.units import format_limit_ms, format_ms

_FILES = "files"


def check(report: Report, style: Style) -> str:
    """A test for each model on each target, and a failed one for each error found there, or a skipped one where that is accepted;
    files not read are test errors."""
    root = Element("testsuites", name="latlint")
    found: dict[tuple[str, str | None], list[Finding]] = {}
    for finding in gravest_first(report.findings):
        found.setdefault((finding.model, finding.target), []).append(finding)
    of_files = [finding for (_, target), findings in found.items() if target is None for finding in findings]
    suites = [_suite(_FILES, [_of_file(report, finding) for finding in of_files])] if of_files else []
    judged = list(zip(report.predictions, report.verdicts, strict=True))
    for target in report.targets:
        cases = [
            case
            for prediction, verdict in judged
            if prediction.target == target
            for case in _cases(report, prediction, verdict, found.get((prediction.model, target), ()))
        ]
        suites.append(_suite(target, cases))
    for kind in ("tests", "failures", "errors"):
        root.set(kind, str(sum(int(suite.get(kind, "0")) for suite in suites)))
    root.extend(suites)
    return xml(root)


def _suite(name: str, cases: Sequence[Element]) -> Element:
    suite = Element("testsuite", name=name, tests=str(len(cases)))
    seen: Counter[str] = Counter()
    for case in cases:  # CI servers take tests of one name for one test
        named = case.get("name", "")
        seen[named] += 1
        if seen[named] > 1:
            case.set("name", f"{named} ({seen[named]})")
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("errors", str(sum(case.find("error") is not None for case in cases)))
    suite.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
    suite.extend(cases)
    return suite


def _cases(report: Report, prediction: Prediction, verdict: Verdict, found: Iterable[Finding]) -> Iterable[Element]:
    """The latency, with what is no error; the budget, where there is one and it is kept; then each error."""
    told = f"{latency(prediction)}, {within(prediction)}"
    lines = [f"{told}, coverage {prediction.coverage:.0%}, {prediction.runtime}"]
    lines += [
        f"{title(finding)}: {clean(finding.message)}{_accepted(finding)}"
        for finding in found
        if finding.severity != "error"
    ]
    path = clean(report.path(prediction.model))
    yield _case(path, "latency", prediction.target, prediction.latency_ms, "\n".join(lines))
    if verdict.budget_ms is not None and verdict.word == "pass":
        held = format_ms(prediction.end_ms(verdict.gate))
        kept = f"{held} is within the budget of {format_limit_ms(verdict.budget_ms)}"
        yield _case(path, "LAT101 budget-exceeded", prediction.target, prediction.latency_ms, kept)
    for finding in found:
        if finding.severity == "error":
            kind = "skipped" if finding.suppressed else "failure"
            yield _failed(report, finding, prediction.target, kind, prediction.latency_ms)


def _failed(report: Report, finding: Finding, suite: str, kind: str, latency_ms: float = 0.0) -> Element:
    case = _case(clean(report.path(finding.model)), title(finding), suite, latency_ms)
    message = sentence(report, finding) + _accepted(finding)
    element = SubElement(case, kind, message=message)
    if kind != "skipped":
        element.set("type", finding.code)
        element.text = message
    return case


def _of_file(report: Report, finding: Finding) -> Element:
    """A file that was not read; or what is to be said of the configuration, which fails nothing."""
    if finding.severity == "error":
        return _failed(report, finding, _FILES, "error")
    return _case(clean(report.path(finding.model)), title(finding), _FILES, out=sentence(report, finding))


def _accepted(finding: Finding) -> str:
    return f" ({clean(finding.justification or 'accepted')})" if finding.suppressed else ""


def _case(path: str, name: str, suite: str, latency_ms: float = 0.0, out: str = "") -> Element:
    case = Element("testcase", classname=suite, name=f"{path} {name}", time=f"{latency_ms / 1e3:.6f}")
    if out:
        SubElement(case, "system-out").text = out
    return case
