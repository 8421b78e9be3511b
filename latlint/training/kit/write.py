"""The kit's folder: models, scripts, and a page that says what to do."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from latlint.files import write_whole
from latlint.graph import read
from latlint.latency.engine import Workload, workload
from latlint.runtime import plan
from latlint.runtime.types import Processor
from latlint.training import blocks, onnx_blocks
from latlint.training.columns import Columns
from latlint.training.kit.choose import most_telling

SCHEMA = "latlint.kit/1"
#: What says that a folder is a kit.
CARD = "kit.json"
FILES = Path(__file__).with_name("files")
#: A model of a kit takes the core of the priors at least 4 ms, which a clock of microseconds tells well, and at most 400 ms; it is pushed in a second.
LIMITS_NS, MAX_BYTES = (4e6, 400e6), 12_000_000


class Pool(NamedTuple):
    """Networks to choose from, ``(name, file)``, the processor that they are to tell of, and how many of each precision are wanted."""

    networks: Iterable[tuple[str, bytes]]
    extension: str
    processor: Processor
    executors: tuple[str, ...]
    wanted: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Kit:
    """What was written: ``models`` are the names of the files."""

    device: str
    models: tuple[str, ...]


#: How many models of each precision a kit has. With 24 and 8, on networks of an x86-64 core that were not timed, the median error was 3.1 and 5.3 % for
#: float32 (20 models: 5.3 and 3.2 %) and 6.9 and 8.7 % for int8 (6.2 and 9.3 %), in two measurements of a busy machine; of one at rest, 20 models: 2.2 % and, for int8, 3.8 %.
WANTED: Mapping[str, int] = {"float32": 14, "int8": 6}
RUNTIMES = ("litert", "onnxruntime")


def pool(runtime: str) -> Pool:
    """What the models are chosen from, for one of ``RUNTIMES``. The design is for a phone's core; what tells of it tells of any."""
    if runtime == "onnxruntime":
        core = Processor("cpu-1", "onnxruntime-1.32/cpu", "cpu", "arm", "armv8")
        return Pool(onnx_blocks.generated(), ".onnx", core, ("onnxruntime",), WANTED)
    core = Processor("cpu-1", "litert-2.3/xnnpack", "cpu", "arm", "armv8")
    return Pool(blocks.generated(), ".tflite", core, ("builtin", "xnnpack"), WANTED)


def write_kit(directory: Path, device: str, runtime: str = "litert") -> Kit:
    """Write the kit for ``device`` and one of ``RUNTIMES`` into ``directory``, which is made where it is missing."""
    models = dict(chosen(pool(runtime)))
    card = {"schema": SCHEMA, "device": device, "models": sorted(models)}
    files = {f"models/{name}": content for name, content in models.items()}
    files |= {path.name: path.read_bytes() for path in sorted(FILES.iterdir()) if path.is_file()}
    files[CARD] = (json.dumps(card, indent=1) + "\n").encode()
    (directory / "models").mkdir(parents=True, exist_ok=True)
    write_whole({directory / name: content for name, content in files.items()})
    return Kit(device, tuple(card["models"]))


def chosen(pool: Pool) -> list[tuple[str, bytes]]:
    """The networks of the pool that teach most, by name."""
    columns = Columns.of(pool.executors)
    prior = columns.terms.prior
    found = [(name, content, work) for name, content, work in _planned(pool) if not work.unknown]
    counts = np.stack([columns.counts(work) for *_, work in found])
    small = np.array([len(content) <= MAX_BYTES for _, content, _ in found])
    allowed = small & (counts @ prior >= LIMITS_NS[0]) & (counts @ prior <= LIMITS_NS[1])
    precisions = np.array([work.plan.precision for *_, work in found])
    picked = []
    for precision, count in pool.wanted.items():
        mine = np.flatnonzero(precisions == precision)
        kinds = [found[at][0].partition("-")[0] for at in mine]
        picked += [int(mine[at]) for at in most_telling(counts[mine], prior, kinds, allowed[mine], count)]
    return sorted((found[at][0] + pool.extension, found[at][1]) for at in picked)


def _planned(pool: Pool) -> Iterator[tuple[str, bytes, Workload]]:
    with tempfile.TemporaryDirectory(prefix="latlint-kit-") as scratch:
        path = Path(scratch, f"network{pool.extension}")
        for name, content in pool.networks:
            path.write_bytes(content)
            yield name, content, workload(plan(read(path), pool.processor))
