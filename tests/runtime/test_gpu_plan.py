"""What the GPU delegate makes of small graphs: links, selection, partitions, and everything else that names do not show."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

from latlint.errors import LatlintError
from latlint.graph import Graph, Node, Quantization, Tensor, read
from latlint.runtime import Kernel, Plan, Processor, plan
from latlint.runtime.context import Context
from latlint.runtime.gpu.rules import load_gpu_rules, parse_gpu_rules
from latlint.runtime.partition import epochs, keep_largest
from latlint.runtime.reasons import sentence
from latlint.runtime.rules import Rules, load_rules, runtimes

RUNTIME = "tflite-2.10/gpu-delegate"
ADRENO = Processor("gpu", RUNTIME, "gpu", "adreno", "adreno-6xx")
MALI = Processor("gpu", RUNTIME, "gpu", "mali", "bifrost-gen3")
APPLE = Processor("gpu", RUNTIME, "gpu", "apple", "a12", precision="float16")

Shape = tuple[int, ...]


@dataclass
class Net:
    """Builds a graph op by op; every method returns the index of the tensor it made."""

    dtype: str = "float32"
    tensors: list[Tensor] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)

    def tensor(self, shape: Shape, dtype: str = "", **fields: Any) -> int:
        quantised = Quantization((0.1,), (0,)) if self.dtype == "int8" else None
        self.tensors.append(
            Tensor(f"t{len(self.tensors)}", shape, dtype or self.dtype, **{"quantization": quantised, **fields})
        )
        return len(self.tensors) - 1

    def input(self, *shape: int) -> int:
        self.inputs.append(self.tensor(shape))
        return self.inputs[-1]

    def constant(self, *shape: int) -> int:
        return self.tensor(shape, constant=True)

    def op(self, kind: str, inputs: list[int], shape: Shape | None = None, version: int = 1, **attributes: Any) -> int:
        output = self.tensor(shape if shape is not None else self.shape(inputs[0]))
        self.nodes.append(
            Node(
                len(self.nodes),
                f"n{len(self.nodes)}",
                kind,
                kind.upper(),
                tuple(inputs),
                (output,),
                attributes,
                version,
            )
        )
        return output

    def shape(self, tensor: int) -> Shape:
        return self.tensors[tensor].shape or ()

    def conv(self, x: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, **attributes: Any) -> int:
        """A convolution that keeps the map's size (but for the stride)."""
        batch, height, width, channels = self.shape(x)
        weights = self.constant(outputs, kernel, kernel, channels // groups)
        shape = (batch, -(-height // stride), -(-width // stride), outputs)
        values = {"kernel": (kernel, kernel), "stride": (stride, stride), "dilation": (1, 1), "groups": groups}
        pad = kernel // 2
        values |= {"padding": (pad, pad, pad, pad)} | attributes
        return self.op("conv2d", [x, weights, self.constant(outputs)], shape, **values)

    def depthwise(self, x: int, kernel: int = 3, **attributes: Any) -> int:
        channels, pad = self.shape(x)[3], kernel // 2
        values = {"kernel": (kernel, kernel), "stride": (1, 1), "dilation": (1, 1), "groups": channels, "multiplier": 1}
        weights = self.constant(1, kernel, kernel, channels)
        return self.op(
            "depthwise_conv2d", [x, weights, self.constant(channels)], **values | {"padding": (pad,) * 4} | attributes
        )

    def graph(self, *outputs: int) -> Graph:
        return Graph("net", "tflite", "tflite", tuple(self.nodes), tuple(self.tensors), tuple(self.inputs), outputs)


def names(planned: Plan) -> list[str]:
    """Each kernel that is launched, as a profile names it: ``conv+add+relu``."""
    return ["+".join((k.implementation, *k.linked)) for k in planned.kernels if not k.free]


def planned_names(net: Net, *outputs: int, on: Processor = ADRENO) -> list[str]:
    return names(plan(net.graph(*outputs), on))


@pytest.fixture
def net() -> Net:
    return Net()


@pytest.fixture
def x(net: Net) -> int:
    return net.input(1, 28, 28, 32)


class TestLinking:
    def test_a_chain_of_elementwise_ops_joins_the_convolution(self, net: Net, x: int) -> None:
        y = net.op("sigmoid", [net.op("abs", [net.conv(x, 16)])])
        assert planned_names(net, y) == ["convolution_2d+abs+sigmoid"]

    def test_a_fused_relu6_is_linked_as_relu(self, net: Net, x: int) -> None:
        assert planned_names(net, net.conv(x, 16, activation="relu6")) == ["convolution_2d+relu"]

    def test_a_fused_relu_n1_to_1_is_three_ops_of_which_the_first_goes_into_the_bias(self, net: Net, x: int) -> None:
        assert planned_names(net, net.conv(x, 16, activation="relu_n1_to_1")) == ["convolution_2d+relu+add"]

    def test_a_residual_add_joins_the_branch_written_last(self, net: Net, x: int) -> None:
        first, second = net.conv(x, 16), net.conv(x, 16, kernel=3)
        total = net.op("add", [first, second], activation="relu")
        kernels = plan(net.graph(total), ADRENO).kernels
        assert ["+".join((k.implementation, *k.linked)) for k in kernels] == [
            "convolution_2d",
            "convolution_2d+add+relu",
        ]
        assert kernels[1].attributes["kernel"] == (3, 3)
        assert kernels[1].inputs == ((1, 28, 28, 32), (1, 28, 28, 16))

    def test_two_readers_block_a_link(self, net: Net, x: int) -> None:
        y = net.conv(x, 16)
        out = [net.op("abs", [y]), net.op("exp", [y])]
        assert planned_names(net, *out) == ["convolution_2d", "abs", "exp"]

    def test_only_the_first_input_links(self, net: Net, x: int) -> None:
        z = net.op("sub", [x, net.conv(x, 32)])
        assert planned_names(net, z) == ["convolution_2d", "subtract"]

    def test_a_broadcast_first_input_does_not_link(self, net: Net, x: int) -> None:
        mean = net.op("mean", [x], (1, 1, 1, 32), axes=(1, 2))
        assert planned_names(net, net.op("sub", [mean, x], (1, 28, 28, 32))) == ["mean", "subtract"]

    def test_an_add_to_more_slices_of_channels_does_not_link(self, net: Net) -> None:
        wide = net.input(1, 28, 28, 40)
        y = net.conv(wide, 32)
        padded = net.op("pad", [y, net.constant(4, 2)], (1, 28, 28, 40), pads=((0, 0), (0, 0), (0, 0), (0, 8)))
        assert planned_names(net, net.op("add", [wide, padded])) == ["convolution_2d", "add"]

    def test_a_gate_does_not_join_the_scale_but_the_scale_absorbs_the_residual(self, net: Net, x: int) -> None:
        y = net.conv(x, 32)
        gate = net.op("mean", [y], (1, 1, 1, 32), axes=(1, 2))
        gate = net.conv(gate, 8, activation="relu")
        gate = net.op("sigmoid", [net.conv(gate, 32)])
        z = net.op("add", [net.op("mul", [y, gate]), x])
        assert planned_names(net, z) == [
            "convolution_2d",
            "mean",
            "fully_connected+relu",
            "fully_connected+sigmoid",
            "mul+add",
        ]

    def test_the_gate_may_come_first_in_the_file(self, net: Net, x: int) -> None:
        gate = net.op("sigmoid", [net.input(1, 1, 1, 32)])
        scaled = net.op("mul", [gate, x], (1, 28, 28, 32))
        assert planned_names(net, scaled) == ["sigmoid", "mul"]
        assert plan(net.graph(scaled), ADRENO).kernels[1].inputs == ((1, 28, 28, 32), (1, 1, 1, 32))

    def test_silu_is_two_kernels(self, net: Net, x: int) -> None:
        y = net.conv(x, 16)
        assert planned_names(net, net.op("mul", [net.op("sigmoid", [y]), y])) == ["convolution_2d", "sigmoid+mul"]

    def test_hard_swish_of_primitives_is_two_kernels(self, net: Net, x: int) -> None:
        y = net.conv(x, 16)
        gate = net.op("add", [y, net.constant(1)], activation="relu6")
        product = net.op("mul", [y, gate])
        z = net.op("mul", [product, net.constant(1)])
        assert planned_names(net, z) == ["convolution_2d", "add+relu+mul+mul"]

    @pytest.mark.parametrize("half_first", [True, False])
    def test_gelu_as_a_polynomial_links_as_far_as_its_inputs_are_ready(
        self, net: Net, x: int, half_first: bool
    ) -> None:
        y = net.conv(x, 16)
        half = net.op("mul", [y, net.constant(1)]) if half_first else -1
        cubed = net.op("pow", [y, net.constant(1)])
        inner = net.op("add", [y, net.op("mul", [cubed, net.constant(1)])])
        gate = net.op("tanh", [net.op("mul", [inner, net.constant(1)])])
        half = half if half_first else net.op("mul", [y, net.constant(1)])
        z = net.op("mul", [half, net.op("add", [gate, net.constant(1)])])
        chain = "pow+mul+add+mul+tanh+add"
        expected = ["mul", f"{chain}+mul"] if half_first else [chain, "mul", "mul"]
        assert planned_names(net, z) == ["convolution_2d", *expected]

    def test_layer_normalisation_over_channels_is_five_kernels(self, net: Net, x: int) -> None:
        small = (1, 28, 28, 1)
        mean = net.op("mean", [x], small, axes=(3,))
        variance = net.op("mean", [net.op("squared_difference", [x, mean])], small, axes=(3,))
        scale = net.op("rsqrt", [net.op("add", [variance, net.constant(1)])])
        scale = net.op("mul", [scale, net.constant(32)], (1, 28, 28, 32))
        scaled = net.op("mul", [x, scale])
        shift = net.op("sub", [net.constant(32), net.op("mul", [mean, scale], (1, 28, 28, 32))], (1, 28, 28, 32))
        z = net.op("add", [scaled, shift])
        launched = planned_names(net, z)
        assert launched[:2] == ["mean", "squared_diff"]
        assert sum(name.startswith("mean") for name in launched) == 2

    def test_an_output_that_is_also_read_is_linked_all_the_same(self, net: Net, x: int) -> None:
        y = net.conv(x, 16)
        assert planned_names(net, y, net.op("abs", [y])) == ["convolution_2d+abs"]

    def test_concat_and_pooling_absorb_but_are_not_absorbed(self, net: Net, x: int) -> None:
        y = net.op("concat", [net.conv(x, 16), net.conv(x, 16)], axis=3)
        y = net.op("max_pool2d", [net.op("abs", [y])], kernel=(2, 2), stride=(1, 1), padding=(0, 0, 1, 1))
        expected = ["convolution_2d", "convolution_2d", "concat+abs", "pooling_2d+exp"]
        assert planned_names(net, net.op("exp", [y])) == expected


class TestTransforms:
    def test_a_zero_pad_becomes_padding_of_the_convolution(self, net: Net, x: int) -> None:
        padded = net.op("pad", [x, net.constant(4, 2)], (1, 30, 30, 32), pads=((0, 0), (1, 1), (1, 1), (0, 0)))
        y = net.conv(padded, 16, kernel=3, padding=(0, 0, 0, 0))
        (kernel,) = plan(net.graph(y), ADRENO).kernels
        assert kernel.attributes["padding"] == (1, 1, 1, 1)
        assert kernel.nodes == (1, 0)
        assert kernel.inputs == ((1, 28, 28, 32),)

    def test_a_pad_with_two_readers_stays(self, net: Net, x: int) -> None:
        padded = net.op("pad", [x, net.constant(4, 2)], (1, 30, 30, 32), pads=((0, 0), (1, 1), (1, 1), (0, 0)))
        out = [net.conv(padded, 16, kernel=3, padding=(0, 0, 0, 0)) for _ in range(2)]
        assert planned_names(net, *out) == ["pad", "convolution_2d", "convolution_2d"]

    def test_a_pad_of_channels_stays_unless_it_is_only_added_to(self, net: Net, x: int) -> None:
        pads = ((0, 0), (0, 0), (0, 0), (0, 8))
        padded = net.op("pad", [x, net.constant(4, 2)], (1, 28, 28, 40), pads=pads)
        assert planned_names(net, net.conv(padded, 16)) == ["pad", "convolution_2d"]
        other = Net()
        x = other.input(1, 28, 28, 32)
        padded = other.op("pad", [x, other.constant(4, 2)], (1, 28, 28, 40), pads=pads)
        assert planned_names(other, other.op("add", [other.conv(x, 40), padded])) == ["convolution_2d+add"]

    @pytest.mark.parametrize("shape", [(1,), (16,), (1, 1, 1, 16)])
    def test_constants_per_channel_after_a_convolution_are_folded(self, net: Net, x: int, shape: Shape) -> None:
        y = net.op("mul", [net.conv(x, 16), net.constant(*shape)])
        y = net.op("add", [y, net.constant(*shape)], activation="relu")
        (kernel,) = plan(net.graph(y), ADRENO).kernels
        assert (kernel.implementation, kernel.linked, kernel.nodes) == ("convolution_2d", ("relu",), (0, 1, 2))

    def test_a_constant_of_full_size_is_linked_instead(self, net: Net, x: int) -> None:
        y = net.op("add", [net.conv(x, 16), net.constant(28, 28, 16)])
        assert planned_names(net, y) == ["convolution_2d+add"]

    def test_mul_before_a_convolution_is_folded_but_add_is_not(self, net: Net, x: int) -> None:
        assert planned_names(net, net.conv(net.op("mul", [x, net.constant(32)]), 16)) == ["convolution_2d"]
        other = Net()
        y = other.conv(other.op("add", [other.input(1, 28, 28, 32), other.constant(32)]), 16)
        assert planned_names(other, y) == ["add", "convolution_2d"]

    def test_a_reshape_that_changes_nothing_is_free(self, net: Net, x: int) -> None:
        y = net.op("abs", [net.op("reshape", [net.conv(x, 16)])])
        kernels = plan(net.graph(y), ADRENO).kernels
        assert [(k.implementation, bool(k.free)) for k in kernels] == [("none", True), ("convolution_2d", False)]
        assert kernels[1].linked == ("abs",)

    def test_a_reshape_that_makes_an_output_stays(self, net: Net, x: int) -> None:
        assert planned_names(net, net.op("reshape", [net.conv(x, 16)])) == ["convolution_2d", "reshape"]

    def test_a_global_average_pool_is_a_mean(self, net: Net, x: int) -> None:
        values = {"stride": (1, 1), "padding": (0, 0, 0, 0)}
        y = net.op("average_pool2d", [x], (1, 1, 1, 32), kernel=(28, 28), **values)
        z = net.op("average_pool2d", [x], (1, 27, 27, 32), kernel=(2, 2), **values)
        assert planned_names(net, y, z) == ["mean", "pooling_2d"]

    def test_a_square_and_a_double_are_ops_of_one_operand(self, net: Net, x: int) -> None:
        assert planned_names(net, net.op("mul", [x, x]), net.op("add", [x, x])) == ["pow", "mul"]


class TestSelection:
    @pytest.mark.parametrize(
        ("processor", "size", "channels", "winograd"),
        [
            (MALI, 24, 61, True),
            (MALI, 24, 60, False),
            (MALI, 20, 64, False),
            (ADRENO, 45, 128, True),
            (ADRENO, 44, 128, False),
            (ADRENO, 45, 124, False),
            (ADRENO._replace(generation="adreno-5xx"), 29, 125, True),
        ],
    )
    def test_winograd_thresholds(
        self, net: Net, processor: Processor, size: int, channels: int, winograd: bool
    ) -> None:
        y = net.conv(net.input(1, size, size, channels), channels, kernel=3, activation="relu")
        (kernel,) = plan(net.graph(y), processor).kernels
        expected = "convolution_winograd_4x4_6x6" if winograd else "convolution_2d"
        assert (kernel.implementation, kernel.linked, kernel.launches) == (expected, ("relu",), 3 if winograd else 1)
        assert bool(kernel.reason) != winograd

    @pytest.mark.parametrize("change", [{"stride": 2}, {"groups": 2}, {"dilation": (2, 2)}, {"kernel": 5}])
    def test_winograd_needs_a_plain_3x3_convolution(self, net: Net, change: dict[str, Any]) -> None:
        y = net.conv(net.input(1, 112, 112, 128), 128, **{"kernel": 3, **change})
        (kernel,) = plan(net.graph(y), MALI).kernels
        assert ("winograd" in kernel.implementation, kernel.reason) == (False, "")

    def test_groups_of_whole_slices_run_in_one_kernel(self, net: Net, x: int) -> None:
        assert planned_names(net, net.conv(x, 32, kernel=3, groups=4)) == ["convolution_2d_grouped"]

    def test_other_groups_are_split(self, net: Net, x: int) -> None:
        (kernel,) = plan(net.graph(net.conv(x, 32, kernel=3, groups=16)), ADRENO).kernels
        assert (kernel.implementation, kernel.launches) == ("convolution_2d_by_group", 18)
        assert kernel.obstacle is not None and kernel.obstacle.code == "UNEVEN_GROUPS"

    @pytest.mark.parametrize(
        ("processor", "channels", "outputs", "together"),
        [
            (APPLE, 16, 16, True),
            (APPLE, 16, 20, False),
            (APPLE._replace(precision="float32"), 16, 16, False),
            (ADRENO, 16, 16, False),
        ],
    )
    def test_depthwise_and_pointwise_in_one_kernel(
        self, net: Net, processor: Processor, channels: int, outputs: int, together: bool
    ) -> None:
        y = net.conv(net.depthwise(net.input(1, 56, 56, channels), activation="relu"), outputs, activation="relu")
        planned = plan(net.graph(y), processor)
        if not together:
            assert names(planned) == ["depthwise_convolution+relu", "convolution_2d+relu"]
            return
        (kernel,) = planned.kernels
        assert (kernel.implementation, kernel.op, kernel.nodes) == (
            "depthwise_conv_plus_1x1_conv",
            "depthwise_conv2d",
            (0, 1),
        )
        assert kernel.linked == ("relu",)
        assert kernel.macs == 56 * 56 * channels * (9 + outputs)
        assert kernel.attributes["pointwise"]["kernel"] == (1, 1)
        assert kernel.weight_bytes == 2 * (channels * 10 + outputs * (channels + 1))

    def test_variants(self, net: Net, x: int) -> None:
        out = [net.depthwise(x), net.depthwise(x, kernel=5), net.conv(x, 16), net.conv(x, 64)]
        told = [k.explain[0] if k.explain else "" for k in plan(net.graph(*out), ADRENO).kernels]
        starts = ["the kernel for 3x3", "the 3x3 kernel needs one pixel", "its 2048 bytes of weights fit", ""]
        assert [text.startswith(start) for text, start in zip(told, starts, strict=True)] == [True] * 4, told

    def test_work_and_bytes(self, net: Net, x: int) -> None:
        (kernel,) = plan(net.graph(net.conv(x, 16, kernel=3)), APPLE).kernels
        assert kernel.macs == 28 * 28 * 16 * 9 * 32
        assert kernel.weight_bytes == 2 * (16 * 9 * 32 + 16)
        assert (kernel.input_bytes, kernel.output_bytes) == (2 * 28 * 28 * 32, 2 * 28 * 28 * 16)


class TestPartitions:
    def test_only_the_partition_with_most_nodes_stays_on_the_gpu(self, net: Net, x: int) -> None:
        y = net.conv(x, 16)
        y = net.op("gelu", [y])
        y = net.op("reshape", [net.op("abs", [net.conv(y, 16)])], (1, 784, 16))
        planned = plan(net.graph(y), ADRENO)
        assert [p.executor for p in planned.partitions][-1] == "gpu"
        assert [k.partition == len(planned.partitions) - 1 for k in planned.kernels] == [False, False, True, True]
        assert set(planned.fallbacks) == {0, 1}
        assert planned.fallbacks[0].code == "SMALLER_PARTITION" and "smaller partition" in sentence(
            planned.fallbacks[0]
        )
        assert planned.fallbacks[1].code == "NOT_AN_OP" and "GELU" in sentence(planned.fallbacks[1])
        border = 28 * 28 * 16 * 4
        assert (planned.partitions[-1].input_bytes, planned.partitions[-1].output_bytes) == (border, border)

    def test_parallel_branches_share_a_partition(self, net: Net, x: int) -> None:
        left = net.op("abs", [x])
        right = net.op("gelu", [x])
        last = net.op("exp", [left])
        planned = plan(net.graph(last, right), ADRENO)
        assert (planned.partitions[0].executor, planned.partitions[0].nodes) == ("gpu", 2)

    def test_an_epoch_skips_nodes_of_the_other_kind(self, net: Net, x: int) -> None:
        a = net.op("abs", [x])
        b = net.op("gelu", [a])
        c = net.op("abs", [a])
        d = net.op("add", [b, c])
        split = epochs(Context(net.graph(d)), range(4), lambda node: node != 1)
        assert [(e.delegated, e.nodes) for e in split] == [(True, (0, 2)), (False, (1,)), (True, (3,))]
        assert [e.delegated for e in keep_largest(split, 1)] == [True, False, False]

    def test_the_first_node_decides_the_kind_of_the_first_epoch(self, net: Net, x: int) -> None:
        out = [net.op("gelu", [x]), net.op("abs", [x])]
        split = epochs(Context(net.graph(*out)), range(2), lambda node: node == 1)
        assert [(e.delegated, e.nodes) for e in split] == [(False, (0,)), (True, (1,))]

    @pytest.mark.parametrize(
        ("kind", "shape", "attributes", "reason"),
        [
            ("softmax", (1, 28, 28, 32), {"beta": 2.0, "axis": 3}, "beta 2"),
            ("abs", (1, 28, 28, 2, 16), {}, "5 dimensions"),
            ("strided_slice", (1, 28, 28), {"shrink_axis_mask": 8, "strides": (1, 1, 1, 1)}, "shrink_axis_mask"),
            ("mean", (1, 28, 28, 1), {}, "axes"),
            (
                "mirror_pad",
                (1, 30, 30, 32),
                {"mode": "symmetric", "pads": ((0, 0), (1, 1), (1, 1), (0, 0))},
                "symmetric",
            ),
            ("max_pool2d", (1, 28, 28, 32), {"activation": "sign_bit", "kernel": (1, 1), "stride": (1, 1)}, "sign_bit"),
            ("resize_bilinear", (1, 56, 56, 32), {"align_corners": True, "half_pixel": True}, "align_corners"),
            ("unpack", (28, 28, 32), {"axis": 0}, "UNPACK"),
            ("cast", (1, 28, 28, 32), {"to": "float32"}, "comparison"),
            ("transpose", (1, 32, 28, 28), {}, "permutation"),
            ("depth_to_space", (1, 28, 28, 32), {"block": 1}, "block"),
        ],
    )
    def test_what_is_refused_and_why(
        self, net: Net, x: int, kind: str, shape: Shape, attributes: dict[str, Any], reason: str
    ) -> None:
        planned = plan(net.graph(net.op(kind, [x], shape, **attributes)), ADRENO)
        said = sentence(planned.fallbacks[0])
        assert reason in said and "the GPU delegate of TensorFlow Lite 2.10" in said
        assert all(p.executor != "gpu" for p in planned.partitions)

    def test_open_sizes_are_refused(self, net: Net) -> None:
        y = net.op("relu", [net.input(1, -1, 28, 32)])
        refusal = plan(net.graph(y), ADRENO).fallbacks[0]
        assert refusal.code == "OPEN_SHAPE" and "not known before run time" in sentence(refusal)

    def test_sizes_that_are_computed_keep_the_whole_model_off_the_gpu(self, net: Net, x: int) -> None:
        a = net.op("abs", [x])
        net.op("where", [a], (-1, 4))
        planned = plan(net.graph(net.op("abs", [a])), ADRENO)
        assert {why.code for why in planned.fallbacks.values()} == {"DYNAMIC_GRAPH"}
        assert [p.executor for p in planned.partitions] == ["builtin"]
        net.nodes[1] = replace(net.nodes[1], kind="unknown")  # who knows what it does
        assert [why.code for why in plan(net.graph(a), ADRENO).fallbacks.values()] == ["NOT_AN_OP"]

    def test_a_shape_that_is_fed_is_a_computed_size(self, net: Net, x: int) -> None:
        shape = net.tensor((2,), "int32")
        y = net.op("relu", [net.op("reshape", [net.op("abs", [x]), shape], (1, 25088))])
        assert "DYNAMIC_GRAPH" not in {why.code for why in plan(net.graph(y), ADRENO).fallbacks.values()}
        net.inputs.append(shape)
        assert {why.code for why in plan(net.graph(y), ADRENO).fallbacks.values()} == {"DYNAMIC_GRAPH"}

    def test_versions_and_types_are_refused(self, net: Net, x: int) -> None:
        late = net.op("transpose_conv2d", [x, net.constant(16, 2, 2, 32)], (1, 56, 56, 16), version=4, stride=(2, 2))
        index = net.tensor((1, 28, 28, 32), "int32")
        net.inputs.append(index)
        integer = net.op("abs", [index])
        fallbacks = plan(net.graph(late, integer), ADRENO).fallbacks
        assert (fallbacks[0].code, fallbacks[1].code) == ("VERSION", "DTYPE")
        assert "version 4" in sentence(fallbacks[0])
        assert "int32" in sentence(fallbacks[1])

    def test_outer_products_and_repeated_operands_are_refused(self, net: Net, x: int) -> None:
        row, column = net.input(1, 28, 1, 32), net.input(1, 1, 28, 32)
        outer = net.op("mul", [row, column], (1, 28, 28, 32))
        twice = net.op("div", [x, x])
        assert set(plan(net.graph(outer, twice), ADRENO).fallbacks) == {0, 1}

    def test_a_wide_fully_connected_input_keeps_the_whole_model_off_the_gpu(self, net: Net) -> None:
        tokens = net.input(1, 49, 32)
        y = net.op("fully_connected", [net.op("abs", [tokens]), net.constant(8, 32)], (1, 49, 8), keep_num_dims=True)
        planned = plan(net.graph(y), ADRENO)
        assert all(p.executor != "gpu" for p in planned.partitions)
        assert any("fails to initialise at 'n1'" in note for note in planned.notes)
        assert set(planned.fallbacks) == {0, 1}

    def test_float16_weights_are_read_as_they_are(self, net: Net, x: int) -> None:
        packed = net.tensor((16, 1, 1, 32), "float16", constant=True)
        weights = net.op("dequantize", [packed])
        values = {"kernel": (1, 1), "stride": (1, 1), "dilation": (1, 1), "groups": 1, "padding": (0, 0, 0, 0)}
        y = net.op("conv2d", [x, weights, net.constant(16)], (1, 28, 28, 16), **values)
        planned = plan(net.graph(y), ADRENO)
        assert [(k.implementation, bool(k.free)) for k in planned.kernels] == [
            ("none", True),
            ("convolution_2d", False),
        ]
        assert planned.kernels[1].inputs == ((1, 28, 28, 32),)
        assert planned.kernels[1].weight_bytes == 4 * (16 * 32 + 16)
        assert not planned.fallbacks

    def test_sparse_float16_weights_are_read_as_they_are(self, net: Net, x: int) -> None:
        packed = net.tensor((16, 1, 1, 32), "float16", constant=True)
        dense = net.op("densify", [packed])
        net.tensors[dense] = replace(net.tensors[dense], dtype="float16")
        weights = net.op("dequantize", [dense])
        values = {"kernel": (1, 1), "stride": (1, 1), "dilation": (1, 1), "groups": 1, "padding": (0, 0, 0, 0)}
        y = net.op("conv2d", [x, weights, net.constant(16)], (1, 28, 28, 16), **values)
        planned = plan(net.graph(y), ADRENO)
        assert [(k.op, bool(k.free)) for k in planned.kernels] == [
            ("densify", True),
            ("dequantize", True),
            ("conv2d", False),
        ]
        assert [(p.executor, p.nodes) for p in planned.partitions] == [("gpu", 3)] and not planned.fallbacks

    def test_sparse_weights_go_along_with_the_op_that_reads_them(self, net: Net, x: int) -> None:
        y = net.op("gelu", [net.op("abs", [net.op("abs", [x])])])
        packed = net.tensor((32, 1, 1, 32), "float16", constant=True)
        dense = net.op("densify", [packed])
        net.tensors[dense] = replace(net.tensors[dense], dtype="float16")
        weights = net.op("dequantize", [dense])
        values = {"kernel": (1, 1), "stride": (1, 1), "dilation": (1, 1), "groups": 1, "padding": (0, 0, 0, 0)}
        y = net.op("conv2d", [y, weights, net.constant(32)], (1, 28, 28, 32), activation="sign_bit", **values)
        planned = plan(net.graph(y), ADRENO)
        assert [(p.executor, p.nodes) for p in planned.partitions] == [("gpu", 2), ("builtin", 4)]

    @pytest.mark.parametrize(("stride", "named"), [((2, 1), True), ((2, 2), False)])
    def test_depthwise_convolutions_of_unequal_strides_say_so(
        self, net: Net, x: int, stride: tuple[int, int], named: bool
    ) -> None:
        y = net.conv(x, 32, kernel=3, groups=32)
        net.nodes[-1] = replace(net.nodes[-1], attributes={**net.nodes[-1].attributes, "stride": stride})
        (kernel,) = plan(net.graph(y), ADRENO).kernels
        assert (kernel.implementation, kernel.launches) == ("convolution_2d_by_group", 34)
        assert ("strides 2x1" in kernel.reason) is named


class TestQuantised:
    def test_results_that_are_read_are_rounded(self) -> None:
        net = Net("int8")
        y = net.conv(net.input(1, 28, 28, 32), 16, activation="relu")
        y = net.op("hard_swish", [y])
        planned = plan(net.graph(y), ADRENO)
        assert names(planned) == ["convolution_2d+relu+quantize_and_dequantize+hard_swish"]
        assert (planned.precision, planned.kernels[0].input_dtype) == ("int8", "float32")

    def test_rounding_keeps_a_pad_apart(self) -> None:
        net = Net("int8")
        x = net.input(1, 28, 28, 32)
        padded = net.op("pad", [x, net.constant(4, 2)], (1, 30, 30, 32), pads=((0, 0), (1, 1), (1, 1), (0, 0)))
        y = net.conv(padded, 16, kernel=3, padding=(0, 0, 0, 0))
        assert planned_names(net, y) == ["pad+quantize_and_dequantize", "convolution_2d"]


class TestEveryNode:
    @pytest.mark.parametrize(
        "name",
        [
            "mobilenet_v2",
            "mobilenet_v2_025_f16",
            "mobilenet_v2_int8",
            "mobilenet_v3_small",
            "one_gelu",
            "shufflenet_v2_05",
        ],
    )
    @pytest.mark.parametrize("processor", [ADRENO, MALI, APPLE], ids=lambda p: p.vendor)
    def test_is_in_exactly_one_kernel(self, name: str, processor: Processor, model: Callable[[str], Path]) -> None:
        graph = read(model(f"{name}.tflite"))
        planned = plan(graph, processor)
        counts = Counter(node for kernel in planned.kernels for node in kernel.nodes)
        assert counts == Counter(node.index for node in graph.nodes)
        assert sum(p.nodes for p in planned.partitions) == len(graph.nodes)
        assert all(0 <= kernel.partition < len(planned.partitions) for kernel in planned.kernels)
        assert all(_is_consistent(kernel) for kernel in planned.kernels)

    def test_even_where_nothing_can_run(self) -> None:
        broken = Net()
        tensor = broken.tensor((1, 4))
        node = Node(0, "n0", "conv2d", "CONV_2D", (tensor, -1), (tensor,), {})
        planned = plan(Graph("loop", "tflite", "tflite", (node,), tuple(broken.tensors), (), ()), ADRENO)
        assert [k.nodes for k in planned.kernels] == [(0,)]
        assert plan(Graph("empty", "tflite", "tflite", (), (), (), ()), ADRENO).kernels == ()


def _is_consistent(kernel: Kernel) -> bool:
    return bool(kernel.free) or (kernel.launches >= 1 and bool(kernel.outputs))


class TestConverted:
    def test_node_indices_are_those_before_conversion(self, net: Net, x: int, monkeypatch: pytest.MonkeyPatch) -> None:
        padded = net.op("pad", [x, net.constant(4, 2)], (1, 30, 30, 32), pads=((0, 0), (1, 1), (1, 1), (0, 0)))
        y = net.op("gelu", [net.conv(padded, 16, kernel=3, padding=(0, 0, 0, 0), activation="relu")])
        # As if from Constant, Conv, Relu, Gelu: the padding is Conv's own, the clamp was fused, the constant folded.
        converted = replace(net.graph(y), origins=((1,), (1, 2), (3,)))
        kinds = ("constant", "conv2d", "relu", "gelu")
        nodes = tuple(Node(i, kind, kind, kind, (), ()) for i, kind in enumerate(kinds))
        original = Graph("net", "onnx", "onnx", nodes, (), (), ())
        monkeypatch.setitem(sys.modules, "latlint.runtime.convert", SimpleNamespace(as_tflite=lambda graph: converted))
        planned = plan(original, ADRENO)
        assert [(k.op, k.nodes, bool(k.free)) for k in planned.kernels] == [
            ("conv2d", (1, 2), False),
            ("gelu", (3,), False),
            ("constant", (0,), True),
        ]
        assert list(planned.fallbacks) == [3]


class TestWork:
    @pytest.mark.slow
    @pytest.mark.parametrize("refused_every", [10**9, 50], ids=["on the GPU", "torn apart"])
    def test_planning_grows_with_the_graph_and_not_faster(self, refused_every: int) -> None:
        small, large = _ladder(100, refused_every), _ladder(800, refused_every)
        # Eight times the nodes: quadratic work would run 64 times as many lines.
        assert _lines_run(large) < 12 * _lines_run(small)


def _ladder(steps: int, refused_every: int) -> Graph:
    """Convolutions, elementwise ops, residual adds and reshapes in turn: ``4 * steps`` nodes."""
    net = Net()
    x = net.input(1, 4, 4, 8)
    for step in range(steps):
        y = net.conv(x, 8, activation="relu")
        y = net.op("gelu" if step % refused_every == 1 else "abs", [y])
        x = net.op("reshape", [net.op("add", [y, x])])
    return net.graph(x)


def _lines_run(graph: Graph) -> int:
    """How many lines planning runs, each turn of a loop counted: the same on every machine, however busy."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
        nonlocal count
        count += event == "line"
        return trace

    plan(graph, ADRENO)  # rules are read once
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        plan(graph, ADRENO)
    finally:
        sys.settrace(before)
    return count


class TestRules:
    def test_every_rules_file_is_loaded_by_its_name(self) -> None:
        assert RUNTIME in runtimes()
        assert load_rules(RUNTIME).kind == "gpu-delegate"
        assert load_gpu_rules(RUNTIME).ops["conv2d"].kernel == "convolution_2d"

    @pytest.mark.parametrize(
        "name", ["tflite-9.9/gpu-delegate", "../tflite-2.10/gpu-delegate", "", "/etc/passwd", "n" * 400]
    )
    def test_an_unknown_runtime_is_named_with_those_known(self, name: str) -> None:
        with pytest.raises(LatlintError, match=r"known runtimes are .*gpu-delegate") as caught:
            plan(Net().graph(), ADRENO._replace(runtime=name))
        assert caught.value.code == "LAT901"

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"ops": {"conv3000": {"kernel": "x"}}}, "conv3000"),
            ({"ops": {"abs": {"kernel": "abs", "refuse": ["moon-is-full"]}}}, "moon-is-full"),
            ({"ops": {"abs": {"kernle": "abs"}}}, "kernle"),
            ({"max_partitons": 2}, "max_partitons"),
            ({"max_rank": "four"}, "four"),
            ({"linkable": None}, "linkable"),
        ],
    )
    def test_a_mistake_in_the_rules_is_named(self, change: dict[str, Any], message: str) -> None:
        data = {**load_rules(RUNTIME).data, **change}
        with pytest.raises(LatlintError, match=message) as caught:
            parse_gpu_rules(
                Rules("custom/gpu", "gpu-delegate", "tflite", "a GPU", {k: v for k, v in data.items() if v is not None})
            )
        assert caught.value.code == "LAT901"
