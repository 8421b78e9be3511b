"""The CPU of the device runs the model faster than its GPU or NPU.

## What it does
Predicts the model on the CPUs of the same device too, and reports where one of them is faster than the target, with what choosing it would save.
It says so only where the interval of the difference excludes zero, and of models of at most 4,096 ops.

## Why is this slow?
A GPU takes a millisecond or so to start, and each kernel is launched for itself: networks of many small layers, and models that a delegate takes
in pieces, spend their time there and on copies.

## Example that fails
```text
# galaxy-s10/gpu
x = input 1x28x28x8
a = depthwise_conv2d x kernel=3 activation=relu
b = conv2d a 8 kernel=1
c = depthwise_conv2d b kernel=3 activation=relu
d = conv2d c 8 kernel=1
```

## Example that passes
```text
# galaxy-s10/gpu
x = input 1x112x112x64
a = conv2d x 128 kernel=3 activation=relu
b = conv2d a 128 kernel=3 activation=relu
c = conv2d b 128 kernel=3 activation=relu
d = conv2d c 128 kernel=3 activation=relu
```

## How to fix
Run the model on the CPU that the message names; one with fewer threads leaves more of the phone to others (`latlint check --target 'DEVICE/cpu-*'` compares them).
Where the app has more than one model, the GPU may still be the better place for this one: it leaves the CPU free.

## References
mobile-ml-benchmark's times of 80 networks on six phones: in 20 of 480 cases a CPU was faster than the GPU; the rule speaks of 14 of them and of no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import hypot
from typing import TYPE_CHECKING, Any

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, view
from latlint.latency.types import Gain
from latlint.runtime.kinds import kind
from latlint.units import format_ms

if TYPE_CHECKING:
    from latlint.latency.engine import Latency, Workload
    from latlint.latency.packs import Target

#: Of a larger graph, plans for the CPUs would take longer than all else.
MOST_OPS = 4096
_QUANTISED = frozenset("int4 int8 uint8 int16 uint16".split())

RULE = Rule("LAT211", "faster-on-the-cpu", "warning", ("offload",), "measured")


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    if subject.prediction.lower_bound or subject.prediction.high_ms is None:
        return
    if not 0 < len(seen.graph.nodes) <= MOST_OPS:
        return
    found = seen.priced(_best)
    if found is None or found[1].low_ms <= 0:
        return
    target, gain = found
    took_ms = seen.total_ms - gain.ms
    message = f"the {seen.place} takes {format_ms(seen.total_ms)}, {target.name} {format_ms(took_ms)}"
    yield from seen.judge(RULE, message, [], fix="run it on that CPU", gain=gain)


def _best(view: View) -> tuple[Target, Gain] | None:
    return max(_hosts(view), key=lambda each: each[1].low_ms, default=None)


def _hosts(view: View) -> Iterator[tuple[Target, Gain]]:
    """What each CPU of the device saves over the target, but for those that are known to save nothing."""
    from latlint.errors import LatlintError
    from latlint.latency import engine
    from latlint.latency.packs import Target
    from latlint.runtime import plan

    here, pack = view.subject.prediction, view.subject.target.pack
    works, known = view.shared(_works), view.shared(_latencies)
    for key, card in pack.card["processors"].items():
        if not kind(card["processor"]["kind"]).host:
            continue
        target = Target(f"{pack.device}/{key}", pack, key)
        if _least_ms(view, target) >= here.low_ms:  # then no interval of the difference is above zero
            continue
        processor = target.processor
        try:
            if processor.plan_key not in works:
                works[processor.plan_key] = engine.workload(plan(view.subject.graph, processor))
            work = works[processor.plan_key]
        except LatlintError:  # a runtime that does not take the file
            continue
        if work.unknown:
            continue
        # NPUs' packs have the same core for what the NPU leaves
        same = processor.plan_key, repr(target.card), pack.arrays[target.card["theta"]].tobytes()
        if same not in known or known[same][0] != pack.covers(key):
            known[same] = pack.covers(key), engine.latency(work, target)
        there = known[same][1]
        if there.high_ms is not None:
            saved = here.latency_ms - there.ms
            below = hypot(here.latency_ms - here.low_ms, there.high_ms - there.ms)
            above = hypot((here.high_ms or here.latency_ms) - here.latency_ms, there.ms - there.low_ms)
            yield target, Gain(saved, saved - below, saved + above)


def _least_ms(view: View, host: Target) -> float:
    """What the model takes on a CPU at the least, as far as is known without a plan for it: what dense layers take (most NPUs are done with the whole
    model before), and what the target leaves to it already."""
    from latlint.latency.dense import least_ms

    dense = least_ms(host, view.launched(_dense_macs), floats=view.shared(_of_floats))
    left = view.launched(_left) if host.key == view.subject.target.card["fallback"] else []
    return max(dense, sum([view.kernel_ms[place] for place in left]))


def _of_floats(view: View) -> bool:
    """Whether no tensor that the model computes with is quantised."""
    graph = view.subject.graph
    return not graph.as_if and not any(tensor.dtype in _QUANTISED for tensor in graph.tensors)


def _dense_macs(view: View) -> int:
    """Multiply-accumulates that are as many wherever they run."""
    from latlint.latency.dense import is_dense

    return sum(kernel.all_macs for kernel in view.plan.kernels if is_dense(kernel))


def _left(view: View) -> list[int]:
    """The places in the plan of the kernels that run on the CPU."""
    left = [part.executor != view.plan.delegate for part in view.plan.partitions]
    return [place for place, kernel in enumerate(view.plan.kernels) if left[kernel.partition]]


def _works(view: View) -> dict[tuple[str, ...], Workload]:
    """What CPUs would do, by what their plans depend on; filled as it is asked for."""
    return {}


def _latencies(view: View) -> dict[tuple[Any, ...], tuple[Mapping[str, Any], Latency]]:
    """What CPUs take, by what it depends on, with what is covered of their kernels; filled as it is asked for."""
    return {}
