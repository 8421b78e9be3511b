"""`latlint lock`: what it writes, what it keeps, what it refuses."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Model = Callable[[str], Path]

TARGETS = 'targets = ["pixel-4/gpu", "pixel-4/cpu-1large"]\n'


@pytest.fixture
def project(repository: Path, model: Model) -> Path:
    """Two models, a configuration, and their lock is still to be written."""
    (repository / "latlint.toml").write_text(TARGETS)
    (repository / "models").mkdir()
    shutil.copy(model("mobilenet_v2.tflite"), repository / "models" / "net.tflite")
    shutil.copy(model("one_gelu.tflite"), repository / "gelu.tflite")
    return repository


def lines(project: Path) -> list[str]:
    return [
        line for line in (project / "latlint.lock").read_text("utf-8").splitlines() if line and not line.startswith("#")
    ]


def test_a_line_a_model_and_target_holds_what_predict_says(latlint: Run, project: Path) -> None:
    assert latlint("lock").status == 0
    document = json.loads(latlint("predict", "models/net.tflite", "--target", "pixel-4/gpu", "--format", "json").out)
    (prediction,) = document["predictions"]
    found = lines(project)
    assert [line.split()[:2] for line in found] == [
        ["gelu.tflite", "pixel-4/cpu-1large"],
        ["gelu.tflite", "pixel-4/gpu"],
        ["models/net.tflite", "pixel-4/cpu-1large"],
        ["models/net.tflite", "pixel-4/gpu"],
    ]
    _, _, latency, interval, coverage, ops, sha256, pack = found[3].split()
    assert float(latency.removesuffix("ms")) == pytest.approx(prediction["latency_ms"], rel=1e-3)
    low, high = (float(end) for end in interval.removesuffix("ms").split(".."))
    assert low == pytest.approx(prediction["low_ms"], rel=1e-3)
    assert high == pytest.approx(prediction["high_ms"], rel=1e-3)
    assert coverage == f"coverage={prediction['coverage']:.0%}"
    convolutions = sum(k["latency_ms"] for k in prediction["kernels"] if k["op"] == "conv2d")
    assert ops.startswith(f"conv2d={convolutions / prediction['latency_ms']:.0%},")
    assert sha256 == f"sha256={prediction['sha256'][:16]}"
    assert pack == f"pack={document['latlint']}+{prediction['pack']}"


def test_it_is_the_same_from_every_directory(latlint: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    latlint("lock")
    first = (project / "latlint.lock").read_bytes()
    monkeypatch.chdir(project / "models")
    assert latlint("lock", "--check").out == "../latlint.lock is up to date: 4 lines\n"
    (project / "latlint.lock").unlink()
    latlint("lock")
    assert (project / "latlint.lock").read_bytes() == first
    assert not (project / "models" / "latlint.lock").exists()


def test_check_passes_what_lock_wrote_and_writes_nothing(latlint: Run, project: Path) -> None:
    missing = latlint("lock", "--check")
    assert missing.status == 1
    assert "4 missing" in missing.out
    assert not (project / "latlint.lock").exists()
    latlint("lock")
    assert latlint("lock", "--check").status == 0


def test_stale_missing_and_extra_lines_are_told(latlint: Run, project: Path, model: Model) -> None:
    latlint("lock")
    before = (project / "latlint.lock").read_bytes()
    shutil.copy(model("mobilenet_v3_small.tflite"), project / "models" / "net.tflite")
    shutil.copy(model("one_gelu.tflite"), project / "new.tflite")
    (project / "gelu.tflite").unlink()
    result = latlint("lock", "--check")
    assert result.status == 1
    assert "2 stale, 2 missing, 2 extra" in result.out
    assert re.search(r"^  stale +models/net\.tflite +pixel-4/gpu +[\d.]+ ms → [\d.]+ ms", result.out, re.MULTILINE)
    assert result.out.endswith("\nRun: latlint lock\n")
    assert (project / "latlint.lock").read_bytes() == before
    document = json.loads(latlint("lock", "--check", "--format", "json").out)
    assert document["schema"] == "latlint.lock/1"
    assert (document["up_to_date"], document["written"], document["lines"]) == (False, False, 4)
    assert [(change["change"], change["model"], change["cause"]) for change in document["changes"]] == [
        ("removed", "gelu.tflite", ""),
        ("removed", "gelu.tflite", ""),
        ("changed", "models/net.tflite", "model"),
        ("changed", "models/net.tflite", "model"),
        ("added", "new.tflite", ""),
        ("added", "new.tflite", ""),
    ]
    assert document["changes"][2]["new"]["ops"]["conv2d"] == pytest.approx(0.6, abs=0.2)


def test_a_line_of_another_pack_is_stale_and_the_model_not_blamed(latlint: Run, project: Path) -> None:
    latlint("lock")
    path = project / "latlint.lock"
    path.write_text(path.read_text().replace("pack=0.", "pack=9."))
    result = latlint("lock", "--check")
    assert result.status == 1
    assert result.out.count("same model, other predictor") == 4


def test_other_targets_make_other_lines(latlint: Run, project: Path) -> None:
    latlint("lock")
    (project / "latlint.toml").write_text('targets = ["pixel-4/gpu", "iphone-xs/gpu"]\n')
    assert "2 missing, 2 extra" in latlint("lock", "--check").out


def test_only_the_lines_that_are_asked_for_are_written(latlint: Run, project: Path, model: Model) -> None:
    latlint("lock")
    before = lines(project)
    shutil.copy(model("mobilenet_v3_small.tflite"), project / "models" / "net.tflite")
    shutil.copy(model("mobilenet_v3_small.tflite"), project / "gelu.tflite")
    assert latlint("lock", "gelu.tflite").status == 0
    assert lines(project)[2:] == before[2:]
    assert lines(project)[:2] != before[:2]
    assert latlint("lock", "--target", "pixel-4/gpu").status == 0
    assert lines(project)[2] == before[2]
    assert lines(project)[3] != before[3]
    assert latlint("lock", "--check", "gelu.tflite").status == 0
    assert latlint("lock", "--check", "models").status == 1


def test_a_directory_stands_for_what_lay_in_it(latlint: Run, project: Path, model: Model) -> None:
    shutil.copy(model("one_gelu.tflite"), project / "models" / "old.tflite")
    shutil.copy(model("one_gelu.tflite"), project / "models-2.tflite")
    latlint("lock")
    (project / "models" / "old.tflite").unlink()
    (project / "models-2.tflite").unlink()
    assert "0 removed" not in latlint("lock", "models/").out
    assert [line.split()[0] for line in lines(project)[::2]] == ["gelu.tflite", "models-2.tflite", "models/net.tflite"]


def test_strange_names_survive(latlint: Run, project: Path, model: Model) -> None:
    names = ["a b.tflite", "-h.tflite", "größe.tflite", 'x"\n\x1b[2J.tflite', os.fsdecode(b"\xff.tflite"), "#.tflite"]
    for name in names:
        shutil.copy(model("one_gelu.tflite"), project / name)
    written = latlint("lock")
    assert written.status == 0
    assert "\x1b" not in written.out
    assert latlint("lock", "--check").status == 0
    (project / names[3]).unlink()
    result = latlint("lock", "--check")
    assert "2 extra" in result.out
    assert r'x"\n\x1b[2J.tflite' in result.out


def test_a_merge_that_was_not_finished_is_refused_and_written_anew(latlint: Run, project: Path) -> None:
    latlint("lock")
    path = project / "latlint.lock"
    good = path.read_text()
    path.write_text(good.replace("\n\n", "\n\n<<<<<<< HEAD\n", 1))
    for arguments in (["--check"], ["gelu.tflite"]):
        refused = latlint("lock", *arguments)
        assert refused.status == 2
        assert "latlint.lock: line 4 is a conflict marker" in refused.err
        assert "run `latlint lock`" in refused.err
    assert "<<<<<<<" in path.read_text()
    assert latlint("lock").status == 0
    assert path.read_text() == good


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("\n\nmodels", "\n\ngelu.tflite pixel-4/gpu\nmodels", "line 7 has 2 fields and not 8"),
        ("ms ", " ", "in the place of a latency"),
        ("..", "-", "in the place of an interval"),
        ("coverage=", "covered=", "in the place of a coverage"),
        ("conv2d=", "conv2d:", "in the place of shares of ops"),
        ("sha256=", "md5=", "in the place of a hash"),
        ("pack=", "", "in the place of a pack"),
        ("pixel-4/cpu-1large", "pixel-4/gpu", "is a second line for the same model and target (the first is line 4)"),
    ],
)
def test_an_edited_line_is_refused(latlint: Run, project: Path, old: str, new: str, wrong: str) -> None:
    latlint("lock")
    path = project / "latlint.lock"
    path.write_text(path.read_text().replace(old, new, 1))
    result = latlint("lock", "--check")
    assert (result.status, result.out) == (2, "")
    assert wrong in result.err
    assert "[LAT903]" in result.err


def test_a_model_that_cannot_be_read_leaves_the_lock_alone(latlint: Run, project: Path) -> None:
    latlint("lock")
    before = (project / "latlint.lock").read_bytes()
    (project / "models" / "net.tflite").write_bytes(b"")
    result = latlint("lock")
    assert result.status == 2
    assert "latlint.lock: left as it was: 1 model could not be read" in result.err
    assert (project / "latlint.lock").read_bytes() == before


def test_as_a_hook_it_writes_and_fails_once(latlint: Run, project: Path) -> None:
    assert latlint("lock", "--hook").status == 1
    assert latlint("lock", "--hook").status == 0
    both = latlint("lock", "--hook", "--check")
    assert both.status == 2
    assert "contradict" in both.err


def test_without_any_model_the_lock_stays_unless_that_is_allowed(latlint: Run, project: Path) -> None:
    latlint("lock")
    for path in ("gelu.tflite", "models/net.tflite"):
        (project / path).unlink()
    assert latlint("lock").status == 2
    assert len(lines(project)) == 4
    assert latlint("lock", "--allow-empty").status == 0
    assert lines(project) == []


def test_lines_in_another_order_say_the_same(latlint: Run, project: Path) -> None:
    """A merge by union leaves them so."""
    latlint("lock")
    path = project / "latlint.lock"
    good = path.read_text()
    head, first, second = good.split("\n\n")
    path.write_text(f"{head}\n\n{second}{first}\n")
    assert latlint("lock", "--check").status == 0
    assert latlint("lock").out == "Wrote latlint.lock: 4 lines, in order\n"
    assert path.read_text() == good


def test_findings_stand_on_their_models_line(latlint: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def places() -> list[tuple[str, str, dict[str, Any]]]:
        """Each result's message, and where it stands first."""
        log = json.loads(latlint("check", "--format", "sarif", "--budget", "1us").out)
        found = [result for run in log["runs"] for result in run["results"]]
        first = [result["locations"][0]["physicalLocation"] for result in found]
        return [
            (result["message"]["text"], place["artifactLocation"]["uri"], place["region"])
            for result, place in zip(found, first, strict=True)
        ]

    at_models = places()
    assert {uri for _, uri, _ in at_models} == {"gelu.tflite", "models/net.tflite"}
    latlint("lock")
    texts = (project / "latlint.lock").read_text().splitlines()
    on_lines = places()
    assert [message for message, *_ in on_lines] == [message for message, *_ in at_models]
    assert len(on_lines) > 4, "more than one on some lines"
    for message, uri, region in on_lines:
        name, target = message.split("'")[1:4:2]
        assert uri == "latlint.lock"
        assert texts[region["startLine"] - 1].startswith(f"{name} {target} ")
        assert region["endColumn"] == len(texts[region["startLine"] - 1]) + 1
    monkeypatch.chdir(project / "models")
    assert places() == on_lines
    (project / "latlint.lock").write_text("<<<<<<< HEAD\n")
    assert places() == at_models, "a lock that is malformed is for `lock --check` to refuse"
    assert "latlint.lock: line 1 is a conflict marker" in latlint("check").err


def test_a_precision_of_the_configuration_holds_for_every_command(
    latlint: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    target = "pixel-4/cpu-1large"

    def taken(*options: str, command: str = "predict") -> tuple[str, bool, float]:
        done = latlint(command, "models/net.tflite", "--target", target, "--format", "json", *options)
        (found,) = json.loads(done.out)["predictions"]
        return found["precision"], found["as_if"], found["latency_ms"]

    plain, quantised = taken(), taken("--precision", "w8a8")
    assert plain[2] > quantised[2]
    (project / "latlint.toml").write_text(f'precision = "w8a8"\n{TARGETS}')
    assert taken() == taken(command="check") == quantised
    assert taken("--precision", "float16")[0] == "float16"
    note = "--precision takes the place of precision in latlint.toml"
    assert note in latlint("check", "models/net.tflite", "--precision", "float16").err
    assert latlint("lock").status == 0
    assert all(line.endswith("+as-w8a8") for line in lines(project))
    (project / "latlint.toml").write_text(TARGETS)
    changes = json.loads(latlint("lock", "--check", "--format", "json").out)["changes"]
    assert {change["cause"] for change in changes} == {"settings"}
