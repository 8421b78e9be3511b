"""The parts of the onnx package that reading needs are what the package has, and the package is whole for whoever asks for more."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from latlint.graph import onnx_parts as parts

READ = """
import sys
from latlint.graph import read
assert len(read(sys.argv[1]).nodes) > 10
print("onnx.helper" in sys.modules, "google.protobuf.json_format" in sys.modules)
"""
WHOLE = """
import onnx
from onnx import helper
assert onnx.load(sys.argv[1]).graph.node and onnx.__version__ and onnx.checker and not hasattr(onnx, "nothing")
assert helper is onnx.helper and onnx.ModelProto is onnx.onnx_ml_pb2.ModelProto
assert sys.modules["onnx"] is onnx and onnx.__spec__.origin == onnx.__file__
print(len(read(sys.argv[1]).nodes) > 10)
"""
THREADS = """
import onnx
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    found = list(pool.map(lambda _: onnx.load_model_from_string, range(64)))
print(len({*map(id, found)}))
"""


REPOSITORY = Path(__file__).parents[2]


def printed(program: str, model: Path, ahead: str = "") -> list[str]:
    """The words that ``program`` prints; modules in the directory ``ahead`` come before those that are installed."""
    env = os.environ | ({"PYTHONPATH": os.pathsep.join((ahead, str(REPOSITORY)))} if ahead else {})
    done = subprocess.run(
        [sys.executable, "-c", program, model], capture_output=True, text=True, check=False, cwd=Path.cwd(), env=env
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_reading_runs_no_more_of_onnx_than_it_needs_and_leaves_the_rest_to_be_found(
    model: Callable[[str], Path],
) -> None:
    assert printed(READ + WHOLE, model("resnet18.onnx")) == ["False", "False", "True"]


@pytest.mark.slow
def test_the_oldest_onnx_that_latlint_takes_is_whole_as_well(model: Callable[[str], Path], tmp_path: Path) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    (oldest,) = re.findall(r"^onnx>=([\d.]+)", "\n".join(project["dependencies"]), re.MULTILINE)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", "onnx"]
    done = subprocess.run(
        [*install, "--target", tmp_path, f"onnx=={oldest}.*"], capture_output=True, text=True, check=False
    )
    if "No matching distribution" in done.stderr:
        # not `lacking`: nobody can install what was not built
        pytest.skip(f"onnx {oldest} has no wheel for this Python")
    assert done.returncode == 0, done.stderr
    program = READ + WHOLE + "print(onnx.__version__)"
    *_, whole, version = printed(program, model("resnet18.onnx"), str(tmp_path))
    assert whole == "True" and version.startswith(f"{oldest}.")


def test_threads_that_ask_for_the_rest_at_once_all_get_it(model: Callable[[str], Path]) -> None:
    assert printed(READ + THREADS, model("resnet18.onnx"))[-1] == "1"


def test_a_package_that_is_imported_already_is_used(model: Callable[[str], Path]) -> None:
    assert (
        printed("import onnx\nbefore = onnx\n" + READ + "print(onnx is before)", model("resnet18.onnx"))[-1] == "True"
    )


KINDS = [
    TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.INT8, TensorProto.INT16,
    TensorProto.INT32, TensorProto.INT64, TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64,
    TensorProto.BOOL,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=TensorProto.DataType.Name)
def test_elements_are_those_that_onnx_reads(kind: int) -> None:
    dtype = parts.tensor_dtype_to_np_dtype(kind)
    assert dtype == helper.tensor_dtype_to_np_dtype(kind)
    assert parts.np_dtype_to_tensor_dtype(np.dtype(dtype)) == kind
    values = np.array([0, 1, 1, 0, 1, 1] if kind == TensorProto.BOOL else [1, 2, 3, 0, 5, 120], dtype).reshape(2, 3)
    if kind != TensorProto.BOOL and np.dtype(dtype).kind in "if":
        values = -values
    typed = helper.make_tensor("x", kind, [2, 3], values.ravel().tolist())
    for tensor in (typed, numpy_helper.from_array(values)):
        found, expected = parts.to_array(tensor), numpy_helper.to_array(tensor)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(found, values)
    assert parts.from_array(values) == numpy_helper.from_array(values)
    typed.dims[0] = 5
    with pytest.raises(ValueError, match="reshape"):
        parts.to_array(typed)


@pytest.mark.parametrize("shape", [None, (), (1, -1, 3)])
def test_types_are_those_that_onnx_makes(shape: tuple[int, ...] | None) -> None:
    dims = None if shape is None else [None if dim < 0 else dim for dim in shape]
    assert parts.tensor_type(1, shape) == helper.make_tensor_type_proto(1, dims)


def test_messages_are_those_that_onnx_makes() -> None:
    assert parts.make_node("Relu", ["x"], ["y"]) == helper.make_node("Relu", ["x"], ["y"])
    assert parts.opsets_of({"": 17}) == [helper.make_opsetid("", 17)]
    assert parts.defs is onnx.defs
