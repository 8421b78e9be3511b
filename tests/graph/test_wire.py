"""The protobuf wire scan: what it keeps, what it steps over, where it says things lie, and what it refuses."""

from __future__ import annotations

import struct
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from latlint.errors import LatlintError
from latlint.graph import wire


def _model() -> onnx.ModelProto:
    """A convolution with large weights, a large Constant, a small Constant, and a branch with a large Constant in it."""
    large = numpy_helper.from_array(np.arange(100_000, dtype=np.float32), "large")
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["inner"], value=large)],
        "branch",
        [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, [100_000])],
    )
    weights = numpy_helper.from_array(np.ones((64, 64, 3, 3), np.float32), "w")
    listed = TensorProto(name="listed", data_type=TensorProto.FLOAT, dims=[20_000], float_data=[0.5] * 20_000)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"], name="conv", doc_string="why " * 5000),
        helper.make_node("Constant", [], ["c"], value=large),
        helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(np.array([1, -1], np.int64))),
        helper.make_node("If", ["x"], ["z"], then_branch=branch, else_branch=branch),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [weights, listed, numpy_helper.from_array(np.array([7, 8], np.int64), "shape")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return _model()


@pytest.fixture(scope="module")
def data(model: onnx.ModelProto) -> bytes:
    serialized: bytes = model.SerializeToString()
    return serialized


def test_keeps_the_structure_and_drops_long_data(model: onnx.ModelProto, data: bytes) -> None:
    lean = wire.lean_model(data, "m.onnx")
    kept = onnx.ModelProto.FromString(lean.model)
    assert len(lean.model) < 2000 < 1_000_000 < len(data)
    assert [node.op_type for node in kept.graph.node] == [node.op_type for node in model.graph.node]
    assert [list(t.dims) for t in kept.graph.initializer] == [list(t.dims) for t in model.graph.initializer]
    assert not kept.graph.initializer[0].raw_data and not kept.graph.initializer[1].float_data
    assert numpy_helper.to_array(kept.graph.initializer[2]).tolist() == [7, 8]
    assert numpy_helper.to_array(kept.graph.node[2].attribute[0].t).tolist() == [1, -1]
    inner = kept.graph.node[3].attribute[0].g.node[0].attribute[0].t
    assert list(inner.dims) == [100_000] and not inner.raw_data


def test_says_where_nodes_and_weights_lie(model: onnx.ModelProto, data: bytes) -> None:
    lean = wire.lean_model(data, "m.onnx")
    assert set(lean.payloads) == {"w", "listed", "shape"}
    weights = lean.payloads["w"]
    assert weights.raw
    assert data[weights.range.offset :][: weights.range.length] == model.graph.initializer[0].raw_data
    listed = lean.payloads["listed"]
    assert not listed.raw and listed.range.length == 80_000
    for node, where in zip(model.graph.node, lean.nodes, strict=True):
        assert onnx.NodeProto.FromString(data[where.offset :][: where.length]) == node


def test_a_small_file_is_kept_as_it_is() -> None:
    small = helper.make_model(helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [], []))
    kept = wire.lean_model(small.SerializeToString(), "m.onnx").model
    assert onnx.ModelProto.FromString(kept) == small


def test_every_truncation_is_one_line_or_a_shorter_model(data: bytes) -> None:
    for end in [*range(300), *range(300, len(data), 4999)]:
        try:
            wire.lean_model(data[:end], "m.onnx")
        except LatlintError as error:
            assert error.code == "LAT001" and "\n" not in error.message


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\x0b\x0c", "LAT001"),  # a group, which proto3 and ONNX do not have
        (b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "LAT001"),  # a length beyond the buffer
        (b"\x08" + b"\x80" * 11 + b"\x01", "LAT001"),  # a number that does not end within ten bytes
        (b"\x00\x00", "LAT001"),  # field number 0
        (b"\x3a\x05abc", "LAT001"),
    ],
)
def test_refuses_what_is_no_protobuf(content: bytes, code: str) -> None:
    with pytest.raises(LatlintError) as caught:
        wire.lean_model(content, "m.onnx")
    assert caught.value.code == code


def test_refuses_nesting_beyond_the_bound() -> None:
    """Each level is a graph in an attribute of a node, and too long to be copied unseen."""
    inner = bytes(wire.SMALL_BYTES + 1)
    content = _field(2, inner)
    for _ in range(wire.MAX_DEPTH):
        content = _field(1, _field(5, _field(6, content)))
    with pytest.raises(LatlintError, match="nested") as caught:
        wire.lean_model(_field(7, content), "m.onnx")
    assert caught.value.code == "LAT006"


def test_refuses_more_fields_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_FIELDS", 1000)
    with pytest.raises(LatlintError, match="fields") as caught:
        wire.lean_model(b"\x08\x01" * 1001, "m.onnx")
    assert caught.value.code == "LAT006"


def test_refuses_more_structure_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_LEAN_BYTES", 1000)
    with pytest.raises(LatlintError) as caught:
        wire.lean_model(_field(7, _field(2, b"n" * 2000)), "m.onnx")
    assert caught.value.code == "LAT006"


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


_EMPTY = {
    "nodes": lambda n: b"\x0a\x00" * n,
    "inputs": lambda n: b"\x5a\x00" * n,
    "outputs": lambda n: b"\x62\x00" * n,
    "value_infos": lambda n: b"\x6a\x00" * n,
    "weights": lambda n: b"\x2a\x00" * n,
    "sparse weights": lambda n: b"\x7a\x00" * n,
    "attributes of small nodes": lambda n: _field(1, b"\x2a\x00" * 3900) * (n // 3900),
    "attributes of one node": lambda n: _field(1, b"\x2a\x00" * n),
    "dimensions": lambda n: _field(13, _field(2, _field(1, _field(2, b"\x0a\x00" * n)))),
    "names of one node": lambda n: _field(1, b"\x0a\x00" * n),
}


#: Those that are counted as what they are; of the others, the bound on all fields is met first, which takes as long for each.
_OWN_BOUND = ("nodes", "attributes of small nodes", "dimensions")


@pytest.mark.slow
@pytest.mark.parametrize(("part", "kinds"), [(1, (*_OWN_BOUND, "weights")), (10, tuple(_EMPTY))])
def test_empty_messages_are_counted_before_each_becomes_an_object(part: int, kinds: tuple[str, ...]) -> None:
    """4 MB of empty nodes took 1,666 MB: what is told before it is parsed. Of every kind with a tenth
    of the bounds. Peak memory is that of a process of its own."""
    script = (
        "import re, struct, sys\nfrom latlint.errors import LatlintError\nfrom latlint.graph import wire\n"
        "from latlint.graph.onnx import read_onnx\n"
        "def peak():\n    return int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) // 1024\n"
        f"for name in ('MAX_FIELDS', 'COUNTED_BYTES', '_MAX_OTHERS'):\n    setattr(wire, name, getattr(wire, name) // {part})\n"
        f"wire.MAX_MESSAGES = {{name: most // {part} for name, most in wire.MAX_MESSAGES.items()}}\n"
        "while head := sys.stdin.buffer.read(8):\n"
        "    data, before = sys.stdin.buffer.read(struct.unpack('<Q', head)[0]), peak()\n"
        "    try:\n        read_onnx(data, 'm.onnx')\n        code = 'read'\n"
        "    except LatlintError as error:\n        code = error.code\n    print(code, peak() - before)\n"
    )
    models = [b"\x08\x08" + _field(8, b"\x10\x11") + _field(7, _EMPTY[kind](2_000_000 // part)) for kind in kinds]
    given = b"".join(struct.pack("<Q", len(model)) + model for model in models)
    done = subprocess.run([sys.executable, "-c", script], input=given, capture_output=True, check=True, timeout=120)
    said = dict(zip(kinds, (line.split() for line in done.stdout.splitlines()), strict=True))
    assert {kind: code for kind, (code, _) in said.items()} == dict.fromkeys(kinds, b"LAT006")
    assert {kind: mb for kind, (_, mb) in said.items() if int(mb) >= 400 // part} == {}
