"""Compares the size of every tensor that latlint reads with what the runtime has: LiteRT after AllocateTensors, ONNX Runtime after a run.

    python benchmarks/sizes.py FILE_OR_DIRECTORY...

Needs ``ai-edge-litert`` and ``onnxruntime``. An ONNX model is run on zeros, not optimised, with all values of its main graph as outputs, at the sizes
that latlint took for open ones. LiteRT prepares a graph up to the first tensor whose size depends on data; where a file has one, the model
is run on zeros first. Tensors that LiteRT still has at the file's placeholder then (of branches that did not run) are left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latlint.graph import Graph

_RUNTIME_SHAPES = """
import json, sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
made = Interpreter(sys.argv[1], experimental_op_resolver_type=plain, experimental_preserve_all_tensors=True)
made.allocate_tensors()
shapes = lambda: {d["index"]: [d["name"], d["shape"].tolist()] for d in made.get_tensor_details()}
answer = {"allocated": shapes()}
print(json.dumps(answer), flush=True)
if sys.argv[2] == "run":
    made.invoke()
    answer["after"] = shapes()
    print(json.dumps(answer), flush=True)
"""


_ONNX_SHAPES = """
import json, sys
import numpy as np
import onnx
import onnxruntime
model, sizes = onnx.load(sys.argv[1]), json.loads(sys.argv[2])
declared = {output.name for output in model.graph.output}
wanted = dict.fromkeys(name for node in model.graph.node for name in node.output if name and name not in declared)
model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
options.log_severity_level = 4
session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]
types = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
feeds = {
    each.name: np.zeros(sizes[each.name], onnx.helper.tensor_dtype_to_np_dtype(types[each.name])) for each in session.get_inputs()
}
found = session.run(names, feeds)
print(json.dumps({name: list(value.shape) for name, value in zip(names, found) if hasattr(value, "shape")}))
"""


def files(paths: Iterable[str]) -> Iterator[Path]:
    for path in map(Path, paths):
        yield from sorted(p for p in path.rglob("*") if p.suffix in (".tflite", ".onnx")) if path.is_dir() else [path]


def runtime_shapes(path: Path, *, run: bool) -> dict[str, Any] | str:
    """What LiteRT says of the file, or why it says nothing."""
    return _asked(_RUNTIME_SHAPES, str(path), "run" if run else "allocate")


def _asked(script: str, *arguments: str) -> dict[str, Any] | str:
    """What a script prints, or why it prints nothing. In a process of its own: some files end it."""
    command = [sys.executable, "-c", script, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        return "timeout"
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        return (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1][:160]
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def compare(path: Path) -> tuple[str, Counter[str], list[str]]:
    """The file's state, counts of tensors, and what differs."""
    from latlint.errors import LatlintError
    from latlint.graph import read

    try:
        graph = read(path)
    except LatlintError as error:
        if path.suffix == ".onnx":
            return "latlint refuses", Counter(), [error.message]
        said = runtime_shapes(path, run=False)
        return ("both refuse" if isinstance(said, str) else "latlint refuses"), Counter(), [error.message]
    if graph.dialect == "onnx":
        return _compare_onnx(path, graph)
    said = runtime_shapes(path, run=bool(graph.dynamic_in_litert))
    if isinstance(said, str):
        return "LiteRT refuses", Counter(), [said]
    if graph.dynamic_in_litert and "after" not in said:
        return "LiteRT cannot run it", Counter(), []
    counts: Counter[str] = Counter()
    wrong = []
    moved = said.get("after")
    for node in graph.nodes:
        for index in node.outputs:
            name, theirs = (moved or said["allocated"]).get(str(index), ("", ()))
            tensor, theirs = graph.tensors[index], tuple(theirs)
            if index < 0 or name != tensor.name:
                continue  # of a body of control flow
            if tensor.shape is None or -1 in tensor.shape:
                counts["unknown"] += 1
                continue
            same = tensor.shape == theirs
            counts["equal" if same else "different"] += 1
            if not same:
                wrong.append(
                    f"  node {node.index} {node.native} '{tensor.name[-40:]}': {tensor.shape}, LiteRT {theirs}"
                )
    state = "compared after a run" if moved else "compared"
    return state, counts, wrong


def _compare_onnx(path: Path, graph: Graph) -> tuple[str, Counter[str], list[str]]:
    sizes = {graph.tensors[i].name: [max(dim, 1) for dim in graph.tensors[i].shape or ()] for i in graph.inputs}
    said = _asked(_ONNX_SHAPES, str(path), json.dumps(sizes))
    if isinstance(said, str):
        return "ONNX Runtime cannot run it", Counter(), []
    counts: Counter[str] = Counter()
    wrong = []
    for node in graph.nodes:
        for tensor in (graph.tensors[index] for index in node.outputs if index >= 0):
            if tensor.name not in said:
                continue
            theirs = tuple(said[tensor.name])
            if tensor.shape is None or -1 in tensor.shape:
                counts["unknown"] += 1
                continue
            counts["equal" if tensor.shape == theirs else "different"] += 1
            if tensor.shape != theirs:
                wrong.append(
                    f"  node {node.index} {node.native} '{tensor.name[-40:]}': {tensor.shape}, ONNX Runtime {theirs}"
                )
    return "compared after a run", counts, wrong


def main() -> int:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    states: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    clean = 0
    for path in files(sys.argv[1:]):
        state, counts, wrong = compare(path)
        states[f"{path.suffix} {state}"] += 1
        totals += counts
        clean += state.startswith("compared") and not wrong
        if wrong or counts["unknown"]:
            print(f"{path}: {state} {dict(counts)}", *wrong[:8], sep="\n", flush=True)
    print(f"files: {dict(states)}; without a difference: {clean}; tensors: {dict(totals)}")
    return int(totals["different"] > 0)


if __name__ == "__main__":
    sys.exit(main())
