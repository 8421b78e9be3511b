"""ONNX's ops: the kind each has in ``graph.ops``, and how its attributes and steering inputs become attributes there.

Names, defaults and what changed between opsets are those of https://onnx.ai/onnx/operators/; ``com.microsoft`` ops are those of
onnxruntime's ``docs/ContribOperators.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from latlint.graph.inputs import dims_text
from latlint.graph.ops import UNKNOWN
from latlint.graph.padding import same_padding
from latlint.graph.types import Tensor
from latlint.records import NamedTuple
from latlint.words import counted, printable

Attributes = dict[str, Any]

#: The largest float32 (3.4e38) or so is how exporters write "no limit".
_NO_LIMIT = 3e38


class ImpossibleError(ValueError):
    """What the node says cannot be (LAT007)."""


class Call(NamedTuple):
    """One node as its kind and attributes are made from it. An input that is left out is ``None``."""

    op: str
    attributes: Mapping[str, Any]
    inputs: Sequence[Tensor | None]
    outputs: Sequence[Tensor | None]
    opset: int
    #: Which inputs are constants of the file, or computed from nothing else.
    fixed: Sequence[bool] = ()

    def is_fixed(self, slot: int) -> bool:
        return slot < len(self.fixed) and self.fixed[slot]

    def get(self, name: str, default: Any = None) -> Any:
        return self.attributes.get(name, default)

    def input(self, slot: int) -> Tensor | None:
        return self.inputs[slot] if slot < len(self.inputs) else None

    def shape(self, slot: int) -> tuple[int, ...] | None:
        tensor = self.input(slot)
        return None if tensor is None else tensor.shape

    def output_shape(self) -> tuple[int, ...] | None:
        return self.outputs[0].shape if self.outputs and self.outputs[0] is not None else None

    def value(self, slot: int) -> tuple[Any, ...] | None:
        tensor = self.input(slot)
        return None if tensor is None else tensor.value

    def setting(self, name: str, slot: int) -> tuple[Any, ...] | None:
        """A list that older opsets have as attribute ``name`` and newer ones as input ``slot``."""
        if name in self.attributes:
            value = self.attributes[name]
            return tuple(value) if isinstance(value, (tuple, list)) else (value,)
        return self.value(slot)


class Result(NamedTuple):
    """``inputs``: which native inputs are the kind's operands, when not all in native order."""

    kind: str
    attributes: Attributes
    inputs: tuple[int, ...] | None = None


def describe(domain: str, call: Call) -> Result:
    """Kind and attributes of a node; ``unknown`` when the vocabulary has no word for it. Raises ImpossibleError."""
    domain = "" if domain == "ai.onnx" else domain
    foreign = FOREIGN.get((domain, call.op))
    entry = _OPS.get(call.op) if not domain else None
    if foreign is not None:
        entry = foreign.describe or entry
    if entry is None:
        return Result(UNKNOWN, {})
    return Result(entry, {}) if isinstance(entry, str) else entry(call)


def is_known(domain: str, op: str) -> bool:
    """Whether the vocabulary has a word for the op."""
    domain = "" if domain == "ai.onnx" else domain
    foreign = FOREIGN.get((domain, op))
    return (foreign is not None and foreign.describe is not None) or (not domain and op in _OPS)


def _known(**attributes: Any) -> Attributes:
    """The attributes that could be determined."""
    return {name: value for name, value in attributes.items() if value is not None}


def _axis(axis: int | None, shape: tuple[int, ...] | None, extra: int = 0) -> int | None:
    """``axis`` counted from the front; ``extra`` is the number of axes that the op adds."""
    if axis is None or (shape is None and axis < 0):
        return None
    if shape is None:
        return int(axis)
    rank = len(shape) + extra
    if not -rank <= axis < max(rank, 1):
        raise ImpossibleError(f"axis {axis} of a tensor of {rank} dimensions")
    return int(axis + rank if axis < 0 else axis)


# --- Convolution and pooling ---------------------------------------------------------------------------------------------------


def _positive(values: Sequence[int], what: str) -> tuple[int, ...]:
    if any(value < 1 for value in values):
        raise ImpossibleError(f"a {what} of {min(values)}")
    return tuple(int(value) for value in values)


def _pairs_of(begins: Sequence[int], ends: Sequence[int]) -> tuple[int, ...]:
    """``(top, bottom, left, right)`` in two dimensions; begins, then ends, in others."""
    if len(begins) == 2:
        return begins[0], ends[0], begins[1], ends[1]
    return (*begins, *ends)


def _window(call: Call, kernel: tuple[int, ...], *, pool: bool = False) -> Attributes:
    """``kernel``, ``stride``, ``dilation`` and explicit ``padding`` of a convolution or pool over ``len(kernel)`` dims."""
    rank = len(kernel)
    stride = _positive(call.get("strides", (1,) * rank), "stride")
    dilation = _positive(call.get("dilations", (1,) * rank), "dilation")
    pads = tuple(call.get("pads", (0,) * 2 * rank))
    if not len(stride) == len(dilation) == rank or len(pads) != 2 * rank:
        raise ImpossibleError(f"strides, dilations or pads that do not fit a window of {rank} dimensions")
    if min(pads) < 0:
        raise ImpossibleError(f"a padding of {min(pads)}")
    shape = call.shape(0)
    if shape is not None and len(shape) != rank + 2:
        raise ImpossibleError(f"a window of {rank} dimensions on an input of {len(shape)}")
    begins, ends = _resolved_pads(call, shape[2:] if shape else None, kernel, stride, dilation, pads, pool)
    padding = None if begins is None or ends is None else _pairs_of(begins, ends)
    mode = call.get("auto_pad")
    same = mode if mode in ("SAME_UPPER", "SAME_LOWER") else None
    return _known(kernel=kernel, stride=stride, dilation=dilation, padding=padding, auto_pad=same)


def _resolved_pads(
    call: Call,
    sizes: tuple[int, ...] | None,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    pads: tuple[int, ...],
    pool: bool,
) -> tuple[list[int] | None, list[int] | None]:
    """Begins and ends, with ``auto_pad`` and ``ceil_mode`` worked in; ``None`` where they need an unknown size."""
    mode = call.get("auto_pad", "NOTSET") or "NOTSET"
    if mode not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise ImpossibleError(f"an auto_pad '{printable(str(mode)[:40])}'")
    rank = len(kernel)
    if mode == "VALID":
        pads = (0,) * 2 * rank
    begins, ends = list(pads[:rank]), list(pads[rank:])
    ceil = pool and bool(call.get("ceil_mode", 0))
    if mode not in ("SAME_UPPER", "SAME_LOWER") and not ceil:
        return begins, ends
    if sizes is None or -1 in sizes:
        return None, None
    for i, (size, k, s, d) in enumerate(zip(sizes, kernel, stride, dilation, strict=True)):
        reach = (k - 1) * d + 1
        if mode in ("SAME_UPPER", "SAME_LOWER"):
            total = same_padding(size, k, s, d)
            begins[i] = total // 2 if mode == "SAME_UPPER" else total - total // 2
            ends[i] = total - begins[i]
        else:
            output = call.output_shape()
            # onnx drops a last window that would start in the padding; its own output shape knows whether it did
            count = output[2 + i] if output and len(output) == rank + 2 and output[2 + i] > 0 else None
            if count is None:
                count = -(-(size + begins[i] + ends[i] - reach) // s) + 1
            ends[i] = max(ends[i], (count - 1) * s + reach - size - begins[i])
    return begins, ends


def _kernel(call: Call, weights: tuple[int, ...] | None) -> tuple[int, ...] | None:
    if weights is not None and len(weights) < 3:
        raise ImpossibleError(f"weights of {counted(len(weights), 'dimension')}")
    kernel = call.get("kernel_shape", weights and weights[2:])
    if kernel is None:
        return None
    if weights is not None and len(kernel) != len(weights) - 2:
        raise ImpossibleError(f"a kernel of {len(kernel)} dimensions with weights of {len(weights)}")
    if weights is not None and any(size not in (taps, -1) for size, taps in zip(weights[2:], kernel, strict=True)):
        raise ImpossibleError(f"a kernel of {dims_text(kernel)} with weights of {dims_text(weights[2:])}")
    return None if -1 in kernel and "kernel_shape" not in call.attributes else _positive(kernel, "kernel size")


def _groups(call: Call, filters: tuple[int, ...] | None) -> int:
    """How many groups, which share the first dimension of the ``filters`` evenly."""
    groups = int(call.get("group", 1))
    if groups < 1 or (filters and filters[0] > 0 and filters[0] % groups):
        raise ImpossibleError(f"{groups} groups" + (f" of {filters[0]} channels" if filters else ""))
    return groups


def _convolution(call: Call, data: int = 0, weights: int = 1) -> Result:
    """Conv and its quantised and fused forms; ``weights`` is the slot of the filter, of shape (O, I/groups, *kernel)."""
    filters, shape = call.shape(weights), call.shape(data)
    rank = len(shape) if shape else len(filters) if filters else len(call.get("kernel_shape") or ()) + 2
    kind = {3: "conv1d", 4: "conv2d", 5: "conv3d"}.get(rank, UNKNOWN)
    groups = _groups(call, filters)
    bias = call.shape(2) if call.op in ("Conv", "FusedConv") else None
    if bias is not None and filters and -1 not in (*bias, filters[0]) and bias != filters[:1]:
        raise ImpossibleError(f"a bias of {'x'.join(map(str, bias)) or 'one number'} for {filters[0]} channels")
    kernel = _kernel(call, filters)
    attributes = {**(_window(call, kernel) if kernel else {}), "groups": groups, "activation": "none"}
    if filters and shape and len(shape) > 1 and min(filters[1], shape[1]) > 0:
        if filters[1] * groups != shape[1]:
            raise ImpossibleError(f"a filter of {filters[1]} channels in {groups} groups on an input of {shape[1]}")
        if kind == "conv2d" and groups == shape[1] > 1:
            kind = "depthwise_conv2d"
            attributes["multiplier"] = filters[0] // groups
    return Result(kind, attributes)


def _conv_transpose(call: Call) -> Result:
    filters, shape = call.shape(1), call.shape(0)
    rank = len(shape) if shape else len(filters) if filters else 4
    kind = {4: "transpose_conv2d", 5: "transpose_conv3d"}.get(rank, UNKNOWN)
    attributes: Attributes = {"groups": _groups(call, filters), "activation": "none"}
    if filters and shape and len(shape) > 1 and min(filters[0], shape[1]) > 0 and filters[0] != shape[1]:
        raise ImpossibleError(f"a filter for {filters[0]} channels on an input of {shape[1]}")
    kernel = _kernel(call, filters)
    if kernel is None:
        return Result(kind, attributes)
    attributes |= _window(
        Call(call.op, {**call.attributes, "auto_pad": "NOTSET"}, call.inputs, call.outputs, call.opset), kernel
    )
    extra = call.get("output_padding", (0,) * len(kernel))
    steps = zip(attributes["stride"], attributes["dilation"], strict=True)
    if len(extra) != len(kernel) or any(not 0 <= e < max(step) for e, step in zip(extra, steps, strict=True)):
        raise ImpossibleError(
            f"an output_padding of {dims_text(extra)}, not one below stride or dilation for each dimension"
        )
    out = call.output_shape()
    if shape and out and len(out) == len(shape) and -1 not in out[2:] and -1 not in shape[2:]:
        # the padding of the convolution that it transposes, from its output to its input
        begins, ends = [], []
        given = tuple(call.get("pads", (0,) * 2 * len(kernel)))
        lower = call.get("auto_pad") != "SAME_UPPER"
        fixed = call.get("auto_pad", "NOTSET") in ("NOTSET", "", "VALID") and "output_shape" not in call.attributes
        for i, (k, s, d) in enumerate(zip(kernel, attributes["stride"], attributes["dilation"], strict=True)):
            total = max(s * (shape[2 + i] - 1) + extra[i] + (k - 1) * d + 1 - out[2 + i], 0)
            begin = given[i] if fixed else (total - total // 2 if lower else total // 2)
            begins.append(begin)
            ends.append(max(total - begin, 0))
        attributes["padding"] = _pairs_of(begins, ends)
    return Result(kind, _known(**attributes, output_padding=call.get("output_padding")))


def _pool(kind: str) -> Callable[[Call], Result]:
    def describe_pool(call: Call) -> Result:
        kernel = call.get("kernel_shape")
        if not kernel:
            raise ImpossibleError("a pool without kernel_shape")
        if kind == "l2_pool2d" and call.get("p", 2) != 2:
            return Result(UNKNOWN, {})
        attributes = _window(call, _positive(kernel, "kernel size"), pool=True) | {"activation": "none"}
        pads = tuple(call.get("pads", (0,) * 2 * len(kernel)))
        plain = _pairs_of(pads[: len(kernel)], pads[len(kernel) :])
        if call.get("ceil_mode", 0) and "auto_pad" not in attributes and attributes.get("padding", plain) != plain:
            attributes["ceil_mode"] = True
        if kind == "average_pool2d":
            attributes["count_include_pad"] = bool(call.get("count_include_pad", 0))
        return Result(kind if len(kernel) in (1, 2) else UNKNOWN, attributes)

    return describe_pool


def _global_pool(kind: str) -> Callable[[Call], Result]:
    """A global pool is a reduction over all spatial dims that keeps them, as converters to TFLite write it."""

    def describe_global(call: Call) -> Result:
        shape = call.shape(0)
        axes = tuple(range(2, len(shape))) if shape else None
        return Result(kind, _known(axes=axes, keep_dims=True))

    return describe_global


# --- Matrix products ------------------------------------------------------------------------------------------------------------


def _gemm(call: Call) -> Result:
    scaling = {"alpha": float(call.get("alpha", 1.0)), "beta": float(call.get("beta", 1.0))}
    transposes = {"transpose_a": bool(call.get("transA", 0)), "transpose_b": bool(call.get("transB", 0))}
    if call.is_fixed(1):
        return Result("fully_connected", {"keep_num_dims": False, "activation": "none", **transposes, **scaling})
    return Result("batch_matmul", {**transposes, **scaling})


def _matmul(call: Call) -> Result:
    """A product with a constant matrix is a fully connected layer; any other is a batch of products."""
    weights, shape = call.shape(1), call.shape(0)
    transposes = {"transpose_a": bool(call.get("transA", 0)), "transpose_b": bool(call.get("transB", 0))}
    if call.is_fixed(1) and weights is not None and len(weights) == 2:
        keep = shape is not None and len(shape) > 2
        return Result("fully_connected", {"keep_num_dims": keep, "activation": "none", **transposes})
    return Result("batch_matmul", transposes)


# --- Element-wise ---------------------------------------------------------------------------------------------------------------


def _of_several(kind: str, **attributes: Any) -> Callable[[Call], Result]:
    """An op of one input or more: with one, the result is that input."""
    return lambda call: Result(kind, dict(attributes)) if len(call.inputs) > 1 else Result("identity", {})


def _with_activation(kind: str) -> Callable[[Call], Result]:
    return lambda call: Result(kind, {"activation": "none"})


def _clip(call: Call) -> Result:
    low, high = _limit(call, "min", 1), _limit(call, "max", 2)
    if low is None or high is None:
        return Result("clip", {}, (0,))
    kind = {(0.0, 6.0): "relu6", (-1.0, 1.0): "relu_n1_to_1", (0.0, 1.0): "relu_0_to_1"}.get((low, high), "clip")
    if low == 0.0 and high >= _NO_LIMIT:
        kind = "relu"
    return Result(kind, {"min": low, "max": high} if kind == "clip" else {}, (0,))


def _limit(call: Call, name: str, slot: int) -> float | None:
    """A bound of Clip: infinite when it is not given, ``None`` when it is computed at run time."""
    if name in call.attributes:
        return float(call.attributes[name])
    if call.input(slot) is None:
        return float("-inf") if name == "min" else float("inf")
    value = call.value(slot)
    return float(value[0]) if value else None


def _alpha(kind: str, default: float) -> Callable[[Call], Result]:
    return lambda call: Result(kind, {"alpha": float(call.get("alpha", default))})


def _hard_sigmoid(call: Call) -> Result:
    return Result("hard_sigmoid", {"alpha": float(call.get("alpha", 0.2)), "beta": float(call.get("beta", 0.5))})


def _gelu(call: Call) -> Result:
    return Result("gelu", {"approximate": call.get("approximate", "none") == "tanh"})


def _cast(call: Call) -> Result:
    output = call.outputs[0] if call.outputs else None
    return Result("cast", _known(to=output.dtype if output else None), (0,))


# --- Reductions, softmax and their like ----------------------------------------------------------------------------------------


def _reduce(kind: str) -> Callable[[Call], Result]:
    def describe_reduce(call: Call) -> Result:
        shape = call.shape(0)
        axes = call.setting("axes", 1)
        if not axes and (call.input(1) is None or axes == ()):
            nothing = call.get("noop_with_empty_axes", 0)
            axes = () if nothing else tuple(range(len(shape))) if shape is not None else None
        if axes is not None:
            known = [_axis(int(axis), shape) for axis in axes]
            axes = None if None in known else tuple(sorted({axis for axis in known if axis is not None}))
        return Result(kind, _known(axes=axes, keep_dims=bool(call.get("keepdims", 1))), (0,))

    return describe_reduce


def _softmax(kind: str) -> Callable[[Call], Result]:
    def describe_softmax(call: Call) -> Result:
        # before opset 13 the axis is where the input is flattened to a matrix; it is the same thing on the last axis
        axis = _axis(int(call.get("axis", -1 if call.opset >= 13 else 1)), call.shape(0))
        return Result(kind, _known(axis=axis, beta=1.0 if kind == "softmax" else None))

    return describe_softmax


def _with_axis(kind: str, default: int, *, activation: bool = False) -> Callable[[Call], Result]:
    def describe_axis(call: Call) -> Result:
        axis = _axis(int(call.get("axis", default)), call.shape(0))
        extra = {"activation": "none"} if activation else {}
        return Result(kind, _known(axis=axis) | extra)

    return describe_axis


def _arg(kind: str) -> Callable[[Call], Result]:
    def describe_arg(call: Call) -> Result:
        axis = _axis(int(call.get("axis", 0)), call.shape(0))
        return Result(kind, _known(axis=axis, keep_dims=bool(call.get("keepdims", 1))))

    return describe_arg


def _cumsum(call: Call) -> Result:
    axis = call.value(1)
    return Result("cumsum", _known(axis=_axis(int(axis[0]), call.shape(0)) if axis else None), (0,))


def _layer_norm(call: Call) -> Result:
    axis = _axis(int(call.get("axis", -1)), call.shape(0))
    return Result("layer_norm", _known(axis=axis, epsilon=float(call.get("epsilon", 1e-5))))


def _epsilon(kind: str) -> Callable[[Call], Result]:
    return lambda call: Result(kind, {"epsilon": float(call.get("epsilon", 1e-5))})


def _group_norm(call: Call) -> Result:
    return Result("group_norm", _known(epsilon=float(call.get("epsilon", 1e-5)), groups=call.get("num_groups")))


def _lp_norm(call: Call) -> Result:
    axis = _axis(int(call.get("axis", -1)), call.shape(0))
    return (
        Result("l2_normalization", _known(axis=axis, activation="none"))
        if call.get("p", 2) == 2
        else Result(UNKNOWN, {})
    )


# --- Movement -------------------------------------------------------------------------------------------------------------------


def _transpose(call: Call) -> Result:
    shape, permutation = call.shape(0), call.get("perm")
    if shape is None and not permutation:
        return Result("transpose", {})
    if permutation is None and shape is not None:
        permutation = tuple(reversed(range(len(shape))))
    if permutation is not None:
        permutation = tuple(int(axis) for axis in permutation)
    rank = len(permutation or ()) if shape is None else len(shape)
    if permutation is not None and sorted(permutation) != list(range(rank)):
        raise ImpossibleError(f"a permutation {list(permutation)[:8]} of {rank} dimensions")
    return Result("transpose", _known(permutation=permutation))


def _split(call: Call) -> Result:
    axis = _axis(int(call.get("axis", 0)), call.shape(0))
    sizes = call.setting("split", 1)
    shape = call.shape(0)
    if sizes is None and axis is not None and shape is not None and shape[axis] % max(len(call.outputs), 1):
        part = -(-shape[axis] // len(call.outputs))  # the last one is smaller (opset 18)
        sizes = (*(part,) * (len(call.outputs) - 1), shape[axis] - part * (len(call.outputs) - 1))
    equal = sizes is None or len(set(sizes)) <= 1
    return Result("split" if equal else "split_v", _known(axis=axis, sizes=None if equal else sizes), (0,))


def _slice(call: Call) -> Result:
    """``begin``, ``end`` and ``strides`` for every dimension, as Python's slices with no negative bounds (-1: before element 0)."""
    shape = call.shape(0)
    masks = dict.fromkeys(("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0)
    begins, ends = call.setting("starts", 1), call.setting("ends", 2)
    axes, steps = call.setting("axes", 3), call.setting("steps", 4)
    unknown = any(call.input(slot) is not None and call.value(slot) is None for slot in range(1, 5))
    if shape is None or begins is None or ends is None or unknown:
        return Result("strided_slice", dict(masks), (0,))
    axes = axes if axes is not None else tuple(range(len(begins)))
    steps = steps if steps is not None else (1,) * len(begins)
    if not len(begins) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise ImpossibleError("a slice whose starts, ends, axes and steps do not fit together")
    begin, end, stride = [0] * len(shape), list(shape), [1] * len(shape)
    for a, b, axis, step in zip(begins, ends, axes, steps, strict=True):
        i = _axis(int(axis), shape)
        assert i is not None
        if shape[i] < 0:
            return Result("strided_slice", dict(masks), (0,))
        last = None if step < 0 and b < -shape[i] else int(b)
        begin[i], end[i], stride[i] = *slice(int(a), last, int(step)).indices(shape[i])[:2], int(step)
    return Result("strided_slice", {"begin": tuple(begin), "end": tuple(end), "strides": tuple(stride), **masks}, (0,))


def _pad(call: Call) -> Result:
    shape, mode = call.shape(0), call.get("mode", "constant")
    pads = call.setting("pads", 1)
    axes = call.value(3)
    pairs: tuple[tuple[int, int], ...] | None = None
    if pads is not None and (shape is not None or call.input(3) is None):
        rank = len(shape) if shape is not None else len(pads) // 2
        over = [_axis(int(a), (0,) * rank) for a in axes] if axes is not None else list(range(rank))
        if len(pads) != 2 * len(over):
            raise ImpossibleError(f"{len(pads)} paddings for {len(over)} dimensions")
        table = [(0, 0)] * rank
        for i, axis in enumerate(over):
            assert axis is not None
            table[axis] = int(pads[i]), int(pads[i + len(over)])
        pairs = tuple(table)
    if mode == "reflect":
        return Result("mirror_pad", _known(pads=pairs, mode="reflect"), (0,))
    if mode != "constant":
        return Result(UNKNOWN, _known(pads=pairs, mode=mode), (0,))
    fill = call.get("value", 0.0) if call.input(2) is None else (call.value(2) or (None,))[0]
    kind = "pad" if fill == 0 else "pad_v2"
    return Result(kind, _known(pads=pairs, value=fill if kind == "pad_v2" else None), (0,))


def _resize(call: Call) -> Result:
    mode = call.get("mode", "nearest")
    kind = {
        "nearest": "resize_nearest",
        "linear": "resize_bilinear",
        "bilinear": "resize_bilinear",
        "cubic": "resize_cubic",
    }
    if mode not in kind:
        raise ImpossibleError(f"a mode '{printable(str(mode)[:40])}'")
    # Upsample, and Resize before opset 11, map pixels as ``asymmetric`` does
    default = "half_pixel" if call.op == "Resize" and call.opset >= 11 else "asymmetric"
    where = call.get("coordinate_transformation_mode", default)
    align, half = where == "align_corners", where in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric")
    return Result(kind[mode], {"align_corners": align, "half_pixel": half}, (0,))


def _depth_to_space(call: Call) -> Result:
    return Result("depth_to_space", {"block": int(call.get("blocksize", 1)), "mode": call.get("mode", "DCR")})


def _space_to_depth(call: Call) -> Result:
    return Result("space_to_depth", {"block": int(call.get("blocksize", 1))})


def _with_axes(kind: str) -> Callable[[Call], Result]:
    """Squeeze and Unsqueeze: ``axes`` of the input, or of the output for the axes that Unsqueeze adds."""

    def describe_axes(call: Call) -> Result:
        shape, axes = call.shape(0), call.setting("axes", 1)
        if axes is None and call.input(1) is None and shape is not None and kind == "squeeze":
            axes = tuple(i for i, dim in enumerate(shape) if dim == 1)
        if axes is not None:
            known = [_axis(int(axis), shape, len(axes) if kind == "expand_dims" else 0) for axis in axes]
            axes = None if None in known else tuple(known)
        return Result(kind, _known(axes=axes), (0,))

    return describe_axes


def _reshape(call: Call) -> Result:
    return Result("reshape", _known(shape=call.setting("shape", 1)), (0,))


def _flatten(call: Call) -> Result:
    shape, axis = call.shape(0), int(call.get("axis", 1))
    if shape is not None and not -len(shape) <= axis <= len(shape):
        raise ImpossibleError(f"axis {axis} of a tensor of {len(shape)} dimensions")
    return Result("flatten", _known(axis=axis if axis >= 0 else None if shape is None else axis + len(shape)))


def _only(kind: str, *inputs: int) -> Callable[[Call], Result]:
    """A kind whose operands are these inputs; the others steer it and show in the output's shape."""
    return lambda call: Result(kind, {}, inputs)


# --- Other ----------------------------------------------------------------------------------------------------------------------


def _recurrent(kind: str) -> Callable[[Call], Result]:
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[kind]

    def describe_recurrent(call: Call) -> Result:
        names = ("hidden_size", "direction")
        units, directions = call.attributes.get("hidden_size"), 2 if call.get("direction") == "bidirectional" else 1
        rows = (directions, gates * units) if units else ()
        for slot, wanted in ((1, rows), (2, (*rows, units))) if units and call.op in ("LSTM", "GRU", "RNN") else ():
            own = call.shape(slot)
            if own and len(own) == 3 and -1 not in own and own[: len(wanted)] != wanted:
                said = f"weights of {'x'.join(map(str, own))}"
                raise ImpossibleError(f"{said} for {directions} direction{'s' * (directions > 1)} of {units} units")
        return Result(kind, {name: call.attributes[name] for name in names if name in call.attributes})

    return describe_recurrent


def _quantize(kind: str) -> Callable[[Call], Result]:
    """A scale for each slice along ``axis``, one for all, or (with ``block_size``) one a block."""

    def describe_quantize(call: Call) -> Result:
        shape, scales = call.shape(0), call.shape(1)
        if shape and scales and len(scales) == 1 and scales[0] not in (1, -1) and not call.get("block_size", 0):
            axis = _axis(int(call.get("axis", 1)), shape)
            if axis is not None and shape[axis] not in (-1, scales[0]):
                raise ImpossibleError(f"{scales[0]} scales for {shape[axis]} slices along axis {axis}")
        return Result(kind, {}, (0,))

    return describe_quantize


def _qlinear_conv(call: Call) -> Result:
    """Inputs: data and its scale and zero point, weights and theirs, the output's, bias."""
    return _convolution(call, 0, 3)._replace(inputs=(0, 3, 8))


def _fused_conv(call: Call) -> Result:
    result = _convolution(call)
    activation = {"": "none", "Relu": "relu", "Tanh": "tanh"}.get(call.get("activation", ""), "unknown")
    if call.get("activation") == "Clip":
        low, high = (*call.get("activation_params", ()), None, None)[:2]
        activation = {(0.0, 6.0): "relu6", (-1.0, 1.0): "relu_n1_to_1"}.get((low, high), "unknown")
    return Result(result.kind, {**result.attributes, "activation": activation})


def _quantized(inner: Callable[[Call], Result], *inputs: int) -> Callable[[Call], Result]:
    """An op whose operands come with scales and zero points; ``inputs`` are the operands."""

    def describe_quantized(call: Call) -> Result:
        operands, fixed = [call.input(slot) for slot in inputs], [call.is_fixed(slot) for slot in inputs]
        return inner(Call(call.op, call.attributes, operands, call.outputs, call.opset, fixed))._replace(inputs=inputs)

    return describe_quantized


def _q_concat(call: Call) -> Result:
    """Inputs: the output's scale and zero point, then data, scale and zero point of each."""
    return _quantized(_with_axis("concat", 1, activation=True), *range(2, len(call.inputs), 3))(call)


_OPS: dict[str, str | Callable[[Call], Result]] = {
    "Conv": _convolution,
    "ConvInteger": lambda call: _convolution(call)._replace(inputs=(0, 1)),
    "QLinearConv": _qlinear_conv,
    "ConvTranspose": _conv_transpose,
    "MaxPool": _pool("max_pool2d"),
    "AveragePool": _pool("average_pool2d"),
    "LpPool": _pool("l2_pool2d"),
    "GlobalAveragePool": _global_pool("mean"),
    "GlobalMaxPool": _global_pool("reduce_max"),
    "Gemm": _gemm,
    "MatMul": _matmul,
    "MatMulInteger": lambda call: _matmul(call)._replace(inputs=(0, 1)),
    "QLinearMatMul": _quantized(_matmul, 0, 3),
    "Add": _with_activation("add"),
    "Sum": _of_several("add", activation="none"),
    "Min": _of_several("minimum"),
    "Max": _of_several("maximum"),
    "Sub": _with_activation("sub"),
    "Mul": _with_activation("mul"),
    "Div": _with_activation("div"),
    "Mod": "floor_mod", "Pow": "pow", "Equal": "equal", "Greater": "greater",
    "GreaterOrEqual": "greater_equal", "Less": "less", "LessOrEqual": "less_equal", "And": "logical_and", "Or": "logical_or",
    "Not": "logical_not", "Abs": "abs", "Ceil": "ceil", "Cos": "cos", "Erf": "erf", "Exp": "exp", "Floor": "floor",
    "HardSwish": "hard_swish", "Log": "log", "Mish": "mish", "Neg": "neg", "PRelu": "prelu", "Reciprocal": "reciprocal",
    "Relu": "relu", "Round": "round", "Sigmoid": "sigmoid", "Sign": "sign", "Sin": "sin", "Softplus": "softplus",
    "Softsign": "softsign", "Sqrt": "sqrt", "Tanh": "tanh",
    "Gelu": _gelu,
    "Clip": _clip,
    "Elu": _alpha("elu", 1.0),
    "LeakyRelu": _alpha("leaky_relu", 0.01),
    "HardSigmoid": _hard_sigmoid,
    "Cast": _cast,
    "CastLike": _cast,
    "ReduceMean": _reduce("mean"),
    "ReduceSum": _reduce("sum"),
    "ReduceMax": _reduce("reduce_max"),
    "ReduceMin": _reduce("reduce_min"),
    "ReduceProd": _reduce("reduce_prod"),
    "ReduceL1": _reduce("reduce_l1"),
    "ReduceL2": _reduce("reduce_l2"),
    "Softmax": _softmax("softmax"),
    "LogSoftmax": _softmax("log_softmax"),
    "Concat": _with_axis("concat", 1, activation=True),
    "Gather": _with_axis("gather", 0),
    "OneHot": "one_hot",
    "ArgMax": _arg("arg_max"),
    "ArgMin": _arg("arg_min"),
    "TopK": _only("top_k", 0),
    "CumSum": _cumsum,
    "GatherND": "gather_nd",
    "ScatterND": "scatter_nd",
    "Where": "select",
    "NonZero": "where",
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _with_axes("squeeze"),
    "Unsqueeze": _with_axes("expand_dims"),
    "Split": _split,
    "Slice": _slice,
    "Pad": _pad,
    "Expand": _only("broadcast_to", 0),
    "Tile": _only("tile", 0),
    "ConstantOfShape": "fill",
    "EyeLike": "fill",
    "Range": "range",
    "Shape": "shape",
    "Size": "size",
    "Identity": "identity",
    "Dropout": _only("dropout", 0),
    "Constant": "constant",
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "ReverseSequence": "reverse",
    "Resize": _resize,
    "Upsample": _resize,
    "BatchNormalization": _epsilon("batch_norm"),
    "InstanceNormalization": _epsilon("instance_norm"),
    "GroupNormalization": _group_norm,
    "LayerNormalization": _layer_norm,
    "LpNormalization": _lp_norm,
    "LRN": "local_response_norm",
    "LSTM": _recurrent("lstm"),
    "GRU": _recurrent("gru"),
    "RNN": _recurrent("rnn"),
    "Attention": "attention",
    "Einsum": lambda call: Result("einsum", _known(equation=call.get("equation"))),
    "GridSample": "grid_sample",
    "RoiAlign": "roi_align",
    "NonMaxSuppression": "non_max_suppression",
    "RandomNormal": "random", "RandomNormalLike": "random", "RandomUniform": "random", "RandomUniformLike": "random",
    "Multinomial": "random", "Bernoulli": "random",
    "If": "if", "Loop": "while", "Scan": "while",
    "QuantizeLinear": _quantize("quantize"),
    "DequantizeLinear": _quantize("dequantize"),
}  # fmt: skip


class Foreign(NamedTuple):
    """An op whose schema onnx does not have, or does not infer. ``describe`` as in ``_OPS``, ``None`` where that has it.

    Its outputs' types: those of the standard op ``stand_in`` on some of its inputs, as if those were floats where it is ``quantised``; or ``shapes`` of
    the inputs' shapes and the attributes, one for each output, elements as in input ``like``.
    """

    describe: str | Callable[[Call], Result] | None
    stand_in: tuple[str, Sequence[int]] | None = None
    shapes: Callable[[Sequence[tuple[int, ...] | None], Mapping[str, Any]], Sequence[tuple[int, ...] | None]] | None = (
        None
    )
    like: int = 0
    quantised: bool = False


_Shapes = Sequence[tuple[int, ...] | None]


def _as_first(shapes: _Shapes, _: Mapping[str, Any]) -> _Shapes:
    return [shapes[0]]


def _skip_norm(shapes: _Shapes, _: Mapping[str, Any]) -> _Shapes:
    """The output, two statistics that inference does not write, the sum."""
    return [shapes[0], None, None, shapes[0]]


def _embedded(shapes: _Shapes, _: Mapping[str, Any]) -> _Shapes:
    """EmbedLayerNormalization: ids, segment ids, word embedding …"""
    ids, words = shapes[0], shapes[2]
    if ids is None or words is None:
        return []
    whole = (*ids, words[-1])
    return [whole, ids[:1], whole]


def _packed_attention(shapes: _Shapes, attributes: Mapping[str, Any]) -> _Shapes:
    """Attention: data of (batch, sequence, width), weights for query, key and value side by side."""
    data, weights = shapes[0], shapes[1]
    if data is None or weights is None:
        return []
    sizes = attributes.get("qkv_hidden_sizes")
    return [(*data[:-1], int(sizes[2]) if sizes and len(sizes) == 3 else weights[-1] // 3)]


def _attention(shapes: _Shapes, _: Mapping[str, Any]) -> _Shapes:
    """MultiHeadAttention: query, key, value of three dimensions; the value is as wide as the output."""
    query, value = shapes[0], shapes[2] if len(shapes) > 2 else None
    if query is None or len(query) != 3 or (value is not None and len(value) != 3):
        return []
    return [(*query[:-1], (value or query)[-1])]


def _fused_matmul(shapes: _Shapes, attributes: Mapping[str, Any]) -> _Shapes:
    a, b = shapes[0], shapes[1]
    if (
        a is None
        or b is None
        or min(len(a), len(b)) < 2
        or attributes.get("transBatchA")
        or attributes.get("transBatchB")
    ):
        return []
    rows = a[-1] if attributes.get("transA") else a[-2]
    columns = b[-2] if attributes.get("transB") else b[-1]
    longer, shorter = (a[:-2], b[:-2]) if len(a) >= len(b) else (b[:-2], a[:-2])
    padded = (1,) * (len(longer) - len(shorter)) + shorter
    return [(*(max(pair) if 1 in pair else pair[0] for pair in zip(longer, padded, strict=True)), rows, columns)]


def _quantized_lstm(shapes: _Shapes, _: Mapping[str, Any]) -> _Shapes:
    """DynamicQuantizeLSTM: data of (sequence, batch, width), weights of (directions, width, 4 hidden) and (directions, hidden, 4 hidden)."""
    data, hidden = shapes[0], shapes[2]
    if data is None or hidden is None or len(data) != 3 or len(hidden) != 3:
        return []
    state = (hidden[0], data[1], hidden[1])
    return [(data[0], *state), state, state]


def _packed_bits(shapes: _Shapes, attributes: Mapping[str, Any]) -> _Shapes:
    """MatMulNBits: the number of columns is an attribute."""
    return [] if shapes[0] is None or "N" not in attributes else [(*shapes[0][:-1], int(attributes["N"]))]


def _bias_gelu(call: Call) -> Result:
    """A GELU of a sum: the sum is an operand more."""
    return Result("gelu", {"approximate": call.op == "FastGelu"})


def _sigmoid_times(call: Call) -> Result:
    return Result("mish", {})  # x * sigmoid(a x): as much work as another product with a transcendental


_RELU = ("Relu", (0,))

#: By domain and name: what kind it is, what stands in for its inference, which inputs are operands.
FOREIGN: dict[tuple[str, str], Foreign] = {
    # functions of the standard that onnx does not infer
    ("", "GroupNormalization"): Foreign(None, _RELU),
    ("", "MeanVarianceNormalization"): Foreign(None, _RELU),
    ("", "GreaterOrEqual"): Foreign(None, ("Greater", (0, 1))),
    ("", "LessOrEqual"): Foreign(None, ("Less", (0, 1))),
    # written into the standard's domain by onnxruntime's optimiser
    ("", "SimplifiedLayerNormalization"): Foreign("layer_norm", shapes=_as_first),
    **{
        ("com.microsoft", name): entry
        for name, entry in {
            "FusedConv": Foreign(_fused_conv, ("Conv", (0, 1, 2))),
            "Gelu": Foreign(_gelu, _RELU),
            "QuickGelu": Foreign(_sigmoid_times, _RELU),
            "BiasGelu": Foreign(_bias_gelu, ("Add", (0, 1))),
            "FastGelu": Foreign(_bias_gelu, _RELU),
            "FusedMatMul": Foreign(_matmul, shapes=_fused_matmul),
            "MatMulNBits": Foreign(None, shapes=_packed_bits),
            "DynamicQuantizeMatMul": Foreign(lambda call: _matmul(call)._replace(inputs=(0, 1)), shapes=_fused_matmul),
            "MatMulIntegerToFloat": Foreign(
                lambda call: _matmul(call)._replace(inputs=(0, 1)), shapes=_fused_matmul, like=2
            ),
            "DynamicQuantizeLSTM": Foreign(
                lambda call: _recurrent("lstm")(call)._replace(inputs=(0, 1, 2)), shapes=_quantized_lstm
            ),
            "QLinearAdd": Foreign(_quantized(_with_activation("add"), 0, 3), ("Add", (0, 3)), quantised=True),
            "QLinearMul": Foreign(_quantized(_with_activation("mul"), 0, 3), ("Mul", (0, 3)), quantised=True),
            "QGemm": Foreign(_quantized(_gemm, 0, 3, 6), ("Gemm", (0, 3, 6)), quantised=True),
            "QLinearWhere": Foreign(_only("select", 0, 1, 4), ("Where", (0, 1, 4))),
            "QLinearSigmoid": Foreign(_only("sigmoid", 0), ("Sigmoid", (0,)), quantised=True),
            "QLinearLeakyRelu": Foreign(_quantized(_alpha("leaky_relu", 0.01), 0), ("LeakyRelu", (0,)), quantised=True),
            "QLinearSoftmax": Foreign(_quantized(_softmax("softmax"), 0), ("Softmax", (0,)), quantised=True),
            "QLinearReduceMean": Foreign(_quantized(_reduce("mean"), 0), ("ReduceMean", (0,)), quantised=True),
            "QLinearAveragePool": Foreign(
                _quantized(_pool("average_pool2d"), 0), ("AveragePool", (0,)), quantised=True
            ),
            "QLinearGlobalAveragePool": Foreign(
                _quantized(_global_pool("mean"), 0), ("GlobalAveragePool", (0,)), quantised=True
            ),
            "QLinearConcat": Foreign(_q_concat, ("Concat", range(2, 2**31, 3)), quantised=True),
            "QuantizeLinear": Foreign(_quantize("quantize"), ("QuantizeLinear", (0, 1, 2))),
            "DequantizeLinear": Foreign(_quantize("dequantize"), ("DequantizeLinear", (0, 1, 2))),
            "Attention": Foreign("attention", shapes=_packed_attention),
            "QAttention": Foreign("attention", shapes=_packed_attention, like=3),
            "MultiHeadAttention": Foreign("attention", shapes=_attention),
            "GroupQueryAttention": Foreign("attention", shapes=_as_first),
            "SkipLayerNormalization": Foreign("layer_norm", shapes=_skip_norm),
            "SkipSimplifiedLayerNormalization": Foreign("layer_norm", shapes=_skip_norm),
            "EmbedLayerNormalization": Foreign(None, shapes=_embedded, like=2),
            "RotaryEmbedding": Foreign(None, shapes=_as_first),
        }.items()
    },
}

#: Inputs that Microsoft's ops have at least, as the schemas of ONNX Runtime 1.32 say; planners rely on it. How many at most grows with
#: its versions.
MICROSOFT_INPUTS: Mapping[str, int] = {
    "Attention": 2, "BiasGelu": 2, "DequantizeLinear": 2, "DynamicQuantizeLSTM": 12, "DynamicQuantizeMatMul": 3,
    "EmbedLayerNormalization": 7, "FastGelu": 1, "FusedConv": 2, "FusedGemm": 2, "FusedMatMul": 2, "Gelu": 1,
    "GroupQueryAttention": 7, "MatMulIntegerToFloat": 4, "MatMulNBits": 3, "MultiHeadAttention": 1,
    "NhwcMaxPool": 1, "QAttention": 5, "QGemm": 6, "QLinearAdd": 7, "QLinearAveragePool": 4, "QLinearConcat": 3,
    "QLinearGlobalAveragePool": 5, "QLinearLeakyRelu": 4, "QLinearMul": 7, "QLinearReduceMean": 4,
    "QLinearSigmoid": 4, "QLinearSoftmax": 5, "QLinearWhere": 9, "QuantizeLinear": 2, "QuickGelu": 1,
    "RotaryEmbedding": 4, "SkipLayerNormalization": 3, "SkipSimplifiedLayerNormalization": 3,
}  # fmt: skip
