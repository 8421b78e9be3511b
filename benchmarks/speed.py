"""How long latlint takes and how much memory, against what one would run instead, in one run on one machine.

    python benchmarks/speed.py                         # some minutes
    python benchmarks/speed.py --peers DIR             # with the peers that the virtual environment DIR has
    python benchmarks/speed.py --many 100000           # files of the longest run (default: 10000)
    python benchmarks/speed.py --only cold             # one part of the table
    python benchmarks/speed.py --check                 # fail where a limit is exceeded

Every figure is of a whole process: wall and processor time, and peak memory as the operating system accounts for it when the process has
ended. Commands that are compared run in turn, round after round, and the ratio is the median of each round's, so that it holds when the
machine is slower for a while. A peer that is not installed is said to be so:

    pip install onnx onnxruntime onnx-graphsurgeon polygraphy ethos-u-vela onnx-tool

Needs the model files (``--shared``, by default ../shared) and ``pip install '.[train]'``, which unpacks them.
"""

# Nothing large is imported here: what a parent has at the fork counts as its child's peak.
from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

NETWORKS = ("mobilenetv2_w1", "mobilenetv3_small_w1", "resnet18")
GPU, CPU, SERVER = "pixel-4/gpu", "pixel-4/cpu-1large", "x86-64-avx512/cpu-1@onnxruntime"
HERE = Path(__file__).resolve().parent
MB = 1_000_000

Command = Sequence[str | os.PathLike[str]]


@dataclass(slots=True)
class Runs:
    """What several runs of one command took."""

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    peak_mb: float = 0.0

    @property
    def median_s(self) -> float:
        return statistics.median(self.wall_s)

    def over(self, other: Runs, what: str = "wall_s") -> float:
        """Median of the ratios of each round."""
        return statistics.median(a / b for a, b in zip(getattr(self, what), getattr(other, what), strict=True))


@dataclass(slots=True)
class Bench:
    """What the parts of the table share, and the limits that were ``broken``, in words."""

    corpus: Path
    scratch: Path
    peers: Path
    rounds: int
    many: int
    broken: list[str] = field(default_factory=list)

    def limit(self, what: str, value: float, most: float, unit: str) -> None:
        if value > most:
            self.broken.append(f"{what}: {value:.3g} {unit}, at most {most:g} {unit}")


def latlint(*args: str | os.PathLike[str]) -> Command:
    return (sys.executable, "-m", "latlint", *args)


def compared(commands: Mapping[str, Command], rounds: int, cache: Path, warm: bool = True) -> dict[str, Runs]:
    """Every command once a round, in turn; a first round is not counted."""
    found = {name: Runs() for name in commands}
    for number in range(-1 if warm else 0, rounds):
        for name, command in commands.items():
            wall_s, cpu_s, peak_mb = timed(command, cache)
            if number >= 0:
                found[name].wall_s.append(wall_s)
                found[name].cpu_s.append(cpu_s)
                found[name].peak_mb = max(found[name].peak_mb, peak_mb)
    return found


def timed(command: Command, cache: Path) -> tuple[float, float, float]:
    """Wall and processor seconds, and peak megabytes, of a process that exits with 0 or 1 (findings)."""
    environment = {**os.environ, "LATLINT_CACHE_DIR": str(cache), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    # Installed packages come compiled; a checkout is compiled by the first run, which is not counted.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=errors, cwd=HERE.parent)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 1):
            errors.seek(0)
            raise SystemExit(f"{' '.join(map(str, command))}: {errors.read().decode(errors='replace')[-2000:]}")
    return wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / MB


def printed(*args: str | os.PathLike[str]) -> str:
    """What a Python program of this environment prints."""
    return subprocess.run(
        (sys.executable, *args), check=True, text=True, stdout=subprocess.PIPE, cwd=HERE.parent
    ).stdout


def heading(title: str, columns: str) -> None:
    print(f"\n{title}\n{'':44} {columns}", flush=True)


# --- One file -----------------------------------------------------------------------------------------------------------------


def cold(bench: Bench) -> None:
    """One file on one target, from the start of a process; against peers on the same file."""
    for network in NETWORKS:
        fp32, int8, onnx = (
            bench.corpus / kind / f"{network}.{kind.partition('_')[0]}"
            for kind in ("tflite_fp32", "tflite_int8", "onnx")
        )
        for file, target, others in (
            (fp32, GPU, {"python -c 'import numpy'": (sys.executable, "-c", "import numpy")}),
            (
                onnx,
                GPU,
                {"onnx.load + shape inference": (sys.executable, "-c", _INFER, onnx), **onnx_peers(bench, onnx)},
            ),
            (int8, CPU, int8_peers(bench, int8)),
        ):
            _one_file(bench, file, target, others)


_INFER = "import onnx, sys; onnx.shape_inference.infer_shapes(onnx.load(sys.argv[1]))"


def _one_file(bench: Bench, file: Path, target: str, others: Mapping[str, Command | None]) -> None:
    kind = file.parent.name
    heading(f"{file.stem}, {kind}, on {target}", "median s   min s   cpu s  peak MB  wall, cpu to latlint")
    ours = latlint("check", file, "--target", target)
    commands = {"latlint check": (*ours, "--no-cache"), "latlint check, from cache": ours}
    commands |= {name: command for name, command in others.items() if command}
    runs = compared(commands, bench.rounds, bench.scratch / "cache")
    base = runs["latlint check"]
    for name, each in runs.items():
        print(
            f"  {name:42} {each.median_s:8.3f} {min(each.wall_s):7.3f} {statistics.median(each.cpu_s):7.3f} "
            f"{each.peak_mb:8.0f} {each.over(base):9.2f}x {each.over(base, 'cpu_s'):9.2f}x"
        )
    for name in others.keys() - runs.keys():
        print(f"  {name:42} not installed")
    if file.stem == NETWORKS[0]:
        what = f"check of {file.stem}, {kind}"
        bench.limit(f"{what}, from cache", runs["latlint check, from cache"].median_s, 0.2, "s")
        bench.limit(what, base.median_s, 0.35, "s")
        bench.limit(what, base.peak_mb, 90, "MB")
        if numpy := runs.get("python -c 'import numpy'"):
            beyond = statistics.median(a - b for a, b in zip(base.wall_s, numpy.wall_s, strict=True))
            bench.limit(f"{what}, beyond import numpy", beyond, 0.2, "s")
        for name in runs.keys() & PEERS:
            bench.limit(f"{what}, to {name}", 1 / runs[name].over(base), 1, "times its time")


def onnx_peers(bench: Bench, file: Path) -> dict[str, Command | None]:
    python = bench.peers / "bin" / "python"
    checker = "onnxruntime.tools.check_onnx_model_mobile_usability"
    return {
        "onnxruntime mobile usability checker": _if(python, "onnxruntime", "-m", checker, file),
        "polygraphy check lint": _if(python, "polygraphy", python.with_name("polygraphy"), "check", "lint", file),
        "onnx-tool": _if(python, "onnx_tool", "-m", "onnx_tool", "-i", file),
    }


def int8_peers(bench: Bench, file: Path) -> dict[str, Command | None]:
    python = bench.peers / "bin" / "python"
    vela = python.with_name("vela")
    return {"vela": _if(python, "ethosu.vela", vela, file, "--output-dir", bench.scratch / "vela")}


PEERS = frozenset({"onnxruntime mobile usability checker", "polygraphy check lint", "onnx-tool", "vela"})


def _if(python: Path, module: str, *args: str | os.PathLike[str]) -> Command | None:
    """``python ARGS`` where it can import ``module``."""
    if not python.exists():
        return None
    there = subprocess.run((python, "-c", f"import {module}"), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return (python, *args) if there.returncode == 0 else None


def runtimes(bench: Bench) -> None:
    """One ONNX file on ONNX Runtime's target, from the start of a process; against the same file as converted, on a phone's CPU and GPU."""
    for file in ("onnx/resnet18.onnx", "onnx_vit/deit-tiny-distilled-patch16-224.onnx"):
        heading(f"{Path(file).stem} on ONNX Runtime, and as converted", "median cpu s    min   cpu to ONNX Runtime's")
        runs = compared(
            {on: latlint("check", bench.corpus / file, "--no-cache", "--target", on) for on in (SERVER, CPU, GPU)},
            bench.rounds,
            bench.scratch / "cache",
        )
        for on, each in runs.items():
            over = each.over(runs[SERVER], "cpu_s")
            print(f"  {on:42} {statistics.median(each.cpu_s):12.3f} {min(each.cpu_s):6.3f} {over:12.2f}x")
        for on in (CPU, GPU):
            what = f"check of {Path(file).stem} on ONNX Runtime, to as converted for {on}"
            bench.limit(what, runs[SERVER].over(runs[on], "cpu_s"), 1.05, "times the processor time")


# --- Many predictions ---------------------------------------------------------------------------------------------------------

_THROUGHPUT = """
import sys, time
from latlint import Settings, api
settings, files = Settings(targets=("*",)), sys.argv[2:]
run = api.Run.prepare(files, settings, judge=sys.argv[1] == "check", hashed=False)
next(run.parts())
wall, cpu = time.perf_counter(), time.process_time()
pairs = sum(len(part.predictions) for part in run.parts())
print(pairs, time.perf_counter() - wall, time.process_time() - cpu)
"""


def throughput(bench: Bench) -> None:
    """Model-target pairs per second on one core, every target there is, over every fifth file of the corpus."""
    files = sorted(
        path for kind in ("tflite_fp32", "tflite_int8", "onnx", "onnx_vit") for path in (bench.corpus / kind).iterdir()
    )
    heading(
        f"{len(files[::5])} files of the corpus on all targets, one process", "   pairs  pairs per s  pairs per cpu s"
    )
    for command in ("predict", "check"):
        pairs, wall_s, cpu_s = map(float, printed("-c", _THROUGHPUT, command, *files[::5]).split())
        print(f"  {command:42} {pairs:8.0f} {pairs / wall_s:12.0f} {pairs / cpu_s:16.0f}")
        bench.limit(f"{command}, a pair", cpu_s / pairs * 1000, 1000 / 150, "ms")


#: Networks of both formats, CNNs and transformers.
VARIED = (
    "tflite_fp32/mobilenetv2_w1.tflite",
    "tflite_int8/resnet18.tflite",
    "onnx/mobilenetv3_small_w1.onnx",
    "tflite_vit_fp32/deit-base-distilled-patch16-224.tflite",
    "onnx_vit/swin-tiny-patch4-window7-224.onnx",
)

_NAMES = "import sys; from latlint.latency.catalogue import find_targets, select_targets; print(*select_targets(sys.argv[1:], find_targets()))"


def npus(bench: Bench) -> None:
    """One network on all NPUs, and on as many CPU targets, of all devices: those of an NPU each have a device, and the first CPUs by name have six together."""
    ratios = []
    for runtimes in ("", "@*"):
        npu, cpu = (printed("-c", _NAMES, f"*/{kind}*{runtimes}").split() for kind in ("npu", "cpu"))
        heading(
            f"{len(npu)} NPU targets, */npu*{runtimes}, against as many */cpu*{runtimes}",
            "median cpu s    min   peak MB   cpu to CPUs'",
        )
        for file in VARIED:
            sets = {"NPU": _running(npu, file)}
            sets["CPU"] = _spread(_running(cpu, file), len(sets["NPU"]))
            commands = {
                kind: latlint(
                    "check", bench.corpus / file, "--no-cache", *(each for name in names for each in ("-t", name))
                )
                for kind, names in sets.items()
            }
            runs = compared(commands, bench.rounds, bench.scratch / "cache")
            for kind, each in runs.items():
                name = f"{Path(file).name[:28]}, {len(sets[kind])} {kind}s"
                over = each.over(runs["CPU"], "cpu_s")
                print(
                    f"  {name:42} {statistics.median(each.cpu_s):12.3f} {min(each.cpu_s):6.3f} {each.peak_mb:9.0f} {over:12.2f}x"
                )
            ratios.append(runs["NPU"].over(runs["CPU"], "cpu_s"))
    print(f"  median of the ratios {statistics.median(ratios):.2f}, the largest {max(ratios):.2f}")
    bench.limit(
        "NPU targets to as many CPU targets, median of networks",
        statistics.median(ratios),
        1.1,
        "times the processor time",
    )


def _spread(names: Sequence[str], count: int) -> list[str]:
    """``count`` of ``names``, evenly."""
    return [names[place * len(names) // count] for place in range(count)]


def _running(names: Sequence[str], file: str) -> list[str]:
    """Those of the targets that load the file: the user's globs leave the others out, names do not."""
    if not file.endswith(".tflite"):
        return list(names)
    listed = json.loads(printed("-m", "latlint", "targets", "--format", "json"))["targets"]
    others = {each["name"] for each in listed if each["runtimes"] and "tflite" not in each["runtimes"]}
    return [name for name in names if not name.endswith("@onnxruntime") and name not in others]


# --- Large files --------------------------------------------------------------------------------------------------------------


def large(bench: Bench) -> None:
    """Files whose size must not matter, and a graph whose size may."""
    heading("large files, on pixel-4/gpu", "median s   min s   cpu s  peak MB")
    embedded, external = bench.scratch / "embedded.onnx", bench.scratch / "external.onnx"
    write_stack(embedded, layers=24, external=False)
    write_stack(external, layers=150, external=True)
    printed("-c", _LONG, bench.scratch / "long.onnx")
    sized = f"{embedded.stat().st_size / 1e9:.1f} GB of weights in the file"
    beside = f"{(bench.scratch / 'external.bin').stat().st_size / 1e9:.1f} GB of weights beside it"
    for name, file, most_s, formats in (
        (sized, embedded, 0.6, ("text", "json")),
        (beside, external, 0.6, ("text", "json")),
        ("20,000 nodes", bench.scratch / "long.onnx", 3.0, ("text",)),
    ):
        for form in formats:
            label = name if form == "text" else f"{name}, --format {form} (SHA-256)"
            command = latlint("check", file, "-t", GPU, "--no-cache", "--format", form)
            runs = compared({name: command}, min(bench.rounds, 5), bench.scratch / "cache")[name]
            cpu_s = statistics.median(runs.cpu_s)
            print(f"  {label:42} {runs.median_s:8.3f} {min(runs.wall_s):7.3f} {cpu_s:7.3f} {runs.peak_mb:8.0f}")
            if form == "text":
                bench.limit(name, runs.median_s, most_s, "s")
                if most_s < 1:
                    bench.limit(name, runs.peak_mb, 150, "MB")


#: A chain of 20,000 nodes that a runtime can fuse in pairs.
_LONG = """
import sys, onnx
from onnx import TensorProto, helper
nodes = [helper.make_node(("Conv", "Relu")[i % 2], [f"v{i}", "w"][: 2 - i % 2], [f"v{i + 1}"], name=f"n{i}") for i in range(20_000)]
value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8, 32, 32])
weights = helper.make_tensor("w", TensorProto.FLOAT, [8, 8, 1, 1], [0.0] * 64)
graph = helper.make_graph(nodes, "long", [value("v0")], [value("v20000")], [weights])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), sys.argv[1])
"""


def write_stack(path: Path, *, layers: int, external: bool) -> None:
    """An ONNX file of ``layers`` matrix products of 4096 by 4096, 67 MB of zeros each, which are holes in the file (onnx.proto)."""
    size = 4096 * 4096 * 4
    nodes, tensors = b"", []
    for layer in range(layers):
        names = (_field(1, f"v{layer}".encode()), _field(1, f"w{layer}".encode()), _field(2, f"v{layer + 1}".encode()))
        nodes += _field(1, b"".join(names) + _field(3, f"n{layer}".encode()) + _field(4, b"MatMul"))
        head = _number(1, 4096) * 2 + _number(2, 1) + _field(8, f"w{layer}".encode())
        if external:
            where = {"location": f"{path.stem}.bin", "offset": str(layer * size), "length": str(size)}
            head += b"".join(
                _field(13, _field(1, k.encode()) + _field(2, v.encode())) for k, v in where.items()
            ) + _number(14, 1)
        else:
            head += _varint(9 << 3 | 2) + _varint(size)
        tensors.append(head)
    held = 0 if external else size
    shape = _field(2, _field(1, _number(1, 1)) + _field(1, _number(1, 4096)))
    ends = [
        _field(tag, _field(1, name.encode()) + _field(2, _field(1, _number(1, 1) + shape)))
        for tag, name in ((11, "v0"), (12, f"v{layers}"))
    ]
    announced = [_varint(5 << 3 | 2) + _varint(len(head) + held) for head in tensors]
    graph_bytes = len(nodes) + sum(map(len, (*announced, *tensors, *ends))) + held * layers
    with path.open("wb") as file:
        file.write(_number(1, 8) + _field(8, _number(2, 17)) + _varint(7 << 3 | 2) + _varint(graph_bytes) + nodes)
        for start, head in zip(announced, tensors, strict=True):
            file.write(start + head)
            file.seek(held, os.SEEK_CUR)
        file.write(b"".join(ends))
    if external:
        with path.with_suffix(".bin").open("wb") as file:
            file.truncate(size * layers)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _field(tag: int, content: bytes) -> bytes:
    return _varint(tag << 3 | 2) + _varint(len(content)) + content


def _number(tag: int, value: int) -> bytes:
    return _varint(tag << 3) + _varint(value)


# --- Many files, several processes --------------------------------------------------------------------------------------------


def files(bench: Bench) -> None:
    """Time and memory by the number of files, streamed: each is one matrix product."""
    heading(f"many small files, on {CPU}, one process", "  wall s   cpu s  cpu ms a file  peak MB")
    write_stack(bench.scratch / "small.onnx", layers=1, external=True)
    small = (bench.scratch / "small.onnx").read_bytes()
    counts = sorted({10, 1000, 10_000, bench.many})
    peaks = []
    for count in counts:
        directory = bench.scratch / f"{count} files"
        directory.mkdir()
        for number in range(count):
            (directory / f"m{number:06}.onnx").write_bytes(small)
        command = latlint("check", directory, "-t", CPU, "--no-cache", "--jobs", "1")
        wall_s, cpu_s, peak_mb = timed(command, bench.scratch / "cache")
        peaks.append(peak_mb)
        print(f"  {f'{count:,} files':42} {wall_s:8.2f} {cpu_s:7.2f} {cpu_s / count * 1000:14.2f} {peak_mb:8.0f}")
    bench.limit(f"memory of {counts[-1]:,} files over that of 10", peaks[-1] - peaks[0], counts[-1] * 0.0005, "MB")


def processes(bench: Bench) -> None:
    """The same run in one process and in two."""
    heading("the corpus on the targets of pixel-4", "median s   min s   cpu s")
    ours = latlint("check", bench.corpus, "-t", "pixel-4/*", "--no-cache", "--format", "csv")
    runs = compared(
        {f"--jobs {n}": (*ours, "--jobs", str(n)) for n in (1, 2)},
        min(bench.rounds, 3),
        bench.scratch / "cache",
        warm=False,
    )
    for name, each in runs.items():
        print(f"  {name:42} {each.median_s:8.2f} {min(each.wall_s):7.2f} {statistics.median(each.cpu_s):7.2f}")
    faster = runs["--jobs 1"].over(runs["--jobs 2"])
    print(f"  two processes are {faster:.2f} times as fast as one")
    bench.limit("one process's time over two's", 1.7, faster, "times")


PARTS = {
    "cold": cold,
    "runtimes": runtimes,
    "throughput": throughput,
    "npus": npus,
    "large": large,
    "files": files,
    "processes": processes,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--peers", type=Path, default=Path(sys.prefix), help="virtual environment of the peers")
    parser.add_argument("--rounds", type=int, default=7, help="counted runs of each short command")
    parser.add_argument("--many", type=int, default=10_000, help="files of the longest run")
    parser.add_argument("--only", choices=list(PARTS), action="append", help="this part of the table; repeatable")
    parser.add_argument("--check", action="store_true", help="exit 1 where a limit is exceeded")
    options = parser.parse_args()
    find = "import sys; from pathlib import Path; from latlint.training.corpus import unpacked; print(unpacked(Path(sys.argv[1])))"
    corpus = Path(printed("-c", find, options.shared.resolve() / "corpus").strip())
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(corpus, Path(scratch), options.peers, options.rounds, options.many)
        for name, part in PARTS.items():
            if not options.only or name in options.only:
                part(bench)
    for what in bench.broken:
        print(f"limit exceeded: {what}", file=sys.stderr)
    return int(options.check and bool(bench.broken))


if __name__ == "__main__":
    sys.exit(main())
