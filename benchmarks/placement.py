"""Which ops run where: latlint's plans against the runtimes' own word, model by model.

Each runtime records what it does in a virtual environment of its own, and the records are compared in latlint's:

    pip install ai-edge-litert==2.3.0                                     # Python 3.11
    python benchmarks/placement.py xnnpack xnnpack.json MODEL...          # the interpreter's partitions on this CPU

    pip install tensorflow-cpu==2.10.1 "numpy<1.24" "protobuf<3.20"       # Python 3.10
    python benchmarks/placement.py gpu gpu.json MODEL...                  # tf.lite.experimental.Analyzer, gpu_compatibility=True

    python benchmarks/placement.py compare xnnpack.json MODEL...
    python benchmarks/placement.py compare gpu.json MODEL...

A model agrees when both name the same nodes, but for what EXPLAINED says of the analyzer. docs/exporters.md has the result.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

RUNTIMES = {"xnnpack": "litert-2.3/xnnpack", "gpu": "tflite-2.10/gpu-delegate"}

Record = dict[str, Any]


# --- What the runtimes say (only the runtime is needed) --------------------------------------------------------------------


def xnnpack(path: Path) -> list[list[int]]:
    """The nodes of each XNNPACK partition in LiteRT."""
    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-not-found]

    return partitions_of(Interpreter(model_path=str(path)))


def partitions_of(interpreter: Any) -> list[list[int]]:
    """The nodes of each partition that an interpreter delegates: from a DELEGATE op's outputs back to its inputs."""
    interpreter.allocate_tensors()
    ops = interpreter._get_ops_details()
    nodes = [op for op in ops if op["op_name"] != "DELEGATE"]
    producer = {int(tensor): op["index"] for op in nodes for tensor in op["outputs"]}
    partitions = []
    for delegate in ops[len(nodes) :]:
        inside: set[int] = set()
        waiting = [int(tensor) for tensor in delegate["outputs"]]
        given = {int(tensor) for tensor in delegate["inputs"]}
        while waiting:
            tensor = waiting.pop()
            if tensor not in given and tensor in producer and producer[tensor] not in inside:
                inside.add(producer[tensor])
                waiting += (int(each) for each in ops[producer[tensor]]["inputs"])
        partitions.append(sorted(inside))
    return partitions


def gpu(path: Path) -> dict[str, str]:
    """Node -> why the analyzer says that the GPU delegate cannot take it."""
    import tensorflow as tf  # type: ignore[import-not-found]

    with tempfile.TemporaryFile("w+") as out:
        with _stdout_to(out.fileno()), contextlib.redirect_stdout(out):
            tf.lite.experimental.Analyzer.analyze(model_path=str(path), gpu_compatibility=True)
        out.seek(0)
        text = out.read()
    found, node = {}, ""
    for line in text.splitlines():
        if line.startswith("Tensors of Subgraph#0"):
            break
        if match := re.match(r" +Op#(\d+) ", line):
            node = match[1]
        elif node and line.startswith("GPU COMPATIBILITY WARNING: ") and "Subgraph#" not in line:
            found[node] = line.partition(": ")[2].strip()
    return found


@contextlib.contextmanager
def _stdout_to(descriptor: int) -> Iterator[None]:
    """The analyzer prints from C++."""
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(descriptor, 1)
    try:
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)


def record(ask: Callable[[Path], Any], out: Path, paths: Iterable[Path]) -> None:
    found = {}
    for path in paths:
        try:
            found[name_of(path)] = ask(path)
        except (RuntimeError, ValueError) as error:  # a model that this runtime cannot run says nothing
            print(path, " ".join(str(error).split())[:100], file=sys.stderr)
    out.write_text(json.dumps({ask.__name__: found}, indent=0, sort_keys=True) + "\n")


def name_of(path: Path) -> str:
    """``tflite_int8/resnet18``: corpora have one name for several files."""
    return f"{path.parent.name}/{path.stem}" if path.parent.name.startswith("tflite_") else path.stem


# --- What latlint says ---------------------------------------------------------------------------------------------------------


def planned_xnnpack(path: Path) -> tuple[list[list[int]], set[int]]:
    """The nodes of each XNNPACK partition of the plan, and the nodes that only unpack weights: they may lack in a record."""
    from latlint.graph import read
    from latlint.runtime import Processor, plan

    graph = read(path)
    made = plan(graph, Processor("cpu-1large", RUNTIMES["xnnpack"], "cpu", "arm"))
    number = _in_main_graph(graph)
    unpackers = {number[node] for kernel in made.kernels if kernel.implementation == "unpack" for node in kernel.nodes}
    parts: dict[int, list[int]] = {}
    for kernel in made.kernels:
        if made.partitions[kernel.partition].executor == "xnnpack":
            nodes = {number[node] for node in kernel.nodes if node in number}
            parts.setdefault(kernel.partition, []).extend(nodes - unpackers)
    return sorted(sorted(nodes) for nodes in parts.values() if nodes), unpackers


def _in_main_graph(graph: Any) -> dict[int, int]:
    """Node -> its number in the file's main graph; those of bodies have none."""
    return {node.index: number for number, node in enumerate(node for node in graph.nodes if not node.inner)}


def planned_gpu(path: Path) -> dict[int, str]:
    """Node -> why latlint says that the GPU delegate does not take it, whatever becomes of the whole."""
    from latlint.graph import read
    from latlint.runtime.context import Context
    from latlint.runtime.gpu import refusals, weight_unpackers
    from latlint.runtime.gpu.rules import load_gpu_rules
    from latlint.runtime.reasons import sentence

    graph, rules = read(path), load_gpu_rules(RUNTIMES["gpu"])
    everything = range(len(graph.nodes))
    unpackers = weight_unpackers(Context(graph), everything)
    context = Context(graph, (tensor for node in unpackers for tensor in graph.nodes[node].outputs))
    found = refusals(context, (node for node in everything if node not in unpackers), rules)
    number = _in_main_graph(graph)
    return {number[node]: sentence(why) for node, why in found.items() if node in number}


#: What explains a node on which the two differ, by words of the one that refuses it. The analyzer looks at the op and its
#: attributes; types, ranks, sizes and versions are checked later, when the delegate is applied (model_builder.cc).
EXPLAINED = {
    "the analyzer does not look at versions": "knows versions up to",
    "the analyzer does not look at types": "takes float32",
    "the analyzer does not look at ranks": "takes up to",
    "the analyzer does not look at sizes": "is not known before run time",
    "the analyzer counts float16 weights as computed": "runtime inputs",
}


def compare_gpu(path: Path, refused: dict[str, str]) -> tuple[bool, str]:
    mine = planned_gpu(path)
    theirs = {int(node): why for node, why in refused.items()}
    counts: Counter[str] = Counter()
    for node in set(mine) ^ set(theirs):
        why = mine.get(node) or theirs[node]
        known = (explanation for explanation, words in EXPLAINED.items() if words in why)
        counts[next(known, f"UNEXPLAINED node {node}: {why}")] += 1
    text = f"{len(theirs)} ops refused, by latlint {len(mine)}"
    text += "".join(f"; {count} ops: {explanation}" for explanation, count in sorted(counts.items()))
    return not any(explanation.startswith("UNEXPLAINED") for explanation in counts), text


def compare_xnnpack(path: Path, parts: list[list[int]]) -> tuple[bool, str]:
    mine, unpackers = planned_xnnpack(path)
    theirs = sorted(left for nodes in parts if (left := sorted(set(nodes) - unpackers)))
    a, b = {n for nodes in mine for n in nodes}, {n for nodes in theirs for n in nodes}
    text = f"{len(theirs)} partitions of {len(b)} nodes, planned {len(mine)} of {len(a)}"
    return mine == theirs, text + (
        f"; only planned {sorted(a - b)[:8]}, only real {sorted(b - a)[:8]}" if a != b else ""
    )


def compare(source: Path, paths: Iterable[Path]) -> None:
    ((kind, found),) = json.loads(source.read_text()).items()
    judge = {"xnnpack": compare_xnnpack, "gpu": compare_gpu}[kind]
    agree = count = 0
    for path in paths:
        if (name := name_of(path)) in found:
            same, text = judge(path, found[name])
            agree, count = agree + same, count + 1
            print(f"{'agree ' if same else 'DIFFER'}  {name:44} {text}")
    print(f"{agree} of {count} models agree with {RUNTIMES[kind]}")


if __name__ == "__main__":
    command, first, *models = sys.argv[1:]
    files = [Path(model) for model in models]
    if command == "compare":
        sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
        compare(Path(first), files)
    else:
        record({"xnnpack": xnnpack, "gpu": gpu}[command], Path(first), files)
