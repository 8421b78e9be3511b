"""From the delegate's transformed graph to kernels: selection by vendor, special subgraphs, linking
(tensorflow/lite/delegates/gpu/common/gpu_model.cc, selectors/)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

from latlint.runtime.gpu.model import Model, Op
from latlint.runtime.gpu.rules import GpuRules, for_processor
from latlint.runtime.gpu.transforms import is_plain_pointwise
from latlint.runtime.gpu.variants import variant
from latlint.runtime.reasons import Obstacle
from latlint.runtime.types import Processor
from latlint.runtime.work import slices


@dataclass(slots=True, eq=False)
class Launch:
    """One kernel (or the three of a Winograd convolution) while kernels are being linked."""

    op: Op
    name: str
    nodes: list[int]
    inputs: list[int]
    outputs: list[int]
    linkable: bool = False
    linked: list[str] = field(default_factory=list)
    weights: int = 0
    macs: int = 0
    launches: int = 1
    own_inputs: int = 1
    attributes: dict[str, Any] = field(default_factory=dict)
    obstacle: Obstacle | None = None
    explain: list[str] = field(default_factory=list)
    alive: bool = True


def select_kernels(model: Model, processor: Processor, rules: GpuRules) -> list[Launch]:
    """One draft for each op, in order; ops that a special kernel swallowed have none of their own."""
    drafts: list[Launch] = []
    swallowed: set[int] = set()
    written = dict.fromkeys(model.inputs, -1)
    for position, op in enumerate(model.ops):
        if id(op) in swallowed:
            continue
        _latest_written_first(model, op, written)
        pointwise = _depthwise_plus_pointwise(model, op, processor, rules)
        draft = _special(op, pointwise) if pointwise else _draft(model, op, processor, rules)
        swallowed.update(id(other) for other in pointwise)
        written.update(dict.fromkeys(draft.outputs, position))
        drafts.append(draft)
    return drafts


def _draft(model: Model, op: Op, processor: Processor, rules: GpuRules) -> Launch:
    # it takes the op's lists over: nobody else looks at the op from here on but to follow it
    draft = Launch(
        op,
        op.name,
        op.nodes,
        op.inputs,
        op.outputs,
        weights=op.weights,
        macs=op.macs,
        own_inputs=len(op.inputs),
        attributes=op.attributes,
    )
    draft.linkable = op.name in rules.linkable and _keeps_layout(model, op)
    rule = rules.ops.get(op.kind)
    draft.launches = op.launches or (1 if rule is None else rule.launches)
    if op.name == "convolution_2d":
        _select_convolution(model, draft, processor, rules)
    if op.name == "concat":
        _split_concat(draft, processor, rules)
    why = variant(model, op, draft.name, processor, rules)
    draft.explain += [*op.notes, why] if why else op.notes
    return draft


def _split_concat(draft: Launch, processor: Processor, rules: GpuRules) -> None:
    """Some GPUs take only so many inputs in one kernel (operation_selector.cc: CONCAT)."""
    limit = for_processor(rules.concat_inputs, processor)
    if limit is not None and len(draft.inputs) > limit:
        launches = draft.launches = -(-len(draft.inputs) // limit)
        draft.explain.append(f"{len(draft.inputs)} inputs take {launches} kernels: {limit} at a time on this GPU")


def _keeps_layout(model: Model, op: Op) -> bool:
    """Linked code writes where the absorbing kernel would have written: shapes must agree. Only ADD may differ in channels, within
    the same slices of four (tasks/add.cc)."""
    if not op.inputs or len(op.outputs) != 1:
        return False
    *source, source_channels = model.bhwc(op.inputs[0])
    *target, target_channels = model.bhwc(op.outputs[0])
    if source_channels != target_channels and op.name == "add":
        return source == target and slices(source_channels) == slices(target_channels)
    return source == target and source_channels == target_channels


def _select_convolution(model: Model, draft: Launch, processor: Processor, rules: GpuRules) -> None:
    op = draft.op
    if len(op.inputs) > 1:
        draft.name = "convolution_dynamic"
        draft.launches = 2  # bhwc_tensor_to_conv_weights comes first
        return
    groups = op.attributes.get("groups", 1)
    if groups > 1:
        _select_grouped(model, draft, groups)
        return
    if not _suits_winograd(op):
        draft.explain += _unsuited(op)
        return
    draft.obstacle = winograd_obstacle(model, op, processor, rules)
    if draft.obstacle is None:
        draft.name = "convolution_winograd_4x4_6x6"
        draft.launches = 3
    draft.explain += _winograd_limits(model, op, processor, rules)


def _select_grouped(model: Model, draft: Launch, groups: int) -> None:
    """Groups of whole slices of four run in one kernel, others as SPLIT, a convolution each, CONCAT (operation_selector.cc)."""
    channels, outputs = model.bhwc(draft.inputs[0])[3], model.bhwc(draft.outputs[0])[3]
    if (channels // groups) % 4 == 0 and (outputs // groups) % 4 == 0:
        draft.name = "convolution_2d_grouped"
        return
    draft.launches = groups + 2
    # a name of its own: its time is not that of one convolution
    draft.name = "convolution_2d_by_group"
    stride = tuple(draft.attributes.get("stride", ()))
    depthwise = groups == channels and len(set(stride)) > 1
    because = f", as a depthwise one of strides {'x'.join(map(str, stride))} is written" if depthwise else ""
    values = {"read": channels // groups, "made": outputs // groups, "groups": groups, "because": because}
    draft.obstacle = Obstacle("UNEVEN_GROUPS", values)


def _suits_winograd(op: Op) -> bool:
    """3x3, stride 1, dilation 1 (winograd_util.cc: IsSuitableForWinograd4x4To6x6)."""
    get = op.attributes.get
    return (tuple(get("kernel", ())), tuple(get("stride", ())), tuple(get("dilation", ()))) == ((3, 3), (1, 1), (1, 1))


def _unsuited(op: Op) -> list[str]:
    """Which property keeps a convolution of more than one tap from Winograd."""
    kernel, stride, dilation = (tuple(op.attributes.get(name, ())) for name in ("kernel", "stride", "dilation"))
    if kernel == (1, 1):
        return []
    shape = f"{'x'.join(map(str, kernel))}, stride {max(stride, default=1)}, dilation {max(dilation, default=1)}"
    return [f"Winograd is for 3x3 of stride 1 and dilation 1: {shape} here"]


def _winograd_limits(model: Model, op: Op, processor: Processor, rules: GpuRules) -> list[str]:
    """How far a convolution is from what Winograd needs, in each respect."""
    limits = for_processor(rules.winograd, processor)
    if limits is None:
        return []
    _, height, width, outputs = model.bhwc(op.outputs[0])
    counts = (
        (model.bhwc(op.inputs[0])[3], 4 * limits["input_slices"] - 3, "input channels"),
        (outputs, 4 * limits["output_slices"] - 3, "output channels"),
        (-(-height // 4) * -(-width // 4), limits["tiles"], "tiles of 4x4 outputs"),
    )
    return ["for Winograd it has " + ", ".join(f"{has} of {needs} {what}" for has, needs, what in counts)]


def winograd_obstacle(model: Model, op: Op, processor: Processor, rules: GpuRules) -> Obstacle | None:
    """Why a convolution that suits Winograd is too small for it; ``None`` where it is not (IsRecommendedForWinograd4x4To6x6)."""
    limits = for_processor(rules.winograd, processor)
    if limits is None:
        return Obstacle("NO_WINOGRAD")
    _, height, width, outputs = model.bhwc(op.outputs[0])
    channels = model.bhwc(op.inputs[0])[3]
    for has, least, what in (
        (channels, limits["input_slices"], "input channels"),
        (outputs, limits["output_slices"], "output channels"),
    ):
        if slices(has) < least:
            return Obstacle("BELOW_WINOGRAD", {"needs": 4 * least - 3, "what": what, "has": has})
    tiles = -(-height // 4) * -(-width // 4)
    if tiles >= limits["tiles"]:
        return None
    return Obstacle("BELOW_WINOGRAD", {"needs": limits["tiles"], "what": "tiles of 4x4 outputs", "has": tiles})


def _depthwise_plus_pointwise(model: Model, op: Op, processor: Processor, rules: GpuRules) -> list[Op]:
    """The ops that follow a depthwise convolution into one kernel with it: [relu,] 1x1 convolution; or none.

    tasks/special/depthwise_conv_plus_1x1_conv.cc; allowed by the vendor's default preference (metal_delegate.mm)."""
    if op.name != "depthwise_convolution" or processor.vendor not in rules.special_kernels:
        return []
    followers = []
    follower = model.only_consumer(op)
    if follower is not None and follower.name == "relu":
        followers.append(follower)
        follower = model.only_consumer(follower)
    if follower is None or not _is_pointwise_convolution(follower):
        return []
    tables = rules.depthwise_plus_pointwise
    limits = tables.get(processor.vendor, tables.get("default", {})).get(processor.precision)
    return [*followers, follower] if limits and _fits(model, op, follower, limits) else []


def _is_pointwise_convolution(op: Op) -> bool:
    ungrouped = op.attributes.get("groups", 1) == 1 and len(op.inputs) == 1
    return op.name == "convolution_2d" and ungrouped and is_plain_pointwise(op)


def _fits(model: Model, depthwise: Op, pointwise: Op, limits: Mapping[str, int]) -> bool:
    channels, outputs = model.bhwc(depthwise.inputs[0])[3], model.bhwc(pointwise.outputs[0])[3]
    return (
        depthwise.attributes.get("multiplier", 1) == 1
        and channels <= limits["channels"]
        and channels * prod(depthwise.attributes.get("kernel", (1, 1))) <= limits["filter"]
        and outputs <= limits["outputs"]
        and channels * outputs <= limits["weights"]
    )


def _special(op: Op, followers: list[Op]) -> Launch:
    pointwise = followers[-1]
    together = [op, *followers]
    return Launch(
        op,
        "depthwise_conv_plus_1x1_conv",
        [node for part in together for node in part.nodes],
        list(op.inputs),
        list(pointwise.outputs),
        weights=sum(part.weights for part in together),
        macs=sum(part.macs for part in together),
        own_inputs=len(op.inputs),
        attributes={**op.attributes, "pointwise": {**pointwise.attributes, "macs": pointwise.macs}},
        explain=[
            *op.notes,
            *pointwise.notes,
            "few enough channels and weights for one kernel with the 1x1 convolution",
        ],
    )


def _latest_written_first(model: Model, op: Op, written: dict[int, int]) -> None:
    """For an ADD or MUL without broadcast the operand that was written last goes first, where it can be linked
    (gpu_model.cc: IsAssociativeLinkableOp)."""
    if op.name not in ("add", "mul") or len(op.inputs) < 2:
        return
    target = model.bhwc(op.outputs[0])
    for value in op.inputs:
        if any(have != want and have == 1 for have, want in zip(model.bhwc(value), target, strict=True)):
            return
    latest = max(range(len(op.inputs)), key=lambda slot: written.get(op.inputs[slot], -1))
    op.inputs[0], op.inputs[latest] = op.inputs[latest], op.inputs[0]


def link(drafts: list[Launch], model: Model, rules: GpuRules) -> list[Launch]:
    """Links elementwise kernels to the kernel that writes their first input (gpu_model.cc: MergeNodes).

    The original compares every pair of kernels; with an index of uses the work is linear, because a kernel that was linked
    away only ever took uses of values that were written, and so looked at, before."""
    uses: dict[int, list[tuple[Launch, int]]] = {}
    for draft in drafts:
        for slot, value in enumerate(draft.inputs):
            uses.setdefault(value, []).append((draft, slot))
    ready = set(model.inputs)
    for draft in drafts:
        if not draft.alive:
            continue
        ready.update(draft.outputs)
        follower, obstacle = _follower(draft, model, rules, uses, ready)
        while not obstacle and follower is not None:
            _append(draft, follower)
            ready.update(draft.outputs)
            follower, obstacle = _follower(draft, model, rules, uses, ready)
        if obstacle:
            draft.explain.append(f"nothing more is linked to it: {obstacle}")
    return [draft for draft in drafts if draft.alive]


def _follower(
    draft: Launch, model: Model, rules: GpuRules, uses: dict[int, list[tuple[Launch, int]]], ready: set[int]
) -> tuple[Launch | None, str]:
    """The kernel that alone reads ``draft``, if any, and why it cannot be linked; empty where it can."""
    if len(draft.outputs) != 1:
        return None, f"it writes {len(draft.outputs)} tensors"
    readers = uses.get(draft.outputs[0], ())
    if not readers:
        return None, ""
    if draft.outputs[0] in model.outputs and not rules.links_outputs:
        return None, "its result is an output"
    if len(readers) > 1:
        return None, f"its result is read {len(readers)} times, by {', '.join(each.name for each, _ in readers[:3])}"
    (follower, slot), *_ = readers
    if follower is draft:  # a variable, which is read before it is written
        return None, "it reads its own result"
    if follower.name not in rules.linkable:
        return follower, f"{follower.name} is never linked"
    if slot != 0:
        return follower, f"{follower.name} reads it as its second input, and is linked to its first alone"
    if not follower.linkable:
        return follower, f"{follower.name} changes the shape"
    waits = any(value not in ready for value in follower.inputs)
    return follower, f"{follower.name} waits for a tensor that is written later" if waits else ""


def _append(draft: Launch, follower: Launch) -> None:
    draft.linked += [follower.name, *follower.linked]
    draft.explain += follower.explain
    draft.nodes += follower.nodes
    draft.inputs += follower.inputs[1:]
    draft.outputs = follower.outputs
    draft.weights += follower.weights
    draft.macs += follower.macs
    follower.alive = False
