"""``Difference``: what a change does to models, kernel by kernel on each target. The only thing that its formats see."""

from __future__ import annotations

from dataclasses import dataclass

from latlint.latency.types import Prediction
from latlint.outcome import InputError
from latlint.whatif.change import TargetChange


@dataclass(frozen=True, slots=True)
class ModelChange:
    """A model file before and after, by the paths that people know them by, and what that means on each target. ``renamed`` tells
    that one file went from ``old`` to ``new``; two files that are compared have two paths as well."""

    old: str | None
    new: str | None
    targets: tuple[TargetChange, ...] = ()
    renamed: bool = False

    @property
    def status(self) -> str:
        """``added``, ``removed``, ``renamed`` (whatever else has changed), ``modified``, or ``identical``."""
        if self.before is None or self.after is None:
            return "added" if self.before is None else "removed"
        if self.renamed:
            return "renamed"
        return "identical" if self.before.sha256 == self.after.sha256 else "modified"

    @property
    def before(self) -> Prediction | None:
        """What was predicted of the old file on one of the targets: its format, precision and MACs."""
        return next((target.old for target in self.targets), None)

    @property
    def after(self) -> Prediction | None:
        """What was predicted of the new file on one of the targets."""
        return next((target.new for target in self.targets), None)


@dataclass(frozen=True, slots=True)
class Base:
    """The revision that the working tree is compared with: as the user named it, and the commit that was taken for it."""

    revision: str
    commit: str


@dataclass(frozen=True, slots=True)
class Difference:
    """What one run of `diff` found. ``base`` is there when the old files come from git."""

    models: tuple[ModelChange, ...]
    base: Base | None = None
    errors: tuple[InputError, ...] = ()
    targets: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
