"""What a reader sees who asked for little: one line each, only what did not pass, lines of the terminal's width."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from latlint.cli import main
from latlint.report.plain import Style, wrap

Model = Callable[[str], Path]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, list[str]]:
    code = main([str(each) for each in ("check", "--no-config", *arguments)])
    return code, capsys.readouterr().out.splitlines()


def test_concise_has_a_line_for_each_verdict_and_finding(model: Model, capsys: pytest.CaptureFixture[str]) -> None:
    path = model("mobilenet_v2.tflite")
    targets = "-t", "pixel-4/gpu", "-t", "galaxy-s10/gpu"
    code, lines = printed(capsys, path, *targets, "-b", "pixel-4/gpu=1ms", "--format", "concise")
    assert code == 1
    *rest, last = lines
    assert all(line.startswith(f"{path}: ") for line in rest)
    verdicts = [line for line in rest if " ms [" in line]
    assert [line.split(": ")[1:][0] for line in verdicts] == ["galaxy-s10/gpu", "pixel-4/gpu"]
    assert ": FAIL " in verdicts[1] and verdicts[1].endswith(" of 1 ms")
    (broken,) = (line for line in rest if "LAT101" in line)
    assert ": pixel-4/gpu: error LAT101 budget-exceeded: " in broken
    assert last.startswith("1 model on 2 targets: ")


@pytest.mark.parametrize("format_name", ["text", "concise"])
def test_quiet_shows_nothing_of_what_passes(model: Model, capsys: pytest.CaptureFixture[str], format_name: str) -> None:
    names = ("mobilenet_v2.tflite", "mobilenet_v2.onnx", "resnet18.onnx")
    given = (*(model(name) for name in names), "-t", "pixel-4/gpu", "--quiet", "--format", format_name)
    code, lines = printed(capsys, *given, "-b", "1s")
    assert code == 0
    assert len(lines) == 1 and lines[0].startswith("3 models on 1 target: 3 within budget")
    code, lines = printed(capsys, *given, "-b", "15ms")
    assert code == 1
    shown = "\n".join(lines[:-1])
    assert "resnet18" in shown and "mobilenet" not in shown
    assert "2 within budget" in lines[-1]


def test_sentences_break_at_the_width_of_the_terminal(
    model: Model, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATLINT_WIDTH", "80")
    _, lines = printed(capsys, model("resnet18.onnx"), "-t", "pixel-4/cpu-1large", "-b", "1ms")
    findings = [line for line in lines if line.startswith(" " * 8)]
    assert len(findings) > 3
    assert max(map(len, findings)) <= 80


def test_wrapping_keeps_every_word() -> None:
    text = "        LAT230 slow-op: " + "word " * 60
    lines = wrap(text.rstrip(), Style(width=60, wrapped=True), hanging=10).splitlines()
    assert max(map(len, lines)) <= 60 and " ".join(lines).split() == text.split()
    assert all(line.startswith(" " * 10) for line in lines[1:])
    assert wrap(text, Style(width=60), hanging=10) == text
