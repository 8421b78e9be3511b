"""docs/json.md and docs/schemas: what they say of ``latlint.predict/1`` and ``latlint.check/1`` is what latlint prints."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from latlint.cli import main

DOCS = Path(__file__).resolve().parents[2] / "docs"
Model = Callable[[str], Path]

#: Command lines whose documents have every key between them: a broken budget, a changed model, an unjudged model, a file that is none, what is explained.
COMMANDS = (
    "check net.tflite open.onnx bad.tflite -t pixel-4/gpu -b 1ms --no-config",
    "check net.tflite -t pixel-4/gpu --config memory.toml",
    "check net.tflite -t pixel-4/gpu --no-config --base HEAD",
    "predict net.tflite gelu.tflite -t pixel-4/gpu --explain --no-config",
    "predict open.onnx bad.tflite -t pixel-4/cpu-1large --no-config",
)


@pytest.fixture
def documents(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> dict[str, list[dict[str, Any]]]:
    """The documents of ``COMMANDS`` by the name of their schema."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(model("mobilenet_v2_025_f16.tflite"), "net.tflite")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "before"]):
        subprocess.run(["git", *command], check=True)
    shutil.copy(model("mobilenet_v2.tflite"), "net.tflite")
    shutil.copy(model("one_gelu.tflite"), "gelu.tflite")
    (tmp_path / "open.onnx").write_bytes(_of_an_op_that_nobody_knows())
    (tmp_path / "bad.tflite").write_bytes(b"x")
    (tmp_path / "memory.toml").write_text('[[budgets]]\npeak-memory = "1 kB"\n')
    found: dict[str, list[dict[str, Any]]] = {}
    for command in COMMANDS:
        main([*command.split(), "--format", "json"])
        found.setdefault(command.split()[0], []).append(json.loads(capsys.readouterr().out))
    return found


def _of_an_op_that_nobody_knows() -> bytes:
    from onnx import TensorProto, helper

    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8, "h", 8]) for name in "xy"]
    nodes = [helper.make_node("Mystery", ["x"], ["y"], domain="nobody")]
    graph = helper.make_graph(nodes, "g", value[:1], value[1:])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("nobody", 1)])
    return bytes(made.SerializeToString())


def keys(value: Any) -> Iterator[str]:
    """Every key in a document, at whatever depth."""
    if isinstance(value, dict):
        yield from value
        for each in value.values():
            yield from keys(each)
    elif isinstance(value, list):
        for each in value:
            yield from keys(each)


def stated(schema: dict[str, Any]) -> Iterator[str]:
    """Every key that a schema names."""
    yield from schema.get("properties", {})
    for inner in (*schema.get("properties", {}).values(), *filter(None, [schema.get("items")])):
        yield from stated(inner)


@pytest.mark.parametrize("name", ["check", "predict"])
def test_documents_keep_to_the_schema_and_the_page(name: str, documents: dict[str, list[dict[str, Any]]]) -> None:
    schema = json.loads((DOCS / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))
    checks = jsonschema.Draft202012Validator(schema)
    for document in documents[name]:
        assert [error.message for error in checks.iter_errors(document)] == []
    assert set(keys(documents[name])) == set(stated(schema))
    page = (DOCS / "json.md").read_text(encoding="utf-8")
    assert set(stated(schema)) <= set(re.findall(r"`(\w+)`", page))


def test_a_schema_refuses_what_is_no_such_document() -> None:
    schema = json.loads((DOCS / "schemas" / "check.schema.json").read_text(encoding="utf-8"))
    assert list(jsonschema.Draft202012Validator(schema).iter_errors({"schema": "latlint.check/1"}))
