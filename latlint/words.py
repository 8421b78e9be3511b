"""Names and numbers in sentences: what messages and formats share."""

from __future__ import annotations

from collections.abc import Iterable


def counted(number: int, noun: str) -> str:
    """``1 kernel``, ``2 kernels``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def short_name(name: str) -> str:
    """A node's own name. TFLite's converter joins the names of all that it folded into an op with ``;``: the first is that of
    the op's output, while later ones may be of other layers (of a constant that they share)."""
    return name.partition(";")[0] or name


def printable(text: str) -> str:
    """``text`` on one line: if any character does not print, all but ASCII is escaped as in a Python literal."""
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def nearest(name: str, choices: Iterable[str], count: int = 1) -> list[str]:
    """The names that a typing error may have meant, best first."""
    from difflib import get_close_matches

    by_folded = {choice.casefold(): choice for choice in choices}
    return [by_folded[match] for match in get_close_matches(name.casefold(), by_folded, n=count, cutoff=0.5)]


def cut_middle(text: str, limit: int) -> str:
    """``text`` in at most ``limit`` characters: of a long name its beginning and its end say most."""
    if len(text) <= limit:
        return text
    head = (limit - 1) // 2
    return f"{text[:head]}…{text[len(text) - (limit - 1 - head) :]}"
