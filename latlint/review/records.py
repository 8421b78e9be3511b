"""Text files of records that people review and Git merges, ``latlint.lock`` and ``latlint.baseline``: after a header one sorted line
a record, and an empty line between models, so that changes of two models never touch and merge without a conflict.

Fields stand between single spaces. One that holds more than plain characters is quoted as Git quotes paths: in double quotes, with
backslash escapes and, for each byte of what cannot be printed, three octal digits. So every file name survives, and none can break a
line, reorder what a reviewer sees, or steer a terminal.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from latlint.errors import LatlintError
from latlint.files import read_bounded
from latlint.settings import Settings

#: Printable, without space, and beginning neither like a quoted field or a comment nor like a conflict marker.
_PLAIN = re.compile(r'[^\s"\\#<=>|][^\s"\\]*')
#: Possessive: what is no field is not tried again in another way, so a line takes time linear in its length.
_FIELD = re.compile(r'"(?:[^"\\]++|\\["\\abfnrtv]|\\[0-3][0-7]{2})*+"|[^\s"\\]++')
_ESCAPE = re.compile(r'\\(["\\abfnrtv]|[0-7]{3})|[^\\]+')
_LETTERS = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, '"': 34, "\\": 92}
_SPELT = {chr(code): f"\\{letter}" for letter, code in _LETTERS.items()}
_CONFLICT = re.compile(r"^(?:<{7}|\|{7}|={7}|>{7})(?: |$)", re.MULTILINE)

#: A time as ``four_digits`` writes it, however long: a float has 308 digits before the point at most.
NUMBER = r"[0-9]{1,308}(?:\.[0-9]{1,9})?"

#: Far more than a lock of thousands of models needs.
MAX_BYTES = 32_000_000
_MAX_LINES = 200_000


def quoted(text: str) -> str:
    """``text`` as a field; a byte of a file name that is not UTF-8 (a surrogate escape) keeps its value."""
    if _PLAIN.fullmatch(text) and text.isprintable() and "##" not in text:
        return text
    # A CI runner takes ``##[…]`` for a command in whatever a job prints, such as this file's diff.
    return '"' + "".join(map(_spelt, text)).replace("##", "#\\043") + '"'


def _spelt(char: str) -> str:
    if char in _SPELT:
        return _SPELT[char]
    return char if char.isprintable() else "".join(f"\\{byte:03o}" for byte in _encoded(char))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def unquoted(field: str) -> str:
    """The text that ``quoted`` made ``field`` of."""
    if not field.startswith('"'):
        return field
    out = bytearray()
    for match in _ESCAPE.finditer(field[1:-1]):
        escape = match[1]
        if escape is None:
            out += _encoded(match[0])
        else:
            out.append(_LETTERS[escape] if escape in _LETTERS else int(escape, 8))
    return out.decode("utf-8", "surrogateescape")


def to_text(kind: str, remark: str, records: Iterable[Sequence[str]]) -> str:
    """The text of a file of ``kind`` (``lock``): a header, and ``records``, sorted. The first field of a record is its model."""
    lines = [f"# latlint {kind} 1", f"# {remark}"]
    for _, group in groupby(sorted(map(tuple, records)), key=lambda record: record[0]):
        lines += ["", *(" ".join(map(quoted, record)) for record in group)]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Scope:
    """Which records a run is about: those of the ``models`` that were named and of what lies, or lay, in the directories that were, on
    the ``targets`` that were named; ``None`` is all."""

    models: tuple[str, ...] | None
    targets: tuple[str, ...] | None

    @classmethod
    def of(cls, settings: Settings, paths: Iterable[str], targets: tuple[str, ...] | None) -> Scope:
        return cls(tuple(map(settings.relative, paths)) or None, targets)

    def holds(self, model: str, target: str) -> bool:
        """Whether the record of ``model``, a path from the directory of the configuration, is among them."""
        if self.targets is not None and target not in self.targets:
            return False
        return self.models is None or any(name in (".", model) or model.startswith(f"{name}/") for name in self.models)


class MalformedError(LatlintError):
    """A file of records that cannot be understood, with the line where that shows."""

    def __init__(self, path: str, number: int, wrong: str, kind: str) -> None:
        super().__init__(f"line {number} {wrong}; run `latlint {kind}` to write it anew", code="LAT903", path=path)


def records(text: str, kind: str, path: str) -> Iterator[tuple[int, list[str]]]:
    """The line number and fields of every record in ``text``. Raises ``MalformedError`` on the first line that is none, or that Git
    left there in the middle of a merge."""
    expected = f"# latlint {kind} 1"
    text = text.removeprefix("\ufeff")
    if conflict := _CONFLICT.search(text):
        number = text.count("\n", 0, conflict.start()) + 1
        raise MalformedError(
            path, number, f"is a conflict marker ('{conflict[0][:7]}'): a merge was not finished", kind
        )
    if text.count("\n") > _MAX_LINES:
        message = (
            f"has more than {_MAX_LINES:,} lines: keep fewer models or targets, or configurations of their own below"
        )
        raise LatlintError(message, code="LAT903", path=path)
    lines = text.split("\n")
    head = lines[0].rstrip()
    if head != expected:
        newer = re.fullmatch(rf"# latlint {kind} (\d{{1,9}})", head)
        wrong = f"says version {newer[1]}, which this latlint does not know" if newer else f"is not '{expected}'"
        raise MalformedError(path, 1, wrong, kind)
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.startswith("#"):
            fields = _fields(line.rstrip())
            if fields is None:
                raise MalformedError(path, number, "is not made of fields between single spaces", kind)
            yield number, [unquoted(field) for field in fields]


def _fields(line: str) -> list[str] | None:
    """The fields of a line, as they are written; ``None`` where it is not made of fields between single spaces."""
    fields: list[str] = []
    at = 0
    while field := _FIELD.match(line, at):
        fields.append(field[0])
        at = field.end()
        if at == len(line):
            return fields
        if line[at] != " ":
            return None
        at += 1
    return None


def matched(
    fields: Sequence[str], names: int, shape: Sequence[tuple[str, re.Pattern[str]]], number: int, path: str, kind: str
) -> list[re.Match[str]]:
    """The fields after the ``names`` that a record begins with, each matched with what ``shape`` wants in its place."""
    if len(fields) != names + len(shape):
        raise MalformedError(path, number, f"has {len(fields)} fields and not {names + len(shape)}", kind)
    matches = []
    for field, (name, pattern) in zip(fields[names:], shape, strict=True):
        match = pattern.fullmatch(field)
        if match is None:
            raise MalformedError(path, number, f"has '{field[:40]}' in the place of {name}", kind)
        matches.append(match)
    return matches


def display_path(path: Path) -> str:
    """``path`` as the user would name it from the working directory."""
    return os.path.relpath(path).replace(os.sep, "/")


def read(path: Path) -> str | None:
    """The text of the file ``path``, or ``None`` where there is none. Raises LatlintError (LAT903) when it cannot be read."""
    try:
        return decoded(read_bounded(path, MAX_BYTES), display_path(path))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise LatlintError(str(error), code="LAT903", path=display_path(path)) from None
    except OSError as error:
        raise LatlintError(f"cannot be read: {error.strerror}", code="LAT903", path=display_path(path)) from None


def decoded(content: bytes, path: str) -> str:
    """``content`` as text, with line feeds alone: Git may have written others at checkout."""
    try:
        return content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise LatlintError(f"line {number} is not UTF-8", code="LAT903", path=path) from None
