"""What the rules about placement share: which ops the delegate refuses, and the graph in which it would not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING

from latlint.checks.types import Finding, Rule
from latlint.checks.view import View
from latlint.graph.ops import CONVOLUTIONS, MATRIX, UNARY
from latlint.graph.types import Graph, Node
from latlint.runtime.reasons import Refusal, sentence
from latlint.whatif.edits import EditedGraph
from latlint.words import counted

if TYPE_CHECKING:
    from latlint.whatif.pricing import Edit

#: Refusals of nodes that the delegate would take but for the others.
_LEFT_BEHIND = ("SMALLER_PARTITION", "SMALL_PARTITION", "READERS_REFUSED")
#: Refusals of the whole model at once.
_OF_ALL = ("INIT_FAILED", "DYNAMIC_GRAPH")


def whole_refusal(view: View) -> Refusal | None:
    """Why the delegate takes nothing at all; ``None`` where it starts."""
    return next((why for why in view.plan.fallbacks.values() if why.code in _OF_ALL), None)


def refused(view: View) -> dict[int, Refusal]:
    """Node -> why the delegate does not take it; without what it would take but for the others."""
    if whole_refusal(view):
        return {}
    return {node: why for node, why in view.plan.fallbacks.items() if why.code not in _LEFT_BEHIND}


def brief(why: Refusal, by: str = "the delegate") -> str:
    """``why`` where the delegate was named before: it is called ``by`` here."""
    return str(why.values["why"]) if why.code == "FORM" else sentence(why._replace(values={**why.values, "by": by}))


def as_if_taken(graph: Graph, nodes: Iterable[int]) -> Graph | None:
    """``graph`` with ops that the delegate takes in the place of ``nodes``: as many values in and out, in floating point and in at
    most four dimensions. ``None`` where that says nothing, as for ops that do the model's work."""
    draft = EditedGraph(graph)
    for index in nodes:
        node = graph.nodes[index]
        tensors = [t for t in (*node.inputs, *node.outputs) if t >= 0 and not graph.tensors[t].constant]
        if (
            not node.outputs
            or node.kind in CONVOLUTIONS | MATRIX
            or any(graph.tensors[t].elements is None for t in tensors)
        ):
            return None
        for tensor in tensors:
            shape = graph.tensors[tensor].shape or ()
            flat = shape if len(shape) <= 4 else (prod(shape[:-3]), *shape[-3:])
            draft.tensor(tensor, shape=flat, dtype="float32")
        inputs = tuple(t for t in node.inputs if t >= 0 and not graph.tensors[t].constant)
        draft.change(
            node, kind=_stand_in(graph, node, inputs), inputs=inputs, version=1, attributes=MappingProxyType({})
        )
    return draft.graph()


def _stand_in(graph: Graph, node: Node, inputs: Sequence[int]) -> str:
    if len(node.outputs) > 1:
        return "split"
    if len(inputs) != 1:
        return "concat"
    before, after = graph.tensors[inputs[0]], graph.tensors[node.outputs[0]]
    if before.shape == after.shape:
        return "relu6" if node.kind in UNARY else "identity" if node.kind == "identity" else "hard_swish"
    return "reshape" if before.elements == after.elements else "resize_nearest"


def findings(
    view: View, rule: Rule, nodes: Sequence[Node], message: str, fix: str, edit: Edit | None = None, label: str = ""
) -> Iterator[Finding]:
    """What ``rule`` has to say on refused ``nodes``: with a gain where mending them alone brings it, else as a note.

    ``label`` tells the findings of one rule on one model apart.
    """
    indices = [node.index for node in nodes]
    gain = view.gain(f"{rule.code} {label}", edit or (lambda graph: as_if_taken(graph, indices)))
    others = len(set(refused(view)) - set(indices))
    if others and (gain is None or gain.ms < view.least_gain_ms):
        message = f"{message} (so {'is' if others == 1 else 'are'} {counted(others, 'other op')}, which must go as well for this to pay)"
        gain = None
        severity = "note"
    else:
        severity = rule.severity
    identity = (label,) if label else ()
    yield from view.judge(rule, message, nodes, fix=fix, gain=gain, severity=severity, identity=identity)
