"""Which nodes the GPU delegate takes, and why it refuses the others.

The op table, versions and which condition belongs to which op are data (``rules/``); this module knows what each named
condition means (tensorflow/lite/tools/versioning/gpu_compatibility.cc, delegates/gpu/common/model_builder.cc).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from latlint.graph.ops import CONVOLUTIONS, MATRIX
from latlint.graph.types import Graph, Node, Tensor
from latlint.runtime.gpu.rules import GpuRules


@dataclass(slots=True)
class Context:
    """A graph with what the conditions look up: uses, producers, and which tensors stand for constants."""

    graph: Graph
    constants: frozenset[int] = frozenset()
    uses: Mapping[int, list[tuple[int, int]]] = field(init=False)
    producers: Mapping[int, int] = field(init=False)
    graph_outputs: frozenset[int] = field(init=False)

    def __post_init__(self) -> None:
        self.uses = self.graph.consumers()
        self.producers = self.graph.producers()
        self.graph_outputs = frozenset(self.graph.outputs)

    def tensor(self, index: int) -> Tensor:
        return self.graph.tensors[index]

    def shape(self, index: int) -> tuple[int, ...]:
        """The tensor's shape; a shape or size that is not known reads as empty, a dimension as 1."""
        shape = self.tensor(index).shape or ()
        return shape if min(shape, default=1) >= 1 else tuple(max(dim, 1) for dim in shape)

    def is_constant(self, index: int) -> bool:
        return index in self.constants or self.graph.tensors[index].constant

    def runtime_inputs(self, node: Node) -> list[int]:
        """The node's inputs that are computed or fed at run time, in slot order."""
        return [t for t in node.inputs if t >= 0 and not self.is_constant(t)]

    def weight_elements(self, node: Node) -> int:
        """Elements of the node's constants that are computed with: weights, biases, operands; not shapes or axes."""
        works = node.kind in CONVOLUTIONS | MATRIX
        constants = (self.tensor(t) for t in node.inputs if t >= 0 and self.is_constant(t))
        return sum(t.elements or 0 for t in constants if works or t.dtype not in ("int32", "int64"))


#: Says why the node does not meet the condition, or returns an empty string where it does.
Condition = Callable[[Context, Node], str]


def weight_unpackers(graph: Graph) -> frozenset[int]:
    """Nodes that only unpack weights: DEQUANTIZE of constant float16, which the delegate drops to read the weights as they are
    stored (model_builder.cc: FP16GraphPartitionHelper), and DENSIFY, which it merges into the reader (merge_densify.cc)."""
    return frozenset(
        node.index for node in graph.nodes if node.kind in ("dequantize", "densify") and _unpacks(graph, node)
    )


def _unpacks(graph: Graph, node: Node) -> bool:
    source = graph.tensors[node.inputs[0]] if node.inputs and node.inputs[0] >= 0 else None
    return source is not None and source.constant and (node.kind == "densify" or source.dtype == "float16")


def refusal(context: Context, node: Node, rules: GpuRules) -> str:
    """Why the delegate leaves ``node`` to the CPU; empty where it takes it."""
    rule = rules.ops.get(node.kind)
    if rule is None:
        return "" if node.native in rules.custom else f"{node.native} is not an op of the GPU delegate"
    if not node.inputs or node.inputs[0] < 0 or not node.outputs or min(node.outputs) < 0:
        return f"{node.native} lacks an input or an output"
    if rule.max_version is not None and node.version > rule.max_version:
        return f"version {node.version} of {node.native}: the GPU delegate knows versions up to {rule.max_version}"
    activation = node.attributes.get("activation", "none")
    if activation not in rules.activations:
        return f"fused activation {activation} is not supported"
    for name in rule.when:
        reason = CONDITIONS[name](context, node)
        if reason:
            return reason
    return _tensor_refusal(context, node, rules, rule.types)


def _tensor_refusal(context: Context, node: Node, rules: GpuRules, extra_types: frozenset[str]) -> str:
    allowed = rules.float_types | rules.quantized_types | extra_types
    for index in (*context.runtime_inputs(node), *(t for t in node.outputs if t >= 0)):
        tensor = context.tensor(index)
        if tensor.shape is None or any(dim < 0 for dim in tensor.shape):
            return f"the shape of {tensor.name!r} is not known before run time"
        if len(tensor.shape) > rules.max_rank:
            return f"{tensor.name!r} has {len(tensor.shape)} dimensions: the GPU delegate takes up to {rules.max_rank}"
        if tensor.dtype not in allowed:
            return f"{tensor.name!r} is {tensor.dtype}: the GPU delegate computes in floating point"
    return "" if context.runtime_inputs(node) else "no input is computed at run time"


def _one_runtime_input(context: Context, node: Node) -> str:
    count = len(context.runtime_inputs(node))
    return "" if count == 1 else f"{count} inputs are computed at run time: one is expected"


def _at_most_two_runtime_inputs(context: Context, node: Node) -> str:
    if len(node.inputs) < 2 or node.inputs[1] < 0:
        return "it has no weights"
    count = len(context.runtime_inputs(node))
    return "" if 1 <= count <= 2 else f"{count} inputs are computed at run time: one or two are expected"


def _two_inputs(context: Context, node: Node) -> str:
    count = sum(t >= 0 for t in node.inputs)
    return "" if count == len(node.inputs) == 2 else f"{count} inputs: two are expected"


def _distinct_operands(context: Context, node: Node) -> str:
    return "both operands are the same tensor" if len(set(node.inputs)) < len(node.inputs) else ""


def _one_step(context: Context, node: Node) -> str:
    return "" if node.native == "LSTM" else f"{node.native} is not an op of the GPU delegate"


def _positive_stride(context: Context, node: Node) -> str:
    pairs = (node.attributes.get("stride", (1, 1)), node.attributes.get("dilation", (1, 1)))
    return "" if all(value > 0 for pair in pairs for value in pair) else "stride or dilation is not positive"


def _positive_kernel(context: Context, node: Node) -> str:
    pairs = (node.attributes.get("stride", (1, 1)), node.attributes.get("kernel", (1, 1)))
    return "" if all(value > 0 for pair in pairs for value in pair) else "kernel or stride is not positive"


def _runtime_weights_ungrouped(context: Context, node: Node) -> str:
    if len(node.inputs) < 2 or node.inputs[1] < 0 or context.is_constant(node.inputs[1]):
        return ""
    return "" if node.attributes.get("groups", 1) == 1 else "grouped convolution with weights computed at run time"


def _four_dimensional(context: Context, node: Node) -> str:
    indices = [t for t in (*node.inputs[:2], *node.outputs[:1]) if t >= 0]
    return (
        "" if all(len(context.shape(t)) == 4 for t in indices) else "input, filter and output must have four dimensions"
    )


def _same_batch(context: Context, node: Node) -> str:
    same = context.shape(node.inputs[0])[:1] == context.shape(node.outputs[0])[:1]
    return "" if same else "input and output differ in batch size"


def _multiplier_fits(context: Context, node: Node) -> str:
    channels = context.shape(node.inputs[0])[-1]
    outputs = context.shape(node.outputs[0])[-1]
    multiplier = node.attributes.get("multiplier", 1)
    if outputs != channels * multiplier:
        return "output channels are not input channels times the depth multiplier"
    return "" if multiplier == 1 or channels == 1 else f"depth multiplier {multiplier} with {channels} input channels"


def _ranks_kept(context: Context, node: Node) -> str:
    if not node.attributes.get("keep_num_dims", False):
        return ""
    same = len(context.shape(node.inputs[0])) == len(context.shape(node.outputs[0]))
    return "" if same else "keep_num_dims with another number of dimensions out"


def _no_outer_product(context: Context, node: Node) -> str:
    left, right = (context.shape(t) for t in node.inputs[:2])
    if len(left) != len(right):
        return ""
    smaller = any(a < b for a, b in zip(left, right, strict=True))
    larger = any(a > b for a, b in zip(left, right, strict=True))
    return "each operand is broadcast onto the other" if smaller and larger else ""


def _has(attribute: str, what: str) -> Condition:
    def condition(context: Context, node: Node) -> str:
        return "" if node.attributes.get(attribute) is not None else f"{what} are computed at run time"

    return condition


def _constant_pads(context: Context, node: Node) -> str:
    pads = node.attributes.get("pads")
    if pads is None:
        return "the padding is computed at run time"
    return "" if len(pads) in (3, 4) else f"padding of {len(pads)} dimensions: three or four are expected"


def _reflect_only(context: Context, node: Node) -> str:
    mode = node.attributes.get("mode", "reflect")
    return "" if mode == "reflect" else f"{mode} padding: only reflect is supported"


def _not_align_and_half(context: Context, node: Node) -> str:
    both = node.attributes.get("align_corners", False) and node.attributes.get("half_pixel", False)
    return "align_corners together with half_pixel_centers" if both else ""


def _rank_three_or_four(context: Context, node: Node) -> str:
    rank = len(context.shape(node.inputs[0]))
    return "" if rank in (3, 4) else f"slices a tensor of {rank} dimensions: three or four are expected"


def _plain_masks(context: Context, node: Node) -> str:
    set_masks = [m for m in ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask") if node.attributes.get(m, 0)]
    return f"{set_masks[0]} is not supported" if set_masks else ""


def _positive_strides(context: Context, node: Node) -> str:
    return "" if all(s > 0 for s in node.attributes.get("strides", ())) else "negative stride"


def _beta_one(context: Context, node: Node) -> str:
    beta = node.attributes.get("beta", 1.0)
    return "" if beta == 1.0 else f"softmax with beta {beta:g}: only 1 is supported"


def _block_above_one(context: Context, node: Node) -> str:
    return "" if node.attributes.get("block", 2) > 1 else "block size must be above 1"


def _alpha_fits(context: Context, node: Node) -> str:
    if len(node.inputs) < 2 or node.inputs[1] < 0 or not context.is_constant(node.inputs[1]):
        return "alpha is computed at run time"
    shape, alpha = context.shape(node.inputs[0]), context.shape(node.inputs[1])
    channels_only = alpha[-1:] == shape[-1:] and all(dim == 1 for dim in alpha[:-1])
    return "" if channels_only or alpha == shape[1:] else "alpha is neither per channel nor of the input's full size"


_COMPARISONS = frozenset("equal not_equal greater greater_equal less less_equal".split())


def _only_feeds_a_cast(context: Context, node: Node) -> str:
    uses = context.uses.get(node.outputs[0], [])
    only_cast = len(uses) == 1 and context.graph.nodes[uses[0][0]].kind == "cast"
    return "" if only_cast else "a comparison must feed one CAST and nothing else"


def _cast_of_comparison(context: Context, node: Node) -> str:
    producer = context.producers.get(node.inputs[0]) if node.inputs else None
    fed = producer is not None and context.graph.nodes[producer].kind in _COMPARISONS
    return "" if fed else "CAST is only supported right after a comparison"


CONDITIONS: Mapping[str, Condition] = {
    "alpha-per-channel-or-full": _alpha_fits,
    "at-most-two-runtime-inputs": _at_most_two_runtime_inputs,
    "beta-one": _beta_one,
    "block-above-one": _block_above_one,
    "cast-of-comparison": _cast_of_comparison,
    "constant-axes": _has("axes", "the axes"),
    "constant-pads": _constant_pads,
    "constant-permutation": _has("permutation", "the permutation's dimensions"),
    "distinct-operands": _distinct_operands,
    "four-dimensional": _four_dimensional,
    "multiplier-fits": _multiplier_fits,
    "one-step": _one_step,
    "no-outer-product": _no_outer_product,
    "not-align-corners-and-half-pixel": _not_align_and_half,
    "one-runtime-input": _one_runtime_input,
    "only-feeds-a-cast": _only_feeds_a_cast,
    "plain-masks": _plain_masks,
    "positive-kernel": _positive_kernel,
    "positive-stride": _positive_stride,
    "positive-strides": _positive_strides,
    "rank-three-or-four": _rank_three_or_four,
    "ranks-kept": _ranks_kept,
    "reflect-only": _reflect_only,
    "runtime-weights-ungrouped": _runtime_weights_ungrouped,
    "same-batch": _same_batch,
    "two-inputs": _two_inputs,
}
