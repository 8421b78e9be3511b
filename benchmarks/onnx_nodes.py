"""Holds the shapes that latlint infers against ONNX's own node tests: what the file declares of outputs is taken away first.

    python benchmarks/onnx_nodes.py

Prints one line for each op with a wrong or no shape, or without a kind, and the counts.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases

from latlint.errors import LatlintError
from latlint.graph.onnx import read_onnx
from latlint.graph.types import Graph

#: Operators that only give back what is not a tensor.
_NO_TENSORS = frozenset({"sequence_type", "optional_type", "map_type"})

#: Ops whose first input may steer the shape.
_STEERED_BY_FIRST = frozenset({"Range", "ConstantOfShape", "HannWindow", "HammingWindow", "BlackmanWindow", "Constant"})
_MAX_STEERING = 64


def cases() -> Iterator[tuple[str, ModelProto, list[Any], list[Any]]]:
    """Name, model, inputs, and the outputs that ONNX's reference has for them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    for case in found:
        if case.model is not None and case.data_sets:
            yield case.name, case.model, list(case.data_sets[0][0]), list(case.data_sets[0][1])


def bare(model: ModelProto, inputs: list[Any]) -> bytes:
    """The model without what it says of shapes behind its inputs, and with the small inputs that may steer a shape as constants."""
    copy = ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    for output in copy.graph.output:
        if output.type.HasField("tensor_type"):
            output.type.tensor_type.ClearField("shape")
    first = model.graph.node[0].op_type not in _STEERED_BY_FIRST
    for value, data in list(zip(copy.graph.input, inputs, strict=False))[first:]:
        if isinstance(data, (np.ndarray, np.generic)) and data.size <= _MAX_STEERING and data.dtype.kind in "fiubV":
            copy.graph.initializer.append(numpy_helper.from_array(np.asarray(data), value.name))
    return copy.SerializeToString()


def judge(model: ModelProto, inputs: list[Any], expected: list[Any]) -> tuple[str, Graph | None]:
    """``right``, ``unknown``, ``wrong``, ``refused`` or ``no tensor``."""
    try:
        graph = read_onnx(memoryview(bare(model, inputs)), "m.onnx")
    except LatlintError as error:
        return f"refused: {error.message[:90]}", None
    shapes = [
        (graph.tensors[index].shape, tuple(value.dims) if isinstance(value, TensorProto) else np.shape(value))
        for index, output, value in zip(graph.outputs, model.graph.output, expected, strict=False)
        if output.type.WhichOneof("value") not in _NO_TENSORS and not isinstance(value, list)
    ]
    if not shapes:
        return "no tensor", graph
    if any(
        shape is not None
        and (len(shape) != len(real) or any(a not in (-1, b) for a, b in zip(shape, real, strict=True)))
        for shape, real in shapes
    ):
        return f"wrong: {shapes[0][0]}, not {shapes[0][1]}", graph
    return "unknown" if any(shape is None or -1 in shape for shape, _ in shapes) else "right", graph


def main() -> int:
    states: Counter[str] = Counter()
    by_op: dict[str, Counter[str]] = {}
    unnamed: Counter[str] = Counter()
    for name, model, inputs, expected in cases():
        state, graph = judge(model, inputs, expected)
        word = state.partition(":")[0]
        states[word] += 1
        op = model.graph.node[0].op_type if len(model.graph.node) == 1 else name
        by_op.setdefault(op, Counter())[word] += 1
        if word in ("wrong", "refused"):
            print(f"{name}: {state}")
        if graph is not None:
            unnamed.update({node.native for node in graph.nodes if node.kind == "unknown"})
    for op, counts in sorted(by_op.items()):
        if counts["unknown"]:
            print(f"{op}: {dict(counts)}")
    print("without a kind:", dict(sorted(unnamed.items())))
    print(dict(states))
    return int(states["wrong"] > 0)


if __name__ == "__main__":
    sys.exit(main())
