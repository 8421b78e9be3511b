"""What changes did to latency, as the history of a real repository tells it; and ``git diff`` of models."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

from latlint.cli import main
from tests.integration.conftest import Project

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parent.parent.parent

Run = Callable[..., subprocess.CompletedProcess[str]]

TARGET = ("--target", "pixel-4/gpu")
LAYERS = ("Conv 64", "Relu", "Conv 128", "Relu", "Conv 128", "Relu", "Conv 32")


def network(layers: Sequence[str] = LAYERS, *, weight: float = 0.0, external: bool = False) -> bytes:
    """An ONNX file: 3x3 convolutions to so many channels, and ops without weights, one after the other."""
    channels, name, nodes, weights = 32, "x", [], []
    for number, (op, _, width) in enumerate(layer.partition(" ") for layer in layers):
        inputs, attributes = [name], {}
        if op == "Conv":
            shape = (int(width), channels, 3, 3)
            tensor = TensorProto(name=f"w{number}", data_type=TensorProto.FLOAT, dims=shape)
            if external:
                tensor.data_location = TensorProto.EXTERNAL
                tensor.external_data.add(key="location", value="weights.bin")
            else:
                tensor.float_data.extend([weight] * (shape[0] * shape[1] * 9))
            weights.append(tensor)
            channels = shape[0]
            inputs, attributes = [name, tensor.name], {"pads": [1, 1, 1, 1], "kernel_shape": [3, 3]}
        name = f"{op.lower()}_{number}"
        nodes.append(helper.make_node(op, inputs, [name], name, **attributes))
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 32, 56, 56))
    made = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
    model = helper.make_model(
        helper.make_graph(nodes, "g", [given], [made], weights), opset_imports=[helper.make_opsetid("", 17)]
    )
    written = model.SerializeToString()
    assert isinstance(written, bytes)
    return written


def put(project: Project, name: str, content: bytes) -> Path:
    path = project.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def committed(project: Project) -> str:
    """The commit of everything."""
    assert project.commit().returncode == 0
    return project.git("rev-parse", "HEAD").strip()


@pytest.fixture
def differences(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[Any, Any]]:
    """``differences("--base", "main")`` is what `latlint diff` says as JSON: old and new path -> status and the change in ms."""

    def run(*arguments: str, below: str = ".") -> dict[Any, Any]:
        monkeypatch.chdir(project.path / below)
        status = main(["diff", *TARGET, "--format", "json", *arguments])
        out, err = capsys.readouterr()
        assert status == 0, err
        document = json.loads(out)
        assert document["schema"] == "latlint.diff/1" and document["errors"] == []
        return {
            (model["old"], model["new"]): (model["status"], model["targets"][0]["change_ms"])
            for model in document["models"]
        }

    return run


def test_first_adoption_then_an_improvement_then_a_regression(
    project: Project, latlint: Run, differences: Callable[..., dict[str, Any]]
) -> None:
    project.write("README", "empty")
    committed(project)
    put(project, "models/m.onnx", network())
    assert differences("--base", "HEAD") == {(None, "models/m.onnx"): ("added", None)}, "git need not know of it yet"
    committed(project)
    assert differences("--base", "HEAD") == {}

    put(project, "models/m.onnx", network([layer.replace("128", "64") for layer in LAYERS]))
    ((status, better),) = differences("--base", "HEAD").values()
    assert status == "modified" and better < 0
    committed(project)
    assert differences("--base", "HEAD~1") == {("models/m.onnx", "models/m.onnx"): (status, better)}

    put(project, "models/m.onnx", network([layer.replace("128", "256").replace("Relu", "Elu") for layer in LAYERS]))
    ((_, worse),) = differences("--base", "HEAD").values()
    assert worse > 0
    shown = latlint("diff", "--base", "HEAD~1", *TARGET).stdout
    assert "models/m.onnx  ONNX · float32 · 867 M → " in shown and "+" in shown
    markdown = latlint("diff", "--base", "HEAD~1", *TARGET, "--format", "markdown").stdout
    assert markdown.startswith("## latlint: what changed since HEAD&#126;") and "🔺 +" in markdown


def test_weights_alone_change_nothing(project: Project, latlint: Run) -> None:
    put(project, "m.onnx", network())
    committed(project)
    put(project, "m.onnx", network(weight=0.5))
    shown = latlint("diff", "--base", "HEAD", *TARGET).stdout
    assert "±0 ms" in shown and "all kernels as before" in shown


def test_a_model_that_moves_stays_the_same(project: Project, differences: Callable[..., dict[Any, Any]]) -> None:
    put(project, "models/m.onnx", network())
    base = committed(project)
    project.git("mv", "models/m.onnx", "models/detector é.onnx")
    moved = {("models/m.onnx", "models/detector é.onnx"): ("renamed", 0.0)}
    assert differences("--base", base) == moved
    committed(project)
    assert differences("--base", base) == moved


def test_a_model_that_was_trained_anew_under_a_new_name_is_renamed(
    project: Project, differences: Callable[..., dict[Any, Any]]
) -> None:
    """Of which no byte of the weights is the same; and a model of another kind that takes a name is not."""
    put(project, "detector_v1.onnx", network())
    put(project, "net/model.onnx", network(["Conv 32", "Conv 32"]))
    committed(project)
    for name in ("detector_v1.onnx", "net/model.onnx"):
        (project.path / name).unlink()
    put(project, "detector_v2.onnx", network([*LAYERS, "Conv 16"], weight=1.0))
    put(project, "other/model.onnx", network(["Conv 32", "Conv 64", "Conv 128", "Conv 64"]))
    found = differences("--base", "HEAD")
    status, change = found.pop(("detector_v1.onnx", "detector_v2.onnx"))
    assert status == "renamed" and change > 0
    assert found == {(None, "other/model.onnx"): ("added", None), ("net/model.onnx", None): ("removed", None)}


def test_a_model_that_goes_is_shown(project: Project, latlint: Run, differences: Callable[..., dict[str, Any]]) -> None:
    put(project, "a.onnx", network())
    put(project, "b/b.onnx", network(["Conv 32"]))
    committed(project)
    project.git("rm", "--quiet", "a.onnx")
    (project.path / "b/b.onnx").unlink()
    assert differences("--base", "HEAD") == {("a.onnx", None): ("removed", None), ("b/b.onnx", None): ("removed", None)}
    assert differences("--base", "HEAD", "b/b.onnx") == {("b/b.onnx", None): ("removed", None)}
    assert "a.onnx  removed · ONNX" in latlint("diff", "--base", "HEAD", *TARGET).stdout


def test_a_branch_is_compared_with_where_it_began(project: Project, differences: Callable[..., dict[str, Any]]) -> None:
    """What others have done on the main branch since is not the branch's doing, neither before nor after it is merged in."""
    put(project, "mine.onnx", network())
    put(project, "theirs.onnx", network())
    committed(project)
    project.git("checkout", "--quiet", "-b", "feature")
    put(project, "mine.onnx", network(LAYERS[:3]))
    committed(project)
    project.git("checkout", "--quiet", "main")
    put(project, "theirs.onnx", network(LAYERS[:5]))
    committed(project)
    project.git("checkout", "--quiet", "feature")
    alone = differences("--base", "main")
    assert list(alone) == [("mine.onnx", "mine.onnx")]
    project.git("merge", "--quiet", "--no-edit", "main")
    assert differences("--base", "main") == alone
    assert set(differences("--base", "HEAD^1")) == {("theirs.onnx", "theirs.onnx")}


def test_a_converted_model_is_compared_across_formats(
    project: Project, model: Callable[[str], Path], differences: Callable[..., dict[str, Any]]
) -> None:
    project.put(model("mobilenet_v2.onnx"), "m.onnx")
    committed(project)
    project.git("rm", "--quiet", "m.onnx")
    project.put(model("mobilenet_v2.tflite"), "m.tflite")
    (((old, new), (status, change)),) = differences("--base", "HEAD").items()
    assert (old, new, status, round(change, 3)) == ("m.onnx", "m.tflite", "renamed", 0.0)


def test_names_are_taken_as_they_are(project: Project, differences: Callable[..., dict[str, Any]]) -> None:
    names = ["-m.onnx", "a b.onnx", "größe/[x]*.onnx", ":(top).onnx", "--base.onnx"]
    for name in names:
        put(project, name, network(["Conv 32"]))
    committed(project)
    for name in names:
        put(project, name, network(["Conv 64"]))
    assert {old for old, _ in differences("--base", "HEAD")} == set(names)
    assert {old for old, _ in differences("--base", "HEAD", "--", *names[2:])} == set(names[2:])
    assert set(differences("--base", "HEAD", "--", names[0])) == {(names[0], names[0])}


def test_paths_and_the_configuration_say_which_models(
    project: Project, differences: Callable[..., dict[str, Any]]
) -> None:
    for name in ("app/models/a.onnx", "app/models/b.onnx", "tests/c.onnx"):
        put(project, name, network(["Conv 32"]))
    committed(project)
    for name in ("app/models/a.onnx", "app/models/b.onnx", "tests/c.onnx"):
        put(project, name, network(["Conv 64"]))
    a, b, c = ((name, name) for name in ("app/models/a.onnx", "app/models/b.onnx", "tests/c.onnx"))
    assert set(differences("--base", "HEAD")) == {a, b, c}
    assert set(differences("--base", "HEAD", below="app")) == {a, b}
    assert set(differences("--base", "HEAD", "models/a.onnx", "../tests", below="app")) == {a, c}
    project.write("latlint.toml", 'models = ["app/**/a.onnx"]\n')
    assert set(differences("--base", "HEAD", below="tests")) == {a}
    assert set(differences("--base", "HEAD", "tests")) == {c}


def test_external_data_is_not_asked_for(project: Project, differences: Callable[..., dict[str, Any]]) -> None:
    put(project, "m.onnx", network(external=True))
    put(project, "weights.bin", b"0" * 100)
    committed(project)
    put(project, "m.onnx", network(LAYERS[:3], external=True))
    (project.path / "weights.bin").unlink()
    ((status, change),) = differences("--base", "HEAD").values()
    assert status == "modified" and change < 0


def pointer(content: bytes) -> bytes:
    oid = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n".encode()


def test_a_model_in_lfs_is_taken_from_what_was_fetched(
    project: Project, latlint: Run, differences: Callable[..., dict[str, Any]]
) -> None:
    old, new = network(), network(LAYERS[:3])
    put(project, "lfs.onnx", pointer(old))
    put(project, "plain.onnx", old)
    committed(project)
    put(project, "lfs.onnx", new)
    put(project, "plain.onnx", new)
    done = latlint("diff", "--base", "HEAD", *TARGET)
    assert done.returncode == 2, done.stdout
    assert (
        "latlint: error: HEAD:lfs.onnx: a Git LFS pointer in git, and its content is not here; run: git lfs fetch"
        in done.stdout
    )
    assert "plain.onnx  ONNX" in done.stdout, "the others are shown all the same"
    oid = hashlib.sha256(old).hexdigest()
    put(project, f".git/lfs/objects/{oid[:2]}/{oid[2:4]}/{oid}", old)
    found = differences("--base", "HEAD")
    assert found["lfs.onnx", "lfs.onnx"] == found["plain.onnx", "plain.onnx"]


class TestSubmodules:
    """A submodule `libs/a` with two models, and one in it, `libs/a/deep`, with another; ``main`` has them as they were."""

    @pytest.fixture
    def libraries(self, project: Project, tmp_path: Path) -> Path:
        def library(name: str, *models: str) -> Path:
            origin = Project(tmp_path / name, project.environment)
            origin.path.mkdir()
            origin.git("init", "--quiet", "--initial-branch", "main")
            for at, model in enumerate(models):
                put(origin, model, network([f"Conv {32 * (at + 1)}", "Relu"]))
            committed(origin)
            return origin.path

        deep, outer = library("deep", "d.onnx"), library("outer", "a.onnx", "b.onnx")
        allowed = ("-c", "protocol.file.allow=always")
        project.run(
            "git",
            *allowed,
            "submodule",
            "--quiet",
            "add",
            str(deep),
            "deep",
            below=os.path.relpath(outer, project.path),
        )
        committed(Project(outer, project.environment))
        put(project, "top.onnx", network())
        project.git(*allowed, "submodule", "--quiet", "add", str(outer), "libs/a")
        project.git(*allowed, "submodule", "--quiet", "update", "--init", "--recursive")
        committed(project)
        return project.path / "libs/a"

    def test_their_models_are_compared_with_the_commits_that_the_base_has(
        self, project: Project, libraries: Path, differences: Callable[..., dict[Any, Any]]
    ) -> None:
        inner = Project(libraries, project.environment)
        put(inner, "a.onnx", network())
        put(inner, "deep/d.onnx", network(["Conv 64"]))
        (libraries / "b.onnx").unlink()
        a, b, d = ("libs/a/a.onnx",) * 2, ("libs/a/b.onnx", None), ("libs/a/deep/d.onnx",) * 2
        assert set(differences("--base", "HEAD")) == {a, b, d}, "in the working tree"
        for each in (Project(libraries / "deep", project.environment), inner, project):
            committed(each)
        assert set(differences("--base", "HEAD~1")) == {a, b, d}, "committed"
        assert set(differences("--base", "HEAD~1", "libs/a/deep")) == {d}
        assert set(differences("--base", "HEAD~1", "libs/a/b.onnx")) == {b}
        assert set(differences("--base", "HEAD~1", "a/a.onnx", below="libs")) == {a}
        assert set(differences("--base", "HEAD~1", below="libs/a")) == {
            ("a.onnx",) * 2,
            ("b.onnx", None),
            ("deep/d.onnx",) * 2,
        }

    def test_one_that_is_new_has_new_models(
        self, project: Project, libraries: Path, differences: Callable[..., dict[Any, Any]]
    ) -> None:
        project.git("rm", "--quiet", "--cached", "libs/a", ".gitmodules")
        committed_without = project.git("commit-tree", project.git("write-tree").strip(), "-m", "Before").strip()
        project.git("reset", "--quiet", "--soft", committed_without)
        project.git("add", "--all")
        assert set(differences("--base", "HEAD")) == {(None, f"libs/a/{each}.onnx") for each in ("a", "b", "deep/d")}

    def test_what_is_not_here_is_said(self, project: Project, libraries: Path, latlint: Run) -> None:
        project.git("update-index", "--cacheinfo", f"160000,{'ab' * 20},libs/a")
        project.git("commit", "--quiet", "--message", "Elsewhere")
        done = latlint("diff", "--base", "HEAD", *TARGET)
        assert done.returncode == 2 and "libs/a: was at ababab" in done.stdout, done.stdout
        shutil.rmtree(libraries)
        libraries.mkdir()
        assert latlint("diff", "--base", "HEAD", *TARGET).stdout == "no model has changed since HEAD\n"
        done = latlint("diff", "--base", "HEAD~1", *TARGET)
        assert done.returncode == 0 and "note: the submodule libs/a has changed and is not checked out" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--base", "origin/main"), "unknown git revision 'origin/main': name a commit, a tag or a branch"),
        (("--base", "--help"), "unknown git revision '--help'"),
        (("--base", "HEAD", "gone.onnx"), "gone.onnx: no such file, neither here nor at HEAD; check the path [LAT005]"),
        (("a.onnx",), "expected OLD and NEW, or --base REV"),
        (("a.onnx", "gone.onnx"), "gone.onnx: no such file; check the path [LAT005]"),
        (("--base", "HEAD", "../elsewhere.onnx"), "../elsewhere.onnx: is not in a git repository"),
    ],
)
def test_what_cannot_be_compared_is_an_error(
    project: Project, latlint: Run, arguments: tuple[str, ...], message: str
) -> None:
    put(project, "a.onnx", network(["Conv 32"]))
    committed(project)
    done = latlint("diff", *TARGET, *arguments)
    assert done.returncode == 2 and message in done.stdout, done.stdout
    assert "Traceback" not in done.stdout


def test_no_change_is_said(project: Project, latlint: Run) -> None:
    put(project, "a.onnx", network(["Conv 32"]))
    committed(project)
    done = latlint("diff", "--base", "main", *TARGET)
    assert (done.returncode, done.stdout) == (0, "no model has changed since main\n")
    assert (
        "No model has changed since main." in latlint("diff", "--base", "main", *TARGET, "--format", "markdown").stdout
    )


@pytest.mark.parametrize("format_name", ["html", "json", "markdown", "text"])
def test_outputs_are_the_same_bytes_from_anywhere(project: Project, format_name: str) -> None:
    for name in ("app/a.onnx", "app/größe.onnx", "b.onnx"):
        put(project, name, network(["Conv 32", "Relu", "Conv 64"]))
    committed(project)
    put(project, "app/a.onnx", network(["Conv 64", "Elu", "Conv 64", "Conv 64"]))
    (project.path / "app/größe.onnx").rename(project.path / "c.onnx")
    (project.path / "b.onnx").unlink()
    command = (sys.executable, "-m", "latlint", "diff", "--base", "main", *TARGET, "--format", format_name)
    one, other = (
        project.run(*command, path, below=below, LC_ALL=locale, PYTHONHASHSEED=seed, PYTHONPATH=str(REPOSITORY))
        for path, below, locale, seed in ((".", ".", "C.UTF-8", "1"), ("..", "app", "C", "2"))
    )
    assert one.returncode == other.returncode == 0, one.stdout
    assert one.stdout == other.stdout


@pytest.fixture
def converting(project: Project) -> Project:
    """A repository whose models git shows as text, with a model in it."""
    project.git("config", "diff.latlint.textconv", f'"{sys.executable}" -m latlint textconv')
    project.write(".gitattributes", "*.onnx diff=latlint\n*.tflite diff=latlint\n")
    project.write("latlint.toml", 'targets = ["pixel-4/gpu", "galaxy-s10/cpu-1large"]\n')
    put(project, "models/-m é.onnx", network())
    committed(project)
    return project


def git_diff(project: Project, *arguments: str) -> list[str]:
    done = project.run("git", *arguments, PYTHONPATH=str(REPOSITORY))
    assert done.returncode == 0, done.stdout
    return done.stdout.splitlines()


def test_git_diff_shows_the_kernel_that_changed(converting: Project) -> None:
    put(converting, "models/-m é.onnx", network([*LAYERS[:4], "Conv 160", *LAYERS[5:]]))
    lines = git_diff(converting, "diff")
    changed = [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert all(line.isprintable() for line in changed)
    assert any(line.startswith("-  conv2d 1x128x56x56 -> 1x128x56x56 kernel=3x3") for line in changed), changed
    assert any(line.startswith("+  conv2d 1x128x56x56 -> 1x160x56x56 kernel=3x3") for line in changed), changed
    for sign in "+-":
        assert any(line.startswith(f"{sign}pixel-4/gpu ") and " ms [" in line for line in changed)
        (one, other) = (line for line in changed if line.startswith(sign) and "gpu:convolution" in line)
        assert ("conv_4" in one and "conv_6" in other) and " ms  conv2d" in one, "the one, and the one that reads it"


def test_git_log_shows_what_changed_and_what_is_no_model(converting: Project) -> None:
    put(converting, "models/-m é.onnx", network(weight=0.25))
    committed(converting)
    put(converting, "models/-m é.onnx", b"no model")
    put(converting, "lfs.onnx", pointer(network()))
    committed(converting)
    lines = git_diff(converting, "log", "--patch", "--textconv")
    hashes = [line for line in lines if line.startswith(("+sha256", "-sha256"))]
    assert len(hashes) == 4, "of weights that are new the hash is all there is to see"
    assert (
        "+no model that latlint can read: neither a TFLite nor an ONNX file; expected a .tflite or .onnx model [LAT001]"
        in lines
    )
    assert any(line.startswith("+no model that latlint can read: a Git LFS pointer that stands for") for line in lines)


def test_the_text_of_a_model_is_always_the_same(project: Project, latlint: Run, model: Callable[[str], Path]) -> None:
    project.put(model("mobilenet_v3_small.tflite"), "a/m.tflite")
    one = latlint("textconv", "a/m.tflite", *TARGET).stdout
    assert one == latlint("textconv", "m.tflite", *TARGET, below="a").stdout
    assert "\n\npixel-4/gpu: " in one and max(map(len, one.splitlines())) < 200
