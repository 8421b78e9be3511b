"""What a run is asked to do: ``latlint.toml`` or ``[tool.latlint]``, found, checked, and merged with the command line.

Keys, all optional::

    targets = ["pixel-4/gpu", "galaxy-s10/cpu-*"]   # device/processor, or globs of them
    models = ["models/**/*.tflite"]                 # what `latlint check` reads when no path is given
    min-coverage = 0.8                              # LAT010 below it
    min-gain = 0.01                                 # share of the latency below which a fix is only noted
    packs = ["predictors"]                          # directories of further device packs

    [[budgets]]
    model = "models/*.tflite"                       # default: every model
    target = "*/gpu"                                # default: every target
    max = "10ms"                                    # us, ms or s

    [shapes]                                        # sizes that model files leave open
    input_ids = "1x128"                             # of this input, in every model that has it

    [shapes."models/detector*.onnx"]                # of inputs of these models alone
    images = "1x3x640x640"

Every budget whose globs match applies, so the tightest counts, whatever the order. A model glob without ``/`` matches the
file's name in any directory, one with ``/`` the path from the configuration's directory; ``**`` spans directories.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

from latlint.errors import LatlintError
from latlint.shapes import InputShape, parse_dims
from latlint.units import parse_duration_ms

FILE = "latlint.toml"

#: What `check` and `predict` show when nobody chose: the GPU and the large core of one phone, which the output states.
DEFAULT_TARGETS = ("pixel-4/gpu", "pixel-4/cpu-1large")


@dataclass(frozen=True, slots=True)
class Budget:
    """An absolute limit in milliseconds for every model and target that the globs match."""

    max_ms: float
    target: str = "*"
    model: str = "*"


@dataclass(frozen=True, slots=True)
class Settings:
    """One run's settings. ``root`` is the directory that model globs are relative to; ``source`` the file that was read, as
    the user would name it; ``shapes`` a model glob with each shape, the later one counts; ``notes`` what the merge has to tell,
    such as a flag that won over the file."""

    root: Path = field(default_factory=Path.cwd)
    source: str | None = None
    targets: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    budgets: tuple[Budget, ...] = ()
    min_coverage: float = 0.8
    min_gain: float = 0.01
    packs: tuple[Path, ...] = ()
    shapes: tuple[tuple[str, InputShape], ...] = ()
    notes: tuple[str, ...] = ()

    def relative(self, path: str | os.PathLike[str]) -> str:
        """``path`` as seen from ``root``, with forward slashes."""
        return os.path.relpath(path, self.root).replace(os.sep, "/")

    def names_model(self, path: str | os.PathLike[str]) -> bool:
        """Whether one of the ``models`` globs matches."""
        relative = self.relative(path)
        return any(matches_path(pattern, relative) for pattern in self.models)

    def budget_ms(self, model: str | os.PathLike[str], target: str) -> float | None:
        """The tightest budget of ``model`` on ``target``, in milliseconds, or ``None``."""
        relative = self.relative(model)
        limits = (
            budget.max_ms
            for budget in self.budgets
            if fnmatchcase(target, budget.target) and matches_path(budget.model, relative)
        )
        return min(limits, default=None)

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
        shapes: Sequence[str] = (),
    ) -> Settings:
        """These settings with the command line's on top: its targets and budgets take the place of the file's, its shapes that
        of the same inputs' there."""
        notes = list(self.notes)
        if targets and self.targets and set(targets) != set(self.targets):
            notes.append(f"--target takes the place of targets in {self.source}")
        if budgets and self.budgets:
            notes.append(f"--budget takes the place of the budgets in {self.source}")
        return replace(
            self,
            targets=tuple(targets) or self.targets,
            budgets=tuple(parse_budget(text) for text in budgets) or self.budgets,
            packs=(*self.packs, *packs),
            shapes=(*self.shapes, *(("*", parse_shape(text)) for text in shapes)),
            notes=tuple(notes),
        )

    def chosen_targets(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
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


def load(start: Path | None = None, *, config: Path | None = None) -> Settings:
    """Settings from ``config``, or else from the nearest file at or above ``start`` (default: the working directory).

    The search ends at the top of the git repository, so that a stray file in a home directory never governs a project.
    """
    if config is not None:
        return _read(config, config) or Settings(root=config.absolute().parent, source=config.as_posix())
    start = (start or Path.cwd()).absolute()
    for directory in (start, *start.parents):
        for name in (FILE, "pyproject.toml"):
            path = directory / name
            if path.is_file() and (found := _read(path, Path(os.path.relpath(path)))):
                return found
        if (directory / ".git").exists():
            break
    return Settings(root=start)


def parse_budget(text: str) -> Budget:
    """``10ms`` or ``TARGETS=10ms``, as ``--budget`` takes it."""
    target, separator, duration = text.rpartition("=")
    if separator and not target.strip():
        raise _malformed_budget(text)
    try:
        return Budget(parse_duration_ms(duration), target=target.strip() or "*")
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


def select_targets(patterns: Iterable[str], known: Collection[str]) -> list[str]:
    """The known targets that one of ``patterns`` names, sorted; a pattern that names none is an error with the nearest names."""
    chosen: set[str] = set()
    for pattern in patterns:
        matched = [name for name in known if fnmatchcase(name, pattern)]
        if not matched:
            raise _unknown_target(pattern, known)
        chosen.update(matched)
    return sorted(chosen)


def _unknown_target(pattern: str, known: Collection[str]) -> LatlintError:
    device = pattern.partition("/")[0]
    processors = [name for name in known if name.startswith(f"{device}/")]
    if "/" not in pattern and processors:
        hint = f"name its processor, such as {processors[0]}, or all of them: '{device}/*'"
    elif guesses := nearest(pattern, processors or known, count=3):
        hint = f"did you mean {', '.join(guesses)}?"
    else:
        hint = "no name is near it"
    return LatlintError(f"unknown target '{pattern}': {hint} (`latlint targets` lists all)", code="LAT902")


def nearest(name: str, choices: Iterable[str], count: int = 1) -> list[str]:
    """The names that a typing error may have meant, best first."""
    from difflib import get_close_matches

    by_folded = {choice.casefold(): choice for choice in choices}
    return [by_folded[match] for match in get_close_matches(name.casefold(), by_folded, n=count, cutoff=0.5)]


def matches_path(pattern: str, path: str) -> bool:
    """Whether a model glob matches ``path`` (relative, forward slashes)."""
    return bool(_path_pattern(pattern).fullmatch(path if "/" in pattern else path.rpartition("/")[2]))


@lru_cache(maxsize=256)
def _path_pattern(pattern: str) -> re.Pattern[str]:
    tokens = re.split(r"(\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\])", pattern.removeprefix("./"))
    wildcards = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = []
    for token in tokens:
        if token in wildcards:
            parts.append(wildcards[token])
        elif token.startswith("[") and token.endswith("]"):
            body = token[1:-1].replace("\\", r"\\").replace("[", r"\[")
            parts.append(f"(?!/)[^{body[1:]}]" if body.startswith("!") else f"[{body}]")
        else:
            parts.append(re.escape(token))
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error:  # a reversed range such as [z-a]: match it literally
        return re.compile(re.escape(pattern))


def _malformed_budget(text: str) -> LatlintError:
    return LatlintError(
        f"malformed budget '{text}': expected a time such as 10ms, 850us or 0.5s, or TARGETS=TIME such as 'pixel-4/*=12ms'",
        code="LAT901",
    )


def _read(path: Path, shown: Path) -> Settings | None:
    """The settings in one file; ``None`` from a ``pyproject.toml`` without ``[tool.latlint]``."""
    import tomllib

    root = path.absolute().parent
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        table: Any = document
        if path.name == "pyproject.toml":
            tool = document.get("tool", {})
            if not isinstance(tool, dict) or "latlint" not in tool:
                return None
            table = tool["latlint"]
        if not isinstance(table, dict):
            raise ValueError("[tool.latlint] must be a table")
        return Settings(root=root, source=shown.as_posix(), **_validated(table, root))
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"is not valid TOML: {error}"
    except ValueError as error:
        message = str(error)
    raise LatlintError(message, code="LAT901", path=shown.as_posix())


def _validated(table: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """The fields of ``Settings`` from a table of the file; ValueError with one line on the first thing wrong."""
    _known_keys(table, ("targets", "models", "budgets", "min-coverage", "min-gain", "packs", "shapes"), "")
    fields: dict[str, Any] = {key: _strings(table[key], key) for key in ("targets", "models") if key in table}
    if "packs" in table:
        fields["packs"] = tuple(root / name for name in _strings(table["packs"], "packs"))
    for key in ("min-coverage", "min-gain"):
        value = table.get(key, 0.0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ValueError(f"{key} must be a number from 0 to 1, not {value!r}")
        if key in table:
            fields[key.replace("-", "_")] = float(value)
    if "shapes" in table:
        fields["shapes"] = tuple(_shapes(table["shapes"]))
    if "budgets" in table:
        budgets = table["budgets"]
        if not isinstance(budgets, list) or not all(isinstance(budget, dict) for budget in budgets):
            raise ValueError('budgets must be tables: [[budgets]] with max = "10ms"')
        fields["budgets"] = tuple(_budget(budget, number) for number, budget in enumerate(budgets, start=1))
    return fields


def _shapes(table: Any) -> Iterator[tuple[str, InputShape]]:
    """``input = "1x3"`` for every model that has the input; a table of them is for the models of a glob, which all must have it."""
    if not isinstance(table, dict):
        raise ValueError('shapes must be a table: [shapes] with image = "1x224x224x3"')
    common = {key: value for key, value in table.items() if not isinstance(value, dict)}
    globs = [(key, value) for key, value in table.items() if isinstance(value, dict)]
    for glob, shapes in [("*", common), *globs]:
        for name, text in shapes.items():
            try:
                dims = parse_dims(text) if isinstance(text, str) else None
            except ValueError as error:
                raise ValueError(f"malformed shape {text!r} of {name!r} in [shapes]: {error}") from None
            if dims is None:
                raise ValueError(f'{name!r} in [shapes] must be text such as "1x224x224x3", not {text!r}')
            yield glob, InputShape(name, dims, required=shapes is not common)


def _budget(table: Mapping[str, Any], number: int) -> Budget:
    where = f" in [[budgets]] number {number}"
    _known_keys(table, ("model", "target", "max"), where)
    for key, value in table.items():
        if not isinstance(value, str) or not value:
            raise ValueError(f'{key}{where} must be text such as "{_EXAMPLES[key]}", not {value!r}')
    if "max" not in table:
        raise ValueError(f'max is missing{where}: add max = "10ms"')
    try:
        limit = parse_duration_ms(table["max"])
    except ValueError:
        raise ValueError(
            f"malformed max '{table['max']}'{where}: expected a time such as 10ms, 850us or 0.5s"
        ) from None
    return Budget(limit, target=table.get("target", "*"), model=table.get("model", "*"))


_EXAMPLES = {"max": "10ms", "target": "pixel-4/*", "model": "models/*.tflite"}


def _known_keys(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in table:
        if key not in known:
            guess = nearest(key, known)
            hint = f"did you mean '{guess[0]}'?" if guess else f"known are {', '.join(known)}"
            raise ValueError(f"unknown key '{key}'{where}: {hint}")


def _strings(value: Any, key: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ValueError(f"{key} must be a list of texts, not {value!r}")
    return tuple(value)
