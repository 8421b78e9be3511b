"""Every format on a report that lies on each of their boundaries: as many targets as a SARIF log has runs, one finding more than GitHub
annotates, a budget that only warns, an accepted finding before all others, the gravest after them, and a coverage just short of whole."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest

from latlint.checks.types import Finding
from latlint.outcome import Report, Verdict
from latlint.report import render
from latlint.report.annotations import identified, sentence
from latlint.report.plain import Cell, Style, table
from latlint.units import format_chance, format_change, format_ms, four_digits
from tests.report.conftest import over_budget, prediction

MODEL = "models/a.tflite"
TARGETS = tuple(f"phone-{number:02}/gpu" for number in range(20))
FAILED, WARNED, ACCEPTED = TARGETS[18], TARGETS[1], TARGETS[0]
#: A link of Markdown, which SARIF has as well, and a placeholder.
MARKUP = "see [the page](http://evil.example) {0}"


def on(targets: tuple[str, ...]) -> Report:
    """``MODEL`` on ``targets``: one is accepted over its budget, one only warns, one fails, the others are within."""
    verdicts = {
        ACCEPTED: Verdict(10.0, True, accepted=True),
        WARNED: Verdict(10.0, True, warned=True),
        FAILED: Verdict(10.0, False),
    }
    notes = [
        Finding(
            "LAT225",
            "channel-gates",
            "note",
            MODEL,
            MARKUP,
            target,
            ("conv",),
            gain_ms=float(number),
            fingerprint=f"{number:016x}",
        )
        for number, target in enumerate(TARGETS[2:11])
    ]
    found = (
        over_budget(MODEL, ACCEPTED, suppressed=True, justification="waived: known"),
        *notes,
        replace(over_budget(MODEL, WARNED), severity="warning"),
        over_budget(MODEL, FAILED),
    )
    return Report(
        predictions=tuple(replace(prediction(MODEL, target), coverage=0.95) for target in targets),
        findings=tuple(finding for finding in found if finding.target in targets),
        files=1,
        targets=targets,
        verdicts=tuple(verdicts.get(target, Verdict(20.0, True)) for target in targets),
    )


@pytest.fixture
def report() -> Report:
    return on(TARGETS)


def check(report: Report, name: str) -> str:
    return render(report, "check", name, Style(width=200))


def runs(log: Any) -> list[str]:
    return [run["automationDetails"]["id"].split("/", 1)[1].rstrip("/") for run in log["runs"]]


@pytest.mark.parametrize("count", [18, 19, 20])
def test_a_sarif_log_has_twenty_runs_at_most(count: int) -> None:
    """One is for the files; as long as there is room each target has its own, so that its alerts have a category of their own."""
    log = json.loads(check(on(TARGETS[:count]), "sarif"))
    own = TARGETS[: count if count < 20 else 18]
    assert runs(log) == ["files", *own, *(["other-targets"] if count == 20 else [])]
    assert len(log["runs"]) <= 20


def test_sarif(report: Report) -> None:
    log = json.loads(check(report, "sarif"))
    results = {run["automationDetails"]["id"]: run["results"] for run in log["runs"]}
    (failed,) = results["latlint/other-targets/"]
    assert (failed["ruleId"], failed["level"], failed["properties"]["latlint/coverage"]) == ("LAT101", "error", 0.95)
    (accepted,) = results[f"latlint/{ACCEPTED}/"]
    assert accepted["suppressions"][0]["status"] == "accepted"
    (noted,) = results[f"latlint/{TARGETS[2]}/"]
    assert "[the page] (http://evil.example) {{0}}" in noted["message"]["text"]


def test_what_is_accepted_comes_last_in_a_sarif_run() -> None:
    both = replace(on(TARGETS[:1]), findings=(over_budget(MODEL, ACCEPTED, suppressed=True), *[
        Finding("LAT225", "channel-gates", "note", MODEL, "m", ACCEPTED, fingerprint="f" * 16)
    ]))  # fmt: skip
    results = json.loads(check(both, "sarif"))["runs"][1]["results"]
    assert [result["ruleId"] for result in results] == ["LAT225", "LAT101"]


def test_github(report: Report) -> None:
    lines = check(report, "github").splitlines()
    commands = [line.partition(" ")[0] for line in lines]
    assert commands[:10] == ["::error", "::warning", *["::notice"] * 8]
    assert lines[10:] == [
        "1 finding more: see the summary of the job",
        (
            "1 model on 20 targets: 1 over budget, 1 with a budget warning, 1 over budget and accepted, 17 within budget, "
            "9 notes, 1 finding accepted"
        ),
    ]
    for fewer in (report.findings[2:], report.findings[3:]):
        assert "more: see" not in check(replace(report, findings=fewer), "github")


def test_gitlab(report: Report) -> None:
    issues = json.loads(check(report, "gitlab"))
    assert [issue["severity"] for issue in issues] == ["major", "minor", *["info"] * 9]
    assert len({issue["fingerprint"] for issue in issues}) == 11


def test_rdjson(report: Report) -> None:
    found = json.loads(check(report, "rdjson"))["diagnostics"]
    assert [each["severity"] for each in found] == ["ERROR", "WARNING", *["INFO"] * 9]


def test_checkstyle(report: Report) -> None:
    (file,) = ElementTree.fromstring(check(report, "checkstyle"))
    assert [error.get("severity") for error in file] == ["error", "warning", *["info"] * 9]


def test_junit(report: Report) -> None:
    """A budget that is broken passes no test, whether it fails or only warns."""
    suites = {suite.get("name"): list(suite) for suite in ElementTree.fromstring(check(report, "junit"))}
    assert set(suites) == set(TARGETS)

    def cases(target: str) -> dict[str, list[str]]:
        return {(case.get("name") or "").partition(" ")[2]: [child.tag for child in case] for case in suites[target]}

    assert cases(TARGETS[2]) == {"latency": ["system-out"], "LAT101 budget-exceeded": ["system-out"]}
    assert cases(WARNED) == {"latency": ["system-out"]}
    assert cases(FAILED) == {"latency": ["system-out"], "LAT101 budget-exceeded": ["failure"]}
    assert cases(ACCEPTED) == {"latency": ["system-out"], "LAT101 budget-exceeded": ["skipped"]}
    told = suites[WARNED][0].findtext("system-out") or ""
    assert "coverage 95%" in told and "LAT101 budget-exceeded: 12.0 ms is 2.00 ms (20%) over" in told


def rows(text: str, first: str) -> list[list[str]]:
    """The cells of the table whose heading begins with these."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(first))
    table = lines[start + 2 :]
    end = next((number for number, line in enumerate(table) if not line.startswith("|")), len(table))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[:end]]


def test_markdown(report: Report) -> None:
    text = check(report, "markdown")
    assert text.splitlines()[2].startswith("❌ 1 model on 20 targets: 1 over budget")
    assert [row[0] for row in rows(text, "|  | Finding |")] == ["❌", "⚠️", *["💡"] * 9]
    judged = rows(text, "|  | Model |")
    assert [(row[0], row[2]) for row in judged[:4]] == [
        ("❌", FAILED),
        ("☑️", ACCEPTED),
        ("⚠️", WARNED),
        ("✅", TARGETS[2]),
    ]
    assert {row[-1] for row in judged} == {"95%"}


def test_markdown_is_marked_as_failed_by_errors_alone(report: Report) -> None:
    kept = replace(report, findings=report.findings[:-1])
    assert check(kept, "markdown").splitlines()[2].startswith("✅ ")


@pytest.mark.parametrize(("number", "more"), [(30, False), (31, True)])
def test_markdown_counts_what_it_leaves_out(report: Report, number: int, more: bool) -> None:
    full = replace(report, findings=tuple(replace(report.findings[1], fingerprint=str(n)) for n in range(number)))
    text = check(full, "markdown")
    assert len(rows(text, "|  | Finding |")) == 30
    assert ("… and 1 finding more." in text) is more


def test_text(report: Report) -> None:
    lines = check(report, "text").splitlines()
    marks = {target: next(line for line in lines if f" {target} " in line).split()[0] for target in TARGETS}
    assert (marks[ACCEPTED], marks[WARNED], marks[FAILED], marks[TARGETS[2]]) == ("OVER", "WARN", "FAIL", "PASS")
    assert sum("95% covered" in line for line in lines) == 20
    assert sum("LAT101 budget-exceeded" in line for line in lines) == 2, "what is accepted is not said again"
    whole = replace(report, predictions=tuple(replace(each, coverage=0.995) for each in report.predictions))
    assert "covered" not in check(whole, "text")


def test_csv(report: Report) -> None:
    table = list(csv.DictReader(io.StringIO(check(report, "csv"))))
    assert len(table) == 20
    by_target = {row["target"]: row for row in table}
    assert [by_target[target]["verdict"] for target in (ACCEPTED, WARNED, FAILED, TARGETS[2])] == [
        "accepted",
        "warn",
        "fail",
        "pass",
    ]
    assert [by_target[target]["suppressed"] for target in (ACCEPTED, FAILED)] == ["yes", "no"]
    assert {row["coverage"] for row in table} == {"0.95"}


@pytest.mark.parametrize("name", ["json", "jsonl"])
def test_json(report: Report, name: str) -> None:
    text = check(report, name)
    records = [json.loads(line) for line in text.splitlines()] if name == "jsonl" else []
    found = json.loads(text) if name == "json" else {}
    predictions = found.get("predictions") or [each for each in records if each["type"] == "prediction"]
    findings = found.get("findings") or [each for each in records if each["type"] == "finding"]
    verdicts = {each["target"]: each["verdict"] for each in predictions}
    told = {target: (verdicts[target]["passed"], verdicts[target]["warned"]) for target in (WARNED, FAILED, TARGETS[2])}
    assert told == {WARNED: (True, True), FAILED: (False, False), TARGETS[2]: (True, False)}
    assert [each["suppressed"] for each in findings] == [True] + [False] * 11
    assert {each["coverage"] for each in predictions} == {0.95}
    if found:
        assert found["summary"]["by_severity"] == {"error": 2, "warning": 1, "note": 9}


def test_html(report: Report) -> None:
    text = check(report, "html")
    start = text.index("{", text.index('type="application/json"'))
    data = json.JSONDecoder().raw_decode(text[start:])[0]
    assert [finding["severity"] for finding in data["findings"]] == ["error", "warning", *["note"] * 9]
    assert [finding["gain_ms"] for finding in data["findings"][2:]] == [float(number) for number in range(8, -1, -1)]
    assert len(data["predictions"]) == 20
    assert "1 finding that a waiver or the baseline accepts" in json.dumps(data)


def test_benchmark(report: Report) -> None:
    found = json.loads(check(report, "benchmark"))
    assert len(found) == 20 and all(each["extra"].endswith("coverage 95%") for each in found)
    assert {(each["value"], each["range"]) for each in found} == {(12.0, "± 1")}


def test_model_explorer(report: Report) -> None:
    """A node is coloured by the gravest of what was found on it, and not by what is accepted."""
    overlays = json.loads(check(report, "model-explorer"))
    results = [overlays[f"{MODEL} on {target}"]["results"] for target in (ACCEPTED, FAILED)]
    assert results == [{}, {"conv": {"value": "LAT101", "bgColor": "#ef9a9a"}}]
    both = replace(report, findings=(replace(report.findings[1], target=FAILED), report.findings[-1]))
    result = json.loads(check(both, "model-explorer"))[f"{MODEL} on {FAILED}"]["results"]["conv"]
    assert result == {"value": "LAT101 LAT225", "bgColor": "#ef9a9a"}


def test_a_sentence_ends_with_one_full_stop(report: Report) -> None:
    assert sentence(report, replace(report.findings[0], message="It is slow.")).endswith("It is slow.")
    assert sentence(report, replace(report.findings[0], message="it is slow")).endswith("it is slow.")


def test_a_finding_without_a_fingerprint_has_a_name_of_its_own_on_each_target(report: Report) -> None:
    same = [replace(over_budget(MODEL, target), fingerprint="") for target in (*TARGETS[:2], TARGETS[0])]
    first, second, again = (mark for mark, _ in identified(report, same))
    assert first.partition(":")[0] != second.partition(":")[0]
    assert again == f"{first.partition(':')[0]}:2"


@pytest.mark.parametrize("number", [10, 11, 12])
def test_markdown_shows_ten_notes_and_that_there_are_more(report: Report, number: int) -> None:
    lines = check(replace(report, notes=tuple(f"note {n} of the run" for n in range(number))), "markdown").splitlines()
    assert [line for line in lines if "of the run" in line] == [f"- note {n} of the run" for n in range(10)]
    assert ("- …" in lines) is (number > 10)


def test_markdown_lists_no_kernel_that_is_free(report: Report) -> None:
    one = report.predictions[0]
    free = one.kernels[0]._replace(op="reshape", implementation="nothing_runs", source="free", latency_ms=0.0)
    text = render(
        replace(report, predictions=(replace(one, kernels=(*one.kernels, free)),), verdicts=report.verdicts[:1]),
        "predict",
        "markdown",
        Style(width=200),
    )
    assert one.kernels[0].implementation in text.replace("\\", "") and "nothing_runs" not in text.replace("\\", "")


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0.9994, "0.999 ms"),
        (1.0, "1.00 ms"),
        (9.994, "9.99 ms"),
        (10.0, "10.0 ms"),
        (99.94, "99.9 ms"),
        (100.0, "100 ms"),
    ],
)
def test_a_time_has_three_digits_on_both_sides_of_a_power(ms: float, text: str) -> None:
    assert format_ms(ms) == text and format_ms(-ms) == f"-{text}"


def test_the_last_column_keeps_twelve_columns_however_narrow_the_terminal() -> None:
    (line,) = table([[Cell("x" * 30), Cell("abcdefghijklmnop")]], "<<", Style(width=20))
    assert line.split() == ["x" * 30, "…fghijklmnop"]


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (format_change(1.099), "+9.9%"), (format_change(1.102), "+10%"), (format_change(9.99), "+899%"), (format_change(10.0), "×10"),
        (format_chance(0.01), "1%"), (format_chance(0.009), "<1%"), (format_chance(0.99), "99%"), (format_chance(0.991), ">99%"),
        (four_digits(999.94), "999.9"), (four_digits(1000.0), "1000"), (four_digits(1.0), "1.000"), (four_digits(0.5), "0.5000"),
    ],
)  # fmt: skip
def test_changes_chances_and_times_of_the_lock_on_their_boundaries(said: str, text: str) -> None:
    assert said == text
