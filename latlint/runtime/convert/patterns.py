"""Groups of ONNX nodes that TensorFlow's converter writes as one op: found before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from math import isclose, sqrt

from latlint.graph.types import Node
from latlint.records import NamedTuple
from latlint.runtime.convert.writer import Writer

#: optimize_patterns.td, MatchHardSwishPattern: 1/6 as a float32, exactly.
_SIXTH = 0.1666666716337204


class Match(NamedTuple):
    """``last`` is written as one op of ``kind`` on ``data``; ``nodes`` are all that it stands for, ``last`` first.
    ``by_hand``: the converter itself does not know the group in this order."""

    kind: str
    data: int
    nodes: tuple[int, ...]
    by_hand: bool = False


def matches(w: Writer) -> Iterator[Match]:
    """The groups in the source, by their last node."""
    for node in w.source.nodes:
        if node.kind in ("mul", "div") and len(node.inputs) == 2:
            found = (_gelu(w, node) if node.kind == "mul" else None) or _hard_swish(w, node)
            if found is not None:
                yield found


def _by(w: Writer, i: int, kind: str) -> Node | None:
    """The node of ``kind`` that writes value ``i`` for one reader alone."""
    node = w.producers.get(i)
    return node if node is not None and node.kind == kind and i not in w.folded and w.sole(i) else None


def _with_number(w: Writer, node: Node | None, number: float, *, exact: bool = False) -> int | None:
    """The operand of a commutative ``node`` (or the dividend) beside the constant ``number``."""
    if node is None or len(node.inputs) != 2:
        return None
    for data, constant in (node.inputs, node.inputs[::-1]):
        value = w.scalar(constant)
        if (
            value is not None
            and data not in w.folded
            and (value == number if exact else isclose(value, number, rel_tol=1e-3))
        ):
            return data
        if node.kind == "div":
            break
    return None


def _pairs(node: Node) -> tuple[tuple[int, int], tuple[int, int]]:
    return (node.inputs[0], node.inputs[1]), (node.inputs[1], node.inputs[0])


def _gelu(w: Writer, last: Node) -> Match | None:
    """0.5 * x * (1 + erf(x / sqrt 2)), in the orders in which exporters multiply."""
    halved = _with_number(w, last, 0.5)
    product = _by(w, halved, "mul") if halved is not None else None
    if product is not None:
        found = _erf_half(w, product, product.inputs[0], product.inputs[1]) or _erf_half(
            w, product, *product.inputs[::-1]
        )
        nodes = () if found is None else (last.index, product.index, *found[1])
        return None if found is None else Match("gelu", found[0], nodes, by_hand=True)
    for a, b in _pairs(last):
        half = _by(w, a, "mul")
        x = _with_number(w, half, 0.5)
        found = _erf_half(w, last, x, b) if x is not None else None
        if half is not None and found is not None:
            return Match("gelu", found[0], (last.index, half.index, *found[1]))
    return None


def _erf_half(w: Writer, product: Node, x: int, y: int) -> tuple[int, tuple[int, ...]] | None:
    """``x`` and the nodes of ``y``, when ``y`` is 1 + erf(x / sqrt 2)."""
    plus = _by(w, y, "add")
    inner = _with_number(w, plus, 1.0)
    erf = _by(w, inner, "erf") if inner is not None else None
    if plus is None or erf is None:
        return None
    for kind, number in (("div", sqrt(2.0)), ("mul", sqrt(0.5))):
        scaled = _by(w, erf.inputs[0], kind)
        if scaled is not None and _with_number(w, scaled, number) == x:
            return x, (plus.index, erf.index, scaled.index)
    return None


def _hard_swish(w: Writer, last: Node) -> Match | None:
    """x * relu6(x + 3) * (1/6), or x * (relu6(x + 3) * (1/6)); a division by 6 is such a product by then."""
    scaled = _sixth_of(w, last)
    product = _by(w, scaled, "mul") if scaled is not None else None
    if product is not None:
        for x, y in _pairs(product):
            nodes = _relu6_plus_3(w, y, x)
            if nodes:
                return Match("hard_swish", x, (last.index, product.index, *nodes))
    for x, y in _pairs(last) if last.kind == "mul" else ():
        inner = _by(w, y, "mul") or _by(w, y, "div")
        clipped = _sixth_of(w, inner)
        nodes = _relu6_plus_3(w, clipped, x) if clipped is not None else ()
        if inner is not None and nodes:
            return Match("hard_swish", x, (last.index, inner.index, *nodes))
    return None


def _sixth_of(w: Writer, node: Node | None) -> int | None:
    """The value that ``node`` multiplies by 1/6 or divides by 6."""
    divides = node is not None and node.kind == "div"
    return _with_number(w, node, 6.0 if divides else _SIXTH, exact=True)


def _relu6_plus_3(w: Writer, y: int, x: int) -> tuple[int, ...]:
    clipped = _by(w, y, "relu6")
    plus = _by(w, clipped.inputs[0], "add") if clipped is not None else None
    if clipped is None or plus is None or _with_number(w, plus, 3.0, exact=True) != x:
        return ()
    return clipped.index, plus.index
