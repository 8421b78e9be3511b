"""Settings as the text of a ``latlint.toml``, for ``latlint init`` and ``latlint check --show-settings``."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from latlint.graph.inputs import dims_text
from latlint.report.plain import clean
from latlint.settings import Budget, Settings, Waiver


def settings_text(settings: Settings) -> str:
    """What a run would go by, as a configuration file that says the same, with where each setting comes from in comments."""
    targets, assumed = settings.target_patterns()
    remarks = [f"settings from {settings.source or 'no configuration file'}", *settings.notes, *assumed]
    lines = [f"# {clean(remark)}" for remark in remarks]
    lines += [_line(name, _literal(value), _origin(settings, name)) for name, value in _values(settings, targets)]
    budgets = (f"# {clean(budget.origin)}\n{table(budget)}" for budget in settings.budgets)
    tables = [*_rule_tables(settings), *_shape_tables(settings), *budgets, *map(_waiver, settings.waivers)]
    return "\n".join(lines) + "\n" + "".join(f"\n{each}" for each in tables)


def _rule_tables(settings: Settings) -> Iterator[str]:
    """``[per-model-ignores]`` and ``[severities]``, where they say anything."""
    tables: dict[str, Mapping[str, Any]] = {
        "per-model-ignores": settings.per_model_ignores,
        "severities": settings.severities,
    }
    for name, entries in tables.items():
        lines = [_line(key, _literal(value), _origin(settings, f"{name}.{key}")) for key, value in entries.items()]
        if lines:
            yield "\n".join([f"[{name}]", *lines, ""])


def _shape_tables(settings: Settings) -> Iterator[str]:
    """``[shapes]``, for every model and then for each glob; the command line's come last, under the glob ``*``."""
    tables: dict[str, dict[str, str]] = {}
    for glob, shape in settings.shapes:
        common = glob == "*" and not shape.required
        name = "[shapes]" if common else f"[shapes.{string(glob)}]"
        origin = _origin(settings, f"shapes.{shape.name if common else glob}")
        tables[name] = {**tables.pop(name, {}), shape.name: _line(shape.name, string(dims_text(shape.dims)), origin)}
    for name, shapes in tables.items():
        yield "\n".join([name, *shapes.values(), ""])


def _line(name: str, literal: str, origin: str) -> str:
    return f"{key(name)} = {literal}  # {clean(origin)}"


def _values(settings: Settings, targets: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Every key that is not a table, with its value."""
    yield "targets", targets
    yield "models", settings.models
    yield "exclude", settings.exclude
    yield "packs", [os.path.relpath(pack, settings.root) for pack in settings.packs]
    if settings.precision:
        yield "precision", settings.precision
    if settings.base is not None:
        yield "base", settings.base
    yield "gate", settings.gate
    yield "fail-on", settings.fail_on
    yield "unjudged", settings.unjudged
    yield "require-budget", settings.require_budget
    yield "min-coverage", settings.min_coverage
    yield "min-gain", settings.min_gain
    yield "select", settings.select
    yield "ignore", settings.ignore


def _origin(settings: Settings, key: str) -> str:
    if key == "targets" and not settings.targets and any(budget.target != "*" for budget in settings.budgets):
        return "named by the budgets"
    return settings.origins.get(key, "default")


_UNITS = {"size": " B", "parameters": "", "macs": "", "peak-memory": " B"}


def table(budget: Budget) -> str:
    """One ``[[budgets]]`` table: what differs from a budget that says nothing."""
    values = {
        "model": budget.model if budget.model != "*" else None,
        "target": budget.target if budget.target != "*" else None,
        "op": budget.op,
        "max": _duration(budget.max_ms),
        "warn": _duration(budget.warn_ms),
        "max-increase": None if budget.max_increase is None else f"{decimal(budget.max_increase, 2)}%",
        "min-increase": _duration(budget.min_increase_ms or None),
        **{name: None if amount is None else f"{amount}{_UNITS[name]}" for name, amount in budget.resources.items()},
        "gate": budget.gate,
        "message": budget.message or None,
    }
    return "[[budgets]]\n" + "".join(f"{key} = {string(value)}\n" for key, value in values.items() if value is not None)


def _waiver(waiver: Waiver) -> str:
    """One ``[[waivers]]`` table."""
    values = {
        "code": waiver.code,
        "model": waiver.model if waiver.model != "*" else None,
        "target": waiver.target if waiver.target != "*" else None,
        "max": _duration(waiver.max_ms),
        "reason": waiver.reason,
        "owner": waiver.owner or None,
        "expires": waiver.expires and waiver.expires.isoformat(),
    }
    return "[[waivers]]\n" + "".join(f"{key} = {string(value)}\n" for key, value in values.items() if value)


def _duration(milliseconds: float | None) -> str | None:
    return None if milliseconds is None else f"{decimal(milliseconds)} ms"


def decimal(number: float, shift: int = 0) -> str:
    """``number``, exactly, times ten to the power of ``shift``, without an exponent."""
    from decimal import Decimal

    text = f"{Decimal(repr(number)).scaleb(shift):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def array(texts: Iterable[str]) -> str:
    """An array of strings."""
    return f"[{', '.join(map(string, texts))}]"


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return string(value)
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else array(value)


def key(text: str) -> str:
    """A key, quoted where it has to be."""
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else string(text)


def string(text: str) -> str:
    """A basic string, on which no character can steer a terminal: JSON's escapes are TOML's, and so is ``\\U0001f600``."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in quoted)


def exact_glob(path: str) -> str:
    """The model glob that names ``path`` alone, relative to the configuration, in characters that TOML can hold.

    ``./`` keeps a file at the top from naming its namesakes in every directory; a byte that is not text becomes ``?``.
    """
    escaped = re.sub(r"[*?[]", r"[\g<0>]", path)
    escaped = re.sub("[\ud800-\udfff]", "?", escaped)
    return escaped if "/" in escaped else f"./{escaped}"
