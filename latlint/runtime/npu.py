"""An NPU behind a delegate or an execution provider: a partition is compiled as a whole, and groups of its nodes are one kernel.

Acceptance and partitions are ``runtime.delegate``'s, in the same words (a rules file of ``kind = "npu"``). What is new is fusion: a norm, a
GELU or a SiLU written in single steps is one kernel (``runtime.groups``), a pad before and a clamp after a convolution are part of it, and
so is arithmetic with constants after one (a batch norm).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import Any

from latlint.graph.types import ITEM_BYTES, Graph, Node
from latlint.runtime.context import Context
from latlint.runtime.delegate import DelegatePlanner
from latlint.runtime.delegate import parse as parse_delegate
from latlint.runtime.groups import Group, find
from latlint.runtime.kernels import kernel
from latlint.runtime.planners import Planned
from latlint.runtime.reasons import Refusal
from latlint.runtime.rules import Rules
from latlint.runtime.types import Kernel, Partition, Processor
from latlint.runtime.work import dims

_PRODUCTS = frozenset("conv1d conv2d conv3d depthwise_conv2d transpose_conv2d transpose_conv3d fully_connected".split())
_CLAMPS = frozenset("relu relu6 relu_0_to_1 relu_n1_to_1 clip minimum maximum".split())
_ARITHMETIC = frozenset("add sub mul".split())
#: What is fused reads no more: a value, and the bounds of a Clip. A row of ops that one CONCATENATION reads asks it of each.
_MOST_OPERANDS = 3
_TAKES_CLAMP = _PRODUCTS | {"add", "batch_matmul"}
_TAKES_PAD = _PRODUCTS | {"max_pool2d", "average_pool2d"}
#: What a provider finds in the file before it asks which nodes are taken.
_FUSED_FIRST = frozenset({"gelu", "hard_swish"})
_FLOATS = ("float32", "float16")
_PADS = frozenset({"pad", "pad_v2"})
_RENAMES = frozenset({"reshape", "squeeze", "expand_dims", "flatten", "identity", "dropout"})


OPEN = (
    "the file leaves sizes open, and the provider takes no node of such sizes: fix them first (python -m onnxruntime.tools.make_dynamic_shape_fixed); "
    "planned as if they were"
)
ATTRIBUTED = "what a kernel takes on the NPU is its share of the whole, by a model: nobody measured single kernels"


class NpuPlanner(DelegatePlanner):
    """See ``DelegatePlanner``."""

    def plan(self, context: Context, nodes: Sequence[int], processor: Processor) -> Planned:
        """As any delegate; an NPU that does not compute in floats (``processor.precision``) takes none."""
        planner: DelegatePlanner = self
        if processor.precision not in _FLOATS:
            taken = tuple(dtype for dtype in self.acceptance.dtypes if dtype not in _FLOATS)
            planner = self._replace(acceptance=self.acceptance._replace(dtypes=taken))
        found = DelegatePlanner.plan(planner, context, nodes, processor)
        on_it = any(part.executor == self.executor for part in found.partitions)
        return found._replace(notes=(*found.notes, ATTRIBUTED)) if on_it else found

    def _delegated(self, context: Context, members: Sequence[int]) -> tuple[list[Kernel], Partition]:
        kernels = [self._compiled(context, nodes, group) for nodes, group in _Fusion(context, members).kernels()]
        return _with_borders(context, kernels), Partition(self.executor, len(members), *context.crossing_bytes(members))

    def _compiled(self, context: Context, indices: Sequence[int], group: Group | None) -> Kernel:
        nodes = [context.graph.nodes[index] for index in indices]
        if not context.constants.isdisjoint(nodes[0].outputs):
            return kernel(context, nodes, "unpack", free="unpacked once, when the model is compiled")
        if _keeps(context, nodes[0]):
            return kernel(context, nodes, "none", free="a value by another name")
        if group is not None:
            return self._pattern(context, nodes, group)
        explain = [
            f"does the work of {node.kind} {'before' if node.kind in _PADS else 'after'} it" for node in nodes[1:]
        ]
        made = kernel(
            context,
            nodes,
            nodes[0].kind,
            attributes=nodes[0].attributes,
            computes=self.computes,
            explain=tuple(explain),
        )
        extra = sum(self._streamed(context, node) for node in nodes[1:])
        if extra:
            made = made._replace(weight_bytes=made.weight_bytes + extra)
        kind = _kind(context, nodes[0])
        return made if kind == made.op else made._replace(op=kind, implementation=kind)

    def _pattern(self, context: Context, nodes: Sequence[Node], group: Group) -> Kernel:
        """A kernel for a group: it reads the value that the group begins with and writes what its last node does."""
        data, made = context.tensor(group.data), context.tensor(nodes[-1].outputs[0])
        name = group.kind
        if name == "gelu_spelt_out" and context.graph.origins:
            name = "gelu"  # today's converters write one op
        return Kernel(
            op=name.removesuffix("_spelt_out"),
            implementation=name,
            nodes=tuple(node.index for node in reversed(nodes)),
            inputs=(dims(data),),
            outputs=(dims(made),),
            input_dtype=self.computes.get(data.dtype, data.dtype),
            output_dtype=self.computes.get(made.dtype, made.dtype),
            sized=data.elements is not None and made.elements is not None,
            explain=(f"{name.replace('_', ' ')}: {len(nodes)} nodes that compute it",),
        )

    def _streamed(self, context: Context, node: Node) -> int:
        """Bytes of a node's constants as the NPU keeps them."""
        constants = context.streamed(node)
        return int(sum((t.elements or 0) * ITEM_BYTES.get(self.computes.get(t.dtype, t.dtype), 0) for t in constants))


class SourcePlanner(NpuPlanner):
    """Where the nodes of the file are judged, not those that they were converted to for planning: an execution provider that reads ONNX."""

    def plan(self, context: Context, nodes: Sequence[int], processor: Processor) -> Planned:
        """As any NPU; a file that leaves sizes open is planned as once they are fixed."""
        found = NpuPlanner.plan(self, context, nodes, processor)
        return found if context.source.left_open is None else found._replace(notes=(*found.notes, OPEN))

    def _refusals(self, context: Context, nodes: Sequence[int], unpackers: Sequence[Node]) -> dict[int, Refusal]:
        if context.source is context.graph:
            return super()._refusals(context, nodes, unpackers)
        source = Context(context.source)
        judged: dict[int, Refusal | None] = {}
        refused: dict[int, Refusal] = {}
        added = []
        for index in nodes:
            if not context.graph.origins[index]:
                added.append(index)
            elif (why := self._of_origins(source, context.graph, index, judged)) is not None:
                refused[index] = why
        # what the conversion adds beside a node goes where that goes
        for index in added:
            beside = _neighbours(context, index)
            if beside and all(other in refused for other in beside):
                refused[index] = Refusal("NEIGHBOURS_REFUSED", {"by": self.acceptance.by})
        return refused

    def _of_origins(
        self, source: Context, graph: Graph, index: int, judged: dict[int, Refusal | None]
    ) -> Refusal | None:
        """Why a node that stands for others is left: the first of them that is; what the provider fuses is judged as one."""
        origins = graph.origins[index]
        if len(origins) > 1 and graph.nodes[index].kind in _FUSED_FIRST:
            return None
        for origin in origins:
            if origin not in judged:
                judged[origin] = self.acceptance.refusal(source, source.graph.nodes[origin])
            if (why := judged[origin]) is not None:
                return why
        return None


def _neighbours(context: Context, index: int) -> set[int]:
    """The nodes that write what a node reads, and that read what it writes."""
    node = context.graph.nodes[index]
    writers = {context.producers[tensor] for tensor in node.inputs if tensor in context.producers}
    return writers | {reader for tensor in node.outputs for reader, _ in context.uses.get(tensor, ())}


def parse(rules: Rules) -> NpuPlanner:
    """The planner of a rules file; ``LatlintError`` (LAT901) names the key that is missing, unknown or of another type."""
    data: dict[str, Any] = dict(rules.data)
    of_source = data.pop("judges", "") == "source"
    found = parse_delegate(rules._replace(data=data))
    return SourcePlanner(*found) if of_source else NpuPlanner(*found)


class _Fusion:
    """Which nodes of a partition are one kernel."""

    def __init__(self, context: Context, members: Sequence[int]) -> None:
        self.context = context
        self.members = frozenset(members)
        self.order = members
        self.patterns = find(context, members)
        self.inside = {index for group in self.patterns.values() for index in group.nodes}
        #: By pad: whether all that read it, of which there may be many, take it.
        self.ahead: dict[int, bool] = {}

    def kernels(self) -> list[tuple[tuple[int, ...], Group | None]]:
        """The nodes of each kernel, the main one first, and the pattern that they are, in execution order."""
        found: list[tuple[tuple[int, ...], Group | None]] = []
        taken: set[int] = set()
        for index in self.order:
            if index in taken:
                continue
            if index in self.patterns:
                found.append((self.patterns[index].nodes, self.patterns[index]))
            elif index not in self.inside and not self._goes_ahead(index):
                nodes = (index, *self._before(index), *self._after(index))
                taken.update(nodes)
                found.append((nodes, None))
        return found

    def _goes_ahead(self, index: int) -> bool:
        """Whether a pad is part of all that read it."""
        node = self.context.graph.nodes[index]
        if node.kind not in _PADS or node.outputs[0] in self.context.graph_outputs:
            return False
        if index not in self.ahead:
            readers = [reader for reader, _ in self.context.uses.get(node.outputs[0], ())]
            self.ahead[index] = bool(readers) and all(map(self._takes_pad, readers))
        return self.ahead[index]

    def _takes_pad(self, index: int) -> bool:
        node = self.context.graph.nodes[index]
        return index in self.members and index not in self.inside and node.kind in _TAKES_PAD

    def _before(self, index: int) -> tuple[int, ...]:
        """The pad that is part of this kernel; where several take it, it is shown with the first."""
        node = self.context.graph.nodes[index]
        pad = self.context.producers.get(node.inputs[0]) if node.inputs else None
        if pad is None or pad not in self.members or not self._takes_pad(index) or not self._goes_ahead(pad):
            return ()
        first, _ = self.context.uses[node.inputs[0]][0]
        return (pad,) if first == index else ()

    def _after(self, index: int) -> list[int]:
        """Clamps, and after a product arithmetic with constants, that only this kernel's result reaches."""
        node = self.context.graph.nodes[index]
        found: list[int] = []
        while node.kind in _TAKES_CLAMP or found:
            follower = self._follower(node)
            if follower is None:
                break
            renames = self._renamed(follower)
            target = renames[-1] if renames else follower
            if not self._fuses(self.context.graph.nodes[index], target):
                break
            found += [each.index for each in (follower, *renames)]
            node = target
        return found

    def _renamed(self, node: Node) -> list[Node]:
        """What follows a reshape that leaves the channels where they are."""
        if node.kind != "reshape" or self._channels(node.inputs[0]) != self._channels(node.outputs[0]):
            return []
        follower = self._follower(node)
        return [] if follower is None or follower.kind not in ("mul", "add") else [follower]

    def _channels(self, tensor: int) -> int:
        shape = self.context.shape(tensor)
        return shape[-1] if shape else 1

    def _follower(self, node: Node) -> Node | None:
        made = node.outputs[0]
        if not self.context.sole_use(made):
            return None
        index = self.context.uses[made][0][0]
        free = index in self.members and index not in self.inside
        return self.context.graph.nodes[index] if free else None

    def _fuses(self, main: Node, node: Node) -> bool:
        if len(node.inputs) > _MOST_OPERANDS or len(self.context.runtime_inputs(node)) != 1 or not node.outputs:
            return False
        if node.kind in _CLAMPS:
            return True
        same = self._elements(node.inputs) == self._elements(node.outputs)
        return main.kind in _PRODUCTS and _kind(self.context, node) in _ARITHMETIC and same

    def _elements(self, tensors: Sequence[int]) -> int:
        return max((prod(self.context.shape(tensor)) for tensor in tensors if tensor >= 0), default=0)


def _kind(context: Context, node: Node) -> str:
    """What a node is for the compiler: TensorFlow's converter writes a division by a constant as a product, those for NPUs leave it."""
    origins = context.graph.origins[node.index] if context.graph.origins else ()
    was_divided = node.kind == "mul" and any(context.source.nodes[origin].kind == "div" for origin in origins)
    return "div" if was_divided else node.kind


def _keeps(context: Context, node: Node) -> bool:
    """Whether a node gives a value a name or a shape that changes nothing for the compiler."""
    if node.kind not in _RENAMES or not node.inputs or node.inputs[0] < 0 or not node.outputs:
        return False
    data, made = context.shape(node.inputs[0]), context.shape(node.outputs[0])
    return len(data) == len(made) and data[-1:] == made[-1:]


def _with_borders(context: Context, kernels: Sequence[Kernel]) -> list[Kernel]:
    """Kernels that say how many elements enter the model with them (``enters``) and leave it (``leaves``)."""
    graph, waiting, left = context.graph, set(context.graph.inputs), set(context.graph.outputs)
    found = []
    for each in kernels:
        reads = {tensor for index in each.nodes for tensor in graph.nodes[index].inputs} & waiting
        writes = {tensor for index in each.nodes for tensor in graph.nodes[index].outputs} & left
        if (reads or writes) and not each.free:
            waiting -= reads
            left -= writes
            marks: Mapping[str, Any] = {
                "enters": sum(prod(context.shape(tensor)) for tensor in reads),
                "leaves": sum(prod(context.shape(tensor)) for tensor in writes),
            }
            each = each._replace(attributes=MappingProxyType({**each.attributes, **marks}))
        found.append(each)
    return found
