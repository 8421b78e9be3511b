"""What becomes of a TFLite graph's shapes when an input is resized: as each op's ``Prepare`` in ``tensorflow/lite/kernels/`` says.

Needed only where the user states shapes; a file has those of its default inputs. Shape arithmetic (SHAPE, STRIDED_SLICE, PACK, …) is
computed on the way. What cannot be told before the model runs gets open dimensions or no shape at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from latlint.graph.inputs import dims_text
from latlint.graph.ops import BINARY, POOLS, REDUCTIONS, UNARY
from latlint.graph.tflite_ops import impossible
from latlint.graph.types import Node, Tensor

Shape = tuple[int, ...]
Array = np.ndarray[Any, Any]

#: Longer values steer no shape.
_MAX_VALUE = 64

#: Kinds whose first output has the shape of the first input.
_SAME = UNARY | frozenset(
    "softmax log_softmax cast quantize dequantize fake_quant identity dropout cumsum reverse l2_normalization "
    "local_response_norm densify scatter_nd_update".split()
)


class UnknownError(Exception):
    """The shape is not known before the model runs."""


class Resized:
    """The tensors of a graph whose inputs were resized, brought up to date node by node, in file order."""

    def __init__(self, tensors: list[Tensor], shapes: dict[int, Shape]) -> None:
        """``tensors`` is changed in place; ``shapes`` are the new ones of its inputs, by index."""
        self.tensors = tensors
        self.touched: set[int] = set()
        self.values: dict[int, Array] = {}
        self.lost: list[Node] = []
        for index, shape in shapes.items():
            self._put(index, shape)

    def reaches(self, node: Node) -> bool:
        """Whether an input of ``node`` has changed."""
        return any(index in self.touched for index in node.inputs)

    def take(self, node: Node) -> None:
        """Give the outputs of ``node`` the shapes, and where they steer others the values, that its inputs now make."""
        try:
            shapes = self._shapes(node)
        except (UnknownError, ValueError, IndexError, KeyError, TypeError, ArithmeticError):
            self.lost.append(node)
            shapes = [None] * len(node.outputs)
        for index, shape in zip(node.outputs, shapes, strict=False):
            self._put(index, shape)
        self._compute(node)

    def _put(self, index: int, shape: Shape | None) -> None:
        old = self.tensors[index]
        self.touched.add(index)
        self.values.pop(index, None)
        if shape is None and old.shape is not None:
            shape = (-1,) * len(old.shape)
        self.tensors[index] = replace(old, shape=shape)

    # --- Shapes ------------------------------------------------------------------------------------------------------------------

    def _shapes(self, node: Node) -> list[Shape | None]:
        if node.kind in _SAME:
            return [self._shape(node, 0)]
        if node.kind in BINARY or node.kind == "select":
            operands = range(len(node.inputs)) if node.kind == "select" else range(2)
            return [_broadcast([self._shape(node, slot) for slot in operands])]
        if node.kind in POOLS:
            data = self._shape(node, 0)
            return [(data[0], *_windows(node, data[1:3]), data[3])] * len(node.outputs)
        if node.kind in REDUCTIONS:
            return [_reduced(node, self._shape(node, 0))]
        handler = _HANDLERS.get(node.kind)
        if handler is None:
            raise UnknownError
        return handler(self, node)

    def _shape(self, node: Node, slot: int) -> Shape:
        """The shape of an operand, all of it known."""
        shape = self.tensors[node.inputs[slot]].shape
        if shape is None or -1 in shape:
            raise UnknownError
        return shape

    def _value(self, node: Node, slot: int) -> list[int]:
        """The elements of an operand that is a constant or shape arithmetic."""
        index = node.inputs[slot] if slot < len(node.inputs) else -1
        value = self._array(index) if index >= 0 else None
        if value is None:
            raise UnknownError
        return [int(x) for x in value.ravel().tolist()]

    # --- Values of shape arithmetic ------------------------------------------------------------------------------------------------

    def _array(self, index: int) -> Array | None:
        if index in self.values:
            return self.values[index]
        tensor = self.tensors[index]
        if tensor.value is None or tensor.shape is None or len(tensor.value) > _MAX_VALUE:
            return None
        return np.array(tensor.value, np.int64 if tensor.dtype.startswith("int") else None).reshape(tensor.shape)

    def _compute(self, node: Node) -> None:
        fold = _FOLDS.get(node.kind)
        if fold is None or len(node.outputs) != 1:
            return
        out = self.tensors[node.outputs[0]].shape or ()
        if node.kind == "shape":
            shape = self.tensors[node.inputs[0]].shape
            arrays = [None if shape is None or -1 in shape else np.array(shape, np.int64)]
        else:
            arrays = [self._array(index) for index in node.inputs if index >= 0]
        known = [array for array in arrays if array is not None]
        if len(known) < len(arrays):
            return
        try:
            value = np.asarray(known[0].reshape(out) if fold is _renamed else fold(node, *known))
        except (ValueError, IndexError, KeyError, TypeError, ArithmeticError):
            return
        if value.size <= _MAX_VALUE:
            index = node.outputs[0]
            self.values[index] = value
            self.tensors[index] = replace(self.tensors[index], shape=tuple(value.shape))


def _broadcast(shapes: Sequence[Shape]) -> Shape:
    if max(map(len, shapes)) > 8:
        raise UnknownError
    return tuple(int(dim) for dim in np.broadcast_shapes(*shapes))


def _windows(node: Node, sizes: Shape) -> Shape:
    """Output sizes of a convolution or pool over ``sizes``, from its kernel, stride, dilation and explicit padding."""
    attributes, rank = node.attributes, len(sizes)
    padding = attributes["padding"]
    begins, ends = (padding[::2], padding[1::2]) if rank == 2 else (padding[:rank], padding[rank:])
    dilation = attributes.get("dilation", (1,) * rank)
    found = []
    for size, kernel, stride, d, begin, end in zip(
        sizes, attributes["kernel"], attributes["stride"], dilation, begins, ends, strict=True
    ):
        out = (size + begin + end - (kernel - 1) * d - 1) // stride + 1
        if out < 1:
            raise impossible(
                f"node {node.index} ({node.native[:80]}) has a window that is larger than its input of {size}"
            )
        found.append(out)
    return tuple(found)


def _reduced(node: Node, shape: Shape) -> Shape:
    axes = node.attributes["axes"]
    if node.attributes.get("keep_dims"):
        return tuple(1 if axis in axes else dim for axis, dim in enumerate(shape))
    return tuple(dim for axis, dim in enumerate(shape) if axis not in axes)


def _convolution(self: Resized, node: Node) -> list[Shape | None]:
    data, weights = self._shape(node, 0), self._shape(node, 1)
    if node.kind == "conv3d":
        return [(data[0], *_windows(node, data[1:4]), weights[4])]
    channels = weights[3] if node.kind == "depthwise_conv2d" else weights[0]
    return [(data[0], *_windows(node, data[1:3]), channels)]


def _fully_connected(self: Resized, node: Node) -> list[Shape | None]:
    data, (units, depth) = self._shape(node, 0), self._shape(node, 1)
    if node.attributes.get("keep_num_dims"):
        return [(*data[:-1], units)]
    if prod(data) % depth:
        raise impossible(
            f"node {node.index} ({node.native[:80]}) takes rows of {depth}, which {prod(data)} elements do not fill"
        )
    return [(prod(data) // depth, units)]


def _reshape(self: Resized, node: Node) -> list[Shape | None]:
    data = self._shape(node, 0)
    # Without a second input the shape is in the options: that of the output in the file.
    wanted = self._value(node, 1) if len(node.inputs) > 1 else list(self.tensors[node.outputs[0]].shape or ())
    known = prod(dim for dim in wanted if dim >= 0)
    if wanted.count(-1) == 1 and known:
        wanted[wanted.index(-1)] = prod(data) // known
    if prod(wanted) != prod(data) or min(wanted, default=1) < 0:
        raise impossible(
            f"node {node.index} ({node.native[:80]}) makes a fixed shape of {prod(wanted):,} elements, its input would have "
            f"{prod(data):,}"
        )
    return [tuple(wanted)]


def _concat(self: Resized, node: Node) -> list[Shape | None]:
    shapes = [self._shape(node, slot) for slot in range(len(node.inputs))]
    axis = node.attributes["axis"]
    for shape in shapes[1:]:
        if shape[:axis] + shape[axis + 1 :] != shapes[0][:axis] + shapes[0][axis + 1 :]:
            raise impossible(
                f"node {node.index} ({node.native[:80]}) would join {dims_text(shapes[0])} and {dims_text(shape)}"
            )
    return [(*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])]


def _split(self: Resized, node: Node) -> list[Shape | None]:
    data, axis = self._shape(node, 0), node.attributes["axis"]
    count = len(node.outputs)
    sizes = self._value(node, 1) if node.kind == "split_v" else [data[axis] // count] * count
    rest = data[axis] - sum(size for size in sizes if size >= 0)
    return [(*data[:axis], rest if size < 0 else size, *data[axis + 1 :]) for size in sizes]


def _pad(self: Resized, node: Node) -> list[Shape | None]:
    data, flat = self._shape(node, 0), self._value(node, 1)
    return [tuple(dim + before + after for dim, before, after in zip(data, flat[::2], flat[1::2], strict=True))]


def _slice(self: Resized, node: Node) -> list[Shape | None]:
    data, begin, size = self._shape(node, 0), self._value(node, 1), self._value(node, 2)
    return [tuple(dim - b if s < 0 else s for dim, b, s in zip(data, begin, size, strict=True))]


def _index(node: Node, begin: Sequence[int], end: Sequence[int], strides: Sequence[int]) -> tuple[Any, ...]:
    """A STRIDED_SLICE as Python's index."""
    masks = [node.attributes[f"{name}_mask"] for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")]
    index: list[Any] = []
    for bit, (b, e, s) in enumerate(zip(begin, end, strides, strict=True)):
        first, last, ellipsis, new, shrink = (mask >> bit & 1 for mask in masks)
        if ellipsis or new:
            index.append(Ellipsis if ellipsis else None)
        else:
            index.append(b if shrink else slice(None if first else b, None if last else e, s))
    return tuple(index)


def _strided_slice(self: Resized, node: Node) -> list[Shape | None]:
    whole = np.broadcast_to(np.zeros((), np.uint8), self._shape(node, 0))
    return [tuple(whole[_index(node, *(self._value(node, slot) for slot in (1, 2, 3)))].shape)]


def _squeeze(self: Resized, node: Node) -> list[Shape | None]:
    data, axes = self._shape(node, 0), node.attributes.get("axes", ())
    return [tuple(dim for axis, dim in enumerate(data) if (axis not in axes if axes else dim != 1))]


def _expand_dims(self: Resized, node: Node) -> list[Shape | None]:
    data, axis = self._shape(node, 0), node.attributes["axis"]
    return [(*data[:axis], 1, *data[axis:])]


def _pack(self: Resized, node: Node) -> list[Shape | None]:
    data, axis = self._shape(node, 0), node.attributes["axis"]
    return [(*data[:axis], len(node.inputs), *data[axis:])]


def _unpack(self: Resized, node: Node) -> list[Shape | None]:
    data, axis = self._shape(node, 0), node.attributes["axis"]
    return [(*data[:axis], *data[axis + 1 :])] * len(node.outputs)


def _without_axis(self: Resized, node: Node) -> list[Shape | None]:
    data, axis = self._shape(node, 0), node.attributes["axis"]
    return [(*data[:axis], *data[axis + 1 :])]


def _gather(self: Resized, node: Node) -> list[Shape | None]:
    data, indices = self._shape(node, 0), self._shape(node, 1)
    axis, batch = node.attributes["axis"], node.attributes.get("batch_dims", 0)
    return [(*data[:axis], *indices[batch:], *data[axis + 1 :])]


def _gather_nd(self: Resized, node: Node) -> list[Shape | None]:
    data, indices = self._shape(node, 0), self._shape(node, 1)
    return [(*indices[:-1], *data[indices[-1] :])]


def _resize(self: Resized, node: Node) -> list[Shape | None]:
    data, (height, width) = self._shape(node, 0), self._value(node, 1)
    return [(data[0], height, width, data[3])]


def _depth_to_space(self: Resized, node: Node) -> list[Shape | None]:
    (n, h, w, c), block = self._shape(node, 0), node.attributes["block"]
    if node.kind == "depth_to_space":
        return [(n, h * block, w * block, c // block**2)]
    return [(n, h // block, w // block, c * block**2)]


def _batch_to_space(self: Resized, node: Node) -> list[Shape | None]:
    data, block, flat = self._shape(node, 0), self._value(node, 1), self._value(node, 2)
    pads = list(zip(flat[::2], flat[1::2], strict=True))
    n, inner, rest = data[0], data[1 : 1 + len(block)], data[1 + len(block) :]
    if node.kind == "space_to_batch":
        sizes = [(dim + sum(pad)) // b for dim, b, pad in zip(inner, block, pads, strict=True)]
        return [(n * prod(block), *sizes, *rest)]
    sizes = [dim * b - sum(pad) for dim, b, pad in zip(inner, block, pads, strict=True)]
    return [(n // prod(block), *sizes, *rest)]


def _batch_matmul(self: Resized, node: Node) -> list[Shape | None]:
    a, b = self._shape(node, 0), self._shape(node, 1)
    rows = a[-1] if node.attributes.get("transpose_a") else a[-2]
    columns = b[-2] if node.attributes.get("transpose_b") else b[-1]
    return [(*_broadcast([a[:-2], b[:-2]]), rows, columns)]


def _top_k(self: Resized, node: Node) -> list[Shape | None]:
    return [(*self._shape(node, 0)[:-1], self._value(node, 1)[0])] * 2


def _one_hot(self: Resized, node: Node) -> list[Shape | None]:
    data, axis = self._shape(node, 0), node.attributes["axis"]
    return [(*data[:axis], self._value(node, 1)[0], *data[axis:])]


def _tile(self: Resized, node: Node) -> list[Shape | None]:
    return [tuple(dim * count for dim, count in zip(self._shape(node, 0), self._value(node, 1), strict=True))]


def _range(self: Resized, node: Node) -> list[Shape | None]:
    (start,), (limit,), (delta,) = (self._value(node, slot) for slot in range(3))
    return [(max(-(-(limit - start) // delta), 0),)]


def _sequence(self: Resized, node: Node) -> list[Shape | None]:
    """A fused LSTM or RNN over a sequence: batch and time of the input, the width that the file has."""
    data, old = self._shape(node, 0), self.tensors[node.outputs[0]].shape or ()
    if len(data) != 3 or len(old) != 3 or len(node.outputs) != 1:
        raise UnknownError
    return [(*data[:2], old[2])]


def _non_max_suppression(self: Resized, node: Node) -> list[Shape | None]:
    """Indices and scores of as many boxes as the third operand says; how many there were is a scalar."""
    most = tuple(self._value(node, 2))
    return [*[most] * (len(node.outputs) - 1), ()]


_Handler = Callable[[Resized, Node], list[Shape | None]]

_HANDLERS: dict[str, _Handler] = {
    **dict.fromkeys(("conv2d", "depthwise_conv2d", "conv3d"), _convolution),
    # The output's size is an operand of its own, as that of a resize is.
    "transpose_conv2d": lambda self, node: [tuple(self._value(node, 3))],
    "fully_connected": _fully_connected,
    "reshape": _reshape,
    "concat": _concat,
    **dict.fromkeys(("split", "split_v"), _split),
    **dict.fromkeys(("pad", "pad_v2", "mirror_pad"), _pad),
    "slice": _slice,
    "strided_slice": _strided_slice,
    "squeeze": _squeeze,
    "expand_dims": _expand_dims,
    "pack": _pack,
    "unpack": _unpack,
    **dict.fromkeys(("arg_max", "arg_min"), _without_axis),
    "gather": _gather,
    "embedding_lookup": lambda self, node: [(*self._shape(node, 0), *self._shape(node, 1)[1:])],
    "gather_nd": _gather_nd,
    "transpose": lambda self, node: [tuple(self._shape(node, 0)[axis] for axis in node.attributes["permutation"])],
    **dict.fromkeys(("resize_bilinear", "resize_nearest"), _resize),
    **dict.fromkeys(("depth_to_space", "space_to_depth"), _depth_to_space),
    **dict.fromkeys(("batch_to_space", "space_to_batch"), _batch_to_space),
    "batch_matmul": _batch_matmul,
    "broadcast_to": lambda self, node: [tuple(self._value(node, 1))],
    "fill": lambda self, node: [tuple(self._value(node, 0)) if node.native == "FILL" else self._shape(node, 0)],
    "tile": _tile,
    "top_k": _top_k,
    "one_hot": _one_hot,
    "shape": lambda self, node: [(len(self._shape(node, 0)),)],
    "range": _range,
    "non_max_suppression": _non_max_suppression,
    # how many detections there are is an option of the op
    "detection_postprocess": lambda self, node: [self.tensors[index].shape for index in node.outputs],
    "lstm": _sequence,
    "rnn": _sequence,
}


def _renamed(_: Node, *operands: Array) -> Array:
    """Elements that keep their order: the output's shape says all."""
    return operands[0]


def _sliced(_: Node, data: Array, begin: Array, size: Array) -> Array:
    pairs = zip(begin.tolist(), size.tolist(), strict=True)
    return np.asarray(data[tuple(slice(b, None if s < 0 else b + s) for b, s in pairs)])


def _reduction(function: Callable[..., Any]) -> Callable[..., Array]:
    def fold(node: Node, data: Array, _: Array) -> Array:
        return np.asarray(function(data, axis=node.attributes["axes"], keepdims=bool(node.attributes.get("keep_dims"))))

    return fold


_FOLDS: dict[str, Callable[..., Any]] = {
    "shape": _renamed,
    **dict.fromkeys(("reshape", "squeeze", "expand_dims"), _renamed),
    "cast": _renamed,
    "strided_slice": lambda node, data, *bounds: data[_index(node, *(bound.tolist() for bound in bounds))],
    "slice": _sliced,
    "pack": lambda node, *parts: np.stack(parts, node.attributes["axis"]),
    "concat": lambda node, *parts: np.concatenate(parts, node.attributes["axis"]),
    "gather": lambda node, data, index: np.take(data, index, node.attributes["axis"]),
    "add": lambda _, a, b: a + b,
    "sub": lambda _, a, b: a - b,
    "mul": lambda _, a, b: a * b,
    "floor_mod": lambda _, a, b: a % b,
    "floor_div": lambda _, a, b: a // b,
    "maximum": lambda _, a, b: np.maximum(a, b),
    "minimum": lambda _, a, b: np.minimum(a, b),
    "reduce_prod": _reduction(np.prod),
    "sum": _reduction(np.sum),
    "reduce_max": _reduction(np.max),
}
