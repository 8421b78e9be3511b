"""Why a change to a model makes it slower on a target: what happened to its kernels, in words, with what each costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from latlint.records import NamedTuple
from latlint.units import format_change_ms, format_count
from latlint.whatif.change import KernelChange, TargetChange
from latlint.words import cut_middle

#: So many kernels are named, and so long may a name be: three must fit on a line of a terminal.
_NAMED, _NAME_LIMIT = 3, 16


class Cause(NamedTuple):
    """``change_ms`` more (or, below zero, less) than before, what it comes from and what would take it back, in words; ``kernels`` are those concerned."""

    change_ms: float
    what: str
    fix: str
    kernels: tuple[KernelChange, ...] = ()


def causes(change: TargetChange) -> list[Cause]:
    """What makes up ``change``, what costs most first. Every kernel that changed is part of one cause, and they add up to the whole
    change: the last is the part of the overhead that no other explains."""
    old, new = change.old, change.new
    if old is None or new is None:
        return []
    split = _Split(change)
    overhead_ms = new.overhead_ms - old.overhead_ms
    found = []
    for kind, say in _KINDS.items():
        kernels = split.kernels.get(kind)
        if kernels:
            spent_ms = sum(each.change_ms for each in kernels)
            if kind == "left" and new.partitions != old.partitions:  # the copies between processors come with it
                spent_ms, overhead_ms = spent_ms + overhead_ms, 0.0
            found.append(Cause(spent_ms, *say(change, kernels), tuple(kernels)))
    if overhead_ms:
        found.append(Cause(overhead_ms, "the overhead of starting and joining kernels", "launch fewer kernels"))
    return sorted(found, key=lambda cause: -cause.change_ms)


def biggest(change: TargetChange) -> list[KernelChange]:
    """The kernels that add most to the latency."""
    dearer = [each for each in change.kernels if each.change_ms > 0]
    return sorted(dearer, key=lambda each: -round(each.change_ms, 6))[:_NAMED]


def reasons(change: TargetChange) -> tuple[str, ...]:
    """The cause that costs most, what would take it back, and the kernels that add most; nothing where a model got no slower."""
    found = causes(change)
    if not found or not change.change_ms or change.change_ms <= 0:
        return ()
    cause = found[0]
    lines = [f"because {cause.what}: {format_change_ms(cause.change_ms)}; {cause.fix}"]
    if kernels := biggest(change):
        names = _told_apart([each.new.name or each.new.kernel.op if each.new else "" for each in kernels])
        each_ms = [format_change_ms(each.change_ms) for each in kernels]
        lines.append(f"most at {', '.join(f'{name} {ms}' for name, ms in zip(names, each_ms, strict=True))}")
    return tuple(lines)


def _told_apart(names: Sequence[str]) -> list[str]:
    """``names`` without the scopes that all begin and end with, cut in the middle where that is not enough."""
    parts = [name.split("/") for name in names]
    if len(set(names)) > 1:
        for end in (0, -1):
            while all(len(each) > 1 for each in parts) and len({each[end] for each in parts}) == 1:
                for each in parts:
                    del each[end]
    return [f"'{cut_middle('/'.join(each), _NAME_LIMIT)}'" for each in parts]


class _Split:
    """The kernels of a change by what happened to each; every one once."""

    def __init__(self, change: TargetChange) -> None:
        assert change.new is not None
        self._delegate = change.new.delegate
        #: Ops that were part of a launch and are none now: as many kernels of theirs came of it.
        self._lost = Counter(op for each in change.kernels if _unfused_alone(each) for op in each.fusions_lost)
        self.kernels: dict[str, list[KernelChange]] = {}
        for each in change.kernels:
            self.kernels.setdefault(self._kind(each), []).append(each)

    def _kind(self, each: KernelChange) -> str:
        old, new = each.old, each.new
        outside = new is not None and self._delegate and new.executor != self._delegate
        if outside and (old is None or old.executor == self._delegate):
            return "left"
        if old is None and new is not None and self._lost[new.kernel.op] > 0:
            self._lost[new.kernel.op] -= 1
            return "unfused"
        if old is None or new is None:
            return "replaced"
        if old.dtype != new.dtype:
            return "type"
        if _unfused_alone(each):
            return "unfused"
        if old.kernel.op != new.kernel.op:
            return "replaced"
        if (old.input, old.output, old.kernel.macs, old.parameters) != (
            new.input,
            new.output,
            new.kernel.macs,
            new.parameters,
        ):
            return "work"
        return "implementation" if old.kernel.implementation != new.kernel.implementation else "other"


def _left(change: TargetChange, kernels: Sequence[KernelChange]) -> tuple[str, str]:
    launches = [each.new for each in kernels if each.new]
    ops = _most(Counter(launch.kernel.op for launch in launches))
    assert change.new is not None
    reason = next((launch.kernel.reason for launch in launches if launch.kernel.reason), "")
    place = change.new.delegate.upper()
    are = "runs" if len(kernels) == 1 else "run"
    return f"{ops} {are} outside of {place} now{f' ({reason})' if reason else ''}", "use an op that it takes"


def _unfused(change: TargetChange, kernels: Sequence[KernelChange]) -> tuple[str, str]:
    lost = Counter(op for each in kernels for op in each.fusions_lost)
    are = "is" if lost.total() == 1 else "are"
    return f"{_most(lost)} {are} no longer fused", "put it right behind the op again"


def _replaced(change: TargetChange, kernels: Sequence[KernelChange]) -> tuple[str, str]:
    came = Counter(each.new.kernel.op for each in kernels if each.new and not _same_op(each))
    went = Counter(each.old.kernel.op for each in kernels if each.old and not _same_op(each))
    both = came & went
    came, went = came - both, went - both
    if came and went:
        return f"{_most(came)} came in place of {_most(went)}", "use what was there before"
    if went:
        return f"{_most(went)} went", "nothing to take back"
    if came:
        return f"{_most(came)} {'was' if came.total() == 1 else 'were'} added", "leave out what is not needed"
    return f"{_most(both)} changed", "compare the kernels"


def _type(change: TargetChange, kernels: Sequence[KernelChange]) -> tuple[str, str]:
    types = Counter(f"{each.old.dtype} → {each.new.dtype}" for each in kernels if each.old and each.new)
    return (
        f"{_kernels(kernels)} {_have(kernels)} another type ({types.most_common(1)[0][0]})",
        "convert the model as before",
    )


def _work(change: TargetChange, kernels: Sequence[KernelChange]) -> tuple[str, str]:
    before = sum(each.old.kernel.macs for each in kernels if each.old)
    after = sum(each.new.kernel.macs for each in kernels if each.new)
    macs = f" ({format_count(before)} → {format_count(after)} MACs)" if before != after else ""
    return f"{_kernels(kernels)} {_have(kernels)} other sizes{macs}", "fewer channels or a smaller input"


def _implementation(change: TargetChange, kernels: Sequence[KernelChange]) -> tuple[str, str]:
    ways = Counter(
        f"{each.new.kernel.implementation}, not as {each.old.kernel.implementation}"
        for each in kernels
        if each.old and each.new
    )
    what = f"{_kernels(kernels)} {'runs' if len(kernels) == 1 else 'run'} as {ways.most_common(1)[0][0]}"
    return what, "`latlint predict --explain` says why"


def _other(change: TargetChange, kernels: Sequence[KernelChange]) -> tuple[str, str]:
    return f"{_kernels(kernels)} beside what changed", "compare the kernels"


_KINDS: dict[str, Callable[[TargetChange, Sequence[KernelChange]], tuple[str, str]]] = {
    "left": _left,
    "unfused": _unfused,
    "type": _type,
    "implementation": _implementation,
    "work": _work,
    "replaced": _replaced,
    "other": _other,
}


def _unfused_alone(each: KernelChange) -> bool:
    """Whether a kernel lost a fusion and does as much as before: of one that does more, that is what costs."""
    same = each.old is not None and each.new is not None and each.old.kernel.macs == each.new.kernel.macs
    return same and bool(each.fusions_lost)


def _have(kernels: Sequence[KernelChange]) -> str:
    return "has" if len(kernels) == 1 else "have"


def _same_op(each: KernelChange) -> bool:
    return each.old is not None and each.new is not None and each.old.kernel.op == each.new.kernel.op


def _kernels(kernels: Sequence[KernelChange]) -> str:
    ops = Counter((each.new or each.old).kernel.op for each in kernels if each.new or each.old)  # type: ignore[union-attr]
    return _most(ops)


def _most(ops: Counter[str]) -> str:
    """``relu ×12, add``."""
    named = [f"{op} ×{count}" if count > 1 else op for op, count in ops.most_common(2)]
    return ", ".join([*named, "…"] if len(ops) > 2 else named)
