"""Holds the kernels that latlint plans for ONNX Runtime's CPU provider against the nodes of the graph that it saves after optimising.

    python benchmarks/onnxruntime_plans.py FILE_OR_DIRECTORY... [--as qdq qoperator dynamic] [--verbose] [--record FILE]

Takes .onnx files, packed ones (.onnx.gz, .onnx.zst) and directories of them. With ``--as`` each is quantised first, by ONNX Runtime's own
tools on one sample of random numbers: pairs of QuantizeLinear and DequantizeLinear (uint8 activations, int8 weights for each channel), integer
ops, or dynamically. Prints a line for each file that differs, with the op types that one side has more of, and a table by group: the directory, and how
it was quantised. ``--record`` writes what was saved to a JSON file, as the tests have it of the corpus (``tests/runtime/onnxruntime/corpus.json``).

Only ONNX Runtime 1.32 is asked, and only on x86-64 with AVX-512: what is saved depends on both.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from latlint.errors import LatlintError
from latlint.graph import read
from latlint.runtime import Processor, plan

HERE = Processor("cpu-1", "onnxruntime-1.32/cpu", "cpu", "x86", "avx512")
WAYS = ("qdq", "qoperator", "dynamic")
PACKED = (".gz", ".zst")


class Compared(NamedTuple):
    """One file: the nodes that are saved by op type, and the planned kernels."""

    group: str
    name: str
    saved: Counter[str]
    planned: Counter[str]

    @property
    def agreed(self) -> int:
        """Nodes that both have."""
        return (self.saved & self.planned).total()

    @property
    def nodes(self) -> int:
        return max(self.saved.total(), self.planned.total())

    def __str__(self) -> str:
        more = [f"{op} {count:+d}" for op, count in sorted((self.planned - self.saved).items())]
        less = [f"{op} {-count:+d}" for op, count in sorted((self.saved - self.planned).items())]
        return (
            f"{self.group}/{self.name}: {self.agreed} of {self.nodes}; planned: {', '.join(more + less) or 'the same'}"
        )


def saved(path: Path, scratch: Path) -> Counter[str]:
    """The op types of the graph that ONNX Runtime executes for the file, without their domains."""
    import onnxruntime
    from onnx import load_model

    target = scratch / "saved.onnx"
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.disable_prepacking", "1")  # nothing is run
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "saved.bin")
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    found = Counter(node.op_type for node in load_model(target, load_external_data=False).graph.node)
    for left in (target, scratch / "saved.bin"):
        left.unlink(missing_ok=True)
    return found


def planned(path: Path) -> Counter[str]:
    """The kernels of the plan, by implementation."""
    graph = read(path)
    inner = {node.index for node in graph.nodes if node.inner}
    kernels = (kernel for kernel in plan(graph, HERE).kernels if not kernel.free)
    return Counter(kernel.implementation for kernel in kernels if not (kernel.nodes and kernel.nodes[0] in inner))


def quantized(path: Path, way: str, target: Path) -> Path:
    """``path`` as ONNX Runtime's tools quantise it."""
    import numpy as np
    import onnxruntime
    from onnxruntime import quantization

    if way == "dynamic":
        quantization.quantize_dynamic(path, target, weight_type=quantization.QuantType.QInt8)
        return target
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    types = {
        "tensor(float)": np.float32,
        "tensor(int64)": np.int64,
        "tensor(int32)": np.int32,
        "tensor(bool)": np.bool_,
    }

    class Once(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            random = np.random.default_rng(0)
            self.left = [
                {
                    each.name: random.random([dim if isinstance(dim, int) else 1 for dim in each.shape]).astype(
                        types[each.type]
                    )
                    for each in session.get_inputs()
                }
            ]

        def get_next(self) -> object:
            return self.left.pop() if self.left else None

    quantization.quantize_static(
        path,
        target,
        Once(),
        quant_format=quantization.QuantFormat.QDQ if way == "qdq" else quantization.QuantFormat.QOperator,
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )
    return target


def files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (each for each in found if ".onnx" in each.suffixes and each.suffix in (".onnx", *PACKED))


def unpacked(path: Path, scratch: Path) -> Path:
    """``path`` itself, or what is packed in it."""
    if path.suffix not in PACKED:
        return path
    target = scratch / path.stem
    if path.suffix == ".gz":
        with gzip.open(path) as packed, target.open("wb") as out:
            shutil.copyfileobj(packed, out)
    else:
        from latlint.training.corpus import unpack_file

        unpack_file(path, target)
    return target


def compare(path: Path, way: str) -> Compared | str:
    """The file's comparison, or why there is none."""
    group = f"{path.parent.name}{f' as {way}' if way else ''}"
    with tempfile.TemporaryDirectory(prefix="latlint-plans-") as room:
        scratch = Path(room)
        try:
            model = unpacked(path, scratch)
            if way:
                model = quantized(model, way, scratch / f"{way}.onnx")
            name = path.name.partition(".onnx")[0]
            return Compared(group, name, saved(model, scratch), planned(model))
        except LatlintError as error:
            return f"{group}/{path.name}: latlint refuses: {error.message}"
        except Exception as error:  # whatever ONNX Runtime or its tools raise
            return f"{group}/{path.name}: {type(error).__name__}: {str(error).splitlines()[0][:140]}"


def table(found: Iterable[Compared]) -> str:
    """A line for each group, and the whole."""
    groups: dict[str, list[Compared]] = {}
    for each in found:
        groups.setdefault(each.group, []).append(each)
    groups["all"] = [each for of in groups.values() for each in of]
    rows = ["| group | models | exact | nodes | that agree |", "| --- | --- | --- | --- | --- |"]
    for name, of in groups.items():
        exact, nodes = sum(each.saved == each.planned for each in of), sum(each.nodes for each in of)
        share = sum(each.agreed for each in of) / max(nodes, 1)
        rows.append(f"| {name} | {len(of)} | {exact} | {nodes} | {100 * share:.2f} % |")
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--as", dest="ways", nargs="+", choices=WAYS, default=[""], help="quantise each file first")
    parser.add_argument("--verbose", action="store_true", help="a line for files that agree, too")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write what was saved of each file, by op type")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    found: list[Compared] = []
    for path in files(options.paths):
        for way in options.ways:
            one = compare(path, way)
            if isinstance(one, Compared):
                found.append(one)
            if isinstance(one, str) or options.verbose or one.saved != one.planned:
                print(one, flush=True)
    print(table(found))
    if options.record:
        lines = (f'"{one.group}/{one.name}": {json.dumps(one.saved, sort_keys=True)}' for one in found)
        options.record.write_text("{\n" + ",\n".join(sorted(lines)) + "\n}\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
