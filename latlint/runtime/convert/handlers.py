"""How each kind of op is written: one handler a kind, after onnx2tf's module of the op (onnx2tf/ops/) and what TensorFlow's
converter makes of it (tensorflow/compiler/mlir/lite/transforms/: legalize_patterns.td, optimize_patterns.td, optimize.cc)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from latlint.graph.ops import BINARY, UNARY
from latlint.graph.types import Node
from latlint.runtime.convert.convolutions import convolution, transpose_convolution
from latlint.runtime.convert.elementwise import (
    FUSED,
    activation,
    binary,
    cast,
    clip,
    erf,
    hard_sigmoid,
    mish,
    prelu,
    reciprocal,
    select,
    softplus,
    softsign,
)
from latlint.runtime.convert.movement import (
    broadcast_to,
    concat,
    depth_to_space,
    gather,
    pad,
    reshape,
    resize,
    split,
    strided_slice,
    tile,
    transpose,
)
from latlint.runtime.convert.normalization import batch_norm, instance_norm, layer_norm, softmax
from latlint.runtime.convert.pieces import alias, other, unary
from latlint.runtime.convert.pooling import arg_extremum, pool, reduction
from latlint.runtime.convert.products import batch_matmul, einsum, fully_connected
from latlint.runtime.convert.writer import Writer

Handler = Callable[[Writer, Node], None]


#: How many operands a kind cannot do without, where it is not one.
_OPERANDS = {
    **dict.fromkeys(
        "conv1d conv2d depthwise_conv2d conv3d transpose_conv2d fully_connected batch_matmul prelu gather".split(), 2
    ),
    "select": 3,
}

#: The attributes without which a kind's handler has nothing to go by.
_ATTRIBUTES = {
    "hard_sigmoid": ("alpha", "beta"), "depth_to_space": ("block",), "space_to_depth": ("block",), "strided_slice": ("strides",),
    "max_pool2d": ("kernel", "stride"), "average_pool2d": ("kernel", "stride"), "transpose_conv2d": ("kernel", "stride"),
    "conv1d": ("kernel",), "conv2d": ("kernel",), "depthwise_conv2d": ("kernel",), "conv3d": ("kernel",),
}  # fmt: skip


#: Kinds whose later outputs are outputs of the TFLite op, or of the loop, as well.
_SEVERAL_OUTPUTS = frozenset({"split", "split_v", "lstm", "gru", "rnn"})


def convert_node(w: Writer, node: Node) -> None:
    """Write ``node`` of the source; what no handler knows keeps its kind and gets its inputs in the source's order."""
    quantized = any(w.stored_as(i).dtype in ("int8", "uint8") for i in node.outputs if i >= 0)
    if node.kind != "dequantize" and not quantized:
        _read_floats(w, node)
    try:
        _handler(w, node)(w, node)
    except (ValueError, IndexError, KeyError, ArithmeticError):
        other(w, node)  # the file's own shapes contradict each other: nothing can be said of the order of axes
    for i in node.outputs:
        if i >= 0 and i not in w.values:
            w.new(i)


def _handler(w: Writer, node: Node) -> Handler:
    """The handler of the kind, or ``other`` for a node that lacks what the handler needs."""
    least = _OPERANDS.get(node.kind, 1)
    if len(node.inputs) < least or min(node.inputs[:least], default=-1) < 0 or not node.outputs or node.outputs[0] < 0:
        return other
    if any(name not in node.attributes for name in _ATTRIBUTES.get(node.kind, ())):
        return other
    if any(i in w.values and len(w.values[i].order) != w.rank(i) for i in node.inputs):
        return other  # the file's own shapes contradict each other
    one_output = node.kind in HANDLERS and node.kind not in _SEVERAL_OUTPUTS
    if one_output and any(w.is_read(i) for i in node.outputs[1:]):
        return without_builtin
    return HANDLERS.get(node.kind, other)


def without_builtin(w: Writer, node: Node) -> None:
    """A mask, indices, a mean: outputs that no TFLite builtin of this kind has."""
    native = "FlexMaxPoolWithArgmax" if node.kind == "max_pool2d" else node.native
    other(w, replace(node, kind="unknown", native=native))


def loop(w: Writer, node: Node) -> None:
    """LSTM.py, GRU.py, RNN.py: Keras layers, which the converter leaves as loops over the steps."""
    other(w, node, "WHILE")


def _read_floats(w: Writer, node: Node) -> None:
    """An op that computes in float reads quantised values through DEQUANTIZE."""
    for i in node.inputs:
        if i >= 0 and i in w.values and w.source.tensors[i].dtype == "float32":
            value = w.values[i]
            w.values[i] = value._replace(tensor=w.dequantized(value.tensor))


def quantize(w: Writer, node: Node) -> None:
    """QUANTIZE, unless the value is computed in its quantised form already."""
    value = w.value(node.inputs[0])
    if w.tensors[value.tensor].dtype == w.source.tensors[node.outputs[0]].dtype:
        w.values[node.outputs[0]] = value
        return
    w.add("quantize", [value.tensor], [w.new(node.outputs[0], value.order)], origins=[node.index])


def dequantize(w: Writer, node: Node) -> None:
    """Nothing is written: an op that computes in float asks for the DEQUANTIZE itself."""
    alias(w, node)


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(UNARY, unary),
    **dict.fromkeys(BINARY, binary),
    **dict.fromkeys(FUSED, activation),
    **dict.fromkeys(("conv1d", "conv2d", "depthwise_conv2d", "conv3d"), convolution),
    "transpose_conv2d": transpose_convolution,
    "transpose_conv3d": transpose_convolution,
    **dict.fromkeys(("max_pool2d", "average_pool2d"), pool),
    **dict.fromkeys("mean sum reduce_max reduce_min reduce_prod reduce_l1 reduce_l2".split(), reduction),
    "fully_connected": fully_connected,
    "batch_matmul": batch_matmul,
    "einsum": einsum,
    "clip": clip,
    "relu_0_to_1": clip,
    "hard_sigmoid": hard_sigmoid,
    "reciprocal": reciprocal,
    "softplus": softplus,
    "softsign": softsign,
    "mish": mish,
    "erf": erf,
    "prelu": prelu,
    "select": select,
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "instance_norm": instance_norm,
    "softmax": softmax,
    "log_softmax": softmax,
    "identity": alias,
    "dropout": alias,
    "transpose": transpose,
    **dict.fromkeys(("reshape", "flatten", "squeeze", "expand_dims"), reshape),
    "concat": concat,
    **dict.fromkeys(("split", "split_v"), split),
    "strided_slice": strided_slice,
    **dict.fromkeys(("pad", "pad_v2", "mirror_pad"), pad),
    **dict.fromkeys(("resize_bilinear", "resize_nearest"), resize),
    **dict.fromkeys(("depth_to_space", "space_to_depth"), depth_to_space),
    "gather": gather,
    **dict.fromkeys(("arg_max", "arg_min"), arg_extremum),
    "cast": cast,
    "broadcast_to": broadcast_to,
    "tile": tile,
    **dict.fromkeys(("lstm", "gru", "rnn"), loop),
    "quantize": quantize,
    "dequantize": dequantize,
}

#: Kinds that keep their name, whose axes the converter does not move: TFLite has them as they are, or not at all.
UNHANDLED = frozenset(
    "assign_variable attention batch_to_space call constant cumsum densify detection_postprocess embedding_lookup fake_quant fill gather_nd grid_sample "
    "group_norm if l2_normalization l2_pool2d local_response_norm non_max_suppression one_hot pack random range rank read_variable reduce_all "
    "reduce_any resize_cubic reverse roi_align scatter_nd shape size slice space_to_batch svdf top_k unknown unpack variable where while".split()
)
