"""Control flow of a TFLite file: the subgraphs that IF, WHILE, CALL and STABLEHLO_COMPOSITE run, as nodes of the graph that runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from types import MappingProxyType
from typing import Any, Protocol

from latlint.graph.flatbuffer import MalformedError, Table
from latlint.graph.tflite_ops import Builtin, impossible
from latlint.graph.tflite_shapes import Sizes
from latlint.graph.trips import Loop
from latlint.graph.types import Node, Tensor, agreed, times, times_known, work
from latlint.records import NamedTuple
from latlint.words import printable

#: Bodies within bodies; real files have three.
MAX_DEPTH = 16
#: Nodes in loops, each counted for every loop around it: each loop goes over all within it again.
MAX_LOOPED = 100_000
#: Notes about branches; more would tell the user nothing new.
_MAX_NOTES = 4


class OpCode(NamedTuple):
    """One entry of the file's operator codes."""

    native: str
    builtin: Builtin
    version: int


class Operator(NamedTuple):
    """One operator of the file; its operands index ``Reader.tensors``, in the order of ``graph.ops``."""

    table: Table
    code: OpCode
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class Scope(NamedTuple):
    """A subgraph as it is run: at one place."""

    operators: list[Operator]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class Reader(Protocol):
    """What reads the file. Bodies add to its ``nodes`` and ``tensors``; ``free`` are the tensors that have a value though no node writes them."""

    nodes: list[Node]
    tensors: list[Tensor]
    free: set[int]
    sizes: Sizes

    def scope(self, number: int, bound: Sequence[int] = ()) -> Scope: ...

    def run(self, scope: Scope, depth: int) -> None: ...

    def switch_off(self, number: int) -> None: ...


class Bodies:
    """Follows the control flow of one file."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.followed = {0}
        self.looped = 0
        self.notes: list[str] = []

    def follow(self, node: Node, depth: int) -> Node:
        """``node``, after the nodes of its bodies were added to the reader's, and its outputs sized."""
        if depth >= MAX_DEPTH:
            raise MalformedError(f"its bodies run each other more than {MAX_DEPTH} deep", "LAT006")
        if min(node.inputs, default=0) < 0:
            raise impossible(f"node {node.index} ({node.native[:80]}) leaves out what its body reads")
        self.followed.update(number for number in node.attributes["subgraphs"] if number >= 0)
        return CONTROL[node.native](self, node, depth)

    def _closed(self, node: Node, results: Sequence[int], **attributes: Any) -> Node:
        """``node`` behind its bodies: it hands on their ``results``."""
        reader = self.reader
        node = replace(
            node,
            index=len(reader.nodes),
            inputs=(*node.inputs, *(index for index in results if index >= 0)),
            attributes=MappingProxyType({**node.attributes, **attributes, "followed": True}),
        )
        for index, result in zip(node.outputs, results, strict=False):
            shape = reader.tensors[result].shape
            if index >= 0 and reader.tensors[index].shape != shape:
                reader.sizes.resize(index, shape)
        return node

    def _branch(self, number: int, bound: Sequence[int], depth: int) -> tuple[Scope, int]:
        """The body ``number``, run on the tensors ``bound``, and the place of its first node."""
        first = len(self.reader.nodes)
        scope = self.reader.scope(number, bound)
        self.reader.run(scope, depth + 1)
        return scope, first

    @staticmethod
    def _check(node: Node, scope: Scope, reads: int, writes: int) -> None:
        """Raises MalformedError where a body does not take and give as many values as its op."""
        if (len(scope.inputs), len(scope.outputs)) != (reads, writes):
            raise impossible(
                f"node {node.index} ({node.native[:80]}) has a body of {len(scope.inputs)} inputs and {len(scope.outputs)} outputs, "
                f"not {reads} and {writes}"
            )

    def _call(self, node: Node, depth: int) -> Node:
        scope, _ = self._branch(node.attributes["subgraphs"][0], node.inputs, depth)
        return self._closed(node, scope.outputs)

    def _once(self, node: Node, depth: int) -> Node:
        """CALL_ONCE runs its body at the first run of the model alone."""
        self.reader.sizes.take(node)
        return replace(node, attributes=MappingProxyType({**node.attributes, "followed": True}))

    def _if(self, node: Node, depth: int) -> Node:
        """The branch that is taken, where that is known, else the one with more work."""
        reader, numbers = self.reader, node.attributes["subgraphs"]
        if not node.inputs:
            raise impossible(f"node {node.index} ({node.native[:80]}) has no condition")
        taken = reader.sizes.array(node.inputs[0])
        if taken is not None and taken.size == 1:
            scope, _ = self._branch(numbers[0 if taken.item() else 1], node.inputs[1:], depth)
            self._check(node, scope, len(node.inputs) - 1, len(node.outputs))
            reader.switch_off(numbers[1 if taken.item() else 0])
            return self._closed(node, scope.outputs, branch="then" if taken.item() else "else")
        one, first = self._branch(numbers[0], node.inputs[1:], depth)
        other, second = self._branch(numbers[1], node.inputs[1:], depth)
        for scope in (one, other):
            self._check(node, scope, len(node.inputs) - 1, len(node.outputs))
        nodes, tensors = reader.nodes, reader.tensors
        work_one, work_other = (sum(work(n, tensors) for n in part) for part in (nodes[first:second], nodes[second:]))
        shapes = [[tensors[index].shape for index in branch.outputs] for branch in (one, other)]
        if work_one >= work_other:
            del nodes[second:]
        else:
            nodes[first:] = [replace(n, index=n.index - (second - first)) for n in nodes[second:]]
        name = "then" if work_one >= work_other else "else"
        if len(self.notes) < _MAX_NOTES:
            self.notes.append(f"of the branches of '{printable(node.name[:80])}' the heavier one ({name}) is counted")
        closed = self._closed(node, (one if name == "then" else other).outputs, branch=name)
        for index, *sizes in zip(node.outputs, *shapes, strict=False):
            reader.sizes.resize(index, agreed(*sizes))
        return closed

    def _while(self, node: Node, depth: int) -> Node:
        """The condition and the body, as often as the loop runs."""
        reader, sizes = self.reader, self.reader.sizes
        asked, number = node.attributes["subgraphs"]
        first = len(reader.nodes)
        body = reader.scope(number)
        self._check(node, body, len(node.inputs), len(node.inputs))
        # what every round hands on as it is, is what the loop began with
        fixed = {i: outer for i, out, outer in zip(body.inputs, body.outputs, node.inputs, strict=False) if i == out}
        if fixed:
            bound = [fixed.get(i, i) for i in body.inputs]
            body = reader.scope(number, bound)
        for inner, outer in zip(body.inputs, node.inputs, strict=False):
            if inner != outer:
                reader.free.add(inner)
                sizes.resize(inner, reader.tensors[outer].shape)
        condition = reader.scope(asked, body.inputs)
        self._check(node, condition, len(node.inputs), 1)
        reader.run(condition, depth + 1)
        reader.run(body, depth + 1)
        nodes = reader.nodes
        self.looped += len(nodes) - first
        if self.looped > MAX_LOOPED:
            raise MalformedError(f"its loops within loops have more than {MAX_LOOPED:,} nodes", "LAT006")
        written = {tensor: n for n in nodes[first:] for tensor in n.outputs}
        begins = dict(zip(body.inputs, node.inputs, strict=False))
        following = {i: out for i, out in zip(body.inputs, body.outputs, strict=False) if i not in node.inputs}
        loop = Loop(
            producer=written.get,
            value=lambda index: _number(sizes.array(index)),
            start=lambda index: _number(sizes.array(begins[index])) if index in begins else None,
            following=following,
        )
        trips = loop.trips(condition.outputs[0]) if condition.outputs else None
        if trips == 0:
            del nodes[first:]
            return self._closed(node, node.inputs, trips=0)
        if trips != 1 and self._settled(following, nodes[first:]) and condition.outputs:
            trips = loop.trips(condition.outputs[0])
        nodes[first:] = [
            replace(n, repeat=times(n.repeat, trips), in_round=times_known(n.in_round, trips)) for n in nodes[first:]
        ]
        # every round hands on all that the loop holds (kernels/while.cc copies it)
        closed = self._closed(node, (*body.outputs, *condition.outputs), trips=trips)
        return replace(closed, repeat=trips, in_round=times_known(1, trips))

    def _settled(self, following: Mapping[int, int], nodes: Sequence[Node]) -> bool:
        """What a round hands on in another size than it got is of no known size, and so is what the body makes of it; whether there is any."""
        reader, sizes = self.reader, self.reader.sizes
        changed = False
        for inner, out in following.items():
            begun, made = reader.tensors[inner].shape, reader.tensors[out].shape
            if out in sizes.bounded:  # what slices by the counter make together is what they were cut from
                sizes.resize(out, begun)
            elif begun != made:
                sizes.resize(inner, agreed(begun, made))
                changed = True
        for node in nodes if changed else ():
            sizes.again(node)
        return changed


def _number(value: Any) -> float | None:
    """The one number that ``value`` holds; ``None`` of one that is not finite, as a count of rounds has to be."""
    known = value is not None and value.size == 1 and value.dtype.kind in "biuf"
    return value.item() if known and isfinite(value.item()) else None


#: Ops that run other subgraphs -> how they are followed.
CONTROL: dict[str, Callable[[Bodies, Node, int], Node]] = {
    "IF": Bodies._if,
    "WHILE": Bodies._while,
    "CALL": Bodies._call,
    "CALL_ONCE": Bodies._once,
    "STABLEHLO_COMPOSITE": Bodies._call,
}
