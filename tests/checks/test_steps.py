"""What is looked for in long chains takes a few steps a node."""

from __future__ import annotations

from typing import Any

import pytest

from latlint.checks import missed_fusion, transposes_cancel
from latlint.graph.types import Graph, Node, Tensor
from latlint.runtime.context import Context
from latlint.runtime.groups import Group, find
from latlint.whatif.edits import EditedGraph
from tests.counted import Counted

LONG = 100


def chain(*kinds: str, readers: int = 0) -> Graph:
    """One op after the other, and ReLUs that all read the last."""
    ops = [(at, kind) for at, kind in enumerate(kinds)] + [(len(kinds), "relu")] * readers
    nodes = tuple(Node(at, kind, kind, kind, (source,), (at + 1,)) for at, (source, kind) in enumerate(ops))
    tensors = tuple(Tensor(f"t{at}", (1, 8, 8, 8), "float32") for at in range(len(nodes) + 1))
    outputs = tuple(range(len(kinds) + 1, len(tensors))) or (len(kinds),)
    return Graph("m", "tflite", "tflite", nodes, tensors, (0,), outputs)


def test_ops_that_are_left_out_are_passed_once() -> None:
    graph = chain(*["identity"] * LONG, readers=LONG)
    draft = EditedGraph(graph)
    draft._instead = seen = Counted()
    for node in graph.nodes[:LONG]:
        draft.bypass(node)
    assert {node.inputs for node in draft.graph().nodes} == {(0,)}
    assert seen.asked < 4 * LONG


def test_a_region_that_shrinks_is_not_looked_through_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Node] = []
    closed = transposes_cancel._closed

    def counted(view: Any, node: Node, *others: Any) -> bool:
        asked.append(node)
        return closed(view, node, *others)

    monkeypatch.setattr(transposes_cancel, "_closed", counted)
    graph = chain("transpose", *["relu"] * LONG)

    class Scene:
        uses, producers, outputs = graph.consumers(), graph.producers(), frozenset(graph.outputs)

    class Seen:
        scene = Scene()

        def __init__(self) -> None:
            self.graph = graph

        def shape(self, index: int) -> Any:
            return graph.tensors[index].shape

        def tensor(self, index: int) -> Tensor:
            return graph.tensors[index]

        def runtime_inputs(self, node: Node) -> Any:
            return node.inputs

        def constant_inputs(self, node: Node) -> list[int]:
            return []

    assert transposes_cancel._region(Seen(), (0, 3, 1, 2), graph.nodes[:1], set()) is None  # type: ignore[arg-type]
    assert 0 < len(asked) <= 4 * LONG


def test_a_product_of_many_is_in_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [Node(at, "s", "sigmoid", "LOGISTIC", (0,), (at + 1,)) for at in range(LONG)]
    nodes.append(Node(LONG, "m", "mul", "MUL", tuple(range(1, LONG + 1)), (LONG + 1,)))
    tensors = tuple(Tensor("t", (1, 8), "float32") for _ in range(LONG + 2))
    context = Context(Graph("m", "tflite", "tflite", tuple(nodes), tensors, (0,), (LONG + 1,)))
    asked: list[str] = []
    found = Context.runtime_inputs
    monkeypatch.setattr(Context, "runtime_inputs", lambda self, node: asked.append(node.kind) or found(self, node))  # type: ignore[func-returns-value]
    assert find(context, range(LONG + 1)) == {} and "mul" not in asked


def test_the_kernels_of_a_plan_are_looked_through_once_for_all_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counted(tuple[Any, ...]):
        asked = 0

        def __iter__(self) -> Any:
            Counted.asked += 1
            return super().__iter__()

    class Scene:
        kernels = Counted()

    class Seen:
        plan, graph = Scene(), chain("relu")

        def shared(self, find: Any) -> list[Group]:
            return [Group("layer_norm", (at,), 0) for at in range(LONG)]

    monkeypatch.setattr(missed_fusion, "view", lambda subject: Seen())
    assert not list(missed_fusion.check(None))  # type: ignore[arg-type]
    assert Counted.asked == 1
