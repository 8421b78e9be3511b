"""The GPU delegate's rules file as typed values, checked once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from latlint.records import NamedTuple
from latlint.runtime.acceptance import Acceptance, parse_acceptance
from latlint.runtime.planners import parsed
from latlint.runtime.rules import Rules, load_rules
from latlint.runtime.types import Processor

T = TypeVar("T")


class GpuOp(NamedTuple):
    """The kernel of one kind of op in the delegate's own word, and how many it launches."""

    kernel: str
    launches: int = 1


class GpuRules(NamedTuple):
    """``rules/tflite-…/gpu-delegate.toml``; the meaning of each value stands beside it there."""

    acceptance: Acceptance
    ops: Mapping[str, GpuOp]
    executor: str
    fallback: str
    max_partitions: int
    quantized_types: frozenset[str]
    special_kernels: frozenset[str]
    links_outputs: bool
    linkable: frozenset[str]
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
    return parsed(rules, _parse)


def _parse(rules: Rules) -> GpuRules:
    acceptance, ops, data = parse_acceptance(rules)
    data["custom"] = rules.data["custom"]
    for key, convert in _CONVERT.items():
        if key not in data:
            raise ValueError(f"{key!r} is missing")
        data[key] = convert(data[key])
    return GpuRules(acceptance=acceptance, ops={kind: GpuOp(**entry) for kind, entry in ops.items()}, **data)


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "executor": str,
    "fallback": str,
    "max_partitions": lambda count: max(1, int(count)),
    "quantized_types": frozenset,
    "special_kernels": frozenset,
    "links_outputs": bool,
    "linkable": frozenset,
    "custom": dict,
    "winograd": dict,
    "depthwise_plus_pointwise": dict,
    "constant_memory_convolution": dict,
    "depthwise_3x3": dict,
    "depthwise_3x3_stride_2": frozenset,
    "concat_inputs": dict,
}
