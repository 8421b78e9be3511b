"""Which targets a run is about."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from latlint import checks
from latlint.errors import LatlintError
from latlint.globs import covers_target
from latlint.graph.ops import KINDS
from latlint.latency.catalogue import find_targets, pack_hash, pack_stamp, select_targets
from latlint.records import NamedTuple
from latlint.settings import Settings
from latlint.words import nearest

if TYPE_CHECKING:
    from latlint.latency.packs import NamedTarget


class TargetPack(NamedTuple):
    """A target by name, with the directory of its pack and what tells that the pack has changed since."""

    name: str
    directory: Path
    stamp: str

    @property
    def pack_hash(self) -> str:
        """See ``catalogue.pack_hash``."""
        return _pack_hash(self.directory, self.stamp)


@lru_cache(maxsize=256)
def _pack_hash(directory: Path, stamp: str) -> str:
    return pack_hash(directory)


def resolve_targets(settings: Settings) -> tuple[tuple[TargetPack, ...], tuple[str, ...]]:
    """The targets of a run, sorted by name, and notes on how they came about. Raises ``LatlintError`` for an unknown one."""
    known = find_targets(settings.packs)
    patterns, notes = settings.target_patterns()
    names = select_targets(patterns, known)
    _refuse_unknown_in_budgets(settings, known)
    _refuse_idle_budgets(settings, names)
    return _with_packs(names, known), (*notes, *_newer_runtimes(names, known))


def _newer_runtimes(names: Sequence[str], known: Mapping[str, Path]) -> list[str]:
    """That LiteRT runs XNNPACK by default, once, where targets are the built-in kernels of TensorFlow Lite 2.10 and there are others: in a pack
    beside theirs. Of one pack, the name without ``@`` is XNNPACK itself, its default."""
    others = {name: f"{name}@xnnpack" for name in names if f"{name}@xnnpack" in known}
    found = [other for name, other in others.items() if known[name] != known[other] and other not in names]
    if not found or any(name.endswith("@xnnpack") for name in names):
        return []
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return [
        f"CPU targets are TensorFlow Lite 2.10's built-in kernels; LiteRT runs XNNPACK by default: {found[0]}{more}, derived"
    ]


def targets_named(names: Sequence[str], packs: Sequence[Path]) -> tuple[TargetPack, ...]:
    """The targets of these ``names``, which there are, in this order."""
    return _with_packs(names, find_targets(packs))


def _with_packs(names: Sequence[str], known: Mapping[str, Path]) -> tuple[TargetPack, ...]:
    stamps = {directory: pack_stamp(directory) for directory in {known[name] for name in names}}
    return tuple(TargetPack(name, known[name], stamps[known[name]]) for name in names)


def refuse_unknown_names(settings: Settings) -> None:
    """LatlintError for a target, an op or a rule that the settings name and that there is not."""
    known = find_targets(settings.packs)
    select_targets(settings.targets, known)
    _refuse_unknown_in_budgets(settings, known)
    checks.refuse_unknown_rules(settings)


def _refuse_idle_budgets(settings: Settings, names: Sequence[str]) -> None:
    """LatlintError for a budget that holds on none of the run's targets, unless the command line chose among those of the configuration."""
    narrowed = settings.origins.get("targets") == "--target"
    for budget in settings.budgets:
        if any(covers_target(budget.target, name) for name in names):
            continue
        chosen = f"is for none of the chosen targets: {', '.join(names)}"
        flag, _, text = budget.origin.partition(" ")
        if flag == "--budget":
            raise LatlintError(f"--budget '{text}' {chosen}", code="LAT901")
        if not narrowed:
            which = f"the budget for '{budget.target}'{f' ({budget.origin})' if budget.origin else ''}"
            message = f"{which} {chosen}; choose its target as well, or leave it out"
            raise LatlintError(message, code="LAT901", path=settings.source)


def _refuse_unknown_in_budgets(settings: Settings, known: Collection[str]) -> None:
    for pattern in dict.fromkeys(
        [*(each.target for each in settings.budgets), *(each.target for each in settings.waivers)]
    ):
        select_targets((pattern,), known)
    for op in dict.fromkeys(budget.op for budget in settings.budgets if budget.op):
        select_ops(op)


def select_ops(pattern: str) -> list[str]:
    """The op kinds that a glob names, sorted; one that names none is an error with the nearest kinds."""
    if matched := sorted(kind for kind in KINDS if fnmatchcase(kind, pattern)):
        return matched
    guesses = nearest(pattern, sorted(KINDS), count=3)
    hint = f"did you mean {', '.join(guesses)}?" if guesses else "no kind is near it"
    raise LatlintError(f"unknown op '{pattern}' in a budget: {hint}", code="LAT901")


@lru_cache(maxsize=1)
def load_packs(targets: tuple[TargetPack, ...]) -> list[NamedTarget]:
    """The targets with their packs. Raises ``LatlintError`` for a damaged pack."""
    from latlint.latency.packs import targets_in

    return targets_in({target.name: target.directory for target in targets})
