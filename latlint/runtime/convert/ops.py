"""How each kind of op is written: one handler a kind, after onnx2tf's module of the op (onnx2tf/ops/) and what TensorFlow's
converter makes of it (tensorflow/compiler/mlir/lite/transforms/: legalize_patterns.td, optimize_patterns.td, optimize.cc)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

from latlint.graph.ops import BINARY, UNARY
from latlint.graph.types import Node
from latlint.runtime.convert.writer import Draft, Order, Shape, Writer, channels_last, identity, permuted

Handler = Callable[[Writer, Node], None]

#: Fused into the op that writes their input (optimize_patterns.td: FuseActFnIntoConvOpPat, FuseActFnIntoPoolOpPat,
#: FusedBinaryActivationFuncOpPat; optimize.cc: FuseFullyConnectedAndReluX).
_FUSED = frozenset({"relu", "relu6", "relu_n1_to_1"})
_TAKES_ACTIVATION = frozenset(
    "conv2d depthwise_conv2d fully_connected max_pool2d average_pool2d add sub mul div".split()
)

#: Take up a constant per channel that follows them (optimize_patterns.td: FuseBinaryOpToPrecedingAffine,
#: FuseMulOrDivWithConv2dOrDepthwiseConv2d; optimize.cc: FuseFullyConnectedAndAdd, FuseFullyConnectedAndMul).
_AFFINE = frozenset("conv2d depthwise_conv2d transpose_conv2d fully_connected".split())

_ARITHMETIC = frozenset("add sub mul div".split())
_COMPARISONS = frozenset("equal not_equal greater greater_equal less less_equal".split())

#: optimize_patterns.td, MatchHardSwishPattern: the constant must be this float exactly.
_SIXTH = 0.1666666716337204

MAX_SPLIT_GROUPS = 4096


def convert_node(w: Writer, node: Node) -> None:
    """Write ``node`` of the source; what no handler knows keeps its kind and gets its inputs in the source's order."""
    quantized = any(w.stored_as(i).dtype in ("int8", "uint8") for i in node.outputs if i >= 0)
    handler = HANDLERS.get(node.kind, other)
    if node.kind != "dequantize" and not quantized:
        _read_floats(w, node)
    handler(w, node)
    for i in node.outputs:
        if i >= 0 and i not in w.values:
            w.new(i)


def _read_floats(w: Writer, node: Node) -> None:
    """An op that computes in float reads quantised values through DEQUANTIZE."""
    for i in node.inputs:
        if i >= 0 and i in w.values and w.source.tensors[i].dtype == "float32":
            value = w.values[i]
            w.values[i] = replace(value, tensor=w.dequantized(value.tensor))


# --- Shared pieces --------------------------------------------------------------------------------------------------------------


def _producer(w: Writer, i: int) -> Draft | None:
    """The op that wrote value ``i``, when nothing else reads the value and it is stored as written."""
    if i not in w.values or not w.sole(i):
        return None
    value = w.values[i]
    return w.written_by.get(value.tensor) if not value.pending and w.read_by[value.tensor] == 0 else None


def _padded(w: Writer, tensor: int, pads: tuple[tuple[int, int], ...], fill: float | None = None) -> int:
    """``tensor`` behind an explicit PAD, or PADV2 with ``fill``; ``pads`` are in stored order."""
    if not any(any(pair) for pair in pads):
        return tensor
    source = w.tensors[tensor]
    shape = None
    if source.shape is not None:
        shape = tuple(
            -1 if dim < 0 else dim + before + after for dim, (before, after) in zip(source.shape, pads, strict=True)
        )
    out = w.temporary(f"{source.name}/pad", shape, source.dtype, source.quantization)
    table = w.integers([n for pair in pads for n in pair], (len(pads), 2))
    if fill is None:
        w.add("pad", [tensor, table], [out], {"pads": pads})
    else:
        w.add("pad_v2", [tensor, table, w.number(fill, source.dtype)], [out], {"pads": pads, "value": fill})
    return out


def _around(padding: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """``(top, bottom, left, right)``, or begins and ends of three dims, as pads of a channels-last value."""
    if len(padding) == 4:
        spatial = ((padding[0], padding[1]), (padding[2], padding[3]))
        return ((0, 0), *spatial, (0, 0))
    half = len(padding) // 2
    return ((0, 0), *zip(padding[:half], padding[half:], strict=True), (0, 0))


def _same_padding(sizes: Shape, kernel: Shape, stride: Shape, dilation: Shape) -> tuple[int, ...]:
    """What TensorFlow's SAME adds, ``(top, bottom, left, right)`` (kernels/padding.h)."""
    out: list[int] = []
    for size, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
        total = max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
        out += [total // 2, total - total // 2]
    return tuple(out)


def _bias(w: Writer, node: Node, channels: int) -> int:
    """The bias; TensorFlow's converter adds one of zeros where there is none."""
    if len(node.inputs) > 2 and node.inputs[2] >= 0:
        return w.read(node.inputs[2])
    return w.zeros(max(channels, 0))


def _copied(node: Node, *names: str) -> dict[str, Any]:
    return {name: node.attributes[name] for name in names if name in node.attributes}


# --- Convolutions ---------------------------------------------------------------------------------------------------------------


def convolution(w: Writer, node: Node) -> None:
    """Conv.py: SAME where output and input are of one size, else PAD and VALID; depthwise where every channel is a group."""
    data, merged = _behind_pad(w, node)
    shape, out_shape = w.shape(data), w.shape(node.outputs[0])
    filters = w.shape(node.inputs[1])
    kind, attributes = node.kind, dict(node.attributes)
    rank = len(filters) if filters else 4
    if kind == "depthwise_conv2d" and len(set(attributes.get("stride", ()))) > 1:
        kind = "conv2d"
        attributes.pop("multiplier", None)
    order = channels_last(rank)
    x = w.read(data, order)
    padding = (
        tuple(a + b for a, b in zip(attributes.get("padding", ()), merged, strict=False))
        if merged
        else attributes.get("padding")
    )
    if padding is not None and shape is not None and out_shape is not None:
        if attributes.pop("auto_pad", "") == "SAME_UPPER" or _is_same(padding, shape[2:], out_shape[2:]):
            attributes["padding"] = padding
        else:
            x = _padded(w, x, _around(padding))
            attributes["padding"] = (0,) * len(padding)
    weights = _filter(w, node.inputs[1], kind)
    bias = _bias(w, node, filters[0] if filters else 0)
    if kind == "conv1d":
        _convolution_1d(w, node, x, weights, bias, attributes)
        return
    origins = [node.index, *([w.producers[node.inputs[0]].index] if merged else [])]
    w.add(kind, [x, weights, bias], [w.new(node.outputs[0], order)], attributes, origins=origins)


def _is_same(padding: tuple[int, ...], before: Shape, after: Shape) -> bool:
    return all(begin == end for begin, end in _around(padding)[1:-1]) and before == after and -1 not in before


def _behind_pad(w: Writer, node: Node) -> tuple[int, tuple[int, ...]]:
    """The convolution's data, and the zero padding of a Pad before it that only it reads
    (onnxruntime's pad_fusion.cc, which simplification before conversion applies)."""
    data = node.inputs[0]
    pad = w.producers.get(data)
    if pad is None or not pads_into(w, pad, node):
        return data, ()
    pairs = pad.attributes["pads"]
    if len(pairs) == 4:
        return pad.inputs[0], (*pairs[2], *pairs[3])
    return pad.inputs[0], (*(p[0] for p in pairs[2:]), *(p[1] for p in pairs[2:]))


def pads_into(w: Writer, pad: Node, conv: Node) -> bool:
    """Does the constant zero Pad ``pad`` become part of ``conv``?"""
    pairs = pad.attributes.get("pads")
    if pad.kind != "pad" or pairs is None or conv.kind not in ("conv1d", "conv2d", "depthwise_conv2d", "conv3d"):
        return False
    plain = "auto_pad" not in conv.attributes and "padding" in conv.attributes
    spatial = not any(pairs[0]) and not any(pairs[1]) and all(n >= 0 for pair in pairs[2:] for n in pair)
    return plain and spatial and w.sole(pad.outputs[0]) and conv.inputs[0] == pad.outputs[0]


def _filter(w: Writer, i: int, kind: str) -> int:
    """The filter as TFLite stores it: (O, *kernel, I); depthwise (1, H, W, O); CONV_3D (D, H, W, I, O)."""
    shape = w.shape(i)
    if shape is None:
        return w.read(i)
    if kind == "depthwise_conv2d":
        return w.constant_of(i, shape=(1, *shape[2:], shape[0])) if i in w.folded else w.read(i, (1, 2, 3, 0))
    if kind == "conv3d":
        return w.read(i, (*range(2, len(shape)), 1, 0))
    return w.read(i, (0, *range(2, len(shape)), 1))


def _convolution_1d(w: Writer, node: Node, x: int, weights: int, bias: int, attributes: dict[str, Any]) -> None:
    """tf.nn.conv1d: a two-dimensional convolution of one row."""
    out_shape = permuted(w.shape(node.outputs[0]), channels_last(3))
    stored = w.tensors[x].shape
    attributes = _two_dimensional(attributes)
    if stored is None or out_shape is None:
        w.add(
            "conv2d", [x, weights, bias], [w.new(node.outputs[0], channels_last(3))], attributes, origins=[node.index]
        )
        return
    row = w.reshaped(x, (stored[0], 1, *stored[1:]))
    filters = w.tensors[weights]
    if filters.shape is not None and len(filters.shape) == 3:
        weights = w.tensor(replace(filters, shape=(filters.shape[0], 1, *filters.shape[1:])))
    name = w.source.tensors[node.outputs[0]]
    wide = w.temporary(f"{name.name}/row", (out_shape[0], 1, *out_shape[1:]), name.dtype)
    w.add("conv2d", [row, weights, bias], [wide], attributes, origins=[node.index])
    w.is_new(node.outputs[0], w.reshaped(wide, out_shape, [node.index]), channels_last(3))


def _two_dimensional(attributes: dict[str, Any]) -> dict[str, Any]:
    """A window over one dimension as one over two, of height 1."""
    out = dict(attributes)
    for name in ("kernel", "stride", "dilation"):
        if name in out and len(out[name]) == 1:
            out[name] = (1, *out[name])
    if len(out.get("padding", ())) == 2:
        out["padding"] = (0, 0, *out["padding"])
    return out


def transpose_convolution(w: Writer, node: Node) -> None:
    """ConvTranspose.py: SAME or VALID where TensorFlow has the same size; else VALID and a crop; groups as one op each."""
    rank = max(w.rank(node.inputs[0]), 3)
    order, attributes = channels_last(rank), dict(node.attributes)
    attributes.pop("output_padding", None)
    x, groups = w.read(node.inputs[0], order), attributes.pop("groups", 1)
    shape, filters, out_shape = w.shape(node.inputs[0]), w.shape(node.inputs[1]), w.shape(node.outputs[0])
    if shape is None or filters is None or out_shape is None or rank != 4 or groups > MAX_SPLIT_GROUPS:
        w.add(node.kind, [x, w.read(node.inputs[1])], [w.new(node.outputs[0], order)], attributes, origins=[node.index])
        return
    channels = filters[1] * groups
    tensor, sizes = w.source.tensors[node.outputs[0]], permuted(out_shape, order) or ()
    same = all(out == size * s for out, size, s in zip(sizes[1:3], shape[2:], attributes["stride"], strict=True))
    full = sizes
    if same and any(attributes.get("padding", ())):
        attributes["padding"] = _same_padding(sizes[1:3], attributes["kernel"], attributes["stride"], (1, 1))
    else:
        reach = tuple(
            s * (n - 1) + (k - 1) * d + 1
            for n, k, s, d in zip(
                shape[2:], attributes["kernel"], attributes["stride"], attributes["dilation"], strict=True
            )
        )
        full = (sizes[0], *(max(r, n) for r, n in zip(reach, sizes[1:3], strict=True)), sizes[3])
    attributes |= {"groups": 1} if same or full == sizes else {"groups": 1, "padding": (0, 0, 0, 0)}
    out = _transposed_groups(w, node, x, groups, full, attributes)
    if full != sizes:
        top, _, left, _ = node.attributes.get("padding", (0, 0, 0, 0))
        begin = (0, top, left, 0)
        out = _sliced(w, out, begin, tuple(b + n for b, n in zip(begin, sizes, strict=True)), [node.index])
    w.is_new(node.outputs[0], out, order)
    assert channels == sizes[3] or -1 in sizes, tensor.name


def _transposed_groups(w: Writer, node: Node, x: int, groups: int, full: Shape, attributes: dict[str, Any]) -> int:
    """One TRANSPOSE_CONV, or SPLIT, one a group, CONCATENATION; the output's shape is ``full``."""
    filters = w.shape(node.inputs[1]) or ()
    name, dtype = w.source.tensors[node.outputs[0]].name, w.stored_as(node.outputs[0]).dtype
    sizes = w.integers((*full[:3], full[3] // groups))
    bias = node.inputs[2] if len(node.inputs) > 2 else -1
    if groups == 1:
        extra = [w.read(bias), sizes] if bias >= 0 else [-1, sizes]
        out = w.temporary(name, full, dtype)
        weights = w.read(node.inputs[1], (1, 2, 3, 0))
        w.add("transpose_conv2d", [x, weights, *extra], [out], attributes, origins=[node.index])
        return out
    stored = w.tensors[x]
    parts = [
        w.temporary(f"{name}/{g}/in", (*(stored.shape or ())[:3], filters[0] // groups), stored.dtype)
        for g in range(groups)
    ]
    w.add("split", [x, w.integers([3], ())], parts, {"axis": 3}, origins=[node.index])
    source = w.source.tensors[node.inputs[1]]
    outs = []
    for g, part in enumerate(parts):
        weights = w.tensor(
            replace(source, shape=(filters[1], *filters[2:], filters[0] // groups), constant=True, value=None)
        )
        outs.append(w.temporary(f"{name}/{g}", (*full[:3], full[3] // groups), dtype))
        w.add("transpose_conv2d", [part, weights, -1, sizes], [outs[-1]], attributes, origins=[node.index])
    out = w.temporary(name, full, dtype)
    w.add("concat", outs, [out], {"axis": 3, "activation": "none"}, origins=[node.index])
    if bias >= 0:
        total = w.temporary(f"{name}/bias", full, dtype)
        w.add("add", [out, w.read(bias)], [total], {"activation": "none"}, origins=[node.index])
        out = total
    return out


# --- Pooling and reductions -----------------------------------------------------------------------------------------------------


def pool(w: Writer, node: Node) -> None:
    """MaxPool.py, AveragePool.py: SAME where the padding is TensorFlow's, else an explicit pad and VALID."""
    rank = max(w.rank(node.inputs[0]), 3)
    order, shape = channels_last(rank), w.shape(node.inputs[0])
    attributes = _two_dimensional(_copied(node, "kernel", "stride", "dilation", "padding"))
    dilation = attributes.pop("dilation", (1, 1))
    x = w.read(node.inputs[0], order)
    kernel, padding = attributes["kernel"], attributes.get("padding")
    stored = w.tensors[x].shape
    row = len(node.attributes["kernel"]) == 1 and stored is not None
    if row and stored is not None:
        x = w.reshaped(x, (stored[0], 1, *stored[1:]))
    sizes = (shape[2:] if len(shape) == 4 else (1, *shape[2:])) if shape is not None else None
    fits = padding is not None and sizes is not None and -1 not in sizes
    if fits and any(padding or ()):
        same = _same_padding(sizes or (), kernel, attributes["stride"], (1, 1))
        if padding != same or node.attributes.get("count_include_pad"):
            lowest = -3.4028234663852886e38 if node.kind == "max_pool2d" else None
            if w.stored_as(node.inputs[0]).dtype in ("int8", "uint8"):
                lowest = -128.0 if lowest is not None else None
            x = _padded(w, x, _around(padding or ()), lowest)
            attributes["padding"] = (0, 0, 0, 0)
            if lowest is not None:
                _note_padded_pool(w, node)
    attributes["activation"] = "none"
    kind, native = node.kind, ""
    if dilation != (1, 1) and node.kind == "max_pool2d":
        kind, native = "unknown", "FlexDilation2D"
    if row:
        _pool_row(w, node, kind, native, x, attributes)
        return
    w.add(kind, [x], [w.new(node.outputs[0], order)], attributes, origins=[node.index], native=native)


def _pool_row(w: Writer, node: Node, kind: str, native: str, x: int, attributes: dict[str, Any]) -> None:
    """A pool over one dimension: of one row."""
    out_shape = permuted(w.shape(node.outputs[0]), channels_last(3)) or ()
    name = w.source.tensors[node.outputs[0]]
    wide = w.temporary(f"{name.name}/row", (*out_shape[:1], 1, *out_shape[1:]), name.dtype)
    w.add(kind, [x], [wide], attributes, origins=[node.index], native=native)
    w.is_new(node.outputs[0], w.reshaped(wide, out_shape, [node.index]), channels_last(3))


def _note_padded_pool(w: Writer, node: Node) -> None:
    exact = (
        "; its input is never negative, so padding with zeros would be exact"
        if _never_negative(w, node.inputs[0])
        else ""
    )
    w.notes.append(
        f"{node.name}: TFLite has no such padding for a max pool; onnx2tf pads with the lowest number (PADV2){exact}"
    )


def _never_negative(w: Writer, i: int, depth: int = 0) -> bool:
    """Is value ``i`` at least zero, whatever the input?"""
    node = w.producers.get(i)
    if node is None or depth > 64:
        return False
    if node.kind in ("relu", "relu6", "relu_0_to_1", "sigmoid", "hard_sigmoid", "abs", "exp", "softmax"):
        return True
    through = (
        "concat",
        "max_pool2d",
        "average_pool2d",
        "dropout",
        "identity",
        "reshape",
        "transpose",
        "add",
        "mul",
        "mean",
    )
    return node.kind in through and all(_never_negative(w, j, depth + 1) for j in node.inputs if j >= 0)


def reduction(w: Writer, node: Node) -> None:
    """Reduce*.py: over the stored axes."""
    i, axes = node.inputs[0], node.attributes.get("axes")
    if axes is None or i in w.folded or w.shape(i) is None:
        other(w, node)
        return
    value, keep = w.value(i), bool(node.attributes.get("keep_dims", True))
    stored = tuple(sorted(value.order.index(axis) for axis in axes))
    order = value.order
    if not keep:
        left = [axis for axis in order if axis not in axes]
        order = tuple(sorted(left).index(axis) for axis in left)
    attributes = {"axes": stored, "keep_dims": keep}
    kind, native = node.kind, ""
    if kind in ("reduce_l1", "reduce_l2"):
        _norm(w, node, stored, order)
        return
    w.add(
        kind,
        [value.tensor, w.integers(stored)],
        [w.new(node.outputs[0], order)],
        attributes,
        origins=[node.index],
        native=native,
    )


def _norm(w: Writer, node: Node, axes: tuple[int, ...], order: Order) -> None:
    """tf.norm: the sum of absolute values, or the root of the sum of squares."""
    value = w.value(node.inputs[0])
    source = w.tensors[value.tensor]
    inner = w.temporary(f"{source.name}/abs", source.shape, source.dtype)
    two = node.kind == "reduce_l2"
    w.add("square" if two else "abs", [value.tensor], [inner], origins=[node.index])
    attributes = {"axes": axes, "keep_dims": bool(node.attributes.get("keep_dims", True))}
    if not two:
        w.add("sum", [inner, w.integers(axes)], [w.new(node.outputs[0], order)], attributes, origins=[node.index])
        return
    out = w.new(node.outputs[0], order)
    total = w.temporary(f"{source.name}/sum", w.tensors[out].shape, source.dtype)
    w.add("sum", [inner, w.integers(axes)], [total], attributes, origins=[node.index])
    w.add("sqrt", [total], [out], origins=[node.index])


# --- Matrix products -------------------------------------------------------------------------------------------------------------


def fully_connected(w: Writer, node: Node) -> None:
    """Gemm.py, MatMul.py: a constant matrix makes a FULLY_CONNECTED (TFLite: ConvertBatchMatMulOp2FullyConnectedOp)."""
    i, keep = node.inputs[0], bool(node.attributes.get("keep_num_dims"))
    rank = w.rank(i)
    order = identity(rank)
    if keep and i in w.values and w.values[i].order[-1:] == (rank - 1,):
        order = w.values[i].order
    turned = node.attributes.get("transpose_a") and rank == 2
    x = w.read(i, (1, 0) if turned else order)
    shape = w.shape(node.inputs[1]) or ()
    weights = w.read(node.inputs[1], identity(2) if node.attributes.get("transpose_b") else (1, 0))
    if not keep:
        x = _without_reshape(w, i, x, w.tensors[weights].shape)
    bias = node.inputs[2] if len(node.inputs) > 2 else -1
    inputs = [x, weights, w.read(bias) if bias >= 0 and bias in w.folded else -1]
    attributes = {"keep_num_dims": keep, "activation": "none"}
    out = w.new(node.outputs[0], order if keep else identity(w.rank(node.outputs[0])))
    if bias < 0 or bias in w.folded or not shape:
        w.add("fully_connected", inputs, [out], attributes, origins=[node.index])
        return
    product = w.temporary(f"{w.tensors[out].name}/product", w.tensors[out].shape, w.tensors[out].dtype)
    w.add("fully_connected", inputs, [product], attributes, origins=[node.index])
    w.add("add", [product, w.operand(bias, 2, identity(2))], [out], {"activation": "none"}, origins=[node.index])


def _without_reshape(w: Writer, i: int, x: int, weights: Shape | None) -> int:
    """A FULLY_CONNECTED takes what a RESHAPE that keeps the last axis was made from
    (mlir/lite/transforms/optimize.cc: RemoveReshapeBeforeFullyConnected)."""
    before = w.written_by.get(x)
    if before is None or before.kind != "reshape" or not w.sole(i) or w.read_by[x] or weights is None:
        return x
    source = w.tensors[before.inputs[0]].shape
    return before.inputs[0] if source and source[-1] == weights[-1] else x


def batch_matmul(w: Writer, node: Node) -> None:
    """MatMul.py; Gemm.py where the matrix is computed at run time."""
    operands = [w.read(i) for i in node.inputs[:2]]
    attributes = {name: bool(node.attributes.get(name)) for name in ("transpose_a", "transpose_b")}
    out = w.new(node.outputs[0])
    if len(node.inputs) < 3 or node.inputs[2] < 0:
        w.add("batch_matmul", operands, [out], attributes, origins=[node.index])
        return
    product = w.temporary(f"{w.tensors[out].name}/product", w.tensors[out].shape, w.tensors[out].dtype)
    w.add("batch_matmul", operands, [product], attributes, origins=[node.index])
    w.add("add", [product, w.read(node.inputs[2])], [out], {"activation": "none"}, origins=[node.index])


def einsum(w: Writer, node: Node) -> None:
    """tf.einsum of two operands: BATCH_MATMUL between transposes (mlir/lite/transforms: TransformEinsum)."""
    plan = _einsum_plan(str(node.attributes.get("equation", "")))
    if (
        plan is None
        or len(node.inputs) != 2
        or any(w.rank(i) != len(t) for i, t in zip(node.inputs, plan[0], strict=True))
    ):
        other(w, node)
        return
    (left, right), batch, rows, inner, columns, result = plan
    x = w.read(node.inputs[0], tuple(left.index(c) for c in (*batch, rows, inner)))
    y = w.read(node.inputs[1], tuple(right.index(c) for c in (*batch, inner, columns)))
    order = tuple(result.index(c) for c in (*batch, rows, columns))
    attributes = {"transpose_a": False, "transpose_b": False}
    w.add("batch_matmul", [x, y], [w.new(node.outputs[0], order)], attributes, origins=[node.index])


def _einsum_plan(equation: str) -> tuple[tuple[str, str], str, str, str, str, str] | None:
    """The operands' subscripts; batch, row, inner and column letters; the result's subscript. ``None`` when it is no product
    of matrices."""
    sides, _, result = equation.replace(" ", "").partition("->")
    left, _, right = sides.partition(",")
    letters = left + right + result
    if not letters.isalpha() or not result or any(len(set(s)) != len(s) for s in (left, right, result)):
        return None
    batch = "".join(c for c in left if c in right and c in result)
    rows, columns = [c for c in left if c not in right], [c for c in right if c not in left]
    inner = [c for c in left if c in right and c not in result]
    if not len(rows) == len(columns) == len(inner) == 1 or sorted(result) != sorted([*batch, *rows, *columns]):
        return None
    return (left, right), batch, rows[0], inner[0], columns[0], result


# --- Element-wise -----------------------------------------------------------------------------------------------------------------


def activation(w: Writer, node: Node) -> None:
    """relu, relu6, relu_n1_to_1: fused into the op before them where that op has no other reader."""
    before = _producer(w, node.inputs[0]) if node.inputs[0] in w.values else None
    if before is not None and before.kind in _TAKES_ACTIVATION and before.attributes.get("activation") == "none":
        before.attributes["activation"] = node.kind
        before.origins.append(node.index)
        value = w.values[node.inputs[0]]
        w.is_new(node.outputs[0], value.tensor, value.order)
        return
    unary(w, node)


def unary(w: Writer, node: Node) -> None:
    """One input, one output, in the order in which the input is stored."""
    _chain(w, node, (node.kind, _copied(node, "alpha", "to")))


def _chain(w: Writer, node: Node, *steps: tuple[str, dict[str, Any]], operands: tuple[float | None, ...] = ()) -> None:
    """One-input ops after another; where ``operands`` names a number, the step computes with it as second operand."""
    value = w.value(node.inputs[0])
    x, source = value.tensor, w.tensors[value.tensor]
    for place, (kind, attributes) in enumerate(steps):
        last = place == len(steps) - 1
        out = (
            w.new(node.outputs[0], value.order)
            if last
            else w.temporary(f"{source.name}/{kind}", source.shape, source.dtype)
        )
        number = operands[place] if place < len(operands) else None
        inputs = [x] if number is None else [x, w.number(number, source.dtype)]
        w.add(kind, inputs, [out], attributes, origins=[node.index])
        x = out


_NONE = {"activation": "none"}


def clip(w: Writer, node: Node) -> None:
    """Clip.py: MINIMUM, then MAXIMUM, which is RELU where it is with zero (optimize_patterns.td: MatchReluPattern)."""
    low, high = node.attributes.get("min"), node.attributes.get("max")
    if node.kind == "relu_0_to_1":
        low, high = 0.0, 1.0
    steps: list[tuple[str, dict[str, Any]]] = []
    operands: list[float | None] = []
    if high is None or high < 3.4e38:
        steps.append(("minimum", {}))
        operands.append(high if high is not None else 0.0)
    if low is None or low > -3.4e38:
        steps.append(("relu", {}) if low == 0.0 else ("maximum", {}))
        operands.append(None if low == 0.0 else low if low is not None else 0.0)
    if not steps:
        alias(w, node)
        return
    _chain(w, node, *steps, operands=tuple(operands))


def hard_sigmoid(w: Writer, node: Node) -> None:
    """HardSigmoid.py: max(0, min(1, alpha * x + beta)); scale and shift go into a convolution before it."""
    before = _producer(w, node.inputs[0]) if node.inputs[0] in w.values else None
    if before is not None and before.kind in _AFFINE and before.attributes.get("activation", "none") == "none":
        before.origins.append(node.index)
        _chain(w, node, ("minimum", {}), ("relu", {}), operands=(1.0,))
        return
    alpha, beta = node.attributes["alpha"], node.attributes["beta"]
    _chain(w, node, ("mul", _NONE), ("add", _NONE), ("minimum", {}), ("relu", {}), operands=(alpha, beta, 1.0))


def reciprocal(w: Writer, node: Node) -> None:
    value = w.value(node.inputs[0])
    one = w.number(1.0, w.tensors[value.tensor].dtype)
    w.add("div", [one, value.tensor], [w.new(node.outputs[0], value.order)], dict(_NONE), origins=[node.index])


def softplus(w: Writer, node: Node) -> None:
    """log(exp(x) + 1)."""
    _chain(w, node, ("exp", {}), ("add", _NONE), ("log", {}), operands=(None, 1.0))


def mish(w: Writer, node: Node) -> None:
    """x * tanh(log(exp(x) + 1))."""
    value = w.value(node.inputs[0])
    _chain(w, node, ("exp", {}), ("add", _NONE), ("log", {}), ("tanh", {}), ("mul", _NONE), operands=(None, 1.0))
    w.drafts[-1].inputs.append(value.tensor)
    w.read_by[value.tensor] += 1


def softsign(w: Writer, node: Node) -> None:
    """x / (1 + |x|)."""
    value = w.value(node.inputs[0])
    _chain(w, node, ("abs", {}), ("add", _NONE), ("div", _NONE), operands=(None, 1.0))
    w.drafts[-1].inputs.insert(0, value.tensor)
    w.read_by[value.tensor] += 1


def erf(w: Writer, node: Node) -> None:
    """TFLite has no such op: TensorFlow's own kernel runs it."""
    value = w.value(node.inputs[0])
    out = w.new(node.outputs[0], value.order)
    w.add("unknown", [value.tensor], [out], origins=[node.index], native="FlexErf")


def prelu(w: Writer, node: Node) -> None:
    """PRELU; the slope without the batch axis."""
    value, rank = w.value(node.inputs[0]), w.rank(node.inputs[0])
    slope = w.operand(node.inputs[1], rank, value.order)
    shape = w.tensors[slope].shape
    if node.inputs[1] in w.folded and shape is not None and len(shape) < rank - 1:
        slope = w.constant_of(node.inputs[1], shape=(1,) * (rank - 1 - len(shape)) + shape)
    w.add("prelu", [value.tensor, slope], [w.new(node.outputs[0], value.order)], origins=[node.index])


def binary(w: Writer, node: Node) -> None:
    """Broadcasting ops of two inputs (or more: one after another), in the order in which the larger operand is stored."""
    if _folds_into_producer(w, node) or _is_power(w, node):
        return
    order, rank = _common_order(w, node)
    operands = [w.operand(i, rank, order) for i in node.inputs if i >= 0]
    if node.kind in ("add", "mul", "minimum", "maximum") and node.inputs[0] in w.folded:
        operands.reverse()  # MLIR's canonical form has the constant last
    attributes = dict(_NONE) if node.kind in _ARITHMETIC else {}
    out = w.new(node.outputs[0], order)
    x = operands[0]
    for place, y in enumerate(operands[1:], 2):
        last = place == len(operands)
        target = (
            out if last else w.temporary(f"{w.tensors[out].name}/{place}", w.tensors[out].shape, w.tensors[out].dtype)
        )
        w.add(node.kind, [x, y], [target], dict(attributes), origins=[node.index])
        x = target


def _common_order(w: Writer, node: Node) -> tuple[Order, int]:
    """The order to store the result in: that of the run-time operand with most axes, channels last before others."""
    rank = w.rank(node.outputs[0])
    best = identity(rank)
    for i in node.inputs:
        if i in w.values and w.rank(i) == rank and len(w.values[i].order) == rank:
            order = w.values[i].order
            if order == channels_last(rank):
                return order, rank
            if best == identity(rank):
                best = order
    return best, rank


def _folds_into_producer(w: Writer, node: Node) -> bool:
    """A constant scale or shift per channel becomes part of the convolution or matrix product before it."""
    if node.kind not in _ARITHMETIC or len(node.inputs) != 2:
        return False
    data, constant = node.inputs
    if data in w.folded and node.kind in ("add", "mul"):
        data, constant = constant, data
    if constant not in w.folded or data in w.folded:
        return False
    before = _producer(w, data)
    if before is None or before.kind not in _AFFINE or before.attributes.get("activation", "none") != "none":
        return False
    if before.inputs[1] < 0 or not w.tensors[before.inputs[1]].constant or not _per_channel(w, before, data, constant):
        return False
    if w.shape(node.outputs[0]) != w.shape(data):
        return False
    _absorb(w, before, node, data)
    return True


def _absorb(w: Writer, before: Draft, node: Node, data: int) -> None:
    before.origins.append(node.index)
    if before.inputs[2:3] == [-1] and node.kind in ("add", "sub", "batch_norm"):
        shape = w.tensors[before.outputs[0]].shape
        before.inputs[2] = w.zeros(shape[-1] if shape else 0)
    w.is_new(node.outputs[0], before.outputs[0], w.values[data].order)


def _per_channel(w: Writer, before: Draft, data: int, constant: int) -> bool:
    shape, rank = w.shape(constant), w.rank(data)
    if shape is None or len(shape) > rank:
        return False
    channel = rank - 1 if before.kind == "fully_connected" else 1
    full = (1,) * (rank - len(shape)) + shape
    return all(dim == 1 or axis == channel for axis, dim in enumerate(full))


def _is_power(w: Writer, node: Node) -> bool:
    """x to the power 2 is x * x (optimize_patterns.td: OptimizePow2ToSquare)."""
    if node.kind != "pow" or node.inputs[0] in w.folded or w.scalar(node.inputs[1]) not in (1.0, 2.0):
        return False
    value = w.value(node.inputs[0])
    if w.scalar(node.inputs[1]) == 1.0:
        alias(w, node)
    else:
        w.add("mul", [value.tensor] * 2, [w.new(node.outputs[0], value.order)], dict(_NONE), origins=[node.index])
    return True


def select(w: Writer, node: Node) -> None:
    order, rank = _common_order(w, node)
    operands = [w.operand(i, rank, order) for i in node.inputs]
    w.add("select", operands, [w.new(node.outputs[0], order)], origins=[node.index])


# --- Normalisation ---------------------------------------------------------------------------------------------------------------


def batch_norm(w: Writer, node: Node) -> None:
    """Folded into a convolution before it; else MUL and ADD of constants (BatchNormalization.py)."""
    i = node.inputs[0]
    before = _producer(w, i) if i in w.values else None
    if before is not None and before.kind in _AFFINE and before.attributes.get("activation", "none") == "none":
        _absorb(w, before, node, i)
        return
    value, shape = w.value(i), w.shape(i)
    channels = shape[1] if shape is not None and len(shape) > 1 else 0
    place = value.order.index(1) if 1 in value.order else 0
    trailing = len(value.order) - 1 - place
    vector = w.zeros(max(channels, 0))
    if trailing > 0:
        vector = w.tensor(replace(w.tensors[vector], shape=(channels, *(1,) * trailing)))
    source = w.tensors[value.tensor]
    scaled = w.temporary(f"{source.name}/scaled", source.shape, source.dtype)
    w.add("mul", [value.tensor, vector], [scaled], dict(_NONE), origins=[node.index])
    w.add("add", [scaled, vector], [w.new(node.outputs[0], value.order)], dict(_NONE), origins=[node.index])


def layer_norm(w: Writer, node: Node) -> None:
    """tf.keras.layers.LayerNormalization over the last axes (LayerNormalization.py)."""
    rank, axis = w.rank(node.inputs[0]), node.attributes.get("axis")
    if axis is None or rank == 0:
        other(w, node)
        return
    x, order = w.value(node.inputs[0]).tensor, w.value(node.inputs[0]).order
    if order[axis:] != tuple(range(axis, rank)):
        x, order = w.read(node.inputs[0]), identity(rank)
    _normalize(w, node, x, order, tuple(range(axis, rank)))


def instance_norm(w: Writer, node: Node) -> None:
    """InstanceNormalization.py: the same over the spatial axes."""
    rank = w.rank(node.inputs[0])
    if rank < 3:
        other(w, node)
        return
    value = w.value(node.inputs[0])
    _normalize(w, node, value.tensor, value.order, tuple(value.order.index(a) for a in range(2, rank)))


def _normalize(w: Writer, node: Node, x: int, order: Order, axes: tuple[int, ...]) -> None:
    """Ten ops, as Keras writes them: mean; squared difference; mean, + epsilon, rsqrt, * gamma; * x; * mean, beta -; +."""
    axes = tuple(sorted(axes))
    source = w.tensors[x]
    shape = source.shape or ()
    small = tuple(1 if axis in axes else dim for axis, dim in enumerate(shape))
    last = tuple(shape[axis] if axis in axes else 1 for axis in range(len(shape)))
    gamma, beta = (_scale(w, node, slot, last, order) for slot in (1, 2))
    wide = _broadcast(small, last)

    def step(kind: str, inputs: list[int], result: Shape, attributes: dict[str, Any] | None = None) -> int:
        out = w.temporary(f"{source.name}/{kind}/{len(w.tensors)}", result, source.dtype)
        w.add(kind, inputs, [out], attributes or {}, origins=[node.index])
        return out

    reduced = {"axes": axes, "keep_dims": True}
    mean = step("mean", [x, w.integers(axes)], small, reduced)
    difference = step("squared_difference", [x, mean], shape)
    variance = step("mean", [difference, w.integers(axes)], small, reduced)
    shifted = step("add", [variance, w.number(node.attributes.get("epsilon", 1e-5))], small, dict(_NONE))
    root = step("rsqrt", [shifted], small)
    scale = step("mul", [root, gamma], wide, dict(_NONE))
    scaled = step("mul", [x, scale], shape, dict(_NONE))
    offset = step("sub", [beta, step("mul", [mean, scale], wide, dict(_NONE))], wide, dict(_NONE))
    w.add("add", [scaled, offset], [w.new(node.outputs[0], order)], dict(_NONE), origins=[node.index])


def _scale(w: Writer, node: Node, slot: int, last: Shape, order: Order) -> int:
    """Gamma or beta: the source's, or a constant of the normalised shape where it has none."""
    if slot < len(node.inputs) and node.inputs[slot] >= 0:
        i = node.inputs[slot]
        if node.kind != "instance_norm":
            return w.operand(i, len(order), order) if i not in w.folded else w.constant_of(i)
        return w.constant_of(i) if i in w.folded else w.read(i)
    while last and last[0] == 1:
        last = last[1:]
    return w.zeros(prod(last)) if len(last) <= 1 else w.number(1.0)


def _broadcast(a: Shape, b: Shape) -> Shape:
    return tuple(max(x, y) if x > 0 and y > 0 else -1 for x, y in zip(a, b, strict=True))


def softmax(w: Writer, node: Node) -> None:
    """SOFTMAX and LOG_SOFTMAX work on the last axis: another one is moved there."""
    i, axis, rank = node.inputs[0], node.attributes.get("axis"), w.rank(node.inputs[0])
    value = w.value(i)
    order = value.order
    if axis is not None and rank and order[-1] != axis:
        order = (*(a for a in order if a != axis), axis)
    attributes = {"axis": rank - 1} | ({"beta": 1.0} if node.kind == "softmax" else {})
    w.add(node.kind, [w.read(i, order)], [w.new(node.outputs[0], order)], attributes, origins=[node.index])


# --- Movement ---------------------------------------------------------------------------------------------------------------------


def alias(w: Writer, node: Node) -> None:
    """The output is the input."""
    w.values[node.outputs[0]] = w.value(node.inputs[0])


def transpose(w: Writer, node: Node) -> None:
    """Only notes that the axes have other names now: a TRANSPOSE is written where an op needs another order."""
    permutation = node.attributes.get("permutation")
    if permutation is None or node.inputs[0] in w.folded:
        other(w, node)
        return
    value = w.value(node.inputs[0])
    if len(value.order) != len(permutation):
        other(w, node)
        return
    order = tuple(permutation.index(axis) for axis in value.order)
    w.values[node.outputs[0]] = replace(value, order=order, pending=(*value.pending, node.index))


def reshape(w: Writer, node: Node) -> None:
    """Reshape.py, Flatten.py and their like: back to the source's order of axes, then RESHAPE; a split or merge of channels
    (as in a channel shuffle) stays in place."""
    i, target = node.inputs[0], w.shape(node.outputs[0])
    source = w.shape(i)
    if target is None or source is None or i in w.folded:
        other(w, node)
        return
    kept = _channels_regrouped(w, i, source, target)
    if kept is not None:
        x, order = kept
    else:
        value = w.value(i)
        trivial = [axis for axis in value.order if source[axis] != 1] == [
            a for a in range(len(source)) if source[a] != 1
        ]
        x, order = (value.tensor if trivial else w.read(i)), identity(len(target))
    out = w.reshaped(x, permuted(target, order) or (), [node.index])
    if out == x or w.written_by.get(out) is None:
        w.values[node.outputs[0]] = replace(w.value(i), tensor=out, order=order, pending=())
        return
    w.is_new(node.outputs[0], out, order)


def _channels_regrouped(w: Writer, i: int, source: Shape, target: Shape) -> tuple[int, Order] | None:
    """The tensor to reshape and the result's order, when a reshape only splits channels stored last in two, or merges two.

    (N, C, *spatial) to (N, G, C/G, *spatial) and, after a transpose, back.
    """
    value = w.value(i)
    if len(source) >= 4 and len(target) == len(source) + 1 and value.order == channels_last(len(source)):
        if source[:1] == target[:1] and source[2:] == target[3:] and source[1] == target[1] * target[2]:
            return value.tensor, (0, *range(3, len(target)), 1, 2)
    if len(target) >= 4 and len(source) == len(target) + 1 and source[:1] == target[:1]:
        spatial = (0, *range(3, len(source)))
        stored_last = value.order[: len(spatial)] == spatial
        if stored_last and source[3:] == target[2:] and target[1] == source[1] * source[2]:
            return w.read(i, (*spatial, 1, 2)), channels_last(len(target))
    return None


def concat(w: Writer, node: Node) -> None:
    """CONCATENATION along the stored axis."""
    axis, rank = node.attributes.get("axis"), w.rank(node.outputs[0])
    if axis is None or not rank:
        other(w, node)
        return
    order, _ = _common_order(w, node)
    operands = [w.read(i, order) for i in node.inputs if i >= 0]
    if len(operands) == 1:
        alias(w, node)
        return
    attributes = {"axis": order.index(axis), "activation": "none"}
    w.add("concat", operands, [w.new(node.outputs[0], order)], attributes, origins=[node.index])


def split(w: Writer, node: Node) -> None:
    i, axis = node.inputs[0], node.attributes.get("axis")
    if axis is None or i in w.folded or w.shape(i) is None:
        other(w, node)
        return
    value = w.value(i)
    stored = value.order.index(axis)
    outputs = [w.new(o, value.order) for o in node.outputs if o >= 0]
    inputs = [value.tensor, w.integers([stored], ())]
    if node.kind == "split_v":
        sizes = node.attributes.get("sizes") or ()
        inputs = [value.tensor, w.integers(sizes), w.integers([stored], ())]
    w.add(node.kind, inputs, outputs, {"axis": stored}, origins=[node.index])


_MASKS = {"begin_mask": 0, "end_mask": 0, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 0}


def strided_slice(w: Writer, node: Node) -> None:
    i, begin = node.inputs[0], node.attributes.get("begin")
    if begin is None or i in w.folded:
        other(w, node)
        return
    if w.shape(i) == w.shape(node.outputs[0]) and min(node.attributes["strides"], default=1) > 0:
        alias(w, node)
        return
    order = w.value(i).order
    limits = [permuted(node.attributes[name], order) or () for name in ("begin", "end", "strides")]
    inputs = [w.value(i).tensor, *(w.integers(numbers) for numbers in limits)]
    attributes = {"begin": limits[0], "end": limits[1], "strides": limits[2], **_MASKS}
    w.add("strided_slice", inputs, [w.new(node.outputs[0], order)], attributes, origins=[node.index])


def _sliced(w: Writer, x: int, begin: Shape, end: Shape, origins: list[int]) -> int:
    """``x[begin:end]`` as STRIDED_SLICE."""
    ones = (1,) * len(begin)
    shape = tuple(b - a for a, b in zip(begin, end, strict=True))
    out = w.temporary(f"{w.tensors[x].name}/slice", shape, w.tensors[x].dtype)
    attributes = {"begin": begin, "end": end, "strides": ones, **_MASKS}
    w.add(
        "strided_slice", [x, w.integers(begin), w.integers(end), w.integers(ones)], [out], attributes, origins=origins
    )
    return out


def pad(w: Writer, node: Node) -> None:
    """PAD, PADV2 or MIRROR_PAD; none when the convolution after it takes it."""
    i, pads = node.inputs[0], node.attributes.get("pads")
    if pads is None or i in w.folded:
        other(w, node)
        return
    value = w.value(i)
    if not any(any(pair) for pair in pads):
        alias(w, node)
        return
    stored = tuple(pads[axis] for axis in value.order)
    inputs = [value.tensor, w.integers([n for pair in stored for n in pair], (len(stored), 2))]
    if node.kind == "pad_v2" and "value" in node.attributes:
        inputs.append(w.number(float(node.attributes["value"])))
    attributes = {"pads": stored, **_copied(node, "value", "mode")}
    w.add(node.kind, inputs, [w.new(node.outputs[0], value.order)], attributes, origins=[node.index])


def resize(w: Writer, node: Node) -> None:
    """RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR to a constant size; only height and width can change."""
    i = node.inputs[0]
    shape, out_shape = w.shape(i), w.shape(node.outputs[0])
    if shape is None or out_shape is None or len(shape) != 4 or shape[:2] != out_shape[:2]:
        other(w, node)
        return
    order = channels_last(4)
    attributes = _copied(node, "align_corners", "half_pixel")
    inputs = [w.read(i, order), w.integers(out_shape[2:])]
    w.add(node.kind, inputs, [w.new(node.outputs[0], order)], attributes, origins=[node.index])


def depth_to_space(w: Writer, node: Node) -> None:
    """DEPTH_TO_SPACE is ONNX's DCR mode; CRD (pixel shuffle) is reshape, transpose, reshape."""
    i, block = node.inputs[0], node.attributes["block"]
    shape, order = w.shape(i), channels_last(4)
    out_shape = w.shape(node.outputs[0])
    crd = node.kind == "depth_to_space" and node.attributes.get("mode") == "CRD"
    if not crd or shape is None or out_shape is None or -1 in shape:
        x = w.read(i, order)
        w.add(node.kind, [x], [w.new(node.outputs[0], order)], {"block": block}, origins=[node.index])
        return
    n, c, h, width = shape
    six = w.reshaped(w.read(i, order), (n, h, width, c // block**2, block, block), [node.index])
    turned = w.moved(six, (0, 1, 4, 2, 5, 3), [node.index])
    w.is_new(node.outputs[0], w.reshaped(turned, permuted(out_shape, order) or (), [node.index]), order)


def gather(w: Writer, node: Node) -> None:
    """GATHER along the stored axis; a scalar index takes the axis away."""
    i, axis, index_shape = node.inputs[0], node.attributes.get("axis"), w.shape(node.inputs[1])
    if axis is None or i in w.folded or index_shape is None or len(index_shape) > 1:
        other(w, node)
        return
    value = w.value(i)
    stored, order = value.order.index(axis), value.order
    if index_shape == ():
        left = [a for a in order if a != axis]
        order = tuple(sorted(left).index(a) for a in left)
    inputs = [value.tensor, w.read(node.inputs[1])]
    w.add("gather", inputs, [w.new(node.outputs[0], order)], {"axis": stored, "batch_dims": 0}, origins=[node.index])


def arg_extremum(w: Writer, node: Node) -> None:
    """ARG_MAX and ARG_MIN take the axis away; a RESHAPE brings it back where it is to be kept."""
    i, axis = node.inputs[0], node.attributes.get("axis")
    out_shape = w.shape(node.outputs[0])
    if axis is None or i in w.folded or out_shape is None:
        other(w, node)
        return
    value = w.value(i)
    left = [a for a in value.order if a != axis]
    order = tuple(sorted(left).index(a) for a in left)
    inputs, attributes = [value.tensor, w.integers([value.order.index(axis)], ())], {"axis": value.order.index(axis)}
    if not node.attributes.get("keep_dims", True):
        w.add(node.kind, inputs, [w.new(node.outputs[0], order)], attributes, origins=[node.index])
        return
    kept = permuted(out_shape, value.order) or ()
    flat = tuple(dim for place, dim in enumerate(kept) if place != value.order.index(axis))
    out = w.temporary(f"{w.source.tensors[node.outputs[0]].name}/flat", flat, "int64")
    w.add(node.kind, inputs, [out], attributes, origins=[node.index])
    w.is_new(node.outputs[0], w.reshaped(out, kept, [node.index]), value.order)


def cast(w: Writer, node: Node) -> None:
    if w.source.tensors[node.inputs[0]].dtype == w.source.tensors[node.outputs[0]].dtype:
        alias(w, node)
    else:
        unary(w, node)


def broadcast_to(w: Writer, node: Node) -> None:
    if w.shape(node.inputs[0]) == w.shape(node.outputs[0]):
        alias(w, node)
        return
    shape = w.shape(node.outputs[0])
    inputs = [w.read(node.inputs[0]), *([w.integers(shape)] if shape is not None else [])]
    w.add(node.kind, inputs, [w.new(node.outputs[0])], origins=[node.index])


def tile(w: Writer, node: Node) -> None:
    shape, out_shape = w.shape(node.inputs[0]), w.shape(node.outputs[0])
    inputs = [w.read(node.inputs[0])]
    if shape is not None and out_shape is not None and all(dim > 0 for dim in shape):
        inputs.append(w.integers(b // a for a, b in zip(shape, out_shape, strict=True)))
    w.add("tile", inputs, [w.new(node.outputs[0])], origins=[node.index])


# --- Quantisation and the rest ----------------------------------------------------------------------------------------------------


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


def other(w: Writer, node: Node) -> None:
    """The same kind of op, its inputs and outputs in the source's order of axes."""
    inputs = [w.read(i) if i >= 0 else -1 for i in node.inputs]
    attributes = dict(node.attributes)
    native = node.native if node.kind == "unknown" else ""
    w.add(
        node.kind, inputs, [w.new(i) for i in node.outputs if i >= 0], attributes, origins=[node.index], native=native
    )


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(UNARY, unary),
    **dict.fromkeys(BINARY, binary),
    **dict.fromkeys(_FUSED, activation),
    **dict.fromkeys(("conv1d", "conv2d", "depthwise_conv2d", "conv3d"), convolution),
    "transpose_conv2d": transpose_convolution,
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
    "quantize": quantize,
    "dequantize": dequantize,
}
