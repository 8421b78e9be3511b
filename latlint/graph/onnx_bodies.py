"""Control flow of an ONNX model: the graphs that If, Loop and Scan run, as nodes of the graph that runs them."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import reduce
from math import inf, isfinite, prod
from typing import Any, Protocol

from latlint.graph.onnx_ops import ImpossibleError, is_known
from latlint.graph.onnx_parts import GraphProto, NodeProto, TensorProto, tensor_type
from latlint.graph.onnx_shapes import Inference, attributes_of
from latlint.graph.trips import MAX_TRIPS, Loop
from latlint.graph.types import ByteRange, agreed, times, times_known
from latlint.records import NamedTuple

#: Graphs within graphs, of which deeper ones are not followed; real files have three.
MAX_DEPTH = 16
_GRAPHS = {"If": ("then_branch", "else_branch"), "Loop": ("body",), "Scan": ("body",)}
#: So much work is no number: sums of it are beyond what floats hold.
_UNCOUNTED = 2**1000
#: Ops whose time is that of their weights.
_WEIGHTED = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm", "ConvInteger", "MatMulInteger", "LSTM", "GRU", "RNN"})
_KINDS = {
    "Less": "less", "LessOrEqual": "less_equal", "Greater": "greater", "GreaterOrEqual": "greater_equal", "And": "logical_and",
    "Add": "add", "Sub": "sub", "Mul": "mul", "Identity": "identity", "Cast": "cast", "Reshape": "reshape", "Squeeze": "squeeze",
    "Unsqueeze": "expand_dims",
}  # fmt: skip


class Body:
    """One node of control flow: ``node`` without its graphs, and for each of them its number, the names of its inputs and outputs and its steps."""

    def __init__(self, node: NodeProto) -> None:
        self.node = node
        #: How many inputs the file gives it; those behind are what its graphs write.
        self.given = len(node.input)
        self.numbers: list[int] = []
        self.inputs: list[list[str]] = []
        self.outputs: list[list[str]] = []
        self.steps: list[list[Step]] = []
        #: The branch of an If that counts; how often a loop runs.
        self.branch = 0
        self.trips: int | None = 1
        #: The branch was chosen by its work: the condition is computed.
        self.weighed = False
        #: What one run of each graph computes (see ``_work``), for whoever asked.
        self.work: dict[int, float] = {}


class Step(NamedTuple):
    """A node as it runs: of the main graph, of a model-local function at the place where it is called, or of a graph that control flow
    runs. ``within``: the control flow around it, and which of its graphs it is in; ``body`` is that of a node that is itself
    control flow, as the ``role`` says: its ``entry`` or its ``exit``."""

    node: NodeProto
    opsets: Mapping[str, int]
    location: ByteRange | None
    within: tuple[tuple[Body, int], ...] = ()
    body: Body | None = None
    role: str = ""


class Reader(Protocol):
    """What reads the model: it checks nodes, is told what is copied and which constants there are, and numbers the graphs."""

    def check(self, node: NodeProto, opsets: Mapping[str, int]) -> None: ...

    def copied(self, node: NodeProto) -> None: ...

    def next_body(self) -> int: ...

    def take_constant(self, name: str, tensor: TensorProto) -> None: ...


class _Named(NamedTuple):
    """A node as ``trips`` looks at it."""

    kind: str
    inputs: tuple[str, ...]


def steps(reader: Reader, step: Step, outer: Mapping[str, str], depth: int) -> Iterator[Step]:
    """``step``, or what it runs: a loop's entry, the nodes of its graphs, and the node itself, which reads what they wrote."""
    wanted = _GRAPHS.get(step.node.op_type)
    if wanted is None or depth >= MAX_DEPTH or step.node.domain not in ("", "ai.onnx"):
        yield step
        return
    given = {attribute.name: attribute.g for attribute in step.node.attribute if attribute.HasField("g")}
    graphs = [given[name] for name in wanted if name in given]
    if len(graphs) != len(wanted):
        yield step
        return
    reader.check(step.node, step.opsets)
    plain = NodeProto(name=step.node.name, op_type=step.node.op_type, domain=step.node.domain)
    plain.input.extend(step.node.input)
    plain.output.extend(step.node.output)
    plain.attribute.extend(attribute for attribute in step.node.attribute if not attribute.HasField("g"))
    body = Body(plain)
    body.numbers = [reader.next_body() for _ in graphs]
    named = [_names(reader, plain, graph, n, outer) for graph, n in zip(graphs, body.numbers, strict=True)]
    body.inputs = [[names[value.name] for value in graph.input] for graph, names in zip(graphs, named, strict=True)]
    body.outputs = [
        [names.get(value.name, value.name) for value in graph.output]
        for graph, names in zip(graphs, named, strict=True)
    ]
    if plain.op_type != "If":
        entry = NodeProto(op_type="entry", name=plain.name)
        entry.input.extend(plain.input)
        entry.output.extend(body.inputs[0])
        yield step._replace(node=entry, body=body, role="entry")
    for number, (graph, names) in enumerate(zip(graphs, named, strict=True)):
        inside = (*step.within, (body, number))
        made: list[Step] = []
        for inner in graph.node:
            reader.copied(inner)
            node = NodeProto()
            node.CopyFrom(inner)
            node.name = f"{plain.name or ''.join(plain.output[:1])}/{inner.name or inner.op_type}"
            node.input[:] = [names.get(name, name) if name else "" for name in inner.input]
            node.output[:] = [names[name] if name else "" for name in inner.output]
            made += steps(reader, step._replace(node=node, within=inside), names, depth + 1)
        body.steps.append(made)
        yield from made
    plain.input.extend(dict.fromkeys(name for outputs in body.outputs for name in outputs if name))
    yield step._replace(node=plain, body=body, role="exit")


def _names(
    reader: Reader, node: NodeProto, graph: GraphProto, number: int, outer: Mapping[str, str]
) -> ChainMap[str, str]:
    """What the names of ``graph``, which has this ``number``, are called in the model: its own ones get a prefix, others are those around it."""
    own = [value.name for value in graph.input] + [tensor.name for tensor in graph.initializer]
    own += [name for inner in graph.node for name in inner.output if name]
    every = [*own, *(name for inner in graph.node for name in (inner.name, inner.op_type, inner.domain, *inner.input))]
    every += [value.name for value in graph.output]
    if not all(isinstance(name, str) for name in every):
        raise ImpossibleError("a name in a graph of an If, Loop or Scan is not text")
    prefix = f"{(node.name or ''.join(node.output[:1]))[:80]}#{number}/"
    names = {name: prefix + name for name in own}
    for tensor in graph.initializer:
        reader.take_constant(names[tensor.name], tensor)
    return ChainMap(names, *(outer.maps if isinstance(outer, ChainMap) else [dict(outer)]))


def enter(inference: Inference, body: Body) -> None:
    """What a round of a loop begins with has the types of what the loop began with, and no values."""
    inputs, given = body.inputs[0], list(body.node.input)
    if body.node.op_type == "Loop":
        for name, kind in zip(inputs[:2], (TensorProto.INT64, TensorProto.BOOL), strict=False):
            inference.add(name, tensor_type(kind, ()))
        inputs, given = inputs[2:], given[2 : len(body.inputs[0])]
    scanned = _scanned(body)
    for position, (name, source) in enumerate(zip(inputs, given, strict=False)):
        known = inference.types.get(source)
        slot = position - (len(inputs) - scanned)
        if known is None:
            continue
        if body.node.op_type == "Scan" and slot >= 0 and known.shape is not None:
            axis = _axis(body, "scan_input_axes", slot, len(known.shape))
            shape = known.shape[:axis] + known.shape[axis + 1 :]
            inference.add(name, tensor_type(known.proto.tensor_type.elem_type, shape))
        else:
            inference.types[name] = known


def _scanned(body: Body) -> int:
    if body.node.op_type != "Scan":
        return 0
    many = int(attributes_of(body.node).get("num_scan_inputs", 0))
    if not 0 <= many <= len(body.inputs[0]):
        raise ImpossibleError(f"a scan of {many} inputs, where its graph has {len(body.inputs[0])}")
    return many


def _axis(body: Body, name: str, slot: int, rank: int) -> int:
    axes = attributes_of(body.node).get(name, ())
    axis = int(axes[slot]) if slot < len(axes) else 0
    if not -rank <= axis < max(rank, 1):
        raise ImpossibleError(f"a scan along axis {axis} of {rank} dimensions")
    return axis % max(rank, 1)


def leave(inference: Inference, body: Body) -> None:
    """The types of what the node writes, and which branch counts or how often the loop runs."""
    body.work.clear()
    if body.node.op_type == "If":
        _choose(inference, body)
        for name, *results in zip(body.node.output, *body.outputs, strict=False):
            known = inference.types.get(results[body.branch])
            if known is not None and body.weighed:
                shapes = [each.shape if (each := inference.types.get(result)) else None for result in results]
                known = inference.sized(known, agreed(*shapes))
            if name and known is not None:
                inference.types[name] = known
            if name and not body.weighed and results[body.branch] in inference.values:
                inference.values[name] = inference.values[results[body.branch]]
        return
    loop = body.node.op_type == "Loop"
    body.trips = _loop_trips(inference, body) if loop else _scan_trips(inference, body)
    results = body.outputs[0][1:] if loop else body.outputs[0]
    carried = max(len(body.inputs[0]) - (2 if loop else _scanned(body)), 0)
    begins = body.inputs[0][2:] if loop else body.inputs[0]
    if body.trips == 0:
        results = [*begins[:carried], *results[carried:]]
    elif body.trips != 1:
        _settle(inference, body, list(zip(begins[:carried], results, strict=False)))
    for position, (name, result) in enumerate(zip(body.node.output, results, strict=False)):
        known = inference.types.get(result)
        if position < carried:
            known = inference.types.get(begins[position]) if known is None or known.shape is None else known
        elif known is not None and known.shape is not None:
            axis = 0 if loop else _axis(body, "scan_output_axes", position - carried, len(known.shape) + 1)
            shape = (*known.shape[:axis], -1 if body.trips is None else body.trips, *known.shape[axis:])
            inference.add(name, tensor_type(known.proto.tensor_type.elem_type, shape))
            continue
        if name and known is not None:
            inference.types[name] = known


def _settle(inference: Inference, body: Body, carried: list[tuple[str, str]]) -> None:
    """What a round hands on in another size than it got is of no known size, and so is what the body makes of it: that is inferred anew, or
    not known where loops within loops have spent what there is for it."""
    changed = False
    for begin, result in carried:
        before, made = inference.types.get(begin), inference.types.get(result)
        if before is not None and made is not None and made.shape is not None and made.shape != before.shape:
            inference.types[begin] = inference.sized(before, agreed(before.shape, made.shape))
            changed = True
    if not changed:
        return
    again = inference.spend(sum(1 + len(step.node.input) + len(step.node.output) for step in body.steps[0]))
    for step in body.steps[0]:
        for name in step.node.output:
            inference.forget(name)
        if step.body is None:
            if again:
                inference.node(step.node, step.opsets)
        elif again:
            (enter if step.role == "entry" else leave)(inference, step.body)
        else:
            step.body.work.clear()
            if step.body.node.op_type != "If":
                step.body.trips = None
            elif inference.values.keys().isdisjoint(step.body.node.input[:1]):
                step.body.weighed = True


def _choose(inference: Inference, body: Body) -> None:
    taken = inference.values.get(body.node.input[0]) if body.node.input else None
    if taken is not None and taken.size == 1:
        body.branch = 0 if taken.item() else 1
        return
    body.branch = 0 if _work_of(inference, body, 0) >= _work_of(inference, body, 1) else 1
    body.weighed = True


def is_run(step: Step) -> bool:
    """Whether a step is a node of the graph: no entry of a loop, and in no branch that another one outweighs."""
    if not step.within and step.body is None:
        return True
    decided = all(body.node.op_type != "If" or body.branch == number for body, number in step.within)
    return step.role != "entry" and decided and in_round(step) != 0


def settled(
    inference: Inference, steps: Iterable[Step], constants: Container[str], outputs: Iterable[str]
) -> list[Step]:
    """``steps``, in an order in which they run, with its branch in the place of each If whose condition is known, and without what only
    such a condition read.

    No runtime runs such an If where the file states all sizes: ONNX Runtime's constant folding puts the branch in its place, and so do the simplifiers that converters
    call. Exporters write one around each Squeeze of a dimension whose size they do not know. Of a file that leaves sizes open this is not asked: ONNX Runtime
    folds no Shape of which one dimension is open. ``outputs``: what the model hands on.
    """
    made: list[Step] = []
    called: dict[str, str] = {}
    spare: set[str] = set()
    for step in steps:
        within = tuple((body, branch) for body, branch in step.within if not _is_settled(body))
        step = step._replace(within=within) if len(within) < len(step.within) else step
        body = step.body
        if body is None or not _is_settled(body):
            made.append(step)
            continue
        spare.add(body.node.input[0])
        written = {name for inner in body.steps[body.branch] for name in inner.node.output}
        for name, result in zip(body.node.output, body.outputs[body.branch], strict=False):
            if not name:
                continue
            if result in written and result not in called and result not in constants:
                called[result] = name
            else:
                same = NodeProto(op_type="Identity", name=step.node.name, input=[result], output=[name])
                made.append(step._replace(node=same, body=None, role=""))
    if not spare:
        return made
    for step in made if called else ():
        for names in (step.node.input, step.node.output):
            if not called.keys().isdisjoint(names):
                names[:] = [_last(called, name) for name in names]
    read, kept = set(outputs), []
    for step in reversed(made):
        written = set(step.node.output)
        if written <= spare and written.isdisjoint(read) and written <= inference.values.keys():
            spare.update(step.node.input)
        else:
            read.update(step.node.input)
            kept.append(step)
    return kept[::-1]


def _is_settled(body: Body) -> bool:
    return body.node.op_type == "If" and not body.weighed


def _last(called: Mapping[str, str], name: str) -> str:
    while name in called:
        name = called[name]
    return name


def _work_of(inference: Inference, body: Body, number: int) -> float:
    """What one run of a graph of ``body`` computes. Graphs within it are asked once, however many are around them."""
    if number not in body.work:
        inside = (step for step in body.steps[number] if step.within[-1] == (body, number) and step.role != "entry")
        body.work[number] = sum(_work(inference, step) for step in inside)
    return body.work[number]


def _work(inference: Inference, step: Step) -> float:
    """A rough count of what a node computes: elements written, times the weights that each takes; infinite where nobody knows."""
    often: int | None = 1
    within: float = 0
    if step.body is not None and step.body.trips != 0:
        often = step.body.trips if step.body.node.op_type != "If" else 1
        within = _work_of(inference, step.body, step.body.branch)
    made = (inference.types.get(name) for name in step.node.output if name)
    unknown = not is_known(step.node.domain, step.node.op_type)
    if (
        unknown
        or often is None
        or within == inf
        or any(each is None or each.shape is None or -1 in each.shape for each in made)
    ):
        return inf
    shapes = [
        known.shape if (known := inference.types.get(name)) else None
        for name in (*step.node.output[:1], *step.node.input[1:2])
    ]
    written, weights = (
        prod(max(dim, 1) for dim in shape or ()) if shape is not None else 0 for shape in (*shapes, None)[:2]
    )
    depth = 1
    if step.node.op_type in _WEIGHTED and len(shapes) > 1 and shapes[1]:
        depth = max(weights // max(*shapes[1], 1), 1)
    work = (written * depth + within) * often
    return work if work < _UNCOUNTED else inf


def repeat(step: Step) -> int | None:
    """How often one run of the model runs a step; ``None`` where the data decide, or beyond what is counted."""
    once: int | None = 1
    return reduce(times, _rounds(step), once)


def in_round(step: Step) -> int:
    """How often one round of each loop around it runs a step, of those whose rounds the data decide or that are too many to count."""
    return reduce(times_known, _rounds(step), 1)


def _rounds(step: Step) -> list[int | None]:
    """Of each loop around a step how many rounds it runs, the innermost first; of a loop its own too, as every round hands on what it holds."""
    loops = [body.trips for body, _ in reversed(step.within) if body.node.op_type != "If"]
    if step.role == "exit" and step.body is not None and step.body.node.op_type != "If" and step.body.trips != 0:
        loops.insert(0, step.body.trips)
    return loops


def _scan_trips(inference: Inference, body: Body) -> int | None:
    scanned = _scanned(body)
    for slot, name in enumerate(list(body.node.input)[len(body.inputs[0]) - scanned : len(body.inputs[0])]):
        known = inference.types.get(name)
        if known is not None and known.shape:
            length = known.shape[_axis(body, "scan_input_axes", slot, len(known.shape))]
            return length if length >= 0 else None
    return None


def _loop_trips(inference: Inference, body: Body) -> int | None:
    """The count that is given, cut short by the condition where that is a counter's."""
    given = list(body.node.input)[: len(body.inputs[0])]
    most = _number(inference, given[0]) if given and given[0] else None
    began = _number(inference, given[1]) if len(given) > 1 and given[1] else 1.0
    if began is not None and not began:
        return 0
    most = None if most is None else int(max(most, 0))
    known = None if began is None or not body.outputs[0] else _by_condition(inference, body)
    if known is None or (most is None and known == _FOR_EVER):
        return None
    rounds = int(most if known == _FOR_EVER else known if most is None else min(most, known))  # type: ignore[arg-type]
    return rounds if rounds <= MAX_TRIPS else None


_FOR_EVER = -1


def _by_condition(inference: Inference, body: Body) -> int | None:
    """Rounds until the condition, which each computes for the next, does not hold; ``_FOR_EVER`` where it always does."""
    inputs, outputs = body.inputs[0], body.outputs[0]
    written = {name: step.node for step in body.steps[0] if step.role != "entry" for name in step.node.output if name}

    def producer(name: str) -> _Named | None:
        if inputs and name == f"{inputs[0]}+1":
            return _Named("add", (inputs[0], "+1"))
        node = written.get(name)
        if node is None:
            return None
        return _Named(_KINDS.get(node.op_type, "") if node.domain in ("", "ai.onnx") else "", tuple(node.input))

    begins = dict(zip(inputs[2:], list(body.node.input)[2 : len(inputs)], strict=False))
    following = dict(zip(inputs[2:], outputs[1:], strict=False))
    condition = outputs[0]
    for _ in range(MAX_DEPTH):
        made = producer(condition)
        if made is None or made.kind not in ("identity", "cast") or not made.inputs:
            break
        condition = made.inputs[0]
    if len(inputs) > 1 and condition == inputs[1]:
        return _FOR_EVER
    value = _number(inference, condition)
    if value is not None:
        return _FOR_EVER if value else 1
    if inputs:  # the number of the round counts itself
        following[inputs[0]] = f"{inputs[0]}+1"
    loop = Loop(
        producer=producer,
        value=lambda name: 1.0 if name == "+1" else _number(inference, name),
        start=lambda name: 0.0 if inputs and name == inputs[0] else _number(inference, begins.get(name, "")),
        following=following,
    )
    held = loop.trips(condition)
    return None if held is None else held + 1


def _number(inference: Inference, name: Any) -> float | None:
    """The one number that ``name`` holds; ``None`` of one that is not finite, as a count of rounds has to be."""
    value = inference.values.get(name)
    if value is None or value.size != 1 or value.dtype.kind not in "biuf":
        return None
    return float(value.item()) if isfinite(value.item()) else None
