"""The planner of ONNX Runtime's CPU provider: a kernel for each node of the graph that it executes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import Any

from latlint.graph.ops import UNKNOWN
from latlint.graph.types import ITEM_BYTES, Graph
from latlint.records import NamedTuple
from latlint.runtime.context import Context
from latlint.runtime.onnxruntime.draft import Draft, Op
from latlint.runtime.onnxruntime.optimise import CpuFacts, optimised
from latlint.runtime.onnxruntime.patterns import permutation
from latlint.runtime.planners import Planned, parsed
from latlint.runtime.reasons import Obstacle
from latlint.runtime.rules import Rules
from latlint.runtime.types import Kernel, Partition, Processor
from latlint.runtime.work import ONCE, is_counted

#: What an op that a pass added is, in the vocabulary of ``graph.ops``; others are what the node that they stand for is.
_KINDS = MappingProxyType(
    {
        "Reshape": "reshape", "Squeeze": "squeeze", "Unsqueeze": "expand_dims", "Transpose": "transpose",
        "ReorderInput": "transpose", "ReorderOutput": "transpose", "Gather": "gather", "Split": "split", "Identity": "identity",
        "QuantizeLinear": "quantize", "DequantizeLinear": "dequantize", "Cast": "cast",
        "HardSigmoid": "hard_sigmoid", "Mul": "mul", "Softplus": "softplus", "Tanh": "tanh",
        "Gelu": "gelu", "BiasGelu": "gelu", "FastGelu": "gelu", "QuickGelu": "gelu",
        "LayerNormalization": "layer_norm", "SimplifiedLayerNormalization": "layer_norm", "SkipLayerNormalization": "layer_norm",
        "Gemm": "fully_connected", "FusedGemm": "fully_connected", "QGemm": "fully_connected",
        "MatMul": "batch_matmul", "FusedMatMul": "batch_matmul", "MatMulIntegerToFloat": "batch_matmul",
        "DynamicQuantizeMatMul": "batch_matmul", "QLinearMatMul": "batch_matmul", "MatMulInteger": "batch_matmul",
        "DynamicQuantizeLinear": "quantize", "Upsample": "resize_nearest",
    }
)  # fmt: skip
#: Ops whose values of four dimensions are images, channels first unless they say ``channels_last``.
_IMAGES = frozenset({
    "Conv", "FusedConv", "QLinearConv", "ConvInteger", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool",
    "GlobalMaxPool", "LpPool", "Upsample", "Resize", "BatchNormalization", "InstanceNormalization", "LRN", "DepthToSpace",
    "SpaceToDepth", "ReorderInput", "QLinearAveragePool", "QLinearGlobalAveragePool",
})  # fmt: skip
_CONVOLUTIONS = frozenset({"Conv", "FusedConv", "QLinearConv", "ConvInteger"})
#: Where the weights of a product are among its inputs, and which of its dimensions is summed over.
_PRODUCTS = MappingProxyType(
    {
        "Gemm": 1, "FusedGemm": 1, "MatMul": 1, "FusedMatMul": 1, "MatMulInteger": 1, "MatMulIntegerToFloat": 1,
        "DynamicQuantizeMatMul": 1, "QLinearMatMul": 3, "QGemm": 3,
    }
)  # fmt: skip
#: Where the weights of a convolution are.
_WEIGHTS = MappingProxyType({"QLinearConv": 3})


#: Passes put no more nodes than this beside each other.
_NEAR = 16


class OnnxRuntimePlanner(NamedTuple):
    """``nchwc``: channels in a block by instruction set; ``signed``: vendors whose kernels take int8 activations; ``schemas``: the list of what its ops have."""

    executor: str
    nchwc: Mapping[str, int]
    signed: frozenset[str]
    schemas: str
    native: bool = True

    @property
    def delegate(self) -> str:
        return ""

    def plan(self, context: Context, nodes: Sequence[int], processor: Processor) -> Planned:
        graph, wanted = context.graph, frozenset(nodes)
        draft = optimised(graph, self.facts(processor), self.schemas)
        kernels = [
            kernel_of(graph, draft, op) for op in draft.ops() if not op.origins or not wanted.isdisjoint(op.origins)
        ]
        run = len(kernels)
        kernels += free_kernels(graph, draft, nodes, kernels)
        return Planned(tuple(kernels), (Partition(self.executor, run),) if kernels else ())

    def facts(self, processor: Processor) -> CpuFacts:
        """What the optimiser asks of ``processor``."""
        return CpuFacts(self.nchwc.get(processor.generation, 0), processor.vendor in self.signed)


def parse(rules: Rules) -> OnnxRuntimePlanner:
    """The planner of a rules file; ``LatlintError`` (LAT901) names the key that is missing, unknown or of another type."""
    return parsed(rules, _parse)


def _parse(rules: Rules) -> OnnxRuntimePlanner:
    data = dict(rules.data)
    executor, nchwc, signed = data.pop("executor"), data.pop("nchwc"), data.pop("signed")["vendors"]
    if data:
        raise ValueError(f"no rule is called {min(data)!r}")
    if any(not isinstance(block, int) or block < 1 for block in nchwc.values()):
        raise ValueError("nchwc: expected whole numbers of channels")
    return OnnxRuntimePlanner(str(executor), dict(nchwc), frozenset(signed), str(rules.loads["schemas"]))


def free_kernels(graph: Graph, draft: Draft, nodes: Sequence[int], kernels: Sequence[Kernel]) -> list[Kernel]:
    """Those of ``nodes`` that are in none of ``kernels``, and why they cost nothing."""
    covered = {node for kernel in kernels for node in kernel.nodes}
    return [
        Kernel(graph.nodes[node].kind, "none", (node,), (), (), free=draft.folded.get(node, "optimised away"))
        for node in nodes
        if node not in covered
    ]


def kind_of(graph: Graph, op: Op) -> str:
    """What an op is in the vocabulary of ``graph.ops``; nobody knows what one does that lacks operands."""
    if "::" in op.op and op.domain in ("", "com.microsoft"):
        return UNKNOWN
    node = graph.nodes[op.origins[0]] if op.origins else None
    same = node is not None and node.native.rpartition("::")[2] == op.op
    return node.kind if node is not None and (same or op.op not in _KINDS) else _KINDS.get(op.op, UNKNOWN)


def kernel_of(graph: Graph, draft: Draft, op: Op) -> Kernel:
    """What one node computes on, and how much."""
    running = [t for t in op.inputs if t >= 0 and not draft.constant(t)]
    written = [t for t in op.outputs if t >= 0]
    origins = op.origins or _beside(draft, op)
    main = graph.nodes[origins[0]] if origins else None
    kind, attributes = kind_of(graph, op), _attributes(graph, draft, op)
    taps_known = op.op not in _CONVOLUTIONS or bool(attributes["kernel"])
    return Kernel(
        op=kind,
        implementation=op.op,
        nodes=origins,
        inputs=tuple(_shape(draft, op, t) for t in running),
        outputs=tuple(_shape(draft, op, t) for t in written),
        linked=tuple(graph.nodes[other].kind for other in op.origins[1:]),
        input_dtype=draft.dtype(running[0]) if running else "float32",
        output_dtype=draft.dtype(written[0]) if written else "float32",
        attributes=MappingProxyType(attributes),
        macs=_macs(draft, op),
        weight_bytes=sum(_bytes(draft, t) for t in op.inputs if draft.constant(t)),
        own_inputs=len(running),
        sized=(main is None or is_counted(main))
        and taps_known
        and all(draft.fixed_shape(t) is not None for t in (*running, *written)),
        repeat=main.in_round if main else 1,
        obstacle=Obstacle("UNKNOWN_KERNEL", {"native": op.op}) if kind == UNKNOWN else None,
        explain=(ONCE,) if main is not None and main.repeat is None else (),
    )


def _beside(draft: Draft, op: Op) -> tuple[int, ...]:
    """The node next to which a pass put ``op``: that of what it reads, else of what reads it."""
    before, after, seen = op, op, 0
    while seen < _NEAR and not (before.origins or after.origins):
        before = draft.producer.get(before.inputs[0], before)
        after = next(iter(draft.users.get(after.outputs[0], ())), after)
        seen += 1
    return (before.origins or after.origins)[:1]


def _shape(draft: Draft, op: Op, tensor: int) -> tuple[int, ...]:
    """A value's shape, images with their channels last; a dimension that is not known is 1."""
    shape = draft.shape(tensor) or ()
    if min(shape, default=1) < 1:
        shape = tuple(max(dim, 1) for dim in shape)
    if op.op in _IMAGES and len(shape) >= 3 and not op.get("channels_last"):
        return (shape[0], *shape[2:], shape[1])
    return shape


def _bytes(draft: Draft, tensor: int) -> int:
    """Bytes of a constant that is computed with: shapes and axes are not."""
    if draft.dtype(tensor) in ("int64", "bool", "string"):
        return 0
    return int(prod(draft.fixed_shape(tensor) or (0,)) * ITEM_BYTES.get(draft.dtype(tensor), 4))


def _attributes(graph: Graph, draft: Draft, op: Op) -> dict[str, Any]:
    """The attributes of ``graph.ops`` of the node that the kernel stands for, with what a pass changed, and what tells one kernel of
    the op from another: ``layout`` and ``activation``."""
    found: dict[str, Any] = {}
    if op.op in _CONVOLUTIONS:
        weights = draft.shape(op.input(_WEIGHTS.get(op.op, 1))) or ()
        stated = (op.get("kernel_shape"), weights[2:])
        taps = next((tuple(each) for each in stated if each and min(each) > 0), ())
        found |= {
            "kernel": taps,
            "groups": int(op.get("group", 1)),
            "stride": tuple(op.get("strides") or (1,) * len(taps)),
        }
        found |= {
            "added": len(op.inputs) > 3 and op.op in ("Conv", "FusedConv"),
            "activation": op.get("activation", ""),
        }
    elif op.origins:
        found |= graph.nodes[op.origins[0]].attributes
    if op.domain == "com.microsoft.nchwc":
        found["layout"] = "nchwc"
    for name in ("perm", "transA", "transB", "mode", "activation", "channels_last"):
        if name in op.attributes:
            found[name] = op.attributes[name]
    if op.op in _PRODUCTS:
        found["packed"] = draft.constant(op.input(_PRODUCTS[op.op]))
    return found | _strides(draft, op)


def _strides(draft: Draft, op: Op) -> dict[str, int]:
    """How what an op moves lies in memory: ``run`` elements in a row that a Transpose keeps together, ``runs`` pieces that are copied
    one by one, ``spans`` of a broadcast operation over which no operand starts again."""
    made = draft.fixed_shape(op.outputs[0]) if op.outputs else None
    data = draft.fixed_shape(op.inputs[0]) if op.inputs else None
    if made is None or data is None:
        return {}
    if op.op == "Transpose":
        perm = permutation(draft, op) or ()
        return {"run": _run(data, perm)} if len(perm) == len(data) else {}
    if op.op in ("Concat", "Split", "Gather", "QLinearConcat"):
        axis = op.get("axis", 0) % max(len(data), 1)
        pieces = (
            len(op.outputs)
            if op.op == "Split"
            else prod(draft.fixed_shape(op.input(1)) or ())
            if op.op == "Gather"
            else len(op.inputs)
        )
        return {"runs": prod(data[:axis]) * pieces}
    if op.op in ("Slice", "Pad", "Expand", "Tile"):
        padded = (1,) * (len(made) - len(data)) + data
        last = max((i for i, (a, b) in enumerate(zip(padded, made, strict=False)) if a != b), default=0)
        return {"runs": prod(made[:last])}
    if op.op in ("DepthToSpace", "SpaceToDepth") and made:
        return {"runs": prod(made) // max(made[-1], 1)}
    if len(op.inputs) > 1 and op.op not in _IMAGES and op.op not in _PRODUCTS:
        shapes = [draft.fixed_shape(t) for t in op.inputs if t >= 0]
        if all(shape is not None for shape in shapes):
            return {"spans": _spans([shape or () for shape in shapes], made)}
    return {}


def _run(shape: Sequence[int], perm: Sequence[int]) -> int:
    """Elements at the end that stay beside each other; sizes of 1 do not count as dimensions."""
    kept = [axis for axis in perm if shape[axis] != 1]
    order = sorted(kept)
    run = 1
    while kept and kept[-1] == order[-1]:
        run *= shape[kept.pop()]
        order.pop()
    return run


def _spans(shapes: Sequence[Sequence[int]], made: Sequence[int]) -> int:
    """How many stretches of the result there are over which each operand is either read along or stays."""
    wide = [(1,) * (len(made) - len(shape)) + tuple(shape) for shape in shapes]
    inner, axis = 1, len(made) - 1
    along: list[bool | None] = [None] * len(wide)
    while axis >= 0:
        for number, shape in enumerate(wide):
            reads = shape[axis] == made[axis]
            if made[axis] != 1 and along[number] not in (None, reads):
                return prod(made) // max(inner, 1)
            along[number] = along[number] if made[axis] == 1 else reads
        inner *= made[axis]
        axis -= 1
    return 1


def _macs(draft: Draft, op: Op) -> int:
    """Multiply-accumulates of convolutions and products, padding counted as work."""
    made = prod(max(dim, 1) for dim in (draft.shape(op.outputs[0]) or ())) if op.outputs else 0
    if op.op in _CONVOLUTIONS:
        weights = draft.shape(op.input(_WEIGHTS.get(op.op, 1))) or ()
        return made * prod(max(dim, 1) for dim in weights[1:])
    if op.op == "ConvTranspose":
        weights = draft.shape(op.input(1)) or ()
        data = draft.shape(op.inputs[0]) or ()
        return prod(max(dim, 1) for dim in data) * prod(max(dim, 1) for dim in weights[1:])
    if op.op in _PRODUCTS:
        data = draft.shape(op.inputs[0]) or (1,)
        axis = -1
        if op.get("transA") and len(data) > 1:
            axis = 0 if op.get("transBatchA") else -2
        return made * max(int(data[axis]), 1)
    if op.op in ("LSTM", "GRU", "RNN"):
        data = draft.shape(op.inputs[0]) or ()
        size = sum(prod(draft.fixed_shape(t) or (0,)) for t in op.inputs[1:3] if t >= 0)
        return prod(max(dim, 1) for dim in data[:-1]) * size
    return 0
