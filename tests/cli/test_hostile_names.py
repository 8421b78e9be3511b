"""A real file whose file name, tensors, nodes, ops and messages wish their readers ill, through every command and every format."""

from __future__ import annotations

import re
import subprocess
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.cli.conftest import Result, formats_of_commands
from tests.report.conftest import HOSTILE

Run = Callable[..., Result]

#: A file name can have neither a slash nor a NUL, and no more than 255 bytes.
FILE = "\x1b[31m::error::%0A<b>=1+1\n##[error]@x `a` \u202e#1.onnx"

#: Longer names are refused.
LONGEST = 4000

TARGETS = ("-t", "pixel-4/gpu", "-t", "pixel-4/cpu-1large")

#: How each command that has formats is brought to show the model.
ARGUMENTS = {
    "check": ("check", FILE, *TARGETS, "-b", "0.001ms", "--no-config"),
    "predict": ("predict", FILE, *TARGETS, "--explain", "--all-kernels", "--no-config"),
    "diff": ("diff", "plain.onnx", FILE, *TARGETS, "--no-config"),
    "lock": ("lock", FILE, *TARGETS, "--no-config"),
    "baseline": ("baseline", FILE, *TARGETS),
}

GITHUB = re.compile(r"::(?:error|warning|notice) file=[^,]*,line=1,title=[^,:]*::(?!.*##\w*\[)")


def network(names: tuple[str, ...]) -> onnx.ModelProto:
    """A chain of convolutions, activations, an op that nobody knows and a GELU, named by ``names``."""
    nodes, weights, value = [], [], "in"
    for i, name in enumerate(names):
        text = name.encode("utf-8", "replace").decode()[:LONGEST]
        op = ("Conv", "Relu", "Sigmoid", "Conv", "Softsign", "Mystery")[i % 6]
        out = f"{i}{text}"[:LONGEST]
        inputs = [value]
        if op == "Conv":
            weights.append(numpy_helper.from_array(np.zeros((8, 8, 3, 3), np.float32), f"w{out}"))
            inputs.append(weights[-1].name)
        if op == "Mystery":
            op = re.sub(r"\0", "", text[:200]) or op
        nodes.append(helper.make_node(op, inputs, [out], name=text, **({"pads": [1] * 4} if op == "Conv" else {})))
        value = out
    shape = [1, 8, 32, 32]
    graph = helper.make_graph(
        nodes,
        HOSTILE[0],
        [helper.make_tensor_value_info("in", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, shape)],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


@pytest.fixture
def models(repository: Path) -> Path:
    """A hostile model, one of the same shape with plain names, and a hostile file that is no model."""
    names = (*HOSTILE, *HOSTILE[:4])
    (repository / "latlint.toml").write_text("targets = ['pixel-4/gpu']\n[[budgets]]\nmax = '1us'\n", encoding="utf-8")
    (repository / FILE).write_bytes(network(names).SerializeToString())
    (repository / "plain.onnx").write_bytes(network(tuple("abcdefgh")).SerializeToString())
    return repository


def assert_inert(text: str, commands: re.Pattern[str] | None = None) -> None:
    for char in set(text) - {"\n"}:
        category = unicodedata.category(char)
        assert category[0] != "C" and category not in ("Zl", "Zp"), f"{char!r} ({category})"
    lines = [line for line in text.splitlines() if re.search(r"^\s*::\w|##\w*\[", line)]
    assert [line for line in lines if not (commands and commands.match(line))] == []


@pytest.mark.parametrize(("command", "form"), formats_of_commands())
def test_no_command_passes_names_on_as_they_are(command: str, form: str, latlint: Run, models: Path) -> None:
    assert command in ARGUMENTS, "a new command with formats: say above how it is called"
    if command == "predict" and latlint(*ARGUMENTS[command], "--format", form).err.endswith("`latlint predict`\n"):
        return
    done = latlint(*ARGUMENTS[command], "--format", form)
    assert done.status in (0, 1), done.err
    assert len(done.out) > 50
    assert_inert(done.out, GITHUB if form == "github" else None)
    assert_inert(done.err)


def test_no_file_that_is_written_holds_names_as_they_are(latlint: Run, models: Path) -> None:
    subprocess.run(["git", "init", "-q", "."], check=True)
    assert latlint("lock", FILE, *TARGETS).status == 0
    assert latlint("baseline", FILE, *TARGETS).status == 0
    files = [path for path in models.iterdir() if path.suffix in (".lock", ".baseline")]
    assert len(files) == 2
    for path in files:
        assert_inert(path.read_text(encoding="utf-8"))
    done = latlint("textconv", FILE)
    assert done.status == 0, done.err
    assert_inert(done.out)


def test_a_name_of_a_megabyte_is_refused_in_a_line(latlint: Run, repository: Path) -> None:
    model = network(("a", "b"))
    model.graph.node[0].name = "\x1b" * 1_000_000
    (repository / "m.onnx").write_bytes(model.SerializeToString())
    done = latlint("check", "m.onnx", *TARGETS, "--no-config")
    (error,) = [line for line in done.err.splitlines() if "note: " not in line]
    assert done.status == 2 and len(error) < 400
    assert_inert(done.out + done.err)
