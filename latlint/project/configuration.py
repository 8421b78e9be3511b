"""Configuration files, found, read, checked against ``configuration.schema.json``, and turned into ``Settings``.

The schema is the one description of what a file may say: editors take it as it is, and ``violation`` walks it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from latlint.errors import LatlintError
from latlint.files import read_bounded, real_path
from latlint.graph.inputs import InputShape, parse_dims
from latlint.project.repository import top_of
from latlint.settings import FILE, Budget, Settings, Waiver
from latlint.units import parse_bytes, parse_count, parse_duration_ms
from latlint.words import nearest

#: The settings that a model file, a path as given, goes by.
Governing = Callable[[str], Settings]

_Table = Mapping[str, Any]
_Place = tuple[str | int, ...]

#: Far more than any configuration needs.
_MAX_BYTES = 4_000_000
_MAX_EXTENDING = 16
#: A text of a configuration: a path, a glob, a reason. Reports repeat some for each model and target.
_MAX_TEXT = 4096
#: Entries of a list or keys of a table: each glob is held against every model and target.
_MAX_ENTRIES = 5000
_MAX_PARTS = 32
#: TOML as far as it takes to tell the parts of a dotted key from texts and comments.
_TOML = (
    r"(?s)"
    r'''(?P<text>"""(?:[^"\\]++|\\.|""?+(?!"))*+"""|'''
    r"""'''(?:[^']++|''?+(?!'))*+'''|#[^\n]*+)|"""
    r"""(?P<part>[A-Za-z0-9_-]++|[ \t]++|"(?:[^"\\\n]++|\\.)*+"|'[^'\n]*+')|(?P<dot>\.)|(?P<other>[^.])"""
)
#: Where a budget begins. Texts of several lines may look alike: then there are more of these than budgets.
_BUDGET = re.compile(r"^[ \t]*\[\[[ \t]*(?:tool[ \t]*\.[ \t]*latlint[ \t]*\.[ \t]*)?budgets[ \t]*\]\]", re.MULTILINE)
_TIMES = ("max", "warn", "min-increase")
_AMOUNTS = {"size": parse_bytes, "parameters": parse_count, "macs": parse_count, "peak-memory": parse_bytes}

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
    "boolean": (bool,),
}


def load(start: Path | None = None, *, config: Path | None = None) -> Settings:
    """Settings from ``config``, or else from the nearest file at or above ``start`` (default: the working directory).

    The search ends at the top of the git repository, so that a stray file in a home directory never governs a project.
    """
    if config is not None:
        return _read(config) or Settings(root=config.absolute().parent, source=config.as_posix())
    start = (start or Path.cwd()).absolute()
    top = top_of(start)
    for directory in (start, *start.parents):
        for name in (FILE, "pyproject.toml"):
            path = directory / name
            # What is there and cannot be read, such as a link that leads nowhere, must not pass for no configuration.
            if os.path.lexists(path) and (found := _read(Path(os.path.relpath(path)))):
                return found
        if directory == top:
            break
    return Settings(root=start)


def governing(settings: Settings, read: Callable[[Path], Settings]) -> Governing:
    """What says which settings a model file goes by: those of the nearest configuration at or above it, up to the top of its repository,
    and ``settings``, those of the working directory, where there is none. ``read`` makes the settings of the configuration in a directory.
    """
    own = os.path.abspath(settings.source) if settings.source else None  # noqa: PTH100 - a link is not its target
    searched = set() if own else {settings.root, *settings.root.parents}

    @cache
    def of(directory: Path) -> Settings | None:
        """Those that a directory decides on, be it by being the top."""
        for name in (FILE, "pyproject.toml"):
            path = directory / name
            if os.fspath(path) == own:
                return settings
            if directory not in searched and os.path.lexists(path) and _read(Path(os.path.relpath(path))):
                return read(directory)
        at_the_top = os.path.lexists(directory / ".git") or directory == directory.parent
        return settings if at_the_top else None

    @cache
    def nearest_to(directory: Path) -> Settings:
        # not by calls of itself: directories may lie deeper than those go
        return next(filter(None, map(of, (directory, *directory.parents))), settings)

    return lambda file: nearest_to(Path(os.path.abspath(settings.start / file)).parent)  # noqa: PTH100


def _read(file: Path) -> Settings | None:
    """The settings in one file and those that it extends; ``None`` from a ``pyproject.toml`` without ``[tool.latlint]``."""
    lines: dict[str, list[int]] = {}
    layers = _layers(file, lines)
    if layers is None:
        return None
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, table in layers:
        for key, value in table.items():
            if isinstance(value, dict):
                merged[key] = {**merged.get(key, {}), **value}
                origins |= {f"{key}.{inner}": name for inner in value}
            else:
                merged[key] = value
            origins[key] = name
    root = Path(os.path.abspath(file)).parent  # noqa: PTH100 - a link is not its target
    budgets_from = origins.get("budgets", "")
    fields = _fields(merged, budgets_from, lines.get(budgets_from, []))
    return Settings(root=root, source=_named(file), origins=origins, **fields)


def _layers(
    file: Path, lines: dict[str, list[int]], extending: tuple[Path, ...] = ()
) -> list[tuple[str, _Table]] | None:
    """The tables of a file and of those that it extends, the farthest first, each with the file's name; ``lines`` gets those on which
    the budgets of each begin."""
    try:
        _refuse_outside(file, (*extending, file)[0])
        text = _text(file)
        table = _table(file, text)
        lines[_named(file)] = [text.count("\n", 0, match.start()) + 1 for match in _BUDGET.finditer(text)]
        if table is None and extending:
            raise ValueError("has no [tool.latlint] to extend")
        if table is None:
            return None
        if (complaint := violation(table)) is not None:
            raise ValueError(complaint)
        _refuse_contradictions(table)
        chain = (*extending, file)
        if len(chain) > _MAX_EXTENDING:
            raise ValueError(f"more than {_MAX_EXTENDING} files extend one another")
        base = file.parent / table["extend"] if "extend" in table else None
        if base and any(real_path(base) == real_path(earlier) for earlier in chain):
            raise ValueError(f"extends itself: {' extends '.join(map(_named, (*chain, base)))}")
    except (OSError, ValueError) as error:
        message = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
        by = f" (extended by {_named(extending[-1])})" if extending else ""
        raise LatlintError(message + by, code="LAT901", path=_named(file)) from None
    own = {key: value for key, value in table.items() if key != "extend"}
    if "packs" in own:
        own["packs"] = [file.absolute().parent / name for name in own["packs"]]
    return [*(_layers(base, lines, chain) or () if base else ()), (_named(file), own)]


def _refuse_outside(file: Path, first: Path) -> None:
    """ValueError for a file that is not in the repository of the ``first`` one: messages show keys and values of what is no configuration,
    and a pull request may name any file of the machine."""
    place = Path(real_path(first.parent), first.name)
    top = top_of(place)
    if top and not Path(real_path(file)).is_relative_to(top):
        raise ValueError("lies outside of the repository: copy it there, or name it with --config")


def _named(file: Path) -> str:
    """A file as the user would name it."""
    return os.path.normpath(file).replace(os.sep, "/")


def _text(file: Path) -> str:
    """What is in a file; ValueError when it is no text."""
    try:
        return read_bounded(file, _MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"is not valid TOML: {error}") from None


def _table(file: Path, text: str) -> dict[str, Any] | None:
    """What a file says to latlint; ValueError when it is not TOML."""
    import tomllib

    try:
        _refuse_long_keys(text)
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"is not valid TOML: {error}") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if file.name != "pyproject.toml":
        return document
    tool = document.get("tool", {})
    if not isinstance(tool, dict) or "latlint" not in tool:
        return None
    if not isinstance(tool["latlint"], dict):
        raise ValueError("[tool.latlint] must be a table")
    return tool["latlint"]


def _refuse_long_keys(text: str) -> None:
    """ValueError for a dotted key of more parts than anybody writes: tomllib takes time and memory by the square of their number."""
    if all(line.count(".") < _MAX_PARTS for line in text.split("\n")):
        return
    parts = 0
    for token in re.finditer(_TOML, text):
        if token.lastgroup == "dot":
            parts += 1
            if parts >= _MAX_PARTS:
                raise ValueError(f"has a key of more than {_MAX_PARTS} parts")
        elif token.lastgroup != "part":
            parts = 0


def _fields(table: _Table, budgets_from: str, lines: list[int]) -> dict[str, Any]:
    """The fields of ``Settings`` from a table without violations; its budgets are those of the file ``budgets_from``, on ``lines``."""
    fields = {key.replace("-", "_"): tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    if "per-model-ignores" in table:
        fields["per_model_ignores"] = {glob: tuple(rules) for glob, rules in table["per-model-ignores"].items()}
    if "shapes" in table:
        fields["shapes"] = tuple(_shapes(table["shapes"]))
    if "budgets" in table:
        fields["budgets"] = tuple(
            _budget(
                budget,
                f"{budgets_from}:{lines[number - 1]}"
                if len(lines) == len(table["budgets"])
                else f"{_place(('budgets', number))} of {budgets_from}",
            )
            for number, budget in enumerate(table["budgets"], start=1)
        )
    if "waivers" in table:
        fields["waivers"] = tuple(_waiver(waiver, number) for number, waiver in enumerate(table["waivers"], start=1))
    return fields


def _shapes(table: _Table) -> Iterator[tuple[str, InputShape]]:
    """``input = "1x3"`` for every model that has the input; a table of them is for the models of a glob, which all must have it."""
    common = {key: value for key, value in table.items() if isinstance(value, str)}
    globs = [(key, value) for key, value in table.items() if isinstance(value, dict)]
    for glob, shapes in [("*", common), *globs]:
        for name, text in shapes.items():
            place = ("shapes", name) if shapes is common else ("shapes", glob, name)
            try:
                yield glob, InputShape(name, parse_dims(text), required=shapes is not common)
            except ValueError as error:
                raise ValueError(f"{_place(place)}: {error}") from None


def _waiver(table: _Table, number: int) -> Waiver:
    """ValueError with one line for a day that there is not, and for a limit that is out of range."""
    limit = _duration_ms(table["max"], ("waivers", number, "max")) if "max" in table else None
    day = table.get("expires")
    try:
        expires = date.fromisoformat(day) if isinstance(day, str) else day
    except ValueError:
        raise ValueError(f"{_place(('waivers', number, 'expires'))}: there is no such day as {day}") from None
    named = {key: table[key] for key in ("model", "target", "owner") if key in table}
    return Waiver(table["code"], " ".join(table["reason"].split()), expires=expires, max_ms=limit, **named)


def _budget(table: _Table, origin: str) -> Budget:
    times = {key: parse_duration_ms(table[key]) for key in _TIMES if key in table}
    amounts = {key: parse(table[key]) for key, parse in _AMOUNTS.items() if key in table}
    increase = float(f"{table['max-increase'].strip().rstrip('% ')}e-2") if "max-increase" in table else None
    return Budget(
        max_ms=times.get("max"),
        warn_ms=times.get("warn"),
        max_increase=increase,
        min_increase_ms=times.get("min-increase", 0.0),
        origin=origin,
        size=amounts.get("size"),
        parameters=amounts.get("parameters"),
        macs=amounts.get("macs"),
        peak_memory=amounts.get("peak-memory"),
        **{key: table[key] for key in ("target", "model", "op", "gate", "message") if key in table},
    )


def _refuse_contradictions(table: _Table) -> None:
    """What a schema cannot say: ValueError with one line."""
    for number, budget in enumerate(table.get("budgets", ()), start=1):
        times = {key: _duration_ms(budget[key], ("budgets", number, key)) for key in _TIMES if key in budget}
        if "max" in times and "warn" in times and times["warn"] >= times["max"]:
            raise ValueError(f"{_place(('budgets', number, 'warn'))} must be below max, or it never warns")
        for key, parse in _AMOUNTS.items():
            try:
                parse(budget.get(key, "1" if parse is parse_count else "1 B"))
            except ValueError:  # digits that round to nothing or to no number
                raise ValueError(f"{_place(('budgets', number, key))} is out of range: {budget[key][:20]}") from None
    list(_shapes(table.get("shapes", {})))
    for number, waiver in enumerate(table.get("waivers", ()), start=1):
        _waiver(waiver, number)


def _duration_ms(text: str, place: _Place) -> float:
    try:
        return parse_duration_ms(text)
    except ValueError:  # so many digits that they round to nothing or to no number
        raise ValueError(f"{_place(place)} is out of range: {text[:20]}…") from None


@cache
def schema() -> _Table:
    """The JSON schema (draft 7) of a configuration file."""
    text = Path(__file__).with_name("configuration.schema.json").read_text(encoding="utf-8")
    document: _Table = json.loads(text)
    return document


def violation(value: Any, part: _Table | None = None, place: _Place = ()) -> str | None:
    """The first thing in which ``value`` breaks the schema, in one line, or ``None``.

    Knows the keywords that ``configuration.schema.json`` uses, and no others.
    """
    return next(_violations(value, schema() if part is None else part, place), None)


def _violations(value: Any, part: _Table, place: _Place) -> Iterator[str]:
    if type(value) is date and part.get("format") == "date":  # TOML has days; JSON, and so a schema, has text
        value = value.isoformat()
    for other in part.get("allOf", ()):
        yield from _violations(value, other, place)
    if "$ref" in part:
        yield from _violations(value, schema()["definitions"][part["$ref"].rpartition("/")[2]], place)
    elif not _fits(value, part):
        yield _must_be(value, part, place)
    elif isinstance(value, dict):
        yield from _violations_of_keys(value, part, place)
        yield from _violations_of_values(value, part, place)
    elif isinstance(value, list) and "items" in part:
        for number, item in enumerate(value, start=1):
            found = violation(item, part["items"], (*place, number))
            if found is not None:
                yield found if isinstance(item, dict) else _must_be(value, part, place)


def _must_be(value: Any, part: _Table, place: _Place) -> str:
    if isinstance(value, str) and len(value) > _MAX_TEXT:
        return f"{_place(place)} has {len(value):,} characters, at most {_MAX_TEXT:,} are read"
    if isinstance(value, list | dict) and len(value) > _MAX_ENTRIES:
        return f"{_place(place)} has {len(value):,} entries, at most {_MAX_ENTRIES:,} are read"
    shown = repr(value)
    return f"{_place(place)} must be {part['title']}, not {shown if len(shown) <= 80 else f'{shown[:79]}…'}"


def _fits(value: Any, part: _Table) -> bool:
    """Whether a value is of the type and within the bounds that ``part`` states for it itself, not for what is in it."""
    names = part.get("type", ())
    kinds = [kind for name in ([names] if isinstance(names, str) else names) for kind in _TYPES[name]]
    if kinds and (not isinstance(value, tuple(kinds)) or (isinstance(value, bool) and bool not in kinds)):
        return False
    if isinstance(value, str):
        matches = "pattern" not in part or re.search(part["pattern"], value) is not None
        return part.get("minLength", 0) <= len(value) <= _MAX_TEXT and matches and value in part.get("enum", (value,))
    if isinstance(value, int | float):
        return bool(part.get("minimum", value) <= value <= part.get("maximum", value))  # no bound holds NaN
    return not isinstance(value, list | dict) or part.get("minItems", 0) <= len(value) <= _MAX_ENTRIES


def _violations_of_keys(table: _Table, part: _Table, place: _Place) -> Iterator[str]:
    known = part.get("properties", {})
    for key in table:
        if len(key) > _MAX_TEXT:
            yield f"a key{_within(place)} has {len(key):,} characters, at most {_MAX_TEXT:,} are read"
            return
        if part.get("additionalProperties") is False and key not in known:
            guess = nearest(key, known)
            hint = f"did you mean '{guess[0]}'?" if guess else f"known are {', '.join(known)}"
            yield f"unknown key '{key}'{_within(place)}: {hint}"
        if "propertyNames" in part:
            yield from _violations(key, part["propertyNames"], (*place, key))
    for key in part.get("required", ()):
        if key not in table:
            yield f"{key} is missing{_within(place)}: add {key} = {json.dumps(known[key]['examples'][0])}"
    choices = [key for choice in part.get("anyOf", ()) for key in choice["required"]]
    if choices and not set(choices) & set(table):
        example = json.dumps(known[choices[0]]["examples"][0])
        yield f"{choices[0]} is missing{_within(place)}: add {choices[0]} = {example}, or one of {', '.join(choices[1:])}"
    for key, needed in part.get("dependencies", {}).items():
        if key in table and not set(needed) <= set(table):
            yield f"{key}{_within(place)} goes with {' and '.join(needed)}, which is missing"
    apart = part.get("not", {}).get("required", ())
    if apart and set(apart) <= set(table):
        yield f"{' and '.join(apart)}{_within(place)} do not go together"


def _violations_of_values(table: _Table, part: _Table, place: _Place) -> Iterator[str]:
    known, others = part.get("properties", {}), part.get("additionalProperties", {})
    for key, value in table.items():
        if inner := known.get(key, others):
            yield from _violations(value, inner, (*place, key))


def _place(place: _Place) -> str:
    """``max in [[budgets]] number 1``, ``LAT2 in [severities]``, ``targets``."""
    match place:
        case (str(table), int(number), *rest):
            return " in ".join([*map(str, rest), f"[[{table}]] number {number}"])
        case (*tables, key) if tables:
            return f"{key} in [{'.'.join(map(str, tables))}]"
    return str(place[0]) if place else "the file"


def _within(place: _Place) -> str:
    return f" in {_place(place)}" if place else ""
