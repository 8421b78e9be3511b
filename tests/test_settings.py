"""Configuration: found, checked, merged with the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from latlint.errors import LatlintError
from latlint.globs import matches_path
from latlint.graph.inputs import InputShape
from latlint.latency.catalogue import select_targets
from latlint.project.configuration import load
from latlint.settings import Budget, Settings, parse_budget, parse_shape
from latlint.words import nearest

TARGETS = ["galaxy-s10/cpu-1large", "galaxy-s10/gpu", "pixel-4/cpu-1large", "pixel-4/cpu-1large1med", "pixel-4/gpu"]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def load_error(tmp_path: Path, text: str) -> str:
    config = write(tmp_path / "latlint.toml", text)
    with pytest.raises(LatlintError) as caught:
        load(config=config)
    assert caught.value.code == "LAT901"
    assert caught.value.path == config.as_posix()
    assert "\n" not in caught.value.message
    return caught.value.message


def test_every_key_is_read(tmp_path: Path) -> None:
    config = write(
        tmp_path / "latlint.toml",
        """
        targets = ["pixel-4/gpu"]
        models = ["models/**/*.tflite"]
        min-coverage = 0.5
        unjudged = "warning"
        min-gain = 0.02
        packs = ["own"]
        [[budgets]]
        max = "10ms"
        [[budgets]]
        model = "a.tflite"
        target = "pixel-4/*"
        max = "850us"
        """,
    )
    settings = load(config=config)
    assert settings == Settings(
        root=tmp_path,
        source=config.as_posix(),
        targets=("pixel-4/gpu",),
        models=("models/**/*.tflite",),
        budgets=(Budget(10.0), Budget(0.85, target="pixel-4/*", model="a.tflite")),
        min_coverage=0.5,
        unjudged="warning",
        min_gain=0.02,
        packs=(tmp_path / "own",),
    )


def test_the_nearest_file_governs_and_the_repository_is_the_border(tmp_path: Path) -> None:
    write(tmp_path / "latlint.toml", 'targets = ["outside"]')
    (tmp_path / "repo/.git").mkdir(parents=True)
    (tmp_path / "repo/a/b").mkdir(parents=True)
    assert load(tmp_path / "repo/a/b").targets == ()
    write(tmp_path / "repo/pyproject.toml", '[tool.latlint]\ntargets = ["pyproject"]')
    assert load(tmp_path / "repo/a/b").targets == ("pyproject",)
    write(tmp_path / "repo/latlint.toml", 'targets = ["beside"]')
    assert load(tmp_path / "repo/a/b").targets == ("beside",)
    write(tmp_path / "repo/a/pyproject.toml", '[tool.other]\nkey = "no latlint here"')
    assert load(tmp_path / "repo/a/b").targets == ("beside",)
    write(tmp_path / "repo/a/latlint.toml", 'targets = ["nearer"]')
    assert load(tmp_path / "repo/a/b").targets == ("nearer",)
    assert load(tmp_path / "repo/a/b").root == tmp_path / "repo/a"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('target = ["pixel-4/gpu"]', "unknown key 'target': did you mean 'targets'?"),
        ('shapes = "1x3"', "shapes must be a table: [shapes] with image = \"1x224x224x3\", not '1x3'"),
        ("[shapes]\nx = [1, 3]", "x in [shapes] must be a shape such as 1x224x224x3, or a table of them, not [1, 3]"),
        (
            '[shapes."*.onnx"]\nx = "1xh"',
            "x in [shapes.*.onnx] must be a shape such as 1x224x224x3, not '1xh'",
        ),
        (
            '[shapes]\nx = "99999x99999"',
            "x in [shapes]: expected at most 8 dimensions of 1 or more and at most 2^31 elements in all",
        ),
        (
            "zzzzzz = 1",
            "unknown key 'zzzzzz': known are extend, targets, models, exclude, packs, gate, fail-on, unjudged, require-budget, min-coverage, min-gain, select, ignore, per-model-ignores, severities, shapes, precision, base, waivers, budgets",
        ),
        ('targets = "pixel-4/gpu"', "targets must be a list of texts, not 'pixel-4/gpu'"),
        ('targets = [""]', "targets must be a list of texts, not ['']"),
        ('unjudged = "note"', "unjudged must be error, warning or ignore, not 'note'"),
        ("min-coverage = 80", "min-coverage must be a number from 0 to 1, not 80"),
        ("min-gain = 5", "min-gain must be a number from 0 to 1, not 5"),
        ("min-coverage = true", "min-coverage must be a number from 0 to 1, not True"),
        ("min-coverage = nan", "min-coverage must be a number from 0 to 1, not nan"),
        ('[budgets]\nmax = "10ms"', "budgets must be tables: [[budgets]] with max = \"10ms\", not {'max': '10ms'}"),
        ('[[budgets]]\nmaximum = "10ms"', "unknown key 'maximum' in [[budgets]] number 1: did you mean 'max'?"),
        (
            '[[budgets]]\ntarget = "pixel-4/gpu"',
            'max is missing in [[budgets]] number 1: add max = "10ms", or one of warn, max-increase, size, parameters, macs, peak-memory',
        ),
        ("[[budgets]]\nmax = 10", "max in [[budgets]] number 1 must be a time such as 10ms, 850us or 0.5s, not 10"),
        (
            '[[budgets]]\nmax = "10"',
            "max in [[budgets]] number 1 must be a time such as 10ms, 850us or 0.5s, not '10'",
        ),
        ("targets = [", "is not valid TOML: Invalid value (at end of document)"),
        (
            '[[waivers]]\ncode = "LAT101"',
            'reason is missing in [[waivers]] number 1: add reason = "ships in spring, after pruning"',
        ),
        (
            '[[waivers]]\ncode = "LAT101"\nreason = "r"\nexpires = "soon"',
            "expires in [[waivers]] number 1 must be a day such as 2027-03-01, not 'soon'",
        ),
        (
            '[[waivers]]\ncode = "LAT101"\nreason = "r"\nexpires = "2027-02-30"',
            "expires in [[waivers]] number 1: there is no such day as 2027-02-30",
        ),
        (
            '[[waivers]]\ncode = "LAT101"\nreason = "r"\nexpires = 2027-01-01T10:00:00',
            "expires in [[waivers]] number 1 must be a day such as 2027-03-01, not datetime.datetime(2027, 1, 1, 10, 0)",
        ),
        ('base = ""', "base must be a git revision, not ''"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    assert load_error(tmp_path, text) == message


def test_a_configuration_that_is_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(LatlintError, match="cannot be read: No such file"):
        load(config=tmp_path / "no.toml")


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("10ms", Budget(10.0)),
        (" 10 ms ", Budget(10.0)),
        ("850us", Budget(0.85)),
        ("850µs", Budget(0.85)),
        ("0.5s", Budget(500.0)),
        (".5ms", Budget(0.5)),
        ("pixel-4/*=12ms", Budget(12.0, target="pixel-4/*")),
    ],
)
def test_budgets_have_a_unit_and_maybe_a_target(text: str, budget: Budget) -> None:
    assert parse_budget(text) == budget


@pytest.mark.parametrize(
    "text", ["", "10", "ms", "10 minutes", "-1ms", "0ms", "nanms", "1e3ms", "=10ms", "pixel-4/gpu=", "١٠ms"]
)
def test_a_malformed_budget_shows_how_to_write_one(text: str) -> None:
    with pytest.raises(LatlintError) as caught:
        parse_budget(text)
    assert caught.value.code == "LAT901"
    assert caught.value.message.startswith(f"malformed budget '{text}': expected a time such as 10ms")


def test_every_budget_that_matches_holds_whatever_the_order(tmp_path: Path) -> None:
    budgets = (
        Budget(20.0),
        Budget(8.0, target="*/gpu"),
        Budget(12.0, model="models/*.tflite"),
        Budget(1.0, model="x.onnx"),
    )
    for order in (budgets, budgets[::-1]):
        settings = Settings(root=tmp_path, budgets=order)

        def limits(model: str, target: str) -> set[float | None]:
            return {budget.max_ms for budget in settings.budgets_for(tmp_path / model, target)}  # noqa: B023

        assert limits("models/a.tflite", "pixel-4/gpu") == {20.0, 8.0, 12.0}
        assert limits("models/a.tflite", "pixel-4/cpu-1large") == {20.0, 12.0}
        assert limits("models/deep/a.tflite", "pixel-4/cpu-1large") == {20.0}
        assert limits("anywhere/x.onnx", "pixel-4/gpu") == {20.0, 8.0, 1.0}
    assert Settings(budgets=(Budget(1.0, target="iphone-*"),)).budgets_for("a", "pixel-4/gpu") == ()


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.tflite", "a/b/c.tflite", True),
        ("c.tflite", "a/b/c.tflite", True),
        ("a/*.tflite", "a/b/c.tflite", False),
        ("a/**/*.tflite", "a/b/c.tflite", True),
        ("a/**/*.tflite", "a/c.tflite", True),
        ("a/**", "a/b/c.tflite", True),
        ("**/b/*", "a/b/c.tflite", True),
        ("./a/*", "a/c.tflite", True),
        ("a/[bc].tflite", "a/c.tflite", True),
        ("a/[!bc].tflite", "a/c.tflite", False),
        ("a[!x]c.tflite", "ac.tflite", False),
        ("a/?.tflite", "a/c.tflite", True),
        ("a.tflite", "axtflite", False),
        ("[z-a].tflite", "b.tflite", False),
        ("[z-a].tflite", "[z-a].tflite", True),
    ],
)
def test_model_globs(pattern: str, path: str, matches: bool) -> None:
    assert matches_path(pattern, path) is matches


def test_targets_are_names_or_globs_and_come_sorted() -> None:
    assert select_targets(["pixel-4/gpu", "*/gpu"], TARGETS) == ["galaxy-s10/gpu", "pixel-4/gpu"]
    assert select_targets(["*"], TARGETS) == TARGETS


@pytest.mark.parametrize(
    ("pattern", "chosen"),
    [
        ("*", ["a/cpu-1", "a/npu"]),
        ("a/cpu-*", ["a/cpu-1"]),
        ("a/cpu-1@xnnpack", ["a/cpu-1@xnnpack"]),
        ("a/*@xnnpack", ["a/cpu-1@xnnpack"]),
        ("a/cpu-1@*", ["a/cpu-1", "a/cpu-1@xnnpack"]),
        ("a/*@*", ["a/cpu-1", "a/cpu-1@xnnpack", "a/npu", "a/npu@litert", "a/npu@qnn"]),
    ],
)
def test_a_runtime_is_chosen_by_name_and_the_usual_one_without(pattern: str, chosen: list[str]) -> None:
    known = ["a/cpu-1", "a/cpu-1@xnnpack", "a/npu", "a/npu@litert", "a/npu@qnn"]
    assert select_targets([pattern], known) == chosen


def test_a_runtime_that_a_processor_does_not_have_is_answered_with_those_that_it_has() -> None:
    with pytest.raises(LatlintError, match="this processor's runtimes are a/npu@litert, a/npu@qnn"):
        select_targets(["a/npu@xnnpack"], ["a/npu@litert", "a/npu@qnn"])
    with pytest.raises(LatlintError, match="name its runtime: a/npu@litert, a/npu@qnn"):
        select_targets(["a/npu"], ["a/npu@litert", "a/npu@qnn"])


def test_a_budget_without_a_target_holds_on_every_runtime_and_a_glob_on_the_usual_one() -> None:
    settings = Settings(budgets=(Budget(5.0), Budget(4.0, target="a/*"), Budget(3.0, target="a/*@*")))
    held = {target: [each.max_ms for each in settings.budgets_for("m.tflite", target)] for target in ("a/b", "a/b@c")}
    assert held == {"a/b": [5.0, 4.0, 3.0], "a/b@c": [5.0, 3.0]}


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("pixel4/gpu", "did you mean pixel-4/gpu"),
        ("Pixel-4/GPU", "did you mean pixel-4/gpu"),
        ("pixel-4/cpu-1larg", "did you mean pixel-4/cpu-1large, pixel-4/cpu-1large1med"),
        ("pixel-4", "all of them: 'pixel-4/*'"),
        ("pixle-4/*", "did you mean pixel-4/"),
        ("qqqq", "no name is near it; `latlint pack kit` helps"),
        ("Pixel 4", "did you mean pixel-4/"),
        ("pixel-9/gpu", "this device is not covered, near it are pixel-4; `latlint pack kit` helps"),
        ("gpu", "take this processor of all of them: '*/gpu'"),
        ("pixel-4/npu", "pixel-4 has cpu-1large, cpu-1large1med, gpu"),
        ("pixel-4/gpu@qnn", "this processor's runtimes are pixel-4/gpu (`latlint"),
        ("", "expected DEVICE/PROCESSOR, such as galaxy-s10/cpu-1large"),
    ],
)
def test_an_unknown_target_gets_the_nearest_names(pattern: str, hint: str) -> None:
    with pytest.raises(LatlintError) as caught:
        select_targets([pattern], TARGETS)
    assert caught.value.code == "LAT902"
    assert caught.value.message.startswith(f"unknown target '{pattern}': ")
    assert hint in caught.value.message


def test_the_command_line_takes_the_place_of_the_file_and_says_so() -> None:
    origins = {"targets": "latlint.toml", "budgets": "latlint.toml"}
    settings = Settings(source="latlint.toml", targets=("pixel-4/gpu",), budgets=(Budget(9.0),), origins=origins)
    merged = settings.with_flags(targets=["iphone-xs/gpu"], budgets=["10ms"])
    assert (merged.targets, merged.budgets) == (("iphone-xs/gpu",), (Budget(10.0),))
    assert merged.notes == (
        "--target takes the place of targets in latlint.toml",
        "--budget takes the place of budgets in latlint.toml",
    )
    assert settings.with_flags() == settings


def test_targets_come_from_the_request_then_the_budgets_then_the_default() -> None:
    budgets = (Budget(9.0, target="pixel-4/*"), Budget(5.0, target="*"))
    assert Settings(targets=("a",), budgets=budgets).target_patterns() == (("a",), ())
    assert Settings(budgets=budgets).target_patterns() == (("pixel-4/*",), ())
    defaults, notes = Settings().target_patterns()
    assert all(target in notes[0] for target in defaults)


def test_a_budget_for_nobody_in_particular_is_refused() -> None:
    with pytest.raises(LatlintError, match="a budget needs a target"):
        Settings(budgets=(Budget(5.0),)).target_patterns()


def test_nearest_ignores_case_and_gives_up_on_nonsense() -> None:
    assert nearest("MIN_COVERAGE", ["min-coverage", "models"]) == ["min-coverage"]
    assert nearest("qqq", ["min-coverage", "models"]) == []


def test_the_last_shape_of_an_input_counts_and_the_command_line_is_last(tmp_path: Path) -> None:
    text = """
    [shapes]
    x = "1x3"
    [shapes."a/*.onnx"]
    x = "1x5"
    images = "1x3x640x640"
    """
    settings = load(config=write(tmp_path / "latlint.toml", text))
    assert settings.input_shapes(tmp_path / "b.onnx") == (InputShape("x", (1, 3), required=False),)
    assert settings.input_shapes(tmp_path / "a/b.onnx") == (
        InputShape("x", (1, 5)),
        InputShape("images", (1, 3, 640, 640)),
    )
    assert settings.with_flags(shapes=["x=2x7"]).input_shapes(tmp_path / "b.onnx") == (InputShape("x", (2, 7)),)


@pytest.mark.parametrize("text", ["", "1x3", "=1x3", "x=", "x=1,3", "x=0x3"])
def test_a_malformed_shape_shows_how_to_write_one(text: str) -> None:
    with pytest.raises(LatlintError) as caught:
        parse_shape(text)
    assert caught.value.code == "LAT901"
    assert caught.value.message.startswith(f"malformed shape '{text}': expected")


def test_the_name_of_an_input_may_hold_an_equals_sign() -> None:
    assert parse_shape("a=b=1x3") == InputShape("a=b", (1, 3))


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"gate": "zz"}, "gate: expected point, low or high, not 'zz'"),
        ({"fail_on": "x"}, "fail_on: expected note, warning or error, not 'x'"),
        ({"min_coverage": 80}, "min_coverage: expected a share from 0 to 1, not 80"),
        ({"min_gain": float("nan")}, "min_gain: expected a share from 0 to 1, not nan"),
        ({"targets": [3]}, "targets: expected names"),
        ({"budgets": ("10ms",)}, "budgets: expected a sequence of Budget"),
        ({"severities": {"LAT2": "bad"}}, "severities\\['LAT2'\\]: expected note, warning, error or off, not 'bad'"),
    ],
)
def test_settings_from_python_are_looked_at_as_those_of_a_file(values: dict[str, object], complaint: str) -> None:
    with pytest.raises(LatlintError, match=complaint):
        Settings(**values)  # type: ignore[arg-type]


def test_one_name_stands_for_a_list_of_it() -> None:
    settings = Settings(targets="pixel-4/gpu", models="m.tflite", packs=["packs"])  # type: ignore[arg-type]
    assert (settings.targets, settings.models) == (("pixel-4/gpu",), ("m.tflite",))
    assert settings.packs == (Path("packs"),)


@pytest.mark.parametrize("values", [{}, {"max_ms": -1.0}, {"warn_ms": "10ms"}, {"max_ms": 5.0, "gate": "middle"}])
def test_a_budget_from_python_has_a_limit_that_can_be_held(values: dict[str, object]) -> None:
    with pytest.raises(LatlintError, match="budget"):
        Budget(**values)  # type: ignore[arg-type]
