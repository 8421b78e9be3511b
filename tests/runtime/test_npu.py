"""What a compiler for an NPU makes of a graph: groups of nodes as one kernel, what is left to the CPU, and types that decide it."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import single_ops
from onnx import TensorProto, helper, numpy_helper

from latlint.graph import read
from latlint.graph.tflite_ops import BUILTIN_NAMES, builtin
from latlint.graph.types import Node
from latlint.latency.models.npu import price
from latlint.runtime import Plans, plan, unloadable
from latlint.runtime.as_if import converted_to
from latlint.runtime.context import Context
from latlint.runtime.convert import as_newest_tflite
from latlint.runtime.planners import planner
from latlint.runtime.types import Kernel, Plan, Processor

Save = Callable[[onnx.ModelProto], Path]

LITERT = Processor("npu", "qnn-2.50/litert", "npu", "qualcomm", "hexagon", "float16")
PROVIDER = Processor("npu", "qnn-2.50/onnxruntime", "npu", "qualcomm", "hexagon", "float16")


@pytest.fixture
def saved(tmp_path: Path) -> Save:
    def save(model: onnx.ModelProto) -> Path:
        path = tmp_path / "model.onnx"
        onnx.save(model, path)
        return path

    return save


def graph_of(nodes: list[onnx.NodeProto], shape: Sequence[int | str], **constants: object) -> onnx.ModelProto:
    """A model of ``nodes`` from ``x`` to ``y``."""
    initializers = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def step(op: str, inputs: str, output: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), [output], name=output, **attributes)


def launched(planned: Plan) -> list[Kernel]:
    return [kernel for kernel in planned.kernels if not kernel.free]


def norm(centre: bool = True) -> list[onnx.NodeProto]:
    """A layer norm in single steps, as exporters write it; without its mean an RMS norm."""
    mean = [step("ReduceMean", "x", "m", axes=[-1]), step("Sub", "x m", "d")] if centre else []
    data = "d" if centre else "x"
    return [
        *mean,
        step("Mul", f"{data} {data}", "q"),
        step("ReduceMean", "q", "v", axes=[-1]),
        step("Add", "v eps", "e"),
        step("Sqrt", "e", "s"),
        step("Div", f"{data} s", "n"),
        step("Mul", "n scale", "y" if not centre else "t"),
        *([step("Add", "t bias", "y")] if centre else []),
    ]


@pytest.mark.parametrize(("centre", "name"), [(True, "layer_norm"), (False, "rms_norm")])
def test_a_norm_in_single_steps_is_one_kernel(saved: Save, centre: bool, name: str) -> None:
    model = graph_of(norm(centre), [1, 16, 64], eps=1e-5, scale=np.ones(64), bias=np.ones(64))
    (kernel,) = launched(plan(read(saved(model)), LITERT))
    assert kernel.implementation == name
    assert kernel.inputs == ((1, 16, 64),)
    assert {"q", "v", "e", "s"} <= {read(saved(model)).nodes[index].name for index in kernel.nodes}


def test_a_norm_whose_variance_is_read_elsewhere_is_no_single_kernel(saved: Save) -> None:
    nodes = norm()
    nodes[-1] = step("Add", "t bias", "z")
    nodes += [step("Exp", "v", "w"), step("Add", "z w", "y")]
    model = graph_of(nodes, [1, 16, 64], eps=1e-5, scale=np.ones(64), bias=np.ones(64))
    assert "layer_norm" not in {kernel.implementation for kernel in launched(plan(read(saved(model)), LITERT))}


def test_a_norm_written_as_one_node_is_the_same_kernel(saved: Save) -> None:
    one = graph_of([step("LayerNormalization", "x scale bias", "y")], [1, 16, 64], scale=np.ones(64), bias=np.ones(64))
    (kernel,) = launched(plan(read(saved(one)), LITERT))
    assert (kernel.implementation, kernel.inputs) == ("layer_norm", ((1, 16, 64),))


def test_gates_are_one_kernel_each(saved: Save) -> None:
    silu = [step("Sigmoid", "x", "s"), step("Mul", "x s", "y")]
    (kernel,) = launched(plan(read(saved(graph_of(silu, [1, 8, 16, 16]))), LITERT))
    assert kernel.implementation == "silu"
    tanh = [
        step("Mul", "x x", "x2"),
        step("Mul", "x2 x", "x3"),
        step("Mul", "x3 c", "cx3"),
        step("Add", "x cx3", "i"),
        step("Mul", "i k", "j"),
        step("Tanh", "j", "t"),
        step("Add", "t one", "u"),
        step("Mul", "x u", "w"),
        step("Mul", "w half", "y"),
    ]
    (kernel,) = launched(plan(read(saved(graph_of(tanh, [1, 16, 64], c=0.044715, k=0.79788, one=1, half=0.5))), LITERT))
    assert kernel.implementation == "gelu"
    assert len(kernel.nodes) == len(tanh)


def test_a_sigmoid_that_scales_something_else_is_no_gate(saved: Save) -> None:
    nodes = [step("Relu", "x", "r"), step("Sigmoid", "r", "s"), step("Mul", "x s", "y")]
    assert "silu" not in {k.implementation for k in launched(plan(read(saved(graph_of(nodes, [1, 8, 4, 4]))), LITERT))}


def test_a_pad_a_clamp_and_a_scale_go_into_the_convolution(saved: Save) -> None:
    nodes = [
        step("Conv", "x w", "c", pads=[1, 1, 1, 1], strides=[2, 2]),
        step("Clip", "c lo hi", "k"),
        step("Mul", "k scale", "y"),
    ]
    model = graph_of(nodes, [1, 8, 16, 16], w=np.ones((8, 8, 3, 3)), lo=0, hi=5, scale=np.ones((8, 1, 1)))
    (kernel,) = launched(plan(read(saved(model)), LITERT))
    assert kernel.implementation == "conv2d"
    # as float16: weights, a bias that the conversion adds, the end of the clamp, the scale
    assert kernel.weight_bytes == 2 * (8 * 8 * 9 + 8 + 1 + 8)


def test_what_enters_and_leaves_is_marked_once(saved: Save) -> None:
    nodes = [step("Sigmoid", "x", "s"), step("Exp", "x", "e"), step("Add", "s e", "y")]
    kernels = launched(plan(read(saved(graph_of(nodes, [1, 8, 16, 16]))), LITERT))
    assert [kernel.attributes.get("enters", 0) for kernel in kernels] == [2048, 0, 0]
    assert [kernel.attributes.get("leaves", 0) for kernel in kernels] == [0, 0, 2048]


def test_an_npu_without_floats_leaves_a_float_model_whole(saved: Save) -> None:
    model = graph_of([step("Conv", "x w", "y")], [1, 8, 16, 16], w=np.ones((8, 8, 3, 3)))
    integers = Processor("npu", "qnn-2.50/litert", "npu", "qualcomm", "hexagon", "int8")
    graph = read(saved(model))
    left = plan(graph, integers)
    assert {part.executor for part in left.partitions} == {"xnnpack"}
    assert {refusal.code for refusal in left.fallbacks.values()} == {"DTYPE"}
    assert {part.executor for part in plan(replace(graph, as_if="w8a8"), integers).partitions} == {"npu"}


def test_onnx_runtime_does_not_load_tflite_files() -> None:
    assert "loads onnx models, not tflite ones" in unloadable("tflite", PROVIDER)
    assert unloadable("onnx", PROVIDER) == ""


@pytest.mark.parametrize(("precision", "activations"), [("w8a8", "int8"), ("w8a16", "int16")])
def test_as_if_converted_every_float_has_another_type(saved: Save, precision: str, activations: str) -> None:
    model = graph_of([step("Conv", "x w", "y")], [1, 8, 16, 16], w=np.ones((8, 8, 3, 3)))
    tensors = converted_to(as_newest_tflite(read(saved(model))), precision).tensors
    assert {tensor.dtype for tensor in tensors if tensor.constant} == {"int8"}
    assert {tensor.dtype for tensor in tensors if not tensor.constant} == {activations}


def test_as_if_kept_in_float16_nothing_is_computed_otherwise(saved: Save) -> None:
    model = graph_of([step("Conv", "x w", "y")], [1, 8, 16, 16], w=np.ones((8, 8, 3, 3)))
    graph = read(saved(model))
    assert converted_to(graph, "float16").tensors == graph.tensors
    assert plan(replace(graph, as_if="float16"), LITERT).kernels == plan(graph, LITERT).kernels


def test_notes_say_what_was_assumed(saved: Save) -> None:
    model = graph_of([step("Conv", "x w", "y")], [1, 8, 16, 16], w=np.ones((8, 8, 3, 3)))
    notes = plan(replace(read(saved(model)), as_if="w8a8"), PROVIDER).notes
    assert any("share of the whole" in note for note in notes)
    assert any("as if converted to w8a8" in note for note in notes)


def test_a_division_by_a_constant_stays_one_though_conversion_writes_a_product(saved: Save) -> None:
    model = graph_of([step("Sub", "x mean", "c"), step("Div", "c std", "y")], [1, 3, 8, 8], mean=0.5, std=0.2)
    assert [kernel.op for kernel in launched(plan(read(saved(model)), LITERT))] == ["sub", "div"]


# --- Placement -----------------------------------------------------------------------------------------------------------------

#: Nothing is left to place: the value passes through, is known, or only its layout is another, which conversion folds away.
FOLDED = {"Identity", "Transpose", "Shape", "Dropout"}


def where(planned: Plan) -> str:
    executors = {planned.partitions[kernel.partition].executor for kernel in launched(planned)}
    return "folded" if not executors else "NPU" if executors == {"npu"} else "CPU" if "npu" not in executors else "both"


@pytest.mark.parametrize("name", sorted(single_ops.OPS))
def test_single_ops_are_placed_as_onnx_runtime_places_them(saved: Save, shared: Path, name: str) -> None:
    recorded = json.loads((shared / "data" / "ai-hub" / "placement_qnn_sm8650.json").read_text())
    found = where(plan(read(saved(single_ops.OPS[name]())), PROVIDER))
    assert found == ("folded" if name in FOLDED else recorded[name])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint16"])
@pytest.mark.parametrize(
    "op", ["HardSigmoid", "LeakyRelu", "LogSoftmax", "Neg", "HardSwish", "Sigmoid", "Softmax", "Abs"]
)
def test_quantised_ops_are_placed_as_onnx_runtime_places_them(saved: Save, op: str, dtype: str) -> None:
    """As onnxruntime-qnn 2.7.0 placed them for a Snapdragon 8 Gen 3."""
    pairs = [
        step(f"{kind}Linear", f"{source} scale zero", made)
        for kind, source, made in (
            ("Quantize", "x", "q"),
            ("Dequantize", "q", "d"),
            ("Quantize", "o", "p"),
            ("Dequantize", "p", "y"),
        )
    ]
    model = graph_of([*pairs[:2], step(op, "d", "o"), *pairs[2:]], [1, 8, 16, 16], scale=0.02)
    model.graph.initializer.append(numpy_helper.from_array(np.array(3, dtype), "zero"))
    model.opset_import[0].version = 21
    refused = {why.values["native"] for why in plan(read(saved(model)), PROVIDER).fallbacks.values()}
    alone = dtype == "int8" and op in ("HardSigmoid", "LeakyRelu", "LogSoftmax", "Neg")
    assert refused == ({op} if alone else set())


@pytest.mark.parametrize("op", ["LSTM", "GRU"])
def test_a_recurrent_op_that_states_its_activations_is_left(saved: Save, op: str) -> None:
    gates, usual = {"LSTM": (4, ["Sigmoid", "Tanh", "Tanh"]), "GRU": (3, ["Sigmoid", "Tanh"])}[op]
    weights = {"w": np.ones((1, 8 * gates, 4)), "r": np.ones((1, 8 * gates, 8))}
    for stated in ({}, {"activations": usual}):
        model = graph_of([step(op, "x w r", "y", hidden_size=8, **stated)], [5, 1, 4], **weights)
        assert where(plan(read(saved(model)), PROVIDER)) == ("CPU" if stated else "NPU")


def test_open_sizes_are_to_be_fixed_first(saved: Save) -> None:
    for batch in (1, "batch"):
        model = graph_of([step("Relu", "x", "y")], [batch, 8])
        planned = plan(read(saved(model)), PROVIDER)
        assert where(planned) == "NPU"
        assert any("make_dynamic_shape_fixed" in note for note in planned.notes) == (batch == "batch")


def test_a_gelu_spelt_with_erf_is_taken_though_erf_alone_is_not(saved: Save) -> None:
    nodes = [
        step("Div", "x root", "d"),
        step("Erf", "d", "e"),
        step("Add", "e one", "a"),
        step("Mul", "x a", "m"),
        step("Mul", "m half", "y"),
    ]
    planned = plan(read(saved(graph_of(nodes, [1, 16, 64], root=2**0.5, one=1, half=0.5))), PROVIDER)
    assert where(planned) == "NPU"
    assert [kernel.implementation for kernel in launched(planned)] == ["gelu"]


@pytest.mark.parametrize("spelt", [False, True])
def test_a_pixel_shuffle_is_one_kernel_however_it_is_written(saved: Save, spelt: bool) -> None:
    steps = [
        step("Reshape", "c six", "r"),
        step("Transpose", "r", "t", perm=[0, 1, 4, 2, 5, 3]),
        step("Reshape", "t four", "s"),
    ]
    shuffle = steps if spelt else [step("DepthToSpace", "c", "s", blocksize=2, mode="CRD")]
    nodes = [step("Conv", "x w", "c", kernel_shape=[1, 1]), *shuffle, step("Conv", "s v", "y", kernel_shape=[1, 1])]
    model = graph_of(nodes, [1, 3, 4, 4], w=np.zeros((12, 3, 1, 1)), v=np.zeros((3, 3, 1, 1)))
    shapes = {"six": [1, 3, 2, 2, 4, 4], "four": [1, 3, 8, 8]}
    model.graph.initializer.extend(numpy_helper.from_array(np.array(dims), name) for name, dims in shapes.items())
    kernels = launched(plan(read(saved(model)), LITERT))
    assert [kernel.implementation for kernel in kernels] == ["conv2d", "pixel_shuffle", "conv2d"]
    assert kernels[1].inputs == ((1, 4, 4, 12),)
    assert kernels[1].outputs == ((1, 8, 8, 3),)


def test_in_eight_bits_a_division_of_one_channel_pads_nothing(saved: Save) -> None:
    def padded(channels: int, precision: str) -> float:
        graph = read(saved(graph_of([step("Div", "x by", "y")], [1, channels, 64, 64], by=2.0)))
        (kernel,) = launched(plan(replace(graph, as_if=precision), LITERT))
        terms = price(kernel)
        assert terms is not None
        return sum(count for name, count in terms.items() if name.endswith("divide.thin"))

    assert padded(1, "w8a8") == 0
    assert padded(3, "w8a8") == 64 * 64 * 32
    assert padded(1, "w8a16") == padded(1, "") == 64 * 64 * 32 * 2


def test_npus_that_plan_alike_share_kernels_and_no_name(saved: Save) -> None:
    """Rules that differ in nothing but their names; of a graph without floats, NPUs that compute in those and NPUs that do not."""
    qnn, whole = LITERT._replace(name="other", runtime="qnn-2.50/qnn"), LITERT._replace(precision="int8")
    floats = as_newest_tflite(read(saved(graph_of([step("Relu", "x", "a"), step("Softmax", "a", "y")], [1, 64]))))
    integers = replace(floats, tensors=tuple(replace(each, dtype="int8") for each in floats.tensors))
    refused = replace(floats, nodes=tuple(replace(each, kind="detection_postprocess") for each in floats.nodes[:1]))
    for graph, shares in ((floats, {qnn}), (integers, {qnn, whole}), (refused, set())):
        plans = Plans(graph)
        first = plans.of(LITERT)
        for other in (qnn, whole):
            made, alone = plans.of(other), plan(graph, other)
            assert (made.kernels is first.kernels) == (other in shares)
            assert made == alone
            assert (made.runtime, made.processor) == (other.runtime, other.name)
        assert plans.of(LITERT) is first


def test_plans_of_a_converted_graph_are_shared_with_what_they_were_converted_to(saved: Save) -> None:
    graph = read(saved(graph_of([step("Relu", "x", "a"), step("Softmax", "a", "y")], [1, 64])))
    plans, qnn = Plans(graph), LITERT._replace(runtime="qnn-2.50/qnn")
    first, made = plans.of(LITERT), plans.of(qnn)
    assert made.kernels is first.kernels and made == plan(graph, qnn)
    assert made.converted and first.converted and made.converted.plan == plan(first.converted.graph, qnn)


def test_ops_that_a_phone_ran_on_its_npu_are_taken(shared: Path) -> None:
    """Both forms of each pair in edge-compat ran on a Galaxy S26's NPU, whole: LiteRT's rules leave none of the ops that these name, nor a rank of
    theirs."""
    with (shared / "data" / "edge-compat" / "op_forms.csv").open(newline="", encoding="utf-8") as file:
        forms = [f"{row['from_form']} {row['to_form']}" for row in csv.DictReader(file) if row["after_ms"]]
    words = {word for form in forms for word in re.findall(r"[A-Z][A-Z0-9_]{2,}", form)}
    ops = {builtin(BUILTIN_NAMES.index(word))[1].kind for word in words & {*BUILTIN_NAMES}}
    ranks = {int(rank) for form in forms for rank in re.findall(r"rank-(\d)", form)}
    accepted = planner("qnn-2.50/litert").acceptance  # type: ignore[attr-defined]
    assert len(forms) >= 24
    assert len(ops) >= 15
    assert ops <= accepted.ops.keys()
    assert max(ranks) == 5 <= accepted.max_rank


def test_what_joins_a_row_of_convolutions_is_gone_through_a_few_times(
    saved: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is fused was asked of each of them, and looked through all of its operands."""
    asked = 0
    inputs = Context.runtime_inputs

    def counted(self: Context, node: Node) -> list[int]:
        nonlocal asked
        asked += len(node.inputs)
        return inputs(self, node)

    monkeypatch.setattr(Context, "runtime_inputs", counted)
    names = [f"c{at}" for at in range(100)]
    convolutions = [step("Conv", "x w", name) for name in names]
    model = graph_of(
        [*convolutions, step("Concat", " ".join(names), "y", axis=1)],
        [1, 4, 8, 8],
        w=np.zeros((4, 4, 1, 1), np.float32),
    )
    assert len(launched(plan(read(saved(model)), LITERT))) > len(names)
    assert asked < 40 * len(names)
