"""Generated ONNX networks to measure a processor with: blocks as published networks have them, in float32 and quantised.

They cover the kinds of kernel that ``latency/models/onnxruntime.py`` prices. Weights are random numbers, the same each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

Array = NDArray[Any]

#: How many networks of each kind.
EACH = 6
_OPSET = 17


class _Network:
    """A graph as it grows; every method returns the name of what it adds. ``quantized``: with QDQ pairs, as static quantisation writes it."""

    def __init__(self, seed: int, quantized: bool) -> None:
        self.rng = np.random.default_rng(seed)
        self.quantized = quantized
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.shapes: dict[str, tuple[int, ...]] = {}

    def constant(self, array: Array) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, op: str, inputs: list[str], shape: tuple[int, ...], **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        self.shapes[name] = shape
        return name

    def pair(self, tensor: str, zero: int = 128) -> str:
        """``tensor`` quantised and dequantised, where the network is quantised; ``zero`` stands for zero: 0 behind a clamp at zero."""
        if not self.quantized:
            return tensor
        scale, point = self.constant(np.array(0.02, np.float32)), self.constant(np.array(zero, np.uint8))
        small = self.add("QuantizeLinear", [tensor, scale, point], self.shapes[tensor])
        return self.add("DequantizeLinear", [small, scale, point], self.shapes[tensor])

    def weights(self, *dims: int) -> str:
        if not self.quantized:
            return self.constant((self.rng.standard_normal(dims) / np.sqrt(np.prod(dims[1:]))).astype(np.float32))
        numbers = self.constant(self.rng.integers(-127, 127, dims).astype(np.int8))
        scale, zero = self.constant(np.array(0.005, np.float32)), self.constant(np.array(0, np.int8))
        return self.add("DequantizeLinear", [numbers, scale, zero], dims)

    def bias(self, width: int) -> str:
        if not self.quantized:
            return self.constant(self.rng.standard_normal(width).astype(np.float32))
        scale, zero = self.constant(np.array(1e-4, np.float32)), self.constant(np.array(0, np.int32))
        numbers = self.constant(self.rng.integers(-99, 99, width).astype(np.int32))
        return self.add("DequantizeLinear", [numbers, scale, zero], (width,))

    def conv(self, x: str, filters: int, taps: int = 1, stride: int = 1, groups: int = 1, act: str = "Relu") -> str:
        _, channels, height, width = self.shapes[x]
        pad = (taps - 1) // 2
        shape = (1, filters, (height - 1) // stride + 1, (width - 1) // stride + 1)
        y = self.add(
            "Conv",
            [x, self.weights(filters, channels // groups, taps, taps), self.bias(filters)],
            shape,
            kernel_shape=[taps, taps],
            strides=[stride, stride],
            pads=[pad, pad, pad, pad],
            group=groups,
        )
        return self.pair(self.activation(y, act), 0 if act in ("Relu", "Clip") else 128)

    def activation(self, x: str, act: str) -> str:
        shape = self.shapes[x]
        if act == "Swish":
            return self.add("Mul", [x, self.add("Sigmoid", [x], shape)], shape)
        if act == "Gelu":
            root, one, half = (self.constant(np.array(v, np.float32)) for v in (2**0.5, 1.0, 0.5))
            error = self.add("Erf", [self.add("Div", [x, root], shape)], shape)
            product = self.add("Mul", [x, self.add("Add", [error, one], shape)], shape)
            return self.add("Mul", [product, half], shape)
        if act == "Clip":
            low, high = self.constant(np.array(0, np.float32)), self.constant(np.array(6, np.float32))
            return self.add("Clip", [x, low, high], shape)
        return self.add(act, [x], shape) if act else x

    def pool(self, x: str, op: str = "MaxPool", taps: int = 3, stride: int = 2) -> str:
        _, channels, height, width = self.shapes[x]
        pad = (taps - 1) // 2
        shape = (1, channels, (height - 1) // stride + 1, (width - 1) // stride + 1)
        y = self.add(op, [x], shape, kernel_shape=[taps, taps], strides=[stride, stride], pads=[pad] * 4)
        return self.pair(y)

    def plus(self, x: str, y: str) -> str:
        return self.pair(self.add("Add", [x, y], self.shapes[x]))

    def linear(self, x: str, width: int, act: str = "") -> str:
        shape = (*self.shapes[x][:-1], width)
        product = self.add("MatMul", [x, self.weights(self.shapes[x][-1], width)], shape)
        bias = self.constant(self.rng.standard_normal(width).astype(np.float32))
        return self.pair(self.activation(self.add("Add", [product, bias], shape), act))

    def norm(self, x: str) -> str:
        width = self.shapes[x][-1]
        ones = [self.constant(self.rng.standard_normal(width).astype(np.float32)) for _ in range(2)]
        return self.pair(self.add("LayerNormalization", [x, *ones], self.shapes[x]))

    def reshape(self, x: str, *shape: int) -> str:
        return self.add("Reshape", [x, self.constant(np.array(shape, np.int64))], shape)

    def transpose(self, x: str, *perm: int) -> str:
        return self.add("Transpose", [x], tuple(self.shapes[x][axis] for axis in perm), perm=list(perm))

    def head(self, x: str) -> str:
        channels = self.shapes[x][1]
        y = self.pair(self.add("GlobalAveragePool", [x], (1, channels, 1, 1)))
        flat = self.add("Flatten", [y], (1, channels))
        return self.add("Gemm", [flat, self.weights(1000, channels), self.bias(1000)], (1, 1000), transB=1)

    def finish(self, result: str, shape: tuple[int, ...]) -> bytes:
        self.nodes.append(helper.make_node("Identity", [result], ["y"]))
        graph = helper.make_graph(
            self.nodes,
            "generated",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, self.shapes[result])],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=9)
        return bytes(model.SerializeToString())


def generated(each: int = EACH) -> Iterator[tuple[str, bytes]]:
    """``(name, model)``: the name begins with the kind, up to the first ``-``, and tells whether the network is quantised."""
    for kind, build in _KINDS.items():
        for number in range(each):
            for precision in ("float32", "int8"):
                net = _Network(1000 * number + sum(kind.encode()), precision == "int8")
                yield f"{kind}-{precision}-{number}", build(net)


def _image(net: _Network, size: int) -> tuple[str, tuple[int, ...]]:
    net.shapes["x"] = (1, 3, size, size)
    return net.pair("x"), net.shapes["x"]


def _of(net: _Network, *choices: Any) -> Any:
    return choices[int(net.rng.integers(len(choices)))]


def _inverted(net: _Network) -> bytes:
    """Inverted residuals: pointwise, depthwise, pointwise, some with a gate."""
    x, shape = _image(net, _of(net, 160, 192, 224))
    act, width = _of(net, "Clip", "Relu", "Swish"), _of(net, 8, 16, 24)
    x = net.conv(x, width, 3, 2, act=act)
    for stage in range(4):
        width = int(width * _of(net, 1.5, 2)) // 8 * 8
        for block in range(_of(net, 1, 2, 3)):
            inner, stride = net.shapes[x][1] * _of(net, 3, 4, 6), 2 if block == 0 else 1
            y = net.conv(x, inner, 1, act=act)
            y = net.conv(y, inner, _of(net, 3, 3, 5), stride, inner, act)
            if stage % 2:
                gate = net.pair(net.add("GlobalAveragePool", [y], (1, inner, 1, 1)))
                gate = net.conv(net.conv(gate, max(inner // 4 // 8 * 8, 8), 1), inner, 1, act="Sigmoid")
                y = net.pair(net.add("Mul", [y, gate], net.shapes[y]))
            y = net.conv(y, width, 1, act="")
            x = net.plus(x, y) if net.shapes[x] == net.shapes[y] else y
    return net.finish(net.head(net.conv(x, width * 4, 1, act=act)), shape)


def _residual(net: _Network) -> bytes:
    """Residual blocks, plain or with a bottleneck, some grouped."""
    x, shape = _image(net, _of(net, 128, 160, 224))
    width = _of(net, 32, 48, 64)
    x = net.pool(net.conv(x, width, 7, 2))
    for stage in range(_of(net, 3, 4)):
        for block in range(_of(net, 1, 2)):
            stride, out = (2 if stage and not block else 1), width * 2**stage
            if _of(net, True, False):
                y = net.conv(net.conv(x, out, 3, stride), out, 3, act="")
            else:
                groups = _of(net, 1, 1, out // 16)
                y = net.conv(net.conv(net.conv(x, out, 1), out, 3, stride, groups), out * 2, 1, act="")
            if net.shapes[x] != net.shapes[y]:
                x = net.conv(x, net.shapes[y][1], 1, stride, act="")
            x = net.pair(net.add("Relu", [net.plus(x, y)], net.shapes[y]))
    return net.finish(net.head(x), shape)


def _dense(net: _Network) -> bytes:
    """Concatenated branches, unfolded batch norms, poolings, a decoder that is resized up."""
    x, shape = _image(net, _of(net, 96, 128, 160))
    x = net.conv(x, _of(net, 32, 64), 3, 2)
    for _ in range(3):
        growth = _of(net, 16, 32, 40)
        for _ in range(_of(net, 2, 3)):
            y = net.conv(net.conv(x, growth * 2, 1, act="Relu"), growth, 3, act=_of(net, "LeakyRelu", "Relu"))
            both = (1, net.shapes[x][1] + growth, *net.shapes[x][2:])
            x = net.pair(net.add("Concat", [x, y], both, axis=1))
        x = net.pool(net.conv(x, net.shapes[x][1] // 32 * 16, 1), _of(net, "AveragePool", "MaxPool"), _of(net, 2, 3))
    _, channels, height, width = net.shapes[x]
    scales = net.constant(np.array([1, 1, 2, 2], np.float32))
    mode = _of(net, "nearest", "linear")
    where = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    up = net.add("Resize", [x, "", scales], (1, channels, height * 2, width * 2), mode=mode, **where)
    return net.finish(net.head(net.conv(net.pair(up), 64, 3)), shape)


def _transformer(net: _Network) -> bytes:
    """Attention and a perceptron of two layers, as encoders of images and text have them."""
    tokens, width, heads = _of(net, 49, 128, 197, 384), _of(net, 96, 192, 256, 384), _of(net, 2, 4, 8)
    shape = (1, tokens, width)
    net.shapes["x"] = shape
    x, part = "x", width // heads
    for _ in range(_of(net, 1, 2, 3)):
        y = net.norm(x)
        q, k, v = (net.reshape(net.linear(y, width), 1, tokens, heads, part) for _ in range(3))
        q, k, v = net.transpose(q, 0, 2, 1, 3), net.transpose(k, 0, 2, 3, 1), net.transpose(v, 0, 2, 1, 3)
        scores = net.add("MatMul", [net.pair(q), net.pair(k)], (1, heads, tokens, tokens))
        scale = net.constant(np.array(part**-0.5, np.float32))
        scores = net.add("Mul", [scores, scale], net.shapes[scores])
        weights = net.pair(net.add("Softmax", [scores], net.shapes[scores], axis=-1))
        mixed = net.add("MatMul", [weights, net.pair(v)], (1, heads, tokens, part))
        mixed = net.reshape(net.transpose(mixed, 0, 2, 1, 3), 1, tokens, width)
        x = net.add("Add", [x, net.linear(net.pair(mixed), width)], shape)
        y = net.linear(net.norm(x), width * 4, _of(net, "Gelu", "Relu", "Tanh"))
        x = net.add("Add", [x, net.linear(y, width)], shape)
    return net.finish(net.norm(x), shape)


def _plain(net: _Network) -> bytes:
    """Wide convolutions with nothing between, and what leaves the blocked layout."""
    x, shape = _image(net, _of(net, 64, 96, 128))
    for _ in range(_of(net, 3, 4, 5)):
        x = net.conv(
            x,
            _of(net, 16, 20, 32, 64, 96, 128, 256),
            _of(net, 1, 3, 3, 5),
            _of(net, 1, 1, 2),
            act=_of(net, "Relu", "Tanh", "Elu", "HardSigmoid", ""),
        )
    height, width = net.shapes[x][2:]
    x = net.transpose(x, 0, 2, 3, 1)
    flat = net.reshape(x, 1, height * width, net.shapes[x][-1])
    flat = net.add("Div", [flat, net.constant(np.array(1.5, np.float32))], net.shapes[flat])
    mean = net.add("ReduceMean", [flat], (1, 1, net.shapes[flat][-1]), axes=[1], keepdims=1)
    flat = net.add("Sub", [flat, mean], net.shapes[flat])
    return net.finish(net.linear(flat, _of(net, 32, 64, 128)), shape)


_KINDS: dict[str, Callable[[_Network], bytes]] = {
    "inverted": _inverted,
    "residual": _residual,
    "dense": _dense,
    "transformer": _transformer,
    "plain": _plain,
}
