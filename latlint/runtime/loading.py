"""What a runtime's interpreter loads: it looks each op up in a table of kernels before anything runs, and refuses a file with an op, or a
version of an op, that the table does not have ("Didn't find op for builtin opcode … version").

The tables are in ``rules/``: ``versions`` of a rules file, or of the fallback that stands for the same release, list the names of ops by the
newest version that has a kernel. They were read off the interpreters themselves (``tests/runtime/test_loading.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from latlint.graph.tflite_ops import BUILTIN_NAMES
from latlint.graph.types import Graph
from latlint.runtime.rules import load_rules


class Missing(NamedTuple):
    """Nodes, by index, of one op and version that a runtime has no kernel for: ``newest`` is the version that it has, 0 where it has none.
    ``compiled_for`` is the accelerator that the op was compiled for, if it was."""

    op: str
    version: int
    newest: int
    nodes: tuple[int, ...]
    compiled_for: str = ""


def missing(graph: Graph, runtime: str) -> list[Missing]:
    """What keeps ``runtime``, a file of ``rules/``, from loading a TFLite file, in the order of the graph; nothing where there is no table."""
    if graph.format != "tflite":
        return []
    table = _newest(runtime)
    found: dict[tuple[str, int, int, str], list[int]] = {}
    for node in graph.nodes:
        compiled_for = str(node.attributes.get("compiled_for", ""))
        newest = table.get(node.native, 0)
        if compiled_for or (table and node.native in _BUILTIN and node.version > newest):
            found.setdefault((node.native, node.version, newest, compiled_for), []).append(node.index)
    return [Missing(op, version, newest, tuple(nodes), place) for (op, version, newest, place), nodes in found.items()]


_BUILTIN = frozenset(BUILTIN_NAMES)


@lru_cache(maxsize=32)
def _newest(runtime: str) -> Mapping[str, int]:
    """Op -> the newest version with a kernel, in the release that ``runtime`` belongs to."""
    rules = load_rules(runtime)
    if rules.versions:
        return {op: int(version) for version, ops in rules.versions.items() for op in ops}
    fallback = rules.data.get("fallback")
    return _newest(fallback) if isinstance(fallback, str) else {}
