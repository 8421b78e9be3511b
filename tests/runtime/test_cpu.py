"""What the CPU planner fuses, chooses and says, on graphs small enough to read."""

from __future__ import annotations

from typing import Any

import pytest

from latlint.errors import LatlintError
from latlint.graph.types import Graph, Node, Quantization, Tensor
from latlint.runtime import plan as plan_of
from latlint.runtime.context import Context
from latlint.runtime.delegate import parse
from latlint.runtime.planners import planner
from latlint.runtime.reasons import sentence
from latlint.runtime.rules import Rules, load_rules
from latlint.runtime.types import Kernel, Plan, Processor

XNNPACK_2_10 = "tflite-2.10/xnnpack"
XNNPACK_2_15 = "tflite-2.15/xnnpack"
BUILTIN_2_10 = "tflite-2.10/builtin"


class Builder:
    """Writes a graph op by op: ``add`` returns the index of the op's output tensor."""

    def __init__(self, shape: tuple[int, ...] = (1, 16, 16, 8), dtype: str = "float32") -> None:
        self.dtype = dtype
        self.tensors = [Tensor("input", shape, dtype)]
        self.nodes: list[Node] = []

    def constant(self, shape: tuple[int, ...], dtype: str = "float32", value: tuple[Any, ...] | None = None) -> int:
        self.tensors.append(Tensor(f"constant{len(self.tensors)}", shape, dtype, constant=True, value=value))
        return len(self.tensors) - 1

    def add(
        self, kind: str, inputs: tuple[int, ...], shape: tuple[int, ...], dtype: str = "", **attributes: Any
    ) -> int:
        self.tensors.append(Tensor(f"value{len(self.tensors)}", shape, dtype or self.dtype))
        output = len(self.tensors) - 1
        index = len(self.nodes)
        self.nodes.append(Node(index, f"{kind}{index}", kind, kind.upper(), inputs, (output,), attributes))
        return output

    def conv(self, data: int, *, kernel: int = 3, stride: int = 1, weights: str = "float32", **attributes: Any) -> int:
        depthwise = attributes.pop("depthwise", False)
        groups = attributes.get("groups", 1)
        padding = attributes.pop("padding", 0)
        batch, height, width, channels = self.tensors[data].shape or ()
        shape = (batch, *((side + 2 * padding - kernel) // stride + 1 for side in (height, width)), channels)
        filter_shape = (1, kernel, kernel, channels) if depthwise else (channels, kernel, kernel, channels // groups)
        bias = "int32" if self.dtype == "int8" else "float32"
        inputs = (data, self.constant(filter_shape, weights), self.constant((channels,), bias))
        values = {"kernel": (kernel,) * 2, "stride": (stride,) * 2, "dilation": (1, 1), "padding": (padding,) * 4}
        values |= {"groups": channels, "multiplier": 1} if depthwise else {"groups": 1}
        return self.add("depthwise_conv2d" if depthwise else "conv2d", inputs, shape, **(values | attributes))

    def pad(self, data: int, pads: tuple[tuple[int, int], ...] = ((0, 0), (1, 1), (1, 1), (0, 0))) -> int:
        sizes = zip(self.tensors[data].shape or (), pads, strict=True)
        shape = tuple(size + before + after for size, (before, after) in sizes)
        return self.add("pad", (data, self.constant((4, 2), "int32")), shape, pads=pads)

    def graph(self, *outputs: int) -> Graph:
        return Graph("g", "tflite", "tflite", tuple(self.nodes), tuple(self.tensors), (0,), outputs)

    def plan(self, *outputs: int, runtime: str = XNNPACK_2_10) -> Plan:
        processor = Processor("cpu-1large", runtime, "cpu", "arm")
        made = plan_of(self.graph(*outputs), processor)
        assert sorted(node for kernel in made.kernels for node in kernel.nodes) == list(range(len(self.nodes)))
        return made


def only(plan: Plan) -> Kernel:
    (kernel,) = plan.kernels
    return kernel


def names(plan: Plan) -> list[str]:
    return [kernel.implementation for kernel in plan.kernels]


def executors(plan: Plan) -> list[str]:
    return [partition.executor for partition in plan.partitions]


def test_zero_pad_is_merged_into_the_convolution_that_alone_reads_it() -> None:
    model = Builder()
    kernel = only(model.plan(model.conv(model.pad(0), stride=2, activation="relu6")))
    assert kernel.op == "conv2d"
    assert kernel.implementation == "igemm"
    assert kernel.nodes == (1, 0)
    assert kernel.inputs == ((1, 16, 16, 8),)
    assert kernel.attributes["padding"] == (1, 1, 1, 1)
    assert kernel.linked == ("relu6",)
    assert kernel.macs == 8 * 8 * 8 * 9 * 8
    assert kernel.weight_bytes == 4 * (8 * 9 * 8 + 8)


def test_padded_1x1_convolution_is_no_longer_a_plain_matrix_product() -> None:
    model = Builder()
    assert names(model.plan(model.conv(model.pad(0), kernel=1))) == ["igemm"]
    plain = Builder()
    assert names(plain.plan(plain.conv(0, kernel=1))) == ["gemm"]


def test_pad_with_two_readers_stays() -> None:
    model = Builder()
    padded = model.pad(0)
    plan = model.plan(model.conv(padded), model.conv(padded, depthwise=True))
    assert names(plan) == ["pad", "igemm", "dwconv"]


def test_pad_that_is_an_output_stays() -> None:
    model = Builder()
    padded = model.pad(0)
    assert names(model.plan(model.conv(padded), padded)) == ["pad", "igemm"]


def test_pad_of_channels_or_before_a_padded_convolution_stays() -> None:
    model = Builder()
    assert names(model.plan(model.conv(model.pad(0, ((0, 0), (0, 0), (0, 0), (4, 4)))))) == ["pad", "igemm"]
    model = Builder()
    assert names(model.plan(model.conv(model.pad(0), padding=1))) == ["pad", "igemm"]


def test_clamps_go_into_the_op_before_and_other_activations_do_not() -> None:
    model = Builder()
    value = model.conv(0, padding=1)
    for kind in ("relu", "hard_swish", "relu6"):
        value = model.add(kind, (value,), (1, 16, 16, 8))
    plan = model.plan(value)
    assert names(plan) == ["igemm", "vhswish", "vclamp"]
    assert plan.kernels[0].linked == ("relu",)
    assert plan.kernels[0].nodes == (0, 1)


def test_clamp_of_a_value_that_others_read_stays() -> None:
    model = Builder()
    value = model.conv(0, padding=1)
    clamped = model.add("relu", (value,), (1, 16, 16, 8))
    assert names(model.plan(model.add("add", (value, clamped), (1, 16, 16, 8)))) == ["igemm", "vclamp", "vadd"]


def test_merged_pad_and_clamp_around_one_convolution() -> None:
    model = Builder()
    value = model.add("relu", (model.conv(model.pad(0)),), (1, 16, 16, 8))
    kernel = only(model.plan(value))
    assert (kernel.nodes, kernel.linked, kernel.outputs) == ((1, 0, 2), ("relu",), ((1, 16, 16, 8),))


def test_fused_tanh_is_refused_by_xnnpack() -> None:
    model = Builder()
    plan = model.plan(model.conv(0, activation="tanh"))
    assert executors(plan) == ["builtin"]
    assert plan.fallbacks[0].code == "ACTIVATION" and "tanh" in sentence(plan.fallbacks[0])


def test_convolution_without_bias_is_refused_by_xnnpack() -> None:
    model = Builder()
    value = model.conv(0)
    model.nodes[0] = Node(
        0, "c", "conv2d", "CONV_2D", (*model.nodes[0].inputs[:2], -1), (value,), model.nodes[0].attributes
    )
    refusal = model.plan(value).fallbacks[0]
    assert refusal.code == "COUNT" and "2 inputs" in sentence(refusal)


def test_op_that_xnnpack_lacks_splits_the_graph() -> None:
    model = Builder()
    value = model.conv(0, padding=1)
    value = model.add("gelu", (value,), (1, 16, 16, 8))
    plan = model.plan(model.conv(value, padding=1))
    assert executors(plan) == ["xnnpack", "builtin", "xnnpack"]
    assert [kernel.partition for kernel in plan.kernels] == [0, 1, 2]
    assert plan.fallbacks[1].code == "NOT_AN_OP"
    assert sentence(plan.fallbacks[1]) == "GELU is not an op of XNNPACK of TensorFlow Lite 2.10"
    assert plan.kernels[1].threads == 1


def test_grouped_convolution_without_xnnpack_has_one_thread_and_says_so() -> None:
    model = Builder()
    kernel = only(model.plan(model.conv(0, groups=4), runtime=BUILTIN_2_10))
    assert kernel.implementation == "conv_grouped_reference"
    assert kernel.threads == 1
    assert "one thread" in kernel.reason
    assert kernel.macs == 14 * 14 * 8 * 9 * 2
    model = Builder()
    assert names(model.plan(model.conv(0, groups=4), runtime=XNNPACK_2_10)) == ["igemm"]


def test_built_in_convolutions_say_what_they_copy() -> None:
    model = Builder()
    plan = model.plan(model.conv(model.conv(0, kernel=1), stride=2, activation="relu"), runtime=BUILTIN_2_10)
    assert names(plan) == ["conv_ruy_1x1", "conv_ruy_im2col"]
    assert plan.kernels[1].linked == ("relu",)


def test_strided_1x1_convolution_is_copied_by_the_built_in_kernel() -> None:
    model = Builder()
    assert names(model.plan(model.conv(0, kernel=1, stride=2), runtime=BUILTIN_2_10)) == ["conv_ruy_im2col"]


def test_int8_runs_on_built_in_kernels_in_2_10_and_on_xnnpack_in_2_15() -> None:
    model = Builder(dtype="int8")
    value = model.conv(model.conv(0, depthwise=True, weights="int8"), kernel=1, weights="int8")
    old, new = model.plan(value), model.plan(value, runtime=XNNPACK_2_15)
    assert names(old) == ["depthwise_3x3", "conv_ruy_1x1"]
    assert sentence(old.fallbacks[0]) == "'input' is int8: XNNPACK of TensorFlow Lite 2.10 takes float32"
    assert old.kernels[0].input_dtype == old.kernels[0].output_dtype == "int8"
    assert names(new) == ["dwconv", "gemm"]
    assert new.fallbacks == {}


@pytest.mark.parametrize(
    ("shape", "change", "expected"),
    [
        ((1, 16, 16, 8), {}, "depthwise_3x3"),
        ((1, 16, 16, 8), {"padding": 1}, "depthwise_3x3"),
        ((1, 16, 16, 8), {"stride": 2}, "depthwise_3x3"),
        ((1, 16, 16, 12), {}, "depthwise_generic"),
        ((1, 16, 16, 8), {"kernel": 5}, "depthwise_generic"),
        ((1, 16, 16, 8), {"stride": 3}, "depthwise_generic"),
        ((1, 16, 16, 8), {"dilation": (2, 2)}, "depthwise_generic"),
        ((1, 16, 1, 8), {"padding": 1}, "depthwise_generic"),
    ],
)
def test_fast_int8_depthwise_kernel(shape: tuple[int, ...], change: dict[str, Any], expected: str) -> None:
    model = Builder(shape, "int8")
    assert names(model.plan(model.conv(0, depthwise=True, weights="int8", **change))) == [expected]


def test_same_padding_of_stride_2_misses_the_fast_int8_depthwise_kernel() -> None:
    model = Builder(dtype="int8")
    value = model.conv(0, depthwise=True, weights="int8", stride=2)
    node = model.nodes[0]
    attributes = {**node.attributes, "padding": (0, 1, 0, 1)}
    model.nodes[0] = Node(0, node.name, node.kind, node.native, node.inputs, node.outputs, attributes)
    assert names(model.plan(value)) == ["depthwise_generic"]


@pytest.mark.parametrize(
    ("dtype", "keep", "name", "threads"),
    [
        ("int8", True, "mean_spatial", "all"),
        ("int8", False, "mean", 1),
        ("float32", True, "mean_spatial", 1),
        ("float32", False, "mean", 1),
    ],
)
def test_built_in_mean(dtype: str, keep: bool, name: str, threads: object) -> None:
    model = Builder(dtype=dtype)
    value = model.add("mean", (0, model.constant((2,), "int32")), (1, 1, 1, 8), axes=(1, 2), keep_dims=keep)
    kernel = only(model.plan(value, runtime=BUILTIN_2_10))
    assert (kernel.implementation, kernel.threads, kernel.weight_bytes) == (name, threads, 0)


def test_dynamic_range_weights_are_computed_by_the_hybrid_kernel() -> None:
    model = Builder()
    kernel = only(model.plan(model.conv(0, weights="int8")))
    assert kernel.implementation == "conv_hybrid"
    assert "quantised at every call" in kernel.reason
    assert kernel.weight_bytes == 8 * 9 * 8 + 4 * 8


def float16_model(model: Builder, **attributes: Any) -> int:
    weights = model.add("dequantize", (model.constant((8, 3, 3, 8), "float16"),), (8, 3, 3, 8))
    bias = model.add("dequantize", (model.constant((8,), "float16"),), (8,))
    values = {"kernel": (3, 3), "stride": (1, 1), "dilation": (1, 1), "padding": (0, 0, 0, 0), "groups": 1}
    return model.add("conv2d", (0, weights, bias), (1, 14, 14, 8), **(values | attributes))


def test_float16_weights_are_unpacked_once_and_read_as_float32() -> None:
    model = Builder()
    plan = model.plan(float16_model(model))
    assert executors(plan) == ["xnnpack"]
    assert [bool(kernel.free) for kernel in plan.kernels] == [True, True, False]
    assert plan.kernels[2].inputs == ((1, 16, 16, 8),)
    assert plan.kernels[2].weight_bytes == 4 * (8 * 9 * 8 + 8)


def test_float16_weights_of_a_refused_op_stay_with_it() -> None:
    model = Builder()
    plan = model.plan(float16_model(model, activation="tanh"))
    assert executors(plan) == ["builtin"]
    assert [bool(kernel.free) for kernel in plan.kernels] == [True, True, False]


def test_sparse_weights_are_unpacked_once_and_a_sparse_value_that_is_no_constant_each_time() -> None:
    model = Builder()
    dense = model.add("densify", (model.constant((8,)),), (8,))
    again = model.add("densify", (0,), (1, 16, 16, 8))
    plan = model.plan(model.add("mul", (again, dense), (1, 16, 16, 8)))
    assert [(kernel.op, bool(kernel.free)) for kernel in plan.kernels if kernel.op == "densify"] == [
        ("densify", True),
        ("densify", False),
    ]


def test_scales_too_far_apart_keep_an_int8_addition_off_xnnpack() -> None:
    for scale, refused in ((0.02, False), (1e-6, True)):
        model = Builder(dtype="int8")
        value = model.add("add", (0, 0), (1, 16, 16, 8))
        scales = {0: scale, value: 0.02}
        model.tensors = [
            Tensor(tensor.name, tensor.shape, tensor.dtype, quantization=Quantization((scales[index],), (0,)))
            for index, tensor in enumerate(model.tensors)
        ]
        assert (0 in model.plan(value, runtime=XNNPACK_2_15).fallbacks) is refused


def test_unknown_op_is_planned_and_named() -> None:
    model = Builder()
    kernel = only(model.plan(model.add("unknown", (0,), (1, 16, 16, 8))))
    assert (kernel.op, kernel.implementation) == ("unknown", "unknown")
    assert "UNKNOWN" in kernel.reason


def test_unknown_dimensions_are_taken_as_1_and_told() -> None:
    model = Builder((-1, 16, 16, 8))
    plan = model.plan(model.add("relu", (0,), (-1, 16, 16, 8)))
    assert only(plan).outputs == ((1, 16, 16, 8),)
    assert any("taken as 1" in note for note in plan.notes)


def test_parallel_branches_share_a_partition() -> None:
    model = Builder()
    left, right = model.conv(0, padding=1), model.add("gelu", (0,), (1, 16, 16, 8))
    more = model.conv(0, padding=1)
    joined = model.add("add", (left, right), (1, 16, 16, 8))
    plan = model.plan(model.add("add", (joined, more), (1, 16, 16, 8)))
    assert [(partition.executor, partition.nodes) for partition in plan.partitions] == [
        ("xnnpack", 2),
        ("builtin", 1),
        ("xnnpack", 2),
    ]


def test_part_of_a_graph_is_planned_alone() -> None:
    model = Builder()
    value = model.conv(0, padding=1)
    value = model.add("relu", (value,), (1, 16, 16, 8))
    value = model.conv(value, padding=1)
    graph = model.graph(value)
    processor = Processor("gpu", "tflite-2.10/gpu-delegate", "gpu", "mali")
    planned = planner(XNNPACK_2_10).plan(Context(graph), [1, 2], processor)
    assert [kernel.nodes for kernel in planned.kernels] == [(1,), (2,)]
    assert [(part.executor, part.nodes) for part in planned.partitions] == [("xnnpack", 2)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ops": {"conv2d": {"kernels": []}}}, "conv2d: the last kernel must have no 'when'"),
        ({"ops": {"convolution": {"kernels": [{"implementation": "x", "when": {}}]}}}, "not an op of the vocabulary"),
        (
            {"ops": {"conv2d": {"kernels": [{"implementation": "x", "when": {"colour": 1}}]}}},
            "no fact is called 'colour'",
        ),
        ({"ops": {"conv2d": {"kernels": [{"implementation": "x", "threads": 2}]}}}, "'threads' is"),
        ({"ops": {"conv2d": {"kernels": [{"implementation": "x"}], "rank": [4]}}}, "rank"),
        (
            {"ops": {"conv2d": {"kernels": [{"implementation": "x"}], "refuse": ["blue"]}}},
            "no refusal is called 'blue'",
        ),
        ({"refusals": {"blue": {"reason": "it is blue"}}}, "needs 'when' or 'unless'"),
        ({"refusals": {"blue": {"unless": {"rank": 4}}}}, "needs a reason"),
        ({"ops": None}, "'ops' is missing"),
        ({"fallback": None}, "fallback"),
        ({"max_rank": "six"}, "six"),
        ({"colour": 1}, "colour"),
    ],
)
def test_malformed_rules_are_told_apart(change: dict[str, Any], message: str) -> None:
    data = {key: value for key, value in {**load_rules(XNNPACK_2_10).data, **change}.items() if value is not None}
    with pytest.raises(LatlintError, match=message) as caught:
        parse(Rules("x/y", "delegate", "tflite", "XNNPACK of LiteRT 9.9", data))
    assert caught.value.code == "LAT901"
    assert "rules/x/y.toml" in caught.value.message


def test_a_delegate_of_static_sizes_is_not_applied_to_a_graph_with_a_computed_one() -> None:
    model = Builder()
    value = model.conv(0, padding=1)
    model.add("where", (value,), (-1, 4), "int64")
    value = model.conv(value, padding=1)
    for runtime, applied in ((XNNPACK_2_10, False), (XNNPACK_2_15, False), ("litert-2.3/xnnpack", True)):
        made = model.plan(value, runtime=runtime)
        assert ("xnnpack" in executors(made)) is applied
        assert {why.code for why in made.fallbacks.values()} == ({"NOT_AN_OP"} if applied else {"DYNAMIC_GRAPH"})
        assert any("depends on what is computed" in note for note in made.notes) is not applied


def test_a_delegate_keeps_so_many_partitions_of_such_a_size() -> None:
    """Two ops, one op and three ops, with what it refuses between them."""
    model = Builder()
    shape, value = (1, 16, 16, 8), 0
    for kind in ("abs", "abs", "gelu", "abs", "gelu", "abs", "abs", "abs"):
        value = model.add(kind, (value,), shape)
    graph = model.graph(value)

    def kept(**limits: int) -> tuple[list[tuple[str, int]], dict[int, str]]:
        made = planner(XNNPACK_2_10)._replace(**limits).plan(Context(graph), range(8), Processor("c", "", "cpu", "arm"))
        return [(p.executor, p.nodes) for p in made.partitions], {n: why.code for n, why in made.fallbacks.items()}

    others = {2: "NOT_AN_OP", 4: "NOT_AN_OP"}
    parts, refused = kept()
    assert (
        parts == [("xnnpack", 2), ("builtin", 1), ("xnnpack", 1), ("builtin", 1), ("xnnpack", 3)] and refused == others
    )
    parts, refused = kept(min_nodes=2)
    assert parts == [("xnnpack", 2), ("builtin", 3), ("xnnpack", 3)]
    assert refused == others | {3: "SMALL_PARTITION"}
    parts, refused = kept(max_partitions=1)
    assert parts == [("builtin", 5), ("xnnpack", 3)]
    assert refused == others | dict.fromkeys((0, 1, 3), "SMALLER_PARTITION")
    parts, refused = kept(max_partitions=2, min_nodes=3)
    assert parts == [("builtin", 5), ("xnnpack", 3)]
    assert refused == others | dict.fromkeys((0, 1, 3), "SMALL_PARTITION")
