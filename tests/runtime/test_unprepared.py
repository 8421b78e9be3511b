"""Quantisation that XNNPACK does not take: what its delegate leaves, and what it takes and then fails to prepare. LiteRT itself is asked of every file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from latlint.api import check
from latlint.graph.onnx import read_onnx
from latlint.graph.tflite import read_tflite
from latlint.runtime import plan
from latlint.runtime.types import Processor
from latlint.settings import Settings
from tests.graph.test_tflite import Op, T, build, constant

IMAGE = (1, 4, 4, 4)


def values(shape: tuple[int, ...], scale: float, point: int = 0, dtype: str = "int8", **more: Any) -> T:
    return T(shape, dtype, scales=(scale,), zero_points=(point,), **more)


def product(
    code: str, filters: tuple[int, ...], options: Any, axis: int = 0, version: int = 3
) -> Callable[[float], bytes]:
    """A product with a filter of four channels, one of which has another scale: input times filter over output scale."""

    def made(ratio: float) -> bytes:
        shape = (2, 4) if code == "FULLY_CONNECTED" else IMAGE
        scales = (1.0, ratio, 0.5, 1.0)
        weights = T(filters, "int8", np.ones(filters), scales=scales, zero_points=(0,) * 4, axis=axis)
        bias = T((4,), "int32", np.zeros(4), scales=scales, zero_points=(0,) * 4)
        tensors = [values(shape, 0.25), weights, bias, values(shape, 0.25), constant(IMAGE)]
        read = [4, 1, 0, 2] if code == "TRANSPOSE_CONV" else [0, 1, 2]
        return build(tensors, [Op(code, read, [3], options, version)], (0,), (3,))

    return made


def binary(code: str, options: str) -> Callable[[float], bytes]:
    def made(ratio: float) -> bytes:
        tensors = [values(IMAGE, ratio), values(IMAGE, 1.0), values(IMAGE, 1.0)]
        return build(tensors, [Op(code, [0, 1], [2], (options, {}), 2)], (0, 1), (2,))

    return made


def moved(
    code: str, options: tuple[str, dict[str, Any]] | None, *more: Any, into: tuple[int, ...] = IMAGE, version: int = 2
) -> Callable[[float], bytes]:
    """An op that reads values of scale 1 and writes values of another, whole numbers of it with a zero point."""

    def made(ratio: float) -> bytes:
        written = values(into, 1 / ratio, 3) if ratio == 1.5 else values(into, 1 / ratio)
        tensors = [values(IMAGE, 1.0), *map(constant, more), written]
        return build(tensors, [Op(code, range(len(tensors) - 1), [len(tensors) - 1], options, version)], (0,), (len(tensors) - 1,))  # fmt: skip

    return made


def joined(ratio: float) -> bytes:
    """A CONCATENATION of uint8, whose built-in kernel takes any scales."""
    tensors = [values(IMAGE, 1.0, 3, "uint8"), values(IMAGE, ratio, 3, "uint8"), values((1, 4, 4, 8), 1.0, 3, "uint8")]
    return build(tensors, [Op("CONCATENATION", [0, 1], [2], ("ConcatenationOptions", {"Axis": 3}))], (0, 1), (2,))


def split(ratio: float) -> bytes:
    tensors = [constant(3), values(IMAGE, 1.0), values((1, 4, 4, 2), 1.0), values((1, 4, 4, 2), ratio)]
    return build(tensors, [Op("SPLIT", [0, 1], [2, 3], ("SplitOptions", {"NumSplits": 2}), 2)], (1,), (2, 3))


def other_type(ratio: float) -> bytes:
    """From int8 to uint8, unless the ratio is 1."""
    tensors = [values(IMAGE, 1.0), values(IMAGE, 1.0, dtype="int8" if ratio == 1 else "uint8")]
    return build(tensors, [Op("QUANTIZE", [0], [1], ("QuantizeOptions", {}), 2)], (0,), (1,))


STRIDE = {"StrideW": 1, "StrideH": 1}
POOL = ("Pool2DOptions", {"StrideW": 2, "StrideH": 2, "FilterWidth": 2, "FilterHeight": 2})
#: The op, what it is written with, and at which ratios of scales the delegate takes it, leaves it and breaks.
CASES: dict[str, tuple[Callable[[float], bytes], tuple[float, ...], tuple[float, ...], tuple[float, ...]]] = {
    "CONV_2D": (product("CONV_2D", (4, 1, 1, 4), ("Conv2DOptions", STRIDE)), (2**-40, 255), (), (256, 6292)),
    "DEPTHWISE_CONV_2D": (
        product("DEPTHWISE_CONV_2D", (1, 1, 1, 4), ("DepthwiseConv2DOptions", STRIDE | {"DepthMultiplier": 1}), 3),
        (255,), (), (256,),
    ),
    "TRANSPOSE_CONV": (product("TRANSPOSE_CONV", (4, 1, 1, 4), ("TransposeConvOptions", STRIDE)), (255,), (), (256,)),
    "FULLY_CONNECTED": (product("FULLY_CONNECTED", (4, 4), ("FullyConnectedOptions", {}), version=5), (255,), (), (256,)),
    "ADD": (binary("ADD", "AddOptions"), (2**-10, 255), (2**-11, 256), ()),
    "MUL": (binary("MUL", "MulOptions"), (2**-16, 255), (2**-17, 256), ()),
    "QUANTIZE": (moved("QUANTIZE", ("QuantizeOptions", {})), (2**-8, 1, 128), (2**-9, 129), ()),
    "QUANTIZE to another type": (other_type, (1,), (2,), ()),
    "LEAKY_RELU": (moved("LEAKY_RELU", ("LeakyReluOptions", {"Alpha": 0.5})), (2**-7, 1, 128), (2**-8, 129), ()),
    "LEAKY_RELU of a steep slope": (moved("LEAKY_RELU", ("LeakyReluOptions", {"Alpha": -2.0})), (2**-8, 63), (2**-9, 65), ()),
    "MEAN": (moved("MEAN", ("ReducerOptions", {}), [1, 2], into=(1, 4)), (2**-20, 1, 2**20), (), ()),
    "TANH": (moved("TANH", None, version=1), (2**-20, 1, 2**20), (), ()),
    "RESHAPE": (moved("RESHAPE", ("ReshapeOptions", {"NewShape": [4, 16]}), [4, 16], into=(4, 16), version=1), (1,), (1.5, 2), ()),
    "CONCATENATION": (joined, (1,), (2,), ()),
    "MAX_POOL_2D": (moved("MAX_POOL_2D", POOL, into=(1, 2, 2, 4)), (1,), (), (1.5, 2)),
    "PAD": (moved("PAD", ("PadOptions", {}), [[0, 0], [1, 1], [1, 1], [0, 0]], into=(1, 6, 6, 4)), (1,), (), (1.5, 2)),
    "TRANSPOSE": (moved("TRANSPOSE", ("TransposeOptions", {}), [0, 2, 1, 3]), (1,), (), (1.5, 2)),
    "RESIZE_BILINEAR": (moved("RESIZE_BILINEAR", ("ResizeBilinearOptions", {}), [8, 8], into=(1, 8, 8, 4)), (1,), (), (1.5, 2)),
    "SLICE": (moved("SLICE", ("SliceOptions", {}), [0, 0, 0, 0], [1, 2, 2, 4], into=(1, 2, 2, 4)), (1,), (), (1.5, 2)),
    "STRIDED_SLICE": (
        moved("STRIDED_SLICE", ("StridedSliceOptions", {}), [0, 0, 0, 0], [1, 2, 2, 4], [1, 1, 1, 1], into=(1, 2, 2, 4)),
        (1,), (), (1.5, 2),
    ),
    "DEPTH_TO_SPACE": (
        moved("DEPTH_TO_SPACE", ("DepthToSpaceOptions", {"BlockSize": 2}), into=(1, 8, 8, 1), version=1), (1,), (), (1.5, 2),
    ),
    "SPACE_TO_DEPTH": (
        moved("SPACE_TO_DEPTH", ("SpaceToDepthOptions", {"BlockSize": 2}), into=(1, 2, 2, 16), version=1), (1,), (), (1.5, 2),
    ),
    "SPLIT": (split, (1,), (), (2,)),
}  # fmt: skip
QUESTIONS = [
    (name, ratio, said)
    for name, (_, *ratios) in CASES.items()
    for said, some in zip(("delegated", "left", "broken"), ratios, strict=True)
    for ratio in some
]


def litert(data: bytes) -> str:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    try:
        made = interpreter.Interpreter(model_content=data)
        made.allocate_tensors()
    except RuntimeError:
        return "broken"
    return "delegated" if any(each["op_name"] == "DELEGATE" for each in made._get_ops_details()) else "left"


def runs_without_a_delegate(data: bytes) -> bool:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    plain = interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    made = interpreter.Interpreter(model_content=data, experimental_op_resolver_type=plain)
    made.allocate_tensors()
    made.invoke()
    return True


def planned(data: bytes, runtime: str) -> str:
    made = plan(read_tflite(data, "m.tflite"), Processor("cpu-1large", runtime, "cpu", "arm"))
    codes = {why.code for why in made.fallbacks.values()}
    if codes & {"NOT_PREPARED", "INIT_FAILED"}:
        return "broken"
    return "delegated" if any(each.executor == "xnnpack" for each in made.partitions) else "left"


@pytest.mark.parametrize(("name", "ratio", "said"), QUESTIONS)
def test_what_xnnpack_makes_of_quantisation(name: str, ratio: float, said: str) -> None:
    data = CASES[name][0](ratio)
    assert litert(data) == said
    assert planned(data, "litert-2.3/xnnpack") == said
    assert runs_without_a_delegate(data)


@pytest.mark.parametrize(
    ("name", "ratio"), [("CONV_2D", 256), ("MAX_POOL_2D", 2), ("PAD", 1.5), ("RESHAPE", 2), ("MEAN", 2**20)]
)
def test_tensorflow_lite_2_15_goes_on_without_its_delegate(name: str, ratio: float) -> None:
    """Asked of TensorFlow 2.15.1: with one such op, it delegates no other either."""
    assert planned(CASES[name][0](ratio), "tflite-2.15/xnnpack") == "broken"
    assert planned(CASES["TRANSPOSE"][0](2), "tflite-2.15/xnnpack") == "delegated"


def test_a_file_that_cannot_be_prepared_does_not_load_there(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(CASES["CONV_2D"][0](6292))
    targets = ("pixel-4/cpu-1large@xnnpack", "pixel-4/cpu-1large")
    report = check([str(path)], Settings(root=tmp_path, targets=targets))
    (found,) = [each for each in report.findings if each.code == "LAT012"]
    assert found.target == targets[0]
    assert (
        "takes CONV_2D (1 op) and fails to prepare it: input times filter over output scale is 6,292" in found.message
    )


def test_what_a_converter_would_write_is_not_held_to_it() -> None:
    """Planned in another precision, or as converted from ONNX, it has scales that no converter chose."""
    graph = read_tflite(CASES["MAX_POOL_2D"][0](2), "m.tflite")
    processor = Processor("cpu-1large", "litert-2.3/xnnpack", "cpu", "arm")
    assert plan(graph, processor).fallbacks
    assert not plan(replace(graph, as_if="int8"), processor).fallbacks
    name, size = "tensor", (1, 8, 8, 4)
    node, value = helper.make_node, helper.make_tensor_value_info
    scales = [helper.make_tensor(f"s{at}", TensorProto.FLOAT, (), [0.5 / at]) for at in (1, 2)]
    points = [helper.make_tensor("z", TensorProto.INT8, (), [0])]
    nodes = [
        node("QuantizeLinear", ["x", "s1", "z"], ["a"]), node("DequantizeLinear", ["a", "s1", "z"], ["b"]),
        node("MaxPool", ["b"], ["c"], kernel_shape=[2, 2], strides=[2, 2]),
        node("QuantizeLinear", ["c", "s2", "z"], ["d"]), node("DequantizeLinear", ["d", "s2", "z"], ["y"]),
    ]  # fmt: skip
    model = helper.make_model(
        helper.make_graph(nodes, name, [value("x", 1, size)], [value("y", 1, None)], [*scales, *points]),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    made = plan(read_onnx(model.SerializeToString(), "m.onnx"), processor)
    assert {why.code for why in made.fallbacks.values()} <= {"DTYPE", "NOT_AN_OP"}
    assert "maxpool" in {kernel.implementation for kernel in made.kernels}
