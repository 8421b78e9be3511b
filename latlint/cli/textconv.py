"""``latlint textconv``: a model file as text, for ``git diff``."""

from __future__ import annotations

import click

from latlint.cli import _completion, _console
from latlint.cli._options import CommonOptions, config_options, target_options
from latlint.errors import LatlintError
from latlint.report.plain import clean


@click.command("textconv", short_help="Print a model file as text, for git diff.")
@click.argument("file", shell_complete=_completion.files)
@target_options
@config_options
def command(
    file: str,
    common: CommonOptions,
) -> int:
    """Print a model file as text that git diff can compare: its graph, and its kernels with their latency on each target.

    \b
    git config diff.latlint.textconv "latlint textconv"
    echo '*.tflite diff=latlint' >> .gitattributes
    """
    from latlint.difference import as_text

    settings = common.settings()
    try:
        text = as_text(file, settings)
    except LatlintError as error:
        if not error.code.startswith("LAT00"):
            raise
        # git gives up a whole diff, or log, when the conversion of one file fails.
        text = f"no model that latlint can read: {clean(error.message)} [{error.code}]\n"
    _console.emit(text)
    return 0
