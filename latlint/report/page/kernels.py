"""Kernels as data of a page: each name once, a kernel as numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from latlint.graph import ops
from latlint.graph.inputs import dims_text
from latlint.latency.types import KernelPrediction
from latlint.report.annotations import NAME_LIMIT
from latlint.report.page import written
from latlint.report.plain import clean
from latlint.words import short_name

#: Names of nodes, and shapes of inputs and outputs, that are shown of one kernel or finding.
SHOWN_NODES = 8
_SHOWN_SHAPES = 4

#: Kinds of work, each with a colour of its own; ops of none of them are the last.
_KINDS: tuple[tuple[str, frozenset[str]], ...] = (
    ("Convolution", ops.CONVOLUTIONS - {"depthwise_conv2d"}),
    ("Depthwise convolution", frozenset({"depthwise_conv2d"})),
    ("Matrix product", ops.MATRIX | {"attention", "einsum"}),
    ("Elementwise", ops.UNARY | ops.BINARY | {"select", "where"}),
    ("Pooling and reduction", ops.POOLS | ops.REDUCTIONS),
    ("Data movement", ops.MOVEMENT | {"quantize", "dequantize", "fake_quant"}),
    ("Other", frozenset()),
)
KINDS = tuple(label for label, _ in _KINDS)

Row = tuple[Any, ...]


class Tables:
    """What predictions and findings of a page refer to by number, each once: a model's plans launch the same work on the same nodes, and do
    it in few ways. ``words`` are texts, ``work`` what kernels compute, ``ways`` how they run."""

    def __init__(self) -> None:
        self.words: dict[str, int] = {}
        self._work: dict[Row, int] = {}
        self._ways: dict[Row, int] = {}
        #: What all takes in a file.
        self.bytes = 0

    def word(self, text: str, limit: int = NAME_LIMIT) -> int:
        """The number of ``text``, made inert."""
        text = clean(text, limit)
        if text not in self.words:
            self.bytes += len(written(text)) + 1
        return self.words.setdefault(text, len(self.words))

    def plan(self, kernels: Iterable[KernelPrediction]) -> list[int]:
        """All of some kernels but their times, which depend on the processor's speed too: two numbers each, of work and of way."""
        found = []
        for kernel in kernels:
            for table, row in ((self._work, self._work_of(kernel)), (self._ways, self._way_of(kernel))):
                if row not in table:
                    self.bytes += len(written(row)) + 1
                found.append(table.setdefault(row, len(table)))
        return found

    def _work_of(self, kernel: KernelPrediction) -> Row:
        return (
            self.word(" + ".join((kernel.op, *kernel.linked[:SHOWN_NODES]))), kind(kernel.op), kernel.macs, kernel.bytes,
            self.word(_shapes(kernel.inputs)), self.word(_shapes(kernel.outputs)), self.word(kernel.dtype), len(kernel.nodes),
            *(self.word(short_name(name)) for name in kernel.nodes[:SHOWN_NODES]),
        )  # fmt: skip

    def _way_of(self, kernel: KernelPrediction) -> Row:
        word = self.word
        return word(kernel.implementation), word(kernel.source), kernel.partition, word(kernel.reason)

    @property
    def state(self) -> tuple[int, ...]:
        """What ``back_to`` takes to forget all that comes later."""
        return self.bytes, len(self.words), len(self._work), len(self._ways)

    def back_to(self, state: tuple[int, ...]) -> None:
        """Forget what has come since."""
        self.bytes, *sizes = state
        tables: tuple[dict[Any, int], ...] = self.words, self._work, self._ways
        for table, size in zip(tables, sizes, strict=True):
            while len(table) > size:
                table.popitem()

    def data(self) -> dict[str, Any]:
        """The tables for ``kernels.js``."""
        return {"words": list(self.words), "work": list(self._work), "ways": list(self._ways)}


def times(kernels: Iterable[KernelPrediction]) -> list[float]:
    """Microseconds of each, in four digits."""
    return [float(f"{1000 * kernel.latency_ms:.4g}") for kernel in kernels]


def kind(op: str) -> int:
    """The index of an op's kind in ``KINDS``."""
    return next((index for index, (_, kinds) in enumerate(_KINDS) if op in kinds), len(_KINDS) - 1)


def _shapes(shapes: tuple[tuple[int, ...], ...] | None) -> str:
    """``1x56x56x64, 64``; nothing where not all are known."""
    if shapes is None:
        return ""
    shown = [dims_text(shape) for shape in shapes[:_SHOWN_SHAPES]]
    return ", ".join([*shown, *(["…"] if len(shapes) > _SHOWN_SHAPES else [])])
