"""``latlint init``: budgets from today's predictions, and the hook and the workflow that hold them."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from latlint import __version__, address
from latlint.cli import _completion, _console, _toml
from latlint.cli._help import Command
from latlint.cli._options import report_notes_and_errors, target_options
from latlint.errors import LatlintError
from latlint.globs import matches_path
from latlint.graph.inputs import dims_text
from latlint.latency.catalogue import select_targets
from latlint.project.configuration import load
from latlint.project.repository import top_of
from latlint.report.plain import clean
from latlint.settings import DEFAULT_TARGETS, FILE, Budget, Settings
from latlint.units import format_limit_ms, format_ms
from latlint.words import counted

if TYPE_CHECKING:
    from latlint.outcome import Report

_HOOK = Path(".pre-commit-config.yaml")
_WORKFLOW = Path(".github/workflows/latlint.yml")
_PLACEHOLDER = "https://github.com/OWNER/latlint"
_GITHUB = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")


@dataclass(frozen=True, slots=True)
class _File:
    """A file that `init` writes, or shows when it is not asked to write it."""

    path: Path
    purpose: str
    flag: str
    text: str


@click.command("init", cls=Command, short_help="Write latlint.toml with budgets from today's predictions.")
@click.argument("paths", nargs=-1, shell_complete=_completion.files, metavar="[PATH]...")
@target_options
@click.option(
    "--headroom", default="10%", show_default=True, metavar="PERCENT", help="How far budgets lie above the predictions."
)
@click.option("--write-hook", is_flag=True, help=f"Write {_HOOK} as well.")
@click.option("--write-workflow", is_flag=True, help=f"Write {_WORKFLOW} as well.")
@click.option("--source", metavar="URL", help="The Git repository that the hook and the workflow take latlint from.")
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
def command(
    paths: tuple[str, ...],
    targets: tuple[str, ...],
    all_targets: bool,
    packs: tuple[Path, ...],
    shapes: tuple[str, ...],
    precision: str | None,
    headroom: str,
    write_hook: bool,
    write_workflow: bool,
    source: str | None,
    force: bool,
) -> int:
    """Find the models here, predict them, and write latlint.toml with a budget for each on each target.

    PATH is a model file or a directory; without one, everything below the working directory is searched. Files that exist are
    left alone unless --force is given. On a terminal, init asks for the targets when none is named; elsewhere it never asks.

    \b
    latlint init --target pixel-4/gpu --target 'galaxy-s10/cpu-*'
    latlint init --write-hook --write-workflow
    """
    if targets and all_targets:
        raise LatlintError("--target and --all-targets contradict each other")
    share = parsed_headroom(headroom)
    extras = [(_hook(source), write_hook), (_workflow(source), write_workflow)]
    asked_for = [file for file, wanted in extras if wanted]
    governed = None if force else load().source
    if governed and not asked_for:
        raise LatlintError(
            "is here already: edit it (`latlint config check` looks it over), or write a new one with --force",
            path=governed,
        )
    _refuse_what_cannot_work(asked_for, source, force=force)

    status, summary = 0, f"{governed} is here already and stays as it is.\n"
    if not governed:
        chosen = ("*@*",) if all_targets else targets or _asked_targets(packs)
        settings = Settings(targets=chosen, packs=packs).with_flags(shapes=shapes, precision=precision)
        status, summary = _configure(paths, settings, share, source)
        if not targets and chosen == DEFAULT_TARGETS:
            summary += f"No --target was named, so these are for {' and '.join(chosen)}; `latlint targets` lists all.\n"
    for file in asked_for:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        _console.write_atomically(file.text, file.path)
        summary += f"Wrote {file.path.as_posix()}: {file.purpose}.\n"
    shown = [file for file, wanted in extras if not wanted]
    _console.emit(summary + "".join(_snippet(file) for file in shown) + "\nNow run: latlint check\n")
    return status


def _configure(paths: tuple[str, ...], settings: Settings, share: float, source: str | None) -> tuple[int, str]:
    """Write latlint.toml; the exit code and what to tell of it."""
    from latlint.api import predict_files

    report = predict_files(paths, settings)
    report_notes_and_errors(report, paths)
    if not report.predictions:
        raise LatlintError(f"none of the models here could be read, so there is nothing to write a {FILE} from")
    rows = [
        (prediction.model, prediction.target, prediction.latency_ms, limit_ms(prediction.latency_ms, share))
        for prediction in report.predictions
    ]
    _console.write_atomically(_schema_line(source) + _configuration(paths, settings, report, share), Path(FILE))
    models = len({model for model, *_ in rows})
    head = f"Wrote {FILE}: {counted(models, 'model')} on {counted(len(report.targets), 'target')}, budgets {share:.3g} % above today.\n"
    width = max(len(clean(model)) for model, *_ in rows)
    wide = max(len(target) for _, target, *_ in rows)
    lines = (
        f"  {clean(model):{width}}  {target:{wide}}  {format_ms(today):>9}  budget {format_limit_ms(limit)}\n"
        for model, target, today, limit in rows
    )
    return (2 if report.errors else 0), head + "".join(lines)


def _configuration(paths: tuple[str, ...], settings: Settings, report: Report, share: float) -> str:
    """The text of latlint.toml."""
    names = [settings.relative(path) for path in paths]
    globs = [_toml.exact_glob(name) + "/**" * Path(path).is_dir() for name, path in zip(names, paths, strict=True)]
    lines = [
        f"# Budgets are the predictions of latlint {__version__} plus {share:.3g} %.",
        "require-budget = true  # a model without a budget is an error: latlint budget add",
        f"targets = {_toml.array(settings.targets)}",
        *([f"models = {_toml.array(globs)}"] if globs and "." not in names else []),
        *([f"packs = {_toml.array(settings.relative(pack) for pack in settings.packs)}"] if settings.packs else []),
        *([f"precision = {_toml.string(settings.precision)}"] if settings.precision else []),
    ]
    globs_of = _model_globs({settings.relative(prediction.model) for prediction in report.predictions})
    budgets = (
        Budget(
            limit_ms(prediction.latency_ms, share),
            target=prediction.target,
            model=globs_of[settings.relative(prediction.model)],
        )
        for prediction in report.predictions
    )
    shapes = [f"{_toml.key(shape.name)} = {_toml.string(dims_text(shape.dims))}" for _, shape in settings.shapes]
    tables = [*(["\n".join(["[shapes]", *shapes, ""])] if shapes else []), *map(_toml.table, budgets)]
    return "\n".join(lines) + "\n" + "".join(f"\n{each}" for each in tables)


def _model_globs(paths: Collection[str]) -> dict[str, str]:
    """For each model a glob that goes on matching when the file gets another name: all of its directory where it is alone there, what begins
    as it does where no other does, or else it alone."""

    def glob_of(path: str) -> str:
        place = PurePosixPath(path)
        exact = _toml.exact_glob(path)
        stem = exact.removesuffix(place.suffix)
        for glob in (f"{exact.rpartition('/')[0]}/*{place.suffix}", f"{stem}*{place.suffix}"):
            if [other for other in paths if matches_path(glob, other)] == [path]:
                return glob
        return exact

    return {path: glob_of(path) for path in paths}


def _schema_line(source: str | None) -> str:
    """The first line, by which editors find the schema: in the repository that latlint comes from, where that is known."""
    home = _GITHUB.fullmatch(source or address.REPOSITORY)
    if home is None:
        return "# For an editor: `latlint config schema > latlint.schema.json`, and as the first line here: #:schema ./latlint.schema.json\n"
    return f"#:schema https://raw.githubusercontent.com/{home[1]}/v{__version__}/latlint/project/configuration.schema.json\n"


def limit_ms(latency_ms: float, share: float) -> float:
    """``latency_ms`` plus ``share`` percent, rounded up to three significant digits; no less than a microsecond."""
    limit = max(latency_ms * (1 + share / 100), 1e-3)
    step = 10.0 ** (math.floor(math.log10(limit)) - 2)
    return round(math.ceil(limit / step - 1e-9) * step, 9)


def parsed_headroom(text: str) -> float:
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%?\s*", text)
    if match is None or float(match[1]) > 1000:
        raise LatlintError(f"malformed --headroom '{text}': expected a percentage from 0 to 1000, such as 10%")
    return float(match[1])


def _asked_targets(packs: tuple[Path, ...]) -> tuple[str, ...]:
    """The targets that the user types in on a terminal; the default ones anywhere else."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty()):
        return DEFAULT_TARGETS
    from latlint.latency.packs import load_targets

    known = load_targets(packs)
    while True:
        prompt = "Targets, separated by spaces (`latlint targets` lists them)"
        chosen = tuple(str(click.prompt(prompt, default=" ".join(DEFAULT_TARGETS), err=True)).split())
        try:
            select_targets(chosen, known)
        except LatlintError as error:
            _console.error(error.message)
        else:
            return chosen


def _refuse_what_cannot_work(files: list[_File], source: str | None, *, force: bool) -> None:
    """Nothing is written unless everything can be."""
    top = top_of(Path.cwd())
    for file in files:
        if top not in (None, Path.cwd()):
            raise LatlintError(f"{file.flag} works at the top of the repository, where hooks and workflows run: {top}")
        if source is None and not address.REPOSITORY:
            raise LatlintError(f"{file.flag} needs --source URL: the Git repository to take latlint from")
        if file.path.exists() and not force:
            raise LatlintError(
                "exists already: add what `latlint init` shows for it, or overwrite it with --force",
                path=file.path.as_posix(),
            )


def _hook(source: str | None) -> _File:
    text = f"""\
repos:
  - repo: {_toml.string(source or address.REPOSITORY or _PLACEHOLDER)}
    rev: v{__version__}
    hooks:
      - id: latlint
      - id: latlint-config
"""
    return _File(
        _HOOK,
        "lints the models and the configuration of every commit, after `pre-commit install`",
        "--write-hook",
        text,
    )


def _workflow(source: str | None) -> _File:
    url = source or address.REPOSITORY or _PLACEHOLDER
    action = _GITHUB.fullmatch(url)
    if action is None:
        steps = f"      - run: pip install {_toml.string(f'latlint @ git+{url}@v{__version__}')}\n      - run: latlint check\n"
    else:
        pin = "# zizmor: ignore[unpinned-uses] for the digest: git ls-remote"
        steps = f"      - uses: {action[1]}@v{__version__} {pin} {url} v{__version__}\n"
    text = f"""\
name: latlint
on: [push, pull_request]
permissions: {{}}
jobs:
  latency:
    runs-on: ubuntu-latest
    permissions:
      contents: read
      security-events: write # for the findings in code scanning
    steps:
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2
        with:
          lfs: true
          persist-credentials: false
          fetch-depth: 0 # what max-increase compares with
{steps}"""
    return _File(_WORKFLOW, "lints every push and pull request on GitHub", "--write-workflow", text)


def _snippet(file: _File) -> str:
    indented = "".join(f"    {line}\n" for line in file.text.splitlines())
    return f"\n{file.path.as_posix()} {file.purpose}; {file.flag} writes it:\n\n{indented}"
