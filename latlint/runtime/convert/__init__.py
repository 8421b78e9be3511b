"""An ONNX graph as the TFLite file that it would be converted to: ``as_tflite(graph) -> Graph``.

Followed is what onnx2tf does after its simplification of the ONNX graph (onnxruntime's level 1), and what TensorFlow 2.10's
converter makes of the result. The graph that comes out is an NHWC graph of TFLite builtins, as if it had been read from a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from latlint.graph.types import Graph, Node
from latlint.runtime.convert.convolutions import pads_into
from latlint.runtime.convert.elementwise import FUSED
from latlint.runtime.convert.handlers import convert_node
from latlint.runtime.convert.newest import tidied
from latlint.runtime.convert.patterns import Match, matches
from latlint.runtime.convert.writer import Order, Value, Writer, channels_last, identity

#: The result is the input, by another name: read as one value.
_SAME = frozenset({"identity", "dropout"})


def as_newest_tflite(graph: Graph) -> Graph:
    """As ``as_tflite``, but what today's converters write, not TensorFlow 2.10's: what files for NPUs are made with."""
    return graph if graph.dialect == "tflite" else tidied(as_tflite(graph, newest=True))


def as_tflite(graph: Graph, *, zero_padding: bool = False, newest: bool = False) -> Graph:
    """The TFLite graph that ``graph`` would be converted to, with a note that starts with "as if converted"; a TFLite graph as it is.

    ``origins`` of the result tell which nodes of ``graph`` each node stands for. What TFLite has no op for stays
    with its kind and name. Raises LatlintError (LAT006) beyond ``MAX_OPS`` ops. ``zero_padding`` pads a max pool with zeros where its input is never negative, as a model written
    for TensorFlow does; onnx2tf pads with the lowest number, which costs a GPU partition. ``newest``: single ops as today's converters write
    them (``as_newest_tflite`` is all that they do).
    """
    if graph.dialect == "tflite":
        return graph
    w = Writer(_in_float32(graph), zero_padding, newest)
    live = _live(w)
    _find_aliases(w, live)
    _count_uses(w, live)
    readers = _readers(w, live)
    found = {match.nodes[0]: match for match in matches(w) if match.nodes[0] in live}
    inside = {index for match in found.values() for index in match.nodes[1:]}
    inputs = [_input(w, i, readers.get(i, ())) for i in graph.inputs]
    for i in _handed_on(w, live):
        _input(w, i, readers.get(i, ()))
    for node in graph.nodes:
        if node.index in live and node.index not in inside:
            _convert(w, node, found.get(node.index), readers)
    w.converting = None
    outputs = [_output(w, i) for i in graph.outputs]
    return w.finished(inputs, outputs, (*w.source.notes, *_notes(w), *_by_hand(found.values())))


def _handed_on(w: Writer, live: set[int]) -> list[int]:
    """What the rounds of a loop hand on: tensors that its body reads, or the loop after an empty one, and nothing writes."""
    given = {*w.source.inputs, *w.producers, *w.folded}
    alive = (node for node in w.source.nodes if node.index in live)
    return list(dict.fromkeys(i for node in alive for i in node.inputs if i >= 0 and i not in given))


def _in_float32(graph: Graph) -> Graph:
    """onnx2tf writes a float16 model in float32: TFLite's kernels do not compute in float16."""
    if all(tensor.dtype != "float16" for tensor in graph.tensors):
        return graph
    tensors = (replace(tensor, dtype="float32") if tensor.dtype == "float16" else tensor for tensor in graph.tensors)
    note = "float16 becomes float32, as onnx2tf has it"
    return replace(graph, tensors=tuple(tensors), notes=(*graph.notes, note))


def _live(w: Writer) -> set[int]:
    """The nodes that run: what the outputs need, less what is folded."""
    live: set[int] = set()
    wanted = [i for i in w.source.outputs if i >= 0]
    while wanted:
        node = w.producers.get(wanted.pop())
        if node is None or node.index in live or all(i in w.folded for i in node.outputs if i >= 0):
            continue
        live.add(node.index)
        wanted += [i for i in node.inputs if i >= 0 and i not in w.folded]
    return live


def _find_aliases(w: Writer, live: set[int]) -> None:
    """Which values are one: through ops that do nothing or only rename axes, and between a value and its quantised form."""
    readers: dict[int, int] = {}
    for node in w.source.nodes:
        if node.index in live:
            for i in node.inputs:
                readers[i] = readers.get(i, 0) + 1
    for node in w.source.nodes:
        if node.index not in live or not node.inputs or not node.outputs:
            continue
        i, out = node.inputs[0], node.outputs[0]
        plain = node.kind in _SAME and not any(
            readers.get(j) or j in w.source.outputs for j in node.outputs[1:] if j >= 0
        )
        if plain or node.kind == "transpose" or _keeps_everything(w, node) or node.kind == "dequantize":
            w.same[out] = i
        elif node.kind == "quantize" and i in w.producers and readers[i] == 1 and i not in w.source.outputs:
            w.same[out] = i
            w.quantized_as[i] = out
    for node in reversed(w.source.nodes):
        # an activation that is fused into the op before it leaves that op's output quantised
        if node.kind in FUSED and node.outputs[0] in w.quantized_as and readers.get(node.inputs[0]) == 1:
            w.quantized_as[node.inputs[0]] = w.quantized_as[node.outputs[0]]


def _keeps_everything(w: Writer, node: Node) -> bool:
    """A reshape or cast to what the value is already."""
    a, b = w.source.tensors[node.inputs[0]], w.source.tensors[node.outputs[0]]
    if node.kind in ("reshape", "flatten", "broadcast_to", "strided_slice"):
        forward = min(node.attributes.get("strides", (1,)), default=1) > 0
        return a.elements is not None and a.shape == b.shape and forward
    return node.kind == "cast" and a.dtype == b.dtype


def _count_uses(w: Writer, live: set[int]) -> None:
    for node in w.source.nodes:
        if node.index in live and not any(i in w.same for i in node.outputs):
            for i in node.inputs:
                if i >= 0 and i not in w.folded:
                    w.uses[w.root(i)] += 1
    for i in w.source.outputs:
        w.uses[w.root(i)] += 1


def _readers(w: Writer, live: set[int]) -> dict[int, list[Node]]:
    """The nodes that run and read each tensor."""
    readers: dict[int, list[Node]] = {}
    for node in w.source.nodes:
        if node.index in live:
            for i in dict.fromkeys(node.inputs):
                readers.setdefault(i, []).append(node)
    return readers


def _input(w: Writer, i: int, readers: Iterable[Node]) -> int:
    """A graph input: channels last, as onnx2tf makes every image; of three axes only where a convolution reads it."""
    tensor = w.source.tensors[i]
    rank = w.rank(i)
    order = identity(rank)
    one_dimensional = {"conv1d", "max_pool2d", "average_pool2d", "batch_norm"}
    if rank >= 4 or (rank == 3 and any(node.inputs[0] == i and node.kind in one_dimensional for node in readers)):
        order = channels_last(rank)
    shape = None if tensor.shape is None else tuple(tensor.shape[axis] for axis in order)
    index = w.temporary(tensor.name, shape, tensor.dtype, tensor.quantization)
    w.values[i] = Value(index, order)
    return index


def _convert(w: Writer, node: Node, match: Match | None, readers: Mapping[int, Sequence[Node]]) -> None:
    w.converting = node
    if match is not None:
        value = w.value(match.data)
        w.add(match.kind, [value.tensor], [w.new(node.outputs[0], value.order)], origins=match.nodes)
        return
    if node.kind == "pad":
        reading = readers.get(node.outputs[0], ())
        if len(reading) == 1 and pads_into(w, node, reading[0]):
            return
    convert_node(w, node)


def _output(w: Writer, i: int) -> int:
    """A graph output: onnx2tf leaves images channels last; anything else is brought into the source's order."""
    if i in w.folded:
        return w.constant_of(i)
    value = w.values[i]
    plain: Order = identity(len(value.order))
    if value.order == plain or (value.order == channels_last(len(value.order)) and not value.pending):
        tensor = value.tensor
    else:
        tensor = w.read(i)
    return w.dequantized(tensor) if w.source.tensors[i].dtype == "float32" else tensor


def _notes(w: Writer) -> list[str]:
    by = "the converters of 2026" if w.newest else "onnx2tf and TensorFlow 2.10"
    summary = f"as if converted by {by}: layout NHWC, batch normalisation and activations fused"
    if any(draft.native.startswith("Flex") for draft in w.drafts):
        summary += "; ops named Flex… need TensorFlow's own kernels"
    if w.quantized_as:
        summary += (
            "; QuantizeLinear and DequantizeLinear taken as an int8 model (onnx2tf itself makes a float one of it)"
        )
    return [summary, *_padded_pools(w, harmless=True), *_padded_pools(w, harmless=False)]


def _by_hand(found: Iterable[Match]) -> list[str]:
    """A note where the real converter would write something else."""
    count = sum(match.by_hand for match in found)
    which = f"the GELU is halved last in {count} places: onnx2tf leaves FlexErf there, which needs TensorFlow's own kernels; planned as GELU"
    return [which] if count else []


def _padded_pools(w: Writer, *, harmless: bool) -> list[str]:
    """One note for all max pools that got a PADV2 and whose input is never negative, or else may be."""
    names = [name for name, never_negative in w.padded_pools if never_negative == harmless]
    if not names:
        return []
    which = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    exact = "; the input is never negative, so padding with zeros would be exact" if harmless else ""
    return [f"{which}: TFLite has no such padding for a max pool; onnx2tf pads with the lowest number (PADV2){exact}"]
