"""What a change does to latency: two models, or the models of two states of a repository, kernel by kernel on each target."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from latlint.difference.types import Base, Difference, ModelChange
from latlint.errors import LatlintError
from latlint.outcome import InputError
from latlint.project.git import Change, Repository, repository
from latlint.run.past import predict_at, predict_now
from latlint.run.targets import load_packs, resolve_targets
from latlint.run.work import predict_graph
from latlint.settings import Settings
from latlint.whatif.change import target_changes
from latlint.whatif.launches import Launch, launches
from latlint.whatif.matching import alike

if TYPE_CHECKING:
    from latlint.latency.packs import NamedTarget
    from latlint.run.past import Planned

#: So many models that are gone are compared with new ones, to see which were renamed.
_MAX_COMPARED = 400


def between_files(old: str, new: str, settings: Settings) -> Difference:
    """What is different about the model file ``new``, which may be of another format than ``old``."""
    targets, assumed = _timed(settings)
    models: list[ModelChange] = []
    errors: list[InputError] = []
    try:
        before, after = (
            predict_now(Path(file), file, settings.input_shapes(file), targets, settings.precision)
            for file in (old, new)
        )
        models.append(ModelChange(old, new, target_changes(before, after)))
    except LatlintError as error:
        errors.append(InputError(error.path or new, error.code, error.message))
    return Difference(tuple(models), None, tuple(errors), _names(targets), (*settings.notes, *assumed))


def since(revision: str, paths: Sequence[str], settings: Settings) -> Difference:
    """What has changed in the working tree since HEAD and ``revision`` went apart, in the models at and below ``paths``.

    Without paths these are the models that the settings name, or all below their directory. Raises LatlintError where git has no
    answer, and for a path that is in neither state.
    """
    targets, assumed = _timed(settings)
    repo = repository(paths[0] if paths else settings.root)
    base = Base(revision, repo.merge_base(revision))
    below = [_known(repo, base, path) for path in paths] or [repo.relative(settings.root)]
    found: dict[Change, ModelChange] = {}
    alone: dict[Change, list[Launch]] = {}
    errors: list[InputError] = []
    for change in repo.model_changes(base.commit, below):
        if paths or any(map(settings.names_model, _files(repo, change))):
            try:
                before, after = _states(repo, base, change, targets, settings)
            except LatlintError as error:
                errors.append(InputError(error.path or "", error.code, error.message))
                continue
            found[change] = _model_change(change, before, after)
            if not (before and after):
                alone[change] = launches(*(before or after)[0])
    for old, new in _renamed(alone):
        del found[old], found[new]
        change = Change(old.old, new.new)
        found[change] = _model_change(change, *_states(repo, base, change, targets, settings))
    models = tuple(found[change] for change in sorted(found, key=lambda change: change.path))
    return Difference(models, base, tuple(errors), _names(targets), (*settings.notes, *assumed))


def as_text(file: str, settings: Settings) -> str:
    """The model ``file`` as text for ``git diff``. Raises LatlintError for a file that cannot be read."""
    from latlint.difference.textconv import textconv
    from latlint.graph import opened

    chosen, _ = resolve_targets(settings)
    with opened(file, file) as model:
        graph, sha256 = model.graph(settings.input_shapes(file), settings.precision), model.sha256()
    found = predict_graph(graph, load_packs(chosen), file, sha256)
    return textconv(graph, [(prediction, launches(prediction, plan)) for prediction, plan, _ in found])


def _timed(settings: Settings) -> tuple[list[NamedTarget], tuple[str, ...]]:
    """The targets, and notes on how they came about. Raises LatlintError for one that nobody timed: a placement has no latency to compare."""
    chosen, assumed = resolve_targets(settings)
    targets = load_packs(chosen)
    if untimed := [target.name for target in targets if not target.timed]:
        advice = "choose other targets; `latlint predict` shows the placement of each file"
        raise LatlintError(
            f"nobody timed {', '.join(untimed)}, so there is no latency to compare: {advice}", code="LAT901"
        )
    return targets, assumed


def _known(repo: Repository, base: Base, path: str) -> str:
    """``path`` from the top of the repository; it must be there or have been there."""
    relative = repo.relative(path)
    if not os.path.lexists(path) and not repo.has(base.commit, relative):
        raise LatlintError(
            f"no such file, neither here nor at {base.revision}; check the path", code="LAT005", path=path
        )
    return relative


def _files(repo: Repository, change: Change) -> Iterable[str]:
    return [os.fspath(repo.root / path) for path in (change.old, change.new) if path]


def _states(
    repo: Repository, base: Base, change: Change, targets: Sequence[NamedTarget], settings: Settings
) -> tuple[Planned, Planned]:
    """What a model was at the base and what it is now, on each target; nothing where it was not or is no more."""
    before: Planned = []
    after: Planned = []
    if change.old and (entry := repo.entry(base.commit, change.old)):
        shown, shapes = f"{base.revision}:{change.old}", settings.input_shapes(repo.root / change.old)
        try:
            before = predict_at(repo, entry, shown, shapes, targets, settings.precision)
        except LatlintError as error:
            raise LatlintError(error.message, code=error.code, path=shown) from None
    if change.new:
        new = repo.root / change.new
        after = predict_now(new, change.new, settings.input_shapes(new), targets, settings.precision)
    return before, after


def _renamed(alone: Mapping[Change, Sequence[Launch]]) -> Iterator[tuple[Change, Change]]:
    """Of models that are gone or new, by what they run, those that run most of the same kernels: one that was renamed. A model that
    was trained anew, under a name that ends in ``v2``, has nothing else in common with what it replaces."""
    gone, new = [each for each in alone if each.old], [each for each in alone if each.new]
    if len(gone) * len(new) > _MAX_COMPARED:
        return
    shares = {(old, made): alike(alone[old], alone[made]) for old in gone for made in new}
    taken: set[Change] = set()
    for pair in sorted(shares, key=lambda pair: -shares[pair]):
        if shares[pair] > 0.5 and taken.isdisjoint(pair):
            taken.update(pair)
            yield pair


def _model_change(change: Change, before: Planned, after: Planned) -> ModelChange:
    renamed = change.old is not None and change.new is not None and change.old != change.new
    return ModelChange(change.old, change.new, target_changes(before, after), renamed)


def _names(targets: Sequence[NamedTarget]) -> tuple[str, ...]:
    return tuple(target.name for target in targets)
