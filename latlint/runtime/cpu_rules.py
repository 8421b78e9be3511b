"""A CPU runtime's rules file as typed values, checked once: ``rules/*/xnnpack.toml`` and ``rules/*/builtin.toml``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from latlint.errors import LatlintError
from latlint.graph.ops import KINDS
from latlint.runtime.cpu_facts import FACTS
from latlint.runtime.rules import Rules, load_rules

Condition = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class KernelRule:
    """A kernel, the facts under which it is chosen (none: always), and how it uses threads: ``"all"`` of them, or 1.

    ``reason`` is what a user should know of it: why this op does not get the usual, faster kernel.
    """

    implementation: str
    when: Condition
    threads: str | int = "all"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Facts under which a delegate leaves a node alone, and the reason."""

    when: Condition
    reason: str


@dataclass(frozen=True, slots=True)
class DelegatedOp:
    """How a CPU delegate takes one kind of op; an empty tuple of counts, slots, ranks or types is no condition."""

    kernels: tuple[KernelRule, ...]
    refuse: tuple[Refusal, ...] = ()
    dtypes: tuple[str, ...] = ()
    ranks: tuple[int, ...] = ()
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    constant: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Delegate:
    """A CPU delegate; the meaning of each value stands beside it in the rules file."""

    name: str
    dtypes: tuple[str, ...]
    activations: frozenset[str]
    max_rank: int
    unpacks: frozenset[str]
    clamps: frozenset[str]
    takes_clamp: frozenset[str]
    takes_pad: frozenset[str]
    hybrid: frozenset[str]
    ops: Mapping[str, DelegatedOp]


@dataclass(frozen=True, slots=True)
class CpuRules:
    """What a CPU runtime does: a delegate, if it has one, and the built-in kernels for the rest."""

    name: str
    delegate: Delegate | None
    builtin: Mapping[str, tuple[KernelRule, ...]]


def parse_cpu_rules(rules: Rules) -> CpuRules:
    """``rules`` as typed values; ``LatlintError`` (LAT901) names the key that is missing, unknown or of another type."""
    try:
        return _parse(rules)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else error
        raise LatlintError(f"rules/{rules.name}.toml: {what}", code="LAT901") from error


@lru_cache(maxsize=8)
def load_cpu_rules(name: str) -> CpuRules:
    """The rules of the CPU runtime ``name``."""
    return parse_cpu_rules(load_rules(name))


def _parse(rules: Rules) -> CpuRules:
    data = {key: value for key, value in rules.data.items() if key != "description"}
    builtin = data.pop("builtin")
    ops, delegate = data.pop("ops", None), data.pop("delegate", None)
    if data:
        raise ValueError(f"no rule is called {min(data)!r}")
    if (ops is None) != (delegate is None):
        raise ValueError("[delegate] and [ops] go together")
    return CpuRules(
        name=rules.name,
        delegate=None if delegate is None else _delegate(delegate, ops),
        builtin=load_cpu_rules(builtin).builtin if isinstance(builtin, str) else _builtin(builtin),
    )


def _builtin(table: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[KernelRule, ...]]:
    return {_kind(kind): _kernels(kind, entry["kernels"]) for kind, entry in table.items()}


def _delegate(table: Mapping[str, Any], ops: Mapping[str, Mapping[str, Any]]) -> Delegate:
    sets = {"activations", "unpacks", "clamps", "takes_clamp", "takes_pad", "hybrid"}
    values: dict[str, Any] = {key: frozenset(value) if key in sets else value for key, value in table.items()}
    values |= {"name": str(table["name"]), "dtypes": tuple(table["dtypes"]), "max_rank": int(table["max_rank"])}
    return Delegate(**values, ops={_kind(kind): _delegated_op(kind, entry) for kind, entry in ops.items()})


def _delegated_op(kind: str, entry: Mapping[str, Any]) -> DelegatedOp:
    values: dict[str, Any] = {key: tuple(value) for key, value in entry.items()}
    values["kernels"] = _kernels(kind, entry["kernels"])
    values["refuse"] = tuple(
        Refusal(_when(kind, each["when"]), str(each["reason"])) for each in entry.get("refuse", ())
    )
    return DelegatedOp(**values)


def _kernels(kind: str, entries: Sequence[Mapping[str, Any]]) -> tuple[KernelRule, ...]:
    kernels = tuple(KernelRule(**{**entry, "when": _when(kind, entry.get("when", {}))}) for entry in entries)
    if not kernels or kernels[-1].when:
        raise ValueError(f"{kind}: the last kernel must have no 'when'")
    if any(kernel.threads not in ("all", 1) for kernel in kernels):
        raise ValueError(f"{kind}: 'threads' is \"all\" or 1")
    return kernels


def _when(kind: str, condition: Mapping[str, Any]) -> Condition:
    unknown = set(condition) - FACTS
    if unknown:
        raise ValueError(f"{kind}: no fact is called {min(unknown)!r}")
    return condition


def _kind(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is not an op of the vocabulary")
    return kind
