"""The GitHub Action's own shell steps, run as a runner would run them, with the inputs of a workflow."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import yaml

if TYPE_CHECKING:
    from tests.integration.conftest import Project

pytestmark = pytest.mark.slow

Model = Callable[[str], Path]
ACTION: dict[str, Any] = yaml.safe_load(
    (Path(__file__).resolve().parent.parent.parent / "action.yml").read_text(encoding="utf-8")
)
STEPS: dict[str, dict[str, Any]] = {step["name"]: step for step in ACTION["runs"]["steps"]}
DEFAULTS = {name: str(declared.get("default", "")) for name, declared in ACTION["inputs"].items()}


class Runner:
    """Runs the action's shell steps in a project: expressions are looked up, files such as ``GITHUB_OUTPUT`` are kept."""

    def __init__(self, project: Project, temporary: Path, action_path: Path) -> None:
        self.project, self.temporary = project, temporary
        self.variables = {
            "RUNNER_TEMP": str(temporary),
            "GITHUB_ACTION_PATH": str(action_path),
            "GITHUB_REPOSITORY": "someone/models",
            "GITHUB_STEP_SUMMARY": str(project.path.parent / f"{project.path.name}-summary.md"),
        }
        self.known: dict[str, str] = {"github.event.pull_request.number": "7", "github.token": "a-token"}

    def run(self, step: str, **inputs: str) -> subprocess.CompletedProcess[str]:
        """One step, with the workflow's ``inputs`` (``_`` for ``-``)."""
        given = {f"inputs.{name}": value for name, value in DEFAULTS.items()}
        given |= {f"inputs.{name.replace('_', '-')}": value for name, value in inputs.items()}
        declared = STEPS[step]
        environment = {name: self._value(text, given) for name, text in declared.get("env", {}).items()}
        output = self.temporary / "output.txt"
        output.write_text("")
        away = declared.get("working-directory") == "${{ runner.temp }}"
        done = self.project.run(  # as a runner does for `shell: bash`
            *("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", declared["run"]),
            below=os.path.relpath(self.temporary, self.project.path) if away else ".",
            **self.variables,
            **environment,
            GITHUB_OUTPUT=str(output),
        )
        for line in output.read_text().splitlines():
            name, _, value = line.partition("=")
            self.known[f"steps.{declared['id']}.outputs.{name}"] = value
        return done

    def output(self, step: str, name: str) -> str:
        return self.known.get(f"steps.{STEPS[step]['id']}.outputs.{name}", "")

    def summary(self) -> str:
        return Path(self.variables["GITHUB_STEP_SUMMARY"]).read_text(encoding="utf-8")

    def _value(self, text: str, given: dict[str, str]) -> str:
        return re.sub(r"\$\{\{ (\S+) \}\}", lambda found: {**self.known, **given}.get(found[1], ""), text)


@pytest.fixture(scope="module")
def installed(offline: dict[str, str], published: Path, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """latlint as the action's install step leaves it."""
    from types import SimpleNamespace

    place = tmp_path_factory.mktemp("runner")
    run = lambda *command, below, **variables: subprocess.run(  # noqa: E731
        command,
        cwd=place / below,
        env={**offline, **variables},
        encoding="utf-8",
        capture_output=True,
        timeout=300,
        check=False,
    )
    runner = Runner(SimpleNamespace(path=place, run=run), place, published)  # type: ignore[arg-type]
    done = runner.run("Install latlint")
    assert done.returncode == 0, done.stderr
    return runner


@pytest.fixture
def runner(installed: Runner, project: Project, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """A runner in a fresh repository, with latlint installed."""
    runner = Runner(project, tmp_path_factory.mktemp("temporary"), Path(installed.variables["GITHUB_ACTION_PATH"]))
    runner.known |= installed.known
    return runner


def test_inputs_never_become_part_of_a_script() -> None:
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
        assert ("run" in step) == (step.get("shell") == "bash")


def test_scripts_pass_shellcheck(tmp_path: Path, lacking: Callable[[str], NoReturn]) -> None:
    shellcheck = shutil.which(
        "shellcheck", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ) or lacking("needs shellcheck")
    for number, step in enumerate(ACTION["runs"]["steps"]):
        if "run" in step:
            script = tmp_path / f"{number}.sh"
            script.write_text(f"#!/bin/bash\nset -eo pipefail\n{step['run']}")
            done = subprocess.run([shellcheck, script], capture_output=True, encoding="utf-8", check=False)
            assert done.returncode == 0, done.stdout


@pytest.mark.long
def test_a_model_over_budget_fails_the_job_and_leaves_its_reports(runner: Runner, model: Model) -> None:
    runner.project.put(model("mobilenet_v2.tflite"), "nets/a b.tflite")
    done = runner.run("Check models", targets="pixel-4/gpu\ngalaxy-s10/gpu\n", budgets="pixel-4/gpu=1us\n*/gpu=10s")
    assert done.returncode == 0, done.stdout  # the reports come first, then the verdict
    assert "::error" in done.stdout
    assert "a b.tflite" in done.stdout
    assert runner.output("Check models", "exit-code") == "1"
    assert '"version": "2.1.0"' in Path(runner.output("Check models", "sarif")).read_text(encoding="utf-8")
    assert runner.summary() == Path(runner.output("Check models", "markdown")).read_text(encoding="utf-8")
    assert "a b.tflite" in runner.summary()
    pages = Path(runner.output("Check models", "pages"))
    assert [page.name for page in pages.iterdir()] == ["report.html"], "there is no other state to compare with"
    assert runner.run("Verdict").returncode == 1


def test_a_model_within_its_budget_passes(runner: Runner, model: Model) -> None:
    runner.project.put(model("mobilenet_v2.tflite"), "net.tflite")
    runner.project.write("other.toml", '[[budgets]]\ntarget = "pixel-4/gpu"\nmax = "10s"\n')
    assert runner.run("Check models", config="other.toml").returncode == 0
    assert "pixel-4/gpu" in runner.summary()
    assert runner.run("Verdict").returncode == 0
    runner.project.write("other.toml", '[[budgets]]\ntarget = "pixel-4/gpu"\nwarn = "1us"\n')
    assert runner.run("Check models", config="other.toml", fail_on="warning").returncode == 0
    assert runner.run("Verdict").returncode == 1


def test_a_change_is_held_against_a_base_and_the_lock(runner: Runner, model: Model) -> None:
    """Accepted findings are in the job's summary and not in what goes to code scanning."""
    project = runner.project
    project.write("latlint.toml", 'targets = ["pixel-4/gpu"]\nselect = ["LAT1"]\n[[budgets]]\nmax-increase = "5%"\n')
    project.put(model("mobilenet_v3_small.tflite"), "net.tflite")
    assert project.commit().returncode == 0
    project.git("switch", "--quiet", "--create", "change")
    project.put(model("mobilenet_v2.tflite"), "net.tflite")
    assert project.commit().returncode == 0
    assert runner.run("Check models").returncode == 0
    assert runner.output("Check models", "exit-code") == "1", "the default branch is the base"
    done = runner.run("Check models", base="main", check_lock="true")
    assert "LAT103 budget-increase" in done.stdout
    assert "latlint.lock is not up to date: 1 missing" in done.stdout
    assert runner.output("Check models", "exit-code") == "1"
    waiver = '[[waivers]]\ncode = "LAT103"\nreason = "it was worth it"\n'
    project.write("latlint.toml", (project.path / "latlint.toml").read_text() + waiver)
    runner.run("Check models", base="main", artifact="pages")
    assert runner.output("Check models", "exit-code") == "0"
    pages = Path(runner.output("Check models", "pages"))
    assert "<title>net.tflite – latlint</title>" in (pages / "report.html").read_text(encoding="utf-8")
    assert "<title>What changed since main – latlint</title>" in (pages / "difference.html").read_text(encoding="utf-8")
    assert "1 over budget and accepted" in runner.summary()
    document = json.loads(Path(runner.output("Check models", "sarif")).read_text())
    assert [result for run in document["runs"] for result in run["results"]] == []


def test_a_wrong_input_fails_the_job_without_a_report_of_an_earlier_run(runner: Runner, model: Model) -> None:
    runner.project.put(model("mobilenet_v2.tflite"), "net.tflite")
    (runner.temporary / "latlint.sarif").write_text("of an earlier run")
    done = runner.run("Check models", targets="pixle-4/gpu")
    assert "did you mean" in done.stdout
    assert runner.output("Check models", "sarif") == ""
    assert runner.run("Verdict").returncode == 2


def test_hostile_inputs_are_only_names(runner: Runner, model: Model) -> None:
    name = "$(touch pwned);`touch pwned`\" 'x.tflite"
    runner.project.put(model("mobilenet_v2.tflite"), name)
    runner.project.put(model("mobilenet_v2.tflite"), "--exit-zero.tflite")
    runner.run(
        "Check models", paths=f"{name}\n--exit-zero.tflite\n", targets="pixel-4/gpu", budgets="$(touch pwned)=1ms"
    )
    assert runner.output("Check models", "exit-code") == "2"
    runner.run("Check models", paths=f"{name}\n--exit-zero.tflite\n", targets="pixel-4/gpu", budgets="1us")
    assert runner.output("Check models", "exit-code") == "1"
    assert "2 models" in runner.summary()
    assert not (runner.project.path / "pwned").exists()


def test_nothing_of_the_checkout_is_run(runner: Runner, tmp_path: Path) -> None:
    """``python -m venv`` imports the ``venv.py`` of the working directory."""
    for name in ("venv", "pip", "ensurepip", "site", "sitecustomize", "encodings", "subprocess", "latlint", "onnx"):
        (runner.project.path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write('{name}')\n")
    runner.run("Install latlint", version="latlint-that-is-not-there")
    runner.run("Check models")
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()


def test_only_its_own_comment_is_updated(runner: Runner, lacking: Callable[[str], NoReturn]) -> None:
    """Against a ``gh`` that answers as GitHub does, and a real jq."""
    jq = shutil.which("jq") or lacking("needs jq")
    tools = runner.temporary / "tools"
    tools.mkdir()
    comments = [
        {"id": 1, "user": {"login": "stranger"}, "body": "<!-- latlint -->\nmine to edit"},
        {"id": 2, "user": {"login": "github-actions[bot]"}, "body": "of another workflow"},
        {"id": 3, "user": {"login": "github-actions[bot]"}, "body": "<!-- latlint -->\nof an earlier run"},
    ]
    (runner.temporary / "comments.json").write_text(json.dumps(comments))
    asked = runner.temporary / "asked.txt"
    (tools / "gh").write_text(
        f"""#!/bin/sh
        echo "$*" >> '{asked}'
        case "$*" in
        *graphql*) echo 'github-actions[bot]';;
        *--paginate*) exec {jq} -r "$5" '{runner.temporary}/comments.json';;
        esac
        """
    )
    (tools / "gh").chmod(0o755)
    runner.variables["PATH"] = os.pathsep.join([str(tools), runner.project.environment["PATH"]])
    (runner.temporary / "latlint.md").write_text("a report")
    runner.known["steps.check.outputs.markdown"] = str(runner.temporary / "latlint.md")
    done = runner.run("Comment on the pull request", token="a-token")
    assert done.returncode == 0, done.stdout
    assert "PATCH repos/someone/models/issues/comments/3 " in asked.read_text()


@pytest.mark.parametrize(("earlier", "method"), [("", "POST"), ("11\n12", "PATCH")])
def test_a_pull_request_has_one_comment(runner: Runner, tmp_path: Path, earlier: str, method: str) -> None:
    """Against a ``gh`` that writes down what it is asked."""
    tools = runner.temporary / "tools"
    tools.mkdir()
    asked = runner.temporary / "asked.txt"
    (tools / "gh").write_text(
        f"#!/bin/sh\necho \"$GH_TOKEN $*\" >> '{asked}'\ncase \"$*\" in *--paginate*) printf '{earlier}';; esac\n"
    )
    (tools / "gh").chmod(0o755)
    runner.variables["PATH"] = os.pathsep.join([str(tools), runner.project.environment["PATH"]])
    report = runner.temporary / "latlint.md"
    report.write_text("| a line of a table that is longer than comments may be |\n" * 2000)
    runner.known["steps.check.outputs.markdown"] = str(report)
    done = runner.run("Comment on the pull request", token="a-token")
    assert done.returncode == 0, done.stdout
    place = "repos/someone/models/issues/" + ("comments/11" if earlier else "7/comments")
    body = runner.temporary / "latlint-comment.md"
    assert f"a-token api --silent --method {method} {place} --field body=@{body}" in asked.read_text()
    text = body.read_text()
    assert text.startswith("<!-- latlint -->\n| a line")
    assert len(text) < 65536
    assert text.endswith("be |\n\nThe report is longer than a comment may be; the job summary has more of it.\n")
