"""Lock, relative budgets, baseline and waivers through real git histories."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Project

pytestmark = pytest.mark.slow

Model = Callable[[str], Path]
Run = Callable[..., subprocess.CompletedProcess[str]]

#: Each takes about twice as long as the one before.
FAST, MEDIUM, SLOW = "mobilenet_v2_025_f16.tflite", "mobilenet_v3_small.tflite", "mobilenet_v2.tflite"
CONFIGURATION = 'targets = ["pixel-4/gpu"]\n'
RELATIVE = f'{CONFIGURATION}\n[[budgets]]\nmax-increase = "5%"\n'


@pytest.fixture
def put(project: Project, model: Model) -> Callable[[str, str], Path]:
    """``put("mobilenet_v2.tflite", "models/a.tflite")`` copies a model into the project."""
    return lambda name, path: project.put(model(name), path)


@pytest.fixture
def diverge(project: Project, put: Callable[[str, str], Path], latlint: Run) -> Callable[..., None]:
    """``diverge("lock", {"models/a.tflite": FAST}, ours)``: another branch and main, each with its models and `latlint lock` after them."""

    def run(command: str, theirs: dict[str, str], ours: dict[str, str]) -> None:
        project.git("branch", "theirs")
        for branch, models in (("theirs", theirs), ("main", ours)):
            project.git("switch", "--quiet", branch)
            for path, name in models.items():
                put(name, path)
            succeeds(latlint(command))
            commit(project)

    return run


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
        self, adopted: Project, diverge: Callable[..., None], latlint: Run
    ) -> None:
        diverge("lock", {"models/a.tflite": FAST}, {"models/b.tflite": SLOW, "models/c.tflite": FAST})
        adopted.git("merge", "--quiet", "theirs")
        succeeds(latlint("lock", "--check"), "up to date: 3 lines")

    def test_branches_that_change_the_same_model_conflict_and_lock_mends_it(
        self, adopted: Project, diverge: Callable[..., None], latlint: Run
    ) -> None:
        diverge("lock", {"models/a.tflite": FAST}, {"models/a.tflite": MEDIUM})
        assert adopted.run("git", "merge", "theirs").returncode == 1
        ends(latlint("lock", "--check"), 2, "is a conflict marker", "run `latlint lock`", "[LAT903]")
        adopted.git("checkout", "--theirs", "models/a.tflite")
        succeeds(latlint("lock"))
        commit(adopted)
        succeeds(latlint("lock", "--check"))

    def test_a_merge_by_union_leaves_what_lock_can_order_or_refuses(
        self, adopted: Project, diverge: Callable[..., None], latlint: Run
    ) -> None:
        adopted.write(".gitattributes", "latlint.lock merge=union\n")
        commit(adopted)
        diverge("lock", {"models/x.tflite": FAST}, {"models/y.tflite": FAST})
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


class TestRelativeBudgets:
    @pytest.fixture
    def adopted(self, project: Project, put: Callable[[str, str], Path], latlint: Run) -> Project:
        """A repository where a change may cost 5 %, with a model and its lock on ``main``, and a branch for the change."""
        project.write("latlint.toml", f'base = "main"\n{RELATIVE}')
        put(MEDIUM, "models/a.tflite")
        succeeds(latlint("lock"))
        commit(project)
        project.git("switch", "--quiet", "--create", "change")
        return project

    def test_first_adoption(self, project: Project, put: Callable[[str, str], Path], latlint: Run) -> None:
        """Nothing to compare with is said, not passed over; before the first commit, too."""
        project.write("latlint.toml", RELATIVE)
        put(MEDIUM, "models/a.tflite")
        succeeds(latlint("check"), "LAT104 no-reference", "run `latlint lock`", "1 without a budget")
        commit(project)
        put(FAST, "models/b.tflite")
        out = succeeds(latlint("check"), "LAT104 no-reference", "it is new: main at ", " has no such model")
        assert out.count("LAT104") == 1, "the committed model is read from git"
        assert "1 within budget, 1 without a budget" in out

    def test_an_improvement_passes_and_a_regression_fails(
        self, adopted: Project, put: Callable[[str, str], Path], latlint: Run
    ) -> None:
        put(FAST, "models/a.tflite")
        succeeds(latlint("lock"))
        commit(adopted)
        succeeds(latlint("check"), "1 within budget")
        put(SLOW, "models/a.tflite")
        succeeds(latlint("lock"))
        commit(adopted)
        fails(latlint("check"), "LAT103 budget-increase: ", " ms → ", " since main at ", "allowed: 5%")
        succeeds(latlint("check", "--base", "HEAD"), "1 within budget")

    def test_what_main_did_meanwhile_is_not_the_changes_doing(
        self, adopted: Project, put: Callable[[str, str], Path], latlint: Run
    ) -> None:
        """main became faster since: the change is compared with where it left main."""
        adopted.git("switch", "--quiet", "main")
        put(FAST, "models/a.tflite")
        succeeds(latlint("lock"))
        commit(adopted)
        adopted.git("switch", "--quiet", "change")
        adopted.write("notes.txt", "no model")
        commit(adopted)
        succeeds(latlint("check"), "1 within budget")
        adopted.git("merge", "--quiet", "main", "-m", "Merge")
        put(MEDIUM, "models/a.tflite")
        fails(latlint("check"), "LAT103")

    def test_a_model_that_was_moved_is_compared_with_what_it_was(
        self, adopted: Project, put: Callable[[str, str], Path], latlint: Run
    ) -> None:
        adopted.git("mv", "models/a.tflite", "models/größe b.tflite")
        out = succeeds(latlint("check"), "1 within budget")
        assert "LAT104" not in out
        adopted.git("mv", "models/größe b.tflite", "elsewhere.tflite")
        (adopted.path / "nets").mkdir()
        adopted.git("mv", "elsewhere.tflite", "nets/a.tflite")
        put(SLOW, "nets/a.tflite")
        fails(latlint("check"), "nets/a.tflite", "LAT103 budget-increase")

    def test_a_deleted_model_is_nobodys_concern(
        self, adopted: Project, put: Callable[[str, str], Path], latlint: Run
    ) -> None:
        put(FAST, "models/b.tflite")
        adopted.git("rm", "--quiet", "models/a.tflite")
        assert "models/a.tflite" not in succeeds(latlint("check"))

    def test_another_predictor_is_not_blamed_on_the_model(
        self, adopted: Project, put: Callable[[str, str], Path], latlint: Run
    ) -> None:
        """The lock of main was made by another latlint, which took the models to be ten times as fast."""
        adopted.git("switch", "--quiet", "main")
        line = locked(adopted)["models/a.tflite"]
        latency = line.split()[2]
        older = line.replace(latency, f"{float(latency[:-2]) / 10:.4f}ms").replace("pack=0.", "pack=9.")
        adopted.write("latlint.lock", f"# latlint lock 1\n\n{older}\n")
        commit(adopted)
        succeeds(latlint("check"), "1 within budget")
        put(SLOW, "models/a.tflite")
        fails(latlint("check"), "LAT103 budget-increase", f"{float(latency[:-2]):.2f} ms → ")

    def test_a_lock_that_is_all_there_is_must_be_of_the_same_predictor(
        self, adopted: Project, put: Callable[[str, str], Path], model: Model, latlint: Run
    ) -> None:
        """Git has the model only as a pointer to what was never fetched."""
        adopted.git("switch", "--quiet", "main")
        digest = hashlib.sha256(model(MEDIUM).read_bytes()).hexdigest()
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 99999\n"
        adopted.write("models/a.tflite", pointer)
        commit(adopted)
        put(SLOW, "models/a.tflite")
        fails(latlint("check"), "LAT103")
        adopted.write("latlint.lock", (adopted.path / "latlint.lock").read_text().replace("pack=0.", "pack=9."))
        commit(adopted)
        adopted.write("models/a.tflite", pointer)
        commit(adopted)
        put(SLOW, "models/a.tflite")
        fails(latlint("check"), "LAT106 unjudged-latency", "it cannot be read: a Git LFS pointer in git")

    def test_the_same_model_is_not_blamed_for_other_shapes_nor_one_from_elsewhere_for_having_no_past(
        self, adopted: Project, model: Model, latlint: Run
    ) -> None:
        line = locked(adopted)["models/a.tflite"]
        adopted.git("switch", "--quiet", "main")
        adopted.write("latlint.lock", f"# latlint lock 1\n\n{line.replace(line.split()[2], '1.000ms')}\n")
        commit(adopted)
        succeeds(latlint("check"), "1 within budget")
        fails(latlint("check", str(model(SLOW))), "LAT106 unjudged-latency", "is not in the git repository")

    def test_a_base_that_is_not_there_is_an_error(self, adopted: Project, latlint: Run) -> None:
        ends(latlint("check", "--base", "origin/main"), 2, "unknown git revision 'origin/main'")

    def test_without_git_the_lock_as_it_is_counts(
        self, project: Project, put: Callable[[str, str], Path], latlint: Run
    ) -> None:
        shutil.rmtree(project.path / ".git")
        project.write("latlint.toml", RELATIVE)
        put(MEDIUM, "a.tflite")
        succeeds(latlint("check"), "LAT104", "it is new: there is no commit yet, and latlint.lock has no line for it")
        succeeds(latlint("lock"))
        succeeds(latlint("check"), "1 within budget")
        put(SLOW, "a.tflite")
        fails(latlint("check"), "LAT103", "since the current latlint.lock")


class TestBaselineAndWaivers:
    @pytest.fixture
    def adopted(self, project: Project, put: Callable[[str, str], Path], latlint: Run) -> Project:
        """A repository that started with two models over their budget."""
        project.write("latlint.toml", f'{CONFIGURATION}select = ["LAT1", "LAT9"]\n\n[[budgets]]\nmax = "4ms"\n')
        put(SLOW, "models/a.tflite")
        put(SLOW, "models/c.tflite")
        fails(latlint("check"), "2 over budget")
        succeeds(latlint("baseline"), "2 findings accepted, 2 new")
        commit(project)
        return project

    def test_first_adoption(self, adopted: Project, latlint: Run) -> None:
        done = latlint("check", "--format", "json")
        assert done.returncode == 0
        assert codes(done) == [("LAT101", f"models/{name}.tflite", True) for name in "ac"]

    def test_an_improvement_is_noted_and_a_regression_counts(
        self, adopted: Project, put: Callable[[str, str], Path], latlint: Run
    ) -> None:
        put(FAST, "models/a.tflite")
        succeeds(latlint("check"), "LAT906 unused-baseline-entry", "run `latlint baseline --prune`")
        succeeds(latlint("baseline", "--prune"), "1 finding accepted, 0 new, 1 removed")
        commit(adopted)
        put(SLOW, "models/a.tflite")
        fails(latlint("check"), "LAT101", "1 over budget, 1 over budget and accepted")

    def test_branches_that_accept_findings_of_different_models_merge(
        self, adopted: Project, diverge: Callable[..., None], latlint: Run
    ) -> None:
        diverge("baseline", {"models/b.tflite": SLOW}, {"models/d.tflite": SLOW})
        adopted.git("merge", "--quiet", "theirs", "-m", "Merge")
        succeeds(latlint("check"), "4 over budget and accepted")

    def test_a_rename_and_a_deletion_are_seen(self, adopted: Project, latlint: Run) -> None:
        adopted.git("mv", "models/a.tflite", "models/z.tflite")
        fails(latlint("check"), "LAT906", "LAT101 of 'models/a.tflite'", "1 over budget, 1 over budget and accepted")
        succeeds(latlint("baseline"), "2 findings accepted, 1 new, 1 removed")
        adopted.git("rm", "--quiet", "--force", "models/z.tflite")
        succeeds(latlint("check"), "LAT101 of 'models/z.tflite' on 'pixel-4/gpu' is found no more")

    def test_a_waiver_lives_as_long_as_it_is_needed(
        self, adopted: Project, put: Callable[[str, str], Path], latlint: Run
    ) -> None:
        put(SLOW, "models/b.tflite")
        fails(latlint("check"))
        settings = (adopted.path / "latlint.toml").read_text()
        waiver = '[[waivers]]\ncode = "LAT101"\nmodel = "models/b.tflite"\nreason = "r"\nexpires = 2027-03-01\n'
        adopted.write("latlint.toml", f"{settings}\n{waiver}")
        succeeds(latlint("check", "--today", "2027-03-01"), "3 over budget and accepted")
        commit(adopted)
        fails(latlint("check", "--today", "2027-03-02"), "LAT905 expired-waiver", "1 over budget")
        adopted.git("mv", "models/b.tflite", "models/e.tflite")
        fails(latlint("check", "--today", "2027-03-01"), "LAT904 unused-waiver", "models/e.tflite", "1 over budget")
        adopted.git("mv", "models/e.tflite", "models/b.tflite")
        put(FAST, "models/b.tflite")
        succeeds(latlint("check", "--today", "2027-03-01"), "LAT904 unused-waiver")
        adopted.git("rm", "--quiet", "--force", "models/b.tflite")
        succeeds(latlint("check", "--today", "2027-03-01"), "LAT904 unused-waiver")
