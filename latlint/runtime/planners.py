"""Who plans for a runtime: one planner for each ``kind`` of rules file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from latlint.errors import LatlintError
from latlint.records import NamedTuple
from latlint.runtime.context import Context
from latlint.runtime.kinds import kind
from latlint.runtime.partition import Epoch, joined
from latlint.runtime.reasons import Refusal
from latlint.runtime.rules import Rules, load_rules
from latlint.runtime.types import Kernel, Partition, Processor

T = TypeVar("T")

#: ``kind`` -> ``module:function`` that makes a planner of a rules file, imported when one of that kind is planned for.
PLANNERS = {
    "cpu": "latlint.runtime.cpu:parse",
    "delegate": "latlint.runtime.delegate:parse",
    "gpu-delegate": "latlint.runtime.gpu:parse",
    "npu": "latlint.runtime.npu:parse",
    "onnxruntime": "latlint.runtime.onnxruntime.planner:parse",
    "provider": "latlint.runtime.onnxruntime.provider:parse",
}


class Planned(NamedTuple):
    """What a runtime does with some nodes. ``Kernel.partition`` indexes ``partitions``; ``fallbacks`` and ``notes`` are as in ``Plan``."""

    kernels: tuple[Kernel, ...]
    partitions: tuple[Partition, ...]
    fallbacks: Mapping[int, Refusal] = MappingProxyType({})
    notes: tuple[str, ...] = ()


class Planner(Protocol):
    """A rules file that was read. It plans any nodes of a graph, so that one runtime can leave nodes to another."""

    @property
    def delegate(self) -> str:
        """The executor of what it takes, where another runtime runs the rest; empty where it runs all itself."""

    def plan(self, context: Context, nodes: Sequence[int], processor: Processor) -> Planned:
        """``nodes``, which are in an execution order, on ``processor``; what other nodes write counts as computed."""


@lru_cache(maxsize=32)
def planner(runtime: str) -> Planner:
    """The planner of ``runtime``. Raises ``LatlintError`` (LAT901) for a rules file that does not hold what it must."""
    rules = load_rules(runtime)
    if rules.kind not in PLANNERS:
        known = ", ".join(sorted(PLANNERS))
        raise LatlintError(
            f"rules/{runtime}.toml: no planner for the kind {rules.kind!r}: there are {known}", code="LAT901"
        )
    parse: Callable[[Rules], Planner] = named(PLANNERS[rules.kind])
    return parse(rules)


def assembled(
    split: Sequence[Epoch],
    delegated: Callable[[Sequence[int]], tuple[Sequence[Kernel], Partition]],
    rest: Callable[[Sequence[int]], Planned],
    refused: Mapping[int, Refusal],
    notes: tuple[str, ...] = (),
) -> Planned:
    """Kernels and partitions, epoch by epoch: what a delegate keeps, and what it leaves to the runtime that plans the rest.

    Neighbouring epochs that it leaves are one for that runtime, which splits them its own way. Where both refuse a node, the reason is
    the delegate's: it was asked first.
    """
    kernels: list[Kernel] = []
    partitions: list[Partition] = []
    fallbacks: dict[int, Refusal] = {}
    for epoch in joined(split):
        if epoch.delegated:
            made, partition = delegated(epoch.nodes)
            kernels += _moved(made, len(partitions))
            partitions.append(partition)
        else:
            left = rest(epoch.nodes)
            kernels += _moved(left.kernels, len(partitions))
            partitions += left.partitions
            fallbacks.update(left.fallbacks)
    fallbacks.update(refused)
    in_order = {node: fallbacks[node] for node in sorted(fallbacks)}
    return Planned(tuple(kernels), tuple(partitions), MappingProxyType(in_order), notes)


def _moved(kernels: Sequence[Kernel], by: int) -> Sequence[Kernel]:
    return [each._replace(partition=each.partition + by) for each in kernels] if by else kernels


def named(name: str) -> Any:
    """The object that ``module:name`` names."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


def takes_native(processor: Processor) -> bool:
    """Whether the processor's runtime takes the ops as the file has them (``Node.native``), not in the words of ``graph.ops`` alone."""
    return bool(getattr(planner(processor.runtime), "native", False))


def alike(processor: Processor, floats: bool = True) -> tuple[str, ...]:
    """What the kernels of a plan depend on: as ``Processor.plan_key``, but that runtimes whose rules differ in nothing but their names are one.
    For a graph without ``floats`` it may not matter what a processor computes those in."""
    _, *others, precision = processor.plan_key
    if not floats and load_rules(processor.runtime).kind in _OF_FLOATS:
        precision = ""
    return (_nameless(processor.runtime), *others, precision)


#: Kinds of rules files whose planners ask of a processor's precision nothing but whether it computes in floats.
_OF_FLOATS = frozenset({"npu"})


@lru_cache(maxsize=32)
def _nameless(runtime: str) -> str:
    return repr(load_rules(runtime)._replace(name="", title=""))


def traits(processor: Processor) -> frozenset[str]:
    """What rules may ask of a processor: ``host`` (where the program runs) or ``offload`` (what it hands work to), and the executor of
    its runtime."""
    return _traits(processor.kind, processor.runtime)


@lru_cache(maxsize=64)
def _traits(kind_name: str, runtime: str) -> frozenset[str]:
    return frozenset({"host" if kind(kind_name).host else "offload", str(load_rules(runtime).data.get("executor"))})


def parsed(rules: Rules, parse: Callable[[Rules], T]) -> T:
    """``parse(rules)``; ``LatlintError`` (LAT901) names the key that is missing, unknown or of another type."""
    try:
        return parse(rules)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else error
        raise LatlintError(f"rules/{rules.name}.toml: {what}", code="LAT901") from error
