"""Text that is safe to print, and lined up: shared by whatever people read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from latlint.records import NamedTuple
from latlint.words import cut_middle

#: Control, format (bidirectional overrides, zero-width), surrogate, private, unassigned; line and paragraph separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

#: ``::error::`` at the start of a line, ``##[error]`` (GitHub, Azure) and ``##vso[``, ``##teamcity[`` anywhere in it.
_COMMAND = r"^\s*:(?=:)|#(?=#\w*\[)"

_SGR = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class Style(NamedTuple):
    """How text is to look: whether with colour, how wide at most, how many kernels a table shows (``None``: all;
    ``kernels_chosen``: the user said so), and whether each comes with why it is what it is (``explain``). ``quiet``: only what did not
    pass. ``wrapped``: sentences break at ``width``, as a terminal's reader wants, and not for a program that reads line by line. ``links``: what has
    an address can be clicked (OSC 8)."""

    colour: bool = False
    width: int = 120
    top: int | None = 15
    kernels_chosen: bool = False
    explain: bool = False
    quiet: bool = False
    wrapped: bool = False
    links: bool = False

    def paint(self, text: str, *names: str) -> str:
        """``text`` in colours and weights of ``_SGR``, or as it is."""
        if not self.colour or not text or not names:
            return text
        return f"\x1b[{';'.join(_SGR[name] for name in names)}m{text}\x1b[0m"

    def link(self, text: str, address: str) -> str:
        """``text``, which leads to ``address`` where that is one and links are shown; it takes no more columns."""
        if not self.links or "://" not in address:
            return text
        return f"\x1b]8;;{address}\x1b\\{text}\x1b]8;;\x1b\\"


def clean(text: str, limit: int = 1000) -> str:
    """``text`` from a file or the command line, made inert: one line without control characters, terminal escapes or
    direction marks (each is written as ``\\x1b`` or ``\\u202e``), no command to a CI runner that reads it in a log, and cut after
    ``limit`` characters."""
    if len(text) > limit:
        text = text[:limit] + "…"
    if "::" in text or "##" in text:
        text = re.sub(_COMMAND, lambda match: f"{match[0][:-1]}\\x{ord(match[0][-1]):02x}", text)
    if text.isprintable():  # no character is in ``_UNSAFE``, nor a space but for the plain one
        return text
    return "".join(
        char.encode("unicode_escape").decode("ascii") if unicodedata.category(char) in _UNSAFE else char
        for char in text
    )


def wrap(text: str, style: Style, *, hanging: int) -> str:
    """``text`` (cleaned, unpainted) on lines of the style's width, those after the first indented by ``hanging``; as it is where the style
    does not wrap."""
    if not style.wrapped or columns(text) <= style.width:
        return text
    import textwrap  # a pipe has no use for it

    width, indent = max(style.width, hanging + 20), " " * hanging
    lines = textwrap.wrap(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)


def reflow(page: str, style: Style) -> str:
    """A page of Markdown (cleaned) on lines of the style's width; code, tables and headings stay as they are."""
    if not style.wrapped:
        return page
    found: list[str] = []
    for part in re.split(r"^(```.*?^```$)", page, flags=re.MULTILINE | re.DOTALL):
        if part.startswith("```"):
            found.append(part)
            continue
        # a paragraph is lines of prose, or an item of a list with what is indented below it
        for lines in re.findall(r"(?:^(?![#|]).+\n?)(?:^(?![#|]|- |\d+\. ).+\n?)*|^.*\n?", part, re.MULTILINE):
            text, end = " ".join(lines.split()), "\n" if lines.endswith("\n") else ""
            prose = text and text[0] not in "#|"
            found.append(wrap(text, style, hanging=2 if text.startswith("- ") else 0) + end if prose else lines)
    return "".join(found)


def columns(text: str) -> int:
    """How many columns ``text`` (cleaned, unpainted) takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def shorten(text: str, width: int, keeps: str = "end") -> str:
    """``text`` in at most ``width`` columns, without its beginning or, where it ``keeps`` its ``start``, without its end."""
    if columns(text) <= width:
        return text
    while text and columns(text) > max(width - 1, 0):
        excess = max(1, (columns(text) - width) // 2)
        text = text[excess:] if keeps == "end" else text[:-excess]
    return f"…{text}" if keeps == "end" else f"{text}…"


#: The least columns that a name is cut to.
_LAST = 12


class Cell(NamedTuple):
    """One cell of a table: cleaned text, how it is painted, and what it keeps when it is too long: its ``end``, which says
    most in the name of a node, its ``start``, or ``both`` (see ``table``)."""

    text: str
    paint: tuple[str, ...] = ()
    keeps: str = "end"


def table(rows: Sequence[Sequence[Cell]], align: str, style: Style, *, indent: int = 0) -> list[str]:
    """Lines of lined-up cells. ``align`` has one of ``<`` and ``>`` a column. The last column is cut to the style's width; where that leaves it too
    little on a terminal, names that keep ``both`` ends are cut in the middle, the longest first."""
    widths = [max((columns(row[i].text) for row in rows if i < len(row)), default=0) for i in range(len(align))]
    used = [i for i, width in enumerate(widths) if width]
    narrow = (
        [i for i in used[:-1] if any(row[i].keeps == "both" for row in rows if i < len(row))] if style.wrapped else []
    )
    least = indent + sum(widths[i] + 2 for i in used[:-1]) + (min(widths[used[-1]], _LAST) if used else 0)
    while narrow and least > style.width and widths[widest := max(narrow, key=widths.__getitem__)] > _LAST:
        widths[widest] -= 1
        least -= 1
    lines = []
    for row in rows:
        parts, printed = [], indent
        for i in used:
            if i >= len(row):
                break
            text = row[i].text
            if i == used[-1]:
                text = shorten(text, max(style.width - printed, _LAST), row[i].keeps)
            elif columns(text) > widths[i]:
                text = cut_middle(text, widths[i])
            painted, gap = style.paint(text, *row[i].paint), " " * (widths[i] - columns(text))
            parts.append(painted + gap if align[i] == "<" else gap + painted)
            printed += widths[i] + 2
        lines.append((" " * indent + "  ".join(parts)).rstrip())
    return lines
