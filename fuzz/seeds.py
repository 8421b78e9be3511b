"""What fuzzing starts from: one tiny model for every op there is, and short pieces of the real models in ``tests/models``."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flat
from onnx import AttributeProto, ModelProto, TensorProto, defs, helper

from latlint.graph.tflite_ops import _BUILTINS, BUILTIN_NAMES

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
    """Each op on an image, with weights or small integers as further inputs."""
    image, weights, bias = _tensor([1, 8, 8, 8], 0), _tensor([8, 3, 3, 8], 0), _tensor([8], 0)
    image[7] = [-1, 8, 8, 8]  # a batch that the caller may set
    for code, name in enumerate(BUILTIN_NAMES):
        entry = _BUILTINS.get(name)
        kind = entry.options if entry else 0
        options = {"kind": "Options", **dict.fromkeys(range(6), 1)}
        for extra in ([weights, bias], [_integers(4, 1), _integers(4, 2), _integers(4, 3)], [image]):
            tensors = [image, *[dict(tensor) for tensor in extra], _tensor([1, 8, 8, 8], 0, name=b"out")]
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


def _onnx_ops() -> Iterator[bytes]:
    """Each op of the standard on images, with what it requires, at the newest opset; and some of ONNX Runtime's."""
    newest = {schema.name: schema for schema in defs.get_all_schemas() if not schema.domain}
    for schema in newest.values():
        count = max(schema.min_input, min(schema.max_input, 3))
        for constants in (0, 1, 2):
            names = [f"i{n}" for n in range(count)]
            attributes = {name: _default(item) for name, item in schema.attributes.items() if item.required}
            node = helper.make_node(schema.name, names, ["y"], **{k: v for k, v in attributes.items() if v is not None})
            yield _onnx_model([node], names, constants)
    for name in ("FusedConv", "QLinearAdd", "QLinearConcat", "Gelu", "BiasGelu", "Attention", "MultiHeadAttention"):
        yield _onnx_model(
            [helper.make_node(name, ["i0", "i1", "i2"], ["y"], domain="com.microsoft")], ["i0", "i1", "i2"], True
        )
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
        case AttributeProto.TENSOR:
            return helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0])
        case AttributeProto.GRAPH:
            return helper.make_graph([], "g", [], [])
    return None


def _onnx_model(nodes: Any, names: list[str], constants: int, functions: Any = ()) -> bytes:
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
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1), helper.make_opsetid("local", 1)]
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
