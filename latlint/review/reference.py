"""What a model took before a change: as the lock says it at the commit that the change starts from, or as the model was there.

In a git repository that commit is the merge base of ``HEAD`` and the settings' ``base``; without ``base`` it is ``HEAD``, which is
what a commit in the making changes. Elsewhere the lock of the working tree is all there is.

A line of the lock counts where the same latlint and pack made it: only then a difference is the model's. Else the model is read from
git as it was, and predicted again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from latlint.errors import EnvironmentFailedError, LatlintError
from latlint.latency.types import Prediction
from latlint.project import repository
from latlint.review import lock, records
from latlint.review.lock import Entry, Key
from latlint.run.past import predict_at
from latlint.run.targets import load_packs, targets_named
from latlint.settings import LOCK_FILE, Settings

if TYPE_CHECKING:
    from latlint.project.git import Repository

_MAX_LOCK_BYTES = 64_000_000


class Reference(NamedTuple):
    """``latency_ms`` and its ``source``, such as ``main at 0a1b2c3``; or ``None``, and why there is nothing to compare with."""

    latency_ms: float | None
    source: str


@dataclass(frozen=True, slots=True)
class _Base:
    """The commit to compare with, and how it is called: ``main at 0a1b2c3``."""

    repository: Repository
    commit: str
    name: str


class References:
    """What models took before. Git and the lock are asked when the first one is wanted, and once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def name(self) -> str:
        """What is compared with."""
        return self._base.name if self._base else f"{LOCK_FILE} as it is, for want of a commit"

    def of(self, predictions: Sequence[Prediction]) -> list[Reference]:
        """For each of the ``predictions`` of one model, what the model took on its target."""
        model = predictions[0].model
        try:
            before = self._before(model)
            entries = [self._entries.get((before, prediction.target)) for prediction in predictions]
            found = {
                each.target: _from_lock(each, entry, self.name)
                for each, entry in zip(predictions, entries, strict=True)
            }
            missing = [target for target, reference in found.items() if reference is None]
            again = self._again(before, model, missing) if missing else {}
        except EnvironmentFailedError:
            raise
        except LatlintError as error:
            return [Reference(None, error.message)] * len(predictions)
        return [found[each.target] or again[each.target] for each in predictions]

    @cached_property
    def _base(self) -> _Base | None:
        wanted = self._settings.base
        if wanted is None and repository.top_of(Path(os.path.realpath(self._settings.root))) is None:
            return None
        from latlint.project import git

        there = git.repository(self._settings.root)
        if wanted is None and not there.has_commits():
            return None
        commit = there.commit("HEAD") if wanted is None else there.merge_base(wanted)
        return _Base(there, commit, f"{wanted or 'HEAD'} at {commit[:7]}")

    @cached_property
    def _entries(self) -> Mapping[Key, Entry]:
        """The lines of the lock then. One that cannot be understood is as none: its models are predicted again."""
        if self._base is None:
            found = lock.read(self._settings)
            return found.entries if found else {}
        there, commit = self._base.repository, self._base.commit
        file = there.entry(commit, there.relative(lock.path_of(self._settings)))
        if file is None:
            return {}
        try:
            text = records.decoded(there.read(file, _MAX_LOCK_BYTES), file.path)
            return lock.parsed(text, file.path).entries
        except EnvironmentFailedError:
            raise
        except LatlintError:
            return {}

    @cached_property
    def _moved(self) -> Mapping[str, str]:
        """Models that have another path now: the new to the old, both from the top of the repository. What git does not know by its
        content is known by its name, where one model of that name is gone and one has come."""
        assert self._base is not None
        changes = self._base.repository.model_changes(self._base.commit)
        moved = {each.new: each.old for each in changes if each.new and each.old and each.new != each.old}
        gone = _alone_by_name(each.old for each in changes if each.old and not each.new)
        come = _alone_by_name(each.new for each in changes if each.new and not each.old)
        return moved | {come[name]: gone[name] for name in gone.keys() & come.keys()}

    def _before(self, model: str) -> str:
        """The path that ``model`` had, from the directory of the configuration."""
        path = self._settings.relative(model)
        if self._base is None or any(path == known for known, _ in self._entries):
            return path
        there, commit = self._base.repository, self._base.commit
        name = there.relative(model)
        old = name if there.entry(commit, name) else self._moved.get(name, name)
        return path if old == name else self._settings.relative(there.root / old)

    def _again(self, before: str, model: str, targets: Sequence[str]) -> dict[str, Reference]:
        """The model ``before`` was at the base, predicted on ``targets`` with what latlint knows now."""
        if self._base is None:
            return dict.fromkeys(targets, Reference(None, _UNKNOWN))
        there = self._base.repository
        file = there.entry(self._base.commit, there.relative(self._settings.root / before))
        if file is None:
            return dict.fromkeys(targets, Reference(None, f"it is new: {self._base.name} has no such model"))
        try:
            packs = load_packs(targets_named(targets, self._settings.packs))
            planned = predict_at(there, file, model, self._settings.input_shapes(model), packs)
        except EnvironmentFailedError:
            raise
        except LatlintError as error:
            why = f"as it was in {self._base.name} it cannot be read: {error.message}"
            return dict.fromkeys(targets, Reference(None, why))
        return {prediction.target: Reference(prediction.latency_ms, self.name) for prediction, _ in planned}


def _alone_by_name(paths: Iterable[str]) -> dict[str, str]:
    """Those of ``paths`` whose file name no other has, by that name."""
    found: dict[str, list[str]] = {}
    for path in paths:
        found.setdefault(PurePosixPath(path).name, []).append(path)
    return {name: alike[0] for name, alike in found.items() if len(alike) == 1}


def _from_lock(prediction: Prediction, entry: Entry | None, name: str) -> Reference | None:
    """The line's latency, if it can be compared. The same model has not changed, whatever predicted it, and for what shapes."""
    if entry is None:
        return None
    if prediction.sha256.startswith(entry.sha256):
        return Reference(prediction.latency_ms, name)
    return Reference(entry.latency_ms, name) if entry.pack == lock.pack_of(prediction) else None


_UNKNOWN = (
    f"{LOCK_FILE} has no line for it, or one that another latlint or pack made: "
    "run `latlint lock` before the next change of the model"
)
