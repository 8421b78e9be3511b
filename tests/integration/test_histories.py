"""Lock, relative budgets, baseline and waivers through real git histories."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Project

Model = Callable[[str], Path]
Run = Callable[..., subprocess.CompletedProcess[str]]

FAST, MEDIUM, SLOW = "mobilenet_v3_small.tflite", "shufflenet_v2_05.tflite", "mobilenet_v2.tflite"
CONFIGURATION = 'targets = ["pixel-4/gpu"]\n'
RELATIVE = f'{CONFIGURATION}\n[[budgets]]\nmax-increase = "5%"\n'


@pytest.fixture
def put(project: Project, model: Model) -> Callable[[str, str], Path]:
    """``put("mobilenet_v2.tflite", "models/a.tflite")`` copies a model into the project."""
    return lambda name, path: project.put(model(name), path)


def commit(project: Project) -> None:
    done = project.commit()
    assert done.returncode == 0, done.stdout


def succeeds(done: subprocess.CompletedProcess[str], *said: str) -> str:
    return ends(done, 0, *said)


def fails(done: subprocess.CompletedProcess[str], *said: str) -> str:
    return ends(done, 1, *said)


def ends(done: subprocess.CompletedProcess[str], status: int, *said: str) -> str:
    assert done.returncode == status, done.stdout
    for text in said:
        assert text in done.stdout
    return done.stdout


def locked(project: Project) -> dict[str, str]:
    """The lines of the lock by model."""
    text = (project.path / "latlint.lock").read_text(encoding="utf-8")
    return {line.split()[0]: line for line in text.splitlines() if line and not line.startswith("#")}


def codes(done: subprocess.CompletedProcess[str]) -> list[tuple[str, str, bool]]:
    """The findings about budgets and of the configuration: code, file, whether it is accepted."""
    document: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    found = document["findings"]
    return [(f["code"], f["model"], f["suppressed"]) for f in found if f["code"][:4] in ("LAT1", "LAT9")]


class TestLock:
    @pytest.fixture
    def adopted(self, project: Project, put: Callable[[str, str], Path], latlint: Run) -> Project:
        """A repository with two models and their lock."""
        project.write("latlint.toml", CONFIGURATION)
        put(SLOW, "models/a.tflite")
        put(MEDIUM, "models/b.tflite")
        succeeds(latlint("lock"), "2 added")
        commit(project)
        return project

    def test_first_adoption(self, adopted: Project, latlint: Run) -> None:
        succeeds(latlint("lock", "--check"), "up to date")
        assert list(locked(adopted)) == ["models/a.tflite", "models/b.tflite"]

    def test_an_improvement_and_a_regression_show_as_a_line(
        self, adopted: Project, put: Callable[[str, str], Path], latlint: Run
    ) -> None:
        for name, direction in ((FAST, "−"), (SLOW, "+")):
            put(name, "models/a.tflite")
            fails(latlint("lock", "--check"), "1 stale", direction)
            succeeds(latlint("lock"), "1 changed")
            numbers = adopted.git("diff", "--numstat", "latlint.lock").split()
            assert numbers == ["1", "1", "latlint.lock"]
            commit(adopted)

    def test_branches_that_change_neighbours_merge(
        self, adopted: Project, put: Callable[[str, str], Path], latlint: Run
    ) -> None:
        adopted.git("switch", "--quiet", "--create", "theirs")
        put(FAST, "models/a.tflite")
        succeeds(latlint("lock"))
        commit(adopted)
        adopted.git("switch", "--quiet", "main")
        put(SLOW, "models/b.tflite")
        put(FAST, "models/c.tflite")
        succeeds(latlint("lock"))
        commit(adopted)
        adopted.git("merge", "--quiet", "theirs")
        succeeds(latlint("lock", "--check"), "up to date: 3 lines")

    def test_branches_that_change_the_same_model_conflict_and_lock_mends_it(
        self, adopted: Project, put: Callable[[str, str], Path], latlint: Run
    ) -> None:
        adopted.git("switch", "--quiet", "--create", "theirs")
        put(FAST, "models/a.tflite")
        succeeds(latlint("lock"))
        commit(adopted)
        adopted.git("switch", "--quiet", "main")
        put(MEDIUM, "models/a.tflite")
        succeeds(latlint("lock"))
        commit(adopted)
        assert adopted.run("git", "merge", "theirs").returncode == 1
        ends(latlint("lock", "--check"), 2, "is a conflict marker", "run `latlint lock`", "[LAT903]")
        adopted.git("checkout", "--theirs", "models/a.tflite")
        succeeds(latlint("lock"))
        commit(adopted)
        succeeds(latlint("lock", "--check"))

    def test_a_merge_by_union_leaves_what_lock_can_order_or_refuses(
        self, adopted: Project, put: Callable[[str, str], Path], latlint: Run
    ) -> None:
        adopted.write(".gitattributes", "latlint.lock merge=union\n")
        commit(adopted)
        adopted.git("switch", "--quiet", "--create", "theirs")
        put(FAST, "models/x.tflite")
        succeeds(latlint("lock"))
        commit(adopted)
        adopted.git("switch", "--quiet", "main")
        put(FAST, "models/y.tflite")
        succeeds(latlint("lock"))
        commit(adopted)
        adopted.git("merge", "--quiet", "theirs")
        succeeds(latlint("lock", "--check"), "up to date: 4 lines")
        line = locked(adopted)["models/x.tflite"]
        adopted.write(
            "latlint.lock", (adopted.path / "latlint.lock").read_text() + line.replace("ms ", "1ms ", 1) + "\n"
        )
        ends(latlint("lock", "--check"), 2, "is a second line for the same model and target")

    def test_a_rename_is_a_line_gone_and_a_line_come(self, adopted: Project, latlint: Run) -> None:
        before = locked(adopted)["models/a.tflite"]
        adopted.git("mv", "models/a.tflite", "models/a b.tflite")
        fails(latlint("lock", "--check"), "1 missing, 1 extra")
        succeeds(latlint("lock"))
        assert (adopted.path / "latlint.lock").read_text().count(before.removeprefix("models/a.tflite")) == 1
        commit(adopted)
        succeeds(latlint("lock", "--check"))

    def test_a_deletion_is_a_line_gone(self, adopted: Project, latlint: Run) -> None:
        adopted.git("rm", "--quiet", "models/a.tflite")
        fails(latlint("lock", "--check"), "1 extra", "extra  models/a.tflite")
        succeeds(latlint("lock"), "1 removed")
        assert list(locked(adopted)) == ["models/b.tflite"]
