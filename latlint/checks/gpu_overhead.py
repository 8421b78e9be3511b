"""An inference on this GPU takes much of its time before and between kernels.

## What it does
Notes a model that runs on the GPU as a whole and spends more than a third of its time outside of its kernels. That time is the start of an
inference, the wait for the next dispatch, and what kernels take longer in a row than alone.

## Why is this slow?
The queue is filled, submitted and waited for at each inference. On the phones that were measured the start alone took 0.7 to 3.8 ms, whatever
the model; a small network is done with its work before that. Less work per layer then gains little.

## Example that fails
```text
# galaxy-s10/gpu
x = input 1x14x14x32
a = conv2d x 32 kernel=1 activation=relu
b = depthwise_conv2d a kernel=3 activation=relu
c = conv2d b 32 kernel=1
d = add c x
```

## Example that passes
```text
# pixel-4/gpu
x = input 1x56x56x256
a = conv2d x 256 kernel=3 activation=relu
b = conv2d a 256 kernel=3 activation=relu
c = conv2d b 256 kernel=3 activation=relu
d = conv2d c 256 kernel=3 activation=relu
```

## How to fix
Compare with the phone's CPUs (`latlint predict --target 'galaxy-s10/*'`), which have no such start. Where most of it goes by between
kernels, use fewer, wider layers for the same work.

## References
tensorflow/lite/delegates/gpu/cl/inference_context.cc; mobile-ml-benchmark (end-to-end latency less the sum of the kernels').
"""

from __future__ import annotations

from collections.abc import Iterator

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import percent, view
from latlint.units import format_ms

RULE = Rule("LAT227", "gpu-overhead", "note", ("gpu",), "measured", under=("LAT211",))

_SHARE = 1 / 3


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    overhead_ms = subject.prediction.overhead_ms
    as_a_whole = {partition.executor for partition in seen.plan.partitions} == {seen.plan.delegate}
    if not as_a_whole or overhead_ms <= _SHARE * seen.total_ms:
        return
    start_ms = min(float(subject.target.card["queue"]["start_ms"]), overhead_ms)
    message = (
        f"{format_ms(overhead_ms)} ({percent(overhead_ms / seen.total_ms)}) is overhead: {format_ms(start_ms)} start-up, "
        f"{format_ms(overhead_ms - start_ms)} between kernels"
    )
    fix = (
        "compare with the CPUs of the phone" if 2 * start_ms >= overhead_ms else "fewer, wider layers for the same work"
    )
    yield from seen.judge(RULE, message, [], fix=fix)
