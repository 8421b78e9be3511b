"""Baseline and waivers: what they cover, what they leave, and what is said of them when they cover nothing."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Model = Callable[[str], Path]

CONFIGURATION = """\
targets = ["pixel-4/gpu"]
select = ["LAT0", "LAT1", "LAT201", "LAT203", "LAT225", "LAT3", "LAT9"]
[[budgets]]
max = "5ms"
"""
WAIVER = '[[waivers]]\ncode = "LAT101"\nmodel = "net.tflite"\nreason = "ships in spring"\nowner = "ada"\n'


@pytest.fixture
def project(repository: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model over its budget of 5 ms, by less than 1 ms, and one within it that has an op which the GPU refuses."""
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    (repository / "latlint.toml").write_text(CONFIGURATION)
    shutil.copy(model("mobilenet_v2.tflite"), repository / "net.tflite")
    shutil.copy(model("one_gelu.tflite"), repository / "gelu.tflite")
    return repository


def checked(latlint: Run, *arguments: str) -> tuple[int, dict[tuple[str, str], Any]]:
    """The exit code and the findings by code and file."""
    result = latlint("check", "--format", "json", *arguments)
    document = json.loads(result.out)
    return result.status, {(finding["code"], finding["model"]): finding for finding in document["findings"]}


class TestBaseline:
    def test_findings_of_today_are_accepted_and_others_are_not(self, latlint: Run, project: Path, model: Model) -> None:
        before = checked(latlint)
        assert before[0] == 1
        written = latlint("baseline")
        assert (written.status, written.out) == (0, "Wrote latlint.baseline: 3 findings accepted, 3 new, 0 removed\n")
        status, found = checked(latlint)
        assert status == 0
        assert found.keys() == before[1].keys()
        assert all(finding["suppressed"] for finding in found.values())
        assert found["LAT101", "net.tflite"]["justification"] == "accepted in latlint.baseline"
        shutil.copy(model("mobilenet_v2.tflite"), project / "other.tflite")
        status, found = checked(latlint)
        assert (status, found["LAT101", "other.tflite"]["suppressed"]) == (1, False)

    def test_it_is_for_reading(self, latlint: Run, project: Path) -> None:
        latlint("baseline")
        text = (project / "latlint.baseline").read_text("utf-8")
        lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
        assert [line[:3] for line in lines] == [
            ["gelu.tflite", "pixel-4/gpu", "LAT201"],
            ["gelu.tflite", "pixel-4/gpu", "LAT203"],
            ["net.tflite", "pixel-4/gpu", "LAT101"],
        ]
        (prediction,) = json.loads(latlint("check", "net.tflite", "--format", "json").out)["predictions"]
        assert [line[4] for line in lines] == ["-", "-", f"{prediction['latency_ms']:.3f}ms"]

    def test_the_summaries_count_what_is_accepted(self, latlint: Run, project: Path) -> None:
        latlint("baseline")
        text = latlint("check").out
        assert re.search(r"^  OVER +pixel-4/gpu", text, re.MULTILINE)
        assert "LAT101" not in text
        said = "2 models on 1 target: 1 over budget and accepted, 1 within budget, 3 findings accepted"
        assert text.endswith(f"{said}\n")
        assert said in latlint("check", "--format", "markdown").out

    def test_a_model_that_gets_slower_still_counts_again(self, latlint: Run, project: Path, model: Model) -> None:
        latlint("baseline")
        path = project / "latlint.baseline"
        path.write_text(re.sub(r"5\.\d+ms", "5.1ms", path.read_text()))
        status, found = checked(latlint)
        finding = found["LAT101", "net.tflite"]
        assert (status, finding["suppressed"]) == (1, False)
        assert finding["message"].endswith("; latlint.baseline accepts 5.10 ms at most")
        assert not any(code == "LAT906" for code, _ in found), "it is needed, though not enough"

    def test_what_is_mended_is_noted_and_pruned(self, latlint: Run, project: Path, model: Model) -> None:
        latlint("baseline")
        shutil.copy(model("mobilenet_v3_small.tflite"), project / "net.tflite")
        result = latlint("check")
        assert result.status == 0
        assert "latlint.baseline\n  LAT906 unused-baseline-entry: LAT101 of 'net.tflite' on 'pixel-4/gpu'" in result.out
        assert "LAT225" in result.out, "a new finding is none of the baseline's"
        assert latlint("baseline", "--prune").out == "Wrote latlint.baseline: 2 findings accepted, 0 new, 1 removed\n"
        _, found = checked(latlint)
        assert {code for code, _ in found} == {"LAT201", "LAT203", "LAT225"}
        assert not found["LAT225", "net.tflite"]["suppressed"]

    def test_what_was_not_looked_at_is_not_called_unused(self, latlint: Run, project: Path) -> None:
        latlint("baseline")
        for arguments in (["net.tflite"], ["--select", "LAT2"], ["--target", "galaxy-s10/gpu"]):
            _, found = checked(latlint, *arguments)
            assert not any(code == "LAT906" for code, _ in found), arguments
        (project / "gelu.tflite").unlink()
        _, found = checked(latlint)
        assert sum(code == "LAT906" for code, _ in found) == 1  # by code and file: three lines of one file
        assert latlint("check").out.count("LAT906") == 2

    def test_an_unreadable_model_is_never_accepted(self, latlint: Run, project: Path) -> None:
        (project / "gelu.tflite").write_bytes(b"")
        refused = latlint("baseline")
        assert refused.status == 2
        assert "latlint.baseline: left as it was: 1 model could not be read" in refused.err
        assert not (project / "latlint.baseline").exists()

    def test_a_line_covers_one_finding(self, latlint: Run, project: Path) -> None:
        latlint("baseline")
        path = project / "latlint.baseline"
        (line,) = (line for line in path.read_text().splitlines() if "LAT101" in line)
        path.write_text(path.read_text() + f"{line}\n{line.rpartition(' ')[0]} -\n")
        assert latlint("check").out.count("LAT906") == 2
        assert latlint("baseline", "--prune").out.startswith(
            "Wrote latlint.baseline: 3 findings accepted, 0 new, 2 removed"
        )

    def test_there_must_be_one_to_prune(self, latlint: Run, project: Path) -> None:
        refused = latlint("baseline", "--prune")
        assert (refused.status, refused.out) == (2, "")
        assert "latlint.baseline: is not here" in refused.err

    def test_programs_are_told_in_json(self, latlint: Run, project: Path) -> None:
        document = json.loads(latlint("baseline", "--format", "json").out)
        assert document == {
            "schema": "latlint.baseline/1", "baseline": "latlint.baseline", "entries": 3, "added": 3, "removed": 0,
        }  # fmt: skip

    def test_only_what_is_asked_for_is_written(self, latlint: Run, project: Path) -> None:
        latlint("baseline", "gelu.tflite")
        assert checked(latlint)[0] == 1
        assert latlint("baseline", "net.tflite").out.startswith("Wrote latlint.baseline: 3 findings accepted, 1 new")
        assert checked(latlint)[0] == 0

    def test_it_can_be_left_out(self, latlint: Run, project: Path) -> None:
        latlint("baseline")
        status, found = checked(latlint, "--no-baseline")
        assert status == 1
        assert not any(finding["suppressed"] for finding in found.values())

    def test_a_malformed_one_is_refused_and_written_anew(self, latlint: Run, project: Path) -> None:
        latlint("baseline")
        path = project / "latlint.baseline"
        good = path.read_text()
        path.write_text(good + "net.tflite pixel-4/gpu LAT101 12ms -\n")
        refused = latlint("check")
        assert refused.status == 2
        assert (
            "latlint.baseline: line 8 has '12ms' in the place of a fingerprint; run `latlint baseline`" in refused.err
        )
        assert latlint("baseline", "--prune").status == 2
        assert latlint("baseline").status == 0
        assert path.read_text() == good


class TestWaivers:
    def waive(self, project: Path, more: str = "", waiver: str = WAIVER) -> None:
        (project / "latlint.toml").write_text(f"{CONFIGURATION}{waiver}{more}")

    def test_it_covers_what_its_globs_match(self, latlint: Run, project: Path, model: Model) -> None:
        self.waive(project, "expires = 2100-01-31\n")
        shutil.copy(model("mobilenet_v2.tflite"), project / "other.tflite")
        status, found = checked(latlint)
        waived = found["LAT101", "net.tflite"]
        assert (status, waived["suppressed"]) == (1, True)
        assert waived["justification"] == "waived: ships in spring (owner: ada; until 2100-01-31)"
        assert not found["LAT101", "other.tflite"]["suppressed"]
        sarif = json.loads(latlint("check", "--format", "sarif").out)
        suppressions = [r["suppressions"] for run in sarif["runs"] for r in run["results"] if "suppressions" in r]
        assert suppressions == [[{"kind": "external", "status": "accepted", "justification": waived["justification"]}]]

    def test_a_rule_goes_by_code_beginning_or_name(self, latlint: Run, project: Path) -> None:
        for code in ("LAT1", "budget-exceeded"):
            self.waive(project, waiver=WAIVER.replace("LAT101", code))
            assert checked(latlint)[0] == 0
        for code, said in (
            ("LAT999", "unknown rule 'LAT999' in waivers"),
            ("LAT002", "what cannot be read is an error"),
        ):
            self.waive(project, waiver=WAIVER.replace("LAT101", code))
            refused = latlint("check")
            assert refused.status == 2
            assert said in refused.err

    def test_a_target_that_is_none_is_refused(self, latlint: Run, project: Path) -> None:
        self.waive(project, 'target = "pixle-4/gpu"\n')
        assert "unknown target 'pixle-4/gpu': did you mean pixel-4/gpu" in latlint("check").err

    def test_it_may_hold_up_to_a_latency(self, latlint: Run, project: Path) -> None:
        self.waive(project, 'max = "6ms"\n')
        assert checked(latlint)[0] == 0
        self.waive(project, 'max = "5.1ms"\n')
        status, found = checked(latlint)
        assert status == 1
        assert found["LAT101", "net.tflite"]["message"].endswith("; the waiver is for 5.10 ms at most")
        assert ("LAT904", "latlint.toml") not in found

    def test_it_expires_after_its_last_day(self, latlint: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waive(project, "expires = 2027-03-01\n")
        assert checked(latlint, "--today", "2027-03-01")[0] == 0
        status, found = checked(latlint, "--today", "2027-03-02")
        assert status == 1
        expired = found["LAT905", "latlint.toml"]
        assert expired["severity"] == "warning"
        assert "has expired on 2027-03-01 and covers nothing; ask ada" in expired["message"]
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1803859199")  # 2027-02-28 23:59:59 UTC
        assert checked(latlint)[0] == 0
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1803945600")  # 2027-03-02 00:00:00 UTC
        assert checked(latlint)[0] == 1
        assert checked(latlint, "--today", "2027-02-01")[0] == 0
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "today")
        assert "malformed SOURCE_DATE_EPOCH" in latlint("check").err
        assert "malformed --today 'soon'" in latlint("check", "--today", "soon").err

    def test_no_clock_is_looked_at_without_a_last_day(
        self, latlint: Run, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "today")
        self.waive(project)
        assert checked(latlint)[0] == 0

    def test_one_that_covers_nothing_is_a_finding_where_all_was_looked_at(self, latlint: Run, project: Path) -> None:
        self.waive(project, waiver=WAIVER.replace("net.tflite", "gone.tflite"))
        status, found = checked(latlint)
        assert (status, found["LAT904", "latlint.toml"]["severity"]) == (1, "warning")
        for arguments in (["net.tflite"], ["--select", "LAT2"], ["gelu.tflite"]):
            assert ("LAT904", "latlint.toml") not in checked(latlint, *arguments)[1], arguments
        self.waive(project)
        assert ("LAT904", "latlint.toml") in checked(latlint, "--budget", "10ms", "net.tflite")[1]

    def test_severities_hold_for_what_is_said_of_them(self, latlint: Run, project: Path) -> None:
        self.waive(project, '[severities]\nLAT904 = "error"\n', WAIVER.replace("LAT101", "LAT3"))
        assert checked(latlint)[1]["LAT904", "latlint.toml"]["severity"] == "error"
        assert ("LAT904", "latlint.toml") not in checked(latlint, "--ignore", "unused-waiver")[1]

    def test_the_baseline_leaves_to_it_what_it_covers(self, latlint: Run, project: Path) -> None:
        self.waive(project)
        latlint("baseline")
        assert "LAT101" not in (project / "latlint.baseline").read_text()

    def test_what_is_said_of_both_stands_in_their_files_from_anywhere(
        self, latlint: Run, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        latlint("baseline")
        (project / "gelu.tflite").unlink()
        self.waive(project, waiver=WAIVER.replace("net.tflite", "gone.tflite"))
        (project / "below").mkdir()
        for directory in (project, project / "below"):
            monkeypatch.chdir(directory)
            log = json.loads(latlint("check", "--format", "sarif").out)
            found = [
                (result["ruleId"], result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])
                for result in log["runs"][0]["results"]
            ]
            assert found == [("LAT904", "latlint.toml"), *[("LAT906", "latlint.baseline")] * 2]

    def test_settings_show_it(self, latlint: Run, project: Path) -> None:
        self.waive(project, 'max = "6ms"\nexpires = 2027-03-01\n')
        shown = latlint("check", "--show-settings").out
        assert '[[waivers]]\ncode = "LAT101"\nmodel = "net.tflite"\nmax = "6 ms"\nreason = "ships in spring"\n' in shown
        (project / "latlint.toml").write_text(shown)
        assert latlint("check", "--show-settings").out.split("[[budgets]]")[1] == shown.split("[[budgets]]")[1]
