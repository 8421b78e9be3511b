"""``latlint check``: lint files, or what the configuration names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import click

from latlint.checks.types import SEVERITIES
from latlint.cli import _completion, _console
from latlint.cli._help import Command
from latlint.cli._options import (
    CommonOptions,
    ReportFormat,
    config_options,
    format_option,
    report_errors,
    report_notes,
    review_options,
    target_options,
)
from latlint.cli._run import RunOptions, run_options
from latlint.cli._toml import settings_text
from latlint.errors import LatlintError, debugging, internal_error_text
from latlint.files import real_path
from latlint.outcome import Report
from latlint.project.discovery import changed_models
from latlint.report import formats, render, render_stream, shows_changes, shows_hash, shows_kernels
from latlint.report.plain import Style


@click.command("check", cls=Command, short_help="Lint model files against latency budgets.")
@click.argument("paths", nargs=-1, shell_complete=_completion.files, metavar="[PATH]...")
@target_options
@click.option(
    "-b",
    "--budget",
    "budgets",
    multiple=True,
    metavar="TIME",
    help="Fail above this latency: 10ms, 850us, or for some targets only: 'pixel-4/*=12ms'. Repeatable; the tightest counts.",
)
@click.option(
    "--select",
    multiple=True,
    metavar="RULE",
    shell_complete=_completion.rules,
    help="Run only these rules: a code, the beginning of a code, or a name. Repeatable.",
)
@click.option(
    "--ignore",
    multiple=True,
    metavar="RULE",
    shell_complete=_completion.rules,
    help="Do not run these rules. Repeatable.",
)
@click.option(
    "--fail-on",
    type=click.Choice(SEVERITIES[::-1]),
    help="Exit with 1 for findings of this severity or above.  [default: error]",
)
@review_options
@click.option("--no-baseline", is_flag=True, help="Show and count what latlint.baseline accepts as well.")
@config_options
@format_option(ReportFormat("check"))
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="FORMAT=FILE",
    shell_complete=_completion.reports,
    help="Write the report to a file as well. Repeatable.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show only what did not pass, and the last line.")
@click.option("--exit-zero", is_flag=True, help="Exit with 0 even when there are findings (errors still give 2).")
@click.option("--allow-empty", is_flag=True, help="Exit with 0 when there is no model to check.")
@click.option(
    "--hook",
    is_flag=True,
    help="Treat PATHs as changed files: map external data to its ONNX model and skip files that are not models.",
)
@run_options
@click.option(
    "--show-settings", is_flag=True, help="Print the settings of this run and where they come from, and stop."
)
def command(
    paths: tuple[str, ...],
    budgets: tuple[str, ...],
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    fail_on: str | None,
    base: str | None,
    today: date | None,
    no_baseline: bool,
    common: CommonOptions,
    format_name: str,
    outputs: tuple[str, ...],
    quiet: bool,
    exit_zero: bool,
    allow_empty: bool,
    hook: bool,
    show_settings: bool,
    options: RunOptions,
) -> int:
    """Lint model files: predict their latency and hold it against budgets.

    PATH is a model file or a directory, which is searched for .tflite and .onnx files. Without PATH, latlint checks the models
    that the configuration names, or all below its directory.

    \b
    latlint check model.tflite --target pixel-4/gpu --budget 10ms
    latlint check models/ --target 'galaxy-s10/*' --budget '*/gpu=8ms' --budget '*/cpu-*=30ms'
    """
    files = _parsed_outputs(outputs)
    flags: dict[str, Any] = {
        "budgets": budgets,
        "select": select,
        "ignore": ignore,
        "fail_on": fail_on,
        "base": base,
        "today": today,
        "use_baseline": not no_baseline,
    }
    settings = common.settings(**flags)
    governing = common.governing(settings, **flags)
    if show_settings:
        _console.emit(settings_text(settings))
        return 0
    if hook and not (paths := tuple(changed_models(paths, settings, governing))):
        return 0
    names = (format_name, *(name for name, _ in files))
    hashed, kernels = any(map(shows_hash, names)), any(map(shows_kernels, names))
    changes = base is not None or any(map(shows_changes, names))
    run = options.prepare(
        paths, settings, judge=True, hashed=hashed, kernels=kernels, changes=changes, governing=governing
    )
    report_notes(run.empty, paths, allow_empty=allow_empty)
    if hook and not any(group.task.settings.budgets for group in run.groups):
        _console.note(
            "there is no budget, so nothing was held against one: `latlint init` writes budgets for the models here"
        )
    status = _Status(exit_zero)
    parts = status.watched(options.parts(run))
    if not files and format_name != "github":
        for text in render_stream(run.empty, parts, "check", format_name, _console.style(quiet=quiet)):
            _console.emit(text)
        return status.code
    report = run.empty.joined(parts)
    texts = [(format_name, None, _console.style(quiet=quiet)), *((name, path, Style()) for name, path in files)]
    failures = [(path, failure) for name, path, style in texts if (failure := _failure(report, name, path, style))]
    if format_name == "github" and all(name != "markdown" for name, _ in files):
        _console.append_to_job_summary(render(report, "check", "markdown", Style()))
    for path, failure in failures:
        _tell(failure, path)
    return 2 if failures else status.code


def _failure(report: Report, name: str, path: Path | None, style: Style) -> Exception | None:
    """Why the report could not be written to ``path``, or else to stdout. What cannot be written takes no other output with it."""
    try:
        text = render(report, "check", name, style)
        if path is None:
            _console.emit(text)
        else:
            _console.write_output(text, path)
    except Exception as error:
        if debugging():
            raise
        return error
    return None


def _tell(failure: Exception, path: Path | None) -> None:
    if isinstance(failure, LatlintError):
        _console.error(failure.message, path=failure.path, code=failure.code)
    elif isinstance(failure, _console.ReaderGoneError | OSError):
        raise failure
    else:
        _console.error(internal_error_text(failure), path=str(path) if path else None)


@dataclass(slots=True)
class _Status:
    """The exit code of the reports that were seen: 2 for an error, 1 for a finding as grave as the settings say unless ``exit_zero``."""

    exit_zero: bool
    code: int = 0

    def watched(self, reports: Iterable[Report]) -> Iterator[Report]:
        """``reports`` as they come; their errors are reported at once."""
        for report in reports:
            if report_errors(report):
                self.code = 2
            elif report.failed():
                self.code = max(self.code, 0 if self.exit_zero else 1)
            yield report


def _parsed_outputs(outputs: tuple[str, ...]) -> list[tuple[str, Path]]:
    files: list[tuple[str, Path]] = []
    for output in outputs:
        name, separator, path = output.partition("=")
        if not separator or not path:
            raise LatlintError(f"malformed --output '{output}': expected FORMAT=FILE, such as json=latlint.json")
        if name not in formats():
            raise LatlintError(f"unknown format '{name}' in --output: known are {', '.join(formats())}")
        if not Path(path).parent.is_dir():
            raise LatlintError(f"the directory of --output '{output}' does not exist")
        files.append((name, Path(path)))
    if len({real_path(path) for _, path in files}) < len(files):
        raise LatlintError("two --output options name the same file")
    return files
