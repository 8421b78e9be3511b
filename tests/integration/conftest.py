"""latlint as it reaches users: a wheel from this checkout, a Git repository that others take hooks from, and no network."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from tests.conftest import last_line

REPOSITORY = Path(__file__).resolve().parent.parent.parent

#: What a clone of the repository brings along for `pip install`.
_SOURCES = (
    *("latlint", "rules", "predictors", "pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "NOTICE"),
    *(".pre-commit-hooks.yaml", "action.yml"),
)


Once = Callable[[str, Callable[[Path], object]], Path]


@dataclass(frozen=True, slots=True)
class Project:
    """A user's Git repository, and the environment that commands run in there."""

    path: Path
    environment: Mapping[str, str]

    def run(self, *command: str, below: str = ".", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command here or in a directory ``below``; its output, both streams in one, is in ``stdout``."""
        return subprocess.run(
            command,
            cwd=self.path / below,
            env={**self.environment, **variables},
            encoding="utf-8",
            errors="surrogateescape",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
        )

    def git(self, *arguments: str) -> str:
        """A Git command that must succeed."""
        done = self.run("git", *arguments)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def commit(self, **variables: str) -> subprocess.CompletedProcess[str]:
        """Stage everything and try to commit it, hooks included."""
        self.git("add", "--all")
        return self.run("git", "commit", "-m", "A change", **variables)

    def put(self, model: Path, name: str) -> Path:
        """Copy a model file into the project."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(model, target))

    def write(self, name: str, text: str) -> Path:
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        return target


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """``once("name", make)``: a directory of that name that ``make`` has filled, in one worker for all that run the tests."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def made(name: str, make: Callable[[Path], object]) -> Path:
        path, ready = shared / name, shared / f"{name}.ready"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not ready.exists():
                shutil.rmtree(path, ignore_errors=True)
                path.mkdir()
                make(path)
                ready.touch()
        return path

    return made


@pytest.fixture(scope="session")
def offline(once: Once) -> dict[str, str]:
    """An environment without the network, without anyone's configuration, and with the wheels of ``wheelhouse``, once asked for."""

    def configured(home: Path) -> None:
        (home / ".gitconfig").write_text("[user]\nname = Ada\nemail = ada@example.com\n[init]\ndefaultBranch = main\n")

    home = once("home", configured)
    nowhere = "http://127.0.0.1:9"
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "PRE_COMMIT_HOME": str(home / "pre-commit"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_NO_COMPILE": "0",  # no bytecode in advance: pip reads the variable of a negative option the other way round
        "PIP_FIND_LINKS": str(home.with_name("wheelhouse")),
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), nowhere),
    }


@pytest.fixture(scope="session")
def wheelhouse(once: Once, lacking: Callable[[str], NoReturn]) -> Path:
    """Wheels of all that latlint needs to be built and to run, in the versions of this environment. The one thing here that may
    need the network."""

    def fetched(directory: Path) -> None:
        project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
        wanted = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
        here = _pip("freeze", "--all").stdout.splitlines()
        pins = directory / "constraints.txt"
        pins.write_text("".join(f"{line}\n" for line in here if "==" in line))
        options = ("--quiet", "--only-binary=:all:", "--dest", str(directory), "--constraint", str(pins))
        done = _pip("download", *options, *wanted)
        if done.returncode:
            lacking(f"cannot fetch the wheels of latlint's dependencies: {last_line(done.stdout)}")

    return once("wheelhouse", fetched)


@pytest.fixture(scope="session")
def published(offline: dict[str, str], wheelhouse: Path, once: Once) -> Path:
    """This checkout as a repository that hooks are taken from, tagged with the version."""
    from latlint import __version__

    def committed(top: Path) -> None:
        for name in _SOURCES:
            source = REPOSITORY / name
            if source.is_dir():
                shutil.copytree(source, top / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, top / name)
        repository = Project(top, offline)
        repository.git("init", "--quiet")
        assert repository.commit().returncode == 0
        repository.git("tag", f"v{__version__}")

    return once("published", committed)


@pytest.fixture
def project(offline: dict[str, str], tmp_path: Path) -> Project:
    """A user's repository with nothing in it."""
    project = Project(tmp_path, offline)
    project.git("init", "--quiet")
    return project


@pytest.fixture
def latlint(project: Project) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``latlint("check")`` runs this checkout's command line in the project, or in a directory ``below`` its top."""

    def run(*arguments: str, below: str = ".") -> subprocess.CompletedProcess[str]:
        return project.run(sys.executable, "-m", "latlint", *arguments, below=below, PYTHONPATH=str(REPOSITORY))

    return run


def _pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    command: Sequence[str] = (sys.executable, "-m", "pip", *arguments)
    return subprocess.run(
        command, encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False
    )
