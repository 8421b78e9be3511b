"""Names and globs: which models, targets and rules a pattern means, and the nearest names for one that means none."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from functools import lru_cache

from latlint.errors import LatlintError


def matches_path(pattern: str, path: str) -> bool:
    """Whether a model glob matches ``path`` (relative, forward slashes).

    A glob without ``/`` matches the file's name in any directory, one with ``/`` the whole path; ``**`` spans directories.
    """
    return bool(_path_pattern(pattern).fullmatch(path if "/" in pattern else path.rpartition("/")[2]))


@lru_cache(maxsize=256)
def _path_pattern(pattern: str) -> re.Pattern[str]:
    tokens = re.split(r"(\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\])", pattern.removeprefix("./"))
    wildcards = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = []
    for token in tokens:
        if token in wildcards:
            parts.append(wildcards[token])
        elif token.startswith("[") and token.endswith("]"):
            body = token[1:-1].replace("\\", r"\\").replace("[", r"\[")
            parts.append(f"(?!/)[^{body[1:]}]" if body.startswith("!") else f"[{body}]")
        else:
            parts.append(re.escape(token))
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error:  # a reversed range such as [z-a]: match it literally
        return re.compile(re.escape(pattern))


def select_targets(patterns: Iterable[str], known: Collection[str]) -> list[str]:
    """The known targets that one of ``patterns`` names, sorted; a pattern that names none is an error with the nearest names."""
    chosen: set[str] = set()
    for pattern in patterns:
        matched = [name for name in known if fnmatchcase(name, pattern)]
        if not matched:
            raise _unknown_target(pattern, known)
        chosen.update(matched)
    return sorted(chosen)


def _unknown_target(pattern: str, known: Collection[str]) -> LatlintError:
    device = pattern.partition("/")[0]
    processors = [name for name in known if name.startswith(f"{device}/")]
    if "/" not in pattern and processors:
        hint = f"name its processor, such as {processors[0]}, or all of them: '{device}/*'"
    elif guesses := nearest(pattern, processors or known, count=3):
        hint = f"did you mean {', '.join(guesses)}?"
    else:
        hint = "no name is near it"
    return LatlintError(f"unknown target '{pattern}': {hint} (`latlint targets` lists all)", code="LAT902")


def select_ops(pattern: str) -> list[str]:
    """The op kinds that a glob names, sorted; one that names none is an error with the nearest kinds."""
    from latlint.graph.ops import KINDS

    if matched := sorted(kind for kind in KINDS if fnmatchcase(kind, pattern)):
        return matched
    guesses = nearest(pattern, sorted(KINDS), count=3)
    hint = f"did you mean {', '.join(guesses)}?" if guesses else "no kind is near it"
    raise LatlintError(f"unknown op '{pattern}' in a budget: {hint}", code="LAT901")


def nearest(name: str, choices: Iterable[str], count: int = 1) -> list[str]:
    """The names that a typing error may have meant, best first."""
    from difflib import get_close_matches

    by_folded = {choice.casefold(): choice for choice in choices}
    return [by_folded[match] for match in get_close_matches(name.casefold(), by_folded, n=count, cutoff=0.5)]
