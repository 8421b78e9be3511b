"""Globs of model paths."""

from __future__ import annotations

import re
from functools import lru_cache


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
