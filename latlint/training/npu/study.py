"""Measurements and networks side by side, and predictions for families of networks that were held out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from latlint.graph import read
from latlint.latency.engine import Workload, workload
from latlint.latency.models.npu import MODEL, firm, loose, precision_word, versioned
from latlint.runtime import plan
from latlint.runtime.types import Processor
from latlint.training.columns import Columns
from latlint.training.corpus import unpack_file
from latlint.training.npu.fit import PRIORS_ALONE, Costs, Index, Problem, Strength, fit, indices
from latlint.training.npu.measurements import Cell, Network, cells, current, devices, jobs, networks

Array = NDArray[np.float64]

#: The terms of NPU kernels, of all precisions.
NPU = Columns.of(("npu",))
#: What plans depend on: all three runtimes give the compiler the same graph, as far as anything here knows.
PROCESSOR = Processor("npu", "qnn-2.50/litert", "npu", "qualcomm", precision="float16")
#: Precision as a card names it -> the float file as if converted.
AS_IF: Mapping[str, str] = {"float32": "", "int8": "w8a8", "int16": "w8a16"}


@dataclass(frozen=True)
class Study:
    """``works[precision][network]`` are priced plans of the networks that a fit may rest on; ``cells`` are of all versions."""

    networks: Mapping[str, Network]
    cells: tuple[Cell, ...]
    works: Mapping[str, Mapping[str, Workload]]

    @cached_property
    def families(self) -> NDArray[np.str_]:
        """The family of each cell's network."""
        return np.array([self.networks[cell.network].family for cell in self.cells])

    @cached_property
    def newest(self) -> NDArray[np.bool_]:
        """Which cells are the newest of their network, device, runtime and precision: what is reported."""
        chosen = set(current(self.cells))
        return np.array([cell in chosen for cell in self.cells])

    def rows(self, device: str, runtime: str, precision: str) -> NDArray[np.intp]:
        """The newest cells of one device, runtime and precision, by their index in ``cells``."""
        wanted = device, runtime, precision
        return np.array([at for at, cell in enumerate(self.cells) if cell[1:4] == wanted and self.newest[at]], np.intp)


def build(shared: Path) -> Study:
    """Read and plan every network of ``shared``/corpus/ai-hub that has measurements in ``shared``/data/ai-hub."""
    known = networks(shared / "corpus")
    found = cells(jobs(shared / "data", shared / "corpus"), known)
    works: dict[str, dict[str, Workload]] = {precision: {} for precision in AS_IF}
    with tempfile.TemporaryDirectory(prefix="latlint-ai-hub-") as scratch:
        for name in sorted({cell.network for cell in found}):
            graph = read(unpacked(shared / "corpus" / "ai-hub" / f"{name}.onnx.zst", Path(scratch)))
            for precision in {cell.precision for cell in found if cell.network == name}:
                works[precision][name] = workload(plan(replace(graph, as_if=AS_IF[precision]), PROCESSOR))
    whole = {precision: {n: w for n, w in each.items() if _whole(w)} for precision, each in works.items()}
    return Study(known, tuple(cell for cell in found if cell.network in whole[cell.precision]), whole)


def _whole(work: Workload) -> bool:
    """Whether a network runs on the NPU alone, at a cost that is known."""
    return not work.unknown and all(part.model is MODEL for part in work.parts)


def unpacked(archive: Path, directory: Path) -> Path:
    """The model file of a ``.zst`` archive, in ``directory``; one at a time."""
    path = directory / f"network{Path(archive.stem).suffix}"
    unpack_file(archive, path)
    return path


def columns(precision: str) -> list[int]:
    """The columns of the terms of one precision; the same terms in the same order for each."""
    word = f"npu.{precision_word(precision)}."
    return [at for at, name in enumerate(NPU.names) if name.startswith(word)]


def levels(cells: Sequence[Cell]) -> dict[str, list[str]]:
    """What each cell is of on each level of the fit."""
    chips = [str(devices()[cell.device]["chip"]) for cell in cells]
    return {
        "shared": [""] * len(cells),
        "precision": [cell.precision for cell in cells],
        "runtime": [cell.runtime for cell in cells],
        "runtime of precision": [f"{cell.runtime} {cell.precision}" for cell in cells],
        "version": [f"{cell.runtime} {cell.version}" for cell in cells],
        "chip": chips,
        "chip of precision": [f"{chip} {cell.precision}" for chip, cell in zip(chips, cells, strict=True)],
        "device": [cell.device for cell in cells],
    }


#: Precisions that are fitted together: activations of 16 bits, floats or not, cost nearly the same; those of 8 bits teach them nothing.
TOGETHER: tuple[tuple[str, ...], ...] = (("float32", "int16"), ("int8",))


#: Runtimes and precisions whose networks deviate from the priors in no way that helps with others: held out, the priors with nothing but
#: factors for chips and versions are nearer. ``benchmarks/npu.py`` says by how much.
PLAIN: frozenset[tuple[str, str]] = frozenset({("qnn", "int16")})


class Part(NamedTuple):
    """Cells of a study that are fitted together, by their ``rows``; ``plain``: by factors alone."""

    precisions: tuple[str, ...]
    rows: Index
    plain: bool = False

    def covers(self, runtime: str, precision: str) -> bool:
        """Whether the costs of a runtime in a precision are this part's."""
        return precision in self.precisions and self.plain == ((runtime, precision) in PLAIN)

    @property
    def strength(self) -> Strength:
        return PRIORS_ALONE if self.plain else Strength()


def parts(study: Study) -> list[Part]:
    """The fits that are made of a study. Cells whose costs are plain teach the others all the same."""
    of = [cell[2:4] for cell in study.cells]
    found = [Part(each, np.flatnonzero([precision in each for _, precision in of])) for each in TOGETHER]
    found += [Part(each[1:], np.flatnonzero([own == each for own in of]), plain=True) for each in sorted(PLAIN)]
    return [part for part in found if len(part.rows)]


@dataclass(frozen=True)
class Fitted:
    """What was found for a part: ``costs``, from its ``cells``."""

    part: Part
    cells: tuple[Cell, ...]
    costs: Costs

    @property
    def precisions(self) -> tuple[str, ...]:
        return self.part.precisions

    @cached_property
    def known(self) -> Mapping[str, Sequence[str]]:
        """What there is on each level, in the order of its index."""
        return {name: sorted(set(values)) for name, values in levels(self.cells).items()}


def fit_all(study: Study) -> tuple[Fitted, ...]:
    """Fits to all cells."""
    found = []
    for part in parts(study):
        cells = tuple(study.cells[row] for row in part.rows)
        found.append(Fitted(part, cells, fit(problem(study, cells), part.strength)))
    return tuple(found)


def problem(study: Study, cells: Sequence[Cell]) -> Problem:
    """What a fit is to explain: some cells of a study."""
    sums = {(p, name): NPU.counts(work)[columns(p)] for p, works in study.works.items() for name, work in works.items()}
    level: dict[str, Index] = {}
    sizes = {}
    for name, values in levels(cells).items():
        level[name], distinct = indices(values)
        sizes[name] = len(distinct)
    precisions = sorted({cell.precision for cell in cells})
    return Problem(
        counts=np.stack([sums[cell.precision, cell.network] for cell in cells]),
        log_ms=np.log([cell.ms for cell in cells]),
        level=level,
        sizes=sizes,
        network=indices([f"{cell.network} {cell.precision}" for cell in cells])[0],
        log_prior=np.log(np.stack([NPU.terms.prior[columns(precision)] * 1e-6 for precision in precisions])),
        firm=np.array([firm(NPU.names[at]) for at in columns(precisions[0])]),
        loose=np.array([loose(NPU.names[at]) for at in columns(precisions[0])]),
        versioned=np.array([versioned(NPU.names[at]) for at in columns(precisions[0])]),
    )


def hold_out(study: Study, progress: Callable[[str], None] = lambda family: None) -> Array:
    """Logarithms of predicted ms for each cell, by a fit without its network's family."""
    predicted = np.full(len(study.cells), np.nan)
    for part in parts(study):
        rows = part.rows
        full = problem(study, [study.cells[row] for row in rows])
        asked = np.array([part.covers(study.cells[row].runtime, study.cells[row].precision) for row in rows])
        for family in sorted(set(study.families[rows].tolist())):
            out = study.families[rows] == family
            log_ms = fit(full.without(out), part.strength).log_ms(full.without(~out))
            predicted[rows[out & asked]] = log_ms[asked[out]]
            progress(f"{family} {' '.join(part.precisions)}")
    return predicted
