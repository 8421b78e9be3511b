"""ONNX models that are small and mean harm: what they hold is checked where it enters, and work is bounded before it is spent."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, ModelProto, TensorProto, defs, helper, numpy_helper

from latlint import Settings, check, predict
from latlint.errors import LatlintError
from latlint.graph.inputs import InputShape
from latlint.graph.onnx import MAX_NODES, read_onnx
from latlint.graph.onnx_parts import tensor_type
from latlint.graph.onnx_shapes import DTYPES, Inference
from latlint.runtime.convert.writer import MAX_OPS

TARGETS = ("pixel-4/gpu", "pixel-4/cpu-1large")


def model(*nodes: onnx.NodeProto, constants: tuple[TensorProto, ...] = (), opset: int = 17) -> ModelProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 4, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(list(nodes), "g", [x], [y], list(constants))
    opsets = [helper.make_opsetid(domain, version) for domain, version in (("", opset), ("l", 1), ("com.microsoft", 1))]
    return helper.make_model(graph, opset_imports=opsets)


def judged(tmp_path: Path, *made: ModelProto) -> list[str]:
    """The codes of the errors of a whole run over one model or more, which has no internal one."""
    paths = [tmp_path / f"m{number}.onnx" for number in range(len(made))]
    for path, each in zip(paths, made, strict=True):
        path.write_bytes(each.SerializeToString())
    report = check([str(path) for path in paths], Settings(targets=TARGETS))
    assert report.files == len(made)
    assert not [(error.path, error.message) for error in report.errors if error.code in ("LAT009", "LAT000")]
    return [error.code for error in report.errors]


def doubling(depth: int, body: Callable[[int], list[onnx.NodeProto]]) -> ModelProto:
    """A function that calls the next ``body(i)`` times, and so on; the last one is empty."""
    made = model(helper.make_node("Relu", ["x"], ["y"]), helper.make_node("f0", [], [], domain="l"))
    for i in range(depth + 1):
        nodes = body(i) if i < depth else []
        made.functions.append(helper.make_function("l", f"f{i}", [], [], nodes, [helper.make_opsetid("l", 1)]))
    return made


@pytest.mark.parametrize("calls", [2, 3, 40])
def test_calls_of_functions_are_counted_though_they_yield_nothing(calls: int) -> None:
    """2^31 calls in 1,245 bytes."""
    made = doubling(31, lambda i: [helper.make_node(f"f{i + 1}", [], [], domain="l") for _ in range(calls)])
    start = time.process_time()
    with pytest.raises(LatlintError, match=r"beyond what latlint reads: .* calls of functions"):
        read_onnx(made.SerializeToString(), "m.onnx")
    assert time.process_time() - start < 10


@pytest.mark.parametrize("how", ["names", "attributes", pytest.param("parameters", marks=pytest.mark.slow)])
def test_what_calls_copy_is_bounded(how: str) -> None:
    """Names grow by those of the calls; an attribute of a call is copied for each node that refers to it."""
    ref = AttributeProto(name="a", ref_attr_name="a", type=AttributeProto.STRING)

    def body(i: int) -> list[onnx.NodeProto]:
        if how == "names":
            inner = [helper.make_node("Relu", ["n" * 3000] * 20, [f"o{j}"], name="n" * 3000) for j in range(4)]
            return [helper.make_node(f"f{i + 1}", [], [], name="n" * 3000, domain="l"), *inner]
        if how == "parameters":
            return [helper.make_node(f"f{i + 1}", [], [], domain="l") for _ in range(2)]
        node = helper.make_node("Relu", ["q"], ["r"])
        node.attribute.extend([ref] * 20_000)
        return [node]

    made = doubling(31 if how != "attributes" else 1, body)
    if how == "attributes":
        made.functions[0].attribute_proto.append(helper.make_attribute("a", "v" * 8000))
    if how == "parameters":
        for function in made.functions:
            function.input.extend(f"i{j}" for j in range(5000))
    tracemalloc.start()
    start = time.process_time()
    with pytest.raises(LatlintError, match="beyond what latlint reads"):
        read_onnx(made.SerializeToString(), "m.onnx")
    assert time.process_time() - start < 20
    assert tracemalloc.get_traced_memory()[1] < 256 * 2**20
    tracemalloc.stop()


def of_ones(dtype: int, dims: tuple[int, ...]) -> TensorProto:
    """A constant whose bytes are all one."""
    name, count = DTYPES[dtype], prod(dims)
    bits = {20: 4, 21: 4, 22: 4, 23: 4, 25: 2, 26: 2}
    item = {"float64": 8, "int64": 8, "uint64": 8, "float32": 4, "int32": 4, "uint32": 4}.get(name, 1)
    item = {"float16": 2, "bfloat16": 2, "int16": 2, "uint16": 2, "complex64": 8, "complex128": 16}.get(name, item)
    length = -(-count * bits[dtype] // 8) if dtype in bits and name != "float8" else count * item
    return TensorProto(name="c", data_type=dtype, dims=dims, raw_data=bytes([1] * length))


@pytest.mark.slow
@pytest.mark.parametrize("dims", [(), (1,), (1, 8, 1, 1)])
@pytest.mark.parametrize(
    "op", ["Add", "Mul", "Div", "Sub", "Pow", "Max", "Clip", "PRelu", "DequantizeLinear", "Where", "Pad"]
)
def test_constants_of_every_type_are_met_by_every_reader(op: str, dims: tuple[int, ...], tmp_path: Path) -> None:
    made = [
        model(helper.make_node(op, inputs, ["y"]), constants=(of_ones(dtype, dims),), opset=21)
        for dtype in sorted(set(DTYPES) - {TensorProto.STRING})
        for inputs in (["x", "c"], ["c", "x"], ["x", "c", "c"])
    ]
    judged(tmp_path, *made)


@pytest.mark.parametrize("dtype", [TensorProto.INT4, TensorProto.UINT4, TensorProto.FLOAT, TensorProto.FLOAT8E4M3FN])
@pytest.mark.parametrize("data", ["", "raw", "int32"])
def test_room_for_a_constant_is_made_when_it_is_known_to_be_small(dtype: int, data: str, tmp_path: Path) -> None:
    """2^86 elements, or none."""
    for dims in ((2**31, 2**24, 2**31 - 1, 0), (0, 2**40), (2**39,), (2**20, 2**19), (2**36, 0)):
        constant = TensorProto(name="c", data_type=dtype, dims=dims)
        if data == "raw":
            constant.raw_data = b"\1"
        elif data == "int32":
            constant.int32_data.append(1)
        tracemalloc.start()
        judged(
            tmp_path,
            model(helper.make_node("Add", ["x", "c"], ["y"]), constants=(constant,)),
            model(helper.make_node("Constant", [], ["c"], value=constant), helper.make_node("Add", ["x", "c"], ["y"])),
        )
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
        tracemalloc.stop()


WRONG = (1, 1.5, "text", [1, 2], [1.5], ["text"], helper.make_tensor("t", TensorProto.FLOAT, [1], [1.0]))


def foreign() -> list[tuple[str, str, int]]:
    """Ops that opset 9 does not have, and those of ONNX Runtime."""
    newer = [("", schema.name, len(schema.inputs)) for schema in defs.get_all_schemas() if not schema.domain]
    own = "FusedConv Gelu FastGelu QLinearAdd QLinearLeakyRelu QLinearAveragePool QLinearConcat FusedMatMul BiasGelu Attention"
    return [*newer, *(("com.microsoft", op, 6) for op in own.split())]


@pytest.mark.slow
@pytest.mark.parametrize(("domain", "op", "inputs"), foreign())
def test_attributes_of_the_wrong_kind_are_told_whoever_defines_the_op(
    domain: str, op: str, inputs: int, tmp_path: Path
) -> None:
    names = "axis axes alpha epsilon num_groups group kernel_shape strides pads mode transA transB perm to blocksize activation keepdims"
    schema = defs.get_schema(op) if not domain else None
    known = [*(schema.attributes if schema else ()), *names.split()]
    weights = helper.make_tensor("w", TensorProto.FLOAT, [8, 8, 1, 1], [1.0] * 64)
    made = []
    for number, value in enumerate(WRONG):
        node = helper.make_node(op, ["x", *["w"] * (max(inputs, 1) - 1)], ["y"], domain=domain)
        node.attribute.extend(helper.make_attribute(name, value) for name in known[number % 2 :: 2])
        made.append(model(node, constants=(weights,), opset=9))
    judged(tmp_path, *made)


def test_an_equation_that_is_none_is_refused_in_linear_time(tmp_path: Path) -> None:
    equation = ",".join(["a" * 120 + "!"] * 2)
    nodes = [
        helper.make_node("Einsum", ["x", "x"], [f"e{i}"], equation="a" * 250 + "!" if i % 2 else equation)
        for i in range(2000)
    ]
    start = time.process_time()
    judged(tmp_path, model(*nodes, helper.make_node("Relu", ["x"], ["y"])))
    assert time.process_time() - start < 30


def test_a_conversion_that_multiplies_ops_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An InstanceNormalization becomes a dozen ops of TFLite."""
    monkeypatch.setattr("latlint.runtime.convert.writer.MAX_OPS", 500)
    scale = helper.make_tensor("s", TensorProto.FLOAT, [8], [1.0] * 8)

    def chain(count: int) -> ModelProto:
        names = ["x", *(f"t{i}" for i in range(1, count)), "y"]
        nodes = [helper.make_node("InstanceNormalization", [names[i], "s", "s"], [names[i + 1]]) for i in range(count)]
        return model(*nodes, constants=(scale,))

    assert judged(tmp_path, chain(20)) == []
    assert judged(tmp_path, chain(400)) == ["LAT006"]


def test_the_bounds_are_those_that_the_page_states() -> None:
    """Files of 4 MB keep within 10 s and 512 MB by them (``benchmarks/worst.py``)."""
    page = " ".join((Path(__file__).resolve().parents[2] / "SECURITY.md").read_text("utf-8").split())
    assert f"An ONNX file has at most {MAX_NODES:,} nodes, and {MAX_OPS:,} ops as converted." in page
    made = model(*(helper.make_node("Relu", ["x"], [f"y{n}"]) for n in range(25_001)))
    with pytest.raises(LatlintError, match="25,001 nodes, at most 25,000"):
        read_onnx(memoryview(made.SerializeToString()), "m.onnx")


def constants(**shapes: tuple[int, ...]) -> tuple[TensorProto, ...]:
    """Constants of zeros, as integers; ``axes`` is that of the last of three axes."""
    made = {name: np.full(shape, 2 if name == "axes" else 0, np.int64) for name, shape in shapes.items()}
    return tuple(numpy_helper.from_array(value, name) for name, value in made.items())


@pytest.mark.parametrize(
    ("node", "given"),
    [
        (helper.make_node("ReduceSum", ["k", "axes"], ["r"]), {"k": (30_000, 3_000, 0), "axes": (1,)}),
        (helper.make_node("Trilu", ["k"], ["r"]), {"k": (0, 30_000, 3_000)}),
        (helper.make_node("Min", ["k"] * 10_000, ["r"]), {"k": (1024,)}),
        (helper.make_node("Gather", ["k", "i"], ["r"]), {"k": (1, 1024), "i": (1024,)}),
        (helper.make_node("GatherND", ["k", "i"], ["r"]), {"k": (1, 1024), "i": (1024, 1)}),
        (helper.make_node("GatherElements", ["k", "i"], ["r"], axis=1), {"k": (1024, 1), "i": (1, 1024)}),
        (helper.make_node("Clip", ["k", "i", "u"], ["r"]), {"k": (1024, 1, 1), "i": (1, 1024, 1), "u": (1, 1, 32)}),
        (helper.make_node("Div", ["k", "i"], ["r"]), {"k": (1024, 1), "i": (1, 1024)}),
        (helper.make_node("Tile", ["k", "i"], ["r"]), {"k": (1024,), "i": (1, 1024)}),
    ],
    ids=lambda each: each.op_type if isinstance(each, onnx.NodeProto) else "",
)
def test_what_a_constant_is_computed_in_takes_no_room_of_its_own(
    node: onnx.NodeProto, given: dict[str, tuple[int, ...]]
) -> None:
    """Results and what is made on the way to them: some are of many times the elements that are held."""
    made = model(node, helper.make_node("Relu", ["x"], ["y"]), constants=constants(**given))
    data = made.SerializeToString()
    tracemalloc.start()
    read_onnx(data, "m.onnx")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 2**20 + 10 * len(data)


def test_a_slow_fold_is_left_out() -> None:
    """NumPy tells slices apart element by element, in 5 ms a node; no graph is steered by them."""
    (zeros,) = constants(k=(1, 1024))
    inference = Inference({}, {})
    inference.add("k", tensor_type(zeros.data_type, zeros.dims), numpy_helper.to_array(zeros))
    inference.node(helper.make_node("Unique", ["k"], ["r"], axis=0), {"": 17})
    assert "r" not in inference.values


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("reader", ["Cast", "QuantizeLinear", "Gather", "Add"])
def test_complex_numbers_are_no_values(reader: str, tmp_path: Path) -> None:
    inputs = ["s"] if reader == "Cast" else ["x", "s"]
    read = helper.make_node(reader, inputs, ["y"], **({"to": TensorProto.FLOAT} if reader == "Cast" else {}))
    half = numpy_helper.from_array(np.float32(0.5), "k")
    made = model(helper.make_node("Cast", ["k"], ["s"], to=TensorProto.COMPLEX64), read, constants=(half,))
    judged(tmp_path, made)
    path = tmp_path / "m0.onnx"
    predict(path, "x86-64-avx512/cpu-1@onnxruntime")


def test_a_shape_of_two_dimensions_is_none() -> None:
    given = (numpy_helper.from_array(np.zeros(4, np.int64), "k"), numpy_helper.from_array(np.full((2, 1), 2), "s"))
    nodes = helper.make_node("Reshape", ["k", "s"], ["r"]), helper.make_node("Relu", ["x"], ["y"])
    graph = read_onnx(model(*nodes, constants=given).SerializeToString(), "m")
    assert next(tensor for tensor in graph.tensors if tensor.name == "r").value is None


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("MatMulNBits", {"N": 1e30}),
        ("MatMulNBits", {"N": 2**63 - 1}),
        ("Attention", {"qkv_hidden_sizes": [0.0, 0.0, 1e38]}),
    ],
)
def test_sizes_that_no_dimension_has_are_not_known(op: str, attributes: dict[str, Any]) -> None:
    made = model(helper.make_node(op, ["x", "x", "x"], ["r"], domain="com.microsoft", **attributes))
    made.graph.node.append(helper.make_node("Relu", ["x"], ["y"]))
    graph = read_onnx(made.SerializeToString(), "m")
    assert max(next(tensor for tensor in graph.tensors if tensor.name == "r").shape or (0,)) < 2**31


@pytest.mark.parametrize("many", [-5, 2])
def test_a_scan_scans_inputs_that_its_graph_has(many: int) -> None:
    inside = helper.make_graph(
        [helper.make_node("Relu", ["a"], [name]) for name in ("o", "p", "q")],
        "body",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("o", "p", "q")],
    )
    scan = helper.make_node("Scan", ["x"], ["y", "p", "q"], num_scan_inputs=many, body=inside)
    with pytest.raises(LatlintError, match=rf"a scan of {many} inputs, where its graph has 1") as caught:
        read_onnx(model(scan).SerializeToString(), "m")
    assert caught.value.code == "LAT007"


def strange(op: str, inputs: list[str], **attributes: Any) -> ModelProto:
    """``op``, of opset 13, with attributes that it has not."""
    return model(helper.make_node(op, inputs, ["r"], **attributes), helper.make_node("Relu", ["x"], ["y"]), opset=13)


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (strange("MatMul", ["x", "x"], transA=1.5), "transA"),
        (strange("Squeeze", ["x"], axes=[0.0]), "axes"),
        (strange("Shape", ["x"], start=1.5), "start"),
        (strange("Slice", ["x", "x", "x"], starts=5), "starts"),
    ],
)
def test_attributes_that_an_op_has_not_are_named_and_read_by_nobody(
    made: ModelProto, name: str, tmp_path: Path
) -> None:
    made.graph.node[0].attribute.append(helper.make_attribute("__own", "a tool's"))
    node = read_onnx(made.SerializeToString(), "m").nodes[0]
    assert node.left_over == (name,) and dict(node.native_attributes) == {"__own": "a tool's"}
    path = tmp_path / "m.onnx"
    path.write_bytes(made.SerializeToString())
    report = check([str(path)], Settings(targets=("x86-64-avx512/cpu-1@onnxruntime",)))
    assert any(f"'{name}'" in finding.message for finding in report.findings if finding.code == "LAT012")


def test_a_scan_of_opset_8_has_no_axes() -> None:
    inside = helper.make_graph(
        [helper.make_node("Relu", ["a"], ["o"])],
        "body",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, [8, 4, 4])],
        [helper.make_tensor_value_info("o", TensorProto.FLOAT, [8, 4, 4])],
    )
    scan = helper.make_node("Scan", ["x", "x"], ["y"], num_scan_inputs=1, body=inside, scan_output_axes=3)
    assert read_onnx(model(scan, opset=8).SerializeToString(), "m").nodes


@pytest.mark.parametrize("shapes", [(), (InputShape("x", (2, 4)),)])
def test_an_input_that_is_there_twice_is_refused_whatever_is_stated_of_it(shapes: tuple[InputShape, ...]) -> None:
    """Of two ranks, one would be given what is stated of the other."""
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims) for dims in (["n", 4, 8], ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )  # fmt: skip
    with pytest.raises(LatlintError, match="the input 'x' is given twice"):
        read_onnx(helper.make_model(graph).SerializeToString(), "m", shapes)


@pytest.mark.parametrize("permutation", [[2, 7], [0, 0], [-1, 0]])
def test_a_permutation_is_one_whatever_it_is_of(permutation: list[int]) -> None:
    nodes = [
        helper.make_node("Thing", ["x"], ["t"], domain="l"),
        helper.make_node("Transpose", ["t"], ["y"], perm=permutation),
    ]
    with pytest.raises(LatlintError, match="a permutation"):
        read_onnx(model(*nodes).SerializeToString(), "m")


def test_a_zero_point_is_a_number_though_its_scale_is_not_known() -> None:
    scale = TensorProto(name="s", data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    scale.external_data.add(key="location", value="weights")
    zero = numpy_helper.from_array(np.float32(np.nan), "z")
    node = helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])
    with pytest.raises(LatlintError, match="the zero point 'z' is not a number"):
        read_onnx(model(node, constants=(scale, zero)).SerializeToString(), "m")


@pytest.mark.parametrize(
    ("imports", "version"),
    [
        ([("", 17), ("ai.onnx", 2)], 2),
        ([("ai.onnx", 2), ("", 17)], 17),
        ([("ai.onnx", 9)], 9),
        ([("com.microsoft", 1)], defs.onnx_opset_version()),
        ([], defs.onnx_opset_version()),
    ],
)
@pytest.mark.parametrize("domain", ["", "ai.onnx"])
def test_the_standards_two_names_are_of_one_domain(imports: list[tuple[str, int]], version: int, domain: str) -> None:
    """The last that is imported counts, and the newest where none is; ONNX Runtime 1.32 loads and refuses a Pad accordingly."""
    made = model(helper.make_node("Relu", ["x"], ["y"], domain=domain))
    del made.opset_import[:]
    made.opset_import.extend(helper.make_opsetid(*each) for each in imports)
    made.ir_version = 8
    assert read_onnx(made.SerializeToString(), "m").nodes[0].version == version


@pytest.mark.parametrize("outputs", [[], [""]])
def test_an_op_writes_what_it_is_there_for(outputs: list[str]) -> None:
    made = model(helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Selu", ["x"], outputs))
    with pytest.raises(LatlintError, match="no output"):
        read_onnx(made.SerializeToString(), "m")
