"""``Plan``: the kernels one runtime would launch for one graph on one processor. Free of any device's speed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType
from typing import Any

from latlint.graph.types import ITEM_BYTES, Graph
from latlint.records import NamedTuple, Record
from latlint.runtime.reasons import Obstacle, Refusal, sentence

#: What processors compute in: ``int8`` those that compute nothing in floats.
PRECISIONS = ("float32", "float16", "int8")


class Processor(NamedTuple):
    """What a planner must know of the hardware: which rules apply, not how fast it is.

    ``runtime`` names a file of ``rules/``: ``tflite-2.10/gpu-delegate`` is ``rules/tflite-2.10/gpu-delegate.toml``.
    ``vendor`` is ``adreno``, ``mali``, ``powervr``, ``apple`` … for a GPU, ``arm`` for a CPU; ``generation`` is the vendor's
    (``adreno-6xx``, ``bifrost-gen3``, ``a12``); ``precision`` is what a float model computes in, one of ``PRECISIONS``.
    """

    name: str
    runtime: str
    kind: str
    vendor: str
    generation: str = ""
    precision: str = "float32"
    threads: int = 1

    @property
    def plan_key(self) -> tuple[str, ...]:
        """All that a plan depends on: processors whose keys are equal share their plans."""
        return self.runtime, self.kind, self.vendor, self.generation, self.precision


class Kernel(NamedTuple):
    """One launch (or one call of a built-in CPU kernel), or an op that costs none and why (``free``).

    ``nodes`` are indices into ``Graph.nodes``: the op that gave the kernel its name first, then all that was fused, linked
    or merged into it. ``inputs`` and ``outputs`` are shapes of run-time tensors (NHWC for 4-D), the linked ops' extra operands
    included, the main input first; constants are not among them. ``input_dtype``/``output_dtype`` are of the first of each.
    ``attributes`` are the main op's (see ``graph.ops``), as the kernel runs it: a merged PAD is in ``padding``.
    ``launches`` is how many calls or dispatches it stands for; ``threads`` ``"all"`` where it divides its work among the processor's, or 1;
    ``own_inputs`` how many of ``inputs`` it reads itself, before those of what is linked; ``sized`` whether the shapes of all its
    run-time operands are known: what is not sized has no cost that shapes could tell. ``repeat`` is how often one inference runs it: more
    than once in a loop, whose kernels have the shapes, ``macs`` and ``launches`` of one round.
    ``obstacle`` is why it is not the fastest that the op can have (of an op that a conversion adds: why a delegate left it);
    ``explain`` all that decided it: what was merged, which faster implementation it missed and by how much, what stopped the next op from being fused.
    """

    op: str
    implementation: str
    nodes: tuple[int, ...]
    inputs: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[int, ...], ...]
    linked: tuple[str, ...] = ()
    partition: int = 0
    input_dtype: str = "float32"
    output_dtype: str = "float32"
    attributes: Mapping[str, Any] = MappingProxyType({})
    macs: int = 0
    weight_bytes: int = 0
    launches: int = 1
    threads: str | int = "all"
    own_inputs: int = 1
    sized: bool = True
    repeat: int = 1
    free: str = ""
    obstacle: Obstacle | Refusal | None = None
    explain: tuple[str, ...] = ()

    @property
    def all_macs(self) -> int:
        """Multiply-accumulates of one inference: of all rounds."""
        return self.macs * self.repeat

    @property
    def reason(self) -> str:
        """``obstacle`` in words; empty where there is none."""
        return sentence(self.obstacle) if self.obstacle else ""

    @property
    def input_bytes(self) -> int:
        return int(sum(prod(shape) for shape in self.inputs) * ITEM_BYTES.get(self.input_dtype, 4))

    @property
    def output_bytes(self) -> int:
        return int(sum(prod(shape) for shape in self.outputs) * ITEM_BYTES.get(self.output_dtype, 4))

    @property
    def bytes(self) -> int:
        """Bytes that the kernel reads and writes at least once: inputs, outputs and weights."""
        return self.input_bytes + self.output_bytes + self.weight_bytes


class Partition(NamedTuple):
    """A run of kernels on one executor: ``gpu``, ``xnnpack``, or ``builtin`` (TFLite's own CPU kernels)."""

    executor: str
    nodes: int
    #: Bytes that cross into and out of it, where it is a delegate's.
    input_bytes: int = 0
    output_bytes: int = 0


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Plan(Record):
    """``kernels`` in launch order; ``partitions[kernel.partition]`` is where each runs; ``fallbacks`` maps a node that the
    delegate refused to the reason; ``notes`` are what the user must know to trust it (such as "as if converted").

    ``delegate`` is the executor that was asked first, where what it refuses runs elsewhere; ``converted`` is there where the model
    was planned as if converted: the plan of that graph, kernel for kernel the same."""

    runtime: str
    processor: str
    precision: str
    kernels: tuple[Kernel, ...]
    partitions: tuple[Partition, ...]
    fallbacks: Mapping[int, Refusal] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()
    delegate: str = ""
    converted: ConvertedPlan | None = field(default=None, repr=False, compare=False)


class ConvertedPlan(NamedTuple):
    """A graph as if converted, and its plan. The first kernels of the plan for the original graph are those of ``plan``, in
    order; after them come the nodes that conversion folded away."""

    graph: Graph
    plan: Plan
