"""Writes ``rules/onnxruntime-1.32/kernels.txt``: for which versions and types of ops ONNX Runtime's CPU provider has kernels, as it says itself; and
``schemas.txt`` beside it: how many operands each version of an op has, and which attributes.

    python benchmarks/onnxruntime_kernels.py            # whether the file is what the installed ONNX Runtime says
    python benchmarks/onnxruntime_kernels.py --write

A line for each op: ``DOMAIN::OP``, then ``VERSIONS:KERNELS`` for versions that changed it. Kernels are separated by ``|``, what each takes by
commas: ``0.1.~0=ab`` are the types that inputs 0 and 1 and output 0 share, ``2+=a`` those of inputs 2 and on. ``any`` takes whatever the op does, ``none``
says that no kernel has this version, ``body`` that ONNX says what the op consists of, which is run where no kernel takes it. Where such an op can be loaded alone,
ONNX Runtime was asked with which types it does. The first line has a letter for each type.

In ``schemas.txt`` a line for each op has ``VERSIONS:INPUTS>OUTPUTS:ATTRIBUTES``: ``1-3`` are from one to three operands, ``1-`` one and more; ``axis=i`` is an
attribute of one integer, ``i`` integer, ``f`` number, ``s`` text, ``t`` tensor, ``g`` graph, ``x`` what else there is, capitals for lists; ``!`` behind one that
is required.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from onnx import TensorProto, defs, helper

FILE = Path(__file__).parents[1] / "rules" / "onnxruntime-1.32" / "kernels.txt"
DOMAINS = ("", "com.microsoft", "ai.onnx.ml")
#: The names that graphs have for types, by ONNX Runtime's.
TYPES = {
    "float": "float32", "double": "float64", "float16": "float16", "bfloat16": "bfloat16",
    "int8": "int8", "int16": "int16", "int32": "int32", "int64": "int64",
    "uint8": "uint8", "uint16": "uint16", "uint32": "uint32", "uint64": "uint64",
    "bool": "bool", "string": "string", "complex64": "complex64", "complex128": "complex128",
    "int4": "int4", "uint4": "uint4", "int2": "int2", "uint2": "uint2",
    "float8e4m3fn": "float8", "float8e4m3fnuz": "float8", "float8e5m2": "float8", "float8e5m2fnuz": "float8", "float8e8m0": "float8",
    "float4e2m1": "float4",
}  # fmt: skip
LETTERS = {name: chr(ord("a") + index) for index, name in enumerate(dict.fromkeys(TYPES.values()))}

#: The numbers that ONNX has for types, by the same.
ONNX_TYPES = {name.lower(): number for name, number in TensorProto.DataType.items()}

#: What one kernel takes: operands of one type -> letters.
Kernel = dict[str, str]


def table() -> str:
    """The file's text, from the ONNX Runtime that is installed."""
    import onnxruntime.capi.onnxruntime_pybind11_state as runtime

    schemas: dict[tuple[str, str], list[Any]] = {}
    for schema in runtime.get_all_operator_schema():
        if schema.domain in DOMAINS and not schema.deprecated:
            schemas.setdefault((schema.domain, schema.name), []).append(schema)
    kernels: dict[tuple[str, str], list[Any]] = {}
    for each in runtime.get_all_opkernel_def():
        if each.provider == "CPUExecutionProvider":
            kernels.setdefault((each.domain, each.op_name), []).append(each)
    lines = ["types " + " ".join(f"{letter}={name}" for name, letter in LETTERS.items())]
    for (domain, name), of in sorted(schemas.items()):
        entries: list[tuple[str, str]] = []
        for schema in sorted(of, key=lambda schema: schema.since_version):
            matching = [each for each in kernels.get((domain, name), ()) if _is_for(each, schema.since_version)]
            taken = [_taken(each, schema) for each in matching]
            body = _has_body(domain, name, schema.since_version)
            alone = _by_body(schema) if body and asked(schema) else []
            said = "|".join([*map(_written, _merged([*taken, *alone])), *["body"] * (body and not asked(schema))])
            said = said or "none"
            if entries and entries[-1][1] == said:
                entries[-1] = (f"{entries[-1][0]},{schema.since_version}", said)
            else:
                entries.append((str(schema.since_version), said))
        lines.append(f"{domain}::{name} {' '.join(f'{versions}:{said}' for versions, said in entries)}")
    return "\n".join(lines) + "\n"


_KINDS = {"INT": "i", "FLOAT": "f", "STRING": "s", "TENSOR": "t", "GRAPH": "g"}
_KINDS |= {f"{name}S": letter.upper() for name, letter in _KINDS.items()}


def schemas() -> str:
    """The text of ``schemas.txt``, from the ONNX Runtime that is installed."""
    import onnxruntime.capi.onnxruntime_pybind11_state as runtime

    of: dict[str, list[Any]] = {}
    for schema in runtime.get_all_operator_schema():
        if schema.domain in DOMAINS and not schema.deprecated:
            of.setdefault(f"{schema.domain}::{schema.name}", []).append(schema)
    lines = []
    for name, versions in sorted(of.items()):
        entries: dict[str, list[str]] = {}
        for schema in sorted(versions, key=lambda schema: schema.since_version):
            entries.setdefault(_schema(schema), []).append(str(schema.since_version))
        told = (f"{','.join(since)}:{said}" for said, since in entries.items())
        lines.append(f"{name} {' '.join(told)}")
    return "\n".join(lines) + "\n"


def _schema(schema: Any) -> str:
    def counts(least: int, most: int) -> str:
        return f"{least}-{most if most < 2**31 - 1 else ''}"

    attributes = (
        f"{name}={_KINDS.get(each.type.name, 'x')}{'!' * each.required}"
        for name, each in sorted(schema.attributes.items())
    )
    operands = f"{counts(schema.min_input, schema.max_input)}>{counts(schema.min_output, schema.max_output)}"
    return f"{operands}:{','.join(attributes)}"


def _is_for(kernel: Any, since: int) -> bool:
    """As ``KernelRegistry::VerifyKernelDef`` has it: a kernel without an end is for the version that it begins with alone."""
    start, end = kernel.version_range
    return bool(start == since or (start < since <= end < 2**31 - 1))


def _has_body(domain: str, name: str, version: int) -> bool:
    try:
        schema = defs.get_schema(name, version, domain)
    except defs.SchemaError:
        return False
    return bool(schema.has_function or schema.has_context_dependent_function)


def asked(schema: Any) -> bool:
    """Whether a node of the op can be written without knowing more of it: one or two operands, all of one type, and nothing else that it must have.
    ``schema`` is ONNX's or ONNX Runtime's."""
    operands = {str(getattr(each, "typeStr", "") or each.type_str) for each in (*schema.inputs, *schema.outputs)}
    required = any(attribute.required for attribute in schema.attributes.values())
    return not schema.domain and len(operands) == 1 and not required and 1 <= schema.min_input <= 2


def _by_body(schema: Any) -> list[Kernel]:
    """What an op takes that ONNX Runtime can run as what it consists of, as it says when it loads one."""
    operands = [str(slot) for slot in range(len(schema.inputs))] + [f"~{slot}" for slot in range(len(schema.outputs))]
    found = []
    for name in sorted(schema.type_constraints[0].allowed_type_strs if schema.type_constraints else ()):
        kind = name.removeprefix("tensor(").removesuffix(")")
        if kind in TYPES and not kind.startswith("float8"):
            content = one_op(schema.name, schema.since_version, ONNX_TYPES[kind], schema.min_input)
            if refused(content) is False:
                found.append({".".join(operands): LETTERS[TYPES[kind]]})
    return found


def one_op(
    op: str, opset: int, dtype: int, inputs: int = 1, *, ir: int = 10, domain: str = "", **attributes: Any
) -> bytes:
    """A file of one node that reads ``inputs`` values of one type."""
    names = [f"x{number}" for number in range(inputs)]
    graph = helper.make_graph(
        [helper.make_node(op, names, ["y"], name="it", domain=domain, **attributes)],
        "g",
        [helper.make_tensor_value_info(name, dtype, [2, 4]) for name in names],
        [helper.make_tensor_value_info("y", dtype, [2, 4])],
    )
    imports = [helper.make_opsetid(domain, opset), *([helper.make_opsetid("", 20)] if domain else [])]
    return bytes(helper.make_model(graph, opset_imports=imports, ir_version=ir).SerializeToString())


def refused(content: bytes) -> bool | None:
    """Whether ONNX Runtime finds no kernel, or does not know the version; ``None`` where it says something else of the file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its classes are not public
        said = str(error)
        known = (
            "Could not find an implementation",
            "max supported IR version",
            "under development",
            "not a registered function",
        )
        return True if any(each in said for each in known) else None
    return False


def _taken(kernel: Any, schema: Any) -> Kernel:
    """The types of operands, of those that the kernel limits to less than all."""
    slots: dict[str, list[str]] = {}
    for mark, formals in (("", schema.inputs), ("~", schema.outputs)):
        for slot, formal in enumerate(formals):
            # a constraint has the name of a type parameter or, where the op has no parameter for it, of the operand
            name = formal.typeStr if formal.typeStr in kernel.type_constraints else formal.name
            slots.setdefault(name, []).append(f"{mark}{slot}{'+' * (formal.option.name == 'Variadic')}")
    found: Kernel = {}
    for name, of in slots.items():
        types = {each.removeprefix("tensor(").removesuffix(")") for each in kernel.type_constraints.get(name, ())}
        if letters := sorted({LETTERS[TYPES[each]] for each in types if each in TYPES}):
            found[".".join(of)] = "".join(letters)
    return found


def _merged(kernels: Iterable[Kernel]) -> list[Kernel]:
    """The same kernels, fewer: those that differ in one type alone are one."""
    found: list[Kernel] = []
    for each in kernels:
        for known in found:
            differing = [operands for operands in known if known[operands] != each.get(operands)]
            if known.keys() == each.keys() and len(differing) <= 1:
                for operands in differing:
                    known[operands] = "".join(sorted({*known[operands], *each[operands]}))
                break
        else:
            found.append(each)
    return found


def _written(kernel: Kernel) -> str:
    return ",".join(f"{operands}={letters}" for operands, letters in kernel.items()) or "any"


def main() -> int:
    written = {FILE: table(), FILE.with_name("schemas.txt"): schemas()}
    if "--write" in sys.argv[1:]:
        for file, said in written.items():
            file.write_text(said, "utf-8")
            print(f"{file.name}: {said.count(chr(10))} lines, {len(said)} bytes")
        return 0
    other = [file.name for file, said in written.items() if file.read_text("utf-8") != said]
    print(f"another: {', '.join(other)}" if other else "the same")
    return 1 if other else 0


if __name__ == "__main__":
    sys.exit(main())
