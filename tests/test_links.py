"""Links between the pages of the repository lead somewhere: to a file that is there, and to a heading that it has."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

TOP = Path(__file__).resolve().parent.parent
PAGES = sorted((*TOP.glob("*.md"), TOP / "llms.txt", *TOP.glob("docs/**/*.md"), *TOP.glob("fuzz/*.md")))


def tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    """What the links and pictures of a page lead to, but for addresses of other sites."""
    inner = [child for token in tokens(page) for child in token.children or ()]
    found = [str(child.attrGet("href") or child.attrGet("src") or "") for child in inner if child.type in _LINKS]
    return [link for link in found if not re.match(r"[a-z]+:", link)]


_LINKS = ("link_open", "image")


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page: its text in small letters, with hyphens for spaces, a number where taken."""
    found: dict[str, int] = {}
    made = set()
    each = tokens(page)
    for token, after in pairwise(each):
        if token.type == "heading_open":
            text = "".join(child.content for child in after.children or () if child.type in ("text", "code_inline"))
            slug = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
            made.add(f"{slug}-{found[slug]}" if slug in found else slug)
            found[slug] = found.get(slug, 0) + 1
    return made


def broken(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    there = (page.parent / path).resolve() if path else page
    if not there.exists() or not there.is_relative_to(TOP):
        return True
    return bool(anchor) and there.suffix == ".md" and anchor not in anchors(there)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in links(page) if broken(page, link)] == []


def test_every_page_is_in_the_index() -> None:
    index = TOP / "docs" / "README.md"
    listed = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    assert [page.name for page in (TOP / "docs").glob("*.md") if page.resolve() not in listed | {index}] == []


def test_what_is_broken_is_seen(tmp_path: Path) -> None:
    page = TOP / "README.md"
    assert {"try-it", "how-it-works"} <= anchors(page)
    assert not broken(page, "#try-it") and not broken(page, "docs/ci.md#github")
    assert broken(page, "#no-such-heading") and broken(page, "docs/ci.md#gone") and broken(page, "docs/gone.md")
    assert broken(page, str(tmp_path))
