"""What the scripts of a kit have brought back: one processor for each folder of ``results/``."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from latlint.errors import LatlintError
from latlint.files import read_bounded
from latlint.graph import read
from latlint.latency.engine import workload
from latlint.runtime import plan
from latlint.runtime.kinds import KINDS, kind_of
from latlint.runtime.types import Processor
from latlint.training.kit.write import CARD, SCHEMA
from latlint.training.user.readers import Profile, read_file

_MAX_BYTES = 1_000_000
#: The runtime that plans what a tool has run, by kind of processor and tool.
_RUNTIMES: Mapping[tuple[str, str], str] = {
    ("cpu", "litert"): "litert-2.3/xnnpack",
    ("cpu", "onnxruntime"): "onnxruntime-1.32/cpu",
    ("gpu", "litert"): "litert-2.2/gpu",
}


@dataclass(frozen=True, slots=True)
class Run:
    """What was measured on one processor: a profile for each model, of its fastest pass. ``runtime`` is ``None`` where the tool does not tell.
    ``vendor``: whose instructions its CPU has; ``failed``: the models that have no time on it; ``spreads``: by how much the slowest pass of a model
    lies above its fastest, as a share of that, of those with several."""

    processor: str
    threads: int
    runtime: str | None
    vendor: str
    profiles: tuple[Profile, ...]
    failed: tuple[str, ...]
    spreads: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Results:
    """``device``: its name, as the kit was made for; ``runs`` by processor."""

    device: str
    runs: tuple[Run, ...]


def is_kit(path: Path) -> bool:
    return (path / CARD).is_file()


def read_kit(directory: Path) -> Results:
    """What lies in the results of a kit. Raises ``LatlintError`` where there are none, or where one cannot be used."""
    device, models = _card(directory / CARD)
    folders = sorted(path for path in (directory / "results").glob("*") if path.is_dir())
    if not folders:
        message = "no results yet: run android.sh, measure.sh or onnxruntime_times.py (README.md in this folder)"
        raise LatlintError(message, path=str(directory))
    return Results(device, tuple(_run(folder, directory / "models", models) for folder in folders))


def _card(path: Path) -> tuple[str, frozenset[str]]:
    try:
        card = json.loads(read_bounded(path, _MAX_BYTES))
        device, models = card["device"], card["models"]
        good = card["schema"] == SCHEMA and isinstance(device, str) and all(isinstance(each, str) for each in models)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        good = False
    if not good:
        raise LatlintError(f"not the card of a kit: expected {SCHEMA}: write the kit again", path=str(path))
    return device, frozenset(models)


def _run(folder: Path, models: Path, known: frozenset[str]) -> Run:
    if folder.name.partition("-")[0] not in KINDS:
        raise LatlintError(f"expected a folder for a processor: {', '.join(KINDS)}, or cpu-4", path=str(folder))
    said = dict(line.partition("=")[::2] for line in _text(folder / "run.txt").splitlines())
    whole: dict[str, Profile] = {}
    ops: dict[str, Profile] = {}
    passes: dict[str, list[float]] = defaultdict(list)
    for path, name, number in _outputs(folder):
        file = _model(f"{name}.tflite", path, known)
        [profile] = read_file(path, models / file)
        found = ops if number == "profile" else whole
        found[file] = _faster(profile, found.get(file))
        if found is whole:
            passes[file].append(profile.total_ms)
    for path in sorted(folder.glob("*.csv")):
        for profile in read_file(path):
            file = _model(profile.model.name, path, known)
            whole[file] = _faster(replace(profile, model=models / file), whole.get(file))
            passes[file].append(profile.total_ms)
    if not whole:
        raise LatlintError("no times in this folder: run the script again", path=str(folder))
    runtime = _runtime(folder, said)
    failed = {path.stem for path in folder.glob("*.failed")} - {Path(file).stem for file in whole}
    refused = {file for file in whole if runtime and not _takes(folder.name, runtime, models / file)}
    return Run(
        processor=folder.name,
        threads=_threads(said, folder),
        runtime=runtime,
        vendor="x86" if said.get("system", "").endswith(("x86_64", "i686", "AMD64")) else "arm",
        profiles=tuple(_with_ops(whole[file], ops.get(file), file) for file in sorted(whole.keys() - refused)),
        failed=tuple(sorted(failed | {Path(file).stem for file in refused})),
        spreads={file: max(all_ms) / min(all_ms) - 1 for file, all_ms in sorted(passes.items()) if len(all_ms) > 1},
    )


def _takes(name: str, runtime: str, model: Path) -> bool:
    """Whether the processor runs any of a model: what a delegate refuses as a whole was timed on the CPU."""
    kind = kind_of(name)
    return kind.host or bool(workload(plan(read(model), Processor(name, runtime, kind.name, "arm"))).offloaded)


def _outputs(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """What ``measure.sh`` has kept of the tool: the file, the model's name, and the pass."""
    for path in sorted(folder.glob("*.*.txt")):
        name, _, number = path.stem.rpartition(".")
        yield path, name, number


def _model(file: str, path: Path, known: frozenset[str]) -> str:
    if file not in known:
        raise LatlintError(f"of no model of this kit: {file}", path=str(path))
    return file


def _faster(one: Profile, other: Profile | None) -> Profile:
    """What slows a pass down, heat and other programs, is not the model's."""
    return one if other is None or one.total_ms < other.total_ms else other


def _with_ops(whole: Profile, profiled: Profile | None, file: str) -> Profile:
    """Ops are timed in a pass of their own, which takes longer for the timing: they are scaled to the whole. The kind of network is held out
    together."""
    family = Path(file).stem.partition("-")[0]
    if profiled is None or not profiled.ops:
        return replace(whole, family=family)
    scale = whole.total_ms / profiled.total_ms
    return replace(whole, family=family, ops=tuple(replace(op, ms=scale * op.ms) for op in profiled.ops))


def _threads(said: Mapping[str, str], folder: Path) -> int:
    threads = said.get("threads", "1")
    if not (re.fullmatch("[0-9]{1,4}", threads) and 1 <= int(threads) <= 1024):
        raise LatlintError("threads: expected a number from 1 to 1024", path=str(folder / "run.txt"))
    return int(threads)


def _runtime(folder: Path, said: Mapping[str, str]) -> str | None:
    kind = kind_of(folder.name).name
    if said.get("tool") == "onnxruntime":
        return _RUNTIMES.get((kind, "onnxruntime"))
    if "use_xnnpack=false" in said.get("flags", ""):
        return "tflite-2.10/builtin"
    if kind == "gpu" and not any("BENCHMARK RESULTS" in _text(path) for path, *_ in _outputs(folder)):
        return "tflite-2.10/gpu-delegate"
    return _RUNTIMES.get((kind, "litert"))


def _text(path: Path) -> str:
    try:
        return read_bounded(path, _MAX_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise LatlintError(f"cannot be read: {error.strerror}", path=str(path)) from None
    except ValueError as error:
        raise LatlintError(str(error), path=str(path)) from None
