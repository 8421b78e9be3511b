"""What rules may ask about a node: facts that follow from shapes, types and attributes alone.

The names and values here are the vocabulary of the ``when`` and ``unless`` tables in ``rules/``, for every runtime; what a fact means
stands beside its function. A fact that a kind of op does not have is ``None`` or says nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from latlint.graph.ops import CONVOLUTIONS, MATRIX, POOLS
from latlint.graph.types import Node, Quantization, Tensor
from latlint.runtime.context import Context
from latlint.runtime.work import tensor_at

Fact = Callable[[Context, Node], Any]


class Facts:
    """The facts of one node, each found out when it is first asked for; ``known`` are told instead of looked for."""

    __slots__ = ("_context", "_found", "_node")

    def __init__(self, context: Context, node: Node, **known: Any) -> None:
        self._context = context
        self._node = node
        self._found: dict[str, Any] = known

    def __getitem__(self, name: str) -> Any:
        if name not in self._found:
            self._found[name] = FACTS[name](self._context, self._node)
        return self._found[name]


def matches(condition: Mapping[str, Any], facts: Facts) -> bool:
    """Whether every key of a ``when`` table equals the fact, or lists it."""
    for name, wanted in condition.items():
        fact = facts[name]
        if fact not in wanted if isinstance(wanted, list) else fact != wanted:
            return False
    return True


def in_words(condition: Mapping[str, Any]) -> str:
    """What a ``when`` table asks for."""
    wants = []
    for name, wanted in condition.items():
        values = " or ".join(map(str, wanted)) if isinstance(wanted, list) else str(wanted)
        wants.append(
            _WORDS.get(name) or (f"{values} values" if name == "dtype" else f"{name.replace('_', ' ')} {values}")
        )
    return " and ".join(wants)


def missed(condition: Mapping[str, Any], facts: Facts) -> str:
    """What a ``when`` table asks for that the node does not have."""
    return in_words({name: wanted for name, wanted in condition.items() if not matches({name: wanted}, facts)})


#: What a fact means that a kernel asks for, in words.
_WORDS: Mapping[str, str] = {
    "pointwise": "a 1x1 kernel of stride 1 without padding",
    "unit_kernel": "a 1x1 kernel",
    "unit_stride": "stride 1",
    "fast_3x3": "a 3x3 kernel of stride 1 or 2, channels in multiples of 8, and at most one pixel of padding, no more at the end",
    "global_pool": "a pool over the whole map",
    "keep_dims": "kept dimensions",
}


def _data(context: Context, node: Node) -> Tensor | None:
    return tensor_at(context.graph, node.inputs, 0)


def _attribute(name: str, default: Any) -> Fact:
    return lambda context, node: node.attributes.get(name, default)


def _flag(name: str) -> Fact:
    return lambda context, node: bool(node.attributes.get(name, False))


def _native(name: str, default: Any) -> Fact:
    """An attribute as the file has it, or what the format takes where it does not."""
    return lambda context, node: node.native_attributes.get(name, default)


def _stated(name: str) -> Fact:
    """Whether the file states it: otherwise it is computed at run time."""
    return lambda context, node: node.attributes.get(name) is not None


# --- Operands ------------------------------------------------------------------------------------------------------------------


def _dtype(context: Context, node: Node) -> str:
    data = _data(context, node)
    return data.dtype if data else "none"


def _stored(context: Context, node: Node) -> str:
    """The type that the data are kept in: what a DEQUANTIZE takes that they come from, else their own."""
    data = node.inputs[0] if node.inputs else -1
    before = context.producers.get(data)
    maker = None if before is None else context.graph.nodes[before]
    if maker is not None and maker.kind == "dequantize":
        return _dtype(context, maker)
    return _dtype(context, node)


def _given(context: Context, node: Node) -> int:
    return sum(tensor >= 0 for tensor in node.inputs)


def _rank(context: Context, node: Node) -> int:
    return len(context.shape(node.inputs[0])) if node.inputs and node.inputs[0] >= 0 else 0


def _weights(context: Context, node: Node) -> str:
    """The type of what is in slot 1: a transposed convolution has its weights there like all the others (graph/ops.py)."""
    weights = tensor_at(context.graph, node.inputs, 1)
    return weights.dtype if weights else "none"


def _has_second(context: Context, node: Node) -> bool:
    return len(node.inputs) > 1 and node.inputs[1] >= 0


def _second_computed(context: Context, node: Node) -> bool:
    return _has_second(context, node) and not context.is_constant(node.inputs[1])


def _hybrid(context: Context, node: Node) -> bool:
    """Quantised weights under float activations."""
    works = node.kind in CONVOLUTIONS | MATRIX
    return works and _dtype(context, node) == "float32" and _weights(context, node) in ("int8", "uint8")


def _outer_product(context: Context, node: Node) -> bool:
    """Each of two operands of as many dimensions is broadcast onto the other."""
    left, right = (context.shape(t) for t in node.inputs[:2])
    pairs = list(zip(left, right, strict=False)) if len(left) == len(right) else []
    return any(a < b for a, b in pairs) and any(a > b for a, b in pairs)


def _constant_operand(context: Context, node: Node) -> str:
    """Of two operands the constant one: a ``scalar``, one number a ``channel``, or ``larger``; ``none`` where both are computed."""
    constants = [context.shape(tensor) for tensor in node.inputs[:2] if tensor >= 0 and context.is_constant(tensor)]
    if not constants:
        return "none"
    size = prod(constants[0])
    return "scalar" if size <= 1 else "channel" if size == constants[0][-1] else "larger"


def _broadcast_over_rows(context: Context, node: Node) -> bool:
    """Whether one of two computed operands of four dimensions has one row (dimension 1) and the other several."""
    shapes = [context.shape(tensor) for tensor in context.runtime_inputs(node)[:2]]
    return (
        len(shapes) == 2
        and all(len(shape) == 4 for shape in shapes)
        and min(s[1] for s in shapes) == 1 < max(s[1] for s in shapes)
    )


def _wide_reduction(context: Context, node: Node) -> bool:
    """Whether tens of thousands of elements along several axes become one."""
    axes, shape = node.attributes.get("axes") or (), context.shape(node.inputs[0])
    return len(axes) > 1 and prod(shape[axis] for axis in axes if axis < len(shape)) >= 1 << 15


def _ranks_kept(context: Context, node: Node) -> bool:
    if not node.attributes.get("keep_num_dims", False):
        return True
    return len(context.shape(node.inputs[0])) == len(context.shape(node.outputs[0]))


_8_BITS = frozenset({"int8", "uint8"})


def _scales(context: Context, node: Node, *slots: int) -> list[Sequence[float]]:
    """The scales of inputs, by slot, then those of the first output; nothing where one of them is not of 8 bits and quantised."""
    graph = context.graph
    tensors = [*(tensor_at(graph, node.inputs, slot) for slot in slots), tensor_at(graph, node.outputs, 0)]
    found: list[Sequence[float]] = [
        each.quantization.scales if each and each.dtype in _8_BITS and each.quantization else () for each in tensors
    ]
    return found if all(scales and min(scales) > 0 for scales in found) else []


def _scales_fit(context: Context, node: Node) -> bool:
    """Whether XNNPACK's fixed-point arithmetic covers the quantisation scales; true of float tensors. Of an ADD, SUB or MUL as the delegate checks
    them (``xnnpack_delegate.cc``, ``VisitAddNode``, ``VisitSubNode``, ``VisitMulNode``); of a QUANTIZE, LEAKY_RELU or MEAN one input's over
    the output's, of a LEAKY_RELU times its slope as well."""
    binary = node.kind in ("add", "sub", "mul")
    scales = [each[0] for each in _scales(context, node, *((0, 1) if binary else (0,)))]
    if not scales:
        return True
    *read, output = scales
    if not binary:
        ratio, slope = read[0] / output, node.attributes.get("alpha", 1.0) if node.kind == "leaky_relu" else 1.0
        return all(2.0**-8 <= each <= 2.0**7 for each in (ratio, abs(slope) * ratio))
    ratios = (prod(read) / output,) if node.kind == "mul" else tuple(each / output for each in read)
    least = 2.0**-16 if node.kind == "mul" else 2.0**-10
    return all(least <= ratio < 2.0**8 for ratio in ratios)


def _product_scale(context: Context, node: Node) -> float:
    """Input times filter over output scale of a product, the largest of all channels; 0 where one of them is not quantised."""
    scales = _scales(context, node, 0, 1)
    return scales[0][0] * max(scales[1]) / scales[2][0] if scales else 0.0


def _same_quantisation(context: Context, node: Node) -> bool:
    """Whether what an op moves keeps its scale and zero point: the data, of a concatenation all of them, and what is written; true of floats."""
    if _dtype(context, node) not in _8_BITS:
        return True
    moved = (*(node.inputs if node.kind == "concat" else node.inputs[:1]), *node.outputs)
    first, *others = (context.tensor(index).quantization for index in moved if index >= 0)
    return all(_alike(first, other) for other in others)


def _alike(one: Quantization | None, other: Quantization | None) -> bool:
    return one is other or (
        one is not None and other is not None and (one.scales, one.zero_points) == (other.scales, other.zero_points)
    )


def _alpha(context: Context, node: Node) -> str:
    """Of a PRELU: ``computed``, one a ``channel``, one an ``element``, or ``other``."""
    if not _has_second(context, node) or _second_computed(context, node):
        return "computed"
    shape, alpha = context.shape(node.inputs[0]), context.shape(node.inputs[1])
    if alpha[-1:] == shape[-1:] and all(dim == 1 for dim in alpha[:-1]):
        return "channel"
    return "element" if alpha == shape[1:] else "other"


def _long_dimension(context: Context, node: Node) -> bool:
    """Whether an input has a dimension beyond 16,384, which Core ML does not load (coreml/builders/helper.cc)."""
    return any(max(context.shape(tensor), default=0) > 1 << 14 for tensor in node.inputs if tensor >= 0)


def _last_axis(context: Context, node: Node) -> bool:
    """Whether the attribute ``axis`` of an ONNX node names the last dimension of its first input."""
    rank = len(context.shape(node.inputs[0]))
    axis = int(node.native_attributes.get("axis", 1 if node.version < 13 else -1))
    return axis in (-1, rank - 1)


def _third_computed(context: Context, node: Node) -> bool:
    return len(node.inputs) > 2 and node.inputs[2] >= 0 and not context.is_constant(node.inputs[2])


def _same_sizes(context: Context, node: Node) -> bool:
    """Whether all outputs, as the pieces of a Split, have one shape."""
    return len({context.shape(tensor) for tensor in node.outputs if tensor >= 0}) <= 1


# --- Neighbours ----------------------------------------------------------------------------------------------------------------

_COMPARISONS = frozenset("equal not_equal greater greater_equal less less_equal".split())


def _only_feeds_a_cast(context: Context, node: Node) -> bool:
    uses = context.uses.get(node.outputs[0], [])
    return len(uses) == 1 and context.graph.nodes[uses[0][0]].kind == "cast"


def _feeds_an_add(context: Context, node: Node) -> bool:
    return any(context.graph.nodes[reader].kind == "add" for reader, _ in context.uses.get(node.outputs[0], ()))


def _after_dequantize(context: Context, node: Node) -> bool:
    """Whether an input is what a DequantizeLinear writes: the node is one of a quantised group."""
    writers = (context.producers.get(tensor) for tensor in node.inputs)
    return any(writer is not None and context.graph.nodes[writer].kind == "dequantize" for writer in writers)


def _after_comparison(context: Context, node: Node) -> bool:
    producer = context.producers.get(node.inputs[0]) if node.inputs else None
    return producer is not None and context.graph.nodes[producer].kind in _COMPARISONS


# --- Convolutions and pools ----------------------------------------------------------------------------------------------------


def _grouped(context: Context, node: Node) -> bool:
    return node.kind != "depthwise_conv2d" and node.attributes.get("groups", 1) != 1


def _dilated(context: Context, node: Node) -> bool:
    return any(step != 1 for step in node.attributes.get("dilation", ()))


def _unit_kernel(context: Context, node: Node) -> bool:
    kernel = tuple(node.attributes.get("kernel", ()))
    return kernel == (1, 1) if node.kind in POOLS else all(size == 1 for size in kernel)


def _unit_stride(context: Context, node: Node) -> bool:
    return all(step == 1 for step in node.attributes.get("stride", ()))


def _pointwise(context: Context, node: Node) -> bool:
    plain = not _dilated(context, node) and not any(node.attributes.get("padding", ()))
    return plain and _unit_kernel(context, node) and _unit_stride(context, node)


def _positive(*names: str) -> Fact:
    return lambda context, node: all(value > 0 for name in names for value in node.attributes.get(name, ()))


def _fast_3x3(context: Context, node: Node) -> bool:
    """Whether the hand-written int8 depthwise kernel takes the node
    (``depthwiseconv_3x3_filter_common.h``, ``Fast3x3FilterKernelSupported``)."""
    data = _data(context, node)
    if data is None or data.shape is None or len(data.shape) != 4 or len(node.attributes.get("padding", ())) != 4:
        return False
    _, height, width, channels = data.shape
    top, bottom, left, right = node.attributes["padding"]
    symmetric = top == left and top in (0, 1) and bottom <= top and right <= top
    return (
        not _dilated(context, node)
        and tuple(node.attributes.get("kernel", ())) == (3, 3)
        and tuple(node.attributes.get("stride", ())) in {(1, 1), (2, 2)}
        and node.attributes.get("multiplier", 1) == 1
        and channels % 8 == 0
        and symmetric
        and (top == 0 or height == width or 1 not in (height, width))
    )


def _four_dimensional(context: Context, node: Node) -> bool:
    """Input, filter and output."""
    indices = [t for t in (*node.inputs[:2], *node.outputs[:1]) if t >= 0]
    return all(len(context.shape(t)) == 4 for t in indices)


def _channels(context: Context, node: Node) -> int:
    """The last dimension of the first input; 0 where it has none."""
    return next(iter(context.shape(node.inputs[0])[-1:]), 0)


def _multiplier_fits(context: Context, node: Node) -> bool:
    """Whether the channels out are those in, times the depth multiplier."""
    made = context.shape(node.outputs[0])[-1:]
    return made == (_channels(context, node) * node.attributes.get("multiplier", 1),)


def _multiplies_many(context: Context, node: Node) -> bool:
    """Whether a depth multiplier works on more than one channel."""
    return node.attributes.get("multiplier", 1) != 1 and _channels(context, node) != 1


def _same_batch(context: Context, node: Node) -> bool:
    return context.shape(node.inputs[0])[:1] == context.shape(node.outputs[0])[:1]


def _stride_exceeds_kernel(context: Context, node: Node) -> bool:
    kernel, stride = (tuple(node.attributes.get(name, ())) for name in ("kernel", "stride"))
    return any(step > width for step, width in zip(stride, kernel, strict=False))


def _global_pool(context: Context, node: Node) -> bool:
    data = _data(context, node)
    size = tuple(data.shape[1:3]) if data and data.shape and len(data.shape) == 4 else ()
    return tuple(node.attributes.get("kernel", ())) == size and not any(node.attributes.get("padding", ()))


# --- Axes, paddings, slices ----------------------------------------------------------------------------------------------------


def _axes(context: Context, node: Node) -> str:
    """``spatial`` (height and width of NHWC), ``width`` (of NHWC), ``channels`` (the last dimension alone), ``unknown``, else ``other``."""
    axes, data = node.attributes.get("axes"), _data(context, node)
    if axes is None or data is None or data.shape is None:
        return "unknown"
    names = {(1, 2): "spatial", (2,): "width"} if len(data.shape) == 4 else {}
    return names.get(tuple(sorted(set(axes))), "channels" if set(axes) == {len(data.shape) - 1} else "other")


def _pads(context: Context, node: Node) -> str:
    """``unknown``, ``negative``, ``spatial`` (height and width alone), else ``other``."""
    pads = node.attributes.get("pads")
    if pads is None:
        return "unknown"
    if any(side < 0 for pair in pads for side in pair):
        return "negative"
    return "spatial" if len(pads) == 4 and not any(pads[0]) and not any(pads[3]) else "other"


def _padded_rank(context: Context, node: Node) -> int:
    return len(node.attributes.get("pads") or ())


def _mask(context: Context, node: Node) -> str:
    """The first mask of a STRIDED_SLICE that changes the number of dimensions, or ``none``."""
    masks = ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    return next((mask for mask in masks if node.attributes.get(mask, 0)), "none")


def _strided(context: Context, node: Node) -> bool:
    return any(step != 1 for step in node.attributes.get("strides", ()))


#: Every name that a rules file may use.
FACTS: Mapping[str, Fact] = {
    "after_comparison": _after_comparison,
    "after_dequantize": _after_dequantize,
    "align_corners": _flag("align_corners"),
    "alpha": _alpha,
    "alpha_beta": lambda context, node: (
        [float(node.native_attributes.get(name, 1.0)) for name in ("alpha", "beta")] == [1.0, 1.0]
    ),
    "antialias": _native("antialias", 0),
    "auto_pad": _native("auto_pad", "NOTSET"),
    "axes": _axes,
    "axes_stated": _stated("axes"),
    "beta": lambda context, node: float(node.attributes.get("beta", 1.0)),
    "batch_dims": _native("batch_dims", 0),
    "block": _attribute("block", 2),
    "broadcast_over_rows": _broadcast_over_rows,
    "ceil_mode": _native("ceil_mode", 0),
    "channels": _channels,
    "constant_operand": _constant_operand,
    "coordinates": _native("coordinate_transformation_mode", "half_pixel"),
    "counts_padding": _native("count_include_pad", 0),
    "dilated": _dilated,
    "distinct_operands": lambda context, node: len(set(node.inputs)) == len(node.inputs),
    "dtype": _dtype,
    "fast_3x3": _fast_3x3,
    "exclude_outside": _native("exclude_outside", 0),
    "feeds_an_add": _feeds_an_add,
    "first_computed": lambda context, node: not context.is_constant(node.inputs[0]),
    "four_dimensional": _four_dimensional,
    "given_inputs": _given,
    "global_pool": _global_pool,
    "grouped": _grouped,
    "half_pixel": _flag("half_pixel"),
    "has_weights": _has_second,
    "hybrid": _hybrid,
    "inputs": lambda context, node: len(node.inputs),
    "interpolation": _native("mode", "nearest"),
    "keep_dims": _flag("keep_dims"),
    "keeps_aspect": _native("keep_aspect_ratio_policy", "stretch"),
    "last_axis": _last_axis,
    "long_dimension": _long_dimension,
    "mask": _mask,
    "mode": _attribute("mode", "reflect"),
    "multiplier": _attribute("multiplier", 1),
    "multiplier_fits": _multiplier_fits,
    "multiplies_many": _multiplies_many,
    "native": lambda context, node: node.native,
    "nearest_mode": _native("nearest_mode", "round_prefer_floor"),
    "only_feeds_a_cast": _only_feeds_a_cast,
    "opset": lambda context, node: node.version,
    "order": _native("mode", "DCR"),
    "outer_product": _outer_product,
    "padded_rank": _padded_rank,
    "pads": _pads,
    "permutation_stated": _stated("permutation"),
    "pointwise": _pointwise,
    "splits_blocks": lambda context, node: node.attributes.get("block", 2) > 1,
    "positive_kernel": _positive("kernel", "stride"),
    "positive_stride": _positive("stride", "dilation"),
    "positive_strides": _positive("strides"),
    "rank": _rank,
    "product_fits": lambda context, node: _product_scale(context, node) < 2.0**8,
    "product_scale": _product_scale,
    "ranks_kept": _ranks_kept,
    "runtime_inputs": lambda context, node: len(context.runtime_inputs(node)),
    "same_batch": _same_batch,
    "same_quantisation": _same_quantisation,
    "same_sizes": _same_sizes,
    "same_type": lambda context, node: (
        len({context.tensor(index).dtype for index in (node.inputs[0], node.outputs[0])}) == 1
    ),
    "scales_fit": _scales_fit,
    "stored": _stored,
    "stride_exceeds_kernel": _stride_exceeds_kernel,
    "strided": _strided,
    "second_rank": lambda context, node: len(context.shape(node.inputs[1])) if _has_second(context, node) else 0,
    "states_activations": lambda context, node: bool(node.native_attributes.get("activations")),
    "states_axes": lambda context, node: bool(node.native_attributes.get("axes")),
    "states_output_shape": lambda context, node: bool(node.native_attributes.get("output_shape")),
    "third_computed": _third_computed,
    "transposes_second": _native("transB", 0),
    "unit_kernel": _unit_kernel,
    "unit_stride": _unit_stride,
    "weights": _weights,
    "weights_computed": _second_computed,
    "wide_reduction": _wide_reduction,
}
