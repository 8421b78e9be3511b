"""What people read on a terminal of 80 columns fits it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from latlint.checks import checks
from latlint.report.plain import Cell, Style, columns, reflow, table

Run = Callable[..., Any]


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATLINT_WIDTH", "80")


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    "args",
    [
        ("targets",),
        ("targets", "pixel-4/gpu"),
        ("rules",),
        ("predict", "m.tflite", "-t", "pixel-4/gpu", "--all-kernels"),
        ("predict", "m.tflite", "-t", "pixel-4/gpu", "--explain"),
        ("check", "m.tflite", "-t", "pixel-4/gpu", "-b", "1ms"),
    ],
    ids=" ".join,
)
def test_screens_fit(args: tuple[str, ...], latlint: Run, model: Callable[[str], Path]) -> None:
    Path("m.tflite").symlink_to(model("one_gelu.tflite"))
    lines = latlint(*args).out.splitlines()
    assert lines and [line for line in lines if columns(line) > 80] == []


def test_names_are_cut_in_the_middle_where_the_screen_is_narrow() -> None:
    rows = [[Cell("1.5"), Cell("depthwise_conv2d + relu", keeps="both"), Cell("short"), Cell("a/long/name/of/a/node")]]
    assert table(rows, "><<<", Style(width=40)) == [
        "1.5  depthwise_conv2d + relu  short  …e/of/a/node"
    ]  # a pipe's columns are whole
    [fitting] = table(rows, "><<<", Style(width=40, wrapped=True))
    assert (fitting, columns(fitting)) == ("1.5  depthw… + relu  short  …e/of/a/node", 40)
    # nothing is cut to less than twelve columns
    assert table(rows, "><<<", Style(width=10, wrapped=True)) == ["1.5  depth…+ relu  short  …e/of/a/node"]


def test_pages_of_rules_keep_their_words_and_their_examples() -> None:
    for check in checks():
        found = reflow(check.page, Style(width=80, wrapped=True))
        assert found.split() == check.page.split()
        for example in check.page.split("```")[1::2]:
            assert example in found
        prose = "".join(found.split("```")[::2])
        assert [
            line for line in prose.splitlines() if columns(line) > 80 and " " in line.strip("- ") and "](" not in line
        ] == [], check.rule.code
    assert reflow("a\nb\n\n- c\n  d\n# e\n", Style(wrapped=True)) == "a b\n\n- c d\n# e\n"
    assert reflow("a\nb", Style()) == "a\nb"
