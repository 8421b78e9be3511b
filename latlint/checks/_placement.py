"""What the rules about placement share: which ops the delegate refuses, and the graph in which it would not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING

from latlint.checks.types import Finding, Rule
from latlint.checks.view import View
from latlint.graph.ops import CONVOLUTIONS, MATRIX, RECURRENT, UNARY
from latlint.graph.types import Graph, Node
from latlint.runtime.reasons import Refusal, sentence
from latlint.whatif.edits import EditedGraph
from latlint.words import counted

if TYPE_CHECKING:
    from latlint.whatif.gain import Gain
    from latlint.whatif.pricing import Edit

#: Refusals of nodes that the delegate would take but for the others.
_LEFT_BEHIND = ("SMALLER_PARTITION", "SMALL_PARTITION", "READERS_REFUSED", "WHOLE_GRAPH")
#: What the owner of a model can do about an op that is left to the CPU, by kind.
_ADVICE = {
    **dict.fromkeys(("arg_max", "arg_min"), "give out the scores and take the best in the app"),
    "top_k": "give out the scores and sort them in the app",
    **dict.fromkeys(
        ("non_max_suppression", "detection_postprocess"),
        "keep it last, or give out boxes and scores and suppress in the app",
    ),
    **dict.fromkeys(("gather", "gather_nd"), "look rows up in the app, or take fixed ones with slices"),
    "embedding_lookup": "look embeddings up in the app and feed the vectors",
    "one_hot": "feed the vectors",
    **dict.fromkeys(
        ("shape", "size", "rank", "pack", "range", "fill"),
        "export with fixed sizes, so that shape arithmetic folds away",
    ),
    **dict.fromkeys(("select", "where"), "multiply by a mask of zeros and ones"),
    **dict.fromkeys(("logical_and", "logical_or", "logical_not"), "compute masks in floats"),
    "cast": "keep values in floats",
    **dict.fromkeys(("expand_dims", "squeeze"), "write RESHAPE"),
    "unpack": "write SPLIT and RESHAPE",
    "pad_v2": "pad with zeros, or let the pool pad as SAME",
    "mirror_pad": "pad by reflection or with zeros",
    **dict.fromkeys(("tile", "broadcast_to"), "let the next op broadcast"),
    **dict.fromkeys(("conv3d", "transpose_conv3d"), "run a network of three dimensions on the CPU"),
    **dict.fromkeys(("while", "if"), "unroll it when you export"),
    **dict.fromkeys(("variable", "read_variable", "assign_variable"), "take the state in and give it out as tensors"),
    **dict.fromkeys(("lstm", "gru", "rnn"), "run recurrent parts on the CPU"),
}
#: Kinds that no delegate has a better form for: where they are the last or the first of a model, they may as well stay on the CPU.
_ENDS = frozenset(
    "arg_max arg_min top_k non_max_suppression detection_postprocess gather gather_nd embedding_lookup one_hot".split()
)
#: What goes along with them.
_BESIDE = frozenset("cast reshape squeeze expand_dims slice strided_slice quantize dequantize identity".split())

_FLOATS = ("float32", "float16")
#: Refusals of the whole model at once.
_OF_ALL = ("INIT_FAILED", "DYNAMIC_GRAPH")


def whole_refusal(view: View) -> Refusal | None:
    """Why the delegate takes nothing at all; ``None`` where it starts."""
    return next((why for why in view.plan.fallbacks.values() if why.code in _OF_ALL), None)


def newer_takes(view: View, what: str) -> str:
    """The advice to ship a newer GPU delegate, where that takes ``what``: seen on a Galaxy S26 and a Pixel 8a (edge-compat); else nothing."""
    return (
        f"; or ship LiteRT 2.2, whose GPU accelerator takes {what}" if view.plan.runtime.startswith("tflite-") else ""
    )


def takes_whole(view: View) -> bool:
    """Whether the delegate takes a graph whole or not at all, and this one not."""
    return any(why.code == "WHOLE_GRAPH" for why in view.plan.fallbacks.values())


def takes_no_floats(view: View) -> bool:
    """Whether the processor computes in whole numbers alone and the model in floats: no other op in the place of one mends that."""
    return view.subject.target.processor.precision not in _FLOATS and view.plan.precision in _FLOATS


def refused(view: View) -> dict[int, Refusal]:
    """Node -> why the delegate does not take it; without what it would take but for the others."""
    return view.planned(_refused)


def mendable(view: View) -> dict[int, Refusal]:
    """``refused``, without what no other op would mend: all of a model whose type the processor does not compute in."""
    return {} if not view.plan.fallbacks or takes_no_floats(view) else refused(view)


def _refused(view: View) -> dict[int, Refusal]:
    if whole_refusal(view):
        return {}
    return {node: why for node, why in view.plan.fallbacks.items() if why.code not in _LEFT_BEHIND}


def advice(kinds: Iterable[str]) -> str:
    """What can be done about ops of these kinds, as far as there is something to say of them: ``cast: keep values in floats``."""
    named: dict[str, list[str]] = {}
    for kind in dict.fromkeys(kinds):
        if kind in _ADVICE:
            named.setdefault(_ADVICE[kind], []).append(kind)
    return "; ".join(f"{' and '.join(kinds)}: {what}" for what, kinds in named.items())


def at_the_ends(view: View) -> set[int]:
    """Refused nodes that have to run on the CPU and may: selection behind all that the delegate takes, look-ups before it. None where they keep
    a delegate that takes a graph whole from taking it."""
    return view.planned(_at_the_ends)


def _at_the_ends(view: View) -> set[int]:
    if takes_whole(view):
        return set()
    left = refused(view)
    nodes = view.graph.nodes
    movable = {index for index in left if nodes[index].kind in _ENDS | _BESIDE}
    last: set[int] = set()
    for index in sorted(movable, reverse=True):
        readers = {reader for tensor in nodes[index].outputs for reader, _ in view.scene.uses.get(tensor, ())}
        if readers <= last:
            last.add(index)
    first: set[int] = set()
    for index in sorted(movable):
        sources = {view.scene.producers[tensor] for tensor in nodes[index].inputs if tensor in view.scene.producers}
        if sources <= first:
            first.add(index)
    return {index for part in (last, first) if any(nodes[each].kind in _ENDS for each in part) for index in part}


def brief(why: Refusal, by: str = "the delegate") -> str:
    """``why`` where the delegate was named before: it is called ``by`` here."""
    return str(why.values["why"]) if why.code == "FORM" else sentence(why._replace(values={**why.values, "by": by}))


def gain_if_taken(view: View, nodes: Sequence[int]) -> Gain | None:
    """What it would save if the delegate took ``nodes``, in ascending order, whichever rule asks."""
    return view.gain(f"{','.join(map(str, nodes))} taken", lambda graph: as_if_taken(graph, nodes))


def as_if_taken(graph: Graph, nodes: Iterable[int]) -> Graph | None:
    """``graph`` with ops that the delegate takes in the place of ``nodes``: as many values in and out, in floating point and in at
    most four dimensions. ``None`` where that says nothing, as for ops that do the model's work."""
    draft = EditedGraph(graph)
    for index in nodes:
        node = graph.nodes[index]
        tensors = [t for t in (*node.inputs, *node.outputs) if t >= 0 and not graph.tensors[t].constant]
        if (
            not node.outputs
            or node.kind in CONVOLUTIONS | MATRIX | RECURRENT
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
    gain = view.gain(f"{rule.code} {label}", edit) if edit else gain_if_taken(view, indices)
    others = len(set(refused(view)) - set(indices))
    if others and (gain is None or gain.ms < view.least_gain_ms):
        message = f"{message} (so {'is' if others == 1 else 'are'} {counted(others, 'other op')}, which must go as well for this to pay)"
        gain = None
        severity = "note"
    else:
        severity = rule.severity
    identity = (label,) if label else ()
    yield from view.judge(rule, message, nodes, fix=fix, gain=gain, severity=severity, identity=identity)
