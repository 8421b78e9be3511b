"""Run the command line as a user would, in an empty repository."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from latlint.cli import main


@dataclass(frozen=True, slots=True)
class Result:
    """What one run gave back."""

    status: int
    out: str
    err: str


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty repository that is the working directory."""
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "LATLINT_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def latlint(repository: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """``latlint("check", "m.tflite")`` runs the command line in this process."""

    def run(*args: str) -> Result:
        status = main(args)
        return Result(status, *capsys.readouterr())

    return run
