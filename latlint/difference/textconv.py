"""A model as lines of text, for ``git diff``: a line an op of the graph, and for each target a line a kernel with its time.

A line says nothing of its position, so that one op more is one line more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from latlint.graph.inputs import dims_text
from latlint.graph.types import Graph, Node
from latlint.latency.types import Prediction
from latlint.report.plain import clean, shorten
from latlint.report.text import interval, latency, op_name
from latlint.units import format_count, format_ms
from latlint.whatif.launches import Launch, dims
from latlint.words import counted, short_name

#: Longer names are shown without their beginning, longer lists of attributes without their end.
_NAME_LIMIT, _ATTRIBUTES_LIMIT = 60, 100

#: What attributes mostly are, and are left out for.
_USUAL = {
    "activation": "none",
    "kernel": (1, 1),
    "stride": (1, 1),
    "dilation": (1, 1),
    "padding": (0, 0, 0, 0),
    "groups": 1,
    "multiplier": 1,
}


def textconv(graph: Graph, targets: Iterable[tuple[Prediction, list[Launch]]]) -> str:
    """The text; of a file whose weights alone differ only the line of the hash does."""
    return "".join(f"{line.rstrip()}\n" for line in _lines(graph, list(targets)))


def _lines(graph: Graph, targets: list[tuple[Prediction, list[Launch]]]) -> Iterator[str]:
    for prediction, _ in targets[:1]:
        yield f"{prediction.format} {prediction.precision}, {format_count(prediction.macs)} MACs"
        yield f"sha256 {prediction.sha256}"
    for prediction, _ in targets:
        yield f"{prediction.target} {latency(prediction)} [{interval(prediction)}]"
    yield ""
    yield f"graph: {counted(len(graph.nodes), 'op')}"
    for label, tensors in (("input", graph.inputs), ("output", graph.outputs)):
        for index in tensors:
            tensor = graph.tensors[index]
            yield f"  {label} {_shape(tensor.shape)} {tensor.dtype}  {_name(tensor.name)}"
    for node in graph.nodes:
        if node.kind != "constant":
            yield f"  {_op(graph, node)}  {_name(node.name)}"
    for prediction, launches in targets:
        yield ""
        yield f"{prediction.target}: {counted(len(launches), 'kernel')}, overhead {format_ms(prediction.overhead_ms)}"
        for launch in launches:
            yield f"  {_kernel(launch)}  {_name(launch.name)}"


def _op(graph: Graph, node: Node) -> str:
    shapes = [_shape(graph.tensors[index].shape) for index in (*node.inputs[:1], *node.outputs[:1]) if index >= 0]
    attributes = " ".join(
        f"{key}={dims(value)}" for key, value in sorted(node.attributes.items()) if _USUAL.get(key) != value
    )
    kind = node.native if node.kind == "unknown" else node.kind
    return " ".join(
        part for part in (clean(kind, 60), " -> ".join(shapes), clean(attributes, _ATTRIBUTES_LIMIT)) if part
    )


def _kernel(launch: Launch) -> str:
    kernel = launch.kernel
    ms = "unknown" if kernel.source == "unknown" else format_ms(kernel.latency_ms)
    return f"{ms}  {op_name(kernel)}  {launch.executor}:{clean(kernel.implementation, 60)}  {_shape(launch.output)}"


def _shape(shape: tuple[int, ...] | None) -> str:
    return "?" if shape is None else dims_text(shape)


def _name(name: str) -> str:
    return shorten(clean(short_name(name)), _NAME_LIMIT)
