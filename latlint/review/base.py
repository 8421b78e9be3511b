"""Which commit a change starts from.

It is the merge base of ``HEAD`` and, of these, the first there is: the settings' ``base``; the branch that a pull request goes to, as the
variables of CI services say it; the default branch. Where a repository has no default branch that is known here, it is ``HEAD`` itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from latlint.errors import LatlintError
from latlint.files import real_path
from latlint.project.repository import top_of
from latlint.records import NamedTuple
from latlint.settings import Settings

if TYPE_CHECKING:
    from latlint.project.git import Repository

#: What services say of the pull request that they build: a branch that it goes to, by name, or a commit. Empty where they build none.
PULL_REQUEST_VARIABLES = (
    "GITHUB_BASE_REF",
    "CI_MERGE_REQUEST_DIFF_BASE_SHA",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME",
    "CHANGE_TARGET",
    "SYSTEM_PULLREQUEST_TARGETBRANCH",
    "BITBUCKET_PR_DESTINATION_COMMIT",
    "BITBUCKET_PR_DESTINATION_BRANCH",
)

_DEFAULT_BRANCHES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")


class Base(NamedTuple):
    """The commit to compare with, and how it is called: ``main at 0a1b2c3``. ``is_head``: nothing was committed since."""

    repository: Repository
    commit: str
    name: str
    is_head: bool


def base_of(settings: Settings, environment: Mapping[str, str] = os.environ) -> Base | None:
    """The commit that models are compared with; ``None`` where there is no git, or no commit yet. Raises LatlintError where it cannot
    be had."""
    if settings.base is None and top_of(Path(real_path(settings.root))) is None:
        return None
    from latlint.project import git

    there = git.repository(settings.root)
    if settings.base is None and not there.has_commits():
        return None
    revision, called = _revision(there, settings, environment)
    head = there.commit("HEAD")
    commit = there.merge_base(revision) if revision != "HEAD" else head
    return Base(there, commit, f"{called} at {commit[:7]}", commit == head)


def _revision(there: Repository, settings: Settings, environment: Mapping[str, str]) -> tuple[str, str]:
    """The revision that HEAD is held against, and what to call it."""
    if settings.base is not None:
        return settings.base, settings.base
    stated = {name: environment[name] for name in PULL_REQUEST_VARIABLES if environment.get(name)}
    for name, value in stated.items():
        for revision in _spellings(value, name):
            if there.knows(revision):
                called = value.removeprefix("refs/heads/") if len(value) < 40 else value[:7]
                return revision, f"{called} ({name})"
    if stated:
        name, value = next(iter(stated.items()))
        raise LatlintError(
            f"{name} says that the change goes to '{value}', which git does not have here: fetch it with its history "
            "(fetch-depth: 0 of actions/checkout, GIT_DEPTH: 0 of GitLab, or git fetch --unshallow)"
        )
    for revision in _DEFAULT_BRANCHES:
        if there.knows(revision):
            return revision, revision
    if there.is_shallow():
        raise LatlintError(
            "this is a shallow clone without the default branch: fetch that with its history (git fetch --unshallow, or "
            "fetch-depth: 0 of actions/checkout), or state base"
        )
    return "HEAD", "HEAD"


def _spellings(value: str, variable: str) -> Iterator[str]:
    """The revisions that a variable may mean, the one that a clone of a service has first."""
    if variable.endswith(("_SHA", "_COMMIT")):
        yield value
        return
    branch = value.removeprefix("refs/heads/")
    yield f"refs/remotes/origin/{branch}"
    yield f"refs/heads/{branch}"
