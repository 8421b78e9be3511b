"""What an interpreter loads: held against the tables that its release was asked for, and against LiteRT where it is installed."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from latlint.cli import main
from latlint.graph import read
from latlint.graph.tflite_ops import BUILTIN_NAMES
from latlint.graph.types import Graph
from latlint.runtime.loading import missing, newest_versions
from tests.graph.test_tflite import Body, Op, T, build, weights

TF_2_10, TF_2_15, LITERT = "tflite-2.10/gpu-delegate", "tflite-2.15/xnnpack", "litert-2.3/xnnpack"


@pytest.mark.parametrize(
    ("op", "newest"),
    [
        ("CONV_2D", (6, 8, 8)),
        ("FULLY_CONNECTED", (9, 11, 14)),
        ("TRANSPOSE_CONV", (3, 5, 5)),
        ("ADD", (4, 5, 6)),
        ("STABLEHLO_ADD", (0, 0, 1)),
        ("CUSTOM", (0, 0, 0)),
    ],
)
def test_the_newest_version_that_has_a_kernel(op: str, newest: tuple[int, int, int]) -> None:
    assert tuple(newest_versions(runtime).get(op, 0) for runtime in (TF_2_10, TF_2_15, LITERT)) == newest


def test_a_release_never_forgets_a_version() -> None:
    for older, newer in ((TF_2_10, TF_2_15), (TF_2_15, LITERT)):
        assert {
            op for op, version in newest_versions(older).items() if version > newest_versions(newer).get(op, 0)
        } == set()
    assert set(newest_versions(LITERT)) <= set(BUILTIN_NAMES)


@pytest.fixture
def graph(model: Callable[[str], Path]) -> Graph:
    return read(model("mobilenet_v2.tflite"))


def with_version(graph: Graph, op: str, version: int) -> Graph:
    nodes = tuple(replace(node, version=version) if node.native == op else node for node in graph.nodes)
    return replace(graph, nodes=nodes)


def test_what_is_missing_is_named_with_its_version(graph: Graph) -> None:
    assert missing(graph, TF_2_10) == []
    (found,) = missing(with_version(graph, "CONV_2D", 7), TF_2_10)
    assert (found.op, found.version, found.newest) == ("CONV_2D", 7, 6)
    assert len(found.nodes) > 30
    assert missing(with_version(graph, "CONV_2D", 7), TF_2_15) == []
    assert missing(with_version(graph, "CONV_2D", 9), LITERT)[0].newest == 8
    assert missing(with_version(graph, "CONV_2D", 6), TF_2_10) == []


def one_op(code: int, version: int) -> bytes:
    """A TFLite file with one built-in op without options, as its schema has it."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    flatbuffers = pytest.importorskip("flatbuffers")

    op = schema.OperatorCodeT()
    op.builtinCode, op.deprecatedBuiltinCode, op.version = code, min(code, 127), version
    tensors = [schema.TensorT() for _ in range(2)]
    for tensor in tensors:
        tensor.shape, tensor.type, tensor.buffer = [1], 0, 0
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0], [1]
    subgraph = schema.SubGraphT()
    subgraph.tensors, subgraph.inputs, subgraph.outputs, subgraph.operators = tensors, [0], [1], [operator]
    whole = schema.ModelT()
    whole.version, whole.operatorCodes, whole.subgraphs, whole.buffers = 3, [op], [subgraph], [schema.BufferT()]
    builder = flatbuffers.Builder(512)
    builder.Finish(whole.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("op", ["ABS", "CONV_2D", "FULLY_CONNECTED", "GELU", "TRANSPOSE_CONV", "PRELU"])
def test_litert_itself_loads_that_version_and_no_newer_one(op: str) -> None:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    newest, code = newest_versions(LITERT)[op], BUILTIN_NAMES.index(op)
    interpreter.Interpreter(model_content=one_op(code, newest))
    with pytest.raises(ValueError, match=f"Didn't find op for builtin opcode '{op}' version '{newest + 1}'"):
        interpreter.Interpreter(model_content=one_op(code, newest + 1))


@pytest.mark.parametrize("version", [0, 16])
def test_an_op_that_nothing_runs_is_looked_up_all_the_same(version: int, tmp_path: Path) -> None:
    """Of the branch that does not count, and in a subgraph that nothing calls. LiteRT refuses both files."""
    image, row = T((1, 8)), T((1, 8))
    strange = Body([image, row], [Op("GELU", [0], [1], None, version)], [0], [1])
    plain = Body([image, weights(8, 8), row], [Op("FULLY_CONNECTED", [0, 1], [2])], [0], [2])
    choice = Op("IF", [0, 1], [2], ("IfOptions", {"ThenSubgraphIndex": 1, "ElseSubgraphIndex": 2}))
    files = {
        "branch": build([T((), "bool"), image, row], [choice], inputs=(0, 1), outputs=(2,), bodies=[strange, plain]),
        "subgraph": build([image, row], [Op("RELU", [0], [1])], outputs=(1,), bodies=[strange]),
    }
    for name, data in files.items():
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(data)
        read_one = read(path)
        assert [(each.op, each.version, each.nodes) for each in missing(read_one, LITERT)] == [("GELU", version, ())]
        if importlib.util.find_spec("ai_edge_litert") is not None:
            from ai_edge_litert.interpreter import Interpreter

            with pytest.raises(ValueError, match=f"'GELU' version '{version}'"):
                Interpreter(str(path))


class TestGate:
    @pytest.fixture
    def newer(self, tmp_path: Path) -> Path:
        """A file of one GELU of a version that nobody has."""
        path = tmp_path / "m.tflite"
        path.write_bytes(one_op(BUILTIN_NAMES.index("GELU"), 16))
        return path

    def checked(self, path: Path, capsys: Any, *arguments: str) -> tuple[int, dict[str, Any]]:
        code = main(["check", str(path), "--no-config", "-t", "pixel-4/gpu", "--format", "json", *arguments])
        return code, json.loads(capsys.readouterr().out)

    def test_it_does_not_pass(self, newer: Path, capsys: pytest.CaptureFixture[str]) -> None:
        code, document = self.checked(newer, capsys, "-b", "100ms")
        (finding,) = (each for each in document["findings"] if each["code"] == "LAT012")
        assert "GELU version 16 (1 op; its newest is version 2)" in finding["message"]
        assert "TensorFlow Lite 2.10" in finding["message"]
        assert (code, finding["severity"]) == (1, "error")
        assert document["predictions"][0]["verdict"]["word"] == "unjudged"

    def test_without_a_budget_it_is_a_warning(self, newer: Path, capsys: pytest.CaptureFixture[str]) -> None:
        code, document = self.checked(newer, capsys)
        assert [each["severity"] for each in document["findings"] if each["code"] == "LAT012"] == ["warning"]
        assert code == 0
