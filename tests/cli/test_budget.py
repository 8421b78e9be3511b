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


def over(latlint: Run, file: Path, limit: str) -> list[str]:
    """What is said of ``limit``, a line of a budget, with its place."""
    file.write_text(f'targets = ["pixel-4/gpu"]\nselect = ["LAT1"]\nmodels = ["a.tflite"]\n[[budgets]]\n{limit}\n')
    return [line.strip() for line in latlint("check", "--no-cache").out.splitlines() if "LAT1" in line]


@pytest.mark.parametrize(
    ("kept", "broken", "said"),
    [
        ('size = "3.1 MB"', 'size = "1 MB"', "the file takes "),
        ('parameters = "1.6M"', 'parameters = "1.4M"', "it has 1.5"),
        ('macs = "40M"', 'macs = "30M"', "it takes 3"),
        ('peak-memory = "2.46 MB"', 'peak-memory = "2394 KiB"', "its activations take 2.45 MB, "),
    ],
)
def test_what_a_model_takes_beside_time(latlint: Run, file: Path, kept: str, broken: str, said: str) -> None:
    assert over(latlint, file, kept) == []
    assert "PASS" in latlint("check").out, "a budget without a time is one"
    found = over(latlint, file, broken)
    assert found[0].startswith(f"LAT108 resource-exceeded: {said}") and "(latlint.toml:4)" in found[0]
    assert latlint("check").status == 1
    assert "FAIL" in latlint("check").out


def test_a_peak_names_its_tensors_and_what_would_lower_it(latlint: Run, file: Path) -> None:
    exceeded, peak = over(latlint, file, 'peak-memory = "1 MB"')
    assert "; alive at the peak: '" in exceeded
    assert peak.startswith("LAT109 memory-peak: the peak of 2.45 MB is at ")
    assert ": with half of it the peak is " in peak or ": end that connection before, and the peak is " in peak


def test_a_peak_that_is_not_known_is_not_judged(latlint: Run, file: Path, model: Callable[[str], Path]) -> None:
    from latlint.runtime import arena as module

    looped = module.Arena(unknown="a loop or branch has an arena of its own")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("latlint.latency.footprint.arena", lambda graph: looped)
        (said,) = over(latlint, file, 'peak-memory = "1 GB"')
    assert said.startswith(
        "LAT106 unjudged-latency: not judged: its peak memory is not known: a loop or branch has an arena"
    )


def test_add_holds_what_is_asked_for(latlint: Run, file: Path) -> None:
    assert (
        latlint("budget", "add", "b.tflite", "--hold", "size", "--hold", "peak-memory", "--headroom", "10%").status == 0
    )
    added = tomllib.loads(file.read_text())["budgets"][2]
    size = Path("b.tflite").stat().st_size
    assert 1.1 * size <= int(added["size"].removesuffix(" B")) <= 1.11 * size
    assert "parameters" not in added
    assert int(added["peak-memory"].removesuffix(" B")) >= 1.1 * 2_451_840


@pytest.mark.parametrize("limit", ['size = "5 parsecs"', 'macs = "0"', "parameters = 5", 'peak-memory = "0.1 B"'])
def test_amounts_that_are_none_are_refused(latlint: Run, file: Path, limit: str) -> None:
    file.write_text(f"[[budgets]]\n{limit}\n")
    result = latlint("check")
    assert (result.status, limit.partition(" ")[0] in result.err) == (2, True)
