"""``latlint rules``: the list of rules, or one rule's page."""

from __future__ import annotations

import click

from latlint.checks import Check, by_code, checks
from latlint.cli import _completion, _console
from latlint.cli._options import format_option
from latlint.errors import LatlintError
from latlint.report.json import dump
from latlint.report.plain import Cell, reflow, table
from latlint.words import nearest


@click.command("rules", short_help="List the rules, or show one rule's page.")
@click.argument("code", required=False, shell_complete=_completion.rules)
@format_option(["json", "text"])
def command(code: str | None, format_name: str) -> int:
    """List the rules, or show the page of one: latlint rules LAT101."""
    shown = checks() if code is None else (_named(code),)
    if format_name == "json":
        rules = [
            {
                "code": check.rule.code,
                "name": check.rule.name,
                "severity": check.rule.severity,
                "summary": check.summary,
                "page": check.page,
            }
            for check in shown
        ]
        _console.emit(dump({"schema": "latlint.rules/1", "rules": rules}))
    elif code is None:
        rows = [
            [Cell(check.rule.code, ("cyan",)), Cell(check.rule.name), Cell(check.rule.severity), Cell(check.summary)]
            for check in shown
        ]
        _console.emit("\n".join(table(rows, "<<<<", _console.style())) + "\n")
    else:
        page = f"# {shown[0].rule.code} {shown[0].rule.name}\n\n{shown[0].page}\n"
        _console.emit(reflow(page, _console.style()))
    return 0


def _named(code: str) -> Check:
    if found := by_code(code):
        return found
    known = [name for check in checks() for name in (check.rule.code, check.rule.name)]
    guesses = nearest(code, known, count=3)
    hint = f"did you mean {', '.join(guesses)}?" if guesses else "`latlint rules` lists all"
    raise LatlintError(f"unknown rule '{code}': {hint}")
