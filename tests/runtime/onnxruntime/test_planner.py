"""Plans for ONNX Runtime's CPU provider against the graphs that ONNX Runtime 1.32.0 saves after optimising, on x86-64 with AVX-512.

``graphs.json`` has their nodes by op type, for the models of ``tests/exporters``, and ``corpus.json`` (``benchmarks/onnxruntime_plans.py
--record``) for those of the corpus; where ONNX Runtime is installed, it is asked again, of the corpus about one file in ten.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper, load_model, load_model_from_string, numpy_helper, save_model

from latlint.graph import Graph
from latlint.graph import read as read_file
from latlint.graph.inputs import InputShape
from latlint.graph.onnx import read_onnx
from latlint.latency.models.onnxruntime import price
from latlint.runtime import Plan, Processor, plan
from latlint.runtime.onnxruntime.draft import Draft
from tests.runtime.onnxruntime.conftest import Saved

HERE = Processor("cpu-1thread", "onnxruntime-1.32/cpu", "cpu", "x86", "avx512")
EXPORTED = Path(__file__).parents[2] / "exporters"
SAVED: dict[str, dict[str, int]] = json.loads((Path(__file__).parent / "graphs.json").read_text("utf-8"))
CORPUS: dict[str, dict[str, int]] = json.loads((Path(__file__).parent / "corpus.json").read_text("utf-8"))


def exported(name: str) -> bytes:
    return gzip.decompress((EXPORTED / f"{name}.onnx.gz").read_bytes())


def kernels(planned: Plan) -> Counter[str]:
    return Counter(kernel.implementation for kernel in planned.kernels if not kernel.free)


@pytest.mark.parametrize("name", sorted(SAVED))
def test_the_kernels_are_the_nodes_that_are_saved(name: str) -> None:
    graph = read_onnx(exported(name), f"{name}.onnx")
    planned = plan(graph, HERE)
    assert kernels(planned) == Counter(SAVED[name])
    # every node is in a kernel, or free and why
    nodes = [node for kernel in planned.kernels for node in kernel.nodes]
    assert set(nodes) == set(range(len(graph.nodes)))
    assert all(kernel.nodes for kernel in planned.kernels if kernel.free)
    assert planned.converted is None
    assert not any("as if converted" in note for note in planned.notes)


@pytest.mark.parametrize("name", sorted(SAVED)[::9])
def test_an_order_by_position_is_the_first_that_can_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = read_onnx(exported(name), f"{name}.onnx")
    quick, taken = plan(graph, HERE), []
    by_position = Draft._by_position

    def none(draft: Draft, alive: list[Any]) -> list[Any]:
        taken.append(by_position(draft, alive))
        return []

    monkeypatch.setattr(Draft, "_by_position", none)
    assert plan(graph, HERE).kernels == quick.kernels
    assert any(taken)


def test_sizes_that_are_left_open_are_planned_as_such_and_priced_as_taken() -> None:
    """ONNX Runtime plans before it knows them, so that shapes are computed; what runs has the sizes that are stated."""
    name = "torch_legacy_dynamic_size"
    stated = [InputShape("image", (1, 3, 64, 96))]
    graph = read_onnx(exported(name), f"{name}.onnx", stated)
    planned = plan(graph, HERE)
    assert kernels(planned) == Counter(SAVED[name])
    assert "Shape" in kernels(planned)
    first = next(kernel for kernel in planned.kernels if kernel.implementation == "Conv")
    assert first.inputs[0] == (1, 64, 96, 3)
    assert all(kernel.sized for kernel in planned.kernels)


@pytest.mark.parametrize("name", sorted(SAVED))
def test_onnxruntime_still_saves_what_is_recorded(name: str, saved: Saved) -> None:
    assert saved(exported(name)) == Counter(SAVED[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CORPUS)[::10])
def test_onnxruntime_still_saves_what_is_recorded_of_the_corpus(name: str, corpus: Path, saved: Saved) -> None:
    assert saved(str(corpus / f"{name}.onnx")) == Counter(CORPUS[name])


@pytest.mark.slow
def test_the_kernels_of_real_networks_are_the_nodes_that_are_saved(corpus: Path) -> None:
    """Of the corpus's ONNX files: 99 % of nodes, and 90 % of models to the last node."""
    files = {f"{path.parent.name}/{path.stem}": path for path in corpus.glob("onnx*/*.onnx")}
    assert set(files) == set(CORPUS)
    missing = nodes = exact = 0
    for name, path in files.items():
        found, planned = Counter(CORPUS[name]), kernels(plan(read_file(path), HERE))
        missing += max((found - planned).total(), (planned - found).total())
        nodes += found.total()
        exact += planned == found
    assert len(files) >= 100
    assert missing <= 0.01 * nodes
    assert exact >= 0.9 * len(files)


# --- One rewrite each: (name, nodes, constants, what runs) -------------------------------------------------------------------------

N = helper.make_node


def zeros(*dims: int) -> np.ndarray[Any, Any]:
    return np.full(dims, 0.5, np.float32)


WEIGHTS = {"w": zeros(32, 16, 3, 3), "v": zeros(32, 32, 3, 3)}
PADS = {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64), "z": np.array(0, np.float32)}
CONV = N("Conv", ["x", "w"], ["c"])
NEXT = N("Conv", ["h", "v"], ["y"])
BLOCKED = ["ReorderInput", "Conv"]

ERF = [N("Erf", ["a"], ["e"]), N("Add", ["e", "o"], ["q"])]
GELU = {"r": np.array(2**0.5, np.float32), "o": np.array(1, np.float32), "h": np.array(0.5, np.float32)}
SCALES = {"two": np.array(2, np.float32), "e": np.array(1e-5, np.float32), "g": zeros(8)}
PAIRED = {"s8": np.array(0.02, np.float32), "z8": np.array(9, np.uint8), "up": np.array([1, 1, 2, 2], np.float32)}


def norm(square: str) -> list[NodeProto]:
    """A layer norm over the last axis, squared by this op."""
    return [
        N("ReduceMean", ["x"], ["m"], axes=[-1]), N("Sub", ["x", "m"], ["d"]), N(square, ["d", "two" if square == "Pow" else "d"], ["q"]),
        N("ReduceMean", ["q"], ["vv"], axes=[-1]), N("Add", ["vv", "e"], ["f"]), N("Sqrt", ["f"], ["r"]), N("Div", ["d", "r"], ["n"]),
        N("Mul", ["n", "g"], ["k"]), N("Add", ["k", "g"], ["y"]),
    ]  # fmt: skip


def resized(mode: str) -> list[NodeProto]:
    """A Resize between pairs of one scale."""
    pair = ["s8", "z8"]
    return [
        N("QuantizeLinear", ["x", *pair], ["a"]), N("DequantizeLinear", ["a", *pair], ["b"]), N("Resize", ["b", "", "up"], ["c"], mode=mode),
        N("QuantizeLinear", ["c", *pair], ["d"]), N("DequantizeLinear", ["d", *pair], ["y"]),
    ]  # fmt: skip


def between(op: str, *constants: str) -> list[NodeProto]:
    """An op on ``x`` between pairs of one scale."""
    pair = ["s8", "z8"]
    return [
        N("QuantizeLinear", ["x", *pair], ["a"]), N("DequantizeLinear", ["a", *pair], ["b"]), N(op, ["b", *constants], ["c"]),
        N("QuantizeLinear", ["c", *pair], ["d"]), N("DequantizeLinear", ["d", *pair], ["y"]),
    ]  # fmt: skip


def quarters(*order: tuple[int, int]) -> list[NodeProto]:
    """Every second row and column of ``x`` from these on, joined along the channels."""
    slices = [
        N("Slice", ["x", f"s{row}{column}", "far", "axes", "steps"], [f"q{row}{column}"])
        for row, column in sorted({*order})
    ]
    return [*slices, N("Concat", [f"q{row}{column}" for row, column in order], ["y"], axis=1)]


STARTS = {
    **{f"s{row}{column}": np.array([row, column]) for row in (0, 1) for column in (0, 1)},
    "far": np.array([2**62, 2**62]), "axes": np.array([2, 3]), "steps": np.array([2, 2]),
}  # fmt: skip

CASES: list[tuple[str, list[NodeProto], Mapping[str, Any], list[str]]] = [
    ("relu", [CONV, N("Relu", ["c"], ["h"]), NEXT], {}, [*BLOCKED, "Conv", "ReorderOutput"]),
    ("hard swish", [CONV, N("HardSwish", ["c"], ["h"]), NEXT], {}, [*BLOCKED, "Conv", "ReorderOutput"]),
    (
        "hard swish at the end",
        [CONV, N("HardSwish", ["c"], ["y"])],
        {},
        [*BLOCKED, "HardSigmoid", "Mul", "ReorderOutput"],
    ),
    (
        "swish",
        [CONV, N("Sigmoid", ["c"], ["s"]), N("Mul", ["c", "s"], ["y"])],
        {},
        [*BLOCKED, "QuickGelu", "ReorderOutput"],
    ),
    ("quarters in order", quarters((0, 0), (0, 1), (1, 0), (1, 1)), STARTS, ["SpaceToDepth"]),
    ("quarters in another order", quarters((0, 0), (1, 0), (0, 1), (1, 1)), STARTS, ["SpaceToDepth", "Gather"]),
    ("a quarter twice", quarters((0, 0), (1, 0), (0, 1), (0, 1)), STARTS, ["Slice"] * 3 + ["Concat"]),
    ("elu leaves the blocks", [CONV, N("Elu", ["c"], ["y"])], {}, [*BLOCKED, "ReorderOutput", "Elu"]),
    (
        "a pad with a value",
        [N("Pad", ["x", "p", "z"], ["a"]), N("Conv", ["a", "w"], ["y"])],
        {},
        [*BLOCKED, "ReorderOutput"],
    ),
    (
        "a pad with an empty name for it",
        [N("Pad", ["x", "p", ""], ["a"]), N("Conv", ["a", "w"], ["y"])],
        {},
        ["Pad", *BLOCKED, "ReorderOutput"],
    ),
    (
        "a resize that blocks have",
        [CONV, N("Resize", ["c", "", "s"], ["y"], mode="linear", coordinate_transformation_mode="half_pixel")],
        {"s": np.array([1, 1, 2, 2], np.float32)},
        [*BLOCKED, "Upsample", "ReorderOutput"],
    ),
    (
        "one that they do not have",
        [CONV, N("Resize", ["c", "", "s"], ["y"], mode="linear", coordinate_transformation_mode="pytorch_half_pixel")],
        {"s": np.array([1, 1, 2, 2], np.float32)},
        [*BLOCKED, "ReorderOutput", "Resize"],
    ),
    (
        "a constant first is no part of the weights",
        [CONV, N("Mul", ["k", "c"], ["h"]), NEXT],
        {"k": zeros(32, 1, 1)},
        [*BLOCKED, "Conv", "Conv", "ReorderOutput"],
    ),
    (
        "a constant second is",
        [CONV, N("Mul", ["c", "k"], ["h"]), NEXT],
        {"k": zeros(32, 1, 1)},
        [*BLOCKED, "Conv", "ReorderOutput"],
    ),
    (
        "a batch norm on its own is a convolution in blocks, with the add behind it",
        [CONV, N("BatchNormalization", ["c", "g", "g", "g", "g"], ["b"]), N("Add", ["c", "b"], ["y"])],
        {"g": zeros(32)},
        [*BLOCKED, "Conv", "ReorderOutput"],
    ),
    (
        "a GELU by a product",
        [N("Mul", ["x", "i"], ["a"]), *ERF, N("Mul", ["x", "q"], ["t"]), N("Mul", ["t", "h"], ["y"])],
        GELU | {"i": np.array(0.5**0.5, np.float32)},
        ["Mul", "Mul", "Mul", "Erf", "Add"],
    ),
    (
        "a GELU by its error function",
        [N("Div", ["x", "r"], ["a"]), *ERF, N("Mul", ["x", "q"], ["t"]), N("Mul", ["t", "h"], ["y"])],
        GELU,
        ["Gelu"],
    ),
    (
        "one whose half is on the sum is not recognised",
        [N("Div", ["x", "r"], ["a"]), *ERF, N("Mul", ["q", "h"], ["t"]), N("Mul", ["x", "t"], ["y"])],
        GELU,
        ["Div", "Erf", "Add", "Mul", "Mul"],
    ),
    (
        "nor one with a root of two digits",
        [N("Div", ["x", "r"], ["a"]), *ERF, N("Mul", ["x", "q"], ["t"]), N("Mul", ["t", "h"], ["y"])],
        GELU | {"r": np.array(1.41, np.float32)},
        ["Div", "Erf", "Add", "Mul", "Mul"],
    ),
    (
        "nor the approximation by tanh",
        [
            N("Pow", ["x", "three"], ["a"]),
            N("Mul", ["a", "c3"], ["b"]),
            N("Add", ["x", "b"], ["d"]),
            N("Mul", ["d", "k"], ["f"]),
            N("Tanh", ["f"], ["e"]),
            N("Add", ["e", "o"], ["q"]),
            N("Mul", ["x", "h"], ["t"]),
            N("Mul", ["t", "q"], ["y"]),
        ],
        GELU
        | {
            "three": np.array(3, np.float32),
            "c3": np.array(0.044715, np.float32),
            "k": np.array(0.79788456, np.float32),
        },
        ["Pow", "Mul", "Add", "Mul", "Tanh", "Add", "Mul", "Mul"],
    ),
    ("a layer norm", norm("Pow"), SCALES, ["LayerNormalization"]),
    (
        "not where the square is a product",
        norm("Mul"),
        SCALES,
        ["ReduceMean", "Sub", "Mul", "ReduceMean", "Add", "Sqrt", "Div", "Mul", "Add"],
    ),
    (
        "pairs around what takes the nearest go",
        resized("nearest"),
        PAIRED,
        ["QuantizeLinear", "Resize", "DequantizeLinear"],
    ),
    (
        "around what interpolates they stay",
        resized("linear"),
        PAIRED,
        ["QuantizeLinear", "DequantizeLinear", "Resize", "QuantizeLinear", "DequantizeLinear"],
    ),
    (
        "and with 16 bits",
        resized("nearest"),
        PAIRED | {"z8": np.array(9, np.uint16)},
        ["QuantizeLinear", "DequantizeLinear", "Resize", "QuantizeLinear", "DequantizeLinear"],
    ),
    (
        "float weights between pairs",
        between("Conv", "w"),
        PAIRED,
        ["QuantizeLinear", "QLinearConv", "Transpose", "Transpose", "DequantizeLinear"],
    ),
    (
        "that stay in float",
        between("ConvTranspose", "t", "bias"),
        PAIRED | {"t": zeros(16, 8, 2, 2), "bias": zeros(8)},
        ["QuantizeLinear", *["DequantizeLinear"] * 3, "ConvTranspose", "QuantizeLinear", "DequantizeLinear"],
    ),
    (
        "a constant between pairs",
        [
            *between("Mul", "k")[:2],
            N("QuantizeLinear", ["h", "s8", "z8"], ["k"]),
            N("DequantizeLinear", ["k", "s8", "z8"], ["l"]),
            N("Mul", ["b", "l"], ["c"]),
            *between("Mul", "k")[3:],
        ],
        PAIRED | {"h": np.array(0.5, np.float32)},
        ["QuantizeLinear", "QLinearMul", "DequantizeLinear"],
    ),
    (
        "reshapes become one",
        [N("Reshape", ["x", "s"], ["a"]), N("Reshape", ["a", "t"], ["y"])],
        {"s": np.array([16, 64], np.int64), "t": np.array([32, 32], np.int64)},
        ["Reshape"],
    ),
    (
        "but not where zeros are sizes",
        [N("Reshape", ["x", "s"], ["a"], allowzero=1), N("Reshape", ["a", "t"], ["y"])],
        {"s": np.array([16, 64], np.int64), "t": np.array([32, 32], np.int64)},
        ["Reshape", "Reshape"],
    ),
]


@pytest.mark.parametrize(("nodes", "constants", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_one_rewrite(nodes: list[NodeProto], constants: Mapping[str, Any], expected: list[str], saved: Saved) -> None:
    data = model(nodes, constants)
    assert kernels(plan(read(data), HERE)) == Counter(expected)
    try:
        found = saved(data)
    except pytest.skip.Exception:
        return
    assert found == Counter(expected)


OPEN = ("n", 16, "h", "w")
PLAIN = [
    N("Conv", ["x", "w"], ["a"]), N("Conv", ["a", "v"], ["b"], pads=[1] * 4), N("Softplus", ["b"], ["s"]), N("Conv", ["s", "v"], ["c"], pads=[1] * 4),
]  # fmt: skip
APART = ["ReorderInput", "ReorderInput", *["Conv"] * 3, "ReorderOutput", "Softplus"]
SIDE = [N("Shape", ["x"], ["sh"]), N("Slice", ["sh", "from", "to"], ["one"])]
SIDES = {"from": np.array([3]), "to": np.array([4]), "k": np.array([8]), "m": np.array([-1])}
HALF = np.array(0.5, np.float32)

#: (name, nodes, constants, dimensions of the input, opset, what the file says of values within, what runs)
OPENED: list[tuple[str, list[NodeProto], Mapping[str, Any], Any, int, Any, list[str]]] = [
    ("a sum that may broadcast", [*PLAIN, N("Add", ["a", "c"], ["y"])], {}, OPEN, 17, {},
     [*APART, *["Reshape"] * 3, "Add", "ReorderOutput"]),
    ("and one of known sizes", [*PLAIN, N("Add", ["a", "c"], ["y"])], {}, (1, 16, 16, 16), 17, {}, [*APART, "ReorderOutput"]),
    ("a product that may", [*PLAIN, N("Mul", ["a", "c"], ["y"])], {}, OPEN, 17, {}, [*APART, "ReorderOutput", "ReorderOutput", "Mul"]),
    ("a sum of sizes that are alike", [N("Conv", ["x", "w"], ["a"]), N("Conv", ["a", "v"], ["b"], pads=[1] * 4), N("Add", ["a", "b"], ["y"])],
     {}, OPEN, 17, {}, ["ReorderInput", "Conv", "Conv", "ReorderOutput"]),
    ("after a stride of two", [N("Conv", ["x", "w"], ["a"]), N("Conv", ["a", "v"], ["b"], pads=[1] * 4, strides=[2, 2]),
     N("MaxPool", ["a"], ["c"], kernel_shape=[3, 3], pads=[1] * 4, strides=[2, 2]), N("Add", ["b", "c"], ["y"])],
     {}, OPEN, 17, {}, ["ReorderInput", "Conv", "MaxPool", "Conv", "ReorderOutput"]),
    ("a size of another axis", [*SIDE, N("Concat", ["k", "one"], ["to2"], axis=0), N("Reshape", ["x", "to2"], ["y"])],
     SIDES, OPEN, 17, {}, ["Reshape"]),
    ("and another one beside", [*SIDE, N("Concat", ["m", "one"], ["to2"], axis=0), N("Reshape", ["x", "to2"], ["y"])],
     SIDES, OPEN, 17, {}, ["Shape", "Slice", "Concat", "Reshape"]),
    ("a norm of no known shape", norm("Pow"), SCALES, None, 13, {}, ["LayerNormalization"]),
    ("a factor", [N("Mul", ["x", "f"], ["a"]), N("MatMul", ["a", "b"], ["y"])], {"f": HALF, "b": zeros(8, 4)}, (2, 4, 8), 13, {},
     ["FusedMatMul"]),
    ("a factor of what has no known shape", [N("Mul", ["x", "f"], ["a"]), N("MatMul", ["a", "b"], ["y"])], {"f": HALF, "b": zeros(8, 4)},
     None, 13, {}, ["Mul", "MatMul"]),
    ("a factor of more dimensions", [N("Mul", ["x", "f"], ["a"]), N("MatMul", ["a", "b"], ["y"])],
     {"f": HALF.reshape(1, 1, 1, 1), "b": zeros(8, 4)}, (2, 4, 8), 13, {}, ["Mul", "MatMul"]),
    ("an old product", [N("Transpose", ["x"], ["a"], perm=[0, 2, 1]), N("MatMul", ["a", "b"], ["y"])], {"b": zeros(8, 4)}, (2, 8, 4), 8, {},
     ["Transpose", "MatMul"]),
    ("what the file says", [*SIDE, N("Reshape", ["x", "one"], ["a"]), N("Relu", ["a"], ["b"]), N("Shape", ["b"], ["c"]),
     N("Cast", ["c"], ["y"], to=1)], SIDES, OPEN, 17, {"a": [64]}, []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("nodes", "constants", "dims", "opset", "known", "expected"),
    [case[1:] for case in OPENED],
    ids=[c[0] for c in OPENED],
)
def test_a_rewrite_where_sizes_are_open(
    nodes: list[NodeProto],
    constants: Mapping[str, Any],
    dims: Sequence[int | str] | None,
    opset: int,
    known: Mapping[str, Sequence[int | str]],
    expected: list[str],
    saved: Saved,
) -> None:
    data = model(nodes, constants, dims, opset, known)
    assert kernels(plan(read(data), HERE)) == Counter(expected)
    assert saved(data) == Counter(expected)


def test_constants_in_another_file_keep_no_gelu_from_being_one(tmp_path: Path) -> None:
    nodes = [N("Div", ["x", "r"], ["a"]), *ERF, N("Mul", ["x", "q"], ["t"]), N("Mul", ["t", "h"], ["y"])]
    made = load_model_from_string(model(nodes, GELU))
    save_model(made, tmp_path / "m.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    assert kernels(plan(read_file(tmp_path / "m.onnx"), HERE)) == Counter({"Gelu": 1})


def test_a_product_that_quantises_within_is_one_kernel(saved: Saved) -> None:
    """DynamicQuantizeLinear has no word in ``graph.ops``, and is ONNX Runtime's own all the same."""
    nodes = [
        N("DynamicQuantizeLinear", ["x"], ["q", "qs", "qz"]), N("MatMulInteger", ["q", "b", "qz"], ["i"]), N("Cast", ["i"], ["f"], to=1),
        N("Mul", ["qs", "bs"], ["s"]), N("Mul", ["f", "s"], ["y"]),
    ]  # fmt: skip
    data = model(nodes, {"b": np.ones((8, 8), np.uint8), "bs": np.array(0.1, np.float32)})
    assert kernels(plan(read(data), HERE)) == {"DynamicQuantizeMatMul": 1}
    assert saved(data) == {"DynamicQuantizeMatMul": 1}


def test_other_processors_have_other_layouts() -> None:
    graph = read(model([CONV, N("Relu", ["c"], ["y"])], {}))
    arm = Processor("cpu", "onnxruntime-1.32/cpu", "cpu", "arm", "armv8")
    assert kernels(plan(graph, arm)) == {"FusedConv": 1}
    narrow = Processor("cpu", "onnxruntime-1.32/cpu", "cpu", "x86", "avx2")
    assert kernels(plan(graph, narrow)) == {"ReorderInput": 1, "Conv": 1, "ReorderOutput": 1}


def model(
    nodes: Iterable[NodeProto],
    constants: Mapping[str, Any],
    dims: Sequence[int | str] | None = (1, 16, 8, 8),
    opset: int = 17,
    known: Mapping[str, Sequence[int | str]] | None = None,
) -> bytes:
    """``dims``: those of the input, and ``known``: of values within."""
    if any(getattr(array, "dtype", None) == np.uint16 for array in constants.values()):
        opset = 21
    used = {name for node in nodes for name in node.input}
    arrays = {name: array for name, array in ({**WEIGHTS, **PADS} | dict(constants)).items() if name in used}
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
        value_info=[helper.make_tensor_value_info(name, TensorProto.FLOAT, of) for name, of in (known or {}).items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return bytes(made.SerializeToString())


def read(data: bytes) -> Graph:
    return read_onnx(data, "m.onnx")


@pytest.mark.parametrize("domain", ["", "another.lab"])
def test_a_type_of_another_domain_is_not_taken_for_onnxruntimes(domain: str) -> None:
    # FusedConv is Microsoft's: there it has weights, here nobody knows what it has
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 8, 8])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, 8, 8])
    node = helper.make_node("FusedConv", ["x"], ["y"], domain=domain)
    model = helper.make_model(helper.make_graph([node], "g", [image], [made]))
    planned = plan(read_onnx(model.SerializeToString(), "m.onnx"), HERE)
    (kernel,) = planned.kernels
    assert kernel.obstacle is not None
    assert kernel.implementation == f"{domain or 'ai.onnx'}::FusedConv"


@pytest.mark.parametrize("op", ["Selu", "Celu", "ThresholdedRelu"])
def test_an_op_of_onnx_is_onnxruntimes_whether_or_not_other_runtimes_have_it(op: str, saved: Saved) -> None:
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 8, 8])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, 8, 8])
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"])], "g", [image], [made])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10).SerializeToString()
    (kernel,) = plan(read_onnx(model, "m.onnx"), HERE).kernels
    assert kernels(plan(read_onnx(model, "m.onnx"), HERE)) == saved(model) == Counter([op])
    assert price(kernel)


def test_what_reads_constants_alone_is_folded_even_where_the_graph_gives_it_out(saved: Saved) -> None:
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("y", "z")]
    nodes = [helper.make_node("ReduceMax", ["a", "axes"], ["y"]), helper.make_node("Relu", ["y"], ["z"])]
    constants = [numpy_helper.from_array(np.zeros((2, 4), np.float32), "a")]
    constants += [numpy_helper.from_array(np.array([1]), "axes")]
    graph = helper.make_graph(nodes, "g", [], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()
    assert kernels(plan(read_onnx(model, "m.onnx"), HERE)) == Counter()
    assert saved(model) == Counter()


def test_a_shape_of_sizes_that_stay_is_a_constant_and_names_of_outputs_move(saved: Saved) -> None:
    """For any batch: a Reshape to (batch, 8, rest), and Identities behind an op of two outputs."""
    nodes = [
        N("Shape", ["x"], ["s"]),
        N("Gather", ["s", "zero"], ["g"], axis=0),
        N("Unsqueeze", ["g", "axes"], ["u"]),
        N("Concat", ["u", "eight", "rest"], ["shape"], axis=0),
        N("Reshape", ["x", "shape"], ["r"]),
        N("Split", ["r", "halves"], ["a", "b"], axis=1),
        N("Identity", ["a"], ["y"]),
        N("Identity", ["b"], ["z"]),
    ]
    constants = {"zero": 0, "axes": [0], "eight": [8], "rest": [-1], "halves": [4, 4]}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 8, 16, 16])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "yz"],
        [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in constants.items()],
    )
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    planned = plan(read_onnx(memoryview(content), "m.onnx"), HERE)
    assert kernels(planned) == Counter({"Reshape": 1, "Split": 1})
    assert saved(content) == kernels(planned)


def test_what_two_branches_compute_alike_each_computes_itself(saved: Saved, tmp_path: Path) -> None:
    """Each graph is optimised by itself (``CommonSubexpressionElimination``): what is the same is merged within it, and not across."""
    node, value = helper.make_node, helper.make_tensor_value_info
    image = (1, 8, 16, 16)

    def chosen(made: str) -> NodeProto:
        heavy = [node("Sigmoid", ["x"], [f"{made}a"]), node("Sigmoid", ["x"], [f"{made}b"])]
        heavy.append(node("Mul", [f"{made}a", f"{made}b"], [f"{made}c"]))
        light = [node("Identity", ["x"], [f"{made}d"])]
        heavy_graph = helper.make_graph(heavy, "heavy", [], [value(f"{made}c", TensorProto.FLOAT, image)])
        light_graph = helper.make_graph(light, "light", [], [value(f"{made}d", TensorProto.FLOAT, image)])
        return node("If", ["chosen"], [made], then_branch=heavy_graph, else_branch=light_graph)

    nodes = [chosen("p"), chosen("q"), node("Sigmoid", ["x"], ["r"]), node("Sum", ["p", "q", "r"], ["y"])]
    inputs = [value("chosen", TensorProto.BOOL, ()), value("x", TensorProto.FLOAT, image)]
    graph = helper.make_graph(nodes, "g", inputs, [value("y", TensorProto.FLOAT, image)])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
    found = kernels(plan(read_onnx(made, "m.onnx"), HERE))
    assert found == {"If": 2, "Sigmoid": 3, "Mul": 2, "Sum": 1}
    assert saved(made) == {"If": 2, "Sigmoid": 1, "Sum": 1}
    ifs = [each for each in load_model(tmp_path / "saved.onnx").graph.node if each.op_type == "If"]
    for each in ifs:
        (heavy,) = (attribute.g for attribute in each.attribute if attribute.name == "then_branch")
        assert Counter(inner.op_type for inner in heavy.node) == {"Sigmoid": 1, "Mul": 1}


@pytest.mark.parametrize("op", ["Conv", "MatMul"])
def test_nothing_is_fused_across_the_border_of_a_branch(op: str, saved: Saved) -> None:
    node, value = helper.make_node, helper.make_tensor_value_info
    shape, inside = ((1, 8, 16, 16), "Relu") if op == "Conv" else ((16, 8), "Add")
    weights = np.ones((8, 8, 1, 1) if op == "Conv" else (8, 8), np.float32)
    branches = [
        helper.make_graph([node(kind, given, [made])], made, [], [value(made, TensorProto.FLOAT, shape)])
        for kind, given, made in ((inside, ["c", "b"][: 2 - (op == "Conv")], "p"), ("Identity", ["x"], "q"))
    ]
    nodes = [node(op, ["x", "w"], ["c"]), node("If", ["k"], ["y"], then_branch=branches[0], else_branch=branches[1])]
    inputs = [value("k", TensorProto.BOOL, ()), value("x", TensorProto.FLOAT, shape)]
    constants = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.ones(8, np.float32), "b")]
    graph = helper.make_graph(nodes, "g", inputs, [value("y", TensorProto.FLOAT, shape)], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
    found = kernels(plan(read_onnx(made, "m.onnx"), HERE))
    assert found - Counter({inside: 1}) == saved(made)
    assert found[inside] == 1


@pytest.mark.parametrize("op", ["Loop", "Scan"])
def test_an_identity_that_a_body_needs_for_an_output_stays(op: str, saved: Saved, tmp_path: Path) -> None:
    """A body's outputs are a graph's: one that is an input, or another output, keeps a node of its own (``EliminateIdentity``)."""
    node, value = helper.make_node, helper.make_tensor_value_info
    state, shape = value("s", TensorProto.FLOAT, (1, 8)), (1, 8)
    if op == "Loop":
        given = [value("i", TensorProto.INT64, ()), value("go", TensorProto.BOOL, ()), state]
        made = [node("Relu", ["s"], ["t"]), node("Identity", ["go"], ["on"])]
        results = [value("on", TensorProto.BOOL, ()), value("t", TensorProto.FLOAT, shape)]
        outer = [node("Loop", ["five", "", "x"], ["y"], body=helper.make_graph(made, "b", given, results))]
    else:
        made = [node("Add", ["s", "row"], ["a"]), node("Relu", ["a"], ["t"]), node("Identity", ["t"], ["each"])]
        results = [value(name, TensorProto.FLOAT, shape) for name in ("t", "each")]
        scanned = helper.make_graph(made, "b", [state, value("row", TensorProto.FLOAT, (8,))], results)
        outer = [node("Scan", ["x", "rows"], ["y", "all"], body=scanned, num_scan_inputs=1)]
    inputs = [value("x", TensorProto.FLOAT, shape), value("rows", TensorProto.FLOAT, (5, 8))]
    graph = helper.make_graph(
        outer, "g", inputs, [value("y", TensorProto.FLOAT, shape)], [numpy_helper.from_array(np.int64(5), "five")]
    )
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
    found = kernels(plan(read_onnx(data, "m.onnx"), HERE))
    assert saved(data) == {op: 1}
    (loop,) = load_model(tmp_path / "saved.onnx").graph.node
    (body,) = (attribute.g for attribute in loop.attribute if attribute.name == "body")
    assert found == Counter({op: 1}) + Counter(inner.op_type for inner in body.node) and found["Identity"] == 1
