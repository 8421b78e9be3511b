"""How processor time and memory grow with a model: seconds for 1,000 nodes at 1,000, 4,000 and 16,000 of them, for every shape of graph that
was ever slow. Each run is a process of its own; what a process takes to start is measured and taken off.

    python benchmarks/growth.py [--check] [SHAPE …]

``--check`` fails where a node of the largest graph takes more than twice the time of one of the smallest, or a run more than 512 MB.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import onnx
from onnx import TensorProto, helper

SIZES = (1000, 4000, 16000)
#: One of each runtime.
TARGETS = (
    "pixel-4/gpu", "pixel-4/cpu-1large", "galaxy-s10/cpu-1large@xnnpack", "galaxy-s26/gpu", "galaxy-s24/npu@litert",
    "galaxy-s24/npu@onnxruntime", "x86-64-avx512/cpu-1@onnxruntime",
)  # fmt: skip
MOST_MB = 512
MOST_GROWTH = 2.0

_RUN = """
import contextlib, io, json, re, sys, time
from latlint.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    status = main(sys.argv[1:])
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) // 1024
print(json.dumps([status, time.process_time(), peak]))
"""


def _image(name: str, shape: list[int] | None = None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _chain(make: Callable[[int], list[onnx.NodeProto]], count: int, per: int) -> list[onnx.NodeProto]:
    return [node for i in range(count // per) for node in make(i)]


def _node(op: str, inputs: list[str], output: str) -> onnx.NodeProto:
    return helper.make_node(op, inputs, [output])


def shapes(count: int) -> dict[str, tuple[list[onnx.NodeProto], int]]:
    """The nodes of each shape of graph, ``count`` in all, and how many steps there are from ``x0`` to the last ``xN``."""
    step = "x{}".format
    return {
        "chain": (_chain(lambda i: [_node("Relu", [step(i)], step(i + 1))], count, 1), count),
        "shared operand": (
            [
                _node("Relu", ["x0"], "s"),
                *_chain(lambda i: [_node("AddMul"[3 * (i % 2) :][:3], [step(i), "s"], step(i + 1))], count, 1),
            ],
            count,
        ),
        "pads": (
            _chain(
                lambda i: [_node("Pad", [step(i), "p"], f"p{i}"), _node("Conv", [f"p{i}", "w"], step(i + 1))], count, 2
            ),
            count // 2,
        ),
        "reshapes of one": (
            _chain(
                lambda i: [_node("Reshape", ["x0", "a"], f"r{i}"), _node("Reshape", [f"r{i}", "b"], step(i + 1))],
                count,
                2,
            ),
            count // 2,
        ),
        "sums": (_chain(lambda i: [_node("Add", [step(i), "s"], step(i + 1))], count, 1), count),
        "convolutions": (
            _chain(lambda i: [_node("Conv", [step(i), "c"], f"c{i}"), _node("Relu", [f"c{i}"], step(i + 1))], count, 2),
            count // 2,
        ),
        "many into one": (
            [
                *_chain(lambda i: [_node("Relu", ["x0"], f"r{i}")], count - 1, 1),
                helper.make_node("Concat", [f"r{i}" for i in range(count - 1)], ["x1"], axis=1),
            ],
            1,
        ),
        "nothing into one": (
            [
                *_chain(lambda i: [_node("Identity", ["x0"], f"r{i}")], count - 1, 1),
                helper.make_node("Concat", [f"r{i}" for i in range(count - 1)], ["x1"], axis=1),
            ],
            1,
        ),
        "fan": (_chain(lambda i: [_node("Sigmoid", ["x0"], step(i + 1))], count, 1), count),
        "diamonds": (
            _chain(
                lambda i: [
                    _node("Relu", [step(i)], f"l{i}"),
                    _node("Sigmoid", [step(i)], f"r{i}"),
                    _node("Add", [f"l{i}", f"r{i}"], step(i + 1)),
                ],
                count,
                3,
            ),
            count // 3,
        ),
        "norms": (
            _chain(lambda i: [_node("InstanceNormalization", [step(i), "s", "s"], step(i + 1))], count, 1),
            count,
        ),
    }


def model(shape: str, count: int) -> bytes:
    """An ONNX model of ``count`` nodes."""
    nodes, steps = shapes(count)[shape]
    constants = [
        helper.make_tensor("p", TensorProto.INT64, [8], [0, 0, 1, 1, 0, 0, 1, 1]),
        helper.make_tensor("w", TensorProto.FLOAT, [8, 8, 3, 3], [0.0] * 576),
        helper.make_tensor("c", TensorProto.FLOAT, [8, 8, 1, 1], [0.0] * 64),
        helper.make_tensor("s", TensorProto.FLOAT, [8], [1.0] * 8),
        helper.make_tensor("a", TensorProto.INT64, [2], [8, 64]),
        helper.make_tensor("b", TensorProto.INT64, [4], [1, 8, 8, 8]),
    ]
    read = {name for node in nodes for name in node.input}
    outputs = [f"x{i + 1}" for i in range(steps) if f"x{i + 1}" not in read]
    graph = helper.make_graph(
        nodes,
        "g",
        [_image("x0", [1, 8, 8, 8])],
        [_image(name) for name in outputs],
        [
            constant
            for constant in constants
            if constant.name in read and constant.name not in {n.output[0] for n in nodes}
        ],
    )
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())


def run(data: bytes) -> tuple[float, int]:
    """Processor seconds and peak MB of a process that checks a model."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "m.onnx")
        path.write_bytes(data)
        targets = [word for target in TARGETS for word in ("--target", target)]
        args = ["check", str(path), *targets, "--no-config", "--no-cache", "--format", "csv", "--exit-zero"]
        done = subprocess.run([sys.executable, "-c", _RUN, *args], capture_output=True, text=True, check=True)
    status, seconds, peak_mb = json.loads(done.stdout.splitlines()[-1])
    assert status == 0, done.stderr
    return seconds, peak_mb


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shapes", nargs="*", metavar="SHAPE", help=f"of {', '.join(shapes(12))}")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    good = True
    for shape in options.shapes or shapes(12):
        start, _ = run(model(shape, 12))
        found = [run(model(shape, size)) for size in SIZES]
        rates = [(seconds - start) / size * 1000 for (seconds, _), size in zip(found, SIZES, strict=True)]
        growth, peak_mb = rates[-1] / rates[0], max(peak for _, peak in found)
        told = "  ".join(f"{rate:.3f}" for rate in rates)
        print(f"{shape:16} s for 1,000 nodes: {told}  growth x{growth:.2f}  peak {peak_mb} MB", flush=True)
        good &= growth <= MOST_GROWTH and peak_mb <= MOST_MB
    return 0 if good or not options.check else 1


if __name__ == "__main__":
    sys.exit(main())
