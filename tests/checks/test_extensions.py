"""What grows by one file grows by one file: each test adds something new beside the package, and nothing in the package changes.

Files that a real addition touches:

- a runtime for a new kind of processor: 3 (``rules/…/name.toml``, ``latency/models/executor.py``, a pack), as here;
- a format: 2 (a line of ``graph/formats.py`` and the reader's module) and the hook's pattern, which a test of this file asks for;
- an op kind: 5 (its word in ``graph/ops.py``; an entry in ``graph/tflite_ops.py`` and in ``graph/onnx_ops.py``, each where its format has the op; in
  ``runtime/convert/handlers.py``; its price in ``latency/counts.py``), and the table of prices of ``tests/test_architecture.py``; a runtime takes it
  by a table of its rules file.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from sketch import sketch

import latlint
from latlint import checks
from latlint.checks.types import Finding, Subject
from latlint.data import data_dir
from latlint.graph import formats, onnx_ops, ops, read, tflite_ops
from latlint.graph.formats import Format
from latlint.graph.types import Graph, Node
from latlint.latency import counts, engine, models
from latlint.latency.models import model_of
from latlint.latency.packs import Pack, Target, load_targets, read_pack, write_pack
from latlint.runtime import acceptance, plan, rules
from latlint.runtime.convert import handlers
from latlint.runtime.convert.writer import Writer
from latlint.runtime.planners import planner
from latlint.settings import Settings
from tests.graph.test_tflite import Op, T, build

RULES = """
title = "the Tensor delegate of Acme 1.0"
takes = "tflite"
kind = "delegate"
executor = "tensor"
fallback = "tflite-2.10/builtin"
dtypes = ["float32"]
computes = { float32 = "float16" }
activations = ["none", "relu"]
max_rank = 4
min_nodes = 1
takes_dynamic = false
fuses = [{ ops = ["relu", "hard_swish"], into = ["conv2d"], limit = 1 }]

[ops.conv2d]
constant = [1, 2]
ranks = [4]
max_version = 4
refuse = [{ unless = { grouped = false }, reason = "groups are not taken" }]
kernels = [{ implementation = "conv" }]

[ops.relu]
kernels = [{ implementation = "activation" }]

[ops.hard_swish]
kernels = [{ implementation = "activation" }]

[ops.add]
kernels = [{ implementation = "elementwise" }]

[ops.reshape]
kernels = [{ implementation = "move" }]
"""

MODEL = """
from latlint.latency.terms import CostModel, Term

def price(kernel):
    return {"tensor.call": 1.0, "tensor.macs": float(kernel.macs), "tensor.bytes": float(kernel.bytes)}

TERMS = {"tensor.call": Term(1000.0), "tensor.macs": Term(0.001), "tensor.bytes": Term(0.01)}
MODEL = CostModel("tensor", "tpu", TERMS, price, ("tensor.",))
"""


def card() -> dict[str, object]:
    """``acme/tpu``, whose CPU is that of galaxy-s10."""
    known = read_pack(data_dir("predictors") / "galaxy-s10").card
    facts = {"vendor": "acme", "generation": "", "precision": "float16", "threads": 1}
    queue = {"scale": 1.0, "dispatch_ms": 0.001, "start_ms": 0.1, "copy_gb_per_s": 5.0}
    interval = {"float32": {"level": 0.9, "low": -0.5, "high": 0.5}}
    tpu = {
        "processor": {"runtime": "acme-1.0/tensor", "kind": "tpu", **facts},
        "theta": "tpu/theta",
        "interval": interval,
        "queue": queue,
        "fallback": "cpu-1large",
    }
    terms = {"cpu": known["terms"]["cpu"], "tpu": ["tensor.call", "tensor.macs", "tensor.bytes"]}
    covers = {"cpu": known["covers"]["cpu"], "tpu": {"measured_terms": [], "envelope": {}}}
    processors = {"cpu-1large": known["processors"]["cpu-1large"], "tpu": tpu}
    return {
        "schema": "latlint.pack/2",
        "device": "acme",
        "title": "Acme",
        "processors": processors,
        "terms": terms,
        "covers": covers,
        "features": [],
        "forests": {},
    }


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The directory of a pack for ``acme/tpu``: its rules and its cost model lie where latlint looks for them."""
    root = tmp_path / "rules"
    (root / "acme-1.0").mkdir(parents=True)
    for directory in data_dir("rules").iterdir():
        (root / directory.name).symlink_to(directory)
    (root / "acme-1.0" / "tensor.toml").write_text(RULES, "utf-8")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "tensor.py").write_text(MODEL, "utf-8")
    monkeypatch.setattr(rules, "data_dir", lambda name: root if name == "rules" else data_dir(name))
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path / "models")])
    known = read_pack(data_dir("predictors") / "galaxy-s10")
    theta = known.arrays[known.card["processors"]["cpu-1large"]["theta"]]
    name = known.card["processors"]["cpu-1large"]["theta"]
    write_pack(Pack(card(), {name: theta, "tpu/theta": np.array([2000.0, 0.002, 0.02])}), tmp_path / "pack")
    yield tmp_path / "pack"
    for cache in (rules.load_rules, planner, model_of):
        cache.cache_clear()
    sys.modules.pop("latlint.latency.models.tensor", None)


def target(pack: Path) -> Target:
    return load_targets([pack])["acme/tpu"]


def found(graph: Graph, on: Target) -> dict[str, Finding]:
    made = plan(graph, on.processor)
    prediction = engine.predict(graph, made, on, model="m.tflite", sha256="")
    return {each.code: each for each in checks.run(Subject(graph, made, on, prediction, Settings()))}


SPLIT = """
x = input 1x56x56x64
a = conv2d x 64 kernel=3
b = relu a
c = gelu b
d = conv2d c 64 kernel=3
e = hard_swish d
f = relu e
"""


def test_a_new_kind_of_processor_predicts_a_split_model(acme: Path) -> None:
    graph, on = sketch(SPLIT), target(acme)
    made = plan(graph, on.processor)
    assert [(part.executor, part.nodes) for part in made.partitions] == [("tensor", 2), ("builtin", 1), ("tensor", 3)]
    assert [(k.implementation, k.linked) for k in made.kernels] == [
        ("conv", ("relu",)),
        ("gelu", ()),
        ("conv", ("hard_swish",)),
        ("activation", ()),
    ]
    conv = made.kernels[0]
    assert (conv.input_dtype, conv.output_dtype) == ("float16", "float16")
    crossed = 56 * 56 * 64 * 4
    assert (made.partitions[0].input_bytes, made.partitions[0].output_bytes) == (crossed, crossed)
    prediction = engine.predict(graph, made, on, model="m.tflite", sha256="")
    assert prediction.kernels[0].latency_ms == pytest.approx((2000 + conv.macs * 0.002 + conv.bytes * 0.02) * 1e-6)
    assert prediction.border_ms > 0
    assert {k.source for k in prediction.kernels if k.partition != 1} == {"derived"}, "no tensor core was measured"
    assert prediction.kernels[1].reason == "GELU is not an op of the Tensor delegate of Acme 1.0"


@pytest.mark.parametrize(
    ("code", "drawing"),
    [
        ("LAT201", SPLIT),
        ("LAT202", "x = input 1x57x57x64\na = pad_v2 x pads=1 -> 1x59x59x64\nb = max_pool2d a kernel=3 stride=2 padding=valid"),
        ("LAT203", SPLIT),
        ("LAT204", "x = input 1x1x1x64\na = conv2d x 64 kernel=1\nb = squeeze a -> 1x64"),
        ("LAT205", "x = input 1x4x4x64\na = conv2d x 64 kernel=1\nb = reshape a -> 1x4x4x8x8"),
        ("LAT206", "x = input 1x4x4x64\na = conv2d x 64 kernel=1\nb = arg_max a axis=3 -> 1x4x4x1 int32\nc = relu b\nd = conv2d c 4 kernel=1"),
        ("LAT207", "x = input ?x56x56x64\na = conv2d x 64 kernel=3 -> ?x56x56x64"),
        ("LAT208", "x = input 1x56x56x64\na = conv2d x 64 kernel=3\nb = conv2d a 64 kernel=3 groups=4"),
        ("LAT209", "x = input 1x56x56x64\na = conv2d x 64 kernel=3\nb = where a -> ?x4 int64"),
    ],
)  # fmt: skip
def test_what_it_refuses_is_found(acme: Path, code: str, drawing: str) -> None:
    findings = found(sketch(drawing), target(acme))
    assert code in findings, sorted(findings)
    assert "GPU" not in findings[code].message, findings[code].message


def test_text_lists_what_is_not_on_it(acme: Path, model: object, capsys: pytest.CaptureFixture[str]) -> None:
    path = model("one_gelu.tflite")  # type: ignore[operator]
    (prediction,) = latlint.predict(path, "acme/tpu", packs=[acme])
    assert prediction.delegate == "tensor"
    assert {part.processor for part in prediction.partitions} == {"tensor", "builtin"}
    from latlint.cli import main

    assert main(["predict", str(path), "-t", "acme/tpu", "--pack", str(acme), "--no-config"]) == 0
    shown = capsys.readouterr().out
    assert "not on the TPU:" in shown
    assert "is not an op of the Tensor delegate of Acme 1.0" in shown


# --- A format ------------------------------------------------------------------------------------------------------------------

READER = """
from latlint.graph.types import Graph, Node, Tensor

def read_acme(source, name, shapes):
    tensors = (Tensor("x", (1, 8), "float32"), Tensor("y", (1, 8), "float32"))
    return Graph(name, "acme", "acme", (Node(0, "n", "relu", "RELU", (0,), (1,)),), tensors, (0,), (1,))
"""


def test_a_third_format_is_told_read_and_not_taken_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme_reader.py").write_text(READER, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    third = Format(
        "acme", "Acme", (".acme",), lambda source: source.read(0, 4) == b"ACME", "acme_reader:read_acme", "acme"
    )
    monkeypatch.setattr(formats, "FORMATS", (*formats.FORMATS, third))
    path = tmp_path / "m.acme"
    path.write_bytes(b"ACME")
    assert read(path).dialect == "acme"
    assert formats.a_model() == ".tflite, .onnx or .acme"
    (tmp_path / "m.onnx").write_bytes(b"ACME")
    with pytest.raises(latlint.LatlintError, match=r"an Acme file with the extension .onnx; rename it to m.acme"):
        read(tmp_path / "m.onnx")
    with pytest.raises(latlint.LatlintError, match="nothing converts acme to that"):
        latlint.predict(path, "pixel-4/gpu")


def test_the_hooks_pattern_knows_every_format() -> None:
    hooks = (Path(__file__).parents[2] / ".pre-commit-hooks.yaml").read_text("utf-8")
    patterns = [line for line in hooks.splitlines() if line.strip().startswith("files:") and "tflite" in line]
    assert len(patterns) == 2
    for pattern in patterns:
        expression = pattern.partition("files: ")[2]
        assert all(re.search(expression, f"m{extension}") for extension in formats.extensions())


# --- An op ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def rms_norm(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kind ``rms_norm``: an entry of each table that a change to latlint would make. What was converted by its handler."""
    converted = []

    def handler(writer: Writer, node: Node) -> None:
        converted.append(node.kind)
        handlers.other(writer, node)

    kinds = ops.KINDS | {"rms_norm"}
    for module in (ops, acceptance):  # graph/ops.py, which others import from
        monkeypatch.setattr(module, "KINDS", kinds)
    monkeypatch.setitem(tflite_ops._CUSTOM, "AcmeRmsNorm", tflite_ops.Builtin("rms_norm"))
    acme_op = onnx_ops.Foreign("rms_norm", shapes=lambda shapes, attributes: [shapes[0]])
    monkeypatch.setitem(onnx_ops.FOREIGN, ("com.acme", "RmsNorm"), acme_op)
    monkeypatch.setitem(handlers.HANDLERS, "rms_norm", handler)
    monkeypatch.setattr(counts, "_NORMALISATION", counts._NORMALISATION | {"rms_norm"})
    return converted


def rms_norm_tflite() -> bytes:
    return build([T((1, 8, 64)), T((1, 8, 64))], [Op("AcmeRmsNorm", [0], [1])])


def rms_norm_onnx() -> bytes:
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("RmsNorm", ["x"], ["y"], domain="com.acme")
    ends = ([value(name, onnx.TensorProto.FLOAT, shape)] for name, shape in (("x", [1, 8, 64]), ("y", None)))
    opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in (("", 17), ("com.acme", 1))]
    made = onnx.helper.make_model(onnx.helper.make_graph([node], "g", *ends), opset_imports=opsets)
    return bytes(made.SerializeToString())


@pytest.mark.parametrize("written", [rms_norm_tflite, rms_norm_onnx])
def test_a_new_kind_of_op_is_read_converted_priced_and_taken_by_a_table_of_a_rules_file(
    acme: Path, rms_norm: list[str], tmp_path: Path, written: Callable[[], bytes]
) -> None:
    path = tmp_path / ("m.onnx" if written is rms_norm_onnx else "m.tflite")
    path.write_bytes(written())
    graph, on = read(path), target(acme)
    assert [node.kind for node in graph.nodes] == ["rms_norm"]

    left = plan(graph, on.processor)  # no runtime takes it yet: the host's kernels have its price
    assert [(k.op, k.outputs, left.partitions[k.partition].executor) for k in left.kernels] == [
        ("rms_norm", ((1, 8, 64),), "builtin")
    ]
    work = engine.workload(left)
    (part,) = work.parts
    counted = {name for name, count in zip(part.model.names, part.terms[0], strict=True) if count}
    assert not work.unknown and "f32.transcendental" in counted
    assert rms_norm == (["rms_norm"] if written is rms_norm_onnx else [])

    file = rules.data_dir("rules") / "acme-1.0" / "tensor.toml"
    file.write_text(RULES + '\n[ops.rms_norm]\nkernels = [{ implementation = "rms_norm" }]\n', "utf-8")
    for cache in (rules.load_rules, planner):
        cache.cache_clear()
    made = plan(graph, on.processor)
    assert [(k.op, k.implementation, made.partitions[k.partition].executor) for k in made.kernels] == [
        ("rms_norm", "rms_norm", "tensor")
    ]
    assert engine.predict(graph, made, on, model="m", sha256="").kernels[0].latency_ms > 0
