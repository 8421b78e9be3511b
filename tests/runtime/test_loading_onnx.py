"""What ONNX Runtime's CPU provider loads: held against ONNX Runtime itself, which refuses a file when it looks for kernels."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, defs, helper, numpy_helper

from latlint.cli import main
from latlint.errors import LatlintError
from latlint.graph.onnx import read_onnx
from latlint.runtime import Processor, plan
from latlint.runtime.loading import Missing, missing

CPU = "onnxruntime-1.32/cpu"
TARGET = "x86-64-avx512/cpu-1@onnxruntime"
HERE = Processor("cpu-1", CPU, "cpu", "x86", "avx512")


def script() -> ModuleType:
    """What writes the list; the tests ask ONNX Runtime as it does."""
    path = Path(__file__).parents[2] / "benchmarks" / "onnxruntime_kernels.py"
    spec = importlib.util.spec_from_file_location("onnxruntime_kernels", path)
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


SCRIPT = script()
one_op = SCRIPT.one_op


def lacking(content: bytes) -> list[Missing]:
    graph = read_onnx(memoryview(content), "m.onnx")
    run = {node for kernel in plan(graph, HERE).kernels if not kernel.free for node in kernel.nodes}
    return missing(graph, CPU, run)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (
            one_op("BitShift", 11, TensorProto.INT32, 2, direction="LEFT"),
            Missing("BitShift", 11, 11, (0,), types="int32"),
        ),
        (one_op("Relu", 5, TensorProto.FLOAT), Missing("Relu", 1, 1, (0,))),
        (one_op("Relu", 20, TensorProto.FLOAT, ir=15), Missing("IR", 15, 14, ())),
        (one_op("Relu", 29, TensorProto.FLOAT), Missing("ai.onnx", 29, 28, ())),
        (one_op("Gelu", 20, TensorProto.DOUBLE), Missing("Gelu", 20, 20, (0,), types="float64")),
        (one_op("NoSuchThing", 20, TensorProto.FLOAT), Missing("NoSuchThing", 20, 0, (0,))),
        (one_op("Gelu", 17, TensorProto.FLOAT), Missing("Gelu", 17, 0, (0,))),
    ],
    ids=["type", "version", "IR", "opset", "type with a body", "op", "op of a later opset"],
)
def test_what_is_missing_is_named(content: bytes, what: Missing) -> None:
    assert what in lacking(content)


@pytest.mark.parametrize(
    "content",
    [
        one_op("BitShift", 11, TensorProto.UINT32, 2, direction="LEFT"),
        one_op("Gelu", 20, TensorProto.FLOAT16),  # on the kernel for float32, between Casts
        one_op("Swish", 24, TensorProto.DOUBLE),  # no kernel, but ONNX says what it consists of
        one_op("Thing", 1, TensorProto.DOUBLE, domain="com.acme"),  # of a library that the app may load
    ],
    ids=["type", "float16", "body", "custom"],
)
def test_what_has_a_kernel_is_not(content: bytes) -> None:
    assert lacking(content) == []


def test_it_is_unjudged_under_a_budget(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(one_op("BitShift", 11, TensorProto.INT32, 2, direction="LEFT"))
    assert main(["check", str(path), "--no-config", "-t", TARGET, "-b", "100ms", "--format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    (finding,) = (each for each in document["findings"] if each["code"] == "LAT012")
    assert "ONNX Runtime 1.32 on the CPU does not load this file" in finding["message"]
    assert "BitShift version 11 of int32 (1 op; no kernel takes these types)" in finding["message"]
    assert document["predictions"][0]["verdict"]["word"] == "unjudged"


# --- ONNX Runtime's own word -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runtime(onnxruntime: Callable[[], ModuleType]) -> ModuleType:
    return onnxruntime()


@pytest.mark.usefixtures("runtime")
def test_the_lists_are_what_onnxruntime_says() -> None:
    assert SCRIPT.FILE.read_text("utf-8") == SCRIPT.table()
    assert SCRIPT.FILE.with_name("schemas.txt").read_text("utf-8") == SCRIPT.schemas()


def node_of(
    op: str, inputs: Sequence[str], outputs: Sequence[str] = ("y",), *, types: str = "ff", **attributes: Any
) -> bytes:
    """A file of one op on ``x`` and ``z``; ``types``: a float, an int64 or a bool for each."""
    kinds = {"f": TensorProto.FLOAT, "i": TensorProto.INT64, "b": TensorProto.BOOL}
    given = [
        helper.make_tensor_value_info(n, kinds[t], [1, 4, 8, 8])
        for n, t in zip("xz", types, strict=True)
        if n in inputs
    ]
    made = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs]
    graph = helper.make_graph([helper.make_node(op, inputs, outputs, **attributes)], "g", given, made)
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()
    )


#: What is wrong with a file -> the file, what is said of it, and one that is right.
UNLIKE: dict[str, tuple[bytes, str, bytes]] = {
    "an attribute of another op": (node_of("Relu", ["x"], axis=1), "with an attribute 'axis'", node_of("Softmax", ["x"], axis=1)),
    "an attribute of no value": (
        node_of("Relu", ["x"], body=helper.make_graph([], "b", [], [])), "with an attribute 'body'", node_of("Relu", ["x"]),
    ),
    "two types": (node_of("Add", ["x", "z"], types="fi"), "float32 and int64", node_of("Add", ["x", "z"])),
}  # fmt: skip


@pytest.mark.parametrize("name", UNLIKE)
def test_a_node_unlike_its_schema_is_refused_as_onnxruntime_does(name: str, runtime: ModuleType) -> None:
    wrong, words, right = UNLIKE[name]
    (found,) = lacking(wrong)
    assert (found.wrong or found.types) == words and found.nodes == (0,)
    with pytest.raises(Exception, match=r"INVALID_GRAPH|Type parameter|Unrecognized"):
        runtime.InferenceSession(wrong, providers=["CPUExecutionProvider"])
    runtime.InferenceSession(right, providers=["CPUExecutionProvider"])
    assert lacking(right) == []


def cell(op: str, *, directions: int = 1, **attributes: Any) -> bytes:
    """A recurrent op of 8 units on 5 steps of 8 values."""
    rows = {"LSTM": 32, "GRU": 24, "RNN": 8}[op]
    parts = [
        helper.make_tensor(name, TensorProto.FLOAT, (directions, rows, 8), bytes(directions * rows * 32), raw=True)
        for name in "wr"
    ]
    graph = helper.make_graph(
        [helper.make_node(op, ["x", "w", "r"], ["y"], hidden_size=8, **attributes)], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [5, 2, 8])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], parts,
    )  # fmt: skip
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()
    )


def with_bias(content: bytes, *shape: int, slot: int = 3) -> bytes:
    """A cell with zeros as its bias, or as what it reads in another ``slot``."""
    model = onnx.ModelProto.FromString(content)
    model.graph.node[0].input.extend([*[""] * (slot - 3), "b"])
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(shape, np.float32), "b"))
    return bytes(model.SerializeToString())


def resized(mode: str, *factors: float, sizes: Sequence[int] | None = None) -> bytes:
    scales = helper.make_tensor("s", TensorProto.FLOAT, (len(factors),), factors)
    stated = [] if sizes is None else [helper.make_tensor("n", TensorProto.INT64, (len(sizes),), sizes)]
    graph = helper.make_graph(
        [helper.make_node("Resize", ["x", "", "s", *(each.name for each in stated)], ["y"], mode=mode)], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 8, 8, 8][: len(factors)])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], [scales, *stated],
    )  # fmt: skip
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()
    )


def with_constant(op: str, inputs: list[str], values: Any, **attributes: Any) -> bytes:
    """``op`` on a matrix, with ``c`` as a constant."""
    graph = helper.make_graph(
        [helper.make_node(op, inputs, ["y"], **attributes)], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 8])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(values), "c")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return bytes(model.SerializeToString())


#: What schemas allow and a kernel refuses -> the file, what is said of it, and one that is right.
NOT_MADE: dict[str, tuple[bytes, str, bytes]] = {
    "batch first": (cell("LSTM", layout=1), "with the batch first ('layout' is 1)", cell("LSTM", layout=0)),
    "batch first, GRU": (cell("GRU", layout=1), "with the batch first ('layout' is 1)", cell("GRU", linear_before_reset=1)),
    "too few activations": (
        cell("LSTM", activations=["Sigmoid", "Tanh"]), "with 2 activations where it takes 3", cell("LSTM", activations=["Sigmoid", "Tanh", "Relu"]),
    ),
    "activations of one direction": (
        cell("GRU", directions=2, direction="bidirectional", activations=["Sigmoid", "Tanh"]), "with 2 activations where it takes 4",
        cell("GRU", directions=2, direction="bidirectional", activations=["Sigmoid", "Tanh"] * 2),
    ),
    "an activation of no cell": (cell("RNN", activations=["Gelu"]), "with an activation 'gelu'", cell("RNN", activations=["Softsign"])),
    "linear over channels": (
        resized("linear", 1, 2, 2, 2), "that is linear over these of 4 dimensions", resized("linear", 1, 2, 2, 1),
    ),
    "cubic over a volume": (
        resized("cubic", 1, 1, 2, 2, 2), "that is cubic over these of 5 dimensions", resized("linear", 1, 1, 2, 2, 2),
    ),
    "cubic over channels": (
        resized("cubic", 1, 2, 2, 2), "that is cubic over these of 4 dimensions", resized("cubic", 1, 2, 2, 1),
    ),
    "a clip of nothing": (cell("LSTM", clip=0.0), "with a 'clip' of 0.0", cell("LSTM", clip=1.0)),
    "a padding of no kind": (
        with_constant("Pad", ["x", "c"], [0, 1, 0, 1], mode="around"), "with a mode 'around'", with_constant("Pad", ["x", "c"], [0, 1, 0, 1], mode="edge"),
    ),
    "bounds of two": (
        with_constant("Clip", ["x", "", "c"], np.ones(2, np.float32)), "with a bound of more than one number",
        with_constant("Clip", ["x", "", "c"], np.ones(1, np.float32)),
    ),
    "a bias of another size": (
        with_bias(cell("GRU"), 1, 32), "with a bias of 1x32, not 1x48", with_bias(cell("GRU"), 1, 48),
    ),
    "an initial state of another batch": (
        with_bias(cell("GRU"), 1, 3, 8, slot=5), "with an initial state of 1x3x8, not 1x2x8", with_bias(cell("GRU"), 1, 2, 8, slot=5),
    ),
    "an initial cell of other units": (
        with_bias(cell("LSTM"), 1, 2, 4, slot=6), "with an initial cell of 1x2x4, not 1x2x8", with_bias(cell("LSTM"), 1, 2, 8, slot=6),
    ),
    "peepholes of another size": (
        with_bias(cell("LSTM"), 1, 32, slot=7), "with peepholes of 1x32, not 1x24", with_bias(cell("LSTM"), 1, 24, slot=7),
    ),
    "both scales and sizes": (
        resized("nearest", 1, 1, 2, 2, sizes=[1, 4, 16, 16]), "with both scales and sizes", resized("nearest", 1, 1, 2, 2),
    ),
    "an element that there is not": (
        with_constant("Gather", ["x", "c"], [0, 8], axis=1), "of element 8 of 8", with_constant("Gather", ["x", "c"], [0, -8], axis=1),
    ),
    "an even window": (node_of("LRN", ["x"], size=2), "over an even 'size'", node_of("LRN", ["x"], size=3)),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_MADE)
def test_what_a_kernel_refuses_of_what_its_schema_allows(name: str, runtime: ModuleType) -> None:
    wrong, words, right = NOT_MADE[name]
    assert [each.wrong for each in lacking(wrong)] == [words]
    assert lacking(right) == []

    def run(content: bytes) -> None:
        session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
        session.run(None, {each.name: np.ones(each.shape, np.float32) for each in session.get_inputs()})

    run(right)
    with pytest.raises(Exception, match="ONNXRuntimeError"):
        run(wrong)


def opened(content: bytes, *dims: int | str) -> bytes:
    """The same file with other sizes of its input, or open ones."""
    model = onnx.ModelProto.FromString(content)
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", TensorProto.FLOAT, dims))
    return bytes(model.SerializeToString())


#: A file with a size that its kernel holds against another, which is open; and a size that it takes.
OPEN: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "a state of a batch": (opened(with_bias(cell("GRU"), 1, 3, 8, slot=5), 5, "n", 8), (5, 3, 8)),
    "a cell of a batch": (opened(with_bias(cell("LSTM"), 1, 3, 8, slot=6), "s", "n", 8), (5, 3, 8)),
    "weights of a width": (opened(cell("RNN"), 5, 2, "w"), (5, 2, 8)),
    "an element of an axis": (opened(with_constant("Gather", ["x", "c"], [0, 5], axis=0), "n", 8), (6, 8)),
    "an element of an axis behind": (opened(with_constant("Gather", ["x", "c"], [-3], axis=1), 2, "n"), (2, 3)),
    "a bound that may be one number": (
        opened(with_constant("Clip", ["c", "x"], np.eye(3, dtype=np.float32)), "n"),
        (1,),
    ),
}


@pytest.mark.parametrize("name", OPEN)
def test_a_kernel_may_take_other_sizes_than_those_that_are_assumed(name: str, runtime: ModuleType) -> None:
    """A size that a file leaves open is taken as 1; what does not fit 1 may fit what it will be."""
    content, dims = OPEN[name]
    assert lacking(content) == []
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    session.run(None, {"x": np.ones(dims, np.float32)})


def test_weights_of_another_number_of_directions_or_units_are_refused() -> None:
    for attributes in ({"direction": "bidirectional"}, {"hidden_size": 16}):
        model = onnx.ModelProto.FromString(cell("LSTM"))
        node = model.graph.node[0]
        kept = [each for each in node.attribute if each.name not in attributes]
        del node.attribute[:]
        node.attribute.extend([*kept, *(helper.make_attribute(name, value) for name, value in attributes.items())])
        with pytest.raises(LatlintError, match="weights of 1x32x8 for"):
            read_onnx(model.SerializeToString(), "m.onnx")
    model = onnx.ModelProto.FromString(cell("LSTM"))
    model.graph.initializer[1].CopyFrom(helper.make_tensor("r", TensorProto.FLOAT, (1, 32, 4), bytes(512), raw=True))
    with pytest.raises(LatlintError, match="weights of 1x32x4 for 1 direction of 8 units"):
        read_onnx(model.SerializeToString(), "m.onnx")


def test_control_flow_reads_what_its_graphs_write_and_is_no_fault(runtime: ModuleType) -> None:
    """An If has one input, and in a ``Graph`` also those of what it hands on."""
    written = helper.make_tensor_value_info("t", TensorProto.FLOAT, None)
    one, other = (helper.make_graph([helper.make_node(op, ["x"], ["t"])], op, [], [written]) for op in ("Relu", "Tanh"))
    content = node_of("If", ["z"], then_branch=one, else_branch=other)
    model = onnx.ModelProto.FromString(content)
    model.graph.input.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4]))
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("z", TensorProto.BOOL, [1]))
    content = model.SerializeToString()
    runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert lacking(content) == []


def changed(change: Callable[[onnx.ModelProto], object]) -> bytes:
    """``x`` times weights ``w``, and the largest of each row, with a change."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("ArgMax", ["m"], ["y"], axis=1)]
    value = helper.make_tensor_value_info
    stored = helper.make_tensor("w", TensorProto.FLOAT, (4, 8), bytes(128), raw=True)
    graph = helper.make_graph(nodes, "g", [value("x", 1, [2, 4])], [value("y", TensorProto.INT64, None)], [stored])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    change(model)
    return bytes(model.SerializeToString())


def outside(model: onnx.ModelProto, place: str) -> None:
    stored = model.graph.initializer[0]
    stored.ClearField("raw_data")
    stored.data_location = TensorProto.EXTERNAL
    stored.external_data.add(key="location", value=place)


CONTRADICTIONS: dict[str, tuple[Callable[[onnx.ModelProto], object], str]] = {
    "a value of another type": (
        lambda m: m.graph.value_info.append(helper.make_tensor_value_info("m", TensorProto.INT32, None)), "'m' is declared as int32, and is float32",
    ),
    "weights of another shape": (
        lambda m: m.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, 9])), "'w' are declared as an input of another",
    ),
    "weights of another type": (
        lambda m: m.graph.input.append(helper.make_tensor_value_info("w", TensorProto.INT32, [4, 8])), "'w' are declared as an input of another",
    ),
    "an input of no type": (lambda m: m.graph.input[0].ClearField("type"), "the input 'x' has no type"),
    "weights that lie nowhere": (lambda m: outside(m, ""), "nothing says in which"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_file_that_contradicts_itself_is_refused_as_onnxruntime_does(name: str, runtime: ModuleType) -> None:
    change, words = CONTRADICTIONS[name]
    with pytest.raises(LatlintError, match=words):
        read_onnx(changed(change), "m.onnx")
    with pytest.raises(Exception, match="ONNXRuntimeError"):
        runtime.InferenceSession(changed(change), providers=["CPUExecutionProvider"])
    right = changed(lambda m: m.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, "N"])))
    runtime.InferenceSession(right, providers=["CPUExecutionProvider"])
    assert lacking(right) == []


def test_a_file_that_imports_no_opset_is_not_loaded(runtime: ModuleType) -> None:
    content = changed(lambda m: m.ClearField("opset_import"))
    assert lacking(content)[0] == Missing("ai.onnx", 0, 28, ())
    with pytest.raises(Exception, match="Missing opset"):
        runtime.InferenceSession(content, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("domain", ["ai.onnx.preview", "ai.onnx.training", "org.pytorch.aten", "com.microsoft.nchwc"])
def test_domains_that_onnxruntime_knows_are_loaded_up_to_its_version(domain: str, runtime: ModuleType) -> None:
    right, wrong = (changed(lambda m, v=v: m.opset_import.append(helper.make_opsetid(domain, v))) for v in (1, 2))
    assert lacking(right) == []
    runtime.InferenceSession(right, providers=["CPUExecutionProvider"])
    assert lacking(wrong) == [Missing(domain, 2, 1, ())]
    with pytest.raises(Exception, match="till opset 1"):
        runtime.InferenceSession(wrong, providers=["CPUExecutionProvider"])


def test_a_tools_own_attribute_is_no_fault(runtime: ModuleType) -> None:
    content = node_of("Relu", ["x"], __mark="1")
    runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert lacking(content) == []


def test_a_file_that_does_not_say_its_version_is_refused(runtime: ModuleType) -> None:
    model = onnx.ModelProto.FromString(node_of("Relu", ["x"]))
    model.ClearField("ir_version")
    with pytest.raises(Exception, match="Missing model IR version"):
        runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert lacking(model.SerializeToString()) == [Missing("IR", 0, 14, ())]


def questions(step: int) -> Iterator[tuple[str, bytes]]:
    """Files of one op each: every ``step``-th of all versions and types that a node of it can be written in without knowing more of it."""
    number = 0
    for schema in sorted(defs.get_all_schemas_with_history(), key=lambda schema: (schema.name, schema.since_version)):
        if schema.deprecated or not SCRIPT.asked(schema):
            continue
        for each in sorted(next((each.allowed_type_strs for each in schema.type_constraints), [])):
            kind = each.removeprefix("tensor(").removesuffix(")")
            if kind not in SCRIPT.TYPES or "float8" in kind:  # graphs have one word for five of them
                continue
            number += 1
            if number % step == 0:
                dtype = SCRIPT.ONNX_TYPES[kind]
                yield (
                    f"{schema.name} {schema.since_version} {kind}",
                    one_op(schema.name, schema.since_version, dtype, schema.min_input),
                )


def disagreements(step: int) -> tuple[int, list[str]]:
    asked, found = 0, []
    for name, content in questions(step):
        said = SCRIPT.refused(content)
        try:
            ours = bool(lacking(content))
        except LatlintError:  # a graph that cannot be, for other reasons
            continue
        if said is not None:
            asked += 1
            if said != ours:
                found.append(f"{name}: ONNX Runtime {'refuses' if said else 'loads'} it")
    return asked, found


@pytest.mark.usefixtures("runtime")
def test_onnxruntime_refuses_what_is_missing_and_nothing_else() -> None:
    asked, found = disagreements(29)
    assert asked >= 40
    assert found == []


@pytest.mark.slow
@pytest.mark.usefixtures("runtime")
def test_of_every_op_version_and_type() -> None:
    asked, found = disagreements(5)
    assert asked >= 260
    assert found == []
