"""What an op works on and how much: the sizes that planners and cost models share."""

from __future__ import annotations

from math import prod

from latlint.graph.ops import CONVOLUTIONS, MATRIX
from latlint.graph.types import Graph, Node, Tensor

_RECURRENT = frozenset({"lstm", "gru", "rnn", "svdf"})
_MADE_OF_THEM = CONVOLUTIONS | MATRIX | _RECURRENT


#: What is said of a kernel in a loop whose rounds the data decide.
ONCE = "counted once, for one round of a loop: how many rounds it runs is known only at run time"


def is_counted(node: Node) -> bool:
    """Whether what a node costs is that of one run of it at the least. A loop whose rounds the data decide costs what they do."""
    return node.repeat is not None or node.kind != "while"


def slices(channels: int) -> int:
    """Slices of four, in which TensorFlow Lite's GPU delegate stores channels."""
    return -(-channels // 4)


def constant_weights(channels: int, outputs: int) -> int:
    """Weights of one tap of a convolution as that delegate counts them for constant memory: inputs or outputs are padded to whole slices, whichever
    are fewer (conv_constants.cc)."""
    return 4 * min(channels * slices(outputs), slices(channels) * outputs)


def tensor_at(graph: Graph, indices: tuple[int, ...], slot: int) -> Tensor | None:
    """The tensor in an input or output slot, or ``None`` where the slot is missing or left out."""
    return graph.tensors[indices[slot]] if slot < len(indices) and indices[slot] >= 0 else None


def dims(tensor: Tensor) -> tuple[int, ...]:
    """The tensor's shape with a dimension that is not known taken as 1."""
    shape = tensor.shape or ()
    return shape if not shape or min(shape) >= 0 else tuple(1 if dim < 0 else dim for dim in shape)


def macs(graph: Graph, node: Node) -> int:
    """Multiply-accumulates of the ops that are made of them (convolutions and matrix products), padding counted as work."""
    if node.kind not in _MADE_OF_THEM:
        return 0
    data, output = tensor_at(graph, node.inputs, 0), tensor_at(graph, node.outputs, 0)
    if data is None or output is None or not data.shape or not output.shape:
        return 0
    read, made = dims(data), prod(dims(output))
    if node.kind in MATRIX:
        weights = tensor_at(graph, node.inputs, 1)
        if node.kind == "fully_connected" and weights is not None and weights.shape:
            return made * dims(weights)[-1]
        return made * read[-2 if node.attributes.get("transpose_a") and len(read) > 1 else -1]
    kernel = int(prod(node.attributes.get("kernel", ())))
    groups = max(int(node.attributes.get("groups", 1)), 1)
    if node.kind == "depthwise_conv2d":
        return made * kernel
    if node.kind in {"transpose_conv2d", "transpose_conv3d"}:
        return prod(read) * kernel * dims(output)[-1] // groups
    if node.kind in _RECURRENT:
        # every weight once for every row of the input
        matrices = (graph.tensors[i] for i in node.inputs if i >= 0 and graph.tensors[i].constant)
        return prod(read[:-1]) * sum(tensor.elements or 0 for tensor in matrices if len(tensor.shape or ()) > 1)
    return made * kernel * read[-1] // groups
