"""Kernels that a rules file chooses by facts: those of a CPU, and those of the delegates that ``runtime.delegate`` plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from latlint.graph.types import ITEM_BYTES, Node, Tensor
from latlint.records import NamedTuple
from latlint.runtime.acceptance import Condition, check_facts
from latlint.runtime.context import Context
from latlint.runtime.facts import Facts, in_words, matches, missed
from latlint.runtime.reasons import Obstacle
from latlint.runtime.types import Kernel
from latlint.runtime.work import ONCE, dims, is_counted, macs

_NOTHING: Mapping[str, str] = MappingProxyType({})


class KernelRule(NamedTuple):
    """A kernel, the facts under which it is chosen (none: always), and how it uses threads: ``"all"`` of them, or 1.

    ``reason`` is what a user should know of it: why this op does not get the usual, faster kernel.
    """

    implementation: str
    when: Condition = MappingProxyType({})
    threads: str | int = "all"
    reason: str = ""


def parse_kernels(kind: str, entries: Sequence[Mapping[str, Any]]) -> tuple[KernelRule, ...]:
    kernels = tuple(KernelRule(**{**entry, "when": check_facts(kind, entry.get("when", {}))}) for entry in entries)
    if not kernels or kernels[-1].when:
        raise ValueError(f"{kind}: the last kernel must have no 'when'")
    if any(kernel.threads not in ("all", 1) for kernel in kernels):
        raise ValueError(f"{kind}: 'threads' is \"all\" or 1")
    return kernels


def choose(kernels: Sequence[KernelRule], facts: Facts) -> tuple[KernelRule, tuple[str, ...]]:
    """The first kernel whose conditions hold, and what the better ones before it ask for that the node does not have. (Those
    with a reason are the worse ones.)"""
    passed = []
    for rule in kernels:
        if matches(rule.when, facts):
            break
        if not rule.reason:
            passed.append(f"not {rule.implementation}, which needs {missed(rule.when, facts)}")
    if len(kernels) == 1:
        passed.append("the only kernel for this op")
    elif rule.when and not rule.reason:
        passed.append(f"the kernel for {in_words(rule.when)}")
    return rule, (*passed, *(["one thread, however many there are"] if rule.threads == 1 else []))


def slower(rule: KernelRule) -> Obstacle | None:
    return Obstacle("SLOWER_KERNEL", {"why": rule.reason}) if rule.reason else None


def kernel(
    context: Context,
    nodes: Sequence[Node],
    implementation: str,
    *,
    attributes: Mapping[str, Any] = MappingProxyType({}),
    threads: str | int = "all",
    computes: Mapping[str, str] = _NOTHING,
    free: str = "",
    obstacle: Obstacle | None = None,
    explain: tuple[str, ...] = (),
) -> Kernel:
    """A kernel for ``nodes``: the main one first, then a PAD that runs before it or what runs after it in the same pass.

    ``computes`` says in which type values of another are computed with.
    """
    main = nodes[0]
    linked: list[Tensor] = []
    followers: tuple[str, ...] = ()
    last = main
    if len(nodes) == 1:
        operands = _computed(context, main.inputs)
    else:
        first = next((node for node in nodes if node.kind == "pad"), main)
        last = next((node for node in reversed(nodes) if node.kind != "pad"), main)
        if first is main:
            operands = _computed(context, main.inputs)
        else:
            operands = _computed(context, first.inputs[:1]) + _computed(context, main.inputs[1:])
        written = {index for node in nodes for index in node.outputs}
        after = [node for node in nodes[1:] if node.kind != "pad"]
        linked = _computed(context, [index for node in after for index in node.inputs if index not in written])
        followers = tuple([node.kind for node in after])
    outputs = [context.tensor(index) for index in last.outputs if index >= 0]
    activation = main.attributes.get("activation", "none")
    return Kernel(
        op=main.kind,
        implementation=implementation,
        nodes=tuple([node.index for node in nodes]),
        inputs=tuple([dims(tensor) for tensor in (*operands, *linked)]),
        outputs=tuple([dims(tensor) for tensor in outputs]),
        linked=(() if activation == "none" else (activation,)) + followers,
        input_dtype=_type_of(operands, computes),
        output_dtype=_type_of(outputs, computes),
        attributes=attributes if isinstance(attributes, MappingProxyType) else MappingProxyType(dict(attributes)),
        macs=0 if free else macs(context.graph, main),
        weight_bytes=0 if free else _bytes(context.streamed(main), computes),
        threads=threads,
        own_inputs=len(operands),
        sized=bool(free) or (is_counted(main) and None not in [tensor.elements for tensor in (*operands, *outputs)]),
        repeat=main.in_round,
        free=free,
        obstacle=obstacle,
        explain=explain if main.repeat is not None or free else (*explain, ONCE),
    )


def _computed(context: Context, indices: Sequence[int]) -> list[Tensor]:
    tensors, constants = context.graph.tensors, context.constants
    return [tensors[index] for index in indices if index >= 0 and not (tensors[index].constant or index in constants)]


def _type_of(tensors: Sequence[Tensor], computes: Mapping[str, str]) -> str:
    dtype = tensors[0].dtype if tensors else "float32"
    return computes.get(dtype, dtype)


def _bytes(tensors: Sequence[Tensor], computes: Mapping[str, str]) -> int:
    return int(sum([(t.elements or 0) * ITEM_BYTES.get(computes.get(t.dtype, t.dtype), 0) for t in tensors]))
