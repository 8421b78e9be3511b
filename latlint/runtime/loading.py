"""What a runtime loads: it looks each op up in a table of kernels before anything runs, and refuses a file with an op, a version of an op, or
a type, that the table does not have ("Didn't find op for builtin opcode … version", "Could not find an implementation for …").

The tables are in ``rules/``. Of TensorFlow Lite: ``versions`` of a rules file (or the file of lines that its ``loads`` name so, which rules of several runtimes
share), or of the fallback that stands for the same release, list the names of ops by the newest version that has a kernel. Of ONNX Runtime: ``loads`` of a rules file names the newest versions of the format, and the list of
kernels by version and type that ``benchmarks/onnxruntime_kernels.py`` writes; and of TensorFlow Lite the list of what operands each op takes, which
``benchmarks/litert_kernels.py`` writes. All were read off the runtimes themselves (``tests/runtime/test_loading.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from math import inf
from typing import Any

from latlint.data import data_dir
from latlint.graph.inputs import dims_text
from latlint.graph.tflite_ops import BUILTIN_NAMES, builtin
from latlint.graph.types import Graph, Node, Tensor, as_left_open
from latlint.records import NamedTuple
from latlint.runtime.rules import load_rules
from latlint.words import counted


class Missing(NamedTuple):
    """Nodes, by index, of one op and version that a runtime has no kernel for: ``newest`` is the version that it has, 0 where it has none.
    ``compiled_for`` is the accelerator that the op was compiled for, if it was; ``types`` are those that no kernel of this version takes,
    ``wrong`` is what else of an op that it has keeps it from running.
    Without nodes it is of a branch or subgraph that is not followed, or what an ONNX file as a whole is written in: ``IR``, or the opset of
    a domain."""

    op: str
    version: int
    newest: int
    nodes: tuple[int, ...]
    compiled_for: str = ""
    types: str = ""
    wrong: str = ""


def missing(graph: Graph, runtime: str, run: Collection[int] | None = None) -> list[Missing]:
    """What keeps ``runtime``, a file of ``rules/``, from loading a file, in the order of the graph; nothing where there is no table. ``run``
    are the nodes that it still has when it looks for kernels, where it, or a delegate, takes some away before."""
    if graph.format == "onnx":
        return list(_missing_of_onnx(graph, runtime, run))
    table = newest_versions(runtime)
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
    lacking = [
        Missing(op, version, newest, tuple(nodes), place) for (op, version, newest, place), nodes in found.items()
    ]
    unloadable = {index for each in lacking for index in each.nodes}
    return [*lacking, *_operands_refused(graph, _operands(runtime), unloadable, run)]


_BUILTIN = frozenset(BUILTIN_NAMES)


@lru_cache(maxsize=32)
def newest_versions(runtime: str) -> Mapping[str, int]:
    """Op -> the newest version with a kernel, in the release that ``runtime`` belongs to."""
    rules = load_rules(runtime)
    if "versions" in rules.loads:
        return {op: int(version) for version, ops in _lines(str(rules.loads["versions"])).items() for op in ops.split()}
    if rules.versions:
        return {op: int(version) for version, ops in rules.versions.items() for op in ops}
    fallback = rules.data.get("fallback")
    return newest_versions(fallback) if isinstance(fallback, str) else {}


@lru_cache(maxsize=32)
def _operands(runtime: str) -> str:
    """The list of operands that the kernels of ``runtime`` take; empty where there is none."""
    rules = load_rules(runtime)
    if rules.takes == "tflite" and "kernels" in rules.loads:
        return str(rules.loads["kernels"])
    fallback = rules.data.get("fallback")
    return _operands(fallback) if isinstance(fallback, str) else ""


def _operands_refused(
    graph: Graph, file: str, known: Collection[int], run: Collection[int] | None
) -> Iterator[Missing]:
    """Nodes whose operands no kernel takes: how many there are, their types, and whether they are quantised as it needs."""
    if not file or graph.as_if:
        return
    lines, letters = _kernels(file)
    by_type = {name: letter for letter, name in letters.items()}
    of_tensor = [by_type.get(_quantised(tensor), "") for tensor in graph.tensors]
    found: dict[tuple[str, int, str, str], list[int]] = {}
    for node in graph.nodes:
        if node.native in _OPERANDS and node.index not in known:
            counts = len(_native_inputs(node)), len(node.outputs)
            if counts[0] not in _OPERANDS[node.native][0] or counts[1] != _OPERANDS[node.native][1]:
                said = f"with {counted(counts[0], 'input')} and {counted(counts[1], 'output')}"
                found.setdefault((node.native, node.version, "", said), []).append(node.index)
        if node.native not in lines or node.index in known:
            continue
        read, written = _native_inputs(node), node.outputs
        word = tuple(tuple(of_tensor[i] if i >= 0 else "-" for i in side) for side in (read, written))
        problem = _refused(file, node.native, word)
        if node.native == "CONV_2D" and problem is None and _is_shifted(graph, node):
            what = "", "with zero points for weights that are quantised by channel"
        elif problem is None:
            unlike = _UNLIKE.get(node.native) if run is None or node.index in run else None
            what = "", unlike(graph, node) if unlike else ""
            if not what[1]:
                continue
        elif problem == "count":
            what = "", f"with {counted(len(read), 'input')} and {counted(len(written), 'output')}"
        else:
            what = _listed_types(graph, read, written), ""
        found.setdefault((node.native, node.version, *what), []).append(node.index)
    for (op, version, types, wrong), nodes in found.items():
        yield Missing(op, version, version, tuple(nodes), types=types, wrong=wrong)


@lru_cache(maxsize=4096)
def _refused(file: str, op: str, word: Any) -> str | None:
    """``word`` has the letters of the types that inputs and outputs have, ``-`` for one that is left out, nothing where no letter stands for it.
    ``None`` where a kernel of ``op`` takes operands of such types, else what it does not take: ``count`` or ``types``."""
    counted_ones = False
    for kernel in _takes(file, op):
        if all(
            len(side) == len(taken) or (many and len(side) >= len(taken))
            for side, (taken, many) in zip(word, kernel, strict=True)
        ):
            counted_ones = True
            if all(
                not letter or "*" in (types := taken[min(slot, len(taken) - 1)]) or letter in types
                for side, (taken, _) in zip(word, kernel, strict=True)
                for slot, letter in enumerate(side)
            ):
                return None
    return "types" if counted_ones else "count"


@lru_cache(maxsize=512)
def _takes(file: str, op: str) -> list[tuple[tuple[tuple[str, ...], bool], ...]]:
    """The kernels of an op: of its inputs and of its outputs, which types each slot has, and whether there may be more of the last."""
    found = []
    for kernel in _kernels(file)[0][op].split("|"):
        sides = (side.split(",") if side else [] for side in kernel.split(">"))
        found.append(
            tuple((tuple(slot.rstrip("+") for slot in side), any("+" in slot for slot in side)) for side in sides)
        )
    return found


def _quantised(tensor: Tensor) -> str:
    """The name of a tensor's type in the list: integers of few bits by how they are quantised."""
    if tensor.dtype not in _FEW_BITS or tensor.quantization is None:
        return tensor.dtype
    if len(tensor.quantization.scales) > 1:
        return f"{tensor.dtype}/c"
    return f"{tensor.dtype}/{'z' if any(tensor.quantization.zero_points) else '0'}"


def _is_shifted(graph: Graph, node: Node) -> bool:
    """Whether weights that have a scale for each channel have zero points, which ``conv.cc`` alone looks at."""
    quantization = graph.tensors[node.inputs[1]].quantization
    return quantization is not None and len(quantization.scales) > 1 and any(quantization.zero_points)


def _native_inputs(node: Node) -> tuple[int, ...]:
    """The inputs in the order that the file has."""
    order = builtin(BUILTIN_NAMES.index(node.native))[1].order
    if not order:
        return node.inputs
    moved = [-1] * len(order)
    for place, given in zip(order, node.inputs, strict=False):  # one that came from no file may have fewer
        moved[place] = given
    inputs = [*moved, *node.inputs[len(order) :]]
    while inputs and inputs[-1] < 0:
        inputs.pop()
    return tuple(inputs)


def _requantises(*dtypes: str) -> Callable[[Graph, Node], str]:
    """An op of these types that moves values as they are."""

    def check(graph: Graph, node: Node) -> str:
        moved = [graph.tensors[i] for i in (*node.inputs, *node.outputs) if i >= 0 and graph.tensors[i].dtype in dtypes]
        same = {(each.quantization.scales, each.quantization.zero_points) for each in moved if each.quantization}
        return "whose operands are not quantised alike" if len(same) > 1 else ""

    return check


def _logistic(graph: Graph, node: Node) -> str:
    made = graph.tensors[node.outputs[0]]
    wanted = 1 / 32768 if made.dtype == "int16" else 1 / 256
    given = made.quantization.scales[:1] if made.quantization and made.dtype in _FEW_BITS else ()
    return f"with an output scale of {given[0]:g}, not {wanted:g}" if given and given[0] != wanted else ""


def _concatenation(graph: Graph, node: Node) -> str:
    activation = node.attributes.get("activation", "none")
    return f"with a fused {activation}" if activation != "none" else _requantises("int8")(graph, node)


def _bilinear(_: Graph, node: Node) -> str:
    both = node.attributes.get("align_corners") and node.attributes.get("half_pixel")
    return "with aligned corners and half pixels" if both else ""


#: How many inputs and outputs ops have that the list says nothing of.
_OPERANDS: Mapping[str, tuple[tuple[int, ...], int]] = {
    "READ_VARIABLE": ((1,), 1),
    "ASSIGN_VARIABLE": ((2,), 0),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": ((20, 24), 1),
    "BIDIRECTIONAL_SEQUENCE_RNN": ((12,), 2),
    "UNIDIRECTIONAL_SEQUENCE_RNN": ((5,), 1),
    "RNN": ((5,), 1),
    "SVDF": ((5,), 1),
}
#: What built-in kernels refuse when they are prepared (``Prepare`` of each in ``kernels/``, asked of LiteRT 2.3) of operands of the right types.
_UNLIKE: Mapping[str, Callable[[Graph, Node], str]] = {
    "CONCATENATION": _concatenation,
    "LOGISTIC": _logistic,
    "RESIZE_BILINEAR": _bilinear,
    **dict.fromkeys(
        ("EXPAND_DIMS", "PACK", "PADV2", "REDUCE_MAX", "REDUCE_MIN"), _requantises("int8", "uint8", "int16")
    ),
}


_STATES = {"": " that is not quantised", "0": "", "z": " with a zero point", "c": " quantised by channel"}


def _listed_types(graph: Graph, read: Sequence[int], written: Sequence[int]) -> str:
    """``float32 and int8 that is not quantised, to float32``: each type once."""

    def side(indices: Sequence[int]) -> str:
        names = dict.fromkeys(_quantised(graph.tensors[index]) for index in indices if index >= 0)
        told = [
            f"{dtype}{_STATES[state] if dtype in _FEW_BITS else ''}"
            for dtype, _, state in (n.partition("/") for n in names)
        ]
        return " and ".join(told) or "nothing"

    return f"{side(read)}, to {side(written)}" if written else side(read)


_FEW_BITS = frozenset({"int8", "uint8", "int16", "int4"})


# --- ONNX Runtime --------------------------------------------------------------------------------------------------------------

#: Operands of one type, ``0`` an input, ``~0`` an output, ``2+`` one and those after it; and the types that they may have.
_Limits = tuple[tuple[tuple[str, ...], frozenset[str]], ...]


def _missing_of_onnx(graph: Graph, runtime: str, run: Collection[int] | None) -> Iterator[Missing]:
    rules = load_rules(runtime)
    loads = rules.loads
    if not loads or rules.takes != "onnx":
        return
    for place, (name, version) in enumerate(graph.imports):
        known = loads.get(name or "ai.onnx")
        # a file may call a domain what is no domain here; the version of the format comes first
        newest = known if isinstance(known, int) and (place == 0 or name != "IR") else version
        if version > newest or (place == 0 and name == "IR" and version < 1):
            yield Missing(name or "ai.onnx", version, newest, ())
    if graph.imports and all(name == "IR" for name, _ in graph.imports):
        yield Missing("ai.onnx", 0, int(loads["ai.onnx"]), ())
    file = str(loads["kernels"])
    yield from _against_schemas(graph, str(loads["schemas"]))
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


class Schema(NamedTuple):
    """What an op of one version has: the least and most inputs and outputs, and its attributes by name, each with the letter of its kind."""

    inputs: tuple[int, float]
    outputs: tuple[int, float]
    attributes: Mapping[str, str]
    required: tuple[str, ...]


#: What Python has for the kinds of attributes that a ``Graph`` holds; those with a capital letter are lists of such.
_VALUES: Mapping[str, type] = {"i": int, "f": float, "s": str}


def is_of_kind(value: Any, kind: str) -> bool:
    """Whether the value of an attribute is of the kind that a schema has under this letter."""
    if kind in _VALUES:
        return isinstance(value, _VALUES[kind])
    of = _VALUES.get(kind.lower())
    # a ``Graph`` holds no tensors, graphs and types: they are ``None`` there
    return value is None if of is None else isinstance(value, tuple) and all(isinstance(each, of) for each in value)


def _against_schemas(graph: Graph, file: str) -> Iterator[Missing]:
    """Nodes that are not as the schema of their op has it, which ONNX Runtime checks before anything else."""
    found: dict[tuple[str, int, str], list[int]] = {}
    known: Graph | None = None
    for node in graph.nodes:
        domain, _, op = node.native.rpartition("::")
        # one of control flow reads also what its graphs have written
        schema = None if node.attributes.get("followed") else schema_of(file, f"{domain}::{op}", node.version)
        if schema is None:  # nobody knows what its attributes mean; that it has no kernel is said elsewhere
            continue
        wrong = _unlike(node, schema)
        if not wrong and not domain and op in _CHECKS:
            known = known or _as_stated(graph)
            wrong = _CHECKS[op](known, node)
        if wrong:
            found.setdefault((node.native, node.version, wrong), []).append(node.index)
    for (name, version, wrong), nodes in found.items():
        yield Missing(name, version, version, tuple(nodes), wrong=wrong)


def _as_stated(graph: Graph) -> Graph:
    """``graph`` without the sizes that nobody states, which it has at 1: a kernel may take others."""
    return replace(graph, tensors=tuple(as_left_open(graph)[0])) if graph.open_sizes else graph


def _unlike(node: Node, schema: Schema) -> str:
    """What of a node is not as ``schema`` has it; empty: nothing."""
    for what, operands, (least, most) in (
        ("input", node.native_inputs, schema.inputs),
        ("output", node.outputs, schema.outputs),
    ):
        if not least <= len(operands) <= most:
            return f"with {counted(len(operands), what)}"
    for name in node.left_over:
        if name not in schema.attributes:
            return f"with an attribute '{name[:40]}'"
    for name, value in node.native_attributes.items():
        kind = schema.attributes.get(name)
        if kind is None:
            # those that begin so are a tool's own (IsInternalSymbol in ONNX's schema.cc)
            if not name.startswith("__"):
                return f"with an attribute '{name[:40]}'"
        elif not is_of_kind(value, kind):
            return f"with another kind of '{name[:40]}'"
    missing_ones = [name for name in schema.required if name not in node.native_attributes]
    return f"without '{missing_ones[0]}'" if missing_ones else ""


def _no_cell(graph: Graph, node: Node) -> str:
    """What ``DeepCpuLstmOp`` and its like do not take (``rnn/lstm_base.h``, ``rnn_helpers.h``); activations are one list for all directions."""
    given = node.native_attributes
    if given.get("layout", 0):
        return "with the batch first ('layout' is 1)"
    if given.get("clip", 1) <= 0:
        return f"with a 'clip' of {given['clip']}"
    directions = 2 if given.get("direction") == "bidirectional" else 1
    named = [name.lower() for name in given.get("activations", ())]
    wanted = directions * {"LSTM": 3, "GRU": 2, "RNN": 1}[node.native]
    if named and len(named) != wanted:
        return f"with {counted(len(named), 'activation')} where it takes {wanted}"
    strange = next((name for name in named if name not in _ACTIVATIONS), "")
    if strange:
        return f"with an activation '{strange[:40]}'"
    units, gates = given.get("hidden_size", 0), {"LSTM": 4, "GRU": 3, "RNN": 1}[node.native]
    data = _operand(graph, node, 0)
    _, batch, read = data.shape if data is not None and data.shape is not None and len(data.shape) == 3 else (-1,) * 3
    for slot, (what, wanted_dims) in {
        1: ("weights", (directions, gates * units, read)),
        2: ("recurrent weights", (directions, gates * units, units)),
        3: ("a bias", (directions, 2 * gates * units)),
        5: ("an initial state", (directions, batch, units)),
        6: ("an initial cell", (directions, batch, units)),
        7: ("peepholes", (directions, 3 * units)),
    }.items():
        operand = _operand(graph, node, slot) if units else None
        shape = None if operand is None else operand.shape
        if shape is not None and not _may_be(shape, wanted_dims):
            return f"with {what} of {dims_text(shape)}, not {dims_text(wanted_dims)}"
    return ""


def _may_be(shape: Sequence[int], wanted: Sequence[int]) -> bool:
    """Whether a shape may be another, of which sizes below 0 are not known."""
    return len(shape) == len(wanted) and all(a == b or min(a, b) < 0 for a, b in zip(shape, wanted, strict=True))


def _operand(graph: Graph, node: Node, slot: int) -> Tensor | None:
    """What the node reads there; ``None`` where that is left out."""
    tensor = node.native_inputs[slot] if slot < len(node.native_inputs) else -1
    return graph.tensors[tensor] if tensor >= 0 else None


_ACTIVATIONS = frozenset(
    "sigmoid tanh relu softsign softplus hardsigmoid leakyrelu thresholdedrelu scaledtanh elu affine".split()
)


def _no_resize(graph: Graph, node: Node) -> str:
    """Linear and cubic ones work on whole images (``tensor/upsamplebase.h``, ``ScalesValidation``); sizes or scales, not both."""
    scales, sizes = (_operand(graph, node, slot) for slot in (2, 3))
    if scales is not None and scales.elements and sizes is not None:
        return "with both scales and sizes"
    mode = node.native_attributes.get("mode", "nearest")
    read, made = (graph.tensors[tensors[0]].shape for tensors in (node.native_inputs, node.outputs))
    if mode == "nearest" or not read or not made or len(read) != len(made) or min(*read, *made) < 1:
        return ""
    kept, rank = [a == b for a, b in zip(read, made, strict=True)], len(read)
    taken = rank == 2 or (rank == 4 and kept[0] and (kept[1] or kept[3]))
    if mode == "linear":
        taken |= rank == 3 or (rank == 5 and kept[0] and kept[1])
    return "" if taken else f"that is {mode} over these of {rank} dimensions"


def _no_pad(graph: Graph, node: Node) -> str:
    mode = node.native_attributes.get("mode", "constant")
    return "" if mode in ("constant", "reflect", "edge", "wrap") else f"with a mode '{str(mode)[:40]}'"


def _no_clip(graph: Graph, node: Node) -> str:
    """Bounds are numbers (``math/clip.cc``)."""
    shapes = [graph.tensors[tensor].shape for tensor in node.native_inputs[1:3] if tensor >= 0]
    return "with a bound of more than one number" if any(shape and not _may_be(shape, (1,)) for shape in shapes) else ""


def _no_gather(graph: Graph, node: Node) -> str:
    """Indices that are known lie within (``tensor/gather.cc``)."""
    data, index = _operand(graph, node, 0), _operand(graph, node, 1)
    axis = node.native_attributes.get("axis", 0)
    if (
        data is None
        or index is None
        or index.dtype not in ("int32", "int64")
        or not index.value
        or not data.shape
        or not -len(data.shape) <= axis < len(data.shape)
    ):
        return ""
    size = data.shape[axis]
    beyond = next((each for each in index.value if size >= 0 and not -size <= each < size), None)
    return "" if beyond is None else f"of element {beyond} of {size}"


#: What kernels of ONNX Runtime's CPU provider refuse when they are made or run, of what schemas allow.
_CHECKS: Mapping[str, Callable[[Graph, Node], str]] = {
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _no_cell),
    "Resize": _no_resize,
    "Pad": _no_pad,
    "Clip": _no_clip,
    "Gather": _no_gather,
    "LRN": lambda _, node: "over an even 'size'" if node.native_attributes.get("size", 1) % 2 == 0 else "",
}


@lru_cache(maxsize=4096)
def schema_of(file: str, op: str, opset: int) -> Schema | None:
    """The schema of an op in the newest version that ``opset`` has; ``None`` where none is known."""
    lines = _lines(file)
    chosen, said = 0, ""
    for entry in lines.get(op, "").split():
        versions, _, rest = entry.partition(":")
        for version in map(int, versions.split(",")):
            if chosen < version <= opset:
                chosen, said = version, rest
    if not chosen:
        return None
    operands, _, attributes = said.partition(":")
    kinds = dict(each.split("=") for each in attributes.split(",") if each)
    inputs, outputs = (side.partition("-") for side in operands.split(">"))
    return Schema(
        (int(inputs[0]), float(inputs[2] or inf)),
        (int(outputs[0]), float(outputs[2] or inf)),
        {name: kind.rstrip("!") for name, kind in kinds.items()},
        tuple(name for name, kind in kinds.items() if kind.endswith("!") and kind[0].lower() in _VALUES),
    )


@lru_cache(maxsize=4)
def _lines(file: str) -> Mapping[str, str]:
    return dict(row.split(" ", 1) for row in (data_dir("rules") / file).read_text("utf-8").splitlines())


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
    ) and all(len(_kinds(graph, node, operands)) <= 1 for operands, _ in limits)


def _kinds(graph: Graph, node: Node, operands: Sequence[str]) -> set[str]:
    """The types of operands that must be of one; those that there may be any number of are left out: of some ops each has its own."""
    slots = (slot for slot in operands if not slot.endswith("+"))
    return {dtype for slot in slots for dtype in _dtypes(graph, node, slot)} - {"unknown"}


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
