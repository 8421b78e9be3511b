"""What somebody sees who does not know the command line yet."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from latlint.data import data_dir

Run = Callable[..., Any]


@pytest.mark.parametrize("group", ["pack", "config"])
def test_a_group_alone_shows_its_help(latlint: Run, group: str) -> None:
    result = latlint(group)
    assert (result.status, result.err) == (2, "")
    assert result.out.startswith(f"Usage: latlint {group} [OPTIONS] COMMAND")
    assert "\\n" not in result.out and "Commands:\n" in result.out


def test_a_model_in_the_place_of_a_command_is_answered_with_the_command(latlint: Run, repository: Path) -> None:
    for name in ("m.tflite", "models/M.ONNX"):
        result = latlint(name)
        assert result.status == 2
        assert f"to lint a file, latlint check {name}" in result.err
    (repository / "weights").write_bytes(b"")
    assert "latlint check weights" in latlint("weights").err
    assert "did you mean check?" in latlint("chek").err


def test_predict_offers_and_takes_the_formats_that_it_has(latlint: Run) -> None:
    help_text = " ".join(latlint("predict", "--help").out.split())
    assert "jsonl, markdown" in help_text
    assert "sarif" not in help_text and "gitlab" not in help_text
    result = latlint("predict", "no.tflite", "--format", "sarif")
    assert result.status == 2
    assert "'sarif' is not one of 'benchmark'," in result.err, "before any file is looked for"
    assert "sarif" in latlint("check", "--help").out


def test_the_configurations_packs_are_listed(latlint: Run, repository: Path) -> None:
    shutil.copytree(data_dir("predictors") / "pixel-4", repository / "packs" / "my-phone")
    card = repository / "packs" / "my-phone" / "card.json"
    card.write_text(card.read_text("utf-8").replace('"device": "pixel-4"', '"device": "my-phone"'), "utf-8")
    assert latlint("targets", "my-phone/gpu").status == 2
    (repository / "latlint.toml").write_text('packs = ["packs"]\n', "utf-8")
    listed = json.loads(latlint("targets", "my-phone/gpu", "--format", "json").out)["targets"]
    assert [each["name"] for each in listed] == ["my-phone/gpu"]
    assert latlint("targets", "my-phone/gpu", "--no-config").status == 2


def test_a_target_whose_runtime_follows_the_file_shows_both(latlint: Run, repository: Path) -> None:
    shutil.copytree(data_dir("predictors") / "pixel-4", repository / "dual")
    file = repository / "dual" / "card.json"
    card = json.loads(file.read_text("utf-8"))
    processors = card["processors"]
    for runtime in ("x", "y"):
        processors[f"gpu@{runtime}"] = dict(processors["gpu"])
    del processors["gpu"]
    file.write_text(json.dumps(card | {"device": "dual", "defaults": {"gpu": {"tflite": "x", "onnx": "y"}}}), "utf-8")
    both = ".onnx: tflite-2.10/gpu-delegate; .tflite: tflite-2.10/gpu-delegate"
    assert both in latlint("targets", "--pack", "dual").out
    assert both in " ".join(latlint("targets", "dual/gpu", "--pack", "dual").out.split())
    (document,) = json.loads(latlint("targets", "dual/gpu", "--pack", "dual", "--format", "json").out)["targets"]
    assert document["name"] == "dual/gpu" and document["runtimes"].keys() == {"onnx", "tflite"}
    names = [
        each["name"]
        for each in json.loads(latlint("targets", "dual/gpu@*", "--pack", "dual", "--format", "json").out)["targets"]
    ]
    assert names == ["dual/gpu", "dual/gpu@x", "dual/gpu@y"]
