"""Plans where two choices are close: graphs that lie on a limit of the runtime's, and beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sketch import sketch

import latlint
from latlint.graph import Graph
from latlint.graph.onnx import read_onnx
from latlint.runtime import Kernel, Plan, Processor, plan
from latlint.runtime.partition import Epoch, keep_largest
from tests.targets import bundled

GPU, CPU = "tflite-2.10/gpu-delegate", "tflite-2.10/builtin"
ADRENO = Processor("gpu", GPU, "gpu", "adreno", "adreno-6xx", precision="float16")
MALI = Processor("gpu", GPU, "gpu", "mali", "bifrost-gen3")
CORE = Processor("cpu-1large", CPU, "cpu", "arm")
ONE = helper.make_node


def planned(drawn: str, processor: Processor = ADRENO) -> Plan:
    return plan(sketch(drawn), processor)


def model(nodes: list[onnx.NodeProto], shape: list[int], **constants: Any) -> bytes:
    """An ONNX model of these nodes that takes ``x`` and gives ``y``."""
    arrays = {name: value if isinstance(value, np.ndarray) else np.float32(value) for name, value in constants.items()}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()],
    )
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())


def converted(nodes: list[onnx.NodeProto], shape: list[int], **constants: Any) -> Graph:
    return read_onnx(model(nodes, shape, **constants), "m.onnx")


def filters(*dims: int) -> Any:
    return np.zeros(dims, np.float32)


def sole(found: Plan) -> Kernel:
    (kernel,) = found.kernels
    return kernel


# --- The GPU delegate -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("inputs", "launches"), [(7, 1), (8, 1), (9, 2), (16, 2), (17, 3)])
def test_a_mali_joins_eight_tensors_at_a_time(inputs: int, launches: int) -> None:
    names = [f"v{number}" for number in range(inputs)]
    drawn = "x = input 1x8x8x8\n" + "".join(f"{name} = conv2d x 8 kernel=1\n" for name in names)
    kernels = planned(drawn + f"y = concat {' '.join(names)}", MALI).kernels
    (joined,) = (kernel for kernel in kernels if kernel.op == "concat")
    assert joined.launches == launches
    told = [line for line in joined.explain if "inputs take" in line]
    assert told == ([f"{inputs} inputs take {launches} kernels: 8 at a time on this GPU"] if launches > 1 else [])


@pytest.mark.parametrize(
    ("channels", "outputs", "name"),
    [
        (16, 16, "convolution_2d_grouped"),
        (16, 8, "convolution_2d_grouped"),
        (16, 12, "convolution_2d_by_group"),  # 6 outputs a group are no whole slices of four
        (12, 16, "convolution_2d_by_group"),
    ],
)
def test_groups_of_whole_slices_run_in_one_kernel(channels: int, outputs: int, name: str) -> None:
    kernel = sole(planned(f"x = input 1x8x8x{channels}\ny = conv2d x {outputs} kernel=3 groups=2"))
    assert (kernel.implementation, kernel.launches) == (name, 1 if name.endswith("grouped") else 4)


@pytest.mark.parametrize(
    ("alpha", "taken"),
    [("1x1x16", True), ("16", True), ("8x8x16", True), ("8x1x16", False), ("8x8x1", False), ("1", False)],
)
def test_a_prelu_has_a_slope_a_channel_or_an_element(alpha: str, taken: bool) -> None:
    found = planned(f"x = input 1x8x8x16\ns = const {alpha}\na = conv2d x 16 kernel=3\ny = prelu a s")
    assert (not found.fallbacks) is taken


@pytest.mark.parametrize(
    ("channels", "outputs", "side", "fits"),
    [
        (56, 32, 1, True),  # 14 x 8 slices of 16 halves: 3,584 bytes, and eight slices of outputs, both to the letter
        (64, 28, 1, True),
        (60, 32, 1, False),  # 3,840 bytes
        (48, 36, 1, False),  # 3,456 bytes, but nine slices of outputs
        (3, 32, 4, True),  # outputs alone are padded: 16 taps of 3 x 32 halves, 3,072 bytes
        (60, 29, 1, True),  # inputs alone: 3,480 bytes
        (59, 31, 1, False),  # 3,720 bytes
    ],
)
def test_constant_memory_holds_as_much_as_there_is(channels: int, outputs: int, side: int, fits: bool) -> None:
    kernel = sole(planned(f"x = input 1x8x8x{channels}\ny = conv2d x {outputs} kernel={side}"))
    assert any("bytes of weights fit constant memory (3584)" in line for line in kernel.explain) is fits


@pytest.mark.parametrize(
    ("line", "versions"),
    [
        ("y = reshape a version=VERSION -> 1x64x16", 1),
        ("y = add a a version=VERSION", 2),
        ("y = softmax a axis=3 version=VERSION", 2),
        ("y = transpose a permutation=0,2,1,3 version=VERSION", 2),
        ("y = mul a a version=VERSION", 3),
        ("y = conv2d a 16 kernel=3 version=VERSION", 6),
        ("y = max_pool2d a kernel=2 stride=2 version=VERSION", 2),
    ],
)
def test_versions_are_those_of_gpu_compatibility_cc(line: str, versions: int) -> None:
    for version in range(1, versions + 2):
        stated = line.replace("VERSION", str(version))
        found = planned(f"x = input 1x8x8x16\na = conv2d x 16 kernel=3\n{stated}")
        assert (not found.fallbacks) is (version <= versions), version


def test_gpus_of_one_vendor_and_other_generations_have_plans_of_their_own(tmp_path: Path) -> None:
    """Winograd needs 128 tiles on one Adreno and 64 on another; what is planned for one target of a run is not another's."""
    names = [name for name in bundled() if name.endswith("/gpu")]
    nodes = [ONE("Conv", ["x", "w"], ["a"], pads=[1] * 4), ONE("Conv", ["a", "w"], ["y"], pads=[1] * 4)]
    path = tmp_path / "m.onnx"
    path.write_bytes(model(nodes, [1, 128, 36, 36], w=filters(128, 128, 3, 3)))
    implementations = {}
    for found in latlint.predict(path, names):
        (alone,) = latlint.predict(path, found.target)
        assert found.kernels == alone.kernels, found.target
        implementations[found.target] = tuple(kernel.implementation for kernel in found.kernels)
    assert implementations["pixel-4/gpu"] != implementations["galaxy-s10/gpu"]


def test_a_plan_depends_on_the_generation_and_on_no_name() -> None:
    drawn = "x = input 1x36x36x128\ny = conv2d x 128 kernel=3"
    older, newer = (ADRENO._replace(generation=f"adreno-{number}xx") for number in (5, 6))
    assert sole(planned(drawn, older)).implementation != sole(planned(drawn, newer)).implementation
    assert older.plan_key != newer.plan_key == newer._replace(name="another", threads=4).plan_key


# --- What conversion makes --------------------------------------------------------------------------------------------------


def test_what_conversion_adds_says_why_the_delegate_left_it() -> None:
    """It has no node of the file, under which a refusal would be found."""
    graph = converted([ONE("Reshape", ["x", "dims"], ["y"])], [1, 8, 4, 4, 4], dims=np.array([1, 512]))
    added = [kernel for kernel in plan(graph, ADRENO).kernels if not kernel.nodes]
    assert added and all("TRANSPOSE" in kernel.reason for kernel in added)


@pytest.mark.parametrize(("strides", "kind"), [([1, 2], "conv2d"), ([2, 1], "conv2d"), ([2, 2], "depthwise_conv2d")])
def test_a_depthwise_convolution_has_one_stride(strides: list[int], kind: str) -> None:
    """TFLite's takes no other (depthwise_conv.cc); the converter writes an ordinary one of as many groups."""
    node = ONE("Conv", ["x", "w"], ["y"], group=8, strides=strides, pads=[1] * 4)
    kernel = sole(plan(converted([node], [1, 8, 16, 16], w=filters(8, 1, 3, 3)), ADRENO))
    assert (kernel.op, kernel.attributes["groups"]) == (kind, 8)


@pytest.mark.parametrize(
    ("divisor", "fused"), [(2**0.5, True), (1.4142, True), (1.42, False), (1.2, False), (1.7, False)]
)
def test_a_gelu_has_the_root_of_two_in_it(divisor: float, fused: bool) -> None:
    nodes = [
        ONE("Div", ["x", "root"], ["a"]),
        ONE("Erf", ["a"], ["b"]),
        ONE("Add", ["b", "one"], ["c"]),
        ONE("Mul", ["x", "c"], ["d"]),
        ONE("Mul", ["d", "half"], ["y"]),
    ]
    graph = converted(nodes, [1, 8, 16, 16], root=divisor, one=1.0, half=0.5)
    assert ("gelu" in {kernel.op for kernel in plan(graph, CORE).kernels}) is fused


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("sides", [2, 3])
def test_groups_divide_the_work_of_a_transposed_convolution(groups: int, sides: int) -> None:
    """8 channels to 8 over a map of four a side, two taps a side."""
    node = ONE("ConvTranspose", ["x", "w"], ["y"], group=groups)
    graph = converted([node], [1, 8, *[4] * sides], w=filters(8, 8 // groups, *[2] * sides))
    assert sum(kernel.macs for kernel in plan(graph, CORE).kernels) == 4**sides * 2**sides * 8 * 8 // groups


def test_of_partitions_of_one_size_the_first_are_kept() -> None:
    split = [Epoch(True, (0, 1)), Epoch(False, (2,)), Epoch(True, (3, 4)), Epoch(True, (5, 6)), Epoch(True, (7,))]
    for count, kept in ((1, [0]), (2, [0, 2]), (3, [0, 2, 3])):
        assert [at for at, epoch in enumerate(keep_largest(split, count)) if epoch.delegated] == kept
