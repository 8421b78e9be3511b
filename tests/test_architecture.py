"""What holds the house together: rooms in one order, no arrow back up, no circle, nobody in another's drawers; and the tables that must
name every op, runtime and rule. Sources are parsed, not imported, so that an import inside a function counts like any other."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "latlint"

#: From the ground up: a room may import from those before it and from itself. ``docs/architecture.md`` says what each is for.
ROOMS = (
    "records", "address", "errors", "units", "words", "globs", "files", "data",
    "graph", "settings", "runtime", "latency", "whatif", "checks", "outcome", "project",
    "run", "review", "report", "difference", "api", "training", "cli", "__main__",
)  # fmt: skip

#: Who imports any module has imported the package itself; it holds the version, and the way in for scripts, which is imported when asked for.
ROOT = "latlint"


class Import(NamedTuple):
    """``name`` of ``module``, imported by ``by``; ``line`` is where."""

    by: str
    module: str
    name: str
    line: int


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(REPOSITORY).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


def imports() -> Iterator[Import]:
    """Every import of the package's own, wherever it stands; of a submodule as that module."""
    known = modules()
    for by, tree in known.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{by} imports relatively"
                for alias in node.names:
                    module = f"{node.module}.{alias.name}"
                    name = "" if module in known else alias.name
                    yield Import(by, module if module in known else node.module or "", name, node.lineno)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(by, alias.name, "", node.lineno)


@cache
def own() -> list[Import]:
    """Those of the package, but for its version."""
    return [each for each in imports() if each.module.partition(".")[0] == ROOT and each.module != ROOT]


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ROOT


def test_every_room_has_its_place() -> None:
    assert {room(module) for module in modules()} == {*ROOMS, ROOT}
    assert len(set(ROOMS)) == len(ROOMS)


def test_nothing_imports_from_a_room_above_it() -> None:
    places = {name: place for place, name in enumerate(ROOMS)}
    upward = [each for each in own() if each.by != ROOT and places[room(each.by)] < places[room(each.module)]]
    assert upward == []


def test_there_is_no_circle() -> None:
    """Nor one through imports inside functions or for types alone: what needs the other to be understood is one module."""
    reads: dict[str, set[str]] = {name: set() for name in modules()}
    for each in own():
        if each.by != ROOT and each.by != each.module:
            reads[each.by].add(each.module)
    while free := {name for name, others in reads.items() if not others & reads.keys()}:
        for name in free:
            del reads[name]
    assert reads == {}, "these import each other"


def test_no_private_name_crosses_a_room() -> None:
    def private(name: str) -> bool:
        return name.startswith("_") and not name.endswith("__")

    crossing = [
        each
        for each in own()
        if room(each.by) != room(each.module) and any(map(private, (*each.module.split("."), each.name)))
    ]
    assert crossing == []
    for by, tree in modules().items():
        there = {each.module.rpartition(".")[2] for each in own() if each.by == by and not each.name}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in there:
                assert not private(node.attr), f"{by} reaches for {node.value.id}.{node.attr}"


def test_the_page_shows_todays_house() -> None:
    """Every directory of the package stands in the picture of ``docs/architecture.md``, and all that stands there is in the repository."""
    page = (REPOSITORY / "docs" / "architecture.md").read_text("utf-8")
    picture = page.partition("\n## Rooms\n")[2].split("```")[1]
    places = [path for path in REPOSITORY.iterdir() if path.is_dir() and not path.name.startswith(".")]
    there = {path.name for place in places for path in (place, *place.rglob("*"))}
    named = {*re.findall(r"(\w+)/", picture), *re.findall(r"[\w.]+\.(?:py|json)\b", picture)} - {"ci"}
    assert named - there == set()
    assert {path.parent.name for path in PACKAGE.rglob("__init__.py")} - {ROOT} <= named


# --- Tables that must be whole ----------------------------------------------------------------------------------------------

#: How kernels of a kind are priced by what they touch where no runtime's own model of them is known, on CPUs (``latency/counts.py``).
PRICES = {
    "matmul": "conv1d conv2d conv3d depthwise_conv2d transpose_conv2d transpose_conv3d fully_connected batch_matmul attention "
    "einsum gru lstm rnn svdf",
    "pool": "max_pool2d average_pool2d l2_pool2d",
    "softmax": "softmax log_softmax",
    "transcendental": "cos div elu erf exp gelu log mish pow rsqrt sigmoid sin softplus sqrt tanh batch_norm group_norm "
    "instance_norm l2_normalization layer_norm local_response_norm",
    "reduce": "mean sum reduce_max reduce_min reduce_prod reduce_any reduce_all reduce_l1 reduce_l2 arg_max arg_min cumsum top_k",
    "resize": "resize_bilinear resize_nearest resize_cubic grid_sample",
    "move": "concat split split_v pad pad_v2 mirror_pad reshape squeeze expand_dims transpose slice strided_slice depth_to_space "
    "space_to_depth batch_to_space space_to_batch tile broadcast_to gather gather_nd scatter_nd pack unpack reverse identity "
    "cast dropout flatten embedding_lookup",
    "elementwise": "abs ceil floor hard_sigmoid hard_swish leaky_relu logical_not neg prelu reciprocal relu relu6 relu_0_to_1 "
    "relu_n1_to_1 round sign softsign square clip add sub mul floor_div floor_mod maximum minimum squared_difference equal "
    "not_equal greater greater_equal less less_equal logical_and logical_or quantize dequantize fake_quant select where shape "
    "size rank fill range one_hot random densify constant "
    "variable read_variable assign_variable",
    "": "unknown if while call non_max_suppression detection_postprocess roi_align",
}


def kinds() -> frozenset[str]:
    from latlint.graph.ops import KINDS

    return KINDS


def test_every_kind_of_op_has_one_price() -> None:
    listed = [kind for names in PRICES.values() for kind in names.split()]
    assert len(listed) == len(set(listed)), "a kind stands twice"
    assert set(listed) == kinds(), "say what a new kind costs: nothing is priced by default"


@pytest.mark.parametrize("price", PRICES, ids=lambda price: price or "none")
def test_a_kind_is_priced_as_the_table_says(price: str) -> None:
    from latlint.latency.models import model_of
    from latlint.runtime.types import Kernel

    shape = (1, 8, 8, 16)
    for kind in PRICES[price].split():
        kernel = Kernel(kind, "of no runtime", (0,), (shape,), (shape,), macs=4096)
        terms = model_of("xnnpack").price(kernel)
        if not price:
            assert terms is None, kind
        else:
            assert terms is not None
            assert {name.split(".")[1] for name in terms} - {"call", "memory"} == {price}, kind


def test_the_converter_handles_every_kind_or_says_that_it_does_not() -> None:
    from latlint.runtime.convert.handlers import HANDLERS, UNHANDLED

    assert UNHANDLED.isdisjoint(HANDLERS)
    assert UNHANDLED | HANDLERS.keys() == kinds()


def rules_files() -> list[Path]:
    return sorted((REPOSITORY / "rules").rglob("*.toml"))


@pytest.mark.parametrize("path", rules_files(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_runtime_has_a_planner_a_cost_model_and_who_runs_the_rest(path: Path) -> None:
    rules = tomllib.loads(path.read_text(encoding="utf-8"))
    assert rules["kind"] in literal("latlint.runtime.planners", "PLANNERS")
    if rules["executor"] == "onnxruntime" and "latlint.latency.models.onnxruntime" not in modules():
        pytest.xfail("planned, and not yet priced: a prediction says so (LAT901)")
    assert f"latlint.latency.models.{rules['executor']}" in modules()
    if "fallback" in rules:
        assert REPOSITORY / "rules" / f"{rules['fallback']}.toml" in rules_files()
    assert rules["takes"] in ("tflite", "onnx")


def test_the_index_of_packs_is_of_today(tmp_path: Path) -> None:
    """Otherwise they are looked through each time: nothing breaks, and all of it takes longer."""
    from latlint.latency.catalogue import INDEX, write_index

    packs = REPOSITORY / "predictors"
    for path in packs.glob("*/card.json"):
        (tmp_path / path.parent.name).mkdir()
        (tmp_path / path.parent.name / "card.json").symlink_to(path)
    write_index(tmp_path)
    call = "python -c 'from latlint.latency.catalogue import *; write_index(data_dir(\"predictors\"))'"
    assert (tmp_path / INDEX).read_bytes() == (packs / INDEX).read_bytes(), f"packs have changed: {call}"


def literal(module: str, name: str) -> Any:
    """The value of a constant of a module, as it is written."""
    for node in modules()[module].body:
        target = node.target if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [None])[0]
        if isinstance(target, ast.Name) and target.id == name and isinstance(node, ast.Assign | ast.AnnAssign):
            return ast.literal_eval(node.value or ast.Constant(None))
    raise AssertionError(f"{module} has no {name}")


def test_rules_are_about_processors_that_there_are() -> None:
    executors = {tomllib.loads(path.read_text(encoding="utf-8"))["executor"] for path in rules_files()}
    about: dict[str, tuple[str, ...]] = {}
    for module, tree in modules().items():
        for node in ast.walk(tree):
            called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            if called == "Rule" and room(module) == "checks" and isinstance(node, ast.Call):
                given = {keyword.arg: keyword.value for keyword in node.keywords}
                value = node.args[3] if len(node.args) > 3 else given.get("about")
                about[module] = ast.literal_eval(value) if value else ()
    assert len(about) > 50
    for module, traits in about.items():
        assert set(traits) <= {"host", "offload", *executors}, module
