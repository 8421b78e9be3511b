"""What is predicted of a graph drawn with ``sketch``, and what the rules find on it, as a run over a file that holds it would."""

from __future__ import annotations

from sketch import sketch, target_of

from latlint import checks
from latlint.checks.types import Finding, Subject
from latlint.graph.types import Graph
from latlint.latency import engine
from latlint.latency.types import Prediction
from latlint.runtime import plan
from latlint.settings import Settings
from tests.targets import bundled


def findings(drawn: str | Graph, target: str = "") -> dict[str, Finding]:
    """The findings by code. The target is the one in the drawing's first line, if none is given."""
    return {found.code: found for found in checks.run(subject(drawn, target or target_of(str(drawn))))}


def predicted(drawn: str | Graph, target: str) -> Prediction:
    return subject(drawn, target).prediction


def subject(drawn: str | Graph, target: str) -> Subject:
    """What rules look at."""
    graph = sketch(drawn) if isinstance(drawn, str) else drawn
    chosen = bundled()[target]
    planned = plan(graph, chosen.processor)
    prediction = engine.predict(graph, planned, chosen, model="m.tflite", sha256="")
    return Subject(graph, planned, chosen, prediction, Settings())
