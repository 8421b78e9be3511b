"""Pages are easy to read: the Flesch-Kincaid grade of their prose, the years of school that it asks for.

The measure is Kincaid and others, *Derivation of New Readability Formulas* (1975): 0.39 words a sentence + 11.8 syllables a word - 15.59. It is counted
here, as packages that count it bring dictionaries of tens of megabytes along. Syllables are groups of vowels. Code, tables, links and names do not count.
"""

from __future__ import annotations

import re
from pathlib import Path
from statistics import median

import pytest

TOP = Path(__file__).resolve().parent.parent
PAGES = sorted((*TOP.glob("*.md"), *TOP.glob("docs/**/*.md"), TOP / "latlint/training/kit/files/README.md"))
#: What a newcomer reads first.
FIRST = (TOP / "README.md", TOP / "docs/getting-started.md")
#: Lists of what changed and of terms that are cited are no prose.
NO_PROSE = {"CHANGELOG.md", "NOTICE.md"}


def paragraphs(text: str) -> list[str]:
    """The prose of a Markdown page: no code, tables, headings, comments; items of a list are paragraphs of their own."""
    text = re.sub(r"^ *(```|~~~).*?^ *\1", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"^ *[|#].*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^ *(?:[-*]|\d+\.) ", "\n", text, flags=re.MULTILINE)
    text = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`[^`]*`|<[^>\n]*>|https?://\S+", "X", text)
    return [" ".join(block.split()) for block in re.split(r"\n\s*\n", text) if len(re.findall(r"[A-Za-z]+", block)) > 7]


def sentences(paragraph: str) -> list[str]:
    """Split behind full stops, question and exclamation marks; a colon or a semicolon ends no sentence."""
    return [each for each in re.split(r"(?<=[.!?])[\"')*]* +", paragraph) if re.search(r"[A-Za-z]", each)]


def syllables(word: str) -> int:
    """Groups of vowels, but for a silent e at the end."""
    word = word.lower()
    found = len(re.findall(r"[aeiouy]+", word))
    if re.search(r"[^aeiouyl]e$|[^aeiouylscgxzh]es$|[^aeiouytd]ed$", word) and found > 1:
        found -= 1
    return max(found, 1)


def grade(text: list[str]) -> float:
    parts = [part for each in text for part in sentences(each)]
    words = [word for part in parts for word in re.findall(r"[A-Za-z]+(?:'[a-z]+)?", part)]
    return 0.39 * len(words) / len(parts) + 11.8 * sum(map(syllables, words)) / len(words) - 15.59


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name not in NO_PROSE], ids=lambda page: str(page.relative_to(TOP))
)
def test_a_page_asks_for_no_more_than_twelve_years_of_school(page: Path) -> None:
    text = paragraphs(page.read_text("utf-8"))
    assert grade(text) <= 12 if text else page.parent.name == "rules"


@pytest.mark.parametrize("page", FIRST, ids=lambda page: page.name)
def test_what_is_read_first_asks_for_nine(page: Path) -> None:
    assert median(grade([each]) for each in paragraphs(page.read_text("utf-8"))) <= 9


def test_the_grade_is_that_of_the_formula() -> None:
    assert [syllables(word) for word in ("the", "latency", "changes", "moved", "table", "predicted")] == [
        1,
        3,
        2,
        1,
        2,
        3,
    ]
    assert grade(["The cat sat on the mat."]) == pytest.approx(0.39 * 6 + 11.8 - 15.59)
    long = "Organisational considerations necessitate interdepartmental communication regarding implementation"
    assert grade([long]) > 20
    assert (
        paragraphs(
            "# A title of many words, all of which are left out\n\n```sh\nlong code here that is never read\n```\n"
        )
        == []
    )
