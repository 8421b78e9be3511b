"""Which model a file of weights belongs to, and what of a commit is linted."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from latlint.graph import wire
from latlint.project.configuration import governing
from latlint.project.discovery import changed_models, find_models, holders
from latlint.settings import Settings


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Models as exporters lay them out; their bytes name their data where the reader of a real one would find it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets" / "weights").mkdir(parents=True)
    for name, content in {
        "nets/a.onnx": b"\x0a\x08location\x12\x0dweights/a.bin",
        "nets/b.ONNX": b"\x0a\x08location\x12\x09b weights",
        "nets/pointer.onnx": b"version https://git-lfs.github.com/spec/v1\n",
        "nets/empty.onnx": b"",
        **dict.fromkeys(("nets/weights/a.bin", "nets/b weights", "nets/pointer.onnx.data", "nets/firmware.bin"), b"?"),
    }.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.mark.parametrize(
    ("data", "models"),
    [
        ("nets/weights/a.bin", ["nets/a.onnx"]),
        ("nets/b weights", ["nets/b.ONNX"]),
        ("nets/pointer.onnx.data", ["nets/pointer.onnx"]),
        ("nets/firmware.bin", []),
        ("nowhere/x.bin", []),
    ],
)
def test_external_data_belongs_to_the_models_that_name_it(repository: Path, data: str, models: list[str]) -> None:
    assert holders(data) == models
    assert holders(str(repository / data)) == [str(repository / model) for model in models]


def test_of_a_commit_models_and_external_data_count(repository: Path) -> None:
    changed = ["nets/firmware.bin", "nets/weights/a.bin", "nets/pointer.onnx", "nets/a.onnx", "README"]
    assert find_models(changed_models(changed, Settings()), Settings())[0] == ["nets/a.onnx", "nets/pointer.onnx"]
    assert changed_models(changed, Settings(models=("pointer.*",))) == ["nets/pointer.onnx"]
    assert changed_models(["nets/firmware.bin"], Settings()) == []


def test_named_on_the_command_line_data_stands_for_its_model_and_anything_else_for_itself(repository: Path) -> None:
    assert find_models(["nets/weights/a.bin", "nets/firmware.bin", "missing.bin"], Settings())[0] == [
        "nets/a.onnx",
        "nets/firmware.bin",
        "missing.bin",
    ]


@pytest.mark.parametrize("before", range(6))
def test_a_name_is_found_wherever_a_large_model_has_it(repository: Path, before: int) -> None:
    """A model is searched a mebibyte at a time, and the name may stand across the border."""
    name = b"weights/a.bin"
    padding = bytes((1 << 20) - len(name) * before // 5)
    (repository / "nets/a.onnx").write_bytes(padding + name + bytes(100))
    assert holders("nets/weights/a.bin") == ["nets/a.onnx"]


def test_each_model_is_read_once_however_many_files_changed(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    scan = wire.lean_model
    monkeypatch.setattr(wire, "lean_model", lambda source, name: read.append(name) or scan(source, name))
    names = [f"nets/w{number}" for number in range(40)]
    assert changed_models([*names, "nets/weights/a.bin"], Settings()) == ["nets/a.onnx"]
    assert sorted(read) == ["a.onnx", "b.ONNX", "empty.onnx", "pointer.onnx"]


@pytest.fixture
def few_calls() -> Iterator[int]:
    """How deep calls go meanwhile: a thousand, as usual, would take seconds."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(400)
    yield 400
    sys.setrecursionlimit(before)


def test_models_are_found_deeper_than_calls_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_calls: int) -> None:
    """What walks or climbs by calling itself ends at a thousand directories, and with it the run."""
    monkeypatch.chdir(tmp_path)
    deep = few_calls + 50
    for _ in range(deep):
        Path("a").mkdir()
        os.chdir("a")
    Path("m.onnx").write_bytes(b"?")
    os.chdir(tmp_path)
    settings = Settings(root=tmp_path)
    found, _ = find_models(["."], settings, governing(settings, lambda _: settings))
    # what clears up after tests calls itself, too
    os.chdir("a/" * deep)
    Path("m.onnx").unlink()
    for _ in range(deep):
        os.chdir("..")
        Path("a").rmdir()
    assert found == ["a/" * deep + "m.onnx"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights")
def test_links_that_no_system_follows_are_for_the_reader_to_tell(repository: Path, few_calls: int) -> None:
    """Python follows a thousand links, one call within the other."""
    for number in range(few_calls + 50):
        Path(f"l{number}.onnx").symlink_to(f"l{number + 1}.onnx")
    found, _ = find_models([], Settings(root=repository))
    assert {"l0.onnx", "nets/a.onnx"} <= {*found}


@pytest.mark.skipif(sys.platform != "linux", reason="the longest path is another")
def test_a_directory_below_which_no_more_names_fit_takes_no_other_models(repository: Path) -> None:
    """A path of 4,096 bytes is refused by Linux, and Path.exists passes that on."""
    for part in (*["b" * 250] * 16, "c" * 74):
        Path(part).mkdir()
        os.chdir(part)
    os.chdir(repository)
    assert "nets/a.onnx" in find_models([], Settings(root=repository))[0]
