"""The target's runtime does not load the file.

## What it does
Reports ops, versions of ops and operands that the runtime of a target has no kernel for. TensorFlow Lite looks each op up when it loads a file, by
its name and version, and refuses the whole file for one that it does not find: "Didn't find op for builtin opcode 'FULLY_CONNECTED'
version '12'". So does ONNX Runtime, by version and type: "Could not find an implementation for BitShift(11)" where the CPU provider has no kernel
for int32; and it refuses a file of a newer IR version or opset than it knows. A float16 op that has a float32 kernel runs on that, between Casts.

It reports operands that no kernel takes: a CONV_2D without a bias, int8 that is not quantised, a zero point for int16, two inputs of different types. In ONNX
it reports nodes that are not as the schema of their op has them, with an attribute of another op, say. What LiteRT 2.3 refuses counts for older
releases of TensorFlow Lite, too. It reports what XNNPACK of LiteRT 2.3 takes and then fails to prepare: a convolution whose input times
filter over output scale is 256 or more, a MAX_POOL_2D or PAD whose output is quantised otherwise than its input. It reports likewise a file that was compiled for an accelerator (Edge TPU, Ethos-U, an NPU): what was compiled runs nowhere else.

## Why is this bad?
The model does not start on that target, so it has no latency there. It is not judged: an error under a budget, a warning without one.

## What to do
Ship a newer runtime and name a target of it; or convert with an older converter, or for less (int8 by channel, or a fused activation in
a TRANSPOSE_CONV, are what newer versions stand for). Operands that no kernel takes mostly come from a script that edited the file: export it again.
Where quantised ops cannot be prepared, convert again with representative data (a scale is nearly zero where a channel never fires), or turn the delegate off.
For ONNX Runtime, cast to a type that has a kernel, or export at a lower opset. Lint a compiled file as it was before it was compiled.

## References
tensorflow/lite/core/kernels/register.cc; tensorflow.org/lite/guide/ops_version. The tables in `rules/` are from the interpreters of TensorFlow 2.10.1 and
2.15.1, of LiteRT 2.3.0 and of ONNX Runtime 1.32.0 (`get_all_opkernel_def` and `get_all_operator_schema`, which `benchmarks/onnxruntime_kernels.py` writes
down). Operands of TensorFlow Lite: LiteRT 2.3.0 was asked of one-op files in each type (`benchmarks/litert_kernels.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.graph.tflite_ops import BUILTIN_NAMES
from latlint.runtime.loading import Missing, missing
from latlint.runtime.rules import load_rules
from latlint.runtime.types import Plan
from latlint.words import counted

RULE = Rule("LAT012", "cannot-run", "error")


def check(subject: Subject) -> Iterator[Finding]:
    settings, prediction = subject.settings, subject.prediction
    found, unprepared = view(subject).planned(_missing), _unprepared(subject.plan)
    if not found and not unprepared:
        return
    title = load_rules(subject.target.processor.runtime).title
    nodes = [
        *(index for each in found for index in each.nodes),
        *(index for few in unprepared.values() for index in few),
    ]
    named = tuple(subject.graph.nodes[index].name for index in nodes)
    said = [
        f"it takes {native} ({counted(len(few), 'op')}) and fails to prepare it: {why}; the built-in kernels alone run it"
        for (native, why), few in unprepared.items()
    ]
    message = f"{title} does not load this file: {'; '.join([*map(_named, found), *said])}"
    judged = settings.budgets_for(prediction.model, prediction.target) and settings.unjudged != "ignore"
    yield replace(
        RULE.finding(subject, message, nodes=named, latency_ms=prediction.latency_ms),
        severity=settings.unjudged if judged else "warning",
    )


def _unprepared(plan: Plan) -> dict[tuple[str, str], list[int]]:
    """The nodes that a delegate takes and cannot prepare, by op and reason."""
    found: dict[tuple[str, str], list[int]] = {}
    for index, why in plan.fallbacks.items():
        if why.code == "NOT_PREPARED":
            found.setdefault((why.values["native"], why.values["why"]), []).append(index)
    return found


def _missing(view: View) -> list[Missing]:
    graph, plan = view.subject.graph, view.subject.plan
    delegates = graph.format == "tflite"
    run = {
        node
        for kernel in plan.kernels
        if (plan.partitions[kernel.partition].executor == "builtin" if delegates else not kernel.free)
        for node in kernel.nodes
    }
    return missing(graph, plan.runtime, run)


def _named(each: Missing) -> str:
    """``FULLY_CONNECTED version 12 (2 ops; its newest is version 9)``."""
    if not each.nodes and each.newest and each.op not in BUILTIN_NAMES:
        what = "IR version" if each.op == "IR" else f"{each.op} opset"
        return f"{what} {each.version} (its newest is {each.newest})"
    ops = counted(len(each.nodes), "op") if each.nodes else "in a part that is not planned"
    if each.compiled_for:
        return f"{each.op} ({ops}) was compiled for {each.compiled_for}: lint the file as it was before that"
    if each.wrong:
        return f"{each.op} {each.wrong} ({ops}; no kernel takes that)"
    if each.types:
        return f"{each.op} version {each.version} of {each.types} ({ops}; no kernel takes these types)"
    newest = f"its newest is version {each.newest}" if each.newest < each.version else "not this version"
    return f"{each.op} version {each.version} ({ops}; {newest if each.newest else 'it has no kernel for it'})"
