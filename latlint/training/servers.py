"""ONNX Runtime on servers: published networks and generated ones timed on one machine, and the bundled pack that comes of it.

    python -m latlint.training.servers --rounds 4     # times them, some three minutes a round, and adds to the file of times
    python -m latlint.training --only onnxruntime     # the pack from the file of times

``measured/DEVICE.json`` has the times, as ``profile_onnxruntime`` takes them: for each network and number of threads the fastest inference of each round
in ms, and by type of node the fastest of any round. A round passes once over all networks, so that the passes of one lie minutes apart.
Networks are of ``../shared/corpus``, as they are and quantised by ONNX Runtime's own tools, and ``onnx_blocks``. Those that are quantised are kept
(``quantized.tar.zst``, weights of zeros); one that is not among them is made.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from latlint.latency.packs import Pack
from latlint.runtime.types import Processor
from latlint.training.clock import Timing, cpu_name
from latlint.training.corpus import unpack_archive, unpack_file, unpacked
from latlint.training.edge_compat import family as of_edge_compat
from latlint.training.onnx_blocks import generated
from latlint.training.profile_onnxruntime import RUNTIME, Facts, Measured, build_pack, measure, onnxruntime

DEVICE = "x86-64-avx512"
FILE = Path(__file__).parent / "measured" / f"{DEVICE}.json"
#: What ONNX Runtime 1.32's tools made of the networks that were timed quantised: to make them again takes longer than to plan and fit.
QUANTIZED = FILE.with_name("quantized.tar.zst")
THREADS = (1, 2)
PROCESSOR = Processor("cpu-1", RUNTIME, "cpu", "x86", "avx512")
#: Seconds for one network in one round and with one number of threads, beside loading it.
SLOT_S = 0.1

#: Families of transformers by how their names begin; any other network has the family that mobile-ml-benchmark or edge-compat gives it.
_TRANSFORMERS: Mapping[str, str] = {
    "vit": r"vit-|deit-|beit-|dinov2-",
    "swin": r"swin",
    "levit": r"levit-",
    "mobilevit": r"mobilevit-",
    "mit": r"mit-",
}
#: Of edge-compat, those that an AVX-512 core runs in some hundred milliseconds.
_SMALL = (
    "3ddfa-v2__tddfa_mb1_fp16", "l2cs-gaze360__gaze_fp16", "lightweight-openpose__pose_256_fp16__pose_256_fp16",
    "mimi__mimi_enc_tx_fp16__mimi_enc_tx_fp16", "nima__nima_technical_fp16__nima_technical_fp16", "places365-resnet18__places_fp16",
    "rtmpose-hand__rtmhand_fp16", "silent-face-anti-spoofing__silentface", "speaker-diarization__wespeaker_emb_fp16", "yolox-tiny__yolox_tiny",
    "yunet-face__yunet_fp16",
)  # fmt: skip
_QDQ = (
    "bninception", "densenet121", "efficientnet_edge_small_b", "fbnet_cb", "hardnet68ds", "mnasnet_a1", "mobilenetv2_w1", "mobilenetv2_wd2",
    "mobilenetv3_large_w1", "mobilenet_wd2", "peleenet", "preresnet14", "regnetx004", "resnet18", "resnet18_wd2", "resnext14_16x4d",
    "seresnet10", "squeezenet_v1_0", "deit-tiny-distilled-patch16-224", "mit-b0", "swin-tiny-patch4-window7-224",
)  # fmt: skip
_DYNAMIC = (
    "mobilenetv2_wd2", "resnet10", "squeezenet_v1_0", "deit-tiny-distilled-patch16-224", "mit-b0", "pvt-tiny-224",
    "swin-tiny-patch4-window7-224",
)  # fmt: skip


def networks(shared: Path, scratch: Path) -> Iterator[Measured]:
    """What is measured, and what the pack is built from: the same files each time. ``scratch`` takes those that are made or unpacked."""
    for name, content in generated():
        path = scratch / f"{name}.onnx"
        path.write_bytes(content)
        yield Measured(f"generated/{name}", f"generated {name.partition('-')[0]}", path, judged=False)
    with (shared / "data" / "mobile-ml-benchmark" / "families.csv").open(newline="", encoding="utf-8") as rows:
        families = {row["model"]: row["family"] for row in csv.DictReader(rows)}
    corpus = unpacked(shared / "corpus")
    found = {path.stem: path for folder in ("onnx", "onnx_vit") for path in sorted((corpus / folder).glob("*.onnx"))}

    def family(name: str) -> str:
        known = (each for each, starts in _TRANSFORMERS.items() if re.match(starts, name))
        return next(known, families.get(name, re.split("[-_]", name)[0]))

    for name, path in found.items():
        yield Measured(name, family(name), path)
    for name in _SMALL:
        path = scratch / f"{name}.onnx"
        unpack_file(shared / "corpus" / "edge-compat" / f"{name}.onnx.zst", path)
        yield Measured(name, of_edge_compat(name), path)
    unpack_archive(QUANTIZED, scratch)
    for name in _QDQ:
        yield Measured(f"{name}~qdq", family(name), quantized(found[name], scratch / f"{name}~qdq.onnx"))
    for name in _DYNAMIC:
        yield Measured(f"{name}~dynamic", family(name), quantized(found[name], scratch / f"{name}~dynamic.onnx"))


def quantized(source: Path, target: Path) -> Path:
    """``source`` as ``onnxruntime.quantization`` writes it: dynamically, or with pairs of QuantizeLinear and DequantizeLinear around uint8
    activations and int8 weights for each channel. What is already there is kept."""
    if target.is_file():
        return target
    from onnxruntime import quantization

    with _errors_alone():
        if target.stem.endswith("~dynamic"):
            quantization.quantize_dynamic(source, target, weight_type=quantization.QuantType.QInt8)
            return target
        ranges = target.with_suffix(".ranges")
        _write_ranges(source, ranges)
        quantization.quantize_static(
            source,
            target,
            None,
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibration_cache_path=ranges,
        )
    return target


@contextmanager
def _errors_alone() -> Iterator[None]:
    """The quantiser warns, by the root logger, of models that were not prepared as it advises, and of each tensor that it leaves as it is."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def _write_ranges(source: Path, ranges: Path) -> None:
    """What a calibration leaves for the next one (``calibration_cache_path``): every tensor goes from 0 to 1. The weights here are zeros, kernels take
    the same time at any scale, and to run each network with every tensor as an output takes as long as all the rest."""
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData, save_tensors_data

    graph = onnx.load_model(source).graph
    names = [each.name for each in graph.input] + [name for node in graph.node for name in node.output if name]
    whole = np.float32(0), np.float32(1)
    save_tensors_data(TensorsData(CalibrationMethod.MinMax, dict.fromkeys(names, whole)), ranges)


# --- The file of times ---------------------------------------------------------------------------------------------------------------


def add_round(file: Path, found: Sequence[Measured], threads: int) -> None:
    """Time every network once more, and write what it took into ``file``."""
    known: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {"networks": {}}
    known = {
        "machine": cpu_name(),
        "runtime": f"onnxruntime {onnxruntime().__version__}",
        "networks": known["networks"],
    }
    times = measure(
        [each.path for each in found], budget_s=SLOT_S * len(found), threads=threads, passes=1, progress=_progress
    )
    for network, timing in zip(found, times, strict=True):
        entry = known["networks"].setdefault(network.name, {"family": network.family})
        of = entry.setdefault(str(threads), {"ms": [], "nodes": {}})
        of["ms"].append(_rounded(timing.best_ns))
        for op, spent in timing.nodes.items():
            of["nodes"][op] = min(_rounded(spent), of["nodes"].get(op, np.inf))
    lines = (f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in sorted(known["networks"].items()))
    head = json.dumps({key: value for key, value in known.items() if key != "networks"})[:-1]
    file.parent.mkdir(exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(f'{head}, "networks": {{\n' + ",\n".join(lines) + "\n}}\n", "utf-8")
    partial.replace(file)


def _rounded(ns: float) -> float:
    """Milliseconds in four digits."""
    return float(f"{ns * 1e-6:.4g}")


def _progress(done: int, total: int, name: str) -> None:
    if done % 25 == 0 or done == total:
        print(f"{done} of {total}: {name}", file=sys.stderr)


def timings(file: Path, threads: int) -> dict[str, Timing]:
    """What ``file`` has of a number of threads, by network."""
    found = {}
    for name, entry in json.loads(file.read_text("utf-8"))["networks"].items():
        of = entry[str(threads)]
        nodes = {op: spent * 1e6 for op, spent in of["nodes"].items()}
        found[name] = Timing([ms * 1e6 for ms in of["ms"]], nodes)
    return found


def pack(shared: Path, file: Path = FILE, *, judge: bool = True) -> Pack:
    """The bundled pack, from ``file`` and the networks themselves; its costs alone, which are quicker to come by, unless they are to be judged."""
    known = json.loads(file.read_text("utf-8"))
    with tempfile.TemporaryDirectory(prefix="latlint-networks-") as scratch:
        found = [each for each in networks(shared, Path(scratch)) if each.name in known["networks"]]
        timed = [n for n in THREADS if all(str(n) in entry for entry in known["networks"].values())]
        times = {threads: timings(file, threads) for threads in timed}
        rounds = {threads: max(len(each.passes) for each in of.values()) for threads, of in times.items()}
        published = sum(each.judged for each in found)
        passed = " and ".join(f"{count} rounds on {threads} thread(s)" for threads, count in rounds.items())
        source = (
            f"{published} published networks, float32 and quantised, and {len(found) - published} generated ones, timed with {known['runtime']} "
            f"in {passed}, on a virtual machine that others used too (latlint/training/measured/{file.name})"
        )
        facts = Facts(
            DEVICE,
            "server core with AVX-512 (Zen 4)",
            "AMD EPYC (Zen 4), AVX-512, 2 virtual cores",
            [source],
            PROCESSOR,
        )
        timed_here = {n: [of[each.name] for each in found] for n, of in times.items()}
        return build_pack(found, timed_here, facts, judge=judge)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m latlint.training.servers", description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="directory with data/ and corpus/")
    parser.add_argument("--rounds", type=int, default=1, help="how often to pass over all networks")
    parser.add_argument("--threads", type=int, nargs="*", default=THREADS, help="numbers of threads")
    parser.add_argument("--scratch", type=Path, help="where networks that are made stay for the next call")
    parser.add_argument("--file", type=Path, default=FILE, help="the file of times to add to")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="latlint-networks-") as scratch:
        room = options.scratch or Path(scratch)
        room.mkdir(parents=True, exist_ok=True)
        found = list(networks(options.shared, room))
        for _ in range(options.rounds):
            for threads in options.threads:
                add_round(options.file, found, threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
