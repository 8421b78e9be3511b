"""What a gate does not judge it says, in repositories as git makes them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Model = Callable[[str], Path]

BUDGET = '[[budgets]]\nmodel = "models/net.tflite"\ntarget = "pixel-4/gpu"\nmax = "1s"\n'


def git(directory: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always")
    subprocess.run(["git", *identity, *arguments], cwd=directory, check=True, capture_output=True)


@pytest.fixture
def project(repository: Path, model: Model) -> Path:
    """A git repository, the working directory, with a model under ``models/`` and a budget for it."""
    shutil.rmtree(repository / ".git")
    git(repository, "init", "-q")
    (repository / "models").mkdir()
    shutil.copy(model("mobilenet_v2.tflite"), repository / "models" / "net.tflite")
    (repository / "latlint.toml").write_text(BUDGET, "utf-8")
    return repository


def models(result: Any) -> list[str]:
    return [prediction["model"] for prediction in json.loads(result.out)["predictions"]]


class TestBudgets:
    def test_a_renamed_model_leaves_its_budget_behind(self, latlint: Run, project: Path) -> None:
        assert "LAT907" not in latlint("check").out
        (project / "models" / "net.tflite").rename(project / "models" / "detector.tflite")
        result = latlint("check")
        assert "LAT907 unused-budget: the budget for 'models/net.tflite' on 'pixel-4/gpu'" in result.out
        assert result.status == 0
        assert latlint("check", "--fail-on", "warning").status == 1
        assert "LAT907" not in latlint("check", "models").out, "a run about some models has not looked at all"
        assert "LAT907" not in latlint("check", "-t", "pixel-4/cpu-1large").out, "nor one on other targets"

    def test_one_whose_model_cannot_be_read_is_of_use(self, latlint: Run, project: Path) -> None:
        (project / "models" / "net.tflite").write_bytes(b"no model")
        result = latlint("check")
        assert (result.status, "LAT907" in result.out) == (2, False)

    def test_one_for_none_of_the_targets_is_refused(self, latlint: Run, project: Path) -> None:
        (project / "latlint.toml").write_text(f'targets = ["galaxy-s10/gpu"]\n{BUDGET}', "utf-8")
        for command in ("check", "config check"):
            result = latlint(*command.split())
            assert result.status == 2
            assert "the budget for 'pixel-4/gpu' (latlint.toml:2)" in result.err
            assert "is for none of the chosen targets: galaxy-s10/gpu" in result.err
        assert latlint("check", "-t", "galaxy-s10/gpu").status == 0, "the command line chose among them"

    def test_a_hook_without_any_says_that_it_judged_nothing(self, latlint: Run, project: Path) -> None:
        assert latlint("check", "--hook", "--", "models/net.tflite").err == ""
        (project / "latlint.toml").unlink()
        result = latlint("check", "--hook", "--", "models/net.tflite")
        assert (result.status, "there is no budget, so nothing was held against one" in result.err) == (0, True)

    def test_a_base_that_git_does_not_know_is_refused_whatever_the_budgets(self, latlint: Run, project: Path) -> None:
        git(project, "add", ".")
        git(project, "commit", "-qm", "a")
        result = latlint("check", "--base", "nope")
        assert (result.status, "nope" in result.err) == (2, True)


class TestConfigCheck:
    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ('[[budgets]]\nmax = "10ms"\n', "a budget needs a target to hold on"),
            ('models = ["nope/**"]\n', "models names no file here: nope/**"),
            (f'base = "nope"\n{BUDGET.replace("max", "max-increase").replace("1s", "5%")}', "git"),
        ],
    )
    def test_good_means_that_a_run_would_start(self, latlint: Run, project: Path, text: str, complaint: str) -> None:
        (project / "latlint.toml").write_text(text, "utf-8")
        result = latlint("config", "check")
        assert (result.status, result.out) == (2, "")
        assert complaint in result.err
        assert latlint("check").status == 2

    def test_a_file_for_others_to_extend_need_not_be_enough_for_a_run(self, latlint: Run, project: Path) -> None:
        (project / "latlint-base.toml").write_text('[[budgets]]\nmax = "10ms"\n', "utf-8")
        assert latlint("config", "check", "latlint-base.toml").out == "latlint-base.toml: good\n"


class TestIgnored:
    def test_what_git_ignores_is_left_out_and_that_is_said(self, latlint: Run, project: Path) -> None:
        (project / "latlint.toml").unlink()
        (project / "build").mkdir()
        shutil.copy(project / "models" / "net.tflite", project / "build" / "b.tflite")
        shutil.copy(project / "models" / "net.tflite", project / "models" / "kept.tflite")
        (project / ".gitignore").write_text("build/\nkept.tflite\n", "utf-8")
        git(project, "add", "-f", "models/kept.tflite")
        result = latlint("check", "-t", "pixel-4/gpu", "--format", "json")
        assert models(result) == ["models/kept.tflite", "models/net.tflite"], "what git has is not ignored"
        assert "1 model file that git ignores is left out of ., such as build/b.tflite" in result.err
        assert models(latlint("check", "build", "-t", "pixel-4/gpu", "--format", "json")) == ["build/b.tflite"]
        assert models(latlint("check", "build/b.tflite", "-t", "pixel-4/gpu", "--format", "json")) == ["build/b.tflite"]

    def test_a_clone_in_an_ignored_directory_is_ignored(self, latlint: Run, project: Path) -> None:
        clone = project / "build" / "deps" / "zoo"
        clone.mkdir(parents=True)
        git(clone, "init", "-q")
        shutil.copy(project / "models" / "net.tflite", clone / "z.tflite")
        (project / ".gitignore").write_text("build/\n", "utf-8")
        assert models(latlint("check", "--format", "json")) == ["models/net.tflite"]

    def test_exclude_leaves_out_what_is_searched_and_what_a_hook_is_given(self, latlint: Run, project: Path) -> None:
        (project / "third_party").mkdir()
        shutil.copy(project / "models" / "net.tflite", project / "third_party" / "t.tflite")
        (project / "latlint.toml").write_text(f'exclude = ["third_party/**"]\n{BUDGET}', "utf-8")
        assert models(latlint("check", "--format", "json")) == ["models/net.tflite"]
        assert models(latlint("check", ".", "--format", "json")) == ["models/net.tflite"]
        hook = latlint("check", "--hook", "--format", "json", "--", "third_party/t.tflite")
        assert (hook.status, hook.out) == (0, "")
        assert models(latlint("check", "third_party/t.tflite", "--format", "json")) == ["third_party/t.tflite"]


class TestRepositoriesInARepository:
    def test_models_of_submodules_keep_their_place(self, latlint: Run, project: Path, tmp_path_factory: Any) -> None:
        (project / "latlint.toml").unlink()
        for name in ("a", "b"):
            origin = tmp_path_factory.mktemp(name)
            git(origin, "init", "-q")
            shutil.copy(project / "models" / "net.tflite", origin / "net.tflite")
            git(origin, "add", ".")
            git(origin, "commit", "-qm", "a model")
            git(project, "submodule", "add", "-q", str(origin), f"libs/{name}")
        budget = ("-t", "pixel-4/gpu", "-b", "1ms")
        places = {
            line.partition("file=")[2].partition(",")[0]
            for line in latlint("check", *budget, "--format", "github").out.splitlines()
            if "file=" in line
        }
        assert places == {"libs/a/net.tflite", "libs/b/net.tflite", "models/net.tflite"}
        found = json.loads(latlint("check", *budget, "--format", "json").out)["findings"]
        over = [finding["fingerprint"] for finding in found if finding["code"] == "LAT101"]
        assert len({*over}) == 3

    def test_models_of_repositories_side_by_side_have_paths_of_their_own(
        self, latlint: Run, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shutil.rmtree(project / ".git")
        for name in ("a", "b"):
            (project / name).mkdir()
            git(project / name, "init", "-q")
            shutil.copy(project / "models" / "net.tflite", project / name / "net.tflite")
        out = latlint("check", "a", "b", "--no-config", "-t", "pixel-4/gpu", "-b", "1ms", "--format", "github").out
        assert "file=a/net.tflite" in out and "file=b/net.tflite" in out


class TestConfigurationsInOneRepository:
    """``apps/cam`` has a configuration of its own, ``apps/mic`` has none."""

    @pytest.fixture
    def apps(self, project: Path) -> Path:
        for app in ("cam", "mic"):
            (project / "apps" / app / "models").mkdir(parents=True)
            shutil.copy(project / "models" / "net.tflite", project / "apps" / app / "models" / f"{app}.tflite")
        (project / "apps" / "cam" / "latlint.toml").write_text(
            '[[budgets]]\nmodel = "models/**"\ntarget = "galaxy-s10/gpu"\nmax = "1us"\n', "utf-8"
        )
        return project

    @pytest.mark.parametrize("top", [True, False])
    @pytest.mark.parametrize(
        "arguments", [[], ["apps"], ["apps/cam/models/cam.tflite"], ["--hook", "--", "apps/cam/models/cam.tflite"]]
    )
    def test_the_nearest_governs_each_model(self, latlint: Run, apps: Path, top: bool, arguments: list[str]) -> None:
        if not top:
            (apps / "latlint.toml").unlink()
        result = latlint("check", "--format", "json", *arguments)
        assert result.status == 1
        document = json.loads(result.out)
        over = [(each["code"], each["model"], each["target"]) for each in document["findings"] if each["budget_ms"]]
        assert over == [("LAT101", "apps/cam/models/cam.tflite", "galaxy-s10/gpu")]
        targets = {each["model"]: each["target"] for each in document["predictions"]}
        assert targets["apps/cam/models/cam.tflite"] == "galaxy-s10/gpu"
        assert all(target.startswith("pixel-4/") for model, target in targets.items() if "cam" not in model)
        assert "apps/cam/latlint.toml governs 1 model" in result.err

    def test_the_same_is_said_from_wherever_it_starts(
        self, latlint: Run, apps: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from_top = json.loads(latlint("check", "--format", "json", "apps/cam/models/cam.tflite").out)
        monkeypatch.chdir(apps / "apps" / "mic")
        from_aside = json.loads(latlint("check", "--format", "json", "../cam/models/cam.tflite").out)
        assert [each["fingerprint"] for each in from_top["findings"]] == [
            each["fingerprint"] for each in from_aside["findings"]
        ]

    def test_flags_hold_for_all_and_a_named_configuration_governs_all(self, latlint: Run, apps: Path) -> None:
        assert latlint("check", "--budget", "1s", "-t", "pixel-4/gpu").status == 0
        assert latlint("check", "--config", "latlint.toml").status == 0
        assert latlint("check", "--no-config").status == 0
        assert latlint("check", "--exit-zero").status == 0

    def test_each_has_its_own_severity_to_fail_on(self, latlint: Run, apps: Path) -> None:
        cam = apps / "apps" / "cam" / "latlint.toml"
        cam.write_text('fail-on = "note"\n[[budgets]]\ntarget = "galaxy-s10/gpu"\nmax = "1s"\n', "utf-8")
        shutil.rmtree(apps / "apps" / "mic")
        assert latlint("check").status == 1
        cam.write_text(cam.read_text("utf-8").replace('"note"', '"error"'), "utf-8")
        assert latlint("check").status == 0

    def test_what_no_model_uses_is_said_of_each(self, latlint: Run, apps: Path) -> None:
        cam = apps / "apps" / "cam" / "latlint.toml"
        cam.write_text(cam.read_text("utf-8").replace("models/**", "gone/**"), "utf-8")
        shutil.rmtree(apps / "apps" / "mic")
        (apps / "models" / "net.tflite").unlink()
        out = latlint("check").out
        assert "apps/cam/latlint.toml\n  LAT907 unused-budget: the budget for 'gone/**' on 'galaxy-s10/gpu'" in out
        assert "\nlatlint.toml\n  LAT907 unused-budget: the budget for 'models/net.tflite' on 'pixel-4/gpu'" in out

    def test_a_lock_is_about_the_models_that_its_configuration_governs(
        self, latlint: Run, apps: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        result = latlint("lock")
        assert "apps/cam/latlint.toml governs 1 model, left out here" in result.err
        text = (apps / "latlint.lock").read_text("utf-8")
        assert "apps/mic/models/mic.tflite" in text and "cam.tflite" not in text
        monkeypatch.chdir(apps / "apps" / "cam")
        assert latlint("lock").status == 0
        assert "models/cam.tflite galaxy-s10/gpu" in (apps / "apps" / "cam" / "latlint.lock").read_text("utf-8")

    def test_one_that_cannot_be_read_is_an_error(self, latlint: Run, apps: Path) -> None:
        (apps / "apps" / "mic" / "pyproject.toml").write_text("[", "utf-8")
        result = latlint("check")
        assert (result.status, result.err.startswith("latlint: error: apps/mic/pyproject.toml: is not valid TOML")) == (
            2,
            True,
        )

    def test_several_processes_say_the_same(self, latlint: Run, apps: Path) -> None:
        assert latlint("check", "--jobs", "2", "--format", "json").out == latlint("check", "--format", "json").out
