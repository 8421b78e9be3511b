"""The worst files of 4 MB that we know how to build: every op there is, and pieces of real networks, written again and again until 4 MB or a bound of
the readers is reached, each step after the one before it where its result can be taken, else beside it.

    python benchmarks/worst.py [--form tflite|onnx] [--full N] [--seconds S] [--check]

All are checked with every rule, on a GPU, a CPU and an NPU together, at a hundredth of their length, each in a process of its own. Those that took the most time
for a byte, ``--full`` of a format, and half as many of those that took the most memory, are then checked at full length, on each of these targets alone. ``--check`` fails where one takes
more than 10 s of processor time or 512 MB, or ends as nothing may. A process is ended after ``--seconds`` of processor time.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import os
import resource
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from onnx import ModelProto

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "fuzz"))
import flat  # noqa: E402
import seeds  # noqa: E402

from latlint.cli import main  # noqa: E402
from latlint.graph.tflite_ops import BUILTIN_NAMES  # noqa: E402

MOST_BYTES = 4 << 20
#: Nodes that the readers take, by format.
MOST_NODES = {"tflite": 49_990, "onnx": 24_990}
MOST_SECONDS, MOST_MB = 10.0, 512
#: How much shorter the files are of which the worst are taken.
SHORTER = 100
TARGETS = ("pixel-4/gpu", "pixel-4/cpu-1large@xnnpack", "galaxy-s24/npu@litert")


class Run(NamedTuple):
    """Exit code, seconds of processor time, peak in MB and standard error of a check."""

    status: int
    seconds: float
    peak_mb: int
    said: str

    @property
    def wrong(self) -> bool:
        held = self.seconds <= MOST_SECONDS and self.peak_mb <= MOST_MB
        return not held or self.status not in (0, 1, 2) or "LAT009" in self.said


def check(path: Path, targets: Sequence[str] = TARGETS) -> int:
    """The exit code for the model ``path``, with every rule; nothing is printed but errors."""
    asked = [part for target in targets for part in ("--target", target)]
    with Path(os.devnull).open("w") as out, contextlib.redirect_stdout(out):
        return main(["check", str(path), *asked, "--no-config", "--no-cache", "--format", "json"])


def checked(data: bytes, form: str, most_seconds: int, targets: Sequence[str] = TARGETS) -> Run:
    """``data`` in a process that has checked a model before."""
    with tempfile.TemporaryFile() as err, tempfile.TemporaryDirectory() as directory:
        path = Path(directory, f"m.{form}")
        path.write_bytes(data)
        child = os.fork()
        if not child:
            status = 3
            try:
                resource.setrlimit(resource.RLIMIT_CPU, (most_seconds, most_seconds))
                os.dup2(err.fileno(), 2)
                status = check(path, targets)
            finally:
                os._exit(status)
        _, code, usage = os.wait4(child, 0)
        err.seek(0)
        said = err.read().decode(errors="replace").replace(f"{path}: ", "")
    return Run(os.waitstatus_to_exitcode(code), usage.ru_utime + usage.ru_stime, usage.ru_maxrss >> 10, said)


def repeated_onnx(data: bytes, count: int) -> bytes:
    """The nodes of ``data`` ``count`` times: the first input of each repeat is the last output of the one before it."""
    model = ModelProto.FromString(data)
    graph = model.graph
    step = list(graph.node)
    taken = graph.input[0].name if graph.input else ""
    last, written = taken, {name for node in step for name in node.output}
    del graph.node[:]
    for number in range(count):
        for node in step:
            again = graph.node.add()
            again.CopyFrom(node)
            again.name = ""
            for names in (again.input, again.output):
                for slot, name in enumerate(names):
                    if name in written:
                        names[slot] = f"{name}.{number}"
                    elif name == taken:
                        names[slot] = last
        last = f"{step[-1].output[0]}.{number}" if taken else last
    if graph.output[0].name in written:
        graph.output[0].name += f".{count - 1}"
    del graph.value_info[:]
    return bytes(model.SerializeToString())


def repeated_tflite(data: bytes, count: int) -> bytes:
    """The operators of ``data`` ``count`` times in one graph, after each other where the shapes agree, else beside each other."""
    model = flat.parse(data, most=1 << 16)
    graph = model[2][0]
    tensors, step = graph[0], graph[3]
    written = {i for operator in step for i in operator.get(2, ())}
    taken = next((i for i in graph[1] if i not in written), -1)
    final = step[-1].get(2, [-1])[0]
    chained = taken >= 0 and final >= 0 and tensors[taken].get(0) == tensors[final].get(0)
    operators, outputs, last = [], [], taken
    for _ in range(count):
        place = {taken: last} if chained else {}
        for old in sorted(written):
            place[old] = len(tensors)
            tensors.append(copy.copy(tensors[old]) | {3: b"t"})
        for operator in step:
            sides = {slot: [place.get(i, i) for i in operator.get(slot, ())] for slot in (1, 2)}
            operators.append(dict(operator) | sides)
        if final >= 0:
            last = place[final]
            outputs.append(last)
    graph[3] = operators
    graph[2] = outputs[-1:] if chained else outputs
    return flat.write(model)


class Step(NamedTuple):
    """What is repeated, ``most`` times at full length."""

    form: str
    name: str
    data: bytes
    most: int

    def file(self, shorter: float = 1) -> bytes:
        return (repeated_onnx if self.form == "onnx" else repeated_tflite)(self.data, max(int(self.most / shorter), 1))


def steps(form: str) -> Iterator[Step]:
    """One for each seed that has nodes."""
    for data in seeds.seeds(form):
        if form == "onnx":
            names = [node.op_type for node in ModelProto.FromString(data).graph.node]
        else:
            model = flat.parse(data, most=1 << 16)
            codes = [max(code.get(slot, 0) for slot in (0, 3)) for code in model[1]]
            names = [BUILTIN_NAMES[codes[operator.get(0, 0)]] for operator in model[2][0][3]]
        if not names:
            continue
        one = Step(form, "+".join(names), data, 1)
        longer, long = (len(one._replace(most=count).file()) for count in (40, 20))
        yield one._replace(most=max(min(int(MOST_BYTES / (longer - long) * 20), MOST_NODES[form] // len(names)), 1))


def longest(step: Step, most_seconds: int, target: str) -> tuple[bytes, Run]:
    """The longest file of ``step`` that is not refused for its length, by a third: what an op is made of counts as well."""
    shorter = 1.0
    while True:
        data = step.file(shorter)
        found = checked(data, step.form, most_seconds, (target,))
        if "beyond what latlint reads" not in found.said or shorter > 100:
            return data, found
        shorter *= 1.5


def run() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--form", choices=("tflite", "onnx"))
    parser.add_argument("--full", type=int, default=12)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:  # all that is imported and read once
        for form in ("tflite", "onnx"):
            path = Path(directory, f"m.{form}")
            path.write_bytes(seeds.seeds(form)[-1])
            check(path)
    wrong = 0
    for form in [options.form] if options.form else ["tflite", "onnx"]:
        short = {step: checked(step.file(SHORTER), form, options.seconds) for step in steps(form)}
        slow = sorted(short, key=lambda step: -short[step].seconds)[: options.full]
        large = sorted(short, key=lambda step: -short[step].peak_mb)[: options.full // 2]
        print(f"{form}: {len(short)} steps; the worst at full length:", flush=True)
        for step in [*slow, *(step for step in large if step not in slow)]:
            for target in TARGETS:
                data, found = longest(step, options.seconds, target)
                wrong += found.wrong
                print(
                    f"{found.seconds:6.2f} s {found.peak_mb:4d} MB  exit {found.status}  {len(data) / 1e6:.2f} MB  {target}  at most {step.most} x {step.name[:70]}"
                    f"  {found.said.strip()[:60]}{'  OVER' if found.wrong else ''}",
                    flush=True,
                )
    return 1 if options.check and wrong else 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(run())
