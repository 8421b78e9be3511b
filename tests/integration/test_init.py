"""The first five minutes: `latlint init` in a fresh repository, what it writes, and that the rest takes it."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from latlint import __version__
from latlint.api import predict
from latlint.cli.init import limit_ms

if TYPE_CHECKING:
    from tests.integration.conftest import Project

Model = Callable[[str], Path]
Run = Callable[..., subprocess.CompletedProcess[str]]


def configuration(project: Project) -> dict[str, object]:
    return tomllib.loads((project.path / "latlint.toml").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_budgets_are_todays_predictions_and_a_little(project: Project, latlint: Run, model: Model) -> None:
    net = project.put(model("mobilenet_v2.tflite"), "nets/net.tflite")
    done = latlint("init", "--target", "pixel-4/gpu", "--headroom", "25%")
    assert done.returncode == 0, done.stdout
    today = predict(net, "pixel-4/gpu")[0].latency_ms
    written = configuration(project)
    assert written["targets"] == ["pixel-4/gpu"]
    [budget] = written["budgets"]  # type: ignore[misc]
    assert (budget["model"], budget["target"]) == ("nets/*.tflite", "pixel-4/gpu")
    assert today * 1.25 <= float(budget["max"].removesuffix(" ms")) <= today * 1.25 * 1.01
    checked = latlint("check")
    assert checked.returncode == 0
    assert "1 model on 1 target: 1 within budget" in checked.stdout
    net.rename(project.path / "nets" / "another.tflite")
    assert "1 within budget" in latlint("check").stdout, "under whatever name"
    project.put(model("mobilenet_v2.onnx"), "nets/new.onnx")
    checked = latlint("check")
    assert checked.returncode == 1, "a new model has no budget yet"
    assert "LAT105 no-budget" in checked.stdout
    assert latlint("budget", "add", "nets/new.onnx").returncode == 0
    assert latlint("check").returncode == 0


def test_the_working_directory_as_a_path(project: Project, latlint: Run, model: Model) -> None:
    project.put(model("one_gelu.tflite"), "net.tflite")
    assert latlint("init", ".", "--target", "pixel-4/cpu-1large").returncode == 0
    assert "1 within budget" in latlint("check").stdout


def test_editors_find_the_schema(project: Project, latlint: Run, model: Model) -> None:
    """In the repository that latlint comes from, where that is known; elsewhere the file says how to get it."""
    project.put(model("mobilenet_v2.tflite"), "net.tflite")
    named = latlint("init", "--source", "https://github.com/me/its.fork.git")
    assert (named.returncode, "No --target was named, so these are for pixel-4/gpu and" in named.stdout) == (0, True)
    first = (project.path / "latlint.toml").read_text(encoding="utf-8").splitlines()[0]
    start, _, path = first.partition(f"/v{__version__}/")
    assert start == "#:schema https://raw.githubusercontent.com/me/its.fork"
    assert (Path(__file__).resolve().parents[2] / path).read_text(encoding="utf-8").startswith("{")
    assert latlint("init", "--force", "--target", "pixel-4/gpu").returncode == 0
    first = (project.path / "latlint.toml").read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# For an editor: `latlint config schema >")
    assert latlint("config", "check").stdout == "latlint.toml: good\n"


@pytest.mark.parametrize(
    ("today", "share", "limit"),
    [(5.882, 10, 6.48), (10.0, 10, 11.0), (0.1, 0, 0.1), (123.4, 10, 136.0), (1e-9, 10, 1e-3), (999.5, 0, 1000.0)],
)
def test_limits_are_rounded_up_to_three_digits(today: float, share: float, limit: float) -> None:
    assert limit_ms(today, share) == pytest.approx(limit, rel=1e-12)


def test_names_that_globs_and_toml_and_text_cannot_hold(project: Project, latlint: Run, model: Model) -> None:
    names = [
        "top.tflite",
        "in/top.tflite",
        "in/[a]*?.tflite",
        'in/"q"\\.tflite',
        "-h.tflite",
        "in/\x7f\n.tflite",
        "in/\udcff.tflite",
    ]
    for name in names:
        project.put(model("mobilenet_v2.tflite"), name)
    assert latlint("init", "--target", "pixel-4/gpu").returncode == 0
    checked = latlint("check")
    assert (checked.returncode, f"{len(names)} within budget" in checked.stdout) == (0, True), checked.stdout
    budgets = configuration(project)["budgets"]
    assert len(budgets) == len(names)  # type: ignore[arg-type]
    assert "./top*.tflite" in [budget["model"] for budget in budgets]  # type: ignore[attr-defined]
    project.write("latlint.toml", 'targets = ["pixel-4/gpu"]\n[[budgets]]\nmodel = "./top.tflite"\nmax = "1us"\n')
    assert "7 models on 1 target: 1 over budget, 6 without a budget" in latlint("check").stdout


def test_budgets_as_if_quantised_are_held_so(project: Project, latlint: Run, model: Model) -> None:
    project.put(model("mobilenet_v2.tflite"), "net.tflite")
    assert latlint("init", "--target", "pixel-4/cpu-1large", "--precision", "w8a8").returncode == 0
    assert configuration(project)["precision"] == "w8a8"
    assert "1 within budget" in latlint("check").stdout
    assert "1 over budget" in latlint("check", "--precision", "float16").stdout


def test_nothing_is_overwritten(project: Project, latlint: Run, model: Model) -> None:
    project.put(model("mobilenet_v2.tflite"), "net.tflite")
    mine = project.write("latlint.toml", "targets = ['iphone-xs/gpu']\n")
    hooks = project.write(".pre-commit-config.yaml", "repos: []\n")
    assert "already" in (refused := latlint("init")).stdout
    assert refused.returncode == 2
    assert latlint("init", "--write-hook", "--source", "https://example.com/latlint").returncode == 2
    assert (mine.read_text(), hooks.read_text()) == ("targets = ['iphone-xs/gpu']\n", "repos: []\n")
    forced = latlint("init", "--write-hook", "--source", "https://example.com/latlint", "--force")
    assert forced.returncode == 0, forced.stdout
    assert "pixel-4/gpu" in mine.read_text()
    assert "id: latlint" in hooks.read_text()


def test_all_or_nothing(project: Project, latlint: Run, model: Model) -> None:
    """A hook that cannot be written leaves no configuration behind."""
    project.put(model("mobilenet_v2.tflite"), "net.tflite")
    project.write(".pre-commit-config.yaml", "repos: []\n")
    assert latlint("init", "--write-hook", "--source", "https://example.com/latlint").returncode == 2
    assert latlint("init", "--headroom", "much").returncode == 2
    assert latlint("init", "--target", "nokia/gpu").returncode == 2
    assert not (project.path / "latlint.toml").exists()


def test_the_configuration_of_pyproject_counts(project: Project, latlint: Run, model: Model) -> None:
    project.put(model("mobilenet_v2.tflite"), "net.tflite")
    project.write("pyproject.toml", "[tool.latlint]\ntargets = ['iphone-xs/gpu']\n")
    refused = latlint("init")
    assert (refused.returncode, "pyproject.toml: is here already" in refused.stdout) == (2, True)


def test_the_hook_and_the_workflow_come_later_too(project: Project, latlint: Run, model: Model) -> None:
    project.put(model("mobilenet_v2.tflite"), "net.tflite")
    assert "--write-hook writes it" in latlint("init").stdout
    before = configuration(project)
    source = "https://github.com/someone/latlint"
    done = latlint("init", "--write-hook", "--write-workflow", "--source", source)
    assert done.returncode == 0, done.stdout
    assert configuration(project) == before
    hook = yaml.safe_load((project.path / ".pre-commit-config.yaml").read_text())
    hooks = [{"id": "latlint"}, {"id": "latlint-config"}]
    assert hook == {"repos": [{"repo": source, "rev": f"v{__version__}", "hooks": hooks}]}
    workflow = yaml.safe_load((project.path / ".github/workflows/latlint.yml").read_text())
    assert workflow["jobs"]["latency"]["steps"][1] == {"uses": f"someone/latlint@v{__version__}"}


def test_hooks_live_at_the_top(project: Project, latlint: Run, model: Model) -> None:
    project.put(model("mobilenet_v2.tflite"), "below/net.tflite")
    source = ("--source", "https://example.com/latlint")
    refused = latlint("init", "--write-hook", *source, below="below")
    assert (refused.returncode, "top of the repository" in refused.stdout) == (2, True)
    assert not (project.path / "below" / "latlint.toml").exists()
    assert latlint("init", "--write-hook", *source).returncode == 0


def test_files_that_cannot_be_read_are_told_and_left_out(project: Project, latlint: Run, model: Model) -> None:
    project.put(model("mobilenet_v2.tflite"), "net.tflite")
    project.write("pointer.onnx", f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345678\n")
    done = latlint("init", "--target", "pixel-4/gpu")
    assert (done.returncode, "[LAT002]" in done.stdout) == (2, True)
    assert len(configuration(project)["budgets"]) == 1  # type: ignore[arg-type]


def test_without_models_nothing_is_written(project: Project, latlint: Run) -> None:
    done = latlint("init")
    assert (done.returncode, "no .tflite or .onnx file here" in done.stdout) == (2, True)
    project.write("pointer.onnx", "")
    assert latlint("init").returncode == 2
    assert not (project.path / "latlint.toml").exists()


def test_a_terminal_is_asked_for_the_targets(project: Project, model: Model) -> None:
    """A mistyped target is asked for again; nothing else is asked."""
    project.put(model("mobilenet_v2.tflite"), "net.tflite")
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "latlint", "init"],
        cwd=project.path,
        env={**project.environment, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    os.write(controller, b"pixle-4/gpu\niphone-xs/gpu pixel-4/gpu\n")
    said = b""
    while True:
        try:
            said += (chunk := os.read(controller, 4096))
        except OSError:  # Linux, when the other end is closed
            break
        if not chunk:
            break
    os.close(controller)
    assert process.wait(timeout=60) == 0, said
    assert b"did you mean pixel-4/gpu" in said
    assert configuration(project)["targets"] == ["iphone-xs/gpu", "pixel-4/gpu"]


def test_settings_are_shown_as_a_file_that_says_the_same(project: Project, latlint: Run, model: Model) -> None:
    project.put(model("mobilenet_v2.tflite"), "nets/net.tflite")
    project.write(
        "latlint.toml",
        'targets = ["pixel-4/gpu"]\nmodels = ["nets/*"]\nmin-coverage = 0.5\n[[budgets]]\nmodel = "nets/*"\nmax = "850us"\n',
    )
    shown = latlint("check", "--show-settings", "--target", "iphone-xs/gpu")
    assert shown.returncode == 0
    assert "# --target takes the place of targets in latlint.toml" in shown.stdout
    before = latlint("check", "--target", "iphone-xs/gpu", "--format", "json").stdout
    project.write("latlint.toml", shown.stdout)
    assert tomllib.loads(shown.stdout)["budgets"] == [{"model": "nets/*", "max": "0.85 ms"}]
    assert tomllib.loads(shown.stdout)["min-coverage"] == 0.5
    # the same but for the line that a budget is in
    again = re.sub(r"latlint\.toml:\d+", "latlint.toml:5", latlint("check", "--format", "json").stdout)
    assert "latlint.toml:4" in before
    assert before.replace("latlint.toml:4", "latlint.toml:5").split("\n", 1)[1].rstrip() in again
