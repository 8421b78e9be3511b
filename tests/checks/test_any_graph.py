"""No rule fails on what a reader may hand it: any kind of op with inputs, shapes and attributes left out."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest
from linted import subject

from latlint import checks
from latlint.graph.ops import KINDS
from latlint.graph.types import Graph, Node, Quantization, Tensor

ATTRIBUTES: dict[str, dict[str, Any]] = {
    "pad": {"pads": ((0, 0), (1, 1), (1, 1), (0, 0))},
    "transpose": {"permutation": (0, 2, 1, 3)},
    "mean": {"axes": (3,), "keep_dims": True},
    "concat": {"axis": 3},
    "split": {"axis": 3},
}
CONVOLUTION = {"kernel": (3, 3), "stride": (1, 1), "dilation": (1, 1), "padding": (1, 1, 1, 1), "groups": 2}


def chain(kinds: list[str], shape: tuple[int, ...] | None, dtype: str, inputs: str) -> Graph:
    """One op of each kind after the other, all of the same shape."""
    quantization = Quantization((0.1,), (0,)) if dtype == "int8" else None
    tensors = [Tensor(f"t{i}", shape, dtype, quantization=quantization) for i in range(len(kinds) + 1)]
    tensors += [Tensor("w", (8, 3, 3, 4), dtype, constant=True), Tensor("v", (), dtype, constant=True, value=(1.0,))]
    extra = {"none": (), "left out": (-1,), "weights": (len(kinds) + 1,), "scalar": (len(kinds) + 2,)}[inputs]
    nodes = [
        Node(
            i,
            f"n{i}",
            kind,
            kind.upper(),
            (i, *extra) if inputs != "none" else (i,) if i % 3 else (),
            (i + 1,),
            MappingProxyType(ATTRIBUTES.get(kind, CONVOLUTION if "conv" in kind or "pool" in kind else {})),
        )
        for i, kind in enumerate(kinds)
    ]
    return Graph("g", "tflite", "tflite", tuple(nodes), tuple(tensors), (0,), (len(kinds),))


ORDERS = (sorted(KINDS), sorted(KINDS, reverse=True), [kind for kind in sorted(KINDS) for _ in "xx"])
DTYPES = ("float32", "int8", "int32")
SHAPES: tuple[tuple[int, ...] | None, ...] = ((1, 8, 8, 8), (-1, 8, 8, 8), (1, 2, 2, 2, 2, 2), (), None)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["pixel-4/gpu", "galaxy-s10/gpu", "pixel-4/cpu-1large"])
@pytest.mark.parametrize("inputs", ["none", "left out", "weights", "scalar"])
@pytest.mark.parametrize(("turn", "shape"), list(enumerate(SHAPES)))
def test_no_rule_fails(target: str, inputs: str, turn: int, shape: tuple[int, ...] | None) -> None:
    """Each type in another order for each shape: all nine pairs of the two are among them."""
    for number, dtype in enumerate(DTYPES):
        graph = chain(ORDERS[(number + turn) % 3], shape, dtype, inputs)
        given = subject(graph, target)
        for finding in checks.run(given):
            assert finding.gain_ms is None or finding.gain_ms < given.prediction.latency_ms + 1e-9
