"""ONNX models of one op each, of the forms whose placement is recorded (``ai-hub/placement_qnn_sm8650.json``): opset 17 unless an op is newer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

X = (1, 8, 16, 16)
Shape = tuple[int, ...]

_UNARY = (
    "Abs Ceil Cos Elu Erf Exp Floor HardSigmoid HardSwish LeakyRelu Log Neg Reciprocal Relu Round Selu Sigmoid Sign Sin Softplus Softsign "
    "Sqrt Tanh Celu ThresholdedRelu Mish Identity Tan Atan Gelu GlobalAveragePool GlobalMaxPool LogSoftmax"
).split()
_BINARY = "Add Sub Mul Div Pow Max Min Mod".split()
_COMPARISONS = "Equal Greater Less GreaterOrEqual LessOrEqual".split()
_LOGIC = "And Or Xor".split()


def model(
    op: str,
    inputs: Mapping[str, tuple[Shape, int]],
    constants: Mapping[str, Any] | None = None,
    *,
    order: tuple[str, ...] = (),
    outputs: int = 1,
    out: int = TensorProto.FLOAT,
    **attributes: Any,
) -> onnx.ModelProto:
    """A model whose one node reads ``inputs``, then ``constants``, unless ``order`` says otherwise (an empty name: left out)."""
    constants = constants or {}
    names = [f"y{number}" for number in range(outputs)]
    node = helper.make_node(op, list(order or (*inputs, *constants)), names, name=op, **attributes)
    graph = helper.make_graph(
        [node],
        op,
        [helper.make_tensor_value_info(name, dtype, list(shape)) for name, (shape, dtype) in inputs.items()],
        [helper.make_tensor_value_info(names[0], out, None), *(onnx.ValueInfoProto(name=name) for name in names[1:])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    newest = {"Gelu": 20, "Mish": 18, "GroupNormalization": 21}.get(op, 17)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", newest)])


def _floats(*shape: int) -> Any:
    return np.zeros(shape, np.float32)


def _ints(*values: int) -> Any:
    return np.array(values, np.int64)


def _x(shape: Shape = X, dtype: int = TensorProto.FLOAT) -> dict[str, tuple[Shape, int]]:
    return {"x": (shape, dtype)}


def _pair(dtype: int = TensorProto.FLOAT) -> dict[str, tuple[Shape, int]]:
    return {"x": (X, dtype), "z": (X, dtype)}


def _resize(mode: str, **attributes: Any) -> onnx.ModelProto:
    scales = np.array([1, 1, 2, 2], np.float32)
    return model("Resize", _x(), {"s": scales}, order=("x", "", "s"), mode=mode, **attributes)


def _pad(mode: str) -> onnx.ModelProto:
    return model("Pad", _x(), {"p": _ints(0, 0, 1, 1, 0, 0, 1, 1)}, mode=mode)


def _conv(channels: int = 8, groups: int = 1, **attributes: Any) -> onnx.ModelProto:
    return model("Conv", _x(), {"w": _floats(channels, 8 // groups, 3, 3)}, group=groups, **attributes)


def _recurrent(op: str, gates: int) -> onnx.ModelProto:
    weights = {"w": _floats(1, gates * 16, 8), "r": _floats(1, gates * 16, 16)}
    return model(op, _x((4, 1, 8)), weights, hidden_size=16)


def _nms() -> onnx.ModelProto:
    inputs = {"x": ((1, 32, 4), TensorProto.FLOAT), "s": ((1, 1, 32), TensorProto.FLOAT)}
    return model("NonMaxSuppression", inputs, {"n": _ints(10)}, out=TensorProto.INT64)


def _roi_align() -> onnx.ModelProto:
    inputs = {**_x(), "rois": ((4, 4), TensorProto.FLOAT)}
    return model("RoiAlign", inputs, {"b": _ints(0, 0, 0, 0)}, output_height=4, output_width=4)


def _scatter(op: str, places: Any, updates: Any, **attributes: Any) -> onnx.ModelProto:
    return model(op, _x((8, 16)), {"i": places, "u": updates}, **attributes)


OPS: Mapping[str, Callable[[], onnx.ModelProto]] = {
    **{op: (lambda op=op: model(op, _x())) for op in _UNARY},  # type: ignore[misc]
    **{op: (lambda op=op: model(op, _pair(), **({"fmod": 1} if op == "Mod" else {}))) for op in _BINARY},  # type: ignore[misc]
    **{op: (lambda op=op: model(op, _pair(), out=TensorProto.BOOL)) for op in _COMPARISONS},  # type: ignore[misc]
    **{op: (lambda op=op: model(op, _pair(TensorProto.BOOL), out=TensorProto.BOOL)) for op in _LOGIC},  # type: ignore[misc]
    **{
        op: (lambda op=op: model(op, _x(), axes=[2, 3]))  # type: ignore[misc]
        for op in "ReduceMean ReduceMax ReduceMin ReduceProd ReduceL2 ReduceL1 ReduceLogSumExp".split()
    },
    "ReduceSum": lambda: model("ReduceSum", _x(), {"a": _ints(2, 3)}),
    "Not": lambda: model("Not", _x(X, TensorProto.BOOL), out=TensorProto.BOOL),
    "IsNaN": lambda: model("IsNaN", _x(), out=TensorProto.BOOL),
    "PRelu": lambda: model("PRelu", _x(), {"s": _floats(8, 1, 1)}),
    "Clip": lambda: model("Clip", _x(), {"lo": np.float32(0), "hi": np.float32(6)}),
    "Cast i32": lambda: model("Cast", _x(), out=TensorProto.INT32, to=TensorProto.INT32),
    "Conv": _conv,
    "Conv depthwise": lambda: _conv(groups=8),
    "Conv grouped": lambda: _conv(groups=2),
    "Conv dilated": lambda: _conv(dilations=[2, 2]),
    "Conv1d": lambda: model("Conv", _x((1, 8, 16)), {"w": _floats(8, 8, 3)}),
    "Conv3d": lambda: model("Conv", _x((1, 8, 8, 8, 8)), {"w": _floats(8, 8, 3, 3, 3)}),
    "Conv dynamic weights": lambda: model("Conv", {**_x(), "w": ((8, 8, 3, 3), TensorProto.FLOAT)}),
    "ConvTranspose": lambda: model("ConvTranspose", _x(), {"w": _floats(8, 8, 2, 2)}, strides=[2, 2]),
    "ConvTranspose grouped": lambda: model("ConvTranspose", _x(), {"w": _floats(8, 4, 2, 2)}, strides=[2, 2], group=2),
    "Gemm": lambda: model("Gemm", _x((4, 16)), {"w": _floats(16, 32)}),
    "MatMul": lambda: model("MatMul", {"x": ((1, 4, 16, 8), 1), "z": ((1, 4, 8, 16), 1)}),
    "Einsum bhid,bhjd": lambda: model(
        "Einsum", {"x": ((1, 4, 16, 8), 1), "z": ((1, 4, 16, 8), 1)}, equation="bhid,bhjd->bhij"
    ),
    "MaxPool": lambda: model("MaxPool", _x(), kernel_shape=[2, 2], strides=[2, 2]),
    "AveragePool": lambda: model("AveragePool", _x(), kernel_shape=[2, 2], strides=[2, 2]),
    "LpPool": lambda: model("LpPool", _x(), kernel_shape=[2, 2], strides=[2, 2]),
    "BatchNormalization": lambda: model("BatchNormalization", _x(), {name: _floats(8) for name in "sbmv"}),
    "InstanceNormalization": lambda: model("InstanceNormalization", _x(), {name: _floats(8) for name in "sb"}),
    "LayerNormalization": lambda: model("LayerNormalization", _x((1, 16, 32)), {"s": _floats(32), "b": _floats(32)}),
    "LpNormalization": lambda: model("LpNormalization", _x(), axis=1),
    "LRN": lambda: model("LRN", _x(), size=5),
    "Softmax": lambda: model("Softmax", _x((1, 4, 16, 16)), axis=-1),
    "Softmax axis1": lambda: model("Softmax", _x(), axis=1),
    "ArgMax": lambda: model("ArgMax", _x(), axis=1, out=TensorProto.INT64),
    "ArgMin": lambda: model("ArgMin", _x(), axis=1, out=TensorProto.INT64),
    "TopK": lambda: model("TopK", _x((1, 64)), {"k": _ints(5)}, outputs=2),
    "CumSum": lambda: model("CumSum", _x((1, 64)), {"a": np.int64(1)}),
    "Concat": lambda: model("Concat", _pair(), axis=1),
    "Split": lambda: model("Split", _x(), {"s": _ints(4, 4)}, axis=1, outputs=2),
    "Slice": lambda: model("Slice", _x(), {"b": _ints(0), "e": _ints(4), "a": _ints(1)}),
    "Pad constant": lambda: _pad("constant"),
    "Pad reflect": lambda: _pad("reflect"),
    "Pad edge": lambda: _pad("edge"),
    "Transpose": lambda: model("Transpose", _x(), perm=[0, 2, 3, 1]),
    "Transpose 6d": lambda: model("Transpose", _x((1, 2, 3, 4, 5, 6)), perm=[0, 3, 1, 4, 2, 5]),
    "Reshape": lambda: model("Reshape", _x(), {"s": _ints(1, 8, 256)}),
    "Expand": lambda: model("Expand", _x((1, 8, 1, 1)), {"s": _ints(1, 8, 16, 16)}),
    "Tile": lambda: model("Tile", _x(), {"r": _ints(1, 1, 2, 2)}),
    "DepthToSpace": lambda: model("DepthToSpace", _x(), blocksize=2),
    "SpaceToDepth": lambda: model("SpaceToDepth", _x(), blocksize=2),
    "Gather": lambda: model("Gather", _x(), {"i": _ints(0, 2)}, axis=1),
    "Gather embedding": lambda: model(
        "Gather", {"i": ((1, 16), TensorProto.INT32)}, {"t": _floats(100, 32)}, order=("t", "i")
    ),
    "GatherElements": lambda: model("GatherElements", _x((8, 16)), {"i": np.zeros((8, 16), np.int64)}, axis=1),
    "GatherND": lambda: model("GatherND", _x((8, 16)), {"i": np.array([[0], [1]], np.int64)}),
    "ScatterND": lambda: _scatter("ScatterND", np.array([[0], [1]], np.int64), _floats(2, 16)),
    "ScatterElements": lambda: _scatter("ScatterElements", np.zeros((8, 16), np.int64), _floats(8, 16), axis=1),
    "Resize nearest": lambda: _resize("nearest"),
    "Resize linear": lambda: _resize("linear"),
    "Resize linear align_corners": lambda: _resize("linear", coordinate_transformation_mode="align_corners"),
    "Resize cubic": lambda: _resize("cubic"),
    "GridSample": lambda: model("GridSample", {**_x(), "g": ((1, 16, 16, 2), TensorProto.FLOAT)}),
    "RoiAlign": _roi_align,
    "NonMaxSuppression": _nms,
    "LSTM": lambda: _recurrent("LSTM", 4),
    "GRU": lambda: _recurrent("GRU", 3),
    "Where": lambda: model("Where", {"c": (X, TensorProto.BOOL), **_pair()}),
    "NonZero": lambda: model("NonZero", _x(), out=TensorProto.INT64),
    "Unique": lambda: model("Unique", _x((64,))),
    "OneHot": lambda: model(
        "OneHot", {"x": ((16,), TensorProto.INT64)}, {"d": np.int64(10), "v": np.array([0, 1], np.float32)}
    ),
    "Shape": lambda: model("Shape", _x(), out=TensorProto.INT64),
    "Dropout": lambda: model("Dropout", _x()),
    "Trilu": lambda: model("Trilu", _x((16, 16))),
    "DeformConv": lambda: model(
        "DeformConv", _x(), {"w": _floats(8, 8, 3, 3), "o": _floats(1, 18, 14, 14)}, kernel_shape=[3, 3]
    ),
}
