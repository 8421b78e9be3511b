"""Ops that the GPU delegate refuses keep part of the model on the CPU.

## What it does
Reports a model that does not run on the GPU as a whole: how many ops are left to the CPU, which ops the delegate refuses, and why.
The gain is what it would buy if ops that the delegate takes stood in their place.

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
Replace the ops that the message names, or move them to the very end of the network, where a short remainder on the CPU costs
little. The rules on single ops (LAT202 to LAT208) say what to put in their place.

## References
tensorflow/lite/graph_info.cc, delegates/gpu/delegate.cc (`max_delegated_partitions`), delegates/gpu/common/model_builder.cc;
tensorflow/tensorflow #66677, #27622; google-ai-edge/LiteRT #1616.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from latlint.checks._placement import as_if_taken, refused
from latlint.checks.types import Finding, Rule, Subject
from latlint.counterfactual import View, view

RULE = Rule("LAT201", "partition-split", "warning", ("gpu-delegate",), "source")

_NAMED = 4
#: A tensor's name in a reason: one of many that the reason holds for.
_NAME = re.compile(r"'[^']*'")


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    left = refused(seen)
    if not left:
        return
    nodes = [seen.graph.nodes[index] for index in sorted(left)]
    on_gpu = sum(part.nodes for part in seen.plan.partitions if part.executor == "gpu")
    gain = seen.gain("LAT201", lambda graph: as_if_taken(graph, sorted(left)))
    share = f"the GPU runs {on_gpu} of {len(seen.graph.nodes)} ops" if on_gpu else "nothing runs on the GPU"
    message = f"{share}, because the delegate refuses {_listed(seen, left)}"
    yield from seen.judge(RULE, message, nodes, fix="replace them by ops that it takes", gain_ms=gain)


def _listed(seen: View, left: dict[int, str]) -> str:
    counts = Counter(seen.graph.nodes[index].native or seen.graph.nodes[index].kind for index in left)
    why = {(seen.graph.nodes[index].native or seen.graph.nodes[index].kind): reason for index, reason in left.items()}
    named = [f"{name} ×{count} ({_NAME.sub('a tensor', why[name])})" for name, count in counts.most_common(_NAMED)]
    return ", ".join(named) + (f" and {len(counts) - _NAMED} more kinds" if len(counts) > _NAMED else "")
