"""ONNX Runtime itself, of the version and on the processor that plans are held against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from onnx import load_model

VERSION = "1.32.0"

Saved = Callable[[bytes | str], Counter[str]]


@pytest.fixture
def saved(tmp_path: Path, lacking: Callable[[str], NoReturn]) -> Saved:
    """``saved(model)``: what ONNX Runtime executes of a model, its bytes or the name of its file, by op type. Ends the test where it
    cannot be asked: what needs no answer comes before."""

    def save(model: bytes | str) -> Counter[str]:
        try:
            import onnxruntime as runtime
        except ImportError:
            lacking(f"needs ONNX Runtime {VERSION}")
        if runtime.__version__ != VERSION:
            lacking(f"plans are held against ONNX Runtime {VERSION}, and {runtime.__version__} is installed")
        cpuinfo = Path("/proc/cpuinfo")
        if not cpuinfo.is_file() or "avx512f" not in cpuinfo.read_text("utf-8"):
            pytest.skip("the graph that is saved depends on the processor: the one on record is x86-64 with AVX-512")
        options = runtime.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / "saved.onnx")
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        # nothing is run, and of what is saved only the nodes are read
        options.add_session_config_entry("session.disable_prepacking", "1")
        options.enable_cpu_mem_arena = False
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "weights")
        runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        found = load_model(tmp_path / "saved.onnx", load_external_data=False)
        return Counter(node.op_type for node in found.graph.node)

    return save
