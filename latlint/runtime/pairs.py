"""A float ONNX graph as if it had been quantised: QuantizeLinear and DequantizeLinear around what it computes, as quantisers write it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from latlint.graph.ops import BINARY, CONVOLUTIONS, MATRIX, MOVEMENT, POOLS
from latlint.graph.types import Graph, Node, Tensor
from latlint.records import NamedTuple
from latlint.runtime.context import Context
from latlint.runtime.groups import find

#: What is computed together with the op in front of it, and has no pair in between.
_PART_OF = frozenset({"relu", "relu6", "relu_0_to_1", "relu_n1_to_1", "clip", "batch_norm"})
#: What never gives a negative value: its zero is the least number.
_POSITIVE = frozenset({"relu", "relu6", "relu_0_to_1", "sigmoid", "softmax", "hard_sigmoid"})
#: What gives values on in the way that it got them.
_MOVES = MOVEMENT | POOLS - {"average_pool2d"}
#: Operators that take the type of 16-bit numbers from this opset on.
_WIDE = 21


class Pairs(NamedTuple):
    """The types of numbers: of activations, of weights."""

    activations: str
    weights: str


def with_pairs(graph: Graph, types: Pairs) -> Graph:
    """``graph`` with a pair around every float value that a node writes or the model takes, and every constant that a product or an
    arithmetic op reads stored as ``types.weights``, with a scale for each channel.

    No pair stands between an op and the clamp behind it, nor inside a norm or a GELU that is spelt out. All pairs have one scale, so that what only moves values can run on the numbers.
    ``origins`` of the result leads back to the nodes of ``graph``. Bodies of control flow stay as they are.
    """
    return _Writer(graph, types).written()


class _Writer:
    def __init__(self, graph: Graph, types: Pairs) -> None:
        self.graph = graph
        self.types = types
        self.uses = graph.consumers()
        self.tensors = list(graph.tensors)
        self.nodes: list[Node] = []
        self.origins: list[tuple[int, ...]] = []
        self.paired: dict[int, int] = {}
        self.zero_is_least: set[int] = set()
        self.stored: dict[int, int] = {}
        groups = find(Context(graph), range(len(graph.nodes))).values()
        self.inside = {index for group in groups if group.kind != "silu" for index in group.nodes}
        self.inside -= {group.nodes[-1] for group in groups}
        opset = max((node.version for node in graph.nodes if "::" not in node.native), default=1)
        self.version = max(opset, _WIDE) if "16" in types.activations else opset
        self.scale = self._constant("float32", (0.02,), ())
        self.zeros: dict[tuple[str, int], int] = {}

    def written(self) -> Graph:
        for tensor in self.graph.inputs:
            if self._real(tensor):
                self._pair(tensor, tensor in self.graph.outputs)
        for node in self.graph.nodes:
            self._copy(node)
            if node.inner:
                continue
            if node.kind in _POSITIVE or (node.kind in _MOVES and node.inputs and node.inputs[0] in self.zero_is_least):
                self.zero_is_least.update(node.outputs)
            for tensor in node.outputs:
                if tensor >= 0 and self._real(tensor) and node.index not in self.inside and not self._goes_on(tensor):
                    self._pair(tensor, tensor in self.graph.outputs)
        return replace(self.graph, nodes=tuple(self.nodes), tensors=tuple(self.tensors), origins=tuple(self.origins))

    def _real(self, tensor: int) -> bool:
        return self.graph.tensors[tensor].dtype == "float32" and not self.graph.tensors[tensor].constant

    def _goes_on(self, tensor: int) -> bool:
        """Whether what reads the value is computed with what writes it."""
        uses = self.uses.get(tensor, [])
        return len(uses) == 1 and tensor not in self.graph.outputs and self.graph.nodes[uses[0][0]].kind in _PART_OF

    def _constant(self, dtype: str, value: tuple[Any, ...] | None, shape: tuple[int, ...]) -> int:
        return self._tensor(Tensor(f"pairs/{len(self.tensors)}", shape, dtype, constant=True, value=value))

    def _tensor(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def _zero(self, dtype: str, least: bool) -> int:
        value = 0 if least or dtype.startswith("int") else 1 << (8 * (2 if "16" in dtype else 1) - 1)
        if (dtype, value) not in self.zeros:
            self.zeros[dtype, value] = self._constant(dtype, (value,), ())
        return self.zeros[dtype, value]

    def _node(self, kind: str, native: str, inputs: tuple[int, ...], output: int, **attributes: Any) -> None:
        given: Mapping[str, Any] = MappingProxyType(attributes)
        index = len(self.nodes)
        self.nodes.append(
            Node(index, f"pairs/{index}", kind, native, inputs[:1], (output,), {}, self.version, None, inputs, given)
        )
        self.origins.append(())

    def _pair(self, tensor: int, given_out: bool) -> None:
        """Quantises and dequantises a value. Its readers read the result; where the model gives it out, that has the value's place."""
        zero = self._zero(self.types.activations, tensor in self.zero_is_least)
        made = self.tensors[tensor]
        number = self._tensor(replace(made, name=f"{made.name}/number", dtype=self.types.activations))
        real = self._tensor(replace(made, name=f"{made.name}/real"))
        source, result = tensor, real
        if given_out and self.nodes and tensor in self.nodes[-1].outputs:
            source, result = real, tensor
            last = self.nodes[-1]
            self.nodes[-1] = replace(last, outputs=tuple(real if each == tensor else each for each in last.outputs))
        self._node("quantize", "QuantizeLinear", (source, self.scale, zero), number)
        self._node("dequantize", "DequantizeLinear", (number, self.scale, zero), result)
        self.paired[tensor] = result

    def _copy(self, node: Node) -> None:
        """The node, reading what is dequantised."""
        places = {slot: tensor for slot, tensor in enumerate(node.inputs) if tensor >= 0}
        if not node.inner and node.index not in self.inside and node.kind in CONVOLUTIONS | MATRIX | BINARY:
            for slot, tensor in places.items():
                known = self.tensors[tensor]
                if known.constant and known.dtype == "float32":
                    self._store(node, slot, tensor)
        moved = self.stored | self.paired if not node.inner else {}
        self.nodes.append(
            replace(
                node,
                index=len(self.nodes),
                inputs=tuple(moved.get(each, each) for each in node.inputs),
                native_inputs=tuple(moved.get(each, each) for each in node.native_inputs),
            )
        )
        self.origins.append((node.index,))

    def _store(self, node: Node, slot: int, tensor: int) -> None:
        """Keeps a constant as numbers, which a node then dequantises: weights, biases of 32 bits, and constants of arithmetic as activations."""
        if tensor in self.stored:
            return
        product, known = node.kind not in BINARY, self.tensors[tensor]
        dtype = ("int32" if slot == 2 else self.types.weights) if product else self.types.activations
        axis = 0 if node.kind in CONVOLUTIONS or node.native_attributes.get("transB") or slot == 2 else 1
        wide = product and known.shape is not None and len(known.shape) > axis
        channels = (known.shape or ())[axis : axis + 1] if wide else ()
        scale = self._constant("float32", None, channels) if channels else self.scale
        zero = self._constant(dtype, None, channels) if channels else self._zero(dtype, False)
        number = self._tensor(replace(known, name=f"{known.name}/number", dtype=dtype, value=None))
        real = self._tensor(replace(known, name=f"{known.name}/real", constant=False, value=None))
        self._node("dequantize", "DequantizeLinear", (number, scale, zero), real, axis=axis)
        self.stored[tensor] = real
