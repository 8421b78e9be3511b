"""Groups of nodes that a compiler runs as one kernel, found by what they compute: norms, gates such as GELU and SiLU, pixel shuffles.

A file writes these in single steps or as one op, and in several orders. What is looked for is the shape of the computation, not one
spelling: a norm begins with a mean over squares and goes on through arithmetic with nothing but its own values, constants and its input.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from latlint.graph.types import Node
from latlint.records import NamedTuple
from latlint.runtime.context import Context


class Group(NamedTuple):
    """``nodes``, in execution order, compute ``kind`` of the value ``data``; the last one writes what the group makes."""

    kind: str
    nodes: tuple[int, ...]
    data: int


def find(context: Context, members: Collection[int]) -> dict[int, Group]:
    """The groups among ``members``, by their last node. No node is in two."""
    found: dict[int, Group] = {}
    taken: set[int] = set()
    nodes = context.graph.nodes
    seen = _Seen(context, frozenset(index for index in members if len(nodes[index].inputs) <= _STEPS))
    order = sorted(seen.members)
    for look in (_norm, _gate, _shuffle):
        for index in order:
            group = None if index in taken else look(seen, nodes[index])
            if group is not None and not taken.intersection(group.nodes) and seen.leaves_once(group):
                found[group.nodes[-1]] = group
                taken.update(group.nodes)
    return found


#: A norm or a gate has fewer steps than this, and as many readers of one of its values; nor does a step of one read more values.
_STEPS = 24


class _Seen(NamedTuple):
    """A graph of which only ``members`` may be in a group."""

    context: Context
    members: frozenset[int]

    def writer(self, tensor: int) -> Node | None:
        index = self.context.producers.get(tensor)
        return self.context.graph.nodes[index] if index is not None and index in self.members else None

    def computed(self, node: Node) -> list[int]:
        return self.context.runtime_inputs(node)

    def readers(self, tensor: int) -> Iterator[Node]:
        for index, _ in self.context.uses.get(tensor, ())[:_STEPS]:
            if index in self.members:
                yield self.context.graph.nodes[index]

    def leaves_once(self, group: Group) -> bool:
        """Whether nothing outside reads a value of the group but its last: otherwise it is no single kernel."""
        inside = set(group.nodes)
        for index in group.nodes[:-1]:
            for tensor in self.context.graph.nodes[index].outputs:
                if tensor in self.context.graph_outputs:
                    return False
                if any(reader not in inside for reader, _ in self.context.uses.get(tensor, ())):
                    return False
        return True

    def grown(
        self, begun: Collection[Node], data: int, kinds: Collection[str], with_data: Collection[str]
    ) -> list[int]:
        """``begun`` and what follows of ``kinds`` that reads nothing but values of the group, constants and, in ``with_data``, ``data``."""
        nodes = {node.index for node in begun}
        values = {tensor for node in begun for tensor in node.outputs}
        waiting = sorted(values)
        while waiting and len(nodes) < _STEPS:
            for reader in self.readers(waiting.pop()):
                if reader.index in nodes or reader.kind not in kinds:
                    continue
                of_data = reader.kind in with_data
                if all(tensor in values or (of_data and tensor == data) for tensor in self.computed(reader)):
                    nodes.add(reader.index)
                    values.update(reader.outputs)
                    waiting = sorted({*waiting, *values})
        return sorted(nodes)


_SQUARES = frozenset({"squared_difference", "mul", "square", "pow"})
_STEPS_OF_NORM = frozenset({"add", "sub", "mul", "div", "reciprocal"})


def _norm(seen: _Seen, root: Node) -> Group | None:
    """A layer norm or an RMS norm, by the root of its mean square."""
    if root.kind not in ("rsqrt", "sqrt") or not root.inputs:
        return None
    begun = [root]
    node = seen.writer(root.inputs[0])
    if node is not None and node.kind in ("add", "maximum") and len(seen.computed(node)) == 1:
        begun.append(node)
        node = seen.writer(seen.computed(node)[0])
    if node is None or node.kind != "mean":
        return None
    mean, squared = node, seen.writer(node.inputs[0])
    if squared is None or squared.kind not in _SQUARES or not squared.inputs:
        return None
    centred = _centred(seen, squared)
    data = centred[0] if centred else squared.inputs[0]
    begun += [mean, squared, *(centred[1] if centred else ())]
    nodes = seen.grown(begun, data, _STEPS_OF_NORM, ("mul", "sub", "div"))
    channel = len(seen.context.shape(data)) - 1
    if channel not in mean.attributes.get("axes", (channel,)):
        return Group("spatial_norm", tuple(nodes), data)
    return Group("layer_norm" if centred else "rms_norm", tuple(nodes), data)


def _centred(seen: _Seen, squared: Node) -> tuple[int, tuple[Node, ...]] | None:
    """``x`` and the nodes that take its mean away, of ``(x - mean(x)) ** 2``."""
    if squared.kind == "squared_difference":
        for data, other in (squared.inputs[:2], squared.inputs[1::-1]):
            mean = seen.writer(other)
            if mean is not None and mean.kind == "mean" and mean.inputs[:1] == (data,):
                return data, (mean,)
        return None
    difference = seen.writer(squared.inputs[0])
    if difference is None or difference.kind != "sub":
        return None
    mean = seen.writer(difference.inputs[1])
    if mean is None or mean.kind != "mean" or mean.inputs[0] != difference.inputs[0]:
        return None
    return difference.inputs[0], (difference, mean)


#: What a gate's curve is -> what the gate is called.
_GATES: Mapping[str, str] = {
    "sigmoid": "silu",
    "tanh": "gelu_spelt_out",
    "erf": "gelu_spelt_out",
    "hard_sigmoid": "hard_swish",
    "relu6": "hard_swish",
    "relu_0_to_1": "hard_swish",
}
_BEFORE_CURVE = frozenset({"mul", "add", "sub", "div", "pow", "square", "softplus"})
_AFTER_CURVE = frozenset({"mul", "add", "div"})


def _gate(seen: _Seen, curve: Node) -> Group | None:
    """``x`` times a curve of ``x``: the curve may be of ``x`` itself or of arithmetic on it."""
    if curve.kind not in _GATES or not curve.inputs or curve.inputs[0] < 0:
        return None
    before: list[Node] = []
    read = {curve.inputs[0]}
    while read and len(before) < _STEPS:
        if len(read) == 1:
            group = _gated(seen, curve, before, min(read))
            if group is not None:
                return group
        # further back through what was written last: all of the curve's arguments meet in one value, if they do
        writers = {tensor: seen.context.producers.get(tensor, -1) for tensor in read}
        last = max(read, key=lambda tensor: writers[tensor])
        node = seen.writer(last)
        if node is None or node.kind not in _BEFORE_CURVE:
            return None
        before.append(node)
        read = (read - {last}) | set(seen.computed(node))
    return None


def _gated(seen: _Seen, curve: Node, before: list[Node], data: int) -> Group | None:
    nodes = seen.grown([curve, *before], data, _AFTER_CURVE, ("mul",))
    products = [seen.context.graph.nodes[index] for index in nodes if index > curve.index]
    if not any(node.kind == "mul" and data in node.inputs for node in products):
        return None
    softplus = any(node.kind == "softplus" for node in before)
    return Group("mish" if softplus else _GATES[curve.kind], tuple(nodes), data)


#: A pixel shuffle between its reshapes: with channels last they are axes 3 (of the image), 4 and 5 (of the block), with channels first 1, 2, 3.
_SHUFFLES = (0, 1, 4, 2, 5, 3)


def _shuffle(seen: _Seen, turned: Node) -> Group | None:
    """Reshape, transpose, reshape: as an image with channels last, or between transposes to channels first and back."""
    if turned.kind != "transpose" or tuple(turned.attributes.get("permutation", ())) != _SHUFFLES:
        return None
    before, after = seen.writer(turned.inputs[0]), _only(list(seen.readers(turned.outputs[0])))
    if before is None or after is None or before.kind != "reshape" or after.kind != "reshape":
        return None
    data, made = before.inputs[0], after.outputs[0]
    if len(seen.context.shape(data)) != 4 or len(seen.context.shape(made)) != 4:
        return None
    first, last = seen.writer(data), _only(list(seen.readers(made)))
    nodes = (before.index, turned.index, after.index)
    if first is not None and last is not None and _swaps(first, (0, 3, 1, 2)) and _swaps(last, (0, 2, 3, 1)):
        return Group("pixel_shuffle", (first.index, *nodes, last.index), first.inputs[0])
    return Group("pixel_shuffle", nodes, data)


def _only(nodes: list[Node]) -> Node | None:
    return nodes[0] if len(nodes) == 1 else None


def _swaps(node: Node, permutation: tuple[int, ...]) -> bool:
    return node.kind == "transpose" and tuple(node.attributes.get("permutation", ())) == permutation
