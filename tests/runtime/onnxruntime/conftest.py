"""What ONNX Runtime itself executes, on the processor that plans are held against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from onnx import load_model

Saved = Callable[[bytes | str], Counter[str]]


@pytest.fixture
def saved(tmp_path: Path, onnxruntime: Callable[[], ModuleType]) -> Saved:
    """``saved(model)``: what ONNX Runtime executes of a model, its bytes or the name of its file, by op type. Ends the test where it
    cannot be asked: what needs no answer comes before."""

    def save(model: bytes | str) -> Counter[str]:
        runtime = onnxruntime()
        cpuinfo = Path("/proc/cpuinfo")
        if not cpuinfo.is_file() or "avx512f" not in cpuinfo.read_text("utf-8"):
            # not `lacking`: nobody can install a processor
            pytest.skip(
                "ONNX Runtime blocks channels by the processor's vectors: what is on record it saves with AVX-512"
            )
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
