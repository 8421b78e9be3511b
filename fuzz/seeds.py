"""What fuzzing starts from: tiny models of every op there is, of ONNX in every version, some of loops, branches and quantised layers, and short pieces of the real models in ``tests/models``."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import flat
from onnx import AttributeProto, ModelProto, TensorProto, defs, helper, parser

from latlint.graph.onnx_ops import MICROSOFT_INPUTS
from latlint.graph.tflite_ops import _BUILTINS, BUILTIN_NAMES
from latlint.graph.types import NO_ATTRIBUTES

MODELS = Path(__file__).resolve().parent.parent / "tests" / "models"
#: Nodes of a piece; executions must stay cheap.
PIECE = 5
_LARGE = 1500


def seeds(form: str) -> list[bytes]:
    """The seeds for ``tflite`` or ``onnx``."""
    ops, pieces = (_tflite_ops, _tflite_pieces) if form == "tflite" else (_onnx_ops, _onnx_pieces)
    models = [gzip.decompress(path.read_bytes()) for path in sorted(MODELS.glob(f"*.{form}.gz"))]
    return [*ops(), *(piece for model in models for piece in pieces(model))]


# --- TFLite ---------------------------------------------------------------------------------------------------------------


def _tflite_ops() -> Iterator[bytes]:
    """Each op on an image, with weights or small integers as further inputs, and in int8; loops and branches."""
    yield from _tflite_bodies()
    image, weights, bias = _tensor([1, 8, 8, 8], 0), _tensor([8, 3, 3, 8], 0), _tensor([8], 0)
    image[7] = [-1, 8, 8, 8]  # a batch that the caller may set
    for code, name in enumerate(BUILTIN_NAMES):
        entry = _BUILTINS.get(name)
        kind = entry.options if entry else 0
        options = {"kind": "Options", **dict.fromkeys(range(6), 1)}
        integers = [_integers(4, 1), _integers(4, 2), _integers(4, 3)]
        for int8, extra in ((False, [weights, bias]), (False, integers), (False, [image]), (True, [weights, bias])):
            tensors = [image, *[dict(tensor) for tensor in extra], _tensor([1, 8, 8, 8], 0, name=b"out")]
            if int8:
                tensors = [
                    tensor | {1: 2 if tensor is tensors[2] else 9, 4: {"kind": "Quantization", 2: [0.5], 3: [0]}}
                    for tensor in tensors
                ]
            operator = {
                "kind": "Operator",
                0: 0,
                1: list(range(len(extra) + 1)),
                2: [len(extra) + 1],
                3: kind,
                4: options,
            }
            known = [0] + [i + 1 for i, tensor in enumerate(extra) if not tensor.get(2)]
            yield _model(tensors, [operator], [{"kind": "Code", 0: min(code, 127), 3: code}], known, [len(tensors) - 1])


def _tflite_bodies() -> Iterator[bytes]:
    """A WHILE of four rounds over an image, and an IF."""
    image, one, truth = _tensor([1, 8, 8, 8], 0), _tensor([], 2), _tensor([], 6)
    start, limit, step = ({**one, 2: buffer} for buffer in (1, 2, 3))

    def op(code: int, inputs: list[int], outputs: list[int], kind: str = "", graphs: tuple[int, ...] = ()) -> flat.Tree:
        options = {3: _BUILTINS[kind].options, 4: {"kind": "Options", 0: graphs[0], 1: graphs[1]}} if kind else {}
        return {"kind": "Operator", 0: code, 1: inputs, 2: outputs, **options}

    def graph(tensors: list[flat.Tree], inputs: list[int], outputs: list[int], *operators: flat.Tree) -> flat.Tree:
        return {"kind": "SubGraph", 0: tensors, 1: inputs, 2: outputs, 3: list(operators)}

    names = ("WHILE", "IF", "LESS", "ADD", "RELU", "TANH")
    codes = [{"kind": "Code", 0: min(code, 127), 3: code} for code in map(list(BUILTIN_NAMES).index, names)]
    buffers = [{"kind": "Buffer"}, *({"kind": "Buffer", 0: list(struct.pack("<i", value))} for value in (0, 4, 1))]
    relu, tanh = (graph([image, image], [0], [1], op(code, [0], [1])) for code in (4, 5))
    going = graph([one, image, limit, truth], [0, 1], [3], op(2, [0, 2], [3]))
    body = graph([one, image, step, one, image], [0, 1], [3, 4], op(3, [0, 2], [3]), op(4, [1], [4]))
    loop = graph([start, image, one, image], [1], [3], op(0, [0, 1], [2, 3], "WHILE", (1, 2)))
    choice = graph([truth, image, image], [0, 1], [2], op(1, [0, 1], [2], "IF", (1, 2)))
    for graphs in ([loop, going, body], [choice, relu, tanh]):
        yield flat.write({"kind": "Model", 0: 3, 1: codes, 2: graphs, 4: buffers})


def _tensor(shape: list[int], dtype: int, *, name: bytes = b"t", buffer: int = 0) -> flat.Tree:
    return {"kind": "Tensor", 0: shape, 1: dtype, 2: buffer, 3: name, 8: 1}


def _integers(count: int, buffer: int) -> flat.Tree:
    return _tensor([count], 2, name=b"c", buffer=buffer)


def _model(
    tensors: list[flat.Tree], operators: list[flat.Tree], codes: list[flat.Tree], inputs: list[int], outputs: list[int]
) -> bytes:
    numbers = [list(struct.pack("<4i", *values)) for values in ((0, 0, 0, 0), (1, 2, 2, 8), (1, 1, 1, 1))]
    buffers = [{"kind": "Buffer"}, *({"kind": "Buffer", 0: values} for values in numbers)]
    graph = {"kind": "SubGraph", 0: tensors, 1: inputs, 2: outputs, 3: operators}
    return flat.write({"kind": "Model", 0: 3, 1: codes, 2: [graph], 4: buffers})


def _tflite_pieces(data: bytes) -> Iterator[bytes]:
    """Pieces of consecutive nodes; what they read from outside, and large weights, become inputs of the graph."""
    model = flat.parse(data, most=1 << 16)
    graph = model[2][0]
    for start in range(0, len(graph[3]), PIECE):
        operators = [dict(operator) for operator in graph[3][start : start + PIECE]]
        used = sorted({i for operator in operators for slot in (1, 2) for i in operator.get(slot, ()) if i >= 0})
        place = {old: new for new, old in enumerate(used)} | {-1: -1}
        codes = sorted({operator.get(0, 0) for operator in operators})
        tensors, buffers = [], [{"kind": "Buffer"}]
        for old in used:
            tensor = dict(graph[0][old])
            tensor[3] = tensor.get(3, b"")[-16:]
            content = model[4][tensor.get(2, 0)].get(0, [])
            tensor[2] = 0
            if 0 < len(content) <= _LARGE:
                buffers.append({"kind": "Buffer", 0: content})
                tensor[2] = len(buffers) - 1
            if 4 in tensor:  # per-channel scales are as long as there are channels
                tensor[4] = {key: value[:2] if isinstance(value, list) else value for key, value in tensor[4].items()}
            tensors.append(tensor)
        for operator in operators:
            operator[0] = codes.index(operator.get(0, 0))
            for slot in (1, 2):
                operator[slot] = [place[i] for i in operator.get(slot, ())]
        written = {i for operator in operators for i in operator[2]}
        inputs = [i for i, tensor in enumerate(tensors) if not tensor[2] and i not in written]
        picked = {"kind": "SubGraph", 0: tensors, 1: inputs, 2: operators[-1][2], 3: operators}
        out = flat.write({"kind": "Model", 0: 3, 1: [model[1][code] for code in codes], 2: [picked], 4: buffers})
        if len(out) < 4096:
            yield out


# --- ONNX -------------------------------------------------------------------------------------------------------------------


_HEAD = '<ir_version: 10, opset_import: ["": 21]> g (float[N, 4, 8, 8] i0) => (y)'
#: A loop of four rounds, one whose data decide, and a Scan; quantised layers, as quantisers write them; layouts that are turned and turned back.
_TEXTS = (
    _HEAD
    + """ <int64 n = {4}, bool go = {1}> {
        k, y = Loop (n, go, i0) <body = b (int64 i, bool c, float[N, 4, 8, 8] a) => (bool d, float[N, 4, 8, 8] o, float[N, 4, 8, 8] s) {
            d = Identity (c)  o = Relu (a)  s = Sigmoid (o) }> }""",
    _HEAD
    + """ <int64 n = {9}, float zero = {0}> {
        m = ReduceMax <keepdims = 0> (i0)  go = Greater (m, zero)
        y = Loop (n, go, i0) <body = b (int64 i, bool c, float[N, 4, 8, 8] a) => (bool d, float[N, 4, 8, 8] o) {
            o = Tanh (a)  e = ReduceMax <keepdims = 0> (o)  d = Greater (e, zero) }> }""",
    _HEAD
    + """ {
        y = Scan <num_scan_inputs = 1, body = b (float[4, 8, 8] a) => (float[4, 8, 8] o) { o = Relu (a) }> (i0) }""",
    _HEAD
    + """ <float s = {0.5}, uint8 z = {0}, int8 v = {0}, float[4, 4, 1, 1] w = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}> {
        a = QuantizeLinear (i0, s, z)  b = DequantizeLinear (a, s, z)
        wq = QuantizeLinear (w, s, v)  wd = DequantizeLinear (wq, s, v)
        c = Conv (b, wd)  d = Relu (c)  e = QuantizeLinear (d, s, z)  f = DequantizeLinear (e, s, z)
        h = Add (f, b)  i = QuantizeLinear (h, s, z)  j = DequantizeLinear (i, s, z)
        k = AveragePool <kernel_shape = [2, 2]> (j)  l = QuantizeLinear (k, s, z)  y = DequantizeLinear (l, s, z) }""",
    _HEAD
    + """ <float[4, 4] w = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}> {
        a = Transpose <perm = [0, 2, 3, 1]> (i0)  b = MatMul (a, w)  c = Relu (b)  d = Softmax <axis = 3> (c)
        e = Add (c, d)  f = Transpose <perm = [0, 3, 1, 2]> (e)  h = Concat <axis = 1> (f, i0)
        y = Transpose <perm = [0, 2, 3, 1]> (h) }""",
)


def _onnx_ops() -> Iterator[bytes]:
    """Each op of the standard in each of its versions, on images, with what it requires; those of ONNX Runtime; calls, loops and quantised layers."""
    newest = {(schema.domain, schema.name): schema for schema in defs.get_all_schemas()}
    for number, schema in enumerate(defs.get_all_schemas_with_history()):
        if schema.deprecated:
            continue
        last = newest.get((schema.domain, schema.name))
        is_newest = last is not None and last.since_version == schema.since_version
        count = max(schema.min_input, min(schema.max_input, 3))
        opset = 21 if is_newest and not schema.domain else schema.since_version
        for constants in (0, 1, 2) if is_newest else (number % 3,):
            names = [f"i{n}" for n in range(count)]
            attributes = {name: _default(item) for name, item in schema.attributes.items() if item.required}
            known = {k: v for k, v in attributes.items() if v is not None}
            node = helper.make_node(schema.name, names, ["y"], domain=schema.domain, **known)
            yield _onnx_model([node], names, constants, {schema.domain: opset})
    for name, least in MICROSOFT_INPUTS.items():
        names = [f"i{n}" for n in range(max(least, 3))]
        yield _onnx_model([helper.make_node(name, names, ["y"], domain="com.microsoft")], names, True)
    yield from (bytes(parser.parse_model(text).SerializeToString()) for text in _TEXTS)
    inner = [helper.make_node("Relu", ["a"], ["t"]), helper.make_node("Clip", ["t"], ["b"])]
    function = helper.make_function("local", "f", ["a"], ["b"], inner, [helper.make_opsetid("", 17)])
    branch = helper.make_graph(inner[:1], "b", [], [helper.make_tensor_value_info("t", TensorProto.FLOAT, None)])
    calls = [
        helper.make_node("f", ["i0"], ["m"], domain="local"),
        helper.make_node("If", ["i1"], ["k"], then_branch=branch, else_branch=branch),
        helper.make_node("f", ["m"], ["y"], domain="local"),
    ]
    yield _onnx_model(calls, ["i0", "i1"], 1, functions=[function])


def _default(item: Any) -> Any:
    match int(item.type.value):
        case AttributeProto.INT:
            return 1
        case AttributeProto.INTS:
            return [1, 1]
        case AttributeProto.STRING:
            return "ij,jk->ik"
        case AttributeProto.FLOAT:
            return 1.0
        case AttributeProto.FLOATS:
            return [1.0, 1.0]
        case AttributeProto.STRINGS:
            return ["a", "b"]
        case AttributeProto.TENSOR:
            return helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0])
        case AttributeProto.GRAPH:
            return helper.make_graph([], "g", [], [])
    return None


def _onnx_model(
    nodes: Any, names: list[str], constants: int, opsets: Mapping[str, int] = NO_ATTRIBUTES, functions: Any = ()
) -> bytes:
    """``constants``: 0, none of the inputs; 1, all but the first, four integers each; 2, all of them, so that they are folded."""
    inputs, tensors = [], []
    for number, name in enumerate(names):
        if constants == 2 or (constants and number):
            values = [0, 1, 2, 2] if constants == 1 or not number else [number - 1]
            tensors.append(helper.make_tensor(name, TensorProto.INT64, [len(values)], values))
        else:
            shape = [4, 4, 3, 3] if number else ["N", 4, 8, 8]
            inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    output = helper.make_empty_tensor_value_info("y")  # whatever the op makes: a wrong type is refused
    graph = helper.make_graph(nodes, "g", inputs, [output], tensors)
    versions = {"": 21, "com.microsoft": 1, "local": 1, **opsets}
    imports = [helper.make_opsetid(domain, version) for domain, version in versions.items()]
    return bytes(helper.make_model(graph, opset_imports=imports, functions=list(functions)).SerializeToString())


def _onnx_pieces(data: bytes) -> Iterator[bytes]:
    from latlint.graph.onnx import read_onnx

    whole, model = read_onnx(data, "m.onnx"), ModelProto.FromString(data)
    shapes = {tensor.name: (tensor.dtype, tensor.shape) for tensor in whole.tensors}
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for tensor in weights.values():
        if len(tensor.raw_data) > 256:
            tensor.ClearField("raw_data")  # its dimensions stay, and latlint reads no weights anyway
    for start in range(0, len(model.graph.node), PIECE):
        nodes = model.graph.node[start : start + PIECE]
        written = {name for node in nodes for name in node.output}
        read = {name: None for node in nodes for name in node.input if name and name not in written}
        inputs = []
        for name in read:
            if name not in weights:
                dtype, shape = shapes[name]
                kind = {"float32": TensorProto.FLOAT, "bool": TensorProto.BOOL}.get(dtype, TensorProto.INT64)
                inputs.append(helper.make_tensor_value_info(name, kind, shape))
        outputs = [helper.make_empty_tensor_value_info(nodes[-1].output[0])]
        graph = helper.make_graph(nodes, "g", inputs, outputs, [weights[name] for name in read if name in weights])
        yield bytes(helper.make_model(graph, opset_imports=model.opset_import).SerializeToString())
