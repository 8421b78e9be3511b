"""What CI servers and review tools read: the fields that they ask for, the gravest first, nothing twice."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from latlint.checks.types import Finding, Line
from latlint.latency.types import KernelPrediction
from latlint.outcome import Report
from latlint.report import formats, render
from latlint.report.plain import Style

SENTENCE = (
    "'models/a.tflite' on 'pixel-4/gpu': 12.0 ms is 2.00 ms (20%) over the budget of 10 ms; "
    "what costs most: convolution_2d 'conv' 5.00 ms."
)


def check(report: Report, name: str) -> str:
    return render(report, "check", name, Style())


def many(report: Report, number: int) -> Report:
    """One error after ``number`` warnings."""
    warnings = tuple(replace(report.findings[1], fingerprint=str(n)) for n in range(number))
    return replace(report, findings=(*warnings, report.findings[0]))


def test_formats_are_those_that_ci_reads() -> None:
    assert {
        "benchmark", "checkstyle", "csv", "github", "gitlab", "json", "jsonl", "junit", "markdown", "model-explorer",
        "rdjson", "sarif", "text",
    } <= set(formats())  # fmt: skip


def test_github_annotates_the_ten_gravest(report: Report) -> None:
    lines = check(report, "github").splitlines()
    assert lines[0] == (
        "::error file=models/a.tflite,line=1,title=LAT101 budget-exceeded on pixel-4/gpu::"
        + SENTENCE.replace("%", "%25")
    )
    assert [line.partition(" ")[0] for line in lines] == ["::error", "::error", "::warning", "3"]
    assert "file=models/b c%25.tflite," in lines[2]
    lines = check(many(report, 30), "github").splitlines()
    assert [line.partition(" ")[0] for line in lines[:10]] == ["::error"] + ["::warning"] * 9
    assert lines[10] == "21 findings more: see the summary of the job"


def test_a_github_property_ends_where_it_should(report: Report) -> None:
    error = replace(report.findings[0], model="a,b:c%.tflite")
    assert check(replace(report, findings=(error,)), "github").startswith("::error file=a%2Cb%3Ac%25.tflite,line=1,")


def test_markdown_shows_the_gravest_and_counts_the_rest(report: Report) -> None:
    text = check(report, "markdown")
    assert text.startswith("## latlint\n\n❌ 3 models on 2 targets: 2 over budget, 1 within budget, 1 without a budget")
    assert "| ❌ | LAT101 budget-exceeded | models/a.tflite | pixel-4/gpu | 12.0 ms is 2.00 ms" in text
    assert "| ✅ | models/a.tflite | galaxy-s10/gpu | 12.0 ms | 11.0–13.0 ms | 20 ms | 100% |" in text
    assert "… and 71 findings more." in check(many(report, 100), "markdown")
    assert check(replace(report, findings=()), "markdown").startswith("## latlint\n\n✅")


def test_markdown_of_a_prediction_lists_its_costliest_kernels(report: Report) -> None:
    shown = render(report, "predict", "markdown", Style(top=1))
    assert "### models/a.tflite on pixel-4/gpu" in shown
    assert "| 5.60 ms | 46.7% | conv2d | convolution_2d | predicted | conv |" in shown
    assert "… and 1 kernel more." in shown


def test_gitlab_has_its_five_fields_and_no_fingerprint_twice(report: Report) -> None:
    issues = json.loads(check(replace(report, findings=report.findings * 2), "gitlab"))
    assert issues[0] == {
        "type": "issue",
        "categories": ["Performance"],
        "description": SENTENCE,
        "check_name": "LAT101",
        "fingerprint": "0123456789abcdef:1",
        "severity": "major",
        "location": {"path": "models/a.tflite", "lines": {"begin": 1, "end": 1}},
    }
    assert len({issue["fingerprint"] for issue in issues}) == len(issues) == 6
    assert {issue["severity"] for issue in issues} == {"major", "minor"}
    assert json.loads(check(replace(report, findings=()), "gitlab")) == []


def test_rdjson_is_as_reviewdogs_schema_has_it(report: Report) -> None:
    document = json.loads(check(report, "rdjson"))
    assert document["source"] == {"name": "latlint"}
    assert document["diagnostics"][0] == {
        "message": SENTENCE,
        "location": {"path": "models/a.tflite"},
        "severity": "ERROR",
        "code": {"value": "LAT101"},
    }
    assert [each["severity"] for each in document["diagnostics"]] == ["ERROR", "ERROR", "WARNING"]


def test_checkstyle_has_a_file_for_each_model_with_findings(report: Report) -> None:
    root = ElementTree.fromstring(check(report, "checkstyle"))
    assert (root.tag, [file.get("name") for file in root]) == (
        "checkstyle",
        ["models/a.tflite", "x.onnx", "models/b c%.tflite"],
    )
    assert root[0][0].attrib == {"line": "1", "severity": "error", "message": SENTENCE, "source": "latlint.LAT101"}
    assert root[2][0].get("severity") == "warning"


def test_junit_counts_what_it_holds(report: Report) -> None:
    root = ElementTree.fromstring(check(report, "junit"))
    assert [suite.get("name") for suite in root] == ["files", "galaxy-s10/gpu", "pixel-4/gpu"]
    for element in (root, *root):
        cases = list(element.iter("testcase"))
        assert element.get("tests") == str(len(cases))
        assert element.get("failures") == str(sum(case.find("failure") is not None for case in cases))
        assert element.get("errors") == str(sum(case.find("error") is not None for case in cases))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("8", "1", "1")


def test_junit_shows_a_budget_as_a_test_of_as_many_seconds(report: Report) -> None:
    root = ElementTree.fromstring(check(report, "junit"))
    cases = {(case.get("classname"), case.get("name")): case for case in root.iter("testcase")}
    assert len(cases) == 8
    broken = cases["pixel-4/gpu", "models/a.tflite LAT101 budget-exceeded"]
    kept = cases["galaxy-s10/gpu", "models/a.tflite LAT101 budget-exceeded"]
    failure = broken.find("failure")
    assert failure is not None and failure.get("type") == "LAT101" and failure.text == SENTENCE
    assert kept.find("failure") is None
    assert broken.get("time") == kept.get("time") == "0.012000"
    out = cases["galaxy-s10/gpu", "models/b c%.tflite latency"].findtext("system-out")
    assert out is not None and "coverage 100%" in out and "LAT010 low-coverage: coverage 50% is below 80%" in out


def test_junit_shows_what_is_accepted_as_skipped(report: Report) -> None:
    root = ElementTree.fromstring(check(report, "junit"))
    (case,) = (case for case in root.iter("testcase") if case.find("skipped") is not None)
    assert case.get("name") == "models/b c%.tflite LAT101 budget-exceeded"
    skipped = case.find("skipped")
    assert skipped is not None and (skipped.get("message") or "").endswith("(waived: known)")
    assert [suite.get("skipped") for suite in root] == ["0", "0", "1"]


def test_two_broken_budgets_of_a_model_are_two_tests(report: Report) -> None:
    (first,) = (f for f in report.findings if f.budget_ms is not None and not f.suppressed)
    other = replace(first, message="conv2d takes 5.0 ms, over its budget of 4 ms")
    (suite,) = ElementTree.fromstring(check(replace(report, findings=(first, other)), "junit")).iterfind(
        "testsuite[@name='pixel-4/gpu']"
    )
    failed = [case.get("name") for case in suite if case.find("failure") is not None]
    assert failed == ["models/a.tflite LAT101 budget-exceeded", "models/a.tflite LAT101 budget-exceeded (2)"]


def test_a_finding_of_the_configuration_fails_no_test(report: Report) -> None:
    stale = Finding("LAT904", "unused-waiver", "warning", "latlint.toml", "covers nothing", fingerprint="c0" * 8)
    root = ElementTree.fromstring(check(replace(report, findings=(stale,), errors=()), "junit"))
    (case,) = root[0]
    assert (case.get("name"), len(root[0].findall(".//error"))) == ("latlint.toml LAT904 unused-waiver", 0)


def test_findings_stand_on_their_line_of_the_lock(report: Report) -> None:
    finding = replace(report.findings[0], line=Line("latlint.lock", 7, 120))
    located = replace(report, findings=(finding,), paths={"latlint.lock": "nets/latlint.lock"})
    assert "::error file=nets/latlint.lock,line=7,title=LAT101" in check(located, "github")
    assert json.loads(check(located, "gitlab"))[0]["location"] == {
        "path": "nets/latlint.lock",
        "lines": {"begin": 7, "end": 7},
    }
    (diagnostic,) = json.loads(check(located, "rdjson"))["diagnostics"]
    assert diagnostic["location"] == {"path": "nets/latlint.lock", "range": {"start": {"line": 7}}}
    assert "models/a.tflite" in diagnostic["message"]


def test_csv_of_a_prediction_adds_up(report: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(render(report, "predict", "csv", Style()))))
    one = [row for row in rows if (row["model"], row["target"]) == ("models/a.tflite", "pixel-4/gpu")]
    assert [row["op"] for row in one] == ["conv2d", "conv2d", "overhead"]
    assert sum(float(row["latency_ms"]) for row in one) == pytest.approx(float(one[0]["model_latency_ms"]))


def test_csv_has_every_model_and_target_and_every_finding(report: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(check(report, "csv"))))
    assert [(row["model"], row["target"], row["code"], row["verdict"], row["suppressed"]) for row in rows] == [
        ("models/a.tflite", "galaxy-s10/gpu", "", "pass", ""),
        ("models/a.tflite", "pixel-4/gpu", "LAT101", "fail", "no"),
        ("models/b c%.tflite", "galaxy-s10/gpu", "LAT010", "", "no"),
        ("models/b c%.tflite", "pixel-4/gpu", "LAT101", "fail", "yes"),
        ("x.onnx", "", "LAT001", "", "no"),
    ]
    assert {row["coverage"] for row in rows[:4]} == {"1.0"}


def test_json_lines_are_the_json_one_a_line(report: Report) -> None:
    for command in ("check", "predict"):
        whole = json.loads(render(report, command, "json", Style()))
        lines = [json.loads(line) for line in render(report, command, "jsonl", Style()).splitlines()]
        assert (lines[0]["type"], lines[0]["schema"], lines[0]["targets"]) == (
            "run",
            whole["schema"],
            list(report.targets),
        )
        for kind in ("finding", "error", "prediction"):
            expected = [{k: v for k, v in each.items() if k != "kernels"} for each in whole.get(f"{kind}s", [])]
            assert [
                {k: v for k, v in line.items() if k != "type"} for line in lines if line["type"] == kind
            ] == expected
    kernels = [line for line in lines if line["type"] == "kernel"]
    assert len(kernels) == 8 and kernels[0]["model"] == "models/a.tflite" and kernels[0]["latency_ms"] == 5.6


def test_benchmark_has_a_value_for_each_model_and_target(report: Report) -> None:
    benches = json.loads(check(report, "benchmark"))
    assert len(benches) == 4
    assert benches[1] == {
        "name": "models/a.tflite on pixel-4/gpu",
        "unit": "ms",
        "value": 12.0,
        "range": "± 1",
        "extra": "tflite-2.10/gpu-delegate, float32, coverage 100%",
    }


def test_model_explorer_colours_the_nodes_of_one_model_on_one_target(report: Report) -> None:
    kernels = (
        KernelPrediction(0, 0, ("conv", "relu"), "conv2d", ("relu",), "convolution_2d", 3.0, "predicted", 0, 0),
        KernelPrediction(1, 0, ("conv",), "conv2d", (), "convolution_2d", 1.5, "predicted", 0, 0),
    )
    one = replace(report, predictions=(replace(report.predictions[1], kernels=kernels),))
    overlay = json.loads(render(one, "predict", "model-explorer", Style()))
    assert overlay["results"] == {"conv": {"value": 4.5}}, "all that is named for a node, on that node"
    assert [stop["stop"] for stop in overlay["gradient"]] == [0, 0.5, 1]
    found = json.loads(check(one, "model-explorer"))
    assert found == {"results": {"conv": {"value": "LAT101", "bgColor": "#ef9a9a"}}}
    several = json.loads(render(report, "predict", "model-explorer", Style()))
    assert len(several) == 4 and "models/a.tflite on pixel-4/gpu" in several


def test_what_a_waiver_covers_reaches_no_reviewer(report: Report) -> None:
    waived = tuple(replace(finding, suppressed=True) for finding in report.findings)
    quiet = replace(report, findings=waived)
    for name in ("sarif-github", "github", "gitlab", "rdjson", "checkstyle", "markdown", "model-explorer"):
        assert "LAT010 low" not in check(quiet, name) and SENTENCE not in check(quiet, name)


def run(directory: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "latlint", "check", *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), **environment},
        capture_output=True,
    )


def test_outputs_are_the_same_bytes_from_anywhere(model: Callable[[str], Path], tmp_path: Path) -> None:
    """On two runs, in two clones, from two directories of them, under two locales and hash seeds."""
    outputs = []
    for number, (below, locale) in enumerate([(".", "C"), ("app/models", "C.UTF-8"), ("app", "POSIX")]):
        top = tmp_path / str(number)
        file = top / "app" / "models" / "mödel.tflite"
        file.parent.mkdir(parents=True)
        shutil.copy(model("mobilenet_v3_small.tflite"), file)
        (top / ".git").mkdir()
        out = tmp_path / f"out{number}"
        out.mkdir()
        named = [name for name in formats() if name not in ("text", "concise", "json", "jsonl")]
        flags = [flag for name in named for flag in ("--output", f"{name}={out / name}")]
        given = os.path.relpath(file, top / below)
        done = run(
            top / below, given, "-t", "pixel-4/gpu", "-t", "iphone-7/cpu-1large", "-b", "0.1ms", *flags,
            LC_ALL=locale, PYTHONHASHSEED=str(number),
        )  # fmt: skip
        assert done.returncode == 1, done.stderr
        outputs.append({name: (out / name).read_bytes() for name in named})
    for name, written in outputs[0].items():
        assert written == outputs[1][name] == outputs[2][name], name
        assert b"iphone-7/cpu-1large" in written, name


def test_github_writes_the_rest_to_the_summary_of_the_job(model: Callable[[str], Path], tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    flags = ("-t", "pixel-4/gpu", "-b", "0.1ms", "--format", "github")
    path = str(model("one_gelu.tflite"))
    done = run(tmp_path, path, *flags, GITHUB_STEP_SUMMARY=str(summary))
    assert done.stdout.startswith(b"::error file=one_gelu.tflite,line=1,title=LAT101")
    assert summary.read_text().startswith("before\n## latlint\n\n❌ 1 model on 1 target")
    before = summary.read_text()
    run(tmp_path, path, *flags, "--output", "markdown=own.md", GITHUB_STEP_SUMMARY=str(summary))
    assert summary.read_text() == before, "who writes it on his own does not get it twice"
    done = run(tmp_path, path, *flags, GITHUB_STEP_SUMMARY=str(tmp_path / "no" / "such"))
    assert done.returncode == 2 and b"cannot be written" in done.stderr


def test_an_unread_file_is_reported_without_a_target(report: Report) -> None:
    only = replace(report, findings=(Finding("LAT005", "missing-file", "error", "gone.onnx", "there is no such file"),))
    assert "file=gone.onnx,line=1,title=LAT005 missing-file::'gone.onnx': there is no such file." in check(
        only, "github"
    )
