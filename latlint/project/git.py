"""The one place that runs git: what a file was at a revision, and which models have changed since.

A repository is somebody else's: its configuration names programs (filters, text conversions, hooks, file system monitors, remote
helpers) that git would run. No command here runs any of them. The working tree is compared with a commit by content, not with
``git diff``, which would. Nothing is fetched. The repository is the one whose ``.git`` is above a file: a directory of the working
tree that has the form of a bare repository, as a pull request can bring one, is none.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import IO

from latlint.errors import EnvironmentFailedError, LatlintError
from latlint.files import real_path
from latlint.graph.detect import LFS_POINTER_BYTES, Pointer, lfs_pointer
from latlint.graph.formats import is_model_name
from latlint.project.repository import top_of

#: A model in the history that is larger than this is not unpacked. No file of one FlatBuffer or protobuf message is larger.
MAX_FILE_BYTES = 2 << 30
#: A file of the history that is larger is not held in memory to be hashed.
_MAX_HASHED_BYTES = 64 << 20

#: The first git that knows ``safe.bareRepository``.
_LEAST_VERSION = (2, 38)

_TIMEOUT_S = 120

#: Whatever a repository's configuration says: no program but git's own, no network.
_OPTIONS = (
    "--no-pager",
    "--no-optional-locks",
    "--literal-pathspecs",
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "safe.bareRepository=explicit"),
)

#: No protocol at all: a partial clone would fetch what it lacks, and a remote helper (``ext::``) is a program. These variables win over
#: whatever the configuration says of protocols.
_ENVIRONMENT = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": ""}

#: What a hook of one repository has in its environment must not lead to that one when another is asked about.
_LOCAL_VARIABLES = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"),
    *("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_GRAFT_FILE", "GIT_SHALLOW_FILE"),
)


@dataclass(frozen=True, slots=True)
class Change:
    """A model file of the repository before and after, as paths from its top: ``old`` is ``None`` for a new one, ``new`` for one
    that is gone. When both are there and differ, it was renamed."""

    old: str | None
    new: str | None

    @property
    def path(self) -> str:
        """The path to speak of it by."""
        return self.new or self.old or ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in a commit. ``size_bytes`` is ``None`` where its content is not here, as in a partial clone."""

    path: str
    oid: str
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class Repository:
    """A git repository with a working tree, whose top is ``root``; ``git_dir`` is where git keeps it. Paths in it are relative to the
    top, with forward slashes; a ``commit`` is always a full object name."""

    root: Path
    git_dir: Path

    def relative(self, path: str | os.PathLike[str]) -> str:
        """``path``, as seen from the working directory, from the top of the working tree."""
        real = Path(real_path(path))
        if not real.is_relative_to(self.root):
            raise LatlintError(f"is not in the git repository {self.root.name}", path=os.fspath(path))
        return real.relative_to(self.root).as_posix()

    def commit(self, revision: str) -> str:
        """The commit that ``revision`` names."""
        # No revision starts with a dash; --end-of-options would be printed by git before 2.30.
        known = (
            None
            if revision.startswith("-")
            else self._try("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
        )
        if known:
            return known.strip()
        if not self.has_commits():
            raise LatlintError("the git repository has no commit yet", path=str(self.root))
        raise LatlintError(
            f"unknown git revision '{revision}': name a commit, a tag or a branch{self._if_shallow(revision)}"
        )

    def knows(self, revision: str) -> bool:
        """Whether ``revision`` names a commit that is here."""
        try:
            return bool(self.commit(revision))
        except LatlintError:
            return False

    def is_shallow(self) -> bool:
        """Whether the history is cut off."""
        return self._try("rev-parse", "--is-shallow-repository") == "true\n"

    def has_commits(self) -> bool:
        """Whether there is a commit yet."""
        return self._try("rev-parse", "--verify", "--quiet", "HEAD^{commit}") is not None

    def merge_base(self, revision: str) -> str:
        """The commit from which HEAD and ``revision`` went apart: ``revision`` itself where HEAD comes after it."""
        commit = self.commit(revision)
        base = self._try("merge-base", commit, "HEAD")
        if base is None:
            why = self._if_shallow(revision) or ": their histories are unrelated"
            raise LatlintError(f"no common ancestor of HEAD and '{revision}'{why}")
        return base.strip()

    def entry(self, commit: str, path: str) -> Entry | None:
        """The regular file ``path`` of a commit, or ``None`` where there is none."""
        return next(iter(self._entries(commit, (path,), lambda found: found == path)), None)

    def models(self, commit: str) -> dict[str, Entry]:
        """The model files of a commit by path."""
        return {entry.path: entry for entry in self._entries(commit, (".",), is_model_name)}

    def submodule(self, commit: str, path: str) -> str | None:
        """The commit of the submodule at ``path`` that a commit has, or ``None`` where it has none there."""
        listed = self._git("ls-tree", "-z", "--full-tree", commit, "--", path).partition("\t")[0].split()
        return listed[2] if len(listed) == 3 and listed[1] == "commit" else None

    def submodules(self, commit: str | None = None) -> dict[str, str]:
        """The commit of each submodule by its path, as a commit of this repository has it, or as the next one would."""
        listed = (
            self._git("ls-tree", "-r", "-z", "--full-tree", commit)
            if commit
            else self._git("ls-files", "-z", "--stage")
        )
        found = (line.partition("\t") for line in listed.split("\0") if line.startswith("160000 "))
        return {path: facts.split()[2 if commit else 1] for facts, _, path in found}

    def has(self, commit: str, path: str) -> bool:
        """Whether a commit has ``path``, a file or a directory."""
        return self._try("cat-file", "-e", f"{commit}:{path}") is not None

    def _entries(self, commit: str, below: Sequence[str], wanted: Callable[[str], bool]) -> list[Entry]:
        """The regular files of a commit at and ``below`` some paths that are ``wanted``."""
        paths = () if "." in below else below
        listing = self._git("ls-tree", "-r", "-z", "--full-tree", commit, "--", *paths)
        names = {}
        for line in listing.split("\0")[:-1]:
            facts, _, path = line.partition("\t")
            mode, _, oid = facts.split()
            if mode.startswith("100") and wanted(path):
                names[path] = oid
        sizes = self._sizes(list(names.values()))
        return [Entry(path, oid, size) for (path, oid), size in zip(names.items(), sizes, strict=True)]

    def _sizes(self, oids: Sequence[str]) -> list[int | None]:
        found = self._try("cat-file", "--batch-check=%(objectsize)", given="".join(f"{oid}\n" for oid in oids))
        # A partial clone fails as a whole for one object that it lacks.
        lines = [self._try("cat-file", "-s", oid) or "" for oid in oids] if found is None else found.splitlines()
        return [int(line) if line.strip().isdecimal() else None for line in lines]

    def read(self, entry: Entry, limit: int) -> bytes:
        """The content of a file of a commit, which has ``limit`` bytes at most."""
        self._refuse_beyond(entry, limit)
        return self._content(entry, subprocess.PIPE)

    @contextlib.contextmanager
    def file(self, entry: Entry) -> Iterator[Path]:
        """A file of a commit as one on the disk, to be read while the context lasts; what a Git LFS pointer stands for, if it is one."""
        if pointer := self.pointer(entry):
            yield self._lfs_object(entry, pointer)
            return
        size = self._refuse_beyond(entry, MAX_FILE_BYTES)
        with contextlib.ExitStack() as stack:
            try:
                directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="latlint-"))
                path = Path(directory, PurePosixPath(entry.path).name)
                _refuse_full(directory, size, entry)
                with path.open("wb") as out:
                    self._content(entry, out)
            except OSError as error:
                why = error.strerror
                raise EnvironmentFailedError(
                    f"cannot be unpacked into a temporary file: {why}", path=entry.path
                ) from None
            yield path

    def pointer(self, entry: Entry) -> Pointer | None:
        """The Git LFS pointer that a file of a commit is, if it is one."""
        small = entry.size_bytes is not None and entry.size_bytes < LFS_POINTER_BYTES
        return lfs_pointer(self.read(entry, LFS_POINTER_BYTES)) if small else None

    def sha256(self, entry: Entry) -> str:
        """The SHA-256 of a file of a commit, or of what it stands for if it is a Git LFS pointer; nothing for one that is too large to
        be hashed on the way."""
        if pointer := self.pointer(entry):
            return pointer.sha256
        if entry.size_bytes is None or entry.size_bytes > _MAX_HASHED_BYTES:
            return ""
        return hashlib.sha256(self._content(entry, subprocess.PIPE)).hexdigest()

    def model_changes(self, commit: str | None, below: Sequence[str] = (".",)) -> list[Change]:
        """What happened to the model files at and ``below`` some paths from ``commit``, or from none, to the working tree, sorted.

        Files that git ignores are left out, those that it does not know yet are new. A file that is gone and a new one with the same
        content are one that was renamed.
        """
        entries = self._entries(commit, below, is_model_name) if commit else ()
        before = {entry.path: entry for entry in entries}
        after, elsewhere = self._working_tree(below)
        changes = [
            Change(path, path)
            for path in before.keys() & after
            if not self.same_content(before[path], self.root / path)
        ]
        new = sorted(after - before.keys())
        for old in sorted(before.keys() - after - elsewhere):
            renamed = next((path for path in new if self.same_content(before[old], self.root / path)), None)
            changes.append(Change(old, renamed))
            new = [path for path in new if path != renamed]
        changes += [Change(None, path) for path in new]
        return sorted(changes, key=lambda change: change.path)

    def _working_tree(self, below: Sequence[str]) -> tuple[set[str], set[str]]:
        """The model files that are there, and those that a sparse checkout leaves out."""
        listing = self._git(
            "ls-files", "-z", "-t", "--full-name", "--cached", "--others", "--exclude-standard", "--", *below
        )
        there, elsewhere = set(), set()
        for line in listing.split("\0")[:-1]:
            tag, path = line[:1], line[2:]
            if is_model_name(path):
                file = self.root / path
                if file.is_file() and not file.is_symlink():
                    there.add(path)
                elif tag == "S":
                    elsewhere.add(path)
        return there, elsewhere

    def same_content(self, entry: Entry, file: Path) -> bool:
        """Whether ``file``, of the working tree, holds what ``entry`` does, in whichever of the two Git LFS is a pointer."""
        try:
            size = file.stat().st_size
            if entry.size_bytes in (size, None) and _blob_name(file, size, entry.oid) == entry.oid:
                return True
            pointer = self.pointer(entry)
            return pointer is not None and size == pointer.size_bytes and _sha256(file) == pointer.sha256
        except OSError as error:
            raise LatlintError(f"cannot be read: {error.strerror}", code="LAT005", path=entry.path) from None

    def _lfs_object(self, entry: Entry, pointer: Pointer) -> Path:
        """Git LFS keeps what it has fetched under its SHA-256 (docs/spec.md, docs/extensions.md of git-lfs)."""
        oid, common = pointer.sha256, self._git("rev-parse", "--git-common-dir").removesuffix("\n")
        path = self.root / common / "lfs" / "objects" / oid[:2] / oid[2:4] / oid
        if not oid or not path.is_file() or path.stat().st_size != pointer.size_bytes:
            raise LatlintError(
                "a Git LFS pointer in git, and its content is not here; run: git lfs fetch --all",
                code="LAT002",
                path=entry.path,
            )
        return path

    def _refuse_beyond(self, entry: Entry, limit: int) -> int:
        """The bytes that the content has, ``limit`` at most. Git is asked for the size first: it packs a gigabyte into a megabyte."""
        if entry.size_bytes is None:
            raise LatlintError(
                "git does not have its content, as in a partial clone; clone the repository again without --filter",
                path=entry.path,
            )
        if entry.size_bytes > limit:
            raise LatlintError(
                f"{entry.size_bytes} bytes in git; at most {limit} are read", code="LAT006", path=entry.path
            )
        return entry.size_bytes

    def _content(self, entry: Entry, out: IO[bytes] | int) -> bytes:
        """The content of a file of a commit, or nothing where it goes to the file ``out``."""
        done = self._run(("cat-file", "blob", entry.oid), out)
        if done.returncode:
            raise EnvironmentFailedError(f"git cannot read its content: {_reason(done.stderr)}", path=entry.path)
        return done.stdout or b""

    def _if_shallow(self, revision: str) -> str:
        if not self.is_shallow():
            return ""
        return f"; this is a shallow clone: fetch '{revision}' with its history (git fetch --unshallow, or fetch-depth: 0 of actions/checkout)"

    def _run(
        self, arguments: Sequence[str], out: IO[bytes] | int = subprocess.PIPE, given: str = ""
    ) -> subprocess.CompletedProcess[bytes]:
        variables = {"GIT_DIR": os.fspath(self.git_dir), "GIT_WORK_TREE": os.fspath(self.root)}
        return _run(self.root, arguments, out, given, variables)

    def _git(self, *arguments: str) -> str:
        done = self._run(arguments)
        if done.returncode:
            raise EnvironmentFailedError(f"git {arguments[0]} failed: {_reason(done.stderr)}", path=str(self.root))
        return os.fsdecode(done.stdout)

    def _try(self, *arguments: str, given: str = "") -> str | None:
        done = self._run(arguments, given=given)
        return None if done.returncode else os.fsdecode(done.stdout)


def ignored(top: Path, paths: Collection[Path]) -> set[Path]:
    """Those of ``paths``, all below ``top`` of a repository, that it ignores and does not have; nothing where git cannot say."""
    names = {f"./{path.relative_to(top).as_posix()}": path for path in paths if path != top}
    if not names:
        return set()
    try:
        _refuse_old(_version())
        # The command takes names as they are, and refuses to be told so.
        options = [option for option in _OPTIONS if option != "--literal-pathspecs"]
        given = "".join(f"{name}\0" for name in names)
        done = _started([*options, "check-ignore", "-z", "--stdin"], top, given=given)
    except (LatlintError, OSError):
        return set()
    listed = os.fsdecode(done.stdout or b"").split("\0")
    return {names[name] for name in listed if name in names}


def repository(path: str | os.PathLike[str] = ".") -> Repository:
    """The repository whose working tree holds ``path``, a file or directory that need not be there any more."""
    real = Path(real_path(path))
    root = top_of(real / "file")
    if root is None:
        raise LatlintError("is not in a git repository", path=os.fspath(path))
    done = _run(root, ("rev-parse", "--show-toplevel", "--absolute-git-dir"))
    if done.returncode:
        reason = _reason(done.stderr)
        if "not a git repository" in reason:
            reason = "is not in a git repository"
        raise LatlintError(reason, path=os.fspath(path))
    top, git_dir = os.fsdecode(done.stdout).removesuffix("\n").rpartition("\n")[::2]
    # What is called .git may be no repository, and git then goes on above it; core.worktree may name any directory.
    if Path(real_path(top)) != root:
        raise LatlintError("is not the working tree of the git repository in its .git", path=os.fspath(root))
    return Repository(root, Path(git_dir))


def _run(
    directory: Path,
    arguments: Sequence[str],
    out: IO[bytes] | int = subprocess.PIPE,
    given: str = "",
    variables: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.CompletedProcess[bytes]:
    try:
        _refuse_old(_version())
        return _started([*_OPTIONS, *arguments], directory, out, given, variables)
    except OSError as error:
        raise EnvironmentFailedError(f"git cannot be run here: {error.strerror}", path=str(directory)) from None


def _started(
    arguments: Sequence[str],
    directory: Path | None = None,
    out: IO[bytes] | int = subprocess.PIPE,
    given: str = "",
    variables: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in os.environ.items() if name not in _LOCAL_VARIABLES}
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=directory,
            env={**environment, **_ENVIRONMENT, **variables},
            input=given.encode("utf-8", "surrogateescape"),
            stdout=out,
            stderr=subprocess.PIPE,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:
        raise EnvironmentFailedError("git is not to be found: install it, or compare two files") from None
    except subprocess.TimeoutExpired:
        raise EnvironmentFailedError(f"git {' '.join(arguments[-2:])} did not end within {_TIMEOUT_S} s") from None
    except ValueError:
        raise LatlintError("no name of a revision or file in git has a null character") from None


@cache
def _version() -> str:
    """What git says of itself: ``git version 2.39.5``."""
    return _started(["version"]).stdout.decode("utf-8", "replace").strip()


def _refuse_old(version: str) -> None:
    found = re.match(r"git version (\d{1,9})\.(\d{1,9})", version)
    if found is None or (int(found[1]), int(found[2])) < _LEAST_VERSION:
        least = ".".join(map(str, _LEAST_VERSION))
        raise LatlintError(f"git {least} or later is needed to read a repository safely; this is '{version[:40]}'")


def _refuse_full(directory: str, size_bytes: int, entry: Entry) -> None:
    free = shutil.disk_usage(directory).free
    if size_bytes > free:
        raise EnvironmentFailedError(
            f"needs {size_bytes} bytes in the temporary directory, which has {free} left; name another one in TMPDIR",
            path=entry.path,
        )


def _reason(message: bytes) -> str:
    """What git says went wrong, in one line."""
    lines = message.decode("utf-8", "replace").splitlines() or ["no message"]
    return next((line for line in lines if line.startswith("fatal: ")), lines[0]).removeprefix("fatal: ")


def _blob_name(file: Path, size: int, like: str) -> str:
    """The name that git gives to the content of ``file`` (in a repository of SHA-1 or SHA-256, as that of ``like``)."""
    digest = hashlib.sha256() if len(like) == 64 else hashlib.sha1(usedforsecurity=False)
    digest.update(b"blob %d\0" % size)
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
