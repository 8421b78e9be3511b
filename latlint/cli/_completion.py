"""What the shell offers when Tab is pressed, beyond what click knows: targets, rules, reports to write, files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from click import Context, Parameter
from click.shell_completion import CompletionItem

from latlint.errors import LatlintError


def targets(context: Context, _: Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of targets, with those of ``--pack`` and of the configuration."""
    from latlint.latency.catalogue import find_targets
    from latlint.project.configuration import load

    packs = tuple(context.params.get("packs") or ())
    with contextlib.suppress(LatlintError):
        packs += load(config=context.params.get("config")).packs
    with contextlib.suppress(LatlintError):
        return _beginning_with(incomplete, ((name, "") for name in find_targets(packs)))
    return []


def rules(_: Context, __: Parameter, incomplete: str) -> list[CompletionItem]:
    """Codes of rules with their names, or names once one has been begun."""
    from latlint.checks import checks

    known = [(check.rule.code, check.rule.name) for check in checks()]
    by_code = _beginning_with(incomplete.upper(), known)
    return by_code or _beginning_with(incomplete, ((name, code) for code, name in known))


def reports(_: Context, __: Parameter, incomplete: str) -> list[CompletionItem]:
    """``FORMAT=FILE`` with a file's name to start from."""
    from latlint.report import formats

    return _beginning_with(incomplete, ((f"{name}=latlint.{name}", "") for name in formats()))


def files(_: Context, __: Parameter, incomplete: str) -> list[CompletionItem]:
    """Whatever the shell finds."""
    return [CompletionItem(incomplete, type="file")]


def _beginning_with(incomplete: str, choices: Iterable[tuple[str, str]]) -> list[CompletionItem]:
    return [CompletionItem(value, help=remark) for value, remark in choices if value.startswith(incomplete)]
