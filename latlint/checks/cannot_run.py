"""The target's runtime does not load the file.

## What it does
Reports ops, and versions of ops, that the runtime of a target has no kernel for. TensorFlow Lite looks each op up when it loads a file, by
its name and version, and refuses the whole file for one that it does not find: "Didn't find op for builtin opcode 'FULLY_CONNECTED'
version '12'". It reports likewise a file that was compiled for an accelerator (Edge TPU, Ethos-U, an NPU): what was compiled
runs nowhere else.

## Why is this bad?
The model does not start on that target, so it has no latency there. It is not judged: an error under a budget, a warning without one.

## What to do
Ship a newer runtime and name a target of it; or convert with an older converter, or for less (int8 by channel, or a fused activation in
a TRANSPOSE_CONV, are what newer versions stand for). Lint a compiled file as it was before it was compiled.

## References
tensorflow/lite/core/kernels/register.cc; tensorflow.org/lite/guide/ops_version. The tables in `rules/` are from the interpreters of TensorFlow 2.10.1 and
2.15.1 and of LiteRT 2.3.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from latlint.checks.types import Finding, Rule, Subject
from latlint.runtime.loading import Missing, missing
from latlint.runtime.rules import load_rules
from latlint.words import counted

RULE = Rule("LAT012", "cannot-run", "error")


def check(subject: Subject) -> Iterator[Finding]:
    settings, prediction = subject.settings, subject.prediction
    found = missing(subject.graph, subject.target.processor.runtime)
    if not found:
        return
    title = load_rules(subject.target.processor.runtime).title
    named = tuple(subject.graph.nodes[index].name for each in found for index in each.nodes)
    message = f"{title} does not load this file: {'; '.join(map(_named, found))}"
    judged = settings.budgets_for(prediction.model, prediction.target) and settings.unjudged != "ignore"
    yield replace(
        RULE.finding(subject, message, nodes=named, latency_ms=prediction.latency_ms),
        severity=settings.unjudged if judged else "warning",
    )


def _named(each: Missing) -> str:
    """``FULLY_CONNECTED version 12 (2 ops; its newest is version 9)``."""
    ops = counted(len(each.nodes), "op")
    if each.compiled_for:
        return f"{each.op} ({ops}) was compiled for {each.compiled_for}: lint the file as it was before that"
    newest = f"its newest is version {each.newest}" if each.newest else "it has no kernel for it"
    return f"{each.op} version {each.version} ({ops}; {newest})"
