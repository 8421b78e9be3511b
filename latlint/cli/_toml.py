"""Settings as the text of a ``latlint.toml``, for ``latlint init`` and ``latlint check --show-settings``."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator

from latlint.settings import Budget, Settings
from latlint.shapes import dims_text
from latlint.units import format_limit_ms


def shown(settings: Settings) -> str:
    """What a run would go by, as a configuration file that says the same, with where it comes from in comments."""
    targets, assumed = settings.chosen_targets()
    origin = settings.source or "no configuration file"
    remarks = [f"from {origin} and the command line", *settings.notes, *assumed]
    lines = [*(f"# {_one_line(remark)}" for remark in remarks), f"targets = {array(targets)}"]
    if settings.models:
        lines.append(f"models = {array(settings.models)}")
    lines.append(f"min-coverage = {settings.min_coverage}")
    if settings.packs:
        lines.append(f"packs = {array(os.path.relpath(pack, settings.root) for pack in settings.packs)}")
    tables = [*(table(budget) for budget in settings.budgets), *_shape_tables(settings)]
    return "\n".join(lines) + "\n" + "".join(f"\n{each}" for each in tables)


def _shape_tables(settings: Settings) -> Iterator[str]:
    """``[shapes]``, for every model and then for each glob; the command line's come last, under the glob ``*``."""
    tables: dict[str, dict[str, str]] = {}
    for glob, shape in settings.shapes:
        name = "[shapes]" if glob == "*" and not shape.required else f"[shapes.{string(glob)}]"
        tables[name] = {**tables.pop(name, {}), shape.name: dims_text(shape.dims)}
    for name, shapes in tables.items():
        yield f"{name}\n" + "".join(f"{string(key)} = {string(dims)}\n" for key, dims in shapes.items())


def table(budget: Budget) -> str:
    """One ``[[budgets]]`` table."""
    globs = {"model": budget.model, "target": budget.target}
    keys = [f"{key} = {string(value)}\n" for key, value in globs.items() if value != "*"]
    return "[[budgets]]\n" + "".join(keys) + f"max = {string(format_limit_ms(budget.max_ms))}\n"


def array(texts: Iterable[str]) -> str:
    """An array of strings."""
    return f"[{', '.join(map(string, texts))}]"


def string(text: str) -> str:
    """A basic string: JSON's escapes are TOML's, except that TOML wants DEL escaped as well."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def exact_glob(path: str) -> str:
    """The model glob that names ``path`` alone, relative to the configuration, in characters that TOML can hold.

    ``./`` keeps a file at the top from naming its namesakes in every directory; a byte that is not text becomes ``?``.
    """
    escaped = re.sub(r"[*?[]", r"[\g<0>]", path)
    escaped = re.sub("[\ud800-\udfff]", "?", escaped)
    return escaped if "/" in escaped else f"./{escaped}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
