"""What Python sees of a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import latlint
from latlint.cli import main

Model = Callable[[str], Path]


def test_a_report_says_whether_it_failed_and_what_the_command_line_prints(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = str(model("mobilenet_v2.tflite"))
    slow = latlint.Settings(targets=("pixel-4/gpu",), budgets=(latlint.Budget(1.0),))
    report = latlint.check(path, slow)
    assert report.failed()
    assert main(["check", path, "--no-config", "-t", "pixel-4/gpu", "-b", "1ms", "--format", "json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    own = json.loads(json.dumps(report.to_dict()))
    for finding in (*printed["findings"], *own["findings"]):
        del finding["message"]  # which names where the budget was written
    assert own == printed
    fast = latlint.check(path, latlint.Settings(targets=("pixel-4/gpu",), budgets=(latlint.Budget(1000.0),)))
    assert not fast.failed() and fast.failed("note")


def test_a_file_that_cannot_be_read_fails_a_report(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"x")
    assert latlint.check(tmp_path / "m.tflite", latlint.Settings()).failed("error")


def test_a_finding_says_where_its_rule_is_explained(model: Model) -> None:
    settings = latlint.Settings(targets=("pixel-4/gpu",), budgets=(latlint.Budget(1.0),))
    report = latlint.check(model("mobilenet_v2.tflite"), settings)
    assert report.findings
    for finding in report.findings:
        assert finding.help_uri == f"docs/rules/{finding.code}.md"
        assert (Path(__file__).parents[1] / finding.help_uri).is_file()


def test_an_error_says_which_file_it_is_about() -> None:
    assert str(latlint.LatlintError("is empty", path="m.tflite")) == "m.tflite: is empty"
    with pytest.raises(latlint.LatlintError, match=r"^none\.tflite: no such file"):
        latlint.predict("none.tflite", "pixel-4/gpu")
