"""A runtime's own kernels on the CPU: one call an op, nothing fused but the activations that the file has in an op.

Which kernel an op gets is data: a file of ``rules/`` with ``kind = "cpu"``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from latlint.graph.ops import UNARY, UNKNOWN
from latlint.graph.types import Node
from latlint.records import NamedTuple
from latlint.runtime.acceptance import known_kind
from latlint.runtime.context import Context
from latlint.runtime.facts import Facts
from latlint.runtime.kernels import KernelRule, choose, kernel, parse_kernels, slower
from latlint.runtime.planners import Planned, parsed
from latlint.runtime.reasons import Obstacle
from latlint.runtime.rules import Rules
from latlint.runtime.types import Kernel, Partition, Processor

#: What is made of a constant at the first call and kept (kernels/dequantize.cc, densify.cc).
_KEPT: Mapping[str, str] = MappingProxyType(
    {
        "dequantize": "a constant, dequantised once at the first call",
        "densify": "a constant, unpacked once at the first call",
    }
)


class CpuPlanner(NamedTuple):
    """The kernels that each kind of op may have; a kind without an entry has one of its own name, with one thread."""

    executor: str
    ops: Mapping[str, tuple[KernelRule, ...]]

    @property
    def delegate(self) -> str:
        return ""

    def plan(self, context: Context, nodes: Sequence[int], processor: Processor) -> Planned:
        kernels = tuple(self._kernel(context, context.graph.nodes[index]) for index in nodes)
        return Planned(kernels, (Partition(self.executor, len(kernels)),) if kernels else ())

    def _kernel(self, context: Context, node: Node) -> Kernel:
        if node.inputs and node.inputs[0] >= 0 and context.tensor(node.inputs[0]).constant and node.kind in _KEPT:
            return kernel(context, (node,), node.kind, free=_KEPT[node.kind])
        kernels = self.ops.get(node.kind, (KernelRule(node.kind, threads=1),))
        rule, why = choose(kernels, Facts(context, node))
        if node.kind in UNARY:
            fused = "a pass of its own: built-in kernels fuse an activation only where the file has it in the op before"
            why = (*why, fused)
        obstacle = Obstacle("UNKNOWN_KERNEL", {"native": node.native}) if node.kind == UNKNOWN else slower(rule)
        return kernel(
            context,
            (node,),
            rule.implementation,
            attributes=node.attributes,
            threads=rule.threads,
            obstacle=obstacle,
            explain=why,
        )


def parse(rules: Rules) -> CpuPlanner:
    """The planner of a rules file; ``LatlintError`` (LAT901) names the key that is missing, unknown or of another type."""
    return parsed(rules, _parse)


def _parse(rules: Rules) -> CpuPlanner:
    data = dict(rules.data)
    ops, executor = data.pop("ops"), str(data.pop("executor"))
    if data:
        raise ValueError(f"no rule is called {min(data)!r}")
    return CpuPlanner(
        executor, {known_kind(kind): parse_kernels(kind, entry["kernels"]) for kind, entry in ops.items()}
    )
