"""The rules, one module each: its docstring is its page, ``RULE`` its identity, ``check(subject)`` what it looks for.

A module without ``check`` documents a rule that is raised elsewhere: by the readers, or where the configuration is read.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from latlint.checks.types import Finding, Rule, Subject


@dataclass(frozen=True, slots=True)
class Check:
    """A rule with its ``page`` (Markdown) and, where it looks at models itself, its function."""

    rule: Rule
    page: str
    run: Callable[[Subject], Iterator[Finding]] | None

    @property
    def summary(self) -> str:
        """The page's first line."""
        return self.page.partition("\n")[0]


@cache
def checks() -> tuple[Check, ...]:
    """Every rule, sorted by code: one for each module of this package that has a ``RULE``."""
    modules = (import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__))
    found = [
        Check(module.RULE, inspect.cleandoc(module.__doc__ or ""), getattr(module, "check", None))
        for module in modules
        if hasattr(module, "RULE")
    ]
    return tuple(sorted(found, key=lambda check: check.rule.code))


def by_code(code: str) -> Check | None:
    """The rule with this code, or with this name."""
    wanted = code.casefold()
    return next((check for check in checks() if wanted in (check.rule.code.casefold(), check.rule.name)), None)


def run(subject: Subject) -> list[Finding]:
    """What all rules find in ``subject``: the gravest first, then what gains most, then by code."""
    from latlint.checks.types import SEVERITIES

    applying = [check for check in checks() if check.run and check.rule.applies(subject.prediction.runtime)]
    found = [finding for check in applying if check.run for finding in check.run(subject)]
    return sorted(
        found, key=lambda finding: (-SEVERITIES.index(finding.severity), -(finding.gain_ms or 0.0), finding.code)
    )
