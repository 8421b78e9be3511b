"""``latlint predict``: the latency of every kernel and in total."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import click

from latlint.cli import _completion, _console
from latlint.cli._help import Command
from latlint.cli._options import (
    CommonOptions,
    ReportFormat,
    config_options,
    format_option,
    report_errors,
    report_notes,
    target_options,
)
from latlint.cli._run import RunOptions, run_options
from latlint.errors import LatlintError
from latlint.outcome import Report
from latlint.report import render_stream, shows_hash


@click.command("predict", cls=Command, short_help="Show the latency of every kernel and in total.")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...", shell_complete=_completion.files)
@target_options
@click.option(
    "--top", type=click.IntRange(min=0), metavar="N", help="Show the N costliest kernels of each target.  [default: 15]"
)
@click.option("--all-kernels", is_flag=True, help="Show every kernel.")
@click.option(
    "--explain",
    is_flag=True,
    help="Show for each kernel what was fused into it, what stopped the next op, and what it missed.",
)
@config_options
@run_options
@format_option(ReportFormat("predict"))
def command(
    models: tuple[str, ...],
    top: int | None,
    all_kernels: bool,
    explain: bool,
    common: CommonOptions,
    format_name: str,
    options: RunOptions,
) -> int:
    """Predict the latency of every kernel and in total.

    MODEL is a .tflite or .onnx file, or a directory of them.

    \b
    latlint predict model.tflite --target pixel-4/gpu
    latlint predict model.onnx --all-targets
    """
    if top is not None and all_kernels:
        raise LatlintError("--top and --all-kernels contradict each other")
    settings = common.settings()
    run = options.prepare(
        models, settings, judge=False, hashed=shows_hash(format_name), governing=common.governing(settings)
    )
    report_notes(run.empty, models)
    chosen = top is not None or all_kernels or explain
    style = _console.style(
        top=None if all_kernels else 15 if top is None else top, kernels_chosen=chosen, explain=explain
    )
    unread: list[str] = []
    for text in render_stream(run.empty, _reported(options.parts(run), unread), "predict", format_name, style):
        _console.emit(text)
    return 2 if unread else 0


def _reported(reports: Iterable[Report], unread: list[str]) -> Iterator[Report]:
    """``reports`` as they come; their errors are reported at once, and the files are added to ``unread``."""
    for report in reports:
        if report_errors(report):
            unread += [error.path for error in report.errors]
        yield report
