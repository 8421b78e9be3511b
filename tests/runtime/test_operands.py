"""Operands that no kernel of LiteRT takes: how many, of which types, quantised or not. LiteRT itself is asked of every file here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latlint.api import check
from latlint.data import data_dir
from latlint.graph.tflite import read_tflite
from latlint.runtime.loading import missing
from latlint.settings import Settings
from tests.graph.test_tflite import CONV, IMAGE, OUT, Body, Op, T, build, constant, weights

RUNTIMES = ("tflite-2.10/builtin", "litert-2.3/xnnpack", "tflite-2.10/gpu-delegate")
MAX = ("MaximumMinimumOptions", {})
ROW = T((1, 16))


def int8(*shape: int, data: bool = False, scales: int = 1, point: int = 0) -> T:
    values = np.zeros(shape, np.int8) if data else None
    return T(shape, "int8", values, scales=(0.5,) * scales, zero_points=(point,) * scales)


INT8_IMAGE, INT8_FILTER = int8(1, 8, 8, 16), int8(16, 3, 3, 16, data=True, scales=16)
INT8_ROW = int8(1, 16)
#: A sequence of 4 steps of 8 values, weights of 4 gates, biases, two states, and what is read of them in which order.
LSTM = [T((1, 4, 8)), *[weights(8, 8)] * 8, *[weights(8)] * 4, *[T((1, 8), variable=True)] * 2, T((1, 4, 8))]
READ, CELL = (
    [*range(9), -1, -1, -1, *range(9, 13), -1, -1, 13, 14],
    ("UnidirectionalSequenceLSTMOptions", {"FusedActivationFunction": 4}),
)
INT32_BIAS = T((16,), "int32", np.zeros(16), scales=(0.25,) * 16, zero_points=(0,) * 16)
FILTER, BIAS = weights(16, 3, 3, 16), weights(16)

#: What is wrong with a file -> its tensors, its op, what is said of it, and the tensors and the op of one that is right.
CASES: dict[str, tuple[list[T], Op, str, list[T], Op]] = {
    "no bias": (
        [IMAGE, FILTER, OUT], Op("CONV_2D", [0, 1], [2], CONV), "with 2 inputs and 1 output",
        [IMAGE, FILTER, BIAS, OUT], Op("CONV_2D", [0, 1, 2], [3], CONV),
    ),
    "int8 without scales": (
        [T(INT8_IMAGE.shape, "int8"), T(INT8_FILTER.shape, "int8", INT8_FILTER.data), INT32_BIAS, T(OUT.shape, "int8")],
        Op("CONV_2D", [0, 1, 2], [3], CONV), "int8 that is not quantised and int32, to int8 that is not quantised",
        [INT8_IMAGE, INT8_FILTER, INT32_BIAS, int8(1, 4, 4, 16)], Op("CONV_2D", [0, 1, 2], [3], CONV),
    ),
    "a float bias": (
        [INT8_IMAGE, INT8_FILTER, BIAS, int8(1, 4, 4, 16)], Op("CONV_2D", [0, 1, 2], [3], CONV),
        "int8 and int8 quantised by channel and float32, to int8",
        [INT8_IMAGE, INT8_FILTER, INT32_BIAS, int8(1, 4, 4, 16)], Op("CONV_2D", [0, 1, 2], [3], CONV),
    ),
    "zero points by channel": (
        [INT8_IMAGE, INT8_FILTER._replace(zero_points=(3,) * 16), INT32_BIAS, int8(1, 4, 4, 16)], Op("CONV_2D", [0, 1, 2], [3], CONV),
        "with zero points for weights that are quantised by channel",
        [INT8_IMAGE, INT8_FILTER, INT32_BIAS, int8(1, 4, 4, 16)], Op("CONV_2D", [0, 1, 2], [3], CONV),
    ),
    "two inputs of one": ([ROW, ROW, ROW], Op("TANH", [0, 1], [2]), "with 2 inputs and 1 output", [ROW, ROW], Op("TANH", [0], [1])),
    "two types": (
        [ROW, T((1, 16), "int32"), ROW], Op("MAXIMUM", [0, 1], [2], MAX), "float32 and int32, to float32",
        [ROW, ROW, ROW], Op("MAXIMUM", [0, 1], [2], MAX),
    ),
    "axes of int64": (
        [IMAGE, constant([1, 2], "int64"), T((1, 16))], Op("MEAN", [0, 1], [2], ("ReducerOptions", {})), "float32 and int64, to float32",
        [IMAGE, constant([1, 2]), T((1, 16))], Op("MEAN", [0, 1], [2], ("ReducerOptions", {})),
    ),
    "a zero point for int16": (
        [T((1, 16), "int16", scales=(0.5,), zero_points=(3,)), T((1, 16), "int16", scales=(1 / 32768,), zero_points=(0,))],
        Op("TANH", [0], [1]), "int16 with a zero point, to int16",
        [T((1, 16), "int16", scales=(0.5,), zero_points=(0,)), T((1, 16), "int16", scales=(1 / 32768,), zero_points=(0,))],
        Op("TANH", [0], [1]),
    ),
    "an activation of a concatenation": (
        [ROW, ROW, T((1, 32))], Op("CONCATENATION", [0, 1], [2], ("ConcatenationOptions", {"Axis": 1, "FusedActivationFunction": 1})), "with a fused relu",
        [ROW, ROW, T((1, 32))], Op("CONCATENATION", [0, 1], [2], ("ConcatenationOptions", {"Axis": 1})),
    ),
    "joined values of other scales": (
        [INT8_ROW, INT8_ROW._replace(scales=(0.25,)), int8(1, 32)], Op("CONCATENATION", [0, 1], [2], ("ConcatenationOptions", {"Axis": 1}), 2),
        "whose operands are not quantised alike",
        [INT8_ROW, INT8_ROW, int8(1, 32)], Op("CONCATENATION", [0, 1], [2], ("ConcatenationOptions", {"Axis": 1}), 2),
    ),
    "stacked values of other scales": (
        [INT8_ROW, INT8_ROW._replace(scales=(0.25,)), int8(2, 1, 16)], Op("PACK", [0, 1], [2], ("PackOptions", {"ValuesCount": 2}), 2),
        "whose operands are not quantised alike",
        [INT8_ROW, INT8_ROW, int8(2, 1, 16)], Op("PACK", [0, 1], [2], ("PackOptions", {"ValuesCount": 2}), 2),
    ),
    "a dimension more and another scale": (
        [INT8_ROW, constant(0), int8(1, 1, 16)._replace(scales=(0.25,))], Op("EXPAND_DIMS", [0, 1], [2]), "whose operands are not quantised alike",
        [INT8_ROW, constant(0), int8(1, 1, 16)], Op("EXPAND_DIMS", [0, 1], [2]),
    ),
    "a sigmoid of any scale": (
        [INT8_ROW, INT8_ROW], Op("LOGISTIC", [0], [1], None, 2), "with an output scale of 0.5, not 0.00390625",
        [INT8_ROW, INT8_ROW._replace(scales=(1 / 256,), zero_points=(-128,))], Op("LOGISTIC", [0], [1], None, 2),
    ),
    "a largest value of another scale": (
        [INT8_ROW, constant([1]), int8(1)._replace(scales=(0.25,))], Op("REDUCE_MAX", [0, 1], [2], ("ReducerOptions", {}), 2), "whose operands are not quantised alike",
        [INT8_ROW, constant([1]), int8(1)], Op("REDUCE_MAX", [0, 1], [2], ("ReducerOptions", {}), 2),
    ),
    "corners and half pixels": (
        [IMAGE, constant([4, 4]), OUT], Op("RESIZE_BILINEAR", [0, 1], [2], ("ResizeBilinearOptions", {"AlignCorners": True, "HalfPixelCenters": True}), 3),
        "with aligned corners and half pixels",
        [IMAGE, constant([4, 4]), OUT], Op("RESIZE_BILINEAR", [0, 1], [2], ("ResizeBilinearOptions", {"HalfPixelCenters": True}), 3),
    ),
    "a cell without its state": (
        LSTM, Op("UNIDIRECTIONAL_SEQUENCE_LSTM", [*READ[:-2], 13], [15], CELL), "with 19 inputs and 1 output",
        LSTM, Op("UNIDIRECTIONAL_SEQUENCE_LSTM", READ, [15], CELL),
    ),
    "text": ([T((1, 16), "string"), ROW], Op("SQRT", [0], [1]), "string, to float32", [ROW, ROW], Op("SQRT", [0], [1])),
}  # fmt: skip


def file(tensors: list[T], op: Op) -> bytes:
    given = tuple(
        index for index in op.inputs if index >= 0 and tensors[index].data is None and not tensors[index].variable
    )
    return build(tensors, [op], tuple(dict.fromkeys(given)), op.outputs)


def runs(data: bytes) -> bool:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    plain = interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        made = interpreter.Interpreter(model_content=data, experimental_op_resolver_type=plain)
        made.allocate_tensors()
        made.invoke()
    except (ValueError, RuntimeError):
        return False
    return True


@pytest.mark.parametrize("name", CASES)
def test_what_litert_refuses_is_refused(name: str) -> None:
    tensors, op, words, _, _ = CASES[name]
    data = file(tensors, op)
    assert not runs(data)
    for runtime in RUNTIMES:
        (found,) = missing(read_tflite(data, "m.tflite"), runtime)
        assert (found.op, found.nodes, found.wrong or found.types) == (op.code, (0,), words)


@pytest.mark.parametrize("name", CASES)
def test_what_litert_runs_is_not(name: str) -> None:
    *_, tensors, op = CASES[name]
    data = file(tensors, op)
    assert runs(data)
    assert all(missing(read_tflite(data, "m.tflite"), runtime) == [] for runtime in RUNTIMES)


@pytest.mark.parametrize(
    ("name", "delegated"), [("a sigmoid of any scale", True), ("joined values of other scales", False)]
)
def test_what_a_delegate_takes_is_prepared_by_no_built_in_kernel(name: str, delegated: bool, tmp_path: Path) -> None:
    tensors, op, *_ = CASES[name]
    path = tmp_path / "m.tflite"
    path.write_bytes(file(tensors, op))
    targets = ("pixel-4/cpu-1large", "pixel-4/cpu-1large@xnnpack")
    found = check([str(path)], Settings(root=tmp_path, targets=targets)).findings
    assert {each.target for each in found if each.code == "LAT012"} == set(targets[: 1 if delegated else 2])


def test_operands_of_another_order_are_counted_as_the_file_has_them() -> None:
    """SPLIT reads its axis first, TRANSPOSE_CONV the size that it makes; ``graph.ops`` has the data first."""
    split = file(
        [constant(1), ROW, T((1, 8)), T((1, 8))], Op("SPLIT", [0, 1], [2, 3], ("SplitOptions", {"NumSplits": 2}))
    )
    options = ("TransposeConvOptions", {"Padding": 0, "StrideW": 1, "StrideH": 1})
    size = constant([1, 8, 8, 16])
    transposed = file([size, FILTER, IMAGE, IMAGE], Op("TRANSPOSE_CONV", [0, 1, 2], [3], options))
    wrong = file([size, FILTER, T(IMAGE.shape, "int64"), IMAGE], Op("TRANSPOSE_CONV", [0, 1, 2], [3], options))
    assert [(runs(data), len(missing(read_tflite(data, "m"), RUNTIMES[0]))) for data in (split, transposed, wrong)] == [
        (True, 0), (True, 0), (False, 1),
    ]  # fmt: skip


def test_an_operand_that_a_node_does_not_have_is_no_other_tensor() -> None:
    """A node that came from no file may have fewer than its op: SPLIT its axis, which stands first in files."""
    split = file([constant(1), ROW, ROW], Op("SPLIT", [0, 1], [2], ("SplitOptions", {"NumSplits": 1})))
    graph = read_tflite(split, "m")
    assert missing(graph, RUNTIMES[0]) == []
    drawn = replace(graph, nodes=[replace(node, inputs=node.inputs[:1]) for node in graph.nodes])
    assert [each.op for each in missing(drawn, RUNTIMES[0])] == ["SPLIT"]


def test_an_op_in_a_branch_that_a_constant_switches_off_is_resolved_all_the_same(tmp_path: Path) -> None:
    """LiteRT looks every op of the file up when it loads it."""
    strange, plain = (
        Body([ROW, ROW], [Op("Mystery", [0], [1])], [0], [1]),
        Body([ROW, ROW], [Op("TANH", [0], [1])], [0], [1]),
    )
    choice = Op("IF", [0, 1], [2], ("IfOptions", {"ThenSubgraphIndex": 1, "ElseSubgraphIndex": 2}))
    off = T((), "bool", np.array(False))
    for bodies, said in (([strange, plain], ["Mystery"]), ([plain, plain], [])):
        data = build([off, ROW, ROW], [choice], (1,), (2,), bodies=bodies)
        assert runs(data) is not bool(said)
        found = missing(read_tflite(data, "m.tflite"), RUNTIMES[0])
        assert [each.op for each in found] == said


def test_the_list_says_of_one_op_what_litert_says_of_it() -> None:
    """``benchmarks/litert_kernels.py`` writes it; one op of it is asked again here."""
    import importlib.util
    import sys

    pytest.importorskip("ai_edge_litert")
    place = Path(__file__).resolve().parents[2] / "benchmarks" / "litert_kernels.py"
    spec = importlib.util.spec_from_file_location("litert_kernels", place)
    assert spec is not None and spec.loader is not None
    benchmark: Any = sys.modules.setdefault(spec.name, importlib.util.module_from_spec(spec))
    spec.loader.exec_module(benchmark)
    lines = dict(
        line.split(" ", 1) for line in (data_dir("rules") / "litert-2.3" / "kernels.txt").read_text().splitlines()
    )
    assert benchmark.table(["CEIL"]) == {"CEIL": lines["CEIL"]}
