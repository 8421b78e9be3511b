"""The ``.tflite`` reader: what it says of real files, of ops built one by one, and of files that lie."""

from __future__ import annotations

import random
import struct
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flatbuffers
import numpy as np
import pytest
import tflite

from latlint.errors import LatlintError
from latlint.graph import read
from latlint.graph import tflite as reader
from latlint.graph.flatbuffer import MAX_STRUCTURE_BYTES, Table
from latlint.graph.ops import KINDS
from latlint.graph.tflite import read_tflite
from latlint.graph.tflite_ops import _BUILTINS, BUILTIN_NAMES, builtin
from latlint.graph.types import ByteRange, Graph, OpenSize, Quantization

MODELS = [
    "mobilenet_v2",
    "mobilenet_v2_int8",
    "mobilenet_v3_small",
    "shufflenet_v2_05",
    "mobilenet_v2_025_f16",
    "one_gelu",
]

DTYPES = {name.lower(): code for name, code in vars(tflite.TensorType).items() if not name.startswith("_")}
OPTIONS = {name: code for name, code in vars(tflite.BuiltinOptions).items() if not name.startswith("_")}
OPTIONS_2 = {name: code for name, code in vars(tflite.BuiltinOptions2).items() if not name.startswith("_")}
BUILTINS = {name: code for name, code in vars(tflite.BuiltinOperator).items() if not name.startswith("_")}


# --- building a file ------------------------------------------------------------------------------------------------


class T(NamedTuple):
    """A tensor of a built file; ``data`` makes it a constant."""

    shape: Sequence[int] | None
    dtype: str | int = "float32"
    data: Any = None
    name: str | bytes = ""
    scales: Sequence[float] = ()
    zero_points: Sequence[int] = ()
    axis: int = 0
    signature: Sequence[int] | None = None
    has_rank: bool = False
    variable: bool = False


class Op(NamedTuple):
    """An operator of a built file. ``options`` are ``(table, {field: value})`` in the words of the schema."""

    code: str | int
    inputs: Sequence[int]
    outputs: Sequence[int]
    options: tuple[str, dict[str, Any]] | None = None
    version: int = 1
    custom_options: bytes = b""


class Body(NamedTuple):
    """A subgraph beside the main one."""

    tensors: Sequence[T]
    ops: Sequence[Op]
    inputs: Sequence[int]
    outputs: Sequence[int]


def build(
    tensors: Sequence[T],
    ops: Sequence[Op],
    inputs: Sequence[int] = (0,),
    outputs: Sequence[int] = (),
    subgraphs: int = 1,
    bodies: Sequence[Body] = (),
) -> bytes:
    """A .tflite file, written with the schema's generated code. A string as op code that is no builtin is a custom op.
    ``bodies`` are the subgraphs after the main one, which is there ``subgraphs`` times."""
    b = flatbuffers.Builder(1024)

    def vector(values: Sequence[Any], dtype: str) -> int:
        return int(b.CreateNumpyVector(np.asarray(values, dtype)))

    def offsets(values: Sequence[int]) -> int:
        b.StartVector(4, len(values), 4)
        for value in reversed(values):
            b.PrependUOffsetTRelative(value)
        return int(b.EndVector())

    def table(kind: str, **fields: Any) -> int:
        getattr(tflite, f"{kind}Start")(b)
        for field, value in fields.items():
            if value is not None:
                getattr(tflite, f"{kind}Add{field}")(b, value)
        return int(getattr(tflite, f"{kind}End")(b))

    buffers = [table("Buffer")]

    def tensor(spec: T) -> int:
        buffer = 0
        if spec.data is not None:
            raw = spec.data if isinstance(spec.data, bytes) else np.asarray(spec.data, spec.dtype).tobytes()
            buffer = len(buffers)
            buffers.append(table("Buffer", Data=vector(np.frombuffer(raw, np.uint8), "uint8")))
        quantization = None
        if spec.scales:
            scale, zero = vector(spec.scales, "float32"), vector(spec.zero_points, "int64")
            quantization = table("QuantizationParameters", Scale=scale, ZeroPoint=zero, QuantizedDimension=spec.axis)
        name = b.CreateByteVector(spec.name) if isinstance(spec.name, bytes) else b.CreateString(spec.name)
        return table(
            "Tensor",
            Shape=None if spec.shape is None else vector(spec.shape, "int32"),
            Type=spec.dtype if isinstance(spec.dtype, int) else DTYPES[spec.dtype],
            Buffer=buffer,
            Name=name,
            Quantization=quantization,
            ShapeSignature=None if spec.signature is None else vector(spec.signature, "int32"),
            HasRank=spec.has_rank,
            IsVariable=spec.variable,
        )

    def operator(index: int, spec: Op) -> int:
        options = None
        second = spec.options is not None and spec.options[0] in OPTIONS_2
        if spec.options:
            kind, fields = spec.options
            made = {
                name: vector(v, "int32") if isinstance(v, list) else b.CreateString(v) if isinstance(v, str) else v
                for name, v in fields.items()
            }
            options = table(kind, **made)
        return table(
            "Operator",
            OpcodeIndex=index,
            Inputs=vector(spec.inputs, "int32"),
            Outputs=vector(spec.outputs, "int32"),
            BuiltinOptionsType=OPTIONS[spec.options[0]] if spec.options and not second else 0,
            BuiltinOptions=None if second else options,
            BuiltinOptions2Type=OPTIONS_2[spec.options[0]] if spec.options and second else 0,
            BuiltinOptions2=options if second else None,
            CustomOptions=b.CreateByteVector(spec.custom_options) if spec.custom_options else None,
        )

    def code(spec: Op) -> int:
        custom = spec.code if isinstance(spec.code, str) and spec.code not in BUILTINS else None
        number = spec.code if isinstance(spec.code, int) else BUILTINS[spec.code if custom is None else "CUSTOM"]
        text = b.CreateString(custom) if custom else None
        return table(
            "OperatorCode",
            DeprecatedBuiltinCode=min(number, 127),
            BuiltinCode=number,
            CustomCode=text,
            Version=spec.version,
        )

    graphs = [Body(tensors, ops, inputs, outputs), *bodies]
    codes = [op for body in graphs for op in body.ops]

    def subgraph(body: Body, first: int) -> int:
        return table(
            "SubGraph",
            Tensors=offsets([tensor(spec) for spec in body.tensors]),
            Inputs=vector(body.inputs, "int32"),
            Outputs=vector(body.outputs, "int32"),
            Operators=offsets([operator(first + index, spec) for index, spec in enumerate(body.ops)]),
        )

    firsts = [sum(len(body.ops) for body in graphs[:number]) for number in range(len(graphs))]
    main, *others = [subgraph(body, first) for body, first in zip(graphs, firsts, strict=True)]
    model = table(
        "Model",
        Version=3,
        OperatorCodes=offsets([code(spec) for spec in codes]),
        Subgraphs=offsets([main] * subgraphs + others),
        Buffers=offsets(buffers),
    )
    b.Finish(model, b"TFL3")
    return bytes(b.Output())


def read_one(op: Op, *tensors: T) -> Any:
    """The only node of a file of one op; tensor 0 is the graph's input."""
    return read_tflite(build(tensors, [op]), "one.tflite").nodes[0]


def refusal(data: bytes) -> LatlintError:
    with pytest.raises(LatlintError) as caught:
        read_tflite(data, "dir/bad.tflite")
    assert caught.value.path == "dir/bad.tflite"
    assert caught.value.message.isprintable()  # one line
    return caught.value


IMAGE = T((1, 8, 8, 16))


# --- real files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_says_what_the_schemas_own_accessors_say(model: Callable[[str], Path], name: str) -> None:
    """Every table is compared with the ``tflite`` package, which is generated from the schema."""
    data = model(f"{name}.tflite").read_bytes()
    graph = read_tflite(data, f"{name}.tflite")
    root = tflite.Model.GetRootAs(data, 0)
    main = root.Subgraphs(0)

    assert len(graph.tensors) == main.TensorsLength()
    for index, tensor in enumerate(graph.tensors):
        truth = main.Tensors(index)
        assert tensor.name == truth.Name().decode()
        assert tensor.shape == tuple(truth.Shape(j) for j in range(truth.ShapeLength()))
        assert DTYPES[tensor.dtype] == truth.Type()
        buffer = root.Buffers(truth.Buffer())
        assert tensor.constant == (buffer.DataLength() > 0)
        if tensor.data:
            content = data[tensor.data.offset :][: tensor.data.length]
            assert content == buffer.DataAsNumpy().tobytes()
            if tensor.value is not None:
                assert np.array(tensor.value, tensor.dtype).tobytes() == content
        parameters = truth.Quantization()
        scales = () if parameters is None or not parameters.ScaleLength() else tuple(parameters.ScaleAsNumpy().tolist())
        assert (tensor.quantization.scales if tensor.quantization else ()) == scales
        if tensor.quantization:
            assert tensor.quantization.zero_points == tuple(parameters.ZeroPointAsNumpy().tolist())
            assert tensor.quantization.axis == parameters.QuantizedDimension()

    assert len(graph.nodes) == main.OperatorsLength()
    names = {code: name for name, code in BUILTINS.items()}
    for index, node in enumerate(graph.nodes):
        operator = main.Operators(index)
        code = root.OperatorCodes(operator.OpcodeIndex())
        assert node.native == names[max(code.DeprecatedBuiltinCode(), code.BuiltinCode())]
        assert node.version == code.Version()
        assert Counter(node.inputs) == Counter(operator.InputsAsNumpy().tolist())
        assert node.outputs == tuple(operator.OutputsAsNumpy().tolist())
        assert node.location is not None
        assert node.location.offset == operator._tab.Pos
    assert graph.inputs == tuple(main.InputsAsNumpy().tolist())
    assert graph.outputs == tuple(main.OutputsAsNumpy().tolist())


@pytest.mark.parametrize("name", MODELS)
def test_padding_strides_and_groups_explain_the_output_shapes(model: Callable[[str], Path], name: str) -> None:
    graph = read_tflite(model(f"{name}.tflite").read_bytes(), name)
    seen = 0
    for node in graph.nodes:
        if node.kind not in ("conv2d", "depthwise_conv2d", "max_pool2d", "average_pool2d"):
            continue
        seen += 1
        a, shape, out = node.attributes, graph.tensors[node.inputs[0]].shape, graph.tensors[node.outputs[0]].shape
        assert shape is not None
        assert out is not None
        top, bottom, left, right = a["padding"]
        for axis, pads in ((1, top + bottom), (2, left + right)):
            reach = (a["kernel"][axis - 1] - 1) * a.get("dilation", (1, 1))[axis - 1] + 1
            assert out[axis] == (shape[axis] + pads - reach) // a["stride"][axis - 1] + 1
    assert seen


def test_weights_are_never_read(model: Callable[[str], Path]) -> None:
    """The values of filters and biases may lie anywhere: a reader that looked would see the poison."""
    data = bytearray(model("mobilenet_v2.tflite").read_bytes())
    clean = read_tflite(bytes(data), "m.tflite")
    poisoned = 0
    for tensor in clean.tensors:
        if tensor.data and tensor.value is None:
            poisoned += tensor.data.length
            data[tensor.data.offset : tensor.data.offset + tensor.data.length] = b"\xff" * tensor.data.length
    assert poisoned > 10_000_000
    assert read_tflite(bytes(data), "m.tflite") == clean


@pytest.mark.parametrize(
    ("name", "precision"),
    [("mobilenet_v2", "float32"), ("mobilenet_v2_int8", "int8"), ("mobilenet_v2_025_f16", "float32")],
)
def test_precision_is_that_of_the_activations(model: Callable[[str], Path], name: str, precision: str) -> None:
    assert read_tflite(model(f"{name}.tflite").read_bytes(), name).precision == precision


def test_the_whole_corpus_is_read(corpus: Path) -> None:
    counts = {}
    for folder, precision in (("tflite_fp32", "float32"), ("tflite_int8", "int8")):
        paths = sorted((corpus / folder).glob("*.tflite"))
        assert len(paths) >= 80
        kinds: Counter[str] = Counter()
        for path in paths:
            graph = read(path)
            assert graph.precision == precision
            assert graph.notes == ()
            kinds.update(node.kind for node in graph.nodes)
        assert "unknown" not in kinds
        counts[folder] = kinds
    # Quantisation adds only its borders; every other op is kept.
    quantised = counts["tflite_int8"]
    assert quantised.pop("quantize") > 0
    assert quantised["conv2d"] == counts["tflite_fp32"]["conv2d"] > 2600
    assert quantised["depthwise_conv2d"] == counts["tflite_fp32"]["depthwise_conv2d"] > 500


# --- the vocabulary -------------------------------------------------------------------------------------------------


def test_codes_and_option_tables_are_the_schemas() -> None:
    assert all(BUILTIN_NAMES[code] == name for name, code in BUILTINS.items())
    for name, entry in _BUILTINS.items():
        assert name in BUILTINS
        assert entry.kind in KINDS
        assert entry.options in (0, *OPTIONS.values())
    table = {code: name.removesuffix("Options") for name, code in OPTIONS.items()}
    shared = {"Conv3D", "Pool2D", "Reducer", "SequenceRNN"}
    for name, entry in _BUILTINS.items():
        words = name.replace("_", "").lower()
        assert not entry.options or table[entry.options] in shared or words.startswith(table[entry.options].lower()[:4])


def test_builtins_without_attributes_have_the_kind_of_their_name() -> None:
    assert builtin(BUILTINS["RELU6"])[1].kind == "relu6"
    assert builtin(BUILTINS["LOGISTIC"])[1].kind == "sigmoid"
    assert builtin(BUILTINS["UNIQUE"])[1].kind == "unknown"
    assert builtin(9999) == ("BUILTIN_9999", builtin(BUILTINS["UNIQUE"])[1])


SAME, VALID = tflite.Padding.SAME, tflite.Padding.VALID
RELU6 = tflite.ActivationFunctionType.RELU6
OUT = T((1, 4, 4, 16))


def constant(values: Any, dtype: str = "int32") -> T:
    return T(np.shape(values), dtype, values)


def weights(*shape: int) -> T:
    return T(shape, "float32", np.zeros(shape))


@pytest.mark.parametrize(
    ("op", "options", "tensors", "expected"),
    [
        (
            "CONV_2D",
            ("Conv2DOptions", {"Padding": SAME, "StrideW": 1, "StrideH": 2, "DilationHFactor": 1, "DilationWFactor": 2, "FusedActivationFunction": RELU6}),
            [IMAGE, weights(16, 3, 5, 4), T((1, 4, 8, 16))],
            {"kernel": (3, 5), "stride": (2, 1), "dilation": (1, 2), "padding": (0, 1, 4, 4), "groups": 4, "activation": "relu6"},
        ),
        (
            "CONV_2D",
            ("Conv2DOptions", {"Padding": VALID, "StrideW": 2, "StrideH": 2}),
            [IMAGE, weights(16, 2, 2, 16), OUT],
            {"kernel": (2, 2), "stride": (2, 2), "dilation": (1, 1), "padding": (0, 0, 0, 0), "groups": 1, "activation": "none"},
        ),
        (
            "DEPTHWISE_CONV_2D",
            ("DepthwiseConv2DOptions", {"Padding": SAME, "StrideW": 2, "StrideH": 2, "DepthMultiplier": 2, "DilationWFactor": 1, "DilationHFactor": 3}),
            [IMAGE, weights(1, 3, 3, 32), T((1, 4, 4, 32))],
            {"kernel": (3, 3), "stride": (2, 2), "dilation": (3, 1), "padding": (2, 3, 0, 1), "groups": 16, "multiplier": 2, "activation": "none"},
        ),
        (
            "MAX_POOL_2D",
            ("Pool2DOptions", {"Padding": SAME, "StrideW": 2, "StrideH": 1, "FilterWidth": 2, "FilterHeight": 3}),
            [IMAGE, T((1, 8, 4, 16))],
            {"kernel": (3, 2), "stride": (1, 2), "padding": (1, 1, 0, 0), "activation": "none"},
        ),
        (
            "CONV_3D",
            ("Conv3DOptions", {"Padding": SAME, "StrideD": 1, "StrideW": 2, "StrideH": 3, "DilationDFactor": 1, "DilationWFactor": 1, "DilationHFactor": 1}),
            [T((1, 4, 6, 8, 16)), weights(3, 4, 5, 16, 8), T((1, 4, 2, 4, 8))],
            {"kernel": (3, 4, 5), "stride": (1, 3, 2), "dilation": (1, 1, 1), "padding": (1, 0, 1, 1, 1, 2), "groups": 1, "activation": "none"},
        ),
        ("FULLY_CONNECTED", ("FullyConnectedOptions", {"KeepNumDims": True}), [IMAGE, weights(4, 16), OUT], {"keep_num_dims": True, "activation": "none"}),
        ("BATCH_MATMUL", ("BatchMatMulOptions", {"AdjY": True}), [IMAGE, IMAGE, OUT], {"transpose_a": False, "transpose_b": True}),
        ("MEAN", ("ReducerOptions", {"KeepDims": True}), [IMAGE, constant([-2, 1]), OUT], {"axes": (1, 2), "keep_dims": True}),
        ("CONCATENATION", ("ConcatenationOptions", {"Axis": -1}), [IMAGE, IMAGE, OUT], {"axis": 3, "activation": "none"}),
        ("SOFTMAX", ("SoftmaxOptions", {"Beta": 2.0}), [IMAGE, OUT], {"axis": 3, "beta": 2.0}),
        ("GATHER", ("GatherOptions", {"Axis": -1, "BatchDims": 1}), [IMAGE, T((4,), "int32", [0] * 4), OUT], {"axis": 3, "batch_dims": 1}),
        ("PACK", ("PackOptions", {"Axis": -1, "ValuesCount": 2}), [IMAGE, IMAGE, T((1, 8, 8, 16, 2))], {"axis": 4}),
        ("UNPACK", ("UnpackOptions", {"Axis": -1, "Num": 1}), [IMAGE, OUT], {"axis": 3}),
        ("ARG_MAX", ("ArgMaxOptions", {"OutputType": 2}), [IMAGE, constant(-1), OUT], {"axis": 3}),
        ("CUMSUM", ("CumsumOptions", {"Reverse": True}), [IMAGE, constant(1), OUT], {"axis": 1, "exclusive": False, "reverse": True}),
        ("EXPAND_DIMS", None, [IMAGE, constant(-1), OUT], {"axis": 4}),
        ("SQUEEZE", ("SqueezeOptions", {"SqueezeDims": [-4]}), [IMAGE, T((8, 8, 16))], {"axes": (0,)}),
        ("PAD", None, [IMAGE, constant([[0, 0], [1, 2], [3, 4], [0, 0]]), OUT], {"pads": ((0, 0), (1, 2), (3, 4), (0, 0))}),
        ("PADV2", None, [IMAGE, constant([[0, 1]] * 4, "int64"), constant(7.5, "float32"), OUT], {"pads": ((0, 1),) * 4, "value": 7.5}),
        ("MIRROR_PAD", ("MirrorPadOptions", {"Mode": 1}), [IMAGE, constant([[0, 1]] * 4), OUT], {"pads": ((0, 1),) * 4, "mode": "symmetric"}),
        ("SPACE_TO_BATCH_ND", None, [IMAGE, constant([2, 2]), constant([[0, 1], [0, 1]]), OUT], {"block": (2, 2), "pads": ((0, 1), (0, 1))}),
        ("TRANSPOSE", None, [IMAGE, constant([0, -1, 1, 2]), OUT], {"permutation": (0, 3, 1, 2)}),
        ("SLICE", None, [IMAGE, constant([0] * 4), constant([1, 4, 4, -1]), OUT], {"begin": (0,) * 4, "size": (1, 4, 4, -1)}),
        (
            "STRIDED_SLICE",
            ("StridedSliceOptions", {"BeginMask": 1, "EndMask": 2, "EllipsisMask": 3, "NewAxisMask": 4, "ShrinkAxisMask": 5}),
            [IMAGE, constant([0, 1]), constant([8, 8]), constant([2, 1]), OUT],
            {"begin": (0, 1), "end": (8, 8), "strides": (2, 1), "begin_mask": 1, "end_mask": 2, "ellipsis_mask": 3, "new_axis_mask": 4, "shrink_axis_mask": 5},
        ),
        ("RESIZE_BILINEAR", ("ResizeBilinearOptions", {"AlignCorners": True}), [IMAGE, constant([4, 4]), OUT], {"align_corners": True, "half_pixel": False}),
        ("RESIZE_NEAREST_NEIGHBOR", ("ResizeNearestNeighborOptions", {"HalfPixelCenters": True}), [IMAGE, constant([4, 4]), OUT], {"align_corners": False, "half_pixel": True}),
        ("SPACE_TO_DEPTH", ("SpaceToDepthOptions", {"BlockSize": 2}), [IMAGE, OUT], {"block": 2}),
        ("LEAKY_RELU", ("LeakyReluOptions", {"Alpha": 0.25}), [IMAGE, OUT], {"alpha": 0.25}),
        ("CAST", None, [IMAGE, T((1,), "int8")], {"to": "int8"}),
        ("ADD", ("AddOptions", {"FusedActivationFunction": 1}), [IMAGE, IMAGE, OUT], {"activation": "relu"}),
        ("SVDF", ("SVDFOptions", {"FusedActivationFunction": 4}), [IMAGE, OUT], {"rank": 0, "activation": "tanh"}),
    ],
)  # fmt: skip
def test_attributes(op: str, options: Any, tensors: list[T], expected: dict[str, Any]) -> None:
    last = len(tensors) - 1
    known = [index for index, tensor in enumerate(tensors[:last]) if tensor.data is None]
    data = build(tensors, [Op(op, range(last), [last], options)], inputs=known)
    node = read_tflite(data, "one.tflite").nodes[0]
    assert dict(node.attributes) == expected
    assert node.native == op
    assert node.inputs == tuple(range(last))


def test_transposed_convolution_has_its_data_first() -> None:
    tensors = [constant([1, 16, 16, 4]), weights(4, 3, 3, 16), IMAGE, T((1, 16, 16, 4))]
    op = Op("TRANSPOSE_CONV", [0, 1, 2], [3], ("TransposeConvOptions", {"Padding": SAME, "StrideW": 2, "StrideH": 2}))
    node = read_tflite(build(tensors, [op], inputs=[2]), "one.tflite").nodes[0]
    assert node.inputs == (2, 1, -1, 0)
    assert dict(node.attributes) == {
        "kernel": (3, 3), "stride": (2, 2), "dilation": (1, 1), "padding": (0, 1, 0, 1), "groups": 1, "activation": "none"
    }  # fmt: skip


def test_split_has_its_data_first() -> None:
    tensors = [IMAGE, constant(3), T((1, 8, 8, 8)), T((1, 8, 8, 8))]
    node = read_one(Op("SPLIT", [1, 0], [2, 3], ("SplitOptions", {"NumSplits": 2})), *tensors)
    assert (node.kind, node.inputs, dict(node.attributes)) == ("split", (0, 1), {"axis": 3})


def test_an_attribute_that_is_computed_at_run_time_is_absent() -> None:
    node = read_tflite(build([IMAGE, T((2,), "int32"), OUT], [Op("MEAN", [0, 1], [2])], inputs=[0, 1]), "m").nodes[0]
    assert dict(node.attributes) == {"keep_dims": False}


def test_options_of_another_op_count_as_defaults() -> None:
    node = read_one(Op("SOFTMAX", [0], [1], ("LeakyReluOptions", {"Alpha": 9.0})), IMAGE, OUT)
    assert node.attributes["beta"] == 0.0


def test_custom_ops_keep_their_names() -> None:
    unknown = read_one(Op("FlexErf", [0], [1], version=2), IMAGE, OUT)
    assert (unknown.kind, unknown.native, unknown.version) == ("unknown", "FlexErf", 2)
    known = read_one(Op("TFLite_Detection_PostProcess", [0], [1]), IMAGE, OUT)
    assert known.kind == "detection_postprocess"


def test_custom_ops_of_the_gpu_delegate_carry_c_structs() -> None:
    pool = read_one(
        Op("MaxPoolingWithArgmax2D", [0], [1], custom_options=struct.pack("<6i", 1, 2, 2, 3, 3, 1)), IMAGE, OUT
    )
    assert dict(pool.attributes) == {"kernel": (3, 3), "stride": (2, 2), "padding": (0, 1, 0, 1), "activation": "relu"}
    op = Op("Convolution2DTransposeBias", [0, 1], [2], custom_options=struct.pack("<3i", 1, 2, 2))
    conv = read_one(op, IMAGE, weights(4, 4, 4, 16), T((1, 16, 16, 4)))
    assert conv.attributes["padding"] == (1, 1, 1, 1)
    assert "options" in refusal(build([IMAGE, OUT], [Op("MaxPoolingWithArgmax2D", [0], [1])])).message


def test_codes_and_types_newer_than_the_schema_are_unknown() -> None:
    graph = read_tflite(build([IMAGE, T((1,), 120)], [Op(70_000, [0], [1])]), "new.tflite")
    assert (graph.nodes[0].kind, graph.nodes[0].native) == ("unknown", "BUILTIN_70000")
    assert graph.tensors[1].dtype == "unknown"


def test_the_old_operator_code_field_counts_too() -> None:
    """Files from before 2020 have only the 8-bit field."""
    data = bytearray(build([IMAGE, OUT], [Op("RELU", [0], [1])]))
    code = tflite.Model.GetRootAs(bytes(data), 0).OperatorCodes(0)
    field = code._tab.Pos + code._tab.Offset(10)  # builtin_code
    data[field : field + 4] = bytes(4)
    assert read_tflite(bytes(data), "old.tflite").nodes[0].native == "RELU"


# --- tensors --------------------------------------------------------------------------------------------------------


def test_small_constants_have_values_and_weights_do_not() -> None:
    tensors = [
        IMAGE,
        weights(16, 1, 1, 16),
        weights(16),
        OUT,
        T((16,), "float16", [1.5] * 16),
        T((1025, 1, 1, 1), "int8", [3] * 1025),
        OUT,
        T((1025, 4, 4, 16)),
    ]
    conv = Op("CONV_2D", [0, 1, 2], [3], ("Conv2DOptions", {"Padding": SAME, "StrideW": 2, "StrideH": 2}))
    ops = [conv, Op("MUL", [3, 4], [6]), Op("MUL", [3, 5], [7])]  # fmt: skip
    found = read_tflite(build(tensors, ops), "m.tflite").tensors
    assert [tensor.constant for tensor in found] == [False, True, True, False, True, True, False, False]
    assert found[4].value == (1.5,) * 16
    assert [index for index, tensor in enumerate(found) if tensor.value is not None] == [4]


def test_packed_weights_are_not_read_either() -> None:
    """A float16 model holds its weights behind DEQUANTIZE."""
    half = T((16,), "float16", [1.5] * 16)
    assert read_tflite(build([IMAGE, half, OUT], [Op("DEQUANTIZE", [1], [2])]), "m").tensors[1].value is None


def test_quantization_may_be_per_channel() -> None:
    quantised = T((1, 2), "int8", scales=(0.5, 0.25), zero_points=(3, -4), axis=1)
    graph = read_tflite(
        build([quantised, T((1, 2), "int8", scales=(1.0,), zero_points=(0,))], [Op("RELU", [0], [1])]), "q.tflite"
    )
    assert graph.tensors[0].quantization == Quantization((0.5, 0.25), (3, -4), 1)
    assert graph.tensors[1].quantization == Quantization((1.0,), (0,), 0)


def test_a_scalar_is_not_a_tensor_of_unknown_rank() -> None:
    old = read_tflite(build([T(()), T(None)], [Op("RELU", [0], [1])]), "old.tflite")
    assert [tensor.shape for tensor in old.tensors] == [(), ()]
    new = read_tflite(build([T((), has_rank=True), T(None)], [Op("Foo", [0], [1])]), "new.tflite")
    assert [tensor.shape for tensor in new.tensors] == [(), None]


def test_an_open_dimension_is_noted() -> None:
    image = T((1, 8, 8, 3), name="image", signature=(-1, 8, 8, 3))
    graph = read_tflite(build([image, image._replace(name="out")], [Op("RELU", [0], [1])]), "m.tflite")
    assert graph.open_sizes == (OpenSize(0, 0),) and graph.assumed == {"image": (-1, 8, 8, 3)}
    (note,) = graph.notes
    assert "'image' is ?x8x8x3" in note
    assert "1x8x8x3" in note


def test_subgraphs_that_are_not_followed_are_noted() -> None:
    (note,) = read_tflite(build([IMAGE, IMAGE], [Op("RELU", [0], [1])], subgraphs=3), "m.tflite").notes
    assert note.startswith("2 more subgraphs")


def test_values_behind_the_flatbuffer_are_found() -> None:
    """A file above 2 GB names an absolute offset instead of holding the bytes in the buffer."""
    data = bytearray(build([T((1, 4)), T((4,), "int32", [0] * 4), T((1, 4))], [Op("ADD", [0, 1], [2])]))
    b = flatbuffers.Builder(64)
    tflite.BufferStart(b)
    tflite.BufferAddOffset(b, 1 << 40)
    tflite.BufferAddSize(b, 16)
    b.Finish(tflite.BufferEnd(b))
    table = bytes(b.Output())
    # Put the new buffer table at the end and let entry 1 of the model's buffers point there.
    at = len(data) + struct.unpack_from("<I", table)[0]
    root = tflite.Model.GetRootAs(bytes(data), 0)
    entry = root._tab.Vector(root._tab.Offset(12)) + 4
    struct.pack_into("<I", data, entry, at - entry)
    data += table
    assert "a value reaches past the end" in refusal(bytes(data)).message
    offset = data.index(struct.pack("<Q", 1 << 40), len(data) - len(table))
    struct.pack_into("<Q", data, offset, len(data))
    data += struct.pack("<4i", 5, 6, 7, 8)
    tensor = read_tflite(bytes(data), "huge.tflite").tensors[1]
    assert tensor.data == ByteRange(len(data) - 16, 16)
    assert tensor.value == (5, 6, 7, 8)


def test_a_name_that_would_upset_a_terminal_is_escaped() -> None:
    graph = read_tflite(build([IMAGE, OUT._replace(name=b"a\x1b[2J\n\xff\xe2\x80\xae")], [Op("RELU", [0], [1])]), "m")
    assert graph.nodes[0].name == "a\\x1b[2J\\n\\udcff\\u202e"


def test_a_node_without_a_named_output_gets_a_name() -> None:
    assert read_one(Op("RELU", [0], [1]), IMAGE, OUT).name == "RELU_0"


# --- impossible graphs ----------------------------------------------------------------------------------------------

CONV = ("Conv2DOptions", {"Padding": SAME, "StrideW": 2, "StrideH": 2})


def quantised(scales: int, points: int, axis: int = 0) -> T:
    return T((1, 2), "int8", scales=(0.5,) * scales, zero_points=(0,) * points, axis=axis)


FILTER = weights(16, 3, 3, 16)


def lstm(slot: int | None = None, shape: tuple[int, ...] = ()) -> tuple[list[T], Op]:
    """One of 3 cells on 2 rows of 5 steps, its input ``slot`` of another shape; without one it is clipped at -1."""
    shapes = [(2, 5, 4), *[(3, 4)] * 4, *[(3, 3)] * 4, *[(3,)] * 4]
    slots = [*range(9), 12, 13, 14, 15]
    if slot is not None:
        shapes[slots.index(slot)] = shape
    tensors = [
        T(shapes[0]),
        *(weights(*each) for each in shapes[1:]),
        T((2, 3), variable=True),
        T((2, 3), variable=True),
        T((2, 5, 3)),
    ]
    operands = [slots.index(each) if each in slots else -1 for each in range(18)]
    options = {"CellClip": -1.0 if slot is None else 0.0, "FusedActivationFunction": 4}
    return tensors, Op(
        "UNIDIRECTIONAL_SEQUENCE_LSTM", [*operands, 13, 14], [15], ("UnidirectionalSequenceLSTMOptions", options)
    )


#: What LiteRT refuses, as ``test_litert_refuses_it_too`` asks it.
REFUSED_BY_LITERT: dict[str, tuple[list[T], Op, str]] = {
    "no zero point": ([quantised(1, 0), quantised(1, 1)], Op("RELU", [0], [1]), "1 scale and 0 zero points"),
    "more zero points": ([quantised(1, 2), quantised(1, 1)], Op("RELU", [0], [1]), "1 scale and 2 zero points"),
    "along no dimension": ([quantised(2, 2, 2), quantised(1, 1)], Op("RELU", [0], [1]), "quantised along dimension 2"),
    "along less than 0": ([quantised(2, 2, -1), quantised(1, 1)], Op("RELU", [0], [1]), "quantised along dimension -1"),
    "other scales": ([quantised(3, 3, 1), quantised(1, 1)], Op("RELU", [0], [1]), "3 scales for 2 slices along dimension 1"),
    "a variable's value": ([IMAGE, T((16,), data=np.ones(16), variable=True), IMAGE], Op("ADD", [0, 1], [2]), "a variable and has a value"),
    "less than a type": ([IMAGE, IMAGE._replace(dtype=-1)], Op("RELU", [0], [1]), "tensor 1 is of type -1"),
    "a bias too long": ([IMAGE, FILTER, weights(17), OUT], Op("CONV_2D", [0, 1, 2], [3], CONV), "a bias of 17 for 16 channels"),
    "a depthwise bias": (
        [IMAGE, weights(1, 3, 3, 16), weights(1), OUT],
        Op("DEPTHWISE_CONV_2D", [0, 1, 2], [3], ("DepthwiseConv2DOptions", CONV[1])), "a bias of 1 for 16 channels",
    ),
    "a dense bias": (
        [T((1, 4)), weights(8, 4), weights(4), T((1, 8))], Op("FULLY_CONNECTED", [0, 1, 2], [3], ("FullyConnectedOptions", {})),
        "a bias of 4 for 8 channels",
    ),
    "uneven groups": ([IMAGE, weights(9, 3, 3, 8), weights(9), OUT], Op("CONV_2D", [0, 1, 2], [3], CONV), "9 filters in 2 groups"),
    "no stride": (
        [T((4, 6)), constant([0, 0]), constant([4, 6]), constant([1, 0]), T((4, 6))],
        Op("STRIDED_SLICE", [0, 1, 2, 3], [4], ("StridedSliceOptions", {})), "a stride of 0",
    ),
    "a padding of no kind": (
        [IMAGE, FILTER, weights(16), OUT], Op("CONV_2D", [0, 1, 2], [3], ("Conv2DOptions", {**CONV[1], "Padding": 2})), "a padding of kind 2",
    ),
    "no broadcast": ([IMAGE, weights(3), IMAGE], Op("MUL", [0, 1], [2], ("MulOptions", {})), "1x8x8x16 and 3, which do not broadcast"),
    "a part of what is not there": (
        [T((4, 4)), constant([0, 2]), constant([4, 3]), T((4, 3))], Op("SLICE", [0, 1, 2], [3]), "[4, 3] from [0, 2] on of 4x4",
    ),
    "no pixels": ([IMAGE, constant([0, 4]), IMAGE], Op("RESIZE_BILINEAR", [0, 1], [2], ("ResizeBilinearOptions", {})), "resizes to 0x4"),
    "another count": ([T((4, 4)), T((4, 4)), T((2, 4, 4))], Op("PACK", [0, 1], [2], ("PackOptions", {"ValuesCount": 3})), "2 inputs, which"),
    "no count": ([T((2, 4)), T((4,)), T((4,))], Op("UNPACK", [0], [1, 2]), "2 outputs, which its options say are 0"),
    "axes in a matrix": ([T((4, 4)), constant([[1]]), T((4, 4))], Op("REVERSE_V2", [0, 1], [2]), "axes of 2 dimensions"),
    "parts of another count": ([T((2, 4)), T((4,)), T((4,))], Op("UNPACK", [0], [1, 2], ("UnpackOptions", {"Num": 3})), "2 outputs, which"),
    "uneven parts": (
        [T((5, 4)), constant(0), T((2, 4)), T((2, 4))], Op("SPLIT", [1, 0], [2, 3], ("SplitOptions", {"NumSplits": 2})), "cuts 5 into 2 parts",
    ),
    "parts too large": (
        [T((5, 4)), constant([3, 3]), constant(0), T((3, 4)), T((3, 4))],
        Op("SPLIT_V", [0, 1, 2], [3, 4], ("SplitVOptions", {"NumSplits": 2})), "cuts 5 into 2 parts",
    ),
    "weights in no order": (
        [T((1, 4)), weights(8, 4), weights(8), T((1, 8))], Op("FULLY_CONNECTED", [0, 1, 2], [3], ("FullyConnectedOptions", {"WeightsFormat": 7})),
        "weights in an order 7",
    ),
    "a stride beyond 16 bits": (
        [IMAGE, FILTER, weights(16), OUT], Op("CONV_2D", [0, 1, 2], [3], ("Conv2DOptions", {**CONV[1], "StrideW": 65535})), "of 65,535",
    ),
    "a type that there is not": ([IMAGE, IMAGE], Op("CAST", [0], [1], ("CastOptions", {"InDataType": 30})), "an option of type 30"),
    "a bias of no type": (
        [IMAGE, FILTER, weights(16), OUT], Op("CONV_2D", [0, 1, 2], [3], ("Conv2DOptions", {**CONV[1], "QuantizedBiasType": 99})), "an option of type 99",
    ),
    "sizes that are no integers": ([IMAGE, T((4,), "int32")], Op("SHAPE", [0], [1], ("ShapeOptions", {"OutType": 0})), "an option of type 0"),
    "places that are no integers": (
        [IMAGE, constant([1]), T((1, 8, 16), "int32")], Op("ARG_MAX", [0, 1], [2], ("ArgMaxOptions", {"OutputType": 9})), "an option of type 9",
    ),
    "more batches than axes": (
        [T((2, 4)), constant([[0], [1]]), T((2, 1))], Op("GATHER", [0, 1], [2], ("GatherOptions", {"BatchDims": 1})), "1 batch dimensions of 2",
    ),
    "an axis that is long": ([T((1, 4)), T((1,))], Op("SQUEEZE", [0], [1], ("SqueezeOptions", {"SqueezeDims": [1]})), "axis 1 of 4 to leave out"),
    "a mirror of no kind": ([T((1, 4)), constant([[0, 0], [1, 1]]), T((1, 6))], Op("MIRROR_PAD", [0, 1], [2], ("MirrorPadOptions", {"Mode": 7})), "a mode 7"),
    "too much to mirror": ([T((1, 4)), constant([[0, 0], [4, 0]]), T((1, 8))], Op("MIRROR_PAD", [0, 1], [2], ("MirrorPadOptions", {"Mode": 0})), "more to mirror"),
    "uneven blocks": ([IMAGE, OUT], Op("SPACE_TO_DEPTH", [0], [1], ("SpaceToDepthOptions", {"BlockSize": 3})), "blocks of 3 on 8x8"),
    "blocks of few channels": ([IMAGE, OUT], Op("DEPTH_TO_SPACE", [0], [1], ("DepthToSpaceOptions", {"BlockSize": 3})), "blocks of 3 of 16 channels"),
    "a size of three": (
        [IMAGE, constant([4, 4, 4]), OUT], Op("RESIZE_BILINEAR", [0, 1], [2], ("ResizeBilinearOptions", {})), "a size of 3 numbers",
    ),
    "a size of three, nearest": (
        [IMAGE, constant([4, 4, 4]), OUT], Op("RESIZE_NEAREST_NEIGHBOR", [0, 1], [2], ("ResizeNearestNeighborOptions", {})), "a size of 3 numbers",
    ),
    "an LSTM's clip": (*lstm(), "a clip of -1"),
    "an LSTM's weights": (*lstm(2, (3, 9)), "input 2 of [3, 9], not [3, 4]"),
    "an LSTM's bias": (*lstm(13, (4, 1)), "input 13 of [4, 1], not [3]"),
    "no shape to make": ([IMAGE, T((4, 4), "int32"), OUT], Op("RESHAPE", [0, 1], [2]), "makes a fixed shape of 1 elements"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED_BY_LITERT)
def test_litert_refuses_it_too(name: str) -> None:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    tensors, op, _ = REFUSED_BY_LITERT[name]
    given = tuple(index for index, tensor in enumerate(tensors[:-1]) if tensor.data is None)
    plain = interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    with pytest.raises((ValueError, RuntimeError)):
        made = interpreter.Interpreter(
            model_content=build(tensors, [op], given, op.outputs), experimental_op_resolver_type=plain
        )
        made.allocate_tensors()
        made.invoke()


@pytest.mark.parametrize(
    ("tensors", "ops", "words"),
    [
        ([IMAGE, IMAGE, IMAGE], [Op("ADD", [0, 2], [1]), Op("RELU", [1], [2])], "node 0 (ADD) reads tensor 2, which no earlier node"),
        ([IMAGE, OUT], [Op("RELU", [1], [1])], "no earlier node writes"),
        ([IMAGE, OUT], [Op("RELU", [7], [1])], "refers to tensor 7 of 2"),
        ([IMAGE, OUT], [Op("RELU", [-9], [1])], "refers to tensor -9 of 2"),
        ([IMAGE, OUT], [Op("RELU", [-1], [1])], "lacks an input"),
        ([IMAGE, OUT], [Op("RELU", [0], [])], "lacks an input or output"),
        ([IMAGE, OUT], [Op("CONV_2D", [0], [1], CONV)], "lacks an input"),
        ([IMAGE, T((1, -5))], [Op("RELU", [0], [1])], "a dimension of -5"),
        ([IMAGE, weights(16, 3, 3, 16), OUT], [Op("CONV_2D", [0, 1], [2])], "a stride, dilation or window of 0"),
        ([IMAGE, weights(16, 3, 3, 5), OUT], [Op("CONV_2D", [0, 1], [2], CONV)], "a filter of 5 channels on an input of 16"),
        ([IMAGE, weights(16, 3, 3), OUT], [Op("CONV_2D", [0, 1], [2], CONV)], "a filter of 3 dimensions, not 4"),
        ([IMAGE, constant([4]), OUT], [Op("MEAN", [0, 1], [2])], "axis 4 of a tensor of 4 dimensions"),
        ([IMAGE, constant([0] * 1000), OUT], [Op("MEAN", [0, 1], [2])], "1000 axes for 4 dimensions"),
        ([IMAGE, constant([1.0], "float32"), OUT], [Op("MEAN", [0, 1], [2])], "of float32, not int32"),
        ([IMAGE, constant([0, 0, 1, 2]), OUT], [Op("TRANSPOSE", [0, 1], [2])], "a permutation"),
        ([IMAGE, constant([[0, 1]] * 3), OUT], [Op("PAD", [0, 1], [2])], "6 paddings"),
        ([IMAGE, constant([[0, -1]] * 4), OUT], [Op("PAD", [0, 1], [2])], "8 paddings from -1"),
        ([IMAGE, constant([0] * 3), constant([1] * 3), OUT], [Op("SLICE", [0, 1, 2], [3])], "3 elements for 4 dimensions"),
        ([IMAGE, T((3,), "int32", bytes(8)), OUT], [Op("ADD", [0, 1], [2])], "int32[3] has a value of 8 bytes"),
        *((tensors, [op], words) for tensors, op, words in REFUSED_BY_LITERT.values()),
    ],
)  # fmt: skip
def test_what_no_runtime_could_run_is_refused(tensors: list[T], ops: list[Op], words: str) -> None:
    error = refusal(build(tensors, ops))
    assert error.code == "LAT007"
    assert words in error.message


def test_a_tensor_without_elements_needs_no_writer() -> None:
    assert read_tflite(build([IMAGE, T((0, 4)), OUT], [Op("FlexFoo", [0, 1], [2])]), "m").nodes


def test_a_graph_output_that_no_node_writes_is_refused() -> None:
    assert "no node writes" in refusal(build([IMAGE, OUT], [], outputs=[1])).message


def test_a_variable_keeps_its_value_from_run_to_run() -> None:
    read_one(Op("LSTM", [0, 1], [2]), IMAGE, T((1, 4), variable=True), OUT)


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ([IMAGE, T((1,) * 17)], "17 dimensions"),
        ([IMAGE, T((2**30, 2**30))], "elements"),
        ([IMAGE, OUT._replace(name="n" * 70_000)], "70,000 bytes long"),
    ],
)
def test_what_is_beyond_a_bound_is_refused(tensors: list[T], words: str) -> None:
    error = refusal(build(tensors, [Op("RELU", [0], [1])]))
    assert error.code == "LAT006"
    assert words in error.message


# --- files that lie -------------------------------------------------------------------------------------------------


def _vector_field(data: bytes, field: int) -> tuple[int, int]:
    """Positions of the offset of field ``field`` of the main graph, and of the vector that it points to."""
    table = tflite.Model.GetRootAs(data, 0).Subgraphs(0)._tab
    offset = table.Pos + table.Offset(4 + 2 * field)
    return offset, offset + struct.unpack_from("<I", data, offset)[0]


def _crowd(data: bytes, field: int, count: int) -> bytes:
    """``data`` with ``count`` entries in a vector of tables of the main graph, all of them its first entry."""
    out = bytearray(data)
    offset, vector = _vector_field(data, field)
    target = vector + 4 + struct.unpack_from("<I", data, vector + 4)[0]
    out += bytes(-len(out) % 4)
    start = len(out)
    # Offsets are unsigned and point forwards, so that the shared table has to move behind the crowd: copy the file.
    base = start + 4 + 4 * count
    out += struct.pack("<I", count)
    out += (np.uint32(base + target - start - 4) - 4 * np.arange(count, dtype=np.uint32)).astype("<u4").tobytes()
    out += data
    struct.pack_into("<I", out, offset, start - offset)
    return bytes(out)


@pytest.mark.parametrize("field", range(4))
@pytest.mark.parametrize("claim", [2**31, 2**32 - 1, 2**30])
def test_a_vector_that_claims_more_than_the_file_holds_is_refused_at_once(field: int, claim: int) -> None:
    data = bytearray(build([IMAGE, OUT], [Op("RELU", [0], [1])], outputs=[1]))
    struct.pack_into("<I", data, _vector_field(bytes(data), field)[1], claim)
    start = time.process_time()
    assert refusal(bytes(data)).code == "LAT001"
    assert time.process_time() - start < 0.5


def test_an_offset_before_the_start_of_the_file_is_refused() -> None:
    data = bytearray(build([IMAGE, OUT], [Op("RELU", [0], [1])]))
    table = tflite.Model.GetRootAs(bytes(data), 0).Subgraphs(0)._tab.Pos
    struct.pack_into("<i", data, table, table + 32)
    assert "before the start" in refusal(bytes(data)).message


def _with_all_parts() -> bytes:
    """A file with what latlint does not read: a description, metadata, a signature, a graph that is not followed."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    data = build(
        [IMAGE._replace(name="in"), OUT._replace(name="out", scales=[0.5], zero_points=[0])],
        [Op("RELU", [0], [1])],
        outputs=[1],
        subgraphs=2,
    )
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data))
    model.description, model.metadataBuffer = "described", [0]
    model.metadata, model.signatureDefs = [schema.MetadataT()], [schema.SignatureDefT()]
    model.metadata[0].name, model.metadata[0].buffer = "min_runtime_version", 0
    signature = model.signatureDefs[0]
    signature.signatureKey, signature.subgraphIndex = "serving", 0
    signature.inputs, signature.outputs = [schema.TensorMapT()], [schema.TensorMapT()]
    for graph in model.subgraphs:
        graph.name = "main"
        graph.tensors[0].shapeSignature = [-1, 8, 8, 16]
        graph.tensors[1].quantization.min, graph.tensors[1].quantization.max = [0.0], [1.0]
    (signature.inputs[0].name, signature.inputs[0].tensorIndex), signature.outputs[0].name = ("x", 0), "y"
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("value", [1, 2, 255])
def test_a_file_is_damaged_where_the_runtimes_verifier_says_so(value: int) -> None:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    data, wrong, both = _with_all_parts(), [], 0
    for place in range(8, len(data)):
        changed = bytearray(data)
        changed[place] ^= value
        try:
            read_tflite(bytes(changed), "m.tflite")
            code = ""
        except LatlintError as error:
            code = error.code
        invalid = False
        try:
            interpreter.Interpreter(model_content=bytes(changed))
        except (ValueError, RuntimeError) as error:
            invalid = "not a valid Flatbuffer" in str(error)
        both += invalid
        if (invalid and not code) or (code == "LAT001" and not invalid):
            wrong.append((place, code))
    assert both > 50
    assert wrong == []


@pytest.mark.parametrize("count", [1000, 8000])
def test_signatures_that_share_one_crowd_take_as_long_as_the_file(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """``count`` signatures are one table, whose inputs are ``count`` times one table: no more of them are looked at than there are entries."""
    data = _with_all_parts()
    model = tflite.Model.GetRootAs(data, 0)
    signature = model.SignatureDefs(0)
    inner = signature._tab.Pos + signature._tab.Offset(4)  # its inputs
    outer = model._tab.Pos + model._tab.Offset(18)  # the model's signatures
    named = signature.Inputs(0)._tab.Pos

    def crowd(target: int) -> bytes:
        return struct.pack(f"<{1 + count}I", count, *(target - 4 - 4 * index for index in range(count)))

    size, crowded = len(data) + -len(data) % 4, 4 + 4 * count
    first, second = bytearray(data.ljust(size, b"\0")), bytearray(data.ljust(size, b"\0"))
    struct.pack_into("<I", first, outer, size - outer)
    struct.pack_into("<I", second, inner, size - inner)
    made = bytes(first) + crowd(crowded + signature._tab.Pos) + bytes(second) + crowd(crowded + named) + data
    looked_at, verify = Counter[str](), Table.verify
    monkeypatch.setattr(Table, "verify", lambda table, layout: (looked_at.update(["table"]), verify(table, layout))[1])
    read_tflite(made, "m.tflite")
    assert looked_at["table"] < 100


@pytest.mark.parametrize("what", ["name", "value"])
def test_a_length_past_the_end_of_the_file_is_refused(what: str) -> None:
    data = bytearray(build([IMAGE._replace(name="here"), T((1,), "string", b"here"), OUT], [Op("ADD", [0, 1], [2])]))
    length = bytes(data).index(b"\4\0\0\0here") if what == "name" else bytes(data).rindex(b"\4\0\0\0here")
    for claim in (60_000, 4 + len(data)):
        struct.pack_into("<I", data, length, claim)
        error = refusal(bytes(data))
        assert error.code == "LAT001"
        assert "past the end of the file" in error.message


@pytest.mark.parametrize(
    ("field", "count"), [(0, reader.MAX_TENSORS + 1), (3, reader.MAX_NODES + 1)], ids=["tensors", "nodes"]
)
def test_too_many_tables_are_refused(field: int, count: int) -> None:
    data = build([IMAGE, OUT], [Op("RELU", [0], [1])])
    error = refusal(_crowd(data, field, count))
    assert error.code == "LAT006"
    assert f"{count:,}" in error.message


@pytest.mark.slow
def test_tables_that_share_one_long_vector_cannot_fill_the_memory() -> None:
    long = T((1, 1, 1, 60_000), scales=(0.5,) * 60_000, zero_points=(0,) * 60_000, axis=3)
    data = _crowd(build([long, OUT], []), 0, 100_000)
    error = refusal(data)
    assert error.code == "LAT006"
    assert f"{MAX_STRUCTURE_BYTES >> 20} MB" in error.message


def _mutate(data: bytearray, places: Sequence[int], rng: random.Random) -> bytes:
    """A few changed bytes or words where the file is not zero, or a cut."""
    if rng.random() < 0.1:
        return bytes(data[: rng.randrange(len(data))])
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        at = rng.choice(places)
        match rng.randrange(4):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                data[at] ^= 1 << rng.randrange(8)
            case 2:
                word = rng.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1, rng.randrange(len(data))))
                data[at : at + 4] = struct.pack("<I", word)
            case _:
                other = rng.choice(places)
                data[at : at + 4] = data[other : other + 4]
    return bytes(data)


def _varied() -> bytes:
    """A small file of many kinds of op: most of it is structure, so that most changes hit something."""
    tensors = [
        IMAGE._replace(name="image", signature=(-1, 8, 8, 16)), weights(16, 3, 3, 4), weights(16), OUT, constant([1, 2]),
        constant([[0, 0], [1, 1], [1, 1], [0, 0]]), T((1, 6, 6, 16)), T((1, 16)), constant([0, 2, 3, 1]), OUT, OUT,
        T((1, 16), "int8", scales=(0.5, 0.25), zero_points=(1, 2), axis=1), constant([0, 0, 0, 0]), constant([1, 2, 2, -1]),
        constant([1, 1, 1, 1]), weights(1, 3, 3, 16), T((1, 2, 2, 16)), constant([1, 4, 4, 16]), T((1, 4, 4, 16)), T((1, 16)),
    ]  # fmt: skip
    ops = [
        Op("CONV_2D", [0, 1, 2], [3], CONV),
        Op("PAD", [3, 5], [6]),
        Op("MEAN", [6, 4], [7], ("ReducerOptions", {"KeepDims": False})),
        Op("TRANSPOSE", [3, 8], [9]),
        Op("ADD", [9, 3], [10], ("AddOptions", {"FusedActivationFunction": 1})),
        Op("QUANTIZE", [7], [11]),
        Op("SLICE", [10, 12, 13], [16]),
        Op("STRIDED_SLICE", [10, 12, 13, 14], [16], ("StridedSliceOptions", {"EndMask": 15})),
        Op(
            "DEPTHWISE_CONV_2D",
            [3, 15],
            [16],
            ("DepthwiseConv2DOptions", {"Padding": SAME, "StrideW": 2, "StrideH": 2}),
        ),
        Op(
            "TRANSPOSE_CONV", [17, 1, 16], [18], ("TransposeConvOptions", {"Padding": SAME, "StrideW": 2, "StrideH": 2})
        ),
        Op("MaxPoolingWithArgmax2D", [18], [16], custom_options=struct.pack("<6i", 1, 2, 2, 2, 2, 0)),
        Op("SOFTMAX", [7], [19], ("SoftmaxOptions", {"Beta": 1.0})),
        Op("FlexErf", [7], [19]),
    ]
    ops[9] = ops[9]._replace(inputs=[17, 15, 16])
    return build(tensors, ops, outputs=[19])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_no_change_to_a_file_causes_anything_but_a_refusal(seed: int) -> None:
    rng = random.Random(seed)
    original = _varied()
    outcomes: Counter[str] = Counter()
    places = range(len(original))
    for _ in range(2000):
        data = _mutate(bytearray(original), places, rng)
        start = time.process_time()
        try:
            graph: Graph | None = read_tflite(data, "bad.tflite")
        except LatlintError as error:
            graph = None
            assert error.message.isprintable()
            outcomes[error.code] += 1
        assert time.process_time() - start < 2
        if graph is not None:
            outcomes["read"] += 1
            _assert_sound(graph)
    # The test is only worth its time if changes come through to every stage.
    assert {"read", "LAT001", "LAT007"} <= set(outcomes)


def test_every_cut_of_a_file_is_refused() -> None:
    data = _varied()
    for length in range(0, len(data) - 1, 7):
        assert refusal(data[:length]).code in ("LAT001", "LAT007")


def _assert_sound(graph: Graph) -> None:
    """What a planner relies on."""
    written = {*graph.inputs}
    for node in graph.nodes:
        assert node.kind in KINDS
        assert all(-1 <= index < len(graph.tensors) for index in (*node.inputs, *node.outputs))
        assert node.kind == "unknown" or node.inputs[0] >= 0
        assert node.name.isprintable()
        written.update(node.outputs)
        padding = node.attributes.get("padding", (0,))
        assert all(isinstance(pad, int) and pad >= 0 for pad in padding)
        assert all(stride > 0 for stride in node.attributes.get("stride", (1,)))
    assert all(graph.tensors[index].constant or index in written for index in graph.outputs)
    assert graph.precision
