"""The one exception a user's input should cause, and what is said of any other."""

from __future__ import annotations

import os


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


class EnvironmentFailedError(LatlintError):
    """What failed is not the input: a disk is full, git did not answer. Nothing can be concluded, least of all that a budget holds."""


#: The rule of a file at which latlint itself failed.
INTERNAL = "LAT009"

_MAX_SHOWN = 300


def internal_error_text(exception: BaseException) -> str:
    """One line for what should not have happened, with all that a report of it needs."""
    import traceback

    frames = traceback.extract_tb(exception.__traceback__)
    place = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""  # noqa: PTH119
    said = str(exception)
    said = said if len(said) <= _MAX_SHOWN else f"{said[:_MAX_SHOWN]}…"
    return (
        f"internal error: {type(exception).__name__}: {said}{place}; please report this line "
        "(LATLINT_DEBUG=1 shows the traceback)"
    )


def debugging() -> bool:
    """Whether what should not have happened is to end the run with its traceback."""
    return bool(os.environ.get("LATLINT_DEBUG"))
