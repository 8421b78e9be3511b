"""What a kernel's time is made of: terms, their costs, and the models that say which kernel has which.

A **term** is a count that a kernel's shapes alone determine. A **cost** is what a processor pays for one unit of it, in nanoseconds. A
cost model knows the terms of the kernels of one executor; a device pack has the costs. More work never costs less, because no cost is
negative and no term falls with work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from latlint.records import NamedTuple
from latlint.runtime.types import Kernel

#: Counts by the name of the term.
Terms = dict[str, float]

#: Ops whose cost no shape tells: control flow, data-dependent loops, and what is not known at all.
UNPRICED = frozenset({"unknown", "if", "while", "call", "non_max_suppression", "detection_postprocess", "roi_align"})


def is_unpriced(kernel: Kernel) -> bool:
    """Whether no shape tells what the kernel costs. Control flow whose bodies are in the graph costs what it hands on."""
    return kernel.op in UNPRICED and not kernel.attributes.get("followed")


#: Types of elements that no executor here computes in.
UNCOMPUTED = frozenset({"bfloat16", "float8", "complex64", "complex128"})


class Term(NamedTuple):
    """``prior_ns``: what one unit costs before any measurement, from instruction counts and typical latencies, on the processor that the
    cost model names; 0 where nothing is known before. ``parallel``: how much of it is divided by more threads: 1 all of it, 0 none (a kernel with one thread),
    between the two what shares a cache, a memory bus or a barrier; below 0 what takes longer with more threads."""

    prior_ns: float
    parallel: float = 0.0


@dataclass(frozen=True, eq=False)
class CostModel:
    """How the kernels of one executor are priced; a module of ``latency/models/``, named like the executor, holds it as ``MODEL``.

    ``kind``: of the processors that the kernels run on (``runtime.kinds``). ``price``: the terms of one kernel by name, empty where it
    is free, ``None`` where its cost is not known from its shapes. ``prefixes``: how the names of its terms begin, by which it finds its
    own in a pack.

    ``once``: precision of a model -> the term that an inference costs besides its kernels; ``leads`` tells that an inference costs what
    this model says where the kernels of others run what its executor leaves. A processor that is not the host's has its card's
    ``queue`` instead.

    ``kernel_class``: names the forest (``<processor>/<class>``) that corrects a kernel; ``features``: what it looks at, in the order
    of ``feature_names``; without forests both are left out. ``derived``: precisions of models that no measurement is ever of.
    ``uncomputed``: types of elements that none of its kernels computes in; what an op of such a type would take nobody knows.
    """

    executor: str
    kind: str
    terms: Mapping[str, Term]
    price: Callable[[Kernel], Terms | None]
    prefixes: tuple[str, ...]
    once: Callable[[str], str] | None = None
    leads: bool = False
    kernel_class: Callable[[Kernel], str] | None = None
    features: Callable[[Kernel], list[float]] | None = None
    feature_names: tuple[str, ...] = ()
    derived: frozenset[str] = frozenset()
    uncomputed: frozenset[str] = UNCOMPUTED

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the terms, in the order of their columns."""
        return tuple(self.terms)

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Name of a term -> its column."""
        return MappingProxyType({name: column for column, name in enumerate(self.terms)})
