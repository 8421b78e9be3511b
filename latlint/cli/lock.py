"""``latlint lock``: write, or compare with, the file that holds what models were predicted to take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import click

from latlint.cli import _completion, _console
from latlint.cli._help import Command
from latlint.cli._options import CommonOptions, report_notes_and_errors
from latlint.cli._run import RunOptions, record_options
from latlint.errors import LatlintError
from latlint.report.json import dump
from latlint.report.plain import Cell, Style, clean, table
from latlint.review import lock, records
from latlint.review.lock import Change, Entry
from latlint.units import format_ms
from latlint.words import counted

#: What is the matter with a line, when it is compared and when it is written.
_WORDS = {
    True: {"changed": "stale", "added": "missing", "removed": "extra"},
    False: {"changed": "changed", "added": "added", "removed": "removed"},
}
_PAINT = {"changed": ("yellow",), "added": ("green",), "removed": ("red",)}
_CAUSES = {
    "": "",
    "model": "",
    "predictor": "same model, other predictor",
    "settings": "same model",
}


@click.command("lock", cls=Command, short_help="Write, or compare with, latlint.lock: one line per model and target.")
@click.argument("paths", nargs=-1, shell_complete=_completion.files, metavar="[PATH]...")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 when the lock is not what it should be.")
@click.option("--hook", is_flag=True, help="Exit with 1 when the lock was written anew, as formatters do in hooks.")
@record_options
def command(
    paths: tuple[str, ...],
    check: bool,
    hook: bool,
    common: CommonOptions,
    format_name: str,
    allow_empty: bool,
    options: RunOptions,
) -> int:
    """Write latlint.lock beside the configuration: what each model is predicted to take on each target.

    Commit it: a change of a model then shows in review as a change of its lines, and relative budgets have something to compare
    with. With PATH or --target, only the lines of those models or targets are looked at, and others stay as they are.

    \b
    latlint lock
    latlint lock --check
    latlint lock models/detector.tflite
    """
    if check and hook:
        raise LatlintError("--check and --hook contradict each other: one writes nothing, the other writes")
    settings = common.settings()
    whole = not paths and not common.names_targets
    # What is written anew as a whole need not be understood first: that is the way out of a merge conflict.
    before = _console.unless_malformed(lambda: lock.read(settings), anyway=whole and not check)
    report = options.report(
        options.prepare(paths, settings, judge=False, governing=common.governing(settings), own=True)
    )
    report_notes_and_errors(report, paths, allow_empty=allow_empty)
    path = lock.path_of(settings)
    if report.errors:
        state = "not compared" if check else "left as it was"
        raise LatlintError(
            f"{state}: {counted(len(report.errors), 'model')} could not be read", path=records.display_path(path)
        )
    old = dict(before.entries) if before else {}
    scope = records.Scope.of(settings, paths, report.targets if common.names_targets else None)
    kept = {key: old[key] for key in old if not scope.holds(*key)}
    found = (lock.entry(each, settings) for each in report.predictions if not each.placement)
    new = kept | {entry.key: entry for entry in found}
    text = lock.to_text(new.values())
    # Lines in another order, as a merge by union leaves them, say the same; they are put in order when the lock is written.
    written = not check and (before is None or before.text != text)
    if written:
        _console.write_atomically(text, path)
    result = _Result(
        records.display_path(path), tuple(lock.changes(old, new)), len(new), check, written, before is None
    )
    _console.emit(_document(result) if format_name == "json" else _summary(result, _console.style()))
    return 1 if (check and not result.up_to_date) or (hook and written) else 0


@dataclass(frozen=True, slots=True)
class _Result:
    """What a run came to."""

    path: str
    changes: tuple[Change, ...]
    lines: int
    check: bool
    written: bool
    new: bool

    @property
    def up_to_date(self) -> bool:
        """Whether there was a lock and it said what it should."""
        return not self.changes and not self.new


def _document(result: _Result) -> str:
    return dump(
        {
            "schema": "latlint.lock/1",
            "lock": result.path,
            "up_to_date": result.up_to_date,
            "written": result.written,
            "lines": result.lines,
            "changes": [
                {
                    "change": change.kind,
                    "model": change.key[0],
                    "target": change.key[1],
                    "cause": change.cause,
                    "old": _entry(change.old),
                    "new": _entry(change.new),
                }
                for change in result.changes
            ],
        }
    )


def _entry(entry: Entry | None) -> dict[str, object] | None:
    return None if entry is None else {**asdict(entry), "ops": dict(entry.ops)}


def _summary(result: _Result, style: Style) -> str:
    lines = f"{counted(result.lines, 'line')}"
    path = clean(result.path)
    if result.up_to_date and not result.written:
        return f"{path} is up to date: {lines}\n"
    counts = Counter(change.kind for change in result.changes)
    parts = [f"{counts[kind]} {word}" for kind, word in _WORDS[result.check].items() if counts[kind]]
    how = ", ".join(parts) or ("there is none yet" if result.check else "in order")
    rows = [_row(change, _WORDS[result.check]) for change in result.changes]
    head = f"{path} is not up to date: {how}" if result.check else f"Wrote {path}: {lines}, {how}"
    tail = ["", "Run: latlint lock"] if result.check else []
    return "\n".join([head, *table(rows, "<<<>><", style, indent=2), *tail]) + "\n"


def _row(change: Change, words: Mapping[str, str]) -> list[Cell]:
    model, target = change.key
    old, new = (format_ms(entry.latency_ms) if entry else "" for entry in (change.old, change.new))
    times = f"{old} → {new}" if old and new and old != new else new or old
    ratio = ""
    if change.old and change.new and change.old.latency_ms != change.new.latency_ms and change.old.latency_ms:
        ratio = f"{change.new.latency_ms / change.old.latency_ms - 1:+.1%}".replace("-", "−")
    return [
        Cell(words[change.kind], _PAINT[change.kind]),
        Cell(clean(model, 200), ("bold",)),
        Cell(target, ("cyan",)),
        Cell(times),
        Cell(ratio),
        Cell(_CAUSES[change.cause], ("dim",)),
    ]
