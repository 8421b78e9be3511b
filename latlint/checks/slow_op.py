"""A convolution takes several times as long as well-shaped ones of as much work.

## What it does
Holds every convolution against the target's own efficient frontier: what as many multiply-accumulates cost in well-shaped
convolutions of the same kind (1x1, larger, depthwise) and of like size, planned by the target's runtime and predicted by its pack. Reports
those that take three times as long or more, grouped by what the excess is spent on, where together they lose more than `min-gain`. It warns
where channel counts are the cause and 5 % of the model is lost, and notes the rest. The first layer of a network, which reads an image, is not judged, nor are
kernels unlike any that was measured.

## Why is this slow?
- *Padded channels*: kernels compute whole tiles. GPUs store channels in fours, the int8 kernels of ruy multiply 16 input
  channels at a time; 8 cost as much as 16.
- *Few input channels*: the int8 and float kernels of the CPU begin and store each tile of results for little arithmetic.
- *Memory-bound*: with few output channels, reading (and packing) the input is shared by few of them; with few input channels, writing the
  output takes longer than computing it.
- *Off the fast path*: the kernel that the reference runs on, such as Winograd, does not take this shape.
- *Few pixels*: weights are read, and leave the cache again, for too few of them; or the work does not fill the GPU.
- *Dispatch-bound*: the launch takes longer than the work.

## Example that fails
```text
# galaxy-a03s/cpu-4large
x = input 1x112x112x32 int8
a = depthwise_conv2d x kernel=3
b = conv2d a 8 kernel=1
c = conv2d b 48 kernel=1
d = depthwise_conv2d c kernel=3 stride=2
e = conv2d d 32 kernel=1
```

## Example that passes
```text
# galaxy-a03s/cpu-4large
x = input 1x112x112x32 int8
a = depthwise_conv2d x kernel=3
b = conv2d a 32 kernel=1
d = depthwise_conv2d b kernel=3 stride=2
e = conv2d d 32 kernel=1
```

## How to fix
The message says which of these it is. Thin layers on large maps are where it pays to change the network: halve the map before them, merge two into
one, or give them the channels that the kernel computes anyway.

## References
ruy/kernel_arm64.cc (blocks of 8 by 8, int8 in depths of 16); tensorflow/lite/delegates/gpu/common/tasks/conv_generic.cc (slices of
four); Williams, Waterman and Patterson, *Roofline*, CACM 52(4), 2009.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from latlint.checks.types import Finding, Rule, Subject
from latlint.checks.view import View, percent, view
from latlint.records import NamedTuple
from latlint.units import format_ms
from latlint.words import counted

if TYPE_CHECKING:
    from latlint.graph.types import Node
    from latlint.latency.engine import Array
    from latlint.runtime.types import Kernel
    from latlint.whatif.frontier import Account, Frontier

RULE = Rule("LAT230", "slow-op", "warning", (), "measured")

#: How many times as long as on the frontier.
_SLOW = 3.0
#: An image has no more channels.
_IMAGE_CHANNELS = 4
#: What they must lose together, as a share of the model, for more than a note.
_GRAVE = 0.05
#: Computed over wanted multiply-accumulates from which padding is the reason.
_PADDED = 2.0


class _Reason(NamedTuple):
    what: str
    fix: str
    severity: str = "note"


_REASONS = {
    "padded": _Reason(
        "their channels are padded to whole tiles", "use multiples of 4 on a GPU, of 16 in int8", "warning"
    ),
    "tiles": _Reason(
        "too few input channels, each tile of results is begun and stored for little arithmetic",
        "more input channels, or a smaller map",
        "warning",
    ),
    "input": _Reason(
        "memory-bound, too few output channels share reading the input",
        "more output channels, or a smaller map",
        "warning",
    ),
    "output": _Reason(
        "memory-bound, too few input channels for what is written", "more input channels, or a smaller map", "warning"
    ),
    "path": _Reason("off the fast path", "give them a shape that it takes"),
    "fallback": _Reason("left to the built-in kernels", "write them as the delegate takes them"),
    "weights": _Reason(
        "their weights leave the cache, or are read for few pixels", "keep wide layers off the smallest maps"
    ),
    "launch": _Reason("dispatch-bound, launched for little work", "merge them into fewer, larger ones"),
    "arithmetic": _Reason(
        "too few output channels and pixels to fill the processor", "merge them into fewer, larger ones"
    ),
    "linked": _Reason("what is linked to them reads other tensors", "link less to them"),
    "other": _Reason("for each row and call, kernels do more than arithmetic", "merge them into fewer, larger ones"),
}


class _Slow(NamedTuple):
    position: int
    kernel: Kernel
    ms: float
    best_ms: float
    curve: Frontier


class _Group(NamedTuple):
    """Slow kernels of one reason: the first arguments of ``View.judge``."""

    key: str
    message: str
    nodes: list[Node]
    severity: str


def check(subject: Subject) -> Iterator[Finding]:
    seen = view(subject)
    for key, message, nodes, severity in seen.priced(_groups):
        yield from seen.judge(RULE, message, nodes, fix=_REASONS[key].fix, severity=severity, identity=(key,))


def _groups(view: View) -> list[_Group]:
    slow = _slow(view)
    if sum(each.ms - each.best_ms for each in slow) < view.least_gain_ms:
        return []
    by_reason: dict[str, list[_Slow]] = {}
    for each, reason in zip(slow, _reasons(view, slow), strict=True):
        by_reason.setdefault(reason, []).append(each)
    found = (_group(view, key, sorted(few, key=lambda each: each.best_ms - each.ms)) for key, few in by_reason.items())
    return [group for group in found if group is not None]


class _Like(NamedTuple):
    """Convolutions of one group: their ``places`` in the plan, and the multiply-accumulates and rounds of each."""

    places: list[int]
    macs: Array
    repeat: Array


def _judged(view: View) -> dict[str, dict[str, _Like]]:
    """The convolutions that are held against the frontier, by type of activations and group."""
    import numpy as np  # listing the rules does without

    from latlint.whatif.frontier import group_of

    kernels, refuses = view.plan.kernels, view.offloads
    found: dict[str, dict[str, list[int]]] = {}
    for place, kernel in enumerate(kernels):
        group = group_of(kernel)
        if group is None or kernel.inputs[0][-1] <= _IMAGE_CHANNELS:
            continue
        if refuses and view.plan.partitions[kernel.partition].executor != view.plan.delegate:
            continue  # what the delegate refuses is what LAT201 to LAT209 are about
        found.setdefault(kernel.input_dtype, {}).setdefault(group, []).append(place)

    def like(places: list[int]) -> _Like:
        macs, repeat = ([float(getattr(kernels[place], name)) for place in places] for name in ("macs", "repeat"))
        return _Like(places, np.array(macs), np.array(repeat))

    return {dtype: {group: like(places) for group, places in groups.items()} for dtype, groups in found.items()}


class _Held(NamedTuple):
    """The kernels that are held against the frontier: the row of each place in the plan, what they spend time on, and the multiply-accumulates as
    computed of each row."""

    rows: dict[int, int]
    accounts: tuple[Account, ...]
    computed_macs: list[float]


def _work(view: View) -> _Held:
    from latlint.latency import engine
    from latlint.whatif.frontier import accounts, computed_macs

    groups = view.launched(_judged).values()
    places = sorted(place for by_group in groups for like in by_group.values() for place in like.places)
    work = engine.workload(replace(view.plan, kernels=tuple([view.plan.kernels[place] for place in places])))
    return _Held({place: row for row, place in enumerate(places)}, accounts(work), computed_macs(work).tolist())


def _slow(view: View) -> list[_Slow]:
    """Kernels that were measured and take far longer than the frontier, in the plan's order."""
    from latlint.whatif.frontier import frontiers

    slow: list[_Slow] = []
    for dtype, by_group in view.launched(_judged).items():
        measured = {
            group: known
            for group, like in by_group.items()
            if (known := [view.kernel_sources[place] == "predicted" for place in like.places]) and any(known)
        }
        curves = frontiers(view.subject.target, tuple(measured), dtype) if measured else {}
        for group, curve in curves.items():
            like = by_group[group]
            best = (curve.prices(like.macs) * like.repeat).tolist()
            for place, predicted, best_ms in zip(like.places, measured[group], best, strict=True):
                ms = view.kernel_ms[place]
                if predicted and ms > _SLOW * best_ms:  # never where the frontier is not known: NaN
                    slow.append(_Slow(place, view.plan.kernels[place], ms, best_ms, curve))
    return sorted(slow, key=lambda each: each.position)


def _reasons(view: View, slow: list[_Slow]) -> Iterator[str]:
    """What the excess of each over the frontier is spent on."""
    if not slow:
        return
    held, offloads = view.launched(_work), view.offloads
    for each, (purpose, winograd) in zip(slow, _most(view, held, slow), strict=True):
        kernel = each.kernel
        if _refused(view, kernel):
            yield "fallback"
        elif _off_the_fast_path(kernel, offloads, winograd):
            yield "path"
        elif (
            purpose in ("arithmetic", "tiles")
            and held.computed_macs[held.rows[each.position]] >= _PADDED * kernel.all_macs
        ):
            yield "padded"
        else:
            yield "linked" if purpose == "other" and kernel.linked else purpose


def _most(view: View, held: _Held, slow: list[_Slow]) -> list[tuple[str, bool]]:
    """What most of the excess of each over the convolution of the frontier that is nearest to it in size is spent on, by the name of the purpose, and
    whether that one runs on a Winograd kernel."""
    from latlint.whatif.frontier import PURPOSES, spent

    target = view.subject.target
    excess = spent(held.accounts, target, [held.rows[each.position] for each in slow], [each.ms for each in slow])
    near = [each.curve.nearest(each.kernel.macs) for each in slow]
    for accounts in {id(each.curve.accounts): each.curve.accounts for each in slow}.values():
        at = [number for number, each in enumerate(slow) if each.curve.accounts is accounts]
        usual = [(slow[number].kernel, slow[number].curve, near[number]) for number in at]
        usual_ms = [curve.ms[size] * (kernel.all_macs / curve.macs[size]) for kernel, curve, size in usual]
        excess[at] -= spent(accounts, target, [curve.chosen[size] for _, curve, size in usual], usual_ms)
    winograd = [each.curve.winograd[size] for each, size in zip(slow, near, strict=True)]
    return [(PURPOSES[most], fast) for most, fast in zip(excess.argmax(axis=1).tolist(), winograd, strict=True)]


def _refused(view: View, kernel: Kernel) -> bool:
    """Whether the runtime's delegate left it to what runs the rest."""
    plan = view.plan
    return plan.partitions[kernel.partition].executor != plan.delegate and kernel.nodes[0] in plan.fallbacks


def _off_the_fast_path(kernel: Kernel, offloads: bool, winograd: bool) -> bool:
    if not offloads:
        return kernel.obstacle is not None
    return (winograd and "winograd" not in kernel.implementation) or kernel.launches > 3


def _group(view: View, key: str, found: list[_Slow]) -> _Group | None:
    """``found``: what loses most first; ``None`` where that is too little."""
    reason = _REASONS[key]
    lost_ms = sum(each.ms - each.best_ms for each in found)
    if lost_ms < view.least_gain_ms:
        return None
    times = (
        f"{min(each.ms / each.best_ms for each in found):.1f}",
        f"{max(each.ms / each.best_ms for each in found):.1f}",
    )
    worst = found[0].kernel
    height, width, read = worst.inputs[0][-3:]
    missed = worst.reason or next(iter(worst.explain), "")
    why = f" ({missed})" if key == "path" and missed else ""
    severity = reason.severity if lost_ms >= _GRAVE * view.total_ms else "note"
    message = (
        f"{counted(len(found), 'convolution')} {'take' if len(found) > 1 else 'takes'} {'–'.join(dict.fromkeys(times))} times as long as "
        f"well-shaped ones of as much work, {format_ms(lost_ms)} more in all ({percent(lost_ms / view.total_ms)}); most of it {read} to "
        f"{worst.outputs[0][-1]} channels on {height}x{width}: {reason.what}{why}"
    )
    nodes = [view.graph.nodes[each.kernel.nodes[0]] for each in found]
    return _Group(key, message, nodes, severity)
