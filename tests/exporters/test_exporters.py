"""Models by real exporters: what latlint makes of them is what docs/exporters.md states, and what the runtimes say themselves."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from latlint.graph import read
from latlint.graph.inputs import InputShape

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"exporters_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


table = loaded(HERE / "table.py")
placement = loaded(REPOSITORY / "benchmarks" / "placement.py")
NAMES = table.names()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    directory = tmp_path_factory.mktemp("exported")
    return lambda name: table.unpacked(name, directory)


def test_the_files_stay_small() -> None:
    sizes = {path.name: path.stat().st_size for path in HERE.glob("*.gz")}
    assert len(sizes) > 30 and max(sizes.values()) < 60_000 and sum(sizes.values()) < 400_000


@pytest.mark.slow
def test_the_table_of_the_documentation_is_what_latlint_says() -> None:
    documented = table.ROWS.findall(table.PAGE.read_text(encoding="utf-8"))
    assert documented == list(table.rows()), "bring it up to date with `python tests/exporters/table.py`"


def recorded(kind: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((HERE / f"placement-{kind}.json").read_text())[kind]
    return found


@pytest.mark.parametrize("name", sorted(recorded("xnnpack")))
def test_xnnpack_takes_the_nodes_that_the_interpreter_gives_it(name: str, exported: Callable[[str], Path]) -> None:
    agree, text = placement.compare_xnnpack(exported(f"{name}.tflite"), recorded("xnnpack")[name])
    assert agree, text


@pytest.mark.parametrize("name", sorted(recorded("gpu")))
def test_the_gpu_delegate_refuses_the_nodes_that_the_analyzer_names(name: str, exported: Callable[[str], Path]) -> None:
    agree, text = placement.compare_gpu(exported(f"{name}.tflite"), recorded("gpu")[name])
    assert agree, text


@pytest.mark.parametrize("name", ["keras_dynamic_batch.tflite", "keras_dynamic_size.tflite"])
def test_a_resized_input_gives_the_shapes_that_the_interpreter_has_after_a_run(
    name: str, exported: Callable[[str], Path]
) -> None:
    """The record is of LiteRT 2.3: resize_tensor_input, allocate_tensors, invoke, get_tensor_details."""
    path = exported(name)
    for dims, shapes in json.loads((HERE / "resized.json").read_text())[name].items():
        source = read(path)
        wanted = InputShape(source.tensors[source.inputs[0]].name, tuple(map(int, dims.split("x"))))
        graph = read(path, [wanted])
        computed = [(str(i), tensor) for i, tensor in enumerate(graph.tensors) if not tensor.constant]
        assert {i: list(tensor.shape or ()) for i, tensor in computed} == {i: shapes[i] for i, _ in computed}
        assert not graph.notes and not graph.assumed


def test_a_size_that_the_graph_cannot_take_says_where(exported: Callable[[str], Path]) -> None:
    from latlint.errors import LatlintError

    path = exported("keras_dynamic_size.tflite")
    name = read(path).tensors[read(path).inputs[0]].name
    # an odd size: what is upsampled no longer fits what is joined to it
    with pytest.raises(LatlintError, match=r"node 61 \(CONCATENATION\) would join 1x26x26x32 and 1x25x25x32") as caught:
        read(path, [InputShape(name, (1, 100, 100, 3))])
    assert caught.value.code == "LAT008"
