"""Writes ``rules/litert-2.3/kernels.txt``: which operands TensorFlow Lite's built-in kernels take, as LiteRT 2.3.0 says itself.

    python benchmarks/litert_kernels.py [OP...]         # whether the file is what the installed LiteRT says
    python benchmarks/litert_kernels.py --write

Each op is written into files of one node, in the forms below, in every number of operands around those of the form, and in every type: all types together in
up to four operands, of those that were taken each operand in all others. What loads, can be prepared and runs (on small positive
numbers) is taken. Nothing is said of an op without a form
(state, control flow, tables), nor of what a form does not vary: options, sizes, exact scales. A process that an op ends counts as refused.

A line for each op: kernels separated by ``|``, of each its operands' types separated by commas, outputs after ``>``, ``-`` for one that may be left out, ``+`` for
one that may be there more than once, ``*`` for all types. The first line has a letter for each type. A type of 16 bits or less has four letters: without quantisation,
with one scale and a zero point of 0, with one scale and another zero point, with a scale for each channel.
"""

from __future__ import annotations

import itertools
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from latlint.graph.tflite_ops import BUILTIN_NAMES
from latlint.runtime.loading import newest_versions

FILE = Path(__file__).parents[1] / "rules" / "litert-2.3" / "kernels.txt"
#: What outputs of a fixed range are quantised to, by op; else half, and 3 where there is a zero point.
_RANGES = {
    "LOGISTIC": ((1 / 256, -128), (1 / 256, 0), (1 / 32768, 0)),
    "SOFTMAX": ((1 / 256, -128), (1 / 256, 0), (1 / 32768, 0)),
    "LOG_SOFTMAX": ((16 / 256, 127), (16 / 256, 255)),
    "TANH": ((1 / 128, 0), (1 / 128, 128), (1 / 32768, 0)),
    "L2_NORMALIZATION": ((1 / 128, 0), (1 / 128, 128)),
}

_PLAIN = "float32 float16 bfloat16 float64 bool string complex64 complex128 int32 int64 uint16 uint32 uint64".split()
_QUANTISED = "int8 uint8 int16 int4".split()
_STATES = ("", "/0", "/z", "/c")
NAMES = [*_PLAIN, *(f"{dtype}{state}" for dtype in _QUANTISED for state in _STATES)]
LETTERS = {name: "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[index] for index, name in enumerate(NAMES)}
#: A line of more kernels is said with any type of output, then with any types: the op hardly looks at them.
_MANY = 24
#: An op that takes more than so many of the combinations that are asked first takes any.
_ANY = 400
#: What is asked together, beside each type in all places; all others are asked in the place of one of what was taken.
_COMMON = "float32 float16 int32 int64 bool int8 int8/0 int8/z uint8 uint8/0 uint8/z int16 int16/0".split()
_TYPES = {name.lower(): code for name, code in vars(schema.TensorType).items() if not name.startswith("_")}
_BITS = {"int4": 4}
_NUMPY = {"float16": np.float16, "float64": np.float64, "bool": np.bool_, "complex64": np.complex64, "complex128": np.complex128} | {
    name: np.dtype(name).type for name in "float32 int8 int16 int32 int64 uint8 uint16 uint32 uint64".split()
}  # fmt: skip


class Operand(NamedTuple):
    """``dims``, and the ``values`` of a constant, which is of ones where none are given. ``bias``: its scale is the product of two others. What ``steers`` an op
    (axes, indices, sizes) is an integer."""

    dims: tuple[int, ...]
    values: tuple[int, ...] | None = None
    constant: bool = False
    bias: bool = False
    steers: bool = False


class Form(NamedTuple):
    """One node: its op, its options, what it reads and how many outputs of which shape it has."""

    op: str
    options: str
    fields: dict[str, Any]
    inputs: tuple[Operand, ...]
    outputs: tuple[Operand, ...]
    many: bool = False


#: ``OPS OptionsTable(field=value) operands -> outputs``: ``2x3`` a value, ``w2x3`` weights, ``b4`` a bias, ``#1,2`` a constant vector that steers, ``#1.`` a
#: scalar that does, ``#1:`` one that does not, ``i2`` indices, ``+`` behind an operand: any number of them.
FORMS = """
FLOOR,LOGISTIC,RELU,RELU_N1_TO_1,RELU6,TANH,SIN,LOG,SQRT,RSQRT,CEIL,ELU,ROUND,RELU_0_TO_1 - 1x2x2x4 -> 1x2x2x4
EXP ExpOptions() 1x2x2x4 -> 1x2x2x4
NEG NegOptions() 1x2x2x4 -> 1x2x2x4
ABS AbsOptions() 1x2x2x4 -> 1x2x2x4
SQUARE SquareOptions() 1x2x2x4 -> 1x2x2x4
COS CosOptions() 1x2x2x4 -> 1x2x2x4
HARD_SWISH HardSwishOptions() 1x2x2x4 -> 1x2x2x4
GELU GeluOptions() 1x2x2x4 -> 1x2x2x4
SIGN SignOptions() 1x2x2x4 -> 1x2x2x4
ZEROS_LIKE ZerosLikeOptions() 1x2x2x4 -> 1x2x2x4
CAST CastOptions() 1x2x2x4 -> 1x2x2x4
DEQUANTIZE DequantizeOptions() 1x2x2x4 -> 1x2x2x4
DEQUANTIZE DequantizeOptions() w1x2x2x4 -> 1x2x2x4
QUANTIZE QuantizeOptions() 1x2x2x4 -> 1x2x2x4
SOFTMAX SoftmaxOptions(beta=1.0) 1x2x2x4 -> 1x2x2x4
LOG_SOFTMAX LogSoftmaxOptions() 1x2x2x4 -> 1x2x2x4
L2_NORMALIZATION L2NormOptions() 1x2x2x4 -> 1x2x2x4
LEAKY_RELU LeakyReluOptions(alpha=0.5) 1x2x2x4 -> 1x2x2x4
LOCAL_RESPONSE_NORMALIZATION LocalResponseNormalizationOptions(radius=1,bias=1.0,alpha=1.0,beta=1.0) 1x2x2x4 -> 1x2x2x4
LOGICAL_NOT LogicalNotOptions() 1x2x2x4 -> 1x2x2x4
FAKE_QUANT FakeQuantOptions(min=-1.0,max=1.0,numBits=8) 1x2x2x4 -> 1x2x2x4
REAL,IMAG,COMPLEX_ABS - 1x2x2x4 -> 1x2x2x4
SHAPE ShapeOptions() 1x2x2x4 -> 4
SHAPE ShapeOptions(outType=4) 1x2x2x4 -> 4
RANK RankOptions() 1x2x2x4 -> s
ADD AddOptions() 1x2x2x4 1x2x2x4 -> 1x2x2x4
ADD AddOptions(potScaleInt16=False) 1x2x2x4 1x2x2x4 -> 1x2x2x4
SUB SubOptions() 1x2x2x4 1x2x2x4 -> 1x2x2x4
SUB SubOptions(potScaleInt16=False) 1x2x2x4 1x2x2x4 -> 1x2x2x4
MUL MulOptions() 1x2x2x4 1x2x2x4 -> 1x2x2x4
DIV DivOptions() 1x2x2x4 1x2x2x4 -> 1x2x2x4
MAXIMUM,MINIMUM MaximumMinimumOptions() 1x2x2x4 1x2x2x4 -> 1x2x2x4
LESS LessOptions() 1x2x2x4 1x2x2x4 -> 1x2x2x4
LESS_EQUAL LessEqualOptions() 1x2x2x4 1x2x2x4 -> 1x2x2x4
GREATER GreaterOptions() 1x2x2x4 1x2x2x4 -> 1x2x2x4
GREATER_EQUAL GreaterEqualOptions() 1x2x2x4 1x2x2x4 -> 1x2x2x4
EQUAL EqualOptions() 1x2x2x4 1x2x2x4 -> 1x2x2x4
NOT_EQUAL NotEqualOptions() 1x2x2x4 1x2x2x4 -> 1x2x2x4
LOGICAL_AND LogicalAndOptions() 1x2x2x4 1x2x2x4 -> 1x2x2x4
LOGICAL_OR LogicalOrOptions() 1x2x2x4 1x2x2x4 -> 1x2x2x4
POW PowOptions() 1x2x2x4 1x2x2x4 -> 1x2x2x4
FLOOR_DIV FloorDivOptions() 1x2x2x4 1x2x2x4 -> 1x2x2x4
FLOOR_MOD FloorModOptions() 1x2x2x4 1x2x2x4 -> 1x2x2x4
SQUARED_DIFFERENCE SquaredDifferenceOptions() 1x2x2x4 1x2x2x4 -> 1x2x2x4
PRELU - 1x2x2x4 w1x1x4 -> 1x2x2x4
ATAN2,BITWISE_XOR,RIGHT_SHIFT - 1x2x2x4 1x2x2x4 -> 1x2x2x4
CONV_2D Conv2DOptions(strideW=1,strideH=1) 1x4x4x4 w4x1x1x4 b4 -> 1x4x4x4
DEPTHWISE_CONV_2D DepthwiseConv2DOptions(strideW=1,strideH=1,depthMultiplier=1) 1x4x4x4 w1x1x1x4 b4 -> 1x4x4x4
FULLY_CONNECTED FullyConnectedOptions() 2x4 w4x4 b4 -> 2x4
FULLY_CONNECTED FullyConnectedOptions(asymmetricQuantizeInputs=True) 2x4 w4x4 b4 -> 2x4
TRANSPOSE_CONV TransposeConvOptions(strideW=1,strideH=1) #1,4,4,4 w4x1x1x4 1x4x4x4 b4 -> 1x4x4x4
TRANSPOSE_CONV TransposeConvOptions(strideW=1,strideH=1) #1,4,4,4 w4x1x1x4 1x4x4x4 -> 1x4x4x4
CONV_3D Conv3DOptions(strideD=1,strideW=1,strideH=1) 1x4x4x4x4 w1x1x1x4x4 b4 -> 1x4x4x4x4
CONV_3D_TRANSPOSE Conv3DOptions(strideD=1,strideW=1,strideH=1) #1,4,4,4,4 w1x1x1x4x4 1x4x4x4x4 -> 1x4x4x4x4
BATCH_MATMUL BatchMatMulOptions() 1x4x4 1x4x4 -> 1x4x4
BATCH_MATMUL BatchMatMulOptions() 1x4x4 w1x4x4 -> 1x4x4
BATCH_MATMUL BatchMatMulOptions(asymmetricQuantizeInputs=True) 1x4x4 w1x4x4 -> 1x4x4
MAX_POOL_2D,AVERAGE_POOL_2D,L2_POOL_2D Pool2DOptions(strideW=1,strideH=1,filterWidth=1,filterHeight=1) 1x2x2x4 -> 1x2x2x4
MEAN,SUM,REDUCE_MAX,REDUCE_MIN,REDUCE_PROD,REDUCE_ANY,REDUCE_ALL ReducerOptions() 1x2x2x4 #1,2 -> 1x4
CONCATENATION ConcatenationOptions(axis=3) 1x2x2x4 1x2x2x4+ -> 1x2x2x8
CONCATENATION ConcatenationOptions(axis=3) 1x2x2x4+ -> 1x2x2x4
PACK PackOptions(valuesCount=2,axis=0) 2x4 2x4+ -> 2x2x4
PACK PackOptions(valuesCount=1,axis=0) 2x4+ -> 1x2x4
ADD_N AddNOptions() 2x4 2x4+ -> 2x4
UNPACK UnpackOptions(num=2,axis=0) 2x4 -> 4 4+
UNPACK UnpackOptions(num=1,axis=0) 1x4 -> 4+
SPLIT SplitOptions(numSplits=2) #0. 2x4 -> 1x4 1x4+
SPLIT SplitOptions(numSplits=1) #0. 2x4 -> 2x4+
SPLIT_V SplitVOptions(numSplits=2) 2x4 #1,1 #0. -> 1x4 1x4+
SPLIT_V SplitVOptions(numSplits=1) 2x4 #2 #0. -> 2x4+
RESHAPE ReshapeOptions(newShape=[2,8]) 1x2x2x4 -> 2x8
RESHAPE ReshapeOptions(newShape=[2,8]) 1x2x2x4 #2,8 -> 2x8
ARG_MAX ArgMaxOptions(outputType=2) 1x2x2x4 #1 -> 1x2x4
ARG_MIN ArgMinOptions(outputType=2) 1x2x2x4 #1 -> 1x2x4
ARG_MAX ArgMaxOptions(outputType=4) 1x2x2x4 #1 -> 1x2x4
ARG_MIN ArgMinOptions(outputType=4) 1x2x2x4 #1 -> 1x2x4
CUMSUM CumsumOptions() 1x2x2x4 #1. -> 1x2x2x4
GATHER GatherOptions(axis=0) 2x4 i2 -> 2x4
GATHER_ND GatherNdOptions() 2x4 i2x1 -> 2x4
ONE_HOT OneHotOptions(axis=-1) i2 #4. #1: #0: -> 2x4
EXPAND_DIMS ExpandDimsOptions() 2x4 #0. -> 1x2x4
SQUEEZE SqueezeOptions(squeezeDims=[0]) 1x2x4 -> 2x4
PAD PadOptions() 1x2x2x4 #0,0,1,1,1,1,0,0*4x2 -> 1x4x4x4
PADV2 PadV2Options() 1x2x2x4 #0,0,1,1,1,1,0,0*4x2 #3: -> 1x4x4x4
MIRROR_PAD MirrorPadOptions() 1x2x2x4 #0,0,1,1,1,1,0,0*4x2 -> 1x4x4x4
BATCH_TO_SPACE_ND BatchToSpaceNDOptions() 4x2x2x4 #2,2 #0,0,0,0*2x2 -> 1x4x4x4
SPACE_TO_BATCH_ND SpaceToBatchNDOptions() 1x4x4x4 #2,2 #0,0,0,0*2x2 -> 4x2x2x4
TRANSPOSE TransposeOptions() 1x2x2x4 #0,2,1,3 -> 1x2x2x4
SLICE SliceOptions() 1x2x2x4 #0,0,0,0 #1,2,2,2 -> 1x2x2x2
STRIDED_SLICE StridedSliceOptions() 1x2x2x4 #0,0,0,0 #1,2,2,2 #1,1,1,1 -> 1x2x2x2
RESIZE_BILINEAR ResizeBilinearOptions() 1x2x2x4 #4,4 -> 1x4x4x4
RESIZE_NEAREST_NEIGHBOR ResizeNearestNeighborOptions() 1x2x2x4 #4,4 -> 1x4x4x4
DEPTH_TO_SPACE DepthToSpaceOptions(blockSize=2) 1x2x2x4 -> 1x4x4x1
SPACE_TO_DEPTH SpaceToDepthOptions(blockSize=2) 1x2x2x4 -> 1x1x1x16
TOPK_V2 TopKV2Options() 1x4 #2. -> 1x2 i1x2
SELECT SelectOptions() 2x4 2x4 2x4 -> 2x4
SELECT_V2 SelectV2Options() 2x4 2x4 2x4 -> 2x4
REVERSE_V2 ReverseV2Options() 2x4 #1 -> 2x4
REVERSE_SEQUENCE ReverseSequenceOptions(seqDim=1,batchDim=0) 2x4 i2 -> 2x4
TILE TileOptions() 2x4 #2,1 -> 4x4
BROADCAST_TO BroadcastToOptions() 1x4 #2,4 -> 2x4
BROADCAST_ARGS - #2,4 #1,4 -> 2
FILL FillOptions() #2,4 #3: -> 2x4
RANGE RangeOptions() #0: #4: #1: -> 4
WHERE WhereOptions() 2x4 -> i8x2
UNIQUE UniqueOptions(idxOutType=2) 4 -> 4 i4
UNIQUE UniqueOptions(idxOutType=4) 4 -> 4 i4
EMBEDDING_LOOKUP - i2 w4x4 -> 2x4
SCATTER_ND ScatterNdOptions() i2x1 2x4 #4,4 -> 4x4
SPARSE_TO_DENSE SparseToDenseOptions() i2 #4 2 #0: -> 4
DYNAMIC_UPDATE_SLICE DynamicUpdateSliceOptions() 4x4 1x4 i2 -> 4x4
SEGMENT_SUM SegmentSumOptions() 2x4 #0,1 -> 2x4
UNSORTED_SEGMENT_SUM UnsortedSegmentSumOptions() 2x4 i2 #2. -> 2x4
UNSORTED_SEGMENT_MAX UnsortedSegmentMaxOptions() 2x4 i2 #2. -> 2x4
UNSORTED_SEGMENT_MIN UnsortedSegmentMinOptions() 2x4 i2 #2. -> 2x4
UNSORTED_SEGMENT_PROD UnsortedSegmentProdOptions() 2x4 i2 #2. -> 2x4
MATRIX_DIAG MatrixDiagOptions() 2x4 -> 2x4x4
MATRIX_SET_DIAG MatrixSetDiagOptions() 4x4 4 -> 4x4
BUCKETIZE BucketizeOptions(boundaries=[1.0,2.0]) 2x4 -> 2x4
"""


def forms(ops: Iterable[str] = ()) -> dict[str, list[Form]]:
    """The forms of each op, of ``ops`` or of all."""
    found: dict[str, list[Form]] = {}
    for line in FORMS.strip().splitlines():
        left, _, made = line.partition(" -> ")
        names, options, *words = left.split()
        table, _, fields = options.rstrip(")").partition("(")
        values = eval(f"dict({fields})") if fields else {}
        for op in names.split(","):
            if not ops or op in ops:
                many = "+" in line
                read, written = (tuple(map(_operand, side)) for side in (words, made.split()))
                found.setdefault(op, []).append(Form(op, table.strip("-"), values, read, written, many))
    return found


def _operand(word: str) -> Operand:
    word = word.rstrip("+")
    if word.startswith("#"):
        text, _, shape = word[1:].partition("*")
        values = tuple(int(each) for each in text.rstrip(".:").split(","))
        dims = () if text[-1] in ".:" else _dims(shape) if shape else (len(values),)
        return Operand(dims, values, constant=True, steers=text[-1] != ":")
    return Operand(_dims(word.lstrip("wbi")), constant=word[0] in "wb", bias=word[0] == "b", steers=word[0] == "i")


def _dims(word: str) -> tuple[int, ...]:
    return () if word == "s" else tuple(map(int, word.split("x")))


# --- Files of one node -----------------------------------------------------------------------------------------------------------


def written(form: Form, names: tuple[str, ...], ranges: tuple[float, int] | None = None, axis: int = 0) -> bytes:
    """The file of a form in types, one for each operand, outputs last. ``ranges``: scale and zero point of the outputs that are quantised."""
    buffers, tensors, indices = [schema.BufferT()], [], []
    for place, (operand, name) in enumerate(zip((*form.inputs, *form.outputs), names, strict=True)):
        if name == "-":
            indices.append(-1)
            continue
        dtype, _, state = name.partition("/")
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer, tensor.hasRank = list(operand.dims), _TYPES[dtype], 0, True
        if operand.constant:
            buffer = schema.BufferT()
            buffer.data = _data(operand, dtype)
            buffers.append(buffer)
            tensor.buffer = len(buffers) - 1
        if state or (dtype in ("int32", "int64") and operand.bias):
            quantization = schema.QuantizationParametersT()
            count = operand.dims[axis] if state == "c" and operand.dims else 1
            scale, zero = (0.25 if operand.bias else 0.5), 3 if state == "z" else 0
            if ranges is not None and place >= len(form.inputs):
                scale, zero = ranges
            quantization.scale, quantization.zeroPoint = [scale] * count, [zero] * count
            quantization.quantizedDimension = axis % max(len(operand.dims), 1) if state == "c" else 0
            tensor.quantization = quantization
        indices.append(len(tensors))
        tensors.append(tensor)
    operator = schema.OperatorT()
    operator.opcodeIndex = 0
    operator.inputs, operator.outputs = indices[: len(form.inputs)], indices[len(form.inputs) :]
    if form.options:
        options = getattr(schema, f"{form.options}T")()
        for field, value in form.fields.items():
            setattr(options, field, value)
        operator.builtinOptionsType, operator.builtinOptions = getattr(schema.BuiltinOptions, form.options), options
    code, graph, model = schema.OperatorCodeT(), schema.SubGraphT(), schema.ModelT()
    number = BUILTIN_NAMES.index(form.op)
    code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), _version(form.op)
    given = [index for operand, index in zip(form.inputs, operator.inputs, strict=True) if not operand.constant]
    graph.tensors, graph.operators = tensors, [operator]
    graph.inputs, graph.outputs = [index for index in given if index >= 0], operator.outputs
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], buffers
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _version(op: str) -> int:
    return newest_versions("litert-2.3/xnnpack")[op]


def _data(operand: Operand, dtype: str) -> Any:
    count = int(np.prod(operand.dims))
    if dtype in _BITS or dtype not in _NUMPY:
        return np.zeros(-(-count * _BITS.get(dtype, 16) // 8), np.uint8)
    values = np.ones(count) if operand.values is None else np.array(operand.values)
    return np.frombuffer(values.astype(_NUMPY[dtype]).tobytes(), np.uint8)


#: Reads a number, answers it with what it says of the file. An op may end the process, also later than it is asked of it: another follows, and says so.
_LOADER = """
import os, signal, sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
def said():
    with open(sys.argv[1], "rb") as file:
        content = file.read()
    try:
        made = Interpreter(model_content=content, experimental_op_resolver_type=plain)
        made.allocate_tensors()
    except Exception:
        return b"0"
    try:
        for each in made.get_input_details():
            made.set_tensor(each["index"], np.full(each["shape"], 1 + each["quantization"][1], each["dtype"]))
        made.invoke()
    except Exception:
        return b"1"
    return b"2"
while True:
    if os.fork() == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        while number := os.read(0, 1):
            signal.alarm(1)
            answer = said()
            signal.alarm(0)
            os.write(1, number + answer)
        os._exit(0)
    _, status = os.wait()
    if status == 0:
        os._exit(0)
    os.write(1, b"\\xff-")
"""
_ENDED = 255


class Loader:
    """LiteRT's interpreter without delegates, in processes of their own: one that an op ends is followed by another."""

    def __init__(self) -> None:
        self.number = 0
        self.place = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self.file = Path(self.place.name) / "m.tflite"
        command = [sys.executable, "-c", _LOADER, str(self.file)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    def takes(self, content: bytes) -> str:
        """``0``: it refuses the file; ``1``: it loads and prepares it; ``2``: it runs it. What ends the process twice is refused."""
        assert self.process.stdin and self.process.stdout
        self.file.write_bytes(content)
        self.number = (self.number + 1) % _ENDED
        for _ in range(2):
            self.process.stdin.write(bytes([self.number]))
            while True:
                number, answer = self._read(2)
                if number in (self.number, _ENDED):
                    break
            if number != _ENDED:
                return chr(answer)
        return "0"

    def _read(self, count: int) -> bytes:
        """What the processes say next; after a while of silence, that one has ended."""
        assert self.process.stdout
        found = b""
        while len(found) < count:
            if not select.select([self.process.stdout], [], [], 5)[0]:
                return bytes([_ENDED, 0])
            found += self.process.stdout.read(count - len(found)) or b""
        return found


# --- What is asked ---------------------------------------------------------------------------------------------------------------

Word = tuple[str, ...]


def taken(form: Form, loader: Loader) -> tuple[set[Word], bool]:
    """The types, outputs last, that the op takes in this form; and whether it takes any."""
    places = [*form.inputs, *form.outputs]
    asked: dict[Word, bool] = {}

    def runs(word: Word) -> bool:
        if word not in asked:
            asked[word] = any(loader.takes(each) >= _needed(word) for each in _files(form, word))
        return asked[word]

    steering = ["int32", "int64"]
    values = [place for place in places if not place.steers]
    common = [steering if place.steers else NAMES if len(values) <= 2 else _COMMON for place in places]
    starts: Iterable[Word] = itertools.product(*common) if len(values) <= 3 else _recipes(places)
    alike = (tuple("int32" if place.steers else name for place in places) for name in NAMES)
    found = {word for word in (*starts, *alike) if runs(word)}
    if len(found) > _ANY:
        return found, len(values) > 2
    others = {word for each in found for word in _around(each) if _steered(places, word)}
    return found | {word for word in others if runs(word)}, False


def _steered(places: Sequence[Operand], word: Word) -> bool:
    """Whether what steers an op is an integer. Kernels that do not look at its type read beyond its data where it is smaller, and take what lies there."""
    return all(name in ("int32", "int64") for place, name in zip(places, word, strict=True) if place.steers)


def _around(word: Word) -> Iterator[Word]:
    """The word with another type in one place, or in all places of one type."""
    for name in NAMES:
        for place in range(len(word)):
            yield (*word[:place], name, *word[place + 1 :])
        for old in set(word):
            yield tuple(name if each == old else each for each in word)


def _needed(word: Word) -> str:
    """Values of text are not made here: that they can be prepared is enough."""
    return "1" if "string" in word else "2"


def _files(form: Form, word: Word) -> Iterator[bytes]:
    ranges: list[tuple[float, int] | None] = [None]
    if any("/" in name for name in word[len(form.inputs) :]):
        zero = any(name.endswith("/z") for name in word[len(form.inputs) :])
        ranges += [each for each in _RANGES.get(form.op, ()) if bool(each[1]) == zero]
    axes = [0, -1] if any(name.endswith("/c") for name in word) else [0]
    for limits, axis in itertools.product(ranges, axes):
        yield written(form, word, limits, axis)


def _recipes(places: list[Operand]) -> Iterator[Word]:
    """Types for many operands: of values, of weights, of biases, of outputs, each the same; of what steers, integers."""
    values, weights = _COMMON, [*_COMMON, "int8/c", "int4/0", "int4/c"]
    has_weights = any(place.constant and not (place.steers or place.bias) and place.values is None for place in places)
    has_bias = any(place.bias for place in places)
    asked = (
        values,
        weights if has_weights else [""],
        ["float32", "int32", "int64"] if has_bias else [""],
        ["int32", "int64"],
    )
    for value, weight, bias, steering in itertools.product(*asked):
        word = tuple(
            steering if place.steers
            else bias if place.bias
            else weight if has_weights and place.constant
            else value
            for place in places
        )  # fmt: skip
        yield word
        yield ("bool", *word[1:])  # what a selection goes by


def counted_forms(form: Form, word: Word, loader: Loader) -> Iterator[Form]:
    """The form with other numbers of operands that LiteRT takes as well, one after the other left out, or one more of the last."""
    inputs, types = form.inputs, word[: len(form.inputs)]
    made = word[len(form.inputs) :]
    for count in range(len(inputs)):
        one = form._replace(inputs=inputs[:count])
        if loader.takes(written(one, (*types[:count], *made))) == "2":
            yield one
    if not form.many:
        one = form._replace(inputs=(*inputs, inputs[-1]))
        if loader.takes(written(one, (*types, types[-1], *made))) == "2":
            yield one
        two = form._replace(outputs=(*form.outputs, form.outputs[-1]))
        if loader.takes(written(two, (*types, *made, made[-1]))) == "2":
            yield two


def left_out(form: Form, word: Word, loader: Loader) -> list[int]:
    """The inputs that may be -1."""
    return [
        place
        for place in range(len(form.inputs))
        if loader.takes(written(form, (*word[:place], "-", *word[place + 1 :]))) == "2"
    ]


def kernels(op: str, of: list[Form], loader: Loader) -> str:
    """The line of one op, without its name."""
    lines: list[str] = []
    todo, seen = list(of), set()
    while todo:
        form = todo.pop(0)
        counts = (len(form.inputs), len(form.outputs), form.options, str(form.fields), str(form.inputs))
        if counts in seen:
            continue
        seen.add(counts)
        found, every = taken(form, loader)
        if not found:
            continue
        plain = min(found, key=lambda word: (word[0] != "float32", sum(name != "float32" for name in word), word))
        if form in of:
            todo += list(counted_forms(form, plain, loader))
        missing = left_out(form, plain, loader)
        boxes = [(frozenset[str](),) * len(plain)] if every else merged(found)
        if len(boxes) > _MANY:
            count = len(form.inputs)
            boxes = [box + (frozenset(),) * len(form.outputs) for box in merged(word[:count] for word in found)]
        if len(boxes) > _MANY:
            boxes = [(frozenset(),) * len(plain)]
        lines += [_text(box, form, missing) for box in boxes]
    return "|".join(dict.fromkeys(lines))


def merged(words: Iterable[Word]) -> list[tuple[frozenset[str], ...]]:
    """The same words as products of sets, fewer of them."""
    found = {tuple(frozenset((name,)) for name in word) for word in words}
    changed = True
    while changed:
        changed = False
        for place in range(len(next(iter(found), ()))):
            groups: dict[Any, set[str]] = {}
            for box in found:
                groups.setdefault((box[:place], box[place + 1 :]), set()).update(box[place])
            joined = {(*before, frozenset(names), *after) for (before, after), names in groups.items()}
            changed |= len(joined) < len(found)
            found = joined
    return sorted(found, key=lambda box: [sorted(names, key=NAMES.index) for names in box])


def _text(box: tuple[frozenset[str], ...], form: Form, missing: list[int]) -> str:
    slots = ["".join(LETTERS[name] for name in NAMES if name in names) or "*" for names in box]
    slots = [f"-{slot}" if place in missing else slot for place, slot in enumerate(slots)]
    read, made = slots[: len(form.inputs)], slots[len(form.inputs) :]
    if form.many:
        side = made if len(form.outputs) > 1 or form.op in ("UNPACK", "SPLIT", "SPLIT_V") else read
        side[-1] += "+"
    return f"{','.join(read)}>{','.join(made)}"


def table(ops: Iterable[str] = ()) -> dict[str, str]:
    loader, found = Loader(), {}
    for op, of in sorted(forms(ops).items()):
        if line := kernels(op, of, loader):
            found[op] = line
            print(op, line[:200], file=sys.stderr, flush=True)
    return found


def head() -> str:
    return "types " + " ".join(f"{letter}={name}" for name, letter in LETTERS.items())


def main() -> int:
    ops = [each for each in sys.argv[1:] if not each.startswith("--")]
    said = table(ops)
    old = dict(line.split(" ", 1) for line in FILE.read_text("utf-8").splitlines()[1:]) if FILE.exists() else {}
    if "--write" in sys.argv[1:]:
        lines = (old if ops else {}) | said
        FILE.write_text("\n".join([head(), *(f"{op} {lines[op]}" for op in sorted(lines))]) + "\n", "utf-8")
        return 0
    other = [op for op, line in said.items() if line != old.get(op)]
    print("the same" if not other else f"another: {', '.join(other)}")
    return int(bool(other))


if __name__ == "__main__":
    sys.exit(main())
