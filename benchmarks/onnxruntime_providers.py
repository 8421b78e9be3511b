"""Holds the placement of ``--provider coreml`` and ``nnapi`` against ONNX Runtime's own checker of usability on phones.

    python benchmarks/onnxruntime_providers.py FILE_OR_DIRECTORY...

The checker (``onnxruntime.tools.mobile_helpers.usability_checker``, in PyPI's onnxruntime) goes by names of ops and numbers of dimensions alone,
after ONNX Runtime's first level, with sizes fixed. latlint is asked twice: by the names alone, which must give the checker's nodes, partitions and
those that are taken; and with the conditions that the checker only lists as caveats, which can but take fewer. Prints a line for each file that
differs by name, and the counts.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from onnxruntime_plans import files, unpacked

from latlint.graph import read
from latlint.graph.types import Graph
from latlint.runtime import Processor
from latlint.runtime.acceptance import Terms
from latlint.runtime.planners import planner

#: Provider -> the list that the checker goes by, and the most dimensions that it allows.
LISTS = {"coreml": ("coreml_supported_mlprogram_ops.md", 5), "nnapi": ("nnapi_supported_ops.md", 999)}
#: What the checker's list of Core ML spells otherwise than ONNX, so that it never finds it.
MISSPELT = {"coreml": frozenset({"ArgMax"}), "nnapi": frozenset[str]()}


class Split(NamedTuple):
    """``nodes`` of the main graph after the first level, those that are ``taken``, and in how many ``partitions``."""

    nodes: int
    taken: int
    partitions: int


def said(path: Path, scratch: Path) -> dict[str, Split]:
    """The checker's word."""
    from onnxruntime.tools.mobile_helpers import usability_checker as checker
    from onnxruntime.tools.onnx_model_utils import ModelProtoWithShapeInfo, optimize_model

    basic = scratch / "basic.onnx"
    optimize_model(path, basic, use_external_initializers=True)
    model = ModelProtoWithShapeInfo(basic).model_with_shape_info
    found = {}
    for name, (listed, most) in LISTS.items():
        info = checker._check_ep_partitioning(model, Path(checker.__file__).with_name(listed), False, most)
        found[name] = Split(len(model.graph.node), info.num_supported_nodes, info.num_partitions)
    return found


def ours(graph: Graph, provider: str, *, by_name: bool) -> Split:
    """latlint's word: with all conditions, or by the names of ops and the numbers of dimensions alone."""
    made = planner(f"onnxruntime-1.32/{provider}")
    accepts: Any = made
    if by_name:
        terms = {name: Terms() for name in accepts.acceptance.ops if name not in MISSPELT[provider]}
        everything = tuple({tensor.dtype for tensor in graph.tensors})
        open_to = accepts.acceptance._replace(
            ops=terms, dtypes=everything, max_rank=LISTS[provider][1], open_shapes=True, takes_constants=True
        )
        accepts = accepts._replace(acceptance=open_to, unpacks=frozenset())
    processor = Processor(provider, f"onnxruntime-1.32/{provider}", provider, "arm")
    from latlint.runtime.context import Context

    found = accepts.plan(Context(graph), range(len(graph.nodes)), processor)
    taken = [part.nodes for part in found.partitions if part.executor == accepts.executor]
    return Split(sum(part.nodes for part in found.partitions), sum(taken), len(taken))


def main() -> int:
    counts: dict[str, Counter[str]] = {name: Counter() for name in LISTS}
    for path in files(map(Path, sys.argv[1:])):
        with tempfile.TemporaryDirectory(prefix="latlint-providers-") as room:
            try:
                model = unpacked(path, Path(room))
                graph, theirs = read(model), said(model, Path(room))
            except Exception as error:  # whatever ONNX Runtime or its tools raise
                print(f"{path.name}: {type(error).__name__}: {str(error).splitlines()[0][:140]}")
                continue
        for provider, word in theirs.items():
            named, strict = ours(graph, provider, by_name=True), ours(graph, provider, by_name=False)
            count = counts[provider]
            count["files"] += 1
            count["alike"] += named == word
            count["alike in what is taken"] += named[1:] == word[1:]
            count["fewer by conditions"] += strict.taken < named.taken
            count["nodes"] += word.nodes
            count["nodes taken, by the checker"] += word.taken
            count["nodes taken, with conditions"] += strict.taken
            if named != word:
                print(
                    f"{path.name} {provider}: checker {tuple(word)}, by name {tuple(named)}, with conditions {tuple(strict)}"
                )
    for provider, count in counts.items():
        print(provider, dict(count))
    return 0


if __name__ == "__main__":
    sys.exit(main())
