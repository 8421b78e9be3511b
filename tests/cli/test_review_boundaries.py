"""Waivers, baseline and relative budgets where two of them meet, and where a model moved, is new or cannot be read."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Model = Callable[[str], Path]

#: Each takes about twice as long as the one before.
FAST, MEDIUM, SLOW = "mobilenet_v2_025_f16.tflite", "mobilenet_v3_small.tflite", "mobilenet_v2.tflite"
RELATIVE = 'targets = ["pixel-4/gpu"]\nselect = ["LAT0", "LAT1", "LAT9"]\n[[budgets]]\nmax-increase = "5%"\n'


@pytest.fixture
def git(repository: Path) -> Callable[..., None]:
    """Git in a repository that has a relative budget."""
    (repository / ".git").rmdir()

    def run(*arguments: str) -> None:
        identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
        subprocess.run(["git", *identity, *arguments], cwd=repository, check=True, capture_output=True)

    run("init", "--quiet")
    (repository / "latlint.toml").write_text(RELATIVE)
    return run


def checked(latlint: Run, *arguments: str) -> Any:
    result = latlint("check", "--format", "json", *arguments)
    return json.loads(result.out)


def found(document: Any) -> list[tuple[str, str, str]]:
    return [(each["code"], each["model"], each["severity"]) for each in document["findings"]]


def put(repository: Path, source: Path, name: str) -> None:
    (repository / name).parent.mkdir(exist_ok=True)
    shutil.copy(source, repository / name)


def configure(repository: Path, more: str) -> None:
    """One GPU, and what is said of files, budgets and what suppresses findings."""
    text = f'targets = ["pixel-4/gpu"]\nselect = ["LAT0", "LAT1", "LAT9"]\n{more}'
    (repository / "latlint.toml").write_text(text)


def test_a_waiver_of_a_model_that_cannot_be_read_is_not_called_unused(
    latlint: Run, repository: Path, model: Model
) -> None:
    waiver = '[[waivers]]\ncode = "LAT101"\nmodel = "*.tflite"\nreason = "ships in spring"\n'
    configure(repository, waiver)
    put(repository, model(FAST), "a.tflite")
    assert [code for code, *_ in found(checked(latlint))] == ["LAT904"], "all was looked at, and nothing is covered"
    (repository / "b.tflite").write_bytes(b"nonsense")
    assert "LAT904" not in {code for code, *_ in found(checked(latlint))}, "what b.tflite takes is not known"


def test_a_line_of_the_baseline_for_a_model_that_cannot_be_read_is_not_called_unused(
    latlint: Run, repository: Path, model: Model
) -> None:
    limit = '[[budgets]]\nmax = "1us"\n'
    configure(repository, limit)
    put(repository, model(FAST), "a.tflite")
    assert latlint("baseline").status == 0
    (repository / "a.tflite").write_bytes(b"nonsense")
    assert "LAT906" not in {code for code, *_ in found(checked(latlint))}, "what a.tflite takes is not known"
    (repository / "a.tflite").unlink()
    put(repository, model(FAST), "b.tflite")
    assert "LAT906" in {code for code, *_ in found(checked(latlint))}, "it is gone"


def test_a_model_that_moved_and_changed_is_known_by_its_name(
    latlint: Run, git: Callable[..., None], repository: Path, model: Model
) -> None:
    put(repository, model("one_gelu.tflite"), "old/net.tflite")  # whose ops tell nothing
    git("add", ".")
    git("commit", "-m", "A model")
    (repository / "old/net.tflite").unlink()
    put(repository, model(SLOW), "new/net.tflite")
    assert found(checked(latlint)) == [("LAT103", "new/net.tflite", "error")]


def test_of_two_models_of_one_name_none_is_taken_for_the_one_that_moved(
    latlint: Run, git: Callable[..., None], repository: Path, model: Model
) -> None:
    put(repository, model("one_gelu.tflite"), "one/net.tflite")
    put(repository, model("one_gelu.tflite"), "two/net.tflite")
    git("add", ".")
    git("commit", "-m", "Two models")
    for place in ("one", "two"):
        (repository / place / "net.tflite").unlink()
    put(repository, model(SLOW), "new/net.tflite")
    assert found(checked(latlint)) == [("LAT104", "new/net.tflite", "note")]


def test_a_model_that_only_moved_has_its_past(
    latlint: Run, git: Callable[..., None], repository: Path, model: Model
) -> None:
    put(repository, model(MEDIUM), "old/net.tflite")
    git("add", ".")
    git("commit", "-m", "A model")
    shutil.move(repository / "old/net.tflite", repository / "renamed.tflite")
    document = checked(latlint)
    assert found(document) == []
    (prediction,) = document["predictions"]
    assert prediction["verdict"]["budget_ms"] == pytest.approx(1.05 * prediction["latency_ms"], rel=1e-3)


@pytest.mark.parametrize(("absolute", "shown"), [("100ms", "relative"), ("1ms", "absolute")])
def test_the_limit_shown_is_the_one_that_is_nearest(
    latlint: Run, git: Callable[..., None], repository: Path, model: Model, absolute: str, shown: str
) -> None:
    (repository / "latlint.toml").write_text(f'{RELATIVE}[[budgets]]\nmax = "{absolute}"\ngate = "low"\n')
    put(repository, model(MEDIUM), "net.tflite")
    git("add", ".")
    git("commit", "-m", "A model")
    (prediction,) = checked(latlint)["predictions"]
    verdict = prediction["verdict"]
    if shown == "absolute":
        assert (verdict["budget_ms"], verdict["gate"], verdict["passed"]) == (1.0, "low", False)
    else:
        assert verdict["budget_ms"] == pytest.approx(1.05 * prediction["latency_ms"], rel=1e-3)
        assert (verdict["gate"], verdict["passed"]) == ("point", True)


def test_that_a_model_is_new_is_no_finding_to_accept(
    latlint: Run, git: Callable[..., None], repository: Path, model: Model
) -> None:
    git("add", ".")
    git("commit", "-m", "No model yet")
    put(repository, model(FAST), "net.tflite")
    assert found(checked(latlint)) == [("LAT104", "net.tflite", "note")]
    assert latlint("baseline").out == "Wrote latlint.baseline: 0 findings accepted, 0 new, 0 removed\n"
    assert found(checked(latlint)) == [("LAT104", "net.tflite", "note")]


def test_findings_are_in_the_order_of_targets_and_then_of_severity(
    latlint: Run, git: Callable[..., None], repository: Path, model: Model
) -> None:
    """Also those of relative budgets, which are found last."""
    targets = 'targets = ["pixel-4/gpu", "galaxy-s10/gpu"]'
    everything = RELATIVE.replace('targets = ["pixel-4/gpu"]\nselect = ["LAT0", "LAT1", "LAT9"]', targets)
    (repository / "latlint.toml").write_text(everything)
    put(repository, model(FAST), "net.tflite")
    git("add", ".")
    git("commit", "-m", "A model")
    put(repository, model(MEDIUM), "net.tflite")
    findings = checked(latlint)["findings"]
    order = [(each["target"], ["error", "warning", "note"].index(each["severity"])) for each in findings]
    assert order == sorted(order)
    assert {each["severity"] for each in findings} >= {"error", "note"}
    assert [each["code"] for each in findings if each["severity"] == "error"] == ["LAT103", "LAT103"]
