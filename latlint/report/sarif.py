"""SARIF 2.1.0 as GitHub code scanning takes it: one run for the files and one for each target, each under its own category.

GitHub's rules: https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from latlint import __version__, address
from latlint.checks import Check, checks
from latlint.checks.types import Finding
from latlint.latency.types import Prediction
from latlint.outcome import Report
from latlint.report.annotations import NAME_LIMIT, gravest_first, identified, sentence, title, told_once, uri
from latlint.report.json import dump
from latlint.report.plain import Style, clean

#: GitHub refuses a file with more runs, and shows no more results of a run.
MAX_RUNS = 20
MAX_RESULTS = 5000

#: GitHub refuses a file that is larger when compressed.
MAX_COMPRESSED_BYTES = 10_000_000

#: GitHub cuts descriptions here.
_MAX_DESCRIPTION = 1024

_MAX_NODES = 10
_MAX_RELATED = 20

_ROOT = "%SRCROOT%"
_FILES, _OTHERS = "files", "other-targets"
_LEVELS = {"error": "error", "warning": "warning", "note": "note"}
#: A finding, and those under it.
_Told = tuple[Finding, tuple[Finding, ...]]

_PROBLEMS = {"error": "error", "warning": "warning", "note": "recommendation"}


def check(report: Report, style: Style) -> str:
    """A log with a run for every target even where nothing was found: that is how an alert of the run before gets closed."""
    alone = report.targets if len(report.targets) < MAX_RUNS else report.targets[: MAX_RUNS - 2]
    groups: dict[str, list[_Told]] = {name: [] for name in (_FILES, *alone)}
    if len(alone) < len(report.targets):
        groups[_OTHERS] = []
    for told in told_once(sorted(gravest_first(report.findings), key=lambda finding: finding.suppressed)):
        target = told[0].target
        groups[_FILES if target is None else target if target in groups else _OTHERS].append(told)
    text, most = _log(report, groups, MAX_RESULTS), MAX_RESULTS
    while most > 1 and _compressed_bytes(text) > MAX_COMPRESSED_BYTES:
        most //= 2
        text = _log(report, groups, most)
    return text


def _compressed_bytes(text: str) -> int:
    return len(text) if len(text) <= MAX_COMPRESSED_BYTES else len(zlib.compress(text.encode("ascii")))


def _log(report: Report, groups: Mapping[str, Sequence[_Told]], most: int) -> str:
    """The log with ``most`` results of each run."""
    notes = {name: _cut(group, most) for name, group in groups.items()}
    notes[_FILES] += report.notes
    if _OTHERS in groups:
        together = len(report.targets) - len(groups) + 2
        notes[_OTHERS] += (f"{together} targets share this run, because a file may have {MAX_RUNS} at most",)
    predictions = {(prediction.model, prediction.target): prediction for prediction in report.predictions}
    rules = checks()
    return dump(
        {
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [
                _run(name, _results(report, group[:most], predictions, rules), rules, notes[name])
                for name, group in groups.items()
            ],
        }
    )


def _cut(findings: Sequence[_Told], most: int) -> tuple[str, ...]:
    if len(findings) <= most:
        return ()
    return (f"{len(findings)} findings: the {most} gravest are listed, as many as code scanning takes",)


def _run(category: str, results: list[dict[str, Any]], rules: Sequence[Check], notes: Iterable[str]) -> dict[str, Any]:
    notifications = [{"level": "note", "message": _message(note)} for note in notes]
    return {
        "tool": {
            "driver": {
                "name": "latlint",
                "semanticVersion": __version__,
                **({"informationUri": home} if (home := address.SITE or address.REPOSITORY) else {}),
                "rules": [_rule(rule) for rule in rules],
            }
        },
        # What stands before the last slash is the category; an id after it would make each run one of its own.
        "automationDetails": {"id": f"latlint/{category}/"},
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": notifications}],
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The top of the repository that holds the models."}}},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }


@cache
def _rule(check: Check) -> dict[str, Any]:
    rule = check.rule
    about = check.page.partition("## What it does\n")[2].partition("\n\n")[0] or check.summary
    return {
        "id": rule.code,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": check.summary[:_MAX_DESCRIPTION]},
        "fullDescription": {"text": " ".join(about.split())[:_MAX_DESCRIPTION]},
        **({"helpUri": rule.page} if "://" in rule.page else {}),
        "help": {"text": check.page, "markdown": check.page},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {
            "precision": "medium" if rule.confidence == "reported" else "high",
            "problem.severity": _PROBLEMS[rule.severity],
            "tags": ["performance", "latency", "ml-model"],
        },
    }


def _results(
    report: Report,
    told: Sequence[_Told],
    predictions: dict[tuple[str, str], Prediction],
    rules: Sequence[Check],
) -> list[dict[str, Any]]:
    indices = {check.rule.code: index for index, check in enumerate(rules)}
    results = []
    for (mark, finding), (_, under) in zip(identified(report, (each for each, _ in told)), told, strict=True):
        results.append(
            {
                "ruleId": finding.code,
                **({"ruleIndex": indices[finding.code]} if finding.code in indices else {}),
                "level": _LEVELS[finding.severity],
                "message": _message(_sentences(report, finding, under)),
                **_locations(report, finding, under),
                **_suppressions(finding),
                "partialFingerprints": {"primaryLocationLineHash": mark},
                "properties": _properties(finding, predictions.get((finding.model, finding.target or ""))),
            }
        )
    return results


def _sentences(report: Report, finding: Finding, under: Sequence[Finding]) -> str:
    """What is found, and which of the related locations have the same cause."""
    same = ", ".join(dict.fromkeys(title(each) for each in under))
    return sentence(report, finding) + (f" With the same cause: {same}." if same else "")


def _message(text: str) -> dict[str, str]:
    """Plain text: what would be a link or a placeholder to a SARIF viewer (3.11.5, 3.11.6) is one no more."""
    return {"text": clean(text).replace("](", "] (").replace("{", "{{").replace("}", "}}")}


def _locations(report: Report, finding: Finding, under: Sequence[Finding]) -> dict[str, Any]:
    """The model; or, where the lock has a line for it, that line, with the model related to it; and the ops of findings with the same cause.

    GitHub shows an alert in a pull request when all its lines are in the diff. Those of a binary file never are; a line of the lock is
    when what it says of the model has changed. Only the first location counts there.
    """
    model = _location(report, finding)
    related = [
        {"message": _message(f"{title(each)}: {each.message}"), **_location(report, each)}
        for each in under[:_MAX_RELATED]
    ]
    line = finding.line
    if line is None:
        return {"locations": [model], **_related(related)}
    artifact = {"uri": uri(report.path(line.path)), "uriBaseId": _ROOT}
    region = {"startLine": line.number, "startColumn": 1, "endLine": line.number, "endColumn": line.length + 1}
    place = {"physicalLocation": {"artifactLocation": artifact, "region": region}}
    if line.path == finding.model:
        return {"locations": [place], **_related(related)}
    return {"locations": [place], **_related([{"message": _message("The model."), **model}, *related])}


def _related(locations: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """``locations``, numbered; nothing where there are none."""
    return (
        {"relatedLocations": [{"id": number, **each} for number, each in enumerate(locations, 1)]} if locations else {}
    )


def _suppressions(finding: Finding) -> dict[str, Any]:
    """That a waiver or the baseline covers the finding, and why. None on a finding that neither does."""
    if not finding.suppressed:
        return {}
    why = {"justification": clean(finding.justification)} if finding.justification else {}
    return {"suppressions": [{"kind": "external", "status": "accepted", **why}]}


def _location(report: Report, finding: Finding) -> dict[str, Any]:
    # GitHub wants lines and columns of every file; those of a binary file mean nothing, so they are always the same.
    region = {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 2}
    if finding.location:
        region |= {"byteOffset": finding.location.offset, "byteLength": finding.location.length}
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": uri(report.path(finding.model)), "uriBaseId": _ROOT},
            "region": region,
        }
    }
    if finding.nodes:
        names = dict.fromkeys(clean(name, NAME_LIMIT) for name in finding.nodes[:_MAX_NODES])
        location["logicalLocations"] = [
            {"name": name, "fullyQualifiedName": f"graph/{name}", "kind": "node"} for name in names
        ]
    return location


def _properties(finding: Finding, prediction: Prediction | None) -> dict[str, Any]:
    """What other readers of SARIF may want; GitHub looks at none of it."""
    properties: dict[str, Any] = {}
    if prediction:
        properties = {
            "latlint/target": prediction.target,
            "latlint/runtime": prediction.runtime,
            "latlint/sha256": prediction.sha256,
            **(
                {"latlint/placement": True}
                if prediction.placement
                else {"latlint/latencyMs": _rounded(prediction.latency_ms)}
            ),
            **({} if prediction.placement else {"latlint/lowMs": _rounded(prediction.low_ms)}),
            **({} if prediction.high_ms is None else {"latlint/highMs": _rounded(prediction.high_ms)}),
            **({"latlint/unknown": dict(prediction.unknown)} if prediction.unknown else {}),
            "latlint/coverage": _rounded(prediction.coverage),
        }
    for key, value in (
        ("latlint/budgetMs", finding.budget_ms),
        ("latlint/gainMs", finding.gain_ms),
        ("latlint/gainLowMs", finding.gain_low_ms),
        ("latlint/gainHighMs", finding.gain_high_ms),
    ):
        if value is not None:
            properties[key] = _rounded(value)
    return properties


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
