"""Graphs from a few lines of text: the notation of the examples on the rules' pages.

    # pixel-4/gpu
    x = input 1x56x56x64 int8
    k = const 64
    a = conv2d x 64 kernel=3 stride=2 padding=same activation=relu
    b, c = split a axis=3 -> 1x28x28x32
    output b c

A word that names a value is an input, a lone number the channels of a convolution or layer, ``key=value`` an attribute, and
``-> shape dtype`` what comes out where it is not the usual, ``native=`` the name of the op in the file. Without ``output``, what nobody reads is an output.
"""

from __future__ import annotations

import re
from math import prod
from types import MappingProxyType
from typing import Any

from latlint.graph.types import Graph, Node, Quantization, Tensor

_WORK = ("conv2d", "depthwise_conv2d", "fully_connected")
_POOLS = ("max_pool2d", "average_pool2d")


def target_of(text: str) -> str:
    """The target in the first line of an example."""
    return _first_line(text)[0]


def _first_line(text: str) -> list[str]:
    return text.strip().partition("\n")[0].removeprefix("#").split()


def sketch(text: str) -> Graph:
    """The graph that ``text`` draws: a TFLite graph, NHWC; or where the first line ends with "onnx", an ONNX graph, NCHW."""
    builder = _Builder("onnx" if _first_line(text)[-1] == "onnx" else "tflite")
    for line in text.strip().splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            builder.line(line.strip())
    return builder.graph()


def _last(dims: tuple[int, ...]) -> tuple[int, ...]:
    """Of an image or of filters, from channels first to channels last."""
    return (dims[0], *dims[2:], dims[1])


def _first(dims: tuple[int, ...]) -> tuple[int, ...]:
    return (dims[0], dims[-1], *dims[1:-1])


class _Builder:
    def __init__(self, format_name: str) -> None:
        self.format = format_name
        self.tensors: list[Tensor] = []
        self.nodes: list[Node] = []
        self.names: dict[str, int] = {}
        self.inputs: list[int] = []
        self.outputs: list[int] = []

    def line(self, line: str) -> None:
        if line.startswith("output "):
            self.outputs = [self.names[name] for name in line.split()[1:]]
            return
        left, _, right = line.partition("=")
        body, _, made = right.partition("->")
        kind, *words = body.split()
        names = [name.strip() for name in left.split(",")]
        shape, dtype = _made(made)
        if kind in ("input", "const"):
            self._given(kind, names[0], words)
        else:
            self._node(kind, names, words, shape, dtype)

    def _given(self, kind: str, name: str, words: list[str]) -> None:
        shape, dtype = _made(" ".join(word for word in words if "=" not in word))
        value = next((word.partition("=")[2] for word in words if word.startswith("value=")), None)
        self.names[name] = self._tensor(
            name,
            shape or (),
            dtype or "float32",
            constant=kind == "const",
            value=None if value is None else tuple(float(each) for each in value.split(",")),
        )
        if kind == "input":
            self.inputs.append(self.names[name])

    def _tensor(self, name: str, shape: tuple[int, ...], dtype: str, **fields: Any) -> int:
        quantization = Quantization((0.1,), (0,)) if dtype in ("int8", "uint8") else None
        self.tensors.append(Tensor(name, shape, dtype, quantization=quantization, **fields))
        return len(self.tensors) - 1

    def _node(
        self, kind: str, names: list[str], words: list[str], shape: tuple[int, ...] | None, dtype: str | None
    ) -> None:
        inputs = [self.names[word] for word in words if word in self.names]
        number = next((int(word) for word in words if word.isdigit()), 0)
        attributes: dict[str, Any] = {
            key: _value(key, value) for key, equal, value in (word.partition("=") for word in words) if equal
        }
        version = attributes.pop("version", 1)
        native = attributes.pop("native", kind.upper())
        data = self.tensors[inputs[0]]
        if kind in (*_WORK, *_POOLS):
            usual = self._windowed(kind, names[0], inputs, number, attributes)
        else:
            usual = self._usual(kind, inputs, attributes)
        made = [self._tensor(name, shape or usual, dtype or data.dtype) for name in names]
        self.names.update(zip(names, made, strict=True))
        self.nodes.append(
            Node(
                len(self.nodes),
                names[0],
                kind,
                native,
                tuple(inputs),
                tuple(made),
                MappingProxyType(attributes),
                version,
                native_inputs=tuple(inputs) if self.format == "onnx" else (),
                native_attributes=MappingProxyType(
                    {"group": attributes["groups"]} if self._grouped(attributes) else {}
                ),
            )
        )

    def _grouped(self, attributes: dict[str, Any]) -> bool:
        return self.format == "onnx" and "groups" in attributes

    def _windowed(
        self, kind: str, name: str, inputs: list[int], number: int, attributes: dict[str, Any]
    ) -> tuple[int, ...]:
        data = self.tensors[inputs[0]].shape or ()
        if first := self.format == "onnx" and len(data) == 4:
            data = _last(data)
        channels = number or data[-1]
        weights = "float32" if self.tensors[inputs[0]].dtype != "int8" else "int8"
        attributes.setdefault("activation", "none")
        if kind == "fully_connected":
            attributes.setdefault("keep_num_dims", False)
            inputs += [self._tensor(f"{name}/w", (channels, data[-1]), weights, constant=True)]
            return (*data[:-1], channels) if attributes["keep_num_dims"] else (data[0], channels)
        kernel, stride = attributes.setdefault("kernel", (1, 1)), attributes.setdefault("stride", (1, 1))
        dilation = attributes.setdefault("dilation", (1, 1))
        same = attributes.pop("padding", "valid" if kind in _POOLS else "same") == "same"
        made, padding = [], []
        for size, k, s, d in zip(data[1:3], kernel, stride, dilation, strict=True):
            reach = (k - 1) * d + 1
            made.append(-(-size // s) if same else (size - reach) // s + 1)
            total = max((made[-1] - 1) * s + reach - size, 0) if same else 0
            padding += [total // 2, total - total // 2]
        attributes["padding"] = tuple(padding)
        if kind in _POOLS:
            return _first((data[0], *made, data[-1])) if first else (data[0], *made, data[-1])
        groups = attributes.setdefault("groups", data[-1] if kind == "depthwise_conv2d" else 1)
        if kind == "depthwise_conv2d":
            attributes.setdefault("multiplier", 1)
            filters = (1, *kernel, channels)
        else:
            filters = (channels, *kernel, data[-1] // groups)
        if first and len(inputs) > 1:  # stated
            return _first((data[0], *made, channels))
        inputs += [
            self._tensor(f"{name}/w", _first(filters) if first else filters, weights, constant=True),
            self._tensor(f"{name}/b", (channels,), "float32" if weights == "float32" else "int32", constant=True),
        ]
        return _first((data[0], *made, channels)) if first else (data[0], *made, channels)

    def _usual(self, kind: str, inputs: list[int], attributes: dict[str, Any]) -> tuple[int, ...]:
        shapes = [self.tensors[index].shape or () for index in inputs]
        if kind in ("pad", "pad_v2"):
            pads = attributes["pads"]
            inputs.append(self._tensor("paddings", (4, 2), "int32", constant=True))
            return tuple(before + dim + after for dim, (before, after) in zip(shapes[0], pads, strict=True))
        if kind == "mean":
            keep = attributes.setdefault("keep_dims", True)
            axes = attributes["axes"]
            return tuple(1 if i in axes else d for i, d in enumerate(shapes[0]) if keep or i not in axes)
        if kind == "concat":
            axis = attributes.setdefault("axis", 3)
            return tuple(sum(s[i] for s in shapes) if i == axis else d for i, d in enumerate(shapes[0]))
        if kind == "transpose":
            return tuple(shapes[0][i] for i in attributes["permutation"])
        if kind in ("add", "mul", "sub", "div"):
            attributes.setdefault("activation", "none")
        return max(shapes, key=prod)

    def graph(self) -> Graph:
        read = {index for node in self.nodes for index in node.inputs}
        ends = [index for node in self.nodes for index in node.outputs if index not in read]
        return Graph(
            "sketch", self.format, self.format, tuple(self.nodes), tuple(self.tensors), tuple(self.inputs), tuple(self.outputs or ends)
        )  # fmt: skip


def _made(text: str) -> tuple[tuple[int, ...] | None, str | None]:
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    for word in text.split():
        if re.fullmatch(r"[0-9?]+(x[0-9?]+)*", word):
            shape = tuple(-1 if dim == "?" else int(dim) for dim in word.split("x"))
        else:
            dtype = word
    return shape, dtype


def _value(key: str, text: str) -> Any:
    if key == "pads":
        size = int(text)
        return ((0, 0), (size, size), (size, size), (0, 0))
    if key in ("kernel", "stride", "dilation"):
        numbers = [int(part) for part in text.split("x")]
        return (numbers[0], numbers[-1])
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?[0-9]+(,-?[0-9]+)+", text) or key in ("axes", "permutation"):
        return tuple(int(part) for part in text.split(","))
    return int(text) if re.fullmatch(r"-?[0-9]+", text) else text
