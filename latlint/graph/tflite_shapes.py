"""The sizes that TensorFlow Lite gives the tensors of a graph: as each op's ``Prepare`` in ``tensorflow/lite/kernels/`` computes them.

A file states a size for every tensor, and the runtime believes those of inputs and constants alone: it computes all others anew, from
the inputs on. Shape arithmetic (SHAPE, STRIDED_SLICE, PACK, …) is computed on the way. What cannot be told before the model runs has
the file's size, where that is fixed and its inputs are as the file says, else open dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from latlint.graph.flatbuffer import MalformedError
from latlint.graph.inputs import dims_text
from latlint.graph.ops import BINARY, POOLS, REDUCTIONS, UNARY
from latlint.graph.tflite_ops import impossible
from latlint.graph.types import ITEM_BYTES, Node, Tensor
from latlint.records import NamedTuple

Shape = tuple[int, ...]
Array = np.ndarray[Any, Any]

MAX_RANK = 16
#: Beyond it a tensor has more elements than any address space of a phone has bytes.
MAX_ELEMENTS = 1 << 48

#: Longer values steer no shape.
_MAX_VALUE = 64
#: How the runtime computes: 70 * 0.7 is 49 in float32, and 48.999999 in float64. Integers never overflow here.
_KINDS: dict[str, type[np.generic]] = {"float32": np.float32, "float64": np.float64, "bool": np.bool_}

#: Kinds whose first output has the shape of the first input.
_SAME = UNARY | frozenset(
    "softmax log_softmax cast quantize dequantize fake_quant identity dropout cumsum reverse l2_normalization "
    "local_response_norm densify".split()
)


#: Types of values that stand for others.
_HANDLES = frozenset({"resource", "variant"})


class UnknownError(Exception):
    """The shape is not known before the model runs."""


def check_shape(shape: Shape, index: int) -> None:
    """Raises MalformedError for a shape that tensor ``index`` cannot have, or beyond a bound."""
    if len(shape) > MAX_RANK:
        raise MalformedError(f"tensor {index} has {len(shape):,} dimensions; at most {MAX_RANK} are read", "LAT006")
    elements = 1
    for dim in shape:
        if dim < -1:
            raise impossible(f"tensor {index} has a dimension of {dim}")
        elements *= dim or 1
    if abs(elements) > MAX_ELEMENTS:
        raise MalformedError(
            f"tensor {index} has {abs(elements):,} elements; at most {MAX_ELEMENTS:,} are read", "LAT006"
        )


class Misfit(NamedTuple):
    """A tensor whose size in the file is not the one that the runtime computes."""

    tensor: int
    stated: Shape
    computed: Shape


class Sizes:
    """The tensors of a graph, sized node by node in file order.

    ``moved`` are the tensors that are not as the file says, directly or for the sake of another one; ``dynamic`` and
    ``dynamic_in_litert`` as in ``Graph``; ``lost`` the nodes whose outputs cannot be sized, by these.
    """

    def __init__(self, tensors: list[Tensor], opened: Callable[[int], Shape | None]) -> None:
        """``tensors`` is changed in place; ``opened`` gives a tensor's size as the file has it, -1 where that is a placeholder."""
        self.tensors = tensors
        self.opened = opened
        self.moved: set[int] = set()
        self.dynamic: set[int] = set()
        self.dynamic_in_litert: set[int] = set()
        self.lost: dict[Shape, Node] = {}
        self.misfits: list[Misfit] = []
        self.values: dict[int, Array] = {}
        #: Tensors that LiteRT computes in ``Prepare`` (``kTfLitePersistentRo``).
        self.folded: set[int] = set()
        #: Outputs of slices that grow or shrink from round to round of a loop: at half of what is sliced.
        self.bounded: set[int] = set()
        #: The inputs have sizes that nobody stated: what cannot be with them is no fault of the graph.
        self.assumed = False

    def resize(self, index: int, shape: Shape | None) -> None:
        """An input gets ``shape``, whatever the file says; ``None``: even the rank is not known."""
        check_shape(shape or (), index)
        self.moved.add(index)
        self.tensors[index] = replace(self.tensors[index], shape=shape)

    def take(self, node: Node) -> bool:
        """Give the outputs of ``node`` the shapes, and where they steer others the values, that its inputs make; whether the
        first one's shape changed."""
        tensors = self.tensors
        outputs = node.outputs
        before = tensors[outputs[0]].shape if outputs else None
        sized = False
        try:
            shapes = self._shapes(node)
        except (UnknownError, ValueError, IndexError, KeyError, TypeError, ArithmeticError):
            self._lose(node)
        except MalformedError:
            if not self.assumed:
                raise
            self.moved.update(node.inputs)
            self._lose(node)
        else:
            for index, shape in zip(outputs, shapes, strict=False):
                if tensors[index].shape != shape:
                    self._change(index, shape)
            for index in outputs[len(shapes) :]:
                self._keep(index)
            sized = True
        if steers := _STEERING.get(node.native):
            self._find_dynamic(node, steers)
        if sized and node.kind in _FOLDS and all(_is_small(tensors[index].shape) for index in outputs):
            self._compute(node)
        return bool(outputs) and tensors[outputs[0]].shape != before

    def again(self, node: Node) -> None:
        """``take`` once more: what it reads is of another size by now."""
        for index in node.outputs:
            self.values.pop(index, None)
            self.folded.discard(index)
        self.lost.pop(node.outputs, None)
        self.take(node)

    def _change(self, index: int, shape: Shape) -> None:
        """The runtime makes ``shape`` of a tensor that has another one in the file."""
        tensor, opened = self.tensors[index], self.opened(index)
        self.resize(index, shape)
        fits = opened is None or (
            len(opened) == len(shape) and all(-1 in (a, b) or a == b for a, b in zip(opened, shape, strict=True))
        )
        if not fits and tensor.shape is not None:
            self.misfits.append(Misfit(index, tensor.shape, shape))

    def _lose(self, node: Node) -> None:
        """The size of what ``node`` writes is not computed: as the file says, unless its inputs are not, or the data decide it."""
        if node.inner and node.kind == "slice" and self._bound(node):
            return
        believed = (
            self.moved.isdisjoint(node.inputs) and not self._computed(node) and all(map(self._is_sized, node.inputs))
        )
        lost = False
        for index in node.outputs:
            if index < 0:
                continue
            if believed:
                self._keep(index)
            else:
                shape = self.tensors[index].shape
                self.resize(index, None if shape is None else (-1,) * len(shape))
            if node.kind == "concat" and not self.bounded.isdisjoint(node.inputs):
                self.bounded.add(index)
            lost |= -1 in (self.tensors[index].shape or (-1,))
        if lost:
            self.lost[node.outputs] = node

    def _is_sized(self, index: int) -> bool:
        """Whether an operand has a known size, or none that matters: a handle."""
        return index < 0 or self.tensors[index].elements is not None or self.tensors[index].dtype in _HANDLES

    def _computed(self, node: Node) -> list[int]:
        """The operands that decide the size of what ``node`` writes and that only a run of the model tells."""
        slots = _STEERING.get(node.native, ())
        asked = (node.inputs[slot] for slot in slots if slot < len(node.inputs))
        return [
            index for index in asked if index >= 0 and not self.tensors[index].constant and self.array(index) is None
        ]

    def _bound(self, node: Node) -> bool:
        """A slice by a loop's counter is counted as half of what it is cut from, its mean over all rounds; whether that is known."""
        shape = self.tensors[node.inputs[0]].shape
        if shape is None or -1 in shape:
            return False
        self.bounded.add(node.outputs[0])
        self.resize(node.outputs[0], (-(-shape[0] // 2), *shape[1:]) if shape else shape)
        return True

    def _keep(self, index: int) -> None:
        """The file's size, with its placeholders open."""
        opened = self.opened(index)
        if opened != self.tensors[index].shape:
            self.resize(index, opened)

    # --- Shapes ------------------------------------------------------------------------------------------------------------------

    def _shapes(self, node: Node) -> Sequence[Shape]:
        kind = node.kind
        if kind in _SAME:
            return [self._shape(node, 0)]
        if kind in BINARY:
            first, second = self._shape(node, 0), self._shape(node, 1)
            return [first if first == second else _fitting(node, [first, second])]
        handler = _NATIVE.get(node.native) or _HANDLERS.get(kind)
        if handler is None:
            raise UnknownError
        return handler(self, node)

    def _shape(self, node: Node, slot: int) -> Shape:
        """The shape of an operand, all of it known."""
        shape = self.tensors[node.inputs[slot]].shape
        if shape is None or -1 in shape:
            raise UnknownError
        return shape

    def _rank(self, node: Node) -> int:
        shape = self.tensors[node.inputs[0]].shape
        if shape is None:
            raise UnknownError
        return len(shape)

    def _value(self, node: Node, slot: int) -> list[int]:
        """The elements of an operand that is a constant or shape arithmetic."""
        index = node.inputs[slot] if slot < len(node.inputs) else -1
        value = self.array(index) if index >= 0 else None
        if value is None:
            raise UnknownError
        return [int(x) for x in value.ravel().tolist()]

    # --- What is known when the runtime prepares the graph --------------------------------------------------------------------------

    def _find_dynamic(self, node: Node, steers: Sequence[int]) -> None:
        """An op whose size depends on an operand that ``Prepare`` does not know writes dynamic tensors."""
        asked = [node.inputs[slot] for slot in steers if slot < len(node.inputs) and node.inputs[slot] >= 0]
        computed = [index for index in asked if not self._is_constant(index)]
        if computed:
            self.dynamic.update(node.outputs)
            if node.native in _ASKS_FOR_CONSTANTS or not self.folded.issuperset(computed):
                self.dynamic_in_litert.update(node.outputs)

    def _is_constant(self, index: int) -> bool:
        return self.tensors[index].constant or self.tensors[index].elements == 0

    # --- Values of shape arithmetic ------------------------------------------------------------------------------------------------

    def array(self, index: int) -> Array | None:
        """The elements of a constant, or of what was computed from shapes and constants; ``None`` when they are not known."""
        if index in self.values:
            return self.values[index]
        tensor = self.tensors[index]
        shape, elements = tensor.shape, tensor.elements
        if shape is None or elements is None:
            return None
        if elements == 0:
            # what is made of it may have the dimensions that are not 0
            return np.zeros(shape, np.int64) if _is_small(shape) else None
        if tensor.value is None or len(tensor.value) > _MAX_VALUE:
            return None
        found = np.array(tensor.value, _KINDS.get(tensor.dtype, np.int64 if tensor.dtype.startswith("int") else None))
        return found.reshape(shape) if found.size == elements else None

    def _compute(self, node: Node) -> None:
        """The values of what ``node`` writes, which is small."""
        values, tensors = self.values, self.tensors
        reads = [index for index in node.inputs if index >= 0]
        if len(reads) > _MAX_VALUE:
            return
        if node.kind in ("shape", "rank"):
            shape = tensors[reads[0]].shape
            if shape is None or (node.kind == "shape" and -1 in shape):
                return
            arrays = [np.array(shape if node.kind == "shape" else len(shape), np.int64)]
            self.folded.update(node.outputs)
        else:
            # Nearly all ops are on data: not worth a call each.
            for index in reads:
                if index not in values and tensors[index].value is None and tensors[index].elements != 0:
                    return
            known = [self.array(index) for index in reads]
            arrays = [array for array in known if array is not None]
            if len(arrays) < len(reads):
                return
        try:
            with np.errstate(all="ignore"):
                found = _FOLDS[node.kind](self, node, *arrays)
                parts = found if isinstance(found, list) else [found]
                activation = node.attributes.get("activation", "none")
                if activation != "none":
                    parts = [np.clip(part, *_CLAMPS[activation]) for part in parts]
        except (UnknownError, ValueError, IndexError, KeyError, TypeError, ArithmeticError):
            return
        early = node.native in _FOLDED and all(index in self.folded or self._is_constant(index) for index in reads)
        for index, part in zip(node.outputs, parts, strict=False):
            value = np.asarray(part)
            if value.shape == tensors[index].shape:
                values[index] = value
                if early:
                    self.folded.add(index)


def _is_small(shape: Shape | None) -> bool:
    """Whether a value of ``shape`` may be held, and all that its elements and dimensions are multiplied into."""
    return shape is not None and -1 not in shape and prod(dim or 1 for dim in shape) <= _MAX_VALUE


# --- What each op makes of its inputs ------------------------------------------------------------------------------------------------


def _broadcast(shapes: Sequence[Shape]) -> Shape:
    if max(map(len, shapes)) > 8:
        raise UnknownError
    return tuple(int(dim) for dim in np.broadcast_shapes(*shapes))


def _fitting(node: Node, shapes: Sequence[Shape]) -> Shape:
    """``_broadcast`` of the operands of ``node``, which the runtime refuses where they do not fit."""
    try:
        return _broadcast(shapes)
    except ValueError:
        texts = " and ".join(map(dims_text, shapes))
        raise impossible(f"node {node.index} ({node.native[:80]}) takes {texts}, which do not broadcast") from None


def _same(self: Sizes, node: Node) -> Sequence[Shape]:
    return [self._shape(node, 0)]


def _listed(slot: int) -> _Handler:
    """The shape is the operand in ``slot``."""
    return lambda self, node: [_counts(self._value(node, slot))]


def _counts(dims: Iterable[int]) -> Shape:
    found = tuple(dims)
    if min(found, default=0) < 0:
        raise UnknownError
    return found


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


def _pool(self: Sizes, node: Node) -> Sequence[Shape]:
    data = self._shape(node, 0)
    return [(data[0], *_windows(node, data[1:3]), data[3])] * len(node.outputs)


def _reduced(self: Sizes, node: Node) -> Sequence[Shape]:
    shape, axes = self._shape(node, 0), _axes(self, node)
    if node.attributes.get("keep_dims"):
        return [tuple(1 if axis in axes else dim for axis, dim in enumerate(shape))]
    return [tuple(dim for axis, dim in enumerate(shape) if axis not in axes)]


def _axes(self: Sizes, node: Node) -> Sequence[int]:
    """The axes of a reduction, counted from the front: constant, or computed."""
    axes = node.attributes.get("axes")
    if axes is not None:
        return list(axes)
    rank = len(self._shape(node, 0))
    return [axis + rank if axis < 0 else axis for axis in self._value(node, 1)]


def _convolution(self: Sizes, node: Node) -> Sequence[Shape]:
    data, weights = self._shape(node, 0), self._shape(node, 1)
    if node.kind == "conv3d":
        return [(data[0], *_windows(node, data[1:4]), weights[4])]
    channels = weights[3] if node.kind == "depthwise_conv2d" else weights[0]
    return [(data[0], *_windows(node, data[1:3]), channels)]


def _fully_connected(self: Sizes, node: Node) -> Sequence[Shape]:
    data, (units, depth) = self._shape(node, 0), self._shape(node, 1)
    if node.attributes.get("keep_num_dims"):
        return [(*data[:-1], units)]
    if prod(data) % depth:
        raise impossible(
            f"node {node.index} ({node.native[:80]}) takes rows of {depth}, which {prod(data)} elements do not fill"
        )
    return [(prod(data) // depth, units)]


def _reshape(self: Sizes, node: Node) -> Sequence[Shape]:
    data, wanted = self._shape(node, 0), node.attributes.get("shape")
    dims = self._value(node, 1) if wanted is None else list(wanted)
    known = prod(dim for dim in dims if dim >= 0)
    if dims.count(-1) == 1 and known:
        dims[dims.index(-1)] = prod(data) // known
    if prod(dims) != prod(data) or min(dims, default=1) < 0:
        raise impossible(
            f"node {node.index} ({node.native[:80]}) makes a fixed shape of {prod(dims):,} elements, its input would have "
            f"{prod(data):,}"
        )
    return [tuple(dims)]


def _concat(self: Sizes, node: Node) -> Sequence[Shape]:
    if not self.bounded.isdisjoint(node.inputs):
        raise UnknownError
    shapes = [self._shape(node, slot) for slot in range(len(node.inputs))]
    axis, first = node.attributes["axis"], shapes[0]
    for shape in shapes[1:]:
        if shape[:axis] != first[:axis] or shape[axis + 1 :] != first[axis + 1 :]:
            raise impossible(
                f"node {node.index} ({node.native[:80]}) would join {dims_text(first)} and {dims_text(shape)}"
            )
    return [(*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :])]


def _split(self: Sizes, node: Node) -> Sequence[Shape]:
    data, axis = self._shape(node, 0), node.attributes["axis"]
    count = len(node.outputs)
    sizes = self._value(node, 1) if node.kind == "split_v" else [data[axis] // count] * count
    rest = data[axis] - sum(size for size in sizes if size >= 0)
    if rest < 0 or sizes.count(-1) > 1 or (rest and -1 not in sizes):
        raise impossible(
            f"node {node.index} ({node.native[:80]}) cuts {data[axis]} into {len(sizes)} parts, which does not come out even"
        )
    return [(*data[:axis], rest if size < 0 else size, *data[axis + 1 :]) for size in sizes]


def _pad(self: Sizes, node: Node) -> Sequence[Shape]:
    data, flat = self._shape(node, 0), self._value(node, 1)
    return [tuple(dim + before + after for dim, before, after in zip(data, flat[::2], flat[1::2], strict=True))]


def _slice(self: Sizes, node: Node) -> Sequence[Shape]:
    """Where a part begins does not matter to its size, but where it reaches to the end."""
    data, size = self._shape(node, 0), self._value(node, 2)
    try:
        begin = self._value(node, 1)
    except UnknownError:
        if min(size, default=0) < 0:
            raise
    else:
        if any(s < -1 or not 0 <= b + max(s, 0) <= dim for dim, b, s in zip(data, begin, size, strict=True)):
            raise impossible(
                f"node {node.index} ({node.native[:80]}) takes {size} from {begin} on of {dims_text(data)}"
            )
        return [tuple(dim - b if s < 0 else s for dim, b, s in zip(data, begin, size, strict=True))]
    begin = size
    return [_counts(dim - b if s < 0 else s for dim, b, s in zip(data, begin, size, strict=True))]


def _index(node: Node, begin: Sequence[int], end: Sequence[int], strides: Sequence[int]) -> tuple[Any, ...]:
    """A STRIDED_SLICE as Python's index. Its end may be told from where it begins."""
    if node.attributes.get("offset"):
        end = [b + e for b, e in zip(begin, end, strict=True)]
    masks = [node.attributes[f"{name}_mask"] for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")]
    index: list[Any] = []
    for bit, (b, e, s) in enumerate(zip(begin, end, strides, strict=True)):
        first, last, ellipsis, new, shrink = (mask >> bit & 1 for mask in masks)
        if ellipsis or new:
            index.append(Ellipsis if ellipsis else None)
        else:
            index.append(b if shrink else slice(None if first else b, None if last else e, s))
    return tuple(index)


def _strided_slice(self: Sizes, node: Node) -> Sequence[Shape]:
    whole = np.broadcast_to(np.zeros((), np.uint8), self._shape(node, 0))
    begin, end = _bound(self, node, 1, "begin_mask"), _bound(self, node, 2, "end_mask")
    return [tuple(whole[_index(node, begin, end, self._value(node, 3))].shape)]


def _bound(self: Sizes, node: Node, slot: int, mask: str) -> list[int]:
    """Where a STRIDED_SLICE begins or ends. A bound that is computed says nothing of an axis that is dropped, or taken whole."""
    try:
        return self._value(node, slot)
    except UnknownError:
        count = (self.tensors[node.inputs[slot]].shape or (0,))[0]
        free = node.attributes["shrink_axis_mask"] | node.attributes[mask]
        if count < 1 or any(not free >> bit & 1 for bit in range(count)):
            raise
        return [0] * count


def _squeeze(self: Sizes, node: Node) -> Sequence[Shape]:
    data, axes = self._shape(node, 0), node.attributes.get("axes", ())
    return [tuple(dim for axis, dim in enumerate(data) if (axis not in axes if axes else dim != 1))]


def _expand_dims(self: Sizes, node: Node) -> Sequence[Shape]:
    data, axis = self._shape(node, 0), node.attributes["axis"]
    return [(*data[:axis], 1, *data[axis:])]


def _pack(self: Sizes, node: Node) -> Sequence[Shape]:
    data, axis = self._shape(node, 0), node.attributes["axis"]
    return [(*data[:axis], len(node.inputs), *data[axis:])]


def _without_axis(self: Sizes, node: Node) -> Sequence[Shape]:
    data, axis = self._shape(node, 0), node.attributes["axis"]
    return [(*data[:axis], *data[axis + 1 :])] * len(node.outputs)


def _gather(self: Sizes, node: Node) -> Sequence[Shape]:
    data, indices = self._shape(node, 0), self._shape(node, 1)
    axis, batch = node.attributes["axis"], node.attributes.get("batch_dims", 0)
    return [(*data[:axis], *indices[batch:], *data[axis + 1 :])]


def _gather_nd(self: Sizes, node: Node) -> Sequence[Shape]:
    data, indices = self._shape(node, 0), self._shape(node, 1)
    return [(*indices[:-1], *data[indices[-1] :])]


def _resize(self: Sizes, node: Node) -> Sequence[Shape]:
    data, (height, width) = self._shape(node, 0), self._value(node, 1)
    if min(height, width) < 1:
        raise impossible(f"node {node.index} ({node.native[:80]}) resizes to {height}x{width}")
    return [(data[0], height, width, data[3])]


def _depth_to_space(self: Sizes, node: Node) -> Sequence[Shape]:
    (n, h, w, c), block = self._shape(node, 0), node.attributes["block"]
    if node.kind == "depth_to_space":
        return [(n, h * block, w * block, c // block**2)]
    return [(n, h // block, w // block, c * block**2)]


def _batch_to_space(self: Sizes, node: Node) -> Sequence[Shape]:
    data, block, flat = self._shape(node, 0), self._value(node, 1), self._value(node, 2)
    pads = list(zip(flat[::2], flat[1::2], strict=True))
    n, inner, rest = data[0], data[1 : 1 + len(block)], data[1 + len(block) :]
    if node.kind == "space_to_batch":
        sizes = [(dim + sum(pad)) // b for dim, b, pad in zip(inner, block, pads, strict=True)]
        return [_counts((n * prod(block), *sizes, *rest))]
    sizes = [dim * b - sum(pad) for dim, b, pad in zip(inner, block, pads, strict=True)]
    return [_counts((n // prod(block), *sizes, *rest))]


def _batch_matmul(self: Sizes, node: Node) -> Sequence[Shape]:
    a, b = self._shape(node, 0), self._shape(node, 1)
    rows = a[-1] if node.attributes.get("transpose_a") else a[-2]
    columns = b[-2] if node.attributes.get("transpose_b") else b[-1]
    return [(*_broadcast([a[:-2], b[:-2]]), rows, columns)]


def _top_k(self: Sizes, node: Node) -> Sequence[Shape]:
    return [_counts((*self._shape(node, 0)[:-1], self._value(node, 1)[0]))] * 2


def _one_hot(self: Sizes, node: Node) -> Sequence[Shape]:
    data, axis = self._shape(node, 0), node.attributes["axis"]
    return [_counts((*data[:axis], self._value(node, 1)[0], *data[axis:]))]


def _tile(self: Sizes, node: Node) -> Sequence[Shape]:
    return [_counts(dim * count for dim, count in zip(self._shape(node, 0), self._value(node, 1), strict=True))]


def _range(self: Sizes, node: Node) -> Sequence[Shape]:
    bounds = [self.array(node.inputs[slot]) for slot in range(3)]
    if any(bound is None for bound in bounds):
        raise UnknownError
    start, limit, delta = (bound.item() for bound in bounds if bound is not None)
    return [(max(-int(-(limit - start) // delta), 0),)]


def _lstm(self: Sizes, node: Node) -> Sequence[Shape]:
    """As many units as columns of the recurrent weights (``kernels/lstm.cc``); a basic cell also writes its state."""
    data = self._shape(node, 0)
    if len(node.outputs) == 4:  # the basic kernel: data, activation, weights, bias, state
        rows, units = self._shape(node, 1)
        return [(rows, units), (rows, units), (rows, self._shape(node, 2)[1]), (rows, 4 * units)]
    return [(*data[:-1], self._shape(node, 6)[1])]


def _bidirectional_lstm(self: Sizes, node: Node) -> Sequence[Shape]:
    return _both_ways(node, self._shape(node, 0), self._shape(node, 6)[1], self._shape(node, 23)[1])


def _both_ways(node: Node, data: Shape, forward: int, backward: int) -> Sequence[Shape]:
    if len(node.outputs) == 1:
        return [(*data[:-1], forward + backward)]
    return [(*data[:-1], forward), (*data[:-1], backward)]


def _rnn(self: Sizes, node: Node) -> Sequence[Shape]:
    return [(*self._shape(node, 0)[:-1], self._shape(node, 1)[0])]


def _bidirectional_rnn(self: Sizes, node: Node) -> Sequence[Shape]:
    return _both_ways(node, self._shape(node, 0), self._shape(node, 1)[0], self._shape(node, 5)[0])


def _svdf(self: Sizes, node: Node) -> Sequence[Shape]:
    return [(self._shape(node, 0)[0], self._shape(node, 1)[0] // node.attributes["rank"])]


def _where(self: Sizes, node: Node) -> Sequence[Shape]:
    """As many rows as there are elements that are not zero."""
    if self.tensors[node.inputs[0]].elements == 0:
        return [(0, self._rank(node))]
    value = self.array(node.inputs[0])
    return [(-1 if value is None else int(np.count_nonzero(value)), self._rank(node))]


def _non_max_suppression(self: Sizes, node: Node) -> Sequence[Shape]:
    """Indices and scores of as many boxes as the third operand says; how many there were is a scalar."""
    most = _counts(self._value(node, 2))
    return [*[most] * (len(node.outputs) - 1), ()]


def _select(self: Sizes, node: Node) -> Sequence[Shape]:
    if node.native == "SELECT":
        return [self._shape(node, 1)]
    return [_fitting(node, [self._shape(node, slot) for slot in range(3)])]


def _bitcast(self: Sizes, node: Node) -> Sequence[Shape]:
    data = self._shape(node, 0)
    sizes = [ITEM_BYTES.get(self.tensors[index].dtype, 0) for index in (node.inputs[0], node.outputs[0])]
    if sizes[0] == sizes[1]:
        return [data]
    return [(*data, int(sizes[0] / sizes[1]))] if sizes[0] > sizes[1] else [data[:-1]]


def _rfft2d(self: Sizes, node: Node) -> Sequence[Shape]:
    rows, columns = self._value(node, 1)
    return [(*self._shape(node, 0)[:-2], rows, columns // 2 + 1)]


def _unsorted_segments(self: Sizes, node: Node) -> Sequence[Shape]:
    data, ids = self._shape(node, 0), self._shape(node, 1)
    return [_counts((*self._value(node, 2)[:1], *data[len(ids) :]))]


_Handler = Callable[[Sizes, Node], Sequence[Shape]]

_HANDLERS: dict[str, _Handler] = {
    **dict.fromkeys(("conv2d", "depthwise_conv2d", "conv3d"), _convolution),
    **dict.fromkeys(POOLS, _pool),
    **dict.fromkeys(REDUCTIONS, _reduced),
    # The output's size is an operand of its own, as that of a resize is.
    **dict.fromkeys(("transpose_conv2d", "transpose_conv3d"), _listed(3)),
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
    **dict.fromkeys(("unpack", "arg_max", "arg_min"), _without_axis),
    "gather": _gather,
    "embedding_lookup": lambda self, node: [(*self._shape(node, 0), *self._shape(node, 1)[1:])],
    "gather_nd": _gather_nd,
    "scatter_nd": _listed(2),
    "transpose": lambda self, node: [tuple(self._shape(node, 0)[axis] for axis in node.attributes["permutation"])],
    **dict.fromkeys(("resize_bilinear", "resize_nearest"), _resize),
    **dict.fromkeys(("depth_to_space", "space_to_depth"), _depth_to_space),
    **dict.fromkeys(("batch_to_space", "space_to_batch"), _batch_to_space),
    "batch_matmul": _batch_matmul,
    "broadcast_to": _listed(1),
    "fill": _listed(0),
    "random": _listed(0),
    "select": _select,
    "tile": _tile,
    "top_k": _top_k,
    "one_hot": _one_hot,
    "shape": lambda self, node: [(self._rank(node),)],
    "rank": lambda self, node: [()],
    "range": _range,
    "where": _where,
    "non_max_suppression": _non_max_suppression,
    # how many detections there are is an option of the op
    "detection_postprocess": lambda self, node: [_counts(self.tensors[i].shape or (-1,)) for i in node.outputs],
    "lstm": _lstm,
    "rnn": _rnn,
    "svdf": _svdf,
}

#: Ops that are sized in another way than their kind, or have none.
_NATIVE: dict[str, _Handler] = {
    **dict.fromkeys(
        "ZEROS_LIKE ADD_N DYNAMIC_UPDATE_SLICE MATRIX_SET_DIAG REAL IMAG COMPLEX_ABS BUCKETIZE HASHTABLE_FIND".split(),
        _same,
    ),
    "UNIQUE": lambda self, node: [(-1,), self._shape(node, 0)],
    **dict.fromkeys(
        "ATAN2 BITWISE_XOR RIGHT_SHIFT".split(),
        lambda self, node: [_broadcast([self._shape(node, 0), self._shape(node, 1)])],
    ),
    **dict.fromkeys((f"UNSORTED_SEGMENT_{name}" for name in ("SUM", "MAX", "MIN", "PROD")), _unsorted_segments),
    "BIDIRECTIONAL_SEQUENCE_LSTM": _bidirectional_lstm,
    "BIDIRECTIONAL_SEQUENCE_RNN": _bidirectional_rnn,
    "BITCAST": _bitcast,
    "BROADCAST_ARGS": lambda self, node: [(max(self._shape(node, 0)[0], self._shape(node, 1)[0]),)],
    "MATRIX_DIAG": lambda self, node: [(*self._shape(node, 0), self._shape(node, 0)[-1])],
    "MULTINOMIAL": lambda self, node: [_counts((self._shape(node, 0)[0], *self._value(node, 1)))],
    "RFFT2D": _rfft2d,
    "SPARSE_TO_DENSE": _listed(1),
    # a handle, not what it stands for
    "VAR_HANDLE": lambda self, node: [()],
    # what it stands for has the size that the file states
    "READ_VARIABLE": lambda self, node: [_counts(self.opened(node.outputs[0]) or (-1,))],
}

#: Ops whose ``Prepare`` looks at the elements of these operands to size its outputs; where it does not know them yet, the outputs
#: are dynamic tensors (``SetTensorToDynamic``).
_STEERING: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(
        "RESHAPE SPLIT PAD PADV2 MIRROR_PAD EXPAND_DIMS ARG_MAX ARG_MIN TRANSPOSE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR "
        "BROADCAST_TO TILE TOPK_V2 ONE_HOT MEAN SUM REDUCE_MAX REDUCE_MIN REDUCE_PROD REDUCE_ANY REDUCE_ALL RFFT2D "
        "MULTINOMIAL SPARSE_TO_DENSE".split(),
        (1,),
    ),
    **dict.fromkeys("SPLIT_V SLICE BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND".split(), (1, 2)),
    **dict.fromkeys("FILL RANDOM_UNIFORM RANDOM_STANDARD_NORMAL WHERE UNIQUE".split(), (0,)),
    **dict.fromkeys("SCATTER_ND NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SEGMENT_SUM".split(), (2,)),
    **dict.fromkeys((f"UNSORTED_SEGMENT_{name}" for name in ("SUM", "MAX", "MIN", "PROD")), (2,)),
    **dict.fromkeys("TRANSPOSE_CONV CONV_3D_TRANSPOSE".split(), (3,)),
    "STRIDED_SLICE": (1, 2, 3),
    "RANGE": (0, 1, 2),
}

#: Ops that LiteRT 2.3 computes in ``Prepare`` where it knows all operands, beside SHAPE and RANK; TensorFlow Lite 2.10 computes none.
_FOLDED = frozenset("RANGE BROADCAST_ARGS STRIDED_SLICE MUL GATHER CONCATENATION REDUCE_PROD RESHAPE TILE".split())

#: Ops that LiteRT 2.3, too, sizes early by the file's constants alone.
_ASKS_FOR_CONSTANTS = frozenset({"TRANSPOSE_CONV", "CONV_3D_TRANSPOSE"})


# --- Shape arithmetic ------------------------------------------------------------------------------------------------------------------


def _renamed(self: Sizes, node: Node, data: Array, *_: Array) -> Array:
    """Elements that keep their order: the output's shape says all."""
    return data.reshape(self.tensors[node.outputs[0]].shape or ())


def _casted(self: Sizes, node: Node, data: Array) -> Array:
    target = str(node.attributes.get("to", ""))
    if target.startswith(("int", "uint")):
        return np.trunc(data).astype(np.int64)
    return data.astype(_KINDS[target]) if target in _KINDS else data


def _sliced(self: Sizes, node: Node, data: Array, begin: Array, size: Array) -> Array:
    pairs = zip(begin.tolist(), size.tolist(), strict=True)
    return np.asarray(data[tuple(slice(b, None if s < 0 else b + s) for b, s in pairs)])


def _split_values(self: Sizes, node: Node, data: Array, *_: Array) -> list[Array]:
    axis = node.attributes["axis"]
    sizes = [shape[axis] for index in node.outputs if (shape := self.tensors[index].shape) is not None]
    return np.split(data, np.cumsum(sizes)[:-1].tolist(), axis)


def _unpacked(self: Sizes, node: Node, data: Array) -> list[Array]:
    return list(np.moveaxis(data, node.attributes["axis"], 0))


def _divided(self: Sizes, node: Node, a: Array, b: Array) -> Array:
    return np.trunc(a / b).astype(np.int64) if a.dtype.kind == "i" else a / b


def _elementwise(function: Callable[..., Any], takes: int = 0) -> _Fold:
    """A function of ``takes`` operands, a ufunc of its own number: one more would be what NumPy writes the result into."""
    takes = function.nin if isinstance(function, np.ufunc) else takes

    def fold(self: Sizes, node: Node, *operands: Array) -> Array:
        if len(operands) != takes:
            raise ValueError(f"{len(operands)} operands, of {takes}")
        return np.asarray(function(*operands))

    return fold


def _mean(data: Array, **over: Any) -> Array:
    """NumPy's; of nothing, which it warns of whatever ``errstate`` says, there is none."""
    if not data.size:
        raise ValueError("the mean of nothing")
    return np.asarray(np.mean(data, **over))


def _reduction(function: Callable[..., Any]) -> _Fold:
    def fold(self: Sizes, node: Node, data: Array, *_: Array) -> Array:
        axes = tuple(_axes(self, node))
        return np.asarray(function(data, axis=axes, keepdims=bool(node.attributes.get("keep_dims"))))

    return fold


def _arranged(self: Sizes, node: Node, start: Array, limit: Array, delta: Array) -> Array:
    (count,) = _room(self, node)
    return np.asarray(start + np.arange(count) * delta)


def _room(self: Sizes, node: Node) -> Shape:
    """The shape of the output."""
    return self.tensors[node.outputs[0]].shape or ()


def _filled(self: Sizes, node: Node, *operands: Array) -> Array:
    return np.broadcast_to(operands[1] if node.native == "FILL" else np.zeros_like(operands[0]), _room(self, node))


def _broadcasted(self: Sizes, node: Node, data: Array, *_: Array) -> Array:
    return np.broadcast_to(data, _room(self, node))


def _padded(self: Sizes, node: Node, data: Array, pads: Array) -> Array:
    return np.pad(data, pads.tolist())


def _tiled(self: Sizes, node: Node, data: Array, counts: Array) -> Array:
    room, times = _room(self, node), counts.tolist()
    if tuple(dim * count for dim, count in zip(data.shape, times, strict=True)) != room:
        raise ValueError("another shape")
    # NumPy repeats one axis after the other, and may have run out of memory before it comes to that of no elements
    return np.tile(data, times) if prod(room) else np.zeros(room, data.dtype)


def _summed(self: Sizes, node: Node, data: Array, *_: Array) -> Array:
    """Sums from the first on along an axis, or from the last; each with its own element, or without."""
    axis = node.attributes["axis"]
    data = np.flip(data, axis) if node.attributes["reverse"] else data
    found = np.cumsum(data, axis, data.dtype)
    found = found - data if node.attributes["exclusive"] else found
    return np.flip(found, axis) if node.attributes["reverse"] else found


def _scattered(self: Sizes, node: Node, index: Array, updates: Array, *_: Array) -> Array:
    made = np.zeros(_room(self, node), updates.dtype)
    np.add.at(made, tuple(np.moveaxis(index, -1, 0)), updates)
    return made


def _position(function: Callable[..., Any]) -> _Fold:
    return lambda self, node, data, *_: np.asarray(function(data, node.attributes["axis"]))


_Fold = Callable[..., Any]

#: Fused activation -> what it holds values between.
_CLAMPS: dict[str, tuple[int, int | None]] = {
    "relu": (0, None),
    "relu6": (0, 6),
    "relu_n1_to_1": (-1, 1),
}

_FOLDS: dict[str, _Fold] = {
    **dict.fromkeys(("reshape", "squeeze", "expand_dims", "shape", "rank"), _renamed),
    "cast": _casted,
    "strided_slice": lambda self, node, data, *bounds: data[_index(node, *(bound.tolist() for bound in bounds))],
    "slice": _sliced,
    "pack": lambda self, node, *parts: np.stack(parts, node.attributes["axis"]),
    "unpack": _unpacked,
    **dict.fromkeys(("split", "split_v"), _split_values),
    "concat": lambda self, node, *parts: np.concatenate(parts, node.attributes["axis"]),
    "gather": lambda self, node, data, index: np.take(data, index, node.attributes["axis"]),
    "transpose": lambda self, node, data, *_: np.transpose(data, node.attributes["permutation"]),
    "range": _arranged,
    "fill": _filled,
    "tile": _tiled,
    "cumsum": _summed,
    "select": _elementwise(np.where, 3),
    "add": _elementwise(np.add),
    "sub": _elementwise(np.subtract),
    "mul": _elementwise(np.multiply),
    "div": _divided,
    "floor_mod": _elementwise(np.mod),
    "floor_div": _elementwise(np.floor_divide),
    "maximum": _elementwise(np.maximum),
    "minimum": _elementwise(np.minimum),
    "equal": _elementwise(np.equal),
    "not_equal": _elementwise(np.not_equal),
    "less": _elementwise(np.less),
    "less_equal": _elementwise(np.less_equal),
    "greater": _elementwise(np.greater),
    "greater_equal": _elementwise(np.greater_equal),
    "logical_and": _elementwise(np.logical_and),
    "logical_or": _elementwise(np.logical_or),
    "logical_not": _elementwise(np.logical_not),
    "neg": _elementwise(np.negative),
    "abs": _elementwise(np.abs),
    "floor": _elementwise(np.floor),
    "ceil": _elementwise(np.ceil),
    "round": _elementwise(np.round, 1),
    "sqrt": _elementwise(np.sqrt),
    "rsqrt": _elementwise(lambda data: 1 / np.sqrt(data), 1),
    "exp": _elementwise(np.exp),
    "log": _elementwise(np.log),
    "sign": _elementwise(np.sign),
    "square": _elementwise(np.square),
    "squared_difference": _elementwise(lambda a, b: np.square(a - b), 2),
    "pow": _elementwise(np.power),
    "pad": _padded,
    "broadcast_to": _broadcasted,
    "where": lambda self, node, data: np.argwhere(data),
    "reverse": lambda self, node, data, axes: np.flip(data, tuple(axes.ravel().tolist())),
    "gather_nd": lambda self, node, data, index: data[tuple(np.moveaxis(index, -1, 0))],
    "scatter_nd": _scattered,
    "arg_max": _position(np.argmax),
    "arg_min": _position(np.argmin),
    "mean": _reduction(_mean),
    "reduce_prod": _reduction(np.prod),
    "sum": _reduction(np.sum),
    "reduce_max": _reduction(np.max),
    "reduce_min": _reduction(np.min),
    "reduce_all": _reduction(np.all),
    "reduce_any": _reduction(np.any),
}
