"""``latlint diff``: what a change does to latency, kernels and fusion."""

from __future__ import annotations

from importlib import import_module

import click

from latlint.cli import _completion, _console
from latlint.cli._help import Command
from latlint.cli._options import CommonOptions, config_options, format_option, target_options
from latlint.errors import LatlintError


@click.command("diff", cls=Command, short_help="Show what a change does to latency, kernel by kernel.")
@click.argument("paths", nargs=-1, shell_complete=_completion.files, metavar="[OLD NEW | PATH...]")
@click.option(
    "--base",
    metavar="REV",
    help="Compare the models at and below PATHs with what they were in git when HEAD and REV went apart.",
)
@target_options
@click.option(
    "--top",
    type=click.IntRange(min=0),
    metavar="N",
    help="Show the N kernels that matter most on each target.  [default: 15]",
)
@click.option("--all-kernels", is_flag=True, help="Show every kernel that changed.")
@config_options
@format_option(["html", "json", "markdown", "text"])
def command(
    paths: tuple[str, ...],
    base: str | None,
    top: int | None,
    all_kernels: bool,
    common: CommonOptions,
    format_name: str,
) -> int:
    """Show what a change does to latency, kernel by kernel.

    OLD and NEW are model files, of whichever format. With --base, PATHs are models and directories of a git repository; without
    any, all models that the configuration names, or else all below its directory.

    \b
    latlint diff before.tflite after.tflite --target pixel-4/gpu
    latlint diff --base origin/main --format markdown
    """
    from latlint.difference import between_files, since

    if top is not None and all_kernels:
        raise LatlintError("--top and --all-kernels contradict each other")
    if base is None and len(paths) != 2:
        raise click.UsageError("expected OLD and NEW, or --base REV", click.get_current_context())
    settings = common.settings()
    found = between_files(paths[0], paths[1], settings) if base is None else since(base, paths, settings)
    for note in found.notes:
        _console.note(note)
    for error in found.errors:
        _console.error(error.message, path=error.path, code=error.code)
    chosen = top is not None or all_kernels
    style = _console.style(top=None if all_kernels else 15 if top is None else top, kernels_chosen=chosen)
    _console.emit(import_module(f"latlint.difference.{format_name}").diff(found, style))
    return 2 if found.errors else 0
