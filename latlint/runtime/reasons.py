"""Why a kernel runs where and as it does: codes that rules test, values, and the one place that makes sentences of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal

from latlint.records import NamedTuple

RefusalCode = Literal[
    "BODY",
    "NOT_AN_OP",
    "LACKS_TENSOR",
    "VERSION",
    "COUNT",
    "ACTIVATION",
    "FORM",
    "COMPUTED",
    "DTYPE",
    "HYBRID",
    "RANK",
    "OPEN_SHAPE",
    "NOTHING_COMPUTED",
    "READERS_REFUSED",
    "NEIGHBOURS_REFUSED",
    "SMALLER_PARTITION",
    "SMALL_PARTITION",
    "DYNAMIC_GRAPH",
    "WHOLE_GRAPH",
    "INIT_FAILED",
    "NOT_PREPARED",
]

ObstacleCode = Literal["NO_WINOGRAD", "BELOW_WINOGRAD", "UNEVEN_GROUPS", "SLOWER_KERNEL", "UNKNOWN_KERNEL"]


class Refusal(NamedTuple):
    """Why a delegate leaves a node to whatever runs the rest; ``values`` are those that its sentence names, ``by`` the delegate with
    its runtime and version."""

    code: RefusalCode
    values: Mapping[str, Any] = MappingProxyType({})


class Obstacle(NamedTuple):
    """Why a kernel is not the fastest that its op can have; ``values`` are those that its sentence names."""

    code: ObstacleCode
    values: Mapping[str, Any] = MappingProxyType({})


_SENTENCES: Mapping[str, str] = {
    # refusals
    "BODY": "{native} is in a body of control flow, a graph of its own that {by} does not reach",
    "NOT_AN_OP": "{native} is not an op of {by}",
    "LACKS_TENSOR": "{native} lacks an input or an output that {by} expects",
    "VERSION": "version {version} of {native}: {by} knows versions up to {newest}",
    "COUNT": "it has {given} {what}, {by} takes {allowed}",
    "ACTIVATION": "fused activation {activation} is not supported by {by}",
    "FORM": "{why} (for {by})",
    "COMPUTED": "its input {slot} is computed at run time, {by} takes a constant",
    "DTYPE": "{tensor!r} is {dtype}: {by} takes {allowed}",
    "HYBRID": "{weights} weights under {activations} activations are not taken by {by}",
    "RANK": "{tensor!r} has {rank} dimensions: {by} takes {allowed}",
    "OPEN_SHAPE": "the shape of {tensor!r} is not known before run time, which {by} needs",
    "NOTHING_COMPUTED": "no input is computed at run time, {by} takes one",
    "READERS_REFUSED": "{by} takes none of the ops that read these weights",
    "NEIGHBOURS_REFUSED": "{by} takes none of the ops beside it",
    "SMALLER_PARTITION": "delegated, but in a smaller partition than {kept} that {by} keeps",
    "SMALL_PARTITION": "delegated, but in a partition of {nodes}: {by} keeps those of {least} or more",
    "DYNAMIC_GRAPH": "the size of {tensor!r} depends on what is computed, and {by} is not applied to a graph that has such a tensor",
    "WHOLE_GRAPH": "{by} takes a graph whole or not at all, and of this one it leaves {others}",
    "INIT_FAILED": "{by} fails to initialise at {node!r}: {why}; the whole model runs on the CPU",
    "NOT_PREPARED": "{by} takes {native} and cannot prepare it: {why}; a program with it does not load the file",
    # obstacles
    "NO_WINOGRAD": "no Winograd kernels on this GPU",
    "BELOW_WINOGRAD": "Winograd needs {needs} {what}: {has} here",
    "UNEVEN_GROUPS": "groups of {read} and {made} channels are not multiples of 4: {groups} convolutions{because}",
    "SLOWER_KERNEL": "{why}",
    "UNKNOWN_KERNEL": "nothing is known of the kernel of {native}",
}


def sentence(why: Refusal | Obstacle) -> str:
    """``why`` in words."""
    return _SENTENCES[why.code].format_map(why.values)


@lru_cache(maxsize=256)
def either(allowed: tuple[Any, ...]) -> str:
    """``2, 3 or 4``."""
    *others, last = map(str, allowed)
    return f"{', '.join(others)} or {last}" if others else last
