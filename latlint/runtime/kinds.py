"""The kinds of processors, and nothing else that tells one kind from another by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from latlint.records import NamedTuple

#: How a kind begins the names of its processors: ``cpu-1large``, ``gpu``, ``npu``.
_WORD = re.compile(r"[a-z][a-z0-9]*")


class Kind(NamedTuple):
    """``host``: whether it is where a program runs. On any other, work is queued, copied to and from, and what it refuses falls back to
    the host. ``executors``: whose terms a processor's costs hold, where they are not the kind's own name."""

    name: str
    title: str
    host: bool
    executors: tuple[str, ...]


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "cpu": Kind("cpu", "CPU", host=True, executors=("builtin", "xnnpack")),
        "gpu": Kind("gpu", "GPU", host=False, executors=("gpu",)),
        "npu": Kind("npu", "NPU", host=False, executors=("npu",)),
    }
)
#: Execution providers of ONNX Runtime on no device in particular, which nobody times.
_PROVIDERS = {"coreml": "Core ML", "nnapi": "NNAPI", "xnnpack": "XNNPACK"}


def kind(name: str) -> Kind:
    """The kind called ``name``. One that the table does not have is no host, and priced by the executor of its name."""
    if name in _PROVIDERS:
        return Kind(name, f"{_PROVIDERS[name]} provider", host=False, executors=("provider",))
    return KINDS.get(name) or Kind(name, name.upper(), host=False, executors=(name,))


def kind_of(processor: str) -> Kind:
    """The kind of a processor by its name: ``cpu`` for ``cpu-1large2med``. Raises ``ValueError`` for a name that begins with no word."""
    found = _WORD.match(processor)
    if found is None:
        raise ValueError(f"{processor!r}: expected a kind of processor first, such as {', '.join(KINDS)}")
    return kind(found[0])
