"""Run the command line as a user would, in an empty repository."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from latlint.cli import _latlint, main
from latlint.cli._options import ReportFormat


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


#: Commands whose formats show nothing of a model.
_WITHOUT_MODELS = {"rules", "targets", "config", "pack"}


def formats_of_commands() -> list[tuple[str, str]]:
    """Every command that shows models, with every one of its formats, as the command line itself lists them."""
    found = []
    with click.Context(_latlint) as context:
        for name in _latlint.list_commands(context):
            command = _latlint.get_command(context, name)
            assert command is not None
            for parameter in command.params:
                if parameter.name == "format_name" and name not in _WITHOUT_MODELS:
                    assert isinstance(parameter.type, click.Choice | ReportFormat)
                    found += [(name, str(choice)) for choice in parameter.type.choices]
    return found
