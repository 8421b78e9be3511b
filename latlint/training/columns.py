"""The terms that one array of costs is for: those of several cost models, side by side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from latlint.latency.engine import Part, Workload
from latlint.latency.models import model_of
from latlint.latency.terms import CostModel
from latlint.runtime.kinds import kind
from latlint.training.hierarchy import Terms

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Columns:
    """``models`` in the order of their columns."""

    models: tuple[CostModel, ...]

    @classmethod
    def of(cls, executors: Iterable[str]) -> Columns:
        return cls(tuple(model_of(executor) for executor in executors))

    @classmethod
    def for_works(cls, kind_name: str, works: Iterable[Workload]) -> Columns:
        """The terms of a processor of a kind: those that such processors have, or, where its plans have other executors, of these."""
        usual = kind(kind_name).executors
        found = {p.model.executor for work in works for p in work.parts if p.model.kind == kind_name}
        return cls.of(usual if found <= {*usual} else sorted(found))

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(name for model in self.models for name in model.names)

    @property
    def terms(self) -> Terms:
        """Priors and what threads divide, of each term."""
        known = [term for model in self.models for term in model.terms.values()]
        return Terms(np.array([term.prior_ns for term in known]), np.array([term.parallel for term in known]))

    def parts(self, work: Workload) -> list[tuple[slice, Part]]:
        """The parts of ``work`` that these models price, each with the columns of its terms."""
        found, start = [], 0
        for model in self.models:
            columns = slice(start, start + len(model.names))
            found += [(columns, part) for part in work.parts if part.model is model]
            start = columns.stop
        return found

    def kernels(self, work: Workload) -> tuple[list[int], Array]:
        """Positions of the kernels that these models price, in the plan's order, and their terms, (kernels, terms)."""
        parts = self.parts(work)
        positions = sorted(position for _, part in parts for position in part.positions)
        row = {position: at for at, position in enumerate(positions)}
        terms = np.zeros((len(positions), len(self.names)))
        for columns, part in parts:
            terms[[row[position] for position in part.positions], columns] = part.terms
        return positions, terms

    def once(self, work: Workload) -> Array:
        """What an inference costs besides its kernels, (terms,)."""
        found = np.zeros(len(self.names))
        if work.once and work.once[0] in self.models:
            found[self.names.index(work.once[1])] = 1.0
        return found

    def counts(self, work: Workload) -> Array:
        """Sums of the terms over the kernels, with what an inference costs once, (terms,)."""
        found = self.once(work)
        for columns, part in self.parts(work):
            found[columns] += part.terms.sum(axis=0)
        return found
