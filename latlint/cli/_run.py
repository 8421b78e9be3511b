"""How a run over files is carried out: options of the commands that read models, and what a terminal sees of a long run."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any

import click

from latlint.api import Run
from latlint.cli import _console
from latlint.cli._options import config_options, format_option, target_options
from latlint.errors import LatlintError
from latlint.outcome import Report
from latlint.records import NamedTuple
from latlint.run.cache import user_cache
from latlint.settings import Settings

_Command = Callable[..., Any]

#: A further process must have this many files to be worth its start.
_FILES_PER_PROCESS = 8
#: A run shows its progress after so many seconds, and then as often.
_SHOWN_AFTER_S, _SHOWN_EVERY_S = 1.0, 0.2


class RunOptions(NamedTuple):
    """What a run is carried out with, as ``run_options`` say."""

    jobs: int | None = None
    scheduler: str | None = None
    no_cache: bool = False

    def prepare(self, paths: Iterable[str], settings: Settings, *, judge: bool, **others: Any) -> Run:
        """See ``Run.prepare``."""
        # The machines of a cluster have other users and other caches.
        cache = None if self.no_cache or self.scheduler else user_cache()
        return Run.prepare(paths, settings, judge=judge, cache=cache, **others)

    def parts(self, run: Run) -> Iterator[Report]:
        """The report of each file, in order, with a progress bar on a terminal."""
        if self.scheduler:
            from latlint.run.cluster import executor_of

            with executor_of(self.scheduler) as executor:
                yield from _watched(run.parts(executor), len(run.files))
        else:
            yield from _watched(run.parts(jobs=self.jobs or _default_jobs(len(run.files))), len(run.files))

    def report(self, run: Run) -> Report:
        """The report of all files."""
        return run.empty.joined(self.parts(run))


def run_options(function: _Command) -> _Command:
    """``--jobs``, ``--scheduler``, ``--no-cache``; the command gets them as ``options``."""

    @click.option(
        "-j",
        "--jobs",
        type=click.IntRange(min=1),
        metavar="N",
        help="Work on N files at a time, each in its own process.  [default: by the number of files and processors]",
    )
    @click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="Work on the Dask cluster of this scheduler, such as tcp://host:8786 (needs the package `distributed`).",
    )
    @click.option("--no-cache", is_flag=True, help="Do not read or write the result cache.")
    @wraps(function)
    def command(*, jobs: int | None, scheduler: str | None, no_cache: bool, **others: Any) -> Any:
        if jobs and scheduler:
            raise LatlintError("--jobs and --scheduler contradict each other")
        return function(options=RunOptions(jobs, scheduler, no_cache), **others)

    return command


def record_options(function: _Command) -> _Command:
    """What `latlint lock` and `latlint baseline`, which write records of models beside the configuration, have in common: targets, the
    configuration, ``run_options``, ``--format``, ``--allow-empty``."""
    allow_empty = click.option("--allow-empty", is_flag=True, help="Succeed even if no model is found.")
    for decorator in (allow_empty, format_option(["json", "text"]), run_options, config_options, target_options):
        function = decorator(function)
    return function


def _default_jobs(files: int) -> int:
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(processors, files // _FILES_PER_PROCESS))


def _watched(reports: Iterable[Report], total: int) -> Iterator[Report]:
    """``reports`` as they come, with a bar on stderr where that is a terminal and the run takes long."""
    if total < 2 or sys.stderr is None or not sys.stderr.isatty():
        yield from reports
        return
    shown = time.monotonic() + _SHOWN_AFTER_S - _SHOWN_EVERY_S
    try:
        for done, report in enumerate(reports, start=1):
            if time.monotonic() - shown >= _SHOWN_EVERY_S:
                shown = time.monotonic()
                _console.progress(done, total)
            yield report
    finally:
        _console.clear_progress()
