"""What was said of a file before is said again, as long as nothing that it depends on has changed, and never gets in the way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import latlint.run.cache
from latlint.api import Run
from latlint.errors import LatlintError
from latlint.graph import ModelFile
from latlint.outcome import InputError, Outcome, Report
from latlint.run.cache import Cache, user_cache
from latlint.settings import Budget, Settings

TARGETS = ("galaxy-s10/gpu", "pixel-4/cpu-1large")
MODELS = ("mobilenet_v2.tflite", "mobilenet_v2_int8.tflite", "vit_tiny.onnx", "one_gelu.tflite")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def models(tmp_path: Path, model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    for name in MODELS:
        shutil.copy(model(name), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return list(MODELS)


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Which files were read, and not looked up, since it was called last."""
    read: list[str] = []
    graph = ModelFile.graph

    def watched(self: ModelFile, *args: object) -> object:
        read.append(self.name)
        return graph(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(ModelFile, "graph", watched)

    def since() -> list[str]:
        found = list(read)
        read.clear()
        return found

    return since


def report(models: list[str], cache: Cache | None, *, judge: bool = True, **settings: object) -> Report:
    chosen = replace(Settings(targets=TARGETS), **settings)  # type: ignore[arg-type]
    return Run.prepare(models, chosen, judge=judge, cache=cache).report()


@pytest.mark.parametrize("judge", [True, False])
def test_what_is_remembered_is_what_was_worked_out(
    judge: bool, models: list[str], cache: Cache, unread: Callable[[], list[str]]
) -> None:
    settings = {"budgets": (Budget(5.0),)}
    fresh = report(models, None, judge=judge, **settings)
    assert bool(fresh.findings) == judge
    assert report(models, cache, judge=judge, **settings) == fresh
    assert unread() == models * 2
    again = report(models, cache, judge=judge, **settings)
    assert unread() == []
    assert repr(again) == repr(fresh)


@pytest.mark.parametrize(
    "change",
    [
        {"targets": TARGETS[:1]},
        {"min_gain": 0.2},
        {"budgets": (Budget(5.0),)},
        {"root": Path("/")},
        {"severities": {"LAT2": "off"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_settings_are_another_entry(
    change: dict[str, object], models: list[str], cache: Cache, unread: Callable[[], list[str]]
) -> None:
    report(models, cache)
    unread()
    report(models, cache, **change)
    assert unread() == models


def test_another_content_path_or_pack_is_another_entry(
    models: list[str], cache: Cache, unread: Callable[[], list[str]], tmp_path: Path
) -> None:
    name = models[-1]
    report([name], cache)
    (tmp_path / "elsewhere.tflite").write_bytes((tmp_path / name).read_bytes())
    unread()
    assert {each.model for each in report(["elsewhere.tflite"], cache).predictions} == {"elsewhere.tflite"}
    assert unread() == ["elsewhere.tflite"]

    with Path(name).open("ab") as file:
        file.write(b"\0")
    report([name], cache)
    assert unread() == [name]

    packs = tmp_path / "packs"
    shutil.copytree(latlint.run.cache.data_dir("predictors") / "pixel-4", packs / "pixel-4")
    card = packs / "pixel-4" / "card.json"
    card.write_text(json.dumps(json.loads(card.read_text("utf-8")) | {"title": "another"}), "utf-8")
    report([name], cache, packs=(packs,))
    unread()
    card.write_text(json.dumps(json.loads(card.read_text("utf-8")) | {"title": "yet another"}), "utf-8")
    report([name], cache, packs=(packs,))
    assert unread() == [name]


def test_another_program_is_another_entry(
    models: list[str], cache: Cache, unread: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    report(models[-1:], cache)
    monkeypatch.setattr(latlint.run.cache, "_program", lambda: ("0.0.0",))
    unread()
    report(models[-1:], cache)
    assert unread() == models[-1:]


def test_a_file_that_cannot_be_read_is_not_remembered(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"nonsense")
    for _ in range(2):
        assert [error.code for error in report([str(tmp_path / "m.tflite")], cache).errors] == ["LAT001"]
    assert entries(cache) == []


def test_a_damaged_pack_is_an_error_of_the_run(models: list[str], cache: Cache, tmp_path: Path) -> None:
    pack = tmp_path / "packs" / "pixel-4"
    shutil.copytree(latlint.run.cache.data_dir("predictors") / "pixel-4", pack)
    (pack / "arrays.bin").write_bytes(b"short")
    with pytest.raises(LatlintError, match="does not have the hash"):
        report(models, cache, packs=(pack,))


def entries(cache: Cache) -> list[Path]:
    return sorted(path for path in cache.directory.rglob("*") if path.is_file())


def cut(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes()[:-20])


def turned_bit(entry: Path) -> None:
    content = bytearray(entry.read_bytes())
    content[len(content) // 2] ^= 1
    entry.write_bytes(content)


def emptied(entry: Path) -> None:
    entry.write_bytes(b"")


def a_directory(entry: Path) -> None:
    entry.unlink()
    entry.mkdir()


def forged(body: str) -> Callable[[Path], None]:
    """An entry with the right digest and another content: what someone else who may write here could leave."""

    def forge(entry: Path) -> None:
        entry.write_bytes(latlint.run.cache._digest(body.encode()) + b"\n" + body.encode())

    return forge


DAMAGES: dict[str, Callable[[Path], None]] = {
    "cut": cut,
    "turned bit": turned_bit,
    "emptied": emptied,
    "directory": a_directory,
    "no JSON": forged("cos\nsystem\n(S'true'\ntR."),
    "another shape": forged('{"predictions": []}'),
    "too few fields": forged("[[], []]"),
    "too many fields": forged("[[], [], null, 1]"),
    "another type": forged('[[["m", 1]], [], null]'),
    "text for numbers": forged('[[], [], ["m", "LAT001", 5]]'),
    "not a number": forged("[NaN, [], null]"),
    "deep": forged("[" * 100_000),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_counts_as_none_and_is_written_anew(
    damage: str, models: list[str], cache: Cache, unread: Callable[[], list[str]]
) -> None:
    fresh = report(models[-1:], cache)
    (entry,) = entries(cache)
    sound = entry.read_bytes()
    DAMAGES[damage](entry)
    unread()
    assert report(models[-1:], cache) == fresh
    assert unread() == models[-1:]
    if damage != "directory":
        assert entry.read_bytes() == sound


def test_a_cache_that_cannot_be_written_fails_no_run(models: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    fresh = report(models[-1:], None)
    for directory in (tmp_path / "file" / "cache", Path(os.devnull), Path("/proc/no/such/place")):
        assert report(models[-1:], Cache(directory)) == fresh


def test_the_least_recently_used_make_room(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = Outcome(error=InputError("m", "LAT001", "x" * 1000))
    keys = [f"{number:064x}" for number in range(1, 21)]
    for age, key in enumerate(keys):
        cache.store(key, outcome)
        os.utime(cache._path(key), (1000 + age, 1000 + age))
    assert cache.find(keys[0]) == outcome  # used just now
    size = cache._path(keys[0]).stat().st_size
    monkeypatch.setattr(latlint.run.cache, "MAX_BYTES", 20 * size)
    cache.shrink()
    assert len(entries(cache)) == 20
    monkeypatch.setattr(latlint.run.cache, "MAX_BYTES", 16 * size)
    cache.shrink()
    left = [key for key in keys if cache._path(key).exists()]
    assert left == [keys[0], *keys[-11:]]


def test_the_cache_is_bounded_without_being_asked(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latlint.run.cache, "MAX_BYTES", 50_000)
    outcome = Outcome(error=InputError("m", "LAT001", "x" * 1000))
    for number in range(600):
        # keys as evenly spread as those of real files, and the same in every run
        cache.store(f"{number % 256:02x}{number:062x}", outcome)
    assert sum(path.stat().st_size for path in entries(cache)) < 50_000 + 256 * 1300


@pytest.mark.parametrize("number", [float("inf"), np.int64(1)])
def test_what_json_has_not_is_not_kept_and_fails_no_run(number: float, cache: Cache) -> None:
    cache.store("0" * 64, Outcome(error=InputError("m", "LAT001", number)))  # type: ignore[arg-type]
    assert entries(cache) == []


def test_what_is_too_large_is_not_kept(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latlint.run.cache, "MAX_ENTRY_BYTES", 1000)
    cache.store("0" * 64, Outcome(error=InputError("m", "LAT001", "x" * 1000)))
    assert entries(cache) == []


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    monkeypatch.delenv("LATLINT_CACHE_DIR", raising=False)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    for platform, variable, place in (
        ("linux", "XDG_CACHE_HOME", ".cache"),
        ("darwin", "", "Library/Caches"),
        ("win32", "LOCALAPPDATA", "AppData/Local"),
    ):
        monkeypatch.setattr(sys, "platform", platform)
        for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
            monkeypatch.delenv(name, raising=False)
        assert user_cache() == Cache(home / place / "latlint")
        if variable:
            monkeypatch.setenv(variable, str(other))
            assert user_cache() == Cache(other / "latlint")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/counts/as/unset")
    assert user_cache() == Cache(home / ".cache" / "latlint")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user without a home
    assert user_cache() is None
    monkeypatch.setenv("LATLINT_CACHE_DIR", str(other))
    assert user_cache() == Cache(other)


def cached_run(models: list[str], directory: Path, *flags: str) -> subprocess.Popen[str]:
    command = (
        sys.executable,
        "-X",
        "importtime",
        "-m",
        "latlint",
        "check",
        *models,
        "-t",
        TARGETS[0],
        "--format=json",
        *flags,
    )
    environment = {**os.environ, "LATLINT_CACHE_DIR": str(directory)}
    root = str(Path(latlint.run.cache.__file__).parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_from_the_cache_nothing_large_is_imported(models: list[str], tmp_path: Path) -> None:
    outputs = [cached_run(models, tmp_path / "c").communicate() for _ in range(2)]
    assert outputs[0][0] == outputs[1][0] == cached_run(models, tmp_path / "c", "--no-cache").communicate()[0]
    assert "numpy" in outputs[0][1]
    assert "numpy" not in outputs[1][1]
    assert "latlint.checks.budget_exceeded" not in outputs[1][1]


def test_without_the_cache_nothing_is_kept(models: list[str], tmp_path: Path) -> None:
    cached_run(models, tmp_path / "c", "--no-cache").communicate()
    assert not (tmp_path / "c").exists()


@pytest.mark.slow
def test_processes_that_write_at_the_same_time_agree(models: list[str], tmp_path: Path) -> None:
    runs = [cached_run(models, tmp_path / "c") for _ in range(4)]
    outputs = {run.communicate()[0] for run in runs}
    assert len(outputs) == 1
    assert len(entries(Cache(tmp_path / "c"))) == len(models)  # and no scratch file is left
    assert {cached_run(models, tmp_path / "c").communicate()[0]} == outputs


@pytest.fixture(autouse=True)
def steady(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Sources may be edited while tests run."""
    latlint.run.cache._program()
    yield


def test_a_used_entry_is_younger_than_an_unused_one(cache: Cache) -> None:
    cache.store("1" * 64, Outcome())
    os.utime(cache._path("1" * 64), (1, 1))
    cache.find("1" * 64)
    assert time.time() - cache._path("1" * 64).stat().st_mtime < 1000


def test_only_entries_are_ever_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory of caches may hold what is not latlint's: git's objects of SHA-256 have the names of its keys."""
    monkeypatch.setattr("latlint.run.cache.MAX_BYTES", 1000)
    foreign = [
        tmp_path / name
        for name in ("data", "00/notes", f"00/{'a' * 62}", f"ab/{'0' * 62}", "pip/wheel", "ab/x.latlint")
    ]
    for path in foreign:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(5000))
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (tmp_path / "cd").symlink_to(outside)
    (outside / f"{'0' * 62}.latlint").write_bytes(bytes(5000))
    cache = Cache(tmp_path)
    for number in range(4):
        cache.store(f"{number:064x}", Outcome(error=InputError("m", "LAT001", "x" * 500)))
    (tmp_path / "00" / f".{'0' * 62}.latlint.99.tmp").write_bytes(bytes(5000))
    os.utime(tmp_path / "00" / f".{'0' * 62}.latlint.99.tmp", (0, 0))
    cache.shrink()
    assert all(path.stat().st_size == 5000 for path in foreign)
    assert (outside / f"{'0' * 62}.latlint").exists()
    left = [path.name for path in (tmp_path / "00").iterdir() if path not in foreign]
    assert len(left) == 1, "what was not finished goes as well"


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_the_cache_is_the_users_alone_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        Cache(tmp_path / "home" / ".cache" / "latlint").store("0" * 64, Outcome())
    finally:
        os.umask(before)
    made = list((tmp_path / "home").rglob("*"))
    assert len(made) == 4
    assert {path.stat().st_mode & 0o077 for path in made} == {0}
