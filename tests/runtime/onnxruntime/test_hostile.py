"""Files that no exporter writes, on ONNX Runtime's planner: each once ended in an internal error, or took the memory or time of a thousand like it.

What ONNX Runtime refuses of them is said elsewhere (``test_loading_onnx.py``); here none of it is planned with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from onnx import AttributeProto, FunctionProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from latlint.graph.onnx import read_onnx
from latlint.runtime import Plan, Processor, plan
from latlint.runtime.loading import missing
from latlint.runtime.onnxruntime.draft import Draft, Op, Users
from latlint.runtime.onnxruntime.patterns import _reads as reads

HERE = Processor("cpu-1thread", "onnxruntime-1.32/cpu", "cpu", "x86", "avx512")
FLOAT, UINT8, INT64 = TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT64
N = helper.make_node
IMAGE = (1, 4, 8, 8)
FORTH, BACK = [0, 2, 3, 1], [0, 3, 1, 2]


def value(name: str, dtype: int = FLOAT, shape: Sequence[int | str] | None = IMAGE) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def given(name: str, numbers: Any, dtype: Any = None) -> TensorProto:
    return numpy_helper.from_array(np.asarray(numbers, dtype), name)


def planned(
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    constants: Sequence[TensorProto] = (),
    outputs: Sequence[str | ValueInfoProto] = ("y",),
    *,
    opset: int = 21,
    imports: dict[str, int] | None = None,
    functions: Sequence[FunctionProto] = (),
    declared: Sequence[ValueInfoProto] = (),
) -> Plan:
    ends = [helper.make_empty_tensor_value_info(each) if isinstance(each, str) else each for each in outputs]
    graph = helper.make_graph(nodes, "g", inputs, ends, constants, value_info=declared)
    domains = {"": opset, "com.microsoft": 1, **(imports or {})}
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(*each) for each in domains.items()],
        functions=functions,
        ir_version=10,
    )
    read = read_onnx(model.SerializeToString(), "m.onnx")
    missing(read, HERE.runtime)
    return plan(read, HERE)


def kernels(found: Plan) -> Counter[str]:
    return Counter(kernel.implementation for kernel in found.kernels if not kernel.free)


def moved(*nodes: NodeProto, back: Sequence[int] = BACK) -> list[NodeProto]:
    """``nodes``, from ``t`` to ``u``, between Transposes."""
    return [N("Transpose", ["x"], ["t"], perm=FORTH), *nodes, N("Transpose", ["u"], ["y"], perm=back)]


SCALE = [given("s", 0.5, np.float32), given("z", 0, np.uint8)]
BY_CHANNEL = [given("s", [0.5] * 4, np.float32)]

#: Attributes that the schema of the op does not have in that version, or not of that kind -> nodes, inputs, constants, opset.
STRANGE: dict[str, tuple[list[NodeProto], list[ValueInfoProto], list[TensorProto], int]] = {
    "transA of a MatMul": (
        [N("Transpose", ["x"], ["t"], perm=[0, 1, 3, 2]), N("MatMul", ["t", "x"], ["y"], transA=1.5)],
        [value("x")],
        [],
        21,
    ),
    "transA of a FusedMatMul": (
        [
            N("Transpose", ["x"], ["t"], perm=[0, 1, 3, 2]),
            N("FusedMatMul", ["t", "x"], ["y"], domain="com.microsoft", transA=1.5),
        ],
        [value("x")],
        [],
        21,
    ),
    "starts of a Slice": (
        [N("Slice", ["x", "a", "a"], ["u"], starts=5, ends=7), N("Relu", ["u"], ["y"])],
        [value("x", shape=None), value("a", INT64, (1,))],
        [],
        21,
    ),
    "axes of a Squeeze": (moved(N("Squeeze", ["t"], ["u"], axes=[0.0]), back=[2, 0, 1]), [value("x")], [], 21),
    "axes of a ReduceMean": (moved(N("ReduceMean", ["t"], ["u"], axes=1)), [value("x")], [], 21),
    "start of a Shape": (
        [N("Transpose", ["x"], ["t"], perm=FORTH), N("Shape", ["t"], ["u"], start=1.5), N("Reshape", ["w", "u"], ["y"])],
        [value("x", shape=("a", "b", "c", "d")), value("w", shape=("q",))],
        [],
        13,
    ),
    "axis of a DequantizeLinear": (
        [
            N("DequantizeLinear", ["x", "s"], ["d"], axis="1"),
            N("Transpose", ["d"], ["t"], perm=FORTH),
            N("Relu", ["t"], ["y"]),
        ],
        [value("x", UINT8)],
        BY_CHANNEL,
        10,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGE)
def test_attributes_that_a_schema_does_not_have_are_not_planned_with(name: str) -> None:
    nodes, inputs, constants, opset = STRANGE[name]
    assert kernels(planned(nodes, inputs, constants, opset=opset))


def test_an_empty_permutation_moves_nothing() -> None:
    empty = N("Transpose", ["x"], ["t"])
    empty.attribute.add(name="perm", type=AttributeProto.INTS)
    nodes = [empty, N("ArgMax", ["t"], ["u"], axis=0), N("Transpose", ["u"], ["y"])]
    assert kernels(planned(nodes, [value("x", shape=None)])) == {"Transpose": 2, "ArgMax": 1}


def test_a_permutation_of_more_dimensions_than_are_declared_moves_nothing() -> None:
    """What an unknown op writes has the shape that the file declares; of the Transpose behind it as well."""
    nodes = [
        N("Foo", ["x"], ["f"], domain="acme"), N("Transpose", ["f"], ["t"], perm=FORTH), N("Reshape", ["t", "k"], ["y"]),
    ]  # fmt: skip
    inputs = [value("x", shape=("n", 4)), value("o", shape=("n",))]
    sizes, declared = [given("k", [2, 3], np.int64)], [value("t", shape=(6,))]
    found = planned(nodes, inputs, sizes, imports={"acme": 1}, declared=declared)
    assert kernels(found)["Reshape"] == 1


def test_axes_that_an_unsqueeze_cannot_add() -> None:
    nodes = [N("Transpose", ["x"], ["t"], perm=FORTH), N("Unsqueeze", ["t", "a"], ["u"]), N("Relu", ["u"], ["y"])]
    nodes += [N("Transpose", ["u"], ["v"], perm=[0, 1, 4, 5, 2, 3]), N("Relu", ["v"], ["w"])]
    found = planned(nodes, [value("x", shape=None)], [given("a", [0, 0], np.int64)], ["y", "w"])
    assert kernels(found)["Unsqueeze"] == 1


def test_convolutions_of_images_that_are_declared_as_vectors() -> None:
    nodes = [N("Conv", ["x", "w"], ["a"]), N("Conv", ["x", "w"], ["b"]), N("Add", ["a", "b"], ["k"])]
    nodes.append(N("Relu", ["k"], ["y"]))
    inputs = [value("x", shape=None), value("o", shape=("n",))]
    weights, declared = given("w", np.zeros((16, 16, 1, 1), np.float32)), [value(name, shape=(3,)) for name in "abk"]
    assert kernels(planned(nodes, inputs, [weights], declared=declared))["Conv"] >= 1


def test_blocks_of_depth_that_are_declared_as_one_number() -> None:
    nodes = [N("DepthToSpace", ["x"], ["y"], blocksize=2)]
    assert planned(nodes, [value("x", shape=("n", 4, 8, 8, 8))], [], [value("y", shape=())]).kernels


@pytest.mark.parametrize("operands", [["c", "", ""], ["c", "d", ""], ["", "d", "d"]])
def test_a_choice_of_what_is_left_out_stays_in_float(operands: list[str]) -> None:
    nodes = [N("DequantizeLinear", ["x", "s", "z"], ["d"]), N("Relu", ["d"], ["y"]), N("Where", operands, ["v"])]
    nodes += [N("QuantizeLinear", ["v", "s", "z"], ["w"])]
    inputs = [value("x", UINT8), value("c", TensorProto.BOOL, (1,))]
    try:
        found = planned(nodes, inputs, SCALE, ["y", "w"])
    except Exception as refusal:
        assert not operands[0] and "LAT007" in str(getattr(refusal, "code", ""))
    else:
        assert kernels(found)["Where"] == 1


def test_a_zero_point_that_is_no_number() -> None:
    """Nothing is known of the scale, which lies in another file."""
    outside = TensorProto(name="s", data_type=FLOAT, data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="w.bin")
    nodes = [
        N("QuantizeLinear", ["x", "s", "z"], ["q"]), N("DequantizeLinear", ["q", "s", "nan"], ["d"]), N("Relu", ["d"], ["y"]),
    ]  # fmt: skip
    try:
        found = planned(nodes, [value("x")], [outside, given("z", 0, np.int8), given("nan", np.nan, np.float32)])
    except Exception as refusal:
        assert getattr(refusal, "code", "") == "LAT007"
    else:
        assert found.kernels


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_size_that_is_no_number(number: float) -> None:
    nodes = [N("Concat", ["n", "m"], ["k"], axis=0), N("Reshape", ["x", "k"], ["y"])]
    found = planned(nodes, [value("x"), value("m", FLOAT, (1,))], [given("n", [number], np.float32)])
    assert kernels(found) == {"Concat": 1, "Reshape": 1}


@pytest.mark.parametrize("outputs", [[""], []])
def test_an_op_that_writes_nothing(outputs: list[str]) -> None:
    nodes = [N("Transpose", ["x"], ["t"], perm=FORTH), N("Selu", ["t"], outputs), N("Relu", ["x"], ["y"])]
    try:
        found = planned(nodes, [value("x")])
    except Exception as refusal:
        assert getattr(refusal, "code", "") == "LAT007"
    else:
        assert kernels(found)["Relu"] == 1


def test_an_op_of_two_opsets() -> None:
    nodes = moved(N("Pad", ["t"], ["u"], domain="ai.onnx", pads=[0] * 8))
    try:
        found = planned(nodes, [value("x")], imports={"ai.onnx": 2})
    except Exception as refusal:
        assert getattr(refusal, "code", "") == "LAT007"
    else:
        assert kernels(found)["ai.onnx::Pad"] + kernels(found)["Pad"] == 1


def test_a_function_in_an_older_opset() -> None:
    """Its Pad has its paddings where ops of that opset have them."""
    body = [N("Pad", ["t"], ["u"], pads=[0, 0, 0, 0, 0, 1, 0, 0])]
    function = helper.make_function("l", "f", ["t"], ["u"], body, [helper.make_opsetid("", 2)])
    found = planned(moved(N("f", ["t"], ["u"], domain="l")), [value("x")], imports={"l": 1}, functions=[function])
    assert kernels(found) == {"Pad": 1}


def test_a_pad_of_no_dimensions_before_a_convolution() -> None:
    nodes = [N("Pad", ["x", "p"], ["a"]), N("Conv", ["a", "w"], ["y"], pads=[1, 1, 1, 1])]
    constants = [given("w", np.zeros((16, 16, 1, 1), np.float32)), given("p", [0, 0], np.int64)]
    found = planned(nodes, [value("x", shape=None)], constants)
    assert kernels(found)["Pad"] == 1
    (conv,) = [kernel for kernel in found.kernels if kernel.implementation == "Conv"]
    assert conv.nodes == (1,)  # the Pad is not the Conv's work as well


def test_a_number_that_is_complex_is_not_compared() -> None:
    nodes = [N("Cast", ["k"], ["i"], to=TensorProto.COMPLEX64), N("Gather", ["x", "i"], ["y"])]
    assert kernels(planned(nodes, [value("x")], [given("k", 0.5, np.float32)]))["Gather"] == 1


def test_slices_of_a_large_value_are_not_told_apart_element_by_element() -> None:
    """Each once was: 5.5 GB."""
    nodes = [N("Slice", ["x", "a", "b", "axis"], ["p"]), N("Slice", ["x", "b", "c", "axis"], ["q"])]
    nodes += [N("Relu", ["p"], ["y"]), N("Relu", ["q"], ["v"])]
    ends = [given(name, [end], np.int64) for name, end in (("a", 0), ("b", 10**9), ("c", 2 * 10**9), ("axis", 0))]
    found = planned(nodes, [value("x", shape=(2 * 10**9,))], ends, ["y", "v"])
    assert kernels(found) == {"Split": 1, "Relu": 2}


@pytest.mark.parametrize("domain", ["kernels", "schemas", "IR"])
def test_a_domain_that_is_called_what_is_none(domain: str) -> None:
    graph = helper.make_graph([N("Relu", ["x"], ["y"])], "g", [value("x")], [value("y")])
    imports = [helper.make_opsetid("", 17), helper.make_opsetid(domain, 90)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=9)
    assert missing(read_onnx(model.SerializeToString(), "m.onnx"), HERE.runtime) == []


# --- What thousands read, and what reads thousands: work is counted, not timed -----------------------------------------------------


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often the planner went through the readers of a value, counted by reader."""
    count = [0]
    plain, counted = Users.__iter__, Users.counted

    def each(users: Users) -> Any:
        for op in plain(users):
            count[0] += 1
            yield op

    def all_of(users: Users) -> Any:
        found = counted(users)
        count[0] += len(found)
        return found

    monkeypatch.setattr(Users, "__iter__", each)
    monkeypatch.setattr(Users, "counted", all_of)
    return count


MANY = 600
CROWDS: dict[str, tuple[list[NodeProto], list[TensorProto], ValueInfoProto, list[str]]] = {
    "readers of a Transpose": (
        [
            N("Transpose", ["x"], ["t"], perm=FORTH),
            *(N("LeakyRelu", ["t"], [f"o{i}"], alpha=float(i)) for i in range(MANY)),
        ],
        [],
        value("x"),
        [f"o{i}" for i in range(MANY)],
    ),
    "products of a Transpose": (
        [N("Transpose", ["x"], ["t"], perm=[1, 0]), *(N("Gemm", ["t", "w"], [f"o{i}"], alpha=float(i)) for i in range(MANY))],
        [given("w", np.zeros((4, 4), np.float32))],
        value("x", shape=(4, 4)),
        [f"o{i}" for i in range(MANY)],
    ),
    "products of a norm": (
        [
            N("LayerNormalization", ["x", "g"], ["n"]),
            *(N("MatMul", ["n", f"w{i}"], [f"m{i}"]) for i in range(MANY)),
            *(N("Add", [f"m{i}", "g"], [f"o{i}"]) for i in range(MANY)),
        ],
        [given("g", np.ones(4, np.float32)), *(given(f"w{i}", np.full((4, 4), i, np.float32)) for i in range(MANY))],
        value("x", shape=(1, 4, 4)),
        [f"o{i}" for i in range(MANY)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CROWDS)
def test_each_of_many_readers_does_not_look_at_all_others(name: str, looks: list[int]) -> None:
    nodes, constants, given_value, outputs = CROWDS[name]
    planned(nodes, [given_value], constants, outputs)
    assert 0 < looks[0] < MANY * MANY / 4


def test_an_op_that_reads_one_value_thousands_of_times(looks: list[int]) -> None:
    nodes = [
        N("Identity", ["x"], ["i"]),
        N("Transpose", ["i"], ["t"], perm=FORTH),
        N("Concat", ["t"] * 5000, ["y"], axis=0),
    ]
    assert kernels(planned(nodes, [value("x")])) == {"Transpose": 1, "Concat": 1}
    assert looks[0] < 100_000


def test_a_value_that_hundreds_read_has_one_dequantize() -> None:
    nodes = [N("DequantizeLinear", ["x", "s"], ["d"]), N("Concat", ["d"] * 1000, ["y"], axis=0)]
    assert kernels(planned(nodes, [value("x", UINT8)], [SCALE[0]])) == {"DequantizeLinear": 1, "Concat": 1}


def test_readers_of_a_value_go_in_the_order_in_which_they_came() -> None:
    first, second = (Op(name, [], [], {}, ()) for name in ("a", "b"))
    users = Users()
    users.add(first)
    users.add(second)
    users.add(first)
    assert (len(users), [op.op for op in users], users.first()) == (3, ["a", "a", "b"], first)
    users.remove(first)
    users.remove(first)
    assert (len(users), [op.op for op in users], users.first()) == (1, ["b"], second)


@pytest.mark.parametrize("operands", [2, 1000])
def test_what_reads_a_thousand_values_is_not_looked_through(operands: int) -> None:
    """Nor is a sum of it fused: each of a thousand convolutions would look again."""
    draft = Draft([], frozenset(), frozenset(), 17, set(), 0)
    conv = draft.add(Op("Conv", [0], [1], {}, (0,)), 0.0)
    draft.add(Op("Concat", [0] * operands, [2], {}, (1,)), 1.0)
    assert reads(draft, 2, conv) == (operands == 1000)


def test_what_reads_many_of_the_same_is_gone_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ops that compute the same are one; each that went was looked for among all operands of the op that reads them."""
    asked = 0
    redirect = Draft.redirect_all

    def counted(self: Draft, instead: Mapping[int, int]) -> None:
        nonlocal asked
        readers = {user for old in instead for user in self.users.get(old, ())}
        asked += sum(len(user.inputs) for user in readers)
        redirect(self, instead)

    monkeypatch.setattr(Draft, "redirect_all", counted)
    names = [f"r{at}" for at in range(100)]
    relus = [N("Relu", ["x"], [name]) for name in names]
    found = planned([*relus, N("Concat", names, ["c"], axis=1), N("Sigmoid", ["c"], ["y"])], [value("x")])
    assert asked < 4 * len(names)
    assert Counter(kernel.op for kernel in found.kernels if not kernel.free)["relu"] == 1
