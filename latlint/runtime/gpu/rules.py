"""The GPU delegate's rules file as typed values, checked once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from latlint.errors import LatlintError
from latlint.graph.ops import KINDS
from latlint.runtime.rules import Rules, load_rules
from latlint.runtime.types import Processor

T = TypeVar("T")


class OpRule(NamedTuple):
    """How the delegate takes one kind of op: its kernel's name, the highest op version, the named conditions, the data types
    that it accepts beyond the float (and quantised) ones, and how many kernels it launches."""

    kernel: str
    max_version: int | None = None
    when: tuple[str, ...] = ()
    types: frozenset[str] = frozenset()
    launches: int = 1


class GpuRules(NamedTuple):
    """``rules/tflite-…/gpu-delegate.toml``; the meaning of each value stands beside it there."""

    name: str
    fallback: str
    max_partitions: int
    max_rank: int
    float_types: frozenset[str]
    quantized_types: frozenset[str]
    activations: frozenset[str]
    special_kernels: frozenset[str]
    links_outputs: bool
    linkable: frozenset[str]
    ops: Mapping[str, OpRule]
    custom: Mapping[str, str]
    winograd: Mapping[str, Mapping[str, int]]
    depthwise_plus_pointwise: Mapping[str, Mapping[str, Mapping[str, int]]]
    constant_memory_convolution: Mapping[str, int]
    depthwise_3x3: Mapping[str, list[str]]
    depthwise_3x3_stride_2: frozenset[str]
    concat_inputs: Mapping[str, int]


def for_processor(table: Mapping[str, T], processor: Processor) -> T | None:
    """The entry for the processor's generation, else for its vendor, else ``default``."""
    for key in (processor.generation, processor.vendor, "default"):
        if key in table:
            return table[key]
    return None


@lru_cache(maxsize=8)
def load_gpu_rules(name: str) -> GpuRules:
    """The rules of one GPU delegate; ``LatlintError`` (LAT901) where the file does not hold what is expected."""
    return parse_gpu_rules(load_rules(name))


def parse_gpu_rules(rules: Rules) -> GpuRules:
    """``rules`` as typed values; ``LatlintError`` (LAT901) names the key that is missing, unknown or of another type."""
    try:
        return GpuRules(name=rules.name, **_fields(rules))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise LatlintError(f"rules/{rules.name}.toml: {error}", code="LAT901") from error


def _fields(rules: Rules) -> dict[str, Any]:
    data = {key: value for key, value in rules.data.items() if key != "description"}
    for key, convert in _CONVERT.items():
        if key not in data:
            raise ValueError(f"{key!r} is missing")
        data[key] = convert(data[key])
    return data


def _op_rules(table: Mapping[str, Mapping[str, Any]]) -> dict[str, OpRule]:
    from latlint.runtime.gpu.support import CONDITIONS

    rules = {}
    for kind, entry in table.items():
        if kind not in KINDS:
            raise ValueError(f"[ops] has {kind!r}, which is not an op of the vocabulary")
        rule = OpRule(**{**entry, "when": tuple(entry.get("when", ())), "types": frozenset(entry.get("types", ()))})
        unknown = set(rule.when) - set(CONDITIONS)
        if unknown:
            raise ValueError(f"[ops] {kind}: no condition is called {sorted(unknown)[0]!r}")
        rules[kind] = rule
    return rules


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "fallback": str,
    "max_partitions": lambda count: max(1, int(count)),
    "max_rank": int,
    "float_types": frozenset,
    "quantized_types": frozenset,
    "activations": frozenset,
    "special_kernels": frozenset,
    "links_outputs": bool,
    "linkable": frozenset,
    "ops": _op_rules,
    "custom": dict,
    "winograd": dict,
    "depthwise_plus_pointwise": dict,
    "constant_memory_convolution": dict,
    "depthwise_3x3": dict,
    "depthwise_3x3_stride_2": frozenset,
    "concat_inputs": dict,
}
