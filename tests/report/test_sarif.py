"""SARIF: what GitHub code scanning asks for, held against Microsoft's validator with GitHub's rules switched on."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from latlint.api import check
from latlint.checks import checks
from latlint.checks.types import Finding, Line
from latlint.report import render, sarif, sarif_github
from latlint.report.plain import Style
from latlint.report.types import Report
from latlint.settings import Budget, Settings

MULTITOOL = "@microsoft/sarif-multitool-linux@5.7.0"


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


def test_more_results_than_are_shown_are_cut_and_counted(report: Report) -> None:
    warning = report.findings[1]
    found = (*(replace(warning, fingerprint=str(n)) for n in range(sarif.MAX_RESULTS)), report.findings[0])
    error = replace(found[-1], target=warning.target)
    run = log(replace(report, findings=(*found[:-1], error)))["runs"][1]
    assert len(run["results"]) == sarif.MAX_RESULTS == 5000
    assert run["results"][0]["level"] == "error", "the gravest are kept"
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"].startswith("5001 findings: the 5000 gravest are listed")


def test_a_log_of_many_targets_fits_into_an_upload(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    """10 MB compressed is what GitHub takes: see ``MAX_ALL_RESULTS``."""
    monkeypatch.setattr(sarif, "MAX_ALL_RESULTS", 12)
    found = [replace(report.findings[0], target=target) for target in report.targets for _ in range(9)]
    runs = log(replace(report, findings=tuple(found)))["runs"]
    assert [len(run["results"]) for run in runs] == [0, 4, 4]
    (note,) = runs[1]["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"].startswith("9 findings: the 4 gravest are listed")


@pytest.fixture(scope="session")
def validate(pytestconfig: pytest.Config) -> Callable[[Path], list[str]]:
    """What the SARIF Multitool has to say of a file: errors, warnings, and its own failures."""
    home = pytestconfig.cache.mkdir("sarif-multitool")
    tool = home / "node_modules" / MULTITOOL.rpartition("@")[0] / "Sarif.Multitool"
    if not tool.exists():
        npm = shutil.which("npm")
        done = npm and subprocess.run([npm, "install", "--prefix", home, "--no-save", MULTITOOL], capture_output=True)
        if not done or done.returncode:
            reason = "needs npm and a registry for the SARIF Multitool"
            pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    tool.chmod(0o755)
    rules = home / "rules.xml"
    subprocess.run([tool, "export-validation-config", rules], check=True, capture_output=True)
    # GitHub's rules are off as delivered. Of these GH1004 knows limits that GitHub has raised since (5 runs, now 20).
    text = re.sub(r'(Key="GH10(?!04).*?Value=)"Default"', r'\1"Error"', rules.read_text("utf-8-sig"), flags=re.DOTALL)
    rules.write_text(text, encoding="utf-8")

    def run(path: Path) -> list[str]:
        out = path.with_suffix(".validated")
        flags = ["--rule-kind", "Sarif;Ghas", "--level", "Error;Warning", "--kind", "Fail", "--log", "ForceOverwrite"]
        subprocess.run([tool, "validate", path, "-c", rules, "-o", out, *flags], capture_output=True, check=False)
        found = []
        for each in json.loads(out.read_text("utf-8-sig"))["runs"]:  # its exit code is 0 whatever it finds
            found += [f"{result['ruleId']} {result['message']}" for result in each.get("results", ())]
            for invocation in each["invocations"]:
                found += [
                    n["message"]["text"]
                    for n in invocation.get("toolExecutionNotifications", ())
                    if n["level"] == "error"
                ]
        return found

    return run


def test_the_validator_finds_what_is_wrong(
    validate: Callable[[Path], list[str]], report: Report, tmp_path: Path
) -> None:
    document = log(report)
    document["runs"][2]["results"][0]["locations"][0]["physicalLocation"].pop("region")
    document["runs"][1]["results"][0]["ruleIndex"] = 999
    path = tmp_path / "wrong.sarif"
    path.write_text(json.dumps(document))
    found = validate(path)
    assert any(line.startswith("GH1003") for line in found), found
    assert any(line.startswith("SARIF1009") for line in found), found


def test_the_validator_accepts_reports(
    validate: Callable[[Path], list[str]], report: Report, hostile_report: Report, tmp_path: Path
) -> None:
    nothing = Report(predictions=(), targets=("pixel-4/gpu",))
    for number, each in enumerate((report, hostile_report, nothing)):
        path = tmp_path / f"{number}.sarif"
        path.write_text(render(each, "check", "sarif", Style()), encoding="utf-8")
        assert validate(path) == []


def test_the_validator_accepts_the_corpus(
    validate: Callable[[Path], list[str]], corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slice of every part of the corpus, most of it over budget, and a file that is no model."""
    monkeypatch.chdir(corpus)
    files = sorted(
        path.relative_to(corpus).as_posix() for path in corpus.glob("*/*") if path.suffix in (".tflite", ".onnx")
    )
    (tmp_path / "README.onnx").write_text("no model")
    settings = Settings(targets=("pixel-4/gpu", "pixel-4/cpu-1large"), budgets=(Budget(1.0),), min_coverage=1.0)
    report = check([*files[::200], tmp_path / "README.onnx"], settings)
    assert {finding.code for finding in report.findings} >= {"LAT001", "LAT101"}
    path = tmp_path / "corpus.sarif"
    path.write_text(render(report, "check", "sarif", Style()), encoding="utf-8")
    assert validate(path) == []


def test_a_result_points_at_its_node_in_the_file(model: Callable[[str], Path]) -> None:
    """The bytes that an ONNX result points at are the node that it names."""
    path = model("resnet18.onnx")
    report = check([path], Settings(targets=("pixel-4/gpu",), budgets=(Budget(0.1),)))
    found: list[Finding] = [finding for finding in report.findings if finding.code == "LAT101"]
    place = found[0].location
    assert place is not None
    assert found[0].nodes[0].encode() in path.read_bytes()[place.offset : place.offset + place.length]
