"""The one exception a user's input can cause."""

from __future__ import annotations


class LatlintError(Exception):
    """Something the user can mend. ``message`` is one line: what is wrong, what was expected, what to do.

    ``code`` is the rule code of the matching finding (``LAT001`` …), ``path`` the file concerned, as the user gave it.
    """

    def __init__(self, message: str, *, code: str = "LAT000", path: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.path = path

    def __str__(self) -> str:
        return self.message if self.path is None else f"{self.path}: {self.message}"
