"""What a run is asked to do: the types that a configuration file and the command line come together in.

``latlint.project.configuration`` reads the file; ``configuration.schema.json`` lists its keys.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from latlint.errors import LatlintError
from latlint.globs import covers_target, matches_path
from latlint.graph.inputs import InputShape, parse_dims
from latlint.records import NamedTuple, Record
from latlint.units import parse_duration_ms

FILE = "latlint.toml"

#: Which end of a prediction's interval is held against a budget, and how grave a finding is, the gravest last.
GATES = ("point", "low", "high")
SEVERITIES = ("note", "warning", "error")

#: What a float model can be predicted in, as if it were converted: weights and activations of these bits (``runtime.as_if``).
PRECISIONS = ("w8a8", "w8a16", "float16")

#: What lies beside it: see ``latlint.lock`` and ``latlint.baseline``.
LOCK_FILE, BASELINE_FILE = "latlint.lock", "latlint.baseline"

#: What `check` and `predict` show when nobody chose: the GPU and the large core of one phone, which the output states.
DEFAULT_TARGETS = ("pixel-4/gpu", "pixel-4/cpu-1large")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Budget(Record):
    """Limits for every model and target that the globs match; at least one of ``max_ms``, ``warn_ms``, ``max_increase``,
    and of what a model takes beside time: ``size`` and ``peak_memory`` in bytes, ``parameters``, ``macs``.

    ``max_ms`` fails a model, ``warn_ms`` warns of it. ``max_increase`` is the share by which a model may become slower than it
    is in the lock, and ``min_increase_ms`` an increase that is never too much. With ``op``, a glob of op kinds, the limits are
    for the sum of these kernels. ``gate`` is the end of the interval that is held against the limits (``point``, ``low``,
    ``high``; ``None``: the settings'). ``message`` is for whoever breaks the budget. ``origin`` tells where it was written.
    """

    max_ms: float | None = None
    target: str = "*"
    model: str = "*"
    op: str | None = None
    warn_ms: float | None = None
    max_increase: float | None = None
    min_increase_ms: float = 0.0
    gate: str | None = None
    message: str = ""
    size: int | None = None
    parameters: int | None = None
    macs: int | None = None
    peak_memory: int | None = None
    origin: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        limits = {"max_ms": self.max_ms, "warn_ms": self.warn_ms, "max_increase": self.max_increase, **self.resources}
        stated = {name: limit for name, limit in limits.items() if limit is not None}
        if not stated:
            raise LatlintError(f"a budget needs one of {', '.join(limits)}", code="LAT901")
        for name, limit in (*stated.items(), ("min_increase_ms", self.min_increase_ms)):
            if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 <= limit < float("inf"):
                raise LatlintError(f"{name} of a budget: expected a number from 0, not {limit!r}", code="LAT901")
        if self.gate is not None:
            _one_of("gate of a budget", self.gate, GATES)

    @property
    def resources(self) -> dict[str, int | None]:
        """Its limits for what a model takes beside time, by name as configurations have it."""
        return {"size": self.size, "parameters": self.parameters, "macs": self.macs, "peak-memory": self.peak_memory}

    @property
    def is_about_time(self) -> bool:
        """Whether it limits latency."""
        return (self.max_ms, self.warn_ms, self.max_increase) != (None, None, None)

    def highest_ms(self, base_ms: float) -> float | None:
        """The latency to which a model may grow that took ``base_ms`` in the lock; ``None`` without ``max_increase``."""
        if self.max_increase is None:
            return None
        return base_ms + max(base_ms * self.max_increase, self.min_increase_ms)


class Waiver(NamedTuple):
    """Findings that are accepted: those of the rule that ``code`` names (a code, the beginning of one, a name), on models and targets
    that the globs match, up to ``max_ms`` if that is given, until the day ``expires`` is over."""

    code: str
    reason: str
    model: str = "*"
    target: str = "*"
    owner: str = ""
    expires: date | None = None
    max_ms: float | None = None

    def __str__(self) -> str:
        return f"the waiver of {self.code} for '{self.model}' on '{self.target}' ({self.reason})"

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells it from other waivers, whatever its terms."""
        return self.code, self.model, self.target


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Settings(Record):
    """One run's settings. ``start`` is the directory that paths are given from, ``root`` the one that model globs are relative to;
    ``source`` the file that was read, as the user would name it; ``shapes`` a model glob with each shape, the later one counts;
    ``precision`` what float models are judged in as if converted to it (``runtime.as_if``), empty: their own;
    ``notes`` what the merge has to tell, such as a flag that won over the file; ``origins`` where each key that is not left at its
    default comes from (``severities.LAT2`` for a key of a table).

    ``select``, ``ignore``, the values of ``per_model_ignores`` and the keys of ``severities`` name rules by code, by the
    beginning of a code, or by name.

    ``base`` is the git revision that relative budgets go by (see ``latlint.review.reference``). ``use_baseline`` tells whether findings that
    ``latlint.baseline`` accepts are so marked. ``today`` is the day that waivers expire by; ``None``: the clock's.
    """

    root: Path = field(default_factory=Path.cwd)
    source: str | None = None
    targets: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    budgets: tuple[Budget, ...] = ()
    min_coverage: float = 0.0
    unjudged: str = "error"
    require_budget: bool = False
    min_gain: float = 0.01
    packs: tuple[Path, ...] = ()
    shapes: tuple[tuple[str, InputShape], ...] = ()
    precision: str = ""
    gate: str = "point"
    fail_on: str = "error"
    select: tuple[str, ...] = ("LAT",)
    ignore: tuple[str, ...] = ()
    per_model_ignores: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    severities: Mapping[str, str] = field(default_factory=dict)
    base: str | None = None
    waivers: tuple[Waiver, ...] = ()
    use_baseline: bool = True
    today: date | None = None
    notes: tuple[str, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)
    start: Path = field(default_factory=Path.cwd)

    def __post_init__(self) -> None:
        for name in ("targets", "models", "exclude", "select", "ignore", "packs"):
            object.__setattr__(self, name, _listed(name, getattr(self, name)))
        object.__setattr__(self, "packs", tuple(map(Path, self.packs)))
        _one_of("gate", self.gate, GATES)
        _one_of("precision", self.precision, ("", *PRECISIONS))
        _one_of("fail_on", self.fail_on, SEVERITIES)
        for name, share in (("min_coverage", self.min_coverage), ("min_gain", self.min_gain)):
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
                raise LatlintError(f"{name}: expected a share from 0 to 1, not {share!r}", code="LAT901")
        for name, kind in (("budgets", Budget), ("waivers", Waiver)):
            if not all(isinstance(each, kind) for each in getattr(self, name)):
                raise LatlintError(f"{name}: expected a sequence of {kind.__name__}", code="LAT901")
        for rule, severity in self.severities.items():
            _one_of(f"severities[{rule!r}]", severity, (*SEVERITIES, "off"))

    def relative(self, path: str | os.PathLike[str]) -> str:
        """``path`` as seen from ``root``, with forward slashes."""
        return os.path.relpath(self.start / path, self.root).replace(os.sep, "/")

    def names_model(self, path: str | os.PathLike[str]) -> bool:
        """Whether one of the ``models`` globs matches, if there are any, and none of ``exclude``."""
        relative = self.relative(path) if self.models or self.exclude else ""
        named = not self.models or any(matches_path(pattern, relative) for pattern in self.models)
        return named and not self.excludes(path)

    def excludes(self, path: str | os.PathLike[str]) -> bool:
        """Whether one of the ``exclude`` globs matches."""
        relative = self.relative(path) if self.exclude else ""
        return any(matches_path(pattern, relative) for pattern in self.exclude)

    def budgets_for(self, model: str | os.PathLike[str], target: str) -> tuple[Budget, ...]:
        """The budgets that hold for ``model`` on ``target``, as they are written: in the file's order, each with its gate."""
        relative = self.relative(model) if self.budgets else ""
        return tuple(
            replace(budget, gate=budget.gate or self.gate)
            for budget in self.budgets
            if covers_target(budget.target, target) and matches_path(budget.model, relative)
        )

    def ignored_for(self, model: str | os.PathLike[str]) -> tuple[str, ...]:
        """The rules that ``per_model_ignores`` leaves out for ``model``."""
        relative = self.relative(model) if self.per_model_ignores else ""
        return tuple(
            rule
            for pattern, rules in self.per_model_ignores.items()
            if matches_path(pattern, relative)
            for rule in rules
        )

    def input_shapes(self, model: str | os.PathLike[str]) -> tuple[InputShape, ...]:
        """The shapes that are stated for inputs of ``model``."""
        relative = self.relative(model) if self.shapes else ""
        return tuple({shape.name: shape for glob, shape in self.shapes if matches_path(glob, relative)}.values())

    def with_flags(
        self,
        *,
        targets: Sequence[str] = (),
        budgets: Sequence[str] = (),
        packs: Sequence[Path] = (),
        select: Sequence[str] = (),
        ignore: Sequence[str] = (),
        fail_on: str | None = None,
        shapes: Sequence[str] = (),
        precision: str | None = None,
        base: str | None = None,
        use_baseline: bool = True,
        today: date | None = None,
    ) -> Settings:
        """These settings with the command line's on top: a flag takes the place of what the file says, and ``notes`` tell so.

        ``--select`` takes the place of ``ignore`` as well: whoever asks for a rule means to see it. Packs and shapes add to
        the file's; the last shape of an input counts.
        """
        flags: dict[str, tuple[str, object]] = {}
        if targets:
            flags["targets"] = "--target", tuple(targets)
        if budgets:
            flags["budgets"] = "--budget", tuple(parse_budget(text) for text in budgets)
        if select:
            flags["select"] = "--select", tuple(select)
        if select or ignore:
            flags["ignore"] = "--ignore" if ignore else "--select", tuple(ignore)
        if fail_on:
            flags["fail-on"] = "--fail-on", fail_on
        if precision:
            flags["precision"] = "--precision", precision
        if base is not None:
            flags["base"] = "--base", base
        notes = [
            f"{flag} takes the place of {key} in {self.origins[key]}"
            for key, (flag, value) in flags.items()
            if key in self.origins and value != getattr(self, key.replace("-", "_"))
        ]
        values: dict[str, Any] = {key.replace("-", "_"): value for key, (_, value) in flags.items()}
        values |= {"use_baseline": use_baseline, "today": today}
        origins = {key: flag for key, (flag, _) in flags.items()}
        if packs:
            values["packs"] = (*self.packs, *packs)
            origins["packs"] = " and ".join([*filter(None, [self.origins.get("packs")]), "--pack"])
        if shapes:
            values["shapes"] = (*self.shapes, *(("*", parse_shape(text)) for text in shapes))
            origins["shapes.*"] = " and ".join([*filter(None, [self.origins.get("shapes.*")]), "--shape"])
        return replace(self, **values, notes=(*self.notes, *notes), origins={**self.origins, **origins})

    def target_patterns(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The target patterns of this run, and notes on how they came about.

        In this order: those that were asked for; those that budgets name; the two defaults. A budget for "every target"
        without a target is an error: passing on a phone that nobody chose would say nothing.
        """
        if self.targets:
            return self.targets, ()
        if named := tuple(dict.fromkeys(budget.target for budget in self.budgets if budget.target != "*")):
            return named, ()
        if self.budgets:
            raise LatlintError(
                "a budget needs a target to hold on: add --target, such as --target pixel-4/gpu "
                "(`latlint targets` lists them), or name it in the budget: --budget 'pixel-4/gpu=10ms'",
                code="LAT901",
                path=self.source,
            )
        shown = " and ".join(DEFAULT_TARGETS)
        return DEFAULT_TARGETS, (f"no target chosen, so this shows {shown}; choose with --target or in {FILE}",)


def _listed(name: str, value: object) -> tuple[Any, ...]:
    """``value`` as a tuple: one name stands for a list of it."""
    if isinstance(value, str | Path):
        return (value,)
    found = tuple(value) if isinstance(value, Iterable) else (None,)
    if not all(isinstance(each, str | Path) for each in found):
        raise LatlintError(f"{name}: expected names, not {value!r}", code="LAT901")
    return found


def _one_of(name: str, value: object, choices: Sequence[str]) -> None:
    if value not in choices:
        raise LatlintError(f"{name}: expected {', '.join(choices[:-1])} or {choices[-1]}, not {value!r}", code="LAT901")


def parse_budget(text: str) -> Budget:
    """``10ms`` or ``TARGETS=10ms``, as ``--budget`` takes it."""
    target, separator, duration = text.rpartition("=")
    if separator and not target.strip():
        raise _malformed_budget(text)
    try:
        return Budget(parse_duration_ms(duration), target=target.strip() or "*", origin=f"--budget {text}")
    except ValueError:
        raise _malformed_budget(text) from None


def parse_shape(text: str) -> InputShape:
    """``NAME=1x224x224x3``, as ``--shape`` takes it."""
    name, separator, dims = text.rpartition("=")
    try:
        if not separator or not name.strip():
            raise ValueError("expected INPUT=SHAPE, such as image=1x224x224x3")
        return InputShape(name.strip(), parse_dims(dims))
    except ValueError as error:
        raise LatlintError(f"malformed shape '{text}': {error}", code="LAT901") from None


def _malformed_budget(text: str) -> LatlintError:
    return LatlintError(
        f"malformed budget '{text}': expected a time such as 10ms, 850us or 0.5s, or TARGETS=TIME such as 'pixel-4/*=12ms'",
        code="LAT901",
    )
