"""Matrix products: onnx2tf's Gemm.py, MatMul.py, Einsum.py."""

from __future__ import annotations

from latlint.graph.types import Node
from latlint.runtime.convert.pieces import other
from latlint.runtime.convert.writer import Shape, Writer, identity


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
    """MatMul.py; Gemm.py where the matrix is computed at run time. A vector is a matrix of one row or column."""
    attributes = {name: bool(node.attributes.get(name)) for name in ("transpose_a", "transpose_b")}
    shapes = [w.shape(i) for i in node.inputs[:2]]
    if any(shape is None or not shape for shape in shapes):
        other(w, node)
        return
    a, b = (shape or () for shape in shapes)
    left = w.reshaped(w.read(node.inputs[0]), (1, *a)) if len(a) == 1 else w.read(node.inputs[0])
    right = w.reshaped(w.read(node.inputs[1]), (*b, 1)) if len(b) == 1 else w.read(node.inputs[1])
    added = node.inputs[2] if len(node.inputs) > 2 else -1
    if min(len(a), len(b)) > 1 and added < 0:
        w.add("batch_matmul", [left, right], [w.new(node.outputs[0])], attributes, origins=[node.index])
        return
    whole, out_shape = w.source.tensors[node.outputs[0]], w.shape(node.outputs[0]) or ()
    wide = out_shape[: len(out_shape) - (len(a) > 1) - (len(b) > 1)]
    wide = (*wide, a[-2] if len(a) > 1 else 1, b[-1] if len(b) > 1 else 1) if added < 0 else out_shape
    out = w.temporary(f"{whole.name}/product", wide, whole.dtype)
    w.add("batch_matmul", [left, right], [out], attributes, origins=[node.index])
    if added < 0:
        w.is_new(node.outputs[0], w.reshaped(out, out_shape, [node.index]))
        return
    operands = [out, w.operand(added, len(out_shape), identity(len(out_shape)))]
    w.add("add", operands, [w.new(node.outputs[0])], {"activation": "none"}, origins=[node.index])


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
