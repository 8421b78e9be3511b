"""``latlint budget``: add a budget, tighten budgets after an improvement, list what each holds. The configuration is edited in place: only
the lines concerned change."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from latlint.cli import _completion, _console, _toml
from latlint.cli.init import limit_ms, parsed_headroom
from latlint.errors import LatlintError
from latlint.files import read_bounded
from latlint.globs import covers_target, matches_path
from latlint.project.configuration import load
from latlint.report.plain import clean
from latlint.settings import FILE, Budget, Settings
from latlint.units import format_limit_ms, format_ms
from latlint.words import counted

if TYPE_CHECKING:
    from latlint.latency.types import Prediction

_MAX_BYTES = 4_000_000
_HEADROOM = click.option(
    "--headroom",
    default="10%",
    show_default=True,
    metavar="PERCENT",
    help="How far the limit lies above the prediction.",
)


@click.group("budget", short_help="Add, tighten and list budgets.")
def command() -> None:
    """Add, tighten and list the budgets of the configuration.

    \b
    latlint budget list
    latlint budget add models/detector.tflite
    latlint budget tighten --headroom 5%
    """


@command.command("list", short_help="What each budget holds, and how near its models come.")
def list_command() -> int:
    """List the budgets with the models that they match and the one that comes nearest to the limit."""
    settings, predictions = _predicted(())
    rows = [_row(number, budget, _held(budget, predictions, settings)) for number, budget in _numbered(settings)]
    without = [each for each in predictions if not settings.budgets_for(each.model, each.target)]
    for each in without:
        rows.append(f"{clean(each.model)} on {each.target}: {format_ms(each.latency_ms)}, without a budget")
    _console.emit("".join(f"{row}\n" for row in rows) or "There are no budgets.\n")
    return 0


@command.command("add", short_help="Append a budget for each model and target that has none.")
@click.argument("paths", nargs=-1, required=True, shell_complete=_completion.files, metavar="PATH...")
@_HEADROOM
@click.option(
    "--hold",
    "held",
    type=click.Choice(["macs", "parameters", "peak-memory", "size"]),
    multiple=True,
    help="Hold this as well, with the same headroom. Repeatable.",
)
def add_command(paths: tuple[str, ...], headroom: str, held: tuple[str, ...]) -> int:
    """Append a budget for each model at PATH on each target, where none is for it yet: today's prediction and some headroom."""
    share = parsed_headroom(headroom)
    settings, predictions = _predicted(paths)
    new = [each for each in predictions if not settings.budgets_for(each.model, each.target)]
    _refuse_unknown(new)
    budgets = [
        Budget(
            limit_ms(each.latency_ms, share),
            target=each.target,
            model=_toml.exact_glob(settings.relative(each.model)),
            size=_limit(each, "size", share) if "size" in held else None,
            parameters=_limit(each, "parameters", share) if "parameters" in held else None,
            macs=_limit(each, "macs", share) if "macs" in held else None,
            peak_memory=_limit(each, "peak-memory", share) if "peak-memory" in held else None,
        )
        for each in new
    ]
    if budgets:
        file, text = _text(settings)
        name = "tool.latlint.budgets" if file.name == "pyproject.toml" else "budgets"
        tables = "".join("\n" + _toml.table(each).replace("[[budgets]]", f"[[{name}]]") for each in budgets)
        expected = [*_entries(file, text), *(tomllib.loads(_toml.table(each))["budgets"][0] for each in budgets)]
        _write(file, text.rstrip("\n") + "\n" + tables, expected)
    others = len(predictions) - len(new)
    had = f"; {others} had one" if others else ""
    _console.emit(f"Added {counted(len(budgets), 'budget')} to {clean(settings.source or FILE)}{had}.\n")
    return 0


@command.command("tighten", short_help="Lower limits to today's predictions and some headroom.")
@_HEADROOM
def tighten_command(headroom: str) -> int:
    """Lower each `max` for whole models to the slowest model that it is for, and some headroom. No limit is raised."""
    share = parsed_headroom(headroom)
    settings, predictions = _predicted(())
    file, text = _text(settings)
    entries = _entries(file, text)
    said = []
    for number, budget in _numbered(settings):
        held = _held(budget, predictions, settings)
        if budget.max_ms is None or budget.op or not held or any(each.lower_bound for each in held):
            continue
        new = limit_ms(max(each.end_ms(budget.gate or settings.gate) for each in held), share)
        if new < budget.max_ms and settings.origins.get("budgets") == settings.source:
            literal = f"{_toml.decimal(new)} ms"
            text = _with_max(text, number, literal)
            entries[number] = {**entries[number], "max": literal}
            said.append(f"{_called(budget)}: {format_limit_ms(budget.max_ms)} → {format_limit_ms(new)}")
    if said:
        _write(file, text, entries)
    _console.emit("".join(f"{each}\n" for each in said) or "No budget can be tightened.\n")
    return 0


def _limit(prediction: Prediction, name: str, share: float) -> int:
    """What the model takes of ``name`` today, and some headroom: rounded up to three digits."""
    takes = prediction.footprint
    assert takes is not None  # of all that is predicted without being judged
    amounts = {
        "size": takes.size_bytes,
        "parameters": takes.parameters,
        "macs": prediction.macs,
        "peak-memory": takes.peak_bytes,
    }
    amount = amounts[name]
    if not amount:
        raise LatlintError(
            f"its {name} is not known, so there is nothing to hold: {takes.unknown}", path=prediction.model
        )
    wanted = ceil(amount * (1 + share / 100))
    step: int = 10 ** max(len(str(wanted)) - 3, 0)
    return -(-wanted // step) * step


def _predicted(paths: tuple[str, ...]) -> tuple[Settings, tuple[Prediction, ...]]:
    from latlint.api import predict_files

    settings = load()
    if settings.source is None:
        raise LatlintError(f"there is no {FILE} here or above: run latlint init", path=".")
    report = predict_files(paths, settings)
    for error in report.errors:
        raise LatlintError(error.message, code=error.code, path=error.path)
    return settings, report.predictions


def _numbered(settings: Settings) -> Iterator[tuple[int, Budget]]:
    """The budgets with their places in the file, from 0."""
    return enumerate(settings.budgets)


def _held(budget: Budget, predictions: tuple[Prediction, ...], settings: Settings) -> list[Prediction]:
    return [
        each
        for each in predictions
        if covers_target(budget.target, each.target) and matches_path(budget.model, settings.relative(each.model))
    ]


def _row(number: int, budget: Budget, held: list[Prediction]) -> str:
    limit = format_limit_ms(budget.max_ms) if budget.max_ms is not None else "no max"
    if not held:
        return f"{number + 1}. {_called(budget)}: {limit}; matches no model"
    worst = max(held, key=lambda each: each.latency_ms)
    models = counted(len({each.model for each in held}), "model")
    return f"{number + 1}. {_called(budget)}: {limit}; {models}, the slowest {format_ms(worst.latency_ms)} ({clean(worst.model)} on {worst.target})"


def _called(budget: Budget) -> str:
    op = f", op {clean(budget.op)}" if budget.op else ""
    return f"{clean(budget.model)} on {clean(budget.target)}{op}"


def _refuse_unknown(predictions: list[Prediction]) -> None:
    for each in predictions:
        if each.unknown or each.open_inputs:
            raise LatlintError(
                "its latency is not known well enough for a budget: run latlint check for what is missing",
                path=each.model,
            )


def _text(settings: Settings) -> tuple[Path, str]:
    assert settings.source is not None
    file = Path(settings.source)
    return file, read_bounded(file, _MAX_BYTES).decode("utf-8-sig")


def _entries(file: Path, text: str) -> list[dict[str, object]]:
    document = tomllib.loads(text)
    if file.name == "pyproject.toml":
        document = document.get("tool", {}).get("latlint", {})
    return list(document.get("budgets", []))


_HEADER = re.compile(r"^[ \t]*\[\[[ \t]*(?:tool[ \t]*\.[ \t]*latlint[ \t]*\.[ \t]*)?budgets[ \t]*\]\]", re.MULTILINE)
_MAX = re.compile(r"""^([ \t]*max[ \t]*=[ \t]*)("[^"\n]*"|'[^'\n]*')""", re.MULTILINE)


def _with_max(text: str, number: int, literal: str) -> str:
    """``text`` with another ``max`` in the budget at ``number``, from 0; as it was where that is not to be found."""
    starts = [match.end() for match in _HEADER.finditer(text)]
    if number >= len(starts):
        return text
    start, end = starts[number], starts[number + 1] if number + 1 < len(starts) else len(text)
    return (
        text[:start] + _MAX.sub(lambda match: match[1] + _toml.string(literal), text[start:end], count=1) + text[end:]
    )


def _write(file: Path, text: str, expected: list[dict[str, object]]) -> None:
    """Write ``text`` if it says what is ``expected``: an edit by lines is checked by a parser."""
    try:
        good = _entries(file, text) == expected
    except tomllib.TOMLDecodeError:
        good = False
    if not good:
        raise LatlintError(
            "cannot be edited in place: write budgets as [[budgets]] tables, one key a line",
            code="LAT901",
            path=file.as_posix(),
        )
    _console.write_atomically(text, file)
