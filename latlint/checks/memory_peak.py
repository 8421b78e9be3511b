"""What would lower the peak of a model's memory.

## What it does
Where a model breaks a budget of `peak-memory` (LAT108), looks at the tensors that are alive at the peak. It plans the memory again without
what makes the peak, and reports the change that lowers it most: a tensor that waits for a later op, or the largest one of the
op that runs at the peak.

## Why is this bad?
Activations share one block of memory, the arena. Its size is set by one moment of the run. A skip connection keeps its tensor in memory
while the ops that it passes over run. Elsewhere one op reads and writes large tensors.

## Example
```toml
[[budgets]]
model = "models/wakeword.tflite"
target = "pixel-4/cpu-1large"
peak-memory = "64 KiB"
```

## What to do
End a skip connection earlier, or give it fewer channels. Where one op makes the peak, give it fewer channels or a smaller input, or put the
layer with the stride before it.

The plan is that of tflite-micro's `greedy_memory_planner.cc`.
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.graph.types import Graph
from latlint.units import format_bytes
from latlint.words import short_name

RULE = Rule("LAT109", "memory-peak", "note")

#: Of the tensors that wait, the arena without each of this many largest is worked out.
_TRIED = 8


def check(subject: Subject) -> Iterator[Finding]:
    prediction = subject.prediction
    limits = [each.peak_memory for each in subject.settings.budgets_for(prediction.model, prediction.target)]
    limit = min((each for each in limits if each is not None), default=None)
    takes = prediction.footprint
    if limit is None or takes is None or takes.peak_bytes is None or takes.peak_bytes <= limit:
        return
    from latlint.runtime.arena import arena  # of no use where the peak is within its limit

    graph = subject.plan.converted.graph if subject.plan.converted else subject.graph
    now = arena(graph)
    busiest = now.busiest
    node = graph.nodes[busiest]
    alive = now.alive(busiest)
    touched = {*node.inputs, *node.outputs}
    waiting = {
        each.tensor: arena(graph, freed={each.tensor: _last_use(graph, each.tensor, busiest)}).size
        for each in [each for each in alive if each.tensor not in touched][:_TRIED]
    }
    if waiting and min(waiting.values()) < now.size:
        tensor = min(waiting, key=lambda each: (waiting[each], each))
        fix = f"'{short_name(graph.tensors[tensor].name)}' waits in memory for a later op: end that connection before, and the peak is {format_bytes(waiting[tensor])}"
    else:
        # an op of nothing touches none of those that are there
        tensor = next((each.tensor for each in alive if each.tensor in touched), alive[0].tensor)
        half = arena(graph, halved=(tensor,)).size
        fix = f"'{short_name(graph.tensors[tensor].name)}' is the largest tensor there: with half of it the peak is {format_bytes(half)}"
    name = short_name(node.name)
    yield RULE.finding(
        subject,
        f"the peak of {format_bytes(now.size)} is at {node.native} '{name}'; {fix}",
        nodes=(node.name,),
        identity=(node.name,),
    )


def _last_use(graph: Graph, tensor: int, before: int) -> int:
    """The last node before ``before`` that writes or reads ``tensor``; 0 for an input that none has read."""
    return max((node.index for node in graph.nodes[:before] if tensor in (*node.inputs, *node.outputs)), default=0)
