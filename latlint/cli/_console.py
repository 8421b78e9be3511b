"""What reaches the terminal: the one place that prints, and that decides on colour and width."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from latlint.errors import LatlintError
from latlint.files import write_through, write_whole
from latlint.report.plain import Style, clean

_BAR_COLUMNS = 30
T = TypeVar("T")


class ReaderGoneError(Exception):
    """Whoever read the output, such as `head`, has closed the pipe."""


class TerminatedError(BaseException):
    """SIGTERM: the process is asked to end, which is no error that anything may handle."""


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM raises ``TerminatedError``, so that what is half written is removed; nothing changes outside of the main thread."""

    def end(number: int, frame: object) -> None:
        raise TerminatedError

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def prepare() -> None:
    """UTF-8 with plain line feeds for files and pipes whatever the locale; on a terminal, escapes for what it cannot show. A standard
    stream that is closed is held open, so that no file gets its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            if stream.isatty():
                stream.reconfigure(errors="backslashreplace")
            else:
                stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")


def style(*, top: int | None = 15, kernels_chosen: bool = False, explain: bool = False, quiet: bool = False) -> Style:
    """Colour on a terminal, unless ``NO_COLOR``; ``FORCE_COLOR`` asks for it anywhere. Links there too, unless ``FORCE_HYPERLINK`` is 0. A pipe is
    120 columns wide, whatever ``COLUMNS``; ``LATLINT_WIDTH`` asks for another width anywhere."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    colour = terminal and os.environ.get("TERM") != "dumb"
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        colour = True
    if os.environ.get("NO_COLOR"):
        colour = False
    links = os.environ.get("FORCE_HYPERLINK", "1" if terminal and os.environ.get("TERM") != "dumb" else "0") not in (
        "",
        "0",
    )
    asked = os.environ.get("LATLINT_WIDTH", "")
    width = int(asked) if re.fullmatch("[0-9]{2,3}", asked) else _terminal_columns() if terminal else 120
    return Style(colour, width, top, kernels_chosen, explain, quiet, wrapped=terminal or bool(asked), links=links)


def _terminal_columns() -> int:
    import shutil  # takes longer to import than most runs that print to a pipe can spare

    return shutil.get_terminal_size((80, 24)).columns


def emit(text: str) -> None:
    """Print a command's output, now: a full disk must show here, not when the interpreter has ended."""
    clear_progress()
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        raise ReaderGoneError from None  # click would end the process with 1, which means findings


def note(message: str) -> None:
    """One line on stderr that the user should know and need not act on."""
    clear_progress()
    _say(f"latlint: note: {clean(message)}")


def error(message: str, *, path: str | None = None, code: str = "LAT000") -> None:
    """One line on stderr: ``latlint: error: PATH: message [CODE]``."""
    where = f"{clean(path)}: " if path is not None else ""
    tail = f" [{code}]" if code != "LAT000" else ""
    clear_progress()
    _say(f"latlint: error: {where}{clean(message)}{tail}")


def _say(line: str) -> None:
    """One line on stderr, if there is one: what cannot be said changes neither the output nor the exit code."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            print(line, file=sys.stderr, flush=True)


#: Whether the last line of the terminal is a progress bar.
_bar_shown = False


def progress(done: int, total: int) -> None:
    """Show on the terminal how far a run has come, until something else is printed."""
    global _bar_shown
    clear_progress()
    filled = "█" * (_BAR_COLUMNS * done // total)
    print(f"{filled:░<{_BAR_COLUMNS}} {done} of {total} files", end="", file=sys.stderr, flush=True)
    _bar_shown = True


def clear_progress() -> None:
    """Make room for what is printed next."""
    global _bar_shown
    if _bar_shown:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        _bar_shown = False


def write_atomically(text: str, path: Path) -> None:
    """Write a file whole or not at all, and nothing through a link."""
    try:
        write_whole({path: text.encode("utf-8")})
    except OSError as failure:
        raise LatlintError(f"cannot be written: {failure.strerror}", path=str(path)) from None


def write_output(text: str, path: Path) -> None:
    """Write what the user named as an output: a file, or straight to a device, a pipe or an open file such as ``/dev/stdout``."""
    try:
        if not write_through(path, text.encode("utf-8")):
            write_atomically(text, path)
    except OSError as failure:
        raise LatlintError(f"cannot be written: {failure.strerror}", path=str(path)) from None


def unless_malformed(read: Callable[[], T], *, anyway: bool) -> T | None:
    """What ``read`` gives of a file that is about to be written anew; when that is malformed, a note, or else the error."""
    try:
        return read()
    except LatlintError as malformed:
        if not anyway:
            raise
        note(f"{malformed.path}: {malformed.message.partition(';')[0]}: written anew")
        return None


def append_to_job_summary(markdown: str) -> None:
    """Add to what GitHub shows of a job, where this runs in one."""
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(path).open("a", encoding="utf-8", newline="\n") as summary:
                summary.write(markdown)
        except OSError as failure:
            raise LatlintError(f"cannot be written: {failure.strerror}", path=path) from None
