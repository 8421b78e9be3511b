"""What today's converters leave out that TensorFlow 2.10's writes: the files that NPUs are given.

Followed is what Qualcomm AI Hub's TFLite files of 2026 hold, as far as their published layer counts tell: attention keeps its four axes where
PyTorch's has three (a reshape that only adds or drops axes of one goes past products, softmax and arithmetic, until nothing is left of it), a
transpose of a transpose is one, GELU by tanh is one op. What single ops become is with their handlers (``Writer.newest``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from latlint.graph.ops import BINARY, UNARY
from latlint.graph.types import Graph, Node
from latlint.runtime.context import Context
from latlint.runtime.convert.pieces import PLAIN_MASKS
from latlint.runtime.convert.writer import Order, Shape, joined, permuted
from latlint.runtime.groups import Group, find


def tidied(graph: Graph) -> Graph:
    """``graph``, which was converted, as today's converters would have written it. One with control flow stays as it is."""
    if any(node.inner for node in graph.nodes):
        return graph
    return _with_gelu(_Sinking(graph).result())


@dataclass(slots=True)
class _Sinking:
    """Moves reshapes towards the outputs. ``views`` are tensors that hold another's elements, which no reshape writes so far."""

    graph: Graph
    nodes: list[Node] = field(default_factory=list)
    origins: list[tuple[int, ...]] = field(default_factory=list)
    tensors: list[Any] = field(default_factory=list)
    views: dict[int, tuple[int, tuple[int, ...]]] = field(default_factory=dict)
    written_by: dict[int, int] = field(default_factory=dict)
    uses: Counter[int] = field(default_factory=Counter)

    def result(self) -> Graph:
        self.tensors = list(self.graph.tensors)
        self.uses = Counter(i for node in self.graph.nodes for i in node.inputs)
        self.uses.update(self.graph.outputs)
        for node, origins in zip(self.graph.nodes, self.graph.origins, strict=True):
            if not self._moved_past(node, origins):
                self._keep(node, [self._written(i) for i in node.inputs], node.outputs, node.attributes, origins)
        outputs = tuple(self._written(i) for i in self.graph.outputs)
        return _renumbered(self.graph, self.tensors, self.nodes, self.origins, outputs)

    def _shape(self, tensor: int) -> Shape | None:
        shape: Shape | None = self.tensors[tensor].shape
        return None if shape is None or min(shape, default=1) < 1 else shape

    def _root(self, tensor: int) -> int:
        return self.views[tensor][0] if tensor in self.views else tensor

    def _written(self, tensor: int) -> int:
        """``tensor``, with the reshape that writes it where it is a view; what a view has the shape of is the tensor itself."""
        if tensor not in self.views:
            return tensor
        root, origins = self.views[tensor]
        if self.tensors[root].shape == self.tensors[tensor].shape:
            return root
        if tensor not in self.written_by:
            self._add("reshape", "RESHAPE", [root], tensor, {"shape": self.tensors[tensor].shape}, origins)
        return tensor

    def _keep(
        self,
        node: Node,
        inputs: Sequence[int],
        outputs: Sequence[int],
        attributes: Any,
        origins: tuple[int, ...],
    ) -> None:
        self.written_by.update(dict.fromkeys(outputs, len(self.nodes)))
        self.nodes.append(
            replace(node, inputs=tuple(inputs), outputs=tuple(outputs), attributes=MappingProxyType(dict(attributes)))
        )
        self.origins.append(origins)

    def _add(
        self, kind: str, native: str, inputs: Sequence[int], output: int, attributes: Any, origins: tuple[int, ...]
    ) -> None:
        node = Node(0, self.tensors[output].name, kind, native, (), ())
        self._keep(node, inputs, [output], attributes, origins)

    def _made(self, node: Node, shape: Shape) -> int:
        """A tensor of ``shape`` of which the node's output is a view; the output itself where it has that shape."""
        output = node.outputs[0]
        if self.tensors[output].shape == shape:
            return output
        self.tensors.append(replace(self.tensors[output], shape=shape))
        made = len(self.tensors) - 1
        self.views[output] = made, ()
        return made

    # --- Each returns whether it wrote the node -----------------------------------------------------------------------------

    def _moved_past(self, node: Node, origins: tuple[int, ...]) -> bool:
        if not node.inputs or len(node.outputs) != 1 or node.inputs[0] < 0 or self._shape(node.outputs[0]) is None:
            return False
        if self._shape(self._root(node.inputs[0])) is None:
            return False
        if node.kind == "reshape":
            return self._reshape(node, origins)
        if node.kind == "gather":
            return self._gather(node, origins)
        if any(i in self.views and self.uses[i] > 1 for i in node.inputs):
            return False  # one reshape for all that read it
        if node.kind == "transpose":
            return self._transpose(node, origins)
        if node.kind in BINARY and self._scaled_before(node, origins):
            return True
        if not any(i in self.views for i in node.inputs):
            return False
        if node.kind == "batch_matmul":
            return self._product(node, origins)
        if node.kind == "softmax":
            return self._softmax(node, origins)
        if node.kind in UNARY:
            return self._on_roots(node, [self._root(node.inputs[0])], origins)
        return node.kind in BINARY and self._binary(node, origins)

    def _on_roots(self, node: Node, inputs: Sequence[int], origins: tuple[int, ...], **attributes: Any) -> bool:
        """An op that does not look at axes, on what its operands are views of."""
        shape = max((self._shape(i) or () for i in inputs), key=len)
        self._keep(node, inputs, [self._made(node, shape)], {**node.attributes, **attributes}, origins)
        return True

    def _reshape(self, node: Node, origins: tuple[int, ...]) -> bool:
        source, root = node.inputs[0], self._root(node.inputs[0])
        if self._of_rows(node, root, origins):
            return True
        if _long(self._shape(root) or ()) == _long(self._shape(node.outputs[0]) or ()):
            self.views[node.outputs[0]] = root, joined(origins, self.views[source][1] if source in self.views else ())
            return True
        self._keep(node, [root, *node.inputs[1:]], node.outputs, node.attributes, origins)
        return True

    def _transpose(self, node: Node, origins: tuple[int, ...]) -> bool:
        """On the axes of what its input is a view of; together with a transpose that wrote that."""
        order: Order | None = node.attributes.get("permutation")
        shape, root = self._shape(node.inputs[0]), self._root(node.inputs[0])
        if order is None or shape is None or len(order) != len(shape):
            return False
        if root != node.inputs[0]:
            order = _on_axes_of(self._shape(root) or (), [axis for axis in order if shape[axis] != 1], shape)
        before = self._writer(root, "transpose")
        if before is not None:
            first = before.attributes["permutation"]
            origins = joined(origins, self.origins[self.written_by[root]])
            root, order = before.inputs[0], tuple(first[axis] for axis in order)
        shape = self._shape(root) or ()
        made = permuted(shape, order) or ()
        if [axis for axis in order if shape[axis] != 1] == [a for a, size in enumerate(shape) if size != 1]:
            self.views[node.outputs[0]] = root, origins
            return True
        self._keep(node, [root], [self._made(node, made)], {"permutation": order}, origins)
        return True

    def _writer(self, tensor: int, kind: str) -> Node | None:
        """The node of ``kind`` that writes ``tensor``."""
        node = self.nodes[self.written_by[tensor]] if tensor in self.written_by else None
        return node if node is not None and node.kind == kind else None

    def _of_rows(self, node: Node, root: int, origins: tuple[int, ...]) -> bool:
        """A product of rows, made of a value with more axes and reshaped to more afterwards, keeps the axes."""
        product = self._writer(root, "fully_connected")
        rows = None if product is None else self._writer(product.inputs[0], "reshape")
        made = self._shape(node.outputs[0]) or ()
        if product is None or rows is None or self.uses[root] > 1 or self.uses[product.inputs[0]] > 1:
            return False
        depth = (self._shape(product.inputs[0]) or ())[-1:]
        if len(self._shape(root) or ()) != 2 or made[-1:] != (self._shape(root) or ())[-1:]:
            return False
        self.tensors.append(replace(self.tensors[product.inputs[0]], shape=(*made[:-1], *depth)))
        at, of_product = self.written_by[root], self.written_by[product.inputs[0]]
        self.nodes[of_product] = replace(rows, outputs=(len(self.tensors) - 1,))
        attributes = MappingProxyType({**product.attributes, "keep_num_dims": True})
        inputs = (len(self.tensors) - 1, *product.inputs[1:])
        self.nodes[at] = replace(product, inputs=inputs, outputs=node.outputs, attributes=attributes)
        self.origins[at] += origins
        self.written_by[node.outputs[0]], self.written_by[len(self.tensors) - 1] = at, of_product
        return True

    def _scaled_before(self, node: Node, origins: tuple[int, ...]) -> bool:
        """Arithmetic with one number goes before the transpose of its operand."""
        if len(node.inputs) != 2 or self._shape(node.inputs[0]) != self._shape(node.outputs[0]):
            return False
        number, root = self.tensors[node.inputs[1]], self._root(node.inputs[0])
        turned = self._writer(root, "transpose")
        if not number.constant or number.elements != 1 or turned is None or self.uses[node.inputs[0]] > 1:
            return False
        if root != node.inputs[0] and self.uses[root] > 1:
            return False
        before = self.tensors[turned.inputs[0]]
        self.tensors.append(replace(self.tensors[node.outputs[0]], shape=before.shape))
        made = len(self.tensors) - 1
        self._keep(node, [turned.inputs[0], node.inputs[1]], [made], node.attributes, origins)
        attributes = turned.attributes
        target = self._made(node, self._shape(root) or ())
        self._keep(turned, [made], [target], attributes, self.origins[self.written_by[root]])
        return True

    def _gather(self, node: Node, origins: tuple[int, ...]) -> bool:
        """One of several values side by side along the last axis, picked after they were set apart: a slice."""
        index = self.tensors[node.inputs[1]].value if len(node.inputs) > 1 else None
        if index is None or self.tensors[node.inputs[1]].shape != ():
            return False
        shape, root = self._shape(node.inputs[0]) or (), self._root(node.inputs[0])
        axis = node.attributes["axis"]
        if not shape or shape[axis] == 1:
            return False
        of_root = [at for at, size in enumerate(self._shape(root) or ()) if size != 1]
        axis = of_root[[at for at, size in enumerate(shape) if size != 1].index(axis)]
        turned = self._writer(root, "transpose")
        if turned is not None:
            order = [at for at in turned.attributes["permutation"] if (self._shape(turned.inputs[0]) or ())[at] != 1]
            rest = [at for at in order if at != turned.attributes["permutation"][axis]]
            if rest != sorted(rest):
                return False
            axis, root = turned.attributes["permutation"][axis], turned.inputs[0]
        apart = self._writer(root, "reshape")
        if apart is None:
            return False
        parts, together = self._shape(root) or (), self._shape(apart.inputs[0]) or ()
        after = _long(parts[axis + 1 :])
        if len(after) != 1 or not together or together[-1] != parts[axis] * after[0]:
            return False
        first = int(index[0]) % parts[axis] * after[0]
        begin, end = (0,) * (len(together) - 1), together[:-1]
        attributes = {"begin": (*begin, first), "end": (*end, first + after[0]), "strides": (1,) * len(together)}
        output = node.outputs[0]
        self.tensors.append(replace(self.tensors[output], shape=(*end, after[0])))
        self.views[output] = len(self.tensors) - 1, ()
        sliced = replace(node, kind="strided_slice", native="STRIDED_SLICE")
        self._keep(sliced, [apart.inputs[0]], [len(self.tensors) - 1], {**PLAIN_MASKS, **attributes}, origins)
        return True

    def _product(self, node: Node, origins: tuple[int, ...]) -> bool:
        """Of matrices in as many batches as before."""
        roots = [self._root(i) for i in node.inputs]
        shapes = [self._shape(i) or () for i in node.inputs]
        a, b = (self._shape(i) or () for i in roots)
        same = all(shape[-2:] == root[-2:] for shape, root in zip(shapes, (a, b), strict=True))
        if len(a) < 2 or a[:-2] != b[:-2] or shapes[0][:-2] != shapes[1][:-2] or not same:
            return False
        made = (*a[:-2], *(self._shape(node.outputs[0]) or ())[-2:])
        self._keep(node, roots, [self._made(node, made)], node.attributes, origins)
        return True

    def _softmax(self, node: Node, origins: tuple[int, ...]) -> bool:
        shape, root = self._shape(node.inputs[0]) or (), self._root(node.inputs[0])
        made = self._shape(root) or ()
        if node.attributes.get("axis", -1) not in (-1, len(shape) - 1) or made[-1:] != shape[-1:]:
            return False
        return self._on_roots(node, [root], origins, axis=len(made) - 1)

    def _binary(self, node: Node, origins: tuple[int, ...]) -> bool:
        """Two of the same shape, or one and a constant that meets the same axes in it as before."""
        if len(node.inputs) != 2:
            return False
        roots = [self._root(i) for i in node.inputs]
        a, b = (self._shape(i) or () for i in roots)
        if a == b and self._shape(node.inputs[0]) == self._shape(node.inputs[1]):
            return self._on_roots(node, roots, origins)
        for one, other in ((0, 1), (1, 0)):
            view, constant = node.inputs[one], self.tensors[node.inputs[other]]
            if not constant.constant or constant.shape is None:
                continue
            met, before = len(constant.shape), self._shape(view) or ()
            after = self._shape(roots[one]) or ()
            whole = met <= min(len(before), len(after)) and before == self._shape(node.outputs[0])
            if whole and before[len(before) - met :] == after[len(after) - met :]:
                return self._on_roots(node, roots, origins)
        return False


def _long(shape: Shape) -> Shape:
    return tuple(dim for dim in shape if dim != 1)


def _on_axes_of(root: Shape, order: Sequence[int], shape: Shape) -> Order:
    """The order of the axes of ``root`` that puts those longer than one as ``order``, which names axes of ``shape``, does; axes of one stay."""
    of_root = [axis for axis, size in enumerate(root) if size != 1]
    of_shape = [axis for axis, size in enumerate(shape) if size != 1]
    moved = iter([of_root[of_shape.index(axis)] for axis in order])
    return tuple(axis if size == 1 else next(moved) for axis, size in enumerate(root))


def _with_gelu(graph: Graph) -> Graph:
    """GELU by tanh, spelt out, as one op."""
    context = Context(graph)
    found = {last: group for last, group in find(context, range(len(graph.nodes))).items() if _by_tanh(graph, group)}
    inside = {index for group in found.values() for index in group.nodes[:-1]}
    nodes, origins = [], []
    for node, own in zip(graph.nodes, graph.origins, strict=True):
        if node.index in found:
            group = found[node.index]
            of_group = (origin for index in reversed(group.nodes) for origin in graph.origins[index])
            node = replace(node, kind="gelu", native="GELU", inputs=(group.data,), attributes=MappingProxyType({}))
            own = tuple(dict.fromkeys(of_group))
        if node.index not in inside:
            nodes.append(node)
            origins.append(own)
    return _renumbered(graph, graph.tensors, nodes, origins, graph.outputs) if found else graph


def _by_tanh(graph: Graph, group: Group) -> bool:
    return group.kind == "gelu_spelt_out" and any(graph.nodes[index].kind == "tanh" for index in group.nodes)


def _renumbered(
    graph: Graph,
    tensors: Sequence[Any],
    nodes: Sequence[Node],
    origins: Sequence[tuple[int, ...]],
    outputs: tuple[int, ...],
) -> Graph:
    """``graph`` with other nodes, but for those whose outputs nothing reads."""
    reads = Counter(i for node in nodes for i in node.inputs)
    reads.update(outputs)
    kept = []
    for node, own in reversed(list(zip(nodes, origins, strict=True))):
        if any(reads[i] for i in node.outputs):
            kept.append((node, tuple(dict.fromkeys(own))))
        else:
            reads.subtract(node.inputs)
    kept.reverse()
    return replace(
        graph,
        nodes=tuple(replace(node, index=index) for index, (node, _) in enumerate(kept)),
        origins=tuple(own for _, own in kept),
        tensors=tuple(tensors),
        outputs=outputs,
    )
