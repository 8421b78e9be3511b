"""One model file on several targets with its plans, as it is now or as it was at a commit: what `diff` and relative budgets go by."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from latlint.graph import opened
from latlint.graph.inputs import InputShape
from latlint.run.work import predict_graph

if TYPE_CHECKING:
    from latlint.latency.packs import NamedTarget
    from latlint.latency.types import Prediction
    from latlint.project.git import Entry, Repository
    from latlint.runtime.types import Plan

    #: A model on each target, in the order of the targets.
    Planned = list[tuple[Prediction, Plan]]


def predict_now(
    file: Path, name: str, shapes: Sequence[InputShape], targets: Sequence[NamedTarget], as_if: str = ""
) -> Planned:
    """The model ``file``, which predictions and errors call ``name``, in the precision ``as_if``. Raises LatlintError for one that cannot be read."""
    with opened(os.fspath(file), name) as model:
        graph, sha256 = model.graph(shapes, as_if), model.sha256()
    return [(prediction, plan) for prediction, plan, _ in predict_graph(graph, targets, name, sha256)]


def predict_at(
    repository: Repository,
    entry: Entry,
    name: str,
    shapes: Sequence[InputShape],
    targets: Sequence[NamedTarget],
    as_if: str = "",
) -> Planned:
    """The model that ``entry`` is, a file of a commit, predicted with what latlint knows now; see ``predict_now``."""
    with repository.file(entry) as file:
        return predict_now(file, name, shapes, targets, as_if)
