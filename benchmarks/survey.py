"""Judges model files as a gate would, under a budget that nothing breaks: what may not pass, and does.

    python benchmarks/survey.py FILE_OR_DIRECTORY...

On a CPU's built-in kernels, XNNPACK, a GPU, an NPU and ONNX Runtime no file may crash, pass with an op whose cost is not known, pass with a
size open beyond the batch, or have an unknown op without a name. What a graph has is looked up in the graph itself, not in the prediction.
Prints every case, and the counts. docs/exporters.md tells of a run.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from latlint.api import check, predict
from latlint.errors import LatlintError
from latlint.graph import Graph, read
from latlint.graph.ops import UNKNOWN
from latlint.settings import Budget, Settings

TARGETS = {
    ".tflite": ("pixel-4/cpu-1large", "pixel-4/cpu-1large@xnnpack", "pixel-4/gpu", "galaxy-s24/npu"),
    ".onnx": (
        "pixel-4/cpu-1large",
        "pixel-4/cpu-1large@xnnpack",
        "pixel-4/gpu",
        "galaxy-s24/npu",
        "x86-64-avx512/cpu-1@onnxruntime",
    ),
}
#: More than any model takes.
NEVER_BROKEN_MS = 1e12


def files(paths: Iterable[str]) -> Iterator[Path]:
    for path in map(Path, paths):
        yield from sorted(p for p in path.rglob("*") if p.suffix in TARGETS) if path.is_dir() else [path]


def in_doubt(graph: Graph) -> list[str]:
    """Why a PASS of this graph would be a guess: dimensions of inputs beyond the first that nobody stated, and ops that nobody knows."""
    found = [f"open: {name} {dims}" for name, dims in graph.assumed.items() if -1 in dims[1:]]
    live, fixed = set(graph.outputs), {index for index, tensor in enumerate(graph.tensors) if tensor.constant}
    for node in graph.nodes:  # converters and runtimes compute what they get of constants alone
        if node.inputs and fixed.issuperset(index for index in node.inputs if index >= 0):
            fixed.update(node.outputs)
    for node in reversed(graph.nodes):
        if fixed.issuperset(node.outputs):
            continue
        if node.inner or live.intersection(node.outputs) or not node.outputs:
            live.update(node.inputs)
            if node.kind == UNKNOWN or any(i >= 0 and graph.tensors[i].elements is None for i in node.outputs):
                found.append(f"{'unknown' if node.kind == UNKNOWN else 'unsized'}: {node.native}")
    return found


def _priced_by_name(target: str, doubts: Iterable[str]) -> Counter[str]:
    """Ops that ``graph.ops`` has no word for, where the runtime's model prices the file's own ops: it tells itself which it does not know."""
    return Counter(doubt for doubt in doubts if target.endswith("@onnxruntime") and doubt.startswith("unknown"))


def judged(path: Path) -> Iterator[tuple[str, str]]:
    """``(target, what is said)`` of one file: ``pass``, ``unjudged``, ``fail``, ``refused``, or what is wrong."""
    names = TARGETS[path.suffix]
    settings = Settings(targets=names, budgets=(Budget(max_ms=NEVER_BROKEN_MS),))
    try:
        doubts = in_doubt(read(path))
        report = check(path, settings)
        kernels = {each.target: each.kernels for each in predict(path, names)} if not report.errors else {}
    except LatlintError as error:
        yield "*", f"refused: {error.message}"
        return
    except Exception as error:  # that there is none is what is asked
        yield "*", f"WRONG: crash: {type(error).__name__}: {error}"
        return
    for prediction, verdict in zip(report.predictions, report.verdicts, strict=True):
        unknown = [kernel for kernel in kernels[prediction.target] if kernel.source == "unknown"]
        if sum(prediction.unknown.values()) != len(unknown) or "" in prediction.unknown:
            yield prediction.target, f"WRONG: {len(unknown)} unknown kernels, named are {dict(prediction.unknown)}"
        elif verdict.word == "pass" and unknown:
            yield prediction.target, f"WRONG: pass with {dict(prediction.unknown)}"
        elif verdict.word == "pass" and (left := Counter(doubts) - _priced_by_name(prediction.target, doubts)):
            yield prediction.target, f"WRONG: pass in spite of {dict(left)}"
        else:
            yield prediction.target, verdict.word
    for refused in report.errors:
        yield "*", f"refused: {refused.message}"


def main() -> int:
    states: Counter[str] = Counter()
    by_target: dict[str, Counter[str]] = {}
    count = 0
    for path in files(sys.argv[1:]):
        count += 1
        for target, said in judged(path):
            word = said.partition(":")[0]
            states[word] += 1
            by_target.setdefault(target, Counter())[word] += 1
            if word in ("WRONG", "refused"):
                print(f"{path} on {target}: {said}", flush=True)
    for target, counts in sorted(by_target.items()):
        print(f"{target}: {dict(sorted(counts.items()))}")
    print(f"{count} files, {sum(states.values())} verdicts: {dict(sorted(states.items()))}")
    return int(states["WRONG"] > 0)


if __name__ == "__main__":
    sys.exit(main())
