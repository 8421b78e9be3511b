"""Paths that reports give others: the same from wherever latlint is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from latlint.project.repository import locate
from latlint.settings import Settings


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_in_a_repository_a_path_starts_at_its_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = touch(tmp_path / "app" / "models" / "m.tflite")
    (tmp_path / ".git").mkdir()
    for directory, given in (("app/models", "m.tflite"), ("app", "./models/../models/m.tflite"), (".", str(model))):
        monkeypatch.chdir(tmp_path / directory)
        assert locate([given], Settings()) == {given: "app/models/m.tflite"}


def test_a_link_goes_by_the_file_that_it_names(tmp_path: Path) -> None:
    model = touch(tmp_path / "models" / "m.tflite")
    (tmp_path / ".git").touch()  # a worktree's .git is a file
    link = tmp_path / "link.tflite"
    link.symlink_to(model)
    assert locate([str(link)], Settings()) == {str(link): "models/m.tflite"}


def test_without_a_repository_a_path_starts_at_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = str(touch(tmp_path / "models" / "m.tflite"))
    monkeypatch.chdir(tmp_path / "models")
    assert locate([model, "m.tflite"], Settings(root=tmp_path, source="latlint.toml")) == {
        model: "models/m.tflite",
        "m.tflite": "models/m.tflite",
    }
    assert locate(["m.tflite"], Settings()) == {"m.tflite": "m.tflite"}


def test_what_lies_elsewhere_does_not_tell_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = [str(touch(tmp_path / "data" / name)) for name in ("a/m.tflite", "b/m.tflite", "n.onnx")]
    for directory in ("one", "two/three"):
        (tmp_path / directory).mkdir(parents=True)
        monkeypatch.chdir(tmp_path / directory)
        assert list(locate(models, Settings()).values()) == ["a/m.tflite", "b/m.tflite", "n.onnx"]
