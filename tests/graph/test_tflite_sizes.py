"""The sizes of a .tflite file's tensors are those that the runtime computes, and its control flow is followed."""

from __future__ import annotations

import gzip
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import numpy as np
import pytest

from latlint.errors import LatlintError
from latlint.graph import Graph, tflite, tflite_bodies, tflite_shapes
from latlint.graph.inputs import InputShape
from latlint.graph.tflite import read_tflite
from latlint.graph.tflite_shapes import Sizes
from latlint.graph.types import Node, Tensor
from tests.graph.test_tflite import Body, Op, T, build, constant, weights

REPOSITORY = Path(__file__).parents[2]


def graph(tensors: Sequence[T], ops: Sequence[Op], bodies: Sequence[Body] = (), **more: Sequence[int]) -> Graph:
    return read_tflite(build(tensors, ops, bodies=bodies, **more), "m.tflite")  # type: ignore[arg-type]


def scalar(value: float, dtype: str = "int32") -> T:
    return T((), dtype, np.asarray(value, dtype))


CONV = ("Conv2DOptions", {"Padding": 0, "StrideW": 2, "StrideH": 2})
SHAPE = Op("SHAPE", [0], [1], ("ShapeOptions", {"OutType": 2}))


# --- Sizes --------------------------------------------------------------------------------------------------------------------------


def test_a_size_that_the_file_lies_about_is_computed_and_said() -> None:
    tensors = [T((1, 8, 8, 16)), weights(32, 3, 3, 16), T((1, 1, 1, 32), name="inner"), T((1, 1, 1, 32), name="last")]
    read = graph(tensors, [Op("CONV_2D", [0, 1], [2], CONV), Op("RELU", [2], [3])])
    assert [read.tensors[index].shape for index in (2, 3)] == [(1, 4, 4, 32), (1, 4, 4, 32)]
    assert read.notes == (
        "'inner' is 1x1x1x32 in the file, and TensorFlow Lite makes it 1x4x4x32, which counts, and so are 1 more",
    )


def test_a_placeholder_of_an_open_batch_is_no_lie() -> None:
    """What a layer behind a Flatten gets: the file has 1x1, marked as open."""
    signature = (-1, 8, 8, 16)
    tensors = [
        T((1, 8, 8, 16), name="x", signature=signature), T((4,), "int32"), constant([0]), constant([1]), constant([1]), T((), "int32"),
        scalar(-1), T((2,), "int32"), T((1, 1), signature=(-1, -1)), weights(10, 1024), T((1, 10), signature=(-1, 10)),
    ]  # fmt: skip
    ops = [
        SHAPE,
        Op("STRIDED_SLICE", [1, 2, 3, 4], [5], ("StridedSliceOptions", {"ShrinkAxisMask": 1})),
        Op("PACK", [5, 6], [7], ("PackOptions", {"ValuesCount": 2, "Axis": 0})),
        Op("RESHAPE", [0, 7], [8]),
        Op("FULLY_CONNECTED", [8, 9], [10]),
    ]
    read = graph(tensors, ops)
    assert [read.tensors[index].shape for index in (8, 10)] == [(1, 1024), (1, 10)]
    (note,) = read.notes
    assert "taken as 1x8x8x16" in note
    eight = read_tflite(build(tensors, ops), "m.tflite", [InputShape("x", (8, 8, 8, 16))])
    assert [eight.tensors[index].shape for index in (8, 10)] == [(8, 1024), (8, 10)] and not eight.notes


def test_a_batch_that_is_folded_into_another_dimension() -> None:
    """Window attention and TimeDistributed: the batch is part of a larger dimension, which the file has at its least."""
    tensors = [
        T((1, 8, 8, 16), name="x"), constant([2, 2]), constant([[0, 0], [0, 0]]), T((1, 4, 4, 16), signature=(-1, 4, 4, 16)),
        constant([-1, 16, 16]), T((1, 16, 16), signature=(-1, 16, 16)),
    ]  # fmt: skip
    read = graph(tensors, [Op("SPACE_TO_BATCH_ND", [0, 1, 2], [3]), Op("RESHAPE", [3, 4], [5])])
    assert [read.tensors[index].shape for index in (3, 5)] == [(4, 4, 4, 16), (4, 16, 16)]


def test_a_cast_to_integers_cuts_off() -> None:
    """A size of 9 made 1.5 times as large is 13, twice that 26; not 27."""
    tensors = [
        T((1, 9, 9, 4)), T((4,), "int32"), constant([1]), constant([3]), constant([1]), T((2,), "int32"), T((2,)), scalar(1.5, "float32"),
        T((2,)), T((2,), "int32"), constant([2, 2]), T((2,), "int32"), T((1, 1, 1, 4), signature=(1, -1, -1, 4)),
    ]  # fmt: skip
    ops = [
        SHAPE,
        Op("STRIDED_SLICE", [1, 2, 3, 4], [5], ("StridedSliceOptions", {})),
        Op("CAST", [5], [6]),
        Op("MUL", [6, 7], [8], ("MulOptions", {})),
        Op("CAST", [8], [9]),
        Op("MUL", [9, 10], [11], ("MulOptions", {})),
        Op("RESIZE_BILINEAR", [0, 11], [12], ("ResizeBilinearOptions", {})),
    ]
    assert graph(tensors, ops).tensors[12].shape == (1, 26, 26, 4)


def test_a_reshape_without_operand_has_its_shape_in_the_options() -> None:
    read = graph([T((1, 4, 4, 2)), T((1, 1))], [Op("RESHAPE", [0], [1], ("ReshapeOptions", {"NewShape": [1, -1]}))])
    assert read.tensors[1].shape == (1, 32)


@pytest.mark.parametrize("axes", [[], [-1]])
@pytest.mark.parametrize("op", ["SUM", "REDUCE_PROD", "REDUCE_MAX", "REDUCE_MIN"])
def test_a_reduction_of_constants_without_its_axes_is_left_as_the_file_has_it(op: str, axes: list[int]) -> None:
    """Fuzzing found it."""
    tensors = [T((1, 8)), constant([2, 3]), T((1,), "int32"), T((1, 8))]
    ops = [Op(op, [1, *axes], [2], ("ReducerOptions", {"KeepDims": True})), Op("RELU", [0], [3])]
    read = graph(tensors, ops)
    assert (read.tensors[2].shape, read.tensors[2].value) == ((1,), None)


def test_a_tile_of_no_elements_takes_no_memory() -> None:
    """NumPy would repeat the first axis before it came to the second."""
    read = graph([constant([[1]]), constant([1 << 30, 0]), T((1 << 30, 0), "int32")], [Op("TILE", [0, 1], [2])])
    assert read.tensors[2].shape == (1 << 30, 0)


def test_the_mean_of_nothing_is_not_known_and_warns_of_nothing(recwarn: pytest.WarningsRecorder) -> None:
    empty = T((0,), "float32", np.zeros(0, np.float32))
    read = graph([empty, constant([0]), T((), "float32")], [Op("MEAN", [0, 1], [2])])
    assert read.tensors[2].value is None and not recwarn.list


def test_a_constant_that_does_not_say_its_size_has_no_known_elements() -> None:
    read = graph([T((-1, -1), "int32", np.zeros(1, np.int32)), T((1, 1), "int32")], [Op("NEG", [0], [1])])
    assert read.tensors[1].value is None


def test_what_is_not_computed_keeps_a_fixed_size_and_opens_a_placeholder() -> None:
    read = graph([T((1, 8)), T((1, 4)), T((1, 4), signature=(-1, 4))], [Op("Foo", [0], [1]), Op("Bar", [0], [2])])
    assert [tensor.shape for tensor in read.tensors] == [(1, 8), (1, 4), (-1, 4)]
    assert read.notes == ("the size of what 1 ops write is only known when the model runs: Bar",)


def test_behind_a_size_that_is_not_the_files_nothing_of_the_file_is_believed() -> None:
    read = graph([T((1, 8)), constant([2, 4]), T((1, 1)), T((1, 1))], [Op("RESHAPE", [0, 1], [2]), Op("Foo", [2], [3])])
    assert [tensor.shape for tensor in read.tensors[2:]] == [(2, 4), (-1, -1)]


def test_sizes_that_cannot_be_are_refused_unless_an_open_size_was_assumed() -> None:
    tensors = [T((1, 8), signature=(1, 8)), constant([3, 3]), T((3, 3))]
    ops = [Op("RESHAPE", [0, 1], [2])]
    with pytest.raises(LatlintError, match="a fixed shape of 9 elements, its input would have 8") as caught:
        graph(tensors, ops)
    assert caught.value.code == "LAT007"
    opened = [T((1, 8), signature=(-1, -1)), *tensors[1:]]
    assert graph(opened, ops).tensors[2].shape == (-1, -1)


def test_rows_that_are_not_zero_are_unknown_until_the_model_runs() -> None:
    read = graph([T((4, 4), "bool"), T((1, 2), "int64")], [Op("WHERE", [0], [1])])
    assert read.tensors[1].shape == (-1, 2) and read.dynamic == read.dynamic_in_litert == {1}


def steered(op: Op, *tensors: T) -> list[T]:
    return [T((1, 2, 3, 4)), T((4,), "int32"), *tensors, scalar(0, "float32"), T((9,))]


#: What LiteRT 2.3 computes of shape arithmetic when it prepares a graph: a FILL by it has a size then, or a dynamic tensor.
#: TensorFlow Lite 2.10.1 computes none (both were asked, with files as built here).
_EARLY = {
    "GATHER": (Op("GATHER", [1, 2], [3], ("GatherOptions", {"Axis": 0})), [constant([1, 2]), T((2,), "int32")], True),
    "CONCATENATION": (
        Op("CONCATENATION", [1, 2], [3], ("ConcatenationOptions", {"Axis": 0})), [constant([5]), T((5,), "int32")], True,
    ),
    "MUL": (Op("MUL", [1, 2], [3], ("MulOptions", {})), [constant([1, 1, 2, 2]), T((4,), "int32")], True),
    "ADD": (Op("ADD", [1, 2], [3], ("AddOptions", {})), [constant([1, 1, 2, 2]), T((4,), "int32")], False),
    "MAXIMUM": (Op("MAXIMUM", [1, 2], [3]), [constant([1, 1, 2, 2]), T((4,), "int32")], False),
    "SUM": (Op("SUM", [1, 2], [3], ("ReducerOptions", {"KeepDims": True})), [constant([0]), T((1,), "int32")], False),
    "REDUCE_PROD": (
        Op("REDUCE_PROD", [1, 2], [3], ("ReducerOptions", {"KeepDims": True})), [constant([0]), T((1,), "int32")], True,
    ),
    "TRANSPOSE": (Op("TRANSPOSE", [1, 2], [3]), [constant([0]), T((4,), "int32")], False),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(_EARLY))
def test_which_tensors_are_dynamic(name: str) -> None:
    op, tensors, early = _EARLY[name]
    read = graph(steered(op, *tensors), [SHAPE, op, Op("FILL", [3, 4], [5])])
    assert read.dynamic == {5}
    assert read.dynamic_in_litert == (frozenset() if early else {5})
    assert -1 not in (read.tensors[5].shape or (-1,))


def test_a_constant_steers_early_and_a_transposed_convolution_asks_for_one() -> None:
    tensors = [T((1, 2, 3, 4)), T((4,), "int32"), weights(4, 1, 1, 4), T((1, 2, 3, 4)), constant([6, 4]), T((6, 4))]
    strided = ("TransposeConvOptions", {"StrideW": 1, "StrideH": 1})
    ops = [SHAPE, Op("TRANSPOSE_CONV", [1, 2, 0], [3], strided), Op("RESHAPE", [3, 4], [5])]
    read = graph(tensors, ops)
    assert read.dynamic == read.dynamic_in_litert == {3}
    assert read.tensors[5].shape == (6, 4)


def sizes_benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sizes_benchmark", REPOSITORY / "benchmarks" / "sizes.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["keras_lstm_while", "keras_dynamic_batch", "onnx2tf_lstm", "keras_detector_nms_v5"])
def test_every_size_is_the_one_that_litert_has(name: str, tmp_path: Path, lacking: Callable[[str], NoReturn]) -> None:
    if importlib.util.find_spec("ai_edge_litert") is None:
        lacking("needs ai-edge-litert, which says what LiteRT makes of a file")
    path = tmp_path / f"{name}.tflite"
    path.write_bytes(gzip.decompress((REPOSITORY / "tests" / "exporters" / f"{path.name}.gz").read_bytes()))
    state, counts, wrong = sizes_benchmark().compare(path)
    assert state.startswith("compared") and not wrong and counts["equal"] > 10


# --- Control flow -------------------------------------------------------------------------------------------------------------------

I32 = T((), "int32")


def loop(limit: T, *, step: int = 1, start: int = 0, op: str = "LESS", change: str = "ADD") -> Graph:
    """``for i in range(start, limit, step): x = relu(x @ w)``; ``change`` is what makes the next ``i``."""
    state = T((1, 8))
    condition = Body([I32, state, limit, T((), "bool")], [Op(op, [0, 2], [3])], [0, 1], [3])
    inner = Body(
        [I32, state, scalar(step), I32, weights(8, 8), T((1, 8)), T((1, 8))],
        [Op(change, [0, 2], [3]), Op("FULLY_CONNECTED", [1, 4], [5]), Op("RELU", [5], [6])],
        [0, 1],
        [3, 6],
    )
    ops = [
        Op("WHILE", [1, 0], [2, 3], ("WhileOptions", {"CondSubgraphIndex": 1, "BodySubgraphIndex": 2})),
        Op("TANH", [3], [4]),
    ]
    return graph([state, scalar(start), I32, T((1, 8)), T((1, 8))], ops, [condition, inner])


@pytest.mark.parametrize(
    ("limit", "more", "count"),
    [
        (50, {}, 50),
        (50, {"op": "LESS_EQUAL"}, 51),
        (50, {"step": 7}, 8),
        (10, {"start": 4, "step": 2}, 3),
        (-10, {"step": -1, "op": "GREATER"}, 10),
        (10, {"step": -1}, None),  # it never ends
        (100, {"start": 1, "step": 2, "change": "MUL"}, 7),
        (64, {"start": 1, "step": 2, "change": "MUL"}, 6),
        (64, {"start": 1, "step": 2, "change": "MUL", "op": "LESS_EQUAL"}, 7),
        (81, {"start": 3, "step": -3, "change": "MUL", "op": "NOT_EQUAL"}, None),  # past it, and beyond 32 bits
        (-27, {"start": 1, "step": -3, "change": "MUL", "op": "NOT_EQUAL"}, 3),
        (100, {"start": 0, "step": 2, "change": "MUL"}, None),  # it never ends
        (2**31 - 1, {"start": 1, "step": 2, "change": "MUL"}, None),  # it wraps around
    ],
)
def test_a_loop_runs_as_often_as_its_counter_allows(limit: int, more: dict[str, Any], count: int | None) -> None:
    read = loop(scalar(limit), **more)
    assert [(node.native, node.repeat, node.inner) for node in read.nodes] == [
        (more.get("op", "LESS"), count, True),
        (more.get("change", "ADD"), count, True),
        ("FULLY_CONNECTED", count, True),
        ("RELU", count, True),
        ("WHILE", count, False),
        ("TANH", 1, False),
    ]
    assert [node.index for node in read.nodes] == list(range(6))
    assert read.nodes[4].attributes["followed"] and read.nodes[4].attributes["trips"] == count
    assert not read.notes


def test_a_count_that_the_data_decides_is_not_known() -> None:
    condition = Body([T((1, 8)), constant([0, 1]), T((), "float32"), scalar(3, "float32"), T((), "bool")],
                     [Op("SUM", [0, 1], [2], ("ReducerOptions", {})), Op("LESS", [2, 3], [4])], [0], [4])  # fmt: skip
    inner = Body([T((1, 8)), T((1, 8))], [Op("RELU", [0], [1])], [0], [1])
    op = Op("WHILE", [0], [1], ("WhileOptions", {"CondSubgraphIndex": 1, "BodySubgraphIndex": 2}))
    assert [node.repeat for node in graph([T((1, 8)), T((1, 8))], [op], [condition, inner]).nodes] == [None] * 4


def test_a_loop_that_never_begins_has_no_body() -> None:
    assert [node.native for node in loop(scalar(0)).nodes] == ["WHILE", "TANH"]


def test_a_loop_within_a_loop_multiplies() -> None:
    condition = Body([I32, T((1, 8)), scalar(5), T((), "bool")], [Op("LESS", [0, 2], [3])], [0, 1], [3])
    nested = Op("WHILE", [4, 1], [5, 6], ("WhileOptions", {"CondSubgraphIndex": 1, "BodySubgraphIndex": 3}))
    outer = Body(
        [I32, T((1, 8)), scalar(1), I32, scalar(0), I32, T((1, 8))], [Op("ADD", [0, 2], [3]), nested], [0, 1], [3, 6]
    )
    inner = Body(
        [I32, T((1, 8)), scalar(1), I32, T((1, 8))], [Op("ADD", [0, 2], [3]), Op("RELU", [1], [4])], [0, 1], [3, 4]
    )
    op = Op("WHILE", [1, 0], [2, 3], ("WhileOptions", {"CondSubgraphIndex": 1, "BodySubgraphIndex": 2}))
    read = graph([T((1, 8)), scalar(0), I32, T((1, 8))], [op], [condition, outer, inner])
    assert {node.repeat for node in read.nodes if node.native == "RELU"} == {25}


def test_a_loop_within_one_whose_rounds_the_data_decides_counts_its_own() -> None:
    asked = Body([T((1, 8)), constant([0, 1]), T((), "float32"), scalar(3, "float32"), T((), "bool")],
                 [Op("SUM", [0, 1], [2], ("ReducerOptions", {})), Op("LESS", [2, 3], [4])], [0], [4])  # fmt: skip
    nested = Op("WHILE", [1, 0], [2, 3], ("WhileOptions", {"CondSubgraphIndex": 3, "BodySubgraphIndex": 4}))
    outer = Body([T((1, 8)), scalar(0), I32, T((1, 8))], [nested], [0], [3])
    counted = Body([I32, T((1, 8)), scalar(5), T((), "bool")], [Op("LESS", [0, 2], [3])], [0, 1], [3])
    inner = Body(
        [I32, T((1, 8)), scalar(1), I32, T((1, 8))], [Op("ADD", [0, 2], [3]), Op("RELU", [1], [4])], [0, 1], [3, 4]
    )
    op = Op("WHILE", [0], [1], ("WhileOptions", {"CondSubgraphIndex": 1, "BodySubgraphIndex": 2}))
    read = graph([T((1, 8)), T((1, 8))], [op], [asked, outer, counted, inner])
    assert [(node.native, node.repeat, node.in_round) for node in read.nodes] == [
        ("SUM", None, 1), ("LESS", None, 1), ("LESS", None, 5), ("ADD", None, 5), ("RELU", None, 5), ("WHILE", None, 5), ("WHILE", None, 1),
    ]  # fmt: skip


def branches(*, taken: bool | None = None) -> Graph:
    """An IF with 8 and with 64 units; ``taken``: its condition is a constant."""
    condition = T((), "bool") if taken is None else T((), "bool", np.asarray(taken))
    small = Body([T((1, 8)), weights(8, 8), T((1, 8))], [Op("FULLY_CONNECTED", [0, 1], [2])], [0], [2])
    large = Body(
        [T((1, 8)), weights(64, 8), T((1, 64)), weights(8, 64), T((1, 8))],
        [Op("FULLY_CONNECTED", [0, 1], [2]), Op("FULLY_CONNECTED", [2, 3], [4])],
        [0],
        [4],
    )
    op = Op("IF", [1, 0], [2], ("IfOptions", {"ThenSubgraphIndex": 1, "ElseSubgraphIndex": 2}))
    tensors = [T((1, 8)), condition, T((1, 8), name="out")]
    return graph(tensors, [op], [small, large], inputs=[0, 1] if taken is None else [0])


def test_the_heavier_branch_counts() -> None:
    read = branches()
    assert [node.native for node in read.nodes] == ["FULLY_CONNECTED", "FULLY_CONNECTED", "IF"]
    assert [node.index for node in read.nodes] == [0, 1, 2]
    assert read.nodes[2].attributes["branch"] == "else"
    assert read.notes == ("of the branches of 'out' the heavier one (else) is counted",)
    assert read.nodes[0].inputs[0] == 0  # what the branch is given is the tensor of the graph


@pytest.mark.parametrize("taken", [True, False])
def test_a_branch_that_is_decided_counts(taken: bool) -> None:
    read = branches(taken=taken)
    assert len(read.nodes) == (2 if taken else 3) and not read.notes


def test_a_composite_is_what_it_stands_for_and_has_its_name() -> None:
    body = Body([T((1, 8)), T((1, 8)), T((1, 8))], [Op("TANH", [0], [1]), Op("RELU", [1], [2])], [0], [2])
    op = Op(
        "STABLEHLO_COMPOSITE",
        [0],
        [1],
        ("StableHLOCompositeOptions", {"Name": "odml.rms_norm", "DecompositionSubgraphIndex": 1}),
    )
    read = graph([T((1, 8)), T((1, 8))], [op], [body])
    assert [(node.native, node.inner) for node in read.nodes] == [
        ("TANH", True),
        ("RELU", True),
        ("STABLEHLO_COMPOSITE", False),
    ]
    assert read.nodes[2].attributes["composite"] == "odml.rms_norm"


def test_bodies_that_run_themselves_are_refused() -> None:
    body = Body([T((1, 8)), T((1, 8))], [Op("CALL", [0], [1], ("CallOptions", {"Subgraph": 1}))], [0], [1])
    op = Op("CALL", [0], [1], ("CallOptions", {"Subgraph": 1}))
    with pytest.raises(LatlintError, match="run each other more than 16 deep"):
        graph([T((1, 8)), T((1, 8))], [op], [body])
    with pytest.raises(LatlintError, match="subgraph 9 of 1"):
        graph([T((1, 8)), T((1, 8))], [op._replace(options=("CallOptions", {"Subgraph": 9}))])


def test_bodies_that_double_at_every_depth_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflite, "MAX_NODES", 5000)
    twice = [
        Body([T((1, 8)), T((1, 8)), T((1, 8))],
             [Op("CALL", [0], [1], ("CallOptions", {"Subgraph": n + 1})), Op("CALL", [1], [2], ("CallOptions", {"Subgraph": n + 1}))],
             [0], [2])
        for n in range(1, 16)
    ]  # fmt: skip
    last = Body([T((1, 8)), T((1, 8))], [Op("RELU", [0], [1])], [0], [1])
    with pytest.raises(LatlintError) as caught:
        graph([T((1, 8)), T((1, 8))], [Op("CALL", [0], [1], ("CallOptions", {"Subgraph": 1}))], [*twice, last])
    assert caught.value.code == "LAT006" and "more than 5,000 nodes" in caught.value.message


def test_what_was_compiled_for_an_accelerator_says_for_which() -> None:
    for name, place in (("edgetpu-custom-op", "the Edge TPU"), ("ethos-u", "Arm's Ethos-U")):
        (node,) = graph([T((1, 8)), T((1, 8)), T((64,), "uint8")], [Op(name, [0, 2], [1])]).nodes
        assert (node.kind, node.native, node.attributes["compiled_for"]) == ("unknown", name, place)


def test_a_variable_has_the_size_that_the_file_states() -> None:
    """A handle without a shape, as streaming models have it, takes nothing away from what is read by it."""
    tensors = [T((1, 8)), T(None, "resource"), T((1, 4, 8), has_rank=True), T((1, 4, 8), has_rank=True)]
    ops = [Op("VAR_HANDLE", [], [1], ("VarHandleOptions", {})), Op("READ_VARIABLE", [1], [2]), Op("RELU", [2], [3])]
    read = graph(tensors, ops)
    assert [tensor.shape for tensor in read.tensors[2:]] == [(1, 4, 8), (1, 4, 8)] and not read.notes


def test_a_constant_has_a_value_only_where_its_elements_fill_its_shape() -> None:
    """Fuzzing found a file that stores four elements for a tensor of thousands."""
    sizes = Sizes(
        [Tensor(name, shape, "int32", True, (1, 2, 3, 4)) for name, shape in (("a", (2, 2)), ("b", (1, 14, 2)))],
        lambda _: None,
    )
    assert np.array_equal(sizes.array(0), [[1, 2], [3, 4]])
    assert sizes.array(1) is None


@pytest.mark.parametrize(
    ("kind", "reads"),
    [
        ("maximum", 3),
        ("add", 3),
        ("abs", 2),
        ("neg", 2),
        ("round", 2),
        ("select", 1),
        ("rsqrt", 2),
        ("squared_difference", 1),
    ],
)
def test_an_operand_too_many_is_nothing_to_write_into(kind: str, reads: int) -> None:
    """NumPy takes one more for the place of the result; fuzzing found that it warns of some, and it is another op's value."""
    given = [Tensor(name, (2,), "int32", True, value) for name, value in (("a", (3, -4)), ("b", (2, 1)), ("c", (6, 1)))]
    tensors = [*given, *(Tensor(name, (2,), "int32") for name in "def")]
    sizes = Sizes(tensors, lambda index: tensors[index].shape)
    for index, (source, target) in enumerate(((1, 3), (2, 4))):
        sizes.take(Node(index, "", "neg", "NEG", (source,), (target,)))
    sizes.take(Node(2, "", kind, kind.upper(), (0, 3, 4)[:reads], (5,)))
    assert sizes.array(5) is None, "the op does not take that many"
    assert [sizes.array(index).tolist() for index in (3, 4)] == [[-2, -1], [-6, -1]]  # type: ignore[union-attr]


# --- Bounds --------------------------------------------------------------------------------------------------------------------------


def test_nodes_of_branches_that_do_not_count_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each branch runs two others: what is left of them all is few nodes."""
    monkeypatch.setattr(tflite, "MAX_NODES", 100)

    def chosen(number: int) -> Op:
        return Op("IF", [0, 0], [], ("IfOptions", {"ThenSubgraphIndex": number, "ElseSubgraphIndex": number}))

    bodies = [Body([T((), "bool")], [chosen(number)], [0], []) for number in range(2, 6)]
    leaf = Body([T((), "bool")], [Op("acme", [], [])] * 8, [0], [])
    with pytest.raises(LatlintError, match="more than 100 nodes") as refused:
        graph([T((), "bool")], [chosen(1)], [*bodies, leaf], outputs=[])
    assert refused.value.code == "LAT006"


def test_loops_within_loops_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflite_bodies, "MAX_LOOPED", 1)
    condition = Body([T((1, 8)), T((), "bool")], [Op("acme", [0], [1])], [0], [1])
    body = Body([T((1, 8)), T((1, 8))], [Op("RELU", [0], [1])], [0], [1])
    loop = Op("WHILE", [0], [1], ("WhileOptions", {"CondSubgraphIndex": 1, "BodySubgraphIndex": 2}))
    with pytest.raises(LatlintError, match="loops within loops have more than 1 nodes"):
        graph([T((1, 8)), T((1, 8))], [loop], [condition, body])


@pytest.mark.parametrize(
    ("kind", "operands", "op"),
    [
        ("concat", [constant([1])], Op("CONCATENATION", [1] * 65, [2], ("ConcatenationOptions", {}))),
        ("add", [constant([[1]] * 64)], Op("ADD", [1, 3], [2], ("AddOptions", {}))),
    ],
)
def test_what_steers_no_shape_is_not_computed(
    kind: str, operands: list[T], op: Op, monkeypatch: pytest.MonkeyPatch
) -> None:
    def computed(*_: Any) -> NoReturn:
        raise AssertionError(kind)

    monkeypatch.setitem(tflite_shapes._FOLDS, kind, computed)
    tensors = [T((1, 8)), *operands, T((65,) if kind == "concat" else (64, 64), "int32"), constant([[1] * 64])]
    graph(tensors, [op], outputs=[2])
