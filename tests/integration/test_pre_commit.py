"""Real commits through real pre-commit, offline: what breaks a budget stays out, what does not goes in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Project

pytestmark = pytest.mark.slow

Model = Callable[[str], Path]

CONFIGURATION = """\
targets = ["pixel-4/gpu"]

[[budgets]]
model = "nets/*"
max = "8ms"

[[budgets]]
model = "tight/**"
max = "1us"
"""

POINTER = """\
version https://git-lfs.github.com/spec/v1
oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
size 46830571
"""


@pytest.fixture
def hooked(project: Project, published: Path) -> Project:
    """A repository with budgets and the hooks installed, as the documentation says."""
    from latlint import __version__

    project.write("latlint.toml", CONFIGURATION)
    project.write(
        ".pre-commit-config.yaml",
        f"repos:\n  - repo: {published}\n    rev: v{__version__}\n    hooks:\n      - id: latlint\n        verbose: true\n",
    )
    assert project.run("pre-commit", "install").returncode == 0
    assert project.commit().returncode == 0
    return project


def heads(project: Project) -> str:
    return project.git("rev-parse", "HEAD")


def assert_blocked(project: Project, *said: str) -> None:
    before = heads(project)
    done = project.commit()
    assert done.returncode == 1, done.stdout
    assert heads(project) == before, "the commit went in although the hook failed"
    for text in said:
        assert text in done.stdout
    assert "Traceback" not in done.stdout


def assert_passes(project: Project, *said: str) -> None:
    before = heads(project)
    done = project.commit()
    assert done.returncode == 0, done.stdout
    assert heads(project) != before
    for text in said:
        assert text in done.stdout


def test_a_model_within_its_budget_goes_in_and_a_slower_one_does_not(hooked: Project, model: Model) -> None:
    hooked.put(model("mobilenet_v2.onnx"), "nets/net.onnx")
    assert_passes(hooked, "PASS  pixel-4/gpu", "budget 8 ms")
    hooked.put(model("resnet18.onnx"), "nets/net.onnx")
    assert_blocked(
        hooked, "nets/net.onnx", "FAIL  pixel-4/gpu", "budget 8 ms", "LAT101 budget-exceeded", "1 over budget"
    )


def test_a_pointer_is_explained(hooked: Project) -> None:
    hooked.write("nets/large.tflite", POINTER)
    assert_blocked(hooked, "nets/large.tflite", "Git LFS pointer", "git lfs pull", "[LAT002]")


def test_external_data_alone_lints_its_model(hooked: Project) -> None:
    with_external_data(hooked.path / "tight" / "net.onnx", "weights.bin")
    with_external_data(hooked.path / "tight" / "other.onnx", "elsewhere.bin")
    hooked.git("add", "--all")
    hooked.git("commit", "--no-verify", "--message", "Models without budgets kept")
    (hooked.path / "tight" / "weights.bin").write_bytes(b"\x01" * 4096)
    assert_blocked(hooked, "tight/net.onnx", "LAT101 budget-exceeded", "1 model on 1 target")


def test_a_file_that_is_no_models_data_concerns_nobody(hooked: Project, model: Model) -> None:
    hooked.write("tight/firmware.bin", "not a model's")
    hooked.write("notes.txt", "text")
    assert_passes(hooked)


def test_names(hooked: Project, model: Model) -> None:
    """Spaces, letters of any script, a leading dash, options, shell syntax, capitals."""
    names = ["a b.tflite", "Größe-模型.tflite", "-h.tflite", "--exit-zero.tflite", "$(x)'\".TFLITE"]
    for name in names:
        hooked.put(model("mobilenet_v2.tflite"), name)
    assert_passes(hooked, *(f"{name}  TFLite" for name in names), "5 models on 1 target")
    hooked.write("latlint.toml", '[[budgets]]\ntarget = "pixel-4/gpu"\nmax = "1us"\n')
    for name in names:
        hooked.put(model("mobilenet_v3_small.tflite"), name)
    assert_blocked(hooked, *(f"{name}  TFLite" for name in names), "5 models on 1 target: 5 over budget")


def test_only_models_that_the_configuration_names_are_held(hooked: Project, model: Model) -> None:
    hooked.write("latlint.toml", f'models = ["shipped/*"]\n{CONFIGURATION}')
    hooked.put(model("mobilenet_v2.tflite"), "tight/fixture.tflite")
    assert_passes(hooked)


def test_a_configuration_that_is_wrong_stays_out(project: Project, published: Path) -> None:
    """In whichever directory, by whichever name it goes; what says nothing to latlint concerns nobody."""
    from latlint import __version__

    hook = f"repos:\n  - repo: {published}\n    rev: v{__version__}\n    hooks:\n      - id: latlint-config\n"
    project.write(".pre-commit-config.yaml", hook)
    assert project.run("pre-commit", "install").returncode == 0
    assert project.commit().returncode == 0
    project.write("a b/latlint.toml", 'extend = "../latlint-base.toml"\n' + CONFIGURATION)
    project.write("latlint-base.toml", 'gate = "high"\n')
    project.write("pyproject.toml", "[tool.ruff]\n")
    assert_passes(project, "Passed")
    project.write("latlint-base.toml", 'gait = "high"\n')
    assert_blocked(project, "latlint-base.toml: unknown key 'gait': did you mean 'gate'? [LAT901]")
    project.write("latlint-base.toml", "")
    project.write("pyproject.toml", '[tool.latlint]\ntargets = ["pixel4/gpu"]\n')
    assert_blocked(project, "pyproject.toml: unknown target 'pixel4/gpu': did you mean pixel-4/gpu")


def test_try_repo_holds_all_models(project: Project, published: Path, model: Model) -> None:
    """``try-repo`` is how a newcomer tries the hook: nothing is installed, every model is read."""
    project.write("latlint.toml", CONFIGURATION)
    project.put(model("mobilenet_v2.tflite"), "nets/net.tflite")
    project.put(model("mobilenet_v2.onnx"), "net.onnx")
    project.git("add", "--all")
    tried = project.run("pre-commit", "try-repo", str(published), "latlint-all", "--verbose")
    assert tried.returncode == 0, tried.stdout
    assert "2 models on 1 target: 1 within budget, 1 without a budget" in tried.stdout


def test_the_lock_is_written_and_has_to_be_added(project: Project, published: Path, model: Model) -> None:
    """As formatters do it: the commit stops once, and goes in when what was written is added. (``commit`` adds everything.)"""
    from latlint import __version__

    project.write("latlint.toml", 'targets = ["pixel-4/gpu"]\n\n[[budgets]]\nmax-increase = "5%"\n')
    project.write(
        ".pre-commit-config.yaml",
        f"repos:\n  - repo: {published}\n    rev: v{__version__}\n    hooks:\n      - id: latlint\n        verbose: true\n      - id: latlint-lock\n",
    )
    assert project.run("pre-commit", "install").returncode == 0
    project.put(model("mobilenet_v2.tflite"), "-größe a.tflite")
    project.git("add", "--all")
    first = project.run("git", "commit", "-m", "A model")
    assert first.returncode == 1, first.stdout
    assert "LAT104 no-reference" in first.stdout
    assert "Wrote latlint.lock: 1 line, 1 added" in first.stdout
    assert_added(project)
    project.put(model("mobilenet_v3_small.tflite"), "-größe a.tflite")
    project.git("add", "--all")
    second = project.run("git", "commit", "-m", "A faster one")
    assert (second.returncode, "1 changed" in second.stdout) == (1, True), second.stdout
    assert_passes(project, "1 within budget")
    project.put(model("mobilenet_v2.tflite"), "-größe a.tflite")
    assert_blocked(project, "LAT103 budget-increase", "Wrote latlint.lock")
    assert_blocked(
        project, "LAT103 budget-increase"
    )  # the lock is in the commit now, and compared is with the last one


def assert_added(project: Project) -> None:
    done = project.commit()
    assert done.returncode == 0, done.stdout


def with_external_data(path: Path, location: str) -> None:
    """A model of one convolution whose weights lie in the file ``location`` beside it."""
    weights = onnx.numpy_helper.from_array(np.zeros((8, 3, 3, 3), np.float32), "weights")
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Conv", ["x", "weights"], ["y"], name="conv")],
        "net",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, 32, 32])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 8, 30, 30])],
        [weights],
    )
    path.parent.mkdir(exist_ok=True)
    onnx.save_model(
        onnx.helper.make_model(graph), path, save_as_external_data=True, location=location, size_threshold=0
    )
