"""Holds the placement of ``--provider qnn`` against what PyPI's onnxruntime-qnn compiles on x86-64, without a device.

    pip install onnxruntime-qnn onnx
    python benchmarks/qnn_placement.py FILE_OR_DIRECTORY... [--soc 57] [--seconds 300]

The provider compiles each file for a chip (57: SM8650, Snapdragon 8 Gen 3), in a process of its own, and writes what it made (``ep.context_enable``): a
node for each partition, and the nodes that stay on the CPU. Prints a line for each file that differs in the number of partitions, and the counts. Sizes
that a file leaves open are to be fixed before: the provider takes no node of such sizes. Only where nodes go is read, nothing is timed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from onnxruntime_plans import files, unpacked

from latlint.errors import LatlintError
from latlint.graph import read
from latlint.runtime import Processor, plan

PROVIDER = Processor("npu", "qnn-2.50/onnxruntime", "npu", "qualcomm", "hexagon", "float16")


def ask(path: Path, soc: str) -> dict[str, Any]:
    """What the provider made of ``path``: how many partitions, and the op types that stay on the CPU."""
    import onnxruntime
    import onnxruntime_qnn
    from onnx import load_model

    onnxruntime.register_execution_provider_library(onnxruntime_qnn.EP_NAME, onnxruntime_qnn.get_library_path())
    devices = [each for each in onnxruntime.get_ep_devices() if each.ep_name == onnxruntime_qnn.EP_NAME]
    with tempfile.TemporaryDirectory(prefix="latlint-qnn-") as room:
        made = Path(room) / "made.onnx"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        where = {"backend_path": onnxruntime_qnn.get_qnn_htp_path(), "soc_model": soc}
        options.add_provider_for_devices(devices, where | {"offload_graph_io_quantization": "0"})
        options.add_session_config_entry("ep.context_enable", "1")
        options.add_session_config_entry("ep.context_embed_mode", "0")
        options.add_session_config_entry("ep.context_file_path", str(made))
        onnxruntime.InferenceSession(str(path), options)
        nodes = load_model(made, load_external_data=False).graph.node if made.is_file() else ()
        found = Counter(node.op_type for node in nodes)
    return {"partitions": found.pop("EPContext", 0), "cpu": dict(found)}


def asked(path: Path, soc: str, seconds: float) -> dict[str, Any] | None:
    """As ``ask``, by a process of its own; ``None`` where that ends without an answer, or takes too long."""
    command = [sys.executable, __file__, str(path), "--soc", soc, "--ask"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return None
    answers = [line for line in done.stdout.splitlines() if line.startswith("{")]
    found: dict[str, Any] | None = json.loads(answers[-1]) if answers else None
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--soc", default="57")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--ask", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ask:
        print(json.dumps(ask(options.paths[0], options.soc)), flush=True)
        return 0
    counts: Counter[str] = Counter()
    for path in files(options.paths):
        with tempfile.TemporaryDirectory(prefix="latlint-qnn-") as room:
            model = unpacked(path, Path(room))
            theirs = asked(model, options.soc, options.seconds)
            try:
                found = plan(read(model), PROVIDER)
            except LatlintError as error:
                print(f"{path.name}: latlint refuses: {error.message}")
                continue
        counts["files"] += 1
        ours = sum(part.executor == "npu" for part in found.partitions)
        if theirs is None:
            counts["without an answer"] += 1
            print(f"{path.name}: the provider gave no answer", flush=True)
            continue
        counts["as many partitions"] += ours == theirs["partitions"]
        counts["wholly on the NPU"] += not theirs["cpu"] and theirs["partitions"] == 1
        if ours != theirs["partitions"]:
            print(
                f"{path.name}: {theirs['partitions']} partitions, here {ours}; on the CPU: {theirs['cpu']}", flush=True
            )
    print(dict(counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
