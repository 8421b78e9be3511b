"""Which of several implementations with the same name a kernel is: it does not show in a profile, but in its speed
(tensorflow/lite/delegates/gpu/common/selectors/default/, selectors/simple_selectors.cc)."""

from __future__ import annotations

from math import prod

from latlint.graph.types import ITEM_BYTES
from latlint.runtime.gpu.model import Model, Op
from latlint.runtime.gpu.rules import GpuRules, for_processor
from latlint.runtime.types import Processor
from latlint.runtime.work import constant_weights, slices


def variant(model: Model, op: Op, name: str, processor: Processor, rules: GpuRules) -> str:
    """Which implementation is behind the kernel ``name``, and why it is that one; empty where there is only one."""
    if name == "convolution_2d":
        return _convolution(model, op, processor, rules)
    if name == "depthwise_convolution":
        return _depthwise(op, processor, rules)
    if name == "concat":
        return _whole_slices(model, op.inputs) if op.attributes.get("axis") == _last_axis(model, op) else ""
    if name == "reshape":
        return _whole_slices(model, [*op.inputs[:1], *op.outputs[:1]])
    return ""


def _convolution(model: Model, op: Op, processor: Processor, rules: GpuRules) -> str:
    """convolution_selector.cc, conv_constants.cc: few output slices and weights that fit, counted as stored."""
    limit = for_processor(rules.constant_memory_convolution, processor)
    if limit is None or op.attributes.get("groups", 1) != 1:
        return ""
    channels, outputs = model.bhwc(op.inputs[0])[3], model.bhwc(op.outputs[0])[3]
    weights = prod(op.attributes.get("kernel", (1, 1))) * constant_weights(channels, outputs)
    size, most = int(weights * ITEM_BYTES[processor.precision]), rules.constant_memory_convolution["max_output_slices"]
    if size <= limit and slices(outputs) <= most:
        return f"its {size} bytes of weights fit constant memory ({limit})"
    return ""


def _depthwise(op: Op, processor: Processor, rules: GpuRules) -> str:
    """dw_convolution_selector.cc: a 3x3 kernel with exactly one pixel of padding has implementations of its own."""
    get = op.attributes.get
    plain = get("multiplier", 1) == 1 and tuple(get("dilation", (1, 1))) == (1, 1) and len(op.inputs) == 1
    if not plain or tuple(get("kernel", ())) != (3, 3) or tuple(get("padding", ())) != (1, 1, 1, 1):
        kernel = "x".join(map(str, get("kernel", ())))
        padding = ", ".join(map(str, get("padding", ())))
        return f"the 3x3 kernel needs one pixel of padding on each side: {kernel}, padding {padding} here"
    stride = tuple(get("stride", (1, 1)))
    if stride == (1, 1) and processor.precision in (for_processor(rules.depthwise_3x3, processor) or ()):
        return "the kernel for 3x3 of stride 1 with one pixel of padding"
    if stride[0] == 2 and processor.vendor in rules.depthwise_3x3_stride_2:
        return "the kernel for 3x3 of stride 2 with one pixel of padding"
    return f"this GPU has no 3x3 kernel for stride {stride[0]} in {processor.precision}"


def _last_axis(model: Model, op: Op) -> int:
    return len(model.shapes[op.outputs[0]]) - 1


def _whole_slices(model: Model, values: list[int]) -> str:
    """concat_z.cc, reshape.cc: whole slices are moved at once, others channel by channel."""
    uneven = next((model.bhwc(value)[3] for value in values if model.bhwc(value)[3] % 4), None)
    if uneven is None:
        return "moves whole slices of four channels"
    return f"moves channel by channel: {uneven} channels are not a multiple of 4"
