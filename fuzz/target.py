"""What one execution does: the whole way of a model file, as far as the file comes."""

from __future__ import annotations

import contextlib
import functools
import warnings
import zlib

from latlint import checks
from latlint.checks.types import Subject
from latlint.errors import LatlintError
from latlint.graph.formats import format_of
from latlint.graph.inputs import MAX_RANK, InputShape
from latlint.graph.onnx import read_onnx
from latlint.graph.source import Source
from latlint.graph.tflite import read_tflite
from latlint.graph.types import Graph
from latlint.latency import engine
from latlint.latency.packs import Target, load_targets
from latlint.runtime import plan, unloadable
from latlint.settings import Settings

#: A user would read it among the findings.
warnings.simplefilter("error")


@functools.cache
def targets() -> tuple[Target, ...]:
    """One of each kind of processor: together they run every planner and every table of rules."""
    kinds: dict[tuple[str, ...], Target] = {}
    for known in load_targets().values():
        for target in (known.for_dialect(dialect) for dialect in known.defaults) if known.defaults else (known,):
            kinds.setdefault(target.processor.plan_key, target)
    return tuple(kinds.values())


def execute(form: str, data: bytes, *, thorough: bool = False) -> str:
    """``read``, or the code of the refusal. Any exception but a LatlintError is a finding.

    What is read is, chosen by its bytes, planned, predicted and judged for one processor in one case of 8, and read again with its
    inputs in other sizes in another; ``thorough`` does it all for every kind of processor.
    """
    read = read_tflite if form == "tflite" else read_onnx
    format_of(Source.of(data))
    try:
        graph = read(data, "m")
        dice = zlib.crc32(data)
        if thorough or dice % 8 == 1:
            with contextlib.suppress(LatlintError):  # most files fix their sizes
                graph = read(data, "m", _other_sizes(graph))
        if thorough:
            for target in targets():
                judge(graph, target)
        elif dice % 8 == 0 or dice % 64 == 1:
            judge(graph, targets()[dice // 64 % len(targets())])
    except LatlintError as error:
        assert error.message.isprintable() and len(error.message) < 1000, "a refusal is one line"
        assert error.code.startswith("LAT00"), error.code
        return error.code
    return "read"


def _other_sizes(graph: Graph) -> list[InputShape]:
    """Twice the size in the first dimension, as a user may state it where the file leaves it open."""
    found = []
    for tensor in (graph.tensors[i] for i in graph.inputs):
        if tensor.shape and all(dim > 0 for dim in tensor.shape) and len(tensor.shape) <= MAX_RANK:
            found.append(InputShape(tensor.name, (2 * tensor.shape[0], *tensor.shape[1:]), required=False))
    return found


def judge(graph: Graph, target: Target) -> None:
    if unloadable(graph.dialect, target.processor):
        return
    planned = plan(graph, target.processor)
    prediction = engine.predict(graph, planned, target, model="m", sha256="")
    assert 0 <= prediction.latency_ms < float("inf")
    assert 0 <= prediction.low_ms <= prediction.latency_ms
    assert prediction.lower_bound if prediction.high_ms is None else prediction.latency_ms <= prediction.high_ms
    assert 0 <= prediction.coverage <= 1
    checks.run(Subject(graph, planned, target, prediction, Settings(), "m"))
