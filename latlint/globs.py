"""Globs of model paths and of targets."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import lru_cache

from latlint.records import NamedTuple


@lru_cache(maxsize=4096)  # the budgets of many targets ask the same
def matches_path(pattern: str, path: str) -> bool:
    """Whether a model glob matches ``path`` (relative, forward slashes).

    A glob without ``/`` matches the file's name in any directory, one with ``/`` the whole path; ``**`` spans directories.
    """
    return _parsed(pattern).matches(path if "/" in pattern else path.rpartition("/")[2])


class _Glob(NamedTuple):
    """A glob between literal ends. Each token is a wildcard, a class such as ``[a-c]``, or one character."""

    start: str
    tokens: tuple[str, ...]
    end: str

    def matches(self, path: str) -> bool:
        """Whether all of ``path`` matches. Bit ``p`` of ``reached`` says that the tokens so far can match its first ``p`` characters,
        so each token is looked at once, whatever the glob and the path are: nothing is tried and taken back."""
        if not (path.startswith(self.start) and path.endswith(self.end)):
            return False
        if not self.tokens:
            return path == self.start
        middle = path[len(self.start) : len(path) - len(self.end)]
        if len(path) < len(self.start) + len(self.end):
            return False
        named, every = ~_where(middle, "/"), (2 << len(middle)) - 1
        named &= every >> 1
        reached = 1
        for token in self.tokens:
            if token == "**":
                reached = every & ~((reached & -reached) - 1)
            elif token == "*":  # a sum carries each bit to the next slash, or to the end
                reached |= ((reached & named) + named) ^ named
            elif token == "**/":
                after = every & ~((reached & -reached) - 1)
                reached |= (after & _where(middle, "/")) << 1
            elif token == "?":
                reached = (reached & named) << 1
            elif len(token) > 1:
                reached = (reached & _where_class(middle, token)) << 1
            else:
                reached = (reached & _where(middle, token)) << 1
            if not reached:
                return False
        return bool(reached >> len(middle))


@lru_cache(maxsize=65536)
def _parsed(pattern: str) -> _Glob:
    tokens: list[str] = []
    text = pattern.removeprefix("./")
    # Behind the last ] no bracket closes: to look for one there from each [ would take the square of their number.
    head, tail = text[: text.rfind("]") + 1], text[text.rfind("]") + 1 :]
    for token in (*re.split(r"(\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\])", head), *re.split(r"(\*\*/|\*\*|\*|\?)", tail)):
        if token in _WILDCARDS:
            if not (tokens and token == tokens[-1] and token != "?"):
                tokens.append(token)
        elif token.startswith("[") and token.endswith("]"):
            try:
                re.compile(_class(token))
            except re.error:  # a reversed range such as [z-a]: match it literally
                return _Glob(pattern, (), pattern)
            tokens.append(token)
        else:
            tokens += token
    wild = [at for at, token in enumerate(tokens) if len(token) > 1 or token in _WILDCARDS]
    if not wild:
        return _Glob("".join(tokens), (), "".join(tokens))
    first, last = wild[0], wild[-1] + 1
    return _Glob("".join(tokens[:first]), tuple(tokens[first:last]), "".join(tokens[last:]))


_WILDCARDS = frozenset({"**/", "**", "*", "?"})


def _class(token: str) -> str:
    """A class of a glob as a regular expression of one character."""
    no, named = ("(?!/)[^", token[2:-1]) if token.startswith("[!") else ("[", token[1:-1])
    # ranges, and else characters that mean themselves: of ``&&`` and ``--`` Python warns, as it may make sets of them one day
    return no + re.sub(r"(.)-(.)|[\\\[\]&~|-]", _spelt, named, flags=re.DOTALL) + "]"


def _spelt(found: re.Match[str]) -> str:
    ends = found.groups() if found[1] else (found[0],)
    return "-".join(f"\\{end}" if end in r"\[]&~|-" else end for end in ends)


@lru_cache(maxsize=1024)
def _where(text: str, character: str) -> int:
    """Bit ``p`` is set where ``character`` is at ``p`` in ``text``."""
    return int("".join("1" if each == character else "0" for each in reversed(text)) or "0", 2)


@lru_cache(maxsize=1024)
def _where_class(text: str, token: str) -> int:
    one = re.compile(_class(token), re.DOTALL)
    return int("".join("1" if one.fullmatch(each) else "0" for each in reversed(text)) or "0", 2)


#: How the targets begin that say where ops run, and of no device how long it takes.
NO_DEVICE = "any-device/"


def selects_target(pattern: str, target: str) -> bool:
    """Whether ``pattern`` names ``target``, ``DEVICE/PROCESSOR`` or ``DEVICE/PROCESSOR@RUNTIME``.

    Without ``@`` a glob is about processors with the runtime that they have by default; ``pixel-4/*@*`` is about all runtimes. What stands for no
    device is meant only where it is named.
    """
    processor, _, runtime = target.partition("@")
    wanted, at, wanted_runtime = pattern.partition("@")
    if processor.startswith(NO_DEVICE) and not wanted.startswith(NO_DEVICE):
        return False
    return fnmatchcase(processor, wanted) and (fnmatchcase(runtime, wanted_runtime) if at else not runtime)


def covers_target(pattern: str, target: str) -> bool:
    """Whether what is said for ``pattern``, such as a budget, is said of ``target``: ``*``, which stands where nothing is, is every one."""
    return pattern == "*" or selects_target(pattern, target)
