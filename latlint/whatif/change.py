"""What a change does to one model on one target, kernel by kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from latlint.latency.types import Prediction
from latlint.whatif.launches import Launch, dims, launches
from latlint.whatif.matching import Pairs, match

if TYPE_CHECKING:
    from latlint.runtime.types import Plan

    #: A model on each target, in the order of the targets.
    Planned = Sequence[tuple[Prediction, Plan]]

#: Times that differ by less than this share are the same but for arithmetic.
_SAME = 1e-6


@dataclass(frozen=True, slots=True)
class KernelChange:
    """A kernel before and after: ``old`` is ``None`` for one that was added, ``new`` for one that was removed."""

    old: Launch | None
    new: Launch | None

    @property
    def kind(self) -> str:
        """``added``, ``removed`` or ``changed``."""
        return "added" if self.old is None else "removed" if self.new is None else "changed"

    @property
    def change_ms(self) -> float:
        """What the change adds to the latency."""
        return _ms(self.new) - _ms(self.old)

    @property
    def fusions_lost(self) -> tuple[str, ...]:
        """Ops that were part of the launch and are no longer."""
        return self._fused_only_in(self.old, self.new)

    @property
    def fusions_gained(self) -> tuple[str, ...]:
        """Ops that have become part of the launch."""
        return self._fused_only_in(self.new, self.old)

    def _fused_only_in(self, one: Launch | None, other: Launch | None) -> tuple[str, ...]:
        if one is None or other is None:
            return ()
        moved = one.executor != other.executor
        return tuple((_linked(one, moved) - _linked(other, moved)).elements())

    @property
    def what(self) -> tuple[str, ...]:
        """What is different about a kernel that is in both, in words; nothing where the two are alike."""
        if self.old is None or self.new is None:
            return ()
        old, new = self.old, self.new
        named = [
            ("", old.executor, new.executor),
            ("", old.kernel.op, new.kernel.op),
            ("", old.kernel.implementation, new.kernel.implementation),
            ("", old.dtype, new.dtype),
            ("in ", dims(old.input), dims(new.input)),
            ("out ", dims(old.output), dims(new.output)),
        ]
        for key in sorted(old.parameters.keys() | new.parameters.keys()):
            named.append((f"{key} ", dims(old.parameters.get(key)), dims(new.parameters.get(key))))
        found = [f"{label}{before} → {after}" for label, before, after in named if before != after]
        if self.fusions_lost:
            found.append(f"no longer fused: {', '.join(self.fusions_lost)}")
        if self.fusions_gained:
            found.append(f"now fused: {', '.join(self.fusions_gained)}")
        return tuple(found)

    @property
    def is_change(self) -> bool:
        """Whether it is anything but a kernel that is in both and differs in its name at most."""
        return (
            self.kind != "changed" or bool(self.what) or abs(self.change_ms) > _SAME * max(_ms(self.old), _ms(self.new))
        )


@dataclass(frozen=True, slots=True)
class TargetChange:
    """One model on one target. ``old`` and ``new`` have no kernels; one of them is ``None`` where there is no such model. ``kernels``
    are those that changed, in the order of the model; ``unchanged`` counts the others; ``paired`` are all, to show both models whole."""

    old: Prediction | None
    new: Prediction | None
    kernels: tuple[KernelChange, ...] = ()
    unchanged: int = 0
    paired: tuple[KernelChange, ...] = field(default=(), repr=False)

    @property
    def target(self) -> str:
        return self._either.target

    @property
    def _either(self) -> Prediction:
        prediction = self.new or self.old
        assert prediction is not None
        return prediction

    @property
    def change_ms(self) -> float | None:
        """Milliseconds more (or fewer, below zero) than before; ``None`` for a model that is new or gone."""
        return None if self.old is None or self.new is None else self.new.latency_ms - self.old.latency_ms

    @property
    def ratio(self) -> float | None:
        """The new latency in terms of the old; ``None`` where there is none of either, or the old one is zero."""
        if self.old is None or self.new is None or self.old.latency_ms == 0:
            return None
        return self.new.latency_ms / self.old.latency_ms

    @property
    def overhead_change_ms(self) -> float | None:
        """The part of the change that is no kernel's."""
        return None if self.old is None or self.new is None else self.new.overhead_ms - self.old.overhead_ms

    @property
    def fusions_lost(self) -> Counter[str]:
        """How often each op is no longer part of another's launch."""
        return Counter(op for kernel in self.kernels for op in kernel.fusions_lost)

    @property
    def fusions_gained(self) -> Counter[str]:
        """How often each op has become part of another's launch."""
        return Counter(op for kernel in self.kernels for op in kernel.fusions_gained)

    @property
    def implementations(self) -> Counter[tuple[str, str]]:
        """How often a kernel that is in both is now executed in another way, such as without Winograd's transform."""
        both = ((each.old.kernel, each.new.kernel) for each in self.kernels if each.old and each.new)
        return Counter(
            (old.implementation, new.implementation) for old, new in both if old.implementation != new.implementation
        )

    @property
    def counts(self) -> Mapping[str, int]:
        """How many kernels were ``added``, ``removed``, ``changed``."""
        counted = Counter(kernel.kind for kernel in self.kernels)
        return {kind: counted[kind] for kind in ("added", "removed", "changed")}

    @property
    def within_interval(self) -> bool | None:
        """Whether the new latency is one that the old model might be measured at: within the interval of its prediction.

        Of two models that share most kernels, most of the error is the same in both, so that a change within the interval may well
        be real. Beyond it, it is larger than what a prediction is uncertain by.
        """
        return (
            None
            if self.old is None or self.new is None
            else self.old.low_ms <= self.new.latency_ms <= self.old.end_ms("high")
        )


def target_changes(before: Planned, after: Planned) -> tuple[TargetChange, ...]:
    """What is different on each target. Targets that plan alike share the pairs of kernels."""
    if not before or not after:
        gone = [TargetChange(_total(prediction), None) for prediction, _ in before]
        return (*gone, *(TargetChange(None, _total(prediction)) for prediction, _ in after))
    pairs: dict[tuple[int, int], Pairs] = {}
    found = []
    for (one, old_plan), (other, new_plan) in zip(before, after, strict=True):
        old, new = launches(one, old_plan), launches(other, new_plan)
        plans = id(old_plan), id(new_plan)
        if plans not in pairs:
            pairs[plans] = match(old, new)
        kernels = _kernel_changes(old, new, pairs[plans])
        changed = tuple(kernel for kernel in kernels if kernel.is_change)
        found.append(TargetChange(_total(one), _total(other), changed, len(kernels) - len(changed), tuple(kernels)))
    return tuple(found)


def _total(prediction: Prediction) -> Prediction:
    return replace(prediction, kernels=())


def _kernel_changes(old: Sequence[Launch], new: Sequence[Launch], pairs: Pairs) -> list[KernelChange]:
    """All kernels of both, in the new order, each that is gone behind the one that it followed."""
    before = {after: position for position, after in pairs.items()}
    gone: dict[int, list[KernelChange]] = {}
    place = -1
    for position, launch in enumerate(old):
        if position in pairs:
            place = pairs[position]
        else:
            gone.setdefault(place, []).append(KernelChange(launch, None))
    changes = gone.get(-1, [])
    for position, launch in enumerate(new):
        was = old[before[position]] if position in before else None
        changes += [KernelChange(was, launch), *gone.get(position, ())]
    return changes


def _linked(launch: Launch, moved: bool) -> Counter[str]:
    """What is part of a launch. The GPU delegate has one word for both of what the CPU calls relu and relu6."""
    return Counter("relu" if moved and op == "relu6" else op for op in launch.kernel.linked)


def _ms(launch: Launch | None) -> float:
    return launch.kernel.latency_ms if launch else 0.0
