"""Help shows every option once, in groups, and fits a terminal of 80 columns."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click
import pytest

from latlint.cli import _latlint
from latlint.cli._help import GROUPS

Run = Callable[..., Any]


@pytest.mark.parametrize("name", ["check", "predict", "diff", "lock", "baseline", "init"])
def test_every_option_stands_in_one_group(name: str, latlint: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = latlint(name, "--help").out
    command = _latlint.get_command(click.Context(_latlint), name)
    assert command is not None
    own = {
        option
        for each in command.params
        if isinstance(each, click.Option) and not each.hidden
        for option in each.opts
        if option.startswith("--")
    }
    listed = re.sub(r"\A.*?^[A-Z][a-z ]+:$", "", shown.partition("\n\n")[2], count=1, flags=re.DOTALL | re.MULTILINE)
    heads = [line.replace(",", " ").split() for line in listed.splitlines() if line.startswith("  -")]
    assert [option for option in sorted(own) if sum(option in head for head in heads) != 1] == []
    assert [line[:-1] for line in shown.splitlines() if line.endswith(":") and line[:-1] in GROUPS] == [
        title for title, options in GROUPS.items() if own & {*options.split()}
    ]


def test_formats_are_named_within_the_screen(latlint: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = latlint("check", "--help").out.splitlines()
    assert any("--format FORMAT" in line for line in lines)
    assert "sarif-github" in " ".join(lines)
    assert max(map(len, lines[lines.index("Output:") :])) <= 80
