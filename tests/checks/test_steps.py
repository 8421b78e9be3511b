"""What is looked for in long chains takes a few steps a node."""

from __future__ import annotations

from itertools import permutations
from types import MappingProxyType
from typing import Any

import pytest
from linted import findings, subject

from latlint.checks import missed_fusion, nearest_in_pieces, transposes_cancel
from latlint.checks.view import View, view
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


def test_orders_beyond_those_that_are_looked_at_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """For each the whole graph is gone through."""
    asked: list[Any] = []
    monkeypatch.setattr(transposes_cancel, "_region", lambda view, order, *others: asked.append(order))
    orders = [order for order in permutations(range(5)) if order != tuple(range(5))]
    nodes = [
        Node(at, "t", "transpose", "TRANSPOSE", (0,), (at + 1,), MappingProxyType({"permutation": order}))
        for at, order in enumerate(orders)
    ]
    tensors = tuple(Tensor("t", (2,) * 5, "float32") for _ in range(len(orders) + 1))

    class Seen:
        graph = Graph("m", "tflite", "tflite", tuple(nodes), tensors, (0,), ())

    assert transposes_cancel._regions(Seen()) == []  # type: ignore[arg-type]
    assert len(asked) == 32 < len(orders)


def test_a_reorder_is_in_front_of_the_op_behind_it() -> None:
    found = findings("""
        # x86-64-avx512/cpu-1@onnxruntime onnx
        x = input 1x32x112x112
        a = conv2d x 32 kernel=1 native=Conv
        b = elu a native=Elu
        c = conv2d b 32 kernel=1 native=Conv
        d = softplus c native=Softplus
        e = conv2d d 32 kernel=1 native=Conv
        f = elu e native=Elu
        y = conv2d f 32 kernel=1 native=Conv
    """)
    assert ", before Elu ×2, Softplus" in found["LAT264"].message


def test_a_row_of_reshapes_is_not_gone_through_for_each_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Node] = []
    source = View.source
    monkeypatch.setattr(View, "source", lambda self, node, slot=0: asked.append(node) or source(self, node, slot))  # type: ignore[func-returns-value]
    rows = "".join(f"r{at + 1} = reshape r{at} -> {'64x1' if at % 2 else '1x64'}\n" for at in range(LONG))
    ends = "".join(f"t{at} = tile r{LONG} -> 2x64\ny{at} = reshape t{at} -> 1x128\n" for at in range(LONG))
    drawn = f"# pixel-4/gpu\nr0 = input 64x1\n{rows}{ends}"
    assert nearest_in_pieces._found(view(subject(drawn, "pixel-4/gpu"))) == []
    assert len(asked) < 20 * LONG
