"""What a runtime loads: it looks each op up in a table of kernels before anything runs, and refuses a file with an op, a version of an op, or
a type, that the table does not have ("Didn't find op for builtin opcode … version", "Could not find an implementation for …").

The tables are in ``rules/``. Of TensorFlow Lite: ``versions`` of a rules file, or of the fallback that stands for the same release, list the names
of ops by the newest version that has a kernel. Of ONNX Runtime: ``loads`` of a rules file names the newest versions of the format, and the list of
kernels by version and type that ``benchmarks/onnxruntime_kernels.py`` writes. All were read off the runtimes themselves
(``tests/runtime/test_loading.py``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache

from latlint.data import data_dir
from latlint.graph.tflite_ops import BUILTIN_NAMES
from latlint.graph.types import Graph, Node
from latlint.records import NamedTuple
from latlint.runtime.rules import load_rules


class Missing(NamedTuple):
    """Nodes, by index, of one op and version that a runtime has no kernel for: ``newest`` is the version that it has, 0 where it has none.
    ``compiled_for`` is the accelerator that the op was compiled for, if it was; ``types`` are those that no kernel of this version takes.
    Without nodes it is of a branch or subgraph that is not followed, or what an ONNX file as a whole is written in: ``IR``, or the opset of
    a domain."""

    op: str
    version: int
    newest: int
    nodes: tuple[int, ...]
    compiled_for: str = ""
    types: str = ""


def missing(graph: Graph, runtime: str, run: Collection[int] | None = None) -> list[Missing]:
    """What keeps ``runtime``, a file of ``rules/``, from loading a file, in the order of the graph; nothing where there is no table. ``run``
    are the nodes that it still has when it looks for kernels, where it takes some away before."""
    if graph.format == "onnx":
        return list(_missing_of_onnx(graph, runtime, run))
    table = _newest(runtime)
    found: dict[tuple[str, int, int, str], list[int]] = {}
    for node in graph.nodes:
        compiled_for = str(node.attributes.get("compiled_for", ""))
        newest = table.get(node.native, 0)
        if compiled_for or (table and node.native in _BUILTIN and not 1 <= node.version <= newest):
            found.setdefault((node.native, node.version, newest, compiled_for), []).append(node.index)
    for op, version in graph.elsewhere:
        newest = table.get(op, 0)
        if table and not 1 <= version <= newest:
            found.setdefault((op, version, newest, ""), [])
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


# --- ONNX Runtime --------------------------------------------------------------------------------------------------------------

#: Operands of one type, ``0`` an input, ``~0`` an output, ``2+`` one and those after it; and the types that they may have.
_Limits = tuple[tuple[tuple[str, ...], frozenset[str]], ...]


def _missing_of_onnx(graph: Graph, runtime: str, run: Collection[int] | None) -> Iterator[Missing]:
    loads = load_rules(runtime).loads
    if not loads:
        return
    for name, version in graph.imports:
        newest = int(loads.get(name or "ai.onnx", version))
        if version > newest:
            yield Missing(name or "ai.onnx", version, newest, ())
    file = str(loads["kernels"])
    found: dict[tuple[str, int, int, str], list[int]] = {}
    for node in graph.nodes:
        if run is not None and node.index not in run:
            continue
        domain, _, op = node.native.rpartition("::")
        newest, taken = _of_version(file, f"{domain}::{op}", node.version)
        if newest < 0:
            if domain in ("", "com.microsoft"):
                found.setdefault((node.native, node.version, 0, ""), []).append(node.index)
            continue
        if taken is None:
            found.setdefault((node.native, newest or node.version, newest, ""), []).append(node.index)
        elif taken and not any(_fits(graph, node, limits) for limits in taken):
            found.setdefault((node.native, newest, newest, _types(graph, node)), []).append(node.index)
    for (name, version, newest, what), nodes in found.items():
        yield Missing(name, version, newest, tuple(nodes), types=what)


@lru_cache(maxsize=4)
def _kernels(file: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The line of each op in a list of kernels, and the type that each letter stands for."""
    head, *rows = (data_dir("rules") / file).read_text("utf-8").splitlines()
    letters = dict(each.split("=") for each in head.split()[1:])
    return dict(row.split(" ", 1) for row in rows), letters


@lru_cache(maxsize=4096)
def _of_version(file: str, op: str, opset: int) -> tuple[int, list[_Limits] | None]:
    """The version of an op that ``opset`` has, 0 where it has none, -1 where nothing is known of the op; and what its kernels take: ``None`` where there
    are none, nothing where they take all, or where ONNX says what the op consists of (whether that has kernels is not looked at)."""
    lines, types = _kernels(file)
    if op not in lines:
        return -1, None
    chosen, said = 0, ""
    for entry in lines[op].split():
        versions, _, kernels = entry.partition(":")
        for version in map(int, versions.split(",")):
            if chosen < version <= opset:
                chosen, said = version, kernels
    if not chosen or said == "none":
        return chosen, None
    if said == "any" or said.endswith("body"):
        return chosen, []
    return chosen, [
        tuple(
            (tuple(operands.split(".")), frozenset(types[letter] for letter in letters))
            for operands, _, letters in (each.partition("=") for each in kernel.split(","))
        )
        for kernel in said.split("|")
    ]


def _fits(graph: Graph, node: Node, limits: _Limits) -> bool:
    """Whether a kernel takes the types of a node's operands. Where none is for float16 and one is for float32, Casts are put around it
    (``insert_cast_transformer.cc``)."""
    return all(
        dtype in allowed or dtype == "unknown" or (dtype == "float16" and "float32" in allowed)
        for operands, allowed in limits
        for slot in operands
        for dtype in _dtypes(graph, node, slot)
    )


def _dtypes(graph: Graph, node: Node, slot: str) -> Iterator[str]:
    tensors = node.outputs if slot.startswith("~") else node.native_inputs
    first = int(slot.strip("~+"))
    for index in tensors[first:] if slot.endswith("+") else tensors[first : first + 1]:
        if index >= 0:
            yield graph.tensors[index].dtype


def _types(graph: Graph, node: Node) -> str:
    """``int8 and float32``: the types that a node reads, each once."""
    read = dict.fromkeys(graph.tensors[index].dtype for index in node.native_inputs if index >= 0)
    return " and ".join(read) or "no input"
