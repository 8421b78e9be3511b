"""`max-increase` through real git histories: which commit is compared with, what a model was there, and what if that is not to be had."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from onnx import helper

from latlint.review.base import PULL_REQUEST_VARIABLES
from tests.pages import data_of

pytestmark = pytest.mark.slow

Run = Callable[..., Any]
Model = Callable[[str], Path]
Git = Callable[..., str]

#: The second takes about four times as long as the first, and is made of the same ops; the third has none of them.
FAST, SLOW, OTHER = "mobilenet_v2_025_f16.tflite", "mobilenet_v2.tflite", "one_gelu.tflite"
RELATIVE = 'targets = ["pixel-4/gpu"]\nselect = ["LAT0", "LAT1", "LAT9"]\n[[budgets]]\nmax-increase = "5%"\n'


def git_in(directory: Path) -> Git:
    def run(*arguments: str) -> str:
        options = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "protocol.file.allow=always")
        done = subprocess.run(["git", *options, *arguments], cwd=directory, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    return run


@pytest.fixture
def git(repository: Path) -> Git:
    (repository / ".git").rmdir()
    run = git_in(repository)
    run("init", "--quiet", "--initial-branch", "trunk")
    (repository / "latlint.toml").write_text(RELATIVE)
    return run


@pytest.fixture
def put(repository: Path, model: Model) -> Callable[[str, str], None]:
    """``put(FAST, "net.tflite")``"""

    def copy(name: str, path: str) -> None:
        (repository / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(model(name), repository / path)

    return copy


@pytest.fixture
def changed(git: Git, put: Callable[[str, str], None]) -> str:
    """A pull request that makes a model slower, as CI checks it out: detached, clean. The commit that it started from."""
    put(FAST, "net.tflite")
    start = commit(git)
    git("switch", "--quiet", "--detach")
    put(SLOW, "net.tflite")
    commit(git)
    return start


def commit(git: Git) -> str:
    git("add", "--all")
    git("commit", "--quiet", "--message", "A change")
    return git("rev-parse", "HEAD")


def checked(latlint: Run, *arguments: str) -> Any:
    return json.loads(latlint("check", "--format", "json", *arguments).out)


def codes(document: Any) -> list[tuple[str, str]]:
    return [(each["code"], each["severity"]) for each in document["findings"]]


def said(document: Any, code: str) -> str:
    (finding,) = (each for each in document["findings"] if each["code"] == code)
    return str(finding["message"])


@pytest.mark.parametrize("variable", PULL_REQUEST_VARIABLES)
@pytest.mark.parametrize("fetched", [False, True])
def test_the_branch_of_a_pull_request_is_found(
    latlint: Run, git: Git, changed: str, variable: str, fetched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fetched:  # as a service leaves it: no branch of its own
        git("update-ref", "refs/remotes/origin/trunk", "trunk")
        git("branch", "--delete", "--force", "trunk")
    value = changed if variable.endswith(("_SHA", "_COMMIT")) else "trunk"
    monkeypatch.setenv(variable, f"refs/heads/{value}" if variable.startswith("SYSTEM_") else value)
    document = checked(latlint)
    assert codes(document) == [("LAT103", "error")]
    assert variable in said(document, "LAT103")


def test_a_branch_that_is_not_here_leaves_the_model_unjudged(
    latlint: Run, changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_BASE_REF", "main")
    document = checked(latlint)
    assert codes(document) == [("LAT106", "error")]
    assert "GITHUB_BASE_REF says that the change goes to 'main'" in said(document, "LAT106")
    assert document["predictions"][0]["verdict"]["word"] == "unjudged"


@pytest.mark.parametrize("reference", ["refs/remotes/origin/main", "refs/heads/main", "refs/heads/master"])
def test_without_a_pull_request_it_is_the_default_branch(latlint: Run, git: Git, changed: str, reference: str) -> None:
    git("update-ref", reference, changed)
    assert codes(checked(latlint)) == [("LAT103", "error")]


def test_the_default_branch_of_the_remote_comes_first(latlint: Run, git: Git, changed: str) -> None:
    git("update-ref", "refs/remotes/origin/develop", changed)
    git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/develop")
    git("update-ref", "refs/heads/main", "HEAD")
    assert codes(checked(latlint)) == [("LAT103", "error")]


def test_a_clean_tree_compared_with_itself_is_a_finding(latlint: Run, git: Git, changed: str, put: Any) -> None:
    document = checked(latlint)
    assert codes(document) == [("LAT107", "warning")]
    assert "HEAD at " in said(document, "LAT107")
    put(FAST, "net.tflite")
    assert codes(checked(latlint)) == [], "something has changed since"


def test_a_model_that_has_not_changed_is_never_likely_to_be_over(latlint: Run, git: Git, put: Any) -> None:
    put(FAST, "net.tflite")
    commit(git)
    (verdict,) = (each["verdict"] for each in checked(latlint)["predictions"])
    assert (verdict["word"], verdict["chance_over_budget"]) == ("pass", 0)
    assert "likely to be over" not in latlint("check").out


def test_a_target_whose_runtime_follows_the_file_has_a_gain(latlint: Run, changed: str) -> None:
    Path("latlint.toml").write_text(RELATIVE.replace("pixel-4/gpu", "raspberry-pi-5/cpu-4"))
    assert codes(checked(latlint, "--base", changed)) == [("LAT103", "error")]


def test_the_chance_of_an_increase_is_that_of_the_difference(latlint: Run, git: Git, changed: str) -> None:
    document = checked(latlint, "--base", changed)
    (verdict,) = (each["verdict"] for each in document["predictions"])
    assert verdict["chance_over_budget"] > 0.999
    assert "likely on the device" in said(document, "LAT103")


class TestLock:
    def test_a_line_of_another_file_does_not_count(self, latlint: Run, git: Git, put: Any) -> None:
        """main has a lock that says what the slow model takes, and the fast model."""
        put(SLOW, "net.tflite")
        assert latlint("lock").status == 0
        put(FAST, "net.tflite")
        start = commit(git)
        put(SLOW, "net.tflite")
        commit(git)
        assert ("LAT103", "error") in codes(checked(latlint, "--base", start))

    @pytest.mark.parametrize(("named", "expected"), [(True, "LAT103"), (False, "LAT106")])
    def test_a_pointer_answers_for_the_file_that_it_names(
        self, latlint: Run, git: Git, put: Any, model: Model, named: bool, expected: str
    ) -> None:
        """What the pointer of the base names was not fetched; the lock's line is of that file, or of another."""
        put(FAST, "net.tflite")
        assert latlint("lock").status == 0
        digest = hashlib.sha256(model(FAST if named else SLOW).read_bytes()).hexdigest()
        Path("net.tflite").write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 99999\n")
        start = commit(git)
        put(SLOW, "net.tflite")
        commit(git)
        document = checked(latlint, "--base", start)
        assert codes(document) == [(expected, "error")]
        if not named:
            assert "a Git LFS pointer in git" in said(document, "LAT106")


def pools(path: Path, count: int) -> None:
    """A file with so many ops of one kind, one after the other."""
    facts = {"kernel_shape": [3, 3], "pads": [1] * 4}
    nodes = [helper.make_node("MaxPool", [f"v{at}"], [f"v{at + 1}"], **facts) for at in range(count)]
    ends = [helper.make_tensor_value_info(name, 1, (1, 8, 64, 64)) for name in ("v0", f"v{count}")]
    path.write_bytes(helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:])).SerializeToString())


class TestRenamed:
    def test_a_model_that_was_renamed_and_changed_is_compared(self, latlint: Run, git: Git, put: Any) -> None:
        put(FAST, "models/net.tflite")
        put(OTHER, "models/other.tflite")
        start = commit(git)
        Path("models/net.tflite").unlink()
        Path("models/other.tflite").unlink()
        put(SLOW, "models/detector.tflite")
        for _ in range(2):  # in the working tree, and committed
            document = checked(latlint, "--base", start)
            assert codes(document) == [("LAT103", "error")]
            commit(git) if git("status", "--porcelain") else None

    def test_a_model_of_other_ops_is_new(self, latlint: Run, git: Git, put: Any) -> None:
        put(OTHER, "other.tflite")
        commit(git)
        Path("other.tflite").unlink()
        put(SLOW, "net.tflite")
        assert codes(checked(latlint)) == [("LAT104", "note")]

    @pytest.mark.parametrize(("ops", "code"), [(20, "LAT103"), (21, "LAT104")])
    def test_a_model_that_has_half_its_ops_in_common_was_renamed(
        self, latlint: Run, git: Git, ops: int, code: str
    ) -> None:
        pools(Path("net.onnx"), 10)
        commit(git)
        Path("net.onnx").unlink()
        pools(Path("detector.onnx"), ops)
        assert [each for each, _ in codes(checked(latlint))] == [code]

    def test_a_copy_is_new(self, latlint: Run, git: Git, put: Any) -> None:
        put(FAST, "net.tflite")
        commit(git)
        put(SLOW, "another.tflite")
        assert codes(checked(latlint)) == [("LAT104", "note")]


class TestSubmodules:
    @pytest.fixture
    def library(self, git: Git, repository: Path, model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A submodule with a model, added on trunk."""
        origin = tmp_path_factory.mktemp("library")
        library = git_in(origin)
        library("init", "--quiet", "--initial-branch", "main")
        shutil.copy(model(FAST), origin / "net.tflite")
        commit(library)
        git("commit", "--quiet", "--allow-empty", "--message", "Nothing yet")
        git("submodule", "--quiet", "add", str(origin), "libs/a")
        return repository / "libs/a"

    def test_a_model_of_a_new_submodule_is_new(self, latlint: Run, library: Path) -> None:
        assert codes(checked(latlint)) == [("LAT104", "note")]

    def test_a_model_of_a_submodule_is_compared_with_the_commit_that_the_base_has(
        self, latlint: Run, git: Git, library: Path, model: Model
    ) -> None:
        start = commit(git)
        shutil.copy(model(SLOW), library / "net.tflite")
        assert codes(checked(latlint)) == [("LAT103", "error")]
        commit(git_in(library))
        commit(git)
        assert codes(checked(latlint, "--base", start)) == [("LAT103", "error")]

    def test_a_model_of_a_submodule_in_a_submodule_is_compared(
        self, latlint: Run, git: Git, library: Path, model: Model
    ) -> None:
        outer = git_in(library)
        outer("submodule", "--quiet", "add", outer("remote", "get-url", "origin"), "deep")
        commit(outer)
        start = commit(git)
        shutil.copy(model(SLOW), library / "deep" / "net.tflite")
        for repository in (library / "deep", library):
            commit(git_in(repository))
        commit(git)
        document = checked(latlint, "--base", start)
        assert codes(document) == [("LAT103", "error")]
        over = {each["model"]: each["verdict"]["word"] for each in document["predictions"]}
        assert over == {"libs/a/net.tflite": "pass", "libs/a/deep/net.tflite": "fail"}

    def test_a_submodule_whose_history_is_not_here_is_not_judged(
        self, latlint: Run, git: Git, library: Path, model: Model
    ) -> None:
        start = commit(git)
        shutil.rmtree(library)
        git("update-index", "--cacheinfo", f"160000,{'ab' * 20},libs/a")
        git("commit", "--quiet", "--message", "Elsewhere")
        base = git("rev-parse", "HEAD")
        git("reset", "--quiet", start)
        git("submodule", "--quiet", "update")
        git("reset", "--quiet", "--soft", base)
        document = checked(latlint)
        assert codes(document) == [("LAT106", "error")]
        assert "the submodule 'libs/a' was at ababab" in said(document, "LAT106")


class TestWorkingTrees:
    def test_a_linked_one_has_the_branches_of_the_repository(
        self, latlint: Run, git: Git, put: Any, tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(FAST, "net.tflite")
        commit(git)
        git("worktree", "add", "--quiet", "-b", "change", str(tmp_path / "linked"))
        monkeypatch.chdir(tmp_path / "linked")
        shutil.copy(model(SLOW), "net.tflite")
        commit(git_in(Path.cwd()))
        monkeypatch.setenv("GITHUB_BASE_REF", "trunk")
        assert codes(checked(latlint)) == [("LAT103", "error")]

    @pytest.mark.parametrize("moved", [False, True])
    def test_what_a_sparse_checkout_leaves_out_is_not_gone(self, latlint: Run, git: Git, put: Any, moved: bool) -> None:
        """A model that has come is new beside one that is only left out, and is the one that was moved out of what is left out."""
        put(FAST, "left/net.tflite")
        put(OTHER, "left/other.tflite")
        put(OTHER, "in/other.tflite")
        start = commit(git)
        if moved:
            git("rm", "--quiet", "left/net.tflite")
        put(SLOW, "in/detector.tflite")
        commit(git)
        git("sparse-checkout", "set", "in")
        assert not Path("left").exists()
        assert codes(checked(latlint, "--base", start)) == [("LAT103", "error") if moved else ("LAT104", "note")]


class TestWhatKeepsTheComparisonFromBeingMade:
    def test_a_base_that_was_fetched_alone(
        self, latlint: Run, git: Git, changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The commit is here, and no history says that the change began there."""
        git("switch", "--quiet", "--create", "change")
        there = git_in(tmp_path)
        there("clone", "--quiet", "--depth", "1", "--branch", "change", f"file://{Path.cwd()}", "here")
        monkeypatch.chdir(tmp_path / "here")
        git_in(Path.cwd())("fetch", "--quiet", "--depth", "1", "origin", "trunk")
        monkeypatch.setenv("CI_MERGE_REQUEST_DIFF_BASE_SHA", changed)
        document = checked(latlint)
        assert codes(document) == [("LAT106", "error")]
        assert "no common ancestor" in said(document, "LAT106") and "--unshallow" in said(document, "LAT106")

    def test_a_shallow_clone(
        self, latlint: Run, git: Git, changed: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any
    ) -> None:
        git("switch", "--quiet", "--create", "change")
        clone = tmp_path_factory.mktemp("clone")
        git_in(clone)("clone", "--quiet", "--depth", "1", "--branch", "change", f"file://{Path.cwd()}", "here")
        monkeypatch.chdir(clone / "here")
        document = checked(latlint)
        # The clone's origin/HEAD is the branch itself, or nothing that is here.
        assert codes(document) in ([("LAT106", "error")], [("LAT107", "warning")])
        monkeypatch.setenv("GITHUB_BASE_REF", "trunk")
        document = checked(latlint)
        assert codes(document) == [("LAT106", "error")]
        assert "fetch-depth: 0" in said(document, "LAT106")

    def test_git_is_missing(self, latlint: Run, changed: str, monkeypatch: pytest.MonkeyPatch) -> None:
        from latlint.project import git

        git._version.cache_clear()
        monkeypatch.setenv("PATH", str(Path.cwd()))
        document = checked(latlint)
        assert codes(document) == [("LAT106", "error")]
        assert "git is not to be found" in said(document, "LAT106")
        git._version.cache_clear()

    def test_it_is_a_warning_where_that_is_asked_for(
        self, latlint: Run, changed: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CHANGE_TARGET", "nowhere")
        Path("latlint.toml").write_text(f'unjudged = "warning"\n{RELATIVE}')
        assert codes(checked(latlint)) == [("LAT106", "warning")]
        Path("latlint.toml").write_text(f'unjudged = "ignore"\n{RELATIVE}')
        assert codes(checked(latlint)) == []


def test_a_line_of_another_precision_is_nothing_to_compare_with(
    latlint: Run, git: Git, put: Callable[[str, str], None]
) -> None:
    on_the_cpu = RELATIVE.replace("/gpu", "/cpu-1large")
    put(SLOW, "net.tflite")
    Path("latlint.toml").write_text(f'precision = "w8a8"\n{on_the_cpu}')
    assert latlint("lock").status == 0
    commit(git)
    Path("latlint.toml").write_text(on_the_cpu)
    with Path("net.tflite").open("ab") as file:
        file.write(bytes(16))  # another file, and the same model
    assert codes(checked(latlint, "--base", "HEAD")) == []


class TestWhy:
    """A broken budget says what the change did: the cause, what would take it back, the kernels that add most, where to see all."""

    def test_within_six_lines_of_a_terminal(self, latlint: Run, changed: str, monkeypatch: pytest.MonkeyPatch) -> None:
        document = checked(latlint, "--base", changed)
        (finding,) = document["findings"]
        cause, most, see = finding["why"]
        assert cause.startswith("because conv2d ×36") and re.search(r"\(29\.2 M → 312 M MACs\): \+3\.\d\d ms", cause)
        assert cause.endswith("; fewer channels or a smaller input")
        assert most.startswith("most at '") and most.count(" ms") == 3
        assert see == f"see latlint diff --base {changed[:7]} net.tflite -t pixel-4/gpu"
        assert finding["message"].endswith(f"{cause}; {most}; {see}"), "formats of one line say it too"
        assert "(latlint.toml:3)" in finding["message"]

        monkeypatch.setenv("LATLINT_WIDTH", "80")
        lines = latlint("check", "--base", changed).out.splitlines()
        start = next(number for number, line in enumerate(lines) if "FAIL" in line)
        first = " ".join(" ".join(lines[start : start + 6]).split())
        assert re.search(r"LAT103 budget-increase: 2\.\d\d ms → 5\.\d\d ms \(\+1\d\d%\) since ", first)
        assert cause in first
        assert all(len(line) <= 80 for line in lines)

    def test_a_limit_in_milliseconds_says_it_too(self, latlint: Run, git: Git, changed: str) -> None:
        Path("latlint.toml").write_text('[[budgets]]\ntarget = "pixel-4/gpu"\nmax = "4ms"\n')
        git("branch", "main", changed)
        (finding,) = (each for each in checked(latlint)["findings"] if each["code"] == "LAT101")
        assert finding["why"][0].startswith("because conv2d ×36")
        assert re.search(rf"; \+3\.\d\d ms since main at {changed[:7]}; because", finding["message"])
        assert "what costs most" not in finding["message"]

    def test_the_page_has_what_each_kernel_took_before(self, latlint: Run, changed: str) -> None:
        (row,) = data_of(latlint("check", "--base", changed, "--format", "html").out)["predictions"]
        (model,) = json.loads(latlint("diff", "--base", changed, "--format", "json").out)["models"]
        pairs = [each for each in model["targets"][0]["kernels"] if each["new"]]
        before_us = [each["old"]["latency_ms"] * 1000 if each["old"] else -1 for each in pairs]
        assert len(before_us) > 20 and row["base"].endswith(changed[:7])
        assert [us for us in row["before_us"] if us is not None] == pytest.approx(before_us, rel=1e-3)
        now_us = [us for us, then in zip(row["kernels_us"], row["before_us"], strict=True) if then is not None]
        assert now_us == pytest.approx([each["new"]["latency_ms"] * 1000 for each in pairs], rel=1e-3)

    def test_what_has_not_changed_is_not_the_cause(self, latlint: Run, git: Git, put: Any) -> None:
        Path("latlint.toml").write_text('[[budgets]]\ntarget = "pixel-4/gpu"\nmax = "4ms"\n')
        put(SLOW, "net.tflite")
        commit(git)
        (finding,) = (each for each in checked(latlint)["findings"] if each["code"] == "LAT101")
        assert finding["why"] == []
        assert "what costs most" in finding["message"]

    def test_though_the_lock_has_the_old_latency(self, latlint: Run, git: Git, put: Any) -> None:
        put(FAST, "net.tflite")
        assert latlint("lock").status == 0
        start = commit(git)
        put(SLOW, "net.tflite")
        (finding,) = (each for each in checked(latlint, "--base", start)["findings"] if each["code"] == "LAT103")
        assert finding["why"][0].startswith("because conv2d ×36")

    def test_the_comment_has_a_row_for_each_change_and_counts_the_rest(
        self, latlint: Run, git: Git, changed: str, put: Any
    ) -> None:
        git("switch", "--quiet", "--detach", changed)
        put(FAST, "same.tflite")
        start = commit(git)
        put(SLOW, "net.tflite")
        put(OTHER, "new.tflite")
        Path("latlint.toml").write_text('targets = ["pixel-4/gpu"]\n')  # no budget at all
        comment = latlint("check", "--format", "markdown", "--base", start).out
        rows = [line for line in comment.splitlines() if line.startswith("| – | ")]
        changes = [row for row in rows if "→" in row or ", new" in row]
        assert len(changes) == 2, comment
        assert re.search(
            r"\| net\.tflite \| pixel-4/gpu \| 2\.\d\d ms → 5\.\d\d ms \| \+3\.\d\d ms \(\+3\.", changes[0]
        )
        assert "because conv2d ×36" in changes[0]
        assert "| new.tflite | " in changes[1]
        assert f"1 of 3 predictions unchanged since {start} at {start[:7]}." in comment
