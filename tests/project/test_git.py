"""What git is asked, in real repositories: files of the past, what changed since, and nothing run on a repository's behalf."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from latlint.cli import main
from latlint.errors import LatlintError
from latlint.project import git as git_module
from latlint.project.git import Change, Repository, repository

Git = Callable[..., str]


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """Git in a new repository, which is the working directory; nobody's configuration."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "ada@example.com")
    top = tmp_path / "top"
    top.mkdir()
    monkeypatch.chdir(top)

    def run(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("init", "--quiet", "--initial-branch=main")
    return run


def put(name: str, content: bytes) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def commit(git: Git) -> str:
    git("add", "--all")
    git("commit", "--quiet", "--message", "A change")
    return git("rev-parse", "HEAD").strip()


def pointer(content: bytes) -> bytes:
    oid = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n".encode()


def old(repo: Repository, commit: str, path: str) -> bytes:
    entry = repo.entry(commit, path)
    assert entry is not None
    with repo.file(entry) as file:
        return file.read_bytes()


def test_a_file_is_what_it_was(git: Git) -> None:
    put("models/-a b.tflite", b"one\r\n\0")
    first = commit(git)
    put("models/-a b.tflite", b"two")
    repo = repository("models/-a b.tflite")
    assert repo.root == Path.cwd()
    assert repo.relative("models/-a b.tflite") == "models/-a b.tflite"
    assert old(repo, repo.commit("HEAD"), "models/-a b.tflite") == b"one\r\n\0"
    assert repo.commit("main") == repo.commit(first[:10]) == first
    assert repo.entry(first, "models") is None, "a directory is no file"
    assert repo.entry(first, "gone.tflite") is None


def test_the_merge_base_is_where_a_branch_began(git: Git) -> None:
    put("m.onnx", b"0")
    start = commit(git)
    git("checkout", "--quiet", "-b", "feature")
    put("m.onnx", b"1")
    commit(git)
    git("checkout", "--quiet", "main")
    put("n.onnx", b"2")
    main = commit(git)
    git("checkout", "--quiet", "feature")
    repo = repository()
    assert repo.merge_base("main") == start != main
    assert repo.merge_base("HEAD") == repo.commit("HEAD")


def test_changes_are_of_models_by_content(git: Git) -> None:
    names = ("same", "changed", "gone", "moved-", "edited", "staged")
    for number, name in enumerate(names):
        put(f"models/{name}.tflite", bytes([number]) * 100)
    put("models/notes.txt", b"0")
    put(".gitignore", b"build/\n")
    first = commit(git)
    put("models/changed.tflite", b"x" * 100)
    put("models/staged.tflite", b"y")
    git("add", "models/staged.tflite")
    Path("models/gone.tflite").unlink()
    Path("models/moved-.tflite").rename("models/moved there.tflite")
    Path("models/edited.tflite").unlink()
    put("other/edited.tflite", b"edited")
    put("models/new é.onnx", b"z")
    put("models/notes.txt", b"1")
    put("build/out.tflite", b"ignored")
    os.utime("models/same.tflite", (0, 0))
    found = repository().model_changes(first)
    assert set(found) == {
        Change("models/changed.tflite", "models/changed.tflite"),
        Change("models/staged.tflite", "models/staged.tflite"),
        Change("models/gone.tflite", None),
        Change("models/moved-.tflite", "models/moved there.tflite"),
        Change("models/edited.tflite", None),
        Change(None, "other/edited.tflite"),
        Change(None, "models/new é.onnx"),
    }
    assert found == sorted(found, key=lambda change: change.path)
    assert repository().model_changes(first, ["models/staged.tflite", "other"]) == [
        Change("models/staged.tflite", "models/staged.tflite"),
        Change(None, "other/edited.tflite"),
    ]


def test_a_name_is_no_pattern_and_no_option(git: Git) -> None:
    put("a*.tflite", b"0")
    put("ab.tflite", b"0")
    put(":(top).tflite", b"0")
    put("--help.tflite", b"0")
    first = commit(git)
    for path in list(Path().glob("*.tflite")):
        path.write_bytes(b"1")
    for name in ("a*.tflite", ":(top).tflite", "--help.tflite"):
        assert repository().model_changes(first, [name]) == [Change(name, name)]
        assert old(repository(), first, name) == b"0"
    for revision in ("--help", "--all", "-h", "HEAD:ab.tflite", "", "\0", "main..main"):
        with pytest.raises(LatlintError):
            repository().commit(revision)


def test_a_link_and_a_submodule_are_no_models(git: Git) -> None:
    put("m.tflite", b"0")
    Path("link.tflite").symlink_to("m.tflite")
    first = commit(git)
    assert repository().entry(first, "link.tflite") is None
    assert repository().model_changes(first) == []


def test_a_file_that_a_sparse_checkout_leaves_out_is_not_gone(git: Git) -> None:
    put("a/m.tflite", b"0")
    put("b/m.tflite", b"0")
    first = commit(git)
    git("sparse-checkout", "set", "a")
    assert not Path("b/m.tflite").exists()
    assert repository().model_changes(first) == []


def test_an_lfs_pointer_stands_for_its_content(git: Git) -> None:
    content = b"weights" * 1000
    path = put("m.tflite", pointer(content))
    first = commit(git)
    repo = repository()
    with pytest.raises(LatlintError, match="git lfs fetch") as caught:
        old(repo, first, "m.tflite")
    assert (caught.value.code, caught.value.path) == ("LAT002", "m.tflite")
    oid = hashlib.sha256(content).hexdigest()
    put(f".git/lfs/objects/{oid[:2]}/{oid[2:4]}/{oid}", content)
    assert old(repo, first, "m.tflite") == content
    path.write_bytes(content)
    assert repo.model_changes(first) == [], "the content that git lfs puts there is what the pointer says"
    path.write_bytes(content[::-1])
    assert repo.model_changes(first) == [Change("m.tflite", "m.tflite")]


def test_a_linked_working_tree_has_the_same_lfs_objects(git: Git, tmp_path: Path) -> None:
    content = b"weights"
    put("m.tflite", pointer(content))
    first = commit(git)
    oid = hashlib.sha256(content).hexdigest()
    put(f".git/lfs/objects/{oid[:2]}/{oid[2:4]}/{oid}", content)
    git("worktree", "add", "--quiet", str(tmp_path / "linked"))
    assert old(repository(tmp_path / "linked"), first, "m.tflite") == content


def test_errors_say_what_to_do(git: Git, tmp_path: Path) -> None:
    with pytest.raises(LatlintError, match="no commit yet"):
        repository().commit("HEAD")
    put("m.tflite", b"0")
    commit(git)
    with pytest.raises(LatlintError, match=r"unknown git revision 'origin/main': name a commit, a tag or a branch$"):
        repository().commit("origin/main")
    with pytest.raises(LatlintError, match="is not in a git repository") as caught:
        repository(tmp_path)
    assert caught.value.path == str(tmp_path)
    with pytest.raises(LatlintError, match="is not in the git repository"):
        repository().relative(tmp_path / "m.tflite")
    git("checkout", "--quiet", "--orphan", "other")
    put("m.tflite", b"1")
    commit(git)
    with pytest.raises(LatlintError, match="no common ancestor of HEAD and 'main': their histories are unrelated"):
        repository().merge_base("main")


def test_a_shallow_clone_is_told_to_fetch(git: Git, tmp_path: Path) -> None:
    put("m.tflite", b"0")
    commit(git)
    git("checkout", "--quiet", "-b", "feature")
    put("m.tflite", b"1")
    commit(git)
    git("checkout", "--quiet", "main")
    put("n.tflite", b"1")
    commit(git)
    clone = str(tmp_path / "clone")
    git("clone", "--quiet", "--depth=1", "--no-single-branch", f"file://{Path.cwd()}", clone)
    for revision in ("origin/feature", "HEAD~1"):
        with pytest.raises(LatlintError, match=r"shallow clone: .*fetch-depth: 0"):
            repository(clone).merge_base(revision)


def test_a_partial_clone_fetches_nothing(git: Git, tmp_path: Path) -> None:
    put("m.tflite", b"0" * 5000)
    first = commit(git)
    put("m.tflite", b"1")
    commit(git)
    git("config", "uploadpack.allowFilter", "true")
    clone = str(tmp_path / "clone")
    git("clone", "--quiet", "--filter=blob:none", f"file://{Path.cwd()}", clone)
    repo = repository(clone)
    with pytest.raises(LatlintError, match="partial clone"):
        old(repo, first, "m.tflite")
    assert repo.model_changes(first) == [Change("m.tflite", "m.tflite")]
    Path(clone, "m.tflite").write_bytes(b"0" * 5000)
    assert repo.model_changes(first) == []


def test_a_repositorys_programs_are_not_run(git: Git, tmp_path: Path) -> None:
    put("m.tflite", b"0")
    put(".gitattributes", b"* filter=evil diff=evil text\n")
    first = commit(git)
    mark = tmp_path / "ran"
    evil = put(str(tmp_path / "evil.sh"), f"#!/bin/sh\necho $0 $@ >> {mark}\ncat\n".encode())
    evil.chmod(0o755)
    for key in (
        *("filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "diff.evil.textconv", "diff.evil.command"),
        *("diff.external", "core.fsmonitor", "core.pager", "core.sshCommand", "core.editor", "core.askPass"),
    ):
        git("config", key, str(evil))
    git("config", "filter.evil.required", "true")
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("post-index-change", "fsmonitor-watchman", "reference-transaction"):
        (hooks / name).symlink_to(evil)
    git("config", "core.hooksPath", str(hooks))
    put("m.tflite", b"1")
    subprocess.run(["git", "diff"], capture_output=True, check=False)
    assert mark.exists(), "git itself does run them"
    mark.unlink()
    repo = repository()
    assert old(repo, repo.merge_base("HEAD"), "m.tflite") == b"0"
    assert repo.model_changes(first) == [Change("m.tflite", "m.tflite")]
    assert not mark.exists(), mark.read_text()


def test_the_environment_of_a_hook_leads_nowhere_else(
    git: Git, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put("m.tflite", b"0")
    first = commit(git)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "no-index"))
    assert repository().commit("HEAD") == first


def test_what_is_too_large_is_not_read(git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    put("m.tflite", b"0" * 5000)
    first = commit(git)
    repo = repository()
    entry = repo.entry(first, "m.tflite")
    assert entry is not None and repo.read(entry, 5000) == b"0" * 5000
    with pytest.raises(LatlintError, match="at most 4999 are read"):
        repo.read(entry, 4999)
    monkeypatch.setattr("latlint.project.git.MAX_FILE_BYTES", 4999)
    with pytest.raises(LatlintError, match="at most 4999 are read"):
        old(repo, first, "m.tflite")


def test_a_directory_that_a_pull_request_made_look_like_a_repository_is_none(git: Git) -> None:
    put("models/x/m.tflite", b"0")
    first = commit(git)
    put("models/x/m.tflite", b"1")
    git("clone", "--quiet", "--bare", ".", "models/x/forged")
    for name in ("HEAD", "objects", "refs", "packed-refs"):
        if Path("models/x/forged", name).exists():
            Path("models/x/forged", name).rename(Path("models/x", name))
    Path("models/x/refs/heads").mkdir(parents=True, exist_ok=True)
    put("models/x/config", b"[core]\nrepositoryformatversion = 0\nbare = false\nworktree = .\n")
    top = subprocess.run(
        ["git", "-C", "models/x", "rev-parse", "--show-toplevel"], capture_output=True, text=True, check=True
    )
    assert top.stdout.strip().endswith("models/x"), "git itself takes it for one"
    for path in ("models/x/m.tflite", "models/x", "models/x/gone/m.tflite"):
        assert repository(path).root == Path.cwd()
    assert repository("models/x").model_changes(first) == [Change("models/x/m.tflite", "models/x/m.tflite")]


def test_a_working_tree_elsewhere_is_refused(git: Git, tmp_path: Path) -> None:
    put("m.tflite", b"0")
    commit(git)
    (tmp_path / "other").mkdir()
    git("config", "core.worktree", str(tmp_path / "other"))
    with pytest.raises(LatlintError, match="not the working tree"):
        repository()


def unaware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git as it was before it knew of ``GIT_NO_LAZY_FETCH``."""
    real = shutil.which("git")
    old_git = put(str(tmp_path / "bin/git"), f'#!/bin/sh\nunset GIT_NO_LAZY_FETCH\nexec {real} "$@"\n'.encode())
    old_git.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old_git.parent}{os.pathsep}{os.environ['PATH']}")


def test_no_remote_is_asked_whatever_the_configuration_allows(
    git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("m.tflite", b"0" * 5000)
    first = commit(git)
    git("config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "clone"
    git("clone", "--quiet", "--filter=blob:none", "--no-checkout", f"file://{Path.cwd()}", str(clone))
    mark = tmp_path / "ran"
    trap = put(str(tmp_path / "trap"), f"#!/bin/sh\necho ran >> {mark}\n".encode())
    trap.chmod(0o755)
    for key, value in (("remote.origin.url", f"ext::{trap}"), ("protocol.ext.allow", "always")):
        subprocess.run(["git", "-C", str(clone), "config", key, value], check=True)
    unaware(tmp_path, monkeypatch)
    blob = subprocess.run(["git", "rev-parse", f"{first}:m.tflite"], capture_output=True, text=True, check=True)
    subprocess.run(["git", "-C", str(clone), "cat-file", "-e", blob.stdout.strip()], capture_output=True, check=False)
    assert mark.exists(), "the trap works"
    mark.unlink()
    repo = repository(clone)
    with pytest.raises(LatlintError, match="partial clone") as caught:
        old(repo, first, "m.tflite")
    repo.model_changes(first)
    assert not mark.exists()
    assert "cat-file" not in caught.value.message, "advice that would run the trap"


@pytest.mark.parametrize("said", ["git version 2.37.9", "git version 1.8.3.1", "fossil 3"])
def test_an_old_git_is_refused(said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    fake = put(str(tmp_path / "bin/git"), f"#!/bin/sh\necho {said}\n".encode())
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")
    git_module._version.cache_clear()
    try:
        with pytest.raises(LatlintError, match=r"git 2\.38 or later is needed .* this is"):
            repository(tmp_path)
    finally:
        git_module._version.cache_clear()


def test_a_full_disk_is_told_from_a_partial_clone(git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    put("m.tflite", b"0" * 5000)
    first = commit(git)
    repo = repository()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10000, 6000, 4000))
    with pytest.raises(LatlintError, match="needs 5000 bytes in the temporary directory, which has 4000 left"):
        old(repo, first, "m.tflite")


def test_an_lfs_object_that_stops_short_is_not_read(git: Git) -> None:
    """As an interrupted fetch leaves it: its name promises more than it holds."""
    content = b"weights" * 1000
    put("m.tflite", pointer(content))
    first = commit(git)
    oid = hashlib.sha256(content).hexdigest()
    put(f".git/lfs/objects/{oid[:2]}/{oid[2:4]}/{oid}", content[:-1])
    with pytest.raises(LatlintError, match="git lfs fetch") as caught:
        old(repository(), first, "m.tflite")
    assert caught.value.code == "LAT002"


@pytest.mark.parametrize(
    "how", ["echo 'fatal: write failure on standard output: No space left' >&2; exit 128", "kill -9 $$"]
)
def test_a_budget_that_could_not_be_held_does_not_pass(
    how: str,
    git: Git,
    tmp_path: Path,
    model: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Without its past, nothing is known of what a model's change costs. A disk that is full is no reason to let it through."""
    for name in ("a.tflite", "b.tflite"):
        shutil.copy(model("one_gelu.tflite"), name)
    put("latlint.toml", b'targets = ["pixel-4/gpu"]\n[[budgets]]\nmodel = "a.tflite"\nmax-increase = "5%"\n')
    commit(git)
    shutil.copy(model("mobilenet_v2.tflite"), "a.tflite")
    assert main(["check", "--no-cache"]) == 1, "it is a regression"
    real = shutil.which("git")
    fake = put(
        str(tmp_path / "bin/git"),
        f'#!/bin/sh\ncase "$*" in *"cat-file blob"*) {how};; esac\nexec {real} "$@"\n'.encode(),
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")
    capfd.readouterr()
    assert main(["check", "--no-cache", "--format", "json"]) == 1
    document = json.loads(capfd.readouterr().out)
    (finding,) = (each for each in document["findings"] if each["code"] == "LAT106")
    assert "git cannot read its content" in finding["message"] and "partial clone" not in finding["message"]
    words = {each["model"]: each.get("verdict", {}).get("word") for each in document["predictions"]}
    assert words == {"a.tflite": "unjudged", "b.tflite": None}, "the other is not in doubt"
