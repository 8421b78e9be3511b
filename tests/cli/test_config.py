"""What configuration does on the command line, and the command that checks it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from latlint.project.configuration import schema

Run = Callable[..., Any]
Model = Callable[[str], Path]


@pytest.fixture
def net(repository: Path, model: Model) -> str:
    """A model in which rules find something, within any budget."""
    shutil.copy(model("one_gelu.tflite"), repository / "net.tflite")
    return "net.tflite"


def codes(result: Any) -> set[tuple[str, str]]:
    return {(finding["code"], finding["severity"]) for finding in json.loads(result.out)["findings"]}


def test_rules_are_selected_ignored_and_graded(latlint: Run, repository: Path, net: str) -> None:
    check = ("check", net, "--target", "pixel-4/gpu", "--format", "json")
    every = codes(latlint(*check))
    code, grade = next(found for found in sorted(every) if found[0].startswith("LAT2"))
    assert codes(latlint(*check, "--select", code)) == {(code, grade)}
    assert codes(latlint(*check, "--ignore", code)) == every - {(code, grade)}
    assert latlint(*check).status == 0
    assert latlint(*check, "--fail-on", "note").status == 1
    assert latlint(*check, "--fail-on", "note", "--exit-zero").status == 0
    (repository / "latlint.toml").write_text(
        f'fail-on = "warning"\nignore = ["LAT2"]\n[severities]\n{code} = "error"\n'
    )
    assert codes(latlint(*check)) == {found for found in every if not found[0].startswith("LAT2")}
    chosen = latlint(*check, "--select", code)
    assert (chosen.status, codes(chosen)) == (1, {(code, "error")})
    assert chosen.err == "latlint: note: --select takes the place of ignore in latlint.toml\n"
    (repository / "latlint.toml").write_text(f'[per-model-ignores]\n"n*.tflite" = ["{code}"]\n')
    assert codes(latlint(*check)) == every - {(code, grade)}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--select", "LAT2999"), "unknown rule 'LAT2999' in select: "),
        (("--ignore", "lat2"), "unknown rule 'lat2' in ignore: "),
        (("--fail-on", "off"), "'off' is not one of 'error', 'warning', 'note'"),
    ],
)
def test_flags_that_name_what_there_is_not(latlint: Run, net: str, arguments: tuple[str, ...], says: str) -> None:
    result = latlint("check", net, *arguments)
    assert result.status == 2
    assert says in result.err
    assert result.err.count("\n") == 1


def test_an_op_that_there_is_not(latlint: Run, repository: Path, net: str) -> None:
    (repository / "latlint.toml").write_text('[[budgets]]\ntarget = "pixel-4/gpu"\nop = "conv2"\nmax = "1ms"\n')
    result = latlint("check", net)
    assert result.status == 2
    assert "unknown op 'conv2' in a budget: did you mean conv2d" in result.err


def test_a_good_configuration_is_called_good(latlint: Run, repository: Path) -> None:
    (repository / "base.toml").write_text("min-gain = 0.5\n")
    (repository / "latlint.toml").write_text('extend = "base.toml"\nselect = ["LAT1"]\n')
    (repository / "pyproject.toml").write_text("[tool.other]\n")
    result = latlint("config", "check")
    assert (result.status, result.out, result.err) == (0, "latlint.toml: good, extending base.toml\n", "")
    named = latlint("config", "check", "base.toml", "pyproject.toml")
    assert (named.status, named.out) == (0, "base.toml: good\npyproject.toml: says nothing to latlint\n")


def test_every_bad_configuration_is_told(latlint: Run, repository: Path) -> None:
    texts = {
        "a.toml": 'targets = ["pixel4/gpu"]',
        "b.toml": 'ignore = ["LAT299"]',
        "c.toml": '[[budgets]]\nop = "conv2"\nmax = "1ms"',
        "d.toml": "gait = 1",
        "good.toml": "",
    }
    for name, text in texts.items():
        (repository / name).write_text(text)
    result = latlint("config", "check", *texts, "missing.toml")
    assert result.status == 2
    assert result.out == "good.toml: says nothing to latlint\n"
    said = result.err.splitlines()
    assert [line.split(": ")[2] for line in said] == ["a.toml", "b.toml", "c.toml", "d.toml", "missing.toml"]
    for line, words in zip(
        said, ("unknown target", "unknown rule", "unknown op", "unknown key", "cannot be read"), strict=True
    ):
        assert words in line


def test_no_configuration_is_nothing_to_check(latlint: Run) -> None:
    result = latlint("config", "check")
    assert result.status == 2
    assert "no latlint.toml and no [tool.latlint]" in result.err


def test_the_schema_that_is_printed_is_the_one_that_counts(latlint: Run) -> None:
    assert json.loads(latlint("config", "schema").out) == schema()
