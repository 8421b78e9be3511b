"""SARIF: what GitHub code scanning asks for, held against Microsoft's validator with GitHub's rules switched on."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from latlint.api import check
from latlint.checks import checks
from latlint.checks.types import Finding, Line
from latlint.outcome import Report
from latlint.report import render, sarif, sarif_github
from latlint.report.plain import Style
from latlint.settings import Budget, Settings


def log(report: Report) -> dict[str, Any]:
    document = json.loads(render(report, "check", "sarif", Style()))
    assert isinstance(document, dict)
    return document


def results(report: Report) -> list[dict[str, Any]]:
    return [result for run in log(report)["runs"] for result in run["results"]]


def test_every_target_has_a_run_with_a_constant_category(report: Report) -> None:
    runs = log(report)["runs"]
    categories = ["latlint/files/", "latlint/galaxy-s10/gpu/", "latlint/pixel-4/gpu/"]
    assert [run["automationDetails"]["id"] for run in runs] == categories
    clean = log(replace(report, findings=()))["runs"]
    assert [run["automationDetails"]["id"] for run in clean] == categories, "an alert is closed by a run without it"
    assert [[result["ruleId"] for result in run["results"]] for run in runs] == [
        ["LAT001"],
        ["LAT010"],
        ["LAT101", "LAT101"],
    ]


def test_rules_are_all_there_with_their_pages(report: Report) -> None:
    for run in log(report)["runs"]:
        rules = run["tool"]["driver"]["rules"]
        assert [rule["id"] for rule in rules] == [rule.rule.code for rule in checks()]
        for rule, known in zip(rules, checks(), strict=True):
            assert rule["help"]["text"] == rule["help"]["markdown"] == known.page
            assert re.fullmatch("([A-Z][a-z0-9]*)+", rule["name"])
            assert 0 < len(rule["shortDescription"]["text"]) <= 1024
            assert 0 < len(rule["fullDescription"]["text"]) <= 1024
        for result in run["results"]:
            assert rules[result["ruleIndex"]]["id"] == result["ruleId"]


def test_a_result_says_where_and_what(report: Report) -> None:
    (_, _, result, _) = results(report)
    assert result["message"]["text"] == (
        "'models/a.tflite' on 'pixel-4/gpu': 12.0 ms is 2.00 ms (20%) over the budget of 10 ms; "
        "what costs most: convolution_2d 'conv' 5.00 ms."
    )
    (location,) = result["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "models/a.tflite", "uriBaseId": "%SRCROOT%"},
        "region": {
            "startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 2, "byteOffset": 4096, "byteLength": 20,
        },
    }  # fmt: skip
    assert location["logicalLocations"] == [{"name": "conv", "fullyQualifiedName": "graph/conv", "kind": "node"}]
    assert result["properties"]["latlint/latencyMs"] == 12.0
    assert result["properties"]["latlint/coverage"] == 1.0


def test_paths_are_encoded(report: Report) -> None:
    uris = [result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in results(report)]
    assert uris == ["x.onnx", "models/b%20c%25.tflite", "models/a.tflite", "models/b%20c%25.tflite"]


def test_what_a_waiver_covers_is_suppressed_and_comes_last(report: Report) -> None:
    *open_ones, waived = results(report)
    assert waived["suppressions"] == [{"kind": "external", "status": "accepted", "justification": "waived: known"}]
    assert all("suppressions" not in result for result in open_ones)


def test_what_a_waiver_covers_does_not_reach_code_scanning(report: Report) -> None:
    document = json.loads(sarif_github.check(report, Style()))
    found = [result for run in document["runs"] for result in run["results"]]
    assert found == results(report)[:-1]


def test_a_result_stands_on_its_line_of_the_lock_with_the_model_related(report: Report) -> None:
    finding = replace(report.findings[0], line=Line("sub dir/latlint.lock", 7, 120))
    located = replace(report, findings=(finding,), paths={"sub dir/latlint.lock": "top/sub dir/latlint.lock"})
    (before,), (result,) = results(replace(report, findings=report.findings[:1])), results(located)
    (location,) = result["locations"]
    assert location == {
        "physicalLocation": {
            "artifactLocation": {"uri": "top/sub%20dir/latlint.lock", "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": 7, "startColumn": 1, "endLine": 7, "endColumn": 121},
        }
    }
    (related,) = result["relatedLocations"]
    assert related | before["locations"][0] == related, "the model's place is as it was"
    assert result["partialFingerprints"] == before["partialFingerprints"], "a line is no identity"


def test_a_finding_in_a_text_file_stands_on_its_line_alone(report: Report) -> None:
    finding = replace(report.findings[-1], model="latlint.baseline", line=Line("latlint.baseline", 4, 30))
    (result,) = results(replace(report, findings=(finding,), errors=()))
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 4
    assert "relatedLocations" not in result


def test_a_fingerprint_is_one_findings_and_free_of_milliseconds(report: Report) -> None:
    slower = replace(report, findings=tuple(replace(f, latency_ms=99.0, message="slower") for f in report.findings))
    assert [result["partialFingerprints"] for result in results(slower)] == [
        result["partialFingerprints"] for result in results(report)
    ]
    twice = replace(report, findings=report.findings * 2)
    marks = [result["partialFingerprints"]["primaryLocationLineHash"] for result in results(twice)]
    assert len(set(marks)) == len(marks)


def test_a_run_of_the_tool_that_finds_unreadable_files_has_not_failed(report: Report) -> None:
    assert all(run["invocations"][0]["executionSuccessful"] is True for run in log(report)["runs"])


def test_more_targets_than_runs_share_the_last(report: Report) -> None:
    targets = tuple(f"phone-{number:02}/gpu" for number in range(30))
    found = tuple(replace(report.findings[0], target=target) for target in targets)
    runs = log(replace(report, targets=targets, findings=found))["runs"]
    assert len(runs) == sarif.MAX_RUNS == 20
    assert runs[-1]["automationDetails"]["id"] == "latlint/other-targets/"
    assert [len(run["results"]) for run in runs] == [0] + [1] * 18 + [12]
    (note,) = runs[-1]["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"] == "12 targets share this run, because a file may have 20 at most"


def notifications(run: Any) -> list[Any]:
    return [note for each in run.get("invocations", ()) for note in each.get("toolExecutionNotifications", ())]


def test_more_results_than_are_shown_are_cut_and_counted(report: Report) -> None:
    warning = report.findings[1]
    found = (*(replace(warning, fingerprint=str(n)) for n in range(sarif.MAX_RESULTS)), report.findings[0])
    error = replace(found[-1], target=warning.target)
    run = log(replace(report, findings=(*found[:-1], error)))["runs"][1]
    assert len(run["results"]) == sarif.MAX_RESULTS == 5000
    assert run["results"][0]["level"] == "error", "the gravest are kept"
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"].startswith("5001 findings: the 5000 gravest are listed")


def test_as_many_results_as_are_shown_are_not_said_to_be_cut(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MAX_RESULTS", 3)
    found = tuple(replace(report.findings[1], fingerprint=str(n)) for n in range(3))
    run = log(replace(report, findings=found))["runs"][1]
    assert len(run["results"]) == 3
    assert not any("gravest" in note["message"]["text"] for note in notifications(run))


@pytest.mark.parametrize("number", [9, 10, 11])
def test_ten_nodes_of_a_finding_are_named(report: Report, number: int) -> None:
    finding = replace(report.findings[0], nodes=tuple(f"node-{n:02}" for n in range(number)))
    text = json.dumps(log(replace(report, findings=(finding,))))
    assert [f"node-{n:02}" in text for n in range(number)] == [n < 10 for n in range(number)]


def test_a_log_of_many_results_fits_into_an_upload(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here 200 kB where GitHub takes 10 MB. Names that no compression makes shorter are the worst that there are."""
    assert sarif.MAX_COMPRESSED_BYTES == 10_000_000
    monkeypatch.setattr(sarif, "MAX_COMPRESSED_BYTES", 200_000)
    monkeypatch.setattr(sarif, "MAX_RESULTS", 200)
    noise = random.Random(0)
    targets = tuple(f"phone-{number}/gpu" for number in range(4))
    found = [
        replace(report.findings[0], target=target, nodes=tuple(noise.randbytes(100).hex() for _ in range(10)))
        for target in targets
        for _ in range(100)
    ]
    text = render(replace(report, targets=targets, findings=tuple(found)), "check", "sarif", Style())
    assert 80_000 < len(gzip.compress(text.encode())) < 200_000
    run = json.loads(text)["runs"][1]
    kept = len(run["results"])
    assert 0 < kept < 100
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"].startswith(f"100 findings: the {kept} gravest are listed")


def test_a_result_points_at_its_node_in_the_file(model: Callable[[str], Path]) -> None:
    """The bytes that an ONNX result points at are the node that it names."""
    path = model("resnet18.onnx")
    report = check([path], Settings(targets=("pixel-4/gpu",), budgets=(Budget(0.1),)))
    found: list[Finding] = [finding for finding in report.findings if finding.code == "LAT101"]
    place = found[0].location
    assert place is not None
    assert found[0].nodes[0].encode() in path.read_bytes()[place.offset : place.offset + place.length]
