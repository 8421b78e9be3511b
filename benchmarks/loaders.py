"""What a real loader says of mutated files that latlint accepts without a word.

    python benchmarks/loaders.py tflite --seeds DIRECTORY [--count 300] [--seed 1] [--keep DIRECTORY]

Files of ``--seeds`` that their loader takes are changed in one to three places that mean something (an operand, a type, a shape, a
quantisation, an option, an attribute, a version, a constant, a field of any message), one in ten in bytes outside of the weights. What then passes on every
target, under a budget that nothing breaks and without a finding on the input (LAT0xx), is given to the loader: LiteRT's interpreter without delegates,
up to ``AllocateTensors``; ONNX Runtime's session and a run. It stands in a process of its own, with a watchdog. Prints which share is refused and why,
what is of another size, and where the multiply-accumulates differ by more than 1 %. Needs ``ai-edge-litert``, ``onnxruntime`` and ``onnx``. SECURITY.md has
the figures of a run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import select
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "fuzz")]

#: Those whose runtime is asked, and what runs on it.
TARGETS = {
    "tflite": ("pixel-4/cpu-1large", "raspberry-pi-5/cpu-4@xnnpack"),
    "onnx": ("x86-64-avx512/cpu-1@onnxruntime",),
}
NEVER_BROKEN_MS = 1e12
SECONDS = 60
MOST_BYTES = 30 << 20

_NUMBERS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 127, 255, 1000, 65535, 2**31 - 1, -1, -2, -3, -128)

#: Reads paths, writes what the loader says of each: ``{"error": …}``, or the shapes of all values, and ``"run"``: what running it says.
_LITERT = """
import json, sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
for line in sys.stdin:
    try:
        made = Interpreter(line.strip(), experimental_op_resolver_type=plain)
        made.allocate_tensors()
        shapes = {d["index"]: [d["name"], d["shape"].tolist()] for d in made.get_tensor_details()}
        answer = {"shapes": shapes}
    except Exception as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
"""
_ONNX_RUNTIME = """
import json, sys
import numpy as np
import onnx
import onnxruntime
def options(level):
    made = onnxruntime.SessionOptions()
    made.log_severity_level, made.intra_op_num_threads, made.graph_optimization_level = 4, 1, level
    return made
levels = onnxruntime.GraphOptimizationLevel
def shapes(path):
    model = onnx.load(path, load_external_data=False)
    declared = {output.name for output in model.graph.output}
    wanted = dict.fromkeys(name for node in model.graph.node for name in node.output if name and name not in declared)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options(levels.ORT_DISABLE_ALL), providers=["CPUExecutionProvider"])
    types = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    feeds = {
        each.name: np.zeros([dim if isinstance(dim, int) and dim > 0 else 1 for dim in each.shape],
                            onnx.helper.tensor_dtype_to_np_dtype(types[each.name]))
        for each in session.get_inputs()
    }
    names = [output.name for output in session.get_outputs()]
    found = session.run(names, feeds)
    return {name: [name, list(value.shape)] for name, value in zip(names, found) if hasattr(value, "shape")}
for line in sys.stdin:
    try:
        onnxruntime.InferenceSession(line.strip(), options(levels.ORT_ENABLE_ALL), providers=["CPUExecutionProvider"])
        try:
            answer = {"shapes": shapes(line.strip())}
        except Exception as error:
            answer = {"shapes": {}, "run": str(error)}
    except Exception as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
"""


class Loader:
    """A process that loads files, started again when one ends it or takes too long."""

    def __init__(self, form: str) -> None:
        self.script = _LITERT if form == "tflite" else _ONNX_RUNTIME
        self.process: subprocess.Popen[str] | None = None

    def asked(self, path: Path) -> dict[str, Any]:
        if self.process is None or self.process.poll() is not None:
            command = [sys.executable, "-c", self.script]
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        process = self.process
        assert process.stdin and process.stdout
        process.stdin.write(f"{path}\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], SECONDS)
        line = process.stdout.readline() if ready else ""
        if not line:
            process.kill()
            process.wait()
            return {"error": "no answer in time" if not ready else "the loader's process ended"}
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def silent(path: Path, form: str) -> Any:
    """The graph of a file that latlint passes on every target without a finding on the input, else ``None``."""
    from latlint.api import check
    from latlint.graph import read
    from latlint.settings import Budget, Settings

    report = check(path, Settings(targets=TARGETS[form], budgets=(Budget(max_ms=NEVER_BROKEN_MS),)))
    if report.errors or any(each.code.startswith("LAT0") for each in report.findings):
        return None
    if len(report.verdicts) < len(TARGETS[form]) or any(verdict.word != "pass" for verdict in report.verdicts):
        return None
    return read(path)


def differing(graph: Any, shapes: dict[str, Any]) -> tuple[int, float]:
    """Values that the runtime sizes otherwise, and by what factor less one its multiply-accumulates are others."""
    from latlint.runtime.work import macs

    tensors, other = list(graph.tensors), 0
    by_name = {tensor.name: index for index, tensor in enumerate(tensors)}
    for key, (name, dims) in shapes.items():
        index = int(key) if graph.format == "tflite" else by_name.get(name, -1)
        if 0 <= index < len(tensors) and tensors[index].name == name and tensors[index].shape != tuple(dims):
            other += 1
            tensors[index] = replace(tensors[index], shape=tuple(dims))
    theirs = replace(graph, tensors=tuple(tensors))
    ours, real = (sum(macs(g, node) for node in g.nodes if not node.inner) for g in (graph, theirs))
    return other, abs(real / ours - 1) if ours else float(real > 0)


# --- Mutations -------------------------------------------------------------------------------------------------------------------


def mutated(data: bytes, form: str, dice: random.Random, weights: list[tuple[int, int]]) -> bytes:
    """``data`` changed in one to three places; ``weights`` are the ranges that bytes are not changed in."""
    if dice.random() < 0.1:
        return _bytes_changed(data, dice, weights)
    edit = _tflite if form == "tflite" else _onnx
    return edit(data, dice, dice.choice((1, 1, 1, 2, 3)))


def _bytes_changed(data: bytes, dice: random.Random, weights: list[tuple[int, int]]) -> bytes:
    out = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 4))):
        for _ in range(1000):
            place = dice.randrange(len(out))
            if not any(first <= place < first + length for first, length in weights):
                break
        out[place] = dice.choice((0, 1, 2, 255, out[place] ^ (1 << dice.randrange(8)), dice.randrange(256)))
    return bytes(out)


def _onnx(data: bytes, dice: random.Random, count: int) -> bytes:
    import onnx
    import proto

    model = onnx.ModelProto.FromString(data)
    for _ in range(count):
        proto._edit(model, dice)
    return bytes(model.SerializeToString())


def _tflite(data: bytes, dice: random.Random, count: int) -> bytes:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data))
    for _ in range(count):
        _edit(model, dice, schema)
    builder = flatbuffers.Builder(len(data) + 1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _edit(model: Any, dice: random.Random, schema: Any) -> None:
    graph = dice.choice(model.subgraphs)
    if not graph.operators:
        return
    operator, tensor = dice.choice(graph.operators), dice.choice(graph.tensors)
    match dice.randrange(12):
        case 0:
            code = dice.choice(model.operatorCodes)
            code.builtinCode = dice.randrange(len([n for n in vars(schema.BuiltinOperator) if n[0] != "_"]))
            code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        case 1:
            dice.choice(model.operatorCodes).version = dice.randrange(1, 10)
        case 2 | 3:
            _edit_operands(operator, len(graph.tensors), dice)
        case 4:
            operator.opcodeIndex = dice.randrange(len(model.operatorCodes))
        case 5 | 6 if operator.builtinOptions is not None:
            _edit_fields(operator.builtinOptions, dice)
        case 7:
            match dice.randrange(3):
                case 0:
                    operator.builtinOptions, operator.builtinOptionsType = None, 0
                case 1:
                    other = dice.choice(graph.operators)
                    operator.builtinOptions, operator.builtinOptionsType = (
                        other.builtinOptions,
                        other.builtinOptionsType,
                    )
                case _:
                    operator.inputs, other = list(operator.inputs), dice.choice(graph.operators)
                    if len(other.inputs):
                        operator.inputs[: len(other.inputs)] = list(other.inputs)
        case 8 | 9:
            _edit_tensor(tensor, model, dice)
        case 10:
            small = [b for b in model.buffers if b.data is not None and 4 <= len(b.data) <= 64 and len(b.data) % 4 == 0]
            if small:
                import numpy as np

                buffer = dice.choice(small)
                words = np.array(buffer.data, np.uint8).view(np.int32).copy()
                words[dice.randrange(len(words))] = dice.choice(_NUMBERS)
                buffer.data = words.view(np.uint8)
        case _:
            side = dice.choice(("inputs", "outputs"))
            items = [int(each) for each in getattr(graph, side)]
            _edit_list(items, range(len(graph.tensors)), dice)
            setattr(graph, side, items)


def _edit_operands(operator: Any, tensors: int, dice: random.Random) -> None:
    side = dice.choice(("inputs", "inputs", "outputs"))
    items = [int(each) for each in (getattr(operator, side) if getattr(operator, side) is not None else ())]
    _edit_list(items, range(-1, tensors), dice)
    setattr(operator, side, items)


def _edit_list(items: list[int], choices: Any, dice: random.Random) -> None:
    match dice.randrange(4):
        case 0 if items:
            del items[dice.randrange(len(items))]
        case 1:
            items.insert(dice.randrange(len(items) + 1), dice.choice([*choices[:1], *items] or [0]))
        case 2 if len(items) > 1:
            a, b = dice.sample(range(len(items)), 2)
            items[a], items[b] = items[b], items[a]
        case _ if items:
            items[dice.randrange(len(items))] = dice.choice(choices)


def _edit_fields(table: Any, dice: random.Random) -> None:
    names = sorted(vars(table))
    if not names:
        return
    name = dice.choice(names)
    value = getattr(table, name)
    if isinstance(value, bool):
        setattr(table, name, not value)
    elif isinstance(value, float):
        setattr(table, name, dice.choice((0.0, 1.0, -1.0, 0.5, float("inf"), float("nan"))))
    elif isinstance(value, int):
        small = name in ("padding", "fusedActivationFunction", "mode", "weightsFormat", "kernelType")
        setattr(table, name, dice.choice(_NUMBERS[:8] if small else _NUMBERS))
    elif hasattr(value, "__len__") and not isinstance(value, bytes | str):
        items = [int(each) for each in value]
        _edit_list(items, _NUMBERS, dice)
        setattr(table, name, items)


def _edit_tensor(tensor: Any, model: Any, dice: random.Random) -> None:
    match dice.randrange(8):
        case 0 | 1:
            tensor.type = dice.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 16, 17, 18))
        case 2 | 3:
            dims = [int(each) for each in (tensor.shape if tensor.shape is not None else ())]
            if dims and dice.random() < 0.6:
                dims[dice.randrange(len(dims))] = dice.choice((1, 2, 3, 4, 7, 8, 16, 64, 0, -1))
            else:
                _edit_list(dims, (1, 2, 3, 8), dice)
            tensor.shape = dims
        case 4:
            tensor.quantization = None
        case 5 | 6:
            quantization = tensor.quantization
            if quantization is None:
                return
            name = dice.choice(("scale", "zeroPoint", "quantizedDimension"))
            if name == "quantizedDimension":
                quantization.quantizedDimension = dice.randrange(-1, 6)
                return
            value = getattr(quantization, name)
            items: list[Any] = list(value) if value is not None else []
            if name == "scale":
                numbers: tuple[Any, ...] = (0.0, 1.0, -1.0, 0.5, float("inf"), float("nan"))
                items = [float(each) for each in items]
            else:
                numbers = (0, 1, -1, 3, 127, -128, 255, 1000)
                items = [int(each) for each in items]
            match dice.randrange(3):
                case 0 if items:
                    del items[dice.randrange(len(items)) :]
                case 1:
                    items.append(dice.choice(numbers))
                case _ if items:
                    items[dice.randrange(len(items))] = dice.choice(numbers)
            setattr(quantization, name, items)
        case _ if dice.random() < 0.5:
            tensor.isVariable = not tensor.isVariable
        case _:
            tensor.buffer = dice.randrange(len(model.buffers))


# --- The run ---------------------------------------------------------------------------------------------------------------------


def reason(error: str) -> str:
    """What a loader says, without the names and numbers of one file."""
    last = [line for line in error.strip().splitlines() if line.strip()] or [error]
    line = next((each for each in last if "failed to prepare" not in each and "was not true" in each), last[0])
    line = re.sub(r"'[^']*'|\"[^\"]*\"|\([^()]*\)|\{[^{}]*\}|\[[^\[\]]*\]", "…", line)
    return re.sub(r"\d+", "N", line)[:150]


def sources(directory: Path, form: str, loader: Loader) -> Iterator[tuple[bytes, list[tuple[int, int]], str]]:
    """Real files that latlint and their loader take: content, ranges of weights, name."""
    for path in sorted(directory.rglob(f"*.{form}")):
        if path.stat().st_size > MOST_BYTES or "error" in loader.asked(path):
            continue
        graph = silent(path, form)
        if graph is not None:
            data = [tensor.data for tensor in graph.tensors if tensor.data and tensor.data.length > 64]
            yield path.read_bytes(), [(each.offset, each.length) for each in data], path.stem


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("form", choices=tuple(TARGETS))
    parser.add_argument("--seeds", type=Path, required=True)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["LATLINT_CACHE_DIR"] = os.devnull
    dice, loader = random.Random(options.seed), Loader(options.form)
    seeds = list(sources(options.seeds, options.form, loader))
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    states: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    examples: dict[str, list[str]] = defaultdict(list)
    accepted = tried = 0
    with tempfile.TemporaryDirectory() as work:
        while accepted < options.count:
            data, weights, name = dice.choice(seeds)
            try:
                made = mutated(data, options.form, dice, weights)
            except Exception:  # what the schema's own writer does not take is no file
                continue
            tried += 1
            path = Path(work) / f"m.{options.form}"
            path.write_bytes(made)
            if made == data or (graph := silent(path, options.form)) is None:
                continue
            accepted += 1
            said = loader.asked(path)
            if "error" in said:
                state, why = "refused", reason(said["error"])
            elif "run" in said:
                state, why = "cannot be run", reason(said["run"])
            else:
                others, factor = differing(graph, said["shapes"])
                state = "other MACs" if factor > 0.01 else "other sizes" if others else "the same"
                why = state
            states[state] += 1
            reasons[f"{state}: {why}"] += 1
            examples[f"{state}: {why}"].append(name)
            if options.keep and state != "the same":
                kept = options.keep / f"{state.replace(' ', '-')}-{accepted}.{options.form}"
                kept.write_bytes(made)
                (options.keep / "why.txt").open("a").write(
                    f"{kept.name} {name}: {said.get('error', said.get('run', why))!r}\n"
                )
    loader.close()
    print(f"{len(seeds)} files, {tried} mutants, {accepted} accepted without a word:")
    for state, count in states.most_common():
        print(f"  {state}: {count} ({count / accepted:.1%})")
    for why, count in reasons.most_common():
        if not why.startswith("the same"):
            print(f"{count:4}  {why}  ({', '.join(dict.fromkeys(examples[why]))[:60]})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
