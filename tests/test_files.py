"""Files that a repository names besides its models: what a link or an ``extend`` leads to must neither block nor fill the memory."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from latlint.files import read_bounded

REPOSITORY = Path(__file__).resolve().parent.parent


def test_a_file_is_read_whole_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    assert read_bounded(path, 5) == b"12345"
    with pytest.raises(ValueError, match="f has more than 4 bytes"):
        read_bounded(path, 4)
    with pytest.raises(FileNotFoundError):
        read_bounded(tmp_path / "none", 4)


def test_nothing_but_files_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for name in ("pipe", "zeros", "."):
        with pytest.raises(ValueError, match="is not a file"):
            read_bounded(tmp_path / name, 4)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pipe", "zeros", "deep", "chain"])
@pytest.mark.parametrize("name", ["latlint.toml", "base.toml", "latlint.lock", "pack/card.json", "pack/arrays.bin"])
def test_a_repository_that_sets_a_trap(tmp_path: Path, name: str, kind: str) -> None:
    """One line and exit code 2, or no use of the file at all; never a hang (the timeout) or a traceback."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "pack").mkdir()
    (tmp_path / "m.tflite").write_bytes(b"")
    (tmp_path / "latlint.toml").write_text('extend = "base.toml"\npacks = ["pack"]\n')
    (tmp_path / "base.toml").write_text('targets = ["pixel-4/gpu"]\n')
    (tmp_path / "pack/card.json").write_text("{}")
    (tmp_path / "pack/arrays.bin").write_text("")
    trap = tmp_path / name
    trap.unlink(missing_ok=True)
    match kind:
        case "pipe":
            os.mkfifo(trap)
        case "zeros":
            trap.symlink_to("/dev/zero")
        case "deep":
            trap.write_text("targets = " + "[" * 100_000 if trap.suffix == ".toml" else "[" * 100_000)
        case _:
            trap.write_text('extend = "0.toml"\n')
            for i in range(2000):
                (tmp_path / f"{i}.toml").write_text(f'extend = "{i + 1}.toml"\n')
    for command in (["check", "."], ["lock", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "latlint", *command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 2
        assert "Traceback" not in done.stderr and "internal error" not in done.stderr
        assert all(line.startswith("latlint: ") for line in done.stderr.splitlines())


def shown_in(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "latlint", *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path, model: Callable[[str], Path]) -> Path:
    (tmp_path / "project" / ".git").mkdir(parents=True)
    (tmp_path / "project" / "latlint.toml").write_text('targets = ["pixel-4/gpu"]\n')
    shutil.copy(model("one_gelu.tflite"), tmp_path / "project" / "m.tflite")
    return tmp_path / "project"


@pytest.mark.parametrize("trap", ["pipe", "device", "file", "nowhere", "itself"])
@pytest.mark.parametrize("command", [["lock"], ["check", "m.tflite", "--output", "json=latlint.lock"]])
def test_nothing_is_written_through_a_link(project: Path, command: list[str], trap: str) -> None:
    outside = project.parent / "outside"
    if trap == "pipe":
        os.mkfifo(outside)
    elif trap == "device":
        outside = Path("/dev/full")
    elif trap == "file":
        outside.write_text("mine")
    (project / "latlint.lock").symlink_to("latlint.lock" if trap == "itself" else outside)
    done = shown_in(project, *command)
    assert "internal error" not in done.stderr and "No space" not in done.stderr, done.stderr
    if trap == "file":
        assert outside.read_text() == "mine"
    assert not (project / "latlint.lock").is_symlink() or done.returncode == 2
    assert trap != "nowhere" or not outside.exists()


def test_a_directory_that_is_called_like_devices_is_none(project: Path) -> None:
    """``/devel`` starts with ``/dev``."""
    with tempfile.TemporaryDirectory(prefix="developer-", dir="/dev/shm") as top:
        shutil.copytree(project, Path(top, "project"))
        Path(top, "outside").write_text("mine")
        Path(top, "project", "latlint.lock").symlink_to(Path(top, "outside"))
        assert shown_in(Path(top, "project"), "lock").returncode == 0
        assert Path(top, "outside").read_text() == "mine"
        assert Path(top, "project", "latlint.lock").read_text().startswith("# latlint lock 1")


def test_a_pipe_that_nobody_reads_is_not_waited_for_and_one_that_is_read_is_written(project: Path) -> None:
    os.mkfifo(project / "pipe")
    done = shown_in(project, "check", "m.tflite", "--output", "json=pipe")
    assert done.returncode == 2 and "pipe: cannot be written" in done.stderr
    with subprocess.Popen(["cat", str(project / "pipe")], stdout=subprocess.PIPE, text=True) as reader:
        for _ in range(200):  # until the reader has opened it
            done = shown_in(project, "check", "m.tflite", "--output", "json=pipe")
            if done.returncode == 0:
                break
        assert reader.communicate(timeout=60)[0].startswith("{")
    assert stat.S_ISFIFO((project / "pipe").lstat().st_mode), "it is not replaced"


@pytest.mark.parametrize("name", ["latlint.toml", "pyproject.toml"])
@pytest.mark.parametrize("trap", ["nowhere", "device", "directory", "pipe", "itself", "outside"])
def test_a_configuration_that_cannot_be_read_is_not_as_none(project: Path, name: str, trap: str) -> None:
    (project / "latlint.toml").unlink()
    outside = project.parent / "secret.toml"
    outside.write_text('password = "hunter2"\n[tool.latlint]\npassword = "hunter2"\n')
    file = project / name
    if trap == "directory":
        file.mkdir()
    elif trap == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to({"nowhere": "gone", "device": "/dev/null", "itself": name, "outside": str(outside)}[trap])
    for command in (["check", "m.tflite"], ["config", "check"], ["lock"]):
        done = shown_in(project, *command)
        assert done.returncode == 2, command
        assert done.stderr.startswith(f"latlint: error: {name}: ") and done.stderr.count("\n") == 1
        assert "password" not in done.stdout + done.stderr


@pytest.mark.parametrize("how", ["absolute", "upwards", "link"])
def test_what_is_extended_lies_in_the_repository(project: Path, how: str) -> None:
    """The log of a run would show keys and values of whatever file a pull request names."""
    secret = project.parent / "secret.toml"
    secret.write_text('password = "hunter2"\n')
    (project / "link.toml").symlink_to(secret)
    named = {"absolute": str(secret), "upwards": "../secret.toml", "link": "link.toml"}[how]
    (project / "latlint.toml").write_text(f'extend = "{named}"\n')
    done = shown_in(project, "check", "m.tflite")
    assert done.returncode == 2 and "outside of the repository" in done.stderr
    assert "password" not in done.stderr


@pytest.mark.parametrize("to", ["m.onnx", "gone.onnx"])
def test_a_model_that_is_a_link_to_nowhere_is_told_and_the_others_are_judged(project: Path, to: str) -> None:
    (project / "m.onnx").symlink_to(to)
    done = shown_in(project, "check", "--format", "json")
    assert done.returncode == 2 and "m.onnx: " in done.stderr and "[LAT005]" in done.stderr
    assert [each["model"] for each in json.loads(done.stdout)["predictions"]] == ["m.tflite"]
    assert shown_in(project, "check", "m.tflite", "--output", "json=m.onnx").returncode == 0


def test_a_lock_that_is_a_link_to_nowhere_is_not_up_to_date(project: Path) -> None:
    (project / "latlint.lock").symlink_to("gone")
    assert shown_in(project, "lock", "--check").returncode == 1
