"""``latlint baseline``: accept the findings of today, so that only new ones count."""

from __future__ import annotations

from collections import Counter
from datetime import date

import click

from latlint.cli import _console
from latlint.cli._help import Command
from latlint.cli._options import (
    CommonOptions,
    report_notes_and_errors,
    review_options,
)
from latlint.cli._run import RunOptions, record_options
from latlint.errors import LatlintError
from latlint.outcome import Report
from latlint.report.json import dump
from latlint.report.plain import clean
from latlint.review import baseline, records
from latlint.review.baseline import Entry
from latlint.settings import Settings
from latlint.words import counted


@click.command("baseline", cls=Command, short_help="Accept the findings of today: write latlint.baseline.")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--prune", is_flag=True, help="Only remove what is found no more; accept nothing new.")
@review_options
@record_options
def command(
    paths: tuple[str, ...],
    prune: bool,
    base: str | None,
    today: date | None,
    common: CommonOptions,
    format_name: str,
    allow_empty: bool,
    options: RunOptions,
) -> int:
    """Write latlint.baseline beside the configuration: the findings of today, which `latlint check` then accepts.

    Findings that a waiver covers are left to it, and files that cannot be read are never accepted. With PATH or --target, only the
    lines of those models or targets are looked at, and others stay as they are.

    \b
    latlint baseline
    latlint baseline --prune
    """
    flags = {"base": base, "today": today, "use_baseline": False}
    settings = common.settings(**flags)
    # What is written anew as a whole need not be understood first: that is the way out of a merge conflict.
    whole = not (paths or common.names_targets or prune)
    old = _console.unless_malformed(lambda: baseline.read(settings), anyway=whole)
    name = records.display_path(baseline.path_of(settings))
    if prune and old is None:
        raise LatlintError("is not here, so there is nothing to prune: `latlint baseline` writes it", path=name)
    report = options.report(
        options.prepare(paths, settings, judge=True, governing=common.governing(settings, **flags), own=True)
    )
    report_notes_and_errors(report, paths, allow_empty=allow_empty)
    if report.errors:
        raise LatlintError(f"left as it was: {counted(len(report.errors), 'model')} could not be read", path=name)
    scope = records.Scope.of(settings, paths, report.targets if common.names_targets else None)
    new = _renewed(old or [], _acceptable(report, settings), scope, prune=prune)
    _console.write_atomically(baseline.to_text(new), baseline.path_of(settings))
    before, after = (Counter(entry.fields() for entry in entries) for entries in (old or [], new))
    added, removed = (after - before).total(), (before - after).total()
    if format_name == "json":
        counts = {"entries": len(new), "added": added, "removed": removed}
        _console.emit(dump({"schema": "latlint.baseline/1", "baseline": name, **counts}))
    else:
        accepted = f"{counted(len(new), 'finding')} accepted, {added} new, {removed} removed"
        _console.emit(f"Wrote {clean(name)}: {accepted}\n")
    return 0


def _acceptable(report: Report, settings: Settings) -> list[Entry]:
    """The entries for what was found and is not waived."""
    found = (baseline.entry(finding, settings) for finding in report.findings if not finding.suppressed)
    return [entry for entry in found if entry]


def _renewed(old: list[Entry], found: list[Entry], scope: records.Scope, *, prune: bool) -> list[Entry]:
    """The old entries outside of the ``scope`` and, for what lies in it, those found; to ``prune``, only the old ones of those."""
    left = Counter(entry.identity for entry in found)
    kept = []
    for entry in old:
        concerned = scope.holds(entry.model, entry.target)
        if not concerned or (prune and left[entry.identity]):
            kept.append(entry)
            left[entry.identity] -= concerned
    return kept if prune else [*kept, *found]
