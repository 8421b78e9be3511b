"""Options that commands share, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import wraps
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from latlint.cli import _completion, _console
from latlint.errors import LatlintError
from latlint.globs import NO_DEVICE
from latlint.graph.formats import a_model
from latlint.outcome import Report
from latlint.project.configuration import Governing, governing, load
from latlint.records import NamedTuple
from latlint.report import formats, shows
from latlint.settings import PRECISIONS, Settings

#: Execution providers of ONNX Runtime beside the CPU's, and the NPU that stands for all where none is named.
PROVIDERS = ("coreml", "nnapi", "qnn", "xnnpack")
QNN_TARGETS = ("galaxy-s26/npu@onnxruntime",)

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def target_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--target``, ``--all-targets``, ``--pack``, ``--shape``, ``--precision``."""
    decorators: tuple[_Decorator, ...] = (
        click.option(
            "-t",
            "--target",
            "targets",
            multiple=True,
            metavar="TARGET",
            shell_complete=_completion.targets,
            help="Device and processor, such as pixel-4/gpu, or a glob: 'pixel-4/*'; DEVICE/PROCESSOR@RUNTIME for another runtime than its usual one. Repeatable. `latlint targets` lists all.",
        ),
        click.option("--all-targets", is_flag=True, help="Every target there is."),
        pack_option,
        click.option(
            "--shape",
            "shapes",
            multiple=True,
            metavar="INPUT=SHAPE",
            help="The size of an input that the file leaves open, such as image=1x224x224x3. Repeatable.",
        ),
        click.option(
            "--precision",
            type=click.Choice(PRECISIONS),
            help="As if float models were converted: weights and activations of these bits.",
        ),
    )
    return _applied(function, decorators)


def pack_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--pack``."""
    return click.option(
        "--pack",
        "packs",
        multiple=True,
        metavar="DIR",
        type=click.Path(path_type=Path),
        help="A directory of device packs besides the bundled ones. Repeatable.",
    )(function)


class CommonOptions(NamedTuple):
    """Which configuration a command goes by, and what of it the command line replaces, as ``target_options`` and ``config_options``
    say."""

    config: Path | None
    no_config: bool
    targets: tuple[str, ...]
    all_targets: bool
    packs: tuple[Path, ...]
    shapes: tuple[str, ...]
    precision: str | None
    provider: str | None = None

    @property
    def names_targets(self) -> bool:
        """Whether the command line chooses the targets."""
        return self.all_targets or bool(self.targets) or self.provider is not None

    def _targets(self) -> tuple[str, ...]:
        """The targets, or globs of them, that the command line chooses."""
        if self.all_targets and (self.targets or self.provider):
            raise LatlintError(f"--{'target' if self.targets else 'provider'} and --all-targets contradict each other")
        if self.provider == "qnn":
            return tuple(map(_of_qnn, self.targets)) or QNN_TARGETS
        if self.provider and self.targets:
            message = (
                f"nobody timed the provider {self.provider} on a device: leave out --target for the placement alone"
            )
            raise LatlintError(message, code="LAT902")
        return (f"{NO_DEVICE}{self.provider}",) if self.provider else ("*@*",) if self.all_targets else self.targets

    def settings(self, **flags: Any) -> Settings:
        """The configuration with the command line on top (``flags``: see ``Settings.with_flags``); flags that contradict each other
        are an error."""
        return self._with_flags(load_settings(self.config, self.no_config), flags)

    def governing(self, settings: Settings, **flags: Any) -> Governing | None:
        """Which settings each file goes by, where ``settings`` with these ``flags`` are those of the working directory; ``None`` where the
        command line names the configuration, which then governs all files."""
        if self.config is not None or self.no_config:
            return None
        return governing(settings, lambda directory: self._with_flags(load(directory), flags))

    def _with_flags(self, settings: Settings, flags: Mapping[str, Any]) -> Settings:
        return settings.with_flags(
            targets=self._targets(), packs=self.packs, shapes=self.shapes, precision=self.precision, **flags
        )


def _of_qnn(target: str) -> str:
    """The NPU ``target`` with ONNX Runtime, whose QNN provider runs there."""
    device, _, processor = target.partition("@")[0].partition("/")
    if not processor.startswith(("npu", "*")) or "@" in target:
        raise LatlintError(f"the provider qnn is for NPUs, not {target}: name DEVICE/npu", code="LAT902")
    return f"{device}/npu@onnxruntime"


def config_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--provider``, ``--config``, ``--no-config``; the command gets them, with what ``target_options`` above them say, as ``common``."""

    @wraps(function)
    def command(**given: Any) -> Any:
        return function(common=CommonOptions(*(given.pop(name) for name in CommonOptions._fields)), **given)

    provider = click.option(
        "--provider",
        type=click.Choice(PROVIDERS),
        help="Which nodes of an .onnx file this execution provider of ONNX Runtime takes: qnn in ms on the NPUs that --target names, the others as placement alone.",
    )
    return provider(config_file_options(command))


def config_file_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--config``, ``--no-config``."""
    decorators: tuple[_Decorator, ...] = (
        click.option(
            "--config",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="Read this file instead of the nearest latlint.toml or pyproject.toml.",
        ),
        click.option("--no-config", is_flag=True, help="Read no configuration file."),
    )
    return _applied(function, decorators)


def load_settings(config: Path | None, no_config: bool) -> Settings:
    """What ``config_file_options`` ask for."""
    if config is not None and no_config:
        raise LatlintError("--config and --no-config contradict each other")
    return Settings() if no_config else load(config=config)


def review_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--base``, ``--today``: what `check` and `baseline` go by besides the files."""
    decorators: tuple[_Decorator, ...] = (
        click.option(
            "--base",
            metavar="REV",
            help="What a change is compared with: the merge base of HEAD and this git revision.  [default: the branch that a pull request goes to, or the default branch]",
        ),
        click.option(
            "--today",
            metavar="DATE",
            callback=_parsed_day,
            help="The day that waivers expire by, such as 2027-01-31.  [default: SOURCE_DATE_EPOCH, or the clock's]",
        ),
    )
    return _applied(function, decorators)


def _parsed_day(context: click.Context, parameter: click.Parameter, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise LatlintError(f"malformed --today '{text}': expected a day such as 2027-01-31") from None


class ReportFormat(click.ParamType):  # type: ignore[type-arg] # generic since click 8.3
    """A format of reports that can show the output of ``shown``, a command. A format's module is imported when it is asked about."""

    name = "format"

    def __init__(self, shown: str) -> None:
        self._shown = shown

    @property
    def choices(self) -> list[str]:
        """The names of these formats, sorted."""
        return [name for name in formats() if shows(name, self._shown)]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See click; fails with the formats that there are."""
        if value not in formats() or not shows(value, self._shown):
            self.fail(f"{value!r} is not one of {', '.join(map(repr, self.choices))}.", param, ctx)
        return str(value)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """See click: what help shows. There are too many for brackets."""
        return "FORMAT"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """See click."""
        return [CompletionItem(name) for name in self.choices if name.startswith(incomplete)]


class _FormatOption(click.Option):
    """``--format``, whose help names the formats: to know them is to import them, which only help does."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """See click."""
        known = f": {', '.join(self.type.choices)}" if isinstance(self.type, ReportFormat) else ""
        self.help = f"Output format{known}."
        return super().get_help_record(ctx)


def format_option(choices: list[str] | ReportFormat) -> _Decorator:
    """``--format``."""
    return click.option(
        "--format",
        "format_name",
        type=click.Choice(choices) if isinstance(choices, list) else choices,
        default="text",
        show_default=True,
        cls=_FormatOption,
    )


def report_notes_and_errors(report: Report, paths: Sequence[str], *, allow_empty: bool = False) -> None:
    """Notes and errors of a run on stderr; a run without a single model is an error unless that is allowed."""
    report_notes(report, paths, allow_empty=allow_empty)
    report_errors(report)


def report_notes(run: Report, paths: Sequence[str], *, allow_empty: bool = False) -> None:
    """What is known of a run before it starts; a run without a single model is an error unless that is allowed."""
    for note in run.notes:
        _console.note(note)
    if not run.files and not allow_empty:
        raise LatlintError(f"no {a_model()} file here", code="LAT005", path=", ".join(paths) or ".")


def report_errors(report: Report) -> bool:
    """Say which files could not be read, if any."""
    for error in report.errors:
        _console.error(error.message, path=error.path, code=error.code)
    return bool(report.errors)


def _applied(function: Callable[..., Any], decorators: tuple[_Decorator, ...]) -> Callable[..., Any]:
    for decorator in reversed(decorators):
        function = decorator(function)
    return function
