"""A float ONNX model as if quantised: ONNX Runtime's own tools and optimiser make the same kernels of it."""

from __future__ import annotations

import gzip
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from latlint.graph import Graph, read
from latlint.runtime import Plan, Processor, plan
from latlint.runtime.as_if import converted_to
from latlint.training.servers import quantized
from tests.runtime.onnxruntime.conftest import Saved

EXPORTED = Path(__file__).parents[2] / "exporters"
HERE = Processor("cpu-1", "onnxruntime-1.32/cpu", "cpu", "x86", "avx512")
ARM = Processor("cpu", "onnxruntime-1.32/cpu", "cpu", "arm", "armv8")


@pytest.fixture
def resnet(tmp_path: Path) -> Path:
    path = tmp_path / "resnet.onnx"
    path.write_bytes(gzip.decompress((EXPORTED / "torch_legacy_resnet.onnx.gz").read_bytes()))
    return path


def as_if(path: Path, precision: str, processor: Processor = HERE) -> tuple[Graph, Plan]:
    graph = replace(read(path), as_if=precision)
    return graph, plan(graph, processor)


def kernels(planned: Plan) -> Counter[str]:
    return Counter(kernel.implementation for kernel in planned.kernels if not kernel.free)


def test_the_kernels_are_those_of_a_file_that_was_quantised(resnet: Path, tmp_path: Path, saved: Saved) -> None:
    pytest.importorskip("onnxruntime.quantization", reason="needs what ONNX Runtime's tools need")
    quantised = quantized(resnet, tmp_path / "quantised.onnx")
    assert kernels(as_if(resnet, "w8a8")[1]) == saved(str(quantised))


def test_eight_bits_are_integer_ops(resnet: Path) -> None:
    graph, planned = as_if(resnet, "w8a8")
    found = kernels(planned)
    assert planned.precision == "int8"
    assert (found["QLinearConv"], found["QLinearAdd"], found["QGemm"]) == (11, 4, 1)
    assert not found.keys() & {"Conv", "FusedConv", "Gemm"}
    assert any("as if quantised to w8a8" in note for note in planned.notes)
    # every kernel leads back to nodes of the file, and every node is in a kernel or free
    assert {node for kernel in planned.kernels for node in kernel.nodes} == {node.index for node in graph.nodes}


def test_sixteen_bits_are_float_ops_between_pairs(resnet: Path) -> None:
    _, planned = as_if(resnet, "w8a16", ARM)
    found = kernels(planned)
    assert planned.precision == "int16"
    assert found["Conv"] + found["FusedConv"] == 11 and found["DequantizeLinear"] > 2 * 11
    assert not any(name.startswith("QLinear") for name in found)


def test_what_is_quantised_already_stays(resnet: Path) -> None:
    quantised = converted_to(read(resnet), "w8a8")
    assert quantised.precision == "int8"
    assert converted_to(quantised, "w8a16") is quantised


def test_the_models_outputs_and_inputs_keep_their_names(resnet: Path) -> None:
    graph = read(resnet)
    quantised = converted_to(graph, "w8a8")
    assert (quantised.inputs, quantised.outputs) == (graph.inputs, graph.outputs)
    (last,) = (node for node in quantised.nodes if quantised.outputs[0] in node.outputs)
    assert last.native == "DequantizeLinear"
    seen = set(quantised.inputs) | {i for i, tensor in enumerate(quantised.tensors) if tensor.constant}
    for node in quantised.nodes:
        assert {tensor for tensor in node.native_inputs or node.inputs if tensor >= 0} <= seen, node.name
        seen.update(node.outputs)
