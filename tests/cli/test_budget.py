"""``latlint budget``: the configuration is edited in place, and nothing but the lines concerned."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

CONFIGURATION = """\
# What ships.
targets = ["pixel-4/gpu"]   # the oldest phone

[[budgets]]
model = "a.tflite"
max = "900 ms"  # agreed in spring
message = "max = \'1 ms\' it was"

[[budgets]] # the other
max = '0.01ms'
model = "gone.tflite"
"""


@pytest.fixture
def file(repository: Path, model: Callable[[str], Path]) -> Path:
    for name in ("a.tflite", "b.tflite"):
        shutil.copy(model("mobilenet_v2_025_f16.tflite"), repository / name)
    path = repository / "latlint.toml"
    path.write_text(CONFIGURATION)
    return path


def test_list_names_what_matches_nothing_and_what_has_no_budget(latlint: Run, file: Path) -> None:
    out = latlint("budget", "list").out
    assert "1. a.tflite on *: 900 ms; 1 model, the slowest " in out
    assert "2. gone.tflite on *: 0.01 ms; matches no model" in out
    assert "b.tflite on pixel-4/gpu: " in out and ", without a budget" in out


def test_add_appends_and_keeps_the_rest(latlint: Run, file: Path) -> None:
    assert latlint("budget", "add", "a.tflite", "b.tflite").out == "Added 1 budget to latlint.toml; 1 had one.\n"
    text = file.read_text()
    assert text.startswith(CONFIGURATION)
    added = tomllib.loads(text)["budgets"][2]
    assert (added["model"], added["target"]) == ("./b.tflite", "pixel-4/gpu")
    assert latlint("budget", "add", "b.tflite").out.startswith("Added 0 budgets")


def test_tighten_lowers_what_is_loose_and_keeps_comments(latlint: Run, file: Path) -> None:
    out = latlint("budget", "tighten", "--headroom", "5%").out
    assert out.startswith("a.tflite on *: 900 ms → ")
    lines, before = file.read_text().splitlines(), CONFIGURATION.splitlines()
    changed = [(old, new) for old, new in zip(before, lines, strict=True) if old != new]
    ((old, new),) = changed
    assert old == 'max = "900 ms"  # agreed in spring'
    assert new.endswith('"  # agreed in spring')
    assert latlint("check").status == 0
    assert latlint("budget", "tighten", "--headroom", "5%").out == "No budget can be tightened.\n"


def test_what_cannot_be_edited_by_lines_is_left_as_it_is(latlint: Run, file: Path) -> None:
    inline = 'targets = ["pixel-4/gpu"]\nbudgets = [{max = "900 ms"}]\n'
    file.write_text(inline)
    result = latlint("budget", "tighten")
    assert result.status == 2
    assert "write budgets as [[budgets]] tables" in result.err
    assert file.read_text() == inline


def test_pyproject_has_tables_of_its_own(latlint: Run, file: Path) -> None:
    file.unlink()
    project = Path("pyproject.toml")
    project.write_text('[tool.latlint]\ntargets = ["pixel-4/gpu"]\n\n[tool.other]\nbudgets = 1\n')
    assert latlint("budget", "add", "b.tflite").status == 0
    assert tomllib.loads(project.read_text())["tool"]["latlint"]["budgets"][0]["model"] == "./b.tflite"


def test_a_model_without_a_budget_is_an_error_where_one_is_required(latlint: Run, file: Path) -> None:
    file.write_text("require-budget = true\n" + CONFIGURATION)
    result = latlint("check")
    assert result.status == 1
    assert "LAT105 no-budget" in result.out and result.out.count("LAT105") == 1
    file.write_text(CONFIGURATION)
    assert "LAT105" not in latlint("check").out


def test_a_glob_that_matches_no_model_is_named(latlint: Run, file: Path) -> None:
    file.write_text(
        'models = ["a.tflite", "nope/**"]\nper-model-ignores = {"none.tflite" = ["LAT3"]}\n' + CONFIGURATION
    )
    out = latlint("check").out
    assert "the glob 'nope/**' of models matches no model" in out
    assert "the glob 'none.tflite' of per-model-ignores matches no model" in out
    assert out.count("LAT908") == 2
    assert "LAT908" not in latlint("check", "a.tflite").out, "not all were looked at"
