"""Whatever a model file names its nodes, and whatever a file is called: no format lets it do anything to its reader."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import unicodedata
from collections.abc import Callable
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from latlint.errors import LatlintError
from latlint.outcome import Report
from latlint.report import formats, render
from latlint.report.plain import Style, clean

COMMANDS = ("check", "predict")
JSON_FORMATS = ("json", "sarif", "gitlab", "rdjson", "benchmark", "model-explorer")

#: What GitHub's and Azure's runners take for a command when a step prints it.
COMMAND = re.compile(r"^\s*::\w|##\w*\[")


def rendered(report: Report, name: str) -> list[str]:
    """What a format makes of ``report`` for each command that it knows."""
    found = []
    for command in COMMANDS:
        try:
            found.append(render(report, command, name, Style(colour=False, explain=True)))
        except LatlintError:
            assert command == "predict"
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", formats())
def test_no_format_passes_on_what_steers_a_terminal_or_a_runner(name: str, hostile_report: Report) -> None:
    for text in rendered(hostile_report, name):
        text.encode("utf-8")
        for char in set(text) - {"\n"}:
            category = unicodedata.category(char)
            assert category[0] != "C" and category not in ("Zl", "Zp"), f"{char!r} ({category})"
        commands = [line for line in text.splitlines() if COMMAND.search(line)]
        if name == "github":
            ours = re.compile(r"::(?:error|warning|notice) file=[^,]*,line=1,title=[^,:]*::(?!.*##\w*\[)")
            assert len(commands) == 10 and all(ours.match(line) for line in commands)
            assert re.search(r"%(?!25|3A|2C)", text) is None, "no line feed either once the runner has decoded it"
        else:
            assert commands == []
        if name not in (*JSON_FORMATS, "jsonl"):  # these hand on names whole: they are data
            assert len(text) < 1_000_000


@pytest.mark.slow
@pytest.mark.parametrize("name", formats())
def test_formats_are_the_same_bytes_again(name: str, report: Report, hostile_report: Report) -> None:
    for each in (report, hostile_report):
        assert rendered(each, name) == rendered(each, name)
    for text in rendered(report, name):
        assert text.endswith("\n")
        assert "/work" not in text and "/tmp" not in text


@pytest.mark.parametrize("name", JSON_FORMATS)
def test_json_parses_and_is_ascii(name: str, hostile_report: Report) -> None:
    for text in rendered(hostile_report, name):
        assert text.isascii()
        json.loads(text)


def test_json_lines_stay_lines(hostile_report: Report) -> None:
    for text in rendered(hostile_report, "jsonl"):
        assert text.isascii()
        assert all(isinstance(json.loads(line), dict) for line in text.split("\n")[:-1])


@pytest.mark.parametrize("name", ["junit", "checkstyle"])
def test_xml_parses_and_holds_the_names_as_text(name: str, hostile_report: Report) -> None:
    root = ElementTree.fromstring(render(hostile_report, "check", name, Style()))
    known = {
        "checkstyle", "file", "error", "testsuites", "testsuite", "testcase", "failure", "system-out",
    }  # fmt: skip
    assert {element.tag for element in root.iter()} <= known
    assert any("<script>alert(1)</script>" in value for element in root.iter() for value in element.attrib.values())


def test_no_cell_is_a_formula(hostile_report: Report) -> None:
    for text in rendered(hostile_report, "csv"):
        rows = list(csv.reader(io.StringIO(text)))
        assert len({len(row) for row in rows}) == 1
        for separator in ",;|":
            for cell in (cell for row in rows for whole in row for cell in whole.split(separator)):
                assert not re.match(r"\s*[=+\-@]", cell), cell[:40]


class Seen(HTMLParser):
    """The tags, the attributes and the text of an HTML page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="session")
def page() -> Callable[[str], Seen]:
    """Markdown as a browser would see it, HTML in it included."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])

    def see(text: str) -> Seen:
        seen = Seen()
        seen.feed(parser.render(text))
        return seen

    return see


def test_markdown_shows_names_and_does_nothing_else(page: Callable[[str], Seen], hostile_report: Report) -> None:
    for text in rendered(hostile_report, "markdown"):
        seen = page(text)
        ours = {"h2", "h3", "p", "ul", "li", "details", "summary", "table", "thead", "tbody", "tr", "th", "td"}
        assert seen.tags <= ours
        assert seen.attributes <= {"style"}, "the alignment of a column"
        assert "<script>alert(1)</script>" in seen.text
        assert re.search(r"[@#!]\w", seen.text) is None, "nobody is mentioned, nothing referred to"
        assert re.search(r"://|www\.", text) is None, "nothing becomes a link by itself"
        assert len(text) < 65_536, "what a comment may hold"


@pytest.mark.parametrize(
    ("text", "inert"),
    [
        ("::error::x", r"\x3a:error::x"),
        (" \n::error::x", r" \n\x3a:error::x"),
        ("a::b", "a::b"),
        ("a ##[error]", r"a \x23#[error]"),
        ("##vso[task]", r"\x23#vso[task]"),
        ("## heading", "## heading"),
    ],
)
def test_commands_to_runners_are_spelled_out(text: str, inert: str) -> None:
    assert clean(text) == inert


def test_no_issue_is_referred_to() -> None:
    """GitHub takes GH-1 for issue 1."""
    from latlint.report.markdown import escape

    assert re.search(r"gh-\d|#\d", html.unescape(escape("GH-1 gh-22 #4 layer GH-3x")), re.IGNORECASE) is None
    assert escape("high-1") == "high-1"
