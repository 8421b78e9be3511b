"""Networks that john-rocky/edge-compat timed with LiteRT as it ships: on one accelerator each, whole models only."""

from __future__ import annotations

import csv
import re
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from latlint.graph import read
from latlint.latency.engine import Workload, workload
from latlint.runtime import plan
from latlint.runtime.types import Processor
from latlint.training.corpus import unpack_file

SOURCE = "john-rocky/edge-compat (Apache-2.0), commit bcf67f53: LiteRT 2.2 on a Raspberry Pi 5 and a Galaxy S26"

#: What the names of networks that are one architecture begin with; any other family is the name up to its first ``__``.
FAMILIES: Mapping[str, str] = {
    "rtmpose": r"rtmpose-",
    "yolox": r"yolox-",
    "nafnet": r"nafnet-",
    "wav2vec2": r"wav2vec2-",
    "u2net": r"u-2-net|u2net-|cloth-segmentation-u2net",
    "isnet": r"dis-isnet|ormbg",
    "resnet18": r"places365-resnet18|plantnet-300k-resnet18",
    "g2p": r"kokoro-g2p|matcha-tts__dp_g2p",
}
#: Networks that the corpus lacks, rebuilt from what ``architectures.csv`` says of them, weights zeroed: ``<model>.tflite.zst``. Two transformers that
#: spell words as sounds, DeepPhonemizer's defaults (6 layers of 512, 96 letters); their sizes are those of their files.
REBUILT = Path(__file__).with_name("rebuilt")


@dataclass(frozen=True, slots=True)
class Network:
    """A network with its priced plan and what it took, in ms: the median of its artifacts where more than one has its graph."""

    name: str
    family: str
    latency_ms: float
    work: Workload


def family(name: str) -> str:
    """The family of the network in the file called ``name``: what is held out together."""
    return next((each for each, starts in FAMILIES.items() if re.match(starts, name)), name.partition("__")[0])


def networks(shared: Path, device: str, accelerator: str, processor: Processor) -> list[Network]:
    """The networks that ``device`` ran on ``accelerator`` and that have a file, planned for ``processor``, by name."""
    return [
        Network(name.removesuffix(".tflite"), family(name), latency_ms, planned(shared, name, processor))
        for name, latency_ms in times(shared, device, accelerator).items()
    ]


def times(shared: Path, device: str, accelerator: str, rebuilt: Path = REBUILT) -> dict[str, float]:
    """Milliseconds by name of the file, of what ran whole; ``rebuilt`` has the networks that the corpus lacks."""
    found: dict[str, list[float]] = defaultdict(list)
    with (shared / "data" / "edge-compat" / "runs.csv").open(newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            name = row["file"] or f"{row['model']}.tflite"
            there = row["file"] or (rebuilt / f"{name}.zst").is_file()
            if there and row["latency_ms"] and (row["device"], row["accelerator"]) == (device, accelerator):
                found[name].append(float(row["latency_ms"]))
    return {name: median(found[name]) for name in sorted(found)}


def planned(shared: Path, name: str, processor: Processor) -> Workload:
    """The priced plan of one file of the corpus, or of one that was rebuilt."""
    rebuilt = REBUILT / f"{name}.zst"
    return unpacked(rebuilt if rebuilt.is_file() else shared / "corpus" / "edge-compat" / f"{name}.zst", processor)


def unpacked(archive: Path, processor: Processor) -> Workload:
    """The priced plan of the file in a ``.zst`` archive."""
    with tempfile.TemporaryDirectory(prefix="latlint-network-") as scratch:
        path = Path(scratch, archive.stem)
        unpack_file(archive, path)
        return workload(plan(read(path), processor))
