"""Files far larger than memory ought to be: what a whole run keeps in memory is bounded by the graph, not by the weights.

Peak memory is VmHWM of the process that ran, and not getrusage: the latter's maximum starts with what the parent held when it forked.
The weights are holes in the files, so that the tests cost no disk.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import onnx
import pytest
from onnx import TensorProto, helper

pytestmark = pytest.mark.slow

MOST_MB = 160

#: Runs the command line and reports its exit code, its output and its peak memory.
_RUN = """
import contextlib, io, json, re, sys
from latlint.cli import main
with contextlib.redirect_stdout(io.StringIO()) as out:
    status = main(sys.argv[1:])
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) // 1024
print(json.dumps([status, peak, out.getvalue()]))
"""


@pytest.fixture(autouse=True)
def peak_memory_shows(lacking: Callable[[str], NoReturn]) -> None:
    if not Path("/proc/self/status").exists():
        lacking("needs /proc to see peak memory")


def checked(path: Path) -> tuple[dict[str, object], int]:
    """The prediction for ``path`` and the peak memory in MB."""
    args = ["check", path.name, "--target", "pixel-4/gpu", "--no-config", "--format", "json"]
    repository = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *args],
        cwd=path.parent,
        env={**os.environ, "PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    status, peak_mb, out = json.loads(done.stdout)
    assert status == 0, done.stderr
    (prediction,) = json.loads(out)["predictions"]
    return prediction, peak_mb


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, length: int) -> bytes:
    """The start of a field of ``length`` bytes."""
    return varint(number << 3 | 2) + varint(length)


def image(name: str, channels: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, 28, 28])


def test_embedded_weights_of_1500_mb(tmp_path: Path) -> None:
    """Ten convolutions of 150 MB each."""
    channels, layers = 2048, 10
    size = channels * channels * 9 * 4
    nodes = [helper.make_node("Conv", [f"x{i}", f"w{i}"], [f"x{i + 1}"], pads=[1] * 4) for i in range(layers)]
    graph = helper.make_graph(nodes, "g", [image("x0", channels)], [image(f"x{layers}", channels)])
    rest = graph.SerializeToString()
    heads = []
    for i in range(layers):
        dims = [channels, channels, 3, 3]
        tensor = TensorProto(name=f"w{i}", data_type=TensorProto.FLOAT, dims=dims).SerializeToString()
        raw = field(9, size)
        heads.append(field(5, len(tensor) + len(raw) + size) + tensor + raw)
    model = onnx.ModelProto(ir_version=8, opset_import=[helper.make_opsetid("", 17)]).SerializeToString()
    path = tmp_path / "embedded.onnx"
    with path.open("wb") as out:
        out.write(model + field(7, sum(map(len, heads)) + layers * size + len(rest)))
        for head in heads:
            out.write(head)
            out.seek(size, os.SEEK_CUR)
        out.write(rest)
    assert path.stat().st_size > 1_500_000_000
    prediction, peak_mb = checked(path)
    assert prediction["macs"] == layers * channels * channels * 9 * 28 * 28
    assert peak_mb < MOST_MB


def test_external_data_of_10_gb(tmp_path: Path) -> None:
    channels, layers = 4096, 17
    size = channels * channels * 9 * 4
    nodes = [helper.make_node("Conv", [f"x{i}", f"w{i}"], [f"x{i + 1}"], pads=[1] * 4) for i in range(layers)]
    tensors = []
    for i in range(layers):
        tensor = TensorProto(name=f"w{i}", data_type=TensorProto.FLOAT, dims=[channels, channels, 3, 3])
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", "external.onnx.data"), ("offset", i * size), ("length", size)):
            tensor.external_data.add(key=key, value=str(value))
        tensors.append(tensor)
    graph = helper.make_graph(nodes, "g", [image("x0", channels)], [image(f"x{layers}", channels)], tensors)
    path = tmp_path / "external.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    with (tmp_path / "external.onnx.data").open("wb") as out:
        out.truncate(layers * size)
    assert (tmp_path / "external.onnx.data").stat().st_size > 10_000_000_000
    prediction, peak_mb = checked(path)
    assert prediction["macs"] == layers * channels * channels * 9 * 28 * 28
    assert peak_mb < MOST_MB


def test_a_tflite_file_of_1800_mb(tmp_path: Path, model: Callable[[str], Path]) -> None:
    """Values behind the flatbuffer, as converters write them for large models, are stepped over as well."""
    path = tmp_path / "padded.tflite"
    path.write_bytes(model("one_gelu.tflite").read_bytes())
    os.truncate(path, 1_800_000_000)
    prediction, peak_mb = checked(path)
    assert prediction["macs"]
    assert peak_mb < MOST_MB


def test_a_graph_of_20_000_nodes(tmp_path: Path) -> None:
    nodes, last = [], 20_000
    for i in range(0, last, 2):
        nodes.append(helper.make_node("Conv", [f"x{i}", "w"], [f"x{i + 1}"], pads=[1] * 4, name=f"conv{i}"))
        nodes.append(helper.make_node("Relu", [f"x{i + 1}"], [f"x{i + 2}"], name=f"relu{i}"))
    weights = helper.make_tensor("w", TensorProto.FLOAT, [16, 16, 3, 3], bytes(16 * 16 * 9 * 4), raw=True)
    graph = helper.make_graph(nodes, "g", [image("x0", 16)], [image(f"x{last}", 16)], [weights])
    path = tmp_path / "long.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    prediction, peak_mb = checked(path)
    assert prediction["macs"] == last // 2 * 16 * 16 * 9 * 28 * 28
    assert peak_mb < MOST_MB
