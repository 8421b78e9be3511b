"""Files that a repository names besides its models: what a link or an ``extend`` leads to must neither block nor fill the memory."""

from __future__ import annotations

import os
import subprocess
import sys
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
