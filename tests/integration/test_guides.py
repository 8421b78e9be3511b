"""What docs/ tells people to paste is what latlint, pre-commit and the action take."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from latlint import __version__
from latlint.cli import _latlint
from latlint.project.configuration import load

TOP = Path(__file__).resolve().parent.parent.parent
PAGES = [TOP / "docs" / name for name in ("pre-commit.md", "ci.md", "budgets.md", "diff.md", "lock.md")]


def blocks(language: str) -> list[Any]:
    """The code blocks in ``language`` of all pages, named by their page."""
    found = [
        pytest.param(text, id=page.stem)
        for page in PAGES
        for text in re.findall(
            rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        )
    ]
    assert found
    return found


def commands() -> list[str]:
    """Every call of latlint that a page shows, in a code block or in backquotes."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    return sorted(
        set(
            re.findall(
                r"(?<![\w./:@\"-])(?:\.latlint/bin/)?latlint ((?:check|diff|init|targets|textconv) [^`\n]*)", text
            )
        )
    )


@pytest.mark.parametrize("line", commands())
def test_commands_are_ones_that_latlint_has(line: str) -> None:
    name, *arguments = shlex.split(line.rstrip(")."), comments=True)
    with click.Context(_latlint) as context:
        command = _latlint.get_command(context, name)
    assert command is not None
    command.make_context(name, arguments)  # a usage error for an unknown option or format


def test_the_commands_are_found() -> None:
    assert len(commands()) >= 5


@pytest.mark.parametrize("text", blocks("toml"))
def test_configurations_are_valid(text: str, tmp_path: Path) -> None:
    (tmp_path / "latlint.toml").write_text(text, encoding="utf-8")
    assert load(tmp_path).budgets


@pytest.mark.parametrize("text", blocks("yaml"))
def test_hooks_inputs_and_versions_exist(text: str) -> None:
    action = yaml.safe_load((TOP / "action.yml").read_text(encoding="utf-8"))
    hooks = {hook["id"] for hook in yaml.safe_load((TOP / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))}
    assert set(re.findall(r"- id: (\S+)", text)) <= hooks
    assert set(re.findall(r"(?:/latlint@v|rev: v)([\d.]+)", text)) <= {__version__}
    document = yaml.safe_load(text)
    jobs = document.get("jobs", {}) if isinstance(document, dict) else {}
    for step in (step for job in jobs.values() for step in job["steps"] if "OWNER/latlint" in step.get("uses", "")):
        assert set(step["with"]) <= set(action["inputs"])


def test_every_input_of_the_action_is_explained() -> None:
    action = yaml.safe_load((TOP / "action.yml").read_text(encoding="utf-8"))
    page = (TOP / "docs" / "ci.md").read_text(encoding="utf-8")
    assert [name for name in action["inputs"] if f"| `{name}` |" not in page] == []
