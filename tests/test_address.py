"""One place says where the project is; what has links goes by it, and has none as long as it is nowhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from latlint import address
from latlint.checks import checks
from latlint.cli import init
from latlint.cli._console import style
from latlint.report.plain import Style

TOP = Path(__file__).resolve().parent.parent
HOME, SITE = "https://git.example.com/someone/latlint", "https://docs.example.com/latlint/"


def test_without_an_address_pages_are_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "REPOSITORY", "")
    monkeypatch.setattr(address, "SITE", "")
    assert (address.page_of("rules/LAT201"), address.urls()) == ("docs/rules/LAT201.md", {})
    assert all((TOP / check.rule.page).is_file() for check in checks())


def test_pages_are_on_the_site_or_else_in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "REPOSITORY", HOME)
    monkeypatch.setattr(address, "SITE", "")
    assert address.page_of("rules/LAT201") == f"{HOME}/blob/HEAD/docs/rules/LAT201.md"
    assert "Documentation" not in address.urls()
    monkeypatch.setattr(address, "SITE", SITE)
    assert {check.rule.page for check in checks()} == {f"{SITE}rules/{check.rule.code}/" for check in checks()}
    assert address.urls()["Repository"] == HOME and address.urls()["Documentation"] == SITE
    assert HOME in init._hook(None).text


def test_no_other_file_states_an_address_of_the_project() -> None:
    stated = re.compile(r"https://\S+/latlint\b")
    for path in (TOP / "pyproject.toml", TOP / "hatch_build.py", *sorted((TOP / "site").iterdir())):
        assert path.is_dir() or not stated.search(path.read_text("utf-8")), path


@pytest.mark.parametrize(
    ("variables", "linked"), [({}, False), ({"FORCE_HYPERLINK": "1"}, True), ({"FORCE_HYPERLINK": "0"}, False)]
)
def test_links_are_for_terminals(variables: dict[str, str], linked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_HYPERLINK", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert style().links is linked  # the output of tests is no terminal


def test_a_code_leads_to_its_page(
    monkeypatch: pytest.MonkeyPatch, model: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    from latlint.cli import main

    args = [
        "check",
        str(model("mobilenet_v3_small.tflite")),
        "-t",
        "pixel-4/gpu",
        "-b",
        "1ms",
        "--select",
        "LAT101",
        "--no-config",
    ]
    plain: list[Any] = []
    for site in ("", SITE):
        monkeypatch.setattr(address, "SITE", site)
        monkeypatch.setenv("FORCE_HYPERLINK", "1")
        assert main(args) == 1
        plain.append(capsys.readouterr().out)
    link = f"\x1b]8;;{SITE}rules/LAT101/\x1b\\LAT101\x1b]8;;\x1b\\"
    assert "\x1b]8" not in plain[0]
    assert plain[1] == plain[0].replace("LAT101 budget-exceeded", f"{link} budget-exceeded")
    assert Style(links=True).link("x", "docs/rules/LAT101.md") == "x"
