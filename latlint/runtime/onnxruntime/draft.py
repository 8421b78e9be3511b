"""``Draft``: an ONNX graph that ONNX Runtime's optimiser rewrites, node by node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from math import inf
from operator import attrgetter
from typing import Any

from latlint.graph.onnx_ops import MICROSOFT_INPUTS
from latlint.graph.onnx_parts import defs
from latlint.graph.onnx_shapes import NOT_REAL
from latlint.graph.ops import UNKNOWN
from latlint.graph.types import Graph, Node, Tensor, as_left_open
from latlint.runtime.loading import Schema, is_of_kind, schema_of


@dataclass(eq=False, slots=True)
class Op:
    """One node. ``op`` is its type, without the domain where the type is known; ``inputs`` and ``outputs`` index ``Draft.tensors``
    (-1: left out); ``origins`` are indices of the nodes that it stands for, the main one first."""

    op: str
    inputs: list[int]
    outputs: list[int]
    attributes: dict[str, Any]
    origins: tuple[int, ...]
    version: int = 1
    domain: str = ""
    position: float = 0.0
    alive: bool = True

    def input(self, slot: int) -> int:
        return self.inputs[slot] if slot < len(self.inputs) else -1

    def get(self, name: str, default: Any = None) -> Any:
        return self.attributes.get(name, default)


#: Of a value that more nodes read than this, no node looks at all the others that do: that would be their number squared.
MANY = 256


class Users:
    """The nodes that read a value, in the order in which they came to, each as often as it does. Of thousands one goes as quickly as of two."""

    __slots__ = ("_counts", "_total")

    def __init__(self) -> None:
        self._counts: dict[Op, int] = {}
        self._total = 0

    def __len__(self) -> int:
        return self._total

    def __iter__(self) -> Iterator[Op]:
        for op, count in self._counts.items():
            yield op
            for _ in range(count - 1):
                yield op

    @property
    def distinct(self) -> int:
        return len(self._counts)

    def first(self) -> Op:
        return next(iter(self._counts))

    def add(self, op: Op, times: int = 1) -> None:
        self._counts[op] = self._counts.get(op, 0) + times
        self._total += times

    def remove(self, op: Op, times: int = 1) -> None:
        left = self._counts[op] - times
        if left:
            self._counts[op] = left
        else:
            del self._counts[op]
        self._total -= times

    def counted(self) -> Mapping[Op, int]:
        """Each node once, with how often it reads the value."""
        return self._counts


@dataclass(eq=False)
class Draft:
    """The graph as it is now. Passes read ``ops()`` and change it through the methods, which keep ``producer`` and ``users``."""

    tensors: list[Tensor]
    inputs: frozenset[int]
    outputs: frozenset[int]
    opset: int
    constants: set[int]
    #: How many tensors the file has; those from here on came in between.
    original: int
    producer: dict[int, Op] = field(default_factory=dict)
    #: Which of its producer's outputs a value is: of a thousand outputs nobody looks for one.
    slots: dict[int, int] = field(default_factory=dict)
    users: dict[int, Users] = field(default_factory=dict)
    #: What was folded, with the indices of the nodes: they cost nothing.
    folded: dict[int, str] = field(default_factory=dict)
    #: Shapes of the file's values at the sizes that are taken, of those that are planned before any is known; and of values that came in between,
    #: and of those that changed, the value that each is like.
    sizes: dict[int, tuple[int, ...] | None] = field(default_factory=dict)
    likes: dict[int, int] = field(default_factory=dict)
    #: Nodes of bodies of control flow -> the body's number: a runtime optimises each graph by itself.
    bodies: dict[int, int] = field(default_factory=dict)
    changed: bool = False
    #: Whether something changed since the nodes were last brought into an order.
    _stale: bool = True
    _opened: dict[int, tuple[int, ...]] = field(default_factory=dict)
    _ops: list[Op] = field(default_factory=list)

    # --- Reading ---------------------------------------------------------------------------------------------------------------

    def ops(self, *names: str) -> Iterator[Op]:
        """The nodes that are there when asked and are still there when reached, in execution order; of these types, if stated."""
        for op in [op for op in self._ops if op.alive and (not names or op.op in names)]:
            if op.alive:
                yield op

    def sole_user(self, tensor: int) -> Op | None:
        """The one node that reads the value, once, where nothing else needs it; none where it stands in another graph than what writes the value."""
        users = self.users.get(tensor)
        if users is None or len(users) != 1 or tensor in self.outputs:
            return None
        user = users.first()
        return None if self.bodies and self._leaves(tensor, user) else user

    def _leaves(self, tensor: int, user: Op) -> bool:
        maker = self.producer.get(tensor)
        return maker is not None and bool(maker.origins and user.origins) and self.body(maker) != self.body(user)

    def body(self, op: Op) -> int:
        """The graph that a node stands in: 0 is the main one."""
        return self.bodies.get(op.origins[0], 0) if self.bodies and op.origins else 0

    def writer(self, tensor: int, *names: str) -> Op | None:
        """The node that writes a value, if it is of these types."""
        op = self.producer.get(tensor)
        return op if op is not None and (not names or op.op in names) else None

    def shape(self, tensor: int) -> tuple[int, ...] | None:
        return self.tensors[tensor].shape if tensor >= 0 else None

    def fixed_shape(self, tensor: int) -> tuple[int, ...] | None:
        """The shape, where every dimension is known."""
        shape = self.shape(tensor)
        return None if shape is None or min(shape, default=0) < 0 else shape

    def dtype(self, tensor: int) -> str:
        return self.tensors[tensor].dtype if tensor >= 0 else ""

    def constant(self, tensor: int) -> bool:
        return tensor in self.constants

    def value(self, tensor: int) -> tuple[Any, ...] | None:
        """The elements of a small constant of real numbers."""
        if tensor not in self.constants or self.tensors[tensor].dtype in NOT_REAL:
            return None
        return self.tensors[tensor].value

    def scalar(self, tensor: int) -> float | None:
        """The only element of a constant of one."""
        value = self.value(tensor)
        return value[0] if value is not None and len(value) == 1 else None

    def wholes(self, tensor: int) -> tuple[int, ...] | None:
        """The elements of a small constant of whole numbers, as axes are; a file may have it in floats, and in those that are none."""
        value = self.value(tensor)
        return None if value is None or any(each % 1 != 0 for each in value) else tuple(int(each) for each in value)

    def whole(self, tensor: int) -> int | None:
        """The only element of a constant of one whole number."""
        value = self.wholes(tensor)
        return value[0] if value is not None and len(value) == 1 else None

    # --- Changing --------------------------------------------------------------------------------------------------------------

    def new_tensor(self, like: int, shape: Sequence[int] | None = None, dtype: str = "") -> int:
        """A value like another one, but for its shape or dtype. Returns its index."""
        tensor = self.tensors[like]
        shape = tensor.shape if shape is None else tuple(shape)
        name = f"{tensor.name}/{len(self.tensors)}"
        self.tensors.append(Tensor(name, shape, dtype or tensor.dtype))
        self.likes[len(self.tensors) - 1] = like
        return len(self.tensors) - 1

    def new_constant(self, shape: Sequence[int], dtype: str, value: tuple[Any, ...] | None = None) -> int:
        self.tensors.append(Tensor(f"constant/{len(self.tensors)}", tuple(shape), dtype, constant=True, value=value))
        self.constants.add(len(self.tensors) - 1)
        return len(self.tensors) - 1

    def set_shape(self, tensor: int, shape: Sequence[int] | None) -> None:
        self.likes.setdefault(tensor, tensor)
        self.tensors[tensor] = replace(self.tensors[tensor], shape=None if shape is None else tuple(shape))

    def settle(self) -> None:
        """Gives all values the sizes that are taken for open ones: what runs has sizes, whatever was known when it was planned."""
        if not self.sizes:
            return
        for index, tensor in enumerate(self.tensors):
            if tensor.shape is not None and min(tensor.shape, default=0) >= 0:
                continue
            like = self.likes.get(index)
            if like is None or tensor.shape is None:
                self.tensors[index] = replace(tensor, shape=self.sizes.get(index, tensor.shape))
                continue
            # moved or cut, a size that is open stays the size that it is, and several keep their order
            known, before = self.sizes.get(like) or self.tensors[like].shape or (), self._opened.get(like, ())
            sizes = [size for size, dim in zip(known, before, strict=False) if dim < 0]
            shape = tuple(dim if dim >= 0 else sizes.pop(0) if sizes else 1 for dim in tensor.shape or ())
            self.tensors[index] = replace(tensor, shape=shape)
            self.sizes[index] = shape

    def add(self, op: Op, position: float) -> Op:
        """Adds a node. ``position`` orders it among those that are ready at the same time."""
        op.position = position
        self._ops.append(op)
        for slot, tensor in enumerate(op.outputs):
            if tensor >= 0:
                self.producer[tensor], self.slots[tensor] = op, slot
        for tensor in op.inputs:
            if tensor >= 0:
                self._read(tensor, op)
        self.changed = self._stale = True
        return op

    def _read(self, tensor: int, op: Op, times: int = 1) -> None:
        users = self.users.get(tensor)
        if users is None:
            users = self.users[tensor] = Users()
        users.add(op, times)

    def set_input(self, op: Op, slot: int, tensor: int) -> None:
        while len(op.inputs) <= slot:
            op.inputs.append(-1)
        old = op.inputs[slot]
        if old >= 0:
            self.users[old].remove(op)
        op.inputs[slot] = tensor
        if tensor >= 0:
            self._read(tensor, op)
        self.changed = self._stale = True

    def drop_inputs(self, op: Op, count: int) -> None:
        """Leaves only the first ``count`` inputs."""
        for slot in range(count, len(op.inputs)):
            self.set_input(op, slot, -1)
        del op.inputs[count:]

    def set_output(self, op: Op, slot: int, tensor: int) -> None:
        if self.producer.get(op.outputs[slot]) is op:
            del self.producer[op.outputs[slot]]
        op.outputs[slot] = tensor
        self.producer[tensor], self.slots[tensor] = op, slot
        self.changed = self._stale = True

    def remove(self, op: Op, why: str = "") -> None:
        """Takes a node out; what it read and nothing else reads stays until ``sweep``. ``why`` its nodes cost nothing, if so."""
        op.alive = False
        for tensor in op.inputs:
            if tensor >= 0:
                self.users[tensor].remove(op)
        for tensor in op.outputs:
            if self.producer.get(tensor) is op:
                del self.producer[tensor]
        if why:
            self.folded.update(dict.fromkeys(op.origins, why))
        self.changed = self._stale = True

    def bypass(self, op: Op, why: str) -> bool:
        """Removes a node whose output is its input ``0``. False where the output's name must stay, which a node then keeps."""
        source, result = op.inputs[0], op.outputs[0]
        if result in self.outputs:
            maker = self.producer.get(source)
            if maker is None or source in self.outputs or len(self.users.get(source, ())) != 1:
                return False
            self.remove(op, why)
            self.set_output(maker, self.slots[source], result)
            return True
        self.remove(op, why)
        self.redirect(result, source)
        return True

    def redirect(self, old: int, new: int) -> None:
        """Lets everything that reads ``old`` read ``new``."""
        if old != new:
            self.redirect_all({old: new})

    def redirect_all(self, instead: Mapping[int, int]) -> None:
        """Lets everything that reads one of these values read the other, which none of them is."""
        touched: dict[Op, int] = {}
        for old, new in instead.items():
            users = self.users.pop(old, None)
            for user, times in users.counted().items() if users else ():  # one may read it in each of a thousand slots
                self._read(new, user, times)
                touched[user] = touched.get(user, 0) + times
        for user, times in touched.items():
            if len(instead) == 1:
                ((old, new),) = instead.items()
                _replaced(user.inputs, old, new, times)
            else:  # each user once: it may read thousands of them
                user.inputs[:] = [instead.get(tensor, tensor) for tensor in user.inputs]
        if touched:
            self.changed = self._stale = True

    def absorb(self, main: Op, others: Sequence[Op], output: int | None = None) -> None:
        """``main`` takes the work of ``others``, which go; it writes ``output`` from then on, if stated."""
        for other in others:
            self.remove(other)
        main.origins = tuple(dict.fromkeys((*main.origins, *(o for other in others for o in other.origins))))
        if output is not None:
            self.set_output(main, 0, output)
        self.changed = True

    def replace_by(self, name: str, nodes: Sequence[Op], inputs: Sequence[int], **attributes: Any) -> Op:
        """One node in place of several, the last of which gives its outputs; its main origin is the first one's."""
        last = nodes[-1]
        outputs = list(last.outputs[:1])
        origins = tuple(dict.fromkeys(o for node in nodes for o in node.origins))
        for node in nodes:
            self.remove(node)
        made = Op(name, list(inputs), outputs, attributes, origins, 1, "com.microsoft")
        return self.add(made, last.position)

    def leave_out(self, ops: Sequence[Op]) -> None:
        """Takes out nodes that something else runs: what they read must be there, and what they write comes from outside."""
        self.outputs |= {tensor for op in ops for tensor in op.inputs if tensor >= 0}
        for op in ops:
            self.remove(op)

    def fold(self, op: Op) -> None:
        """Makes the outputs of a node constants."""
        for tensor in op.outputs:
            if tensor >= 0:
                self.constants.add(tensor)
        self.remove(op, "computed when the model is loaded")

    def sweep(self) -> None:
        """Takes out what nothing needs, and brings the rest into an execution order."""
        if not self._stale:
            return
        waiting = [op for op in self._ops if op.alive]
        while waiting:
            unused = [op for op in waiting if op.alive and not self._needed(op)]
            for op in unused:
                self.remove(op, "nothing reads it")
            # what two of them read is looked at once
            waiting = list(dict.fromkeys(self.producer[t] for op in unused for t in op.inputs if t in self.producer))
        self.sort()

    def _needed(self, op: Op) -> bool:
        for t in op.outputs:
            if t >= 0 and (t in self.outputs or self.users.get(t)):
                return True
        return not op.outputs

    def sort(self) -> None:
        """Brings the nodes into an execution order: of those that can run, the first by position."""
        if self._stale:
            alive = [op for op in self._ops if op.alive]
            self._ops = self._by_position(alive) or self._as_ready(alive)
            self._stale = False

    def _by_position(self, alive: Sequence[Op]) -> list[Op]:
        """The nodes by position, where that is an execution order: the first by position can run then; else none."""
        order = sorted(alive, key=attrgetter("position"))
        producer, before = self.producer, -inf
        for op in order:
            position = op.position
            if position <= before:
                return []
            for tensor in op.inputs:
                maker = producer.get(tensor)
                if maker is not None and maker.position >= position:
                    return []
            before = position
        return order

    def _as_ready(self, alive: Sequence[Op]) -> list[Op]:
        waits: dict[int, int] = {}
        ready: list[tuple[float, int, Op]] = []
        for number, op in enumerate(alive):
            count = len({id(self.producer[t]) for t in op.inputs if t in self.producer})
            waits[id(op)] = count
            if not count:
                ready.append((op.position, number, op))
        heapify(ready)
        order: list[Op] = []
        number = len(alive)
        while ready:
            op = heappop(ready)[2]
            order.append(op)
            for user in {id(u): u for t in op.outputs for u in self.users.get(t, ())}.values():
                waits[id(user)] -= 1
                if waits[id(user)] == 0:
                    number += 1
                    heappush(ready, (user.position, number, user))
        return order


#: An opset that none is newer than.
_NEWEST = 1 << 30


def _as_onnxruntime_has_it(domain: str, name: str, node: Node, schema: Schema | None) -> bool:
    """Whether an op is ONNX Runtime's of that name, with the operands that it must have: passes count on them. The reader has held all that it knows
    against that."""
    if domain not in ("", "com.microsoft"):
        return False
    if schema is not None and not node.attributes.get("followed"):
        (least, most), given = schema.inputs, node.native_inputs or node.inputs
        if not least <= len(given) <= most or (schema.outputs[0] and max(node.outputs[:1], default=-1) < 0):
            return False
    if node.kind != UNKNOWN:
        return True
    if domain:
        return name in MICROSOFT_INPUTS
    return defs.has(name)


def _understood(node: Node, schema: Schema | None) -> dict[str, Any]:
    """The attributes that the schema has, each of the kind that it has there, and those of tools. A file with others is not loaded (LAT012), so that no pass
    need know what to make of them."""
    kinds = schema.attributes if schema is not None else {}
    return {
        name: value
        for name, value in node.native_attributes.items()
        if name.startswith("__") or (name in kinds and is_of_kind(value, kinds[name]))
    }


def _replaced(inputs: list[int], old: int, new: int, times: int) -> None:
    """``new`` in place of ``old``, which is there so often; where thousands are replaced one by one, a search in a list takes the least."""
    at = -1
    for _ in range(times):
        at = inputs.index(old, at + 1)
        inputs[at] = new


def draft_of(graph: Graph, schemas: str) -> Draft:
    """``graph`` as ONNX Runtime loads it: a Constant is an initializer, a node that nothing needs is left out. ``schemas`` names the list of what its
    ops have (``runtime.loading``)."""
    constants = {index for index, tensor in enumerate(graph.tensors) if tensor.constant}
    opset = max((node.version for node in graph.nodes if "::" not in node.native), default=1)
    tensors, sizes = as_left_open(graph)
    draft = Draft(tensors, frozenset(graph.inputs), frozenset(graph.outputs), opset, constants, len(graph.tensors))
    draft.sizes = sizes
    draft.bodies = {node.index: node.inner for node in graph.nodes if node.inner}
    draft._opened = {index: tensors[index].shape or () for index in sizes}
    for node in graph.nodes:
        domain, _, name = node.native.rpartition("::")
        inputs = list(node.native_inputs or node.inputs)
        outputs = list(node.outputs)
        while outputs and outputs[-1] < 0:
            outputs.pop()
        if name == "Constant" and not domain:
            draft.folded[node.index] = "a constant"
            draft.constants.update(outputs)
            continue
        of = f"{domain}::{name}"
        schema = schema_of(schemas, of, node.version) or schema_of(schemas, of, _NEWEST)
        attributes: Mapping[str, Any] = node.native_attributes
        if not _as_onnxruntime_has_it(domain, name, node, schema):
            # No pass may take it for ONNX Runtime's op of that name: it may lack the inputs that those have.
            name = f"{domain or 'ai.onnx'}::{name}"
        elif attributes:
            attributes = _understood(node, schema)
        draft.add(Op(name, inputs, outputs, dict(attributes), (node.index,), node.version, domain), float(node.index))
    if draft.bodies:  # what a graph of control flow hands on is an output of it
        draft.outputs |= {
            tensor
            for tensor, maker in draft.producer.items()
            if any(draft.body(user) != draft.body(maker) for user in draft.users.get(tensor, ())) and draft.body(maker)
        }
    draft.sweep()
    draft.changed = False
    return draft
