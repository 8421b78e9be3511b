"""What a change does to latency: two models, or the models of two states of a repository, kernel by kernel on each target."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from latlint.difference.types import Base, Difference, ModelChange
from latlint.errors import LatlintError
from latlint.files import real_path
from latlint.outcome import InputError
from latlint.project.git import Change, Repository, repository
from latlint.project.repository import top_of
from latlint.records import NamedTuple
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
    repo = _outermost(repository(paths[0]), settings) if paths else repository(settings.root)
    base = Base(revision, repo.merge_base(revision))
    homes: dict[Change, _Home] = {}
    found: dict[Change, ModelChange] = {}
    alone: dict[Change, list[Launch]] = {}
    errors: list[InputError] = []
    below = [repo.relative(path) for path in paths] or [repo.relative(settings.root)]
    notes: list[str] = []
    parts = list(_homes(_Home(repo, base.commit, "", tuple(below)), errors, notes))
    for path in paths:
        _refuse_unknown(path, base, parts)
    for home in parts:
        for within in home.repository.model_changes(home.commit, home.below):
            change = Change(within.old and home.prefix + within.old, within.new and home.prefix + within.new)
            homes[change] = home
            if paths or any(map(settings.names_model, _files(repo, change))):
                try:
                    before, after = _states(repo, home, base, change, targets, settings)
                except LatlintError as error:
                    errors.append(InputError(error.path or "", error.code, error.message))
                    continue
                found[change] = _model_change(change, before, after)
                if not (before and after):
                    alone[change] = launches(*(before or after)[0])
    for old, new in _renamed(alone):
        del found[old], found[new]
        change = Change(old.old, new.new)
        found[change] = _model_change(change, *_states(repo, homes[old], base, change, targets, settings))
    models = tuple(found[change] for change in sorted(found, key=lambda change: change.path))
    return Difference(models, base, tuple(errors), _names(targets), (*settings.notes, *assumed, *notes))


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


class _Home(NamedTuple):
    """A repository, or a submodule of one: its commit at the base (``None`` for a submodule that is new), what the paths of its files begin
    with as seen from the outermost one, and the paths of its own that are wanted."""

    repository: Repository
    commit: str | None
    prefix: str
    below: tuple[str, ...]


def _outermost(inner: Repository, settings: Settings) -> Repository:
    """The repository of the configuration if ``inner`` is it or a submodule of it: a base is a commit of that one, as it is for `check`."""
    found = inner
    limit = top_of(Path(real_path(settings.root)))
    while limit and found.root != limit and (top := top_of(found.root.parent)) and top.is_relative_to(limit):
        outer = repository(top)
        if outer.relative(found.root) not in outer.submodules():
            return inner
        found = outer
    return found if found.root == limit else inner


def _homes(home: _Home, errors: list[InputError], notes: list[str]) -> Iterator[_Home]:
    """The repository ``home`` and its submodules, as far as its paths lead: an error for one of whose history too little is here, a note on one
    that has moved and is not here at all."""
    yield home
    then = home.repository.submodules(home.commit) if home.commit else {}
    now = home.repository.submodules()
    for path in sorted({*then, *now}):
        root, shown, commit = home.repository.root / path, home.prefix + path, then.get(path)
        below = tuple(dict.fromkeys(_within(path, home.below)))
        if not below:
            continue
        if not os.path.lexists(root / ".git"):
            if commit != now.get(path):
                notes.append(f"the submodule {shown} has changed and is not checked out: its models are not compared")
            continue
        inner = repository(root)
        if commit and not inner.knows(commit):
            message = f"was at {commit[:7]}, which is not here: run git fetch in it, with its history"
            errors.append(InputError(shown, "LAT005", message))
            continue
        yield from _homes(_Home(inner, commit, f"{shown}/", below), errors, notes)


def _within(submodule: str, below: Iterable[str]) -> Iterator[str]:
    """What of a submodule is at and ``below`` paths of the repository that it is in."""
    for path in below:
        if path == "." or f"{submodule}/".startswith(f"{path}/"):
            yield "."
        elif path.startswith(f"{submodule}/"):
            yield path.removeprefix(f"{submodule}/")


def _refuse_unknown(path: str, base: Base, homes: Sequence[_Home]) -> None:
    """Raises LatlintError for a path that neither is there nor was."""
    if os.path.lexists(path):
        return
    relative = homes[0].repository.relative(path)
    if not any(
        home.commit and home.repository.has(home.commit, relative.removeprefix(home.prefix))
        for home in homes
        if relative.startswith(home.prefix)
    ):
        raise LatlintError(
            f"no such file, neither here nor at {base.revision}; check the path", code="LAT005", path=path
        )


def _files(repo: Repository, change: Change) -> Iterable[str]:
    return [os.fspath(repo.root / path) for path in (change.old, change.new) if path]


def _states(
    repo: Repository, home: _Home, base: Base, change: Change, targets: Sequence[NamedTarget], settings: Settings
) -> tuple[Planned, Planned]:
    """What a model was at the base, in ``home``, and what it is now, on each target; nothing where it was not or is no more."""
    before: Planned = []
    after: Planned = []
    entry = change.old and home.commit and home.repository.entry(home.commit, change.old.removeprefix(home.prefix))
    if change.old and entry:
        shown, shapes = f"{base.revision}:{change.old}", settings.input_shapes(repo.root / change.old)
        try:
            before = predict_at(home.repository, entry, shown, shapes, targets, settings.precision)
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
