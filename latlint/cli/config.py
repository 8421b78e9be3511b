"""``latlint config``: check configuration files without reading a model, and print the schema of one."""

from __future__ import annotations

from pathlib import Path

import click

from latlint.cli import _console
from latlint.errors import LatlintError
from latlint.project.configuration import load, schema
from latlint.report.json import dump
from latlint.report.plain import clean
from latlint.settings import FILE


@click.group("config", short_help="Check configuration files, or print their JSON schema.")
def command() -> None:
    """Check configuration files, or print their JSON schema.

    \b
    latlint config check
    latlint config schema > latlint.schema.json
    """


@command.command("check", short_help="Check configuration files.")
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path))
def check_command(files: tuple[Path, ...]) -> int:
    """Check configuration files: their keys and values, and that a run by them would start: that the targets,
    ops and rules which they name are known, that each budget holds on one of the targets, and that there are models.

    Without FILE, the one that a check in the working directory would go by. A pyproject.toml without [tool.latlint] is passed over.
    What a run goes by, with where each setting comes from, is shown by latlint check --show-settings.
    """
    status = 0
    for file in files or (None,):
        try:
            _console.emit(_checked(file))
        except LatlintError as error:
            _console.error(error.message, path=error.path or str(file), code=error.code)
            status = 2
    return status


def _checked(file: Path | None) -> str:
    """What there is in a good configuration, in one line."""
    from latlint.api import Run
    from latlint.run.targets import refuse_unknown_names

    settings = load(config=file)
    if settings.source is None:
        raise LatlintError(f"no {FILE} and no [tool.latlint] in a pyproject.toml here or above", path=".")
    if not settings.origins:
        return f"{clean(settings.source)}: says nothing to latlint\n"
    try:
        if Path(settings.source).name in (FILE, "pyproject.toml"):
            run = Run.prepare((), settings, judge=True)
            if settings.models and not run.files:
                raise LatlintError(f"models names no file here: {', '.join(settings.models)}", code="LAT005")
        else:
            refuse_unknown_names(settings)  # a file for others to extend, which need not be enough for a run
    except LatlintError as error:
        raise LatlintError(error.message, code=error.code, path=error.path or settings.source) from None
    files = dict.fromkeys(origin for origin in settings.origins.values() if origin != settings.source)
    extended = f", extending {', '.join(map(clean, files))}" if files else ""
    return f"{clean(settings.source)}: good{extended}\n"


@command.command("schema", short_help="Print the JSON schema of latlint.toml.")
def schema_command() -> int:
    """Print the JSON schema of latlint.toml, for editors.

    Save it and name it in the first line of latlint.toml, as in: #:schema ./latlint.schema.json
    """
    _console.emit(dump(dict(schema())))
    return 0
