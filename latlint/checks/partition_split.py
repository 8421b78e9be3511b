"""Ops that the GPU delegate refuses keep part of the model on the CPU.

## What it does
Reports a model that does not run on the GPU as a whole: how many ops are left to the CPU, the time on both and for copies between
them, which ops the delegate refuses, and why. The gain is what it would buy if ops that the delegate takes stood in their place, and, where
several kinds are refused, what the best of them would buy alone. Where nothing
runs on the GPU or NPU it warns in any case: a budget for that processor is then held against another one.

## Why is this slow?
The delegate keeps one run of ops by default: the one with the most ops, not the one with the most work. All others, though it could
run many of them, go to the CPU, and at each border tensors are copied and both processors wait for each other.

## Example that fails
```text
# pixel-4/gpu
x = input 1x56x56x64
a = conv2d x 64 kernel=3 activation=relu
b = reverse a -> 1x56x56x64
c = conv2d b 64 kernel=3 activation=relu
```

## Example that passes
```text
# pixel-4/gpu
x = input 1x56x56x64
a = conv2d x 64 kernel=3 activation=relu
c = conv2d a 64 kernel=3 activation=relu
```

## How to fix
The message says what can be put in the place of each kind of op; the findings under it (LAT202 to LAT208) say more. Some ops have no other
form: suppression of boxes, the best of the scores, look-ups of embeddings. They are a note where they are the first or the last of the
model: there they may stay on the CPU, or move to the app. A newer delegate may take more: LiteRT 2.2's GPU accelerator takes GELU and the matrix
products of attention. An NPU that computes in whole numbers alone takes nothing of a float model, whatever its ops: quantise it.

## References
tensorflow/lite/graph_info.cc, delegates/gpu/delegate.cc (`max_delegated_partitions`), delegates/gpu/common/model_builder.cc;
tensorflow/tensorflow #66677, #27622; google-ai-edge/LiteRT #1616.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from latlint.checks._placement import advice, at_the_ends, brief, gain_if_taken, refused, takes_no_floats, takes_whole
from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.latency.types import Gain
from latlint.runtime.reasons import Refusal
from latlint.units import format_ms

RULE = Rule("LAT201", "partition-split", "warning", ("offload",), "source")

_NAMED = 4
#: Kinds whose replacement alone is priced.
_PRICED = 3
#: A tensor's name in a reason: one of many that the reason holds for.
_NAME = r"'[^']*'"


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    left = refused(seen)
    if not left:
        return
    nodes = [seen.graph.nodes[index] for index in sorted(left)]
    message = f"{_placement(seen)}, because {seen.delegate} refuses {seen.planned(_listed)}"
    if takes_whole(seen):
        message += ", and takes a graph whole or not at all"
    if takes_no_floats(seen):
        fix = "quantise it (--precision w8a8 predicts what that gives), or name the CPU as the target"
        yield from seen.judge(RULE, message, nodes, fix=fix, severity=RULE.severity)
        return
    ends = at_the_ends(seen)
    mendable = {index: why for index, why in left.items() if index not in ends}
    what = advice(kind for kind, _ in Counter(node.kind for node in nodes).most_common(_NAMED))
    if not mendable and _taken(seen):
        fix = f"they may stay there, at an end of the model{f' ({what})' if what else ''}"
        yield from seen.judge(RULE, message, nodes, fix=fix, severity="note")
        return
    gain = gain_if_taken(seen, sorted(mendable))
    fix = f"{what or 'replace them by ops that it takes'}{_culprit(seen, mendable)}"
    if not _taken(seen) and (gain is None or gain.ms < seen.least_gain_ms):
        # Whether it pays or not, a budget for the processor is held against another one.
        yield from seen.judge(RULE, message, nodes, fix=f"{fix}, or name the CPU as the target", severity=RULE.severity)
        return
    yield from seen.judge(RULE, message, nodes, fix=fix, gain=gain)


def _taken(seen: View) -> int:
    """How many ops the delegate takes."""
    return sum(part.nodes for part in seen.plan.partitions if part.executor == seen.plan.delegate)


def _placement(seen: View) -> str:
    """How many ops run where, how long they take there, and what the borders cost."""
    partitions, prediction = seen.plan.partitions, seen.subject.prediction
    taken = _taken(seen)
    if not taken:
        return f"nothing runs on the {seen.place}"
    spent_ms = {True: 0.0, False: 0.0}
    for kernel, ms in seen.kernels():
        spent_ms[partitions[kernel.partition].executor == seen.plan.delegate] += ms
    return (
        f"the {seen.place} runs {taken} of {len(seen.graph.nodes)} ops in {format_ms(spent_ms[True])}, the CPU the others in "
        f"{format_ms(spent_ms[False])}, and copies between them take {format_ms(prediction.border_ms)}"
    )


def _culprit(seen: View, left: dict[int, Refusal]) -> str:
    """The one kind of op, of the most frequent, whose replacement alone would gain most."""
    kinds = Counter(seen.graph.nodes[index].kind for index in left)
    if len(kinds) < 2:
        return ""
    alone: dict[str, Gain] = {}
    for kind, _ in kinds.most_common(_PRICED):
        gain = gain_if_taken(seen, [index for index in sorted(left) if seen.graph.nodes[index].kind == kind])
        if gain is not None and gain.low_ms > 0 and gain.ms >= seen.least_gain_ms:
            alone[kind] = gain
    best = max(alone, key=lambda kind: alone[kind].ms, default="")
    if not best:
        return ""
    saved, _, _ = seen.saved(alone[best]).rpartition(" (")
    return f" ({best} alone would save {saved})"


def _listed(seen: View) -> str:
    left = refused(seen)
    counts = Counter(seen.graph.nodes[index].native or seen.graph.nodes[index].kind for index in left)
    why = {(seen.graph.nodes[index].native or seen.graph.nodes[index].kind): reason for index, reason in left.items()}
    named = [
        f"{name} ×{count} ({re.sub(_NAME, 'a tensor', brief(why[name]))})" for name, count in counts.most_common(_NAMED)
    ]
    return ", ".join(named) + (f" and {len(counts) - _NAMED} more kinds" if len(counts) > _NAMED else "")
