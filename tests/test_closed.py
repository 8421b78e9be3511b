"""What a run may do to the world: read what it is given, and nothing else. An audit hook sees all that Python does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import onnx
import pytest
from onnx import TensorProto, helper

from latlint.data import data_dir

REPOSITORY = Path(__file__).resolve().parent.parent
REGRESSIONS = REPOSITORY / "tests" / "fuzz" / "regressions"

#: A first run imports all that a run needs. A second one, of which every event is noted, then has nothing to import.
_WATCHED = """
import contextlib, io, json, sys
from latlint.cli import main

said = io.StringIO()

def run(arguments):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        return main(arguments)

known, unknown = json.loads(sys.argv[1])
statuses = [run(arguments) for arguments in known]
seen = []
watching = True

def hook(event, arguments):
    if watching:
        seen.append((event, [str(argument) for argument in arguments]))

sys.addaudithook(hook)
statuses += [run(arguments) for arguments in unknown]
watching = False
print(json.dumps([statuses, seen, said.getvalue()]))
"""

Event = tuple[str, list[str]]


def events(here: Path, known: list[list[str]], unknown: list[list[str]]) -> tuple[list[int], list[Event]]:
    """Exit codes of runs, ``known`` ones first, and what Python did in the ``unknown`` ones."""
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED, json.dumps([known, unknown])],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    statuses, seen, said = json.loads(done.stdout)
    assert "internal error" not in said
    return statuses, [(event, arguments) for event, arguments in seen]


def external_model(path: Path, location: str) -> None:
    """Tensors everywhere whose values are said to lie in ``location``: weights, a shape, an attribute."""
    outside = TensorProto(name="w", data_type=TensorProto.INT64, dims=[2], data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value=location)
    nodes = [
        helper.make_node("Constant", [], ["c"], value=outside),
        helper.make_node("ConstantOfShape", ["s"], ["f"], value=outside),
        helper.make_node("Reshape", ["x", "w"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [outside, helper.make_tensor("s", TensorProto.INT64, [1], [2])],
    )
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())


@pytest.fixture
def here(tmp_path: Path, model: Callable[[str], Path]) -> Path:
    """Models, good and hostile, and a pack."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "models").mkdir()
    for name in ("one_gelu.tflite", "vit_tiny.onnx", "mobilenet_v2_int8.tflite"):
        shutil.copy(model(name), tmp_path / "models" / name)
    for form in ("tflite", "onnx"):
        for path in (REGRESSIONS / form).iterdir():
            shutil.copy(path, tmp_path / "models" / f"{path.name}.{form}")
    (tmp_path / "secret").write_bytes(bytes(16))
    external_model(tmp_path / "models" / "beside.onnx", "../secret")
    external_model(tmp_path / "models" / "absolute.onnx", str(tmp_path / "secret"))
    # C code is not seen by the hook, but it would wait for this one, or refuse it.
    os.mkfifo(tmp_path / "models" / "pipe")
    external_model(tmp_path / "models" / "waits.onnx", "pipe")
    shutil.copytree(data_dir("predictors") / "pixel-4", tmp_path / "pack")
    return tmp_path


@pytest.mark.slow
def test_a_run_reads_what_it_is_given_and_does_nothing_else(here: Path) -> None:
    targets = [
        "--target",
        "pixel-4/gpu",
        "--target",
        "pixel-4/cpu-1large",
        "--pack",
        "pack",
        "--no-cache",
        "--jobs",
        "1",
    ]
    formats = ("text", "json", "sarif", "junit", "markdown", "csv")
    known = [["check", "models", *targets, "--format", name] for name in formats]
    statuses, seen = events(here, known, [["check", ".", *targets, "--format", name] for name in formats])
    assert set(statuses) == {2}, "some of the files are refused"
    assert len(seen) > 100

    harmless = {"os.listdir", "os.scandir", "os.stat", "object.__getattr__", "object.__setattr__", "sys._getframe"}
    harmless |= {"builtins.id", "code.__new__", "gc.get_objects", "time.sleep", "os.walk", "signal.signal", "glob.glob"}
    given = [here, data_dir("predictors"), data_dir("rules"), REPOSITORY / "latlint"]
    opened = set()
    for event, arguments in seen:
        if event == "subprocess.Popen":  # which files below a repository are ignored
            assert Path(arguments[0]).name == "git", arguments
            continue
        if event != "open":
            assert event in harmless or event.startswith(("pathlib.", "array.", "cpython.", "glob.")), (
                event,
                arguments,
            )
            continue
        if not arguments[0].isdecimal():  # a descriptor that is open already
            path = (here / arguments[0]).resolve()
            assert any(path.is_relative_to(place) for place in given), f"opened {path}"
            opened.add(path)
        assert arguments[0].isdecimal() or not int(arguments[2]) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT), (
            f"written: {arguments}"
        )
    assert not {here / "secret", here / "models" / "pipe"} & opened
    assert here / "models" / "beside.onnx" in opened, "the watch is not blind"


def test_external_data_that_leaves_the_directory_is_told(here: Path) -> None:
    from latlint.graph import read

    for name in ("beside", "absolute"):
        notes = " ".join(read(here / "models" / f"{name}.onnx").notes)
        assert "not opened; some are named by a path that leaves the model's directory" in notes


@pytest.mark.slow
@pytest.mark.parametrize("name", ["one_gelu.tflite", "vit_tiny.onnx"])
def test_no_network_is_needed(model: Callable[[str], Path], name: str, lacking: Callable[[str], NoReturn]) -> None:
    """In a network namespace of its own a process has no way out."""
    tool = shutil.which("unshare")
    alone = [tool, "--net"] if os.geteuid() == 0 else [tool, "--net", "--map-root-user"]
    if not tool or subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        lacking("needs unshare, and the right to make a network namespace")
    args = [*alone, sys.executable, "-m", "latlint", "check", str(model(name)), "--target", "pixel-4/gpu"]
    done = subprocess.run(
        args, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_specimen_is_what_it_says(tmp_path: Path) -> None:
    """onnx itself does open what the tensors of ``external_model`` name."""
    external_model(tmp_path / "m.onnx", "secret")
    (tmp_path / "secret").write_bytes(bytes(16))
    loaded = onnx.load(str(tmp_path / "m.onnx"))
    assert loaded.graph.initializer[0].raw_data == bytes(16)
