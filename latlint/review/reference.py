"""What a model took before a change: as the lock says it at the commit that the change starts from (``base``), or as the model was there.

A model that has not changed takes what it takes now. A line of the lock counts where the same latlint and pack made it, of the very file
that the commit has: only then a difference is the model's. Else the model is read from git as it was, and predicted again. Where there is
no git, the lock of the working tree is all there is.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from latlint.errors import EnvironmentFailedError, LatlintError
from latlint.files import real_path
from latlint.graph.formats import dialect
from latlint.latency.types import Gain, Prediction
from latlint.project.repository import top_of
from latlint.records import NamedTuple
from latlint.review import lock, records
from latlint.review.base import Base, base_of
from latlint.review.lock import Entry, Key
from latlint.run.past import predict_at, predict_now
from latlint.run.targets import load_packs, targets_named
from latlint.settings import LOCK_FILE, Settings
from latlint.whatif.change import TargetChange, target_changes

if TYPE_CHECKING:
    from latlint.latency.packs import Target
    from latlint.project import git
    from latlint.project.git import Repository

#: A model that has come and one that is gone are one that was renamed, when their ops are alike in this share: all but those that
#: unpack weights, which a conversion to another type adds.
_ALIKE = 0.5
_UNPACKING = ("dequantize", "quantize", "densify")


class Reference(NamedTuple):
    """``latency_ms`` and its ``source``, such as ``main at 0a1b2c3``; or ``None``, and why there is nothing to compare with: the model
    ``is_new``, or the comparison cannot be made. ``gain`` is what the change saves, where both models are known, and ``kernels`` what
    happened to each kernel, where the old model was read."""

    latency_ms: float | None
    source: str
    is_new: bool = False
    gain: Gain | None = None
    kernels: TargetChange | None = None


class _Before(NamedTuple):
    """The file that a model was at the base, and the repository, which may be a submodule; ``None`` for a model that is new."""

    repository: Repository
    entry: git.Entry | None
    base: str


class References:
    """What models took before. Git and the lock are asked when the first one is wanted, and once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._failure: LatlintError | None = None
        #: How many models were compared, and of how many that was with themselves.
        self._compared = self._unchanged = 0
        self._models = cache(self._models_of)
        self._moved = cache(self._moved_in)

    @cached_property
    def name(self) -> str:
        """What is compared with. Raises LatlintError for a stated base that git does not know."""
        base = self._base
        if self._failure:
            return f"nothing: {self._failure.message}"
        return base.name if base else f"the current {LOCK_FILE}, as there is no commit yet"

    @property
    def with_itself(self) -> str | None:
        """What is compared with, if each model was compared with itself, for nothing has changed since."""
        same = self._base is not None and self._base.is_head and 0 < self._compared == self._unchanged
        return self.name if same else None

    @property
    def commit(self) -> str:
        """The commit that is compared with, short; empty where there is none."""
        return self._base.commit[:7] if self._base else ""

    def of(self, predictions: Sequence[Prediction], *, kernels: bool = False) -> list[Reference]:
        """For each of the ``predictions`` of one model, what the model took on its target; with ``kernels`` the old model is read though
        the lock has a line for it."""
        try:
            found = self._found(predictions, kernels)
        except LatlintError as error:
            return [Reference(None, error.message)] * len(predictions)
        return [found[each.target] for each in predictions]

    def _found(self, predictions: Sequence[Prediction], kernels: bool) -> dict[str, Reference]:
        model = predictions[0].model
        if self._base is None:
            if self._failure:
                raise self._failure
            return {each.target: self._from_working_tree(each) for each in predictions}
        before = self._before(model)
        self._compared += not kernels
        if before.entry is None:
            why = f"it is new: {before.base} has no such model"
            return {each.target: Reference(None, why, is_new=True) for each in predictions}
        if before.repository.same_content(before.entry, Path(model)):
            self._unchanged += not kernels and before.repository.relative(model) == before.entry.path
            return {each.target: Reference(each.latency_ms, self.name, gain=_NOTHING) for each in predictions}
        found = {each.target: None if kernels else self._from_lock(each, before) for each in predictions}
        missing = [target for target, reference in found.items() if reference is None]
        again = self._again(before, model, missing) if missing else {}
        return {target: reference or again[target] for target, reference in found.items()}

    @cached_property
    def _base(self) -> Base | None:
        try:
            return base_of(self._settings)
        except LatlintError as error:
            if self._settings.base is not None:
                raise
            self._failure = error
            return None

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
            text = records.decoded(there.read(file, records.MAX_BYTES), file.path)
            return lock.parsed(text, file.path).entries
        except EnvironmentFailedError:
            raise
        except LatlintError:
            return {}

    def _from_working_tree(self, prediction: Prediction) -> Reference:
        """What the lock says of it, where there is no commit."""
        entry = self._entries.get((self._settings.relative(prediction.model), prediction.target))
        if entry is None:
            where = "" if self._entries else "there is no commit yet, and "
            said = f"it is new: {where}{LOCK_FILE} has no line for it; run `latlint lock`"
            return Reference(None, said, is_new=True)
        if entry.sha256 and prediction.sha256.startswith(entry.sha256):
            return Reference(prediction.latency_ms, self.name, gain=_NOTHING)
        if entry.pack != lock.pack_of(prediction):
            return Reference(
                None,
                f"another latlint or pack made the line of {LOCK_FILE}: run `latlint lock` before the next change of the model",
            )
        return Reference(entry.latency_ms, self.name)

    def _from_lock(self, prediction: Prediction, before: _Before) -> Reference | None:
        """The line's latency, if the same latlint made it of the file that the base has."""
        assert before.entry is not None
        path = self._settings.relative(before.repository.root / before.entry.path)
        entry = self._entries.get((path, prediction.target))
        if entry is None or entry.pack != lock.pack_of(prediction):
            return None
        sha256 = before.repository.sha256(before.entry)
        return Reference(entry.latency_ms, self.name) if entry.sha256 and sha256.startswith(entry.sha256) else None

    def _before(self, model: str) -> _Before:
        """What ``model`` was at the base, under whatever name."""
        assert self._base is not None
        there, commit, name = self._home(Path(real_path(model)).parent)
        path = there.relative(model)
        if commit is None:
            return _Before(there, None, name)
        models = self._models(there, commit)
        entry = models.get(path) or there.entry(commit, path)
        return _Before(there, entry or self._moved(there, commit).get(path), name)

    def _home(self, directory: Path) -> tuple[Repository, str | None, str]:
        """The repository that holds ``directory``: the base's, or a submodule of it; its commit at the base, if it was there; its name."""
        assert self._base is not None
        root, top = self._base.repository.root, top_of(directory)
        if top is None or top == root or not top.is_relative_to(root):
            return self._base.repository, self._base.commit, self._base.name
        from latlint.project import git

        outer, commit, _ = self._home(top.parent)
        inner, path = git.repository(top), outer.relative(top)
        oid = commit and outer.submodule(commit, path)
        if not oid:
            return inner, None, self._base.name
        if not inner.knows(oid):
            raise LatlintError(
                f"the submodule '{path}' was at {oid[:7]}, which is not here: run git fetch in it, with its history"
            )
        return inner, oid, f"{path} at {oid[:7]}"

    def _models_of(self, there: Repository, commit: str) -> Mapping[str, git.Entry]:
        return there.models(commit)

    def _moved_in(self, there: Repository, commit: str) -> Mapping[str, git.Entry]:
        """What models that have another path now were: known by content, or by a name that no other has, or by their ops."""
        models, changes = self._models(there, commit), there.model_changes(commit)
        moved = {each.new: models[each.old] for each in changes if each.new and each.old and each.new != each.old}
        gone = [each.old for each in changes if each.old and not each.new]
        come = [each.new for each in changes if each.new and not each.old]
        for path, old in _paired_by_name(gone, come) or ():
            moved[path] = models[old]
        gone, come = [each for each in gone if models[each] not in moved.values()], [p for p in come if p not in moved]
        if gone and come:
            then = {path: self._ops_then(there, models[path]) for path in gone}
            now = {path: _ops(there.root / path) for path in come}
            pairs = sorted(
                ((_alike(now[new], then[old]), new, old) for new in come for old in gone), key=lambda pair: -pair[0]
            )
            for share, new, old in pairs:
                if share >= _ALIKE and new not in moved and models[old] not in moved.values():
                    moved[new] = models[old]
        return moved

    def _ops_then(self, there: Repository, entry: git.Entry) -> Counter[str]:
        with there.file(entry) as file:
            return _ops(file)

    def _again(self, before: _Before, model: str, targets: Sequence[str]) -> dict[str, Reference]:
        """The model ``before`` was at the base, predicted on ``targets`` with what latlint knows now."""
        assert before.entry is not None
        packs = load_packs(targets_named(targets, self._settings.packs))
        shapes, as_if = self._settings.input_shapes(model), self._settings.precision
        try:
            then = predict_at(before.repository, before.entry, model, shapes, packs, as_if)
        except LatlintError as error:
            raise LatlintError(f"as it was in {before.base} it cannot be read: {error.message}") from None
        now = predict_now(self._settings.start / model, model, shapes, packs, as_if)
        named = {target.name: target for target in packs}
        chosen = [named[each.target].for_dialect(dialect(each.format)) for each, _ in now]
        return {
            old.target: Reference(old.latency_ms, self.name, gain=_gain(old, new, target), kernels=change)
            for (old, _), (new, _), target, change in zip(then, now, chosen, target_changes(then, now), strict=True)
        }


#: What a model that has not changed saves.
_NOTHING = Gain(0.0, 0.0, 0.0)


def _gain(old: Prediction, new: Prediction, target: Target) -> Gain:
    """What ``new`` saves over ``old``; nothing at all where the same kernels run."""
    from latlint.whatif.gain import Spending, gain

    before, after = (
        Spending(
            [(each.implementation, each.latency_ms, each.source == "predicted") for each in prediction.kernels],
            prediction.overhead_ms,
            prediction.latency_ms,
        )
        for prediction in (old, new)
    )
    if before == after:
        return _NOTHING
    return gain(before, after, target, new.precision)


def _paired_by_name(gone: Sequence[str], come: Sequence[str]) -> list[tuple[str, str]]:
    """Paths that have come and are gone, where one of either has the file name."""

    def alone(paths: Sequence[str]) -> dict[str, str]:
        names = Counter(PurePosixPath(path).name for path in paths)
        return {PurePosixPath(path).name: path for path in paths if names[PurePosixPath(path).name] == 1}

    old, new = alone(gone), alone(come)
    return [(new[name], old[name]) for name in old.keys() & new.keys()]


def _ops(file: Path) -> Counter[str]:
    """How many ops of each kind a model has; none where it cannot be read, which is said elsewhere."""
    from latlint.graph import opened

    try:
        with opened(os.fspath(file), file.name) as model:
            return Counter(node.kind for node in model.graph(()).nodes if node.kind not in _UNPACKING)
    except LatlintError:
        return Counter()


def _alike(one: Counter[str], other: Counter[str]) -> float:
    """The share of ops that two models have in common."""
    return (one & other).total() / ((one | other).total() or 1)
