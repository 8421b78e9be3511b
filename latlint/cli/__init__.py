"""The command line, one module a command: each has ``command``, which parses, calls ``latlint.api`` and returns the exit code.

Exit codes: 0 nothing at or above the failing severity; 1 findings; 2 usage, configuration, a file that could not be read,
an internal error. As a shell has it for a process that a signal ends: 130 interrupted, 141 the reader of the output is gone, 143
terminated.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

import click

from latlint import __version__
from latlint.cli import _console
from latlint.errors import LatlintError, debugging, internal_error_text
from latlint.words import nearest

#: What click raises for `latlint pack` alone, whose message is the help; before click 8.2 it printed that itself.
_NO_ARGUMENTS: tuple[type[click.ClickException], ...] = tuple(
    filter(None, [getattr(click.exceptions, "NoArgsIsHelpError", None)])
)

_INTERRUPTED = 130
_BROKEN_PIPE = 141
_TERMINATED = 143


@cache
def _names() -> tuple[str, ...]:
    return tuple(sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_")))


class _Commands(click.Group):
    """Imports a command when it is called: ``--version`` and ``rules`` pay for no other."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_names())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _names():
            return None
        command = import_module(f"{__name__}.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and name not in _names():
            if _is_model(name) or os.path.exists(name):  # noqa: PTH110 - whatever it is
                raise click.UsageError(
                    f"unknown command '{name}': to lint a file, latlint check {name}; to see its kernels, latlint predict {name}"
                )
            guess = nearest(name, _names())
            hint = f"did you mean {guess[0]}?" if guess else f"there are {', '.join(_names())}"
            raise click.UsageError(f"unknown command '{name}': {hint}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "--version", prog_name="latlint", message="%(prog)s %(version)s")
@click.pass_context
def _latlint(ctx: click.Context) -> int:
    """The linter that knows how slow a model file will be.

    latlint reads .tflite and .onnx files (never their weights), plans what TensorFlow Lite would run on a phone's GPU or CPU,
    and predicts the milliseconds of every kernel.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
        return 2
    return 0


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. No input causes a traceback."""
    try:
        _console.prepare()
        with _console.terminable():
            try:
                return int(_latlint.main(args, prog_name="latlint", standalone_mode=False) or 0)
            except _NO_ARGUMENTS as error:
                _console.emit(f"{error.format_message()}\n")
                return 2
    except _console.ReaderGoneError:
        return _BROKEN_PIPE
    except (KeyboardInterrupt, click.Abort):
        return _INTERRUPTED
    except _console.TerminatedError:
        return _TERMINATED
    except LatlintError as error:
        _console.error(error.message, path=error.path, code=error.code)
    except click.ClickException as error:
        _console.error(_usage_message(error))
    except Exception as error:
        if debugging():
            raise
        if isinstance(error, OSError):
            _console.error(error.strerror or str(error), path=error.filename)
        else:
            _console.error(internal_error_text(error))
    return 2


def _is_model(name: str) -> bool:
    from latlint.graph.formats import is_model_name  # a command line that is right has no need of it

    return is_model_name(name)


def _usage_message(error: click.ClickException) -> str:
    """click's message in one line, with where to look for help."""
    message = error.format_message().rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{message} (see {context.command_path} --help)" if context is not None else message
