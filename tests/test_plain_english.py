"""Pages are easy to read: short sentences of short words, by the Flesch-Kincaid grade (years of school in English that a text asks for)."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest
from markdown_it import MarkdownIt

TOP = Path(__file__).resolve().parent.parent
PAGES = sorted((*TOP.glob("*.md"), *TOP.glob("docs/**/*.md"), TOP / "latlint/training/kit/files/README.md"))

#: The highest grade that a page as a whole may have, and that half of the sentences of a newcomer's pages may have.
HIGHEST, FIRST = 12.0, 9.0
#: A sentence of more words is read twice.
LONGEST = 50
NEWCOMERS = ("README.md", "docs/getting-started.md", "docs/troubleshooting.md", "docs/faq.md", "docs/glossary.md")


def sentences(page: Path) -> list[str]:
    """The sentences of paragraphs and lists, of four words or more; code, links' addresses and tables are left out."""
    found: list[str] = []
    tokens = MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
    for before, token in pairwise(tokens):
        if token.type == "inline" and before.type == "paragraph_open":
            shown = {"text": lambda each: each.content, "code_inline": lambda _: "it", "softbreak": lambda _: " "}
            text = "".join(shown[each.type](each) for each in token.children or () if each.type in shown)
            found += re.split(r"(?<=[.!?])\s+", text)  # a colon ends no sentence
    return [each for each in found if len(words(each)) >= 4]


def words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z][A-Za-z'’]*", text)


def syllables(word: str) -> int:
    """Groups of vowels, but for a silent e at the end: within a few percent of a dictionary over a page."""
    spoken = re.sub(r"(?<=[^aeiouyl])es?$|(?<=[^dt])ed$", "", word.lower())
    return max(1, len(re.findall(r"[aeiouy]+", spoken)))


def grade(*texts: str) -> float:
    """0.39 words a sentence + 11.8 syllables a word - 15.59 (Kincaid and others, 1975)."""
    each = [word for text in texts for word in words(text)]
    return 0.39 * len(each) / len(texts) + 11.8 * sum(map(syllables, each)) / len(each) - 15.59


def test_the_measure_tells_easy_from_hard() -> None:
    assert grade("The cat sat on the mat.", "It did not move.") < 2
    assert (
        grade("Notwithstanding considerable institutional opposition, the administration promulgated regulations.") > 15
    )
    assert [syllables(word) for word in ("cat", "made", "models", "latency", "table")] == [1, 1, 2, 3, 2]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_no_page_is_hard_to_read(page: Path) -> None:
    found = sentences(page)
    assert not found or grade(*found) <= HIGHEST
    assert page.name == "CHANGELOG.md" or [each for each in found if len(words(each)) > LONGEST] == []


@pytest.mark.parametrize("name", NEWCOMERS)
def test_what_newcomers_read_is_easy(name: str) -> None:
    grades = {each: grade(each) for each in sentences(TOP / name)}
    assert median(grades.values()) <= FIRST, sorted(grades, key=lambda each: -grades[each])[:5]
